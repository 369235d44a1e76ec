// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <string.h>
#include <linux/fusecr.h>
#include "compare.h"
#include "fusecr.pb-c.h"

#define CONN &fuse_conn_entry__descriptor
#define DEV &fuse_dev_entry__descriptor
#define INODE &fuse_inode_entry__descriptor
#define FILE_ &fuse_file_entry__descriptor
#define MOUNT &fuse_mount_entry__descriptor
#define BLOCK &fuse_block_entry__descriptor
#define WATCH &fuse_watch_entry__descriptor
#define BACKING &fuse_backing_entry__descriptor

static const char new_name[] = "the kernel names its objects anew";
static const char goes_on[] = "programs and daemon go on";
static const char of_gate[] = "the checkpoint had its clients at rest";
static const char newer[] = "older kernels do not have it";
static const char elsewhere[] = "the file may be a copy of it, on another host";

static const struct compare_rule rules[] = {
	{ CONN, "id", COMPARE_NOT, 0, new_name },
	{ CONN, "dev", COMPARE_NOT, 0, "an anonymous device number is given out anew" },
	{ CONN, "state", COMPARE_BITS,
	  FUSECR_CONN_HELD | FUSECR_CONN_GATED | FUSECR_CONN_BLOCKED,
	  "the checkpoint held it; blocked is a matter of moments" },
	{ CONN, "request_timeout", COMPARE_IF_BOTH, 0, newer },
	{ CONN, "no", COMPARE_EQUAL_AT_REST, 0, "another ENOSYS may have come" },
	{ CONN, "user_ns", COMPARE_NOT, 0, "numbered anew: what it is to the tree is compared" },
	{ CONN, "pid_ns", COMPARE_NOT, 0, "numbered anew: tree_pid_ns is compared" },
	{ CONN, "next_unique", COMPARE_NOT_LESS, 0,
	  "FORGETs of nodes that the restored kernel does not hold take numbers too" },
	{ CONN, "next_kh", COMPARE_NOT_LESS, 0, goes_on },
	{ CONN, "attr_version", COMPARE_NOT, 0, "the kernel's own, never told to a daemon" },
	{ CONN, "epoch", COMPARE_NOT, 0, "the kernel's own, never told to a daemon" },
	{ CONN, "dev_count", COMPARE_NOT, 0, "devices are compared one by one" },
	{ CONN, "num_waiting", COMPARE_NOT, 0, goes_on },
	{ CONN, "num_background", COMPARE_NOT, 0, goes_on },
	{ CONN, "num_pending", COMPARE_NOT, 0, goes_on },
	{ CONN, "num_processing", COMPARE_NOT, 0, goes_on },
	{ CONN, "num_forgets", COMPARE_NOT, 0, goes_on },
	{ CONN, "num_inodes", COMPARE_NOT, 0, "inodes are compared one by one" },
	{ CONN, "gate_held", COMPARE_NOT, 0, of_gate },
	{ CONN, "gate_coming", COMPARE_NOT, 0, of_gate },
	{ CONN, "gate_asleep", COMPARE_NOT, 0, of_gate },
	{ CONN, "gate_requests", COMPARE_NOT, 0, of_gate },
	{ CONN, "gate_ever_held", COMPARE_NOT, 0, of_gate },
	{ CONN, "gate_passed", COMPARE_NOT, 0, of_gate },
	{ CONN, "gate_ended", COMPARE_NOT, 0, of_gate },
	{ CONN, "gate_taken", COMPARE_NOT, 0, of_gate },
	{ CONN, "gate_claimed", COMPARE_NOT, 0, of_gate },
	{ CONN, "gate_given_up", COMPARE_NOT, 0, of_gate },
	{ CONN, "known_flags", COMPARE_NOT, 0, "the dumping kernel's" },
	{ CONN, "held", COMPARE_NOT, 0, "of the images" },
	{ CONN, "strict_limit", COMPARE_IF_BOTH, 0, newer },
	{ CONN, "watched", COMPARE_NOT, 0, "refused where it is set" },
	{ CONN, "num_mounts", COMPARE_NOT, 0, "mounts are compared one by one" },
	{ CONN, "next_backing", COMPARE_EQUAL_AT_REST, 0, goes_on },

	{ DEV, "cookie", COMPARE_NOT, 0, new_name },
	{ DEV, "conn_id", COMPARE_NOT, 0, new_name },
	{ DEV, "conn_dev", COMPARE_NOT, 0, new_name },
	{ DEV, "pid", COMPARE_NOT, 0, "vpid is compared" },
	{ DEV, "file_flags", COMPARE_BITS, O_CLOEXEC, "belongs to the descriptor" },
	{ DEV, "num_processing", COMPARE_NOT, 0, goes_on },
	{ DEV, "criu_id", COMPARE_NOT, 0, "of the images" },

	{ INODE, "nlookup", COMPARE_EQUAL_AT_REST, 0, goes_on },
	{ INODE, "mode", COMPARE_EQUAL_AT_REST, 0, goes_on },
	{ INODE, "uid", COMPARE_EQUAL_AT_REST, 0, goes_on },
	{ INODE, "gid", COMPARE_EQUAL_AT_REST, 0, goes_on },
	{ INODE, "nlink", COMPARE_EQUAL_AT_REST, 0, goes_on },
	{ INODE, "size", COMPARE_EQUAL_AT_REST, 0, goes_on },
	{ INODE, "blocks", COMPARE_EQUAL_AT_REST, 0, goes_on },
	{ INODE, "atime", COMPARE_EQUAL_AT_REST, 0, goes_on },
	{ INODE, "atime_nsec", COMPARE_EQUAL_AT_REST, 0, goes_on },
	{ INODE, "mtime", COMPARE_EQUAL_AT_REST, 0, goes_on },
	{ INODE, "mtime_nsec", COMPARE_EQUAL_AT_REST, 0, goes_on },
	{ INODE, "ctime", COMPARE_EQUAL_AT_REST, 0, goes_on },
	{ INODE, "ctime_nsec", COMPARE_EQUAL_AT_REST, 0, goes_on },
	{ INODE, "attr_version", COMPARE_NOT, 0, "the kernel's own, never told to a daemon" },
	{ INODE, "attr_valid", COMPARE_NOT, 0, "the daemon is asked anew" },
	{ INODE, "inval_mask", COMPARE_NOT, 0, "the daemon is asked anew" },
	{ INODE, "flags", COMPARE_BITS, FUSECR_INODE_MORE_NAMES, "of the name cache" },
	{ INODE, "dirty_pages", COMPARE_NOT, 0, goes_on },
	{ INODE, "writeback_pages", COMPARE_NOT, 0, goes_on },
	{ INODE, "name", COMPARE_NOT, 0, "the name cache forgets as it likes" },
	{ INODE, "backing", COMPARE_EQUAL_AT_REST, 0, goes_on },

	{ FILE_, "conn_id", COMPARE_NOT, 0, new_name },
	{ FILE_, "conn_dev", COMPARE_NOT, 0, new_name },
	{ FILE_, "cookie", COMPARE_NOT, 0, new_name },
	{ FILE_, "pid", COMPARE_NOT, 0, "vpid is compared" },
	{ FILE_, "file_flags", COMPARE_BITS, O_CLOEXEC | O_DIRECTORY,
	  "one belongs to the descriptor, the other CRIU drops of what is O_PATH (criu/files-reg.c)" },
	{ FILE_, "pos", COMPARE_EQUAL_AT_REST, 0, goes_on },
	{ FILE_, "readdir_pos", COMPARE_EQUAL_AT_REST, 0, goes_on },
	{ FILE_, "readdir_cache_off", COMPARE_NOT, 0, "the directory is read anew" },
	{ FILE_, "readdir_version", COMPARE_NOT, 0, "the directory is read anew" },
	{ FILE_, "iomode", COMPARE_IF_BOTH, 0, newer },
	{ FILE_, "flags", COMPARE_BITS, FUSECR_FF_WRITE_ENTRY | FUSECR_FF_POLLED,
	  "fuse sets them at the next write and poll" },
	{ FILE_, "mnt_id", COMPARE_NOT, 0, new_name },
	{ FILE_, "backing", COMPARE_NOT, 0, "compared for itself" },
	{ FILE_, "lock", COMPARE_NOT, 0, "the flags of the node say whether there is one" },
	{ FILE_, "above", COMPARE_NOT, 0, "the path is compared" },

	{ MOUNT, "mnt_id", COMPARE_NOT, 0, new_name },
	{ MOUNT, "parent_mnt_id", COMPARE_NOT, 0, new_name },
	{ MOUNT, "ext_key", COMPARE_NOT, 0, "of the images" },
	{ MOUNT, "propagation", COMPARE_NOT, 0, "peer groups are numbered anew: their kinds are compared" },

	{ BACKING, "cookie", COMPARE_NOT, 0, new_name },
	{ BACKING, "dev", COMPARE_NOT, 0, elsewhere },
	{ BACKING, "ino", COMPARE_NOT, 0, elsewhere },
	{ BACKING, "inode", COMPARE_NOT, 0, new_name },
	{ BACKING, "file_flags", COMPARE_BITS, O_NOFOLLOW, "of opening it" },
	{ BACKING, "mnt_id", COMPARE_NOT, 0, new_name },

	{ WATCH, "pid", COMPARE_NOT, 0, "vpid is compared" },

	{ BLOCK, "pid", COMPARE_NOT, 0, "vpid is compared" },
	{ BLOCK, "path", COMPARE_NOT, 0, "it may have another name now: the number is compared" },
	{ BLOCK, "file_flags", COMPARE_BITS, O_CLOEXEC, "belongs to the descriptor" },
	{ BLOCK, "pos", COMPARE_EQUAL_AT_REST, 0, goes_on },
	{ BLOCK, "criu_id", COMPARE_NOT, 0, "of the images" },
};

