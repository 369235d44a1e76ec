// SPDX-License-Identifier: GPL-2.0
#include <stddef.h>
#include <string.h>

#include "init_out.h"

/* fuse_init_out.max_stack_depth, since Linux 6.9; unused before. */
static void put_max_stack_depth(struct fuse_init_out *o, uint32_t depth)
{
	memcpy((char *)o + offsetof(struct fuse_init_out, flags2) + 4, &depth, sizeof(depth));
}

/* fuse_init_out.request_timeout, since Linux 6.15; unused before. */
static void put_request_timeout(struct fuse_init_out *o, uint32_t seconds)
{
	uint16_t timeout = seconds;

	memcpy((char *)o + offsetof(struct fuse_init_out, flags2) + 8, &timeout, sizeof(timeout));
}

void init_out_fill(struct fuse_init_out *o, const FuseConnEntry *c)
{
	o->major = FUSE_KERNEL_VERSION;
	o->minor = c->minor;
	o->max_readahead = c->max_readahead;
	o->flags = c->flags | (c->flags >> 32 ? FUSE_INIT_EXT : 0);
	o->flags2 = c->flags >> 32;
	o->max_background = c->max_background;
	o->congestion_threshold = c->congestion_threshold;
	o->max_write = c->max_write;
	o->time_gran = c->time_gran;
	o->max_pages = c->max_pages;
	o->map_alignment = c->map_alignment;
	put_max_stack_depth(o, c->max_stack_depth);
	put_request_timeout(o, c->request_timeout);
}
