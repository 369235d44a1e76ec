// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/fusecr_ioctl.h>

#include "backing.h"
#include "cleanup.h"
#include "handle.h"
#include "mounts.h"
#include "newer_fuse.h"
#include "straight.h"

/* From here on they are of those that have none, and only until the programs run. */
#define NO_ID		0x70000000U
/* Of the flags that a file is opened with, those that it keeps. */
#define KEPT_FLAGS	(O_ACCMODE | O_APPEND | O_NONBLOCK | O_SYNC | O_DIRECT | O_NOATIME | O_PATH)

/* Not before it is known to be a file: of others it may be waited for, or do something. */
static int reopen(int path_fd, int flags)
{
	char link[32];
	struct stat st;
	int fd;

	if (fstat(path_fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EMEDIUMTYPE;
	if (flags & O_PATH) {
		fd = fcntl(path_fd, F_DUPFD_CLOEXEC, 0);
		return fd < 0 ? -errno : fd;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
	fd = open(link, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Where it was by name. */
static int open_below(const char *root, const FuseBackingEntry *b)
{
	int dir cleanup(close_auto) = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd cleanup(close_auto) = -1;
	char path[PATH_MAX];

	if (dir < 0)
		return -errno;
	if (!b->path.len)
		return -ENOENT;
	if (b->path.len >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(path, b->path.data, b->path.len);
	path[b->path.len] = '\0';
	fd = straight_open(dir, path, O_PATH);
	return fd < 0 ? fd : reopen(fd, b->file_flags & KEPT_FLAGS);
}

/* This thread's own: the kernel notes them with the file (fuse_backing_open()). */
static int set_caps(uint64_t effective, uint64_t *permitted)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	*permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted;
	if (effective & ~*permitted)
		return -EPERM;
	data[0].effective = effective;
	data[1].effective = effective >> 32;
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

static int register_as(int devfd, int fd, const FuseBackingEntry *b)
{
	struct backing_map map = { .fd = fd };
	uint64_t permitted = 0;
	int id, err;

	setfsgid(b->fsgid);
	setfsuid(b->fsuid);
	err = (uint32_t)setfsuid(-1) == b->fsuid && (uint32_t)setfsgid(-1) == b->fsgid ? 0 : -EINVAL;
	err = err ?: set_caps(b->caps, &permitted);
	id = err ?: ioctl(devfd, BACKING_OPEN, &map);
	if (!err && id < 0)
		id = -errno;
	if (permitted)
		set_caps(permitted, &permitted);
	setfsuid(geteuid());
	setfsgid(getegid());
	return id;
}

static int register_file(const struct rebuilt *rb, int fd, const FuseBackingEntry *b)
{
	struct fusecr_set_conn next = { .mask = FUSECR_SET_NEXT_BACKING, .next_backing = b->id ?: NO_ID };
	int devfd = rb->instances[0].fd, id = handle_set_conn(rb->handle, &next);

	id = id ?: register_as(devfd, fd, b);
	if (id < 0 || !b->id || (uint32_t)id == b->id)
		return id;
	ioctl(devfd, BACKING_CLOSE, &id);
	return -EEXIST;
}

struct above {
	ProtobufCBinaryData path;
	bool found;
};

static int is_above(const FuseMountEntry *m, const char *fstype, const char *source, void *arg)
{
	struct above *a = arg;

	(void)fstype;
	(void)source;
	a->found = a->found || mount_shows(&m->mountpoint, &a->path);
	return 0;
}

/* It is we who would have to answer: the dump refuses it, but images may say anything. */
static bool leads_over_ours(const struct restore *re, pid_t pid, const FuseBackingEntry *b)
{
	struct above a = { .path = b->path };

	for (size_t i = 0; i < re->count; i++) {
		const struct rebuilt *rb = &re->conns[i];
		/* What is held is where it was. */
		uint32_t dev = rb->held ? model_conn(rb->model)->dev : rb->dev;

		/* 0 would be any. */
		if (!dev || mounts_of(pid, dev, is_above, &a))
			return true;
	}
	return a.found;
}

/*
 * By its path: in the tree's own mount namespace, which is there when the first of its
 * tasks opens a file, or in ours.
 */
static int open_and_register(struct rebuilt *rb, const FuseBackingEntry *b, pid_t pid)
{
	bool own = rb->re->inv->own_mnt_ns;
	char root[32] = "/";
	int fd cleanup(close_auto) = -1;

	if (!b->has_path || leads_over_ours(rb->re, own ? pid : getpid(), b))
		return -ELOOP;
	if (own)
		snprintf(root, sizeof(root), "/proc/%d/root", pid);
	fd = open_below(root, b);
	return fd < 0 ? fd : register_file(rb, fd, b);
}

static int register_backing(struct rebuilt *rb, const FuseBackingEntry *b, pid_t pid)
{
	struct registered *grown = reallocarray(rb->registered, rb->nr_registered + 1, sizeof(*grown));
	int id;

	if (!grown)
		return -ENOMEM;
	rb->registered = grown;
	id = open_and_register(rb, b, pid);
	if (id > 0)
		grown[rb->nr_registered++] = (struct registered){ b, id };
	else
		report_add(&rb->re->s->report, "%s: the passthrough file %.*s could not be had again: %s",
			   model_label(rb->model), (int)b->path.len, b->has_path ? (const char *)b->path.data : "",
			   strerror(-id));
	return id;
}

int backing_need(const FuseBackingEntry *b, uint32_t pid, void *arg)
{
	struct rebuilt *rb = arg;

	for (size_t i = 0; i < rb->nr_registered; i++)
		if (rb->registered[i].b == b)
			return rb->registered[i].id;
	return register_backing(rb, b, pid);
}

int backing_settle(struct rebuilt *rb, pid_t root)
{
	const struct message_list *all = model_backings(rb->model);
	int err = 0;

	for (size_t i = 0; !err && i < all->count; i++) {
		int id = backing_need((const FuseBackingEntry *)all->items[i], root, rb);

		err = id < 0 ? id : 0;
	}
	for (size_t i = 0; !err && i < rb->nr_registered; i++)
		if (!rb->registered[i].b->id && ioctl(rb->instances[0].fd, BACKING_CLOSE, &rb->registered[i].id))
			err = -errno;
	return err;
}
