// SPDX-License-Identifier: GPL-2.0
/* Find, pin, describe and release a connection. */

#include <linux/backing-dev.h>
#include <linux/err.h>
#include <linux/exportfs.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/fusecr_ioctl.h>
#include <linux/kdev_t.h>
#include <linux/module.h>
#include <linux/pid_namespace.h>
#include <linux/random.h>
#include <linux/siphash.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "backing.h"
#include "compat.h"
#include "conn.h"
#include "defer.h"
#include "gate.h"
#include "handle.h"
#include "hook.h"
#include "inode.h"
#include "keep.h"
#include "layout.h"
#include "netlink.h"
#include "proof.h"
#include "queue.h"
#include "unknown.h"

static siphash_key_t key __ro_after_init;
static struct file_system_type *types[2] __ro_after_init;

int __init fusecr_conn_init(void)
{
	static const char * const names[] = { "fuse", "fuseblk" };
	unsigned int i;

	get_random_bytes(&key, sizeof(key));
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		types[i] = get_fs_type(names[i]);
		/* fuse is kept by the symbols of its that this module uses. */
		if (types[i])
			module_put(types[i]->owner);
	}
	return types[0] ? 0 : -ENODEV;
}

u64 fusecr_conn_id(const struct fuse_conn *fc)
{
	const u32 *scramble = fl_conn_scramble_key(fc);
	u64 id = siphash_3u64((u64)scramble[0] << 32 | scramble[1],
			      (u64)scramble[2] << 32 | scramble[3],
			      *fl_conn_dev(fc), &key);

	return id ?: 1;
}

u64 fusecr_cookie(const void *object)
{
	return siphash_1u64((unsigned long)object, &key) ?: 1;
}

/* What to look for: an id, or the least device above @after. */
struct pick {
	struct fs_context fc;	/* for sget_fc(): of a mount that is refused */
	u64 id;			/* 0: any */
	u32 after;
	struct super_block *sb;	/* out: pinned */
	bool foreign;		/* out: one is not as BTF says */
};

/*
 * The connection of a superblock on its type's list, NULL when it is not fully
 * mounted or going.  Caller holds sb_lock and rcu_read_lock(): with an active
 * reference seen, fuse_mount and fuse_conn are freed no sooner than RCU allows
 * (fuse_mount_destroy(), fuse_conn_put()).
 */
static struct fuse_conn *conn_of(struct pick *pick, struct super_block *sb)
{
	struct fuse_conn *fc;

	if (!(READ_ONCE(sb->s_flags) & SB_BORN) || !atomic_read(&sb->s_active))
		return NULL;
	smp_rmb(); /* SB_BORN was set after what it vouches for (vfs_get_tree) */
	fc = fl_sb_conn(sb);
	if (!fc)
		return NULL;
	/* A submount has a superblock of its own; the first stands for all. */
	if (*fl_conn_dev(fc) == sb->s_dev)
		return fc;
	if (!pick->foreign)
		pick->foreign = fusecr_proof_foreign(sb);
	return NULL;
}

static struct super_block *best_of(struct pick *pick)
{
	struct super_block *sb, *best = NULL;

	hlist_for_each_entry(sb, &pick->fc.fs_type->fs_supers, s_instances) {
		struct fuse_conn *fc = conn_of(pick, sb);

		if (!fc)
			continue;
		if (pick->id) {
			if (fusecr_conn_id(fc) == pick->id)
				return sb;
		} else if (sb->s_dev > pick->after &&
			   (!best || sb->s_dev < best->s_dev)) {
			best = sb;
		}
	}
	return best;
}

/* Called by sget_fc() with sb_lock held. */
static int pick_super(struct super_block *unused, struct fs_context *fc)
{
	struct pick *p = container_of(fc, struct pick, fc);
	struct super_block *sb;

	rcu_read_lock();
	while ((sb = best_of(p))) {
		if (atomic_inc_not_zero(&sb->s_active)) {
			p->sb = sb;
			break;
		}
		/* Gone meanwhile: conn_of() does not show it again. */
	}
	rcu_read_unlock();
	return -ECANCELED;
}

/*
 * iterate_supers_type() takes each superblock's s_umount, which an unmount or
 * a remount may hold while it waits for its daemon (generic_shutdown_super(),
 * fuse_reconfigure()).  sget_fc() calls back with the list of superblocks
 * locked and nothing else; refused the new one, it frees that and leaves no
 * trace.
 */
