// SPDX-License-Identifier: GPL-2.0
/*
 * A FLUSH that a server keeps: close() starts over, with its descriptor, and has
 * the server's answer; the handle is released after it.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "keep_fixture.h"

#define UNIQUE		(1ULL << 32)	/* no request of the kernel's own */
#define FD		77	/* that nobody else has */
#define NOISE		8	/* further open files of a client's */

static int open_at(const char *path, int number, int flags)
{
	int fd = open(path, flags), err;

	if (fd < 0)
		return -errno;
	err = dup3(fd, number, O_CLOEXEC) < 0 ? -errno : 0;
	/* Of which the server keeps nothing. */
	close(fd);
	return err;
}

/* Opens without a FLUSH before the one that is meant. */
static int open_only(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int close_it(void *path)
{
	int fd = open_only(path, O_RDWR), number = fd;

	if (fd < 0)
		return fd;
	if (close(fd))
		return -errno;
	/* And it is closed. */
	return fcntl(number, F_GETFD) == -1 && errno == EBADF ? 0 : -EEXIST;
}

static uint64_t nr_flushes(const FIXTURE_DATA(call) *self)
{
	return self->fs->nr_op[FUSE_FLUSH];
}

/* What the server has been told in the end: one of each, in this order. */
static bool in_order(struct rawfs *fs)
{
	uint64_t i, flush = 0, release = 0;

	if (rawfs_wait_op(fs, FUSE_RELEASE, 1) || fs->duplicates || fs->interrupts ||
	    fs->lost || fs->nr_op[FUSE_FLUSH] != 1 || fs->nr_op[FUSE_RELEASE] != 1)
		return false;
	for (i = 0; i < fs->requests; i++) {
		if (fs->log[i].opcode == FUSE_FLUSH)
			flush = i;
		if (fs->log[i].opcode == FUSE_RELEASE)
			release = i;
	}
	return flush && flush < release;
}

/* Answers in the server's place. */
static int answer(FIXTURE_DATA(call) *self, uint64_t unique, int error)
{
	struct fuse_out_header out = { .len = sizeof(out), .error = error,
				       .unique = unique };
	int dev = device(self);
	ssize_t n = write(dev, &out, sizeof(out));

	if (n < 0)
		n = -errno;
	close(dev);
	return n == sizeof(out) ? 0 : n;
}

static uint64_t unique_of(FIXTURE_DATA(call) *self)
{
	return rawfs_find_held(self->fs, FUSE_FLUSH, 0)->h.unique;
}

/* How many of a client's descriptors are the file. */
static int nr_open(FIXTURE_DATA(call) *self, const char *name)
{
	char link[64], to[256];
	int fd, nr = 0;
	ssize_t n;

	for (fd = 0; fd < 128; fd++) {
		snprintf(link, sizeof(link), "/proc/%d/fd/%d", self->clients[0].pid, fd);
		n = readlink(link, to, sizeof(to) - 1);
		if (n < 0)
			continue;
		to[n] = 0;
		nr += !strcmp(to, path(self, name));
	}
	return nr;
}

/* --- one result ------------------------------------------------------------------------ */

TEST_F(call, answered_after)
{
	ASSERT_EQ(0, keep_one(self, FUSE_FLUSH, false, close_it, path(self, "f1")));
	EXPECT_EQ(1, nr_open(self, "f1"));
	test_nap(QUIET_MS);
	EXPECT_EQ(0, self->fs->nr_op[FUSE_RELEASE]);
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_TRUE(kept_is(self->fd, 0));
	test_nap(QUIET_MS);
	EXPECT_TRUE(test_client_busy(&self->clients[0]));
	EXPECT_EQ(0, self->fs->nr_op[FUSE_RELEASE]);
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_TRUE(in_order(self->fs));
}

TEST_F(call, answered_before)
{
	ASSERT_EQ(0, keep_one(self, FUSE_FLUSH, false, close_it, path(self, "f1")));
	rawfs_release(self->fs, 0);
	ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_FLUSH, 1));
	EXPECT_EQ(1, th_kept(self->fd));
	EXPECT_EQ(0, self->fs->nr_op[FUSE_RELEASE]);
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_TRUE(in_order(self->fs));
	EXPECT_EQ(0, th_kept(self->fd));
}

TEST_F(call, error_before)
{
	ASSERT_EQ(0, keep_one(self, FUSE_FLUSH, true, close_it, path(self, "f1")));
	ASSERT_EQ(0, answer(self, unique_of(self), -EDQUOT));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(-EDQUOT, test_client_wait(&self->clients[0]));
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	EXPECT_EQ(1, nr_flushes(self));
}

