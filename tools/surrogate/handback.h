/* SPDX-License-Identifier: GPL-2.0 */
/* The last step of a restore: a connection as its daemon believes it to be. */
#ifndef FUSECR_SURROGATE_HANDBACK_H
#define FUSECR_SURROGATE_HANDBACK_H

#include "restore.h"
#include "tree.h"

/*
 * Once every task of the tree stands, before any runs its own code: handles, locks,
 * names, lookup counts, numbers and kept requests.  After it the surrogate must answer
 * nothing on this connection.  0 or -errno, with the report saying why.
 */
int handback(struct restore *re, struct rebuilt *rb, const struct tree *tree);

#endif
