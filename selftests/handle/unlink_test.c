// SPDX-License-Identifier: GPL-2.0
/* What is in use under a name that is no more. */
#include <limits.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "test_handle.h"
#include "test_util.h"

#define SUFFIX " (deleted)"

FIXTURE(unlink) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	int handle;
	int fd;			/* of "gone (deleted)" */
	struct fusecr_unlink which;
};

/* What netlink tells of a descriptor of this task. */
static uint64_t get(struct tnl *nl, uint64_t id, int fd, uint16_t attr)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_FILE, .conn_id = id, .pid = getpid() };
	uint64_t value = UINT64_MAX;
	struct tnl_list list;

	tnl_dump(nl, &q, &list);
	for (size_t i = 0; i < list.n; i++) {
		if (tnl_u32(&list.v[i], FUSECR_FILE_USE) != FUSECR_FILE_FD ||
		    tnl_u64(&list.v[i], FUSECR_FILE_NUMBER) != (uint64_t)fd)
			continue;
		value = attr == FUSECR_FILE_FLAGS ? tnl_u32(&list.v[i], attr) :
						    tnl_u64(&list.v[i], attr);
	}
	tnl_free(&list);
	return value;
}

FIXTURE_SETUP(unlink)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
	self->handle = th_attach(self->id);
	ASSERT_LE(0, self->handle);
	self->fd = open(test_path(self->fs, "gone" SUFFIX), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	ASSERT_LE(0, self->fd);
	self->which = (struct fusecr_unlink){
		.pid = getpid(),
		.use = FUSECR_FILE_FD,
		.number = self->fd,
		.nodeid = get(&self->nl, self->id, self->fd, FUSECR_FILE_NODEID),
		.name = (uintptr_t)"gone",
	};
}

FIXTURE_TEARDOWN(unlink)
{
	close(self->handle);
	close(self->fd);
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

static int th_unlink(int handle, struct fusecr_unlink which)
{
	if (!which.name_len && which.name)
		which.name_len = strlen((const char *)which.name);
	return th_call(handle, FUSECR_IOC_UNLINK, &which);
}

/* The path that the kernel tells. */
static const char *path_of(int fd)
{
	static char path[4096];
	char link[64];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	path[len < 0 ? 0 : len] = '\0';
	return path;
}

/* From the last slash on. */
static const char *name_of(int fd)
{
	const char *path = path_of(fd);

	return strrchr(path, '/') ?: path;
}

static uint32_t inode_flags(struct tnl *nl, uint64_t id, uint64_t nodeid)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_INODE, .conn_id = id, .nodeid = nodeid };
	struct tnl_list list;
	uint32_t flags = 0;

	if (!tnl_do(nl, &q, &list) && list.n)
		flags = tnl_u32(&list.v[0], FUSECR_INODE_FLAGS);
	tnl_free(&list);
	return flags;
}

static uint64_t node_of(struct tnl *nl, uint64_t id, const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	uint64_t nodeid = get(nl, id, fd, FUSECR_FILE_NODEID);

	close(fd);
	return nodeid;
}

TEST_F(unlink, has_its_name_and_has_not)
{
	EXPECT_STREQ("/gone" SUFFIX, name_of(self->fd));
	EXPECT_FALSE(get(&self->nl, self->id, self->fd, FUSECR_FILE_FLAGS) & FUSECR_FF_UNLINKED);
	ASSERT_EQ(0, th_unlink(self->handle, self->which));
	EXPECT_STREQ("/gone" SUFFIX, name_of(self->fd));
	EXPECT_TRUE(get(&self->nl, self->id, self->fd, FUSECR_FILE_FLAGS) & FUSECR_FF_UNLINKED);
	/* Once more, as for a duplicate. */
	EXPECT_EQ(0, th_unlink(self->handle, self->which));
	EXPECT_STREQ("/gone" SUFFIX, name_of(self->fd));
	/* The handle's end changes nothing, and nobody was asked. */
	close(self->handle);
	self->handle = -1;
	EXPECT_STREQ("/gone" SUFFIX, name_of(self->fd));
	EXPECT_EQ(0, self->fs->nr_done[FUSE_UNLINK]);
	EXPECT_EQ(0, self->fs->nr_done[FUSE_RENAME]);
	EXPECT_EQ(1, write(self->fd, "x", 1));
}

