/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The change handle: a descriptor that FUSECR_CMD_OPEN_HANDLE gives out.
 *
 * ATTACH makes it the one owner of a connection; every other call works on that
 * connection and answers
 *   ENOTCONN  nothing attached, or (REQUEUE, KEEP) the connection has ended
 *   EBUSY     attached already / owned by another
 *   EPERM     caller lacks CAP_SYS_ADMIN in the initial user namespace (checked on
 *             each call)
 *   EFAULT, ENOMEM, ENOTTY    as ever; EINTR where it waits, and is killed
 * Settings take effect at once and are undone, newest first, when the handle
 * is closed without COMMIT, by whatever way its last descriptor goes.
 * FORGETs are only queued by COMMIT.  ADMIT and the ownership itself always
 * end with the handle.  While a handle is attached the superblock stays: an
 * unmount detaches the mount at once and ends the connection when it closes.
 */
#ifndef _UAPI_LINUX_FUSECR_IOCTL_H
#define _UAPI_LINUX_FUSECR_IOCTL_H

#include <linux/ioctl.h>
#include <linux/types.h>

#include <linux/fusecr.h>	/* what ids, pids, uses and flags are */

struct fusecr_attach {
	__u64 conn_id;		/* ENOENT: there is none; EBUSY: another handle has it, or
				 * this one has one; EUCLEAN: it is not as its BTF says
				 */
};

enum fusecr_set_conn_mask {
	FUSECR_SET_NEXT_UNIQUE	= 1 << 0,
	FUSECR_SET_NEXT_KH	= 1 << 1,
	FUSECR_SET_NO		= 1 << 2,
	FUSECR_SET_ATTR_VERSION	= 1 << 3,
	FUSECR_SET_PID_NS	= 1 << 4,
	FUSECR_SET_NEXT_BACKING	= 1 << 5, /* EOPNOTSUPP without passthrough */
	FUSECR_SET_EPOCH	= 1 << 6, /* EOPNOTSUPP before 6.16 */
	/* Users and groups in requests and answers are numbered as there: in the
	 * initial namespace, or the superblock's; else EINVAL
	 */
	FUSECR_SET_USER_NS	= 1 << 7,
	/* It owns the superblock, which is the initial one's until then, and stays
	 * its own whether committed or not; else EBUSY.  EINVAL for what only the
	 * initial one mounts (fuseblk)
	 */
	FUSECR_SET_OWNER_NS	= 1 << 8,
};

struct fusecr_set_conn {
	__u32 mask;		/* enum fusecr_set_conn_mask; EINVAL for other bits */
	__u32 no;		/* enum fusecr_no; with NO, EINVAL for a bit this kernel
				 * lacks.  FUSECR_NO_SYNCFS can be set, not cleared
				 */
	__u64 next_unique;	/* with NEXT_UNIQUE, EINVAL when it is odd */
	__u64 next_kh;		/* the last that was given; never lowered, but when it is
				 * undone and nobody has a later one
				 */
	__u64 attr_version;
	__s32 pid;		/* PID_NS, USER_NS, OWNER_NS: that of this task (in
				 * the caller's pid namespace); ESRCH.  With
				 * USER_NS only, 0: that of the superblock
				 */
	__u32 next_backing;	/* EINVAL when it is no positive int; 0 when not set */
	__u32 epoch;		/* EINVAL when it is no int; 0 when not set */
	__u32 reserved;		/* 0 */
};

struct fusecr_set_inode {
	__u64 nodeid;		/* ENOENT when the kernel does not hold it */
	__u64 nlookup;
};

enum fusecr_set_file_mask {
	FUSECR_SET_FH		= 1 << 0,
	FUSECR_SET_KH		= 1 << 1, /* ERANGE when it is none of those that NEXT_KH
					   * of this handle has jumped over; EEXIST when
					   * the handle has given it to another file
					   */
	FUSECR_SET_OPEN_FLAGS	= 1 << 2, /* EINVAL when DIRECT_IO or PASSTHROUGH
					   * would change: fuse decides on them in open
					   */
	FUSECR_SET_READDIR_POS	= 1 << 3, /* EINVAL when it is negative, or the file is
					   * no directory
					   */
	FUSECR_SET_FILE_FLAGS	= 1 << 4, /* which the daemon is told with READ, WRITE
					   * and RELEASE; EINVAL when O_PATH or FASYNC
					   * would change
					   */
	FUSECR_SET_POS		= 1 << 5, /* EINVAL when it is negative */
	FUSECR_SET_FLOCK	= 1 << 6, /* FUSECR_FF_FLOCK: there is no way back
					   * but the undoing
					   */
	FUSECR_SET_SEEK		= 1 << 7, /* flags */
	FUSECR_SET_POLLED	= 1 << 8, /* KH also of a file that is polled: who waits
					   * hears of no notification until he polls again,
					   * as epoll does for what was ready
					   */
};

