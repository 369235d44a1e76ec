// SPDX-License-Identifier: GPL-2.0
/*
 * Takes requests out of their waiters' hands, see keep.h.
 *
 * What an error does to which request was read from fs/fuse, fs and mm of 6.1,
 * 6.12 and 7.3; Documentation/gate.md has the table.
 */

#include <linux/fs.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <uapi/linux/audit.h>
#include <asm/syscall.h>
#include <asm/unistd.h>

#include "closing.h"
#include "compat.h"
#include "conn.h"
#include "hold.h"
#include "hook.h"
#include "inode.h"
#include "keep.h"
#include "kept.h"
#include "origin.h"
#include "queue.h"

/* Of one request, while its list's lock is held. */
struct candidate {
	struct fuse_in_header h;
	u32 in_len;
	struct fusecr_answer room;
	bool argvar;
	bool background;	/* a READ ahead: who waits for it waits for pages */
	u64 offset;		/* of READ and WRITE */
	bool direct;
	bool cuts;		/* SETATTR and OPEN: the file becomes shorter */
	struct fusecr_origin origin;	/* of one that is not in the background */
};

/* Those that were found and cannot be taken, not to find them again. */
#define SKIPPED_MAX	64

struct taking {
	const struct fusecr_conn *conn;
	const struct fusecr_taker *taker;
	u64 skipped[SKIPPED_MAX];
	unsigned int nr_skipped;
};

/* --- which ----------------------------------------------------------------------- */

/* A write that has to be on disk asks for this in the middle. */
static bool is_sync_call(int nr)
{
	switch (nr) {
	case __NR_fsync:
	case __NR_fdatasync:
	case __NR_sync_file_range:
	case __NR_msync:
		return true;
	}
	return false;
}

/* Events, not results of a system call that would start over. */
static bool is_async_call(int nr)
{
	switch (nr) {
	case __NR_io_submit:
	case __NR_io_uring_enter:
		return true;
	}
	return false;
}

static bool can_start_over(u32 opcode, int nr, const struct fuse_args *args)
{
	struct fuse_setattr_in setattr = { };

	switch (opcode) {
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		/* A watcher opens what he is told of: an error is the event's. */
		return nr != __NR_read && nr != __NR_readv;
	case FUSE_LOOKUP:
	case FUSE_GETATTR:
	case FUSE_READLINK:
	case FUSE_SYMLINK:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_UNLINK:
	case FUSE_RMDIR:
	case FUSE_RENAME:
	case FUSE_LINK:
	case FUSE_READ:
	case FUSE_WRITE:
	case FUSE_STATFS:
	case FUSE_SETXATTR:
	case FUSE_GETXATTR:
	case FUSE_LISTXATTR:
	case FUSE_REMOVEXATTR:
	case FUSE_READDIR:
	case FUSE_GETLK:
	case FUSE_SETLK:
	case FUSE_SETLKW:
	case FUSE_ACCESS:
	case FUSE_CREATE:
	case FUSE_IOCTL:
	case FUSE_FALLOCATE:
	case FUSE_READDIRPLUS:
	case FUSE_RENAME2:
	case FUSE_LSEEK:
	case FUSE_COPY_FILE_RANGE:
	case FUSE_TMPFILE:
	case COMPAT_STATX:
	case COMPAT_COPY_FILE_RANGE_64:
		return true;
	case FUSE_FSYNC:
	case FUSE_FSYNCDIR:
		return is_sync_call(nr);
	case FUSE_FLUSH:
		/* See undo_close(). */
		return fusecr_closing_can_undo(nr);
	case FUSE_SETATTR:
		/* fuse_flush_times(): the inode is clean already. */
		fusecr_payload_in(&setattr, args, 0,
				  min_t(u32, sizeof(setattr),
					fusecr_payload_in_len(args)));
		return setattr.valid &
		       ~(FATTR_MTIME | FATTR_CTIME | FATTR_FH);
	}
	return false;
}

static bool can_take_from(struct task_struct *task, const struct fuse_req *req)
{
	u32 opcode = fl_req_in_h(req)->opcode;
	int nr;

	/* A core would be cut short. */
	if (READ_ONCE(task->flags) & (PF_EXITING | PF_DUMPCORE | PF_POSTCOREDUMP |
				      PF_KTHREAD | COMPAT_PF_WORKER) ||
	    task->in_execve)
		return false;
	/* Of a 32-bit program the numbers are others. */
	if (IS_ENABLED(CONFIG_64BIT) &&
	    !(syscall_get_arch(task) & __AUDIT_ARCH_64BIT))
		return false;
	nr = syscall_get_nr(task, task_pt_regs(task));
	/* A page fault, whose second attempt would be a SIGBUS. */
	if (nr < 0 || is_async_call(nr))
		return false;
	/* Its answer may need the signal. */
	if (kept_is_lock(opcode) && task_sigpending(task))
		return false;
	return can_start_over(opcode, nr, *fl_req_args(req));
}

