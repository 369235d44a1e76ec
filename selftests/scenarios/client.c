// SPDX-License-Identifier: GPL-2.0
/*
 * client - a program with state on a mount, which it checks on request.
 *
 *	client [-u UID] NAME MOUNT CONTROL
 *
 * Makes MOUNT/NAME and holds files in it open. CONTROL.cmd and CONTROL.out are
 * FIFOs outside the mount. Says "ready", then answers each line:
 *	check	uses all that it holds, and says "ok", or what is wrong
 *	quit	closes and removes all, says "bye" and ends
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "control.h"

#define DATA_SIZE	65536
#define NR_ENTRIES	60

#define NR(a) (sizeof(a) / sizeof(*(a)))

/* Open files, and what must still be true of them. */
enum { RO, RO_DUP, SECOND, RW, LOG, SHARED, DEEP, VICTIM, LIST, NR_FDS };

static struct held {
	int fd;
	int fl, fdfl;		/* F_GETFL, F_GETFD */
	off_t pos;
	struct stat st;
} held[NR_FDS];

static const char * const names[NR_FDS] = {
	"ro", "ro_dup", "second", "rw", "log", "shared", "deep", "victim", "list",
};

static char top[PATH_MAX], cwd[PATH_MAX];
static bool listed[NR_ENTRIES];
static int nr_listed;
static unsigned int round_nr;
static int to_child, from_child;
static pid_t child;

static unsigned char pattern(off_t at)
{
	return at * 7 + (at >> 8) * 13 + 5;
}

static int fill(int fd, off_t at, size_t len)
{
	unsigned char buf[4096];

	while (len) {
		size_t n = len < sizeof(buf) ? len : sizeof(buf);

		/* cppcheck-suppress knownConditionTrueFalse ; n is never 0 */
		for (size_t i = 0; i < n; i++)
			buf[i] = pattern(at + i);
		if (write(fd, buf, n) != (ssize_t)n)
			return bad("write at %ld: %s", (long)at, strerror(errno));
		at += n;
		len -= n;
	}
	return 0;
}

/* Reads at the file's own position, which must be @at. */
static int expect_data(int fd, const char *name, off_t at, size_t len)
{
	unsigned char buf[4096];
	off_t pos = lseek(fd, 0, SEEK_CUR);
	ssize_t n;

	if (pos != at)
		return bad("%s stands at %ld, not %ld", name, (long)pos, (long)at);
	n = read(fd, buf, len);
	if (n != (ssize_t)len)
		return bad("%s: %zd of %zu bytes at %ld: %s", name, n, len,
			   (long)at, n < 0 ? strerror(errno) : "short");
	for (size_t i = 0; i < len; i++)
		if (buf[i] != pattern(at + i))
			return bad("%s: byte %ld is %#x, not %#x", name,
				   (long)(at + i), buf[i], pattern(at + i));
	return 0;
}

static int make_file(const char *path, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int err;

	if (fd < 0)
		return bad("create %s: %s", path, strerror(errno));
	err = fill(fd, 0, size);
	if (close(fd) && !err)
		err = bad("close %s: %s", path, strerror(errno));
	return err;
}

/* CRIU by itself drops what only matters to open (criu/files-reg.c). */
static int file_flags(int fd)
{
	return fcntl(fd, F_GETFL) & ~O_DIRECTORY;
}

/* Notes what is to be so for ever after. */
static int note(int which)
{
	struct held *h = &held[which];

	h->fl = file_flags(h->fd);
	h->fdfl = fcntl(h->fd, F_GETFD);
	h->pos = lseek(h->fd, 0, SEEK_CUR);
	if (fstat(h->fd, &h->st))
		return bad("fstat %s: %s", names[which], strerror(errno));
	return 0;
}

static int hold(int which, const char *path, int flags, off_t pos)
{
	struct held *h = &held[which];

	h->fd = open(path, flags);
	if (h->fd < 0)
		return bad("open %s: %s", path, strerror(errno));
	if (pos && lseek(h->fd, pos, SEEK_SET) != pos)
		return bad("lseek %s: %s", path, strerror(errno));
	return note(which);
}

/* --- the child: shares one open file ----------------------------------- */

static void child_main(int in, int out)
{
	uint32_t n;

	while (read(in, &n, sizeof(n)) == sizeof(n)) {
		char ok = !expect_data(held[SHARED].fd, "shared",
				       lseek(held[SHARED].fd, 0, SEEK_CUR), n);

		if (write(out, &ok, 1) != 1)
			break;
	}
	_exit(0);
}

