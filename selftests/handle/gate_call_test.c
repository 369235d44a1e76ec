// SPDX-License-Identifier: GPL-2.0
/* The gate's calls: what they refuse, what they tell, and when it opens. */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "test_handle.h"
#include "test_util.h"

#define DRAIN_MS	20000
#define QUIET_MS	100	/* some looks of the module's */
#define CLIENTS		2

FIXTURE(call) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	int fd;
	struct test_client clients[CLIENTS];
};

FIXTURE_SETUP(call)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	config.spare = 16;
	config.entry_ms = 0;
	config.attr_ms = 0;
	config.init.flags = FUSE_WRITEBACK_CACHE | FUSE_BIG_WRITES;
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
	ASSERT_EQ(0, test_keep_dirty(self->fs));
	self->fd = th_attach(self->id);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(call)
{
	int i;

	close(self->fd);
	rawfs_release(self->fs, 0);
	for (i = 0; i < CLIENTS; i++)
		test_client_kill(&self->clients[i]);
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

static bool wait_held(int fd, unsigned int n)
{
	int i;

	for (i = 0; i < DRAIN_MS && th_gate_status(fd).held != n; i++)
		test_nap(1);
	return th_gate_status(fd).held == n;
}

static int close_with(int fd, unsigned int nr, unsigned int seconds, pid_t pid)
{
	struct fusecr_gate_close arg = { .nr_exempt = nr, .seconds = seconds };
	unsigned int i;

	for (i = 0; i < nr && i < FUSECR_EXEMPT_MAX; i++)
		arg.exempt[i] = pid;
	return th_call(fd, FUSECR_IOC_GATE_CLOSE, &arg);
}

/* A process that is held after it looked at a file. */
static int held_client(FIXTURE_DATA(call) *self)
{
	int err = test_client_start(&self->clients[0], test_stat,
				    (void *)test_path(self->fs, "f1"));

	if (err)
		return err;
	return wait_held(self->fd, 1) ? 0 : -ETIMEDOUT;
}

TEST_F(call, close_and_open)
{
	EXPECT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(0, th_gate_status(self->fd).closed);
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	EXPECT_EQ(1, th_gate_status(self->fd).closed);
	EXPECT_EQ(-EALREADY, th_gate_close(self->fd, self->fs->pid));
	EXPECT_EQ(1, th_gate_status(self->fd).closed);
	EXPECT_TRUE(th_drained(self->fd, DRAIN_MS));
	EXPECT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(0, th_gate_status(self->fd).closed);
	EXPECT_FALSE(th_drained(self->fd, 0));
	EXPECT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	EXPECT_EQ(1, th_gate_status(self->fd).closed);
}

static void *tell_tid(void *arg)
{
	int *pipes = arg;
	pid_t tid = syscall(SYS_gettid);
	char c;

	if (write(pipes[1], &tid, sizeof(tid)) != sizeof(tid) ||
	    read(pipes[2], &c, 1) < 0)
		return arg;
	return NULL;
}

TEST_F(call, bad_arguments)
{
	pid_t gone = fork(), tid;
	int pipes[4];
	pthread_t thread;

	if (!gone)
		_exit(0);
	ASSERT_EQ(gone, waitpid(gone, NULL, 0));
	EXPECT_EQ(-EINVAL, close_with(self->fd, FUSECR_EXEMPT_MAX, 60, getpid()));
	EXPECT_EQ(-EINVAL, close_with(self->fd, ~0U, 60, getpid()));
	EXPECT_EQ(-EINVAL, close_with(self->fd, 0, 0, 0));
	EXPECT_EQ(-EINVAL, close_with(self->fd, 0, FUSECR_GATE_MAX + 1, 0));
	EXPECT_EQ(-ESRCH, close_with(self->fd, 1, 60, gone));
	EXPECT_EQ(-ESRCH, close_with(self->fd, 1, 60, 0));
	EXPECT_EQ(-ESRCH, close_with(self->fd, 1, 60, -gone));
	EXPECT_EQ(-ESRCH, close_with(self->fd, 1, 60, INT_MIN));
	EXPECT_EQ(-ESRCH, close_with(self->fd, FUSECR_EXEMPT_MAX - 1, 60, gone));

	/* Of a thread nobody could say whom it is to be exempt with. */
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, pipe(pipes + 2));
	ASSERT_EQ(0, pthread_create(&thread, NULL, tell_tid, pipes));
	ASSERT_EQ(sizeof(tid), read(pipes[0], &tid, sizeof(tid)));
	EXPECT_EQ(-ESRCH, close_with(self->fd, 1, 60, tid));
	close(pipes[3]);
	pthread_join(thread, NULL);

	EXPECT_EQ(0, th_gate_status(self->fd).closed);
	EXPECT_EQ(-ENOENT, th_hold(self->fd, getpid()));
	EXPECT_EQ(-EINVAL, th_sync(self->fd, 0));
	EXPECT_EQ(-EINVAL, th_sync(self->fd, FUSECR_WAIT_MAX + 1));
	EXPECT_EQ(0, close_with(self->fd, FUSECR_EXEMPT_MAX - 1, FUSECR_GATE_MAX,
				getpid()));
	EXPECT_EQ(-ESRCH, th_hold(self->fd, gone));
	EXPECT_EQ(-ESRCH, th_hold(self->fd, 0));
	/* Whoever closes it is exempt. */
	EXPECT_EQ(0, th_hold(self->fd, getpid()));
}

