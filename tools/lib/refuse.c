// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <linux/fuse.h>
#include <linux/fusecr.h>
#include <linux/kcmp.h>

#include "backings.h"
#include "blocks.h"
#include "chars.h"
#include "cleanup.h"
#include "locks.h"
#include "names.h"
#include "newer_fuse.h"
#include "proc.h"
#include "refuse.h"
#include "sent.h"

#define OLDEST_MINOR	12		/* older daemons use shorter structures */

const char *refuse_label(const FuseConnEntry *c)
{
	static char buf[160];

	snprintf(buf, sizeof(buf), "connection %u:%u (%s)", major(c->dev), minor(c->dev),
		 c->subtype && *c->subtype ? c->subtype : c->fstype);
	return buf;
}

void refuse_task_label(char *buf, size_t len, uint32_t pid)
{
	char comm[32];

	if (!pid) {
		snprintf(buf, len, "outside of this pid namespace");
		return;
	}
	proc_comm(pid, comm, sizeof(comm));
	snprintf(buf, len, "%u (%s)", pid, comm);
}

struct threads {
	struct report *r;
	const struct task *task;
};

/*
 * CRIU looks at the first thread of a process only, and restores the others with its
 * descriptors and directories (criu/cr-dump.c and criu/cr-restore.c, 3.17.1 to 4.2).
 */
static int refuse_thread(pid_t pid, pid_t tid, void *arg)
{
	const struct threads *t = arg;
	const char *what = proc_unshared(pid, tid, KCMP_FILES) ? "descriptors" :
			   proc_unshared(pid, tid, KCMP_FS) ? "a working directory and a root" : NULL;

	if (what)
		report_add(t->r, "process %d (%s): its thread %d has %s of its own, which CRIU would lose",
			   pid, t->task->comm, tid, what);
	return 0;
}

static int refuse_flusher(pid_t pid, pid_t tid, void *arg)
{
	const struct threads *t = arg;

	if (proc_io_flusher(tid))
		report_add(t->r, "process %d (%s): its thread %d is an I/O flusher (PR_SET_IO_FLUSHER), which CRIU would lose, and memory that runs short may wait for it then",
			   pid, t->task->comm, tid);
	return 0;
}

static bool serves(const struct snapshot *snap, pid_t pid)
{
	for (size_t i = 0; i < snap->count; i++)
		for (size_t k = 0; k < snap->conns[i].devs.count; k++)
			if (((FuseDevEntry *)snap->conns[i].devs.items[k])->pid == (uint32_t)pid)
				return true;
	return false;
}

void refuse_task(struct report *r, const struct snapshot *snap, const struct task *task)
{
	struct threads t = { r, task };

	/* What has ended meanwhile has nothing to lose. */
	tree_each_thread(task->pid, refuse_thread, &t);
	if (serves(snap, task->pid))
		tree_each_thread(task->pid, refuse_flusher, &t);
	/* Images name tasks by their innermost pid: there must be one such space. */
	if (task->pid_ns && task->pid_ns != snap->tree.tasks[0].pid_ns)
		report_add(r, "process %d (%s): in a nested pid namespace", task->pid, task->comm);
}

/* Only who serves it was to go and come back. */
static void refuse_to_hold(struct report *r, const struct snapshot *snap, const struct snapshot_conn *sc)
{
	const FuseConnEntry *c = sc->conn;
	const char *label = refuse_label(c);

	if (snap->own_mnt_ns && sc->mounts.count)
		report_add(r, "%s: it cannot be held: it is mounted in the tree's own mount namespace, which ends with the tree",
			   label);
	if (c->request_timeout)
		report_add(r, "%s: it cannot be held: its requests time out after %u s, and the kernel would end it",
			   label, c->request_timeout);
}

