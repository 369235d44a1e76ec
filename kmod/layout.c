// SPDX-License-Identifier: GPL-2.0
/*
 * fuse's private structures, see layout.h.
 *
 * The table names what is needed.  A member that moved gets another line with
 * the same id; the first line that fits counts.  Where it came from there may be
 * another of that name, so the older line does not count where the newer place
 * is: a kernel that moved it on is refused.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/btf.h>
#include <linux/err.h>
#include <linux/magic.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/rbtree.h>
#include <linux/fusecr.h>

#include "btf.h"
#include "layout.h"
#include "unknown.h"

#define BTF_DIR "/sys/kernel/btf/"

struct fl_loc fl_locs[FL_NR] __ro_after_init;
u8 fl_fr_bits[FL_FR_NR] __ro_after_init;
u8 fl_i_bad_bit __ro_after_init;

static char btf_path[sizeof(BTF_DIR) + MODULE_NAME_LEN] __ro_after_init;
static u32 features;

enum kind {
	INT,	/* integer, boolean, enum */
	PTR,
	AGG,	/* structure or union */
	ARR,
	BIT,	/* bit-field of one bit, or an integer that says yes or no */
	SIZE,	/* no member: size of the structure itself */
};

struct row {
	enum fl_id id;
	enum kind kind;
	u16 size;		/* bytes expected, 0: any */
	bool optional;
	const char *of;
	const char *member;
	const char *unless;	/* does not count where this is a member */
};

