/* SPDX-License-Identifier: GPL-2.0 */
/* Single questions to /proc.  None of them makes the kernel ask a FUSE daemon. */
#ifndef FUSECR_PROC_H
#define FUSECR_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The first number of a line of /proc/PID/status ("TracerPid"), or -1. */
long proc_status(pid_t pid, const char *field);
/* The number that a task has in its own pid namespace, or -1. */
pid_t proc_own_pid(pid_t pid);
/* The state letter of a task, 0 when there is no such task. */
char proc_state(pid_t pid);
/* Whether it was killed, or exits, whatever its state says meanwhile. */
bool proc_dying(pid_t pid);
/* Whether the thread has said PR_SET_IO_FLUSHER. */
bool proc_io_flusher(pid_t tid);
/* When the process began, in clock ticks since boot; 0 when there is no such process. */
uint64_t proc_start(pid_t pid);
/* Of the running kernel, another one after each boot; "" when it cannot be read. */
#define PROC_BOOT_ID_SIZE 40
void proc_boot_id(char id[PROC_BOOT_ID_SIZE]);
/*
 * A duplicate of a task's descriptor, or -errno.  For devices: to close that of a file
 * on a mount is a request.
 */
int proc_take_fd(pid_t pid, int fd);
/* Whether the descriptors of two processes are one open file. */
bool proc_same_file(pid_t a, int fd_a, pid_t b, int fd_b);
/*
 * Whether two tasks that live have not the same of what says KCMP_FILES or KCMP_FS.
 * False where the kernel does not tell.
 */
bool proc_unshared(pid_t a, pid_t b, int what);
/* What a task calls itself, "?" when there is no such task. */
void proc_comm(pid_t pid, char *comm, size_t size);
/* The user namespace that is for ever (include/linux/proc_ns.h, PROC_USER_INIT_INO). */
#define PROC_INIT_USER_NS 0xEFFFFFFDU
/* Likewise that of pids, PROC_PID_INIT_INO. */
#define PROC_INIT_PID_NS 0xEFFFFFFCU
/* Who is root in the process's user namespace, as the caller's numbers him.  0 or -errno. */
int proc_ns_root(pid_t pid, uint32_t *uid, uint32_t *gid);
/* Inode number of a namespace ("mnt", "pid", ...) of a task or of the caller; 0: unknown. */
uint64_t proc_ns(pid_t pid, const char *name);
uint64_t proc_own_ns(const char *name);
/* Whether the thread or process is ancestor or one of its descendants. */
bool proc_descends(pid_t pid, pid_t ancestor);
/* Whether both run a program of the same path. */
bool proc_same_exe(pid_t a, pid_t b);
/* A process of the tree that holds /dev/fuse or /dev/cuse, or 0. */
pid_t proc_tree_has_dev_fuse(pid_t root);

#endif
