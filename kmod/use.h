/* SPDX-License-Identifier: GPL-2.0 */
/* Which open file a task has in one place, and another one in its stead. */
#ifndef FUSECR_USE_H
#define FUSECR_USE_H

#include <linux/fs.h>
#include <linux/types.h>

struct fusecr_conn;
struct mm_struct;
struct path;
struct task_struct;

/* A place where a task has a file or directory; as struct fusecr_set_file says it. */
struct fusecr_use {
	s32 pid;
	u32 use;
	u64 number;
};

/*
 * The file that is there, counted.  -EINVAL for a use that has no file,
 * -ESRCH without that task, -EBADF when there is none of this connection,
 * -ESTALE when it is of another node, -EBUSY when somebody receives where it is.
 * May sleep.
 */
struct file *fusecr_use_find(const struct fusecr_conn *conn,
			     const struct fusecr_use *use, u64 nodeid);

/*
 * Where it is, counted, also what has no open file of fuse's behind it: O_PATH, a
 * task's directories.  Errors as above.  May sleep.
 */
int fusecr_use_path(const struct fusecr_conn *conn, const struct fusecr_use *use,
		    u64 nodeid, struct path *path);

/* The task, counted, by its id in the caller's pid namespace, or NULL. */
struct task_struct *fusecr_use_task(s32 nr);

/* The address of its descriptors, to be compared and hashed only; NULL: it is gone. */
const void *fusecr_use_table(struct task_struct *task);

/* Where the mapping at @address ends; 0 when there is none. */
u64 fusecr_use_end(struct mm_struct *mm, u64 address);

/* The address space that a mapping or a program is in, with a user, or NULL. */
struct mm_struct *fusecr_use_mm(const struct fusecr_use *use);

/*
 * Puts @to, of the same inode, where @from is: a mapping or a program.  On
 * success the caller's reference to @to has become one to @from.  -ESTALE when
 * @from is not there, -EINTR.  Caller has a user of @mm.  May sleep.
 */
int fusecr_use_exchange(struct mm_struct *mm, const struct fusecr_use *use,
			struct file *from, struct file *to);

#endif /* FUSECR_USE_H */
