// SPDX-License-Identifier: GPL-2.0
/* ADMIT: root may use a mount of someone else, as long as a handle says so. */
#include <sched.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "test_handle.h"
#include "test_util.h"

#define OWNER	1000

FIXTURE(admit) {
	struct rawfs *fs;
	struct rawfs *other;
	struct tnl nl;
	uint64_t id;
	int fd;
};

FIXTURE_SETUP(admit)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_INFO };
	struct rawfs_config config;
	struct tnl_list list;

	rawfs_defaults(&config);
	config.user_id = OWNER;
	config.group_id = OWNER;
	ASSERT_EQ(0, test_own_mounts());
	self->fs = rawfs_up(&config, false);
	ASSERT_NE(NULL, self->fs);
	self->other = rawfs_up(&config, false);
	ASSERT_NE(NULL, self->other);
	ASSERT_EQ(0, rawfs_wait_init(self->fs));
	ASSERT_EQ(0, rawfs_wait_init(self->other));
	ASSERT_EQ(0, tnl_open(&self->nl));
	ASSERT_EQ(0, tnl_do(&self->nl, &q, &list));
	EXPECT_TRUE(tnl_u32(&list.v[0], FUSECR_INFO_FEATURES) &
		    FUSECR_FEATURE_ADMIT);
	tnl_free(&list);
	self->id = tnl_conn_id(&self->nl, self->fs->dev);
	self->fd = th_attach(self->id);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(admit)
{
	close(self->fd);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->other));
	EXPECT_EQ(0, rawfs_down(self->fs));
}

struct visit {
	const char *path;
	uid_t uid;
	uint64_t capabilities;
	int unshare;
};

static int visit(void *arg)
{
	struct visit *visit = arg;

	if (visit->unshare && unshare(visit->unshare))
		return -EXDEV;
	if (visit->uid && test_drop(visit->uid, visit->capabilities))
		return -EXDEV;
	return test_stat((void *)visit->path);
}

static int as(const struct rawfs *fs, uid_t uid, uint64_t capabilities,
	      int unshared)
{
	struct visit v = { test_path(fs, "f1"), uid, capabilities, unshared };
	struct test_client client;

	if (test_client_start(&client, visit, &v))
		return -EXDEV;
	return test_client_wait(&client);
}

TEST_F(admit, root_is_admitted)
{
	char c;
	int fd;

	EXPECT_EQ(-EACCES, as(self->fs, 0, 0, 0));
	EXPECT_EQ(0, as(self->fs, OWNER, 0, 0));
	ASSERT_EQ(0, th_admit(self->fd, 1));
	EXPECT_EQ(0, as(self->fs, 0, 0, 0));
	fd = open(test_path(self->fs, "f1"), O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(1, read(fd, &c, 1));
	EXPECT_EQ(rawfs_byte(rawfs_nodeid(2), 0), (unsigned char)c);
	close(fd);
	EXPECT_EQ(0, as(self->fs, OWNER, 0, 0));
	ASSERT_EQ(0, th_admit(self->fd, 0));
	EXPECT_EQ(-EACCES, as(self->fs, 0, 0, 0));
	EXPECT_EQ(0, as(self->fs, OWNER, 0, 0));
}

TEST_F(admit, only_the_capability_counts)
{
	ASSERT_EQ(0, th_admit(self->fd, 1));
	EXPECT_EQ(-EACCES, as(self->fs, OWNER + 1, 0, 0));
	EXPECT_EQ(-EACCES, as(self->fs, OWNER + 1, ~(1ULL << 21) & 0xffffffff,
			      0));
	EXPECT_EQ(0, as(self->fs, OWNER + 1, 1ULL << 21, 0));
	/* All capabilities, but in a user namespace of its own. */
	EXPECT_EQ(-EACCES, as(self->fs, 0, 0, CLONE_NEWUSER));
}

TEST_F(admit, other_connections_are_not_meant)
{
	uint64_t id = tnl_conn_id(&self->nl, self->other->dev);
	int fd;

	ASSERT_EQ(0, th_admit(self->fd, 1));
	EXPECT_EQ(-EACCES, as(self->other, 0, 0, 0));
	fd = th_attach(id);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EACCES, as(self->other, 0, 0, 0));
	ASSERT_EQ(0, th_admit(fd, 1));
	EXPECT_EQ(0, as(self->other, 0, 0, 0));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(-EACCES, as(self->fs, 0, 0, 0));
	EXPECT_EQ(0, as(self->other, 0, 0, 0));
	close(fd);
	EXPECT_EQ(-EACCES, as(self->other, 0, 0, 0));
}

TEST_F(admit, commit_does_not_keep_it)
{
	ASSERT_EQ(0, th_admit(self->fd, 1));
	ASSERT_EQ(0, th_admit(self->fd, 1));
	ASSERT_EQ(0, th_commit(self->fd));
	EXPECT_EQ(0, as(self->fs, 0, 0, 0));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(-EACCES, as(self->fs, 0, 0, 0));
}

struct holder {
	uint64_t id;
	int ready;
};

static int hold(void *arg)
{
	struct holder *holder = arg;
	int fd = th_attach(holder->id), err;

	err = fd < 0 ? fd : th_admit(fd, 1);
	if (write(holder->ready, &err, sizeof(err)) != sizeof(err))
		return -EIO;
	for (;;)
		pause();
}

TEST_F(admit, death_ends_it)
{
	struct holder holder = { .id = self->id };
	struct test_client client;
	int pipes[2], err;

	close(self->fd);
	self->fd = -1;
	ASSERT_EQ(0, pipe(pipes));
	holder.ready = pipes[1];
	ASSERT_EQ(0, test_client_start(&client, hold, &holder));
	ASSERT_EQ(sizeof(err), read(pipes[0], &err, sizeof(err)));
	ASSERT_EQ(0, err);
	EXPECT_EQ(0, as(self->fs, 0, 0, 0));
	test_client_kill(&client);
	EXPECT_EQ(-EACCES, as(self->fs, 0, 0, 0));
	close(pipes[0]);
	close(pipes[1]);
}

/* More callers at once than processors, while the probe comes and goes. */
static int visit_often(void *arg)
{
	int i, err = 0;

	for (i = 0; i < 2000 && !err; i++) {
		err = test_stat(arg);
		if (err == -EACCES)
			err = 0;
	}
	return err;
}

TEST_F(admit, comes_and_goes_under_load)
{
	char path[512];
	struct test_client clients[8];
	int i;

	strcpy(path, test_path(self->fs, "f1"));
	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, test_client_start(&clients[i], visit_often, path));
	for (i = 0; i < 20; i++)
		EXPECT_EQ(0, th_admit(self->fd, !(i % 2)));
	for (i = 0; i < 8; i++)
		EXPECT_EQ(0, test_client_wait(&clients[i]));
	EXPECT_EQ(-EACCES, as(self->fs, 0, 0, 0));
}

TEST_HARNESS_MAIN
