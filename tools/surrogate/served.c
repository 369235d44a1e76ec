// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/fuse.h>
#include <linux/fusecr.h>

#include "asking.h"
#include "deleted.h"
#include "handle.h"
#include "held.h"
#include "outsiders.h"
#include "proc.h"
#include "served.h"
#include "settle.h"

static int clone_device(struct served *sv, const struct snapshot_conn *sc)
{
	const FuseDevEntry *dev;
	int theirs, err = 0;
	uint32_t fd32;

	/* Its daemon may have closed it since. */
	if (!sc->devs.count)
		return -ENODEV;
	dev = (const FuseDevEntry *)sc->devs.items[0];
	theirs = proc_take_fd(dev->pid, dev->fd);
	if (theirs < 0)
		return theirs;
	sv->devfd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	fd32 = theirs;
	if (sv->devfd < 0 || ioctl(sv->devfd, FUSE_DEV_IOC_CLONE, &fd32) < 0)
		err = -errno;
	close(theirs);
	return err;
}

static int take_conn(struct dump *d, struct served *sv, const struct snapshot_conn *sc)
{
	int err;

	sv->devfd = sv->handle = -1;
	sv->conn_id = sc->conn->id;
	sv->id = sc->id;
	sv->dev = sc->conn->dev;
	asker_init(&sv->asker, d->s->criu, false);
	sv->same_pid_ns = sc->conn->pid_ns == proc_own_ns("pid");
	sv->allow_other = sc->conn->allow_other;
	sv->held = sc->held;
	sv->own_users = sc->conn->user_ns != PROC_INIT_USER_NS;
	err = engine_init(&sv->engine, ENGINE_DUMP, sc->conn->max_write,
			  &d->p->conn[sv - d->served].handles);
	if (err)
		return err;
	sv->engine.ours = from_criu;
	sv->engine.forget = sv->held || d->s->pre_dump ? held_forget : NULL;
	sv->engine.arg = sv;
	return clone_device(sv, sc);
}

static int cannot_stand_in(struct dump *d, const struct served *sv, int err)
{
	report_add(&d->s->report, "connection %u:%u: the surrogate cannot stand in for its daemon: %s",
		   major(sv->dev), minor(sv->dev), strerror(-err));
	return err;
}

int served_take_all(struct dump *d)
{
	d->served = calloc(d->snap->count, sizeof(*d->served));
	d->p = progress_new(d->snap->count);
	if (!d->served || !d->p)
		return -ENOMEM;
	for (size_t i = 0; i < d->snap->count; i++) {
		int err;

		d->count++;
		err = take_conn(d, &d->served[i], &d->snap->conns[i]);
		if (err)
			return cannot_stand_in(d, &d->served[i], err);
	}
	return 0;
}

static int own_conn(struct dump *d, struct served *sv)
{
	sv->nl = d->nl;
	sv->handle = handle_open(sv->conn_id);
	if (sv->handle < 0)
		return sv->handle;
	return sv->allow_other || sv->held ? 0 : handle_admit(sv->handle, true);
}

void served_disown(struct served *sv)
{
	if (sv->handle >= 0)
		close(sv->handle);
	sv->handle = -1;
}

int served_own_all(struct dump *d)
{
	for (size_t i = 0; i < d->count; i++) {
		int err = own_conn(d, &d->served[i]);

		if (err)
			return cannot_stand_in(d, &d->served[i], err);
	}
	return 0;
}

int served_number_users(const struct served *sv, pid_t pid)
{
	const struct fusecr_set_conn set = { .mask = FUSECR_SET_USER_NS, .pid = pid };

	return sv->own_users && !sv->held ? handle_set_conn(sv->handle, &set) : 0;
}

/* What is to be put back, from what was saved. */
static int load_again(struct dump *d, struct served *sv)
{
	int err = 0;

	if (d->p->conn[sv - d->served].answered && !sv->model)
		err = model_load(&sv->model, d->s->dirfd, sv->id, NULL);
	sv->engine.model = sv->model;
	return err;
}

int served_take_over(struct dump *d, size_t i)
{
	struct served *sv = &d->served[i];
	unsigned int tries = 0;
	int err;

	do {
		err = own_conn(d, sv);
	} while (guard_try_again(err, &tries));
	if (!err && !d->p->conn[i].settled)
		err = load_again(d, sv);
	/* What was read and not answered is read again. */
	if (sv->handle >= 0)
		handle_requeue(sv->handle, sv->devfd, 0);
	if (d->p->conn[i].settled)
		served_disown(sv);
	return err;
}

static void forget_settled(uint64_t nodeid, uint64_t nlookup, void *arg)
{
	const struct served *sv = arg;

	settle_forget(sv->handle, sv->model, nodeid, nlookup);
}

/* Names that were given to what is deleted go with the handle. */
static int put_back(struct dump *d, struct served *sv, struct report *r)
{
	int err;

	if (!d->nl)
		return -ENOTCONN;
	deleted_forget(sv);
	err = settle_lookups(d->nl, sv->handle, sv->conn_id, sv->model, false, r);
	sv->engine.forget = forget_settled;
	err = err ?: engine_drain(&sv->engine, sv->devfd);
	err = err ?: served_number_users(sv, 0);
	return err ?: handle_commit(sv->handle, false);
}

static void retrieve_again(const struct dump *d, struct served *sv)
{
	size_t count = sv->engine.retrieves.count, failed;

	/* As somebody who has a number in the connection's user namespace. */
	if (sv->own_users) {
		setfsgid(d->snap->ns_root_gid);
		setfsuid(d->snap->ns_root_uid);
	}
	failed = retrieves_repeat(&sv->engine.retrieves, sv->devfd);
	setfsuid(geteuid());
	setfsgid(getegid());
	surrogate_log("%zu answers that the daemon waits for are asked for again, %zu cannot be had",
		      count, failed);
}

void served_step_aside(struct dump *d)
{
	struct report r = { 0 };

	for (size_t i = 0; i < d->count; i++) {
		struct served *sv = &d->served[i];
		int err;

		if (d->p->conn[i].settled)
			continue;
		err = load_again(d, sv);
		if (!err && sv->model)
			err = put_back(d, sv, &r);
		else if (!err && sv->forgets)
			err = handle_commit(sv->handle, false);
		d->p->conn[i].settled = !err;
		if (err)
			report_add(&r, "lookup counts of connection %u:%u could not be put back: %s",
				   major(sv->dev), minor(sv->dev), strerror(-err));
		if (sv->engine.nr_interrupted)
			outsiders_interrupt(d, sv);
		if (sv->engine.held) {
			err = handle_requeue(sv->handle, sv->devfd, 0);
			surrogate_log("%zu requests left for the daemon, %d put back", sv->engine.held, err);
		}
		if (sv->forgets)
			surrogate_log("%zu nodes are forgotten again", sv->forgets);
		/* Last: nothing is read after it but by the daemon. */
		if (sv->engine.retrieves.count)
			retrieve_again(d, sv);
		served_disown(sv);
	}
	/* The tree goes on, but somebody is to know. */
	for (size_t i = 0; i < r.count; i++)
		surrogate_warn(d->s, "%s", r.lines[i]);
	report_clear(&r);
}
