/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * fusecr: what only the kernel knows of a FUSE connection.
 *
 * Questions go to the generic netlink family "fusecr".  Every request needs
 * CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN in the initial user namespace (GET_REQ,
 * which tells what is written to files, and OPEN_HANDLE need the latter), is
 * answered without sending anything to any daemon, and is refused with an
 * extended ack that names the object and the reason.
 *
 *	FUSECR_CMD_GET_INFO   do
 *	  -> FUSECR_A_INFO            { FUSECR_INFO_* }
 *	FUSECR_CMD_GET_CONN   do: FUSECR_A_CONN_ID;  dump: all connections
 *	  -> FUSECR_A_CONN            { FUSECR_CONN_* }
 *	FUSECR_CMD_GET_DEV    dump: optional FUSECR_A_CONN_ID, FUSECR_A_PID
 *	  -> FUSECR_A_DEV             { FUSECR_DEV_* }      one per (instance, task, fd)
 *	FUSECR_CMD_GET_REQ    dump: FUSECR_A_CONN_ID
 *	  -> FUSECR_A_REQ             { FUSECR_REQ_* }      one per chunk of input
 *	FUSECR_CMD_GET_INODE  do: FUSECR_A_CONN_ID, FUSECR_A_NODEID;
 *	                      dump: FUSECR_A_CONN_ID
 *	  -> FUSECR_A_INODE           { FUSECR_INODE_*, FUSECR_INODE_NAME { FUSECR_NAME_* } ... }
 *	FUSECR_CMD_GET_FILE   dump: optional FUSECR_A_CONN_ID, FUSECR_A_PID
 *	  -> FUSECR_A_FILE            { FUSECR_FILE_*, FUSECR_FILE_ABOVE { FUSECR_ABOVE_* } ... }
 *	                              one per (file, task, use)
 *	FUSECR_CMD_GET_BACKING dump: FUSECR_A_CONN_ID
 *	  -> FUSECR_A_BACKING         { FUSECR_BACKING_* }
 *
 *	FUSECR_CMD_OPEN_HANDLE do
 *	  -> FUSECR_A_HANDLE
 *
 * Changes go through that handle: see fusecr_ioctl.h.
 *
 * Identifiers.  A connection id is a 64-bit cookie that is not used again for
 * another connection until the module is reloaded.  Device and file cookies
 * name an instance for as long as it is open; a device has another one before it
 * is mounted.  No kernel address is ever told.
 * Pids are those of the asker's pid namespace, 0 for who is in no part of it,
 * unless a field says otherwise; uids and gids those of the initial user namespace.
 *
 * Answers are read with a buffer of FUSECR_MSG_MAX bytes or more; of a larger
 * one the kernel makes use.  An attribute that a later module adds is ignored.
 *
 * A dump of a running connection is a walk over moving lists: each object in
 * it was true when it was written.  Once the tasks stand still it is exact.
 */
#ifndef _UAPI_LINUX_FUSECR_H
#define _UAPI_LINUX_FUSECR_H

#include <linux/types.h>

#define FUSECR_GENL_NAME	"fusecr"
#define FUSECR_GENL_VERSION	1
#define FUSECR_MSG_MAX		8192	/* bytes */

enum fusecr_cmd {
	FUSECR_CMD_UNSPEC,
	FUSECR_CMD_GET_INFO,
	FUSECR_CMD_GET_CONN,
	FUSECR_CMD_GET_DEV,
	FUSECR_CMD_GET_REQ,
	FUSECR_CMD_GET_INODE,
	FUSECR_CMD_GET_FILE,
	FUSECR_CMD_GET_BACKING,
	FUSECR_CMD_OPEN_HANDLE,
	__FUSECR_CMD_MAX,
};

#define FUSECR_CMD_MAX (__FUSECR_CMD_MAX - 1)