const unsigned int compare_rules = sizeof(rules) / sizeof(*rules);

const struct compare_rule *compare_rule(const ProtobufCMessageDescriptor *desc, const char *field)
{
	size_t i;

	for (i = 0; i < compare_rules; i++)
		if (rules[i].desc == desc && !strcmp(rules[i].field, field))
			return &rules[i];
	return NULL;
}

static const void *member(const void *msg, unsigned int offset)
{
	return (const char *)msg + offset;
}

static bool is_present(const ProtobufCFieldDescriptor *field, const void *msg)
{
	if (field->label != PROTOBUF_C_LABEL_OPTIONAL)
		return true;
	if (field->type == PROTOBUF_C_TYPE_STRING)
		return *(const char *const *)member(msg, field->offset) != NULL;
	return *(const protobuf_c_boolean *)member(msg, field->quantifier_offset);
}

static bool is_number(const ProtobufCFieldDescriptor *field)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_BOOL:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_SINT64:
		return true;
	default:
		return false;
	}
}

static uint64_t number(const ProtobufCFieldDescriptor *field, const void *msg)
{
	const void *value = member(msg, field->offset);

	switch (field->type) {
	case PROTOBUF_C_TYPE_BOOL:
		return *(const protobuf_c_boolean *)value != 0;
	case PROTOBUF_C_TYPE_UINT32:
		return *(const uint32_t *)value;
	default:
		return *(const uint64_t *)value;
	}
}

