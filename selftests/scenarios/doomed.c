// SPDX-License-Identifier: GPL-2.0
/*
 * Preloaded: kills the first process that comes to its call number DOOM of
 * writev(), or of what DOOM_CALL names, instead of that, and leaves the file
 * DOOM_MARK behind.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/fusecr_ioctl.h>

static void doom(const char *name)
{
	const char *call = getenv("DOOM_CALL");
	static int calls;

	if (!strcmp(name, call && *call ? call : "writev") && ++calls == atoi(getenv("DOOM")) &&
	    /* cppcheck-suppress leakReturnValNotUsed ; the process ends */
	    open(getenv("DOOM_MARK"), O_CREAT | O_EXCL | O_WRONLY, 0600) >= 0)
		kill(getpid(), SIGKILL);
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
	doom("writev");
	return syscall(SYS_writev, fd, iov, count);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	doom("sendmsg");
	return syscall(SYS_sendmsg, fd, msg, flags);
}

/* attach: the connection is to be owned. */
int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request == FUSECR_IOC_ATTACH)
		doom("attach");
	return syscall(SYS_ioctl, fd, request, arg);
}