/* Top level: what a request names, and the one that an answer carries. */
enum fusecr_attr {
	FUSECR_A_UNSPEC,
	FUSECR_A_PAD,
	FUSECR_A_CONN_ID,	/* u64 */
	FUSECR_A_PID,		/* u32, a thread group, caller's pid namespace */
	FUSECR_A_NODEID,	/* u64 */
	FUSECR_A_INFO,		/* nest */
	FUSECR_A_CONN,		/* nest */
	FUSECR_A_DEV,		/* nest */
	FUSECR_A_REQ,		/* nest */
	FUSECR_A_INODE,		/* nest */
	FUSECR_A_FILE,		/* nest */
	FUSECR_A_BACKING,	/* nest */
	FUSECR_A_HANDLE,	/* u32, a new descriptor of the caller's, close-on-exec */
	__FUSECR_A_MAX,
};

#define FUSECR_A_MAX (__FUSECR_A_MAX - 1)

/* What this module could find in the running kernel's fuse. */
enum fusecr_feature {
	FUSECR_FEATURE_ADMIT	= 1 << 0, /* can let tasks through allow_other */
	FUSECR_FEATURE_IOMODE	= 1 << 1, /* fuse tracks cached/uncached I/O (6.9) */
	FUSECR_FEATURE_PASSTHROUGH = 1 << 2, /* fuse has passthrough (6.9) */
	FUSECR_FEATURE_URING	= 1 << 3, /* fuse has io_uring queues (6.14) */
};

enum fusecr_info_attr {
	FUSECR_INFO_UNSPEC,
	FUSECR_INFO_PAD,
	FUSECR_INFO_VERSION,	/* string, the module's */
	FUSECR_INFO_FEATURES,	/* u32, enum fusecr_feature */
	FUSECR_INFO_BTF,	/* string, the BTF that fuse's layout was read from */
	FUSECR_INFO_KNOWN_FLAGS,/* u64, FUSE_INIT flags that leave a trace in this
				 * kernel's struct fuse_conn and are reported
				 */
	__FUSECR_INFO_MAX,
};

#define FUSECR_INFO_MAX (__FUSECR_INFO_MAX - 1)

enum fusecr_conn_state {
	FUSECR_CONN_INITIALIZED	= 1 << 0, /* INIT was answered */
	FUSECR_CONN_CONNECTED	= 1 << 1, /* not aborted, not unmounted */
	FUSECR_CONN_ABORTED	= 1 << 2, /* aborted through fusectl; fuse records
					   * it only with FUSE_ABORT_ERROR, and
					   * 7.3 until the last device is closed
					   */
	FUSECR_CONN_BLOCKED	= 1 << 3, /* too many background requests */
	FUSECR_CONN_ERROR	= 1 << 4, /* INIT failed */
	FUSECR_CONN_HELD	= 1 << 5, /* a change handle owns it */
	FUSECR_CONN_GATED	= 1 << 6, /* its gate is closed */
};

/* The no_* bits that ENOSYS latches (fs/fuse/fuse_i.h, struct fuse_conn). */
enum fusecr_no {
	FUSECR_NO_OPEN			= 1 << 0,
	FUSECR_NO_OPENDIR		= 1 << 1,
	FUSECR_NO_FSYNC			= 1 << 2,
	FUSECR_NO_FSYNCDIR		= 1 << 3,
	FUSECR_NO_FLUSH			= 1 << 4,
	FUSECR_NO_SETXATTR		= 1 << 5,
	FUSECR_NO_GETXATTR		= 1 << 6,
	FUSECR_NO_LISTXATTR		= 1 << 7,
	FUSECR_NO_REMOVEXATTR		= 1 << 8,
	FUSECR_NO_LOCK			= 1 << 9, /* no_lock: INIT or ENOSYS */
	FUSECR_NO_ACCESS		= 1 << 10,
	FUSECR_NO_CREATE		= 1 << 11,
	FUSECR_NO_INTERRUPT		= 1 << 12,
	FUSECR_NO_BMAP			= 1 << 13,
	FUSECR_NO_POLL			= 1 << 14,
	FUSECR_NO_FLOCK			= 1 << 15, /* no_flock: INIT or ENOSYS */
	FUSECR_NO_FALLOCATE		= 1 << 16,
	FUSECR_NO_RENAME2		= 1 << 17,
	FUSECR_NO_LSEEK			= 1 << 18,
	FUSECR_NO_COPY_FILE_RANGE	= 1 << 19,
	FUSECR_NO_TMPFILE		= 1 << 20,
	FUSECR_NO_STATX			= 1 << 21,
	FUSECR_NO_SYNCFS		= 1 << 22, /* sync_fs is clear */
	FUSECR_NO_LINK			= 1 << 23,
	FUSECR_NO_COPY_FILE_RANGE_64	= 1 << 24,
};

