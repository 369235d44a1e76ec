/* SPDX-License-Identifier: GPL-2.0 */
/* Bringing the clients of a connection to rest, through its change handle. */
#ifndef FUSECR_GATE_H
#define FUSECR_GATE_H

#include <stdint.h>
#include <sys/types.h>

#include <linux/fusecr_ioctl.h>

#include "nl.h"

/* Processes that are never held. */
struct exempt {
	int32_t pid[FUSECR_EXEMPT_MAX];
	uint32_t count;
};

/*
 * Once, however often it is added.  Negative: with its children, as in struct
 * fusecr_gate_close.  0, or -E2BIG.
 */
int exempt_add(struct exempt *exempt, pid_t pid);

/*
 * Holds every process that has a file, a mapping or a directory of the mount
 * open, but the exempt.  One that is changing its mappings at this moment is found
 * by its descriptors only.  How many threads were not held before, or -errno.
 */
int gate_hold_users(struct nl *nl, int handle, uint64_t conn_id, const struct exempt *exempt);

#endif
