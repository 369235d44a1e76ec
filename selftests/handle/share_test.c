// SPDX-License-Identifier: GPL-2.0
/* One open file in several places, and the page cache under it. */
#include <sys/mman.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "test_handle.h"
#include "test_util.h"

#define PAGE	4096UL
#define PAGES	4
#define SIZE	(PAGES * PAGE)

FIXTURE(share) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	int handle;
	int fd;			/* of f5, the first open */
	unsigned char *map;	/* of f5, by the second open, which is closed */
	uint64_t nodeid;
	struct fusecr_share_file share;	/* map becomes fd's */
};

FIXTURE_VARIANT(share) {
	int prot, flags;
};

FIXTURE_VARIANT_ADD(share, of_shared) {
	.prot = PROT_READ | PROT_WRITE,
	.flags = MAP_SHARED,
};

FIXTURE_VARIANT_ADD(share, of_private) {
	.prot = PROT_READ | PROT_WRITE,
	.flags = MAP_PRIVATE,
};

FIXTURE_SETUP(share)
{
	struct rawfs_config config;
	int fd;

	rawfs_defaults(&config);
	config.open_flags = FOPEN_KEEP_CACHE;
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
	self->handle = th_attach(self->id);
	ASSERT_LE(0, self->handle);
	self->fd = open(test_path(self->fs, "f5"), O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	fd = open(test_path(self->fs, "f5"), O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	self->map = mmap(NULL, SIZE, variant->prot, variant->flags, fd, 0);
	ASSERT_NE(MAP_FAILED, self->map);
	close(fd);
	self->nodeid = rawfs_nodeid(rawfs_index(self->fs, "f5"));
	self->share = (struct fusecr_share_file){
		.pid = getpid(),
		.use = FUSECR_FILE_MAP,
		.number = (uintptr_t)self->map,
		.end = (uintptr_t)self->map + SIZE,
		.from_pid = getpid(),
		.from_use = FUSECR_FILE_FD,
		.from_number = self->fd,
		.nodeid = self->nodeid,
	};
}

FIXTURE_TEARDOWN(share)
{
	close(self->handle);
	munmap(self->map, SIZE);
	close(self->fd);
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

static int th_share(int handle, struct fusecr_share_file arg)
{
	return th_call(handle, FUSECR_IOC_SHARE_FILE, &arg);
}

static int th_drop_pages(int handle, uint64_t nodeid)
{
	struct fusecr_drop_pages arg = { .nodeid = nodeid, .seconds = 10 };

	return th_call(handle, FUSECR_IOC_DROP_PAGES, &arg);
}

static int th_own_page(int handle, pid_t pid, const void *address)
{
	struct fusecr_own_page arg = { .pid = pid, .seconds = 10,
				       .address = (uintptr_t)address };

	return th_call(handle, FUSECR_IOC_OWN_PAGE, &arg);
}

/* How many mappings of ours there are, and what netlink tells of the last. */
static size_t maps(FIXTURE_DATA(share) *self, uint16_t attr, uint64_t *value)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_FILE, .conn_id = self->id,
			       .pid = getpid() };
	struct tnl_list list;
	size_t i, n = 0;

	tnl_dump(&self->nl, &q, &list);
	for (i = 0; i < list.n; i++) {
		if (tnl_u32(&list.v[i], FUSECR_FILE_USE) != FUSECR_FILE_MAP)
			continue;
		*value = attr == FUSECR_FILE_FLAGS ? tnl_u32(&list.v[i], attr) :
						     tnl_u64(&list.v[i], attr);
		n++;
	}
	tnl_free(&list);
	return n;
}

static uint64_t map_fh(FIXTURE_DATA(share) *self)
{
	uint64_t fh = UINT64_MAX;

	return maps(self, FUSECR_FILE_FH, &fh) == 1 ? fh : UINT64_MAX;
}

static uint64_t done(const struct rawfs *fs, uint32_t opcode)
{
	return fs->nr_done[opcode];
}

static void commit_and_close(struct __test_metadata *_metadata,
			     FIXTURE_DATA(share) *self)
{
	ASSERT_EQ(0, th_commit(self->handle));
	close(self->handle);
	self->handle = -1;
}

TEST_F(share, close_puts_back)
{
	const struct rawfs_handle *first = rawfs_handle(self->fs, "f5", 0);
	const struct rawfs_handle *second = rawfs_handle(self->fs, "f5", 1);

	EXPECT_EQ(second->fh, map_fh(self));
	ASSERT_EQ(0, th_share(self->handle, self->share));
	EXPECT_EQ(first->fh, map_fh(self));
	/* Once more: it is so already. */
	ASSERT_EQ(0, th_share(self->handle, self->share));
	EXPECT_EQ(rawfs_byte(self->nodeid, 5), self->map[5]);
	close(self->handle);
	self->handle = -1;
	EXPECT_EQ(second->fh, map_fh(self));
	EXPECT_EQ(rawfs_byte(self->nodeid, PAGE), self->map[PAGE]);
	EXPECT_EQ(0, done(self->fs, FUSE_RELEASE));
}

TEST_F(share, commit_closes_the_other)
{
	const struct rawfs_handle *first = rawfs_handle(self->fs, "f5", 0);
	const struct rawfs_handle *second = rawfs_handle(self->fs, "f5", 1);

	ASSERT_EQ(0, th_share(self->handle, self->share));
	commit_and_close(_metadata, self);
	ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	EXPECT_EQ(1, second->releases);
	EXPECT_EQ(0, first->releases);
	/* The mapping lives as long as it did before, the descriptor as well. */
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(rawfs_byte(self->nodeid, 2 * PAGE), self->map[2 * PAGE]);
	EXPECT_EQ(0, first->releases);
	munmap(self->map, SIZE);
	ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 2));
	EXPECT_EQ(1, first->releases);
	EXPECT_EQ(1, second->releases);
}

