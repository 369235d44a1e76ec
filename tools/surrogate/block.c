// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "block.h"
#include "blocks.h"
#include "proc.h"
#include "restore.h"

/* Of the flags that a device is opened with, those that it keeps. */
#define KEPT_FLAGS	(O_ACCMODE | O_APPEND | O_NONBLOCK | O_SYNC | O_DIRECT | O_NOATIME)

/* --- dump ------------------------------------------------------------------------ */

bool block_name(struct snapshot *snap, pid_t criu, int fd, uint32_t criu_id)
{
	bool found = false;

	for (size_t i = 0; i < snap->blocks.count; i++) {
		FuseBlockEntry *e = (FuseBlockEntry *)snap->blocks.items[i];

		if (!proc_same_file(e->pid, e->fd, criu, fd))
			continue;
		e->has_criu_id = 1;
		e->criu_id = criu_id;
		found = true;
	}
	return found;
}

bool block_all_named(const struct snapshot *snap)
{
	for (size_t i = 0; i < snap->blocks.count; i++)
		if (!((FuseBlockEntry *)snap->blocks.items[i])->has_criu_id)
			return false;
	return true;
}

/* --- restore --------------------------------------------------------------------- */

static int expect(struct restore *re, uint32_t dev, uint64_t size, const char *name, size_t len)
{
	uint64_t now = blocks_size(dev);

	if (now && now == size)
		return 0;
	if (now)
		report_add(&re->s->report, "block device %u:%u (%.*s) had %lu bytes, and has %lu: it is another one",
			   major(dev), minor(dev), (int)len, name, (unsigned long)size, (unsigned long)now);
	else
		report_add(&re->s->report, "block device %u:%u (%.*s) is not there: attach it under the same number",
			   major(dev), minor(dev), (int)len, name);
	return now ? -ENXIO : -ENODEV;
}

int block_expect(struct restore *re, const FuseConnEntry *c)
{
	const char *source = c->source ?: "";

	return expect(re, c->dev, c->dev_size, source, strlen(source));
}

static int open_block(const FuseBlockEntry *e)
{
	int fd = blocks_open(e->dev, (e->file_flags & KEPT_FLAGS) | (e->exclusive ? O_EXCL : 0)), err;

	if (fd < 0 || lseek(fd, e->pos, SEEK_SET) >= 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int block_open_all(struct restore *re)
{
	int err = 0;

	re->blocks = calloc(re->inv->n_block ?: 1, sizeof(*re->blocks));
	if (!re->blocks)
		return -ENOMEM;
	for (size_t i = 0; !err && i < re->inv->n_block; i++) {
		const FuseBlockEntry *e = re->inv->block[i];
		int fd;

		if (e->has_criu_id && block_find(re, e->criu_id) >= 0)
			continue;
		err = e->has_criu_id ? 0 : -EBADMSG;
		err = err ?: expect(re, e->dev, e->size, (const char *)e->path.data, e->path.len);
		fd = err ?: open_block(e);
		if (fd >= 0) {
			re->blocks[re->nr_blocks++] = (struct block){ e->criu_id, fd };
			continue;
		}
		if (!err)
			report_add(&re->s->report, "block device %u:%u (%.*s) cannot be opened: %s%s", major(e->dev),
				   minor(e->dev), (int)e->path.len, (const char *)e->path.data, strerror(-fd),
				   fd == -EBUSY ? "; the daemon had it to itself" : "");
		err = fd;
	}
	return err;
}

int block_find(const struct restore *re, uint32_t criu_id)
{
	for (size_t i = 0; i < re->nr_blocks; i++)
		if (re->blocks[i].criu_id == criu_id)
			return re->blocks[i].fd;
	return -1;
}

void block_close_all(struct restore *re)
{
	for (size_t i = 0; i < re->nr_blocks; i++)
		close(re->blocks[i].fd);
	free(re->blocks);
	re->blocks = NULL;
	re->nr_blocks = 0;
}
