// SPDX-License-Identifier: GPL-2.0
/* Settings of a connection, its inodes and open files, and their undoing. */

#include <linux/capability.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "adjust.h"
#include "backing.h"
#include "conn.h"
#include "defer.h"
#include "inode.h"
#include "kh.h"
#include "layout.h"
#include "owner.h"
#include "undo.h"
#include "use.h"

#define SET_CONN_ALL	(FUSECR_SET_NEXT_UNIQUE | FUSECR_SET_NEXT_KH |	\
			 FUSECR_SET_NO | FUSECR_SET_ATTR_VERSION |	\
			 FUSECR_SET_PID_NS | FUSECR_SET_NEXT_BACKING |	\
			 FUSECR_SET_EPOCH | SET_USER_ALL)
#define SET_USER_ALL	(FUSECR_SET_USER_NS | FUSECR_SET_OWNER_NS)
#define SET_FILE_ALL	(FUSECR_SET_FH | FUSECR_SET_KH |		\
			 FUSECR_SET_OPEN_FLAGS | FUSECR_SET_READDIR_POS | \
			 FUSECR_SET_FILE_FLAGS | FUSECR_SET_POS |	\
			 FUSECR_SET_FLOCK | FUSECR_SET_SEEK |		\
			 FUSECR_SET_POLLED)
#define SEEK_ALL	(FUSECR_FF_NONSEEKABLE | FUSECR_FF_STREAM)
/* What nonseekable_open() and stream_open() change (fs/open.c). */
#define SEEK_MODE	(FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE |	\
			 FMODE_ATOMIC_POS | FMODE_STREAM)
/* The kernel keeps state of its own for these. */
#define FILE_FLAGS_FIXED	(O_PATH | FASYNC)
#define SET_OWNER_ALL	(FUSECR_SET_OWNER_TABLE | FUSECR_SET_OWNER_OPEN)
/* FOPEN_PASSTHROUGH is of 6.9; the number is the protocol's. */
#define OPEN_FLAGS_FIXED	(FOPEN_DIRECT_IO | 1 << 7)

/* A counter, before and right after it was set. */
struct counter {
	u64 old;
	u64 new;
};

struct undo_conn {
	struct fusecr_undo undo;
	struct fuse_conn *fc;
	u32 mask;
	u32 no_changed;
	u32 no_old;
	u32 backing_old;
	int epoch_old;
	int epoch_new;
	struct counter unique;
	struct counter kh;
	struct fusecr_khs *khs;		/* the handle's */
	struct counter attr_version;
	/* Those that are not in use: first the old ones. */
	struct pid_namespace *pid_ns;
	struct user_namespace *user_ns;
};

struct undo_inode {
	struct fusecr_undo undo;
	struct inode *inode;
	struct counter nlookup;
};

/* What ff->readdir remembers of the directory's page cache. */
struct readdir_state {
	loff_t pos;
	loff_t cache_off;
	u64 version;
};

struct undo_file {
	struct fusecr_undo undo;
	struct fuse_conn *fc;
	struct fusecr_khs *khs;		/* the handle's */
	struct file *file;
	u32 mask;
	u32 open_flags;
	u32 file_flags;
	fmode_t seek_mode;
	u64 fh;
	u64 kh;
	loff_t pos;
	bool flock;
	struct readdir_state readdir;
};

struct undo_owner {
	struct fusecr_undo undo;
	struct fusecr_owner *table;
	struct fusecr_owner *open;
};

/* --- the connection ------------------------------------------------------ */

/*
 * Numbers that were given out since are in use: none is given out twice, and
 * no counter falls behind what was stamped with it.  Beyond c->old, not at it,
 * so that the setting before this one, whose c->new it may be, sees it as well.
 * By two: that is the step of unique ids.
 */
static u64 counter_back(const struct counter *c, u64 now)
{
	return now == c->new ? c->old : max(c->old + 2, now);
}

static void atomic_counter_set(atomic64_t *v, u64 to, struct counter *c)
{
	c->new = to;
	c->old = atomic64_xchg(v, to);
}

static void atomic_counter_back(atomic64_t *v, const struct counter *c)
{
	s64 now = atomic64_read(v);

	while (!atomic64_try_cmpxchg(v, &now, counter_back(c, now)))
		;
}

