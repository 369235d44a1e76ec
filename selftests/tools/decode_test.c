// SPDX-License-Identifier: GPL-2.0
/* From attributes to messages: the two numberings, and answers that are wrong. */
#include <libmnl/libmnl.h>
#include <linux/fusecr.h>
#include "nl_decode.h"
#include "kselftest_harness.h"

#define NEST 1

struct answer {
	union {
		struct nlmsghdr head;
		char buf[8192];
	};
	struct nlattr *nest;
	char error[256];
	struct nl_decoder decoder;
	union nl_entry entry;
};

static void begin(struct answer *a)
{
	memset(a, 0, sizeof(*a));
	mnl_nlmsg_put_header(a->buf);
	a->nest = mnl_attr_nest_start(&a->head, NEST);
	a->decoder.error = a->error;
	a->decoder.error_len = sizeof(a->error);
}

static int decode(struct answer *a, const ProtobufCMessageDescriptor *desc)
{
	mnl_attr_nest_end(&a->head, a->nest);
	return nl_decode(&a->decoder, a->nest, desc, &a->entry);
}

/* What the attribute would be, put right. */
static void put(struct answer *a, const ProtobufCFieldDescriptor *field)
{
	uint16_t type = field->id + 1;

	switch (field->type) {
	case PROTOBUF_C_TYPE_BOOL:
		mnl_attr_put_u8(&a->head, type, 1);
		break;
	case PROTOBUF_C_TYPE_UINT32:
		mnl_attr_put_u32(&a->head, type, field->id);
		break;
	case PROTOBUF_C_TYPE_STRING:
		mnl_attr_put_strz(&a->head, type, "text");
		break;
	case PROTOBUF_C_TYPE_BYTES:
		mnl_attr_put(&a->head, type, 3, "a\0b");
		break;
	default:
		mnl_attr_put_u64(&a->head, type, (uint64_t)field->id << 32);
	}
}

/* All but one. */
static void put_all(struct answer *a, const ProtobufCMessageDescriptor *desc, unsigned int but)
{
	unsigned int i;

	for (i = 0; i < desc->n_fields; i++)
		if (i != but && desc->fields[i].label != PROTOBUF_C_LABEL_REPEATED)
			put(a, &desc->fields[i]);
}

/* The fields that the kernel does not tell follow those that it does. */
static const struct {
	const ProtobufCMessageDescriptor *desc;
	unsigned int last;
} kinds[] = {
	{ &fuse_conn_entry__descriptor, FUSECR_CONN_MAX },
	{ &fuse_dev_entry__descriptor, FUSECR_DEV_MAX },
	{ &fuse_request_entry__descriptor, FUSECR_REQ_MAX },
	{ &fuse_inode_entry__descriptor, FUSECR_INODE_MAX },
	{ &fuse_file_entry__descriptor, FUSECR_FILE_MAX },
	{ &fuse_backing_entry__descriptor, FUSECR_BACKING_MAX },
	{ &fuse_above_entry__descriptor, FUSECR_ABOVE_MAX_ATTR },
	{ &fuse_name_entry__descriptor, FUSECR_NAME_MAX_ATTR },
};

