// SPDX-License-Identifier: GPL-2.0
/*
 * What others do while a request is kept: its system call finds the names as they were.
 * The kernel believes what it is told.  Where it writes: keep_places_test.c.
 */
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <linux/fs.h>

#define KEEP_MS		3600000
#define KEEP_FLAGS	FUSE_DO_READDIRPLUS
#include "keep_fixture.h"

static int make_node(void *path)
{
	return mknod(path, S_IFREG | 0600, 0) ? -errno : 0;
}

static int make_link(void *path)
{
	return symlink("f0", path) ? -errno : 0;
}

static int link_here(void *path)
{
	char from[300];

	snprintf(from, sizeof(from), "%.*s/dir0/f1",
		 (int)(strrchr(path, '/') - (char *)path) - 5, (char *)path);
	return link(from, path) ? -errno : 0;
}

/* Of what is there already it would be an OPEN. The file stays open: the process ends soon. */
static int create(void *path)
{
	int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : 0;
}

/* It is done, and nobody sees that before who has asked for it. */
static void look(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self,
		 uint32_t opcode, int (*work)(void *path))
{
	ASSERT_EQ(0, keep_one(self, opcode, true, work, path(self, "dir1/new")));
	EXPECT_LE(0, rawfs_index(self->fs, "dir1/new"));
	EXPECT_EQ(-ENOENT, test_stat(path(self, "dir1/new")));
	ASSERT_EQ(0, th_gate_open(self->fd));
	ASSERT_TRUE(kept_is(self->fd, 0));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(0, test_stat(path(self, "dir1/new")));
	EXPECT_EQ(1, self->fs->nr_op[opcode]);
}

TEST_F(call, look_while_mkdir)
{
	look(_metadata, self, FUSE_MKDIR, test_mkdir);
}

TEST_F(call, look_while_mknod)
{
	look(_metadata, self, FUSE_MKNOD, make_node);
}

TEST_F(call, look_while_symlink)
{
	look(_metadata, self, FUSE_SYMLINK, make_link);
}

TEST_F(call, look_while_link)
{
	look(_metadata, self, FUSE_LINK, link_here);
}

TEST_F(call, look_while_create)
{
	look(_metadata, self, FUSE_CREATE, create);
	EXPECT_EQ(0, self->fs->nr_op[FUSE_OPEN]);
}

TEST_F(call, list_while_create)
{
	/* After open() it would be held. */
	int fd = open(path(self, "dir1"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, keep_one(self, FUSE_CREATE, true, create, path(self, "dir1/new")));
	behind(_metadata, self, FUSE_READDIRPLUS, keep_list, &fd);
	close(fd);
	EXPECT_EQ(1, self->fs->nr_op[FUSE_CREATE]);
	EXPECT_EQ(0, self->fs->nr_op[FUSE_OPEN]);
}

static int remove_it(void *path)
{
	return unlink(path) ? -errno : 0;
}

static int move(void *path)
{
	char to[300];

	snprintf(to, sizeof(to), "%s.new", (char *)path);
	return rename(path, to) ? -errno : 0;
}

/* The kernel would believe for an hour that there is nothing. */
static void look_at_removed(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self,
			    uint32_t opcode, int (*work)(void *path))
{
	self->fs->config.entry_ms = 0;
	self->fs->config.negative_ms = KEEP_MS;
	ASSERT_EQ(0, keep_one(self, opcode, true, work, path(self, "dir1/f1")));
	EXPECT_EQ(0, test_stat(path(self, "dir1/f1")));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_TRUE(kept_is(self->fd, 0));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(-ENOENT, test_stat(path(self, "dir1/f1")));
	EXPECT_EQ(1, self->fs->nr_op[opcode]);
}

TEST_F(call, look_while_unlink)
{
	look_at_removed(_metadata, self, FUSE_UNLINK, remove_it);
}

TEST_F(call, look_while_rename)
{
	look_at_removed(_metadata, self, FUSE_RENAME, move);
}

/* Of what somebody has seen to be gone a repeated call would be told the same. */
static void removed_is_seen(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self,
			    uint32_t opcode, int (*work)(void *path), const char *name)
{
	uint64_t looks;

	self->fs->config.entry_ms = 0;
	rawfs_hold_answer(self->fs, opcode);
	ASSERT_EQ(0, test_client_start(&self->clients[0], work, path(self, name)));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, opcode, 1));
	/* Of the directory the first one has the lock, which this one comes to after. */
	looks = self->fs->nr_op[FUSE_LOOKUP];
	ASSERT_EQ(0, test_client_start(&self->clients[1], test_stat, path(self, name)));
	ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_LOOKUP, looks + 1));
	ASSERT_TRUE(test_waits_in(self->clients[1].pid, "path_lookupat", "fuse"));
	stays(_metadata, self, opcode, 0);
	EXPECT_EQ(-ENOENT, test_client_wait(&self->clients[1]));
	EXPECT_EQ(1, self->fs->nr_op[opcode]);
}

TEST_F(call, seen_unlink_is_not_taken)
{
	removed_is_seen(_metadata, self, FUSE_UNLINK, remove_it, "dir1/f1");
}

TEST_F(call, seen_rename_is_not_taken)
{
	removed_is_seen(_metadata, self, FUSE_RENAME, move, "dir1/f1");
}

static int remove_dir(void *path)
{
	return rmdir(path) ? -errno : 0;
}

TEST_F(call, seen_rmdir_is_not_taken)
{
	self->fs->config.entry_ms = 0;
	ASSERT_EQ(0, test_mkdir(path(self, "dir1/empty")));
	removed_is_seen(_metadata, self, FUSE_RMDIR, remove_dir, "dir1/empty");
}

TEST_HARNESS_MAIN
