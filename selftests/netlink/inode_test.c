// SPDX-License-Identifier: GPL-2.0
/* Inodes: all of them, each with what the server said, and its names. */
#include <dirent.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "test_util.h"

FIXTURE(inode) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
};

FIXTURE_VARIANT(inode) {
	unsigned int nr_files;
	unsigned int timeout;	/* ms */
	uint64_t flags;
};

FIXTURE_VARIANT_ADD(inode, few) {
	.nr_files = 8,
	.timeout = 3600000,
};

/* More than fits a message, or ten. */
FIXTURE_VARIANT_ADD(inode, many) {
	.nr_files = 2000,
	.timeout = 3600000,
	.flags = FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO,
};

FIXTURE_VARIANT_ADD(inode, nothing_is_cached) {
	.nr_files = 8,
	.timeout = 0,
};

FIXTURE_SETUP(inode)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	config.nr_files = variant->nr_files;
	config.entry_ms = variant->timeout;
	config.attr_ms = variant->timeout;
	config.init.flags = variant->flags;
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
}

FIXTURE_TEARDOWN(inode)
{
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

/* Looks up everything in a directory of the mount. */
static int list_dir(const struct rawfs *fs, const char *name)
{
	char path[1024];
	struct dirent *d;
	struct stat st;
	DIR *dir = opendir(test_path(fs, name));
	int n = 0;

	if (!dir)
		return -errno;
	while ((d = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s/%s", fs->dir, name,
			 d->d_name);
		if (lstat(path, &st))
			return -errno;
		n++;
	}
	closedir(dir);
	return n;
}

static int dump(FIXTURE_DATA(inode) *self, struct tnl_list *list)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_INODE,
			       .conn_id = self->id };

	return tnl_dump(&self->nl, &q, list);
}

static int get(FIXTURE_DATA(inode) *self, const char *path,
	       struct tnl_list *list)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_INODE,
			       .conn_id = self->id };

	q.nodeid = rawfs_nodeid(rawfs_index(self->fs, path));
	return tnl_do(&self->nl, &q, list);
}

/* Counts what differs, and says it. */
#define SAME(attr, get, expected)					\
	({								\
		uint64_t _is = get(obj, attr), _expected = expected;	\
									\
		if (_is != _expected)					\
			printf("# node %#llx: " #attr " is %llu, not %llu\n", \
			       (unsigned long long)rawfs_nodeid(n),	\
			       (unsigned long long)_is,			\
			       (unsigned long long)_expected);		\
		differ += _is != _expected;				\
	})

static int compare(const struct rawfs *fs, const struct tnl_obj *obj,
		   uint32_t n, unsigned int timeout)
{
	const struct rawfs_node *node = &fs->nodes[n];
	const struct fuse_attr *a = &node->attr;
	uint64_t valid;
	int differ = 0;

	SAME(FUSECR_INODE_NODEID, tnl_u64, rawfs_nodeid(n));
	SAME(FUSECR_INODE_GENERATION, tnl_u64, n ? node->generation : 0);
	SAME(FUSECR_INODE_NLOOKUP, tnl_u64, n ? node->nlookup : 1);
	SAME(FUSECR_INODE_ORIG_INO, tnl_u64, a->ino);
	SAME(FUSECR_INODE_MODE, tnl_u32, a->mode);
	SAME(FUSECR_INODE_UID, tnl_u32, a->uid);
	SAME(FUSECR_INODE_GID, tnl_u32, a->gid);
	SAME(FUSECR_INODE_NLINK, tnl_u32, a->nlink);
	SAME(FUSECR_INODE_SIZE, tnl_u64, a->size);
	SAME(FUSECR_INODE_BLOCKS, tnl_u64, a->blocks);
	SAME(FUSECR_INODE_BLKBITS, tnl_u32, 12);
	SAME(FUSECR_INODE_ATIME, tnl_u64, a->atime);
	SAME(FUSECR_INODE_ATIME_NSEC, tnl_u32, a->atimensec);
	SAME(FUSECR_INODE_MTIME, tnl_u64, a->mtime);
	SAME(FUSECR_INODE_MTIME_NSEC, tnl_u32, a->mtimensec);
	SAME(FUSECR_INODE_CTIME, tnl_u64, a->ctime);
	SAME(FUSECR_INODE_CTIME_NSEC, tnl_u32, a->ctimensec);
	SAME(FUSECR_INODE_DIRTY_PAGES, tnl_u32, 0);
	SAME(FUSECR_INODE_WRITEBACK_PAGES, tnl_u32, 0);
	SAME(FUSECR_INODE_FLAGS, tnl_u32, 0);
	if (S_ISCHR(a->mode))
		SAME(FUSECR_INODE_RDEV, tnl_u32, 0x103);
	valid = tnl_u64(obj, FUSECR_INODE_ATTR_VALID);
	if (valid > timeout || (timeout && valid + 60000 < timeout)) {
		printf("# node %#llx: attributes valid for %llu ms\n",
		       (unsigned long long)rawfs_nodeid(n),
		       (unsigned long long)valid);
		differ++;
	}
	return differ;
}

