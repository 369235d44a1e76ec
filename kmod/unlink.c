// SPDX-License-Identifier: GPL-2.0
/* Files that are open under a name that is no more. */

#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/string.h>

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

	if (len <= SUFFIX_LEN ||
	    memcmp(name + len - SUFFIX_LEN, SUFFIX, SUFFIX_LEN))
		return NULL;
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
	name = true_name(dentry);
	if (IS_ERR(name))
		return PTR_ERR(name);
	if (!name)
		return d_unhashed(dentry) ? 0 : -EINVAL;
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

int fusecr_unlink(const struct fusecr_conn *conn,
		  const struct fusecr_unlink *in)
{
	const struct fusecr_use use = { in->pid, in->use, in->number };
	struct file *file = fusecr_use_find(conn, &use, in->nodeid);
	struct dentry *parent;
	struct inode *dir;
	int err = -EBUSY;

	if (IS_ERR(file))
		return PTR_ERR(file);
	parent = dget_parent(file->f_path.dentry);
	dir = d_inode(parent);
	/* Who has it may wait for the daemon. */
	if (inode_trylock(dir)) {
		err = unlink_dentry(parent, file->f_path.dentry);
		inode_unlock(dir);
	}
	dput(parent);
	fput(file);
	return err;
}