/*
 * fuse reads fc->pid_ns without a lock, and not under RCU, to fill in the pid
 * of a request (fuse_get_req(), fuse_force_creds()).  It does not sleep
 * between reading the pointer and using it, but can be preempted; once every
 * task has slept or been in user space, nobody has the old pointer.
 */
static void pid_ns_put(void *ns)
{
	synchronize_rcu_tasks();
	put_pid_ns(ns);
}

static struct pid_namespace *pid_ns_of(s32 pid)
{
	struct task_struct *task = fusecr_use_task(pid);
	struct pid_namespace *ns = NULL;

	if (!task)
		return NULL;
	rcu_read_lock();
	/* A task that has ended has no pid, hence no namespace. */
	ns = task_active_pid_ns(task);
	if (ns)
		get_pid_ns(ns);
	rcu_read_unlock();
	put_task_struct(task);
	return ns;
}

/*
 * Who reads fc->user_ns or sb->s_user_ns takes no lock and no reference.  The
 * initial namespace is for ever, and any other one of a connection is held by
 * its superblock, until that ends.
 */
static int owner_ns_set(struct super_block *sb, struct user_namespace *ns)
{
	if (sb->s_user_ns == ns)
		return 0;
	/* Some may be mounted from outside only, as fuseblk. */
	if (!(sb->s_type->fs_flags & FS_USERNS_MOUNT))
		return -EINVAL;
	if (cmpxchg(&sb->s_user_ns, &init_user_ns, get_user_ns(ns)) !=
	    &init_user_ns) {
		put_user_ns(ns);
		return -EBUSY;
	}
	put_user_ns(&init_user_ns);
	/* As alloc_super(), fs/super.c, and fuse_sb_defaults(). */
	sb->s_iflags |= SB_I_NODEV | SB_I_UNTRUSTED_MOUNTER;
	return 0;
}

static struct user_namespace *user_ns_of(const struct super_block *sb,
					 const struct fusecr_set_conn *in)
{
	struct task_struct *task;
	struct user_namespace *ns;

	if (!in->pid && !(in->mask & (FUSECR_SET_OWNER_NS | FUSECR_SET_PID_NS)))
		return get_user_ns(sb->s_user_ns);
	task = fusecr_use_task(in->pid);
	if (!task)
		return NULL;
	rcu_read_lock();
	ns = get_user_ns(__task_cred(task)->user_ns);
	rcu_read_unlock();
	put_task_struct(task);
	return ns;
}

static int user_ns_set(const struct fusecr_conn *conn,
		       const struct fusecr_set_conn *in, struct undo_conn *u)
{
	struct user_namespace *ns = user_ns_of(conn->sb, in);
	int err = 0;

	if (!ns)
		return -ESRCH;
	if (in->mask & FUSECR_SET_OWNER_NS)
		err = owner_ns_set(conn->sb, ns);
	if (!err && ns != &init_user_ns && ns != conn->sb->s_user_ns)
		err = -EINVAL;
	if (!err && in->mask & FUSECR_SET_USER_NS)
		u->user_ns = xchg(fl_conn_user_ns(conn->fc), ns);
	else
		put_user_ns(ns);
	return err;
}

/* What the daemon has invalidated meanwhile stays so (FUSE_NOTIFY_INC_EPOCH). */
static void epoch_back(const struct undo_conn *u)
{
	atomic_t *epoch = fl_conn_epoch(u->fc);
	int now = u->epoch_new;

	while (!atomic_try_cmpxchg(epoch, &now, now == u->epoch_new ?
				   u->epoch_old : max(u->epoch_old + 1, now)))
		;
}

static void conn_back(struct fusecr_undo *undo)
{
	struct undo_conn *u = fusecr_undo_of(undo, struct undo_conn);
	struct fuse_iqueue *fiq = fl_conn_iqueue(u->fc);
	u64 *unique = fl_iq_reqctr(fiq);

	if (u->mask & FUSECR_SET_NEXT_UNIQUE) {
		spin_lock(fl_iq_lock(fiq));
		*unique = counter_back(&u->unique, *unique);
		spin_unlock(fl_iq_lock(fiq));
	}
	if (u->mask & FUSECR_SET_NEXT_KH && !u->khs->used)
		atomic_counter_back(fl_conn_khctr(u->fc), &u->kh);
	if (u->mask & FUSECR_SET_ATTR_VERSION)
		atomic_counter_back(fl_conn_attr_version(u->fc),
				    &u->attr_version);
	/* What fuse has learned meanwhile stays. */
	if (u->mask & FUSECR_SET_NO)
		fl_conn_set_no(u->fc, (fl_conn_no(u->fc) & ~u->no_changed) |
				      (u->no_old & u->no_changed));
	if (u->mask & FUSECR_SET_PID_NS)
		u->pid_ns = xchg(fl_conn_pid_ns(u->fc), u->pid_ns);
	if (u->mask & FUSECR_SET_USER_NS)
		u->user_ns = xchg(fl_conn_user_ns(u->fc), u->user_ns);
	if (u->mask & FUSECR_SET_NEXT_BACKING)
		fusecr_backing_set_next(u->fc, u->backing_old);
	if (u->mask & FUSECR_SET_EPOCH)
		epoch_back(u);
}

