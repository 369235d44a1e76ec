// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <linux/fuse.h>
#include <linux/fusecr.h>

#include "image.h"
#include "model.h"
#include "opens.h"

int model_inventory(FusecrInventoryEntry **inv, int dirfd, struct report *r)
{
	ProtobufCMessage *msg = NULL;
	int err = image_read_one(dirfd, IMAGE_INVENTORY, 0, &msg);

	*inv = (FusecrInventoryEntry *)msg;
	if (err) {
		report_add(r, "%s", image_error());
		return err;
	}
	if ((*inv)->version != IMAGE_VERSION)
		report_add(r, "the images have version %u, this fusecr reads %u", (*inv)->version, IMAGE_VERSION);
	else if ((*inv)->n_count != (*inv)->conns)
		report_add(r, "the inventory names %u connections, and counts what %zu have", (*inv)->conns,
			   (*inv)->n_count);
	else if (!(*inv)->frozen)
		report_add(r, "the images are of a running tree (fusecr dump), not of a checkpoint");
	return r->count ? -EBADMSG : 0;
}

struct node {
	uint64_t nodeid;
	uint64_t nlookup;
	const FuseInodeEntry *inode;	/* NULL: only forgets are left of it */
	const FuseFileEntry *file;	/* one that is open, or NULL */
	const FuseBackingEntry *mapped;	/* through passthrough, or NULL */
	bool held;			/* by the kernel, now */
	bool bound;			/* a unix socket is bound to it */
};

struct name {
	uint64_t parent;
	const char *name;
	size_t len;
	const FuseInodeEntry *inode;
};

struct handle {
	uint64_t cookie;	/* of the open file that has it */
};

/* Those of a node's open files that CRIU opens alike. */
struct opened {
	uint64_t nodeid;
	uint32_t key;		/* see opens.h */
	uint32_t open_flags;	/* FOPEN_* of one of them */
};

struct model {
	uint32_t id;
	FuseConnEntry *conn;
	struct message_list devs, requests, inodes, files, mounts, backings;
	void *nodes;	/* tsearch tree of struct node, by nodeid */
	void *names;	/* tsearch tree of struct name, by parent and name */
	void *deleted;	/* likewise */
	void *opened;	/* tsearch tree of struct opened, by node and key */
	void *handles;	/* tsearch tree of struct handle, by cookie */
	size_t nr_handles;
};

static int node_cmp(const void *a, const void *b)
{
	const struct node *na = a, *nb = b;

	return (na->nodeid > nb->nodeid) - (na->nodeid < nb->nodeid);
}

static int name_cmp(const void *a, const void *b)
{
	const struct name *na = a, *nb = b;
	size_t len = na->len < nb->len ? na->len : nb->len;
	int c = (na->parent > nb->parent) - (na->parent < nb->parent);

	/* An empty name may be NULL. */
	c = c || !len ? c : memcmp(na->name, nb->name, len);
	return c ?: (na->len > nb->len) - (na->len < nb->len);
}

/* gcc 12 does not see that the trees have what is put into them. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"

/* Puts a copy of the key into the tree, or finds the one that is there. */
static void *tree_put(void **root, const void *key, size_t size,
		      int (*cmp)(const void *, const void *))
{
	void **found = tfind(key, root, cmp), *copy;

	if (found)
		return *found;
	copy = malloc(size);
	if (!copy)
		return NULL;
	memcpy(copy, key, size);
	if (!tsearch(copy, root, cmp)) {
		free(copy);
		return NULL;
	}
	return copy;
}

static struct node *node_get(struct model *m, uint64_t nodeid)
{
	struct node key = { .nodeid = nodeid };

	return tree_put(&m->nodes, &key, sizeof(key), node_cmp);
}

static struct node *node_find(const struct model *m, uint64_t nodeid)
{
	struct node key = { .nodeid = nodeid };
	void **found = tfind(&key, &m->nodes, node_cmp);

	return found ? *found : NULL;
}

static int handle_cmp(const void *a, const void *b)
{
	const struct handle *ha = a, *hb = b;

	return (ha->cookie > hb->cookie) - (ha->cookie < hb->cookie);
}