enum fusecr_conn_attr {
	FUSECR_CONN_UNSPEC,
	FUSECR_CONN_PAD,
	FUSECR_CONN_ID,			/* u64 cookie */
	FUSECR_CONN_DEV,		/* u32, new_encode_dev() as stat() shows it */
	FUSECR_CONN_FSTYPE,		/* string, "fuse" or "fuseblk" */
	FUSECR_CONN_SUBTYPE,		/* string, absent when there is none */
	FUSECR_CONN_SOURCE,		/* string, sb->s_id (the device of fuseblk) */
	FUSECR_CONN_STATE,		/* u32, enum fusecr_conn_state */
	/* as struct fuse_init_out would say it (include/uapi/linux/fuse.h) */
	FUSECR_CONN_MINOR,		/* u32 */
	FUSECR_CONN_FLAGS,		/* u64, flags | flags2 << 32 */
	FUSECR_CONN_MAX_READAHEAD,	/* u32, bytes */
	FUSECR_CONN_MAX_WRITE,		/* u32, bytes */
	FUSECR_CONN_MAX_PAGES,		/* u32, pages */
	FUSECR_CONN_TIME_GRAN,		/* u32, ns */
	FUSECR_CONN_MAX_BACKGROUND,	/* u32, requests */
	FUSECR_CONN_CONGESTION_THRESHOLD, /* u32, requests */
	FUSECR_CONN_MAP_ALIGNMENT,	/* u32, log2 bytes, 0 without DAX, absent with */
	FUSECR_CONN_MAX_STACK_DEPTH,	/* u32, 0 without passthrough */
	FUSECR_CONN_REQUEST_TIMEOUT,	/* u32, s, absent before 6.15 */
	FUSECR_CONN_NO,			/* u32, enum fusecr_no */
	/* mount options */
	FUSECR_CONN_USER_ID,		/* u32 */
	FUSECR_CONN_GROUP_ID,		/* u32 */
	FUSECR_CONN_DEFAULT_PERMISSIONS,/* u8: 0 or 1.  Also set by POSIX_ACL */
	FUSECR_CONN_ALLOW_OTHER,	/* u8: 0 or 1 */
	FUSECR_CONN_MAX_READ,		/* u32, bytes; ~0 when not limited */
	FUSECR_CONN_ROOTMODE,		/* u32, i_mode of the root */
	FUSECR_CONN_BLKSIZE,		/* u32, bytes, fuseblk */
	FUSECR_CONN_SB_FLAGS,		/* u32, sb->s_flags & (SB_RDONLY ...) as MS_* */
	FUSECR_CONN_USER_NS,		/* u32, inode number of the owner's namespace */
	FUSECR_CONN_PID_NS,		/* u32, inode number of the mounter's namespace */
	/* counters */
	FUSECR_CONN_NEXT_UNIQUE,	/* u64, fiq->reqctr */
	FUSECR_CONN_NEXT_KH,		/* u64, fc->khctr */
	FUSECR_CONN_ATTR_VERSION,	/* u64 */
	FUSECR_CONN_EPOCH,		/* u32, absent before 6.16 */
	FUSECR_CONN_DEV_COUNT,		/* u32, device instances */
	FUSECR_CONN_NUM_WAITING,	/* u32, requests, queued and in user space */
	FUSECR_CONN_NUM_BACKGROUND,	/* u32 */
	FUSECR_CONN_NUM_PENDING,	/* u32, on fiq->pending */
	FUSECR_CONN_NUM_PROCESSING,	/* u32, on all pq->processing and pq->io */
	FUSECR_CONN_NUM_FORGETS,	/* u32, queued forgets */
	FUSECR_CONN_NUM_INODES,		/* u32, inodes on the superblock */
	/* what this tool cannot carry yet; u8: 0 or 1 */
	FUSECR_CONN_DAX,		/* u8 */
	FUSECR_CONN_URING,		/* u8, io_uring queues are negotiated or exist */
	FUSECR_CONN_SUBMOUNTS,		/* u8, more than one superblock */
	FUSECR_CONN_UNKNOWN,		/* string, switches of fuse_conn and fuse_chan
					 * that are on and that this module does not
					 * know, space between; absent when none
					 */
	/* as in struct fusecr_gate_status; absent while the gate is open */
	FUSECR_CONN_GATE_HELD,		/* u32, threads */
	FUSECR_CONN_GATE_COMING,	/* u32, threads */
	FUSECR_CONN_GATE_ASLEEP,	/* u32, threads */
	FUSECR_CONN_GATE_REQUESTS,	/* u32 */
	FUSECR_CONN_NEXT_BACKING,	/* u32, the id that the next backing file gets;
					 * absent without passthrough, or when this
					 * kernel's is not understood
					 */
	FUSECR_CONN_WATCHED,		/* u8: 0 or 1, fanotify has marks on all of it
					 * (FAN_MARK_FILESYSTEM)
					 */
	FUSECR_CONN_NUM_MOUNTS,		/* u32, in whatever mount namespace or in none;
					 * others that ask at the moment count, too
					 */
	/* as in struct fusecr_gate_status; absent while nothing is counted */
	FUSECR_CONN_GATE_EVER_HELD,	/* u64, threads */
	FUSECR_CONN_GATE_PASSED,		/* u64, requests, as are the following */
	FUSECR_CONN_GATE_ENDED,		/* u64 */
	FUSECR_CONN_GATE_TAKEN,		/* u64 */
	FUSECR_CONN_GATE_CLAIMED,	/* u64 */
	FUSECR_CONN_GATE_GIVEN_UP,	/* u64 */
	__FUSECR_CONN_MAX,
};

