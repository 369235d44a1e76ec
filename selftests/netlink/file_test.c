// SPDX-License-Identifier: GPL-2.0
/* Open files, mappings and directories in use. */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>

#include "kselftest_harness.h"
#include "test_util.h"

FIXTURE(file) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	struct tnl_list list;
};

FIXTURE_SETUP(file)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	config.init.flags = FUSE_FLOCK_LOCKS | FUSE_DO_READDIRPLUS;
	config.open_flags = FOPEN_KEEP_CACHE;
	config.opendir_flags = FOPEN_CACHE_DIR;
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
}

FIXTURE_TEARDOWN(file)
{
	tnl_free(&self->list);
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

/* Asks anew, and returns the one use, or NULL. */
static const struct tnl_obj *find(FIXTURE_DATA(file) *self, pid_t pid,
				  uint32_t use, uint64_t number)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_FILE,
			       .conn_id = self->id };
	size_t i;

	tnl_free(&self->list);
	if (tnl_dump(&self->nl, &q, &self->list))
		return NULL;
	for (i = 0; i < self->list.n; i++) {
		const struct tnl_obj *obj = &self->list.v[i];

		if (tnl_u32(obj, FUSECR_FILE_PID) == (uint32_t)pid &&
		    tnl_u32(obj, FUSECR_FILE_USE) == use &&
		    tnl_u64(obj, FUSECR_FILE_NUMBER) == number)
			return obj;
	}
	return NULL;
}

static const struct tnl_obj *find_fd(FIXTURE_DATA(file) *self, int fd)
{
	return find(self, getpid(), FUSECR_FILE_FD, fd);
}

/* From /proc, which asks no daemon. */
static uint32_t mnt_id(int fd)
{
	char path[64], line[256];
	unsigned int id = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "mnt_id: %u", &id);
	if (f)
		fclose(f);
	return id;
}

TEST_F(file, descriptor)
{
	const struct rawfs_handle *handle;
	const struct tnl_obj *obj;
	int fd;

	fd = open(test_path(self->fs, "dir1/f2"), O_RDWR | O_APPEND);
	ASSERT_LE(0, fd);
	ASSERT_EQ(1234, lseek(fd, 1234, SEEK_SET));
	obj = find_fd(self, fd);
	ASSERT_NE(NULL, obj);
	EXPECT_EQ(1, self->list.n);
	handle = rawfs_handle(self->fs, "dir1/f2", 0);
	EXPECT_EQ(handle->fh, tnl_u64(obj, FUSECR_FILE_FH));
	EXPECT_EQ(rawfs_nodeid(handle->node),
		  tnl_u64(obj, FUSECR_FILE_NODEID));
	EXPECT_EQ(self->id, tnl_u64(obj, FUSECR_FILE_CONN_ID));
	EXPECT_STREQ("fuse", tnl_str(obj, FUSECR_FILE_FSTYPE));
	EXPECT_EQ(FOPEN_KEEP_CACHE, tnl_u32(obj, FUSECR_FILE_OPEN_FLAGS));
	EXPECT_EQ((uint32_t)fcntl(fd, F_GETFL),
		  tnl_u32(obj, FUSECR_FILE_FILE_FLAGS));
	EXPECT_EQ(S_IFREG | 0666, tnl_u32(obj, FUSECR_FILE_MODE));
	EXPECT_EQ(1234, tnl_u64(obj, FUSECR_FILE_POS));
	EXPECT_EQ(mnt_id(fd), tnl_u32(obj, FUSECR_FILE_MNT_ID));
	EXPECT_TRUE(tnl_is(obj, FUSECR_FILE_PATH, "/dir1/f2"));
	EXPECT_FALSE(tnl_has(obj, FUSECR_FILE_READDIR_POS));
	EXPECT_FALSE(tnl_has(obj, FUSECR_FILE_END));
	EXPECT_EQ(0, tnl_u32(obj, FUSECR_FILE_FLAGS) &
		  ~FUSECR_FF_WRITE_ENTRY);
	close(fd);
	EXPECT_EQ(NULL, find_fd(self, fd));
	EXPECT_EQ(0, self->list.n);
}

