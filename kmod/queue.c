// SPDX-License-Identifier: GPL-2.0
/*
 * The requests of a connection.
 *
 * A request on any of fuse's lists is not completed, and what its arguments
 * point to (the requester's stack, pages) stays until it is.  Completing takes
 * it off its list first, under that list's lock: request_wait_answer() and
 * fuse_dev_do_read() for pending, fuse_dev_do_read() and fuse_dev_do_write()
 * for io, fuse_dev_do_write(), fuse_dev_release() and fuse_abort_conn() for
 * processing, flush_bg_queue() for the background (fs/fuse/dev.c, 6.1 and
 * 6.12).  fuse_abort_conn() leaves on io only requests that are locked by a
 * copier, which ends them after it has taken them off.  So the arguments are
 * read, and messages written, with the list's lock held; neither sleeps.
 */

#include <linux/fusecr.h>
#include <linux/hash.h>
#include <linux/jhash.h>
#include <linux/list.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "conn.h"
#include "keep.h"
#include "layout.h"
#include "netlink.h"
#include "payload.h"
#include "queue.h"

/* The order of the walk. */
enum queue {
	BACKGROUND,
	PENDING,
	DEVICES,
	INTERRUPTS,
	FORGETS,
	KEPT,
	END,
};

/* Not worth a message of their own, if more are to follow. */
#define MIN_CHUNK	1024

static u32 count(const struct list_head *head)
{
	const struct list_head *pos;
	u32 n = 0;

	list_for_each(pos, head)
		n++;
	return n;
}

u32 fusecr_queue_processing(const struct fuse_dev *fud)
{
	unsigned int i;
	u32 n;

	spin_lock(fl_pq_lock(fud));
	n = count(fl_pq_io(fud));
	for (i = 0; i < FL_PQ_HASH_SIZE; i++)
		n += count(&fl_pq_processing(fud)[i]);
	spin_unlock(fl_pq_lock(fud));
	return n;
}

void fusecr_queue_count(const struct fuse_conn *fc,
			struct fusecr_queue_counts *counts)
{
	struct fuse_iqueue *fiq = fl_conn_iqueue(fc);
	const struct fuse_forget_link *forget;
	const struct list_head *entry;

	memset(counts, 0, sizeof(*counts));
	spin_lock(fl_iq_lock(fiq));
	counts->reqctr = *fl_iq_reqctr(fiq);
	counts->pending = count(fl_iq_pending(fiq));
	for (forget = *fl_forget_next(fl_iq_forget_head(fiq)); forget;
	     forget = *fl_forget_next(forget))
		counts->forgets++;
	spin_unlock(fl_iq_lock(fiq));

	spin_lock(fl_conn_dev_lock(fc));
	list_for_each(entry, fl_conn_devices(fc)) {
		counts->devices++;
		counts->processing +=
			fusecr_queue_processing(fl_dev_from_entry(entry));
	}
	spin_unlock(fl_conn_dev_lock(fc));
}

/* fuse's number of each flag, to ours (which are in enum fl_fr's order). */
static u32 flags_of(const struct fuse_req *req)
{
	unsigned long bits = READ_ONCE(*fl_req_flags(req));
	u32 flags = 0;
	unsigned int i;

	static_assert(BIT(FL_FR_ISREPLY) == FUSECR_RF_ISREPLY);
	static_assert(BIT(FL_FR_ASYNC) == FUSECR_RF_ASYNC);
	for (i = 0; i < FL_FR_NR; i++)
		if (bits & BIT(fl_fr_bits[i]))
			flags |= BIT(i);
	return flags;
}

