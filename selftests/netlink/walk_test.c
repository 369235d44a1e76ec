// SPDX-License-Identifier: GPL-2.0
/* A walk over requests of which some go, and others come, while it is read. */
#include <fcntl.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "test_util.h"

#define PAGE		4096
#define MANY		12	/* requests: more than fit two messages */
#define GONE		8	/* of these */
#define DEVICES		3

FIXTURE(walk) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	int fd;			/* of the file that is written */
	int dev[DEVICES];	/* the server stands still: the test reads */
	unsigned int sent;	/* pages */
	unsigned int gone;	/* of these, answered or given up */
};

FIXTURE_VARIANT(walk) {
	unsigned int background;	/* how many of them may be sent */
	unsigned int again;		/* so many are new, in old memory */
	unsigned int read[DEVICES];	/* before the walk, not answered */
};

FIXTURE_VARIANT_ADD(walk, background) {
	.background = 2,
};

FIXTURE_VARIANT_ADD(walk, background_and_new_ones) {
	.background = 2,
	.again = GONE,
};

FIXTURE_VARIANT_ADD(walk, pending) {
	.background = 2 * MANY,
};

FIXTURE_VARIANT_ADD(walk, pending_and_new_ones) {
	.background = 3 * MANY,
	.again = GONE,
};

/* The first goes; the walk is at the second then. */
FIXTURE_VARIANT_ADD(walk, devices) {
	.background = 2 * MANY,
	.read = { 1, 6, 5 },
};

FIXTURE_VARIANT_ADD(walk, devices_and_a_new_one) {
	.background = 2 * MANY,
	.again = 1,
	.read = { 1, 6, 5 },
};

/* With holes between them each page is a request of its own. 0 or a line number. */
static int send_pages(FIXTURE_DATA(walk) *self, unsigned int n)
{
	char page[PAGE];

	memset(page, 0x5a, sizeof(page));
	for (; n; n--)
		if (pwrite(self->fd, page, PAGE, 3 * PAGE * self->sent++) != PAGE)
			return __LINE__;
	return sync_file_range(self->fd, 0, 0, SYNC_FILE_RANGE_WRITE) ? __LINE__ : 0;
}

/* 0 or a line number. */
static int take(int dev, bool answer)
{
	static char buf[RAWFS_BUF_SIZE];
	const struct fuse_in_header *h = (void *)buf;
	struct {
		struct fuse_out_header h;
		struct fuse_write_out w;
	} out = { .h.len = sizeof(out), .w.size = PAGE };

	if (read(dev, buf, sizeof(buf)) < 0 || h->opcode != FUSE_WRITE)
		return __LINE__;
	out.h.unique = h->unique;
	return answer && write(dev, &out, sizeof(out)) < 0 ? __LINE__ : 0;
}

FIXTURE_SETUP(walk)
{
	struct rawfs_config config;
	unsigned int i, n;

	rawfs_defaults(&config);
	config.init.flags = FUSE_BIG_WRITES | FUSE_WRITEBACK_CACHE;
	config.init.max_background = variant->background;
	config.init.congestion_threshold = variant->background;
	config.enosys = 1ULL << FUSE_GETXATTR;
	ASSERT_EQ(0, test_own_mounts());
	self->fs = rawfs_up(&config, true);
	ASSERT_NE(NULL, self->fs);
	ASSERT_EQ(0, rawfs_wait_init(self->fs));
	ASSERT_EQ(0, tnl_open(&self->nl));
	self->id = tnl_conn_id(&self->nl, self->fs->dev);
	ASSERT_NE(0, self->id);
	ASSERT_EQ(0, test_keep_dirty(self->fs));
	self->fd = open(test_path(self->fs, "f7"), O_RDWR);
	ASSERT_LE(0, self->fd);
	for (i = 0; i < DEVICES; i++) {
		self->dev[i] = rawfs_clone(self->fs->fd[0]);
		ASSERT_LE(0, self->dev[i]);
	}
	/* Asks for security.capability, and learns ENOSYS. */
	ASSERT_EQ(0, send_pages(self, 1));
	ASSERT_EQ(0, fsync(self->fd));
	self->sent = 0;
	ASSERT_EQ(0, rawfs_stop(self->fs));
	ASSERT_EQ(0, send_pages(self, MANY));
	for (i = 0; i < DEVICES; i++)
		for (n = 0; n < variant->read[i]; n++)
			ASSERT_EQ(0, take(self->dev[i], false));
}

FIXTURE_TEARDOWN(walk)
{
	unsigned int i;

	/* What is written is answered by nobody. */
	test_fusectl(self->fs, "abort");
	close(self->fd);
	for (i = 0; i < DEVICES; i++)
		close(self->dev[i]);
	EXPECT_EQ(0, *self->nl.leak);
	tnl_close(&self->nl);
	rawfs_down(self->fs);
}

struct between {
	FIXTURE_DATA(walk) *self;
	const FIXTURE_VARIANT(walk) *variant;
	int err;
};

static void answer(void *arg)
{
	struct between *b = arg;

	for (b->self->gone = 0; !b->err && b->self->gone < GONE; b->self->gone++)
		b->err = take(b->self->dev[0], true);
	if (!b->err)
		b->err = send_pages(b->self, b->variant->again);
}

static void close_first(void *arg)
{
	struct between *b = arg;
	int *dev = b->self->dev;

	close(dev[0]);
	b->self->gone = b->variant->read[0];
	dev[0] = b->variant->again ? rawfs_clone(b->self->fs->fd[0]) : -1;
	if (b->variant->again && dev[0] < 0)
		b->err = __LINE__;
}

/* Pages of which a WRITE was told, as bits. */
static uint64_t told(const struct tnl_list *list)
{
	const struct fuse_write_in *w;
	uint64_t pages = 0;
	size_t i, len;

	for (i = 0; i < list->n; i++) {
		w = tnl_bin(&list->v[i], FUSECR_REQ_IN_DATA, &len);
		if (len > sizeof(*w) && !tnl_u32(&list->v[i], FUSECR_REQ_IN_OFFSET))
			pages |= 1ULL << w->offset / (3 * PAGE);
	}
	return pages;
}

/* Whoever was there at the beginning and still is has been told. */
TEST_F(walk, leaves_none_out)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_REQ, .conn_id = self->id };
	struct between b = { .self = self, .variant = variant };
	uint64_t all = (1ULL << MANY) - 1, there;
	struct tnl_list list;
	struct tnl slow;

	ASSERT_EQ(0, tnl_dump(&self->nl, &q, &list));
	ASSERT_EQ(all, told(&list));
	tnl_free(&list);

	ASSERT_EQ(0, tnl_open(&slow));
	ASSERT_EQ(0, tnl_dump_slowly(&slow, &q, variant->read[0] ? close_first : answer,
				     &b, &list));
	tnl_close(&slow);
	ASSERT_EQ(0, b.err);
	ASSERT_LT(0, self->gone);
	there = all & ~((1ULL << self->gone) - 1);
	EXPECT_EQ(there, told(&list) & there);
	tnl_free(&list);

	/* And it was no list that nobody moved. */
	ASSERT_EQ(0, tnl_dump(&self->nl, &q, &list));
	EXPECT_EQ(0, told(&list) & all & ~there);
	EXPECT_EQ(there, told(&list) & there);
	tnl_free(&list);
}

TEST_HARNESS_MAIN
