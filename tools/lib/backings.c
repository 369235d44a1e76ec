// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/fusecr.h>

#include "backings.h"
#include "mounts.h"
#include "refuse.h"

static const FuseMountEntry *mount_at(const struct message_list *mounts, size_t i)
{
	return (const FuseMountEntry *)mounts->items[i];
}

static const FuseMountEntry *find_mount(const struct message_list *mounts, uint32_t mnt_id)
{
	for (size_t i = 0; i < mounts->count; i++)
		if (mount_at(mounts, i)->mnt_id == mnt_id)
			return mount_at(mounts, i);
	return NULL;
}

static const char *below(const ProtobufCBinaryData *root, const char *path)
{
	return path + (root->len == 1 ? 0 : root->len);
}

/* From the root of the namespace; to be freed. */
static char *join(const FuseMountEntry *m, const FuseBackingEntry *e)
{
	char *path = NULL, *in = strndup((const char *)e->path.data, e->path.len);
	size_t len = m->mountpoint.len == 1 ? 0 : m->mountpoint.len;

	if (in && asprintf(&path, "%.*s%s", (int)len, m->mountpoint.data, below(&m->root, in)) < 0)
		path = NULL;
	free(in);
	return path;
}

/* The mount that lies on this one and that the path comes to next, or NULL. */
static const FuseMountEntry *next_mount(const struct message_list *mounts, const FuseMountEntry *on,
					const ProtobufCBinaryData *path)
{
	const FuseMountEntry *next = NULL;

	for (size_t i = 0; i < mounts->count; i++) {
		const FuseMountEntry *m = mount_at(mounts, i);

		if (m == on || m->parent_mnt_id != on->mnt_id || !mount_shows(&m->mountpoint, path))
			continue;
		/* What lies on the root itself, no path that begins there sees. */
		if (m->mountpoint.len > 1 && (!next || m->mountpoint.len < next->mountpoint.len))
			next = m;
	}
	return next;
}

static bool is_served(const struct snapshot *snap, const FuseMountEntry *m)
{
	for (size_t i = 0; snap && i < snap->count; i++)
		for (size_t k = 0; k < snap->conns[i].mounts.count; k++)
			if (((FuseMountEntry *)snap->conns[i].mounts.items[k])->mnt_id == m->mnt_id)
				return true;
	return false;
}

/* Goes the way that whoever opens it will go. */
static const char *follow(const struct snapshot *snap, const struct message_list *mounts,
			  const FuseMountEntry *to, const char *path)
{
	const ProtobufCBinaryData p = { strlen(path), (uint8_t *)path };
	const FuseMountEntry *at = NULL;

	for (size_t i = 0; i < mounts->count && !at; i++)
		if (!find_mount(mounts, mount_at(mounts, i)->parent_mnt_id))
			at = mount_at(mounts, i);
	for (const FuseMountEntry *next = at; next; next = next_mount(mounts, at, &p)) {
		at = next;
		if (is_served(snap, at))
			return "its path leads over a FUSE mount of the tree";
	}
	return at == to ? NULL : "it is on a mount that another one hides";
}

char *backing_path(const struct snapshot *snap, const struct message_list *mounts,
		   const FuseBackingEntry *e, const char **why)
{
	const FuseMountEntry *m = e->has_mnt_id ? find_mount(mounts, e->mnt_id) : NULL;
	char *path;

	if (e->unlinked) {
		*why = "it is deleted";
		return NULL;
	}
	if (!m || !e->has_path || !mount_shows(&m->root, &e->path)) {
		*why = "it is on no mount of the tree";
		return NULL;
	}
	path = join(m, e);
	*why = path ? follow(snap, mounts, m, path) : NULL;
	if (!*why)
		return path;
	free(path);
	return NULL;
}

void refuse_backing(struct report *r, const struct snapshot_conn *sc, const FuseBackingEntry *e,
		    const char *why)
{
	if (why)
		report_add(r, "%s: the passthrough file %.*s cannot be had again: %s", refuse_label(sc->conn),
			   (int)e->path.len, e->has_path ? (const char *)e->path.data : "", why);
}

/* One of the lists: pairs of cookies, or of a node and a cookie. */
static int add(struct snapshot_backing **list, size_t *count, uint64_t key, uint64_t inode)
{
	struct snapshot_backing *grown = *list;

	/* Grown by doubling: a power of two is full. */
	if (!(*count & (*count - 1))) {
		grown = reallocarray(grown, *count ? 2 * *count : 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		*list = grown;
	}
	grown[(*count)++] = (struct snapshot_backing){ key, inode };
	return 0;
}

static const struct snapshot_backing *find(const struct snapshot_backing *list, size_t count, uint64_t key)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].key == key)
			return &list[i];
	return NULL;
}

int backings_keep(struct snapshot_conn *sc, const FuseBackingEntry *e)
{
	return add(&sc->backings, &sc->nr_backings, e->cookie, e->inode);
}

int backings_keep_node(struct snapshot_conn *sc, const FuseInodeEntry *inode)
{
	const struct snapshot_backing *b = inode->has_backing ?
		find(sc->backings, sc->nr_backings, inode->backing) : NULL;

	return b ? add(&sc->backed, &sc->nr_backed, inode->nodeid, b->inode) : 0;
}

void backings_free(struct snapshot_conn *sc)
{
	free(sc->backings);
	free(sc->backed);
	free(sc->mapped);
	sc->backings = sc->backed = sc->mapped = NULL;
	sc->nr_backings = sc->nr_backed = sc->nr_mapped = 0;
}

bool backing_lacks(const struct snapshot_conn *sc, const FuseInodeEntry *inode)
{
	return inode->flags & FUSECR_INODE_PASSTHROUGH &&
	       !(inode->has_backing && find(sc->backings, sc->nr_backings, inode->backing));
}

int backings_keep_mapped(struct snapshot_conn *sc, const FuseFileEntry *file)
{
	const struct snapshot_backing *b = find(sc->backed, sc->nr_backed, file->nodeid);

	if (!file->n_backing || (b && b->inode == file->backing[0]->inode))
		return 0;
	return add(&sc->mapped, &sc->nr_mapped, file->nodeid, file->backing[0]->inode);
}

bool backing_lacks_file(const struct snapshot_conn *sc, const FuseFileEntry *file)
{
	return file->flags & FUSECR_FF_PASSTHROUGH && !file->n_backing &&
	       !find(sc->backed, sc->nr_backed, file->nodeid);
}

static bool is_open(const struct snapshot_conn *sc, uint64_t nodeid)
{
	for (size_t i = 0; i < sc->nr_opens; i++)
		if (sc->opens[i].nodeid == nodeid)
			return true;
	return false;
}

/* CRIU opens a node for its mapping, and only one answer can be right. */
void refuse_mapped(struct report *r, const struct snapshot_conn *sc)
{
	for (size_t i = 0; i < sc->nr_mapped; i++) {
		const struct snapshot_backing *m = &sc->mapped[i], *first;

		first = find(sc->mapped, sc->nr_mapped, m->key);
		if (is_open(sc, m->key))
			report_add(r, "%s: node %lu is mapped through passthrough, and what is open of it is not, or is another file",
				   refuse_label(sc->conn), (unsigned long)m->key);
		else if (first && first->inode != m->inode)
			report_add(r, "%s: node %lu is mapped through passthrough to several files",
				   refuse_label(sc->conn), (unsigned long)m->key);
	}
}
