// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "handle.h"
#include "held.h"
#include "holder.h"

int held_prepare(struct dump *d)
{
	bool held = false;

	for (size_t i = 0; i < d->count; i++)
		held = held || d->served[i].held;
	return held && pipe2(d->cord, O_CLOEXEC) ? -errno : 0;
}

void held_start(struct dump *d, struct report *r)
{
	int err;

	if (d->cord[0] < 0 || r->count)
		return;
	err = holder_start(d->snap, d->cord);
	if (err)
		report_add(r, "the connections cannot be held for the clients outside: %s", strerror(-err));
	else
		surrogate_log("process %d holds the devices", d->snap->holder.pid);
}

void held_forget(uint64_t nodeid, uint64_t nlookup, void *arg)
{
	struct served *sv = arg;
	int err = handle_forget(sv->handle, nodeid, nlookup);

	sv->forgets++;
	if (err)
		surrogate_log("connection %u:%u: node %#lx: %lu lookups not forgotten: %s",
			      major(sv->dev), minor(sv->dev), (unsigned long)nodeid,
			      (unsigned long)nlookup, strerror(-err));
}

void held_stay(const struct dump *d)
{
	int err = d->cord[0] >= 0 && d->p->valid ? holder_stay(d->cord) : 0;

	if (err)
		surrogate_log("process %d does not hold the devices any more: %s", d->snap->holder.pid,
			      strerror(-err));
}

void held_leave(struct served *sv)
{
	close(sv->devfd);
	sv->devfd = -1;
}