TEST_F(unlink, another_has_the_name)
{
	int other = open(test_path(self->fs, "gone"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	struct stat st, found;

	ASSERT_LE(0, other);
	ASSERT_EQ(0, th_unlink(self->handle, self->which));
	EXPECT_STREQ("/gone", name_of(other));
	EXPECT_STREQ("/gone" SUFFIX, name_of(self->fd));
	ASSERT_EQ(0, fstat(other, &st));
	ASSERT_EQ(0, stat(test_path(self->fs, "gone"), &found));
	EXPECT_EQ(st.st_ino, found.st_ino);
	close(other);
}

/* It has been deleted before: another name is for as long as the handle, or for good. */
TEST_F(unlink, another_name)
{
	ASSERT_EQ(0, unlink(test_path(self->fs, "gone" SUFFIX)));
	EXPECT_STREQ("/gone" SUFFIX SUFFIX, name_of(self->fd));
	ASSERT_EQ(0, th_unlink(self->handle, self->which));
	EXPECT_STREQ("/gone" SUFFIX, name_of(self->fd));
	self->which.name = (uintptr_t)"more";
	ASSERT_EQ(0, th_unlink(self->handle, self->which));
	EXPECT_STREQ("/more" SUFFIX, name_of(self->fd));
	close(self->handle);
	EXPECT_STREQ("/gone" SUFFIX SUFFIX, name_of(self->fd));
	self->handle = th_attach(self->id);
	ASSERT_LE(0, self->handle);
	ASSERT_EQ(0, th_unlink(self->handle, self->which));
	ASSERT_EQ(0, th_commit(self->handle));
	close(self->handle);
	self->handle = -1;
	EXPECT_STREQ("/more" SUFFIX, name_of(self->fd));
}

/* What never had a name, and may get one. */
TEST_F(unlink, nameless)
{
	uint32_t flags = 0;

	self->which.name = (uintptr_t)"/";
	self->which.flags = FUSECR_INODE_LINKABLE;
	ASSERT_EQ(0, th_unlink(self->handle, self->which));
	EXPECT_STREQ("/" SUFFIX, name_of(self->fd));
	EXPECT_TRUE(get(&self->nl, self->id, self->fd, FUSECR_FILE_FLAGS) & FUSECR_FF_UNLINKED);
	flags = inode_flags(&self->nl, self->id, self->which.nodeid);
	EXPECT_TRUE(flags & FUSECR_INODE_LINKABLE);
	EXPECT_FALSE(flags & FUSECR_INODE_DEAD);
}

/* By what a task has of it: a descriptor, O_PATH or not, and its directories. */
TEST_F(unlink, directory)
{
	int dir, path;
	char buf[1024];

	ASSERT_EQ(0, mkdir(test_path(self->fs, "dir" SUFFIX), 0755));
	dir = open(test_path(self->fs, "dir" SUFFIX), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, dir);
	path = open(test_path(self->fs, "dir" SUFFIX), O_PATH | O_CLOEXEC);
	ASSERT_LE(0, path);
	ASSERT_EQ(0, fchdir(dir));
	self->which.name = (uintptr_t)"dir";
	self->which.use = FUSECR_FILE_CWD;
	self->which.nodeid = get(&self->nl, self->id, dir, FUSECR_FILE_NODEID);
	self->which.flags = FUSECR_INODE_LINKABLE;
	EXPECT_EQ(-EINVAL, th_unlink(self->handle, self->which));
	self->which.flags = FUSECR_INODE_DEAD;
	ASSERT_EQ(0, th_unlink(self->handle, self->which));
	EXPECT_TRUE(inode_flags(&self->nl, self->id, self->which.nodeid) & FUSECR_INODE_DEAD);
	EXPECT_STREQ("/dir" SUFFIX, name_of(dir));
	EXPECT_EQ(-1, openat(dir, "new", O_WRONLY | O_CREAT, 0644));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(-1, mkdir("new", 0755));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(-1, syscall(SYS_getdents64, dir, buf, sizeof(buf)));
	EXPECT_EQ(ENOENT, errno);
	/* The others are the same. */
	self->which.use = FUSECR_FILE_FD;
	self->which.number = path;
	EXPECT_EQ(0, th_unlink(self->handle, self->which));
	self->which.use = FUSECR_FILE_ROOT;
	EXPECT_EQ(-EBADF, th_unlink(self->handle, self->which));
	EXPECT_EQ(0, self->fs->nr_done[FUSE_RMDIR]);
	ASSERT_EQ(0, chdir("/"));
	close(path);
	close(dir);
}

/* --- what is above it ------------------------------------------------------------ */

/* What netlink tells of the directories above a descriptor of this task: how many. */
static unsigned int get_above(struct tnl *nl, uint64_t id, int fd, uint32_t *level, uint64_t *nodeid)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_FILE, .conn_id = id, .pid = getpid() };
	struct tnl_obj nest;
	struct tnl_list list;
	unsigned int n = 0;

	tnl_dump(nl, &q, &list);
	for (size_t i = 0; i < list.n; i++) {
		if (tnl_u32(&list.v[i], FUSECR_FILE_USE) != FUSECR_FILE_FD ||
		    tnl_u64(&list.v[i], FUSECR_FILE_NUMBER) != (uint64_t)fd)
			continue;
		for (nest = tnl_nest(&list.v[i], FUSECR_FILE_ABOVE, 0); nest.nest;
		     nest = tnl_nest(&list.v[i], FUSECR_FILE_ABOVE, ++n)) {
			level[n] = tnl_u32(&nest, FUSECR_ABOVE_LEVEL);
			nodeid[n] = tnl_u64(&nest, FUSECR_ABOVE_NODEID);
		}
	}
	tnl_free(&list);
	return n;
}

