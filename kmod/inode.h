/* SPDX-License-Identifier: GPL-2.0 */
/* The inodes of a connection. */
#ifndef FUSECR_INODE_H
#define FUSECR_INODE_H

#include <linux/fs.h>
#include <linux/types.h>

struct fusecr_msg;

/*
 * The inode that the kernel knows under @nodeid, counted, or NULL.  Never
 * waits for an inode that comes or goes: those are not found.
 */
struct inode *fusecr_inode_find(struct super_block *sb, u64 nodeid);

/* Only what the kernel may still hand out: not one that is stale. */
struct inode *fusecr_inode_find_hashed(struct super_block *sb, u64 nodeid);

/*
 * The node id behind a name in the directory @parent, as far as the kernel has
 * it cached; 0 when it is known not to exist, or not known.
 */
u64 fusecr_inode_child(struct super_block *sb, u64 parent, const char *name,
		       u32 len);

/*
 * Has the name be looked up again that meant this node, 0: nothing, and may not any more.
 * What is mounted there stays.
 */
void fusecr_inode_drop_child(struct super_block *sb, u64 parent, const char *name,
			     u32 len, u64 nodeid);

/*
 * The inode after @prev on the superblock's list, or the first, counted; NULL
 * at the end.  Takes over the caller's reference to @prev.
 */
struct inode *fusecr_inode_next(struct super_block *sb, struct inode *prev);

/*
 * Like iput(), but an eviction is left to a worker: it can wait.  Caller holds
 * the connection.
 */
void fusecr_inode_put(struct inode *inode);

/* Inodes on the superblock, those that come and go included. */
unsigned int fusecr_inode_count(struct super_block *sb);

/*
 * Writes a message with FUSECR_A_INODE; -EMSGSIZE.  @shorten: names that do not fit are left
 * out and FUSECR_INODE_MORE_NAMES set, instead.
 */
int fusecr_inode_fill(const struct fusecr_msg *msg, struct inode *inode,
		      bool shorten);

#endif /* FUSECR_INODE_H */
