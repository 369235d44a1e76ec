// SPDX-License-Identifier: GPL-2.0
/*
 * Tasks at rest on their way back to user mode, see hold.h.
 *
 * Where task works run was read from kernel/signal.c and kernel/entry/common.c
 * of 6.1, 6.12 and 7.3: resume_user_mode_work(), get_signal() before anything
 * else in it, but also ptrace_notify(), do_freezer_trap() and begin_new_exec();
 * may_sleep() knows the latter.
 */

#include <linux/cgroup.h>
#include <linux/file.h>
#include <linux/freezer.h>
#include <linux/fs.h>
#include <linux/fsnotify.h>
#include <linux/hashtable.h>
#include <linux/module.h>
#include <linux/refcount.h>
#include <linux/rcupdate.h>
#include <linux/sched/jobctl.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/task_work.h>
#include <linux/wait.h>
#include <asm/syscall.h>

#include "compat.h"
#include "hold.h"

/* How often a hold goes behind other works before it sleeps all the same. */
#define YIELDS		8
/* A work that is added without a wake-up is noticed this much later. */
#define LOOK		HZ
/* So long a system call is put off. */
#define MOMENT		msecs_to_jiffies(10)

/* One task that is held or coming. */
struct held {
	struct callback_head work;
	struct callback_head nudge;	/* does nothing but interrupt */
	struct hlist_node entry;
	struct task_struct *task;	/* counted */
	refcount_t refs;		/* one a work that is queued */
	u64 holders;			/* a bit each; 0: let go */
	unsigned long sleeps;		/* nvcsw of the sleep it was last seen in */
	bool at_rest;
	bool nudged;
	u8 yields;
};

/* Of tasks, their holders and who is told.  Never taken with interrupts off. */
static DEFINE_SPINLOCK(lock);
static DEFINE_HASHTABLE(tasks, 10);
/* NULL: a number that nobody has; &nobody: its holder has let go. */
static struct wait_queue_head *waitqs[FUSECR_HOLDERS];
static DECLARE_WAIT_QUEUE_HEAD(nobody);

static void held_put(struct held *h)
{
	if (!refcount_dec_and_test(&h->refs))
		return;
	put_task_struct(h->task);
	kfree(h);
}

int fusecr_hold_begin(struct wait_queue_head *waitq)
{
	int i;

	spin_lock(&lock);
	for (i = 0; i < FUSECR_HOLDERS && waitqs[i]; i++)
		;
	if (i < FUSECR_HOLDERS)
		waitqs[i] = waitq;
	spin_unlock(&lock);
	return i < FUSECR_HOLDERS ? i : -EUSERS;
}

void fusecr_hold_end(int holder)
{
	struct held *h;
	int i;

	spin_lock(&lock);
	waitqs[holder] = &nobody;
	hash_for_each(tasks, i, h, entry) {
		WRITE_ONCE(h->holders, h->holders & ~BIT_ULL(holder));
		if (!h->holders && h->at_rest)
			wake_up_process(h->task);
	}
	spin_unlock(&lock);
}

void fusecr_hold_free(int holder)
{
	spin_lock(&lock);
	waitqs[holder] = NULL;
	spin_unlock(&lock);
}

/* --- in the task itself ---------------------------------------------------- */

static spinlock_t *siglock(void)
{
	/* Of a task that has not been released, as current has not. */
	return &rcu_dereference_protected(current->sighand, true)->siglock;
}

static bool may_sleep(void)
{
	/* Past these the task does not come back to user mode. */
	if (current->flags & (PF_EXITING | PF_POSTCOREDUMP | PF_DUMPCORE |
			      PF_KTHREAD | COMPAT_PF_WORKER))
		return false;
	/* Works run in execve with cred_guard_mutex held (begin_new_exec). */
	if (current->in_execve)
		return false;
	/* Its parent sleeps where no tracer and no freezer can reach it. */
	if (current->vfork_done)
		return false;
	/* In ptrace_notify(), or running a tracer's code. */
	if (READ_ONCE(current->ptrace))
		return false;
	/* In do_freezer_trap(), counted as frozen. */
	return !cgroup_task_frozen(current);
}

