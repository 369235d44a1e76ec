// SPDX-License-Identifier: GPL-2.0
/* The gate of a connection, see gate.h. */

#include <linux/fusecr.h>
#include <linux/jiffies.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/rculist.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/workqueue.h>

#include "conn.h"
#include "defer.h"
#include "gate.h"
#include "hold.h"
#include "layout.h"
#include "queue.h"

/* How often to look whether the daemon is done, and who has to be nudged. */
#define LOOK		msecs_to_jiffies(4)
#define WAITERS		64

struct fusecr_gate {
	struct list_head entry;		/* on gates */
	const struct fuse_conn *fc;
	struct fuse_iqueue *fiq;
	int holder;
	struct wait_queue_head *waitq;
	struct pid *exempt[FUSECR_EXEMPT_MAX];	/* counted thread groups */
	unsigned int nr_exempt;
	struct delayed_work look;
	unsigned long deadline;		/* jiffies */
	bool closed;			/* under gates_lock */
	void *ops;			/* what the queue has while closed; NULL: never was */
};

/* Closed gates.  Written under gates_lock, read under inside. */
static LIST_HEAD(gates);
static DEFINE_MUTEX(gates_lock);
/* Whoever is in an operation of ours. */
DEFINE_STATIC_SRCU(inside);
/* The operations of /dev/fuse, once one gate was closed. */
static const void *dev_ops;

/* --- in the place of fuse's operations ---------------------------------------- */

static bool is_exempt(const struct fusecr_gate *gate, const struct pid *tgid)
{
	unsigned int i;

	for (i = 0; i < gate->nr_exempt; i++)
		if (gate->exempt[i] == tgid)
			return true;
	return false;
}

/*
 * The sender of a request is current, unless it is in the background: then it
 * is whoever flushed that queue.
 */
static void on_request(const struct fuse_iqueue *fiq, const struct fuse_req *req)
{
	struct fusecr_gate *gate;

	if (fl_req_test(req, FL_FR_BACKGROUND) || !fl_req_test(req, FL_FR_ISREPLY))
		return;
	list_for_each_entry_srcu(gate, &gates, entry, srcu_read_lock_held(&inside)) {
		if (gate->fiq != fiq)
			continue;
		/* Whom it fails to hold, CRIU meets where he happens to be. */
		if (!is_exempt(gate, task_tgid(current)))
			fusecr_hold_task(gate->holder, current);
		break;
	}
}

static void send_req(struct fuse_iqueue *fiq, struct fuse_req *req)
{
	int idx = srcu_read_lock(&inside);

	on_request(fiq, req);
	(*fl_ops_send(dev_ops, FL_OPS_SEND_REQ))(fiq, req);
	srcu_read_unlock(&inside, idx);
}

/* With fiq->lock, and the request last on the list. */
static void wake_pending(struct fuse_iqueue *fiq)
{
	int idx = srcu_read_lock(&inside);

	on_request(fiq, fl_req_from_list(fl_iq_pending(fiq)->prev));
	(*fl_ops_wake(dev_ops, FL_OPS_WAKE_PENDING))(fiq);
	srcu_read_unlock(&inside, idx);
}

static void send_interrupt(struct fuse_iqueue *fiq, struct fuse_req *req)
{
	int idx = srcu_read_lock(&inside);

	if (!fusecr_queue_is_nudge(req))
		(*fl_ops_send(dev_ops, FL_OPS_SEND_INTERRUPT))(fiq, req);
	srcu_read_unlock(&inside, idx);
}

