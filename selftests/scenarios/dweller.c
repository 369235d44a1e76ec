// SPDX-License-Identifier: GPL-2.0
/*
 * dweller - is in all the places of a mount that a program can be in.
 *
 *	dweller NAME MOUNT CONTROL [PLACE...]
 *
 * Makes MOUNT/NAME, and is in the places that are named, or in all. CONTROL.cmd and
 * CONTROL.out are FIFOs outside the mount. Says "ready", then answers each line:
 *	check	uses all that it holds, and says "ok", or what is wrong
 *	quit	leaves and removes all, says "bye" and ends
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"

#define SIZE 5000
#define NR(a) (sizeof(a) / sizeof(*(a)))

static const char *mount;
static char top[PATH_MAX];

/* --- what is held, and must stay what it is -------------------------------- */

struct held {
	int fd;
	int fl;
	struct stat st;
	char link[PATH_MAX];
};

static int link_of(const char *which, char *link)
{
	char path[64];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/%s", which);
	len = readlink(path, link, PATH_MAX - 1);
	if (len < 0)
		return bad("readlink %s: %s", path, strerror(errno));
	link[len] = '\0';
	return 0;
}

static int note(struct held *h, int fd)
{
	char which[32];

	snprintf(which, sizeof(which), "fd/%d", fd);
	h->fd = fd;
	if (fd < 0)
		return bad("open: %s", strerror(errno));
	h->fl = fcntl(fd, F_GETFL);
	if (fstat(fd, &h->st))
		return bad("fstat: %s", strerror(errno));
	return link_of(which, h->link);
}

static int same(const struct stat *a, const struct stat *b)
{
	if (a->st_ino == b->st_ino && a->st_mode == b->st_mode &&
	    a->st_nlink == b->st_nlink && a->st_size == b->st_size)
		return 0;
	return bad("inode %lu mode %o nlink %lu size %ld, not %lu %o %lu %ld", a->st_ino,
		   a->st_mode, a->st_nlink, (long)a->st_size, b->st_ino, b->st_mode,
		   b->st_nlink, (long)b->st_size);
}

/* CRIU drops it of what has no handle (criu/files-reg.c). */
static int flags_of(int fl)
{
	return (fl & O_PATH) ? fl & ~O_DIRECTORY : fl;
}

static int expect(const struct held *h)
{
	struct held now;

	if (note(&now, h->fd))
		return -1;
	if (flags_of(now.fl) != flags_of(h->fl))
		return bad("flags %#o, not %#o", now.fl, h->fl);
	if (strcmp(now.link, h->link))
		return bad("is %s, not %s", now.link, h->link);
	return same(&now.st, &h->st);
}

/* What is done must fail so. */
static int refuse(const char *what, long ret, int error)
{
	if (ret >= 0)
		return bad("%s succeeds", what);
	if (errno != error)
		return bad("%s: %s", what, strerror(errno));
	return 0;
}

static int expect_bytes(int fd, char byte)
{
	char buf[SIZE];

	if (pread(fd, buf, SIZE, 0) != SIZE)
		return bad("read: %s", strerror(errno));
	for (int i = 0; i < SIZE; i++)
		if (buf[i] != byte)
			return bad("byte %d is %#x", i, buf[i]);
	return 0;
}

static int fill(int fd, char byte)
{
	char buf[SIZE];

	memset(buf, byte, SIZE);
	if (fd < 0 || write(fd, buf, SIZE) != SIZE)
		return bad("write: %s", strerror(errno));
	return fd;
}

static int make(const char *path, char byte)
{
	return fill(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644), byte);
}

/* By what is held alone. */
static int open_held(const struct held *h, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", h->fd);
	return open(path, flags | O_CLOEXEC);
}

/* --- current and root directories -------------------------------------------- */

static struct stat here;
static char was[PATH_MAX];

static int note_cwd(void)
{
	if (stat(".", &here) || !getcwd(was, sizeof(was)))
		return bad("cwd: %s", strerror(errno));
	return 0;
}

static int check_cwd(void)
{
	char now[PATH_MAX] = "";
	struct stat st;

	if (stat(".", &st) || !getcwd(now, sizeof(now)))
		return bad("cwd: %s", strerror(errno));
	if (strcmp(now, was))
		return bad("cwd is %s, not %s", now, was);
	return st.st_ino == here.st_ino ? 0 : bad("cwd is another inode");
}

static int start_cwd_top(void)
{
	return chdir(mount) ? bad("chdir: %s", strerror(errno)) : note_cwd();
}

