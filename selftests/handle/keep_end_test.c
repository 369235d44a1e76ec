// SPDX-License-Identifier: GPL-2.0
/* What becomes of a kept request when somebody dies, or is interrupted. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "keep_fixture.h"

/* It is told to who would make an image, and that nobody waits for it. */
static bool is_nobodys(FIXTURE_DATA(call) *self, uint32_t opcode)
{
	struct tnl_list list;
	bool ok;

	if (test_wait_requests(&self->nl, self->id, FUSECR_REQ_KEPT, 1, &list))
		return false;
	ok = tnl_u32(&list.v[0], FUSECR_REQ_OPCODE) == opcode &&
	     !tnl_has(&list.v[0], FUSECR_REQ_WAITER);
	tnl_free(&list);
	return ok;
}

struct stayer {
	int go;			/* a byte lets it go on */
	const char *path;
};

/* --- who dies ------------------------------------------------------------------------ */

TEST_F(call, abort_while_kept)
{
	ASSERT_EQ(0, keep_one(self, FUSE_OPEN, true, test_open, path(self, "f1")));
	ASSERT_EQ(0, test_fusectl(self->fs, "abort"));
	EXPECT_TRUE(kept_is(self->fd, 0));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_GT(0, test_client_wait(&self->clients[0]));
}

TEST_F(call, server_killed_while_kept)
{
	ASSERT_EQ(0, keep_one(self, FUSE_OPEN, false, test_open, path(self, "f1")));
	ASSERT_EQ(0, rawfs_kill(self->fs));
	EXPECT_TRUE(kept_is(self->fd, 0));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_GT(0, test_client_wait(&self->clients[0]));
}

TEST_F(call, unmount_while_kept)
{
	ASSERT_EQ(0, keep_one(self, FUSE_OPEN, true, test_open, path(self, "f1")));
	ASSERT_EQ(0, umount2(self->fs->dir, MNT_DETACH));
	EXPECT_EQ(1, th_kept(self->fd));
	ASSERT_EQ(0, th_gate_open(self->fd));
	/* There is nothing where it looks. */
	EXPECT_EQ(-ENOENT, test_client_wait(&self->clients[0]));
	rawfs_release(self->fs, 0);
	EXPECT_TRUE(kept_is(self->fd, 0));
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
}

/* The connection stays until the server has answered. */
TEST_F(call, unmount_and_nobody_left)
{
	struct pollfd server = { .events = POLLIN };

	server.fd = syscall(SYS_pidfd_open, self->fs->pid, 0);
	ASSERT_EQ(0, keep_one(self, FUSE_OPEN, true, test_open, path(self, "f1")));
	ASSERT_EQ(0, umount2(self->fs->dir, MNT_DETACH));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(0, kill_client(self));
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_OPEN, 1));
	EXPECT_EQ(0, self->fs->lost);
	EXPECT_EQ(1, poll(&server, 1, PATIENCE_MS));
	close(server.fd);
}

static int create(void *path)
{
	int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : 0;
}

static bool nothing_open(const struct rawfs *fs)
{
	int i;

	for (i = 0; i < RAWFS_MAX_HANDLES; i++)
		if (fs->handles[i].used && !fs->handles[i].releases)
			return false;
	return true;
}

TEST_F(call, killed_while_opening)
{
	ASSERT_EQ(0, keep_one(self, FUSE_OPEN, true, test_open, path(self, "f1")));
	EXPECT_FALSE(nothing_open(self->fs));
	EXPECT_EQ(0, kill_client(self));
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	EXPECT_TRUE(kept_is(self->fd, 0));
	EXPECT_TRUE(nothing_open(self->fs));
	EXPECT_EQ(1, self->fs->interrupts);
	ASSERT_EQ(0, th_gate_open(self->fd));
	ASSERT_EQ(0, test_drop_caches());
	EXPECT_EQ(0, rawfs_wait_nlookup(self->fs, rawfs_index(self->fs, "f1"), 0));
}

static int read_direct(void *path)
{
	char *buf = aligned_alloc(4096, 4096);
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	return pread(fd, buf, 4096, 0) < 0 ? -errno : 0;
}

