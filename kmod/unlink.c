// SPDX-License-Identifier: GPL-2.0
/* What is in use under a name that is no more. */

#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/path.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "compat.h"
#include "conn.h"
#include "unlink.h"
#include "use.h"

/* What d_path() writes behind such a name (fs/d_path.c). */
#define SUFFIX		" (deleted)"
#define SUFFIX_LEN	(sizeof(SUFFIX) - 1)

/* The name without the suffix, to be freed; NULL when it has none. */
static char *true_name(const struct dentry *dentry)
{
	unsigned int len = dentry->d_name.len;
	const char *name = dentry->d_name.name;

	if (len < SUFFIX_LEN ||
	    memcmp(name + len - SUFFIX_LEN, SUFFIX, SUFFIX_LEN))
		return NULL;
	/* What never had one is called so (vfs_tmpfile(), fs/namei.c). */
	if (len == SUFFIX_LEN)
		name = "/", len++;
	return kmemdup_nul(name, len - SUFFIX_LEN, GFP_KERNEL) ?:
	       ERR_PTR(-ENOMEM);
}

/* Caller holds the parent's lock, so that the name stays. */
static int unlink_dentry(struct dentry *parent, struct dentry *dentry)
{
	struct dentry *target;
	char *name;

	if (dentry->d_parent != parent)
		return -ESTALE;
	/* It has been done, and the suffix may be its own. */
	if (d_unhashed(dentry))
		return 0;
	name = true_name(dentry);
	if (IS_ERR_OR_NULL(name))
		return name ? PTR_ERR(name) : -EINVAL;
	target = d_alloc_name(parent, name);
	kfree(name);
	if (!target)
		return -ENOMEM;
	/* For a moment there are two of that name, if there is another. */
	d_move(dentry, target);
	d_drop(dentry);
	dput(target);
	return 0;
}

/* As rmdir(2) and open(2) leave it. */
static int mark(struct dentry *dentry, u32 flags)
{
	struct inode *inode = d_inode(dentry);

	if (flags & FUSECR_INODE_DEAD && !IS_DEADDIR(inode)) {
		if (!inode_trylock(inode))
			return -EBUSY;
		inode->i_flags |= S_DEAD;
		dont_mount(dentry);
		inode_unlock(inode);
	}
	if (flags & FUSECR_INODE_LINKABLE) {
		spin_lock(&inode->i_lock);
		compat_inode_set_linkable(inode);
		spin_unlock(&inode->i_lock);
	}
	return 0;
}

static int check(const struct fusecr_unlink *in, const struct dentry *dentry)
{
	u32 known = d_is_dir(dentry) ? FUSECR_INODE_DEAD :
				       FUSECR_INODE_LINKABLE;

	return in->flags & ~known || in->reserved || IS_ROOT(dentry) ? -EINVAL :
								       0;
}

int fusecr_unlink(const struct fusecr_conn *conn,
		  const struct fusecr_unlink *in)
{
	const struct fusecr_use use = { in->pid, in->use, in->number };
	struct dentry *parent;
	struct inode *dir;
	struct path path;
	int err;

	err = fusecr_use_path(conn, &use, in->nodeid, &path);
	if (err)
		return err;
	err = check(in, path.dentry);
	if (err)
		goto out;
	parent = dget_parent(path.dentry);
	dir = d_inode(parent);
	err = -EBUSY;
	/* Who has it may wait for the daemon. */
	if (inode_trylock(dir)) {
		err = unlink_dentry(parent, path.dentry) ?:
		      mark(path.dentry, in->flags);
		inode_unlock(dir);
	}
	dput(parent);
out:
	path_put(&path);
	return err;
}
