// SPDX-License-Identifier: GPL-2.0
/* fusecr list: live connections. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/fusecr.h>
#include "cleanup.h"
#include "cmd.h"
#include "options.h"
#include "mounts.h"
#include "names.h"
#include "print.h"
#include "snapshot.h"
#include "table.h"

#define COLUMNS 11

static const char help[] =
	"usage: fusecr list [-j]\n\n"
	"Lists the FUSE connections of this kernel.  No daemon is asked anything.\n\n"
	"  -j, --json  print JSON\n"
	"  -h, --help  print this\n";

/* An open file: counted once, whoever holds it. */
struct open_file {
	uint64_t conn_id;
	uint64_t cookie;
};

struct listing {
	struct message_list conns, devs;
	struct open_file *files;
	size_t count, room;
};

static void listing_auto(struct listing *l)
{
	message_list_free(&l->conns);
	message_list_free(&l->devs);
	free(l->files);
}

static void nl_auto(struct nl **nl)
{
	nl_close(*nl);
}

static int add_conn(const FuseConnEntry *e, void *arg)
{
	struct listing *l = arg;

	return message_list_add(&l->conns, &e->base);
}

static int add_dev(const FuseDevEntry *e, void *arg)
{
	struct listing *l = arg;

	return e->conn_id ? message_list_add(&l->devs, &e->base) : 0;
}

static int add_file(const FuseFileEntry *e, void *arg)
{
	struct listing *l = arg;
	struct open_file *files;

	if (!e->has_cookie)
		return 0;
	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 64;

		files = reallocarray(l->files, room, sizeof(*files));
		if (!files)
			return -ENOMEM;
		l->files = files;
		l->room = room;
	}
	l->files[l->count++] = (struct open_file){ e->conn_id, e->cookie };
	return 0;
}

static int compare_files(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct open_file));
}

static unsigned int count_files(const struct listing *l, uint64_t conn_id)
{
	unsigned int count = 0;
	size_t i;

	for (i = 0; i < l->count; i++)
		if (l->files[i].conn_id == conn_id &&
		    (!i || compare_files(&l->files[i - 1], &l->files[i])))
			count++;
	return count;
}

static int ask(struct nl *nl, struct listing *l)
{
	int ret = nl_conns(nl, add_conn, l);

	ret = ret ?: nl_devs(nl, 0, 0, add_dev, l);
	ret = ret ?: nl_files(nl, 0, 0, add_file, l);
	if (ret == 0 && l->count)
		qsort(l->files, l->count, sizeof(*l->files), compare_files);
	return ret;
}

/* --- one connection -------------------------------------------------------- */

/* Calls back for each task that holds a device of the connection, once each. */
static int each_daemon(const struct listing *l, uint64_t conn_id,
		       int (*cb)(pid_t pid, void *arg), void *arg)
{
	size_t i, k;
	int ret;

	for (i = 0; i < l->devs.count; i++) {
		const FuseDevEntry *dev = (const FuseDevEntry *)l->devs.items[i], *other;
		bool first = dev->conn_id == conn_id;

		for (k = 0; first && k < i; k++) {
			other = (const FuseDevEntry *)l->devs.items[k];
			first = other->conn_id != conn_id || other->pid != dev->pid;
		}
		ret = first ? cb(dev->pid, arg) : 0;
		if (ret)
			return ret;
	}
	return 0;
}

static int add_daemon(pid_t pid, void *arg)
{
	struct json_object *daemon = json_object_new_object();
	char comm[64];

	task_comm(comm, sizeof(comm), pid);
	json_object_object_add(daemon, "pid", json_object_new_int(pid));
	json_object_object_add(daemon, "comm", print_bytes(comm, strlen(comm)));
	json_object_array_add(arg, daemon);
	return 0;
}

struct places {
	struct json_object *mounts;
	uint32_t dev;
	uint64_t seen[64];	/* mount namespaces looked at */
	size_t count;
	pid_t pid;		/* whose namespace, 0: ours */
};

static int add_place(const FuseMountEntry *e, const char *fstype, const char *source, void *arg)
{
	struct places *p = arg;
	struct json_object *mount = print_message(&e->base);

	if (p->pid)
		json_object_object_add(mount, "pid", json_object_new_int(p->pid));
	json_object_array_add(p->mounts, mount);
	return 0;
}

static bool is_new_ns(struct places *p, pid_t pid)
{
	char path[64];
	struct stat st;
	size_t i;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
	if (stat(path, &st) < 0 || p->count == sizeof(p->seen) / sizeof(*p->seen))
		return false;
	for (i = 0; i < p->count; i++)
		if (p->seen[i] == st.st_ino)
			return false;
	p->seen[p->count++] = st.st_ino;
	return true;
}

