// SPDX-License-Identifier: GPL-2.0
/* Requests that a daemon keeps: their records and proxies, see keep.h. */

#include <linux/file.h>
#include <linux/fusecr.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "conn.h"
#include "defer.h"
#include "hook.h"
#include "inode.h"
#include "input.h"
#include "keep.h"
#include "kept.h"
#include "netlink.h"
#include "queue.h"

/* How often to look whether threads are gone. */
#define LOOK	(HZ / 4)

/*
 * Of kept_list and the records on it.  Taken with fiq->lock or bg_lock held;
 * takes none itself.
 */
DEFINE_SPINLOCK(kept_lock);
LIST_HEAD(kept_list);
DECLARE_WAIT_QUEUE_HEAD(kept_answered);

static void look(struct work_struct *work);
static DECLARE_DELAYED_WORK(look_work, look);

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
	k->hook = fusecr_hook_get(conn->fc);
	if (IS_ERR(k->hook)) {
		void *err = k->hook;

		kfree(k);
		return err;
	}
	k->fc = fuse_conn_get(conn->fc);
	k->sb = conn->sb;
	atomic_inc(&k->sb->s_active);
	kept_pin(k, h->nodeid);
	k->h = *h;
	k->in_len = in_len;
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

static void deactivate(void *sb)
{
	deactivate_super(sb);
}