static int start_child(void)
{
	int there[2], back[2];

	if (pipe2(there, O_CLOEXEC) || pipe2(back, O_CLOEXEC))
		return bad("pipe: %s", strerror(errno));
	child = fork();
	if (child < 0)
		return bad("fork: %s", strerror(errno));
	if (!child) {
		close(there[1]);
		close(back[0]);
		child_main(there[0], back[1]);
	}
	close(there[0]);
	close(back[1]);
	to_child = there[1];
	from_child = back[0];
	return 0;
}

static int check_shared(void)
{
	uint32_t n = 100;
	char ok = 0;

	if (expect_data(held[SHARED].fd, "shared", held[SHARED].pos, 50))
		return -1;
	if (write(to_child, &n, sizeof(n)) != sizeof(n) ||
	    read(from_child, &ok, 1) != 1 || !ok)
		return bad("the child cannot read the shared file");
	held[SHARED].pos += 150;
	if (lseek(held[SHARED].fd, 0, SEEK_CUR) != held[SHARED].pos)
		return bad("the child does not share the position");
	return 0;
}

/* --- a directory, half read -------------------------------------------- */

struct linux_dirent64 {
	uint64_t d_ino;
	int64_t d_off;
	unsigned short d_reclen;
	unsigned char d_type;
	char d_name[];
};

/* One small piece of the listing: 0 at the end, -1 wrong. */
static int list_some(void)
{
	char buf[256];
	long n = syscall(SYS_getdents64, held[LIST].fd, buf, sizeof(buf));
	unsigned int i;

	if (n < 0)
		return bad("getdents: %s", strerror(errno));
	for (long at = 0; at < n;) {
		struct linux_dirent64 *d = (void *)(buf + at);

		at += d->d_reclen;
		if (sscanf(d->d_name, "entry%u", &i) != 1)
			continue;
		if (i >= NR_ENTRIES || listed[i])
			return bad("the listing has %s %s", d->d_name,
				   i < NR_ENTRIES ? "twice" : "out of nowhere");
		listed[i] = true;
		nr_listed++;
	}
	return n > 0;
}

static int list_half(void)
{
	memset(listed, 0, sizeof(listed));
	nr_listed = 0;
	while (nr_listed < NR_ENTRIES / 2)
		if (list_some() <= 0)
			return bad("%d entries: %s", nr_listed, wrong);
	return note(LIST);
}

static int check_list(void)
{
	int more;

	if (nr_listed < NR_ENTRIES / 2 || nr_listed == NR_ENTRIES)
		return bad("%d entries listed before", nr_listed);
	do
		more = list_some();
	while (more > 0);
	if (more < 0)
		return -1;
	if (nr_listed != NR_ENTRIES)
		return bad("the listing lost %d of %d entries",
			   NR_ENTRIES - nr_listed, NR_ENTRIES);
	/* Not rewound: sshfs has no second reading of one handle. */
	close(held[LIST].fd);
	return hold(LIST, "../many", O_RDONLY | O_DIRECTORY, 0) ?: list_half();
}

/* --- the other checks ---------------------------------------------------- */

static int check_fds(void)
{
	for (int i = 0; i < NR_FDS; i++) {
		struct held *h = &held[i];
		struct stat st;
		int fl = file_flags(h->fd), fdfl = fcntl(h->fd, F_GETFD);

		if (fl != h->fl || fdfl != h->fdfl)
			return bad("%s has flags %#o %#o, not %#o %#o", names[i],
				   fl, fdfl, h->fl, h->fdfl);
		if (fstat(h->fd, &st))
			return bad("fstat %s: %s", names[i], strerror(errno));
		if (st.st_ino != h->st.st_ino || st.st_nlink != h->st.st_nlink ||
		    st.st_mode != h->st.st_mode || st.st_uid != h->st.st_uid)
			return bad("%s is inode %lu nlink %lu mode %o uid %u, not %lu %lu %o %u",
				   names[i], st.st_ino, st.st_nlink, st.st_mode,
				   st.st_uid, h->st.st_ino, h->st.st_nlink,
				   h->st.st_mode, h->st.st_uid);
		if (S_ISREG(st.st_mode) && st.st_size != h->st.st_size)
			return bad("%s has %ld bytes, not %ld", names[i],
				   (long)st.st_size, (long)h->st.st_size);
	}
	return 0;
}

static int check_read(void)
{
	struct held *ro = &held[RO], *second = &held[SECOND];

	/* The duplicate moves with the original, the second open does not. */
	if (expect_data(ro->fd, "ro", ro->pos, 500) ||
	    expect_data(held[RO_DUP].fd, "ro_dup", ro->pos + 500, 500) ||
	    expect_data(second->fd, "second", second->pos, 300) ||
	    expect_data(held[DEEP].fd, "deep", held[DEEP].pos, 10))
		return -1;
	ro->pos += 1000;
	second->pos += 300;
	held[DEEP].pos += 10;
	return 0;
}

