// SPDX-License-Identifier: GPL-2.0
/* The tree: nodes, their names, open handles, content. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "rawfs_priv.h"

#define CONTROLS	3
/* link, fifo, null, and the root */
#define SPECIALS	4

uint32_t rawfs_tree_nodes(const struct rawfs_config *c)
{
	return SPECIALS + c->nr_files + c->nr_dirs +
		c->nr_dirs * c->files_per_dir + CONTROLS;
}

uint32_t rawfs_node_index(struct rawfs *fs, const struct rawfs_node *node)
{
	return node - fs->nodes;
}

struct rawfs_node *rawfs_node_get(struct rawfs *fs, uint64_t nodeid)
{
	uint64_t n = (nodeid - RAWFS_NODE_BASE) / RAWFS_NODE_STEP;

	if (nodeid == FUSE_ROOT_ID)
		return &fs->nodes[RAWFS_ROOT];
	if (nodeid <= RAWFS_NODE_BASE || nodeid % RAWFS_NODE_STEP ||
	    n >= fs->nr_nodes || !fs->nodes[n].used)
		return NULL;
	return &fs->nodes[n];
}

static void node_init(struct rawfs *fs, struct rawfs_node *node, uint32_t mode)
{
	uint32_t n = rawfs_node_index(fs, node);
	struct fuse_attr *attr = &node->attr;

	node->used = true;
	/* A node id that is used again must not look like the node it was. */
	node->generation = node->generation ? node->generation + 1 :
		0xabc000 + n;
	memset(attr, 0, sizeof(*attr));
	attr->ino = RAWFS_INO_BASE + n;
	attr->mode = mode;
	attr->nlink = S_ISDIR(mode) ? 2 : 1;
	attr->mtime = RAWFS_TIME_BASE + n;
	attr->atime = attr->mtime - 1000;
	attr->ctime = attr->mtime + 1000;
	attr->mtimensec = n * 1000 % 1000000000;
	attr->atimensec = attr->mtimensec / 2;
	attr->ctimensec = attr->mtimensec / 3;
	attr->blksize = 4096;
	attr->uid = n % 5;
	attr->gid = n % 3;
}

struct rawfs_node *rawfs_node_new(struct rawfs *fs, uint32_t mode)
{
	uint32_t n;

	for (n = 1; n < fs->nr_nodes; n++)
		if (!fs->nodes[n].used) {
			node_init(fs, &fs->nodes[n], mode);
			return &fs->nodes[n];
		}
	return NULL;
}

void rawfs_node_reap(struct rawfs *fs, struct rawfs_node *node)
{
	uint32_t generation = node->generation;

	if (node == fs->nodes || node->nlookup || node->opens ||
	    node->attr.nlink)
		return;
	free(node->data);
	free(node->target);
	rawfs_backing_unregister(fs, node);
	if (node->behind)
		close(node->behind);
	rawfs_xattr_free(node);
	memset(node, 0, sizeof(*node));
	node->generation = generation;
}

enum rawfs_control rawfs_node_control(struct rawfs *fs,
				      const struct rawfs_node *node)
{
	uint32_t end = rawfs_tree_nodes(&fs->config);
	uint32_t n = rawfs_node_index(fs, node);

	if (n >= end || n < end - CONTROLS)
		return RAWFS_CTL_NONE;
	return RAWFS_CTL_STATS + n - (end - CONTROLS);
}

static uint32_t hash(const struct rawfs *fs, uint32_t parent, const char *name)
{
	uint32_t h = parent * 2654435761u + 5381;

	while (*name)
		h = h * 33 + (unsigned char)*name++;
	return h % fs->nr_buckets;
}

struct rawfs_name *rawfs_name_find(struct rawfs *fs, uint32_t parent,
				   const char *name)
{
	int32_t n = fs->buckets[hash(fs, parent, name)];

	for (; n >= 0; n = fs->names[n].next)
		if (fs->names[n].parent == parent &&
		    strcmp(fs->names[n].name, name) == 0)
			return &fs->names[n];
	return NULL;
}

int rawfs_name_add(struct rawfs *fs, uint32_t parent, const char *name,
		   struct rawfs_node *node)
{
	int32_t *bucket = &fs->buckets[hash(fs, parent, name)];
	static uint32_t hint;
	uint32_t i, n;

