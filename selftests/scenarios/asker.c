// SPDX-License-Identifier: GPL-2.0
/*
 * asker - asks a mount's daemon for one thing when it is told to.
 *
 *	asker OPERATION MOUNT CONTROL
 *
 * OPERATION is one of selftests/lib/ops.h. Says "ready" to the FIFO CONTROL.out;
 * on a line from CONTROL.cmd does it, says "done" or what went wrong, and does
 * nothing more until a second line ends it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ops.h"

static int open_control(const char *control, const char *suffix)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s.%s", control, suffix);
	return open(path, O_RDWR | O_CLOEXEC);
}

int main(int argc, char **argv)
{
	const struct op *op = argc == 4 ? op_find(argv[1]) : NULL;
	int in, out, fd;
	char byte = 0;

	if (!op) {
		fprintf(stderr, "usage: asker OPERATION MOUNT CONTROL\n");
		return 2;
	}
	in = open_control(argv[3], "cmd");
	out = open_control(argv[3], "out");
	fd = ops_prepare(argv[2]) ? -1 : op_open(op, argv[2]);
	if (in < 0 || out < 0 || fd < 0) {
		dprintf(out, "%s: %s\n", op->name, strerror(errno));
		return 1;
	}
	dprintf(out, "ready\n");
	while (byte != '\n' && read(in, &byte, 1) == 1)
		;
	if (op->call(argv[2], fd))
		dprintf(out, "%s: %s\n", op->name, strerror(errno));
	else
		dprintf(out, "done\n");
	return read(in, &byte, 1) == 1 ? 0 : 1;
}
