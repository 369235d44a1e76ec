// SPDX-License-Identifier: GPL-2.0
/*
 * A gate that is closed while data is on its way: whatever the way, the system
 * call has its result, and the server has seen each request once.
 */
#include <fcntl.h>
#include <stdio.h>

#include "kselftest_harness.h"
#include "test_handle.h"
#include "test_io.h"
#include "test_util.h"

#define DRAIN_MS	20000
#define LOOKS		100	/* of TAKE's, before it is believed that it takes nothing */

#define SMALL		(4 << 10)
#define SOME		(64 << 10)
#define BIG		(1 << 20)
#define PARTS		8	/* max_write, and 32 pages */

FIXTURE(io) {
	const struct io *io;
	struct rawfs *fs;
	struct tnl nl;
	int fd;
	char path[300];
	size_t size;
	uint32_t opcode;
	struct test_client client;
};

FIXTURE_VARIANT(io) {
	const char *io;
	size_t size;
	uint32_t init, open;	/* flags */
	unsigned int before;	/* parts that are answered before the gate closes */
	unsigned int at_once;	/* parts that the server has by then, if not 1 */
	unsigned int parts;	/* in all; 0: that depends on the kernel */
	bool stays;		/* what the server keeps is not taken */
};

#define VARIANT(variant, way, bytes, ...)				\
	FIXTURE_VARIANT_ADD(io, variant) {				\
		.io = #way, .size = bytes, __VA_ARGS__			\
	}

VARIANT(read_direct, read_direct, SMALL, .parts = 1);
VARIANT(read_direct_big, read_direct, BIG, .parts = PARTS);
/* The rest would go by way of the page cache, in the same system call. */
VARIANT(read_direct_middle, read_direct, BIG, .parts = PARTS, .before = 3,
	.stays = true);
VARIANT(read_direct_async, read_direct, BIG, .parts = PARTS, .at_once = PARTS,
	.init = FUSE_ASYNC_DIO, .stays = true);
VARIANT(write_direct, write_direct, SMALL, .parts = 1);
VARIANT(write_direct_big, write_direct, BIG, .parts = PARTS);
VARIANT(write_direct_middle, write_direct, BIG, .parts = PARTS, .before = 3,
	.stays = true);
VARIANT(write_direct_async, write_direct, BIG, .parts = PARTS, .at_once = PARTS,
	.init = FUSE_ASYNC_DIO, .stays = true);
VARIANT(read_uncached, read, SMALL, .parts = 1, .open = FOPEN_DIRECT_IO);
VARIANT(read_uncached_middle, read, BIG, .parts = PARTS, .before = 5,
	.open = FOPEN_DIRECT_IO);
VARIANT(write_uncached, write, SMALL, .parts = 1, .open = FOPEN_DIRECT_IO);
VARIANT(write_uncached_middle, write, BIG, .parts = PARTS, .before = 5,
	.open = FOPEN_DIRECT_IO);
VARIANT(read_ahead_middle, read, BIG, .before = 2, .init = FUSE_ASYNC_READ);
VARIANT(write_through_middle, write, BIG, .parts = PARTS, .before = 5);
VARIANT(splice_read, splice_read, SOME);
VARIANT(splice_read_ahead, splice_read, SOME, .init = FUSE_ASYNC_READ);
VARIANT(splice_read_uncached, splice_read, SOME, .open = FOPEN_DIRECT_IO);
VARIANT(splice_write, splice_write, SOME, .parts = 1);
VARIANT(splice_write_uncached, splice_write, SOME, .parts = 1,
	.open = FOPEN_DIRECT_IO);
VARIANT(sendfile_read, sendfile_read, 2 * SOME);
VARIANT(sendfile_read_ahead, sendfile_read, 2 * SOME, .init = FUSE_ASYNC_READ);
VARIANT(sendfile_write, sendfile_write, 2 * SOME);
VARIANT(sendfile_write_middle, sendfile_write, 2 * SOME, .before = 1);
/* Asynchronous; and in io_submit() itself where fuse cannot do that. */
VARIANT(aio_read, aio_read, BIG, .parts = PARTS, .at_once = PARTS,
	.init = FUSE_ASYNC_DIO, .stays = true);
VARIANT(aio_write, aio_write, BIG, .parts = PARTS, .at_once = PARTS,
	.init = FUSE_ASYNC_DIO, .stays = true);
VARIANT(aio_read_sync, aio_read, BIG, .parts = PARTS, .stays = true);
VARIANT(aio_write_sync, aio_write, BIG, .parts = PARTS, .stays = true);
VARIANT(uring_read, uring_read, SMALL, .stays = true, .open = FOPEN_DIRECT_IO,
	.parts = 1);
VARIANT(uring_write, uring_write, SMALL, .stays = true, .parts = 1);

static int run(void *arg)
{
	const FIXTURE_DATA(io) *self = arg;

	return io_run(self->io, self->path, self->size);
}