FIXTURE(above) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	int handle;
	int fd;			/* of "a/b/file", b and file are deleted */
	int dir;		/* of b */
	uint64_t a, b;		/* their nodes */
	struct fusecr_unlink which;
};

FIXTURE_SETUP(above)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
	self->handle = th_attach(self->id);
	ASSERT_LE(0, self->handle);
	ASSERT_EQ(0, mkdir(test_path(self->fs, "a"), 0755));
	ASSERT_EQ(0, mkdir(test_path(self->fs, "a/b"), 0755));
	self->a = node_of(&self->nl, self->id, test_path(self->fs, "a"));
	self->b = node_of(&self->nl, self->id, test_path(self->fs, "a/b"));
	self->fd = open(test_path(self->fs, "a/b/file"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	ASSERT_LE(0, self->fd);
	self->dir = open(test_path(self->fs, "a/b"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, self->dir);
	ASSERT_EQ(0, unlink(test_path(self->fs, "a/b/file")));
	ASSERT_EQ(0, rmdir(test_path(self->fs, "a/b")));
	self->which = (struct fusecr_unlink){
		.pid = getpid(),
		.use = FUSECR_FILE_FD,
		.number = self->fd,
		.nodeid = get(&self->nl, self->id, self->fd, FUSECR_FILE_NODEID),
		.name = (uintptr_t)"new",
		.above = 1,
		.above_nodeid = self->b,
	};
}

FIXTURE_TEARDOWN(above)
{
	close(self->handle);
	close(self->fd);
	close(self->dir);
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

/* Whether the path that the kernel tells ends so. */
static bool path_ends(int fd, const char *end)
{
	const char *path = path_of(fd);

	return strlen(path) >= strlen(end) && !strcmp(path + strlen(path) - strlen(end), end);
}

TEST_F(above, is_told)
{
	uint32_t level[FUSECR_ABOVE_LIMIT];
	uint64_t nodeid[FUSECR_ABOVE_LIMIT], flags;

	ASSERT_EQ(1, get_above(&self->nl, self->id, self->fd, level, nodeid));
	EXPECT_EQ(1, level[0]);
	EXPECT_EQ(self->b, nodeid[0]);
	ASSERT_EQ(0, rmdir(test_path(self->fs, "a")));
	ASSERT_EQ(2, get_above(&self->nl, self->id, self->fd, level, nodeid));
	EXPECT_EQ(1, level[0]);
	EXPECT_EQ(self->b, nodeid[0]);
	EXPECT_EQ(2, level[1]);
	EXPECT_EQ(self->a, nodeid[1]);
	flags = get(&self->nl, self->id, self->fd, FUSECR_FILE_FLAGS);
	EXPECT_EQ(FUSECR_FF_UNLINKED | FUSECR_FF_BELOW_UNLINKED,
		  flags & (FUSECR_FF_UNLINKED | FUSECR_FF_BELOW_UNLINKED | FUSECR_FF_FAR_BELOW));
}

TEST_F(above, another_name)
{
	ASSERT_EQ(0, th_unlink(self->handle, self->which));
	EXPECT_TRUE(path_ends(self->fd, "/a/new/file" SUFFIX));
	EXPECT_TRUE(inode_flags(&self->nl, self->id, self->b) & FUSECR_INODE_DEAD);
	close(self->handle);
	EXPECT_TRUE(path_ends(self->fd, "/a/b/file" SUFFIX));
	self->handle = th_attach(self->id);
	ASSERT_LE(0, self->handle);
	ASSERT_EQ(0, th_unlink(self->handle, self->which));
	ASSERT_EQ(0, th_commit(self->handle));
	close(self->handle);
	self->handle = -1;
	EXPECT_TRUE(path_ends(self->fd, "/a/new/file" SUFFIX));
}

/* What is in it can be looked up, as long as the handle lives, or until it is deleted again. */
TEST_F(above, entered)
{
	self->which.flags = FUSECR_UNLINK_ENTER;
	ASSERT_EQ(0, th_unlink(self->handle, self->which));
	EXPECT_FALSE(inode_flags(&self->nl, self->id, self->b) & FUSECR_INODE_DEAD);
	/* Once more, by another file in it. */
	EXPECT_EQ(0, th_unlink(self->handle, self->which));
	close(self->handle);
	EXPECT_TRUE(inode_flags(&self->nl, self->id, self->b) & FUSECR_INODE_DEAD);
	EXPECT_TRUE(path_ends(self->fd, "/a/b/file" SUFFIX));
	self->handle = th_attach(self->id);
	ASSERT_LE(0, self->handle);
	ASSERT_EQ(0, th_unlink(self->handle, self->which));
	self->which.flags = FUSECR_INODE_DEAD;
	self->which.name = (uintptr_t)"b";
	ASSERT_EQ(0, th_unlink(self->handle, self->which));
	EXPECT_TRUE(inode_flags(&self->nl, self->id, self->b) & FUSECR_INODE_DEAD);
	ASSERT_EQ(0, th_commit(self->handle));
	EXPECT_TRUE(path_ends(self->fd, "/a/b/file" SUFFIX));
}

/* It has its name yet, and by that of what was deleted. */
TEST_F(above, entered_by_its_name)
{
	self->which.flags = FUSECR_UNLINK_ENTER;
	self->which.name = (uintptr_t)"b";
	ASSERT_EQ(0, th_unlink(self->handle, self->which));
	EXPECT_FALSE(inode_flags(&self->nl, self->id, self->b) & FUSECR_INODE_DEAD);
	close(self->handle);
	self->handle = -1;
	EXPECT_TRUE(inode_flags(&self->nl, self->id, self->b) & FUSECR_INODE_DEAD);
	EXPECT_TRUE(path_ends(self->fd, "/a/b/file" SUFFIX));
}

/* As a restore does, of what it has found by a name that is not to be. */
TEST_F(above, is_deleted)
{
	self->which.above = 2;
	self->which.above_nodeid = self->a;
	self->which.flags = FUSECR_UNLINK_ENTER;
	EXPECT_EQ(-EINVAL, th_unlink(self->handle, self->which));
	self->which.flags = FUSECR_INODE_DEAD;
	ASSERT_EQ(0, th_unlink(self->handle, self->which));
	EXPECT_TRUE(path_ends(self->fd, "/new/b/file" SUFFIX));
	EXPECT_TRUE(inode_flags(&self->nl, self->id, self->a) & FUSECR_INODE_DEAD);
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_RMDIR, 1));
	EXPECT_EQ(1, self->fs->nr_op[FUSE_RMDIR]);
}

/* Other settings are kept; and if it has its second name, the first one is what counts. */
TEST_F(above, not_committed)
{
	self->which.flags = FUSECR_UNLINK_ENTER;
	ASSERT_EQ(0, th_unlink(self->handle, self->which));
	self->which.name = (uintptr_t)"newer";
	ASSERT_EQ(0, th_unlink(self->handle, self->which));
	EXPECT_EQ(-1, ioctl(self->handle, FUSECR_IOC_COMMIT, ~0UL));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, ioctl(self->handle, FUSECR_IOC_COMMIT, FUSECR_COMMIT_NOT_NAMES));
	EXPECT_TRUE(path_ends(self->fd, "/a/newer/file" SUFFIX));
	EXPECT_FALSE(inode_flags(&self->nl, self->id, self->b) & FUSECR_INODE_DEAD);
	close(self->handle);
	self->handle = -1;
	EXPECT_TRUE(path_ends(self->fd, "/a/b/file" SUFFIX));
	EXPECT_TRUE(inode_flags(&self->nl, self->id, self->b) & FUSECR_INODE_DEAD);
}