TEST_F(call, not_attached)
{
	struct fusecr_gate_status status;
	int fd = th_open();

	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOTCONN, th_gate_close(fd, 0));
	EXPECT_EQ(-ENOTCONN, th_gate_open(fd));
	EXPECT_EQ(-ENOTCONN, th_hold(fd, getpid()));
	EXPECT_EQ(-ENOTCONN, th_call(fd, FUSECR_IOC_GATE_STATUS, &status));
	EXPECT_EQ(-ENOTCONN, th_sync(fd, 1));
	EXPECT_FALSE(th_drained(fd, 0));
	close(fd);
}

TEST_F(call, opens_by_itself)
{
	ASSERT_EQ(0, close_with(self->fd, 1, 1, self->fs->pid));
	ASSERT_EQ(0, test_client_start(&self->clients[0], test_stat,
				       (void *)test_path(self->fs, "f1")));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(0, th_gate_status(self->fd).closed);
	EXPECT_FALSE(th_drained(self->fd, 0));
	EXPECT_EQ(-ENOENT, th_hold(self->fd, self->fs->pid));
	/* As if it had been told to. */
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_EQ(0, held_client(self));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
}

TEST_F(call, forced_open)
{
	int other = th_open();

	ASSERT_LE(0, other);
	EXPECT_EQ(-ENOENT, th_force_open(other, self->id));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_EQ(0, held_client(self));
	EXPECT_EQ(-ENOENT, th_force_open(other, self->id + 1));
	EXPECT_EQ(1, th_gate_status(self->fd).held);
	EXPECT_EQ(0, th_force_open(other, self->id));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(0, th_gate_status(self->fd).closed);
	EXPECT_EQ(-ENOENT, th_hold(self->fd, self->fs->pid));
	EXPECT_EQ(-ENOENT, th_force_open(other, self->id));
	/* The handle is still the owner. */
	EXPECT_EQ(-EBUSY, th_attach_fd(other, self->id));
	EXPECT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	/* Its own, too. */
	EXPECT_EQ(0, th_force_open(self->fd, self->id));
	EXPECT_EQ(0, th_gate_status(self->fd).closed);
	close(other);
}

/* Each connection has its own; more of them, one after the other, than numbers. */
TEST_F(call, gates_are_independent)
{
	struct rawfs_config config;
	struct rawfs *fs;
	uint64_t id;
	int fd, i;

	rawfs_defaults(&config);
	fs = rawfs_up(&config, false);
	ASSERT_NE(NULL, fs);
	ASSERT_EQ(0, rawfs_wait_init(fs));
	id = tnl_conn_id(&self->nl, fs->dev);
	fd = th_attach(id);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, th_gate_close(fd, fs->pid));
	/* Nobody waits for this one. */
	EXPECT_EQ(0, test_stat((void *)test_path(self->fs, "f1")));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_EQ(0, held_client(self));
	EXPECT_EQ(0, th_gate_status(fd).held);
	EXPECT_EQ(0, th_force_open(fd, id));
	EXPECT_EQ(1, th_gate_status(self->fd).held);
	for (i = 0; i < 200; i++) {
		ASSERT_EQ(0, th_gate_close(fd, fs->pid));
		ASSERT_EQ(0, th_gate_open(fd));
	}
	EXPECT_EQ(1, th_gate_status(self->fd).held);
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	close(fd);
	EXPECT_EQ(0, rawfs_down(fs));
}

