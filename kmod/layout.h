/* SPDX-License-Identifier: GPL-2.0 */
/*
 * fuse's private structures, as the running kernel's BTF describes them.
 *
 * fs/fuse/fuse_i.h is not among the kernel headers and changes between
 * releases.  Every offset below is found by name when the module loads; the
 * table is in layout.c.  The structures stay opaque to everyone else: an
 * accessor fl_<object>_<member>() gives a pointer to the member, which is
 * read and written by the rules (locks, lifetime) that fuse has for it.
 *
 * An accessor of an optional member must only be called when fl_has() says
 * that the member is there.
 */
#ifndef FUSECR_LAYOUT_H
#define FUSECR_LAYOUT_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/fs.h>
#include <linux/hash.h>
#include <linux/idr.h>
#include <linux/fuse.h>
#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/wait.h>

#include "layout_ids.h"

struct cred;
struct fuse_args;
struct fuse_backing;
struct fuse_conn;
struct fuse_dev;
struct fuse_file;
struct fuse_forget_link;
struct fuse_inode;
struct fuse_iqueue;
struct fuse_mount;
struct fuse_req;
struct pid_namespace;
struct scm_fp_list;
struct sk_buff;
struct unix_skb_parms;
struct user_namespace;

/*
 * Of an open /dev/fuse.  Exported by fuse, declared in no header that modules
 * see.  Using it keeps fuse loaded.
 */
extern const struct file_operations fuse_dev_operations;

/* Where a member is. */
struct fl_loc {
	u32 off;	/* from the object; or a structure's size */
	u32 off2;	/* deref: from where the pointer at off points to */
	u32 mask;	/* a bit-field, in the u32 at off */
	u32 size;	/* bytes */
	u8 params;	/* of the function that it points to */
	bool deref;
	bool there;
};

extern struct fl_loc fl_locs[FL_NR];

/* FR_* bit numbers of fuse_req.flags (enum fuse_req_flag), by meaning. */
enum fl_fr {
	FL_FR_ISREPLY,
	FL_FR_FORCE,
	FL_FR_BACKGROUND,
	FL_FR_WAITING,
	FL_FR_ABORTED,
	FL_FR_INTERRUPTED,
	FL_FR_LOCKED,
	FL_FR_PENDING,
	FL_FR_SENT,
	FL_FR_FINISHED,
	FL_FR_PRIVATE,
	FL_FR_ASYNC,
	FL_FR_NR,
};

extern u8 fl_fr_bits[FL_FR_NR];
extern u8 fl_i_bad_bit;

/* Size of fuse_pqueue.processing; a constant since 4.20 (FUSE_PQ_HASH_SIZE). */
#define FL_PQ_HASH_BITS	8
#define FL_PQ_HASH_SIZE	(1 << FL_PQ_HASH_BITS)

/* Exported by fuse (dev.c) without a header that would declare them. */
extern const struct file_operations fuse_dev_operations;
void fuse_request_end(struct fuse_req *req);
int fuse_simple_background(struct fuse_mount *fm, struct fuse_args *args,
			   gfp_t gfp_flags);
struct fuse_conn *fuse_conn_get(struct fuse_conn *fc);
void fuse_conn_put(struct fuse_conn *fc);
u64 fuse_get_unique(struct fuse_iqueue *fiq);

int fl_init(void);

/* Path of the BTF that fuse was found in. */
const char *fl_btf_path(void);

/* enum fusecr_feature.  Others add what they find out: before questions. */
u32 fl_features(void);
void fl_features_add(u32 features);

static inline bool fl_has(enum fl_id id)
{
	return fl_locs[id].there;
}

static inline void *fl_at(const void *obj, const struct fl_loc *loc)
{
	char *p = (char *)obj + loc->off;

	if (unlikely(loc->deref))
		p = *(char **)p + loc->off2;
	return p;
}

static inline void *fl_ptr(const void *obj, enum fl_id id)
{
	return fl_at(obj, &fl_locs[id]);
}

/* The object whose member @id is at @member. */
static inline void *fl_container(const void *member, enum fl_id id)
{
	return (char *)member - fl_locs[id].off;
}

static inline size_t fl_size(enum fl_id id)
{
	return fl_locs[id].off;
}

static inline bool fl_bit(const void *obj, enum fl_id id)
{
	return READ_ONCE(*(u32 *)fl_ptr(obj, id)) & fl_locs[id].mask;
}

