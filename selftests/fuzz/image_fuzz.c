// SPDX-License-Identifier: GPL-2.0
/*
 * Images.  An input is one image after the other, as they stand in files: each
 * begins at CRIU's magic.  Each is shown; then all are read as the images of one
 * connection, where kinds that the input lacks are whole ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/fuse.h>
#include <linux/fusecr.h>

#include "compare.h"
#include "entryset.h"
#include "fuzz.h"
#include "fusecr.pb-c.h"
#include "idmaps.h"
#include "image.h"
#include "model.h"
#include "mounts.h"
#include "print.h"
#include "../image/messages.h"

#define HEAD	8	/* bytes before the first entry */
#define ENTRIES	1	/* in a whole image */

/* Behind the kinds: a model of what our inventory counts, or the input's. */
#define OUR_SET		IMAGE_KINDS
#define ITS_SET		(IMAGE_KINDS + 1)

const char *fuzz_goal(unsigned int n)
{
	if (n < IMAGE_KINDS)
		return image_types[n].name;
	return n == OUR_SET ? "the model of a set with our inventory" :
	       n == ITS_SET ? "the model of a set with its own inventory" : NULL;
}

struct piece {
	const uint8_t *data;
	size_t size;
};

/* One kind's file in the directory. */
struct file {
	int fd;
	struct piece whole;
	bool changed;
};

static struct file files[IMAGE_KINDS];
static struct file piece_file;
static char piece_path[256];
static int images;	/* their directory */
static FILE *out;	/* where what is shown goes */

static uint32_t id_of(enum image_kind kind)
{
	return kind != IMAGE_INVENTORY;
}

/* --- showing ----------------------------------------------------------------- */

/* Nothing from an image may steer a terminal. */
static void harmless(const char *s, size_t len, bool lines)
{
	size_t i;

	for (i = 0; i < len; i++) {
		uint8_t c = s[i];

		must(c >= 0x20 || (lines && c == '\n'));
		must(c != 0x7f || !lines);
		/* U+0080 to U+009f. */
		must(c < 0x80 || c >= 0xa0 || !lines || !i || (uint8_t)s[i - 1] != 0xc2);
	}
}

static ssize_t harmless_write(void *cookie, const char *s, size_t len)
{
	(void)cookie;
	harmless(s, len, true);
	return len;
}

static void differs(const ProtobufCFieldDescriptor *field, void *arg)
{
	(void)arg;
	must(!field);
}

static void show(const ProtobufCMessage *msg)
{
	struct json_object *obj = print_message(msg);
	const char *json;

	must(obj);
	json = json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN |
					      JSON_C_TO_STRING_NOSLASHESCAPE);
	must(json);
	harmless(json, strlen(json), false);
	print_text(out, obj, 2, false);
	json_object_put(obj);
}

