// SPDX-License-Identifier: GPL-2.0
/* TAKE and KEEP: what they refuse, what is told of a kept request, and KEEP of that. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "keep_fixture.h"

#define BIG		(64 << 10)
#define UNIQUE		(1ULL << 32)	/* no request of the kernel's own */

/* --- refusals -------------------------------------------------------------------- */

static int call_without_rights(void *arg)
{
	struct fusecr_keep keep = { };
	int fd = *(int *)arg, err;

	err = test_drop(65534, 0);
	if (err)
		return err;
	return th_take(fd) == -EPERM && th_call(fd, FUSECR_IOC_KEEP, &keep) == -EPERM;
}

TEST_F(call, who_may)
{
	struct fusecr_keep keep = { };
	int fd = th_open();

	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOTCONN, th_take(fd));
	EXPECT_EQ(-ENOTCONN, th_call(fd, FUSECR_IOC_KEEP, &keep));
	close(fd);
	EXPECT_EQ(-ENOENT, th_take(self->fd));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	EXPECT_EQ(0, th_take(self->fd));
	ASSERT_EQ(0, test_client_start(&self->clients[0], call_without_rights,
				       &self->fd));
	EXPECT_EQ(1, test_client_wait(&self->clients[0]));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(-ENOENT, th_take(self->fd));
	EXPECT_EQ(-EFAULT, th_call(self->fd, FUSECR_IOC_KEEP, (void *)1));
}

struct keep_args {
	struct fusecr_keep k;
	char in[64];
	char out[256];
	struct fuse_entry_out named[FUSECR_KEEP_NAMES];
};

/* A STATFS of this process, which never asks for it. */
static struct fusecr_keep good(struct keep_args *a, int dev)
{
	memset(a, 0, sizeof(*a));
	a->k = (struct fusecr_keep){
		.fd = dev, .opcode = FUSE_STATFS, .unique = UNIQUE,
		.nodeid = FUSE_ROOT_ID, .pid = getpid(),
		.in = (uintptr_t)a->in, .out = (uintptr_t)a->out,
		.named = (uintptr_t)a->named, .out_count = 1,
		.out_size = { sizeof(struct fuse_statfs_out) },
	};
	return a->k;
}

/* What KEEP says to it with one member changed. */
#define KEEP_WITH(dev, ...) ({						\
	struct keep_args _a;						\
	struct fusecr_keep _k = good(&_a, dev);				\
									\
	__VA_ARGS__;							\
	th_call(self->fd, FUSECR_IOC_KEEP, &_k);			\
})