/* Each open has its own numbers; each copy those of what it is a copy of. */
TEST_F(file, copies_and_others)
{
	uint64_t cookie, fh, kh;
	const struct tnl_obj *obj;
	int fd, copy, other;

	fd = open(test_path(self->fs, "f5"), O_RDONLY);
	copy = dup(fd);
	other = open(test_path(self->fs, "f5"), O_RDONLY);
	ASSERT_LE(0, other);
	obj = find_fd(self, fd);
	ASSERT_NE(NULL, obj);
	EXPECT_EQ(3, self->list.n);
	cookie = tnl_u64(obj, FUSECR_FILE_COOKIE);
	fh = tnl_u64(obj, FUSECR_FILE_FH);
	kh = tnl_u64(obj, FUSECR_FILE_KH);
	EXPECT_EQ(rawfs_handle(self->fs, "f5", 0)->fh, fh);
	obj = find_fd(self, copy);
	ASSERT_NE(NULL, obj);
	EXPECT_EQ(cookie, tnl_u64(obj, FUSECR_FILE_COOKIE));
	EXPECT_EQ(fh, tnl_u64(obj, FUSECR_FILE_FH));
	EXPECT_EQ(kh, tnl_u64(obj, FUSECR_FILE_KH));
	obj = find_fd(self, other);
	ASSERT_NE(NULL, obj);
	EXPECT_NE(cookie, tnl_u64(obj, FUSECR_FILE_COOKIE));
	EXPECT_EQ(rawfs_handle(self->fs, "f5", 1)->fh,
		  tnl_u64(obj, FUSECR_FILE_FH));
	EXPECT_EQ(kh + 1, tnl_u64(obj, FUSECR_FILE_KH));
	close(other);
	close(copy);
	close(fd);
}

/* A mapping outlives its descriptor. */
TEST_F(file, mapping)
{
	const struct tnl_obj *obj;
	uint64_t start, fh;
	void *map;
	int fd;

	fd = open(test_path(self->fs, "f5"), O_RDONLY);
	ASSERT_LE(0, fd);
	map = mmap(NULL, 3 * 4096, PROT_READ, MAP_SHARED, fd, 4096);
	ASSERT_NE(MAP_FAILED, map);
	start = (uintptr_t)map;
	obj = find_fd(self, fd);
	ASSERT_NE(NULL, obj);
	EXPECT_EQ(2, self->list.n);
	fh = tnl_u64(obj, FUSECR_FILE_FH);
	close(fd);
	obj = find(self, getpid(), FUSECR_FILE_MAP, start);
	ASSERT_NE(NULL, obj);
	EXPECT_EQ(1, self->list.n);
	EXPECT_EQ(start + 3 * 4096, tnl_u64(obj, FUSECR_FILE_END));
	EXPECT_EQ(fh, tnl_u64(obj, FUSECR_FILE_FH));
	EXPECT_EQ(rawfs_nodeid(rawfs_index(self->fs, "f5")),
		  tnl_u64(obj, FUSECR_FILE_NODEID));
	EXPECT_TRUE(tnl_is(obj, FUSECR_FILE_PATH, "/f5"));
	munmap(map, 3 * 4096);
	EXPECT_EQ(NULL, find(self, getpid(), FUSECR_FILE_MAP, start));
}

struct place {
	const char *dir;
	bool root;
	int ready;
};

static int stay(void *arg)
{
	const struct place *place = arg;
	int err = 0;

	if (place->root ? chroot(place->dir) : chdir(place->dir))
		err = -errno;
	if (write(place->ready, &err, sizeof(err)) != sizeof(err))
		return -EIO;
	while (pause() < 0)
		;
	return 0;
}

