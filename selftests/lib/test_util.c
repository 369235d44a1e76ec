// SPDX-License-Identifier: GPL-2.0
/* What tests of the module have in common. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test_util.h"

#define FUSECTL	"/sys/fs/fuse/connections"
#define SLEEP_MS	20000

int test_own_mounts(void)
{
	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	return 0;
}

int test_up(const struct rawfs_config *config, struct rawfs **fs, struct tnl *nl,
	    uint64_t *id)
{
	int err = test_own_mounts();

	if (err)
		return err;
	*fs = rawfs_up(config, false);
	if (!*fs)
		return -EIO;
	err = rawfs_wait_init(*fs) ?: tnl_open(nl);
	if (err)
		return err;
	*id = tnl_conn_id(nl, (*fs)->dev);
	return *id ? 0 : -ENOENT;
}

int test_client_start(struct test_client *client, int (*work)(void *arg),
		      void *arg)
{
	pid_t parent = getpid();
	int pipes[2], result;

	if (pipe2(pipes, O_CLOEXEC))
		return -errno;
	client->pid = fork();
	if (client->pid < 0)
		return -errno;
	if (!client->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		close(pipes[0]);
		result = work(arg);
		/* cppcheck-suppress invalidFunctionArgBool ; 0 or 1 is meant */
		_exit(write(pipes[1], &result, sizeof(result)) !=
		      sizeof(result));
	}
	close(pipes[1]);
	client->result = pipes[0];
	return 0;
}

int test_client_wait(struct test_client *client)
{
	int result;

	if (read(client->result, &result, sizeof(result)) != sizeof(result))
		result = -ECHILD;
	close(client->result);
	waitpid(client->pid, NULL, 0);
	client->pid = 0;
	return result;
}

bool test_client_busy(const struct test_client *client)
{
	struct pollfd fd = { .fd = client->result, .events = POLLIN };

	return poll(&fd, 1, 0) == 0;
}

void test_client_kill(struct test_client *client)
{
	if (client->pid <= 0)
		return;
	kill(client->pid, SIGKILL);
	close(client->result);
	waitpid(client->pid, NULL, 0);
	client->pid = 0;
}

bool test_sleeps_in(pid_t pid, int nr)
{
	char path[64], text[128];
	ssize_t n;
	int fd, i;

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	for (i = 0; i < SLEEP_MS; i++) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return false;
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
		text[n > 0 ? n : 0] = '\0';
		/* "running" otherwise. */
		if (*text >= '0' && *text <= '9' && atoi(text) == nr)
			return true;
		test_nap(1);
	}
	return false;
}

bool test_waits_in(pid_t pid, const char *function, const char *but)
{
	char path[64], text[4096];
	ssize_t n;
	int fd, i;

	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	for (i = 0; i < SLEEP_MS; i++) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
		text[n > 0 ? n : 0] = '\0';
		if (strstr(text, function) && !(but && strstr(text, but)))
			return true;
		test_nap(1);
	}
	fprintf(stderr, "# process %d: %s\n", pid, text);
	return false;
}

const char *test_path(const struct rawfs *fs, const char *name)
{
	static char paths[8][512];
	static unsigned int n;
	char *path = paths[n++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", fs->dir, name);
	return path;
}

int test_stat(void *path)
{
	struct stat st;

	return stat(path, &st) ? -errno : 0;
}

int test_open(void *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int test_mkdir(void *path)
{
	return mkdir(path, 0755) ? -errno : 0;
}

int test_drop(uid_t uid, uint64_t capabilities)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = {
		{ .effective = capabilities, .permitted = capabilities },
		{ .effective = capabilities >> 32,
		  .permitted = capabilities >> 32 },
	};

	if (prctl(PR_SET_KEEPCAPS, 1) || setgroups(0, NULL) ||
	    setresgid(uid, uid, uid) || setresuid(uid, uid, uid) ||
	    syscall(SYS_capset, &header, data))
		return -errno;
	return 0;
}

void test_nap(unsigned int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

int test_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;
	int err;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	err = n < 0 ? -errno : 0;
	close(fd);
	return err;
}

int test_drop_caches(void)
{
	/* 4: without a line in the kernel's log. */
	return test_write("/proc/sys/vm/drop_caches", "4") ?:
		test_write("/proc/sys/vm/drop_caches", "2");
}

/* Mounts fusectl if it is not. */
static int fusectl_path(const struct rawfs *fs, const char *file, char *path, size_t size)
{
	if (access(FUSECTL "/.", F_OK) ||
	    (mount("none", FUSECTL, "fusectl", 0, NULL) && errno != EBUSY))
		return -errno;
	snprintf(path, size, FUSECTL "/%u/%s", minor(fs->dev), file);
	return 0;
}

int test_fusectl(const struct rawfs *fs, const char *file)
{
	char path[128];

	return fusectl_path(fs, file, path, sizeof(path)) ?: test_write(path, "1");
}

int test_fusectl_number(const struct rawfs *fs, const char *file)
{
	int number = -1;
	char path[128];
	FILE *f;

	if (fusectl_path(fs, file, path, sizeof(path)))
		return -1;
	f = fopen(path, "r");
	if (!f)
		return -1;
	if (fscanf(f, "%d", &number) != 1)
		number = -1;
	fclose(f);
	return number;
}

int test_keep_dirty(const struct rawfs *fs)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/min_ratio",
		 major(fs->dev), minor(fs->dev));
	return test_write(path, "1");
}

