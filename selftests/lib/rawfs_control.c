// SPDX-License-Identifier: GPL-2.0
/* The test's side: start, stop and end the server, and wait for it. */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rawfs_priv.h"

#define PATIENCE	100	/* s: what is waited for comes at once or never */

int rawfs_umount(struct rawfs *fs)
{
	return umount2(fs->dir, MNT_DETACH) ? -errno : 0;
}

/* The array is shared with the server, which needs the numbers in it. */
static void unkeep(struct rawfs *fs)
{
	unsigned int i;

	for (i = 0; fs->kept && i < fs->config.instances; i++)
		close(fs->fd[i]);
	fs->kept = false;
}

static int serve(struct rawfs *fs)
{
	int err = rawfs_serve(fs);

	if (err)
		fprintf(stderr, "rawfs: %s\n", strerror(-err));
	return err ? 1 : 0;
}

int rawfs_start(struct rawfs *fs, bool keep)
{
	pid_t parent = getpid(), pid;

	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		_exit(serve(fs));
	}
	fs->pid = pid;
	fs->kept = true;
	if (!keep)
		unkeep(fs);
	return 0;
}

struct rawfs *rawfs_up(const struct rawfs_config *config, bool keep)
{
	struct rawfs *fs = rawfs_new(config);
	char dir[] = "/tmp/rawfs.XXXXXX";
	int err;

	if (!fs)
		return NULL;
	if (!mkdtemp(dir)) {
		rawfs_free(fs);
		return NULL;
	}
	err = rawfs_mount(fs, dir);
	if (err)
		goto err_mount;
	err = rawfs_start(fs, keep);
	if (err)
		goto err_start;
	return fs;

err_start:
	rawfs_umount(fs);
err_mount:
	rmdir(dir);
	rawfs_free(fs);
	errno = -err;
	return NULL;
}

/* The exit status of the server, which is given some time to end by itself. */
static int reap(struct rawfs *fs)
{
	struct pollfd fd = { .events = POLLIN };
	int status;

	fd.fd = syscall(SYS_pidfd_open, fs->pid, 0);
	if (poll(&fd, 1, PATIENCE * 1000) != 1)
		kill(fs->pid, SIGKILL);
	close(fd.fd);
	if (waitpid(fs->pid, &status, 0) != fs->pid)
		return -errno;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int rawfs_down(struct rawfs *fs)
{
	int status = 0;

	if (!fs)
		return 0;
	rawfs_release(fs, 0);
	if (fs->pid > 0)
		kill(fs->pid, SIGCONT);
	rawfs_umount(fs);
	unkeep(fs);
	if (fs->pid > 0)
		status = reap(fs);
	rmdir(fs->dir);
	rawfs_free(fs);
	return status;
}

int rawfs_stop(struct rawfs *fs)
{
	siginfo_t info;

	if (kill(fs->pid, SIGSTOP) ||
	    waitid(P_PID, fs->pid, &info, WSTOPPED))
		return -errno;
	return info.si_code == CLD_STOPPED ? 0 : -ECHILD;
}

int rawfs_cont(struct rawfs *fs)
{
	siginfo_t info;

	if (kill(fs->pid, SIGCONT) ||
	    waitid(P_PID, fs->pid, &info, WCONTINUED))
		return -errno;
	return 0;
}

int rawfs_kill(struct rawfs *fs)
{
	int status;

	if (kill(fs->pid, SIGKILL) || waitpid(fs->pid, &status, 0) != fs->pid)
		return -errno;
	fs->pid = -1;
	return 0;
}

void rawfs_notify(struct rawfs *fs)
{
	__atomic_add_fetch(&fs->seq, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &fs->seq, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Waits until @done says so; it is asked again whenever the server notifies. */
static int wait_for(struct rawfs *fs,
		    bool (*done)(struct rawfs *fs, uint32_t opcode, uint64_t n),
		    uint32_t opcode, uint64_t n)
{
	struct timespec now, end, left;
	uint32_t seq;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += PATIENCE;
	for (;;) {
		seq = __atomic_load_n(&fs->seq, __ATOMIC_SEQ_CST);
		if (done(fs, opcode, n))
			return 0;
		if (*fs->fault)
			return -EPROTO;
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec >= end.tv_sec)
			return -ETIMEDOUT;
		left = (struct timespec){ .tv_sec = end.tv_sec - now.tv_sec };
		syscall(SYS_futex, &fs->seq, FUTEX_WAIT, seq, &left, NULL, 0);
	}
}

const struct rawfs_held *rawfs_find_held(struct rawfs *fs, uint32_t opcode,
					 unsigned int n)
{
	unsigned int i;

	for (i = 0; i < RAWFS_MAX_HELD; i++)
		if (fs->held[i].used && fs->held[i].ready && fs->held[i].h.opcode == opcode && !n--)
			return &fs->held[i];
	return NULL;
}

static bool is_held(struct rawfs *fs, uint32_t opcode, uint64_t n)
{
	return !n || rawfs_find_held(fs, opcode, n - 1);
}

static bool is_initialized(struct rawfs *fs, uint32_t opcode, uint64_t n)
{
	(void)opcode;
	(void)n;
	return fs->initialized;
}

static bool has_done(struct rawfs *fs, uint32_t opcode, uint64_t n)
{
	return fs->nr_done[opcode] >= n;
}

static bool is_looked_up(struct rawfs *fs, uint32_t index, uint64_t n)
{
	return fs->nodes[index].nlookup == n;
}

int rawfs_wait_nlookup(struct rawfs *fs, uint32_t index, uint64_t n)
{
	return wait_for(fs, is_looked_up, index, n);
}

int rawfs_wait_held(struct rawfs *fs, uint32_t opcode, unsigned int n)
{
	return wait_for(fs, is_held, opcode, n);
}

int rawfs_wait_init(struct rawfs *fs)
{
	return wait_for(fs, is_initialized, 0, 0);
}

int rawfs_wait_op(struct rawfs *fs, uint32_t opcode, uint64_t count)
{
	return wait_for(fs, has_done, opcode, count);
}

int rawfs_wait_pending(struct rawfs *fs)
{
	struct pollfd fd = { .fd = fs->fd[0], .events = POLLIN };

	if (poll(&fd, 1, PATIENCE * 1000) != 1)
		return -ETIMEDOUT;
	return (fd.revents & POLLIN) ? 0 : -ENODEV;
}

void rawfs_hold(struct rawfs *fs, uint32_t opcode)
{
	fs->late = false;
	fs->hold[opcode] = true;
}

void rawfs_hold_after(struct rawfs *fs, uint32_t opcode, unsigned int n)
{
	fs->pass[opcode] = n;
	rawfs_hold(fs, opcode);
}

void rawfs_hold_answer(struct rawfs *fs, uint32_t opcode)
{
	fs->late = true;
	fs->hold[opcode] = true;
}

void rawfs_release(struct rawfs *fs, uint32_t opcode)
{
	uint32_t n;

	for (n = 0; n < RAWFS_OPCODES; n++)
		if (!opcode || n == opcode)
			fs->hold[n] = false;
	if (fs->event >= 0)
		eventfd_write(fs->event, 1);
}
