// SPDX-License-Identifier: GPL-2.0
/* Who has a lock, by the numbers that a server is told. */
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "test_handle.h"
#include "test_util.h"

#define MANY		3000	/* owners, many times what a table starts with */
#define PATIENCE_MS	60000

FIXTURE(owner) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	int handle;
	int fd;				/* of f5 */
	struct fusecr_set_owner set;	/* for fd, nothing asked */
};

FIXTURE_SETUP(owner)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	config.init.flags = FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS |
			    FUSE_BIG_WRITES;
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
	self->handle = th_attach(self->id);
	ASSERT_LE(0, self->handle);
	self->fd = open(test_path(self->fs, "f5"), O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->set = (struct fusecr_set_owner){
		.pid = getpid(),
		.use = FUSECR_FILE_FD,
		.number = self->fd,
		.nodeid = rawfs_nodeid(rawfs_index(self->fs, "f5")),
	};
}

FIXTURE_TEARDOWN(owner)
{
	close(self->handle);
	close(self->fd);
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

/* What netlink tells of a descriptor of this task; all ones: nothing. */
static uint64_t get(FIXTURE_DATA(owner) *self, int fd, uint16_t attr)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_FILE, .conn_id = self->id,
			       .pid = getpid() };
	uint64_t value = UINT64_MAX;
	struct tnl_list list;
	size_t i;

	tnl_dump(&self->nl, &q, &list);
	for (i = 0; i < list.n; i++)
		if (tnl_u32(&list.v[i], FUSECR_FILE_USE) == FUSECR_FILE_FD &&
		    tnl_u64(&list.v[i], FUSECR_FILE_NUMBER) == fd)
			value = attr == FUSECR_FILE_FLAGS ?
				tnl_u32(&list.v[i], attr) :
				tnl_u64(&list.v[i], attr);
	tnl_free(&list);
	return value;
}

/* The owner in the last request of this kind, 0 when there was none. */
static uint64_t told(const struct rawfs *fs, uint32_t opcode)
{
	uint64_t n;

	for (n = fs->requests; n; n--)
		if (fs->log[(n - 1) % RAWFS_LOG_SIZE].opcode == opcode)
			return fs->log[(n - 1) % RAWFS_LOG_SIZE].owner;
	return 0;
}

static int lock_range(int fd, int cmd, short type, off_t start, off_t len)
{
	struct flock lock = { .l_type = type, .l_start = start, .l_len = len };

	return fcntl(fd, cmd, &lock) ? -errno : 0;
}

static int close_fd(FIXTURE_DATA(owner) *self)
{
	int err = close(self->fd);

	self->fd = -1;
	return err;
}

static int refcnt(void)
{
	FILE *f = fopen("/sys/module/fusecr/refcnt", "re");
	int n = -1;

	if (f && fscanf(f, "%d", &n) != 1)
		n = -1;
	if (f)
		fclose(f);
	return n;
}

static bool refcnt_is(int n)
{
	int i;

	for (i = 0; i < PATIENCE_MS && refcnt() != n; i++)
		test_nap(1);
	return refcnt() == n;
}

/* --- what is told ------------------------------------------------------------- */

TEST_F(owner, reported)
{
	uint64_t table = get(self, self->fd, FUSECR_FILE_OWNER_TABLE);
	uint64_t mine = get(self, self->fd, FUSECR_FILE_OWNER_OPEN);
	int other, dir;

	ASSERT_EQ(0, lock_range(self->fd, F_SETLK, F_WRLCK, 0, 10));
	EXPECT_EQ(table, told(self->fs, FUSE_SETLK));
	ASSERT_EQ(0, lock_range(self->fd, F_OFD_SETLK, F_WRLCK, 20, 10));
	EXPECT_EQ(mine, told(self->fs, FUSE_SETLK));
	ASSERT_EQ(0, flock(self->fd, LOCK_SH | LOCK_NB));
	EXPECT_EQ(mine, told(self->fs, FUSE_SETLK));
	other = open(test_path(self->fs, "f4"), O_RDONLY);
	dir = open(test_path(self->fs, "dir0"), O_RDONLY);
	EXPECT_EQ(table, get(self, other, FUSECR_FILE_OWNER_TABLE));
	EXPECT_NE(mine, get(self, other, FUSECR_FILE_OWNER_OPEN));
	EXPECT_EQ(UINT64_MAX, get(self, dir, FUSECR_FILE_OWNER_OPEN));
	close(dir);
	close(other);
}

