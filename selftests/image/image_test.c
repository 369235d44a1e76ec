// SPDX-License-Identifier: GPL-2.0
/*
 * Images: what is written is read again, and nothing that stands in a file can
 * do more than be refused.  Built with sanitizers.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fusecr.pb-c.h"
#include "image.h"
#include "messages.h"
#include "print.h"
#include "kselftest_harness.h"

#define ENTRIES 3
#define HEAD 8		/* bytes before the first entry */
#define ID 7

struct file {
	uint8_t data[4096];
	size_t size;
	size_t ends[ENTRIES];	/* where each entry ends */
};

FIXTURE(image)
{
	char dir[64];
	char path[160];
	char name[64];
	int dirfd;
	struct file file;
	ProtobufCMessage *messages[ENTRIES];
};

FIXTURE_VARIANT(image)
{
	enum image_kind kind;
	const char *name;
	uint8_t head[HEAD];
};

/* The bytes stand here once more: a change of format has to be a decision. */
#define VARIANT(KIND, kind_name, number)				\
	FIXTURE_VARIANT_ADD(image, kind_name)				\
	{								\
		.kind = KIND,						\
		.name = #kind_name,					\
		.head = { 0x19, 0x43, 0x56, 0x54, number, 0, 0, 0xfc },	\
	}

VARIANT(IMAGE_INVENTORY, inventory, 1);
VARIANT(IMAGE_CONN, conn, 2);
VARIANT(IMAGE_DEV, dev, 3);
VARIANT(IMAGE_REQUEST, request, 4);
VARIANT(IMAGE_INODE, inode, 5);
VARIANT(IMAGE_FILE, file, 6);
VARIANT(IMAGE_MOUNT, mount, 7);
VARIANT(IMAGE_BACKING, backing, 8);

/* Not with O_TRUNC: some file systems then sync at each close. */
static void write_file(const char *path, const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	if (fd < 0 || pwrite(fd, data, size, 0) != (ssize_t)size || ftruncate(fd, size))
		abort();
	close(fd);
}

static void read_file(const char *path, struct file *file)
{
	uint32_t size;
	size_t at = HEAD;
	int fd = open(path, O_RDONLY), i;

	file->size = read(fd, file->data, sizeof(file->data));
	close(fd);
	for (i = 0; i < ENTRIES; i++) {
		memcpy(&size, file->data + at, 4);
		at += 4 + size;
		file->ends[i] = at;
	}
}

