// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <sys/sysmacros.h>

#include <linux/fusecr.h>

#include "nl.h"
#include "predump.h"
#include "tree.h"

struct search {
	struct dump *d;
	const struct served *sv;
};

static int see(const FuseFileEntry *f, void *arg)
{
	const struct search *s = arg;

	if (f->use == FUSECR_FILE_MAP && tree_find(&s->d->snap->tree, f->pid))
		report_add(&s->d->s->report, "connection %u:%u: process %u has %.*s mapped, which criu pre-dump would open while its daemon stands: checkpoint without it",
			   major(s->sv->dev), minor(s->sv->dev), f->pid, (int)f->path.len,
			   (const char *)f->path.data);
	return 0;
}

int predump_refuse(struct dump *d)
{
	int err = 0;

	for (size_t i = 0; !err && i < d->count; i++) {
		struct search s = { d, &d->served[i] };

		if (!s.sv->held)
			err = nl_files(d->nl, s.sv->conn_id, 0, see, &s);
	}
	return err;
}
