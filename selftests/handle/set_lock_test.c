// SPDX-License-Identifier: GPL-2.0
/* POSIX locks that the kernel keeps, set for who has the file open. */
#include <sys/prctl.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "test_handle.h"
#include "test_util.h"

FIXTURE(set_lock) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	int handle;
	int fd;				/* of f5, the child's, too */
	pid_t child;
	int to_child;			/* the end of it ends the child */
	struct fusecr_set_lock set;	/* for the child */
};

FIXTURE_VARIANT(set_lock) {
	uint64_t init;
	int keeps;			/* what a lock is answered with */
};

FIXTURE_VARIANT_ADD(set_lock, kernel) {
	.init = FUSE_BIG_WRITES,
};

FIXTURE_VARIANT_ADD(set_lock, daemon) {
	.init = FUSE_BIG_WRITES | FUSE_POSIX_LOCKS,
	.keeps = -EOPNOTSUPP,
};

/* Has the descriptor, and does nothing. */
static pid_t start_child(int *to_child)
{
	int pipes[2];
	pid_t pid;
	char c;

	if (pipe2(pipes, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pipes[1]);
		_exit(read(pipes[0], &c, 1));
	}
	close(pipes[0]);
	*to_child = pipes[1];
	return pid;
}

FIXTURE_SETUP(set_lock)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	config.init.flags = variant->init;
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
	self->fd = open(test_path(self->fs, "f5"), O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->child = start_child(&self->to_child);
	ASSERT_LT(0, self->child);
	/* Not the child's, too: it ends with us. */
	self->handle = th_attach(self->id);
	ASSERT_LE(0, self->handle);
	self->set = (struct fusecr_set_lock){
		.pid = self->child,
		.type = F_WRLCK,
		.number = self->fd,
		.nodeid = rawfs_nodeid(rawfs_index(self->fs, "f5")),
		.start = 10,
		.end = 19,
	};
}

static void end_child(FIXTURE_DATA(set_lock) *self)
{
	if (self->child <= 0)
		return;
	close(self->to_child);
	waitpid(self->child, NULL, 0);
	self->child = 0;
}

FIXTURE_TEARDOWN(set_lock)
{
	end_child(self);
	close(self->handle);
	close(self->fd);
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

/* Who stands in the way of a lock of this task's, or 0. */
static pid_t holder(int fd, off_t start, off_t len)
{
	struct flock lock = { .l_type = F_WRLCK, .l_start = start, .l_len = len };

	if (fcntl(fd, F_GETLK, &lock))
		return -errno;
	return lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

static int lock_range(int fd, short type, off_t start, off_t len)
{
	struct flock lock = { .l_type = type, .l_start = start, .l_len = len };

	return fcntl(fd, F_SETLK, &lock) ? -errno : 0;
}

/* It is the other task's, all of it and no more, until that ends. */
TEST_F(set_lock, held)
{
	uint64_t before = self->fs->requests;

	ASSERT_EQ(variant->keeps, th_set_lock(self->handle, self->set));
	EXPECT_EQ(before, self->fs->requests);
	if (variant->keeps)
		return;
	EXPECT_EQ(self->child, holder(self->fd, 10, 1));
	EXPECT_EQ(self->child, holder(self->fd, 19, 1));
	EXPECT_EQ(0, holder(self->fd, 0, 10));
	EXPECT_EQ(0, holder(self->fd, 20, 0));
	EXPECT_EQ(-EAGAIN, lock_range(self->fd, F_RDLCK, 0, 0));
	/* It is its own, which changes nothing. */
	EXPECT_EQ(0, th_set_lock(self->handle, self->set));
	EXPECT_EQ(0, th_commit(self->handle));
	EXPECT_EQ(self->child, holder(self->fd, 10, 10));
	end_child(self);
	EXPECT_EQ(0, holder(self->fd, 0, 0));
}

TEST_F(set_lock, undone)
{
	ASSERT_EQ(variant->keeps, th_set_lock(self->handle, self->set));
	if (variant->keeps)
		return;
	self->set.start = 30;
	self->set.end = INT64_MAX;
	self->set.type = F_RDLCK;
	ASSERT_EQ(0, th_set_lock(self->handle, self->set));
	EXPECT_EQ(self->child, holder(self->fd, 1000000, 1));
	EXPECT_EQ(0, lock_range(self->fd, F_RDLCK, 30, 0));
	close(self->handle);
	EXPECT_EQ(0, holder(self->fd, 0, 0));
	self->handle = th_attach(self->id);
	ASSERT_LE(0, self->handle);
}

TEST_F(set_lock, refused)
{
	const struct fusecr_set_lock good = self->set;
	struct fusecr_set_lock set = good;
	int read_only;

	set.type = F_UNLCK;
	EXPECT_EQ(-EINVAL, th_set_lock(self->handle, set));
	set = good;
	set.start = 20;
	EXPECT_EQ(-EINVAL, th_set_lock(self->handle, set));
	set = good;
	set.end = 1ULL << 63;
	EXPECT_EQ(-EINVAL, th_set_lock(self->handle, set));
	/* Who keeps them is asked for before anything of the task. */
	if (variant->keeps) {
		EXPECT_EQ(variant->keeps, th_set_lock(self->handle, good));
		return;
	}
	set = good;
	set.nodeid++;
	EXPECT_EQ(-ESTALE, th_set_lock(self->handle, set));
	set = good;
	set.number = 999;
	EXPECT_EQ(-EBADF, th_set_lock(self->handle, set));
	set = good;
	set.pid = 0x7ffffff0;
	EXPECT_EQ(-ESRCH, th_set_lock(self->handle, set));
	read_only = open(test_path(self->fs, "f5"), O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, read_only);
	set = good;
	set.pid = getpid();
	set.number = read_only;
	EXPECT_EQ(-EBADF, th_set_lock(self->handle, set));
	set.type = F_RDLCK;
	EXPECT_EQ(0, th_set_lock(self->handle, set));
	/* What others have. */
	EXPECT_EQ(-EAGAIN, th_set_lock(self->handle, good));
	close(read_only);
	EXPECT_EQ(0, th_set_lock(self->handle, good));
}

TEST_HARNESS_MAIN
