// SPDX-License-Identifier: GPL-2.0
/* Settings of open files. */
#include <dirent.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "test_handle.h"
#include "test_util.h"

#define OPEN_FLAGS	FOPEN_KEEP_CACHE

#define LAST_KH	100000

FIXTURE(set_file) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	int handle;
	int fd;			/* of f5 */
	int other;		/* a second one, another fh */
	int dir;		/* of dir0 */
	void *map;		/* of f5, its fd is closed */
	struct fusecr_set_file set;	/* for fd, nothing asked */
};

FIXTURE_SETUP(set_file)
{
	struct rawfs_config config;
	int fd;

	rawfs_defaults(&config);
	config.open_flags = OPEN_FLAGS;
	config.opendir_flags = FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE;
	config.init.flags = FUSE_DO_READDIRPLUS;
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
	self->handle = th_attach(self->id);
	ASSERT_LE(0, self->handle);
	self->fd = open(test_path(self->fs, "f5"), O_RDONLY);
	ASSERT_LE(0, self->fd);
	self->other = open(test_path(self->fs, "f5"), O_RDONLY);
	ASSERT_LE(0, self->other);
	self->dir = open(test_path(self->fs, "dir0"), O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, self->dir);
	fd = open(test_path(self->fs, "f5"), O_RDONLY);
	ASSERT_LE(0, fd);
	self->map = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, self->map);
	close(fd);
	self->set = (struct fusecr_set_file){
		.pid = getpid(),
		.use = FUSECR_FILE_FD,
		.number = self->fd,
		.nodeid = rawfs_nodeid(rawfs_index(self->fs, "f5")),
	};
	/* Its to give. */
	ASSERT_EQ(0, th_set_conn(self->handle, (struct fusecr_set_conn){
			.mask = FUSECR_SET_NEXT_KH, .next_kh = LAST_KH }));
}

FIXTURE_TEARDOWN(set_file)
{
	close(self->handle);
	munmap(self->map, 8192);
	close(self->dir);
	close(self->other);
	close(self->fd);
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

/* What netlink tells of one use of a file by this task. */
static uint64_t get(FIXTURE_DATA(set_file) *self, uint32_t use,
		    uint64_t number, uint16_t attr)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_FILE, .conn_id = self->id,
			       .pid = getpid() };
	uint64_t value = UINT64_MAX;
	struct tnl_list list;
	size_t i;

	tnl_dump(&self->nl, &q, &list);
	for (i = 0; i < list.n; i++) {
		if (tnl_u32(&list.v[i], FUSECR_FILE_USE) != use ||
		    tnl_u64(&list.v[i], FUSECR_FILE_NUMBER) != number)
			continue;
		value = tnl_u64(&list.v[i], attr);
		if (value == UINT64_MAX)
			value = tnl_u32(&list.v[i], attr);
	}
	tnl_free(&list);
	return value;
}

static uint64_t get_fd(FIXTURE_DATA(set_file) *self, int fd, uint16_t attr)
{
	return get(self, FUSECR_FILE_FD, fd, attr);
}

/* Of two that have one number, and are polled, fuse takes no notice but BUG_ON(). */
TEST_F(set_file, kh_is_one_files)
{
	uint64_t other = get_fd(self, self->other, FUSECR_FILE_KH);
	struct fusecr_set_file set = self->set;
	int handle;

	set.mask = FUSECR_SET_KH;
	set.kh = other;
	EXPECT_EQ(-ERANGE, th_set_file(self->handle, set));
	set.kh = LAST_KH + 1;
	EXPECT_EQ(-ERANGE, th_set_file(self->handle, set));
	set.kh = LAST_KH;
	EXPECT_EQ(0, th_set_file(self->handle, set));
	EXPECT_EQ(0, th_set_file(self->handle, set));
	set.number = self->other;
	EXPECT_EQ(-EEXIST, th_set_file(self->handle, set));
	EXPECT_EQ(other, get_fd(self, self->other, FUSECR_FILE_KH));
	set.kh--;
	EXPECT_EQ(0, th_set_file(self->handle, set));
	/* Lower is not possible, and nothing is jumped over then. */
	EXPECT_EQ(0, th_set_conn(self->handle, (struct fusecr_set_conn){
			.mask = FUSECR_SET_NEXT_KH, .next_kh = 1 }));
	EXPECT_EQ(LAST_KH, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NEXT_KH));
	ASSERT_EQ(0, th_commit(self->handle));
	close(self->handle);
	self->handle = handle = th_attach(self->id);
	ASSERT_LE(0, handle);
	set.kh = LAST_KH - 5;
	EXPECT_EQ(-ERANGE, th_set_file(handle, set));
}

