/* SPDX-License-Identifier: GPL-2.0 */
/* Makes the kernel's half agree with what the daemon believes, before it runs. */
#ifndef FUSECR_SETTLE_H
#define FUSECR_SETTLE_H

#include "engine.h"
#include "model.h"
#include "nl.h"
#include "report.h"
#include "tree.h"

/*
 * Lookup counts: a node that the kernel holds gets the daemon's count, one that
 * it does not hold is forgotten as often as the daemon counts (sent at commit).
 */
int settle_lookups(struct nl *nl, int handle, uint64_t conn_id, struct model *m, bool reserve,
		   struct report *r);
/*
 * For engine.forget(), afterwards, until the queue is drained (engine_drain()): what is in
 * it of nodes that the kernel had forgotten before they were settled is told already, in
 * other numbers; of others the daemon is to hear.
 */
void settle_forget(int handle, const struct model *m, uint64_t nodeid, uint64_t nlookup);


/*
 * How many files are open on the connection that have a handle, duplicates not
 * counted; or -errno.
 */
long settle_count(struct nl *nl, uint64_t conn_id, const struct model *m);

/*
 * CRIU opens a file for each descriptor, and others for mappings and programs, or
 * one for several mappings: those that were one open file become one again, those
 * that were several become that.
 */
struct sharing {
	struct nl *nl;
	uint64_t conn_id;
	int handle;
	/* handle_share_file(), while the requests are answered that it waits for. */
	int (*reopen)(const struct fusecr_share_file *share, void *arg);
	void *arg;
};
int settle_sharing(const struct sharing *s, const struct model *m, const struct tree *tree,
		   struct report *r);

/* Page cache that was filled with noise (engine.c) goes. */
int settle_pages(int handle, const struct engine *e, struct report *r);

/* Open files of the restored tasks get the daemon's handles and lock owners. */
int settle_files(int handle, const struct model *m, const struct tree *tree, struct report *r);

/* POSIX locks that the kernel keeps and that CRIU may have lost are there again. */
int settle_locks(int handle, const struct model *m, const struct tree *tree, struct report *r);

/* What was deleted while it was in use is deleted again under its old name. */
int settle_deleted(int handle, const struct model *m, const struct tree *tree,
		   const struct meanwhile *meanwhile, struct report *r);

/*
 * Counters, latched no_* bits, and the namespaces of the tree's root: for pids when
 * pid_ns, for users when it was mounted in one.  waited_for: requests that were sent
 * since the connection was made wait for the daemon, and so does what comes next.
 */
int settle_conn(int handle, const struct model *m, pid_t root, bool pid_ns, bool waited_for,
		struct report *r);

/*
 * What the daemon had not answered: its answer goes to the thread that asks again.
 * After settle_conn(), which says in which pid namespace the threads are numbered.
 * @devfd names the descriptor for an instance of the image, or is negative.
 */
int settle_kept(int handle, const struct model *m, int (*devfd)(uint64_t cookie, const void *arg),
		const void *arg, struct report *r);

#endif
