// SPDX-License-Identifier: GPL-2.0
/* What is told of a connection, next to what was negotiated. */
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "kselftest_harness.h"
#include "test_util.h"

struct env {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	uint64_t known;		/* flags that this kernel keeps */
	uint64_t offered;	/* flags that it offered */
};

/* 0 or a line number. */
static int env_up(struct env *env, const struct rawfs_config *config)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_INFO };
	struct tnl_list list;

	if (test_up(config, &env->fs, &env->nl, &env->id))
		return __LINE__;
	env->offered = env->fs->init_in.flags |
		(uint64_t)env->fs->init_in.flags2 << 32;
	if (tnl_do(&env->nl, &q, &list))
		return __LINE__;
	env->known = tnl_u64(&list.v[0], FUSECR_INFO_KNOWN_FLAGS);
	tnl_free(&list);
	return 0;
}

/* 0, or the server's exit status, or -1 for a leak. */
static int env_down(struct env *env)
{
	bool leak = *env->nl.leak;

	tnl_close(&env->nl);
	return rawfs_down(env->fs) ?: -leak;
}

static uint64_t get(struct env *env, uint16_t attr)
{
	return tnl_conn_value(&env->nl, env->id, attr);
}

/* --- flags of INIT -------------------------------------------------------- */

FIXTURE(flag) {
	struct env env;
};

FIXTURE_VARIANT(flag) {
	uint64_t flag;
	uint64_t with;		/* what it goes together with */
	const char *options;
	uint16_t timeout;	/* s, of a request */
	bool uring;		/* offered where the administrator allows it */
};

/* Since 6.14, 6.15 and 7.3. */
#ifndef FUSE_OVER_IO_URING
#define FUSE_OVER_IO_URING		(1ULL << 41)
#endif
#ifndef FUSE_REQUEST_TIMEOUT
#define FUSE_REQUEST_TIMEOUT		(1ULL << 42)
#endif
#ifndef FUSE_HAS_IO_URING_BUFPOOL
#define FUSE_HAS_IO_URING_BUFPOOL	(1ULL << 43)
#endif

/* What fuse does not keep: it says what the kernel or the server can. */
#define NO_TRACE	(FUSE_SPLICE_WRITE | FUSE_SPLICE_MOVE | FUSE_SPLICE_READ | \
			 FUSE_HAS_IOCTL_DIR | FUSE_NO_OPEN_SUPPORT | \
			 FUSE_NO_OPENDIR_SUPPORT | FUSE_HAS_EXPIRE_ONLY | \
			 FUSE_HAS_RESEND | FUSE_HAS_IO_URING_BUFPOOL | FUSE_INIT_EXT)

/* Whether io_uring is offered. */
static void allow_uring(bool on)
{
	test_write("/sys/module/fuse/parameters/enable_uring", on ? "1" : "0");
}

