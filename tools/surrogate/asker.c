// SPDX-License-Identifier: GPL-2.0
#include <sys/pidfd.h>
#include <unistd.h>

#include "asker.h"
#include "proc.h"

void asker_init(struct asker *a, pid_t criu, bool exe)
{
	*a = (struct asker){ .criu = criu, .exe = exe, .pidfd = -1 };
}

void asker_free(struct asker *a)
{
	if (a->pidfd >= 0)
		close(a->pidfd);
	a->pidfd = -1;
}

bool asker_is_criu(struct asker *a, pid_t pid)
{
	int pidfd;

	if (pid <= 0)
		return false;
	if (pid == a->pid && a->pidfd >= 0 && !pidfd_send_signal(a->pidfd, 0, NULL, 0))
		return true;
	/* Before the look, so that both are about the same process; -1 for a
	 * thread that does not lead its process: then nothing is remembered. */
	pidfd = pidfd_open(pid, 0);
	if (!proc_descends(pid, a->criu) && !proc_descends(pid, getpid()) &&
	    !(a->exe && proc_same_exe(pid, a->criu))) {
		if (pidfd >= 0)
			close(pidfd);
		return false;
	}
	asker_free(a);
	a->pid = pid;
	a->pidfd = pidfd;
	return true;
}