/* Signals that are not to wait: their effect is not a handler's. */
#define URGENT	(rt_sigmask(SIGSTOP) | rt_sigmask(SIGTSTP) |		\
		 rt_sigmask(SIGTTIN) | rt_sigmask(SIGTTOU) |		\
		 rt_sigmask(SIGSEGV) | rt_sigmask(SIGBUS) |		\
		 rt_sigmask(SIGILL) | rt_sigmask(SIGTRAP) |		\
		 rt_sigmask(SIGFPE) | rt_sigmask(SIGSYS))

/* Whether someone wants the task elsewhere.  Caller holds siglock. */
static bool wanted(void)
{
	struct signal_struct *signal = current->signal;
	sigset_t pending;

	lockdep_assert_held(siglock());
	if (current->jobctl & (JOBCTL_PENDING_MASK | JOBCTL_TRAP_FREEZE))
		return true;
	if (__fatal_signal_pending(current) || signal->group_exec_task ||
	    signal->flags & (SIGNAL_GROUP_EXIT | SIGNAL_CLD_MASK))
		return true;
	sigorsets(&pending, &current->pending.signal,
		  &signal->shared_pending.signal);
	sigandnsets(&pending, &pending, &current->blocked);
	return sigtestsetmask(&pending, URGENT);
}

/*
 * One sleep; false when it is over.  As do_freezer_trap() does (kernel/signal.c):
 * with TIF_SIGPENDING cleared, whatever comes sets it anew and wakes us.
 */
static bool sleep(struct held *h)
{
	spin_lock_irq(siglock());
	if (!may_sleep() || wanted()) {
		spin_unlock_irq(siglock());
		return false;
	}
	set_current_state(TASK_INTERRUPTIBLE | TASK_FREEZABLE);
	clear_thread_flag(TIF_SIGPENDING);
	spin_unlock_irq(siglock());
	if (READ_ONCE(h->holders) &&
	    (h->yields >= YIELDS || !task_work_pending(current))) {
		schedule_timeout(LOOK);
		h->yields = 0;
	}
	__set_current_state(TASK_RUNNING);
	clear_notify_signal();
	try_to_freeze();
	return true;
}

/* Caller holds the lock. */
static void tell(const struct held *h)
{
	u64 holders = h->holders;

	lockdep_assert_held(&lock);
	for (; holders; holders &= holders - 1)
		wake_up_all(waitqs[__ffs64(holders)]);
}

static void rest(struct held *h)
{
	spin_lock(&lock);
	if (!h->at_rest) {
		h->at_rest = true;
		tell(h);
	}
	spin_unlock(&lock);
}

/* Others' works first: somebody may wait for them (a deferred fput()). */
static bool yield_to_others(struct held *h)
{
	if (!task_work_pending(current) && !h->work.next)
		return false;
	if (h->yields >= YIELDS)
		return false;
	h->yields++;
	return task_work_add(current, &h->work, TWA_NONE) == 0;
}

/* False when it is held anew and not wanted @elsewhere. */
static bool leave(struct held *h, bool elsewhere)
{
	spin_lock(&lock);
	if (h->holders && !elsewhere) {
		spin_unlock(&lock);
		return false;
	}
	hash_del(&h->entry);
	tell(h);
	spin_unlock(&lock);

	spin_lock_irq(siglock());
	recalc_sigpending();
	spin_unlock_irq(siglock());
	return true;
}

static void hold_fn(struct callback_head *work)
{
	struct held *h = container_of(work, struct held, work);
	bool elsewhere = false;

	do {
		while (!elsewhere && READ_ONCE(h->holders)) {
			if (yield_to_others(h))
				return;
			h->work.next = NULL;
			rest(h);
			elsewhere = !sleep(h);
		}
	} while (!leave(h, elsewhere));
	held_put(h);
	module_put(THIS_MODULE);
}

