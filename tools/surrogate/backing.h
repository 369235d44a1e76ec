/* SPDX-License-Identifier: GPL-2.0 */
/* Files that the daemon had registered for passthrough, registered again. */
#ifndef FUSECR_SURROGATE_BACKING_H
#define FUSECR_SURROGATE_BACKING_H

#include "fusecr.pb-c.h"
#include "report.h"

/*
 * Registers the file with the connection of devfd, which handle owns, under the id
 * that it had, or some other when it had none, as read and written by whom it was.
 * root: what its path is below, "/" or that of a task.  The id, or -errno with the
 * reason in the report.
 */
int backing_open(int devfd, int handle, const FuseBackingEntry *b, const char *root, struct report *r);
/* What was mapped from it stays. */
int backing_close(int devfd, uint32_t id);

#endif
