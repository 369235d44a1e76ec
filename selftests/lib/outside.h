/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What BPF iterators say of files on FUSE mounts, see outside.bpf.c. They read the
 * kernel's structures by its BTF as the module does, but with another's code.
 */
#ifndef OUTSIDE_H
#define OUTSIDE_H

struct outside_file {
	unsigned int pid;	/* thread group */
	unsigned int dev;	/* as the kernel numbers it, include/linux/kdev_t.h */
	/* Descriptor; or the address of a mapping, and of the byte after it. */
	unsigned long long number, end;
	unsigned long long inode_nodeid, nlookup;
	long long pos;
	unsigned int flags;	/* O_* */
	unsigned int open_flags; /* FOPEN_* */
	/* Of fuse's own: 0 for O_PATH, FIFOs and the like. */
	unsigned long long nodeid, fh, kh;
};

#ifndef __bpf__
#include <stddef.h>

struct outside_list {
	struct outside_file *v;
	size_t n;
};

/* All of this system; 0 or -errno. The list is to be freed in any case. */
int outside_files(struct outside_list *list);
int outside_mappings(struct outside_list *list);
void outside_free(struct outside_list *list);
#endif

#endif
