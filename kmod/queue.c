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
#include <linux/list.h>
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
	pid = task_tgid_nr(task);
	put_task_struct(task);
	return pid;
}

bool fusecr_queue_is_nudge(const struct fuse_req *req)
{
	wait_queue_head_t *waitq = fl_req_waitq(req);
	struct task_struct *task;
	unsigned long flags;
	bool nudge;

	spin_lock_irqsave(&waitq->lock, flags);
	task = sleeper(waitq) ?: current;
	nudge = test_tsk_thread_flag(task, TIF_NOTIFY_SIGNAL) &&
		!task_sigpending(task);
	spin_unlock_irqrestore(&waitq->lock, flags);
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

/* The next list starts from its head. */
static void rewind_list(struct fusecr_req_cursor *cursor)
{
	cursor->index = 0;
	cursor->last = NULL;
	cursor->partial = NULL;
	cursor->offset = 0;
}

/*
 * The entry to go on with: the one after the last written, or, if that has
 * left the list, the one that is now where the walk stopped.
 */
static struct list_head *resume(const struct fusecr_req_cursor *cursor,
				struct list_head *head)
{
	struct list_head *pos, *nth = head;
	u32 i = 0;

	if (!cursor->last)
		return head->next;
	list_for_each(pos, head) {
		if (pos == cursor->last)
			return pos->next;
		if (++i == cursor->index)
			nth = pos;
	}
	return nth;
}

/* Caller holds the lock of the list. */
static int walk_list(struct fusecr_req_cursor *cursor,
		     const struct fusecr_msg *msg, struct list_head *head,
		     enum fusecr_req_state state, const struct fuse_dev *fud)
{
	bool interrupt = state == FUSECR_REQ_INTERRUPT;
	struct list_head *pos;

	for (pos = resume(cursor, head); pos != head; pos = pos->next) {
		struct fuse_req *req = interrupt ? fl_req_from_intr(pos) :
						   fl_req_from_list(pos);

		/* Told with what is kept. */
		if (!interrupt && fusecr_keep_is_proxy(req)) {
			cursor->last = pos;
			cursor->index++;
			continue;
		}
		if (cursor->partial != pos ||
		    cursor->unique != fl_req_unique(req))
			cursor->offset = 0;
		do {
			int err = fill(msg, cursor, req, state, fud);

			if (err) {
				cursor->partial = pos;
				cursor->unique = fl_req_unique(req);
				return err;
			}
		} while (cursor->offset);
		cursor->last = pos;
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

static int walk_devices(struct fusecr_req_cursor *cursor,
			const struct fusecr_msg *msg,
			const struct fuse_conn *fc)
{
	const struct list_head *entry;
	u32 i = 0;
	int err = 0;

	spin_lock(fl_conn_dev_lock(fc));
	list_for_each(entry, fl_conn_devices(fc)) {
		if (i++ < cursor->dev)
			continue;
		err = walk_device(cursor, msg, fc, fl_dev_from_entry(entry));
		if (err)
			break;
		cursor->dev++;
	}
	spin_unlock(fl_conn_dev_lock(fc));
	return err;
}

/* Caller holds fiq->lock. */
static int walk_forgets(struct fusecr_req_cursor *cursor,
			const struct fusecr_msg *msg,
			const struct fuse_iqueue *fiq)
{
	const struct fuse_forget_link *forget, *from;
	int err;

	lockdep_assert_held(fl_iq_lock(fiq));
	from = *fl_forget_next(fl_iq_forget_head(fiq));
	/* Taken from the head, added to the tail: what is gone is behind us. */
	for (forget = from; cursor->last && forget;
	     forget = *fl_forget_next(forget)) {
		if (forget == cursor->last) {
			from = *fl_forget_next(forget);
			break;
		}
	}
	for (forget = from; forget; forget = *fl_forget_next(forget)) {
		err = fill_forget(msg, forget);
		if (err)
			return err;
		cursor->last = forget;
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
