/* SPDX-License-Identifier: GPL-2.0 */
/* Files that are open under a name that is no more. */
#ifndef FUSECR_UNLINK_H
#define FUSECR_UNLINK_H

#include <linux/fusecr.h>

struct fusecr_conn;

/*
 * Takes the name away from an open file, as unlink(2) does, without the daemon.
 * May sleep.  Errors as in include/uapi/linux/fusecr.h, and -ENOMEM.
 */
int fusecr_unlink(const struct fusecr_conn *conn,
		  const struct fusecr_unlink *in);

#endif /* FUSECR_UNLINK_H */