#define ROW(id, of, member, kind, size, optional) \
	{ FL_##id, kind, size, optional, #of, member, NULL }
#define OLD(id, of, member, unless, kind, size, optional) \
	{ FL_##id, kind, size, optional, #of, #member, #unless }
#define M(id, of, member, kind, type) \
	ROW(id, of, #member, kind, sizeof(type), false)
#define O(id, of, member, kind, type) \
	ROW(id, of, #member, kind, sizeof(type), true)
/* Its type is private, too: of any size. */
#define P(id, of, member, kind) ROW(id, of, #member, kind, 0, false)
#define OP(id, of, member, kind) ROW(id, of, #member, kind, 0, true)
#define B(id, member) ROW(CONN_##id, fuse_conn, #member, BIT, 0, false)
#define OB(id, member) ROW(CONN_##id, fuse_conn, #member, BIT, 0, true)
#define ARGS_BIT(id, member) \
	ROW(ARGS_##id, fuse_args, #member, BIT, 0, false)
/* Since 7.3 in fuse_chan ("fuse: split out channel", fs/fuse/fuse_dev_i.h). */
#define CHAN(id, member, kind, type) \
	ROW(CONN_##id, fuse_conn, "chan->" #member, kind, sizeof(type), false), \
	OLD(CONN_##id, fuse_conn, member, chan, kind, sizeof(type), false)
#define OCHAN(id, member, kind, type) \
	ROW(CONN_##id, fuse_conn, "chan->" #member, kind, sizeof(type), true), \
	OLD(CONN_##id, fuse_conn, member, chan, kind, sizeof(type), true)
#define S(id, of) ROW(id, of, NULL, SIZE, 0, false)
#define OS(id, of) ROW(id, of, NULL, SIZE, 0, true)

static const struct row rows[] __initconst = {
	M(MOUNT_FC, fuse_mount, fc, PTR, void *),

	M(CONN_LOCK, fuse_conn, lock, AGG, spinlock_t),
	ROW(CONN_DEV_LOCK, fuse_conn, "chan->lock", AGG, sizeof(spinlock_t), false),
	OLD(CONN_DEV_LOCK, fuse_conn, lock, chan, AGG, sizeof(spinlock_t), false),
	CHAN(BG_LOCK, bg_lock, AGG, spinlock_t),
	M(CONN_USER_ID, fuse_conn, user_id, AGG, kuid_t),
	M(CONN_GROUP_ID, fuse_conn, group_id, AGG, kgid_t),
	M(CONN_PID_NS, fuse_conn, pid_ns, PTR, void *),
	M(CONN_USER_NS, fuse_conn, user_ns, PTR, void *),
	M(CONN_MAX_READ, fuse_conn, max_read, INT, u32),
	M(CONN_MAX_WRITE, fuse_conn, max_write, INT, u32),
	M(CONN_MAX_PAGES, fuse_conn, max_pages, INT, u32),
	O(CONN_NAME_MAX, fuse_conn, name_max, INT, u32),
	ROW(CONN_IQ, fuse_conn, "chan->iq", AGG, 0, false),
	OLD(CONN_IQ, fuse_conn, iq, chan, AGG, 0, false),
	M(CONN_KHCTR, fuse_conn, khctr, AGG, atomic64_t),
	M(CONN_POLLED_FILES, fuse_conn, polled_files, AGG, struct rb_root),
	CHAN(MAX_BACKGROUND, max_background, INT, u32),
	M(CONN_CONGESTION_THRESHOLD, fuse_conn, congestion_threshold, INT, u32),
	CHAN(NUM_BACKGROUND, num_background, INT, u32),
	CHAN(ACTIVE_BACKGROUND, active_background, INT, u32),
	CHAN(BG_QUEUE, bg_queue, AGG, struct list_head),
	CHAN(BLOCKED, blocked, INT, int),
	CHAN(BLOCKED_WAITQ, blocked_waitq, AGG, wait_queue_head_t),
	CHAN(CONNECTED, connected, INT, u32),
	ROW(CONN_ABORTED, fuse_conn, "chan->abort_with_err", INT, sizeof(bool), false),
	OLD(CONN_ABORTED, fuse_conn, aborted, chan, INT, sizeof(bool), false),
	CHAN(NUM_WAITING, num_waiting, AGG, atomic_t),
	M(CONN_MINOR, fuse_conn, minor, INT, u32),
	M(CONN_DEV, fuse_conn, dev, INT, dev_t),
	M(CONN_SCRAMBLE_KEY, fuse_conn, scramble_key, ARR, u32[4]),
	M(CONN_ATTR_VERSION, fuse_conn, attr_version, AGG, atomic64_t),
	CHAN(DEVICES, devices, AGG, struct list_head),
	M(CONN_MOUNTS, fuse_conn, mounts, AGG, struct list_head),
	O(CONN_DAX, fuse_conn, dax, PTR, void *),
	OCHAN(RING, ring, PTR, void *),
	O(CONN_EPOCH, fuse_conn, epoch, AGG, atomic_t),
	OCHAN(REQ_TIMEOUT, timeout.req_timeout, INT, u32),
	O(CONN_MAX_STACK_DEPTH, fuse_conn, max_stack_depth, INT, int),
	O(CONN_BLKBITS, fuse_conn, blkbits, INT, u8),
	O(CONN_BACKING, fuse_conn, backing_files_map, AGG, struct idr),

	B(ERROR, conn_error),
	B(INIT, conn_init),
	B(DEFAULT_PERMISSIONS, default_permissions),
	B(ALLOW_OTHER, allow_other),
	B(SYNC_FS, sync_fs),
	B(ASYNC_READ, async_read),
	B(ABORT_ERR, abort_err),
	B(ATOMIC_O_TRUNC, atomic_o_trunc),
	B(EXPORT_SUPPORT, export_support),
	B(WRITEBACK_CACHE, writeback_cache),
	B(PARALLEL_DIROPS, parallel_dirops),
	B(HANDLE_KILLPRIV, handle_killpriv),
	B(CACHE_SYMLINKS, cache_symlinks),
	B(HANDLE_KILLPRIV_V2, handle_killpriv_v2),
	B(SETXATTR_EXT, setxattr_ext),
	B(BIG_WRITES, big_writes),
	B(DONT_MASK, dont_mask),
	B(AUTO_INVAL_DATA, auto_inval_data),
	B(EXPLICIT_INVAL_DATA, explicit_inval_data),
	B(DO_READDIRPLUS, do_readdirplus),
	B(READDIRPLUS_AUTO, readdirplus_auto),
	B(ASYNC_DIO, async_dio),
	B(POSIX_ACL, posix_acl),
	B(AUTO_SUBMOUNTS, auto_submounts),
	B(INIT_SECURITY, init_security),
	B(INODE_DAX, inode_dax),
	OB(CREATE_SUPP_GROUP, create_supp_group),
	OB(DIRECT_IO_ALLOW_MMAP, direct_io_allow_mmap),
	OB(PASSTHROUGH, passthrough),
	OCHAN(IO_URING, io_uring, BIT, char[0]),

	B(NO_OPEN, no_open),
	B(NO_OPENDIR, no_opendir),
	B(NO_FSYNC, no_fsync),
	B(NO_FSYNCDIR, no_fsyncdir),
	B(NO_FLUSH, no_flush),
	B(NO_SETXATTR, no_setxattr),
	B(NO_GETXATTR, no_getxattr),
	B(NO_LISTXATTR, no_listxattr),
	B(NO_REMOVEXATTR, no_removexattr),
	B(NO_LOCK, no_lock),
	B(NO_ACCESS, no_access),
	B(NO_CREATE, no_create),
	CHAN(NO_INTERRUPT, no_interrupt, BIT, char[0]),
	B(NO_BMAP, no_bmap),
	B(NO_POLL, no_poll),
	B(NO_FLOCK, no_flock),
	B(NO_FALLOCATE, no_fallocate),
	B(NO_RENAME2, no_rename2),
	B(NO_LSEEK, no_lseek),
	B(NO_COPY_FILE_RANGE, no_copy_file_range),
	B(NO_TMPFILE, no_tmpfile),
	OB(NO_STATX, no_statx),
	OB(NO_LINK, no_link),
	OB(NO_COPY_FILE_RANGE_64, no_copy_file_range_64),

	M(IQ_CONNECTED, fuse_iqueue, connected, INT, u32),
	M(IQ_LOCK, fuse_iqueue, lock, AGG, spinlock_t),
	M(IQ_WAITQ, fuse_iqueue, waitq, AGG, wait_queue_head_t),
	M(IQ_REQCTR, fuse_iqueue, reqctr, INT, u64),
	M(IQ_PENDING, fuse_iqueue, pending, AGG, struct list_head),
	M(IQ_INTERRUPTS, fuse_iqueue, interrupts, AGG, struct list_head),
	P(IQ_FORGET_HEAD, fuse_iqueue, forget_list_head, AGG),
	M(IQ_FORGET_TAIL, fuse_iqueue, forget_list_tail, PTR, void *),
	M(IQ_FASYNC, fuse_iqueue, fasync, PTR, void *),
	M(IQ_OPS, fuse_iqueue, ops, PTR, void *),
	S(OPS, fuse_iqueue_ops),
	O(OPS_SEND_REQ, fuse_iqueue_ops, send_req, PTR, void *),
	O(OPS_SEND_INTERRUPT, fuse_iqueue_ops, send_interrupt, PTR, void *),
	O(OPS_WAKE_PENDING, fuse_iqueue_ops, wake_pending_and_unlock, PTR, void *),
	O(OPS_WAKE_INTERRUPT, fuse_iqueue_ops, wake_interrupt_and_unlock, PTR, void *),
	O(OPS_RELEASE, fuse_iqueue_ops, release, PTR, void *),

	ROW(DEV_FC, fuse_dev, "chan->conn", PTR, sizeof(void *), false),
	OLD(DEV_FC, fuse_dev, fc, chan, PTR, sizeof(void *), false),
	M(DEV_ENTRY, fuse_dev, entry, AGG, struct list_head),
	M(PQ_CONNECTED, fuse_dev, pq.connected, INT, u32),
	M(PQ_LOCK, fuse_dev, pq.lock, AGG, spinlock_t),
	M(PQ_PROCESSING, fuse_dev, pq.processing, PTR, void *),
	M(PQ_IO, fuse_dev, pq.io, AGG, struct list_head),

	M(REQ_LIST, fuse_req, list, AGG, struct list_head),
	M(REQ_INTR_ENTRY, fuse_req, intr_entry, AGG, struct list_head),
	M(REQ_ARGS, fuse_req, args, PTR, void *),
	M(REQ_FLAGS, fuse_req, flags, INT, unsigned long),
	M(REQ_IN_H, fuse_req, in.h, AGG, struct fuse_in_header),
	M(REQ_OUT_H, fuse_req, out.h, AGG, struct fuse_out_header),
	M(REQ_WAITQ, fuse_req, waitq, AGG, wait_queue_head_t),

	M(ARGS_IN_NUMARGS, fuse_args, in_numargs, INT, u8),
	ARGS_BIT(IN_PAGES, in_pages),
	P(ARGS_IN_ARGS, fuse_args, in_args, ARR),
	S(ARGS, fuse_args),
	M(ARGS_NODEID, fuse_args, nodeid, INT, u64),
	M(ARGS_OPCODE, fuse_args, opcode, INT, u32),
	M(ARGS_OUT_NUMARGS, fuse_args, out_numargs, INT, u8),
	P(ARGS_OUT_ARGS, fuse_args, out_args, ARR),
	M(ARGS_END, fuse_args, end, PTR, void *),
	ARGS_BIT(FORCE, force),
	ARGS_BIT(NOCREDS, nocreds),
	ARGS_BIT(OUT_PAGES, out_pages),
	ARGS_BIT(OUT_ARGVAR, out_argvar),
	ARGS_BIT(PAGE_ZEROING, page_zeroing),
	ARGS_BIT(USER_PAGES, user_pages),
	S(IN_ARG, fuse_in_arg),
	M(IN_ARG_SIZE, fuse_in_arg, size, INT, u32),
	M(IN_ARG_VALUE, fuse_in_arg, value, PTR, void *),
	S(OUT_ARG, fuse_arg),
	M(OUT_ARG_SIZE, fuse_arg, size, INT, u32),
	M(OUT_ARG_VALUE, fuse_arg, value, PTR, void *),

	P(AP_ARGS, fuse_args_pages, args, AGG),
	O(AP_PAGES, fuse_args_pages, pages, PTR, void *),
	O(AP_PAGE_DESCS, fuse_args_pages, descs, PTR, void *),
	O(AP_NUM_PAGES, fuse_args_pages, num_pages, INT, u32),
	O(AP_FOLIOS, fuse_args_pages, folios, PTR, void *),
	O(AP_FOLIO_DESCS, fuse_args_pages, folio_descs, PTR, void *),
	/* Next to pages, it is theirs. */
	OLD(AP_FOLIO_DESCS, fuse_args_pages, descs, pages, PTR, sizeof(void *), true),
	O(AP_NUM_FOLIOS, fuse_args_pages, num_folios, INT, u32),
	O(AP_USES_FOLIOS, fuse_args_pages, uses_folios, INT, bool),
	OS(PAGE_DESC, fuse_page_desc),
	O(PAGE_DESC_LENGTH, fuse_page_desc, length, INT, u32),
	O(PAGE_DESC_OFFSET, fuse_page_desc, offset, INT, u32),
	OS(FOLIO_DESC, fuse_folio_desc),
	O(FOLIO_DESC_LENGTH, fuse_folio_desc, length, INT, u32),
	O(FOLIO_DESC_OFFSET, fuse_folio_desc, offset, INT, u32),

	S(FORGET, fuse_forget_link),
	M(FORGET_ONE, fuse_forget_link, forget_one, AGG,
	  struct fuse_forget_one),
	M(FORGET_NEXT, fuse_forget_link, next, PTR, void *),

	M(INODE_INODE, fuse_inode, inode, AGG, struct inode),
	M(INODE_NODEID, fuse_inode, nodeid, INT, u64),
	M(INODE_NLOOKUP, fuse_inode, nlookup, INT, u64),
	M(INODE_I_TIME, fuse_inode, i_time, INT, u64),
	M(INODE_INVAL_MASK, fuse_inode, inval_mask, INT, u32),
	M(INODE_ORIG_I_MODE, fuse_inode, orig_i_mode, INT, umode_t),
	M(INODE_ORIG_INO, fuse_inode, orig_ino, INT, u64),
	M(INODE_ATTR_VERSION, fuse_inode, attr_version, INT, u64),
	M(INODE_STATE, fuse_inode, state, INT, unsigned long),
	M(INODE_LOCK, fuse_inode, lock, AGG, spinlock_t),
	M(INODE_WRITE_FILES, fuse_inode, write_files, AGG, struct list_head),
	O(INODE_WRITEPAGES, fuse_inode, writepages, AGG, struct rb_root),
	O(INODE_FB, fuse_inode, fb, PTR, void *),
	O(WPA_ENTRY, fuse_writepage_args, writepages_entry, AGG,
	  struct rb_node),
	OP(WPA_AP, fuse_writepage_args, ia.ap, AGG),
	O(WPA_NEXT, fuse_writepage_args, next, PTR, void *),

	M(FILE_FM, fuse_file, fm, PTR, void *),
	M(FILE_KH, fuse_file, kh, INT, u64),
	M(FILE_FH, fuse_file, fh, INT, u64),
	M(FILE_NODEID, fuse_file, nodeid, INT, u64),
	M(FILE_OPEN_FLAGS, fuse_file, open_flags, INT, u32),
	M(FILE_WRITE_ENTRY, fuse_file, write_entry, AGG, struct list_head),
	M(FILE_READDIR_POS, fuse_file, readdir.pos, INT, loff_t),
	M(FILE_READDIR_CACHE_OFF, fuse_file, readdir.cache_off, INT, loff_t),
	M(FILE_READDIR_VERSION, fuse_file, readdir.version, INT, u64),
	M(FILE_POLLED_NODE, fuse_file, polled_node, AGG, struct rb_node),
	ROW(FILE_FLOCK, fuse_file, "flock", BIT, 0, false),
	O(FILE_ARGS, fuse_file, args, PTR, void *),
	O(FILE_IOMODE, fuse_file, iomode, INT, u32),
	O(FILE_PASSTHROUGH, fuse_file, passthrough, PTR, void *),

	O(BACKING_FILE, fuse_backing, file, PTR, void *),
	O(BACKING_CRED, fuse_backing, cred, PTR, void *),

	O(MNT_MNT, mount, mnt, AGG, struct vfsmount),
	O(MNT_ID, mount, mnt_id, INT, int),

	M(SKB_FILES, unix_skb_parms, fp, PTR, void *),
};

static struct fusecr_btf_struct structs[] __initdata = {
	{ "fuse_mount" },	{ "fuse_conn" },	{ "fuse_chan" },
	{ "fuse_iqueue" },	{ "fuse_iqueue_ops" },
	{ "fuse_dev" },		{ "fuse_req" },		{ "fuse_args" },
	{ "fuse_in_arg" },	{ "fuse_arg" },
	{ "fuse_args_pages" },	{ "fuse_page_desc" },	{ "fuse_folio_desc" },
	{ "fuse_forget_link" },	{ "fuse_inode" },
	{ "fuse_writepage_args" }, { "fuse_file" },	{ "fuse_backing" },
	{ "mount" },		{ "unix_skb_parms" },
};

#define FR(name) { "fuse_req_flag", "FR_" #name }

/* FL_FR_* in their order, then the others. */
static struct fusecr_btf_enumerator enums[] __initdata = {
	FR(ISREPLY), FR(FORCE), FR(BACKGROUND), FR(WAITING), FR(ABORTED),
	FR(INTERRUPTED), FR(LOCKED), FR(PENDING), FR(SENT), FR(FINISHED),
	FR(PRIVATE), FR(ASYNC),
	{ NULL, "FUSE_I_BAD" },
};

static u32 __init struct_type(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(structs); i++)
		if (!strcmp(structs[i].name, name))
			return structs[i].type;
	return 0;
}

static bool __init is_switch(const struct fusecr_btf_member *m)
{
	if (m->bit_size)
		return m->bit_size == 1;
	return m->kind == BTF_KIND_INT && m->bit_off % 8 == 0 &&
	       (m->size == sizeof(bool) || m->size == sizeof(u32));
}

static bool __init kind_fits(const struct row *row,
			     const struct fusecr_btf_member *m)
{
	if (row->kind == BIT)
		return is_switch(m);
	if (m->bit_size || m->bit_off % 8 ||
	    (row->size && row->size != m->size))
		return false;
	switch (m->kind) {
	case BTF_KIND_INT:
	case BTF_KIND_ENUM:
		return row->kind == INT;
	case BTF_KIND_PTR:
		return row->kind == PTR;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return row->kind == AGG;
	case BTF_KIND_ARRAY:
		return row->kind == ARR;
	}
	return false;
}

/* Where a switch is, as bits of a u32: fuse's bit-fields have no larger unit. */
static void __init place_switch(struct fl_loc *loc,
				const struct fusecr_btf_member *m, u32 off)
{
	u32 bit = m->bit_off - ALIGN_DOWN(off, sizeof(u32)) * 8;

	if (!m->bit_size && m->size == sizeof(u32))
		loc->mask = ~0;
	else if (!IS_ENABLED(CONFIG_CPU_BIG_ENDIAN))
		loc->mask = BIT(bit);
	else
		loc->mask = BIT(31 - bit - (m->bit_size ? 0 : 7));
}

static void __init place(struct fl_loc *loc, enum kind kind,
			 const struct fusecr_btf_member *m)
{
	u32 off = m->bit_off / 8;

	if (kind == BIT) {
		place_switch(loc, m, off);
		off = ALIGN_DOWN(off, sizeof(u32));
	}
	loc->deref = m->deref;
	if (m->deref) {
		loc->off = m->ptr_off;
		loc->off2 = off;
	} else {
		loc->off = off;
	}
	loc->size = m->size;
	loc->params = m->params;
	loc->there = true;
}

static bool __init row_counts(const struct fusecr_btf *btf,
			      const struct row *row)
{
	struct fusecr_btf_member m;

	return !row->unless ||
	       fusecr_btf_member(btf, struct_type(row->of), row->unless, &m);
}

static int __init resolve_row(const struct fusecr_btf *btf,
			      const struct row *row)
{
	u32 type = struct_type(row->of);
	struct fl_loc *loc = &fl_locs[row->id];
	struct fusecr_btf_member m;
	int err;

	if (!type)
		return -ENOENT;
	if (row->kind == SIZE) {
		loc->size = fusecr_btf_size(btf, type);
		loc->off = loc->size;
		loc->there = true;
		return 0;
	}
	err = fusecr_btf_member(btf, type, row->member, &m);
	if (err)
		return err;
	if (!kind_fits(row, &m))
		return -EINVAL;
	place(loc, row->kind, &m);
	return 0;
}

static int __init resolve_rows(const struct fusecr_btf *btf)
{
	const struct row *row, *wrong = NULL;
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		row = &rows[i];
		if (fl_locs[row->id].there || !row_counts(btf, row))
			continue;
		err = resolve_row(btf, row);
		if (!err)
			continue;
		if (err != -ENOENT && (!wrong || wrong->id != row->id))
			wrong = row;
		/* Another line may know where it is now. */
		if (i + 1 < ARRAY_SIZE(rows) && rows[i + 1].id == row->id &&
		    row_counts(btf, &rows[i + 1]))
			continue;
		/* What is there, and is not right, says more. */
		if (wrong && wrong->id == row->id) {
			row = wrong;
			err = -EINVAL;
		}
		if (row->optional) {
			if (err != -ENOENT)
				pr_warn("%s.%s is not what it was, not used\n",
					row->of, row->member);
			continue;
		}
		pr_err("this kernel's fuse has %s %s%s%s\n",
		       err == -ENOENT ? "no" : "an unknown kind of", row->of,
		       row->member ? "." : "", row->member ?: "");
		return err;
	}
	return 0;
}

static int __init resolve_enums(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(enums); i++) {
		if (!enums[i].found) {
			pr_err("this kernel's fuse has no %s\n", enums[i].name);
			return -ENOENT;
		}
		if (enums[i].value < 0 || enums[i].value >= BITS_PER_LONG) {
			pr_err("%s is no bit number\n", enums[i].name);
			return -EINVAL;
		}
		if (i < FL_FR_NR)
			fl_fr_bits[i] = enums[i].value;
	}
	fl_i_bad_bit = enums[FL_FR_NR].value;
	return 0;
}

/* Members that only together are of use. */
static int __init check_groups(void)
{
	bool pages = fl_has(FL_AP_PAGES) && fl_has(FL_AP_PAGE_DESCS) &&
		     fl_has(FL_AP_NUM_PAGES) && fl_has(FL_PAGE_DESC) &&
		     fl_has(FL_PAGE_DESC_LENGTH) && fl_has(FL_PAGE_DESC_OFFSET);
	bool folios = fl_has(FL_AP_FOLIOS) && fl_has(FL_AP_FOLIO_DESCS) &&
		      fl_has(FL_AP_NUM_FOLIOS) && fl_has(FL_FOLIO_DESC) &&
		      fl_has(FL_FOLIO_DESC_LENGTH) &&
		      fl_has(FL_FOLIO_DESC_OFFSET);

	fl_locs[FL_AP_PAGES].there = pages;
	fl_locs[FL_AP_FOLIOS].there = folios;
	if (!pages && !folios) {
		pr_err("this kernel's fuse has no fuse_args_pages.pages\n");
		return -ENOENT;
	}
	if (pages && folios && !fl_has(FL_AP_USES_FOLIOS)) {
		pr_err("this kernel's fuse has no fuse_args_pages.uses_folios\n");
		return -ENOENT;
	}
	if (!fl_locs[FL_IN_ARG].size || !fl_locs[FL_OUT_ARG].size) {
		pr_err("this kernel's fuse has an unknown kind of fuse_in_arg or fuse_arg\n");
		return -EINVAL;
	}
	if (fl_locs[FL_ARGS_END].params != 2 &&
	    fl_locs[FL_ARGS_END].params != 3) {
		pr_err("this kernel's fuse has an unknown kind of fuse_args.end\n");
		return -EINVAL;
	}
	if (!fl_has(FL_WPA_ENTRY) || !fl_has(FL_WPA_AP) || !fl_has(FL_WPA_NEXT))
		fl_locs[FL_INODE_WRITEPAGES].there = false;
	if (!fl_has(FL_BACKING_FILE) || !fl_has(FL_BACKING_CRED) ||
	    !fl_has(FL_INODE_FB))
		fl_locs[FL_CONN_BACKING].there = false;
	return 0;
}

int __init fl_init(void)
{
	const struct module *fuse = fuse_dev_operations.owner;
	struct fusecr_btf_names names = {
		.structs = structs,
		.nstructs = ARRAY_SIZE(structs),
		.enums = enums,
		.nenums = ARRAY_SIZE(enums),
	};
	struct fusecr_btf *btf;
	int err;

	/* Built in, its types are the kernel's own. */
	snprintf(btf_path, sizeof(btf_path), BTF_DIR "%s",
		 fuse ? fuse->name : "vmlinux");
	btf = fusecr_btf_load(BTF_DIR "vmlinux", fuse ? btf_path : NULL, &names);
	if (IS_ERR(btf))
		return PTR_ERR(btf);

	err = resolve_rows(btf) ?: resolve_enums() ?: check_groups() ?:
	      fl_unknown_init(btf, struct_type("fuse_conn"),
			      struct_type("fuse_chan"));
	fusecr_btf_free(btf);
	if (err)
		return err;

	if (fl_has(FL_FILE_IOMODE))
		features |= FUSECR_FEATURE_IOMODE;
	if (fl_has(FL_FILE_PASSTHROUGH))
		features |= FUSECR_FEATURE_PASSTHROUGH;
	if (fl_has(FL_CONN_RING))
		features |= FUSECR_FEATURE_URING;
	return 0;
}

const char *fl_btf_path(void)
{
	return btf_path;
}

u32 fl_features(void)
{
	return features;
}

void fl_features_add(u32 more)
{
	features |= more;
}
