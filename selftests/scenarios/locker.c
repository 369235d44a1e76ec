// SPDX-License-Identifier: GPL-2.0
/*
 * locker - holds locks of every kind, and others wait for them.
 *
 *	locker [-k] MOUNT CONTROL
 *
 * Says "ready" to the FIFO CONTROL.out, and obeys lines from CONTROL.cmd:
 *
 *	check	is every lock what it was, for itself and for others: "ok"
 *	quit	lets go of them one by one, each in another way; those who wait
 *		get theirs: "bye"
 *
 * With -k the kernel keeps the locks, and there are leases and a locked directory,
 * and the file with POSIX locks is mapped, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"

/* The last one allows nobody else to open it. */
enum file { POSIX, OFD, FLOCK, SHARED, LEASE, DIR_, NR_OPENED, ALONE = NR_OPENED, NR_FILES };

static const char *const names[NR_FILES] = {
	"posix", "ofd", "flock", "shared", "lease", ".", "alone",
};

static int fds[NR_FILES];
static char top[PATH_MAX];
static bool kernel;
static pid_t sharer;

/* They wait for the lock of one file each. */
static struct waiter {
	enum file file;
	pid_t pid;
	int go, got;		/* pipes */
} waiters[] = { { .file = POSIX }, { .file = FLOCK }, { .file = OFD } };

#define NR_WAITERS	(sizeof(waiters) / sizeof(*waiters))

static int open_file(enum file file)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/%s", top, names[file]);
	if (file == DIR_)
		return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* A lease for reading allows no writer. */
	return open(path, (file == LEASE ? O_RDONLY : O_RDWR) | O_CREAT | O_CLOEXEC, 0666);
}

/* A range of 10 bytes; 0 or -errno. */
static int range(int fd, int cmd, short type, off_t start)
{
	struct flock lock = { .l_type = type, .l_start = start, .l_len = 10 };

	return fcntl(fd, cmd, &lock) ? -errno : 0;
}

static int flock_now(int fd, int operation)
{
	return flock(fd, operation | LOCK_NB) ? -errno : 0;
}

static int expect(const char *what, int want, int got)
{
	if (want == got)
		return 0;
	return bad("%s: %s, not %s", what, strerror(-got), strerror(-want));
}

/* Who stands in the way of a lock for writing. */
static int expect_holder(int fd, off_t start, pid_t want)
{
	struct flock lock = { .l_type = F_WRLCK, .l_start = start, .l_len = 1 };

	if (fcntl(fd, F_GETLK, &lock))
		return bad("F_GETLK: %s", strerror(errno));
	if (!want)
		return lock.l_type == F_UNLCK ? 0 : bad("byte %ld is locked by %d", (long)start, lock.l_pid);
	if (lock.l_type == F_UNLCK || lock.l_pid != want)
		return bad("byte %ld is locked by %d (type %d), not %d", (long)start, lock.l_pid, lock.l_type, want);
	if (lock.l_start > start || lock.l_start + lock.l_len <= start)
		return bad("byte %ld is not in %ld+%ld", (long)start, (long)lock.l_start, (long)lock.l_len);
	return 0;
}

/* --- those who wait ----------------------------------------------------------- */

static int wait_for_lock(enum file file, int fd)
{
	if (file == FLOCK)
		return flock(fd, LOCK_EX);
	return range(fd, file == OFD ? F_OFD_SETLKW : F_SETLKW, F_WRLCK, 0);
}

static void wait_in_child(const struct waiter *w, int go, int got)
{
	char byte;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (read(go, &byte, 1) != 1)
		_exit(1);
	fd = open_file(w->file);
	if (fd < 0 || write(got, "w", 1) != 1 || wait_for_lock(w->file, fd))
		_exit(2);
	if (write(got, "g", 1) != 1)
		_exit(3);
	for (;;)
		pause();
}

/* Before there is any lock: it shares no open file. */
static int start_waiter(struct waiter *w)
{
	int go[2], got[2];

	if (pipe2(go, O_CLOEXEC) || pipe2(got, O_CLOEXEC))
		return bad("pipe: %s", strerror(errno));
	w->pid = fork();
	if (!w->pid)
		wait_in_child(w, go[0], got[1]);
	close(go[0]);
	close(got[1]);
	w->go = go[1];
	w->got = got[0];
	return w->pid < 0 ? bad("fork: %s", strerror(errno)) : 0;
}

