/* SPDX-License-Identifier: GPL-2.0 */
/*
 * criu pre-dump: CRIU stops the tree, reads its memory and lets it go on, without a word
 * to a plugin (3.17.1 to 4.2, cr_pre_dump_finish()). Whatever the surrogate had answered
 * until then, lookups and handles, the daemon would be asked to end, and knows nothing
 * of. So it answers nothing: CRIU asks a mount only for files that are mapped, and a tree
 * that has such is refused.
 */
#ifndef PREDUMP_H
#define PREDUMP_H

#include "dump.h"

/* Reports what CRIU would ask for; 0 or -errno. */
int predump_refuse(struct dump *d);

#endif