TEST_F(set_file, close_puts_back)
{
	struct fusecr_set_file set = self->set;
	uint64_t fh = get_fd(self, self->fd, FUSECR_FILE_FH);
	uint64_t kh = get_fd(self, self->fd, FUSECR_FILE_KH);

	EXPECT_EQ(rawfs_handle(self->fs, "f5", 0)->fh, fh);
	set.mask = FUSECR_SET_FH | FUSECR_SET_KH | FUSECR_SET_OPEN_FLAGS;
	set.fh = 0x1122334455667788;
	set.kh = 0x99;
	set.open_flags = FOPEN_NONSEEKABLE;
	ASSERT_EQ(0, th_set_file(self->handle, set));
	EXPECT_EQ(set.fh, get_fd(self, self->fd, FUSECR_FILE_FH));
	EXPECT_EQ(set.kh, get_fd(self, self->fd, FUSECR_FILE_KH));
	EXPECT_EQ(set.open_flags,
		  get_fd(self, self->fd, FUSECR_FILE_OPEN_FLAGS));
	EXPECT_NE(set.fh, get_fd(self, self->other, FUSECR_FILE_FH));
	/* Only what is asked for. */
	set.mask = FUSECR_SET_KH;
	set.fh = 1;
	set.kh = 98;
	ASSERT_EQ(0, th_set_file(self->handle, set));
	EXPECT_EQ(0x1122334455667788, get_fd(self, self->fd, FUSECR_FILE_FH));
	EXPECT_EQ(98, get_fd(self, self->fd, FUSECR_FILE_KH));
	close(self->handle);
	EXPECT_EQ(fh, get_fd(self, self->fd, FUSECR_FILE_FH));
	EXPECT_EQ(kh, get_fd(self, self->fd, FUSECR_FILE_KH));
	EXPECT_EQ(OPEN_FLAGS, get_fd(self, self->fd, FUSECR_FILE_OPEN_FLAGS));
	self->handle = -1;
}

static const struct rawfs_log *last(const struct rawfs *fs)
{
	return &fs->log[(fs->requests - 1) % RAWFS_LOG_SIZE];
}

TEST_F(set_file, commit_is_what_the_server_sees)
{
	const struct rawfs_handle *one = rawfs_handle(self->fs, "f5", 0);
	const struct rawfs_handle *two = rawfs_handle(self->fs, "f5", 1);
	struct fusecr_set_file set = self->set;
	char c;

	ASSERT_EQ(one->fh, get_fd(self, self->fd, FUSECR_FILE_FH));
	ASSERT_EQ(two->fh, get_fd(self, self->other, FUSECR_FILE_FH));
	/* Exchanged, so that the server knows both. */
	set.mask = FUSECR_SET_FH;
	set.fh = two->fh;
	ASSERT_EQ(0, th_set_file(self->handle, set));
	set.number = self->other;
	set.fh = one->fh;
	ASSERT_EQ(0, th_set_file(self->handle, set));
	ASSERT_EQ(0, th_commit(self->handle));
	close(self->handle);
	self->handle = -1;

	ASSERT_EQ(1, pread(self->fd, &c, 1, 4096));
	EXPECT_EQ(FUSE_READ, last(self->fs)->opcode);
	EXPECT_EQ(two->fh, last(self->fs)->fh);
	EXPECT_EQ(rawfs_byte(self->set.nodeid, 4096), (unsigned char)c);
	close(self->fd);
	self->fd = -1;
	ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	EXPECT_EQ(1, two->releases);
	EXPECT_EQ(0, one->releases);
}

