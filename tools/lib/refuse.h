/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a checkpoint does not carry, by name.  Each check looks at one object
 * and adds a sentence to the report for each thing that would be lost.
 */
#ifndef FUSECR_REFUSE_H
#define FUSECR_REFUSE_H

#include "snapshot.h"

/* "connection 0:45 (sshfs)", which all sentences begin with: until the next call. */
const char *refuse_label(const FuseConnEntry *conn);
/* "123 (bash)" */
void refuse_task_label(char *buf, size_t len, uint32_t pid);

/* "process 123 (bash) fd 4 (/mnt/file)" */
void refuse_file_label(char *buf, size_t len, const FuseFileEntry *file);

/* A task of a tree that has connections. */
void refuse_task(struct report *r, const struct snapshot *snap, const struct task *task);
void refuse_conn(struct report *r, const struct snapshot *snap, const struct snapshot_conn *sc);
void refuse_dev(struct report *r, const struct snapshot *snap, const FuseDevEntry *dev);
void refuse_request(struct report *r, const struct snapshot *snap,
		    const struct snapshot_conn *sc, const FuseRequestEntry *req);
/* After what is behind passthrough. */
void refuse_inode(struct report *r, const struct snapshot_conn *sc, const FuseInodeEntry *inode);
/* After all inodes of the connection. */
void refuse_file(struct report *r, const struct snapshot *snap,
		 const struct snapshot_conn *sc, const FuseFileEntry *file);
void refuse_virtiofs(struct report *r, const FuseFileEntry *file);
/* Locks that the kernel keeps and CRIU would not find. */
void refuse_locks(struct report *r, const struct snapshot *snap, const struct snapshot_conn *sc);
/* Whether the connection outlives the tree if only it is let. */
bool refuse_may_be_held(const struct snapshot *snap, const struct snapshot_conn *sc);
/* The connection mounted where a checkpoint of this tree does not reach. */
void refuse_mounts(struct report *r, const struct snapshot *snap, const struct snapshot_conn *sc);
/* When all mounts are known: how they lie on each other and on others.  0 or -errno. */
int refuse_stacking(struct report *r, struct snapshot *snap);

#endif