static int start_cwd(void)
{
	if (mkdir("below", 0755) || mkdir("below/deeper", 0755) || chdir("below/deeper"))
		return bad("chdir: %s", strerror(errno));
	return note_cwd();
}

static int check_cwd_file(void)
{
	int fd;

	if (check_cwd())
		return -1;
	fd = make("new", 'n');
	if (fd < 0 || close(fd) || unlink("../deeper/new"))
		return bad("a new file: %s", strerror(errno));
	return 0;
}

static int quit_cwd(void)
{
	return chdir("../..") || rmdir("below/deeper") || rmdir("below") ?
	       bad("rmdir: %s", strerror(errno)) : 0;
}

/* A root, and the current directory below it. */
static int start_root(void)
{
	int fd;

	if (mkdir("jail", 0755) || mkdir("jail/cell", 0755))
		return bad("mkdir: %s", strerror(errno));
	fd = make("jail/file", 'j');
	if (fd < 0 || close(fd) || chroot("jail") || chdir("/cell"))
		return bad("chroot: %s", strerror(errno));
	return note_cwd();
}

static int check_root(void)
{
	struct stat root, up;
	int fd, err;

	if (check_cwd())
		return -1;
	if (strcmp(was, "/cell"))
		return bad("cwd is %s", was);
	if (stat("/", &root) || stat("/../..", &up) || root.st_ino != up.st_ino)
		return bad("there is something above the root");
	fd = open("/file", O_RDONLY | O_CLOEXEC);
	err = fd < 0 ? bad("/file: %s", strerror(errno)) : expect_bytes(fd, 'j');
	close(fd);
	return err;
}

static int quit_root(void)
{
	return unlink("/file") || rmdir("/cell") ? bad("remove: %s", strerror(errno)) : 0;
}

/* The whole mount is the root. */
static int start_root_top(void)
{
	return chroot(mount) || chdir("/") ? bad("chroot: %s", strerror(errno)) : note_cwd();
}

/* Nothing is below it, and nothing comes to be there. */
static int start_root_gone(void)
{
	if (mkdir("gone", 0755) || chdir("gone") || rmdir("../gone") || chroot("."))
		return bad("chroot: %s", strerror(errno));
	return stat("/", &here) ? bad("stat: %s", strerror(errno)) : 0;
}

static int check_root_gone(void)
{
	struct stat st;

	if (stat("/", &st))
		return bad("stat: %s", strerror(errno));
	return same(&st, &here) ?: refuse("a new file", open("/new", O_WRONLY | O_CREAT, 0644), ENOENT) ?:
	       refuse("what is outside", open("/proc", O_RDONLY), ENOENT);
}

static int start_cwd_gone(void)
{
	if (mkdir("gone", 0755) || chdir("gone") || rmdir("../gone"))
		return bad("rmdir: %s", strerror(errno));
	return stat(".", &here) || link_of("cwd", was) ? bad("cwd: %s", strerror(errno)) : 0;
}

static int check_cwd_gone(void)
{
	char now[PATH_MAX] = "";
	struct stat st;

	if (stat(".", &st) || link_of("cwd", now))
		return bad("cwd: %s", strerror(errno));
	if (strcmp(now, was))
		return bad("cwd is %s, not %s", now, was);
	return same(&st, &here) ?: refuse("getcwd()", getcwd(now, sizeof(now)) ? 0 : -1, ENOENT) ?:
	       refuse("a new file", open("new", O_WRONLY | O_CREAT, 0644), ENOENT) ?:
	       refuse("a new directory", mkdir("new", 0755), ENOENT);
}

/* --- descriptors ---------------------------------------------------------------- */

static struct held dir_gone, dir_gone_too, path_gone, path_file, path_dir, path_link, path_dir_gone;
static struct held nameless, nameless_too, nameless_excl;

