/* SPDX-License-Identifier: GPL-2.0 */
/* Image messages that are kept. */
#ifndef FUSECR_MESSAGE_LIST_H
#define FUSECR_MESSAGE_LIST_H

#include <stddef.h>
#include <protobuf-c/protobuf-c.h>

/* A list of image messages that owns them. */
struct message_list {
	ProtobufCMessage **items;
	size_t count;
};

/* Adds a copy of a message that we made ourselves.  0 or -ENOMEM. */
int message_list_add(struct message_list *list, const ProtobufCMessage *msg);
/*
 * Adds the message itself, which belongs to the list from now on, or is freed.
 * For what was read: unknown fields may not survive being copied.  0 or -ENOMEM.
 */
int message_list_take(struct message_list *list, ProtobufCMessage *msg);
void message_list_free(struct message_list *list);

#endif