/* Moves the cursor's offset. */
static int put_input(struct sk_buff *skb, struct fusecr_req_cursor *cursor,
		     const struct fuse_req *req)
{
	const struct fuse_args *args = *fl_req_args(req);
	u32 len, left, chunk;
	struct nlattr *data;
	int room;

	/* Cannot be, see above; but then there is nothing to read any more. */
	if (!args || fl_req_test(req, FL_FR_FINISHED)) {
		cursor->offset = 0;
		return nla_put_u32(skb, FUSECR_REQ_IN_LEN, 0);
	}
	len = fusecr_payload_in_len(args);
	if (nla_put_u32(skb, FUSECR_REQ_IN_LEN, len) ||
	    nla_put_u32(skb, FUSECR_REQ_IN_OFFSET, cursor->offset))
		return -EMSGSIZE;
	left = len - min(len, cursor->offset);
	if (!left) {
		cursor->offset = 0;
		return 0;
	}
	room = round_down(skb_tailroom(skb), NLA_ALIGNTO) - NLA_HDRLEN;
	if (room < (int)min_t(u32, left, MIN_CHUNK))
		return -EMSGSIZE;
	chunk = min3(left, (u32)room, (u32)FUSECR_IN_CHUNK);
	data = nla_reserve(skb, FUSECR_REQ_IN_DATA, chunk);
	if (!data)
		return -EMSGSIZE;
	fusecr_payload_in(nla_data(data), args, cursor->offset, chunk);
	cursor->offset = chunk < left ? cursor->offset + chunk : 0;
	return 0;
}

/*
 * Who sleeps in request_wait_answer(), by its own number: the pid in the header
 * is 0 for everyone outside the connection's pid namespace.  An entry stays on
 * the queue only while its task sleeps or is being woken.  Caller holds
 * waitq->lock.
 */
static struct task_struct *sleeper(wait_queue_head_t *waitq)
{
	const struct wait_queue_entry *entry;

	lockdep_assert_held(&waitq->lock);
	list_for_each_entry(entry, &waitq->head, entry)
		/* What wait_event() puts there; its private is the task. */
		if (entry->func == autoremove_wake_function)
			return entry->private;
	return NULL;
}

struct task_struct *fusecr_queue_waiter(const struct fuse_req *req)
{
	wait_queue_head_t *waitq = fl_req_waitq(req);
	struct task_struct *task;
	unsigned long flags;

	spin_lock_irqsave(&waitq->lock, flags);
	task = sleeper(waitq);
	if (task)
		get_task_struct(task);
	spin_unlock_irqrestore(&waitq->lock, flags);
	return task;
}

static u32 waiter_of(const struct fuse_req *req)
{
	struct task_struct *task = fusecr_queue_waiter(req);
	u32 pid;

	if (!task)
		return 0;
	pid = task_tgid_vnr(task);
	put_task_struct(task);
	return pid;
}

/*
 * Between its two sleeps in request_wait_answer() the waiter is on no queue, and
 * fuse_dev_do_read() interrupts on behalf of it: there current is the daemon.
 */
static struct task_struct *sender(const struct fuse_req *req,
				  struct pid_namespace *pid_ns)
{
	u32 pid = fl_req_in_h(req)->pid;

	return pid && pid_ns ? pid_task(find_pid_ns(pid, pid_ns), PIDTYPE_PID) :
			       NULL;
}

bool fusecr_queue_is_nudge(const struct fuse_req *req, struct pid_namespace *pid_ns)
{
	wait_queue_head_t *waitq = fl_req_waitq(req);
	struct task_struct *task;
	unsigned long flags;
	bool nudge;

	rcu_read_lock();
	spin_lock_irqsave(&waitq->lock, flags);
	task = sleeper(waitq) ?: sender(req, pid_ns) ?: current;
	nudge = test_tsk_thread_flag(task, TIF_NOTIFY_SIGNAL) &&
		!task_sigpending(task);
	spin_unlock_irqrestore(&waitq->lock, flags);
	rcu_read_unlock();
	return nudge;
}

struct waiters_walk {
	void (*fn)(const struct fuse_req *req, struct task_struct *task,
		   void *arg);
	void *arg;
};

