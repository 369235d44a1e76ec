// SPDX-License-Identifier: GPL-2.0
/* How a scenario and its programs talk, see control.h. */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"

char wrong[512];

static FILE *in, *out;

static FILE *open_fifo(const char *control, const char *suffix)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s.%s", control, suffix);
	f = fopen(path, "r+e");
	if (!f) {
		perror(path);
		exit(2);
	}
	setlinebuf(f);
	return f;
}

void control_open(const char *control)
{
	in = open_fifo(control, "cmd");
	out = open_fifo(control, "out");
}

bool control_hear(char *line, size_t size)
{
	if (!fgets(line, size, in))
		return false;
	line[strcspn(line, "\n")] = '\0';
	return true;
}

void control_say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(out, format, args);
	va_end(args);
	fputc('\n', out);
}

int bad(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(wrong, sizeof(wrong), format, args);
	va_end(args);
	return -1;
}

int control_serve(int started, int (*check)(void), int (*quit)(void))
{
	char line[64];

	control_say("%s", started ? wrong : "ready");
	while (control_hear(line, sizeof(line))) {
		bool over = !strcmp(line, "quit");

		*wrong = '\0';
		control_say("%s", (over ? quit() : check()) ? wrong : over ? "bye" : "ok");
		if (over)
			return 0;
	}
	return 1;
}
