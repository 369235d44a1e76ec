// SPDX-License-Identifier: GPL-2.0
/* Settings of a connection: read back, kept by COMMIT, undone otherwise. */
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "kselftest_harness.h"
#include "test_handle.h"
#include "test_util.h"

FIXTURE(set_conn) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
};

/* A setting, and the attribute that tells it. */
FIXTURE_VARIANT(set_conn) {
	struct fusecr_set_conn set;
	uint16_t attr;
	uint64_t value;
};

FIXTURE_VARIANT_ADD(set_conn, next_unique) {
	.set = { .mask = FUSECR_SET_NEXT_UNIQUE, .next_unique = 0x123456780 },
	.attr = FUSECR_CONN_NEXT_UNIQUE,
	.value = 0x123456780,
};

FIXTURE_VARIANT_ADD(set_conn, next_unique_lower) {
	.set = { .mask = FUSECR_SET_NEXT_UNIQUE, .next_unique = 0 },
	.attr = FUSECR_CONN_NEXT_UNIQUE,
	.value = 0,
};

FIXTURE_VARIANT_ADD(set_conn, next_kh) {
	.set = { .mask = FUSECR_SET_NEXT_KH, .next_kh = 0x1000000001 },
	.attr = FUSECR_CONN_NEXT_KH,
	.value = 0x1000000001,
};

FIXTURE_VARIANT_ADD(set_conn, attr_version) {
	.set = { .mask = FUSECR_SET_ATTR_VERSION, .attr_version = 12345678901 },
	.attr = FUSECR_CONN_ATTR_VERSION,
	.value = 12345678901,
};

FIXTURE_VARIANT_ADD(set_conn, no) {
	.set = { .mask = FUSECR_SET_NO,
		 .no = FUSECR_NO_OPEN | FUSECR_NO_LSEEK | FUSECR_NO_TMPFILE },
	.attr = FUSECR_CONN_NO,
	.value = FUSECR_NO_OPEN | FUSECR_NO_LSEEK | FUSECR_NO_TMPFILE |
		 FUSECR_NO_SYNCFS,
};

FIXTURE_VARIANT_ADD(set_conn, no_none) {
	.set = { .mask = FUSECR_SET_NO, .no = 0 },
	.attr = FUSECR_CONN_NO,
	.value = FUSECR_NO_SYNCFS,
};

FIXTURE_SETUP(set_conn)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	config.entry_ms = 0;
	config.enosys = 1ULL << FUSE_FLUSH | 1ULL << FUSE_ACCESS;
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
	/* So that something is learned and counted. */
	ASSERT_EQ(0, test_open((void *)test_path(self->fs, "f3")));
	ASSERT_EQ(0, access(test_path(self->fs, "f3"), R_OK));
}

FIXTURE_TEARDOWN(set_conn)
{
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, self->fs->duplicates);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

TEST_F(set_conn, close_puts_back)
{
	uint64_t old = tnl_conn_value(&self->nl, self->id, variant->attr);
	int fd = th_attach(self->id);

	ASSERT_LE(0, fd);
	ASSERT_NE(variant->value, old);
	ASSERT_EQ(0, th_set_conn(fd, variant->set));
	EXPECT_EQ(variant->value, tnl_conn_value(&self->nl, self->id, variant->attr));
	close(fd);
	EXPECT_EQ(old, tnl_conn_value(&self->nl, self->id, variant->attr));
}

TEST_F(set_conn, commit_keeps)
{
	int fd = th_attach(self->id);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, th_set_conn(fd, variant->set));
	ASSERT_EQ(0, th_commit(fd));
	close(fd);
	EXPECT_EQ(variant->value, tnl_conn_value(&self->nl, self->id, variant->attr));
}

/* What is set after COMMIT is undone down to what was committed. */
TEST_F(set_conn, commit_is_where_undo_ends)
{
	struct fusecr_set_conn set = variant->set;
	int fd = th_attach(self->id);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, th_set_conn(fd, set));
	ASSERT_EQ(0, th_commit(fd));
	set.next_unique += 1000;
	set.next_kh += 1000;
	set.attr_version += 1000;
	set.no ^= FUSECR_NO_BMAP;
	ASSERT_EQ(0, th_set_conn(fd, set));
	EXPECT_NE(variant->value, tnl_conn_value(&self->nl, self->id, variant->attr));
	close(fd);
	EXPECT_EQ(variant->value, tnl_conn_value(&self->nl, self->id, variant->attr));
}