/* Of a server that keeps no locks there is nothing to tell. */
TEST_F(owner, not_reported)
{
	struct rawfs_config config = self->fs->config;
	uint64_t id = self->id;
	struct rawfs *second;
	int fd;

	config.init.flags = 0;
	second = rawfs_up(&config, false);
	ASSERT_NE(NULL, second);
	ASSERT_EQ(0, rawfs_wait_init(second));
	self->id = tnl_conn_id(&self->nl, second->dev);
	fd = open(test_path(second, "f5"), O_RDWR);
	EXPECT_EQ(UINT64_MAX, get(self, fd, FUSECR_FILE_OWNER_TABLE));
	EXPECT_EQ(UINT64_MAX, get(self, fd, FUSECR_FILE_OWNER_OPEN));
	EXPECT_NE(UINT64_MAX, get(self, fd, FUSECR_FILE_FH));
	close(fd);
	self->id = id;
	EXPECT_EQ(0, rawfs_down(second));
}

/* Of one that keeps flock locks only, nothing but who had one. */
TEST_F(owner, reported_of_flock)
{
	struct rawfs_config config = self->fs->config;
	uint64_t id = self->id;
	struct rawfs *second;
	int fd;

	config.init.flags = FUSE_FLOCK_LOCKS;
	second = rawfs_up(&config, false);
	ASSERT_NE(NULL, second);
	ASSERT_EQ(0, rawfs_wait_init(second));
	self->id = tnl_conn_id(&self->nl, second->dev);
	fd = open(test_path(second, "f5"), O_RDWR);
	EXPECT_EQ(UINT64_MAX, get(self, fd, FUSECR_FILE_OWNER_OPEN));
	ASSERT_EQ(0, flock(fd, LOCK_SH | LOCK_NB));
	EXPECT_EQ(told(second, FUSE_SETLK), get(self, fd, FUSECR_FILE_OWNER_OPEN));
	EXPECT_EQ(UINT64_MAX, get(self, fd, FUSECR_FILE_OWNER_TABLE));
	close(fd);
	self->id = id;
	EXPECT_EQ(0, rawfs_down(second));
}

/* Everything that tells of an owner. */
TEST_F(owner, exchanged)
{
	struct fusecr_set_owner set = self->set;
	uint64_t table = get(self, self->fd, FUSECR_FILE_OWNER_TABLE);
	static char buf[4096] __attribute__((aligned(4096)));
	struct flock lock = { .l_type = F_WRLCK, .l_len = 10 };
	int fd;

	set.mask = FUSECR_SET_OWNER_TABLE | FUSECR_SET_OWNER_OPEN;
	set.table = 0x1111;
	set.open = 0x2222;
	ASSERT_EQ(0, th_set_owner(self->handle, set));
	EXPECT_EQ(0x1111, get(self, self->fd, FUSECR_FILE_OWNER_TABLE));
	EXPECT_EQ(0x2222, get(self, self->fd, FUSECR_FILE_OWNER_OPEN));
	ASSERT_EQ(0, lock_range(self->fd, F_SETLK, F_WRLCK, 0, 10));
	EXPECT_EQ(0x1111, told(self->fs, FUSE_SETLK));
	ASSERT_EQ(0, lock_range(self->fd, F_SETLKW, F_WRLCK, 40, 10));
	EXPECT_EQ(0x1111, told(self->fs, FUSE_SETLKW));
	ASSERT_EQ(0, lock_range(self->fd, F_OFD_SETLK, F_WRLCK, 20, 10));
	EXPECT_EQ(0x2222, told(self->fs, FUSE_SETLK));
	ASSERT_EQ(0, flock(self->fd, LOCK_EX | LOCK_NB));
	EXPECT_EQ(0x2222, told(self->fs, FUSE_SETLK));
	ASSERT_EQ(0, fcntl(self->fd, F_GETLK, &lock));
	EXPECT_EQ(0x1111, told(self->fs, FUSE_GETLK));
	ASSERT_EQ(0, ftruncate(self->fd, 8192));
	EXPECT_EQ(0x1111, told(self->fs, FUSE_SETATTR));
	fd = open(test_path(self->fs, "f5"), O_RDWR | O_DIRECT);
	ASSERT_LE(0, fd);
	ASSERT_EQ(sizeof(buf), pread(fd, buf, sizeof(buf), 0));
	EXPECT_EQ(0x1111, told(self->fs, FUSE_READ));
	ASSERT_EQ(sizeof(buf), pwrite(fd, buf, sizeof(buf), 0));
	EXPECT_EQ(0x1111, told(self->fs, FUSE_WRITE));
	/* Not a lock is this one's, but the table is the same. */
	close(fd);
	EXPECT_EQ(0x1111, told(self->fs, FUSE_FLUSH));
	EXPECT_EQ(2, !!rawfs_lock(self->fs, "f5", 0) + !!rawfs_lock(self->fs, "f5", 1));
	ASSERT_EQ(0, th_commit(self->handle));
	close(self->handle);
	self->handle = -1;
	ASSERT_EQ(0, close_fd(self));
	ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 2));
	EXPECT_EQ(0x2222, told(self->fs, FUSE_RELEASE));
	EXPECT_EQ(NULL, rawfs_lock(self->fs, "f5", 0));
	EXPECT_NE(0x1111, table);
}

