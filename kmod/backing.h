/* SPDX-License-Identifier: GPL-2.0 */
/* The files that a daemon has registered for passthrough (since 6.9). */
#ifndef FUSECR_BACKING_H
#define FUSECR_BACKING_H

#include <linux/limits.h>
#include <linux/types.h>

struct cred;
struct file;
struct fuse_conn;
struct fuse_inode;
struct fusecr_msg;
struct sk_buff;

/* Where a walk over them stands; zeroed to start. */
struct fusecr_backing_cursor {
	u32 id;			/* the next one to look for */
	char path[PATH_MAX];	/* scratch */
};

/*
 * Writes messages with FUSECR_A_BACKING; 0 at the end, -EMSGSIZE before.  None
 * where fuse has no passthrough.
 */
int fusecr_backing_walk(const struct fuse_conn *fc,
			struct fusecr_backing_cursor *cursor,
			const struct fusecr_msg *msg);

/*
 * Writes what FUSECR_BACKING_* says of a file that is read and written as @cred,
 * but the id; into the nest that is open.  @path: PATH_MAX bytes.  A path of @limit
 * bytes or more is left out.  0 or -EMSGSIZE.
 */
int fusecr_backing_put(struct sk_buff *skb, const struct file *file,
		       const struct cred *cred, char *path, size_t limit);

/* Cookie of what is behind the inode's passthrough files, 0: nothing. */
u64 fusecr_backing_of(const struct fuse_inode *fi);

/* The id that the next file will get, 0: there is no passthrough. */
u32 fusecr_backing_next(const struct fuse_conn *fc);
/* Caller has checked that there is, and that @next is a positive int. */
void fusecr_backing_set_next(struct fuse_conn *fc, u32 next);

#endif /* FUSECR_BACKING_H */