/* Caller holds the lock of the list. */
static void waiters_of_list(const struct waiters_walk *walk,
			    const struct list_head *head)
{
	const struct list_head *pos;

	list_for_each(pos, head) {
		const struct fuse_req *req = fl_req_from_list(pos);
		wait_queue_head_t *waitq = fl_req_waitq(req);
		unsigned long flags;

		if (fl_req_test(req, FL_FR_BACKGROUND) ||
		    !fl_req_test(req, FL_FR_ISREPLY) ||
		    fusecr_keep_is_proxy(req))
			continue;
		spin_lock_irqsave(&waitq->lock, flags);
		walk->fn(req, sleeper(waitq), walk->arg);
		spin_unlock_irqrestore(&waitq->lock, flags);
	}
}

void fusecr_queue_waiters(const struct fuse_conn *fc,
			  void (*fn)(const struct fuse_req *req,
				     struct task_struct *task, void *arg),
			  void *arg)
{
	const struct waiters_walk walk = { fn, arg };
	struct fuse_iqueue *fiq = fl_conn_iqueue(fc);
	const struct list_head *entry;
	unsigned int i;

	spin_lock(fl_iq_lock(fiq));
	waiters_of_list(&walk, fl_iq_pending(fiq));
	spin_unlock(fl_iq_lock(fiq));

	spin_lock(fl_conn_dev_lock(fc));
	list_for_each(entry, fl_conn_devices(fc)) {
		const struct fuse_dev *fud = fl_dev_from_entry(entry);

		spin_lock(fl_pq_lock(fud));
		waiters_of_list(&walk, fl_pq_io(fud));
		for (i = 0; i < FL_PQ_HASH_SIZE; i++)
			waiters_of_list(&walk, &fl_pq_processing(fud)[i]);
		spin_unlock(fl_pq_lock(fud));
	}
	spin_unlock(fl_conn_dev_lock(fc));
}

static struct fuse_req *req_at(const struct list_head *pos, bool interrupt)
{
	return interrupt ? fl_req_from_intr(pos) : fl_req_from_list(pos);
}

/* Writes one message; cursor->offset is 0 when it was the request's last. */
static int fill(const struct fusecr_msg *msg, struct fusecr_req_cursor *cursor,
		const struct fuse_req *req, enum fusecr_req_state state,
		const struct fuse_dev *fud)
{
	bool interrupt = state == FUSECR_REQ_INTERRUPT;
	const struct fuse_in_header *h = fl_req_in_h(req);
	struct sk_buff *skb = msg->skb;
	u32 offset = cursor->offset;
	u32 waiter = interrupt ? 0 : waiter_of(req);
	struct nlattr *nest;
	void *hdr = fusecr_msg_begin(msg, FUSECR_A_REQ, &nest);
	int err = -EMSGSIZE;

	if (!hdr)
		return err;
	if (fusecr_put_u64(skb, FUSECR_REQ_UNIQUE, h->unique) ||
	    nla_put_u32(skb, FUSECR_REQ_STATE, state) ||
	    nla_put_u32(skb, FUSECR_REQ_OPCODE,
			interrupt ? FUSE_INTERRUPT : h->opcode) ||
	    fusecr_put_u64(skb, FUSECR_REQ_NODEID, h->nodeid) ||
	    nla_put_u32(skb, FUSECR_REQ_UID, h->uid) ||
	    nla_put_u32(skb, FUSECR_REQ_GID, h->gid) ||
	    nla_put_u32(skb, FUSECR_REQ_PID, h->pid) ||
	    nla_put_u32(skb, FUSECR_REQ_FLAGS, flags_of(req)) ||
	    (waiter && nla_put_u32(skb, FUSECR_REQ_WAITER, waiter)) ||
	    (fud && fusecr_put_u64(skb, FUSECR_REQ_DEV, fusecr_cookie(fud))))
		goto out;
	err = interrupt ? nla_put_u32(skb, FUSECR_REQ_IN_LEN, 0) :
			  put_input(skb, cursor, req);
out:
	if (err)
		cursor->offset = offset;
	return fusecr_msg_end(msg, hdr, nest, err);
}

