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

/*
 * Puts them in place unless they are.  The caller keeps the connection until
 * fusecr_hook_put().  May sleep; -EOPNOTSUPP when the kernel's or the
 * connection's queues have others, -ENOMEM.
 */
struct fusecr_hook *fusecr_hook_get(const struct fuse_conn *fc);

/* With the last one fuse's own are back.  May sleep. */
void fusecr_hook_put(struct fusecr_hook *hook);

/* Has the daemon told that a request that it has read is not wanted any more. */
void fusecr_hook_interrupt(const struct fuse_conn *fc, struct fuse_req *req);

#endif /* FUSECR_HOOK_H */
