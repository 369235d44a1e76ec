// SPDX-License-Identifier: GPL-2.0
/*
 * Preloaded: kills the first process that comes to its writev() number DOOM,
 * instead of that, and leaves the file DOOM_MARK behind.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

ssize_t writev(int fd, const struct iovec *iov, int count)
{
	static int calls;

	if (++calls == atoi(getenv("DOOM")) &&
	    /* cppcheck-suppress leakReturnValNotUsed ; the process ends */
	    open(getenv("DOOM_MARK"), O_CREAT | O_EXCL | O_WRONLY, 0600) >= 0)
		kill(getpid(), SIGKILL);
	return syscall(SYS_writev, fd, iov, count);
}
