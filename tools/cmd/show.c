// SPDX-License-Identifier: GPL-2.0
/*
 * fusecr show: images for people, or as JSON.  Entries are printed as they are
 * read: an image may be larger than memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include "cleanup.h"
#include "cmd.h"
#include "options.h"
#include "image.h"
#include "print.h"

static const char help[] =
	"usage: fusecr show -D DIR [-j]\n"
	"       fusecr show [-j] FILE...\n\n"
	"Decodes images.\n\n"
	"  -D, --images-dir DIR  all the images in a directory\n"
	"  -j, --json            print JSON\n"
	"  -h, --help            print this\n";

/* What JSON calls the entries of a kind. */
static const char *const plural[IMAGE_KINDS] = {
	[IMAGE_DEV] = "devs",
	[IMAGE_REQUEST] = "requests",
	[IMAGE_INODE] = "inodes",
	[IMAGE_FILE] = "files",
	[IMAGE_MOUNT] = "mounts",
	[IMAGE_BACKING] = "backings",
};

static void image_auto(struct image **img)
{
	image_close(*img);
}

static void print_compact(struct json_object *obj)
{
	fputs(json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN |
					     JSON_C_TO_STRING_NOSLASHESCAPE), stdout);
}

static void show_entry(const ProtobufCMessage *msg, bool json, int indent)
{
	struct json_object *obj = print_message(msg);

	if (json)
		print_compact(obj);
	else
		print_text(stdout, obj, indent, wants_colour(stdout));
	json_object_put(obj);
}

/* The rest of an image: a JSON list, or paragraphs. */
static int show_entries(struct image *img, bool json, int indent)
{
	ProtobufCMessage *msg;
	bool first = true;
	int ret;

	if (json)
		putchar('[');
	while ((ret = image_read(img, &msg)) == 1) {
		fputs(json ? first ? "\n" : ",\n" : first ? "" : "\n", stdout);
		show_entry(msg, json, indent);
		protobuf_c_message_free_unpacked(msg, NULL);
		first = false;
	}
	if (json)
		putchar(']');
	return ret;
}

static int fail(void)
{
	say_error("%s", image_error());
	return CMD_FAILED;
}

static int show_file(const char *path, bool json)
{
	struct image *img cleanup(image_auto) = NULL;
	struct json_object *name;
	enum image_kind kind;

	if (image_open_path(&img, path, &kind) < 0)
		return fail();
	if (json) {
		name = print_bytes(path, strlen(path));
		fputs("{\"file\":", stdout);
		print_compact(name);
		json_object_put(name);
		printf(",\"kind\":\"%s\",\"entries\":", image_types[kind].name);
	} else {
		print_escaped(stdout, path, strlen(path));
		printf(": %s\n", image_types[kind].name);
	}
	if (show_entries(img, json, 2) < 0)
		return fail();
	fputs(json ? "}" : "", stdout);
	return CMD_DONE;
}

static int show_files(int count, char **paths, bool json)
{
	int i, ret = CMD_DONE;

	fputs(json && count > 1 ? "[" : "", stdout);
	for (i = 0; i < count && ret == CMD_DONE; i++) {
		fputs(i ? json ? ",\n" : "\n" : "", stdout);
		ret = show_file(paths[i], json);
	}
	fputs(json ? count > 1 ? "]\n" : "\n" : "", stdout);
	return ret;
}

static int show_kind(int dirfd, enum image_kind kind, uint32_t id, bool json)
{
	struct image *img cleanup(image_auto) = NULL;

	if (image_open(&img, dirfd, kind, id) < 0)
		return fail();
	if (json)
		printf(",\n\"%s\":", plural[kind]);
	else
		printf("\nconnection %" PRIu32 ", %s:\n", id, plural[kind]);
	return show_entries(img, json, 2) < 0 ? fail() : CMD_DONE;
}

static int show_conn(int dirfd, uint32_t id, bool json)
{
	ProtobufCMessage *msg;
	int kind, ret = CMD_DONE;

	if (image_read_one(dirfd, IMAGE_CONN, id, &msg) < 0)
		return fail();
	if (json)
		printf("{\"id\":%" PRIu32 ",\n\"conn\":", id);
	else
		printf("\nconnection %" PRIu32 ":\n", id);
	show_entry(msg, json, 2);
	protobuf_c_message_free_unpacked(msg, NULL);
	for (kind = 0; kind < IMAGE_KINDS && ret == CMD_DONE; kind++)
		if (plural[kind])
			ret = show_kind(dirfd, kind, id, json);
	fputs(json ? "}" : "", stdout);
	return ret;
}

static int show_dir(const char *dir, bool json)
{
	int dirfd cleanup(close_auto) = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ProtobufCMessage *msg;
	uint32_t id, conns;
	int ret;

	if (dirfd < 0) {
		say_error("cannot open the directory %s: %s", dir, strerror(errno));
		return CMD_FAILED;
	}
	ret = image_read_one(dirfd, IMAGE_INVENTORY, 0, &msg);
	if (ret == -ENOENT) {
		say_error("%s holds no complete set of FUSE images: there is no fusecr-inventory-0.img; single files can be shown by name",
			  dir);
		return CMD_FAILED;
	}
	if (ret < 0)
		return fail();
	conns = ((FusecrInventoryEntry *)msg)->conns;
	fputs(json ? "{\"inventory\":" : "inventory:\n", stdout);
	show_entry(msg, json, 2);
	protobuf_c_message_free_unpacked(msg, NULL);
	fputs(json ? ",\n\"connections\":[" : "", stdout);
	for (id = 1, ret = CMD_DONE; id <= conns && ret == CMD_DONE; id++) {
		fputs(json ? id > 1 ? ",\n" : "\n" : "", stdout);
		ret = show_conn(dirfd, id, json);
	}
	fputs(json ? "]}\n" : "", stdout);
	return ret;
}

int cmd_show(int argc, char **argv)
{
	struct options o;
	int status = options_read(argc, argv, "D", help, &o);

	if (status != OPTIONS_READ)
		return status;
	if (!o.dir == (optind == argc))
		return usage_error(argv, o.dir ? "either -D or files, not both" :
				   "what to show? give -D or a file");
	return o.dir ? show_dir(o.dir, o.json) : show_files(argc - optind, argv + optind, o.json);
}
