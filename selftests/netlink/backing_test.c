// SPDX-License-Identifier: GPL-2.0
/* Files that are passed through: the daemon's registrations, and who uses them. */
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "kselftest_harness.h"
#include "test_handle.h"
#include "test_util.h"

#define INIT_PASSTHROUGH	(1ULL << 37)	/* Linux 6.9 */

FIXTURE(backing) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	char behind[64];
};

FIXTURE_SETUP(backing)
{
	struct rawfs_config config;

	if (!test_has_passthrough())
		SKIP(return, "this kernel's fuse has no passthrough");
	strcpy(self->behind, "/tmp/behind.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->behind));
	rawfs_defaults(&config);
	config.init.flags = FUSE_INIT_EXT;
	config.init.flags2 = INIT_PASSTHROUGH >> 32;
	config.init.max_stack_depth = 1;
	config.behind = self->behind;
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
}

FIXTURE_TEARDOWN(backing)
{
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

static int dump(FIXTURE_DATA(backing) *self, int cmd, struct tnl_list *list)
{
	struct tnl_query q = { .cmd = cmd, .conn_id = self->id };

	return tnl_dump(&self->nl, &q, list);
}

/* What the server calls the file behind a node. */
static const char *behind(const FIXTURE_DATA(backing) *self, const char *name)
{
	int n = rawfs_index(self->fs, name);
	static char path[128];

	snprintf(path, sizeof(path), "%s/%d.%u", self->behind, n, self->fs->nodes[n].generation);
	return path;
}

TEST_F(backing, files_that_are_registered)
{
	int a = open(test_path(self->fs, "f1"), O_RDWR), b = open(test_path(self->fs, "f2"), O_RDONLY);
	struct tnl_list list;
	struct stat st;
	size_t left = 0;

	ASSERT_LE(0, a);
	ASSERT_LE(0, b);
	ASSERT_EQ(0, dump(self, FUSECR_CMD_GET_BACKING, &list));
	ASSERT_EQ(2, list.n);
	ASSERT_EQ(0, stat(behind(self, "f2"), &st));
	EXPECT_EQ(1, tnl_u32(&list.v[0], FUSECR_BACKING_ID));
	EXPECT_EQ(2, tnl_u32(&list.v[1], FUSECR_BACKING_ID));
	EXPECT_EQ(st.st_ino, tnl_u64(&list.v[1], FUSECR_BACKING_INO));
	EXPECT_EQ(minor(st.st_dev), minor(tnl_u32(&list.v[1], FUSECR_BACKING_DEV)));
	EXPECT_EQ(O_RDWR, tnl_u32(&list.v[1], FUSECR_BACKING_FILE_FLAGS) & O_ACCMODE);
	EXPECT_EQ(0, tnl_u8(&list.v[1], FUSECR_BACKING_UNLINKED));
	EXPECT_EQ(0, tnl_u32(&list.v[1], FUSECR_BACKING_FSUID));
	EXPECT_EQ(0, tnl_u32(&list.v[1], FUSECR_BACKING_FSGID));
	EXPECT_NE(0, tnl_u64(&list.v[1], FUSECR_BACKING_CAPS) & 1ULL << CAP_SYS_ADMIN);
	/* From the root of its mount, which is /tmp's. */
	EXPECT_TRUE(tnl_is(&list.v[1], FUSECR_BACKING_PATH, behind(self, "f2") + strlen("/tmp")));
	EXPECT_TRUE(tnl_has(&list.v[1], FUSECR_BACKING_MNT_ID));
	EXPECT_EQ(3, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NEXT_BACKING));
	tnl_free(&list);

	/* The id goes with the last file; the next is not given out again. */
	close(b);
	for (int tries = 0; tries < 1000; tries++) {
		ASSERT_EQ(0, dump(self, FUSECR_CMD_GET_BACKING, &list));
		left = list.n;
		tnl_free(&list);
		if (left == 1)
			break;
		test_nap(10);
	}
	EXPECT_EQ(1, left);
	EXPECT_EQ(3, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NEXT_BACKING));
	close(a);
}

TEST_F(backing, deleted)
{
	int fd = open(test_path(self->fs, "f1"), O_RDWR);
	struct tnl_list list;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, unlink(behind(self, "f1")));
	ASSERT_EQ(0, dump(self, FUSECR_CMD_GET_BACKING, &list));
	ASSERT_EQ(1, list.n);
	EXPECT_EQ(1, tnl_u8(&list.v[0], FUSECR_BACKING_UNLINKED));
	tnl_free(&list);
	close(fd);
}

