/* SPDX-License-Identifier: GPL-2.0 */
/* Where a connection is mounted, from /proc/PID/mountinfo (read with libmount). */
#ifndef FUSECR_MOUNTS_H
#define FUSECR_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "fusecr.pb-c.h"

/*
 * Calls back for each mount in the mount namespace of pid whose st_dev is dev
 * (new_encode_dev, as the kernel module tells it), in mountinfo's order, with
 * the path as that namespace's root sees it, unescaped.  fstype and source
 * (with the subtype: "fuse.sshfs") are mountinfo's.  A callback's non-zero
 * ends the walk and is returned; otherwise 0 or -errno.
 */
typedef int (*mount_cb)(const FuseMountEntry *e, const char *fstype, const char *source, void *arg);
int mounts_of(pid_t pid, uint32_t dev, mount_cb cb, void *arg);

#endif
