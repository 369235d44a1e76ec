// SPDX-License-Identifier: GPL-2.0
/* The inodes of a connection. */

#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/fusecr.h>
#include <linux/jiffies.h>
#include <linux/kdev_t.h>
#include <linux/math64.h>
#include <linux/pagemap.h>
#include <linux/rcupdate_wait.h>
#include <linux/sched.h>
#include <linux/time64.h>
#include <linux/user_namespace.h>
#include <linux/xarray.h>

#include "backing.h"
#include "compat.h"
#include "defer.h"
#include "inode.h"
#include "layout.h"
#include "netlink.h"

/* Hard links are few; more than this is said, not listed. */
#define NAMES_LIMIT	16

/* Inodes counted before the list's lock is let go. */
#define COUNT_BATCH	8192

static void put(void *object)
{
	struct inode *inode = object;
	struct super_block *sb = inode->i_sb;

	iput(inode);
	deactivate_super(sb);
}

void fusecr_inode_put(struct inode *inode)
{
	/* fuse keeps no unused inodes, so the last iput() evicts. */
	if (!inode || atomic_add_unless(&inode->i_count, -1, 1))
		return;
	/* Workers run side by side: the superblock must not go before. */
	atomic_inc(&inode->i_sb->s_active);
	fusecr_defer(put, inode);
}

/*
 * A reference, unless the inode comes or goes.  Caller holds s_inode_list_lock
 * or rcu_read_lock().
 */
static struct inode *get(struct inode *inode)
{
	bool new;

	spin_lock(&inode->i_lock);
	new = compat_inode_is_new(inode);
	spin_unlock(&inode->i_lock);
	/* Never new again; igrab() looks for what goes. */
	return new ? NULL : igrab(inode);
}

struct inode *fusecr_inode_next(struct super_block *sb, struct inode *prev)
{
	struct list_head *pos = prev ? &prev->i_sb_list : &sb->s_inodes;
	struct inode *inode, *next = NULL;

	/* A counted inode does not leave the list (evict()). */
	spin_lock(&sb->s_inode_list_lock);
	while (!next && !list_is_last(pos, &sb->s_inodes)) {
		pos = pos->next;
		inode = list_entry(pos, struct inode, i_sb_list);
		next = get(inode);
	}
	spin_unlock(&sb->s_inode_list_lock);
	fusecr_inode_put(prev);
	return next;
}

static int has_nodeid(struct inode *inode, void *nodeid)
{
	return *fl_inode_nodeid(fl_inode(inode)) == *(u64 *)nodeid;
}

struct inode *fusecr_inode_find_hashed(struct super_block *sb, u64 nodeid)
{
	struct inode *inode;

	/*
	 * Not ilookup5(): it waits for an inode that is being evicted, which
	 * may wait for the daemon.
	 */
	rcu_read_lock();
	inode = find_inode_rcu(sb, nodeid, has_nodeid, &nodeid);
	if (inode)
		inode = get(inode);
	rcu_read_unlock();
	return inode;
}

struct inode *fusecr_inode_find(struct super_block *sb, u64 nodeid)
{
	struct inode *inode = fusecr_inode_find_hashed(sb, nodeid);

	if (inode)
		return inode;

	/* A stale inode is no longer hashed, but known (fuse_iget()). */
	while ((inode = fusecr_inode_next(sb, inode))) {
		if (has_nodeid(inode, &nodeid))
			return inode;
		cond_resched();
	}
	return NULL;
}

/* The dentry, if the kernel has it cached, counted; or NULL. */
static struct dentry *find_child(struct super_block *sb, u64 parent, const char *name,
				 u32 len)
{
	struct inode *inode = fusecr_inode_find(sb, parent);
	struct qstr qstr = QSTR_INIT(name, len);
	struct dentry *dir, *dentry = NULL;

	if (!inode)
		return NULL;
	dir = d_find_alias(inode);
	if (dir) {
		qstr.hash = full_name_hash(dir, name, len);
		dentry = d_lookup(dir, &qstr);
		dput(dir);
	}
	fusecr_inode_put(inode);
	return dentry;
}

static u64 nodeid_of(const struct dentry *dentry)
{
	return d_really_is_positive(dentry) && !is_bad_inode(d_inode(dentry)) ?
	       *fl_inode_nodeid(fl_inode(d_inode(dentry))) : 0;
}

u64 fusecr_inode_child(struct super_block *sb, u64 parent, const char *name,
		       u32 len)
{
	struct dentry *dentry = find_child(sb, parent, name, len);
	u64 nodeid = dentry ? nodeid_of(dentry) : 0;

	dput(dentry);
	return nodeid;
}

void fusecr_inode_drop_child(struct super_block *sb, u64 parent, const char *name,
			     u32 len, u64 nodeid)
{
	struct dentry *dentry = find_child(sb, parent, name, len);

	/* Not d_invalidate(): it would unmount. */
	if (dentry && nodeid_of(dentry) == nodeid)
		d_drop(dentry);
	dput(dentry);
}

