/* SPDX-License-Identifier: GPL-2.0 */
/* The only version checks.  fuse's own structures are layout.c's. */
#ifndef FUSECR_COMPAT_H
#define FUSECR_COMPAT_H

#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/fsnotify_backend.h>
#include <linux/fuse.h>
#include <linux/mm.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <linux/version.h>
#include <net/genetlink.h>

/* 6.3: "filelock: move file locking definitions to separate header file". */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
#include <linux/filelock.h>
#endif

/* FUSE_INIT flags that older headers lack; the numbers are ABI. */
#ifndef FUSE_CREATE_SUPP_GROUP
#define FUSE_CREATE_SUPP_GROUP		(1ULL << 34)	/* 6.3 */
#endif
#ifndef FUSE_DIRECT_IO_ALLOW_MMAP
#define FUSE_DIRECT_IO_ALLOW_MMAP	(1ULL << 36)	/* 6.6 */
#endif
#ifndef FUSE_PASSTHROUGH
#define FUSE_PASSTHROUGH		(1ULL << 37)	/* 6.9 */
#endif

#ifndef FOPEN_PARALLEL_DIRECT_WRITES
#define FOPEN_PARALLEL_DIRECT_WRITES	(1 << 6)		/* 6.2 */
#endif
#ifndef FUSE_OVER_IO_URING
#define FUSE_OVER_IO_URING		(1ULL << 41)	/* 6.14 */
#endif
#ifndef FUSE_REQUEST_TIMEOUT
#define FUSE_REQUEST_TIMEOUT		(1ULL << 42)	/* 6.15 */
#endif

/* In the unique id of a request that is sent again after NOTIFY_RESEND. */
#ifndef FUSE_UNIQUE_RESEND
#define FUSE_UNIQUE_RESEND		(1ULL << 63)	/* 6.9 */
#endif

/* Requests that older headers lack: numbers of an enum, and ABI, too. */
#define COMPAT_STATX			52		/* 6.6 */
#define COMPAT_COPY_FILE_RANGE_64	53		/* 6.18 */

/*
 * A refusal with numbers in it, of at most 80 characters (6.2: "netlink: add
 * support for formatted extack messages"); before, @text alone.
 */
#ifdef NL_SET_ERR_MSG_FMT
#define fusecr_refuse(extack, text, fmt, ...) \
	NL_SET_ERR_MSG_FMT(extack, KBUILD_MODNAME ": " text fmt, ##__VA_ARGS__)
#else
#define fusecr_refuse(extack, text, fmt, ...) \
	NL_SET_ERR_MSG(extack, KBUILD_MODNAME ": " text)
#endif

/* 6.6: "genetlink: add struct genl_info to struct genl_dumpit_info". */
static inline struct nlattr **compat_dump_attrs(struct netlink_callback *cb)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
	return genl_info_dump(cb)->attrs;
#else
	return (struct nlattr **)genl_dumpit_info(cb)->attrs;
#endif
}

/* 6.2: "genetlink: introduce split op representation". */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
#define compat_genl_op genl_split_ops
#else
#define compat_genl_op genl_ops
#endif

/* The times went behind accessors: ctime in 6.6, the others in 6.7. */
static inline struct timespec64 compat_atime(const struct inode *inode)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	return inode_get_atime(inode);
#else
	return inode->i_atime;
#endif
}

static inline struct timespec64 compat_mtime(const struct inode *inode)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	return inode_get_mtime(inode);
#else
	return inode->i_mtime;
#endif
}

static inline struct timespec64 compat_ctime(const struct inode *inode)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
	return inode_get_ctime(inode);
#else
	return inode->i_ctime;
#endif
}

/* 6.17: the spinlock of a fs_struct is a seqlock's now. */
static inline void compat_fs_lock(struct fs_struct *fs)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
	read_seqlock_excl(&fs->seq);
#else
	spin_lock(&fs->lock);
#endif
}

static inline void compat_fs_unlock(struct fs_struct *fs)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
	read_sequnlock_excl(&fs->seq);
#else
	spin_unlock(&fs->lock);
#endif
}

/* 6.19: "fs: make sure ->i_state accesses go through accessors". */
static inline bool compat_inode_is_new(struct inode *inode)
{
	lockdep_assert_held(&inode->i_lock);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0)
	return inode_state_read(inode) & I_NEW;
#else
	return inode->i_state & I_NEW;
#endif
}

