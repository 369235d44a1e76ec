// SPDX-License-Identifier: GPL-2.0
/* Open files of /dev/fuse and who holds them. */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "kselftest_harness.h"
#include "test_util.h"

FIXTURE(dev) {
	struct rawfs *fs;
	struct rawfs *other;
	struct tnl nl;
	uint64_t id;
};

FIXTURE_SETUP(dev)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	ASSERT_EQ(0, test_own_mounts());
	self->other = rawfs_up(&config, false);
	ASSERT_NE(NULL, self->other);
	config.instances = 3;
	self->fs = rawfs_up(&config, false);
	ASSERT_NE(NULL, self->fs);
	ASSERT_EQ(0, rawfs_wait_init(self->fs));
	ASSERT_EQ(0, tnl_open(&self->nl));
	self->id = tnl_conn_id(&self->nl, self->fs->dev);
}

FIXTURE_TEARDOWN(dev)
{
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
	EXPECT_EQ(0, rawfs_down(self->other));
}

static int dump(struct tnl *nl, uint64_t id, pid_t pid, struct tnl_list *list)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_DEV, .conn_id = id,
			       .pid = pid };

	return tnl_dump(nl, &q, list);
}

static const struct tnl_obj *find(const struct tnl_list *list, pid_t pid,
				  int fd)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		if (tnl_u32(&list->v[i], FUSECR_DEV_PID) == (uint32_t)pid &&
		    tnl_u32(&list->v[i], FUSECR_DEV_FD) == (uint32_t)fd)
			return &list->v[i];
	return NULL;
}

TEST_F(dev, instances_of_a_connection)
{
	const struct tnl_obj *obj[3];
	struct tnl_list list;
	int i;

	ASSERT_EQ(0, dump(&self->nl, self->id, 0, &list));
	ASSERT_EQ(3, list.n);
	for (i = 0; i < 3; i++) {
		obj[i] = find(&list, self->fs->pid, self->fs->fd[i]);
		ASSERT_NE(NULL, obj[i]);
		EXPECT_EQ(self->id, tnl_u64(obj[i], FUSECR_DEV_CONN_ID));
		EXPECT_EQ(minor(self->fs->dev),
			  tnl_u32(obj[i], FUSECR_DEV_CONN_DEV));
		EXPECT_EQ(1, tnl_u8(obj[i], FUSECR_DEV_CONNECTED));
		EXPECT_EQ(0, tnl_u8(obj[i], FUSECR_DEV_CUSE));
		EXPECT_EQ(0, tnl_u32(obj[i], FUSECR_DEV_NUM_PROCESSING));
		EXPECT_EQ(O_RDWR | O_NONBLOCK,
			  tnl_u32(obj[i], FUSECR_DEV_FILE_FLAGS) &
			  (O_ACCMODE | O_NONBLOCK));
	}
	EXPECT_NE(tnl_u64(obj[0], FUSECR_DEV_COOKIE),
		  tnl_u64(obj[1], FUSECR_DEV_COOKIE));
	EXPECT_NE(tnl_u64(obj[0], FUSECR_DEV_COOKIE),
		  tnl_u64(obj[2], FUSECR_DEV_COOKIE));
	tnl_free(&list);
}

TEST_F(dev, filters)
{
	struct tnl_list list;

	ASSERT_EQ(0, dump(&self->nl, 0, 0, &list));
	EXPECT_EQ(4, list.n);
	EXPECT_NE(NULL, find(&list, self->other->pid, self->other->fd[0]));
	tnl_free(&list);
	ASSERT_EQ(0, dump(&self->nl, 0, self->fs->pid, &list));
	EXPECT_EQ(3, list.n);
	tnl_free(&list);
	ASSERT_EQ(0, dump(&self->nl, self->id, self->other->pid, &list));
	EXPECT_EQ(0, list.n);
	tnl_free(&list);
	ASSERT_EQ(0, dump(&self->nl, 0, getpid(), &list));
	EXPECT_EQ(0, list.n);
	tnl_free(&list);
}

/* One open file in two tables is one instance. */
TEST_F(dev, shared_with_another_task)
{
	struct rawfs_config config;
	const struct tnl_obj *mine, *copy, *theirs;
	struct tnl_list list;
	struct rawfs *kept;
	int fd;

	rawfs_defaults(&config);
	kept = rawfs_up(&config, true);
	ASSERT_NE(NULL, kept);
	fd = dup(kept->fd[0]);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, dump(&self->nl, tnl_conn_id(&self->nl, kept->dev), 0,
			  &list));
	EXPECT_EQ(3, list.n);
	mine = find(&list, getpid(), kept->fd[0]);
	copy = find(&list, getpid(), fd);
	theirs = find(&list, kept->pid, kept->fd[0]);
	ASSERT_NE(NULL, mine);
	ASSERT_NE(NULL, copy);
	ASSERT_NE(NULL, theirs);
	EXPECT_EQ(tnl_u64(mine, FUSECR_DEV_COOKIE),
		  tnl_u64(theirs, FUSECR_DEV_COOKIE));
	EXPECT_EQ(tnl_u64(mine, FUSECR_DEV_COOKIE),
		  tnl_u64(copy, FUSECR_DEV_COOKIE));
	tnl_free(&list);
	close(fd);
	EXPECT_EQ(0, rawfs_down(kept));
}

