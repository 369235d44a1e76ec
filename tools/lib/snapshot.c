// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <linux/fusecr.h>

#include "backings.h"
#include "blocks.h"
#include "cleanup.h"
#include "fifos.h"
#include "image.h"
#include "inkernel.h"
#include "limit.h"
#include "locks.h"
#include "mounts.h"
#include "opens.h"
#include "proc.h"
#include "refuse.h"
#include "sent.h"
#include "snapshot.h"

const char *snapshot_last_name(const FuseFileEntry *file, size_t *len)
{
	const char *path = (const char *)file->path.data, *slash;

	slash = file->path.len ? memrchr(path, '/', file->path.len) : NULL;
	if (!slash)
		return NULL;
	*len = path + file->path.len - slash - 1;
	if (*len || slash == path || slash[-1] != '/')
		return slash + 1;
	*len = 1;
	return slash;
}

const struct snapshot_rename *snapshot_renamed(const struct snapshot_renames *renames,
					       const FuseFileEntry *file)
{
	size_t len, count = renames ? renames->count : 0;
	const char *name = snapshot_last_name(file, &len);

	for (size_t i = 0; name && i < count; i++) {
		const struct snapshot_rename *re = &renames->list[i];

		if (re->conn_id == file->conn_id && re->nodeid == file->nodeid &&
		    strlen(re->now) == len && !memcmp(re->now, name, len))
			return re;
	}
	return NULL;
}

static void free_names(struct snapshot_name **names, size_t *count)
{
	for (size_t i = 0; i < *count; i++)
		free((*names)[i].name);
	free(*names);
	*names = NULL;
	*count = 0;
}

static void free_nodes(struct snapshot_conn *sc)
{
	free_names(&sc->deleted, &sc->nr_deleted);
	free_names(&sc->sockets, &sc->nr_sockets);
	free(sc->watched);
	sc->watched = NULL;
	sc->nr_watched = 0;
	free(sc->locked);
	sc->locked = NULL;
	sc->nr_locked = 0;
	sc->locked_sorted = false;
	fifos_free(sc);
	sent_free(sc);
	backings_free(sc);
}

static void conn_free(struct snapshot_conn *sc)
{
	if (sc->conn)
		fuse_conn_entry__free_unpacked(sc->conn, NULL);
	message_list_free(&sc->devs);
	message_list_free(&sc->mounts);
	free(sc->opens);
	free_nodes(sc);
}

void snapshot_free(struct snapshot *snap)
{
	if (!snap)
		return;
	for (size_t i = 0; i < snap->count; i++)
		conn_free(&snap->conns[i]);
	free(snap->conns);
	message_list_free(&snap->blocks);
	free(snap->covered);
	tree_free(&snap->tree);
	free(snap);
}

static struct snapshot_conn *conn_find(const struct snapshot *snap, uint64_t id)
{
	for (size_t i = 0; i < snap->count; i++)
		if (snap->conns[i].conn->id == id)
			return &snap->conns[i];
	return NULL;
}

static struct snapshot_conn *conn_get(struct snapshot *snap, uint64_t id)
{
	struct snapshot_conn *conns = conn_find(snap, id);

	if (conns)
		return conns;
	conns = reallocarray(snap->conns, snap->count + 1, sizeof(*conns));
	if (!conns)
		return NULL;
	snap->conns = conns;
	memset(&conns[snap->count], 0, sizeof(*conns));
	fusecr_count_entry__init(&conns[snap->count].written);
	conns[snap->count].id = snap->count + 1;
	conns[snap->count].conn = malloc(sizeof(FuseConnEntry));
	if (!conns[snap->count].conn)
		return NULL;
	fuse_conn_entry__init(conns[snap->count].conn);
	conns[snap->count].conn->id = id;
	return &conns[snap->count++];
}

struct find {
	struct snapshot *snap;
	struct report *r;
};

static int find_dev(const FuseDevEntry *dev, void *arg)
{
	struct find *f = arg;
	const struct task *task = tree_find(&f->snap->tree, dev->pid);

	if (!task)
		return 0;
	if ((dev->has_cuse && dev->cuse) || (dev->conn_id && !dev->connected))
		refuse_dev(f->r, f->snap, dev);
	if (!dev->conn_id)
		return 0;
	return conn_get(f->snap, dev->conn_id) ? 0 : -ENOMEM;
}

static int find_file(const FuseFileEntry *file, void *arg)
{
	struct find *f = arg;
	struct snapshot_conn *sc;

	if (!tree_find(&f->snap->tree, file->pid))
		return 0;
	if (!strcmp(file->fstype, "virtiofs"))
		refuse_virtiofs(f->r, file);
	if (!file->conn_id)
		return 0;
	sc = conn_find(f->snap, file->conn_id);
	if (sc)
		sc->user = file->pid;
	if (sc || f->snap->o.scope != SNAPSHOT_USED)
		return 0;
	return conn_get(f->snap, file->conn_id) ? 0 : -ENOMEM;
}

