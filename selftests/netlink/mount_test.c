// SPDX-License-Identifier: GPL-2.0
/* Mount options, owners, states and counters of a connection. */
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/fanotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "kselftest_harness.h"
#include "test_util.h"

FIXTURE(mount) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	struct tnl_list list;	/* one object */
	const struct tnl_obj *obj;
};

FIXTURE_VARIANT(mount) {
	const char *options;
	unsigned long flags;
	const char *fstype;
	const char *source;
	uid_t uid;
	gid_t gid;
	uint16_t attr;
	uint64_t value;
	const char *text;
};

#define MOUNT(name, _attr, ...)						\
	FIXTURE_VARIANT_ADD(mount, name) {				\
		.attr = FUSECR_CONN_##_attr, ##__VA_ARGS__		\
	}

MOUNT(plain_allow_other, ALLOW_OTHER, .value = 0);
MOUNT(allow_other, ALLOW_OTHER, .options = "allow_other", .value = 1);
MOUNT(plain_permissions, DEFAULT_PERMISSIONS, .value = 0);
MOUNT(default_permissions, DEFAULT_PERMISSIONS,
      .options = "default_permissions", .value = 1);
MOUNT(plain_max_read, MAX_READ, .value = UINT32_MAX);
MOUNT(max_read, MAX_READ, .options = "max_read=8192", .value = 8192);
MOUNT(root_user, USER_ID, .value = 0);
MOUNT(user, USER_ID, .uid = 1000, .gid = 1001, .value = 1000);
MOUNT(group, GROUP_ID, .uid = 1000, .gid = 1001, .value = 1001);
MOUNT(plain_flags, SB_FLAGS, .value = 0);
MOUNT(read_only, SB_FLAGS, .flags = MS_RDONLY, .value = MS_RDONLY);
MOUNT(synchronous, SB_FLAGS, .flags = MS_SYNCHRONOUS, .value = MS_SYNCHRONOUS);
MOUNT(dirsync, SB_FLAGS, .flags = MS_DIRSYNC, .value = MS_DIRSYNC);
MOUNT(fstype, FSTYPE, .text = "fuse");
MOUNT(no_subtype, SUBTYPE, .text = "");
MOUNT(subtype, SUBTYPE, .fstype = "fuse.rawsub", .text = "rawsub");
MOUNT(subtype_option, SUBTYPE, .options = "subtype=other", .text = "other");
MOUNT(no_dax, DAX, .value = 0);
MOUNT(no_uring, URING, .value = 0);
MOUNT(no_submounts, SUBMOUNTS, .value = 0);

FIXTURE_SETUP(mount)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	config.options = variant->options;
	config.mount_flags = variant->flags;
	if (variant->fstype)
		config.fstype = variant->fstype;
	config.user_id = variant->uid;
	config.group_id = variant->gid;
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
	ASSERT_EQ(0, tnl_conn(&self->nl, self->id, &self->list));
	ASSERT_EQ(1, self->list.n);
	self->obj = &self->list.v[0];
}

FIXTURE_TEARDOWN(mount)
{
	tnl_free(&self->list);
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

TEST_F(mount, option_is_told)
{
	uint64_t value = tnl_u8(self->obj, variant->attr);

	if (value == UINT8_MAX)
		value = tnl_u32(self->obj, variant->attr);
	if (variant->text) {
		EXPECT_STREQ(variant->text, tnl_str(self->obj, variant->attr));
	} else {
		EXPECT_TRUE(tnl_has(self->obj, variant->attr));
		EXPECT_EQ(variant->value, value);
	}
	/* A fuse mount has no block device. */
	EXPECT_FALSE(tnl_has(self->obj, FUSECR_CONN_BLKSIZE));
}

/* The object of a dump is that of a get. */
TEST_F(mount, dump_is_the_same)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_CONN };
	const struct nlattr *one, *other;
	struct tnl_list list;
	uint16_t type;

	ASSERT_EQ(0, tnl_dump(&self->nl, &q, &list));
	for (type = 1; type < FUSECR_CONN_MAX; type++) {
		one = tnl_attr(self->obj, type, 0);
		other = tnl_attr(tnl_find64(&list, FUSECR_CONN_ID, self->id),
				 type, 0);
		EXPECT_EQ(!one, !other);
		if (one && other && one->nla_len == other->nla_len)
			EXPECT_EQ(0, memcmp(one, other, one->nla_len));
	}
	tnl_free(&list);
}

