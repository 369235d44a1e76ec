/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The processes that serve the tree's connections, by descriptors of their own: what
 * becomes of one is known wherever it has gone meanwhile, and whoever has its number then.
 */
#ifndef FUSECR_SURROGATE_DAEMONS_H
#define FUSECR_SURROGATE_DAEMONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "snapshot.h"

struct daemon {
	uint64_t conn_id;
	pid_t pid;
	int pidfd;	/* -1: it had ended already */
};

struct daemons {
	struct daemon *list;
	size_t count;
};

/* Those that were not known yet.  -ENOMEM, or why one cannot be watched. */
int daemons_add(struct daemons *ds, const struct snapshot *snap);
void daemons_free(struct daemons *ds);

/* Ended: only its parent's wait may be missing. */
bool daemon_ended(const struct daemon *dm);
/* Ended, or about to: it will not answer any more. */
bool daemon_dying(const struct daemon *dm);
/* Alive and let go by the tracer, which may be gone before what it killed is. */
bool daemon_runs(const struct daemon *dm, bool tracer_gone);

#endif
