// SPDX-License-Identifier: GPL-2.0
/*
 * What waits for the daemon, for a bounded time, see bounded.h.
 *
 * By a worker: the daemon may never answer, and who waits for it waits as if
 * there were no signals.
 */

#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/refcount.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "bounded.h"
#include "conn.h"
#include "defer.h"
#include "inode.h"

struct job {
	int (*fn)(struct job *job);
	struct super_block *sb;		/* active */
	struct task_struct *task;	/* counted, or NULL */
	unsigned long address;
	u64 nodeid;
	struct completion done;
	refcount_t refs;		/* who waits and the worker */
	int err;
};

static void job_put(struct job *job)
{
	if (!refcount_dec_and_test(&job->refs))
		return;
	if (job->task)
		put_task_struct(job->task);
	kfree(job);
}

static void work(void *arg)
{
	struct job *job = arg;
	struct super_block *sb = job->sb;

	job->err = job->fn(job);
	complete(&job->done);
	job_put(job);
	deactivate_super(sb);
}

static int run(const struct job *what, const struct fusecr_conn *conn,
	       unsigned int seconds)
{
	struct job *job = kmemdup(what, sizeof(*what), GFP_KERNEL);
	long left;
	int err;

	if (!job)
		return -ENOMEM;
	if (job->task)
		get_task_struct(job->task);
	job->sb = conn->sb;
	atomic_inc(&job->sb->s_active);
	init_completion(&job->done);
	refcount_set(&job->refs, 2);
	fusecr_defer(work, job);
	left = wait_for_completion_killable_timeout(&job->done, seconds * HZ);
	err = left > 0 ? job->err : left ? -EINTR : -ETIMEDOUT;
	job_put(job);
	return err;
}

static int do_sync(struct job *job)
{
	struct super_block *sb = job->sb;
	int err;

	down_read(&sb->s_umount);
	/* Not of one that nobody can write to any more. */
	err = sb->s_root ? sync_filesystem(sb) : 0;
	up_read(&sb->s_umount);
	return err;
}

int fusecr_sync(const struct fusecr_conn *conn, unsigned int seconds)
{
	const struct job job = { .fn = do_sync };

	return run(&job, conn, seconds);
}

static int check_private(struct mm_struct *mm, const struct job *job)
{
	struct vm_area_struct *vma;
	int err = -EBADF;

	mmap_read_lock(mm);
	vma = find_vma(mm, job->address);
	if (vma && vma->vm_start <= job->address && vma->vm_file &&
	    file_inode(vma->vm_file)->i_sb == job->sb)
		err = (vma->vm_flags & VM_SHARED) ? -EINVAL : 0;
	mmap_read_unlock(mm);
	return err;
}

/* As ptrace() writes, which by itself writes into no shared mapping. */
static int do_own_page(struct job *job)
{
	struct mm_struct *mm = get_task_mm(job->task);
	int err = -ESRCH;
	u8 byte;

	if (mm) {
		err = check_private(mm, job);
		mmput(mm);
	}
	if (err)
		return err;
	if (access_process_vm(job->task, job->address, &byte, 1,
			      FOLL_FORCE) != 1 ||
	    access_process_vm(job->task, job->address, &byte, 1,
			      FOLL_FORCE | FOLL_WRITE) != 1)
		return -EIO;
	return 0;
}

int fusecr_own_page(const struct fusecr_conn *conn, struct task_struct *task,
		    unsigned long address, unsigned int seconds)
{
	const struct job job = {
		.fn = do_own_page,
		.task = task,
		.address = address,
	};

	return run(&job, conn, seconds);
}

static int do_drop_pages(struct job *job)
{
	struct inode *inode = fusecr_inode_find(job->sb, job->nodeid);
	int err = -EBUSY;

	if (!inode)
		return -ENOENT;
	/* Dirty ones would be written.  Who is being read is waited for. */
	if (!mapping_tagged(inode->i_mapping, PAGECACHE_TAG_DIRTY) &&
	    !mapping_tagged(inode->i_mapping, PAGECACHE_TAG_WRITEBACK))
		err = invalidate_inode_pages2(inode->i_mapping);
	fusecr_inode_put(inode);
	return err;
}

int fusecr_drop_pages(const struct fusecr_conn *conn, u64 nodeid,
		      unsigned int seconds)
{
	const struct job job = { .fn = do_drop_pages, .nodeid = nodeid };

	return run(&job, conn, seconds);
}
