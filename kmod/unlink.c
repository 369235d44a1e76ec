// SPDX-License-Identifier: GPL-2.0
/* What is in use under a name that is no more. */

#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/path.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "compat.h"
#include "conn.h"
#include "undo.h"
#include "unlink.h"
#include "use.h"

struct undo_unlink {
	struct fusecr_undo undo;
	struct dentry *dentry;
	char *name;
	bool dead;
};

/* Caller holds the parent's lock, so that the name stays. */
static int set_name(struct dentry *dentry, const char *name)
{
	struct dentry *target = d_alloc_name(dentry->d_parent, name);

	if (!target)
		return -ENOMEM;
	/* For a moment there are two of that name, if there is another. */
	d_move(dentry, target);
	d_drop(dentry);
	dput(target);
	return 0;
}

static int lock_dir(struct inode *dir, bool wait)
{
	if (wait)
		return down_write_killable(&dir->i_rwsem);
	return inode_trylock(dir) ? 0 : -EBUSY;
}

/* The parent, locked and counted.  Who has its lock may wait for the daemon. */
static struct dentry *lock_parent(struct dentry *dentry, bool wait)
{
	struct dentry *parent = dget_parent(dentry);
	int err = lock_dir(d_inode(parent), wait);

	if (!err) {
		if (dentry->d_parent == parent)
			return parent;
		inode_unlock(d_inode(parent));
		err = -EBUSY;
	}
	dput(parent);
	return ERR_PTR(err);
}

static void unlock_parent(struct dentry *parent)
{
	inode_unlock(d_inode(parent));
	dput(parent);
}

/* As rmdir(2) leaves it, or before that. */
static int set_dead(struct dentry *dentry, bool dead)
{
	struct inode *inode = d_inode(dentry);

	if (IS_DEADDIR(inode) == dead)
		return 0;
	if (!inode_trylock(inode))
		return -EBUSY;
	if (dead) {
		inode->i_flags |= S_DEAD;
		dont_mount(dentry);
	} else {
		inode->i_flags &= ~S_DEAD;
	}
	inode_unlock(inode);
	return 0;
}

static void unlink_back(struct fusecr_undo *undo)
{
	struct undo_unlink *u = fusecr_undo_of(undo, struct undo_unlink);
	struct dentry *parent = lock_parent(u->dentry, false);

	if (IS_ERR(parent))
		return;
	/* It may have been linked anew. */
	if (d_unhashed(u->dentry)) {
		if (u->dead)
			set_dead(u->dentry, true);
		set_name(u->dentry, u->name);
	}
	unlock_parent(parent);
}

static void unlink_drop(struct fusecr_undo *undo)
{
	struct undo_unlink *u = fusecr_undo_of(undo, struct undo_unlink);

	dput(u->dentry);
	kfree(u->name);
}

/* Caller holds the parent's lock. */
static int rename_deleted(struct dentry *dentry, const char *name, bool enter,
			  struct list_head *list)
{
	bool same = !strcmp(dentry->d_name.name, name);
	struct undo_unlink *u;
	int err = -ENOMEM;

	enter = enter && IS_DEADDIR(d_inode(dentry));
	if (same && !enter)
		return 0;
	u = fusecr_undo_new(struct undo_unlink, unlink_back, unlink_drop);
	if (!u)
		return -ENOMEM;
	u->dead = enter;
	u->name = kstrdup(dentry->d_name.name, GFP_KERNEL_ACCOUNT);
	if (u->name)
		err = enter ? set_dead(dentry, false) : 0;
	if (!err && !same) {
		err = set_name(dentry, name);
		/* Who has it locked by now finds nothing in it: it may wait. */
		if (err && enter)
			set_dead(dentry, true);
	}
	if (err) {
		kfree(u->name);
		kfree(u);
		return err;
	}
	u->dentry = dget(dentry);
	list_add(&u->undo.entry, list);
	return 0;
}

/* As rmdir(2) and open(2) have left it. */
static int mark(struct dentry *dentry, u32 flags)
{
	struct inode *inode = d_inode(dentry);

	if (flags & FUSECR_INODE_DEAD)
		return set_dead(dentry, true);
	if (flags & FUSECR_INODE_LINKABLE) {
		spin_lock(&inode->i_lock);
		compat_inode_set_linkable(inode);
		spin_unlock(&inode->i_lock);
	}
	return 0;
}

static int unlink_dentry(struct dentry *dentry, const char *name, u32 flags,
			 struct list_head *list)
{
	struct dentry *parent = lock_parent(dentry, flags & FUSECR_UNLINK_WAIT);
	int err;

	if (IS_ERR(parent))
		return PTR_ERR(parent);
	if (d_unhashed(dentry))
		err = rename_deleted(dentry, name, flags & FUSECR_UNLINK_ENTER,
				     list);
	else if (flags & FUSECR_UNLINK_ENTER)
		err = -EINVAL;
	else
		err = set_name(dentry, name);
	err = err ?: mark(dentry, flags);
	unlock_parent(parent);
	return err;
}

static char *get_name(const struct fusecr_unlink *in)
{
	char *name;

	if (!in->name_len || in->name_len >= PATH_MAX)
		return ERR_PTR(-EINVAL);
	name = memdup_user_nul(u64_to_user_ptr(in->name), in->name_len);
	if (IS_ERR(name))
		return name;
	if (strlen(name) == in->name_len &&
	    (!strchr(name, '/') || !strcmp(name, "/")))
		return name;
	kfree(name);
	return ERR_PTR(-EINVAL);
}

static bool is_valid(const struct fusecr_unlink *in, const struct dentry *dentry)
{
	const u32 both = FUSECR_INODE_DEAD | FUSECR_UNLINK_ENTER;
	u32 known = d_is_dir(dentry) ? both : FUSECR_INODE_LINKABLE;

	return !(in->flags & ~(known | FUSECR_UNLINK_WAIT)) &&
	       (in->flags & both) != both && !IS_ROOT(dentry);
}

/* What is so far above it, or the root; counted. */
static struct dentry *climb(struct dentry *dentry, u32 above)
{
	struct dentry *at = dget(dentry), *parent;

	while (above-- && !IS_ROOT(at)) {
		parent = dget_parent(at);
		dput(at);
		at = parent;
	}
	return at;
}

int fusecr_unlink(const struct fusecr_conn *conn,
		  const struct fusecr_unlink *in, struct list_head *list)
{
	const struct fusecr_use use = { in->pid, in->use, in->number };
	struct dentry *dentry;
	struct path path;
	char *name;
	int err;

	if (in->above > FUSECR_UNLINK_ABOVE || in->reserved)
		return -EINVAL;
	name = get_name(in);
	if (IS_ERR(name))
		return PTR_ERR(name);
	err = fusecr_use_path(conn, &use, in->nodeid, &path);
	if (err)
		goto out;
	dentry = climb(path.dentry, in->above);
	err = is_valid(in, dentry) ?
	      unlink_dentry(dentry, name, in->flags, list) : -EINVAL;
	dput(dentry);
	path_put(&path);
out:
	kfree(name);
	return err;
}