static bool is_read_ahead(const struct fuse_req *req)
{
	return fl_req_in_h(req)->opcode == FUSE_READ &&
	       fl_req_test(req, FL_FR_BACKGROUND) &&
	       !fl_bit(*fl_req_args(req), FL_ARGS_USER_PAGES);
}

static bool is_skipped(const struct taking *t, u64 unique)
{
	unsigned int i;

	for (i = 0; i < t->nr_skipped; i++)
		if (t->skipped[i] == unique)
			return true;
	return t->nr_skipped == SKIPPED_MAX;
}

/* Caller holds the lock of the list. */
static bool is_candidate(const struct taking *t, const struct fuse_req *req)
{
	struct task_struct *task;
	bool ok;

	if (!fl_req_test(req, FL_FR_ISREPLY) || fusecr_keep_is_proxy(req) ||
	    is_skipped(t, fl_req_unique(req)))
		return false;
	if (is_read_ahead(req))
		return true;
	/* Numbered in the daemon's world, or it is not found there again. */
	if (fl_req_test(req, FL_FR_BACKGROUND) || !fl_req_in_h(req)->pid)
		return false;
	task = fusecr_queue_waiter(req);
	if (!task)
		return false;
	ok = !t->taker->spares(task, t->taker->arg) && can_take_from(task, req);
	put_task_struct(task);
	return ok;
}

/* It cuts the file. */
static bool cuts(const struct fuse_req *req)
{
	struct fuse_setattr_in setattr = { };
	struct fuse_open_in open = { };
	const struct fuse_args *args = *fl_req_args(req);
	u32 len = fusecr_payload_in_len(args);

	switch (fl_req_in_h(req)->opcode) {
	case FUSE_SETATTR:
		fusecr_payload_in(&setattr, args, 0, min_t(u32, sizeof(setattr), len));
		return setattr.valid & FATTR_SIZE;
	case FUSE_OPEN:
		fusecr_payload_in(&open, args, 0, min_t(u32, sizeof(open), len));
		return open.flags & O_TRUNC;
	}
	return false;
}

static void describe_data(struct candidate *c, const struct fuse_req *req)
{
	const struct fuse_args *args = *fl_req_args(req);
	struct fuse_write_in in = { };

	static_assert(offsetof(struct fuse_read_in, offset) ==
		      offsetof(struct fuse_write_in, offset));
	fusecr_payload_in(&in, args, 0, min_t(u32, sizeof(in), c->in_len));
	c->offset = in.offset;
	c->direct = fl_bit(args, FL_ARGS_USER_PAGES);
}

/* Who reads ahead need not wait for it. */
static void describe_reader(struct candidate *c, const struct fuse_conn *fc)
{
	struct pid_namespace *ns = READ_ONCE(*fl_conn_pid_ns(fc));
	struct task_struct *task;

	rcu_read_lock();
	task = c->h.pid ? pid_task(find_pid_ns(c->h.pid, ns), PIDTYPE_PID) : NULL;
	if (task)
		c->origin.task = get_task_struct(task);
	rcu_read_unlock();
}

/* Of its origin more is asked once the locks are let go. */
static void describe_origin(struct candidate *c, const struct fuse_req *req)
{
	struct task_struct *task = fusecr_queue_waiter(req);

	if (!task)
		return;
	fusecr_origin_note(&c->origin, task);
	put_task_struct(task);
}

static void describe(struct candidate *c, const struct fuse_conn *fc,
		     const struct fuse_req *req)
{
	const struct fuse_args *args = *fl_req_args(req);
	u32 i;

	c->h = *fl_req_in_h(req);
	c->in_len = fusecr_payload_in_len(args);
	c->argvar = fl_bit(args, FL_ARGS_OUT_ARGVAR);
	c->room.count = fl_args_out_count(args);
	for (i = 0; i < c->room.count; i++)
		c->room.size[i] = *fl_args_out_size(args, i);
	c->background = fl_req_test(req, FL_FR_BACKGROUND);
	c->cuts = cuts(req);
	if (c->h.opcode == FUSE_READ || c->h.opcode == FUSE_WRITE)
		describe_data(c, req);
	if (c->background)
		describe_reader(c, fc);
	else
		describe_origin(c, req);
}