/* Two exchange their numbers: each has the other's locks. */
TEST_F(owner, locks_change_hands)
{
	struct fusecr_set_owner set = self->set;
	uint64_t one = get(self, self->fd, FUSECR_FILE_OWNER_OPEN), two;
	int other;

	other = open(test_path(self->fs, "f5"), O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, other);
	two = get(self, other, FUSECR_FILE_OWNER_OPEN);
	ASSERT_EQ(0, lock_range(self->fd, F_OFD_SETLK, F_WRLCK, 0, 10));
	ASSERT_EQ(-EAGAIN, lock_range(other, F_OFD_SETLK, F_WRLCK, 0, 10));
	set.mask = FUSECR_SET_OWNER_OPEN;
	set.open = two;
	ASSERT_EQ(0, th_set_owner(self->handle, set));
	set.number = other;
	set.open = one;
	ASSERT_EQ(0, th_set_owner(self->handle, set));
	EXPECT_EQ(0, lock_range(other, F_OFD_SETLK, F_WRLCK, 0, 10));
	EXPECT_EQ(-EAGAIN, lock_range(self->fd, F_OFD_SETLK, F_WRLCK, 0, 10));
	close(self->handle);
	self->handle = -1;
	EXPECT_EQ(one, get(self, self->fd, FUSECR_FILE_OWNER_OPEN));
	EXPECT_EQ(0, lock_range(self->fd, F_OFD_SETLK, F_WRLCK, 0, 10));
	close(other);
}

static int lock_wait(void *arg)
{
	return lock_range(*(int *)arg, F_OFD_SETLKW, F_WRLCK, 0, 10);
}

/* Whoever waits for a lock gets it when its owner, under the old number, unlocks. */
TEST_F(owner, who_waits_gets_it)
{
	struct fusecr_set_owner set = self->set;
	struct test_client client;
	int other;

	set.mask = FUSECR_SET_OWNER_OPEN;
	set.open = 77;
	ASSERT_EQ(0, th_set_owner(self->handle, set));
	other = open(test_path(self->fs, "f5"), O_RDWR | O_CLOEXEC);
	ASSERT_EQ(0, lock_range(self->fd, F_OFD_SETLK, F_WRLCK, 0, 10));
	ASSERT_EQ(0, test_client_start(&client, lock_wait, &other));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_SETLKW, 1));
	EXPECT_TRUE(test_client_busy(&client));
	ASSERT_EQ(0, lock_range(self->fd, F_OFD_SETLK, F_UNLCK, 0, 10));
	EXPECT_EQ(0, test_client_wait(&client));
	close(other);
}

