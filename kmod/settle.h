/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A kept WRITE that the daemon has done takes effect in the kernel before its thread asks
 * again, as if that one had the answer already: the end of the file, the position of the open
 * file, what is cached there.  So others can go on behind it, where it ends; the thread is
 * only told the result (claim.c).
 */
#ifndef FUSECR_SETTLE_H
#define FUSECR_SETTLE_H

#include <linux/types.h>

struct fusecr_kept;
struct fusecr_settling;

/* From where to where a WRITE that is answered was done; false: it was not. */
bool fusecr_settle_range(const struct fusecr_kept *k, loff_t *from, loff_t *to);

/*
 * Of one that is answered and neither settled nor claimed yet (kept_is_waited_for());
 * NULL: of another.  Caller holds kept_lock.
 */
struct fusecr_settling *fusecr_settle_prepare(struct fusecr_kept *k);
/* Of one that the caller claims, and lets go of.  Without locks. */
void fusecr_settle_claimed(struct fusecr_kept *k);
/* Some time: it waits for who has the file locked.  Takes NULL; without locks. */
void fusecr_settle(struct fusecr_settling *s);

#endif /* FUSECR_SETTLE_H */
