// SPDX-License-Identifier: GPL-2.0
/*
 * All tasks and what they hold open.
 *
 * Nothing is referenced but the task: the last reference to a file, a mapping
 * or a directory of a FUSE mount may turn into a message to its daemon and a
 * wait for the answer, and with a reference of ours it could be us who drops
 * it.  So callers look at things under the locks that keep them in place.
 */

#include <linux/delay.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs_struct.h>
#include <linux/idr.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "compat.h"
#include "tasks.h"

/* What is visited before the locks are let go. */
#define BATCH		512

/* How often, and how long, to wait for somebody's mmap_lock. */
#define MMAP_TRIES	3
#define MMAP_WAIT_US	200

struct task_struct *fusecr_task_get(struct fusecr_task_cursor *cursor)
{
	struct task_struct *task = NULL;
	struct pid *pid;

	rcu_read_lock();
	while ((pid = idr_get_next(&init_pid_ns.idr, &cursor->tid))) {
		task = pid_task(pid, PIDTYPE_PID);
		if (task && (!cursor->tgid ||
			     task_tgid_nr(task) == cursor->tgid)) {
			get_task_struct(task);
			break;
		}
		task = NULL;
		cursor->tid++;
	}
	rcu_read_unlock();
	return task;
}

/*
 * Is @task the first thread of its group with this value of @member?  Threads
 * nearly always share all three; the leader may have exited before the others.
 */
#define is_first(task, member)						\
({									\
	struct task_struct *_t, *_task = (task);			\
	void *_mine = READ_ONCE(_task->member);				\
	bool _first = _mine;						\
									\
	rcu_read_lock();						\
	for_each_thread(_task, _t) {					\
		if (_t == _task)					\
			break;						\
		if (READ_ONCE(_t->member) == _mine) {			\
			_first = false;					\
			break;						\
		}							\
	}								\
	rcu_read_unlock();						\
	_first;								\
})

struct fd_walk {
	fusecr_fd_fn fn;
	void *arg;
	unsigned int fd;
	unsigned int left;
};

static int visit_fd(const void *arg, struct file *file, unsigned int fd)
{
	struct fd_walk *walk = (void *)arg;

	walk->fd = fd;
	if (!walk->left--)
		return -EAGAIN;
	return walk->fn(walk->arg, file, fd);
}

int fusecr_task_files(struct task_struct *task, unsigned int *fd,
		      fusecr_fd_fn fn, void *arg)
{
	struct fd_walk walk = { .fn = fn, .arg = arg, .fd = *fd };
	int err;

	if (!is_first(task, files))
		return 0;
	do {
		walk.left = BATCH;
		task_lock(task);
		err = iterate_fd(task->files, walk.fd, visit_fd, &walk);
		task_unlock(task);
		cond_resched();
	} while (err == -EAGAIN);
	*fd = walk.fd;
	return err;
}

static int visit_run(struct fusecr_map *run, unsigned long *addr,
		     fusecr_map_fn fn, void *arg)
{
	if (!run->file)
		return 0;
	*addr = run->start;
	return fn(arg, run);
}

/*
 * What is mapped through passthrough is no open file of the daemon's any more: one
 * open is like the other.
 */
static bool same_file(const struct file *a, const struct file *b)
{
	return a == b ||
	       (compat_is_backing(a) && compat_is_backing(b) &&
		file_inode(a) == file_inode(b) &&
		path_equal(compat_user_path(a), compat_user_path(b)));
}

/* Whether only the open file keeps the kernel from making one mapping of both. */
static bool joins(struct vm_area_struct *prev, struct vm_area_struct *vma)
{
	return prev && prev->vm_file && !same_file(prev->vm_file, vma->vm_file) &&
	       file_inode(prev->vm_file) == file_inode(vma->vm_file) &&
	       prev->vm_end == vma->vm_start &&
	       prev->vm_pgoff + vma_pages(prev) == vma->vm_pgoff &&
	       !((prev->vm_flags ^ vma->vm_flags) & ~VM_SOFTDIRTY);
}

static bool is_locked(const struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_LOCKED && !(vma->vm_flags & VM_MAYSHARE);
}

/* Caller holds task_lock(), which keeps the mm, and mmap_lock for reading. */
static int visit_vmas(struct mm_struct *mm, unsigned long *addr,
		      fusecr_map_fn fn, void *arg)
{
	VMA_ITERATOR(before, mm, *addr);
	VMA_ITERATOR(vmi, mm, *addr);
	struct vm_area_struct *vma, *prev;
	unsigned int left = BATCH;
	struct fusecr_map run = {};
	int err;

	mmap_assert_locked(mm);
	prev = vma_prev(&before);
	for_each_vma(vmi, vma) {
		if (run.file && vma->vm_file &&
		    same_file(run.file, vma->vm_file) &&
		    run.end == vma->vm_start) {
			run.end = vma->vm_end;
			run.locked |= is_locked(vma);
			prev = vma;
			continue;
		}
		err = visit_run(&run, addr, fn, arg);
		if (err)
			return err;
		run = (struct fusecr_map){
			.file = vma->vm_file,
			.start = vma->vm_start,
			.end = vma->vm_end,
			.joins = vma->vm_file && joins(prev, vma),
			.locked = is_locked(vma),
		};
		*addr = vma->vm_start;
		prev = vma;
		if (!left--)
			return -EAGAIN;
	}
	return visit_run(&run, addr, fn, arg);
}

int fusecr_task_maps(struct task_struct *task, unsigned long *addr,
		     fusecr_map_fn fn, void *arg)
{
	unsigned int tries = MMAP_TRIES;
	int err;

	if (task->flags & PF_KTHREAD || !is_first(task, mm))
		return 0;
	do {
		struct mm_struct *mm;

		err = 0;
		task_lock(task);
		mm = task->mm;
		if (mm && mmap_read_trylock(mm)) {
			err = visit_vmas(mm, addr, fn, arg);
			mmap_read_unlock(mm);
		} else if (mm) {
			err = -EBUSY;
		}
		task_unlock(task);
		cond_resched();
		if (err == -EBUSY && --tries)
			usleep_range(MMAP_WAIT_US, 2 * MMAP_WAIT_US);
	} while (err == -EAGAIN || (err == -EBUSY && tries));
	return err;
}

/*
 * The reference is taken and dropped under task_lock(): the mm has users, so
 * that only PR_SET_MM_EXE_FILE could make it the last.  Then it is a RELEASE
 * that nobody waits for.
 */
int fusecr_task_exe(struct task_struct *task, fusecr_exe_fn fn, void *arg)
{
	struct file *file;
	int err = 0;

	if (task->flags & PF_KTHREAD || !is_first(task, mm))
		return 0;
	task_lock(task);
	file = task->mm ? compat_exe_file(task->mm) : NULL;
	if (file) {
		err = fn(arg, file);
		fput(file);
	}
	task_unlock(task);
	return err;
}

static int visit_fs(struct task_struct *task, bool root, fusecr_fs_fn fn,
		    void *arg)
{
	int err = 0;

	if (!is_first(task, fs))
		return 0;
	task_lock(task);
	if (task->fs) {
		compat_fs_lock(task->fs);
		err = fn(arg, root ? &task->fs->root : &task->fs->pwd);
		compat_fs_unlock(task->fs);
	}
	task_unlock(task);
	return err;
}

int fusecr_task_cwd(struct task_struct *task, fusecr_fs_fn fn, void *arg)
{
	return visit_fs(task, false, fn, arg);
}

int fusecr_task_root(struct task_struct *task, fusecr_fs_fn fn, void *arg)
{
	return visit_fs(task, true, fn, arg);
}
