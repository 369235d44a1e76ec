// SPDX-License-Identifier: GPL-2.0
/*
 * A gate that is closed while a client waits in what does not start over: a page
 * fault, execve(), the end of a process. The server is waited for, and nobody
 * notices.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "test_handle.h"
#include "test_util.h"

#define DRAIN_MS	20000
#define LOOKS		100	/* of TAKE's, before it is believed that it takes nothing */
#define CLIENTS		2

FIXTURE(fault) {
	struct rawfs *fs;
	struct tnl nl;
	int fd;
	struct test_client clients[CLIENTS];
};

FIXTURE_VARIANT(fault) {
	int (*work)(void *fs);
	uint32_t opcode;
	uint32_t init;		/* flags */
	unsigned int clients;	/* if not 1 */
	uint32_t before;	/* what each of several asks for last, before it waits */
	bool goes;		/* may be taken: it starts over all the same */
};

/* --- what waits -------------------------------------------------------------------- */

static unsigned char first_byte(const struct rawfs *fs)
{
	return rawfs_byte(rawfs_nodeid(rawfs_index(fs, "f1")), 0);
}

static void *map_file(const struct rawfs *fs)
{
	int fd = open(test_path(fs, "f1"), O_RDONLY | O_CLOEXEC);
	void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	close(fd);
	return map;
}

static int touch(void *fs)
{
	const volatile unsigned char *map = map_file(fs);

	return *map == first_byte(fs) ? 0 : -EBADMSG;
}

/* Written to the mapping, by the kernel: the counter is 0 before that fails. */
static int fault_in_call(void *fs)
{
	int event = eventfd(3, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t *map = map_file(fs);

	if (read(event, map, sizeof(*map)) != sizeof(*map))
		return -errno;
	return *map == 3 ? 0 : -EBADMSG;
}

static int read_one(void *fs)
{
	int fd = open(test_path(fs, "f1"), O_RDONLY | O_CLOEXEC);
	unsigned char byte = 0;

	if (pread(fd, &byte, 1, 0) != 1)
		return -errno;
	return byte == first_byte(fs) ? 0 : -EBADMSG;
}

/* 0 when the child ends with @want, as waitpid() tells it. */
static int child_ends(pid_t pid, int want)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return status == want ? 0 : -EPROTO;
}

static int run_program(void *fs)
{
	const char *path = test_path(fs, "true");
	pid_t pid = fork();

	if (!pid) {
		execl(path, path, NULL);
		_exit(errno);
	}
	return child_ends(pid, 0);
}

/* What is open then is closed, which asks the server. */
static int end_with_open_file(void *fs)
{
	pid_t pid = fork();
	int fd;

	if (!pid) {
		fd = open(test_path(fs, "f1"), O_RDONLY | O_CLOEXEC);
		_exit(fd < 0 ? 1 : 7);
	}
	return child_ends(pid, W_EXITCODE(7, 0));
}

/* Its core goes to the mount; without memory, of which the server has much. */
static int dump_core(void *fs)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	struct stat st;
	int err;
	pid_t pid = fork();

	if (!pid) {
		setrlimit(RLIMIT_CORE, &all);
		test_write("/proc/self/coredump_filter", "0");
		signal(SIGQUIT, SIG_DFL);
		raise(SIGQUIT);
	}
	err = child_ends(pid, W_EXITCODE(0, SIGQUIT) | WCOREFLAG);
	if (!err && (stat(test_path(fs, "core"), &st) || !st.st_size))
		err = -ENODATA;
	return err;
}

/* --- the tests ---------------------------------------------------------------------- */

#define VARIANT(name, ...)						\
	FIXTURE_VARIANT_ADD(fault, name) { __VA_ARGS__ }

VARIANT(touch, touch, FUSE_READ);
VARIANT(touch_ahead, touch, FUSE_READ, .init = FUSE_ASYNC_READ);
VARIANT(in_call, fault_in_call, FUSE_READ);
VARIANT(in_call_ahead, fault_in_call, FUSE_READ, .init = FUSE_ASYNC_READ);
VARIANT(two_touch, touch, FUSE_READ, .clients = 2, .before = FUSE_FLUSH);
VARIANT(two_touch_ahead, touch, FUSE_READ, .init = FUSE_ASYNC_READ, .clients = 2,
	.before = FUSE_FLUSH);
/* Who waits for a page that another reads. */
VARIANT(two_read, read_one, FUSE_READ, .clients = 2, .before = FUSE_OPEN, .goes = true);
VARIANT(two_read_ahead, read_one, FUSE_READ, .init = FUSE_ASYNC_READ, .clients = 2,
	.before = FUSE_OPEN, .goes = true);