#define FUSECR_CONN_MAX (__FUSECR_CONN_MAX - 1)

/* A /dev/fuse open file and who holds it. */
enum fusecr_dev_attr {
	FUSECR_DEV_UNSPEC,
	FUSECR_DEV_PAD,
	FUSECR_DEV_COOKIE,		/* u64 */
	FUSECR_DEV_CONN_ID,		/* u64, 0 when not (yet) mounted */
	FUSECR_DEV_CONN_DEV,		/* u32, 0 when not (yet) mounted */
	FUSECR_DEV_CONNECTED,		/* u8 */
	FUSECR_DEV_PID,			/* u32, thread group that holds it */
	FUSECR_DEV_FD,			/* u32 */
	FUSECR_DEV_FILE_FLAGS,		/* u32, O_* */
	FUSECR_DEV_NUM_PROCESSING,	/* u32, requests read here and not answered */
	FUSECR_DEV_CUSE,		/* u8, this is /dev/cuse */
	__FUSECR_DEV_MAX,
};

#define FUSECR_DEV_MAX (__FUSECR_DEV_MAX - 1)

enum fusecr_req_state {
	FUSECR_REQ_PENDING,	/* queued, not read */
	FUSECR_REQ_PROCESSING,	/* read, not answered */
	FUSECR_REQ_IO,		/* being copied to or from user space */
	FUSECR_REQ_BACKGROUND,	/* held back by max_background; unique is 0 */
	FUSECR_REQ_INTERRUPT,	/* an INTERRUPT for unique is queued */
	FUSECR_REQ_FORGET,	/* nodeid, nlookup */
	FUSECR_REQ_KEPT,	/* taken from its client (FUSECR_IOC_TAKE), which has
				 * not asked again yet
				 */
};

