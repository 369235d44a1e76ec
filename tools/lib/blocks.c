// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "blocks.h"
#include "cleanup.h"
#include "mounts.h"
#include "proc.h"
#include "refuse.h"

#define SECTOR 512	/* what sysfs counts in, whatever the device's own are */

uint64_t blocks_size(uint32_t dev)
{
	FILE *f cleanup(fclose_auto) = NULL;
	uint64_t sectors = 0;
	char path[64];

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/size", major(dev), minor(dev));
	f = fopen(path, "re");
	return f && fscanf(f, "%" SCNu64, &sectors) == 1 ? sectors * SECTOR : 0;
}

/* --- nodes of our own ------------------------------------------------------------ */

static int make_tmpfs(void)
{
	int fs cleanup(close_auto) = fsopen("tmpfs", FSOPEN_CLOEXEC);
	int mnt;

	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -errno;
	mnt = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSUID);
	return mnt < 0 ? -errno : mnt;
}

/* With the directories on the way.  path is written to. */
static int make_node(int root, char *path, uint32_t dev)
{
	for (char *slash = path; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		if (*path && mkdirat(root, path, 0700) && errno != EEXIST)
			return -errno;
	}
	return mknodat(root, path, S_IFBLK | 0600, makedev(major(dev), minor(dev))) ? -errno : 0;
}

int blocks_node(uint32_t dev, const char *path)
{
	char copy[PATH_MAX];
	int root, err;

	while (*path == '/')
		path++;
	if (strlen(path) >= sizeof(copy))
		return -ENAMETOOLONG;
	snprintf(copy, sizeof(copy), "%s", path);
	root = make_tmpfs();
	if (root < 0)
		return root;
	err = make_node(root, copy, dev);
	if (!err)
		return root;
	close(root);
	return err;
}

