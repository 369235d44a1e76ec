// SPDX-License-Identifier: GPL-2.0
#include <sys/sysmacros.h>

#include "named.h"

static int dev_of_fd(const FuseDevEntry *dev, void *arg)
{
	FuseDevEntry *found = arg;

	if (dev->fd == found->fd) {
		found->cookie = dev->cookie;
		found->conn_id = dev->conn_id;
		found->conn_dev = dev->conn_dev;
		found->file_flags = dev->file_flags;
		return 1;
	}
	return 0;
}

/* Gives all entries of the device CRIU's id.  False when there is none. */
static bool name(struct dump *d, uint64_t cookie, uint32_t criu_id)
{
	bool found = false;

	for (size_t i = 0; i < d->snap->count; i++) {
		struct message_list *devs = &d->snap->conns[i].devs;

		for (size_t k = 0; k < devs->count; k++) {
			FuseDevEntry *dev = (FuseDevEntry *)devs->items[k];

			if (dev->cookie == cookie) {
				dev->has_criu_id = 1;
				dev->criu_id = criu_id;
				found = true;
			}
		}
	}
	return found;
}

bool named_device(struct dump *d, int fd, uint32_t criu_id)
{
	FuseDevEntry found = FUSE_DEV_ENTRY__INIT;

	found.fd = fd;
	if (!d->nl || nl_devs(d->nl, 0, d->s->criu, dev_of_fd, &found) <= 0)
		return false;
	/* One without a connection was refused when the tree was looked at. */
	if (!name(d, found.cookie, criu_id))
		report_add(&d->s->report, "connection %u:%u: one of its /dev/fuse is in a message between processes (SCM_RIGHTS), and no process has it; receive it first",
			   major(found.conn_dev), minor(found.conn_dev));
	return true;
}

bool named_all(const struct dump *d)
{
	for (size_t i = 0; i < d->snap->count; i++) {
		const struct message_list *devs = &d->snap->conns[i].devs;

		for (size_t k = 0; k < devs->count; k++)
			if (!((FuseDevEntry *)devs->items[k])->has_criu_id)
				return false;
	}
	return true;
}