FIXTURE_SETUP(io)
{
	struct rawfs_config config;
	uint64_t id;
	int err;

	self->io = io_find(variant->io);
	ASSERT_NE(NULL, self->io);
	err = io_possible(self->io);
	if (err)
		SKIP(return, "no io_uring here: %s", strerror(-err));
	self->size = variant->size;
	self->opcode = self->io->write ? FUSE_WRITE : FUSE_READ;
	rawfs_defaults(&config);
	config.init.flags = variant->init | FUSE_BIG_WRITES;
	config.open_flags = variant->open;
	/* A file that can be polled is, by io_uring; the server's is never ready. */
	config.enosys = 1ULL << FUSE_POLL;
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &id));
	snprintf(self->path, sizeof(self->path), "%s/f1", self->fs->dir);
	ASSERT_EQ(0, io_fill(self->path, self->size, IO_OLD));
	self->fd = th_attach(id);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(io)
{
	close(self->fd);
	rawfs_release(self->fs, 0);
	test_client_kill(&self->client);
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

/* The server has read the client's requests, and then the gate closes. */
static int close_in_the_middle(FIXTURE_DATA(io) *self, unsigned int before,
			       unsigned int at_once)
{
	int err;

	rawfs_hold_after(self->fs, self->opcode, before);
	err = test_client_start(&self->client, run, self) ?:
	      rawfs_wait_held(self->fs, self->opcode, at_once ?: 1) ?:
	      th_gate_close(self->fd, self->fs->pid);
	if (!err)
		err = th_hold(self->fd, self->client.pid);
	return err < 0 ? err : 0;
}

/* The client's system call went well, and its bytes are right. */
static void well_done(struct __test_metadata *_metadata, FIXTURE_DATA(io) *self,
		      uint64_t parts)
{
	int calls = test_client_wait(&self->client);

	EXPECT_LT(0, calls)
		TH_LOG("%s", strerror(-calls));
	/* Nobody takes the answer to a READ ahead that was ended. */
	if (parts) {
		EXPECT_EQ(parts, self->fs->nr_op[self->opcode]);
		EXPECT_EQ(0, self->fs->lost);
	}
	EXPECT_EQ(0, self->fs->duplicates);
	EXPECT_EQ(0, self->fs->interrupts);
	if (self->io->write)
		EXPECT_EQ(0, io_compare(self->path, self->size, IO_NEW));
}

static void come_to_rest(struct __test_metadata *_metadata, FIXTURE_DATA(io) *self)
{
	EXPECT_TRUE(th_drained(self->fd, DRAIN_MS));
	EXPECT_EQ(1, th_gate_status(self->fd).held);
	EXPECT_TRUE(test_client_busy(&self->client));
	ASSERT_EQ(0, th_gate_open(self->fd));
}

/* The server goes on: the client does all of its work, and then comes to rest. */
TEST_F(io, served)
{
	uint64_t filled = self->fs->nr_op[self->opcode];

	ASSERT_EQ(0, close_in_the_middle(self, variant->before, variant->at_once));
	EXPECT_FALSE(th_drained(self->fd, 0));
	rawfs_release(self->fs, 0);
	come_to_rest(_metadata, self);
	well_done(_metadata, self, variant->parts ? variant->parts + filled : 0);
}

/* The server does not: what it keeps is taken, and asked for again. */
static void taken(struct __test_metadata *_metadata, FIXTURE_DATA(io) *self)
{
	int i, n = 0, got;

	for (i = 0; i < DRAIN_MS && !th_drained(self->fd, 1); i++) {
		got = th_take(self->fd);
		ASSERT_LE(0, got);
		n += got;
	}
	EXPECT_LE(1, n);
	EXPECT_EQ(1, th_kept(self->fd));
	come_to_rest(_metadata, self);
	for (i = 0; i < DRAIN_MS && th_kept(self->fd); i++)
		test_nap(1);
	EXPECT_EQ(0, th_kept(self->fd));
	rawfs_release(self->fs, 0);
}

/* What cannot be asked for again is waited for. */
static void not_taken(struct __test_metadata *_metadata, FIXTURE_DATA(io) *self)
{
	int i;

	for (i = 0; i < LOOKS; i++) {
		ASSERT_EQ(0, th_take(self->fd));
		test_nap(1);
	}
	EXPECT_EQ(0, th_kept(self->fd));
	EXPECT_FALSE(th_drained(self->fd, 0));
	rawfs_release(self->fs, 0);
	come_to_rest(_metadata, self);
}

TEST_F(io, kept)
{
	uint64_t filled = self->fs->nr_op[self->opcode];

	ASSERT_EQ(0, close_in_the_middle(self, variant->before, variant->at_once));
	if (variant->stays)
		not_taken(_metadata, self);
	else
		taken(_metadata, self);
	well_done(_metadata, self, variant->parts ? variant->parts + filled : 0);
}

TEST_HARNESS_MAIN
