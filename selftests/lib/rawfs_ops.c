// SPDX-License-Identifier: GPL-2.0
/* Requests about nodes and names, and the table of all requests. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "rawfs_priv.h"

struct rawfs_node *rawfs_req_node(struct rawfs_req *req)
{
	struct rawfs_node *node = rawfs_node_get(req->fs, req->h->nodeid);

	if (!node)
		rawfs_impossible(req->fs, "%s of unknown node %#llx",
				 rawfs_opcode_name(req->h->opcode),
				 (unsigned long long)req->h->nodeid);
	if (node != req->fs->nodes && !node->nlookup && !node->opens)
		rawfs_impossible(req->fs, "%s of forgotten node %#llx",
				 rawfs_opcode_name(req->h->opcode),
				 (unsigned long long)req->h->nodeid);
	rawfs_backing_look(node);
	return node;
}

const void *rawfs_req_arg(struct rawfs_req *req, size_t len)
{
	const void *arg = req->arg;

	if (len > req->arg_len)
		rawfs_impossible(req->fs, "%s with %zu bytes of argument",
				 rawfs_opcode_name(req->h->opcode),
				 req->arg_len);
	req->arg = (const char *)arg + len;
	req->arg_len -= len;
	return arg;
}

const char *rawfs_req_name(struct rawfs_req *req)
{
	return rawfs_req_arg(req, strnlen(req->arg, req->arg_len) + 1);
}

void *rawfs_req_out(struct rawfs_req *req, size_t len)
{
	void *out = req->out + req->out_len;

	memset(out, 0, len);
	req->out_len += len;
	return out;
}

/* Fills @out and counts the lookup, to be taken back if nobody gets it. */
void rawfs_req_entry(struct rawfs_req *req, struct rawfs_node *node,
		     struct fuse_entry_out *out)
{
	const struct rawfs_config *c = &req->fs->config;
	uint32_t n = rawfs_node_index(req->fs, node);

	out->nodeid = rawfs_nodeid(n);
	out->generation = node->generation;
	out->entry_valid = c->entry_ms / 1000;
	out->entry_valid_nsec = c->entry_ms % 1000 * 1000000;
	out->attr_valid = c->attr_ms / 1000;
	out->attr_valid_nsec = c->attr_ms % 1000 * 1000000;
	rawfs_backing_look(node);
	out->attr = node->attr;
	node->nlookup++;
	node->lookups++;
	req->looked_up[req->nr_looked_up++] = n;
}

static int do_init(struct rawfs_req *req)
{
	struct rawfs *fs = req->fs;
	struct fuse_init_out *out = rawfs_req_out(req, sizeof(*out));
	const struct fuse_init_in *in = req->arg;
	size_t len = req->arg_len < sizeof(*in) ? req->arg_len : sizeof(*in);

	memcpy(&fs->init_in, in, len);
	*out = fs->config.init;
	if (!out->major)
		out->major = FUSE_KERNEL_VERSION;
	return 0;
}

/* To be believed for a while. */
static int no_entry(struct rawfs_req *req)
{
	unsigned int ms = req->fs->config.negative_ms;
	struct fuse_entry_out *out;

	if (!ms)
		return -ENOENT;
	out = rawfs_req_out(req, sizeof(*out));
	out->entry_valid = ms / 1000;
	out->entry_valid_nsec = ms % 1000 * 1000000;
	return 0;
}

static int do_lookup(struct rawfs_req *req)
{
	struct rawfs_node *dir = rawfs_req_node(req);
	struct rawfs_name *name =
		rawfs_name_find(req->fs, rawfs_node_index(req->fs, dir),
				rawfs_req_name(req));

	if (!name)
		return no_entry(req);
	rawfs_req_entry(req, &req->fs->nodes[name->node],
			rawfs_req_out(req, sizeof(struct fuse_entry_out)));
	return 0;
}

static void forget(struct rawfs_req *req, uint64_t nodeid, uint64_t nlookup)
{
	struct rawfs_node *node = rawfs_node_get(req->fs, nodeid);

	/* The root is never looked up, and forgotten once at the end. */
	if (nodeid == FUSE_ROOT_ID)
		return;
	if (!node)
		rawfs_impossible(req->fs, "FORGET of unknown node %#llx",
				 (unsigned long long)nodeid);
	if (nlookup > node->nlookup)
		rawfs_impossible(req->fs,
				 "FORGET of %llu lookups of node %#llx, which has %llu",
				 (unsigned long long)nlookup,
				 (unsigned long long)nodeid,
				 (unsigned long long)node->nlookup);
	node->nlookup -= nlookup;
	rawfs_node_reap(req->fs, node);
}

