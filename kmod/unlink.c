// SPDX-License-Identifier: GPL-2.0
/* What is in use under a name that is no more. */

#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/path.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "compat.h"
#include "conn.h"
#include "defer.h"
#include "layout.h"
#include "unlink.h"
#include "use.h"

/* What has another name for as long as a handle lives: one a dentry. */
struct renamed {
	struct list_head entry;
	struct dentry *dentry;
	char *name;		/* that it had */
	char *given;		/* that it has */
	bool dead;		/* it was, and can be entered */
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

/* Of a directory and one in it: the classes of rmdir(2). */
static int lock_dir(struct inode *dir, bool wait, unsigned int class)
{
	if (wait)
		return down_write_killable_nested(&dir->i_rwsem, class);
	return inode_trylock(dir) ? 0 : -EBUSY;
}

/* The parent, locked and counted.  Who has its lock may wait for the daemon. */
static struct dentry *lock_parent(struct dentry *dentry, bool wait)
{
	struct dentry *parent;
	int err;

	do {
		parent = dget_parent(dentry);
		err = lock_dir(d_inode(parent), wait, I_MUTEX_PARENT);
		if (!err && dentry->d_parent == parent)
			return parent;
		if (!err)
			inode_unlock(d_inode(parent));
		dput(parent);
		/* Moved meanwhile. */
	} while (!err && wait);
	return ERR_PTR(err ?: -EBUSY);
}

static void unlock_parent(struct dentry *parent)
{
	inode_unlock(d_inode(parent));
	dput(parent);
}

/* As rmdir(2) leaves it, or before that.  Caller holds the parent's lock. */
static int set_dead(struct dentry *dentry, bool dead, bool wait)
{
	struct inode *inode = d_inode(dentry);
	int err;

	if (!!IS_DEADDIR(inode) == dead)
		return 0;
	err = lock_dir(inode, wait, I_MUTEX_NORMAL);
	if (err)
		return err;
	if (dead) {
		inode->i_flags |= S_DEAD;
		dont_mount(dentry);
	} else {
		inode->i_flags &= ~S_DEAD;
	}
	inode_unlock(inode);
	return 0;
}

static void renamed_free(struct renamed *r)
{
	dput(r->dentry);
	kfree(r->name);
	kfree(r->given);
	kfree(r);
}

static struct renamed *renamed_new(struct dentry *dentry)
{
	struct renamed *r = kzalloc(sizeof(*r), GFP_KERNEL_ACCOUNT);

	if (!r)
		return NULL;
	r->dentry = dget(dentry);
	r->name = kstrdup(dentry->d_name.name, GFP_KERNEL_ACCOUNT);
	if (r->name)
		return r;
	renamed_free(r);
	return NULL;
}

static struct renamed *renamed_find(const struct list_head *list,
				    const struct dentry *dentry)
{
	struct renamed *r;

	list_for_each_entry(r, list, entry)
		if (r->dentry == dentry)
			return r;
	return NULL;
}

static int give_back(const struct renamed *r, bool wait)
{
	struct dentry *parent = lock_parent(r->dentry, wait);
	int err;

	if (IS_ERR(parent))
		return PTR_ERR(parent);
	err = r->dead ? set_dead(r->dentry, true, wait) : 0;
	/* What was looked up is hashed again; another name it has from others. */
	if (!err && (d_unhashed(r->dentry) ||
		     !strcmp(r->dentry->d_name.name, r->given)))
		err = set_name(r->dentry, r->name);
	unlock_parent(parent);
	return err;
}

static void give_back_late(void *object)
{
	struct renamed *r = object;
	struct super_block *sb = r->dentry->d_sb;

	while (give_back(r, true))
		schedule_timeout_uninterruptible(HZ / 10);
	renamed_free(r);
	deactivate_super(sb);
}

void fusecr_names_back(struct list_head *list)
{
	struct renamed *r, *next;

	list_for_each_entry_safe(r, next, list, entry) {
		list_del(&r->entry);
		if (!give_back(r, false)) {
			renamed_free(r);
			continue;
		}
		/* Who has it locked may wait for a daemon that waits for us. */
		atomic_inc(&r->dentry->d_sb->s_active);
		fusecr_defer(give_back_late, r);
	}
}

void fusecr_names_keep(struct list_head *list)
{
	struct renamed *r, *next;

	list_for_each_entry_safe(r, next, list, entry) {
		list_del(&r->entry);
		renamed_free(r);
	}
}

/* Caller holds the parent's lock.  What fails half-way is put back with the rest. */
static int rename_deleted(struct dentry *dentry, const char *name, u32 flags,
			  struct list_head *list)
{
	bool enter = flags & FUSECR_UNLINK_ENTER && IS_DEADDIR(d_inode(dentry));
	bool same = !strcmp(dentry->d_name.name, name);
	struct renamed *r = renamed_find(list, dentry);
	char *given;
	int err;

	if (same && !enter)
		return 0;
	given = kstrdup(name, GFP_KERNEL_ACCOUNT);
	if (!given)
		return -ENOMEM;
	if (!r) {
		r = renamed_new(dentry);
		if (!r) {
			kfree(given);
			return -ENOMEM;
		}
		list_add(&r->entry, list);
	}
	kfree(r->given);
	r->given = given;
	err = same ? 0 : set_name(dentry, name);
	if (err || !enter)
		return err;
	r->dead = true;
	return set_dead(dentry, false, flags & FUSECR_UNLINK_WAIT);
}

/* As rmdir(2) and open(2) have left it. */
static int mark(struct dentry *dentry, u32 flags)
{
	struct inode *inode = d_inode(dentry);

	if (flags & FUSECR_INODE_DEAD)
		return set_dead(dentry, true, flags & FUSECR_UNLINK_WAIT);
	if (flags & FUSECR_INODE_LINKABLE) {
		spin_lock(&inode->i_lock);
		compat_inode_set_linkable(inode);
		spin_unlock(&inode->i_lock);
	}
	return 0;
}

static int unlink_dentry(struct dentry *dentry, const char *name,
			 const struct fusecr_unlink *in, struct list_head *list)
{
	u64 nodeid = in->above ? in->above_nodeid : in->nodeid;
	struct dentry *parent = lock_parent(dentry, in->flags & FUSECR_UNLINK_WAIT);
	int err;

	if (IS_ERR(parent))
		return PTR_ERR(parent);
	if (*fl_inode_nodeid(fl_inode(d_inode(dentry))) != nodeid)
		err = -ESTALE;
	else if (d_unhashed(dentry))
		err = rename_deleted(dentry, name, in->flags, list);
	else if (in->flags & FUSECR_UNLINK_ENTER)
		err = -EINVAL;
	else
		err = set_name(dentry, name);
	err = err ?: mark(dentry, in->flags);
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

	if (in->above > FUSECR_UNLINK_ABOVE || in->reserved ||
	    (!in->above && in->above_nodeid))
		return -EINVAL;
	name = get_name(in);
	if (IS_ERR(name))
		return PTR_ERR(name);
	err = fusecr_use_path(conn, &use, in->nodeid, &path);
	if (err)
		goto out;
	dentry = climb(path.dentry, in->above);
	err = is_valid(in, dentry) ?
	      unlink_dentry(dentry, name, in, list) : -EINVAL;
	dput(dentry);
	path_put(&path);
out:
	kfree(name);
	return err;
}
