// SPDX-License-Identifier: GPL-2.0
/* Kept requests for which nobody asks again, see keep.h. */

#include <linux/fs.h>
#include <linux/fuse.h>
#include <linux/jiffies.h>
#include <linux/pagemap.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "defer.h"
#include "gate.h"
#include "hook.h"
#include "keep.h"
#include "kept.h"
#include "settle.h"

/* How often to look whether threads are gone. */
#define LOOK	(HZ / 4)
/*
 * So long a thread that is free may take to ask again for what does no harm if it is
 * asked twice.  It need not come to that: others have meanwhile had the kernel know.
 */
#define LEFT	(20 * HZ)

static void look(struct work_struct *work);
static DECLARE_DELAYED_WORK(look_work, look);

void kept_start(struct fusecr_kept *k)
{
	fusecr_hook_event(k->hook, k->ahead ? FUSECR_EVENT_ENDED : FUSECR_EVENT_TAKEN);
	spin_lock(&kept_lock);
	list_add_tail(&k->entry, &kept_list);
	spin_unlock(&kept_lock);
	schedule_delayed_work(&look_work, LOOK);
}

/* Another that is kept may need it: see kept_reserved().  Caller holds kept_lock. */
static void hand_over(struct fusecr_kept *k, struct kept_name *n)
{
	struct fusecr_kept *other;
	unsigned int i;

	lockdep_assert_held(&kept_lock);
	list_for_each_entry(other, &kept_list, entry)
		for (i = 0; n->reserved && other->fc == k->fc && i < KEPT_NAMES; i++)
			if (other->names[i].nodeid == n->nodeid) {
				other->names[i].reserved = true;
				n->reserved = false;
			}
}

/* Something has to be given back when it is answered: see giveback.c. */
static bool brings_something(const struct fusecr_kept *k)
{
	switch (k->h.opcode) {
	case FUSE_LOOKUP:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_SYMLINK:
	case FUSE_LINK:
	case FUSE_OPEN:
	case FUSE_OPENDIR:
	case FUSE_CREATE:
	case FUSE_TMPFILE:
	case FUSE_SETLK:
	case FUSE_SETLKW:
	case FUSE_READDIRPLUS:
		return true;
	}
	return k->file || k->file_out;
}

void kept_finish(struct fusecr_kept *k, enum kept_state state)
{
	unsigned int i;
	bool answered;

	if (!k->ahead)
		fusecr_hook_event(k->hook,
				  state == KEPT_CLAIMED ? FUSECR_EVENT_CLAIMED :
							  FUSECR_EVENT_GIVEN_UP);
	spin_lock(&kept_lock);
	answered = k->state == KEPT_ANSWERED;
	k->state = state;
	list_del_init(&k->entry);
	if (!answered && state == KEPT_GIVEN_UP && brings_something(k))
		list_add_tail(&k->entry, &kept_unwanted);
	for (i = 0; i < KEPT_NAMES; i++)
		hand_over(k, &k->names[i]);
	spin_unlock(&kept_lock);
	if (answered)
		fusecr_defer(state == KEPT_GIVEN_UP ? kept_give_back : kept_free_later, k);
}

void kept_leave(struct fusecr_kept *k)
{
	bool ahead;

	spin_lock(&kept_lock);
	ahead = k->state == KEPT_WAITING && k->h.opcode == FUSE_READ && k->file;
	k->ahead = k->ahead || ahead;
	if (ahead) {
		k->claiming = false;
		/* Once the lock is let go, it may be answered and free. */
		fusecr_hook_event(k->hook, FUSECR_EVENT_GIVEN_UP);
	}
	spin_unlock(&kept_lock);
	if (!ahead)
		kept_finish(k, KEPT_GIVEN_UP);
}

/* How often @file is counted because of what is kept. */
static unsigned int counted(const struct list_head *list, const struct file *file)
{
	const struct fusecr_kept *k;
	unsigned int n = 0;

	list_for_each_entry(k, list, entry)
		n += (k->file == file) + (k->file_out == file);
	return n;
}

static bool is_closed(struct file *file)
{
	return file && file_count(file) <= counted(&kept_list, file) +
					   counted(&kept_unwanted, file);
}

bool kept_is_closed(const struct fusecr_kept *k)
{
	lockdep_assert_held(&kept_lock);
	return !k->unsure && (is_closed(k->file) || is_closed(k->file_out));
}

/* The thread is gone, or the answer can go nowhere any more. */
static bool is_over(const struct fusecr_kept *k)
{
	struct task_struct *task;
	bool over;

	/* The handle in it stays as long as the daemon works with it. */
	if (k->ahead)
		return k->state == KEPT_ANSWERED;
	task = get_pid_task(k->tid, PIDTYPE_PID);
	over = !task || READ_ONCE(task->exit_state);
	if (task)
		put_task_struct(task);
	/* Without the file nobody can ask again. */
	over = over || (kept_is_closed(k) &&
			!fusecr_gate_closed(k->fc));
	return over || (k->state == KEPT_ANSWERED &&
			!*fl_iq_connected(fl_conn_iqueue(k->fc)));
}

/* It was put back, and who reads it again is told then (fuse_dev_do_read()). */
static bool interrupt_pending(const struct fusecr_kept *k)
{
	struct fuse_iqueue *fiq = fl_conn_iqueue(k->fc);
	const struct list_head *at;

	spin_lock(fl_iq_lock(fiq));
	at = kept_pending_of(k);
	if (at)
		fl_req_set(fl_req_from_list(at), FL_FR_INTERRUPTED);
	spin_unlock(fl_iq_lock(fiq));
	return at;
}

