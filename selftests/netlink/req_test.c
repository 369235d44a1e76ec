// SPDX-License-Identifier: GPL-2.0
/* Requests where they are, with the bytes that the server is or was given. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "kselftest_harness.h"
#include "test_util.h"

#define SIZE	100000
#define VALUE	20000

struct env {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	int mine;		/* instance that the test reads */
	struct test_client client;
};

/* 0 or a line number. */
static int env_up(struct env *env, uint64_t flags, unsigned int background)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	config.options = "allow_other";
	config.init.flags = flags;
	config.init.max_background = background;
	config.init.congestion_threshold = background;
	config.enosys = 1ULL << FUSE_GETXATTR;
	config.ignore_interrupts = true;
	if (test_own_mounts())
		return __LINE__;
	env->fs = rawfs_up(&config, true);
	if (!env->fs || rawfs_wait_init(env->fs) || chmod(env->fs->dir, 0755))
		return __LINE__;
	env->mine = rawfs_clone(env->fs->fd[0]);
	if (env->mine < 0 || tnl_open(&env->nl))
		return __LINE__;
	env->id = tnl_conn_id(&env->nl, env->fs->dev);
	return env->id ? 0 : __LINE__;
}

/* 0, or the server's exit status, or -1 for a leak. */
static int env_down(struct env *env)
{
	bool leak = *env->nl.leak;

	/* What a failed test left behind is answered by nobody. */
	if (env->client.pid > 0)
		test_fusectl(env->fs, "abort");
	test_client_kill(&env->client);
	close(env->mine);
	tnl_close(&env->nl);
	return rawfs_down(env->fs) ?: -leak;
}

/* What a client does, and how. */
struct job {
	int (*work)(const struct job *job);
	const char *path;
	uid_t uid;
	gid_t gid;
	int fd;
};

static unsigned char byte(size_t at)
{
	return at * 13 + at / 256 * 7;
}

static int do_stat(const struct job *job)
{
	return test_stat((void *)job->path);
}

static int do_mkdir(const struct job *job)
{
	return mkdir(job->path, 0751) ? -errno : 0;
}

static int do_rename(const struct job *job)
{
	char to[512];

	snprintf(to, sizeof(to), "%s.to", job->path);
	return rename(job->path, to) ? -errno : 0;
}

static int do_symlink(const struct job *job)
{
	return symlink("/what/it/points/to", job->path) ? -errno : 0;
}

static int do_chmod(const struct job *job)
{
	return chmod(job->path, 0604) ? -errno : 0;
}

static int do_open(const struct job *job)
{
	return test_open((void *)job->path);
}

static int do_setxattr(const struct job *job)
{
	char value[VALUE];
	size_t i;

	for (i = 0; i < VALUE; i++)
		value[i] = byte(i);
	return setxattr(job->path, "user.large", value, VALUE, 0) ? -errno : 0;
}

static int do_write(const struct job *job)
{
	char *data = malloc(SIZE);
	size_t i;

	for (i = 0; i < SIZE; i++)
		data[i] = byte(i);
	/* A page that is not whole would go by itself. */
	return pwrite(job->fd, data, SIZE, 8192) == SIZE ? 0 : -EIO;
}

static int do_read(const struct job *job)
{
	char data[4096];

	return pread(job->fd, data, sizeof(data), 0) < 0 ? -errno : 0;
}

static int run(void *arg)
{
	const struct job *job = arg;

	if ((job->gid && setgid(job->gid)) || (job->uid && setuid(job->uid)))
		return -EXDEV;
	return job->work(job);
}

/* The input of a request, put together from its chunks. */
struct input {
	size_t len;		/* as it is told */
	size_t got;
	unsigned int chunks;
	bool gap;
	char data[RAWFS_BUF_SIZE];
};

static void join(const struct tnl_list *list, uint64_t unique,
		 struct input *in)
{
	const void *data;
	size_t i, len, at;

	memset(in, 0, offsetof(struct input, data));
	for (i = 0; i < list->n; i++) {
		const struct tnl_obj *obj = &list->v[i];

		if (tnl_u64(obj, FUSECR_REQ_UNIQUE) != unique ||
		    tnl_u32(obj, FUSECR_REQ_STATE) == FUSECR_REQ_INTERRUPT)
			continue;
		in->len = tnl_u32(obj, FUSECR_REQ_IN_LEN);
		at = tnl_u32(obj, FUSECR_REQ_IN_OFFSET);
		data = tnl_bin(obj, FUSECR_REQ_IN_DATA, &len);
		in->gap |= at != in->got || len > FUSECR_IN_CHUNK;
		if (data && at + len <= sizeof(in->data))
			memcpy(in->data + at, data, len);
		in->got += len;
		in->chunks++;
	}
}