static inline void compat_inode_set_linkable(struct inode *inode)
{
	lockdep_assert_held(&inode->i_lock);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0)
	inode_state_set(inode, I_LINKABLE);
#else
	inode->i_state |= I_LINKABLE;
#endif
}

static inline bool compat_inode_is_linkable(struct inode *inode)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0)
	return inode_state_read_once(inode) & I_LINKABLE;
#else
	return READ_ONCE(inode->i_state) & I_LINKABLE;
#endif
}

/*
 * Whether there are marks of FAN_MARK_FILESYSTEM.  6.10: "fsnotify: create helpers to
 * get sb and connp from object" and "fsnotify: lazy attach fsnotify_sb_info state to
 * sb", which keeps it until the superblock ends.
 */
static inline bool compat_sb_is_watched(struct super_block *sb)
{
#if !IS_ENABLED(CONFIG_FSNOTIFY)
	return false;
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
	const struct fsnotify_sb_info *info = fsnotify_sb_info(sb);

	return info && rcu_access_pointer(info->sb_marks);
#else
	return rcu_access_pointer(sb->s_fsnotify_marks);
#endif
}

/* The union that the member is in has no name any more since 7.1. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 1, 0)
#define compat_d_alias d_alias
#else
#define compat_d_alias d_u.d_alias
#endif

/*
 * What a file was opened as: the mapping of a passthrough file is that of its
 * backing file.  6.7: "fs: store real path instead of fake path in backing
 * file f_path".
 */
static inline const struct path *compat_user_path(const struct file *file)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	return file_user_path((struct file *)file);
#else
	return &file->f_path;
#endif
}

/* 6.5: "fs: use backing_file container for internal files with "fake" f_path". */
static inline bool compat_is_backing(const struct file *file)
{
#ifdef FMODE_BACKING
	return file->f_mode & FMODE_BACKING;
#else
	return false;
#endif
}

/*
 * The program that @mm runs, counted, or NULL.  6.7: "file: convert to
 * SLAB_TYPESAFE_BY_RCU" changed what get_file_rcu() takes.
 */
static inline struct file *compat_exe_file(struct mm_struct *mm)
{
	struct file *file;

	rcu_read_lock();
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	file = get_file_rcu(&mm->exe_file);
#else
	file = rcu_dereference(mm->exe_file);
	if (file && !get_file_rcu(file))
		file = NULL;
#endif
	rcu_read_unlock();
	return file;
}

/*
 * Whether both keep writers off as a running program, or neither: files under
 * pre-content watches do not (6.14, exe_file_deny_write_access()).
 */
static inline bool compat_same_deny(const struct file *a, const struct file *b)
{
#ifdef FMODE_FSNOTIFY_HSM
	return !FMODE_FSNOTIFY_HSM(a->f_mode) == !FMODE_FSNOTIFY_HSM(b->f_mode);
#else
	return true;
#endif
}

/* Bits by CAP_*.  6.3: "capability: just use a 'u64' instead of a 'u32[2]' array". */
static inline u64 compat_cap_value(kernel_cap_t cap)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	return cap.val;
#else
	return (u64)cap.cap[1] << 32 | cap.cap[0];
#endif
}

/* 6.4: "mm: introduce per-VMA locks": faults need not take mmap_lock. */
static inline void compat_vma_start_write(struct vm_area_struct *vma)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
	vma_start_write(vma);
#endif
}

/* A POSIX lock, but for its range.  6.9: "filelock: split common fields into struct
 * file_lock_core".
 */
static inline void compat_posix_lock(struct file_lock *lock, struct file *file,
				     const void *owner, int pid,
				     unsigned char type)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
	lock->c.flc_file = file;
	lock->c.flc_owner = (fl_owner_t)owner;
	lock->c.flc_pid = pid;
	lock->c.flc_flags = FL_POSIX;
	lock->c.flc_type = type;
#else
	lock->fl_file = file;
	lock->fl_owner = (fl_owner_t)owner;
	lock->fl_pid = pid;
	lock->fl_flags = FL_POSIX;
	lock->fl_type = type;
#endif
}

/* Threads that the kernel made for a process and that never leave it (6.4). */
#ifdef PF_USER_WORKER
#define COMPAT_PF_WORKER (PF_IO_WORKER | PF_USER_WORKER)
#else
#define COMPAT_PF_WORKER PF_IO_WORKER
#endif

#endif /* FUSECR_COMPAT_H */
