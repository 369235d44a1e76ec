// SPDX-License-Identifier: GPL-2.0
/*
 * hammer - programs that never leave a mount alone.
 *
 *	hammer WORKERS[f] MOUNT CONTROL
 *
 * Each worker does what a file system is for, round after round, in a directory of
 * its own and in two files that are all workers', and checks each result; MOUNT/hammer is this program, which it runs.  With f (files only) nothing is
 * mapped, and no program run.  Says "ready" to the FIFO CONTROL.out when all have done a
 * round, then answers each line from CONTROL.cmd:
 *	check	waits until all have done another round; "ok", or what failed
 *	quit	ends the workers, says "bye" and ends
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "control.h"

#define WORKERS_MAX	64
#define SIZE		20000
#define RECORD		100
#define ENTRY		32	/* of the book that all write to */
#define BOOK_MAX	65536	/* more at once is not read */
#define PATIENCE	2400	/* tenths of a second for one round */

/* In memory that the workers share with their parent. */
static struct worker {
	atomic_ulong rounds;
	atomic_int failed;	/* the line, once */
	int error;
	bool has_xattrs;
	unsigned long number;	/* that it has written last */
	pid_t pid;
} *workers;

static int nr_workers;
static bool files_only;
static struct worker *me;

static bool failed(int line)
{
	if (!me->failed) {
		me->error = errno;
		me->failed = line;
	}
	return false;
}

/* Goes on in any case: what fails once must not hide what fails next. */
#define CHECK(cond) ((errno = 0, (cond)) ? true : failed(__LINE__))

static unsigned char byte_at(unsigned long seed, size_t at)
{
	return seed * 31 + at * 7 + (at >> 8);
}

static void fill(char *buf, unsigned long seed, size_t from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = byte_at(seed, from + i);
}

static bool holds(const char *buf, unsigned long seed, size_t from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)buf[i] != byte_at(seed, from + i))
			return false;
	return true;
}

static void directories(void)
{
	struct stat st;

	CHECK(mkdir("d", 0755) == 0);
	CHECK(mkdir("d", 0755) < 0 && errno == EEXIST);
	CHECK(stat("d", &st) == 0 && S_ISDIR(st.st_mode));
	CHECK(rename("d", "e") == 0);
	CHECK(stat("d", &st) < 0 && errno == ENOENT);
	CHECK(mkdir("e/sub", 0700) == 0);
	CHECK(rmdir("e") < 0 && errno == ENOTEMPTY);
	CHECK(rmdir("e/sub") == 0);
	CHECK(rmdir("e") == 0);
	CHECK(rmdir("e") < 0 && errno == ENOENT);
}

static void data(unsigned long seed)
{
	char buf[SIZE], back[SIZE];
	struct stat st;
	int fd = open("f", O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);

	if (!CHECK(fd >= 0))
		return;
	fill(buf, seed, 0, SIZE);
	CHECK(write(fd, buf, SIZE) == SIZE);
	CHECK(lseek(fd, 0, SEEK_CUR) == SIZE);
	CHECK(pread(fd, back, SIZE, 0) == SIZE && holds(back, seed, 0, SIZE));
	CHECK(fsync(fd) == 0);
	CHECK(ftruncate(fd, SIZE / 2) == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_size == SIZE / 2);
	CHECK(pread(fd, back, SIZE, 0) == SIZE / 2 && holds(back, seed, 0, SIZE / 2));
	CHECK(close(fd) == 0);
	CHECK(chmod("f", 0600) == 0 && stat("f", &st) == 0 && (st.st_mode & 0777) == 0600);
	CHECK(unlink("f") == 0);
	CHECK(access("f", F_OK) < 0 && errno == ENOENT);
}

