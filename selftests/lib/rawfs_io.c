// SPDX-License-Identifier: GPL-2.0
/* Requests about open handles. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/fs.h>

#include "rawfs_priv.h"

/* NULL when there are no handles, since OPEN is not implemented. */
struct rawfs_handle *rawfs_req_handle(struct rawfs_req *req, uint64_t fh,
				      uint32_t open_opcode)
{
	struct rawfs_handle *handle = rawfs_handle_get(req->fs, fh);

	if (!fh && req->fs->config.enosys >> open_opcode & 1)
		return NULL;
	if (!handle)
		rawfs_impossible(req->fs, "%s of unknown handle %#llx",
				 rawfs_opcode_name(req->h->opcode),
				 (unsigned long long)fh);
	if (rawfs_nodeid(handle->node) != req->h->nodeid)
		rawfs_impossible(req->fs,
				 "%s of handle %#llx, node %#llx by node %#llx",
				 rawfs_opcode_name(req->h->opcode),
				 (unsigned long long)fh,
				 (unsigned long long)rawfs_nodeid(handle->node),
				 (unsigned long long)req->h->nodeid);
	return handle;
}

void rawfs_req_open(struct rawfs_req *req, struct rawfs_node *node,
		    uint32_t flags, bool dir, struct fuse_open_out *out)
{
	const struct rawfs_config *c = &req->fs->config;
	struct rawfs_handle *handle =
		rawfs_handle_new(req->fs, rawfs_node_index(req->fs, node),
				 flags, dir);

	if (!handle)
		rawfs_impossible(req->fs, "more than %d open handles",
				 RAWFS_MAX_HANDLES);
	req->opened = handle;
	out->fh = handle->fh;
	out->open_flags = dir ? c->opendir_flags :
			  flags & O_DIRECT && c->direct_flags ? c->direct_flags : c->open_flags;
	switch (rawfs_node_control(req->fs, node)) {
	case RAWFS_CTL_STATS:
		handle->text = rawfs_stats_text(req->fs, &handle->text_len);
		break;
	case RAWFS_CTL_LOG:
		handle->text = rawfs_log_text(req->fs, &handle->text_len);
		break;
	case RAWFS_CTL_CTL:
		break;
	default:
		rawfs_backing_open(req, node, out);
		return;
	}
	/* Its size is not known before it is opened. */
	out->open_flags = FOPEN_DIRECT_IO;
}

int rawfs_do_open(struct rawfs_req *req)
{
	const struct fuse_open_in *in = rawfs_req_arg(req, sizeof(*in));
	struct rawfs_node *node = rawfs_req_node(req);
	int err;

	if (in->flags & O_TRUNC && S_ISREG(node->attr.mode) &&
	    !rawfs_node_control(req->fs, node)) {
		err = rawfs_resize(node, req->h->nodeid, 0);
		if (err)
			return err;
	}
	rawfs_req_open(req, node, in->flags, req->h->opcode == FUSE_OPENDIR,
		       rawfs_req_out(req, sizeof(struct fuse_open_out)));
	return 0;
}

int rawfs_do_release(struct rawfs_req *req)
{
	const struct fuse_release_in *in = rawfs_req_arg(req, sizeof(*in));
	bool dir = req->h->opcode == FUSE_RELEASEDIR;
	struct rawfs_node *node;
	struct rawfs_handle *handle =
		rawfs_req_handle(req, in->fh, dir ? FUSE_OPENDIR : FUSE_OPEN);

	if (!handle || handle->dir != dir)
		rawfs_impossible(req->fs, "%s of handle %#llx",
				 rawfs_opcode_name(req->h->opcode),
				 (unsigned long long)in->fh);
	if (!dir)
		rawfs_lock_release(req->fs, handle->node, in->fh,
				   in->release_flags & FUSE_RELEASE_FLOCK_UNLOCK,
				   in->lock_owner);
	node = &req->fs->nodes[handle->node];
	if (node->opens == 1 && !req->fs->config.keep_ids)
		rawfs_backing_unregister(req->fs, node);
	rawfs_handle_put(req->fs, handle);
	return 0;
}

