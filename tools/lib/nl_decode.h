/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From a netlink nest to an image message.  Attribute n of a nest is field
 * n - 1 of its message (attribute 1 pads), and a field's type says what the
 * attribute must be: u8 for bool, u32, u64, s64, a terminated string, bytes,
 * or a nest for a repeated message.
 */
#ifndef FUSECR_NL_DECODE_H
#define FUSECR_NL_DECODE_H

#include <stddef.h>
#include <linux/fusecr.h>
#include <linux/netlink.h>
#include "fusecr.pb-c.h"

union nl_entry {
	ProtobufCMessage base;
	FuseConnEntry conn;
	FuseDevEntry dev;
	FuseRequestEntry request;
	FuseInodeEntry inode;
	FuseFileEntry file;
	FuseBackingEntry backing;
};

/* Room for an inode's names, used again for each inode. */
struct nl_names {
	FuseNameEntry *entries;
	FuseNameEntry **list;
	size_t room;
};

struct nl_decoder {
	struct nl_names names;
	FuseBackingEntry backing, *backings;	/* a file's: there is one, or none */
	FuseAboveEntry above[FUSECR_ABOVE_LIMIT], *aboves[FUSECR_ABOVE_LIMIT];
	char *error;		/* where a refusal says why */
	size_t error_len;
};

/*
 * Fills e, which points into the nest and into d: valid as long as both
 * are left alone.  0, -EBADMSG (attribute missing or malformed) or -ENOMEM.
 */
int nl_decode(struct nl_decoder *d, const struct nlattr *nest,
	      const ProtobufCMessageDescriptor *desc, union nl_entry *e);
void nl_decoder_free(struct nl_decoder *d);

#endif
