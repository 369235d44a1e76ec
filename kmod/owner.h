/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Lock owners: by what number a daemon that keeps locks itself knows who has
 * one.  fuse makes it of an address and of a key of the connection's
 * (fuse_lock_owner_id(), fs/fuse/file.c); both are others after a restore.  From
 * then on the numbers in requests are exchanged on their way to the daemon, for
 * those that it knows.
 */
#ifndef FUSECR_OWNER_H
#define FUSECR_OWNER_H

#include <linux/types.h>

struct fuse_conn;
struct fuse_iqueue;
struct fuse_req;
struct fusecr_owner;

/*
 * What the daemon is told of @owner: a struct files_struct for POSIX locks, a
 * struct file for others.  It is not looked at.  Any context.
 */
u64 fusecr_owner_id(const struct fuse_conn *fc, const void *owner);

/*
 * From now on the daemon is told @id.  The connection, which the caller keeps,
 * has that until it ends, or until fusecr_owner_unset(), and keeps the module
 * as long.  NULL when it is told so already.  May sleep; -EEXIST when it is told
 * another, or that of another, -EOPNOTSUPP, -ENOMEM.
 */
struct fusecr_owner *fusecr_owner_set(const struct fuse_conn *fc,
				      const void *owner, u64 id);
/* Takes NULL.  May sleep. */
void fusecr_owner_unset(struct fusecr_owner *owner);

/* --- for the hook -------------------------------------------------------------- */

/*
 * Of each request; a second time changes nothing.  Any context, spinlocks held.
 */
void fusecr_owner_exchange(const struct fuse_iqueue *fiq,
			   const struct fuse_req *req);
/* The connection ends, nobody uses it.  May sleep. */
void fusecr_owner_conn_ends(const struct fuse_iqueue *fiq);

#endif /* FUSECR_OWNER_H */
