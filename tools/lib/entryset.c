// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include "entryset.h"
#include "fusecr.pb-c.h"

static int order_numbers(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int order_devs(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
	const FuseDevEntry *x = (const FuseDevEntry *)a, *y = (const FuseDevEntry *)b;

	return order_numbers(x->vpid, y->vpid) ?: order_numbers(x->fd, y->fd);
}

static int order_files(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
	const FuseFileEntry *x = (const FuseFileEntry *)a, *y = (const FuseFileEntry *)b;

	return order_numbers(x->vpid, y->vpid) ?: order_numbers(x->use, y->use) ?:
	       order_numbers(x->number, y->number);
}

static int order_inodes(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
	const FuseInodeEntry *x = (const FuseInodeEntry *)a, *y = (const FuseInodeEntry *)b;

	return order_numbers(x->nodeid, y->nodeid);
}

static int order_entries(const void *a, const void *b, void *set)
{
	const struct entry *x = a, *y = b;

	return ((struct entry_set *)set)->order(x->msg, y->msg);
}

static int add(struct entry_set *set, ProtobufCMessage *msg)
{
	struct entry *entries = set->entries;

	/* Grown by doubling: a power of two is full. */
	if ((set->count & (set->count - 1)) == 0) {
		entries = reallocarray(entries, set->count ? 2 * set->count : 1, sizeof(*entries));
		if (!entries)
			return -ENOMEM;
		set->entries = entries;
	}
	set->entries[set->count++] = (struct entry){ .msg = msg };
	return 0;
}

int entry_set_read(struct entry_set *set, int dirfd, enum image_kind kind, uint32_t id)
{
	ProtobufCMessage *msg;
	struct image *img;
	int ret;

	*set = (struct entry_set){
		.order = kind == IMAGE_DEV ? order_devs : kind == IMAGE_FILE ? order_files : order_inodes,
	};
	ret = image_open(&img, dirfd, kind, id);
	if (ret < 0)
		return ret;
	while ((ret = image_read(img, &msg)) == 1) {
		ret = add(set, msg);
		if (ret < 0) {
			protobuf_c_message_free_unpacked(msg, NULL);
			break;
		}
	}
	image_close(img);
	if (ret < 0)
		entry_set_free(set);
	else if (set->count)
		qsort_r(set->entries, set->count, sizeof(*set->entries), order_entries, set);
	return ret;
}

void entry_set_free(struct entry_set *set)
{
	size_t i;

	for (i = 0; i < set->count; i++)
		protobuf_c_message_free_unpacked(set->entries[i].msg, NULL);
	free(set->entries);
	set->entries = NULL;
	set->count = 0;
}

struct entry *entry_set_find(const struct entry_set *set, const ProtobufCMessage *msg)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = set->order(msg, set->entries[middle].msg);

		if (order == 0)
			return &set->entries[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}
