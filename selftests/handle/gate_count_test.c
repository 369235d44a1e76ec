// SPDX-License-Identifier: GPL-2.0
/* What a gate counts: who was held, what passed, and what became of what was taken. */
#include <errno.h>
#include <signal.h>

#define KEEP_FLAGS	FUSE_ASYNC_READ
#include "keep_fixture.h"

#define THREE		3

static void nothing(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self)
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
static void same(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self)
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

TEST_F(call, held_and_passed)
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
	ASSERT_TRUE(held_is(self->fd, 1));
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
TEST_F(call, what_becomes_of_what_is_taken)
{
	static const char *const names[THREE] = { "dir0/new", "dir1/new", "new" };
	struct fusecr_gate_status s;
	int i;

	rawfs_hold(self->fs, FUSE_MKDIR);
	for (i = 0; i < THREE; i++) {
		ASSERT_EQ(0, test_client_start(&self->clients[i], test_mkdir,
					       (void *)test_path(self->fs, names[i])));
		ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_MKDIR, i + 1));
	}
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_EQ(0, take(self->fd, THREE));
	ASSERT_TRUE(held_is(self->fd, THREE));
	s = th_gate_status(self->fd);
	EXPECT_EQ(THREE, s.taken);
	EXPECT_EQ(THREE, s.kept);
	EXPECT_EQ(THREE, s.ever_held);
	EXPECT_EQ(0, s.claimed + s.given_up + s.ended);
	same(_metadata, self);

	ASSERT_EQ(0, kill(self->clients[1].pid, SIGSTOP));
	ASSERT_EQ(0, kill(self->clients[2].pid, SIGSTOP));
	ASSERT_EQ(0, th_gate_open(self->fd));
	ASSERT_TRUE(kept_is(self->fd, 2));
	s = th_gate_status(self->fd);
	EXPECT_EQ(THREE, s.taken);
	EXPECT_EQ(1, s.claimed);
	EXPECT_EQ(0, s.given_up);
	same(_metadata, self);

	test_client_kill(&self->clients[1]);
	ASSERT_TRUE(kept_is(self->fd, 1));
	s = th_gate_status(self->fd);
	EXPECT_EQ(THREE, s.taken);
	EXPECT_EQ(1, s.claimed);
	EXPECT_EQ(1, s.given_up);
	same(_metadata, self);

	ASSERT_EQ(0, kill(self->clients[2].pid, SIGCONT));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(0, test_client_wait(&self->clients[2]));
	/* The last record goes some time after it was claimed. */
	for (i = 0; i < PATIENCE_MS && th_gate_status(self->fd).taken; i++)
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

TEST_F(call, reads_ahead_that_are_ended)
{
	struct fusecr_gate_status s;
	int i;

	rawfs_hold(self->fs, FUSE_READ);
	ASSERT_EQ(0, test_client_start(&self->clients[0], read_file, self->fs));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_READ, 1));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_LE(0, th_hold(self->fd, self->clients[0].pid));
	for (i = 0; i < PATIENCE_MS && !th_gate_status(self->fd).held; i++)
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
