/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The gate of a connection: brings its clients to rest while the daemon still
 * serves.  Documentation/gate.md says why so.
 */
#ifndef FUSECR_GATE_H
#define FUSECR_GATE_H

#include <linux/types.h>

struct fusecr_gate;
struct fusecr_gate_status;
struct fuse_conn;
struct fuse_iqueue;
struct fuse_req;
struct fusecr_conn;
struct pid;
struct wait_queue_head;

/*
 * A gate that is still open; @flags: enum fusecr_gate_flag.  The caller keeps the
 * connection until fusecr_gate_open(), and @waitq, which is woken now and then.  -ENOMEM.
 */
struct fusecr_gate *fusecr_gate_new(const struct fuse_conn *fc,
				    struct wait_queue_head *waitq, u32 flags);

/*
 * Never holds threads of this group, nor of its @children; takes over the reference.
 * -ESRCH when it is no thread group's, -ENOSPC.
 */
int fusecr_gate_exempt(struct fusecr_gate *gate, struct pid *tgid,
		       bool children);

/*
 * From now on who sends a request is held after its system call, for @seconds at
 * most.  -EUSERS when too many gates are closed, -EOPNOTSUPP when the connection
 * has io_uring queues, -ENOMEM.
 */
int fusecr_gate_close(struct fusecr_gate *gate, unsigned int seconds);

/* Lets all go and frees the gate.  Takes NULL. */
void fusecr_gate_open(struct fusecr_gate *gate);

/*
 * Holds all threads of a group; how many anew, -ENOENT when the gate has opened,
 * -ESRCH.
 */
int fusecr_gate_hold(struct fusecr_gate *gate, struct pid *tgid);

/* Not once it has opened by itself or was forced to. */
bool fusecr_gate_is_closed(const struct fusecr_gate *gate);

/* All 0 when it is open.  May sleep. */
void fusecr_gate_status(struct fusecr_gate *gate,
			struct fusecr_gate_status *status);
/* Whether some gate of @fc is closed, whomever it holds.  Any context. */
bool fusecr_gate_closed(const struct fuse_conn *fc);
/* Lets all go whom that gate holds; -ENOENT when there is none.  These two may sleep. */
int fusecr_gate_force_open(u64 conn_id);
/* Of whatever gate of @fc is closed; false: none. */
bool fusecr_gate_status_of(const struct fuse_conn *fc,
			   struct fusecr_gate_status *status);
/*
 * Closed, and nobody but the exempt has anything under way, nor has the daemon what nobody
 * waits for any more.
 */
bool fusecr_gate_drained(struct fusecr_gate *gate);

/*
 * Of a closed gate: takes what the daemon keeps out of its clients' hands.  How
 * many requests, or -ENOMEM.
 */
int fusecr_gate_take(struct fusecr_gate *gate, const struct fusecr_conn *conn);

/* For the hook: any context.  The request is about to be sent. */
void fusecr_gate_on_request(const struct fuse_iqueue *fiq,
			    const struct fuse_req *req);

/* For the hook: any context.  Of an interrupt, fusecr_queue_is_nudge(). */
bool fusecr_gate_is_nudge(const struct fuse_iqueue *fiq, const struct fuse_req *req);

/* Whether current is held by a gate: -ENOENT when none is closed, 0 when not. */
int fusecr_gate_holds(const struct fuse_iqueue *fiq);

void fusecr_gate_exit(void);

#endif /* FUSECR_GATE_H */