TEST_F(call, keep_is_refused)
{
	int dev = device(self), other, null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fresh = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	struct rawfs_config config;
	struct rawfs *fs;
	pid_t gone = fork();

	if (!gone)
		_exit(0);
	ASSERT_EQ(gone, waitpid(gone, NULL, 0));
	ASSERT_LE(0, dev);
	rawfs_defaults(&config);
	fs = rawfs_up(&config, true);
	ASSERT_NE(NULL, fs);
	other = fs->fd[0];

	EXPECT_EQ(-EINVAL, KEEP_WITH(dev, _k.unique = 0));
	EXPECT_EQ(-EINVAL, KEEP_WITH(dev, _k.unique++));
	EXPECT_EQ(-EINVAL, KEEP_WITH(dev, _k.in_len = FUSECR_KEEP_MAX + 1));
	EXPECT_EQ(-EINVAL, KEEP_WITH(dev, _k.in_len = ~0U));
	EXPECT_EQ(-EINVAL, KEEP_WITH(dev, _k.out_count = 3));
	EXPECT_EQ(-EINVAL, KEEP_WITH(dev, _k.out_count = ~0U));
	EXPECT_EQ(-EINVAL, KEEP_WITH(dev, _k.out_size[0] = FUSECR_KEEP_MAX + 1));
	EXPECT_EQ(-EINVAL, KEEP_WITH(dev, _k.out_count = 2, _k.out_size[0] = ~0U,
				     _k.out_size[1] = 2));
	EXPECT_EQ(-EINVAL, KEEP_WITH(dev, _k.out_size[1] = 8));
	EXPECT_EQ(-EINVAL, KEEP_WITH(dev, _k.out_var = 2));
	EXPECT_EQ(-EINVAL, KEEP_WITH(dev, _k.answered = 2));
	EXPECT_EQ(-EINVAL, KEEP_WITH(dev, _k.error = 1));
	EXPECT_EQ(-EINVAL, KEEP_WITH(dev, _k.answered = 1, _k.error = -512));
	EXPECT_EQ(-EINVAL, KEEP_WITH(dev, _k.answered = 1, _k.error = -4096));
	EXPECT_EQ(-EINVAL, KEEP_WITH(dev, _k.place = 4));
	EXPECT_EQ(-EBADF, KEEP_WITH(-1, ));
	EXPECT_EQ(-EBADF, KEEP_WITH(1000, ));
	EXPECT_EQ(-EBADF, KEEP_WITH(null, ));
	EXPECT_EQ(-EBADF, KEEP_WITH(fresh, ));
	EXPECT_EQ(-EXDEV, KEEP_WITH(other, ));
	EXPECT_EQ(-ESRCH, KEEP_WITH(dev, _k.pid = 0));
	EXPECT_EQ(-ESRCH, KEEP_WITH(dev, _k.pid = ~0U));
	EXPECT_EQ(-ESRCH, KEEP_WITH(dev, _k.pid = gone));
	EXPECT_EQ(-EFAULT, KEEP_WITH(dev, _k.in_len = 8, _k.in = 1));
	EXPECT_EQ(-EFAULT, KEEP_WITH(dev, _k.answered = 1, _k.out = 1));
	EXPECT_EQ(-EFAULT, KEEP_WITH(dev, _k.named = 1));
	EXPECT_EQ(0, th_kept(self->fd));

	/* Not looked at. */
	EXPECT_EQ(0, KEEP_WITH(dev, _k.out = 1, _k.in = 1));
	EXPECT_EQ(1, th_kept(self->fd));
	EXPECT_EQ(-EEXIST, KEEP_WITH(dev, ));
	EXPECT_EQ(0, KEEP_WITH(dev, _k.unique += 2, _k.answered = 1,
			       _k.error = -511, _k.out = 1));
	EXPECT_EQ(-EEXIST, KEEP_WITH(dev, _k.unique += 2, _k.answered = 1));
	EXPECT_EQ(2, th_kept(self->fd));
	/* One that the server has. */
	rawfs_hold(self->fs, FUSE_LOOKUP);
	ASSERT_EQ(0, test_client_start(&self->clients[0], test_stat, path(self, "f1")));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_LOOKUP, 1));
	EXPECT_EQ(-EEXIST, KEEP_WITH(dev, _k.unique =
				     rawfs_find_held(self->fs, FUSE_LOOKUP, 0)->h.unique));
	EXPECT_EQ(2, th_kept(self->fd));
	ASSERT_EQ(0, test_fusectl(self->fs, "abort"));
	EXPECT_TRUE(kept_is(self->fd, 0));
	EXPECT_EQ(-ENOTCONN, KEEP_WITH(dev, _k.unique += 4));
	EXPECT_EQ(0, th_kept(self->fd));
	close(fresh);
	close(null);
	close(dev);
	EXPECT_EQ(0, rawfs_down(fs));
}

/* Whatever it says it was: what it gave is given back, or there was nothing. */
TEST_F(call, keep_of_anything)
{
	static const uint32_t sizes[] = { 0, 1, 4, 8, 16, 128, 152, 256 };
	int dev = device(self), n = 0;
	uint32_t opcode, i;
	pid_t pid;

	ASSERT_LE(0, dev);
	pid = fork();
	if (!pid)
		for (;;)
			pause();
	ASSERT_LT(0, pid);
	for (opcode = 0; opcode < 56; opcode++)
		for (i = 0; i < 8 * 3; i++) {
			ASSERT_EQ(0, KEEP_WITH(dev,
					       memset(_a.in, opcode + i, sizeof(_a.in)),
					       memset(_a.named, 0, sizeof(_a.named)),
					       _k.opcode = opcode, _k.pid = pid,
					       _k.unique += 2 * n++,
					       _k.in_len = sizes[(opcode + i) % 6],
					       _k.out_count = i / 8, _k.answered = 1,
					       _k.out_size[0] = i / 8 ? sizes[i % 8] / (i / 8) : 0,
					       _k.out_size[1] = i / 8 > 1 ? sizes[i % 8] / 2 : 0))
				TH_LOG("opcode %u, %u", opcode, i);
		}
	EXPECT_EQ(n, th_kept(self->fd));
	/* Handles and nodes of number 0, of which the server knows nothing. */
	ASSERT_EQ(0, rawfs_stop(self->fs));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	EXPECT_TRUE(kept_is(self->fd, 0));
	ASSERT_EQ(0, test_fusectl(self->fs, "abort"));
	close(dev);
}

