// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "killing.h"

#define LOOK_MS	10
#define REAP_MS	10000

/* By the last of its numbers: the one in its own pid namespace. */
static bool is_init(pid_t pid)
{
	char line[256];
	bool first = false;
	FILE *f;

	snprintf(line, sizeof(line), "/proc/%d/status", pid);
	f = fopen(line, "re");
	while (f && fgets(line, sizeof(line), f)) {
		const char *last = strncmp(line, "NSpid:", 6) ? NULL : strrchr(line, '\t');

		if (last)
			first = atoi(last) == 1;
	}
	if (f)
		fclose(f);
	return first;
}

/* Waits for what has ended of its threads but the first; true when no others are left. */
static bool reap_threads(pid_t pid)
{
	struct dirent *de;
	char path[64];
	bool left = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (de = readdir(dir))) {
		pid_t tid = atoi(de->d_name);

		if (tid > 0 && tid != pid && !waitpid(tid, NULL, __WALL | WNOHANG))
			left = true;
	}
	if (dir)
		closedir(dir);
	return !left;
}

/* A process is not over before all of its threads are. */
static bool reap(pid_t pid)
{
	return reap_threads(pid) && waitpid(pid, NULL, __WALL | WNOHANG);
}

struct pids {
	pid_t *pid;
	size_t count;
};

static void add(struct pids *p, pid_t pid)
{
	pid_t *grown = reallocarray(p->pid, p->count + 1, sizeof(*grown));

	if (!grown)
		return;
	p->pid = grown;
	grown[p->count++] = pid;
}

static void find_below(struct pids *p, pid_t pid)
{
	char path[64];
	int child;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "re");
	while (f && fscanf(f, "%d", &child) == 1) {
		add(p, child);
		find_below(p, child);
	}
	if (f)
		fclose(f);
}

/* One of them may be waiting for another, and which one is not to be seen. */
static void reap_all(pid_t root, struct pids *below)
{
	for (int ms = 0; ms < REAP_MS; ms += LOOK_MS) {
		bool left = !reap_threads(root);

		for (size_t i = 0; i < below->count; i++) {
			if (below->pid[i] && reap(below->pid[i]))
				below->pid[i] = 0;
			left = left || below->pid[i];
		}
		if (!left)
			return;
		poll(NULL, 0, LOOK_MS);
	}
}

void kill_tree(pid_t root)
{
	struct pids below = { 0 };
	bool first = is_init(root);

	find_below(&below, root);
	kill(root, SIGKILL);
	for (size_t i = 0; i < below.count; i++)
		kill(below.pid[i], SIGKILL);
	if (first)
		reap_all(root, &below);
	free(below.pid);
}