VARIANT(exec_lookup, run_program, FUSE_LOOKUP, .goes = true);
VARIANT(exec_open, run_program, FUSE_OPEN, .goes = true);
VARIANT(exec_read, run_program, FUSE_READ);
VARIANT(exec_read_ahead, run_program, FUSE_READ, .init = FUSE_ASYNC_READ);
VARIANT(end_flush, end_with_open_file, FUSE_FLUSH);
VARIANT(core, dump_core, FUSE_WRITE);

static int copy_program(const char *from, const char *to)
{
	char data[4096];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
	ssize_t n;

	while ((n = read(in, data, sizeof(data))) > 0)
		if (write(out, data, n) != n)
			break;
	close(in);
	return n || close(out) ? -EIO : 0;
}

FIXTURE_SETUP(fault)
{
	struct rawfs_config config;
	uint64_t id;

	rawfs_defaults(&config);
	config.spare = 4;
	config.entry_ms = 0;
	/* Or open() waits for the page that another reads. */
	config.open_flags = FOPEN_KEEP_CACHE;
	config.init.flags = variant->init | FUSE_BIG_WRITES;
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &id));
	ASSERT_EQ(0, copy_program("/bin/true", test_path(self->fs, "true")));
	self->fd = th_attach(id);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, test_write("/proc/sys/kernel/core_pattern",
				test_path(self->fs, "core")));
}

FIXTURE_TEARDOWN(fault)
{
	int i;

	test_write("/proc/sys/kernel/core_pattern", "core");
	close(self->fd);
	rawfs_release(self->fs, 0);
	for (i = 0; i < CLIENTS; i++)
		test_client_kill(&self->clients[i]);
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

static int close_in_the_middle(FIXTURE_DATA(fault) *self,
			       const FIXTURE_VARIANT(fault) *variant)
{
	uint64_t asked = self->fs->nr_op[variant->before];
	int err = 0, i;

	rawfs_hold(self->fs, variant->opcode);
	for (i = 0; !err && i < (variant->clients ?: 1); i++)
		err = test_client_start(&self->clients[i], variant->work, self->fs) ?:
		      /* Of the second one there need not be a request that is held. */
		      rawfs_wait_held(self->fs, variant->opcode, 1) ?:
		      rawfs_wait_op(self->fs, variant->before,
				    variant->before ? asked + i + 1 : 0);
	if (!err)
		err = th_gate_close(self->fd, self->fs->pid);
	while (err >= 0 && i-- > 0)
		err = th_hold(self->fd, self->clients[i].pid);
	return err < 0 ? err : 0;
}

static void all_is_well(struct __test_metadata *_metadata, FIXTURE_DATA(fault) *self,
			const FIXTURE_VARIANT(fault) *variant)
{
	int i;

	for (i = 0; i < (variant->clients ?: 1); i++)
		EXPECT_EQ(0, test_client_wait(&self->clients[i]))
			TH_LOG("client %d", i);
	EXPECT_EQ(0, self->fs->duplicates);
	EXPECT_EQ(0, self->fs->interrupts);
}

TEST_F(fault, served)
{
	ASSERT_EQ(0, close_in_the_middle(self, variant));
	EXPECT_FALSE(th_drained(self->fd, 0));
	rawfs_release(self->fs, 0);
	EXPECT_TRUE(th_drained(self->fd, DRAIN_MS));
	ASSERT_EQ(0, th_gate_open(self->fd));
	all_is_well(_metadata, self, variant);
}

TEST_F(fault, not_served)
{
	bool drained = false;
	int i;

	ASSERT_EQ(0, close_in_the_middle(self, variant));
	for (i = 0; i < LOOKS && !drained; i++) {
		ASSERT_LE(0, th_take(self->fd));
		drained = th_drained(self->fd, 1);
	}
	if (!variant->goes) {
		EXPECT_FALSE(drained);
		EXPECT_EQ(0, th_kept(self->fd));
	}
	if (!drained) {
		rawfs_release(self->fs, 0);
		EXPECT_TRUE(th_drained(self->fd, DRAIN_MS));
	}
	ASSERT_EQ(0, th_gate_open(self->fd));
	rawfs_release(self->fs, 0);
	all_is_well(_metadata, self, variant);
	/* Who got the page by somebody else's READ has not asked again. */
	for (i = 0; i < DRAIN_MS && th_kept(self->fd); i++)
		test_nap(1);
	EXPECT_EQ(0, th_kept(self->fd));
}

TEST_HARNESS_MAIN
