// SPDX-License-Identifier: GPL-2.0
/*
 * iterate - prints what BPF iterators say of files on FUSE mounts: a line an open file
 * or a mapping, that begins with its pid.
 */
#include <stdio.h>
#include <string.h>

#include "../lib/outside.h"

/* CRIU opens directories without it; seen.sh */
#define DIRECTORY	0200000

static int print(const char *kind, int (*ask)(struct outside_list *list))
{
	struct outside_list list;
	int err = ask(&list);

	for (size_t i = 0; !err && i < list.n; i++) {
		const struct outside_file *f = &list.v[i];

		printf("%u %s %llx-%llx flags %o pos %lld open_flags %#x nodeid %#llx fh %#llx kh %#llx node %#llx nlookup %llu\n",
		       f->pid, kind, f->number, f->end, f->flags & ~DIRECTORY, f->pos, f->open_flags,
		       f->nodeid, f->fh, f->kh, f->inode_nodeid, f->nlookup);
	}
	if (err)
		fprintf(stderr, "iterate: %s: %s\n", kind, strerror(-err));
	outside_free(&list);
	return err;
}

int main(void)
{
	return print("file", outside_files) || print("mapping", outside_mappings);
}
