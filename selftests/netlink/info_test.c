// SPDX-License-Identifier: GPL-2.0
/* Who may ask, and what is refused. */
#include <linux/capability.h>
#include <linux/genetlink.h>
#include <sched.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "test_util.h"

FIXTURE(info) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
};

FIXTURE_SETUP(info)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
}

FIXTURE_TEARDOWN(info)
{
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

TEST_F(info, says_what_it_is)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_INFO };
	struct tnl_list list;
	struct stat st;

	ASSERT_EQ(0, tnl_do(&self->nl, &q, &list));
	ASSERT_EQ(1, list.n);
	EXPECT_STRNE("", tnl_str(&list.v[0], FUSECR_INFO_VERSION));
	EXPECT_EQ(0, stat(tnl_str(&list.v[0], FUSECR_INFO_BTF), &st));
	EXPECT_TRUE(tnl_has(&list.v[0], FUSECR_INFO_FEATURES));
	EXPECT_TRUE(tnl_u64(&list.v[0], FUSECR_INFO_KNOWN_FLAGS) &
		    FUSE_DO_READDIRPLUS);
	tnl_free(&list);
}

/* Every question there is, as it is asked rightly. */
static const struct {
	struct tnl_query q;
	bool dump;
	bool conn;		/* wants a connection */
	bool admin;		/* not of who has CAP_CHECKPOINT_RESTORE only */
} questions[] = {
	{ .q.cmd = FUSECR_CMD_GET_INFO },
	{ .q.cmd = FUSECR_CMD_GET_CONN, .conn = true },
	{ .q.cmd = FUSECR_CMD_GET_CONN, .dump = true },
	{ .q.cmd = FUSECR_CMD_GET_DEV, .dump = true },
	{ .q.cmd = FUSECR_CMD_GET_REQ, .dump = true, .conn = true, .admin = true },
	{ .q.cmd = FUSECR_CMD_GET_INODE, .q.nodeid = 1, .conn = true },
	{ .q.cmd = FUSECR_CMD_GET_INODE, .dump = true, .conn = true },
	{ .q.cmd = FUSECR_CMD_GET_FILE, .dump = true },
	{ .q.cmd = FUSECR_CMD_GET_BACKING, .dump = true, .conn = true },
	{ .q.cmd = FUSECR_CMD_OPEN_HANDLE, .admin = true },
};

static int ask(struct tnl *nl, unsigned int n, uint64_t id,
	       struct tnl_list *list)
{
	struct tnl_query q = questions[n].q;

	if (questions[n].conn)
		q.conn_id = id;
	return questions[n].dump ? tnl_dump(nl, &q, list) :
		tnl_do(nl, &q, list);
}

/* Who asks, and what all the questions are answered with. */
struct asker {
	uid_t uid;
	uint64_t capabilities;
	int unshare;
	uint64_t id;
	int expected;
	int admin_expected;	/* of those that an administrator asks */
};

/* 0 when everything was answered as expected, else the question's number. */
static int ask_all(void *arg)
{
	const struct asker *asker = arg;
	struct tnl_list list;
	struct tnl nl;
	unsigned int n;
	int err, expected;

	if (asker->unshare && unshare(asker->unshare))
		return -EXDEV;
	if (asker->uid && test_drop(asker->uid, asker->capabilities))
		return -EXDEV;
	if (tnl_open(&nl))
		return -EXDEV;
	for (n = 0; n < ARRAY_SIZE(questions); n++) {
		err = ask(&nl, n, asker->id, &list);
		expected = questions[n].admin ? asker->admin_expected :
			asker->expected;
		if (err != expected || (err && list.n) ||
		    (err && !*nl.error)) {
			printf("# question %u: %d, %zu objects, \"%s\"\n", n,
			       err, list.n, nl.error);
			return n + 1;
		}
		tnl_free(&list);
	}
	tnl_close(&nl);
	return 0;
}

FIXTURE(asker) {
	struct rawfs *fs;
	struct tnl nl;
};

FIXTURE_VARIANT(asker) {
	struct asker asker;
};

FIXTURE_VARIANT_ADD(asker, root) { };

FIXTURE_VARIANT_ADD(asker, nobody) {
	.asker = { .uid = 65534, .expected = -EPERM, .admin_expected = -EPERM },
};

