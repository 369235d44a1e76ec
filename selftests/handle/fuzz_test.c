// SPDX-License-Identifier: GPL-2.0
/*
 * Random questions and ioctls, while mounts are busy, held, aborted and gone.
 * The answers do not matter: no call may crash or hang the kernel, and after all
 * of it the module has to answer, and to go.
 *
 * FUZZ_CALLS is how many calls a seed gets, FUZZ_SEED another first seed. With
 * FUZZ_RECORD=DIRECTORY each call is written to DIRECTORY/SEED before it is made;
 * what has broken something goes to fuzz_findings.h, from where it is called again
 * in each run.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../tools/lib/newer_fuse.h"
#include "fuzz_findings.h"
#include "fuzz_make.h"
#include "test_handle.h"
#include "test_util.h"

#define SEEDS		4	/* processes that call, each with its own */
#define CALLS		20000
#define RARE		2	/* ioctls that may have done nothing by then */
#define TIMES		8	/* that a finding is called */

/* --- calls ------------------------------------------------------------------- */

/* An owner whose connection is gone is of no more use. */
static void change(struct caller *c, struct action *a, long arg)
{
	unsigned int nr = ioctl_number(a->cmd), at = a->at % HANDLES;
	int ret = ioctl(c->handles[at], a->cmd, arg);

	__sync_fetch_and_add(&shared->called[nr], 1);
	if (ret >= 0)
		__sync_fetch_and_add(&shared->done[nr], 1);
	if (ret >= 0 && a->cmd == FUSECR_IOC_ATTACH) {
		c->attached[at] = true;
		for (unsigned int i = 0; i < MOVERS; i++)
			if (shared->targets[i].conn_id == a->words[0])
				c->target[at] = &shared->targets[i];
	}
	if (ret < 0 && errno == ENOTCONN && c->attached[at] && one_in(&c->random, 4)) {
		replace(&c->handles[at], -1);
		c->attached[at] = false;
	}
}

static void handle(struct caller *c, struct action *a)
{
	int *fd = &c->handles[a->at % HANDLES];
	struct pollfd pfd = { .fd = *fd, .events = POLLIN };

	switch (a->what) {
	case 'o':
		replace(fd, th_open());
		c->attached[a->at % HANDLES] = false;
		break;
	case 'c':
		replace(fd, -1);
		c->attached[a->at % HANDLES] = false;
		break;
	case 'l':
		poll(&pfd, 1, 0);
		break;
	case 'i':
		change(c, a, (long)a->words);
		break;
	case 'v':
		change(c, a, a->words[0]);
		break;
	}
}

static void perform(struct caller *c, struct action *a)
{
	uint32_t id = a->at;

	if (c->record)
		action_write(c->record, &c->d, a);
	switch (a->what) {
	case 'q':
		question(c, a);
		break;
	case 't':
		take_device(c, a->at);
		break;
	case 'k':
		clone_device(c);
		break;
	case 'r':
		read_request(c);
		break;
	case 'b':
		back(c);
		break;
	case 'u':
		ioctl(c->d.dev, BACKING_CLOSE, &id);
		break;
	default:
		handle(c, a);
	}
}

static int begin(struct caller *c, uint64_t seed)
{
	*c = (struct caller){
		.random = { seed * 0x9e3779b97f4a7c15ULL | 1 },
		.sock = -1,
		.handles = { -1, -1, -1, -1 },
		.target = { shared->targets, shared->targets, shared->targets, shared->targets },
		.d = { -1, -1 },
	};
	return tnl_open(&c->nl);
}

static FILE *record(uint64_t seed)
{
	const char *dir = getenv("FUZZ_RECORD");
	char path[256];

	snprintf(path, sizeof(path), "%s/%lu", dir ? dir : "", seed);
	return dir ? fopen(path, "we") : NULL;
}

static bool owns(const struct caller *c)
{
	for (unsigned int i = 0; i < HANDLES; i++)
		if (c->attached[i])
			return true;
	return false;
}

static int call(uint64_t seed, unsigned long calls)
{
	struct action a;
	struct caller c;

	if (begin(&c, seed))
		return 1;
	c.record = record(seed);
	while (calls--) {
		if (one_in(&c.random, 2))
			a = make_question(&c);
		else if (one_in(&c.random, c.d.dev < 0 ? 8 : 32))
			a = make_device(&c);
		else if (!owns(&c) && !one_in(&c.random, 4))
			a = make_question(&c);
		else
			a = make_change(&c);
		perform(&c, &a);
	}
	return 0;
}

/* By a process for each time, with which goes what it had open. */
static int call_again(const struct finding *f, unsigned int times)
{
	char *copy = strdup(f->calls), *line, *save;
	struct action a;
	struct caller c;

	for (unsigned int i = 0; i < MOVERS; i++)
		while (!shared->targets[i].conn_id)
			test_nap(10);
	if (!copy || begin(&c, times))
		return 1;
	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!action_read(line, &c.d, &a)) {
			printf("# %s: cannot be read: %s\n", f->name, line);
			return 1;
		}
		/* Another size of what it takes is another number. */
		if (strchr("iv", a.what) && _IOC_TYPE(a.cmd) == FUSECR_IOC_MAGIC && !ioctl_number(a.cmd)) {
			printf("# %s: no ioctl of ours: %s\n", f->name, line);
			return 1;
		}
		perform(&c, &a);
	}
	free(copy);
	/* In another state of the mounts. */
	test_nap(below(&c.random, 100));
	return 0;
}

