// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation and every copy from or to user space fails once, in turn, in each
 * change. What is asked: an error that says so and nothing changed, or the change; and
 * everything back in its place afterwards.
 */
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "fault.h"
#include "test_handle.h"
#include "test_util.h"

FIXTURE(change) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	struct test_client client;	/* to be held; it has fd, too */
	int fail;
	int fd;				/* of f3 */
	int gone;			/* of "gone (deleted)" */
	int dev;			/* the server's device */
	uint32_t kept;			/* so far */
	const char *map;		/* a page of f5, by an open of its own */
};

FIXTURE_VARIANT(change) {
	/* 0 or more, or -errno */
	int (*apply)(FIXTURE_DATA(change) *self, int handle);
	/* what it changes; NULL when that cannot be asked for */
	uint64_t (*value)(FIXTURE_DATA(change) *self);
	uint64_t after;
	bool stays;	/* when the handle is closed */
	uint32_t init;	/* further flags */
};

#define NEW_FH		0x1122334455667788ULL
#define NEW_NLOOKUP	77
#define NEW_OWNER	78
#define PAGE		4096UL
#define UNIQUE		(1ULL << 32)	/* no request of the kernel's own */

static uint64_t node_of(FIXTURE_DATA(change) *self)
{
	return rawfs_nodeid(rawfs_index(self->fs, "f3"));
}

static int apply_none(FIXTURE_DATA(change) *self, int handle)
{
	return 0;
}

static int apply_unique(FIXTURE_DATA(change) *self, int handle)
{
	return th_set_conn(handle, (struct fusecr_set_conn){
		.mask = FUSECR_SET_NEXT_UNIQUE | FUSECR_SET_PID_NS,
		.next_unique = 1 << 20, .pid = getpid() });
}

static uint64_t value_unique(FIXTURE_DATA(change) *self)
{
	struct tnl_list list;
	uint64_t value = 0;

	if (!tnl_conn(&self->nl, self->id, &list))
		value = tnl_u64(&list.v[0], FUSECR_CONN_NEXT_UNIQUE);
	tnl_free(&list);
	return value;
}

static int apply_nlookup(FIXTURE_DATA(change) *self, int handle)
{
	return th_set_inode(handle, node_of(self), NEW_NLOOKUP);
}

static uint64_t value_nlookup(FIXTURE_DATA(change) *self)
{
	struct tnl_query query = { .cmd = FUSECR_CMD_GET_INODE,
				   .conn_id = self->id, .nodeid = node_of(self) };
	struct tnl_list list;
	uint64_t value = 0;

	if (!tnl_do(&self->nl, &query, &list))
		value = tnl_u64(&list.v[0], FUSECR_INODE_NLOOKUP);
	tnl_free(&list);
	return value;
}

static int apply_fh(FIXTURE_DATA(change) *self, int handle)
{
	return th_set_file(handle, (struct fusecr_set_file){
		.mask = FUSECR_SET_FH, .pid = getpid(), .use = FUSECR_FILE_FD,
		.number = self->fd, .nodeid = node_of(self), .fh = NEW_FH });
}

static int apply_owner(FIXTURE_DATA(change) *self, int handle)
{
	return th_set_owner(handle, (struct fusecr_set_owner){
		.mask = FUSECR_SET_OWNER_TABLE | FUSECR_SET_OWNER_OPEN,
		.pid = getpid(), .use = FUSECR_FILE_FD, .number = self->fd,
		.nodeid = node_of(self), .table = NEW_OWNER + 1, .open = NEW_OWNER });
}

static uint64_t value_of_file(FIXTURE_DATA(change) *self, uint16_t attr)
{
	struct tnl_query query = { .cmd = FUSECR_CMD_GET_FILE,
				   .conn_id = self->id, .pid = getpid() };
	struct tnl_list list;
	uint64_t value = 0;

	if (!tnl_dump(&self->nl, &query, &list) && list.n)
		value = tnl_u64(&list.v[0], attr);
	tnl_free(&list);
	return value;
}

static uint64_t value_fh(FIXTURE_DATA(change) *self)
{
	return value_of_file(self, FUSECR_FILE_FH);
}

static uint64_t value_owner(FIXTURE_DATA(change) *self)
{
	return value_of_file(self, FUSECR_FILE_OWNER_OPEN);
}

