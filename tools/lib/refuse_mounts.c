// SPDX-License-Identifier: GPL-2.0
/*
 * Mounts that a checkpoint would lose.  In a mount namespace of its own the
 * tree's mounts are made by CRIU, which knows one that is external by its mount
 * point; in the host's we make them, and only those of the tree's connections.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "idmaps.h"
#include "mounts.h"
#include "proc.h"
#include "refuse.h"

static void object_to_mount(struct report *r, const struct snapshot_conn *sc, const FuseMountEntry *m,
			    const char *why, const char *what)
{
	report_add(r, "%s: mounted at %.*s, %s%s", refuse_label(sc->conn), (int)m->mountpoint.len,
		   m->mountpoint.data, why, what);
}

/* A peer can only be cloned, and the map comes with it (can_idmap_mount()). */
static bool has_peers_map(const struct snapshot_conn *sc, const FuseMountEntry *m)
{
	const struct message_list *mounts = &sc->mounts;

	for (size_t i = 0; i < mounts->count; i++) {
		const FuseMountEntry *from;
		ssize_t source;

		if (mounts->items[i] != &m->base)
			continue;
		source = mount_source(mounts, i);
		if (source < 0 || source == (ssize_t)i)
			return false;
		from = (const FuseMountEntry *)mounts->items[source];
		return from->uid_map && !idmap_same(from, m);
	}
	return false;
}

/* The words of mountinfo that say why it cannot be made anew, or NULL. */
static const char *lost_option(const struct snapshot *snap, const FuseMountEntry *m, const char *word)
{
	if (!strcmp(word, "idmapped"))
		return m->uid_map ? NULL : "idmapped, and only of Linux 6.17 and later it can be asked how";
	if (!mount_option_known(word) || (snap->own_mnt_ns && !strcmp(word, "nosymfollow")))
		return word;
	return NULL;
}

static void refuse_options(struct report *r, const struct snapshot *snap,
			   const struct snapshot_conn *sc, const FuseMountEntry *m)
{
	const char *lost;
	size_t len;

	for (const char *at = m->options; *at; at += len + (at[len] == ',')) {
		char word[64];

		len = strcspn(at, ",");
		snprintf(word, sizeof(word), "%.*s", (int)len, at);
		lost = lost_option(snap, m, word);
		if (lost)
			object_to_mount(r, sc, m, "with an option that is not carried: ", lost);
	}
	if (!snap->own_mnt_ns && has_peers_map(sc, m))
		object_to_mount(r, sc, m, "a peer of one that is idmapped otherwise", "");
}

/* SELinux quotes what may have commas in it: context="system_u:object_r:t:s0:c1,c2". */
static size_t word_length(const char *at)
{
	size_t len = strcspn(at, ",\"");
	const char *end = at[len] == '"' ? strchr(at + len + 1, '"') : NULL;

	return end ? (size_t)(end + 1 - at) : strcspn(at, ",");
}

/* Those of the file system itself. */
static void refuse_fs_options(struct report *r, const struct snapshot_conn *sc, const FuseMountEntry *m)
{
	size_t len;

	for (const char *at = m->fs_options; *at; at += len + (at[len] == ',')) {
		char word[256];

		len = word_length(at);
		snprintf(word, sizeof(word), "%.*s", (int)len, at);
		if (!mount_fs_option_known(word))
			object_to_mount(r, sc, m, "with an option that is not carried: ", word);
	}
}

struct elsewhere {
	struct report *r;
	const struct snapshot *snap;
	const struct snapshot_conn *sc;
	pid_t pid;
};

/*
 * A copy that our unmount and mount propagate to is no obstacle.  Nobody unmounts what is
 * in a namespace of the tree's own: it ends with that.
 */
static bool follows_ours(const struct elsewhere *e, const FuseMountEntry *m)
{
	int shared = mount_group(m->propagation, "shared:");
	int master = mount_group(m->propagation, "master:");

	for (size_t i = 0; i < e->sc->mounts.count; i++) {
		const FuseMountEntry *own = (const FuseMountEntry *)e->sc->mounts.items[i];
		int group = mount_group(own->propagation, "shared:");

		if (group >= 0 && (group == shared || group == master))
			return true;
	}
	return false;
}

/* CRIU binds it from a mount of the root task's namespace, which is external. */
static bool binds_ours(const struct elsewhere *e, const FuseMountEntry *m)
{
	if (!e->snap->own_mnt_ns || !tree_find(&e->snap->tree, e->pid))
		return false;
	for (size_t i = 0; i < e->sc->mounts.count; i++)
		if (mount_shows(&((FuseMountEntry *)e->sc->mounts.items[i])->root, &m->root))
			return true;
	return false;
}