int rawfs_do_read(struct rawfs_req *req)
{
	const struct fuse_read_in *in = rawfs_req_arg(req, sizeof(*in));
	struct rawfs_node *node = rawfs_req_node(req);
	struct rawfs_handle *handle = rawfs_req_handle(req, in->fh, FUSE_OPEN);
	size_t len = in->size;

	if (len > RAWFS_MAX_WRITE)
		len = RAWFS_MAX_WRITE;
	if (!handle || !handle->text) {
		node->reads++;
		req->out_len = rawfs_read(node, req->h->nodeid, req->out, len,
					  in->offset);
		return 0;
	}
	if (in->offset >= handle->text_len)
		return 0;
	if (len > handle->text_len - in->offset)
		len = handle->text_len - in->offset;
	memcpy(rawfs_req_out(req, len), handle->text + in->offset, len);
	return 0;
}

/* Those who wait are told. */
static void notify_polled(struct rawfs_req *req)
{
	struct rawfs *fs = req->fs;
	struct {
		struct fuse_out_header h;
		struct fuse_notify_poll_wakeup_out out;
	} msg = { .h = { .len = sizeof(msg), .error = FUSE_NOTIFY_POLL } };

	for (uint32_t n = 0; n < RAWFS_MAX_HANDLES; n++) {
		const struct rawfs_handle *handle = &fs->handles[n];

		msg.out.kh = handle->kh;
		if (handle->used && !handle->releases && handle->kh &&
		    write(fs->fd[req->instance], &msg, sizeof(msg)) < 0)
			rawfs_impossible(fs, "nobody has kh %#llx",
					 (unsigned long long)handle->kh);
	}
}

static int control(struct rawfs_req *req, const char *text, size_t len)
{
	char line[64], opcode[32] = "";
	uint32_t n;

	if (len >= sizeof(line))
		return -EINVAL;
	memcpy(line, text, len);
	line[len] = 0;
	if (sscanf(line, "hold %31s", opcode) == 1 ||
	    sscanf(line, "late %31s", opcode) == 1) {
		n = rawfs_opcode(opcode);
		if (!n)
			return -EINVAL;
		req->fs->late = *line == 'l';
		req->fs->hold[n] = true;
		return 0;
	}
	/* What OPEN answers from now on. */
	if (sscanf(line, "open %u", &req->fs->config.open_flags) == 1)
		return 0;
	if (strncmp(line, "release", 7) == 0) {
		sscanf(line, "release %31s", opcode);
		n = rawfs_opcode(opcode);
		if (*opcode && !n)
			return -EINVAL;
		rawfs_release(req->fs, n);
		rawfs_answer_held(req->fs, n, 0, 0);
		return 0;
	}
	if (sscanf(line, "retrieve %31s", opcode) == 1) {
		const struct rawfs_name *name = rawfs_name_find(req->fs, RAWFS_ROOT, opcode);

		if (!name)
			return -ENOENT;
		req->fs->retrieve = rawfs_nodeid(name->node);
		return 0;
	}
	if (strcmp(line, "unregister") == 0) {
		for (n = 0; n < req->fs->nr_nodes; n++)
			rawfs_backing_unregister(req->fs, &req->fs->nodes[n]);
		return 0;
	}
	if (strcmp(line, "full") == 0 || strcmp(line, "roomy") == 0) {
		req->fs->full = *line == 'f';
		return 0;
	}
	if (strcmp(line, "flusher") == 0)
		return prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) ? -errno : 0;
	if (strcmp(line, "ready") == 0 || strcmp(line, "unready") == 0) {
		req->fs->ready = *line == 'r';
		if (req->fs->ready)
			notify_polled(req);
		return 0;
	}
	return -EINVAL;
}

