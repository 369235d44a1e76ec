// SPDX-License-Identifier: GPL-2.0
/* What a gate counts: who was held, what passed, and what became of what was taken. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "test_handle.h"
#include "test_util.h"

#define WAIT_MS		20000
#define CLIENTS		3

FIXTURE(count) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	int fd;
	struct test_client clients[CLIENTS];
};

FIXTURE_SETUP(count)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	config.spare = 16;
	config.nr_dirs = CLIENTS;
	config.entry_ms = 0;
	config.attr_ms = 0;
	config.init.flags = FUSE_ASYNC_READ;
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
	self->fd = th_attach(self->id);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(count)
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

	for (i = 0; i < WAIT_MS && th_gate_status(fd).held != n; i++)
		test_nap(1);
	return th_gate_status(fd).held == n;
}

static bool wait_kept(int fd, int n)
{
	int i;

	for (i = 0; i < WAIT_MS && th_kept(fd) != n; i++)
		test_nap(1);
	return th_kept(fd) == n;
}

static void nothing(struct __test_metadata *_metadata, FIXTURE_DATA(count) *self)
{
	struct fusecr_gate_status s = th_gate_status(self->fd);
	struct tnl_list list;

	EXPECT_EQ(0, s.ever_held + s.passed + s.ended + s.taken + s.claimed + s.given_up);
	ASSERT_EQ(0, tnl_conn(&self->nl, self->id, &list));
	EXPECT_FALSE(tnl_has(&list.v[0], FUSECR_CONN_GATE_EVER_HELD));
	EXPECT_FALSE(tnl_has(&list.v[0], FUSECR_CONN_GATE_PASSED));
	EXPECT_FALSE(tnl_has(&list.v[0], FUSECR_CONN_GATE_ENDED));
	EXPECT_FALSE(tnl_has(&list.v[0], FUSECR_CONN_GATE_TAKEN));
	EXPECT_FALSE(tnl_has(&list.v[0], FUSECR_CONN_GATE_CLAIMED));
	EXPECT_FALSE(tnl_has(&list.v[0], FUSECR_CONN_GATE_GIVEN_UP));
	tnl_free(&list);
}

/* The handle and netlink tell the same. */
static void same(struct __test_metadata *_metadata, FIXTURE_DATA(count) *self)
{
	struct fusecr_gate_status s = th_gate_status(self->fd);
	struct tnl_list list;

	ASSERT_EQ(0, tnl_conn(&self->nl, self->id, &list));
	EXPECT_EQ(s.ever_held, tnl_u64(&list.v[0], FUSECR_CONN_GATE_EVER_HELD));
	EXPECT_EQ(s.passed, tnl_u64(&list.v[0], FUSECR_CONN_GATE_PASSED));
	EXPECT_EQ(s.ended, tnl_u64(&list.v[0], FUSECR_CONN_GATE_ENDED));
	EXPECT_EQ(s.taken, tnl_u64(&list.v[0], FUSECR_CONN_GATE_TAKEN));
	EXPECT_EQ(s.claimed, tnl_u64(&list.v[0], FUSECR_CONN_GATE_CLAIMED));
	EXPECT_EQ(s.given_up, tnl_u64(&list.v[0], FUSECR_CONN_GATE_GIVEN_UP));
	tnl_free(&list);
}

TEST_F(count, held_and_passed)
{
	struct fusecr_gate_status s;
	uint64_t before, again;

	nothing(_metadata, self);
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	s = th_gate_status(self->fd);
	EXPECT_EQ(0, s.ever_held + s.passed + s.ended + s.taken + s.claimed + s.given_up);
	before = self->fs->requests;
	ASSERT_EQ(0, test_client_start(&self->clients[0], test_stat,
				       (void *)test_path(self->fs, "f1")));
	ASSERT_TRUE(wait_held(self->fd, 1));
	again = self->fs->requests;
	s = th_gate_status(self->fd);
	EXPECT_EQ(1, s.ever_held);
	EXPECT_LT(0, s.passed);
	EXPECT_EQ(again - before, s.passed);
	/* Who is held is not held once more. */
	EXPECT_EQ(0, th_hold(self->fd, self->clients[0].pid));
	EXPECT_EQ(1, th_gate_status(self->fd).ever_held);
	/* Whoever is exempt: this process has closed it. */
	EXPECT_EQ(0, test_stat((void *)test_path(self->fs, "f2")));
	s = th_gate_status(self->fd);
	EXPECT_EQ(1, s.ever_held);
	EXPECT_EQ(self->fs->requests - before, s.passed);
	same(_metadata, self);
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	nothing(_metadata, self);
}

