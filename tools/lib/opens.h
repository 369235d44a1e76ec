/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which of the open files of a node an OPEN of CRIU's is for.  Fuse decides on
 * some of FOPEN_* in open and never again, so the answer has to be that file's.
 */
#ifndef FUSECR_OPENS_H
#define FUSECR_OPENS_H

#include "snapshot.h"

/* What an OPEN tells, by its flags, of the file that it is for. */
uint32_t opens_key(uint32_t flags);
/* What CRIU's OPEN for it is going to tell. */
uint32_t opens_file_key(const FuseFileEntry *file);

/* Keeps a file that has a handle.  0 or -ENOMEM. */
int opens_keep(struct snapshot_conn *sc, const FuseFileEntry *file);
/* Those that no OPEN tells apart and that are not answered alike. */
void opens_refuse(struct report *r, const struct snapshot_conn *sc);

#endif
