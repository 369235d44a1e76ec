// SPDX-License-Identifier: GPL-2.0
/*
 * Random questions and ioctls, while mounts are busy, held, aborted and gone.
 * The answers do not matter: no call may crash or hang the kernel, and after all
 * of it the module has to answer, and to go.
 *
 * FUZZ_CALLS is how many calls a seed gets, FUZZ_SEED another first seed.
 */
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "test_handle.h"
#include "test_util.h"

#define SEEDS		4	/* processes that call, each with its own */
#define MOVERS		2	/* mounts at a time */
#define HANDLES		4	/* that one process has open */
#define CALLS		20000
#define MESSAGE_MAX	512
#define WORDS		34	/* of the largest argument */
#define MAP_AT		0x10000000UL	/* where clients map their file */
#define MAP_SIZE	16384UL

/* What those who call know of those who mount. */
struct shared {
	struct target {
		uint64_t conn_id;
		pid_t server;
		int32_t fd;		/* its /dev/fuse */
		uint64_t nodeid;	/* of an open file */
		pid_t client;		/* who has it open, as 3 */
	} targets[MOVERS];
	bool end;
};

static struct shared *shared;

/* --- numbers ----------------------------------------------------------------- */

struct random {
	uint64_t state;
};

static uint64_t next(struct random *r)
{
	/* xorshift64*, Vigna 2016. */
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * 0x2545f4914f6cdd1dULL;
}

static uint64_t below(struct random *r, uint64_t n)
{
	return next(r) % n;
}

static bool one_in(struct random *r, unsigned int n)
{
	return below(r, n) == 0;
}

/* Numbers that mean something, are at an edge, or neither. */
static uint64_t number(struct random *r)
{
	const struct target *t = &shared->targets[below(r, MOVERS)];

	switch (below(r, 12)) {
	case 0 ... 2:
		return t->conn_id;
	case 3:
		return t->nodeid;
	case 4:
		return t->client;
	case 5:
		return t->server;
	case 6:
		return getpid();
	case 7:
		return below(r, 8);
	case 8:
		return ~0ULL - below(r, 3);
	case 9:
		return 1ULL << below(r, 64);
	case 10:
		return RAWFS_NODE_BASE + below(r, 32) * RAWFS_NODE_STEP;
	default:
		return next(r);
	}
}

static void scramble(struct random *r, void *data, size_t len)
{
	unsigned char *p = data;

	for (unsigned int n = 1 + below(r, 4); len && n; n--)
		p[below(r, len)] = next(r);
}

/* --- questions ----------------------------------------------------------------- */

struct caller {
	struct random random;
	struct tnl nl;		/* for the family's number */
	int sock;
	int handles[HANDLES];
	int dev;		/* a duplicate of some server's device, or -1 */
};

static size_t put_attr(struct random *r, char *buf, size_t room)
{
	static const uint16_t lengths[] = { 0, 1, 2, 4, 8, 8, 8, 4 };
	struct nlattr attr = {
		.nla_type = one_in(r, 8) ? next(r) : 1 + below(r, 12),
	};
	uint16_t len = one_in(r, 16) ? below(r, 64) : lengths[below(r, 8)];
	size_t size = NLA_ALIGN(NLA_HDRLEN + len);
	uint64_t value[8];

	if (size > room)
		return 0;
	for (unsigned int i = 0; i < 8; i++)
		value[i] = number(r);
	attr.nla_len = one_in(r, 32) ? next(r) : NLA_HDRLEN + len;
	memset(buf, 0, size);
	memcpy(buf, &attr, sizeof(attr));
	memcpy(buf + NLA_HDRLEN, value, len);
	return size;
}

static size_t make_question(struct caller *c, char *buf)
{
	struct random *r = &c->random;
	struct nlmsghdr *nlh = (void *)buf;
	struct genlmsghdr *genl = NLMSG_DATA(nlh);
	size_t len = NLMSG_HDRLEN + GENL_HDRLEN;

	memset(buf, 0, len);
	nlh->nlmsg_type = c->nl.family;
	nlh->nlmsg_flags = NLM_F_REQUEST |
			   (one_in(r, 2) ? NLM_F_DUMP : NLM_F_ACK);
	if (one_in(r, 16))
		nlh->nlmsg_flags = next(r);
	nlh->nlmsg_seq = next(r);
	genl->cmd = one_in(r, 16) ? next(r) : below(r, FUSECR_CMD_MAX + 2);
	genl->version = FUSECR_GENL_VERSION;
	for (unsigned int n = below(r, 4); n; n--)
		len += put_attr(r, buf + len, MESSAGE_MAX - len);
	nlh->nlmsg_len = len;
	if (one_in(r, 8))
		scramble(r, NLMSG_DATA(nlh), len - NLMSG_HDRLEN);
	return len;
}

