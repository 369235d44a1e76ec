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

struct naming {
	struct dump *d;
	const struct served *sv;
};

/* gcc 12 does not see that the list has what is put into it. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
static int add_rename(struct snapshot_renames *renames, uint64_t conn_id, uint64_t nodeid,
		      const char *name, size_t len)
{
	struct snapshot_rename *re, *grown;

	grown = reallocarray(renames->list, renames->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	renames->list = grown;
	re = &grown[renames->count];
	*re = (struct snapshot_rename){ .conn_id = conn_id, .nodeid = nodeid };
	re->old = strndup(name, len);
	if (!re->old)
		return -ENOMEM;
	snprintf(re->now, sizeof(re->now), "#fusecr-%zu", renames->count++);
	return 0;
}
#pragma GCC diagnostic pop

static int add_dead(struct snapshot_renames *renames, uint64_t conn_id, uint64_t nodeid)
{
	struct snapshot_node *grown = reallocarray(renames->dead, renames->nr_dead + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	renames->dead = grown;
	grown[renames->nr_dead++] = (struct snapshot_node){ conn_id, nodeid };
	return 0;
}

static int look_at_node(const FuseInodeEntry *i, void *arg)
{
	const struct fuse_notify_inval_inode_out out = { .ino = i->nodeid, .off = -1 };
	const struct naming *n = arg;

	if (!i->nlink)
		notify(n->sv, FUSE_NOTIFY_INVAL_INODE, &out, sizeof(out), NULL, 0);
	return i->flags & FUSECR_INODE_DEAD ? add_dead(&n->d->renames, n->sv->conn_id, i->nodeid) : 0;
}

/* It needs no name any more. */
static bool is_gone(int err)
{
	return err == -ESRCH || err == -EBADF || err == -ESTALE;
}

/* The file, or the directory above it, gets that name. */
static int give_name(const struct naming *n, const FuseFileEntry *f, const FuseAboveEntry *above,
		     const struct snapshot_rename *re)
{
	struct fusecr_unlink which = {
		.pid = f->pid, .use = f->use, .number = f->number, .nodeid = f->nodeid,
		.name = (uintptr_t)re->now, .name_len = strlen(re->now),
	};
	int err;

	if (above) {
		which.flags = FUSECR_UNLINK_ENTER;
		which.above = above->level;
		which.above_nodeid = above->nodeid;
	}
	err = handle_unlink(n->sv->handle, &which, NULL);

	if (is_gone(err))
		return 0;
	if (err)
		report_add(&n->d->s->report, "process %u %s %lu: what is deleted, %s, could not be given a name: %s",
			   f->pid, file_use_name(f->use), (unsigned long)f->number, re->old, strerror(-err));
	return err;
}

/* A duplicate has its name already. */
static int name_last(const struct naming *n, const FuseFileEntry *f)
{
	struct snapshot_renames *renames = &n->d->renames;
	const char *name;
	size_t len;
	int err;

	if (!(f->flags & FUSECR_FF_UNLINKED) || snapshot_renamed(renames, f))
		return 0;
	name = snapshot_last_name(f, &len);
	if (!name)
		return 0;
	err = add_rename(renames, f->conn_id, f->nodeid, name, len);
	return err ?: give_name(n, f, NULL, &renames->list[renames->count - 1]);
}

/* What has its name by another file may not be entered yet. */
static int name_above(const struct naming *n, const FuseFileEntry *f, const FuseAboveEntry *above)
{
	struct snapshot_renames *renames = &n->d->renames;
	const struct snapshot_rename *re = snapshot_renamed_above(renames, f, above);
	const char *name;
	size_t len;
	int err;

	if (re)
		return give_name(n, f, above, re);
	name = snapshot_name_above(f, above->level, &len);
	if (!name)
		return 0;
	err = add_rename(renames, f->conn_id, above->nodeid, name, len);
	return err ?: give_name(n, f, above, &renames->list[renames->count - 1]);
}

static int name_file(const FuseFileEntry *f, void *arg)
{
	const struct naming *n = arg;
	int err;

	/* For CRIU a socket has the name that it was bound to. */
	if (f->use == FUSECR_FILE_SOCKET || sent_is_lost(f))
		return 0;
	err = name_last(n, f);
	for (size_t i = 0; !err && i < f->n_above; i++)
		err = name_above(n, f, f->above[i]);
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
		err = nl_inodes(d->nl, sv->conn_id, look_at_node, &n);
		err = err ?: nl_files(d->nl, sv->conn_id, 0, name_file, &n);
	}
	return err;
}

void deleted_free(struct dump *d)
{
	for (size_t i = 0; i < d->renames.count; i++)
		free(d->renames.list[i].old);
	free(d->renames.list);
	free(d->renames.dead);
}

static void forget_name(const struct served *sv, const FuseNameEntry *e, const char *behind)
{
	struct fuse_notify_inval_entry_out out = {
		.parent = e->parent,
		.namelen = e->name.len + strlen(behind),
	};
	char name[NAME_ROOM];

	if (!e->has_unhashed || !e->unhashed || out.namelen >= sizeof(name))
		return;
	snprintf(name, sizeof(name), "%.*s%s", (int)e->name.len, (const char *)e->name.data, behind);
	notify(sv, FUSE_NOTIFY_INVAL_ENTRY, &out, sizeof(out), name, out.namelen + 1);
}

/* As CRIU has looked it up: what is deleted itself, or leads to it. How many names. */
static size_t forget_node(const struct served *sv, uint64_t nodeid, const char *behind, bool forget)
{
	const FuseInodeEntry *inode = model_inode(sv->model, nodeid);

	for (size_t k = 0; inode && forget && k < inode->n_name; k++)
		forget_name(sv, inode->name[k], behind);
	return inode ? inode->n_name : 0;
}

static size_t forget_names(const struct served *sv, bool forget)
{
	const struct message_list *files = model_files(sv->model);
	size_t count = 0;

	for (size_t i = 0; i < files->count; i++) {
		const FuseFileEntry *f = (const FuseFileEntry *)files->items[i];

		if (f->flags & FUSECR_FF_UNLINKED)
			count += forget_node(sv, f->nodeid, MODEL_DELETED, forget);
		for (size_t k = 0; k < f->n_above; k++)
			count += forget_node(sv, f->above[k]->nodeid, "", forget);
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
	forget_names(&alone, true);
	_exit(0);
}

void deleted_forget(const struct served *sv)
{
	struct pollfd pfd = { .events = POLLIN };
	pid_t pid = forget_names(sv, false) ? fork() : -1;

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
