/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel has cached is older than what the daemon knows.
 */
#ifndef FUSECR_OUTDATE_H
#define FUSECR_OUTDATE_H

#include <linux/types.h>

struct fusecr_kept;
struct inode;

/*
 * What the daemon has been asked about the inode before now does not count.  fuse tells by
 * a version that who asks notes when he begins.
 */
void fusecr_outdate(struct inode *inode);
/* Nor a list of the directory's names (fuse_readdir_cached(), fs/fuse/readdir.c). */
void fusecr_outdate_listing(struct inode *dir);

/*
 * Of one that the daemon has done, and nobody is told so: attributes, names and pages that
 * it changes are asked for again.  Sleeps, and may wait for the daemon.
 */
void kept_outdate(struct fusecr_kept *k);

#endif /* FUSECR_OUTDATE_H */