static void conn_drop(struct fusecr_undo *undo)
{
	struct undo_conn *u = fusecr_undo_of(undo, struct undo_conn);

	if (u->pid_ns)
		fusecr_defer(pid_ns_put, u->pid_ns);
	if (u->user_ns)
		put_user_ns(u->user_ns);
}

static int set_conn_check(const struct fuse_conn *fc,
			  const struct fusecr_set_conn *in)
{
	bool backing = in->mask & FUSECR_SET_NEXT_BACKING;

	if (in->mask & ~SET_CONN_ALL || in->reserved)
		return -EINVAL;
	if (in->epoch > (in->mask & FUSECR_SET_EPOCH ? INT_MAX : 0))
		return -EINVAL;
	if (in->mask & FUSECR_SET_EPOCH && !fl_has(FL_CONN_EPOCH))
		return -EOPNOTSUPP;
	if (backing ? !in->next_backing || in->next_backing > INT_MAX :
		      in->next_backing)
		return -EINVAL;
	if (backing && !fusecr_backing_next(fc))
		return -EOPNOTSUPP;
	/* FUSE_REQ_ID_STEP, fs/fuse/dev.c: odd numbers are INTERRUPTs. */
	if (in->mask & FUSECR_SET_NEXT_UNIQUE && in->next_unique % 2)
		return -EINVAL;
	if (in->mask & FUSECR_SET_NO &&
	    in->no & ~fl_conn_no_known())
		return -EINVAL;
	return 0;
}

int fusecr_set_conn(struct fusecr_conn *conn, const struct fusecr_set_conn *in,
		    struct fusecr_khs *khs, struct list_head *list)
{
	struct fuse_iqueue *fiq = fl_conn_iqueue(conn->fc);
	struct undo_conn *u;
	int err;

	err = set_conn_check(conn->fc, in);
	if (err)
		return err;
	u = fusecr_undo_new(struct undo_conn, conn_back, conn_drop);
	if (!u)
		return -ENOMEM;
	u->fc = conn->fc;
	u->khs = khs;
	u->mask = in->mask;

	if (in->mask & FUSECR_SET_PID_NS)
		u->pid_ns = pid_ns_of(in->pid);
	if (in->mask & FUSECR_SET_PID_NS && !u->pid_ns)
		err = -ESRCH;
	else if (in->mask & SET_USER_ALL)
		err = user_ns_set(conn, in, u);
	if (err) {
		conn_drop(&u->undo);
		kfree(u);
		return err;
	}
	if (in->mask & FUSECR_SET_PID_NS)
		u->pid_ns = xchg(fl_conn_pid_ns(conn->fc), u->pid_ns);
	if (in->mask & FUSECR_SET_NEXT_UNIQUE) {
		spin_lock(fl_iq_lock(fiq));
		u->unique.old = *fl_iq_reqctr(fiq);
		/* Nobody is to get the number of what waits to be read. */
		u->unique.new = list_empty(fl_iq_pending(fiq)) ?
				in->next_unique :
				max(in->next_unique, u->unique.old);
		*fl_iq_reqctr(fiq) = u->unique.new;
		spin_unlock(fl_iq_lock(fiq));
	}
	if (in->mask & FUSECR_SET_NEXT_KH) {
		u->kh.old = fusecr_khs_lift(khs, fl_conn_khctr(conn->fc),
					    in->next_kh);
		u->kh.new = max(u->kh.old, in->next_kh);
	}
	if (in->mask & FUSECR_SET_ATTR_VERSION)
		atomic_counter_set(fl_conn_attr_version(conn->fc),
				   in->attr_version, &u->attr_version);
	if (in->mask & FUSECR_SET_NO) {
		u->no_old = fl_conn_no(conn->fc);
		/* Whom syncfs() waits for is not for us to widen. */
		fl_conn_set_no(conn->fc,
			       in->no | (u->no_old & FUSECR_NO_SYNCFS));
		u->no_changed = u->no_old ^ fl_conn_no(conn->fc);
	}
	if (in->mask & FUSECR_SET_NEXT_BACKING) {
		u->backing_old = fusecr_backing_next(conn->fc);
		fusecr_backing_set_next(conn->fc, in->next_backing);
	}
	u->epoch_new = in->epoch;
	if (in->mask & FUSECR_SET_EPOCH)
		u->epoch_old = atomic_xchg(fl_conn_epoch(conn->fc), in->epoch);
	list_add(&u->undo.entry, list);
	return 0;
}