static int mounted_elsewhere(const FuseMountEntry *m, const char *fstype, const char *source, void *arg)
{
	struct elsewhere *e = arg;
	char task[64];

	(void)fstype;
	(void)source;
	if (binds_ours(e, m)) {
		refuse_options(e->r, e->snap, e->sc, m);
		if (m->uid_map)
			object_to_mount(e->r, e->sc, m, "idmapped in a nested namespace: CRIU would bind it without", "");
		return 0;
	}
	if (!e->snap->own_mnt_ns && follows_ours(e, m))
		return 0;
	refuse_task_label(task, sizeof(task), e->pid);
	report_add(e->r, "%s: also mounted in %s mount namespace of process %s, at %.*s",
		   refuse_label(e->sc->conn),
		   tree_find(&e->snap->tree, e->pid) ? "the nested" : "another", task,
		   (int)m->mountpoint.len, m->mountpoint.data);
	return 0;
}

/* Not just anybody's: who he says he is must have been let mount it. */
static bool may_have_mounted(pid_t pid, const struct snapshot_conn *sc)
{
	long uid = proc_status(pid, "Uid");

	return !uid || sc->conn->user_ns != proc_own_ns("user") || uid == (long)sc->conn->user_id;
}

/* "-o ...,auto_unmount", and since libfuse 3.18 "--auto-unmount". */
static bool says_auto_unmount(const char *args, size_t n)
{
	return memmem(args, n, "auto_unmount", strlen("auto_unmount")) ||
	       memmem(args, n, "auto-unmount", strlen("auto-unmount"));
}

/*
 * libfuse's helper of auto_unmount: its end of a socket of the daemon's would be
 * closed, and it would unmount.  Only its arguments tell for whom it waits.
 */
static bool is_unmounter(pid_t pid, const struct snapshot_conn *sc)
{
	char path[64], args[8192], *last;
	FILE *f cleanup(fclose_auto) = NULL;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	f = fopen(path, "re");
	if (!f || !fgets(args, sizeof(args), f) || strncmp(args, "fusermount", strlen("fusermount")))
		return false;
	/* First: who calls himself so need not let his arguments be read. */
	if (!may_have_mounted(pid, sc))
		return false;
	fclose(f);
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	f = fopen(path, "re");
	n = f ? fread(args, 1, sizeof(args) - 1, f) : 0;
	args[n] = '\0';
	if (n < 2 || !says_auto_unmount(args, n))
		return false;
	last = memrchr(args, '\0', n - 1);
	for (size_t i = 0; last && i < sc->mounts.count; i++) {
		const FuseMountEntry *m = (const FuseMountEntry *)sc->mounts.items[i];

		if (strlen(last + 1) == m->mountpoint.len && !memcmp(last + 1, m->mountpoint.data, m->mountpoint.len))
			return true;
	}
	return false;
}

static void refuse_unmounter(struct elsewhere *e)
{
	char task[64];

	if (tree_find(&e->snap->tree, e->pid) || !is_unmounter(e->pid, e->sc))
		return;
	refuse_task_label(task, sizeof(task), e->pid);
	report_add(e->r, "%s: process %s is outside the tree and waits for the daemon's end to unmount it; dump a tree that contains both",
		   refuse_label(e->sc->conn), task);
}

void refuse_mounts(struct report *r, const struct snapshot *snap, const struct snapshot_conn *sc)
{
	uint64_t tree_ns = snap->tree.tasks[0].mnt_ns, *grown;
	uint64_t *seen cleanup(free_auto) = NULL;
	struct elsewhere e = { .r = r, .snap = snap, .sc = sc };
	size_t count = 0, i;
	struct dirent *de;
	DIR *proc;

	if (!sc->mounts.count && !sc->held)
		report_add(r, "%s: not mounted in the mount namespace of the tree's root%s", refuse_label(sc->conn),
			   refuse_may_be_held(snap, sc) ? "; \"fusecr checkpoint --hold\", or FUSECR_HOLD=1, leaves it where it is" : "");
	proc = opendir("/proc");
	while (proc && (de = readdir(proc))) {
		uint64_t ns;

		e.pid = atoi(de->d_name);
		if (e.pid > 0 && !sc->held)
			refuse_unmounter(&e);
		ns = e.pid > 0 ? proc_ns(e.pid, "mnt") : 0;
		if (!ns || ns == tree_ns || (sc->held && !tree_find(&snap->tree, e.pid)))
			continue;
		for (i = 0; i < count && seen[i] != ns; i++)
			;
		if (i < count)
			continue;
		grown = reallocarray(seen, count + 1, sizeof(*seen));
		if (!grown)
			break;
		seen = grown;
		seen[count++] = ns;
		mounts_of(e.pid, sc->conn->dev, mounted_elsewhere, &e);
	}
	if (proc)
		closedir(proc);
}

static bool same_bytes(const ProtobufCBinaryData *a, const ProtobufCBinaryData *b)
{
	return a->len == b->len && !memcmp(a->data, b->data, a->len);
}

