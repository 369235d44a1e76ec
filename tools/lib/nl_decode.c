// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "nl_decode.h"

#define FIRST_FIELD 2	/* the attribute of field 1 */

static int bad(struct nl_decoder *d, const ProtobufCMessageDescriptor *desc,
	       const ProtobufCFieldDescriptor *field, const char *what)
{
	snprintf(d->error, d->error_len, "the kernel module's answer is %s: %s.%s", what,
		 desc->name, field->name);
	return -EBADMSG;
}

static void *member(void *msg, unsigned int offset)
{
	return (char *)msg + offset;
}

static void set_has(void *msg, const ProtobufCFieldDescriptor *field)
{
	/* Strings have no such member: they are there or NULL. */
	if (field->label == PROTOBUF_C_LABEL_OPTIONAL && field->type != PROTOBUF_C_TYPE_STRING)
		*(protobuf_c_boolean *)member(msg, field->quantifier_offset) = 1;
}

static bool has_size(const struct nlattr *attr, size_t size)
{
	return mnl_attr_get_payload_len(attr) == size;
}

/* Whether the attribute suited the field. */
static bool decode_field(void *msg, const ProtobufCFieldDescriptor *field, const struct nlattr *attr)
{
	void *value = member(msg, field->offset);
	ProtobufCBinaryData *bytes = value;

	switch (field->type) {
	case PROTOBUF_C_TYPE_BOOL:
		if (!has_size(attr, 1))
			return false;
		*(protobuf_c_boolean *)value = mnl_attr_get_u8(attr) != 0;
		break;
	case PROTOBUF_C_TYPE_UINT32:
		if (!has_size(attr, 4))
			return false;
		*(uint32_t *)value = mnl_attr_get_u32(attr);
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_SINT64:
		if (!has_size(attr, 8))
			return false;
		*(uint64_t *)value = mnl_attr_get_u64(attr);
		break;
	case PROTOBUF_C_TYPE_STRING:
		if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) < 0)
			return false;
		*(const char **)value = mnl_attr_get_str(attr);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		bytes->data = mnl_attr_get_payload(attr);
		bytes->len = mnl_attr_get_payload_len(attr);
		break;
	default:
		return false;
	}
	set_has(msg, field);
	return true;
}

