// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <linux/fuse.h>
#include <linux/fusecr.h>

#include "backings.h"
#include "blocks.h"
#include "cleanup.h"
#include "chars.h"
#include "fifos.h"
#include "forgets.h"
#include "image.h"
#include "inkernel.h"
#include "locks.h"
#include "mounts.h"
#include "opens.h"
#include "proc.h"
#include "refuse.h"
#include "sent.h"
#include "snapshot.h"
#include "watches.h"

/* One connection's walk: what is read is checked, kept or written. */
struct collect {
	struct snapshot *snap;
	struct snapshot_conn *sc;
	struct report *r;
	struct image *img;	/* NULL when only looking */
	uint32_t *count;	/* of its entries */
	bool passes;		/* there is passthrough: then */
	struct message_list mounts;	/* all of the tree's namespace */
	struct forgets before;	/* the walk of the nodes, when the tree stands */
};

/* Of a tree that runs they are not what they were a moment ago anyway. */
static bool keeps_forgets(const struct collect *c, int dirfd)
{
	return c->snap->o.tracer && dirfd >= 0 && !c->sc->held;
}

static int collect_write(struct collect *c, const ProtobufCMessage *msg)
{
	++*c->count;
	return c->img ? image_write(c->img, msg) : 0;
}

static uint32_t *count_of(FusecrCountEntry *written, enum image_kind kind)
{
	static uint32_t unused;

	switch (kind) {
	case IMAGE_DEV:
		return &written->devs;
	case IMAGE_REQUEST:
		return &written->requests;
	case IMAGE_INODE:
		return &written->inodes;
	case IMAGE_FILE:
		return &written->files;
	case IMAGE_MOUNT:
		return &written->mounts;
	case IMAGE_BACKING:
		return &written->backings;
	default:
		return &unused;	/* exactly one entry, checked when read */
	}
}

static int collect_request(const FuseRequestEntry *req, void *arg)
{
	struct collect *c = arg;

	if (!c->snap->o.restless)
		refuse_request(c->r, c->snap, c->sc, req);
	/*
	 * What is pending is of who is outside, CRIU above all: of the tree it is refused.
	 * Of FORGETs see collect_forgets().
	 */
	if (c->sc->held || (c->snap->o.tracer && (req->state == FUSECR_REQ_PENDING ||
						  req->state == FUSECR_REQ_INTERRUPT ||
						  req->state == FUSECR_REQ_FORGET)))
		return 0;
	return collect_write(c, &req->base);
}

static int write_forget(struct collect *c, const struct forgotten *f)
{
	FuseRequestEntry req = FUSE_REQUEST_ENTRY__INIT;

	req.state = FUSECR_REQ_FORGET;
	req.opcode = FUSE_FORGET;
	req.nodeid = f->nodeid;
	req.has_nlookup = 1;
	req.nlookup = f->nlookup;
	return collect_write(c, &req.base);
}

static int collect_forgets(struct collect *c, int dirfd)
{
	struct forgets after = { 0 };
	int err;

	if (!keeps_forgets(c, dirfd))
		return 0;
	err = forgets_read(&after, c->snap->nl, c->sc->conn->id);
	err = err ?: forgets_unlist(&after, &c->before, dirfd, c->sc->id);
	for (size_t i = 0; !err && i < after.count; i++)
		if (after.list[i].nlookup)
			err = write_forget(c, &after.list[i]);
	forgets_free(&after);
	return err;
}

static int keep_name(struct snapshot_name **names, size_t *count, uint64_t nodeid,
		     const FuseNameEntry *e)
{
	struct snapshot_name *grown = reallocarray(*names, *count + 1, sizeof(*grown));
	char *name;

	if (!grown)
		return -ENOMEM;
	*names = grown;
	name = strndup((const char *)e->name.data, e->name.len);
	if (!name)
		return -ENOMEM;
	grown[(*count)++] = (struct snapshot_name){ nodeid, e->parent, name, e->name.len };
	return 0;
}

