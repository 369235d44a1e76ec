/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Users of a connection that are no processes: overlayfs, loop devices, swap files,
 * nfsd.  They would be left with an error, and nobody would have been told.
 */
#ifndef FUSECR_INKERNEL_H
#define FUSECR_INKERNEL_H

#include "report.h"
#include "snapshot.h"

/* Before the tree stands: others of its mounts are what CRIU makes then.  0 or -errno. */
int inkernel_refuse(struct report *r, const struct snapshot *snap, const struct snapshot_conn *sc);

#endif
