// SPDX-License-Identifier: GPL-2.0
#include <linux/fusecr.h>

#include "paths.h"
#include "refuse.h"

/* Not by that path: see deleted.h. */
static bool is_deleted(const FuseFileEntry *f)
{
	return f->flags & (FUSECR_FF_UNLINKED | FUSECR_FF_BELOW_UNLINKED | FUSECR_FF_CONNECTED);
}

static void refuse_file_path(struct report *r, const struct model *m, const FuseFileEntry *f)
{
	char what[320];

	if (is_deleted(f) || model_resolve(m, (const char *)f->path.data, f->path.len) == f->nodeid)
		return;
	refuse_file_label(what, sizeof(what), f);
	report_add(r, "%s: %s would not be found by its path: node %lu has more names than are known",
		   refuse_label(model_conn(m)), what, (unsigned long)f->nodeid);
}

void paths_refuse(struct report *r, const struct model *m)
{
	const struct message_list *files = model_files(m), *mounts = model_mounts(m);

	for (size_t i = 0; i < files->count; i++)
		refuse_file_path(r, m, (const FuseFileEntry *)files->items[i]);
	for (size_t i = 0; i < mounts->count; i++) {
		const FuseMountEntry *mount = (const FuseMountEntry *)mounts->items[i];

		if (!model_resolve(m, (const char *)mount->root.data, mount->root.len))
			report_add(r, "%s: what is mounted at %.*s has more names than are known, %.*s is none of them",
				   refuse_label(model_conn(m)), (int)mount->mountpoint.len, mount->mountpoint.data,
				   (int)mount->root.len, mount->root.data);
	}
}