TEST_F(call, error_after)
{
	ASSERT_EQ(0, keep_one(self, FUSE_FLUSH, true, close_it, path(self, "f1")));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_TRUE(kept_is(self->fd, 0));
	ASSERT_EQ(0, answer(self, unique_of(self), -EIO));
	EXPECT_EQ(-EIO, test_client_wait(&self->clients[0]));
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	EXPECT_EQ(1, nr_flushes(self));
}

/* fuse asks no more, and all is well. */
TEST_F(call, not_implemented)
{
	struct tnl_list list;

	ASSERT_EQ(0, keep_one(self, FUSE_FLUSH, true, close_it, path(self, "f1")));
	ASSERT_EQ(0, test_wait_requests(&self->nl, self->id, FUSECR_REQ_KEPT, 1, &list));
	EXPECT_EQ(FUSE_FLUSH, tnl_u32(&list.v[0], FUSECR_REQ_OPCODE));
	tnl_free(&list);
	ASSERT_EQ(0, answer(self, unique_of(self), -ENOSYS));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	ASSERT_EQ(0, test_client_start(&self->clients[1], close_it, path(self, "f2")));
	EXPECT_EQ(0, test_client_wait(&self->clients[1]));
	EXPECT_EQ(1, nr_flushes(self));
}

TEST_F(call, again_and_again)
{
	int i;

	ASSERT_EQ(0, keep_one(self, FUSE_FLUSH, false, close_it, path(self, "f1")));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, th_gate_open(self->fd));
		ASSERT_TRUE(kept_is(self->fd, 0));
		EXPECT_EQ(0, nr_open(self, "f1"));
		ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
		ASSERT_EQ(0, take(self->fd, 1));
		EXPECT_TRUE(held_is(self->fd, 1));
		EXPECT_EQ(1, nr_open(self, "f1"));
	}
	ASSERT_EQ(0, th_gate_open(self->fd));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_TRUE(in_order(self->fs));
}

static bool is_pipe(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISFIFO(st.st_mode);
}

/* Says nothing of the answer to the FLUSH. */
static int dup_over(void *path)
{
	int fd = open_only(path, O_RDWR), pipes[2];

	if (fd < 0 || pipe(pipes) || dup2(pipes[0], fd) != fd)
		return -errno;
	return is_pipe(pipes[0]) && is_pipe(fd) && !fcntl(fd, F_GETFD) ? 0 : -EBADF;
}

static int dup_over_cloexec(void *path)
{
	int fd = open_only(path, O_RDWR), pipes[2];

	if (fd < 0 || pipe(pipes) || dup3(pipes[0], fd, O_CLOEXEC) != fd)
		return -errno;
	return is_pipe(fd) && fcntl(fd, F_GETFD) == FD_CLOEXEC ? 0 : -EBADF;
}

/* Over another descriptor of the same file. */
static int dup_over_itself(void *path)
{
	int fd = open_only(path, O_RDWR), other = dup(fd);

	if (fd < 0 || other < 0 || dup2(fd, other) != other || fcntl(fd, F_GETFD) < 0)
		return -errno;
	return 0;
}

TEST_F(call, dup2)
{
	ASSERT_EQ(0, keep_one(self, FUSE_FLUSH, false, dup_over, path(self, "f1")));
	EXPECT_EQ(1, nr_open(self, "f1"));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_TRUE(kept_is(self->fd, 0));
	EXPECT_TRUE(test_client_busy(&self->clients[0]));
	EXPECT_EQ(0, self->fs->nr_op[FUSE_RELEASE]);
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_TRUE(in_order(self->fs));
}

TEST_F(call, dup3_answered_before)
{
	ASSERT_EQ(0, keep_one(self, FUSE_FLUSH, true, dup_over_cloexec,
			      path(self, "f1")));
	EXPECT_EQ(1, nr_open(self, "f1"));
	ASSERT_EQ(0, answer(self, unique_of(self), -EIO));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	EXPECT_EQ(1, nr_flushes(self));
}

TEST_F(call, dup2_of_itself)
{
	ASSERT_EQ(0, keep_one(self, FUSE_FLUSH, false, dup_over_itself,
			      path(self, "f1")));
	EXPECT_EQ(2, nr_open(self, "f1"));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_TRUE(kept_is(self->fd, 0));
	EXPECT_EQ(1, nr_flushes(self));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	/* Its own, and those of its end. */
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	EXPECT_EQ(3, nr_flushes(self));
	EXPECT_EQ(0, self->fs->lost);
}