/*
 * Not atomic against fuse: it writes neighbouring bits without a lock, by
 * read-modify-write ("races in setting them will not cause malfunction",
 * fuse_i.h).  A lost update means that fuse asks the daemon once more and is
 * told ENOSYS once more, or that the caller's bit is lost; so set bits only
 * while the tasks that use the connection stand still.
 */
static inline void fl_bit_set(void *obj, enum fl_id id, bool on)
{
	u32 *word = fl_ptr(obj, id);

	if (on)
		WRITE_ONCE(*word, READ_ONCE(*word) | fl_locs[id].mask);
	else
		WRITE_ONCE(*word, READ_ONCE(*word) & ~fl_locs[id].mask);
}

#define FL_MEMBER(name, object, type, id)				\
static inline type *name(const struct object *obj)			\
{									\
	return fl_ptr(obj, id);						\
}

/* Fixed once the mount is made. */
FL_MEMBER(fl_mount_conn, fuse_mount, struct fuse_conn *, FL_MOUNT_FC)

/* Protects polled_files. */
FL_MEMBER(fl_conn_lock, fuse_conn, spinlock_t, FL_CONN_LOCK)
FL_MEMBER(fl_conn_polled_files, fuse_conn, struct rb_root, FL_CONN_POLLED_FILES)
/* Protects the list of devices: fc->lock, since 7.3 that of fc->chan. */
FL_MEMBER(fl_conn_dev_lock, fuse_conn, spinlock_t, FL_CONN_DEV_LOCK)
/* Protects max_background, congestion_threshold, num_background, bg_queue. */
FL_MEMBER(fl_conn_bg_lock, fuse_conn, spinlock_t, FL_CONN_BG_LOCK)
FL_MEMBER(fl_conn_user_id, fuse_conn, kuid_t, FL_CONN_USER_ID)
FL_MEMBER(fl_conn_group_id, fuse_conn, kgid_t, FL_CONN_GROUP_ID)
/* One counted reference; fuse reads it without a lock (fuse_get_req). */
FL_MEMBER(fl_conn_pid_ns, fuse_conn, struct pid_namespace *, FL_CONN_PID_NS)
FL_MEMBER(fl_conn_user_ns, fuse_conn, struct user_namespace *, FL_CONN_USER_NS)
FL_MEMBER(fl_conn_max_read, fuse_conn, u32, FL_CONN_MAX_READ)
FL_MEMBER(fl_conn_max_write, fuse_conn, u32, FL_CONN_MAX_WRITE)
FL_MEMBER(fl_conn_max_pages, fuse_conn, u32, FL_CONN_MAX_PAGES)
FL_MEMBER(fl_conn_name_max, fuse_conn, u32, FL_CONN_NAME_MAX)
FL_MEMBER(fl_conn_iqueue, fuse_conn, struct fuse_iqueue, FL_CONN_IQ)
FL_MEMBER(fl_conn_khctr, fuse_conn, atomic64_t, FL_CONN_KHCTR)
FL_MEMBER(fl_conn_max_background, fuse_conn, u32, FL_CONN_MAX_BACKGROUND)
FL_MEMBER(fl_conn_congestion_threshold, fuse_conn, u32,
	  FL_CONN_CONGESTION_THRESHOLD)