/* --- what is told ------------------------------------------------------------------ */

/* All bytes that are told of the one that is kept; malloc'ed, or NULL. */
static char *told(FIXTURE_DATA(call) *self, struct tnl_list *list, uint32_t *len)
{
	char *data, *more;
	size_t i, n;

	if (test_wait_requests(&self->nl, self->id, FUSECR_REQ_KEPT, 1, list))
		return NULL;
	data = malloc(1);
	*len = 0;
	for (i = 0; data && i < list->n; i++) {
		const struct tnl_obj *o = &list->v[i];
		const void *chunk = tnl_bin(o, FUSECR_REQ_IN_DATA, &n);

		if (tnl_u32(o, FUSECR_REQ_STATE) != FUSECR_REQ_KEPT ||
		    tnl_u32(o, FUSECR_REQ_IN_OFFSET) != *len || !chunk)
			continue;
		more = realloc(data, *len + n);
		if (!more)
			break;
		data = more;
		memcpy(data + *len, chunk, n);
		*len += n;
	}
	return data;
}

TEST_F(call, netlink_tells)
{
	const struct rawfs_held *held;
	struct fuse_entry_out *entry;
	const uint32_t in_len = sizeof(struct fuse_mkdir_in) + sizeof("new");
	struct tnl_list list;
	struct tnl_obj *o;
	uint64_t unique;
	uint32_t len;
	char *data;

	ASSERT_EQ(0, keep_one(self, FUSE_MKDIR, false, test_mkdir, path(self, "dir1/new")));
	held = rawfs_find_held(self->fs, FUSE_MKDIR, 0);
	ASSERT_NE(NULL, held);
	unique = held->h.unique;
	data = told(self, &list, &len);
	ASSERT_NE(NULL, data);
	ASSERT_EQ(1, list.n);
	o = &list.v[0];
	EXPECT_EQ(unique, tnl_u64(o, FUSECR_REQ_UNIQUE));
	EXPECT_EQ(FUSECR_REQ_KEPT, tnl_u32(o, FUSECR_REQ_STATE));
	EXPECT_EQ(FUSE_MKDIR, tnl_u32(o, FUSECR_REQ_OPCODE));
	EXPECT_EQ(held->h.nodeid, tnl_u64(o, FUSECR_REQ_NODEID));
	EXPECT_EQ(0, tnl_u32(o, FUSECR_REQ_UID));
	EXPECT_EQ(0, tnl_u32(o, FUSECR_REQ_GID));
	EXPECT_EQ(self->clients[0].pid, tnl_u32(o, FUSECR_REQ_PID));
	EXPECT_EQ(self->clients[0].pid, tnl_u32(o, FUSECR_REQ_WAITER));
	EXPECT_EQ(FUSECR_RF_ISREPLY, tnl_u32(o, FUSECR_REQ_FLAGS));
	EXPECT_NE(0, tnl_u64(o, FUSECR_REQ_DEV));
	EXPECT_NE(~0ULL, tnl_u64(o, FUSECR_REQ_DEV));
	EXPECT_EQ(1, tnl_u32(o, FUSECR_REQ_OUT_COUNT));
	EXPECT_EQ(sizeof(*entry), tnl_u32(o, FUSECR_REQ_OUT_SIZE_0));
	EXPECT_EQ(0, tnl_u32(o, FUSECR_REQ_OUT_SIZE_1));
	EXPECT_EQ(0, tnl_u8(o, FUSECR_REQ_OUT_VAR));
	EXPECT_EQ(0, tnl_u8(o, FUSECR_REQ_ANSWERED));
	EXPECT_EQ(0, tnl_u32(o, FUSECR_REQ_ERROR));
	EXPECT_EQ(0, tnl_u32(o, FUSECR_REQ_OUT_LEN));
	EXPECT_EQ(0, tnl_u64(o, FUSECR_REQ_NAMED_0));
	EXPECT_EQ(0, tnl_u64(o, FUSECR_REQ_NAMED_1));
	ASSERT_EQ(in_len, len);
	EXPECT_EQ(len, tnl_u32(o, FUSECR_REQ_IN_LEN));
	EXPECT_EQ(0, memcmp(held->arg, data, len));
	free(data);
	tnl_free(&list);

	rawfs_release(self->fs, 0);
	ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_MKDIR, 1));
	data = told(self, &list, &len);
	ASSERT_NE(NULL, data);
	o = &list.v[0];
	EXPECT_EQ(1, tnl_u8(o, FUSECR_REQ_ANSWERED));
	EXPECT_EQ(0, tnl_u32(o, FUSECR_REQ_ERROR));
	EXPECT_EQ(sizeof(*entry), tnl_u32(o, FUSECR_REQ_OUT_LEN));
	ASSERT_EQ(in_len + sizeof(*entry), len);
	entry = (void *)(data + in_len);
	EXPECT_EQ(rawfs_nodeid(rawfs_index(self->fs, "dir1/new")), entry->nodeid);
	free(data);
	tnl_free(&list);
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(0, th_kept(self->fd));
}

