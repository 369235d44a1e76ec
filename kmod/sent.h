/* SPDX-License-Identifier: GPL-2.0 */
/* Files in messages between processes that nobody has received (SCM_RIGHTS). */
#ifndef FUSECR_SENT_H
#define FUSECR_SENT_H

struct file;
struct sock;
struct task_struct;

/*
 * The first unix socket from descriptor *@fd on that something is to be received
 * from; counted, and *@fd is its descriptor.  NULL: there is none.
 */
struct sock *fusecr_sent_next(struct task_struct *task, unsigned int *fd);

/* With the locks of a queue held, which keep the file: must not sleep. */
typedef int (*fusecr_sent_fn)(void *arg, struct file *file);

/*
 * Calls @fn for the files that can be received from @sk, from number *@at on, until
 * one call fails, and moves *@at to that one; also for those behind a socket that is
 * in a message itself, or a connection that nobody has accepted.  -EBUSY when
 * somebody receives just now, or there are more sockets than are looked at.
 * Caller has @sk counted; may sleep.
 */
int fusecr_sent_walk(struct sock *sk, unsigned int *at, fusecr_sent_fn fn,
		     void *arg);

#endif /* FUSECR_SENT_H */