/* --- mounts ------------------------------------------------------------------ */

static void nap(struct random *r)
{
	struct timespec t = { .tv_nsec = (10 + below(r, 90)) * 1000000 };

	nanosleep(&t, NULL);
}

/* Through an open of its own, in several pieces. */
static void map_file(const struct rawfs *fs)
{
	int fd = open(test_path(fs, "f0"), O_RDONLY);

	if (fd < 0)
		return;
	/* cppcheck-suppress leakReturnValNotUsed ; mapped as long as this process lives */
	mmap((void *)MAP_AT, MAP_SIZE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0);
	mprotect((void *)(MAP_AT + MAP_SIZE / 4), MAP_SIZE / 4, PROT_READ | PROT_EXEC);
	close(fd);
}

/* As 4 it has what is deleted in a directory that is deleted. */
static void open_gone(const struct rawfs *fs, struct target *t)
{
	struct stat st;

	mkdir(test_path(fs, "gone"), 0755);
	if (!stat(test_path(fs, "gone"), &st))
		t->above = st.st_ino;
	/* cppcheck-suppress leakReturnValNotUsed ; open as long as this process lives */
	open(test_path(fs, "gone/file"), O_RDONLY | O_CREAT, 0644);
	if (!fstat(4, &st))
		t->gone = st.st_ino;
	unlink(test_path(fs, "gone/file"));
	rmdir(test_path(fs, "gone"));
}

/* Has files open and looks at others, some of whose answers never come. */
static pid_t start_client(const struct rawfs *fs, struct target *t)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	for (unsigned int i = 3; i < 64; i++)
		close(i);
	/* cppcheck-suppress leakReturnValNotUsed ; open as long as this process lives */
	open(test_path(fs, "f0"), O_RDONLY);
	open_gone(fs, t);
	map_file(fs);
	for (unsigned int i = 0;; i++) {
		char name[32];

		snprintf(name, sizeof(name), "dir%u/f%u", i % 2, i % 4);
		test_stat((void *)test_path(fs, name));
		if (i % 16 == 0)
			test_drop_caches();
	}
}

static void finish(struct rawfs *fs, struct random *r)
{
	switch (below(r, 5)) {
	case 0:
		rawfs_umount(fs);
		break;
	case 1:
		test_fusectl(fs, "abort");
		break;
	case 2:
		umount2(fs->dir, MNT_FORCE);
		break;
	case 3:
		rawfs_kill(fs);
		break;
	}
}

/* Any flags but those of write-back; passing through, where the kernel can. */
static void choose_init(struct fuse_init_out *init, bool passes, struct random *r)
{
	init->flags = next(r) & 0x7fffffff & ~FUSE_WRITEBACK_CACHE;
	init->flags2 = next(r) & (one_in(r, 2) ? 0x7ff : 0);
	init->max_stack_depth = below(r, 4);
	if (!passes)
		return;
	init->flags |= FUSE_INIT_EXT;
	init->flags2 |= INIT_PASSTHROUGH >> 32;
	init->max_stack_depth = 1;
}

static void move_once(struct target *t, struct tnl *nl, const char *behind, struct random *r)
{
	struct rawfs_config config;
	struct rawfs *fs;
	pid_t client;

	rawfs_defaults(&config);
	config.controlled = true;
	config.entry_ms = below(r, 2) * 1000;
	config.behind = one_in(r, 2) ? behind : NULL;
	choose_init(&config.init, config.behind, r);
	fs = rawfs_up(&config, false);
	if (!fs)
		return;
	client = start_client(fs, t);
	t->server = fs->pid;
	t->fd = one_in(r, 4) ? 3 + (int)below(r, 8) : fs->fd[0];
	t->nodeid = RAWFS_NODE_BASE + RAWFS_NODE_STEP;
	t->client = client;
	t->conn_id = tnl_conn_id(nl, fs->dev);
	nap(r);
	if (one_in(r, 2))
		rawfs_hold(fs, FUSE_LOOKUP);
	nap(r);
	if (one_in(r, 3))
		rawfs_stop(fs);
	nap(r);
	finish(fs, r);
	kill(client, SIGKILL);
	nap(r);
	/* Somebody may have a clone of its device, and the client close its files for ever. */
	test_fusectl(fs, "abort");
	rawfs_down(fs);
	waitpid(client, NULL, 0);
}

static int move(struct target *t, uint64_t seed)
{
	struct random r = { seed * 0x2545f4914f6cdd1dULL | 1 };
	char behind[] = "/tmp/behind.XXXXXX";
	struct tnl nl;

	if (tnl_open(&nl) || !mkdtemp(behind))
		return 1;
	while (!shared->end)
		move_once(t, &nl, shared->passes ? behind : NULL, &r);
	return 0;
}