/* Request flags, by meaning: fuse's own numbering changes between releases. */
enum fusecr_req_flag {
	FUSECR_RF_ISREPLY	= 1 << 0,
	FUSECR_RF_FORCE		= 1 << 1,
	FUSECR_RF_BACKGROUND	= 1 << 2,
	FUSECR_RF_WAITING	= 1 << 3,
	FUSECR_RF_ABORTED	= 1 << 4,
	FUSECR_RF_INTERRUPTED	= 1 << 5,
	FUSECR_RF_LOCKED	= 1 << 6,
	FUSECR_RF_PENDING	= 1 << 7,
	FUSECR_RF_SENT		= 1 << 8,
	FUSECR_RF_FINISHED	= 1 << 9,
	FUSECR_RF_PRIVATE	= 1 << 10,
	FUSECR_RF_ASYNC		= 1 << 11,
};

enum fusecr_req_attr {
	FUSECR_REQ_UNSPEC,
	FUSECR_REQ_PAD,
	FUSECR_REQ_UNIQUE,	/* u64 */
	FUSECR_REQ_STATE,	/* u32, enum fusecr_req_state */
	FUSECR_REQ_OPCODE,	/* u32 */
	FUSECR_REQ_NODEID,	/* u64 */
	FUSECR_REQ_UID,		/* u32, as in fuse_in_header: mapped to the owner */
	FUSECR_REQ_GID,		/* u32, likewise */
	FUSECR_REQ_PID,		/* u32, likewise, in the connection's pid namespace */
	FUSECR_REQ_FLAGS,	/* u32, enum fusecr_req_flag */
	FUSECR_REQ_DEV,		/* u64, cookie of the instance that read it */
	FUSECR_REQ_NLOOKUP,	/* u64, FORGET only */
	FUSECR_REQ_IN_LEN,	/* u32, bytes after fuse_in_header */
	FUSECR_REQ_IN_OFFSET,	/* u32, where this chunk starts in them */
	FUSECR_REQ_IN_DATA,	/* binary, at most FUSECR_IN_CHUNK bytes; a request
				 * with more follows in messages of the same unique
				 */
	FUSECR_REQ_WAITER,	/* u32, the thread group that waits for the answer;
				 * absent when none does, or does not yet
				 */
	/* Of a kept one only, as in struct fusecr_keep. */
	FUSECR_REQ_OUT_COUNT,	/* u32 */
	FUSECR_REQ_OUT_SIZE_0,	/* u32 */
	FUSECR_REQ_OUT_SIZE_1,	/* u32 */
	FUSECR_REQ_OUT_VAR,	/* u8, 0 or 1 */
	FUSECR_REQ_ANSWERED,	/* u8, 0 or 1 */
	FUSECR_REQ_ERROR,	/* u32, errno of the answer or 0 */
	FUSECR_REQ_OUT_LEN,	/* u32, bytes of an answer that follow the input in
				 * IN_DATA
				 */
	FUSECR_REQ_NAMED_0,	/* u64 */
	FUSECR_REQ_NAMED_1,	/* u64 */
	FUSECR_REQ_PLACE,	/* u32, enum fusecr_keep_place */
	__FUSECR_REQ_MAX,
};

#define FUSECR_REQ_MAX (__FUSECR_REQ_MAX - 1)

/*
 * Where a kept WRITE goes to, when its thread asks again; 0 is not known.  And what else
 * there is to a kept request.
 */
enum fusecr_keep_place {
	FUSECR_KEEP_ANYWHERE	= 1, /* where it says, and so any other request */
	FUSECR_KEEP_AT_END	= 2, /* the file is open with O_APPEND */
	FUSECR_KEEP_AT_POSITION	= 3, /* of the open file, which it moves */
	FUSECR_KEEP_SETTLED	= 1 << 8, /* besides: the kernel's size and position are
					   * those after it
					   */
	FUSECR_KEEP_OUTDATED	= 1 << 9, /* a LOOKUP in a directory, or a READ of a file,
					   * that was changed since: its thread asks the
					   * daemon anew
					   */
	FUSECR_KEEP_AHEAD	= 1 << 10, /* a READ ahead, for which nobody asks again:
					    * its file stays open until it is answered
					    */
};