#define FLAG(name, ...)							\
	FIXTURE_VARIANT_ADD(flag, name) { .flag = FUSE_##name, ##__VA_ARGS__ }

FLAG(ASYNC_READ);
FLAG(POSIX_LOCKS);
FLAG(ATOMIC_O_TRUNC);
FLAG(EXPORT_SUPPORT);
FLAG(BIG_WRITES);
FLAG(DONT_MASK);
FLAG(SPLICE_WRITE);
FLAG(SPLICE_MOVE);
FLAG(SPLICE_READ);
FLAG(FLOCK_LOCKS);
FLAG(HAS_IOCTL_DIR);
FLAG(AUTO_INVAL_DATA);
FLAG(DO_READDIRPLUS);
FLAG(READDIRPLUS_AUTO, .with = FUSE_DO_READDIRPLUS);
FLAG(ASYNC_DIO);
FLAG(WRITEBACK_CACHE);
FLAG(NO_OPEN_SUPPORT);
FLAG(PARALLEL_DIROPS);
FLAG(HANDLE_KILLPRIV);
FLAG(POSIX_ACL);
FLAG(ABORT_ERROR);
FLAG(MAX_PAGES);
FLAG(CACHE_SYMLINKS);
FLAG(NO_OPENDIR_SUPPORT);
FLAG(EXPLICIT_INVAL_DATA);
FLAG(HANDLE_KILLPRIV_V2);
FLAG(SETXATTR_EXT);
FLAG(SECURITY_CTX, .with = FUSE_INIT_EXT);
FLAG(HAS_INODE_DAX, .with = FUSE_INIT_EXT);
FLAG(CREATE_SUPP_GROUP, .with = FUSE_INIT_EXT);
FLAG(HAS_EXPIRE_ONLY, .with = FUSE_INIT_EXT);
FLAG(DIRECT_IO_ALLOW_MMAP, .with = FUSE_INIT_EXT);
FLAG(PASSTHROUGH, .with = FUSE_INIT_EXT);
FLAG(NO_EXPORT_SUPPORT, .with = FUSE_INIT_EXT);
FLAG(HAS_RESEND, .with = FUSE_INIT_EXT);
FLAG(ALLOW_IDMAP, .with = FUSE_INIT_EXT, .options = "default_permissions");
FLAG(OVER_IO_URING, .with = FUSE_INIT_EXT, .uring = true);
FLAG(REQUEST_TIMEOUT, .with = FUSE_INIT_EXT, .timeout = 60);
FLAG(HAS_IO_URING_BUFPOOL, .with = FUSE_INIT_EXT, .uring = true);

/* fuse_init_out.request_timeout, which older headers have not. */
static void set_timeout(struct rawfs_config *config, uint16_t timeout)
{
	memcpy((char *)&config->init.max_stack_depth + sizeof(uint32_t), &timeout,
	       sizeof(timeout));
}

static void set_flags(struct rawfs_config *config, uint64_t flags)
{
	config->init.flags = flags;
	config->init.flags2 = flags >> 32;
	config->init.max_pages = 64;
	config->init.max_stack_depth = 1;
}

FIXTURE_SETUP(flag)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	config.options = variant->options;
	set_flags(&config, variant->flag | variant->with);
	set_timeout(&config, variant->timeout);
	if (variant->uring)
		allow_uring(true);
	ASSERT_EQ(0, env_up(&self->env, &config));
}

FIXTURE_TEARDOWN(flag)
{
	EXPECT_EQ(0, env_down(&self->env));
	if (variant->uring)
		allow_uring(false);
}

TEST_F(flag, is_told)
{
	uint64_t told = get(&self->env, FUSECR_CONN_FLAGS);

	if (!(self->env.offered & variant->flag))
		SKIP(return, "this kernel does not offer it");
	EXPECT_EQ(!(variant->flag & NO_TRACE), !!(self->env.known & variant->flag));
	EXPECT_EQ(!(variant->flag & NO_TRACE), !!(told & variant->flag));
	if (variant->timeout)
		EXPECT_EQ(variant->timeout,
			  get(&self->env, FUSECR_CONN_REQUEST_TIMEOUT));
	/* And nothing else. */
	EXPECT_EQ(0, told & ~(variant->flag | variant->with));
	EXPECT_EQ(0, told & ~self->env.known);
}

FIXTURE(no_flag) {
	struct env env;
};

FIXTURE_SETUP(no_flag)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	ASSERT_EQ(0, env_up(&self->env, &config));
}

FIXTURE_TEARDOWN(no_flag)
{
	EXPECT_EQ(0, env_down(&self->env));
}

TEST_F(no_flag, is_told)
{
	EXPECT_EQ(0, get(&self->env, FUSECR_CONN_FLAGS));
	EXPECT_EQ(32, get(&self->env, FUSECR_CONN_MAX_PAGES));
}

/* Without FUSE_INIT_EXT the upper half is not looked at. */
TEST_F(flag, is_asked_for_in_full)
{
	struct rawfs_config config;
	struct rawfs *other;
	uint64_t id;

	if (!(variant->with & FUSE_INIT_EXT))
		return;
	rawfs_defaults(&config);
	set_flags(&config, variant->flag);
	other = rawfs_up(&config, false);
	ASSERT_NE(NULL, other);
	ASSERT_EQ(0, rawfs_wait_init(other));
	id = self->env.id;
	self->env.id = tnl_conn_id(&self->env.nl, other->dev);
	EXPECT_EQ(0, get(&self->env, FUSECR_CONN_FLAGS));
	self->env.id = id;
	EXPECT_EQ(0, rawfs_down(other));
}