FL_MEMBER(fl_conn_num_background, fuse_conn, u32, FL_CONN_NUM_BACKGROUND)
/* Of these, those that were sent.  Under fl_conn_bg_lock(). */
FL_MEMBER(fl_conn_active_background, fuse_conn, u32, FL_CONN_ACTIVE_BACKGROUND)
FL_MEMBER(fl_conn_bg_queue, fuse_conn, struct list_head, FL_CONN_BG_QUEUE)
FL_MEMBER(fl_conn_blocked, fuse_conn, int, FL_CONN_BLOCKED)
FL_MEMBER(fl_conn_blocked_waitq, fuse_conn, wait_queue_head_t, FL_CONN_BLOCKED_WAITQ)
FL_MEMBER(fl_conn_connected, fuse_conn, u32, FL_CONN_CONNECTED)
FL_MEMBER(fl_conn_aborted, fuse_conn, bool, FL_CONN_ABORTED)
FL_MEMBER(fl_conn_num_waiting, fuse_conn, atomic_t, FL_CONN_NUM_WAITING)
FL_MEMBER(fl_conn_minor, fuse_conn, u32, FL_CONN_MINOR)
FL_MEMBER(fl_conn_dev, fuse_conn, dev_t, FL_CONN_DEV)
/* u32[4], random for each connection. */
FL_MEMBER(fl_conn_scramble_key, fuse_conn, u32, FL_CONN_SCRAMBLE_KEY)
FL_MEMBER(fl_conn_attr_version, fuse_conn, atomic64_t, FL_CONN_ATTR_VERSION)
/* Of struct fuse_dev, see fl_dev_from_entry(); under fl_conn_dev_lock(). */
FL_MEMBER(fl_conn_devices, fuse_conn, struct list_head, FL_CONN_DEVICES)
FL_MEMBER(fl_conn_mounts, fuse_conn, struct list_head, FL_CONN_MOUNTS)
FL_MEMBER(fl_conn_dax, fuse_conn, void *, FL_CONN_DAX)
FL_MEMBER(fl_conn_ring, fuse_conn, void *, FL_CONN_RING)
FL_MEMBER(fl_conn_epoch, fuse_conn, atomic_t, FL_CONN_EPOCH)
/* Of the mount option blksize, where the superblock has another. */
FL_MEMBER(fl_conn_blkbits, fuse_conn, u8, FL_CONN_BLKBITS)
/* Jiffies. */
FL_MEMBER(fl_conn_req_timeout, fuse_conn, u32, FL_CONN_REQ_TIMEOUT)
FL_MEMBER(fl_conn_max_stack_depth, fuse_conn, int, FL_CONN_MAX_STACK_DEPTH)
/* Of struct fuse_backing, by their ids; under fl_conn_lock(). */
FL_MEMBER(fl_conn_backing, fuse_conn, struct idr, FL_CONN_BACKING)

/* Queues of io_uring's are there, or are going to be. */
static inline bool fl_conn_uses_uring(const struct fuse_conn *fc)
{
	return (fl_has(FL_CONN_RING) && READ_ONCE(*fl_conn_ring(fc))) ||
	       (fl_has(FL_CONN_IO_URING) && fl_bit(fc, FL_CONN_IO_URING));
}

/* enum fusecr_no: which bits this kernel has, which of them are set. */
u32 fl_conn_no_known(void);
u32 fl_conn_no(const struct fuse_conn *fc);
/* Sets exactly @no.  See fl_bit_set(). */
void fl_conn_set_no(struct fuse_conn *fc, u32 no);

/* The connection of a fuse superblock that is mounted, or NULL. */
static inline struct fuse_conn *fl_sb_conn(const struct super_block *sb)
{
	struct fuse_mount *fm = sb->s_fs_info;

	return fm ? *fl_mount_conn(fm) : NULL;
}

/* All of these under fl_iq_lock(), fasync and waitq have their own. */
FL_MEMBER(fl_iq_connected, fuse_iqueue, u32, FL_IQ_CONNECTED)
FL_MEMBER(fl_iq_lock, fuse_iqueue, spinlock_t, FL_IQ_LOCK)
FL_MEMBER(fl_iq_waitq, fuse_iqueue, wait_queue_head_t, FL_IQ_WAITQ)
FL_MEMBER(fl_iq_reqctr, fuse_iqueue, u64, FL_IQ_REQCTR)
FL_MEMBER(fl_iq_pending, fuse_iqueue, struct list_head, FL_IQ_PENDING)
FL_MEMBER(fl_iq_interrupts, fuse_iqueue, struct list_head, FL_IQ_INTERRUPTS)
FL_MEMBER(fl_iq_forget_head, fuse_iqueue, struct fuse_forget_link,
	  FL_IQ_FORGET_HEAD)
FL_MEMBER(fl_iq_forget_tail, fuse_iqueue, struct fuse_forget_link *,
	  FL_IQ_FORGET_TAIL)
FL_MEMBER(fl_iq_fasync, fuse_iqueue, struct fasync_struct *, FL_IQ_FASYNC)
/* Read without a lock since 6.11. */
FL_MEMBER(fl_iq_ops, fuse_iqueue, const void *, FL_IQ_OPS)

/* With the request not on any list yet; since 6.11. */
typedef void (*fl_send_fn)(struct fuse_iqueue *fiq, struct fuse_req *req);
/* With it last on the list, and with fiq->lock, which they release. */
typedef void (*fl_wake_fn)(struct fuse_iqueue *fiq);

