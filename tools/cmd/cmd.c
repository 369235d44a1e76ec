// SPDX-License-Identifier: GPL-2.0
/* What the verbs share. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cleanup.h"
#include "cmd.h"
#include "print.h"

/* Names of files and programs are in what we say: they must not steer a terminal. */
static void print_lines(FILE *f, const char *text)
{
	size_t len;

	for (;; text += len + 1) {
		len = strcspn(text, "\n");
		print_escaped(f, text, len);
		fputc('\n', f);
		if (!text[len])
			break;
	}
}

static void say(const char *prefix, const char *fmt, va_list ap)
{
	char *text cleanup(free_auto) = NULL;

	/* What people have asked for comes before what we have to say of it. */
	fflush(stdout);
	fputs(prefix, stderr);
	if (vasprintf(&text, fmt, ap) < 0) {
		text = NULL;
		fputs("out of memory\n", stderr);
		return;
	}
	print_lines(stderr, text);
}

int open_images_dir(const char *path, bool make)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT && make && mkdir(path, 0700) == 0)
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		say_error("cannot open the directory %s: %s", path, strerror(errno));
	} else if ((st.st_uid && st.st_uid != geteuid()) || st.st_mode & (S_IWGRP | S_IWOTH)) {
		say_error("the directory %s is another user's, or others can write to it: choose one that is yours alone",
			  path);
		close(fd);
		fd = -1;
	}
	return fd;
}

void say_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("fusecr: ", fmt, ap);
	va_end(ap);
}

void say_warning(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("fusecr: warning: ", fmt, ap);
	va_end(ap);
}

int usage_error(char **argv, const char *fmt, ...)
{
	va_list ap;

	if (fmt) {
		va_start(ap, fmt);
		fprintf(stderr, "%s: ", argv[0]);
		vfprintf(stderr, fmt, ap);
		fputc('\n', stderr);
		va_end(ap);
	}
	fprintf(stderr, "Try '%s --help'.\n", argv[0]);
	return CMD_USAGE;
}

bool wants_colour(FILE *f)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fileno(f)) && !(no && *no) && term && strcmp(term, "dumb");
}

void print_json(struct json_object *obj)
{
	puts(json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_SPACED |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(obj);
}

bool parse_pid(const char *s, pid_t *pid)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(s, &end, 10);
	if (errno || end == s || *end || n <= 0 || n > INT_MAX)
		return false;
	*pid = n;
	return true;
}

char *task_comm(char *buf, size_t len, pid_t pid)
{
	FILE *f cleanup(fclose_auto) = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	f = fopen(path, "re");
	if (!f || !fgets(buf, len, f))
		snprintf(buf, len, "?");
	buf[strcspn(buf, "\n")] = 0;
	return buf;
}

int open_netlink(struct nl **nl)
{
	int ret = nl_open(nl);

	if (ret == -ENOENT)
		say_error("the kernel module is not loaded: modprobe fusecr, or see 'fusecr check'");
	else if (ret < 0)
		say_error("cannot ask the kernel: %s", strerror(-ret));
	return ret;
}

char *ask_program(char *buf, size_t len, const char *command)
{
	/* NOLINTNEXTLINE(cert-env33-c): all commands are constants */
	FILE *p = popen(command, "re");
	char *line, rest[256];

	if (!p)
		return NULL;
	line = fgets(buf, len, p);
	while (fgets(rest, sizeof(rest), p))
		;
	if (pclose(p) || !line)
		return NULL;
	buf[strcspn(buf, "\n")] = 0;
	return buf;
}
