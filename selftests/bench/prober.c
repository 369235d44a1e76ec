// SPDX-License-Identifier: GPL-2.0
/*
 * prober - programs that use a mount without a pause, and time each system call.
 *
 *	prober WORKERS MOUNT CONTROL
 *
 * Says "ready" to the FIFO CONTROL.out, then answers each line from CONTROL.cmd:
 *	reset	forgets what was measured; "ok"
 *	tell	the longest system call since then in ms, how many there were, and in
 *		how many ms
 */
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "control.h"

#define WORKERS_MAX	64
#define SIZE		4096

/* In memory that the workers share with their parent. */
static struct worker {
	atomic_ulong longest;	/* ns */
	atomic_ulong calls;
} *workers;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void note(struct worker *w, uint64_t begin, int failed)
{
	uint64_t took = now() - begin;

	if (failed)
		_exit(1);
	if (took > w->longest)
		w->longest = took;
	w->calls++;
}

#define TIMED(w, call) do {						\
	uint64_t begin = now();						\
									\
	note(w, begin, (call) < 0);					\
} while (0)

static void work(struct worker *w, const char *path)
{
	static char buf[SIZE];
	struct stat st;
	int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		_exit(1);
	for (;;) {
		TIMED(w, pwrite(fd, buf, SIZE, 0));
		TIMED(w, fsync(fd));
		TIMED(w, pread(fd, buf, SIZE, 0));
		TIMED(w, stat(path, &st));
	}
}

static void answer(int n, int reset)
{
	unsigned long longest = 0, calls = 0;
	static uint64_t since;

	for (int i = 0; i < n; i++) {
		if (reset) {
			workers[i].longest = 0;
			workers[i].calls = 0;
		}
		if (workers[i].longest > longest)
			longest = workers[i].longest;
		calls += workers[i].calls;
	}
	if (!reset)
		control_say("%lu %lu %lu", longest / 1000000, calls, (now() - since) / 1000000);
	since = now();
	if (reset)
		control_say("ok");
}

int main(int argc, char **argv)
{
	char path[PATH_MAX], line[64];
	int n = argc == 4 ? atoi(argv[1]) : 0;

	if (n < 1 || n > WORKERS_MAX) {
		fprintf(stderr, "usage: prober WORKERS MOUNT CONTROL\n");
		return 2;
	}
	control_open(argv[3]);
	workers = mmap(NULL, sizeof(*workers) * WORKERS_MAX, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (workers == MAP_FAILED)
		return 2;
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/probe%d", argv[2], i);
		if (!fork())
			work(&workers[i], path);
	}
	control_say("ready");
	while (control_hear(line, sizeof(line)))
		answer(n, !strcmp(line, "reset"));
	return 0;
}
