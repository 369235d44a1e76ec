/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Block devices: what daemons have open, which CRIU does not carry, and what
 * fuseblk is mounted from.  They are known by their number and size; what is on
 * them is nobody's business here.
 */
#ifndef FUSECR_BLOCKS_H
#define FUSECR_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "message_list.h"
#include "report.h"
#include "snapshot.h"

/*
 * FuseBlockEntry for each descriptor of the process that is a block device, O_PATH
 * excepted.  mounted: devices that a mount of the tree's has to itself.  Asks no
 * FUSE daemon anything.  0 or -errno.
 */
int blocks_read(struct message_list *list, pid_t pid, uint32_t vpid, const uint32_t *mounted, size_t count);

/* Of all daemons that were found.  0 or -errno. */
int blocks_collect(struct snapshot *snap);
/* What could not be had again. */
void blocks_refuse(struct report *r, const struct snapshot *snap);

/* Whether the connection is mounted from a block device: then its number is the device's. */
bool blocks_mounted(const FuseConnEntry *c);
/* In bytes; 0: there is no such device. */
uint64_t blocks_size(uint32_t dev);

/* An O_PATH descriptor of a directory that nobody else sees, with the device at path in it, or -errno. */
int blocks_node(uint32_t dev, const char *path);
/* Opens the device, wherever its node is or is not: a descriptor or -errno. */
int blocks_open(uint32_t dev, int flags);

#endif
