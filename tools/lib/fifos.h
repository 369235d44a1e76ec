/* SPDX-License-Identifier: GPL-2.0 */
/* FIFOs that CRIU cannot tell apart. */
#ifndef FUSECR_FIFOS_H
#define FUSECR_FIFOS_H

#include "report.h"
#include "snapshot.h"

/*
 * Adds to the report each open FIFO of a connection whose inode number another open
 * FIFO of the tree has, wherever that is: after all files of all connections.
 */
void fifos_refuse(struct report *r, const struct snapshot *snap);

#endif
