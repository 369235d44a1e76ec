// SPDX-License-Identifier: GPL-2.0
/* POSIX locks that the kernel keeps, see lock.h. */

#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/sched/task.h>

#include "compat.h"
#include "conn.h"
#include "layout.h"
#include "lock.h"
#include "undo.h"
#include "use.h"

struct undo_lock {
	struct fusecr_undo undo;
	struct task_struct *task;	/* counted */
	struct file *file;		/* counted */
	const void *owner;		/* its files_struct, to be compared only */
	loff_t start;
	loff_t end;
};

static int set(const struct undo_lock *u, unsigned char type)
{
	struct file_lock lock;

	locks_init_lock(&lock);
	compat_posix_lock(&lock, u->file, u->owner, task_tgid_nr(u->task),
			  type);
	lock.fl_start = u->start;
	lock.fl_end = u->end;
	/* fuse's ->lock does no more where no daemon keeps them. */
	return posix_lock_file(u->file, &lock, NULL);
}

static void lock_back(struct fusecr_undo *undo)
{
	struct undo_lock *u = fusecr_undo_of(undo, struct undo_lock);

	/* One that has ended has no locks, and its number may be another's. */
	if (fusecr_use_table(u->task) == u->owner)
		set(u, F_UNLCK);
}

static void lock_drop(struct fusecr_undo *undo)
{
	struct undo_lock *u = fusecr_undo_of(undo, struct undo_lock);

	fput(u->file);
	put_task_struct(u->task);
}

/* A close that went before has not seen the lock, as in fcntl_setlk(), fs/locks.c. */
static bool is_still_open(const struct fusecr_conn *conn,
			  const struct fusecr_use *use, u64 nodeid,
			  const struct undo_lock *u)
{
	struct file *file = fusecr_use_find(conn, use, nodeid);
	bool same = file == u->file && fusecr_use_table(u->task) == u->owner;

	if (!IS_ERR(file))
		fput(file);
	return same;
}

static int check(const struct fusecr_conn *conn,
		 const struct fusecr_set_lock *in)
{
	if (in->type != F_RDLCK && in->type != F_WRLCK)
		return -EINVAL;
	if (in->start > in->end || in->end > OFFSET_MAX)
		return -EINVAL;
	return fl_conn_no(conn->fc) & FUSECR_NO_LOCK ? 0 : -EOPNOTSUPP;
}

static bool is_allowed(const struct file *file, unsigned char type)
{
	return file->f_mode & (type == F_RDLCK ? FMODE_READ : FMODE_WRITE);
}

int fusecr_set_lock(const struct fusecr_conn *conn,
		    const struct fusecr_set_lock *in, struct list_head *list)
{
	const struct fusecr_use use = { in->pid, FUSECR_FILE_FD, in->number };
	struct undo_lock *u;
	int err;

	err = check(conn, in);
	if (err)
		return err;
	u = fusecr_undo_new(struct undo_lock, lock_back, lock_drop);
	if (!u)
		return -ENOMEM;
	err = -ESRCH;
	u->task = fusecr_use_task(in->pid);
	if (!u->task)
		goto err_undo;
	u->owner = fusecr_use_table(u->task);
	u->start = in->start;
	u->end = in->end;
	u->file = fusecr_use_find(conn, &use, in->nodeid);
	err = PTR_ERR_OR_ZERO(u->file);
	if (err)
		goto err_task;
	err = is_allowed(u->file, in->type) ? set(u, in->type) : -EBADF;
	if (!err && !is_still_open(conn, &use, in->nodeid, u)) {
		set(u, F_UNLCK);
		err = -EBADF;
	}
	if (err)
		goto err_file;
	list_add(&u->undo.entry, list);
	return 0;

err_file:
	fput(u->file);
err_task:
	put_task_struct(u->task);
err_undo:
	kfree(u);
	return err;
}
