// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <linux/fuse.h>
#include <linux/fusecr.h>

#include "cleanup.h"
#include "locks.h"
#include "mounts.h"
#include "names.h"
#include "proc.h"
#include "refuse.h"
#include "watches.h"

#define INIT_USER_NS	0xEFFFFFFDU	/* include/linux/proc_ns.h, PROC_USER_INIT_INO */
#define INIT_PASSTHROUGH (1ULL << 37)	/* FUSE_PASSTHROUGH, Linux 6.9 */
#define INIT_NO_EXPORT_SUPPORT (1ULL << 38) /* FUSE_NO_EXPORT_SUPPORT, Linux 6.6 */
#define OLDEST_MINOR	12		/* older daemons use shorter structures */

/* "connection 0:45 (sshfs)": what all sentences begin with. */
static const char *conn_label(const FuseConnEntry *c)
{
	static char buf[160];

	snprintf(buf, sizeof(buf), "connection %u:%u (%s)", major(c->dev), minor(c->dev),
		 c->subtype && *c->subtype ? c->subtype : c->fstype);
	return buf;
}

static void task_label(char *buf, size_t len, uint32_t pid)
{
	char comm[32];

	proc_comm(pid, comm, sizeof(comm));
	snprintf(buf, len, "%u (%s)", pid, comm);
}

void refuse_task(struct report *r, const struct snapshot *snap, const struct task *task)
{
	/* Images name tasks by their innermost pid: there must be one such space. */
	if (task->pid_ns && task->pid_ns != snap->tree.tasks[0].pid_ns)
		report_add(r, "process %d (%s): in a nested pid namespace", task->pid, task->comm);
}

void refuse_conn(struct report *r, const struct snapshot *snap, const FuseConnEntry *c)
{
	const char *label = conn_label(c);

	if (!(c->state & FUSECR_CONN_INITIALIZED))
		report_add(r, "%s: its daemon has not answered INIT yet; try again", label);
	if (!(c->state & FUSECR_CONN_CONNECTED) || (c->state & (FUSECR_CONN_ABORTED | FUSECR_CONN_ERROR)))
		report_add(r, "%s: it is aborted or its daemon is dead; unmount it", label);
	if ((c->state & FUSECR_CONN_HELD) && !snap->o.surrogate[0])
		report_add(r, "%s: another checkpoint holds it", label);
	if (strcmp(c->fstype, "fuse"))
		report_add(r, "%s: file system type %s is not carried", label, c->fstype);
	if (c->minor < OLDEST_MINOR)
		report_add(r, "%s: protocol 7.%u is too old, 7.%u is the oldest", label,
			   c->minor, OLDEST_MINOR);
	if (c->user_ns != INIT_USER_NS)
		report_add(r, "%s: mounted from inside a user namespace", label);
	if (snap->own_pid_ns && !c->tree_pid_ns && c->pid_ns != proc_own_ns("pid"))
		report_add(r, "%s: mounted from a pid namespace that is neither the tree's nor ours", label);
	if (c->has_dax && c->dax)
		report_add(r, "%s: DAX is in use", label);
	if (c->has_uring && c->uring)
		report_add(r, "%s: io_uring queues are in use", label);
	if (c->has_submounts && c->submounts)
		report_add(r, "%s: the daemon has submounts of its own", label);
	if (c->unknown)
		report_add(r, "%s: this kernel's fuse has state that this fusecr does not know: %s; a newer fusecr may",
			   label, c->unknown);
	if (c->flags & INIT_PASSTHROUGH)
		report_add(r, "%s: passthrough is negotiated, and its backing files are not carried", label);
}

void refuse_dev(struct report *r, const struct snapshot *snap, const FuseDevEntry *dev)
{
	char task[64];

	task_label(task, sizeof(task), dev->pid);
	if (dev->has_cuse && dev->cuse)
		report_add(r, "process %s fd %u: a CUSE device", task, dev->fd);
	else if (!tree_find(&snap->tree, dev->pid))
		report_add(r, "process %s fd %u: outside the tree, but holds the /dev/fuse of connection %u:%u; dump a tree that contains it",
			   task, dev->fd, major(dev->conn_dev),
			   minor(dev->conn_dev));
	else
		report_add(r, "process %s fd %u: the connection behind this /dev/fuse is unmounted or aborted",
			   task, dev->fd);
}

