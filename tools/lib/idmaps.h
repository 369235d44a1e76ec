/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Id maps of mounts.  mountinfo says only that there is one; statmount() tells it
 * since Linux 6.15 (fs/namespace.c, statmount_mnt_idmap()), and is asked since 6.17:
 * before, statmount_string() writes to an address that it has not set, with the mounts
 * of all the host locked (seen on 6.16.12).
 */
#ifndef FUSECR_IDMAPS_H
#define FUSECR_IDMAPS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fusecr.pb-c.h"

/* As in /proc/PID/uid_map and gid_map, seen from our own user namespace. */
struct idmap {
	char *uid;
	char *gid;
};

/* Whether mountinfo's per-mount options say that it has one. */
bool idmap_said(const char *options);

/*
 * Of a mount in the mount namespace of pid, by mountinfo's number.  0, -ENOENT: there is
 * no such mount; -EOPNOTSUPP: the kernel does not tell; or -errno.
 */
int idmap_read(pid_t pid, uint32_t mnt_id, struct idmap *map);
void idmap_free(struct idmap *map);

/* Whether the one has the same map as the other, or neither has one. */
bool idmap_same(const FuseMountEntry *a, const FuseMountEntry *b);

/*
 * Gives a detached mount the entry's map.  It must not have one.  0 also if the entry
 * has none; -EBADMSG: the kernel takes no such map; or -errno.
 */
int idmap_set(int mnt_fd, const FuseMountEntry *m);

#endif
