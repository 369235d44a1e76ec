// SPDX-License-Identifier: GPL-2.0
/* Kept WRITEs take effect before they are claimed, see settle.h. */

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fuse.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

#include "defer.h"
#include "inode.h"
#include "kept.h"
#include "settle.h"

struct fusecr_settling {
	struct inode *inode;	/* counted */
	struct file *file;	/* counted */
	/* Looked for again by both: it may be gone, and another be there. */
	const struct fusecr_kept *k;
	u64 unique;
	bool moves;		/* the position of the open file */
};

bool fusecr_settle_range(const struct fusecr_kept *k, loff_t *from, loff_t *to)
{
	const struct fuse_write_in *in = k->in;
	const struct fuse_write_out *out = k->out;

	/* An image says what it likes. */
	if (k->error || k->in_len < sizeof(*in) || k->answer.count != 1 ||
	    k->answer.size[0] < sizeof(*out) ||
	    in->offset > (u64)LLONG_MAX - in->size)
		return false;
	*from = in->offset;
	*to = in->offset + min(in->size, out->size);
	return true;
}

struct fusecr_settling *fusecr_settle_prepare(struct fusecr_kept *k)
{
	struct fusecr_settling *s;

	lockdep_assert_held(&kept_lock);
	if (!kept_is_waited_for(k) || k->state != KEPT_ANSWERED || k->settled ||
	    k->settling)
		return NULL;
	/* Without memory whoever needs it tries again. */
	s = kmalloc(sizeof(*s), GFP_ATOMIC);
	if (!s)
		return NULL;
	s->inode = k->inodes[0];
	s->file = get_file(k->file);
	s->k = k;
	s->unique = k->h.unique;
	s->moves = k->placed == KEPT_AT_POSITION;
	k->settling = true;
	ihold(s->inode);
	return s;
}

/* From where to where it was written; false: it is claimed, or was not done. */
static bool mark(const struct fusecr_settling *s, loff_t *from, loff_t *to,
		 bool *overtaken)
{
	struct fusecr_kept *k;
	bool done = false;

	spin_lock(&kept_lock);
	list_for_each_entry(k, &kept_list, entry) {
		if (k != s->k || k->h.unique != s->unique ||
		    k->state != KEPT_ANSWERED || k->settled)
			continue;
		k->settled = true;
		*overtaken = k->overtaken;
		done = fusecr_settle_range(k, from, to);
		break;
	}
	spin_unlock(&kept_lock);
	return done;
}

/* What a write changes, FUSE_STATX_MODSIZE in fs/fuse/fuse_i.h. */
#define MODSIZE	(STATX_MTIME | STATX_CTIME | STATX_BLOCKS | STATX_SIZE)

/* As fuse_write_update_attr() does it (fs/fuse/file.c). */
static void grow(struct inode *inode, loff_t end)
{
	struct fuse_inode *fi = fl_inode(inode);

	spin_lock(fl_inode_lock(fi));
	*fl_inode_attr_version(fi) =
		atomic64_inc_return(fl_conn_attr_version(fl_sb_conn(inode->i_sb)));
	if (end > i_size_read(inode))
		i_size_write(inode, end);
	spin_unlock(fl_inode_lock(fi));
	set_mask_bits(fl_inode_inval_mask(fi), 0, MODSIZE);
}

static void settle(void *arg)
{
	struct fusecr_settling *s = arg;
	bool overtaken = false;
	loff_t from, to;

	/* In the order of write(2). */
	if (s->moves)
		mutex_lock(&s->file->f_pos_lock);
	inode_lock(s->inode);
	if (mark(s, &from, &to, &overtaken) && to > from) {
		/* Who has read the old end has something else there. */
		invalidate_inode_pages2_range(s->inode->i_mapping, from >> PAGE_SHIFT,
					      (to - 1) >> PAGE_SHIFT);
		/* Who wrote since, or cut the file, has told the size. */
		grow(s->inode, overtaken ? 0 : to);
		if (s->moves && s->file->f_pos == from)
			s->file->f_pos = to;
	}
	inode_unlock(s->inode);
	if (s->moves)
		mutex_unlock(&s->file->f_pos_lock);
	fusecr_inode_put(s->inode);
	fput(s->file);
	kfree(s);
}

void fusecr_settle(struct fusecr_settling *s)
{
	if (s)
		fusecr_defer(settle, s);
}

void fusecr_settle_claimed(struct fusecr_kept *k)
{
	struct fusecr_settling *s;

	spin_lock(&kept_lock);
	s = fusecr_settle_prepare(k);
	k->claiming = false;
	spin_unlock(&kept_lock);
	fusecr_settle(s);
}