struct fusecr_set_file {
	__u32 mask;		/* enum fusecr_set_file_mask */
	__s32 pid;		/* caller's pid namespace; ESRCH */
	__u32 use;		/* FUSECR_FILE_FD, _MAP, _EXE or _SENT; EINVAL */
	__u32 open_flags;	/* FOPEN_* */
	__u64 number;		/* as FUSECR_FILE_NUMBER; EBADF when it is no FUSE
				 * file of this connection; _SENT: EBUSY when somebody
				 * receives from that socket at the moment
				 */
	__u64 nodeid;		/* expected; ESTALE when it is another */
	__u64 fh;
	__u64 kh;		/* EBUSY when the file is polled, but for POLLED */
	__s64 readdir_pos;
	__s64 pos;
	__u32 file_flags;	/* O_* */
	__u32 flags;		/* FUSECR_FF_NONSEEKABLE, FUSECR_FF_STREAM; EINVAL for
				 * other bits
				 */
};

/*
 * One open file in two places.  A mapping and the descriptor that it was made
 * with, all mappings of a program and the program itself are the same file;
 * made one after the other by a restore they are not.  What is at the place
 * becomes the file that is at the other, or with REOPEN the same file opened once
 * more, for which the daemon is asked.  The one that was there is closed by COMMIT.
 */
enum fusecr_share_flag {
	FUSECR_SHARE_REOPEN	= 1 << 0,
};

struct fusecr_share_file {
	__s32 pid;		/* the place; caller's pid namespace; ESRCH */
	__u32 use;		/* FUSECR_FILE_MAP or _EXE; EINVAL; EOPNOTSUPP for
				 * _EXE when others may write to one of the two only
				 */
	__u64 number;		/* as in struct fusecr_set_file, also below */
	__u64 end;		/* MAP: all mappings up to here; EINVAL when it is not
				 * above number
				 */
	__s32 from_pid;
	__u32 from_use;		/* FUSECR_FILE_FD, _MAP, _EXE or _SENT; EINVAL */
	__u64 from_number;
	__u64 nodeid;		/* of both; ESTALE */
	__u32 flags;		/* enum fusecr_share_flag; EINVAL for other bits */
	__u32 reserved;		/* 0 */
};

/*
 * A page of a private mapping that becomes the task's own, with the bytes that it
 * has, as if it had written to it.  Waits for the daemon if it has to bring them.
 */
struct fusecr_own_page {
	__s32 pid;		/* caller's pid namespace; ESRCH */
	__u32 seconds;		/* how long to wait, 1 to FUSECR_WAIT_MAX (EINVAL);
				 * ETIMEDOUT: it goes on by itself
				 */
	__u64 address;		/* EBADF: of no file of this connection; EINVAL: of a
				 * mapping that is not private; EIO
				 */
};

/*
 * What is in use gets this name, in the directory that it is in, and is deleted under
 * it: d_path() tells it with " (deleted)" behind it.  What was deleted before has its
 * old name again when the handle is closed without COMMIT, or after one with
 * FUSECR_COMMIT_NOT_NAMES: at once, or as soon as nobody has the directory locked.  What
 * was not stays deleted.
 */
struct fusecr_unlink {
	__s32 pid;		/* as in struct fusecr_set_file */
	__u32 use;		/* enum fusecr_file_use; EINVAL for _INCOMPLETE, _SOCKET */
	__u64 number;
	__u64 nodeid;		/* ESTALE; EINVAL for the root of the mount; EBUSY */
	__u64 name;		/* address; "/": what never had one is called so */
	__u32 name_len;		/* without a NUL; EINVAL for 0, beyond 4095, and with a
				 * NUL or a slash in it
				 */
	__u32 flags;		/* FUSECR_INODE_DEAD or FUSECR_UNLINK_ENTER of a directory,
				 * FUSECR_INODE_LINKABLE of a file, FUSECR_UNLINK_WAIT;
				 * EINVAL for other bits, and for the first two at once
				 */
	__u32 above;		/* 0, or a directory above it instead: its own is 1; EINVAL
				 * beyond FUSECR_UNLINK_ABOVE, and for the root
				 */
	__u32 reserved;		/* 0 */
	__u64 above_nodeid;	/* that directory's; ESTALE. 0 where above is (EINVAL) */
};

