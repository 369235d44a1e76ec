// SPDX-License-Identifier: GPL-2.0
/*
 * mapper - a program that has files of a mount in its memory.
 *
 *	mapper NAME MOUNT CONTROL
 *
 * Makes MOUNT/NAME, maps files in it in each way there is, and forks a child that
 * inherits all of it. CONTROL.cmd and CONTROL.out are FIFOs outside the mount.
 * Says "ready", then answers each line:
 *	check	both look at all that they have mapped, and write what is to be
 *		written; "ok", or what is wrong
 *	quit	unmaps and removes all, says "bye" and ends
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"

#define PAGES	8
#define SIZE	((size_t)PAGES << 12)
#define PAGE	((size_t)1 << 12)

/* A file that is mapped, with or without a descriptor that is still open. */
static struct mapped {
	const char *name;
	int prot, flags;	/* of the mapping */
	int open_flags;
	bool close;
	int fd;
	unsigned char *at;
} maps[] = {
	{ .name = "shared",
	  .prot = PROT_READ | PROT_WRITE, .flags = MAP_SHARED, .open_flags = O_RDWR },
	{ .name = "shared_closed",
	  .prot = PROT_READ | PROT_WRITE, .flags = MAP_SHARED, .open_flags = O_RDWR, .close = true },
	{ .name = "shared_ro",
	  .prot = PROT_READ, .flags = MAP_SHARED, .open_flags = O_RDONLY, .close = true },
	{ .name = "private",
	  .prot = PROT_READ | PROT_WRITE, .flags = MAP_PRIVATE, .open_flags = O_RDONLY },
	{ .name = "private_closed",
	  .prot = PROT_READ | PROT_WRITE, .flags = MAP_PRIVATE, .open_flags = O_RDWR, .close = true },
	{ .name = "private_ro",
	  .prot = PROT_READ, .flags = MAP_PRIVATE, .open_flags = O_RDONLY, .close = true },
};

#define NR	(sizeof(maps) / sizeof(*maps))

/* One file, of which two pieces are mapped, the first of them by two opens. */
static unsigned char *pieces[3];

static unsigned int rounds;
static int to_child, from_child;
static pid_t child;
static bool is_child;

static unsigned char pattern(size_t at)
{
	return at * 11 + (at >> 8) * 3 + 1;
}

static bool is_shared(const struct mapped *m)
{
	return m->flags == MAP_SHARED;
}

static bool is_written(const struct mapped *m)
{
	return m->prot & PROT_WRITE;
}

static int make(const char *name)
{
	unsigned char buf[SIZE];
	int fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

	for (size_t i = 0; i < SIZE; i++)
		buf[i] = pattern(i);
	if (fd < 0 || write(fd, buf, SIZE) != (ssize_t)SIZE || close(fd))
		return bad("make %s: %s", name, strerror(errno));
	return 0;
}

/*
 * Page 0 stays as the file has it. Of a private mapping page 1 is written, page 2
 * is all zero, in the child page 3 is, which its parent has as the file has it.
 */
static int map(struct mapped *m)
{
	if (make(m->name))
		return -1;
	m->fd = open(m->name, m->open_flags | O_CLOEXEC);
	m->at = mmap(NULL, SIZE, m->prot, m->flags, m->fd, 0);
	if (m->fd < 0 || m->at == MAP_FAILED)
		return bad("map %s: %s", m->name, strerror(errno));
	if (m->close) {
		close(m->fd);
		m->fd = -1;
	}
	if (is_written(m) && !is_shared(m)) {
		memset(m->at + PAGE, 0x5a, PAGE);
		memset(m->at + 2 * PAGE, 0, PAGE);
	}
	return 0;
}

static int map_pieces(void)
{
	static const off_t from[] = { 0, 4 << 12, 0 };
	int fd;

	if (make("pieces"))
		return -1;
	fd = open("pieces", O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < 3; i++) {
		pieces[i] = mmap(NULL, 2 * PAGE, i == 1 ? PROT_READ | PROT_EXEC : PROT_READ,
				 MAP_PRIVATE, fd, from[i]);
		if (pieces[i] == MAP_FAILED)
			return bad("piece %d: %s", i, strerror(errno));
	}
	close(fd);
	/* The same through an open of its own: CRIU opens once for both. */
	munmap(pieces[2], 2 * PAGE);
	fd = open("pieces", O_RDONLY | O_CLOEXEC);
	pieces[2] = mmap(pieces[2], 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0);
	close(fd);
	for (int i = 0; i < 3; i++)
		if (pieces[i][0] != pattern(from[i]))
			return bad("piece %d", i);
	return 0;
}

static int expect_page(const struct mapped *m, size_t page, int value)
{
	for (size_t i = page * PAGE; i < (page + 1) * PAGE; i++) {
		unsigned char want = value < 0 ? pattern(i) : value;

		if (m->at[i] != want)
			return bad("%s%s: byte %zu is %#x, not %#x", is_child ? "child's " : "",
				   m->name, i, m->at[i], want);
	}
	return 0;
}

static int check_private(const struct mapped *m)
{
	if (expect_page(m, 0, -1) || expect_page(m, 4, -1))
		return -1;
	if (!is_written(m))
		return expect_page(m, 1, -1) ?: expect_page(m, 3, -1);
	return expect_page(m, 1, 0x5a) ?: expect_page(m, 2, 0) ?: expect_page(m, 3, is_child ? 0 : -1);
}

