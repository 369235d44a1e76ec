// SPDX-License-Identifier: GPL-2.0
/* What the kernel has cached is older than what the daemon knows, see outdate.h. */

#include <linux/bitops.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/fuse.h>
#include <linux/iversion.h>
#include <linux/pagemap.h>
#include <linux/posix_acl.h>
#include <linux/stat.h>

#include "compat.h"
#include "inode.h"
#include "kept.h"
#include "outdate.h"
#include "settle.h"

void fusecr_outdate(struct inode *inode)
{
	struct fuse_inode *fi = fl_inode(inode);

	spin_lock(fl_inode_lock(fi));
	*fl_inode_attr_version(fi) =
		atomic64_inc_return(fl_conn_attr_version(fl_sb_conn(inode->i_sb)));
	spin_unlock(fl_inode_lock(fi));
}

void fusecr_outdate_listing(struct inode *dir)
{
	inode_maybe_inc_iversion(dir, false);
}

/* As fuse_reverse_inval_inode() (fs/fuse/inode.c), which a daemon may call for at any time. */
static void outdate_inode(struct inode *inode, bool pages)
{
	if (!inode)
		return;
	fusecr_outdate(inode);
	set_mask_bits(fl_inode_inval_mask(fl_inode(inode)), 0, STATX_BASIC_STATS);
	forget_all_cached_acls(inode);
	if (S_ISDIR(inode->i_mode))
		fusecr_outdate_listing(inode);
	if (pages && S_ISREG(inode->i_mode))
		invalidate_inode_pages2(inode->i_mapping);
}

enum changes {
	CHANGES_NOTHING,
	CHANGES_ATTRIBUTES,	/* and names, if there are some in it */
	CHANGES_PAGES,
};

static enum changes changes(const struct fusecr_kept *k)
{
	const struct fuse_open_in *open = k->in;

	switch (k->h.opcode) {
	case FUSE_SYMLINK:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_UNLINK:
	case FUSE_RMDIR:
	case FUSE_RENAME:
	case FUSE_RENAME2:
	case FUSE_LINK:
	case FUSE_CREATE:
	case FUSE_TMPFILE:
	case FUSE_SETXATTR:
	case FUSE_REMOVEXATTR:
		return CHANGES_ATTRIBUTES;
	case FUSE_SETATTR:
	case FUSE_WRITE:
	case FUSE_FALLOCATE:
	case FUSE_COPY_FILE_RANGE:
	case COMPAT_COPY_FILE_RANGE_64:
		return CHANGES_PAGES;
	case FUSE_OPEN:
		if (k->in_len >= sizeof(*open) && open->flags & O_TRUNC)
			return CHANGES_PAGES;
	}
	return CHANGES_NOTHING;
}

/* An image says what it likes. */
static loff_t end_of(u64 offset, u64 len)
{
	return offset > LLONG_MAX || len > LLONG_MAX - offset ? 0 : offset + len;
}

static loff_t copied_to(const struct fusecr_kept *k)
{
	const struct fuse_copy_file_range_in *in = k->in;
	u64 len;

	if (k->in_len < sizeof(*in) || k->answer.count != 1 ||
	    k->answer.size[0] < sizeof(struct fuse_write_out))
		return 0;
	/* Of the newer one the answer is a number of 64 bits. */
	len = k->answer.size[0] < sizeof(u64) || k->h.opcode == FUSE_COPY_FILE_RANGE ?
	      ((struct fuse_write_out *)k->out)->size : *(u64 *)k->out;
	return end_of(in->off_out, min(len, in->len));
}

/* How long the file is at least; 0: that it does not tell. */
static loff_t reaches(const struct fusecr_kept *k)
{
	const struct fuse_fallocate_in *falloc = k->in;
	loff_t from, to;

	switch (k->h.opcode) {
	case FUSE_WRITE:
		return fusecr_settle_range(k, &from, &to) ? to : 0;
	case FUSE_FALLOCATE:
		return k->in_len < sizeof(*falloc) || falloc->mode & FALLOC_FL_KEEP_SIZE ?
		       0 : end_of(falloc->offset, falloc->length);
	case FUSE_COPY_FILE_RANGE:
	case COMPAT_COPY_FILE_RANGE_64:
		return copied_to(k);
	}
	return 0;
}

/* With a write-back cache the daemon is not asked for the size. */
static void grow(const struct fusecr_kept *k)
{
	struct inode *inode = k->file_out ? file_inode(k->file_out) : k->inodes[0];
	loff_t end = reaches(k);

	if (!inode || !end || !fl_bit(k->fc, FL_CONN_WRITEBACK_CACHE))
		return;
	inode_lock(inode);
	if (end > i_size_read(inode))
		i_size_write(inode, end);
	inode_unlock(inode);
}

void kept_outdate(struct fusecr_kept *k)
{
	enum changes what = changes(k);
	unsigned int i;

	if (what == CHANGES_NOTHING || k->settled)
		return;
	for (i = 0; i < KEPT_NAMES; i++) {
		const struct kept_name *n = &k->names[i];

		if (n->name)
			fusecr_inode_drop_child(k->sb, n->parent, n->name, n->len,
						n->nodeid);
	}
	grow(k);
	/* The parents are pinned, too, see kept_find_names(). */
	for (i = 0; i < KEPT_INODES; i++)
		outdate_inode(k->inodes[i], what == CHANGES_PAGES);
	if (k->file_out)
		outdate_inode(file_inode(k->file_out), true);
}
