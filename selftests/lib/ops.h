/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One system call for each request that FUSE knows, on a tree as rawfs makes it
 * with the directory "empty" and the attribute "user.there" of f1 besides.
 */
#ifndef OPS_H
#define OPS_H

struct op {
	const char *name;
	const char *opcode;	/* of the request that the system call is for */
	const char *file;	/* to be opened before, or NULL */
	int flags;		/* O_* */
	/* @dir is the mount, @fd the file.  0 or -1 and errno. */
	int (*call)(const char *dir, int fd);
	const char *there;	/* a name that is there when it was done, or NULL */
	const char *gone;	/* one that is not */
};

/* Ends with one that has no name. */
extern const struct op ops[];

/* NULL when there is none. */
const struct op *op_find(const char *name);

/* Makes what the calls need besides. 0 or -1 and errno. */
int ops_prepare(const char *dir);

/* The file for op->call(): 0 when it needs none, or -1 and errno. */
int op_open(const struct op *op, const char *dir);

/* Whether what it was to do is done, and once. 0 or -1 and errno. */
int op_check(const struct op *op, const char *dir);

#endif
