/* SPDX-License-Identifier: GPL-2.0 */
/* A server that keeps requests, and its clients: for keep_call and keep_end. */
#ifndef KEEP_FIXTURE_H
#define KEEP_FIXTURE_H

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "test_handle.h"
#include "test_util.h"

#define PATIENCE_MS	60000
#define CLIENTS		14	/* more than max_background */
#define QUIET_MS	100	/* some looks of the module's */
#ifndef KEEP_OPTIONS
#define KEEP_OPTIONS	NULL	/* of the mount */
#endif
#ifndef KEEP_FLAGS
#define KEEP_FLAGS	0	/* further ones of INIT */
#endif
#ifndef KEEP_FAULTS
#define KEEP_FAULTS	false	/* allocations fail for the server */
#endif
#ifndef KEEP_SPARE
#define KEEP_SPARE	16	/* nodes that may be created */
#endif
#ifndef KEEP_ENOSYS
#define KEEP_ENOSYS	0	/* a bit for each opcode that the server does not know */
#endif
#ifndef KEEP_MS
#define KEEP_MS		0	/* timeouts of entries and attributes */
#endif

FIXTURE(call) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	int fd;
	int go[2];		/* a byte lets one client go on */
	struct test_client clients[CLIENTS];
};

FIXTURE_SETUP(call)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	config.spare = KEEP_SPARE;
	config.entry_ms = KEEP_MS;
	config.attr_ms = KEEP_MS;
	config.options = KEEP_OPTIONS;
	config.faults = KEEP_FAULTS;
	config.enosys = KEEP_ENOSYS;
	config.init.flags = FUSE_POSIX_LOCKS | FUSE_BIG_WRITES | KEEP_FLAGS;
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
	ASSERT_EQ(0, pipe2(self->go, O_CLOEXEC));
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
	/* Some kill it. */
	EXPECT_NE(RAWFS_IMPOSSIBLE, rawfs_down(self->fs));
}

static inline bool kept_is(int fd, unsigned int n)
{
	int i;

	for (i = 0; i < PATIENCE_MS && th_kept(fd) != n; i++)
		test_nap(1);
	return th_kept(fd) == n;
}

static inline bool held_is(int fd, unsigned int n)
{
	int i;

	for (i = 0; i < PATIENCE_MS && th_gate_status(fd).held != n; i++)
		test_nap(1);
	return th_gate_status(fd).held == n;
}

/* Takes until @n are kept: one is read before its sender sleeps. */
static inline int take(int fd, unsigned int n)
{
	int i, got;

	for (i = 0; i < PATIENCE_MS && th_kept(fd) != n; i++) {
		got = th_take(fd);
		if (got < 0)
			return got;
		test_nap(1);
	}
	return th_kept(fd) == n ? 0 : -ETIMEDOUT;
}

/* A client whose one request with @opcode is kept; @done: and done already. */
static inline int keep_one(FIXTURE_DATA(call) *self, uint32_t opcode, bool done,
		    int (*work)(void *arg), void *arg)
{
	struct test_client *client = &self->clients[0];
	int err;

	if (done)
		rawfs_hold_answer(self->fs, opcode);
	else
		rawfs_hold(self->fs, opcode);
	err = test_client_start(client, work, arg) ?:
	      rawfs_wait_held(self->fs, opcode, 1) ?:
	      th_gate_close(self->fd, self->fs->pid);
	if (err)
		return err;
	err = take(self->fd, 1);
	if (err)
		return err;
	return held_is(self->fd, 1) ? 0 : -ESRCH;
}

/* Whoever did not get the answer is killed; the server is told, and goes on. */
static inline int kill_client(FIXTURE_DATA(call) *self)
{
	int err;

	self->fs->config.ignore_interrupts = true;
	test_client_kill(&self->clients[0]);
	err = rawfs_wait_op(self->fs, FUSE_INTERRUPT, 1);
	rawfs_release(self->fs, 0);
	return err;
}

/* One that is held already, and stays so until the gate opens. */
static inline void stays(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self,
			 uint32_t opcode, int result)
{
	int i;

	ASSERT_EQ(0, rawfs_wait_held(self->fs, opcode, 1));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	for (i = 0; i < QUIET_MS; i++) {
		ASSERT_EQ(0, th_take(self->fd));
		test_nap(1);
	}
	EXPECT_EQ(1, th_gate_status(self->fd).requests);
	EXPECT_EQ(0, th_kept(self->fd));
	rawfs_release(self->fs, 0);
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(result, test_client_wait(&self->clients[0]));
}

/* Another is held where it has done nothing yet, and goes on after. */
static inline void behind(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self,
			  uint32_t opcode, int (*work)(void *arg), void *arg)
{
	uint64_t asked = self->fs->nr_op[opcode];

	ASSERT_EQ(0, test_client_start(&self->clients[1], work, arg));
	ASSERT_TRUE(held_is(self->fd, 2));
	EXPECT_EQ(asked, self->fs->nr_op[opcode]);
	ASSERT_EQ(0, th_gate_open(self->fd));
	ASSERT_TRUE(kept_is(self->fd, 0));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(0, test_client_wait(&self->clients[1]));
	EXPECT_LT(asked, self->fs->nr_op[opcode]);
}

static inline void not_taken(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self,
			     uint32_t opcode, int (*work)(void *path))
{
	rawfs_hold(self->fs, opcode);
	ASSERT_EQ(0, test_client_start(&self->clients[0], work,
				       (void *)test_path(self->fs, "f1")));
	stays(_metadata, self, opcode, 0);
	EXPECT_EQ(1, self->fs->nr_op[opcode]);
}

static inline void *path(FIXTURE_DATA(call) *self, const char *name)
{
	return (void *)test_path(self->fs, name);
}

/* Reads the directory that is open as *@arg. */
static inline int keep_list(void *arg)
{
	const int *fd = arg;
	char buf[4096];
	long n;

	while ((n = syscall(SYS_getdents64, *fd, buf, sizeof(buf))) > 0)
		;
	return n < 0 ? -errno : 0;
}

/* A duplicate of the server's device. */
static inline int device(FIXTURE_DATA(call) *self)
{
	int pidfd = syscall(SYS_pidfd_open, self->fs->pid, 0), fd;

	fd = syscall(SYS_pidfd_getfd, pidfd, self->fs->fd[0], 0);
	close(pidfd);
	return fd;
}

#endif
