/* SPDX-License-Identifier: GPL-2.0 */
/*
 * close(2) that starts over.  The descriptor is free from its very beginning, so
 * what starts over finds none: unless the file is there again.
 */
#ifndef FUSECR_CLOSING_H
#define FUSECR_CLOSING_H

#include <linux/types.h>

struct file;
struct inode;
struct task_struct;

/*
 * Gives @task, which sleeps in close(2) until a FLUSH of this handle is
 * answered, the descriptor back: the call may fail and start over then.  The file,
 * counted; or NULL, when it is not close(2), or the number has another owner by
 * now.  To be called with the lock that keeps the request from being answered.
 */
struct file *fusecr_closing_undo(struct task_struct *task,
				 const struct inode *inode, u64 fh);

#endif /* FUSECR_CLOSING_H */