static bool is_dir(struct super_block *sb, u64 nodeid)
{
	struct inode *inode = sb ? fusecr_inode_find(sb, nodeid) : NULL;
	bool dir = inode && S_ISDIR(inode->i_mode);

	fusecr_inode_put(inode);
	return dir;
}

/*
 * Nothing is written back while a file is cut (fuse_set_nowrite(), fs/fuse/dir.c).  Who
 * comes out of that call lets what is dirty be written behind the end that the daemon has
 * made.
 */
static bool may_grow_again(const struct fuse_conn *fc, struct super_block *sb,
			   u64 nodeid)
{
	struct inode *inode = fusecr_inode_find(sb, nodeid);
	bool may = inode && (fl_bit(fc, FL_CONN_WRITEBACK_CACHE) ||
			     mapping_writably_mapped(inode->i_mapping) ||
			     mapping_tagged(inode->i_mapping, PAGECACHE_TAG_DIRTY) ||
			     mapping_tagged(inode->i_mapping, PAGECACHE_TAG_WRITEBACK) ||
			     (S_ISREG(inode->i_mode) &&
			      fl_inode_writeback_copies(fl_inode(inode))));

	fusecr_inode_put(inode);
	return may;
}

/*
 * The rest of what can_take_from() asks, for which no lock may be held.
 *
 * What an open() has created is there when it starts over, and with O_EXCL, or with a
 * mode that does not permit what was opened, it fails.  Then may_open() asks for the
 * attributes of what was created (fs/namei.c, do_open(); with default_permissions),
 * and without CREATE fuse opens what it has made with MKNOD (fuse_atomic_open(),
 * finish_no_open()).
 */
static bool starts_over(const struct candidate *c, const struct fuse_conn *fc,
			struct super_block *sb)
{
	const struct fusecr_origin *o = &c->origin;

	if (c->background)
		return o->task;
	if (!o->task || (c->cuts && may_grow_again(fc, sb, c->h.nodeid)))
		return false;
	switch (c->h.opcode) {
	case FUSE_READ:
	case FUSE_WRITE:
		return fusecr_origin_starts_over(o, fc, c->h.nodeid,
						 c->offset, c->direct);
	case FUSE_GETXATTR:
		/*
		 * What write() and truncate() ask for is not there if that fails, and
		 * they go on: cap_inode_need_killpriv(), security/commoncap.c.
		 */
		return fusecr_origin_is_getxattr(o);
	case FUSE_OPEN:
		return !fusecr_origin_may_create(o) ||
		       !fl_bit(fc, FL_CONN_NO_CREATE);
	case FUSE_GETATTR:
	case COMPAT_STATX:
		return !fusecr_origin_may_create(o) ||
		       is_dir(sb, c->h.nodeid);
	}
	return true;
}

bool kept_can_start_over(const struct fuse_conn *fc, const struct fuse_req *req)
{
	struct candidate c = { .h = *fl_req_in_h(req) };
	bool ok;

	if (!can_take_from(current, req))
		return false;
	c.in_len = fusecr_payload_in_len(*fl_req_args(req));
	describe_data(&c, req);
	fusecr_origin_note(&c.origin, current);
	ok = starts_over(&c, fc, NULL);
	fusecr_origin_put(&c.origin);
	return ok;
}

/* Calls @fn for each request that a device has read, until it says true; fl_pq_lock() held. */
static bool each_processing(const struct fuse_conn *fc,
			    bool (*fn)(struct fuse_dev *fud,
				       struct fuse_req *req, void *arg),
			    void *arg)
{
	const struct list_head *entry;
	bool done = false;
	unsigned int i;

	spin_lock(fl_conn_dev_lock(fc));
	list_for_each(entry, fl_conn_devices(fc)) {
		struct fuse_dev *fud = fl_dev_from_entry(entry);
		struct list_head *at, *next;

		spin_lock(fl_pq_lock(fud));
		for (i = 0; !done && i < FL_PQ_HASH_SIZE; i++)
			list_for_each_safe(at, next, &fl_pq_processing(fud)[i])
				if (fn(fud, fl_req_from_list(at), arg)) {
					done = true;
					break;
				}
		spin_unlock(fl_pq_lock(fud));
		if (done)
			break;
	}
	spin_unlock(fl_conn_dev_lock(fc));
	return done;
}

/* --- one that was read --------------------------------------------------------------- */

struct finding {
	const struct taking *t;
	struct candidate c;
};

static bool find_one(struct fuse_dev *fud, struct fuse_req *req, void *arg)
{
	struct finding *f = arg;

	if (!is_candidate(f->t, req))
		return false;
	describe(&f->c, f->t->conn->fc, req);
	return true;
}

