/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the uapi header of older build hosts lacks (include/uapi/linux/fuse.h), under
 * names that no newer one has.
 */
#ifndef FUSECR_NEWER_FUSE_H
#define FUSECR_NEWER_FUSE_H

#include <stdint.h>
#include <sys/ioctl.h>

#define OP_STATX		52		/* FUSE_STATX, Linux 6.6 */
#define INIT_NO_EXPORT_SUPPORT	(1ULL << 38)	/* FUSE_NO_EXPORT_SUPPORT, Linux 6.6 */
#define INIT_PASSTHROUGH	(1ULL << 37)	/* FUSE_PASSTHROUGH, Linux 6.9 */
#define OPEN_PASSTHROUGH	(1U << 7)	/* FOPEN_PASSTHROUGH, Linux 6.9 */

/* struct fuse_backing_map, Linux 6.9 */
struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};
#define BACKING_OPEN	_IOW(229, 1, struct backing_map)
#define BACKING_CLOSE	_IOW(229, 2, uint32_t)

#endif
