/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of the server share. Nothing here is for a test. */
#ifndef RAWFS_PRIV_H
#define RAWFS_PRIV_H

#include <pthread.h>
#include "rawfs.h"

struct rawfs_lock {
	pthread_mutex_t mutex;
};

/* Control files have the last node ids of the fixed tree. */
enum rawfs_control {
	RAWFS_CTL_NONE,
	RAWFS_CTL_STATS,
	RAWFS_CTL_LOG,
	RAWFS_CTL_CTL,
};

/* One request while it is being answered. */
struct rawfs_req {
	struct rawfs *fs;
	unsigned int instance;
	const struct fuse_in_header *h;
	const void *arg;		/* after the header */
	size_t arg_len;
	unsigned char *out;		/* RAWFS_BUF_SIZE bytes */
	size_t out_len;
	/* what has to be taken back when nobody takes the answer */
	uint32_t *looked_up;
	size_t nr_looked_up;
	struct rawfs_handle *opened;
};

/* An answer that is none. Other results are 0 or -errno. */
#define RAWFS_NO_REPLY	1
/* Nor this: it waits for a lock. */
#define RAWFS_WAIT	2
/* How what the kernel retrieves is numbered. */
#define RAWFS_RETRIEVE	0x7e721e4e

void rawfs_impossible(struct rawfs *fs, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

/* rawfs_tree.c; the caller holds the lock */
int rawfs_tree_init(struct rawfs *fs);
void rawfs_tree_exit(struct rawfs *fs);
uint32_t rawfs_tree_nodes(const struct rawfs_config *config);
struct rawfs_node *rawfs_node_get(struct rawfs *fs, uint64_t nodeid);
uint32_t rawfs_node_index(struct rawfs *fs, const struct rawfs_node *node);
struct rawfs_node *rawfs_node_new(struct rawfs *fs, uint32_t mode);
/* Frees the node once it has no name, no lookups and no handles. */
void rawfs_node_reap(struct rawfs *fs, struct rawfs_node *node);
enum rawfs_control rawfs_node_control(struct rawfs *fs,
				      const struct rawfs_node *node);
struct rawfs_name *rawfs_name_find(struct rawfs *fs, uint32_t parent,
				   const char *name);
int rawfs_name_add(struct rawfs *fs, uint32_t parent, const char *name,
		   struct rawfs_node *node);
void rawfs_name_del(struct rawfs *fs, struct rawfs_name *name);
bool rawfs_dir_empty(struct rawfs *fs, uint32_t dir);
struct rawfs_handle *rawfs_handle_new(struct rawfs *fs, uint32_t node,
				      uint32_t flags, bool dir);
struct rawfs_handle *rawfs_handle_get(struct rawfs *fs, uint64_t fh);
void rawfs_handle_put(struct rawfs *fs, struct rawfs_handle *handle);
size_t rawfs_read(struct rawfs_node *node, uint64_t nodeid, void *buf,
		  size_t len, uint64_t offset);
int rawfs_write(struct rawfs_node *node, uint64_t nodeid, const void *buf,
		size_t len, uint64_t offset);
int rawfs_resize(struct rawfs_node *node, uint64_t nodeid, uint64_t size);

/* rawfs_xattr.c */
int rawfs_do_setxattr(struct rawfs_req *req);
int rawfs_do_getxattr(struct rawfs_req *req);
int rawfs_do_listxattr(struct rawfs_req *req);
int rawfs_do_removexattr(struct rawfs_req *req);
void rawfs_xattr_free(struct rawfs_node *node);

/* rawfs_io.c */
int rawfs_do_open(struct rawfs_req *req);
int rawfs_do_release(struct rawfs_req *req);
int rawfs_do_read(struct rawfs_req *req);
int rawfs_do_write(struct rawfs_req *req);
int rawfs_do_readdir(struct rawfs_req *req);
int rawfs_do_flush(struct rawfs_req *req);
int rawfs_do_fsync(struct rawfs_req *req);
int rawfs_do_lseek(struct rawfs_req *req);
int rawfs_do_fallocate(struct rawfs_req *req);
int rawfs_do_poll(struct rawfs_req *req);
int rawfs_do_copy(struct rawfs_req *req);
int rawfs_do_ioctl(struct rawfs_req *req);
struct rawfs_handle *rawfs_req_handle(struct rawfs_req *req, uint64_t fh,
				      uint32_t open_opcode);

/* rawfs_backing.c: what is passed through */
void rawfs_backing_open(struct rawfs_req *req, struct rawfs_node *node, struct fuse_open_out *out);
void rawfs_backing_unregister(struct rawfs *fs, struct rawfs_node *node);
/* How large it is now. */
void rawfs_backing_look(struct rawfs_node *node);

/* rawfs_lock.c */
int rawfs_do_lock(struct rawfs_req *req);
void rawfs_lock_flush(struct rawfs *fs, uint32_t node, uint64_t owner);
void rawfs_lock_release(struct rawfs *fs, uint32_t node, uint64_t fh,
			bool flock, uint64_t owner);

/* rawfs_ops.c; rawfs_dispatch() answers, or holds, one request */
int rawfs_dispatch(struct rawfs_req *req);
uint64_t rawfs_req_fh(const struct fuse_in_header *h, const void *arg);
uint64_t rawfs_req_owner(const struct fuse_in_header *h, const void *arg);
struct rawfs_node *rawfs_req_node(struct rawfs_req *req);
/* Takes @len bytes off the argument; ends the server when there are fewer. */
const void *rawfs_req_arg(struct rawfs_req *req, size_t len);
const char *rawfs_req_name(struct rawfs_req *req);
void *rawfs_req_out(struct rawfs_req *req, size_t len);
void rawfs_req_entry(struct rawfs_req *req, struct rawfs_node *node,
		     struct fuse_entry_out *out);
void rawfs_req_open(struct rawfs_req *req, struct rawfs_node *node,
		    uint32_t flags, bool dir, struct fuse_open_out *out);

/* rawfs.c */
void rawfs_close_devices(struct rawfs *fs);

/* rawfs_control.c; wakes whoever waits for a change of the shared memory */
void rawfs_notify(struct rawfs *fs);

/* rawfs_serve.c */
void rawfs_answer_held(struct rawfs *fs, uint32_t opcode, uint64_t unique,
		       int error);
/* Asks the kernel for what it has cached of fs->retrieve. For a signal handler, too. */
void rawfs_retrieve(struct rawfs *fs);
/* Serves one request. To be a thread's work; @fs is a struct rawfs. */
void *rawfs_serve_first(void *fs);

#endif
