/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who asks a mount for something while the tree stands still, and is not CRIU: from
 * outside the tree, and new to the gate, or it would be asleep.  What is asked waits
 * for the daemon; but who asks may have locked what CRIU needs (a directory, a name;
 * fs/fuse/dir.c, fuse_lock_inode(); fs/dcache.c, d_alloc_parallel()).
 */
#ifndef FUSECR_SURROGATE_OUTSIDERS_H
#define FUSECR_SURROGATE_OUTSIDERS_H

#include "dump.h"

/* Whether there are some, who are to be looked at again: from asking to sleep takes a moment. */
bool outsiders_wait(const struct dump *d);
/* Their system calls start over when the gate opens, and meet with the answers. */
void outsiders_rest(struct dump *d);
/* What they gave up, of which the daemon was to hear, it hears now. */
void outsiders_interrupt(const struct dump *d, const struct served *sv);

#endif
