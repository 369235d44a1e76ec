/* SPDX-License-Identifier: GPL-2.0 */
/* Whether a process that asks the mount for something is of CRIU's. */
#ifndef FUSECR_ASKER_H
#define FUSECR_ASKER_H

#include <stdbool.h>
#include <sys/types.h>

struct asker {
	pid_t criu;	/* the process that the plugin lives in */
	bool exe;	/* also who runs its program: tasks being restored */
	pid_t starter;	/* with exe: its parent when it began */
	pid_t pid;	/* the last one of CRIU's, while pidfd says that it lives */
	int pidfd;
};

void asker_init(struct asker *a, pid_t criu, bool exe);
void asker_free(struct asker *a);

/*
 * pid is a thread's, in our own pid namespace; 0 is nobody's.  Asked for each
 * request, so the last yes is remembered: thousands come from one process, and
 * each look into /proc costs more than the answer to the request.
 */
bool asker_is_criu(struct asker *a, pid_t pid);

#endif
