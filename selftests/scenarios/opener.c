// SPDX-License-Identifier: GPL-2.0
/*
 * opener - a program that has one file open in several ways, of which the daemon
 * answers some with FOPEN_DIRECT_IO.
 *
 *	opener NAME MOUNT CONTROL
 *
 * Makes MOUNT/NAME. The daemon is to take O_DIRECT for a wish to bypass the page
 * cache. CONTROL.cmd and CONTROL.out are FIFOs outside the mount. Says "ready", then
 * answers each line:
 *	check	uses all that it holds, and says "ok", or what is wrong
 *	quit	closes and removes all, says "bye" and ends
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.h"

#define SIZE	8192
#define PIECE	512	/* what O_DIRECT takes everywhere */
#define NR(a)	(sizeof(a) / sizeof(*(a)))

static const char *self;
static char *buf;		/* aligned */
static char *mapped, *closed;	/* the latter's descriptor is closed */
static unsigned int rounds;

static struct way {
	int flags;
	int fd, fl;
	const char *link;	/* another name of the file, or NULL */
} ways[] = {
	{ O_RDWR, -1, 0, NULL },
	{ O_RDWR | O_DIRECT, -1, 0, NULL },
	{ O_RDONLY | O_DIRECT, -1, 0, NULL },
	{ O_WRONLY | O_SYNC, -1, 0, NULL },
	{ O_WRONLY | O_DIRECT, -1, 0, NULL },
	{ O_RDWR, -1, 0, "link" },
	{ O_RDWR | O_DIRECT, -1, 0, "link" },
};

static bool reads(const struct way *w)
{
	return (w->flags & O_ACCMODE) != O_WRONLY;
}

static bool writes(const struct way *w)
{
	return (w->flags & O_ACCMODE) != O_RDONLY;
}

static int expect(const char *data, char byte, const char *what, int flags)
{
	for (int i = 0; i < PIECE; i++)
		if (data[i] != byte)
			return bad("%s %#o: byte %d is %#x, not %#x", what, flags, i, data[i], byte);
	return 0;
}

/*
 * What one writes, everyone reads; but before Linux 6.6 what goes past the page cache
 * leaves there what was before (fuse_direct_write_iter(), fs/fuse/file.c): only the
 * others of that kind look at that piece.
 */
static int check_written(const struct way *by, char byte)
{
	bool direct = by->flags & O_DIRECT;
	off_t at = direct ? 3 * PIECE : PIECE;

	memset(buf, byte, PIECE);
	if (pwrite(by->fd, buf, PIECE, at) != PIECE)
		return bad("%#o: write: %s", by->flags, strerror(errno));
	for (size_t i = 0; i < NR(ways); i++) {
		if (!reads(&ways[i]) || (direct && !(ways[i].flags & O_DIRECT)))
			continue;
		if (pread(ways[i].fd, buf, PIECE, at) != PIECE)
			return bad("%#o: read: %s", ways[i].flags, strerror(errno));
		if (expect(buf, byte, "read through", ways[i].flags))
			return -1;
	}
	if (direct)
		return 0;
	return expect(mapped + at, byte, "mapped", by->flags) ?: expect(closed + at, byte, "mapped", by->flags);
}

/* One whose pages nobody has cannot be mapped by several (fuse_file_mmap()). */
static int check_way(const struct way *w)
{
	bool direct = w->flags & O_DIRECT;
	char path[64], name[256];
	ssize_t n;
	void *p;

	if (fcntl(w->fd, F_GETFL) != w->fl)
		return bad("%#o: has flags %#o, not %#o", w->flags, fcntl(w->fd, F_GETFL), w->fl);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", w->fd);
	n = readlink(path, name, sizeof(name) - 1);
	name[n < 0 ? 0 : n] = '\0';
	if (strcmp(strrchr(name, '/') + 1, w->link ?: "file"))
		return bad("%#o: is called %s", w->flags, name);
	if (!reads(w))
		return 0;
	p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, w->fd, 0);
	if (p != MAP_FAILED)
		munmap(p, SIZE);
	if (direct ? p != MAP_FAILED || errno != ENODEV : p == MAP_FAILED)
		return bad("%#o: %s", w->flags, direct ? "is not direct" : strerror(errno));
	return 0;
}

static int check(void)
{
	for (size_t i = 0; i < NR(ways); i++)
		if (check_way(&ways[i]) || (writes(&ways[i]) && check_written(&ways[i], 'a' + ++rounds % 26)))
			return -1;
	mapped[2 * PIECE] = closed[2 * PIECE + 1] = 'A' + rounds % 26;
	if (msync(mapped, SIZE, MS_SYNC) || msync(closed, SIZE, MS_SYNC) ||
	    pread(ways[1].fd, buf, PIECE, 2 * PIECE) != PIECE)
		return bad("msync: %s", strerror(errno));
	return buf[0] == mapped[2 * PIECE] && buf[1] == buf[0] ? 0 : bad("what was mapped is not in the file");
}

static int start(const char *mount, const char *name)
{
	int fd;

	buf = aligned_alloc(4096, SIZE);
	if (!buf || chdir(mount) || mkdir(name, 0755) || chdir(name))
		return bad("%s/%s: %s", mount, name, strerror(errno));
	memset(buf, 'z', SIZE);
	fd = open("file", O_RDWR | O_CREAT | O_EXCL, 0644);
	if (fd < 0 || write(fd, buf, SIZE) != SIZE || link("file", "link"))
		return bad("file: %s", strerror(errno));
	closed = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	for (size_t i = 0; i < NR(ways); i++) {
		ways[i].fd = open(ways[i].link ?: "file", ways[i].flags | O_CLOEXEC);
		ways[i].fl = fcntl(ways[i].fd, F_GETFL);
		if (ways[i].fd < 0)
			return bad("open %#o: %s", ways[i].flags, strerror(errno));
	}
	mapped = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, ways[0].fd, 0);
	return closed == MAP_FAILED || mapped == MAP_FAILED ? bad("mmap: %s", strerror(errno)) : 0;
}

static int quit(void)
{
	munmap(mapped, SIZE);
	munmap(closed, SIZE);
	for (size_t i = 0; i < NR(ways); i++)
		close(ways[i].fd);
	if (unlink("file") || unlink("link") || chdir("..") || rmdir(self))
		return bad("quit: %s", strerror(errno));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: opener NAME MOUNT CONTROL\n");
		return 2;
	}
	control_open(argv[3]);
	self = argv[1];
	return control_serve(start(argv[2], argv[1]), check, quit);
}
