// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>

#include "message_list.h"

int message_list_take(struct message_list *list, ProtobufCMessage *msg)
{
	ProtobufCMessage **items;

	/* Grow by doubling: trees with 100,000 open files exist. */
	if (!(list->count & (list->count - 1))) {
		items = reallocarray(list->items, list->count ? list->count * 2 : 1,
				     sizeof(*items));
		if (!items) {
			protobuf_c_message_free_unpacked(msg, NULL);
			return -ENOMEM;
		}
		list->items = items;
	}
	list->items[list->count++] = msg;
	return 0;
}

int message_list_add(struct message_list *list, const ProtobufCMessage *msg)
{
	ProtobufCMessage *copy;
	size_t size = protobuf_c_message_get_packed_size(msg);
	uint8_t *buf = malloc(size ?: 1);

	if (!buf)
		return -ENOMEM;
	protobuf_c_message_pack(msg, buf);
	copy = protobuf_c_message_unpack(msg->descriptor, NULL, size, buf);
	free(buf);
	return copy ? message_list_take(list, copy) : -ENOMEM;
}

void message_list_free(struct message_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		protobuf_c_message_free_unpacked(list->items[i], NULL);
	free(list->items);
	list->items = NULL;
	list->count = 0;
}
