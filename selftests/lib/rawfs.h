/* SPDX-License-Identifier: GPL-2.0 */
/*
 * rawfs - a FUSE server that talks to /dev/fuse without libfuse.
 *
 * Its tree is synthetic: every node id, attribute, name and byte of content
 * follows from a number, so that a test can say what an answer has to be
 * without asking the server.
 *
 *	/			node id 1
 *	/f<i>			regular, i < nr_files
 *	/dir<d>/f<i>		d < nr_dirs, i < files_per_dir
 *	/link -> f0, /fifo, /null (char 1:3)
 *	/twin			the same node as f0, if there is one
 *	/.stats			counters, node ids still looked up, open handles
 *	/.log			the requests still in memory
 *	/.ctl			write "hold OPCODE", "late OPCODE" (it is done, but
 *				not answered), "release [OPCODE]", "ready" (POLL
 *				says so, and who waits is told), "unready",
 *				"unregister" (close the ids of passthrough),
 *				"full" (nothing can be written), "roomy" or
 *				"flusher" (PR_SET_IO_FLUSHER)
 *
 * What the server counts lies in memory that it shares with the test, which
 * may therefore read it while the server is stopped or dead. It never waits
 * for a lock of the server.
 *
 * A request that no correct kernel sends (an unknown node or handle, a forget
 * of more than was looked up) ends the server at once with RAWFS_IMPOSSIBLE
 * and a line that says why.
 */
#ifndef RAWFS_H
#define RAWFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <linux/fuse.h>

#define RAWFS_NODE_BASE	0x1f00000000ULL	/* above 32 bits, below any kernel's */
#define RAWFS_NODE_STEP	0x10ULL
#define RAWFS_INO_BASE	0x5050000000ULL
#define RAWFS_FH_BASE	0x7e0000000000ULL
#define RAWFS_TIME_BASE	1600000000ULL
#define RAWFS_ROOT	0		/* index of the root */

#define RAWFS_MAX_INSTANCES	16
#define RAWFS_MAX_HELD		64
#define RAWFS_MAX_HANDLES	16384
#define RAWFS_MAX_LOCKS		256
#define RAWFS_LOG_SIZE		16384	/* requests remembered */
#define RAWFS_MAX_WRITE		(1 << 20)
#define RAWFS_BUF_SIZE		(RAWFS_MAX_WRITE + 4096)
#define RAWFS_OPCODES		64
#define RAWFS_COPY_FILE_RANGE_64	53	/* newer than the header may be */

/* Tells how large a file is. */
#define RAWFS_IOC_SIZE		_IOR('r', 1, uint32_t)

#define RAWFS_IMPOSSIBLE	70	/* exit status */

/* Since 6.18. */
#ifndef FUSE_DEV_IOC_SYNC_INIT
#define FUSE_DEV_IOC_SYNC_INIT	_IO(FUSE_DEV_IOC_MAGIC, 3)
#endif

struct rawfs_config {
	/* Answered to INIT as it is; major is filled in when it is 0. */
	struct fuse_init_out init;
	const char *fstype;		/* "fuse" */
	const char *source;		/* "rawfs" */
	const char *options;		/* further mount options or NULL */
	unsigned long mount_flags;	/* MS_* */
	uid_t user_id;
	gid_t group_id;
	unsigned int mounted;		/* the /dev/fuse that is, or 0 */
	bool sync_init;			/* mount(2) waits for INIT (since 6.18) */
	unsigned int nr_files;
	unsigned int nr_dirs;
	unsigned int files_per_dir;
	unsigned int spare;		/* nodes that may be created */
	unsigned int entry_ms;		/* timeouts that LOOKUP and ... */
	unsigned int attr_ms;		/* ... GETATTR answer */
	unsigned int negative_ms;	/* of a name that is not there; 0: ENOENT */
	unsigned int instances;		/* /dev/fuse open files, one thread each */
	uint32_t open_flags;		/* FOPEN_* that OPEN answers */
	uint32_t direct_flags;		/* ... instead, when O_DIRECT is asked for, or 0 */
	uint32_t opendir_flags;		/* FOPEN_* that OPENDIR answers */
	uint64_t cookies;		/* from which places in a directory count */
	uint64_t enosys;		/* bit per opcode that is not implemented */
	bool ignore_interrupts;		/* held requests outlive INTERRUPT */
	bool faults;			/* some are made to fail, see fault/fault.h */
	bool controlled;		/* the test's rawfs_hold() works */
	const char *log;		/* file that gets a line a request, or NULL */
	const char *behind;		/* directory for what is passed through, or NULL */
	bool keep_ids;			/* of that, when nobody has it open */
};

