/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names that CRIU takes away, gives and moves at restore, to bind unix sockets
 * anew (criu/sk-unix.c).  The daemon has what they are to be in the end, and
 * hears nothing of it.
 */
#ifndef FUSECR_RENAMES_H
#define FUSECR_RENAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rename;

struct renames {
	struct rename *items;
	size_t count;
};

/* Whether something was done to the name; then nodeid is what it means, or 0. */
bool renames_find(const struct renames *r, uint64_t parent, const char *name, size_t len,
		  uint64_t *nodeid);
/* nodeid 0: nothing.  0 or -ENOMEM. */
int renames_set(struct renames *r, uint64_t parent, const char *name, size_t len, uint64_t nodeid);
void renames_free(struct renames *r);

#endif
