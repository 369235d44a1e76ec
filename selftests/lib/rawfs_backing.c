// SPDX-License-Identifier: GPL-2.0
/*
 * Passthrough: what a regular file holds lies in a file of the server's from the
 * first time that it is opened, and whoever has it open reads and writes that.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../tools/lib/newer_fuse.h"
#include "rawfs_priv.h"

static int make(struct rawfs *fs, struct rawfs_node *node)
{
	uint32_t n = rawfs_node_index(fs, node);
	size_t size = node->attr.size;
	char *data = malloc(size + 1), path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%u.%u", fs->config.behind, n, node->generation);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (!data || fd < 0 ||
	    write(fd, data, rawfs_read(node, rawfs_nodeid(n), data, size, 0)) != (ssize_t)size)
		rawfs_impossible(fs, "cannot write %s: %s", path, strerror(errno));
	free(data);
	free(node->data);
	node->data = NULL;
	return fd;
}

void rawfs_backing_open(struct rawfs_req *req, struct rawfs_node *node, struct fuse_open_out *out)
{
	struct rawfs *fs = req->fs;
	struct backing_map map = { 0 };

	if (!fs->config.behind || !S_ISREG(node->attr.mode))
		return;
	if (!node->behind)
		node->behind = make(fs, node);
	map.fd = node->behind;
	if (!node->backing_id)
		node->backing_id = ioctl(fs->fd[req->instance], BACKING_OPEN, &map);
	if (node->backing_id <= 0)
		rawfs_impossible(fs, "no passthrough: %s", strerror(errno));
	out->open_flags |= OPEN_PASSTHROUGH;
	/* Where older headers have padding. */
	memcpy((char *)out + offsetof(struct fuse_open_out, open_flags) + 4, &node->backing_id,
	       sizeof(node->backing_id));
}

void rawfs_backing_unregister(struct rawfs *fs, struct rawfs_node *node)
{
	int32_t id = node->backing_id;

	node->backing_id = 0;
	if (id && ioctl(fs->fd[0], BACKING_CLOSE, &id))
		rawfs_impossible(fs, "backing id %d: %s", id, strerror(errno));
}

void rawfs_backing_look(struct rawfs_node *node)
{
	struct stat st;

	if (!node->behind || fstat(node->behind, &st))
		return;
	node->attr.size = st.st_size;
	node->attr.blocks = (st.st_size + 511) / 512;
}
