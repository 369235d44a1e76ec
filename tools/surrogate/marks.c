// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "marks.h"
#include "watches.h"

/* FILEID_INO64_GEN, <linux/exportfs.h>: what fuse_encode_fh() makes (fs/fuse/inode.c). */
#define HANDLE_TYPE	0x81

struct marking {
	const FuseWatchEntry *watch;
	uint32_t generation;	/* of the node */
	pid_t pid;
};

static bool is_inotify(pid_t pid, uint32_t fd)
{
	char path[64], target[sizeof(WATCHES_INOTIFY)];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%u", pid, fd);
	n = readlink(path, target, sizeof(target));
	return n == sizeof(target) - 1 && !memcmp(target, WATCHES_INOTIFY, n);
}

/* The node, which the watch keeps in memory: by no name, and without asking anyone. */
static int open_node(const struct rebuilt *rb, uint64_t nodeid, uint32_t generation)
{
	const uint32_t words[] = { nodeid >> 32, nodeid, generation };
	struct file_handle *handle = malloc(sizeof(*handle) + sizeof(words));
	char path[32];
	int root, fd;

	if (!handle)
		return -ENOMEM;
	handle->handle_bytes = sizeof(words);
	handle->handle_type = HANDLE_TYPE;
	memcpy(handle->f_handle, words, sizeof(words));
	/* Ours is O_PATH, which open_by_handle_at() does not take. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", rb->mnt);
	root = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	fd = root < 0 ? -errno : open_by_handle_at(root, handle, O_PATH | O_CLOEXEC);
	fd = fd == -1 ? -errno : fd;
	free(handle);
	return fd;	/* root is closed with the child that we are */
}

static int mark(struct rebuilt *rb, const void *arg)
{
	const struct marking *m = arg;
	int pidfd = pidfd_open(m->pid, 0), group, node, wd;
	char path[32];

	group = pidfd < 0 ? -1 : pidfd_getfd(pidfd, m->watch->fd, 0);
	if (group < 0)
		return -errno;
	node = open_node(rb, m->watch->nodeid, m->generation);
	if (node < 0)
		return node;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", node);
	wd = inotify_add_watch(group, path, m->watch->mask | IN_MASK_ADD);
	if (wd < 0)
		return -errno;
	/* One that CRIU has not made, or another's: a new one is not what was there. */
	return wd == (int)m->watch->wd ? 0 : -ESTALE;
}

static int settle(struct rebuilt *rb, const FuseWatchEntry *watch, const struct tree *tree)
{
	const FuseInodeEntry *inode = model_inode(rb->model, watch->nodeid);
	const struct task *task = tree_find_vpid(tree, watch->vpid);
	struct marking m = { .watch = watch };

	if (!inode || !task || !is_inotify(task->pid, watch->fd))
		return -EBADMSG;
	m.generation = inode->generation;
	m.pid = task->pid;
	return restore_in_child(rb, mark, &m, false);
}

int marks_settle(struct restore *re, struct rebuilt *rb, const struct tree *tree)
{
	int err = 0;

	for (size_t i = 0; !err && i < re->inv->n_watch; i++) {
		const FuseWatchEntry *watch = re->inv->watch[i];

		if (watch->conn != rb->id)
			continue;
		err = settle(rb, watch, tree);
		if (err)
			report_add(&re->s->report, "%s: watch %u of process %u, descriptor %u, on node %lu did not get its mask %#x: %s",
				   model_label(rb->model), watch->wd, watch->vpid, watch->fd, (unsigned long)watch->nodeid,
				   watch->mask, strerror(-err));
	}
	return err;
}
