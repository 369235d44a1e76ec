// SPDX-License-Identifier: GPL-2.0
/* Kept requests are told, and come back from an image: see keep.h. */

#include <linux/file.h>
#include <linux/fusecr_ioctl.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "conn.h"
#include "inode.h"
#include "keep.h"
#include "kept.h"
#include "netlink.h"
#include "queue.h"

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

static_assert(KEPT_ANYWHERE + 1 == FUSECR_KEEP_ANYWHERE);
static_assert(KEPT_AT_END + 1 == FUSECR_KEEP_AT_END);
static_assert(KEPT_AT_POSITION + 1 == FUSECR_KEEP_AT_POSITION);

#define PLACE_BITS	(FUSECR_KEEP_SETTLED | FUSECR_KEEP_OUTDATED |		\
			 FUSECR_KEEP_AHEAD)

/* As one ahead, nobody asks for it again. */
static bool is_read_anew(const struct fusecr_kept *k)
{
	return k->outdated && k->h.opcode == FUSE_READ;
}

static u32 place_of(const struct fusecr_kept *k)
{
	return (k->guessed ? 0 : k->placed + 1) |
	       (k->settled ? FUSECR_KEEP_SETTLED : 0) |
	       (k->outdated ? FUSECR_KEEP_OUTDATED : 0) |
	       (k->ahead || is_read_anew(k) ? FUSECR_KEEP_AHEAD : 0);
}

/*
 * Nobody goes on with it, or has the file open any more that the daemon works with: it is
 * to be answered first.  After a restore no file would be there, whose RELEASE the daemon
 * is to get then.
 */
static bool is_nobodys(const struct fusecr_kept *k)
{
	return k->state == KEPT_GIVEN_UP || kept_is_closed(k);
}

static int put_kept(struct sk_buff *skb, const struct fusecr_kept *k)
{
	struct task_struct *task = get_pid_task(k->tid, PIDTYPE_PID);
	u32 waiter = task && !is_nobodys(k) ? task_tgid_vnr(task) : 0;

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
	    fusecr_put_u64(skb, FUSECR_REQ_NAMED_1, k->names[1].nodeid) ||
	    nla_put_u32(skb, FUSECR_REQ_PLACE, place_of(k)))
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

/* Those that were given up come behind the others; NULL: no more. */
static const struct list_head *next_of(const struct list_head *entry)
{
	entry = entry->next;
	if (entry == &kept_list)
		entry = kept_unwanted.next;
	return entry == &kept_unwanted ? NULL : entry;
}

/* The connection's first that comes after @entry.  Caller holds kept_lock. */
static const struct fusecr_kept *kept_after(const struct fusecr_conn *conn,
					    const struct list_head *entry)
{
	const struct fusecr_kept *k;

	lockdep_assert_held(&kept_lock);
	while ((entry = next_of(entry))) {
		k = list_entry(entry, struct fusecr_kept, entry);
		if (k->fc == conn->fc)
			return k;
	}
	return NULL;
}

static bool is_marked(const struct fusecr_req_mark *mark,
		      const struct fusecr_kept *k)
{
	return mark->at == k && mark->unique == k->h.unique;
}

/*
 * The one to go on with: as long as it follows the one that was told last, and
 * the first otherwise.  Caller holds kept_lock.
 */
static const struct fusecr_kept *resume(const struct fusecr_conn *conn,
					const struct fusecr_req_cursor *cursor)
{
	const struct fusecr_kept *first = kept_after(conn, &kept_list), *k, *next;

	for (k = first; cursor->last.at && k; k = next) {
		next = kept_after(conn, &k->entry);
		if (next && is_marked(&cursor->last, k) &&
		    is_marked(&cursor->next, next))
			return next;
	}
	return first;
}

int fusecr_keep_walk(const struct fusecr_conn *conn,
		     struct fusecr_req_cursor *cursor,
		     const struct fusecr_msg *msg)
{
	const struct fusecr_kept *k;
	int err = 0;

	spin_lock(&kept_lock);
	for (k = resume(conn, cursor); k; k = kept_after(conn, &k->entry)) {
		const struct fusecr_req_mark mark = {
			.at = k,
			.unique = k->h.unique,
		};

		/* Another one is there now. */
		if (!fusecr_req_mark_is(&cursor->next, &mark))
			cursor->offset = 0;
		/* It is about to go, and would not be missed. */
		if ((k->ahead || is_read_anew(k)) && k->state == KEPT_ANSWERED &&
		    !cursor->offset) {
			cursor->last = mark;
			continue;
		}
		do {
			err = fill_kept(msg, cursor, k);
		} while (!err && cursor->offset);
		if (err) {
			cursor->next = mark;
			break;
		}
		cursor->last = mark;
	}
	spin_unlock(&kept_lock);
	return err;
}

