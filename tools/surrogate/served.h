/* SPDX-License-Identifier: GPL-2.0 */
/* The tree's connections at dump: how they come into our hand, and how we let go of them. */
#ifndef FUSECR_SURROGATE_SERVED_H
#define FUSECR_SURROGATE_SERVED_H

#include "dump.h"

/* A clone of a device of each that was seen.  0 or -errno, and says of which. */
int served_take_all(struct dump *d);
/* The kernel undoes it all when the process that owns the connections dies. */
int served_own_all(struct dump *d);
/* One that was another process's, who was killed. */
int served_take_over(struct dump *d, size_t i);
/*
 * In the daemon's user namespace CRIU has no number, and fuse would not even ask for it.
 * pid: a process of the namespace that is to count, 0: the daemon's again.  Not for one
 * who takes over: the gate is open then, and whatever CRIU asks is in vain.
 */
int served_number_users(const struct served *sv, pid_t pid);
/* Back to what the daemon believes, while the tree still stands. */
void served_step_aside(struct dump *d);
void served_disown(struct served *sv);

#endif