static int dump(struct tnl *nl, uint64_t id, struct tnl_list *list)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_REQ, .conn_id = id };

	return tnl_dump(nl, &q, list);
}

FIXTURE(input) {
	struct env env;
	struct job job;
	char path[512];
};

/* A request of each shape: fixed, names, values, pages. */
FIXTURE_VARIANT(input) {
	uint32_t opcode;
	const char *path;
	int (*work)(const struct job *job);
	bool fresh;		/* there is no such file yet, or none known */
	unsigned int chunks;	/* at least */
	uid_t uid;
	gid_t gid;
};

FIXTURE_VARIANT_ADD(input, lookup) {
	.opcode = FUSE_LOOKUP,
	.path = "dir0/f1",
	.work = do_stat,
	.fresh = true,
	.uid = 1234,
	.gid = 4321,
};

FIXTURE_VARIANT_ADD(input, mkdir) {
	.opcode = FUSE_MKDIR,
	.path = "dir0/a rather long name of a directory",
	.work = do_mkdir,
	.fresh = true,
	.uid = 77,
};

FIXTURE_VARIANT_ADD(input, rename) {
	.opcode = FUSE_RENAME,
	.path = "dir0/f2",
	.work = do_rename,
};

FIXTURE_VARIANT_ADD(input, symlink) {
	.opcode = FUSE_SYMLINK,
	.path = "dir0/symlink",
	.work = do_symlink,
	.fresh = true,
};

FIXTURE_VARIANT_ADD(input, setattr) {
	.opcode = FUSE_SETATTR,
	.path = "dir0/f3",
	.work = do_chmod,
};

FIXTURE_VARIANT_ADD(input, open) {
	.opcode = FUSE_OPEN,
	.path = "dir0/f3",
	.work = do_open,
};

FIXTURE_VARIANT_ADD(input, setxattr) {
	.opcode = FUSE_SETXATTR,
	.path = "dir0/f3",
	.work = do_setxattr,
	.chunks = VALUE / FUSECR_IN_CHUNK + 1,
};

FIXTURE_VARIANT_ADD(input, write) {
	.opcode = FUSE_WRITE,
	.path = "dir0/f3",
	.work = do_write,
	.chunks = SIZE / FUSECR_IN_CHUNK + 1,
};

FIXTURE_VARIANT_ADD(input, read) {
	.opcode = FUSE_READ,
	.path = "dir0/f3",
	.work = do_read,
};

FIXTURE_SETUP(input)
{
	ASSERT_EQ(0, env_up(&self->env, FUSE_BIG_WRITES | FUSE_ASYNC_READ, 12));
	snprintf(self->path, sizeof(self->path), "%s/%s", self->env.fs->dir,
		 variant->path);
	self->job = (struct job){
		.work = variant->work,
		.path = self->path,
		.uid = variant->uid,
		.gid = variant->gid,
		.fd = -1,
	};
	/* From here on the path is known, and no one asks for it. */
	ASSERT_EQ(0, test_stat((void *)test_path(self->env.fs, "dir0")));
	if (!variant->fresh) {
		self->job.fd = open(self->path, O_RDWR);
		ASSERT_LE(0, self->job.fd);
		/* Asks for security.capability, and learns ENOSYS. */
		ASSERT_EQ(1, pwrite(self->job.fd, "", 1, 0));
	}
	rawfs_hold(self->env.fs, variant->opcode);
	ASSERT_EQ(0, rawfs_stop(self->env.fs));
}

FIXTURE_TEARDOWN(input)
{
	if (self->job.fd >= 0)
		close(self->job.fd);
	EXPECT_EQ(0, env_down(&self->env));
}

/*
 * Waits until the client's request is pending. A name that is to be made is
 * looked up first, which the test answers.
 */
static int wait_pending(struct env *env, uint32_t opcode,
			struct tnl_list *list)
{
	struct fuse_out_header out = { .len = sizeof(out), .error = -ENOENT };
	static char buf[RAWFS_BUF_SIZE];
	const struct fuse_in_header *h = (void *)buf;
	int err;

