// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include <linux/fuse.h>
#include <linux/fusecr.h>

#include "newer_fuse.h"
#include "opens.h"
#include "refuse.h"

/* fuse_file_io_open(), fs/fuse/iomode.c, since Linux 6.9. */
#define DECIDED_IN_OPEN (FOPEN_DIRECT_IO | OPEN_PASSTHROUGH)

/* fuse_send_open(), fs/fuse/file.c, passes them on, and F_GETFL tells CRIU of them. */
uint32_t opens_key(uint32_t flags)
{
	return flags & (O_ACCMODE | O_APPEND | O_NONBLOCK | O_SYNC | O_DIRECT);
}

/*
 * For a mapping or a program CRIU asks for the access only (open_filemap(), criu/files-reg.c);
 * what is in a message it opens as a descriptor.
 */
uint32_t opens_file_key(const FuseFileEntry *file)
{
	return file->use == FUSECR_FILE_FD || file->use == FUSECR_FILE_SENT ?
		opens_key(file->file_flags) : file->file_flags & O_ACCMODE;
}

/* gcc 12 does not see that the list has what is put into it. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
int opens_keep(struct snapshot_conn *sc, const FuseFileEntry *file)
{
	struct snapshot_open *opens = sc->opens;

	/* Grown by doubling: a power of two is full. */
	if (!(sc->nr_opens & (sc->nr_opens - 1))) {
		opens = reallocarray(opens, sc->nr_opens ? 2 * sc->nr_opens : 1, sizeof(*opens));
		if (!opens)
			return -ENOMEM;
		sc->opens = opens;
	}
	opens[sc->nr_opens++] = (struct snapshot_open){
		file->nodeid, opens_file_key(file), file->open_flags,
	};
	return 0;
}
#pragma GCC diagnostic pop

static int by_key(const void *a, const void *b)
{
	const struct snapshot_open *oa = a, *ob = b;
	int c = (oa->nodeid > ob->nodeid) - (oa->nodeid < ob->nodeid);

	return c ?: (oa->key > ob->key) - (oa->key < ob->key);
}

void opens_refuse(struct report *r, const struct snapshot_conn *sc)
{
	if (sc->nr_opens)
		qsort(sc->opens, sc->nr_opens, sizeof(*sc->opens), by_key);
	for (size_t i = 1; i < sc->nr_opens; i++) {
		const struct snapshot_open *a = &sc->opens[i - 1], *b = &sc->opens[i];

		if (!by_key(a, b) && ((a->open_flags ^ b->open_flags) & DECIDED_IN_OPEN))
			report_add(r, "%s: node %lu is open twice, alike but for different FOPEN flags (%#x, %#x)",
				   refuse_label(sc->conn), (unsigned long)a->nodeid,
				   a->open_flags, b->open_flags);
	}
}