/* In a table of operations. */
static inline fl_send_fn *fl_ops_send(const void *ops, enum fl_id id)
{
	return fl_ptr(ops, id);
}

static inline fl_wake_fn *fl_ops_wake(const void *ops, enum fl_id id)
{
	return fl_ptr(ops, id);
}

/* Called when the connection ends, and may sleep; NULL in fuse's own. */
typedef void (*fl_release_fn)(struct fuse_iqueue *fiq);

static inline fl_release_fn *fl_ops_release(const void *ops)
{
	return fl_ptr(ops, FL_OPS_RELEASE);
}

FL_MEMBER(fl_dev_entry, fuse_dev, struct list_head, FL_DEV_ENTRY)
/* The lists under fl_pq_lock(), which nests in fl_conn_dev_lock(). */
FL_MEMBER(fl_pq_connected, fuse_dev, u32, FL_PQ_CONNECTED)
FL_MEMBER(fl_pq_lock, fuse_dev, spinlock_t, FL_PQ_LOCK)
FL_MEMBER(fl_pq_io, fuse_dev, struct list_head, FL_PQ_IO)

/*
 * The connection of an instance: fud->fc, since 7.3 fud->chan->conn.  NULL when
 * it is not mounted, or as good as closed (FUSE_DEV_CHAN_DISCONNECTED): small
 * values are marks of fuse's, not pointers.
 */
static inline struct fuse_conn *fl_dev_conn(const struct fuse_dev *fud)
{
	const struct fl_loc *loc = &fl_locs[FL_DEV_FC];
	/* Pairs with xchg() or cmpxchg() in fuse_dev_install(). */
	char *p = smp_load_acquire((char **)((char *)fud + loc->off));

	if ((unsigned long)p < PAGE_SIZE)
		return NULL;
	return loc->deref ? READ_ONCE(*(struct fuse_conn **)(p + loc->off2)) :
			    (struct fuse_conn *)p;
}

static inline struct fuse_dev *fl_dev_from_entry(const struct list_head *entry)
{
	return fl_container(entry, FL_DEV_ENTRY);
}

/*
 * FL_PQ_HASH_SIZE lists; set before the instance comes on its list of devices.
 * Not always before it has its connection, see fl_file_dev().
 */
static inline struct list_head *fl_pq_processing(const struct fuse_dev *fud)
{
	return READ_ONCE(*(struct list_head **)fl_ptr(fud, FL_PQ_PROCESSING));
}

/* The one for a unique id: fuse_req_hash(), fs/fuse/dev.c. */
static inline struct list_head *fl_pq_processing_of(const struct fuse_dev *fud,
						    u64 unique)
{
	/* The lowest bit is an interrupt's. */
	return fl_pq_processing(fud) +
	       hash_long(unique & ~1ULL, FL_PQ_HASH_BITS);
}

/*
 * The instance behind an open file whose f_op is fuse_dev_operations; NULL
 * when it is not mounted, or not quite.  Set once, gone with the file.  Small
 * values are marks of fuse's, not pointers (FUSE_DEV_SYNC_INIT, 6.18).
 *
 * fuse_dev_install_with_pq() sets fud->chan and then fud->pq.processing
 * (fs/fuse/dev.c, 7.3).  Its cmpxchg() on the former orders what the lists begin
 * with before the latter; here the address that is read orders it.
 */
static inline struct fuse_dev *fl_file_dev(const struct file *file)
{
	struct fuse_dev *fud = READ_ONCE(file->private_data);

	if ((unsigned long)fud < PAGE_SIZE)
		return NULL;
	return fl_dev_conn(fud) && fl_pq_processing(fud) ? fud : NULL;
}

FL_MEMBER(fl_req_list, fuse_req, struct list_head, FL_REQ_LIST)
FL_MEMBER(fl_req_intr_entry, fuse_req, struct list_head, FL_REQ_INTR_ENTRY)
FL_MEMBER(fl_req_args, fuse_req, struct fuse_args *, FL_REQ_ARGS)
FL_MEMBER(fl_req_flags, fuse_req, unsigned long, FL_REQ_FLAGS)
FL_MEMBER(fl_req_in_h, fuse_req, struct fuse_in_header, FL_REQ_IN_H)
FL_MEMBER(fl_req_out_h, fuse_req, struct fuse_out_header, FL_REQ_OUT_H)
FL_MEMBER(fl_req_waitq, fuse_req, wait_queue_head_t, FL_REQ_WAITQ)

