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
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include "dump.h"
#include "held.h"
#include "mounts.h"
#include "proc.h"

#define LOOK_MS		5
#define BURY_MS		10000

/* Exited: only the parent's wait is missing. */
static bool task_dead(pid_t pid)
{
	char state = proc_state(pid);

	return !state || state == 'Z' || state == 'X';
}

/* Alive and let go by the tracer, which may be gone before what it killed is. */
static bool task_runs(pid_t pid, bool tracer_gone)
{
	return !task_dead(pid) && !proc_dying(pid) &&
		(tracer_gone || proc_status(pid, "TracerPid") == 0);
}

static bool each_daemon(const struct dump *d, bool (*test)(pid_t, bool), bool arg, bool any)
{
	for (size_t i = 0; i < d->snap->count; i++) {
		const struct message_list *devs = &d->snap->conns[i].devs;

		for (size_t k = 0; k < devs->count; k++)
			if (test(((FuseDevEntry *)devs->items[k])->pid, arg) == any)
				return any;
	}
	return !any;
}

static bool dead(pid_t pid, bool unused)
{
	(void)unused;
	return task_dead(pid);
}

struct unmount {
	char **paths;
	size_t count;
};

static int add_path(const FuseMountEntry *m, const char *fstype, const char *source, void *arg)
{
	struct unmount *u = arg;
	char **paths = reallocarray(u->paths, u->count + 1, sizeof(*paths));

	(void)fstype;
	(void)source;
	if (!paths)
		return -ENOMEM;
	u->paths = paths;
	paths[u->count] = strndup((const char *)m->mountpoint.data, m->mountpoint.len);
	if (!paths[u->count])
		return -ENOMEM;
	u->count++;
	return 0;
}

/* A dead mount in our own namespace would stay; one in the tree's goes with it. */
static void unmount_all(const struct served *sv)
{
	struct unmount u = { 0 };

	mounts_of(getpid(), sv->dev, add_path, &u);
	while (u.count--) {
		if (umount2(u.paths[u.count], MNT_DETACH | UMOUNT_NOFOLLOW))
			surrogate_log("umount %s: %s", u.paths[u.count], strerror(errno));
		free(u.paths[u.count]);
	}
	free(u.paths);
}

/* All that waits for an answer; false when the connection is gone. */
static bool serve_dying(struct served *sv)
{
	int n = 1;

	while (n > 0)
		n = engine_serve(&sv->engine, sv->devfd);
	if (n < 0) {
		close(sv->devfd);
		sv->devfd = -1;
	}
	return n == 0;
}

static void bury(struct dump *d)
{
	struct pollfd *pfd = calloc(d->count, sizeof(*pfd));
	size_t left = d->count;
	int quiet = 0;

	surrogate_log("the tree is dead");
	held_stay(d);
	for (size_t i = 0; i < d->count; i++) {
		struct served *sv = &d->served[i];

		sv->engine.phase = ENGINE_DYING;
		if (sv->held)
			left -= held_leave(sv);
		else if (!d->snap->own_mnt_ns)
			unmount_all(sv);
	}
	while (pfd && left && quiet < BURY_MS) {
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
	surrogate_log("%zu connections outlived the tree", left);
}

void dump_watch(struct dump *d)
{
	bool tracer_gone;
	int pidfd, runs = 0;

	if (!d->p->frozen)
		return;	/* CRIU never got that far: the daemon never stood still */
	pidfd = pidfd_open(d->s->criu, 0);
	for (;;) {
		struct pollfd pfd = { .fd = pidfd, .events = POLLIN };

		tracer_gone = pidfd < 0 || (poll(&pfd, 1, 0) > 0 && pfd.revents);
		if (each_daemon(d, dead, false, false)) {
			bury(d);
			break;
		}
		/*
		 * Seen twice: a task may die, and be let go of, between the two
		 * questions; and it says nothing of a SIGKILL at the very moment
		 * at which it takes note of it.
		 */
		runs = each_daemon(d, task_runs, tracer_gone, true) ? runs + 1 : 0;
		if (runs == 2) {
			surrogate_log("the tree runs again");
			break;
		}
		poll(NULL, 0, LOOK_MS);
	}
	if (pidfd >= 0)
		close(pidfd);
}
