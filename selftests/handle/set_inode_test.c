// SPDX-License-Identifier: GPL-2.0
/* Lookup counts, and FORGETs of what the kernel does not hold. */
#include <sched.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "test_handle.h"
#include "test_util.h"

FIXTURE(set_inode) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	int fd;
	uint32_t index;		/* of the node that the test is about */
	struct rawfs_node *node;
	uint64_t nodeid;
};

FIXTURE_SETUP(set_inode)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	config.entry_ms = 0;
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
	self->fd = th_attach(self->id);
	ASSERT_LE(0, self->fd);
	self->index = rawfs_index(self->fs, "dir1/f2");
	self->node = &self->fs->nodes[self->index];
	self->nodeid = rawfs_nodeid(self->index);
	ASSERT_EQ(0, test_stat((void *)test_path(self->fs, "dir1/f2")));
}

FIXTURE_TEARDOWN(set_inode)
{
	close(self->fd);
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

static uint64_t nlookup(struct tnl *nl, uint64_t id, uint64_t nodeid)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_INODE, .conn_id = id,
			       .nodeid = nodeid };
	struct tnl_list list;
	uint64_t n = UINT64_MAX;

	if (tnl_do(nl, &q, &list) == 0)
		n = tnl_u64(&list.v[0], FUSECR_INODE_NLOOKUP);
	tnl_free(&list);
	return n;
}

TEST_F(set_inode, close_puts_back)
{
	ASSERT_EQ(1, nlookup(&self->nl, self->id, self->nodeid));
	ASSERT_EQ(0, th_set_inode(self->fd, self->nodeid, 1ULL << 40));
	EXPECT_EQ(1ULL << 40, nlookup(&self->nl, self->id, self->nodeid));
	ASSERT_EQ(0, th_set_inode(self->fd, self->nodeid, 7));
	EXPECT_EQ(7, nlookup(&self->nl, self->id, self->nodeid));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(1, nlookup(&self->nl, self->id, self->nodeid));
}

/* What the server gives while the handle is open is not lost. */
TEST_F(set_inode, lookups_meanwhile_count)
{
	ASSERT_EQ(0, th_set_inode(self->fd, self->nodeid, 100));
	ASSERT_EQ(0, test_stat((void *)test_path(self->fs, "dir1/f2")));
	ASSERT_EQ(0, test_stat((void *)test_path(self->fs, "dir1/f2")));
	EXPECT_EQ(102, nlookup(&self->nl, self->id, self->nodeid));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(3, nlookup(&self->nl, self->id, self->nodeid));
	EXPECT_EQ(3, self->node->nlookup);
}

TEST_F(set_inode, commit_is_what_is_forgotten)
{
	int i;

	/* As a server that gave more lookups than this kernel knows of. */
	self->node->nlookup = 50;
	ASSERT_EQ(0, th_set_inode(self->fd, self->nodeid, 50));
	ASSERT_EQ(0, th_commit(self->fd));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(50, nlookup(&self->nl, self->id, self->nodeid));
	for (i = 0; i < 1000 && self->node->nlookup; i++, sched_yield())
		ASSERT_EQ(0, test_drop_caches());
	ASSERT_EQ(0, rawfs_wait_nlookup(self->fs, self->index, 0));
	EXPECT_EQ(UINT64_MAX, nlookup(&self->nl, self->id, self->nodeid));
}

TEST_F(set_inode, unknown_node_is_refused)
{
	EXPECT_EQ(-ENOENT, th_set_inode(self->fd, 0, 1));
	EXPECT_EQ(-ENOENT, th_set_inode(self->fd, self->nodeid + 1, 1));
	/* Known to the server only. */
	EXPECT_EQ(-ENOENT, th_set_inode(self->fd, rawfs_nodeid(3), 1));
}

/* The inode is kept as long as something is to be put back in it. */
TEST_F(set_inode, inode_stays_until_undone)
{
	int i;

	ASSERT_EQ(0, th_set_inode(self->fd, self->nodeid, 9));
	ASSERT_EQ(0, test_drop_caches());
	EXPECT_EQ(9, nlookup(&self->nl, self->id, self->nodeid));
	close(self->fd);
	self->fd = -1;
	/* The handle's reference is dropped by a worker. */
	for (i = 0; i < 1000 && self->node->nlookup; i++, sched_yield())
		ASSERT_EQ(0, test_drop_caches());
	ASSERT_EQ(0, rawfs_wait_nlookup(self->fs, self->index, 0));
	EXPECT_EQ(UINT64_MAX, nlookup(&self->nl, self->id, self->nodeid));
}

