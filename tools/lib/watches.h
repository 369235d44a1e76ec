/* SPDX-License-Identifier: GPL-2.0 */
/* Who watches files of a connection with inotify or fanotify. */
#ifndef FUSECR_WATCHES_H
#define FUSECR_WATCHES_H

#include "report.h"
#include "snapshot.h"

/* Where /proc/PID/fd/N of an inotify instance leads to. */
#define WATCHES_INOTIFY "anon_inode:inotify"

/*
 * Adds to the report what cannot be carried: watches of processes outside of
 * the tree, such as fit into no image, those that ask for permission, and those of
 * nobody that can be found.  label names the connection.  Keeps what CRIU drops of
 * the others, in snap->watches.  0 or -ENOMEM.
 */
int watches_collect(struct report *r, struct snapshot *snap, const struct snapshot_conn *sc,
		    const char *label);

/*
 * Those of a process, with what CRIU drops, on the connection with that device number:
 * FuseWatchEntry, added to the list.  0 or -ENOMEM.
 */
int watches_read(struct message_list *list, pid_t pid, uint32_t vpid, uint32_t conn, uint32_t dev);

#endif
