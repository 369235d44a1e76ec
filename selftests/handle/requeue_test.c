// SPDX-License-Identifier: GPL-2.0
/*
 * REQUEUE: what one instance has read, another reads, unchanged and once.
 *
 * The test has an instance of its own, and plays a server that reads and does
 * not answer. The server proper is stopped meanwhile.
 */
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "test_handle.h"
#include "test_util.h"

/* A request as it was read. */
struct request {
	ssize_t len;		/* or -errno */
	union {
		struct fuse_in_header h;
		char data[RAWFS_BUF_SIZE];
	};
};

FIXTURE(requeue) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	int handle;
	int mine;		/* instance */
	struct request *request[4];
	struct test_client client[4];
};

FIXTURE_SETUP(requeue)
{
	struct rawfs_config config;
	int i;

	rawfs_defaults(&config);
	config.entry_ms = 0;
	config.attr_ms = 0;
	/* Lookups in one directory, without waiting for each other. */
	config.init.flags = FUSE_PARALLEL_DIROPS | FUSE_BIG_WRITES |
		FUSE_ASYNC_READ;
	config.enosys = 1ULL << FUSE_GETXATTR;
	ASSERT_EQ(0, test_own_mounts());
	self->fs = rawfs_up(&config, true);
	ASSERT_NE(NULL, self->fs);
	ASSERT_EQ(0, rawfs_wait_init(self->fs));
	self->mine = rawfs_clone(self->fs->fd[0]);
	ASSERT_LE(0, self->mine);
	ASSERT_EQ(0, fcntl(self->mine, F_SETFL, O_NONBLOCK));
	ASSERT_EQ(0, tnl_open(&self->nl));
	self->id = tnl_conn_id(&self->nl, self->fs->dev);
	self->handle = th_attach(self->id);
	ASSERT_LE(0, self->handle);
	for (i = 0; i < 4; i++) {
		self->request[i] = malloc(sizeof(*self->request[i]));
		ASSERT_NE(NULL, self->request[i]);
	}
	ASSERT_EQ(0, rawfs_stop(self->fs));
}

FIXTURE_TEARDOWN(requeue)
{
	bool busy = false;
	int i;

	/* What a failed test has read is answered by nobody. */
	for (i = 0; i < 4; i++)
		busy |= self->client[i].pid > 0;
	if (busy)
		test_fusectl(self->fs, "abort");
	for (i = 0; i < 4; i++)
		test_client_kill(&self->client[i]);
	close(self->handle);
	close(self->mine);
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, self->fs->duplicates);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

static void get(int fd, struct request *to)
{
	to->len = read(fd, to->data, sizeof(to->data));
	if (to->len < 0)
		to->len = -errno;
}

/* The next one, which is on its way. */
static void wait_get(int fd, struct request *to)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	to->len = -ETIMEDOUT;
	if (poll(&pollfd, 1, 10000) == 1)
		get(fd, to);
}

static bool same(const struct request *a, const struct request *b)
{
	return a->len > 0 && a->len == b->len &&
		memcmp(a->data, b->data, a->len) == 0;
}

/* How often the server has read this request. */
static unsigned int seen(const struct rawfs *fs, uint64_t unique)
{
	unsigned int n = 0;
	uint64_t i;

	for (i = 0; i < fs->requests && i < RAWFS_LOG_SIZE; i++)
		n += fs->log[i].unique == unique;
	return n;
}

static unsigned int count(FIXTURE_DATA(requeue) *self, uint32_t state)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_REQ,
			       .conn_id = self->id };
	struct tnl_list list;
	unsigned int n = 0;
	size_t i;

	tnl_dump(&self->nl, &q, &list);
	for (i = 0; i < list.n; i++)
		if (tnl_u32(&list.v[i], FUSECR_REQ_STATE) == state)
			n++;
	tnl_free(&list);
	return n;
}

