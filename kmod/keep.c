// SPDX-License-Identifier: GPL-2.0
/* Requests that a daemon keeps: their records and proxies, see keep.h. */

#include <linux/file.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "compat.h"
#include "conn.h"
#include "defer.h"
#include "hook.h"
#include "inode.h"
#include "keep.h"
#include "kept.h"
#include "origin.h"

/*
 * Of kept_list and the records on it.  Taken with fiq->lock or bg_lock held;
 * takes none itself.
 */
DEFINE_SPINLOCK(kept_lock);
LIST_HEAD(kept_list);
LIST_HEAD(kept_unwanted);
static LIST_HEAD(pins);		/* under kept_lock, too */
DECLARE_WAIT_QUEUE_HEAD(kept_answered);

/* --- records ------------------------------------------------------------------ */

struct fusecr_kept *kept_new(const struct fusecr_conn *conn,
			     const struct fuse_in_header *h, u32 in_len,
			     const struct fusecr_answer *room, bool argvar)
{
	struct fusecr_kept *k;
	u32 i, out_len = 0;

	for (i = 0; i < room->count; i++)
		out_len += room->size[i];
	k = kzalloc(sizeof(*k) + fl_size(FL_ARGS), GFP_KERNEL_ACCOUNT);
	if (!k)
		return ERR_PTR(-ENOMEM);
	k->hook = fusecr_hook_get(conn->fc, true);
	if (IS_ERR(k->hook)) {
		void *err = k->hook;

		kfree(k);
		return err;
	}
	k->fc = fuse_conn_get(conn->fc);
	k->sb = conn->sb;
	atomic_inc(&k->sb->s_active);
	spin_lock(&kept_lock);
	list_add(&k->pin, &pins);
	spin_unlock(&kept_lock);
	kept_pin(k, h->nodeid);
	k->h = *h;
	k->in_len = in_len;
	k->call = -1;
	k->answer = *room;
	k->in = kvzalloc(in_len + 1, GFP_KERNEL_ACCOUNT);
	k->out = kvzalloc(out_len + 1, GFP_KERNEL_ACCOUNT);
	k->answer.data = k->out;
	fl_bit_set(k->args, FL_ARGS_OUT_ARGVAR, argvar);
	__module_get(THIS_MODULE);
	if (!k->in || !k->out) {
		kept_free(k);
		return ERR_PTR(-ENOMEM);
	}
	return k;
}

/*
 * The system call that starts over has let go of everything: caches could be
 * dropped, the node be forgotten while the daemon works on it, and be another
 * when the thread asks again.
 */
bool kept_pin(struct fusecr_kept *k, u64 nodeid)
{
	struct inode *inode = nodeid ? fusecr_inode_find(k->sb, nodeid) : NULL;
	unsigned int i;

	for (i = 0; inode && i < KEPT_INODES; i++)
		if (!k->inodes[i]) {
			k->inodes[i] = inode;
			return true;
		}
	fusecr_inode_put(inode);
	return inode;
}

/* READ and WRITE tell how the file was opened; a WRITE's O_SYNC can be the call's. */
static void tell_flags(const struct fusecr_kept *k, struct fusecr_handle_of *of)
{
	const struct fuse_write_in *write = k->in;
	const struct fuse_read_in *read = k->in;

	of->flags_known = O_ACCMODE | O_APPEND | O_DIRECT;
	if (k->h.opcode == FUSE_READ && k->in_len >= sizeof(*read))
		of->flags = read->flags;
	else if (k->h.opcode == FUSE_WRITE && k->in_len >= sizeof(*write))
		of->flags = write->flags;
	else
		of->flags_known = 0;
}

static bool pin_file(struct fusecr_kept *k, struct file **file,
		     struct task_struct *task, const struct fusecr_origin *o,
		     struct fusecr_handle_of *of)
{
	bool several = false;

	of->fc = k->fc;
	tell_flags(k, of);
	if (!*file && o)
		*file = fusecr_origin_own_file(o, of);
	if (!*file)
		*file = fusecr_origin_find_file(task, of, &several);
	k->unsure = k->unsure || several;
	return *file;
}

