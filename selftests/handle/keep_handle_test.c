// SPDX-License-Identifier: GPL-2.0
/* A server without OPEN: all open files have one handle, and a kept WRITE is of one of them. */
#include <signal.h>
#include <linux/fusecr_ioctl.h>

#define KEEP_MS		3600000
#define KEEP_FLAGS	FUSE_NO_OPEN_SUPPORT
#define KEEP_ENOSYS	(1ULL << FUSE_OPEN)
#include "keep_fixture.h"

#define UNIQUE		(1ULL << 40)

struct writer {
	int fd;
	const char *text;
	int go;			/* a byte lets it go on; 0: at once */
};

static int write_text(void *arg)
{
	const struct writer *w = arg;
	int n = strlen(w->text);
	char c;

	if (w->go && read(w->go, &c, 1) != 1)
		return -EPIPE;
	return write(w->fd, w->text, n) == n ? 0 : -errno;
}

static int open_end(FIXTURE_DATA(call) *self, int flags)
{
	int fd = open(path(self, "f1"), flags | O_CLOEXEC);

	return fd < 0 || lseek(fd, 0, SEEK_END) < 0 ? -errno : fd;
}

/* What was put there, and nothing else. */
static bool ends_with(FIXTURE_DATA(call) *self, uint64_t size, const char *text)
{
	int fd = open(path(self, "f1"), O_RDONLY | O_DIRECT | O_CLOEXEC);
	char buf[64];
	ssize_t n = pread(fd, buf, sizeof(buf), size);

	close(fd);
	return n == strlen(text) && !memcmp(buf, text, n);
}

/* The first that the thread has open is another. */
static void others_go_on_behind(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self,
				int first, int kept, int other)
{
	uint64_t size = rawfs_node(self->fs, "f1")->attr.size;
	struct writer writers[] = { { kept, "kept", 0 }, { other, "other", 0 } };

	ASSERT_LE(0, first);
	ASSERT_LT(first, kept);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, keep_one(self, FUSE_WRITE, true, write_text, &writers[0]));
	ASSERT_EQ(0, kill(self->clients[0].pid, SIGSTOP));
	/* Answered, and takes effect without its thread. */
	rawfs_release(self->fs, 0);
	ASSERT_EQ(0, th_gate_open(self->fd));
	ASSERT_EQ(0, test_client_start(&self->clients[1], write_text, &writers[1]));
	EXPECT_EQ(0, test_client_wait(&self->clients[1]));
	ASSERT_EQ(0, kill(self->clients[0].pid, SIGCONT));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_TRUE(kept_is(self->fd, 0));
	EXPECT_EQ(0, self->fs->nr_op[FUSE_RELEASE]);
	EXPECT_EQ(2, self->fs->nr_op[FUSE_WRITE]);
	EXPECT_TRUE(ends_with(self, size, "keptother"));
	EXPECT_EQ(size, lseek(first, 0, SEEK_CUR));
	close(first);
	close(kept);
}

TEST_F(call, append)
{
	int first = open_end(self, O_WRONLY), kept = open_end(self, O_WRONLY | O_APPEND);
	int other = open_end(self, O_WRONLY | O_APPEND);

	others_go_on_behind(_metadata, self, first, kept, other);
	close(other);
}

TEST_F(call, write_at_position)
{
	int first = open_end(self, O_WRONLY), kept = open_end(self, O_WRONLY);

	others_go_on_behind(_metadata, self, first, kept, kept);
}

/* Of an image, which does not tell: the call that starts over does. */
TEST_F(call, write_of_an_image)
{
	struct fuse_write_out out = { .size = 4 };
	struct {
		struct fuse_write_in in;
		char text[4];
	} in = { .in = { .size = 4 }, .text = "kept" };
	uint64_t size = rawfs_node(self->fs, "f1")->attr.size;
	int dev = device(self), first = open_end(self, O_WRONLY), fd = open_end(self, O_WRONLY);
	int other = open_end(self, O_WRONLY | O_APPEND);
	struct writer kept = { fd, "kept", self->go[0] }, appends = { other, "other", 0 };
	struct fuse_entry_out named[FUSECR_KEEP_NAMES] = { };
	struct fusecr_keep k = {
		.fd = dev, .opcode = FUSE_WRITE, .unique = UNIQUE,
		.nodeid = rawfs_nodeid(rawfs_index(self->fs, "f1")),
		.in_len = sizeof(in.in) + 4, .in = (uintptr_t)&in, .named = (uintptr_t)named,
		.out_count = 1, .out_size[0] = sizeof(out), .out = (uintptr_t)&out,
		.answered = 1, .place = FUSECR_KEEP_AT_POSITION,
	};

	ASSERT_LT(first, fd);
	in.in.offset = size;
	in.in.flags = fcntl(fd, F_GETFL);
	ASSERT_EQ(0, test_client_start(&self->clients[0], write_text, &kept));
	k.pid = self->clients[0].pid;
	ASSERT_EQ(0, th_call(self->fd, FUSECR_IOC_KEEP, &k));
	/* Comes behind it, and has not been told where that is. */
	ASSERT_EQ(0, test_client_start(&self->clients[1], write_text, &appends));
	test_nap(QUIET_MS);
	EXPECT_EQ(0, self->fs->nr_op[FUSE_WRITE]);
	EXPECT_EQ(size, lseek(first, 0, SEEK_CUR));
	ASSERT_EQ(1, write(self->go[1], "", 1));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(0, test_client_wait(&self->clients[1]));
	EXPECT_EQ(size, lseek(first, 0, SEEK_CUR));
	EXPECT_EQ(size + 4, lseek(fd, 0, SEEK_CUR));
	EXPECT_EQ(size + 9, lseek(other, 0, SEEK_CUR));
	EXPECT_EQ(1, self->fs->nr_op[FUSE_WRITE]);
	EXPECT_TRUE(kept_is(self->fd, 0));
	close(first);
	close(fd);
	close(other);
	close(dev);
}

TEST_HARNESS_MAIN
