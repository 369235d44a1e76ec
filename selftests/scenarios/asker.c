// SPDX-License-Identifier: GPL-2.0
/*
 * asker - asks a mount's daemon for one thing when it is told to.
 *
 *	asker OPERATION MOUNT CONTROL
 *
 * OPERATION is one of selftests/lib/ops.h. Says "ready" to the FIFO CONTROL.out;
 * on a line from CONTROL.cmd does it, says "done" or what went wrong; on "check"
 * then says "and once" if nothing is missing, and nothing there twice, and ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "control.h"
#include "ops.h"

int main(int argc, char **argv)
{
	const struct op *op = argc == 4 ? op_find(argv[1]) : NULL;
	char line[32];
	int fd;

	if (!op) {
		fprintf(stderr, "usage: asker OPERATION MOUNT CONTROL\n");
		return 2;
	}
	control_open(argv[3]);
	fd = ops_prepare(argv[2]) ? -1 : op_open(op, argv[2]);
	if (fd < 0) {
		control_say("%s: %s", op->name, strerror(errno));
		return 1;
	}
	control_say("ready");
	if (!control_hear(line, sizeof(line)))
		return 1;
	if (op->call(argv[2], fd))
		control_say("%s: %s", op->name, strerror(errno));
	else
		control_say("done");
	if (!control_hear(line, sizeof(line)))
		return 1;
	if (!strcmp(line, "check"))
		control_say("%s", op_check(op, argv[2]) ? strerror(errno) : "and once");
	return 0;
}