/* Reads 64 KiB at once, and says whether they were right. */
static int read_big(void *path)
{
	char *buf = aligned_alloc(4096, BIG);
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC), i;
	ssize_t n = read(fd, buf, BIG);

	for (i = 0; i < n; i++)
		if (buf[i] != (char)(i * 7 + i / 256))
			return -EIO;
	return n == BIG ? 0 : n < 0 ? -errno : -ENODATA;
}

TEST_F(call, netlink_tells_much)
{
	int fd = open(path(self, "f1"), O_RDWR | O_CLOEXEC), i;
	struct tnl_list list;
	uint32_t len;
	char *data = malloc(BIG);

	for (i = 0; i < BIG; i++)
		data[i] = i * 7 + i / 256;
	ASSERT_EQ(BIG, write(fd, data, BIG));
	close(fd);
	free(data);
	ASSERT_EQ(0, keep_one(self, FUSE_READ, false, read_big, path(self, "f1")));
	rawfs_release(self->fs, 0);
	ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_READ, 1));
	data = told(self, &list, &len);
	ASSERT_NE(NULL, data);
	EXPECT_LT(BIG / FUSECR_IN_CHUNK, list.n);
	EXPECT_EQ(1, tnl_u8(&list.v[0], FUSECR_REQ_OUT_VAR));
	EXPECT_EQ(BIG, tnl_u32(&list.v[0], FUSECR_REQ_OUT_LEN));
	ASSERT_EQ(sizeof(struct fuse_read_in) + BIG, len);
	for (i = 0; i < BIG; i++)
		if (data[sizeof(struct fuse_read_in) + i] != (char)(i * 7 + i / 256))
			break;
	EXPECT_EQ(BIG, i);
	free(data);
	tnl_free(&list);
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(0, test_client_wait(&self->clients[0]));
	EXPECT_EQ(1, self->fs->nr_op[FUSE_READ]);
}

/* --- put there ---------------------------------------------------------------------- */

struct later {
	int go;
	const char *path;
};

static int mkdir_later(void *arg)
{
	const struct later *l = arg;
	char c;

	return read(l->go, &c, 1) == 1 ? test_mkdir((void *)l->path) : -EPIPE;
}

