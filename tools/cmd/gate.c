// SPDX-License-Identifier: GPL-2.0
/* fusecr gate: the gate of one connection, by hand. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <linux/fusecr_ioctl.h>

#include "cleanup.h"
#include "cmd.h"
#include "gate.h"
#include "handle.h"
#include "mounts.h"
#include "print.h"
#include "snapshot.h"

/* While the gate is closed: how often to look for those who came since. */
#define LOOK_MS		200
#define SECONDS		60

static const char help[] =
	"usage: fusecr gate show [-j] CONNECTION\n"
	"       fusecr gate close [-t SECONDS] [-x PID]... CONNECTION\n"
	"       fusecr gate open CONNECTION\n\n"
	"With the gate closed, the clients of a FUSE connection come to rest, as at a\n"
	"checkpoint: each finishes its system call and is held before it returns from\n"
	"the kernel.  The daemon goes on.\n\n"
	"show   says whether it is closed, and how many are at rest then\n"
	"close  closes the gate, until it is interrupted or the time is up\n"
	"open   opens the gate that somebody else has closed\n\n"
	"CONNECTION is an id, a device or a mount point, as 'fusecr list' shows them.\n\n"
	"  -t, --time SECONDS  close: open it after so long (60)\n"
	"  -x, --exempt PID    close: never hold this process; the daemon's never are\n"
	"  -j, --json          show: print JSON\n"
	"  -h, --help          print this\n";

static void nl_auto(struct nl **nl)
{
	nl_close(*nl);
}

static void conns_auto(struct message_list *conns)
{
	message_list_free(conns);
}

/* --- which connection -------------------------------------------------------- */

struct search {
	const char *name;
	struct message_list found;
};

static int is_mounted_at(const FuseMountEntry *m, const char *fstype, const char *source, void *arg)
{
	const char *path = arg;

	(void)fstype;
	(void)source;
	return m->mountpoint.len == strlen(path) && !memcmp(m->mountpoint.data, path, m->mountpoint.len);
}

static int match(const FuseConnEntry *c, void *arg)
{
	struct search *s = arg;
	char id[32], dev[32];

	snprintf(id, sizeof(id), "%lu", (unsigned long)c->id);
	snprintf(dev, sizeof(dev), "%u:%u", major(c->dev), minor(c->dev));
	if (strcmp(s->name, id) && strcmp(s->name, dev) &&
	    (*s->name != '/' || mounts_of(getpid(), c->dev, is_mounted_at, (void *)s->name) != 1))
		return 0;
	return message_list_add(&s->found, &c->base);
}

/* 0, or says why there is no such one. */
static int find(struct nl *nl, const char *name, struct message_list *found)
{
	struct search s = { .name = name };
	int err = nl_conns(nl, match, &s);

	*found = s.found;
	if (err) {
		say_error("cannot list the connections: %s", nl_reason(nl, err));
		return err;
	}
	if (!found->count) {
		say_error("there is no connection %s; 'fusecr list' shows them", name);
		return -ENOENT;
	}
	return 0;
}

/* --- show ---------------------------------------------------------------------- */

static const struct {
	const char *name, *text;
	size_t offset;
} events[] = {
#define EVENT(name, text) { #name, text, offsetof(struct fusecr_gate_status, name) }
	EVENT(ever_held, "threads were held"),
	EVENT(passed, "requests passed"),
	EVENT(ended, "reads ahead were ended"),
	EVENT(taken, "requests were taken from their clients"),
	EVENT(claimed, "of these were asked for again"),
	EVENT(given_up, "were given up"),
#undef EVENT
};

static uint64_t count_of(const struct fusecr_gate_status *s, size_t event)
{
	/* The very type: another is no alias of it. */
	return *(const __u64 *)((const char *)s + events[event].offset);
}

static struct fusecr_gate_status status_of(const FuseConnEntry *c)
{
	return (struct fusecr_gate_status){
		.ever_held = c->gate_ever_held,
		.passed = c->gate_passed,
		.ended = c->gate_ended,
		.taken = c->gate_taken,
		.claimed = c->gate_claimed,
		.given_up = c->gate_given_up,
	};
}

/* What has happened since, when that is not nothing. */
static void print_events(const struct fusecr_gate_status *s)
{
	const char *separator = "so far: ";

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (!count_of(s, i))
			continue;
		printf("%s%" PRIu64 " %s", separator, count_of(s, i), events[i].text);
		separator = ", ";
	}
	if (*separator == ',')
		printf("\n");
}

static void show_json(const FuseConnEntry *c)
{
	struct json_object *obj = json_object_new_object();
	const struct fusecr_gate_status s = status_of(c);

	json_object_object_add(obj, "id", json_object_new_uint64(c->id));
	json_object_object_add(obj, "closed", json_object_new_boolean(c->has_gate_held));
	json_object_object_add(obj, "held", json_object_new_int64(c->gate_held));
	json_object_object_add(obj, "coming", json_object_new_int64(c->gate_coming));
	json_object_object_add(obj, "asleep", json_object_new_int64(c->gate_asleep));
	json_object_object_add(obj, "requests", json_object_new_int64(c->gate_requests));
	json_object_object_add(obj, "background", json_object_new_int64(c->num_background));
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		json_object_object_add(obj, events[i].name,
				       json_object_new_uint64(count_of(&s, i)));
	print_json(obj);
}