TEST_F(set_file, mapping_is_found_by_address)
{
	uint64_t start = (uintptr_t)self->map;
	struct fusecr_set_file set = self->set;
	uint64_t fh = get(self, FUSECR_FILE_MAP, start, FUSECR_FILE_FH);

	EXPECT_EQ(rawfs_handle(self->fs, "f5", 2)->fh, fh);
	set.use = FUSECR_FILE_MAP;
	set.mask = FUSECR_SET_FH;
	set.fh = 0x4444;
	set.number = start;
	ASSERT_EQ(0, th_set_file(self->handle, set));
	EXPECT_EQ(0x4444, get(self, FUSECR_FILE_MAP, start, FUSECR_FILE_FH));
	set.number = start + 5000;
	set.fh = 0x4445;
	ASSERT_EQ(0, th_set_file(self->handle, set));
	EXPECT_EQ(0x4445, get(self, FUSECR_FILE_MAP, start, FUSECR_FILE_FH));
	close(self->handle);
	self->handle = -1;
	EXPECT_EQ(fh, get(self, FUSECR_FILE_MAP, start, FUSECR_FILE_FH));
}

static int wait_forever(void *arg)
{
	while (pause() < 0)
		;
	return 0;
}

/* In a message that nobody has received: the second that can be. */
TEST_F(set_file, sent)
{
	struct fusecr_set_file set = self->set;
	int socks[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, socks));
	ASSERT_EQ(0, test_send(socks[0], self->dir, 1));
	ASSERT_EQ(0, test_send(socks[0], self->fd, 1));
	close(self->fd);
	self->fd = -1;
	set.mask = FUSECR_SET_FH;
	set.fh = 0x1122334455667788;
	set.use = FUSECR_FILE_SENT;
	set.number = socks[1];
	EXPECT_EQ(-ESTALE, th_set_file(self->handle, set));
	set.number = 2ULL << 32 | socks[1];
	EXPECT_EQ(-EBADF, th_set_file(self->handle, set));
	set.number = 1ULL << 32 | socks[0];
	EXPECT_EQ(-EBADF, th_set_file(self->handle, set));
	set.number = 1ULL << 32 | socks[1];
	ASSERT_EQ(0, th_set_file(self->handle, set));
	EXPECT_EQ(set.fh, get(self, FUSECR_FILE_SENT, set.number, FUSECR_FILE_FH));
	set.fh = rawfs_handle(self->fs, "f5", 0)->fh;
	ASSERT_EQ(0, th_set_file(self->handle, set));
	close(socks[0]);
	close(socks[1]);
}

TEST_F(set_file, file_of_another_task)
{
	uint64_t fh = get_fd(self, self->fd, FUSECR_FILE_FH);
	struct fusecr_set_file set = self->set;
	struct test_client client;

	ASSERT_EQ(0, test_client_start(&client, wait_forever, NULL));
	set.pid = client.pid;
	set.mask = FUSECR_SET_FH;
	/* One that the server knows: the client's death sends a FLUSH. */
	set.fh = rawfs_handle(self->fs, "f5", 1)->fh;
	ASSERT_NE(fh, set.fh);
	/* Shared with this task since the fork. */
	ASSERT_EQ(0, th_set_file(self->handle, set));
	EXPECT_EQ(set.fh, get_fd(self, self->fd, FUSECR_FILE_FH));
	test_client_kill(&client);
	EXPECT_EQ(-ESRCH, th_set_file(self->handle, set));
	close(self->handle);
	self->handle = -1;
	EXPECT_EQ(fh, get_fd(self, self->fd, FUSECR_FILE_FH));
}

