/* SPDX-License-Identifier: GPL-2.0 */
/* Names of FUSE's numbers, from include/uapi/linux/fuse.h (protocol 7.45). */
#ifndef FUSECR_NAMES_H
#define FUSECR_NAMES_H

#include <stddef.h>
#include <stdint.h>

struct flag_name {
	uint64_t flag;
	const char *name;
};

/* Tables end with a zero flag. */
extern const struct flag_name init_flag_names[];	/* FUSE_INIT */
extern const struct flag_name open_flag_names[];	/* FOPEN_* */
extern const struct flag_name no_names[];		/* enum fusecr_no */
extern const struct flag_name conn_state_names[];	/* enum fusecr_conn_state */
extern const struct flag_name req_flag_names[];		/* enum fusecr_req_flag */
extern const struct flag_name inode_flag_names[];	/* enum fusecr_inode_flag */
extern const struct flag_name file_flag_names[];	/* enum fusecr_file_flag */
extern const struct flag_name o_flag_names[];		/* O_* without the access mode */

/* "LOOKUP", or "opcode 77" in a static buffer when it has no name. */
const char *opcode_name(uint32_t opcode);
const char *req_state_name(uint32_t state);
const char *file_use_name(uint32_t use);
/* "A,B,0x40000" into buf: bits without a name in hex.  Returns buf. */
char *flag_names(char *buf, size_t len, const struct flag_name *table, uint64_t flags);

#endif