/* The others that it has open, or had, are not mistaken for it. */
static int close_one_of_many(void *dir)
{
	int fds[NOISE], i;
	char name[512], buf[16];

	for (i = 0; i < NOISE; i++) {
		snprintf(name, sizeof(name), "%s/f%d", (char *)dir, i % 4);
		fds[i] = open_only(name, O_RDWR);
		if (fds[i] < 0 || pread(fds[i], buf, sizeof(buf), 0) < 0 ||
		    pwrite(fds[i], buf, sizeof(buf), 0) < 0)
			return -errno;
	}
	/* The last, of two of its node. */
	for (i = 0; i < NOISE; i += 2)
		if (close(fds[i]))
			return -errno;
	for (i = 1; i < NOISE; i += 2)
		if (pread(fds[i], buf, sizeof(buf), 0) < 0)
			return -errno;
	if (close(fds[1]))
		return -errno;
	return 0;
}

TEST_F(call, one_of_many)
{
	rawfs_hold_after(self->fs, FUSE_FLUSH, NOISE / 2);
	ASSERT_EQ(0, test_client_start(&self->clients[0], close_one_of_many,
				       self->fs->dir));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_FLUSH, 1));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_EQ(0, take(self->fd, 1));
	EXPECT_TRUE(held_is(self->fd, 1));
	EXPECT_EQ(2, nr_open(self, "f1"));
	EXPECT_EQ(0, nr_open(self, "f2"));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_TRUE(kept_is(self->fd, 0));
	EXPECT_EQ(NOISE / 2 + 1, nr_flushes(self));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(0, self->fs->lost);
}

static sig_atomic_t alarms;

static void on_alarm(int sig)
{
	alarms++;
}

static int close_with_handler(void *path)
{
	const struct sigaction action = { .sa_handler = on_alarm };

	sigaction(SIGALRM, &action, NULL);
	return close_it(path) ?: alarms;
}

/* It has neither the handler's EINTR nor another's descriptor. */
TEST_F(call, signal_while_kept)
{
	ASSERT_EQ(0, keep_one(self, FUSE_FLUSH, false, close_with_handler,
			      path(self, "f1")));
	ASSERT_EQ(0, kill(self->clients[0].pid, SIGALRM));
	test_nap(QUIET_MS);
	EXPECT_EQ(1, th_kept(self->fd));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_TRUE(kept_is(self->fd, 0));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(1, test_client_wait(&self->clients[0]));
	EXPECT_TRUE(in_order(self->fs));
}

/* --- who dies ------------------------------------------------------------------------ */

/* Whoever is killed flushes, too: it is the same one. */
TEST_F(call, killed)
{
	ASSERT_EQ(0, keep_one(self, FUSE_FLUSH, false, close_it, path(self, "f1")));
	self->fs->config.ignore_interrupts = true;
	ASSERT_EQ(0, kill(self->clients[0].pid, SIGKILL));
	EXPECT_TRUE(kept_is(self->fd, 0));
	test_nap(QUIET_MS);
	EXPECT_EQ(1, nr_flushes(self));
	EXPECT_EQ(0, self->fs->nr_op[FUSE_RELEASE]);
	rawfs_release(self->fs, 0);
	test_client_kill(&self->clients[0]);
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	EXPECT_EQ(1, nr_flushes(self));
	EXPECT_EQ(0, self->fs->lost);
	ASSERT_EQ(0, th_gate_open(self->fd));
}

TEST_F(call, killed_when_answered)
{
	ASSERT_EQ(0, keep_one(self, FUSE_FLUSH, false, close_it, path(self, "f1")));
	rawfs_release(self->fs, 0);
	ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_FLUSH, 1));
	test_client_kill(&self->clients[0]);
	EXPECT_TRUE(kept_is(self->fd, 0));
	EXPECT_TRUE(in_order(self->fs));
	ASSERT_EQ(0, th_gate_open(self->fd));
}

TEST_F(call, abort_while_kept)
{
	ASSERT_EQ(0, keep_one(self, FUSE_FLUSH, false, close_it, path(self, "f1")));
	ASSERT_EQ(0, test_fusectl(self->fs, "abort"));
	EXPECT_TRUE(kept_is(self->fd, 0));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_GT(0, test_client_wait(&self->clients[0]));
}

TEST_F(call, server_killed_while_kept)
{
	ASSERT_EQ(0, keep_one(self, FUSE_FLUSH, false, close_it, path(self, "f1")));
	ASSERT_EQ(0, rawfs_kill(self->fs));
	EXPECT_TRUE(kept_is(self->fd, 0));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_GT(0, test_client_wait(&self->clients[0]));
}

/* --- what is not taken ------------------------------------------------------------------ */

static void flush_is_not_taken(struct __test_metadata *_metadata,
			       FIXTURE_DATA(call) *self, int (*work)(void *path))
{
	not_taken(_metadata, self, FUSE_FLUSH, work);
	EXPECT_EQ(0, self->fs->lost);
}