#define FUSECR_IN_CHUNK	8192

enum fusecr_name_attr {
	FUSECR_NAME_UNSPEC,
	FUSECR_NAME_PAD,
	FUSECR_NAME_PARENT,	/* u64, nodeid */
	FUSECR_NAME_NAME,	/* binary, no terminating NUL */
	FUSECR_NAME_UNHASHED,	/* u8, the dentry is unlinked or invalidated */
	__FUSECR_NAME_MAX,
};

#define FUSECR_NAME_MAX_ATTR (__FUSECR_NAME_MAX - 1)

enum fusecr_inode_flag {
	FUSECR_INODE_BAD	= 1 << 0, /* FUSE_I_BAD: stale, unusable */
	FUSECR_INODE_UNLINKED	= 1 << 1, /* nlink is 0 */
	FUSECR_INODE_LOCKED	= 1 << 2, /* has POSIX, OFD or flock locks, or leases */
	FUSECR_INODE_WATCHED	= 1 << 3, /* has inotify or fanotify marks */
	FUSECR_INODE_DAX	= 1 << 4,
	FUSECR_INODE_PASSTHROUGH = 1 << 5, /* has a backing file */
	FUSECR_INODE_MORE_NAMES	= 1 << 6, /* more names than fit */
	FUSECR_INODE_DEAD	= 1 << 7, /* S_DEAD: a directory that was removed */
	FUSECR_INODE_LINKABLE	= 1 << 8, /* I_LINKABLE: of O_TMPFILE, and may yet get
					   * a name
					   */
};

/* Times are seconds (s64) and nanoseconds (u32) since the epoch. */
enum fusecr_inode_attr {
	FUSECR_INODE_UNSPEC,
	FUSECR_INODE_PAD,
	FUSECR_INODE_NODEID,		/* u64 */
	FUSECR_INODE_GENERATION,	/* u64 */
	FUSECR_INODE_NLOOKUP,		/* u64 */
	FUSECR_INODE_ORIG_INO,		/* u64, as the daemon gave it */
	FUSECR_INODE_MODE,		/* u32, with the sticky bit that fuse hides */
	FUSECR_INODE_UID,		/* u32 */
	FUSECR_INODE_GID,		/* u32 */
	FUSECR_INODE_NLINK,		/* u32 */
	FUSECR_INODE_RDEV,		/* u32, new_encode_dev() */
	FUSECR_INODE_SIZE,		/* u64, bytes */
	FUSECR_INODE_BLOCKS,		/* u64, of 512 bytes */
	FUSECR_INODE_BLKBITS,		/* u32 */
	FUSECR_INODE_ATIME,		/* s64 */
	FUSECR_INODE_ATIME_NSEC,	/* u32 */
	FUSECR_INODE_MTIME,		/* s64 */
	FUSECR_INODE_MTIME_NSEC,	/* u32 */
	FUSECR_INODE_CTIME,		/* s64 */
	FUSECR_INODE_CTIME_NSEC,	/* u32 */
	FUSECR_INODE_ATTR_VERSION,	/* u64 */
	FUSECR_INODE_ATTR_VALID,	/* u64, ms that cached attributes stay valid, 0 expired */
	FUSECR_INODE_INVAL_MASK,	/* u32, STATX_* that are not valid */
	FUSECR_INODE_FLAGS,		/* u32, enum fusecr_inode_flag */
	FUSECR_INODE_DIRTY_PAGES,	/* u32 */
	FUSECR_INODE_WRITEBACK_PAGES,	/* u32 */
	FUSECR_INODE_NAME,		/* nest, repeated, FUSECR_NAME_* */
	FUSECR_INODE_BACKING,		/* u64, as FUSECR_BACKING_COOKIE, if its id is not
					 * closed; absent when no passthrough file is open
					 */
	__FUSECR_INODE_MAX,
};