static int do_forget(struct rawfs_req *req)
{
	const struct fuse_forget_in *in = rawfs_req_arg(req, sizeof(*in));

	forget(req, req->h->nodeid, in->nlookup);
	return RAWFS_NO_REPLY;
}

static int do_batch_forget(struct rawfs_req *req)
{
	const struct fuse_batch_forget_in *in = rawfs_req_arg(req, sizeof(*in));
	const struct fuse_forget_one *one;
	uint32_t i;

	for (i = 0; i < in->count; i++) {
		one = rawfs_req_arg(req, sizeof(*one));
		forget(req, one->nodeid, one->nlookup);
	}
	return RAWFS_NO_REPLY;
}

static int put_attr(struct rawfs_req *req, const struct rawfs_node *node)
{
	struct fuse_attr_out *out = rawfs_req_out(req, sizeof(*out));

	out->attr_valid = req->fs->config.attr_ms / 1000;
	out->attr_valid_nsec = req->fs->config.attr_ms % 1000 * 1000000;
	out->attr = node->attr;
	return 0;
}

static int do_getattr(struct rawfs_req *req)
{
	const struct fuse_getattr_in *in = rawfs_req_arg(req, sizeof(*in));
	struct rawfs_node *node = rawfs_req_node(req);

	if (in->getattr_flags & FUSE_GETATTR_FH)
		rawfs_req_handle(req, in->fh, FUSE_OPEN);
	return put_attr(req, node);
}

/* Times that are 0, but for the one that only this request asks for. */
static int do_statx(struct rawfs_req *req)
{
	const struct fuse_statx_in *in = rawfs_req_arg(req, sizeof(*in));
	const struct rawfs_node *node = rawfs_req_node(req);
	struct fuse_statx_out *out = rawfs_req_out(req, sizeof(*out));
	struct fuse_statx *stat = &out->stat;

	if (in->getattr_flags & FUSE_GETATTR_FH)
		rawfs_req_handle(req, in->fh, FUSE_OPEN);
	out->attr_valid = req->fs->config.attr_ms / 1000;
	stat->mask = STATX_BASIC_STATS | STATX_BTIME;
	stat->blksize = node->attr.blksize;
	stat->nlink = node->attr.nlink;
	stat->uid = node->attr.uid;
	stat->gid = node->attr.gid;
	stat->mode = node->attr.mode;
	stat->ino = node->attr.ino;
	stat->size = node->attr.size;
	stat->blocks = node->attr.blocks;
	stat->btime.tv_sec = RAWFS_TIME_BASE;
	return 0;
}

static void set_time(uint64_t *sec, uint32_t *nsec, bool now, uint64_t to,
		     uint32_t to_nsec)
{
	struct timespec ts;

	if (now) {
		clock_gettime(CLOCK_REALTIME, &ts);
		to = ts.tv_sec;
		to_nsec = ts.tv_nsec;
	}
	*sec = to;
	*nsec = to_nsec;
}

static int do_setattr(struct rawfs_req *req)
{
	const struct fuse_setattr_in *in = rawfs_req_arg(req, sizeof(*in));
	struct rawfs_node *node = rawfs_req_node(req);
	struct fuse_attr *attr = &node->attr;
	int err;

	if (in->valid & FATTR_FH)
		rawfs_req_handle(req, in->fh, FUSE_OPEN);
	if (in->valid & FATTR_SIZE) {
		err = rawfs_resize(node, req->h->nodeid, in->size);
		if (err)
			return err;
	}
	if (in->valid & FATTR_MODE)
		attr->mode = (attr->mode & S_IFMT) | (in->mode & 07777);
	if (in->valid & FATTR_UID)
		attr->uid = in->uid;
	if (in->valid & FATTR_GID)
		attr->gid = in->gid;
	if (in->valid & FATTR_ATIME)
		set_time(&attr->atime, &attr->atimensec,
			 in->valid & FATTR_ATIME_NOW, in->atime, in->atimensec);
	if (in->valid & FATTR_MTIME)
		set_time(&attr->mtime, &attr->mtimensec,
			 in->valid & FATTR_MTIME_NOW, in->mtime, in->mtimensec);
	if (in->valid & FATTR_CTIME)
		set_time(&attr->ctime, &attr->ctimensec, false, in->ctime,
			 in->ctimensec);
	return put_attr(req, node);
}