/* --- how long --------------------------------------------------------------------- */

TEST_F(owner, close_puts_back)
{
	uint64_t table = get(self, self->fd, FUSECR_FILE_OWNER_TABLE);
	uint64_t mine = get(self, self->fd, FUSECR_FILE_OWNER_OPEN);
	struct fusecr_set_owner set = self->set;

	set.mask = FUSECR_SET_OWNER_TABLE | FUSECR_SET_OWNER_OPEN;
	set.table = 3;
	set.open = 4;
	ASSERT_EQ(0, th_set_owner(self->handle, set));
	EXPECT_LT(1, refcnt());
	/* Once more, by a duplicate: nothing more to do. */
	set.number = dup(self->fd);
	ASSERT_EQ(0, th_set_owner(self->handle, set));
	close(set.number);
	close(self->handle);
	self->handle = -1;
	EXPECT_EQ(table, get(self, self->fd, FUSECR_FILE_OWNER_TABLE));
	EXPECT_EQ(mine, get(self, self->fd, FUSECR_FILE_OWNER_OPEN));
	ASSERT_EQ(0, fsync(self->fd));
	EXPECT_TRUE(refcnt_is(0));
}

/* As long as the connection lives, and no longer; and the module with it. */
TEST_F(owner, commit_stays_with_the_connection)
{
	struct fusecr_set_owner set = self->set;

	set.mask = FUSECR_SET_OWNER_TABLE;
	set.table = 5;
	ASSERT_EQ(0, th_set_owner(self->handle, set));
	ASSERT_EQ(0, th_commit(self->handle));
	close(self->handle);
	test_nap(100);
	EXPECT_LT(0, refcnt());
	/* A second handle may add to it, and undoes only that. */
	self->handle = th_attach(self->id);
	ASSERT_LE(0, self->handle);
	set.mask = FUSECR_SET_OWNER_OPEN;
	set.open = 6;
	ASSERT_EQ(0, th_set_owner(self->handle, set));
	close(self->handle);
	self->handle = -1;
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(5, told(self->fs, FUSE_FLUSH));
	ASSERT_EQ(0, rawfs_umount(self->fs));
	EXPECT_TRUE(refcnt_is(0));
}

/* The server dies first. */
TEST_F(owner, aborted)
{
	struct fusecr_set_owner set = self->set;

	set.mask = FUSECR_SET_OWNER_OPEN;
	set.open = 6;
	ASSERT_EQ(0, th_set_owner(self->handle, set));
	ASSERT_EQ(0, th_commit(self->handle));
	ASSERT_EQ(0, rawfs_kill(self->fs));
	close(self->handle);
	self->handle = -1;
	close(self->fd);
	self->fd = -1;
	EXPECT_LT(0, refcnt());
	ASSERT_EQ(0, rawfs_umount(self->fs));
	EXPECT_TRUE(refcnt_is(0));
}

/* The number of one connection means nothing to another. */
TEST_F(owner, of_one_connection)
{
	struct fusecr_set_owner set = self->set;
	struct rawfs_config config = self->fs->config;
	struct rawfs *second;
	int fd;

	set.mask = FUSECR_SET_OWNER_TABLE;
	set.table = 9;
	ASSERT_EQ(0, th_set_owner(self->handle, set));
	second = rawfs_up(&config, false);
	ASSERT_NE(NULL, second);
	fd = open(test_path(second, "f5"), O_RDWR);
	ASSERT_LE(0, fd);
	close(fd);
	EXPECT_NE(0, told(second, FUSE_FLUSH));
	EXPECT_NE(9, told(second, FUSE_FLUSH));
	set.number = fd;
	EXPECT_EQ(-EBADF, th_set_owner(self->handle, set));
	EXPECT_EQ(0, rawfs_down(second));
}