static uint32_t ns_of(pid_t pid, const char *name)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	return stat(path, &st) ? 0 : st.st_ino;
}

TEST_F(mount, namespaces_of_the_mounter)
{
	EXPECT_EQ(ns_of(getpid(), "user"),
		  tnl_u32(self->obj, FUSECR_CONN_USER_NS));
	EXPECT_EQ(ns_of(getpid(), "pid"),
		  tnl_u32(self->obj, FUSECR_CONN_PID_NS));
	EXPECT_EQ(S_IFDIR, tnl_u32(self->obj, FUSECR_CONN_ROOTMODE) & S_IFMT);
}

/* Mounts in a user namespace; says when it has, and waits. */
static int mount_in_ns(void *arg)
{
	int *fds = arg;
	struct rawfs_config config;
	struct rawfs *fs;
	uint64_t dev = 0;
	char c;

	rawfs_defaults(&config);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) ||
	    write(fds[1], &dev, sizeof(dev)) != sizeof(dev) ||
	    read(fds[2], &c, 1) != 1)
		return -EXDEV;
	config.user_id = 7;
	config.group_id = 8;
	fs = rawfs_up(&config, false);
	dev = fs ? fs->dev : 0;
	if (write(fds[1], &dev, sizeof(dev)) != sizeof(dev) ||
	    read(fds[2], &c, 1) != 1)
		return -EXDEV;
	return fs ? rawfs_down(fs) : -errno;
}

static int map_ids(pid_t pid)
{
	char path[64];
	int err;

	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	err = test_write(path, "0 0 1\n7 100007 1\n");
	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	return err ?: test_write(path, "0 0 1\n8 100008 1\n");
}

TEST_F(mount, user_namespace)
{
	struct test_client client;
	struct tnl_list list;
	int up[2], down[2], fds[3];
	uint64_t dev;

	ASSERT_EQ(0, pipe(up));
	ASSERT_EQ(0, pipe(down));
	fds[1] = up[1];
	fds[2] = down[0];
	ASSERT_EQ(0, test_client_start(&client, mount_in_ns, fds));
	ASSERT_EQ(sizeof(dev), read(up[0], &dev, sizeof(dev)));
	ASSERT_EQ(0, map_ids(client.pid));
	ASSERT_EQ(1, write(down[1], "", 1));
	ASSERT_EQ(sizeof(dev), read(up[0], &dev, sizeof(dev)));
	ASSERT_NE(0, dev);
	ASSERT_EQ(0, tnl_conn(&self->nl, tnl_conn_id(&self->nl, dev), &list));
	EXPECT_EQ(ns_of(client.pid, "user"),
		  tnl_u32(&list.v[0], FUSECR_CONN_USER_NS));
	EXPECT_NE(ns_of(getpid(), "user"),
		  tnl_u32(&list.v[0], FUSECR_CONN_USER_NS));
	/* As the initial user namespace has them. */
	EXPECT_EQ(100007, tnl_u32(&list.v[0], FUSECR_CONN_USER_ID));
	EXPECT_EQ(100008, tnl_u32(&list.v[0], FUSECR_CONN_GROUP_ID));
	tnl_free(&list);
	ASSERT_EQ(1, write(down[1], "", 1));
	EXPECT_EQ(0, test_client_wait(&client));
}

FIXTURE(state) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
};

