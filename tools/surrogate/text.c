// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "handle.h"
#include "text.h"

/* criu/include/parasite.h, PARASITE_START_AREA_MIN: a smaller one is passed over. */
#define AREA_MIN 4096

/* The daemons serve: they answer at once, or not in time. */
#define PATIENCE_S 2

/* The first executable mapping, as get_exec_start() in criu/parasite-syscall.c. */
static uint64_t first_text(pid_t pid, dev_t *dev)
{
	uint64_t start, end, found = 0;
	unsigned int maj, min;
	char path[64], exec, line[512];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		/* A long path's rest is no line of this form. */
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*c%*c%c%*c %*x %x:%x",
			   &start, &end, &exec, &maj, &min) != 5)
			continue;
		if (exec != 'x' || end - start < AREA_MIN)
			continue;
		*dev = makedev(maj, min);
		found = start;
	}
	if (f)
		fclose(f);
	return found;
}

static const struct served *served_by(const struct dump *d, dev_t dev)
{
	for (size_t i = 0; i < d->count; i++)
		if (makedev(major(d->served[i].dev), minor(d->served[i].dev)) == dev)
			return &d->served[i];
	return NULL;
}

void text_make_own(const struct dump *d, int64_t end)
{
	struct tree tree = { 0 };

	/* Anew: whoever came since then rests as well. */
	if (tree_read(&tree, d->s->root))
		return;
	for (size_t i = 0; i < tree.count && surrogate_now_ms() < end; i++) {
		pid_t pid = tree.tasks[i].pid;
		dev_t dev;
		uint64_t address = first_text(pid, &dev);
		const struct served *sv = address ? served_by(d, dev) : NULL;
		int err = sv ? handle_own_page(sv->handle, pid, address, PATIENCE_S) : 0;

		if (err)
			surrogate_log("the code of process %d may not be at hand when CRIU needs it: %s",
				      pid, strerror(-err));
	}
	tree_free(&tree);
}
