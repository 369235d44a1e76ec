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
 * who sleeps on it; when nobody does, by who has its pid in @pid_ns (the
 * connection's, or NULL), or else by current.  Takes the waitq's lock.
 */
bool fusecr_queue_is_nudge(const struct fuse_req *req, struct pid_namespace *pid_ns);

/* The task that sleeps on @req, counted, or NULL.  Caller keeps @req. */
struct task_struct *fusecr_queue_waiter(const struct fuse_req *req);

/* An entry of a list, to be known again; zeroed: none. */
struct fusecr_req_mark {
	const void *at;		/* never followed */
	u64 unique;
	u32 sum;		/* of the beginning of what it says */
};

bool fusecr_req_mark_is(const struct fusecr_req_mark *a,
			const struct fusecr_req_mark *b);

/* Where a walk over the requests stands; zeroed to start. */
struct fusecr_req_cursor {
	u8 queue;		/* enum in queue.c */
	u32 dev;		/* devices of fc->devices that were walked; */
	u64 devs;		/* which they are, and the one after them */
	u32 bucket;		/* 0: io, then the hash of processing */
	u32 left;		/* entries that this list had, or fewer; */
	u32 index;		/* so many were written since its head, */
	struct fusecr_req_mark last;	/* the last of them */
	struct fusecr_req_mark next;	/* the one after it, of which */
	u32 offset;		/* bytes were written */
};

/*
 * Writes messages with FUSECR_A_REQ; 0 at the end, -EMSGSIZE before.  In the
 * order in which a request goes through the lists: one that moves meanwhile
 * may be told twice, but is not left out.  One that comes meanwhile may be.
 */
int fusecr_req_walk(const struct fusecr_conn *conn,
		    struct fusecr_req_cursor *cursor,
		    const struct fusecr_msg *msg);

#endif /* FUSECR_QUEUE_H */
