/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The bytes of a request and of its answer.  The caller keeps the request from
 * being completed; nothing here sleeps.
 */
#ifndef FUSECR_PAYLOAD_H
#define FUSECR_PAYLOAD_H

#include <linux/types.h>

#include "layout.h"

/* How many bytes follow fuse_in_header. */
u32 fusecr_payload_in_len(const struct fuse_args *args);
/* Copies bytes [@from, @from + @len) of them. */
void fusecr_payload_in(void *to, const struct fuse_args *args, u32 from,
		       u32 len);

/* What follows fuse_out_header, argument after argument. */
struct fusecr_answer {
	u32 count;
	u32 size[FL_OUT_ARGS];
	const void *data;
};

/* Puts an answer where the request wants it; -EIO when it does not fit. */
int fusecr_payload_out(struct fuse_args *args, const struct fusecr_answer *a);

#endif /* FUSECR_PAYLOAD_H */
