// SPDX-License-Identifier: GPL-2.0
/*
 * crew - threads, and processes that share one table of descriptors, on a mount.
 *
 *	crew NAME MOUNT CONTROL
 *
 * Makes MOUNT/NAME and files in it. CONTROL.cmd and CONTROL.out are FIFOs outside
 * the mount. Says "ready", then answers each line:
 *	check	uses all that it holds, and says "ok", or what is wrong
 *	quit	closes and removes all, says "bye" and ends
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"

#define THREADS		4
#define RECORD		64
#define SIGNAL		SIGUSR2

/* One writes to a file of its own, and reads what another has written. */
static struct member {
	pthread_t thread;
	int fd;
	int error;		/* a line of this file */
	unsigned int rounds;	/* that it has written */
} crew[THREADS];

static pthread_barrier_t barrier;	/* all, at the beginning and at the end of a round */
static bool ends;

/* Sleeps in a read of a FIFO on the mount between one check and the next. */
static struct {
	pthread_t thread;
	int in, out, error;
	unsigned int got;
} sleeper;

/* In memory that is shared with the process that shares the table. */
static struct mate {
	pid_t pid;
	int ask, answer;	/* pipes */
} mate;

static const char *self;	/* our directory on the mount */
static unsigned int rounds;

static void record(char *buf, int number, unsigned int round)
{
	memset(buf, 0, RECORD);
	snprintf(buf, RECORD, "member %d round %u", number, round);
}

static int member_round(struct member *m)
{
	const struct member *next = &crew[(m - crew + 1) % THREADS];
	char buf[RECORD], back[RECORD];

	record(buf, m - crew, m->rounds);
	if (write(m->fd, buf, RECORD) != RECORD)
		return __LINE__;
	m->rounds++;
	if (lseek(m->fd, 0, SEEK_CUR) != (off_t)m->rounds * RECORD)
		return __LINE__;
	/* What was written in the round before is there in any case. */
	if (m->rounds < 2)
		return 0;
	record(buf, next - crew, m->rounds - 2);
	if (pread(next->fd, back, RECORD, (m->rounds - 2) * RECORD) != RECORD)
		return __LINE__;
	return memcmp(buf, back, RECORD) ? __LINE__ : 0;
}

static void *member(void *arg)
{
	struct member *m = arg;

	for (;;) {
		pthread_barrier_wait(&barrier);
		if (ends)
			return NULL;
		m->error = m->error ?: member_round(m);
		pthread_barrier_wait(&barrier);
	}
}

static void *sleep_in_read(void *arg)
{
	char c;

	(void)arg;
	while (read(sleeper.in, &c, 1) == 1) {
		if (c == 'q')
			return NULL;
		__atomic_add_fetch(&sleeper.got, 1, __ATOMIC_SEQ_CST);
	}
	sleeper.error = errno ?: EPIPE;
	return NULL;
}

/* Says what it finds at a number that it has not opened, and opens one for the others. */
static int share(void *arg)
{
	char name[32], text[RECORD];
	int fd, n;

	(void)arg;
	while (read(mate.ask, &fd, sizeof(fd)) == sizeof(fd)) {
		n = pread(fd, text, sizeof(text), 0) == RECORD ? 0 : -errno;
		snprintf(name, sizeof(name), "mate%d", fd);
		if (!n)
			n = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (n >= 0 && write(n, text, sizeof(text)) != sizeof(text))
			n = -EIO;
		if (write(mate.answer, &n, sizeof(n)) != sizeof(n))
			break;
	}
	_exit(0);
}

static int start_mate(int *ask, int *answer)
{
	static char stack[65536] __attribute__((aligned(16)));
	int to[2], from[2];

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		return bad("pipe: %s", strerror(errno));
	mate.ask = to[0];
	mate.answer = from[1];
	*ask = to[1];
	*answer = from[0];
	mate.pid = clone(share, stack + sizeof(stack), CLONE_FILES | SIGCHLD, NULL);
	return mate.pid < 0 ? bad("clone: %s", strerror(errno)) : 0;
}

static int ask_mate = -1, hear_mate = -1;