/* The server still uses the handle. */
TEST_F(call, killed_while_reading)
{
	ASSERT_EQ(0, keep_one(self, FUSE_READ, false, read_direct, path(self, "f1")));
	self->fs->config.ignore_interrupts = true;
	test_client_kill(&self->clients[0]);
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_INTERRUPT, 1));
	test_nap(QUIET_MS);
	EXPECT_EQ(0, self->fs->nr_op[FUSE_RELEASE]);
	/* Given up, and still there: that is no mount, but in the way of an image. */
	EXPECT_EQ(0, th_kept(self->fd));
	EXPECT_FALSE(th_drained(self->fd, 0));
	EXPECT_TRUE(is_nobodys(self, FUSE_READ));
	EXPECT_EQ(1, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NUM_MOUNTS));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	EXPECT_TRUE(th_drained(self->fd, PATIENCE_MS));
	ASSERT_EQ(0, th_gate_open(self->fd));
}

static int stat_and_stay(void *arg)
{
	const struct stayer *s = arg;
	int err = test_stat((void *)s->path);
	char c;

	return read(s->go, &c, 1) == 1 ? err : -EPIPE;
}

/* Somebody else has had the kernel know what it asked for: it does not ask again. */
TEST_F(call, not_asked_again)
{
	struct stayer stayer = { self->go[0], path(self, "f1") };

	ASSERT_EQ(0, test_stat(path(self, "f1")));
	ASSERT_EQ(0, keep_one(self, FUSE_GETATTR, true, stat_and_stay, &stayer));
	rawfs_release(self->fs, 0);
	/* From now on they are valid for long. */
	self->fs->config.entry_ms = self->fs->config.attr_ms = 3600000;
	ASSERT_EQ(0, test_stat(path(self, "f1")));
	ASSERT_EQ(0, th_gate_open(self->fd));
	test_nap(QUIET_MS);
	EXPECT_EQ(1, th_kept(self->fd));
	EXPECT_TRUE(kept_is(self->fd, 0));
	EXPECT_TRUE(test_client_busy(&self->clients[0]));
	ASSERT_EQ(1, write(self->go[1], "", 1));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
}

static int lock_and_wait(void *path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_len = 10 };
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fcntl(fd, F_SETLKW, &lock) ? -errno : 0;
}

/* The lock comes after the FLUSH of who was killed, and nobody else would let go of it. */
TEST_F(call, killed_while_locking)
{
	ASSERT_EQ(0, keep_one(self, FUSE_SETLKW, false, lock_and_wait, path(self, "f1")));
	EXPECT_EQ(0, kill_client(self));
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_SETLKW, 1));
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_SETLK, 1));
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	EXPECT_TRUE(kept_is(self->fd, 0));
	EXPECT_EQ(NULL, rawfs_lock(self->fs, "f1", 0));
	ASSERT_EQ(0, th_gate_open(self->fd));
}

/* The node goes after the handle. */
TEST_F(call, killed_while_creating)
{
	uint64_t i, release = 0, forget = 0;
	int index;

	ASSERT_EQ(0, keep_one(self, FUSE_CREATE, true, create, path(self, "new")));
	index = rawfs_index(self->fs, "new");
	ASSERT_LT(0, index);
	EXPECT_EQ(1, self->fs->nodes[index].nlookup);
	EXPECT_EQ(0, kill_client(self));
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	EXPECT_EQ(0, rawfs_wait_nlookup(self->fs, index, 0));
	for (i = 0; i < self->fs->requests; i++) {
		const struct rawfs_log *log = &self->fs->log[i];

		if (log->nodeid != rawfs_nodeid(index))
			continue;
		if (log->opcode == FUSE_RELEASE)
			release = i;
		if (log->opcode == FUSE_FORGET)
			forget = i;
	}
	EXPECT_LT(0, release);
	EXPECT_LT(release, forget);
	EXPECT_TRUE(nothing_open(self->fs));
	ASSERT_EQ(0, th_gate_open(self->fd));
}

TEST_F(call, killed_while_looking_up)
{
	int index;

	ASSERT_EQ(0, keep_one(self, FUSE_LOOKUP, true, test_stat, path(self, "f1")));
	index = rawfs_index(self->fs, "f1");
	EXPECT_EQ(1, self->fs->nodes[index].nlookup);
	EXPECT_EQ(0, kill_client(self));
	EXPECT_EQ(0, rawfs_wait_nlookup(self->fs, index, 0));
	EXPECT_TRUE(kept_is(self->fd, 0));
	ASSERT_EQ(0, th_gate_open(self->fd));
}

