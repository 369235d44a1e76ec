// SPDX-License-Identifier: GPL-2.0
/*
 * holder - holds one thing that a checkpoint may not carry.
 *
 *	holder WHAT PATH CONTROL
 *
 * Says "ready" to the FIFO CONTROL.out, and ends at a line from CONTROL.cmd.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include <linux/fuse.h>

#include "control.h"

/* FAN_MARK_IGNORE: not in every <linux/fanotify.h>. */
#define MARK_IGNORE	0x400

static int last;		/* opened */

static int hold_open(const char *path)
{
	last = open(path, O_RDWR | O_CLOEXEC);
	return last;
}

static int hold_read(const char *path)
{
	last = open(path, O_RDONLY | O_CLOEXEC);
	return last;
}

/* A device with a place in the kernel's log for each who has it open. */
static int hold_kmsg(const char *path)
{
	return mknod(path, S_IFCHR | 0600, makedev(1, 11)) ? -1 : hold_read(path);
}

static int hold_flock(const char *path)
{
	int fd = hold_open(path);

	return fd < 0 ? fd : flock(fd, LOCK_EX | LOCK_NB);
}

static int hold_lock(const char *path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10 };
	int fd = hold_open(path);

	return fd < 0 ? fd : fcntl(fd, F_SETLK, &lock);
}

/* Behind what another may have locked. */
static int hold_lock_end(const char *path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100 };
	int fd = hold_open(path);

	return fd < 0 ? fd : fcntl(fd, F_SETLK, &lock);
}

/* One that may be anybody's: it has no pid. */
static int hold_ofd(const char *path)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 10 };
	int fd = hold_open(path);

	return fd < 0 ? fd : fcntl(fd, F_OFD_SETLK, &lock);
}

/* In a message that nobody reads: no descriptor is left of it. */
static int send_away(int sock, int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .header = {
		.cmsg_len = CMSG_LEN(sizeof(int)),
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	} };
	struct iovec byte = { (void *)"", 1 };
	struct msghdr msg = {
		.msg_iov = &byte,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (sendmsg(sock, &msg, 0) != 1)
		return -1;
	return close(fd);
}

/* @last, which then is in the queue of socks[1]. */
static int send_last(int type, int *socks)
{
	return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, socks) ? -1 : send_away(socks[0], last);
}

static int hold_sent(const char *path)
{
	int socks[2];

	return hold_flock(path) ? -1 : send_last(SOCK_DGRAM, socks);
}

static int hold_ofd_sent(const char *path)
{
	int socks[2];

	return hold_ofd(path) ? -1 : send_last(SOCK_DGRAM, socks);
}

static int hold_sent_open(const char *path)
{
	int socks[2];

	return hold_open(path) < 0 ? -1 : send_last(SOCK_STREAM, socks);
}

/* And has a descriptor, too. */
static int hold_sent_dup(const char *path)
{
	int socks[2];

	return hold_open(path) < 0 || dup(last) < 0 ? -1 : send_last(SOCK_STREAM, socks);
}

/* The socket that is to receive it is in a message itself. */
static int hold_sent_nested(const char *path)
{
	int socks[2], outer[2];

	if (hold_open(path) < 0 || send_last(SOCK_STREAM, socks))
		return -1;
	return socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, outer) ? -1 : send_away(outer[0], socks[1]);
}

/* Nobody has accepted the connection. */
static int hold_sent_early(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "\0sent-early" };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (sock < 0 || bind(listener, (struct sockaddr *)&a, sizeof(a)) || listen(listener, 1) ||
	    connect(sock, (struct sockaddr *)&a, sizeof(a)) || hold_open(path) < 0)
		return -1;
	return send_away(sock, last);
}

/* More names than the module tells, and the first is not among them. */
static int hold_linked(const char *path)
{
	char name[4096];

	if (hold_open(path) < 0)
		return -1;
	for (int i = 0; i < 17; i++) {
		snprintf(name, sizeof(name), "%s.%d", path, i);
		if (link(path, name))
			return -1;
	}
	return 0;
}

static int hold_deleted(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	return fd < 0 ? fd : unlink(path);
}