unsigned int fusecr_inode_count(struct super_block *sb)
{
	struct inode *inode, *cursor = NULL;
	unsigned int n = 0;

	do {
		struct list_head *pos = cursor ? &cursor->i_sb_list :
						 &sb->s_inodes;
		struct inode *next = NULL;
		unsigned int left = COUNT_BATCH;

		spin_lock(&sb->s_inode_list_lock);
		while (!next && !list_is_last(pos, &sb->s_inodes)) {
			pos = pos->next;
			inode = list_entry(pos, struct inode, i_sb_list);
			n++;
			if (left)
				left--;
			else
				next = get(inode);
		}
		spin_unlock(&sb->s_inode_list_lock);
		fusecr_inode_put(cursor);
		cursor = next;
		cond_resched();
	} while (cursor);
	return n;
}

static int put_name(struct sk_buff *skb, struct dentry *dentry)
{
	struct inode *dir;
	struct nlattr *nest;

	lockdep_assert_held(&dentry->d_lock);
	dir = d_inode(dentry->d_parent);
	nest = nla_nest_start(skb, FUSECR_INODE_NAME);
	if (!nest)
		return -EMSGSIZE;
	/* A child keeps its parent, and that stays a directory. */
	if ((dir && fusecr_put_u64(skb, FUSECR_NAME_PARENT,
				   *fl_inode_nodeid(fl_inode(dir)))) ||
	    nla_put(skb, FUSECR_NAME_NAME, dentry->d_name.len,
		    dentry->d_name.name) ||
	    nla_put_u8(skb, FUSECR_NAME_UNHASHED, d_unhashed(dentry))) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

/* @more: set when not all names were written. */
static int put_names(struct sk_buff *skb, struct inode *inode, bool shorten,
		     bool *more)
{
	struct dentry *dentry;
	unsigned int n = 0;
	int err = 0;

	*more = false;
	spin_lock(&inode->i_lock);
	hlist_for_each_entry(dentry, &inode->i_dentry, compat_d_alias) {
		spin_lock(&dentry->d_lock);
		/* The root, and what was opened by handle, have no name. */
		if (!IS_ROOT(dentry)) {
			*more = n++ == NAMES_LIMIT;
			err = *more ? 0 : put_name(skb, dentry);
		}
		spin_unlock(&dentry->d_lock);
		if (err && shorten) {
			*more = true;
			err = 0;
		}
		if (err || *more)
			break;
	}
	spin_unlock(&inode->i_lock);
	return err;
}

static unsigned int tagged_pages(struct address_space *mapping, xa_mark_t tag)
{
	XA_STATE(xas, &mapping->i_pages, 0);
	struct folio *folio;
	unsigned int n = 0, seen = 0;

	if (!mapping_tagged(mapping, tag))
		return 0;
	rcu_read_lock();
	xas_for_each_marked(&xas, folio, ULONG_MAX, tag) {
		if (xas_retry(&xas, folio))
			continue;
		n += xa_is_value(folio) ? 1 : 1 << xa_get_order(xas.xa, xas.xa_index);
		if (++seen % XA_CHECK_SCHED)
			continue;
		xas_pause(&xas);
		cond_resched_rcu();
	}
	rcu_read_unlock();
	return n;
}

static u32 flags_of(struct inode *inode)
{
	const struct fuse_inode *fi = fl_inode(inode);
	const struct file_lock_context *locks = READ_ONCE(inode->i_flctx);
	u32 flags = 0;

	if (fl_inode_is_bad(fi))
		flags |= FUSECR_INODE_BAD;
	if (!inode->i_nlink)
		flags |= FUSECR_INODE_UNLINKED;
	if (IS_DEADDIR(inode))
		flags |= FUSECR_INODE_DEAD;
	if (compat_inode_is_linkable(inode))
		flags |= FUSECR_INODE_LINKABLE;
	/* Once there, it stays as long as the inode. */
	if (locks && (!list_empty_careful(&locks->flc_flock) ||
		      !list_empty_careful(&locks->flc_posix) ||
		      !list_empty_careful(&locks->flc_lease)))
		flags |= FUSECR_INODE_LOCKED;
#ifdef CONFIG_FSNOTIFY
	if (rcu_access_pointer(inode->i_fsnotify_marks))
		flags |= FUSECR_INODE_WATCHED;
#endif
	if (IS_DAX(inode))
		flags |= FUSECR_INODE_DAX;
	if (fusecr_backing_of(fi))
		flags |= FUSECR_INODE_PASSTHROUGH;
	return flags;
}

/* Milliseconds from now to @until, which is in jiffies. */
static u64 ms_left(u64 until)
{
	u64 now = get_jiffies_64(), left;

	if (until <= now)
		return 0;
	left = until - now;
	return left > U64_MAX / MSEC_PER_SEC ? U64_MAX :
					       div_u64(left * MSEC_PER_SEC, HZ);
}

/* What fuse keeps of an inode. */
static int put_fuse(struct sk_buff *skb, const struct fuse_inode *fi)
{
	u64 nlookup, i_time, orig_ino, attr_version;
	u32 inval_mask;

	spin_lock(fl_inode_lock(fi));
	nlookup = *fl_inode_nlookup(fi);
	i_time = *fl_inode_i_time(fi);
	orig_ino = *fl_inode_orig_ino(fi);
	attr_version = *fl_inode_attr_version(fi);
	inval_mask = *fl_inode_inval_mask(fi);
	spin_unlock(fl_inode_lock(fi));

	if (fusecr_put_u64(skb, FUSECR_INODE_NODEID, *fl_inode_nodeid(fi)) ||
	    fusecr_put_u64(skb, FUSECR_INODE_NLOOKUP, nlookup) ||
	    fusecr_put_u64(skb, FUSECR_INODE_ORIG_INO, orig_ino) ||
	    fusecr_put_u64(skb, FUSECR_INODE_ATTR_VERSION, attr_version) ||
	    fusecr_put_u64(skb, FUSECR_INODE_ATTR_VALID, ms_left(i_time)) ||
	    nla_put_u32(skb, FUSECR_INODE_INVAL_MASK, inval_mask))
		return -EMSGSIZE;
	return 0;
}

static int put_time(struct sk_buff *skb, int sec, int nsec,
		    struct timespec64 ts)
{
	return nla_put_s64(skb, sec, ts.tv_sec, FUSECR_INODE_PAD) ?:
	       nla_put_u32(skb, nsec, ts.tv_nsec);
}

/* What the VFS keeps of an inode. */
static int put_attributes(struct sk_buff *skb, const struct inode *inode)
{
	umode_t mode = *fl_inode_orig_i_mode(fl_inode(inode));

	/* As stat() shows it, but the root before its first GETATTR. */
	if (!mode)
		mode = inode->i_mode;
	if (fusecr_put_u64(skb, FUSECR_INODE_GENERATION,
			   inode->i_generation) ||
	    nla_put_u32(skb, FUSECR_INODE_MODE, mode) ||
	    nla_put_u32(skb, FUSECR_INODE_UID,
			from_kuid_munged(&init_user_ns, inode->i_uid)) ||
	    nla_put_u32(skb, FUSECR_INODE_GID,
			from_kgid_munged(&init_user_ns, inode->i_gid)) ||
	    nla_put_u32(skb, FUSECR_INODE_NLINK, inode->i_nlink) ||
	    nla_put_u32(skb, FUSECR_INODE_RDEV,
			new_encode_dev(inode->i_rdev)) ||
	    fusecr_put_u64(skb, FUSECR_INODE_SIZE, i_size_read(inode)) ||
	    fusecr_put_u64(skb, FUSECR_INODE_BLOCKS, inode->i_blocks) ||
	    nla_put_u32(skb, FUSECR_INODE_BLKBITS, inode->i_blkbits) ||
	    put_time(skb, FUSECR_INODE_ATIME, FUSECR_INODE_ATIME_NSEC,
		     compat_atime(inode)) ||
	    put_time(skb, FUSECR_INODE_MTIME, FUSECR_INODE_MTIME_NSEC,
		     compat_mtime(inode)) ||
	    put_time(skb, FUSECR_INODE_CTIME, FUSECR_INODE_CTIME_NSEC,
		     compat_ctime(inode)))
		return -EMSGSIZE;
	return 0;
}

static int put_pages(struct sk_buff *skb, struct inode *inode)
{
	struct address_space *mapping = inode->i_mapping;
	unsigned int writeback;

	writeback = tagged_pages(mapping, PAGECACHE_TAG_WRITEBACK);
	/* Elsewhere the memory holds other things (a union in fuse_inode). */
	if (S_ISREG(inode->i_mode))
		writeback += fl_inode_writeback_copies(fl_inode(inode));
	if (nla_put_u32(skb, FUSECR_INODE_DIRTY_PAGES,
			tagged_pages(mapping, PAGECACHE_TAG_DIRTY)) ||
	    nla_put_u32(skb, FUSECR_INODE_WRITEBACK_PAGES, writeback))
		return -EMSGSIZE;
	return 0;
}

int fusecr_inode_fill(const struct fusecr_msg *msg, struct inode *inode,
		      bool shorten)
{
	struct nlattr *nest, *flags;
	void *hdr = fusecr_msg_begin(msg, FUSECR_A_INODE, &nest);
	u64 backing;
	bool more;
	int err;

	if (!hdr)
		return -EMSGSIZE;
	backing = fusecr_backing_of(fl_inode(inode));
	err = backing ? fusecr_put_u64(msg->skb, FUSECR_INODE_BACKING, backing) : 0;
	err = err ?: put_fuse(msg->skb, fl_inode(inode)) ?:
	      put_attributes(msg->skb, inode) ?: put_pages(msg->skb, inode);
	if (err)
		goto out;
	err = -EMSGSIZE;
	flags = nla_reserve(msg->skb, FUSECR_INODE_FLAGS, sizeof(u32));
	if (!flags)
		goto out;
	err = put_names(msg->skb, inode, shorten, &more);
	if (!err)
		*(u32 *)nla_data(flags) = flags_of(inode) |
					  (more ? FUSECR_INODE_MORE_NAMES : 0);
out:
	return fusecr_msg_end(msg, hdr, nest, err);
}