/* Has the same open files, and no POSIX lock by that. */
static pid_t start_sharer(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

static int let_wait(const struct waiter *w)
{
	char byte;

	if (write(w->go, "", 1) != 1 || read(w->got, &byte, 1) != 1)
		return bad("a waiter ended");
	return 0;
}

static int expect_got(const struct waiter *w)
{
	char byte;

	if (read(w->got, &byte, 1) != 1 || byte != 'g')
		return bad("the waiter for %s ended", names[w->file]);
	return 0;
}

/* --- what is locked ------------------------------------------------------------- */

static int lock_all(void)
{
	/* Each time the same: it is the owner's already. */
	if (expect("POSIX write", 0, range(fds[POSIX], F_SETLK, F_WRLCK, 0)) ||
	    expect("POSIX read", 0, range(fds[POSIX], F_SETLK, F_RDLCK, 20)) ||
	    expect("OFD", 0, range(fds[OFD], F_OFD_SETLK, F_WRLCK, 5)) ||
	    expect("flock", 0, flock_now(fds[FLOCK], LOCK_EX)) ||
	    expect("shared flock", 0, flock_now(fds[SHARED], LOCK_SH)))
		return -1;
	if (!kernel)
		return 0;
	return expect("flock of a directory", 0, flock_now(fds[DIR_], LOCK_EX));
}

/* Another process, with open files of its own. */
static int be_excluded(pid_t owner)
{
	int fd[NR_OPENED];

	for (int i = 0; i < NR_OPENED; i++) {
		fd[i] = open_file(i);
		if (fd[i] < 0)
			return bad("open %s: %s", names[i], strerror(errno));
	}
	if (expect("POSIX of another", -EAGAIN, range(fd[POSIX], F_SETLK, F_RDLCK, 0)) ||
	    expect("POSIX read of another", 0, range(fd[POSIX], F_SETLK, F_RDLCK, 20)) ||
	    expect("POSIX write of another", -EAGAIN, range(fd[POSIX], F_SETLK, F_WRLCK, 20)) ||
	    expect("POSIX elsewhere", 0, range(fd[POSIX], F_SETLK, F_WRLCK, 40)) ||
	    expect_holder(fd[POSIX], 3, owner) || expect_holder(fd[POSIX], 15, 0) ||
	    expect("OFD of another", -EAGAIN, range(fd[OFD], F_OFD_SETLK, F_WRLCK, 0)) ||
	    expect("OFD elsewhere", 0, range(fd[OFD], F_OFD_SETLK, F_WRLCK, 15)) ||
	    expect("flock of another", -EAGAIN, flock_now(fd[FLOCK], LOCK_SH)) ||
	    expect("shared flock of another", 0, flock_now(fd[SHARED], LOCK_SH)) ||
	    expect("flock instead of shared", -EAGAIN, flock_now(fd[SHARED], LOCK_EX)))
		return -1;
	if (kernel)
		return expect("flock of the directory", -EAGAIN, flock_now(fd[DIR_], LOCK_SH));
	return 0;
}

/* Runs it in a child, and waits for that. */
static int in_child(int (*call)(pid_t owner))
{
	int pipes[2], status = -1;
	pid_t pid, owner = getpid();

	if (pipe2(pipes, O_CLOEXEC))
		return bad("pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		status = call(owner) ? 1 : 0;
		if (status && write(pipes[1], wrong, sizeof(wrong)) != sizeof(wrong))
			status = 2;
		_exit(status);
	}
	close(pipes[1]);
	if (read(pipes[0], wrong, sizeof(wrong)) < 0 || waitpid(pid, &status, 0) != pid)
		bad("a child: %s", strerror(errno));
	close(pipes[0]);
	return status ? -1 : 0;
}

static int check(void)
{
	if (kernel && (fcntl(fds[LEASE], F_GETLEASE) != F_RDLCK || fcntl(fds[ALONE], F_GETLEASE) != F_WRLCK))
		return bad("the leases are %d and %d", fcntl(fds[LEASE], F_GETLEASE),
			   fcntl(fds[ALONE], F_GETLEASE));
	/* As they are, before they are locked again, and after. */
	return in_child(be_excluded) ?: lock_all() ?: in_child(be_excluded);
}

/* --- the end ---------------------------------------------------------------------- */

/* Blocks where RELEASE is still on its way to the daemon. */
static int get_them(pid_t owner)
{
	int fd[NR_OPENED];

	(void)owner;
	for (int i = 0; i < NR_OPENED; i++)
		fd[i] = open_file(i);
	/* Below it a waiter has what he waited for. */
	if (expect("OFD at last", 0, range(fd[OFD], F_OFD_SETLKW, F_WRLCK, 10)) ||
	    expect("POSIX at last", 0, range(fd[POSIX], F_SETLK, F_WRLCK, 20)) ||
	    expect("shared at last", 0, flock(fd[SHARED], LOCK_EX) ? -errno : 0))
		return -1;
	return kernel ? expect("directory at last", 0, flock_now(fd[DIR_], LOCK_EX)) : 0;
}

static int let_go(void)
{
	int other;

	kill(sharer, SIGKILL);
	if (waitpid(sharer, NULL, 0) != sharer)
		return bad("the sharer is not mine: %s", strerror(errno));
	if (expect("unlock", 0, range(fds[POSIX], F_SETLK, F_UNLCK, 0)) ||
	    expect_got(&waiters[0]) || expect_holder(fds[POSIX], 0, waiters[0].pid) ||
	    expect("its own before", -EAGAIN, range(fds[POSIX], F_SETLK, F_RDLCK, 0)))
		return -1;
	/* Any close by the owner ends its POSIX locks on the file. */
	other = open_file(POSIX);
	close(other);
	close(fds[OFD]);
	close(fds[FLOCK]);
	if (expect_got(&waiters[1]) || expect_got(&waiters[2]))
		return -1;
	if (expect("unlock shared", 0, flock_now(fds[SHARED], LOCK_UN)))
		return -1;
	close(fds[DIR_]);
	if (kernel && fcntl(fds[LEASE], F_SETLEASE, F_UNLCK))
		return bad("F_SETLEASE: %s", strerror(errno));
	return in_child(get_them);
}

static void end_waiters(void)
{
	for (size_t i = 0; i < NR_WAITERS; i++) {
		kill(waiters[i].pid, SIGKILL);
		waitpid(waiters[i].pid, NULL, 0);
	}
}

/* Like the index of a sqlite WAL: a restore has another open file for each, and closes it. */
static int map_posix(void)
{
	void *shared, *private;

	if (ftruncate(fds[POSIX], 4096))
		return bad("ftruncate: %s", strerror(errno));
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fds[POSIX], 0);
	private = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fds[POSIX], 0);
	return shared == MAP_FAILED || private == MAP_FAILED ? bad("mmap: %s", strerror(errno)) : 0;
}

