// SPDX-License-Identifier: GPL-2.0
/*
 * The daemon has done it, and nobody is told, since who asked was killed: what the kernel
 * has cached, for as long as the daemon says, is what was before.
 */
#include <linux/falloc.h>

#define KEEP_MS		3600000
#include "keep_fixture.h"

#define NEW_SIZE	5

/* The client is killed when the server has done it; all it did was asked once. */
static void gone(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self,
		 uint32_t opcode, int (*work)(void *arg), void *arg)
{
	uint64_t before = self->fs->nr_op[opcode];

	ASSERT_EQ(0, keep_one(self, opcode, true, work, arg));
	ASSERT_EQ(0, kill_client(self));
	ASSERT_TRUE(kept_is(self->fd, 0));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(before + 1, self->fs->nr_op[opcode]);
}

/* Some time after the answer. */
static bool in_time(bool (*is)(FIXTURE_DATA(call) *self), FIXTURE_DATA(call) *self)
{
	int i;

	for (i = 0; i < PATIENCE_MS && !is(self); i++)
		test_nap(1);
	return is(self);
}

static uint64_t size_of(FIXTURE_DATA(call) *self, const char *name)
{
	struct stat st;

	return stat(path(self, name), &st) ? UINT64_MAX : (uint64_t)st.st_size;
}

static bool f1_has_servers_size(FIXTURE_DATA(call) *self)
{
	return size_of(self, "f1") == rawfs_node(self->fs, "f1")->attr.size;
}

static int shorten(void *path)
{
	return truncate(path, NEW_SIZE) ? -errno : 0;
}

TEST_F(call, truncate)
{
	char buf[4096];
	int fd = open(path(self, "f1"), O_RDONLY | O_CLOEXEC);

	ASSERT_LT(NEW_SIZE, read(fd, buf, sizeof(buf)));
	gone(_metadata, self, FUSE_SETATTR, shorten, path(self, "f1"));
	EXPECT_EQ(NEW_SIZE, rawfs_node(self->fs, "f1")->attr.size);
	EXPECT_TRUE(in_time(f1_has_servers_size, self));
	EXPECT_EQ(NEW_SIZE, pread(fd, buf, sizeof(buf), 0));
	close(fd);
}

static int allocate(void *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fallocate(fd, 0, 0, 20000) ? -errno : 0;
}

TEST_F(call, fallocate)
{
	ASSERT_GT(20000, size_of(self, "f1"));
	gone(_metadata, self, FUSE_FALLOCATE, allocate, path(self, "f1"));
	EXPECT_EQ(20000, rawfs_node(self->fs, "f1")->attr.size);
	EXPECT_TRUE(in_time(f1_has_servers_size, self));
}

struct two_files {
	const char *from, *to;
};

static int copy_start(void *arg)
{
	const struct two_files *files = arg;
	int from = open(files->from, O_RDONLY | O_CLOEXEC), to = open(files->to, O_WRONLY | O_CLOEXEC);

	return copy_file_range(from, NULL, to, NULL, 100, 0) < 0 ? -errno : 0;
}

static bool f1_starts_as_f0(FIXTURE_DATA(call) *self)
{
	char a[100], b[100];
	int from = open(path(self, "f0"), O_RDONLY | O_CLOEXEC);
	int to = open(path(self, "f1"), O_RDONLY | O_CLOEXEC);
	bool same = pread(from, a, 100, 0) == 100 && pread(to, b, 100, 0) == 100 && !memcmp(a, b, 100);

	close(from);
	close(to);
	return same;
}

TEST_F(call, copy)
{
	struct two_files files = { path(self, "f0"), path(self, "f1") };
	struct two_files others = { path(self, "dir0/f0"), path(self, "dir1/f1") };
	uint32_t opcode;

	ASSERT_EQ(0, copy_start(&others));
	/* Since 6.18. */
	opcode = self->fs->nr_op[RAWFS_COPY_FILE_RANGE_64] ? RAWFS_COPY_FILE_RANGE_64 :
							     FUSE_COPY_FILE_RANGE;
	/* What is cached stays so when it is opened again. */
	self->fs->config.open_flags = FOPEN_KEEP_CACHE;
	EXPECT_FALSE(f1_starts_as_f0(self));
	gone(_metadata, self, opcode, copy_start, &files);
	EXPECT_TRUE(in_time(f1_starts_as_f0, self));
}

static int make_dir(void *path)
{
	return mkdir(path, 0755) ? -errno : 0;
}

static bool new_is_there(FIXTURE_DATA(call) *self)
{
	struct stat st;

	return stat(path(self, "new"), &st) == 0;
}

TEST_F(call, mkdir)
{
	self->fs->config.negative_ms = KEEP_MS;
	EXPECT_FALSE(new_is_there(self));
	gone(_metadata, self, FUSE_MKDIR, make_dir, path(self, "new"));
	EXPECT_TRUE(in_time(new_is_there, self));
}

static int link_it(void *arg)
{
	const struct two_files *files = arg;

	return link(files->from, files->to) ? -errno : 0;
}

static bool f1_has_two_names(FIXTURE_DATA(call) *self)
{
	struct stat st;

	return !stat(path(self, "f1"), &st) && st.st_nlink == 2 && new_is_there(self);
}

TEST_F(call, link)
{
	struct two_files files = { path(self, "f1"), path(self, "new") };

	self->fs->config.negative_ms = KEEP_MS;
	EXPECT_FALSE(f1_has_two_names(self));
	gone(_metadata, self, FUSE_LINK, link_it, &files);
	EXPECT_TRUE(in_time(f1_has_two_names, self));
}

static int unlink_it(void *path)
{
	return unlink(path) ? -errno : 0;
}

static bool f1_is_gone(FIXTURE_DATA(call) *self)
{
	return size_of(self, "f1") == UINT64_MAX;
}

TEST_F(call, unlink)
{
	EXPECT_FALSE(f1_is_gone(self));
	gone(_metadata, self, FUSE_UNLINK, unlink_it, path(self, "f1"));
	EXPECT_TRUE(in_time(f1_is_gone, self));
}

static int rename_it(void *arg)
{
	const struct two_files *files = arg;

	return rename(files->from, files->to) ? -errno : 0;
}

static bool f1_is_new(FIXTURE_DATA(call) *self)
{
	return f1_is_gone(self) && new_is_there(self);
}

TEST_F(call, rename)
{
	struct two_files files = { path(self, "f1"), path(self, "new") };

	self->fs->config.negative_ms = KEEP_MS;
	EXPECT_FALSE(f1_is_gone(self));
	EXPECT_FALSE(new_is_there(self));
	gone(_metadata, self, FUSE_RENAME, rename_it, &files);
	EXPECT_TRUE(in_time(f1_is_new, self));
}

TEST_HARNESS_MAIN
