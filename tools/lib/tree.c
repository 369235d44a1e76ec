// SPDX-License-Identifier: GPL-2.0
/*
 * A process tree.  Everything comes from files below /proc that answer without
 * touching the task's memory or files: those may lie on a mount whose daemon
 * stands still.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "cleanup.h"
#include "proc.h"
#include "tree.h"

/* The whole of a small /proc file, terminated.  Bytes or -errno. */
static ssize_t read_proc(const char *path, char *buf, size_t len)
{
	int fd cleanup(close_auto) = open(path, O_RDONLY | O_CLOEXEC);
	size_t got = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while (got < len - 1) {
		n = read(fd, buf + got, len - 1 - got);
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += n;
	}
	buf[got] = 0;
	return got;
}

/* A task that went away meanwhile. */
static bool is_gone(int err)
{
	return err == -ENOENT || err == -ESRCH;
}

/* A zombie has none: 0. */
static int read_ns(pid_t pid, const char *name, uint64_t *ino)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	*ino = 0;
	if (stat(path, &st) < 0)
		return errno == ENOENT || errno == ESRCH ? 0 : -errno;
	*ino = st.st_ino;
	return 0;
}

static int read_task(struct task *task, pid_t pid)
{
	char path[64];
	ssize_t n;
	int ret;

	*task = (struct task){ .pid = pid };
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	n = read_proc(path, task->comm, sizeof(task->comm));
	if (n < 0)
		return n;
	if (n > 0 && task->comm[n - 1] == '\n')
		task->comm[n - 1] = 0;

	task->ppid = proc_status(pid, "PPid");
	task->vpid = proc_own_pid(pid);
	if (task->ppid < 0 || task->vpid < 0)
		return -ESRCH;
	ret = read_ns(pid, "mnt", &task->mnt_ns);
	ret = ret ?: read_ns(pid, "pid", &task->pid_ns);
	return ret ?: read_ns(pid, "user", &task->user_ns);
}

static int add_task(struct tree *tree, pid_t pid)
{
	struct task task, *tasks;
	int ret;

	if (tree_find(tree, pid))
		return 0;
	ret = read_task(&task, pid);
	if (ret < 0)
		return ret;
	/* Grown by doubling: a power of two is full. */
	if ((tree->count & (tree->count - 1)) == 0) {
		size_t room = tree->count ? 2 * tree->count : 1;

		tasks = reallocarray(tree->tasks, room, sizeof(*tasks));
		if (!tasks)
			return -ENOMEM;
		tree->tasks = tasks;
	}
	tree->tasks[tree->count++] = task;
	return 0;
}

/* The children that one thread has made. */
static int add_children(struct tree *tree, pid_t pid, pid_t tid)
{
	FILE *f cleanup(fclose_auto) = NULL;
	char path[320];
	int child, ret;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, tid);
	f = fopen(path, "re");
	if (!f)
		return is_gone(-errno) ? 0 : -errno;
	while (fscanf(f, "%d", &child) == 1) {
		ret = add_task(tree, child);
		if (ret < 0 && !is_gone(ret))
			return ret;
	}
	return 0;
}

int tree_each_thread(pid_t pid, int (*cb)(pid_t pid, pid_t tid, void *arg), void *arg)
{
	DIR *dir cleanup(closedir_auto) = NULL;
	struct dirent *d;
	char path[64];
	int ret;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		ret = cb(pid, atoi(d->d_name), arg);
		if (ret)
			return ret;
	}
	return 0;
}

static int children_cb(pid_t pid, pid_t tid, void *arg)
{
	return add_children(arg, pid, tid);
}

static int by_pid(const void *a, const void *b)
{
	const struct task *const *x = a, *const *y = b;

	return ((*x)->pid > (*y)->pid) - ((*x)->pid < (*y)->pid);
}

/* They are looked for once for each open file. */
static int sort_tasks(struct tree *tree)
{
	tree->by_pid = calloc(tree->count ?: 1, sizeof(*tree->by_pid));
	if (!tree->by_pid)
		return -ENOMEM;
	for (size_t i = 0; i < tree->count; i++)
		tree->by_pid[i] = &tree->tasks[i];
	qsort(tree->by_pid, tree->count, sizeof(*tree->by_pid), by_pid);
	return 0;
}

int tree_read(struct tree *tree, pid_t root)
{
	size_t i;
	int ret;

	*tree = (struct tree){ 0 };
	ret = add_task(tree, root);
	if (is_gone(ret))
		ret = -ESRCH;
	/* The list grows behind i: breadth first, parents before children. */
	for (i = 0; ret == 0 && i < tree->count; i++) {
		ret = tree_each_thread(tree->tasks[i].pid, children_cb, tree);
		if (is_gone(ret))
			ret = 0;
	}
	ret = ret ?: sort_tasks(tree);
	if (ret < 0)
		tree_free(tree);
	return ret;
}

void tree_free(struct tree *tree)
{
	free(tree->by_pid);
	free(tree->tasks);
	*tree = (struct tree){ 0 };
}

const struct task *tree_find(const struct tree *tree, pid_t pid)
{
	const struct task key = { .pid = pid }, *wanted = &key;
	const struct task **found;
	size_t i;

	if (tree->by_pid) {
		found = bsearch(&wanted, tree->by_pid, tree->count, sizeof(*found), by_pid);
		return found ? *found : NULL;
	}
	/* It is still being read. */
	for (i = 0; i < tree->count; i++)
		if (tree->tasks[i].pid == pid)
			return &tree->tasks[i];
	return NULL;
}

const struct task *tree_find_vpid(const struct tree *tree, pid_t vpid)
{
	size_t i;

	for (i = 0; i < tree->count; i++)
		if (tree->tasks[i].vpid == vpid)
			return &tree->tasks[i];
	return NULL;
}
