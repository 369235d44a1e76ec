/* SPDX-License-Identifier: GPL-2.0 */
/* What waits for the daemon, for a bounded time. */
#ifndef FUSECR_BOUNDED_H
#define FUSECR_BOUNDED_H

#include <linux/types.h>

struct fusecr_conn;
struct task_struct;

/*
 * Each takes at most @seconds: then -ETIMEDOUT, while it goes on in a worker that
 * pins the superblock and the module.  -EINTR when killed, -ENOMEM.
 */

/* As syncfs(2); or the error of the sync. */
int fusecr_sync(const struct fusecr_conn *conn, unsigned int seconds);

/*
 * Has a task write a byte of its private mapping of a file of the connection as
 * it is.  -ESRCH when the task has ended, -EBADF for another file, -EINVAL when
 * the mapping is not private, -EIO.
 */
int fusecr_own_page(const struct fusecr_conn *conn, struct task_struct *task,
		    unsigned long address, unsigned int seconds);

/*
 * The page cache of a node goes: -ENOENT, or -EBUSY when some of it is dirty or
 * stays.
 */
int fusecr_drop_pages(const struct fusecr_conn *conn, u64 nodeid,
		      unsigned int seconds);

#endif /* FUSECR_BOUNDED_H */