TEST_F(set_conn, undo_goes_backwards)
{
	uint64_t old = tnl_conn_value(&self->nl, self->id, variant->attr);
	struct fusecr_set_conn set = variant->set;
	int fd = th_attach(self->id), i;

	ASSERT_LE(0, fd);
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, th_set_conn(fd, set));
		set.next_unique += 2;
		set.next_kh++;
		set.attr_version++;
		set.no ^= 1 << i;
	}
	close(fd);
	EXPECT_EQ(old, tnl_conn_value(&self->nl, self->id, variant->attr));
}

struct holder {
	uint64_t id;
	struct fusecr_set_conn set;
	int ready;		/* eventfd or pipe */
};

/* Sets, says so, and waits to be killed. */
static int hold(void *arg)
{
	struct holder *holder = arg;
	int fd = th_attach(holder->id), err;

	err = fd < 0 ? fd : th_set_conn(fd, holder->set);
	if (write(holder->ready, &err, sizeof(err)) != sizeof(err))
		return -EIO;
	for (;;)
		pause();
}

TEST_F(set_conn, death_puts_back)
{
	uint64_t old = tnl_conn_value(&self->nl, self->id, variant->attr);
	struct holder holder = { .id = self->id, .set = variant->set };
	struct test_client client;
	int pipes[2], err;

	ASSERT_EQ(0, pipe(pipes));
	holder.ready = pipes[1];
	ASSERT_EQ(0, test_client_start(&client, hold, &holder));
	ASSERT_EQ(sizeof(err), read(pipes[0], &err, sizeof(err)));
	ASSERT_EQ(0, err);
	EXPECT_EQ(variant->value, tnl_conn_value(&self->nl, self->id, variant->attr));
	test_client_kill(&client);
	EXPECT_EQ(old, tnl_conn_value(&self->nl, self->id, variant->attr));
	close(pipes[0]);
	close(pipes[1]);
}

FIXTURE(counters) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	int fd;
};

FIXTURE_SETUP(counters)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	config.entry_ms = 0;
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
	self->fd = th_attach(self->id);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(counters)
{
	close(self->fd);
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, self->fs->duplicates);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

static const struct rawfs_log *last(const struct rawfs *fs)
{
	return &fs->log[(fs->requests - 1) % RAWFS_LOG_SIZE];
}

/* The next request has the number, and undoing gives no number twice. */
TEST_F(counters, unique_is_used)
{
	struct fusecr_set_conn set = { .mask = FUSECR_SET_NEXT_UNIQUE,
				       .next_unique = 1000000 };

	ASSERT_EQ(0, th_set_conn(self->fd, set));
	ASSERT_EQ(0, test_stat((void *)test_path(self->fs, "f1")));
	EXPECT_EQ(1000002, last(self->fs)->unique);
	close(self->fd);
	EXPECT_EQ(1000002, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NEXT_UNIQUE));
	self->fd = -1;
}

TEST_F(counters, unique_does_not_fall_behind)
{
	uint64_t old = tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NEXT_UNIQUE);
	struct fusecr_set_conn set = { .mask = FUSECR_SET_NEXT_UNIQUE,
				       .next_unique = 1000000 };

	ASSERT_EQ(0, th_set_conn(self->fd, set));
	set.next_unique = 500000;
	ASSERT_EQ(0, th_set_conn(self->fd, set));
	ASSERT_EQ(0, test_stat((void *)test_path(self->fs, "f1")));
	close(self->fd);
	self->fd = -1;
	EXPECT_LE(500002, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NEXT_UNIQUE));
	EXPECT_LT(old, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NEXT_UNIQUE));
}

/* What fuse learns while the handle is open is not unlearned. */
TEST_F(counters, no_keeps_what_is_learned)
{
	struct fusecr_set_conn set = { .mask = FUSECR_SET_NO,
				       .no = FUSECR_NO_LSEEK };
	char value[8];
	uint32_t no;

	self->fs->config.enosys = 1ULL << FUSE_GETXATTR;
	ASSERT_EQ(0, th_set_conn(self->fd, set));
	close(self->fd);
	self->fd = th_attach(self->id);
	ASSERT_LE(0, self->fd);
	no = tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NO);
	EXPECT_FALSE(no & FUSECR_NO_LSEEK);
	ASSERT_EQ(0, th_set_conn(self->fd, set));
	EXPECT_EQ(-1, getxattr(test_path(self->fs, "f1"), "user.raw", value,
			       sizeof(value)));
	EXPECT_EQ(EOPNOTSUPP, errno);
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(no | FUSECR_NO_GETXATTR,
		  tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NO));
}

