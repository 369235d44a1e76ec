// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel module's answers.  An input is a row of attributes; the type of
 * each says which message its nest is to become.  One decoder for all, as in a
 * dump.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "fusecr.pb-c.h"
#include "image.h"
#include "nl_decode.h"
#include "print.h"
#include "../image/messages.h"

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const ProtobufCMessageDescriptor *const kinds[] = {
	&fuse_conn_entry__descriptor,
	&fuse_dev_entry__descriptor,
	&fuse_request_entry__descriptor,
	&fuse_inode_entry__descriptor,
	&fuse_file_entry__descriptor,
	&fuse_backing_entry__descriptor,
};

const char *fuzz_goal(unsigned int n)
{
	return n < KINDS ? kinds[n]->name : NULL;
}

/* What was decoded can be written, and reads as the same. */
static void round_trip(const ProtobufCMessage *msg)
{
	size_t size = protobuf_c_message_get_packed_size(msg);
	uint8_t *buf = malloc(size ? size : 1);
	ProtobufCMessage *back;

	must(buf);
	must(protobuf_c_message_pack(msg, buf) == size);
	back = protobuf_c_message_unpack(msg->descriptor, NULL, size, buf);
	must(back);
	must(message_same(msg, back));
	protobuf_c_message_free_unpacked(back, NULL);
	free(buf);
}

static void decode(struct nl_decoder *d, const struct nlattr *nest)
{
	const unsigned int kind = mnl_attr_get_type(nest) % KINDS;
	const ProtobufCMessageDescriptor *desc = kinds[kind];
	union nl_entry e;
	int ret;

	d->error[0] = '\0';
	ret = nl_decode(d, nest, desc, &e);
	must(ret == 0 || ret == -EBADMSG);
	/* A refusal says why. */
	must(!ret == !d->error[0]);
	if (ret)
		return;
	must(e.base.descriptor == desc);
	fuzz_reach(kind);
	round_trip(&e.base);
	json_object_put(print_message(&e.base));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* No byte more than there is, so that none more is read. */
	struct nlattr *copy = malloc(size ? size : 1), *attr = copy;
	char error[256];
	struct nl_decoder d = { .error = error, .error_len = sizeof(error) };
	char *end = (char *)copy + size;

	must(copy);
	memcpy(copy, data, size);
	for (; mnl_attr_ok(attr, end - (char *)attr); attr = mnl_attr_next(attr))
		decode(&d, attr);
	nl_decoder_free(&d);
	free(copy);
	return 0;
}

/* --- beginning ----------------------------------------------------------------- */

static void put_field(struct nlmsghdr *head, const ProtobufCFieldDescriptor *field)
{
	const ProtobufCMessageDescriptor *desc = field->descriptor;
	uint16_t type = field->id + 1;
	struct nlattr *nest;

	switch (field->type) {
	case PROTOBUF_C_TYPE_BOOL:
		mnl_attr_put_u8(head, type, 1);
		break;
	case PROTOBUF_C_TYPE_UINT32:
		mnl_attr_put_u32(head, type, field->id);
		break;
	case PROTOBUF_C_TYPE_STRING:
		mnl_attr_put_strz(head, type, "text");
		break;
	case PROTOBUF_C_TYPE_BYTES:
		mnl_attr_put(head, type, 3, "a\0b");
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		nest = mnl_attr_nest_start(head, type);
		for (unsigned int i = 0; i < desc->n_fields; i++)
			put_field(head, &desc->fields[i]);
		mnl_attr_nest_end(head, nest);
		break;
	default:
		mnl_attr_put_u64(head, type, (uint64_t)field->id << 32);
	}
}

/* One whole nest of a kind, and one after the other. */
static void write_seeds(void)
{
	static union {
		struct nlmsghdr head;
		char buf[16384];
	} all;
	struct nlmsghdr *head = mnl_nlmsg_put_header(&all);
	struct nlattr *nest;
	unsigned int kind, i;

	for (kind = 0; kind < KINDS; kind++) {
		nest = mnl_attr_nest_start(head, kind);
		for (i = 0; i < kinds[kind]->n_fields; i++)
			put_field(head, &kinds[kind]->fields[i]);
		mnl_attr_nest_end(head, nest);
		fuzz_seed(kinds[kind]->short_name, nest, nest->nla_len);
	}
	fuzz_seed("all", mnl_nlmsg_get_payload(head), mnl_nlmsg_get_payload_len(head));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	if (fuzz_wants_seeds()) {
		write_seeds();
		exit(0);
	}
	return 0;
}