TEST_F(dev, not_mounted)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	const struct tnl_obj *obj;
	struct tnl_list list;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, dump(&self->nl, 0, getpid(), &list));
	ASSERT_EQ(1, list.n);
	obj = find(&list, getpid(), fd);
	ASSERT_NE(NULL, obj);
	EXPECT_EQ(0, tnl_u64(obj, FUSECR_DEV_CONN_ID));
	EXPECT_EQ(0, tnl_u32(obj, FUSECR_DEV_CONN_DEV));
	EXPECT_EQ(0, tnl_u8(obj, FUSECR_DEV_CONNECTED));
	tnl_free(&list);
	close(fd);
}

struct attempt {
	char dir[32];
	char options[128];
};

static int try_mount(void *arg)
{
	const struct attempt *a = arg;

	return mount("waits", a->dir, "fuse", 0, a->options) ? -errno : 0;
}

/* Asked for before there is a mount, and while mount(2) waits for the answer. */
TEST_F(dev, waits_for_sync_init)
{
	struct fuse_out_header out = { .len = sizeof(out), .error = -EIO };
	struct attempt a = { .dir = "/tmp/waits.XXXXXX" };
	static char buf[RAWFS_BUF_SIZE];
	struct test_client client;
	const struct tnl_obj *obj;
	struct tnl_list list, conn;
	uint64_t id;
	int fd;

	if (!rawfs_has_sync_init())
		SKIP(return, "this kernel has no synchronous INIT");
	fd = open("/dev/fuse", O_RDWR);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioctl(fd, FUSE_DEV_IOC_SYNC_INIT));
	ASSERT_EQ(0, dump(&self->nl, 0, getpid(), &list));
	ASSERT_EQ(1, list.n);
	EXPECT_EQ(0, tnl_u64(&list.v[0], FUSECR_DEV_CONN_ID));
	EXPECT_EQ(0, tnl_u8(&list.v[0], FUSECR_DEV_CONNECTED));
	tnl_free(&list);

	ASSERT_NE(NULL, mkdtemp(a.dir));
	snprintf(a.options, sizeof(a.options),
		 "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	ASSERT_EQ(0, test_client_start(&client, try_mount, &a));
	ASSERT_TRUE(test_sleeps_in(client.pid, SYS_mount));
	ASSERT_EQ(0, dump(&self->nl, 0, getpid(), &list));
	ASSERT_EQ(1, list.n);
	obj = find(&list, getpid(), fd);
	ASSERT_NE(NULL, obj);
	EXPECT_EQ(1, tnl_u8(obj, FUSECR_DEV_CONNECTED));
	/* Of a connection that there is not yet. */
	id = tnl_u64(obj, FUSECR_DEV_CONN_ID);
	EXPECT_NE(0, id);
	EXPECT_EQ(-ENOENT, tnl_conn(&self->nl, id, &conn));
	tnl_free(&conn);
	tnl_free(&list);
	/* Not killed: 6.18 waits for the answer all the same. */
	ASSERT_LT(0, read(fd, buf, sizeof(buf)));
	out.unique = ((struct fuse_in_header *)buf)->unique;
	ASSERT_EQ(sizeof(out), write(fd, &out, sizeof(out)));
	EXPECT_EQ(-ENOTCONN, test_client_wait(&client));
	close(fd);
	rmdir(a.dir);
}

TEST_F(dev, aborted)
{
	struct tnl_list list;
	struct rawfs_config config;
	struct rawfs *kept;

	rawfs_defaults(&config);
	kept = rawfs_up(&config, true);
	ASSERT_NE(NULL, kept);
	ASSERT_EQ(0, rawfs_wait_init(kept));
	ASSERT_EQ(0, rawfs_kill(kept));
	ASSERT_EQ(0, test_fusectl(kept, "abort"));
	ASSERT_EQ(0, dump(&self->nl, tnl_conn_id(&self->nl, kept->dev), 0,
			  &list));
	ASSERT_EQ(1, list.n);
	EXPECT_EQ(0, tnl_u8(&list.v[0], FUSECR_DEV_CONNECTED));
	tnl_free(&list);
	rawfs_down(kept);
}

TEST_F(dev, counts_what_it_processes)
{
	struct test_client clients[3];
	char path[3][512];
	unsigned int sum = 0;
	struct tnl_list list;
	size_t n;
	int i;

	rawfs_hold(self->fs, FUSE_MKDIR);
	for (i = 0; i < 3; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/dir%d/new",
			 self->fs->dir, i % 2);
		/* Two directories, so that two of them do not wait. */
		ASSERT_EQ(0, test_client_start(&clients[i], test_mkdir,
					       path[i]));
	}
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_MKDIR, 2));
	ASSERT_EQ(0, dump(&self->nl, self->id, 0, &list));
	for (n = 0; n < list.n; n++)
		sum += tnl_u32(&list.v[n], FUSECR_DEV_NUM_PROCESSING);
	EXPECT_EQ(2, sum);
	tnl_free(&list);
	rawfs_release(self->fs, 0);
	for (i = 0; i < 3; i++)
		test_client_wait(&clients[i]);
}

TEST_HARNESS_MAIN