	if (strlen(name) >= sizeof(fs->names->name))
		return -ENAMETOOLONG;
	for (i = 0; i < fs->nr_names; i++) {
		n = (hint + i) % fs->nr_names;
		if (fs->names[n].used)
			continue;
		hint = n + 1;
		fs->names[n].used = true;
		fs->names[n].parent = parent;
		fs->names[n].node = rawfs_node_index(fs, node);
		fs->names[n].next = *bucket;
		strcpy(fs->names[n].name, name);
		*bucket = n;
		return 0;
	}
	return -ENOSPC;
}

void rawfs_name_del(struct rawfs *fs, struct rawfs_name *name)
{
	int32_t *at = &fs->buckets[hash(fs, name->parent, name->name)];

	while (&fs->names[*at] != name)
		at = &fs->names[*at].next;
	*at = name->next;
	name->used = false;
}

bool rawfs_dir_empty(struct rawfs *fs, uint32_t dir)
{
	uint32_t n;

	for (n = 0; n < fs->nr_names; n++)
		if (fs->names[n].used && fs->names[n].parent == dir)
			return false;
	return true;
}

static struct rawfs_node *plant(struct rawfs *fs, uint32_t parent,
				const char *name, uint32_t n, uint32_t mode)
{
	struct rawfs_node *node = &fs->nodes[n];

	node_init(fs, node, mode);
	if (S_ISREG(mode)) {
		node->attr.size = (n % 8) * 4096 + n;
		node->attr.blocks = (node->attr.size + 511) / 512;
	}
	/* There is a name for every node. */
	rawfs_name_add(fs, parent, name, node);
	if (S_ISDIR(mode))
		fs->nodes[parent].attr.nlink++;
	return node;
}

static void plant_specials(struct rawfs *fs, uint32_t *n)
{
	static const char *const controls[CONTROLS] = { ".stats", ".log", ".ctl" };
	struct rawfs_node *node;
	int i;

	node = plant(fs, RAWFS_ROOT, "link", (*n)++, S_IFLNK | 0777);
	node->target = strdup("f0");
	node->attr.size = 2;
	plant(fs, RAWFS_ROOT, "fifo", (*n)++, S_IFIFO | 0666);
	node = plant(fs, RAWFS_ROOT, "null", (*n)++, S_IFCHR | 0666);
	node->attr.rdev = makedev(1, 3);
	for (i = 0; i < CONTROLS; i++) {
		node = plant(fs, RAWFS_ROOT, controls[i], (*n)++,
			     S_IFREG | 0666);
		node->attr.size = 0;
	}
}

int rawfs_tree_init(struct rawfs *fs)
{
	const struct rawfs_config *c = &fs->config;
	uint32_t n = 1, dir, d, i;
	char name[32];

	memset(fs->buckets, 0xff, fs->nr_buckets * sizeof(*fs->buckets));
	node_init(fs, fs->nodes, S_IFDIR | 0755);
	for (i = 0; i < c->nr_files; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		plant(fs, RAWFS_ROOT, name, n++, S_IFREG | 0666);
	}
	if (c->nr_files) {
		fs->nodes[1].attr.nlink = 2;
		rawfs_name_add(fs, RAWFS_ROOT, "twin", &fs->nodes[1]);
	}
	for (d = 0; d < c->nr_dirs; d++) {
		dir = n++;
		snprintf(name, sizeof(name), "dir%u", d);
		plant(fs, RAWFS_ROOT, name, dir, S_IFDIR | 0777);
		for (i = 0; i < c->files_per_dir; i++) {
			snprintf(name, sizeof(name), "f%u", i);
			plant(fs, dir, name, n++, S_IFREG | 0666);
		}
	}
	plant_specials(fs, &n);
	return n == rawfs_tree_nodes(c) ? 0 : -EINVAL;
}

void rawfs_tree_exit(struct rawfs *fs)
{
	uint32_t n;

	for (n = 0; n < fs->nr_nodes; n++) {
		free(fs->nodes[n].data);
		free(fs->nodes[n].target);
		rawfs_xattr_free(&fs->nodes[n]);
	}
	for (n = 0; n < RAWFS_MAX_HANDLES; n++)
		free(fs->handles[n].text);
}

