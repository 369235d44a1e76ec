// SPDX-License-Identifier: GPL-2.0
/*
 * What others do while a request is kept: nothing is written twice, nor over what somebody
 * else has written, and the kernel has the size and the bytes that are true.
 */
#include <signal.h>
#include <sys/stat.h>
#include <linux/fs.h>

#define KEEP_MS		3600000
#include "keep_fixture.h"

#define MAX_WRITE	(128 << 10)

/* --- places --------------------------------------------------------------------------------- */

/* Opened before: after open() it would be held. */
struct writer {
	int fd;
	const char *text;
};

static int write_shared(void *arg)
{
	const struct writer *w = arg;
	int n = strlen(w->text);

	return write(w->fd, w->text, n) == n ? 0 : -errno;
}

static int append(void *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC), n = strlen(text);

	return fd < 0 || write(fd, text, n) != n ? -errno : 0;
}

static int append_kept(void *path)
{
	return append(path, "kept");
}

/* What was put there, and nothing else. */
static bool ends_with(const struct rawfs *fs, uint64_t size, const char *text)
{
	char buf[64];
	int fd = open(test_path(fs, "f1"), O_RDONLY | O_DIRECT | O_CLOEXEC);
	ssize_t n = pread(fd, buf, sizeof(buf), size);

	close(fd);
	return n == strlen(text) && !memcmp(buf, text, n);
}

TEST_F(call, append_while_appending)
{
	uint64_t size = rawfs_node(self->fs, "f1")->attr.size;
	struct writer other = { .text = "other" };

	other.fd = open(path(self, "f1"), O_WRONLY | O_APPEND | O_CLOEXEC);
	ASSERT_LE(0, other.fd);
	ASSERT_EQ(0, keep_one(self, FUSE_WRITE, true, append_kept, path(self, "f1")));
	behind(_metadata, self, FUSE_WRITE, write_shared, &other);
	close(other.fd);
	EXPECT_EQ(2, self->fs->nr_op[FUSE_WRITE]);
	EXPECT_TRUE(ends_with(self->fs, size, "keptother"));
}

static int truncate_it(void *path)
{
	return truncate(path, 0) ? -errno : 0;
}

TEST_F(call, truncate_while_appending)
{
	ASSERT_EQ(0, keep_one(self, FUSE_WRITE, true, append_kept, path(self, "f1")));
	behind(_metadata, self, FUSE_SETATTR, truncate_it, path(self, "f1"));
	EXPECT_EQ(1, self->fs->nr_op[FUSE_WRITE]);
	EXPECT_EQ(0, rawfs_node(self->fs, "f1")->attr.size);
}

/* The kernel is told of the new end before who has written there. */
TEST_F(call, look_while_appending)
{
	uint64_t size = rawfs_node(self->fs, "f1")->attr.size;
	struct stat st;

	self->fs->config.attr_ms = 0;
	ASSERT_EQ(0, keep_one(self, FUSE_WRITE, true, append_kept, path(self, "f1")));
	ASSERT_EQ(0, stat(path(self, "f1"), &st));
	EXPECT_EQ(size + 4, st.st_size);
	ASSERT_EQ(0, th_gate_open(self->fd));
	rawfs_release(self->fs, 0);
	EXPECT_TRUE(kept_is(self->fd, 0));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(1, self->fs->nr_op[FUSE_WRITE]);
	EXPECT_TRUE(ends_with(self->fs, size, "kept"));
}