static bool interrupt_sent(const struct fusecr_kept *k)
{
	const struct list_head *entry;
	struct fuse_req *found = NULL;

	spin_lock(fl_conn_dev_lock(k->fc));
	list_for_each(entry, fl_conn_devices(k->fc)) {
		struct fuse_dev *fud = fl_dev_from_entry(entry);
		const struct list_head *at;

		spin_lock(fl_pq_lock(fud));
		at = kept_place_of(k, fud);
		/* While it is on the list nobody ends it. */
		if (at) {
			found = fl_req_from_list(at);
			fl_req_set(found, FL_FR_INTERRUPTED);
			fusecr_hook_interrupt(k->fc, found);
		}
		spin_unlock(fl_pq_lock(fud));
		if (found)
			break;
	}
	spin_unlock(fl_conn_dev_lock(k->fc));
	return found;
}

/*
 * A killed waiter would have said so to the daemon before it slept on.  False: it is
 * between two lists.
 */
static bool interrupt(const struct fusecr_kept *k)
{
	/* The daemon has said that it knows no such thing. */
	return fl_bit(k->fc, FL_CONN_NO_INTERRUPT) || interrupt_sent(k) ||
	       interrupt_pending(k);
}

bool kept_is_cached_read(const struct fusecr_kept *k)
{
	return k->h.opcode == FUSE_READ && k->in_len >= sizeof(struct fuse_read_in) &&
	       k->file && !(k->file->f_flags & O_DIRECT) &&
	       !(*fl_file_open_flags(fl_file(k->file)) & FOPEN_DIRECT_IO);
}

/*
 * Of several who wait for one page the first one reads it for all: the others find
 * it there, and ask no more.  Had they to, it would be as good to read it again.
 */
static bool is_read_by_others(const struct fusecr_kept *k)
{
	const struct fuse_read_in *in = k->in;
	struct page *page;
	bool uptodate;

	if (k->state != KEPT_ANSWERED || !kept_is_cached_read(k))
		return false;
	page = find_get_page(k->file->f_mapping, in->offset >> PAGE_SHIFT);
	if (!page)
		return false;
	uptodate = folio_test_uptodate(page_folio(page));
	put_page(page);
	return uptodate;
}

/* Whoever asks again is told, and nothing is done twice. */
static bool only_asks(const struct fusecr_kept *k)
{
	switch (k->h.opcode) {
	case FUSE_LOOKUP:
	case FUSE_GETATTR:
	case COMPAT_STATX:
	case FUSE_READLINK:
	case FUSE_STATFS:
	case FUSE_GETXATTR:
	case FUSE_LISTXATTR:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
	case FUSE_ACCESS:
	case FUSE_GETLK:
	case FUSE_LSEEK:
		return true;
	}
	return kept_is_cached_read(k);
}

/*
 * Its thread goes on without it: kept until that exits, it would answer the same question
 * much later.  Caller holds kept_lock.
 */
static bool is_left(struct fusecr_kept *k)
{
	lockdep_assert_held(&kept_lock);
	if (k->ahead || !only_asks(k))
		return false;
	if (fusecr_gate_closed(k->fc)) {
		k->free_since = 0;
		return false;
	}
	if (!k->free_since)
		k->free_since = jiffies | 1;
	k->left = time_after(jiffies, k->free_since + LEFT);
	return k->left;
}

bool kept_is_waited_for(const struct fusecr_kept *k)
{
	return k->h.opcode == FUSE_WRITE && k->file && k->inodes[0] && !k->guessed;
}

/* As others would for a thread that is killed, and has the file locked so long. */
static bool is_in_the_way(const struct fusecr_kept *k)
{
	return kept_is_waited_for(k) && !k->settled &&
	       *fl_iq_connected(fl_conn_iqueue(k->fc));
}

/* One that is, not to be claimed any more; each once in a @round. */
static struct fusecr_kept *next_over(unsigned int round)
{
	struct fusecr_kept *k, *found = NULL;

	spin_lock(&kept_lock);
	list_for_each_entry(k, &kept_list, entry)
		if (!k->claiming && k->looked != round &&
		    (is_over(k) || is_read_by_others(k) || is_left(k))) {
			k->claiming = true;
			k->looked = round;
			found = k;
			break;
		}
	spin_unlock(&kept_lock);
	return found;
}

/* Until the next look. */
static void let_be(struct fusecr_kept *k)
{
	spin_lock(&kept_lock);
	k->claiming = false;
	spin_unlock(&kept_lock);
}

static void look(struct work_struct *work)
{
	static unsigned int round;
	struct fusecr_kept *k;

	round++;
	while ((k = next_over(round))) {
		if (k->left) {
			kept_leave(k);
			continue;
		}
		if (!k->interrupted && READ_ONCE(k->state) == KEPT_WAITING)
			k->interrupted = interrupt(k);
		if (!k->interrupted && READ_ONCE(k->state) == KEPT_WAITING) {
			let_be(k);
			continue;
		}
		if (is_in_the_way(k))
			fusecr_settle_claimed(k);
		else
			kept_finish(k, KEPT_GIVEN_UP);
	}
	if (!list_empty(&kept_list))
		schedule_delayed_work(&look_work, LOOK);
}

void kept_look_soon(void)
{
	/* Whatever the workqueue is called that kernels have it on. */
	cancel_delayed_work(&look_work);
	schedule_delayed_work(&look_work, 1);
}

void fusecr_keep_exit(void)
{
	cancel_delayed_work_sync(&look_work);
}