TEST_F(call, netlink_tells)
{
	struct tnl_list list;

	ASSERT_EQ(0, tnl_conn(&self->nl, self->id, &list));
	EXPECT_EQ(0, tnl_u32(&list.v[0], FUSECR_CONN_STATE) & FUSECR_CONN_GATED);
	EXPECT_FALSE(tnl_has(&list.v[0], FUSECR_CONN_GATE_HELD));
	tnl_free(&list);

	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_EQ(0, held_client(self));
	rawfs_hold(self->fs, FUSE_MKDIR);
	ASSERT_EQ(0, test_client_start(&self->clients[1], test_mkdir,
				       (void *)test_path(self->fs, "new")));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_MKDIR, 1));
	ASSERT_EQ(0, tnl_conn(&self->nl, self->id, &list));
	EXPECT_NE(0, tnl_u32(&list.v[0], FUSECR_CONN_STATE) & FUSECR_CONN_GATED);
	EXPECT_EQ(1, tnl_u32(&list.v[0], FUSECR_CONN_GATE_HELD));
	EXPECT_EQ(1, tnl_u32(&list.v[0], FUSECR_CONN_GATE_COMING));
	EXPECT_EQ(1, tnl_u32(&list.v[0], FUSECR_CONN_GATE_REQUESTS));
	EXPECT_TRUE(tnl_has(&list.v[0], FUSECR_CONN_GATE_ASLEEP));
	tnl_free(&list);

	rawfs_release(self->fs, FUSE_MKDIR);
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(0, test_client_wait(&self->clients[1]));
	ASSERT_EQ(0, tnl_conn(&self->nl, self->id, &list));
	EXPECT_EQ(0, tnl_u32(&list.v[0], FUSECR_CONN_STATE) & FUSECR_CONN_GATED);
	EXPECT_FALSE(tnl_has(&list.v[0], FUSECR_CONN_GATE_HELD));
	EXPECT_FALSE(tnl_has(&list.v[0], FUSECR_CONN_GATE_COMING));
	EXPECT_FALSE(tnl_has(&list.v[0], FUSECR_CONN_GATE_ASLEEP));
	EXPECT_FALSE(tnl_has(&list.v[0], FUSECR_CONN_GATE_REQUESTS));
	tnl_free(&list);

	/* Opened by somebody else, before its holder has noticed. */
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_EQ(0, th_force_open(self->fd, self->id));
	ASSERT_EQ(0, tnl_conn(&self->nl, self->id, &list));
	EXPECT_EQ(0, tnl_u32(&list.v[0], FUSECR_CONN_STATE) & FUSECR_CONN_GATED);
	EXPECT_FALSE(tnl_has(&list.v[0], FUSECR_CONN_GATE_HELD));
	tnl_free(&list);
}

/* --- what the server does not answer ----------------------------------------- */

static int slow_mkdir(FIXTURE_DATA(call) *self, struct test_client *client)
{
	int err;

	rawfs_hold(self->fs, FUSE_MKDIR);
	/* Who looks something up in the same directory would wait for it. */
	err = test_client_start(client, test_mkdir,
				(void *)test_path(self->fs, "dir1/new"));
	return err ?: rawfs_wait_held(self->fs, FUSE_MKDIR, 1);
}