static inline struct fuse_req *fl_req_from_list(const struct list_head *list)
{
	return fl_container(list, FL_REQ_LIST);
}

static inline struct fuse_req *fl_req_from_intr(const struct list_head *entry)
{
	return fl_container(entry, FL_REQ_INTR_ENTRY);
}

static inline u64 fl_req_unique(const struct fuse_req *req)
{
	return fl_req_in_h(req)->unique;
}

static inline bool fl_req_test(const struct fuse_req *req, enum fl_fr flag)
{
	return test_bit(fl_fr_bits[flag], fl_req_flags(req));
}

static inline void fl_req_set(struct fuse_req *req, enum fl_fr flag)
{
	set_bit(fl_fr_bits[flag], fl_req_flags(req));
}

static inline void fl_req_clear(struct fuse_req *req, enum fl_fr flag)
{
	clear_bit(fl_fr_bits[flag], fl_req_flags(req));
}

FL_MEMBER(fl_args_in_numargs, fuse_args, u8, FL_ARGS_IN_NUMARGS)

static inline bool fl_args_in_pages(const struct fuse_args *args)
{
	return fl_bit(args, FL_ARGS_IN_PAGES);
}

/* How many input arguments there are, never more than have room. */
unsigned int fl_args_in_count(const struct fuse_args *args);
/* One of them; the last has no value when fl_args_in_pages(). */
u32 fl_args_in_size(const struct fuse_args *args, unsigned int i);
const void *fl_args_in_value(const struct fuse_args *args, unsigned int i);
void fl_args_set_in(struct fuse_args *args, unsigned int i, u32 size,
		    const void *value);

FL_MEMBER(fl_args_nodeid, fuse_args, u64, FL_ARGS_NODEID)
FL_MEMBER(fl_args_opcode, fuse_args, u32, FL_ARGS_OPCODE)
FL_MEMBER(fl_args_out_numargs, fuse_args, u8, FL_ARGS_OUT_NUMARGS)

/* The answer's, as for the input; the last may become shorter. */
#define FL_OUT_ARGS	2
unsigned int fl_args_out_count(const struct fuse_args *args);
u32 *fl_args_out_size(const struct fuse_args *args, unsigned int i);
void **fl_args_out_value(const struct fuse_args *args, unsigned int i);

/* What is called when a request has ended, before and since 7.3. */
typedef void (*fl_end_fn)(struct fuse_mount *fm, struct fuse_args *args,
			  int error);
typedef void (*fl_end_fn_7_3)(struct fuse_args *args, int error);

FL_MEMBER(fl_args_end, fuse_args, void *, FL_ARGS_END)

static inline bool fl_args_end_has_mount(void)
{
	return fl_locs[FL_ARGS_END].params == 3;
}

/* A piece of the pages that a request carries. */
struct fl_piece {
	struct page *page;	/* the first, offset may lie beyond it */
	u32 offset;
	u32 length;
};

/* Caller keeps the request from being completed.  False past the last one. */
bool fl_args_piece(const struct fuse_args *args, unsigned int i,
		   struct fl_piece *piece);
/* Pages of a struct fuse_args_pages. */
unsigned int fl_ap_num_pages(const void *ap);

/* sizeof(struct fuse_forget_link); fuse frees it with kfree(). */
static inline size_t fl_forget_size(void)
{
	return fl_size(FL_FORGET);
}

FL_MEMBER(fl_forget_one, fuse_forget_link, struct fuse_forget_one,
	  FL_FORGET_ONE)
FL_MEMBER(fl_forget_next, fuse_forget_link, struct fuse_forget_link *,
	  FL_FORGET_NEXT)

/* nodeid does not change; the others under fl_inode_lock(). */
FL_MEMBER(fl_inode_nodeid, fuse_inode, u64, FL_INODE_NODEID)
FL_MEMBER(fl_inode_nlookup, fuse_inode, u64, FL_INODE_NLOOKUP)
FL_MEMBER(fl_inode_i_time, fuse_inode, u64, FL_INODE_I_TIME)
FL_MEMBER(fl_inode_inval_mask, fuse_inode, u32, FL_INODE_INVAL_MASK)
FL_MEMBER(fl_inode_orig_i_mode, fuse_inode, umode_t, FL_INODE_ORIG_I_MODE)
FL_MEMBER(fl_inode_orig_ino, fuse_inode, u64, FL_INODE_ORIG_INO)
FL_MEMBER(fl_inode_attr_version, fuse_inode, u64, FL_INODE_ATTR_VERSION)
FL_MEMBER(fl_inode_state, fuse_inode, unsigned long, FL_INODE_STATE)
FL_MEMBER(fl_inode_lock, fuse_inode, spinlock_t, FL_INODE_LOCK)
/* Of a regular file only. */
FL_MEMBER(fl_inode_write_files, fuse_inode, struct list_head,
	  FL_INODE_WRITE_FILES)
