// SPDX-License-Identifier: GPL-2.0
/* fusecr verify: does the restored kernel say again what the images say? */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/fusecr.h>
#include "cleanup.h"
#include "cmd.h"
#include "options.h"
#include "verify.h"
#include "blocks.h"
#include "compare.h"
#include "entryset.h"
#include "image.h"
#include "limit.h"
#include "mounts.h"
#include "names.h"
#include "print.h"
#include "proc.h"
#include "sent.h"
#include "snapshot.h"
#include "tree.h"

static const char help[] =
	"usage: fusecr verify -D DIR [--pid PID] [--running] [-j]\n\n"
	"Asks the kernel about a restored process tree and compares its answers with\n"
	"the images, field by field. Ends with 1 when something differs.\n\n"
	"  -D, --images-dir DIR  the images that the tree was restored from\n"
	"  -t, --pid PID         its root now; without it, the pid in the images\n"
	"  -r, --running         its programs have gone on: more files may be open,\n"
	"                        positions, attributes and lookup counts may differ\n"
	"  -j, --json            print JSON\n"
	"  -h, --help            print this\n";

static void verify_auto(struct verify *v)
{
	nl_close(v->nl);
	tree_free(&v->tree);
	if (v->inventory)
		fusecr_inventory_entry__free_unpacked(v->inventory, NULL);
	if (v->dirfd >= 0)
		close(v->dirfd);
	json_object_put(v->differences);
}

/* --- telling differences --------------------------------------------------- */

void verify_name(struct verify *v, const char *fmt, ...)
{
	int n = snprintf(v->object, sizeof(v->object), "connection %" PRIu32, v->id);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(v->object + n, sizeof(v->object) - n, fmt, ap);
	va_end(ap);
}

/* A value with its names, as text prints it. */
static void print_side(const char *side, struct json_object *obj, const char *field)
{
	static const char *const suffixes[] = { "_name", "_names", "_octal" };
	struct json_object *value = NULL, *one = json_object_new_object();
	char name[64];
	size_t i;

	json_object_object_get_ex(obj, field, &value);
	json_object_object_add(one, field, json_object_get(value));
	for (i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s%s", field, suffixes[i]);
		if (json_object_object_get_ex(obj, name, &value))
			json_object_object_add(one, name, json_object_get(value));
	}
	printf("  %s ", side);
	print_text(stdout, one, 0, false);
	json_object_put(one);
}

static void tell_field(const ProtobufCFieldDescriptor *field, void *arg)
{
	struct verify *v = arg;
	struct json_object *one = json_object_new_object(), *image = NULL, *kernel = NULL;

	json_object_object_get_ex(v->image_json, field->name, &image);
	json_object_object_get_ex(v->kernel_json, field->name, &kernel);
	json_object_object_add(one, "object", json_object_new_string(v->object));
	json_object_object_add(one, "field", json_object_new_string(field->name));
	json_object_object_add(one, "image", json_object_get(image));
	json_object_object_add(one, "kernel", json_object_get(kernel));
	json_object_array_add(v->differences, one);
	if (v->json)
		return;
	print_escaped(stdout, v->object, strlen(v->object));
	printf(": %s differs\n", field->name);
	print_side("image: ", v->image_json, field->name);
	print_side("kernel:", v->kernel_json, field->name);
}