/*
 * One who looks something up in the directory, or in its parent, when the handle is
 * closed: it is not waited for, and what it has locked is put back when it is done.
 */
static void closed_meanwhile(struct __test_metadata *_metadata, FIXTURE_DATA(above) *self, const char *where)
{
	struct test_client client = { };

	self->which.flags = FUSECR_UNLINK_ENTER;
	ASSERT_EQ(0, th_unlink(self->handle, self->which));
	rawfs_hold(self->fs, FUSE_LOOKUP);
	ASSERT_EQ(0, test_client_start(&client, test_stat, (void *)where));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_LOOKUP, 1));
	close(self->handle);
	self->handle = -1;
	EXPECT_TRUE(path_ends(self->fd, "/a/new/file" SUFFIX));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(-ENOENT, test_client_wait(&client));
	while (!path_ends(self->fd, "/a/b/file" SUFFIX))
		test_nap(1);
	EXPECT_TRUE(inode_flags(&self->nl, self->id, self->b) & FUSECR_INODE_DEAD);
}

TEST_F(above, locked_when_closed)
{
	char where[64];

	snprintf(where, sizeof(where), "/proc/self/fd/%d/none", self->dir);
	closed_meanwhile(_metadata, self, where);
}

TEST_F(above, parent_locked_when_closed)
{
	closed_meanwhile(_metadata, self, test_path(self->fs, "a/none"));
}

