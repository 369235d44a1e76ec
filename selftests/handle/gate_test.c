// SPDX-License-Identifier: GPL-2.0
/* The gate: clients come to rest while the server serves, and go on unharmed. */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "kselftest_harness.h"
#include "test_handle.h"
#include "test_util.h"

#define CLIENTS		8
#define DRAIN_MS	20000
#define GOES_ON_MS	20000

/* What a client tells, in memory that is shared with the test. */
struct worker {
	atomic_ulong rounds;
	atomic_ulong failures;
	atomic_int signals;
	int number;
	int line, error;	/* of the first failure */
	const struct rawfs *fs;
	int handle;		/* the test's: not to be kept open here */
	int go[2];		/* pipe */
};

FIXTURE(gate) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
	int fd;
	struct worker *workers;
	struct test_client clients[CLIENTS];
};

static void failed(struct worker *w, int line)
{
	if (!atomic_fetch_add(&w->failures, 1)) {
		w->line = line;
		w->error = errno;
	}
}

#define CHECK(w, cond) ((cond) ? true : (failed(w, __LINE__), false))

static struct worker *me;

static void on_usr1(int sig)
{
	atomic_fetch_add(&me->signals, 1);
}

/* All that a client does, with its own names. */
static void one_round(struct worker *w, const char *dir)
{
	char a[300], b[300], data[6000], back[6000];
	struct stat st;
	char *map;
	int fd;

	snprintf(a, sizeof(a), "%s/w%d", dir, w->number);
	snprintf(b, sizeof(b), "%s/v%d", dir, w->number);
	memset(data, 'a' + w->number, sizeof(data));

	CHECK(w, mkdir(a, 0755) == 0);
	CHECK(w, stat(a, &st) == 0 && S_ISDIR(st.st_mode));
	CHECK(w, rename(a, b) == 0);
	CHECK(w, rmdir(b) == 0);
	fd = open(a, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
	if (!CHECK(w, fd >= 0))
		return;
	CHECK(w, write(fd, data, sizeof(data)) == sizeof(data));
	CHECK(w, pread(fd, back, sizeof(back), 0) == sizeof(back));
	CHECK(w, !memcmp(data, back, sizeof(data)));
	map = mmap(NULL, sizeof(data), PROT_READ, MAP_SHARED, fd, 0);
	CHECK(w, map != MAP_FAILED && !memcmp(map, data, sizeof(data)));
	munmap(map, sizeof(data));
	CHECK(w, fsync(fd) == 0);
	CHECK(w, ftruncate(fd, 100) == 0 && !fstat(fd, &st) && st.st_size == 100);
	CHECK(w, close(fd) == 0);
	CHECK(w, unlink(a) == 0);
}

static int hammer(void *arg)
{
	struct worker *w = arg;

	me = w;
	close(w->handle);
	signal(SIGUSR1, on_usr1);
	for (;;) {
		one_round(w, w->fs->dir);
		atomic_fetch_add(&w->rounds, 1);
	}
	return 0;
}

FIXTURE_SETUP(gate)
{
	struct rawfs_config config;
	int i;

	rawfs_defaults(&config);
	config.spare = 64;
	config.entry_ms = 0;
	config.attr_ms = 0;
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
	self->fd = th_attach(self->id);
	ASSERT_LE(0, self->fd);
	self->workers = mmap(NULL, 4096 * CLIENTS, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->workers);
	for (i = 0; i < CLIENTS; i++) {
		self->workers[i].number = i;
		self->workers[i].fs = self->fs;
		self->workers[i].handle = self->fd;
	}
}

FIXTURE_TEARDOWN(gate)
{
	int i;

	if (self->fd >= 0)
		close(self->fd);
	for (i = 0; i < CLIENTS; i++)
		test_client_kill(&self->clients[i]);
	for (i = 0; i < CLIENTS; i++)
		EXPECT_EQ(0, self->workers[i].failures)
			TH_LOG("client %d: line %d: %s", i, self->workers[i].line,
			       strerror(self->workers[i].error));
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

static int start(FIXTURE_DATA(gate) *self, int n, int (*work)(void *arg))
{
	int err = 0, i;

	for (i = 0; !err && i < n; i++)
		err = test_client_start(&self->clients[i], work,
					&self->workers[i]);
	return err;
}

static int start_clients(FIXTURE_DATA(gate) *self, int n)
{
	return start(self, n, hammer);
}

static bool held_are(int fd, unsigned int n)
{
	int i;

	for (i = 0; i < DRAIN_MS && th_gate_status(fd).held != n; i++)
		test_nap(1);
	return th_gate_status(fd).held == n;
}

static unsigned long rounds(struct worker *workers)
{
	unsigned long n = 0;
	int i;

	for (i = 0; i < CLIENTS; i++)
		n += workers[i].rounds;
	return n;
}

/* Until @w has done @n more rounds. */
static bool goes_on(struct worker *w, unsigned long n)
{
	unsigned long goal = w->rounds + n;
	int i;

	for (i = 0; i < GOES_ON_MS && w->rounds < goal; i++)
		test_nap(1);
	return w->rounds >= goal;
}

static void log_status(struct __test_metadata *_metadata, int fd)
{
	struct fusecr_gate_status s = th_gate_status(fd);

	TH_LOG("closed %u held %u coming %u asleep %u requests %u background %u",
	       s.closed, s.held, s.coming, s.asleep, s.requests, s.background);
}

/* While it is closed @nr clients rest, and as many threads as are told of. */
static void close_once(struct __test_metadata *_metadata,
		       FIXTURE_DATA(gate) *self, int nr, unsigned int threads)
{
	unsigned long before;
	int i;

	for (i = 0; i < CLIENTS; i++)
		ASSERT_TRUE(!self->workers[i].rounds ||
			    goes_on(&self->workers[i], 1));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	for (i = 0; i < nr; i++)
		ASSERT_LE(0, th_hold(self->fd, self->clients[i].pid));
	ASSERT_TRUE(th_drained(self->fd, DRAIN_MS)) {
		log_status(_metadata, self->fd);
	}
	ASSERT_LE(threads, th_gate_status(self->fd).held) {
		log_status(_metadata, self->fd);
	}
	before = rounds(self->workers);
	test_nap(20);
	ASSERT_EQ(before, rounds(self->workers));
	ASSERT_EQ(0, th_gate_open(self->fd));
	ASSERT_EQ(0, th_gate_status(self->fd).closed);
}

TEST_F_TIMEOUT(gate, all_come_to_rest_and_go_on, 900)
{
	int i, n;

	ASSERT_EQ(0, start_clients(self, CLIENTS));
	for (i = 0; i < CLIENTS; i++)
		ASSERT_TRUE(goes_on(&self->workers[i], 1));
	for (n = 0; n < 20; n++)
		close_once(_metadata, self, CLIENTS, CLIENTS);
}

/* Nobody was named: who sends a request is held after it. */
TEST_F(gate, requests_are_enough)
{
	ASSERT_EQ(0, start_clients(self, CLIENTS));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_TRUE(held_are(self->fd, CLIENTS));
	EXPECT_TRUE(th_drained(self->fd, DRAIN_MS));
	close(self->fd);
	self->fd = -1;
	EXPECT_TRUE(goes_on(&self->workers[0], 2));
}

static int hold_all(FIXTURE_DATA(gate) *self, int n)
{
	int err = start_clients(self, n), i;

	for (i = 0; !err && i < n; i++)
		if (!goes_on(&self->workers[i], 1))
			err = -ETIMEDOUT;
	if (!err)
		err = th_gate_close(self->fd, self->fs->pid);
	for (i = 0; err >= 0 && i < n; i++)
		err = th_hold(self->fd, self->clients[i].pid);
	return err < 0 ? err : th_drained(self->fd, DRAIN_MS) ? 0 : -ETIME;
}

TEST_F(gate, kill_is_not_held_up)
{
	int status;

	ASSERT_EQ(0, hold_all(self, 1));
	ASSERT_EQ(0, kill(self->clients[0].pid, SIGKILL));
	ASSERT_EQ(self->clients[0].pid,
		  waitpid(self->clients[0].pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	self->clients[0].pid = 0;
	EXPECT_EQ(0, th_gate_status(self->fd).held);
}

TEST_F(gate, signals_wait)
{
	int i;

	ASSERT_EQ(0, hold_all(self, 1));
	for (i = 0; i < 10; i++)
		ASSERT_EQ(0, kill(self->clients[0].pid, SIGUSR1));
	test_nap(50);
	EXPECT_EQ(0, self->workers[0].signals);
	EXPECT_EQ(1, th_gate_status(self->fd).held);
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_TRUE(goes_on(&self->workers[0], 2));
	EXPECT_LE(1, self->workers[0].signals);
}

TEST_F(gate, stop_and_continue)
{
	int status;

	ASSERT_EQ(0, hold_all(self, 1));
	ASSERT_EQ(0, kill(self->clients[0].pid, SIGSTOP));
	ASSERT_EQ(self->clients[0].pid,
		  waitpid(self->clients[0].pid, &status, WUNTRACED));
	EXPECT_TRUE(WIFSTOPPED(status));
	ASSERT_EQ(0, kill(self->clients[0].pid, SIGCONT));
	/* Its next request. */
	ASSERT_TRUE(held_are(self->fd, 1));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_TRUE(goes_on(&self->workers[0], 2));
}

/* As CRIU does it. */
TEST_F(gate, tracer_takes_it)
{
	pid_t pid;
	int status;

	ASSERT_EQ(0, hold_all(self, 1));
	pid = self->clients[0].pid;
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, pid, NULL, 0));
	ASSERT_EQ(0, ptrace(PTRACE_INTERRUPT, pid, NULL, NULL));
	ASSERT_EQ(pid, waitpid(pid, &status, __WALL));
	EXPECT_TRUE(WIFSTOPPED(status));
	EXPECT_EQ(PTRACE_EVENT_STOP, status >> 16);
	EXPECT_EQ(0, th_gate_status(self->fd).held);
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, pid, NULL, NULL));
	ASSERT_TRUE(held_are(self->fd, 1));
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_TRUE(goes_on(&self->workers[0], 2));
}

