/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Locks of the tree's that a daemon outside of it keeps.  They are in no list of the
 * kernel's, so CRIU does not see them; and when the tree ends, that daemon lets go of
 * them.
 */
#ifndef FUSECR_SURROGATE_FOREIGN_H
#define FUSECR_SURROGATE_FOREIGN_H

#include "dump.h"

/*
 * Before the tree stands: asks these daemons, for a bounded time, and adds to the
 * report what would be lost.  0 or -errno.
 */
int foreign_refuse(struct dump *d);

#endif
