// SPDX-License-Identifier: GPL-2.0
/*
 * It is we who serve these mounts now, and a path over one of them waits for
 * us: only those are unmounted by path that lie on no other; the rest goes with
 * what it lies on.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "mounts.h"
#include "surrogate.h"
#include "unmount.h"

struct found {
	uint32_t mnt_id, parent;
	char *path;
};

struct list {
	struct found *items;
	size_t count;
};

static int add(const FuseMountEntry *m, const char *fstype, const char *source, void *arg)
{
	struct list *l = arg;
	struct found *items = reallocarray(l->items, l->count + 1, sizeof(*items));

	(void)fstype;
	(void)source;
	if (!items)
		return -ENOMEM;
	l->items = items;
	items[l->count].mnt_id = m->mnt_id;
	items[l->count].parent = m->parent_mnt_id;
	items[l->count].path = strndup((const char *)m->mountpoint.data, m->mountpoint.len);
	if (!items[l->count].path)
		return -ENOMEM;
	l->count++;
	return 0;
}

static bool lies_on_other(const struct list *l, const struct found *f)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->items[i].mnt_id == f->parent)
			return true;
	return false;
}

/* True when something is gone: what was hidden is to be seen now. */
static bool unmount_some(const uint32_t *devs, size_t count)
{
	struct list l = { 0 };
	bool some = false;

	for (size_t i = 0; i < count; i++)
		if (devs[i])
			mounts_of(getpid(), devs[i], add, &l);
	for (size_t i = l.count; i--;) {
		if (lies_on_other(&l, &l.items[i]))
			continue;
		if (umount2(l.items[i].path, MNT_DETACH | UMOUNT_NOFOLLOW))
			surrogate_log("umount %s: %s", l.items[i].path, strerror(errno));
		else
			some = true;
	}
	for (size_t i = 0; i < l.count; i++)
		free(l.items[i].path);
	free(l.items);
	return some;
}

void unmount_all(const uint32_t *devs, size_t count)
{
	while (unmount_some(devs, count))
		;
}
