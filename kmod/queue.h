/* SPDX-License-Identifier: GPL-2.0 */
/* The requests of a connection, from the clients to the daemon. */
#ifndef FUSECR_QUEUE_H
#define FUSECR_QUEUE_H

#include <linux/types.h>

struct fuse_conn;
struct fuse_dev;
struct fuse_req;
struct fusecr_conn;
struct fusecr_msg;
struct task_struct;

struct fusecr_queue_counts {
	u64 reqctr;
	u32 pending;
	u32 processing;		/* on all devices, under I/O too */
	u32 forgets;
	u32 devices;
};

/* Caller keeps @fc.  Takes fiq->lock, fc->lock, fpq->lock. */
void fusecr_queue_count(const struct fuse_conn *fc,
			struct fusecr_queue_counts *counts);

/* Requests that were read through @fud and not answered.  Takes fpq->lock. */
u32 fusecr_queue_processing(const struct fuse_dev *fud);

/*
 * Calls @fn for each request whose answer somebody waits for, with the task
 * that sleeps on it, or NULL when it does not sleep yet.  With spinlocks held.
 */
void fusecr_queue_waiters(const struct fuse_conn *fc,
			  void (*fn)(const struct fuse_req *req,
				     struct task_struct *task, void *arg),
			  void *arg);

/*
 * Whether an interrupt of @req comes of a nudge (hold.h) and not of a signal, by
 * who sleeps on it; by current, when nobody does.  Takes the waitq's lock.
 */
bool fusecr_queue_is_nudge(const struct fuse_req *req);

/* The task that sleeps on @req, counted, or NULL.  Caller keeps @req. */
struct task_struct *fusecr_queue_waiter(const struct fuse_req *req);

/* Where a walk over the requests stands; zeroed to start. */
struct fusecr_req_cursor {
	u8 queue;		/* enum in queue.c */
	u32 dev;		/* index on fc->devices */
	u32 bucket;		/* 0: io, then the hash of processing */
	u32 index;		/* entries written of this list, */
	const void *last;	/* the last of them, never followed */
	const void *partial;	/* the one after it, of which */
	u64 unique;
	u32 offset;		/* bytes were written */
};

/*
 * Writes messages with FUSECR_A_REQ; 0 at the end, -EMSGSIZE before.  In the
 * order in which a request goes through the lists: one that moves meanwhile
 * may be told twice, but is not left out.
 */
int fusecr_req_walk(const struct fusecr_conn *conn,
		    struct fusecr_req_cursor *cursor,
		    const struct fusecr_msg *msg);

#endif /* FUSECR_QUEUE_H */