/* A file in so many directories, one in the other, that are all deleted. */
static int delete_below(const char *path, unsigned int levels)
{
	char below[4096];

	snprintf(below, sizeof(below), "%s/d", path);
	if (!levels)
		return hold_deleted(path);
	return mkdir(path, 0755) || delete_below(below, levels - 1) ? -1 : rmdir(path);
}

static int hold_far_below(const char *path)
{
	return delete_below(path, 17);
}

static int hold_path(const char *path)
{
	return open(path, O_PATH | O_CLOEXEC);
}

/* A directory, in part. */
static int hold_listed(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char some[80];

	return syscall(SYS_getdents64, fd, some, sizeof(some)) > 0 ? 0 : -1;
}

static int watch(const char *path, uint32_t mask)
{
	int fd = inotify_init1(IN_CLOEXEC);

	return fd < 0 ? fd : inotify_add_watch(fd, path, mask);
}

static int hold_watch(const char *path)
{
	return watch(path, IN_MODIFY);
}

/* What CRIU does with a file that it looks at, too. */
static int hold_watch_once(const char *path)
{
	return watch(path, IN_ACCESS | IN_ONESHOT);
}

static int hold_watch_deleted(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	return fd < 0 || watch(path, IN_MODIFY) < 0 ? -1 : unlink(path);
}

/* By signals: no descriptor tells of it. */
static int hold_dnotify(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? fd : fcntl(fd, F_NOTIFY, DN_CREATE | DN_MULTISHOT);
}

static int hold_permission(const char *path)
{
	int fd = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY);

	return fd < 0 ? fd : fanotify_mark(fd, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, path);
}

static int hold_watch_ignore(const char *path)
{
	int fd = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC, O_RDONLY);

	return fd < 0 ? fd : fanotify_mark(fd, FAN_MARK_ADD | MARK_IGNORE, FAN_MODIFY, AT_FDCWD, path);
}

/* Of programs only: all others may open what they like. */
static int hold_permission_mount(const char *path)
{
	int fd = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY);

	return fd < 0 ? fd : fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN_EXEC_PERM,
					   AT_FDCWD, path);
}

static int hold_marked(const char *path, unsigned int what)
{
	int fd = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC, O_RDONLY);

	return fd < 0 ? fd : fanotify_mark(fd, FAN_MARK_ADD | what, FAN_MODIFY, AT_FDCWD, path);
}

static int hold_watch_all(const char *path)
{
	return hold_marked(path, FAN_MARK_FILESYSTEM);
}

static int hold_watch_mount(const char *path)
{
	return hold_marked(path, FAN_MARK_MOUNT);
}

static int hold_bound(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	return fd < 0 ? fd : bind(fd, (struct sockaddr *)&a, sizeof(a));
}

static int hold_bound_below(const char *path)
{
	char socket[4096];

	snprintf(socket, sizeof(socket), "%s/socket", path);
	return mkdir(path, 0755) || hold_bound(socket) || unlink(socket) ? -1 : rmdir(path);
}

/* Which of the two a bind() at restore is for nobody can tell. */
static int hold_bound_twice(const char *path)
{
	return hold_bound(path) || unlink(path) ? -1 : hold_bound(path);
}

/* Stays in the cache only when write-back caching was negotiated. */
static int hold_dirty(const char *path)
{
	int fd = hold_open(path);

	return fd < 0 ? fd : write(fd, "dirty", 5) - 5;
}

/* Locked, with a page of its own; what is behind that is the file's. */
static int hold_locked(const char *path)
{
	size_t size = 2 * sysconf(_SC_PAGESIZE);
	int fd = hold_open(path);
	char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	if (map == MAP_FAILED)
		return -1;
	*map = 'x';
	return mlock2(map, size, MLOCK_ONFAULT);
}

/* Somebody else has it written, and hears that it could not be. */
static int hold_write_lost(const char *path)
{
	int fd = hold_open(path), other = hold_read(path);

	if (fd < 0 || other < 0 || write(fd, "lost", 4) != 4)
		return -1;
	return syncfs(other) || fsync(other) ? 0 : -1;
}

/* @path is PID/FD: a descriptor of another process. */
static int hold_device(const char *path)
{
	int pid, fd, pidfd;

	if (sscanf(path, "%d/%d", &pid, &fd) != 2)
		return -1;
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	return pidfd < 0 ? -1 : syscall(SYS_pidfd_getfd, pidfd, fd, 0);
}

