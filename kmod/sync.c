// SPDX-License-Identifier: GPL-2.0
/*
 * What is dirty goes to the daemon, see sync.h.
 *
 * By a worker: the daemon may never answer, and sync_filesystem() waits for it
 * as if there were no signals.
 */

#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/refcount.h>
#include <linux/slab.h>

#include "conn.h"
#include "defer.h"
#include "sync.h"

struct sync {
	struct super_block *sb;		/* active */
	struct completion done;
	refcount_t refs;		/* who waits and the worker */
	int err;
};

static void sync_put(struct sync *sync)
{
	if (refcount_dec_and_test(&sync->refs))
		kfree(sync);
}

static void do_sync(void *arg)
{
	struct sync *sync = arg;
	struct super_block *sb = sync->sb;

	down_read(&sb->s_umount);
	/* Not of one that nobody can write to any more. */
	sync->err = sb->s_root ? sync_filesystem(sb) : 0;
	up_read(&sb->s_umount);
	complete(&sync->done);
	sync_put(sync);
	deactivate_super(sb);
}

int fusecr_sync(const struct fusecr_conn *conn, unsigned int seconds)
{
	struct sync *sync = kmalloc(sizeof(*sync), GFP_KERNEL);
	long left;
	int err;

	if (!sync)
		return -ENOMEM;
	sync->sb = conn->sb;
	atomic_inc(&sync->sb->s_active);
	init_completion(&sync->done);
	refcount_set(&sync->refs, 2);
	fusecr_defer(do_sync, sync);
	left = wait_for_completion_killable_timeout(&sync->done, seconds * HZ);
	err = left > 0 ? sync->err : left ? -EINTR : -ETIMEDOUT;
	sync_put(sync);
	return err;
}