static int opened_cmp(const void *a, const void *b)
{
	const struct opened *oa = a, *ob = b;
	int c = (oa->nodeid > ob->nodeid) - (oa->nodeid < ob->nodeid);

	return c ?: (oa->key > ob->key) - (oa->key < ob->key);
}

bool model_has_handle(const struct model *m, const FuseFileEntry *file)
{
	return file->has_fh &&
	       !(m->conn->no & (S_ISDIR(file->mode) ? FUSECR_NO_OPENDIR : FUSECR_NO_OPEN));
}

static int index_file(struct model *m, const FuseFileEntry *file)
{
	struct opened opened = { file->nodeid, opens_file_key(file), file->open_flags };
	struct handle key = { file->cookie };
	struct node *node = node_get(m, file->nodeid);

	if (!node)
		return -ENOMEM;
	if (file->use == FUSECR_FILE_SOCKET) {
		node->bound = true;
		return 0;
	}
	if (file->n_backing)
		node->mapped = file->backing[0];
	if (!file->has_fh)
		return 0;
	node->file = file;
	if (!tree_put(&m->opened, &opened, sizeof(opened), opened_cmp))
		return -ENOMEM;
	if (!model_has_handle(m, file) || tfind(&key, &m->handles, handle_cmp))
		return 0;
	m->nr_handles++;
	return tree_put(&m->handles, &key, sizeof(key), handle_cmp) ? 0 : -ENOMEM;
}

static int index_inode(struct model *m, const FuseInodeEntry *inode)
{
	struct node *node = node_get(m, inode->nodeid);

	if (!node)
		return -ENOMEM;
	node->inode = inode;
	node->nlookup += inode->nlookup;
	for (size_t i = 0; i < inode->n_name; i++) {
		const FuseNameEntry *e = inode->name[i];
		struct name key = { e->parent, (const char *)e->name.data, e->name.len, inode };

		void **names = e->has_unhashed && e->unhashed ? &m->deleted : &m->names;

		if (!tree_put(names, &key, sizeof(key), name_cmp))
			return -ENOMEM;
	}
	return 0;
}

/*
 * The kernel lists some of the names of a node, the newest first: that by which a
 * file was opened may be none of them.
 */
static int index_path(struct model *m, const FuseFileEntry *file)
{
	const struct node *node = node_find(m, file->nodeid);
	struct name key = { 0 };
	const char *path = (const char *)file->path.data;

	if (file->flags & (FUSECR_FF_UNLINKED | FUSECR_FF_BELOW_UNLINKED | FUSECR_FF_CONNECTED))
		return 0;
	key.name = snapshot_last_name(file, &key.len);
	if (!key.name || !key.len || !node || !node->inode)
		return 0;
	key.parent = model_resolve(m, path, key.name - path);
	key.inode = node->inode;
	return !key.parent || tree_put(&m->names, &key, sizeof(key), name_cmp) ? 0 : -ENOMEM;
}

static int index_all(struct model *m)
{
	struct node *node;
	int err;

	for (size_t i = 0; i < m->inodes.count; i++) {
		err = index_inode(m, (const FuseInodeEntry *)m->inodes.items[i]);
		if (err)
			return err;
	}
	for (size_t i = 0; i < m->requests.count; i++) {
		const FuseRequestEntry *req = (const FuseRequestEntry *)m->requests.items[i];

		if (req->state != FUSECR_REQ_FORGET)
			continue;
		node = node_get(m, req->nodeid);
		if (!node)
			return -ENOMEM;
		node->nlookup += req->nlookup;
	}
	for (size_t i = 0; i < m->files.count; i++) {
		const FuseFileEntry *file = (const FuseFileEntry *)m->files.items[i];

		err = file->has_fh || file->n_backing || file->use == FUSECR_FILE_SOCKET ?
			index_file(m, file) : 0;
		err = err ?: index_path(m, file);
		if (err)
			return err;
	}
	return 0;
}

#pragma GCC diagnostic pop

static int load_list(struct message_list *list, int dirfd, enum image_kind kind, uint32_t id)
{
	ProtobufCMessage *msg;
	struct image *img;
	int err;

	err = image_open(&img, dirfd, kind, id);
	if (err)
		return err;
	while ((err = image_read(img, &msg)) > 0) {
		err = message_list_take(list, msg);
		if (err)
			break;
	}
	image_close(img);
	return err;
}