TEST_F(file, directories_in_use)
{
	struct place place = { .dir = test_path(self->fs, "dir1") };
	struct test_client cwd, root;
	const struct tnl_obj *obj;
	int pipes[2], err;

	ASSERT_EQ(0, pipe(pipes));
	place.ready = pipes[1];
	ASSERT_EQ(0, test_client_start(&cwd, stay, &place));
	ASSERT_EQ(sizeof(err), read(pipes[0], &err, sizeof(err)));
	ASSERT_EQ(0, err);
	place.root = true;
	ASSERT_EQ(0, test_client_start(&root, stay, &place));
	ASSERT_EQ(sizeof(err), read(pipes[0], &err, sizeof(err)));
	ASSERT_EQ(0, err);

	obj = find(self, cwd.pid, FUSECR_FILE_CWD, 0);
	ASSERT_NE(NULL, obj);
	EXPECT_EQ(2, self->list.n);
	EXPECT_EQ(rawfs_nodeid(rawfs_index(self->fs, "dir1")),
		  tnl_u64(obj, FUSECR_FILE_NODEID));
	EXPECT_TRUE(tnl_is(obj, FUSECR_FILE_PATH, "/dir1"));
	EXPECT_FALSE(tnl_has(obj, FUSECR_FILE_FH));
	EXPECT_FALSE(tnl_has(obj, FUSECR_FILE_KH));
	EXPECT_FALSE(tnl_has(obj, FUSECR_FILE_COOKIE));
	obj = find(self, root.pid, FUSECR_FILE_ROOT, 0);
	ASSERT_NE(NULL, obj);
	EXPECT_TRUE(tnl_is(obj, FUSECR_FILE_PATH, "/dir1"));
	test_client_kill(&cwd);
	test_client_kill(&root);
	EXPECT_EQ(NULL, find(self, cwd.pid, FUSECR_FILE_CWD, 0));
	EXPECT_EQ(0, self->list.n);
}

TEST_F(file, directory_that_is_read)
{
	const struct tnl_obj *obj;
	char buf[100];
	int fd;

	fd = open(test_path(self->fs, "."), O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, fd);
	obj = find_fd(self, fd);
	ASSERT_NE(NULL, obj);
	EXPECT_EQ(0, tnl_u64(obj, FUSECR_FILE_READDIR_POS));
	EXPECT_EQ(FOPEN_CACHE_DIR, tnl_u32(obj, FUSECR_FILE_OPEN_FLAGS));
	EXPECT_TRUE(tnl_is(obj, FUSECR_FILE_PATH, "/"));
	/* Twice: only then it comes from the cache. */
	while (syscall(SYS_getdents64, fd, buf, sizeof(buf)) > 0)
		;
	ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
	ASSERT_LT(0, syscall(SYS_getdents64, fd, buf, sizeof(buf)));
	obj = find_fd(self, fd);
	ASSERT_NE(NULL, obj);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), tnl_u64(obj, FUSECR_FILE_POS));
	EXPECT_LT(0, tnl_u64(obj, FUSECR_FILE_READDIR_POS));
	EXPECT_LT(0, tnl_u64(obj, FUSECR_FILE_READDIR_CACHE_OFF));
	EXPECT_TRUE(tnl_has(obj, FUSECR_FILE_READDIR_VERSION));
	close(fd);
}

/* Descriptors with no handle of the server's behind them. */
TEST_F(file, not_opened_by_fuse)
{
	const struct tnl_obj *obj;
	int path, fifo;

	path = open(test_path(self->fs, "f1"), O_PATH);
	fifo = open(test_path(self->fs, "fifo"), O_RDWR);
	ASSERT_LE(0, fifo);
	obj = find_fd(self, path);
	ASSERT_NE(NULL, obj);
	EXPECT_EQ(2, self->list.n);
	EXPECT_EQ(FUSECR_FF_PATH, tnl_u32(obj, FUSECR_FILE_FLAGS));
	EXPECT_FALSE(tnl_has(obj, FUSECR_FILE_FH));
	EXPECT_TRUE(tnl_is(obj, FUSECR_FILE_PATH, "/f1"));
	obj = find_fd(self, fifo);
	ASSERT_NE(NULL, obj);
	EXPECT_EQ(FUSECR_FF_FOREIGN, tnl_u32(obj, FUSECR_FILE_FLAGS));
	EXPECT_EQ(rawfs_nodeid(rawfs_index(self->fs, "fifo")),
		  tnl_u64(obj, FUSECR_FILE_NODEID));
	EXPECT_FALSE(tnl_has(obj, FUSECR_FILE_FH));
	close(fifo);
	close(path);
}