/* Whoever holds the tree still, or stands in for its daemon, has its files in hand too. */
bool snapshot_stands_in(const struct snapshot *snap, uint32_t pid)
{
	return pid == (uint32_t)snap->o.tracer || pid == (uint32_t)snap->o.surrogate[0] ||
	       pid == (uint32_t)snap->o.surrogate[1];
}

/* Devices of the connections found; those of the tree are kept, others refused. */
static int add_dev(const FuseDevEntry *dev, void *arg)
{
	struct find *f = arg;
	const struct task *task = tree_find(&f->snap->tree, dev->pid);
	FuseDevEntry copy = *dev;

	if (snapshot_stands_in(f->snap, dev->pid))
		return 0;
	if (!task) {
		refuse_dev(f->r, f->snap, dev);
		return 0;
	}
	copy.has_vpid = 1;
	copy.vpid = task->vpid;
	return message_list_add(&conn_get(f->snap, dev->conn_id)->devs, &copy.base);
}

struct add_mount {
	struct snapshot_conn *sc;
	struct snapshot *snap;
};

static int set_conn(const FuseConnEntry *e, void *arg)
{
	struct snapshot_conn *sc = arg;
	struct message_list copy = { 0 };
	int err = message_list_add(&copy, &e->base);

	if (err)
		return err;
	fuse_conn_entry__free_unpacked(sc->conn, NULL);
	sc->conn = (FuseConnEntry *)copy.items[0];
	free(copy.items);
	return 0;
}

static int add_mount(const FuseMountEntry *e, const char *fstype, const char *source, void *arg)
{
	struct add_mount *a = arg;
	FuseMountEntry copy = *e;
	char key[64];

	(void)fstype;
	/* mountinfo's source is what the daemon named; sb->s_id is not. */
	if (source && *source) {
		free(a->sc->conn->source);
		a->sc->conn->source = strdup(source);
		if (!a->sc->conn->source)
			return -ENOMEM;
	}
	if (a->snap->own_mnt_ns) {
		snprintf(key, sizeof(key), "fusecr-%u-%zu", a->sc->id, a->sc->mounts.count);
		copy.ext_key = key;
	}
	return message_list_add(&a->sc->mounts, &copy.base);
}

/* 1: it is gone, and the report has it. */
static int read_conn(struct snapshot *snap, struct snapshot_conn *sc, struct report *r)
{
	struct add_mount am = { sc, snap };
	struct find f = { snap, r };
	uint64_t id = sc->conn->id;
	int err;

	err = nl_conn(snap->nl, id, set_conn, sc);
	if (err == -ENOENT) {
		report_add(r, "connection %#lx of the tree has no mount any more (%s): end its daemon",
			   (unsigned long)id, *nl_error(snap->nl) ? nl_error(snap->nl) : strerror(-err));
		return 1;
	}
	if (err)
		return err;
	sc->conn->has_tree_pid_ns = 1;
	sc->conn->tree_pid_ns = sc->conn->pid_ns == snap->tree.tasks[0].pid_ns;
	sc->conn->has_known_flags = 1;
	sc->conn->known_flags = snap->known_flags;
	sc->held = snap->o.hold && !sc->user;
	sc->conn->has_held = sc->held;
	sc->conn->held = sc->held;
	limit_read(sc->conn);
	sc->conn->dev_size = blocks_mounted(sc->conn) ? blocks_size(sc->conn->dev) : 0;
	sc->conn->has_dev_size = sc->conn->dev_size != 0;
	err = nl_devs(snap->nl, id, 0, add_dev, &f);
	if (err)
		return err;
	/* In the host's namespace the root task may be chrooted; the caller is not. */
	err = mounts_of(snap->own_mnt_ns ? snap->o.root : getpid(), sc->conn->dev, add_mount, &am);
	if (err)
		return err;
	refuse_mounts(r, snap, sc);
	return 0;
}

/* Those that are gone are left out. */
static int read_conns(struct snapshot *snap, struct report *r)
{
	size_t i = 0;

	while (i < snap->count) {
		struct snapshot_conn *sc = &snap->conns[i];
		int err = read_conn(snap, sc, r);

		if (err < 0)
			return err;
		if (!err) {
			i++;
			continue;
		}
		conn_free(sc);
		snap->count--;
		memmove(sc, sc + 1, (snap->count - i) * sizeof(*sc));
		for (size_t k = i; k < snap->count; k++)
			snap->conns[k].id = k + 1;
	}
	return 0;
}

static int find_conns(struct snapshot *snap, struct report *r)
{
	struct find f = { snap, r };
	struct nl_info info;
	int err;

	err = nl_get_info(snap->nl, &info);
	if (err)
		return err;
	snap->known_flags = info.known_flags;
	snap->features = info.features;
	for (size_t i = 0; i < snap->tree.count; i++) {
		err = nl_devs(snap->nl, 0, snap->tree.tasks[i].pid, find_dev, &f);
		if (err && err != -ESRCH)
			return err;
	}
	/* Whose the files are is known now. */
	for (size_t i = 0; i < snap->tree.count; i++) {
		err = nl_files(snap->nl, 0, snap->tree.tasks[i].pid, find_file, &f);
		if (err && err != -ESRCH)
			return err;
	}
	return 0;
}

