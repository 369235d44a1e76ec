/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Last references are dropped by a worker.
 *
 * To end a superblock or an inode can mean to write to the daemon and wait for
 * its answer.  That must happen, but not to the task that asked a question.
 */
#ifndef FUSECR_DEFER_H
#define FUSECR_DEFER_H

int fusecr_defer_init(void);
/* Waits for those that run; the module is pinned until they have. */
void fusecr_defer_exit(void);

/* Calls @fn(@object) from a worker.  May sleep to allocate, cannot fail. */
void fusecr_defer(void (*fn)(void *object), void *object);

#endif /* FUSECR_DEFER_H */
