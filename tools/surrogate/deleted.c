// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#include <linux/fuse.h>
#include <linux/fusecr.h>

#include "deleted.h"
#include "nl.h"

/* For a path and what is put behind it. */
#define PATH_ROOM 4200

/* Tells the kernel as a daemon does. */
static void notify(const struct served *sv, int32_t code, const void *arg, size_t size,
		   const char *name, size_t len)
{
	struct fuse_out_header oh = { .len = sizeof(oh) + size + len, .error = code };
	struct iovec iov[3] = {
		{ &oh, sizeof(oh) }, { (void *)arg, size }, { (void *)name, len },
	};

	/* ENOENT: it does not know what we speak of. */
	if (writev(sv->devfd, iov, len ? 3 : 2) < 0 && errno != ENOENT)
		surrogate_log("connection %u:%u: notification %d: %s", major(sv->dev), minor(sv->dev),
			      code, strerror(errno));
}

static int expire(const FuseInodeEntry *i, void *arg)
{
	const struct fuse_notify_inval_inode_out out = { .ino = i->nodeid, .off = -1 };

	if (!i->nlink)
		notify(arg, FUSE_NOTIFY_INVAL_INODE, &out, sizeof(out), NULL, 0);
	return 0;
}

int deleted_prepare(const struct dump *d)
{
	int err = 0;

	for (size_t i = 0; !err && i < d->count; i++)
		err = nl_inodes(d->nl, d->served[i].conn_id, expire, &d->served[i]);
	return err;
}

void deleted_forget(const struct served *sv)
{
	const struct message_list *files = sv->model ? model_files(sv->model) : NULL;

	for (size_t i = 0; files && i < files->count; i++) {
		const FuseFileEntry *f = (const FuseFileEntry *)files->items[i];
		struct fuse_notify_inval_entry_out out = { 0 };
		char path[PATH_ROOM];
		const char *name;

		if (!(f->flags & FUSECR_FF_UNLINKED) || f->path.len + sizeof(MODEL_DELETED) > sizeof(path))
			continue;
		out.parent = model_deleted_parent(sv->model, f);
		snprintf(path, sizeof(path), "%.*s%s", (int)f->path.len,
			 (const char *)f->path.data, MODEL_DELETED);
		name = strrchr(path, '/');
		if (!out.parent || !name++)
			continue;
		out.namelen = strlen(name);
		notify(sv, FUSE_NOTIFY_INVAL_ENTRY, &out, sizeof(out), name, out.namelen + 1);
	}
}
