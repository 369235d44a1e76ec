// SPDX-License-Identifier: GPL-2.0
/* Which open file a task has in one place, and another one in its stead. */

#include <linux/err.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fusecr.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/path.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>

#include "compat.h"
#include "conn.h"
#include "layout.h"
#include "sent.h"
#include "use.h"

struct task_struct *fusecr_use_task(s32 nr)
{
	struct pid *pid = find_get_pid(nr);
	struct task_struct *task = get_pid_task(pid, PIDTYPE_PID);

	put_pid(pid);
	return task;
}

const void *fusecr_use_table(struct task_struct *task)
{
	return READ_ONCE(task->files);
}

struct fd_search {
	unsigned int fd;
	struct file *file;
};

/* Called under files->file_lock. */
static int fd_match(const void *p, struct file *file, unsigned int fd)
{
	struct fd_search *search = (void *)p;

	if (fd == search->fd)
		search->file = get_file(file);
	/* The first is the one, or there is none. */
	return 1;
}

static struct file *file_by_fd(const struct fusecr_use *use)
{
	struct fd_search search = { .fd = use->number };
	struct task_struct *task;

	if (use->number > INT_MAX)
		return NULL;
	task = fusecr_use_task(use->pid);
	if (!task)
		return ERR_PTR(-ESRCH);
	/* Keeps task->files.  No lookup by number is exported. */
	task_lock(task);
	if (task->files)
		iterate_fd(task->files, search.fd, fd_match, &search);
	task_unlock(task);
	put_task_struct(task);
	return search.file;
}

struct mm_struct *fusecr_use_mm(const struct fusecr_use *use)
{
	struct task_struct *task = fusecr_use_task(use->pid);
	struct mm_struct *mm;

	if (!task)
		return NULL;
	mm = get_task_mm(task);
	put_task_struct(task);
	return mm;
}

/* Caller holds mmap_lock. */
static struct vm_area_struct *vma_at(struct mm_struct *mm, u64 address)
{
	struct vm_area_struct *vma = find_vma(mm, address);

	mmap_assert_locked(mm);
	return vma && vma->vm_start <= address && vma->vm_file ? vma : NULL;
}

static struct file *file_by_address(struct mm_struct *mm, u64 address)
{
	struct vm_area_struct *vma;
	struct file *file = NULL;

	if (mmap_read_lock_killable(mm))
		return ERR_PTR(-EINTR);
	vma = vma_at(mm, address);
	if (vma)
		file = get_file(vma->vm_file);
	mmap_read_unlock(mm);
	return file;
}

static struct file *file_of_mm(const struct fusecr_use *use)
{
	struct mm_struct *mm = fusecr_use_mm(use);
	struct file *file;

	if (!mm)
		return ERR_PTR(-ESRCH);
	if (use->use == FUSECR_FILE_MAP)
		file = file_by_address(mm, use->number);
	else
		file = compat_exe_file(mm);
	/* The task may have ended: what it had mapped is closed elsewhere. */
	mmput_async(mm);
	return file;
}

static struct file *file_by_message(const struct fusecr_use *use)
{
	struct task_struct *task = fusecr_use_task(use->pid);
	struct file *file;

	if (!task)
		return ERR_PTR(-ESRCH);
	file = fusecr_sent_find(task, use->number);
	put_task_struct(task);
	return file;
}

/* Whatever it is, counted; or an error. */
static struct file *file_at(const struct fusecr_use *use)
{
	struct file *file;

	switch (use->use) {
	case FUSECR_FILE_FD:
		file = file_by_fd(use);
		break;
	case FUSECR_FILE_MAP:
	case FUSECR_FILE_EXE:
		file = file_of_mm(use);
		break;
	case FUSECR_FILE_SENT:
		file = file_by_message(use);
		break;
	default:
		return ERR_PTR(-EINVAL);
	}
	return file ?: ERR_PTR(-EBADF);
}