TEST_F(requeue, another_instance_reads_it)
{
	uint64_t unique;

	ASSERT_EQ(0, test_client_start(&self->client[0], test_stat,
				       (void *)test_path(self->fs, "f1")));
	wait_get(self->mine, self->request[0]);
	ASSERT_EQ(FUSE_LOOKUP, self->request[0]->h.opcode);
	unique = self->request[0]->h.unique;
	EXPECT_EQ(0, count(self, FUSECR_REQ_PENDING));
	EXPECT_EQ(1, count(self, FUSECR_REQ_PROCESSING));

	EXPECT_EQ(1, th_requeue(self->handle, self->mine, 0));
	EXPECT_EQ(1, count(self, FUSECR_REQ_PENDING));
	EXPECT_EQ(0, count(self, FUSECR_REQ_PROCESSING));
	EXPECT_EQ(0, th_requeue(self->handle, self->mine, 0));
	EXPECT_EQ(-ENOENT, th_requeue(self->handle, self->mine, unique));

	get(self->mine, self->request[1]);
	EXPECT_TRUE(same(self->request[0], self->request[1]));
	EXPECT_EQ(1, th_requeue(self->handle, self->mine, unique));
	EXPECT_TRUE(test_client_busy(&self->client[0]));
	ASSERT_EQ(0, rawfs_cont(self->fs));
	EXPECT_EQ(0, test_client_wait(&self->client[0]));
	EXPECT_EQ(1, seen(self->fs, unique));
}

/* Who has given it back can no longer answer it. */
TEST_F(requeue, late_answer_finds_nothing)
{
	struct fuse_out_header out = { .len = sizeof(out), .error = -EIO };

	ASSERT_EQ(0, test_client_start(&self->client[0], test_stat,
				       (void *)test_path(self->fs, "f1")));
	wait_get(self->mine, self->request[0]);
	ASSERT_EQ(FUSE_LOOKUP, self->request[0]->h.opcode);
	ASSERT_EQ(1, th_requeue(self->handle, self->mine, 0));
	out.unique = self->request[0]->h.unique;
	EXPECT_EQ(-1, write(self->mine, &out, sizeof(out)));
	EXPECT_EQ(ENOENT, errno);
	ASSERT_EQ(0, rawfs_cont(self->fs));
	EXPECT_EQ(0, test_client_wait(&self->client[0]));
}

/* Oldest first, and before what has not been read. */
TEST_F(requeue, order_is_kept)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	uint64_t unique[4];
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, test_client_start(&self->client[i], test_stat,
				(void *)test_path(self->fs, names[i])));
		wait_get(self->mine, self->request[i]);
		ASSERT_LT(0, self->request[i]->len);
		unique[i] = self->request[i]->h.unique;
	}
	ASSERT_EQ(0, test_client_start(&self->client[3], test_stat,
				       (void *)test_path(self->fs, names[3])));
	ASSERT_EQ(0, rawfs_wait_pending(self->fs));

	/* Only the one in the middle. */
	EXPECT_EQ(1, th_requeue(self->handle, self->mine, unique[1]));
	EXPECT_EQ(2, count(self, FUSECR_REQ_PROCESSING));
	EXPECT_EQ(-ENOENT, th_requeue(self->handle, self->mine, unique[1]));
	EXPECT_EQ(-ENOENT, th_requeue(self->handle, self->mine, 0x7fffffff0));
	get(self->mine, self->request[3]);
	EXPECT_TRUE(same(self->request[1], self->request[3]));

	EXPECT_EQ(3, th_requeue(self->handle, self->mine, 0));
	EXPECT_EQ(4, count(self, FUSECR_REQ_PENDING));
	for (i = 0; i < 3; i++) {
		get(self->mine, self->request[3]);
		EXPECT_EQ(unique[i], self->request[3]->h.unique);
		EXPECT_TRUE(same(self->request[i], self->request[3]));
	}
	get(self->mine, self->request[3]);
	EXPECT_LT(unique[2], self->request[3]->h.unique);
	EXPECT_EQ(4, th_requeue(self->handle, self->mine, 0));
	ASSERT_EQ(0, rawfs_cont(self->fs));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(-ENOENT, test_client_wait(&self->client[i]));
}

#define WRITE_SIZE	100000

static unsigned char write_byte(uint64_t at)
{
	return at * 7 + at / 256;
}

static int write_much(void *fd)
{
	char *data = malloc(WRITE_SIZE);
	int i;

	for (i = 0; i < WRITE_SIZE; i++)
		data[i] = write_byte(i);
	return pwrite(*(int *)fd, data, WRITE_SIZE, 0) == WRITE_SIZE ? 0 : -EIO;
}