/* The pids in a request are the thread's in the connection's pid namespace. */
static bool from_tree(const struct snapshot *snap, uint32_t pid)
{
	char path[64];
	struct stat st;

	if (!pid)
		return false;
	if (snap->own_pid_ns)
		return true;	/* only tasks of that namespace have a number in it */
	for (size_t i = 0; i < snap->tree.count; i++) {
		snprintf(path, sizeof(path), "/proc/%d/task/%u", snap->tree.tasks[i].pid, pid);
		if (!stat(path, &st))
			return true;
	}
	return false;
}

/*
 * While the tree stands, requests of others wait in the queue and are no
 * obstacle: the surrogate or, later, the daemon answers them.
 */
static bool waits_unread(const struct snapshot *snap, const FuseRequestEntry *req)
{
	if (req->state != FUSECR_REQ_PENDING || from_tree(snap, req->pid))
		return false;
	switch (req->opcode) {
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_WRITE:
	case FUSE_FLUSH:
		return false;	/* without a pid, and possibly of a file of the tree */
	default:
		return true;
	}
}

void refuse_request(struct report *r, const struct snapshot *snap,
		    const FuseConnEntry *c, const FuseRequestEntry *req)
{
	char client[64];

	if (req->state == FUSECR_REQ_FORGET || waits_unread(snap, req) ||
	    (req->state == FUSECR_REQ_KEPT && tree_find(&snap->tree, req->waiter)))
		return;
	/* The pid in the request is 0 for who is outside the connection's pid namespace. */
	if (req->has_waiter)
		task_label(client, sizeof(client), req->waiter);
	else
		snprintf(client, sizeof(client), "%u", req->pid);
	report_add(r, "%s: request in flight: %s, unique %lu, node %lu, pid %s, %s; let it finish, or end that process",
		   conn_label(c), opcode_name(req->opcode), (unsigned long)req->unique,
		   (unsigned long)req->nodeid, client, req_state_name(req->state));
}

static void object_to_inode(struct report *r, const FuseConnEntry *c, const FuseInodeEntry *i, const char *why)
{
	char name[256] = "";

	if (i->n_name)
		snprintf(name, sizeof(name), " (%.*s)", (int)i->name[0]->name.len, i->name[0]->name.data);
	report_add(r, "%s: node %lu%s %s", conn_label(c), (unsigned long)i->nodeid, name, why);
}

static bool has_no_name(const FuseInodeEntry *i)
{
	for (size_t k = 0; k < i->n_name; k++)
		if (!i->name[k]->has_unhashed || !i->name[k]->unhashed)
			return false;
	return i->nodeid != FUSE_ROOT_ID;
}

/* CRIU finds it by its handle, and wants a path of what it has found (criu/fsnotify.c). */
static void refuse_watched(struct report *r, const FuseConnEntry *c, const FuseInodeEntry *i)
{
	/* Without a link the watch ends with the last name (fsnotify_inoderemove()). */
	if (!i->nlink)
		object_to_inode(r, c, i, "is watched, and deleted");
	else if (has_no_name(i))
		object_to_inode(r, c, i, "is watched, and the kernel has forgotten its name; look at it by its path, and try again");
	if (c->flags & INIT_NO_EXPORT_SUPPORT)
		object_to_inode(r, c, i, "is watched, and the daemon lets no file be opened by its handle");
}

/* There are many, and nearly all are in order: nothing is worded before it is needed. */
void refuse_inode(struct report *r, const FuseConnEntry *c, const FuseInodeEntry *i)
{
	static const struct {
		uint32_t flag;
		const char *why;
	} reasons[] = {
		{ FUSECR_INODE_BAD, "is stale in the kernel" },
		{ FUSECR_INODE_DAX, "uses DAX" },
		{ FUSECR_INODE_PASSTHROUGH, "has a passthrough backing file" },
	};
	char why[96];

	for (size_t k = 0; k < sizeof(reasons) / sizeof(*reasons); k++)
		if (i->flags & reasons[k].flag)
			object_to_inode(r, c, i, reasons[k].why);
	if (i->flags & FUSECR_INODE_WATCHED)
		refuse_watched(r, c, i);
	if (i->dirty_pages || i->writeback_pages) {
		snprintf(why, sizeof(why), "has %u dirty pages and %u under write-back; sync it and try again",
			 i->dirty_pages, i->writeback_pages);
		object_to_inode(r, c, i, why);
	}
}

static void file_label(char *buf, size_t len, const FuseFileEntry *f)
{
	char task[64];

	task_label(task, sizeof(task), f->pid);
	if (f->use == FUSECR_FILE_FD || f->use == FUSECR_FILE_SOCKET)
		snprintf(buf, len, "process %s %s %lu (%.*s)", task, file_use_name(f->use), (unsigned long)f->number,
			 (int)f->path.len, f->path.data ? (const char *)f->path.data : "");
	else
		snprintf(buf, len, "process %s %s (%.*s)", task, file_use_name(f->use),
			 (int)f->path.len, f->path.data ? (const char *)f->path.data : "");
}