#define FUSECR_UNLINK_ABOVE	4096

/* Of a directory that is deleted already: what is in use in it can be looked up again, until
 * it gets FUSECR_INODE_DEAD or the handle is closed without COMMIT
 */
#define FUSECR_UNLINK_ENTER	(1U << 30)

/* EBUSY when the directory that it is or was in is locked; with this bit it waits until
 * it is not any more, or the caller is killed (EINTR). Who locks it then waits, too, behind
 * the caller; others may go on to use the handle
 */
#define FUSECR_UNLINK_WAIT	(1U << 31)

struct fusecr_drop_pages {
	__u64 nodeid;		/* ENOENT when the kernel does not hold it */
	__u32 seconds;		/* as in struct fusecr_own_page */
	__u32 reserved;		/* 0 */
};

struct fusecr_forget {
	__u64 nodeid;		/* EINVAL for 0 and 1 */
	__u64 nlookup;		/* EINVAL for 0 */
};

/*
 * Put what the caller's own device instance has read and not answered back at
 * the head of the pending queue, in order, as if it had not been read.
 */
struct fusecr_requeue {
	__s32 fd;		/* the caller's /dev/fuse; EBADF, EXDEV */
	__u32 count;		/* out: how many went back */
	__u64 unique;		/* only this one, or 0 for all; ENOENT */
};

/*
 * The gate.  Closed, it brings the connection's clients to rest while the
 * daemon still serves: who sends a request does what he was about to do, and is
 * held on the way back to user mode.  It opens when it is told to, when its time
 * is up, and with the handle.  The handle is readable (poll) while the gate is
 * closed and drained: no client's request is under way and no background
 * request, and everyone is at rest.
 */
#define FUSECR_EXEMPT_MAX	64
#define FUSECR_GATE_MAX		3600

enum fusecr_gate_flag {
	/* Nobody is held but who has a request taken from him (TAKE): for a stand-in that
	 * cannot tell beforehand whom it is to serve
	 */
	FUSECR_GATE_TAKEN_ONLY	= 1 << 0,
};

struct fusecr_gate_close {
	__u32 nr_exempt;	/* EINVAL beyond FUSECR_EXEMPT_MAX - 1 */
	__u32 seconds;		/* after which it opens by itself, 1 to
				 * FUSECR_GATE_MAX; EINVAL
				 */
	__u32 flags;		/* enum fusecr_gate_flag; EINVAL for other bits */
	__u32 reserved;		/* 0; EINVAL */
	/* Processes that are never held: the daemons and who else the drain
	 * needs (caller's pid namespace; ESRCH).  The caller is one.  Negative:
	 * and its children, who have copies of its descriptors.
	 */
	__s32 exempt[FUSECR_EXEMPT_MAX];
};

struct fusecr_hold {
	__s32 pid;		/* a process (caller's pid namespace); ESRCH */
	__u32 count;		/* out: threads that were not held or coming yet */
};

struct fusecr_gate_status {
	__u32 closed;		/* 1; or 0, and so is all up to background */
	__u32 held;		/* threads at rest, or stopped */
	__u32 coming;		/* threads that are not yet, of which */
	__u32 asleep;		/* sleep interruptibly in something else */
	__u32 requests;		/* under way whose answer a client waits for; ~0 when
				 * there was no memory to count them
				 */
	__u32 background;	/* background requests, queued and under way */
	__u32 kept;		/* requests that are kept, closed or not */
	__u32 reserved;		/* 0 */
	/* What has happened since the gate was closed.  It goes on being counted as long
	 * as some handle has not opened it or requests are kept; after that all is 0
	 */
	__u64 ever_held;	/* threads that were to come to rest, each as often as it was */
	__u64 passed;		/* requests of whomever that were sent nevertheless, but for
				 * those in the background
				 */
	__u64 ended;		/* READs ahead that failed, so that their readers ask
				 * themselves
				 */
	__u64 taken;		/* requests that came to be kept, by TAKE or KEEP, of which */
	__u64 claimed;		/* their clients have asked for again */
	__u64 given_up;		/* nobody has, or will; the others are kept */
};

