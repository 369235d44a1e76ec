/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests that a daemon keeps: read, and not answered when everything has to
 * stand still.  Documentation/gate.md, "What the daemon keeps".
 *
 * Such a request is taken from its waiter, whose system call starts over.  In
 * its place on the daemon's processing list a proxy waits, a request of our own
 * with the same unique id.  When the thread asks again, the new request takes
 * the proxy's place, or gets the answer that has come meanwhile.
 */
#ifndef FUSECR_KEEP_H
#define FUSECR_KEEP_H

#include <linux/types.h>

struct fuse_conn;
struct fuse_iqueue;
struct fuse_req;
struct fusecr_conn;
struct fusecr_hook;
struct fusecr_keep;
struct fusecr_msg;
struct fusecr_kept_cursor;
struct task_struct;

/* Whose requests are taken, and how the thread is brought to rest then. */
struct fusecr_taker {
	bool (*spares)(const struct task_struct *task, void *arg);
	/* The task is counted; -errno: it must not be taken from. */
	int (*hold)(struct task_struct *task, void *arg);
	void *arg;
	struct fusecr_hook *hook;	/* whose events are counted */
};

/*
 * Takes every request whose system call can start over.  How many, or -errno.
 * Sleeps, but does not wait for the daemon.
 */
int fusecr_keep_take(const struct fusecr_conn *conn,
		     const struct fusecr_taker *taker);

/*
 * A request that was kept when the image was made: on the processing list of
 * the caller's descriptor.  -EBADF, -EXDEV, -EINVAL, -ESRCH, -EEXIST, -ENOTCONN.
 */
int fusecr_keep_restore(const struct fusecr_conn *conn,
			const struct fusecr_keep *in);

/* How many are kept of a connection for who sent them. */
unsigned int fusecr_keep_count(const struct fusecr_conn *conn);
/* Whether there are such as were given up and that the daemon has not answered yet. */
bool fusecr_keep_unwanted(const struct fuse_conn *fc);
/*
 * How often its superblock is active because of them, and of such as were given up and
 * that the daemon has not answered yet.
 */
unsigned int fusecr_keep_pins(const struct fusecr_conn *conn);

/* Writes messages with FUSECR_A_REQ; -EMSGSIZE. */
struct fusecr_req_cursor;
int fusecr_keep_walk(const struct fusecr_conn *conn,
		     struct fusecr_req_cursor *cursor,
		     const struct fusecr_msg *msg);

/* --- for the hook: any context, spinlocks held ------------------------------ */

/* One of ours, about to be sent; and it is not.  Stashed with bg_lock held. */
bool fusecr_keep_is_proxy(const struct fuse_req *req);
void fusecr_keep_stash(struct fuse_req *req);
/* Whether current has to do with one that is kept. */
bool fusecr_keep_concerns(const struct fuse_iqueue *fiq,
			  const struct fuse_req *req);

/* --- for the hook: sleeps ----------------------------------------------------- */

/* True: the request was answered, or waits for the answer to the kept one. */
bool fusecr_keep_answer(struct fuse_iqueue *fiq, struct fuse_req *req);

/* Nothing is kept: each pins the module. */
void fusecr_keep_exit(void);

#endif /* FUSECR_KEEP_H */
