/* SPDX-License-Identifier: GPL-2.0 */
/* What is in use under a name that is no more. */
#ifndef FUSECR_UNLINK_H
#define FUSECR_UNLINK_H

#include <linux/fusecr_ioctl.h>

struct fusecr_conn;
struct list_head;

/*
 * Takes the name away from what is in use, as unlink(2) and rmdir(2) do, without
 * the daemon; or gives what has none any more another, to be undone.  May sleep, and
 * with FUSECR_UNLINK_WAIT as long as others have the directory locked.
 * Errors as in include/uapi/linux/fusecr.h, -EFAULT and -ENOMEM.
 */
int fusecr_unlink(const struct fusecr_conn *conn,
		  const struct fusecr_unlink *in, struct list_head *list);

#endif /* FUSECR_UNLINK_H */
