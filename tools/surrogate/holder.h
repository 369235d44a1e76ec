/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A process that keeps connections while their daemon is gone: it has the open
 * files of /dev/fuse that the daemon had, and does nothing with them.  Without it
 * the kernel would end the connections.
 */
#ifndef FUSECR_HOLDER_H
#define FUSECR_HOLDER_H

#include <sys/types.h>

#include "nl.h"
#include "report.h"
#include "snapshot.h"

/* What fusecr list and ps call it. */
#define HOLDER_NAME "fusecr-hold"

/*
 * At dump, while the tree stands still: takes the devices of all that is held, and
 * tells the snapshot who has them.  The holder ends by itself when all are gone who
 * have the other end of cord[0], unless it was told to stay.  0 or -errno.
 */
int holder_start(struct snapshot *snap, const int cord[2]);
/* The tree is dead: it stays until it is ended, or until the connections are. */
int holder_stay(const int cord[2]);

struct holder {
	pid_t pid;
	int pidfd;
};

/* At restore: whoever the inventory says, or a sentence why not.  0 or -errno. */
int holder_find(struct holder *h, const FusecrInventoryEntry *inv, struct report *r);
/* The same open file that it has, as a descriptor, or -errno. */
int holder_fetch(const struct holder *h, struct nl *nl, uint64_t conn_id, uint64_t cookie);
/* The daemon is back.  Returns when it has ended. */
void holder_end(const struct holder *h);

#endif
