/* SPDX-License-Identifier: GPL-2.0 */
/* FIFOs that CRIU cannot tell apart. */
#ifndef FUSECR_FIFOS_H
#define FUSECR_FIFOS_H

#include "report.h"
#include "snapshot.h"

/* To be told of each inode of the connection, then of each file of the tree.  0 or -ENOMEM. */
int fifos_keep(struct snapshot_conn *sc, const FuseInodeEntry *inode);
int fifos_keep_user(struct snapshot_conn *sc, const FuseFileEntry *file);
void fifos_free(struct snapshot_conn *sc);
/*
 * Adds to the report each open FIFO of a connection whose inode number another open
 * FIFO of the tree has, wherever that is: after all files of all connections.
 */
void fifos_refuse(struct report *r, const struct snapshot *snap);

#endif
