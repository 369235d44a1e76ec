// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation and every copy from or to user space fails once, in turn, in each
 * question. What is asked: an error that says so or the whole answer, never less of it.
 */
#include <sys/mount.h>

#include "kselftest_harness.h"
#include "fault.h"
#include "test_handle.h"
#include "../../tools/lib/newer_fuse.h"
#include "test_util.h"

FIXTURE(question) {
	struct rawfs *fs;
	struct tnl_query query;
	struct test_client client;
	int fd[2];
	int fail;
};

FIXTURE_VARIANT(question) {
	uint8_t cmd;
	bool one;		/* not a dump */
	bool conn, node, pid;	/* what is named */
};

#define QUESTION(name, ...) \
	FIXTURE_VARIANT_ADD(question, name) { __VA_ARGS__ }

QUESTION(info, .cmd = FUSECR_CMD_GET_INFO, .one = true);
QUESTION(conn, .cmd = FUSECR_CMD_GET_CONN, .one = true, .conn = true);
QUESTION(conns, .cmd = FUSECR_CMD_GET_CONN);
QUESTION(devs, .cmd = FUSECR_CMD_GET_DEV);
QUESTION(devs_of_conn, .cmd = FUSECR_CMD_GET_DEV, .conn = true);
QUESTION(reqs, .cmd = FUSECR_CMD_GET_REQ, .conn = true);
QUESTION(inode, .cmd = FUSECR_CMD_GET_INODE, .one = true, .conn = true, .node = true);
QUESTION(inodes, .cmd = FUSECR_CMD_GET_INODE, .conn = true);
QUESTION(files, .cmd = FUSECR_CMD_GET_FILE);
QUESTION(files_of_conn, .cmd = FUSECR_CMD_GET_FILE, .conn = true);
QUESTION(files_of_task, .cmd = FUSECR_CMD_GET_FILE, .pid = true);
QUESTION(backings, .cmd = FUSECR_CMD_GET_BACKING, .conn = true);

/* behind: the directory of the files that are passed through, or NULL. */
static struct rawfs *serve(const char *behind)
{
	struct rawfs_config config;
	struct rawfs *fs;

	rawfs_defaults(&config);
	config.controlled = true;
	config.init.flags = FUSE_PARALLEL_DIROPS;
	if (behind) {
		config.init.flags |= FUSE_INIT_EXT;
		config.init.flags2 = INIT_PASSTHROUGH >> 32;
		config.init.max_stack_depth = 1;
		config.behind = behind;
	}
	fs = rawfs_up(&config, false);
	if (fs)
		rawfs_wait_init(fs);
	return fs;
}

static uint64_t id_of(const struct rawfs *fs)
{
	struct tnl nl;
	uint64_t id;

	if (tnl_open(&nl))
		return 0;
	id = tnl_conn_id(&nl, fs->dev);
	tnl_close(&nl);
	return id;
}

FIXTURE_SETUP(question)
{
	char behind[] = "/tmp/behind.XXXXXX";

	self->fail = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	if (self->fail < 0)
		SKIP(return, "this kernel cannot let allocations fail");
	ASSERT_EQ(0, set_up_faults());
	ASSERT_EQ(0, test_own_mounts());
	if (variant->cmd == FUSECR_CMD_GET_BACKING) {
		if (!test_has_passthrough())
			SKIP(return, "this kernel's fuse has no passthrough");
		ASSERT_NE(NULL, mkdtemp(behind));
		self->fs = serve(behind);
	} else {
		self->fs = serve(NULL);
	}
	ASSERT_NE(NULL, self->fs);
	for (int i = 0; i < 2; i++) {
		self->fd[i] = open(test_path(self->fs, i ? "dir0" : "f3"), O_RDONLY);
		ASSERT_LE(0, self->fd[i]);
	}
	/* A request with something in it that nobody answers. */
	rawfs_hold(self->fs, FUSE_MKDIR);
	ASSERT_EQ(0, test_client_start(&self->client, test_mkdir,
				       (void *)test_path(self->fs, "new")));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_MKDIR, 1));
	self->query.cmd = variant->cmd;
	if (variant->conn)
		self->query.conn_id = id_of(self->fs);
	if (variant->node)
		self->query.nodeid = rawfs_nodeid(rawfs_index(self->fs, "f3"));
	if (variant->pid)
		self->query.pid = getpid();
}

FIXTURE_TEARDOWN(question)
{
	if (!self->fs)
		return;
	rawfs_release(self->fs, 0);
	test_client_kill(&self->client);
	close(self->fd[0]);
	close(self->fd[1]);
	close(self->fail);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

/* Returns how many objects were told, or -errno; *count is where faults ended. */
static int ask(const struct tnl_query *query, bool one, int fd, unsigned int n,
	       unsigned int *count)
{
	struct tnl_list list = { 0 };
	struct tnl nl;
	int err = tnl_open(&nl);

	if (err)
		return err;
	fail(fd, n);
	err = one ? tnl_do(&nl, query, &list) : tnl_dump(&nl, query, &list);
	*count = ends(fd, n);
	if (!err)
		err = list.n;
	tnl_free(&list);
	tnl_close(&nl);
	return err;
}

TEST_F_TIMEOUT(question, each_fault, 600)
{
	unsigned int count, n = 0, failed = 0;
	int expected, got;

	expected = ask(&self->query, variant->one, self->fail, MANY, &count);
	ASSERT_LT(0, expected);
	do {
		n++;
		got = ask(&self->query, variant->one, self->fail, n, &count);
		EXPECT_TRUE(got == expected || is_fault(got)) {
			TH_LOG("fault %u: %d, not %d", n, got, expected);
		}
		failed += got < 0;
	} while (count == n && n < MANY);
	TH_LOG("%u faults, %u answers failed", n - 1, failed);
	EXPECT_LT(0, failed);
	EXPECT_EQ(expected, ask(&self->query, variant->one, self->fail, MANY, &count));
}

TEST_HARNESS_MAIN