/*
 * The handle is the last user of a detached mount, and of its inodes: those go
 * before the mount does. A kernel that sees them go later says so, which the
 * virtual machine takes for a failure; whether it is seen is a matter of luck.
 */
TEST_F(set_inode, last_user_of_all)
{
	struct rawfs_config config = self->fs->config;
	char name[32];
	int i, n;

	for (n = 0; n < 40; n++) {
		uint64_t id;
		struct rawfs *fs = rawfs_up(&config, false);
		int fd;

		ASSERT_NE(NULL, fs);
		ASSERT_EQ(0, rawfs_wait_init(fs));
		id = tnl_conn_id(&self->nl, fs->dev);
		fd = th_attach(id);
		ASSERT_LE(0, fd);
		for (i = 0; i < (int)config.nr_files; i++) {
			snprintf(name, sizeof(name), "f%d", i);
			ASSERT_EQ(0, test_stat((void *)test_path(fs, name)));
			ASSERT_EQ(0, th_set_inode(fd, rawfs_nodeid(
						rawfs_index(fs, name)), 5));
		}
		ASSERT_EQ(0, test_drop_caches());
		ASSERT_EQ(0, rawfs_umount(fs));
		close(fd);
		ASSERT_EQ(0, rawfs_down(fs));
	}
}

static uint64_t forgets(struct rawfs *fs)
{
	return fs->nr_op[FUSE_FORGET] + fs->nr_op[FUSE_BATCH_FORGET];
}

TEST_F(set_inode, forget_is_sent_by_commit)
{
	uint64_t before = forgets(self->fs);
	struct rawfs_node *other = &self->fs->nodes[2];
	struct rawfs_node *later = &self->fs->nodes[3];

	self->node->nlookup = 20;
	other->nlookup = 5;
	later->nlookup = 2;
	ASSERT_EQ(0, th_forget(self->fd, self->nodeid, 12));
	ASSERT_EQ(0, th_forget(self->fd, rawfs_nodeid(2), 5));
	ASSERT_EQ(0, th_forget(self->fd, self->nodeid, 7));
	/* A request that comes after them would be behind them. */
	ASSERT_EQ(0, test_stat((void *)test_path(self->fs, "dir1")));
	EXPECT_EQ(before, forgets(self->fs));
	EXPECT_EQ(20, self->node->nlookup);

	ASSERT_EQ(0, rawfs_stop(self->fs));
	ASSERT_EQ(0, th_commit(self->fd));
	/* Behind those that are queued already. */
	ASSERT_EQ(0, th_forget(self->fd, rawfs_nodeid(3), 2));
	ASSERT_EQ(0, th_commit(self->fd));
	ASSERT_EQ(0, rawfs_cont(self->fs));
	ASSERT_EQ(0, rawfs_wait_nlookup(self->fs, self->index, 1));
	EXPECT_EQ(0, other->nlookup);
	EXPECT_EQ(0, later->nlookup);
	/* Queued together, read together. */
	EXPECT_EQ(1, self->fs->nr_op[FUSE_BATCH_FORGET]);
	/* They are not sent again. */
	ASSERT_EQ(0, th_commit(self->fd));
	ASSERT_EQ(0, test_stat((void *)test_path(self->fs, "dir1")));
	EXPECT_EQ(1, self->node->nlookup);
}

TEST_F(set_inode, forget_without_commit_is_none)
{
	uint64_t before = forgets(self->fs);

	ASSERT_EQ(0, th_forget(self->fd, self->nodeid, 1));
	close(self->fd);
	self->fd = -1;
	ASSERT_EQ(0, test_stat((void *)test_path(self->fs, "dir1")));
	EXPECT_EQ(before, forgets(self->fs));
	EXPECT_EQ(1, self->node->nlookup);
}

TEST_F(set_inode, forget_of_nothing_is_refused)
{
	EXPECT_EQ(-EINVAL, th_forget(self->fd, 0, 1));
	EXPECT_EQ(-EINVAL, th_forget(self->fd, FUSE_ROOT_ID, 1));
	EXPECT_EQ(-EINVAL, th_forget(self->fd, self->nodeid, 0));
}

TEST_HARNESS_MAIN
