/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a caller of fuzz_test does, as numbers and as a line of text: a letter, two
 * numbers and halves of words, all hexadecimal.  What is another number in each run
 * has a name, with the number of the mount behind it: C0 a connection's id, N0 a
 * node's, S0 a server, P0 a client, and without one A the address of the bytes, M the
 * caller, D its duplicate of a device, K its clone.  Zeros at the end are left out.
 *
 *	o SLOT 0		open a handle
 *	c SLOT 0		close it
 *	l SLOT 0		poll it
 *	i SLOT COMMAND HALF...	ioctl; what is at the address of the argument
 *	v SLOT COMMAND HALF...	ioctl; the argument
 *	q LENGTH 0 HALF...	a question
 *	t MOUNT 0		duplicate its server's /dev/fuse
 *	k 0 0			clone that
 *	r 0 0			read a request from the clone
 *	b 0 0			register a file to be passed through to, by the duplicate
 *	u ID 0			close such an id
 */
#ifndef FUZZ_ACTION_H
#define FUZZ_ACTION_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <linux/fusecr_ioctl.h>

#define MOVERS		4	/* mounts at a time */
#define HALVES		128
#define IOCTLS		23	/* by their numbers, of which 0 is none */

/* What those who call know of those who mount. */
struct shared {
	struct target {
		uint64_t conn_id;
		pid_t server;
		int32_t fd;		/* its /dev/fuse */
		uint64_t nodeid;	/* of an open file */
		pid_t client;		/* who has it open, as 3 */
		uint64_t gone, above;	/* of what it has as 4, and of its directory: both deleted */
	} targets[MOVERS];
	bool end;
	bool passes;		/* the kernel has passthrough */
	/* what was done with devices, by all */
	unsigned int clones, reads, backings;
	/* ioctls by their number: how often they were called, and did something */
	unsigned long called[IOCTLS], done[IOCTLS];
};

static struct shared *shared;

static char bytes[FUSECR_KEEP_MAX];

struct action {
	char what;
	uint32_t at;		/* a slot, mount, length or id */
	uint32_t cmd;
	unsigned int count;	/* of halves */
	union {
		uint32_t halves[HALVES];
		uint64_t words[HALVES / 2];
	};
};

/* Of the caller's. */
struct devices {
	int dev;		/* a duplicate of some server's device, or -1 */
	int clone;		/* made of it, or -1 */
};

/* Which of them it is, as the header has it, or 0. */
static unsigned int ioctl_number(uint32_t cmd)
{
	static const uint32_t cmds[] = {
		FUSECR_IOC_ATTACH, FUSECR_IOC_SET_CONN, FUSECR_IOC_SET_INODE,
		FUSECR_IOC_SET_FILE, FUSECR_IOC_FORGET, FUSECR_IOC_ADMIT,
		FUSECR_IOC_REQUEUE, FUSECR_IOC_COMMIT, FUSECR_IOC_GATE_CLOSE,
		FUSECR_IOC_GATE_OPEN, FUSECR_IOC_HOLD, FUSECR_IOC_GATE_STATUS,
		FUSECR_IOC_SYNC, FUSECR_IOC_FORCE_OPEN, FUSECR_IOC_TAKE,
		FUSECR_IOC_KEEP, FUSECR_IOC_SHARE_FILE, FUSECR_IOC_DROP_PAGES,
		FUSECR_IOC_OWN_PAGE, FUSECR_IOC_SET_OWNER, FUSECR_IOC_UNLINK,
		FUSECR_IOC_SET_LOCK,
	};

	_Static_assert(sizeof(cmds) / sizeof(*cmds) == IOCTLS - 1, "each is tried");
	for (unsigned int i = 0; i < sizeof(cmds) / sizeof(*cmds); i++)
		if (cmds[i] == cmd)
			return _IOC_NR(cmd);
	return 0;
}

/* --- to text ----------------------------------------------------------------- */

static char name_of_half(const struct devices *d, uint32_t half, unsigned int *which)
{
	for (unsigned int i = 0; half && i < MOVERS; i++) {
		*which = i;
		if (half == (uint32_t)shared->targets[i].server)
			return 'S';
		if (half == (uint32_t)shared->targets[i].client)
			return 'P';
	}
	if (half == (uint32_t)getpid())
		return 'M';
	return d->dev >= 0 && half == (uint32_t)d->dev ? 'D' :
	       d->clone >= 0 && half == (uint32_t)d->clone ? 'K' : 0;
}

static char name_of_word(uint64_t word, unsigned int *which)
{
	for (unsigned int i = 0; word && i < MOVERS; i++) {
		*which = i;
		if (word == shared->targets[i].conn_id)
			return 'C';
		if (word == shared->targets[i].nodeid)
			return 'N';
	}
	return word == (uintptr_t)bytes ? 'A' : 0;
}

static void write_name(FILE *f, char name, unsigned int which)
{
	if (strchr("AMDK", name))
		fprintf(f, " %c", name);
	else
		fprintf(f, " %c%u", name, which);
}

static void action_write(FILE *f, const struct devices *d, const struct action *a)
{
	unsigned int count = a->count, which = 0;
	char name;

	fprintf(f, "%c %x %x", a->what, a->at, a->cmd);
	while (count && !a->halves[count - 1])
		count--;
	for (unsigned int i = 0; i < count; i++) {
		name = i % 2 ? 0 : name_of_word(a->words[i / 2], &which);
		if (name)
			i++;
		else
			name = name_of_half(d, a->halves[i], &which);
		if (name)
			write_name(f, name, which);
		else
			fprintf(f, " %x", a->halves[i]);
	}
	fprintf(f, "\n");
	/* The next call may be the last. */
	fflush(f);
}

/* --- from text --------------------------------------------------------------- */

/* Returns how many halves it is, 0 when it is no name. */
static unsigned int read_name(const struct devices *d, const char *text, uint32_t *half)
{
	const struct target *t = &shared->targets[text[0] && text[1] >= '0' ? (text[1] - '0') % MOVERS : 0];
	uint64_t word;

	switch (text[0]) {
	case 'C':
		word = t->conn_id;
		break;
	case 'N':
		word = t->nodeid;
		break;
	case 'A':
		word = (uintptr_t)bytes;
		break;
	case 'S':
		*half = t->server;
		return 1;
	case 'P':
		*half = t->client;
		return 1;
	case 'M':
		*half = getpid();
		return 1;
	case 'D':
		*half = d->dev;
		return 1;
	case 'K':
		*half = d->clone;
		return 1;
	default:
		return 0;
	}
	memcpy(half, &word, sizeof(word));
	return 2;
}

/* Whether the line is one. */
static bool action_read(const char *line, const struct devices *d, struct action *a)
{
	char copy[HALVES * 10], *word, *save, *end;
	unsigned int n;

	*a = (struct action){ 0 };
	snprintf(copy, sizeof(copy), "%s", line);
	if (sscanf(copy, "%c %x %x", &a->what, &a->at, &a->cmd) != 3 || !strchr("oclivqtkrbu", a->what))
		return false;
	strtok_r(copy, " ", &save);
	strtok_r(NULL, " ", &save);
	strtok_r(NULL, " ", &save);
	while ((word = strtok_r(NULL, " ", &save)) && a->count + 2 <= HALVES) {
		n = read_name(d, word, &a->halves[a->count]);
		if (!n) {
			a->halves[a->count] = strtoul(word, &end, 16);
			if (*end)
				return false;
			n = 1;
		}
		a->count += n;
	}
	return !word;
}

#endif
