// SPDX-License-Identifier: GPL-2.0
/*
 * replay DIRECTORY... - runs a fuzzer's code once with each file in the
 * directories, and fails when all together miss a goal.  In the place of
 * libFuzzer, so that any compiler will do.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

/* sanitizer/common_interface_defs.h, which not every compiler brings. */
void __sanitizer_set_death_callback(void (*cb)(void));

/* No report knows which input it was. */
static char now[512];

static void replay(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	uint8_t *data;
	struct stat st;

	must(fd >= 0 && !fstat(fd, &st));
	data = malloc(st.st_size ? st.st_size : 1);
	must(data);
	must(read(fd, data, st.st_size) == st.st_size);
	close(fd);
	must(!LLVMFuzzerTestOneInput(data, st.st_size));
	free(data);
}

static unsigned int replay_all(const char *path)
{
	unsigned int count = 0;
	struct dirent *d;
	DIR *dir = opendir(path);

	if (!dir && errno == ENOENT)
		return 0;
	must(dir);
	while ((d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		snprintf(now, sizeof(now), "%s/%s", path, d->d_name);
		replay(dirfd(dir), d->d_name);
		count++;
	}
	closedir(dir);
	return count;
}

static void say_which(void)
{
	fprintf(stderr, "replay: with %s\n", now);
}

static void on_abort(int sig)
{
	(void)sig;
	say_which();
}

static unsigned int missed(void)
{
	unsigned int n, count = 0;

	for (n = 0; fuzz_goal(n); n++) {
		if (fuzz_reached(n))
			continue;
		fprintf(stderr, "replay: no input reaches: %s\n", fuzz_goal(n));
		count++;
	}
	return count;
}

int main(int argc, char **argv)
{
	unsigned int count = 0;
	int i;

	__sanitizer_set_death_callback(say_which);
	signal(SIGABRT, on_abort);
	LLVMFuzzerInitialize(&argc, &argv);
	for (i = 1; i < argc; i++)
		count += replay_all(argv[i]);
	printf("# %u inputs\n", count);
	return !count || missed();
}
