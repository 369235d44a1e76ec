// SPDX-License-Identifier: GPL-2.0
/*
 * After CRIU's part: the tree is about to run again, or to be killed.  In the
 * first case the daemon serves and we leave at once.  In the second the dying
 * programs wait for answers to their last FLUSH and nobody else is left to give
 * them; then the mounts go, and then we do.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dump.h"
#include "held.h"
#include "unmount.h"

#define LOOK_MS		5
/* The daemons are looked at as often, while others ask. */
#define ORPHANS_MS	100
#define BURY_MS		10000
#define BURY_MAX_MS	120000

static bool any_runs(const struct dump *d, bool tracer_gone)
{
	for (size_t i = 0; i < d->daemons.count; i++)
		if (daemon_runs(&d->daemons.list[i], tracer_gone))
			return true;
	return false;
}

static bool all_run(const struct dump *d)
{
	for (size_t i = 0; i < d->daemons.count; i++)
		if (!daemon_runs(&d->daemons.list[i], false))
			return false;
	return true;
}

static bool all_ended(const struct dump *d)
{
	for (size_t i = 0; i < d->daemons.count; i++)
		if (!daemon_ended(&d->daemons.list[i]))
			return false;
	return true;
}

/* Twice, as below; where it is not seen to stand, the end of CRIU is the end. */
bool dump_runs_again(struct dump *d)
{
	if (!any_runs(d, false))
		d->stood = true;
	else if (d->stood && all_run(d))
		d->runs++;
	else
		d->runs = 0;
	return d->runs >= 2;
}

/* Dead mounts in our own namespace would stay; those in the tree's go with it. */
static void unmount_own(const struct dump *d)
{
	struct unmount *list = calloc(d->count, sizeof(*list));

	for (size_t i = 0; list && i < d->count; i++)
		list[i] = (struct unmount){ d->served[i].conn_id, d->served[i].held ? 0 : d->served[i].dev };
	if (list)
		unmount_all(list, d->count);
	free(list);
}

/* Whoever unmounts fuseblk waits for an answer, which is ours to give. */
static pid_t unmount_in_child(const struct dump *d)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	for (size_t i = 0; i < d->count; i++)
		close(d->served[i].devfd);
	unmount_own(d);
	_exit(0);
}

/* All that waits for an answer, if there is an end; false when the connection is gone. */
static bool serve_dying(struct served *sv)
{
	int n = engine_drain(&sv->engine, sv->devfd);

	if (n < 0) {
		close(sv->devfd);
		sv->devfd = -1;
	}
	return n == 0;
}

static void bury(struct dump *d)
{
	struct pollfd *pfd = calloc(d->count, sizeof(*pfd));
	int64_t end = surrogate_now_ms() + BURY_MAX_MS;
	size_t left = 0;
	pid_t child = -1;
	int quiet = 0;

	surrogate_log("the tree is dead");
	held_stay(d);
	for (size_t i = 0; pfd && i < d->count; i++) {
		struct served *sv = &d->served[i];

		sv->engine.phase = ENGINE_DYING;
		if (sv->held)
			held_leave(sv);
		left += sv->devfd >= 0;
	}
	if (!d->snap->own_mnt_ns)
		child = unmount_in_child(d);
	/* Somebody outside may ask without an end. */
	while (left && quiet < BURY_MS && surrogate_now_ms() < end) {
		for (size_t i = 0; i < d->count; i++) {
			if (d->served[i].devfd >= 0 && !serve_dying(&d->served[i]))
				left--;
			pfd[i] = (struct pollfd){ .fd = d->served[i].devfd, .events = POLLIN };
		}
		/* The dying ask one thing after another: at once, not at the next look. */
		if (left && poll(pfd, d->count, LOOK_MS) > 0)
			quiet = 0;
		else
			quiet += LOOK_MS;
	}
	free(pfd);
	/* It may wait for somebody else. */
	if (child > 0)
		waitpid(child, NULL, WNOHANG);
	surrogate_log("%zu connections outlived the tree", left);
}

/* Its daemons have been killed: nobody else is going to answer. */
static bool is_orphan(const struct dump *d, uint64_t conn_id)
{
	for (size_t i = 0; i < d->daemons.count; i++)
		if (d->daemons.list[i].conn_id == conn_id && !daemon_dying(&d->daemons.list[i]))
			return false;
	return true;
}

/*
 * A daemon that uses another's mount is dead only when that has answered.  It closes one
 * file after another: each at once, until it asks no more, or it is time to look.
 */
static void serve_orphans(struct dump *d, struct pollfd *pfd)
{
	int64_t end = surrogate_now_ms() + ORPHANS_MS;

	do {
		for (size_t i = 0; i < d->count; i++) {
			struct served *sv = &d->served[i];
			bool dying = sv->devfd >= 0 && !sv->held && is_orphan(d, sv->conn_id);

			if (dying) {
				sv->engine.phase = ENGINE_DYING;
				serve_dying(sv);
			}
			pfd[i] = (struct pollfd){ .fd = dying ? sv->devfd : -1, .events = POLLIN };
		}
	} while (poll(pfd, d->count, LOOK_MS) > 0 && surrogate_now_ms() < end);
}

void dump_watch(struct dump *d)
{
	struct pollfd *orphans;
	bool tracer_gone;
	int pidfd, runs = 0;

	if (!d->p->frozen)
		return;	/* CRIU never got that far: the daemon never stood still */
	orphans = calloc(d->count, sizeof(*orphans));
	pidfd = pidfd_open(d->s->criu, 0);
	for (;;) {
		struct pollfd pfd = { .fd = pidfd, .events = POLLIN };

		tracer_gone = pidfd < 0 || (poll(&pfd, 1, 0) > 0 && pfd.revents);
		if (all_ended(d)) {
			bury(d);
			break;
		}
		/*
		 * Seen twice: a task may die, and be let go of, between the two
		 * questions; and it says nothing of a SIGKILL at the very moment
		 * at which it takes note of it.
		 */
		runs = any_runs(d, tracer_gone) ? runs + 1 : 0;
		if (runs == 2) {
			surrogate_log("the tree runs again");
			break;
		}
		if (orphans)
			serve_orphans(d, orphans);
		else
			poll(NULL, 0, LOOK_MS);
	}
	free(orphans);
	if (pidfd >= 0)
		close(pidfd);
}
