// SPDX-License-Identifier: GPL-2.0
/*
 * What a request is asked for decides whether it can be taken: its call has to be able
 * to start over, and what is in it has to stay.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <linux/fs.h>
#include <linux/openat2.h>

#define KEEP_OPTIONS	"default_permissions"
#include "keep_fixture.h"

/* The file stays open: the process ends soon. */
static int opened(int fd)
{
	return fd < 0 ? -errno : 0;
}

/* --- open() of what it has created ---------------------------------------------------- */

static int create(void *path)
{
	return opened(open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600));
}

static int create_readonly(void *path)
{
	return opened(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0400));
}

static int create_with_openat2(void *path)
{
	struct open_how how = { .flags = O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, .mode = 0600 };

	return syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how)) < 0 ? -errno : 0;
}

/* may_open() asks for the attributes of what is there by now. */
static void attributes_of_created(struct __test_metadata *_metadata,
				  FIXTURE_DATA(call) *self, int (*work)(void *path))
{
	uint64_t asked;

	rawfs_hold_answer(self->fs, FUSE_CREATE);
	ASSERT_EQ(0, test_client_start(&self->clients[0], work, path(self, "new")));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_CREATE, 1));
	asked = self->fs->nr_op[FUSE_GETATTR];
	rawfs_hold(self->fs, FUSE_GETATTR);
	rawfs_release(self->fs, FUSE_CREATE);
	stays(_metadata, self, FUSE_GETATTR, 0);
	EXPECT_EQ(1, self->fs->nr_op[FUSE_CREATE]);
	EXPECT_EQ(asked + 1, self->fs->nr_op[FUSE_GETATTR]);
}

TEST_F(call, attributes_of_created)
{
	attributes_of_created(_metadata, self, create);
}

TEST_F(call, attributes_of_created_readonly)
{
	attributes_of_created(_metadata, self, create_readonly);
}

TEST_F(call, attributes_of_created_with_openat2)
{
	attributes_of_created(_metadata, self, create_with_openat2);
}

/* Those of the directory are asked for before anything is done. */
TEST_F(call, attributes_of_directory)
{
	ASSERT_EQ(0, keep_one(self, FUSE_GETATTR, false, create, path(self, "new")));
	EXPECT_EQ(0, self->fs->nr_op[FUSE_CREATE]);
	ASSERT_EQ(0, th_gate_open(self->fd));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(1, self->fs->nr_op[FUSE_CREATE]);
}

/* A server without CREATE is asked for MKNOD, and then for OPEN. */
TEST_F(call, open_of_created)
{
	self->fs->config.enosys |= 1ULL << FUSE_CREATE;
	rawfs_hold(self->fs, FUSE_OPEN);
	ASSERT_EQ(0, test_client_start(&self->clients[0], create, path(self, "new")));
	stays(_metadata, self, FUSE_OPEN, 0);
	EXPECT_EQ(1, self->fs->nr_op[FUSE_MKNOD]);
	EXPECT_EQ(1, self->fs->nr_op[FUSE_OPEN]);
}

/* It is taken, done or not, and the call that starts over meets its answer. */
static void once(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self,
		 uint32_t opcode, bool done, int (*work)(void *path))
{
	ASSERT_EQ(0, keep_one(self, opcode, done, work, path(self, "f1")));
	ASSERT_EQ(0, th_gate_open(self->fd));
	ASSERT_TRUE(kept_is(self->fd, 0));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(1, self->fs->nr_op[opcode]);
	EXPECT_EQ(0, self->fs->lost);
}

/* With CREATE, what is opened was there. */
static int open_or_create(void *path)
{
	return opened(open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
}

TEST_F(call, open_of_what_was_there)
{
	once(_metadata, self, FUSE_OPEN, false, open_or_create);
}

/* --- an error that nobody minds ------------------------------------------------------- */

static int write_some(void *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, "some", 4) != 4 ? -errno : 0;
}

static int truncate_it(void *path)
{
	return truncate(path, 100) ? -errno : 0;
}

/* The file's capabilities have to go. */
TEST_F(call, write_that_asks_for_capabilities_is_not_taken)
{
	not_taken(_metadata, self, FUSE_GETXATTR, write_some);
}

TEST_F(call, truncate_that_asks_for_capabilities_is_not_taken)
{
	not_taken(_metadata, self, FUSE_GETXATTR, truncate_it);
}

/* --- newer requests -------------------------------------------------------------------- */