/* A daemon that ends meanwhile has no mounts to show. */
static int add_places_of(pid_t pid, void *arg)
{
	struct places *p = arg;

	p->pid = pid == getpid() ? 0 : pid;
	if (is_new_ns(p, pid))
		mounts_of(pid, p->dev, add_place, p);
	return 0;
}

static struct json_object *list_conn(const struct listing *l, const FuseConnEntry *c)
{
	struct json_object *obj = print_message(&c->base);
	struct json_object *daemons = json_object_new_array();
	struct places p = { .mounts = json_object_new_array(), .dev = c->dev };
	const char *dot = c->subtype && *c->subtype ? "." : "";
	char type[320];

	snprintf(type, sizeof(type), "%s%s%s", c->fstype, dot, *dot ? c->subtype : "");
	each_daemon(l, c->id, add_daemon, daemons);
	add_places_of(getpid(), &p);
	each_daemon(l, c->id, add_places_of, &p);
	json_object_object_add(obj, "type", print_bytes(type, strlen(type)));
	json_object_object_add(obj, "daemons", daemons);
	json_object_object_add(obj, "mounts", p.mounts);
	json_object_object_add(obj, "open_files", json_object_new_int64(count_files(l, c->id)));
	return obj;
}

/* --- the table ------------------------------------------------------------- */

static const char *string(struct json_object *obj, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(obj, key, &value) ? json_object_get_string(value) : "";
}

static void join(char *buf, size_t len, struct json_object *list,
		 void (*one)(char *buf, size_t len, struct json_object *item))
{
	size_t i, count = json_object_array_length(list), at = 0;
	char item[4200];

	snprintf(buf, len, "-");
	for (i = 0; i < count && at < len; i++) {
		one(item, sizeof(item), json_object_array_get_idx(list, i));
		at += snprintf(buf + at, len - at, "%s%s", i ? "," : "", item);
	}
}

static void plain(char *buf, size_t len, struct json_object *item)
{
	snprintf(buf, len, "%s", json_object_get_string(item));
}

static void daemon_text(char *buf, size_t len, struct json_object *item)
{
	snprintf(buf, len, "%s/%s", string(item, "pid"), string(item, "comm"));
}

static void mount_text(char *buf, size_t len, struct json_object *item)
{
	const char *pid = string(item, "pid");

	snprintf(buf, len, "%s%s%s%s", string(item, "mountpoint"), *pid ? " (of " : "", pid,
		 *pid ? ")" : "");
}

static int add_row(struct table *t, struct json_object *obj)
{
	char state[256], daemons[1024], mounts[16384];
	const char *cells[COLUMNS] = {
		string(obj, "id"), string(obj, "dev_name"), string(obj, "type"), state, daemons,
		string(obj, "num_pending"), string(obj, "num_processing"),
		string(obj, "num_background"), string(obj, "num_inodes"),
		string(obj, "open_files"), mounts,
	};

	join(state, sizeof(state), json_object_object_get(obj, "state_names"), plain);
	join(daemons, sizeof(daemons), json_object_object_get(obj, "daemons"), daemon_text);
	join(mounts, sizeof(mounts), json_object_object_get(obj, "mounts"), mount_text);
	return table_add(t, cells);
}

static int print_table(struct json_object *conns)
{
	static const char *const heading[COLUMNS] = {
		"ID", "DEVICE", "TYPE", "STATE", "DAEMON", "PENDING", "PROCESSING",
		"BACKGROUND", "INODES", "FILES", "MOUNTPOINT",
	};
	struct table t = { .columns = COLUMNS };
	size_t i, count = json_object_array_length(conns);
	int ret = table_add(&t, heading);

	for (i = 0; ret == 0 && i < count; i++)
		ret = add_row(&t, json_object_array_get_idx(conns, i));
	if (ret == 0)
		table_print(&t, stdout, wants_colour(stdout));
	table_free(&t);
	return ret;
}

static int list(bool json)
{
	struct nl *nl cleanup(nl_auto) = NULL;
	struct listing l cleanup(listing_auto) = { 0 };
	struct json_object *conns, *top;
	size_t i;
	int ret;

	if (open_netlink(&nl) < 0)
		return CMD_FAILED;
	ret = ask(nl, &l);
	if (ret < 0) {
		say_error("cannot list the connections: %s", nl_reason(nl, ret));
		return CMD_FAILED;
	}
	conns = json_object_new_array();
	for (i = 0; i < l.conns.count; i++)
		json_object_array_add(conns, list_conn(&l, (const FuseConnEntry *)l.conns.items[i]));
	top = json_object_new_object();
	json_object_object_add(top, "connections", conns);
	if (json) {
		print_json(top);
		return CMD_DONE;
	}
	ret = print_table(conns);
	json_object_put(top);
	return ret < 0 ? CMD_FAILED : CMD_DONE;
}

int cmd_list(int argc, char **argv)
{
	struct options o;
	int status = options_only(argc, argv, "", help, &o);

	return status == OPTIONS_READ ? list(o.json) : status;
}
