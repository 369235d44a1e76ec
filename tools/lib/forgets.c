// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <linux/fusecr.h>

#include "cleanup.h"
#include "forgets.h"
#include "grow.h"
#include "image.h"

static int forgotten_cmp(const void *a, const void *b)
{
	const struct forgotten *fa = a, *fb = b;

	return (fa->nodeid > fb->nodeid) - (fa->nodeid < fb->nodeid);
}

static int add(const FuseRequestEntry *req, void *arg)
{
	struct forgets *f = arg;
	struct forgotten *grown;

	if (req->state != FUSECR_REQ_FORGET)
		return 0;
	grown = grow(f->list, f->count, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	f->list = grown;
	f->list[f->count++] = (struct forgotten){ req->nodeid, req->nlookup };
	return 0;
}

/* Sorted, one node may be there several times. */
static void merge(struct forgets *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->count; i++) {
		if (n && f->list[n - 1].nodeid == f->list[i].nodeid)
			f->list[n - 1].nlookup += f->list[i].nlookup;
		else
			f->list[n++] = f->list[i];
	}
	f->count = n;
}

int forgets_read(struct forgets *f, struct nl *nl, uint64_t conn_id)
{
	int err = nl_requests(nl, conn_id, add, f);

	if (f->count)
		qsort(f->list, f->count, sizeof(*f->list), forgotten_cmp);
	merge(f);
	return err;
}

void forgets_free(struct forgets *f)
{
	free(f->list);
	*f = (struct forgets){ 0 };
}

static struct forgotten *find(const struct forgets *f, uint64_t nodeid)
{
	const struct forgotten key = { .nodeid = nodeid };

	return f->count ? bsearch(&key, f->list, f->count, sizeof(key), forgotten_cmp) : NULL;
}

static uint64_t count_of(const struct forgets *f, uint64_t nodeid)
{
	const struct forgotten *found = find(f, nodeid);

	return found ? found->nlookup : 0;
}

static bool has_grown(const struct forgets *after, const struct forgets *before)
{
	for (size_t i = 0; i < after->count; i++)
		if (after->list[i].nlookup != count_of(before, after->list[i].nodeid))
			return true;
	return false;
}

static void image_auto(struct image **img)
{
	image_close(*img);
}

int forgets_unlist(struct forgets *after, const struct forgets *before, int dirfd, uint32_t id)
{
	struct image *img cleanup(image_auto) = NULL;
	ProtobufCMessage *msg;
	int ret;

	if (!has_grown(after, before))
		return 0;
	ret = image_open(&img, dirfd, IMAGE_INODE, id);
	while (!ret && (ret = image_read(img, &msg)) > 0) {
		const FuseInodeEntry *inode = (const FuseInodeEntry *)msg;
		struct forgotten *found = find(after, inode->nodeid);

		if (found)
			found->nlookup = count_of(before, inode->nodeid);
		protobuf_c_message_free_unpacked(msg, NULL);
		ret = 0;
	}
	return ret;
}