static bool is_whole(const struct model *m, const FusecrCountEntry *count)
{
	return m->devs.count == count->devs && m->requests.count == count->requests &&
	       m->inodes.count == count->inodes && m->files.count == count->files &&
	       m->mounts.count == count->mounts && m->backings.count == count->backings;
}

int model_load(struct model **ret, int dirfd, uint32_t id, const FusecrCountEntry *count)
{
	struct model *m = calloc(1, sizeof(*m));
	ProtobufCMessage *conn = NULL;
	int err;

	*ret = NULL;
	if (!m)
		return -ENOMEM;
	m->id = id;
	err = image_read_one(dirfd, IMAGE_CONN, id, &conn);
	m->conn = (FuseConnEntry *)conn;
	if (!err)
		err = load_list(&m->requests, dirfd, IMAGE_REQUEST, id);
	if (!err)
		err = load_list(&m->inodes, dirfd, IMAGE_INODE, id);
	if (!err)
		err = load_list(&m->files, dirfd, IMAGE_FILE, id);
	if (!err)
		err = load_list(&m->mounts, dirfd, IMAGE_MOUNT, id);
	if (!err)
		err = load_list(&m->backings, dirfd, IMAGE_BACKING, id);
	/* Devices are written last, with the inventory. */
	if (!err && count)
		err = load_list(&m->devs, dirfd, IMAGE_DEV, id);
	if (!err && count && !is_whole(m, count))
		err = -EBADMSG;
	if (!err)
		err = index_all(m);
	if (err) {
		model_free(m);
		return err;
	}
	*ret = m;
	return 0;
}

void model_free(struct model *m)
{
	if (!m)
		return;
	tdestroy(m->nodes, free);
	tdestroy(m->names, free);
	tdestroy(m->deleted, free);
	tdestroy(m->opened, free);
	tdestroy(m->handles, free);
	if (m->conn)
		fuse_conn_entry__free_unpacked(m->conn, NULL);
	message_list_free(&m->devs);
	message_list_free(&m->requests);
	message_list_free(&m->inodes);
	message_list_free(&m->files);
	message_list_free(&m->mounts);
	message_list_free(&m->backings);
	free(m);
}

const FuseConnEntry *model_conn(const struct model *m)
{
	return m->conn;
}

const char *model_label(const struct model *m)
{
	static char buf[128];
	const FuseConnEntry *c = m->conn;

	snprintf(buf, sizeof(buf), "connection %u (%s)", m->id,
		 c->subtype && *c->subtype ? c->subtype : c->fstype);
	return buf;
}

const struct message_list *model_devs(const struct model *m)
{
	return &m->devs;
}

const struct message_list *model_files(const struct model *m)
{
	return &m->files;
}

const struct message_list *model_mounts(const struct model *m)
{
	return &m->mounts;
}

const struct message_list *model_requests(const struct model *m)
{
	return &m->requests;
}

const struct message_list *model_backings(const struct model *m)
{
	return &m->backings;
}

const FuseBackingEntry *model_backing(const struct model *m, const FuseInodeEntry *inode)
{
	for (size_t i = 0; inode->has_backing && i < m->backings.count; i++) {
		const FuseBackingEntry *b = (const FuseBackingEntry *)m->backings.items[i];

		if (b->cookie == inode->backing)
			return b;
	}
	return NULL;
}

const FuseBackingEntry *model_mapped(const struct model *m, uint64_t nodeid)
{
	const struct node *node = node_find(m, nodeid);

	return node ? node->mapped : NULL;
}

const FuseInodeEntry *model_inode(const struct model *m, uint64_t nodeid)
{
	const struct node *node = node_find(m, nodeid);

	return node ? node->inode : NULL;
}

const FuseInodeEntry *model_lookup(const struct model *m, uint64_t parent,
				   const char *name, size_t len)
{
	struct name key = { parent, name, len, NULL };
	void **found = tfind(&key, &m->names, name_cmp);

	return found ? (*(struct name **)found)->inode : NULL;
}