struct swapping {
	const struct fusecr_taker *taker;
	struct fusecr_kept *k;
	const struct candidate *c;
	struct task_struct *task;	/* out, counted */
	struct fuse_req *req;		/* out, on no list */
	int err;
};

/*
 * Nothing can fail after this: who looks at the table finds it open again.  With
 * the lock under which the request would be answered.
 */
static bool undo_close(struct swapping *s)
{
	const struct fuse_in_header *h = &s->c->h;
	struct fusecr_kept *k = s->k;

	if (h->opcode != FUSE_FLUSH)
		return true;
	/* The node comes first, see kept_new(). */
	if (!k->inodes[0] || k->in_len < sizeof(struct fuse_flush_in))
		return false;
	k->file = fusecr_closing_undo(s->task, k->inodes[0],
				      ((struct fuse_flush_in *)k->in)->fh);
	return k->file;
}

static void note_sender(struct fusecr_kept *k, struct task_struct *task)
{
	k->tid = get_task_pid(task, PIDTYPE_PID);
	k->tgid = get_task_pid(task, PIDTYPE_TGID);
}

/*
 * A signal had its waiter tell the daemon, who need not have read that yet; or may want to
 * be told again.  Not so a nudge of ours.  Caller holds fl_pq_lock().
 */
static void pass_interrupt(struct fusecr_kept *k, const struct fuse_req *req,
			   struct task_struct *task)
{
	if (!fl_req_test(req, FL_FR_INTERRUPTED) || !task_sigpending(task) ||
	    fl_bit(k->fc, FL_CONN_NO_INTERRUPT) || kept_is_lock(k->h.opcode))
		return;
	fl_req_set(k->proxy, FL_FR_INTERRUPTED);
	fusecr_hook_interrupt(k->fc, k->proxy);
	k->interrupted = true;
}

static bool exchange(struct fuse_dev *fud, struct fuse_req *req, void *arg)
{
	struct swapping *s = arg;
	struct fusecr_kept *k = s->k;

	if (fl_req_unique(req) != s->c->h.unique || fusecr_keep_is_proxy(req))
		return false;
	s->err = -EAGAIN;
	if (!s->c->background) {
		s->task = fusecr_queue_waiter(req);
		/* A signal may have come since. */
		if (!s->task || !can_take_from(s->task, req))
			return true;
		/* Or it asks again at once, and is taken from again. */
		if (s->taker->hold(s->task, s->taker->arg) < 0)
			return true;
	}
	if (!*fl_pq_connected(fud) || !undo_close(s))
		return true;
	s->err = kept_place(k, fud);
	if (s->err)
		return true;
	note_sender(k, s->task ?: s->c->origin.task);
	if (s->task)
		pass_interrupt(k, req, s->task);
	/* Cleared first: no interrupt is queued for it from here on. */
	fl_req_clear(req, FL_FR_SENT);
	list_del_init(fl_req_list(req));
	s->req = req;
	s->err = 0;
	return true;
}

struct copying {
	struct fusecr_kept *k;
	u64 unique;
};

static bool copy(struct fuse_dev *fud, struct fuse_req *req, void *arg)
{
	const struct copying *c = arg;

	if (fl_req_unique(req) != c->unique || fusecr_keep_is_proxy(req))
		return false;
	fusecr_payload_in(c->k->in, *fl_req_args(req), 0, c->k->in_len);
	return true;
}

/* An error that goes up to the system call unchanged, see gate.md. */
static int error_for(const struct candidate *c)
{
	if (c->background)
		return -EAGAIN;
	return c->h.opcode == FUSE_LOOKUP ? -EINTR : -ERESTARTNOINTR;
}

/* A name that was not there when the request was sent, ... */
static bool is_made(const struct fusecr_kept *k, unsigned int i)
{
	switch (k->h.opcode) {
	case FUSE_SYMLINK:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_LINK:
	case FUSE_CREATE:
		return i == 0;
	}
	return false;
}

/* ... and one that was. */
static bool is_there(const struct fusecr_kept *k, unsigned int i)
{
	const struct fuse_rename2_in *in = k->in;

	switch (k->h.opcode) {
	case FUSE_UNLINK:
	case FUSE_RMDIR:
	case FUSE_RENAME:
		return i == 0;
	case FUSE_RENAME2:
		return i == 0 || in->flags & RENAME_EXCHANGE;
	}
	return false;
}

