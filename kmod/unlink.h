/* SPDX-License-Identifier: GPL-2.0 */
/* What is in use under a name that is no more. */
#ifndef FUSECR_UNLINK_H
#define FUSECR_UNLINK_H

#include <linux/fusecr_ioctl.h>

struct fusecr_conn;
struct list_head;

/*
 * Takes the name away from what is in use, as unlink(2) and rmdir(2) do, without
 * the daemon; or gives what has none any more another, and notes on @list what it
 * had.  May sleep, and with FUSECR_UNLINK_WAIT as long as others have the directory
 * locked.  The caller serialises those with one @list.
 * Errors as in include/uapi/linux/fusecr_ioctl.h, -EFAULT and -ENOMEM.
 */
int fusecr_unlink(const struct fusecr_conn *conn,
		  const struct fusecr_unlink *in, struct list_head *list);
/*
 * Both empty @list.  What cannot have its name back at once, because others have the
 * directory locked, has it when they are done: nobody is waited for here.
 */
void fusecr_names_back(struct list_head *list);
void fusecr_names_keep(struct list_head *list);

#endif /* FUSECR_UNLINK_H */