static int keep_names(struct snapshot_conn *sc, const FuseInodeEntry *inode)
{
	int err = 0;

	for (size_t i = 0; !err && i < inode->n_name; i++) {
		const FuseNameEntry *e = inode->name[i];

		if (e->has_unhashed && e->unhashed)
			err = keep_name(&sc->deleted, &sc->nr_deleted, inode->nodeid, e);
		else if (S_ISSOCK(inode->mode))
			err = keep_name(&sc->sockets, &sc->nr_sockets, inode->nodeid, e);
	}
	return err;
}

static int keep_watched(struct snapshot_conn *sc, const FuseInodeEntry *inode)
{
	uint64_t *grown;

	if (!(inode->flags & FUSECR_INODE_WATCHED))
		return 0;
	grown = reallocarray(sc->watched, sc->nr_watched + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	sc->watched = grown;
	grown[sc->nr_watched++] = inode->nodeid;
	return 0;
}

static int write_inode(struct collect *c, const FuseInodeEntry *inode)
{
	FuseInodeEntry copy = *inode;

	if (S_ISDIR(inode->mode) && snapshot_is_dead(c->snap->o.renames, c->sc->conn->id, inode->nodeid))
		copy.flags |= FUSECR_INODE_DEAD;
	return collect_write(c, &copy.base);
}

static int collect_inode(const FuseInodeEntry *inode, void *arg)
{
	struct collect *c = arg;

	if (!c->snap->o.restless)
		refuse_inode(c->r, c->sc, inode);
	return backings_keep_node(c->sc, inode) ?: keep_names(c->sc, inode) ?: keep_watched(c->sc, inode) ?:
	       locks_keep_node(c->sc, inode) ?: fifos_keep(c->sc, inode) ?: chars_keep(c->sc, inode) ?:
	       write_inode(c, inode);
}

/* Puts the old name in the place of that which is so long there. 0 or -ENOMEM. */
static int put_old(FuseFileEntry *file, const char *name, size_t len, const char *old, char **path)
{
	const char *begin = (const char *)file->path.data, *end = begin + file->path.len;
	char *new;

	if (asprintf(&new, "%.*s%s%.*s", (int)(name - begin), begin, old, (int)(end - name - len),
		     name + len) < 0)
		return -ENOMEM;
	free(*path);
	*path = new;
	file->path.data = (uint8_t *)new;
	file->path.len = strlen(new);
	return 0;
}

/* With the names that it, and what leads to it, are to have again; path is to be freed. */
static int put_old_names(const struct snapshot_renames *renames, FuseFileEntry *file, char **path)
{
	const struct snapshot_rename *re = NULL;
	const char *name;
	size_t len = 0;
	int err = 0;

	if (file->flags & FUSECR_FF_UNLINKED)
		re = snapshot_renamed(renames, file);
	name = re ? snapshot_last_name(file, &len) : NULL;
	if (name)
		err = put_old(file, name, len, re->old, path);
	for (size_t i = 0; !err && i < file->n_above; i++) {
		re = snapshot_renamed_above(renames, file, file->above[i]);
		name = re ? snapshot_name_above(file, file->above[i]->level, &len) : NULL;
		if (name)
			err = put_old(file, name, len, re->old, path);
	}
	return err;
}

static int write_file(struct collect *c, const FuseFileEntry *file)
{
	char *path cleanup(free_auto) = NULL;
	FuseFileEntry copy = *file;
	int err = put_old_names(c->snap->o.renames, &copy, &path);

	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): path is guarded */
	return err ?: collect_write(c, &copy.base);
}

/* Where the tree finds it; an objection when it does not. */
static int place_backing(struct collect *c, FuseBackingEntry *e, char **path)
{
	const char *why;

	*path = backing_path(c->snap, &c->mounts, e, &why);
	if (!*path && !why)
		return -ENOMEM;
	if (!c->snap->o.restless)
		refuse_backing(c->r, c->sc, e, why);
	e->has_path = *path != NULL;
	e->path.data = (uint8_t *)*path;
	e->path.len = *path ? strlen(*path) : 0;
	return 0;
}

