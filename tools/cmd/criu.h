/* SPDX-License-Identifier: GPL-2.0 */
/* Runs criu for checkpoint and restore, and tells what came of it. */
#ifndef FUSECR_CMD_CRIU_H
#define FUSECR_CMD_CRIU_H

#include <stdbool.h>
#include <stddef.h>

#define CRIU_ARGS_MAX	256

struct criu_run {
	const char *args[CRIU_ARGS_MAX];	/* NULL-terminated, args[0] is "criu" */
	size_t count;
	const char *doing;	/* for the terminal: "checkpointing process 12" */
	const char *dir;	/* images and log */
	const char *log;	/* file name of the log in dir */
	int status;		/* of criu, as from wait() */
	bool gone;		/* nobody was left to undo what had been done */
	char *reasons;		/* what the plugin has to say, a line each; or NULL */
};

/* false: too many arguments. */
bool criu_arg(struct criu_run *run, const char *arg);
/* What somebody else wants; false: too many, or what is given already; it has been said. */
bool criu_more(struct criu_run *run, char **more);
/* 0 when criu ran and succeeded, else a CMD_ status; an error has been said. */
int criu_run(struct criu_run *run);
void criu_run_end(struct criu_run *run);

#endif