TEST_F(owner, many)
{
	const struct rlimit limit = { MANY + 100, MANY + 100 };
	struct fusecr_set_owner set = self->set;
	static int fds[MANY];
	int i;

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	set.mask = FUSECR_SET_OWNER_OPEN;
	for (i = 0; i < MANY; i++) {
		fds[i] = open(test_path(self->fs, "f5"), O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, fds[i]);
		set.number = fds[i];
		set.open = 1000000 + i;
		ASSERT_EQ(0, th_set_owner(self->handle, set));
	}
	for (i = 0; i < MANY; i += 100) {
		ASSERT_EQ(0, lock_range(fds[i], F_OFD_SETLK, F_RDLCK, 0, 1));
		EXPECT_EQ(1000000 + i, told(self->fs, FUSE_SETLK));
	}
	close(self->handle);
	self->handle = -1;
	EXPECT_TRUE(refcnt_is(0));
	for (i = 0; i < MANY; i++)
		close(fds[i]);
}

/* --- what is refused ------------------------------------------------------------- */

TEST_F(owner, nonsense_is_refused)
{
	struct fusecr_set_owner bad = self->set;
	int other;

	bad.mask = 4;
	EXPECT_EQ(-EINVAL, th_set_owner(self->handle, bad));
	bad.mask = FUSECR_SET_OWNER_OPEN;
	bad.reserved = 1;
	EXPECT_EQ(-EINVAL, th_set_owner(self->handle, bad));
	bad = self->set;
	bad.mask = FUSECR_SET_OWNER_TABLE;
	bad.use = FUSECR_FILE_MAP;
	EXPECT_EQ(-EINVAL, th_set_owner(self->handle, bad));
	bad.use = FUSECR_FILE_FD;
	bad.nodeid++;
	EXPECT_EQ(-ESTALE, th_set_owner(self->handle, bad));
	bad.nodeid--;
	bad.pid = 0x3fffffff;
	EXPECT_EQ(-ESRCH, th_set_owner(self->handle, bad));
	bad = self->set;
	bad.number = 1000;
	EXPECT_EQ(-EBADF, th_set_owner(self->handle, bad));
	EXPECT_EQ(0, th_set_owner(self->handle, self->set));

	/* A number has one owner, an owner one number. */
	bad = self->set;
	bad.mask = FUSECR_SET_OWNER_OPEN | FUSECR_SET_OWNER_TABLE;
	bad.open = 8;
	bad.table = 8;
	EXPECT_EQ(-EEXIST, th_set_owner(self->handle, bad));
	bad.mask = FUSECR_SET_OWNER_OPEN;
	ASSERT_EQ(0, th_set_owner(self->handle, bad));
	bad.open = 9;
	EXPECT_EQ(-EEXIST, th_set_owner(self->handle, bad));
	other = open(test_path(self->fs, "f5"), O_RDWR);
	bad.number = other;
	bad.open = 8;
	EXPECT_EQ(-EEXIST, th_set_owner(self->handle, bad));
	bad.open = 9;
	EXPECT_EQ(0, th_set_owner(self->handle, bad));
	close(other);
}

/* --- that there is a flock ---------------------------------------------------------- */

TEST_F(owner, flock_is_released)
{
	struct fusecr_set_owner owner = self->set;
	struct fusecr_set_file set = {
		.mask = FUSECR_SET_FLOCK,
		.pid = self->set.pid,
		.use = FUSECR_FILE_FD,
		.number = self->fd,
		.nodeid = self->set.nodeid,
	};

	ASSERT_EQ(0, th_set_file(self->handle, set));
	EXPECT_EQ(FUSECR_FF_FLOCK, get(self, self->fd, FUSECR_FILE_FLAGS));
	close(self->handle);
	EXPECT_EQ(0, get(self, self->fd, FUSECR_FILE_FLAGS));
	self->handle = th_attach(self->id);
	ASSERT_LE(0, self->handle);
	ASSERT_EQ(0, th_set_file(self->handle, set));
	owner.mask = FUSECR_SET_OWNER_OPEN;
	owner.open = 0xabc;
	ASSERT_EQ(0, th_set_owner(self->handle, owner));
	ASSERT_EQ(0, th_commit(self->handle));
	ASSERT_EQ(0, close_fd(self));
	ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	EXPECT_EQ(0xabc, told(self->fs, FUSE_RELEASE));
}

TEST_HARNESS_MAIN