/* Who waits for a thread that is killed waits no longer. */
TEST_F(call, append_while_appending_and_killed)
{
	uint64_t size = rawfs_node(self->fs, "f1")->attr.size;
	struct writer other = { .text = "other" };

	/* It does what it was asked. */
	self->fs->config.ignore_interrupts = true;
	other.fd = open(path(self, "f1"), O_WRONLY | O_APPEND | O_CLOEXEC);
	ASSERT_LE(0, other.fd);
	ASSERT_EQ(0, keep_one(self, FUSE_WRITE, true, append_kept, path(self, "f1")));
	ASSERT_EQ(0, test_client_start(&self->clients[1], write_shared, &other));
	ASSERT_TRUE(held_is(self->fd, 2));
	test_client_kill(&self->clients[0]);
	ASSERT_EQ(0, th_gate_open(self->fd));
	/* As long as the server may still write there. */
	test_nap(QUIET_MS);
	EXPECT_EQ(1, self->fs->nr_op[FUSE_WRITE]);
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[1]));
	EXPECT_TRUE(kept_is(self->fd, 0));
	EXPECT_EQ(2, self->fs->nr_op[FUSE_WRITE]);
	EXPECT_TRUE(ends_with(self->fs, size, "keptother"));
	close(other.fd);
}

/* It is done, and its thread stands still: others go on behind it. */
static void stopped_writer(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self,
			   struct writer *kept, struct writer *other)
{
	uint64_t size = rawfs_node(self->fs, "f1")->attr.size;

	ASSERT_EQ(0, keep_one(self, FUSE_WRITE, false, write_shared, kept));
	ASSERT_EQ(0, kill(self->clients[0].pid, SIGSTOP));
	ASSERT_EQ(0, th_gate_open(self->fd));
	ASSERT_EQ(0, test_client_start(&self->clients[1], write_shared, other));
	test_nap(QUIET_MS);
	/* It waits for the server, as without all this. */
	EXPECT_EQ(1, self->fs->nr_op[FUSE_WRITE]);
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[1]));
	EXPECT_EQ(2, self->fs->nr_op[FUSE_WRITE]);
	EXPECT_EQ(1, th_kept(self->fd));
	ASSERT_EQ(0, kill(self->clients[0].pid, SIGCONT));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(0, th_kept(self->fd));
	EXPECT_EQ(2, self->fs->nr_op[FUSE_WRITE]);
	EXPECT_TRUE(ends_with(self->fs, size, "keptother"));
	/* And behind both. */
	EXPECT_EQ(0, write_shared(&(struct writer){ other->fd, "third" }));
	EXPECT_TRUE(ends_with(self->fs, size, "keptotherthird"));
	EXPECT_EQ(size + 14, lseek(other->fd, 0, SEEK_CUR));
}

TEST_F(call, append_while_appender_stopped)
{
	struct writer kept = { .text = "kept" }, other = { .text = "other" };

	kept.fd = open(path(self, "f1"), O_WRONLY | O_APPEND | O_CLOEXEC);
	other.fd = open(path(self, "f1"), O_WRONLY | O_APPEND | O_CLOEXEC);
	ASSERT_LE(0, kept.fd);
	ASSERT_LE(0, other.fd);
	stopped_writer(_metadata, self, &kept, &other);
	/* Its own position is where it ended. */
	EXPECT_EQ(lseek(other.fd, 0, SEEK_CUR) - 10, lseek(kept.fd, 0, SEEK_CUR));
	close(kept.fd);
	close(other.fd);
}

TEST_F(call, write_while_writer_stopped)
{
	struct writer kept = { .text = "kept" }, other = { .text = "other" };

	kept.fd = open(path(self, "f1"), O_WRONLY | O_CLOEXEC);
	other.fd = kept.fd;
	ASSERT_LE(0, kept.fd);
	ASSERT_LE(0, lseek(kept.fd, 0, SEEK_END));
	stopped_writer(_metadata, self, &kept, &other);
	close(kept.fd);
}

#define MUCH	5000

static int append_pages(void *arg)
{
	static char buf[MUCH];

	memset(buf, 'k', MUCH);
	return write(*(int *)arg, buf, MUCH) == MUCH ? 0 : -errno;
}

