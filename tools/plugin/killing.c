// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "killing.h"

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

/* A process is not over before all of its threads are. */
static void reap(pid_t pid)
{
	struct dirent *de;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (de = readdir(dir)))
		if (*de->d_name != '.' && atoi(de->d_name) != pid)
			waitpid(atoi(de->d_name), NULL, __WALL);
	if (dir)
		closedir(dir);
	waitpid(pid, NULL, __WALL);
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

void kill_tree(pid_t root)
{
	struct pids below = { 0 };
	bool first = is_init(root);

	find_below(&below, root);
	kill(root, SIGKILL);
	for (size_t i = 0; i < below.count; i++)
		kill(below.pid[i], SIGKILL);
	/* Not before all are killed: one may wait for a daemon that is another. */
	for (size_t i = 0; first && i < below.count; i++)
		reap(below.pid[i]);
	free(below.pid);
}