FIXTURE(offer) {
	struct env env;
};

FIXTURE_SETUP(offer)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	allow_uring(true);
	ASSERT_EQ(0, env_up(&self->env, &config));
}

FIXTURE_TEARDOWN(offer)
{
	EXPECT_EQ(0, env_down(&self->env));
	allow_uring(false);
}

/* What a newer kernel offers is to be looked at before it counts as supported. */
TEST_F(offer, is_known)
{
	EXPECT_NE(0, self->env.offered);
	EXPECT_EQ(0, self->env.offered & ~(self->env.known | NO_TRACE));
}

FIXTURE(flags) {
	struct env env;
	uint64_t sent;
};

FIXTURE_VARIANT(flags) {
	uint64_t without;
};

/* Two pairs exclude each other. */
FIXTURE_VARIANT_ADD(flags, auto_inval_and_writeback) {
	.without = FUSE_EXPLICIT_INVAL_DATA | FUSE_PASSTHROUGH |
		   FUSE_NO_EXPORT_SUPPORT,
};

FIXTURE_VARIANT_ADD(flags, explicit_inval_and_passthrough) {
	.without = FUSE_AUTO_INVAL_DATA | FUSE_WRITEBACK_CACHE |
		   FUSE_EXPORT_SUPPORT,
};

FIXTURE_SETUP(flags)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	config.options = "default_permissions";
	set_flags(&config, ~variant->without);
	ASSERT_EQ(0, env_up(&self->env, &config));
	self->sent = ~variant->without;
}

FIXTURE_TEARDOWN(flags)
{
	EXPECT_EQ(0, env_down(&self->env));
}

/* What is told, sent as an answer to INIT, makes the same connection. */
TEST_F(flags, exactly)
{
	/*
	 * A plain fuse mount has neither, whatever the server says; the others
	 * leave a trace only with a time, and where queues are enabled.
	 */
	uint64_t never = FUSE_SUBMOUNTS | FUSE_MAP_ALIGNMENT |
			 FUSE_OVER_IO_URING | FUSE_REQUEST_TIMEOUT;
	uint64_t told = get(&self->env, FUSECR_CONN_FLAGS);
	struct rawfs_config config;
	struct rawfs *again;

	EXPECT_EQ(self->sent & self->env.known & ~never, told);
	rawfs_defaults(&config);
	config.options = "default_permissions";
	set_flags(&config, told);
	again = rawfs_up(&config, false);
	ASSERT_NE(NULL, again);
	ASSERT_EQ(0, rawfs_wait_init(again));
	self->env.id = tnl_conn_id(&self->env.nl, again->dev);
	EXPECT_EQ(told, get(&self->env, FUSECR_CONN_FLAGS));
	EXPECT_EQ(0, rawfs_down(again));
}

/* --- INIT that mount(2) waits for ------------------------------------------- */

FIXTURE(sync_init) {
	struct env env;
	bool up;
};

FIXTURE_SETUP(sync_init)
{
	struct rawfs_config config;

	if (!rawfs_has_sync_init())
		SKIP(return, "this kernel has no synchronous INIT");
	rawfs_defaults(&config);
	config.sync_init = true;
	set_flags(&config, FUSE_ASYNC_READ | FUSE_MAX_PAGES | FUSE_INIT_EXT |
			   FUSE_CREATE_SUPP_GROUP);
	ASSERT_EQ(0, env_up(&self->env, &config));
	self->up = true;
}

FIXTURE_TEARDOWN(sync_init)
{
	if (self->up)
		EXPECT_EQ(0, env_down(&self->env));
}

/* As any other, and nothing about it is unknown. */
TEST_F(sync_init, is_told)
{
	struct tnl_list list;

	ASSERT_EQ(0, tnl_conn(&self->env.nl, self->env.id, &list));
	EXPECT_EQ(FUSE_ASYNC_READ | FUSE_MAX_PAGES | FUSE_INIT_EXT |
		  FUSE_CREATE_SUPP_GROUP, tnl_u64(&list.v[0], FUSECR_CONN_FLAGS));
	EXPECT_EQ(64, tnl_u32(&list.v[0], FUSECR_CONN_MAX_PAGES));
	EXPECT_EQ(FUSECR_CONN_INITIALIZED | FUSECR_CONN_CONNECTED,
		  tnl_u32(&list.v[0], FUSECR_CONN_STATE));
	EXPECT_FALSE(tnl_has(&list.v[0], FUSECR_CONN_UNKNOWN));
	EXPECT_EQ(1, tnl_u32(&list.v[0], FUSECR_CONN_DEV_COUNT));
	tnl_free(&list);
	EXPECT_EQ(0, test_stat((void *)test_path(self->env.fs, "dir0/f1")));
}

