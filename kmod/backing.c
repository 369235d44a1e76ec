// SPDX-License-Identifier: GPL-2.0
/* The files that a daemon has registered for passthrough (since 6.9). */

#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fusecr.h>
#include <linux/idr.h>
#include <linux/kdev_t.h>
#include <linux/user_namespace.h>

#include "backing.h"
#include "compat.h"
#include "conn.h"
#include "layout.h"
#include "netlink.h"

/* One of them, counted. */
struct backing {
	u32 id;
	u64 cookie;
	struct file *file;
	const struct cred *cred;
};

/* The one with this id, or the next; false past the last. */
static bool get(const struct fuse_conn *fc, u32 id, struct backing *b)
{
	const struct fuse_backing *fb;
	int at = id;

	spin_lock(fl_conn_lock(fc));
	fb = idr_get_next(fl_conn_backing(fc), &at);
	if (fb) {
		/* With an id, it has both (fuse_backing_open()). */
		b->id = at;
		b->cookie = fusecr_cookie(fb);
		b->file = get_file(*fl_backing_file(fb));
		b->cred = get_cred(*fl_backing_cred(fb));
	}
	spin_unlock(fl_conn_lock(fc));
	return fb;
}

static void put(const struct backing *b)
{
	put_cred(b->cred);
	fput(b->file);
}

static int put_path(struct sk_buff *skb, const struct path *path, char *buf,
		    size_t limit)
{
	char *name = dentry_path_raw(path->dentry, buf, PATH_MAX);
	int mnt_id;

	if (!IS_ERR(name) && strlen(name) < limit &&
	    nla_put(skb, FUSECR_BACKING_PATH, strlen(name), name))
		return -EMSGSIZE;
	if (fl_mnt_id(path->mnt, &mnt_id) &&
	    nla_put_u32(skb, FUSECR_BACKING_MNT_ID, mnt_id))
		return -EMSGSIZE;
	return 0;
}

int fusecr_backing_put(struct sk_buff *skb, const struct file *file,
		       const struct cred *cred, char *path, size_t limit)
{
	const struct inode *inode = file_inode(file);

	if (nla_put_u32(skb, FUSECR_BACKING_DEV,
			new_encode_dev(inode->i_sb->s_dev)) ||
	    fusecr_put_u64(skb, FUSECR_BACKING_INO, inode->i_ino) ||
	    fusecr_put_u64(skb, FUSECR_BACKING_INODE, fusecr_cookie(inode)) ||
	    nla_put_u32(skb, FUSECR_BACKING_FILE_FLAGS, file->f_flags) ||
	    nla_put_u8(skb, FUSECR_BACKING_UNLINKED,
		       d_unlinked(file->f_path.dentry)) ||
	    nla_put_u32(skb, FUSECR_BACKING_FSUID,
			from_kuid_munged(&init_user_ns, cred->fsuid)) ||
	    nla_put_u32(skb, FUSECR_BACKING_FSGID,
			from_kgid_munged(&init_user_ns, cred->fsgid)) ||
	    fusecr_put_u64(skb, FUSECR_BACKING_CAPS,
			   compat_cap_value(cred->cap_effective)))
		return -EMSGSIZE;
	return put_path(skb, &file->f_path, path, limit);
}

static int fill(const struct fusecr_msg *msg, const struct backing *b, char *buf)
{
	struct nlattr *nest;
	void *hdr = fusecr_msg_begin(msg, FUSECR_A_BACKING, &nest);
	int err = -EMSGSIZE;

	if (!hdr)
		return err;
	if (!nla_put_u32(msg->skb, FUSECR_BACKING_ID, b->id) &&
	    !fusecr_put_u64(msg->skb, FUSECR_BACKING_COOKIE, b->cookie))
		err = fusecr_backing_put(msg->skb, b->file, b->cred, buf,
					 PATH_MAX);
	return fusecr_msg_end(msg, hdr, nest, err);
}

int fusecr_backing_walk(const struct fuse_conn *fc,
			struct fusecr_backing_cursor *cursor,
			const struct fusecr_msg *msg)
{
	struct backing b;

	if (!fl_has(FL_CONN_BACKING))
		return 0;
	while (cursor->id <= INT_MAX && get(fc, cursor->id, &b)) {
		int err = fill(msg, &b, cursor->path);

		put(&b);
		if (err)
			return err;
		cursor->id = b.id + 1;
		cond_resched();
	}
	return 0;
}

u64 fusecr_backing_of(const struct fuse_inode *fi)
{
	const struct fuse_backing *fb = NULL;

	/* Only told apart, never looked into. */
	if (fl_has(FL_INODE_FB))
		fb = READ_ONCE(*fl_inode_fb(fi));
	return fb ? fusecr_cookie(fb) : 0;
}

u32 fusecr_backing_next(const struct fuse_conn *fc)
{
	if (!fl_has(FL_CONN_BACKING) || !fl_has(FL_CONN_PASSTHROUGH) ||
	    !fl_bit(fc, FL_CONN_PASSTHROUGH))
		return 0;
	/* Ids begin with 1 (fuse_backing_id_alloc()). */
	return max(idr_get_cursor(fl_conn_backing(fc)), 1U);
}

void fusecr_backing_set_next(struct fuse_conn *fc, u32 next)
{
	spin_lock(fl_conn_lock(fc));
	idr_set_cursor(fl_conn_backing(fc), next);
	spin_unlock(fl_conn_lock(fc));
}