/* As "fusecr show FILE" does. */
static void show_image(const char *path)
{
	ProtobufCMessage *msg;
	enum image_kind kind;
	struct image *img;
	int ret;

	ret = image_open_path(&img, path, &kind);
	must(ret == 0 || ret == -EBADMSG);
	if (ret < 0)
		return;
	while ((ret = image_read(img, &msg)) == 1) {
		fuzz_reach(kind);
		show(msg);
		if (kind != IMAGE_INVENTORY)	/* verify has no use for it */
			compare_messages(msg, msg, false, differs, NULL);
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	must(ret == 0 || ret == -EBADMSG || ret == -EPROTONOSUPPORT);
	must(!image_close(img));
}

/* --- using ------------------------------------------------------------------- */

static int count_nlookup(uint64_t nodeid, uint64_t nlookup, bool held, void *arg)
{
	must(nodeid != FUSE_ROOT_ID && nlookup && !held);
	return *(int *)arg;
}

/* What the image of inodes says is what the model finds. */
static void find_inode(struct model *m, const FuseInodeEntry *inode)
{
	const FuseBackingEntry *backing = model_backing(m, inode);
	size_t i;

	must(model_inode(m, inode->nodeid));
	model_open_flags(m, inode->nodeid, 0, 0);
	model_mapped(m, inode->nodeid);
	must(!backing || backing->cookie == inode->backing);
	for (i = 0; i < inode->n_name; i++) {
		const FuseNameEntry *e = inode->name[i];
		const char *name = (const char *)e->name.data;

		if (e->has_unhashed && e->unhashed)
			must(model_lookup_deleted(m, e->parent, name, e->name.len));
		else
			must(model_lookup(m, e->parent, name, e->name.len));
		model_bound(m, e->parent, name, e->name.len);
	}
	model_mark_held(m, inode->nodeid);
}

/* Which mount is made of which. */
static void find_mounts(const struct message_list *mounts)
{
	size_t i;

	for (i = 0; i < mounts->count; i++) {
		const FuseMountEntry *e = (const FuseMountEntry *)mounts->items[i];

		must(mount_source(mounts, i) < (ssize_t)mounts->count);
		must(idmap_same(e, e));
		idmap_said(e->options);
	}
}

static void use_model(struct model *m)
{
	const struct message_list *list = model_files(m);
	struct entry_set set;
	size_t i;
	int end = 0;

	must(model_handles(m) <= list->count);
	find_mounts(model_mounts(m));
	must(!entry_set_read(&set, images, IMAGE_INODE, 1));
	for (i = 0; i < set.count; i++)
		find_inode(m, (const FuseInodeEntry *)set.entries[i].msg);
	entry_set_free(&set);
	model_unmark_all(m);
	must(model_each_nlookup(m, count_nlookup, &end) == 0);
	must(!entry_set_read(&set, images, IMAGE_FILE, 1));
	must(set.count == list->count);
	for (i = 0; i < set.count; i++)
		must(entry_set_find(&set, list->items[i]));
	entry_set_free(&set);
}

/* As "fusecr restore" does: what it is refused for is said. */
static void check_inventory(void)
{
	struct report r = { 0 };
	FusecrInventoryEntry *inv;
	int ret = model_inventory(&inv, images, &r);

	must(ret == 0 || ret == -EBADMSG || ret == -EPROTONOSUPPORT);
	must(!ret == !r.count);
	if (inv)
		fusecr_inventory_entry__free_unpacked(inv, NULL);
	report_clear(&r);
}

/* As the surrogate does at restore; own: the inventory is the input's. */
static void load_set(bool own)
{
	const FusecrCountEntry *count = NULL;
	FusecrInventoryEntry *inv;
	ProtobufCMessage *msg = NULL;
	struct model *m;
	int ret;

	ret = image_read_one(images, IMAGE_INVENTORY, 0, &msg);
	must(ret == 0 || ret == -EBADMSG || ret == -EPROTONOSUPPORT);
	inv = (FusecrInventoryEntry *)msg;
	if (inv && inv->n_count)
		count = inv->count[0];
	ret = model_load(&m, images, 1, count);
	must(ret == 0 || ret == -EBADMSG);
	if (!ret)
		use_model(m);
	if (!ret && count)
		fuzz_reach(own ? ITS_SET : OUR_SET);
	model_free(m);
	if (inv)
		fusecr_inventory_entry__free_unpacked(inv, NULL);
}

/* --- files ------------------------------------------------------------------- */

static void file_write(struct file *f, const struct piece *p)
{
	must(pwrite(f->fd, p->data, p->size, 0) == (ssize_t)p->size);
	must(!ftruncate(f->fd, p->size));
}

/* Where the next image begins, behind the first byte. */
static size_t piece_length(const uint8_t *data, size_t size)
{
	static const uint8_t magic[] = { 0x19, 0x43, 0x56, 0x54 };
	const uint8_t *next = size ? memmem(data + 1, size - 1, magic, sizeof(magic)) : NULL;

	return next ? (size_t)(next - data) : size;
}

static int piece_kind(const struct piece *p)
{
	uint32_t magic;
	int kind;

	if (p->size < HEAD)
		return IMAGE_KINDS;
	memcpy(&magic, p->data + 4, sizeof(magic));
	for (kind = 0; kind < IMAGE_KINDS; kind++)
		if (image_types[kind].magic == magic)
			break;
	return kind;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool written[IMAGE_KINDS] = { 0 };
	size_t at = 0;
	int kind;

	do {
		struct piece p = { data + at, piece_length(data + at, size - at) };

		at += p.size;
		kind = piece_kind(&p);
		file_write(&piece_file, &p);
		show_image(piece_path);
		if (kind < IMAGE_KINDS) {
			file_write(&files[kind], &p);
			written[kind] = files[kind].changed = true;
		}
	} while (at < size);
	for (kind = 0; kind < IMAGE_KINDS; kind++) {
		if (files[kind].changed && !written[kind])
			file_write(&files[kind], &files[kind].whole);
		files[kind].changed = written[kind];
	}
	check_inventory();
	load_set(written[IMAGE_INVENTORY]);
	return 0;
}

/* --- mutating ---------------------------------------------------------------- */

/* The n-th entry of all the images, of those that stand where their sizes say. */
static bool find_entry(const uint8_t *data, size_t size, unsigned int *n, struct fuzz_record *r)
{
	size_t at = 0, end, from;
	uint32_t len;

	for (; at < size; at = end) {
		end = at + piece_length(data + at, size - at);
		for (from = at + HEAD; from + sizeof(len) <= end; from += len) {
			memcpy(&len, data + from, sizeof(len));
			from += sizeof(len);
			if (len > end - from)
				break;
			*r = (struct fuzz_record){ from, len, sizeof(len) };
			if (!(*n)--)
				return true;
		}
	}
	return false;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
	struct fuzz_record r;
	unsigned int n = seed / 64 % 16;

	if (seed % 4 && find_entry(data, size, &n, &r))
		return fuzz_mutate_record(data, size, max, &r, seed / 4);
	return LLVMFuzzerMutate(data, size, max);
}

/* --- beginning ----------------------------------------------------------------- */

/* Messages that belong together: all else is as message_make() has it. */
static ProtobufCMessage *whole_message(enum image_kind kind, uint32_t seed)
{
	ProtobufCMessage *msg = message_make(image_types[kind].desc, seed);
	size_t i;

	if (kind == IMAGE_INVENTORY) {
		FusecrInventoryEntry *inv = (FusecrInventoryEntry *)msg;

		inv->conns = inv->n_count;
		for (i = 0; i < inv->n_count; i++) {
			FusecrCountEntry *c = inv->count[i];

			c->devs = c->requests = c->inodes = c->files = ENTRIES;
			c->mounts = c->backings = ENTRIES;
		}
	} else if (kind == IMAGE_CONN) {
		((FuseConnEntry *)msg)->no = 0;
	} else if (kind == IMAGE_REQUEST) {
		((FuseRequestEntry *)msg)->state = FUSECR_REQ_FORGET;
		((FuseRequestEntry *)msg)->nodeid = seed;
	} else if (kind == IMAGE_INODE) {
		FuseInodeEntry *inode = (FuseInodeEntry *)msg;

		inode->nodeid = inode->backing = seed;
		/* In one directory; an empty name has no bytes to look at. */
		for (i = 0; i < inode->n_name; i++) {
			inode->name[i]->parent = FUSE_ROOT_ID;
			inode->name[i]->name.len = i;
			inode->name[i]->unhashed = 0;
		}
	} else if (kind == IMAGE_FILE) {
		((FuseFileEntry *)msg)->nodeid = seed;
	} else if (kind == IMAGE_BACKING) {
		((FuseBackingEntry *)msg)->cookie = seed;
	}
	return msg;
}

static void make_file(enum image_kind kind)
{
	struct file *f = &files[kind];
	ProtobufCMessage *msg;
	struct image *img;
	uint8_t *data;
	char name[64];
	uint32_t i;

	must(!image_create(&img, images, kind, id_of(kind)));
	for (i = 1; i <= ENTRIES; i++) {
		msg = whole_message(kind, i);
		must(!image_write(img, msg));
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	must(!image_close(img));
	snprintf(name, sizeof(name), "fusecr-%s-%u.img", image_types[kind].name, id_of(kind));
	f->fd = openat(images, name, O_RDWR | O_CLOEXEC);
	f->whole.size = lseek(f->fd, 0, SEEK_END);
	data = malloc(f->whole.size);
	must(data && pread(f->fd, data, f->whole.size, 0) == (ssize_t)f->whole.size);
	f->whole.data = data;
}

static void write_seeds(void)
{
	static uint8_t all[8192];
	size_t size = 0;
	int kind;

	for (kind = 0; kind < IMAGE_KINDS; kind++) {
		const struct piece *p = &files[kind].whole;

		must(size + p->size <= sizeof(all));
		fuzz_seed(image_types[kind].name, p->data, p->size);
		memcpy(all + size, p->data, p->size);
		size += p->size;
	}
	fuzz_seed("all", all, size);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const cookie_io_functions_t discard = { .write = harmless_write };
	char dir[200];
	int kind;

	images = fuzz_directory(dir, sizeof(dir));
	snprintf(piece_path, sizeof(piece_path), "%s/piece", dir);
	piece_file.fd = open(piece_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	must(piece_file.fd >= 0);
	out = fopencookie(NULL, "w", discard);
	must(out);
	for (kind = 0; kind < IMAGE_KINDS; kind++)
		make_file(kind);
	if (fuzz_wants_seeds()) {
		write_seeds();
		exit(0);
	}
	return 0;
}
