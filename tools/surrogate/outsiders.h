/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who asks a mount for something while the tree stands still or is not there yet, and is
 * not CRIU: from outside the tree, and new to the gate, or it would be asleep.  What is
 * asked waits for the daemon; but who asks may have locked what CRIU needs (a directory,
 * a name; fs/fuse/dir.c, fuse_lock_inode(); fs/dcache.c, d_alloc_parallel()).
 */
#ifndef FUSECR_SURROGATE_OUTSIDERS_H
#define FUSECR_SURROGATE_OUTSIDERS_H

#include "dump.h"
#include "engine.h"

/* After this a gate opens whatever has become of us. */
#define OUTSIDERS_GATE_S	120
/* How often to look whether they sleep: from asking to that takes a moment. */
#define OUTSIDERS_LOOK_MS	10

/*
 * Puts those to rest, of one connection, whom the engine left without an answer: their
 * system calls start over when the gate opens, and meet with the answers.  It may open
 * before us, and then what they ask anew is where it was, without our seeing it: once
 * there was one, look again and again.
 * 0, or -ENOENT when the gate has opened by itself: close it again.
 */
int outsiders_take(int handle, const struct engine *e, const char *label);

/* The same of all at a dump: whether there was one. */
bool outsiders_wait(const struct dump *d);
void outsiders_rest(struct dump *d);
/* What they gave up, of which the daemon was to hear, it hears now. */
void outsiders_interrupt(const struct dump *d, const struct served *sv);

#endif
