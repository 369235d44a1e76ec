// SPDX-License-Identifier: GPL-2.0
/*
 * poller - a program that waits for files of libfuse's example "poll", each of which
 * gets a byte now and then.
 *
 *	poller NAME MOUNT CONTROL
 *
 * CONTROL.cmd and CONTROL.out are FIFOs outside the mount. Says "ready", then answers
 * each line:
 *	check	waits until files have become ready, and says "ok", or what is wrong
 *	quit	says "bye" and ends
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"

#define PATIENCE_MS	60000
#define POLLED		3	/* files of the child's, which sleeps in poll() */

static int set, waited;			/* epoll, and the file in it */
static int events;			/* a byte for each that the child was told of */
static pid_t child;

static int open_file(const char *mount, char name)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%c", mount, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int poll_for_ever(const char *mount, int out)
{
	struct pollfd pfd[POLLED];
	char buf[16];

	for (int i = 0; i < POLLED; i++) {
		pfd[i] = (struct pollfd){ .fd = open_file(mount, '0' + i), .events = POLLIN };
		if (pfd[i].fd < 0)
			return 1;
	}
	for (;;) {
		int n = poll(pfd, POLLED, -1);

		/* Wherever CRIU stops it (compel/arch/x86/src/lib/infect.c). */
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return 2;
		for (int i = 0; i < POLLED; i++) {
			if (!pfd[i].revents)
				continue;
			/* Without something in it, it was not to be told of. */
			if (pfd[i].revents != POLLIN || read(pfd[i].fd, buf, sizeof(buf)) <= 0 ||
			    write(out, "!", 1) != 1)
				return 3;
		}
	}
}

static int start(const char *mount)
{
	struct epoll_event e = { .events = EPOLLIN };
	int pipes[2];

	if (pipe2(pipes, O_CLOEXEC))
		return bad("pipe: %s", strerror(errno));
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(poll_for_ever(mount, pipes[1]));
	}
	close(pipes[1]);
	events = pipes[0];
	set = epoll_create1(EPOLL_CLOEXEC);
	waited = open_file(mount, '8');
	if (child < 0 || set < 0 || waited < 0 || epoll_ctl(set, EPOLL_CTL_ADD, waited, &e))
		return bad("start: %s", strerror(errno));
	return 0;
}

/* What it was told before does not count. */
static int check_child(void)
{
	struct pollfd pfd = { .fd = events, .events = POLLIN };
	char buf[64];

	while (poll(&pfd, 1, 0) == 1 && read(events, buf, sizeof(buf)) > 0)
		;
	for (int i = 0; i < 2 * POLLED; i++)
		if (poll(&pfd, 1, PATIENCE_MS) != 1 || read(events, buf, 1) != 1)
			return bad("the child was told of %d", i);
	return 0;
}

static int check_set(void)
{
	struct epoll_event e;
	char buf[16];

	for (int i = 0; i < 2; i++) {
		if (epoll_wait(set, &e, 1, PATIENCE_MS) != 1)
			return bad("nothing has become ready: %s", strerror(errno));
		if (read(waited, buf, sizeof(buf)) <= 0)
			return bad("it is empty: %s", strerror(errno));
	}
	return 0;
}

static int check(void)
{
	return check_child() ?: check_set();
}

static int quit(void)
{
	int status;

	if (waitpid(child, &status, WNOHANG) || kill(child, SIGKILL) || waitpid(child, &status, 0) != child)
		return bad("the child: %#x", status);
	return close(waited) || close(set) ? bad("close: %s", strerror(errno)) : 0;
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: poller NAME MOUNT CONTROL\n");
		return 2;
	}
	control_open(argv[3]);
	return control_serve(start(argv[2]), check, quit);
}