static int do_readlink(struct rawfs_req *req)
{
	struct rawfs_node *node = rawfs_req_node(req);
	size_t len;

	if (!node->target)
		return -EINVAL;
	len = strlen(node->target);
	memcpy(rawfs_req_out(req, len), node->target, len);
	return 0;
}

/* A new node under the request's node, without an answer yet. */
static int make(struct rawfs_req *req, const char *name, uint32_t mode,
		struct rawfs_node **made)
{
	struct rawfs_node *dir = rawfs_req_node(req), *node;
	uint32_t n = rawfs_node_index(req->fs, dir);
	int err;

	if (rawfs_name_find(req->fs, n, name))
		return -EEXIST;
	node = rawfs_node_new(req->fs, mode);
	if (!node)
		return -ENOSPC;
	err = rawfs_name_add(req->fs, n, name, node);
	if (err) {
		node->attr.nlink = 0;
		rawfs_node_reap(req->fs, node);
		return err;
	}
	node->attr.uid = req->h->uid;
	node->attr.gid = req->h->gid;
	if (S_ISDIR(mode))
		dir->attr.nlink++;
	*made = node;
	return 0;
}

static int make_entry(struct rawfs_req *req, const char *name, uint32_t mode,
		      struct rawfs_node **made)
{
	int err = make(req, name, mode, made);

	if (!err)
		rawfs_req_entry(req, *made,
				rawfs_req_out(req, sizeof(struct fuse_entry_out)));
	return err;
}

static int do_mknod(struct rawfs_req *req)
{
	const struct fuse_mknod_in *in = rawfs_req_arg(req, sizeof(*in));
	struct rawfs_node *node;
	int err = make_entry(req, rawfs_req_name(req), in->mode, &node);

	if (!err) {
		node->attr.rdev = in->rdev;
		((struct fuse_entry_out *)req->out)->attr.rdev = in->rdev;
	}
	return err;
}

static int do_mkdir(struct rawfs_req *req)
{
	const struct fuse_mkdir_in *in = rawfs_req_arg(req, sizeof(*in));
	struct rawfs_node *node;

	return make_entry(req, rawfs_req_name(req),
			  S_IFDIR | (in->mode & 07777), &node);
}

static int do_symlink(struct rawfs_req *req)
{
	const char *name = rawfs_req_name(req);
	const char *target = rawfs_req_name(req);
	struct rawfs_node *node;
	int err = make(req, name, S_IFLNK | 0777, &node);

	if (err)
		return err;
	node->target = strdup(target);
	node->attr.size = strlen(target);
	rawfs_req_entry(req, node,
			rawfs_req_out(req, sizeof(struct fuse_entry_out)));
	return 0;
}

static int do_create(struct rawfs_req *req)
{
	const struct fuse_create_in *in = rawfs_req_arg(req, sizeof(*in));
	struct rawfs_node *node;
	int err = make_entry(req, rawfs_req_name(req),
			     S_IFREG | (in->mode & 07777), &node);

	if (!err)
		rawfs_req_open(req, node, in->flags, false,
			       rawfs_req_out(req, sizeof(struct fuse_open_out)));
	return err;
}

/* A file without a name. */
static int do_tmpfile(struct rawfs_req *req)
{
	const struct fuse_create_in *in = rawfs_req_arg(req, sizeof(*in));
	struct rawfs_node *node;

	rawfs_req_node(req);
	node = rawfs_node_new(req->fs, S_IFREG | (in->mode & 07777));
	if (!node)
		return -ENOSPC;
	node->attr.nlink = 0;
	node->attr.uid = req->h->uid;
	node->attr.gid = req->h->gid;
	rawfs_req_entry(req, node,
			rawfs_req_out(req, sizeof(struct fuse_entry_out)));
	rawfs_req_open(req, node, in->flags, false,
		       rawfs_req_out(req, sizeof(struct fuse_open_out)));
	return 0;
}

