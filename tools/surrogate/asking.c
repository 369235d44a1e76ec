// SPDX-License-Identifier: GPL-2.0
#include <poll.h>

#include <linux/fusecr.h>

#include "asking.h"

/* From sending a request to sleeping on it is a few instructions. */
#define WAITER_TRIES	100

struct search {
	struct served *sv;
	uint64_t unique;	/* 0: any that nobody has read yet */
	bool found, waits, is_criu;
};

static int find_asker(const FuseRequestEntry *req, void *arg)
{
	struct search *a = arg;
	uint32_t pid = req->has_waiter ? req->waiter : a->sv->same_pid_ns ? req->pid : 0;

	if (a->unique ? req->unique != a->unique : req->state != FUSECR_REQ_PENDING)
		return 0;
	a->found = true;
	a->waits = pid != 0;
	a->is_criu = a->is_criu || asker_is_criu(&a->sv->asker, pid);
	/* To the end: a walk that is broken off costs a new socket. */
	return 0;
}

/*
 * A request that CRIU itself makes: it makes none before the whole tree stands.
 * The tasks' own states do not tell, because CRIU runs code of its own in them.
 */
bool criu_asks(const struct dump *d, struct served *sv)
{
	struct search a = { .sv = sv };

	if (d->nl)
		nl_requests(d->nl, sv->conn_id, find_asker, &a);
	return a.is_criu;
}

bool criu_asks_any(const struct dump *d)
{
	for (size_t i = 0; i < d->count; i++)
		if (criu_asks(d, &d->served[i]))
			return true;
	return false;
}

/* From outside the connection's pid namespace the pid is 0: look who waits. */
bool from_criu(uint32_t pid, uint64_t unique, void *arg)
{
	struct served *sv = arg;

	if (sv->same_pid_ns)
		return asker_is_criu(&sv->asker, pid);
	/* Nor when the module does not answer any more, see take_over(). */
	if (pid || !sv->nl)
		return false;
	for (int tries = 0; tries < WAITER_TRIES; tries++) {
		struct search a = { .sv = sv, .unique = unique };

		nl_requests(sv->nl, sv->conn_id, find_asker, &a);
		if (!a.found || a.waits)
			return a.is_criu;
		poll(NULL, 0, 1);	/* sent, but not asleep yet */
	}
	return false;
}