/* It has come to rest already, and rests on when it is continued. */
TEST_F(gate, stopped_is_at_rest)
{
	unsigned long before;
	int status;

	ASSERT_EQ(0, start_clients(self, 1));
	ASSERT_TRUE(goes_on(&self->workers[0], 1));
	ASSERT_EQ(0, kill(self->clients[0].pid, SIGSTOP));
	ASSERT_EQ(self->clients[0].pid,
		  waitpid(self->clients[0].pid, &status, WUNTRACED));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_EQ(1, th_hold(self->fd, self->clients[0].pid));
	EXPECT_TRUE(th_drained(self->fd, DRAIN_MS));
	EXPECT_EQ(1, th_gate_status(self->fd).held);
	before = self->workers[0].rounds;
	ASSERT_EQ(0, kill(self->clients[0].pid, SIGCONT));
	ASSERT_EQ(self->clients[0].pid,
		  waitpid(self->clients[0].pid, &status, WCONTINUED));
	ASSERT_TRUE(held_are(self->fd, 1));
	EXPECT_TRUE(th_drained(self->fd, DRAIN_MS));
	EXPECT_LE(self->workers[0].rounds, before + 1);
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_TRUE(goes_on(&self->workers[0], 2));
}

TEST_F(gate, exempt_goes_on)
{
	struct fusecr_gate_close arg = { .nr_exempt = 2, .seconds = 60 };

	ASSERT_EQ(0, start_clients(self, 2));
	arg.exempt[0] = self->clients[0].pid;
	arg.exempt[1] = self->fs->pid;
	ASSERT_EQ(0, th_call(self->fd, FUSECR_IOC_GATE_CLOSE, &arg));
	EXPECT_EQ(0, th_hold(self->fd, self->clients[0].pid));
	ASSERT_TRUE(held_are(self->fd, 1));
	EXPECT_TRUE(goes_on(&self->workers[0], 5));
	EXPECT_TRUE(th_drained(self->fd, DRAIN_MS));
	EXPECT_EQ(1, th_gate_status(self->fd).held);
}