static struct fusecr_conn *pick(struct pick *pick,
				struct file_system_type *type)
{
	struct fusecr_conn *conn = kzalloc(sizeof(*conn), GFP_KERNEL);
	struct super_block *sb;

	if (!conn)
		return ERR_PTR(-ENOMEM);
	pick->fc.fs_type = type;
	pick->fc.user_ns = &init_user_ns;
	sb = sget_fc(&pick->fc, NULL, pick_super);
	if (!pick->sb) {
		kfree(conn);
		if (PTR_ERR(sb) != -ECANCELED)
			return ERR_CAST(sb);
		return pick->foreign ? ERR_PTR(-EUCLEAN) : NULL;
	}
	conn->sb = pick->sb;
	conn->fc = fl_sb_conn(pick->sb);
	if (!fusecr_proof_conn(conn->fc)) {
		fusecr_conn_put(conn);
		return ERR_PTR(-EUCLEAN);
	}
	conn->id = fusecr_conn_id(conn->fc);
	return conn;
}

struct fusecr_conn *fusecr_conn_get(u64 id)
{
	unsigned int i;

	for (i = 0; id && i < ARRAY_SIZE(types) && types[i]; i++) {
		struct pick p = { .id = id };
		struct fusecr_conn *conn = pick(&p, types[i]);

		if (conn)
			return conn;
	}
	return ERR_PTR(-ENOENT);
}

struct fusecr_conn *fusecr_conn_next(struct fusecr_conn_cursor *cursor)
{
	while (cursor->type < ARRAY_SIZE(types) && types[cursor->type]) {
		struct pick p = { .after = cursor->dev };
		struct fusecr_conn *conn = pick(&p, types[cursor->type]);

		if (IS_ERR(conn))
			return conn;
		if (conn) {
			cursor->dev = conn->sb->s_dev;
			return conn;
		}
		cursor->type++;
		cursor->dev = 0;
	}
	return NULL;
}

static void deactivate(void *sb)
{
	deactivate_super(sb);
}

void fusecr_conn_put(struct fusecr_conn *conn)
{
	if (!conn)
		return;
	if (!atomic_add_unless(&conn->sb->s_active, -1, 1))
		fusecr_defer(deactivate, conn->sb);
	kfree(conn);
}

/* FUSE_INIT flags and the bit that each leaves set (process_init_reply()). */
static const struct {
	u64 flag;
	enum fl_id id;
} init_flags[] = {
	{ FUSE_ASYNC_READ,		FL_CONN_ASYNC_READ },
	{ FUSE_ATOMIC_O_TRUNC,		FL_CONN_ATOMIC_O_TRUNC },
	{ FUSE_EXPORT_SUPPORT,		FL_CONN_EXPORT_SUPPORT },
	{ FUSE_BIG_WRITES,		FL_CONN_BIG_WRITES },
	/* Or MS_POSIXACL at mount, to the same end. */
	{ FUSE_DONT_MASK,		FL_CONN_DONT_MASK },
	{ FUSE_AUTO_INVAL_DATA,		FL_CONN_AUTO_INVAL_DATA },
	{ FUSE_DO_READDIRPLUS,		FL_CONN_DO_READDIRPLUS },
	{ FUSE_READDIRPLUS_AUTO,	FL_CONN_READDIRPLUS_AUTO },
	{ FUSE_ASYNC_DIO,		FL_CONN_ASYNC_DIO },
	{ FUSE_WRITEBACK_CACHE,		FL_CONN_WRITEBACK_CACHE },
	{ FUSE_PARALLEL_DIROPS,		FL_CONN_PARALLEL_DIROPS },
	{ FUSE_HANDLE_KILLPRIV,		FL_CONN_HANDLE_KILLPRIV },
	{ FUSE_POSIX_ACL,		FL_CONN_POSIX_ACL },
	{ FUSE_ABORT_ERROR,		FL_CONN_ABORT_ERR },
	{ FUSE_CACHE_SYMLINKS,		FL_CONN_CACHE_SYMLINKS },
	{ FUSE_EXPLICIT_INVAL_DATA,	FL_CONN_EXPLICIT_INVAL_DATA },
	{ FUSE_SUBMOUNTS,		FL_CONN_AUTO_SUBMOUNTS },
	{ FUSE_HANDLE_KILLPRIV_V2,	FL_CONN_HANDLE_KILLPRIV_V2 },
	{ FUSE_SETXATTR_EXT,		FL_CONN_SETXATTR_EXT },
	{ FUSE_SECURITY_CTX,		FL_CONN_INIT_SECURITY },
	{ FUSE_HAS_INODE_DAX,		FL_CONN_INODE_DAX },
	{ FUSE_CREATE_SUPP_GROUP,	FL_CONN_CREATE_SUPP_GROUP },
	{ FUSE_DIRECT_IO_ALLOW_MMAP,	FL_CONN_DIRECT_IO_ALLOW_MMAP },
	{ FUSE_PASSTHROUGH,		FL_CONN_PASSTHROUGH },
	{ FUSE_OVER_IO_URING,		FL_CONN_IO_URING },
	/* Not the bit, but a value: it may also come from a sysctl. */
	{ FUSE_REQUEST_TIMEOUT,		FL_CONN_REQ_TIMEOUT },
};

