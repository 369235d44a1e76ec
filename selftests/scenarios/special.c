// SPDX-License-Identifier: GPL-2.0
/*
 * special - a program that uses FIFOs, unix sockets and devices on a mount.
 *
 *	special NAME MOUNT CONTROL [forgets]
 *
 * Makes MOUNT/NAME and all that in it. CONTROL.cmd and CONTROL.out are FIFOs
 * outside the mount. "forgets": the daemon knows nothing of what is deleted. Says
 * "ready", then answers each line:
 *	check	uses all that it holds, and says "ok", or what is wrong
 *	quit	closes and removes all, says "bye" and ends
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"

static const char left[] = "what nobody has read";

static char dir[64];
static struct stat was_fifo, was_stream, was_dgram, was_packets;
static int fifo_in, fifo_out;		/* of our own */
static bool forgets;
static int lost_in, lost_out;		/* whose name is gone */
static int lost_reader, lost_writer;	/* one end of one each */
static int listener, server, client;	/* stream */
static int dgram, sender;
static int packets, packet_in, packet_out;	/* SOCK_SEQPACKET, one listens */
static int gone;			/* listens, but has no name any more */
static int zero = -1, full, lost_full;	/* devices; -1: the mount has none; whose name is gone */

/* Through the descriptors comes what was written, and what was left before. */
static int pass(const char *what, int to, int from, const char *before)
{
	char buf[128], want[128];
	size_t len = snprintf(want, sizeof(want), "%s%s", before, what), got = 0;

	if (write(to, what, strlen(what)) != (ssize_t)strlen(what))
		return bad("%s: write: %s", what, strerror(errno));
	while (got < len) {
		ssize_t n = read(from, buf + got, sizeof(buf) - got);

		if (n <= 0)
			return bad("%s: read %zu of %zu: %s", what, got, len, n ? strerror(errno) : "end");
		got += n;
	}
	return got == len && !memcmp(buf, want, len) ? 0 : bad("%s: %.*s", what, (int)got, buf);
}

static int leave(int fd)
{
	return write(fd, left, strlen(left)) == (ssize_t)strlen(left) ? 0 : bad("leave: %s", strerror(errno));
}

static int same_node(const char *name, const struct stat *was)
{
	struct stat st;

	if (stat(name, &st))
		return bad("stat %s: %s", name, strerror(errno));
	if (st.st_ino != was->st_ino || st.st_mode != was->st_mode || st.st_nlink != was->st_nlink)
		return bad("%s is inode %lu mode %o nlink %lu, not %lu %o %lu", name, st.st_ino, st.st_mode,
			   st.st_nlink, was->st_ino, was->st_mode, was->st_nlink);
	return 0;
}

/* --- FIFOs ------------------------------------------------------------------ */

/* Sends back what comes through a FIFO of which it has the other end open. */
static struct child {
	const char *name;
	pid_t pid;
	int to, from;	/* by way of the FIFO, by a pipe */
} children[] = { { .name = "two" }, { .name = "lost" } };

#define NR_CHILDREN	(sizeof(children) / sizeof(*children))

static int start_child(struct child *c)
{
	int back[2];

	if (mkfifo(c->name, 0600) || pipe2(back, O_CLOEXEC))
		return bad("%s: %s", c->name, strerror(errno));
	c->pid = fork();
	if (!c->pid) {
		char buf[64];
		ssize_t n;
		int in = open(c->name, O_RDONLY);

		while ((n = read(in, buf, sizeof(buf))) > 0)
			if (write(back[1], buf, n) != n)
				break;
		_exit(n ? 1 : 0);
	}
	close(back[1]);
	c->from = back[0];
	c->to = open(c->name, O_WRONLY | O_CLOEXEC);
	return c->pid < 0 || c->to < 0 ? bad("child: %s", strerror(errno)) : 0;
}

static int end_child(const struct child *c)
{
	int status;

	close(c->to);
	if (waitpid(c->pid, &status, 0) != c->pid || status)
		return bad("the child at %s: %#x", c->name, status);
	return 0;
}

