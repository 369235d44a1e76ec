// SPDX-License-Identifier: GPL-2.0
/* What verify accepts and what it does not. */
#include <fcntl.h>
#include "compare.h"
#include "entryset.h"
#include "fusecr.pb-c.h"
#include "messages.h"
#include "kselftest_harness.h"

static void remember(const ProtobufCFieldDescriptor *field, void *arg)
{
	*(const char **)arg = field->name;
}

/* A field that is a number or text, changed. */
static void change(void *msg, const ProtobufCFieldDescriptor *field)
{
	void *value = message_member(msg, field->offset);

	switch (field->type) {
	case PROTOBUF_C_TYPE_BOOL:
	case PROTOBUF_C_TYPE_UINT32:
		*(uint32_t *)value ^= 1;
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_SINT64:
		*(uint64_t *)value ^= 1;
		break;
	case PROTOBUF_C_TYPE_STRING:
		(*(char **)value)[0] ^= 1;
		break;
	default:
		((ProtobufCBinaryData *)value)->data[0] ^= 1;
	}
}

static const ProtobufCMessageDescriptor *const compared[] = {
	&fuse_conn_entry__descriptor, &fuse_dev_entry__descriptor, &fuse_inode_entry__descriptor,
	&fuse_file_entry__descriptor, &fuse_mount_entry__descriptor, &fuse_backing_entry__descriptor,
	&fuse_block_entry__descriptor,
	&fuse_watch_entry__descriptor,
};

/* A rule for a field that does not exist would never apply. */
TEST(rules_name_fields)
{
	unsigned int kind, i, rules = 0;

	for (kind = 0; kind < sizeof(compared) / sizeof(*compared); kind++) {
		const ProtobufCMessageDescriptor *desc = compared[kind];

		for (i = 0; i < desc->n_fields; i++)
			rules += compare_rule(desc, desc->fields[i].name) != NULL;
	}
	EXPECT_EQ(compare_rules, rules);
}

TEST(each_field_changed)
{
	const ProtobufCFieldDescriptor *field;
	const struct compare_rule *rule;
	ProtobufCMessage *a, *b;
	unsigned int k, i, count, rest, running;
	const char *name;

	for (k = 0; k < sizeof(compared) / sizeof(*compared); k++) {
		const ProtobufCMessageDescriptor *desc = compared[k];

		for (i = 0; i < desc->n_fields; i++) {
			field = &desc->fields[i];
			if (field->label == PROTOBUF_C_LABEL_REPEATED)
				continue;
			rule = compare_rule(desc, field->name);
			a = message_make(desc, 1);
			b = message_make(desc, 1);
			EXPECT_EQ(0, compare_messages(a, b, false, remember, &name));
			change(b, field);
			rest = !rule || rule->how != COMPARE_NOT;
			/* Bit 0 may be one of those that do not count, or make it more. */
			if (rule && (rule->mask & 1))
				rest = 0;
			running = rest && !(rule && rule->how == COMPARE_EQUAL_AT_REST);
			count = compare_messages(a, b, false, remember, &name);
			if (rule && rule->how == COMPARE_NOT_LESS)
				count += compare_messages(b, a, false, remember, &name);
			EXPECT_EQ(rest, count) TH_LOG("%s.%s", desc->name, field->name);
			if (count)
				EXPECT_STREQ(field->name, name);
			if (!rule || rule->how != COMPARE_NOT_LESS)
				EXPECT_EQ(running, compare_messages(a, b, true, remember, &name));
			protobuf_c_message_free_unpacked(a, NULL);
			protobuf_c_message_free_unpacked(b, NULL);
		}
	}
}

TEST(present_on_one_side)
{
	FuseFileEntry a = FUSE_FILE_ENTRY__INIT, b = FUSE_FILE_ENTRY__INIT;
	const char *name = "";

	a.fstype = b.fstype = (char *)"fuse";
	a.has_fh = 1;
	EXPECT_EQ(1, compare_messages(&a.base, &b.base, false, remember, &name));
	EXPECT_STREQ("fh", name);
	/* An older kernel does not tell it. */
	a.has_fh = 0;
	a.has_iomode = 1;
	EXPECT_EQ(0, compare_messages(&a.base, &b.base, false, remember, &name));
}

TEST(found_by_key)
{
	char dir[] = "/tmp/fusecr-compare.XXXXXX";
	FuseFileEntry key = FUSE_FILE_ENTRY__INIT;
	ProtobufCMessage *msg;
	struct entry_set set;
	struct image *img;
	struct entry *e;
	int dirfd;
	uint32_t i;

	ASSERT_NE(NULL, mkdtemp(dir));
	dirfd = open(dir, O_RDONLY | O_DIRECTORY);
	ASSERT_EQ(0, image_create(&img, dirfd, IMAGE_FILE, 1));
	for (i = 100; i > 0; i--) {
		msg = message_make(image_types[IMAGE_FILE].desc, i);
		((FuseFileEntry *)msg)->vpid = i / 10;
		((FuseFileEntry *)msg)->use = 0;
		((FuseFileEntry *)msg)->number = i;
		ASSERT_EQ(0, image_write(img, msg));
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	ASSERT_EQ(0, image_close(img));
	ASSERT_EQ(0, entry_set_read(&set, dirfd, IMAGE_FILE, 1));
	ASSERT_EQ(100, set.count);
	for (i = 1; i <= 100; i++) {
		key.vpid = i / 10;
		key.number = i;
		e = entry_set_find(&set, &key.base);
		ASSERT_NE(NULL, e);
		EXPECT_EQ(i, ((FuseFileEntry *)e->msg)->number);
	}
	key.vpid = 3;
	key.number = 2;
	EXPECT_EQ(NULL, entry_set_find(&set, &key.base));
	entry_set_free(&set);
	EXPECT_EQ(-ENOENT, entry_set_read(&set, dirfd, IMAGE_FILE, 2));
	image_remove_all(dirfd);
	close(dirfd);
	rmdir(dir);
}

TEST_HARNESS_MAIN
