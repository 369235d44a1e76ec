// SPDX-License-Identifier: GPL-2.0
/* Open files, mappings and directories of FUSE mounts that tasks use. */

#include <linux/dcache.h>
#include <linux/fusecr.h>
#include <linux/fusecr_ioctl.h>
#include <linux/kdev_t.h>
#include <linux/mount.h>
#include <linux/net.h>
#include <linux/pagemap.h>
#include <linux/rbtree.h>
#include <linux/rcupdate.h>
#include <linux/sched/task.h>
#include <net/af_unix.h>
#include <net/tcp_states.h>

#include "backing.h"
#include "compat.h"
#include "conn.h"
#include "file.h"
#include "layout.h"
#include "netlink.h"
#include "owner.h"
#include "sent.h"

/* What is looked at of a task, in this order. */
enum stage {
	FDS,
	SENT,
	MAPS,
	EXE,
	CWD,
	ROOT,
	END,
};

struct visit {
	struct fusecr_file_cursor *cursor;
	const struct fusecr_msg *msg;
	struct task_struct *task;
	u32 pid;
};

/* One use of a file or directory. */
struct use {
	enum fusecr_file_use use;
	const struct path *path;
	const struct file *file;	/* NULL for a directory in use */
	const void *files;		/* the table of a descriptor, as an address */
	u64 number;
	u64 end;
	u32 flags;			/* FUSECR_FF_* of the use */
};

/* What leads to it and is deleted. */
struct above {
	struct {
		u32 level;
		u64 nodeid;
	} dirs[FUSECR_ABOVE_LIMIT];
	unsigned int nr;
	bool more;
};

static void add_above(struct above *above, u32 level, const struct inode *dir)
{
	above->more = above->nr == ARRAY_SIZE(above->dirs);
	if (above->more)
		return;
	above->dirs[above->nr].level = level;
	above->dirs[above->nr].nodeid = dir ? *fl_inode_nodeid(fl_inode(dir)) :
					      0;
	above->nr++;
}

/*
 * A child keeps its parent, and that is freed after a grace period.  Not without an
 * end: who mounts makes directories as deep as he likes, and we have spinlocks.
 */
static void look_above(const struct path *path, struct above *above)
{
	const struct dentry *top = path->mnt->mnt_root, *dentry = path->dentry;
	u32 level = 0;

	above->nr = 0;
	above->more = false;
	rcu_read_lock();
	while (dentry != top && !IS_ROOT(dentry) && !above->more) {
		dentry = READ_ONCE(dentry->d_parent);
		level++;
		if (level > FUSECR_UNLINK_ABOVE)
			above->more = true;
		else if (d_unlinked(dentry))
			add_above(above, level, d_inode_rcu(dentry));
	}
	rcu_read_unlock();
}

static int put_above(struct sk_buff *skb, const struct above *above)
{
	struct nlattr *nest;
	unsigned int i;

	for (i = 0; i < above->nr; i++) {
		nest = nla_nest_start(skb, FUSECR_FILE_ABOVE);
		if (!nest ||
		    nla_put_u32(skb, FUSECR_ABOVE_LEVEL,
				above->dirs[i].level) ||
		    fusecr_put_u64(skb, FUSECR_ABOVE_NODEID,
				   above->dirs[i].nodeid))
			return -EMSGSIZE;
		nla_nest_end(skb, nest);
	}
	return 0;
}

/* The mapping of a passthrough file is of what is behind it. */
static bool is_backing(const struct use *use)
{
	return use->file && file_inode(use->file) != d_inode(use->path->dentry);
}

/* As file_check_and_advance_wb_err() and filemap_check_errors() find it (mm/filemap.c). */
static bool has_write_error(const struct file *file)
{
	const struct address_space *mapping = file->f_mapping;

	if (!(file->f_mode & FMODE_WRITE) || !S_ISREG(file_inode(file)->i_mode))
		return false;
	return errseq_check((errseq_t *)&mapping->wb_err,
			    READ_ONCE(file->f_wb_err)) ||
	       test_bit(AS_EIO, &mapping->flags) ||
	       test_bit(AS_ENOSPC, &mapping->flags);
}