/* Pages of a WRITE travel with it. */
TEST_F(requeue, data_is_kept)
{
	const struct fuse_write_in *in = (void *)(&self->request[0]->h + 1);
	const unsigned char *data = (void *)(in + 1);
	unsigned int differ = 0, i;
	int fd;

	ASSERT_EQ(0, rawfs_cont(self->fs));
	fd = open(test_path(self->fs, "f7"), O_WRONLY);
	ASSERT_LE(0, fd);
	/* The first one asks for security.capability, and learns ENOSYS. */
	ASSERT_EQ(1, pwrite(fd, "", 1, 0));
	ASSERT_EQ(0, rawfs_stop(self->fs));
	ASSERT_EQ(0, test_client_start(&self->client[0], write_much, &fd));
	wait_get(self->mine, self->request[0]);
	ASSERT_EQ(FUSE_WRITE, self->request[0]->h.opcode);
	ASSERT_LT(8192, in->size);
	for (i = 0; i < in->size; i++)
		differ += data[i] != write_byte(in->offset + i);
	ASSERT_EQ(0, differ);
	ASSERT_EQ(1, th_requeue(self->handle, self->mine, 0));
	get(self->mine, self->request[1]);
	EXPECT_TRUE(same(self->request[0], self->request[1]));
	ASSERT_EQ(1, th_requeue(self->handle, self->mine, 0));
	ASSERT_EQ(0, rawfs_cont(self->fs));
	EXPECT_EQ(0, test_client_wait(&self->client[0]));
	EXPECT_EQ(WRITE_SIZE, rawfs_node(self->fs, "f7")->attr.size);
	close(fd);
}

static void nothing(int sig)
{
}

/* Clients that start from here on are interrupted by it, and not ended. */
static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = nothing };

	sigaction(SIGUSR1, &action, NULL);
}

/*
 * An INTERRUPT that is queued goes with its request: who reads the request
 * again is told again, but not before.
 */
TEST_F(requeue, interrupt_follows_its_request)
{
	struct pollfd pollfd = { .fd = self->mine, .events = POLLIN };
	uint64_t unique;

	catch_signals();
	ASSERT_EQ(0, test_client_start(&self->client[0], test_stat,
				       (void *)test_path(self->fs, "f1")));
	wait_get(self->mine, self->request[0]);
	ASSERT_EQ(FUSE_LOOKUP, self->request[0]->h.opcode);
	unique = self->request[0]->h.unique;
	ASSERT_EQ(0, kill(self->client[0].pid, SIGUSR1));
	ASSERT_EQ(1, poll(&pollfd, 1, 10000));
	EXPECT_EQ(1, count(self, FUSECR_REQ_INTERRUPT));

	ASSERT_EQ(1, th_requeue(self->handle, self->mine, 0));
	EXPECT_EQ(0, count(self, FUSECR_REQ_INTERRUPT));
	get(self->mine, self->request[1]);
	EXPECT_TRUE(same(self->request[0], self->request[1]));
	get(self->mine, self->request[1]);
	EXPECT_EQ(FUSE_INTERRUPT, self->request[1]->h.opcode);
	EXPECT_EQ(unique | 1, self->request[1]->h.unique);

	/* Told already: told again all the same. */
	ASSERT_EQ(1, th_requeue(self->handle, self->mine, 0));
	get(self->mine, self->request[1]);
	EXPECT_EQ(unique, self->request[1]->h.unique);
	get(self->mine, self->request[1]);
	EXPECT_EQ(unique | 1, self->request[1]->h.unique);
	ASSERT_EQ(1, th_requeue(self->handle, self->mine, 0));
	ASSERT_EQ(0, rawfs_cont(self->fs));
	EXPECT_EQ(0, test_client_wait(&self->client[0]));
	EXPECT_EQ(1, seen(self->fs, unique));
}

/* As before it was read: a killed waiter takes its request back. */
TEST_F(requeue, killed_waiter_takes_it_back)
{
	ASSERT_EQ(0, test_client_start(&self->client[0], test_stat,
				       (void *)test_path(self->fs, "f1")));
	wait_get(self->mine, self->request[0]);
	ASSERT_EQ(1, th_requeue(self->handle, self->mine, 0));
	test_client_kill(&self->client[0]);
	EXPECT_EQ(0, count(self, FUSECR_REQ_PENDING));
	get(self->mine, self->request[1]);
	EXPECT_EQ(-EAGAIN, self->request[1]->len);
}

