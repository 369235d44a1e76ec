/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The stand-in daemon's half of the FUSE protocol: answers what CRIU asks, from
 * a model, and nothing else.  It never says ENOSYS unless the saved connection
 * had that bit, and what it cannot answer truthfully it leaves unanswered, for
 * the daemon to answer later.
 */
#ifndef FUSECR_ENGINE_H
#define FUSECR_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model.h"
#include "renames.h"
#include "retrieve.h"

/* Throw-away handles: no daemon is likely to use such numbers, and the exact
 * ones are put back before any daemon sees the connection again. */
#define ENGINE_FH_BASE	0xfec7fec700000000ULL

struct handles {
	uint64_t opens, releases;	/* of throw-away handles */
};

enum engine_phase {
	ENGINE_DUMP,	/* the daemon stands still and will come back, or not */
	ENGINE_DYING,	/* the daemon is dead: nobody will answer later */
	ENGINE_RESTORE,	/* the daemon is not there yet */
};

struct engine {
	const struct model *model;	/* NULL: everything of ours fails with EIO */
	enum engine_phase phase;
	/* Whether a request that somebody waits for comes from the checkpointing side. */
	bool (*ours)(uint32_t pid, uint64_t unique, void *arg);
	/* NULL, or who passes on what the daemon is to forget. */
	void (*forget)(uint64_t nodeid, uint64_t nlookup, void *arg);
	/*
	 * NULL, or who registers the file before pid has opened it: its id, or -errno.
	 */
	int (*backing)(const FuseBackingEntry *b, uint32_t pid, void *arg);
	void *arg;

	uint64_t init_offered;	/* FUSE_INIT flags that the kernel offered */
	uint32_t init_minor;	/* of the protocol 7 that it speaks */
	bool init_done;
	struct handles *handles;
	size_t held;		/* read and left unanswered */
	/* At dump: requests that their askers gave up, by their unique ids. */
	uint64_t *interrupted;
	size_t nr_interrupted;
	/* At dump: what the daemon had asked the kernel for, and has not read. */
	struct retrieves retrieves;

	/* Nodes whose reads were answered with noise (see engine.c, do_read()). */
	uint64_t *guessed;
	size_t nr_guessed;
	void *noise;
	size_t noise_size;

	struct renames renames;

	void *buf;
	size_t buf_size;
};

/* The handles are the caller's: another process may have to go on with them. */
int engine_init(struct engine *e, enum engine_phase phase, uint32_t max_write, struct handles *handles);
void engine_free(struct engine *e);

/*
 * Reads one request from the device instance fd and deals with it.  1 when
 * there was one, 0 when there was none, -ENODEV when the connection is gone,
 * or another -errno.  Does not block on a descriptor that polls readable and
 * has no other reader.
 */
int engine_serve(struct engine *e, int fd);
/*
 * The same, of a descriptor that does not block, until there is none, or for long enough:
 * somebody may ask without an end.  0 or -errno.
 */
int engine_drain(struct engine *e, int fd);

#endif