static int apply_forget(FIXTURE_DATA(change) *self, int handle)
{
	return th_forget(handle, 0x4711, 1);
}

static int apply_admit(FIXTURE_DATA(change) *self, int handle)
{
	return th_admit(handle, 1);
}

/* Of the server's device, of which this task has a duplicate meanwhile. */
static int apply_requeue(FIXTURE_DATA(change) *self, int handle)
{
	return th_requeue(handle, self->fs->fd[0], 0);
}

static int apply_gate(FIXTURE_DATA(change) *self, int handle)
{
	struct fusecr_gate_status status;

	return th_gate_close(handle, self->fs->pid) ?:
	       th_call(handle, FUSECR_IOC_GATE_STATUS, &status);
}

static int apply_hold(FIXTURE_DATA(change) *self, int handle)
{
	return th_gate_close(handle, self->fs->pid) ?:
	       th_hold(handle, self->client.pid);
}

static int apply_sync(FIXTURE_DATA(change) *self, int handle)
{
	return th_sync(handle, 60);
}

/* What is committed stays, and nothing but what it was told before can fail. */
static int apply_commit(FIXTURE_DATA(change) *self, int handle)
{
	return apply_unique(self, handle) ?: th_commit(handle);
}

static int apply_lock(FIXTURE_DATA(change) *self, int handle)
{
	return th_set_lock(handle, (struct fusecr_set_lock){
		.pid = self->client.pid, .type = F_RDLCK, .number = self->fd,
		.nodeid = node_of(self), .start = 10, .end = 19 });
}

static uint64_t value_lock(FIXTURE_DATA(change) *self)
{
	struct flock lock = { .l_type = F_WRLCK, .l_start = 10, .l_len = 1 };

	return fcntl(self->fd, F_GETLK, &lock) || lock.l_type != F_UNLCK;
}

static int apply_unlink(FIXTURE_DATA(change) *self, int handle)
{
	struct fusecr_unlink arg = {
		.pid = getpid(), .use = FUSECR_FILE_FD, .number = self->gone,
		.nodeid = rawfs_nodeid(rawfs_index(self->fs, "gone (deleted)")),
		.name = (uintptr_t)"gone", .name_len = 4 };

	return th_call(handle, FUSECR_IOC_UNLINK, &arg);
}

static int apply_share(FIXTURE_DATA(change) *self, int handle)
{
	struct fusecr_share_file arg = {
		.pid = getpid(), .use = FUSECR_FILE_MAP, .number = (uintptr_t)self->map,
		.end = (uintptr_t)self->map + PAGE, .from_pid = getpid(),
		.from_use = FUSECR_FILE_MAP, .from_number = (uintptr_t)self->map,
		.nodeid = rawfs_nodeid(rawfs_index(self->fs, "f5")),
		.flags = FUSECR_SHARE_REOPEN };

	return th_call(handle, FUSECR_IOC_SHARE_FILE, &arg);
}

/* The handle that the server gave when the page was mapped, or another. */
static uint64_t value_map_fh(FIXTURE_DATA(change) *self)
{
	struct tnl_query query = { .cmd = FUSECR_CMD_GET_FILE,
				   .conn_id = self->id, .pid = getpid() };
	struct tnl_list list;
	uint64_t fh = 0;

	if (!tnl_dump(&self->nl, &query, &list))
		for (size_t i = 0; i < list.n; i++)
			if (tnl_u32(&list.v[i], FUSECR_FILE_USE) == FUSECR_FILE_MAP)
				fh = tnl_u64(&list.v[i], FUSECR_FILE_FH);
	tnl_free(&list);
	return fh != rawfs_handle(self->fs, "f5", 0)->fh;
}

/* Its content is what it was, which the server would not have told in between. */
static int apply_page(FIXTURE_DATA(change) *self, int handle)
{
	struct fusecr_own_page own = { .pid = getpid(), .seconds = 10,
				       .address = (uintptr_t)self->map };
	struct fusecr_drop_pages drop = {
		.seconds = 10, .nodeid = rawfs_nodeid(rawfs_index(self->fs, "f5")) };
	int err = th_call(handle, FUSECR_IOC_OWN_PAGE, &own) ?:
		  th_call(handle, FUSECR_IOC_DROP_PAGES, &drop);

	if (self->map[5] != (char)rawfs_byte(drop.nodeid, 5))
		return -EPROTO;
	return err;
}

