// SPDX-License-Identifier: GPL-2.0
/* The verb table. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cmd/cmd.h"

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *does;	/* NULL: not for people */
} verbs[] = {
	{ "list", cmd_list, "list live FUSE connections" },
	{ "dump", cmd_dump, "write the FUSE state of a process tree" },
	{ "show", cmd_show, "decode images" },
	{ "checkpoint", cmd_checkpoint, "checkpoint a process tree through criu" },
	{ "restore", cmd_restore, "restore a process tree through criu" },
	{ "verify", cmd_verify, "compare the kernel with the images after a restore" },
	{ "gate", cmd_gate, "bring the clients of a mount to rest, by hand" },
	{ "check", cmd_check, "say what this host can do" },
	{ "surrogate", cmd_surrogate, NULL },
};

#define VERBS (sizeof(verbs) / sizeof(*verbs))

static void help(FILE *f)
{
	size_t i;

	fputs("usage: fusecr [--help] [--version] VERB [OPTION...]\n\n"
	      "Checkpoint and restore of process trees with FUSE daemons and their clients.\n\n"
	      "Verbs:\n", f);
	for (i = 0; i < VERBS; i++)
		if (verbs[i].does)
			fprintf(f, "  %-12s%s\n", verbs[i].name, verbs[i].does);
	fputs("\n'fusecr VERB --help' tells its options; see also fusecr(8).\n", f);
}

static const struct verb *find_verb(const char *name)
{
	size_t i;

	for (i = 0; i < VERBS; i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

/* A verb that printed to a full disk has not done what was asked. */
static int flush_output(int status)
{
	errno = 0;
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	say_error("cannot write the output: %s", strerror(errno ?: EIO));
	return status ?: CMD_FAILED;
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
	char name[64];

	/* getopt_long() begins its complaints with this. */
	snprintf(name, sizeof(name), "fusecr %s", verb->name);
	argv[0] = name;
	optind = 0;
	return flush_output(verb->run(argc, argv));
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ }
	};
	static char self[] = "fusecr";
	const struct verb *verb;
	int c;

	if (argc > 0)
		argv[0] = self;
	while ((c = getopt_long(argc, argv, "+hV", options, NULL)) != -1) {
		switch (c) {
		case 'h':
			help(stdout);
			return flush_output(CMD_DONE);
		case 'V':
			puts("fusecr " FUSECR_VERSION);
			return flush_output(CMD_DONE);
		default:
			return usage_error(argv, NULL);
		}
	}
	if (optind >= argc) {
		help(stderr);
		return CMD_USAGE;
	}
	verb = find_verb(argv[optind]);
	if (!verb)
		return usage_error(argv, "there is no verb '%s'", argv[optind]);
	return run_verb(verb, argc - optind, argv + optind);
}