#define FUSECR_INODE_MAX (__FUSECR_INODE_MAX - 1)

enum fusecr_file_use {
	FUSECR_FILE_FD,		/* number is the descriptor */
	FUSECR_FILE_MAP,	/* mappings of one file side by side: number is the
				 * start address, end is set
				 */
	FUSECR_FILE_CWD,	/* no open file: cookie, fh, kh are absent */
	FUSECR_FILE_ROOT,	/* likewise */
	FUSECR_FILE_INCOMPLETE,	/* this task's mappings, or messages to it, could not
				 * be read now
				 */
	FUSECR_FILE_EXE,	/* the program that it runs; number is 0 */
	FUSECR_FILE_SOCKET,	/* a unix socket that is bound to the node, at the
				 * descriptor number: otherwise as CWD
				 */
	FUSECR_FILE_SENT,	/* in a message (SCM_RIGHTS) that can be received at
				 * the unix socket that the descriptor, the lower half
				 * of number, is or leads to, and there the one of the
				 * upper half; cookie is absent of a socket that is
				 * bound to the node
				 */
};

enum fusecr_file_flag {
	FUSECR_FF_FLOCK		= 1 << 0, /* ff->flock: flock went to the daemon */
	FUSECR_FF_POLLED	= 1 << 1, /* on fc->polled_files */
	FUSECR_FF_PASSTHROUGH	= 1 << 2,
	FUSECR_FF_UNLINKED	= 1 << 3, /* path is deleted */
	FUSECR_FF_WRITE_ENTRY	= 1 << 4, /* on fi->write_files */
	FUSECR_FF_PATH		= 1 << 5, /* O_PATH: no fuse_file behind it */
	FUSECR_FF_FOREIGN	= 1 << 6, /* an inode of the mount, but not opened by
					   * fuse: FIFO, socket, device
					   */
	FUSECR_FF_JOINS		= 1 << 7, /* MAP: only the open file keeps the kernel
					   * from making it one with the mapping
					   * before it
					   */
	FUSECR_FF_NONSEEKABLE	= 1 << 8, /* lseek() fails, and pread() */
	FUSECR_FF_STREAM	= 1 << 9, /* and it has no position */
	FUSECR_FF_BELOW_UNLINKED = 1 << 10, /* path leads through what is deleted */
	FUSECR_FF_CONNECTED	= 1 << 11, /* SOCKET: of a stream that is connected, which
					    * has the name of the one that listened
					    */
	FUSECR_FF_BEHIND	= 1 << 12, /* SENT: to a socket that is in a message itself,
					    * or is not accepted yet
					    */
	FUSECR_FF_FAR_BELOW	= 1 << 13, /* not all FUSECR_FILE_ABOVE are told */
	FUSECR_FF_LOCKED	= 1 << 14, /* MAP: private, and locked in memory */
	FUSECR_FF_WRITE_ERROR	= 1 << 15, /* open for writing: data did not reach the
					    * daemon, or it refused them, and the next
					    * fsync() or close() of this file says so
					    */
};

/* A directory that the path leads through and that is deleted. */
enum fusecr_above_attr {
	FUSECR_ABOVE_UNSPEC,
	FUSECR_ABOVE_PAD,
	FUSECR_ABOVE_LEVEL,		/* u32, 1: the file's own, 2: that which this is in */
	FUSECR_ABOVE_NODEID,		/* u64 */
	__FUSECR_ABOVE_MAX,
};

#define FUSECR_ABOVE_MAX_ATTR (__FUSECR_ABOVE_MAX - 1)

/* Directories that are told of a file: FUSECR_FF_FAR_BELOW when there are more. */
#define FUSECR_ABOVE_LIMIT	16