TEST_F(set_file, wrong_files_are_refused)
{
	struct fusecr_set_file bad = self->set;
	struct rawfs_config config;
	struct rawfs *second;
	int pipes[2], fd;

	ASSERT_EQ(0, pipe(pipes));
	bad.number = pipes[0];
	EXPECT_EQ(-EBADF, th_set_file(self->handle, bad));
	bad.number = 1000;
	EXPECT_EQ(-EBADF, th_set_file(self->handle, bad));
	bad.number = (1ULL << 32) + self->fd;
	EXPECT_EQ(-EBADF, th_set_file(self->handle, bad));
	bad.use = FUSECR_FILE_MAP;
	bad.number = (uintptr_t)self->map + 8192 * 2;
	EXPECT_EQ(-EBADF, th_set_file(self->handle, bad));
	bad.number = (uintptr_t)&bad;
	EXPECT_EQ(-EBADF, th_set_file(self->handle, bad));
	bad.number = UINT64_MAX;
	EXPECT_EQ(-EBADF, th_set_file(self->handle, bad));
	bad = self->set;
	fd = open(test_path(self->fs, "f5"), O_PATH);
	bad.number = fd;
	EXPECT_EQ(-EBADF, th_set_file(self->handle, bad));
	close(fd);

	rawfs_defaults(&config);
	second = rawfs_up(&config, false);
	ASSERT_NE(NULL, second);
	fd = open(test_path(second, "f5"), O_RDONLY);
	ASSERT_LE(0, fd);
	bad.number = fd;
	EXPECT_EQ(-EBADF, th_set_file(self->handle, bad));
	close(fd);
	EXPECT_EQ(0, rawfs_down(second));
	close(pipes[0]);
	close(pipes[1]);
}

TEST_F(set_file, nonsense_is_refused)
{
	struct fusecr_set_file bad = self->set;

	bad.mask = 1U << 31;
	EXPECT_EQ(-EINVAL, th_set_file(self->handle, bad));
	bad = self->set;
	bad.use = FUSECR_FILE_CWD;
	EXPECT_EQ(-EINVAL, th_set_file(self->handle, bad));
	bad = self->set;
	bad.pid = 0x3fffffff;
	EXPECT_EQ(-ESRCH, th_set_file(self->handle, bad));
	bad = self->set;
	bad.nodeid++;
	EXPECT_EQ(-ESTALE, th_set_file(self->handle, bad));
	bad = self->set;
	bad.mask = FUSECR_SET_OPEN_FLAGS | FUSECR_SET_FH;
	bad.open_flags = OPEN_FLAGS | FOPEN_DIRECT_IO;
	EXPECT_EQ(-EINVAL, th_set_file(self->handle, bad));
	bad.open_flags = OPEN_FLAGS | 1 << 7;	/* FOPEN_PASSTHROUGH */
	EXPECT_EQ(-EINVAL, th_set_file(self->handle, bad));
	bad.mask = FUSECR_SET_READDIR_POS;
	EXPECT_EQ(-EINVAL, th_set_file(self->handle, bad));
	EXPECT_EQ(rawfs_handle(self->fs, "f5", 0)->fh,
		  get_fd(self, self->fd, FUSECR_FILE_FH));
	EXPECT_EQ(OPEN_FLAGS, get_fd(self, self->fd, FUSECR_FILE_OPEN_FLAGS));
}

static int poll_file(void *arg)
{
	struct pollfd fd = { .fd = *(int *)arg, .events = POLLIN };

	return poll(&fd, 1, -1);
}

