// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blocks.h"
#include "cleanup.h"
#include "mountfs.h"
#include "straight.h"

#define MAX_READ_ANY	(~0u)

struct attr_name {
	const char *name;
	uint64_t attr;
};

static const struct attr_name attr_names[] = {
	{ "ro", MOUNT_ATTR_RDONLY },
	{ "nosuid", MOUNT_ATTR_NOSUID },
	{ "nodev", MOUNT_ATTR_NODEV },
	{ "noexec", MOUNT_ATTR_NOEXEC },
	{ "noatime", MOUNT_ATTR_NOATIME },
	{ "nodiratime", MOUNT_ATTR_NODIRATIME },
	{ "nosymfollow", MOUNT_ATTR_NOSYMFOLLOW },
};

/* mountinfo's per-mount options; neither relatime nor noatime is strictatime. */
static uint64_t parse_attrs(const char *options)
{
	char *copy = strdup(options), *save, *word;
	uint64_t attrs = MOUNT_ATTR_STRICTATIME;

	for (word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		if (!strcmp(word, "relatime") || !strcmp(word, "noatime"))
			attrs &= ~MOUNT_ATTR_STRICTATIME;
		for (size_t i = 0; i < sizeof(attr_names) / sizeof(*attr_names); i++)
			if (!strcmp(word, attr_names[i].name))
				attrs |= attr_names[i].attr;
	}
	free(copy);
	return attrs;
}

static int set_string(int fs, const char *key, const char *value)
{
	return fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) ? -errno : 0;
}

static int set_number(int fs, const char *key, const char *fmt, unsigned int value)
{
	char buf[16];

	snprintf(buf, sizeof(buf), fmt, value);
	return set_string(fs, key, buf);
}

static int set_flag(int fs, const char *key, bool on)
{
	if (!on)
		return 0;
	return fsconfig(fs, FSCONFIG_SET_FLAG, key, NULL, 0) ? -errno : 0;
}

static int configure(int fs, const FuseConnEntry *c, int fuse_fd)
{
	int err = 0;

	if (c->source && *c->source)
		err = set_string(fs, "source", c->source);
	if (!err && c->subtype && *c->subtype)
		err = set_string(fs, "subtype", c->subtype);
	err = err ?: set_number(fs, "fd", "%u", fuse_fd);
	err = err ?: set_number(fs, "rootmode", "%o", c->rootmode);
	err = err ?: set_number(fs, "user_id", "%u", c->user_id);
	err = err ?: set_number(fs, "group_id", "%u", c->group_id);
	if (!err && c->max_read != MAX_READ_ANY)
		err = set_number(fs, "max_read", "%u", c->max_read);
	err = err ?: set_flag(fs, "default_permissions", c->default_permissions);
	err = err ?: set_flag(fs, "allow_other", c->allow_other);
	err = err ?: set_flag(fs, "ro", c->sb_flags & MS_RDONLY);
	err = err ?: set_flag(fs, "sync", c->sb_flags & MS_SYNCHRONOUS);
	err = err ?: set_flag(fs, "dirsync", c->sb_flags & MS_DIRSYNC);
	err = err ?: set_flag(fs, "lazytime", c->sb_flags & MS_LAZYTIME);
	if (!err && c->has_blksize && blocks_mounted(c))
		err = set_number(fs, "blksize", "%u", c->blksize);
	return err;
}

static int create(int fs)
{
	return fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) ? -errno : 0;
}

static int create_below(int fs, int root)
{
	return fchdir(root) || chroot(".") ? -errno : create(fs);
}

/*
 * The kernel looks the device up by the name that mountinfo is going to tell, and is to
 * find the one that it was.
 */
static int create_on_device(int fs, const FuseConnEntry *c)
{
	int root cleanup(close_auto) = blocks_node(c->dev, c->source ?: "");
	int status;
	pid_t pid;

	if (root < 0)
		return root;
	pid = fork();
	if (!pid)
		_exit(-create_below(fs, root));
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

int mountfs_create(const FuseConnEntry *c, const char *options, int fuse_fd,
		   char *words, size_t size)
{
	int fs = fsopen(c->fstype, FSOPEN_CLOEXEC);
	int err, mnt = -1;
	ssize_t n;

	*words = '\0';
	if (fs < 0)
		return -errno;
	err = configure(fs, c, fuse_fd);
	err = err ?: (blocks_mounted(c) ? create_on_device(fs, c) : create(fs));
	if (!err) {
		mnt = fsmount(fs, FSMOUNT_CLOEXEC, parse_attrs(options));
		err = mnt < 0 ? -errno : 0;
	}
	if (err) {
		/* What the kernel has to say is read from the context itself. */
		n = read(fs, words, size - 1);
		words[n > 0 ? n : 0] = '\0';
	}
	close(fs);
	return err ?: mnt;
}

int mountfs_attach(int mnt_fd, const char *path)
{
	int at cleanup(close_auto) = straight_open(AT_FDCWD, path, O_PATH);

	if (at < 0)
		return at;
	return move_mount(mnt_fd, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) ? -errno : 0;
}

int mountfs_set(int mnt_fd, const char *options)
{
	struct mount_attr attr = {
		.attr_set = parse_attrs(options),
		.attr_clr = MOUNT_ATTR__ATIME,
	};

	/* What it was cloned from may have others. */
	for (size_t i = 0; i < sizeof(attr_names) / sizeof(*attr_names); i++)
		attr.attr_clr |= attr_names[i].attr;
	return mount_setattr(mnt_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) ? -errno : 0;
}

int mountfs_clone(int mnt_fd, const char *root, const char *options)
{
	int fd, err;

	while (*root == '/')
		root++;
	fd = open_tree(mnt_fd, root, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
		       AT_SYMLINK_NOFOLLOW);
	if (fd < 0)
		return -errno;
	err = mountfs_set(fd, options);
	if (!err)
		return fd;
	close(fd);
	return err;
}

int mountfs_propagation(int mnt_fd, uint64_t type)
{
	struct mount_attr attr = { .propagation = type };

	return mount_setattr(mnt_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) ? -errno : 0;
}

int stage_create(char stage[STAGE_SIZE])
{
	int err;

	snprintf(stage, STAGE_SIZE, "/run/fusecr.XXXXXX");
	if (!mkdtemp(stage)) {
		err = -errno;
		*stage = '\0';
		return err;
	}
	/* Private: what is mounted in it does not spread to other namespaces. */
	if (mount("fusecr", stage, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700,size=64k") ||
	    mount(NULL, stage, NULL, MS_PRIVATE, NULL)) {
		err = -errno;
		stage_remove(stage);
		*stage = '\0';
		return err;
	}
	return 0;
}

void stage_remove(const char *stage)
{
	if (!*stage)
		return;
	umount2(stage, MNT_DETACH);
	rmdir(stage);
}
