/* SPDX-License-Identifier: GPL-2.0 */
/* Settings of a connection, its inodes and open files, and their undoing. */
#ifndef FUSECR_ADJUST_H
#define FUSECR_ADJUST_H

#include <linux/list.h>
#include <linux/fusecr_ioctl.h>

struct fusecr_conn;
struct fusecr_khs;

/*
 * Each of these checks everything first, and then does all of it or nothing.
 * What was done is put on @undo, which holds references of its own to inodes
 * and files, but lives no longer than @conn.  May sleep.  Errors as in
 * include/uapi/linux/fusecr.h, and -ENOMEM.
 */
int fusecr_set_conn(struct fusecr_conn *conn, const struct fusecr_set_conn *in,
		    struct fusecr_khs *khs, struct list_head *undo);
int fusecr_set_inode(struct fusecr_conn *conn,
		     const struct fusecr_set_inode *in, struct list_head *undo);
int fusecr_set_file(struct fusecr_conn *conn, const struct fusecr_set_file *in,
		    struct fusecr_khs *khs, struct list_head *undo);
int fusecr_set_owner(struct fusecr_conn *conn,
		     const struct fusecr_set_owner *in, struct list_head *undo);

#endif /* FUSECR_ADJUST_H */