/* --- from an image ------------------------------------------------------------- */

static int check(const struct fusecr_keep *in)
{
	u64 room = 0;
	u32 i;

	if (!in->unique || in->unique & 1 || in->in_len > FUSECR_KEEP_MAX ||
	    in->out_count > FL_OUT_ARGS || in->out_var > 1 ||
	    in->answered > 1 || (in->place & FUSECR_KEEP_SETTLED && !in->answered) ||
	    (in->place & ~PLACE_BITS) > FUSECR_KEEP_AT_POSITION)
		return -EINVAL;
	/* As fuse_dev_do_write(): nothing that means something else than -errno. */
	if (in->error > 0 || in->error <= -512)
		return -EINVAL;
	for (i = 0; i < in->out_count; i++)
		room += in->out_size[i];
	return room > FUSECR_KEEP_MAX ? -EINVAL : 0;
}

/* As the connection numbers them now. */
static void number_again(const struct fusecr_kept *k, struct fuse_attr *attr)
{
	struct user_namespace *ns = READ_ONCE(*fl_conn_user_ns(k->fc));

	attr->uid = from_kuid_munged(ns, make_kuid(&init_user_ns, attr->uid));
	attr->gid = from_kgid_munged(ns, make_kgid(&init_user_ns, attr->gid));
}

/* The daemon counts one lookup, however many requests are about the node. */
static void reserve(const struct fusecr_kept *k, struct kept_name *n)
{
	bool reserved = n != k->names && k->names[0].reserved &&
			k->names[0].nodeid == n->nodeid;

	spin_lock(&kept_lock);
	n->reserved = !reserved && !kept_reserved(k->fc, n->nodeid);
	spin_unlock(&kept_lock);
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
		kept_cache_nothing(&n->entry);
		number_again(k, &n->entry.attr);
		if (!kept_pin(k, n->nodeid))
			reserve(k, n);
	}
	return 0;
}

/* The restored thread has it open already. */
static void pin_files(struct fusecr_kept *k)
{
	struct task_struct *task = get_pid_task(k->tid, PIDTYPE_PID);

	if (!task)
		return;
	kept_pin_files(k, task, NULL);
	k->tgid = get_task_pid(task, PIDTYPE_TGID);
	put_task_struct(task);
}

/* Of a WRITE whose file is there; an older image does not tell. */
static void place(struct fusecr_kept *k, u32 place)
{
	u32 placed = place & ~PLACE_BITS;

	k->ahead = place & FUSECR_KEEP_AHEAD && k->h.opcode == FUSE_READ;
	k->outdated = place & FUSECR_KEEP_OUTDATED &&
		      (k->h.opcode == FUSE_LOOKUP || k->h.opcode == FUSE_READ);
	if (!placed || k->h.opcode != FUSE_WRITE || !k->file)
		return;
	k->placed = placed - 1;
	/* Of which one the call tells when it starts over. */
	k->guessed = k->unsure && k->placed == KEPT_AT_POSITION;
	k->settled = place & FUSECR_KEEP_SETTLED;
}

static int fill(struct fusecr_kept *k, const struct fusecr_keep *in)
{
	u32 i, room = 0;

	if (copy_from_user(k->in, u64_to_user_ptr(in->in), in->in_len))
		return -EFAULT;
	for (i = 0; i < in->out_count; i++)
		room += in->out_size[i];
	for (i = in->out_count; i < FL_OUT_ARGS; i++)
		if (in->out_size[i])
			return -EINVAL;
	if (in->answered && !in->error &&
	    copy_from_user(k->out, u64_to_user_ptr(in->out), room))
		return -EFAULT;
	rcu_read_lock();
	k->tid = get_pid(find_pid_ns(in->pid, *fl_conn_pid_ns(k->fc)));
	rcu_read_unlock();
	if (!k->tid)
		return -ESRCH;
	pin_files(k);
	place(k, in->place);
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