FIXTURE_VARIANT_ADD(asker, all_other_capabilities) {
	.asker = {
		.uid = 65534,
		.capabilities = ((1ULL << (CAP_LAST_CAP + 1)) - 1) &
			~(1ULL << CAP_SYS_ADMIN |
			  1ULL << CAP_CHECKPOINT_RESTORE),
		.expected = -EPERM, .admin_expected = -EPERM,
	},
};

FIXTURE_VARIANT_ADD(asker, checkpoint_restore) {
	.asker = {
		.uid = 65534,
		.capabilities = 1ULL << CAP_CHECKPOINT_RESTORE,
		.admin_expected = -EPERM,
	},
};

FIXTURE_VARIANT_ADD(asker, sys_admin) {
	.asker = { .uid = 65534, .capabilities = 1ULL << CAP_SYS_ADMIN },
};

FIXTURE_VARIANT_ADD(asker, user_namespace) {
	.asker = { .unshare = CLONE_NEWUSER, .expected = -EPERM, .admin_expected = -EPERM },
};

FIXTURE_VARIANT_ADD(asker, user_and_net_namespace) {
	.asker = { .unshare = CLONE_NEWUSER | CLONE_NEWNET,
		   .expected = -EPERM, .admin_expected = -EPERM },
};

FIXTURE_VARIANT_ADD(asker, net_namespace) {
	.asker = { .unshare = CLONE_NEWNET },
};

FIXTURE_SETUP(asker)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	ASSERT_EQ(0, test_own_mounts());
	self->fs = rawfs_up(&config, false);
	ASSERT_NE(NULL, self->fs);
	ASSERT_EQ(0, tnl_open(&self->nl));
}

FIXTURE_TEARDOWN(asker)
{
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

TEST_F(asker, every_question)
{
	struct asker asker = variant->asker;
	struct test_client client;

	asker.id = tnl_conn_id(&self->nl, self->fs->dev);
	ASSERT_NE(0, asker.id);
	ASSERT_EQ(0, test_client_start(&client, ask_all, &asker));
	EXPECT_EQ(0, test_client_wait(&client));
}

/* A socket that root opened is of no use to someone else who sends. */
static int send_as_nobody(void *arg)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_CONN };
	struct tnl_list list;

	if (test_drop(65534, 0))
		return -EXDEV;
	return tnl_dump(arg, &q, &list);
}

TEST_F(info, sender_counts_as_well)
{
	struct test_client client;

	ASSERT_EQ(0, test_client_start(&client, send_as_nobody, &self->nl));
	EXPECT_EQ(-EPERM, test_client_wait(&client));
}

static const uint8_t eight[8] = { 1 };

FIXTURE(bad) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
};

FIXTURE_VARIANT(bad) {
	struct tnl_query q;
	bool dump;
	bool conn;
	int expected;
	bool told;		/* a sentence comes with it */
};

FIXTURE_VARIANT_ADD(bad, unknown_command) {
	.q = { .cmd = FUSECR_CMD_MAX + 1 },
	.expected = -EOPNOTSUPP,
};

FIXTURE_VARIANT_ADD(bad, no_command) {
	.q = { .cmd = 0 },
	.expected = -EOPNOTSUPP,
};

FIXTURE_VARIANT_ADD(bad, dump_of_a_handle) {
	.q = { .cmd = FUSECR_CMD_OPEN_HANDLE },
	.dump = true,
	.expected = -EOPNOTSUPP,
};

FIXTURE_VARIANT_ADD(bad, dump_of_info) {
	.q = { .cmd = FUSECR_CMD_GET_INFO },
	.dump = true,
	.expected = -EOPNOTSUPP,
};

FIXTURE_VARIANT_ADD(bad, get_without_connection) {
	.q = { .cmd = FUSECR_CMD_GET_CONN },
	.expected = -EINVAL,
	.told = true,
};

FIXTURE_VARIANT_ADD(bad, get_of_no_connection) {
	.q = { .cmd = FUSECR_CMD_GET_CONN, .conn_id = 0x1234 },
	.expected = -ENOENT,
	.told = true,
};

FIXTURE_VARIANT_ADD(bad, requests_without_connection) {
	.q = { .cmd = FUSECR_CMD_GET_REQ },
	.dump = true,
	.expected = -EINVAL,
	.told = true,
};

FIXTURE_VARIANT_ADD(bad, requests_of_no_connection) {
	.q = { .cmd = FUSECR_CMD_GET_REQ, .conn_id = 0x1234 },
	.dump = true,
	.expected = -ENOENT,
	.told = true,
};

