/* SPDX-License-Identifier: GPL-2.0 */
/* Calls of fuzz_test, at random: most of them could mean something. */
#ifndef FUZZ_MAKE_H
#define FUZZ_MAKE_H

#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "fuzz_action.h"
#include "rawfs.h"
#include "test_nl.h"

#define HANDLES		4	/* that one process has open */
#define MESSAGE_MAX	512
#define WORDS		34	/* of the largest argument */
#define MAP_AT		0x10000000UL	/* where clients map their file */
#define MAP_SIZE	16384UL

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
	bool attached[HANDLES];
	const struct target *target[HANDLES];	/* of those */
	struct devices d;
	FILE *record;		/* or NULL */
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

static struct action make_question(struct caller *c)
{
	struct random *r = &c->random;
	struct action a = { .what = 'q' };
	struct nlmsghdr *nlh = (void *)a.words;
	struct genlmsghdr *genl = NLMSG_DATA(nlh);
	size_t len = NLMSG_HDRLEN + GENL_HDRLEN;

	nlh->nlmsg_flags = NLM_F_REQUEST |
			   (one_in(r, 2) ? NLM_F_DUMP : NLM_F_ACK);
	if (one_in(r, 16))
		nlh->nlmsg_flags = next(r);
	nlh->nlmsg_seq = next(r);
	genl->cmd = one_in(r, 16) ? next(r) : below(r, FUSECR_CMD_MAX + 2);
	genl->version = FUSECR_GENL_VERSION;
	for (unsigned int n = below(r, 4); n; n--)
		len += put_attr(r, (char *)nlh + len, MESSAGE_MAX - len);
	nlh->nlmsg_len = len;
	if (one_in(r, 8))
		scramble(r, NLMSG_DATA(nlh), len - NLMSG_HDRLEN);
	a.at = len;
	a.count = (len + 3) / 4;
	return a;
}

static void reopen(struct caller *c)
{
	if (c->sock >= 0)
		close(c->sock);
	c->sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
}

static void replace(int *fd, int new)
{
	if (*fd >= 0)
		close(*fd);
	*fd = new;
}

/* The next descriptor that is opened. */
static int next_fd(void)
{
	int fd = 0;

	while (fcntl(fd, F_GETFD) >= 0)
		fd++;
	return fd;
}

static void question(struct caller *c, struct action *a)
{
	static char answer[64 << 10];
	struct nlmsghdr *nlh = (void *)a->words;
	int opened;

	nlh->nlmsg_type = c->nl.family;	/* another number in each run */

	/* A dump that is left half read. */
	if (c->sock < 0 || one_in(&c->random, 32))
		reopen(c);
	opened = next_fd();
	send(c->sock, a->words, a->at < sizeof(a->words) ? a->at : sizeof(a->words), MSG_DONTWAIT);
	/* It has opened one, whether the answer is ever read or not. */
	if (fcntl(opened, F_GETFD) >= 0) {
		unsigned int n = below(&c->random, HANDLES);

		replace(&c->handles[n], opened);
		c->attached[n] = false;
	}
	for (unsigned int n = below(&c->random, 8); n; n--)
		if (recv(c->sock, answer, sizeof(answer), MSG_DONTWAIT) <= 0)
			break;
}

/* --- devices ----------------------------------------------------------------- */

/* From somebody's server: a device is no file on a mount, it can be taken. */
static void take_device(struct caller *c, unsigned int which)
{
	const struct target *t = &shared->targets[which % MOVERS];
	int pidfd = t->server > 0 ? syscall(SYS_pidfd_open, t->server, 0) : -1;

	replace(&c->d.dev, pidfd < 0 ? -1 : syscall(SYS_pidfd_getfd, pidfd, t->fd, 0));
	if (pidfd >= 0)
		close(pidfd);
}

/* Nobody will answer it, unless it is put back. */
static void read_request(struct caller *c)
{
	static char buf[FUSE_MIN_READ_BUFFER + (1 << 17)];
	struct pollfd pfd = { .fd = c->d.clone, .events = POLLIN };

	if (poll(&pfd, 1, 5) != 1 || fcntl(c->d.clone, F_SETFL, O_NONBLOCK))
		return;
	if (read(c->d.clone, buf, sizeof(buf)) > 0)
		__sync_fetch_and_add(&shared->reads, 1);
}

static void clone_device(struct caller *c)
{
	replace(&c->d.clone, rawfs_clone(c->d.dev));
	if (c->d.clone >= 0)
		__sync_fetch_and_add(&shared->clones, 1);
}

static void back(struct caller *c)
{
	struct backing_map map = { .fd = memfd_create("backing", MFD_CLOEXEC) };

	if (ioctl(c->d.dev, BACKING_OPEN, &map) > 0)
		__sync_fetch_and_add(&shared->backings, 1);
	close(map.fd);
}