FIXTURE_SETUP(state)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	config.init.max_background = 2;
	config.init.congestion_threshold = 2;
	config.init.flags = FUSE_ASYNC_READ;
	config.init.max_readahead = 4096;
	config.instances = 3;
	ASSERT_EQ(0, test_own_mounts());
	self->fs = rawfs_up(&config, false);
	ASSERT_NE(NULL, self->fs);
	ASSERT_EQ(0, tnl_open(&self->nl));
	self->id = tnl_conn_id(&self->nl, self->fs->dev);
	ASSERT_NE(0, self->id);
	ASSERT_EQ(0, rawfs_wait_init(self->fs));
}

FIXTURE_TEARDOWN(state)
{
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	/* Takes NULL. */
	EXPECT_EQ(0, rawfs_down(self->fs));
}

TEST_F(state, of_life_and_death)
{
	EXPECT_EQ(FUSECR_CONN_INITIALIZED | FUSECR_CONN_CONNECTED,
		  tnl_conn_value(&self->nl, self->id, FUSECR_CONN_STATE));
	EXPECT_EQ(3, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_DEV_COUNT));
	ASSERT_EQ(0, rawfs_kill(self->fs));
	ASSERT_EQ(0, test_wait_state(&self->nl, self->id,
				     FUSECR_CONN_CONNECTED, 0));
	EXPECT_EQ(FUSECR_CONN_INITIALIZED,
		  tnl_conn_value(&self->nl, self->id, FUSECR_CONN_STATE));
	EXPECT_EQ(0, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_DEV_COUNT));
	/* The mount is still there. */
	EXPECT_EQ(-ENOTCONN, test_stat((void *)test_path(self->fs, "f1")));
	ASSERT_EQ(0, rawfs_down(self->fs));
	self->fs = NULL;	/* so there is nothing left to end */
	EXPECT_EQ(0, tnl_conn_id(&self->nl, 0));
	EXPECT_EQ(UINT64_MAX, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_STATE));
}

/* fuse remembers who aborted only for servers that want to be told. */
TEST_F(state, of_an_abort)
{
	struct rawfs_config config;
	struct rawfs *told;
	uint64_t id;

	ASSERT_EQ(0, test_fusectl(self->fs, "abort"));
	EXPECT_EQ(FUSECR_CONN_INITIALIZED,
		  tnl_conn_value(&self->nl, self->id, FUSECR_CONN_STATE));
	rawfs_defaults(&config);
	config.init.flags = FUSE_ABORT_ERROR;
	/* With the device open: 7.3 forgets it with the last close. */
	told = rawfs_up(&config, true);
	ASSERT_NE(NULL, told);
	ASSERT_EQ(0, rawfs_wait_init(told));
	id = tnl_conn_id(&self->nl, told->dev);
	ASSERT_EQ(0, test_fusectl(told, "abort"));
	EXPECT_EQ(FUSECR_CONN_INITIALIZED | FUSECR_CONN_ABORTED,
		  tnl_conn_value(&self->nl, id, FUSECR_CONN_STATE));
	EXPECT_EQ(0, rawfs_down(told));
}

