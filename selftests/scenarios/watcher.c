// SPDX-License-Identifier: GPL-2.0
/*
 * watcher - a program that waits for something to happen on a mount.
 *
 *	watcher NAME MOUNT CONTROL [poll]
 *
 * Makes MOUNT/NAME and files in it, and watches them with inotify; with poll it
 * polls files of a server that says when they are ready (rawd). CONTROL.cmd and
 * CONTROL.out are FIFOs outside the mount. Says "ready", then answers each line:
 *	check	uses all that it holds, and says "ok", or what is wrong
 *	quit	closes and removes all, says "bye" and ends
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"

#define PATIENCE_MS 60000

static bool polls;

/* --- inotify ------------------------------------------------------------------ */

static int group, lone;		/* the second watches one file that is open, too */
static int flagged;		/* inotify with more than events in its masks */
static const char *self;		/* our directory on the mount */
static int on_file, on_dir, on_open, opened, on_once, on_linked;
static int fan;			/* fanotify */
static char was_group[2048], was_lone[2048], was_fan[2048], was_flagged[2048];

/* What the kernel tells of the watches, but for the device. */
static int read_watches(int fd, char *text, size_t size)
{
	char path[64], line[512];
	size_t at = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	if (!f)
		return bad("%s: %s", path, strerror(errno));
	text[0] = '\0';
	while (fgets(line, sizeof(line), f)) {
		char *dev = strstr(line, "sdev:"), *rest = dev ? strchr(dev, ' ') : NULL;

		if (!rest)
			continue;
		*dev = '\0';
		at += snprintf(text + at, size - at, "%s%s", line, rest);
	}
	fclose(f);
	return at ? 0 : bad("no watches");
}

static int make(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return bad("make %s: %s", name, strerror(errno));
	return close(fd);
}

/* The watch ends with its event. */
static int watch_once(void)
{
	on_once = inotify_add_watch(flagged, "once", IN_MODIFY | IN_ONESHOT);
	return on_once < 0 ? bad("watch once: %s", strerror(errno)) :
			     read_watches(flagged, was_flagged, sizeof(was_flagged));
}

/* Of what is no longer linked there it does not tell. */
static int start_flagged(void)
{
	if (make("once", "once") || mkdir("linked", 0755))
		return bad("make: %s", strerror(errno));
	flagged = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	on_linked = inotify_add_watch(flagged, "linked", IN_MODIFY | IN_DELETE | IN_EXCL_UNLINK);
	return on_linked < 0 ? bad("watch linked: %s", strerror(errno)) : watch_once();
}

static int start_watching(void)
{
	int first;

	if (make("file", "file") || make("open", "open") || make("fan", "fan") || mkdir("dir", 0755))
		return bad("make: %s", strerror(errno));
	group = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	lone = inotify_init1(IN_NONBLOCK);
	/* So that the numbers do not begin with the first. */
	first = inotify_add_watch(group, ".", IN_CREATE);
	if (first < 0 || inotify_rm_watch(group, first) || read(group, wrong, sizeof(wrong)) <= 0)
		return bad("watch: %s", strerror(errno));
	on_file = inotify_add_watch(group, "file", IN_MODIFY | IN_CLOSE_WRITE);
	on_dir = inotify_add_watch(group, "dir", IN_CREATE | IN_DELETE);
	on_open = inotify_add_watch(lone, "open", IN_MODIFY | IN_MOVE_SELF);
	opened = open("open", O_WRONLY | O_APPEND | O_CLOEXEC);
	if (on_file != first + 1 || on_dir < 0 || on_open < 0 || opened < 0)
		return bad("watch: %s", strerror(errno));
	fan = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_CLOEXEC, O_RDONLY);
	if (fan < 0 || fanotify_mark(fan, FAN_MARK_ADD, FAN_MODIFY, AT_FDCWD, "fan"))
		return bad("fanotify: %s", strerror(errno));
	return start_flagged() ?:
	       read_watches(group, was_group, sizeof(was_group)) ?:
	       read_watches(lone, was_lone, sizeof(was_lone)) ?:
	       read_watches(fan, was_fan, sizeof(was_fan));
}