/* Whether it has this name, which stands @n-th or anywhere. */
static bool has_name(const struct tnl_obj *obj, uint32_t parent,
		     const char *name, bool unhashed)
{
	unsigned int n;

	for (n = 0; tnl_attr(obj, FUSECR_INODE_NAME, n); n++) {
		struct tnl_obj nest = tnl_nest(obj, FUSECR_INODE_NAME, n);

		if (tnl_u64(&nest, FUSECR_NAME_PARENT) == rawfs_nodeid(parent) &&
		    tnl_is(&nest, FUSECR_NAME_NAME, name) &&
		    tnl_u8(&nest, FUSECR_NAME_UNHASHED) == unhashed)
			return true;
	}
	return false;
}

static unsigned int nr_names(const struct tnl_obj *obj)
{
	unsigned int n = 0;

	while (tnl_attr(obj, FUSECR_INODE_NAME, n))
		n++;
	return n;
}

/* Exactly what the server has given, as it was given. */
TEST_F(inode, all_are_told)
{
	unsigned int differ = 0, missing = 0, expected = 1, names = 0;
	const struct tnl_obj *obj;
	struct tnl_list list;
	uint32_t n;

	ASSERT_LT(0, list_dir(self->fs, "."));
	ASSERT_LT(0, list_dir(self->fs, "dir1"));
	ASSERT_EQ(0, dump(self, &list));
	for (n = 0; n < self->fs->nr_nodes; n++) {
		if (n && !self->fs->nodes[n].nlookup)
			continue;
		expected += !!n;
		obj = tnl_find64(&list, FUSECR_INODE_NODEID, rawfs_nodeid(n));
		if (!obj) {
			missing++;
			continue;
		}
		differ += compare(self->fs, obj, n, variant->timeout);
	}
	EXPECT_EQ(expected, list.n);
	EXPECT_EQ(0, missing);
	EXPECT_EQ(0, differ);
	for (n = 0; n < self->fs->nr_names; n++) {
		const struct rawfs_name *name = &self->fs->names[n];

		if (!name->used || !self->fs->nodes[name->node].nlookup)
			continue;
		obj = tnl_find64(&list, FUSECR_INODE_NODEID,
				 rawfs_nodeid(name->node));
		names += !has_name(obj, name->parent, name->name, false);
	}
	EXPECT_EQ(0, names);
	tnl_free(&list);
}

