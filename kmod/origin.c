// SPDX-License-Identifier: GPL-2.0
/* Which system call a request comes from, see origin.h. */

#include <linux/bitops.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fuse.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/string.h>
#include <asm/syscall.h>
#include <asm/unistd.h>

#include "layout.h"
#include "origin.h"

void fusecr_origin_note(struct fusecr_origin *o, struct task_struct *task)
{
	o->task = get_task_struct(task);
	o->nr = syscall_get_nr(task, task_pt_regs(task));
	syscall_get_arguments(task, task_pt_regs(task), o->args);
}

void fusecr_origin_put(struct fusecr_origin *o)
{
	if (o->task)
		put_task_struct(o->task);
	o->task = NULL;
}

/* Which argument is the descriptor of what it reads, or writes to if @out. */
static unsigned int descriptor(int nr, bool out)
{
	switch (nr) {
	case __NR_sendfile:
		return !out;
	case __NR_splice:
	case __NR_copy_file_range:
		return out ? 2 : 0;
	}
	return 0;
}

/* A bit for each argument that is a descriptor. */
static unsigned int descriptors(int nr)
{
	switch (nr) {
	case __NR_read:
	case __NR_pread64:
	case __NR_readv:
	case __NR_preadv:
	case __NR_preadv2:
	case __NR_write:
	case __NR_pwrite64:
	case __NR_writev:
	case __NR_pwritev:
	case __NR_pwritev2:
		return BIT(0);
	case __NR_sendfile:
	case __NR_splice:
	case __NR_copy_file_range:
		return BIT(descriptor(nr, false)) | BIT(descriptor(nr, true));
	}
	return 0;
}

/* Whether the call began there; false, too, where that is not known. */
static bool begins_at(const struct fusecr_origin *o, const struct file *file,
		      u64 offset)
{
	/* At the end of the file, wherever that was. */
	if (file->f_flags & O_APPEND)
		return false;
	switch (o->nr) {
	case __NR_preadv2:
	case __NR_pwritev2:
		if (o->args[3] == -1UL)
			return offset == READ_ONCE(file->f_pos);
		fallthrough;
	case __NR_pread64:
	case __NR_preadv:
	case __NR_pwrite64:
	case __NR_pwritev:
		return offset == o->args[3];
	case __NR_read:
	case __NR_readv:
	case __NR_write:
	case __NR_writev:
		return offset == READ_ONCE(file->f_pos);
	}
	return false;
}

/*
 * Of a file that was opened with O_DIRECT, and not by the daemon's will, what is
 * left after the first parts goes by way of the page cache in the same call, were
 * it only an error that ended these (fs/fuse/file.c, fuse_cache_write_iter();
 * mm/filemap.c, generic_file_read_iter()).
 */
static bool goes_on_otherwise(const struct file *file)
{
	return file->f_flags & O_DIRECT &&
	       !(*fl_file_open_flags(fl_file(file)) & FOPEN_DIRECT_IO);
}

static bool is_of(const struct file *file, const struct fuse_conn *fc,
		  u64 nodeid)
{
	const struct inode *inode = file_inode(file);

	return fl_is_fuse_sb(inode->i_sb) && fl_sb_conn(inode->i_sb) == fc &&
	       fl_file(file) &&
	       *fl_inode_nodeid(fl_inode(inode)) == nodeid;
}

/* Caller holds files->file_lock. */
static bool transfers(const struct fusecr_origin *o, struct files_struct *files,
		      const struct fuse_conn *fc, u64 nodeid, u64 offset,
		      bool direct)
{
	unsigned long fds = descriptors(o->nr);
	const struct file *file;
	unsigned int i;

	lockdep_assert_held(&files->file_lock);
	for_each_set_bit(i, &fds, ARRAY_SIZE(o->args)) {
		file = files_lookup_fd_locked(files, o->args[i]);
		if (!file || !is_of(file, fc, nodeid))
			continue;
		if (!direct || !goes_on_otherwise(file) ||
		    begins_at(o, file, offset))
			return true;
	}
	return false;
}

bool fusecr_origin_starts_over(const struct fusecr_origin *o,
			       const struct fuse_conn *fc, u64 nodeid,
			       u64 offset, bool direct)
{
	struct files_struct *files;
	bool ok = false;

	task_lock(o->task);
	files = o->task->files;
	if (files) {
		spin_lock(&files->file_lock);
		ok = transfers(o, files, fc, nodeid, offset, direct);
		spin_unlock(&files->file_lock);
	}
	task_unlock(o->task);
	return ok;
}

/* Whether it writes where others who have the file open go on. */
static bool writes_at_position(const struct fusecr_origin *o)
{
	switch (o->nr) {
	case __NR_write:
	case __NR_writev:
	case __NR_sendfile:
		return true;
	case __NR_pwritev2:
		return o->args[3] == -1UL;
	case __NR_splice:
	case __NR_copy_file_range:
		return !o->args[3];
	}
	return false;
}

