// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <sys/uio.h>

#include <linux/fuse.h>

#include "retrieve.h"

void retrieves_note(struct retrieves *r, const struct fuse_in_header *h, const void *arg,
		    size_t len)
{
	const struct fuse_notify_retrieve_in *in = arg;
	struct fuse_notify_retrieve_out *grown;

	if (len < sizeof(*in))
		return;
	grown = reallocarray(r->items, r->count + 1, sizeof(*grown));
	if (!grown)
		return;
	r->items = grown;
	/* Of what was asked for it has as much as the kernel had in its cache. */
	grown[r->count++] = (struct fuse_notify_retrieve_out) {
		.notify_unique = h->unique,
		.nodeid = h->nodeid,
		.offset = in->offset,
		.size = in->size,
	};
}

size_t retrieves_repeat(struct retrieves *r, int fd)
{
	struct fuse_out_header oh = {
		.len = sizeof(oh) + sizeof(*r->items),
		.error = FUSE_NOTIFY_RETRIEVE,
	};
	size_t failed = 0;

	for (size_t i = 0; i < r->count; i++) {
		struct iovec iov[2] = {
			{ &oh, sizeof(oh) },
			{ &r->items[i], sizeof(r->items[i]) },
		};

		failed += writev(fd, iov, 2) < 0;
	}
	r->count = 0;
	return failed;
}

void retrieves_free(struct retrieves *r)
{
	free(r->items);
	*r = (struct retrieves){ 0 };
}
