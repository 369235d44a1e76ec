/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files in messages between processes of the tree.  CRIU opens what has no descriptor
 * for a moment, sends it and closes it: who answers the OPEN does not see of it again.
 */
#ifndef FUSECR_SENT_H
#define FUSECR_SENT_H

#include "report.h"
#include "snapshot.h"

/* For a file with FUSECR_FILE_SENT.  0 or -ENOMEM. */
int sent_keep(struct snapshot_conn *sc, const FuseFileEntry *file);
void sent_free(struct snapshot_conn *sc);

/* After all files of the connection.  0 or -errno. */
int sent_refuse(struct report *r, const struct snapshot *snap, struct snapshot_conn *sc);

#endif
