// SPDX-License-Identifier: GPL-2.0
/*
 * The file that a thread is about to close, see closing.h.
 *
 * No list has it: the descriptor is free, and what fuse keeps of it does not lead
 * there.  But whoever calls flush() needs it afterwards (fs/open.c, filp_close()
 * of 6.1, filp_flush() of 7.3: dnotify, locks, fput()), so a thread that sleeps in
 * there has it on its kernel stack; and while it sleeps the file lives.
 *
 * Earlier calls may have left others there.  So no second one may be found with the
 * same handle; nor one of another file system that is told of close(), too: it could
 * be what was closed, and fuse's a layer of it (overlayfs, ecryptfs).
 *
 * Other threads see the number, or what it was, once more.  They could not know
 * before: the call has not returned.
 */

#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/uaccess.h>
#include <asm/syscall.h>
#include <asm/unistd.h>

#include "closing.h"
#include "layout.h"

/* --- on the stack ------------------------------------------------------------------ */

/* An address that may be none: false, and the callers' @to is not used. */
static bool peek(void *to, const void *from, size_t len)
{
	return !copy_from_kernel_nofault(to, from, len);
}

struct search {
	const struct inode *inode;
	u64 fh;
	struct file *found;
};

/* Whether this is an open file that flush() is called for; @seen: a copy of it. */
static bool is_flushable(struct file *seen, const struct file *file)
{
	int (*flush)(struct file *file, fl_owner_t id);
	const struct file_operations *fops;

	if (!IS_ALIGNED((unsigned long)file, sizeof(long)) ||
	    (unsigned long)file < PAGE_OFFSET || !virt_addr_valid(file) ||
	    !peek(seen, file, sizeof(*seen)))
		return false;
	if (!seen->f_op || !seen->f_inode ||
	    !peek(&flush, &seen->f_op->flush, sizeof(flush)) || !flush ||
	    !peek(&fops, &seen->f_inode->i_fop, sizeof(fops)))
		return false;
	/* What was freed may look like one still. */
	return seen->f_op == fops && file_count(seen);
}

/* False: it is not known which. */
static bool visit(struct search *s, struct file *file)
{
	struct file seen;
	u64 fh;

	if (file == s->found || !is_flushable(&seen, file))
		return true;
	if (seen.f_op != s->inode->i_fop)
		return false;
	if (seen.f_inode != s->inode ||
	    !peek(&fh, fl_file_fh(fl_file(&seen)), sizeof(fh)) || fh != s->fh)
		return true;
	if (s->found)
		return false;
	s->found = file;
	return true;
}

/* Where what has been pushed ends. */
static const unsigned long *top_of(const struct task_struct *task)
{
#ifdef CONFIG_X86
	/* What is below was left there by earlier calls. */
	return (const unsigned long *)READ_ONCE(task->thread.sp);
#else
	return task_stack_page(task);
#endif
}

static bool search(struct search *s, struct task_struct *task)
{
	const unsigned long *end = (const unsigned long *)task_pt_regs(task);
	const unsigned long *begin = task_stack_page(task);
	const unsigned long *at = top_of(task);

	if (at < begin || at > end)
		return false;
	for (; at < end; at++)
		if (!visit(s, (struct file *)READ_ONCE_NOCHECK(*at)))
			return false;
	return s->found;
}

/* With all its registers on the stack. */
static bool is_asleep(const struct task_struct *task)
{
#ifdef CONFIG_SMP
	/* Before its stack is read; pairs with finish_task(). */
	if (smp_load_acquire(&task->on_cpu))
		return false;
#endif
	return !task_is_running(task);
}

static bool search_sleeper(struct search *s, struct task_struct *task)
{
	unsigned long sleeps = READ_ONCE(task->nvcsw);

	/* A signal wakes it for a moment. */
	return is_asleep(task) && search(s, task) && is_asleep(task) &&
	       sleeps == READ_ONCE(task->nvcsw);
}

/* --- into the table ---------------------------------------------------------------- */

/*
 * As __set_open_fd() and fd_install() do.  The table does not shrink: there is
 * room.  Caller holds files->file_lock.
 */
static bool install(struct files_struct *files, unsigned int fd,
		    struct file *file)
{
	struct fdtable *fdt = files_fdtable(files);

	lockdep_assert_held(&files->file_lock);
	if (fd >= fdt->max_fds || test_bit(fd, fdt->open_fds))
		return false;
	__set_bit(fd, fdt->open_fds);
	if (!~fdt->open_fds[fd / BITS_PER_LONG])
		__set_bit(fd / BITS_PER_LONG, fdt->full_fds_bits);
	/* Nobody gets it by exec: it was closed before. */
	__set_bit(fd, fdt->close_on_exec);
	rcu_assign_pointer(fdt->fd[fd], get_file(file));
	return true;
}

/* dup2() put there what is at @from; caller holds files->file_lock. */
static struct file *exchange(struct files_struct *files, unsigned int from,
			     unsigned int fd, struct file *file)
{
	struct fdtable *fdt = files_fdtable(files);
	struct file *now;

	lockdep_assert_held(&files->file_lock);
	if (from >= fdt->max_fds || fd >= fdt->max_fds)
		return NULL;
	now = rcu_dereference_protected(fdt->fd[fd], true);
	if (now != rcu_access_pointer(fdt->fd[from]))
		return NULL;
	if (now) {
		__set_bit(fd, fdt->close_on_exec);
		rcu_assign_pointer(fdt->fd[fd], get_file(file));
	}
	return now;
}

/* Caller holds files->file_lock; @old is to be put when that is over. */
static bool undo(struct files_struct *files, int nr, const unsigned long *args,
		 struct file *file, struct file **old)
{
	switch (nr) {
	case __NR_close:
		return install(files, args[0], file);
#ifdef __NR_dup2
	case __NR_dup2:
#endif
	case __NR_dup3:
		*old = exchange(files, args[0], args[1], file);
		return *old;
	}
	return false;
}

static bool undo_at_once(struct files_struct *files, int nr,
			 const unsigned long *args, struct file *file,
			 struct file **old)
{
	bool done;

	if (!spin_trylock(&files->file_lock))
		return false;
	done = undo(files, nr, args, file, old);
	spin_unlock(&files->file_lock);
	return done;
}

bool fusecr_closing_can_undo(int nr)
{
	switch (nr) {
	case __NR_close:
#ifdef __NR_dup2
	case __NR_dup2:
#endif
	case __NR_dup3:
		return true;
	}
	return false;
}

struct file *fusecr_closing_undo(struct task_struct *task,
				 const struct inode *inode, u64 fh)
{
	int nr = syscall_get_nr(task, task_pt_regs(task));
	struct search s = { .inode = inode, .fh = fh };
	struct file *old = NULL;
	unsigned long args[6];
	bool done = false;

	/* A core is closed in whatever call there was. */
	if (READ_ONCE(task->flags) & (PF_EXITING | PF_DUMPCORE) ||
	    !fusecr_closing_can_undo(nr) || !search_sleeper(&s, task))
		return NULL;
	syscall_get_arguments(task, task_pt_regs(task), args);
	/*
	 * The caller has locks of the connection, which others take within these two
	 * (GET_DEV): who does not get them at once tries again later.
	 */
	if (!spin_trylock(&task->alloc_lock))
		return NULL;
	if (task->files)
		done = undo_at_once(task->files, nr, args, s.found, &old);
	spin_unlock(&task->alloc_lock);
	if (old)
		fput(old);
	return done ? get_file(s.found) : NULL;
}