TEST_F(above, refusals)
{
	struct fusecr_unlink bad = self->which;

	bad.flags = FUSECR_INODE_LINKABLE;
	EXPECT_EQ(-EINVAL, th_unlink(self->handle, bad));
	bad.flags = FUSECR_UNLINK_ENTER | FUSECR_INODE_DEAD;
	EXPECT_EQ(-EINVAL, th_unlink(self->handle, bad));
	bad = self->which;
	bad.reserved = 1;
	EXPECT_EQ(-EINVAL, th_unlink(self->handle, bad));
	bad = self->which;
	bad.above = 0;
	EXPECT_EQ(-EINVAL, th_unlink(self->handle, bad));
	/* Another one is there by now. */
	bad = self->which;
	bad.above_nodeid = self->a;
	EXPECT_EQ(-ESTALE, th_unlink(self->handle, bad));
	bad.above_nodeid = 0;
	EXPECT_EQ(-ESTALE, th_unlink(self->handle, bad));
	/* The root of the mount, and what would be above it. */
	bad = self->which;
	bad.above = 3;
	EXPECT_EQ(-EINVAL, th_unlink(self->handle, bad));
	bad.above = FUSECR_UNLINK_ABOVE;
	EXPECT_EQ(-EINVAL, th_unlink(self->handle, bad));
	bad.above++;
	EXPECT_EQ(-EINVAL, th_unlink(self->handle, bad));
	bad.above = UINT32_MAX;
	EXPECT_EQ(-EINVAL, th_unlink(self->handle, bad));
	EXPECT_TRUE(path_ends(self->fd, "/a/b/file" SUFFIX));
}

