// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <linux/fusecr_ioctl.h>

#include "calm.h"
#include "dump.h"
#include "handle.h"
#include "outsiders.h"
#include "text.h"

/* How long the daemons may take to answer what they have been asked, */
#define DRAIN_MS	2000
/* and how long it may take altogether, with what they keep taken from them. */
#define CALM_MS		10000
/* How often to look for new threads of those who use the mounts. */
#define LOOK_MS		50

int exempt_find(struct dump *d)
{
	/* What it forks has files of the mounts until it has closed them. */
	int err = exempt_add(&d->exempt, -d->s->criu);

	if (!err)
		err = exempt_add(&d->exempt, d->guard);
	for (size_t i = 0; i < d->snap->count; i++) {
		const struct message_list *devs = &d->snap->conns[i].devs;

		for (size_t k = 0; !err && k < devs->count; k++)
			err = exempt_add(&d->exempt, ((FuseDevEntry *)devs->items[k])->pid);
	}
	if (err)
		report_add(&d->s->report, "more than %d processes serve the tree's FUSE connections", FUSECR_EXEMPT_MAX - 3);
	return err;
}

static int cannot_rest(const struct dump *d, const struct served *sv, int err)
{
	report_add(&d->s->report, "connection %u:%u: its clients cannot be brought to rest: %s",
		   major(sv->dev), minor(sv->dev),
		   err == -ENOENT ? "somebody has opened the gate" :
		   err == -EUSERS ? "more than 64 connections of this host are at rest; end other checkpoints, or try again" :
		   strerror(-err));
	return err;
}

/* How many threads were held anew, or -errno. */
static int hold_users(const struct dump *d, const struct exempt *exempt)
{
	int anew = 0;

	for (size_t i = 0; i < d->count; i++) {
		const struct served *sv = &d->served[i];
		int n = sv->held ? 0 : gate_hold_users(d->nl, sv->handle, sv->conn_id, exempt);

		if (n < 0)
			return cannot_rest(d, sv, n);
		anew += n;
	}
	return anew;
}

/* Whether one is drained, within @ms. */
static bool is_drained(const struct served *sv, int64_t ms)
{
	struct pollfd pfd = { .fd = sv->handle, .events = POLLIN };

	return poll(&pfd, 1, ms > 0 ? ms : 0) == 1;
}

/*
 * Whether all are drained, within @ms, and at once: the daemon of one may use
 * another, as long as it has something to do.
 */
static bool drained(const struct dump *d, int ms)
{
	int64_t end = surrogate_now_ms() + ms;
	bool waited;

	do {
		waited = false;
		for (size_t i = 0; i < d->count; i++) {
			if (d->served[i].held || is_drained(&d->served[i], 0))
				continue;
			if (!is_drained(&d->served[i], end - surrogate_now_ms()))
				return false;
			waited = true;
		}
	} while (waited && surrogate_now_ms() < end);
	return !waited;
}

/* Of what is not answered in time, whatever can start over does. */
static int take_all(struct dump *d)
{
	for (size_t i = 0; i < d->count; i++) {
		const struct served *sv = &d->served[i];
		int n = sv->held ? 0 : handle_take(sv->handle);

		if (n < 0) {
			report_add(&d->s->report, "connection %u:%u: what its daemon keeps could not be taken over: %s",
				   major(sv->dev), minor(sv->dev), strerror(-n));
			return n;
		}
		if (n)
			surrogate_log("connection %u:%u: %d requests are kept by its daemon",
				      major(sv->dev), minor(sv->dev), n);
	}
	return 0;
}

/* Why the drain does not end, for whoever has to do something about it. */
static void object(struct dump *d)
{
	struct report *r = &d->s->report;
	struct fusecr_gate_status status;

	for (size_t i = 0; i < d->count; i++) {
		const struct served *sv = &d->served[i];

		if (sv->held || handle_gate_status(sv->handle, &status))
			continue;
		surrogate_log("connection %u:%u: %u held, %u coming, %u asleep, %u requests, %u in the background",
			      major(sv->dev), minor(sv->dev), status.held, status.coming,
			      status.asleep, status.requests, status.background);
		if (status.coming && !status.requests && !status.background)
			report_add(r, "connection %u:%u: %u threads that use it do not come to rest; try again",
				   major(sv->dev), minor(sv->dev), status.coming);
	}
}

/*
 * Nobody makes anything dirty now: after this nothing is, or what the daemon does
 * not answer is found on its list.  Some kernels do not wait for the answers.
 */
static int sync_all(struct dump *d, int64_t end)
{
	for (size_t i = 0; i < d->count; i++) {
		const struct served *sv = &d->served[i];
		int64_t left = end - surrogate_now_ms();
		int err = sv->held ? 0 : handle_sync(sv->handle, left > 1000 ? left / 1000 : 1);

		if (err == -ETIMEDOUT)
			return 0;
		if (err) {
			report_add(&d->s->report, "connection %u:%u: its dirty data could not be written to the daemon: %s",
				   major(sv->dev), minor(sv->dev), strerror(-err));
			return err;
		}
	}
	drained(d, end - surrogate_now_ms());
	return 0;
}

/* For the log: what it took to bring them to rest. */
static void tell_events(const struct dump *d)
{
	struct fusecr_gate_status s;

	for (size_t i = 0; i < d->count; i++) {
		const struct served *sv = &d->served[i];

		if (sv->held || handle_gate_status(sv->handle, &s))
			continue;
		surrogate_log("connection %u:%u: %" PRIu64 " threads held, %" PRIu64 " requests passed, %" PRIu64 " ended, %" PRIu64 " taken",
			      major(sv->dev), minor(sv->dev), (uint64_t)s.ever_held,
			      (uint64_t)s.passed, (uint64_t)s.ended, (uint64_t)s.taken);
	}
}

static int close_all(struct dump *d, const struct exempt *exempt)
{
	for (size_t i = 0; i < d->count; i++) {
		const struct served *sv = &d->served[i];
		int err = sv->held ? 0 : handle_gate_close(sv->handle, OUTSIDERS_GATE_S, exempt->pid, exempt->count);

		if (err)
			return cannot_rest(d, sv, err);
	}
	return 0;
}

int calm(struct dump *d)
{
	int64_t begin = surrogate_now_ms(), end = begin + CALM_MS;
	int err = close_all(d, &d->exempt);
	bool calm_now = false;

	while (!err && surrogate_now_ms() < end) {
		int anew = hold_users(d, &d->exempt);

		if (anew < 0)
			return anew;
		/* Twice: who is new now was not at rest when the others were. */
		if (calm_now && !anew) {
			surrogate_log("the clients came to rest in %ld ms", (long)(surrogate_now_ms() - begin));
			text_make_own(d, end);
			/* A daemon may write what it is given into another's mount. */
			for (size_t i = 0; !err && i < d->count && (!i || surrogate_now_ms() < end); i++)
				err = sync_all(d, end);
			tell_events(d);
			return err;
		}
		calm_now = drained(d, LOOK_MS);
		if (!calm_now && surrogate_now_ms() > begin + DRAIN_MS)
			err = take_all(d);
	}
	if (!err)
		object(d);
	return err;
}
