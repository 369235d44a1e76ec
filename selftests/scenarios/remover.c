// SPDX-License-Identifier: GPL-2.0
/*
 * remover - a program that has files open whose names are gone or are others'.
 *
 *	remover NAME MOUNT CONTROL
 *
 * Makes MOUNT/NAME and files in it. CONTROL.cmd and CONTROL.out are FIFOs outside
 * the mount. Says "ready", then answers each line:
 *	check	uses all that it holds, and says "ok", or what is wrong
 *	quit	closes and removes all, says "bye" and ends
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.h"

#define SIZE 10000
#define PAGE 4096

/* What is held open, and the end of the path that the kernel is to tell of it. */
static struct held {
	const char *name;
	char byte;	/* what it is full of */
	bool gone;	/* deleted under that name */
	int fd;
} held[] = {
	{ "plain", 'a', true, -1 },
	{ "plain", 'h', true, -1 },	/* another one */
	{ "replaced", 'b', true, -1 },
	{ "replaced", 'c', false, -1 },
	{ "linked", 'd', true, -1 },
	{ "new", 'e', false, -1 },	/* was renamed */
	{ "over", 'f', true, -1 },	/* another was renamed to it */
	{ "over", 'g', false, -1 },
	{ "sub/deep/below", 'i', true, -1 },	/* in directories that are deleted */
	{ "sub/beside", 'j', true, -1 },
	{ "again/below", 'k', true, -1 },
	{ "again/below", 'l', false, -1 },	/* in another directory of that name */
	{ "right", 'n', false, -1 },	/* both have changed places */
	{ "left", 'o', false, -1 },
};

enum {
	PLAIN, PLAIN_TOO, REPLACED, REPLACEMENT, LINKED, RENAMED, OVER, OVER_IT,
	BELOW, BESIDE, AGAIN, AGAIN_NEW, RIGHT, LEFT, NR
};

static int deep = -1;	/* a directory that is deleted, in one that is */
static bool hidden;	/* no: a daemon of libfuse's keeps files in it, by other names */

static char *mapped;	/* a deleted file whose descriptor is closed */
static char *private;	/* another, of which one page is the program's own */
static const char *self;		/* our directory on the mount */
static unsigned int rounds;

static int make(const char *name, char byte)
{
	char buf[SIZE];
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	memset(buf, byte, SIZE);
	if (fd < 0 || write(fd, buf, SIZE) != SIZE)
		return bad("make %s: %s", name, strerror(errno));
	return fd;
}

static int hold(int what, const char *name)
{
	held[what].fd = make(name, held[what].byte);
	return held[what].fd;
}

static int start_mapping(void)
{
	int fd = make("mapped", 'm');

	if (fd < 0)
		return -1;
	mapped = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mapped == MAP_FAILED || close(fd) || unlink("mapped"))
		return bad("map: %s", strerror(errno));
	return 0;
}

static int start_private(void)
{
	int fd = make("private", 'p');

	if (fd < 0)
		return -1;
	private = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (private == MAP_FAILED || close(fd) || unlink("private"))
		return bad("map: %s", strerror(errno));
	memset(private + PAGE, 'P', PAGE);
	return 0;
}

static int remove_dir(const char *name)
{
	if (!rmdir(name))
		return 0;
	hidden = errno == ENOTEMPTY;
	return hidden ? 0 : -1;
}

/* What was in it goes some time after it is closed. */
static int remove_hidden(const char *name)
{
	int ret = rmdir(name);

	for (int ms = 0; ret && errno == ENOTEMPTY && ms < 60000; ms += 10) {
		poll(NULL, 0, 10);
		ret = rmdir(name);
	}
	return ret;
}

static int start_below(void)
{
	if (mkdir("sub", 0755) || mkdir("sub/deep", 0755) || mkdir("again", 0755) ||
	    hold(BELOW, "sub/deep/below") < 0 || hold(BESIDE, "sub/beside") < 0 ||
	    hold(AGAIN, "again/below") < 0)
		return bad("below: %s", strerror(errno));
	deep = open("sub/deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (deep < 0 || unlink("sub/deep/below") || unlink("sub/beside") || unlink("again/below") ||
	    remove_dir("sub/deep") || remove_dir("sub") || remove_dir("again"))
		return bad("remove: %s", strerror(errno));
	if ((!hidden && mkdir("again", 0755)) || hold(AGAIN_NEW, "again/below") < 0)
		return bad("again: %s", strerror(errno));
	return 0;
}

/* At once, where the daemon can. */
static int start_exchange(void)
{
	if (hold(RIGHT, "left") < 0 || hold(LEFT, "right") < 0)
		return -1;
	if (!renameat2(AT_FDCWD, "left", AT_FDCWD, "right", RENAME_EXCHANGE))
		return 0;
	if (errno != EINVAL || rename("left", "between") || rename("right", "left") ||
	    rename("between", "right"))
		return bad("exchange: %s", strerror(errno));
	return 0;
}

