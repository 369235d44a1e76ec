// SPDX-License-Identifier: GPL-2.0
/*
 * moder - has files open in all modes, and a directory half read.
 *
 *	moder NAME MOUNT CONTROL [KIND [fixed]]
 *
 * Makes MOUNT/NAME. KIND is how the daemon opens files: seekable, nonseekable or
 * stream; "fixed": so directories, which cannot seek. CONTROL.cmd and CONTROL.out are FIFOs outside the mount. Says "ready",
 * then answers each line:
 *	check	uses all that it holds, and says "ok", or what is wrong
 *	quit	closes and removes all, says "bye" and ends
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "control.h"

#define SIZE		16384
#define PIECE		512	/* what O_DIRECT takes everywhere */
#define NR_ENTRIES	200
#define NR(a) (sizeof(a) / sizeof(*(a)))

static const char *self;		/* our directory on the mount */
static bool seekable, stream, fixed;
static char *buf;		/* aligned */

/* --- files ---------------------------------------------------------------------- */

/* How a call ends, whatever it is for. */
struct behaviour {
	int lseek, pread, pwrite, map;
};

static struct mode {
	const char *name;
	int flags;
	int fd, fl;
	off_t pos;
	struct behaviour as;
} modes[] = {
	{ "plain", O_RDWR, -1, 0, 0, { 0 } },
	{ "read", O_RDONLY, -1, 0, 0, { 0 } },
	{ "append", O_WRONLY | O_APPEND, -1, 0, 0, { 0 } },
	{ "append-read", O_RDWR | O_APPEND, -1, 0, 0, { 0 } },
	{ "sync", O_RDWR | O_SYNC, -1, 0, 0, { 0 } },
	{ "dsync", O_RDWR | O_DSYNC, -1, 0, 0, { 0 } },
	{ "direct", O_RDWR | O_DIRECT, -1, 0, 0, { 0 } },
	{ "direct-append", O_WRONLY | O_DIRECT | O_APPEND, -1, 0, 0, { 0 } },
	{ "nonblock", O_RDWR | O_NONBLOCK, -1, 0, 0, { 0 } },
	{ "noatime", O_RDONLY | O_NOATIME, -1, 0, 0, { 0 } },
	{ "all", O_RDWR | O_DIRECT | O_SYNC | O_NONBLOCK | O_NOATIME, -1, 0, 0, { 0 } },
	/* Set later, not opened so. */
	{ "set", O_RDWR, -1, 0, 0, { 0 } },
};

static int writes(const struct mode *m)
{
	return (m->flags & O_ACCMODE) != O_RDONLY;
}

static int reads(const struct mode *m)
{
	return (m->flags & O_ACCMODE) != O_WRONLY;
}

static void behave(const struct mode *m, struct behaviour *as)
{
	void *p = mmap(NULL, PIECE, PROT_READ, MAP_SHARED, m->fd, 0);

	as->map = p == MAP_FAILED ? errno : munmap(p, PIECE);
	as->lseek = lseek(m->fd, 0, SEEK_CUR) < 0 ? errno : 0;
	as->pread = pread(m->fd, buf, PIECE, 0) < 0 ? errno : 0;
	as->pwrite = pwrite(m->fd, buf, 0, 0) < 0 ? errno : 0;
}

/* The byte of each piece says which it is.  At once: a stream has one place only. */
static int fill(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);

	for (int i = 0; i < SIZE / PIECE; i++)
		memset(buf + i * PIECE, 'A' + i, PIECE);
	if (fd < 0 || write(fd, buf, SIZE) != SIZE || close(fd))
		return bad("%s: %s", name, strerror(errno));
	return 0;
}

/* One piece at the file's own position. */
static int read_piece(struct mode *m)
{
	ssize_t n = read(m->fd, buf, PIECE);
	char want = stream ? 'A' : 'A' + m->pos / PIECE;

	if (n != PIECE)
		return bad("%s: read: %s", m->name, n < 0 ? strerror(errno) : "short");
	for (int i = 0; i < PIECE; i++)
		if (buf[i] != want)
			return bad("%s: byte %d is %c, not %c", m->name, i, buf[i], want);
	m->pos += PIECE;
	return 0;
}

