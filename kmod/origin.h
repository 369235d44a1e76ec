/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a request was sent for.  Not each READ comes from read(2), nor each WRITE from
 * write(2): any system call may meet with a page fault, or write a core.
 */
#ifndef FUSECR_ORIGIN_H
#define FUSECR_ORIGIN_H

#include <linux/types.h>

struct file;
struct fuse_conn;
struct task_struct;

struct fusecr_origin {
	struct task_struct *task;	/* counted */
	int nr;				/* the system call it is in */
	unsigned long args[6];
};

/* @task is in a system call, and sleeps there until the caller lets go. */
void fusecr_origin_note(struct fusecr_origin *o, struct task_struct *task);
/* Takes one that is zeroed. */
void fusecr_origin_put(struct fusecr_origin *o);

/*
 * Whether it is a call that reads or writes an open file of this node, and one
 * that has an error and starts over, or has done a part and says how much, if what
 * it asks for at @offset fails.  @direct: to or from memory of the caller's own.
 * Not to be called with locks held.
 */
bool fusecr_origin_starts_over(const struct fusecr_origin *o,
			       const struct fuse_conn *fc, u64 nodeid,
			       u64 offset, bool direct);

/*
 * Of one that writes to @file, which the caller counts, at @offset: nobody else writes
 * there if it ends before that.
 */
bool fusecr_origin_writes_next(const struct fusecr_origin *o, struct file *file,
			       u64 offset);

/*
 * Whether it is a call that says how many bytes of its memory it has written,
 * and, if @at_position, one that moves the position of the open file.
 */
bool fusecr_origin_writes(const struct fusecr_origin *o, bool at_position);
/* The same of current. */
bool fusecr_origin_is_write(bool at_position);
/*
 * Whether current is in the call @nr with these arguments; or, where that is -1, in one
 * that may write @len bytes.
 */
bool fusecr_origin_is_call(int nr, const unsigned long *args, u32 len);

/* Whether it is an open() by which a file may have come to be already. */
bool fusecr_origin_may_create(const struct fusecr_origin *o);
/* Whether it is a call for an extended attribute, and for nothing else. */
bool fusecr_origin_is_getxattr(const struct fusecr_origin *o);

/*
 * What is known of an open file.  Many daemons give each the same handle: 0, as the
 * kernel does where it does not ask (FUSE_NO_OPEN_SUPPORT).
 */
struct fusecr_handle_of {
	const struct fuse_conn *fc;
	u64 nodeid;
	u64 fh;
	u32 flags, flags_known;	/* of the open file, and which of them */
	bool out;		/* where a call that has two writes to */
};

/*
 * The one that the call has among its arguments, counted; or NULL.  Not to be called
 * with locks held.
 */
struct file *fusecr_origin_own_file(const struct fusecr_origin *o,
				    const struct fusecr_handle_of *of);
/*
 * One that @task has open, counted; or NULL.  @several: there are others like it.  Not
 * to be called with locks held.
 */
struct file *fusecr_origin_find_file(struct task_struct *task,
				     const struct fusecr_handle_of *of, bool *several);

#endif /* FUSECR_ORIGIN_H */