/*
 * What the daemon has read and does not answer is taken out of its clients'
 * hands: their system calls start over once they are let go.  A thread that
 * then asks for the same again, byte for byte but for lock owners and times that
 * are the moment's, gets the answer to the first request, of which the daemon
 * is told once.  Until then the request is kept (FUSECR_REQ_KEPT): by the
 * connection, not by the handle.
 */
struct fusecr_take {
	__u32 count;		/* out: how many were taken now */
	__u32 reserved;
};

#define FUSECR_KEEP_NAMES	2

/* A kept request of an image, on a connection that was made anew. */
struct fusecr_keep {
	__s32 fd;		/* a /dev/fuse of the caller's that the daemon will
				 * answer through; EBADF, EXDEV
				 */
	__u32 opcode;
	__u64 unique;		/* EEXIST; EINVAL when it is odd or 0 */
	__u64 nodeid;
	__u32 uid, gid;		/* as in fuse_in_header */
	__u32 pid;		/* likewise, in the connection's pid namespace: the
				 * thread that asks again; ESRCH
				 */
	__u32 in_len;		/* EINVAL beyond FUSECR_KEEP_MAX */
	__u64 in;		/* address of the input */
	__u32 out_count;	/* arguments of the answer; EINVAL beyond 2 */
	__u32 out_size[2];	/* bytes, or room when the last may be shorter */
	__u32 out_var;		/* 1: it may */
	__u32 answered;		/* 1: the answer is there, out_size is exact */
	__s32 error;		/* it is this, 0 or -errno */
	__u32 place;		/* enum fusecr_keep_place, or 0: not known; EINVAL, and
				 * for SETTLED of what is not answered
				 */
	__u64 out;		/* address of the answer, argument after argument */
	/*
	 * Address of FUSECR_KEEP_NAMES struct fuse_entry_out: what the names in
	 * the input named when it was sent, nodeid 0: nothing.  Of a node that
	 * the kernel does not hold the daemon has to count one lookup for the
	 * thread; who never looks it up has that one forgotten.  Users are
	 * numbered as in the initial namespace.
	 */
	__u64 named;
};

/* What a request of FUSE can be at most, and some more. */
#define FUSECR_KEEP_MAX		(2 << 20)

enum fusecr_set_owner_mask {
	FUSECR_SET_OWNER_TABLE	= 1 << 0, /* EINVAL unless it is a FD */
	FUSECR_SET_OWNER_OPEN	= 1 << 1,
};

/*
 * By what numbers the daemon knows the owners of this file's locks.  On its way
 * to the daemon each request gets them in the place of those that fuse makes of
 * an address (lock_owner, and owner in struct fuse_lk_in), until the connection
 * ends: so long the module cannot be unloaded.
 */
struct fusecr_set_owner {
	__u32 mask;		/* enum fusecr_set_owner_mask */
	__s32 pid;		/* as in struct fusecr_set_file, with the errors */
	__u32 use;
	__u32 reserved;		/* 0 */
	__u64 number;
	__u64 nodeid;
	__u64 table;		/* both: EEXIST when another owner has that number, */
	__u64 open;		/* or this owner another; EOPNOTSUPP with io_uring
				 * queues
				 */
};

/*
 * A POSIX lock that the kernel keeps, as by F_SETLK of a process.  The end is in it.
 * Undone, the range is unlocked, whatever it was before.
 */
struct fusecr_set_lock {
	__s32 pid;		/* whose it is to be; caller's pid namespace; ESRCH */
	__u32 type;		/* F_RDLCK or F_WRLCK; EINVAL */
	__u64 number;		/* descriptor; EBADF when it is no FUSE file of this
				 * connection, or not open for that
				 */
	__u64 nodeid;		/* expected; ESTALE when it is another */
	__u64 start;		/* both: EINVAL beyond an off_t, and above end */
	__u64 end;		/* EAGAIN: somebody else has a lock there; EOPNOTSUPP:
				 * the daemon keeps the locks; ENOLCK: out of memory
				 */
};