/* The server has been told the number: it stays. */
TEST_F(set_file, kh_of_a_polled_file_is_fixed)
{
	const struct rawfs_handle *handle = rawfs_handle(self->fs, "f5", 0);
	uint64_t kh = get_fd(self, self->fd, FUSECR_FILE_KH);
	struct fusecr_set_file set = self->set;
	struct test_client client;

	ASSERT_EQ(0, test_client_start(&client, poll_file, &self->fd));
	ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_POLL, 1));
	ASSERT_EQ(kh, handle->kh);
	set.mask = FUSECR_SET_KH | FUSECR_SET_FH;
	set.kh = 12345;
	set.fh = 12345;
	EXPECT_EQ(-EBUSY, th_set_file(self->handle, set));
	EXPECT_EQ(kh, get_fd(self, self->fd, FUSECR_FILE_KH));
	EXPECT_EQ(handle->fh, get_fd(self, self->fd, FUSECR_FILE_FH));
	test_client_kill(&client);
}

/* Unless whoever waits is going to poll again. */
TEST_F(set_file, kh_of_a_polled_file)
{
	const struct rawfs_handle *handle = rawfs_handle(self->fs, "f5", 0);
	struct epoll_event event = { .events = EPOLLIN };
	struct fusecr_set_file set = self->set;
	int ep = epoll_create1(0);

	ASSERT_LE(0, ep);
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->fd, &event));
	ASSERT_EQ(FUSECR_FF_POLLED, get_fd(self, self->fd, FUSECR_FILE_FLAGS) &
		  FUSECR_FF_POLLED);
	set.mask = FUSECR_SET_KH | FUSECR_SET_POLLED;
	set.kh = 12345;
	ASSERT_EQ(0, th_set_file(self->handle, set));
	EXPECT_EQ(12345, get_fd(self, self->fd, FUSECR_FILE_KH));
	EXPECT_EQ(0, get_fd(self, self->fd, FUSECR_FILE_FLAGS) &
		  FUSECR_FF_POLLED);
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_MOD, self->fd, &event));
	EXPECT_EQ(12345, handle->kh);
	EXPECT_EQ(FUSECR_FF_POLLED, get_fd(self, self->fd, FUSECR_FILE_FLAGS) &
		  FUSECR_FF_POLLED);
	ASSERT_EQ(0, th_commit(self->handle));
	close(ep);
}

/* Polled since: it keeps the number when all else is put back, and nobody else gets it. */
TEST_F(set_file, kh_that_stays_is_not_given_again)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct fusecr_set_file set = self->set;
	int ep = epoll_create1(0);

	ASSERT_LE(0, ep);
	set.mask = FUSECR_SET_KH;
	set.kh = LAST_KH;
	ASSERT_EQ(0, th_set_file(self->handle, set));
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, self->fd, &event));
	close(self->handle);
	self->handle = -1;
	EXPECT_EQ(LAST_KH, get_fd(self, self->fd, FUSECR_FILE_KH));
	EXPECT_LE(LAST_KH, tnl_conn_value(&self->nl, self->id, FUSECR_CONN_NEXT_KH));
	close(ep);
}

/* Names from where a directory stands, joined; @bytes at most at once. */
static int names(int fd, size_t bytes, bool once, char *to)
{
	char buf[4096];
	ssize_t n, at;

	*to = 0;
	while ((n = syscall(SYS_getdents64, fd, buf, bytes)) > 0) {
		for (at = 0; at < n;) {
			struct dirent64 *d = (void *)(buf + at);

			strcat(strcat(to, d->d_name), " ");
			at += d->d_reclen;
		}
		if (once)
			break;
	}
	return n < 0 ? -errno : 0;
}

