// SPDX-License-Identifier: GPL-2.0
#include "attr.h"

void attr_fill(struct fuse_attr *a, const FuseInodeEntry *i)
{
	*a = (struct fuse_attr) {
		.ino = i->orig_ino,
		.size = i->size,
		.blocks = i->blocks,
		.atime = i->atime,
		.mtime = i->mtime,
		.ctime = i->ctime,
		.atimensec = i->atime_nsec,
		.mtimensec = i->mtime_nsec,
		.ctimensec = i->ctime_nsec,
		.mode = i->mode,
		.nlink = i->nlink,
		.uid = i->uid,
		.gid = i->gid,
		.rdev = i->rdev,
		.blksize = i->blkbits < 31 ? 1u << i->blkbits : 0,
	};
}
