/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of fusecr verify share. */
#ifndef FUSECR_CMD_VERIFY_H
#define FUSECR_CMD_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "entryset.h"
#include "nl.h"
#include "snapshot.h"
#include "tree.h"

struct json_object;

struct verify {
	struct nl *nl;
	struct tree tree;
	FusecrInventoryEntry *inventory;
	int dirfd;
	bool running, json;
	struct json_object *differences;
	unsigned int conns, devs, inodes, files, mounts, backings, blocks, watches;	/* compared */

	/* the connection being compared */
	uint32_t id;
	FuseConnEntry *conn;		/* NULL: none */
	uint64_t conn_id;		/* of its likeness in the kernel */
	struct entry_set set;
	struct message_list kernel_mounts;
	struct message_list namespace;	/* all mounts of the tree's */
	struct message_list image_backings, kernel_backings;
	char *source;

	/* the object being compared */
	char object[128];
	struct json_object *image_json, *kernel_json;
};

/* The object being compared, after "connection N". */
void verify_name(struct verify *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* An object that only one side has, or that has no fields to compare. */
void verify_tell(struct verify *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Tells each field that differs. */
void verify_compare(struct verify *v, const ProtobufCMessage *image, const ProtobufCMessage *kernel);
/* Says that the kernel did not answer; returns err. */
int verify_failed(const struct verify *v, int err);

/* What is behind passthrough: first of all, since nodes and mappings name it.  0 or -errno. */
int verify_backings(struct verify *v);
void verify_backings_free(struct verify *v);
/* A cookie is given out anew, an id is not; 0: none. */
uint64_t verify_backing_id(const struct message_list *list, const FuseInodeEntry *e);
/* What is mapped through passthrough. */
void verify_mapped(struct verify *v, const FuseFileEntry *image, const FuseFileEntry *kernel);

/* What its daemons have open of block devices: of no connection.  0 or -errno. */
int verify_blocks(struct verify *v);

/* Of one connection, with that device number: what CRIU drops of its watches.  0 or -errno. */
int verify_watches(struct verify *v, uint32_t dev);

#endif