static u32 flags_of(const struct use *use, const struct fuse_file *ff,
		    const struct above *above)
{
	const struct file *file = use->file;
	u32 flags = use->flags;

	if (d_unlinked(use->path->dentry))
		flags |= FUSECR_FF_UNLINKED;
	if (above->nr)
		flags |= FUSECR_FF_BELOW_UNLINKED;
	if (above->more)
		flags |= FUSECR_FF_FAR_BELOW;
	if (file && file->f_mode & FMODE_PATH)
		flags |= FUSECR_FF_PATH;
	if (ff) {
		if (fl_bit(ff, FL_FILE_FLOCK))
			flags |= FUSECR_FF_FLOCK;
		if (!RB_EMPTY_NODE(fl_file_polled_node(ff)))
			flags |= FUSECR_FF_POLLED;
		if (!list_empty(fl_file_write_entry(ff)))
			flags |= FUSECR_FF_WRITE_ENTRY;
		if (fl_has(FL_FILE_PASSTHROUGH) && *fl_file_passthrough(ff))
			flags |= FUSECR_FF_PASSTHROUGH;
		if (!(file->f_mode & FMODE_LSEEK))
			flags |= FUSECR_FF_NONSEEKABLE;
		if (file->f_mode & FMODE_STREAM)
			flags |= FUSECR_FF_STREAM;
		if (has_write_error(file))
			flags |= FUSECR_FF_WRITE_ERROR;
	} else if (is_backing(use)) {
		flags |= FUSECR_FF_PASSTHROUGH;
	} else if (file && !(file->f_mode & FMODE_PATH)) {
		flags |= FUSECR_FF_FOREIGN;
	}
	return flags;
}

static int put_fuse_file(struct sk_buff *skb, const struct fuse_file *ff,
			 bool dir)
{
	if (fusecr_put_u64(skb, FUSECR_FILE_FH, *fl_file_fh(ff)) ||
	    fusecr_put_u64(skb, FUSECR_FILE_KH, *fl_file_kh(ff)) ||
	    nla_put_u32(skb, FUSECR_FILE_OPEN_FLAGS, *fl_file_open_flags(ff)))
		return -EMSGSIZE;
	if (fl_has(FL_FILE_IOMODE) &&
	    nla_put_u32(skb, FUSECR_FILE_IOMODE, *fl_file_iomode(ff)))
		return -EMSGSIZE;
	if (!dir)
		return 0;
	if (nla_put_s64(skb, FUSECR_FILE_READDIR_POS, *fl_file_readdir_pos(ff),
			FUSECR_FILE_PAD) ||
	    nla_put_s64(skb, FUSECR_FILE_READDIR_CACHE_OFF,
			*fl_file_readdir_cache_off(ff), FUSECR_FILE_PAD) ||
	    fusecr_put_u64(skb, FUSECR_FILE_READDIR_VERSION,
			   *fl_file_readdir_version(ff)))
		return -EMSGSIZE;
	return 0;
}

/* Of what is behind a file, so that a message has room for its own as well. */
#define BACKING_PATH	2048