/* Who has forked the clients is exempt with them, or alone. */
TEST_F(gate, exempt_with_children)
{
	struct fusecr_gate_close arg = { .nr_exempt = 2, .seconds = 60 };

	ASSERT_EQ(0, start_clients(self, 2));
	arg.exempt[0] = -getpid();
	arg.exempt[1] = self->fs->pid;
	ASSERT_EQ(0, th_call(self->fd, FUSECR_IOC_GATE_CLOSE, &arg));
	EXPECT_EQ(0, th_hold(self->fd, self->clients[0].pid));
	EXPECT_TRUE(goes_on(&self->workers[0], 5));
	EXPECT_TRUE(goes_on(&self->workers[1], 5));
	EXPECT_EQ(0, th_gate_status(self->fd).held);
	ASSERT_EQ(0, th_gate_open(self->fd));
	arg.exempt[0] = getpid();
	ASSERT_EQ(0, th_call(self->fd, FUSECR_IOC_GATE_CLOSE, &arg));
	EXPECT_TRUE(held_are(self->fd, 2));
	arg.exempt[0] = INT_MIN;
	ASSERT_EQ(0, th_gate_open(self->fd));
	EXPECT_EQ(-ESRCH, th_call(self->fd, FUSECR_IOC_GATE_CLOSE, &arg));
}

