// SPDX-License-Identifier: GPL-2.0
/*
 * CRIU opens the devices of drivers/char/mem.c by their paths, as files (dump_chrdev(),
 * criu/files.c, 3.17.1 to 4.2).  These have no state but a position; others have, which is
 * lost (kmsg), or CRIU does not know them.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <linux/fusecr.h>
#include <linux/major.h>

#include "chars.h"

static bool is_stateless(uint32_t rdev)
{
	if (major(rdev) != MEM_MAJOR)
		return false;
	/* devlist[], drivers/char/mem.c */
	switch (minor(rdev)) {
	case 3:		/* null */
	case 5:		/* zero */
	case 7:		/* full */
	case 8:		/* random */
	case 9:		/* urandom */
		return true;
	}
	return false;
}

int chars_keep(struct snapshot_conn *sc, const FuseInodeEntry *inode)
{
	uint64_t *grown;

	if (!S_ISCHR(inode->mode) || !is_stateless(inode->rdev))
		return 0;
	grown = reallocarray(sc->chars, sc->nr_chars + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	sc->chars = grown;
	grown[sc->nr_chars++] = inode->nodeid;
	return 0;
}

bool chars_carried(const struct snapshot_conn *sc, const FuseFileEntry *file)
{
	if (file->use != FUSECR_FILE_FD && file->use != FUSECR_FILE_SENT)
		return false;
	for (size_t i = 0; i < sc->nr_chars; i++)
		if (sc->chars[i] == file->nodeid)
			return true;
	return false;
}

void chars_free(struct snapshot_conn *sc)
{
	free(sc->chars);
	sc->chars = NULL;
	sc->nr_chars = 0;
}
