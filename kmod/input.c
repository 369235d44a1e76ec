// SPDX-License-Identifier: GPL-2.0
/* Puts requests and forgets on a connection's input queue. */

#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/list_sort.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/slab.h>

#include "input.h"
#include "layout.h"

/*
 * Tells the readers of /dev/fuse that there is input, as fuse does for each
 * request (fuse_dev_wake_and_unlock(), fs/fuse/dev.c in 6.1 and 6.12), but all
 * of them: there may be several requests.
 */
static void wake_readers(struct fuse_iqueue *fiq)
{
	lockdep_assert_held(fl_iq_lock(fiq));

	wake_up_all(fl_iq_waitq(fiq));
	kill_fasync(fl_iq_fasync(fiq), SIGIO, POLL_IN);
}

int fusecr_forgets_add(struct fusecr_forgets *forgets, u64 nodeid,
		       u64 nlookup, gfp_t gfp)
{
	struct fuse_forget_link *link;

	/* fuse frees it with kfree(), after it was read or at an abort. */
	link = kzalloc(fl_forget_size(), gfp);
	if (!link)
		return -ENOMEM;
	fl_forget_one(link)->nodeid = nodeid;
	fl_forget_one(link)->nlookup = nlookup;
	if (forgets->last)
		*fl_forget_next(forgets->last) = link;
	else
		forgets->first = link;
	forgets->last = link;
	return 0;
}

/* As fuse_queue_forget() in 6.1, fuse_dev_queue_forget() in 6.12. */
int fusecr_forgets_queue(struct fusecr_forgets *forgets, struct fuse_conn *fc)
{
	struct fuse_iqueue *fiq = fl_conn_iqueue(fc);

	spin_lock(fl_iq_lock(fiq));
	if (!*fl_iq_connected(fiq)) {
		spin_unlock(fl_iq_lock(fiq));
		return -ENOTCONN;
	}
	if (forgets->first) {
		*fl_forget_next(*fl_iq_forget_tail(fiq)) = forgets->first;
		*fl_iq_forget_tail(fiq) = forgets->last;
		wake_readers(fiq);
	}
	spin_unlock(fl_iq_lock(fiq));
	*forgets = (struct fusecr_forgets) {};
	return 0;
}

void fusecr_forgets_free(struct fusecr_forgets *forgets)
{
	struct fuse_forget_link *link = forgets->first, *next;

	for (; link; link = next) {
		next = *fl_forget_next(link);
		kfree(link);
	}
	*forgets = (struct fusecr_forgets) {};
}

/* Takes the requests off the processing lists: no answer finds them now. */
static unsigned int unsend(struct fuse_dev *fud, u64 unique,
			   struct list_head *to)
{
	struct list_head *hash = fl_pq_processing(fud), *at, *next;
	unsigned int i, n = 0;

	spin_lock(fl_pq_lock(fud));
	for (i = 0; i < FL_PQ_HASH_SIZE; i++)
		list_for_each_safe(at, next, &hash[i]) {
			struct fuse_req *req = fl_req_from_list(at);

			if (unique && fl_req_unique(req) != unique)
				continue;
			fl_req_clear(req, FL_FR_SENT);
			list_move_tail(at, to);
			n++;
		}
	spin_unlock(fl_pq_lock(fud));
	return n;
}

static int by_unique(void *priv, const struct list_head *a,
		     const struct list_head *b)
{
	return fl_req_unique(fl_req_from_list(a)) >
	       fl_req_unique(fl_req_from_list(b));
}

/* The connection was aborted while no list of its had them. */
static void end_all(struct list_head *reqs)
{
	while (!list_empty(reqs)) {
		struct fuse_req *req = fl_req_from_list(reqs->next);

		fl_req_out_h(req)->error = -ECONNABORTED;
		list_del_init(fl_req_list(req));
		fuse_request_end(req);
	}
}

static int put_at_head(struct fuse_conn *fc, struct list_head *reqs)
{
	struct fuse_iqueue *fiq = fl_conn_iqueue(fc);
	struct list_head *at;

	spin_lock(fl_iq_lock(fiq));
	if (!*fl_iq_connected(fiq)) {
		spin_unlock(fl_iq_lock(fiq));
		end_all(reqs);
		return -ENOTCONN;
	}
	list_for_each(at, reqs) {
		struct fuse_req *req = fl_req_from_list(at);

		/*
		 * From here on a waiter that is killed takes its request off
		 * the queue and frees it (request_wait_answer()).
		 */
		fl_req_set(req, FL_FR_PENDING);
		/* Queued again when the request is read with FR_INTERRUPTED. */
		list_del_init(fl_req_intr_entry(req));
	}
	list_splice(reqs, fl_iq_pending(fiq));
	wake_readers(fiq);
	spin_unlock(fl_iq_lock(fiq));
	return 0;
}

/*
 * What fuse_resend() does (fs/fuse/dev.c, 6.9), for one device, without a mark
 * in the unique id, and safe from an interrupt that comes late:
 *
 * A waiter that is interrupted and a reader that has just sent a request look
 * at FR_SENT without a lock, and one who writes -EAGAIN for an INTERRUPT finds
 * the request on the processing list; then they call queue_interrupt(), which
 * in 6.1 does not look again.  It would put a request on fiq->interrupts that
 * is pending again by now; and a pending request is freed when its waiter is
 * killed, whatever list it is on.  So nothing becomes pending before all of
 * them are through: there is no voluntary sleep on the way from that look to
 * the end of queue_interrupt().
 *
 * Meanwhile the requests are on no list of fuse's.  Their waiters wait on,
 * even if killed, as for any request that was read; an abort is seen at the
 * end.
 */
static int requeue(struct fuse_conn *fc, struct fuse_dev *fud, u64 unique,
		   u32 *count)
{
	unsigned int n;
	LIST_HEAD(reqs);
	int err;

	n = unsend(fud, unique, &reqs);
	if (!n)
		return unique ? -ENOENT : 0;
	synchronize_rcu_tasks();
	list_sort(NULL, &reqs, by_unique);
	err = put_at_head(fc, &reqs);
	if (!err)
		*count = n;
	return err;
}

/* Written by who has requests on no list. */
static DECLARE_RWSEM(on_lists);

bool fusecr_requeue_trylock(void)
{
	return down_read_trylock(&on_lists);
}

void fusecr_requeue_unlock(void)
{
	up_read(&on_lists);
}

int fusecr_requeue(struct fuse_conn *fc, int fd, u64 unique, u32 *count)
{
	/* Keeps the device: fuse_dev_release() ends what it processes. */
	struct file *file = fget(fd);
	struct fuse_dev *fud;
	int err;

	*count = 0;
	if (!file)
		return -EBADF;
	err = -EBADF;
	if (file->f_op != &fuse_dev_operations)
		goto out;
	fud = fl_file_dev(file);
	if (!fud)
		goto out;
	err = -EXDEV;
	if (fl_dev_conn(fud) != fc)
		goto out;
	down_write(&on_lists);
	err = requeue(fc, fud, unique, count);
	up_write(&on_lists);
out:
	fput(file);
	return err;
}