/* Flags that leave a trace elsewhere than in a bit that is set. */
#define OTHER_FLAGS	(FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS | FUSE_MAX_PAGES)

/* FUSE_DEFAULT_MAX_PAGES_PER_REQ (fuse_i.h): what no FUSE_MAX_PAGES means. */
#define DEFAULT_MAX_PAGES	32
/* FUSE_NAME_LOW_MAX (fuse_i.h): what no name is longer than without it. */
#define NAME_LOW_MAX		1024

u64 fusecr_conn_known_flags(void)
{
	u64 known = OTHER_FLAGS;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(init_flags); i++)
		if (fl_has(init_flags[i].id))
			known |= init_flags[i].flag;
#ifdef FUSE_NO_EXPORT_SUPPORT
	known |= FUSE_NO_EXPORT_SUPPORT;
#endif
#ifdef FUSE_ALLOW_IDMAP
	known |= FUSE_ALLOW_IDMAP;
#endif
	return known | (known >> 32 ? FUSE_INIT_EXT : 0);
}

/* The flags that, sent as the answer to FUSE_INIT, lead to this state. */
static bool is_on(const struct fuse_conn *fc, enum fl_id id)
{
	if (id == FL_CONN_REQ_TIMEOUT)
		return *fl_conn_req_timeout(fc);
	return fl_bit(fc, id);
}

/*
 * Whether it answered so shows in the number only if that is another one, and later in
 * how long names may be, too ("fuse: Increase FUSE_NAME_MAX to PATH_MAX").
 */
static bool has_max_pages(const struct fuse_conn *fc)
{
	return *fl_conn_max_pages(fc) != DEFAULT_MAX_PAGES ||
	       (fl_has(FL_CONN_NAME_MAX) &&
		*fl_conn_name_max(fc) != NAME_LOW_MAX);
}

static u64 flags_of(const struct fusecr_conn *conn)
{
	const struct fuse_conn *fc = conn->fc;
	u64 flags = 0;
	unsigned int i;

	if (!fl_bit(fc, FL_CONN_INIT))
		return 0;
	for (i = 0; i < ARRAY_SIZE(init_flags); i++)
		if (fl_has(init_flags[i].id) && is_on(fc, init_flags[i].id))
			flags |= init_flags[i].flag;
	if (!fl_bit(fc, FL_CONN_NO_LOCK))
		flags |= FUSE_POSIX_LOCKS;
	if (!fl_bit(fc, FL_CONN_NO_FLOCK))
		flags |= FUSE_FLOCK_LOCKS;
	if (has_max_pages(fc))
		flags |= FUSE_MAX_PAGES;
#ifdef FUSE_NO_EXPORT_SUPPORT
	if (conn->sb->s_export_op && !conn->sb->s_export_op->fh_to_dentry)
		flags |= FUSE_NO_EXPORT_SUPPORT;
#endif
#ifdef FUSE_ALLOW_IDMAP
	if (!(conn->sb->s_iflags & SB_I_NOIDMAP))
		flags |= FUSE_ALLOW_IDMAP;
#endif
	return flags | (flags >> 32 ? FUSE_INIT_EXT : 0);
}