/* A new open file goes on where another stood, nothing twice, nothing left out. */
TEST_F(set_file, readdir_goes_on)
{
	struct fusecr_set_file set = self->set;
	char head[256], tail[256], again[256];
	off_t pos;
	int fd;

	/* Fills the page cache of the directory. */
	ASSERT_EQ(0, names(self->dir, 4096, false, head));
	ASSERT_EQ(0, lseek(self->dir, 0, SEEK_SET));
	ASSERT_EQ(0, names(self->dir, 80, true, head));
	pos = lseek(self->dir, 0, SEEK_CUR);
	ASSERT_LT(0, pos);
	ASSERT_EQ(0, names(self->dir, 4096, false, tail));
	ASSERT_STRNE("", tail);

	fd = open(test_path(self->fs, "dir0"), O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(pos, lseek(fd, pos, SEEK_SET));
	set.number = fd;
	set.nodeid = rawfs_nodeid(rawfs_index(self->fs, "dir0"));
	set.mask = FUSECR_SET_READDIR_POS;
	set.readdir_pos = -1;
	EXPECT_EQ(-EINVAL, th_set_file(self->handle, set));
	set.readdir_pos = pos;
	ASSERT_EQ(0, th_set_file(self->handle, set));
	EXPECT_EQ(pos, get_fd(self, fd, FUSECR_FILE_READDIR_POS));
	ASSERT_EQ(0, th_commit(self->handle));
	ASSERT_EQ(0, names(fd, 4096, false, again));
	EXPECT_STREQ(tail, again);
	close(fd);
}

/* As fuse leaves it in open, and back. */
TEST_F(set_file, seek)
{
	const uint32_t both = FUSECR_FF_NONSEEKABLE | FUSECR_FF_STREAM;
	struct fusecr_set_file set = self->set;
	char first, c;

	ASSERT_EQ(1, pread(self->fd, &first, 1, 0));
	ASSERT_EQ(10, lseek(self->fd, 10, SEEK_SET));
	EXPECT_EQ(0, get_fd(self, self->fd, FUSECR_FILE_FLAGS) & both);
	set.mask = FUSECR_SET_SEEK;
	set.flags = FUSECR_FF_FLOCK;
	EXPECT_EQ(-EINVAL, th_set_file(self->handle, set));
	/* Whatever else is set. */
	set.mask = 0;
	EXPECT_EQ(-EINVAL, th_set_file(self->handle, set));
	set.mask = FUSECR_SET_SEEK;
	set.flags = FUSECR_FF_NONSEEKABLE;
	ASSERT_EQ(0, th_set_file(self->handle, set));
	EXPECT_EQ(set.flags, get_fd(self, self->fd, FUSECR_FILE_FLAGS) & both);
	EXPECT_EQ(-1, lseek(self->fd, 0, SEEK_SET));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, pread(self->fd, &c, 1, 0));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(1, read(self->fd, &c, 1));
	EXPECT_EQ(11, get_fd(self, self->fd, FUSECR_FILE_POS));
	set.flags = both;
	ASSERT_EQ(0, th_set_file(self->handle, set));
	EXPECT_EQ(both, get_fd(self, self->fd, FUSECR_FILE_FLAGS) & both);
	EXPECT_EQ(1, read(self->fd, &c, 1));
	EXPECT_EQ(first, c);
	/* It has none that could move. */
	EXPECT_EQ(11, get_fd(self, self->fd, FUSECR_FILE_POS));
	close(self->handle);
	self->handle = -1;
	EXPECT_EQ(0, get_fd(self, self->fd, FUSECR_FILE_FLAGS) & both);
	EXPECT_EQ(11, lseek(self->fd, 0, SEEK_CUR));
}

/* A file that everyone else has closed is released when it is not needed. */
TEST_F(set_file, release_waits_for_undo)
{
	const struct rawfs_handle *handle = rawfs_handle(self->fs, "f5", 0);
	struct fusecr_set_file set = self->set;

	set.mask = FUSECR_SET_OPEN_FLAGS;
	ASSERT_EQ(0, th_set_file(self->handle, set));
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(0, handle->releases);
	close(self->handle);
	self->handle = -1;
	ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	EXPECT_EQ(1, handle->releases);
}

TEST_HARNESS_MAIN