static int check_inverted(int fd, off_t at, int len)
{
	unsigned char want[100] = { 0 }, got[100] = { 0 };
	int other = open("../book", O_RDONLY | O_CLOEXEC), n;

	for (int i = 0; i < len; i++)
		want[i] = ~pattern(at + i);
	if (pwrite(fd, want, len, at) != len || fsync(fd))
		return bad("write over rw: %s", strerror(errno));
	n = pread(other, got, len, at);
	close(other);
	if (n != len || memcmp(got, want, len))
		return bad("what is written over rw at %ld is not there", (long)at);
	return 0;
}

/* What went in through the old descriptor comes out by the path. */
static int check_write(void)
{
	struct held *rw = &held[RW];
	off_t at = lseek(rw->fd, 0, SEEK_CUR);
	int fd, err;

	if (at != rw->pos)
		return bad("rw stands at %ld, not %ld", (long)at, (long)rw->pos);
	/* First what was not there before: what is lost shows. */
	if (check_inverted(rw->fd, at, 100))
		return -1;
	if (fill(rw->fd, at, 100))
		return -1;
	if (fsync(rw->fd))
		return bad("fsync: %s", strerror(errno));
	fd = open("../book", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || lseek(fd, at, SEEK_SET) != at)
		return bad("open book: %s", strerror(errno));
	err = expect_data(fd, "book", at, 100);
	close(fd);
	return err ?: note(RW);
}

static int check_append(void)
{
	struct held *log = &held[LOG];
	char line[32], got[32] = "";
	int fd, len = snprintf(line, sizeof(line), "round %u\n", round_nr);
	off_t end = log->st.st_size;

	if (lseek(log->fd, 0, SEEK_SET))
		return bad("lseek log: %s", strerror(errno));
	if (write(log->fd, line, len) != len)
		return bad("append: %s", strerror(errno));
	if (fsync(log->fd))
		return bad("fsync log: %s", strerror(errno));
	if (note(LOG))
		return -1;
	if (log->st.st_size != end + len)
		return bad("the log has %ld bytes after %d were appended to %ld",
			   (long)log->st.st_size, len, (long)end);
	fd = open("../log", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, got, len, end) != len || strcmp(got, line))
		return bad("the end of the log is \"%s\": %s", got, strerror(errno));
	close(fd);
	return 0;
}

static int check_cwd(void)
{
	char now[PATH_MAX] = "";
	struct stat here, there;

	if (!getcwd(now, sizeof(now)) || strcmp(now, cwd))
		return bad("the current directory is \"%s\", not %s", now, cwd);
	if (stat(".", &here) || stat(cwd, &there) || here.st_ino != there.st_ino)
		return bad("stat of the current directory: %s", strerror(errno));
	if (access("b/c/deep", R_OK) || access("../book", W_OK))
		return bad("access: %s", strerror(errno));
	return 0;
}

static int check_names(void)
{
	struct stat a, b;
	char old[64], new[64];

	snprintf(old, sizeof(old), "new%u", round_nr);
	snprintf(new, sizeof(new), "../moved%u", round_nr);
	if (make_file(old, 1000))
		return -1;
	if (stat(old, &a) || a.st_size != 1000)
		return bad("stat of a new file: %s", strerror(errno));
	if (rename(old, new))
		return bad("rename: %s", strerror(errno));
	if (stat(new, &b) || a.st_ino != b.st_ino)
		return bad("stat of a renamed file: %s", strerror(errno));
	if (unlink(new))
		return bad("unlink: %s", strerror(errno));
	if (!access(new, F_OK) || errno != ENOENT || !access(old, F_OK))
		return bad("a removed file is there: %s", strerror(errno));
	if (mkdir("../newdir", 0755) || rmdir("../newdir"))
		return bad("mkdir, rmdir: %s", strerror(errno));
	return 0;
}

/* A file from before is closed, another one takes its place. */
static int check_close(void)
{
	if (close(held[VICTIM].fd))
		return bad("close: %s", strerror(errno));
	return hold(VICTIM, "../data", O_RDONLY, 99);
}

static const struct check {
	const char *name;
	int (*run)(void);
} checks[] = {
	{ "descriptors", check_fds },
	{ "directory listing", check_list },
	{ "reading", check_read },
	{ "sharing", check_shared },
	{ "current directory", check_cwd },
	{ "writing", check_write },
	{ "appending", check_append },
	{ "names", check_names },
	{ "closing", check_close },
};