static int fill_forget(const struct fusecr_msg *msg,
		       const struct fuse_forget_link *forget)
{
	const struct fuse_forget_one *one = fl_forget_one(forget);
	struct nlattr *nest;
	void *hdr = fusecr_msg_begin(msg, FUSECR_A_REQ, &nest);
	int err = 0;

	if (!hdr)
		return -EMSGSIZE;
	/* It gets its header when it is read; until then there is none. */
	if (fusecr_put_u64(msg->skb, FUSECR_REQ_UNIQUE, 0) ||
	    nla_put_u32(msg->skb, FUSECR_REQ_STATE, FUSECR_REQ_FORGET) ||
	    nla_put_u32(msg->skb, FUSECR_REQ_OPCODE, FUSE_FORGET) ||
	    fusecr_put_u64(msg->skb, FUSECR_REQ_NODEID, one->nodeid) ||
	    nla_put_u32(msg->skb, FUSECR_REQ_UID, 0) ||
	    nla_put_u32(msg->skb, FUSECR_REQ_GID, 0) ||
	    nla_put_u32(msg->skb, FUSECR_REQ_PID, 0) ||
	    nla_put_u32(msg->skb, FUSECR_REQ_FLAGS, 0) ||
	    nla_put_u32(msg->skb, FUSECR_REQ_IN_LEN, 0) ||
	    fusecr_put_u64(msg->skb, FUSECR_REQ_NLOOKUP, one->nlookup))
		err = -EMSGSIZE;
	return fusecr_msg_end(msg, hdr, nest, err);
}

/* --- where a walk goes on ------------------------------------------------- */

/*
 * What is freed is soon in use again, at the same address: with unique id and
 * the beginning of what it says, it is the same.  Background requests have no
 * unique id, those of FUSE_NOTIFY_RETRIEVE have the daemon's.  Caller holds the
 * lock of the list.  That of interrupts keeps the request, but not what its arguments
 * point to: fuse_request_end() takes that lock when the waiter may be on its way.
 */
static struct fusecr_req_mark mark_of(const struct list_head *pos, bool interrupt)
{
	const struct fuse_req *req = req_at(pos, interrupt);
	const struct fuse_args *args = *fl_req_args(req);
	const struct fuse_in_header *h = fl_req_in_h(req);
	char head[64];
	u32 len = 0;

	if (!interrupt && args && !fl_req_test(req, FL_FR_FINISHED)) {
		len = min_t(u32, fusecr_payload_in_len(args), sizeof(head));
		fusecr_payload_in(head, args, 0, len);
	}
	return (struct fusecr_req_mark) {
		.at = pos,
		.unique = h->unique,
		.sum = jhash(head, len, h->opcode ^ hash_64(h->nodeid, 32)),
	};
}

static struct fusecr_req_mark mark_forget(const struct fuse_forget_link *forget)
{
	const struct fuse_forget_one *one = fl_forget_one(forget);

	return (struct fusecr_req_mark) {
		.at = forget,
		.sum = jhash(one, sizeof(*one), 0),
	};
}

bool fusecr_req_mark_is(const struct fusecr_req_mark *a,
			const struct fusecr_req_mark *b)
{
	return a->at == b->at && a->unique == b->unique && a->sum == b->sum;
}

/* The next list starts from its head. */
static void rewind_list(struct fusecr_req_cursor *cursor)
{
	cursor->left = 0;
	cursor->index = 0;
	cursor->last = (struct fusecr_req_mark) {};
	cursor->next = (struct fusecr_req_mark) {};
	cursor->offset = 0;
}

/*
 * Of a list of which what was told last is gone, or is not what it was: how
 * much of the rest is, too, does not show.  What was there when the walk came is
 * still before what came since, and less by one at least.
 */
static void start_over(struct fusecr_req_cursor *cursor)
{
	cursor->left--;
	cursor->index = 0;
	cursor->last = (struct fusecr_req_mark) {};
}

/* The entry to go on with.  Caller holds the lock of the list. */
static struct list_head *resume(struct fusecr_req_cursor *cursor,
				struct list_head *head, bool interrupt)
{
	struct list_head *pos;