/*
 * A number of pages that is the default one, too: whoever says it may have longer names,
 * where fuse knows that.
 */
TEST(max_pages_as_without)
{
	char path[2048], *name;
	struct rawfs_config config;
	struct env env;
	uint64_t flags;
	int err;

	rawfs_defaults(&config);
	set_flags(&config, FUSE_MAX_PAGES);
	config.init.max_pages = 32;
	ASSERT_EQ(0, env_up(&env, &config));
	name = stpcpy(path, test_path(env.fs, ""));
	memset(name, 'n', 1500);
	name[1500] = 0;
	err = test_stat(path);
	EXPECT_TRUE(err == -ENOENT || err == -ENAMETOOLONG);
	flags = get(&env, FUSECR_CONN_FLAGS);
	EXPECT_EQ(err == -ENOENT, !!(flags & FUSE_MAX_PAGES));
	EXPECT_EQ(32, get(&env, FUSECR_CONN_MAX_PAGES));
	EXPECT_EQ(0, env_down(&env));
}

/* --- limits of INIT ------------------------------------------------------- */

FIXTURE(limit) {
	struct env env;
};

FIXTURE_VARIANT(limit) {
	struct fuse_init_out init;
	uint16_t attr;
	uint64_t value;
};

#define LIMIT(name, _attr, _value, ...)					\
	FIXTURE_VARIANT_ADD(limit, name) {				\
		.init = { .minor = 31, .max_readahead = 131072,		\
			  .max_write = 131072, .time_gran = 1,		\
			  __VA_ARGS__ },				\
		.attr = FUSECR_CONN_##_attr,				\
		.value = _value,					\
	}

LIMIT(minor_31, MINOR, 31);
LIMIT(minor_23, MINOR, 23, .minor = 23);
LIMIT(minor_38, MINOR, 38, .minor = 38);
LIMIT(minor_99, MINOR, 99, .minor = 99);
LIMIT(max_write_4096, MAX_WRITE, 4096, .max_write = 4096);
LIMIT(max_write_65536, MAX_WRITE, 65536, .max_write = 65536);
LIMIT(max_write_least, MAX_WRITE, 4096, .max_write = 1);
LIMIT(max_write_1m, MAX_WRITE, 1 << 20, .max_write = 1 << 20);
LIMIT(max_pages_1, MAX_PAGES, 1, .flags = FUSE_MAX_PAGES, .max_pages = 1);
LIMIT(max_pages_200, MAX_PAGES, 200, .flags = FUSE_MAX_PAGES,
      .max_pages = 200);
LIMIT(max_pages_unasked, MAX_PAGES, 32, .max_pages = 200);
LIMIT(max_background_3, MAX_BACKGROUND, 3, .max_background = 3);
LIMIT(max_background_1000, MAX_BACKGROUND, 1000, .max_background = 1000);
LIMIT(max_background_default, MAX_BACKGROUND, 12, .max_background = 0);
LIMIT(congestion_2, CONGESTION_THRESHOLD, 2, .congestion_threshold = 2);
LIMIT(congestion_500, CONGESTION_THRESHOLD, 500, .congestion_threshold = 500);
LIMIT(congestion_default, CONGESTION_THRESHOLD, 9, .congestion_threshold = 0);
LIMIT(time_gran_1, TIME_GRAN, 1);
LIMIT(time_gran_1000, TIME_GRAN, 1000, .time_gran = 1000);
LIMIT(time_gran_1s, TIME_GRAN, 1000000000, .time_gran = 1000000000);
LIMIT(readahead_0, MAX_READAHEAD, 0, .max_readahead = 0);
LIMIT(readahead_4096, MAX_READAHEAD, 4096, .max_readahead = 4096);
LIMIT(readahead_65536, MAX_READAHEAD, 65536, .max_readahead = 65536);
LIMIT(readahead_uneven, MAX_READAHEAD, 8192, .max_readahead = 12287);
LIMIT(no_map_alignment, MAP_ALIGNMENT, 0, .map_alignment = 12);

