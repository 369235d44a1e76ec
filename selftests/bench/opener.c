// SPDX-License-Identifier: GPL-2.0
/*
 * opener stat|open DIRECTORY COUNT CONTROL
 *
 * Looks at, or holds open, f0 to f<COUNT - 1>. Says "ready" to CONTROL.out and
 * ends at a line from CONTROL.cmd, as the scenarios' programs do.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_control(const char *control, const char *suffix)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s.%s", control, suffix);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		perror(path);
		exit(2);
	}
	return fd;
}

static int use(const char *how, const char *path)
{
	struct stat st;

	return strcmp(how, "open") ? stat(path, &st) : open(path, O_RDONLY);
}

int main(int argc, char **argv)
{
	struct rlimit limit = { .rlim_cur = 1 << 20, .rlim_max = 1 << 20 };
	char path[4096], c;
	int in, out;

	if (argc != 5)
		return 2;
	in = open_control(argv[4], "cmd");
	out = open_control(argv[4], "out");
	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < atoi(argv[3]); i++) {
		snprintf(path, sizeof(path), "%s/f%d", argv[2], i);
		if (use(argv[1], path) < 0) {
			dprintf(out, "%s: %s\n", path, strerror(errno));
			return 1;
		}
	}
	dprintf(out, "ready\n");
	return read(in, &c, 1) == 1 ? 0 : 1;
}