/* Both ends; to be closed is one of which only the other is kept. */
static int open_lost(int *in, int *out)
{
	if (mkfifo("lost", 0600))
		return bad("mkfifo: %s", strerror(errno));
	*in = open("lost", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	*out = open("lost", O_WRONLY | O_CLOEXEC);
	if (*in < 0 || *out < 0 || unlink("lost"))
		return bad("lost: %s", strerror(errno));
	return 0;
}

/* All of one name, which they do not have any more. */
static int start_lost(void)
{
	int in, out;

	if (open_lost(&lost_in, &lost_out) || leave(lost_out) || open_lost(&lost_reader, &out) ||
	    leave(out) || open_lost(&in, &lost_writer))
		return -1;
	close(in);
	close(out);
	return 0;
}

static int start_fifos(void)
{
	if (mkfifo("fifo", 0640))
		return bad("mkfifo: %s", strerror(errno));
	fifo_in = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	fifo_out = open("fifo", O_WRONLY | O_CLOEXEC);
	if (fifo_in < 0 || fifo_out < 0 || stat("fifo", &was_fifo))
		return bad("fifo: %s", strerror(errno));
	if (leave(fifo_out) || start_lost())
		return -1;
	for (size_t i = 0; i < NR_CHILDREN; i++)
		if (start_child(&children[i]))
			return -1;
	return unlink("lost") ? bad("unlink: %s", strerror(errno)) : 0;
}

static int other_end(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

static int expect_lost(int fd)
{
	char path[64], name[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, name, sizeof(name) - 1);
	name[n < 0 ? 0 : n] = '\0';
	return strstr(name, "/lost (deleted)") ? 0 : bad("lost has become %s", name);
}

/* Nobody is at the other end. */
static int expect_alone(void)
{
	struct pollfd ends[] = { { .fd = lost_reader, .events = POLLIN }, { .fd = lost_writer } };
	int waits = 0;

	if (poll(ends, 2, 0) != 2 || ends[0].revents != (POLLIN | POLLHUP) || ends[1].revents != POLLERR)
		return bad("alone: %#x, %#x", ends[0].revents, ends[1].revents);
	if (ioctl(lost_reader, FIONREAD, &waits) || waits != (int)strlen(left))
		return bad("%d bytes wait for one that reads", waits);
	return 0;
}

/* Until somebody is. */
static int check_alone(void)
{
	int to, from, err;

	if (expect_alone())
		return -1;
	if (forgets)
		return 0;
	to = other_end(lost_reader, O_WRONLY);
	if (to < 0)
		return bad("the reader's other end: %s", strerror(errno));
	err = pass("to one that reads", to, lost_reader, left) ?: leave(to);
	close(to);
	from = other_end(lost_writer, O_RDONLY | O_NONBLOCK);
	if (from < 0)
		return bad("the writer's other end: %s", strerror(errno));
	err = err ?: pass("from one that writes", lost_writer, from, "");
	close(from);
	return err;
}

static int check_lost(void)
{
	struct stat st;

	if (!stat("lost", &st) || errno != ENOENT)
		return bad("lost is there: %s", strerror(errno));
	return expect_lost(lost_in) ?: expect_lost(lost_out) ?: expect_lost(lost_reader) ?:
	       expect_lost(lost_writer) ?: expect_lost(children[1].to) ?:
	       pass("a lost FIFO", lost_out, lost_in, left) ?: leave(lost_out) ?: check_alone();
}

static int check_fifos(void)
{
	int again = open("fifo", O_WRONLY | O_NONBLOCK | O_CLOEXEC), err;

	if (again < 0)
		return bad("open fifo: %s", strerror(errno));
	err = same_node("fifo", &was_fifo) ?: pass("a FIFO", fifo_out, fifo_in, left) ?:
	      pass("a FIFO by its name", again, fifo_in, "");
	close(again);
	err = err ?: leave(fifo_out);
	for (size_t i = 0; !err && i < NR_CHILDREN; i++)
		err = pass("a child's FIFO", children[i].to, children[i].from, "");
	return err ?: check_lost();
}

/* --- unix sockets ------------------------------------------------------------- */

static struct sockaddr_un address(const char *name, bool relative)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%.60s%s%.20s",
		 relative ? "" : dir, relative ? "" : "/", name);
	return a;
}

static int bound(int type, const char *name, bool relative)
{
	struct sockaddr_un a = address(name, relative);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) ||
	    (type != SOCK_DGRAM && listen(fd, 5)))
		return bad("bind %s: %s", name, strerror(errno));
	return fd;
}

static int connected(int type, const char *name)
{
	struct sockaddr_un a = address(name, false);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return bad("socket: %s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		int err = errno;

		close(fd);
		errno = err;
		return bad("connect %s: %s", name, strerror(err));
	}
	return fd;
}