/* One file that should be two: the place gets another of its own. */
TEST_F(share, opened_again)
{
	const struct rawfs_handle *first = rawfs_handle(self->fs, "f5", 0);
	struct fusecr_share_file share = self->share;
	const struct rawfs_handle *third;
	uint64_t opens = done(self->fs, FUSE_OPEN);

	ASSERT_EQ(0, th_share(self->handle, share));
	share.from_use = FUSECR_FILE_MAP;
	share.from_number = share.number;
	share.flags = FUSECR_SHARE_REOPEN;
	ASSERT_EQ(0, th_share(self->handle, share));
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_OPEN, opens + 1));
	third = rawfs_handle(self->fs, "f5", 2);
	ASSERT_NE(NULL, third);
	EXPECT_EQ(third->fh, map_fh(self));
	EXPECT_EQ(rawfs_byte(self->nodeid, 7), self->map[7]);
	commit_and_close(_metadata, self);
	/* The second: the first is the descriptor's, as before. */
	ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	EXPECT_EQ(0, first->releases);
	EXPECT_EQ(0, third->releases);
	EXPECT_EQ(third->fh, map_fh(self));
}

/*
 * Opened again by itself, as the daemon has no OPEN any more: it is released by itself,
 * too, and nothing is left of what mmap() has counted. The kernel would complain.
 */
TEST_F(share, opened_again_without_open)
{
	struct fusecr_share_file share = self->share;

	share.from_use = FUSECR_FILE_MAP;
	share.from_number = share.number;
	share.flags = FUSECR_SHARE_REOPEN;
	/* Read now: it will have no handle to read it by. */
	EXPECT_EQ(rawfs_byte(self->nodeid, 7), self->map[7]);
	ASSERT_EQ(0, th_set_conn(self->handle, (struct fusecr_set_conn){
		.mask = FUSECR_SET_NO, .no = FUSECR_NO_OPEN }));
	ASSERT_EQ(0, th_share(self->handle, share));
	EXPECT_EQ(rawfs_byte(self->nodeid, 7), self->map[7]);
	commit_and_close(_metadata, self);
	munmap(self->map, SIZE);
	close(self->fd);
	self->fd = -1;
	/* What has no OPEN has no RELEASE either. */
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_FLUSH, 2));
	ASSERT_EQ(0, test_drop_caches());
	self->map = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT_EQ(0, rawfs_wait_nlookup(self->fs, rawfs_index(self->fs, "f5"), 0));
}

