// SPDX-License-Identifier: GPL-2.0
/* Image files.  See image.h for the framing. */
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "cleanup.h"
#include "fusecr.pb-c.h"
#include "image.h"

/* CRIU's magics are latitudes and longitudes; no place lies at fc degrees. */
const struct image_type image_types[IMAGE_KINDS] = {
	[IMAGE_INVENTORY] = { "inventory", 0xfc000001, &fusecr_inventory_entry__descriptor },
	[IMAGE_CONN]	  = { "conn",	   0xfc000002, &fuse_conn_entry__descriptor },
	[IMAGE_DEV]	  = { "dev",	   0xfc000003, &fuse_dev_entry__descriptor },
	[IMAGE_REQUEST]	  = { "request",   0xfc000004, &fuse_request_entry__descriptor },
	[IMAGE_INODE]	  = { "inode",	   0xfc000005, &fuse_inode_entry__descriptor },
	[IMAGE_FILE]	  = { "file",	   0xfc000006, &fuse_file_entry__descriptor },
	[IMAGE_MOUNT]	  = { "mount",	   0xfc000007, &fuse_mount_entry__descriptor },
	[IMAGE_BACKING]	  = { "backing",   0xfc000008, &fuse_backing_entry__descriptor },
};

struct image {
	FILE *f;
	enum image_kind kind;
	bool writing;
	int error;		/* the first that a write had */
	uint64_t left;		/* bytes not read yet */
	unsigned int entry;	/* number of the next entry, from 0 */
	uint8_t *buf;
	size_t room;
	char name[256];
};

static __thread char error_text[512];

const char *image_error(void)
{
	return error_text;
}

/* Keeps the sentence for image_error() and returns err. */
static __attribute__((format(printf, 3, 4)))
int fail(int err, const char *name, const char *fmt, ...)
{
	int n = snprintf(error_text, sizeof(error_text), "%s: ", name);
	va_list ap;

	if (n < 0 || (size_t)n >= sizeof(error_text))
		return err;
	va_start(ap, fmt);
	vsnprintf(error_text + n, sizeof(error_text) - n, fmt, ap);
	va_end(ap);
	return err;
}

static int no_memory(const char *name)
{
	return fail(-ENOMEM, name, "out of memory");
}

static void image_free(struct image *img)
{
	if (!img)
		return;
	if (img->f)
		fclose(img->f);
	free(img->buf);
	free(img);
}

static void image_auto(struct image **img)
{
	image_free(*img);
}

static void file_name(char *buf, size_t len, enum image_kind kind, uint32_t id)
{
	snprintf(buf, len, "fusecr-%s-%" PRIu32 ".img", image_types[kind].name, id);
}

static int reserve(struct image *img, size_t size)
{
	uint8_t *buf;

	if (size <= img->room)
		return 0;
	buf = realloc(img->buf, size);
	if (!buf)
		return no_memory(img->name);
	img->buf = buf;
	img->room = size;
	return 0;
}

/* After a failure nothing more is written; image_close() tells of it. */
static int put(struct image *img, const void *data, size_t size)
{
	if (img->error)
		return img->error;
	errno = EIO;
	if (fwrite(data, 1, size, img->f) != size)
		img->error = fail(-errno, img->name, "cannot write: %s", strerror(errno));
	return img->error;
}

static int put_u32(struct image *img, uint32_t value)
{
	uint32_t le = htole32(value);

	return put(img, &le, sizeof(le));
}

