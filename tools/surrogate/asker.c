// SPDX-License-Identifier: GPL-2.0
#include <sys/pidfd.h>
#include <unistd.h>

#include "asker.h"
#include "proc.h"

void asker_init(struct asker *a, pid_t criu, bool exe)
{
	*a = (struct asker){ .criu = criu, .exe = exe, .pidfd = -1 };
	if (exe)
		a->starter = proc_status(criu, "PPid");
}

/*
 * Anybody may run CRIU's program, with a library of his own in it: it has to be the same
 * user's, or started by who started CRIU, as the root of a tree is that CRIU restores as
 * its sibling.
 */
static bool runs_the_same(const struct asker *a, pid_t pid)
{
	return a->exe && proc_same_exe(pid, a->criu) &&
	       (proc_status(pid, "Uid") == proc_status(a->criu, "Uid") ||
		(a->starter > 1 && proc_descends(pid, a->starter)));
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
	    !runs_the_same(a, pid)) {
		if (pidfd >= 0)
			close(pidfd);
		return false;
	}
	asker_free(a);
	a->pid = pid;
	a->pidfd = pidfd;
	return true;
}