void kept_pin_own_file(struct fusecr_kept *k)
{
	struct fusecr_handle_of of = { .fc = k->fc, .nodeid = k->h.nodeid, .out = true };
	struct fusecr_origin o;
	struct file *file;

	if (!k->unsure || !k->file || k->h.opcode != FUSE_WRITE)
		return;
	tell_flags(k, &of);
	of.fh = *fl_file_fh(fl_file(k->file));
	fusecr_origin_note(&o, current);
	file = fusecr_origin_own_file(&o, &of);
	fusecr_origin_put(&o);
	if (!file)
		return;
	spin_lock(&kept_lock);
	swap(k->file, file);
	k->unsure = false;
	spin_unlock(&kept_lock);
	fput(file);
}

static void place(struct fusecr_kept *k, u64 offset, const struct fusecr_origin *o)
{
	if (k->file->f_flags & O_APPEND)
		k->placed = KEPT_AT_END;
	else if ((READ_ONCE(k->file->f_pos) == offset || k->unsure) &&
		 (!o || fusecr_origin_writes(o, true)))
		k->placed = KEPT_AT_POSITION;
	k->guessed = !o && k->placed == KEPT_AT_POSITION;
}

/*
 * A thread that is killed closes its files: without this, the daemon would be told
 * to release the handle that it works with.  As fuse does, whose requests have a
 * waiter that lasts as long as they do.
 */
bool kept_pin_files(struct fusecr_kept *k, struct task_struct *task,
		    const struct fusecr_origin *o)
{
	const struct fuse_copy_file_range_in *copy = k->in;
	const struct fuse_setattr_in *setattr = k->in;
	const struct fuse_getattr_in *getattr = k->in;
	const struct fuse_write_in *write = k->in;
	struct fusecr_handle_of of = { .nodeid = k->h.nodeid }, to = { .out = true };

	switch (k->h.opcode) {
	case FUSE_GETATTR:
	case COMPAT_STATX:
		/* STATX starts as GETATTR does. */
		if (k->in_len < sizeof(*getattr) ||
		    !(getattr->getattr_flags & FUSE_GETATTR_FH))
			return true;
		of.fh = getattr->fh;
		return pin_file(k, &k->file, task, o, &of);
	case FUSE_SETATTR:
		if (k->in_len < sizeof(*setattr) ||
		    !(setattr->valid & FATTR_FH))
			return true;
		of.fh = setattr->fh;
		return pin_file(k, &k->file, task, o, &of);
	case FUSE_COPY_FILE_RANGE:
	case COMPAT_COPY_FILE_RANGE_64:
		if (k->in_len < sizeof(*copy))
			return false;
		of.fh = copy->fh_in;
		to.fh = copy->fh_out;
		to.nodeid = copy->nodeid_out;
		return pin_file(k, &k->file, task, o, &of) &&
		       pin_file(k, &k->file_out, task, o, &to);
	case FUSE_WRITE:
		if (k->in_len < sizeof(*write))
			return false;
		of.fh = write->fh;
		of.out = true;
		if (!pin_file(k, &k->file, task, o, &of))
			return false;
		place(k, write->offset, o);
		return true;
	case FUSE_READ:
	case FUSE_FLUSH:
	case FUSE_FSYNC:
	case FUSE_FSYNCDIR:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
	case FUSE_GETLK:
	case FUSE_SETLK:
	case FUSE_SETLKW:
	case FUSE_IOCTL:
	case FUSE_FALLOCATE:
	case FUSE_LSEEK:
		/* All start with the handle. */
		if (k->in_len < sizeof(u64))
			return false;
		of.fh = *(u64 *)k->in;
		return pin_file(k, &k->file, task, o, &of);
	}
	return true;
}

static void deactivate(void *sb)
{
	deactivate_super(sb);
}

