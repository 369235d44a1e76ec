// SPDX-License-Identifier: GPL-2.0
/*
 * CRIU saves what is in a FIFO once for each inode number, of which it knows the
 * lower half, and no device (pipe_id(), criu/pipes.c, 3.17.1 to 4.2): of two with
 * the same number one would get what is in the other, or nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/fusecr.h>

#include "cleanup.h"
#include "fifos.h"
#include "refuse.h"

int fifos_keep(struct snapshot_conn *sc, const FuseInodeEntry *inode)
{
	struct snapshot_fifo *grown;

	if (!S_ISFIFO(inode->mode))
		return 0;
	grown = reallocarray(sc->fifos, sc->nr_fifos + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	sc->fifos = grown;
	grown[sc->nr_fifos++] = (struct snapshot_fifo){ inode->nodeid, inode->orig_ino, NULL };
	return 0;
}

/* gcc 12 does not see that the list has what is put into it. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
int fifos_keep_user(struct snapshot_conn *sc, const FuseFileEntry *file)
{
	char label[320];

	if (!S_ISFIFO(file->mode) || (file->flags & FUSECR_FF_PATH))
		return 0;
	for (size_t i = 0; i < sc->nr_fifos; i++) {
		struct snapshot_fifo *fifo = &sc->fifos[i];

		if (fifo->nodeid != file->nodeid || fifo->user)
			continue;
		refuse_file_label(label, sizeof(label), file);
		fifo->user = strdup(label);
		return fifo->user ? 0 : -ENOMEM;
	}
	return 0;
}
#pragma GCC diagnostic pop

void fifos_free(struct snapshot_conn *sc)
{
	for (size_t i = 0; i < sc->nr_fifos; i++)
		free(sc->fifos[i].user);
	free(sc->fifos);
	sc->fifos = NULL;
	sc->nr_fifos = 0;
}

static void object(struct report *r, const struct snapshot_conn *sc, const struct snapshot_fifo *fifo,
		   const char *other)
{
	report_add(snapshot_report(sc, r), "%s: %s is a FIFO with the inode number of another, %s: CRIU would mix up what is in them",
		   refuse_label(sc->conn), fifo->user, other);
}

/* It is open, and not what it is compared with. */
static bool clashes(const struct snapshot_fifo *fifo, uint32_t ino, const struct snapshot_fifo *self)
{
	return fifo != self && fifo->user && (uint32_t)fifo->ino == ino;
}

static void compare(struct report *r, const struct snapshot *snap, uint32_t ino, const char *other,
		    const struct snapshot_fifo *self)
{
	for (size_t i = 0; i < snap->count; i++)
		for (size_t k = 0; k < snap->conns[i].nr_fifos; k++)
			if (clashes(&snap->conns[i].fifos[k], ino, self))
				object(r, &snap->conns[i], &snap->conns[i].fifos[k], other);
}

static bool is_ours(const struct snapshot *snap, const struct statx *st)
{
	for (size_t i = 0; i < snap->count; i++) {
		uint32_t dev = snap->conns[i].conn->dev;

		if (major(dev) == st->stx_dev_major && minor(dev) == st->stx_dev_minor)
			return true;
	}
	return false;
}

/* A FIFO of another file system; no daemon and no server is asked about it. */
static bool is_other_fifo(const struct snapshot *snap, int fds, const char *fd, char *path, size_t size,
			  struct statx *st)
{
	ssize_t n = readlinkat(fds, fd, path, size - 1);

	if (n <= 0 || path[0] != '/')	/* a pipe, which CRIU keeps apart */
		return false;
	path[n] = '\0';
	return !statx(fds, fd, AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, st) &&
	       S_ISFIFO(st->stx_mode) && !is_ours(snap, st);
}

static void compare_others(struct report *r, const struct snapshot *snap, pid_t pid)
{
	DIR *dir cleanup(closedir_auto) = NULL;
	char path[256], task[64], other[384];
	struct dirent *de;
	struct statx st;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && (de = readdir(dir))) {
		if (!is_other_fifo(snap, dirfd(dir), de->d_name, path, sizeof(path), &st))
			continue;
		refuse_task_label(task, sizeof(task), pid);
		snprintf(other, sizeof(other), "process %s fd %.12s (%s)", task, de->d_name, path);
		compare(r, snap, st.stx_ino, other, NULL);
	}
}

void fifos_refuse(struct report *r, const struct snapshot *snap)
{
	bool any = false;

	for (size_t i = 0; i < snap->count; i++) {
		const struct snapshot_conn *sc = &snap->conns[i];

		for (size_t k = 0; k < sc->nr_fifos; k++) {
			if (!sc->fifos[k].user)
				continue;
			any = true;
			compare(r, snap, sc->fifos[k].ino, sc->fifos[k].user, &sc->fifos[k]);
		}
	}
	for (size_t i = 0; any && i < snap->tree.count; i++)
		compare_others(r, snap, snap->tree.tasks[i].pid);
}