static int expect_behaviour(const struct mode *m)
{
	struct behaviour now;
	int error = seekable ? 0 : ESPIPE;

	behave(m, &now);
	if (memcmp(&now, &m->as, sizeof(now)))
		return bad("%s: lseek %d, pread %d, pwrite %d, map %d, not %d %d %d %d", m->name,
			   now.lseek, now.pread, now.pwrite, now.map,
			   m->as.lseek, m->as.pread, m->as.pwrite, m->as.map);
	if (now.lseek != error || (reads(m) && now.pread != error) || (writes(m) && now.pwrite != error))
		return bad("%s: lseek %d, pread %d, pwrite %d, and not %d", m->name,
			   now.lseek, now.pread, now.pwrite, error);
	return 0;
}

static int append_piece(struct mode *m)
{
	struct stat before, after;

	memset(buf, 'z', PIECE);
	if (fstat(m->fd, &before) || write(m->fd, buf, PIECE) != PIECE || fstat(m->fd, &after))
		return bad("%s: append: %s", m->name, strerror(errno));
	if (after.st_size != before.st_size + PIECE)
		return bad("%s: has %ld bytes after %d were appended to %ld", m->name,
			   (long)after.st_size, PIECE, (long)before.st_size);
	m->pos = after.st_size;
	return 0;
}

/* Over what is there already, the same. */
static int write_piece(struct mode *m)
{
	memset(buf, stream ? 'A' : 'A' + m->pos / PIECE, PIECE);
	if (write(m->fd, buf, PIECE) != PIECE)
		return bad("%s: write: %s", m->name, strerror(errno));
	m->pos += PIECE;
	return 0;
}

static int check_mode(struct mode *m)
{
	int fl = fcntl(m->fd, F_GETFL);

	if (fl != m->fl)
		return bad("%s: has flags %#o, not %#o", m->name, fl, m->fl);
	if (expect_behaviour(m))
		return -1;
	if (seekable && lseek(m->fd, 0, SEEK_CUR) != m->pos)
		return bad("%s: stands at %ld, not %ld", m->name, (long)lseek(m->fd, 0, SEEK_CUR), (long)m->pos);
	if (m->pos >= SIZE - 4 * PIECE && !(m->flags & O_APPEND))
		return bad("%s: asked too often", m->name);
	/* What it reads afterwards is its own. */
	if ((m->flags & O_APPEND) ? append_piece(m) :
	    (reads(m) && read_piece(m)) || (writes(m) && write_piece(m)))
		return -1;
	return fsync(m->fd) ? bad("%s: fsync: %s", m->name, strerror(errno)) : 0;
}

static int open_mode(struct mode *m)
{
	if (fill(m->name))
		return -1;
	m->fd = open(m->name, m->flags);
	if (m->fd < 0)
		return bad("%s: %s", m->name, strerror(errno));
	if (!strcmp(m->name, "set") && fcntl(m->fd, F_SETFL, O_APPEND | O_NONBLOCK | O_NOATIME))
		return bad("F_SETFL: %s", strerror(errno));
	if (!strcmp(m->name, "set"))
		m->flags |= O_APPEND;
	m->fl = fcntl(m->fd, F_GETFL);
	behave(m, &m->as);
	return check_mode(m);
}

/* --- a directory ------------------------------------------------------------------- */

struct linux_dirent64 {
	uint64_t d_ino;
	int64_t d_off;
	unsigned short d_reclen;
	unsigned char d_type;
	char d_name[];
};

/* One half of it is read with small buffers, the rest after a restore. */
static struct listing {
	int fd;
	bool seen[NR_ENTRIES];
	int count;
	int64_t cookie;		/* of the place after this many */
	int at_cookie;
	bool before[NR_ENTRIES];	/* seen when there */
} half, cached;

static int list_some(struct listing *l)
{
	char some[512];
	long n = syscall(SYS_getdents64, l->fd, some, sizeof(some));
	unsigned int i;

	if (n < 0)
		return bad("getdents: %s", strerror(errno));
	for (long at = 0; at < n;) {
		struct linux_dirent64 *d = (void *)(some + at);

		at += d->d_reclen;
		if (sscanf(d->d_name, "entry%u", &i) != 1)
			continue;
		if (i >= NR_ENTRIES || l->seen[i])
			return bad("the listing has %s %s", d->d_name,
				   i < NR_ENTRIES ? "twice" : "out of nowhere");
		l->seen[i] = true;
		if (++l->count != NR_ENTRIES / 4)
			continue;
		l->cookie = d->d_off;
		l->at_cookie = l->count;
		memcpy(l->before, l->seen, sizeof(l->seen));
	}
	return n > 0;
}