TEST_F(counters, nonsense_is_refused_whole)
{
	uint64_t unique = tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NEXT_UNIQUE);
	uint64_t kh = tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NEXT_KH);
	struct fusecr_set_conn good = {
		.mask = FUSECR_SET_NEXT_UNIQUE | FUSECR_SET_NEXT_KH,
		.next_unique = 4000,
		.next_kh = 4000,
	}, bad;

	bad = good;
	bad.mask |= 1U << 31;
	EXPECT_EQ(-EINVAL, th_set_conn(self->fd, bad));
	bad = good;
	bad.reserved = 1;
	EXPECT_EQ(-EINVAL, th_set_conn(self->fd, bad));
	bad = good;
	bad.epoch = 1;
	EXPECT_EQ(-EINVAL, th_set_conn(self->fd, bad));
	bad = good;
	bad.next_backing = 1;
	EXPECT_EQ(-EINVAL, th_set_conn(self->fd, bad));
	bad = good;
	bad.next_unique = 4001;
	EXPECT_EQ(-EINVAL, th_set_conn(self->fd, bad));
	bad = good;
	bad.mask |= FUSECR_SET_NO;
	bad.no = 1U << 31;
	EXPECT_EQ(-EINVAL, th_set_conn(self->fd, bad));
	bad = good;
	bad.mask |= FUSECR_SET_PID_NS;
	bad.pid = 0x3fffffff;
	EXPECT_EQ(-ESRCH, th_set_conn(self->fd, bad));
	bad.pid = -1;
	EXPECT_EQ(-ESRCH, th_set_conn(self->fd, bad));
	bad = good;
	bad.mask |= FUSECR_SET_USER_NS;
	bad.pid = 0x3fffffff;
	EXPECT_EQ(-ESRCH, th_set_conn(self->fd, bad));
	EXPECT_EQ(unique, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NEXT_UNIQUE));
	EXPECT_EQ(kh, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NEXT_KH));
	EXPECT_EQ(0, th_set_conn(self->fd, good));
	EXPECT_EQ(4000, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NEXT_KH));
}

/* The first process of a pid namespace; stats a path for each byte it gets. */
static int init_of_ns(void *arg)
{
	int *fds = arg;
	char path[512];
	int err;

	for (;;) {
		if (read(fds[0], path, sizeof(path)) != sizeof(path))
			return 0;
		err = test_stat(path);
		if (write(fds[1], &err, sizeof(err)) != sizeof(err))
			return 1;
	}
}

static pid_t start_ns(int to[2], int from[2])
{
	int fds[2] = { to[0], from[1] };
	pid_t pid = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(init_of_ns(fds));
	}
	return pid;
}

/* The pid that the server sees when @path is looked up in the namespace. */
static int pid_seen(struct rawfs *fs, int to, int from, const char *name)
{
	char path[512] = "";
	int err;

	strcpy(path, test_path(fs, name));
	if (write(to, path, sizeof(path)) != sizeof(path) ||
	    read(from, &err, sizeof(err)) != sizeof(err))
		return -EIO;
	return err ? err : (int)last(fs)->pid;
}

static uint32_t ns_of(pid_t pid, const char *type)
{
	char path[64];
	struct stat st;

	sprintf(path, "/proc/%d/ns/%s", pid, type);
	return stat(path, &st) ? 0 : st.st_ino;
}

TEST_F(counters, pid_namespace_is_exchanged)
{
	struct fusecr_set_conn set = { .mask = FUSECR_SET_PID_NS };
	int to[2], from[2];
	uint32_t old = ns_of(getpid(), "pid");
	pid_t pid;

	/* It would have the handle, too. */
	close(self->fd);
	ASSERT_EQ(0, pipe(to));
	ASSERT_EQ(0, pipe(from));
	pid = start_ns(to, from);
	ASSERT_LT(0, pid);
	self->fd = th_attach(self->id);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(old, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_PID_NS));
	EXPECT_EQ(pid, pid_seen(self->fs, to[1], from[0], "f1"));

	set.pid = pid;
	ASSERT_EQ(0, th_set_conn(self->fd, set));
	EXPECT_NE(old, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_PID_NS));
	EXPECT_EQ(ns_of(pid, "pid"), tnl_conn_value(&self->nl, self->id, FUSECR_CONN_PID_NS));
	EXPECT_EQ(1, pid_seen(self->fs, to[1], from[0], "f2"));
	/* Not in that namespace. */
	ASSERT_EQ(0, test_stat((void *)test_path(self->fs, "f3")));
	EXPECT_EQ(0, last(self->fs)->pid);

	close(self->fd);
	EXPECT_EQ(old, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_PID_NS));
	EXPECT_EQ(pid, pid_seen(self->fs, to[1], from[0], "f4"));

	self->fd = th_attach(self->id);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, th_set_conn(self->fd, set));
	ASSERT_EQ(0, th_commit(self->fd));
	close(self->fd);
	self->fd = -1;
	/* The namespace has to outlive its tasks. */
	EXPECT_EQ(1, pid_seen(self->fs, to[1], from[0], "f5"));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	ASSERT_EQ(0, test_stat((void *)test_path(self->fs, "f6")));
	EXPECT_EQ(0, last(self->fs)->pid);
}

