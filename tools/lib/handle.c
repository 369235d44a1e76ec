// SPDX-License-Identifier: GPL-2.0
/* The change handle: one ioctl a function. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "handle.h"
#include "nl.h"

/* How long a directory may be locked by who looks something up in it, */
#define BUSY_MS	5000
/* and how long, when those before it are served, one after the other. */
#define SERVED_MS	60000

static int call(int fd, unsigned long request, const void *arg)
{
	return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

int handle_new(void)
{
	struct nl *nl;
	int ret = nl_open(&nl);

	if (ret < 0)
		return ret;
	ret = nl_open_handle(nl);
	nl_close(nl);
	return ret;
}

int handle_open(uint64_t conn_id)
{
	struct fusecr_attach attach = { .conn_id = conn_id };
	int fd = handle_new(), ret;

	if (fd < 0)
		return fd;
	ret = call(fd, FUSECR_IOC_ATTACH, &attach);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	return fd;
}

int handle_set_conn(int fd, const struct fusecr_set_conn *set)
{
	return call(fd, FUSECR_IOC_SET_CONN, set);
}

int handle_set_inode(int fd, uint64_t nodeid, uint64_t nlookup)
{
	struct fusecr_set_inode set = { .nodeid = nodeid, .nlookup = nlookup };

	return call(fd, FUSECR_IOC_SET_INODE, &set);
}

int handle_set_file(int fd, const struct fusecr_set_file *set)
{
	return call(fd, FUSECR_IOC_SET_FILE, set);
}

int handle_set_owner(int fd, const struct fusecr_set_owner *set)
{
	return call(fd, FUSECR_IOC_SET_OWNER, set);
}

int handle_set_lock(int fd, const struct fusecr_set_lock *set)
{
	return call(fd, FUSECR_IOC_SET_LOCK, set);
}

int handle_forget(int fd, uint64_t nodeid, uint64_t nlookup)
{
	struct fusecr_forget forget = { .nodeid = nodeid, .nlookup = nlookup };

	return call(fd, FUSECR_IOC_FORGET, &forget);
}

int handle_admit(int fd, bool on)
{
	return ioctl(fd, FUSECR_IOC_ADMIT, (unsigned long)on) < 0 ? -errno : 0;
}

int handle_share_file(int fd, const struct fusecr_share_file *share)
{
	struct fusecr_share_file arg = *share;

	return call(fd, FUSECR_IOC_SHARE_FILE, &arg);
}

int handle_own_page(int fd, pid_t pid, uint64_t address, unsigned int seconds)
{
	struct fusecr_own_page which = { .pid = pid, .seconds = seconds, .address = address };

	return call(fd, FUSECR_IOC_OWN_PAGE, &which);
}

/* Has nothing that others wait for the end of, but the handle; and ends with the caller. */
static void unlink_alone(int fd, const struct fusecr_unlink *which, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EINTR);
	if (fd != 3 && dup2(fd, 3) < 0)
		_exit(errno);
	close_range(4, ~0U, 0);
	_exit(-call(3, FUSECR_IOC_UNLINK, which));
}

/*
 * In line for the directory's lock, before those who come later; as somebody else, for
 * those who have it now may have to be served.
 */
static int unlink_in_line(int fd, const struct fusecr_unlink *which, const struct meanwhile *m)
{
	pid_t parent = getpid(), pid = fork(), ended = 0;
	int status = W_EXITCODE(EBUSY, 0);

	if (!pid)
		unlink_alone(fd, which, parent);
	if (pid < 0)
		return -errno;
	for (int ms = 0, busy = 0; !ended && busy < BUSY_MS && ms < SERVED_MS; ms++, busy++) {
		if (m && m->serve(m->arg))
			busy = 0;
		ended = waitpid(pid, &status, WNOHANG);
		if (!ended)
			poll(NULL, 0, 1);
	}
	if (!ended) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EBUSY;
}

int handle_unlink(int fd, const struct fusecr_unlink *which, const struct meanwhile *m)
{
	struct fusecr_unlink arg = *which;
	int err = call(fd, FUSECR_IOC_UNLINK, &arg);

	if (err != -EBUSY)
		return err;
	arg.flags |= FUSECR_UNLINK_WAIT;
	return unlink_in_line(fd, &arg, m);
}

int handle_drop_pages(int fd, uint64_t nodeid, unsigned int seconds)
{
	struct fusecr_drop_pages which = { .nodeid = nodeid, .seconds = seconds };

	return call(fd, FUSECR_IOC_DROP_PAGES, &which);
}

int handle_requeue(int fd, int devfd, uint64_t unique)
{
	struct fusecr_requeue requeue = { .fd = devfd, .unique = unique };
	int ret = call(fd, FUSECR_IOC_REQUEUE, &requeue);

	return ret < 0 ? ret : (int)requeue.count;
}

int handle_commit(int fd, bool names)
{
	unsigned long flags = names ? 0 : FUSECR_COMMIT_NOT_NAMES;

	return ioctl(fd, FUSECR_IOC_COMMIT, flags) < 0 ? -errno : 0;
}

int handle_gate_close(int fd, unsigned int seconds, const int32_t *exempt, uint32_t nr_exempt)
{
	struct fusecr_gate_close arg = { .nr_exempt = nr_exempt, .seconds = seconds };

	if (nr_exempt > FUSECR_EXEMPT_MAX)
		return -E2BIG;
	memcpy(arg.exempt, exempt, nr_exempt * sizeof(*exempt));
	return call(fd, FUSECR_IOC_GATE_CLOSE, &arg);
}

int handle_gate_close_taken(int fd, unsigned int seconds)
{
	const struct fusecr_gate_close arg = { .seconds = seconds, .flags = FUSECR_GATE_TAKEN_ONLY };

	return call(fd, FUSECR_IOC_GATE_CLOSE, &arg);
}

int handle_hold(int fd, pid_t pid)
{
	struct fusecr_hold hold = { .pid = pid };
	int ret = call(fd, FUSECR_IOC_HOLD, &hold);

	return ret < 0 ? ret : (int)hold.count;
}

int handle_gate_status(int fd, struct fusecr_gate_status *status)
{
	return call(fd, FUSECR_IOC_GATE_STATUS, status);
}

int handle_sync(int fd, unsigned int seconds)
{
	return ioctl(fd, FUSECR_IOC_SYNC, (unsigned long)seconds) < 0 ? -errno : 0;
}

int handle_force_open(uint64_t conn_id)
{
	struct fusecr_attach which = { .conn_id = conn_id };
	int fd = handle_new(), ret;

	if (fd < 0)
		return fd;
	ret = call(fd, FUSECR_IOC_FORCE_OPEN, &which);
	close(fd);
	return ret;
}

int handle_take(int fd)
{
	struct fusecr_take take = { 0 };
	int ret = call(fd, FUSECR_IOC_TAKE, &take);

	return ret < 0 ? ret : (int)take.count;
}

int handle_keep(int fd, const struct fusecr_keep *keep)
{
	struct fusecr_keep arg = *keep;

	return call(fd, FUSECR_IOC_KEEP, &arg);
}
