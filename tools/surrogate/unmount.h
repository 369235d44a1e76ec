/* SPDX-License-Identifier: GPL-2.0 */
/* Takes connections out of our own mount namespace. */
#ifndef FUSECR_SURROGATE_UNMOUNT_H
#define FUSECR_SURROGATE_UNMOUNT_H

#include <stddef.h>
#include <stdint.h>

struct unmount {
	uint64_t conn_id;
	uint32_t dev;		/* 0: is not to be */
};

/*
 * All their mounts, lazily, and what lies on them; not what has been given the number of one
 * that is no more.
 */
void unmount_all(const struct unmount *list, size_t count);

#endif