/* What is mapped stays when the file and its registration are gone. */
static int put_backing(struct sk_buff *skb, const struct file *file, char *buf)
{
	struct nlattr *nest = nla_nest_start(skb, FUSECR_FILE_BACKING);

	/* It has no id, and is its own: fuse is not asked for it any more. */
	if (!nest || nla_put_u32(skb, FUSECR_BACKING_ID, 0) ||
	    fusecr_put_u64(skb, FUSECR_BACKING_COOKIE, fusecr_cookie(file)) ||
	    fusecr_backing_put(skb, file, file->f_cred, buf, BACKING_PATH))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int put_file(struct sk_buff *skb, const struct use *use,
		    const struct fuse_file *ff, bool dir, char *buf)
{
	const struct file *file = use->file;

	if (fusecr_put_u64(skb, FUSECR_FILE_COOKIE, fusecr_cookie(file)) ||
	    nla_put_u32(skb, FUSECR_FILE_FILE_FLAGS, file->f_flags) ||
	    nla_put_s64(skb, FUSECR_FILE_POS, READ_ONCE(file->f_pos),
			FUSECR_FILE_PAD))
		return -EMSGSIZE;
	if (ff)
		return put_fuse_file(skb, ff, dir);
	return is_backing(use) ? put_backing(skb, use->file, buf) : 0;
}

/*
 * Those whom the daemon may know.  Only locks of regular files does fuse leave to
 * it, and remembers nothing of them but that there was a flock.
 */
static int put_owners(struct sk_buff *skb, const struct fuse_conn *fc,
		      const struct use *use, umode_t mode)
{
	bool posix = !fl_bit(fc, FL_CONN_NO_LOCK);

	if (!S_ISREG(mode))
		return 0;
	if (posix && use->files &&
	    fusecr_put_u64(skb, FUSECR_FILE_OWNER_TABLE,
			   fusecr_owner_id(fc, use->files)))
		return -EMSGSIZE;
	if (!posix && !fl_bit(fl_file(use->file), FL_FILE_FLOCK))
		return 0;
	return fusecr_put_u64(skb, FUSECR_FILE_OWNER_OPEN,
			      fusecr_owner_id(fc, use->file));
}

static int put_path(struct sk_buff *skb, const struct path *path, char *buf)
{
	char *name = dentry_path_raw(path->dentry, buf, PATH_MAX);
	int mnt_id;

	/* No user can name a path that long either: do without. */
	if (!IS_ERR(name) &&
	    nla_put(skb, FUSECR_FILE_PATH, strlen(name), name))
		return -EMSGSIZE;
	if (fl_mnt_id(path->mnt, &mnt_id) &&
	    nla_put_u32(skb, FUSECR_FILE_MNT_ID, mnt_id))
		return -EMSGSIZE;
	return 0;
}

static int fill(const struct visit *visit, const struct use *use)
{
	const struct inode *inode = d_inode(use->path->dentry);
	const struct fuse_conn *fc = fl_sb_conn(use->path->dentry->d_sb);
	const struct fuse_file *ff = use->file ? fl_file(use->file) : NULL;
	struct sk_buff *skb = visit->msg->skb;
	struct above above;
	struct nlattr *nest;
	void *hdr;
	int err = -EMSGSIZE;

	if (!inode)
		return 0;
	if (visit->cursor->conn_id &&
	    (!fc || fusecr_conn_id(fc) != visit->cursor->conn_id))
		return 0;
	hdr = fusecr_msg_begin(visit->msg, FUSECR_A_FILE, &nest);
	if (!hdr)
		return err;
	look_above(use->path, &above);
	if (fusecr_put_u64(skb, FUSECR_FILE_CONN_ID,
			   fc ? fusecr_conn_id(fc) : 0) ||
	    nla_put_u32(skb, FUSECR_FILE_CONN_DEV,
			new_encode_dev(inode->i_sb->s_dev)) ||
	    nla_put_string(skb, FUSECR_FILE_FSTYPE,
			   inode->i_sb->s_type->name) ||
	    nla_put_u32(skb, FUSECR_FILE_PID, visit->pid) ||
	    nla_put_u32(skb, FUSECR_FILE_USE, use->use) ||
	    fusecr_put_u64(skb, FUSECR_FILE_NUMBER, use->number) ||
	    (use->end && fusecr_put_u64(skb, FUSECR_FILE_END, use->end)) ||
	    fusecr_put_u64(skb, FUSECR_FILE_NODEID,
			   *fl_inode_nodeid(fl_inode(inode))) ||
	    nla_put_u32(skb, FUSECR_FILE_MODE, inode->i_mode) ||
	    nla_put_u32(skb, FUSECR_FILE_FLAGS, flags_of(use, ff, &above)))
		goto out;
	err = use->file ? put_file(skb, use, ff, S_ISDIR(inode->i_mode),
				   visit->cursor->path) : 0;
	if (!err && ff && fc)
		err = put_owners(skb, fc, use, inode->i_mode);
	err = err ?: put_path(skb, use->path, visit->cursor->path);
	err = err ?: put_above(skb, &above);
out:
	return fusecr_msg_end(visit->msg, hdr, nest, err);
}

/* Says that this task's mappings, or messages to it, may be more than was told. */
static int fill_incomplete(const struct visit *visit)
{
	struct sk_buff *skb = visit->msg->skb;
	struct nlattr *nest;
	void *hdr = fusecr_msg_begin(visit->msg, FUSECR_A_FILE, &nest);
	int err = 0;

	if (!hdr)
		return -EMSGSIZE;
	/* Of no file, but with all that every answer has. */
	if (fusecr_put_u64(skb, FUSECR_FILE_CONN_ID, 0) ||
	    nla_put_u32(skb, FUSECR_FILE_CONN_DEV, 0) ||
	    nla_put_string(skb, FUSECR_FILE_FSTYPE, "") ||
	    nla_put_u32(skb, FUSECR_FILE_PID, visit->pid) ||
	    nla_put_u32(skb, FUSECR_FILE_USE, FUSECR_FILE_INCOMPLETE) ||
	    fusecr_put_u64(skb, FUSECR_FILE_NUMBER, 0) ||
	    fusecr_put_u64(skb, FUSECR_FILE_NODEID, 0) ||
	    nla_put_u32(skb, FUSECR_FILE_MODE, 0) ||
	    nla_put_u32(skb, FUSECR_FILE_FLAGS, 0))
		err = -EMSGSIZE;
	return fusecr_msg_end(visit->msg, hdr, nest, err);
}

/*
 * The path of a file that is on a FUSE mount, or NULL.  Before 6.7 a mapping of a file
 * on an overlay is that of the file below, with the overlay's path (ovl_open_realfile(),
 * fs/overlayfs/file.c): it is the overlay that uses the mount.
 */
static const struct path *fuse_path(const struct file *file)
{
	const struct super_block *sb = file->f_path.dentry->d_sb;
	const struct path *path;

	if (fl_is_fuse_sb(sb) && file_inode(file)->i_sb == sb)
		return &file->f_path;
	path = compat_user_path(file);
	return fl_is_fuse_sb(path->dentry->d_sb) ? path : NULL;
}

/* The name that a unix socket is bound to, if it is on a FUSE mount. */
static void use_socket(struct use *use, struct file *file)
{
	const struct socket *sock = sock_from_file(file);
	const struct sock *sk = sock ? READ_ONCE(sock->sk) : NULL;
	const struct unix_sock *u;

	if (!sk || sk->sk_family != AF_UNIX)
		return;
	u = unix_sk(sk);
	/* Once the address is there, neither changes (unix_bind_bsd()). */
	if (!smp_load_acquire(&u->addr) || !u->path.dentry ||
	    !fl_is_fuse_sb(u->path.dentry->d_sb))
		return;
	use->path = &u->path;
	if (sk->sk_type != SOCK_DGRAM &&
	    READ_ONCE(sk->sk_state) == TCP_ESTABLISHED)
		use->flags |= FUSECR_FF_CONNECTED;
}

/* Caller holds task_lock() and the locks of the descriptor table. */
static int visit_fd(void *arg, struct file *file, unsigned int fd)
{
	const struct visit *visit = arg;
	struct use use = {
		.use = FUSECR_FILE_FD,
		.path = fuse_path(file),
		.file = file,
		.files = visit->task->files,
		.number = fd,
	};

	if (!use.path) {
		use = (struct use){ .use = FUSECR_FILE_SOCKET, .number = fd };
		use_socket(&use, file);
	}
	return use.path ? fill(arg, &use) : 0;
}

/* Caller holds the locks of the queue that the file is in. */
static int visit_sent(void *arg, struct file *file, bool behind)
{
	const struct visit *visit = arg;
	struct use use = {
		.use = FUSECR_FILE_SENT,
		.path = fuse_path(file),
		.file = file,
		.number = FUSECR_SENT_NUMBER(visit->cursor->sock,
					     visit->cursor->sent),
		.flags = behind ? FUSECR_FF_BEHIND : 0,
	};

	if (!use.path) {
		use.file = NULL;
		use_socket(&use, file);
	}
	return use.path ? fill(arg, &use) : 0;
}

static int visit_sockets(struct visit *visit, struct task_struct *task)
{
	struct fusecr_file_cursor *cursor = visit->cursor;
	struct sock *sk;
	int err;

	while ((sk = fusecr_sent_next(task, &cursor->sock))) {
		err = fusecr_sent_walk(sk, &cursor->sent, visit_sent, visit);
		sock_put(sk);
		if (err == -EBUSY)
			err = fill_incomplete(visit);
		if (err)
			return err;
		cursor->sock++;
		cursor->sent = 0;
	}
	return 0;
}

/* Caller holds task_lock() and mmap_lock. */
static int visit_map(void *arg, const struct fusecr_map *map)
{
	const struct use use = {
		.use = FUSECR_FILE_MAP,
		.path = fuse_path(map->file),
		.file = map->file,
		.number = map->start,
		.end = map->end,
		.flags = (map->joins ? FUSECR_FF_JOINS : 0) |
			 (map->locked ? FUSECR_FF_LOCKED : 0),
	};

	return use.path ? fill(arg, &use) : 0;
}

/* Caller holds task_lock(). */
static int visit_exe(void *arg, struct file *file)
{
	const struct use use = {
		.use = FUSECR_FILE_EXE,
		.path = fuse_path(file),
		.file = file,
	};

	return use.path ? fill(arg, &use) : 0;
}

/* Caller holds task_lock() and fs->lock. */
static int visit_cwd(void *arg, const struct path *path)
{
	const struct use use = { .use = FUSECR_FILE_CWD, .path = path };

	return fl_is_fuse_sb(path->dentry->d_sb) ? fill(arg, &use) : 0;
}

/* Caller holds task_lock() and fs->lock. */
static int visit_root(void *arg, const struct path *path)
{
	const struct use use = { .use = FUSECR_FILE_ROOT, .path = path };

	return fl_is_fuse_sb(path->dentry->d_sb) ? fill(arg, &use) : 0;
}

static int visit_task(struct visit *visit, struct task_struct *task)
{
	struct fusecr_file_cursor *cursor = visit->cursor;
	int err = 0;

	for (; !err && cursor->stage < END; cursor->stage += !err) {
		switch (cursor->stage) {
		case FDS:
			err = fusecr_task_files(task, &cursor->fd, visit_fd,
						visit);
			break;
		case SENT:
			err = visit_sockets(visit, task);
			break;
		case MAPS:
			err = fusecr_task_maps(task, &cursor->addr, visit_map,
					       visit);
			if (err == -EBUSY)
				err = fill_incomplete(visit);
			break;
		case EXE:
			err = fusecr_task_exe(task, visit_exe, visit);
			break;
		case CWD:
			err = fusecr_task_cwd(task, visit_cwd, visit);
			break;
		case ROOT:
			err = fusecr_task_root(task, visit_root, visit);
			break;
		}
	}
	return err;
}

int fusecr_file_walk(struct fusecr_file_cursor *cursor,
		     const struct fusecr_msg *msg)
{
	struct task_struct *task;

	while ((task = fusecr_task_get(&cursor->task))) {
		struct visit visit = {
			.cursor = cursor,
			.msg = msg,
			.task = task,
			.pid = task_tgid_vnr(task),
		};
		int err;

		if (cursor->at != cursor->task.tid) {
			cursor->at = cursor->task.tid;
			cursor->stage = FDS;
			cursor->fd = 0;
			cursor->addr = 0;
			cursor->sock = 0;
			cursor->sent = 0;
		}
		err = visit_task(&visit, task);
		put_task_struct(task);
		if (err)
			return err;
		cursor->task.tid++;
	}
	return 0;
}
