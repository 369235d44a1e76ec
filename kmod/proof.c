// SPDX-License-Identifier: GPL-2.0
/* Whether the fuse that runs is the one that BTF describes, see proof.h. */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/fuse.h>
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>

#include "layout.h"
#include "proof.h"

static void tell(const char *member)
{
	pr_err_ratelimited("%s is not where the BTF of %s has it: that is of another build\n",
			   member, fl_btf_path());
}

/*
 * fuse_get_unique() counts reqctr up and, since 6.11, takes lock (dev.c); it
 * looks at nothing else of a queue.
 */
int __init fusecr_proof_iqueue(void)
{
	struct fuse_iqueue *fiq;
	u64 unique;
	bool fits;

	/* Whatever its size is. */
	fiq = kzalloc(PAGE_SIZE, GFP_KERNEL);
	if (!fiq)
		return -ENOMEM;
	spin_lock_init(fl_iq_lock(fiq));
	unique = fuse_get_unique(fiq);
	fits = unique && *fl_iq_reqctr(fiq) == unique;
	kfree(fiq);
	if (fits)
		return 0;
	tell("fuse_iqueue.reqctr");
	return -EINVAL;
}

/*
 * Is @head that of a list?  There may be anything in its place.  The first entry
 * stays the same, and is the first superblock's, as long as that is active.
 */
static bool is_list(const struct list_head *head)
{
	const struct list_head *first = READ_ONCE(head->next);
	const struct list_head *back;

	return !copy_from_kernel_nofault(&back, &first->prev, sizeof(back)) &&
	       back == head;
}

bool fusecr_proof_conn(const struct fuse_conn *fc)
{
	/* Behind all others that are needed, dev among them, from 6.1 to 7.3. */
	if (is_list(fl_conn_mounts(fc)))
		return true;
	tell("fuse_conn.mounts");
	return false;
}

bool fusecr_proof_foreign(const struct super_block *sb)
{
	struct dentry *root = READ_ONCE(sb->s_root);
	struct inode *inode = root ? d_inode_rcu(root) : NULL;

	/* That of a submount is what its directory is in the mount above. */
	if (!inode || *fl_inode_nodeid(fl_inode(inode)) != FUSE_ROOT_ID)
		return false;
	tell("fuse_conn.dev");
	return true;
}
