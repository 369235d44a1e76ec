/* SPDX-License-Identifier: GPL-2.0 */
/* Changes: the handle, see include/uapi/linux/fusecr_ioctl.h. */
#ifndef FUSECR_HANDLE_H
#define FUSECR_HANDLE_H

#include <linux/types.h>

struct file;
struct fuse_conn;

void fusecr_handle_init(void);
/* No handle is open: each pins the module. */
void fusecr_handle_exit(void);

/*
 * A new handle, that owns no connection yet, or an error pointer.  Who may have one is
 * the caller's to ask; each of its calls asks again.
 */
struct file *fusecr_handle_file(void);

/* Whether a handle owns the connection.  Any context but hard interrupts. */
bool fusecr_handle_owns(const struct fuse_conn *fc);

#endif /* FUSECR_HANDLE_H */