	for (;;) {
		err = test_wait_requests(&env->nl, env->id,
					 FUSECR_REQ_PENDING, 1, list);
		if (err || tnl_u32(&list->v[0], FUSECR_REQ_OPCODE) == opcode)
			return err;
		tnl_free(list);
		if (read(env->mine, buf, sizeof(buf)) < 0)
			return -errno;
		if (h->opcode != FUSE_LOOKUP)
			return -EPROTO;
		out.unique = h->unique;
		if (write(env->mine, &out, sizeof(out)) < 0)
			return -errno;
	}
}

/* Pending and in processing: to the byte what the server is given. */
TEST_F(input, is_told)
{
	struct input *pending = malloc(sizeof(*pending));
	struct input *read = malloc(sizeof(*read));
	struct env *env = &self->env;
	const struct rawfs_held *held;
	const struct tnl_obj *obj;
	struct tnl_list list;
	uint64_t unique;

	ASSERT_EQ(0, test_client_start(&env->client, run, &self->job));
	ASSERT_EQ(0, wait_pending(env, variant->opcode, &list));
	obj = &list.v[0];
	unique = tnl_u64(obj, FUSECR_REQ_UNIQUE);
	join(&list, unique, pending);
	EXPECT_TRUE(tnl_u32(obj, FUSECR_REQ_FLAGS) & FUSECR_RF_PENDING);
	EXPECT_FALSE(tnl_u32(obj, FUSECR_REQ_FLAGS) & FUSECR_RF_SENT);
	EXPECT_FALSE(tnl_has(obj, FUSECR_REQ_DEV));
	tnl_free(&list);

	ASSERT_EQ(0, rawfs_cont(env->fs));
	ASSERT_EQ(0, rawfs_wait_held(env->fs, variant->opcode, 1));
	held = rawfs_find_held(env->fs, variant->opcode, 0);
	EXPECT_EQ(unique, held->h.unique);
	ASSERT_EQ(0, dump(&env->nl, env->id, &list));
	obj = tnl_find64(&list, FUSECR_REQ_UNIQUE, unique);
	ASSERT_NE(NULL, obj);
	EXPECT_EQ(FUSECR_REQ_PROCESSING, tnl_u32(obj, FUSECR_REQ_STATE));
	EXPECT_EQ(variant->opcode, tnl_u32(obj, FUSECR_REQ_OPCODE));
	EXPECT_EQ(held->h.nodeid, tnl_u64(obj, FUSECR_REQ_NODEID));
	EXPECT_EQ(held->h.uid, tnl_u32(obj, FUSECR_REQ_UID));
	EXPECT_EQ(held->h.gid, tnl_u32(obj, FUSECR_REQ_GID));
	EXPECT_EQ(held->h.pid, tnl_u32(obj, FUSECR_REQ_PID));
	/* Those of the client, but for what is sent in its absence. */
	if (held->h.pid) {
		EXPECT_EQ(variant->uid, held->h.uid);
		EXPECT_EQ(variant->gid, held->h.gid);
		EXPECT_EQ(env->client.pid, held->h.pid);
	}
	EXPECT_TRUE(tnl_has(obj, FUSECR_REQ_DEV));
	EXPECT_TRUE(tnl_u32(obj, FUSECR_REQ_FLAGS) & FUSECR_RF_SENT);
	EXPECT_FALSE(tnl_u32(obj, FUSECR_REQ_FLAGS) & FUSECR_RF_PENDING);
	join(&list, unique, read);
	tnl_free(&list);

	EXPECT_EQ(held->h.len - sizeof(held->h), read->len);
	EXPECT_EQ(read->len, pending->len);
	EXPECT_FALSE(pending->gap || read->gap);
	EXPECT_EQ(read->len, read->got);
	EXPECT_EQ(read->len, pending->got);
	EXPECT_LE(variant->chunks, read->chunks);
	EXPECT_EQ(0, memcmp(pending->data, held->arg, pending->len));
	EXPECT_EQ(0, memcmp(read->data, held->arg, read->len));

	rawfs_release(env->fs, 0);
	EXPECT_EQ(0, test_client_wait(&env->client));
	free(read);
	free(pending);
}

FIXTURE(queue) {
	struct env env;
};