void refuse_virtiofs(struct report *r, const FuseFileEntry *f)
{
	char what[320];

	file_label(what, sizeof(what), f);
	report_add(r, "%s: on virtiofs, which is not carried", what);
}

static void object_to_file(struct report *r, const FuseConnEntry *c, const FuseFileEntry *f, const char *why)
{
	char what[320];

	file_label(what, sizeof(what), f);
	report_add(r, "%s: %s %s", conn_label(c), what, why);
}

/* A module that is older than this program does not tell who has a daemon's locks. */
static bool lacks_owner(const FuseConnEntry *c, const FuseFileEntry *f)
{
	if (f->use != FUSECR_FILE_FD || !S_ISREG(f->mode) || !f->has_fh)
		return false;
	return (!(c->no & FUSECR_NO_LOCK) && !f->has_owner_table) ||
	       ((f->flags & FUSECR_FF_FLOCK) && !f->has_owner_open);
}

static const struct snapshot_name *find_deleted(const struct snapshot_conn *sc, const FuseFileEntry *f)
{
	const char *path = (const char *)f->path.data, *slash;
	size_t len;

	slash = f->path.len ? memrchr(path, '/', f->path.len) : NULL;
	if (!slash)
		return NULL;
	len = path + f->path.len - slash - 1;
	for (size_t i = 0; i < sc->nr_deleted; i++) {
		const struct snapshot_name *n = &sc->deleted[i];

		if (n->nodeid == f->nodeid && n->len == len && !memcmp(n->name, slash + 1, len))
			return n;
	}
	return NULL;
}

static bool has_name(const struct snapshot_name *a, const struct snapshot_name *b)
{
	return a->parent == b->parent && a->len == b->len && !memcmp(a->name, b->name, a->len);
}

/* CRIU knows a file by its path, and so does who answers CRIU. */
static const char *why_lost(const struct snapshot_conn *sc, const FuseFileEntry *f)
{
	const struct snapshot_name *n = find_deleted(sc, f);

	if (S_ISDIR(f->mode))
		return "is a deleted directory";
	if ((!f->has_fh && f->use != FUSECR_FILE_SOCKET) || !n)
		return "is deleted";
	for (size_t i = 0; i < sc->nr_deleted; i++) {
		const struct snapshot_name *o = &sc->deleted[i];

		if (o->nodeid == n->parent)
			return "is deleted, and so is its directory";
		if (o->nodeid != n->nodeid && has_name(o, n))
			return "is deleted, and so is another file of that name that is in use";
	}
	for (size_t i = 0; f->use == FUSECR_FILE_SOCKET && i < sc->nr_sockets; i++)
		if (has_name(&sc->sockets[i], n))
			return "is deleted, and another socket has its name";
	return NULL;
}

void refuse_file(struct report *r, const struct snapshot *snap,
		 const struct snapshot_conn *sc, const FuseFileEntry *f)
{
	const FuseConnEntry *c = sc->conn;
	const char *why;
	bool ours = tree_find(&snap->tree, f->pid);

	if (f->use == FUSECR_FILE_INCOMPLETE) {
		if (ours)
			object_to_file(r, c, f, "in its mappings: they could not be read now; try again");
		return;
	}
	if (!ours) {
		object_to_file(r, c, f, "is outside the tree but uses the mount");
		return;
	}
	why = (f->flags & FUSECR_FF_UNLINKED) && !(f->flags & FUSECR_FF_CONNECTED) ?
		why_lost(sc, f) : NULL;
	if (why)
		object_to_file(r, c, f, why);
	/* CRIU opens a file once for all that lie side by side (criu/files-reg.c). */
	if (f->flags & FUSECR_FF_JOINS)
		object_to_file(r, c, f, "is mapped side by side through two opens: restored it would be one");
	if (f->flags & FUSECR_FF_PASSTHROUGH)
		object_to_file(r, c, f, "uses passthrough");
	if ((f->flags & FUSECR_FF_FOREIGN) && !S_ISFIFO(f->mode))
		object_to_file(r, c, f, "is a device on the mount");
	if (lacks_owner(c, f))
		object_to_file(r, c, f, "may be locked, and the fusecr.ko that is loaded is too old to say by whom");
}

