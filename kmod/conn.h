/* SPDX-License-Identifier: GPL-2.0 */
/* Find, pin and release a connection. */
#ifndef FUSECR_CONN_H
#define FUSECR_CONN_H

#include <linux/fs.h>
#include <linux/types.h>

struct fuse_conn;
struct fusecr_msg;

/*
 * A pinned connection: an active reference to its superblock, so that neither
 * an unmount nor the death of the daemon takes sb and fc away.  An unmount
 * meanwhile takes the mount out of the tree at once and ends the connection
 * when the pin goes.
 */
struct fusecr_conn {
	struct super_block *sb;
	struct fuse_conn *fc;
	u64 id;
};

/* Where a walk over the connections stands; zeroed to start. */
struct fusecr_conn_cursor {
	u32 dev;	/* dev_t of the last one */
	u8 type;	/* index of the file system type */
};

int fusecr_conn_init(void);

/*
 * Both never wait for a daemon, a mount or an unmount.  They may sleep.
 * -EUCLEAN: fuse is not as its BTF says, see proof.h; -ENOMEM.
 */
struct fusecr_conn *fusecr_conn_get(u64 id);	/* or -ENOENT */
struct fusecr_conn *fusecr_conn_next(struct fusecr_conn_cursor *cursor);

/* Never waits either: the end of a superblock is left to a worker. */
void fusecr_conn_put(struct fusecr_conn *conn);

/* Any context; caller keeps @fc (RCU is enough). */
u64 fusecr_conn_id(const struct fuse_conn *fc);

/* A name for an object that does not tell its address; never 0. */
u64 fusecr_cookie(const void *object);

/* FUSE_INIT flags that this kernel keeps a trace of. */
u64 fusecr_conn_known_flags(void);

/* Writes a message with FUSECR_A_CONN; -EMSGSIZE. */
int fusecr_conn_fill(const struct fusecr_msg *msg,
		     const struct fusecr_conn *conn);

#endif /* FUSECR_CONN_H */
