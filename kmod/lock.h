/* SPDX-License-Identifier: GPL-2.0 */
/* POSIX locks that the kernel keeps. */
#ifndef FUSECR_LOCK_H
#define FUSECR_LOCK_H

#include <linux/fusecr_ioctl.h>

struct fusecr_conn;
struct list_head;

/*
 * Sets one for who has the descriptor, as fcntl(2) would; undone, the range is
 * unlocked.  Asks no daemon.  May sleep.  Errors as in include/uapi/linux/
 * fusecr_ioctl.h, and -ENOMEM.
 */
int fusecr_set_lock(const struct fusecr_conn *conn,
		    const struct fusecr_set_lock *in, struct list_head *list);

#endif /* FUSECR_LOCK_H */