/* Made by who is nobody outside of it. */
static void refuse_user_ns(struct report *r, const struct snapshot *snap, const struct snapshot_conn *sc)
{
	const FuseConnEntry *c = sc->conn;
	const char *label = refuse_label(c);

	if (!snap->own_user_ns || c->user_ns != snap->tree.tasks[0].user_ns || !snap->own_mnt_ns)
		report_add(r, "%s: mounted from inside a user namespace that is not that of the tree's root, with a mount namespace of its own",
			   label);
	else if (sc->held)
		report_add(r, "%s: it cannot be held: its user namespace ends with the tree", label);
	/* CRIU's tasks are that root when they open files. */
	else if (!c->allow_other && (c->user_id != snap->ns_root_uid || c->group_id != snap->ns_root_gid))
		report_add(r, "%s: mounted without allow_other by who is not root in his user namespace", label);
	else if (snap->o.criu && !snap->o.tells)
		report_add(r, "%s: mounted from inside a user namespace, which needs CRIU 4.1 or later", label);
}

void refuse_conn(struct report *r, const struct snapshot *snap, const struct snapshot_conn *sc)
{
	const FuseConnEntry *c = sc->conn;
	const char *label = refuse_label(c);

	if (sc->held)
		refuse_to_hold(r, snap, sc);

	if (!(c->state & FUSECR_CONN_INITIALIZED))
		report_add(r, "%s: its daemon has not answered INIT yet; try again", label);
	if (!(c->state & FUSECR_CONN_CONNECTED) || (c->state & (FUSECR_CONN_ABORTED | FUSECR_CONN_ERROR)))
		report_add(r, "%s: it is aborted or its daemon is dead; unmount it", label);
	if ((c->state & FUSECR_CONN_HELD) && !snap->o.surrogate[0])
		report_add(r, "%s: another checkpoint holds it", label);
	if (strcmp(c->fstype, "fuse") && !blocks_mounted(c))
		report_add(r, "%s: file system type %s is not carried", label, c->fstype);
	if (blocks_mounted(c) && !c->has_dev_size)
		report_add(r, "%s: the size of its block device is not known; is /sys mounted?", label);
	if (c->minor < OLDEST_MINOR)
		report_add(r, "%s: protocol 7.%u is too old, 7.%u is the oldest", label,
			   c->minor, OLDEST_MINOR);
	if (!c->allow_other && !sc->held && !(snap->features & FUSECR_FEATURE_ADMIT))
		report_add(r, "%s: mounted without allow_other, and fusecr.ko cannot let CRIU in on this kernel (ADMIT)",
			   label);
	if (c->user_ns != PROC_INIT_USER_NS)
		refuse_user_ns(r, snap, sc);
	/* Where it stays it keeps its namespace; in another, who is restored gets another number. */
	if (!sc->held && !c->tree_pid_ns)
		report_add(r, "%s: mounted from a pid namespace that is not the tree's: its daemon knows programs by numbers that would change",
			   label);
	if (c->has_dax && c->dax)
		report_add(r, "%s: DAX is in use", label);
	if (c->has_uring && c->uring)
		report_add(r, "%s: io_uring queues are in use", label);
	if (c->has_submounts && c->submounts)
		report_add(r, "%s: the daemon has submounts of its own", label);
	if (c->unknown)
		report_add(r, "%s: this kernel's fuse has state that this fusecr does not know: %s; a newer fusecr may",
			   label, c->unknown);
	if ((c->flags & INIT_PASSTHROUGH) && !c->has_next_backing)
		report_add(r, "%s: passthrough is negotiated, and the files behind it are not known: by this kernel's fuse, or an older fusecr.ko",
			   label);
}