#define FUSECR_IOC_MAGIC	0xFC
#define FUSECR_IOC_ATTACH	_IOW(FUSECR_IOC_MAGIC, 1, struct fusecr_attach)
#define FUSECR_IOC_SET_CONN	_IOW(FUSECR_IOC_MAGIC, 2, struct fusecr_set_conn)
#define FUSECR_IOC_SET_INODE	_IOW(FUSECR_IOC_MAGIC, 3, struct fusecr_set_inode)
#define FUSECR_IOC_SET_FILE	_IOW(FUSECR_IOC_MAGIC, 4, struct fusecr_set_file)
#define FUSECR_IOC_FORGET	_IOW(FUSECR_IOC_MAGIC, 5, struct fusecr_forget)
/* argument 1: tasks with CAP_SYS_ADMIN in the initial user namespace pass
 * allow_other's check on this connection; 0: no more.  EINVAL for others;
 * EOPNOTSUPP
 */
#define FUSECR_IOC_ADMIT	_IO(FUSECR_IOC_MAGIC, 6)
#define FUSECR_IOC_REQUEUE	_IOWR(FUSECR_IOC_MAGIC, 7, struct fusecr_requeue)
/*
 * Keep every setting, queue the FORGETs.  The handle stays attached.  The argument is 0
 * or FUSECR_COMMIT_NOT_NAMES: names that UNLINK has given to what was deleted are for as
 * long as the handle lives all the same (EINVAL for other bits).  EINTR
 */
#define FUSECR_COMMIT_NOT_NAMES	1
#define FUSECR_IOC_COMMIT	_IO(FUSECR_IOC_MAGIC, 8)
/* EALREADY when it is closed; EOPNOTSUPP with io_uring queues */
#define FUSECR_IOC_GATE_CLOSE	_IOW(FUSECR_IOC_MAGIC, 9, struct fusecr_gate_close)
#define FUSECR_IOC_GATE_OPEN	_IO(FUSECR_IOC_MAGIC, 10)
/* ENOENT when it is open */
#define FUSECR_IOC_HOLD		_IOWR(FUSECR_IOC_MAGIC, 11, struct fusecr_hold)
#define FUSECR_IOC_GATE_STATUS	_IOR(FUSECR_IOC_MAGIC, 12, struct fusecr_gate_status)
/* What is dirty goes to the daemon, as by syncfs(2); the argument is seconds, 1
 * to FUSECR_WAIT_MAX (EINVAL).  ETIMEDOUT: it goes on by itself.  Some kernels
 * do not wait for the daemon's answers: these count as background requests
 */
#define FUSECR_IOC_SYNC		_IO(FUSECR_IOC_MAGIC, 13)
#define FUSECR_WAIT_MAX		3600
/* Opens a gate that another handle has closed; this one need not be attached.
 * ENOENT when none is closed for that connection
 */
#define FUSECR_IOC_FORCE_OPEN	_IOW(FUSECR_IOC_MAGIC, 14, struct fusecr_attach)

/* ENOENT when the gate is open */
#define FUSECR_IOC_TAKE		_IOR(FUSECR_IOC_MAGIC, 15, struct fusecr_take)
/* EOPNOTSUPP with io_uring queues */
#define FUSECR_IOC_KEEP		_IOW(FUSECR_IOC_MAGIC, 16, struct fusecr_keep)
#define FUSECR_IOC_SET_OWNER	_IOW(FUSECR_IOC_MAGIC, 20, struct fusecr_set_owner)

#define FUSECR_IOC_SHARE_FILE	_IOW(FUSECR_IOC_MAGIC, 17, struct fusecr_share_file)
/* The page cache of a node: what was read into it is read again.  EBUSY when
 * some of it is in use or dirty
 */
#define FUSECR_IOC_DROP_PAGES	_IOW(FUSECR_IOC_MAGIC, 18, struct fusecr_drop_pages)

#define FUSECR_IOC_OWN_PAGE	_IOW(FUSECR_IOC_MAGIC, 19, struct fusecr_own_page)

#define FUSECR_IOC_UNLINK	_IOW(FUSECR_IOC_MAGIC, 21, struct fusecr_unlink)

#define FUSECR_IOC_SET_LOCK	_IOW(FUSECR_IOC_MAGIC, 22, struct fusecr_set_lock)

#endif