/* Of a new pid namespace: it knows itself, and of others that they are none of it. */
static int sees_itself(const FIXTURE_DATA(file) *self, int fd)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_FILE, .conn_id = self->id };
	struct tnl_list list = { 0 };
	unsigned int ours = 0, others = 0;
	struct tnl nl;

	if (tnl_open(&nl) || tnl_dump(&nl, &q, &list))
		return 1;
	for (size_t i = 0; i < list.n; i++) {
		if (tnl_u64(&list.v[i], FUSECR_FILE_NUMBER) != (uint64_t)fd)
			continue;
		ours += tnl_u32(&list.v[i], FUSECR_FILE_PID) == (uint32_t)getpid();
		others += !tnl_u32(&list.v[i], FUSECR_FILE_PID);
	}
	tnl_free(&list);
	q.pid = getpid();
	if (tnl_dump(&nl, &q, &list) || list.n != 1 ||
	    tnl_u32(&list.v[0], FUSECR_FILE_PID) != q.pid)
		return 2;
	tnl_free(&list);
	tnl_close(&nl);
	return ours == 1 && others == 2 ? 0 : 3;
}

TEST_F(file, pids_are_the_askers)
{
	int fd = open(test_path(self->fs, "f1"), O_RDONLY), status;
	pid_t pid;

	ASSERT_LE(0, fd);
	pid = fork();
	if (!pid) {
		if (unshare(CLONE_NEWPID))
			_exit(4);
		pid = fork();
		if (!pid)
			_exit(sees_itself(self, fd));
		if (waitpid(pid, &status, 0) != pid)
			_exit(5);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 6);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	close(fd);
}

static int bound(struct rawfs *fs, const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", test_path(fs, name));
	return fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) ||
		listen(fd, 1) ? -1 : fd;
}

/* No file of the mount, but somebody who has its node. */
TEST_F(file, unix_socket)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const struct tnl_obj *obj;
	int fd, client, server;

	fd = bound(self->fs, "socket");
	ASSERT_LE(0, fd);
	obj = find(self, getpid(), FUSECR_FILE_SOCKET, fd);
	ASSERT_NE(NULL, obj);
	EXPECT_EQ(1, self->list.n);
	EXPECT_EQ(rawfs_nodeid(rawfs_index(self->fs, "socket")),
		  tnl_u64(obj, FUSECR_FILE_NODEID));
	EXPECT_TRUE(tnl_is(obj, FUSECR_FILE_PATH, "/socket"));
	EXPECT_EQ(0, tnl_u32(obj, FUSECR_FILE_FLAGS));
	EXPECT_TRUE(S_ISSOCK(tnl_u32(obj, FUSECR_FILE_MODE)));
	EXPECT_FALSE(tnl_has(obj, FUSECR_FILE_FH));
	EXPECT_FALSE(tnl_has(obj, FUSECR_FILE_COOKIE));
	client = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s",
		 test_path(self->fs, "socket"));
	ASSERT_EQ(0, connect(client, (struct sockaddr *)&a, sizeof(a)));
	server = accept(fd, NULL, NULL);
	ASSERT_LE(0, server);
	ASSERT_EQ(0, unlink(test_path(self->fs, "socket")));
	obj = find(self, getpid(), FUSECR_FILE_SOCKET, server);
	ASSERT_NE(NULL, obj);
	EXPECT_EQ(2, self->list.n);
	EXPECT_EQ(FUSECR_FF_CONNECTED | FUSECR_FF_UNLINKED,
		  tnl_u32(obj, FUSECR_FILE_FLAGS));
	close(client);
	close(server);
	close(fd);
}