/* Where a round writes, and what. */
static size_t place_of(unsigned int round)
{
	return (is_child ? 2 : 1) * PAGE + round * 16;
}

static unsigned char mark_of(unsigned int round)
{
	return 0x80 + round;
}

/* What earlier rounds have left; their last byte nobody has synced. */
static int expect_marks(const struct mapped *m)
{
	for (unsigned int i = 1; i < rounds; i++) {
		const unsigned char *at = m->at + place_of(i);

		if ((is_written(m) && (at[0] != mark_of(i) || at[2] != mark_of(i))) ||
		    at[1] != (unsigned char)(mark_of(i) + 1))
			return bad("%s: round %u has left %#x %#x %#x", m->name, i, at[0], at[1], at[2]);
	}
	return 0;
}

/* What one writes into memory, a read of the file finds, and the other way. */
static int check_shared(struct mapped *m)
{
	size_t at = place_of(rounds);
	unsigned char mine = mark_of(rounds), back = 0;
	int fd;

	if (expect_page(m, 0, -1) || expect_marks(m))
		return -1;
	fd = open(m->name, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return bad("open %s: %s", m->name, strerror(errno));
	if (is_written(m)) {
		m->at[at] = mine;
		if (msync(m->at, SIZE, MS_SYNC))
			return bad("msync %s: %s", m->name, strerror(errno));
		if (pread(fd, &back, 1, (off_t)at) != 1 || back != mine)
			return bad("%s: written %#x, the file has %#x", m->name, mine, back);
	}
	mine++;
	if (pwrite(fd, &mine, 1, (off_t)at + 1) != 1)
		return bad("write %s: %s", m->name, strerror(errno));
	if (m->at[at + 1] != mine)
		return bad("%s: the file has %#x, memory %#x", m->name, mine, m->at[at + 1]);
	close(fd);
	/* Dirty when it is checkpointed. */
	if (is_written(m))
		m->at[at + 2] = mark_of(rounds);
	return 0;
}

static int check_all(void)
{
	rounds++;
	for (size_t i = 0; i < NR; i++) {
		struct mapped *m = &maps[i];
		unsigned char byte;

		if (m->fd >= 0 && (pread(m->fd, &byte, 1, 0) != 1 || byte != pattern(0)))
			return bad("%s: its descriptor", m->name);
		if (is_shared(m) ? check_shared(m) : check_private(m))
			return -1;
	}
	for (size_t i = 0; i < 2 * PAGE; i++)
		if (pieces[0][i] != pattern(i) || pieces[2][i] != pattern(i) ||
		    pieces[1][i] != pattern(i + 4 * PAGE))
			return bad("pieces: byte %zu", i);
	return 0;
}

/* Answers each byte with what is wrong, or with nothing. */
static int child_main(int in, int out)
{
	char c;

	is_child = true;
	for (size_t i = 0; i < NR; i++)
		if (is_written(&maps[i]) && !is_shared(&maps[i]))
			memset(maps[i].at + 3 * PAGE, 0, PAGE);
	while (read(in, &c, 1) == 1) {
		wrong[0] = '\0';
		check_all();
		if (write(out, wrong, sizeof(wrong)) != sizeof(wrong))
			return 1;
	}
	return 0;
}

static int child_start(void)
{
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		return bad("pipe: %s", strerror(errno));
	child = fork();
	if (child < 0)
		return bad("fork: %s", strerror(errno));
	if (!child) {
		close(in[1]);
		close(out[0]);
		_exit(child_main(in[0], out[1]));
	}
	close(in[0]);
	close(out[1]);
	to_child = in[1];
	from_child = out[0];
	return 0;
}

static int check(void)
{
	wrong[0] = '\0';
	if (check_all())
		return -1;
	if (write(to_child, "c", 1) != 1 || read(from_child, wrong, sizeof(wrong)) != sizeof(wrong))
		return bad("the child does not answer");
	return wrong[0] ? -1 : 0;
}

static int quit(void)
{
	int status;

	close(to_child);
	if (waitpid(child, &status, 0) != child || status)
		return bad("the child ended with %#x", status);
	for (size_t i = 0; i < NR; i++) {
		munmap(maps[i].at, SIZE);
		if (maps[i].fd >= 0)
			close(maps[i].fd);
		if (unlink(maps[i].name))
			return bad("unlink %s: %s", maps[i].name, strerror(errno));
	}
	for (int i = 0; i < 3; i++)
		munmap(pieces[i], 2 * PAGE);
	return unlink("pieces") ? bad("unlink pieces: %s", strerror(errno)) : 0;
}

static int start(const char *mount, const char *name)
{
	if (chdir(mount) || mkdir(name, 0755) || chdir(name))
		return bad("%s/%s: %s", mount, name, strerror(errno));
	for (size_t i = 0; i < NR; i++)
		if (map(&maps[i]))
			return -1;
	return map_pieces() ?: child_start();
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: mapper NAME MOUNT CONTROL\n");
		return 2;
	}
	control_open(argv[3]);
	return control_serve(start(argv[2], argv[1]), check, quit);
}
