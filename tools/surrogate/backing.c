// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/fusecr_ioctl.h>
#include <linux/openat2.h>

#include "backing.h"
#include "cleanup.h"
#include "handle.h"

/* include/uapi/linux/fuse.h of Linux 6.9. */
struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};
#define BACKING_OPEN	_IOW(229, 1, struct backing_map)
#define BACKING_CLOSE	_IOW(229, 2, uint32_t)

/* From here on they are of those that have none, and only until the programs run. */
#define NO_ID		0x70000000U
/* Of the flags that a file is opened with, those that it keeps. */
#define KEPT_FLAGS	(O_ACCMODE | O_APPEND | O_NONBLOCK | O_SYNC | O_DIRECT | O_NOATIME | O_PATH)

/* Where it was by name: a symbolic link on the way is another one's work. */
static int open_below(const char *root, const FuseBackingEntry *b)
{
	struct open_how how = {
		.flags = (b->file_flags & KEPT_FLAGS) | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int dir cleanup(close_auto) = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char path[PATH_MAX];
	struct stat st;
	int fd;

	if (dir < 0)
		return -errno;
	if (!b->has_path || b->path.len >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(path, b->path.data, b->path.len);
	path[b->path.len] = '\0';
	fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));
	if (fd < 0)
		return -errno;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -EMEDIUMTYPE;
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

static int register_file(int devfd, int handle, int fd, const FuseBackingEntry *b)
{
	struct fusecr_set_conn next = { .mask = FUSECR_SET_NEXT_BACKING, .next_backing = b->id ?: NO_ID };
	int id = handle_set_conn(handle, &next);

	id = id ?: register_as(devfd, fd, b);
	if (id < 0 || !b->id || (uint32_t)id == b->id)
		return id;
	backing_close(devfd, id);
	return -EEXIST;
}

int backing_close(int devfd, uint32_t id)
{
	return ioctl(devfd, BACKING_CLOSE, &id) ? -errno : 0;
}

int backing_open(int devfd, int handle, const FuseBackingEntry *b, const char *root, struct report *r)
{
	int fd cleanup(close_auto) = open_below(root, b);
	int id = fd < 0 ? fd : register_file(devfd, handle, fd, b);

	if (id < 0)
		report_add(r, "the passthrough file %.*s could not be had again: %s", (int)b->path.len,
			   b->has_path ? (const char *)b->path.data : "", strerror(-id));
	return id;
}
