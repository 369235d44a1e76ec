/* SPDX-License-Identifier: GPL-2.0 */
/* The surrogate at dump, between its stages: prepare, stand in, watch. */
#ifndef FUSECR_SURROGATE_DUMP_H
#define FUSECR_SURROGATE_DUMP_H

#include "asker.h"
#include "daemons.h"
#include "engine.h"
#include "gate.h"
#include "guard.h"
#include "nl.h"
#include "snapshot.h"
#include "surrogate.h"

/* A connection of the tree while the surrogate stands in for its daemon. */
struct served {
	uint64_t conn_id;
	uint32_t id;		/* in the images */
	uint32_t dev;
	bool same_pid_ns;	/* pids in its requests are numbers that we know */
	bool allow_other;	/* else even root has to be let in */
	bool own_users;		/* numbered in a user namespace that is not ours */
	bool held;		/* it outlives the tree, and is not for us to serve */
	size_t forgets;		/* read by us all the same */
	struct message_list told;	/* FuseMountEntry: what CRIU was told of */
	struct asker asker;
	struct nl *nl;
	int devfd;		/* our own device instance, a clone */
	int handle;
	struct model *model;
	struct engine engine;
};

struct dump {
	struct surrogate *s;
	struct nl *nl;
	struct snapshot *snap;	/* the frozen one; before: as found running */
	struct snapshot_renames renames; /* deleted.h */
	struct served *served;
	size_t count;
	struct daemons daemons;
	struct progress *p;
	pid_t guard;
	struct exempt exempt;	/* of the gates */
	bool hold;		/* is asked for */
	int cord[2];		/* to the holder, while something is held */
	bool stood;		/* pre-dump: the tree was seen to stand, and so often */
	int runs;		/* to run again */
};

/* Pre-dump: whether the tree stood, and CRIU has let it go on. */
bool dump_runs_again(struct dump *d);

/* After CRIU is done: leaves when the tree runs again, else buries it. */
void dump_watch(struct dump *d);

#endif