/* What was told of one client's request, for another who will ask for the same. */
static int keep_told(FIXTURE_DATA(call) *self, struct later *later, int dev,
		     bool answered, int error)
{
	struct fuse_entry_out named[FUSECR_KEEP_NAMES] = { };
	struct tnl_list list;
	struct fusecr_keep k;
	uint32_t len;
	char *data;
	int err;

	err = keep_one(self, FUSE_MKDIR, false, test_mkdir, (void *)later->path);
	if (err)
		return err;
	data = told(self, &list, &len);
	if (!data)
		return -ENODATA;
	test_client_kill(&self->clients[0]);
	if (!kept_is(self->fd, 0))
		return -EBUSY;
	err = th_gate_open(self->fd) ?:
	      test_client_start(&self->clients[1], mkdir_later, later);
	if (err)
		return err;
	k = (struct fusecr_keep){
		.fd = dev, .opcode = tnl_u32(&list.v[0], FUSECR_REQ_OPCODE),
		.unique = tnl_u64(&list.v[0], FUSECR_REQ_UNIQUE),
		.nodeid = tnl_u64(&list.v[0], FUSECR_REQ_NODEID),
		.pid = self->clients[1].pid, .in_len = len, .in = (uintptr_t)data,
		.out_count = tnl_u32(&list.v[0], FUSECR_REQ_OUT_COUNT),
		.out_size[0] = tnl_u32(&list.v[0], FUSECR_REQ_OUT_SIZE_0),
		.answered = answered, .error = error, .named = (uintptr_t)named,
	};
	err = th_call(self->fd, FUSECR_IOC_KEEP, &k);
	free(data);
	tnl_free(&list);
	return err;
}

TEST_F(call, keep_answered)
{
	struct later later = { self->go[0], path(self, "dir1/new") };
	int dev = device(self);

	ASSERT_EQ(0, keep_told(self, &later, dev, true, -EDQUOT));
	EXPECT_EQ(1, th_kept(self->fd));
	ASSERT_EQ(1, write(self->go[1], "", 1));
	EXPECT_EQ(-EDQUOT, test_client_wait(&self->clients[1]));
	EXPECT_EQ(0, th_kept(self->fd));
	EXPECT_EQ(1, self->fs->nr_op[FUSE_MKDIR]);
	close(dev);
}

TEST_F(call, keep_unanswered)
{
	struct later later = { self->go[0], path(self, "dir1/new") };
	struct fuse_out_header answer = { .len = sizeof(answer), .error = -EDQUOT };
	int dev = device(self);

	ASSERT_EQ(0, keep_told(self, &later, dev, false, 0));
	ASSERT_EQ(1, write(self->go[1], "", 1));
	EXPECT_TRUE(kept_is(self->fd, 0));
	EXPECT_TRUE(test_client_busy(&self->clients[1]));
	/* The server has answered it with EINTR when its first client died. */
	for (uint64_t i = self->fs->requests; i--;)
		if (self->fs->log[i % RAWFS_LOG_SIZE].opcode == FUSE_MKDIR) {
			answer.unique = self->fs->log[i % RAWFS_LOG_SIZE].unique;
			break;
		}
	EXPECT_EQ(sizeof(answer), write(dev, &answer, sizeof(answer)));
	EXPECT_EQ(-EDQUOT, test_client_wait(&self->clients[1]));
	EXPECT_EQ(1, self->fs->nr_op[FUSE_MKDIR]);
	EXPECT_EQ(1, self->fs->interrupts);
	close(dev);
}

static int stat_later(void *arg)
{
	const struct later *l = arg;
	char c;

	return read(l->go, &c, 1) == 1 ? test_stat((void *)l->path) : -EPIPE;
}

/* A lookup in a directory that was changed since is not answered by what is kept. */
TEST_F(call, keep_outdated)
{
	struct fuse_entry_out named[FUSECR_KEEP_NAMES] = { };
	struct later later = { self->go[0], path(self, "dir1/f1") };
	int dev = device(self), i;
	struct fusecr_keep k;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, test_client_start(&self->clients[i], stat_later, &later));
		k = (struct fusecr_keep){
			.fd = dev, .opcode = FUSE_LOOKUP, .unique = UNIQUE + 2 * i,
			.nodeid = rawfs_nodeid(rawfs_index(self->fs, "dir1")),
			.pid = self->clients[i].pid, .in_len = sizeof("f1"), .in = (uintptr_t)"f1",
			.out_count = 1, .out_size[0] = sizeof(struct fuse_entry_out),
			.answered = 1, .error = -EDQUOT, .named = (uintptr_t)named,
			.place = i ? FUSECR_KEEP_OUTDATED : 0,
		};
		ASSERT_EQ(0, th_call(self->fd, FUSECR_IOC_KEEP, &k));
		ASSERT_EQ(1, write(self->go[1], "", 1));
		EXPECT_EQ(i ? 0 : -EDQUOT, test_client_wait(&self->clients[i]));
		EXPECT_TRUE(kept_is(self->fd, 0));
	}
	close(dev);
}