	if (!cursor->left)
		cursor->left = count(head);
	if (!cursor->last.at)
		return head->next;
	list_for_each(pos, head) {
		struct list_head *next = pos->next;
		struct fusecr_req_mark last, follows;

		if (pos != cursor->last.at)
			continue;
		if (next == head || next != cursor->next.at)
			break;
		last = mark_of(pos, interrupt);
		follows = mark_of(next, interrupt);
		if (!fusecr_req_mark_is(&cursor->last, &last) ||
		    !fusecr_req_mark_is(&cursor->next, &follows))
			break;
		return next;
	}
	start_over(cursor);
	return head->next;
}

/* Tells what is left of it.  Caller holds the lock of the list. */
static int tell(struct fusecr_req_cursor *cursor, const struct fusecr_msg *msg,
		const struct fuse_req *req, enum fusecr_req_state state,
		const struct fuse_dev *fud)
{
	int err;

	/* Told with what is kept. */
	if (state != FUSECR_REQ_INTERRUPT && fusecr_keep_is_proxy(req))
		return 0;
	do {
		err = fill(msg, cursor, req, state, fud);
	} while (!err && cursor->offset);
	return err;
}

/* Caller holds the lock of the list. */
static int walk_list(struct fusecr_req_cursor *cursor,
		     const struct fusecr_msg *msg, struct list_head *head,
		     enum fusecr_req_state state, const struct fuse_dev *fud)
{
	bool interrupt = state == FUSECR_REQ_INTERRUPT;
	struct list_head *pos = resume(cursor, head, interrupt);

	/* fuse_dev_do_read() adds to io at its head: that one is short. */
	for (; pos != head && (cursor->index < cursor->left ||
			       state == FUSECR_REQ_IO); pos = pos->next) {
		struct fuse_req *req = req_at(pos, interrupt);
		struct fusecr_req_mark mark = mark_of(pos, interrupt);
		int err;

		if (!fusecr_req_mark_is(&cursor->next, &mark))
			cursor->offset = 0;
		err = tell(cursor, msg, req, state, fud);
		if (err) {
			cursor->next = mark;
			return err;
		}
		cursor->last = mark;
		cursor->index++;
	}
	rewind_list(cursor);
	return 0;
}

/* Caller holds fl_conn_dev_lock(). */
static int walk_device(struct fusecr_req_cursor *cursor,
		       const struct fusecr_msg *msg, const struct fuse_conn *fc,
		       struct fuse_dev *fud)
{
	int err = 0;

	/* Not by way of @fud: its file may have been closed (fuse_dev_release). */
	lockdep_assert_held(fl_conn_dev_lock(fc));
	spin_lock(fl_pq_lock(fud));
	for (; cursor->bucket <= FL_PQ_HASH_SIZE; cursor->bucket++) {
		if (!cursor->bucket)
			err = walk_list(cursor, msg, fl_pq_io(fud),
					FUSECR_REQ_IO, fud);
		else
			err = walk_list(cursor, msg, fl_pq_processing(fud) +
					cursor->bucket - 1,
					FUSECR_REQ_PROCESSING, fud);
		if (err)
			goto out;
	}
	cursor->bucket = 0;
out:
	spin_unlock(fl_pq_lock(fud));
	return err;
}

/*
 * Which devices the first @n are.  New ones come last: as long as those up to
 * the one that is walked are the same, so are those to come, or they are gone.
 * Caller holds fl_conn_dev_lock().
 */
static u64 sum_devices(const struct fuse_conn *fc, u32 n)
{
	const struct list_head *entry;
	u64 sum = 0;

	lockdep_assert_held(fl_conn_dev_lock(fc));
	list_for_each(entry, fl_conn_devices(fc)) {
		if (!n--)
			break;
		sum = hash_64(sum ^ (unsigned long)entry, 64);
	}
	return sum;
}