/* What one request had is sent in several, when the first page is not cached any more. */
TEST_F(call, repeated_in_pieces)
{
	uint64_t size = rawfs_node(self->fs, "f1")->attr.size;
	int fd = open(path(self, "f1"), O_RDWR | O_APPEND | O_CLOEXEC);
	char buf[2 * MUCH];

	ASSERT_LE(0, fd);
	ASSERT_NE(0, size % 4096);
	ASSERT_EQ(1, pread(fd, buf, 1, size - 1));
	ASSERT_EQ(0, keep_one(self, FUSE_WRITE, true, append_pages, &fd));
	ASSERT_EQ(0, th_gate_open(self->fd));
	rawfs_release(self->fs, 0);
	/* The rest is a short write's, if the daemon has had less. */
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(1, self->fs->nr_op[FUSE_WRITE]);
	EXPECT_EQ(MUCH, pread(fd, buf, sizeof(buf), size));
	for (int i = 0; i < MUCH; i++)
		ASSERT_EQ('k', buf[i]);
	EXPECT_EQ(size + MUCH, lseek(fd, 0, SEEK_CUR));
	close(fd);
}

static struct writer handled;

static void handle_alarm(int sig)
{
	(void)sig;
	write_shared(&handled);
}

static int append_and_handle(void *arg)
{
	struct sigaction act = { .sa_handler = handle_alarm };

	sigaction(SIGALRM, &act, NULL);
	return write_shared(arg);
}

/* The handler runs before the call starts over, and writes to the same file. */
static void handler_appends(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self,
			    const char *text, const char *both)
{
	uint64_t size = rawfs_node(self->fs, "f1")->attr.size;
	struct writer kept = { .text = "kept" };

	kept.fd = open(path(self, "f1"), O_WRONLY | O_APPEND | O_CLOEXEC);
	ASSERT_LE(0, kept.fd);
	handled = (struct writer){ .fd = kept.fd, .text = text };
	ASSERT_EQ(0, keep_one(self, FUSE_WRITE, true, append_and_handle, &kept));
	ASSERT_EQ(0, kill(self->clients[0].pid, SIGALRM));
	ASSERT_EQ(0, th_gate_open(self->fd));
	test_nap(QUIET_MS);
	EXPECT_EQ(1, self->fs->nr_op[FUSE_WRITE]);
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(2, self->fs->nr_op[FUSE_WRITE]);
	EXPECT_TRUE(ends_with(self->fs, size, both));
	close(kept.fd);
}

TEST_F(call, append_by_a_handler)
{
	handler_appends(_metadata, self, "other", "keptother");
}

/* It begins as the call that starts over does. */
TEST_F(call, append_of_a_part_by_a_handler)
{
	handler_appends(_metadata, self, "ke", "keptke");
}

static int write_here(void *arg)
{
	const struct writer *w = arg;
	int n = strlen(w->text);

	return pwrite(w->fd, w->text, n, lseek(w->fd, 0, SEEK_CUR)) == n ? 0 : -errno;
}

/* It happens to be where the position is, and does not move that. */
TEST_F(call, write_while_positioned_writer_stopped)
{
	struct writer kept = { .text = "kept" }, other = { .text = "other" };
	uint64_t size = rawfs_node(self->fs, "f1")->attr.size;

	kept.fd = open(path(self, "f1"), O_WRONLY | O_CLOEXEC);
	other.fd = open(path(self, "f1"), O_WRONLY | O_CLOEXEC);
	ASSERT_EQ(size, lseek(kept.fd, 0, SEEK_END));
	ASSERT_EQ(size + 4, lseek(other.fd, 4, SEEK_END));
	ASSERT_EQ(0, keep_one(self, FUSE_WRITE, true, write_here, &kept));
	ASSERT_EQ(0, kill(self->clients[0].pid, SIGSTOP));
	ASSERT_EQ(0, th_gate_open(self->fd));
	ASSERT_EQ(0, test_client_start(&self->clients[1], write_shared, &other));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[1]));
	ASSERT_EQ(0, kill(self->clients[0].pid, SIGCONT));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(2, self->fs->nr_op[FUSE_WRITE]);
	EXPECT_TRUE(ends_with(self->fs, size, "keptother"));
	EXPECT_EQ(size, lseek(kept.fd, 0, SEEK_CUR));
	close(kept.fd);
	close(other.fd);
}