static int do_link(struct rawfs_req *req)
{
	const struct fuse_link_in *in = rawfs_req_arg(req, sizeof(*in));
	struct rawfs_node *dir = rawfs_req_node(req);
	struct rawfs_node *node = rawfs_node_get(req->fs, in->oldnodeid);
	uint32_t n = rawfs_node_index(req->fs, dir);
	const char *name = rawfs_req_name(req);
	int err;

	if (!node)
		rawfs_impossible(req->fs, "LINK of unknown node %#llx",
				 (unsigned long long)in->oldnodeid);
	if (rawfs_name_find(req->fs, n, name))
		return -EEXIST;
	err = rawfs_name_add(req->fs, n, name, node);
	if (err)
		return err;
	node->attr.nlink++;
	rawfs_req_entry(req, node,
			rawfs_req_out(req, sizeof(struct fuse_entry_out)));
	return 0;
}

static void unlink_name(struct rawfs *fs, struct rawfs_name *name)
{
	struct rawfs_node *node = &fs->nodes[name->node];

	if (S_ISDIR(node->attr.mode)) {
		fs->nodes[name->parent].attr.nlink--;
		node->attr.nlink = 0;
	} else {
		node->attr.nlink--;
	}
	rawfs_name_del(fs, name);
	rawfs_node_reap(fs, node);
}

static int do_unlink(struct rawfs_req *req)
{
	struct rawfs_node *dir = rawfs_req_node(req);
	struct rawfs_name *name =
		rawfs_name_find(req->fs, rawfs_node_index(req->fs, dir),
				rawfs_req_name(req));
	struct rawfs_node *node;

	if (!name)
		return -ENOENT;
	node = &req->fs->nodes[name->node];
	if (S_ISDIR(node->attr.mode) != (req->h->opcode == FUSE_RMDIR))
		return S_ISDIR(node->attr.mode) ? -EISDIR : -ENOTDIR;
	if (S_ISDIR(node->attr.mode) && !rawfs_dir_empty(req->fs, name->node))
		return -ENOTEMPTY;
	unlink_name(req->fs, name);
	return 0;
}

static int do_rename(struct rawfs_req *req)
{
	const struct fuse_rename2_in *in2 = req->arg;
	uint32_t flags = req->h->opcode == FUSE_RENAME2 ? in2->flags : 0;
	const struct fuse_rename_in *in =
		rawfs_req_arg(req, req->h->opcode == FUSE_RENAME2 ?
			      sizeof(*in2) : sizeof(*in));
	struct rawfs_node *dir = rawfs_req_node(req), *node;
	struct rawfs_node *to = rawfs_node_get(req->fs, in->newdir);
	struct rawfs_name *old, *new;
	const char *name;
	uint32_t n;

	if (!to)
		rawfs_impossible(req->fs, "RENAME to unknown node %#llx",
				 (unsigned long long)in->newdir);
	old = rawfs_name_find(req->fs, rawfs_node_index(req->fs, dir),
			      rawfs_req_name(req));
	name = rawfs_req_name(req);
	n = rawfs_node_index(req->fs, to);
	new = rawfs_name_find(req->fs, n, name);
	if (!old)
		return -ENOENT;
	if (flags & ~1)			/* RENAME_NOREPLACE */
		return -EINVAL;
	if (new && flags)
		return -EEXIST;
	if (new && !rawfs_dir_empty(req->fs, new->node))
		return -ENOTEMPTY;
	if (new == old)
		return 0;
	if (new)
		unlink_name(req->fs, new);
	node = &req->fs->nodes[old->node];
	if (S_ISDIR(node->attr.mode)) {
		dir->attr.nlink--;
		to->attr.nlink++;
	}
	rawfs_name_del(req->fs, old);
	return rawfs_name_add(req->fs, n, name, node);
}

static int do_statfs(struct rawfs_req *req)
{
	struct fuse_statfs_out *out = rawfs_req_out(req, sizeof(*out));

	out->st.blocks = 1 << 20;
	out->st.bfree = 1 << 19;
	out->st.bavail = 1 << 18;
	out->st.files = req->fs->nr_nodes;
	out->st.bsize = 4096;
	out->st.frsize = 4096;
	out->st.namelen = 255;
	return 0;
}

static int do_access(struct rawfs_req *req)
{
	rawfs_req_node(req);
	return 0;
}

