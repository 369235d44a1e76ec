/* SPDX-License-Identifier: GPL-2.0 */
/* The surrogate at restore: connections made anew, and where they are mounted. */
#ifndef FUSECR_SURROGATE_RESTORE_H
#define FUSECR_SURROGATE_RESTORE_H

#include "asker.h"
#include "engine.h"
#include "guard.h"
#include "holder.h"
#include "nl.h"
#include "surrogate.h"

/* One /dev/fuse that the daemon gets back. */
struct instance {
	uint64_t cookie;	/* the old one, in the images */
	int fd;
};

/* A file that is passed through to, with the id that it has now. */
struct registered {
	const FuseBackingEntry *b;
	int id;
};

struct rebuilt {
	struct restore *re;
	uint32_t id;		/* in the images */
	struct model *model;
	struct engine engine;
	struct handles *handles;
	struct registered *registered;	/* passthrough files */
	size_t nr_registered;
	uint64_t conn_id;	/* the new one */
	uint32_t dev;
	struct asker asker;
	int mnt;		/* detached, or attached somewhere */
	int handle;
	struct instance *instances;
	size_t count;
	bool held;		/* the old one, and it is mounted; none of it is ours to answer */
};

/* A block device that a daemon gets back. */
struct block {
	uint32_t criu_id;
	int fd;
};

struct restore {
	struct surrogate *s;
	struct nl *nl;
	FusecrInventoryEntry *inv;
	struct rebuilt *conns;
	size_t count;
	struct progress *p;
	struct block *blocks;
	size_t nr_blocks;
	struct holder holder;	/* of the devices of what is held */
	bool lost;		/* who began this was killed: it cannot succeed */
};

/*
 * One request of this connection, if there is one within so long.  1 when there was, 0, or
 * -errno; outsiders are put to rest (outsiders.h).
 */
int restore_serve(struct rebuilt *rb, int timeout_ms);
/* The descriptor of the rebuilt connection arg that is that device in the images, or -1. */
int restore_device(uint64_t cookie, const void *arg);

/*
 * What may have to wait for an answer is done in a child: it is we who answer,
 * for this connection or for all.  Not for all once one is settled: the FORGETs
 * in its queue are for the daemon.  0, what fn returns (-errno), or -EIO.
 */
int restore_in_child(struct rebuilt *rb, int (*fn)(struct rebuilt *rb, const void *arg), const void *arg,
		     bool all);

/*
 * Mounts them all, when all can be had: at their places in our own mount
 * namespace, or on the stage from which CRIU fetches them, which is told.
 */
int restore_place(struct restore *re);
/* Takes back what is in our own mount namespace. */
void restore_unplace(struct restore *re);

#endif