TEST_F(call, waits_for_the_server)
{
	ASSERT_EQ(0, slow_mkdir(self, &self->clients[0]));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	EXPECT_EQ(1, th_gate_status(self->fd).requests);
	EXPECT_EQ(1, th_hold(self->fd, self->clients[0].pid));
	EXPECT_EQ(0, th_hold(self->fd, self->clients[0].pid));
	EXPECT_FALSE(th_drained(self->fd, QUIET_MS));
	EXPECT_EQ(1, th_gate_status(self->fd).requests);
	EXPECT_EQ(1, th_gate_status(self->fd).coming);
	EXPECT_EQ(0, th_gate_status(self->fd).held);
	rawfs_release(self->fs, FUSE_MKDIR);
	EXPECT_TRUE(th_drained(self->fd, DRAIN_MS));
	EXPECT_EQ(0, th_gate_status(self->fd).requests);
	EXPECT_EQ(0, th_gate_status(self->fd).coming);
	EXPECT_EQ(1, th_gate_status(self->fd).held);
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	/* Nobody told the server of it. */
	EXPECT_EQ(1, self->fs->nr_op[FUSE_MKDIR]);
	EXPECT_EQ(0, self->fs->interrupts);
}

TEST_F(call, waits_for_the_background)
{
	int fd = open(test_path(self->fs, "f7"), O_RDWR | O_CLOEXEC);

	ASSERT_LE(0, fd);
	ASSERT_EQ(5, write(fd, "dirty", 5));
	rawfs_hold(self->fs, FUSE_WRITE);
	ASSERT_EQ(0, sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_WRITE, 1));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	EXPECT_FALSE(th_drained(self->fd, QUIET_MS));
	EXPECT_EQ(1, th_gate_status(self->fd).background);
	EXPECT_EQ(0, th_gate_status(self->fd).requests);
	rawfs_release(self->fs, FUSE_WRITE);
	EXPECT_TRUE(th_drained(self->fd, DRAIN_MS));
	EXPECT_EQ(0, th_gate_status(self->fd).background);
	close(fd);
}

static bool state_is(pid_t pid, char state)
{
	char path[64], text[512] = "";
	int fd, i;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (i = 0; i < DRAIN_MS; i++) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
			return false;
		close(fd);
		if (strrchr(text, ')') && strrchr(text, ')')[2] == state)
			return true;
		test_nap(1);
	}
	return false;
}

static void on_usr1(int sig)
{
}

static int interruptible_stat(void *path)
{
	const struct sigaction action = { .sa_handler = on_usr1 };

	sigaction(SIGUSR1, &action, NULL);
	return test_stat(path);
}

/*
 * A signal is told to the server as ever, also when it comes before the server
 * has read the request: then it is the server that queues the interrupt.
 */
TEST_F(call, signals_are_told)
{
	struct tnl_list list;

	rawfs_hold(self->fs, FUSE_LOOKUP);
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_EQ(0, rawfs_stop(self->fs));
	ASSERT_EQ(0, test_client_start(&self->clients[0], interruptible_stat,
				       (void *)test_path(self->fs, "f1")));
	ASSERT_EQ(0, test_wait_requests(&self->nl, self->id, FUSECR_REQ_PENDING,
					1, &list));
	EXPECT_EQ(FUSE_LOOKUP, tnl_u32(&list.v[0], FUSECR_REQ_OPCODE));
	tnl_free(&list);
	ASSERT_EQ(0, kill(self->clients[0].pid, SIGUSR1));
	/* It no longer sleeps interruptibly. */
	ASSERT_TRUE(state_is(self->clients[0].pid, 'D'));
	ASSERT_EQ(0, rawfs_cont(self->fs));
	EXPECT_TRUE(th_drained(self->fd, DRAIN_MS));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(-EINTR, test_client_wait(&self->clients[0]));
	EXPECT_EQ(1, self->fs->interrupts);
}

TEST_F(call, abort_while_closed)
{
	ASSERT_EQ(0, slow_mkdir(self, &self->clients[1]));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_EQ(1, th_hold(self->fd, self->clients[1].pid));
	ASSERT_EQ(0, held_client(self));
	ASSERT_EQ(0, test_fusectl(self->fs, "abort"));
	EXPECT_TRUE(th_drained(self->fd, DRAIN_MS));
	EXPECT_EQ(2, th_gate_status(self->fd).held);
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_GT(0, test_client_wait(&self->clients[1]));
	/* Of what is aborted, too. */
	EXPECT_EQ(0, th_gate_close(self->fd, 0));
}

