/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the administrator can change of a connection after it was mounted: in
 * /sys/fs/fuse/connections and, of the memory that its pages may take, in
 * /sys/class/bdi.
 */
#ifndef FUSECR_LIMIT_H
#define FUSECR_LIMIT_H

#include <stdint.h>

#include "fusecr.pb-c.h"
#include "report.h"

/* Notes those of the bdi in the entry: the kernel's module tells the others. */
void limit_read(FuseConnEntry *conn);
/*
 * Both set what dev, a connection made anew, has otherwise than the entry, and
 * report what could not be set.  INIT sets the limits of requests, but not to 0, and
 * can only lower max_readahead.  Without those of memory it is slower, or takes more.
 */
void limit_set_requests(const FuseConnEntry *conn, uint32_t dev, struct report *r);
void limit_set_memory(const FuseConnEntry *conn, uint32_t dev, struct report *r);

#endif