static bool late(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - start->tv_sec > 10;
}

static bool is_first_chunk(const struct tnl_obj *obj)
{
	return !tnl_has(obj, FUSECR_REQ_IN_OFFSET) ||
		!tnl_u32(obj, FUSECR_REQ_IN_OFFSET);
}

int test_wait_requests(struct tnl *nl, uint64_t conn_id, uint32_t state,
		       unsigned int count, struct tnl_list *list)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_REQ, .conn_id = conn_id };
	struct timespec start;
	unsigned int n;
	size_t i;
	int err;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (;;) {
		err = tnl_dump(nl, &q, list);
		if (err)
			return err;
		for (n = i = 0; i < list->n; i++)
			if (tnl_u32(&list->v[i], FUSECR_REQ_STATE) == state &&
			    is_first_chunk(&list->v[i]))
				n++;
		if (n >= count)
			return 0;
		tnl_free(list);
		if (late(&start))
			return -ETIMEDOUT;
		sched_yield();
	}
}

int test_wait_state(struct tnl *nl, uint64_t conn_id, uint32_t mask,
		    uint32_t value)
{
	struct timespec start;
	struct tnl_list list;
	uint32_t state;
	int err;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (;;) {
		err = tnl_conn(nl, conn_id, &list);
		state = list.n ? tnl_u32(&list.v[0], FUSECR_CONN_STATE) : 0;
		tnl_free(&list);
		if (err)
			return err;
		if ((state & mask) == value)
			return 0;
		if (late(&start))
			return -ETIMEDOUT;
		sched_yield();
	}
}

int test_send(int sock, int fd, int count)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(TEST_SEND_MAX * sizeof(int))];
	} control = { .header = {
		.cmsg_len = CMSG_LEN(count * sizeof(int)),
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	} };
	struct iovec byte = { "", 1 };
	struct msghdr msg = {
		.msg_iov = &byte,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(count * sizeof(int)),
	};

	for (int i = 0; i < count; i++)
		memcpy(CMSG_DATA(&control.header) + i * sizeof(fd), &fd, sizeof(fd));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -errno;
}

bool test_has_passthrough(void)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_INFO };
	struct tnl_list list = { 0 };
	uint32_t features = 0;
	struct tnl nl;

	if (tnl_open(&nl))
		return false;
	if (!tnl_do(&nl, &q, &list) && list.n)
		features = tnl_u32(&list.v[0], FUSECR_INFO_FEATURES);
	tnl_free(&list);
	tnl_close(&nl);
	return features & FUSECR_FEATURE_PASSTHROUGH;
}

#define GIVE_BACK_MS	60000

bool test_let_go(const struct rawfs *fs)
{
	unsigned int i, n, used = 1;

	for (i = 0; i < GIVE_BACK_MS && used; i++) {
		used = 0;
		for (n = 0; n < RAWFS_MAX_HANDLES; n++)
			used += fs->handles[n].used && !fs->handles[n].releases;
		for (n = 0; n < RAWFS_MAX_LOCKS; n++)
			used += fs->locks[n].used;
		if (used)
			test_nap(1);
	}
	return !used;
}

bool test_forgotten(const struct rawfs *fs)
{
	unsigned int i, n, used = 1;

	for (i = 0; i < GIVE_BACK_MS / 100 && used; i++) {
		test_drop_caches();
		used = 0;
		for (n = 1; n < fs->nr_nodes; n++)
			used += !!fs->nodes[n].nlookup;
		if (used)
			test_nap(100);
	}
	return !used;
}