/* What d_path() puts behind the root of a mount that is deleted. */
static bool is_deleted(const FuseMountEntry *m)
{
	static const char mark[] = "//deleted";
	const size_t len = sizeof(mark) - 1;

	return m->root.len > len && !memcmp(m->root.data + m->root.len - len, mark, len);
}

static void refuse_own_mount(struct report *r, const struct snapshot *snap,
			     const struct snapshot_conn *sc, size_t i)
{
	const FuseMountEntry *m = (const FuseMountEntry *)sc->mounts.items[i];

	refuse_options(r, snap, sc, m);
	if (i == 0)
		refuse_fs_options(r, sc, m);
	/* criu/external.c looks for what comes before "]:" first. */
	if (snap->own_mnt_ns && memmem(m->mountpoint.data, m->mountpoint.len, "]:", 2))
		object_to_mount(r, sc, m, "at a path with \"]:\" in it, which CRIU would take for another", "");
	if (is_deleted(m))
		object_to_mount(r, sc, m, "of a file that is deleted", "");
	else if (!snap->own_mnt_ns && mount_source(&sc->mounts, i) < 0)
		object_to_mount(r, sc, m, "a slave or a peer of mounts that are not the tree's", "");
}

struct stacking {
	struct report *r;
	struct snapshot *snap;
};

static void cover(struct snapshot *snap, uint32_t mnt_id)
{
	for (size_t i = 0; i < snap->nr_covered; i++)
		if (snap->covered[i] == mnt_id)
			return;
	snap->covered[snap->nr_covered++] = mnt_id;
}

/* One of ours beside any other mount of the namespace. */
static void beside(struct stacking *s, const struct snapshot_conn *sc, const FuseMountEntry *own,
		  const FuseMountEntry *m, const char *fstype, bool carried)
{
	bool same_place = same_bytes(&own->mountpoint, &m->mountpoint);
	char what[320];

	if (own->mnt_id == m->mnt_id)
		return;
	snprintf(what, sizeof(what), "%s at %.*s", fstype, (int)m->mountpoint.len, m->mountpoint.data);
	if (s->snap->own_mnt_ns && same_place)
		object_to_mount(s->r, sc, own, "where CRIU cannot tell it from another mount: ", what);
	else if (!s->snap->own_mnt_ns && m->parent_mnt_id == own->mnt_id && !carried)
		object_to_mount(s->r, sc, own, "below another mount, which would go with it: ", what);
	if (m->parent_mnt_id == own->mnt_id && same_place)
		cover(s->snap, own->mnt_id);
}

static const struct snapshot_conn *owner_of(const struct snapshot *snap, uint32_t mnt_id)
{
	for (size_t i = 0; i < snap->count; i++)
		for (size_t k = 0; k < snap->conns[i].mounts.count; k++)
			if (((FuseMountEntry *)snap->conns[i].mounts.items[k])->mnt_id == mnt_id)
				return &snap->conns[i];
	return NULL;
}

/* Its place would be looked for while nobody answers for what it lies on. */
static void over_held(struct stacking *s, const struct snapshot_conn *sc, const FuseMountEntry *m,
		      const FuseMountEntry *held)
{
	char where[256];

	if (!sc || sc->held || !mount_shows(&held->mountpoint, &m->mountpoint))
		return;
	snprintf(where, sizeof(where), "%.*s", (int)held->mountpoint.len, held->mountpoint.data);
	object_to_mount(s->r, sc, m, "below a mount that is to be held; unmount it first, or do without --hold: ",
			where);
}

static int each_mount(const FuseMountEntry *m, const char *fstype, const char *source, void *arg)
{
	struct stacking *s = arg;
	const struct snapshot_conn *owner = owner_of(s->snap, m->mnt_id);

	(void)source;
	for (size_t i = 0; i < s->snap->count; i++) {
		const struct snapshot_conn *sc = &s->snap->conns[i];

		for (size_t k = 0; sc->served && k < sc->mounts.count; k++) {
			const FuseMountEntry *own = (const FuseMountEntry *)sc->mounts.items[k];

			if (sc->held)
				over_held(s, owner, m, own);
			else
				beside(s, sc, own, m, fstype, owner && !owner->held);
		}
	}
	return 0;
}

int refuse_stacking(struct report *r, struct snapshot *snap)
{
	struct stacking s = { .r = r, .snap = snap };
	size_t own = 0;

	for (size_t i = 0; i < snap->count; i++)
		own += snap->conns[i].mounts.count;
	snap->covered = calloc(own ?: 1, sizeof(*snap->covered));
	if (!snap->covered)
		return -ENOMEM;
	for (size_t i = 0; i < snap->count; i++) {
		const struct snapshot_conn *sc = &snap->conns[i];

		/* What is held stays where it is. */
		for (size_t k = 0; sc->served && !sc->held && k < sc->mounts.count; k++)
			refuse_own_mount(r, snap, sc, k);
	}
	return mounts_of(snap->own_mnt_ns ? snap->o.root : getpid(), 0, each_mount, &s);
}