FIXTURE_SETUP(limit)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	config.init = variant->init;
	ASSERT_EQ(0, env_up(&self->env, &config));
}

FIXTURE_TEARDOWN(limit)
{
	EXPECT_EQ(0, env_down(&self->env));
}

TEST_F(limit, is_told)
{
	EXPECT_EQ(variant->value, get(&self->env, variant->attr));
}

/* As much as an answer to INIT can say: here 4 GiB are none. */
TEST_F(no_flag, read_ahead_beyond_32_bits)
{
	const uint32_t page = sysconf(_SC_PAGESIZE);
	char path[128];

	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb",
		 major(self->env.fs->dev), minor(self->env.fs->dev));
	ASSERT_EQ(0, test_write(path, "4194304"));
	EXPECT_EQ(UINT32_MAX - (page - 1), get(&self->env, FUSECR_CONN_MAX_READAHEAD));
	ASSERT_EQ(0, test_write(path, "1024"));
	EXPECT_EQ(1 << 20, get(&self->env, FUSECR_CONN_MAX_READAHEAD));
}

/* --- what ENOSYS taught --------------------------------------------------- */

FIXTURE(no) {
	struct env env;
};

FIXTURE_VARIANT(no) {
	uint32_t opcode;
	uint32_t bit;
	void (*try)(const struct rawfs *fs);
	unsigned int minor;	/* since which fuse asks at all */
};

static void try_open(const struct rawfs *fs)
{
	close(open(test_path(fs, "f1"), O_RDONLY));
}

static void try_opendir(const struct rawfs *fs)
{
	close(open(test_path(fs, "dir0"), O_RDONLY | O_DIRECTORY));
}

static void try_fsync(const struct rawfs *fs)
{
	int fd = open(test_path(fs, "f1"), O_RDWR);

	fsync(fd);
	close(fd);
}

static void try_fsyncdir(const struct rawfs *fs)
{
	int fd = open(test_path(fs, "dir0"), O_RDONLY | O_DIRECTORY);

	fsync(fd);
	close(fd);
}

static void try_setxattr(const struct rawfs *fs)
{
	setxattr(test_path(fs, "f1"), "user.test", "1", 1, 0);
}

static void try_getxattr(const struct rawfs *fs)
{
	getxattr(test_path(fs, "f1"), "user.raw", NULL, 0);
}

static void try_listxattr(const struct rawfs *fs)
{
	listxattr(test_path(fs, "f1"), NULL, 0);
}

static void try_removexattr(const struct rawfs *fs)
{
	removexattr(test_path(fs, "f1"), "user.test");
}

static void try_access(const struct rawfs *fs)
{
	/* cppcheck-suppress ignoredReturnValue ; the request is what counts */
	access(test_path(fs, "f1"), R_OK);
}

static void try_create(const struct rawfs *fs)
{
	close(open(test_path(fs, "new"), O_CREAT | O_RDWR, 0600));
}

static void try_poll(const struct rawfs *fs)
{
	struct pollfd fd = { .events = POLLIN };

	fd.fd = open(test_path(fs, "f1"), O_RDONLY);
	poll(&fd, 1, 0);
	close(fd.fd);
}

static void try_fallocate(const struct rawfs *fs)
{
	int fd = open(test_path(fs, "f1"), O_RDWR);

	fallocate(fd, 0, 0, 100);
	close(fd);
}

static void try_rename2(const struct rawfs *fs)
{
	renameat2(AT_FDCWD, test_path(fs, "f1"), AT_FDCWD,
		  test_path(fs, "f99"), RENAME_NOREPLACE);
}

static void try_lseek(const struct rawfs *fs)
{
	int fd = open(test_path(fs, "f1"), O_RDONLY);

	lseek(fd, 0, SEEK_DATA);
	close(fd);
}

static void try_copy_file_range(const struct rawfs *fs)
{
	int in = open(test_path(fs, "f1"), O_RDONLY);
	int out = open(test_path(fs, "f2"), O_WRONLY);

	copy_file_range(in, NULL, out, NULL, 100, 0);
	close(in);
	close(out);
}

