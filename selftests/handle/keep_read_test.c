// SPDX-License-Identifier: GPL-2.0
/*
 * A READ into the page cache that a server keeps: read ahead or not, the reader
 * gets the bytes, and no error of ours stays with the file.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "test_handle.h"
#include "test_util.h"

#define DRAIN_MS	5000
#define BYTES		3000

FIXTURE(read) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	int fd;
	struct test_client client;
	struct test_client other;
	int go[2];		/* a byte lets one of two go on */
};

FIXTURE_VARIANT(read) {
	uint32_t flags;		/* of INIT */
	bool before;		/* answered before the client goes on */
};

FIXTURE_VARIANT_ADD(read, ahead) {
	.flags = FUSE_ASYNC_READ,
};

FIXTURE_VARIANT_ADD(read, ahead_answered) {
	.flags = FUSE_ASYNC_READ,
	.before = true,
};

FIXTURE_VARIANT_ADD(read, alone) {
	.flags = 0,
};

FIXTURE_VARIANT_ADD(read, alone_answered) {
	.flags = 0,
	.before = true,
};

/* All of it, and all of it again. */
static int reader(void *arg)
{
	const struct rawfs *fs = arg;
	uint64_t nodeid = rawfs_nodeid(rawfs_index(fs, "f1"));
	int fd = open(test_path(fs, "f1"), O_RDONLY | O_CLOEXEC), i, n;
	unsigned char buf[BYTES];

	if (fd < 0)
		return -errno;
	for (n = 0; n < 2; n++) {
		if (pread(fd, buf, BYTES, 0) != BYTES)
			return -EIO;
		for (i = 0; i < BYTES; i++)
			if (buf[i] != rawfs_byte(nodeid, i))
				return -EBADMSG;
	}
	return close(fd) ? -errno : 0;
}

FIXTURE_SETUP(read)
{
	struct rawfs_config config;
	rawfs_defaults(&config);
	config.init.flags = variant->flags;
	ASSERT_EQ(0, pipe2(self->go, O_CLOEXEC));
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
	ASSERT_LE(BYTES, rawfs_node(self->fs, "f1")->attr.size);
	self->fd = th_attach(self->id);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(read)
{
	close(self->fd);
	rawfs_release(self->fs, 0);
	test_client_kill(&self->client);
	test_client_kill(&self->other);
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

TEST_F(read, is_kept)
{
	int i, n = 0;

	rawfs_hold(self->fs, FUSE_READ);
	ASSERT_EQ(0, test_client_start(&self->client, reader, self->fs));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_READ, 1));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_LE(0, th_hold(self->fd, self->client.pid));
	/* Who waited for pages asks by himself, and is taken from then. */
	for (i = 0; i < DRAIN_MS && !th_drained(self->fd, 1); i++)
		n += th_take(self->fd);
	ASSERT_TRUE(th_drained(self->fd, 0));
	EXPECT_LE(1, n);
	EXPECT_EQ(1, th_kept(self->fd));
	if (variant->before) {
		rawfs_release(self->fs, 0);
		ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_READ,
					   self->fs->nr_op[FUSE_READ]));
	}
	ASSERT_EQ(0, th_gate_open(self->fd));
	for (i = 0; i < DRAIN_MS && th_kept(self->fd); i++)
		test_nap(1);
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->client));
	EXPECT_EQ(0, self->fs->duplicates);
	EXPECT_EQ(0, self->fs->interrupts);
}

/*
 * Who waited reads the page by himself, and closes the file.  The server still has the
 * handle in hand for what nobody waits for any more.
 */
TEST_F(read, closed_before_answered)
{
	struct tnl_list list;
	int i, n;

	rawfs_hold(self->fs, FUSE_READ);
	ASSERT_EQ(0, test_client_start(&self->client, reader, self->fs));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_READ, 1));
	/* Those that come after are not held. */
	self->fs->hold[FUSE_READ] = false;
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_LE(0, th_hold(self->fd, self->client.pid));
	/* The first, once its sender sleeps: the other is the server's to answer. */
	for (i = 0, n = 0; i < DRAIN_MS && !n; i++) {
		n = th_take(self->fd);
		test_nap(1);
	}
	EXPECT_EQ(1, n);
	for (i = 0; i < DRAIN_MS && !th_drained(self->fd, 1); i++)
		;
	EXPECT_TRUE(th_drained(self->fd, 0));
	EXPECT_EQ(0, th_kept(self->fd));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(0, test_client_wait(&self->client));
	EXPECT_EQ(2, self->fs->nr_op[FUSE_READ]);
	test_nap(500);
	EXPECT_EQ(0, self->fs->nr_op[FUSE_RELEASE]);
	ASSERT_EQ(0, test_wait_requests(&self->nl, self->id, FUSECR_REQ_KEPT, 1, &list));
	EXPECT_EQ(FUSECR_KEEP_AHEAD, tnl_u32(&list.v[0], FUSECR_REQ_PLACE) & FUSECR_KEEP_AHEAD);
	EXPECT_FALSE(tnl_has(&list.v[0], FUSECR_REQ_WAITER));
	tnl_free(&list);
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	EXPECT_EQ(0, self->fs->interrupts);
}

struct two {
	int fd;			/* open before: open() drops what is cached */
	int go;			/* a byte lets one go on */
};

static int read_and_stay(void *arg)
{
	const struct two *two = arg;
	unsigned char buf[BYTES];

	if (pread(two->fd, buf, BYTES, 0) != BYTES)
		return -EIO;
	return read(two->go, buf, 1) == 1 ? 0 : -EPIPE;
}

/* The page is read for both by one, and nothing is kept of the other. */
TEST_F(read, by_two)
{
	struct two two = { .go = self->go[0] };
	int i;

	two.fd = open(test_path(self->fs, "f1"), O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, two.fd);
	rawfs_hold(self->fs, FUSE_READ);
	ASSERT_EQ(0, test_client_start(&self->client, read_and_stay, &two));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_READ, 1));
	ASSERT_EQ(0, test_client_start(&self->other, read_and_stay, &two));
	ASSERT_TRUE(test_sleeps_in(self->other.pid, SYS_pread64));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_LE(0, th_hold(self->fd, self->client.pid));
	ASSERT_LE(0, th_hold(self->fd, self->other.pid));
	for (i = 0; i < DRAIN_MS && !th_drained(self->fd, 1); i++)
		th_take(self->fd);
	ASSERT_TRUE(th_drained(self->fd, 0));
	EXPECT_EQ(2, th_kept(self->fd));
	if (variant->before)
		rawfs_release(self->fs, 0);
	ASSERT_EQ(0, th_gate_open(self->fd));
	rawfs_release(self->fs, 0);
	for (i = 0; i < DRAIN_MS && th_kept(self->fd); i++)
		test_nap(1);
	EXPECT_EQ(0, th_kept(self->fd));
	ASSERT_EQ(2, write(self->go[1], "xx", 2));
	EXPECT_EQ(0, test_client_wait(&self->client));
	EXPECT_EQ(0, test_client_wait(&self->other));
	EXPECT_EQ(0, close(two.fd));
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	EXPECT_EQ(0, self->fs->duplicates);
}

TEST_HARNESS_MAIN
