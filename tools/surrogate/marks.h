/* SPDX-License-Identifier: GPL-2.0 */
/* Watches of the restored tree get what CRIU drops of their masks. */
#ifndef FUSECR_SURROGATE_MARKS_H
#define FUSECR_SURROGATE_MARKS_H

#include "restore.h"
#include "tree.h"

/*
 * Those on this connection.  When all that CRIU and we had open is closed: that would be
 * what IN_ONESHOT waits for.  Opens the mount's root, which is to be waited for, too.
 * 0 or -errno, with a line in the report.
 */
int marks_settle(struct restore *re, struct rebuilt *rb, const struct tree *tree);

#endif
