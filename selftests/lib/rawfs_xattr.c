// SPDX-License-Identifier: GPL-2.0
/* Extended attributes. "user.raw" of every node is its node id in hex. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "rawfs_priv.h"

#define FIXED_NAME	"user.raw"

struct rawfs_xattr {
	struct rawfs_xattr *next;
	char *name;
	void *value;
	size_t len;
};

static void xattr_free(struct rawfs_xattr *x)
{
	free(x->name);
	free(x->value);
	free(x);
}

void rawfs_xattr_free(struct rawfs_node *node)
{
	struct rawfs_xattr *x;

	while ((x = node->xattrs)) {
		node->xattrs = x->next;
		xattr_free(x);
	}
}

static struct rawfs_xattr **find(struct rawfs_node *node, const char *name)
{
	struct rawfs_xattr **at = &node->xattrs;

	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

int rawfs_do_setxattr(struct rawfs_req *req)
{
	bool ext = req->fs->config.init.flags & FUSE_SETXATTR_EXT;
	const struct fuse_setxattr_in *in =
		rawfs_req_arg(req, ext ? sizeof(*in) :
			      FUSE_COMPAT_SETXATTR_IN_SIZE);
	struct rawfs_node *node = rawfs_req_node(req);
	const char *name = rawfs_req_name(req);
	const void *value = rawfs_req_arg(req, in->size);
	struct rawfs_xattr **at = find(node, name), *x = *at;

	if (x && in->flags & XATTR_CREATE)
		return -EEXIST;
	if (!x && in->flags & XATTR_REPLACE)
		return -ENODATA;
	if (!x) {
		x = calloc(1, sizeof(*x));
		x->name = strdup(name);
		*at = x;
	}
	free(x->value);
	x->value = malloc(in->size + 1);
	memcpy(x->value, value, in->size);
	x->len = in->size;
	return 0;
}

/* As getxattr() does: the length for a buffer of none. */
static int put(struct rawfs_req *req, uint32_t size, const void *value,
	       size_t len)
{
	struct fuse_getxattr_out *out;

	if (!size) {
		out = rawfs_req_out(req, sizeof(*out));
		out->size = len;
		return 0;
	}
	if (len > size)
		return -ERANGE;
	memcpy(rawfs_req_out(req, len), value, len);
	return 0;
}

int rawfs_do_getxattr(struct rawfs_req *req)
{
	const struct fuse_getxattr_in *in = rawfs_req_arg(req, sizeof(*in));
	struct rawfs_node *node = rawfs_req_node(req);
	const char *name = rawfs_req_name(req);
	struct rawfs_xattr *x = *find(node, name);
	char fixed[32];
	int len;

	if (x)
		return put(req, in->size, x->value, x->len);
	if (strcmp(name, FIXED_NAME) != 0)
		return -ENODATA;
	len = snprintf(fixed, sizeof(fixed), "%llx",
		       (unsigned long long)req->h->nodeid);
	return put(req, in->size, fixed, len);
}

int rawfs_do_listxattr(struct rawfs_req *req)
{
	const struct fuse_getxattr_in *in = rawfs_req_arg(req, sizeof(*in));
	struct rawfs_node *node = rawfs_req_node(req);
	size_t len = sizeof(FIXED_NAME), more;
	struct rawfs_xattr *x;
	char list[65536];

	memcpy(list, FIXED_NAME, len);
	for (x = node->xattrs; x; x = x->next) {
		more = strlen(x->name) + 1;
		if (strcmp(x->name, FIXED_NAME) == 0)
			continue;
		if (len + more > sizeof(list))
			return -E2BIG;
		memcpy(list + len, x->name, more);
		len += more;
	}
	return put(req, in->size, list, len);
}

int rawfs_do_removexattr(struct rawfs_req *req)
{
	struct rawfs_node *node = rawfs_req_node(req);
	struct rawfs_xattr **at = find(node, rawfs_req_name(req)), *x = *at;

	if (!x)
		return -ENODATA;
	*at = x->next;
	xattr_free(x);
	return 0;
}