void refuse_dev(struct report *r, const struct snapshot *snap, const FuseDevEntry *dev)
{
	char task[64];

	refuse_task_label(task, sizeof(task), dev->pid);
	if (dev->has_cuse && dev->cuse)
		report_add(r, "process %s fd %u: a CUSE device", task, dev->fd);
	else if (!dev->conn_id)
		report_add(r, "process %s fd %u: a /dev/fuse that nothing is mounted with; close it, or try again once it is mounted",
			   task, dev->fd);
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
		    const struct snapshot_conn *sc, const FuseRequestEntry *req)
{
	const FuseConnEntry *c = sc->conn;
	char client[64];

	/* Where the connection stays, whoever is outside may go on waiting. */
	if (sc->held && !(req->has_waiter && tree_find(&snap->tree, req->waiter)))
		return;
	/* Of an interrupt: the request that it is about speaks for itself. */
	if (req->state == FUSECR_REQ_FORGET || req->state == FUSECR_REQ_INTERRUPT ||
	    waits_unread(snap, req) ||
	    (req->state == FUSECR_REQ_KEPT && tree_find(&snap->tree, req->waiter)))
		return;
	/* The pid in the request is 0 for who is outside the connection's pid namespace. */
	if (req->has_waiter)
		refuse_task_label(client, sizeof(client), req->waiter);
	else
		snprintf(client, sizeof(client), "%u", req->pid);
	report_add(r, "%s: request in flight: %s, unique %lu, node %lu, pid %s, %s; %s",
		   refuse_label(c), opcode_name(req->opcode), (unsigned long)req->unique,
		   (unsigned long)req->nodeid, client, req_state_name(req->state),
		   req->state == FUSECR_REQ_KEPT && !req->has_waiter ?
			   "nobody waits for it any more, but its daemon has to answer first" :
			   "let it finish, or end that process");
}

