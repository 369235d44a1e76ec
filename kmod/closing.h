/* SPDX-License-Identifier: GPL-2.0 */
/*
 * close(2) that starts over, and dup2(2) onto an open file.  The number is free, or
 * another file's, from the very beginning of the call; so the file gets it back.
 */
#ifndef FUSECR_CLOSING_H
#define FUSECR_CLOSING_H

#include <linux/types.h>

struct file;
struct inode;
struct task_struct;

/* Whether that is so for the system call of this number. */
bool fusecr_closing_can_undo(int nr);

/*
 * Of @task, which sleeps in such a call until a FLUSH of this handle is answered:
 * it has to start over then, whatever it returns.  The file, counted; or NULL, when
 * the file is not known for sure, or its number has another owner by now.  To be
 * called with the lock that keeps the request from being answered.
 */
struct file *fusecr_closing_undo(struct task_struct *task,
				 const struct inode *inode, u64 fh);

#endif /* FUSECR_CLOSING_H */
