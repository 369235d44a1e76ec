/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Our operations in the place of a connection's input queue's: whatever is sent
 * passes the gate (gate.h) and meets what is kept (keep.h).
 */
#ifndef FUSECR_HOOK_H
#define FUSECR_HOOK_H

#include <linux/types.h>

struct fuse_conn;
struct fuse_req;
struct fusecr_hook;

/* What happens to requests and their senders, as fusecr.h tells it. */
enum fusecr_event {
	FUSECR_EVENT_HELD,
	FUSECR_EVENT_PASSED,
	FUSECR_EVENT_ENDED,
	FUSECR_EVENT_TAKEN,
	FUSECR_EVENT_CLAIMED,
	FUSECR_EVENT_GIVEN_UP,
	FUSECR_EVENTS,
};

struct fusecr_event_counts {
	u64 of[FUSECR_EVENTS];
};

/*
 * Puts them in place unless they are.  The caller keeps the connection until
 * fusecr_hook_put().  From the first who @counts until the last of them events are
 * counted.  May sleep; -EOPNOTSUPP when the kernel's or the connection's queues have
 * others, -ENOMEM.
 */
struct fusecr_hook *fusecr_hook_get(const struct fuse_conn *fc, bool counts);

/* With the last one fuse's own are back.  As it was got; may sleep. */
void fusecr_hook_put(struct fusecr_hook *hook, bool counts);

/* One more; any context. */
void fusecr_hook_event(struct fusecr_hook *hook, enum fusecr_event event);
/* False, and all 0, when nobody counts.  May sleep. */
bool fusecr_hook_counts(const struct fuse_conn *fc,
			struct fusecr_event_counts *counts);

/* Has the daemon told that a request that it has read is not wanted any more. */
void fusecr_hook_interrupt(const struct fuse_conn *fc, struct fuse_req *req);

#endif /* FUSECR_HOOK_H */