struct rawfs_req;

struct rawfs_node {
	bool used;
	uint64_t nlookup;		/* references the kernel holds */
	uint64_t lookups;		/* total of all answers that gave one */
	uint64_t opens;			/* open handles */
	uint64_t reads;			/* READs of the content */
	uint32_t generation;
	struct fuse_attr attr;
	/* the server's own memory: not for the test */
	unsigned char *data;		/* NULL as long as content is synthetic */
	int behind;			/* the file that has it instead, or 0 */
	int32_t backing_id;		/* of that, or 0 */
	char *target;			/* of a created symlink */
	struct rawfs_xattr *xattrs;
};

struct rawfs_name {
	bool used;
	uint32_t parent;		/* indexes of nodes */
	uint32_t node;
	int32_t next;			/* in the hash bucket, -1 ends */
	char name[256];
};

struct rawfs_handle {
	uint64_t fh;
	uint64_t kh;			/* as POLL told it, else 0 */
	uint32_t node;
	uint32_t flags;			/* O_* as OPEN told them */
	uint32_t opens;			/* 1 once answered */
	uint32_t releases;
	bool used;
	bool dir;
	/* the server's own memory: text of a control file */
	char *text;
	size_t text_len;
};

struct rawfs_log {
	uint64_t unique;
	uint64_t nodeid;
	uint64_t fh;			/* 0 for opcodes without one */
	uint64_t owner;			/* of a lock, likewise */
	uint32_t opcode;
	uint32_t len;			/* with fuse_in_header */
	uint32_t uid, gid, pid;
	uint32_t instance;
};

/* A request that was read and is not to be answered yet. */
struct rawfs_held {
	bool used;
	bool ready;			/* and done, if it is to be */
	uint32_t instance;
	struct fuse_in_header h;
	unsigned char arg[RAWFS_BUF_SIZE];	/* what follows the header */
	/* the server's own memory: of one that is done, but not answered */
	struct rawfs_req *done;
	int error;
	bool waits;			/* for a lock, and not for the test */
};

/* With FUSE_POSIX_LOCKS and FUSE_FLOCK_LOCKS in INIT. */
struct rawfs_lk {
	bool used;
	bool flock;			/* POSIX and OFD locks are one kind */
	uint32_t node;
	uint64_t fh;
	uint64_t owner;
	uint64_t start, end;		/* bytes, the last one counts */
	uint32_t type;			/* F_RDLCK, F_WRLCK */
	uint32_t pid;
};

struct rawfs {
	struct rawfs_config config;
	struct fuse_init_in init_in;	/* what the kernel offered */
	char dir[256];			/* mount point */
	dev_t dev;			/* of the mount */
	pid_t pid;			/* of the server, 0 when not forked */
	int fd[RAWFS_MAX_INSTANCES];	/* of /dev/fuse, -1 when closed */
	int event;			/* wakes the server */
	bool kept;			/* the test has the descriptors, too */

	/* written by the server */
	uint32_t seq;			/* a futex, changes with all below */
	bool initialized;
	bool destroyed;			/* DESTROY was seen */
	uint64_t requests;
	uint64_t duplicates;		/* same unique twice */
	uint64_t interrupts;
	uint64_t lost;			/* answers nobody waited for */
	uint64_t nr_op[RAWFS_OPCODES];	/* read */
	uint64_t nr_done[RAWFS_OPCODES]; /* answered, or no answer is due */
	char fault[256];		/* why it ended with RAWFS_IMPOSSIBLE */

	bool hold[RAWFS_OPCODES];
	uint32_t pass[RAWFS_OPCODES];	/* so many go through before */
	bool late;			/* what is held is done at once */
	bool unlocked;			/* those that wait may get their lock */
	bool ready;			/* what POLL answers of all files */
	bool full;
	uint64_t retrieve;		/* node id, see rawfs_retrieve(); 0: none */
	uint64_t retrieved;		/* bytes of its, that the kernel had */
	uint32_t nr_nodes, nr_names, nr_buckets;
	uint64_t next_fh;
	struct rawfs_node *nodes;
	struct rawfs_name *names;
	int32_t *buckets;
	struct rawfs_handle *handles;	/* RAWFS_MAX_HANDLES */
	struct rawfs_log *log;		/* RAWFS_LOG_SIZE, at requests % size */
	struct rawfs_held *held;	/* RAWFS_MAX_HELD */
	struct rawfs_lk *locks;		/* RAWFS_MAX_LOCKS */
	uint64_t *seen;			/* uniques, to find duplicates */
	size_t size;			/* of the shared memory */
	struct rawfs_lock *lock;
	int log_fd;
	int ready_fd;			/* gets a byte when INIT is answered, or -1 */
};

