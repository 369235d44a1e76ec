// SPDX-License-Identifier: GPL-2.0
/*
 * Mounts that come and go, servers that die, and the module itself, while
 * everything is asked about. What is expected is that nobody crashes, hangs or
 * is told nonsense; what is found is a matter of luck.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "kselftest_harness.h"
#include "test_handle.h"
#include "test_util.h"

#define DURATION	2	/* s */
#define MOVERS		3

static struct timespec end;

static bool go_on(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec < end.tv_sec ||
		(now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec);
}

FIXTURE(race) {
	struct test_client movers[MOVERS];
};

/* What happens to a mount, again and again. */
FIXTURE_VARIANT(race) {
	int (*end)(struct rawfs *fs);
};

static int end_detach(struct rawfs *fs)
{
	return rawfs_umount(fs);
}

static int end_abort(struct rawfs *fs)
{
	return test_fusectl(fs, "abort");
}

static int end_force(struct rawfs *fs)
{
	umount2(fs->dir, MNT_FORCE);
	return 0;
}

FIXTURE_VARIANT_ADD(race, detach) {
	.end = end_detach,
};

FIXTURE_VARIANT_ADD(race, abort) {
	.end = end_abort,
};

FIXTURE_VARIANT_ADD(race, force) {
	.end = end_force,
};

FIXTURE_VARIANT_ADD(race, kill) {
	.end = rawfs_kill,
};

FIXTURE_SETUP(race)
{
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += DURATION;
	ASSERT_EQ(0, test_own_mounts());
}

FIXTURE_TEARDOWN(race)
{
	int i;

	for (i = 0; i < MOVERS; i++)
		test_client_kill(&self->movers[i]);
}

/* One mount after the other, each with something open on it. */
static int move(void *arg)
{
	int (*how)(struct rawfs *fs) = arg;
	struct rawfs_config config;
	struct rawfs *fs;
	int fd, n = 0;

	rawfs_defaults(&config);
	while (go_on()) {
		fs = rawfs_up(&config, false);
		if (!fs)
			return -errno;
		test_stat((void *)test_path(fs, "dir0/f2"));
		fd = open(test_path(fs, "f1"), O_RDWR);
		how(fs);
		close(fd);
		rawfs_down(fs);
		n++;
	}
	return n;
}

/* Everything about everyone. Objects may be gone when they are asked for. */
static int ask(struct tnl *nl)
{
	const uint8_t cmds[] = { FUSECR_CMD_GET_REQ, FUSECR_CMD_GET_INODE,
				 FUSECR_CMD_GET_DEV, FUSECR_CMD_GET_FILE,
				 FUSECR_CMD_GET_BACKING };
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_CONN };
	struct tnl_list conns, list;
	size_t i, n;
	int err;

	err = tnl_dump(nl, &q, &conns);
	for (i = 0; !err && i < conns.n; i++) {
		q.conn_id = tnl_u64(&conns.v[i], FUSECR_CONN_ID);
		for (n = 0; !err && n < ARRAY_SIZE(cmds); n++) {
			q.cmd = cmds[n];
			err = tnl_dump(nl, &q, &list);
			tnl_free(&list);
			if (err == -ENOENT)
				err = 0;
		}
	}
	tnl_free(&conns);
	return err ?: *nl->leak ? -EUCLEAN : 0;
}

TEST_F(race, questions)
{
	unsigned int asked = 0;
	struct tnl nl;
	int i, n;

	for (i = 0; i < MOVERS; i++)
		ASSERT_EQ(0, test_client_start(&self->movers[i], move,
					       variant->end));
	ASSERT_EQ(0, tnl_open(&nl));
	while (go_on()) {
		ASSERT_EQ(0, ask(&nl))
			TH_LOG("%s%s", nl.error, nl.leak);
		asked++;
	}
	EXPECT_LT(0, asked);
	for (i = 0; i < MOVERS; i++) {
		n = test_client_wait(&self->movers[i]);
		EXPECT_LT(0, n);
	}
	tnl_close(&nl);
}

