// SPDX-License-Identifier: GPL-2.0
/*
 * userns FIRST COMMAND [ARG...] - the command is root of its own user, mount and pid
 * namespaces, in which users and groups from FIRST on are those from 0 on.
 */
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT 65536

static void map(const char *what, pid_t pid, const char *first)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	f = fopen(path, "w");
	if (!f || fprintf(f, "0 %s %d\n", first, COUNT) < 0 || fclose(f)) {
		perror(path);
		_exit(1);
	}
}

/* By one who is not in it. */
static int map_from_outside(const char *first, int when)
{
	pid_t pid = getppid();
	char c;

	if (read(when, &c, 1) != 1)
		return 1;
	map("uid_map", pid, first);
	map("gid_map", pid, first);
	return 0;
}

int main(int argc, char **argv)
{
	int when[2], status;
	pid_t pid;

	if (argc < 3 || pipe(when))
		return 2;
	pid = fork();
	if (!pid)
		_exit(map_from_outside(argv[1], when[0]));
	if (pid < 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID) || write(when[1], "", 1) != 1 ||
	    waitpid(pid, &status, 0) < 0 || status) {
		perror("userns");
		return 1;
	}
	close(when[0]);
	close(when[1]);
	if (setgroups(0, NULL) || setresgid(0, 0, 0) || setresuid(0, 0, 0) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		perror("userns");
		return 1;
	}
	pid = fork();
	if (!pid) {
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