static u32 state_of(const struct fuse_conn *fc)
{
	u32 state = 0;

	if (fl_bit(fc, FL_CONN_INIT))
		state |= FUSECR_CONN_INITIALIZED;
	if (READ_ONCE(*fl_conn_connected(fc)))
		state |= FUSECR_CONN_CONNECTED;
	if (READ_ONCE(*fl_conn_aborted(fc)))
		state |= FUSECR_CONN_ABORTED;
	if (READ_ONCE(*fl_conn_blocked(fc)))
		state |= FUSECR_CONN_BLOCKED;
	if (fl_bit(fc, FL_CONN_ERROR))
		state |= FUSECR_CONN_ERROR;
	if (fusecr_handle_owns(fc))
		state |= FUSECR_CONN_HELD;
	if (fusecr_gate_closed(fc))
		state |= FUSECR_CONN_GATED;
	return state;
}

struct u32_attr {
	int type;
	u32 value;
};

static int put_u32s(struct sk_buff *skb, const struct u32_attr *attrs,
		    unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (nla_put_u32(skb, attrs[i].type, attrs[i].value))
			return -EMSGSIZE;
	return 0;
}

static int put_identity(struct sk_buff *skb, const struct fusecr_conn *conn)
{
	const struct super_block *sb = conn->sb;

	if (fusecr_put_u64(skb, FUSECR_CONN_ID, conn->id) ||
	    nla_put_u32(skb, FUSECR_CONN_DEV, new_encode_dev(sb->s_dev)) ||
	    nla_put_string(skb, FUSECR_CONN_FSTYPE, sb->s_type->name) ||
	    (sb->s_subtype &&
	     nla_put_string(skb, FUSECR_CONN_SUBTYPE, sb->s_subtype)) ||
	    nla_put_string(skb, FUSECR_CONN_SOURCE, sb->s_id) ||
	    nla_put_u32(skb, FUSECR_CONN_STATE, state_of(conn->fc)))
		return -EMSGSIZE;
	return 0;
}

/* The answer to INIT has 32 bits for it, read_ahead_kb may be set to more. */
static u32 max_readahead_of(const struct super_block *sb)
{
	u64 bytes = (u64)READ_ONCE(sb->s_bdi->ra_pages) << PAGE_SHIFT;

	return min_t(u64, bytes, U32_MAX & PAGE_MASK);
}

static int put_init(struct sk_buff *skb, const struct fusecr_conn *conn)
{
	const struct fuse_conn *fc = conn->fc;
	const struct u32_attr attrs[] = {
		{ FUSECR_CONN_MINOR, *fl_conn_minor(fc) },
		{ FUSECR_CONN_MAX_READAHEAD, max_readahead_of(conn->sb) },
		{ FUSECR_CONN_MAX_WRITE, *fl_conn_max_write(fc) },
		{ FUSECR_CONN_MAX_PAGES, *fl_conn_max_pages(fc) },
		{ FUSECR_CONN_TIME_GRAN, conn->sb->s_time_gran },
		{ FUSECR_CONN_MAX_BACKGROUND, *fl_conn_max_background(fc) },
		{ FUSECR_CONN_CONGESTION_THRESHOLD,
		  *fl_conn_congestion_threshold(fc) },
		{ FUSECR_CONN_MAX_STACK_DEPTH,
		  fl_has(FL_CONN_MAX_STACK_DEPTH) ?
			*fl_conn_max_stack_depth(fc) : 0 },
		{ FUSECR_CONN_NO, fl_conn_no(fc) },
	};

	if (fusecr_put_u64(skb, FUSECR_CONN_FLAGS, flags_of(conn)) ||
	    put_u32s(skb, attrs, ARRAY_SIZE(attrs)))
		return -EMSGSIZE;
	/* Only checked by fuse, not kept; with DAX there is no telling. */
	if ((!fl_has(FL_CONN_DAX) || !*fl_conn_dax(fc)) &&
	    nla_put_u32(skb, FUSECR_CONN_MAP_ALIGNMENT, 0))
		return -EMSGSIZE;
	if (fl_has(FL_CONN_REQ_TIMEOUT) &&
	    nla_put_u32(skb, FUSECR_CONN_REQUEST_TIMEOUT,
			*fl_conn_req_timeout(fc) / HZ))
		return -EMSGSIZE;
	return 0;
}

#define SHOWN_SB_FLAGS	(SB_RDONLY | SB_SYNCHRONOUS | SB_MANDLOCK | \
			 SB_DIRSYNC | SB_LAZYTIME)