static int do_interrupt(struct rawfs_req *req)
{
	const struct fuse_interrupt_in *in = rawfs_req_arg(req, sizeof(*in));

	req->fs->interrupts++;
	/* What is not held has been answered; the two have crossed. */
	if (!req->fs->config.ignore_interrupts)
		rawfs_answer_held(req->fs, 0, in->unique, -EINTR);
	return RAWFS_NO_REPLY;
}

/* Has what the file has, and is the answer to what was asked. */
static int do_notify_reply(struct rawfs_req *req)
{
	const struct fuse_notify_retrieve_in *in = rawfs_req_arg(req, sizeof(*in));
	const unsigned char *got = rawfs_req_arg(req, in->size);
	struct rawfs_node *node = rawfs_req_node(req);
	unsigned char *data = malloc(in->size + 1);

	if (req->h->nodeid != req->fs->retrieve || req->h->unique != RAWFS_RETRIEVE ||
	    rawfs_read(node, req->h->nodeid, data, in->size, in->offset) != in->size ||
	    memcmp(data, got, in->size))
		rawfs_impossible(req->fs, "NOTIFY_REPLY of %u bytes of %#llx", in->size,
				 (unsigned long long)req->h->nodeid);
	free(data);
	req->fs->retrieved += in->size;
	return RAWFS_NO_REPLY;
}

static int do_destroy(struct rawfs_req *req)
{
	req->fs->destroyed = true;
	return 0;
}

/* Where the request names an open handle, for the log. */
uint64_t rawfs_req_fh(const struct fuse_in_header *h, const void *arg)
{
	switch (h->opcode) {
	case FUSE_READ:
	case FUSE_WRITE:
	case FUSE_RELEASE:
	case FUSE_FSYNC:
	case FUSE_FLUSH:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
	case FUSE_RELEASEDIR:
	case FUSE_FSYNCDIR:
	case FUSE_GETLK:
	case FUSE_SETLK:
	case FUSE_SETLKW:
	case FUSE_POLL:
	case FUSE_FALLOCATE:
	case FUSE_LSEEK:
	case FUSE_IOCTL:
	case FUSE_COPY_FILE_RANGE:
	case RAWFS_COPY_FILE_RANGE_64:
		return *(const uint64_t *)arg;
	default:
		return 0;
	}
}

/* Whom a request names as the owner of locks, for the log. */
uint64_t rawfs_req_owner(const struct fuse_in_header *h, const void *arg)
{
	const struct fuse_release_in *release = arg;
	const struct fuse_setattr_in *setattr = arg;
	const struct fuse_write_in *write = arg;
	const struct fuse_read_in *read = arg;

	switch (h->opcode) {
	case FUSE_GETLK:
	case FUSE_SETLK:
	case FUSE_SETLKW:
		return ((const struct fuse_lk_in *)arg)->owner;
	case FUSE_FLUSH:
		return ((const struct fuse_flush_in *)arg)->lock_owner;
	case FUSE_RELEASE:
		return (release->release_flags & FUSE_RELEASE_FLOCK_UNLOCK) ?
		       release->lock_owner : 0;
	case FUSE_READ:
		return (read->read_flags & FUSE_READ_LOCKOWNER) ?
		       read->lock_owner : 0;
	case FUSE_WRITE:
		return (write->write_flags & FUSE_WRITE_LOCKOWNER) ?
		       write->lock_owner : 0;
	case FUSE_SETATTR:
		return (setattr->valid & FATTR_LOCKOWNER) ?
		       setattr->lock_owner : 0;
	default:
		return 0;
	}
}