int blocks_open(uint32_t dev, int flags)
{
	int root cleanup(close_auto) = blocks_node(dev, "node");
	int fd;

	if (root < 0)
		return root;
	fd = openat(root, "node", flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* --- what daemons have open ------------------------------------------------------ */

struct scan {
	struct message_list *list;
	uint32_t pid, vpid;
	const uint32_t *mounted;
	size_t nr_mounted;
};

/* Whoever opens it so has it to himself; then we cannot. */
static bool is_exclusive(const struct scan *s, uint32_t dev)
{
	int fd;

	/* The mount has it to itself: no file can. */
	for (size_t i = 0; i < s->nr_mounted; i++)
		if (s->mounted[i] == dev)
			return false;
	fd = blocks_open(dev, O_RDONLY | O_NONBLOCK | O_EXCL);
	if (fd >= 0)
		close(fd);
	return fd == -EBUSY;
}

static int read_fdinfo(FuseBlockEntry *e)
{
	FILE *f cleanup(fclose_auto) = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/fdinfo/%u", e->pid, e->fd);
	f = fopen(path, "re");
	/* fs/proc/fd.c, seq_show() */
	return f && fscanf(f, "pos: %" SCNu64 " flags: %o", &e->pos, &e->file_flags) == 2 ? 0 : -ESRCH;
}

/* Not stat(), which would ask the daemon of a file on a FUSE mount. */
static bool is_block(int dirfd, const char *name, uint32_t *dev)
{
	struct statx st;

	if (statx(dirfd, name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &st) || !S_ISBLK(st.stx_mode))
		return false;
	*dev = makedev(st.stx_rdev_major, st.stx_rdev_minor);
	return true;
}

static int scan_fd(const struct scan *s, int dirfd, const char *name)
{
	FuseBlockEntry e = FUSE_BLOCK_ENTRY__INIT;
	char path[PATH_MAX];
	ssize_t n;

	if (*name == '.' || !is_block(dirfd, name, &e.dev))
		return 0;
	e.pid = s->pid;
	e.vpid = s->vpid;
	e.fd = atoi(name);
	n = readlinkat(dirfd, name, path, sizeof(path));
	if (n < 0 || read_fdinfo(&e) || e.file_flags & O_PATH)
		return 0;	/* closed meanwhile */
	e.path.data = (uint8_t *)path;
	e.path.len = n;
	e.size = blocks_size(e.dev);
	e.exclusive = is_exclusive(s, e.dev);
	return message_list_add(s->list, &e.base);
}

int blocks_read(struct message_list *list, pid_t pid, uint32_t vpid, const uint32_t *mounted, size_t count)
{
	const struct scan s = { list, pid, vpid, mounted, count };
	DIR *dir cleanup(closedir_auto) = NULL;
	struct dirent *de;
	char path[64];
	int err = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (!err && dir && (de = readdir(dir)))
		err = scan_fd(&s, dirfd(dir), de->d_name);
	return err;
}

bool blocks_mounted(const FuseConnEntry *c)
{
	return !strcmp(c->fstype, "fuseblk");
}

static bool is_daemon(const struct snapshot *snap, pid_t pid)
{
	for (size_t i = 0; i < snap->count; i++) {
		const struct message_list *devs = &snap->conns[i].devs;

		for (size_t k = 0; k < devs->count; k++)
			if (((FuseDevEntry *)devs->items[k])->pid == (uint32_t)pid)
				return true;
	}
	return false;
}

int blocks_collect(struct snapshot *snap)
{
	uint32_t *mounted cleanup(free_auto) = calloc(snap->count ?: 1, sizeof(*mounted));
	size_t count = 0;
	int err = mounted ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < snap->count; i++)
		if (blocks_mounted(snap->conns[i].conn))
			mounted[count++] = snap->conns[i].conn->dev;
	for (size_t i = 0; !err && i < snap->tree.count; i++) {
		const struct task *task = &snap->tree.tasks[i];

		if (is_daemon(snap, task->pid))
			err = blocks_read(&snap->blocks, task->pid, task->vpid, mounted, count);
	}
	return err;	/* NOLINT(clang-analyzer-unix.Malloc): mounted is guarded */
}

static const FuseBlockEntry *block_at(const struct snapshot *snap, size_t i)
{
	return (const FuseBlockEntry *)snap->blocks.items[i];
}

/* Duplicates are one. */
static bool has_other(const struct snapshot *snap, const FuseBlockEntry *e)
{
	for (size_t i = 0; i < snap->blocks.count; i++) {
		const FuseBlockEntry *other = block_at(snap, i);

		if (other->dev == e->dev && !proc_same_file(e->pid, e->fd, other->pid, other->fd))
			return true;
	}
	return false;
}

static int is_mounted(const FuseMountEntry *m, const char *fstype, const char *source, void *arg)
{
	(void)m;
	(void)fstype;
	(void)source;
	(void)arg;
	return 1;
}

/* By a mount, or by what device mapper and the like make of it. */
static bool is_claimed(uint32_t dev)
{
	DIR *dir cleanup(closedir_auto) = NULL;
	struct dirent *de;
	char path[64];

	if (mounts_of(getpid(), dev, is_mounted, NULL) > 0)
		return true;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", major(dev), minor(dev));
	dir = opendir(path);
	while (dir && (de = readdir(dir)))
		if (*de->d_name != '.')
			return true;
	return false;
}

/* Of what is in exclusive use, whether it is this file that has it is not to be seen. */
static const char *objection(const struct snapshot *snap, const FuseBlockEntry *e)
{
	if (!e->size)
		return "the size of this block device is not known; is /sys mounted?";
	if (e->exclusive && has_other(snap, e))
		return "this block device is in exclusive use, and open several times";
	if (e->exclusive && is_claimed(e->dev))
		return "this block device is in exclusive use, and not the daemon's alone";
	return NULL;
}

void blocks_refuse(struct report *r, const struct snapshot *snap)
{
	char task[64];

	for (size_t i = 0; i < snap->blocks.count; i++) {
		const FuseBlockEntry *e = block_at(snap, i);
		const char *why = objection(snap, e);

		if (!why)
			continue;
		refuse_task_label(task, sizeof(task), e->pid);
		report_add(r, "process %s fd %u (%.*s): %s", task, e->fd, (int)e->path.len,
			   (const char *)e->path.data, why);
	}
}