static u32 pid_ns_of(const struct fuse_conn *fc)
{
	u32 inum;

	/* A handle may exchange it; the old one is freed by RCU. */
	rcu_read_lock();
	inum = READ_ONCE(*fl_conn_pid_ns(fc))->ns.inum;
	rcu_read_unlock();
	return inum;
}

/*
 * The mount option.  6.17.13 and 6.18 give the superblock whole pages whatever
 * was asked ("fuse: fix fuseblk i_blkbits for iomap partial writes").
 */
static u32 blksize_of(const struct fuse_conn *fc, const struct super_block *sb)
{
	return fl_has(FL_CONN_BLKBITS) ? BIT(*fl_conn_blkbits(fc)) :
					 sb->s_blocksize;
}

static int put_options(struct sk_buff *skb, const struct fusecr_conn *conn)
{
	const struct fuse_conn *fc = conn->fc;
	const struct super_block *sb = conn->sb;
	const struct u32_attr attrs[] = {
		{ FUSECR_CONN_USER_ID,
		  from_kuid_munged(&init_user_ns, *fl_conn_user_id(fc)) },
		{ FUSECR_CONN_GROUP_ID,
		  from_kgid_munged(&init_user_ns, *fl_conn_group_id(fc)) },
		{ FUSECR_CONN_MAX_READ, *fl_conn_max_read(fc) },
		{ FUSECR_CONN_ROOTMODE, d_inode(sb->s_root)->i_mode },
		{ FUSECR_CONN_SB_FLAGS, sb->s_flags & SHOWN_SB_FLAGS },
		{ FUSECR_CONN_USER_NS, (*fl_conn_user_ns(fc))->ns.inum },
		{ FUSECR_CONN_PID_NS, pid_ns_of(fc) },
	};

	if (put_u32s(skb, attrs, ARRAY_SIZE(attrs)) ||
	    nla_put_u8(skb, FUSECR_CONN_DEFAULT_PERMISSIONS,
		       fl_bit(fc, FL_CONN_DEFAULT_PERMISSIONS)) ||
	    nla_put_u8(skb, FUSECR_CONN_ALLOW_OTHER,
		       fl_bit(fc, FL_CONN_ALLOW_OTHER)))
		return -EMSGSIZE;
	if (sb->s_bdev &&
	    nla_put_u32(skb, FUSECR_CONN_BLKSIZE, blksize_of(fc, sb)))
		return -EMSGSIZE;
	return 0;
}

static int put_counters(struct sk_buff *skb, const struct fusecr_conn *conn)
{
	const struct fuse_conn *fc = conn->fc;
	u32 backing = fusecr_backing_next(fc);
	struct fusecr_queue_counts n;

	fusecr_queue_count(fc, &n);
	if (fusecr_put_u64(skb, FUSECR_CONN_NEXT_UNIQUE, n.reqctr) ||
	    fusecr_put_u64(skb, FUSECR_CONN_NEXT_KH,
			   atomic64_read(fl_conn_khctr(fc))) ||
	    fusecr_put_u64(skb, FUSECR_CONN_ATTR_VERSION,
			   atomic64_read(fl_conn_attr_version(fc))) ||
	    (fl_has(FL_CONN_EPOCH) &&
	     nla_put_u32(skb, FUSECR_CONN_EPOCH,
			 atomic_read(fl_conn_epoch(fc)))) ||
	    nla_put_u32(skb, FUSECR_CONN_DEV_COUNT,
			n.devices) ||
	    nla_put_u32(skb, FUSECR_CONN_NUM_WAITING,
			atomic_read(fl_conn_num_waiting(fc))) ||
	    nla_put_u32(skb, FUSECR_CONN_NUM_BACKGROUND,
			READ_ONCE(*fl_conn_num_background(fc))) ||
	    nla_put_u32(skb, FUSECR_CONN_NUM_PENDING, n.pending) ||
	    nla_put_u32(skb, FUSECR_CONN_NUM_PROCESSING, n.processing) ||
	    nla_put_u32(skb, FUSECR_CONN_NUM_FORGETS, n.forgets) ||
	    nla_put_u32(skb, FUSECR_CONN_NUM_INODES,
			fusecr_inode_count(conn->sb)) ||
	    (backing && nla_put_u32(skb, FUSECR_CONN_NEXT_BACKING, backing)))
		return -EMSGSIZE;
	return 0;
}

