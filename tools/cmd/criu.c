// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "cmd.h"
#include "criu.h"
#include "surrogate/control.h"

extern char **environ;

/* Lines that 3.17.1 and 4.x print in every run (criu/tun.c, criu/util.c). */
static const char * const harmless[] = { "criu/tun.c", "criu/util.c", "Dumping FAILED", "Restoring FAILED" };
#define LOG_LINES_SHOWN	5

/*
 * Killed halfway, criu leaves its code in the tasks of the tree, or half of a new one. So
 * what a terminal sends to all in the foreground it does not get, and we wait for its end.
 * SIGTERM it needs for processes of its own (criu/cgroup.c, since 4.1).
 */
static const int signals[] = { SIGINT, SIGQUIT, SIGHUP, SIGTERM };
#define NR_SIGNALS	(sizeof(signals) / sizeof(*signals))

static volatile sig_atomic_t signalled;

static void note(int sig)
{
	signalled = sig;
}

static void handle(size_t i, void (*how)(int))
{
	sigaction(signals[i], &(struct sigaction){ .sa_handler = how }, NULL);
}

/* criu_run() is called once: what they did before does not come back. */
static int spawn_criu(const struct criu_run *run, pid_t *pid)
{
	posix_spawnattr_t attr;
	bool shell_job = false;
	int err;

	for (size_t i = 0; run->args[i]; i++)
		shell_job = shell_job || !strcmp(run->args[i], "--shell-job") ||
			    !strcmp(run->args[i], "-j");
	err = posix_spawnattr_init(&attr);
	if (err)
		return err;
	/* Nor what somebody sends to all of a script, unless the tree is of this terminal. */
	if (!shell_job)
		posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
	for (size_t i = 0; i < NR_SIGNALS; i++)
		handle(i, signals[i] == SIGTERM ? note : SIG_IGN);
	err = posix_spawnp(pid, "criu", NULL, &attr, (char **)run->args, environ);
	for (size_t i = 0; i < NR_SIGNALS; i++)
		handle(i, note);
	posix_spawnattr_destroy(&attr);
	return err;
}

bool criu_more(struct criu_run *run, char **more)
{
	static const char * const ours[] = { "-t", "--tree", "-D", "--images-dir", "-o", "--log-file",
					     "-W", "--work-dir", "--pidfile" };

	for (; *more; more++) {
		for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
			size_t len = strlen(ours[i]);

			if (strncmp(*more, ours[i], len) || (len > 2 && (*more)[len] && (*more)[len] != '='))
				continue;
			say_error("criu's option %s is fusecr's to give", ours[i]);
			return false;
		}
		if (!criu_arg(run, *more)) {
			say_error("too many options for criu");
			return false;
		}
	}
	return true;
}

bool criu_arg(struct criu_run *run, const char *arg)
{
	if (!run->count)
		run->args[run->count++] = "criu";
	if (run->count + 2 > CRIU_ARGS_MAX)
		return false;
	run->args[run->count++] = arg;
	run->args[run->count] = NULL;
	return true;
}

/* Reads what the plugin says until all that could write are gone. */
static void read_reasons(struct criu_run *run, int fd)
{
	bool show = isatty(STDERR_FILENO);
	struct timespec start, now;
	size_t len = 0;
	char *grown;
	ssize_t n = 1;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (n > 0 || (n < 0 && errno == EINTR)) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		bool quiet = poll(&pfd, 1, 200) <= 0;

		if (signalled) {
			if (show)
				fprintf(stderr, "\r\033[K");
			say_error("%s cannot be broken off halfway: its end is waited for", run->doing);
			signalled = 0;
		}
		if (quiet) {
			clock_gettime(CLOCK_MONOTONIC, &now);
			if (show)
				fprintf(stderr, "\r%s ... %ld s", run->doing, now.tv_sec - start.tv_sec);
			continue;
		}
		grown = realloc(run->reasons, len + 4097);
		if (!grown)
			break;
		run->reasons = grown;
		n = read(fd, grown + len, 4096);
		len += n > 0 ? n : 0;
		grown[len] = '\0';
	}
	if (show)
		fprintf(stderr, "\r\033[K");
	while (len && run->reasons[len - 1] == '\n')
		run->reasons[--len] = '\0';
	if (!len) {
		free(run->reasons);
		run->reasons = NULL;
	}
}

static bool is_harmless(const char *line)
{
	for (size_t i = 0; i < sizeof(harmless) / sizeof(*harmless); i++)
		if (strstr(line, harmless[i]))
			return true;
	return false;
}

/* Then criu's log is cut off where it would say so. */
static bool is_full(const char *dir)
{
	struct statvfs st;

	/* What cannot be written to has no room either. */
	return !statvfs(dir, &st) && !(st.f_flag & ST_RDONLY) && (!st.f_bavail || (st.f_files && !st.f_favail));
}

/* The first errors of criu's log: what follows them is usually their echo. */
static void tell_log(const struct criu_run *run)
{
	FILE *f cleanup(fclose_auto) = NULL;
	char path[4096], line[1024];
	int shown = 0;

	snprintf(path, sizeof(path), "%s/%s", run->dir, run->log);
	f = fopen(path, "re");
	while (f && shown < LOG_LINES_SHOWN && fgets(line, sizeof(line), f)) {
		const char *error = strstr(line, "Error (");

		if (!error || is_harmless(line))
			continue;
		line[strcspn(line, "\n")] = '\0';
		say_error("criu: %s", error);
		shown++;
	}
	if (!shown && is_full(run->dir))
		say_error("%s: %s", run->dir, strerror(ENOSPC));
	if (!shown)
		say_error("criu ended with status %d", WIFEXITED(run->status) ?
			  WEXITSTATUS(run->status) : 128 + WTERMSIG(run->status));
	say_error("the whole log is in %s", path);
}

/* Returns how many of them are more than warnings. */
static size_t tell_reasons(char *text)
{
	char *save, *line;
	size_t count = 0;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		say_error("%s", line);
		count += !!strncmp(line, CONTROL_WARNING_MARK, strlen(CONTROL_WARNING_MARK));
	}
	return count;
}

/* One of an earlier run would be taken for this one's. */
static void remove_log(const struct criu_run *run)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", run->dir, run->log);
	unlink(path);
}

int criu_run(struct criu_run *run)
{
	int pipes[2], err;
	char number[16];
	size_t told;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC)) {
		say_error("pipe: %s", strerror(errno));
		return CMD_FAILED;
	}
	/* The write end is for criu and the plugin in it, through the environment. */
	fcntl(pipes[1], F_SETFD, 0);
	snprintf(number, sizeof(number), "%d", pipes[1]);
	setenv("FUSECR_REPORT_FD", number, 1);
	remove_log(run);
	err = spawn_criu(run, &pid);
	close(pipes[1]);
	if (err) {
		close(pipes[0]);
		say_error("criu cannot be started: %s; install the package criu", strerror(err));
		return CMD_FAILED;
	}
	read_reasons(run, pipes[0]);
	close(pipes[0]);
	while (waitpid(pid, &run->status, 0) < 0 && errno == EINTR)
		;
	run->gone = run->reasons && strstr(run->reasons, CONTROL_GONE);
	told = run->reasons ? tell_reasons(run->reasons) : 0;
	if (WIFEXITED(run->status) && !WEXITSTATUS(run->status) && !told)
		return CMD_DONE;
	if (!told)
		tell_log(run);
	return CMD_FAILED;
}

void criu_run_end(struct criu_run *run)
{
	free(run->reasons);
	run->reasons = NULL;
}