/* In a message that nobody has received. */
TEST_F(file, sent)
{
	const struct tnl_obj *obj;
	int fd, socks[2], outer[2];
	uint64_t cookie;
	char byte;

	fd = open(test_path(self->fs, "f1"), O_RDONLY);
	ASSERT_LE(0, fd);
	cookie = tnl_u64(find_fd(self, fd), FUSECR_FILE_COOKIE);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	ASSERT_EQ(0, test_send(socks[0], fd, 1));
	close(fd);
	EXPECT_EQ(NULL, find(self, getpid(), FUSECR_FILE_SENT, socks[0]));
	EXPECT_EQ(0, find(self, getpid(), FUSECR_FILE_SENT, socks[1]) ?
		     tnl_u32(&self->list.v[0], FUSECR_FILE_FLAGS) & FUSECR_FF_BEHIND : 1);
	obj = find(self, getpid(), FUSECR_FILE_SENT, socks[1]);
	ASSERT_NE(NULL, obj);
	EXPECT_EQ(1, self->list.n);
	EXPECT_EQ(cookie, tnl_u64(obj, FUSECR_FILE_COOKIE));
	EXPECT_EQ(rawfs_handle(self->fs, "f1", 0)->fh,
		  tnl_u64(obj, FUSECR_FILE_FH));
	EXPECT_TRUE(tnl_is(obj, FUSECR_FILE_PATH, "/f1"));

	/* And the socket itself is in a message, which is in one to itself. */
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, outer));
	ASSERT_EQ(0, test_send(outer[0], socks[1], 1));
	ASSERT_EQ(0, test_send(socks[0], outer[1], 1));
	close(socks[1]);
	/* The second of those that can be received: after the socket. */
	obj = find(self, getpid(), FUSECR_FILE_SENT, 1ULL << 32 | outer[1]);
	ASSERT_NE(NULL, obj);
	EXPECT_EQ(1, self->list.n);
	EXPECT_TRUE(tnl_u32(obj, FUSECR_FILE_FLAGS) & FUSECR_FF_BEHIND);
	EXPECT_EQ(cookie, tnl_u64(obj, FUSECR_FILE_COOKIE));
	/*
	 * Not left in a circle: since 6.19 no collection comes for what is closed
	 * while one is under way (gc_in_progress in net/unix/garbage.c), until
	 * somebody closes another socket.
	 */
	EXPECT_EQ(1, recv(outer[1], &byte, 1, 0));
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_RELEASE, 1));
	close(outer[0]);
	close(outer[1]);
	close(socks[0]);
}

/* Over many messages, as those of descriptors. */
TEST_F(file, sent_many)
{
	const struct tnl_obj *obj;
	int fd, socks[2];

	fd = open(test_path(self->fs, "f1"), O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, socks));
	ASSERT_EQ(0, test_send(socks[0], fd, TEST_SEND_MAX));
	ASSERT_EQ(0, test_send(socks[0], fd, TEST_SEND_MAX));
	close(fd);
	obj = find(self, getpid(), FUSECR_FILE_SENT, socks[1]);
	ASSERT_NE(NULL, obj);
	EXPECT_EQ(2 * TEST_SEND_MAX, self->list.n);
	close(socks[1]);
	close(socks[0]);
}

/* By who has connected, and is not accepted yet. */
TEST_F(file, sent_early)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const struct tnl_obj *obj;
	int fd, listener, client;

	fd = open(test_path(self->fs, "f1"), O_RDONLY);
	ASSERT_LE(0, fd);
	snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "fusecr-%d", getpid());
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	client = socket(AF_UNIX, SOCK_STREAM, 0);
	ASSERT_EQ(0, bind(listener, (struct sockaddr *)&a, sizeof(a)));
	ASSERT_EQ(0, listen(listener, 1));
	ASSERT_EQ(0, connect(client, (struct sockaddr *)&a, sizeof(a)));
	ASSERT_EQ(0, test_send(client, fd, 1));
	close(fd);
	obj = find(self, getpid(), FUSECR_FILE_SENT, listener);
	ASSERT_NE(NULL, obj);
	EXPECT_EQ(1, self->list.n);
	close(client);
	close(listener);
	EXPECT_EQ(NULL, find(self, getpid(), FUSECR_FILE_SENT, listener));
}

static int poll_file(void *arg)
{
	struct pollfd fd = { .fd = *(int *)arg, .events = POLLIN };

	return poll(&fd, 1, -1);
}

TEST_F(file, flags)
{
	struct test_client client;
	int fd, polled;

	fd = open(test_path(self->fs, "f3"), O_RDWR);
	polled = open(test_path(self->fs, "f4"), O_RDONLY);
	ASSERT_LE(0, polled);
	ASSERT_EQ(0, unlink(test_path(self->fs, "f3")));
	ASSERT_EQ(0, flock(fd, LOCK_EX));
	ASSERT_EQ(0, test_client_start(&client, poll_file, &polled));
	ASSERT_EQ(0, rawfs_wait_op(self->fs, FUSE_POLL, 1));
	EXPECT_EQ(FUSECR_FF_UNLINKED | FUSECR_FF_FLOCK,
		  tnl_u32(find_fd(self, fd), FUSECR_FILE_FLAGS) &
		  ~FUSECR_FF_WRITE_ENTRY);
	EXPECT_EQ(FUSECR_FF_POLLED,
		  tnl_u32(find_fd(self, polled), FUSECR_FILE_FLAGS));
	EXPECT_EQ(rawfs_handle(self->fs, "f4", 0)->kh,
		  tnl_u64(find_fd(self, polled), FUSECR_FILE_KH));
	test_client_kill(&client);
	close(polled);
	close(fd);
}