/* Of a name that another file has got. */
static int start_gone(void)
{
	int fd;

	gone = bound(SOCK_STREAM, "gone", false);
	if (gone < 0)
		return -1;
	fd = unlink("gone") ? -1 : open("gone", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || leave(fd) || close(fd))
		return bad("gone: %s", strerror(errno));
	return 0;
}

static int start_packets(void)
{
	packets = bound(SOCK_SEQPACKET, "packets", false);
	packet_out = packets < 0 ? -1 : connected(SOCK_SEQPACKET, "packets");
	if (packet_out < 0)
		return -1;
	/* cppcheck-suppress nullPointer ; accept4() wants no address */
	packet_in = accept4(packets, NULL, NULL, SOCK_CLOEXEC);
	if (packet_in < 0 || stat("packets", &was_packets))
		return bad("packets: %s", strerror(errno));
	return leave(packet_out) ?: leave(packet_out);
}

static int start_sockets(void)
{
	listener = bound(SOCK_STREAM, "stream", false);
	dgram = bound(SOCK_DGRAM, "dgram", true);
	if (listener < 0 || dgram < 0)
		return -1;
	if (chmod("stream", 0620) || stat("stream", &was_stream) || stat("dgram", &was_dgram))
		return bad("sockets: %s", strerror(errno));
	client = connected(SOCK_STREAM, "stream");
	sender = connected(SOCK_DGRAM, "dgram");
	/* cppcheck-suppress nullPointer ; accept4() wants no address */
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (client < 0 || sender < 0 || server < 0)
		return bad("connect: %s", strerror(errno));
	return leave(client) ?: leave(sender) ?: start_packets() ?: start_gone();
}

static int check_stream(void)
{
	int fd, other, err;

	if (same_node("stream", &was_stream) || pass("a connection", client, server, left) ||
	    pass("its other side", server, client, "") || leave(client))
		return -1;
	fd = connected(SOCK_STREAM, "stream");
	if (fd < 0)
		return -1;
	/* cppcheck-suppress nullPointer ; likewise */
	other = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (other < 0)
		return bad("accept: %s", strerror(errno));
	err = pass("a new connection", fd, other, "");
	close(fd);
	close(other);
	return err;
}

static int check_dgram(void)
{
	char buf[64];
	int fd, err;

	if (same_node("dgram", &was_dgram))
		return -1;
	if (read(dgram, buf, sizeof(buf)) != (ssize_t)strlen(left) || memcmp(buf, left, strlen(left)))
		return bad("the datagram: %s", strerror(errno));
	fd = connected(SOCK_DGRAM, "dgram");
	if (fd < 0)
		return -1;
	err = pass("a new datagram", fd, dgram, "") ?: pass("a datagram", sender, dgram, "");
	close(fd);
	return err ?: leave(sender);
}

/* One is one, however much is asked for. */
static int read_packet(int fd)
{
	char buf[64];
	ssize_t n = read(fd, buf, sizeof(buf));

	return n == (ssize_t)strlen(left) && !memcmp(buf, left, n) ? 0 : bad("a packet has %zd bytes", n);
}

static int check_packets(void)
{
	int fd, other, err;

	if (same_node("packets", &was_packets) || read_packet(packet_in) || read_packet(packet_in) ||
	    pass("a packet", packet_out, packet_in, "") || pass("a packet back", packet_in, packet_out, ""))
		return -1;
	fd = connected(SOCK_SEQPACKET, "packets");
	if (fd < 0)
		return -1;
	/* cppcheck-suppress nullPointer ; likewise */
	other = accept4(packets, NULL, NULL, SOCK_CLOEXEC);
	if (other < 0)
		return bad("accept: %s", strerror(errno));
	err = pass("a packet anew", fd, other, "");
	close(fd);
	close(other);
	return err ?: leave(packet_out) ?: leave(packet_out);
}

static int check_gone(void)
{
	struct sockaddr_un a, want = address("gone", false);
	socklen_t len = sizeof(a);
	char buf[64];
	int listens = 0, fd;
	socklen_t int_len = sizeof(listens);

	if (getsockopt(gone, SOL_SOCKET, SO_ACCEPTCONN, &listens, &int_len) || !listens)
		return bad("gone does not listen");
	if (getsockname(gone, (struct sockaddr *)&a, &len) || strcmp(a.sun_path, want.sun_path))
		return bad("gone has become %s", a.sun_path);
	if (connected(SOCK_STREAM, "gone") >= 0 || errno != ECONNREFUSED)
		return bad("gone is there: %s", strerror(errno));
	fd = open("gone", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, buf, sizeof(buf)) != (ssize_t)strlen(left) || memcmp(buf, left, strlen(left)))
		return bad("the new gone: %s", strerror(errno));
	return close(fd);
}

