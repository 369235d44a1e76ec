// SPDX-License-Identifier: GPL-2.0
/*
 * mounter MOUNT FD COMMAND [ARG...] - mounts a FUSE file system for a daemon that may
 * not, and runs a program that has its /dev/fuse as descriptor FD.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char options[128];

	if (argc < 4)
		return 2;
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd);
	if (fd < 0 || mount("mounter", argv[1], "fuse", 0, options) ||
	    dup2(fd, atoi(argv[2])) < 0) {
		perror(argv[1]);
		return 1;
	}
	if (fd == atoi(argv[2]))
		fcntl(fd, F_SETFD, 0);
	execvp(argv[3], argv + 3);
	perror(argv[3]);
	return 127;
}