static int make_dir_gone(struct held *h)
{
	if (mkdir("gone", 0755) ||
	    note(h, open("gone", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) || rmdir("gone"))
		return bad("rmdir: %s", strerror(errno));
	return note(h, h->fd);
}

/* Two under one name, which a third has taken since; and one is called as they are told. */
static int start_dir_gone(void)
{
	if (make_dir_gone(&dir_gone) || make_dir_gone(&dir_gone_too))
		return -1;
	if (mkdir("gone", 0700) || mkdir("gone (deleted)", 0700))
		return bad("mkdir: %s", strerror(errno));
	return 0;
}

static int check_dir_gone(void)
{
	char buf[1024];

	return expect(&dir_gone) ?: expect(&dir_gone_too) ?:
	       refuse("a listing", syscall(SYS_getdents64, dir_gone.fd, buf, sizeof(buf)), ENOENT) ?:
	       refuse("a new file", openat(dir_gone.fd, "new", O_WRONLY | O_CREAT, 0644), ENOENT) ?:
	       refuse("an old file", openat(dir_gone.fd, "old", O_RDONLY), ENOENT);
}

static int quit_dir_gone(void)
{
	close(dir_gone.fd);
	close(dir_gone_too.fd);
	return rmdir("gone") || rmdir("gone (deleted)") ? bad("rmdir: %s", strerror(errno)) : 0;
}

static int start_path_gone(void)
{
	int fd = make("file", 'g');

	if (fd < 0 || note(&path_gone, open("file", O_PATH | O_CLOEXEC)) || close(fd) || unlink("file"))
		return bad("unlink: %s", strerror(errno));
	if (mkdir("dir", 0755) || note(&path_dir_gone, open("dir", O_PATH | O_CLOEXEC)) || rmdir("dir"))
		return bad("rmdir: %s", strerror(errno));
	return note(&path_gone, path_gone.fd) ?: note(&path_dir_gone, path_dir_gone.fd);
}

static int check_path_gone(void)
{
	int fd, err;

	if (expect(&path_gone) || expect(&path_dir_gone))
		return -1;
	fd = open_held(&path_gone, O_RDONLY);
	err = fd < 0 ? bad("open: %s", strerror(errno)) : expect_bytes(fd, 'g');
	close(fd);
	return err ?: refuse("a new file", openat(path_dir_gone.fd, "new", O_WRONLY | O_CREAT, 0644), ENOENT);
}

static int quit_path_gone(void)
{
	return close(path_gone.fd) || close(path_dir_gone.fd);
}

static int start_path(void)
{
	int fd = make("f", 'p');

	if (fd < 0 || close(fd) || symlink("f", "l"))
		return bad("make: %s", strerror(errno));
	return note(&path_file, open("f", O_PATH | O_CLOEXEC)) ?:
	       note(&path_dir, open(".", O_PATH | O_DIRECTORY)) ?:
	       note(&path_link, open("l", O_PATH | O_NOFOLLOW));
}

static int check_path(void)
{
	char target[16] = "";
	int fd, err;

	if (expect(&path_file) || expect(&path_dir) || expect(&path_link))
		return -1;
	fd = open_held(&path_file, O_RDONLY);
	err = fd < 0 ? bad("open: %s", strerror(errno)) : expect_bytes(fd, 'p');
	close(fd);
	if (err || refuse("reading", read(path_file.fd, target, 1), EBADF))
		return -1;
	fd = openat(path_dir.fd, "f", O_RDONLY);
	err = fd < 0 ? bad("openat: %s", strerror(errno)) : 0;
	close(fd);
	if (!err && (readlinkat(path_link.fd, "", target, sizeof(target)) != 1 || *target != 'f'))
		return bad("readlinkat: %s", strerror(errno));
	return err;
}

static int quit_path(void)
{
	close(path_file.fd);
	close(path_dir.fd);
	close(path_link.fd);
	return unlink("f") || unlink("l") ? bad("unlink: %s", strerror(errno)) : 0;
}

/* Never had a name; one may not get one. */
static int start_tmpfile(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR, 0644);
	int too = open(".", O_TMPFILE | O_RDWR, 0644);
	int excl = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600);

	if (fill(fd, 't') < 0 || fill(too, 'u') < 0 || fill(excl, 'e') < 0)
		return -1;
	return note(&nameless, fd) ?: note(&nameless_too, too) ?: note(&nameless_excl, excl);
}

static int check_tmpfile(void)
{
	return expect(&nameless) ?: expect(&nameless_too) ?: expect(&nameless_excl) ?:
	       expect_bytes(nameless.fd, 't') ?: expect_bytes(nameless_too.fd, 'u') ?:
	       expect_bytes(nameless_excl.fd, 'e');
}

