// SPDX-License-Identifier: GPL-2.0
/*
 * Signals that come while the gate is closed: their handlers run when it opens,
 * and a system call is interrupted by them as it is without a gate, and by
 * nothing else. And those that do not wait.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "test_handle.h"
#include "test_util.h"

#define DRAIN_MS	20000
#define QUIET_MS	50

/* In memory that is shared with the client. */
struct shared {
	const struct rawfs *fs;
	int flags;		/* of sigaction() */
	int ready[2], go[2];	/* pipes */
	atomic_int handled;
};

FIXTURE(signal) {
	struct rawfs *fs;
	struct tnl nl;
	int fd;
	struct shared *s;
	struct test_client client;
};

FIXTURE_VARIANT(signal) {
	int flags;
	bool sent;
};

FIXTURE_VARIANT_ADD(signal, none) { .flags = 0, .sent = false };
FIXTURE_VARIANT_ADD(signal, plain) { .flags = 0, .sent = true };
FIXTURE_VARIANT_ADD(signal, restarting) { .flags = SA_RESTART, .sent = true };

static struct shared *mine;

static void on_usr1(int sig)
{
	atomic_fetch_add(&mine->handled, 1);
}

static void prepare(struct shared *s)
{
	const struct sigaction action = { .sa_handler = on_usr1, .sa_flags = s->flags };

	mine = s;
	sigaction(SIGUSR1, &action, NULL);
}

FIXTURE_SETUP(signal)
{
	struct rawfs_config config;
	uint64_t id;

	rawfs_defaults(&config);
	config.entry_ms = 0;
	config.init.flags = FUSE_POSIX_LOCKS;
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &id));
	self->fd = th_attach(id);
	ASSERT_LE(0, self->fd);
	self->s = mmap(NULL, sizeof(*self->s), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->s);
	self->s->fs = self->fs;
	self->s->flags = variant->flags;
	ASSERT_EQ(0, pipe2(self->s->ready, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(self->s->go, O_CLOEXEC));
}

FIXTURE_TEARDOWN(signal)
{
	close(self->fd);
	rawfs_release(self->fs, 0);
	test_client_kill(&self->client);
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

/* The client is at rest when the signal comes, and stays there. */
static void signal_at_rest(struct __test_metadata *_metadata,
			   FIXTURE_DATA(signal) *self, bool sent)
{
	EXPECT_TRUE(th_drained(self->fd, DRAIN_MS));
	ASSERT_EQ(1, th_gate_status(self->fd).held);
	if (sent)
		ASSERT_EQ(0, kill(self->client.pid, SIGUSR1));
	test_nap(QUIET_MS);
	EXPECT_EQ(0, self->s->handled);
	EXPECT_EQ(1, th_gate_status(self->fd).held);
	EXPECT_TRUE(th_drained(self->fd, 0));
	ASSERT_EQ(0, th_gate_open(self->fd));
}

static int look_once(void *arg)
{
	struct shared *s = arg;

	prepare(s);
	return test_stat((void *)test_path(s->fs, "f1"));
}

/* The system call is over: it has its result, whatever comes. */
TEST_F(signal, after_a_call)
{
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	rawfs_hold(self->fs, FUSE_LOOKUP);
	ASSERT_EQ(0, test_client_start(&self->client, look_once, self->s));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_LOOKUP, 1));
	rawfs_release(self->fs, 0);
	signal_at_rest(_metadata, self, variant->sent);
	EXPECT_EQ(0, test_client_wait(&self->client));
	EXPECT_EQ(variant->sent, self->s->handled);
	EXPECT_EQ(1, self->fs->nr_op[FUSE_LOOKUP]);
	EXPECT_EQ(0, self->fs->interrupts);
}

/* Sleeps in something that has nothing to do with the mount, of which it has a file. */
static int read_pipe(void *arg)
{
	struct shared *s = arg;
	int fd = open(test_path(s->fs, "f1"), O_RDONLY | O_CLOEXEC);
	char byte;

	prepare(s);
	if (fd < 0 || write(s->ready[1], "", 1) != 1)
		return -errno;
	return read(s->go[0], &byte, 1) == 1 ? 0 : -errno;
}

/* What it is nudged out of it goes back to, unless it is interrupted indeed. */
TEST_F(signal, in_another_call)
{
	const bool interrupted = variant->sent && !variant->flags;
	char byte;

	ASSERT_EQ(0, test_client_start(&self->client, read_pipe, self->s));
	ASSERT_EQ(1, read(self->s->ready[0], &byte, 1));
	/* Not before it: there it would be at rest without having been nudged. */
	ASSERT_TRUE(test_sleeps_in(self->client.pid, SYS_read));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_EQ(1, th_hold(self->fd, self->client.pid));
	signal_at_rest(_metadata, self, variant->sent);
	if (!interrupted)
		ASSERT_EQ(1, write(self->s->go[1], "", 1));
	EXPECT_EQ(interrupted ? -EINTR : 0, test_client_wait(&self->client));
	EXPECT_EQ(variant->sent, self->s->handled);
}

