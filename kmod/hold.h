/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tasks at rest on their way back to user mode.
 *
 * A hold is a task work.  What the task is doing goes on undisturbed; when it
 * is about to return to user mode it sleeps instead, until it is let go or
 * something else wants it: a tracer's trap, a freezer, a stop, its end.
 * Ordinary signals wait.
 *
 * Holders are numbered.  A task that several hold is let go by the last.
 */
#ifndef FUSECR_HOLD_H
#define FUSECR_HOLD_H

#include <linux/types.h>

struct file;
struct task_struct;
struct wait_queue_head;

#define FUSECR_HOLDERS	64

/*
 * A number to hold tasks by, or -EUSERS.  @waitq is woken when one of them comes
 * to rest or leaves, until fusecr_hold_end().
 */
int fusecr_hold_begin(struct wait_queue_head *waitq);

/*
 * Lets all go, and holds none any more.  Tasks that have not come yet find that
 * out when they do; each pins the module until then.
 */
void fusecr_hold_end(int holder);
/* Gives the number back, when nobody can hold by it any more. */
void fusecr_hold_free(int holder);

/*
 * Holds @task when it comes; 1, 0 if it is held or coming already, -ESRCH when
 * it is exiting, -ENOENT after fusecr_hold_end(), -EOPNOTSUPP for one that must
 * not be held (kernel thread, io worker, traced, frozen, a child of vfork),
 * -ENOMEM.  Does not sleep.
 */
int fusecr_hold_task(int holder, struct task_struct *task);

struct fusecr_hold_counts {
	u32 held;	/* at rest, or stopped */
	u32 coming;	/* not yet, of which */
	u32 asleep;	/* sleep interruptibly somewhere else */
};

void fusecr_hold_count(int holder, struct fusecr_hold_counts *counts);

/*
 * Wakes those who sleep interruptibly somewhere else, as a tracer would, unless
 * @busy says that they are to be left alone: called with a spinlock held.
 */
void fusecr_hold_nudge(int holder, bool (*busy)(struct task_struct *task, void *arg),
		       void *arg);

/*
 * Has the system call that @task is in start over, if it fails, or @always; wakes the
 * task from an interruptible sleep.  Allocated before, because later it must not
 * fail: -ESRCH only for a task that is exiting, which frees it, too.
 */
struct fusecr_restart;
struct fusecr_restart *fusecr_restart_alloc(gfp_t gfp);
void fusecr_restart_free(struct fusecr_restart *restart);
int fusecr_restart(struct fusecr_restart *restart, struct task_struct *task,
		   bool always);

/* That of current, after a moment. */
int fusecr_restart_later(struct fusecr_restart *restart);

/*
 * That of current does not: it returns @result, if it fails; so many bytes that were
 * written to @file, which is counted, from @from on, with O_DSYNC or O_SYNC in @sync.
 */
int fusecr_restart_with(struct fusecr_restart *restart, long result,
			struct file *file, loff_t from, u32 sync);

/* No task is held. */
void fusecr_hold_exit(void);

#endif /* FUSECR_HOLD_H */