/* Who only moves the position asks nobody. */
TEST_F(call, seek_while_writing)
{
	struct writer kept = { .text = "kept" };
	uint64_t size = rawfs_node(self->fs, "f1")->attr.size;
	struct stat st;
	char buf[8];
	int fd;

	kept.fd = open(path(self, "f1"), O_WRONLY | O_CLOEXEC);
	fd = open(path(self, "f1"), O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, kept.fd);
	ASSERT_EQ(size, lseek(kept.fd, size, SEEK_SET));
	/* The page with the end is cached. */
	ASSERT_EQ(1, pread(fd, buf, 1, size - 1));
	ASSERT_EQ(0, keep_one(self, FUSE_WRITE, true, write_shared, &kept));
	EXPECT_EQ(0, lseek(kept.fd, 0, SEEK_SET));
	ASSERT_EQ(0, th_gate_open(self->fd));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(1, self->fs->nr_op[FUSE_WRITE]);
	EXPECT_EQ(0, lseek(kept.fd, 0, SEEK_CUR));
	EXPECT_TRUE(ends_with(self->fs, size, "kept"));
	/* The kernel knows what its own cache has. */
	EXPECT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(size + 4, st.st_size);
	EXPECT_EQ(4, pread(fd, buf, 8, size));
	EXPECT_EQ(0, memcmp(buf, "kept", 4));
	close(fd);
	close(kept.fd);
}

/* --- what the kernel knows -------------------------------------------------------------------- */

static int look_at(void *arg)
{
	struct statx st;

	/* Whatever the kernel believes. */
	return statx(*(int *)arg, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS,
		     &st) ? -errno : 0;
}

static int change_mode(void *arg)
{
	return fchmod(*(int *)arg, 0640) ? -errno : 0;
}

static int allocate(void *arg)
{
	return fallocate(*(int *)arg, 0, 0, 10) ? -errno : 0;
}

/* The server has made up its answer when somebody else writes at the end. */
static void append_after(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self,
			 uint32_t opcode, int (*work)(void *arg), void *arg, bool waits)
{
	struct writer other = { .text = "first" };
	uint64_t size = rawfs_node(self->fs, "f1")->attr.size, before;

	self->fs->config.attr_ms = 0;
	other.fd = open(path(self, "f1"), O_WRONLY | O_APPEND | O_CLOEXEC);
	ASSERT_LE(0, other.fd);
	before = self->fs->nr_op[opcode];
	ASSERT_EQ(0, keep_one(self, opcode, true, work, arg));
	ASSERT_EQ(0, test_client_start(&self->clients[1], write_shared, &other));
	ASSERT_TRUE(held_is(self->fd, 2));
	EXPECT_EQ(waits ? 0 : 1, self->fs->nr_op[FUSE_WRITE]);
	ASSERT_EQ(0, th_gate_open(self->fd));
	ASSERT_TRUE(kept_is(self->fd, 0));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(0, test_client_wait(&self->clients[1]));
	EXPECT_EQ(before + 1, self->fs->nr_op[opcode]);
	EXPECT_EQ(0, write_shared(&(struct writer){ other.fd, "second" }));
	EXPECT_EQ(2, self->fs->nr_op[FUSE_WRITE]);
	EXPECT_TRUE(ends_with(self->fs, size, "firstsecond"));
	close(other.fd);
}

TEST_F(call, append_while_getattr)
{
	int fd = open(path(self, "f1"), O_RDONLY | O_CLOEXEC);

	append_after(_metadata, self, FUSE_GETATTR, look_at, &fd, false);
	close(fd);
}

TEST_F(call, append_while_lookup)
{
	self->fs->config.entry_ms = 0;
	EXPECT_EQ(0, test_stat(path(self, "f1")));
	append_after(_metadata, self, FUSE_LOOKUP, test_stat, path(self, "f1"), false);
}

TEST_F(call, append_while_chmod)
{
	int fd = open(path(self, "f1"), O_RDONLY | O_CLOEXEC);

	append_after(_metadata, self, FUSE_SETATTR, change_mode, &fd, true);
	close(fd);
}

