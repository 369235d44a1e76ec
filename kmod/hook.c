// SPDX-License-Identifier: GPL-2.0
/* Our operations in the place of fuse's, see hook.h. */

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/string.h>

#include "defer.h"
#include "gate.h"
#include "hook.h"
#include "keep.h"
#include "layout.h"
#include "owner.h"
#include "queue.h"

struct fusecr_hook {
	struct list_head entry;
	struct fuse_iqueue *fiq;
	unsigned int users, counting;
	void *ops;
	atomic64_t events[FUSECR_EVENTS];
};

static LIST_HEAD(hooks);
static DEFINE_MUTEX(hooks_lock);
/* Whoever is in an operation of ours. */
DEFINE_STATIC_SRCU(inside);
/* The operations of /dev/fuse, once there was a hook. */
static const void *dev_ops;

/* --- since 6.11 ------------------------------------------------------------------ */

/* In the background with bg_lock, else without any lock; on no list. */
static void send_req(struct fuse_iqueue *fiq, struct fuse_req *req)
{
	int idx = srcu_read_lock(&inside);

	fusecr_gate_on_request(fiq, req);
	if (fusecr_keep_is_proxy(req)) {
		fusecr_keep_stash(req);
	} else {
		fusecr_owner_exchange(fiq, req);
		if (!fusecr_keep_concerns(fiq, req) ||
		    !fusecr_keep_answer(fiq, req))
			(*fl_ops_send(dev_ops, FL_OPS_SEND_REQ))(fiq, req);
	}
	srcu_read_unlock(&inside, idx);
}

static void send_interrupt(struct fuse_iqueue *fiq, struct fuse_req *req)
{
	int idx = srcu_read_lock(&inside);

	/* Of a nudge of ours the daemon is to know nothing. */
	if (!fusecr_gate_is_nudge(fiq, req))
		(*fl_ops_send(dev_ops, FL_OPS_SEND_INTERRUPT))(fiq, req);
	srcu_read_unlock(&inside, idx);
}

/* --- before ---------------------------------------------------------------------- */

/* fuse's own, which releases the lock. */
static void wake(struct fuse_iqueue *fiq, enum fl_id op)
	__releases(fl_iq_lock(fiq))
{
	(*fl_ops_wake(dev_ops, op))(fiq);
	__release(fl_iq_lock(fiq));
}

/* Puts it where it was; fuse_abort_conn() may have been here meanwhile. */
static void put_back(struct fuse_iqueue *fiq, struct fuse_req *req)
{
	spin_lock(fl_iq_lock(fiq));
	if (*fl_iq_connected(fiq)) {
		list_add_tail(fl_req_list(req), fl_iq_pending(fiq));
		wake(fiq, FL_OPS_WAKE_PENDING);
		return;
	}
	fl_req_clear(req, FL_FR_PENDING);
	spin_unlock(fl_iq_lock(fiq));
	fl_req_out_h(req)->error = -ECONNABORTED;
	fuse_request_end(req);
}

/* With fiq->lock, and the request last on the list. */
static void wake_pending(struct fuse_iqueue *fiq)
	__releases(fl_iq_lock(fiq))
{
	struct fuse_req *req = fl_req_from_list(fl_iq_pending(fiq)->prev);
	bool proxy = fusecr_keep_is_proxy(req);
	int idx = srcu_read_lock(&inside);

	fusecr_gate_on_request(fiq, req);
	/* A proxy has what the daemon was told already. */
	if (!proxy)
		fusecr_owner_exchange(fiq, req);
	if (proxy || fusecr_keep_concerns(fiq, req)) {
		list_del_init(fl_req_list(req));
		spin_unlock(fl_iq_lock(fiq));
		if (proxy)
			fusecr_keep_stash(req);
		else if (!fusecr_keep_answer(fiq, req))
			put_back(fiq, req);
	} else {
		wake(fiq, FL_OPS_WAKE_PENDING);
	}
	srcu_read_unlock(&inside, idx);
}

/* With fiq->lock, and the interrupt last on the list. */
static void wake_interrupt(struct fuse_iqueue *fiq)
	__releases(fl_iq_lock(fiq))
{
	struct list_head *last = fl_iq_interrupts(fiq)->prev;
	int idx = srcu_read_lock(&inside);

	if (fusecr_gate_is_nudge(fiq, fl_req_from_intr(last)))
		list_del_init(last);
	/* Whoever is woken for nothing sleeps on. */
	wake(fiq, FL_OPS_WAKE_INTERRUPT);
	srcu_read_unlock(&inside, idx);
}

/* --------------------------------------------------------------------------------- */

/* Only what a connection has to its end keeps us here until then. */
static void release(struct fuse_iqueue *fiq)
{
	int idx = srcu_read_lock(&inside);

	fusecr_owner_conn_ends(fiq);
	srcu_read_unlock(&inside, idx);
}

void fusecr_hook_interrupt(const struct fuse_conn *fc, struct fuse_req *req)
{
	struct fuse_iqueue *fiq = fl_conn_iqueue(fc);

	if (fl_has(FL_OPS_SEND_INTERRUPT)) {
		(*fl_ops_send(dev_ops, FL_OPS_SEND_INTERRUPT))(fiq, req);
		return;
	}
	/* As queue_interrupt(), fs/fuse/dev.c of 6.1. */
	spin_lock(fl_iq_lock(fiq));
	if (list_empty(fl_req_intr_entry(req)) &&
	    !fl_req_test(req, FL_FR_FINISHED)) {
		list_add_tail(fl_req_intr_entry(req), fl_iq_interrupts(fiq));
		wake(fiq, FL_OPS_WAKE_INTERRUPT);
	} else {
		spin_unlock(fl_iq_lock(fiq));
	}
}

