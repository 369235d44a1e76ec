/* SPDX-License-Identifier: GPL-2.0 */
/* Lets privileged tasks through allow_other's check on chosen connections. */
#ifndef FUSECR_ADMIT_H
#define FUSECR_ADMIT_H

#include <linux/types.h>

struct fuse_conn;
struct fusecr_admit;

/* Adds FUSECR_FEATURE_ADMIT when fuse's check can be probed.  Cannot fail. */
void fusecr_admit_init(void);
void fusecr_admit_exit(void);

/*
 * From here to fusecr_admit_stop(), which takes NULL, tasks with CAP_SYS_ADMIN
 * in the initial user namespace may use @fc, which the caller keeps.  May
 * sleep.  -EOPNOTSUPP, -ENOMEM.
 */
struct fusecr_admit *fusecr_admit_start(const struct fuse_conn *fc);
void fusecr_admit_stop(struct fusecr_admit *admit);

#endif /* FUSECR_ADMIT_H */
