// SPDX-License-Identifier: GPL-2.0
/*
 * Allocations and copies fail, one in turn, in the client whose kept request is to
 * be claimed by the system call that starts over, and in the server that answers it.
 * What is asked: the server sees it once, whatever the client is told, and in the end
 * nothing is kept.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <linux/fs.h>

#define KEEP_FAULTS	true
#define KEEP_SPARE	2000
#include "../handle/keep_fixture.h"
#include "fault.h"

/* In memory that is shared with the client. */
struct job {
	const char *path;
	int (*call)(const char *path);
	unsigned int left;	/* of the faults that it was given */
};

static int work(void *arg)
{
	struct job *job = arg;
	int fd = open(FAIL_NTH, O_RDWR | O_CLOEXEC), result;
	char text[16] = "";

	if (fd < 0)
		return -ENOTSUP;
	result = job->call(job->path);
	/* When that fails, the call had less. */
	job->left = pread(fd, text, sizeof(text) - 1, 0) > 0 ? strtoul(text, NULL, 10) : 1;
	fail(fd, 0);
	return result;
}

static int make_dir(const char *name)
{
	return mkdir(name, 0700) ? -errno : 0;
}

static int make_file(const char *name)
{
	int fd = open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : 0;
}

static int open_file(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : 0;
}

static int look(const char *name)
{
	struct stat st;

	return stat(name, &st) ? -errno : 0;
}

static int append(const char *name)
{
	int fd = open(name, O_WRONLY | O_APPEND | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, "abc", 3) == 3 ? 0 : -errno;
}

static int read_it(const char *name)
{
	int fd = open(name, O_RDONLY | O_DIRECT | O_CLOEXEC);
	char c;

	if (fd < 0)
		return -errno;
	return read(fd, &c, 1) == 1 ? 0 : -errno;
}

static int lock_it(const char *name)
{
	struct flock lock = { .l_type = F_WRLCK, .l_len = 10 };
	int fd = open(name, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return fcntl(fd, F_SETLK, &lock) ? -errno : 0;
}

static void set_fail(pid_t pid, unsigned int n)
{
	char name[64], text[16];

	snprintf(name, sizeof(name), "/proc/%d/fail-nth", pid);
	snprintf(text, sizeof(text), "%u", n);
	if (test_write(name, text))
		abort();
}

static unsigned int faults_left(pid_t pid)
{
	unsigned int n;
	char name[64];
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/fail-nth", pid);
	f = fopen(name, "r");
	if (!f || fscanf(f, "%u", &n) != 1)
		abort();
	fclose(f);
	return n;
}

/* What the kernel itself makes of a fault: EIO of an answer that it could not read. */
static bool expected(int result)
{
	return !result || is_fault(result) || result == -EIO || result == -ENOLCK;
}

struct how {
	uint32_t opcode;
	int (*call)(const char *path);
	bool makes;		/* a name each time */
	bool in_server;		/* faults are its */
	bool opens;		/* the gate, before it is answered */
};

/* One round; the number of faults that are left over, or -errno. */
static int round_of(FIXTURE_DATA(call) *self, const struct how *how, struct job *job,
		    unsigned int n, int *result)
{
	uint64_t asked = self->fs->nr_op[how->opcode];
	int err, left;
	pid_t pid;

	err = keep_one(self, how->opcode, true, work, job);
	if (err)
		return err;
	pid = how->in_server ? self->fs->pid : self->clients[0].pid;
	set_fail(pid, n);
	if (how->opens)
		th_gate_open(self->fd);
	rawfs_release(self->fs, 0);
	if (!how->opens)
		th_gate_open(self->fd);
	*result = test_client_wait(&self->clients[0]);
	left = job->left;
	if (!kept_is(self->fd, 0))
		return -EBUSY;
	if (!test_let_go(self->fs))
		return -EMFILE;
	if (how->in_server) {
		left = faults_left(pid);
		set_fail(pid, 0);
	}
	/* A lock that nobody has asked for in the end is let go of. */
	asked += 1 + (how->opcode == FUSE_SETLK && *result);
	return self->fs->nr_op[how->opcode] == asked ? left : -EPROTO;
}

/* What a person needs who was not there: the last requests, and what is open. */
static void log_server(struct __test_metadata *_metadata, struct rawfs *fs)
{
	size_t len;
	char *log = rawfs_log_text(fs, &len), *stats = rawfs_stats_text(fs, &len);

	if (log && stats)
		TH_LOG("%s\n%s", strlen(log) > 4000 ? log + strlen(log) - 4000 : log, stats);
	free(log);
	free(stats);
}

static void each_fault(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self,
		       struct how how)
{
	unsigned int n = 0, failed = 0;
	struct job *job;
	char name[32];
	int left, result, fd = open(FAIL_NTH, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		SKIP(return, "this kernel cannot let allocations fail");
	close(fd);
	ASSERT_EQ(0, set_up_faults());
	job = mmap(NULL, sizeof(*job), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		   -1, 0);
	ASSERT_NE(MAP_FAILED, job);
	job->call = how.call;
	do {
		n++;
		snprintf(name, sizeof(name), how.makes ? "dir1/new%u" : "f%u",
			 how.makes ? n : n % 4);
		job->path = test_path(self->fs, name);
		left = round_of(self, &how, job, n, &result);
		ASSERT_LE(0, left) {
			TH_LOG("fault %u: %d, the client is told %d", n, left, result);
			log_server(_metadata, self->fs);
		}
		ASSERT_TRUE(expected(result)) {
			TH_LOG("fault %u: the client is told %d", n, result);
		}
		failed += !!result;
	} while (!left && n < MANY);
	TH_LOG("%u faults, %u calls failed", n - 1, failed);
	/* There were some, of the kernel's own if not of the module's. */
	EXPECT_LT(1, n);
	EXPECT_EQ(0, self->fs->duplicates);
	EXPECT_TRUE(test_forgotten(self->fs));
	munmap(job, sizeof(*job));
}

/* The answer is there when it is asked for again; it is not; the server meets faults. */
#define EACH(name, ...)								\
	TEST_F_TIMEOUT(call, name##_answered, 900)				\
	{									\
		each_fault(_metadata, self, (struct how){ __VA_ARGS__ });	\
	}									\
	TEST_F_TIMEOUT(call, name##_asked_again, 900)				\
	{									\
		each_fault(_metadata, self,					\
			   (struct how){ __VA_ARGS__, .opens = true });		\
	}									\
	TEST_F_TIMEOUT(call, name##_in_server, 900)				\
	{									\
		each_fault(_metadata, self,					\
			   (struct how){ __VA_ARGS__, .in_server = true });	\
	}

EACH(mkdir, .opcode = FUSE_MKDIR, .call = make_dir, .makes = true)
EACH(create, .opcode = FUSE_CREATE, .call = make_file, .makes = true)
EACH(open, .opcode = FUSE_OPEN, .call = open_file)
EACH(lookup, .opcode = FUSE_LOOKUP, .call = look)
EACH(append, .opcode = FUSE_WRITE, .call = append)
EACH(read, .opcode = FUSE_READ, .call = read_it)
EACH(lock, .opcode = FUSE_SETLK, .call = lock_it)

TEST_HARNESS_MAIN