static void object_to_inode(struct report *r, const FuseConnEntry *c, const FuseInodeEntry *i, const char *why)
{
	char name[256] = "";

	if (i->n_name)
		snprintf(name, sizeof(name), " (%.*s)", (int)i->name[0]->name.len, i->name[0]->name.data);
	report_add(r, "%s: node %lu%s %s", refuse_label(c), (unsigned long)i->nodeid, name, why);
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
void refuse_inode(struct report *r, const struct snapshot_conn *sc, const FuseInodeEntry *i)
{
	const FuseConnEntry *c = sc->conn;
	static const struct {
		uint32_t flag;
		const char *why;
	} reasons[] = {
		{ FUSECR_INODE_BAD, "is stale in the kernel" },
		{ FUSECR_INODE_DAX, "uses DAX" },
	};
	char why[96];

	for (size_t k = 0; k < sizeof(reasons) / sizeof(*reasons); k++)
		if (i->flags & reasons[k].flag)
			object_to_inode(r, c, i, reasons[k].why);
	if (backing_lacks(sc, i))
		object_to_inode(r, c, i, "has passthrough files open, and the daemon has closed the id of what is behind them");
	if (i->flags & FUSECR_INODE_WATCHED)
		refuse_watched(r, c, i);
	if (i->dirty_pages || i->writeback_pages) {
		snprintf(why, sizeof(why), "has %u dirty pages and %u under write-back; sync it and try again",
			 i->dirty_pages, i->writeback_pages);
		object_to_inode(r, c, i, why);
	}
}

void refuse_file_label(char *buf, size_t len, const FuseFileEntry *f)
{
	char task[64];

	refuse_task_label(task, sizeof(task), f->pid);
	if (f->use == FUSECR_FILE_FD || f->use == FUSECR_FILE_SOCKET || f->use == FUSECR_FILE_SENT)
		snprintf(buf, len, "process %s %s %lu (%.*s)", task,
			 f->use == FUSECR_FILE_SENT ? "in a message to socket" : file_use_name(f->use),
			 (unsigned long)(uint32_t)f->number,
			 (int)f->path.len, f->path.data ? (const char *)f->path.data : "");
	else
		snprintf(buf, len, "process %s %s (%.*s)", task, file_use_name(f->use),
			 (int)f->path.len, f->path.data ? (const char *)f->path.data : "");
}

void refuse_virtiofs(struct report *r, const FuseFileEntry *f)
{
	char what[320];

	refuse_file_label(what, sizeof(what), f);
	report_add(r, "%s: on virtiofs, which is not carried", what);
}

static void object_to_file(struct report *r, const FuseConnEntry *c, const FuseFileEntry *f, const char *why)
{
	char what[320];

	refuse_file_label(what, sizeof(what), f);
	report_add(r, "%s: %s %s", refuse_label(c), what, why);
}

/* Whoever waits for a daemon that stands still must not be who makes it stand still. */
static void refuse_held_file(struct report *r, const struct snapshot *snap,
			     const struct snapshot_conn *sc, const FuseFileEntry *f)
{
	bool makes_it = f->pid == (uint32_t)snap->o.criu || f->pid == (uint32_t)snap->o.surrogate[0] ||
			f->pid == (uint32_t)snap->o.surrogate[1];

	if (tree_find(&snap->tree, f->pid))
		object_to_file(r, sc->conn, f, "is in the tree: the connection cannot be held");
	else if (makes_it)
		object_to_file(r, sc->conn, f, "is of the checkpoint itself: the connection cannot be held");
}

bool refuse_may_be_held(const struct snapshot *snap, const struct snapshot_conn *sc)
{
	return snap->o.scope == SNAPSHOT_SERVED && !snap->o.hold && !sc->user &&
	       !(snap->own_mnt_ns && sc->mounts.count);
}

static void object_to_outsider(struct report *r, const struct snapshot *snap,
			       const struct snapshot_conn *sc, const FuseFileEntry *f)
{
	char why[192], task[64];

	refuse_task_label(task, sizeof(task), sc->user);
	if (refuse_may_be_held(snap, sc))
		snprintf(why, sizeof(why), "is outside the tree but uses the mount; \"fusecr checkpoint --hold\", or FUSECR_HOLD=1, lets it wait");
	else if (sc->user && snap->o.hold)
		snprintf(why, sizeof(why), "is outside the tree but uses the mount, and so does process %s of the tree: the connection cannot be held", task);
	else
		snprintf(why, sizeof(why), "is outside the tree but uses the mount");
	object_to_file(r, sc->conn, f, why);
}

/* A module that is older than this program does not tell who has a daemon's locks. */
static bool lacks_owner(const FuseConnEntry *c, const FuseFileEntry *f)
{
	if (f->use != FUSECR_FILE_FD || !S_ISREG(f->mode) || !f->has_fh)
		return false;
	return (!(c->no & FUSECR_NO_LOCK) && !f->has_owner_table) ||
	       ((f->flags & FUSECR_FF_FLOCK) && !f->has_owner_open);
}

/* CRIU knows a file by its path, and so does who answers CRIU. */
static bool is_nameless(const struct snapshot_conn *sc, const FuseFileEntry *f)
{
	size_t len;
	const char *name = snapshot_last_name(f, &len);

	for (size_t i = 0; name && i < sc->nr_deleted; i++) {
		const struct snapshot_name *n = &sc->deleted[i];

		if (n->nodeid == f->nodeid && n->len == len && !memcmp(n->name, name, len))
			return false;
	}
	return true;
}

/* CRIU looks into what is O_PATH as if it were open (criu/pipes.c). */
static bool is_special(uint32_t mode)
{
	return !S_ISREG(mode) && !S_ISDIR(mode) && !S_ISLNK(mode);
}

static bool has_name(const struct snapshot_name *a, const struct snapshot_name *b)
{
	return a->parent == b->parent && a->len == b->len && !memcmp(a->name, b->name, a->len);
}

/* CRIU binds by name, and what it makes there must be of one of them. */
static bool shares_name(const struct snapshot_conn *sc, const FuseFileEntry *f)
{
	for (size_t i = 0; i < sc->nr_deleted; i++)
		for (size_t k = 0; sc->deleted[i].nodeid == f->nodeid && k < sc->nr_sockets; k++)
			if (has_name(&sc->sockets[k], &sc->deleted[i]))
				return true;
	return false;
}

static void refuse_deleted(struct report *r, const struct snapshot_conn *sc, const FuseFileEntry *f)
{
	const char *why = NULL;

	if (f->flags & FUSECR_FF_FAR_BELOW)
		why = "is in a deleted directory, with more of them above it than are known";
	else if (f->use == FUSECR_FILE_SOCKET && f->flags & FUSECR_FF_BELOW_UNLINKED)
		why = "is a socket in a deleted directory";
	else if (!(f->flags & FUSECR_FF_UNLINKED))
		return;
	else if (is_nameless(sc, f))
		why = "is deleted, and its name is not known";
	else if (f->use == FUSECR_FILE_SOCKET && shares_name(sc, f))
		why = "is deleted, and another socket has its name";
	if (why)
		object_to_file(r, sc->conn, f, why);
}

void refuse_file(struct report *r, const struct snapshot *snap,
		 const struct snapshot_conn *sc, const FuseFileEntry *f)
{
	const FuseConnEntry *c = sc->conn;
	bool ours = tree_find(&snap->tree, f->pid);

	if (f->use == FUSECR_FILE_INCOMPLETE) {
		if (ours)
			object_to_file(r, c, f, "in its mappings, or messages to it: they could not be read now; try again");
		return;
	}
	if (sc->held) {
		refuse_held_file(r, snap, sc, f);
		return;
	}
	if (!ours) {
		object_to_outsider(r, snap, sc, f);
		return;
	}
	/* Of a file that has a descriptor, too, the rest is said there. */
	if (sent_is_lost(f))
		return;
	if (!(f->flags & FUSECR_FF_CONNECTED))
		refuse_deleted(r, sc, f);
	/* CRIU opens a file once for all that lie side by side (criu/files-reg.c). */
	if (f->flags & FUSECR_FF_JOINS)
		object_to_file(r, c, f, "is mapped side by side through two opens: restored it would be one");
	/*
	 * It maps it anew with all that it has, writable, and the kernel then copies every
	 * page of what is locked (criu/pie/restorer.c, populate_vma_page_range()).
	 */
	if (f->flags & FUSECR_FF_LOCKED)
		object_to_file(r, c, f, "is private and locked in memory (mlock(2)): CRIU would fill it before the daemon is back");
	if (f->flags & FUSECR_FF_WRITE_ERROR)
		object_to_file(r, c, f, "has lost what was written to it, and its program has not been told yet: have it fsync(2) or close the file");
	if (backing_lacks_file(sc, f))
		object_to_file(r, c, f, "uses passthrough to a file that the daemon has no id of");
	for (size_t i = 0; i < snap->nr_covered; i++)
		if (f->has_mnt_id && f->mnt_id == snap->covered[i])
			object_to_file(r, c, f, "is on a mount that another one hides: CRIU does not find it");
	if ((f->flags & FUSECR_FF_FOREIGN) && !S_ISFIFO(f->mode) && !chars_carried(sc, f))
		object_to_file(r, c, f, "is a device on the mount that CRIU does not open again, or maps");
	else if ((f->flags & FUSECR_FF_PATH) && is_special(f->mode))
		object_to_file(r, c, f, "is a FIFO, socket or device, and open with O_PATH");
	/* Cookies of a directory may be of any kind; lseek() takes only some. */
	if ((f->use == FUSECR_FILE_FD || f->use == FUSECR_FILE_SENT) && (f->pos < 0 || f->readdir_pos < 0))
		object_to_file(r, c, f, "stands at a place that CRIU cannot have it go to");
	if (lacks_owner(c, f))
		object_to_file(r, c, f, "may be locked, and the fusecr.ko that is loaded is too old to say by whom");
}

/* What the daemon keeps is in its memory, and its owners in the module's hands. */
void refuse_locks(struct report *r, const struct snapshot *snap, const struct snapshot_conn *sc)
{
	locks_refuse(r, &snap->tree, sc->conn->dev, refuse_label(sc->conn));
}