FL_MEMBER(fl_inode_writepages, fuse_inode, struct rb_root, FL_INODE_WRITEPAGES)
/* Comes and goes with the inode's passthrough files. */
FL_MEMBER(fl_inode_fb, fuse_inode, struct fuse_backing *, FL_INODE_FB)

/* Caller knows that the inode is fuse's: fl_is_fuse_sb(). */
static inline struct fuse_inode *fl_inode(const struct inode *inode)
{
	return fl_container(inode, FL_INODE_INODE);
}

static inline bool fl_inode_is_bad(const struct fuse_inode *fi)
{
	return test_bit(fl_i_bad_bit, fl_inode_state(fi));
}

/*
 * Pages of a regular file that are being written back through copies
 * (fuse_writepage_args).  Takes fl_inode_lock().
 */
unsigned int fl_inode_writeback_copies(const struct fuse_inode *fi);

/* A superblock of type fuse, fuseblk or virtiofs. */
bool fl_is_fuse_sb(const struct super_block *sb);

FL_MEMBER(fl_file_mount, fuse_file, struct fuse_mount *, FL_FILE_FM)
FL_MEMBER(fl_file_kh, fuse_file, u64, FL_FILE_KH)
FL_MEMBER(fl_file_fh, fuse_file, u64, FL_FILE_FH)
FL_MEMBER(fl_file_nodeid, fuse_file, u64, FL_FILE_NODEID)
FL_MEMBER(fl_file_open_flags, fuse_file, u32, FL_FILE_OPEN_FLAGS)
/* On fi->write_files, under fl_inode_lock(). */
FL_MEMBER(fl_file_write_entry, fuse_file, struct list_head, FL_FILE_WRITE_ENTRY)
FL_MEMBER(fl_file_readdir_pos, fuse_file, loff_t, FL_FILE_READDIR_POS)
FL_MEMBER(fl_file_readdir_cache_off, fuse_file, loff_t,
	  FL_FILE_READDIR_CACHE_OFF)
FL_MEMBER(fl_file_readdir_version, fuse_file, u64, FL_FILE_READDIR_VERSION)
/* On fc->polled_files, under fl_conn_lock(); fuse puts it there when somebody
 * waits, and takes it off at release.
 */
FL_MEMBER(fl_file_polled_node, fuse_file, struct rb_node, FL_FILE_POLLED_NODE)
/* NULL of one that was opened without the daemon (no_open): it is released without, too. */
FL_MEMBER(fl_file_args, fuse_file, void *, FL_FILE_ARGS)
FL_MEMBER(fl_file_iomode, fuse_file, u32, FL_FILE_IOMODE)
FL_MEMBER(fl_file_passthrough, fuse_file, struct file *, FL_FILE_PASSTHROUGH)

/*
 * The fuse_file of an open file, or NULL when fuse did not open it: not on a
 * fuse superblock, O_PATH, or an inode with operations of its own (FIFO,
 * socket, device).  Good as long as the caller keeps the file open.
 */
struct fuse_file *fl_file(const struct file *file);

/* Neither changes as long as it has an id. */
FL_MEMBER(fl_backing_file, fuse_backing, struct file *, FL_BACKING_FILE)
FL_MEMBER(fl_backing_cred, fuse_backing, const struct cred *, FL_BACKING_CRED)

/* Mount id as in mountinfo; false when struct mount is not known. */
bool fl_mnt_id(const struct vfsmount *mnt, int *id);

/*
 * The files in a message of a unix socket's queue, or NULL.  In no header since 6.15
 * (net/unix/af_unix.h).  Caller has the queue locked, and iolock.
 */
const struct scm_fp_list *fl_skb_files(const struct sk_buff *skb);

#endif /* FUSECR_LAYOUT_H */
