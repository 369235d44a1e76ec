/* SPDX-License-Identifier: GPL-2.0 */
/* At dump: connections that outlive the tree, for clients outside of it. */
#ifndef FUSECR_HELD_H
#define FUSECR_HELD_H

#include "dump.h"

/* Before guard(): whoever of the two is left has to tell the holder.  0 or -errno. */
int held_prepare(struct dump *d);
/* The tree stands still: the devices are taken, or the report says why not. */
void held_start(struct dump *d, struct report *r);
/* Of engine.h: what was read by us, and is the daemon's, is sent again at commit. */
void held_forget(uint64_t nodeid, uint64_t nlookup, void *served);
/* The tree is dead.  Before all that takes time: our end would be the connections'. */
void held_stay(const struct dump *d);
/* Others wait for its daemon to come back. */
void held_leave(struct served *sv);

#endif