/* --- all of it ------------------------------------------------------------------ */

static unsigned long setting(const char *name, unsigned long otherwise)
{
	const char *value = getenv(name);

	return value ? strtoul(value, NULL, 0) : otherwise;
}

static int end_of(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool answers(void)
{
	struct tnl_list list = { 0 };
	struct tnl nl;
	bool yes;

	if (tnl_open(&nl))
		return false;
	yes = !tnl_dump(&nl, &(struct tnl_query){ .cmd = FUSECR_CMD_GET_CONN }, &list);
	tnl_free(&list);
	tnl_close(&nl);
	return yes;
}

static bool can_pass(void)
{
	struct tnl_list list = { 0 };
	struct tnl nl;
	bool can;

	if (tnl_open(&nl))
		return false;
	can = !tnl_do(&nl, &(struct tnl_query){ .cmd = FUSECR_CMD_GET_INFO }, &list) &&
	      tnl_u32(&list.v[0], FUSECR_INFO_FEATURES) & FUSECR_FEATURE_PASSTHROUGH;
	tnl_free(&list);
	tnl_close(&nl);
	return can;
}

/* Calls that always fail would try nothing. To read one, a request must wait just then. */
static bool devices_used(unsigned long calls)
{
	printf("# %u clones, %u requests read, %u files to pass through to\n", shared->clones,
	       shared->reads, shared->backings);
	return shared->clones && (shared->reads || calls <= CALLS) &&
	       (shared->backings || !shared->passes);
}

/* Of each something must come; of what needs much to be right, in a long run. */
static bool changes_made(unsigned long calls)
{
	unsigned int without = 0;

	printf("# ioctls that did something, of those called:");
	for (unsigned int i = 1; i < IOCTLS; i++) {
		printf(" %u:%lu/%lu", i, shared->done[i], shared->called[i]);
		without += !shared->done[i];
	}
	printf("\n# %lu others\n", shared->called[0]);
	return without <= (calls > CALLS ? 0 : RARE);
}

/* Each some times, while everybody else calls at random. */
static bool call_findings(void)
{
	bool all = true;

	for (unsigned int i = 0; i < FINDINGS; i++) {
		bool ok = true;

		for (unsigned int times = 1; times <= TIMES; times++) {
			pid_t pid = fork();

			if (!pid)
				exit(call_again(&findings[i], times));
			ok = end_of(pid) == 0 && ok;
		}
		all = all && ok;
		printf("%sok %u finding: %s\n", ok ? "" : "not ", 1 + i, findings[i].name);
	}
	return all;
}

/*
 * Numbers of processes are random, too. Whoever is held that waits for something else
 * lets the module go when that comes: nobody outside is to be among them.
 */
static void be_alone(void)
{
	pid_t pid;

	if (unshare(CLONE_NEWPID)) {
		printf("Bail out! no processes of our own\n");
		exit(1);
	}
	pid = fork();
	if (pid)
		exit(pid < 0 ? 1 : end_of(pid) != 0);
}

int main(void)
{
	unsigned long calls = setting("FUZZ_CALLS", CALLS);
	unsigned long first = setting("FUZZ_SEED", 1);
	pid_t callers[SEEDS], movers[MOVERS];
	bool ok, all;

	printf("TAP version 13\n1..%zu\n", SEEDS + FINDINGS + 4);
	fflush(stdout);
	be_alone();
	signal(SIGPIPE, SIG_IGN);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || test_own_mounts()) {
		printf("Bail out! no mounts of our own\n");
		return 1;
	}
	shared->passes = can_pass();
	for (int i = 0; i < MOVERS; i++) {
		movers[i] = fork();
		if (!movers[i])
			_exit(move(&shared->targets[i], first + i));
	}
	for (int i = 0; i < SEEDS; i++) {
		callers[i] = fork();
		if (!callers[i])
			_exit(call(first + i, calls));
	}
	all = call_findings();
	for (int i = 0; i < SEEDS; i++) {
		ok = end_of(callers[i]) == 0;
		all = all && ok;
		printf("%sok %d seed %lu, %lu calls\n", ok ? "" : "not ", (int)FINDINGS + i + 1, first + i, calls);
	}
	shared->end = true;
	ok = true;
	for (int i = 0; i < MOVERS; i++)
		ok = end_of(movers[i]) == 0 && ok;
	all = all && ok;
	printf("%sok %d mounts came and went\n", ok ? "" : "not ", SEEDS + (int)FINDINGS + 1);
	ok = answers();
	all = all && ok;
	printf("%sok %d the module answers\n", ok ? "" : "not ", SEEDS + (int)FINDINGS + 2);
	ok = devices_used(calls);
	all = all && ok;
	printf("%sok %d devices were used\n", ok ? "" : "not ", SEEDS + (int)FINDINGS + 3);
	ok = changes_made(calls);
	all = all && ok;
	printf("%sok %d each ioctl did something\n", ok ? "" : "not ", SEEDS + (int)FINDINGS + 4);
	return !all;
}