static int collect_file(const FuseFileEntry *file, void *arg)
{
	struct collect *c = arg;
	const struct task *task = tree_find(&c->snap->tree, file->pid);
	char *path cleanup(free_auto) = NULL;
	FuseBackingEntry behind, *backing = &behind;
	FuseFileEntry copy = *file;
	int err = 0;

	if (!c->sc->held && snapshot_stands_in(c->snap, file->pid))
		return 0;
	if (!c->snap->o.restless)
		refuse_file(c->r, c->snap, c->sc, file);
	/* CRIU makes such a socket anew without the name. */
	if (!task || c->sc->held || (file->flags & FUSECR_FF_CONNECTED))
		return 0;
	if (sent_is_lost(file))
		return sent_keep(c->sc, file);
	copy.has_vpid = 1;
	copy.vpid = task->vpid;
	err = fifos_keep_user(c->sc, file) ?: backings_keep_mapped(c->sc, file);
	if (!err && file->n_backing) {
		behind = *file->backing[0];
		copy.backing = &backing;
		err = place_backing(c, &behind, &path);
	}
	if (!err && file->has_fh)
		err = opens_keep(c->sc, file);
	err = err ?: locks_of_file(c->sc, &c->snap->tree, &copy);
	err = err ?: write_file(c, &copy);
	locks_free(&copy);
	return err;
}

static int collect_backing(const FuseBackingEntry *e, void *arg)
{
	struct collect *c = arg;
	char *path cleanup(free_auto) = NULL;
	FuseBackingEntry copy = *e;
	int err = place_backing(c, &copy, &path);

	return err ?: backings_keep(c->sc, e) ?: collect_write(c, &copy.base);
}

static int collect_backings(struct collect *c)
{
	return c->passes ? nl_backings(c->snap->nl, c->sc->conn->id, collect_backing, c) : 0;
}

/* Runs one walk with its image open around it. */
static int collect_kind(struct collect *c, int dirfd, enum image_kind kind)
{
	uint64_t id = c->sc->conn->id;
	int err = 0, close_err;

	c->img = NULL;
	c->count = count_of(&c->sc->written, kind);
	*c->count = 0;
	if (dirfd >= 0)
		err = image_create(&c->img, dirfd, kind, c->sc->id);
	if (err)
		return err;
	switch (kind) {
	case IMAGE_REQUEST:
		err = nl_requests(c->snap->nl, id, collect_request, c) ?: collect_forgets(c, dirfd);
		break;
	case IMAGE_INODE:
		if (!c->sc->held)
			err = nl_inodes(c->snap->nl, id, collect_inode, c);
		break;
	case IMAGE_FILE:
		err = nl_files(c->snap->nl, id, 0, collect_file, c);
		break;
	case IMAGE_CONN:
		err = collect_write(c, &c->sc->conn->base);
		break;
	case IMAGE_BACKING:
		err = collect_backings(c);
		break;
	case IMAGE_MOUNT:
		for (size_t i = 0; !err && i < c->sc->mounts.count; i++)
			err = collect_write(c, c->sc->mounts.items[i]);
		break;
	default:
		err = -EINVAL;
	}
	close_err = image_close(c->img);
	return err ?: close_err;
}

static int collect_conn(struct snapshot *snap, struct snapshot_conn *sc, int dirfd,
			struct report *report)
{
	static const enum image_kind kinds[] = {
		IMAGE_CONN, IMAGE_BACKING, IMAGE_INODE, IMAGE_FILE, IMAGE_MOUNT, IMAGE_REQUEST,
	};
	struct report *r = snapshot_report(sc, report);
	struct collect c = { .snap = snap, .sc = sc, .r = r };
	int err;

	sc->nr_opens = 0;
	snapshot_forget_nodes(sc);
	refuse_conn(r, snap, sc);
	/* Most daemons pass nothing through, and there may be thousands of mounts. */
	c.passes = sc->conn->has_next_backing && !sc->held;
	err = c.passes ? mounts_read(snap->own_mnt_ns ? snap->o.root : getpid(), &c.mounts) : 0;
	if (keeps_forgets(&c, dirfd))
		err = err ?: forgets_read(&c.before, snap->nl, sc->conn->id);
	for (size_t i = 0; !err && i < sizeof(kinds) / sizeof(*kinds); i++)
		err = collect_kind(&c, dirfd, kinds[i]);
	message_list_free(&c.mounts);
	forgets_free(&c.before);
	if (!err && !snap->o.restless && !sc->held)
		err = sent_refuse(r, snap, sc);
	if (!err && !snap->o.restless && !sc->held && !snap->o.tracer)
		err = inkernel_refuse(r, snap, sc);
	if (err)
		return err;
	if (snap->o.restless || sc->held)
		return 0;
	opens_refuse(r, sc);
	refuse_mapped(r, sc);
	refuse_locks(r, snap, sc);
	return watches_collect(r, snap, sc, refuse_label(sc->conn));
}

