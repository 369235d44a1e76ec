// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "backing.h"
#include "handback.h"
#include "handle.h"
#include "marks.h"
#include "settle.h"

/* How long closes that programs made before they were stopped may take. */
#define CLOSE_TIMEOUT_MS 5000

/* File flags are shared with the daemon: from here on they are its own. */
static int give_flags(const struct rebuilt *rb)
{
	const struct message_list *devs = model_devs(rb->model);

	for (size_t i = 0; i < rb->count; i++)
		for (size_t k = 0; k < devs->count; k++) {
			const FuseDevEntry *dev = (const FuseDevEntry *)devs->items[k];

			if (dev->cookie == rb->instances[i].cookie &&
			    fcntl(rb->instances[i].fd, F_SETFL, dev->file_flags & (O_NONBLOCK | O_ASYNC)))
				return -errno;
		}
	return 0;
}

static int still_open(struct restore *re, const struct rebuilt *rb, long want, int err)
{
	report_add(&re->s->report, "%s: %lu files are open on it that had to be opened, and programs have %ld", model_label(rb->model),
		   (unsigned long)(rb->handles->opens - rb->handles->releases), want);
	return err ?: -EBUSY;
}

/* Throw-away handles that did not become programs' files must be closed. */
static int await_closes(struct restore *re, struct rebuilt *rb)
{
	int64_t end = surrogate_now_ms() + CLOSE_TIMEOUT_MS;
	long want = -1;
	int err = 0;

	/* Others may ask without an end: it is not waited for until nobody does. */
	while (err >= 0 && surrogate_now_ms() < end) {
		want = settle_count(re->nl, rb->conn_id, rb->model);
		if (want < 0)
			return want;
		err = engine_drain(&rb->engine, rb->instances[0].fd);
		if (!err && rb->handles->opens - rb->handles->releases == (uint64_t)want)
			return 0;
		err = err ?: restore_serve(rb, 10);
	}
	return still_open(re, rb, want, err < 0 ? err : 0);
}

/* What the daemon will find open must be what it left open. */
static int check_handles(struct restore *re, struct rebuilt *rb)
{
	long count = settle_count(re->nl, rb->conn_id, rb->model);

	if (count == (long)model_handles(rb->model))
		return 0;
	if (count >= 0)
		report_add(&re->s->report, "%s: %ld files are open on it, and the image has %lu", model_label(rb->model),
			   count, (unsigned long)model_handles(rb->model));
	return count < 0 ? count : -EBUSY;
}

static void forget_settled(uint64_t nodeid, uint64_t nlookup, void *arg)
{
	const struct rebuilt *rb = arg;

	settle_forget(rb->handle, rb->model, nodeid, nlookup);
}

static bool serve_meanwhile(void *arg)
{
	return restore_serve(arg, 0) > 0;
}

static int commit(struct rebuilt *rb, const void *unused)
{
	(void)unused;
	return handle_commit(rb->handle, true);
}

static int open_again(struct rebuilt *rb, const void *share)
{
	return handle_share_file(rb->handle, share);
}

static int reopen(const struct fusecr_share_file *share, void *rb)
{
	return restore_in_child(rb, open_again, share, false);
}

int handback(struct restore *re, struct rebuilt *rb, const struct tree *tree)
{
	bool tree_ns = re->inv->own_pid_ns && model_conn(rb->model)->tree_pid_ns;
	const struct meanwhile meanwhile = { serve_meanwhile, rb };
	struct report *r = &re->s->report;
	int err;

	err = await_closes(re, rb);
	err = err ?: settle_sharing(&(struct sharing){ re->nl, rb->conn_id, rb->handle, reopen, rb },
				    rb->model, tree, r);
	err = err ?: check_handles(re, rb);
	/* Closes the files that others have taken the place of: that is for us. */
	err = err ?: restore_in_child(rb, commit, NULL, false);
	err = err ?: await_closes(re, rb);
	err = err ?: settle_files(rb->handle, rb->model, tree, r);
	err = err ?: settle_locks(rb->handle, rb->model, tree, r);
	err = err ?: settle_deleted(rb->handle, rb->model, tree, &meanwhile, r);
	err = err ?: marks_settle(re, rb, tree);
	err = err ?: await_closes(re, rb);
	err = err ?: settle_pages(rb->handle, &rb->engine, r);
	err = err ?: settle_lookups(re->nl, rb->handle, rb->conn_id, rb->model, true, r);
	rb->engine.forget = forget_settled;
	err = err ?: engine_drain(&rb->engine, rb->instances[0].fd);
	err = err ?: backing_settle(rb, tree->tasks[0].pid);
	err = err ?: settle_conn(rb->handle, rb->model, tree->tasks[0].pid, tree_ns, rb->engine.held, r);
	if (!err && rb->engine.held) {
		err = handle_requeue(rb->handle, rb->instances[0].fd, 0);
		err = err < 0 ? err : 0;
	}
	/* Then: what the daemon has read is not to be read again. */
	err = err ?: settle_kept(rb->handle, rb->model, restore_device, rb, r);
	err = err ?: give_flags(rb);
	/* Last: what it sends is for the daemon. */
	return err ?: handle_commit(rb->handle, true);
}
