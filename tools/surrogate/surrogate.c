// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "control.h"
#include "surrogate.h"

static FILE *log_file;

void surrogate_log(const char *fmt, ...)
{
	struct timespec now;
	va_list ap;

	if (!log_file)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	fprintf(log_file, "%lld.%06ld ", (long long)now.tv_sec, now.tv_nsec / 1000);
	va_start(ap, fmt);
	vfprintf(log_file, fmt, ap);
	va_end(ap);
	fputc('\n', log_file);
	fflush(log_file);
}

static void tell(struct surrogate *s, struct control_msg *m)
{
	m->serial = s->serial;
	if (control_send(s->control, m, -1))
		surrogate_log("the plugin does not listen: %s", strerror(errno));
}

void surrogate_done(struct surrogate *s)
{
	struct control_msg m = { .type = CONTROL_DONE };

	tell(s, &m);
}

void surrogate_none(struct surrogate *s)
{
	struct control_msg m = { .type = CONTROL_NONE };

	tell(s, &m);
}

void surrogate_fail(struct surrogate *s, const char *fmt, ...)
{
	struct control_msg m = { .type = CONTROL_FAILED };
	char *text = NULL;
	va_list ap;

	if (s->report.count)
		text = report_text(&s->report);
	if (text) {
		snprintf(m.text, sizeof(m.text), "%s", text);
	} else {
		va_start(ap, fmt);
		vsnprintf(m.text, sizeof(m.text), fmt, ap);
		va_end(ap);
	}
	free(text);
	surrogate_log("failed: %s", m.text);
	s->told = true;
	tell(s, &m);
}

void surrogate_warn(struct surrogate *s, const char *fmt, ...)
{
	struct control_msg m = { .type = CONTROL_WARNING };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m.text, sizeof(m.text), fmt, ap);
	va_end(ap);
	surrogate_log("warning: %s", m.text);
	tell(s, &m);
}

int64_t surrogate_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void open_log(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
			0600);

	if (fd >= 0)	/* a read-only directory is no reason to fail a restore */
		log_file = fdopen(fd, "w");
}

/* Whatever whoever started CRIU had done with it: see look() in dump.c. */
static void let_alarm_end(void)
{
	sigset_t set;

	signal(SIGALRM, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/*
 * surrogate dump|pre-dump CONTROL DIRFD CRIU-PID ROOT-PID TELLS
 * surrogate restore CONTROL DIRFD CRIU-PID INHERITED
 * Started by the plugin only: descriptors are open already.
 */
int cmd_surrogate(int argc, char **argv)
{
	struct surrogate s = { .inherited = -1 };
	bool dump;

	if (argc != 7) {
		fprintf(stderr, "fusecr surrogate is started by CRIU's plugin, not by hand\n");
		return 2;
	}
	s.pre_dump = !strcmp(argv[1], "pre-dump");
	dump = s.pre_dump || !strcmp(argv[1], "dump");
	s.control = atoi(argv[2]);
	s.dirfd = atoi(argv[3]);
	s.criu = atoi(argv[4]);
	s.tells = !strcmp(argv[6], "tells");
	if (dump)
		s.root = atoi(argv[5]);
	else
		s.inherited = atoi(argv[5]);
	signal(SIGPIPE, SIG_IGN);
	let_alarm_end();
	open_log(s.dirfd, dump ? "fusecr-dump.log" : "fusecr-restore.log");
	return dump ? surrogate_dump(&s) : surrogate_restore(&s);
}
