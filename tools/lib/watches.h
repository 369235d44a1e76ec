/* SPDX-License-Identifier: GPL-2.0 */
/* Who watches files of a connection with inotify or fanotify. */
#ifndef FUSECR_WATCHES_H
#define FUSECR_WATCHES_H

#include "report.h"
#include "snapshot.h"

/*
 * Adds to the report what CRIU would not carry: watches of processes outside of
 * the tree, such as fit into no image, those that ask for permission, and those of
 * nobody that can be found.  label names the connection.
 */
void watches_refuse(struct report *r, const struct snapshot *snap, const struct snapshot_conn *sc,
		    const char *label);

#endif
