// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "ops.h"
#include "rawfs.h"

#define NR_PATHS	2

/* In one of two static buffers. */
static const char *path(const char *dir, const char *name)
{
	static char paths[NR_PATHS][512];
	static unsigned int n;
	char *p = paths[n++ % NR_PATHS];

	snprintf(p, sizeof(paths[0]), "%s/%s", dir, name);
	return p;
}

static int full(ssize_t n, ssize_t want)
{
	if (n >= 0 && n != want)
		errno = EIO;
	return n == want ? 0 : -1;
}

/* What there was an answer to is what the caller has. */
static int same(const void *got, const void *want, size_t len)
{
	if (!memcmp(got, want, len))
		return 0;
	errno = EBADMSG;
	return -1;
}

#define F1	2	/* its index: it is not to be asked for */

static int same_bytes(const unsigned char *got, off_t offset, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char want = rawfs_byte(rawfs_nodeid(F1), offset + i);

		if (same(&got[i], &want, 1))
			return -1;
	}
	return 0;
}

/* A name among entries of struct linux_dirent64. */
static int has_entry(const char *entries, ssize_t len, const char *name)
{
	for (ssize_t at = 0; at < len;) {
		unsigned short reclen;

		memcpy(&reclen, entries + at + 16, sizeof(reclen));
		if (!strcmp(entries + at + 19, name))
			return 0;
		at += reclen;
	}
	if (len >= 0)
		errno = EBADMSG;
	return -1;
}

/* A name in a list of names. */
static int has_name(const char *names, ssize_t len, const char *name)
{
	if (len >= 0 && memmem(names, len, name, strlen(name) + 1))
		return 0;
	if (len >= 0)
		errno = EBADMSG;
	return -1;
}

#define CALL(name, ...)							\
	static int call_##name(const char *dir, int fd)			\
	{								\
		(void)dir;						\
		(void)fd;						\
		return __VA_ARGS__;					\
	}

static struct stat st;
static struct statx stx;
static struct statfs stfs;
static char buf[4096];
static int opened;		/* and left so */
static uint32_t size;
static const struct timespec times[] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };
static struct flock lock = { .l_type = F_WRLCK, .l_len = 10 };

CALL(lookup, stat(path(dir, "f1"), &st))
CALL(getattr, fstat(fd, &st))
CALL(chmod, fchmod(fd, 0640))
CALL(truncate, ftruncate(fd, 100))
CALL(chown, fchown(fd, 1000, 1000))
CALL(utimens, futimens(fd, times))
CALL(touch, futimens(fd, NULL))
CALL(readlink, full(readlink(path(dir, "link"), buf, sizeof(buf)), 2) ?: same(buf, "f0", 2))
CALL(symlink, symlink("f0", path(dir, "new")))
CALL(mknod, mknod(path(dir, "new"), S_IFREG | 0600, 0))
CALL(mkdir, mkdir(path(dir, "new"), 0700))
CALL(unlink, unlink(path(dir, "f2")))
CALL(rmdir, rmdir(path(dir, "empty")))
CALL(rename, rename(path(dir, "f2"), path(dir, "new")))
CALL(rename_over, rename(path(dir, "f2"), path(dir, "f3")))
CALL(rename2, renameat2(AT_FDCWD, path(dir, "f2"), AT_FDCWD, path(dir, "new"),
			RENAME_NOREPLACE))
