// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "handle.h"
#include "holder.h"
#include "proc.h"

/* Killed, and asleep: it is gone at once. */
#define END_MS 10000

struct devices {
	int *fds;
	uint64_t *cookies;
	size_t count;
};

static bool has(const struct devices *d, uint64_t cookie)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->cookies[i] == cookie)
			return true;
	return false;
}

static int take(struct devices *d, const FuseDevEntry *dev)
{
	uint64_t *cookies;
	int *fds, fd;

	if (has(d, dev->cookie))
		return 0;
	fds = reallocarray(d->fds, d->count + 1, sizeof(*fds));
	if (fds)
		d->fds = fds;
	cookies = reallocarray(d->cookies, d->count + 1, sizeof(*cookies));
	if (cookies)
		d->cookies = cookies;
	if (!fds || !cookies)
		return -ENOMEM;
	fd = proc_take_fd(dev->pid, dev->fd);
	if (fd < 0)
		return fd;
	fds[d->count] = fd;
	cookies[d->count++] = dev->cookie;
	return 0;
}

static int take_all(struct devices *d, const struct snapshot *snap)
{
	int err = 0;

	for (size_t i = 0; i < snap->count; i++) {
		const struct message_list *devs = &snap->conns[i].devs;

		for (size_t k = 0; snap->conns[i].held && !err && k < devs->count; k++)
			err = take(d, (const FuseDevEntry *)devs->items[k]);
	}
	return err;
}

static void let_go(struct devices *d)
{
	for (size_t i = 0; i < d->count; i++)
		close(d->fds[i]);
	free(d->fds);
	free(d->cookies);
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Nothing that is open here may be in the way of anybody: images, sockets, mounts. */
static void close_others(const struct devices *d, int cord, int module)
{
	size_t count = d->count + 2;
	int *keep = calloc(count, sizeof(*keep)), from = STDERR_FILENO + 1;

	if (!keep)
		_exit(1);
	for (size_t i = 0; i < d->count; i++)
		keep[i] = d->fds[i];
	keep[d->count] = cord;
	keep[d->count + 1] = module;
	qsort(keep, count, sizeof(*keep), by_number);
	for (size_t i = 0; i < count; i++) {
		if (keep[i] > from)
			close_range(from, keep[i] - 1, 0);
		from = keep[i] + 1;
	}
	close_range(from, ~0U, 0);
	free(keep);
}

/* An aborted or unmounted connection is an error on each of its devices. */
static void await_abort(const struct devices *d)
{
	struct pollfd *pfd = calloc(d->count ?: 1, sizeof(*pfd));
	size_t left = pfd ? d->count : 0;

	for (size_t i = 0; i < left; i++)
		pfd[i].fd = d->fds[i];
	while (left) {
		poll(pfd, d->count, -1);
		for (size_t i = 0; i < d->count; i++) {
			if (pfd[i].fd < 0 || !pfd[i].revents)
				continue;
			close(pfd[i].fd);
			pfd[i].fd = -1;
			left--;
		}
	}
	free(pfd);
}

static void hold(const struct devices *d, int cord, int module)
{
	char byte;

	close_others(d, cord, module);
	prctl(PR_SET_NAME, HOLDER_NAME);
	if (chdir("/") || read(cord, &byte, 1) != 1)
		_exit(0);
	close(cord);
	await_abort(d);
	_exit(0);
}

int holder_start(struct snapshot *snap, const int cord[2])
{
	/* What the cookies are made with has to stay, and that is the module's. */
	int module = handle_new(), err;
	struct devices d = { 0 };
	pid_t pid;

	if (module < 0)
		return module;
	err = take_all(&d, snap);
	pid = err ? -1 : fork();
	if (!pid)
		hold(&d, cord[0], module);
	if (!err && pid < 0)
		err = -errno;
	if (!err)
		snap->holder = (struct snapshot_holder){ pid, proc_start(pid) };
	let_go(&d);
	close(module);
	return err;
}

int holder_stay(const int cord[2])
{
	return write(cord[1], "", 1) == 1 ? 0 : -errno;
}

int holder_find(struct holder *h, const FusecrInventoryEntry *inv, struct report *r)
{
	char boot_id[PROC_BOOT_ID_SIZE], state;

	*h = (struct holder){ inv->holder_pid, -1 };
	proc_boot_id(boot_id);
	if (!*boot_id || !inv->holder_boot_id || strcmp(boot_id, inv->holder_boot_id)) {
		report_add(r, "the images have a connection that was held, in another kernel: it did not survive a reboot, nor does it come to another host");
		return -ESTALE;
	}
	/* Before the look, so that both are about the same process. */
	h->pidfd = pidfd_open(h->pid, 0);
	state = h->pidfd < 0 ? 0 : proc_state(h->pid);
	if (state && state != 'Z' && state != 'X' && proc_start(h->pid) == inv->holder_start)
		return 0;
	report_add(r, "process %d, which held a connection for this tree, is no more: the tree was restored before, or went on after the dump, or that process was ended and its clients given up",
		   h->pid);
	return -ESRCH;
}

struct find {
	uint64_t cookie;
	int fd;
};

static int find_device(const FuseDevEntry *dev, void *arg)
{
	struct find *f = arg;

	if (dev->cookie != f->cookie || !dev->connected)
		return 0;
	f->fd = dev->fd;
	return 1;
}

int holder_fetch(const struct holder *h, struct nl *nl, uint64_t conn_id, uint64_t cookie)
{
	struct find f = { cookie, -1 };
	int err = nl_devs(nl, conn_id, h->pid, find_device, &f), fd;

	if (err <= 0)
		return err ?: -ENODEV;
	fd = pidfd_getfd(h->pidfd, f.fd, 0);
	return fd < 0 ? -errno : fd;
}

void holder_end(const struct holder *h)
{
	struct pollfd pfd = { .fd = h->pidfd, .events = POLLIN };

	if (!pidfd_send_signal(h->pidfd, SIGKILL, NULL, 0))
		poll(&pfd, 1, END_MS);
}
