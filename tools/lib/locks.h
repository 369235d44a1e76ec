/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Locks that the kernel keeps, and CRIU carries with --file-locks.  It finds them
 * at descriptors of the tree's processes; what it would lose is found here.
 */
#ifndef FUSECR_LOCKS_H
#define FUSECR_LOCKS_H

#include "report.h"
#include "snapshot.h"
#include "tree.h"

/* Adds a line for each lock on device dev that would be lost; label is of it. */
void locks_refuse(struct report *r, const struct tree *tree, uint32_t dev, const char *label);

/* Keeps a node that somebody has locked, before all files.  0 or -ENOMEM. */
int locks_keep_node(struct snapshot_conn *sc, const FuseInodeEntry *inode);
/*
 * Adds to a descriptor of the tree's the POSIX locks that its process has set by it,
 * which are set again after a restore (settle_locks()).  0 or -ENOMEM; locks_free()
 * in any case.
 */
int locks_of_file(struct snapshot_conn *sc, const struct tree *tree, FuseFileEntry *file);
void locks_free(FuseFileEntry *file);

#endif