/* Mostly that of a connection which it owns: of others it can put nothing back. */
static unsigned int some_mount(struct caller *c)
{
	for (unsigned int i = 0; i < HANDLES; i++)
		if (c->attached[i] && one_in(&c->random, 2))
			return c->target[i] - shared->targets;
	return below(&c->random, MOVERS);
}

static struct action make_device(struct caller *c)
{
	static const char what[] = "tkrrrrbu";
	struct random *r = &c->random;
	struct action a = { .what = c->d.dev < 0 ? 't' : what[below(r, 8)] };

	if (a.what == 't')
		a.at = some_mount(c);
	else if (a.what == 'u')
		a.at = one_in(r, 4) ? number(r) : 1 + below(r, 8);
	return a;
}

/* --- handles ----------------------------------------------------------------- */

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
	struct fusecr_set_lock lock;
	uint64_t words[WORDS];
};

/* What the client has in a directory that is deleted, or that directory. */
static void fill_gone(struct fusecr_unlink *u, const struct target *t, bool above)
{
	u->pid = t->client;
	u->use = FUSECR_FILE_FD;
	u->number = 4;
	u->nodeid = t->gone;
	if (!above)
		return;
	u->above = 1;
	u->above_nodeid = t->above;
}

static int some_device(struct caller *c)
{
	return c->d.clone >= 0 && one_in(&c->random, 4) ? c->d.clone : c->d.dev;
}

/* One that may do: what it says of its bytes is as it comes. */
static void fill_keep(struct caller *c, struct fusecr_keep *k)
{
	static const uint32_t sizes[] = { 0, 4, 8, 16, 24, 128, 152, 4096, FUSECR_KEEP_MAX / 2 };
	const struct target *t = &shared->targets[below(&c->random, MOVERS)];
	struct random *r = &c->random;

	for (unsigned int i = 0; i < 512; i += 8)
		*(uint64_t *)(bytes + i) = number(r);
	k->fd = one_in(r, 8) ? (int)number(r) : some_device(c);
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
	k->place = one_in(r, 8) ? number(r) : below(r, 4) | below(r, 4) << 8;
	k->in = one_in(r, 16) ? number(r) : (uintptr_t)bytes;
	k->out = one_in(r, 16) ? number(r) : (uintptr_t)bytes;
	k->named = one_in(r, 16) ? number(r) : (uintptr_t)bytes;
}

