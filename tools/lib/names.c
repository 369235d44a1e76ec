// SPDX-License-Identifier: GPL-2.0
/*
 * Names of FUSE's numbers.  The numbers stand here rather than those of the
 * build host's linux/fuse.h, which may be older than the kernel we run on.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <linux/fusecr.h>
#include "names.h"

#define BIT(n) (1ULL << (n))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

const struct flag_name init_flag_names[] = {
	{ BIT(0), "ASYNC_READ" },
	{ BIT(1), "POSIX_LOCKS" },
	{ BIT(2), "FILE_OPS" },
	{ BIT(3), "ATOMIC_O_TRUNC" },
	{ BIT(4), "EXPORT_SUPPORT" },
	{ BIT(5), "BIG_WRITES" },
	{ BIT(6), "DONT_MASK" },
	{ BIT(7), "SPLICE_WRITE" },
	{ BIT(8), "SPLICE_MOVE" },
	{ BIT(9), "SPLICE_READ" },
	{ BIT(10), "FLOCK_LOCKS" },
	{ BIT(11), "HAS_IOCTL_DIR" },
	{ BIT(12), "AUTO_INVAL_DATA" },
	{ BIT(13), "DO_READDIRPLUS" },
	{ BIT(14), "READDIRPLUS_AUTO" },
	{ BIT(15), "ASYNC_DIO" },
	{ BIT(16), "WRITEBACK_CACHE" },
	{ BIT(17), "NO_OPEN_SUPPORT" },
	{ BIT(18), "PARALLEL_DIROPS" },
	{ BIT(19), "HANDLE_KILLPRIV" },
	{ BIT(20), "POSIX_ACL" },
	{ BIT(21), "ABORT_ERROR" },
	{ BIT(22), "MAX_PAGES" },
	{ BIT(23), "CACHE_SYMLINKS" },
	{ BIT(24), "NO_OPENDIR_SUPPORT" },
	{ BIT(25), "EXPLICIT_INVAL_DATA" },
	{ BIT(26), "MAP_ALIGNMENT" },
	{ BIT(27), "SUBMOUNTS" },
	{ BIT(28), "HANDLE_KILLPRIV_V2" },
	{ BIT(29), "SETXATTR_EXT" },
	{ BIT(30), "INIT_EXT" },
	{ BIT(32), "SECURITY_CTX" },
	{ BIT(33), "HAS_INODE_DAX" },
	{ BIT(34), "CREATE_SUPP_GROUP" },
	{ BIT(35), "HAS_EXPIRE_ONLY" },
	{ BIT(36), "DIRECT_IO_ALLOW_MMAP" },
	{ BIT(37), "PASSTHROUGH" },
	{ BIT(38), "NO_EXPORT_SUPPORT" },
	{ BIT(39), "HAS_RESEND" },
	{ BIT(40), "ALLOW_IDMAP" },
	{ BIT(41), "OVER_IO_URING" },
	{ BIT(42), "REQUEST_TIMEOUT" },
	{ BIT(43), "HAS_IO_URING_BUFPOOL" },
	{ 0, NULL }
};

const struct flag_name open_flag_names[] = {
	{ BIT(0), "DIRECT_IO" },
	{ BIT(1), "KEEP_CACHE" },
	{ BIT(2), "NONSEEKABLE" },
	{ BIT(3), "CACHE_DIR" },
	{ BIT(4), "STREAM" },
	{ BIT(5), "NOFLUSH" },
	{ BIT(6), "PARALLEL_DIRECT_WRITES" },
	{ BIT(7), "PASSTHROUGH" },
	{ 0, NULL }
};

const struct flag_name no_names[] = {
	{ FUSECR_NO_OPEN, "OPEN" },
	{ FUSECR_NO_OPENDIR, "OPENDIR" },
	{ FUSECR_NO_FSYNC, "FSYNC" },
	{ FUSECR_NO_FSYNCDIR, "FSYNCDIR" },
	{ FUSECR_NO_FLUSH, "FLUSH" },
	{ FUSECR_NO_SETXATTR, "SETXATTR" },
	{ FUSECR_NO_GETXATTR, "GETXATTR" },
	{ FUSECR_NO_LISTXATTR, "LISTXATTR" },
	{ FUSECR_NO_REMOVEXATTR, "REMOVEXATTR" },
	{ FUSECR_NO_LOCK, "LOCK" },
	{ FUSECR_NO_ACCESS, "ACCESS" },
	{ FUSECR_NO_CREATE, "CREATE" },
	{ FUSECR_NO_INTERRUPT, "INTERRUPT" },
	{ FUSECR_NO_BMAP, "BMAP" },
	{ FUSECR_NO_POLL, "POLL" },
	{ FUSECR_NO_FLOCK, "FLOCK" },
	{ FUSECR_NO_FALLOCATE, "FALLOCATE" },
	{ FUSECR_NO_RENAME2, "RENAME2" },
	{ FUSECR_NO_LSEEK, "LSEEK" },
	{ FUSECR_NO_COPY_FILE_RANGE, "COPY_FILE_RANGE" },
	{ FUSECR_NO_TMPFILE, "TMPFILE" },
	{ FUSECR_NO_STATX, "STATX" },
	{ FUSECR_NO_SYNCFS, "SYNCFS" },
	{ FUSECR_NO_LINK, "LINK" },
	{ FUSECR_NO_COPY_FILE_RANGE_64, "COPY_FILE_RANGE_64" },
	{ 0, NULL }
};

const struct flag_name conn_state_names[] = {
	{ FUSECR_CONN_INITIALIZED, "initialized" },
	{ FUSECR_CONN_CONNECTED, "connected" },
	{ FUSECR_CONN_ABORTED, "aborted" },
	{ FUSECR_CONN_BLOCKED, "blocked" },
	{ FUSECR_CONN_ERROR, "error" },
	{ FUSECR_CONN_HELD, "held" },
	{ FUSECR_CONN_GATED, "gated" },
	{ 0, NULL }
};

const struct flag_name req_flag_names[] = {
	{ FUSECR_RF_ISREPLY, "ISREPLY" },
	{ FUSECR_RF_FORCE, "FORCE" },
	{ FUSECR_RF_BACKGROUND, "BACKGROUND" },
	{ FUSECR_RF_WAITING, "WAITING" },
	{ FUSECR_RF_ABORTED, "ABORTED" },
	{ FUSECR_RF_INTERRUPTED, "INTERRUPTED" },
	{ FUSECR_RF_LOCKED, "LOCKED" },
	{ FUSECR_RF_PENDING, "PENDING" },
	{ FUSECR_RF_SENT, "SENT" },
	{ FUSECR_RF_FINISHED, "FINISHED" },
	{ FUSECR_RF_PRIVATE, "PRIVATE" },
	{ FUSECR_RF_ASYNC, "ASYNC" },
	{ 0, NULL }
};

const struct flag_name inode_flag_names[] = {
	{ FUSECR_INODE_BAD, "BAD" },
	{ FUSECR_INODE_UNLINKED, "UNLINKED" },
	{ FUSECR_INODE_LOCKED, "LOCKED" },
	{ FUSECR_INODE_WATCHED, "WATCHED" },
	{ FUSECR_INODE_DAX, "DAX" },
	{ FUSECR_INODE_PASSTHROUGH, "PASSTHROUGH" },
	{ FUSECR_INODE_MORE_NAMES, "MORE_NAMES" },
	{ FUSECR_INODE_DEAD, "DEAD" },
	{ FUSECR_INODE_LINKABLE, "LINKABLE" },
	{ 0, NULL }
};

const struct flag_name file_flag_names[] = {
	{ FUSECR_FF_FLOCK, "FLOCK" },
	{ FUSECR_FF_POLLED, "POLLED" },
	{ FUSECR_FF_PASSTHROUGH, "PASSTHROUGH" },
	{ FUSECR_FF_UNLINKED, "UNLINKED" },
	{ FUSECR_FF_WRITE_ENTRY, "WRITE_ENTRY" },
	{ FUSECR_FF_PATH, "PATH" },
	{ FUSECR_FF_FOREIGN, "FOREIGN" },
	{ FUSECR_FF_JOINS, "JOINS" },
	{ FUSECR_FF_NONSEEKABLE, "NONSEEKABLE" },
	{ FUSECR_FF_STREAM, "STREAM" },
	{ FUSECR_FF_BELOW_UNLINKED, "BELOW_UNLINKED" },
	{ FUSECR_FF_CONNECTED, "CONNECTED" },
	{ FUSECR_FF_BEHIND, "BEHIND" },
	{ FUSECR_FF_FAR_BELOW, "FAR_BELOW" },
	{ FUSECR_FF_LOCKED, "LOCKED" },
	{ FUSECR_FF_WRITE_ERROR, "WRITE_ERROR" },
	{ 0, NULL }
};

/* O_TMPFILE holds O_DIRECTORY and O_SYNC holds O_DSYNC: the wider one first. */
const struct flag_name o_flag_names[] = {
	{ O_CREAT, "O_CREAT" },
	{ O_EXCL, "O_EXCL" },
	{ O_NOCTTY, "O_NOCTTY" },
	{ O_TRUNC, "O_TRUNC" },
	{ O_APPEND, "O_APPEND" },
	{ O_NONBLOCK, "O_NONBLOCK" },
	{ O_SYNC, "O_SYNC" },
	{ O_DSYNC, "O_DSYNC" },
	{ O_ASYNC, "O_ASYNC" },
	{ O_DIRECT, "O_DIRECT" },
	{ 0100000, "O_LARGEFILE" },	/* the kernel's; glibc calls it 0 */
	{ O_TMPFILE, "O_TMPFILE" },
	{ O_DIRECTORY, "O_DIRECTORY" },
	{ O_NOFOLLOW, "O_NOFOLLOW" },
	{ O_NOATIME, "O_NOATIME" },
	{ O_CLOEXEC, "O_CLOEXEC" },
	{ O_PATH, "O_PATH" },
	{ 0, NULL }
};

