/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Paths that whoever owns a directory on the way may have changed since: we are root, and
 * a symbolic link would lead us where he may not go himself.
 */
#ifndef FUSECR_STRAIGHT_H
#define FUSECR_STRAIGHT_H

#include <stdint.h>

/*
 * A descriptor (O_CLOEXEC), or -errno: -ELOOP for a symbolic link anywhere in the path.
 * Below the directory root, which is not left, or with AT_FDCWD from the caller's.
 */
int straight_open(int root, const char *path, uint64_t flags);

/* In which mount that is, by its number in /proc/self/mountinfo; 0: not known. */
uint32_t straight_mount(int fd);

#endif