FIXTURE_SETUP(queue)
{
	ASSERT_EQ(0, env_up(&self->env, FUSE_BIG_WRITES | FUSE_WRITEBACK_CACHE |
			    FUSE_PARALLEL_DIROPS, 2));
}

FIXTURE_TEARDOWN(queue)
{
	EXPECT_EQ(0, env_down(&self->env));
}

static unsigned int count(const struct tnl_list *list, uint32_t state)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < list->n; i++)
		if (tnl_u32(&list->v[i], FUSECR_REQ_STATE) == state &&
		    (!tnl_has(&list->v[i], FUSECR_REQ_IN_OFFSET) ||
		     !tnl_u32(&list->v[i], FUSECR_REQ_IN_OFFSET)))
			n++;
	return n;
}

#define MANY	40

/* Each once, oldest first, over several messages. */
TEST_F(queue, many_are_pending)
{
	struct env *env = &self->env;
	struct test_client clients[MANY];
	char path[MANY][128];
	struct tnl_list list;
	uint64_t last = 0;
	size_t i;

	ASSERT_EQ(0, rawfs_stop(env->fs));
	for (i = 0; i < MANY; i++) {
		snprintf(path[i], sizeof(path[i]), "%.100s/none%zu",
			 env->fs->dir, i);
		ASSERT_EQ(0, test_client_start(&clients[i], test_stat,
					       path[i]));
	}
	EXPECT_EQ(0, test_wait_requests(&env->nl, env->id, FUSECR_REQ_PENDING,
					MANY, &list));
	EXPECT_EQ(MANY, list.n);
	for (i = 0; i < list.n; i++) {
		EXPECT_LT(last, tnl_u64(&list.v[i], FUSECR_REQ_UNIQUE));
		last = tnl_u64(&list.v[i], FUSECR_REQ_UNIQUE);
	}
	tnl_free(&list);
	ASSERT_EQ(0, rawfs_cont(env->fs));
	for (i = 0; i < MANY; i++)
		EXPECT_EQ(-ENOENT, test_client_wait(&clients[i]));
}