static int list_to(struct listing *l, int count)
{
	int more = 1;

	while (more > 0 && l->count < count)
		more = list_some(l);
	return more < 0 ? -1 : 0;
}

static int list_rest(struct listing *l)
{
	int more;

	do
		more = list_some(l);
	while (more > 0);
	if (!more && l->count != NR_ENTRIES)
		return bad("the listing lost %d of %d entries", NR_ENTRIES - l->count, NR_ENTRIES);
	return more;
}

static int open_half(struct listing *l)
{
	memset(l->seen, 0, sizeof(l->seen));
	l->count = 0;
	l->fd = open("many", O_RDONLY | O_DIRECTORY);
	return l->fd < 0 ? bad("open: %s", strerror(errno)) : list_to(l, NR_ENTRIES / 2);
}

/* The rest, all behind a cookie from before, and all from the start; half again. */
static int check_listing(struct listing *l)
{
	if (l->count < NR_ENTRIES / 2 || l->count == NR_ENTRIES)
		return bad("%d entries listed before", l->count);
	if (list_rest(l))
		return -1;
	if (fixed) {
		if (lseek(l->fd, l->cookie, SEEK_SET) >= 0 || errno != ESPIPE)
			return bad("seekdir: %s", strerror(errno));
		close(l->fd);
		return open_half(l);
	}
	if (lseek(l->fd, l->cookie, SEEK_SET) != l->cookie)
		return bad("seekdir: %s", strerror(errno));
	memcpy(l->seen, l->before, sizeof(l->seen));
	l->count = l->at_cookie;
	if (list_rest(l))
		return -1;
	if (lseek(l->fd, 0, SEEK_SET))
		return bad("rewinddir: %s", strerror(errno));
	memset(l->seen, 0, sizeof(l->seen));
	l->count = 0;
	return list_to(l, NR_ENTRIES / 2);
}

static int start_listing(void)
{
	char name[32];

	if (mkdir("many", 0755))
		return bad("mkdir: %s", strerror(errno));
	for (int i = 0; i < NR_ENTRIES; i++) {
		snprintf(name, sizeof(name), "many/entry%d", i);
		if (mknod(name, S_IFREG | 0644, 0))
			return bad("%s: %s", name, strerror(errno));
	}
	/* The one reads to the end, so that a cache is full when it begins again. */
	if (open_half(&half) || open_half(&cached))
		return -1;
	return check_listing(&cached);
}

static int end_listing(void)
{
	char name[32];

	close(half.fd);
	close(cached.fd);
	for (int i = 0; i < NR_ENTRIES; i++) {
		snprintf(name, sizeof(name), "many/entry%d", i);
		if (unlink(name))
			return bad("%s: %s", name, strerror(errno));
	}
	return rmdir("many") ? bad("rmdir: %s", strerror(errno)) : 0;
}

/* --- all of it ------------------------------------------------------------------------ */

static int start(const char *mount, const char *name)
{
	buf = aligned_alloc(4096, SIZE);
	if (!buf || chdir(mount) || mkdir(name, 0755) || chdir(name))
		return bad("%s/%s: %s", mount, name, strerror(errno));
	for (size_t i = 0; i < NR(modes); i++)
		if (open_mode(&modes[i]))
			return -1;
	return start_listing();
}

static int check(void)
{
	for (size_t i = 0; i < NR(modes); i++)
		if (check_mode(&modes[i]))
			return -1;
	return check_listing(&half) ?: check_listing(&cached);
}

static int quit(void)
{
	for (size_t i = 0; i < NR(modes); i++)
		if (close(modes[i].fd) || unlink(modes[i].name))
			return bad("%s: %s", modes[i].name, strerror(errno));
	if (end_listing())
		return -1;
	return chdir("..") || rmdir(self) ? bad("rmdir: %s", strerror(errno)) : 0;
}

int main(int argc, char **argv)
{
	if (argc < 4 || argc > 6) {
		fprintf(stderr, "usage: moder NAME MOUNT CONTROL [KIND [fixed]]\n");
		return 2;
	}
	stream = argc > 4 && !strcmp(argv[4], "stream");
	seekable = argc == 4 || !strcmp(argv[4], "seekable");
	fixed = argc == 6;
	control_open(argv[3]);
	self = argv[1];
	return control_serve(start(argv[2], argv[1]), check, quit);
}