static bool writes_from_memory(const struct fusecr_origin *o)
{
	switch (o->nr) {
	case __NR_write:
	case __NR_writev:
	case __NR_pwrite64:
	case __NR_pwritev:
	case __NR_pwritev2:
		return true;
	}
	return false;
}

bool fusecr_origin_writes(const struct fusecr_origin *o, bool at_position)
{
	return writes_from_memory(o) && (!at_position || writes_at_position(o));
}

bool fusecr_origin_is_write(bool at_position)
{
	struct fusecr_origin o;
	bool is;

	fusecr_origin_note(&o, current);
	is = fusecr_origin_writes(&o, at_position);
	fusecr_origin_put(&o);
	return is;
}

/* How much one writes is in its arguments; of iovecs, in the caller's memory. */
static bool may_write(const struct fusecr_origin *o, u32 len)
{
	switch (o->nr) {
	case __NR_write:
	case __NR_pwrite64:
		return o->args[2] >= len;
	}
	return true;
}

bool fusecr_origin_is_call(int nr, const unsigned long *args, u32 len)
{
	struct fusecr_origin o;
	bool is;

	fusecr_origin_note(&o, current);
	is = nr < 0 ? may_write(&o, len) :
		      o.nr == nr && !memcmp(o.args, args, sizeof(o.args));
	fusecr_origin_put(&o);
	return is;
}

/* With the caller's own reference, and that of one descriptor. */
static bool is_shared(struct task_struct *task, struct file *file)
{
	bool threads;

	task_lock(task);
	threads = task->files && atomic_read(&task->files->count) > 1;
	task_unlock(task);
	return threads || file_count(file) > 2;
}

bool fusecr_origin_writes_next(const struct fusecr_origin *o, struct file *file,
			       u64 offset)
{
	if (file->f_flags & O_APPEND)
		return offset == i_size_read(file_inode(file));
	/* Which nobody sees later. */
	if (o->nr == __NR_pwritev2 && o->args[5] & (__force int)RWF_APPEND)
		return false;
	if (!writes_at_position(o) || !is_shared(o->task, file))
		return true;
	/* What others do to the position a call can be told, and not one to a pipe. */
	return offset == READ_ONCE(file->f_pos) && writes_from_memory(o);
}

/* What was made, and is not there for the call that starts over. */
#define CREATES	(O_CREAT | (O_TMPFILE & ~O_DIRECTORY))

bool fusecr_origin_may_create(const struct fusecr_origin *o)
{
	switch (o->nr) {
#ifdef __NR_open
	case __NR_open:
		return o->args[1] & CREATES;
#endif
	case __NR_openat:
		return o->args[2] & CREATES;
#ifdef __NR_creat
	case __NR_creat:
#endif
	case __NR_openat2:	/* in the caller's memory */
		return true;
	}
	return false;
}

bool fusecr_origin_is_getxattr(const struct fusecr_origin *o)
{
	switch (o->nr) {
	case __NR_getxattr:
	case __NR_lgetxattr:
	case __NR_fgetxattr:
#ifdef __NR_getxattrat
	case __NR_getxattrat:
#endif
		return true;
	}
	return false;
}

/* Caller holds files->file_lock. */
static bool is_wanted(const struct file *file, const struct fusecr_handle_of *of)
{
	return is_of(file, of->fc, of->nodeid) &&
	       *fl_file_fh(fl_file(file)) == of->fh &&
	       !((file->f_flags ^ of->flags) & of->flags_known);
}

struct file *fusecr_origin_own_file(const struct fusecr_origin *o,
				    const struct fusecr_handle_of *of)
{
	struct file *file = NULL;

	task_lock(o->task);
	if (o->task->files) {
		spin_lock(&o->task->files->file_lock);
		file = files_lookup_fd_locked(o->task->files,
					      o->args[descriptor(o->nr, of->out)]);
		file = file && is_wanted(file, of) ? get_file(file) : NULL;
		spin_unlock(&o->task->files->file_lock);
	}
	task_unlock(o->task);
	return file;
}

struct search {
	const struct fusecr_handle_of *of;
	struct file *found;
	bool several;
};

/* Caller holds files->file_lock. */
static int visit_fd(const void *arg, struct file *file, unsigned int fd)
{
	struct search *s = (void *)arg;

	if (!is_wanted(file, s->of) || file == s->found)
		return 0;
	s->several = s->found;
	s->found = s->found ?: get_file(file);
	return s->several;
}

struct file *fusecr_origin_find_file(struct task_struct *task,
				     const struct fusecr_handle_of *of, bool *several)
{
	struct search s = { .of = of };

	task_lock(task);
	iterate_fd(task->files, 0, visit_fd, &s);
	task_unlock(task);
	*several = s.several;
	return s.found;
}
