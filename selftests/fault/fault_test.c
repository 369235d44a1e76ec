// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation and every copy from or to user space fails once, in turn, in
 * each question and each change. What is asked: an error that says so or the whole
 * answer, never less of it; a change that is made or is not; and everything back in
 * its place afterwards.
 */
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "kselftest_harness.h"
#include "fault.h"
#include "test_handle.h"
#include "../../tools/lib/newer_fuse.h"
#include "test_util.h"

/* --- questions ----------------------------------------------------------------- */

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

/* --- changes ------------------------------------------------------------------ */

FIXTURE(change) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	struct test_client client;	/* to be held */
	int fail;
	int fd;
};

FIXTURE_VARIANT(change) {
	/* 0 or more, or -errno */
	int (*apply)(FIXTURE_DATA(change) *self, int handle);
	/* what it changes; NULL when that cannot be asked for */
	uint64_t (*value)(FIXTURE_DATA(change) *self);
	uint64_t after;
};

#define NEW_FH		0x1122334455667788ULL
#define NEW_NLOOKUP	77
#define NEW_OWNER	78

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

FIXTURE_SETUP(change)
{
	struct rawfs_config config;

	self->fail = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	if (self->fail < 0)
		SKIP(return, "this kernel cannot let allocations fail");
	ASSERT_EQ(0, set_up_faults());
	ASSERT_EQ(0, test_own_mounts());
	rawfs_defaults(&config);
	config.init.flags = FUSE_POSIX_LOCKS;
	self->fs = rawfs_up(&config, true);
	ASSERT_NE(NULL, self->fs);
	ASSERT_EQ(0, rawfs_wait_init(self->fs));
	ASSERT_EQ(0, tnl_open(&self->nl));
	self->id = tnl_conn_id(&self->nl, self->fs->dev);
	self->fd = open(test_path(self->fs, "f3"), O_RDONLY);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, test_client_start(&self->client, wait_for_ever, NULL));
}

FIXTURE_TEARDOWN(change)
{
	if (!self->fs)
		return;
	test_client_kill(&self->client);
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
			EXPECT_EQ(before, variant->value(self));
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