void kept_free(struct fusecr_kept *k)
{
	unsigned int i;

	if (!k)
		return;
	fusecr_hook_put(k->hook, true);
	if (k->file)
		fput(k->file);
	if (k->file_out)
		fput(k->file_out);
	for (i = 0; i < KEPT_INODES; i++)
		fusecr_inode_put(k->inodes[i]);
	/* First: rather a mount too many is seen for a moment than one too few. */
	spin_lock(&kept_lock);
	list_del(&k->pin);
	spin_unlock(&kept_lock);
	if (!atomic_add_unless(&k->sb->s_active, -1, 1))
		fusecr_defer(deactivate, k->sb);
	fuse_conn_put(k->fc);
	put_pid(k->tid);
	put_pid(k->tgid);
	kvfree(k->in);
	kvfree(k->out);
	kfree(k);
	module_put(THIS_MODULE);
}

/* Offsets of names in the input: include/uapi/linux/fuse.h. */
static void name_at(struct fusecr_kept *k, unsigned int i, u64 parent, u32 offset)
{
	const char *name = k->in + offset;

	if (offset >= k->in_len)
		return;
	k->names[i].parent = parent;
	k->names[i].name = name;
	k->names[i].len = strnlen(name, k->in_len - offset);
}

static void pin_first(struct fusecr_kept *k)
{
	if (k->in_len >= sizeof(u64))
		kept_pin(k, *(u64 *)k->in);
}

void kept_find_names(struct fusecr_kept *k)
{
	u32 first = 0;

	switch (k->h.opcode) {
	case FUSE_SYMLINK:
	case FUSE_UNLINK:
	case FUSE_RMDIR:
		name_at(k, 0, k->h.nodeid, 0);
		break;
	case FUSE_MKNOD:
		name_at(k, 0, k->h.nodeid, sizeof(struct fuse_mknod_in));
		break;
	case FUSE_MKDIR:
		name_at(k, 0, k->h.nodeid, sizeof(struct fuse_mkdir_in));
		break;
	case FUSE_CREATE:
		name_at(k, 0, k->h.nodeid, sizeof(struct fuse_create_in));
		break;
	case FUSE_LINK:
		name_at(k, 0, k->h.nodeid, sizeof(struct fuse_link_in));
		pin_first(k);
		break;
	case FUSE_RENAME2:
		first = sizeof(struct fuse_rename2_in);
		fallthrough;
	case FUSE_RENAME:
		first = first ?: sizeof(struct fuse_rename_in);
		if (k->in_len < first)
			break;
		name_at(k, 0, k->h.nodeid, first);
		pin_first(k);
		/* Both start with the new directory. */
		name_at(k, 1, *(u64 *)k->in, first + k->names[0].len + 1);
		break;
	}
}

/* --- proxies ------------------------------------------------------------------ */

int kept_send(const struct fusecr_kept *k, struct fuse_args *args,
	      fl_end_fn with_mount, fl_end_fn_7_3 without, gfp_t gfp)
{
	*fl_args_end(args) = fl_args_end_has_mount() ? (void *)with_mount :
						       (void *)without;
	fl_bit_set(args, FL_ARGS_FORCE, true);
	fl_bit_set(args, FL_ARGS_NOCREDS, true);
	return fuse_simple_background(k->sb->s_fs_info, args, gfp);
}

static void proxy_end(struct fusecr_kept *k, int error)
{
	bool caught = k->proxy;
	void (*last)(void *k) = NULL;
	u32 i;

	spin_lock(&kept_lock);
	k->proxy = NULL;
	k->error = error;
	for (i = 0; i < k->answer.count; i++)
		k->answer.size[i] = *fl_args_out_size((void *)k->args, i);
	switch (k->state) {
	case KEPT_WAITING:
		/* With what was written before, see is_answered(). */
		smp_store_release(&k->state, KEPT_ANSWERED);
		wake_up_all(&kept_answered);
		/* It keeps what has ended from going. */
		if (error == -ECONNABORTED)
			kept_look_soon();
		break;
	case KEPT_GIVEN_UP:
		list_del(&k->entry);
		last = kept_give_back;
		break;
	case KEPT_NEW:
		/* Its maker did not get hold of it, and has not seen that yet. */
		if (!caught) {
			k->state = KEPT_ANSWERED;
			break;
		}
		fallthrough;
	case KEPT_CLAIMED:
		last = kept_free_later;
		break;
	case KEPT_ANSWERED:
		break;
	}
	spin_unlock(&kept_lock);
	/* fuse looks at the arguments no more; but its stack is deep here. */
	if (last)
		fusecr_defer(last, k);
}