static int start(const char *mount, const char *name)
{
	if (chdir(mount) || mkdir(name, 0755) || chdir(name))
		return bad("%s/%s: %s", mount, name, strerror(errno));
	if (hold(PLAIN, "plain") < 0 || unlink("plain"))
		return bad("plain: %s", strerror(errno));
	if (hold(PLAIN_TOO, "plain") < 0 || unlink("plain"))
		return bad("plain: %s", strerror(errno));
	if (hold(REPLACED, "replaced") < 0 || unlink("replaced") || hold(REPLACEMENT, "replaced") < 0)
		return bad("replaced: %s", strerror(errno));
	if (hold(LINKED, "linked") < 0 || link("linked", "other") || unlink("linked"))
		return bad("linked: %s", strerror(errno));
	if (hold(RENAMED, "old") < 0 || rename("old", "new"))
		return bad("renamed: %s", strerror(errno));
	if (hold(OVER, "over") < 0 || hold(OVER_IT, "under") < 0 || rename("under", "over"))
		return bad("over: %s", strerror(errno));
	return start_exchange() ?: start_below() ?: start_mapping() ?: start_private();
}

static int check_name(int fd, const char *name, bool gone)
{
	char link[64], path[PATH_MAX], want[64];
	int len, end;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len < 0)
		return bad("%s: %s", link, strerror(errno));
	path[len] = '\0';
	end = snprintf(want, sizeof(want), "/%s/%s%s", self, name, gone ? " (deleted)" : "");
	return len >= end && !strcmp(path + len - end, want) ? 0 : bad("%s has become %s", name, path);
}

/* Each round has written one byte, and nobody has synced it. */
static bool is_marked(int i)
{
	return i > 0 && (unsigned int)i < rounds && i < 100;
}

static int check_held(const struct held *h)
{
	char buf[SIZE], mark = h->byte - 'a' + 'A';
	off_t at = rounds % 100;

	if (pread(h->fd, buf, SIZE, 0) != SIZE)
		return bad("%s %c: read: %s", h->name, h->byte, strerror(errno));
	/* At this one another may have been here before, which has the same file. */
	for (int i = 0; i < SIZE; i++)
		if (i != at && buf[i] != (is_marked(i) ? mark : h->byte))
			return bad("%s %c: byte %d is %#x", h->name, h->byte, i, buf[i]);
	if (pwrite(h->fd, &mark, 1, at) != 1 || pread(h->fd, buf, 1, at) != 1 || buf[0] != mark)
		return bad("%s %c: write: %s", h->name, h->byte, strerror(errno));
	/* Where writing has left it: at its end. */
	if (lseek(h->fd, 0, SEEK_CUR) != SIZE)
		return bad("%s %c: position", h->name, h->byte);
	return check_name(h->fd, h->name, h->gone);
}

/* As in any directory that is deleted. */
static int check_nothing(const char *name, int flags)
{
	int fd = openat(deep, name, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		return errno == ENOENT ? 0 : bad("sub/deep/%s: %s", name, strerror(errno));
	close(fd);
	return bad("sub/deep/%s is there", name);
}

static int check_deep(void)
{
	return check_nothing("new", O_WRONLY | O_CREAT) ?: check_nothing("below", O_RDONLY) ?:
	       check_name(deep, "sub/deep", true);
}

static int check(void)
{
	struct stat st;

	rounds++;
	for (int i = 0; i < NR; i++)
		if (check_held(&held[i]))
			return -1;
	for (int i = 0; i < SIZE; i++)
		if (mapped[i] != (is_marked(i) ? 'M' : 'm'))
			return bad("mapped: byte %d is %#x", i, mapped[i]);
	for (int i = 0; i < SIZE; i++)
		if (private[i] != (i / PAGE == 1 ? 'P' : 'p'))
			return bad("private: byte %d is %#x", i, private[i]);
	mapped[rounds % 100] = 'M';
	if (!stat("plain", &st) || errno != ENOENT || !stat("plain (deleted)", &st) || errno != ENOENT)
		return bad("plain is there: %s", strerror(errno));
	if (stat("other", &st) || st.st_size != SIZE)
		return bad("other: %s", strerror(errno));
	if (!stat("sub", &st) != hidden)
		return bad("sub: %s", strerror(errno));
	return hidden ? 0 : check_deep();
}

static int quit(void)
{
	for (int i = 0; i < NR; i++)
		close(held[i].fd);
	close(deep);
	munmap(mapped, SIZE);
	munmap(private, SIZE);
	if (unlink("replaced") || unlink("other") || unlink("new") || unlink("over") ||
	    unlink("left") || unlink("right") ||
	    unlink("again/below") || remove_hidden("again"))
		return bad("quit: %s", strerror(errno));
	if (hidden && (remove_hidden("sub/deep") || remove_hidden("sub")))
		return bad("quit: sub: %s", strerror(errno));
	if (chdir("..") || remove_hidden(self))
		return bad("quit: %s", strerror(errno));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: remover NAME MOUNT CONTROL\n");
		return 2;
	}
	control_open(argv[3]);
	self = argv[1];
	return control_serve(start(argv[2], argv[1]), check, quit);
}
