/* SPDX-License-Identifier: GPL-2.0 */
/* Puts requests and forgets on a connection's input queue. */
#ifndef FUSECR_INPUT_H
#define FUSECR_INPUT_H

#include <linux/types.h>

struct fuse_conn;
struct fuse_forget_link;

/* FORGETs that are not on any queue yet; zeroed to start. */
struct fusecr_forgets {
	struct fuse_forget_link *first;
	struct fuse_forget_link *last;
};

/* -ENOMEM */
int fusecr_forgets_add(struct fusecr_forgets *forgets, u64 nodeid,
		       u64 nlookup, gfp_t gfp);
/* Hands them over to the connection; -ENOTCONN, and they are kept. */
int fusecr_forgets_queue(struct fusecr_forgets *forgets, struct fuse_conn *fc);
void fusecr_forgets_free(struct fusecr_forgets *forgets);

/*
 * Moves requests from the processing list of the caller's descriptor @fd back
 * to the head of the input queue: all, or the one that is @unique.  Sets
 * @count.  Sleeps for a grace period.  -EBADF, -EXDEV, -ENOENT, -ENOTCONN.
 */
int fusecr_requeue(struct fuse_conn *fc, int fd, u64 unique, u32 *count);
/* Keeps it from starting; false: one is under way, of whatever connection. */
bool fusecr_requeue_trylock(void);
void fusecr_requeue_unlock(void);

#endif /* FUSECR_INPUT_H */
