// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <linux/fusecr.h>

#include "cleanup.h"
#include "locks.h"
#include "proc.h"

#define TRIES	3	/* what is taken and let go meanwhile is no lock that is lost */

/* "POSIX ADVISORY WRITE 4711 00:2d:5 0 9": as fs/locks.c prints it, one space each. */
#define LOCK_MAX	128

struct shown {
	char line[LOCK_MAX];
	pid_t pid;	/* of whom, and at which descriptor; 0: in the list of all */
	int fd;
};

struct lock_set {
	struct shown *shown;
	size_t count;
};

static bool set_add(struct lock_set *set, const struct shown *shown)
{
	struct shown *grown = reallocarray(set->shown, set->count + 1, sizeof(*grown));

	if (!grown)
		return false;
	set->shown = grown;
	grown[set->count++] = *shown;
	return true;
}

static void set_clear(struct lock_set *set)
{
	free(set->shown);
	*set = (struct lock_set){ 0 };
}

/* What follows "12: ", if it is a lock on that device and nobody's wish for one. */
static bool lock_of(const char *text, uint32_t dev, char *line)
{
	unsigned int maj, min;
	size_t len = 0;

	text = strchr(text, ':');
	if (!text || sscanf(text, ": %*s %*s %*s %*d %x:%x:", &maj, &min) != 2 ||
	    maj != major(dev) || min != minor(dev))
		return false;
	for (text++; *text && *text != '\n' && len < LOCK_MAX - 1; text++)
		if (!isspace(*text) || (len && line[len - 1] != ' '))
			line[len++] = isspace(*text) ? ' ' : *text;
	line[len] = '\0';
	return true;
}

/* The lines of a file that begin so and are locks of that device; who: whose they are. */
static bool read_locks(const char *path, const char *begin, uint32_t dev, struct shown who,
		       struct lock_set *set)
{
	FILE *f cleanup(fclose_auto) = fopen(path, "re");
	char text[256];
	bool ok = true;

	while (ok && f && fgets(text, sizeof(text), f))
		if (!strncmp(text, begin, strlen(begin)) && lock_of(text + strlen(begin), dev, who.line))
			ok = set_add(set, &who);
	return ok;
}

static bool read_task(pid_t pid, uint32_t dev, struct lock_set *set)
{
	char path[300];
	DIR *dir cleanup(closedir_auto) = NULL;
	struct dirent *de;
	bool ok = true;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", pid);
	dir = opendir(path);
	while (ok && dir && (de = readdir(dir))) {
		struct shown who = { .pid = pid, .fd = atoi(de->d_name) };

		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", pid, de->d_name);
		ok = read_locks(path, "lock:", dev, who, set);
	}
	return ok;
}

/* Reads all of the device, held: those that the tree has at descriptors. */
static bool read_all(const struct tree *tree, uint32_t dev, struct lock_set *all, struct lock_set *held)
{
	bool ok = read_locks("/proc/locks", "", dev, (struct shown){ .fd = -1 }, all);

	for (size_t i = 0; ok && all->count && i < tree->count; i++)
		ok = read_task(tree->tasks[i].pid, dev, held);
	return ok;
}

/* Whether one before it is the same open file and shows the same. */
static bool shown_before(const struct lock_set *held, size_t i)
{
	const struct shown *one = &held->shown[i];

	for (size_t k = 0; k < i; k++)
		if (!strcmp(held->shown[k].line, one->line) &&
		    proc_same_file(held->shown[k].pid, held->shown[k].fd, one->pid, one->fd))
			return true;
	return false;
}

/*
 * Locks of two can read alike: those of open files have no pid, and those of one
 * process through two opens have the same.  There are to be as many open files.
 */
static bool is_lost(const struct lock_set *all, const struct lock_set *held, size_t i)
{
	const char *line = all->shown[i].line;
	size_t locks = 0, files = 0;

	for (size_t k = 0; k < all->count; k++)
		locks += !strcmp(all->shown[k].line, line);
	for (size_t k = 0; k < held->count && files < locks; k++)
		files += !strcmp(held->shown[k].line, line) && (locks == 1 || !shown_before(held, k));
	return files < locks;
}