/* Nothing is appended twice, and nothing left out. */
static void log_book(unsigned long seed)
{
	char buf[RECORD], back[10 * RECORD + 1];
	int fd = open("log", O_CREAT | O_EXCL | O_WRONLY | O_APPEND | O_CLOEXEC, 0644);

	if (!CHECK(fd >= 0))
		return;
	for (int i = 0; i < 10; i++) {
		fill(buf, seed, i * RECORD, RECORD);
		CHECK(write(fd, buf, RECORD) == RECORD);
	}
	CHECK(close(fd) == 0);
	fd = open("log", O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && read(fd, back, sizeof(back)) == 10 * RECORD);
	CHECK(holds(back, seed, 0, 10 * RECORD));
	CHECK(close(fd) == 0);
	CHECK(unlink("log") == 0);
}

static int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	int n = 0;

	if (!dir)
		return -1;
	while ((d = readdir(dir)))
		n += d->d_name[0] == 'n';
	return closedir(dir) ? -1 : n;
}

static void names(void)
{
	char name[32], target[32];
	struct stat st;

	CHECK(mkdir("names", 0755) == 0);
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "names/n%d", i);
		CHECK(mknod(name, S_IFREG | 0644, 0) == 0);
	}
	CHECK(count_entries("names") == 10);
	CHECK(link("names/n0", "names/n10") == 0);
	/* How many links there are, libfuse may tell a second later. */
	CHECK(stat("names/n10", &st) == 0 && S_ISREG(st.st_mode));
	CHECK(symlink("n1", "names/n11") == 0);
	CHECK(readlink("names/n11", target, sizeof(target)) == 2 && !memcmp(target, "n1", 2));
	CHECK(count_entries("names") == 12);
	for (int i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "names/n%d", i);
		CHECK(unlink(name) == 0);
	}
	CHECK(count_entries("names") == 0);
	CHECK(rmdir("names") == 0);
}

static void attributes(void)
{
	const struct timespec times[2] = { { 1000000, 0 }, { 2000000, 0 } };
	char value[16] = "";
	struct stat st;
	bool unknown;

	CHECK(mknod("x", S_IFREG | 0644, 0) == 0);
	CHECK(utimensat(AT_FDCWD, "x", times, 0) == 0);
	CHECK(stat("x", &st) == 0 && st.st_mtime == 2000000);
	/* Not every file system has them: then it never has. */
	if (setxattr("x", "user.hammer", "value", 5, XATTR_CREATE)) {
		unknown = errno == EOPNOTSUPP;
		CHECK(unknown && !me->has_xattrs);
	} else {
		me->has_xattrs = true;
		CHECK(getxattr("x", "user.hammer", value, sizeof(value)) == 5 &&
		      !strcmp(value, "value"));
		CHECK(removexattr("x", "user.hammer") == 0);
	}
	CHECK(unlink("x") == 0);
}

/* Held from round to round: one written to the file, one of the worker's own. */
static struct {
	char *shared, *private;
	unsigned long seed;	/* of what is in both */
} held;

static char *map(int flags)
{
	int fd = open("map", O_RDWR | O_CLOEXEC);
	char *at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);

	CHECK(fd >= 0 && at != MAP_FAILED && close(fd) == 0);
	return at;
}

static void memory(unsigned long seed)
{
	char back[SIZE];
	int fd;

	if (!held.shared) {
		fd = open("map", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
		CHECK(fd >= 0 && ftruncate(fd, SIZE) == 0 && close(fd) == 0);
		held.shared = map(MAP_SHARED);
		held.private = map(MAP_PRIVATE);
	} else {
		CHECK(holds(held.shared, held.seed, 0, SIZE));
		CHECK(holds(held.private, held.seed, 0, SIZE));
	}
	held.seed = seed;
	fill(held.shared, seed, 0, SIZE);
	fill(held.private, seed, 0, SIZE);
	fd = open("map", O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && pread(fd, back, SIZE, 0) == SIZE && holds(back, seed, 0, SIZE));
	CHECK(msync(held.shared, SIZE, MS_SYNC) == 0);
	CHECK(close(fd) == 0);
}

static bool lock(int fd, int command, short type)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_len = RECORD };

	return fcntl(fd, command, &l) == 0;
}