uint64_t model_resolve(const struct model *m, const char *path, size_t len)
{
	uint64_t nodeid = FUSE_ROOT_ID;
	const char *end = path + len, *slash;

	for (; nodeid && path < end; path = slash + 1) {
		const FuseInodeEntry *inode;

		slash = memchr(path, '/', end - path) ?: end;
		if (slash == path)
			continue;
		inode = model_lookup(m, nodeid, path, slash - path);
		nodeid = inode ? inode->nodeid : 0;
	}
	return nodeid;
}

const FuseInodeEntry *model_lookup_deleted(const struct model *m, uint64_t parent,
					   const char *name, size_t len)
{
	struct name key = { parent, name, len, NULL };
	void **found = tfind(&key, &m->deleted, name_cmp);

	return found ? (*(struct name **)found)->inode : NULL;
}

const FuseInodeEntry *model_lookup_told(const struct model *m, uint64_t parent,
					const char *name, size_t len)
{
	const size_t suffix = strlen(MODEL_DELETED);
	const FuseInodeEntry *i = model_lookup(m, parent, name, len);

	if (i)
		return i;
	/* On the way to what is in it a directory has nothing behind its name. */
	i = model_lookup_deleted(m, parent, name, len);
	if (i && S_ISDIR(i->mode))
		return i;
	if (len <= suffix || memcmp(name + len - suffix, MODEL_DELETED, suffix))
		return NULL;
	return model_lookup_deleted(m, parent, name, len - suffix);
}

const FuseInodeEntry *model_bound(const struct model *m, uint64_t parent,
				  const char *name, size_t len)
{
	const FuseInodeEntry *found[] = {
		model_lookup(m, parent, name, len), model_lookup_deleted(m, parent, name, len),
	};

	for (size_t i = 0; i < sizeof(found) / sizeof(*found); i++) {
		const struct node *node = found[i] ? node_find(m, found[i]->nodeid) : NULL;

		if (node && node->bound)
			return node->inode;
	}
	return NULL;
}

uint32_t model_open_flags(const struct model *m, uint64_t nodeid, uint32_t flags, uint32_t fallback)
{
	struct opened key = { .nodeid = nodeid, .key = opens_key(flags) };
	void **found = tfind(&key, &m->opened, opened_cmp);
	const struct node *node;

	if (found)
		return (*(struct opened **)found)->open_flags;
	node = node_find(m, nodeid);
	return node && node->file ? node->file->open_flags : fallback;
}

uint64_t model_nlookup(const struct model *m, uint64_t nodeid)
{
	const struct node *node = node_find(m, nodeid);

	return node ? node->nlookup : 0;
}

size_t model_handles(const struct model *m)
{
	return m->nr_handles;
}

void model_mark_held(struct model *m, uint64_t nodeid)
{
	struct node *node = node_find(m, nodeid);

	if (node)
		node->held = true;
}

bool model_is_held(const struct model *m, uint64_t nodeid)
{
	const struct node *node = node_find(m, nodeid);

	return node && node->held;
}

static void unmark(const void *nodep, VISIT which, void *arg)
{
	(void)arg;
	if (which == postorder || which == leaf)
		(*(struct node **)nodep)->held = false;
}

void model_unmark_all(struct model *m)
{
	twalk_r(m->nodes, unmark, NULL);
}

struct each {
	int (*cb)(uint64_t nodeid, uint64_t nlookup, bool held, void *arg);
	void *arg;
	int ret;
};

static void each_node(const void *nodep, VISIT which, void *arg)
{
	const struct node *node = *(const struct node **)nodep;
	struct each *e = arg;

	if ((which != postorder && which != leaf) || e->ret)
		return;
	if (node->nodeid != FUSE_ROOT_ID && node->nlookup)
		e->ret = e->cb(node->nodeid, node->nlookup, node->held, e->arg);
}

int model_each_nlookup(const struct model *m,
		       int (*cb)(uint64_t nodeid, uint64_t nlookup, bool held, void *arg),
		       void *arg)
{
	struct each e = { cb, arg, 0 };

	twalk_r(m->nodes, each_node, &e);
	return e.ret;
}