static const struct {
	const ProtobufCMessageDescriptor *desc;
	uint16_t attr;
	const char *field;
} names[] = {
#define CONN(a, f) { &fuse_conn_entry__descriptor, FUSECR_CONN_##a, f }
#define DEV(a, f) { &fuse_dev_entry__descriptor, FUSECR_DEV_##a, f }
#define REQ(a, f) { &fuse_request_entry__descriptor, FUSECR_REQ_##a, f }
#define INODE(a, f) { &fuse_inode_entry__descriptor, FUSECR_INODE_##a, f }
#define FILE_(a, f) { &fuse_file_entry__descriptor, FUSECR_FILE_##a, f }
#define BACKING(a, f) { &fuse_backing_entry__descriptor, FUSECR_BACKING_##a, f }
#define ABOVE(a, f) { &fuse_above_entry__descriptor, FUSECR_ABOVE_##a, f }
#define NAME(a, f) { &fuse_name_entry__descriptor, FUSECR_NAME_##a, f }
	CONN(ID, "id"), CONN(DEV, "dev"), CONN(FSTYPE, "fstype"), CONN(SUBTYPE, "subtype"),
	CONN(SOURCE, "source"), CONN(STATE, "state"), CONN(MINOR, "minor"), CONN(FLAGS, "flags"),
	CONN(MAX_READAHEAD, "max_readahead"), CONN(MAX_WRITE, "max_write"),
	CONN(MAX_PAGES, "max_pages"), CONN(TIME_GRAN, "time_gran"),
	CONN(MAX_BACKGROUND, "max_background"),
	CONN(CONGESTION_THRESHOLD, "congestion_threshold"),
	CONN(MAP_ALIGNMENT, "map_alignment"), CONN(MAX_STACK_DEPTH, "max_stack_depth"),
	CONN(REQUEST_TIMEOUT, "request_timeout"), CONN(NO, "no"), CONN(USER_ID, "user_id"),
	CONN(GROUP_ID, "group_id"), CONN(DEFAULT_PERMISSIONS, "default_permissions"),
	CONN(ALLOW_OTHER, "allow_other"), CONN(MAX_READ, "max_read"), CONN(ROOTMODE, "rootmode"),
	CONN(BLKSIZE, "blksize"), CONN(SB_FLAGS, "sb_flags"), CONN(USER_NS, "user_ns"),
	CONN(PID_NS, "pid_ns"), CONN(NEXT_UNIQUE, "next_unique"), CONN(NEXT_KH, "next_kh"),
	CONN(ATTR_VERSION, "attr_version"), CONN(EPOCH, "epoch"), CONN(DEV_COUNT, "dev_count"),
	CONN(NUM_WAITING, "num_waiting"), CONN(NUM_BACKGROUND, "num_background"),
	CONN(NUM_PENDING, "num_pending"), CONN(NUM_PROCESSING, "num_processing"),
	CONN(NUM_FORGETS, "num_forgets"), CONN(NUM_INODES, "num_inodes"), CONN(DAX, "dax"),
	CONN(URING, "uring"), CONN(SUBMOUNTS, "submounts"), CONN(UNKNOWN, "unknown"),
	CONN(GATE_HELD, "gate_held"), CONN(GATE_COMING, "gate_coming"),
	CONN(GATE_ASLEEP, "gate_asleep"), CONN(GATE_REQUESTS, "gate_requests"),
	CONN(NEXT_BACKING, "next_backing"), CONN(WATCHED, "watched"),
	CONN(NUM_MOUNTS, "num_mounts"), CONN(GATE_EVER_HELD, "gate_ever_held"),
	CONN(GATE_PASSED, "gate_passed"), CONN(GATE_ENDED, "gate_ended"),
	CONN(GATE_TAKEN, "gate_taken"), CONN(GATE_CLAIMED, "gate_claimed"),
	CONN(GATE_GIVEN_UP, "gate_given_up"),
	DEV(COOKIE, "cookie"), DEV(CONN_ID, "conn_id"), DEV(CONN_DEV, "conn_dev"),
	DEV(CONNECTED, "connected"), DEV(PID, "pid"), DEV(FD, "fd"),
	DEV(FILE_FLAGS, "file_flags"), DEV(NUM_PROCESSING, "num_processing"), DEV(CUSE, "cuse"),
	REQ(UNIQUE, "unique"), REQ(STATE, "state"), REQ(OPCODE, "opcode"), REQ(NODEID, "nodeid"),
	REQ(UID, "uid"), REQ(GID, "gid"), REQ(PID, "pid"), REQ(FLAGS, "flags"), REQ(DEV, "dev"),
	REQ(NLOOKUP, "nlookup"), REQ(IN_LEN, "in_len"), REQ(IN_OFFSET, "in_offset"),
	REQ(IN_DATA, "in_data"), REQ(WAITER, "waiter"), REQ(OUT_COUNT, "out_count"),
	REQ(OUT_SIZE_0, "out_size_0"), REQ(OUT_SIZE_1, "out_size_1"), REQ(OUT_VAR, "out_var"),
	REQ(ANSWERED, "answered"), REQ(ERROR, "error"), REQ(OUT_LEN, "out_len"),
	REQ(NAMED_0, "named_0"), REQ(NAMED_1, "named_1"),
	REQ(PLACE, "place"),
	INODE(NODEID, "nodeid"), INODE(GENERATION, "generation"), INODE(NLOOKUP, "nlookup"),
	INODE(ORIG_INO, "orig_ino"), INODE(MODE, "mode"), INODE(UID, "uid"), INODE(GID, "gid"),
	INODE(NLINK, "nlink"), INODE(RDEV, "rdev"), INODE(SIZE, "size"), INODE(BLOCKS, "blocks"),
	INODE(BLKBITS, "blkbits"), INODE(ATIME, "atime"), INODE(ATIME_NSEC, "atime_nsec"),
	INODE(MTIME, "mtime"), INODE(MTIME_NSEC, "mtime_nsec"), INODE(CTIME, "ctime"),
	INODE(CTIME_NSEC, "ctime_nsec"), INODE(ATTR_VERSION, "attr_version"),
	INODE(ATTR_VALID, "attr_valid"), INODE(INVAL_MASK, "inval_mask"), INODE(FLAGS, "flags"),
	INODE(DIRTY_PAGES, "dirty_pages"), INODE(WRITEBACK_PAGES, "writeback_pages"),
	INODE(NAME, "name"), INODE(BACKING, "backing"),
	FILE_(CONN_ID, "conn_id"), FILE_(CONN_DEV, "conn_dev"), FILE_(FSTYPE, "fstype"),
	FILE_(COOKIE, "cookie"), FILE_(PID, "pid"), FILE_(USE, "use"), FILE_(NUMBER, "number"),
	FILE_(END, "end"), FILE_(NODEID, "nodeid"), FILE_(FH, "fh"), FILE_(KH, "kh"),
	FILE_(OPEN_FLAGS, "open_flags"), FILE_(FILE_FLAGS, "file_flags"), FILE_(MODE, "mode"),
	FILE_(POS, "pos"), FILE_(READDIR_POS, "readdir_pos"),
	FILE_(READDIR_CACHE_OFF, "readdir_cache_off"), FILE_(READDIR_VERSION, "readdir_version"),
	FILE_(IOMODE, "iomode"), FILE_(FLAGS, "flags"), FILE_(MNT_ID, "mnt_id"),
	FILE_(PATH, "path"),
	/* The kernel does not use that number: the field is the images' own. */
	FILE_(PATH + 1, "vpid"),
	FILE_(OWNER_TABLE, "owner_table"), FILE_(OWNER_OPEN, "owner_open"),
	FILE_(BACKING, "backing"), FILE_(BACKING + 1, "lock"), FILE_(ABOVE, "above"),
	ABOVE(LEVEL, "level"), ABOVE(NODEID, "nodeid"),
	BACKING(ID, "id"), BACKING(COOKIE, "cookie"), BACKING(DEV, "dev"), BACKING(INO, "ino"),
	BACKING(INODE, "inode"), BACKING(FILE_FLAGS, "file_flags"), BACKING(UNLINKED, "unlinked"),
	BACKING(FSUID, "fsuid"), BACKING(FSGID, "fsgid"), BACKING(CAPS, "caps"),
	BACKING(MNT_ID, "mnt_id"), BACKING(PATH, "path"),
	NAME(PARENT, "parent"), NAME(NAME, "name"), NAME(UNHASHED, "unhashed"),
};

