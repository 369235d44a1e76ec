// SPDX-License-Identifier: GPL-2.0
/* What people and programs are shown of a message. */
#include "fusecr.pb-c.h"
#include "messages.h"
#include "names.h"
#include "print.h"
#include "kselftest_harness.h"

FIXTURE(bytes)
{
	struct json_object *obj;
};

FIXTURE_VARIANT(bytes)
{
	const char *in;
	size_t len;
	const char *json;
	const char *text;
};

#define BYTES(name, in_, json_, text_)		\
	FIXTURE_VARIANT_ADD(bytes, name)	\
	{					\
		.in = in_,			\
		.len = sizeof(in_) - 1,		\
		.json = json_,			\
		.text = text_,			\
	}

BYTES(empty, "", "\"\"", "k: \n");
BYTES(ascii, "a b", "\"a b\"", "k: a b\n");
BYTES(utf8, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"",
      "k: \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\n");
BYTES(newline, "a\nb", "\"a\\nb\"", "k: a\\012b\n");
BYTES(escape, "\033[2J", "\"\\u001b[2J\"", "k: \\033[2J\n");
BYTES(c1_control, "\xc2\x9b" "2J", "\"\xc2\x9b" "2J\"", "k: \\302\\2332J\n");
BYTES(nul, "a\0b", "{\"base64\":\"YQBi\"}", "k: base64 YQBi\n");
BYTES(one, "\xff", "{\"base64\":\"/w==\"}", "k: base64 /w==\n");
BYTES(two, "\xff\xfe", "{\"base64\":\"//4=\"}", "k: base64 //4=\n");
BYTES(overlong, "\xc0\x80", "{\"base64\":\"wIA=\"}", "k: base64 wIA=\n");
BYTES(overlong3, "\xe0\x80\xaf", "{\"base64\":\"4ICv\"}", "k: base64 4ICv\n");
BYTES(surrogate, "\xed\xa0\x80", "{\"base64\":\"7aCA\"}", "k: base64 7aCA\n");
BYTES(cut, "\xe2\x82", "{\"base64\":\"4oI=\"}", "k: base64 4oI=\n");
BYTES(too_large, "\xf4\x90\x80\x80", "{\"base64\":\"9JCAgA==\"}", "k: base64 9JCAgA==\n");

FIXTURE_SETUP(bytes)
{
	self->obj = json_object_new_object();
	json_object_object_add(self->obj, "k", print_bytes(variant->in, variant->len));
}

FIXTURE_TEARDOWN(bytes)
{
	json_object_put(self->obj);
}

TEST_F(bytes, json)
{
	struct json_object *value = json_object_object_get(self->obj, "k");

	EXPECT_STREQ(variant->json, json_object_to_json_string_ext(value,
		     JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

TEST_F(bytes, text)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	print_text(f, self->obj, 0, false);
	fclose(f);
	EXPECT_STREQ(variant->text, text);
	free(text);
}

static const char *get(struct json_object *obj, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(obj, key, &value) ?
	       json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN) : "(absent)";
}

TEST(every_field_is_printed)
{
	struct json_object *obj;
	ProtobufCMessage *msg;
	unsigned int kind, i;

	for (kind = 0; kind < IMAGE_KINDS; kind++) {
		msg = message_make(image_types[kind].desc, 1);
		obj = print_message(msg);
		for (i = 0; i < msg->descriptor->n_fields; i++)
			EXPECT_TRUE(json_object_object_get_ex(obj, msg->descriptor->fields[i].name, NULL))
				TH_LOG("%s", msg->descriptor->fields[i].name);
		json_object_put(obj);
		protobuf_c_message_free_unpacked(msg, NULL);
	}
}

TEST(names_beside_numbers)
{
	FuseConnEntry conn = FUSE_CONN_ENTRY__INIT;
	FuseRequestEntry req = FUSE_REQUEST_ENTRY__INIT;
	FuseFileEntry file = FUSE_FILE_ENTRY__INIT;
	struct json_object *obj;

	conn.flags = 1 | 1ull << 37 | 1ull << 63;
	conn.state = 3;
	conn.no = 1 << 20;
	conn.dev = 0x2d;
	obj = print_message(&conn.base);
	EXPECT_STREQ("[\"ASYNC_READ\",\"PASSTHROUGH\",\"0x8000000000000000\"]", get(obj, "flags_names"));
	EXPECT_STREQ("[\"initialized\",\"connected\"]", get(obj, "state_names"));
	EXPECT_STREQ("[\"TMPFILE\"]", get(obj, "no_names"));
	EXPECT_STREQ("\"0:45\"", get(obj, "dev_name"));
	EXPECT_STREQ("(absent)", get(obj, "subtype"));
	EXPECT_STREQ("(absent)", get(obj, "epoch"));
	json_object_put(obj);

	req.opcode = 15;
	req.state = 1;
	req.has_dev = 1;
	req.dev = UINT64_MAX;
	obj = print_message(&req.base);
	EXPECT_STREQ("\"READ\"", get(obj, "opcode_name"));
	EXPECT_STREQ("\"processing\"", get(obj, "state_name"));
	EXPECT_STREQ("18446744073709551615", get(obj, "dev"));
	EXPECT_STREQ("(absent)", get(obj, "dev_name"));
	json_object_put(obj);

	file.has_file_flags = file.has_open_flags = file.has_pos = 1;
	file.file_flags = 0102002;
	file.open_flags = 3;
	file.pos = -1;
	file.mode = 0100644;
	file.use = 1;
	obj = print_message(&file.base);
	EXPECT_STREQ("[\"O_RDWR\",\"O_APPEND\",\"O_LARGEFILE\"]", get(obj, "file_flags_names"));
	EXPECT_STREQ("[\"DIRECT_IO\",\"KEEP_CACHE\"]", get(obj, "open_flags_names"));
	EXPECT_STREQ("-1", get(obj, "pos"));
	EXPECT_STREQ("\"0100644\"", get(obj, "mode_octal"));
	EXPECT_STREQ("\"map\"", get(obj, "use_name"));
	json_object_put(obj);
}

TEST(text_of_message)
{
	FuseInodeEntry inode = FUSE_INODE_ENTRY__INIT;
	FuseNameEntry name = FUSE_NAME_ENTRY__INIT, *names[] = { &name, &name };
	struct json_object *obj;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	name.parent = 1;
	name.name.data = (uint8_t *)"f";
	name.name.len = 1;
	inode.mode = 0100644;
	inode.flags = 3;
	inode.name = names;
	inode.n_name = 2;
	obj = print_message(&inode.base);
	print_text(f, obj, 0, false);
	fclose(f);
	EXPECT_NE(NULL, strstr(text, "\nmode: 33188 (0100644)\n"));
	EXPECT_NE(NULL, strstr(text, "\nflags: 3 (BAD, UNLINKED)\n"));
	EXPECT_NE(NULL, strstr(text, "\nname:\n  parent: 1\n  name: f\n\n  parent: 1\n  name: f\n"));
	json_object_put(obj);
	free(text);
}

TEST(names_of_unknown_numbers)
{
	char buf[8];

	EXPECT_STREQ("opcode 77", opcode_name(77));
	EXPECT_STREQ("opcode 7", opcode_name(7));
	EXPECT_STREQ("unknown", req_state_name(99));
	EXPECT_STREQ("unknown", file_use_name(99));
	/* Cut, but terminated. */
	EXPECT_STREQ("ASYNC_R", flag_names(buf, sizeof(buf), init_flag_names, ~0ull));
	EXPECT_STREQ("", flag_names(buf, sizeof(buf), init_flag_names, 0));
}

TEST_HARNESS_MAIN