static int start(const char *mount, const char *name)
{
	char file[32];
	int i;

	if (chdir(mount) || mkdir(name, 0755) || chdir(name))
		return bad("%s/%s: %s", mount, name, strerror(errno));
	/* A copy of the memory as it is now, without threads. */
	if (start_mate(&ask_mate, &hear_mate))
		return -1;
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (i = 0; i < THREADS; i++) {
		snprintf(file, sizeof(file), "member%d", i);
		crew[i].fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (crew[i].fd < 0)
			return bad("%s: %s", file, strerror(errno));
		errno = pthread_create(&crew[i].thread, NULL, member, &crew[i]);
		if (errno)
			return bad("a thread: %s", strerror(errno));
	}
	if (fcntl(crew[0].fd, F_SETOWN, getpid()) || fcntl(crew[0].fd, F_SETSIG, SIGNAL))
		return bad("F_SETSIG: %s", strerror(errno));
	if (mkfifo("fifo", 0600))
		return bad("mkfifo: %s", strerror(errno));
	sleeper.in = open("fifo", O_RDWR | O_CLOEXEC);
	sleeper.out = open("fifo", O_WRONLY | O_CLOEXEC);
	if (sleeper.in < 0 || sleeper.out < 0)
		return bad("fifo: %s", strerror(errno));
	errno = pthread_create(&sleeper.thread, NULL, sleep_in_read, NULL);
	return errno ? bad("a thread: %s", strerror(errno)) : 0;
}

/* It reads at a number of ours, and we at one of its. */
static int check_mate(void)
{
	char text[RECORD], want[RECORD], name[32];
	int fd = crew[rounds % THREADS].fd, theirs;

	if (write(ask_mate, &fd, sizeof(fd)) != sizeof(fd) ||
	    read(hear_mate, &theirs, sizeof(theirs)) != sizeof(theirs))
		return bad("who shares the table is silent");
	if (theirs < 0)
		return bad("who shares the table says: %s", strerror(-theirs));
	record(want, rounds % THREADS, 0);
	if (pread(theirs, text, RECORD, 0) != RECORD || memcmp(text, want, RECORD))
		return bad("the table is not shared: %s", strerror(errno));
	snprintf(name, sizeof(name), "mate%d", fd);
	if (close(theirs) || unlink(name))
		return bad("%s: %s", name, strerror(errno));
	return 0;
}

static int check_sleeper(void)
{
	static const struct timespec moment = { .tv_nsec = 10000000 };
	unsigned int want = sleeper.got + 1;

	if (write(sleeper.out, "x", 1) != 1)
		return bad("fifo: write: %s", strerror(errno));
	for (int ms = 0; ms < 60000 && __atomic_load_n(&sleeper.got, __ATOMIC_SEQ_CST) != want; ms += 10)
		nanosleep(&moment, NULL);
	if (sleeper.got == want && !sleeper.error)
		return 0;
	return bad("who slept in read() has %u of %u: %s", sleeper.got, want, strerror(sleeper.error));
}

static int check(void)
{
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	rounds++;
	for (int i = 0; i < THREADS; i++)
		if (crew[i].error || crew[i].rounds != rounds)
			return bad("thread %d, round %u: line %d", i, crew[i].rounds, crew[i].error);
	if (fcntl(crew[0].fd, F_GETSIG) != SIGNAL || fcntl(crew[0].fd, F_GETOWN) != getpid())
		return bad("F_GETSIG is %d, F_GETOWN %d", fcntl(crew[0].fd, F_GETSIG),
			   fcntl(crew[0].fd, F_GETOWN));
	return check_mate() ?: check_sleeper();
}

static int quit(void)
{
	char file[32];
	int i, status;

	ends = true;
	pthread_barrier_wait(&barrier);
	for (i = 0; i < THREADS; i++) {
		pthread_join(crew[i].thread, NULL);
		snprintf(file, sizeof(file), "member%d", i);
		if (close(crew[i].fd) || unlink(file))
			return bad("%s: %s", file, strerror(errno));
	}
	if (write(sleeper.out, "q", 1) != 1)
		return bad("fifo: %s", strerror(errno));
	pthread_join(sleeper.thread, NULL);
	close(sleeper.in);
	close(sleeper.out);
	close(ask_mate);
	if (waitpid(mate.pid, &status, 0) != mate.pid || status)
		return bad("who shares the table: %s", strerror(errno));
	if (unlink("fifo") || chdir("..") || rmdir(self))
		return bad("quit: %s", strerror(errno));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: crew NAME MOUNT CONTROL\n");
		return 2;
	}
	control_open(argv[3]);
	self = argv[1];
	return control_serve(start(argv[2], argv[1]), check, quit);
}