FIXTURE_VARIANT_ADD(bad, inodes_without_connection) {
	.q = { .cmd = FUSECR_CMD_GET_INODE },
	.dump = true,
	.expected = -EINVAL,
	.told = true,
};

FIXTURE_VARIANT_ADD(bad, inodes_of_no_connection) {
	.q = { .cmd = FUSECR_CMD_GET_INODE, .conn_id = 0x1234 },
	.dump = true,
	.expected = -ENOENT,
	.told = true,
};

FIXTURE_VARIANT_ADD(bad, inode_without_nodeid) {
	.q = { .cmd = FUSECR_CMD_GET_INODE },
	.conn = true,
	.expected = -EINVAL,
	.told = true,
};

FIXTURE_VARIANT_ADD(bad, inode_that_is_not_held) {
	.q = { .cmd = FUSECR_CMD_GET_INODE, .nodeid = RAWFS_NODE_BASE + 16 },
	.conn = true,
	.expected = -ENOENT,
	.told = true,
};

FIXTURE_VARIANT_ADD(bad, files_of_no_connection) {
	.q = { .cmd = FUSECR_CMD_GET_FILE, .conn_id = 0x1234 },
	.dump = true,
	.expected = -ENOENT,
	.told = true,
};

FIXTURE_VARIANT_ADD(bad, backing_files_of_no_connection) {
	.q = { .cmd = FUSECR_CMD_GET_BACKING, .conn_id = 0x1234 },
	.dump = true,
	.expected = -ENOENT,
	.told = true,
};

FIXTURE_VARIANT_ADD(bad, files_of_no_process) {
	.q = { .cmd = FUSECR_CMD_GET_FILE, .pid = 0x3fffffff },
	.dump = true,
	.expected = -ESRCH,
	.told = true,
};

FIXTURE_VARIANT_ADD(bad, devices_of_no_process) {
	.q = { .cmd = FUSECR_CMD_GET_DEV, .pid = 0x3fffffff },
	.dump = true,
	.expected = -ESRCH,
	.told = true,
};

FIXTURE_VARIANT_ADD(bad, short_conn_id) {
	.q = { .cmd = FUSECR_CMD_GET_CONN, .raw_type = FUSECR_A_CONN_ID,
	       .raw_len = 4, .raw = eight },
	.expected = -EINVAL,
	.told = true,
};

FIXTURE_VARIANT_ADD(bad, long_pid) {
	.q = { .cmd = FUSECR_CMD_GET_FILE, .raw_type = FUSECR_A_PID,
	       .raw_len = 8, .raw = eight },
	.dump = true,
	.expected = -EINVAL,
	.told = true,
};

FIXTURE_VARIANT_ADD(bad, unknown_attribute) {
	.q = { .cmd = FUSECR_CMD_GET_CONN, .raw_type = FUSECR_A_MAX + 1,
	       .raw_len = 4, .raw = eight },
	.dump = true,
	.expected = -EINVAL,
	.told = true,
};

FIXTURE_VARIANT_ADD(bad, attribute_of_answers) {
	.q = { .cmd = FUSECR_CMD_GET_CONN, .raw_type = FUSECR_A_CONN,
	       .raw_len = 8, .raw = eight },
	.dump = true,
	.expected = -EINVAL,
	.told = true,
};

FIXTURE_VARIANT_ADD(bad, attribute_of_another_question) {
	.q = { .cmd = FUSECR_CMD_GET_CONN, .nodeid = 1 },
	.conn = true,
	.expected = -EINVAL,
	.told = true,
};

FIXTURE_SETUP(bad)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
}

FIXTURE_TEARDOWN(bad)
{
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

TEST_F(bad, is_refused)
{
	struct tnl_query q = variant->q;
	struct tnl_list list;
	int err;

	if (variant->conn)
		q.conn_id = self->id;
	err = variant->dump ? tnl_dump(&self->nl, &q, &list) :
		tnl_do(&self->nl, &q, &list);
	EXPECT_EQ(variant->expected, err);
	EXPECT_EQ(0, list.n);
	EXPECT_EQ(variant->told, *self->nl.error != 0)
		TH_LOG("\"%s\"", self->nl.error);
	tnl_free(&list);
	/* The socket is as good as before. */
	EXPECT_EQ(self->id, tnl_conn_id(&self->nl, self->fs->dev));
}

TEST_HARNESS_MAIN