/* Until they are continued: none of them has asked anything then. */
static int pause_clients(FIXTURE_DATA(gate) *self, int n)
{
	int status, i;

	for (i = 0; i < n; i++)
		if (kill(self->clients[i].pid, SIGSTOP) ||
		    waitpid(self->clients[i].pid, &status, WUNTRACED) != self->clients[i].pid)
			return -errno;
	return 0;
}

static int make_link(void *path)
{
	return symlink("nowhere", path) ? -errno : 0;
}

/* Who asks is served, and only who cannot be is put to rest, until the gate opens. */
TEST_F(gate, taken_only)
{
	struct fusecr_gate_close arg = { .seconds = 60, .flags = FUSECR_GATE_TAKEN_ONLY };
	struct test_client looks = { }, looks_too = { };
	int taken;

	ASSERT_EQ(0, start_clients(self, 2));
	arg.flags |= FUSECR_GATE_TAKEN_ONLY << 1;
	EXPECT_EQ(-EINVAL, th_call(self->fd, FUSECR_IOC_GATE_CLOSE, &arg));
	arg.flags = FUSECR_GATE_TAKEN_ONLY;
	arg.reserved = 1;
	EXPECT_EQ(-EINVAL, th_call(self->fd, FUSECR_IOC_GATE_CLOSE, &arg));
	arg.reserved = 0;
	ASSERT_EQ(0, th_call(self->fd, FUSECR_IOC_GATE_CLOSE, &arg));
	EXPECT_TRUE(goes_on(&self->workers[0], 5));
	EXPECT_TRUE(goes_on(&self->workers[1], 5));
	EXPECT_EQ(0, th_gate_status(self->fd).held);
	rawfs_hold(self->fs, FUSE_SYMLINK);
	ASSERT_EQ(0, test_client_start(&looks, make_link, (void *)test_path(self->fs, "dir0/new")));
	ASSERT_EQ(0, rawfs_wait_held(self->fs, FUSE_SYMLINK, 1));
	/* It has the directory locked until its request is taken from it. */
	ASSERT_EQ(0, test_client_start(&looks_too, test_stat, (void *)test_path(self->fs, "dir0/none")));
	/* What they ask just then would be taken, too. */
	ASSERT_EQ(0, pause_clients(self, 2));
	/* It is read before its client is asleep. */
	while (!(taken = th_take(self->fd)))
		test_nap(1);
	ASSERT_EQ(1, taken);
	EXPECT_EQ(-ENOENT, test_client_wait(&looks_too));
	ASSERT_TRUE(held_are(self->fd, 1));
	EXPECT_TRUE(test_client_busy(&looks));
	ASSERT_EQ(0, kill(self->clients[0].pid, SIGCONT));
	ASSERT_EQ(0, kill(self->clients[1].pid, SIGCONT));
	EXPECT_TRUE(goes_on(&self->workers[0], 5));
	EXPECT_TRUE(goes_on(&self->workers[1], 5));
	ASSERT_EQ(0, th_gate_open(self->fd));
	rawfs_release(self->fs, 0);
	EXPECT_EQ(0, test_client_wait(&looks));
	/* It counts when the answer is on its way. */
	EXPECT_EQ(0, rawfs_wait_op(self->fs, FUSE_SYMLINK, 1));
	EXPECT_EQ(1, self->fs->nr_done[FUSE_SYMLINK]);
}