static int walk_devices(struct fusecr_req_cursor *cursor,
			const struct fusecr_msg *msg,
			const struct fuse_conn *fc)
{
	const struct list_head *entry;
	u32 i = 0;
	int err = 0;

	spin_lock(fl_conn_dev_lock(fc));
	if (cursor->devs && cursor->devs != sum_devices(fc, cursor->dev + 1)) {
		cursor->dev = 0;
		cursor->bucket = 0;
		rewind_list(cursor);
	}
	list_for_each(entry, fl_conn_devices(fc)) {
		if (i++ < cursor->dev)
			continue;
		err = walk_device(cursor, msg, fc, fl_dev_from_entry(entry));
		if (err)
			break;
		cursor->dev++;
	}
	if (err)
		cursor->devs = sum_devices(fc, cursor->dev + 1);
	spin_unlock(fl_conn_dev_lock(fc));
	return err;
}

/* As resume().  Caller holds fiq->lock. */
static const struct fuse_forget_link *
resume_forgets(struct fusecr_req_cursor *cursor, const struct fuse_iqueue *fiq)
{
	const struct fuse_forget_link *first, *forget;

	first = *fl_forget_next(fl_iq_forget_head(fiq));
	if (!cursor->left)
		for (forget = first; forget; forget = *fl_forget_next(forget))
			cursor->left++;
	if (!cursor->last.at)
		return first;
	for (forget = first; forget; forget = *fl_forget_next(forget)) {
		const struct fuse_forget_link *next = *fl_forget_next(forget);
		struct fusecr_req_mark last, follows;

		if (!next)
			break;
		last = mark_forget(forget);
		follows = mark_forget(next);
		if (fusecr_req_mark_is(&cursor->last, &last) &&
		    fusecr_req_mark_is(&cursor->next, &follows))
			return next;
	}
	start_over(cursor);
	return first;
}

/* Caller holds fiq->lock. */
static int walk_forgets(struct fusecr_req_cursor *cursor,
			const struct fusecr_msg *msg,
			const struct fuse_iqueue *fiq)
{
	const struct fuse_forget_link *forget;

	lockdep_assert_held(fl_iq_lock(fiq));
	forget = resume_forgets(cursor, fiq);
	for (; forget && cursor->index < cursor->left;
	     forget = *fl_forget_next(forget)) {
		int err = fill_forget(msg, forget);

		if (err) {
			cursor->next = mark_forget(forget);
			return err;
		}
		cursor->last = mark_forget(forget);
		cursor->index++;
	}
	return 0;
}

static int walk_queue(struct fusecr_req_cursor *cursor,
		      const struct fusecr_msg *msg,
		      const struct fusecr_conn *conn)
{
	const struct fuse_conn *fc = conn->fc;
	struct fuse_iqueue *fiq = fl_conn_iqueue(fc);
	int err = 0;

	switch (cursor->queue) {
	case BACKGROUND:
		spin_lock(fl_conn_bg_lock(fc));
		err = walk_list(cursor, msg, fl_conn_bg_queue(fc),
				FUSECR_REQ_BACKGROUND, NULL);
		spin_unlock(fl_conn_bg_lock(fc));
		break;
	case PENDING:
		spin_lock(fl_iq_lock(fiq));
		err = walk_list(cursor, msg, fl_iq_pending(fiq),
				FUSECR_REQ_PENDING, NULL);
		spin_unlock(fl_iq_lock(fiq));
		break;
	case DEVICES:
		err = walk_devices(cursor, msg, fc);
		break;
	case INTERRUPTS:
		spin_lock(fl_iq_lock(fiq));
		err = walk_list(cursor, msg, fl_iq_interrupts(fiq),
				FUSECR_REQ_INTERRUPT, NULL);
		spin_unlock(fl_iq_lock(fiq));
		break;
	case FORGETS:
		spin_lock(fl_iq_lock(fiq));
		err = walk_forgets(cursor, msg, fiq);
		spin_unlock(fl_iq_lock(fiq));
		break;
	case KEPT:
		err = fusecr_keep_walk(conn, cursor, msg);
		break;
	}
	return err;
}

int fusecr_req_walk(const struct fusecr_conn *conn,
		    struct fusecr_req_cursor *cursor,
		    const struct fusecr_msg *msg)
{
	while (cursor->queue < END) {
		int err = walk_queue(cursor, msg, conn);

		if (err)
			return err;
		rewind_list(cursor);
		cursor->queue++;
		cond_resched();
	}
	return 0;
}