static void reopen(struct caller *c)
{
	if (c->sock >= 0)
		close(c->sock);
	c->sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
}

static void question(struct caller *c)
{
	static char answer[64 << 10];
	char buf[MESSAGE_MAX];
	size_t len = make_question(c, buf);

	/* A dump that is left half read. */
	if (c->sock < 0 || one_in(&c->random, 32))
		reopen(c);
	send(c->sock, buf, len, MSG_DONTWAIT);
	for (unsigned int n = below(&c->random, 8); n; n--)
		if (recv(c->sock, answer, sizeof(answer), MSG_DONTWAIT) <= 0)
			break;
}

/* --- handles ----------------------------------------------------------------- */

/* From somebody's server: a device is no file on a mount, it can be taken. */
static void take_device(struct caller *c)
{
	const struct target *t = &shared->targets[below(&c->random, MOVERS)];
	int pidfd;

	if (c->dev >= 0)
		close(c->dev);
	c->dev = -1;
	pidfd = t->server > 0 ? syscall(SYS_pidfd_open, t->server, 0) : -1;
	if (pidfd < 0)
		return;
	c->dev = syscall(SYS_pidfd_getfd, pidfd, t->fd, 0);
	close(pidfd);
}

union argument {
	struct fusecr_attach attach;
	struct fusecr_set_conn conn;
	struct fusecr_set_inode inode;
	struct fusecr_set_file file;
	struct fusecr_share_file share;
	struct fusecr_own_page own;
	struct fusecr_drop_pages drop;
	struct fusecr_unlink unlink;
	struct fusecr_forget forget;
	struct fusecr_requeue requeue;
	struct fusecr_gate_close close;
	struct fusecr_hold hold;
	struct fusecr_gate_status status;
	struct fusecr_take take;
	struct fusecr_keep keep;
	struct fusecr_set_owner owner;
	uint64_t words[WORDS];
};

static char bytes[FUSECR_KEEP_MAX];

/* One that may do: what it says of its bytes is as it comes. */
static void fill_keep(struct caller *c, struct fusecr_keep *k)
{
	static const uint32_t sizes[] = { 0, 4, 8, 16, 24, 128, 152, 4096, FUSECR_KEEP_MAX / 2 };
	const struct target *t = &shared->targets[below(&c->random, MOVERS)];
	struct random *r = &c->random;

	for (unsigned int i = 0; i < 512; i += 8)
		*(uint64_t *)(bytes + i) = number(r);
	k->fd = one_in(r, 8) ? (int)number(r) : c->dev;
	k->opcode = one_in(r, 8) ? number(r) : below(r, 54);
	k->unique = one_in(r, 8) ? number(r) : 2 * below(r, 1 << 20);
	k->nodeid = one_in(r, 4) ? number(r) : t->nodeid;
	k->pid = one_in(r, 8) ? (int)number(r) : one_in(r, 4) ? getpid() : t->client;
	k->in_len = one_in(r, 16) ? number(r) : sizes[below(r, 9)];
	k->out_count = below(r, one_in(r, 8) ? 4 : 3);
	for (unsigned int i = 0; i < 2; i++)
		k->out_size[i] = i >= k->out_count && !one_in(r, 16) ? 0 :
				 one_in(r, 16) ? number(r) : sizes[below(r, 9)];
	k->out_var = below(r, 2);
	k->answered = below(r, 2);
	k->error = one_in(r, 4) ? -(int)below(r, 600) : 0;
	k->reserved = one_in(r, 64);
	k->in = one_in(r, 16) ? number(r) : (uintptr_t)bytes;
	k->out = one_in(r, 16) ? number(r) : (uintptr_t)bytes;
	k->named = one_in(r, 16) ? number(r) : (uintptr_t)bytes;
}