int image_create(struct image **out, int dirfd, enum image_kind kind, uint32_t id)
{
	struct image *img cleanup(image_auto) = calloc(1, sizeof(*img));
	int fd, ret;

	if (!img)
		return no_memory(image_types[kind].name);
	img->kind = kind;
	img->writing = true;
	file_name(img->name, sizeof(img->name), kind, id);
	fd = openat(dirfd, img->name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fail(-errno, img->name, "cannot create: %s", strerror(errno));
	img->f = fdopen(fd, "w");
	if (!img->f) {
		close(fd);
		return no_memory(img->name);
	}
	ret = put_u32(img, IMAGE_COMMON_MAGIC);
	ret = ret ?: put_u32(img, image_types[kind].magic);
	if (ret < 0)
		return ret;
	*out = steal(img);
	return 0;
}

static int get(struct image *img, void *data, size_t size, const char *what)
{
	if (size > img->left)
		return fail(-EBADMSG, img->name, "ends within %s of entry %u", what, img->entry);
	errno = EIO;
	if (fread(data, 1, size, img->f) != size)
		return fail(-errno, img->name, "cannot read: %s", strerror(errno));
	img->left -= size;
	return 0;
}

static int get_u32(struct image *img, uint32_t *value, const char *what)
{
	uint32_t le = 0;
	int ret = get(img, &le, sizeof(le), what);

	if (ret == 0)
		*value = le32toh(le);
	return ret;
}

/* Takes fd.  Leaves the kind to the caller's judgement of *magic. */
static int start_reading(struct image *img, int fd, uint32_t *magic)
{
	uint32_t common = 0;
	struct stat st;

	img->f = fdopen(fd, "r");
	if (!img->f) {
		close(fd);
		return no_memory(img->name);
	}
	if (fstat(fd, &st) < 0)
		return fail(-errno, img->name, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(-EBADMSG, img->name, "not a regular file");
	img->left = st.st_size;
	if (img->left < 2 * sizeof(uint32_t))
		return fail(-EBADMSG, img->name, "too short for an image");
	if (get_u32(img, &common, "the magic") < 0 || get_u32(img, magic, "the magic") < 0)
		return -EBADMSG;
	if (common != IMAGE_COMMON_MAGIC)
		return fail(-EBADMSG, img->name, "not a CRIU image (magic 0x%08" PRIx32 ")", common);
	return 0;
}

/* A FIFO or a device in the place of an image must not hold us up. */
#define OPEN_READING (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

int image_open(struct image **out, int dirfd, enum image_kind kind, uint32_t id)
{
	struct image *img cleanup(image_auto) = calloc(1, sizeof(*img));
	uint32_t magic = 0;
	int fd, ret;

	if (!img)
		return no_memory(image_types[kind].name);
	img->kind = kind;
	file_name(img->name, sizeof(img->name), kind, id);
	fd = openat(dirfd, img->name, OPEN_READING);
	if (fd < 0)
		return fail(-errno, img->name, "cannot open: %s", strerror(errno));
	ret = start_reading(img, fd, &magic);
	if (ret < 0)
		return ret;
	if (magic != image_types[kind].magic)
		return fail(-EBADMSG, img->name, "not a %s image (magic 0x%08" PRIx32 ")",
			    image_types[kind].name, magic);
	*out = steal(img);
	return 0;
}

int image_open_path(struct image **out, const char *path, enum image_kind *kind)
{
	struct image *img cleanup(image_auto) = calloc(1, sizeof(*img));
	uint32_t magic = 0;
	int fd, ret;

	if (!img)
		return no_memory(path);
	snprintf(img->name, sizeof(img->name), "%s", path);
	fd = open(path, OPEN_READING);
	if (fd < 0)
		return fail(-errno, path, "cannot open: %s", strerror(errno));
	ret = start_reading(img, fd, &magic);
	if (ret < 0)
		return ret;
	for (img->kind = 0; img->kind < IMAGE_KINDS; img->kind++)
		if (image_types[img->kind].magic == magic)
			break;
	if (img->kind == IMAGE_KINDS)
		return fail(-EBADMSG, path, "not a fusecr image (magic 0x%08" PRIx32 ")", magic);
	*kind = img->kind;
	*out = steal(img);
	return 0;
}

int image_close(struct image *img)
{
	int ret = 0;

	if (!img)
		return 0;
	if (img->writing) {
		errno = EIO;
		ret = img->error;
		if (fclose(img->f) && !ret)
			ret = fail(-errno, img->name, "cannot write: %s", strerror(errno));
		img->f = NULL;
	}
	image_free(img);
	return ret;
}

int image_write(struct image *img, const ProtobufCMessage *msg)
{
	const ProtobufCMessageDescriptor *desc = image_types[img->kind].desc;
	size_t size;
	int ret;

	if (msg->descriptor != desc)
		return fail(-EINVAL, img->name, "a %s does not belong here", msg->descriptor->name);
	size = protobuf_c_message_get_packed_size(msg);
	if (size > IMAGE_ENTRY_MAX)
		return fail(-EFBIG, img->name, "entry of %zu bytes is too large", size);
	ret = reserve(img, size);
	if (ret < 0)
		return ret;
	protobuf_c_message_pack(msg, img->buf);
	ret = put_u32(img, size);
	return ret ?: put(img, img->buf, size);
}

static int check_version(const struct image *img, const ProtobufCMessage *msg)
{
	uint32_t version;

	if (img->kind != IMAGE_INVENTORY)
		return 0;
	version = ((const FusecrInventoryEntry *)msg)->version;
	if (version == IMAGE_VERSION)
		return 0;
	return fail(-EPROTONOSUPPORT, img->name,
		    "format version %" PRIu32 ", but this fusecr reads version %d: use the fusecr that wrote it",
		    version, IMAGE_VERSION);
}

int image_read(struct image *img, ProtobufCMessage **out)
{
	ProtobufCMessage *msg;
	uint32_t size = 0;
	int ret;

	if (img->left == 0)
		return 0;
	ret = get_u32(img, &size, "the size");
	if (ret < 0)
		return ret;
	if (size > IMAGE_ENTRY_MAX)
		return fail(-EBADMSG, img->name, "entry %u claims %" PRIu32 " bytes", img->entry, size);
	if (size > img->left)
		return fail(-EBADMSG, img->name, "ends within entry %u", img->entry);
	ret = reserve(img, size ?: 1);
	ret = ret ?: get(img, img->buf, size, "the body");
	if (ret < 0)
		return ret;
	msg = protobuf_c_message_unpack(image_types[img->kind].desc, NULL, size, img->buf);
	if (!msg)
		return fail(-EBADMSG, img->name, "entry %u is damaged", img->entry);
	ret = check_version(img, msg);
	if (ret < 0) {
		protobuf_c_message_free_unpacked(msg, NULL);
		return ret;
	}
	img->entry++;
	*out = msg;
	return 1;
}

int image_read_one(int dirfd, enum image_kind kind, uint32_t id, ProtobufCMessage **msg)
{
	struct image *img cleanup(image_auto) = NULL;
	int ret;

	ret = image_open(&img, dirfd, kind, id);
	if (!img)
		return ret;
	ret = image_read(img, msg);
	if (ret == 0)
		return fail(-EBADMSG, img->name, "is empty");
	return ret < 0 ? ret : 0;
}

static bool is_image_name(const char *name)
{
	char again[64];
	uint32_t id;
	int kind;

	for (kind = 0; kind < IMAGE_KINDS; kind++) {
		size_t len = strlen(image_types[kind].name);

		if (strncmp(name, "fusecr-", 7) || strncmp(name + 7, image_types[kind].name, len) ||
		    sscanf(name + 7 + len, "-%" SCNu32 ".img", &id) != 1)
			continue;
		file_name(again, sizeof(again), kind, id);
		if (!strcmp(name, again))
			return true;
	}
	return false;
}

void image_remove_all(int dirfd)
{
	DIR *dir cleanup(closedir_auto) = NULL;
	struct dirent *d;
	int fd;

	fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return;
	}
	while ((d = readdir(dir)))
		if (is_image_name(d->d_name))
			unlinkat(dirfd, d->d_name, 0);
}
