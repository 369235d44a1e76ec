/* SPDX-License-Identifier: GPL-2.0 */
/* Block devices that daemons have open: CRIU leaves them to us, as it does /dev/fuse. */
#ifndef FUSECR_SURROGATE_BLOCK_H
#define FUSECR_SURROGATE_BLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fusecr.pb-c.h"
#include "snapshot.h"

struct restore;

/* Gives what is open at CRIU's descriptor CRIU's id: false when it is none of them. */
bool block_name(struct snapshot *snap, pid_t criu, int fd, uint32_t criu_id);
/* Whether none lacks its id any more. */
bool block_all_named(const struct snapshot *snap);

/* The device that fuseblk is to be mounted from is there, and is what it was.  0 or -errno. */
int block_expect(struct restore *re, const FuseConnEntry *c);
/* Opens them again, each once.  0 or -errno, with a line in the report. */
int block_open_all(struct restore *re);
/* The one with CRIU's id, or -1; it stays ours. */
int block_find(const struct restore *re, uint32_t criu_id);
void block_close_all(struct restore *re);

#endif