TEST_F(file, io_mode)
{
	const struct tnl_obj *obj;
	unsigned int major, minor;
	struct utsname name;
	int fd;

	ASSERT_EQ(0, uname(&name));
	ASSERT_EQ(2, sscanf(name.release, "%u.%u", &major, &minor));
	fd = open(test_path(self->fs, "f3"), O_RDONLY);
	obj = find_fd(self, fd);
	ASSERT_NE(NULL, obj);
	/* fuse has it since 6.9, and uses it for files with a backing file. */
	EXPECT_EQ(major > 6 || (major == 6 && minor >= 9),
		  tnl_has(obj, FUSECR_FILE_IOMODE));
	if (tnl_has(obj, FUSECR_FILE_IOMODE))
		EXPECT_GE(2, tnl_u32(obj, FUSECR_FILE_IOMODE));
	close(fd);
}

TEST_F(file, filters)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_FILE };
	struct rawfs_config config;
	struct test_client client;
	struct place place = { .dir = "/" };
	struct tnl_list list;
	struct rawfs *other;
	int fd, fd2, pipes[2], err;

	rawfs_defaults(&config);
	other = rawfs_up(&config, false);
	ASSERT_NE(NULL, other);
	fd = open(test_path(self->fs, "f1"), O_RDONLY);
	ASSERT_LE(0, fd);
	fd2 = open(test_path(other, "f1"), O_RDONLY);
	ASSERT_LE(0, fd2);
	ASSERT_EQ(0, pipe(pipes));
	place.ready = pipes[1];
	/* It has copies of both. */
	ASSERT_EQ(0, test_client_start(&client, stay, &place));
	ASSERT_EQ(sizeof(err), read(pipes[0], &err, sizeof(err)));

	ASSERT_EQ(0, tnl_dump(&self->nl, &q, &list));
	EXPECT_EQ(4, list.n);
	tnl_free(&list);
	q.conn_id = self->id;
	ASSERT_EQ(0, tnl_dump(&self->nl, &q, &list));
	EXPECT_EQ(2, list.n);
	tnl_free(&list);
	q.pid = client.pid;
	ASSERT_EQ(0, tnl_dump(&self->nl, &q, &list));
	ASSERT_EQ(1, list.n);
	EXPECT_EQ(client.pid, tnl_u32(&list.v[0], FUSECR_FILE_PID));
	tnl_free(&list);
	q.conn_id = 0;
	ASSERT_EQ(0, tnl_dump(&self->nl, &q, &list));
	EXPECT_EQ(2, list.n);
	tnl_free(&list);
	test_client_kill(&client);
	close(fd);
	close(fd2);
	EXPECT_EQ(0, rawfs_down(other));
}

#define MANY	1000

/*
 * Over many messages: none twice, none left out.  Opening and looking so often
 * takes its time where the processor is emulated.
 */
TEST_F_TIMEOUT(file, many_descriptors, 600)
{
	static int fds[MANY];
	unsigned int missing = 0;
	int i;

	for (i = 0; i < MANY; i++) {
		fds[i] = open(test_path(self->fs, "f1"), O_RDONLY);
		ASSERT_LE(0, fds[i]);
	}
	for (i = 0; i < MANY; i += 97)
		missing += !find_fd(self, fds[i]);
	EXPECT_EQ(MANY, self->list.n);
	EXPECT_EQ(0, missing);
	for (i = 0; i < MANY; i++) {
		const struct rawfs_handle *handle = &self->fs->handles[i];

		missing += !tnl_find64(&self->list, FUSECR_FILE_FH,
				       handle->fh);
		close(fds[i]);
	}
	EXPECT_EQ(0, missing);
}

TEST_HARNESS_MAIN
