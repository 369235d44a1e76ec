/* SPDX-License-Identifier: GPL-2.0 */
/* What is dirty goes to the daemon. */
#ifndef FUSECR_SYNC_H
#define FUSECR_SYNC_H

struct fusecr_conn;

/*
 * As syncfs(2), for at most @seconds: -ETIMEDOUT, while it goes on in a worker
 * that pins the superblock and the module; -EINTR when killed, -ENOMEM, or the
 * error of the sync.
 */
int fusecr_sync(const struct fusecr_conn *conn, unsigned int seconds);

#endif /* FUSECR_SYNC_H */
