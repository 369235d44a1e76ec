// SPDX-License-Identifier: GPL-2.0
/*
 * Who else reads the kernel's state sees the same: BPF iterators, /proc and
 * fusectl.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "kselftest_harness.h"
#include "outside.h"
#include "test_util.h"

#define PAGE	4096
#define CLIENTS	2

FIXTURE(outside) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	struct tnl_list told;
	struct outside_list seen;
	struct test_client clients[CLIENTS];
	int ready[2];
};

/* Ways to have something open, and where in it. */
static const struct {
	const char *name;
	int flags;
	off_t at;
} opens[] = {
	{ "f1", O_RDONLY, 0 },
	{ "f1", O_RDWR | O_APPEND, 17 },
	{ "f2", O_WRONLY | O_SYNC | O_CLOEXEC, 4711 },
	{ "dir1/f2", O_RDWR | O_NOATIME | O_NONBLOCK, 1 << 20 },
	{ "dir0", O_RDONLY | O_DIRECTORY, 0 },
	{ "", O_RDONLY | O_DIRECTORY, 0 },
	{ "f3", O_PATH, 0 },
	{ "dir1", O_PATH | O_DIRECTORY, 0 },
};

static int use_mount(struct rawfs *fs)
{
	const void *first, *second;
	int fd = -1, i;

	for (i = 0; i < ARRAY_SIZE(opens); i++) {
		fd = open(test_path(fs, opens[i].name), opens[i].flags);
		if (fd < 0 || (opens[i].at && lseek(fd, opens[i].at, SEEK_SET) < 0))
			return -errno;
	}
	fd = open(test_path(fs, "f4"), O_RDWR | O_CLOEXEC);
	if (fd < 0 || dup(fd) < 0)
		return -errno;
	/* The process's end takes them away. */
	first = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, PAGE);
	second = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return first == MAP_FAILED || second == MAP_FAILED || close(fd) ? -errno : 0;
}

static int client(void *arg)
{
	FIXTURE_DATA(outside) *self = arg;
	int err = use_mount(self->fs);

	if (write(self->ready[1], &err, sizeof(err)) != sizeof(err))
		return -errno;
	pause();
	return 0;
}

FIXTURE_SETUP(outside)
{
	struct rawfs_config config;
	int err, i;

	rawfs_defaults(&config);
	config.open_flags = FOPEN_KEEP_CACHE;
	config.init.max_background = 9;
	config.init.congestion_threshold = 5;
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
	ASSERT_EQ(0, pipe2(self->ready, O_CLOEXEC));
	for (i = 0; i < CLIENTS; i++) {
		ASSERT_EQ(0, test_client_start(&self->clients[i], client, self));
		ASSERT_EQ(sizeof(err), read(self->ready[0], &err, sizeof(err)));
		ASSERT_EQ(0, err);
	}
}

FIXTURE_TEARDOWN(outside)
{
	int i;

	outside_free(&self->seen);
	tnl_free(&self->told);
	for (i = 0; i < CLIENTS; i++)
		test_client_kill(&self->clients[i]);
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

static int ask_files(FIXTURE_DATA(outside) *self)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_FILE, .conn_id = self->id };

	return tnl_dump(&self->nl, &q, &self->told);
}

static size_t count(FIXTURE_DATA(outside) *self, uint32_t use)
{
	size_t i, n = 0;

	for (i = 0; i < self->told.n; i++)
		n += tnl_u32(&self->told.v[i], FUSECR_FILE_USE) == use;
	return n;
}

static const struct tnl_obj *find(FIXTURE_DATA(outside) *self, uint32_t use,
				  const struct outside_file *seen)
{
	const struct tnl_obj *obj;
	size_t i;

	for (i = 0; i < self->told.n; i++) {
		obj = &self->told.v[i];
		if (tnl_u32(obj, FUSECR_FILE_USE) == use &&
		    tnl_u32(obj, FUSECR_FILE_PID) == seen->pid &&
		    tnl_u64(obj, FUSECR_FILE_NUMBER) == seen->number)
			return obj;
	}
	return NULL;
}

static bool is_ours(FIXTURE_DATA(outside) *self, const struct outside_file *seen)
{
	/* include/linux/kdev_t.h */
	return makedev(seen->dev >> 20, seen->dev & 0xfffff) == self->fs->dev;
}

static void compare(struct __test_metadata *_metadata,
		    const struct outside_file *seen, const struct tnl_obj *told)
{
	const bool opened = seen->nodeid;

	EXPECT_EQ(seen->inode_nodeid, tnl_u64(told, FUSECR_FILE_NODEID));
	EXPECT_EQ((uint64_t)seen->pos, tnl_u64(told, FUSECR_FILE_POS));
	EXPECT_EQ(seen->flags, tnl_u32(told, FUSECR_FILE_FILE_FLAGS));
	EXPECT_EQ(opened, tnl_has(told, FUSECR_FILE_FH));
	EXPECT_EQ(!opened, !!(tnl_u32(told, FUSECR_FILE_FLAGS) & FUSECR_FF_PATH));
	if (!opened)
		return;
	EXPECT_EQ(seen->nodeid, tnl_u64(told, FUSECR_FILE_NODEID));
	EXPECT_EQ(seen->fh, tnl_u64(told, FUSECR_FILE_FH));
	EXPECT_EQ(seen->kh, tnl_u64(told, FUSECR_FILE_KH));
	EXPECT_EQ(seen->open_flags, tnl_u32(told, FUSECR_FILE_OPEN_FLAGS));
}

