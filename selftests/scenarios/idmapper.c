// SPDX-License-Identifier: GPL-2.0
/*
 * idmapper SOURCE TARGET FIRST LOWER COUNT - binds a mount to another place, with a map
 * of users and groups: FIRST of the file system is shown as LOWER.  Newer mount(8) has
 * X-mount.idmap=b:FIRST:LOWER:COUNT.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void write_map(pid_t pid, const char *name, char **argv)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	f = fopen(path, "w");
	if (!f || fprintf(f, "%s %s %s\n", argv[0], argv[1], argv[2]) < 0 || fclose(f))
		fail(path);
}

int main(int argc, char **argv)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	char path[64];
	pid_t pid;
	int mnt;

	if (argc != 6)
		return 2;
	pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0);
	if (!pid)
		for (;;)
			pause();
	write_map(pid, "uid_map", argv + 3);
	write_map(pid, "gid_map", argv + 3);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	attr.userns_fd = open(path, O_RDONLY);
	mnt = open_tree(AT_FDCWD, argv[1], OPEN_TREE_CLONE);
	if (mnt < 0 || mount_setattr(mnt, "", AT_EMPTY_PATH, &attr, sizeof(attr)))
		perror(argv[1]);
	else if (move_mount(mnt, "", AT_FDCWD, argv[2], MOVE_MOUNT_F_EMPTY_PATH))
		perror(argv[2]);
	else
		argc = 0;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return argc != 0;
}
