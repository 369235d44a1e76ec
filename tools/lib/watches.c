// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cleanup.h"
#include "mounts.h"
#include "proc.h"
#include "watches.h"

/* FAN_*_PERM and FAN_PRE_ACCESS (Linux 6.14). */
#define FANOTIFY_PERM (FAN_OPEN_PERM | FAN_ACCESS_PERM | FAN_OPEN_EXEC_PERM | 0x100000)

/* What CRIU drops of an inotify mask, and what of it a program can have asked for. */
#define DROPPED		(IN_ONESHOT | IN_EXCL_UNLINK)
/* What CRIU does with files while it looks at them: the one event that was waited for. */
#define BY_CRIU		(IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE)

struct scan {
	struct report *r;
	struct snapshot *snap;
	const struct snapshot_conn *sc;
	const char *label;
	bool *found;		/* one for each watched node, and one for all */
	int err;		/* what could not be kept */
	pid_t pid;
	char comm[32];
};

/* FAN_MARK_IGNORE: not in every <linux/fanotify.h>. */
#define MARK_IGNORE	0x400

/* One line of /proc/PID/fdinfo/FD (fs/notify/fdinfo.c). */
struct mark {
	bool fanotify;
	bool all;		/* of the file system: no node */
	uint32_t mnt_id;	/* of a mount, or 0 */
	uint32_t wd;		/* of inotify */
	uint32_t mask;
	uint32_t flags;		/* FAN_MARK_* */
	uint64_t nodeid;
};

/* What fuse_encode_fh() makes of a node, byte by byte: the upper half comes first. */
static uint64_t decode_handle(const char *hex)
{
	uint32_t half[2] = { 0 };

	for (size_t i = 0; i < sizeof(half); i++) {
		unsigned int byte;

		if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
			return 0;
		((unsigned char *)half)[i] = byte;
	}
	return (uint64_t)half[0] << 32 | half[1];
}

/* The number that follows "key:" in a line. */
static bool number_of(const char *line, const char *key, uint32_t *value)
{
	const char *at = strstr(line, key);

	return at && sscanf(at + strlen(key), "%x", value) == 1;
}

static bool read_mark(const char *line, uint32_t dev, struct mark *m)
{
	const char *handle = strstr(line, "f_handle:");
	uint32_t sdev;

	m->mnt_id = 0;
	m->flags = 0;
	number_of(line, " mflags:", &m->flags);
	if (!strncmp(line, "fanotify mnt_id:", 16))
		return number_of(line, "mnt_id:", &m->mnt_id) && number_of(line, " mask:", &m->mask);
	m->all = !strncmp(line, "fanotify sdev:", 14);
	m->fanotify = m->all || !strncmp(line, "fanotify ino:", 13);
	if ((!m->fanotify && !number_of(line, "inotify wd:", &m->wd)) || (!m->all && !handle) ||
	    !number_of(line, " sdev:", &sdev) || !number_of(line, " mask:", &m->mask))
		return false;
	/* As the kernel has it, not as stat() tells it. */
	if (sdev != (major(dev) << 20 | minor(dev)))
		return false;
	m->nodeid = m->all ? 0 : decode_handle(handle + strlen("f_handle:"));
	return true;
}

static void object(const struct scan *s, uint64_t nodeid, const char *why)
{
	report_add(s->r, "%s: process %d (%s) watches node %lu%s", s->label, s->pid, s->comm,
		   (unsigned long)nodeid, why);
}

/* CRIU does not know such a mark, and drops it without a word. */
static void see_mark_of_all(const struct scan *s)
{
	report_add(s->r, "%s: process %d (%s) watches all of it (FAN_MARK_FILESYSTEM)%s", s->label, s->pid, s->comm,
		   tree_find(&s->snap->tree, s->pid) ? ", which CRIU would lose" : " from outside the tree");
	s->found[s->sc->nr_watched] = true;
}

static int same_mount(const FuseMountEntry *e, const char *fstype, const char *source, void *arg)
{
	(void)fstype;
	(void)source;
	return e->mnt_id == *(uint32_t *)arg;
}

/* Of the mounts through which CRIU looks: no other of the host has that number. */
static bool is_through(const struct scan *s, uint32_t mnt_id)
{
	for (size_t i = 0; i < s->sc->mounts.count; i++)
		if (((FuseMountEntry *)s->sc->mounts.items[i])->mnt_id == mnt_id)
			return true;
	return false;
}

/* CRIU carries it, but opens files there while who is asked stands still. */
static void see_mark_of_mount(const struct scan *s, struct mark *m)
{
	bool ours = tree_find(&s->snap->tree, s->pid);

	if (ours ? mounts_of(s->pid, s->sc->conn->dev, same_mount, &m->mnt_id) <= 0 :
		   !(m->mask & FANOTIFY_PERM) || !is_through(s, m->mnt_id))
		return;
	if (ours && m->flags & MARK_IGNORE)
		report_add(s->r, "%s: process %d (%s) watches a mount of it with FAN_MARK_IGNORE, which CRIU cannot set again",
			   s->label, s->pid, s->comm);
	if (m->mask & FANOTIFY_PERM)
		report_add(s->r, "%s: process %d (%s) watches a mount of it (FAN_MARK_MOUNT)%s and is asked for permission: CRIU would wait for it",
			   s->label, s->pid, s->comm, ours ? "" : " from outside the tree");
}

