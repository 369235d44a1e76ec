/* SPDX-License-Identifier: GPL-2.0 */
/* One open file in several places. */
#ifndef FUSECR_SHARE_H
#define FUSECR_SHARE_H

#include <linux/list.h>
#include <linux/fusecr_ioctl.h>

struct fusecr_conn;

/*
 * All of it or nothing; what was done is put on @undo.  May sleep, and with
 * FUSECR_SHARE_REOPEN wait for the daemon.  Errors as in
 * include/uapi/linux/fusecr.h, and -ENOMEM, -EINTR.
 */
int fusecr_share_file(struct fusecr_conn *conn,
		      const struct fusecr_share_file *in,
		      struct list_head *undo);

#endif /* FUSECR_SHARE_H */