static void proxy_end_6_1(struct fuse_mount *fm, struct fuse_args *args, int error)
{
	proxy_end(container_of((void *)args, struct fusecr_kept, args), error);
}

static void proxy_end_7_3(struct fuse_args *args, int error)
{
	proxy_end(container_of((void *)args, struct fusecr_kept, args), error);
}

bool fusecr_keep_is_proxy(const struct fuse_req *req)
{
	void *end = *fl_args_end(*fl_req_args(req));

	return end == proxy_end_6_1 || end == proxy_end_7_3;
}

static struct fusecr_kept *kept_of(const struct fuse_req *req)
{
	return container_of((void *)*fl_req_args(req), struct fusecr_kept, args);
}

/*
 * From here on the proxy counts as little as what it stands for: a dozen of
 * them (max_background) would keep all readahead and write-back from being sent.
 * As fuse_request_end() does it, fs/fuse/dev.c.  Caller holds bg_lock.
 */
static void leave_background(struct fusecr_kept *k, struct fuse_req *req)
{
	struct fuse_conn *fc = k->fc;

	lockdep_assert_held(fl_conn_bg_lock(fc));
	fl_req_clear(req, FL_FR_BACKGROUND);
	if (*fl_conn_num_background(fc) == *fl_conn_max_background(fc))
		*fl_conn_blocked(fc) = 0;
	if (!*fl_conn_blocked(fc))
		wake_up(fl_conn_blocked_waitq(fc));
	--*fl_conn_num_background(fc);
	k->proxy = req;
}

/* Caught on its way, in flush_bg_queue(), which goes on with the others. */
void fusecr_keep_stash(struct fuse_req *req)
{
	struct fusecr_kept *k = kept_of(req);

	--*fl_conn_active_background(k->fc);
	leave_background(k, req);
}

/* Too many background requests: it waits for the others.  Not this one. */
static void unqueue(struct fusecr_kept *k)
{
	struct list_head *at;

	/* Whose thread has caught it, if not this one, has let go of the lock since. */
	spin_lock(fl_conn_bg_lock(k->fc));
	list_for_each(at, fl_conn_bg_queue(k->fc)) {
		struct fuse_req *req = fl_req_from_list(at);

		if (k->proxy)
			break;
		if ((void *)*fl_req_args(req) == k->args) {
			list_del_init(at);
			leave_background(k, req);
			break;
		}
	}
	spin_unlock(fl_conn_bg_lock(k->fc));
}

/*
 * Not hooked any more (io_uring queues were registered), it went to the daemon.
 * Whoever is last frees the record.
 */
static void abandon(struct fusecr_kept *k)
{
	bool ended;

	spin_lock(&kept_lock);
	ended = k->state == KEPT_ANSWERED;
	k->state = KEPT_CLAIMED;
	spin_unlock(&kept_lock);
	if (ended)
		kept_free(k);
}

int kept_make_proxy(struct fusecr_kept *k)
{
	struct fuse_args *args = (void *)k->args;
	void *out = k->out;
	u32 i;
	int err;

	*fl_args_nodeid(args) = k->h.nodeid;
	*fl_args_opcode(args) = k->h.opcode;
	/* Whoever reads it after NOTIFY_RESEND finds all of it. */
	*fl_args_in_numargs(args) = k->in_len ? 1 : 0;
	fl_args_set_in(args, 0, k->in_len, k->in);
	*fl_args_out_numargs(args) = k->answer.count;
	for (i = 0; i < k->answer.count; i++) {
		*fl_args_out_size(args, i) = k->answer.size[i];
		*fl_args_out_value(args, i) = out;
		out += k->answer.size[i];
	}
	err = kept_send(k, args, proxy_end_6_1, proxy_end_7_3, GFP_KERNEL);
	if (err) {
		kept_free(k);
		return err;
	}
	unqueue(k);
	if (k->proxy)
		return 0;
	abandon(k);
	return -EOPNOTSUPP;
}