static const struct {
	const char *name;
	int (*answer)(struct rawfs_req *req);
} ops[RAWFS_OPCODES] = {
	[FUSE_LOOKUP]		= { "LOOKUP", do_lookup },
	[FUSE_FORGET]		= { "FORGET", do_forget },
	[FUSE_GETATTR]		= { "GETATTR", do_getattr },
	[FUSE_SETATTR]		= { "SETATTR", do_setattr },
	[FUSE_READLINK]		= { "READLINK", do_readlink },
	[FUSE_SYMLINK]		= { "SYMLINK", do_symlink },
	[FUSE_MKNOD]		= { "MKNOD", do_mknod },
	[FUSE_MKDIR]		= { "MKDIR", do_mkdir },
	[FUSE_UNLINK]		= { "UNLINK", do_unlink },
	[FUSE_RMDIR]		= { "RMDIR", do_unlink },
	[FUSE_RENAME]		= { "RENAME", do_rename },
	[FUSE_LINK]		= { "LINK", do_link },
	[FUSE_OPEN]		= { "OPEN", rawfs_do_open },
	[FUSE_READ]		= { "READ", rawfs_do_read },
	[FUSE_WRITE]		= { "WRITE", rawfs_do_write },
	[FUSE_STATFS]		= { "STATFS", do_statfs },
	[FUSE_RELEASE]		= { "RELEASE", rawfs_do_release },
	[FUSE_FSYNC]		= { "FSYNC", rawfs_do_fsync },
	[FUSE_SETXATTR]		= { "SETXATTR", rawfs_do_setxattr },
	[FUSE_GETXATTR]		= { "GETXATTR", rawfs_do_getxattr },
	[FUSE_LISTXATTR]	= { "LISTXATTR", rawfs_do_listxattr },
	[FUSE_REMOVEXATTR]	= { "REMOVEXATTR", rawfs_do_removexattr },
	[FUSE_FLUSH]		= { "FLUSH", rawfs_do_flush },
	[FUSE_INIT]		= { "INIT", do_init },
	[FUSE_OPENDIR]		= { "OPENDIR", rawfs_do_open },
	[FUSE_READDIR]		= { "READDIR", rawfs_do_readdir },
	[FUSE_RELEASEDIR]	= { "RELEASEDIR", rawfs_do_release },
	[FUSE_FSYNCDIR]		= { "FSYNCDIR", rawfs_do_fsync },
	[FUSE_GETLK]		= { "GETLK", rawfs_do_lock },
	[FUSE_SETLK]		= { "SETLK", rawfs_do_lock },
	[FUSE_SETLKW]		= { "SETLKW", rawfs_do_lock },
	[FUSE_ACCESS]		= { "ACCESS", do_access },
	[FUSE_CREATE]		= { "CREATE", do_create },
	[FUSE_INTERRUPT]	= { "INTERRUPT", do_interrupt },
	[FUSE_BMAP]		= { "BMAP" },
	[FUSE_DESTROY]		= { "DESTROY", do_destroy },
	[FUSE_IOCTL]		= { "IOCTL", rawfs_do_ioctl },
	[FUSE_POLL]		= { "POLL", rawfs_do_poll },
	[FUSE_NOTIFY_REPLY]	= { "NOTIFY_REPLY", do_notify_reply },
	[FUSE_BATCH_FORGET]	= { "BATCH_FORGET", do_batch_forget },
	[FUSE_FALLOCATE]	= { "FALLOCATE", rawfs_do_fallocate },
	[FUSE_READDIRPLUS]	= { "READDIRPLUS", rawfs_do_readdir },
	[FUSE_RENAME2]		= { "RENAME2", do_rename },
	[FUSE_LSEEK]		= { "LSEEK", rawfs_do_lseek },
	[FUSE_COPY_FILE_RANGE]	= { "COPY_FILE_RANGE", rawfs_do_copy },
	[FUSE_SYNCFS]		= { "SYNCFS" },
	[FUSE_TMPFILE]		= { "TMPFILE", do_tmpfile },
	[FUSE_STATX]		= { "STATX", do_statx },
	[RAWFS_COPY_FILE_RANGE_64] = { "COPY_FILE_RANGE_64", rawfs_do_copy },
};

const char *rawfs_opcode_name(uint32_t opcode)
{
	if (opcode >= RAWFS_OPCODES || !ops[opcode].name)
		return "UNKNOWN";
	return ops[opcode].name;
}

uint32_t rawfs_opcode(const char *name)
{
	uint32_t n;

	for (n = 1; n < RAWFS_OPCODES; n++)
		if (ops[n].name && strcmp(ops[n].name, name) == 0)
			return n;
	return 0;
}

int rawfs_dispatch(struct rawfs_req *req)
{
	uint32_t opcode = req->h->opcode;

	if (opcode >= RAWFS_OPCODES)
		return -ENOSYS;
	if (req->fs->config.enosys >> opcode & 1)
		return -ENOSYS;
	if (!ops[opcode].answer)
		return -ENOSYS;
	return ops[opcode].answer(req);
}
