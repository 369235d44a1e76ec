/* SPDX-License-Identifier: GPL-2.0 */
/* An inode of the images as the daemon would tell it. */
#ifndef FUSECR_ATTR_H
#define FUSECR_ATTR_H

#include <linux/fuse.h>

#include "fusecr.pb-c.h"

void attr_fill(struct fuse_attr *a, const FuseInodeEntry *i);

#endif
