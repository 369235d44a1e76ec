/* SPDX-License-Identifier: GPL-2.0 */
/* Messages of any kind with every field set, made from their descriptors. */
#ifndef MESSAGES_H
#define MESSAGES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "image.h"

static inline void *message_member(void *msg, unsigned int offset)
{
	return (char *)msg + offset;
}

static inline ProtobufCMessage *message_make(const ProtobufCMessageDescriptor *desc, uint32_t seed);

static inline void message_fill_list(void *msg, const ProtobufCFieldDescriptor *field, uint32_t seed)
{
	ProtobufCMessage **items = calloc(2, sizeof(*items));

	items[0] = message_make(field->descriptor, seed + 1);
	items[1] = message_make(field->descriptor, seed + 2);
	*(ProtobufCMessage ***)message_member(msg, field->offset) = items;
	*(size_t *)message_member(msg, field->quantifier_offset) = 2;
}

static inline void message_fill(void *msg, const ProtobufCFieldDescriptor *field, uint32_t seed)
{
	void *value = message_member(msg, field->offset);
	ProtobufCBinaryData *bytes = value;
	char text[32];

	switch (field->type) {
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)value = 1;
		break;
	case PROTOBUF_C_TYPE_UINT32:
		*(uint32_t *)value = seed * 2654435761u + field->id;
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_SINT64:
		*(uint64_t *)value = seed * 11400714819323198485ull + field->id;
		break;
	case PROTOBUF_C_TYPE_STRING:
		snprintf(text, sizeof(text), "text %u", seed);
		*(char **)value = strdup(text);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		bytes->len = 5;
		bytes->data = malloc(5);
		memcpy(bytes->data, "a\0\n\377", 5);
		break;
	default:
		abort();
	}
	if (field->label == PROTOBUF_C_LABEL_OPTIONAL && field->type != PROTOBUF_C_TYPE_STRING)
		*(protobuf_c_boolean *)message_member(msg, field->quantifier_offset) = 1;
}

/* Free with protobuf_c_message_free_unpacked(). */
static inline ProtobufCMessage *message_make(const ProtobufCMessageDescriptor *desc, uint32_t seed)
{
	ProtobufCMessage *msg = calloc(1, desc->sizeof_message);
	unsigned int i;

	protobuf_c_message_init(desc, msg);
	for (i = 0; i < desc->n_fields; i++) {
		if (desc->fields[i].label == PROTOBUF_C_LABEL_REPEATED)
			message_fill_list(msg, &desc->fields[i], seed);
		else
			message_fill(msg, &desc->fields[i], seed);
	}
	if (desc == image_types[IMAGE_INVENTORY].desc)	/* the one version that is read */
		*(uint32_t *)message_member(msg, desc->fields[0].offset) = IMAGE_VERSION;
	return msg;
}

/* Whether both say the same. */
static inline int message_same(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
	size_t size = protobuf_c_message_get_packed_size(a);
	uint8_t *x = malloc(size + 1), *y = malloc(size + 1);
	int same = size == protobuf_c_message_get_packed_size(b);

	if (same) {
		protobuf_c_message_pack(a, x);
		protobuf_c_message_pack(b, y);
		same = !memcmp(x, y, size);
	}
	free(x);
	free(y);
	return same;
}

#endif