void verify_tell(struct verify *v, const char *fmt, ...)
{
	struct json_object *one = json_object_new_object();
	char what[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	json_object_object_add(one, "object", json_object_new_string(v->object));
	json_object_object_add(one, "difference", json_object_new_string(what));
	json_object_array_add(v->differences, one);
	if (v->json)
		return;
	print_escaped(stdout, v->object, strlen(v->object));
	printf(": %s\n", what);
}

void verify_compare(struct verify *v, const ProtobufCMessage *image, const ProtobufCMessage *kernel)
{
	v->image_json = print_message(image);
	v->kernel_json = print_message(kernel);
	compare_messages(image, kernel, v->running || (v->conn && v->conn->held), tell_field, v);
	json_object_put(v->image_json);
	json_object_put(v->kernel_json);
}

static uint32_t vpid_of(const struct verify *v, uint32_t pid)
{
	const struct task *task = tree_find(&v->tree, pid);

	return task ? task->vpid : 0;
}

/* What the image has and the kernel had nothing to say of. */
static void tell_unseen(struct verify *v, void (*name)(struct verify *v, const ProtobufCMessage *msg))
{
	size_t i;

	for (i = 0; i < v->set.count; i++) {
		if (v->set.entries[i].seen)
			continue;
		name(v, v->set.entries[i].msg);
		verify_tell(v, "in the image, but not in the kernel");
	}
}

/* --- devices, files, inodes ------------------------------------------------ */

static void name_dev(struct verify *v, const ProtobufCMessage *msg)
{
	const FuseDevEntry *e = (const FuseDevEntry *)msg;

	verify_name(v, ", process %" PRIu32 ", /dev/fuse at descriptor %" PRIu32, e->vpid, e->fd);
}

static int verify_dev(const FuseDevEntry *e, void *arg)
{
	struct verify *v = arg;
	FuseDevEntry copy = *e;
	struct entry *image;

	copy.vpid = vpid_of(v, e->pid);
	copy.has_vpid = 1;
	name_dev(v, &copy.base);
	v->devs++;
	image = copy.vpid ? entry_set_find(&v->set, &copy.base) : NULL;
	if (!image) {
		verify_name(v, ", /dev/fuse at descriptor %" PRIu32 " of pid %" PRIu32, e->fd, e->pid);
		verify_tell(v, "in the kernel, but not in the image");
		return 0;
	}
	image->seen = true;
	verify_compare(v, image->msg, &copy.base);
	return 0;
}

static void name_file(struct verify *v, const ProtobufCMessage *msg)
{
	const FuseFileEntry *e = (const FuseFileEntry *)msg;

	/* cppcheck-suppress duplicateExpressionTernary ; it cannot tell PRIx64 from PRIu64 */
	verify_name(v, e->use == FUSECR_FILE_MAP ? ", process %" PRIu32 ", %s 0x%" PRIx64 :
		    ", process %" PRIu32 ", %s %" PRIu64, e->vpid, file_use_name(e->use), e->number);
}

static int verify_file(const FuseFileEntry *e, void *arg)
{
	struct verify *v = arg;
	FuseFileEntry copy = *e;
	struct entry *image;

	copy.vpid = vpid_of(v, e->pid);
	copy.has_vpid = 1;
	if (!copy.vpid || (e->flags & FUSECR_FF_CONNECTED) || sent_is_lost(e))
		return 0;
	name_file(v, &copy.base);
	v->files++;
	image = entry_set_find(&v->set, &copy.base);
	if (image) {
		image->seen = true;
		verify_compare(v, image->msg, &copy.base);
		verify_mapped(v, (FuseFileEntry *)image->msg, e);
	} else if (!v->running) {
		verify_tell(v, "in the kernel, but not in the image");
	}
	return 0;
}

static int verify_inode(const FuseInodeEntry *e, void *arg)
{
	struct verify *v = arg;
	struct entry *image = entry_set_find(&v->set, &e->base);
	FuseInodeEntry copy = *e;

	copy.backing = verify_backing_id(&v->kernel_backings, e);
	if (image)
		((FuseInodeEntry *)image->msg)->backing =
			verify_backing_id(&v->image_backings, (FuseInodeEntry *)image->msg);
	verify_name(v, ", node %" PRIu64, e->nodeid);
	v->inodes++;
	if (image)
		verify_compare(v, image->msg, &copy.base);
	else if (!v->running)
		verify_tell(v, "in the kernel, but not in the image");
	return 0;
}

int verify_failed(const struct verify *v, int err)
{
	say_error("connection %" PRIu32 ": cannot ask the kernel: %s", v->id, nl_reason(v->nl, err));
	return err;
}

static int read_set(struct verify *v, enum image_kind kind)
{
	int ret = entry_set_read(&v->set, v->dirfd, kind, v->id);

	if (ret < 0)
		say_error("%s", image_error());
	return ret;
}

static int verify_devs(struct verify *v)
{
	int ret = read_set(v, IMAGE_DEV);

	if (ret < 0)
		return ret;
	ret = nl_devs(v->nl, v->conn_id, 0, verify_dev, v);
	if (ret == 0)
		tell_unseen(v, name_dev);
	entry_set_free(&v->set);
	return ret < 0 ? verify_failed(v, ret) : 0;
}

static int verify_files(struct verify *v)
{
	int ret = read_set(v, IMAGE_FILE);

	if (ret < 0)
		return ret;
	ret = nl_files(v->nl, v->conn_id, 0, verify_file, v);
	if (ret == 0)
		tell_unseen(v, name_file);
	entry_set_free(&v->set);
	return ret < 0 ? verify_failed(v, ret) : 0;
}

/* The restored kernel may hold fewer inodes: the rest was forgotten. */
static int verify_inodes(struct verify *v)
{
	int ret = read_set(v, IMAGE_INODE);

	if (ret < 0)
		return ret;
	ret = nl_inodes(v->nl, v->conn_id, verify_inode, v);
	entry_set_free(&v->set);
	return ret < 0 ? verify_failed(v, ret) : 0;
}

/* --- mounts ---------------------------------------------------------------- */

static int add_mount(const FuseMountEntry *e, const char *fstype, const char *source, void *arg)
{
	struct verify *v = arg;

	if (!v->source)
		v->source = strdup(source);
	return message_list_add(&v->kernel_mounts, &e->base);
}

static int read_kernel_mounts(struct verify *v, uint32_t dev)
{
	pid_t pid = v->inventory->own_mnt_ns ? v->tree.tasks[0].pid : getpid();
	int ret = mounts_of(pid, dev, add_mount, v);

	if (ret < 0)
		say_error("cannot read the mounts of process %d: %s", pid, strerror(-ret));
	return ret;
}

static void name_mount(struct verify *v, const FuseMountEntry *e)
{
	verify_name(v, ", mount at %.*s", (int)e->mountpoint.len, e->mountpoint.data);
}

static bool has_kind(const char *propagation, const char *kind)
{
	return propagation && strstr(propagation, kind);
}

static void compare_mount(struct verify *v, const FuseMountEntry *image, const FuseMountEntry *kernel)
{
	static const char *const kinds[] = { "shared", "master", "unbindable" };
	size_t i;

	v->mounts++;
	name_mount(v, image);
	verify_compare(v, &image->base, &kernel->base);
	for (i = 0; i < 3; i++) {
		bool before = has_kind(image->propagation, kinds[i]);

		if (before != has_kind(kernel->propagation, kinds[i]))
			verify_tell(v, "%s %s in the kernel", before ? "no longer" : "has become", kinds[i]);
	}
}

/* Mounts are few, and one place can be mounted over and over: in order. */
static int verify_mounts(struct verify *v)
{
	struct message_list *list = &v->kernel_mounts;
	ProtobufCMessage *msg;
	struct image *img;
	size_t i;
	int ret;

	ret = image_open(&img, v->dirfd, IMAGE_MOUNT, v->id);
	while (ret >= 0 && (ret = image_read(img, &msg)) == 1) {
		FuseMountEntry *e = (FuseMountEntry *)msg;

		for (i = 0; i < list->count; i++)
			if (list->items[i] && mount_same_place(e, (FuseMountEntry *)list->items[i]))
				break;
		name_mount(v, e);
		if (i == list->count) {
			verify_tell(v, "in the image, but not in the kernel");
		} else {
			compare_mount(v, e, (FuseMountEntry *)list->items[i]);
			protobuf_c_message_free_unpacked(list->items[i], NULL);
			list->items[i] = NULL;
		}
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	if (ret < 0)
		say_error("%s", image_error());
	for (i = 0; ret == 0 && i < list->count; i++) {
		if (!list->items[i])
			continue;
		name_mount(v, (FuseMountEntry *)list->items[i]);
		verify_tell(v, "in the kernel, but not in the image");
	}
	return ret;
}

/* --- the connection -------------------------------------------------------- */

struct likeness {
	struct verify *v;
	uint64_t conn_id;
};

static int find_by_dev(const FuseDevEntry *e, void *arg)
{
	struct likeness *l = arg;
	FuseDevEntry copy = *e;

	copy.vpid = vpid_of(l->v, e->pid);
	if (!copy.vpid || !e->conn_id || !entry_set_find(&l->v->set, &copy.base))
		return 0;
	l->conn_id = e->conn_id;
	return 1;
}

static int find_by_file(const FuseFileEntry *e, void *arg)
{
	struct likeness *l = arg;
	FuseFileEntry copy = *e;

	copy.vpid = vpid_of(l->v, e->pid);
	if (!copy.vpid || !entry_set_find(&l->v->set, &copy.base))
		return 0;
	l->conn_id = e->conn_id;
	return 1;
}

/* The kernel's connection is behind the same descriptor of the same process. */
static int find_likeness(struct verify *v)
{
	struct likeness l = { .v = v };
	int ret = read_set(v, IMAGE_DEV);

	if (ret < 0)
		return ret;
	ret = nl_devs(v->nl, 0, 0, find_by_dev, &l);
	entry_set_free(&v->set);
	if (ret < 0)
		return verify_failed(v, ret);
	v->conn_id = l.conn_id;
	if (l.conn_id)
		return 0;
	/* A tree that only uses a mount has none of its devices. */
	ret = read_set(v, IMAGE_FILE);
	if (ret < 0)
		return ret;
	ret = nl_files(v->nl, 0, 0, find_by_file, &l);
	entry_set_free(&v->set);
	v->conn_id = l.conn_id;
	return ret < 0 ? verify_failed(v, ret) : 0;
}

/* The initial namespace is for ever; another one is the restored tree's now. */
static void compare_user_ns(struct verify *v, const FuseConnEntry *kernel)
{
	bool initial = v->conn->user_ns == PROC_INIT_USER_NS, same = false;
	size_t i;

	for (i = 0; i < v->tree.count; i++)
		same = same || kernel->user_ns == v->tree.tasks[i].user_ns;
	if (initial ? kernel->user_ns == PROC_INIT_USER_NS : same)
		return;
	verify_tell(v, "user_ns differs: image %s, kernel %" PRIu32,
	     initial ? "the initial one" : "one of the tree's", kernel->user_ns);
}

static int verify_conn_entry(const FuseConnEntry *e, void *arg)
{
	return message_list_add(arg, &e->base);
}

static int verify_conn_fields(struct verify *v, uint32_t *dev)
{
	struct message_list one = { 0 };
	FuseConnEntry *kernel;
	int ret;

	ret = nl_conn(v->nl, v->conn_id, verify_conn_entry, &one);
	if (ret < 0)
		return verify_failed(v, ret);
	kernel = (FuseConnEntry *)one.items[0];
	*dev = kernel->dev;
	ret = read_kernel_mounts(v, *dev);
	/* What the daemon called its source is in mountinfo only. */
	if (v->source) {
		free(kernel->source);
		kernel->source = steal(v->source);
	}
	kernel->has_tree_pid_ns = 1;
	kernel->tree_pid_ns = kernel->pid_ns == v->tree.tasks[0].pid_ns;
	limit_read(kernel);
	kernel->has_dev_size = v->conn->has_dev_size;
	kernel->dev_size = v->conn->has_dev_size ? blocks_size(kernel->dev) : 0;
	verify_name(v, "%s", "");
	v->conns++;
	verify_compare(v, &v->conn->base, &kernel->base);
	compare_user_ns(v, kernel);
	message_list_free(&one);
	return ret;
}

static int verify_conn(struct verify *v)
{
	uint32_t dev = 0;
	int ret = find_likeness(v);

	if (ret < 0)
		return ret;
	if (!v->conn_id) {
		verify_name(v, "%s", "");
		verify_tell(v, "in the image, but none of its processes has it now");
		return 0;
	}
	if (v->conn->held && v->conn_id != v->conn->id) {
		verify_name(v, "%s", "");
		verify_tell(v, "not the connection that was held");
	}
	ret = verify_conn_fields(v, &dev);
	ret = ret ?: verify_devs(v);
	if (!v->conn->held) {
		ret = ret ?: verify_backings(v);
		ret = ret ?: verify_inodes(v);
		ret = ret ?: verify_files(v);
		ret = ret ?: verify_watches(v, dev);
	}
	return ret ?: verify_mounts(v);
}

static int verify_conns(struct verify *v)
{
	ProtobufCMessage *msg;
	int ret = 0;

	for (v->id = 1; ret == 0 && v->id <= v->inventory->conns; v->id++) {
		ret = image_read_one(v->dirfd, IMAGE_CONN, v->id, &msg);
		if (ret < 0) {
			say_error("%s", image_error());
			return ret;
		}
		v->conn = (FuseConnEntry *)msg;
		ret = verify_conn(v);
		protobuf_c_message_free_unpacked(msg, NULL);
		v->conn = NULL;
		message_list_free(&v->kernel_mounts);
		verify_backings_free(v);
		free(v->source);
		v->source = NULL;
	}
	return ret;
}

/* --- the whole ------------------------------------------------------------- */

static int open_images(struct verify *v, const char *dir)
{
	ProtobufCMessage *msg;

	v->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (v->dirfd < 0) {
		say_error("cannot open the directory %s: %s", dir, strerror(errno));
		return v->dirfd;
	}
	if (image_read_one(v->dirfd, IMAGE_INVENTORY, 0, &msg) < 0) {
		say_error("%s holds no complete set of FUSE images: %s", dir, image_error());
		return -ENOENT;
	}
	v->inventory = (FusecrInventoryEntry *)msg;
	return 0;
}

/* The pid in the images may be any process now: it must fit. */
static int find_tree(struct verify *v, pid_t pid)
{
	bool guessed = !pid;
	struct stat st;
	int ret;

	if (guessed)
		pid = v->inventory->root_pid;
	ret = tree_read(&v->tree, pid);
	if (ret < 0) {
		say_error("cannot read the process tree of %d: %s%s", pid, strerror(-ret),
			  guessed ? "; name its root with --pid" : "");
		return ret;
	}
	if (guessed && (v->tree.tasks[0].vpid != (pid_t)v->inventory->root_vpid ||
			stat("/proc/self/ns/pid", &st) < 0 ||
			(v->tree.tasks[0].pid_ns != st.st_ino) != !!v->inventory->own_pid_ns)) {
		say_error("process %d is not the restored tree: name its root with --pid", pid);
		return -ESRCH;
	}
	return 0;
}

static void tell_result(struct verify *v)
{
	size_t count = json_object_array_length(v->differences);
	struct json_object *top, *compared;

	if (!v->json) {
		printf("compared: %u connections, %u devices, %u inodes, %u open files, %u mounts, %u passthrough files, %u block devices, %u watches; %zu differences\n",
		       v->conns, v->devs, v->inodes, v->files, v->mounts, v->backings, v->blocks, v->watches, count);
		return;
	}
	compared = json_object_new_object();
	json_object_object_add(compared, "conns", json_object_new_int64(v->conns));
	json_object_object_add(compared, "devs", json_object_new_int64(v->devs));
	json_object_object_add(compared, "inodes", json_object_new_int64(v->inodes));
	json_object_object_add(compared, "files", json_object_new_int64(v->files));
	json_object_object_add(compared, "mounts", json_object_new_int64(v->mounts));
	json_object_object_add(compared, "backings", json_object_new_int64(v->backings));
	json_object_object_add(compared, "blocks", json_object_new_int64(v->blocks));
	json_object_object_add(compared, "watches", json_object_new_int64(v->watches));
	top = json_object_new_object();
	json_object_object_add(top, "ok", json_object_new_boolean(count == 0));
	json_object_object_add(top, "compared", compared);
	json_object_object_add(top, "differences", json_object_get(v->differences));
	print_json(top);
}

static int verify(const char *dir, pid_t pid, bool running, bool json)
{
	struct verify v cleanup(verify_auto) = {
		.dirfd = -1,
		.running = running,
		.json = json,
		.differences = json_object_new_array(),
	};

	if (open_images(&v, dir) < 0 || open_netlink(&v.nl) < 0 || find_tree(&v, pid) < 0 ||
	    verify_conns(&v) < 0 || verify_blocks(&v) < 0)
		return CMD_FAILED;
	tell_result(&v);
	return json_object_array_length(v.differences) ? CMD_FAILED : CMD_DONE;
}

int cmd_verify(int argc, char **argv)
{
	struct options o;
	int status = options_only(argc, argv, "Dtr", help, &o);

	if (status != OPTIONS_READ)
		return status;
	if (!o.dir)
		return usage_error(argv, "which images? -D is missing");
	return verify(o.dir, o.pid, o.running, o.json);
}
