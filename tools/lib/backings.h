/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The files that a daemon has registered for passthrough: where the tree finds
 * them again, and which it would not.
 */
#ifndef FUSECR_BACKINGS_H
#define FUSECR_BACKINGS_H

#include "snapshot.h"

/*
 * The path from the root of the tree's mount namespace, to be freed; NULL when it
 * leads elsewhere, with the reason in a sentence about the file, or memory is out.
 * mounts: FuseMountEntry, all of that namespace.  snap: NULL when its tree is served.
 */
char *backing_path(const struct snapshot *snap, const struct message_list *mounts,
		   const FuseBackingEntry *e, const char **why);

/* Adds the sentence to the report when there is one. */
void refuse_backing(struct report *r, const struct snapshot_conn *sc, const FuseBackingEntry *e,
		    const char *why);

/* What nodes and files are compared with.  0 or -ENOMEM. */
int backings_keep(struct snapshot_conn *sc, const FuseBackingEntry *e);
int backings_keep_node(struct snapshot_conn *sc, const FuseInodeEntry *inode);
int backings_keep_mapped(struct snapshot_conn *sc, const FuseFileEntry *file);
void backings_free(struct snapshot_conn *sc);

/* Passthrough of which the file behind it is not known. */
bool backing_lacks(const struct snapshot_conn *sc, const FuseInodeEntry *inode);
bool backing_lacks_file(const struct snapshot_conn *sc, const FuseFileEntry *file);
/* When all files are known: mappings that outlived the files, and do not go with others. */
void refuse_mapped(struct report *r, const struct snapshot_conn *sc);

#endif