/* Each kind keeps off another open of the file, and can be had again. */
static void locks(void)
{
	static const struct timespec moment = { .tv_nsec = 1000000 };
	int one = open("lock", O_CREAT | O_RDWR | O_CLOEXEC, 0644);
	int two = open("lock", O_RDWR | O_CLOEXEC);

	CHECK(one >= 0 && two >= 0);
	CHECK(lock(one, F_SETLKW, F_WRLCK));
	nanosleep(&moment, NULL);
	CHECK(!lock(two, F_OFD_SETLK, F_WRLCK) && errno == EAGAIN);
	CHECK(lock(one, F_SETLK, F_UNLCK));
	CHECK(lock(two, F_OFD_SETLKW, F_RDLCK));
	nanosleep(&moment, NULL);
	CHECK(!lock(one, F_OFD_SETLK, F_WRLCK) && errno == EAGAIN);
	CHECK(lock(two, F_OFD_SETLK, F_UNLCK));
	CHECK(flock(one, LOCK_EX) == 0);
	nanosleep(&moment, NULL);
	CHECK(flock(two, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK);
	CHECK(flock(one, LOCK_UN) == 0 && flock(two, LOCK_SH) == 0);
	CHECK(close(one) == 0 && close(two) == 0);
	CHECK(unlink("lock") == 0);
}

static void write_entry(char *entry, int number, unsigned long round)
{
	char text[ENTRY + 1];

	snprintf(text, sizeof(text), "worker %02d round %015lu\n", number, round);
	memcpy(entry, text, ENTRY);
}

/*
 * While others append, fuse may know a smaller size for a moment than it has just told:
 * what GETATTR brings is not believed when a write has come to its end meanwhile
 * (fuse_change_attributes(), fs/fuse/inode.c, 6.1 to 7.3).
 */
static bool read_book(int fd, char *back, ssize_t n, off_t from)
{
	static const struct timespec moment = { .tv_nsec = 1000000 };
	ssize_t at = 0, got = 0;

	for (int i = 0; i < 1000 && at < n && got >= 0; i++) {
		got = pread(fd, back + at, n - at, from + at);
		at += got;
		if (!got)
			nanosleep(&moment, NULL);
	}
	return at == n;
}

/*
 * A book that all write to: what one appends is there once, between where it ended
 * before and where it ends after, and what others append there is whole.
 */
static void shared_book(int number)
{
	static char back[BOOK_MAX];
	int fd = open("../book", O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC, 0644), mine = 0;
	char entry[ENTRY], other[ENTRY];
	struct stat before, after;
	unsigned long round;
	ssize_t n;

	if (!CHECK(fd >= 0))
		return;
	CHECK(fstat(fd, &before) == 0);
	write_entry(entry, number, me->rounds);
	CHECK(write(fd, entry, ENTRY) == ENTRY);
	CHECK(fstat(fd, &after) == 0);
	n = after.st_size - before.st_size;
	if (n <= BOOK_MAX && CHECK(n % ENTRY == 0) &&
	    CHECK(read_book(fd, back, n, before.st_size))) {
		for (const char *at = back; at < back + n; at += ENTRY) {
			mine += !memcmp(at, entry, ENTRY);
			if (CHECK(sscanf(at, "worker %d round %lu", &number, &round) == 2))
				write_entry(other, number, round);
			CHECK(!memcmp(at, other, ENTRY));
		}
		CHECK(mine == 1);
	}
	CHECK(close(fd) == 0);
}

/* A number that all count up, one at a time. */
static void shared_number(void)
{
	static const struct timespec moment = { .tv_nsec = 1000000 };
	int fd = open("../number", O_CREAT | O_RDWR | O_CLOEXEC, 0644);
	unsigned long value = 0, again = 0;

	if (!CHECK(fd >= 0 && lock(fd, F_SETLKW, F_WRLCK)))
		return;
	CHECK(pread(fd, &value, sizeof(value), 0) >= 0);
	CHECK(value >= me->number);
	me->number = value + 1;
	CHECK(pwrite(fd, &me->number, sizeof(me->number), 0) == sizeof(me->number));
	nanosleep(&moment, NULL);
	CHECK(pread(fd, &again, sizeof(again), 0) == sizeof(again) && again == me->number);
	CHECK(lock(fd, F_SETLK, F_UNLCK));
	CHECK(close(fd) == 0);
}

/* A program on the mount, this one. */
static void program(unsigned long seed)
{
	char status[16], *const argv[] = { "hammer", "exit", status, NULL };
	int result;
	pid_t pid;

	snprintf(status, sizeof(status), "%lu", seed % 128);
	CHECK(posix_spawn(&pid, "../hammer", NULL, NULL, argv, environ) == 0);
	CHECK(waitpid(pid, &result, 0) == pid);
	CHECK(WIFEXITED(result) && WEXITSTATUS(result) == (int)(seed % 128));
}

static void work(int number, const char *mount)
{
	char dir[PATH_MAX];

	me = &workers[number];
	snprintf(dir, sizeof(dir), "%s/hammer%d", mount, number);
	CHECK(mkdir(dir, 0755) == 0);
	CHECK(chdir(dir) == 0);
	for (;;) {
		unsigned long seed = me->rounds * WORKERS_MAX + number;

		directories();
		data(seed);
		log_book(seed);
		names();
		attributes();
		locks();
		shared_book(number);
		shared_number();
		if (!files_only) {
			memory(seed);
			program(seed);
		}
		me->rounds++;
	}
}

static void end(int number)
{
	kill(workers[number].pid, SIGKILL);
	waitpid(workers[number].pid, NULL, 0);
}

/* Until all have done a whole round from now on; what failed, or NULL. */
static const char *check(void)
{
	static const struct timespec tenth = { .tv_nsec = 100000000 };
	static char text[128];
	unsigned long goal[WORKERS_MAX];
	int i, n;

	for (i = 0; i < nr_workers; i++)
		goal[i] = workers[i].rounds + 2;
	for (i = 0, n = 0; i < nr_workers; i++) {
		const struct worker *w = &workers[i];

		while (w->rounds < goal[i] && !w->failed && n++ < PATIENCE)
			nanosleep(&tenth, NULL);
		if (w->failed)
			snprintf(text, sizeof(text), "worker %d, round %lu, line %d: %s", i,
				 w->rounds, w->failed, strerror(w->error));
		else if (w->rounds < goal[i])
			snprintf(text, sizeof(text), "worker %d stands in round %lu", i, w->rounds);
		else
			continue;
		return text;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	char line[64], *end_of_number;

	if (argc == 3 && !strcmp(argv[1], "exit"))
		return atoi(argv[2]);
	nr_workers = argc == 4 ? strtol(argv[1], &end_of_number, 10) : 0;
	if (nr_workers < 1 || nr_workers > WORKERS_MAX) {
		fprintf(stderr, "usage: hammer WORKERS[f] MOUNT CONTROL\n");
		return 2;
	}
	files_only = *end_of_number == 'f';
	control_open(argv[3]);
	workers = mmap(NULL, sizeof(*workers) * WORKERS_MAX, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (workers == MAP_FAILED)
		return 2;
	for (int i = 0; i < nr_workers; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			work(i, argv[2]);
			return 0;
		}
		workers[i].pid = pid;
	}
	control_say("%s", check() ?: "ready");
	while (control_hear(line, sizeof(line))) {
		if (!strcmp(line, "check")) {
			control_say("%s", check() ?: "ok");
			continue;
		}
		for (int i = 0; i < nr_workers; i++)
			end(i);
		control_say("bye");
		return 0;
	}
	return 1;
}