static void fill(struct caller *c, unsigned long cmd, union argument *a)
{
	struct random *r = &c->random;

	for (unsigned int i = 0; i < WORDS; i++)
		a->words[i] = number(r);
	switch (cmd) {
	case FUSECR_IOC_ATTACH:
		a->attach.conn_id = shared->targets[below(r, MOVERS)].conn_id;
		break;
	case FUSECR_IOC_SET_CONN:
		a->conn.mask = below(r, 512);
		a->conn.reserved = one_in(r, 64);
		if (!(a->conn.mask & FUSECR_SET_EPOCH))
			a->conn.epoch = 0;
		if (!(a->conn.mask & FUSECR_SET_NEXT_BACKING))
			a->conn.next_backing = 0;
		a->conn.next_unique &= ~1ULL;
		a->conn.no &= (1u << 25) - 1;
		a->conn.pid = one_in(r, 2) ? getpid() : number(r);
		break;
	case FUSECR_IOC_SET_FILE:
		a->file.mask = below(r, 256);
		a->file.flags = one_in(r, 16) ? number(r) : below(r, 4) << 8;
		a->file.pid = shared->targets[below(r, MOVERS)].client;
		a->file.use = below(r, 6);
		a->file.number = below(r, 8);
		a->file.nodeid = shared->targets[below(r, MOVERS)].nodeid;
		break;
	case FUSECR_IOC_SHARE_FILE:
		a->share.pid = shared->targets[below(r, MOVERS)].client;
		a->share.use = one_in(r, 8) ? number(r) : FUSECR_FILE_MAP;
		a->share.number = one_in(r, 4) ? number(r) : MAP_AT + below(r, 4) * MAP_SIZE / 4;
		a->share.end = one_in(r, 4) ? number(r) : MAP_AT + MAP_SIZE;
		a->share.from_pid = shared->targets[below(r, MOVERS)].client;
		a->share.from_use = below(r, 2);
		a->share.from_number = a->share.from_use == FUSECR_FILE_FD ? below(r, 8) : MAP_AT;
		a->share.flags = one_in(r, 8);
		a->share.reserved = one_in(r, 64);
		a->share.nodeid = shared->targets[below(r, MOVERS)].nodeid;
		break;
	case FUSECR_IOC_OWN_PAGE:
		a->own.pid = shared->targets[below(r, MOVERS)].client;
		a->own.seconds = one_in(r, 16) ? number(r) : 1;
		a->own.address = one_in(r, 4) ? number(r) : MAP_AT + below(r, MAP_SIZE);
		break;
	case FUSECR_IOC_UNLINK:
		a->unlink.pid = shared->targets[below(r, MOVERS)].client;
		a->unlink.use = below(r, 7);
		a->unlink.flags = one_in(r, 8) ? number(r) : below(r, 4) << 7;
		a->unlink.name = one_in(r, 16) ? number(r) : (uintptr_t)bytes;
		a->unlink.name_len = one_in(r, 16) ? number(r) : 1 + below(r, 8);
		a->unlink.number = one_in(r, 2) ? 3 : below(r, 8);
		a->unlink.nodeid = shared->targets[below(r, MOVERS)].nodeid;
		break;
	case FUSECR_IOC_DROP_PAGES:
		a->drop.nodeid = shared->targets[below(r, MOVERS)].nodeid;
		a->drop.seconds = one_in(r, 16) ? number(r) : 1;
		a->drop.reserved = one_in(r, 64);
		break;
	case FUSECR_IOC_SET_OWNER:
		a->owner.mask = below(r, 4);
		a->owner.pid = shared->targets[below(r, MOVERS)].client;
		a->owner.use = below(r, 2);
		a->owner.reserved = 0;
		a->owner.number = one_in(r, 2) ? 3 : below(r, 8);
		a->owner.nodeid = shared->targets[below(r, MOVERS)].nodeid;
		if (one_in(r, 2))
			a->owner.table = a->owner.open = below(r, 4);
		break;
	case FUSECR_IOC_REQUEUE:
		a->requeue.fd = one_in(r, 4) ? (int)number(r) : c->dev;
		a->requeue.unique = one_in(r, 2) ? 0 : number(r);
		break;
	case FUSECR_IOC_GATE_CLOSE:
		/* A server that is held after all serves again when it opens. */
		a->close.seconds = 1;
		a->close.nr_exempt = one_in(r, 8) ? below(r, 70) : 2;
		a->close.exempt[0] = shared->targets[0].server;
		a->close.exempt[1] = shared->targets[1].server;
		break;
	case FUSECR_IOC_HOLD:
		a->hold.pid = one_in(r, 4) ? (int)number(r) :
			      shared->targets[below(r, MOVERS)].client;
		break;
	case FUSECR_IOC_KEEP:
		fill_keep(c, &a->keep);
		break;
	case FUSECR_IOC_FORCE_OPEN:
		a->attach.conn_id = shared->targets[below(r, MOVERS)].conn_id;
		break;
	}
	if (one_in(r, 16))
		scramble(r, a, sizeof(*a));
}

