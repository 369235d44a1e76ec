/* SPDX-License-Identifier: GPL-2.0 */
/* Open files, mappings and directories of FUSE mounts that tasks use. */
#ifndef FUSECR_FILE_H
#define FUSECR_FILE_H

#include <linux/limits.h>

#include "tasks.h"

struct fusecr_msg;

/* Where a walk over the files stands; zeroed to start. */
struct fusecr_file_cursor {
	struct fusecr_task_cursor task;
	u64 conn_id;		/* only this connection's, or 0 */
	pid_t at;		/* the task that the rest is about */
	u8 stage;		/* enum in file.c */
	unsigned int fd;
	unsigned long addr;
	unsigned int sock;	/* a descriptor, too */
	unsigned int sent;	/* in messages to it */
	char path[PATH_MAX];	/* scratch */
};

/* Writes messages with FUSECR_A_FILE; 0 at the end, -EMSGSIZE before. */
int fusecr_file_walk(struct fusecr_file_cursor *cursor,
		     const struct fusecr_msg *msg);

#endif /* FUSECR_FILE_H */