static int reserve(struct nl_names *names, size_t count)
{
	FuseNameEntry *entries;
	FuseNameEntry **list;
	size_t room = 2 * count;

	if (count <= names->room)
		return 0;
	entries = reallocarray(names->entries, room, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	names->entries = entries;
	list = reallocarray(names->list, room, sizeof(*list));
	if (!list)
		return -ENOMEM;
	names->list = list;
	names->room = room;
	return 0;
}

static int decode_nest(struct nl_decoder *d, const struct nlattr *nest,
		       const ProtobufCMessageDescriptor *desc, void *msg);

static int decode_name(struct nl_decoder *d, const struct nlattr *attr, FuseInodeEntry *inode)
{
	FuseNameEntry *name = &d->names.entries[inode->n_name];

	d->names.list[inode->n_name++] = name;
	inode->name = d->names.list;
	fuse_name_entry__init(name);
	return decode_nest(d, attr, &fuse_name_entry__descriptor, name);
}

static int decode_backing(struct nl_decoder *d, const struct nlattr *attr, FuseFileEntry *file)
{
	d->backings = &d->backing;
	file->backing = &d->backings;
	file->n_backing = 1;
	fuse_backing_entry__init(&d->backing);
	return decode_nest(d, attr, &fuse_backing_entry__descriptor, &d->backing);
}

static int decode_above(struct nl_decoder *d, const struct nlattr *attr, FuseFileEntry *file,
			const ProtobufCFieldDescriptor *field)
{
	FuseAboveEntry *above = &d->above[file->n_above];

	if (file->n_above == FUSECR_ABOVE_LIMIT)
		return bad(d, &fuse_file_entry__descriptor, field, "too long");
	d->aboves[file->n_above++] = above;
	file->above = d->aboves;
	fuse_above_entry__init(above);
	return decode_nest(d, attr, &fuse_above_entry__descriptor, above);
}

/* A message in a message. */
static int decode_message(struct nl_decoder *d, const struct nlattr *attr, void *msg,
			  const ProtobufCFieldDescriptor *field)
{
	if (field->descriptor == &fuse_name_entry__descriptor)
		return decode_name(d, attr, msg);
	if (field->descriptor == &fuse_backing_entry__descriptor)
		return decode_backing(d, attr, msg);
	if (field->descriptor == &fuse_above_entry__descriptor)
		return decode_above(d, attr, msg, field);
	return bad(d, field->descriptor, field, "malformed");
}

/* Fields behind it are the image's own: what a newer module tells there is not for them. */
static unsigned int last_attr(const ProtobufCMessageDescriptor *desc)
{
	static const struct {
		const ProtobufCMessageDescriptor *desc;
		unsigned int last;
	} lasts[] = {
		{ &fuse_conn_entry__descriptor, FUSECR_CONN_MAX },
		{ &fuse_dev_entry__descriptor, FUSECR_DEV_MAX },
		{ &fuse_request_entry__descriptor, FUSECR_REQ_MAX },
		{ &fuse_inode_entry__descriptor, FUSECR_INODE_MAX },
		{ &fuse_name_entry__descriptor, FUSECR_NAME_MAX_ATTR },
		{ &fuse_file_entry__descriptor, FUSECR_FILE_MAX },
		{ &fuse_above_entry__descriptor, FUSECR_ABOVE_MAX_ATTR },
		{ &fuse_backing_entry__descriptor, FUSECR_BACKING_MAX },
	};

	for (size_t i = 0; i < sizeof(lasts) / sizeof(*lasts); i++)
		if (lasts[i].desc == desc)
			return lasts[i].last;
	return 0;
}

static int decode_nest(struct nl_decoder *d, const struct nlattr *nest,
		       const ProtobufCMessageDescriptor *desc, void *msg)
{
	const unsigned int last = last_attr(desc);
	const ProtobufCFieldDescriptor *field;
	const struct nlattr *attr;
	uint64_t seen = 0;
	unsigned int i;
	int ret;

	mnl_attr_for_each_nested(attr, nest) {
		const unsigned int type = mnl_attr_get_type(attr);

		field = type > last ? NULL :
			protobuf_c_message_descriptor_get_field(desc, type - FIRST_FIELD + 1);
		if (!field)	/* of a newer module, or padding */
			continue;
		seen |= 1ULL << (field - desc->fields);
		if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
			ret = decode_message(d, attr, msg, field);
			if (ret < 0)
				return ret;
		} else if (!decode_field(msg, field, attr)) {
			return bad(d, desc, field, "malformed");
		}
	}
	for (i = 0; i < desc->n_fields; i++)
		if (desc->fields[i].label == PROTOBUF_C_LABEL_REQUIRED && !(seen >> i & 1))
			return bad(d, desc, &desc->fields[i], "incomplete");
	return 0;
}

int nl_decode(struct nl_decoder *d, const struct nlattr *nest,
	      const ProtobufCMessageDescriptor *desc, union nl_entry *e)
{
	const struct nlattr *attr;
	size_t nests = 0;

	protobuf_c_message_init(desc, e);
	/* All names at once: their addresses must hold until the callback. */
	if (desc == &fuse_inode_entry__descriptor) {
		mnl_attr_for_each_nested(attr, nest)
			nests++;
		if (reserve(&d->names, nests) < 0)
			return -ENOMEM;
	}
	return decode_nest(d, nest, desc, e);
}

void nl_decoder_free(struct nl_decoder *d)
{
	free(d->names.entries);
	free(d->names.list);
}
