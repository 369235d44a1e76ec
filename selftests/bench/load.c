// SPDX-License-Identifier: GPL-2.0
/*
 * load MODULE: as insmod, and says how long the kernel took for it; what insmod
 * itself takes to start is not in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct timespec a, b;
	char buf[65536];
	int fd;

	fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0) {
		fprintf(stderr, "load: %s\n", argc == 2 ? strerror(errno) : "which module?");
		return 1;
	}
	/* Out of the page cache, not of the network file system below. */
	while (read(fd, buf, sizeof(buf)) > 0)
		;
	clock_gettime(CLOCK_MONOTONIC, &a);
	if (syscall(SYS_finit_module, fd, "", 0)) {
		fprintf(stderr, "load: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("loaded in %.1f ms\n", (b.tv_sec - a.tv_sec) * 1e3 + (b.tv_nsec - a.tv_nsec) / 1e6);
	close(fd);
	return 0;
}