static void change(struct caller *c)
{
	static const unsigned long cmds[] = {
		FUSECR_IOC_ATTACH, FUSECR_IOC_SET_CONN, FUSECR_IOC_SET_INODE,
		FUSECR_IOC_SET_FILE, FUSECR_IOC_FORGET, FUSECR_IOC_ADMIT,
		FUSECR_IOC_REQUEUE, FUSECR_IOC_COMMIT, FUSECR_IOC_GATE_CLOSE,
		FUSECR_IOC_GATE_OPEN, FUSECR_IOC_HOLD, FUSECR_IOC_GATE_STATUS,
		FUSECR_IOC_SYNC, FUSECR_IOC_FORCE_OPEN, FUSECR_IOC_TAKE,
		FUSECR_IOC_TAKE, FUSECR_IOC_KEEP, FUSECR_IOC_KEEP,
		FUSECR_IOC_SHARE_FILE, FUSECR_IOC_OWN_PAGE, FUSECR_IOC_DROP_PAGES,
		FUSECR_IOC_UNLINK,
		FUSECR_IOC_SET_OWNER,
	};
	struct random *r = &c->random;
	int *fd = &c->handles[below(r, HANDLES)];
	struct pollfd pfd = { .events = POLLIN };
	unsigned long cmd = cmds[below(r, sizeof(cmds) / sizeof(*cmds))];
	union argument a;

	if (*fd < 0) {
		*fd = th_open();
		cmd = FUSECR_IOC_ATTACH;
	} else if (one_in(r, 16)) {
		close(*fd);
		*fd = -1;
		return;
	}
	if (one_in(r, c->dev < 0 ? 8 : 64))
		take_device(c);
	if (one_in(r, 16)) {
		pfd.fd = *fd;
		poll(&pfd, 1, 0);
	}
	/* Each waits, for every task or for a server: not too often. */
	if ((cmd == FUSECR_IOC_REQUEUE || cmd == FUSECR_IOC_SYNC) && !one_in(r, 64))
		return;
	fill(c, cmd, &a);
	if (one_in(r, 64))
		cmd = next(r);
	if (cmd == FUSECR_IOC_ADMIT || cmd == FUSECR_IOC_SYNC)
		ioctl(*fd, cmd, below(r, cmd == FUSECR_IOC_SYNC ? 2 : 3));
	else
		ioctl(*fd, cmd, one_in(r, 32) ? (void *)number(r) : &a);
}

static int call(uint64_t seed, unsigned long calls)
{
	struct caller c = {
		.random = { seed * 0x9e3779b97f4a7c15ULL | 1 },
		.sock = -1,
		.handles = { -1, -1, -1, -1 },
		.dev = -1,
	};

	if (tnl_open(&c.nl))
		return 1;
	while (calls--) {
		if (one_in(&c.random, 2))
			question(&c);
		else
			change(&c);
	}
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

/* Has one file open and looks at others, some of whose answers never come. */
static pid_t start_client(const struct rawfs *fs)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	for (unsigned int i = 3; i < 64; i++)
		close(i);
	/* cppcheck-suppress leakReturnValNotUsed ; open as long as this process lives */
	open(test_path(fs, "f0"), O_RDONLY);
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

static void move_once(struct target *t, struct tnl *nl, struct random *r)
{
	struct rawfs_config config;
	struct rawfs *fs;
	pid_t client;

	rawfs_defaults(&config);
	config.controlled = true;
	config.entry_ms = below(r, 2) * 1000;
	config.init.flags = next(r) & 0xfffff & ~(1 << 16);
	fs = rawfs_up(&config, false);
	if (!fs)
		return;
	client = start_client(fs);
	t->server = fs->pid;
	t->fd = 3 + below(r, 8);
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
	rawfs_down(fs);
	waitpid(client, NULL, 0);
}

static int move(struct target *t, uint64_t seed)
{
	struct random r = { seed * 0x2545f4914f6cdd1dULL | 1 };
	struct tnl nl;

	if (tnl_open(&nl))
		return 1;
	while (!shared->end)
		move_once(t, &nl, &r);
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

int main(void)
{
	unsigned long calls = setting("FUZZ_CALLS", CALLS);
	unsigned long first = setting("FUZZ_SEED", 1);
	pid_t callers[SEEDS], movers[MOVERS];
	bool ok, all = true;

	printf("TAP version 13\n1..%d\n", SEEDS + 2);
	fflush(stdout);
	signal(SIGPIPE, SIG_IGN);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || test_own_mounts()) {
		printf("Bail out! no mounts of our own\n");
		return 1;
	}
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
	for (int i = 0; i < SEEDS; i++) {
		ok = end_of(callers[i]) == 0;
		all = all && ok;
		printf("%sok %d seed %lu, %lu calls\n", ok ? "" : "not ", i + 1, first + i, calls);
	}
	shared->end = true;
	ok = true;
	for (int i = 0; i < MOVERS; i++)
		ok = end_of(movers[i]) == 0 && ok;
	all = all && ok;
	printf("%sok %d mounts came and went\n", ok ? "" : "not ", SEEDS + 1);
	ok = answers();
	all = all && ok;
	printf("%sok %d the module answers\n", ok ? "" : "not ", SEEDS + 2);
	return !all;
}