TEST(attributes_are_fields)
{
	const ProtobufCFieldDescriptor *field;
	unsigned int total = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		field = protobuf_c_message_descriptor_get_field(names[i].desc, names[i].attr - 1);
		ASSERT_NE(NULL, field) TH_LOG("%s", names[i].field);
		EXPECT_STREQ(names[i].field, field->name);
	}
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		total += kinds[i].last - 1;
	EXPECT_EQ(total, ARRAY_SIZE(names));
}

TEST(whole_answers)
{
	struct answer a;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds) - 1; i++) {
		begin(&a);
		put_all(&a, kinds[i].desc, ~0u);
		EXPECT_EQ(0, decode(&a, kinds[i].desc)) TH_LOG("%s", a.error);
		EXPECT_EQ(kinds[i].desc, a.entry.base.descriptor);
		nl_decoder_free(&a.decoder);
	}
}

TEST(each_attribute_missing)
{
	const ProtobufCFieldDescriptor *field;
	struct answer a;
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(kinds) - 1; i++) {
		for (k = 0; k < kinds[i].desc->n_fields; k++) {
			field = &kinds[i].desc->fields[k];
			begin(&a);
			put_all(&a, kinds[i].desc, k);
			if (field->label == PROTOBUF_C_LABEL_REQUIRED) {
				EXPECT_EQ(-EBADMSG, decode(&a, kinds[i].desc));
				EXPECT_NE(NULL, strstr(a.error, field->name));
			} else {
				EXPECT_EQ(0, decode(&a, kinds[i].desc));
			}
			nl_decoder_free(&a.decoder);
		}
	}
}