static int birth(void *path)
{
	struct statx st;

	if (statx(AT_FDCWD, path, 0, STATX_BTIME, &st))
		return -errno;
	return st.stx_btime.tv_sec == RAWFS_TIME_BASE ? 0 : -EIO;
}

TEST_F(call, statx)
{
	if (self->fs->init_in.minor < 39)
		SKIP(return, "this kernel does not ask");
	once(_metadata, self, FUSE_STATX, true, birth);
}

/* --- handles --------------------------------------------------------------------------- */

static int shorten(void *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 || ftruncate(fd, 100) ? -errno : 0;
}

static int seek_to_end(void *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 || lseek(fd, 0, SEEK_END) < 0 ? -errno : 0;
}

static int copy_range(void *path)
{
	int in = open(path, O_RDONLY | O_CLOEXEC), out;

	/* In its neighbour. */
	((char *)path)[strlen(path) - 1]++;
	out = open(path, O_RDWR | O_CLOEXEC);
	if (in < 0 || out < 0)
		return -errno;
	return copy_file_range(in, NULL, out, NULL, 100, 0) == 100 ? 0 : -errno;
}

static int ioctl_size(void *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint32_t size;

	return fd < 0 || ioctl(fd, RAWFS_IOC_SIZE, &size) ? -errno : 0;
}

/* The server still uses them. */
static void killed(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self,
		   uint32_t opcode, int (*work)(void *path), unsigned int handles)
{
	ASSERT_EQ(0, keep_one(self, opcode, false, work, path(self, "f1")));
	self->fs->config.ignore_interrupts = true;
	test_client_kill(&self->clients[0]);
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_INTERRUPT, 1));
	test_nap(QUIET_MS);
	EXPECT_EQ(0, self->fs->nr_op[FUSE_RELEASE]);
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, handles));
	ASSERT_EQ(0, th_gate_open(self->fd));
}

TEST_F(call, killed_while_truncating)
{
	killed(_metadata, self, FUSE_SETATTR, shorten, 1);
}

/* Among others those of directories, by which it asks without a handle. */
TEST_F(call, killed_while_seeking)
{
	uint64_t asked;

	rawfs_hold_answer(self->fs, FUSE_OPEN);
	ASSERT_EQ(0, test_client_start(&self->clients[0], seek_to_end, path(self, "f1")));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_OPEN, 1));
	asked = self->fs->nr_op[FUSE_GETATTR];
	rawfs_hold(self->fs, FUSE_GETATTR);
	rawfs_release(self->fs, FUSE_OPEN);
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_GETATTR, 1));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_EQ(0, take(self->fd, 1));
	ASSERT_TRUE(held_is(self->fd, 1));
	EXPECT_EQ(asked + 1, self->fs->nr_op[FUSE_GETATTR]);
	self->fs->config.ignore_interrupts = true;
	test_client_kill(&self->clients[0]);
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_INTERRUPT, 1));
	test_nap(QUIET_MS);
	EXPECT_EQ(0, self->fs->nr_op[FUSE_RELEASE]);
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	ASSERT_EQ(0, th_gate_open(self->fd));
}

static bool copies_64(const struct rawfs *fs)
{
	return fs->init_in.minor >= 45;
}

TEST_F(call, copy_file_range)
{
	once(_metadata, self, copies_64(self->fs) ? RAWFS_COPY_FILE_RANGE_64 :
	     FUSE_COPY_FILE_RANGE, true, copy_range);
}

TEST_F(call, killed_while_copying)
{
	killed(_metadata, self, copies_64(self->fs) ? RAWFS_COPY_FILE_RANGE_64 :
	       FUSE_COPY_FILE_RANGE, copy_range, 2);
}

TEST_F(call, killed_in_ioctl)
{
	killed(_metadata, self, FUSE_IOCTL, ioctl_size, 1);
}

/* fuse tells no handle there. */
static int open_to_truncate(void *path)
{
	return opened(open(path, O_RDWR | O_TRUNC | O_CLOEXEC));
}

TEST_F(call, open_that_truncates)
{
	once(_metadata, self, FUSE_SETATTR, false, open_to_truncate);
}

/* The handle is the call's own: the next time there is another one. */
static int flags(void *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), value;

	if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &value))
		return -errno;
	return value == FS_NOATIME_FL ? 0 : -EIO;
}

TEST_F(call, lsattr_is_not_taken)
{
	not_taken(_metadata, self, FUSE_IOCTL, flags);
}

TEST_HARNESS_MAIN