TEST_F(state, before_init_and_after_a_bad_one)
{
	struct rawfs_config config;
	struct rawfs *late, *bad;
	uint64_t id;

	rawfs_defaults(&config);
	late = rawfs_new(&config);
	ASSERT_NE(NULL, late);
	rawfs_hold(late, FUSE_INIT);
	ASSERT_EQ(0, mkdir("/tmp/late", 0700));
	ASSERT_EQ(0, rawfs_mount(late, "/tmp/late"));
	ASSERT_EQ(0, rawfs_start(late, false));
	ASSERT_EQ(0, rawfs_wait_held(late, FUSE_INIT, 1));
	id = tnl_conn_id(&self->nl, late->dev);
	EXPECT_EQ(FUSECR_CONN_CONNECTED,
		  tnl_conn_value(&self->nl, id, FUSECR_CONN_STATE) &
		  ~FUSECR_CONN_BLOCKED);
	EXPECT_EQ(0, tnl_conn_value(&self->nl, id, FUSECR_CONN_FLAGS));
	rawfs_release(late, FUSE_INIT);
	ASSERT_EQ(0, rawfs_wait_init(late));
	EXPECT_EQ(FUSECR_CONN_CONNECTED | FUSECR_CONN_INITIALIZED,
		  tnl_conn_value(&self->nl, id, FUSECR_CONN_STATE));
	EXPECT_EQ(0, rawfs_down(late));

	config.init.major = 99;
	bad = rawfs_up(&config, false);
	ASSERT_NE(NULL, bad);
	ASSERT_EQ(0, rawfs_wait_init(bad));
	id = tnl_conn_id(&self->nl, bad->dev);
	EXPECT_EQ(FUSECR_CONN_CONNECTED | FUSECR_CONN_ERROR,
		  tnl_conn_value(&self->nl, id, FUSECR_CONN_STATE));
	EXPECT_EQ(0, rawfs_down(bad));
}

static int read_fd(void *fd)
{
	char data[4096];

	return read(*(int *)fd, data, sizeof(data)) < 0 ? -errno : 0;
}

/* As many requests in each place as it says. */
TEST_F(state, counts_requests)
{
	struct test_client clients[4];
	char name[8];
	int i, fds[4];

	for (i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "f%d", i + 2);
		fds[i] = open(test_path(self->fs, name), O_RDONLY);
		ASSERT_LE(0, fds[i]);
	}
	rawfs_hold(self->fs, FUSE_READ);
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, test_client_start(&clients[i], read_fd, &fds[i]));
	/* The other two wait for a place in the background. */
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_READ, 2));
	EXPECT_EQ(2, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NUM_PROCESSING));
	EXPECT_EQ(0, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NUM_PENDING));
	/* fuse looks before it counts: a third may slip in. */
	EXPECT_LE(2, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NUM_BACKGROUND));
	EXPECT_GE(4, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NUM_BACKGROUND));
	EXPECT_LE(2, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NUM_WAITING));
	EXPECT_TRUE(tnl_conn_value(&self->nl, self->id, FUSECR_CONN_STATE) &
		    FUSECR_CONN_BLOCKED);
	rawfs_release(self->fs, FUSE_READ);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, test_client_wait(&clients[i]));
	EXPECT_EQ(0, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NUM_BACKGROUND));
	EXPECT_FALSE(tnl_conn_value(&self->nl, self->id, FUSECR_CONN_STATE) &
		     FUSECR_CONN_BLOCKED);
	for (i = 0; i < 4; i++)
		close(fds[i]);
}

/* In the namespace or in none. */
TEST_F(state, counts_mounts)
{
	int tree;

	EXPECT_EQ(1, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NUM_MOUNTS));
	tree = syscall(SYS_open_tree, AT_FDCWD, test_path(self->fs, "."),
		       OPEN_TREE_CLONE);
	ASSERT_LE(0, tree);
	EXPECT_EQ(2, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NUM_MOUNTS));
	close(tree);
	EXPECT_EQ(1, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NUM_MOUNTS));
}

static int is_watched(FIXTURE_DATA(state) *self)
{
	struct tnl_list list;
	int watched = -1;

	if (!tnl_conn(&self->nl, self->id, &list) && list.n == 1)
		watched = tnl_u8(&list.v[0], FUSECR_CONN_WATCHED);
	tnl_free(&list);
	return watched;
}

