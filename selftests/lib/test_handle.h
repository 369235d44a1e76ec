/* SPDX-License-Identifier: GPL-2.0 */
/* The change handle, for tests: calls return what the ioctl did, or -errno. */
#ifndef TEST_HANDLE_H
#define TEST_HANDLE_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/fusecr_ioctl.h>

#include "test_nl.h"

static inline int th_call(int fd, unsigned long cmd, void *arg)
{
	int n = ioctl(fd, cmd, arg);

	return n < 0 ? -errno : n;
}

static inline int th_open(void)
{
	struct tnl nl;
	int fd = tnl_open(&nl);

	if (fd)
		return fd;
	fd = tnl_open_handle(&nl);
	tnl_close(&nl);
	return fd;
}

static inline int th_attach_fd(int fd, uint64_t conn_id)
{
	struct fusecr_attach arg = { .conn_id = conn_id };

	return th_call(fd, FUSECR_IOC_ATTACH, &arg);
}

/* A handle that owns the connection, or -errno. */
static inline int th_attach(uint64_t conn_id)
{
	int fd = th_open(), err;

	if (fd < 0)
		return fd;
	err = th_attach_fd(fd, conn_id);
	if (!err)
		return fd;
	close(fd);
	return err;
}

static inline int th_set_conn(int fd, struct fusecr_set_conn arg)
{
	return th_call(fd, FUSECR_IOC_SET_CONN, &arg);
}

static inline int th_set_inode(int fd, uint64_t nodeid, uint64_t nlookup)
{
	struct fusecr_set_inode arg = { .nodeid = nodeid, .nlookup = nlookup };

	return th_call(fd, FUSECR_IOC_SET_INODE, &arg);
}

static inline int th_set_file(int fd, struct fusecr_set_file arg)
{
	return th_call(fd, FUSECR_IOC_SET_FILE, &arg);
}

static inline int th_set_owner(int fd, struct fusecr_set_owner arg)
{
	return th_call(fd, FUSECR_IOC_SET_OWNER, &arg);
}

static inline int th_set_lock(int fd, struct fusecr_set_lock arg)
{
	return th_call(fd, FUSECR_IOC_SET_LOCK, &arg);
}

static inline int th_forget(int fd, uint64_t nodeid, uint64_t nlookup)
{
	struct fusecr_forget arg = { .nodeid = nodeid, .nlookup = nlookup };

	return th_call(fd, FUSECR_IOC_FORGET, &arg);
}

static inline int th_admit(int fd, unsigned long on)
{
	return th_call(fd, FUSECR_IOC_ADMIT, (void *)on);
}

static inline int th_commit(int fd)
{
	return th_call(fd, FUSECR_IOC_COMMIT, NULL);
}

/* Nobody but the caller and @pid is exempt; @pid may be 0. */
static inline int th_gate_close(int fd, pid_t pid)
{
	struct fusecr_gate_close arg = {
		.nr_exempt = pid ? 1 : 0, .seconds = 60, .exempt = { pid },
	};

	return th_call(fd, FUSECR_IOC_GATE_CLOSE, &arg);
}

static inline int th_gate_open(int fd)
{
	return th_call(fd, FUSECR_IOC_GATE_OPEN, NULL);
}

/* How many threads anew, or -errno. */
static inline int th_hold(int fd, pid_t pid)
{
	struct fusecr_hold arg = { .pid = pid };

	return th_call(fd, FUSECR_IOC_HOLD, &arg) ?: (int)arg.count;
}

/* How many requests were taken, or -errno. */
static inline int th_take(int fd)
{
	struct fusecr_take arg = { };

	return th_call(fd, FUSECR_IOC_TAKE, &arg) ?: (int)arg.count;
}

static inline struct fusecr_gate_status th_gate_status(int fd)
{
	struct fusecr_gate_status status = { .closed = 99 };

	th_call(fd, FUSECR_IOC_GATE_STATUS, &status);
	return status;
}

/* Whether the gate is closed and drained, within @ms. */
static inline bool th_drained(int fd, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, ms) == 1 && pfd.revents == POLLIN;
}

/* How many requests are kept. */
static inline int th_kept(int fd)
{
	return th_gate_status(fd).kept;
}

static inline int th_force_open(int fd, uint64_t conn_id)
{
	struct fusecr_attach arg = { .conn_id = conn_id };

	return th_call(fd, FUSECR_IOC_FORCE_OPEN, &arg);
}

static inline int th_sync(int fd, unsigned long seconds)
{
	return th_call(fd, FUSECR_IOC_SYNC, (void *)seconds);
}

/* How many went back, or -errno. */
static inline int th_requeue(int fd, int dev, uint64_t unique)
{
	struct fusecr_requeue arg = { .fd = dev, .unique = unique };
	int err = th_call(fd, FUSECR_IOC_REQUEUE, &arg);

	return err ? err : (int)arg.count;
}

#endif
