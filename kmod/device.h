/* SPDX-License-Identifier: GPL-2.0 */
/* Open files of /dev/fuse and /dev/cuse, and who holds them. */
#ifndef FUSECR_DEVICE_H
#define FUSECR_DEVICE_H

#include "tasks.h"

struct fusecr_msg;

/* Where a walk over the device instances stands; zeroed to start. */
struct fusecr_dev_cursor {
	struct fusecr_task_cursor task;
	u64 conn_id;		/* only this connection's, or 0 */
	pid_t at;		/* the task that the rest is about */
	unsigned int fd;
};

/* Writes messages with FUSECR_A_DEV; 0 at the end, -EMSGSIZE before. */
int fusecr_dev_walk(struct fusecr_dev_cursor *cursor,
		    const struct fusecr_msg *msg);

#endif /* FUSECR_DEVICE_H */
