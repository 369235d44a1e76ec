/* SPDX-License-Identifier: GPL-2.0 */
/* The answer to INIT that the daemon gave, bit for bit. */
#ifndef FUSECR_SURROGATE_INIT_OUT_H
#define FUSECR_SURROGATE_INIT_OUT_H

#include <linux/fuse.h>

#include "fusecr.pb-c.h"

/* o is zeroed: what this header does not know of is not answered. */
void init_out_fill(struct fuse_init_out *o, const FuseConnEntry *c);

#endif
