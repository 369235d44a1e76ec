// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard.h"
#include "surrogate.h"

#define OWN_TRIES	100

static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };

struct progress *progress_new(size_t conns)
{
	struct progress *p = mmap(NULL, sizeof(*p) + conns * sizeof(p->conn[0]), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int guard(void)
{
	pid_t pid = fork();
	int status = 0;

	if (pid < 0)
		return -errno;
	if (!pid)
		return 0;
	/* A signal for both is for the one that works: what is left has to be ended. */
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		signal(signals[i], SIG_IGN);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFSIGNALED(status)) {
		/* The devices first: who waits for us looks at the control socket. */
		close_range(4, ~0U, 0);
		_exit(WEXITSTATUS(status));
	}
	surrogate_log("the surrogate was killed by signal %d", WTERMSIG(status));
	return WTERMSIG(status);
}

bool guard_try_again(int err, unsigned int *tries)
{
	if (err != -EBUSY || ++*tries > OWN_TRIES)
		return false;
	poll(NULL, 0, 10);
	return true;
}