static void check_all(void)
{
	round_nr++;
	for (size_t i = 0; i < NR(checks); i++) {
		if (!checks[i].run())
			continue;
		control_say("not ok: %s: %s", checks[i].name, wrong);
		return;
	}
	control_say("ok");
}

/* --- start and end -------------------------------------------------------- */

static int make_tree(void)
{
	char path[32];

	if (mkdir(top, 0755) || chdir(top))
		return bad("mkdir %s: %s", top, strerror(errno));
	if (mkdir("a", 0755) || mkdir("a/b", 0755) || mkdir("a/b/c", 0755) ||
	    mkdir("many", 0755))
		return bad("mkdir: %s", strerror(errno));
	for (int i = 0; i < NR_ENTRIES; i++) {
		snprintf(path, sizeof(path), "many/entry%d", i);
		if (make_file(path, 0))
			return -1;
	}
	if (make_file("data", DATA_SIZE) || make_file("book", 8192) ||
	    make_file("log", 0) || make_file("a/b/c/deep", 4096))
		return -1;
	if (chdir("a") || !getcwd(cwd, sizeof(cwd)))
		return bad("chdir: %s", strerror(errno));
	return 0;
}

static int open_all(void)
{
	if (hold(SHARED, "../data", O_RDONLY, 1) || start_child() ||
	    hold(RO, "../data", O_RDONLY | O_CLOEXEC, 12345) ||
	    hold(SECOND, "../data", O_RDONLY | O_NONBLOCK, 777) ||
	    hold(RW, "../book", O_RDWR, 8000) ||
	    hold(LOG, "../log", O_WRONLY | O_APPEND, 0) ||
	    hold(DEEP, "b/c/deep", O_RDONLY, 0) ||
	    hold(VICTIM, "../data", O_RDONLY, 99) ||
	    hold(LIST, "../many", O_RDONLY | O_DIRECTORY, 0))
		return -1;
	held[RO_DUP].fd = dup(held[RO].fd);
	if (held[RO_DUP].fd < 0)
		return bad("dup: %s", strerror(errno));
	return note(RO_DUP) ?: list_half();
}

/*
 * libfuse keeps what was open when it was removed under another name until its RELEASE,
 * which nobody waits for.
 */
static int remove_dir(const char *path)
{
	static const struct timespec moment = { .tv_nsec = 5000000 };

	int err = rmdir(path);

	for (int i = 0; i < 2000 && err && errno == ENOTEMPTY; i++) {
		nanosleep(&moment, NULL);
		err = rmdir(path);
	}
	return err;
}

static int remove_all(void)
{
	char path[32];

	for (int i = 0; i < NR_FDS; i++)
		if (close(held[i].fd))
			return bad("close %s: %s", names[i], strerror(errno));
	close(to_child);
	if (waitpid(child, NULL, 0) != child)
		return bad("the child is not mine: %s", strerror(errno));
	if (chdir(top))
		return bad("chdir: %s", strerror(errno));
	for (int i = 0; i < NR_ENTRIES; i++) {
		snprintf(path, sizeof(path), "many/entry%d", i);
		if (unlink(path))
			return bad("unlink %s: %s", path, strerror(errno));
	}
	if (unlink("data") || unlink("book") || unlink("log") ||
	    unlink("a/b/c/deep") || remove_dir("a/b/c") || remove_dir("a/b") ||
	    remove_dir("a") || remove_dir("many"))
		return bad("remove: %s", strerror(errno));
	if (chdir("/") || remove_dir(top))
		return bad("rmdir %s: %s", top, strerror(errno));
	return 0;
}

int main(int argc, char **argv)
{
	char line[64];

	if (argc == 6 && !strcmp(argv[1], "-u")) {
		if (setgid(atoi(argv[2])) || setuid(atoi(argv[2]))) {
			perror("setuid");
			return 2;
		}
		argc -= 2;
		argv += 2;
	}
	if (argc != 4) {
		fprintf(stderr, "usage: client [-u UID] NAME MOUNT CONTROL\n");
		return 2;
	}
	control_open(argv[3]);
	snprintf(top, sizeof(top), "%s/%s", argv[2], argv[1]);
	if (make_tree() || open_all()) {
		control_say("%s", wrong);
		return 1;
	}
	control_say("ready");
	while (control_hear(line, sizeof(line))) {
		if (!strcmp(line, "check")) {
			check_all();
			continue;
		}
		if (remove_all()) {
			control_say("%s", wrong);
			return 1;
		}
		control_say("bye");
		return 0;
	}
	return 1;
}