TEST_F(share, joins_but_for_the_file)
{
	uint64_t flags = 0;
	void *next;
	int fd;

	/* The second half by the first open, alike in all else. */
	munmap(self->map + SIZE / 2, SIZE / 2);
	next = mmap(self->map + SIZE / 2, SIZE / 2, variant->prot, variant->flags | MAP_FIXED,
		    self->fd, SIZE / 2);
	ASSERT_EQ(self->map + SIZE / 2, next);
	EXPECT_EQ(2, maps(self, FUSECR_FILE_FLAGS, &flags));
	EXPECT_TRUE(flags & FUSECR_FF_JOINS);
	/* Not so from another place in the file. */
	fd = open(test_path(self->fs, "f5"), O_RDWR | O_CLOEXEC);
	next = mmap(next, SIZE / 2, variant->prot, variant->flags | MAP_FIXED, fd, 0);
	close(fd);
	ASSERT_EQ(self->map + SIZE / 2, next);
	EXPECT_EQ(2, maps(self, FUSECR_FILE_FLAGS, &flags));
	EXPECT_FALSE(flags & FUSECR_FF_JOINS);
}

TEST_F(share, private_and_locked)
{
	bool private = variant->flags & MAP_PRIVATE;
	uint64_t flags = 0;

	EXPECT_EQ(1, maps(self, FUSECR_FILE_FLAGS, &flags));
	EXPECT_FALSE(flags & FUSECR_FF_LOCKED);
	ASSERT_EQ(0, mlock(self->map + PAGE, PAGE));
	EXPECT_EQ(1, maps(self, FUSECR_FILE_FLAGS, &flags));
	EXPECT_EQ(private, !!(flags & FUSECR_FF_LOCKED));
	ASSERT_EQ(0, munlock(self->map + PAGE, PAGE));
	EXPECT_EQ(1, maps(self, FUSECR_FILE_FLAGS, &flags));
	EXPECT_FALSE(flags & FUSECR_FF_LOCKED);
}

TEST_F(share, mappings_side_by_side)
{
	const struct rawfs_handle *first = rawfs_handle(self->fs, "f5", 0);
	uint64_t end;

	/* Three of them, which are told of as one. */
	ASSERT_EQ(0, mprotect(self->map + PAGE, PAGE, PROT_READ));
	ASSERT_EQ(1, maps(self, FUSECR_FILE_END, &end));
	EXPECT_EQ(self->share.end, end);
	ASSERT_EQ(0, th_share(self->handle, self->share));
	EXPECT_EQ(first->fh, map_fh(self));
	commit_and_close(_metadata, self);
	ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	munmap(self->map + PAGE, PAGE);
	EXPECT_EQ(2, maps(self, FUSECR_FILE_END, &end));
}

/* What one of them does not find is left as it was, and so are the others. */
TEST_F(share, all_or_none)
{
	const struct rawfs_handle *second = rawfs_handle(self->fs, "f5", 1);
	struct fusecr_share_file share = self->share;

	munmap(self->map + 3 * PAGE, PAGE);
	EXPECT_EQ(-EBADF, th_share(self->handle, share));
	EXPECT_EQ(second->fh, map_fh(self));
	share.end -= PAGE;
	EXPECT_EQ(0, th_share(self->handle, share));
}

/* Write-back takes any file of the inode's that was opened or mapped to write. */
TEST_F(share, written_through_the_new_one)
{
	const struct rawfs_handle *first = rawfs_handle(self->fs, "f5", 0);
	const struct rawfs_log *log;

	ASSERT_EQ(0, th_share(self->handle, self->share));
	commit_and_close(_metadata, self);
	ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	self->map[0] = 1;
	ASSERT_EQ(0, msync(self->map, SIZE, MS_SYNC));
	if (variant->flags != MAP_SHARED) {
		EXPECT_EQ(0, self->fs->nr_op[FUSE_WRITE]);
		return;
	}
	ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_WRITE, 1));
	for (uint64_t i = self->fs->requests; i--;) {
		log = &self->fs->log[i % RAWFS_LOG_SIZE];
		if (log->opcode == FUSE_WRITE)
			break;
	}
	EXPECT_EQ(FUSE_WRITE, log->opcode);
	EXPECT_EQ(first->fh, log->fh);
}

