/* SPDX-License-Identifier: GPL-2.0 */
/* Files in messages between processes of the tree (SCM_RIGHTS). */
#ifndef FUSECR_SENT_H
#define FUSECR_SENT_H

#include "report.h"
#include "snapshot.h"

/*
 * Whether it has to have a descriptor, too: CRIU dumps what is in a message to a socket
 * of the tree's, but not what only comes with another socket.
 */
bool sent_is_lost(const FuseFileEntry *file);

/* For one that is.  0 or -ENOMEM. */
int sent_keep(struct snapshot_conn *sc, const FuseFileEntry *file);
void sent_free(struct snapshot_conn *sc);

/* After all files of the connection.  0 or -errno. */
int sent_refuse(struct report *r, const struct snapshot *snap, struct snapshot_conn *sc);

#endif