static int wait_for_lock(void *arg)
{
	struct flock lock = { .l_type = F_WRLCK, .l_len = 10 };
	struct shared *s = arg;
	int fd = open(test_path(s->fs, "f1"), O_RDWR | O_CLOEXEC);

	prepare(s);
	return fcntl(fd, F_SETLKW, &lock) ? -errno : 0;
}

/*
 * The server is told of it and ends the request; what comes of that is decided
 * when the gate opens.
 */
TEST_F(signal, in_the_middle)
{
	const bool interrupted = variant->sent && !variant->flags;

	rawfs_hold(self->fs, FUSE_SETLKW);
	ASSERT_EQ(0, test_client_start(&self->client, wait_for_lock, self->s));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_SETLKW, 1));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_EQ(1, th_hold(self->fd, self->client.pid));
	EXPECT_FALSE(th_drained(self->fd, 0));
	if (variant->sent) {
		ASSERT_EQ(0, kill(self->client.pid, SIGUSR1));
		EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_INTERRUPT, 1));
	} else {
		rawfs_release(self->fs, 0);
	}
	signal_at_rest(_metadata, self, false);
	rawfs_release(self->fs, 0);
	EXPECT_EQ(interrupted ? -EINTR : 0, test_client_wait(&self->client));
	EXPECT_EQ(variant->sent, self->s->handled);
	EXPECT_EQ(variant->sent, self->fs->interrupts);
	/* With SA_RESTART it asks for the lock again. */
	EXPECT_EQ(variant->flags ? 2 : 1, self->fs->nr_op[FUSE_SETLKW]);
}

static int open_once(void *arg)
{
	struct shared *s = arg;
	int fd;

	prepare(s);
	fd = open(test_path(s->fs, "f1"), O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

/*
 * Held for two mounts, it waits for the daemon of one: that of the other does not know
 * the request.  It is not disturbed, and a signal is told.
 */
TEST_F(signal, while_waiting_for_another_daemon)
{
	struct rawfs_config config;
	struct rawfs *other;
	int fd;

	rawfs_defaults(&config);
	other = rawfs_up(&config, false);
	ASSERT_NE(NULL, other);
	fd = th_attach(tnl_conn_id(&self->nl, other->dev));
	ASSERT_LE(0, fd);
	rawfs_hold(self->fs, FUSE_OPEN);
	ASSERT_EQ(0, test_client_start(&self->client, open_once, self->s));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_OPEN, 1));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_EQ(0, th_gate_close(fd, other->pid));
	ASSERT_EQ(1, th_hold(self->fd, self->client.pid));
	ASSERT_EQ(1, th_hold(fd, self->client.pid));
	/* Some looks of the other gate's. */
	test_nap(QUIET_MS);
	EXPECT_EQ(0, self->fs->interrupts);
	if (variant->sent)
		ASSERT_EQ(0, kill(self->client.pid, SIGUSR1));
	/* The server lets go of it. */
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_INTERRUPT, variant->sent));
	if (!variant->sent)
		rawfs_release(self->fs, 0);
	ASSERT_EQ(0, th_gate_open(fd));
	ASSERT_EQ(0, th_gate_open(self->fd));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(variant->sent ? -EINTR : 0, test_client_wait(&self->client));
	EXPECT_EQ(variant->sent, self->s->handled);
	EXPECT_EQ(variant->sent, self->fs->interrupts);
	close(fd);
	EXPECT_EQ(0, rawfs_down(other));
}

/* --- what does not wait ---------------------------------------------------------- */

/* Killed with a file open, which the server hears of while the gate is closed. */
TEST_F(signal, killed)
{
	int status;

	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_EQ(0, test_client_start(&self->client, open_once, self->s));
	ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_OPEN, 1));
	EXPECT_TRUE(th_drained(self->fd, DRAIN_MS));
	EXPECT_EQ(1, th_gate_status(self->fd).held);
	if (variant->sent)
		ASSERT_EQ(0, kill(self->client.pid, SIGUSR1));
	ASSERT_EQ(0, kill(self->client.pid, SIGKILL));
	ASSERT_EQ(self->client.pid, waitpid(self->client.pid, &status, 0));
	self->client.pid = 0;
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	/* Counted before the server came to that. */
	EXPECT_EQ(1, self->fs->nr_done[FUSE_FLUSH]);
	EXPECT_TRUE(th_drained(self->fd, DRAIN_MS));
	EXPECT_EQ(0, th_gate_status(self->fd).held);
	ASSERT_EQ(0, th_gate_open(self->fd));
}

TEST_HARNESS_MAIN
