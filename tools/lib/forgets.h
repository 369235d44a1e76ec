/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Nodes that the kernel has forgotten and whose daemon has not heard of it yet, while
 * nobody reads what waits for it.  The kernel forgets at all times, also between two
 * walks: a node may be in the list of nodes, and then in this one, too, or in the first
 * walk of neither.
 */
#ifndef FUSECR_FORGETS_H
#define FUSECR_FORGETS_H

#include <stddef.h>
#include <stdint.h>

#include "nl.h"

struct forgotten {
	uint64_t nodeid;
	uint64_t nlookup;	/* all that are on their way */
};

/* Sorted by node, each once. */
struct forgets {
	struct forgotten *list;
	size_t count;
};

/* 0 or -errno; to be freed after a failure, too. */
int forgets_read(struct forgets *f, struct nl *nl, uint64_t conn_id);
void forgets_free(struct forgets *f);

/*
 * Of what is in "after" and was not in "before", that of nodes in the image of connection
 * id is taken away: that image tells of them.  Not looked at where both are the same.
 * 0 or -errno.
 */
int forgets_unlist(struct forgets *after, const struct forgets *before, int dirfd, uint32_t id);

#endif