/* With fiq->lock, and the interrupt last on the list. */
static void wake_interrupt(struct fuse_iqueue *fiq)
{
	struct list_head *last = fl_iq_interrupts(fiq)->prev;
	int idx = srcu_read_lock(&inside);

	if (fusecr_queue_is_nudge(fl_req_from_intr(last)))
		list_del_init(last);
	/* It releases the lock; whoever is woken for nothing sleeps on. */
	(*fl_ops_wake(dev_ops, FL_OPS_WAKE_INTERRUPT))(fiq);
	srcu_read_unlock(&inside, idx);
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

/* --- draining ------------------------------------------------------------------- */

struct waiters {
	const struct fusecr_gate *gate;
	u32 requests;
	u32 nr;
	const struct task_struct *tasks[WAITERS];
};

/* @task sleeps until @req is answered; NULL: not yet asleep. */
static void count_waiter(const struct fuse_req *req,
			 struct task_struct *task, void *arg)
{
	struct waiters *w = arg;

	if (task && is_exempt(w->gate, task_tgid(task)))
		return;
	w->requests++;
	if (task && w->nr < WAITERS)
		w->tasks[w->nr++] = task;
}

static bool waits(struct task_struct *task, void *arg)
{
	const struct waiters *w = arg;
	u32 i;

	for (i = 0; i < w->nr; i++)
		if (w->tasks[i] == task)
			return true;
	/* Those that there was no room for are left alone, too. */
	return w->nr == WAITERS;
}

static struct waiters *look_at_waiters(const struct fusecr_gate *gate)
{
	struct waiters *w = kzalloc(sizeof(*w), GFP_KERNEL);

	if (!w)
		return NULL;
	w->gate = gate;
	fusecr_queue_waiters(gate->fc, count_waiter, w);
	return w;
}

static u32 background(const struct fuse_conn *fc)
{
	u32 n;

	spin_lock(fl_conn_bg_lock(fc));
	n = *fl_conn_num_background(fc);
	spin_unlock(fl_conn_bg_lock(fc));
	return n;
}

bool fusecr_gate_is_closed(const struct fusecr_gate *gate)
{
	return READ_ONCE(gate->closed);
}

void fusecr_gate_status(struct fusecr_gate *gate,
			struct fusecr_gate_status *status)
{
	struct fusecr_hold_counts counts;
	struct waiters *w;

	memset(status, 0, sizeof(*status));
	if (!fusecr_gate_is_closed(gate))
		return;
	w = look_at_waiters(gate);
	fusecr_hold_count(gate->holder, &counts);
	status->closed = 1;
	status->held = counts.held;
	status->coming = counts.coming;
	status->asleep = counts.asleep;
	status->requests = w ? w->requests : ~0;
	status->background = background(gate->fc);
	kfree(w);
}

/* Caller holds gates_lock. */
static struct fusecr_gate *find_gate(const struct fuse_conn *fc)
{
	struct fusecr_gate *gate;

	lockdep_assert_held(&gates_lock);
	list_for_each_entry(gate, &gates, entry)
		if (gate->fc == fc)
			return gate;
	return NULL;
}

bool fusecr_gate_closed(const struct fuse_conn *fc)
{
	bool closed;

	mutex_lock(&gates_lock);
	closed = find_gate(fc);
	mutex_unlock(&gates_lock);
	return closed;
}

bool fusecr_gate_status_of(const struct fuse_conn *fc,
			   struct fusecr_gate_status *status)
{
	struct fusecr_gate *gate;

	mutex_lock(&gates_lock);
	gate = find_gate(fc);
	if (gate)
		fusecr_gate_status(gate, status);
	mutex_unlock(&gates_lock);
	return gate;
}

bool fusecr_gate_drained(struct fusecr_gate *gate)
{
	struct fusecr_gate_status s;

	fusecr_gate_status(gate, &s);
	return s.closed && !s.coming && !s.requests && !s.background;
}

/* --- close and open ------------------------------------------------------------- */

/* Caller holds gates_lock. */
static void let_go(struct fusecr_gate *gate)
{
	lockdep_assert_held(&gates_lock);
	if (!gate->closed)
		return;
	WRITE_ONCE(gate->closed, false);
	swap_ops(gate->fiq, gate->ops, dev_ops);
	list_del_rcu(&gate->entry);
	fusecr_hold_end(gate->holder);
}

/*
 * Only of a connection that goes through /dev/fuse: virtiofs and CUSE cannot be
 * attached to (conn.c), and io_uring queues replace the operations some time
 * after their ring has come into being.  Caller holds gates_lock.
 */
static int take_queue(struct fusecr_gate *gate)
{
	const void *theirs = READ_ONCE(*fl_iq_ops(gate->fiq));

	lockdep_assert_held(&gates_lock);
	smp_rmb(); /* the ring is set first: fuse_uring_create() */
	if (fl_has(FL_CONN_RING) && READ_ONCE(*fl_conn_ring(gate->fc)))
		return -EOPNOTSUPP;
	if (!dev_ops)
		dev_ops = theirs;
	if (theirs != dev_ops)
		return -EOPNOTSUPP;
	gate->ops = make_ops(theirs);
	if (!gate->ops)
		return -ENOMEM;
	list_add_rcu(&gate->entry, &gates);
	WRITE_ONCE(gate->closed, true);
	if (swap_ops(gate->fiq, theirs, gate->ops))
		return 0;
	let_go(gate);
	return -EOPNOTSUPP;
}

/* The end of a request tells nobody but who sent it: look. */
static void look(struct work_struct *work)
{
	struct fusecr_gate *gate = container_of(to_delayed_work(work),
						struct fusecr_gate, look);
	struct waiters *w = look_at_waiters(gate);

	if (w)
		fusecr_hold_nudge(gate->holder, waits, w);
	kfree(w);
	if (time_after(jiffies, gate->deadline)) {
		mutex_lock(&gates_lock);
		let_go(gate);
		mutex_unlock(&gates_lock);
	}
	if (fusecr_gate_is_closed(gate))
		schedule_delayed_work(&gate->look, LOOK);
	wake_up_all(gate->waitq);
}

static void gate_free(struct fusecr_gate *gate)
{
	while (gate->nr_exempt)
		put_pid(gate->exempt[--gate->nr_exempt]);
	kfree(gate->ops);
	kfree(gate);
}

struct fusecr_gate *fusecr_gate_new(const struct fuse_conn *fc,
				    struct wait_queue_head *waitq)
{
	struct fusecr_gate *gate;

	if (!supported())
		return ERR_PTR(-EOPNOTSUPP);
	gate = kzalloc(sizeof(*gate), GFP_KERNEL_ACCOUNT);
	if (!gate)
		return ERR_PTR(-ENOMEM);
	gate->fc = fc;
	gate->fiq = fl_conn_iqueue(fc);
	INIT_DELAYED_WORK(&gate->look, look);
	gate->waitq = waitq;
	return gate;
}

int fusecr_gate_close(struct fusecr_gate *gate, unsigned int seconds)
{
	int err;

	gate->deadline = jiffies + seconds * HZ;
	gate->holder = fusecr_hold_begin(gate->waitq);
	if (gate->holder < 0)
		return gate->holder;
	mutex_lock(&gates_lock);
	err = take_queue(gate);
	mutex_unlock(&gates_lock);
	if (!err)
		schedule_delayed_work(&gate->look, LOOK);
	else if (!gate->ops)
		fusecr_hold_free(gate->holder);
	return err;
}

static void free_after_use(void *gate)
{
	/* Those about to call, those inside, those about to return. */
	synchronize_rcu_tasks();
	synchronize_srcu(&inside);
	synchronize_rcu_tasks();
	gate_free(gate);
}

void fusecr_gate_open(struct fusecr_gate *gate)
{
	if (!gate)
		return;
	if (!gate->ops) {
		gate_free(gate);
		return;
	}
	cancel_delayed_work_sync(&gate->look);
	mutex_lock(&gates_lock);
	let_go(gate);
	mutex_unlock(&gates_lock);
	/* Those who found it on the list. */
	synchronize_srcu(&inside);
	fusecr_hold_free(gate->holder);
	/* Takes its time. */
	fusecr_defer(free_after_use, gate);
}

int fusecr_gate_force_open(u64 conn_id)
{
	struct fusecr_gate *gate;
	int err = -ENOENT;

	mutex_lock(&gates_lock);
	list_for_each_entry(gate, &gates, entry) {
		if (fusecr_conn_id(gate->fc) == conn_id) {
			let_go(gate);
			err = 0;
			break;
		}
	}
	mutex_unlock(&gates_lock);
	return err;
}

int fusecr_gate_exempt(struct fusecr_gate *gate, struct pid *tgid)
{
	if (!pid_has_task(tgid, PIDTYPE_TGID))
		return -ESRCH;
	if (gate->nr_exempt == FUSECR_EXEMPT_MAX)
		return -ENOSPC;
	gate->exempt[gate->nr_exempt++] = tgid;
	return 0;
}

int fusecr_gate_hold(struct fusecr_gate *gate, struct pid *tgid)
{
	struct task_struct *leader, *task;
	int n = 0, err = 0;

	if (!fusecr_gate_is_closed(gate))
		return -ENOENT;
	if (is_exempt(gate, tgid))
		return 0;
	rcu_read_lock();
	leader = pid_task(tgid, PIDTYPE_TGID);
	if (!leader) {
		rcu_read_unlock();
		return -ESRCH;
	}
	for_each_thread(leader, task) {
		err = fusecr_hold_task(gate->holder, task);
		if (err == 1)
			n++;
		else if (err == -ENOMEM)
			break;
	}
	rcu_read_unlock();
	return err == -ENOMEM ? err : n;
}

void fusecr_gate_exit(void)
{
	fusecr_hold_exit();
}