/* What the server works on is not forgotten. */
TEST_F(call, caches_dropped_while_kept)
{
	ASSERT_EQ(0, keep_one(self, FUSE_MKDIR, false, test_mkdir, path(self, "dir1/new")));
	ASSERT_EQ(0, test_drop_caches());
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_MKDIR, 1));
	EXPECT_LE(0, rawfs_index(self->fs, "dir1/new"));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(1, self->fs->nr_op[FUSE_MKDIR]);
}

static int rename_away(void *dir)
{
	char from[300], to[300];

	snprintf(from, sizeof(from), "%s/dir0/f1", (char *)dir);
	snprintf(to, sizeof(to), "%s/dir1/new", (char *)dir);
	return rename(from, to) ? -errno : 0;
}

TEST_F(call, caches_dropped_while_renaming)
{
	ASSERT_EQ(0, keep_one(self, FUSE_RENAME, false, rename_away, self->fs->dir));
	ASSERT_EQ(0, test_drop_caches());
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_RENAME, 1));
	ASSERT_EQ(0, test_drop_caches());
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(1, self->fs->nr_op[FUSE_RENAME]);
}

/* --- again, and signals ---------------------------------------------------------------- */

static sig_atomic_t alarms;

static void on_alarm(int sig)
{
	alarms++;
}

static int lock_file(void *path, int flags)
{
	const struct sigaction action = { .sa_handler = on_alarm, .sa_flags = flags };
	struct flock lock = { .l_type = F_WRLCK, .l_len = 10 };
	int fd = open(path, O_RDWR | O_CLOEXEC);

	sigaction(SIGALRM, &action, NULL);
	return fcntl(fd, F_SETLKW, &lock) ? -errno : alarms;
}

static int lock_once(void *path)
{
	return lock_file(path, 0);
}

static int lock_restarting(void *path)
{
	return lock_file(path, SA_RESTART);
}

/* Asks again and again, and the server is told once. */
TEST_F(call, taken_again)
{
	int i;

	ASSERT_EQ(0, keep_one(self, FUSE_SETLKW, false, lock_once, path(self, "f1")));
	EXPECT_EQ(0, th_take(self->fd));
	EXPECT_EQ(1, th_kept(self->fd));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, th_gate_open(self->fd));
		ASSERT_TRUE(kept_is(self->fd, 0));
		ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
		ASSERT_EQ(0, take(self->fd, 1));
		EXPECT_TRUE(held_is(self->fd, 1));
	}
	ASSERT_EQ(0, th_gate_open(self->fd));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(1, self->fs->nr_op[FUSE_SETLKW]);
	EXPECT_EQ(0, self->fs->interrupts);
	EXPECT_EQ(0, self->fs->lost);
}

TEST_F(call, interrupted_after)
{
	uint64_t unique, i;

	ASSERT_EQ(0, keep_one(self, FUSE_SETLKW, false, lock_once, path(self, "f1")));
	unique = rawfs_find_held(self->fs, FUSE_SETLKW, 0)->h.unique;
	ASSERT_EQ(0, th_gate_open(self->fd));
	ASSERT_TRUE(kept_is(self->fd, 0));
	ASSERT_EQ(0, kill(self->clients[0].pid, SIGALRM));
	EXPECT_EQ(-EINTR, test_client_wait(&self->clients[0]));
	EXPECT_EQ(1, self->fs->interrupts);
	EXPECT_EQ(1, self->fs->nr_op[FUSE_SETLKW]);
	for (i = 0; i < self->fs->requests; i++)
		if (self->fs->log[i].opcode == FUSE_INTERRUPT)
			EXPECT_EQ(unique | 1, self->fs->log[i].unique);
}

static void signal_while_kept(struct __test_metadata *_metadata,
			      FIXTURE_DATA(call) *self, int (*work)(void *path))
{
	ASSERT_EQ(0, keep_one(self, FUSE_SETLKW, false, work, path(self, "f1")));
	ASSERT_EQ(0, kill(self->clients[0].pid, SIGALRM));
	test_nap(QUIET_MS);
	EXPECT_EQ(1, th_kept(self->fd));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_TRUE(kept_is(self->fd, 0));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(1, test_client_wait(&self->clients[0]));
	EXPECT_EQ(1, self->fs->nr_op[FUSE_SETLKW]);
}

