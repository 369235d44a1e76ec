// SPDX-License-Identifier: GPL-2.0
/*
 * subreaper COMMAND [ARG...] - a session whose orphans stay in its tree.
 *
 * sshfs lets go of its ssh, which would be init's then, and no part of what is
 * dumped. In a pid namespace the first process adopts it anyway.
 */
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	setsid();
	if (prctl(PR_SET_CHILD_SUBREAPER, 1)) {
		perror("subreaper");
		return 1;
	}
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 127;
}