/* How many are kept; a fault of the question is none of the change. */
static uint32_t kept_now(int handle)
{
	struct fusecr_gate_status status = { };

	for (int i = 0; i < 2 && th_call(handle, FUSECR_IOC_GATE_STATUS, &status); i++)
		;
	return status.kept;
}

/*
 * A request that the client, they say, has sent: it is kept or it is not. Until the client
 * ends, which never asks for it, so that each has a number of its own.
 */
static int apply_keep(FIXTURE_DATA(change) *self, int handle)
{
	static uint64_t unique = UNIQUE;
	struct fuse_entry_out named[FUSECR_KEEP_NAMES] = { };
	char in[64] = "", out[sizeof(struct fuse_statfs_out)] = "";
	struct fusecr_keep keep = {
		.fd = self->dev, .opcode = FUSE_STATFS, .unique = unique,
		.nodeid = FUSE_ROOT_ID, .pid = self->client.pid, .answered = 1,
		.in = (uintptr_t)in, .in_len = sizeof(in), .out = (uintptr_t)out,
		.named = (uintptr_t)named, .out_count = 1, .out_size = { sizeof(out) } };
	uint32_t before = self->kept;
	int err;

	unique += 2;
	err = th_call(handle, FUSECR_IOC_KEEP, &keep);

	self->kept = kept_now(handle);
	return self->kept == before + !err ? err : -EPROTO;
}

/*
 * What is not taken because of a fault is taken without one, or goes on as it
 * was: each time the client has one answer, to one request.
 */
static int apply_take(FIXTURE_DATA(change) *self, int handle)
{
	struct test_client client = { 0 };
	uint64_t before = self->fs->nr_op[FUSE_OPEN];
	unsigned int n = 0;
	int got, err, again;
	char text[16] = "";

	/* Not in what comes before. */
	if (pread(self->fail, text, sizeof(text) - 1, 0) > 0)
		n = strtoul(text, NULL, 10);
	fail(self->fail, 0);
	rawfs_hold(self->fs, FUSE_OPEN);
	err = test_client_start(&client, test_open, (void *)test_path(self->fs, "f2")) ?:
	      rawfs_wait_held(self->fs, FUSE_OPEN, 1) ?:
	      th_gate_close(handle, self->fs->pid);
	test_nap(20);	/* it is read before it is waited for */
	fail(self->fail, n);
	got = th_take(handle);
	if (pread(self->fail, text, sizeof(text) - 1, 0) > 0)
		n = strtoul(text, NULL, 10);
	fail(self->fail, 0);
	again = th_take(handle);
	if (err || again < 0 || th_gate_open(handle))
		got = -EPROTO;
	rawfs_release(self->fs, FUSE_OPEN);
	if (test_client_wait(&client) || self->fs->nr_op[FUSE_OPEN] != before + 1 ||
	    th_kept(handle) || self->fs->lost || self->fs->duplicates)
		got = -EPROTO;
	fail(self->fail, n);
	return got < 0 ? got : 0;
}

static int wait_for_ever(void *arg)
{
	for (;;)
		pause();
	return 0;
}

