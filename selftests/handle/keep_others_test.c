// SPDX-License-Identifier: GPL-2.0
/*
 * What others do while a request is kept: its system call finds everything as it was,
 * the names and the place where it writes.  The kernel believes what it is told.
 */
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <linux/fs.h>

#define KEEP_MS		3600000
#define KEEP_FLAGS	FUSE_DO_READDIRPLUS
#include "keep_fixture.h"

#define MAX_WRITE	(128 << 10)

/* --- names -------------------------------------------------------------------------------- */

static int make_node(void *path)
{
	return mknod(path, S_IFREG | 0600, 0) ? -errno : 0;
}

static int make_link(void *path)
{
	return symlink("f0", path) ? -errno : 0;
}

static int link_here(void *path)
{
	char from[300];

	snprintf(from, sizeof(from), "%.*s/dir0/f1",
		 (int)(strrchr(path, '/') - (char *)path) - 5, (char *)path);
	return link(from, path) ? -errno : 0;
}

/* Of what is there already it would be an OPEN. The file stays open: the process ends soon. */
static int create(void *path)
{
	int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : 0;
}

static int list(void *arg)
{
	const int *fd = arg;
	char buf[4096];
	long n;

	while ((n = syscall(SYS_getdents64, *fd, buf, sizeof(buf))) > 0)
		;
	return n < 0 ? -errno : 0;
}

/* It is done, and nobody sees that before who has asked for it. */
static void look(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self,
		 uint32_t opcode, int (*work)(void *path))
{
	ASSERT_EQ(0, keep_one(self, opcode, true, work, path(self, "dir1/new")));
	EXPECT_LE(0, rawfs_index(self->fs, "dir1/new"));
	EXPECT_EQ(-ENOENT, test_stat(path(self, "dir1/new")));
	ASSERT_EQ(0, th_gate_open(self->fd));
	ASSERT_TRUE(kept_is(self->fd, 0));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(0, test_stat(path(self, "dir1/new")));
	EXPECT_EQ(1, self->fs->nr_op[opcode]);
}

TEST_F(call, look_while_mkdir)
{
	look(_metadata, self, FUSE_MKDIR, test_mkdir);
}

TEST_F(call, look_while_mknod)
{
	look(_metadata, self, FUSE_MKNOD, make_node);
}

TEST_F(call, look_while_symlink)
{
	look(_metadata, self, FUSE_SYMLINK, make_link);
}

TEST_F(call, look_while_link)
{
	look(_metadata, self, FUSE_LINK, link_here);
}

TEST_F(call, look_while_create)
{
	look(_metadata, self, FUSE_CREATE, create);
	EXPECT_EQ(0, self->fs->nr_op[FUSE_OPEN]);
}

/* Another is held where it has done nothing yet, and goes on after. */
static void behind(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self,
		   uint32_t opcode, int (*work)(void *arg), void *arg)
{
	uint64_t asked = self->fs->nr_op[opcode];

	ASSERT_EQ(0, test_client_start(&self->clients[1], work, arg));
	ASSERT_TRUE(held_is(self->fd, 2));
	EXPECT_EQ(asked, self->fs->nr_op[opcode]);
	ASSERT_EQ(0, th_gate_open(self->fd));
	ASSERT_TRUE(kept_is(self->fd, 0));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(0, test_client_wait(&self->clients[1]));
	EXPECT_LT(asked, self->fs->nr_op[opcode]);
}

TEST_F(call, list_while_create)
{
	/* After open() it would be held. */
	int fd = open(path(self, "dir1"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, keep_one(self, FUSE_CREATE, true, create, path(self, "dir1/new")));
	behind(_metadata, self, FUSE_READDIRPLUS, list, &fd);
	close(fd);
	EXPECT_EQ(1, self->fs->nr_op[FUSE_CREATE]);
	EXPECT_EQ(0, self->fs->nr_op[FUSE_OPEN]);
}

static int remove_it(void *path)
{
	return unlink(path) ? -errno : 0;
}

static int move(void *path)
{
	char to[300];

	snprintf(to, sizeof(to), "%s.new", (char *)path);
	return rename(path, to) ? -errno : 0;
}

/* The kernel would believe for an hour that there is nothing. */
static void look_at_removed(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self,
			    uint32_t opcode, int (*work)(void *path))
{
	self->fs->config.entry_ms = 0;
	self->fs->config.negative_ms = KEEP_MS;
	ASSERT_EQ(0, keep_one(self, opcode, true, work, path(self, "dir1/f1")));
	EXPECT_EQ(0, test_stat(path(self, "dir1/f1")));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_TRUE(kept_is(self->fd, 0));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(-ENOENT, test_stat(path(self, "dir1/f1")));
	EXPECT_EQ(1, self->fs->nr_op[opcode]);
}

TEST_F(call, look_while_unlink)
{
	look_at_removed(_metadata, self, FUSE_UNLINK, remove_it);
}

TEST_F(call, look_while_rename)
{
	look_at_removed(_metadata, self, FUSE_RENAME, move);
}

/* Of what somebody has seen to be gone a repeated call would be told the same. */
static void removed_is_seen(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self,
			    uint32_t opcode, int (*work)(void *path), const char *name)
{
	uint64_t looks;

	self->fs->config.entry_ms = 0;
	rawfs_hold_answer(self->fs, opcode);
	ASSERT_EQ(0, test_client_start(&self->clients[0], work, path(self, name)));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, opcode, 1));
	/* Of the directory the first one has the lock, which this one comes to after. */
	looks = self->fs->nr_op[FUSE_LOOKUP];
	ASSERT_EQ(0, test_client_start(&self->clients[1], test_stat, path(self, name)));
	ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_LOOKUP, looks + 1));
	ASSERT_TRUE(test_waits_in(self->clients[1].pid, "path_lookupat", "fuse"));
	stays(_metadata, self, opcode, 0);
	EXPECT_EQ(-ENOENT, test_client_wait(&self->clients[1]));
	EXPECT_EQ(1, self->fs->nr_op[opcode]);
}

TEST_F(call, seen_unlink_is_not_taken)
{
	removed_is_seen(_metadata, self, FUSE_UNLINK, remove_it, "dir1/f1");
}

TEST_F(call, seen_rename_is_not_taken)
{
	removed_is_seen(_metadata, self, FUSE_RENAME, move, "dir1/f1");
}

static int remove_dir(void *path)
{
	return rmdir(path) ? -errno : 0;
}

TEST_F(call, seen_rmdir_is_not_taken)
{
	self->fs->config.entry_ms = 0;
	ASSERT_EQ(0, test_mkdir(path(self, "dir1/empty")));
	removed_is_seen(_metadata, self, FUSE_RMDIR, remove_dir, "dir1/empty");
}

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