TEST_F(outside, iterated_files)
{
	const struct tnl_obj *told;
	size_t i, n = 0;

	ASSERT_EQ(0, ask_files(self));
	ASSERT_EQ(0, outside_files(&self->seen));
	for (i = 0; i < self->seen.n; i++) {
		if (!is_ours(self, &self->seen.v[i]))
			continue;
		n++;
		told = find(self, FUSECR_FILE_FD, &self->seen.v[i]);
		ASSERT_NE(NULL, told)
			TH_LOG("descriptor %llu", self->seen.v[i].number);
		compare(_metadata, &self->seen.v[i], told);
	}
	/* And a copy, whose original is closed. */
	EXPECT_EQ(CLIENTS * (ARRAY_SIZE(opens) + 1), n);
	EXPECT_EQ(n, count(self, FUSECR_FILE_FD));
}

/* Those of one open file that lie side by side are told as one. */
static void join(struct outside_list *list)
{
	struct outside_file *v = list->v;
	size_t i, n = 0;

	for (i = 0; i < list->n; i++)
		if (n && v[n - 1].pid == v[i].pid && v[n - 1].kh == v[i].kh &&
		    v[n - 1].end == v[i].number)
			v[n - 1].end = v[i].end;
		else
			v[n++] = v[i];
	list->n = n;
}

TEST_F(outside, iterated_mappings)
{
	const struct tnl_obj *told;
	size_t i, n = 0;

	ASSERT_EQ(0, ask_files(self));
	ASSERT_EQ(0, outside_mappings(&self->seen));
	join(&self->seen);
	for (i = 0; i < self->seen.n; i++) {
		if (!is_ours(self, &self->seen.v[i]))
			continue;
		n++;
		told = find(self, FUSECR_FILE_MAP, &self->seen.v[i]);
		ASSERT_NE(NULL, told)
			TH_LOG("mapping at %llx", self->seen.v[i].number);
		EXPECT_EQ(self->seen.v[i].end, tnl_u64(told, FUSECR_FILE_END));
		compare(_metadata, &self->seen.v[i], told);
	}
	EXPECT_LE(CLIENTS, n);
	EXPECT_EQ(n, count(self, FUSECR_FILE_MAP));
}

TEST_F(outside, iterated_inodes)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_INODE, .conn_id = self->id };
	const struct tnl_obj *told;
	size_t i;

	ASSERT_EQ(0, tnl_dump(&self->nl, &q, &self->told));
	ASSERT_EQ(0, outside_files(&self->seen));
	for (i = 0; i < self->seen.n; i++) {
		if (!is_ours(self, &self->seen.v[i]))
			continue;
		told = tnl_find64(&self->told, FUSECR_INODE_NODEID,
				  self->seen.v[i].inode_nodeid);
		ASSERT_NE(NULL, told);
		EXPECT_EQ(self->seen.v[i].nlookup,
			  tnl_u64(told, FUSECR_INODE_NLOOKUP));
	}
}

/* A number of /proc/PID/fdinfo/FD; all ones when it is not there. */
static uint64_t fdinfo(const struct outside_file *seen, const char *what, int base)
{
	char path[64], line[256];
	size_t len = strlen(what);
	uint64_t value = ~0ULL;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/fdinfo/%llu", seen->pid, seen->number);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, what, len))
			value = strtoull(line + len, NULL, base);
	if (f)
		fclose(f);
	return value;
}

TEST_F(outside, fdinfo)
{
	const struct tnl_obj *told;
	struct outside_file at;
	size_t i, n = 0;

	ASSERT_EQ(0, ask_files(self));
	for (i = 0; i < self->told.n; i++) {
		told = &self->told.v[i];
		if (tnl_u32(told, FUSECR_FILE_USE) != FUSECR_FILE_FD)
			continue;
		n++;
		at.pid = tnl_u32(told, FUSECR_FILE_PID);
		at.number = tnl_u64(told, FUSECR_FILE_NUMBER);
		EXPECT_EQ(fdinfo(&at, "pos:", 10), tnl_u64(told, FUSECR_FILE_POS));
		/* There, but not with the file: of the descriptor. */
		EXPECT_EQ(fdinfo(&at, "flags:", 8) & ~O_CLOEXEC,
			  tnl_u32(told, FUSECR_FILE_FILE_FLAGS) & ~O_CLOEXEC);
		EXPECT_EQ(fdinfo(&at, "mnt_id:", 10),
			  tnl_u32(told, FUSECR_FILE_MNT_ID));
	}
	EXPECT_EQ(CLIENTS * (ARRAY_SIZE(opens) + 1), n);
}

TEST_F(outside, fusectl)
{
	ASSERT_EQ(0, tnl_conn(&self->nl, self->id, &self->told));
	ASSERT_EQ(1, self->told.n);
	EXPECT_EQ(test_fusectl_number(self->fs, "max_background"),
		  tnl_u32(&self->told.v[0], FUSECR_CONN_MAX_BACKGROUND));
	EXPECT_EQ(test_fusectl_number(self->fs, "congestion_threshold"),
		  tnl_u32(&self->told.v[0], FUSECR_CONN_CONGESTION_THRESHOLD));
	EXPECT_EQ(test_fusectl_number(self->fs, "waiting"),
		  tnl_u32(&self->told.v[0], FUSECR_CONN_NUM_WAITING));
	EXPECT_EQ(9, tnl_u32(&self->told.v[0], FUSECR_CONN_MAX_BACKGROUND));
}

TEST_HARNESS_MAIN