int kept_place(struct fusecr_kept *k, struct fuse_dev *fud)
{
	struct fuse_req *req = k->proxy;
	struct fuse_in_header *h = fl_req_in_h(req);

	lockdep_assert_held(fl_pq_lock(fud));
	if (!*fl_pq_connected(fud))
		return -ENOTCONN;
	*h = k->h;
	/* One that waited in the background has none yet (fuse_send_one()). */
	h->len = sizeof(*h) + k->in_len;
	fl_req_clear(req, FL_FR_PENDING);
	list_add_tail(fl_req_list(req), fl_pq_processing_of(fud, h->unique));
	fl_req_set(req, FL_FR_SENT);
	k->dev = fusecr_cookie(fud);
	k->state = KEPT_WAITING;
	return 0;
}

struct list_head *kept_place_of(const struct fusecr_kept *k, struct fuse_dev *fud)
{
	/* It has that bit when it was read again after NOTIFY_RESEND. */
	const u64 uniques[] = { k->h.unique, k->h.unique | FUSE_UNIQUE_RESEND };
	struct list_head *at;
	unsigned int i;

	lockdep_assert_held(fl_pq_lock(fud));
	for (i = 0; i < ARRAY_SIZE(uniques); i++)
		list_for_each(at, fl_pq_processing_of(fud, uniques[i]))
			if (fl_req_from_list(at) == READ_ONCE(k->proxy))
				return at;
	return NULL;
}

struct list_head *kept_pending_of(const struct fusecr_kept *k)
{
	struct fuse_iqueue *fiq = fl_conn_iqueue(k->fc);
	struct list_head *at;

	lockdep_assert_held(fl_iq_lock(fiq));
	list_for_each(at, fl_iq_pending(fiq))
		if (fl_req_from_list(at) == READ_ONCE(k->proxy))
			return at;
	return NULL;
}

void kept_end_proxy(struct fusecr_kept *k)
{
	struct fuse_req *req = k->proxy;

	fl_req_clear(req, FL_FR_PENDING);
	fl_req_clear(req, FL_FR_SENT);
	fl_req_out_h(req)->error = -ECANCELED;
	fuse_request_end(req);
}

unsigned int fusecr_keep_count(const struct fusecr_conn *conn)
{
	const struct fusecr_kept *k;
	unsigned int n = 0;

	spin_lock(&kept_lock);
	list_for_each_entry(k, &kept_list, entry)
		n += k->fc == conn->fc && !k->ahead;
	spin_unlock(&kept_lock);
	return n;
}

bool fusecr_keep_unwanted(const struct fuse_conn *fc)
{
	const struct fusecr_kept *k;
	bool found = false;

	spin_lock(&kept_lock);
	list_for_each_entry(k, &kept_unwanted, entry)
		found = found || k->fc == fc;
	spin_unlock(&kept_lock);
	return found;
}

struct kept_name *kept_reserved(const struct fuse_conn *fc, u64 nodeid)
{
	struct fusecr_kept *k;
	unsigned int i;

	lockdep_assert_held(&kept_lock);
	list_for_each_entry(k, &kept_list, entry)
		for (i = 0; k->fc == fc && i < KEPT_NAMES; i++)
			if (k->names[i].reserved && k->names[i].nodeid == nodeid)
				return &k->names[i];
	return NULL;
}

unsigned int fusecr_keep_pins(const struct fusecr_conn *conn)
{
	const struct fusecr_kept *k;
	unsigned int n = 0;

	spin_lock(&kept_lock);
	list_for_each_entry(k, &pins, pin)
		n += k->sb == conn->sb;
	spin_unlock(&kept_lock);
	return n;
}
