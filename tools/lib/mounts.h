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
 * (new_encode_dev, as the kernel module tells it; 0: any), in mountinfo's order, with
 * the path as that namespace's root sees it, unescaped, and the map of its ids where the
 * kernel tells.  fstype and source (with the subtype:
 * "fuse.sshfs") are mountinfo's.  A callback's non-zero
 * ends the walk and is returned; otherwise 0 or -errno.
 */
typedef int (*mount_cb)(const FuseMountEntry *e, const char *fstype, const char *source, void *arg);
int mounts_of(pid_t pid, uint32_t dev, mount_cb cb, void *arg);

struct message_list;
/* All of that namespace, FuseMountEntry each. */
int mounts_read(pid_t pid, struct message_list *list);

/* Peer groups, "shared:7 master:3": the number after the tag, or -1. */
int mount_group(const char *propagation, const char *tag);

/*
 * Which of a connection's mounts, FuseMountEntry each, the one at i has to be
 * cloned from for its peer groups to come out right.  i: from any.  -1: its
 * groups reach beyond the list, or the other does not have what it shows.
 */
ssize_t mount_source(const struct message_list *mounts, size_t i);
/* Whether both show the same directory, or file, at the same path. */
bool mount_same_place(const FuseMountEntry *a, const FuseMountEntry *b);
/* Whether the one root lies below the other, or is the same. */
bool mount_shows(const ProtobufCBinaryData *outer, const ProtobufCBinaryData *inner);

/*
 * Whether an option of the file system, as mountinfo shows it, comes back with the
 * connection, or by itself ("seclabel": SELinux has a policy for it).
 */
bool mount_fs_option_known(const char *word);

/* Whether a per-mount option of mountinfo is one that can be made anew. */
bool mount_option_known(const char *word);

#endif
