// SPDX-License-Identifier: GPL-2.0
/*
 * It is we who serve these mounts now, and a path over one of them waits for
 * us: only those are unmounted by path that lie on no other; the rest goes with
 * what it lies on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "cleanup.h"
#include "mounts.h"
#include "snapshot.h"
#include "straight.h"
#include "surrogate.h"
#include "unmount.h"

static int add(const FuseMountEntry *m, const char *fstype, const char *source, void *arg)
{
	(void)fstype;
	(void)source;
	return message_list_add(arg, &m->base);
}

static bool has(const struct message_list *l, uint32_t mnt_id)
{
	for (size_t i = 0; i < l->count; i++)
		if (((FuseMountEntry *)l->items[i])->mnt_id == mnt_id)
			return true;
	return false;
}

/* Or what lies over it, at the same path: that is one of them, too. */
static bool unmount_one(const struct message_list *l, const FuseMountEntry *m)
{
	char path[4096], link[64];
	int fd cleanup(close_auto) = -1;

	snprintf(path, sizeof(path), "%.*s", (int)m->mountpoint.len, m->mountpoint.data);
	fd = straight_open(AT_FDCWD, path, O_PATH);
	if (fd < 0) {
		surrogate_log("umount %s: %s", path, strerror(-fd));
		return false;
	}
	if (!has(l, straight_mount(fd))) {
		surrogate_log("umount %s: something else is mounted there", path);
		return false;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (!umount2(link, MNT_DETACH))
		return true;
	surrogate_log("umount %s: %s", path, strerror(errno));
	return false;
}

/* True when something is gone: what was hidden is to be seen now. */
static bool unmount_some(const uint32_t *devs, size_t count)
{
	struct message_list l = { 0 };
	bool some = false;

	for (size_t i = 0; i < count; i++)
		if (devs[i])
			mounts_of(getpid(), devs[i], add, &l);
	for (size_t i = l.count; i--;) {
		const FuseMountEntry *m = (const FuseMountEntry *)l.items[i];

		if (!has(&l, m->parent_mnt_id) && unmount_one(&l, m))
			some = true;
	}
	message_list_free(&l);
	return some;
}

void unmount_all(const uint32_t *devs, size_t count)
{
	while (unmount_some(devs, count))
		;
}