/* The handler runs, and then the system call starts over, with either. */
TEST_F(call, signal_while_kept)
{
	signal_while_kept(_metadata, self, lock_once);
}

TEST_F(call, signal_while_kept_restarting)
{
	signal_while_kept(_metadata, self, lock_restarting);
}

static int open_interrupted(void *path)
{
	const struct sigaction action = { .sa_handler = on_alarm };

	sigaction(SIGALRM, &action, NULL);
	return test_open(path);
}

/* The gate closes when the server has been told that a signal was first. */
static int signal_first(FIXTURE_DATA(call) *self, uint32_t opcode, int (*work)(void *path))
{
	int err;

	self->fs->config.ignore_interrupts = true;
	rawfs_hold(self->fs, opcode);
	err = test_client_start(&self->clients[0], work, path(self, "f1")) ?:
	      rawfs_wait_held(self->fs, opcode, 1);
	if (!err && kill(self->clients[0].pid, SIGALRM))
		err = -errno;
	err = err ?: rawfs_wait_op(self->fs, FUSE_INTERRUPT, 1);
	self->fs->config.ignore_interrupts = false;
	return err ?: th_gate_close(self->fd, self->fs->pid);
}

/* It is told again, as it may not have read it, and that is what the call has then. */
TEST_F(call, signal_before_kept)
{
	ASSERT_EQ(0, signal_first(self, FUSE_OPEN, open_interrupted));
	ASSERT_EQ(0, take(self->fd, 1));
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_INTERRUPT, 2));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(-EINTR, test_client_wait(&self->clients[0]));
	EXPECT_TRUE(kept_is(self->fd, 0));
	EXPECT_EQ(1, self->fs->nr_op[FUSE_OPEN]);
}

/* Of a lock the signal has to be there for the answer. */
TEST_F(call, signal_before_lock)
{
	int i;

	ASSERT_EQ(0, signal_first(self, FUSE_SETLKW, lock_once));
	for (i = 0; i < QUIET_MS; i++) {
		ASSERT_EQ(0, th_take(self->fd));
		test_nap(1);
	}
	EXPECT_FALSE(th_drained(self->fd, 0));
	rawfs_release(self->fs, 0);
	EXPECT_TRUE(th_drained(self->fd, PATIENCE_MS));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(1, test_client_wait(&self->clients[0]));
}

/* None counts as a background request, of which there may be twelve. */
TEST_F(call, many)
{
	int i, fd;

	rawfs_hold(self->fs, FUSE_SETLKW);
	for (i = 0; i < CLIENTS; i++)
		ASSERT_EQ(0, test_client_start(&self->clients[i], lock_once,
					       path(self, "f1")));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_SETLKW, CLIENTS));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_EQ(0, take(self->fd, CLIENTS));
	EXPECT_TRUE(held_is(self->fd, CLIENTS));
	EXPECT_EQ(0, th_gate_status(self->fd).background);
	EXPECT_EQ(0, th_gate_status(self->fd).requests);
	fd = open(path(self, "f2"), O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	close(fd);
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_TRUE(kept_is(self->fd, 0));
	rawfs_release(self->fs, 0);
	for (i = 0; i < CLIENTS; i++)
		EXPECT_EQ(0, test_client_wait(&self->clients[i]));
	EXPECT_EQ(CLIENTS, self->fs->nr_op[FUSE_SETLKW]);
	EXPECT_EQ(0, self->fs->lost);
}

/* --- what is not taken ------------------------------------------------------------------ */

static int touch(void *path)
{
	unsigned char buf = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	const volatile unsigned char *map = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
	unsigned char byte;

	if (map == MAP_FAILED)
		return -errno;
	byte = *map;
	return pread(fd, (void *)&buf, 1, 0) == 1 && byte == buf ? 0 : -EIO;
}

/* There is no system call, and a second attempt would be a SIGBUS. */
TEST_F(call, page_fault_is_not_taken)
{
	not_taken(_metadata, self, FUSE_READ, touch);
}

TEST_HARNESS_MAIN