static int by_nodeid(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int keep(struct message_list *list, pid_t pid, uint32_t vpid, uint32_t conn, int fd,
		const struct mark *m)
{
	FuseWatchEntry e = FUSE_WATCH_ENTRY__INIT;

	if (m->fanotify || !(m->mask & DROPPED))
		return 0;
	e.conn = conn;
	e.pid = pid;
	e.vpid = vpid;
	e.fd = fd;
	e.wd = m->wd;
	e.nodeid = m->nodeid;
	e.mask = m->mask;
	return message_list_add(list, &e.base);
}

static void see_mark(int fd, struct mark *m, void *arg)
{
	struct scan *s = arg;
	const struct task *task = tree_find(&s->snap->tree, s->pid);
	const uint64_t *at;

	if (m->mnt_id) {
		see_mark_of_mount(s, m);
		return;
	}
	if (m->all) {
		see_mark_of_all(s);
		return;
	}
	if (!task)
		object(s, m->nodeid, " from outside the tree");
	else if (m->fanotify && (m->mask & FANOTIFY_PERM))
		object(s, m->nodeid, " and is asked for permission: CRIU would wait for it");
	/* It adds FAN_MARK_IGNORED_MASK, and the kernel does not take both (criu/fsnotify.c). */
	else if (m->fanotify && (m->flags & MARK_IGNORE))
		object(s, m->nodeid, " with FAN_MARK_IGNORE, which CRIU cannot set again");
	else if (!m->fanotify && (m->mask & IN_ONESHOT) && (m->mask & BY_CRIU))
		object(s, m->nodeid, " with IN_ONESHOT for its being opened, read or closed: CRIU would be the one");
	else if (!s->err)
		s->err = keep(&s->snap->watches, s->pid, task->vpid, s->sc->id, fd, m);
	at = bsearch(&m->nodeid, s->sc->watched, s->sc->nr_watched, sizeof(*at), by_nodeid);
	if (at)
		s->found[at - s->sc->watched] = true;
}

/* Calls @see for each mark of a process on the file system with that device number. */
static void each_mark(pid_t pid, uint32_t dev, void (*see)(int fd, struct mark *m, void *arg), void *arg)
{
	DIR *dir cleanup(closedir_auto) = NULL;
	char text[512], target[32];
	struct dirent *de;
	struct mark m;

	snprintf(text, sizeof(text), "/proc/%d/fd", pid);
	dir = opendir(text);
	while (dir && (de = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), de->d_name, target, sizeof(target) - 1);
		FILE *f cleanup(fclose_auto) = NULL;

		target[n > 0 ? n : 0] = '\0';
		if (strcmp(target, WATCHES_INOTIFY) && strcmp(target, "anon_inode:[fanotify]"))
			continue;
		snprintf(text, sizeof(text), "/proc/%d/fdinfo/%s", pid, de->d_name);
		f = fopen(text, "re");
		while (f && fgets(text, sizeof(text), f))
			if (read_mark(text, dev, &m))
				see(atoi(de->d_name), &m, arg);
	}
}

static void see_marks_of(struct scan *s)
{
	proc_comm(s->pid, s->comm, sizeof(s->comm));
	each_mark(s->pid, s->sc->conn->dev, see_mark, s);
}

/* Whoever may have marks on nodes. */
static void scan_all(struct scan *s)
{
	DIR *proc cleanup(closedir_auto) = opendir("/proc");
	struct dirent *de;

	while (proc && (de = readdir(proc))) {
		s->pid = atoi(de->d_name);
		if (s->pid > 0 && !snapshot_stands_in(s->snap, s->pid))
			see_marks_of(s);
	}
}

static void scan_tree(struct scan *s)
{
	for (size_t i = 0; i < s->snap->tree.count; i++) {
		s->pid = s->snap->tree.tasks[i].pid;
		see_marks_of(s);
	}
}

int watches_collect(struct report *r, struct snapshot *snap, const struct snapshot_conn *sc,
		    const char *label)
{
	struct scan s = { .r = r, .snap = snap, .sc = sc, .label = label };

	s.found = calloc(sc->nr_watched + 1, sizeof(*s.found));
	if (!s.found)
		return -ENOMEM;
	if (sc->nr_watched)
		qsort(sc->watched, sc->nr_watched, sizeof(*sc->watched), by_nodeid);
	/* Marks on mounts only their groups tell of: when all stands, not once more. */
	if (sc->nr_watched || sc->conn->watched || !snap->o.tracer)
		scan_all(&s);
	else
		scan_tree(&s);
	/* dnotify, the audit subsystem, or a descriptor that is in a message. */
	for (size_t i = 0; i < sc->nr_watched; i++)
		if (!s.found[i])
			report_add(r, "%s: node %lu is watched, but through no descriptor that could be found",
				   label, (unsigned long)sc->watched[i]);
	if (sc->conn->watched && !s.found[sc->nr_watched])
		report_add(r, "%s: all of it is watched (FAN_MARK_FILESYSTEM), but through no descriptor that could be found",
			   label);
	free(s.found);
	return s.err;
}

struct reading {
	struct message_list *list;
	pid_t pid;
	uint32_t vpid, conn;
	int err;
};

static void read_watch(int fd, struct mark *m, void *arg)
{
	struct reading *r = arg;

	if (!r->err && m->nodeid)
		r->err = keep(r->list, r->pid, r->vpid, r->conn, fd, m);
}

int watches_read(struct message_list *list, pid_t pid, uint32_t vpid, uint32_t conn, uint32_t dev)
{
	struct reading r = { list, pid, vpid, conn, 0 };

	each_mark(pid, dev, read_watch, &r);
	return r.err;
}
