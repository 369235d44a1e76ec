/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Locks that the kernel keeps, and CRIU carries with --file-locks.  It finds them
 * at descriptors of the tree's processes; what it would lose is found here.
 */
#ifndef FUSECR_LOCKS_H
#define FUSECR_LOCKS_H

#include "report.h"
#include "tree.h"

/* Adds a line for each lock on device dev that would be lost; label is of it. */
void locks_refuse(struct report *r, const struct tree *tree, uint32_t dev, const char *label);

#endif
