// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fusecr.h>

#include "backings.h"
#include "blocks.h"
#include "chars.h"
#include "fifos.h"
#include "limit.h"
#include "mounts.h"
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

const char *snapshot_name_above(const FuseFileEntry *file, uint32_t level, size_t *len)
{
	const char *path = (const char *)file->path.data, *end = path + file->path.len, *slash;

	slash = file->path.len ? memrchr(path, '/', file->path.len) : NULL;
	for (; slash && level; level--) {
		end = slash;
		slash = end > path ? memrchr(path, '/', end - path) : NULL;
	}
	if (!slash)
		return NULL;
	*len = end - slash - 1;
	return slash + 1;
}

static const struct snapshot_rename *find_rename(const struct snapshot_renames *renames,
						 uint64_t conn_id, uint64_t nodeid,
						 const char *name, size_t len)
{
	size_t count = renames && name ? renames->count : 0;

	for (size_t i = 0; i < count; i++) {
		const struct snapshot_rename *re = &renames->list[i];

		if (re->conn_id == conn_id && re->nodeid == nodeid &&
		    strlen(re->now) == len && !memcmp(re->now, name, len))
			return re;
	}
	return NULL;
}

const struct snapshot_rename *snapshot_renamed(const struct snapshot_renames *renames,
					       const FuseFileEntry *file)
{
	size_t len = 0;
	const char *name = snapshot_last_name(file, &len);

	return find_rename(renames, file->conn_id, file->nodeid, name, len);
}

bool snapshot_is_dead(const struct snapshot_renames *renames, uint64_t conn_id, uint64_t nodeid)
{
	size_t count = renames ? renames->nr_dead : 0;

	for (size_t i = 0; i < count; i++)
		if (renames->dead[i].conn_id == conn_id && renames->dead[i].nodeid == nodeid)
			return true;
	return false;
}

const struct snapshot_rename *snapshot_renamed_above(const struct snapshot_renames *renames,
						     const FuseFileEntry *file,
						     const FuseAboveEntry *above)
{
	size_t len = 0;
	const char *name = snapshot_name_above(file, above->level, &len);

	return find_rename(renames, file->conn_id, above->nodeid, name, len);
}

static void free_names(struct snapshot_name **names, size_t *count)
{
	for (size_t i = 0; i < *count; i++)
		free((*names)[i].name);
	free(*names);
	*names = NULL;
	*count = 0;
}

void snapshot_forget_nodes(struct snapshot_conn *sc)
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
	chars_free(sc);
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
	snapshot_forget_nodes(sc);
}

void snapshot_free(struct snapshot *snap)
{
	if (!snap)
		return;
	for (size_t i = 0; i < snap->count; i++)
		conn_free(&snap->conns[i]);
	free(snap->conns);
	message_list_free(&snap->blocks);
	message_list_free(&snap->watches);
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

/* gcc 12 does not see that it belongs to the snapshot. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
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
#pragma GCC diagnostic pop

struct find {
	struct snapshot *snap;
	struct report *r;
	bool serves;	/* the tree has daemons */
};

static int find_dev(const FuseDevEntry *dev, void *arg)
{
	struct find *f = arg;
	const struct task *task = tree_find(&f->snap->tree, dev->pid);
	struct snapshot_conn *sc;

	if (!task)
		return 0;
	/* CRIU, too, has no way with a device that nothing is mounted with. */
	if ((dev->has_cuse && dev->cuse) || !dev->conn_id || !dev->connected)
		refuse_dev(f->r, f->snap, dev);
	if (!dev->conn_id)
		return 0;
	sc = conn_get(f->snap, dev->conn_id);
	if (!sc)
		return -ENOMEM;
	sc->served = true;
	return 0;
}

static int find_file(const FuseFileEntry *file, void *arg)
{
	struct find *f = arg;
	struct snapshot_conn *sc;

	if (!tree_find(&f->snap->tree, file->pid))
		return 0;
	/* A tree without daemons is CRIU's, wherever its files are. */
	if (f->serves && !strcmp(file->fstype, "virtiofs"))
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

/* gcc 12 does not see that it belongs to the connection. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
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
		snprintf(key, sizeof(key), "fusecr-%u-%u", a->sc->id, e->mnt_id);
		copy.ext_key = key;
	}
	return message_list_add(&a->sc->mounts, &copy.base);
}
#pragma GCC diagnostic pop

struct report *snapshot_report(const struct snapshot_conn *sc, struct report *r)
{
	return sc->served ? r : NULL;
}

/* 1: it is gone, and the report has it. */
static int read_conn(struct snapshot *snap, struct snapshot_conn *sc, struct report *report)
{
	struct report *r = snapshot_report(sc, report);
	struct add_mount am = { sc, snap };
	struct find f = { .snap = snap, .r = r };
	uint64_t id = sc->conn->id;
	int err;

	err = nl_conn(snap->nl, id, set_conn, sc);
	if (err == -ENOENT) {
		report_add(r, "connection %#lx of the tree has no mount any more (%s): end its daemon",
			   (unsigned long)id, nl_reason(snap->nl, err));
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
	struct find f = { .snap = snap, .r = r };
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
	f.serves = snap->count;
	for (size_t i = 0; i < snap->tree.count; i++) {
		err = nl_files(snap->nl, 0, snap->tree.tasks[i].pid, find_file, &f);
		if (err && err != -ESRCH)
			return err;
	}
	return 0;
}

/* Tasks may have come, gone or changed their parents, by which connections are found. */
static void keep_numbers(struct snapshot *snap, const struct snapshot *before)
{
	struct snapshot_conn *next = snap->conns, *sc, other;

	for (size_t i = 0; i < before->count; i++) {
		sc = conn_find(snap, before->conns[i].conn->id);
		if (!sc)
			continue;
		other = *next;
		*next++ = *sc;
		*sc = other;
	}
	for (size_t i = 0; i < snap->count; i++)
		snap->conns[i].id = i + 1;
}

static bool serves(const struct snapshot *snap)
{
	for (size_t i = 0; i < snap->count; i++)
		if (snap->conns[i].served)
			return true;
	return false;
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
	if (o->before)
		keep_numbers(snap, o->before);
	snap->o.before = NULL;
	err = err ?: read_conns(snap, r);
	for (size_t i = 0; !err && serves(snap) && i < snap->tree.count; i++)
		refuse_task(r, snap, &snap->tree.tasks[i]);
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