TEST_F(share, refusals)
{
	struct fusecr_share_file bad = self->share;
	int other = open(test_path(self->fs, "f6"), O_RDONLY | O_CLOEXEC);

	ASSERT_LE(0, other);
	bad.from_number = other;
	EXPECT_EQ(-ESTALE, th_share(self->handle, bad));
	bad.nodeid = rawfs_nodeid(rawfs_index(self->fs, "f6"));
	EXPECT_EQ(-ESTALE, th_share(self->handle, bad));
	close(other);
	EXPECT_EQ(-EBADF, th_share(self->handle, bad));
	bad = self->share;
	bad.use = FUSECR_FILE_FD;
	EXPECT_EQ(-EINVAL, th_share(self->handle, bad));
	bad.use = FUSECR_FILE_CWD;
	EXPECT_EQ(-EINVAL, th_share(self->handle, bad));
	/* What this test runs is on no mount of the connection's. */
	bad.use = FUSECR_FILE_EXE;
	EXPECT_EQ(-EBADF, th_share(self->handle, bad));
	bad = self->share;
	bad.from_use = FUSECR_FILE_ROOT;
	EXPECT_EQ(-EINVAL, th_share(self->handle, bad));
	bad = self->share;
	bad.end = bad.number;
	EXPECT_EQ(-EINVAL, th_share(self->handle, bad));
	bad = self->share;
	bad.flags = FUSECR_SHARE_REOPEN << 1;
	EXPECT_EQ(-EINVAL, th_share(self->handle, bad));
	bad = self->share;
	bad.reserved = 1;
	EXPECT_EQ(-EINVAL, th_share(self->handle, bad));
	bad = self->share;
	bad.number = (uintptr_t)self;
	bad.end = bad.number + 1;
	EXPECT_EQ(-EBADF, th_share(self->handle, bad));
	bad = self->share;
	bad.pid = -1;
	EXPECT_EQ(-ESRCH, th_share(self->handle, bad));
	bad = self->share;
	bad.from_pid = -1;
	EXPECT_EQ(-ESRCH, th_share(self->handle, bad));
	EXPECT_EQ(rawfs_handle(self->fs, "f5", 1)->fh, map_fh(self));
}

TEST_F(share, what_was_read_is_read_again)
{
	uint64_t reads, writes;
	int err;

	EXPECT_EQ(rawfs_byte(self->nodeid, 0), self->map[0]);
	/* It is counted after the answer. */
	ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_READ, 1));
	reads = done(self->fs, FUSE_READ);
	EXPECT_EQ(rawfs_byte(self->nodeid, 1), self->map[1]);
	EXPECT_EQ(reads, done(self->fs, FUSE_READ));
	ASSERT_EQ(0, th_drop_pages(self->handle, self->nodeid));
	EXPECT_EQ(rawfs_byte(self->nodeid, 0), self->map[0]);
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_READ, reads + 1));
	EXPECT_EQ(-ENOENT, th_drop_pages(self->handle, 0xdead));
	if (variant->flags == MAP_SHARED) {
		/* The kernel may write it by itself, at any time: then once more. */
		do {
			writes = done(self->fs, FUSE_WRITE);
			self->map[0] = 1;
			err = th_drop_pages(self->handle, self->nodeid);
		} while (!err && !rawfs_wait_op(self->fs, FUSE_WRITE, writes + 1));
		EXPECT_EQ(-EBUSY, err);
		ASSERT_EQ(0, msync(self->map, SIZE, MS_SYNC));
		EXPECT_EQ(0, th_drop_pages(self->handle, self->nodeid));
	}
}

