/* SPDX-License-Identifier: GPL-2.0 */
/* The command lines of the verbs: a letter means the same in all of them. */
#ifndef FUSECR_CMD_OPTIONS_H
#define FUSECR_CMD_OPTIONS_H

#include <stdbool.h>
#include <sys/types.h>

struct options {
	pid_t pid;		/* -t, --pid; 0: not given */
	const char *dir;	/* -D, --images-dir; NULL: not given */
	bool json;		/* -j, which all verbs that come here take, as they do -h */
	bool leave_running;	/* -R */
	bool hold;		/* -H */
	bool running;		/* -r */
};

#define OPTIONS_READ	(-1)	/* no CMD_ status: the verb is to do its work */

/*
 * Reads the options that have their letters in takes, and moves optind behind
 * them. What follows is not looked at after "+" as the first letter, but has to
 * come after "--"; elsewhere it goes to the end. Gives OPTIONS_READ, or the status
 * to end with when help was asked for or a mistake was named.
 */
int options_read(int argc, char **argv, const char *takes, const char *help, struct options *o);
/* The same, and that nothing else is there. */
int options_only(int argc, char **argv, const char *takes, const char *help, struct options *o);

#endif
