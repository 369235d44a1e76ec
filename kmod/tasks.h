/* SPDX-License-Identifier: GPL-2.0 */
/* All tasks and what they hold open. */
#ifndef FUSECR_TASKS_H
#define FUSECR_TASKS_H

#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/types.h>

/* Pids of the initial namespace; zeroed to walk over all tasks. */
struct fusecr_task_cursor {
	pid_t tid;	/* the next to look at */
	pid_t tgid;	/* only this thread group, or 0 */
};

/* The task at or after the cursor, which moves there; counted, NULL at end. */
struct task_struct *fusecr_task_get(struct fusecr_task_cursor *cursor);

/*
 * Called for each open file, with the locks of the task's descriptor table
 * held: must not sleep.  The file stays while it runs.
 */
typedef int (*fusecr_fd_fn)(void *arg, struct file *file, unsigned int fd);

/*
 * Calls @fn for the descriptors from *@fd on, until one call fails, and moves
 * *@fd to that one.  A table that an earlier thread of the group shares is
 * skipped.  May sleep in between.
 */
int fusecr_task_files(struct task_struct *task, unsigned int *fd,
		      fusecr_fd_fn fn, void *arg);

/* Mappings of one file without a gap: how many there are is the kernel's matter. */
struct fusecr_map {
	struct file *file;
	unsigned long start;
	unsigned long end;
	bool joins;	/* the one before it but for the open file, of one inode */
	bool locked;	/* some of it is private, and locked in memory */
};

/* With task_lock() and the mapping locks held: must not sleep. */
typedef int (*fusecr_map_fn)(void *arg, const struct fusecr_map *map);

/*
 * Likewise for mappings of files from address *@addr on.  -EBUSY when the
 * task's mappings are locked for writing, which can last as long as a page
 * fault that waits for a daemon.
 */
int fusecr_task_maps(struct task_struct *task, unsigned long *addr,
		     fusecr_map_fn fn, void *arg);

/* With task_lock() held: must not sleep. */
typedef int (*fusecr_exe_fn)(void *arg, struct file *file);

/* Likewise for the program that the task runs. */
int fusecr_task_exe(struct task_struct *task, fusecr_exe_fn fn, void *arg);

/* With task_lock() and fs->lock held: must not sleep. */
typedef int (*fusecr_fs_fn)(void *arg, const struct path *path);

int fusecr_task_cwd(struct task_struct *task, fusecr_fs_fn fn, void *arg);
int fusecr_task_root(struct task_struct *task, fusecr_fs_fn fn, void *arg);

#endif /* FUSECR_TASKS_H */
