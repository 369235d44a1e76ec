// SPDX-License-Identifier: GPL-2.0
/*
 * Allocations and copies from or to user space fail, in turn, while the module is
 * loaded: it is loaded or it is not, with an error that says so.
 */
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "kselftest_harness.h"
#include "fault.h"
#include "test_handle.h"
#include "test_util.h"

#define EACH	150	/* from either end, one by one */
#define SAMPLES	40	/* of those in between, which read BTF page by page */
#define AHEAD	60	/* of where init was seen to run, to miss nothing of it */

FIXTURE(module) {
	char path[32];
	int fail;
	bool away;
};

static int load(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;

	close(fd);
	return err;
}

/*
 * How many there are in a load, and roughly how many before the module's init is
 * called: those are the loader's own, which warns of some (kernel/jump_label.c).
 */
static int count_load(const char *path, unsigned int *first, unsigned int *total)
{
	char name[64], text[16];
	int pipe_fd[2], fd, status, n;
	pid_t pid;

	if (pipe(pipe_fd))
		return -errno;
	pid = fork();
	if (!pid) {
		fd = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
		fail(fd, MANY);
		n = load(path);
		*total = ends(fd, MANY);
		if (write(pipe_fd[1], total, sizeof(*total)) < 0)
			n = -errno;
		_exit(-n);
	}
	snprintf(name, sizeof(name), "/proc/%d/fail-nth", pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	while (access("/sys/module/fusecr/initstate", F_OK) && !waitpid(pid, &status, WNOHANG))
		;
	n = pread(fd, text, sizeof(text) - 1, 0);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	*first = MANY - strtoul(text, NULL, 10) - AHEAD;
	n = read(pipe_fd[0], total, sizeof(*total));
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	if (waitpid(pid, &status, 0) != pid || status || n != sizeof(*total))
		return -ECHILD;
	return 0;
}

/* A dump that was broken off is let go of by RCU. */
static int unload(void)
{
	int err = 0;

	for (int i = 0; i < 50; i++) {
		err = syscall(SYS_delete_module, "fusecr", O_NONBLOCK) ? -errno : 0;
		if (err != -EAGAIN && err != -EBUSY && err != -EWOULDBLOCK)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	}
	return err;
}

/* In memory: no network file system is to meet the faults. */
static int copy_module(char *path)
{
	const char *from = getenv("FUSECR_MODULE");
	int in = from ? open(from, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n = 1;
	int out;

	if (in < 0)
		return -ENOENT;
	out = mkostemp(path, O_CLOEXEC);
	if (out >= 0) {
		while (n > 0)
			n = sendfile(out, in, NULL, 1 << 20);
		close(out);
	}
	close(in);
	return out < 0 || n < 0 ? -EIO : 0;
}

FIXTURE_SETUP(module)
{
	self->fail = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	if (self->fail < 0)
		SKIP(return, "this kernel cannot let allocations fail");
	strcpy(self->path, "/tmp/module.XXXXXX");
	ASSERT_EQ(0, copy_module(self->path));
	ASSERT_EQ(0, set_up_faults());
	ASSERT_EQ(0, unload());
	self->away = true;
}

FIXTURE_TEARDOWN(module)
{
	if (self->away)
		EXPECT_EQ(0, load(self->path));
	unlink(self->path);
	close(self->fail);
}

TEST_F_TIMEOUT(module, each_fault_of_the_load, 1800)
{
	unsigned int first = 0, last = 0, n, failed = 0, tries = 0;
	struct tnl nl;
	int got, handle;

	ASSERT_EQ(0, count_load(self->path, &first, &last));
	ASSERT_EQ(0, unload());
	ASSERT_LT(first, last);
	TH_LOG("faults %u to %u", first, last);
	n = first;
	do {
		n += n < first + EACH || n + EACH > last ? 1 :
			1 + (last - first - 2 * EACH) / SAMPLES;
		tries++;
		fail(self->fail, n);
		got = load(self->path);
		ends(self->fail, n);
		if (got) {
			failed++;
			/* The first of them may be the loader's: ELOOP in 6.1. */
			EXPECT_TRUE(is_fault(got) || got == -EIO || got == -ELOOP) {
				TH_LOG("fault %u: %d", n, got);
			}
			continue;
		}
		/* Loaded in spite of it: then it works, and goes. */
		EXPECT_EQ(0, tnl_open(&nl)) {
			TH_LOG("fault %u", n);
		}
		tnl_close(&nl);
		handle = th_open();
		EXPECT_LE(0, handle);
		close(handle);
		ASSERT_EQ(0, unload());
	} while (n <= last);
	TH_LOG("%u faults, %u loads failed", tries, failed);
	EXPECT_LT(0, failed);
}

TEST_HARNESS_MAIN