/* Handles of whatever is there, with settings that are to be undone. */
TEST_F(race, handles)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_CONN };
	unsigned int attached = 0;
	struct tnl_list conns;
	struct tnl nl;
	int i, fd;
	size_t n;

	for (i = 0; i < MOVERS; i++)
		ASSERT_EQ(0, test_client_start(&self->movers[i], move,
					       variant->end));
	ASSERT_EQ(0, tnl_open(&nl));
	while (go_on()) {
		ASSERT_EQ(0, tnl_dump(&nl, &q, &conns));
		for (n = 0; n < conns.n; n++) {
			fd = th_attach(tnl_u64(&conns.v[n], FUSECR_CONN_ID));
			if (fd < 0) {
				EXPECT_EQ(-ENOENT, fd);
				continue;
			}
			attached++;
			th_set_inode(fd, rawfs_nodeid(1), 3);
			th_set_conn(fd, (struct fusecr_set_conn){
				.mask = FUSECR_SET_NEXT_KH | FUSECR_SET_PID_NS,
				.next_kh = 1000, .pid = getpid() });
			th_admit(fd, n % 2);
			close(fd);
		}
		tnl_free(&conns);
	}
	EXPECT_LT(0, attached);
	for (i = 0; i < MOVERS; i++)
		EXPECT_LT(0, test_client_wait(&self->movers[i]));
	tnl_close(&nl);
}

/* --- the module ----------------------------------------------------------- */

static int load(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return err == -EEXIST ? 0 : err;
}

/* Out and in. The result is how often it could be taken out: who asks keeps it busy. */
static int reload(void *path)
{
	int n = 0, err;

	while (go_on() || !n) {
		if (syscall(SYS_delete_module, "fusecr", O_NONBLOCK)) {
			if (errno != EAGAIN && errno != EBUSY)
				return -errno;
			continue;
		}
		n++;
		err = load(path);
		if (err)
			return err;
	}
	return n;
}

static int ask_often(void *unused)
{
	struct tnl nl;
	int err, n = 0;

	while (go_on()) {
		if (tnl_open(&nl))
			continue;
		err = ask(&nl);
		tnl_close(&nl);
		/* The family has gone, is going, or has another number. */
		if (err && err != -ENOENT && err != -EOPNOTSUPP &&
		    err != -EPROTONOSUPPORT)
			return err;
		n += !err;
	}
	return n;
}

FIXTURE(module) {
	struct rawfs *fs;
	struct test_client clients[3];
	const char *path;
};

FIXTURE_SETUP(module)
{
	struct rawfs_config config;

	self->path = getenv("FUSECR_MODULE");
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += DURATION;
	rawfs_defaults(&config);
	ASSERT_EQ(0, test_own_mounts());
	self->fs = rawfs_up(&config, false);
	ASSERT_NE(NULL, self->fs);
	ASSERT_EQ(0, rawfs_wait_init(self->fs));
}

FIXTURE_TEARDOWN(module)
{
	int i;

	for (i = 0; i < 3; i++)
		test_client_kill(&self->clients[i]);
	if (self->path) {
		EXPECT_EQ(0, load(self->path));
	}
	EXPECT_EQ(0, rawfs_down(self->fs));
}

TEST_F(module, comes_and_goes)
{
	int reloads;

	if (!self->path)
		SKIP(return, "FUSECR_MODULE is not set");
	ASSERT_EQ(0, test_client_start(&self->clients[0], ask_often, NULL));
	ASSERT_EQ(0, test_client_start(&self->clients[1], ask_often, NULL));
	ASSERT_EQ(0, test_client_start(&self->clients[2], reload,
				       (void *)self->path));
	EXPECT_LT(0, test_client_wait(&self->clients[0]));
	EXPECT_LT(0, test_client_wait(&self->clients[1]));
	reloads = test_client_wait(&self->clients[2]);
	EXPECT_LT(0, reloads);
	TH_LOG("reloaded %d times", reloads);
}

TEST_HARNESS_MAIN
