// SPDX-License-Identifier: GPL-2.0
/*
 * Servers that do not answer, and servers that are gone. Every question is
 * answered all the same: a test that hangs fails by its timeout.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "test_util.h"

#define CLIENTS	8

FIXTURE(stall) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	struct test_client clients[CLIENTS];
	char path[CLIENTS][512];
};

/* How the server stands in the way. */
FIXTURE_VARIANT(stall) {
	int (*stall)(struct rawfs *fs);
	bool dead;
	bool goes;
};

static int abort_it(struct rawfs *fs)
{
	return test_fusectl(fs, "abort");
}

static int stop_and_detach(struct rawfs *fs)
{
	return rawfs_stop(fs) ?: rawfs_umount(fs);
}

FIXTURE_VARIANT_ADD(stall, stopped) {
	.stall = rawfs_stop,
};

FIXTURE_VARIANT_ADD(stall, stopped_and_detached) {
	.stall = stop_and_detach,
	.goes = true,		/* with its last user */
};

FIXTURE_VARIANT_ADD(stall, killed) {
	.stall = rawfs_kill,
	.dead = true,
};

FIXTURE_VARIANT_ADD(stall, aborted) {
	.stall = abort_it,
	.dead = true,
};

static int write_file(void *path)
{
	char data[40000] = "";
	int fd = open(path, O_RDWR | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, data, sizeof(data));
	close(fd);
	return n == sizeof(data) ? 0 : -EIO;
}

static int map_file(void *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	volatile char *map;

	if (fd < 0)
		return -errno;
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	return map == MAP_FAILED ? -errno : *map & 0;
}

static int live_there(void *path)
{
	return chdir(path) || chdir("/") ? -errno : 0;
}

FIXTURE_SETUP(stall)
{
	int (*const work[])(void *path) = {
		test_stat, test_open, test_mkdir, write_file, map_file,
		live_there,
	};
	struct rawfs_config config;
	int i;

	rawfs_defaults(&config);
	config.entry_ms = 0;
	config.attr_ms = 0;
	config.init.flags = FUSE_WRITEBACK_CACHE | FUSE_ASYNC_READ;
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
	/* Some that it knows, some that it will have to ask for. */
	ASSERT_EQ(0, test_stat((void *)test_path(self->fs, "dir0/f1")));
	for (i = 0; i < CLIENTS; i++)
		snprintf(self->path[i], sizeof(self->path[i]), "%s/dir%d/f%d",
			 self->fs->dir, i % 2, i % 4);
	ASSERT_EQ(0, rawfs_stop(self->fs));
	for (i = 0; i < CLIENTS; i++)
		ASSERT_EQ(0, test_client_start(&self->clients[i],
					       work[i % ARRAY_SIZE(work)],
					       self->path[i]));
	ASSERT_EQ(0, rawfs_cont(self->fs));
}

FIXTURE_TEARDOWN(stall)
{
	int i;

	if (!variant->dead)
		rawfs_kill(self->fs);
	for (i = 0; i < CLIENTS; i++)
		test_client_kill(&self->clients[i]);
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	rawfs_down(self->fs);
}

/*
 * Every question about everything, @rounds times; the first error, or 0.  @goes: what is
 * going meanwhile need not be found.
 */