struct file *fusecr_use_find(const struct fusecr_conn *conn,
			     const struct fusecr_use *use, u64 nodeid)
{
	struct file *file = file_at(use);
	struct fuse_file *ff;
	int err = -EBADF;

	if (IS_ERR(file))
		return file;
	ff = fl_file(file);
	if (ff && *fl_mount_conn(*fl_file_mount(ff)) == conn->fc) {
		if (*fl_file_nodeid(ff) == nodeid)
			return file;
		err = -ESTALE;
	}
	fput(file);
	return ERR_PTR(err);
}

/* A task's directory, counted. */
static int path_of_fs(const struct fusecr_use *use, struct path *path)
{
	struct task_struct *task = fusecr_use_task(use->pid);
	int err = -EBADF;

	if (!task)
		return -ESRCH;
	task_lock(task);
	if (task->fs) {
		compat_fs_lock(task->fs);
		*path = use->use == FUSECR_FILE_ROOT ? task->fs->root :
						       task->fs->pwd;
		path_get(path);
		compat_fs_unlock(task->fs);
		err = 0;
	}
	task_unlock(task);
	put_task_struct(task);
	return err;
}

static int path_at(const struct fusecr_use *use, struct path *path)
{
	struct file *file;

	if (use->use == FUSECR_FILE_CWD || use->use == FUSECR_FILE_ROOT)
		return path_of_fs(use, path);
	file = file_at(use);
	if (IS_ERR(file))
		return PTR_ERR(file);
	*path = file->f_path;
	path_get(path);
	fput(file);
	return 0;
}

int fusecr_use_path(const struct fusecr_conn *conn, const struct fusecr_use *use,
		    u64 nodeid, struct path *path)
{
	int err = path_at(use, path);

	if (err)
		return err;
	if (path->dentry->d_sb != conn->sb)
		err = -EBADF;
	else if (*fl_inode_nodeid(fl_inode(d_inode(path->dentry))) != nodeid)
		err = -ESTALE;
	if (err)
		path_put(path);
	return err;
}

u64 fusecr_use_end(struct mm_struct *mm, u64 address)
{
	struct vm_area_struct *vma;
	u64 end = 0;

	if (mmap_read_lock_killable(mm))
		return 0;
	vma = vma_at(mm, address);
	if (vma)
		end = vma->vm_end;
	mmap_read_unlock(mm);
	return end;
}

/*
 * Both files have the same inode, hence the same address_space: the vma stays
 * in its trees, and what is counted in the address_space stays right.  Who walks
 * it from there (rmap) looks at vm_file under i_mmap_rwsem.
 */
static int exchange_map(struct mm_struct *mm, u64 address, struct file *from,
			struct file *to)
{
	struct vm_area_struct *vma;
	int err = -ESTALE;

	if (mmap_write_lock_killable(mm))
		return -EINTR;
	vma = vma_at(mm, address);
	if (vma && vma->vm_file == from) {
		compat_vma_start_write(vma);
		i_mmap_lock_write(to->f_mapping);
		vma->vm_file = to;
		i_mmap_unlock_write(to->f_mapping);
		err = 0;
	}
	mmap_write_unlock(mm);
	return err;
}

/*
 * PR_SET_MM_EXE_FILE writes it under mmap_lock since 6.2, and before by xchg().
 * The inode stays closed to writers once, whichever of its files runs.
 */
static int exchange_exe(struct mm_struct *mm, struct file *from,
			struct file *to)
{
	struct file *old;

	if (!compat_same_deny(from, to))
		return -EOPNOTSUPP;
	if (mmap_write_lock_killable(mm))
		return -EINTR;
	old = unrcu_pointer(cmpxchg(&mm->exe_file, RCU_INITIALIZER(from),
				    RCU_INITIALIZER(to)));
	mmap_write_unlock(mm);
	return old == from ? 0 : -ESTALE;
}

int fusecr_use_exchange(struct mm_struct *mm, const struct fusecr_use *use,
			struct file *from, struct file *to)
{
	if (WARN_ON_ONCE(file_inode(from) != file_inode(to) ||
			 from->f_mapping != to->f_mapping))
		return -ESTALE;
	if (use->use == FUSECR_FILE_MAP)
		return exchange_map(mm, use->number, from, to);
	if (use->use == FUSECR_FILE_EXE)
		return exchange_exe(mm, from, to);
	return -EINVAL;
}
