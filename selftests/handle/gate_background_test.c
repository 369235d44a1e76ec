// SPDX-License-Identifier: GPL-2.0
/*
 * Clients that wait for each other's background requests, of which there may be
 * one, when the gate closes: they come to rest one after the other, and nothing
 * is lost.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "test_handle.h"
#include "test_io.h"
#include "test_util.h"

#define DRAIN_MS	20000
#define LOOKS		100	/* of TAKE's, before it is believed that it takes nothing */
#define CLIENTS		4
#define SIZE		(64 << 10)

struct job {
	char path[300];
	const struct io *io;
};

FIXTURE(background) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	int fd;
	uint32_t opcode;
	struct job jobs[CLIENTS];
	struct test_client clients[CLIENTS];
};

FIXTURE_VARIANT(background) {
	const char *io;
	int call;		/* in which it waits */
	uint32_t init;		/* flags */
	bool stays;		/* what the server keeps is not taken */
};

FIXTURE_VARIANT_ADD(background, read_ahead) {
	.io = "read", .call = SYS_pread64,
	.init = FUSE_ASYNC_READ,
};

FIXTURE_VARIANT_ADD(background, read_direct) {
	.io = "read_direct", .call = SYS_pread64,
	.init = FUSE_ASYNC_DIO, .stays = true,
};

FIXTURE_VARIANT_ADD(background, write_direct) {
	.io = "write_direct", .call = SYS_pwrite64,
	.init = FUSE_ASYNC_DIO, .stays = true,
};

FIXTURE_VARIANT_ADD(background, write_back) {
	.io = "write", .call = SYS_close,
	.init = FUSE_WRITEBACK_CACHE, .stays = true,
};

/* And has it written. */
static int run(void *arg)
{
	const struct job *job = arg;
	int calls = io_run(job->io, job->path, SIZE), fd, err;

	if (calls < 0 || !job->io->write)
		return calls < 0 ? calls : 0;
	fd = open(job->path, O_RDWR | O_CLOEXEC);
	err = fd < 0 || fsync(fd) ? -errno : 0;
	close(fd);
	return err;
}

FIXTURE_SETUP(background)
{
	struct rawfs_config config;
	struct job *job;
	int i;

	rawfs_defaults(&config);
	config.init.flags = variant->init | FUSE_BIG_WRITES;
	config.init.max_background = 1;
	config.init.congestion_threshold = 1;
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
	for (i = 0; i < CLIENTS; i++) {
		job = &self->jobs[i];
		job->io = io_find(variant->io);
		ASSERT_NE(NULL, job->io);
		snprintf(job->path, sizeof(job->path), "%s/f%d", self->fs->dir, i);
		ASSERT_EQ(0, io_fill(job->path, SIZE, IO_OLD));
	}
	ASSERT_EQ(0, test_drop_caches());
	self->opcode = self->jobs[0].io->write ? FUSE_WRITE : FUSE_READ;
	self->fd = th_attach(self->id);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(background)
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

/* All have asked for what is held, or wait until they may. */
static bool all_wait(FIXTURE_DATA(background) *self, int call)
{
	struct tnl_list list;
	uint32_t waiting = 0;
	int i;

	for (i = 0; i < DRAIN_MS && waiting < CLIENTS; i++) {
		test_nap(1);
		if (!tnl_conn(&self->nl, self->id, &list))
			waiting = tnl_u32(&list.v[0], FUSECR_CONN_NUM_WAITING);
		tnl_free(&list);
	}
	/* That may have been an OPEN. */
	for (i = 0; i < CLIENTS; i++)
		if (!test_sleeps_in(self->clients[i].pid, call))
			return false;
	return waiting >= CLIENTS;
}

static int close_in_the_middle(FIXTURE_DATA(background) *self, int call)
{
	int err = 0, i;

	rawfs_hold(self->fs, self->opcode);
	for (i = 0; !err && i < CLIENTS; i++)
		err = test_client_start(&self->clients[i], run, &self->jobs[i]);
	err = err ?: rawfs_wait_held(self->fs, self->opcode, 1);
	if (!err && !all_wait(self, call))
		err = -ETIMEDOUT;
	err = err ?: th_gate_close(self->fd, self->fs->pid);
	while (err >= 0 && i-- > 0)
		err = th_hold(self->fd, self->clients[i].pid);
	return err < 0 ? err : 0;
}

static void all_is_well(struct __test_metadata *_metadata,
			FIXTURE_DATA(background) *self)
{
	int i;

	for (i = 0; i < CLIENTS; i++) {
		EXPECT_EQ(0, test_client_wait(&self->clients[i]))
			TH_LOG("client %d", i);
		if (self->opcode == FUSE_WRITE)
			EXPECT_EQ(0, io_compare(self->jobs[i].path, SIZE, IO_NEW))
				TH_LOG("file %d", i);
	}
	EXPECT_EQ(0, self->fs->duplicates);
	EXPECT_EQ(0, self->fs->interrupts);
}

static void come_to_rest(struct __test_metadata *_metadata,
			 FIXTURE_DATA(background) *self)
{
	EXPECT_TRUE(th_drained(self->fd, DRAIN_MS));
	EXPECT_EQ(CLIENTS, th_gate_status(self->fd).held);
	ASSERT_EQ(0, th_gate_open(self->fd));
}

TEST_F(background, served)
{
	ASSERT_EQ(0, close_in_the_middle(self, variant->call));
	EXPECT_FALSE(th_drained(self->fd, 0));
	rawfs_release(self->fs, 0);
	come_to_rest(_metadata, self);
	all_is_well(_metadata, self);
}

TEST_F(background, not_served)
{
	bool drained = false;
	int i;

	ASSERT_EQ(0, close_in_the_middle(self, variant->call));
	for (i = 0; i < (variant->stays ? LOOKS : DRAIN_MS) && !drained; i++) {
		ASSERT_LE(0, th_take(self->fd));
		drained = th_drained(self->fd, 1);
	}
	EXPECT_EQ(!variant->stays, drained);
	/* Each has asked by itself for what it did not get ahead. */
	EXPECT_EQ(variant->stays ? 0 : CLIENTS, th_kept(self->fd));
	if (variant->stays)
		rawfs_release(self->fs, 0);
	come_to_rest(_metadata, self);
	rawfs_release(self->fs, 0);
	all_is_well(_metadata, self);
	for (i = 0; i < DRAIN_MS && th_kept(self->fd); i++)
		test_nap(1);
	EXPECT_EQ(0, th_kept(self->fd));
}

TEST_HARNESS_MAIN