static void nudge_fn(struct callback_head *nudge)
{
	held_put(container_of(nudge, struct held, nudge));
	module_put(THIS_MODULE);
}

/* --- from outside ---------------------------------------------------------- */

/* Caller holds the lock. */
static struct held *find(const struct task_struct *task)
{
	struct held *h;

	lockdep_assert_held(&lock);
	hash_for_each_possible(tasks, h, entry, (unsigned long)task)
		if (h->task == task)
			return h;
	return NULL;
}

/* Unless it would be given up at once, see may_sleep() and wanted(). */
static bool holdable(struct task_struct *task)
{
	return !(READ_ONCE(task->flags) & (PF_KTHREAD | COMPAT_PF_WORKER)) &&
	       !READ_ONCE(task->ptrace) && !READ_ONCE(task->vfork_done) &&
	       !(READ_ONCE(task->jobctl) & JOBCTL_TRAP_FREEZE);
}

/* Caller holds the lock. */
static int queue(int holder, struct task_struct *task)
{
	struct held *h;

	lockdep_assert_held(&lock);
	h = kzalloc(sizeof(*h), GFP_ATOMIC | __GFP_NOWARN);
	if (!h)
		return -ENOMEM;
	init_task_work(&h->work, hold_fn);
	init_task_work(&h->nudge, nudge_fn);
	refcount_set(&h->refs, 1);
	h->task = get_task_struct(task);
	h->holders = BIT_ULL(holder);
	/* The caller is in the module, which therefore stays. */
	__module_get(THIS_MODULE);
	if (task_work_add(task, &h->work, TWA_RESUME)) {
		module_put(THIS_MODULE);
		held_put(h);
		return -ESRCH;
	}
	hash_add(tasks, &h->entry, (unsigned long)task);
	return 1;
}

int fusecr_hold_task(int holder, struct task_struct *task)
{
	struct held *h;
	int ret = 0;

	if (!holdable(task))
		return -EOPNOTSUPP;
	spin_lock(&lock);
	h = find(task);
	if (waitqs[holder] == &nobody) {
		ret = -ENOENT;
	} else if (!h) {
		ret = queue(holder, task);
	} else if (!(h->holders & BIT_ULL(holder))) {
		WRITE_ONCE(h->holders, h->holders | BIT_ULL(holder));
		ret = 1;
	}
	spin_unlock(&lock);
	return ret;
}

/* One that is stopped comes when it is continued, and not before. */
static bool at_rest(const struct held *h)
{
	return h->at_rest || task_is_stopped_or_traced(h->task);
}

static bool asleep(const struct held *h)
{
	return !at_rest(h) &&
	       READ_ONCE(h->task->__state) & TASK_INTERRUPTIBLE;
}

void fusecr_hold_count(int holder, struct fusecr_hold_counts *counts)
{
	struct held *h;
	int i;

	memset(counts, 0, sizeof(*counts));
	spin_lock(&lock);
	hash_for_each(tasks, i, h, entry) {
		if (!(h->holders & BIT_ULL(holder)))
			continue;
		counts->held += at_rest(h);
		counts->coming += !at_rest(h);
		counts->asleep += asleep(h);
	}
	spin_unlock(&lock);
}

/* Caller holds the lock. */
static void nudge(struct held *h)
{
	lockdep_assert_held(&lock);
	h->nudged = true;
	refcount_inc(&h->refs);
	__module_get(THIS_MODULE);
	if (task_work_add(h->task, &h->nudge, TWA_SIGNAL)) {
		module_put(THIS_MODULE);
		refcount_dec(&h->refs);
	}
}

/*
 * Whether it has slept since it was last looked at: who was about to wait for an
 * answer then is on a list by now, where @busy finds it.
 */
