// SPDX-License-Identifier: GPL-2.0
/* The gate of a connection, see gate.h. */

#include <linux/cred.h>
#include <linux/fuse.h>
#include <linux/fusecr_ioctl.h>
#include <linux/jiffies.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/rculist.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>
#include <linux/workqueue.h>

#include "conn.h"
#include "gate.h"
#include "hold.h"
#include "hook.h"
#include "input.h"
#include "keep.h"
#include "layout.h"
#include "queue.h"

/* How often to look whether the daemon is done, and who has to be nudged. */
#define LOOK		msecs_to_jiffies(4)
#define WAITERS		256

struct fusecr_gate {
	struct list_head entry;		/* on gates */
	const struct fuse_conn *fc;
	struct fuse_iqueue *fiq;
	struct user_namespace *user_ns;	/* the daemon's; its superblock keeps it */
	int holder;
	struct wait_queue_head *waitq;
	struct pid *exempt[FUSECR_EXEMPT_MAX];	/* counted thread groups */
	unsigned int nr_exempt;
	u64 parents;			/* bits: their children are exempt, too */
	struct delayed_work look;
	unsigned long deadline;		/* jiffies */
	bool taken_only;		/* holds by fusecr_gate_take() only */
	bool closed;			/* under gates_lock */
	struct fusecr_hook *hook;	/* NULL: it never was closed */
};

/* Gates that were closed.  Written under gates_lock, read under RCU. */
static LIST_HEAD(gates);
static DEFINE_MUTEX(gates_lock);

static bool is_exempt(const struct fusecr_gate *gate, const struct pid *tgid)
{
	unsigned int i;

	for (i = 0; i < gate->nr_exempt; i++)
		if (gate->exempt[i] == tgid)
			return true;
	return false;
}

/* Caller keeps @task.  By RCU its parent is kept. */
static bool is_exempt_task(const struct fusecr_gate *gate,
			   struct task_struct *task)
{
	const struct pid *parent;
	bool exempt = false;
	unsigned int i;

	if (is_exempt(gate, task_tgid(task)))
		return true;
	rcu_read_lock();
	parent = task_tgid(rcu_dereference(task->real_parent));
	for (i = 0; i < gate->nr_exempt; i++)
		if (gate->parents & BIT_ULL(i) && gate->exempt[i] == parent)
			exempt = true;
	rcu_read_unlock();
	return exempt;
}

bool fusecr_gate_is_closed(const struct fusecr_gate *gate)
{
	return READ_ONCE(gate->closed);
}

/* 1 when it was not held yet, as fusecr_hold_task(). */
static int hold_task(const struct fusecr_gate *gate, struct task_struct *task)
{
	int err = fusecr_hold_task(gate->holder, task);

	if (err == 1)
		fusecr_hook_event(gate->hook, FUSECR_EVENT_HELD);
	return err;
}

static u32 daemons_uid(const struct fusecr_gate *gate, u32 uid)
{
	return from_kuid_munged(gate->user_ns, make_kuid(&init_user_ns, uid));
}

static u32 daemons_gid(const struct fusecr_gate *gate, u32 gid)
{
	return from_kgid_munged(gate->user_ns, make_kgid(&init_user_ns, gid));
}

static void tell_owner(const struct fusecr_gate *gate,
		       const struct fuse_req *req)
{
	const struct fuse_args *args = *fl_req_args(req);
	struct fuse_setattr_in *in;

	if (!args || !fl_args_in_count(args) ||
	    fl_args_in_size(args, 0) < sizeof(*in))
		return;
	/* The sender's own, and as good as const: nobody reads it later. */
	in = (void *)fl_args_in_value(args, 0);
	if (in->valid & FATTR_UID)
		in->uid = daemons_uid(gate, in->uid);
	if (in->valid & FATTR_GID)
		in->gid = daemons_gid(gate, in->gid);
}

/*
 * While CRIU looks, users are numbered as it does (FUSECR_SET_USER_NS).  What
 * others ask is for the daemon, which numbers them as ever.  Left alone is what
 * was numbered before, or names nobody.
 */
static void tell_ids(const struct fusecr_gate *gate, const struct fuse_req *req)
{
	struct fuse_in_header *h = fl_req_in_h(req);

	if (READ_ONCE(*fl_conn_user_ns(gate->fc)) == gate->user_ns ||
	    h->uid != from_kuid(&init_user_ns, current_fsuid()) ||
	    h->gid != from_kgid(&init_user_ns, current_fsgid()))
		return;
	h->uid = daemons_uid(gate, h->uid);
	h->gid = daemons_gid(gate, h->gid);
	if (h->opcode == FUSE_SETATTR)
		tell_owner(gate, req);
}

/*
 * The sender of a request is current, unless it is in the background: then it
 * is whoever flushed that queue.
 */
