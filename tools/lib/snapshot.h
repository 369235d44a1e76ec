/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The state of every FUSE connection of a process tree, asked of the kernel
 * module and written as images.  No daemon is needed or touched.
 */
#ifndef FUSECR_SNAPSHOT_H
#define FUSECR_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fusecr.pb-c.h"
#include "message_list.h"
#include "nl.h"
#include "report.h"
#include "tree.h"

/* What is kept of a file: trees with 100,000 of them exist. */
struct snapshot_open {
	uint64_t nodeid;
	uint32_t key;		/* see opens.h */
	uint32_t open_flags;
};

/*
 * A name that is no more, which the kernel keeps as long as its node is in use; or
 * that of a unix socket.
 */
struct snapshot_name {
	uint64_t nodeid, parent;
	char *name;
	size_t len;
};

struct snapshot_fifo {
	uint64_t nodeid, ino;
	char *user;			/* who of the tree has it open, NULL: nobody */
};

/* In a message that nobody has received. */
struct snapshot_sent {
	uint64_t cookie;		/* 0: a socket */
	char *what;
	bool open;			/* the tree has a descriptor of it, too */
};

/*
 * The last name in the path of a file, in it; NULL without a path.  What never had
 * a name is called "/" (vfs_tmpfile(), fs/namei.c).
 */
const char *snapshot_last_name(const FuseFileEntry *file, size_t *len);
/* Likewise, of the directory so many levels above it, as in FuseAboveEntry. */
const char *snapshot_name_above(const FuseFileEntry *file, uint32_t level, size_t *len);

/*
 * What is deleted and has another name while CRIU looks, or that leads to it: in the
 * images it has its own.
 */
struct snapshot_rename {
	uint64_t conn_id, nodeid;
	char now[24];
	char *old;
};

struct snapshot_node {
	uint64_t conn_id, nodeid;
};

struct snapshot_renames {
	struct snapshot_rename *list;
	size_t count;
	struct snapshot_node *dead;	/* directories, which CRIU may enter nevertheless */
	size_t nr_dead;
};

/* NULL when none of these is this file, by the name that it has now. */
const struct snapshot_rename *snapshot_renamed(const struct snapshot_renames *renames,
					       const FuseFileEntry *file);
bool snapshot_is_dead(const struct snapshot_renames *renames, uint64_t conn_id, uint64_t nodeid);
/* Likewise, a deleted directory that its path leads through. */
const struct snapshot_rename *snapshot_renamed_above(const struct snapshot_renames *renames,
						     const FuseFileEntry *file,
						     const FuseAboveEntry *above);

/* What is behind passthrough: by the cookie of a registered file, or by the node. */
struct snapshot_backing {
	uint64_t key, inode;
};

struct snapshot_conn {
	FusecrCountEntry written;	/* entries, in the images */
	uint32_t id;			/* in the images' names, from 1 */
	FuseConnEntry *conn;
	struct message_list devs;	/* FuseDevEntry, of the tree's tasks only */
	struct message_list mounts;	/* FuseMountEntry, in the tree's namespace */
	struct snapshot_open *opens;	/* files that have a handle of the daemon's */
	size_t nr_opens;
	struct snapshot_name *deleted, *sockets;
	size_t nr_deleted, nr_sockets;
	uint64_t *watched;		/* nodes */
	size_t nr_watched;
	uint64_t *locked;		/* nodes, sorted by the first who looks for one */
	size_t nr_locked;
	bool locked_sorted;
	uint64_t *chars;		/* nodes of devices that CRIU opens again */
	size_t nr_chars;
	struct snapshot_fifo *fifos;
	size_t nr_fifos;
	struct snapshot_sent *sent;
	size_t nr_sent;
	struct snapshot_backing *backings, *backed, *mapped;
	size_t nr_backings, nr_backed, nr_mapped;
	uint32_t user;			/* a process of the tree that uses it, or 0 */
	bool served;			/* its daemon is in the tree */
	bool held;			/* for clients outside: it stays, and is not saved */
};

enum snapshot_scope {
	SNAPSHOT_USED,		/* connections that the tree serves or uses */
	SNAPSHOT_SERVED,	/* only those whose daemon is in the tree */
};

struct snapshot_options {
	pid_t root;
	int dirfd;			/* for snapshot_write */
	enum snapshot_scope scope;
	pid_t tracer;			/* who holds the tree still, 0: it runs */
	bool restless;			/* clients come and go: what they do is no objection yet */
	pid_t surrogate[2];		/* whose own devices are not the daemon's, or 0 */
	bool hold;			/* connections that the tree does not use are held */
	pid_t criu;			/* who makes the checkpoint, 0: nobody */
	bool tells;			/* and says when the tree stands */
	const struct snapshot_renames *renames; /* or NULL */
	const struct snapshot *before;	/* its connections keep their numbers; or NULL */
};

/* Who has the devices of what is held, for the inventory. */
struct snapshot_holder {
	pid_t pid;			/* 0: nothing is held */
	uint64_t start;			/* proc_start() */
};

struct snapshot {
	struct nl *nl;
	struct snapshot_options o;
	struct tree tree;
	struct snapshot_conn *conns;
	size_t count;
	uint64_t known_flags;
	uint32_t features;		/* FUSECR_FEATURE_* */
	struct snapshot_holder holder;
	bool own_mnt_ns, own_pid_ns, own_user_ns; /* the tree's differ from the caller's */
	uint32_t ns_root_uid, ns_root_gid; /* then: who is root in it */
	struct message_list blocks;	/* FuseBlockEntry, of its daemons */
	struct message_list watches;	/* FuseWatchEntry, by snapshot_collect() */
	uint32_t *covered;		/* mount ids that another mount hides all of */
	size_t nr_covered;
};

/*
 * Finds the tree's connections and reads what identifies them: connection,
 * devices, mounts.  0 or -errno; the report gains a line for each failure that
 * has an object.  snapshot_free() takes NULL and half-made ones.
 */
int snapshot_find(struct snapshot **snap, struct nl *nl,
		  const struct snapshot_options *o, struct report *r);
void snapshot_free(struct snapshot *snap);

/*
 * Reads requests, inodes and files of each connection, adds to the report what
 * a checkpoint could not carry, and writes the images into dirfd (-1: only
 * looks).  Memory does not grow with the number of inodes, and by 16 bytes for
 * each open file.
 */
int snapshot_collect(struct snapshot *snap, int dirfd, struct report *r);
/* What snapshot_collect() keeps of a connection's nodes and files. */
void snapshot_forget_nodes(struct snapshot_conn *sc);
/* Writes devices and, last, the inventory: only now is the image set complete. */
int snapshot_finish(struct snapshot *snap, int dirfd);

/*
 * Who is to hear what speaks against it: a connection that is served from outside the
 * tree a checkpoint leaves to CRIU, and nobody (NULL) is.
 */
struct report *snapshot_report(const struct snapshot_conn *sc, struct report *r);
/* Whether it holds the tree still, or stands in for its daemon. */
bool snapshot_stands_in(const struct snapshot *snap, uint32_t pid);

/* All of the above in one go, for a tree that need not stand still. */
int snapshot_write(struct nl *nl, const struct snapshot_options *o, struct report *r);

#endif