#define CHANGE(name, ...) \
	FIXTURE_VARIANT_ADD(change, name) { .apply = apply_##name, __VA_ARGS__ }

CHANGE(none);
CHANGE(unique, .value = value_unique, .after = 1 << 20);
CHANGE(nlookup, .value = value_nlookup, .after = NEW_NLOOKUP);
CHANGE(fh, .value = value_fh, .after = NEW_FH);
CHANGE(owner, .value = value_owner, .after = NEW_OWNER);
CHANGE(forget);
CHANGE(admit);
CHANGE(requeue);
CHANGE(gate);
CHANGE(hold);
CHANGE(sync);
CHANGE(take);
CHANGE(commit, .value = value_unique, .after = 1 << 20, .stays = true);
CHANGE(lock, .value = value_lock, .after = 1, .init = FUSE_BIG_WRITES);
CHANGE(unlink);
CHANGE(share, .value = value_map_fh, .after = 1);
CHANGE(page);
CHANGE(keep);

FIXTURE_SETUP(change)
{
	struct rawfs_config config;
	int pidfd, fd;

	self->fail = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	if (self->fail < 0)
		SKIP(return, "this kernel cannot let allocations fail");
	ASSERT_EQ(0, set_up_faults());
	ASSERT_EQ(0, test_own_mounts());
	rawfs_defaults(&config);
	config.init.flags = variant->init ?: FUSE_POSIX_LOCKS;
	config.open_flags = FOPEN_KEEP_CACHE;
	self->fs = rawfs_up(&config, true);
	ASSERT_NE(NULL, self->fs);
	ASSERT_EQ(0, rawfs_wait_init(self->fs));
	ASSERT_EQ(0, tnl_open(&self->nl));
	self->id = tnl_conn_id(&self->nl, self->fs->dev);
	self->fd = open(test_path(self->fs, "f3"), O_RDONLY);
	ASSERT_LE(0, self->fd);
	self->gone = open(test_path(self->fs, "gone (deleted)"), O_RDWR | O_CREAT, 0644);
	ASSERT_LE(0, self->gone);
	fd = open(test_path(self->fs, "f5"), O_RDWR);
	ASSERT_LE(0, fd);
	self->map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, self->map);
	close(fd);
	pidfd = syscall(SYS_pidfd_open, self->fs->pid, 0);
	self->dev = syscall(SYS_pidfd_getfd, pidfd, self->fs->fd[0], 0);
	close(pidfd);
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(0, test_client_start(&self->client, wait_for_ever, NULL));
}

FIXTURE_TEARDOWN(change)
{
	if (!self->fs)
		return;
	test_client_kill(&self->client);
	munmap((void *)self->map, PAGE);
	close(self->dev);
	close(self->gone);
	close(self->fd);
	close(self->fail);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

TEST_F_TIMEOUT(change, each_fault, 600)
{
	uint64_t before = variant->value ? variant->value(self) : 0;
	unsigned int n = 0, count, failed = 0;
	int handle, got;

	do {
		n++;
		handle = th_attach(self->id);
		ASSERT_LE(0, handle);
		fail(self->fail, n);
		got = variant->apply(self, handle);
		count = ends(self->fail, n);
		failed += got < 0;
		EXPECT_TRUE(got >= 0 || is_fault(got)) {
			TH_LOG("fault %u: %d", n, got);
		}
		if (variant->value)
			EXPECT_EQ(got < 0 ? before : variant->after,
				  variant->value(self));
		close(handle);
		if (variant->stays && got >= 0)
			before = variant->after;
		if (variant->value)
			EXPECT_EQ(before, variant->value(self));
	} while (count == n && n < MANY);
	TH_LOG("%u faults, %u changes failed", n - 1, failed);
	if (variant->apply != apply_none)
		EXPECT_LT(0, failed);
}

/* What takes back must not need memory that there may not be. */
TEST_F_TIMEOUT(change, each_fault_of_the_close, 600)
{
	uint64_t before = variant->value ? variant->value(self) : 0;
	unsigned int n = 0, count;
	int handle;

	do {
		n++;
		handle = th_attach(self->id);
		ASSERT_LE(0, handle);
		ASSERT_LE(0, variant->apply(self, handle));
		fail(self->fail, n);
		close(handle);
		count = ends(self->fail, n);
		if (variant->value)
			EXPECT_EQ(variant->stays ? variant->after : before,
				  variant->value(self));
	} while (count == n && n < MANY);
}

TEST_F_TIMEOUT(change, each_fault_of_the_attach, 600)
{
	unsigned int n = 0, count;
	int handle;

	do {
		n++;
		fail(self->fail, n);
		handle = th_attach(self->id);
		count = ends(self->fail, n);
		if (handle >= 0) {
			close(handle);
			continue;
		}
		EXPECT_TRUE(is_fault(handle)) {
			TH_LOG("fault %u: %d", n, handle);
		}
	} while (count == n && n < MANY);
	EXPECT_LT(1, n);
	/* Nobody owns it by accident. */
	handle = th_attach(self->id);
	EXPECT_LE(0, handle);
	close(handle);
}

TEST_HARNESS_MAIN