void fusecr_gate_on_request(const struct fuse_iqueue *fiq,
			    const struct fuse_req *req)
{
	struct fusecr_gate *gate;

	if (fl_req_test(req, FL_FR_BACKGROUND) || !fl_req_test(req, FL_FR_ISREPLY))
		return;
	rcu_read_lock();
	list_for_each_entry_rcu(gate, &gates, entry) {
		if (gate->fiq != fiq)
			continue;
		if (fusecr_gate_is_closed(gate))
			fusecr_hook_event(gate->hook, FUSECR_EVENT_PASSED);
		if (gate->taken_only || is_exempt_task(gate, current))
			break;
		tell_ids(gate, req);
		/* Whom it fails to hold, CRIU meets where he happens to be. */
		if (fusecr_gate_is_closed(gate))
			hold_task(gate, current);
		break;
	}
	rcu_read_unlock();
}

bool fusecr_gate_is_nudge(const struct fuse_iqueue *fiq, const struct fuse_req *req)
{
	struct pid_namespace *pid_ns = NULL;
	struct fusecr_gate *gate;
	bool nudge;

	rcu_read_lock();
	list_for_each_entry_rcu(gate, &gates, entry)
		if (gate->fiq == fiq) {
			/* What replaces it waits for us (pid_ns_put() in adjust.c). */
			pid_ns = READ_ONCE(*fl_conn_pid_ns(gate->fc));
			break;
		}
	nudge = fusecr_queue_is_nudge(req, pid_ns);
	rcu_read_unlock();
	return nudge;
}

int fusecr_gate_holds(const struct fuse_iqueue *fiq)
{
	struct fusecr_gate *gate;
	int holds = -ENOENT;

	rcu_read_lock();
	list_for_each_entry_rcu(gate, &gates, entry)
		if (gate->fiq == fiq && fusecr_gate_is_closed(gate)) {
			holds = !gate->taken_only &&
				!is_exempt_task(gate, current) &&
				hold_task(gate, current) >= 0;
			break;
		}
	rcu_read_unlock();
	return holds;
}

bool fusecr_gate_closed(const struct fuse_conn *fc)
{
	const struct fusecr_gate *gate;
	bool closed = false;

	rcu_read_lock();
	list_for_each_entry_rcu(gate, &gates, entry)
		closed = closed || (gate->fc == fc && fusecr_gate_is_closed(gate));
	rcu_read_unlock();
	return closed;
}

/* --- draining ------------------------------------------------------------------- */

struct count {
	const struct fusecr_gate *gate;
	u32 requests;
};

/* @task sleeps until @req is answered; NULL: not yet asleep. */
static void count_waiter(const struct fuse_req *req,
			 struct task_struct *task, void *arg)
{
	struct count *c = arg;

	c->requests += !task || !is_exempt_task(c->gate, task);
}

static u32 requests(const struct fusecr_gate *gate)
{
	struct count c = { .gate = gate };

	fusecr_queue_waiters(gate->fc, count_waiter, &c);
	return c.requests;
}

struct waiters {
	u32 nr;
	const struct task_struct *tasks[WAITERS];
};

static void note_waiter(const struct fuse_req *req, struct task_struct *task, void *arg)
{
	struct waiters *w = arg;

	if (task && w->nr < WAITERS)
		w->tasks[w->nr++] = task;
}

/* Of whatever connection: a task that is held for one may wait for another's daemon. */
static struct waiters *waiters_of_all(void)
{
	struct waiters *w = kzalloc(sizeof(*w), GFP_KERNEL);
	const struct fusecr_gate *gate;

	if (!w)
		return NULL;
	rcu_read_lock();
	list_for_each_entry_rcu(gate, &gates, entry)
		if (fusecr_gate_is_closed(gate))
			fusecr_queue_waiters(gate->fc, note_waiter, w);
	rcu_read_unlock();
	return w;
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

static u32 background(const struct fuse_conn *fc)
{
	u32 n;

	spin_lock(fl_conn_bg_lock(fc));
	n = *fl_conn_num_background(fc);
	spin_unlock(fl_conn_bg_lock(fc));
	return n;
}

void fusecr_gate_status(struct fusecr_gate *gate,
			struct fusecr_gate_status *status)
{
	struct fusecr_hold_counts counts;

	memset(status, 0, sizeof(*status));
	if (!fusecr_gate_is_closed(gate))
		return;
	fusecr_hold_count(gate->holder, &counts);
	status->closed = 1;
	status->held = counts.held;
	status->coming = counts.coming;
	status->asleep = counts.asleep;
	status->requests = requests(gate);
	status->background = background(gate->fc);
}

/* One that has opened by itself stays listed until its holder comes. */
static struct fusecr_gate *find_closed(const struct fuse_conn *fc)
{
	struct fusecr_gate *gate;

	lockdep_assert_held(&gates_lock);
	list_for_each_entry(gate, &gates, entry)
		if (gate->fc == fc && gate->closed)
			return gate;
	return NULL;
}

bool fusecr_gate_status_of(const struct fuse_conn *fc,
			   struct fusecr_gate_status *status)
{
	struct fusecr_gate *gate;

