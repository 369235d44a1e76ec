// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/fuse.h>
#include <linux/fusecr_ioctl.h>

#include "deleted.h"
#include "handle.h"
#include "names.h"
#include "nl.h"
#include "sent.h"

/* For a name and what is put behind it. */
#define NAME_ROOM 4200
/* How long names may take that nobody is in the way of. */
#define FORGET_MS 1000

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

struct naming {
	struct dump *d;
	const struct served *sv;
};

/* gcc 12 does not see that the list has what is put into it. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
static int add_rename(struct snapshot_renames *renames, const FuseFileEntry *f)
{
	struct snapshot_rename *re, *grown;
	size_t len;
	const char *name = snapshot_last_name(f, &len);

	grown = reallocarray(renames->list, renames->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	renames->list = grown;
	re = &grown[renames->count];
	*re = (struct snapshot_rename){ .conn_id = f->conn_id, .nodeid = f->nodeid };
	re->old = strndup(name, len);
	if (!re->old)
		return -ENOMEM;
	snprintf(re->now, sizeof(re->now), "#fusecr-%zu", renames->count++);
	return 0;
}
#pragma GCC diagnostic pop

/* It needs no name any more. */
static bool is_gone(int err)
{
	return err == -ESRCH || err == -EBADF || err == -ESTALE;
}

/* A duplicate has its name already. */
static int name_file(const FuseFileEntry *f, void *arg)
{
	struct naming *n = arg;
	struct snapshot_renames *renames = &n->d->renames;
	struct fusecr_unlink which = {
		.pid = f->pid, .use = f->use, .number = f->number, .nodeid = f->nodeid,
	};
	const struct snapshot_rename *re;
	size_t len;
	int err;

	/* For CRIU a socket has the name that it was bound to. */
	if (!(f->flags & FUSECR_FF_UNLINKED) || f->use == FUSECR_FILE_SOCKET ||
	    sent_is_lost(f) || snapshot_renamed(renames, f) ||
	    !snapshot_last_name(f, &len))
		return 0;
	err = add_rename(renames, f);
	if (err)
		return err;
	re = &renames->list[renames->count - 1];
	which.name = (uintptr_t)re->now;
	which.name_len = strlen(re->now);
	err = handle_unlink(n->sv->handle, &which, NULL);
	if (is_gone(err))
		return 0;
	if (err)
		report_add(&n->d->s->report, "process %u %s %lu: a deleted file could not be given a name: %s",
			   f->pid, file_use_name(f->use), (unsigned long)f->number, strerror(-err));
	return err;
}

int deleted_prepare(struct dump *d)
{
	int err = 0;

	for (size_t i = 0; !err && i < d->count; i++) {
		struct served *sv = &d->served[i];
		struct naming n = { d, sv };

		if (sv->held)
			continue;
		err = nl_inodes(d->nl, sv->conn_id, expire, sv);
		err = err ?: nl_files(d->nl, sv->conn_id, 0, name_file, &n);
	}
	return err;
}

void deleted_free(struct dump *d)
{
	for (size_t i = 0; i < d->renames.count; i++)
		free(d->renames.list[i].old);
	free(d->renames.list);
}

static void forget_name(const struct served *sv, const FuseNameEntry *e)
{
	struct fuse_notify_inval_entry_out out = {
		.parent = e->parent,
		.namelen = e->name.len + strlen(MODEL_DELETED),
	};
	char name[NAME_ROOM];

	if (!e->has_unhashed || !e->unhashed || out.namelen >= sizeof(name))
		return;
	snprintf(name, sizeof(name), "%.*s%s", (int)e->name.len, (const char *)e->name.data,
		 MODEL_DELETED);
	notify(sv, FUSE_NOTIFY_INVAL_ENTRY, &out, sizeof(out), name, out.namelen + 1);
}

static size_t forget_names(const struct served *sv, void (*forget)(const struct served *sv, const FuseNameEntry *e))
{
	const struct message_list *files = model_files(sv->model);
	size_t count = 0;

	for (size_t i = 0; i < files->count; i++) {
		const FuseFileEntry *f = (const FuseFileEntry *)files->items[i];
		const FuseInodeEntry *inode = NULL;

		if (f->flags & FUSECR_FF_UNLINKED)
			inode = model_inode(sv->model, f->nodeid);
		for (size_t k = 0; inode && k < inode->n_name; k++, count++)
			if (forget)
				forget(sv, inode->name[k]);
	}
	return count;
}

/* Has nothing that others wait for the end of: handles, sockets, other devices. */
static void forget_alone(const struct served *sv)
{
	struct served alone = *sv;

	alone.devfd = 3;
	if (sv->devfd != 3 && dup2(sv->devfd, 3) < 0)
		_exit(1);
	close_range(4, ~0U, 0);
	forget_names(&alone, forget_name);
	_exit(0);
}

void deleted_forget(const struct served *sv)
{
	struct pollfd pfd = { .events = POLLIN };
	pid_t pid = forget_names(sv, NULL) ? fork() : -1;

	if (!pid)
		forget_alone(sv);
	if (pid < 0)
		return;
	pfd.fd = pidfd_open(pid, 0);
	if (pfd.fd < 0 || poll(&pfd, 1, FORGET_MS) > 0)
		waitpid(pid, NULL, 0);
	else
		surrogate_log("connection %u:%u: process %d waits for who is in a directory", major(sv->dev),
			      minor(sv->dev), pid);
	if (pfd.fd >= 0)
		close(pfd.fd);
}
