// SPDX-License-Identifier: GPL-2.0
/* fusecr verify: the block devices that daemons have open. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "blocks.h"
#include "cleanup.h"
#include "cmd.h"
#include "verify.h"

static const FuseBlockEntry *find_block(const struct message_list *list, uint32_t vpid, uint32_t fd)
{
	for (size_t i = 0; i < list->count; i++) {
		const FuseBlockEntry *e = (const FuseBlockEntry *)list->items[i];

		if (e->vpid == vpid && e->fd == fd)
			return e;
	}
	return NULL;
}

/* What the image says of it can be asked only where no mount has the device to itself. */
static int read_blocks(struct verify *v, struct message_list *list)
{
	const FusecrInventoryEntry *inv = v->inventory;
	uint32_t *mounted cleanup(free_auto) = calloc(inv->n_block, sizeof(*mounted));
	size_t count = 0;
	int ret = mounted ? 0 : -ENOMEM;

	for (size_t i = 0; mounted && i < inv->n_block; i++)
		if (!inv->block[i]->exclusive)
			mounted[count++] = inv->block[i]->dev;
	for (size_t i = 0; !ret && i < v->tree.count; i++)
		ret = blocks_read(list, v->tree.tasks[i].pid, v->tree.tasks[i].vpid, mounted, count);
	return ret;	/* NOLINT(clang-analyzer-unix.Malloc): mounted is guarded */
}

int verify_blocks(struct verify *v)
{
	struct message_list list = { 0 };
	int ret = v->inventory->n_block ? read_blocks(v, &list) : 0;

	for (size_t i = 0; !ret && i < v->inventory->n_block; i++) {
		const FuseBlockEntry *image = v->inventory->block[i];
		const FuseBlockEntry *kernel = find_block(&list, image->vpid, image->fd);

		snprintf(v->object, sizeof(v->object), "process %" PRIu32 ", block device at descriptor %" PRIu32,
			 image->vpid, image->fd);
		v->blocks++;
		if (kernel)
			verify_compare(v, &image->base, &kernel->base);
		else if (!v->running)
			verify_tell(v, "in the image, but not in the kernel");
	}
	message_list_free(&list);
	if (ret)
		say_error("cannot read the block devices of the tree: %s", strerror(-ret));
	return ret;
}