static int show(const FuseConnEntry *c, bool json)
{
	const struct fusecr_gate_status s = status_of(c);

	if (json) {
		show_json(c);
		return CMD_DONE;
	}
	printf("connection %u:%u: ", major(c->dev), minor(c->dev));
	if (c->has_gate_held)
		printf("closed, %u threads at rest, %u not yet (%u asleep in something else), %u requests under way, %u in the background\n",
		       c->gate_held, c->gate_coming, c->gate_asleep, c->gate_requests, c->num_background);
	else
		printf("open\n");
	print_events(&s);
	return CMD_DONE;
}

/* --- close --------------------------------------------------------------------- */

static int add_daemon(const FuseDevEntry *dev, void *arg)
{
	return exempt_add(arg, dev->pid);
}

static int told_to_end(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Says what changes, until it is told to end or the gate opens by itself. */
static int stay_closed(struct nl *nl, const FuseConnEntry *c, int handle, const struct exempt *exempt)
{
	struct fusecr_gate_status s, last = { 0 };
	int end cleanup(close_auto) = told_to_end();
	struct pollfd pfd = { .fd = end, .events = POLLIN };
	int err;

	for (;;) {
		err = gate_hold_users(nl, handle, c->id, exempt);
		/* It is open: the status says so. */
		if (err >= 0 || err == -ENOENT)
			err = handle_gate_status(handle, &s);
		if (err < 0) {
			say_error("connection %u:%u: %s", major(c->dev), minor(c->dev), nl_reason(nl, err));
			return CMD_FAILED;
		}
		if (!s.closed) {
			printf("open: the time is up, or somebody has opened it\n");
			print_events(&s);
			return CMD_DONE;
		}
		/* What only goes on growing is said at the end. */
		if (memcmp(&s, &last, offsetof(struct fusecr_gate_status, ever_held)))
			printf("%u threads at rest, %u not yet, %u requests under way, %u in the background\n",
			       s.held, s.coming, s.requests, s.background);
		fflush(stdout);
		last = s;
		if (poll(&pfd, 1, LOOK_MS) > 0) {
			if (!handle_gate_status(handle, &s))
				print_events(&s);
			return CMD_DONE;
		}
	}
}

static int close_gate(struct nl *nl, const FuseConnEntry *c, unsigned int seconds, struct exempt *exempt)
{
	int handle cleanup(close_auto) = handle_open(c->id);
	int err = handle < 0 ? handle : nl_devs(nl, c->id, 0, add_daemon, exempt);

	if (!err)
		err = handle_gate_close(handle, seconds, exempt->pid, exempt->count);
	if (err) {
		say_error("cannot close the gate of connection %u:%u: %s", major(c->dev), minor(c->dev),
			  err == -EBUSY ? "a checkpoint or restore works on it" :
			  err == -EOPNOTSUPP ? "its queues cannot be gated (io_uring)" : strerror(-err));
		return CMD_FAILED;
	}
	return stay_closed(nl, c, handle, exempt);
}

/* --- open ---------------------------------------------------------------------- */

static int open_gate(const FuseConnEntry *c)
{
	int err = handle_force_open(c->id);

	if (err) {
		say_error("cannot open the gate of connection %u:%u: %s", major(c->dev), minor(c->dev),
			  err == -ENOENT ? "it is open" : strerror(-err));
		return CMD_FAILED;
	}
	return CMD_DONE;
}

/* ------------------------------------------------------------------------------- */

struct gate_options {
	unsigned int seconds;
	struct exempt exempt;
	bool for_close;		/* one of these was given */
	bool json;
};

static int run(char **argv, const char *what, const char *name, struct gate_options *o)
{
	struct nl *nl cleanup(nl_auto) = NULL;
	struct message_list found cleanup(conns_auto) = { 0 };
	const FuseConnEntry *c;

	if (strcmp(what, "show") && strcmp(what, "close") && strcmp(what, "open"))
		return usage_error(argv, "cannot '%s' a gate", what);
	if (open_netlink(&nl) < 0 || find(nl, name, &found))
		return CMD_FAILED;
	c = (const FuseConnEntry *)found.items[0];
	if (!strcmp(what, "show"))
		return show(c, o->json);
	if (!strcmp(what, "open"))
		return open_gate(c);
	return close_gate(nl, c, o->seconds, &o->exempt);
}

int cmd_gate(int argc, char **argv)
{
	static const struct option options[] = {
		{ "time", required_argument, NULL, 't' },
		{ "exempt", required_argument, NULL, 'x' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	struct gate_options o = { .seconds = SECONDS };
	pid_t pid;
	int c;

	while ((c = getopt_long(argc, argv, "t:x:jh", options, NULL)) != -1) {
		switch (c) {
		case 't':
			if (!parse_pid(optarg, &pid) || pid > FUSECR_GATE_MAX)
				return usage_error(argv, "not a number of seconds from 1 to %d: '%s'",
						   FUSECR_GATE_MAX, optarg);
			o.seconds = pid;
			o.for_close = true;
			break;
		case 'x':
			if (!parse_pid(optarg, &pid))
				return usage_error(argv, "not a pid: '%s'", optarg);
			if (exempt_add(&o.exempt, pid))
				return usage_error(argv, "too many processes are exempt");
			o.for_close = true;
			break;
		case 'j':
			o.json = true;
			break;
		case 'h':
			fputs(help, stdout);
			return CMD_DONE;
		default:
			return usage_error(argv, NULL);
		}
	}
	if (optind + 2 != argc)
		return usage_error(argv, "name what to do and a connection");
	if (o.json && strcmp(argv[optind], "show"))
		return usage_error(argv, "-j is for 'gate show'");
	if (o.for_close && strcmp(argv[optind], "close"))
		return usage_error(argv, "-t and -x are for 'gate close'");
	return run(argv, argv[optind], argv[optind + 1], &o);
}