enum fusecr_file_attr {
	FUSECR_FILE_UNSPEC,
	FUSECR_FILE_PAD,
	FUSECR_FILE_CONN_ID,		/* u64 */
	FUSECR_FILE_CONN_DEV,		/* u32 */
	FUSECR_FILE_FSTYPE,		/* string */
	FUSECR_FILE_COOKIE,		/* u64, same for duplicates */
	FUSECR_FILE_PID,		/* u32, thread group */
	FUSECR_FILE_USE,		/* u32, enum fusecr_file_use */
	FUSECR_FILE_NUMBER,		/* u64 */
	FUSECR_FILE_END,		/* u64, MAP */
	FUSECR_FILE_NODEID,		/* u64 */
	FUSECR_FILE_FH,			/* u64 */
	FUSECR_FILE_KH,			/* u64 */
	FUSECR_FILE_OPEN_FLAGS,		/* u32, FOPEN_* */
	FUSECR_FILE_FILE_FLAGS,		/* u32, O_* */
	FUSECR_FILE_MODE,		/* u32, i_mode */
	FUSECR_FILE_POS,		/* s64 */
	FUSECR_FILE_READDIR_POS,	/* s64, directories: position in the stream */
	FUSECR_FILE_READDIR_CACHE_OFF,	/* s64 */
	FUSECR_FILE_READDIR_VERSION,	/* u64 */
	FUSECR_FILE_IOMODE,		/* u32, 0 none, 1 cached, 2 uncached; absent
					 * before 6.9
					 */
	FUSECR_FILE_FLAGS,		/* u32, enum fusecr_file_flag */
	FUSECR_FILE_MNT_ID,		/* u32, mount id as in mountinfo */
	FUSECR_FILE_PATH,		/* binary, from the root of the mount's file
					 * system, no terminating NUL
					 */
	/* 24 and 28 are not used.
	 * By what number the daemon may know who has a lock of this regular file;
	 * absent when it cannot: without FUSE_POSIX_LOCKS OWNER_OPEN is there with
	 * FUSECR_FF_FLOCK only.
	 */
	FUSECR_FILE_OWNER_TABLE = 25,	/* u64, FD: POSIX locks, of the task's table
					 * of descriptors
					 */
	FUSECR_FILE_OWNER_OPEN,		/* u64: OFD and flock locks, of the open file */
	FUSECR_FILE_BACKING,		/* nest, as FUSECR_A_BACKING, of MAP with
					 * FUSECR_FF_PASSTHROUGH: what is mapped, which
					 * outlives the node's backing file; its id is 0
					 */
	FUSECR_FILE_ABOVE = 29,		/* nest, repeated, FUSECR_ABOVE_*, the nearest first */
	__FUSECR_FILE_MAX,
};

#define FUSECR_FILE_MAX (__FUSECR_FILE_MAX - 1)

/* A file that is passed through to: one that the daemon has registered, has an id. */
enum fusecr_backing_attr {
	FUSECR_BACKING_UNSPEC,
	FUSECR_BACKING_PAD,
	FUSECR_BACKING_ID,		/* u32, FUSE_DEV_IOC_BACKING_OPEN's answer */
	FUSECR_BACKING_COOKIE,		/* u64 */
	FUSECR_BACKING_DEV,		/* u32, new_encode_dev() of its superblock */
	FUSECR_BACKING_INO,		/* u64, i_ino */
	FUSECR_BACKING_INODE,		/* u64 cookie of the inode */
	FUSECR_BACKING_FILE_FLAGS,	/* u32, O_* */
	FUSECR_BACKING_UNLINKED,	/* u8: 0 or 1, path is deleted */
	/* as whom it is read and written: who registered it */
	FUSECR_BACKING_FSUID,		/* u32 */
	FUSECR_BACKING_FSGID,		/* u32 */
	FUSECR_BACKING_CAPS,		/* u64, effective capabilities by CAP_* */
	FUSECR_BACKING_MNT_ID,		/* u32, mount id as in mountinfo */
	FUSECR_BACKING_PATH,		/* binary, from the root of the mount's file
					 * system, no terminating NUL; absent when a
					 * message has no room for it
					 */
	__FUSECR_BACKING_MAX,
};

#define FUSECR_BACKING_MAX (__FUSECR_BACKING_MAX - 1)

#endif /* _UAPI_LINUX_FUSECR_H */