/* One asks again, one is killed, and one stands still. */
TEST_F(count, what_becomes_of_what_is_taken)
{
	static const char *const names[CLIENTS] = { "dir0/new", "dir1/new", "dir2/new" };
	struct fusecr_gate_status s;
	int i;

	rawfs_hold(self->fs, FUSE_MKDIR);
	for (i = 0; i < CLIENTS; i++) {
		ASSERT_EQ(0, test_client_start(&self->clients[i], test_mkdir,
					       (void *)test_path(self->fs, names[i])));
		ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_MKDIR, i + 1));
	}
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_EQ(CLIENTS, th_take(self->fd));
	ASSERT_TRUE(wait_held(self->fd, CLIENTS));
	s = th_gate_status(self->fd);
	EXPECT_EQ(CLIENTS, s.taken);
	EXPECT_EQ(CLIENTS, s.kept);
	EXPECT_EQ(CLIENTS, s.ever_held);
	EXPECT_EQ(0, s.claimed + s.given_up + s.ended);
	same(_metadata, self);

	ASSERT_EQ(0, kill(self->clients[1].pid, SIGSTOP));
	ASSERT_EQ(0, kill(self->clients[2].pid, SIGSTOP));
	ASSERT_EQ(0, th_gate_open(self->fd));
	ASSERT_TRUE(wait_kept(self->fd, 2));
	s = th_gate_status(self->fd);
	EXPECT_EQ(CLIENTS, s.taken);
	EXPECT_EQ(1, s.claimed);
	EXPECT_EQ(0, s.given_up);
	same(_metadata, self);

	test_client_kill(&self->clients[1]);
	ASSERT_TRUE(wait_kept(self->fd, 1));
	s = th_gate_status(self->fd);
	EXPECT_EQ(CLIENTS, s.taken);
	EXPECT_EQ(1, s.claimed);
	EXPECT_EQ(1, s.given_up);
	same(_metadata, self);

	ASSERT_EQ(0, kill(self->clients[2].pid, SIGCONT));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(0, test_client_wait(&self->clients[2]));
	/* The last record goes some time after it was claimed. */
	for (i = 0; i < WAIT_MS && th_gate_status(self->fd).taken; i++)
		test_nap(1);
	nothing(_metadata, self);
}

static int read_file(void *fs)
{
	int fd = open(test_path(fs, "f7"), O_RDONLY | O_CLOEXEC);
	char byte;
	int err = fd < 0 || read(fd, &byte, 1) != 1 ? -EIO : 0;

	close(fd);
	return err;
}

TEST_F(count, reads_ahead_that_are_ended)
{
	struct fusecr_gate_status s;
	int i;

	rawfs_hold(self->fs, FUSE_READ);
	ASSERT_EQ(0, test_client_start(&self->clients[0], read_file, self->fs));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_READ, 1));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_LE(0, th_hold(self->fd, self->clients[0].pid));
	for (i = 0; i < WAIT_MS && !th_gate_status(self->fd).held; i++)
		ASSERT_LE(0, th_take(self->fd));
	s = th_gate_status(self->fd);
	EXPECT_EQ(1, s.held);
	EXPECT_LT(0, s.ended);
	EXPECT_EQ(s.kept, s.taken);
	same(_metadata, self);
	ASSERT_EQ(0, th_gate_open(self->fd));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
}

TEST_HARNESS_MAIN
