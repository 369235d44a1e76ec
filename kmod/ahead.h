/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who asks for something that a kept request comes before.
 *
 * The system call that starts over finds everything as it was: the names that the
 * request is about, and the place where it writes.  Its thread has let go of the locks
 * that saw to that.  So until it has asked again, others' look-ups of those names are
 * answered as they were, too: else the kernel would believe, for as long as the daemon
 * says, that a name to be removed is gone.  What would move the place starts over; so does
 * what changes the size that the answer is to tell the kernel; and what has the kernel
 * know a file that open() is still to create.  (Other names that are to be made are always
 * looked up: LOOKUP_EXCL, fs/fuse/dir.c.)  Bytes that were to be read for the page cache
 * are read anew once somebody has written to the file.
 */
#ifndef FUSECR_AHEAD_H
#define FUSECR_AHEAD_H

#include <linux/types.h>

struct fuse_iqueue;
struct fuse_req;
struct fusecr_kept;

/* Whether it may matter for others' requests with @opcode; caller holds kept_lock. */
bool fusecr_ahead_of(const struct fusecr_kept *k, u32 opcode);

/*
 * True: the request of current, which none of its own is kept for, was answered, or its
 * system call starts over.  Sleeps.
 */
bool fusecr_ahead_answer(struct fuse_iqueue *fiq, struct fuse_req *req,
			 const void *in, u32 len);

/* What was read of this node for the page cache is read anew.  Any context. */
void fusecr_ahead_outdate(const struct fuse_iqueue *fiq, u64 nodeid);

/* The request of current ends, and its system call starts over; sleeps. */
void fusecr_ahead_put_off(struct fuse_req *req);

#endif /* FUSECR_AHEAD_H */