static int close_many(void *path)
{
	int fd = open_only(path, O_RDWR);

	if (fd < 0 || syscall(SYS_close_range, fd, fd, 0))
		return -errno;
	return 0;
}

TEST_F(call, close_range_is_not_taken)
{
	flush_is_not_taken(_metadata, self, close_many);
}

static int leave_open(void *path)
{
	int fd = open_only(path, O_RDWR);

	return fd < 0 ? fd : 0;
}

TEST_F(call, exit_is_not_taken)
{
	flush_is_not_taken(_metadata, self, leave_open);
}

static void *close_at(void *result)
{
	*(int *)result = close(FD) ? -errno : 0;
	return NULL;
}

/* Another thread gets the descriptor meanwhile. */
static int close_and_reuse(void *path)
{
	int err = open_at(path, FD, O_RDWR), result = -EINVAL, null;
	struct stat st;
	pthread_t thread;

	if (err)
		return err;
	err = pthread_create(&thread, NULL, close_at, &result);
	if (err)
		return -err;
	while (fcntl(FD, F_GETFD) != -1)
		;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, FD) != FD)
		return -errno;
	pthread_join(thread, NULL);
	if (fstat(FD, &st))
		return -errno;
	return S_ISCHR(st.st_mode) ? result : -EEXIST;
}

TEST_F(call, number_in_use)
{
	int i;

	rawfs_hold_after(self->fs, FUSE_FLUSH, 1);
	ASSERT_EQ(0, test_client_start(&self->clients[0], close_and_reuse,
				       path(self, "f1")));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_FLUSH, 1));
	/* Until the other has it. */
	test_nap(QUIET_MS);
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	for (i = 0; i < QUIET_MS; i++) {
		ASSERT_EQ(0, th_take(self->fd));
		test_nap(1);
	}
	rawfs_release(self->fs, 0);
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
}

/* --- from an image -------------------------------------------------------------------- */

struct later {
	int go;
	const char *path;
};

static int close_later(void *arg)
{
	const struct later *l = arg;
	int fd = open_only(l->path, O_RDWR);
	char c;

	if (fd < 0)
		return fd;
	if (read(l->go, &c, 1) != 1)
		return -EPIPE;
	return close(fd) ? -errno : 0;
}

/* The lock owner is another one: it was a hash of an address. */
static int keep_later(FIXTURE_DATA(call) *self, struct later *later, bool answered,
		      int error)
{
	struct fuse_entry_out named[FUSECR_KEEP_NAMES] = { };
	struct fuse_flush_in in = { .lock_owner = 0x1234 };
	int err, dev = device(self);
	struct fusecr_keep k;

	err = test_client_start(&self->clients[0], close_later, later) ?:
	      rawfs_wait_op(self->fs, FUSE_OPEN, 1);
	if (err)
		return err;
	in.fh = rawfs_handle(self->fs, "f1", 0)->fh;
	k = (struct fusecr_keep){
		.fd = dev, .opcode = FUSE_FLUSH, .unique = UNIQUE,
		.nodeid = rawfs_nodeid(rawfs_index(self->fs, "f1")),
		.pid = self->clients[0].pid, .in_len = sizeof(in),
		.in = (uintptr_t)&in, .answered = answered, .error = error,
		.named = (uintptr_t)named,
	};
	err = th_call(self->fd, FUSECR_IOC_KEEP, &k);
	close(dev);
	return err;
}

TEST_F(call, keep_answered)
{
	struct later later = { self->go[0], path(self, "f1") };

	ASSERT_EQ(0, keep_later(self, &later, true, -EDQUOT));
	EXPECT_EQ(1, th_kept(self->fd));
	ASSERT_EQ(1, write(self->go[1], "", 1));
	EXPECT_EQ(-EDQUOT, test_client_wait(&self->clients[0]));
	EXPECT_EQ(0, th_kept(self->fd));
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	EXPECT_EQ(0, nr_flushes(self));
}

TEST_F(call, keep_unanswered)
{
	struct later later = { self->go[0], path(self, "f1") };

	ASSERT_EQ(0, keep_later(self, &later, false, 0));
	ASSERT_EQ(1, write(self->go[1], "", 1));
	EXPECT_TRUE(kept_is(self->fd, 0));
	test_nap(QUIET_MS);
	EXPECT_TRUE(test_client_busy(&self->clients[0]));
	EXPECT_EQ(0, self->fs->nr_op[FUSE_RELEASE]);
	EXPECT_EQ(0, answer(self, UNIQUE, -EIO));
	EXPECT_EQ(-EIO, test_client_wait(&self->clients[0]));
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	EXPECT_EQ(0, nr_flushes(self));
}

TEST_HARNESS_MAIN
