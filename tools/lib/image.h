/* SPDX-License-Identifier: GPL-2.0 */
/*
 * fusecr-<kind>-<id>.img in CRIU's framing: CRIU's common magic, the kind's own
 * magic, then for each entry its size (u32, little endian) and its protobuf.
 * An image is untrusted input: sizes are bounded, a short file is an error.
 */
#ifndef FUSECR_IMAGE_H
#define FUSECR_IMAGE_H

#include <stdint.h>
#include <protobuf-c/protobuf-c.h>

#define IMAGE_VERSION		2		/* of the format */
#define IMAGE_COMMON_MAGIC	0x54564319	/* criu/include/magic.h, IMG_COMMON_MAGIC */
#define IMAGE_ENTRY_MAX		(64u << 20)	/* bytes in one entry */

enum image_kind {
	IMAGE_INVENTORY,
	IMAGE_CONN,
	IMAGE_DEV,
	IMAGE_REQUEST,
	IMAGE_INODE,
	IMAGE_FILE,
	IMAGE_MOUNT,
	IMAGE_BACKING,
	IMAGE_KINDS
};

struct image_type {
	const char *name;	/* in the file name */
	uint32_t magic;
	const ProtobufCMessageDescriptor *desc;
};
extern const struct image_type image_types[IMAGE_KINDS];

struct image;

/*
 * Opens the image of a kind and id in the directory dirfd, for writing (made
 * anew) or reading.  -ENOENT: there is none.  -EBADMSG: not such an image.
 * image_error() of the thread's last failed call names the file and the fault.
 * image_close() takes NULL; for a written image it returns the error that any
 * write had (-ENOSPC and so on): only a closed image is a whole image.
 */
int image_create(struct image **img, int dirfd, enum image_kind kind, uint32_t id);
int image_open(struct image **img, int dirfd, enum image_kind kind, uint32_t id);
int image_open_path(struct image **img, const char *path, enum image_kind *kind);
int image_close(struct image *img);
const char *image_error(void);

int image_write(struct image *img, const ProtobufCMessage *msg);
/* 1 and a message (free with protobuf_c_message_free_unpacked), 0 at the end, -errno. */
int image_read(struct image *img, ProtobufCMessage **msg);
/* One entry that must be there: 0 or -errno. */
int image_read_one(int dirfd, enum image_kind kind, uint32_t id, ProtobufCMessage **msg);

/* Removes what a failed dump has written; a missing directory is no error. */
void image_remove_all(int dirfd);

#endif