int rawfs_do_write(struct rawfs_req *req)
{
	const struct fuse_write_in *in = rawfs_req_arg(req, sizeof(*in));
	struct rawfs_node *node = rawfs_req_node(req);
	const void *data = rawfs_req_arg(req, in->size);
	struct fuse_write_out *out = rawfs_req_out(req, sizeof(*out));
	int err;

	rawfs_req_handle(req, in->fh, FUSE_OPEN);
	if (rawfs_node_control(req->fs, node) == RAWFS_CTL_CTL)
		err = control(req, data, in->size);
	else if (req->fs->full)
		err = -ENOSPC;
	else
		err = rawfs_write(node, req->h->nodeid, data, in->size,
				  in->offset);
	out->size = in->size;
	return err;
}

/* One name; false when it does not fit. Offsets are those of names, plus 3. */
static bool put_dirent(struct rawfs_req *req, size_t size, uint64_t offset,
		       const char *name, struct rawfs_node *node, bool look_up)
{
	bool plus = req->h->opcode == FUSE_READDIRPLUS;
	size_t len = strlen(name);
	size_t need = plus ? FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET_DIRENTPLUS + len) :
		FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + len);
	struct fuse_direntplus *entry;
	struct fuse_dirent *dirent;
	void *out;

	if (req->out_len + need > size)
		return false;
	out = rawfs_req_out(req, need);
	dirent = out;
	if (plus) {
		entry = out;
		dirent = &entry->dirent;
		/* A node id of 0 gives no reference. */
		if (look_up)
			rawfs_req_entry(req, node, &entry->entry_out);
	}
	dirent->ino = node->attr.ino;
	dirent->off = req->fs->config.cookies + offset;
	dirent->namelen = len;
	dirent->type = node->attr.mode >> 12;
	memcpy(dirent->name, name, len);
	return true;
}

int rawfs_do_readdir(struct rawfs_req *req)
{
	const struct fuse_read_in *in = rawfs_req_arg(req, sizeof(*in));
	struct rawfs_node *node = rawfs_req_node(req);
	uint32_t dir = rawfs_node_index(req->fs, node), n;
	struct rawfs *fs = req->fs;
	uint64_t offset = in->offset ? in->offset - fs->config.cookies : 0;
	size_t size = in->size;

	rawfs_req_handle(req, in->fh, FUSE_OPENDIR);
	if (size > RAWFS_MAX_WRITE)
		size = RAWFS_MAX_WRITE;
	if (offset < 1 && !put_dirent(req, size, 1, ".", node, false))
		return 0;
	if (offset < 2 && !put_dirent(req, size, 2, "..", node, false))
		return 0;
	for (n = offset < 3 ? 0 : offset - 2; n < fs->nr_names; n++) {
		struct rawfs_name *name = &fs->names[n];

		if (!name->used || name->parent != dir)
			continue;
		if (!put_dirent(req, size, n + 3, name->name,
				&fs->nodes[name->node], true))
			break;
	}
	return 0;
}

int rawfs_do_flush(struct rawfs_req *req)
{
	const struct fuse_flush_in *in = rawfs_req_arg(req, sizeof(*in));

	rawfs_req_handle(req, in->fh, FUSE_OPEN);
	rawfs_lock_flush(req->fs, rawfs_node_index(req->fs, rawfs_req_node(req)),
			 in->lock_owner);
	return 0;
}

int rawfs_do_fsync(struct rawfs_req *req)
{
	const struct fuse_fsync_in *in = rawfs_req_arg(req, sizeof(*in));

	rawfs_req_handle(req, in->fh, req->h->opcode == FUSE_FSYNC ?
			 FUSE_OPEN : FUSE_OPENDIR);
	return 0;
}

