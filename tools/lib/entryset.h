/* SPDX-License-Identifier: GPL-2.0 */
/* The entries of one image, found by their key. */
#ifndef FUSECR_ENTRYSET_H
#define FUSECR_ENTRYSET_H

#include <stdbool.h>
#include <stddef.h>
#include "image.h"

struct entry {
	ProtobufCMessage *msg;
	bool seen;
};

struct entry_set {
	struct entry *entries;
	size_t count;
	int (*order)(const ProtobufCMessage *a, const ProtobufCMessage *b);
};

/*
 * Reads the image of kind IMAGE_DEV (key: vpid and fd), IMAGE_FILE (vpid, use
 * and number) or IMAGE_INODE (nodeid).  0 or -errno: see image_error().
 */
int entry_set_read(struct entry_set *set, int dirfd, enum image_kind kind, uint32_t id);
void entry_set_free(struct entry_set *set);
/* The entry whose key is that of msg, or NULL. */
struct entry *entry_set_find(const struct entry_set *set, const ProtobufCMessage *msg);

#endif