int snapshot_find(struct snapshot **ret, struct nl *nl,
		  const struct snapshot_options *o, struct report *r)
{
	struct snapshot *snap = calloc(1, sizeof(*snap));
	int err;

	*ret = NULL;
	if (!snap)
		return -ENOMEM;
	snap->nl = nl;
	snap->o = *o;
	err = tree_read(&snap->tree, o->root);
	if (err)
		goto fail;
	snap->own_mnt_ns = snap->tree.tasks[0].mnt_ns != proc_own_ns("mnt");
	snap->own_pid_ns = snap->tree.tasks[0].pid_ns != proc_own_ns("pid");
	snap->own_user_ns = snap->tree.tasks[0].user_ns != proc_own_ns("user") &&
			    !proc_ns_root(o->root, &snap->ns_root_uid, &snap->ns_root_gid);
	err = find_conns(snap, r);
	for (size_t i = 0; snap->count && i < snap->tree.count; i++)
		refuse_task(r, snap, &snap->tree.tasks[i]);
	err = err ?: read_conns(snap, r);
	if (!err && snap->count)
		err = refuse_stacking(r, snap) ?: blocks_collect(snap);
	if (err)
		goto fail;
	*ret = snap;
	return 0;
fail:
	snapshot_free(snap);
	return err;
}

/* One connection's walk: what is read is checked, kept or written. */
struct collect {
	struct snapshot *snap;
	struct snapshot_conn *sc;
	struct report *r;
	struct image *img;	/* NULL when only looking */
	uint32_t *count;	/* of its entries */
	bool passes;		/* there is passthrough: then */
	struct message_list mounts;	/* all of the tree's namespace */
};

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
	/* Of who is outside, CRIU above all: what the tree has pending is refused. */
	if (c->sc->held || (c->snap->o.tracer && req->state == FUSECR_REQ_PENDING))
		return 0;
	return collect_write(c, &req->base);
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

static int collect_inode(const FuseInodeEntry *inode, void *arg)
{
	struct collect *c = arg;

	if (!c->snap->o.restless)
		refuse_inode(c->r, c->sc, inode);
	return backings_keep_node(c->sc, inode) ?: keep_names(c->sc, inode) ?: keep_watched(c->sc, inode) ?:
	       locks_keep_node(c->sc, inode) ?: fifos_keep(c->sc, inode) ?: collect_write(c, &inode->base);
}

/* With the name that it is to have again; to be freed. */
static char *path_with(const FuseFileEntry *file, const char *name)
{
	const char *path = (const char *)file->path.data;
	size_t last;
	char *new;
	int dir = snapshot_last_name(file, &last) - path;

	return asprintf(&new, "%.*s%s", dir, path, name) < 0 ? NULL : new;
}

static int write_file(struct collect *c, const FuseFileEntry *file)
{
	const struct snapshot_rename *re = NULL;
	char *path cleanup(free_auto) = NULL;
	FuseFileEntry copy = *file;

	if (file->flags & FUSECR_FF_UNLINKED)
		re = snapshot_renamed(c->snap->o.renames, file);
	if (!re)
		return collect_write(c, &file->base);
	path = path_with(file, re->old);
	if (!path)
		return -ENOMEM;
	copy.path.data = (uint8_t *)path;
	copy.path.len = strlen(path);
	return collect_write(c, &copy.base);	/* NOLINT(clang-analyzer-unix.Malloc): path is guarded */
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
		err = nl_requests(c->snap->nl, id, collect_request, c);
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
			struct report *r)
{
	static const enum image_kind kinds[] = {
		IMAGE_CONN, IMAGE_REQUEST, IMAGE_BACKING, IMAGE_INODE, IMAGE_FILE, IMAGE_MOUNT,
	};
	struct collect c = { .snap = snap, .sc = sc, .r = r };
	int err;

	sc->nr_opens = 0;
	free_nodes(sc);
	refuse_conn(r, snap, sc);
	/* Most daemons pass nothing through, and there may be thousands of mounts. */
	c.passes = sc->conn->has_next_backing && !sc->held;
	err = c.passes ? mounts_read(snap->own_mnt_ns ? snap->o.root : getpid(), &c.mounts) : 0;
	for (size_t i = 0; !err && i < sizeof(kinds) / sizeof(*kinds); i++)
		err = collect_kind(&c, dirfd, kinds[i]);
	message_list_free(&c.mounts);
	if (!err && !snap->o.restless && !sc->held)
		err = sent_refuse(r, snap, sc);
	if (!err && !snap->o.restless && !sc->held && !snap->o.tracer)
		err = inkernel_refuse(r, snap, sc);
	if (err)
		return err;
	if (!snap->o.restless && !sc->held) {
		opens_refuse(r, sc);
		refuse_mapped(r, sc);
		refuse_locks(r, snap, sc);
		refuse_watches(r, snap, sc);
	}
	return 0;
}

int snapshot_collect(struct snapshot *snap, int dirfd, struct report *r)
{
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