/* A process of its own that owns the handle and has the clients at rest. */
static int hold_until_killed(void *arg)
{
	FIXTURE_DATA(gate) *self = arg;
	struct worker *w = &self->workers[0];
	char c = 0;
	int i;

	self->fd = th_attach(self->id);
	if (self->fd < 0 || th_gate_close(self->fd, self->fs->pid))
		return -errno;
	for (i = 0; i < 2; i++)
		th_hold(self->fd, self->clients[i].pid);
	if (!th_drained(self->fd, DRAIN_MS) || write(w->go[1], &c, 1) != 1)
		return -ETIME;
	pause();
	return 0;
}

TEST_F(gate, death_of_the_holder)
{
	struct test_client holder;
	unsigned long before;
	char c;

	ASSERT_EQ(0, start_clients(self, 2));
	/* By then they have closed it, too. */
	ASSERT_TRUE(goes_on(&self->workers[0], 1));
	ASSERT_TRUE(goes_on(&self->workers[1], 1));
	close(self->fd);
	ASSERT_EQ(0, pipe2(self->workers[0].go, O_CLOEXEC));
	ASSERT_EQ(0, test_client_start(&holder, hold_until_killed, self));
	close(self->workers[0].go[1]);
	ASSERT_EQ(1, read(self->workers[0].go[0], &c, 1));
	before = rounds(self->workers);
	test_nap(20);
	EXPECT_EQ(before, rounds(self->workers));
	test_client_kill(&holder);
	EXPECT_TRUE(goes_on(&self->workers[0], 2));
	EXPECT_TRUE(goes_on(&self->workers[1], 2));
	self->fd = th_attach(self->id);
	EXPECT_LE(0, self->fd);
}

/* --- more than one thread, more than one program -------------------------------- */

static void *hammer_thread(void *arg)
{
	struct worker *w = arg;

	for (;;) {
		one_round(w, w->fs->dir);
		atomic_fetch_add(&w->rounds, 1);
	}
	return NULL;
}

/* As many threads as there could be clients, and one that only waits. */
static int hammer_threads(void *arg)
{
	struct worker *w = arg;
	pthread_t threads[CLIENTS];
	int i;

	close(w->handle);
	for (i = 0; i < CLIENTS; i++)
		if (pthread_create(&threads[i], NULL, hammer_thread, &w[i]))
			return -EAGAIN;
	pthread_join(threads[0], NULL);
	return 0;
}

TEST_F_TIMEOUT(gate, all_threads, 900)
{
	int i;

	ASSERT_EQ(0, start(self, 1, hammer_threads));
	for (i = 0; i < CLIENTS; i++)
		ASSERT_TRUE(goes_on(&self->workers[i], 1));
	for (i = 0; i < 5; i++)
		close_once(_metadata, self, 1, CLIENTS + 1);
}

