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
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cleanup.h"
#include "mounts.h"
#include "nl.h"
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

static int exists(const FuseConnEntry *c, void *arg)
{
	(void)c;
	(void)arg;
	return 0;
}

static bool has(const struct message_list *l, uint32_t mnt_id)
{
	for (size_t i = 0; i < l->count; i++)
		if (((FuseMountEntry *)l->items[i])->mnt_id == mnt_id)
			return true;
	return false;
}

/* Which of them that is, as long as the kernel knows it: its number is nobody else's then. */
static bool is_theirs(struct nl *nl, const struct unmount *list, size_t count, int fd)
{
	struct statx st;

	/*
	 * Nobody is asked, and the device can be had by those whom the mount does not let in
	 * as long as they want no more (fuse_getattr(), fs/fuse/dir.c, since 5.2).
	 */
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, 0, &st))
		return false;
	for (size_t i = 0; i < count; i++)
		if (list[i].dev && list[i].dev == makedev(st.stx_dev_major, st.stx_dev_minor))
			return !nl_conn(nl, list[i].conn_id, exists, NULL);
	return false;
}

/* Or what lies over it, at the same path: that is one of them, too. */
static bool unmount_one(struct nl *nl, const struct unmount *list, size_t count,
			const struct message_list *l, const FuseMountEntry *m)
{
	char path[4096], link[64];
	int fd cleanup(close_auto) = -1;

	snprintf(path, sizeof(path), "%.*s", (int)m->mountpoint.len, m->mountpoint.data);
	fd = straight_open(AT_FDCWD, path, O_PATH);
	if (fd < 0) {
		surrogate_log("umount %s: %s", path, strerror(-fd));
		return false;
	}
	/* What is open stays what it is. */
	if (!has(l, straight_mount(fd)) || !is_theirs(nl, list, count, fd)) {
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
static bool unmount_some(struct nl *nl, const struct unmount *list, size_t count)
{
	struct message_list l = { 0 };
	bool some = false;

	for (size_t i = 0; i < count; i++)
		if (list[i].dev)
			mounts_of(getpid(), list[i].dev, add, &l);
	for (size_t i = l.count; i--;) {
		const FuseMountEntry *m = (const FuseMountEntry *)l.items[i];

		if (!has(&l, m->parent_mnt_id) && unmount_one(nl, list, count, &l, m))
			some = true;
	}
	message_list_free(&l);
	return some;
}

void unmount_all(const struct unmount *list, size_t count)
{
	struct nl *nl;

	if (nl_open(&nl)) {
		surrogate_log("the module does not answer: nothing is unmounted");
		return;
	}
	while (unmount_some(nl, list, count))
		;
	nl_close(nl);
}
