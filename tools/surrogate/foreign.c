// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <search.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/fusecr.h>

#include "cleanup.h"
#include "foreign.h"
#include "message_list.h"
#include "proc.h"
#include "refuse.h"
#include "served.h"

/* How long these daemons may take to answer. */
#define ANSWER_MS	5000
/* Locks of one file that are others'. */
#define LOCKS_MAX	64

struct search {
	const struct dump *d;
	struct report *r;
	struct message_list files;	/* one for each node that may be locked */
	void *nodes;			/* tsearch tree of struct node */
};

struct node {
	uint64_t conn_id, nodeid;
};

static int node_cmp(const void *a, const void *b)
{
	const struct node *na = a, *nb = b;
	int c = (na->conn_id > nb->conn_id) - (na->conn_id < nb->conn_id);

	return c ?: (na->nodeid > nb->nodeid) - (na->nodeid < nb->nodeid);
}

static bool is_served(const struct dump *d, uint64_t conn_id)
{
	for (size_t i = 0; i < d->snap->count; i++)
		if (d->snap->conns[i].conn->id == conn_id)
			return true;
	return false;
}

static void object(struct report *r, const FuseFileEntry *f, const char *why)
{
	char what[320];

	refuse_file_label(what, sizeof(what), f);
	report_add(r, "connection %u:%u (%s), whose daemon is outside of the tree: %s %s", major(f->conn_dev),
		   minor(f->conn_dev), f->fstype, what, why);
}

static int add_node(struct search *s, const FuseFileEntry *f)
{
	struct node *node = malloc(sizeof(*node)), **found;

	if (!node)
		return -ENOMEM;
	*node = (struct node){ f->conn_id, f->nodeid };
	found = tsearch(node, &s->nodes, node_cmp);
	if (found && *found == node)
		return message_list_add(&s->files, &f->base);
	free(node);
	return found ? 0 : -ENOMEM;
}

/* Of flock() the kernel knows only that there was one; of others it tells who may have them. */
static int see_file(const FuseFileEntry *f, void *arg)
{
	struct search *s = arg;

	if (!f->conn_id || is_served(s->d, f->conn_id))
		return 0;
	if (f->flags & FUSECR_FF_FLOCK)
		object(s->r, f, "has, or had, a lock (flock) that the daemon keeps, and CRIU would lose; close it, or dump a tree that contains the daemon");
	return f->use == FUSECR_FILE_FD && f->has_owner_table ? add_node(s, f) : 0;
}

static void judge(const struct search *s, const FuseFileEntry *f, const struct flock *lock)
{
	char task[64], why[256];

	if (lock->l_pid > 0 && tree_find(&s->d->snap->tree, lock->l_pid)) {
		refuse_task_label(task, sizeof(task), lock->l_pid);
		snprintf(why, sizeof(why), "is locked by process %s: the daemon keeps that, and CRIU would lose it; unlock it, or dump a tree that contains the daemon",
			 task);
		object(s->r, f, why);
	} else if (lock->l_pid <= 0 || lock->l_type == F_RDLCK) {
		/* Several may read, and the daemon names one. */
		object(s->r, f, "is locked, and the daemon does not say whether by the tree, too");
	}
}

/* All locks from @start on.  Not ours: the descriptor is, but not the table that it is in. */
static void ask(const struct search *s, const FuseFileEntry *f, int fd)
{
	off_t start = 0;

	for (int i = 0; i < LOCKS_MAX; i++) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start };

		if (fcntl(fd, F_GETLK, &lock)) {
			/* It may have no locks after all, which shows with the first question. */
			if (errno != ENOSYS)
				object(s->r, f, "may be locked, and the daemon does not say");
			return;
		}
		if (lock.l_type == F_UNLCK)
			return;
		judge(s, f, &lock);
		if (s->r->count || !lock.l_len)
			return;
		start = lock.l_start + lock.l_len;
	}
	object(s->r, f, "has too many locks of others");
}

/* In a process of its own, which waits for daemons. */
static int ask_all(struct search *s)
{
	for (size_t i = 0; i < s->files.count; i++) {
		const FuseFileEntry *f = (const FuseFileEntry *)s->files.items[i];
		int fd cleanup(close_auto) = proc_take_fd(f->pid, f->number);

		if (fd >= 0)
			ask(s, f, fd);
	}
	return 0;
}

static void ask_and_tell(struct search *s, int out)
{
	char *text;
	FILE *f;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* CRIU waits for who has this to answer, or to end. */
	close(s->d->s->control);
	/* Nobody ends us while that daemon keeps us waiting: nothing is to stay with us. */
	for (size_t i = 0; i < s->d->count; i++) {
		if (s->d->served[i].devfd >= 0)
			close(s->d->served[i].devfd);
		served_disown(&s->d->served[i]);
	}
	ask_all(s);
	text = report_text(s->r);
	f = fdopen(out, "w");
	if (!f || !text || fputs(text, f) < 0 || fclose(f))
		_exit(1);
	_exit(0);
}

/* Each line that it says; false when it does not come to its end. */
static bool hear(struct report *r, int in)
{
	struct pollfd pfd = { .fd = in, .events = POLLIN };
	char line[1024], *save;
	FILE *f cleanup(fclose_auto) = NULL;

	if (poll(&pfd, 1, ANSWER_MS) != 1)
		return false;
	f = fdopen(dup(in), "r");
	while (f && fgets(line, sizeof(line), f))
		if (strtok_r(line, "\n", &save))
			report_add(r, "%s", line);
	return f;
}

static int ask_bounded(struct search *s)
{
	int fds[2], status;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		close(fds[0]);
		ask_and_tell(s, fds[1]);
	}
	close(fds[1]);
	if (!hear(s->r, fds[0])) {
		kill(pid, SIGKILL);
		object(s->r, (const FuseFileEntry *)s->files.items[0], "or another file may be locked, and the daemon does not answer");
	} else if (waitpid(pid, &status, 0) == pid && (!WIFEXITED(status) || WEXITSTATUS(status))) {
		report_add(s->r, "whether daemons outside of the tree keep locks of the tree's could not be seen; try again");
	}
	close(fds[0]);
	return 0;
}

int foreign_refuse(struct dump *d)
{
	struct search s = { .d = d, .r = &d->s->report };
	const struct tree *tree = &d->snap->tree;
	int err = 0;

	for (size_t i = 0; !err && i < tree->count; i++) {
		err = nl_files(d->nl, 0, tree->tasks[i].pid, see_file, &s);
		err = err == -ESRCH ? 0 : err;
	}
	if (!err && s.files.count && !s.r->count)
		err = ask_bounded(&s);
	tdestroy(s.nodes, free);
	message_list_free(&s.files);
	return err;
}