/* --- devices ------------------------------------------------------------------ */

static int make_device(const char *name, unsigned int nr, int flags)
{
	int fd = mknod(name, S_IFCHR | 0600, makedev(1, nr)) ? -1 : open(name, flags | O_CLOEXEC);

	return fd < 0 ? bad("device %s: %s", name, strerror(errno)) : fd;
}

/* mknod(2) makes none in a user namespace but the first, which maps every number. */
static int can_make_devices(void)
{
	unsigned long inside, outside, count;
	struct statvfs st;
	FILE *f;
	int n;

	if (statvfs(".", &st))
		return bad("statvfs: %s", strerror(errno));
	f = fopen("/proc/self/uid_map", "re");
	if (!f)
		return bad("uid_map: %s", strerror(errno));
	n = fscanf(f, "%lu %lu %lu", &inside, &outside, &count);
	fclose(f);
	if (n != 3)
		return bad("uid_map cannot be read");
	return !(st.f_flag & ST_NODEV) && count == UINT_MAX;
}

static int start_devices(void)
{
	int can = can_make_devices();

	if (can <= 0)
		return can;
	zero = make_device("zero", 5, O_RDONLY);
	full = make_device("full", 7, O_RDWR);
	lost_full = make_device("lost", 7, O_WRONLY);
	return zero < 0 || full < 0 || lost_full < 0 || unlink("lost") ? -1 : 0;
}

static int check_devices(void)
{
	char buf[4096] = { 1 }, none[4096] = { 0 };
	struct stat st, by_name;

	if (zero < 0)
		return 0;
	if (read(zero, buf, sizeof(buf)) != sizeof(buf) || memcmp(buf, none, sizeof(buf)))
		return bad("zero: %s", strerror(errno));
	if (write(zero, buf, 1) >= 0 || errno != EBADF)
		return bad("zero can be written");
	if (write(full, buf, 1) >= 0 || errno != ENOSPC || read(full, buf, 1) != 1)
		return bad("full: %s", strerror(errno));
	if (write(lost_full, buf, 1) >= 0 || errno != ENOSPC || expect_lost(lost_full))
		return bad("the lost device: %s", strerror(errno));
	if (fstat(full, &st) || stat("full", &by_name) || st.st_ino != by_name.st_ino ||
	    st.st_rdev != makedev(1, 7))
		return bad("full is device %u:%u", major(st.st_rdev), minor(st.st_rdev));
	return 0;
}

static int quit_devices(void)
{
	if (zero < 0)
		return 0;
	close(zero);
	close(full);
	close(lost_full);
	return unlink("zero") || unlink("full") ? bad("devices: %s", strerror(errno)) : 0;
}

/* --- all of it ---------------------------------------------------------------- */

static int start(const char *mount, const char *name)
{
	snprintf(dir, sizeof(dir), "%s/%s", mount, name);
	if (mkdir(dir, 0755) || chdir(dir))
		return bad("%s: %s", dir, strerror(errno));
	return start_fifos() ?: start_sockets() ?: start_devices();
}

static int check(void)
{
	return check_fifos() ?: check_stream() ?: check_dgram() ?: check_packets() ?: check_gone() ?:
	       check_devices();
}

static int quit(void)
{
	/* A later one has the ends of those before. */
	for (size_t i = NR_CHILDREN; i--;)
		if (end_child(&children[i]))
			return -1;
	close(fifo_in);
	close(fifo_out);
	close(lost_in);
	close(lost_out);
	close(lost_reader);
	close(lost_writer);
	close(listener);
	close(server);
	close(client);
	close(dgram);
	close(sender);
	close(packets);
	close(packet_in);
	close(packet_out);
	close(gone);
	if (quit_devices())
		return -1;
	if (unlink("fifo") || unlink("two") || unlink("stream") || unlink("dgram") ||
	    unlink("packets") || unlink("gone") || chdir("..") || rmdir(dir))
		return bad("quit: %s", strerror(errno));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 4 && argc != 5) {
		fprintf(stderr, "usage: special NAME MOUNT CONTROL [forgets]\n");
		return 2;
	}
	forgets = argc == 5;
	control_open(argv[3]);
	return control_serve(start(argv[2], argv[1]), check, quit);
}
