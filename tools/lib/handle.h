/* SPDX-License-Identifier: GPL-2.0 */
/* The change handle of fusecr.ko (include/uapi/linux/fusecr.h). */
#ifndef FUSECR_HANDLE_H
#define FUSECR_HANDLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/fusecr_ioctl.h>

/* All return 0 (new, open: a descriptor) or -errno. */
/* Owns no connection yet; as long as it is open the module stays. */
int handle_new(void);
int handle_open(uint64_t conn_id);
int handle_set_conn(int fd, const struct fusecr_set_conn *set);
int handle_set_inode(int fd, uint64_t nodeid, uint64_t nlookup);
int handle_set_file(int fd, const struct fusecr_set_file *set);
int handle_share_file(int fd, const struct fusecr_share_file *share);
/* -ETIMEDOUT after so many seconds. */
int handle_own_page(int fd, pid_t pid, uint64_t address, unsigned int seconds);
/*
 * -EBUSY: somebody has the directory locked, for five seconds now. That may be who waits
 * for the caller, who can serve them meanwhile, again and again; or NULL. Seconds in which
 * somebody was served do not count, up to a minute.
 */
struct meanwhile {
	bool (*serve)(void *arg);	/* whether there was somebody */
	void *arg;
};
int handle_unlink(int fd, const struct fusecr_unlink *which, const struct meanwhile *m);
int handle_drop_pages(int fd, uint64_t nodeid, unsigned int seconds);
int handle_set_owner(int fd, const struct fusecr_set_owner *set);
int handle_set_lock(int fd, const struct fusecr_set_lock *set);
int handle_forget(int fd, uint64_t nodeid, uint64_t nlookup);
int handle_admit(int fd, bool on);
/* How many went back, or -errno.  unique 0: all of devfd's. */
int handle_requeue(int fd, int devfd, uint64_t unique);
/* names: those that handle_unlink() has given to what was deleted stay, too. */
int handle_commit(int fd, bool names);
/* Opens by itself after so many seconds. */
int handle_gate_close(int fd, unsigned int seconds, const int32_t *exempt, uint32_t nr_exempt);
/* The same, and holds only those whom handle_take() has taken a request from. */
int handle_gate_close_taken(int fd, unsigned int seconds);
/* How many threads of the process were not held before, or -errno. */
int handle_hold(int fd, pid_t pid);
/* As syncfs(2); -ETIMEDOUT after so many seconds. */
int handle_sync(int fd, unsigned int seconds);
/* Of a gate that somebody else has closed. */
int handle_force_open(uint64_t conn_id);
int handle_gate_status(int fd, struct fusecr_gate_status *status);

/* How many requests were taken, or -errno. */
int handle_take(int fd);
int handle_keep(int fd, const struct fusecr_keep *keep);

#endif