/* A dump and a get say the same. */
TEST_F(inode, one_at_a_time)
{
	struct tnl_list list;
	int n = rawfs_index(self->fs, "dir0/f3");

	ASSERT_EQ(-ENOENT, get(self, "dir0/f3", &list));
	tnl_free(&list);
	ASSERT_EQ(0, test_stat((void *)test_path(self->fs, "dir0/f3")));
	ASSERT_EQ(0, get(self, "dir0/f3", &list));
	ASSERT_EQ(1, list.n);
	EXPECT_EQ(0, compare(self->fs, &list.v[0], n, variant->timeout));
	EXPECT_EQ(1, nr_names(&list.v[0]));
	EXPECT_TRUE(has_name(&list.v[0], rawfs_index(self->fs, "dir0"), "f3",
			     false));
	tnl_free(&list);
	ASSERT_EQ(0, get(self, "", &list));
	EXPECT_EQ(1, tnl_u64(&list.v[0], FUSECR_INODE_NODEID));
	EXPECT_EQ(0, nr_names(&list.v[0]));
	tnl_free(&list);
}

TEST_F(inode, hard_links_are_names_of_one)
{
	struct tnl_list list;

	ASSERT_EQ(0, test_stat((void *)test_path(self->fs, "twin")));
	ASSERT_EQ(0, get(self, "f0", &list));
	EXPECT_EQ(1, nr_names(&list.v[0]));
	EXPECT_TRUE(has_name(&list.v[0], RAWFS_ROOT, "twin", false));
	tnl_free(&list);
	ASSERT_EQ(0, test_stat((void *)test_path(self->fs, "f0")));
	ASSERT_EQ(0, get(self, "f0", &list));
	EXPECT_EQ(2, nr_names(&list.v[0]));
	EXPECT_TRUE(has_name(&list.v[0], RAWFS_ROOT, "twin", false));
	EXPECT_TRUE(has_name(&list.v[0], RAWFS_ROOT, "f0", false));
	EXPECT_EQ(2, tnl_u64(&list.v[0], FUSECR_INODE_NLOOKUP));
	tnl_free(&list);
}

TEST_F(inode, many_links_are_cut_short)
{
	struct tnl_list list;
	char name[32];
	int i;

	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "link%d", i);
		ASSERT_EQ(0, link(test_path(self->fs, "f1"),
				  test_path(self->fs, name)));
	}
	ASSERT_EQ(0, get(self, "f1", &list));
	EXPECT_LT(0, nr_names(&list.v[0]));
	EXPECT_GT(101, nr_names(&list.v[0]));
	EXPECT_TRUE(tnl_u32(&list.v[0], FUSECR_INODE_FLAGS) &
		    FUSECR_INODE_MORE_NAMES);
	tnl_free(&list);
}

TEST_F(inode, unlinked_and_renamed)
{
	const struct rawfs_node *node;
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_INODE,
			       .conn_id = self->id };
	struct tnl_list list;
	int fd, n = rawfs_index(self->fs, "f2");

	fd = open(test_path(self->fs, "f2"), O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, unlink(test_path(self->fs, "f2")));
	q.nodeid = rawfs_nodeid(n);
	node = &self->fs->nodes[n];
	ASSERT_EQ(0, tnl_do(&self->nl, &q, &list));
	EXPECT_EQ(FUSECR_INODE_UNLINKED,
		  tnl_u32(&list.v[0], FUSECR_INODE_FLAGS));
	EXPECT_EQ(0, tnl_u32(&list.v[0], FUSECR_INODE_NLINK));
	EXPECT_EQ(node->nlookup, tnl_u64(&list.v[0], FUSECR_INODE_NLOOKUP));
	EXPECT_TRUE(has_name(&list.v[0], RAWFS_ROOT, "f2", true));
	tnl_free(&list);
	close(fd);

	ASSERT_EQ(0, rename(test_path(self->fs, "f3"),
			    test_path(self->fs, "dir0/new")));
	ASSERT_EQ(0, get(self, "dir0/new", &list));
	EXPECT_EQ(1, nr_names(&list.v[0]));
	EXPECT_TRUE(has_name(&list.v[0], rawfs_index(self->fs, "dir0"), "new",
			     false));
	tnl_free(&list);
}