/* Marks on nodes and on mounts are not marks on all of it. */
TEST_F(state, of_fanotify)
{
	static const struct {
		unsigned int what;
		int watched;
	} marks[] = {
		{ FAN_MARK_INODE, 0 }, { FAN_MARK_MOUNT, 0 },
		{ FAN_MARK_FILESYSTEM, 1 },
	};
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(marks); i++) {
		fd = fanotify_init(FAN_CLASS_NOTIF, O_RDONLY);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, fanotify_mark(fd, FAN_MARK_ADD | marks[i].what,
					   FAN_MODIFY, AT_FDCWD,
					   test_path(self->fs, "f1")));
		EXPECT_EQ(marks[i].watched, is_watched(self));
		close(fd);
		EXPECT_EQ(0, is_watched(self));
	}
}

TEST_F(state, counts_on)
{
	uint64_t unique, kh, version, inodes;
	int fd;

	ASSERT_EQ(0, test_stat((void *)test_path(self->fs, "f1")));
	unique = tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NEXT_UNIQUE);
	EXPECT_EQ(self->fs->log[self->fs->requests - 1].unique, unique);
	kh = tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NEXT_KH);
	version = tnl_conn_value(&self->nl, self->id, FUSECR_CONN_ATTR_VERSION);
	inodes = tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NUM_INODES);
	EXPECT_EQ(2, inodes);
	fd = open(test_path(self->fs, "f2"), O_RDONLY);
	ASSERT_LE(0, fd);
	/* LOOKUP and OPEN. */
	EXPECT_EQ(unique + 4,
		  tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NEXT_UNIQUE));
	EXPECT_EQ(kh + 1, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NEXT_KH));
	EXPECT_EQ(inodes + 1,
		  tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NUM_INODES));
	ASSERT_EQ(0, fchmod(fd, 0600));
	EXPECT_LT(version,
		  tnl_conn_value(&self->nl, self->id, FUSECR_CONN_ATTR_VERSION));
	close(fd);
}

TEST_F(state, counts_forgets)
{
	ASSERT_EQ(0, test_stat((void *)test_path(self->fs, "dir0/f1")));
	ASSERT_EQ(0, rawfs_stop(self->fs));
	ASSERT_EQ(0, test_drop_caches());
	EXPECT_EQ(2, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NUM_FORGETS));
	ASSERT_EQ(0, rawfs_cont(self->fs));
	ASSERT_EQ(0, rawfs_wait_nlookup(self->fs, rawfs_index(self->fs,
							"dir0/f1"), 0));
}

static const char loop_setup[] =
	"modprobe -q loop; truncate -s 1M /tmp/rawfs.img && losetup -f --show /tmp/rawfs.img >/tmp/rawfs.loop";

/* A block device below: its own type, source and block size. */
TEST_F(state, of_a_block_device)
{
	struct rawfs_config config;
	char device[64] = "";
	struct tnl_list list;
	struct rawfs *fs;
	FILE *f;

	if (system(loop_setup))
		SKIP(return, "no loop device");
	f = fopen("/tmp/rawfs.loop", "r");
	ASSERT_NE(NULL, f);
	ASSERT_EQ(1, fscanf(f, "%63s", device));
	fclose(f);
	rawfs_defaults(&config);
	config.fstype = "fuseblk";
	config.source = device;
	config.options = "blksize=1024";
	fs = rawfs_up(&config, false);
	ASSERT_NE(NULL, fs);
	ASSERT_EQ(0, rawfs_wait_init(fs));
	ASSERT_EQ(0, tnl_conn(&self->nl, tnl_conn_id(&self->nl, fs->dev),
			      &list));
	EXPECT_STREQ("fuseblk", tnl_str(&list.v[0], FUSECR_CONN_FSTYPE));
	EXPECT_STREQ(strrchr(device, '/') + 1,
		     tnl_str(&list.v[0], FUSECR_CONN_SOURCE));
	EXPECT_EQ(1024, tnl_u32(&list.v[0], FUSECR_CONN_BLKSIZE));
	tnl_free(&list);
	EXPECT_EQ(0, rawfs_down(fs));
	ASSERT_EQ(0, system("losetup -d $(cat /tmp/rawfs.loop)"));
}

TEST_HARNESS_MAIN