static void try_tmpfile(const struct rawfs *fs)
{
	close(open(test_path(fs, "dir0"), O_TMPFILE | O_RDWR, 0600));
}

static void try_statx(const struct rawfs *fs)
{
	struct statx st;

	statx(AT_FDCWD, test_path(fs, "f1"), 0, STATX_BTIME, &st);
}

static void nothing(int sig)
{
}

static int stat_interruptible(void *path)
{
	signal(SIGUSR1, nothing);
	return test_stat(path);
}

static void try_interrupt(const struct rawfs *cfs)
{
	struct rawfs *fs = (struct rawfs *)cfs;
	struct test_client client;

	rawfs_hold(fs, FUSE_LOOKUP);
	test_client_start(&client, stat_interruptible,
			  (void *)test_path(fs, "f1"));
	if (rawfs_wait_held(fs, FUSE_LOOKUP, 1) == 0) {
		kill(client.pid, SIGUSR1);
		rawfs_wait_op(fs, FUSE_INTERRUPT, 1);
	}
	rawfs_release(fs, FUSE_LOOKUP);
	test_client_wait(&client);
}

#define NO(name, _try, ...)						\
	FIXTURE_VARIANT_ADD(no, name) {					\
		.opcode = FUSE_##name,					\
		.bit = FUSECR_NO_##name,				\
		.try = _try,						\
		__VA_ARGS__						\
	}

NO(OPEN, try_open);
NO(OPENDIR, try_opendir);
NO(FSYNC, try_fsync);
NO(FSYNCDIR, try_fsyncdir);
NO(FLUSH, try_open);
NO(SETXATTR, try_setxattr);
NO(GETXATTR, try_getxattr);
NO(LISTXATTR, try_listxattr);
NO(REMOVEXATTR, try_removexattr);
NO(ACCESS, try_access);
NO(CREATE, try_create);
NO(INTERRUPT, try_interrupt);
NO(POLL, try_poll);
NO(FALLOCATE, try_fallocate);
NO(RENAME2, try_rename2);
NO(LSEEK, try_lseek);
NO(COPY_FILE_RANGE, try_copy_file_range);
NO(TMPFILE, try_tmpfile, .minor = 37);
NO(STATX, try_statx, .minor = 39);

FIXTURE_SETUP(no)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	config.init.flags = FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS;
	config.enosys = 1ULL << variant->opcode;
	if (variant->opcode == FUSE_COPY_FILE_RANGE)
		config.enosys |= 1ULL << RAWFS_COPY_FILE_RANGE_64;
	ASSERT_EQ(0, env_up(&self->env, &config));
}

FIXTURE_TEARDOWN(no)
{
	EXPECT_EQ(0, env_down(&self->env));
}

TEST_F(no, is_learned)
{
	uint32_t no;

	if (self->env.fs->init_in.minor < variant->minor)
		SKIP(return, "this kernel does not ask");
	EXPECT_EQ(FUSECR_NO_SYNCFS, get(&self->env, FUSECR_CONN_NO));
	variant->try(self->env.fs);
	no = get(&self->env, FUSECR_CONN_NO);
	/* Since 6.18 the one with 64 bits is tried first. */
	if (variant->opcode == FUSE_COPY_FILE_RANGE)
		no &= ~FUSECR_NO_COPY_FILE_RANGE_64;
	EXPECT_EQ(FUSECR_NO_SYNCFS | variant->bit, no);
	EXPECT_LT(0, self->env.fs->nr_op[variant->opcode]);
}

/* The same with a server that can. */
TEST_F(no, is_not_learned_without_cause)
{
	self->env.fs->config.enosys = 0;
	self->env.fs->config.ignore_interrupts = true;
	variant->try(self->env.fs);
	EXPECT_EQ(FUSECR_NO_SYNCFS, get(&self->env, FUSECR_CONN_NO));
}

/* Not learned, but asked for. */
TEST_F(no_flag, no_locks)
{
	EXPECT_EQ(FUSECR_NO_SYNCFS | FUSECR_NO_LOCK | FUSECR_NO_FLOCK,
		  get(&self->env, FUSECR_CONN_NO));
}

TEST_HARNESS_MAIN