/* The mount itself has no name. */
TEST_F(unlink, not_the_root)
{
	int dir = open(test_path(self->fs, ""), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ASSERT_LE(0, dir);
	self->which.number = dir;
	self->which.nodeid = FUSE_ROOT_ID;
	EXPECT_EQ(-EINVAL, th_unlink(self->handle, self->which));
	close(dir);
}

TEST_F(unlink, refusals)
{
	struct fusecr_unlink bad = self->which;
	int other = open(test_path(self->fs, "f5"), O_RDONLY | O_CLOEXEC), fd;

	ASSERT_LE(0, other);
	bad.nodeid++;
	EXPECT_EQ(-ESTALE, th_unlink(self->handle, bad));
	bad.number = other;
	bad.nodeid = rawfs_nodeid(rawfs_index(self->fs, "f5"));
	close(other);
	EXPECT_EQ(-EBADF, th_unlink(self->handle, bad));
	bad = self->which;
	bad.use = FUSECR_FILE_CWD;
	EXPECT_EQ(-EBADF, th_unlink(self->handle, bad));
	bad.use = FUSECR_FILE_INCOMPLETE;
	EXPECT_EQ(-EINVAL, th_unlink(self->handle, bad));
	bad = self->which;
	bad.flags = FUSECR_INODE_DEAD;
	EXPECT_EQ(-EINVAL, th_unlink(self->handle, bad));
	bad.flags = FUSECR_UNLINK_WAIT | FUSECR_UNLINK_WAIT >> 1;
	EXPECT_EQ(-EINVAL, th_unlink(self->handle, bad));
	bad = self->which;
	bad.name = (uintptr_t)"a/b";
	EXPECT_EQ(-EINVAL, th_unlink(self->handle, bad));
	bad.name_len = 4;
	bad.name = (uintptr_t)"a\0b";
	EXPECT_EQ(-EINVAL, th_unlink(self->handle, bad));
	bad.name_len = PATH_MAX;
	EXPECT_EQ(-EINVAL, th_unlink(self->handle, bad));
	bad.name_len = 0;
	bad.name = 0;
	EXPECT_EQ(-EINVAL, th_unlink(self->handle, bad));
	bad.name_len = 1;
	EXPECT_EQ(-EFAULT, th_unlink(self->handle, bad));
	bad = self->which;
	bad.pid = -1;
	EXPECT_EQ(-ESRCH, th_unlink(self->handle, bad));
	EXPECT_FALSE(get(&self->nl, self->id, self->fd, FUSECR_FILE_FLAGS) & FUSECR_FF_UNLINKED);
	fd = th_open();
	EXPECT_EQ(-ENOTCONN, th_unlink(fd, self->which));
	close(fd);
}

/* --- who has the directory --------------------------------------------------------- */

static int unlink_in_line(void *fixture)
{
	const FIXTURE_DATA(unlink) *self = fixture;
	struct fusecr_unlink which = self->which;

	which.flags = FUSECR_UNLINK_WAIT;
	return th_unlink(self->handle, which);
}

/* One who looks something up in the directory, and two who wait for its lock. */
static void line_up(struct __test_metadata *_metadata, FIXTURE_DATA(unlink) *self,
		    struct test_client *clients)
{
	rawfs_hold(self->fs, FUSE_LOOKUP);
	ASSERT_EQ(0, test_client_start(&clients[0], test_stat,
				       (void *)test_path(self->fs, "none")));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_LOOKUP, 1));
	EXPECT_EQ(-EBUSY, th_unlink(self->handle, self->which));
	ASSERT_EQ(0, test_client_start(&clients[1], unlink_in_line, self));
	ASSERT_TRUE(test_waits_in(clients[1].pid, "fusecr_unlink", NULL));
	/* Meanwhile others use the handle. */
	EXPECT_EQ(0, th_gate_status(self->handle).closed);
	/* Who comes later is behind it: the one before is answered when this one waits. */
	ASSERT_EQ(0, test_client_start(&clients[2], test_stat,
				       (void *)test_path(self->fs, "none")));
	ASSERT_TRUE(test_waits_in(clients[2].pid, "path_lookupat", "fuse"));
}

TEST_F(unlink, waits_for_the_directory)
{
	struct test_client clients[3] = { };

	line_up(_metadata, self, clients);
	EXPECT_FALSE(get(&self->nl, self->id, self->fd, FUSECR_FILE_FLAGS) & FUSECR_FF_UNLINKED);
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&clients[1]));
	EXPECT_TRUE(get(&self->nl, self->id, self->fd, FUSECR_FILE_FLAGS) & FUSECR_FF_UNLINKED);
	EXPECT_STREQ("/gone" SUFFIX, name_of(self->fd));
	EXPECT_EQ(-ENOENT, test_client_wait(&clients[0]));
	EXPECT_EQ(-ENOENT, test_client_wait(&clients[2]));
}

TEST_F(unlink, killed_in_line)
{
	struct test_client clients[3] = { };

	line_up(_metadata, self, clients);
	test_client_kill(&clients[1]);
	rawfs_release(self->fs, 0);
	EXPECT_EQ(-ENOENT, test_client_wait(&clients[0]));
	EXPECT_EQ(-ENOENT, test_client_wait(&clients[2]));
	EXPECT_FALSE(get(&self->nl, self->id, self->fd, FUSECR_FILE_FLAGS) & FUSECR_FF_UNLINKED);
	EXPECT_EQ(0, th_unlink(self->handle, self->which));
}

TEST_HARNESS_MAIN
