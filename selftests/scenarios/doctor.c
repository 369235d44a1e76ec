// SPDX-License-Identifier: GPL-2.0
/*
 * doctor DIR FIELD=NUMBER - changes fusecr-conn-1.img.
 *
 * A number with + is added to the bits that are set.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fusecr.pb-c.h"
#include "image.h"

static int edit(FuseConnEntry *c, char *text)
{
	char *value = strchr(text, '=');
	const ProtobufCFieldDescriptor *field;
	uint64_t number, *wide;
	uint32_t *narrow;

	if (!value)
		return -1;
	*value++ = 0;
	field = protobuf_c_message_descriptor_get_field_by_name(c->base.descriptor, text);
	if (!field)
		return -1;
	number = strtoull(value + (*value == '+'), NULL, 0);
	wide = (void *)((char *)c + field->offset);
	narrow = (void *)wide;
	if (field->type == PROTOBUF_C_TYPE_UINT64)
		*wide = number | (*value == '+' ? *wide : 0);
	else
		*narrow = number | (*value == '+' ? *narrow : 0);
	return 0;
}

int main(int argc, char **argv)
{
	ProtobufCMessage *msg;
	struct image *img;
	int dirfd;

	if (argc != 3)
		return 2;
	dirfd = open(argv[1], O_RDONLY | O_DIRECTORY);
	if (dirfd < 0 || image_read_one(dirfd, IMAGE_CONN, 1, &msg)) {
		fprintf(stderr, "doctor: %s\n", dirfd < 0 ? argv[1] : image_error());
		return 1;
	}
	if (edit((FuseConnEntry *)msg, argv[2])) {
		fprintf(stderr, "doctor: what is %s?\n", argv[2]);
		return 2;
	}
	if (image_create(&img, dirfd, IMAGE_CONN, 1) || image_write(img, msg) ||
	    image_close(img)) {
		fprintf(stderr, "doctor: %s\n", image_error());
		return 1;
	}
	return 0;
}