static bool copy_program(const char *from, const char *to)
{
	char data[4096];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
	ssize_t n;

	while ((n = read(in, data, sizeof(data))) > 0)
		if (write(out, data, n) != n)
			break;
	close(in);
	return close(out) == 0 && n == 0;
}

/* Runs a program that is on the mount, whose start is a vfork(), over and over. */
static int run_programs(void *arg)
{
	struct worker *w = arg;
	char path[300];
	char *argv[] = { path, NULL };
	int status;
	pid_t pid;

	close(w->handle);
	snprintf(path, sizeof(path), "%s/true%d", w->fs->dir, w->number);
	for (;;) {
		errno = posix_spawn(&pid, path, NULL, NULL, argv, argv + 1);
		if (CHECK(w, !errno))
			CHECK(w, waitpid(pid, &status, 0) == pid && !status);
		atomic_fetch_add(&w->rounds, 1);
	}
	return 0;
}

TEST_F_TIMEOUT(gate, programs_start, 900)
{
	char path[300];
	int i;

	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/true%d", self->fs->dir, i);
		ASSERT_TRUE(copy_program("/bin/true", path));
	}
	ASSERT_EQ(0, start(self, 2, run_programs));
	for (i = 0; i < 2; i++)
		ASSERT_TRUE(goes_on(&self->workers[i], 1));
	for (i = 0; i < 20; i++)
		close_once(_metadata, self, 2, 2);
}

/* The child uses the mount when it is told to, and ends when it is told again. */
static int vfork_once(void *arg)
{
	struct worker *w = arg;
	struct stat st;
	pid_t pid;
	char c;

	close(w->handle);
	/* cppcheck-suppress vforkCalled ; it is what is tested */
	pid = vfork();
	if (!pid) {
		w->rounds = 1;
		if (read(w->go[0], &c, 1) == 1 && !stat(w->fs->dir, &st))
			w->rounds = 2;
		_exit(read(w->go[0], &c, 1) == 1 ? 0 : 1);
	}
	CHECK(w, pid > 0 && w->rounds == 2);
	pause();
	return 0;
}

/* The child may be done before the tracer interrupts. */
static bool is_told_of_child(int status)
{
	return WIFSTOPPED(status) && WSTOPSIG(status) == SIGCHLD && !(status >> 16);
}

/*
 * The parent cannot be stopped before the child is done; so the child must not be
 * held.
 */
TEST_F(gate, child_of_vfork_goes_on)
{
	struct worker *w = &self->workers[0];
	pid_t pid;
	int status, i;

	ASSERT_EQ(0, pipe2(w->go, O_CLOEXEC));
	ASSERT_EQ(0, start(self, 1, vfork_once));
	pid = self->clients[0].pid;
	ASSERT_TRUE(goes_on(w, 1 - w->rounds));
	ASSERT_EQ(0, th_gate_close(self->fd, self->fs->pid));
	ASSERT_EQ(2, write(w->go[1], "go", 2));
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, pid, NULL, 0));
	ASSERT_EQ(0, ptrace(PTRACE_INTERRUPT, pid, NULL, NULL));
	for (i = 0; i < DRAIN_MS; i++) {
		if (waitpid(pid, &status, __WALL | WNOHANG) != pid)
			test_nap(1);
		else if (!is_told_of_child(status))
			break;
		else
			ASSERT_EQ(0, ptrace(PTRACE_CONT, pid, NULL, SIGCHLD));
	}
	ASSERT_GT(DRAIN_MS, i);
	EXPECT_EQ(PTRACE_EVENT_STOP, status >> 16);
	EXPECT_EQ(2, w->rounds);
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, pid, NULL, NULL));
	ASSERT_EQ(0, th_gate_open(self->fd));
}

TEST_HARNESS_MAIN