static const char *const opcodes[] = {
	[1] = "LOOKUP",
	[2] = "FORGET",
	[3] = "GETATTR",
	[4] = "SETATTR",
	[5] = "READLINK",
	[6] = "SYMLINK",
	[8] = "MKNOD",
	[9] = "MKDIR",
	[10] = "UNLINK",
	[11] = "RMDIR",
	[12] = "RENAME",
	[13] = "LINK",
	[14] = "OPEN",
	[15] = "READ",
	[16] = "WRITE",
	[17] = "STATFS",
	[18] = "RELEASE",
	[20] = "FSYNC",
	[21] = "SETXATTR",
	[22] = "GETXATTR",
	[23] = "LISTXATTR",
	[24] = "REMOVEXATTR",
	[25] = "FLUSH",
	[26] = "INIT",
	[27] = "OPENDIR",
	[28] = "READDIR",
	[29] = "RELEASEDIR",
	[30] = "FSYNCDIR",
	[31] = "GETLK",
	[32] = "SETLK",
	[33] = "SETLKW",
	[34] = "ACCESS",
	[35] = "CREATE",
	[36] = "INTERRUPT",
	[37] = "BMAP",
	[38] = "DESTROY",
	[39] = "IOCTL",
	[40] = "POLL",
	[41] = "NOTIFY_REPLY",
	[42] = "BATCH_FORGET",
	[43] = "FALLOCATE",
	[44] = "READDIRPLUS",
	[45] = "RENAME2",
	[46] = "LSEEK",
	[47] = "COPY_FILE_RANGE",
	[48] = "SETUPMAPPING",
	[49] = "REMOVEMAPPING",
	[50] = "SYNCFS",
	[51] = "TMPFILE",
	[52] = "STATX",
	[53] = "COPY_FILE_RANGE_64",
};