TEST(each_attribute_of_a_wrong_size)
{
	const ProtobufCFieldDescriptor *field;
	struct answer a;
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(kinds) - 1; i++) {
		for (k = 0; k < kinds[i].desc->n_fields; k++) {
			field = &kinds[i].desc->fields[k];
			if (field->type == PROTOBUF_C_TYPE_BYTES)
				continue;
			begin(&a);
			put_all(&a, kinds[i].desc, k);
			/* Text without its end, numbers of five bytes. */
			mnl_attr_put(&a.head, field->id + 1, 5, "12345");
			/* What only images have is none of the kernel's. */
			EXPECT_EQ(field->id + 1 <= kinds[i].last ? -EBADMSG : 0,
				  decode(&a, kinds[i].desc))
				TH_LOG("%s.%s", kinds[i].desc->name, field->name);
			nl_decoder_free(&a.decoder);
		}
	}
}

TEST(values)
{
	struct answer a;

	begin(&a);
	put_all(&a, &fuse_file_entry__descriptor, ~0u);
	mnl_attr_put_u64(&a.head, FUSECR_FILE_POS, -2);
	mnl_attr_put_u64(&a.head, FUSECR_FILE_MAX + 100, 1);	/* of a newer module */
	mnl_attr_put(&a.head, FUSECR_FILE_PAD, 0, NULL);
	ASSERT_EQ(0, decode(&a, &fuse_file_entry__descriptor));
	EXPECT_EQ(1ull << 32, a.entry.file.conn_id);
	EXPECT_STREQ("text", a.entry.file.fstype);
	EXPECT_EQ(-2, a.entry.file.pos);
	EXPECT_EQ(1, a.entry.file.has_pos);
	EXPECT_EQ(3, a.entry.file.path.len);
	EXPECT_EQ(0, memcmp("a\0b", a.entry.file.path.data, 3));
	nl_decoder_free(&a.decoder);
}

static void put_name(struct answer *a, uint64_t parent, const char *name)
{
	struct nlattr *nest = mnl_attr_nest_start(&a->head, FUSECR_INODE_NAME);

	mnl_attr_put_u64(&a->head, FUSECR_NAME_PARENT, parent);
	if (name)
		mnl_attr_put(&a->head, FUSECR_NAME_NAME, strlen(name), name);
	mnl_attr_nest_end(&a->head, nest);
}

TEST(names_of_inodes)
{
	struct answer a;
	unsigned int i, count;

	/* More than once with one decoder: its room is used again. */
	begin(&a);
	for (count = 0; count < 60; count += 30) {
		struct nl_decoder decoder = a.decoder;

		begin(&a);
		a.decoder = decoder;
		a.decoder.error = a.error;
		a.decoder.error_len = sizeof(a.error);
		put_all(&a, &fuse_inode_entry__descriptor, ~0u);
		for (i = 0; i < count; i++)
			put_name(&a, i, "name");
		ASSERT_EQ(0, decode(&a, &fuse_inode_entry__descriptor));
		ASSERT_EQ(count, a.entry.inode.n_name);
		for (i = 0; i < count; i++) {
			EXPECT_EQ(i, a.entry.inode.name[i]->parent);
			EXPECT_EQ(4, a.entry.inode.name[i]->name.len);
		}
	}
	nl_decoder_free(&a.decoder);

	begin(&a);
	put_all(&a, &fuse_inode_entry__descriptor, ~0u);
	put_name(&a, 1, NULL);
	EXPECT_EQ(-EBADMSG, decode(&a, &fuse_inode_entry__descriptor));
	nl_decoder_free(&a.decoder);
}

TEST_HARNESS_MAIN