/* Fuse decides on these in open, so the answer to OPEN has to be right. */
#define DECIDED_IN_OPEN (FOPEN_DIRECT_IO | FOPEN_STREAM | FOPEN_NONSEEKABLE)

static int by_node(const void *a, const void *b)
{
	const struct snapshot_open *oa = a, *ob = b;

	return (oa->nodeid > ob->nodeid) - (oa->nodeid < ob->nodeid);
}

void refuse_opens(struct report *r, const struct snapshot_conn *sc)
{
	if (sc->nr_opens)
		qsort(sc->opens, sc->nr_opens, sizeof(*sc->opens), by_node);
	for (size_t i = 1; i < sc->nr_opens; i++) {
		const struct snapshot_open *a = &sc->opens[i - 1], *b = &sc->opens[i];

		if (a->nodeid == b->nodeid && ((a->open_flags ^ b->open_flags) & DECIDED_IN_OPEN))
			report_add(r, "%s: node %lu is open twice with different FOPEN flags (%#x, %#x)",
				   conn_label(sc->conn), (unsigned long)a->nodeid,
				   a->open_flags, b->open_flags);
	}
}

/* What the daemon keeps is in its memory, and its owners in the module's hands. */
void refuse_locks(struct report *r, const struct snapshot *snap, const struct snapshot_conn *sc)
{
	locks_refuse(r, &snap->tree, sc->conn->dev, conn_label(sc->conn));
}

void refuse_watches(struct report *r, const struct snapshot *snap, const struct snapshot_conn *sc)
{
	watches_refuse(r, snap, sc, conn_label(sc->conn));
}

struct elsewhere {
	struct report *r;
	const struct snapshot *snap;
	const struct snapshot_conn *sc;
	pid_t pid;
};

/* "shared:7 master:3": the number after the tag, or -1. */
static int peer_group(const char *fields, const char *tag)
{
	const char *p = fields ? strstr(fields, tag) : NULL;

	return p ? atoi(p + strlen(tag)) : -1;
}

/* A copy that our unmount and mount propagate to is no obstacle. */
static bool follows_ours(const struct elsewhere *e, const FuseMountEntry *m)
{
	int shared = peer_group(m->propagation, "shared:");
	int master = peer_group(m->propagation, "master:");

	for (size_t i = 0; i < e->sc->mounts.count; i++) {
		const FuseMountEntry *own = (const FuseMountEntry *)e->sc->mounts.items[i];
		int group = peer_group(own->propagation, "shared:");

		if (group >= 0 && (group == shared || group == master))
			return true;
	}
	return false;
}

static int mounted_elsewhere(const FuseMountEntry *m, const char *fstype, const char *source, void *arg)
{
	struct elsewhere *e = arg;
	char task[64];

	(void)fstype;
	(void)source;
	if (follows_ours(e, m))
		return 0;
	task_label(task, sizeof(task), e->pid);
	report_add(e->r, "%s: also mounted in %s mount namespace of process %s, at %.*s",
		   conn_label(e->sc->conn),
		   tree_find(&e->snap->tree, e->pid) ? "the nested" : "another", task,
		   (int)m->mountpoint.len, m->mountpoint.data);
	return 0;
}

void refuse_mounts(struct report *r, const struct snapshot *snap, const struct snapshot_conn *sc)
{
	uint64_t tree_ns = snap->tree.tasks[0].mnt_ns, *grown;
	uint64_t *seen cleanup(free_auto) = NULL;
	struct elsewhere e = { .r = r, .snap = snap, .sc = sc };
	size_t count = 0, i;
	struct dirent *de;
	DIR *proc;

	if (!sc->mounts.count)
		report_add(r, "%s: not mounted in the mount namespace of the tree's root", conn_label(sc->conn));
	else if (!snap->own_mnt_ns && ((FuseMountEntry *)sc->mounts.items[0])->root.len != 1)
		report_add(r, "%s: a part of it is mounted, but not its root", conn_label(sc->conn));
	proc = opendir("/proc");
	while (proc && (de = readdir(proc))) {
		uint64_t ns;

		e.pid = atoi(de->d_name);
		ns = e.pid > 0 ? proc_ns(e.pid, "mnt") : 0;
		if (!ns || ns == tree_ns)
			continue;
		for (i = 0; i < count && seen[i] != ns; i++)
			;
		if (i < count)
			continue;
		grown = reallocarray(seen, count + 1, sizeof(*seen));
		if (!grown)
			break;
		seen = grown;
		seen[count++] = ns;
		mounts_of(e.pid, sc->conn->dev, mounted_elsewhere, &e);
	}
	if (proc)
		closedir(proc);
}