/* A process in a user namespace in which nobody has a number. */
static pid_t start_nobody(void)
{
	pid_t pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	return pid;
}

static void end_nobody(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

TEST_F(counters, user_namespace_is_exchanged)
{
	struct fusecr_set_conn set = { .mask = FUSECR_SET_USER_NS };
	uint32_t old = ns_of(getpid(), "user");
	pid_t pid, other;

	/* They would have the handle, too. */
	close(self->fd);
	pid = start_nobody();
	other = start_nobody();
	ASSERT_LT(0, pid);
	ASSERT_LT(0, other);
	self->fd = th_attach(self->id);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(old, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_USER_NS));

	/* Only one that the superblock keeps. */
	set.pid = pid;
	EXPECT_EQ(-EINVAL, th_set_conn(self->fd, set));
	set.mask |= FUSECR_SET_OWNER_NS;
	ASSERT_EQ(0, th_set_conn(self->fd, set));
	EXPECT_EQ(ns_of(pid, "user"), tnl_conn_value(&self->nl, self->id, FUSECR_CONN_USER_NS));
	EXPECT_EQ(-EOVERFLOW, test_stat((void *)test_path(self->fs, "f1")));
	/* Which it keeps for good. */
	set.pid = other;
	EXPECT_EQ(-EBUSY, th_set_conn(self->fd, set));
	set.mask = FUSECR_SET_USER_NS;
	EXPECT_EQ(-EINVAL, th_set_conn(self->fd, set));

	/* As while CRIU looks. */
	set.pid = getpid();
	ASSERT_EQ(0, th_set_conn(self->fd, set));
	EXPECT_EQ(old, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_USER_NS));
	EXPECT_EQ(0, test_stat((void *)test_path(self->fs, "f2")));
	close(self->fd);
	EXPECT_EQ(old, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_USER_NS));
	EXPECT_EQ(0, test_stat((void *)test_path(self->fs, "f3")));

	self->fd = th_attach(self->id);
	ASSERT_LE(0, self->fd);
	set = (struct fusecr_set_conn){ .mask = FUSECR_SET_USER_NS | FUSECR_SET_OWNER_NS, .pid = pid };
	ASSERT_EQ(0, th_set_conn(self->fd, set));
	ASSERT_EQ(0, th_commit(self->fd));
	close(self->fd);
	self->fd = -1;
	/* It has to outlive its tasks. */
	end_nobody(pid);
	end_nobody(other);
	EXPECT_EQ(-EOVERFLOW, test_stat((void *)test_path(self->fs, "f4")));
}

/* Since 6.16; what is put back is the kernel's own. */
TEST_F(counters, epoch)
{
	uint64_t old = tnl_conn_value(&self->nl, self->id, FUSECR_CONN_EPOCH);
	struct fusecr_set_conn set = { .mask = FUSECR_SET_EPOCH };

	if (old == UINT64_MAX) {
		EXPECT_EQ(-EOPNOTSUPP, th_set_conn(self->fd, set));
		return;
	}
	ASSERT_NE(0, old);
	ASSERT_EQ(0, th_set_conn(self->fd, set));
	EXPECT_EQ(0, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_EPOCH));
	EXPECT_EQ(0, access(test_path(self->fs, "f1"), F_OK));
	EXPECT_EQ(0, access(test_path(self->fs, "f1"), F_OK));
	set.epoch = 1u << 31;
	EXPECT_EQ(-EINVAL, th_set_conn(self->fd, set));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(old, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_EPOCH));
}

TEST_HARNESS_MAIN