/* Another open one of the same daemon, that is nowhere but in a message. */
static int hold_device_sent(const char *path)
{
	int socks[2], fd = hold_device(path);
	uint32_t from = fd;

	last = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd < 0 || last < 0 || ioctl(last, FUSE_DEV_IOC_CLONE, &from) || close(fd))
		return -1;
	return send_last(SOCK_DGRAM, socks);
}

/* A thread that has what says "flags" to itself, and there @path. */
struct loner {
	int flags;
	const char *path;
	int ready[2];
};

static void *live_alone(void *arg)
{
	const struct loner *l = arg;
	int err = unshare(l->flags);

	err = err ?: l->flags == CLONE_FS ? chdir(l->path) : -(hold_open(l->path) < 0);
	if (write(l->ready[1], err ? "-" : "+", 1) == 1)
		pause();
	return NULL;
}

static int hold_alone(int flags, const char *path)
{
	static struct loner l;
	pthread_t thread;
	char result = 0;

	l = (struct loner){ .flags = flags, .path = path };
	if (pipe2(l.ready, O_CLOEXEC) || pthread_create(&thread, NULL, live_alone, &l) ||
	    read(l.ready[0], &result, 1) != 1)
		return -1;
	return result == '+' ? 0 : -1;
}

static int hold_thread_files(const char *path)
{
	return hold_alone(CLONE_FILES, path);
}

static int hold_thread_fs(const char *path)
{
	return hold_alone(CLONE_FS, path);
}

/* Locked when it is signalled. */
static void lock_last(int sig)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10 };

	(void)sig;
	(void)fcntl(last, F_SETLK, &lock);
}

static int hold_lock_later(const char *path)
{
	const struct sigaction action = { .sa_handler = lock_last, .sa_flags = SA_RESTART };

	return hold_open(path) < 0 ? -1 : sigaction(SIGUSR1, &action, NULL);
}

static const struct {
	const char *name;
	int (*hold)(const char *path);
} kinds[] = {
	{ "open", hold_open },
	{ "read", hold_read },
	{ "kmsg", hold_kmsg },
	{ "flock", hold_flock },
	{ "lock", hold_lock },
	{ "lock-end", hold_lock_end },
	{ "lock-later", hold_lock_later },
	{ "ofd", hold_ofd },
	{ "ofd-sent", hold_ofd_sent },
	{ "sent", hold_sent },
	{ "sent-open", hold_sent_open },
	{ "sent-dup", hold_sent_dup },
	{ "sent-nested", hold_sent_nested },
	{ "sent-early", hold_sent_early },
	{ "linked", hold_linked },
	{ "far-below", hold_far_below },
	{ "path", hold_path },
	{ "listed", hold_listed },
	{ "watch", hold_watch },
	{ "watch-once", hold_watch_once },
	{ "watch-deleted", hold_watch_deleted },
	{ "dnotify", hold_dnotify },
	{ "permission", hold_permission },
	{ "permission-mount", hold_permission_mount },
	{ "watch-all", hold_watch_all },
	{ "watch-ignore", hold_watch_ignore },
	{ "watch-mount", hold_watch_mount },
	{ "bound", hold_bound },
	{ "bound-twice", hold_bound_twice },
	{ "bound-below", hold_bound_below },
	{ "dirty", hold_dirty },
	{ "locked", hold_locked },
	{ "write-lost", hold_write_lost },
	{ "device", hold_device },
	{ "device-sent", hold_device_sent },
	{ "thread-files", hold_thread_files },
	{ "thread-fs", hold_thread_fs },
};

int main(int argc, char **argv)
{
	char line[32];

	if (argc != 4) {
		fprintf(stderr, "usage: holder WHAT PATH CONTROL\n");
		return 2;
	}
	control_open(argv[3]);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(kinds[i].name, argv[1]))
			continue;
		if (kinds[i].hold(argv[2]) < 0) {
			control_say("%s: %s", argv[2], strerror(errno));
			return 1;
		}
		control_say("ready");
		return control_hear(line, sizeof(line)) ? 0 : 1;
	}
	control_say("cannot hold %s", argv[1]);
	return 2;
}