/* Two are about one node, of which the server counts one lookup. */
TEST_F(call, keep_two_of_a_node)
{
	struct fuse_entry_out named[FUSECR_KEEP_NAMES] = { };
	struct later later = { self->go[0], path(self, "dir1/f1") };
	uint32_t node = rawfs_index(self->fs, "dir1/f1");
	int dev = device(self), i;
	struct fusecr_keep k;

	ASSERT_EQ(0, test_drop_caches());
	ASSERT_EQ(0, rawfs_wait_nlookup(self->fs, node, 0));
	self->fs->nodes[node].nlookup = 1;
	named[0].nodeid = rawfs_nodeid(node);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, test_client_start(&self->clients[i], stat_later, &later));
		k = (struct fusecr_keep){
			.fd = dev, .opcode = FUSE_UNLINK, .unique = UNIQUE + 2 * i,
			.nodeid = rawfs_nodeid(rawfs_index(self->fs, i ? "dir0" : "dir1")),
			.pid = self->clients[i].pid, .in_len = sizeof("f1"), .in = (uintptr_t)"f1",
			.answered = 1, .error = -EDQUOT, .named = (uintptr_t)named,
		};
		ASSERT_EQ(0, th_call(self->fd, FUSECR_IOC_KEEP, &k));
	}
	test_client_kill(&self->clients[0]);
	EXPECT_TRUE(kept_is(self->fd, 1));
	EXPECT_EQ(1, self->fs->nodes[node].nlookup);
	test_client_kill(&self->clients[1]);
	EXPECT_TRUE(kept_is(self->fd, 0));
	EXPECT_EQ(0, rawfs_wait_nlookup(self->fs, node, 0));
	EXPECT_EQ(0, test_stat(path(self, "dir1/f1")));
	EXPECT_STREQ("", self->fs->fault);
	close(dev);
}

struct opener {
	int opened[2];		/* a byte says so */
	const char *path;
};

static int open_and_stay(void *arg)
{
	const struct opener *o = arg;
	int fd = open(o->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || write(o->opened[1], "", 1) != 1)
		return -errno;
	return pause();
}

/* Killed, its files are closed; but the server still uses the handle. */
TEST_F(call, keep_of_who_is_killed)
{
	struct fuse_out_header answer = { .len = sizeof(answer), .error = -EIO, .unique = UNIQUE };
	struct fuse_entry_out named[FUSECR_KEEP_NAMES] = { };
	struct opener opener = { .path = path(self, "f1") };
	struct fuse_read_in in = { .size = 4096 };
	int dev = device(self);
	struct fusecr_keep k;
	char byte;

	ASSERT_EQ(0, pipe2(opener.opened, O_CLOEXEC));
	ASSERT_EQ(0, test_client_start(&self->clients[0], open_and_stay, &opener));
	ASSERT_EQ(1, read(opener.opened[0], &byte, 1));
	in.fh = rawfs_handle(self->fs, "f1", 0)->fh;
	k = (struct fusecr_keep){
		.fd = dev, .opcode = FUSE_READ, .unique = UNIQUE,
		.nodeid = rawfs_nodeid(rawfs_index(self->fs, "f1")),
		.pid = self->clients[0].pid, .in_len = sizeof(in), .in = (uintptr_t)&in,
		.out_count = 1, .out_size[0] = in.size, .out_var = 1,
		.named = (uintptr_t)named,
	};
	ASSERT_EQ(0, th_call(self->fd, FUSECR_IOC_KEEP, &k));
	self->fs->config.ignore_interrupts = true;
	test_client_kill(&self->clients[0]);
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_INTERRUPT, 1));
	test_nap(QUIET_MS);
	EXPECT_EQ(0, self->fs->nr_op[FUSE_RELEASE]);
	EXPECT_EQ(sizeof(answer), write(dev, &answer, sizeof(answer)));
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	EXPECT_TRUE(kept_is(self->fd, 0));
	close(dev);
}

TEST_HARNESS_MAIN