void kept_free(struct fusecr_kept *k)
{
	unsigned int i;

	if (!k)
		return;
	fusecr_hook_put(k->hook);
	for (i = 0; i < KEPT_INODES; i++)
		fusecr_inode_put(k->inodes[i]);
	if (!atomic_add_unless(&k->sb->s_active, -1, 1))
		fusecr_defer(deactivate, k->sb);
	fuse_conn_put(k->fc);
	put_pid(k->tid);
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

/* --- what an answer brought that nobody wants ------------------------------------ */

static void forget(const struct fusecr_kept *k, u64 nodeid)
{
	struct fusecr_forgets forgets = { };

	if (nodeid <= FUSE_ROOT_ID || fusecr_forgets_add(&forgets, nodeid, 1))
		return;
	fusecr_forgets_queue(&forgets, k->fc);
	fusecr_forgets_free(&forgets);
}

static void forget_plus(const struct fusecr_kept *k)
{
	const void *at = k->out;
	const void *end = at + (k->answer.count ? k->answer.size[0] : 0);

	while (end - at >= FUSE_NAME_OFFSET_DIRENTPLUS) {
		const struct fuse_direntplus *d = at;
		size_t len = FUSE_DIRENTPLUS_SIZE(d);
		u32 n = d->dirent.namelen;

		if (len > end - at || !n)
			break;
		if (!(n <= 2 && !memcmp(d->dirent.name, "..", n)))
			forget(k, d->entry_out.nodeid);
		at += len;
	}
}

struct release {
	struct fuse_release_in in;
	struct fuse_conn *fc;		/* stays until all is answered */
	struct fusecr_forgets forgets;	/* then */
	unsigned long args[];
};

static void release_free(struct release *r)
{
	fusecr_forgets_free(&r->forgets);
	kfree(r);
	module_put(THIS_MODULE);
}

static void release_end(void *args)
{
	struct release *r = container_of(args, struct release, args);

	fusecr_forgets_queue(&r->forgets, r->fc);
	release_free(r);
}

static void release_end_6_1(struct fuse_mount *fm, struct fuse_args *args, int error)
{
	release_end(args);
}

static void release_end_7_3(struct fuse_args *args, int error)
{
	release_end(args);
}

static void set_end(struct fuse_args *args, fl_end_fn with_mount,
		    fl_end_fn_7_3 without)
{
	*fl_args_end(args) = fl_args_end_has_mount() ? (void *)with_mount :
						       (void *)without;
}

/* In the background and as nobody: it does not block and needs no room. */
static int send(const struct fusecr_kept *k, struct fuse_args *args)
{
	fl_bit_set(args, FL_ARGS_FORCE, true);
	fl_bit_set(args, FL_ARGS_NOCREDS, true);
	return fuse_simple_background(k->sb->s_fs_info, args, GFP_KERNEL);
}

/* @forgets: a node that goes with the handle, and not before it. */
static void release(const struct fusecr_kept *k, u64 nodeid, u64 fh,
		    bool forgets)
{
	bool dir = k->h.opcode == FUSE_OPENDIR;
	struct release *r = kzalloc(sizeof(*r) + fl_size(FL_ARGS), GFP_KERNEL);
	struct fuse_args *args;

	if (!r)
		return;
	/* The daemon may take any time to answer it. */
	__module_get(THIS_MODULE);
	r->fc = k->fc;
	if (forgets && nodeid > FUSE_ROOT_ID)
		fusecr_forgets_add(&r->forgets, nodeid, 1);
	r->in.fh = fh;
	if (k->in_len >= sizeof(u32))
		r->in.flags = *(u32 *)k->in;
	args = (void *)r->args;
	*fl_args_nodeid(args) = nodeid;
	*fl_args_opcode(args) = dir ? FUSE_RELEASEDIR : FUSE_RELEASE;
	*fl_args_in_numargs(args) = 1;
	fl_args_set_in(args, 0, sizeof(r->in), &r->in);
	set_end(args, release_end_6_1, release_end_7_3);
	if (send(k, args))
		release_free(r);
}

/* One argument of the answer; NULL when it has less than @size bytes. */
static const void *answer_at(const struct fusecr_kept *k, u32 nth, u32 size)
{
	const void *at = k->out;
	u32 i;

	for (i = 0; i < nth; i++)
		at += k->answer.size[i];
	return nth < k->answer.count && k->answer.size[nth] >= size ? at : NULL;
}

static void give_back_all(const struct fusecr_kept *k)
{
	/* What an image says that an answer was, it need not have been. */
	const struct fuse_entry_out *entry = answer_at(k, 0, sizeof(entry->nodeid));
	const struct fuse_open_out *open = answer_at(k, 0, sizeof(*open));

	switch (k->h.opcode) {
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		if (open)
			release(k, k->h.nodeid, open->fh, false);
		break;
	case FUSE_CREATE:
	case FUSE_TMPFILE:
		open = answer_at(k, 1, sizeof(*open));
		if (entry && open)
			release(k, entry->nodeid, open->fh, true);
		break;
	case FUSE_LOOKUP:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_SYMLINK:
	case FUSE_LINK:
		if (entry)
			forget(k, entry->nodeid);
		break;
	case FUSE_READDIRPLUS:
		forget_plus(k);
		break;
	}
}

/* As fuse does it when who waits is gone: fuse_file_put(), fuse_iput(). */
static void finish(struct fusecr_kept *k, bool wanted)
{
	unsigned int i;

	/* A connection that has ended takes neither. */
	if (!wanted && !k->error)
		give_back_all(k);
	for (i = 0; i < KEPT_NAMES; i++)
		if (k->names[i].reserved)
			forget(k, k->names[i].nodeid);
	kept_free(k);
}

static void give_back(void *k)
{
	finish(k, false);
}

static void free_later(void *k)
{
	finish(k, true);
}

/* --- proxies ------------------------------------------------------------------ */

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
			mod_delayed_work(system_wq, &look_work, 1);
		break;
	case KEPT_GIVEN_UP:
		last = give_back;
		break;
	case KEPT_NEW:
		/* Its maker did not get hold of it, and has not seen that yet. */
		if (!caught) {
			k->state = KEPT_ANSWERED;
			break;
		}
		fallthrough;
	case KEPT_CLAIMED:
		last = free_later;
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

	spin_lock(fl_conn_bg_lock(k->fc));
	list_for_each(at, fl_conn_bg_queue(k->fc)) {
		struct fuse_req *req = fl_req_from_list(at);

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
	set_end(args, proxy_end_6_1, proxy_end_7_3);
	err = send(k, args);
	if (err) {
		kept_free(k);
		return err;
	}
	if (!READ_ONCE(k->proxy))
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
	u32 len = h->len;

	lockdep_assert_held(fl_pq_lock(fud));
	if (!*fl_pq_connected(fud))
		return -ENOTCONN;
	*h = k->h;
	h->len = len;
	fl_req_clear(req, FL_FR_PENDING);
	list_add_tail(fl_req_list(req), fl_pq_processing_of(fud, h->unique));
	fl_req_set(req, FL_FR_SENT);
	k->dev = fusecr_cookie(fud);
	k->state = KEPT_WAITING;
	return 0;
}

void kept_end_proxy(struct fusecr_kept *k)
{
	struct fuse_req *req = k->proxy;

	fl_req_clear(req, FL_FR_PENDING);
	fl_req_clear(req, FL_FR_SENT);
	fl_req_out_h(req)->error = -ECANCELED;
	fuse_request_end(req);
}

void kept_start(struct fusecr_kept *k)
{
	spin_lock(&kept_lock);
	list_add_tail(&k->entry, &kept_list);
	spin_unlock(&kept_lock);
	schedule_delayed_work(&look_work, LOOK);
}

/* --- who does not ask again ------------------------------------------------------ */

void kept_finish(struct fusecr_kept *k, enum kept_state state)
{
	bool answered;

	spin_lock(&kept_lock);
	answered = k->state == KEPT_ANSWERED;
	k->state = state;
	list_del(&k->entry);
	spin_unlock(&kept_lock);
	if (answered)
		fusecr_defer(state == KEPT_GIVEN_UP ? give_back : free_later, k);
}

/* The thread is gone, or the answer can go nowhere any more. */
static bool is_over(const struct fusecr_kept *k)
{
	struct task_struct *task = get_pid_task(k->tid, PIDTYPE_PID);
	bool over = !task || READ_ONCE(task->exit_state);

	if (task)
		put_task_struct(task);
	return over || (k->state == KEPT_ANSWERED &&
			!*fl_iq_connected(fl_conn_iqueue(k->fc)));
}

/* A killed waiter would have said so to the daemon before it slept on. */
static void interrupt(struct fusecr_kept *k)
{
	const struct list_head *entry;
	struct fuse_req *found = NULL;

	spin_lock(fl_conn_dev_lock(k->fc));
	list_for_each(entry, fl_conn_devices(k->fc)) {
		const struct fuse_dev *fud = fl_dev_from_entry(entry);
		struct list_head *at;

		spin_lock(fl_pq_lock(fud));
		list_for_each(at, fl_pq_processing_of(fud, k->h.unique))
			if (fl_req_from_list(at) == k->proxy)
				found = k->proxy;
		/* While it is on the list nobody ends it. */
		if (found) {
			fl_req_set(found, FL_FR_INTERRUPTED);
			fusecr_hook_interrupt(k->fc, found);
		}
		spin_unlock(fl_pq_lock(fud));
		if (found)
			break;
	}
	spin_unlock(fl_conn_dev_lock(k->fc));
}

/* One that is, not to be claimed any more. */
static struct fusecr_kept *next_over(void)
{
	struct fusecr_kept *k, *found = NULL;

	spin_lock(&kept_lock);
	list_for_each_entry(k, &kept_list, entry)
		if (!k->claiming && is_over(k)) {
			k->claiming = true;
			found = k;
			break;
		}
	spin_unlock(&kept_lock);
	return found;
}

static void look(struct work_struct *work)
{
	struct fusecr_kept *k;

	while ((k = next_over())) {
		if (READ_ONCE(k->state) == KEPT_WAITING)
			interrupt(k);
		kept_finish(k, KEPT_GIVEN_UP);
	}
	if (!list_empty(&kept_list))
		schedule_delayed_work(&look_work, LOOK);
}

/* --- telling ------------------------------------------------------------------------ */

static u32 out_len(const struct fusecr_kept *k)
{
	u32 i, len = 0;

	if (k->state != KEPT_ANSWERED || k->error)
		return 0;
	for (i = 0; i < k->answer.count; i++)
		len += k->answer.size[i];
	return len;
}

/* The answer follows the input. */
static void copy_bytes(const struct fusecr_kept *k, void *to, u32 from, u32 len)
{
	u32 n = from < k->in_len ? min(len, k->in_len - from) : 0;

	memcpy(to, k->in + from, n);
	memcpy(to + n, k->out + (from + n - k->in_len), len - n);
}

static int put_bytes(struct sk_buff *skb, struct fusecr_req_cursor *cursor,
		     const struct fusecr_kept *k)
{
	u32 len = k->in_len + out_len(k), left, chunk;
	struct nlattr *data;
	int room;

	if (nla_put_u32(skb, FUSECR_REQ_IN_LEN, k->in_len) ||
	    nla_put_u32(skb, FUSECR_REQ_OUT_LEN, out_len(k)) ||
	    nla_put_u32(skb, FUSECR_REQ_IN_OFFSET, cursor->offset))
		return -EMSGSIZE;
	left = len - min(len, cursor->offset);
	room = round_down(skb_tailroom(skb), NLA_ALIGNTO) - NLA_HDRLEN;
	if (room < (int)min_t(u32, left, FUSECR_IN_CHUNK / 8))
		return -EMSGSIZE;
	chunk = min3(left, (u32)max(room, 0), (u32)FUSECR_IN_CHUNK);
	data = chunk ? nla_reserve(skb, FUSECR_REQ_IN_DATA, chunk) : NULL;
	if (data)
		copy_bytes(k, nla_data(data), cursor->offset, chunk);
	cursor->offset = chunk < left ? cursor->offset + chunk : 0;
	return 0;
}

static int put_kept(struct sk_buff *skb, const struct fusecr_kept *k)
{
	struct task_struct *task = get_pid_task(k->tid, PIDTYPE_PID);
	u32 waiter = task ? task_tgid_nr(task) : 0;

	if (task)
		put_task_struct(task);
	if (fusecr_put_u64(skb, FUSECR_REQ_UNIQUE, k->h.unique) ||
	    nla_put_u32(skb, FUSECR_REQ_STATE, FUSECR_REQ_KEPT) ||
	    nla_put_u32(skb, FUSECR_REQ_OPCODE, k->h.opcode) ||
	    fusecr_put_u64(skb, FUSECR_REQ_NODEID, k->h.nodeid) ||
	    nla_put_u32(skb, FUSECR_REQ_UID, k->h.uid) ||
	    nla_put_u32(skb, FUSECR_REQ_GID, k->h.gid) ||
	    nla_put_u32(skb, FUSECR_REQ_PID, k->h.pid) ||
	    nla_put_u32(skb, FUSECR_REQ_FLAGS, FUSECR_RF_ISREPLY) ||
	    fusecr_put_u64(skb, FUSECR_REQ_DEV, k->dev) ||
	    (waiter && nla_put_u32(skb, FUSECR_REQ_WAITER, waiter)))
		return -EMSGSIZE;
	if (nla_put_u32(skb, FUSECR_REQ_OUT_COUNT, k->answer.count) ||
	    nla_put_u32(skb, FUSECR_REQ_OUT_SIZE_0, k->answer.size[0]) ||
	    nla_put_u32(skb, FUSECR_REQ_OUT_SIZE_1, k->answer.size[1]) ||
	    nla_put_u8(skb, FUSECR_REQ_OUT_VAR,
		       fl_bit(k->args, FL_ARGS_OUT_ARGVAR)) ||
	    nla_put_u8(skb, FUSECR_REQ_ANSWERED, k->state == KEPT_ANSWERED) ||
	    nla_put_u32(skb, FUSECR_REQ_ERROR, -k->error) ||
	    fusecr_put_u64(skb, FUSECR_REQ_NAMED_0, k->names[0].nodeid) ||
	    fusecr_put_u64(skb, FUSECR_REQ_NAMED_1, k->names[1].nodeid))
		return -EMSGSIZE;
	return 0;
}

/* Caller holds kept_lock. */
static int fill_kept(const struct fusecr_msg *msg,
		     struct fusecr_req_cursor *cursor, const struct fusecr_kept *k)
{
	u32 offset = cursor->offset;
	struct nlattr *nest;
	void *hdr = fusecr_msg_begin(msg, FUSECR_A_REQ, &nest);
	int err;

	lockdep_assert_held(&kept_lock);
	if (!hdr)
		return -EMSGSIZE;
	err = put_kept(msg->skb, k) ?: put_bytes(msg->skb, cursor, k);
	if (err)
		cursor->offset = offset;
	return fusecr_msg_end(msg, hdr, nest, err);
}

int fusecr_keep_walk(const struct fusecr_conn *conn,
		     struct fusecr_req_cursor *cursor,
		     const struct fusecr_msg *msg)
{
	const struct fusecr_kept *k;
	u32 i = 0;
	int err = 0;

	spin_lock(&kept_lock);
	list_for_each_entry(k, &kept_list, entry) {
		if (k->fc != conn->fc || i++ < cursor->index)
			continue;
		/* Another one is there now. */
		if (cursor->unique != k->h.unique)
			cursor->offset = 0;
		cursor->unique = k->h.unique;
		do {
			err = fill_kept(msg, cursor, k);
		} while (!err && cursor->offset);
		if (err)
			break;
		cursor->index++;
	}
	spin_unlock(&kept_lock);
	return err;
}

/* --- from an image ------------------------------------------------------------- */

static int check(const struct fusecr_keep *in)
{
	u64 out_len = 0;
	u32 i;

	if (!in->unique || in->unique & 1 || in->in_len > FUSECR_KEEP_MAX ||
	    in->out_count > FL_OUT_ARGS || in->out_var > 1 ||
	    in->answered > 1 || in->reserved)
		return -EINVAL;
	/* As fuse_dev_do_write(): nothing that means something else than -errno. */
	if (in->error > 0 || in->error <= -512)
		return -EINVAL;
	for (i = 0; i < in->out_count; i++)
		out_len += in->out_size[i];
	return out_len > FUSECR_KEEP_MAX ? -EINVAL : 0;
}

static int fill_names(struct fusecr_kept *k, const struct fusecr_keep *in)
{
	unsigned int i;

	for (i = 0; i < KEPT_NAMES; i++) {
		const struct fuse_entry_out __user *from = u64_to_user_ptr(in->named);
		struct kept_name *n = &k->names[i];

		if (copy_from_user(&n->entry, from + i, sizeof(n->entry)))
			return -EFAULT;
		if (!n->name || !n->entry.nodeid)
			continue;
		n->nodeid = n->entry.nodeid;
		/* The daemon is asked from now on. */
		n->entry.entry_valid = 0;
		n->entry.entry_valid_nsec = 0;
		n->entry.attr_valid = 0;
		n->entry.attr_valid_nsec = 0;
		n->reserved = !kept_pin(k, n->nodeid);
	}
	return 0;
}

static int fill(struct fusecr_kept *k, const struct fusecr_keep *in)
{
	u32 i, out_len = 0;

	if (copy_from_user(k->in, u64_to_user_ptr(in->in), in->in_len))
		return -EFAULT;
	for (i = 0; i < in->out_count; i++)
		out_len += in->out_size[i];
	for (i = in->out_count; i < FL_OUT_ARGS; i++)
		if (in->out_size[i])
			return -EINVAL;
	if (in->answered && !in->error &&
	    copy_from_user(k->out, u64_to_user_ptr(in->out), out_len))
		return -EFAULT;
	rcu_read_lock();
	k->tid = get_pid(find_pid_ns(in->pid, *fl_conn_pid_ns(k->fc)));
	rcu_read_unlock();
	if (!k->tid)
		return -ESRCH;
	kept_find_names(k);
	return fill_names(k, in);
}

/* An answer would find one or the other.  Caller holds fl_pq_lock(). */
static bool is_processed(struct fuse_dev *fud, u64 unique)
{
	const struct list_head *at;

	lockdep_assert_held(fl_pq_lock(fud));
	list_for_each(at, fl_pq_processing_of(fud, unique))
		if (fl_req_unique(fl_req_from_list(at)) == unique)
			return true;
	return false;
}

/* Frees the record when it fails. */
static int wait_for_answer(struct fusecr_kept *k, struct fuse_dev *fud)
{
	int err = kept_make_proxy(k);

	if (err)
		return err;
	spin_lock(fl_pq_lock(fud));
	err = is_processed(fud, k->h.unique) ? -EEXIST : kept_place(k, fud);
	spin_unlock(fl_pq_lock(fud));
	if (err)
		kept_end_proxy(k);
	return err;
}

static bool is_kept(const struct fusecr_conn *conn, u64 unique)
{
	const struct fusecr_kept *k;
	bool found = false;

	spin_lock(&kept_lock);
	list_for_each_entry(k, &kept_list, entry)
		found = found || (k->fc == conn->fc && k->h.unique == unique);
	spin_unlock(&kept_lock);
	return found;
}

static int restore(const struct fusecr_conn *conn, const struct fusecr_keep *in,
		   struct fuse_dev *fud)
{
	const struct fuse_in_header h = {
		.opcode = in->opcode, .unique = in->unique, .nodeid = in->nodeid,
		.uid = in->uid, .gid = in->gid, .pid = in->pid,
	};
	struct fusecr_answer room = { .count = in->out_count };
	struct fusecr_kept *k;
	int err;

	memcpy(room.size, in->out_size, sizeof(room.size));
	k = kept_new(conn, &h, in->in_len, &room, in->out_var);
	if (IS_ERR(k))
		return PTR_ERR(k);
	err = fill(k, in);
	if (err) {
		kept_free(k);
		return err;
	}
	if (in->answered) {
		k->dev = fusecr_cookie(fud);
		k->error = in->error;
		k->state = KEPT_ANSWERED;
	} else {
		err = wait_for_answer(k, fud);
		if (err)
			return err;
	}
	kept_start(k);
	return 0;
}

int fusecr_keep_restore(const struct fusecr_conn *conn,
			const struct fusecr_keep *in)
{
	struct file *file;
	struct fuse_dev *fud;
	int err = check(in);

	if (err)
		return err;
	if (is_kept(conn, in->unique))
		return -EEXIST;
	file = fget(in->fd);
	if (!file)
		return -EBADF;
	fud = file->f_op == &fuse_dev_operations ? fl_file_dev(file) : NULL;
	if (!fud)
		err = -EBADF;
	else if (fl_dev_conn(fud) != conn->fc)
		err = -EXDEV;
	else
		err = restore(conn, in, fud);
	fput(file);
	return err;
}

unsigned int fusecr_keep_count(const struct fusecr_conn *conn)
{
	const struct fusecr_kept *k;
	unsigned int n = 0;

	spin_lock(&kept_lock);
	list_for_each_entry(k, &kept_list, entry)
		n += k->fc == conn->fc;
	spin_unlock(&kept_lock);
	return n;
}

void fusecr_keep_exit(void)
{
	cancel_delayed_work_sync(&look_work);
}
