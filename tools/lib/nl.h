/* SPDX-License-Identifier: GPL-2.0 */
/* Questions to fusecr.ko over generic netlink, answered as image messages. */
#ifndef FUSECR_NL_H
#define FUSECR_NL_H

#include <stdint.h>
#include "fusecr.pb-c.h"

struct nl;	/* one netlink socket; not for concurrent use */

/*
 * Opens a socket and resolves the family.  -ENOENT: the module is not loaded.
 * Frees with nl_close(), which takes NULL.
 */
int nl_open(struct nl **nl);
void nl_close(struct nl *nl);

/* The kernel's sentence about the last failure ("" when it gave none). */
const char *nl_error(const struct nl *nl);
/* The best sentence for a failure of this client: the kernel's, or what err (-errno) means. */
const char *nl_reason(const struct nl *nl, int err);

struct nl_info {
	char version[32];
	char btf[64];
	uint32_t features;	/* enum fusecr_feature */
	uint64_t known_flags;	/* FUSE_INIT flags */
};
int nl_get_info(struct nl *nl, struct nl_info *info);
/* A new change handle, a descriptor, or -errno; see handle.h. */
int nl_open_handle(struct nl *nl);

/*
 * Each walk calls back once an object; the entry and all it points to live
 * until the callback returns.  A callback that returns non-zero ends the walk,
 * which then returns that value.  Otherwise 0 or -errno.
 * conn_id 0 and pid 0 mean "any".
 */
typedef int (*nl_conn_cb)(const FuseConnEntry *e, void *arg);
typedef int (*nl_dev_cb)(const FuseDevEntry *e, void *arg);
typedef int (*nl_request_cb)(const FuseRequestEntry *e, void *arg);
typedef int (*nl_inode_cb)(const FuseInodeEntry *e, void *arg);
typedef int (*nl_file_cb)(const FuseFileEntry *e, void *arg);
typedef int (*nl_backing_cb)(const FuseBackingEntry *e, void *arg);

int nl_conns(struct nl *nl, nl_conn_cb cb, void *arg);
int nl_conn(struct nl *nl, uint64_t conn_id, nl_conn_cb cb, void *arg);
int nl_devs(struct nl *nl, uint64_t conn_id, uint32_t pid, nl_dev_cb cb, void *arg);
/* Chunks of one request's input are joined: one callback a request. */
int nl_requests(struct nl *nl, uint64_t conn_id, nl_request_cb cb, void *arg);
int nl_inodes(struct nl *nl, uint64_t conn_id, nl_inode_cb cb, void *arg);
int nl_files(struct nl *nl, uint64_t conn_id, uint32_t pid, nl_file_cb cb, void *arg);
int nl_backings(struct nl *nl, uint64_t conn_id, nl_backing_cb cb, void *arg);

#endif
