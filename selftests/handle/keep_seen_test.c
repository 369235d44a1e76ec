// SPDX-License-Identifier: GPL-2.0
/*
 * What others change while an answer waits for its system call: the lock that would have
 * kept them away is let go of, and the kernel must not believe what is old.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define KEEP_MS		3600000
#define KEEP_FLAGS	(FUSE_DO_READDIRPLUS | FUSE_AUTO_INVAL_DATA)
#include "keep_fixture.h"

#define SIZE		(1 << 20)

static bool is_listed(const char *path, const char *name)
{
	DIR *dir = opendir(path);
	struct dirent *de;
	bool found = false;

	while (dir && (de = readdir(dir)))
		found = found || !strcmp(de->d_name, name);
	if (dir)
		closedir(dir);
	return found;
}

static void finish(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self, int result)
{
	ASSERT_EQ(0, th_gate_open(self->fd));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(result, test_client_wait(&self->clients[0]));
	EXPECT_TRUE(kept_is(self->fd, 0));
}

/* All that the server counts, the kernel gives back. */
static void nothing_counted(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self,
			    uint32_t node)
{
	ASSERT_EQ(0, test_drop_caches());
	EXPECT_EQ(0, rawfs_wait_nlookup(self->fs, node, 0));
}

/* What an image is told of what is kept. */
static uint32_t place(FIXTURE_DATA(call) *self)
{
	struct tnl_list list;
	uint32_t place;

	if (test_wait_requests(&self->nl, self->id, FUSECR_REQ_KEPT, 1, &list))
		return ~0U;
	place = tnl_u32(&list.v[0], FUSECR_REQ_PLACE);
	tnl_free(&list);
	return place;
}

/* Unlinked: there is no such file any more, for nobody. */
static void look_up(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self, bool answered)
{
	uint32_t f1 = rawfs_index(self->fs, "dir1/f1");
	const struct rawfs_node *node = rawfs_node(self->fs, "dir1/f1");

	ASSERT_EQ(0, test_stat(path(self, "dir1")));
	ASSERT_EQ(0, keep_one(self, FUSE_LOOKUP, true, test_stat, path(self, "dir1/f1")));
	if (answered)
		rawfs_release(self->fs, FUSE_LOOKUP);
	else
		/* Those that come after are not held. */
		self->fs->hold[FUSE_LOOKUP] = false;
	/* So that it stays a node. */
	ASSERT_EQ(0, link(test_path(self->fs, "dir1/f1"), path(self, "dir0/link")));
	EXPECT_EQ(0, place(self) & FUSECR_KEEP_OUTDATED);
	ASSERT_EQ(0, unlink(test_path(self->fs, "dir1/f1")));
	EXPECT_EQ(FUSECR_KEEP_OUTDATED, place(self) & FUSECR_KEEP_OUTDATED);
	finish(_metadata, self, -ENOENT);
	EXPECT_EQ(-ENOENT, test_stat(path(self, "dir1/f1")));
	EXPECT_EQ(1, node->attr.nlink);
	nothing_counted(_metadata, self, f1);
}

TEST_F(call, unlinked_while_looked_up)
{
	look_up(_metadata, self, false);
}

TEST_F(call, unlinked_once_looked_up)
{
	look_up(_metadata, self, true);
}

/* Replaced: the name means what it was given to. */
TEST_F(call, renamed_while_listed)
{
	uint32_t f2 = rawfs_index(self->fs, "dir1/f2");
	struct stat from, to;
	int fd = open(path(self, "dir1"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, keep_one(self, FUSE_READDIRPLUS, true, keep_list, &fd));
	ASSERT_EQ(0, stat(test_path(self->fs, "dir1/f1"), &from));
	ASSERT_EQ(0, rename(test_path(self->fs, "dir1/f1"), path(self, "dir1/f2")));
	finish(_metadata, self, 0);
	close(fd);
	ASSERT_EQ(0, stat(test_path(self->fs, "dir1/f2"), &to));
	EXPECT_EQ(from.st_ino, to.st_ino);
	EXPECT_EQ(-ENOENT, test_stat(path(self, "dir1/f1")));
	nothing_counted(_metadata, self, f2);
}

/* A list that is cached. */
TEST_F(call, made_while_listed)
{
	int fd;

	self->fs->config.opendir_flags = FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE;
	fd = open(path(self, "dir1"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, keep_one(self, FUSE_READDIRPLUS, true, keep_list, &fd));
	ASSERT_EQ(0, test_mkdir(path(self, "dir1/new")));
	/* By its time the list would be seen to be old. */
	ASSERT_EQ(0, test_stat(path(self, "dir1")));
	finish(_metadata, self, 0);
	EXPECT_TRUE(is_listed(test_path(self->fs, "dir1"), "new"));
	EXPECT_TRUE(is_listed(test_path(self->fs, "dir1"), "f1"));
	close(fd);
}

static int read_page(void *arg)
{
	const int *fd = arg;
	char buf[4096];

	return pread(*fd, buf, sizeof(buf), 0) < 0 ? -errno : 0;
}

static int extend(void *arg)
{
	const int *fd = arg;

	return fallocate(*fd, 0, 0, SIZE) ? -errno : 0;
}

/* Made longer behind a read that was short: it stays so. */
TEST_F(call, extended_while_read)
{
	char *map;
	int fd;

	ASSERT_EQ(0, truncate(test_path(self->fs, "dir1/f1"), 100));
	fd = open(path(self, "dir1/f1"), O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	/* One page, again and again, however long the file is. */
	ASSERT_EQ(0, posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM));
	rawfs_hold_answer(self->fs, FUSE_READ);
	ASSERT_EQ(0, test_client_start(&self->clients[0], read_page, &fd));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_READ, 1));
	ASSERT_EQ(0, test_client_start(&self->clients[1], extend, &fd));
	ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_FALLOCATE, 1));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_EQ(0, take(self->fd, 1));
	finish(_metadata, self, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[1]));
	/* stat() would ask; EFAULT where the kernel thinks that there is nothing. */
	map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_EQ(1, write(self->go[1], map + SIZE - 1, 1));
	munmap(map, SIZE);
	close(fd);
}

static int cut(void *path)
{
	return truncate(path, 10) ? -errno : 0;
}

/* What is dirty would be written behind the new end, were the call let out. */
TEST_F(call, cut_while_mapped_is_not_taken)
{
	int fd = open(path(self, "dir1/f1"), O_RDWR | O_CLOEXEC);
	void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	ASSERT_LE(0, fd);
	ASSERT_NE(MAP_FAILED, map);
	rawfs_hold_answer(self->fs, FUSE_SETATTR);
	ASSERT_EQ(0, test_client_start(&self->clients[0], cut, path(self, "dir1/f1")));
	stays(_metadata, self, FUSE_SETATTR, 0);
	EXPECT_EQ(1, self->fs->nr_op[FUSE_SETATTR]);
	munmap(map, 4096);
	close(fd);
}

TEST_HARNESS_MAIN
