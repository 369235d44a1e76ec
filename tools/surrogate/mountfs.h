/* SPDX-License-Identifier: GPL-2.0 */
/* Makes a FUSE mount anew from its image, first where nobody sees it. */
#ifndef FUSECR_MOUNTFS_H
#define FUSECR_MOUNTFS_H

#include <stddef.h>
#include <stdint.h>

#include "fusecr.pb-c.h"

/* Where mounts for another mount namespace wait to be fetched by CRIU. */
#define STAGE_SIZE	64

/*
 * A detached mount of a new connection on the /dev/fuse descriptor: a mount
 * descriptor or -errno; words (size bytes) then hold the kernel's sentence.
 */
int mountfs_create(const FuseConnEntry *c, const char *options, int fuse_fd,
		   char *words, size_t size);
/* Attaches it.  0 or -errno. */
int mountfs_attach(int mnt_fd, const char *path);
/*
 * A detached mount of what lies at root below the mount, a peer of it if that is
 * shared: a mount descriptor or -errno.  Walks into the mount, as attaching may
 * walk into others: whoever serves them must not wait for this.
 */
int mountfs_clone(int mnt_fd, const char *root, const char *options);
/* Gives a mount the options that mountinfo has for it, and no others.  0 or -errno. */
int mountfs_set(int mnt_fd, const char *options);
/* MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE.  0 or -errno. */
int mountfs_propagation(int mnt_fd, uint64_t type);

/* A private directory for staging.  0 or -errno; stage_remove takes "". */
int stage_create(char stage[STAGE_SIZE]);
void stage_remove(const char *stage);

#endif
