/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a daemon asks the kernel for: FUSE_NOTIFY_RETRIEVE. The kernel answers with
 * a request, FUSE_NOTIFY_REPLY, which is over as soon as somebody has read it
 * (fs/fuse/dev.c, fuse_retrieve() and fuse_dev_do_read(), 6.1 to 7.3). One that the
 * surrogate has read is the daemon's, and cannot be put back: so the kernel is asked
 * again, in the daemon's name.
 */
#ifndef FUSECR_RETRIEVE_H
#define FUSECR_RETRIEVE_H

#include <stddef.h>

struct fuse_in_header;
struct fuse_notify_retrieve_out;

struct retrieves {
	struct fuse_notify_retrieve_out *items;
	size_t count;
};

/* Notes a FUSE_NOTIFY_REPLY: its header, and the len bytes behind it. */
void retrieves_note(struct retrieves *r, const struct fuse_in_header *h, const void *arg,
		    size_t len);
/*
 * Asks for all that was noted, through the device instance fd, whose reader is to be
 * the daemon again. How many the kernel did not take: their node is gone, which the
 * daemon would have been told; or it has no memory.
 */
size_t retrieves_repeat(struct retrieves *r, int fd);
void retrieves_free(struct retrieves *r);

#endif
