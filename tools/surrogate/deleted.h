/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is in use but deleted.  The kernel tells its path with MODEL_DELETED behind
 * it, and CRIU would read such a file to make it anew.  So while CRIU looks, it
 * finds each under that path, with a link left (engine.c); and as several may have
 * had one name, or none, each has one of its own until then.
 */
#ifndef FUSECR_DELETED_H
#define FUSECR_DELETED_H

#include "dump.h"

/*
 * Has the kernel ask for the attributes of what has no link, and gives names, which
 * go with the handles.  0 or -errno.
 */
int deleted_prepare(struct dump *d);
/*
 * Takes back the names that CRIU has looked up.  In a child: for that the kernel
 * locks their directory, and whoever has it locked may wait for the daemon, which
 * waits for us.  Then it comes when it can.
 */
void deleted_forget(const struct served *sv);
void deleted_free(struct dump *d);

#endif