TEST_F(share, page_of_ones_own)
{
	char anonymous;
	uint64_t reads;

	if (variant->flags == MAP_SHARED) {
		EXPECT_EQ(-EINVAL, th_own_page(self->handle, getpid(), self->map));
		EXPECT_EQ(0, done(self->fs, FUSE_WRITE));
		return;
	}
	ASSERT_EQ(0, mprotect(self->map, SIZE, PROT_READ | PROT_EXEC));
	ASSERT_EQ(0, th_own_page(self->handle, getpid(), self->map + 17));
	ASSERT_EQ(0, th_drop_pages(self->handle, self->nodeid));
	ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_READ, 1));
	reads = done(self->fs, FUSE_READ);
	for (unsigned int i = 0; i < PAGE; i++)
		ASSERT_EQ(rawfs_byte(self->nodeid, i), self->map[i]);
	EXPECT_EQ(reads, done(self->fs, FUSE_READ));
	EXPECT_EQ(rawfs_byte(self->nodeid, PAGE), self->map[PAGE]);
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_READ, reads + 1));
	EXPECT_EQ(-ESRCH, th_own_page(self->handle, -1, self->map));
	EXPECT_EQ(-EBADF, th_own_page(self->handle, getpid(), &anonymous));
	EXPECT_EQ(-EBADF, th_own_page(self->handle, getpid(), NULL));
}

/* Whoever's mapping it was is gone; what was exchanged goes with it. */
TEST_F(share, of_one_who_ends)
{
	const struct rawfs_handle *first = rawfs_handle(self->fs, "f5", 0);
	int ready[2], status;
	char c;
	pid_t pid;

	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(ready[1]);
		/* Ends when it is told, or when the test does. */
		_exit(read(ready[0], &c, 1) == 1 ? 0 : 1);
	}
	close(ready[0]);
	self->share.pid = pid;
	ASSERT_EQ(0, th_share(self->handle, self->share));
	ASSERT_EQ(1, write(ready[1], "", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	close(ready[1]);
	close(self->handle);
	self->handle = -1;
	EXPECT_EQ(0, first->releases);
	EXPECT_EQ(rawfs_handle(self->fs, "f5", 1)->fh, map_fh(self));
	EXPECT_EQ(rawfs_byte(self->nodeid, 0), self->map[0]);
}

TEST_F(share, no_longer_than_asked)
{
	struct fusecr_own_page arg = { .pid = getpid(), .address = (uintptr_t)self->map };
	struct fusecr_drop_pages drop = { .nodeid = self->nodeid };

	EXPECT_EQ(-EINVAL, th_call(self->handle, FUSECR_IOC_OWN_PAGE, &arg));
	rawfs_hold(self->fs, FUSE_READ);
	arg.seconds = 1;
	/* A shared page is nobody's own: it is not even read. */
	if (variant->flags == MAP_SHARED) {
		EXPECT_EQ(-EINVAL, th_call(self->handle, FUSECR_IOC_OWN_PAGE, &arg));
		EXPECT_EQ(0, self->fs->nr_op[FUSE_READ]);
		return;
	}
	EXPECT_EQ(-ETIMEDOUT, th_call(self->handle, FUSECR_IOC_OWN_PAGE, &arg));
	/* The page is being read. */
	EXPECT_EQ(-EINVAL, th_call(self->handle, FUSECR_IOC_DROP_PAGES, &drop));
	drop.seconds = 1;
	EXPECT_EQ(-ETIMEDOUT, th_call(self->handle, FUSECR_IOC_DROP_PAGES, &drop));
	rawfs_release(self->fs, FUSE_READ);
	EXPECT_EQ(rawfs_byte(self->nodeid, 0), self->map[0]);
}

TEST_F(share, without_a_connection)
{
	int fd = th_open();

	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOTCONN, th_share(fd, self->share));
	EXPECT_EQ(-ENOTCONN, th_drop_pages(fd, self->nodeid));
	EXPECT_EQ(-ENOTCONN, th_own_page(fd, getpid(), self->map));
	close(fd);
}

TEST_HARNESS_MAIN
