// SPDX-License-Identifier: GPL-2.0
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "options.h"

static const struct option known[] = {
	{ "pid", required_argument, NULL, 't' },
	{ "images-dir", required_argument, NULL, 'D' },
	{ "leave-running", no_argument, NULL, 'R' },
	{ "hold", no_argument, NULL, 'H' },
	{ "running", no_argument, NULL, 'r' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
};

#define KNOWN	(sizeof(known) / sizeof(*known))

static bool is_taken(const struct option *option, const char *takes)
{
	return option->val == 'j' || option->val == 'h' || strchr(takes, option->val);
}

/* As getopt_long() wants them. */
static void choose(const char *takes, struct option *longs, char *letters)
{
	if (*takes == '+')
		*letters++ = '+';
	for (size_t i = 0; i < KNOWN; i++) {
		if (!is_taken(&known[i], takes))
			continue;
		*longs++ = known[i];
		*letters++ = known[i].val;
		if (known[i].has_arg)
			*letters++ = ':';
	}
	*longs = (struct option){ 0 };
	*letters = '\0';
}

static int take(char **argv, int letter, const char *help, struct options *o)
{
	switch (letter) {
	case 't':
		if (!parse_pid(optarg, &o->pid))
			return usage_error(argv, "'%s' is not a pid", optarg);
		break;
	case 'D':
		o->dir = optarg;
		break;
	case 'R':
		o->leave_running = true;
		break;
	case 'H':
		o->hold = true;
		break;
	case 'r':
		o->running = true;
		break;
	case 'j':
		o->json = true;
		break;
	case 'h':
		fputs(help, stdout);
		return CMD_DONE;
	default:
		return usage_error(argv, NULL);
	}
	return OPTIONS_READ;
}

int options_read(int argc, char **argv, const char *takes, const char *help, struct options *o)
{
	struct option longs[KNOWN + 1];
	char letters[2 * KNOWN + 2];
	int letter, status = OPTIONS_READ;

	*o = (struct options){ 0 };
	choose(takes, longs, letters);
	while (status == OPTIONS_READ && (letter = getopt_long(argc, argv, letters, longs, NULL)) != -1)
		status = take(argv, letter, help, o);
	if (status == OPTIONS_READ && *takes == '+' && optind < argc && strcmp(argv[optind - 1], "--"))
		status = usage_error(argv, "options for criu follow \"--\"");
	return status;
}

int options_only(int argc, char **argv, const char *takes, const char *help, struct options *o)
{
	int status = options_read(argc, argv, takes, help, o);

	if (status == OPTIONS_READ && optind < argc)
		status = usage_error(argv, "unexpected '%s'", argv[optind]);
	return status;
}