/* --- an inode ------------------------------------------------------------ */

/* By the difference: lookups that came since were given by the daemon. */
static void inode_back(struct fusecr_undo *undo)
{
	struct undo_inode *u = fusecr_undo_of(undo, struct undo_inode);
	struct fuse_inode *fi = fl_inode(u->inode);

	spin_lock(fl_inode_lock(fi));
	*fl_inode_nlookup(fi) += u->nlookup.old - u->nlookup.new;
	spin_unlock(fl_inode_lock(fi));
}

static void inode_drop(struct fusecr_undo *undo)
{
	fusecr_inode_put(fusecr_undo_of(undo, struct undo_inode)->inode);
}

int fusecr_set_inode(struct fusecr_conn *conn,
		     const struct fusecr_set_inode *in, struct list_head *list)
{
	struct undo_inode *u = fusecr_undo_new(struct undo_inode, inode_back,
					       inode_drop);
	struct fuse_inode *fi;

	if (!u)
		return -ENOMEM;
	/* Kept: an inode that goes sends its FORGET. */
	u->inode = fusecr_inode_find(conn->sb, in->nodeid);
	if (!u->inode) {
		kfree(u);
		return -ENOENT;
	}
	fi = fl_inode(u->inode);
	u->nlookup.new = in->nlookup;
	spin_lock(fl_inode_lock(fi));
	u->nlookup.old = *fl_inode_nlookup(fi);
	*fl_inode_nlookup(fi) = in->nlookup;
	spin_unlock(fl_inode_lock(fi));
	list_add(&u->undo.entry, list);
	return 0;
}

/* --- an open file -------------------------------------------------------- */

static void readdir_get(struct fuse_file *ff, struct readdir_state *state)
{
	state->pos = *fl_file_readdir_pos(ff);
	state->cache_off = *fl_file_readdir_cache_off(ff);
	state->version = *fl_file_readdir_version(ff);
}

static void readdir_set(struct fuse_file *ff, const struct readdir_state *state)
{
	WRITE_ONCE(*fl_file_readdir_pos(ff), state->pos);
	WRITE_ONCE(*fl_file_readdir_cache_off(ff), state->cache_off);
	WRITE_ONCE(*fl_file_readdir_version(ff), state->version);
}

/*
 * fc->polled_files is sorted by kh (fuse_find_polled_node(), fs/fuse/file.c),
 * so kh stays as it is in a file that is on it.  Taken off, it is put there again
 * by the next poll that somebody waits for (fuse_register_polled_file()).
 */
static int kh_set(struct fuse_conn *fc, struct fuse_file *ff, u64 kh,
		  bool polled)
{
	struct rb_node *node = fl_file_polled_node(ff);
	int err = 0;

	spin_lock(fl_conn_lock(fc));
	if (polled && !RB_EMPTY_NODE(node)) {
		rb_erase(node, fl_conn_polled_files(fc));
		RB_CLEAR_NODE(node);
	}
	if (RB_EMPTY_NODE(node))
		*fl_file_kh(ff) = kh;
	else
		err = -EBUSY;
	spin_unlock(fl_conn_lock(fc));
	return err;
}

/* As fcntl(F_SETFL) does it. */
static void file_flags_set(struct file *file, u32 flags)
{
	spin_lock(&file->f_lock);
	file->f_flags = flags;
	file->f_iocb_flags = iocb_flags(file);
	spin_unlock(&file->f_lock);
}

/* Not every use of it takes a lock (vfs_setpos(), fs/read_write.c). */
static void pos_set(struct file *file, loff_t pos)
{
	WRITE_ONCE(file->f_pos, pos);
}

