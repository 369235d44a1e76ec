// SPDX-License-Identifier: GPL-2.0
/*
 * What a server keeps: taken from its client, whose system call starts over, is
 * told to the server once and has one result.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "ops.h"
#include "test_handle.h"
#include "test_util.h"

#define DRAIN_MS	5000

/* In memory that is shared with the client. */
struct client {
	const struct rawfs *fs;
	const struct op *op;
	int ready, go;		/* pipes */
	int close[8];		/* not the client's */
};

static int run(void *arg)
{
	struct client *c = arg;
	unsigned int i;
	char byte;
	int fd;

	for (i = 0; i < sizeof(c->close) / sizeof(*c->close) && c->close[i]; i++)
		close(c->close[i]);
	fd = op_open(c->op, c->fs->dir);
	if (fd < 0)
		return -errno;
	/* All requests after this are the call's. */
	if (write(c->ready, "", 1) != 1 || read(c->go, &byte, 1) != 1)
		return -EPIPE;
	return c->op->call(c->fs->dir, fd) ? -errno : 0;
}

FIXTURE(keep) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	int fd, ready, go;
	uint32_t opcode;
	struct client *c;
	struct test_client client;
};

/* The table cannot be gone through: variants are made by the preprocessor. */
FIXTURE_VARIANT(keep) {
	const char *op;
};

#define VARIANT(name)							\
	FIXTURE_VARIANT_ADD(keep, name) { .op = #name }

VARIANT(lookup);
VARIANT(getattr);
VARIANT(chmod);
VARIANT(truncate);
VARIANT(readlink);
VARIANT(symlink);
VARIANT(mknod);
VARIANT(mkdir);
VARIANT(unlink);
VARIANT(rmdir);
VARIANT(rename);
VARIANT(rename_over);
VARIANT(rename2);
VARIANT(link);
VARIANT(open);
VARIANT(create);
VARIANT(read);
VARIANT(append);
VARIANT(statfs);
VARIANT(fsync);
VARIANT(setxattr);
VARIANT(getxattr);
VARIANT(listxattr);
VARIANT(removexattr);
VARIANT(opendir);
VARIANT(readdir);
VARIANT(access);
VARIANT(fallocate);
VARIANT(lseek);
VARIANT(setlkw);
VARIANT(setlk);
VARIANT(getlk);
VARIANT(fsyncdir);
VARIANT(tmpfile);
VARIANT(ioctl);
VARIANT(chown);
VARIANT(utimens);
VARIANT(touch);

static int pipe_pair(int *here, int *there, bool read_here)
{
	int fds[2];

	if (pipe(fds))
		return -errno;
	*here = fds[read_here ? 0 : 1];
	*there = fds[read_here ? 1 : 0];
	return 0;
}

FIXTURE_SETUP(keep)
{
	struct rawfs_config config;
	struct client *c;

	rawfs_defaults(&config);
	config.spare = 16;
	config.entry_ms = 0;
	config.attr_ms = 0;
	config.init.flags = FUSE_POSIX_LOCKS | FUSE_ATOMIC_O_TRUNC;
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
	ASSERT_EQ(0, ops_prepare(self->fs->dir));

	c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, c);
	self->c = c;
	c->fs = self->fs;
	c->op = op_find(variant->op);
	ASSERT_NE(NULL, c->op);
	self->opcode = rawfs_opcode(c->op->opcode);
	ASSERT_EQ(0, pipe_pair(&self->ready, &c->ready, true));
	ASSERT_EQ(0, pipe_pair(&self->go, &c->go, false));
	c->close[0] = self->ready;
	c->close[1] = self->go;
	ASSERT_EQ(0, test_client_start(&self->client, run, c));
	self->fd = th_attach(self->id);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(keep)
{
	close(self->fd);
	rawfs_release(self->fs, 0);
	test_client_kill(&self->client);
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

/* The request is sent, and taken; how often the server has had it, or -errno. */
static int taken(FIXTURE_DATA(keep) *self, bool late)
{
	uint32_t opcode = self->opcode;
	struct fusecr_gate_status s;
	char byte;
	int err, i;

	if (read(self->ready, &byte, 1) != 1)
		return -EPIPE;
	if (late)
		rawfs_hold_answer(self->fs, opcode);
	else
		rawfs_hold(self->fs, opcode);
	if (write(self->go, "", 1) != 1)
		return -EPIPE;
	err = rawfs_wait_held(self->fs, opcode, 1) ?:
	      th_gate_close(self->fd, self->fs->pid);
	if (err)
		return err;
	err = th_hold(self->fd, self->client.pid);
	if (err < 0)
		return err;
	/* It is read before the client is asleep. */
	for (i = 0; i < DRAIN_MS && !(err = th_take(self->fd)); i++)
		test_nap(1);
	if (err != 1)
		return err < 0 ? err : -ENODATA;
	if (!th_drained(self->fd, DRAIN_MS))
		return -ETIME;
	s = th_gate_status(self->fd);
	return s.held + s.coming == 1 ? self->fs->nr_op[opcode] : -ESRCH;
}

static bool once(FIXTURE_DATA(keep) *self, uint64_t n)
{
	const struct op *op = self->c->op;

	return self->fs->nr_op[self->opcode] == n && !self->fs->duplicates &&
	       !self->fs->lost && !self->fs->interrupts &&
	       (!op->there || rawfs_index(self->fs, op->there) >= 0) &&
	       (!op->gone || rawfs_index(self->fs, op->gone) < 0);
}

static void log_server(struct __test_metadata *_metadata, struct rawfs *fs)
{
	size_t len;
	char *text = rawfs_log_text(fs, &len);

	TH_LOG("duplicates %lu lost %lu interrupts %lu", (unsigned long)fs->duplicates,
	       (unsigned long)fs->lost, (unsigned long)fs->interrupts);
	if (text)
		TH_LOG("%s", text);
	free(text);
}

static void ask_again(struct __test_metadata *_metadata,
		      FIXTURE_DATA(keep) *self, bool late)
{
	int n = taken(self, late), i;

	ASSERT_LE(1, n)
		TH_LOG("%s", strerror(-n));
	ASSERT_EQ(0, th_gate_open(self->fd));
	/* Until it has; or it has been told already. */
	for (i = 0; i < 1000 && th_kept(self->fd) > 0; i++)
		test_nap(1);
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->client));
	EXPECT_TRUE(once(self, n))
		log_server(_metadata, self->fs);
}

