// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "cleanup.h"
#include "locks.h"

#define TRIES	3	/* what is taken and let go meanwhile is no lock that is lost */

/* "POSIX ADVISORY WRITE 4711 00:2d:5 0 9": as fs/locks.c prints it, one space each. */
#define LOCK_MAX	128

struct lock_set {
	char (*lines)[LOCK_MAX];
	size_t count;
};

static bool set_has(const struct lock_set *set, const char *line)
{
	for (size_t i = 0; i < set->count; i++)
		if (!strcmp(set->lines[i], line))
			return true;
	return false;
}

static bool set_add(struct lock_set *set, const char *line)
{
	char (*grown)[LOCK_MAX];

	if (set_has(set, line))
		return true;
	grown = reallocarray(set->lines, set->count + 1, LOCK_MAX);
	if (!grown)
		return false;
	set->lines = grown;
	snprintf(set->lines[set->count++], LOCK_MAX, "%s", line);
	return true;
}

static void set_clear(struct lock_set *set)
{
	free(set->lines);
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

/* The lines of a file that begin so and are locks of that device. */
static bool read_locks(const char *path, const char *begin, uint32_t dev, struct lock_set *set)
{
	FILE *f cleanup(fclose_auto) = fopen(path, "re");
	char text[256], line[LOCK_MAX];
	bool ok = true;

	while (ok && f && fgets(text, sizeof(text), f))
		if (!strncmp(text, begin, strlen(begin)) && lock_of(text + strlen(begin), dev, line))
			ok = set_add(set, line);
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
		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", pid, de->d_name);
		ok = read_locks(path, "lock:", dev, set);
	}
	return ok;
}

/* Reads all of the device, held: those that the tree has at descriptors. */
static bool read_all(const struct tree *tree, uint32_t dev, struct lock_set *all, struct lock_set *held)
{
	bool ok = read_locks("/proc/locks", "", dev, all);

	for (size_t i = 0; ok && all->count && i < tree->count; i++)
		ok = read_task(tree->tasks[i].pid, dev, held);
	return ok;
}

static size_t count_lost(const struct lock_set *all, const struct lock_set *held)
{
	size_t lost = 0;

	for (size_t i = 0; i < all->count; i++)
		lost += !set_has(held, all->lines[i]);
	return lost;
}

static bool is_mapped(pid_t pid, uint32_t dev, unsigned long ino)
{
	FILE *f cleanup(fclose_auto) = NULL;
	unsigned int maj, min;
	unsigned long node;
	bool found = false;
	char text[4200];

	snprintf(text, sizeof(text), "/proc/%d/maps", pid);
	f = fopen(text, "re");
	while (f && !found && fgets(text, sizeof(text), f))
		found = sscanf(text, "%*x-%*x %*s %*x %x:%x %lu", &maj, &min, &node) == 3 &&
			maj == major(dev) && min == minor(dev) && node == ino;
	return found;
}

/*
 * CRIU takes the locks before it makes the mappings, and then closes a descriptor
 * that it has opened for each: any close by its owner ends a POSIX lock
 * (criu/cr-restore.c, prepare_file_locks() and open_vmas(); seen with 3.17.1 and
 * 4.1.1 on tmpfs, for shared and private mappings).
 */
static bool is_lost_by_mapping(const char *line, uint32_t dev)
{
	unsigned long ino;
	pid_t pid;

	return sscanf(line, "POSIX %*s %*s %d %*x:%*x:%lu", &pid, &ino) == 2 && is_mapped(pid, dev, ino);
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
		if (!set_has(&held, all.lines[i]))
			report_add(r, "%s: the lock \"%s\" is held through no descriptor of the tree's, and would be lost",
				   label, all.lines[i]);
	for (size_t i = 0; i < held.count; i++)
		if (is_lost_by_mapping(held.lines[i], dev))
			report_add(r, "%s: the lock \"%s\" is on a file that its owner has mapped, too: CRIU would lose it",
				   label, held.lines[i]);
	set_clear(&all);
	set_clear(&held);
}