/*
 * Fuse does this in open.  Who is in the middle of a read() or the like with this
 * file has looked already, and goes on as he began.
 */
static void seek_set(struct file *file, u32 flags)
{
	spin_lock(&file->f_lock);
	if (flags & FUSECR_FF_STREAM)
		stream_open(file_inode(file), file);
	else if (flags & FUSECR_FF_NONSEEKABLE)
		nonseekable_open(file_inode(file), file);
	spin_unlock(&file->f_lock);
}

static void seek_back(struct file *file, fmode_t mode)
{
	spin_lock(&file->f_lock);
	file->f_mode = (file->f_mode & ~SEEK_MODE) | mode;
	spin_unlock(&file->f_lock);
}

static void file_back(struct fusecr_undo *undo)
{
	struct undo_file *u = fusecr_undo_of(undo, struct undo_file);
	struct fuse_file *ff = fl_file(u->file);

	if (u->mask & FUSECR_SET_FH)
		WRITE_ONCE(*fl_file_fh(ff), u->fh);
	if (u->mask & FUSECR_SET_OPEN_FLAGS)
		WRITE_ONCE(*fl_file_open_flags(ff), u->open_flags);
	if (u->mask & FUSECR_SET_READDIR_POS)
		readdir_set(ff, &u->readdir);
	if (u->mask & FUSECR_SET_FILE_FLAGS)
		file_flags_set(u->file, u->file_flags);
	if (u->mask & FUSECR_SET_POS)
		pos_set(u->file, u->pos);
	if (u->mask & FUSECR_SET_FLOCK)
		fl_bit_set(ff, FL_FILE_FLOCK, u->flock);
	if (u->mask & FUSECR_SET_SEEK)
		seek_back(u->file, u->seek_mode);
	/* Polled in the meantime: the daemon has been told the new one. */
	if (u->mask & FUSECR_SET_KH && kh_set(u->fc, ff, u->kh, false))
		u->khs->used = true;
}

/* If everyone else has closed it, it is released now, as at any last close. */
static void file_drop(struct fusecr_undo *undo)
{
	fput(fusecr_undo_of(undo, struct undo_file)->file);
}

static int set_file_check(const struct fusecr_set_file *in,
			  const struct file *file)
{
	u32 open_flags = *fl_file_open_flags(fl_file(file));

	if (in->mask & ~SET_FILE_ALL)
		return -EINVAL;
	if (in->mask & FUSECR_SET_OPEN_FLAGS &&
	    (in->open_flags ^ open_flags) & OPEN_FLAGS_FIXED)
		return -EINVAL;
	if (in->mask & FUSECR_SET_READDIR_POS &&
	    (in->readdir_pos < 0 || !S_ISDIR(file_inode(file)->i_mode)))
		return -EINVAL;
	if (in->mask & FUSECR_SET_POS && in->pos < 0)
		return -EINVAL;
	if (in->flags & ~SEEK_ALL)
		return -EINVAL;
	if (in->mask & FUSECR_SET_FILE_FLAGS &&
	    (in->file_flags ^ file->f_flags) & FILE_FLAGS_FIXED)
		return -EINVAL;
	return 0;
}

static int file_apply(struct fuse_conn *fc, struct file *file,
		      const struct fusecr_set_file *in, struct undo_file *u)
{
	/*
	 * In this state the position says nothing of the page cache, which is
	 * searched from the start at the next use: no version is this one
	 * (fuse_readdir_cached(), fs/fuse/readdir.c).
	 */
	struct readdir_state readdir = {
		.pos = in->readdir_pos,
		.version = U64_MAX,
	};
	struct fuse_file *ff = fl_file(file);
	int err;

	u->fc = fc;
	u->file = file;
	u->mask = in->mask;
	u->fh = *fl_file_fh(ff);
	u->kh = *fl_file_kh(ff);
	u->open_flags = *fl_file_open_flags(ff);
	u->file_flags = file->f_flags;
	u->seek_mode = file->f_mode & SEEK_MODE;
	u->pos = READ_ONCE(file->f_pos);
	u->flock = fl_bit(ff, FL_FILE_FLOCK);
	readdir_get(ff, &u->readdir);

	/* The only one that can fail comes first. */
	if (in->mask & FUSECR_SET_KH) {
		err = kh_set(fc, ff, in->kh, in->mask & FUSECR_SET_POLLED);
		if (err)
			return err;
	}
	if (in->mask & FUSECR_SET_FH)
		WRITE_ONCE(*fl_file_fh(ff), in->fh);
	if (in->mask & FUSECR_SET_OPEN_FLAGS)
		WRITE_ONCE(*fl_file_open_flags(ff), in->open_flags);
	if (in->mask & FUSECR_SET_READDIR_POS)
		readdir_set(ff, &readdir);
	if (in->mask & FUSECR_SET_FILE_FLAGS)
		file_flags_set(file, in->file_flags);
	if (in->mask & FUSECR_SET_POS)
		pos_set(file, in->pos);
	if (in->mask & FUSECR_SET_FLOCK)
		fl_bit_set(ff, FL_FILE_FLOCK, true);
	if (in->mask & FUSECR_SET_SEEK)
		seek_set(file, in->flags);
	return 0;
}