static int ask_all(struct tnl *nl, uint64_t id, int rounds, bool goes)
{
	const struct tnl_query dumps[] = {
		{ .cmd = FUSECR_CMD_GET_CONN },
		{ .cmd = FUSECR_CMD_GET_DEV },
		{ .cmd = FUSECR_CMD_GET_DEV, .conn_id = id },
		{ .cmd = FUSECR_CMD_GET_REQ, .conn_id = id },
		{ .cmd = FUSECR_CMD_GET_INODE, .conn_id = id },
		{ .cmd = FUSECR_CMD_GET_FILE },
		{ .cmd = FUSECR_CMD_GET_FILE, .conn_id = id },
		{ .cmd = FUSECR_CMD_GET_BACKING, .conn_id = id },
	};
	const struct tnl_query gets[] = {
		{ .cmd = FUSECR_CMD_GET_INFO },
		{ .cmd = FUSECR_CMD_GET_CONN, .conn_id = id },
		{ .cmd = FUSECR_CMD_GET_INODE, .conn_id = id, .nodeid = 1 },
	};
	struct tnl_list list;
	size_t i;
	int err;

	while (rounds--) {
		for (i = 0; i < ARRAY_SIZE(dumps); i++) {
			err = tnl_dump(nl, &dumps[i], &list);
			tnl_free(&list);
			if (err && (err != -ENOENT || !goes || !dumps[i].conn_id))
				return err;
		}
		for (i = 0; i < ARRAY_SIZE(gets); i++) {
			err = tnl_do(nl, &gets[i], &list);
			tnl_free(&list);
			if (err && (err != -ENOENT || !goes || !gets[i].conn_id))
				return err;
		}
	}
	return 0;
}

TEST_F(stall, questions_are_answered)
{
	ASSERT_EQ(0, variant->stall(self->fs));
	if (variant->dead) {
		ASSERT_EQ(0, test_wait_state(&self->nl, self->id,
					     FUSECR_CONN_CONNECTED, 0));
	}
	EXPECT_EQ(0, ask_all(&self->nl, self->id, 20, variant->goes));
}

/* Killed users, too, that no one lets go. */
TEST_F(stall, questions_about_dying_users)
{
	int i;

	ASSERT_EQ(0, variant->stall(self->fs));
	for (i = 0; i < CLIENTS; i++)
		kill(self->clients[i].pid, SIGKILL);
	EXPECT_EQ(0, ask_all(&self->nl, self->id, 20, variant->goes));
}

/* An unmount that waits for its server, with the superblock locked. */
FIXTURE(umount) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	struct test_client client;
	bool loop;
};

static const char loop_setup[] =
	"modprobe -q loop; truncate -s 1M /tmp/rawfs.img && losetup -f --show /tmp/rawfs.img >/tmp/rawfs.loop";

FIXTURE_SETUP(umount)
{
	struct rawfs_config config;
	char device[64] = "";
	FILE *f;

	ASSERT_EQ(0, tnl_open(&self->nl));
	if (system(loop_setup))
		return;
	self->loop = true;
	f = fopen("/tmp/rawfs.loop", "r");
	ASSERT_NE(NULL, f);
	ASSERT_EQ(1, fscanf(f, "%63s", device));
	fclose(f);
	rawfs_defaults(&config);
	config.fstype = "fuseblk";
	config.source = device;
	ASSERT_EQ(0, test_own_mounts());
	self->fs = rawfs_up(&config, false);
	ASSERT_NE(NULL, self->fs);
	ASSERT_EQ(0, rawfs_wait_init(self->fs));
	self->id = tnl_conn_id(&self->nl, self->fs->dev);
	ASSERT_NE(0, self->id);
}

FIXTURE_TEARDOWN(umount)
{
	if (self->fs)
		rawfs_release(self->fs, 0);
	if (self->client.pid > 0)
		test_client_wait(&self->client);
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
	if (self->loop)
		system("losetup -d $(cat /tmp/rawfs.loop)");
}

static int umount_it(void *path)
{
	return umount2(path, 0) ? -errno : 0;
}

TEST_F(umount, does_not_stop_questions)
{
	if (!self->loop)
		SKIP(return, "no loop device");
	rawfs_hold(self->fs, FUSE_DESTROY);
	ASSERT_EQ(0, test_client_start(&self->client, umount_it,
				       self->fs->dir));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_DESTROY, 1));
	/* It is going: that it is not found is an answer, too. */
	EXPECT_EQ(0, ask_all(&self->nl, self->id, 5, true));
	EXPECT_TRUE(test_client_busy(&self->client));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->client));
}

TEST_HARNESS_MAIN