/* A tree of 8 files and 2 directories of 4, timeouts of an hour, no options. */
void rawfs_defaults(struct rawfs_config *config);

/* NULL and errno on failure. Without a server; rawfs_free() takes NULL. */
struct rawfs *rawfs_new(const struct rawfs_config *config);
void rawfs_free(struct rawfs *fs);

/* All of these return 0 or -errno. */
int rawfs_mount(struct rawfs *fs, const char *dir);
int rawfs_umount(struct rawfs *fs);

/* Serves in this process until the connection ends. */
int rawfs_serve(struct rawfs *fs);

/*
 * Forks the server, which dies with its parent. The parent closes its
 * descriptors of /dev/fuse unless @keep, so that the server's death ends the
 * connection.
 */
int rawfs_start(struct rawfs *fs, bool keep);

/* rawfs_new(), rawfs_mount() on a new directory, rawfs_start(). */
struct rawfs *rawfs_up(const struct rawfs_config *config, bool keep);

/*
 * Ends the server and the mount whatever state they are in, and frees.
 * Returns the exit status of the server: 0, RAWFS_IMPOSSIBLE, or -SIGKILL.
 */
int rawfs_down(struct rawfs *fs);

/* SIGSTOP, SIGCONT, SIGKILL; return when it has happened. */
int rawfs_stop(struct rawfs *fs);
int rawfs_cont(struct rawfs *fs);
int rawfs_kill(struct rawfs *fs);

/* Leave requests with this opcode unanswered, from the next one on. */
void rawfs_hold(struct rawfs *fs, uint32_t opcode);
/* The same, but the first @n are answered. */
void rawfs_hold_after(struct rawfs *fs, uint32_t opcode, unsigned int n);
/* As rawfs_hold(), but they are done, and only the answer is missing. */
void rawfs_hold_answer(struct rawfs *fs, uint32_t opcode);
/* Answer what is held, and hold no more. 0 is all opcodes. */
void rawfs_release(struct rawfs *fs, uint32_t opcode);
/* Waits until @n requests with @opcode are held. -ETIMEDOUT after 20 s. */
int rawfs_wait_held(struct rawfs *fs, uint32_t opcode, unsigned int n);
const struct rawfs_held *rawfs_find_held(struct rawfs *fs, uint32_t opcode,
					 unsigned int n);
/* Waits until INIT has been answered. */
int rawfs_wait_init(struct rawfs *fs);
/* Waits until @count requests with @opcode have been answered in all. */
int rawfs_wait_op(struct rawfs *fs, uint32_t opcode, uint64_t count);
/* Waits until the kernel holds @n lookups of the node with this index. */
int rawfs_wait_nlookup(struct rawfs *fs, uint32_t index, uint64_t n);
/* Waits until a request is queued that no one has read. Needs an open fd. */
int rawfs_wait_pending(struct rawfs *fs);

/* A further /dev/fuse for the connection of @fd, or -errno. */
int rawfs_clone(int fd);

/* Whether config.sync_init works here. */
bool rawfs_has_sync_init(void);

/* What an answer has to be. */
static inline uint64_t rawfs_nodeid(uint32_t index)
{
	return index == RAWFS_ROOT ? FUSE_ROOT_ID :
		RAWFS_NODE_BASE + index * RAWFS_NODE_STEP;
}

static inline unsigned char rawfs_byte(uint64_t nodeid, uint64_t offset)
{
	return (nodeid >> 4) * 31 + offset * 7 + (offset >> 8) * 13;
}

/* The node by its path from the root ("dir0/f1"), -1 when there is none. */
int rawfs_index(const struct rawfs *fs, const char *path);
const struct rawfs_node *rawfs_node(const struct rawfs *fs, const char *path);
/* The n-th open handle of a node, NULL when there are fewer. */
const struct rawfs_handle *rawfs_handle(const struct rawfs *fs,
					const char *path, unsigned int n);
/* The n-th lock on a node, NULL when there are fewer. */
const struct rawfs_lk *rawfs_lock(const struct rawfs *fs, const char *path,
				  unsigned int n);
const char *rawfs_opcode_name(uint32_t opcode);
uint32_t rawfs_opcode(const char *name);

/* Writes counters and nodes as /.stats shows them; returns malloc'ed text. */
char *rawfs_stats_text(struct rawfs *fs, size_t *len);
char *rawfs_log_text(struct rawfs *fs, size_t *len);

#endif