	mutex_lock(&gates_lock);
	gate = find_closed(fc);
	if (gate)
		fusecr_gate_status(gate, status);
	mutex_unlock(&gates_lock);
	return gate;
}

bool fusecr_gate_drained(struct fusecr_gate *gate)
{
	struct fusecr_gate_status s;

	fusecr_gate_status(gate, &s);
	return s.closed && !s.coming && !s.requests && !s.background &&
	       !fusecr_keep_unwanted(gate->fc);
}

/* --- close and open ------------------------------------------------------------- */

/* Caller holds gates_lock. */
static void let_go(struct fusecr_gate *gate)
{
	lockdep_assert_held(&gates_lock);
	if (!gate->closed)
		return;
	WRITE_ONCE(gate->closed, false);
	fusecr_hold_end(gate->holder);
}

/* The end of a request tells nobody but who sent it: look. */
static void look(struct work_struct *work)
{
	struct fusecr_gate *gate = container_of(to_delayed_work(work),
						struct fusecr_gate, look);
	struct waiters *w = NULL;

	/* Not while who waits for a daemon is on no list. */
	if (fusecr_requeue_trylock()) {
		w = waiters_of_all();
		if (w)
			fusecr_hold_nudge(gate->holder, waits, w);
		fusecr_requeue_unlock();
	}
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
	kfree(gate);
}

struct fusecr_gate *fusecr_gate_new(const struct fuse_conn *fc,
				    struct wait_queue_head *waitq, u32 flags)
{
	struct fusecr_gate *gate;

	gate = kzalloc(sizeof(*gate), GFP_KERNEL_ACCOUNT);
	if (!gate)
		return ERR_PTR(-ENOMEM);
	gate->fc = fc;
	gate->fiq = fl_conn_iqueue(fc);
	gate->user_ns = *fl_conn_user_ns(fc);
	INIT_DELAYED_WORK(&gate->look, look);
	gate->waitq = waitq;
	gate->taken_only = flags & FUSECR_GATE_TAKEN_ONLY;
	return gate;
}

int fusecr_gate_close(struct fusecr_gate *gate, unsigned int seconds)
{
	struct fusecr_hook *hook = fusecr_hook_get(gate->fc, true);

	if (IS_ERR(hook))
		return PTR_ERR(hook);
	gate->deadline = jiffies + seconds * HZ;
	gate->holder = fusecr_hold_begin(gate->waitq);
	if (gate->holder < 0) {
		fusecr_hook_put(hook, true);
		return gate->holder;
	}
	gate->hook = hook;
	mutex_lock(&gates_lock);
	list_add_rcu(&gate->entry, &gates);
	WRITE_ONCE(gate->closed, true);
	mutex_unlock(&gates_lock);
	schedule_delayed_work(&gate->look, LOOK);
	return 0;
}

void fusecr_gate_open(struct fusecr_gate *gate)
{
	if (!gate)
		return;
	if (!gate->hook) {
		gate_free(gate);
		return;
	}
	cancel_delayed_work_sync(&gate->look);
	mutex_lock(&gates_lock);
	let_go(gate);
	list_del_rcu(&gate->entry);
	mutex_unlock(&gates_lock);
	/* Those who found it on the list. */
	synchronize_rcu();
	fusecr_hold_free(gate->holder);
	fusecr_hook_put(gate->hook, true);
	gate_free(gate);
}

int fusecr_gate_force_open(u64 conn_id)
{
	struct fusecr_gate *gate;
	int err = -ENOENT;

	mutex_lock(&gates_lock);
	list_for_each_entry(gate, &gates, entry) {
		if (gate->closed && fusecr_conn_id(gate->fc) == conn_id) {
			let_go(gate);
			err = 0;
			break;
		}
	}
	mutex_unlock(&gates_lock);
	return err;
}

int fusecr_gate_exempt(struct fusecr_gate *gate, struct pid *tgid,
		       bool children)
{
	BUILD_BUG_ON(FUSECR_EXEMPT_MAX > 64);

	if (!pid_has_task(tgid, PIDTYPE_TGID))
		return -ESRCH;
	if (gate->nr_exempt == FUSECR_EXEMPT_MAX)
		return -ENOSPC;
	if (children)
		gate->parents |= BIT_ULL(gate->nr_exempt);
	gate->exempt[gate->nr_exempt++] = tgid;
	return 0;
}

static bool spares(const struct task_struct *task, void *gate)
{
	return is_exempt_task(gate, (struct task_struct *)task);
}

static int hold(struct task_struct *task, void *arg)
{
	return hold_task(arg, task);
}

int fusecr_gate_take(struct fusecr_gate *gate, const struct fusecr_conn *conn)
{
	const struct fusecr_taker taker = { spares, hold, gate, gate->hook };

	return fusecr_keep_take(conn, &taker);
}

int fusecr_gate_hold(struct fusecr_gate *gate, struct pid *tgid)
{
	struct task_struct *leader, *task;
	int n = 0, err = 0;

	if (!fusecr_gate_is_closed(gate))
		return -ENOENT;
	rcu_read_lock();
	leader = pid_task(tgid, PIDTYPE_TGID);
	if (!leader || is_exempt_task(gate, leader)) {
		rcu_read_unlock();
		return leader ? 0 : -ESRCH;
	}
	for_each_thread(leader, task) {
		err = hold_task(gate, task);
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
