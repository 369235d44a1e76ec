/* SPDX-License-Identifier: GPL-2.0 */
/* State of a connection that nobody would carry over. */
#ifndef FUSECR_UNKNOWN_H
#define FUSECR_UNKNOWN_H

#include <linux/types.h>

struct fuse_conn;
struct fusecr_btf;

/* Once layout.c has found what it knows.  @chan is 0 where there is none. */
int fl_unknown_init(const struct fusecr_btf *btf, u32 conn, u32 chan);

/*
 * Names of switches of fuse_conn and fuse_chan that are on and that this source
 * does not know, space between.  Returns the length; @buf ends in a NUL.
 */
size_t fl_conn_unknown(const struct fuse_conn *fc, char *buf, size_t size);

#endif /* FUSECR_UNKNOWN_H */