/* One that waits to be killed already, which was no use, is answered. */
TEST_F(requeue, waiter_killed_before)
{
	struct pollfd pollfd = { .fd = self->mine, .events = POLLIN };
	uint64_t unique;

	ASSERT_EQ(0, test_client_start(&self->client[0], test_stat,
				       (void *)test_path(self->fs, "f1")));
	wait_get(self->mine, self->request[0]);
	unique = self->request[0]->h.unique;
	ASSERT_EQ(0, kill(self->client[0].pid, SIGKILL));
	/* It sends an INTERRUPT, and then waits to the end. */
	ASSERT_EQ(1, poll(&pollfd, 1, 10000));
	ASSERT_EQ(1, th_requeue(self->handle, self->mine, 0));
	ASSERT_EQ(0, rawfs_cont(self->fs));
	ASSERT_EQ(self->client[0].pid, waitpid(self->client[0].pid, NULL, 0));
	self->client[0].pid = 0;
	EXPECT_GE(1, seen(self->fs, unique));
	EXPECT_EQ(0, test_stat((void *)test_path(self->fs, "f2")));
}

/* From the first byte on, which must be that of f6. */
static int read_all(void *arg)
{
	unsigned char data[4096];
	int *fd = arg, i;
	uint64_t at = 0;
	ssize_t n;

	while ((n = read(*fd, data, sizeof(data))) > 0)
		for (i = 0; i < n; i++, at++)
			if (data[i] != rawfs_byte(RAWFS_NODE_BASE +
						  7 * RAWFS_NODE_STEP, at))
				return -EILSEQ;
	return n < 0 ? -errno : (int)at;
}

/* Read-ahead has no waiter, and answers into pages. */
TEST_F(requeue, background_request)
{
	struct pollfd pollfd = { .fd = self->mine, .events = POLLIN };
	struct tnl_list list;
	int fd, n = 0;
	size_t i;

	ASSERT_EQ(0, rawfs_cont(self->fs));
	fd = open(test_path(self->fs, "f6"), O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, rawfs_stop(self->fs));
	ASSERT_EQ(0, test_client_start(&self->client[0], read_all, &fd));
	ASSERT_EQ(1, poll(&pollfd, 1, 10000));
	for (get(self->mine, self->request[0]); self->request[0]->len > 0;
	     get(self->mine, self->request[0]), n++)
		EXPECT_EQ(FUSE_READ, self->request[0]->h.opcode);
	ASSERT_LT(0, n);
	EXPECT_EQ(n, th_requeue(self->handle, self->mine, 0));
	ASSERT_EQ(0, test_wait_requests(&self->nl, self->id,
					FUSECR_REQ_PENDING, n, &list));
	for (i = 0; i < list.n; i++)
		EXPECT_TRUE(tnl_u32(&list.v[i], FUSECR_REQ_FLAGS) &
			    FUSECR_RF_BACKGROUND);
	tnl_free(&list);
	ASSERT_EQ(0, rawfs_cont(self->fs));
	EXPECT_EQ(rawfs_node(self->fs, "f6")->attr.size,
		  test_client_wait(&self->client[0]));
	close(fd);
}

/* The one LOOKUP that was read is taken from its client, and put back. */
static int take_and_put_back(FIXTURE_DATA(requeue) *self)
{
	int i, n, err;

	err = test_client_start(&self->client[0], test_stat, (void *)test_path(self->fs, "f1"));
	if (err)
		return err;
	wait_get(self->mine, self->request[0]);
	if (self->request[0]->h.opcode != FUSE_LOOKUP)
		return -EPROTO;
	err = th_gate_close(self->handle, self->fs->pid);
	/* It may have been read before its sender slept. */
	for (i = 0; !err && i < 10000 && th_kept(self->handle) != 1; i++) {
		n = th_take(self->handle);
		err = n < 0 ? n : 0;
		test_nap(1);
	}
	if (err)
		return err;
	n = th_requeue(self->handle, self->mine, self->request[0]->h.unique);
	return n == 1 ? 0 : -EBADE;
}

/* Whose call starts over has what is put back for its own again, before it is read. */
TEST_F(requeue, taken)
{
	int i;

	ASSERT_EQ(0, take_and_put_back(self));
	ASSERT_EQ(0, th_gate_open(self->handle));
	for (i = 0; i < 10000 && th_kept(self->handle); i++)
		test_nap(1);
	EXPECT_EQ(0, th_kept(self->handle));
	EXPECT_EQ(1, count(self, FUSECR_REQ_PENDING));
	get(self->mine, self->request[1]);
	EXPECT_TRUE(same(self->request[0], self->request[1]));
	ASSERT_EQ(1, th_requeue(self->handle, self->mine, 0));
	ASSERT_EQ(0, rawfs_cont(self->fs));
	EXPECT_EQ(0, test_client_wait(&self->client[0]));
	EXPECT_EQ(1, seen(self->fs, self->request[0]->h.unique));
}

