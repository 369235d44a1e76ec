// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/fuse.h>

#include "handle.h"
#include "outsiders.h"
#include "proc.h"

/* In the unique id of an interrupt (FUSE_INT_REQ_BIT, fs/fuse/fuse_i.h). */
#define INTERRUPT_BIT	1

int outsiders_take(int handle, const struct engine *e, const char *label)
{
	int n = e->held ? handle_take(handle) : 0;

	if (n <= 0)
		return n == -ENOENT ? n : 0;
	surrogate_log("%s: %d requests from outside wait for the daemon alone", label, n);
	return 0;
}

static bool waits(const struct served *sv)
{
	return !sv->held && sv->handle >= 0 && sv->engine.held;
}

bool outsiders_wait(const struct dump *d)
{
	for (size_t i = 0; i < d->count; i++)
		if (waits(&d->served[i]))
			return true;
	return false;
}

void outsiders_rest(struct dump *d)
{
	char label[64];

	for (size_t i = 0; i < d->count; i++) {
		struct served *sv = &d->served[i];

		if (!waits(sv))
			continue;
		snprintf(label, sizeof(label), "connection %u:%u", major(sv->dev), minor(sv->dev));
		if (outsiders_take(sv->handle, &sv->engine, label) == -ENOENT)
			handle_gate_close(sv->handle, OUTSIDERS_GATE_S, d->exempt.pid, d->exempt.count);
	}
}

/*
 * As a daemon says it that is not ready for an interrupt: then the kernel sends it
 * again.  By the device that has read the request, whichever that is.
 */
static size_t send_again(const struct engine *e, int devfd)
{
	size_t sent = 0;

	for (size_t i = 0; i < e->nr_interrupted; i++) {
		const struct fuse_out_header oh = {
			.len = sizeof(oh), .error = -EAGAIN, .unique = e->interrupted[i] | INTERRUPT_BIT,
		};

		/* ENOENT: another one has. */
		sent += write(devfd, &oh, sizeof(oh)) == sizeof(oh);
	}
	return sent;
}

void outsiders_interrupt(const struct dump *d, const struct served *sv)
{
	size_t sent = 0;

	for (size_t i = 0; i < d->snap->count; i++) {
		const struct message_list *devs = &d->snap->conns[i].devs;

		for (size_t k = 0; d->snap->conns[i].conn->id == sv->conn_id && k < devs->count; k++) {
			const FuseDevEntry *dev = (const FuseDevEntry *)devs->items[k];
			int fd = proc_take_fd(dev->pid, dev->fd);

			if (fd < 0)
				continue;
			sent += send_again(&sv->engine, fd);
			close(fd);
		}
	}
	surrogate_log("connection %u:%u: %zu interrupts were read, %zu are sent again", major(sv->dev),
		      minor(sv->dev), sv->engine.nr_interrupted, sent);
}
