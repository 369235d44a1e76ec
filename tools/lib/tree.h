/* SPDX-License-Identifier: GPL-2.0 */
/* A process tree as /proc shows it. */
#ifndef FUSECR_TREE_H
#define FUSECR_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct task {
	pid_t pid;	/* as the caller sees it */
	pid_t vpid;	/* in its innermost pid namespace */
	pid_t ppid;
	char comm[32];
	uint64_t mnt_ns, pid_ns, user_ns;	/* inode numbers */
};

struct tree {
	struct task *tasks;	/* root first; parents before children */
	size_t count;
	const struct task **by_pid;	/* of all, or NULL */
};

/* Walks root and all its descendants.  0 or -errno (-ESRCH: no such root). */
int tree_read(struct tree *tree, pid_t root);
void tree_free(struct tree *tree);
/* Calls back for each thread of a process.  Non-zero ends the walk.  -errno, or what cb said. */
int tree_each_thread(pid_t pid, int (*cb)(pid_t pid, pid_t tid, void *arg), void *arg);
const struct task *tree_find(const struct tree *tree, pid_t pid);
const struct task *tree_find_vpid(const struct tree *tree, pid_t vpid);

#endif