/* @t: the mount that it is most likely about. */
static void fill(struct caller *c, const struct target *t, unsigned long cmd, union argument *a)
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
		a->file.mask = one_in(r, 2) ? 1u << below(r, 9) : below(r, 512);
		a->file.flags = one_in(r, 16) ? number(r) : below(r, 4) << 8;
		a->file.pid = t->client;
		a->file.use = one_in(r, 2) ? FUSECR_FILE_FD : below(r, 6);
		a->file.number = one_in(r, 2) ? 3 : below(r, 8);
		a->file.nodeid = t->nodeid;
		break;
	case FUSECR_IOC_SHARE_FILE:
		a->share.pid = t->client;
		a->share.use = one_in(r, 8) ? number(r) : FUSECR_FILE_MAP;
		a->share.number = one_in(r, 4) ? number(r) : MAP_AT + below(r, 2) * MAP_SIZE / 4;
		a->share.end = one_in(r, 4) ? number(r) : MAP_AT + MAP_SIZE;
		a->share.from_pid = t->client;
		a->share.from_use = below(r, 2);
		a->share.from_number = a->share.from_use == FUSECR_FILE_FD ? 3 + below(r, 2) : MAP_AT;
		a->share.flags = one_in(r, 4);
		a->share.reserved = one_in(r, 64);
		a->share.nodeid = t->nodeid;
		break;
	case FUSECR_IOC_OWN_PAGE:
		a->own.pid = t->client;
		a->own.seconds = one_in(r, 16) ? number(r) : 1;
		a->own.address = one_in(r, 4) ? number(r) : MAP_AT + below(r, MAP_SIZE);
		break;
	case FUSECR_IOC_UNLINK:
		a->unlink.pid = t->client;
		a->unlink.use = one_in(r, 2) ? FUSECR_FILE_FD : below(r, 7);
		a->unlink.flags = one_in(r, 8) ? number(r) :
				  one_in(r, 4) ? FUSECR_UNLINK_ENTER :
				  one_in(r, 2) ? FUSECR_INODE_LINKABLE : 0;
		if (one_in(r, 4))
			a->unlink.flags |= FUSECR_UNLINK_WAIT;
		a->unlink.above = one_in(r, 16) ? number(r) : 0;
		a->unlink.above_nodeid = one_in(r, 64) ? number(r) : 0;
		a->unlink.reserved = one_in(r, 64);
		a->unlink.name = one_in(r, 16) ? number(r) : (uintptr_t)bytes;
		a->unlink.name_len = one_in(r, 16) ? number(r) : 1 + below(r, 8);
		a->unlink.number = one_in(r, 2) ? 3 : below(r, 8);
		a->unlink.nodeid = t->nodeid;
		if (one_in(r, 2))
			fill_gone(&a->unlink, t, one_in(r, 2));
		break;
	case FUSECR_IOC_DROP_PAGES:
		a->drop.nodeid = t->nodeid;
		a->drop.seconds = one_in(r, 16) ? number(r) : 1;
		a->drop.reserved = one_in(r, 64);
		break;
	case FUSECR_IOC_SET_OWNER:
		a->owner.mask = below(r, 4);
		a->owner.pid = t->client;
		a->owner.use = below(r, 2);
		a->owner.reserved = 0;
		a->owner.number = one_in(r, 2) ? 3 : below(r, 8);
		a->owner.nodeid = t->nodeid;
		if (one_in(r, 2))
			a->owner.table = a->owner.open = below(r, 4);
		break;
	case FUSECR_IOC_SET_LOCK:
		a->lock.pid = t->client;
		a->lock.type = below(r, 2);
		a->lock.number = one_in(r, 2) ? 3 : below(r, 8);
		a->lock.nodeid = t->nodeid;
		a->lock.start = below(r, 20);
		a->lock.end = one_in(r, 16) ? number(r) : 10 + below(r, 20);
		break;
	case FUSECR_IOC_REQUEUE:
		a->requeue.fd = one_in(r, 4) ? (int)number(r) : some_device(c);
		a->requeue.unique = one_in(r, 2) ? 0 : number(r);
		break;
	case FUSECR_IOC_GATE_CLOSE:
		/* A server that is held after all serves again when it opens. */
		a->close.seconds = 1;
		a->close.nr_exempt = one_in(r, 8) ? below(r, 70) : MOVERS;
		a->close.flags = one_in(r, 16) ? number(r) : one_in(r, 4);
		a->close.reserved = one_in(r, 64);
		for (unsigned int i = 0; i < MOVERS; i++)
			a->close.exempt[i] = shared->targets[i].server;
		break;
	case FUSECR_IOC_HOLD:
		a->hold.pid = one_in(r, 4) ? (int)number(r) :
			      t->client;
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

/* Mostly one that owns a connection: any other does nothing. */
static unsigned int some_handle(struct caller *c)
{
	unsigned int at = below(&c->random, HANDLES);

	if (one_in(&c->random, 4))
		return at;
	for (unsigned int i = 0; i < HANDLES; i++)
		if (c->attached[(at + i) % HANDLES])
			return (at + i) % HANDLES;
	return at;
}

static struct action make_change(struct caller *c)
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
		FUSECR_IOC_SET_OWNER, FUSECR_IOC_SET_LOCK,
	};
	struct random *r = &c->random;
	struct action a = { .what = 'i', .at = some_handle(c) };
	union argument arg;

	if (c->handles[a.at] < 0 || one_in(r, 32)) {
		a.what = c->handles[a.at] < 0 ? 'o' : one_in(r, 2) ? 'c' : 'l';
		return a;
	}
	a.cmd = c->attached[a.at] || one_in(r, 4) ? cmds[below(r, sizeof(cmds) / sizeof(*cmds))] :
						    FUSECR_IOC_ATTACH;
	/* Each waits, for every task or for a server: not too often. */
	if ((a.cmd == FUSECR_IOC_REQUEUE && !one_in(r, 4)) ||
	    (a.cmd == FUSECR_IOC_SYNC && !one_in(r, 32)))
		a.cmd = FUSECR_IOC_GATE_STATUS;
	fill(c, c->attached[a.at] && !one_in(r, 8) ? c->target[a.at] : &shared->targets[below(r, MOVERS)],
	     a.cmd, &arg);
	memcpy(a.words, &arg, sizeof(arg));
	if (one_in(r, 64))
		a.cmd = next(r);
	if (a.cmd == FUSECR_IOC_ADMIT || a.cmd == FUSECR_IOC_SYNC || a.cmd == FUSECR_IOC_COMMIT) {
		a.what = 'v';
		a.words[0] = below(r, a.cmd == FUSECR_IOC_SYNC ? 2 : 3);
	} else if (one_in(r, 32)) {
		a.what = 'v';
		a.words[0] = number(r);
	}
	a.count = a.what == 'v' ? 2 : (_IOC_SIZE(a.cmd) + 3) / 4;
	a.count = a.count < 2 * WORDS ? a.count : 2 * WORDS;
	return a;
}

#endif