int fusecr_set_file(struct fusecr_conn *conn, const struct fusecr_set_file *in,
		    struct fusecr_khs *khs, struct list_head *list)
{
	const struct fusecr_use use = { in->pid, in->use, in->number };
	struct undo_file *undo;
	struct file *file;
	int err;

	file = fusecr_use_find(conn, &use, in->nodeid);
	if (IS_ERR(file))
		return PTR_ERR(file);
	err = set_file_check(in, file);
	if (!err && in->mask & FUSECR_SET_KH)
		err = fusecr_khs_give(khs, in->kh, fl_file(file));
	if (err)
		goto err_file;
	err = -ENOMEM;
	undo = fusecr_undo_new(struct undo_file, file_back, file_drop);
	if (!undo)
		goto err_file;
	undo->khs = khs;
	err = file_apply(conn->fc, file, in, undo);
	if (err)
		goto err_undo;
	list_add(&undo->undo.entry, list);
	return 0;

err_undo:
	kfree(undo);
err_file:
	fput(file);
	return err;
}

/* --- owners of locks ------------------------------------------------------- */

static void owner_back(struct fusecr_undo *undo)
{
	struct undo_owner *u = fusecr_undo_of(undo, struct undo_owner);

	fusecr_owner_unset(u->open);
	fusecr_owner_unset(u->table);
}

/* The connection has them. */
static void owner_drop(struct fusecr_undo *undo)
{
}

/* NULL: the task is gone. */
static const void *table_of(s32 pid)
{
	struct task_struct *task = fusecr_use_task(pid);
	const void *table;

	if (!task)
		return NULL;
	table = fusecr_use_table(task);
	put_task_struct(task);
	return table;
}

static int owner_apply(const struct fuse_conn *fc, const struct file *file,
		       const struct fusecr_set_owner *in, struct undo_owner *u)
{
	struct fusecr_owner *set = NULL;
	const void *table;

	if (in->mask & FUSECR_SET_OWNER_TABLE) {
		table = table_of(in->pid);
		if (!table)
			return -ESRCH;
		set = fusecr_owner_set(fc, table, in->table);
		if (IS_ERR(set))
			return PTR_ERR(set);
		u->table = set;
	}
	if (in->mask & FUSECR_SET_OWNER_OPEN) {
		set = fusecr_owner_set(fc, file, in->open);
		if (IS_ERR(set)) {
			fusecr_owner_unset(u->table);
			return PTR_ERR(set);
		}
		u->open = set;
	}
	return 0;
}

int fusecr_set_owner(struct fusecr_conn *conn,
		     const struct fusecr_set_owner *in, struct list_head *list)
{
	const struct fusecr_use use = { in->pid, in->use, in->number };
	struct undo_owner *undo;
	struct file *file;
	int err;

	if (in->mask & ~SET_OWNER_ALL || in->reserved ||
	    (in->mask & FUSECR_SET_OWNER_TABLE && in->use != FUSECR_FILE_FD))
		return -EINVAL;
	file = fusecr_use_find(conn, &use, in->nodeid);
	if (IS_ERR(file))
		return PTR_ERR(file);
	err = -ENOMEM;
	undo = fusecr_undo_new(struct undo_owner, owner_back, owner_drop);
	if (!undo)
		goto out;
	err = owner_apply(conn->fc, file, in, undo);
	if (err)
		kfree(undo);
	else
		list_add(&undo->undo.entry, list);
out:
	fput(file);
	return err;
}