const char *opcode_name(uint32_t opcode)
{
	static char unknown[32];

	if (opcode < ARRAY_SIZE(opcodes) && opcodes[opcode])
		return opcodes[opcode];
	if (opcode == 4096)
		return "CUSE_INIT";
	snprintf(unknown, sizeof(unknown), "opcode %" PRIu32, opcode);
	return unknown;
}

const char *req_state_name(uint32_t state)
{
	static const char *const names[] = {
		[FUSECR_REQ_PENDING] = "pending",
		[FUSECR_REQ_PROCESSING] = "processing",
		[FUSECR_REQ_IO] = "io",
		[FUSECR_REQ_BACKGROUND] = "background",
		[FUSECR_REQ_INTERRUPT] = "interrupt",
		[FUSECR_REQ_FORGET] = "forget",
		[FUSECR_REQ_KEPT] = "kept",
	};

	return state < ARRAY_SIZE(names) ? names[state] : "unknown";
}

const char *file_use_name(uint32_t use)
{
	static const char *const names[] = {
		[FUSECR_FILE_FD] = "fd",
		[FUSECR_FILE_MAP] = "map",
		[FUSECR_FILE_CWD] = "cwd",
		[FUSECR_FILE_ROOT] = "root",
		[FUSECR_FILE_INCOMPLETE] = "incomplete",
		[FUSECR_FILE_EXE] = "exe",
		[FUSECR_FILE_SOCKET] = "socket",
		[FUSECR_FILE_SENT] = "sent",
	};

	return use < ARRAY_SIZE(names) ? names[use] : "unknown";
}

char *flag_names(char *buf, size_t len, const struct flag_name *table, uint64_t flags)
{
	size_t at = 0;

	buf[0] = 0;
	for (; table->flag; table++) {
		if ((flags & table->flag) != table->flag)
			continue;
		flags &= ~table->flag;
		if (at < len)
			at += snprintf(buf + at, len - at, "%s%s", at ? "," : "", table->name);
	}
	if (flags && at < len)
		snprintf(buf + at, len - at, "%s0x%" PRIx64, at ? "," : "", flags);
	return buf;
}