static void *make_ops(const void *theirs)
{
	void *ops = kmemdup(theirs, fl_size(FL_OPS), GFP_KERNEL);

	if (!ops)
		return NULL;
	if (fl_has(FL_OPS_SEND_REQ)) {
		*fl_ops_send(ops, FL_OPS_SEND_REQ) = send_req;
		*fl_ops_send(ops, FL_OPS_SEND_INTERRUPT) = send_interrupt;
	} else {
		*fl_ops_wake(ops, FL_OPS_WAKE_PENDING) = wake_pending;
		*fl_ops_wake(ops, FL_OPS_WAKE_INTERRUPT) = wake_interrupt;
	}
	if (fl_has(FL_OPS_RELEASE))
		*fl_ops_release(ops) = release;
	return ops;
}

static bool supported(void)
{
	return (fl_has(FL_OPS_SEND_REQ) && fl_has(FL_OPS_SEND_INTERRUPT)) ||
	       (fl_has(FL_OPS_WAKE_PENDING) && fl_has(FL_OPS_WAKE_INTERRUPT));
}

/* Unless they are others meanwhile: those of io_uring queues. */
static bool swap_ops(struct fuse_iqueue *fiq, const void *from, const void *to)
{
	bool swapped;

	spin_lock(fl_iq_lock(fiq));
	swapped = cmpxchg(fl_iq_ops(fiq), from, to) == from;
	spin_unlock(fl_iq_lock(fiq));
	return swapped;
}

static void free_after_use(void *arg)
{
	struct fusecr_hook *hook = arg;

	/* Those about to call, those inside, those about to return. */
	synchronize_rcu_tasks();
	synchronize_srcu(&inside);
	synchronize_rcu_tasks();
	kfree(hook->ops);
	kfree(hook);
}

/*
 * Only of a connection that goes through /dev/fuse: virtiofs and CUSE cannot be
 * attached to (conn.c), and io_uring queues replace the operations some time
 * after their ring has come into being.  Caller holds hooks_lock.
 */
static struct fusecr_hook *hook_new(const struct fuse_conn *fc)
{
	struct fuse_iqueue *fiq = fl_conn_iqueue(fc);
	const void *theirs = READ_ONCE(*fl_iq_ops(fiq));
	struct fusecr_hook *hook;

	lockdep_assert_held(&hooks_lock);
	smp_rmb(); /* the ring is set first: fuse_uring_create() */
	if (fl_conn_uses_uring(fc))
		return ERR_PTR(-EOPNOTSUPP);
	if (!dev_ops)
		dev_ops = theirs;
	if (theirs != dev_ops)
		return ERR_PTR(-EOPNOTSUPP);
	hook = kzalloc(sizeof(*hook), GFP_KERNEL);
	if (!hook)
		return ERR_PTR(-ENOMEM);
	hook->fiq = fiq;
	hook->ops = make_ops(theirs);
	if (hook->ops && swap_ops(fiq, theirs, hook->ops)) {
		list_add(&hook->entry, &hooks);
		return hook;
	}
	theirs = hook->ops;
	kfree(hook->ops);
	kfree(hook);
	return ERR_PTR(theirs ? -EOPNOTSUPP : -ENOMEM);
}

static struct fusecr_hook *find(const struct fuse_conn *fc)
{
	const struct fuse_iqueue *fiq = fl_conn_iqueue(fc);
	struct fusecr_hook *hook;

	lockdep_assert_held(&hooks_lock);
	list_for_each_entry(hook, &hooks, entry)
		if (hook->fiq == fiq)
			return hook;
	return NULL;
}

/* Caller holds hooks_lock. */
static void start_counting(struct fusecr_hook *hook)
{
	unsigned int i;

	lockdep_assert_held(&hooks_lock);
	for (i = 0; !hook->counting && i < FUSECR_EVENTS; i++)
		atomic64_set(&hook->events[i], 0);
	hook->counting++;
}

struct fusecr_hook *fusecr_hook_get(const struct fuse_conn *fc, bool counts)
{
	struct fusecr_hook *hook;

	if (!supported())
		return ERR_PTR(-EOPNOTSUPP);
	mutex_lock(&hooks_lock);
	hook = find(fc) ?: hook_new(fc);
	if (!IS_ERR(hook)) {
		hook->users++;
		if (counts)
			start_counting(hook);
	}
	mutex_unlock(&hooks_lock);
	return hook;
}

void fusecr_hook_put(struct fusecr_hook *hook, bool counts)
{
	bool last;

	mutex_lock(&hooks_lock);
	hook->counting -= counts;
	last = !--hook->users;
	if (last) {
		swap_ops(hook->fiq, hook->ops, dev_ops);
		list_del(&hook->entry);
	}
	mutex_unlock(&hooks_lock);
	if (last)
		fusecr_defer(free_after_use, hook);
}

void fusecr_hook_event(struct fusecr_hook *hook, enum fusecr_event event)
{
	atomic64_inc(&hook->events[event]);
}

bool fusecr_hook_counts(const struct fuse_conn *fc,
			struct fusecr_event_counts *counts)
{
	struct fusecr_hook *hook;
	unsigned int i;

	memset(counts, 0, sizeof(*counts));
	mutex_lock(&hooks_lock);
	hook = find(fc);
	if (hook && !hook->counting)
		hook = NULL;
	for (i = 0; hook && i < FUSECR_EVENTS; i++)
		counts->of[i] = atomic64_read(&hook->events[i]);
	mutex_unlock(&hooks_lock);
	return hook;
}