/* Write-back waits for its place without a number. */
TEST_F(queue, background)
{
	struct env *env = &self->env;
	unsigned char data[4096];
	struct tnl_list list;
	struct input *in = malloc(sizeof(*in));
	uint64_t seen = 0;
	size_t i, n = 0;
	int fd;

	memset(data, 0x5a, sizeof(data));
	fd = open(test_path(env->fs, "f7"), O_RDWR);
	ASSERT_LE(0, fd);
	/* With holes between them, each page is a request. */
	for (i = 0; i < 6; i++)
		ASSERT_EQ(sizeof(data), pwrite(fd, data, sizeof(data),
					       i * 3 * sizeof(data)));
	rawfs_hold(env->fs, FUSE_WRITE);
	ASSERT_EQ(0, sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
	ASSERT_EQ(0, rawfs_wait_held(env->fs, FUSE_WRITE, 2));
	ASSERT_EQ(0, dump(&env->nl, env->id, &list));
	EXPECT_EQ(2, count(&list, FUSECR_REQ_PROCESSING));
	EXPECT_LE(1, count(&list, FUSECR_REQ_BACKGROUND));
	for (i = 0; i < list.n; i++) {
		const struct tnl_obj *obj = &list.v[i];
		const struct fuse_write_in *w;
		const void *chunk;
		size_t len;

		EXPECT_EQ(FUSE_WRITE, tnl_u32(obj, FUSECR_REQ_OPCODE));
		EXPECT_TRUE(tnl_u32(obj, FUSECR_REQ_FLAGS) &
			    FUSECR_RF_BACKGROUND);
		if (tnl_u32(obj, FUSECR_REQ_STATE) != FUSECR_REQ_BACKGROUND)
			continue;
		EXPECT_EQ(0, tnl_u64(obj, FUSECR_REQ_UNIQUE));
		if (tnl_u32(obj, FUSECR_REQ_IN_OFFSET))
			continue;
		n++;
		w = chunk = tnl_bin(obj, FUSECR_REQ_IN_DATA, &len);
		ASSERT_LE(sizeof(*w) + sizeof(data), len);
		EXPECT_EQ(0, w->offset % (3 * sizeof(data)));
		EXPECT_FALSE(seen >> w->offset / sizeof(data) & 1);
		seen |= 1ULL << w->offset / sizeof(data);
		EXPECT_EQ(0, memcmp(w + 1, data, sizeof(data)));
	}
	EXPECT_LE(1, n);
	tnl_free(&list);
	rawfs_release(env->fs, 0);
	ASSERT_EQ(0, fsync(fd));
	ASSERT_EQ(0, dump(&env->nl, env->id, &list));
	EXPECT_EQ(0, list.n);
	tnl_free(&list);
	close(fd);
	free(in);
}

static void nothing(int sig)
{
}

TEST_F(queue, interrupt)
{
	struct env *env = &self->env;
	const struct tnl_obj *obj = NULL;
	struct tnl_list list;
	uint64_t unique;
	size_t i;

	signal(SIGUSR1, nothing);
	rawfs_hold(env->fs, FUSE_LOOKUP);
	ASSERT_EQ(0, test_client_start(&env->client, test_stat,
				       (void *)test_path(env->fs, "f1")));
	ASSERT_EQ(0, rawfs_wait_held(env->fs, FUSE_LOOKUP, 1));
	unique = rawfs_find_held(env->fs, FUSE_LOOKUP, 0)->h.unique;
	ASSERT_EQ(0, rawfs_stop(env->fs));
	ASSERT_EQ(0, kill(env->client.pid, SIGUSR1));
	ASSERT_EQ(0, test_wait_requests(&env->nl, env->id,
					FUSECR_REQ_INTERRUPT, 1, &list));
	/* The one that showed it may have come to the request before it was. */
	tnl_free(&list);
	ASSERT_EQ(0, dump(&env->nl, env->id, &list));
	EXPECT_EQ(2, list.n);
	for (i = 0; i < list.n; i++) {
		EXPECT_EQ(unique, tnl_u64(&list.v[i], FUSECR_REQ_UNIQUE));
		if (tnl_u32(&list.v[i], FUSECR_REQ_STATE) ==
		    FUSECR_REQ_PROCESSING)
			obj = &list.v[i];
	}
	ASSERT_NE(NULL, obj);
	EXPECT_TRUE(tnl_u32(obj, FUSECR_REQ_FLAGS) & FUSECR_RF_INTERRUPTED);
	tnl_free(&list);
	ASSERT_EQ(0, rawfs_cont(env->fs));
	ASSERT_EQ(0, rawfs_wait_op(env->fs, FUSE_INTERRUPT, 1));
	ASSERT_EQ(0, dump(&env->nl, env->id, &list));
	EXPECT_EQ(1, list.n);
	tnl_free(&list);
	rawfs_release(env->fs, 0);
	EXPECT_EQ(0, test_client_wait(&env->client));
}

/* Every reference that is on its way back, as it was counted. */
TEST_F(queue, forgets)
{
	struct env *env = &self->env;
	const struct tnl_obj *obj;
	struct tnl_list list;
	unsigned int n;

	env->fs->config.entry_ms = 0;
	for (n = 0; n < 5; n++) {
		ASSERT_EQ(0, test_stat((void *)test_path(env->fs, "dir1/f3")));
		ASSERT_EQ(0, test_stat((void *)test_path(env->fs, "f2")));
	}
	ASSERT_EQ(0, rawfs_stop(env->fs));
	ASSERT_EQ(0, test_drop_caches());
	ASSERT_EQ(0, test_wait_requests(&env->nl, env->id, FUSECR_REQ_FORGET,
					3, &list));
	EXPECT_EQ(3, list.n);
	for (n = 1; n < env->fs->nr_nodes; n++) {
		if (!env->fs->nodes[n].nlookup)
			continue;
		obj = tnl_find64(&list, FUSECR_REQ_NODEID, rawfs_nodeid(n));
		ASSERT_NE(NULL, obj);
		EXPECT_EQ(env->fs->nodes[n].nlookup,
			  tnl_u64(obj, FUSECR_REQ_NLOOKUP));
		EXPECT_LE(5, tnl_u64(obj, FUSECR_REQ_NLOOKUP));
	}
	tnl_free(&list);
	ASSERT_EQ(0, rawfs_cont(env->fs));
	ASSERT_EQ(0, rawfs_wait_nlookup(env->fs,
					rawfs_index(env->fs, "dir1"), 0));
	ASSERT_EQ(0, dump(&env->nl, env->id, &list));
	EXPECT_EQ(0, list.n);
	tnl_free(&list);
}

TEST_HARNESS_MAIN