static bool same_text(const ProtobufCFieldDescriptor *field, const void *a, const void *b)
{
	const ProtobufCBinaryData *x = member(a, field->offset), *y = member(b, field->offset);

	if (field->type == PROTOBUF_C_TYPE_STRING)
		return !strcmp(*(const char *const *)member(a, field->offset),
			       *(const char *const *)member(b, field->offset));
	return x->len == y->len && (!x->len || !memcmp(x->data, y->data, x->len));
}

static bool holds(const ProtobufCFieldDescriptor *field, enum compare_how how, uint64_t mask,
		  const void *image, const void *kernel)
{
	bool in_image = is_present(field, image), in_kernel = is_present(field, kernel);

	if (how == COMPARE_IF_BOTH && !(in_image && in_kernel))
		return true;
	if (in_image != in_kernel)
		return false;
	if (!in_image)
		return true;
	if (!is_number(field))
		return same_text(field, image, kernel);
	if (how == COMPARE_NOT_LESS)
		return number(field, kernel) >= number(field, image);
	return ((number(field, image) ^ number(field, kernel)) & ~mask) == 0;
}

unsigned int compare_messages(const ProtobufCMessage *image, const ProtobufCMessage *kernel,
			      bool running, compare_cb cb, void *arg)
{
	const ProtobufCMessageDescriptor *desc = image->descriptor;
	unsigned int i, count = 0;

	for (i = 0; i < desc->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &desc->fields[i];
		const struct compare_rule *rule = compare_rule(desc, field->name);
		enum compare_how how = rule ? rule->how : COMPARE_EQUAL;

		if (how == COMPARE_NOT || (how == COMPARE_EQUAL_AT_REST && running))
			continue;
		if (holds(field, how, rule ? rule->mask : 0, image, kernel))
			continue;
		cb(field, arg);
		count++;
	}
	return count;
}