FIXTURE_SETUP(image)
{
	struct image *img;
	int i;

	snprintf(self->dir, sizeof(self->dir), "/tmp/fusecr-image.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	self->dirfd = open(self->dir, O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, self->dirfd);
	snprintf(self->name, sizeof(self->name), "fusecr-%s-%d.img", variant->name, ID);

	ASSERT_EQ(0, image_create(&img, self->dirfd, variant->kind, ID));
	for (i = 0; i < ENTRIES; i++) {
		self->messages[i] = message_make(image_types[variant->kind].desc, i + 1);
		ASSERT_EQ(0, image_write(img, self->messages[i]));
	}
	ASSERT_EQ(0, image_close(img));
	snprintf(self->path, sizeof(self->path), "%s/%s", self->dir, self->name);
	read_file(self->path, &self->file);
}

FIXTURE_TEARDOWN(image)
{
	int i;

	for (i = 0; i < ENTRIES; i++)
		protobuf_c_message_free_unpacked(self->messages[i], NULL);
	unlinkat(self->dirfd, self->name, 0);
	close(self->dirfd);
	rmdir(self->dir);
}

/* Reads to the end, prints what decodes; entries, or what reading said. */
static int read_all(const char *path, int *entries)
{
	struct json_object *obj;
	ProtobufCMessage *msg;
	enum image_kind kind;
	struct image *img;
	FILE *null;
	int ret;

	*entries = 0;
	ret = image_open_path(&img, path, &kind);
	if (ret < 0)
		return ret;
	null = fopen("/dev/null", "w");
	while ((ret = image_read(img, &msg)) == 1) {
		obj = print_message(msg);
		json_object_to_json_string(obj);
		print_text(null, obj, 0, true);
		json_object_put(obj);
		protobuf_c_message_free_unpacked(msg, NULL);
		(*entries)++;
	}
	fclose(null);
	image_close(img);
	return ret;
}

TEST_F(image, framing)
{
	uint32_t size;

	EXPECT_EQ(0, memcmp(variant->head, self->file.data, HEAD));
	memcpy(&size, self->file.data + HEAD, 4);
	EXPECT_EQ(protobuf_c_message_get_packed_size(self->messages[0]), size);
	EXPECT_EQ(self->file.ends[ENTRIES - 1], self->file.size);
}

TEST_F(image, round_trip)
{
	ProtobufCMessage *msg;
	struct image *img;
	int i;

	ASSERT_EQ(0, image_open(&img, self->dirfd, variant->kind, ID));
	for (i = 0; i < ENTRIES; i++) {
		ASSERT_EQ(1, image_read(img, &msg));
		EXPECT_TRUE(message_same(self->messages[i], msg));
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	EXPECT_EQ(0, image_read(img, &msg));
	EXPECT_EQ(0, image_read(img, &msg));
	EXPECT_EQ(0, image_close(img));

	ASSERT_EQ(0, image_read_one(self->dirfd, variant->kind, ID, &msg));
	EXPECT_TRUE(message_same(self->messages[0], msg));
	protobuf_c_message_free_unpacked(msg, NULL);
}

TEST_F(image, kind_of_path)
{
	enum image_kind kind;
	struct image *img;

	ASSERT_EQ(0, image_open_path(&img, self->path, &kind));
	EXPECT_EQ(variant->kind, kind);
	image_close(img);
}

TEST_F(image, truncated_anywhere)
{
	size_t len;
	int ret, entries, whole, wanted;

	for (len = 0; len < self->file.size; len++) {
		write_file(self->path, self->file.data, len);
		ret = read_all(self->path, &entries);
		for (whole = 0; whole < ENTRIES && self->file.ends[whole] <= len; whole++)
			;
		EXPECT_EQ(whole, entries);
		/* Between two entries nothing is missing that the file could tell. */
		wanted = len == HEAD || (whole && self->file.ends[whole - 1] == len) ? 0 : -EBADMSG;
		EXPECT_EQ(wanted, ret) TH_LOG("cut to %zu bytes", len);
	}
}

/* A file a bit: on a busy host that takes minutes. */
TEST_F_TIMEOUT(image, every_bit_flipped, 900)
{
	struct file copy;
	int ret, entries;
	size_t bit;

	for (bit = 0; bit < 8 * self->file.size; bit++) {
		copy = self->file;
		copy.data[bit / 8] ^= 1 << bit % 8;
		write_file(self->path, copy.data, copy.size);
		ret = read_all(self->path, &entries);
		EXPECT_TRUE(ret == 0 || ret == -EBADMSG || ret == -EPROTONOSUPPORT)
			TH_LOG("bit %zu: %d", bit, ret);
		if (bit < 8 * HEAD)
			EXPECT_TRUE(ret == -EBADMSG || entries == 0);
	}
}

TEST_F(image, noise)
{
	struct file copy;
	int round, entries;
	size_t at;

	srandom(variant->kind);
	for (round = 0; round < 3000; round++) {
		copy = self->file;
		for (at = HEAD + 4; at < copy.size; at++)
			if (round % 2 || random() % 16 == 0)
				copy.data[at] = random();
		write_file(self->path, copy.data, copy.size);
		read_all(self->path, &entries);
	}
}

TEST_F(image, huge_size)
{
	static const uint32_t sizes[] = {
		UINT32_MAX, INT32_MAX, IMAGE_ENTRY_MAX + 1, IMAGE_ENTRY_MAX, 4096,
	};
	size_t i;
	int entries;

	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		memcpy(self->file.data + HEAD, &sizes[i], 4);
		write_file(self->path, self->file.data, self->file.size);
		EXPECT_EQ(-EBADMSG, read_all(self->path, &entries));
		EXPECT_NE(NULL, strstr(image_error(), self->name));
	}
}

TEST_F(image, wrong_magic)
{
	enum image_kind other = (variant->kind + 1) % IMAGE_KINDS;
	struct image *img;
	char name[64];
	int entries;

	snprintf(name, sizeof(name), "fusecr-%s-%d.img", image_types[other].name, ID);
	ASSERT_EQ(0, renameat(self->dirfd, self->name, self->dirfd, name));
	EXPECT_EQ(-EBADMSG, image_open(&img, self->dirfd, other, ID));
	ASSERT_EQ(0, renameat(self->dirfd, name, self->dirfd, self->name));

	self->file.data[7] = 0x55;
	write_file(self->path, self->file.data, self->file.size);
	EXPECT_EQ(-EBADMSG, image_open(&img, self->dirfd, variant->kind, ID));
	EXPECT_EQ(-EBADMSG, read_all(self->path, &entries));
	self->file.data[7] = 0xfc;
	self->file.data[0] = 0;
	write_file(self->path, self->file.data, self->file.size);
	EXPECT_EQ(-EBADMSG, image_open(&img, self->dirfd, variant->kind, ID));
	EXPECT_EQ(-EBADMSG, read_all(self->path, &entries));
}

TEST_F(image, unknown_field_ignored)
{
	/* Field 1000: a number, then three bytes. */
	static const uint8_t unknown[] = { 0xc0, 0x3e, 5, 0xc2, 0x3e, 3, 'n', 'e', 'w' };
	uint32_t size = self->file.ends[0] - HEAD - 4;
	ProtobufCMessage *msg;
	struct file copy = self->file;

	memcpy(copy.data + HEAD + 4 + size, unknown, sizeof(unknown));
	size += sizeof(unknown);
	memcpy(copy.data + HEAD, &size, 4);
	write_file(self->path, copy.data, HEAD + 4 + size);
	ASSERT_EQ(0, image_read_one(self->dirfd, variant->kind, ID, &msg));
	EXPECT_EQ(2, msg->n_unknown_fields);
	/* Same in all that we know. */
	protobuf_c_message_free_unpacked(msg, NULL);
}

TEST_F(image, empty_entry_lacks_fields)
{
	static const uint8_t none[4];
	int entries;

	memcpy(self->file.data + HEAD, none, 4);
	write_file(self->path, self->file.data, HEAD + 4);
	EXPECT_EQ(-EBADMSG, read_all(self->path, &entries));
}

TEST_F(image, without_entries)
{
	ProtobufCMessage *msg;
	int entries;

	write_file(self->path, self->file.data, HEAD);
	EXPECT_EQ(0, read_all(self->path, &entries));
	EXPECT_EQ(0, entries);
	EXPECT_EQ(-EBADMSG, image_read_one(self->dirfd, variant->kind, ID, &msg));
}

TEST_F(image, no_regular_file)
{
	struct image *img;
	int entries;

	ASSERT_EQ(0, unlink(self->path));
	EXPECT_EQ(-ENOENT, image_open(&img, self->dirfd, variant->kind, ID));
	/* Must not wait for a writer. */
	ASSERT_EQ(0, mkfifo(self->path, 0600));
	EXPECT_EQ(-EBADMSG, image_open(&img, self->dirfd, variant->kind, ID));
	EXPECT_EQ(-EBADMSG, read_all(self->path, &entries));
	ASSERT_EQ(0, unlink(self->path));
	/* Nobody gets to choose another file for us to overwrite. */
	ASSERT_EQ(0, symlink("/dev/null", self->path));
	EXPECT_EQ(-ELOOP, image_create(&img, self->dirfd, variant->kind, ID));
}

TEST_F(image, message_of_another_kind)
{
	enum image_kind other = (variant->kind + 1) % IMAGE_KINDS;
	ProtobufCMessage *msg = message_make(image_types[other].desc, 1);
	struct image *img;

	ASSERT_EQ(0, image_create(&img, self->dirfd, variant->kind, ID));
	EXPECT_EQ(-EINVAL, image_write(img, msg));
	image_close(img);
	protobuf_c_message_free_unpacked(msg, NULL);
}

TEST_F(image, failed_write_is_told)
{
	struct rlimit limit, small = { .rlim_cur = HEAD + 2 };
	struct image *img;

	signal(SIGXFSZ, SIG_IGN);
	ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &limit));
	small.rlim_max = limit.rlim_max;
	ASSERT_EQ(0, image_create(&img, self->dirfd, variant->kind, ID));
	image_write(img, self->messages[0]);
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &small));
	EXPECT_EQ(-EFBIG, image_close(img));
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
}

