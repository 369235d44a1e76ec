/* SPDX-License-Identifier: GPL-2.0 */
/* Changes: the device /dev/fusecr, each open of which is a handle. */
#ifndef FUSECR_HANDLE_H
#define FUSECR_HANDLE_H

#include <linux/types.h>

struct fuse_conn;

int fusecr_handle_init(void);
/* No handle is open: each pins the module. */
void fusecr_handle_exit(void);

/* Whether a handle owns the connection.  Any context but hard interrupts. */
bool fusecr_handle_owns(const struct fuse_conn *fc);

#endif /* FUSECR_HANDLE_H */