/*
 * What stands for it is not even sent while others are in the background, as here pages
 * that are written back: it is as long all the same.
 */
TEST_F(requeue, taken_while_background_is_full)
{
	char *map;
	int fd;

	ASSERT_EQ(0, rawfs_cont(self->fs));
	fd = open(test_path(self->fs, "f6"), O_RDWR);
	ASSERT_LE(0, fd);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	*(volatile char *)map = 1;
	ASSERT_EQ(0, test_fusectl(self->fs, "max_background"));
	ASSERT_EQ(1, test_fusectl_number(self->fs, "max_background"));
	ASSERT_EQ(0, rawfs_stop(self->fs));
	ASSERT_EQ(0, sync_file_range(fd, 0, 4096, SYNC_FILE_RANGE_WRITE));
	wait_get(self->mine, self->request[2]);
	ASSERT_EQ(FUSE_WRITE, self->request[2]->h.opcode);
	ASSERT_EQ(0, take_and_put_back(self));
	get(self->mine, self->request[1]);
	ASSERT_TRUE(same(self->request[0], self->request[1]));
	ASSERT_EQ(0, th_gate_open(self->handle));
	EXPECT_EQ(2, th_requeue(self->handle, self->mine, 0));
	ASSERT_EQ(0, rawfs_cont(self->fs));
	EXPECT_EQ(0, test_client_wait(&self->client[0]));
	munmap(map, 4096);
	close(fd);
}

TEST_F(requeue, wrong_devices_are_refused)
{
	struct rawfs_config config;
	struct rawfs *other;
	int fd;

	EXPECT_EQ(-EBADF, th_requeue(self->handle, -1, 0));
	EXPECT_EQ(-EBADF, th_requeue(self->handle, 1000, 0));
	EXPECT_EQ(-EBADF, th_requeue(self->handle, self->handle, 0));
	fd = open("/dev/fuse", O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBADF, th_requeue(self->handle, fd, 0));
	close(fd);
	rawfs_defaults(&config);
	other = rawfs_up(&config, true);
	ASSERT_NE(NULL, other);
	EXPECT_EQ(-EXDEV, th_requeue(self->handle, other->fd[0], 0));
	EXPECT_EQ(0, rawfs_down(other));
}

TEST_F(requeue, aborted_connection_has_nothing)
{
	ASSERT_EQ(0, test_client_start(&self->client[0], test_stat,
				       (void *)test_path(self->fs, "f1")));
	wait_get(self->mine, self->request[0]);
	ASSERT_EQ(0, test_fusectl(self->fs, "abort"));
	EXPECT_EQ(-ECONNABORTED, test_client_wait(&self->client[0]));
	EXPECT_EQ(0, th_requeue(self->handle, self->mine, 0));
	EXPECT_EQ(-ENOENT, th_requeue(self->handle, self->mine,
				      self->request[0]->h.unique));
}

#define ROUNDS	50

static int stat_often(void *path)
{
	int i, err;

	for (i = 0; i < ROUNDS; i++) {
		err = test_stat(path);
		if (err && err != -EINTR)
			return err;
	}
	return 0;
}

/*
 * Requests are taken and given back while their waiters are interrupted and
 * the server answers what it can get. Nothing is lost, nothing comes twice.
 */
TEST_F(requeue, under_load)
{
	unsigned int busy, taken = 0;
	int i;

	catch_signals();
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, test_client_start(&self->client[i], stat_often,
				(void *)test_path(self->fs, i % 2 ? "f1" :
						  "dir0/f1")));
	ASSERT_EQ(0, rawfs_cont(self->fs));
	do {
		for (busy = i = 0; i < 4; i++) {
			if (!test_client_busy(&self->client[i]))
				continue;
			busy++;
			kill(self->client[i].pid, SIGUSR1);
		}
		/* Each time takes a grace period. */
		if (taken == 40)
			continue;
		get(self->mine, self->request[0]);
		if (self->request[0]->len > 0 && taken % 3 == 0)
			get(self->mine, self->request[1]);
		if (self->request[0]->len > 0) {
			taken++;
			ASSERT_LE(0, th_requeue(self->handle, self->mine, 0));
		}
	} while (busy);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, test_client_wait(&self->client[i]));
	EXPECT_EQ(0, count(self, FUSECR_REQ_PENDING));
	EXPECT_EQ(0, count(self, FUSECR_REQ_PROCESSING));
	TH_LOG("taken and given back: %u", taken);
	EXPECT_LT(0, taken);
}

TEST_HARNESS_MAIN