static int begin(void)
{
	if (mkdir(top, 0777))
		return bad("%s: %s", top, strerror(errno));
	for (size_t i = 0; i < NR_WAITERS; i++)
		if (start_waiter(&waiters[i]))
			return -1;
	for (int i = 0; i < NR_FILES; i++) {
		fds[i] = open_file(i);
		if (fds[i] < 0)
			return bad("open %s: %s", names[i], strerror(errno));
	}
	if (kernel && (fcntl(fds[LEASE], F_SETLEASE, F_RDLCK) || fcntl(fds[ALONE], F_SETLEASE, F_WRLCK)))
		return bad("F_SETLEASE: %s", strerror(errno));
	if (kernel && map_posix())
		return -1;
	if (lock_all())
		return -1;
	for (size_t i = 0; i < NR_WAITERS; i++)
		if (let_wait(&waiters[i]))
			return -1;
	sharer = start_sharer();
	return sharer < 0 ? bad("fork: %s", strerror(errno)) : 0;
}

int main(int argc, char **argv)
{
	char line[32];

	kernel = argc == 4 && !strcmp(argv[1], "-k");
	if (argc - kernel != 3) {
		fprintf(stderr, "usage: locker [-k] MOUNT CONTROL\n");
		return 2;
	}
	snprintf(top, sizeof(top), "%s/locker", argv[1 + kernel]);
	control_open(argv[2 + kernel]);
	if (begin()) {
		control_say("%s", wrong);
		return 1;
	}
	control_say("ready");
	while (control_hear(line, sizeof(line))) {
		if (!strcmp(line, "check")) {
			control_say("%s", check() ? wrong : "ok");
			continue;
		}
		control_say("%s", let_go() ? wrong : "bye");
		end_waiters();
		return 0;
	}
	return 1;
}
