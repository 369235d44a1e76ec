// SPDX-License-Identifier: GPL-2.0
/* fusecr dump: the FUSE state of a process tree, without CRIU. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "cleanup.h"
#include "cmd.h"
#include "options.h"
#include "image.h"
#include "print.h"
#include "snapshot.h"

static const char help[] =
	"usage: fusecr dump --pid PID -D DIR [-j]\n\n"
	"Writes what the kernel knows of every FUSE connection that the process tree\n"
	"of PID serves or uses. Nothing is stopped and no daemon is asked; what a\n"
	"checkpoint would refuse is said, and written all the same.\n\n"
	"  -t, --pid PID         the root of the tree\n"
	"  -D, --images-dir DIR  where to write fusecr-*.img; made if it is not there\n"
	"  -j, --json            print JSON\n"
	"  -h, --help            print this\n";

static void nl_auto(struct nl **nl)
{
	nl_close(*nl);
}

static void report_auto(struct report *r)
{
	report_clear(r);
}

static void tell_failure(const struct nl *nl, const struct report *r, pid_t pid, int err)
{
	size_t i;

	for (i = 0; i < r->count; i++)
		say_error("%s", r->lines[i]);
	if (err == -ESRCH)
		say_error("there is no process %d", pid);
	else if (!*nl_error(nl) && *image_error())
		say_error("cannot dump process %d: %s", pid, image_error());
	else
		say_error("cannot dump process %d: %s", pid, nl_reason(nl, err));
}

/* How many connections were written, from what was written. */
static int tell(const struct report *r, const char *dir, int dirfd, pid_t pid, bool json)
{
	struct json_object *top, *warnings;
	FusecrInventoryEntry *inventory;
	ProtobufCMessage *msg;
	size_t i;

	if (image_read_one(dirfd, IMAGE_INVENTORY, 0, &msg) < 0) {
		say_error("%s", image_error());
		return CMD_FAILED;
	}
	inventory = (FusecrInventoryEntry *)msg;
	for (i = 0; i < r->count && !json; i++)
		say_warning("a checkpoint would refuse: %s", r->lines[i]);
	if (json) {
		top = json_object_new_object();
		warnings = json_object_new_array();
		for (i = 0; i < r->count; i++)
			json_object_array_add(warnings, print_bytes(r->lines[i], strlen(r->lines[i])));
		json_object_object_add(top, "inventory", print_message(msg));
		json_object_object_add(top, "warnings", warnings);
		print_json(top);
	} else {
		printf("%u connection%s of the tree of %d written to %s\n", inventory->conns,
		       inventory->conns == 1 ? "" : "s", pid, dir);
	}
	protobuf_c_message_free_unpacked(msg, NULL);
	return CMD_DONE;
}

static int dump(pid_t pid, const char *dir, bool json)
{
	struct snapshot_options o = { .root = pid, .scope = SNAPSHOT_USED };
	struct nl *nl cleanup(nl_auto) = NULL;
	struct report r cleanup(report_auto) = { 0 };
	int dirfd cleanup(close_auto) = -1;
	int ret;

	if (open_netlink(&nl) < 0)
		return CMD_FAILED;
	dirfd = open_images_dir(dir, true);
	if (dirfd < 0)
		return CMD_FAILED;
	if (!faccessat(dirfd, "inventory.img", F_OK, 0)) {
		say_error("%s has a checkpoint of CRIU's, which would be lost; choose another directory", dir);
		return CMD_FAILED;
	}
	if (kill(pid, 0) && errno == ESRCH) {
		say_error("there is no process %d", pid);
		return CMD_FAILED;
	}
	/* The inventory of an older set would vouch for half of this one. */
	image_remove_all(dirfd);
	o.dirfd = dirfd;
	ret = snapshot_write(nl, &o, &r);
	if (ret < 0) {
		tell_failure(nl, &r, pid, ret);
		image_remove_all(dirfd);
		return CMD_FAILED;
	}
	return tell(&r, dir, dirfd, pid, json);
}

int cmd_dump(int argc, char **argv)
{
	struct options o;
	int status = options_only(argc, argv, "tD", help, &o);

	if (status != OPTIONS_READ)
		return status;
	if (!o.pid)
		return usage_error(argv, "which tree? --pid is missing");
	if (!o.dir)
		return usage_error(argv, "where to? -D is missing");
	return dump(o.pid, o.dir, o.json);
}
