/* SPDX-License-Identifier: GPL-2.0 */
/* A connection as its images say it is: where the surrogate's answers come from. */
#ifndef FUSECR_MODEL_H
#define FUSECR_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fusecr.pb-c.h"
#include "report.h"
#include "snapshot.h"

struct model;

/*
 * Of a whole checkpoint: the caller frees it, after a failure too.  0 or -errno, with
 * the report saying why.
 */
int model_inventory(FusecrInventoryEntry **inv, int dirfd, struct report *r);

/*
 * Reads the images of connection id in dirfd.  0 or -errno, image_error() tells
 * more.  count is the inventory's, NULL while there is none yet; -EBADMSG when
 * an image has lost entries.
 */
int model_load(struct model **m, int dirfd, uint32_t id, const FusecrCountEntry *count);
void model_free(struct model *m);

const FuseConnEntry *model_conn(const struct model *m);
/* How a message names it, until this is called again: by its number in the images. */
const char *model_label(const struct model *m);
const struct message_list *model_devs(const struct model *m);
const struct message_list *model_files(const struct model *m);
const struct message_list *model_mounts(const struct model *m);
const struct message_list *model_requests(const struct model *m);
const struct message_list *model_backings(const struct model *m);

/* NULL when the kernel did not hold such a node. */
const FuseInodeEntry *model_inode(const struct model *m, uint64_t nodeid);
const FuseInodeEntry *model_lookup(const struct model *m, uint64_t parent,
				   const char *name, size_t len);
/* The node that a path from the root of the mount leads to, by names alone; or 0. */
uint64_t model_resolve(const struct model *m, const char *path, size_t len);
/*
 * What is in use but deleted, by the name that it had when CRIU looked.  The path that
 * the kernel tells of it, and CRIU looks up, ends in MODEL_DELETED.
 */
#define MODEL_DELETED " (deleted)"
const FuseInodeEntry *model_lookup_deleted(const struct model *m, uint64_t parent,
					   const char *name, size_t len);
/* By the name that a path has which the kernel tells: deleted or not. */
const FuseInodeEntry *model_lookup_told(const struct model *m, uint64_t parent,
					const char *name, size_t len);
/* The node of a unix socket of the tree's that is, or was, bound to the name. */
const FuseInodeEntry *model_bound(const struct model *m, uint64_t parent,
				  const char *name, size_t len);
/* What is behind its passthrough files; NULL without such. */
const FuseBackingEntry *model_backing(const struct model *m, const FuseInodeEntry *inode);
/* What a mapping of it shows that was made through passthrough, or NULL. */
const FuseBackingEntry *model_mapped(const struct model *m, uint64_t nodeid);
/*
 * FOPEN_* that the open file was answered with that an OPEN of this node with these
 * flags is for, or else another one of the node; fallback when none is open.
 */
uint32_t model_open_flags(const struct model *m, uint64_t nodeid, uint32_t flags, uint32_t fallback);

/* Whether an open file got its handle from an answer to OPEN or OPENDIR. */
bool model_has_handle(const struct model *m, const FuseFileEntry *file);
/* How many, duplicates not counted. */
size_t model_handles(const struct model *m);

/*
 * How often the daemon believes a node was looked up: what the kernel held, and
 * what forgets on their way to the daemon will take away.  Calls back for each
 * node with a count, the root excepted; non-zero ends it and is returned.
 * Marking a node tells the callback that the kernel holds it now.
 */
void model_mark_held(struct model *m, uint64_t nodeid);
void model_unmark_all(struct model *m);
bool model_is_held(const struct model *m, uint64_t nodeid);
uint64_t model_nlookup(const struct model *m, uint64_t nodeid);
int model_each_nlookup(const struct model *m,
		       int (*cb)(uint64_t nodeid, uint64_t nlookup, bool held, void *arg),
		       void *arg);

#endif