/* What the names in it name now: the thread itself keeps these dentries. */
static bool look_names_up(struct fusecr_kept *k)
{
	unsigned int i;

	for (i = 0; i < KEPT_NAMES; i++) {
		struct kept_name *n = &k->names[i];

		if (!n->name || is_made(k, i))
			continue;
		n->nodeid = fusecr_inode_child(k->sb, n->parent, n->name,
					       n->len);
		/* Somebody has seen that it is gone, since: then it is lost. */
		if (!n->nodeid && is_there(k, i))
			return false;
		kept_pin(k, n->nodeid);
	}
	return true;
}

/*
 * A write that is done in part says so, and whoever comes next with the same file
 * writes where its other parts are.
 */
static bool keeps_its_place(const struct candidate *c, const struct fusecr_kept *k)
{
	return c->h.opcode != FUSE_WRITE ||
	       fusecr_origin_writes_next(&c->origin, k->file, c->offset);
}

/*
 * All that has to outlast the system call.  A handle that is in no table is one that
 * the call has opened for itself (fs/fuse/ioctl.c, fuse_priv_ioctl_prepare()): it would
 * be released at once, and the next one differ.
 */
static bool prepare(const struct candidate *c, struct fusecr_kept *k)
{
	if (!c->background) {
		k->call = c->origin.nr;
		memcpy(k->call_args, c->origin.args, sizeof(k->call_args));
	}
	kept_find_names(k);
	if (!look_names_up(k))
		return false;
	/* That of a close() is in none, either: see undo_close(). */
	return c->h.opcode == FUSE_FLUSH ||
	       (kept_pin_files(k, c->origin.task, c->background ? NULL : &c->origin) &&
		keeps_its_place(c, k));
}

/* Its waiter goes up to the system call, and from there starts over. */
static void let_waiter_go(const struct candidate *c, struct swapping *s,
			  struct fusecr_restart *restart)
{
	if (s->task) {
		/* It sleeps in the kernel: it is not exiting. */
		fusecr_restart(restart, s->task, c->h.opcode == FUSE_FLUSH);
	} else {
		fusecr_restart_free(restart);
	}
	fl_req_out_h(s->req)->error = error_for(c);
	fuse_request_end(s->req);
}

static struct fusecr_kept *new_kept(const struct taking *t,
				    const struct candidate *c)
{
	struct fusecr_kept *k;
	int err;

	k = kept_new(t->conn, &c->h, c->in_len, &c->room, c->argvar);
	if (IS_ERR(k))
		return k;
	err = kept_make_proxy(k);
	return err ? ERR_PTR(err) : k;
}

/* False: see swapping.err. */
static bool copy_and_prepare(const struct taking *t, const struct candidate *c,
			     struct swapping *s)
{
	struct copying copying = { s->k, c->h.unique };

	if (!each_processing(t->conn->fc, copy, &copying))
		return false;
	if (prepare(c, s->k))
		return true;
	s->err = -EAGAIN;
	return false;
}

/* 1: taken, -EAGAIN: not now, 0: it was answered just now, -errno */
static int take(const struct taking *t, const struct candidate *c)
{
	struct swapping s = { .c = c, .taker = t->taker };
	struct fusecr_restart *restart = fusecr_restart_alloc(GFP_KERNEL);

	if (!restart)
		return -ENOMEM;
	s.k = new_kept(t, c);
	if (IS_ERR(s.k)) {
		fusecr_restart_free(restart);
		return PTR_ERR(s.k);
	}
	s.k->ahead = c->background;
	if (copy_and_prepare(t, c, &s))
		each_processing(t->conn->fc, exchange, &s);
	if (!s.req) {
		fusecr_restart_free(restart);
		kept_end_proxy(s.k);
	} else {
		kept_start(s.k);
		let_waiter_go(c, &s, restart);
	}
	if (s.task)
		put_task_struct(s.task);
	return s.req ? 1 : s.err;
}

int fusecr_keep_take(const struct fusecr_conn *conn,
		     const struct fusecr_taker *taker)
{
	struct taking *t = kzalloc(sizeof(*t), GFP_KERNEL);
	int n = 0, err = 0;

	if (!t)
		return -ENOMEM;
	t->conn = conn;
	t->taker = taker;
	while (t->nr_skipped < SKIPPED_MAX && !fatal_signal_pending(current)) {
		struct finding f = { .t = t };

		cond_resched();

		if (!each_processing(conn->fc, find_one, &f))
			break;
		err = starts_over(&f.c, conn->fc, conn->sb) ? take(t, &f.c) : -EAGAIN;
		fusecr_origin_put(&f.c.origin);
		if (err > 0) {
			n++;
			continue;
		}
		if (err && err != -EAGAIN)
			break;
		t->skipped[t->nr_skipped++] = f.c.h.unique;
		err = 0;
	}
	kfree(t);
	return err < 0 ? err : n;
}