static bool sleeps_on(struct held *h)
{
	unsigned long sleeps = READ_ONCE(h->task->nvcsw);
	bool same = h->sleeps == sleeps;

	lockdep_assert_held(&lock);
	h->sleeps = sleeps;
	return asleep(h) && same;
}

void fusecr_hold_nudge(int holder, bool (*busy)(struct task_struct *task, void *arg),
		       void *arg)
{
	struct held *h;
	int i;

	spin_lock(&lock);
	hash_for_each(tasks, i, h, entry) {
		if (!(h->holders & BIT_ULL(holder)) || h->nudged)
			continue;
		/* Its request is on no list for a moment (fuse_dev_do_read()): twice. */
		if (busy(h->task, arg))
			h->sleeps = 0;
		else if (sleeps_on(h))
			nudge(h);
	}
	spin_unlock(&lock);
}

/* --- system calls that start over ---------------------------------------------- */

struct fusecr_restart {
	struct callback_head work;
	bool always;
	bool later;
	long result;
	struct file *file;	/* counted, or NULL */
	loff_t from;
	u32 sync;
};

/* What write(2) does at its end, see vfs_write() and generic_write_sync(). */
static long end_write(const struct fusecr_restart *r)
{
	int err = 0;

	if (r->result <= 0)
		return r->result;
	fsnotify_modify(r->file);
	if (r->sync & O_DSYNC)
		err = vfs_fsync_range(r->file, r->from, r->from + r->result - 1,
				      (r->sync & __O_SYNC) ? 0 : 1);
	return err ?: r->result;
}

/*
 * Before the decision whether to rewind (arch_do_signal_or_restart()), which is
 * taken because the work was added with TWA_SIGNAL.
 */
static void restart_fn(struct callback_head *work)
{
	struct fusecr_restart *restart = container_of(work, struct fusecr_restart,
						      work);
	struct pt_regs *regs = task_pt_regs(current);
	bool exits = current->flags & (PF_EXITING | PF_POSTCOREDUMP | PF_DUMPCORE);

	/* Nothing is locked here. */
	if (restart->file && !exits)
		restart->result = end_write(restart);
	if (syscall_get_nr(current, regs) >= 0 &&
	    (restart->always || syscall_get_error(current, regs)))
		syscall_set_return_value(current, regs, min(restart->result, 0L),
					 max(restart->result, 0L));
	if (restart->later && !exits)
		schedule_timeout_interruptible(MOMENT);
	if (restart->file)
		fput(restart->file);
	kfree(restart);
	module_put(THIS_MODULE);
}

struct fusecr_restart *fusecr_restart_alloc(gfp_t gfp)
{
	struct fusecr_restart *restart = kzalloc(sizeof(*restart), gfp);

	if (restart) {
		restart->result = -ERESTARTNOINTR;
		init_task_work(&restart->work, restart_fn);
		__module_get(THIS_MODULE);
	}
	return restart;
}

void fusecr_restart_free(struct fusecr_restart *restart)
{
	if (!restart)
		return;
	if (restart->file)
		fput(restart->file);
	kfree(restart);
	module_put(THIS_MODULE);
}

int fusecr_restart(struct fusecr_restart *restart, struct task_struct *task,
		   bool always)
{
	int err;

	restart->always = always;
	err = task_work_add(task, &restart->work, TWA_SIGNAL);
	if (err)
		fusecr_restart_free(restart);
	return err;
}

int fusecr_restart_later(struct fusecr_restart *restart)
{
	restart->later = true;
	return fusecr_restart(restart, current, false);
}

int fusecr_restart_with(struct fusecr_restart *restart, long result,
			struct file *file, loff_t from, u32 sync)
{
	restart->sync = sync;
	restart->result = result;
	restart->file = get_file(file);
	restart->from = from;
	return fusecr_restart(restart, current, false);
}

void fusecr_hold_exit(void)
{
	/* Whoever dropped the module's last reference may not have returned. */
	synchronize_rcu_tasks();
}
