/* SPDX-License-Identifier: GPL-2.0 */
/* Files in messages between processes that nobody has received (SCM_RIGHTS). */
#ifndef FUSECR_SENT_H
#define FUSECR_SENT_H

#include <linux/types.h>

struct file;
struct sock;
struct task_struct;

/* Where a file is, as FUSECR_FILE_NUMBER tells it. */
#define FUSECR_SENT_NUMBER(fd, at)	((u64)(at) << 32 | (fd))

/*
 * The first unix socket from descriptor *@fd on that something is to be received
 * from; counted, and *@fd is its descriptor.  NULL: there is none.
 */
struct sock *fusecr_sent_next(struct task_struct *task, unsigned int *fd);

/*
 * With the locks of a queue held, which keep the file: must not sleep.  @behind: it
 * cannot be received from that socket, only from one that comes with it.
 */
typedef int (*fusecr_sent_fn)(void *arg, struct file *file, bool behind);

/*
 * Calls @fn for the files that can be received from @sk, from number *@at on, until
 * one call fails, and moves *@at to that one; also for those behind a socket that is
 * in a message itself, or a connection that nobody has accepted.  -EBUSY when
 * somebody receives just now, or there are more sockets than are looked at.
 * Caller has @sk counted; may sleep.
 */
int fusecr_sent_walk(struct sock *sk, unsigned int *at, fusecr_sent_fn fn,
		     void *arg);

/* The file of that number, counted; NULL: there is none, -EBUSY as above. */
struct file *fusecr_sent_find(struct task_struct *task, u64 number);

#endif /* FUSECR_SENT_H */