static int name_it(const struct held *h, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", h->fd);
	return linkat(AT_FDCWD, path, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

static int quit_tmpfile(void)
{
	int fd, err;

	if (refuse("naming it", name_it(&nameless_excl, "excl"), ENOENT))
		return -1;
	if (name_it(&nameless, "named"))
		return bad("linkat: %s", strerror(errno));
	fd = open("named", O_RDONLY);
	err = fd < 0 ? bad("named: %s", strerror(errno)) : expect_bytes(fd, 't');
	close(fd);
	close(nameless.fd);
	close(nameless_too.fd);
	close(nameless_excl.fd);
	return err ?: unlink("named") ? bad("remove: %s", strerror(errno)) : 0;
}

/* --- all of them ------------------------------------------------------------------ */

static const struct place {
	const char *name;
	bool optional;		/* only when named */
	int (*start)(void);
	int (*check)(void);
	int (*quit)(void);
} places[] = {
	{ "cwd-top", false, start_cwd_top, check_cwd, NULL },
	{ "cwd", false, start_cwd, check_cwd_file, quit_cwd },
	{ "root", false, start_root, check_root, quit_root },
	{ "root-top", false, start_root_top, check_cwd, NULL },
	{ "path", false, start_path, check_path, quit_path },
	{ "cwd-gone", true, start_cwd_gone, check_cwd_gone, NULL },
	{ "root-gone", true, start_root_gone, check_root_gone, NULL },
	{ "dir-gone", true, start_dir_gone, check_dir_gone, quit_dir_gone },
	{ "path-gone", true, start_path_gone, check_path_gone, quit_path_gone },
	{ "tmpfile", true, start_tmpfile, check_tmpfile, quit_tmpfile },
};

/* Each has a process of its own, which is in its place and answers on a pipe. */
static struct in_place {
	const struct place *place;
	pid_t pid;
	int to, from;
} dwellers[NR(places)];
static size_t count;

static void dwell(const struct place *p, int in, int out)
{
	char what = 's';
	int err;

	if (chdir(top) || (mkdir(p->name, 0755) && errno != EEXIST) || chdir(p->name))
		_exit(1);
	do {
		*wrong = '\0';
		err = what == 's' ? p->start() : what == 'c' ? p->check() : p->quit ? p->quit() : 0;
		if (err && !*wrong)
			bad("failed");
		if (write(out, wrong, sizeof(wrong)) != sizeof(wrong))
			break;
	} while (what != 'q' && read(in, &what, 1) == 1);
	_exit(0);
}

static int answer(const struct in_place *d)
{
	char said[sizeof(wrong)];

	if (read(d->from, said, sizeof(said)) != sizeof(said))
		return bad("%s: has ended", d->place->name);
	return *said ? bad("%s: %s", d->place->name, said) : 0;
}

static int settle(const struct place *p)
{
	struct in_place *d = &dwellers[count++];
	int there[2], back[2];

	if (pipe2(there, O_CLOEXEC) || pipe2(back, O_CLOEXEC))
		return bad("pipe: %s", strerror(errno));
	d->place = p;
	d->pid = fork();
	if (!d->pid) {
		/* Of the others it would see no end. */
		for (size_t i = 0; i + 1 < count; i++) {
			close(dwellers[i].to);
			close(dwellers[i].from);
		}
		close(there[1]);
		close(back[0]);
		dwell(p, there[0], back[1]);
	}
	close(there[0]);
	close(back[1]);
	d->to = there[1];
	d->from = back[0];
	return answer(d);
}

static bool named(const struct place *p, char **names)
{
	if (!*names)
		return !p->optional;
	for (; *names; names++)
		if (!strcmp(*names, p->name))
			return true;
	return false;
}

static int start(char **names)
{
	if (mkdir(top, 0755))
		return bad("mkdir %s: %s", top, strerror(errno));
	for (size_t i = 0; i < NR(places); i++)
		if (named(&places[i], names) && settle(&places[i]))
			return -1;
	return 0;
}

static int order(char what)
{
	for (size_t i = 0; i < count; i++)
		if (write(dwellers[i].to, &what, 1) != 1 || answer(&dwellers[i]))
			return *wrong ? -1 : bad("%s: %s", dwellers[i].place->name, strerror(errno));
	return 0;
}

static int quit(void)
{
	char path[PATH_MAX + 64];

	if (order('q'))
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (waitpid(dwellers[i].pid, NULL, 0) != dwellers[i].pid)
			return bad("wait: %s", strerror(errno));
		snprintf(path, sizeof(path), "%s/%s/jail", top, dwellers[i].place->name);
		rmdir(path);
		*strrchr(path, '/') = '\0';
		if (rmdir(path))
			return bad("rmdir %s: %s", path, strerror(errno));
	}
	return rmdir(top) ? bad("rmdir: %s", strerror(errno)) : 0;
}

static int check(void)
{
	return order('c');
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		fprintf(stderr, "usage: dweller NAME MOUNT CONTROL [PLACE...]\n");
		return 2;
	}
	mount = argv[2];
	snprintf(top, sizeof(top), "%s/%s", mount, argv[1]);
	control_open(argv[3]);
	return control_serve(start(argv + 4), check, quit);
}