static int same_watches(int fd, const char *was)
{
	char now[2048];

	if (read_watches(fd, now, sizeof(now)))
		return -1;
	return strcmp(was, now) ? bad("the watches are %.*s", (int)strcspn(now, "\n"), now) : 0;
}

/* The next event is this one; wd 0: there is none. */
static int expect(int fd, int wd, uint32_t mask, const char *name)
{
	static union {
		struct inotify_event event;
		char room[4096];
	} buf;
	static ssize_t left, at;
	const struct inotify_event *e;

	if (at == left) {
		at = 0;
		left = read(fd, &buf, sizeof(buf));
		if (left < 0) {
			left = 0;
			return errno == EAGAIN && !wd ? 0 : bad("watch %d: no event %#x: %s", wd, mask, strerror(errno));
		}
	}
	e = (const struct inotify_event *)(buf.room + at);
	at += sizeof(*e) + e->len;
	if (e->wd != wd || e->mask != mask || strcmp(e->len ? e->name : "", name))
		return bad("event: watch %d mask %#x %s, not %d %#x %s", e->wd, e->mask,
			   e->len ? e->name : "", wd, mask, name);
	return 0;
}

static int check_fanotify(void)
{
	struct fanotify_event_metadata event = { 0 };
	struct stat st, want;

	if (same_watches(fan, was_fan) || make("fan", "else"))
		return -1;
	if (read(fan, &event, sizeof(event)) != sizeof(event) || event.mask != FAN_MODIFY)
		return bad("fanotify: mask %#llx: %s", event.mask, strerror(errno));
	if (fstat(event.fd, &st) || stat("fan", &want) || st.st_ino != want.st_ino || close(event.fd))
		return bad("fanotify: another file: %s", strerror(errno));
	if (read(fan, &event, sizeof(event)) >= 0 || errno != EAGAIN)
		return bad("fanotify: more: %#llx", event.mask);
	return 0;
}

static int check_flagged(void)
{
	int fd, err;

	if (same_watches(flagged, was_flagged) || expect(flagged, 0, 0, "") ||
	    make("once", "else") || expect(flagged, on_once, IN_MODIFY, "") ||
	    expect(flagged, on_once, IN_IGNORED, "") || make("once", "more") || watch_once())
		return -1;
	fd = open("linked/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, "new", 3) != 3)
		return bad("linked/new: %s", strerror(errno));
	err = expect(flagged, on_linked, IN_MODIFY, "new") || unlink("linked/new") ||
	      expect(flagged, on_linked, IN_DELETE, "new");
	if (!err && write(fd, "new", 3) != 3)
		err = bad("linked/new: %s", strerror(errno));
	return close(fd) || err || expect(flagged, 0, 0, "") ? -1 : 0;
}

static int check_watches(void)
{
	if (expect(group, 0, 0, "") || expect(lone, 0, 0, "") ||
	    same_watches(group, was_group) || same_watches(lone, was_lone))
		return -1;
	if (make("file", "else") || expect(group, on_file, IN_MODIFY, "") ||
	    expect(group, on_file, IN_CLOSE_WRITE, ""))
		return -1;
	if (make("dir/new", "new") || expect(group, on_dir, IN_CREATE, "new") ||
	    unlink("dir/new") || expect(group, on_dir, IN_DELETE, "new"))
		return -1;
	if (write(opened, "more", 4) != 4 || expect(lone, on_open, IN_MODIFY, "") ||
	    rename("open", "renamed") || expect(lone, on_open, IN_MOVE_SELF, "") ||
	    rename("renamed", "open") || expect(lone, on_open, IN_MOVE_SELF, ""))
		return -1;
	return expect(group, 0, 0, "") ?: check_flagged();
}

/* --- poll --------------------------------------------------------------------- */

static int control, levels, edges, level, edge;
static int child, from_child, to_child;

static int tell_server(const char *what)
{
	return write(control, what, strlen(what)) == (ssize_t)strlen(what) ? 0 :
	       bad("%s: %s", what, strerror(errno));
}

/* Says each time that it was told, and waits again when it is told to. */
static int start_child(void)
{
	int back[2], there[2];

	if (pipe2(back, O_CLOEXEC) || pipe2(there, O_CLOEXEC))
		return bad("pipe: %s", strerror(errno));
	child = fork();
	if (!child) {
		struct pollfd pfd = { .fd = level, .events = POLLIN };
		char c;

		for (;;)
			if (poll(&pfd, 1, -1) == 1 &&
			    (write(back[1], "!", 1) != 1 || read(there[0], &c, 1) != 1))
				_exit(0);
	}
	close(back[1]);
	close(there[0]);
	from_child = back[0];
	to_child = there[1];
	return child < 0 ? bad("fork: %s", strerror(errno)) : 0;
}

static int add(int set, int fd, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.u64 = events };

	return epoll_ctl(set, EPOLL_CTL_ADD, fd, &e) ? bad("epoll_ctl: %s", strerror(errno)) : 0;
}