/* The slot is part of the handle, and no handle is given twice. */
struct rawfs_handle *rawfs_handle_new(struct rawfs *fs, uint32_t node,
				      uint32_t flags, bool dir)
{
	uint32_t n = fs->next_fh % RAWFS_MAX_HANDLES, i;
	struct rawfs_handle *handle;

	for (i = 0; i < RAWFS_MAX_HANDLES; i++, n = (n + 1) % RAWFS_MAX_HANDLES) {
		handle = &fs->handles[n];
		if (handle->used && !handle->releases)
			continue;
		memset(handle, 0, sizeof(*handle));
		handle->used = true;
		handle->fh = RAWFS_FH_BASE +
			++fs->next_fh * RAWFS_MAX_HANDLES + n;
		handle->node = node;
		handle->flags = flags;
		handle->dir = dir;
		handle->opens = 1;
		fs->nodes[node].opens++;
		return handle;
	}
	return NULL;
}

struct rawfs_handle *rawfs_handle_get(struct rawfs *fs, uint64_t fh)
{
	struct rawfs_handle *handle = &fs->handles[fh % RAWFS_MAX_HANDLES];

	if (!handle->used || handle->fh != fh || handle->releases)
		return NULL;
	return handle;
}

void rawfs_handle_put(struct rawfs *fs, struct rawfs_handle *handle)
{
	struct rawfs_node *node = &fs->nodes[handle->node];

	handle->releases++;
	free(handle->text);
	handle->text = NULL;
	node->opens--;
	rawfs_node_reap(fs, node);
}

size_t rawfs_read(struct rawfs_node *node, uint64_t nodeid, void *buf,
		  size_t len, uint64_t offset)
{
	unsigned char *to = buf;
	size_t i;

	if (offset >= node->attr.size)
		return 0;
	if (len > node->attr.size - offset)
		len = node->attr.size - offset;
	if (node->behind)
		return pread(node->behind, buf, len, offset);
	if (node->data)
		memcpy(to, node->data + offset, len);
	else
		for (i = 0; i < len; i++)
			to[i] = rawfs_byte(nodeid, offset + i);
	return len;
}

/* From the first change on, content is kept in memory. */
int rawfs_resize(struct rawfs_node *node, uint64_t nodeid, uint64_t size)
{
	unsigned char *data;
	uint64_t old;

	if (size > 1ULL << 30)
		return -EFBIG;
	if (node->behind) {
		if (ftruncate(node->behind, size))
			return -errno;
		rawfs_backing_look(node);
		return 0;
	}
	data = malloc(size + 1);
	if (!data)
		return -ENOSPC;
	old = rawfs_read(node, nodeid, data, size, 0);
	memset(data + old, 0, size - old);
	free(node->data);
	node->data = data;
	node->attr.size = size;
	node->attr.blocks = (size + 511) / 512;
	return 0;
}

int rawfs_write(struct rawfs_node *node, uint64_t nodeid, const void *buf,
		size_t len, uint64_t offset)
{
	int err = 0;

	if (node->behind)
		return pwrite(node->behind, buf, len, offset) < 0 ? -errno : 0;
	if (offset + len > node->attr.size)
		err = rawfs_resize(node, nodeid, offset + len);
	else if (!node->data)
		err = rawfs_resize(node, nodeid, node->attr.size);
	if (err)
		return err;
	memcpy(node->data + offset, buf, len);
	return 0;
}

int rawfs_index(const struct rawfs *fs, const char *path)
{
	struct rawfs_name *name;
	uint32_t at = RAWFS_ROOT;
	char part[256];
	size_t len;

	for (; *path; path += len) {
		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (!len)
			break;
		if (len >= sizeof(part))
			return -1;
		memcpy(part, path, len);
		part[len] = 0;
		name = rawfs_name_find((struct rawfs *)fs, at, part);
		if (!name)
			return -1;
		at = name->node;
	}
	return at;
}

const struct rawfs_node *rawfs_node(const struct rawfs *fs, const char *path)
{
	int n = rawfs_index(fs, path);

	return n < 0 ? NULL : &fs->nodes[n];
}

const struct rawfs_handle *rawfs_handle(const struct rawfs *fs,
					const char *path, unsigned int n)
{
	int node = rawfs_index(fs, path);
	uint32_t i;

	for (i = 0; i < RAWFS_MAX_HANDLES; i++) {
		const struct rawfs_handle *handle = &fs->handles[i];

		if (handle->used && !handle->releases &&
		    (int)handle->node == node && !n--)
			return handle;
	}
	return NULL;
}