static size_t count_lost(const struct lock_set *all, const struct lock_set *held)
{
	size_t lost = 0;

	for (size_t i = 0; i < all->count; i++)
		lost += is_lost(all, held, i);
	return lost;
}

void locks_refuse(struct report *r, const struct tree *tree, uint32_t dev, const char *label)
{
	struct lock_set all = { 0 }, held = { 0 };
	bool ok = read_all(tree, dev, &all, &held);

	for (int i = 1; i < TRIES && ok && count_lost(&all, &held); i++) {
		set_clear(&all);
		set_clear(&held);
		ok = read_all(tree, dev, &all, &held);
	}
	if (!ok)
		report_add(r, "%s: no memory to look at its locks", label);
	for (size_t i = 0; i < all.count; i++)
		if (is_lost(&all, &held, i))
			report_add(r, "%s: the lock \"%s\" is held through no descriptor of the tree's, and would be lost",
				   label, all.shown[i].line);
	set_clear(&all);
	set_clear(&held);
}

int locks_keep_node(struct snapshot_conn *sc, const FuseInodeEntry *inode)
{
	uint64_t *grown;

	if (!(inode->flags & FUSECR_INODE_LOCKED))
		return 0;
	grown = reallocarray(sc->locked, sc->nr_locked + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	sc->locked = grown;
	grown[sc->nr_locked++] = inode->nodeid;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const uint64_t *na = a, *nb = b;

	return (*na > *nb) - (*na < *nb);
}

static bool is_locked(struct snapshot_conn *sc, uint64_t nodeid)
{
	if (!sc->nr_locked)
		return false;
	if (!sc->locked_sorted)
		qsort(sc->locked, sc->nr_locked, sizeof(*sc->locked), by_number);
	sc->locked_sorted = true;
	return bsearch(&nodeid, sc->locked, sc->nr_locked, sizeof(*sc->locked), by_number);
}

/* gcc 12 does not see that the list has what is put into it. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
static int add(FuseFileEntry *file, uint32_t type, uint64_t start, uint64_t end)
{
	FuseLockEntry **grown = reallocarray(file->lock, file->n_lock + 1, sizeof(*grown));
	FuseLockEntry *e = malloc(sizeof(*e));

	if (grown)
		file->lock = grown;
	if (!grown || !e) {
		free(e);
		return -ENOMEM;
	}
	fuse_lock_entry__init(e);
	e->type = type;
	e->start = start;
	e->end = end;
	grown[file->n_lock++] = e;
	return 0;
}
#pragma GCC diagnostic pop

/* Of two who share their descriptors each shows what the other has set. */
static int add_line(FuseFileEntry *file, const struct tree *tree, const char *line)
{
	unsigned long long start, end = INT64_MAX;
	char type[8], last[24];
	pid_t pid;

	if (sscanf(line, "POSIX %*s %7s %d %*x:%*x:%*u %llu %23s", type, &pid, &start, last) != 4 ||
	    (pid != (pid_t)file->pid && tree_find(tree, pid)))
		return 0;
	if (strcmp(last, "EOF"))
		end = strtoull(last, NULL, 10);
	return add(file, strcmp(type, "WRITE") ? F_RDLCK : F_WRLCK, start, end);
}

int locks_of_file(struct snapshot_conn *sc, const struct tree *tree, FuseFileEntry *file)
{
	struct lock_set set = { 0 };
	char path[64];
	int err = 0;

	if (file->use != FUSECR_FILE_FD || !is_locked(sc, file->nodeid))
		return 0;
	snprintf(path, sizeof(path), "/proc/%u/fdinfo/%lu", file->pid, (unsigned long)file->number);
	if (!read_locks(path, "lock:", sc->conn->dev, (struct shown){ .pid = file->pid }, &set))
		err = -ENOMEM;
	for (size_t i = 0; !err && i < set.count; i++)
		err = add_line(file, tree, set.shown[i].line);
	set_clear(&set);
	return err;
}

void locks_free(FuseFileEntry *file)
{
	for (size_t i = 0; i < file->n_lock; i++)
		free(file->lock[i]);
	free(file->lock);
	file->lock = NULL;
	file->n_lock = 0;
}
