/* SPDX-License-Identifier: GPL-2.0 */
/* Character devices on a connection's mount: those that CRIU opens again by their names. */
#ifndef FUSECR_CHARS_H
#define FUSECR_CHARS_H

#include "snapshot.h"

/* Of all nodes, then: whether an open file is one that is carried. */
int chars_keep(struct snapshot_conn *sc, const FuseInodeEntry *inode);
bool chars_carried(const struct snapshot_conn *sc, const FuseFileEntry *file);
void chars_free(struct snapshot_conn *sc);

#endif