/* A node says which it is; what is mapped says of which inode it is. */
TEST_F(backing, who_uses_them)
{
	int fd = open(test_path(self->fs, "f3"), O_RDWR), n = rawfs_index(self->fs, "f3");
	const struct tnl_obj *inode, *map = NULL;
	struct tnl_list backings, inodes, files;
	struct tnl_obj mapped;
	void *p;

	ASSERT_LE(0, fd);
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, dump(self, FUSECR_CMD_GET_BACKING, &backings));
	ASSERT_EQ(0, dump(self, FUSECR_CMD_GET_INODE, &inodes));
	ASSERT_EQ(0, dump(self, FUSECR_CMD_GET_FILE, &files));
	ASSERT_EQ(1, backings.n);
	inode = tnl_find64(&inodes, FUSECR_INODE_NODEID, rawfs_nodeid(n));
	ASSERT_NE(NULL, inode);
	EXPECT_EQ(tnl_u64(&backings.v[0], FUSECR_BACKING_COOKIE), tnl_u64(inode, FUSECR_INODE_BACKING));
	EXPECT_NE(0, tnl_u32(inode, FUSECR_INODE_FLAGS) & FUSECR_INODE_PASSTHROUGH);
	for (size_t i = 0; i < files.n; i++) {
		if (tnl_u32(&files.v[i], FUSECR_FILE_USE) == FUSECR_FILE_MAP)
			map = &files.v[i];
		EXPECT_NE(0, tnl_u32(&files.v[i], FUSECR_FILE_FLAGS) & FUSECR_FF_PASSTHROUGH);
	}
	ASSERT_NE(NULL, map);
	ASSERT_TRUE(tnl_has(map, FUSECR_FILE_BACKING));
	mapped = tnl_nest(map, FUSECR_FILE_BACKING, 0);
	EXPECT_EQ(0, tnl_u32(&mapped, FUSECR_BACKING_ID));
	EXPECT_EQ(tnl_u64(&backings.v[0], FUSECR_BACKING_INODE), tnl_u64(&mapped, FUSECR_BACKING_INODE));
	EXPECT_EQ(tnl_u64(&backings.v[0], FUSECR_BACKING_CAPS), tnl_u64(&mapped, FUSECR_BACKING_CAPS));
	EXPECT_TRUE(tnl_is(&mapped, FUSECR_BACKING_PATH, behind(self, "f3") + strlen("/tmp")));
	tnl_free(&inodes);

	/* The mapping stays when the file is closed, and the node has nothing any more. */
	close(fd);
	ASSERT_EQ(0, dump(self, FUSECR_CMD_GET_INODE, &inodes));
	inode = tnl_find64(&inodes, FUSECR_INODE_NODEID, rawfs_nodeid(n));
	ASSERT_NE(NULL, inode);
	EXPECT_FALSE(tnl_has(inode, FUSECR_INODE_BACKING));
	munmap(p, 4096);
	tnl_free(&inodes);
	tnl_free(&files);
	tnl_free(&backings);
}

TEST_F(backing, next_id)
{
	struct fusecr_set_conn set = { .mask = FUSECR_SET_NEXT_BACKING, .next_backing = 1000 };
	int fd = th_attach(self->id), file;
	struct tnl_list list;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, th_set_conn(fd, set));
	EXPECT_EQ(1000, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NEXT_BACKING));
	file = open(test_path(self->fs, "f1"), O_RDWR);
	ASSERT_LE(0, file);
	ASSERT_EQ(0, dump(self, FUSECR_CMD_GET_BACKING, &list));
	ASSERT_EQ(1, list.n);
	EXPECT_EQ(1000, tnl_u32(&list.v[0], FUSECR_BACKING_ID));
	tnl_free(&list);
	close(file);
	close(fd);
	EXPECT_EQ(1, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NEXT_BACKING));
}

TEST_F(backing, numbers_that_are_none)
{
	static const uint32_t bad[] = { 0, 1u << 31, UINT32_MAX };
	int fd = th_attach(self->id);

	ASSERT_LE(0, fd);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		EXPECT_EQ(-EINVAL, th_set_conn(fd, (struct fusecr_set_conn){
			.mask = FUSECR_SET_NEXT_BACKING, .next_backing = bad[i] }));
	EXPECT_EQ(-EINVAL, th_set_conn(fd, (struct fusecr_set_conn){ .next_backing = 1 }));
	close(fd);
}

/* Who has not negotiated it has none, on any kernel. */
TEST(without_passthrough)
{
	struct fusecr_set_conn set = { .mask = FUSECR_SET_NEXT_BACKING, .next_backing = 1 };
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_BACKING };
	struct rawfs_config config;
	struct tnl_list list;
	struct rawfs *fs;
	struct tnl nl;
	int fd;

	rawfs_defaults(&config);
	ASSERT_EQ(0, test_up(&config, &fs, &nl, &q.conn_id));
	EXPECT_EQ(0, tnl_dump(&nl, &q, &list));
	EXPECT_EQ(0, list.n);
	tnl_free(&list);
	EXPECT_EQ(UINT64_MAX, tnl_conn_value(&nl, q.conn_id, FUSECR_CONN_NEXT_BACKING));
	fd = th_attach(q.conn_id);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EOPNOTSUPP, th_set_conn(fd, set));
	close(fd);
	tnl_close(&nl);
	EXPECT_EQ(0, rawfs_down(fs));
}

TEST_HARNESS_MAIN