CALL(link, link(path(dir, "f2"), path(dir, "new")))
CALL(open, (opened = open(path(dir, "f1"), O_RDONLY | O_CLOEXEC)) < 0 ? -1 : 0)
CALL(create, (opened = open(path(dir, "new"), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600)) < 0 ? -1 : 0)
CALL(read, full(pread(fd, buf, 100, 50), 100) ?: same_bytes((void *)buf, 50, 100))
CALL(append, full(write(fd, "appended", 8), 8))
CALL(statfs, fstatfs(fd, &stfs))
CALL(fsync, fsync(fd))
CALL(setxattr, fsetxattr(fd, "user.x", "value", 5, XATTR_CREATE))
CALL(getxattr, full(fgetxattr(fd, "user.there", buf, sizeof(buf)), 4) ?: same(buf, "here", 4))
CALL(listxattr, has_name(buf, flistxattr(fd, buf, sizeof(buf)), "user.there"))
CALL(removexattr, fremovexattr(fd, "user.there"))
CALL(opendir, (opened = open(path(dir, "dir0"), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 ? -1 : 0)
CALL(readdir, has_entry(buf, syscall(SYS_getdents64, fd, buf, sizeof(buf)), "f1"))
CALL(readdirplus, has_entry(buf, syscall(SYS_getdents64, fd, buf, sizeof(buf)), "f1"))
CALL(access, access(path(dir, "f1"), R_OK))
CALL(fallocate, fallocate(fd, 0, 0, 100000))
CALL(lseek, full(lseek(fd, 10, SEEK_DATA), 10))
CALL(close, close(fd))
CALL(close_range, syscall(SYS_close_range, fd, fd, 0))
CALL(dup2, dup2(STDERR_FILENO, fd) == fd ? 0 : -1)
CALL(setlkw, fcntl(fd, F_SETLKW, &lock))
CALL(setlk, fcntl(fd, F_SETLK, &lock))
CALL(getlk, fcntl(fd, F_GETLK, &lock) || lock.l_type != F_UNLCK ? -1 : 0)
CALL(fsyncdir, fsync(fd))
CALL(tmpfile, (opened = open(path(dir, "dir0"), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) < 0 ? -1 : 0)
CALL(statx, statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BTIME, &stx))
CALL(ioctl, ioctl(fd, RAWFS_IOC_SIZE, &size))

#define OP(name, opcode, file, flags, there, gone)			\
	{ #name, #opcode, file, flags, call_##name, there, gone }

const struct op ops[] = {
	OP(lookup, LOOKUP, NULL, 0, NULL, NULL),
	OP(getattr, GETATTR, "f1", O_RDONLY, NULL, NULL),
	OP(chmod, SETATTR, "f1", O_RDONLY, NULL, NULL),
	OP(truncate, SETATTR, "f1", O_RDWR, NULL, NULL),
	OP(readlink, READLINK, NULL, 0, NULL, NULL),
	OP(symlink, SYMLINK, NULL, 0, "new", NULL),
	OP(mknod, MKNOD, NULL, 0, "new", NULL),
	OP(mkdir, MKDIR, NULL, 0, "new", NULL),
	OP(unlink, UNLINK, NULL, 0, NULL, "f2"),
	OP(rmdir, RMDIR, NULL, 0, NULL, "empty"),
	OP(rename, RENAME, NULL, 0, "new", "f2"),
	OP(rename_over, RENAME, NULL, 0, "f3", "f2"),
	OP(rename2, RENAME2, NULL, 0, "new", "f2"),
	OP(link, LINK, NULL, 0, "new", NULL),
	OP(open, OPEN, NULL, 0, NULL, NULL),
	OP(create, CREATE, NULL, 0, "new", NULL),
	OP(read, READ, "f1", O_RDONLY | O_DIRECT, NULL, NULL),
	OP(append, WRITE, "f1", O_WRONLY | O_APPEND, NULL, NULL),
	OP(statfs, STATFS, "f1", O_RDONLY, NULL, NULL),
	OP(fsync, FSYNC, "f1", O_RDWR, NULL, NULL),
	OP(setxattr, SETXATTR, "f1", O_RDWR, NULL, NULL),
	OP(getxattr, GETXATTR, "f1", O_RDWR, NULL, NULL),
	OP(listxattr, LISTXATTR, "f1", O_RDWR, NULL, NULL),
	OP(removexattr, REMOVEXATTR, "f1", O_RDWR, NULL, NULL),
	OP(opendir, OPENDIR, NULL, 0, NULL, NULL),
	OP(readdir, READDIR, "dir0", O_RDONLY | O_DIRECTORY, NULL, NULL),
	OP(readdirplus, READDIRPLUS, "dir0", O_RDONLY | O_DIRECTORY, NULL, NULL),
	OP(access, ACCESS, NULL, 0, NULL, NULL),
	OP(fallocate, FALLOCATE, "f1", O_RDWR, NULL, NULL),
	OP(lseek, LSEEK, "f1", O_RDWR, NULL, NULL),
	OP(close, FLUSH, "f1", O_RDWR, NULL, NULL),
	OP(close_range, FLUSH, "f1", O_RDWR, NULL, NULL),
	OP(dup2, FLUSH, "f1", O_RDWR, NULL, NULL),
	OP(setlkw, SETLKW, "f1", O_RDWR, NULL, NULL),
	OP(setlk, SETLK, "f1", O_RDWR, NULL, NULL),
	OP(getlk, GETLK, "f1", O_RDWR, NULL, NULL),
	OP(fsyncdir, FSYNCDIR, "dir0", O_RDONLY | O_DIRECTORY, NULL, NULL),
	OP(tmpfile, TMPFILE, NULL, 0, NULL, NULL),
	OP(statx, STATX, "f1", O_RDONLY, NULL, NULL),
	OP(ioctl, IOCTL, "f1", O_RDWR, NULL, NULL),
	OP(chown, SETATTR, "f1", O_RDONLY, NULL, NULL),
	OP(utimens, SETATTR, "f1", O_RDONLY, NULL, NULL),
	OP(touch, SETATTR, "f1", O_RDONLY, NULL, NULL),
	{ .name = NULL },
};

const struct op *op_find(const char *name)
{
	for (const struct op *op = ops; op->name; op++)
		if (!strcmp(op->name, name))
			return op;
	return NULL;
}

int ops_prepare(const char *dir)
{
	if (mkdir(path(dir, "empty"), 0700))
		return -1;
	return setxattr(path(dir, "f1"), "user.there", "here", 4, 0);
}

int op_open(const struct op *op, const char *dir)
{
	return op->file ? open(path(dir, op->file), op->flags | O_CLOEXEC) : 0;
}

static int ends_with(const char *file, const char *text, size_t len)
{
	char end[64];
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	off_t want = lseek(fd, 0, SEEK_END) - 2 * len;
	int err = full(pread(fd, end, 2 * len, want), 2 * len);

	close(fd);
	/* What comes before is the file's own. */
	err = err ?: same(end + len, text, len);
	if (!err && !memcmp(end, text, len)) {
		errno = EEXIST;
		return -1;
	}
	return err;
}

int op_check(const struct op *op, const char *dir)
{
	struct stat found;

	if (op->there && lstat(path(dir, op->there), &found))
		return -1;
	if (op->gone && !lstat(path(dir, op->gone), &found)) {
		errno = EEXIST;
		return -1;
	}
	return op->call == call_append ? ends_with(path(dir, op->file), "appended", 8) : 0;
}