TEST_F(image, removes_only_ours)
{
	static const char *const others[] = {
		"fusecr-inode-01.img", "fusecr-inode-1.img.bak", "fusecr-other-1.img", "core-1.img",
	};
	struct stat st;
	size_t i;

	for (i = 0; i < 4; i++)
		close(openat(self->dirfd, others[i], O_CREAT | O_WRONLY, 0600));
	image_remove_all(self->dirfd);
	EXPECT_EQ(-1, fstatat(self->dirfd, self->name, &st, 0));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, unlinkat(self->dirfd, others[i], 0));
}

TEST(other_version_refused)
{
	ProtobufCMessage *msg = message_make(image_types[IMAGE_INVENTORY].desc, 1), *back;
	char dir[] = "/tmp/fusecr-image.XXXXXX", told[32];
	struct image *img;
	int dirfd;

	ASSERT_NE(NULL, mkdtemp(dir));
	dirfd = open(dir, O_RDONLY | O_DIRECTORY);
	((FusecrInventoryEntry *)msg)->version = IMAGE_VERSION + 1;
	ASSERT_EQ(0, image_create(&img, dirfd, IMAGE_INVENTORY, 0));
	ASSERT_EQ(0, image_write(img, msg));
	ASSERT_EQ(0, image_close(img));
	EXPECT_EQ(-EPROTONOSUPPORT, image_read_one(dirfd, IMAGE_INVENTORY, 0, &back));
	snprintf(told, sizeof(told), "format version %d", IMAGE_VERSION + 1);
	EXPECT_NE(NULL, strstr(image_error(), told));
	image_remove_all(dirfd);
	close(dirfd);
	rmdir(dir);
	protobuf_c_message_free_unpacked(msg, NULL);
}

TEST(close_takes_null)
{
	EXPECT_EQ(0, image_close(NULL));
}

TEST_HARNESS_MAIN
