/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Numbers of open files (kh), by which a daemon is told who polls.  Each is one file's:
 * fuse has a BUG_ON() for two of one number that are polled (fuse_register_polled_file(),
 * fs/fuse/file.c, 6.1 to 7.2, and fs/fuse/poll.c, 7.3).  So a handle lifts the counter
 * that fuse takes them from, and gives what it has jumped over, which nobody has.
 */
#ifndef FUSECR_KH_H
#define FUSECR_KH_H

#include <linux/atomic.h>
#include <linux/types.h>
#include <linux/xarray.h>

struct fuse_file;

/* A handle's.  Caller holds the handle's lock. */
struct fusecr_khs {
	u64 from, to;		/* above the one, up to the other */
	bool used;		/* one stays with its file, whatever is undone */
	struct xarray files;	/* struct fuse_file that has it, which may be gone */
};

void fusecr_khs_init(struct fusecr_khs *khs);
void fusecr_khs_destroy(struct fusecr_khs *khs);

/* Never lowers it.  Tells what it was. */
u64 fusecr_khs_lift(struct fusecr_khs *khs, atomic64_t *counter, u64 to);

/* -ERANGE: not one of these; -EEXIST: another file has it; -ENOMEM. */
int fusecr_khs_give(struct fusecr_khs *khs, u64 kh, struct fuse_file *ff);

#endif /* FUSECR_KH_H */