TEST_F(call, unmount_while_closed)
{
	struct tnl_list list;

	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_EQ(0, held_client(self));
	ASSERT_EQ(0, umount2(self->fs->dir, MNT_DETACH));
	EXPECT_TRUE(th_drained(self->fd, DRAIN_MS));
	/* The handle keeps the connection. */
	EXPECT_EQ(0, tnl_conn(&self->nl, self->id, &list));
	tnl_free(&list);
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
}

TEST_F(call, server_killed_while_closed)
{
	ASSERT_EQ(0, slow_mkdir(self, &self->clients[1]));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_EQ(0, held_client(self));
	ASSERT_EQ(0, rawfs_kill(self->fs));
	/* Never named: its request was sent before the gate was closed. */
	EXPECT_GT(0, test_client_wait(&self->clients[1]));
	EXPECT_TRUE(th_drained(self->fd, DRAIN_MS));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
}

/* --- what is dirty ------------------------------------------------------------- */

static int make_dirty(FIXTURE_DATA(call) *self, const char *name)
{
	int fd = open(test_path(self->fs, name), O_RDWR | O_CLOEXEC);

	return fd >= 0 && write(fd, "dirty", 5) == 5 ? fd : -errno;
}

TEST_F(call, sync_writes_all)
{
	int a = make_dirty(self, "f6"), b = make_dirty(self, "dir0/f1");

	ASSERT_LE(0, a);
	ASSERT_LE(0, b);
	ASSERT_EQ(0, self->fs->nr_op[FUSE_WRITE]);
	EXPECT_EQ(0, th_sync(self->fd, 60));
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_WRITE, 2));
	/* Nothing is left for fsync. */
	EXPECT_EQ(0, fsync(a));
	EXPECT_EQ(0, fsync(b));
	EXPECT_EQ(2, self->fs->nr_op[FUSE_WRITE]);
	close(a);
	close(b);
}

/* With the gate closed: whoever writes back is no client. */
TEST_F(call, sync_while_closed)
{
	int fd = make_dirty(self, "f6");

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	EXPECT_EQ(0, th_sync(self->fd, 60));
	EXPECT_TRUE(th_drained(self->fd, DRAIN_MS));
	EXPECT_EQ(1, self->fs->nr_done[FUSE_WRITE]);
	EXPECT_EQ(0, th_gate_status(self->fd).held);
	close(fd);
}

/* The times, for which every kernel's sync waits. */
TEST_F(call, sync_goes_on)
{
	int a = make_dirty(self, "f6"), b = make_dirty(self, "f7");

	ASSERT_LE(0, a);
	ASSERT_LE(0, b);
	rawfs_hold(self->fs, FUSE_SETATTR);
	EXPECT_EQ(-ETIMEDOUT, th_sync(self->fd, 1));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_SETATTR, 1));
	EXPECT_EQ(0, self->fs->nr_done[FUSE_SETATTR]);
	rawfs_release(self->fs, FUSE_SETATTR);
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_WRITE, 2));
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_SETATTR, 2));
	EXPECT_EQ(0, th_sync(self->fd, 60));
	close(a);
	close(b);
}

struct go {
	int fd;
	int pipe[2];
};

static int sync_when_told(void *arg)
{
	const struct go *go = arg;
	char c;

	return read(go->pipe[0], &c, 1) == 1 ? th_sync(go->fd, 600) : -errno;
}

TEST_F(call, sync_keeps_nobody_out)
{
	struct go go = { .fd = self->fd };
	int fd, i;

	/* Before there is a file whose close would wait, too. */
	ASSERT_EQ(0, pipe2(go.pipe, O_CLOEXEC));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, test_client_start(&self->clients[i], sync_when_told, &go));
	fd = make_dirty(self, "f6");
	ASSERT_LE(0, fd);
	rawfs_hold(self->fs, FUSE_SETATTR);
	ASSERT_EQ(2, write(go.pipe[1], "go", 2));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_SETATTR, 1));
	EXPECT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	EXPECT_EQ(1, th_gate_status(self->fd).closed);
	EXPECT_FALSE(th_drained(self->fd, 0));
	/* Waits until it has ended. */
	test_client_kill(&self->clients[1]);
	EXPECT_TRUE(test_client_busy(&self->clients[0]));
	rawfs_release(self->fs, FUSE_SETATTR);
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	close(fd);
}

TEST_HARNESS_MAIN