TEST_F(call, append_while_fallocate)
{
	int fd = open(path(self, "f1"), O_RDWR | O_CLOEXEC);

	append_after(_metadata, self, FUSE_FALLOCATE, allocate, &fd, true);
	close(fd);
}

static int read_start(void *arg)
{
	char byte;

	return pread(*(int *)arg, &byte, 1, 0) == 1 ? 0 : -errno;
}

static int write_start(void *arg)
{
	return pwrite(*(int *)arg, "new", 3, 0) == 3 ? 0 : -errno;
}

/* What the server has read by then is not what is there. */
TEST_F(call, write_while_reading)
{
	int in = open(path(self, "f1"), O_RDONLY | O_CLOEXEC);
	int out = open(path(self, "f1"), O_WRONLY | O_CLOEXEC);
	char buf[3];

	ASSERT_LE(0, in);
	ASSERT_LE(0, out);
	rawfs_hold_answer(self->fs, FUSE_READ);
	ASSERT_EQ(0, test_client_start(&self->clients[0], read_start, &in));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_READ, 1));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	/* It asks again by itself, in the same call, before it starts over. */
	for (int i = 0; i < PATIENCE_MS && th_gate_status(self->fd).held != 1; i++) {
		ASSERT_LE(0, th_take(self->fd));
		test_nap(1);
	}
	ASSERT_EQ(1, th_kept(self->fd));
	ASSERT_EQ(0, test_client_start(&self->clients[1], write_start, &out));
	ASSERT_TRUE(held_is(self->fd, 2));
	EXPECT_EQ(1, self->fs->nr_op[FUSE_WRITE]);
	/* All at once: the reader is to find the old answer. */
	rawfs_release(self->fs, 0);
	ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_READ, 1));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(0, test_client_wait(&self->clients[1]));
	EXPECT_EQ(3, pread(in, buf, 3, 0));
	EXPECT_EQ(0, memcmp(buf, "new", 3));
	close(in);
	close(out);
}

/* One open file, and so one position. */
TEST_F(call, write_while_writing)
{
	struct writer writers[] = { { .text = "kept" }, { .text = "other" } };
	uint64_t size = rawfs_node(self->fs, "f1")->attr.size;

	writers[0].fd = open(path(self, "f1"), O_WRONLY | O_CLOEXEC);
	writers[1].fd = writers[0].fd;
	ASSERT_LE(0, writers[0].fd);
	ASSERT_EQ(size, lseek(writers[0].fd, size, SEEK_SET));
	ASSERT_EQ(0, keep_one(self, FUSE_WRITE, true, write_shared, &writers[0]));
	behind(_metadata, self, FUSE_WRITE, write_shared, &writers[1]);
	EXPECT_EQ(2, self->fs->nr_op[FUSE_WRITE]);
	EXPECT_TRUE(ends_with(self->fs, size, "keptother"));
	close(writers[0].fd);
}

static int write_much(int fd)
{
	char *buf = calloc(2, MAX_WRITE);

	return write(fd, buf, 2 * MAX_WRITE) == 2 * MAX_WRITE ? 0 : -errno;
}

static int append_much(void *path)
{
	return write_much(open(path, O_WRONLY | O_APPEND | O_CLOEXEC));
}

static int write_much_shared(void *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	return dup(fd) < 0 ? -errno : write_much(fd);
}

/* The call would have done a part, and somebody else would go on where that ends. */
static void later_part(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self,
		       int (*work)(void *path))
{
	rawfs_hold_after(self->fs, FUSE_WRITE, 1);
	ASSERT_EQ(0, test_client_start(&self->clients[0], work, path(self, "f1")));
	stays(_metadata, self, FUSE_WRITE, 0);
}

TEST_F(call, later_part_of_append_is_not_taken)
{
	later_part(_metadata, self, append_much);
}

TEST_F(call, later_part_of_shared_write_is_not_taken)
{
	later_part(_metadata, self, write_much_shared);
}

TEST_HARNESS_MAIN
