// SPDX-License-Identifier: GPL-2.0
/* One open file in several places, see share.h. */

#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "conn.h"
#include "layout.h"
#include "share.h"
#include "undo.h"
#include "use.h"

#define IOM_NONE	0	/* fs/fuse/fuse_i.h, since 6.9 */
#define IOM_CACHED	1

struct undo_share {
	struct fusecr_undo undo;
	struct mm_struct *mm;		/* not a user of it */
	struct fusecr_use use;
	struct file *in_place;
	struct file *other;		/* counted; first the old one */
	bool iomode;			/* was exchanged, too */
};

/*
 * What mmap() has made of @from and not yet of @to: write-back finds a file of
 * the inode's that can write, and uncached I/O is kept off.  Whether that is
 * counted for the one or the other is the same, as long as each release gives
 * back what its file says: not that of a file without arguments for it, which has
 * no I/O modes (fuse_file_put(), fs/fuse/file.c, since 6.9).  True when the counted
 * state changed hands.
 */
static bool carry_mapped(struct file *from, struct file *to, bool iomode)
{
	struct fuse_inode *fi = fl_inode(file_inode(from));
	struct fuse_file *old = fl_file(from), *new = fl_file(to);
	bool changed = false;

	spin_lock(fl_inode_lock(fi));
	if (!list_empty(fl_file_write_entry(old)) &&
	    list_empty(fl_file_write_entry(new)))
		list_add(fl_file_write_entry(new), fl_inode_write_files(fi));
	if (iomode && fl_has(FL_FILE_IOMODE) && fl_has(FL_FILE_ARGS) &&
	    *fl_file_args(new) &&
	    *fl_file_iomode(old) == IOM_CACHED &&
	    *fl_file_iomode(new) == IOM_NONE) {
		*fl_file_iomode(old) = IOM_NONE;
		*fl_file_iomode(new) = IOM_CACHED;
		changed = true;
	}
	spin_unlock(fl_inode_lock(fi));
	return changed;
}

static void share_back(struct fusecr_undo *undo)
{
	struct undo_share *u = fusecr_undo_of(undo, struct undo_share);

	if (!mmget_not_zero(u->mm))
		return;
	if (!fusecr_use_exchange(u->mm, &u->use, u->in_place, u->other)) {
		swap(u->in_place, u->other);
		if (u->iomode)
			carry_mapped(u->other, u->in_place, true);
	}
	mmput_async(u->mm);
}

static void share_drop(struct fusecr_undo *undo)
{
	struct undo_share *u = fusecr_undo_of(undo, struct undo_share);

	fput(u->other);
	mmdrop(u->mm);
}

/* Takes over the references to both files if it succeeds. */
static int share(struct undo_share *u, struct file *from, struct file *to)
{
	struct mm_struct *mm = fusecr_use_mm(&u->use);
	int err;

	if (!mm)
		return -ESRCH;
	/* Before the first fault that may look for it. */
	u->iomode = carry_mapped(from, to, true);
	err = fusecr_use_exchange(mm, &u->use, from, to);
	if (!err) {
		/* The mapping's reference is ours now, the one too many goes. */
		fput(from);
		mmgrab(mm);
		u->mm = mm;
		u->in_place = to;
		u->other = from;
	} else if (u->iomode) {
		carry_mapped(to, from, true);
	}
	mmput_async(mm);
	return err;
}

/* One mapping, or the program. */
static int share_one(struct fusecr_conn *conn, const struct fusecr_use *place,
		     struct file *to, u64 nodeid, struct list_head *list)
{
	struct file *from = fusecr_use_find(conn, place, nodeid);
	struct undo_share *undo;
	int err = 0;

	if (IS_ERR(from))
		return PTR_ERR(from);
	if (from == to)
		goto err_from;
	err = -ESTALE;
	if (file_inode(from) != file_inode(to))
		goto err_from;
	err = -ENOMEM;
	undo = fusecr_undo_new(struct undo_share, share_back, share_drop);
	if (!undo)
		goto err_from;
	undo->use = *place;
	err = share(undo, from, get_file(to));
	if (err)
		goto err_undo;
	list_add(&undo->undo.entry, list);
	return 0;

err_undo:
	fput(to);
	kfree(undo);
err_from:
	fput(from);
	return err;
}

static int share_maps(struct fusecr_conn *conn,
		      const struct fusecr_share_file *in, struct file *to,
		      struct list_head *list)
{
	struct fusecr_use place = { in->pid, in->use, in->number };
	struct mm_struct *mm = fusecr_use_mm(&place);
	int err = 0;

	if (!mm)
		return -ESRCH;
	while (!err && place.number < in->end) {
		err = share_one(conn, &place, to, in->nodeid, list);
		place.number = fusecr_use_end(mm, place.number);
		if (!err && !place.number)
			err = -EINTR;
	}
	mmput_async(mm);
	return err;
}

/* As who made it before: permissions were looked at then. */
static struct file *reopen(struct file *file)
{
	struct file *again;

	again = dentry_open(&file->f_path,
			    file->f_flags & (O_ACCMODE | O_LARGEFILE),
			    current_cred());
	fput(file);
	return again;
}

int fusecr_share_file(struct fusecr_conn *conn,
		      const struct fusecr_share_file *in,
		      struct list_head *list)
{
	const struct fusecr_use place = { in->pid, in->use, in->number };
	const struct fusecr_use source = { in->from_pid, in->from_use,
					   in->from_number };
	struct file *to;
	LIST_HEAD(done);
	int err;

	if (in->use != FUSECR_FILE_MAP && in->use != FUSECR_FILE_EXE)
		return -EINVAL;
	if (in->use == FUSECR_FILE_MAP && in->end <= in->number)
		return -EINVAL;
	if (in->flags & ~FUSECR_SHARE_REOPEN || in->reserved)
		return -EINVAL;
	to = fusecr_use_find(conn, &source, in->nodeid);
	if (!IS_ERR(to) && in->flags & FUSECR_SHARE_REOPEN)
		to = reopen(to);
	if (IS_ERR(to))
		return PTR_ERR(to);
	if (in->use == FUSECR_FILE_MAP)
		err = share_maps(conn, in, to, &done);
	else
		err = share_one(conn, &place, to, in->nodeid, &done);
	if (err)
		fusecr_undo_all(&done);
	else
		list_splice(&done, list);
	fput(to);
	return err;
}
