/* SPDX-License-Identifier: GPL-2.0 */
/* Ways to read and to write a file, all of whose bytes are known. */
#ifndef TEST_IO_H
#define TEST_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define IO_OLD	1	/* seeds: what is in the file before, */
#define IO_NEW	2	/* and what is written */

struct io {
	const char *name;
	int flags;	/* of open() */
	bool write;
	/*
	 * One system call, which moves bytes between @buf and @at in the file; how
	 * many, or -1 and errno.
	 */
	ssize_t (*move)(int fd, char *buf, size_t len, off_t at);
};

extern const struct io ios[];

/* NULL when there is none. */
const struct io *io_find(const char *name);
/* 0, or -errno where the kernel has no such system call, or permits none. */
int io_possible(const struct io *io);

/*
 * Moves @size bytes from the file's beginning on, and looks whether they are
 * those that are to be there. How many system calls it took, or -errno.
 */
int io_run(const struct io *io, const char *path, size_t size);

/* 0 or -errno. The second asks the server; -EBADMSG: there are others. */
int io_fill(const char *path, size_t size, int seed);
int io_compare(const char *path, size_t size, int seed);

#endif