int snapshot_collect(struct snapshot *snap, int dirfd, struct report *r)
{
	message_list_free(&snap->watches);
	for (size_t i = 0; i < snap->count; i++) {
		int err = collect_conn(snap, &snap->conns[i], dirfd, r);

		if (err)
			return err;
	}
	if (!snap->o.restless) {
		fifos_refuse(r, snap);
		blocks_refuse(r, snap);
	}
	return 0;
}

static int write_devs(struct snapshot_conn *sc, int dirfd)
{
	struct image *img;
	int err, close_err;

	err = image_create(&img, dirfd, IMAGE_DEV, sc->id);
	if (err)
		return err;
	sc->written.devs = sc->devs.count;
	for (size_t i = 0; !err && i < sc->devs.count; i++)
		err = image_write(img, sc->devs.items[i]);
	close_err = image_close(img);
	return err ?: close_err;
}

int snapshot_finish(struct snapshot *snap, int dirfd)
{
	FusecrInventoryEntry inv = FUSECR_INVENTORY_ENTRY__INIT;
	char boot_id[PROC_BOOT_ID_SIZE];
	FusecrCountEntry **counts cleanup(free_auto) = NULL;
	struct utsname uts;
	struct image *img;
	int err, close_err;

	counts = calloc(snap->count ?: 1, sizeof(*counts));
	if (!counts)
		return -ENOMEM;
	for (size_t i = 0; i < snap->count; i++) {
		err = write_devs(&snap->conns[i], dirfd);
		if (err)
			return err;	/* NOLINT(clang-analyzer-unix.Malloc): counts is guarded */
		counts[i] = &snap->conns[i].written;
	}
	inv.count = counts;
	inv.n_count = snap->count;
	inv.block = (FuseBlockEntry **)snap->blocks.items;
	inv.n_block = snap->blocks.count;
	inv.watch = (FuseWatchEntry **)snap->watches.items;
	inv.n_watch = snap->watches.count;
	uname(&uts);
	inv.version = IMAGE_VERSION;
	inv.fusecr_version = FUSECR_VERSION;
	inv.kernel = uts.release;
	inv.root_pid = snap->o.root;
	inv.conns = snap->count;
	inv.root_vpid = snap->tree.tasks[0].vpid;
	inv.own_mnt_ns = snap->own_mnt_ns;
	inv.own_pid_ns = snap->own_pid_ns;
	inv.frozen = snap->o.tracer != 0;
	inv.has_ns_root_uid = inv.has_ns_root_gid = snap->own_user_ns;
	inv.ns_root_uid = snap->ns_root_uid;
	inv.ns_root_gid = snap->ns_root_gid;
	if (snap->holder.pid) {
		proc_boot_id(boot_id);
		inv.has_holder_pid = inv.has_holder_start = 1;
		inv.holder_pid = snap->holder.pid;
		inv.holder_start = snap->holder.start;
		inv.holder_boot_id = boot_id;
	}
	err = image_create(&img, dirfd, IMAGE_INVENTORY, 0);
	if (err)
		return err;	/* NOLINT(clang-analyzer-unix.Malloc): counts is guarded */
	err = image_write(img, &inv.base);
	close_err = image_close(img);
	return err ?: close_err;
}

int snapshot_write(struct nl *nl, const struct snapshot_options *o, struct report *r)
{
	struct snapshot *snap;
	int err;

	err = snapshot_find(&snap, nl, o, r);
	if (err)
		return err;
	err = snapshot_collect(snap, o->dirfd, r);
	if (!err)
		err = snapshot_finish(snap, o->dirfd);
	snapshot_free(snap);
	return err;
}
