// SPDX-License-Identifier: GPL-2.0
/* What an answer to a kept request brought and nobody wants, see kept.h. */

#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "inode.h"
#include "input.h"
#include "kept.h"
#include "outdate.h"

/* What the daemon has open for nobody stays so; there is no one to tell that it failed. */
#define MUST_GIVE_BACK	(GFP_KERNEL | __GFP_NOFAIL)

static void forget(const struct fusecr_kept *k, u64 nodeid)
{
	struct fusecr_forgets forgets = { };

	if (nodeid <= FUSE_ROOT_ID || fusecr_forgets_add(&forgets, nodeid, 1, MUST_GIVE_BACK))
		return;
	fusecr_forgets_queue(&forgets, k->fc);
	fusecr_forgets_free(&forgets);
}

void kept_forget_plus(struct fusecr_kept *k)
{
	void *at = k->out;
	const void *end = at + (k->answer.count ? k->answer.size[0] : 0);

	while (end - at >= FUSE_NAME_OFFSET_DIRENTPLUS) {
		struct fuse_direntplus *d = at;
		size_t len = FUSE_DIRENTPLUS_SIZE(d);
		u32 n = d->dirent.namelen;

		/* As fuse does (parse_dirplusfile(), fs/fuse/readdir.c). */
		if (!n || n >= PATH_MAX || len > end - at)
			break;
		if (!(n <= 2 && !memcmp(d->dirent.name, "..", n)))
			forget(k, d->entry_out.nodeid);
		d->entry_out.nodeid = 0;
		at += len;
	}
}

struct release {
	struct fuse_release_in in;
	struct fuse_conn *fc;		/* stays until all is answered */
	struct fusecr_forgets forgets;	/* then */
	unsigned long args[];
};

static void release_free(struct release *r)
{
	fusecr_forgets_free(&r->forgets);
	kfree(r);
	module_put(THIS_MODULE);
}

static void release_end(void *args)
{
	struct release *r = container_of(args, struct release, args);

	fusecr_forgets_queue(&r->forgets, r->fc);
	release_free(r);
}

static void release_end_6_1(struct fuse_mount *fm, struct fuse_args *args, int error)
{
	release_end(args);
}

static void release_end_7_3(struct fuse_args *args, int error)
{
	release_end(args);
}

/* @forgets: a node that goes with the handle, and not before it. */
static void release(const struct fusecr_kept *k, u64 nodeid, u64 fh,
		    bool forgets)
{
	bool dir = k->h.opcode == FUSE_OPENDIR;
	struct release *r = kzalloc(sizeof(*r) + fl_size(FL_ARGS), MUST_GIVE_BACK);
	struct fuse_args *args;

	/* The daemon may take any time to answer it. */
	__module_get(THIS_MODULE);
	r->fc = k->fc;
	if (forgets && nodeid > FUSE_ROOT_ID)
		fusecr_forgets_add(&r->forgets, nodeid, 1, MUST_GIVE_BACK);
	r->in.fh = fh;
	if (k->in_len >= sizeof(u32))
		r->in.flags = *(u32 *)k->in;
	args = (void *)r->args;
	*fl_args_nodeid(args) = nodeid;
	*fl_args_opcode(args) = dir ? FUSE_RELEASEDIR : FUSE_RELEASE;
	*fl_args_in_numargs(args) = 1;
	fl_args_set_in(args, 0, sizeof(r->in), &r->in);
	if (kept_send(k, args, release_end_6_1, release_end_7_3, MUST_GIVE_BACK))
		release_free(r);
}

struct unlock {
	struct fuse_lk_in in;
	unsigned long args[];
};

static void unlock_end(void *args)
{
	kfree(container_of(args, struct unlock, args));
	module_put(THIS_MODULE);
}

static void unlock_end_6_1(struct fuse_mount *fm, struct fuse_args *args, int error)
{
	unlock_end(args);
}

static void unlock_end_7_3(struct fuse_args *args, int error)
{
	unlock_end(args);
}

/* Another thread of it may have a lock there, too, of the same owner: by the open file. */
static bool process_lives(const struct fusecr_kept *k)
{
	struct task_struct *task = get_pid_task(k->tgid, PIDTYPE_TGID);
	bool lives = task && !(READ_ONCE(task->signal->flags) & SIGNAL_GROUP_EXIT);

	if (task)
		put_task_struct(task);
	return lives;
}

/*
 * Who was killed has closed the file, which told the daemon to let go of his locks (FLUSH):
 * too early for this one.  Without all this he would have waited for it.
 */
static void unlock(const struct fusecr_kept *k)
{
	const struct fuse_lk_in *in = k->in;
	struct fuse_args *args;
	struct unlock *u;

	/* flock() goes with the open file, at its RELEASE. */
	if (k->in_len < sizeof(*in) || in->lk.type == F_UNLCK ||
	    in->lk_flags & FUSE_LK_FLOCK ||
	    (k->file && file_count(k->file) > 1 && process_lives(k)))
		return;
	u = kzalloc(sizeof(*u) + fl_size(FL_ARGS), MUST_GIVE_BACK);
	__module_get(THIS_MODULE);
	u->in = *in;
	u->in.lk.type = F_UNLCK;
	u->in.lk.pid = 0;
	args = (void *)u->args;
	*fl_args_nodeid(args) = k->h.nodeid;
	*fl_args_opcode(args) = FUSE_SETLK;
	*fl_args_in_numargs(args) = 1;
	fl_args_set_in(args, 0, sizeof(u->in), &u->in);
	if (kept_send(k, args, unlock_end_6_1, unlock_end_7_3, MUST_GIVE_BACK))
		unlock_end(args);
}

/* One argument of the answer; NULL when it has less than @size bytes. */
static const void *answer_at(const struct fusecr_kept *k, u32 nth, u32 size)
{
	const void *at = k->out;
	u32 i;

	for (i = 0; i < nth; i++)
		at += k->answer.size[i];
	return nth < k->answer.count && k->answer.size[nth] >= size ? at : NULL;
}

static void give_back_all(struct fusecr_kept *k)
{
	/* What an image says that an answer was, it need not have been. */
	const struct fuse_entry_out *entry = answer_at(k, 0, sizeof(entry->nodeid));
	const struct fuse_open_out *open = answer_at(k, 0, sizeof(*open));

	switch (k->h.opcode) {
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		if (open)
			release(k, k->h.nodeid, open->fh, false);
		break;
	case FUSE_CREATE:
	case FUSE_TMPFILE:
		open = answer_at(k, 1, sizeof(*open));
		if (entry && open)
			release(k, entry->nodeid, open->fh, true);
		break;
	case FUSE_LOOKUP:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_SYMLINK:
	case FUSE_LINK:
		if (entry)
			forget(k, entry->nodeid);
		break;
	case FUSE_SETLK:
	case FUSE_SETLKW:
		unlock(k);
		break;
	case FUSE_READDIRPLUS:
		kept_forget_plus(k);
		break;
	}
}

/* As fuse does it when who waits is gone: fuse_file_put(), fuse_iput(). */
static void finish(struct fusecr_kept *k, bool wanted)
{
	unsigned int i;

	/* A connection that has ended takes neither. */
	if (!wanted && !k->error) {
		give_back_all(k);
		kept_outdate(k);
	}
	for (i = 0; i < KEPT_NAMES; i++)
		if (k->names[i].reserved)
			forget(k, k->names[i].nodeid);
	kept_free(k);
}

void kept_give_back(void *k)
{
	finish(k, false);
}

void kept_free_later(void *k)
{
	finish(k, true);
}