static int start_polling(const char *mount)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/.ctl", mount);
	control = open(path, O_WRONLY | O_CLOEXEC);
	level = open("../f3", O_RDONLY | O_CLOEXEC);
	edge = open("../f4", O_RDONLY | O_CLOEXEC);
	levels = epoll_create1(EPOLL_CLOEXEC);
	edges = epoll_create1(EPOLL_CLOEXEC);
	if (control < 0 || level < 0 || edge < 0 || levels < 0 || edges < 0)
		return bad("poll: %s", strerror(errno));
	return add(levels, level, EPOLLIN) ?: add(edges, edge, EPOLLIN | EPOLLET) ?: start_child();
}

static int expect_ready(int set, const char *what, int ms, int count)
{
	struct epoll_event e;
	int n;

	do
		n = epoll_wait(set, &e, 1, ms);
	while (n < 0 && errno == EINTR);
	return n == count ? 0 : bad("%s: %d are ready, not %d: %s", what, n, count, strerror(errno));
}

static int check_polls(void)
{
	struct pollfd pfd = { .fd = from_child, .events = POLLIN };
	char c;

	if (expect_ready(levels, "too early", 0, 0) || expect_ready(edges, "an edge too early", 0, 0) ||
	    poll(&pfd, 1, 0) || tell_server("ready"))
		return bad("before: %s", wrong);
	if (expect_ready(levels, "level", PATIENCE_MS, 1) || expect_ready(levels, "level again", 0, 1) ||
	    expect_ready(edges, "edge", PATIENCE_MS, 1) || expect_ready(edges, "edge again", 0, 0))
		return -1;
	if (poll(&pfd, 1, PATIENCE_MS) != 1 || read(from_child, &c, 1) != 1)
		return bad("the child was not told");
	if (tell_server("unready") || write(to_child, "!", 1) != 1)
		return bad("after: %s", wrong);
	return expect_ready(levels, "no more", 0, 0);
}

/* --- all of it ---------------------------------------------------------------- */

static int start(const char *mount, const char *name)
{
	if (chdir(mount) || mkdir(name, 0755) || chdir(name))
		return bad("%s/%s: %s", mount, name, strerror(errno));
	return start_watching() ?: polls ? start_polling(mount) : 0;
}

static int check(void)
{
	return check_watches() ?: check_fanotify() ?: polls ? check_polls() : 0;
}

static int quit(void)
{
	close(group);
	close(lone);
	close(flagged);
	close(fan);
	close(opened);
	if (polls && (kill(child, SIGKILL) || waitpid(child, NULL, 0) != child))
		return bad("child: %s", strerror(errno));
	close(level);
	close(edge);
	close(control);
	if (unlink("file") || unlink("open") || unlink("fan") || unlink("once") || rmdir("linked") ||
	    rmdir("dir") || chdir("..") || rmdir(self))
		return bad("quit: %s", strerror(errno));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 4 && argc != 5) {
		fprintf(stderr, "usage: watcher NAME MOUNT CONTROL [poll]\n");
		return 2;
	}
	polls = argc == 5;
	control_open(argv[3]);
	self = argv[1];
	return control_serve(start(argv[2], argv[1]), check, quit);
}