static int put_gate(struct sk_buff *skb, const struct fuse_conn *fc)
{
	struct fusecr_gate_status s;

	if (!fusecr_gate_status_of(fc, &s))
		return 0;
	if (nla_put_u32(skb, FUSECR_CONN_GATE_HELD, s.held) ||
	    nla_put_u32(skb, FUSECR_CONN_GATE_COMING, s.coming) ||
	    nla_put_u32(skb, FUSECR_CONN_GATE_ASLEEP, s.asleep) ||
	    nla_put_u32(skb, FUSECR_CONN_GATE_REQUESTS, s.requests))
		return -EMSGSIZE;
	return 0;
}

static int put_events(struct sk_buff *skb, const struct fuse_conn *fc)
{
	struct fusecr_event_counts n;

	if (!fusecr_hook_counts(fc, &n))
		return 0;
	if (fusecr_put_u64(skb, FUSECR_CONN_GATE_EVER_HELD,
			   n.of[FUSECR_EVENT_HELD]) ||
	    fusecr_put_u64(skb, FUSECR_CONN_GATE_PASSED,
			   n.of[FUSECR_EVENT_PASSED]) ||
	    fusecr_put_u64(skb, FUSECR_CONN_GATE_ENDED,
			   n.of[FUSECR_EVENT_ENDED]) ||
	    fusecr_put_u64(skb, FUSECR_CONN_GATE_TAKEN,
			   n.of[FUSECR_EVENT_TAKEN]) ||
	    fusecr_put_u64(skb, FUSECR_CONN_GATE_CLAIMED,
			   n.of[FUSECR_EVENT_CLAIMED]) ||
	    fusecr_put_u64(skb, FUSECR_CONN_GATE_GIVEN_UP,
			   n.of[FUSECR_EVENT_GIVEN_UP]))
		return -EMSGSIZE;
	return 0;
}

static int put_obstacles(struct sk_buff *skb, const struct fuse_conn *fc)
{
	bool dax = fl_has(FL_CONN_DAX) && *fl_conn_dax(fc);
	char unknown[256];

	/* Only the head is looked at: killsb may be held for a daemon's sake. */
	if (nla_put_u8(skb, FUSECR_CONN_DAX, dax) ||
	    nla_put_u8(skb, FUSECR_CONN_URING, fl_conn_uses_uring(fc)) ||
	    nla_put_u8(skb, FUSECR_CONN_SUBMOUNTS,
		       !list_is_singular(fl_conn_mounts(fc))))
		return -EMSGSIZE;
	if (fl_conn_unknown(fc, unknown, sizeof(unknown)) &&
	    nla_put_string(skb, FUSECR_CONN_UNKNOWN, unknown))
		return -EMSGSIZE;
	return 0;
}

/*
 * Each mount has the superblock active, wherever it is (clone_mnt()), and so has who
 * asks, a handle, and what is kept.
 */
static u32 count_mounts(const struct fusecr_conn *conn)
{
	int others = 1 + fusecr_handle_owns(conn->fc) + fusecr_keep_pins(conn);

	return max(atomic_read(&conn->sb->s_active) - others, 0);
}

/* Users of all of it who are no tasks. */
static int put_users(struct sk_buff *skb, const struct fusecr_conn *conn)
{
	if (nla_put_u8(skb, FUSECR_CONN_WATCHED,
		       compat_sb_is_watched(conn->sb)) ||
	    nla_put_u32(skb, FUSECR_CONN_NUM_MOUNTS, count_mounts(conn)))
		return -EMSGSIZE;
	return 0;
}

int fusecr_conn_fill(const struct fusecr_msg *msg,
		     const struct fusecr_conn *conn)
{
	struct nlattr *nest;
	void *hdr = fusecr_msg_begin(msg, FUSECR_A_CONN, &nest);
	int err;

	if (!hdr)
		return -EMSGSIZE;
	err = put_identity(msg->skb, conn) ?: put_init(msg->skb, conn) ?:
	      put_options(msg->skb, conn) ?: put_counters(msg->skb, conn) ?:
	      put_obstacles(msg->skb, conn->fc) ?:
	      put_users(msg->skb, conn) ?: put_gate(msg->skb, conn->fc) ?:
	      put_events(msg->skb, conn->fc);
	return fusecr_msg_end(msg, hdr, nest, err);
}
