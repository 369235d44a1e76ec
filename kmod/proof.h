/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whether the fuse that runs is the one that BTF describes.
 *
 * The kernel shows what is in fuse's own file, and believes it. Someone may have
 * put another build's there: complete, and wrong by some bytes. So what is known
 * by other means as well is compared with what is found by BTF. No structure is
 * looked at in full: one member more or less before the last that is compared
 * moves that one, too.
 */
#ifndef FUSECR_PROOF_H
#define FUSECR_PROOF_H

#include <linux/types.h>

struct fuse_conn;
struct super_block;

/* Of fuse_iqueue, at load: -EINVAL, and says why with pr_err(); -ENOMEM. */
int fusecr_proof_iqueue(void);

/*
 * Of fuse_conn: false, and says why with pr_err().  Caller has pinned the first
 * superblock, and found it by fuse_conn.dev.
 */
bool fusecr_proof_conn(const struct fuse_conn *fc);

/*
 * A connection has the device number of its first superblock, others are
 * submounts: is @sb, which has another, none?  Caller holds rcu_read_lock() and
 * has seen an active reference.
 */
bool fusecr_proof_foreign(const struct super_block *sb);

#endif /* FUSECR_PROOF_H */
