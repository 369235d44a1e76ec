// SPDX-License-Identifier: GPL-2.0
/* fusecr verify: the watches that are more than CRIU carries. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "cmd.h"
#include "verify.h"
#include "watches.h"

static const FuseWatchEntry *find_watch(const struct message_list *list, const FuseWatchEntry *image)
{
	for (size_t i = 0; i < list->count; i++) {
		const FuseWatchEntry *e = (const FuseWatchEntry *)list->items[i];

		if (e->vpid == image->vpid && e->fd == image->fd && e->wd == image->wd)
			return e;
	}
	return NULL;
}

static int read_watches(struct verify *v, uint32_t dev, struct message_list *list)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < v->tree.count; i++)
		ret = watches_read(list, v->tree.tasks[i].pid, v->tree.tasks[i].vpid, v->id, dev);
	return ret;
}

int verify_watches(struct verify *v, uint32_t dev)
{
	struct message_list list = { 0 };
	int ret = v->inventory->n_watch ? read_watches(v, dev, &list) : 0;

	for (size_t i = 0; !ret && i < v->inventory->n_watch; i++) {
		const FuseWatchEntry *image = v->inventory->watch[i];
		const FuseWatchEntry *kernel = find_watch(&list, image);

		if (image->conn != v->id)
			continue;
		verify_name(v, ", process %" PRIu32 ", watch %" PRIu32 " of descriptor %" PRIu32,
			    image->vpid, image->wd, image->fd);
		v->watches++;
		if (kernel)
			verify_compare(v, &image->base, &kernel->base);
		else if (!v->running)
			verify_tell(v, "in the image, but not in the kernel");
	}
	message_list_free(&list);
	return ret;
}