/* There are no holes but the one at the end. */
int rawfs_do_lseek(struct rawfs_req *req)
{
	const struct fuse_lseek_in *in = rawfs_req_arg(req, sizeof(*in));
	struct fuse_lseek_out *out = rawfs_req_out(req, sizeof(*out));
	struct rawfs_node *node = rawfs_req_node(req);

	rawfs_req_handle(req, in->fh, FUSE_OPEN);
	if (in->offset >= node->attr.size)
		return -ENXIO;
	out->offset = in->whence == SEEK_HOLE ? node->attr.size : in->offset;
	return 0;
}

int rawfs_do_fallocate(struct rawfs_req *req)
{
	const struct fuse_fallocate_in *in = rawfs_req_arg(req, sizeof(*in));
	struct rawfs_node *node = rawfs_req_node(req);

	rawfs_req_handle(req, in->fh, FUSE_OPEN);
	if (in->mode)
		return -EOPNOTSUPP;
	if (in->offset + in->length <= node->attr.size)
		return 0;
	return rawfs_resize(node, req->h->nodeid, in->offset + in->length);
}

int rawfs_do_copy(struct rawfs_req *req)
{
	const struct fuse_copy_file_range_in *in = rawfs_req_arg(req, sizeof(*in));
	struct rawfs_node *from = rawfs_req_node(req);
	struct rawfs_node *to = rawfs_node_get(req->fs, in->nodeid_out);
	struct rawfs_handle *handle = rawfs_handle_get(req->fs, in->fh_out);
	size_t len = in->len < RAWFS_MAX_WRITE ? in->len : RAWFS_MAX_WRITE;
	void *buf;
	int err;

	rawfs_req_handle(req, in->fh_in, FUSE_OPEN);
	if (!to || !handle || &req->fs->nodes[handle->node] != to)
		rawfs_impossible(req->fs, "%s to handle %#llx, node %#llx",
				 rawfs_opcode_name(req->h->opcode),
				 (unsigned long long)in->fh_out,
				 (unsigned long long)in->nodeid_out);
	buf = malloc(len);
	len = rawfs_read(from, req->h->nodeid, buf, len, in->off_in);
	err = rawfs_write(to, in->nodeid_out, buf, len, in->off_out);
	free(buf);
	if (req->h->opcode == FUSE_COPY_FILE_RANGE)
		((struct fuse_write_out *)rawfs_req_out(req, sizeof(struct fuse_write_out)))->size = len;
	else
		*(uint64_t *)rawfs_req_out(req, sizeof(uint64_t)) = len;
	return err;
}

int rawfs_do_ioctl(struct rawfs_req *req)
{
	const struct fuse_ioctl_in *in = rawfs_req_arg(req, sizeof(*in));
	const struct rawfs_node *node = rawfs_req_node(req);
	uint32_t value;

	rawfs_req_handle(req, in->fh, (in->flags & FUSE_IOCTL_DIR) ?
			 FUSE_OPENDIR : FUSE_OPEN);
	switch (in->cmd) {
	case FS_IOC_GETFLAGS:
		value = FS_NOATIME_FL;
		break;
	case RAWFS_IOC_SIZE:
		value = node->attr.size;
		break;
	default:
		return -ENOTTY;
	}
	if (in->out_size < sizeof(value))
		return -EINVAL;
	rawfs_req_out(req, sizeof(struct fuse_ioctl_out));
	memcpy(rawfs_req_out(req, sizeof(value)), &value, sizeof(value));
	return 0;
}

int rawfs_do_poll(struct rawfs_req *req)
{
	const struct fuse_poll_in *in = rawfs_req_arg(req, sizeof(*in));
	struct fuse_poll_out *out = rawfs_req_out(req, sizeof(*out));
	struct rawfs_handle *handle = rawfs_req_handle(req, in->fh, FUSE_OPEN);

	if (handle && in->flags & FUSE_POLL_SCHEDULE_NOTIFY)
		handle->kh = in->kh;
	/* Not ready before it is told to be, so that the kernel keeps waiting. */
	out->revents = req->fs->ready ? in->events & (POLLIN | POLLRDNORM) : 0;
	return 0;
}