/* The client asks again before the server answers. */
TEST_F(keep, asked_again)
{
	ask_again(_metadata, self, false);
}

/* The server has done it, and answers late. */
TEST_F(keep, done_already)
{
	ask_again(_metadata, self, true);
}

/* The server answers before the client asks again. */
TEST_F(keep, answered_before)
{
	int n = taken(self, false);

	ASSERT_LE(1, n)
		TH_LOG("%s", strerror(-n));
	rawfs_release(self->fs, 0);
	ASSERT_EQ(0, rawfs_wait_op(self->fs, self->opcode, n));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(0, test_client_wait(&self->client));
	EXPECT_TRUE(once(self, n))
		log_server(_metadata, self->fs);
}

/* Nobody asks again: what the answer gave is given back. */
TEST_F(keep, killed)
{
	int n = taken(self, true), i;

	ASSERT_LE(1, n)
		TH_LOG("%s", strerror(-n));
	test_client_kill(&self->client);
	rawfs_release(self->fs, 0);
	ASSERT_EQ(0, rawfs_wait_op(self->fs, self->opcode, n));
	for (i = 0; i < DRAIN_MS && th_kept(self->fd); i++)
		test_nap(1);
	EXPECT_EQ(0, th_kept(self->fd));
	EXPECT_EQ(0, self->fs->lost);
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_TRUE(test_let_go(self->fs));
	EXPECT_TRUE(test_forgotten(self->fs));
}

TEST_HARNESS_MAIN
