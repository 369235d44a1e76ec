/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Programs that wait for an answer from FUSE cannot be stopped, CRIU itself
 * among them: with the surrogate dead, and the daemon stopped by a CRIU that
 * waits, nobody would ever answer anybody.  So the surrogate's work is done by
 * a child, and its parent, who shares the device instances, is there to end it
 * properly.
 */
#ifndef FUSECR_GUARD_H
#define FUSECR_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine.h"
#include "mountfs.h"

/* How far the work is, in memory that both processes share. */
struct progress {
	uint32_t asked;	/* the CONTROL_* that the plugin asked last, 0: nothing yet */
	uint32_t serial;	/* of that, and */
	int32_t value;	/* its value */
	bool frozen;	/* dump: the tree's state is saved, requests are answered */
	bool complete;	/* dump: all images are written */
	bool ended;	/* the connections are settled */
	bool valid;	/* dump: the images stay */
	char stage[STAGE_SIZE];	/* restore: mounted there, for CRIU; or empty */
	struct progress_conn {
		struct handles handles;
		bool answered;	/* dump: by what was saved, which is to be put back */
		bool settled;
	} conn[];
};

/* For this many connections, or NULL.  Never freed: the process ends soon. */
struct progress *progress_new(size_t conns);

/*
 * Returns 0 in the child, who does the work.  The parent ends with it, and when
 * it was killed, returns the signal's number to go on in its place.  -errno when
 * there is no child: then nothing is guarded.
 */
int guard(void);

/*
 * For who takes over: a handle may be busy (-EBUSY) for as long as a child of the dead
 * process has it, which dies with it.  Waits a moment, and says whether to try again;
 * *tries begins at 0.
 */
bool guard_try_again(int err, unsigned int *tries);

#endif