/* fuse takes the sticky bit out of i_mode unless it checks permissions. */
TEST_F(inode, sticky_bit_is_told)
{
	struct tnl_list list;

	ASSERT_EQ(0, chmod(test_path(self->fs, "dir0"), 01777));
	ASSERT_EQ(0, get(self, "dir0", &list));
	EXPECT_EQ(S_IFDIR | 01777, tnl_u32(&list.v[0], FUSECR_INODE_MODE));
	tnl_free(&list);
}

TEST_F(inode, locks_and_watches)
{
	struct tnl_list list;
	int fd, watch;

	fd = open(test_path(self->fs, "f1"), O_RDWR);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, get(self, "f1", &list));
	EXPECT_EQ(0, tnl_u32(&list.v[0], FUSECR_INODE_FLAGS));
	tnl_free(&list);
	ASSERT_EQ(0, flock(fd, LOCK_EX));
	ASSERT_EQ(0, get(self, "f1", &list));
	EXPECT_EQ(FUSECR_INODE_LOCKED, tnl_u32(&list.v[0], FUSECR_INODE_FLAGS));
	tnl_free(&list);
	ASSERT_EQ(0, flock(fd, LOCK_UN));
	watch = inotify_init();
	ASSERT_LE(0, inotify_add_watch(watch, test_path(self->fs, "f1"),
				       IN_MODIFY));
	ASSERT_EQ(0, get(self, "f1", &list));
	EXPECT_EQ(FUSECR_INODE_WATCHED,
		  tnl_u32(&list.v[0], FUSECR_INODE_FLAGS));
	tnl_free(&list);
	close(watch);
	close(fd);
}

FIXTURE(dirty) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
};

FIXTURE_SETUP(dirty)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	config.init.flags = FUSE_WRITEBACK_CACHE | FUSE_BIG_WRITES;
	ASSERT_EQ(0, test_own_mounts());
	self->fs = rawfs_up(&config, false);
	ASSERT_NE(NULL, self->fs);
	ASSERT_EQ(0, rawfs_wait_init(self->fs));
	ASSERT_EQ(0, test_keep_dirty(self->fs));
	ASSERT_EQ(0, tnl_open(&self->nl));
	self->id = tnl_conn_id(&self->nl, self->fs->dev);
}

FIXTURE_TEARDOWN(dirty)
{
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

static uint32_t pages(FIXTURE_DATA(dirty) *self, uint16_t attr)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_INODE,
			       .conn_id = self->id };
	uint32_t value = UINT32_MAX;
	struct tnl_list list;

	q.nodeid = rawfs_nodeid(rawfs_index(self->fs, "f7"));
	if (tnl_do(&self->nl, &q, &list) == 0)
		value = tnl_u32(&list.v[0], attr);
	tnl_free(&list);
	return value;
}

TEST_F(dirty, pages_are_counted)
{
	char data[5 * 4096] = "";
	int fd = open(test_path(self->fs, "f7"), O_RDWR);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, pages(self, FUSECR_INODE_DIRTY_PAGES));
	/* Not from the start, nor at once: there may be large folios. */
	ASSERT_EQ(sizeof(data), pwrite(fd, data, sizeof(data), 4096));
	EXPECT_LE(5, pages(self, FUSECR_INODE_DIRTY_PAGES));
	EXPECT_EQ(0, pages(self, FUSECR_INODE_WRITEBACK_PAGES));

	rawfs_hold(self->fs, FUSE_WRITE);
	ASSERT_EQ(0, sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_WRITE, 1));
	EXPECT_EQ(0, pages(self, FUSECR_INODE_DIRTY_PAGES));
	EXPECT_LE(5, pages(self, FUSECR_INODE_WRITEBACK_PAGES));
	rawfs_release(self->fs, FUSE_WRITE);
	ASSERT_EQ(0, fsync(fd));
	EXPECT_EQ(0, pages(self, FUSECR_INODE_WRITEBACK_PAGES));
	close(fd);
}

TEST_HARNESS_MAIN
