/* SPDX-License-Identifier: GPL-2.0 */
/* Files that the daemon had registered for passthrough, registered again. */
#ifndef FUSECR_SURROGATE_BACKING_H
#define FUSECR_SURROGATE_BACKING_H

#include "restore.h"

/*
 * Before pid, a task of the tree or CRIU's, has a file open that is passed through to
 * b, of the images of rb (struct rebuilt): under the id that it had, or some other
 * when it had none, as read and written by whom it was.  The id, or -errno with the
 * reason in the report.
 */
int backing_need(const FuseBackingEntry *b, uint32_t pid, void *rb);

/*
 * When all files are open: those that none of them needs, too, which the daemon may be
 * about to need; of what is only mapped it knows nothing.  root: the tree's.
 */
int backing_settle(struct rebuilt *rb, pid_t root);

#endif
