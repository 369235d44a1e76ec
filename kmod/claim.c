// SPDX-License-Identifier: GPL-2.0
/* A thread asks again for what was taken from it, see keep.h. */

#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "ahead.h"
#include "compat.h"
#include "hold.h"
#include "hook.h"
#include "inode.h"
#include "keep.h"
#include "kept.h"
#include "origin.h"
#include "outdate.h"
#include "settle.h"

/* How long one may be on no list, until it is looked for again, in jiffies. */
#define BETWEEN_LISTS	max(HZ / 50, 1)

/* --- is it the same request -------------------------------------------------------- */

/* Numbers that differ from one system call to the next that does the same. */
static void blank(void *in, u32 offset, u32 len, u32 in_len)
{
	if (offset + len <= in_len)
		memset(in + offset, 0, len);
}

#define BLANK(in, in_len, type, member)					\
	blank(in, offsetof(struct type, member),			\
	      sizeof_field(struct type, member), in_len)

/* The lock owner is a hash of an address, times may be the moment's. */
static void normalize(u32 opcode, void *in, u32 in_len)
{
	const struct fuse_setattr_in *setattr = in;

	switch (opcode) {
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
		/* CRIU opens directories without O_DIRECTORY. */
		BLANK(in, in_len, fuse_read_in, flags);
		fallthrough;
	case FUSE_READ:
		BLANK(in, in_len, fuse_read_in, lock_owner);
		break;
	case FUSE_WRITE:
		BLANK(in, in_len, fuse_write_in, lock_owner);
		break;
	case FUSE_FLUSH:
		BLANK(in, in_len, fuse_flush_in, lock_owner);
		break;
	case FUSE_GETLK:
	case FUSE_SETLK:
	case FUSE_SETLKW:
		BLANK(in, in_len, fuse_lk_in, owner);
		break;
	case FUSE_SETATTR:
		if (in_len < sizeof(*setattr))
			break;
		BLANK(in, in_len, fuse_setattr_in, lock_owner);
		BLANK(in, in_len, fuse_setattr_in, ctime);
		BLANK(in, in_len, fuse_setattr_in, ctimensec);
		if (setattr->valid & FATTR_ATIME_NOW) {
			BLANK(in, in_len, fuse_setattr_in, atime);
			BLANK(in, in_len, fuse_setattr_in, atimensec);
		}
		/* With a write-back cache truncate() tells the time. */
		if (setattr->valid & (FATTR_MTIME_NOW | FATTR_SIZE)) {
			BLANK(in, in_len, fuse_setattr_in, mtime);
			BLANK(in, in_len, fuse_setattr_in, mtimensec);
		}
		break;
	}
}

/* Without memory it would be asked for, and done, a second time. */
#define MUST_COMPARE	(GFP_KERNEL | __GFP_NOFAIL)

static void *normalized(u32 opcode, const void *in, u32 in_len)
{
	void *copy = kvmalloc(in_len + 1, MUST_COMPARE);

	memcpy(copy, in, in_len);
	normalize(opcode, copy, in_len);
	return copy;
}

static bool same_input(const struct fusecr_kept *k, const void *in, u32 in_len)
{
	void *a, *b;
	bool same;

	if (k->in_len != in_len)
		return false;
	a = normalized(k->h.opcode, k->in, in_len);
	b = normalized(k->h.opcode, in, in_len);
	same = !memcmp(a, b, in_len);
	kvfree(a);
	kvfree(b);
	return same;
}

/* --- the names in what is kept --------------------------------------------------- */

struct kept_name *kept_find_name(struct fusecr_kept *k, u64 parent, const char *name,
				 u32 len)
{
	unsigned int i;

	for (i = 0; i < KEPT_NAMES; i++) {
		struct kept_name *n = &k->names[i];

		if (n->name && n->parent == parent && n->len == len &&
		    !memcmp(n->name, name, len))
			return n;
	}
	return NULL;
}

static u64 seconds(struct timespec64 t, u32 *nsec)
{
	*nsec = t.tv_nsec;
	return t.tv_sec;
}

/* Not to be cached: the daemon knows better. */
static void fill_entry(struct fuse_entry_out *out, struct inode *inode)
{
	struct user_namespace *ns = *fl_conn_user_ns(fl_sb_conn(inode->i_sb));
	struct fuse_attr *attr = &out->attr;

	memset(out, 0, sizeof(*out));
	out->nodeid = *fl_inode_nodeid(fl_inode(inode));
	out->generation = inode->i_generation;
	attr->ino = *fl_inode_orig_ino(fl_inode(inode));
	attr->size = i_size_read(inode);
	attr->blocks = inode->i_blocks;
	attr->atime = seconds(compat_atime(inode), &attr->atimensec);
	attr->mtime = seconds(compat_mtime(inode), &attr->mtimensec);
	attr->ctime = seconds(compat_ctime(inode), &attr->ctimensec);
	/* Before fuse has made its own of it (fuse_change_attributes_common()). */
	attr->mode = *fl_inode_orig_i_mode(fl_inode(inode)) ?: inode->i_mode;
	attr->nlink = inode->i_nlink;
	attr->uid = from_kuid_munged(ns, inode->i_uid);
	attr->gid = from_kgid_munged(ns, inode->i_gid);
	attr->rdev = new_encode_dev(inode->i_rdev);
	attr->blksize = i_blocksize(inode);
}

void kept_end_with(struct fuse_req *req, int error)
{
	fl_req_clear(req, FL_FR_PENDING);
	fl_req_out_h(req)->error = error;
	fuse_request_end(req);
}

/* fuse counts a lookup of which the daemon knows nothing. */
static void uncount(struct inode *inode)
{
	struct fuse_inode *fi = fl_inode(inode);

	spin_lock(fl_inode_lock(fi));
	--*fl_inode_nlookup(fi);
	spin_unlock(fl_inode_lock(fi));
}

/* Where a LOOKUP wants its answer, or NULL. */
static struct fuse_entry_out *entry_of(const struct fuse_req *req)
{
	struct fuse_args *args = *fl_req_args(req);

	return fl_args_out_count(args) == 1 &&
	       *fl_args_out_size(args, 0) == sizeof(struct fuse_entry_out) ?
	       *fl_args_out_value(args, 0) : NULL;
}

bool kept_answer_with(struct fuse_req *req, struct inode *inode)
{
	struct fuse_entry_out *out = entry_of(req);

	if (!out)
		return false;
	fill_entry(out, inode);
	uncount(inode);
	kept_end_with(req, 0);
	return true;
}

/* What it was, and one lookup for it; false: that was used, or there was none. */
static bool take_reserved(const struct fusecr_kept *k, const struct kept_name *n,
			  struct fuse_entry_out *out)
{
	struct kept_name *reserved;

	spin_lock(&kept_lock);
	reserved = kept_reserved(k->fc, n->nodeid);
	if (reserved)
		reserved->reserved = false;
	spin_unlock(&kept_lock);
	if (reserved)
		*out = n->entry;
	return reserved;
}

/*
 * The thread is on its way to the request that is kept.  The daemon may have
 * done that already: the name is told as it was.
 */
static bool answer_lookup(struct fusecr_kept *k, struct kept_name *n,
			  struct fuse_req *req)
{
	struct fuse_entry_out *out = entry_of(req);
	struct inode *inode;
	bool done;

	if (!n->nodeid) {
		kept_end_with(req, -ENOENT);
		return true;
	}
	inode = fusecr_inode_find(k->sb, n->nodeid);
	if (inode) {
		done = kept_answer_with(req, inode);
		fusecr_inode_put(inode);
		return done;
	}
	if (!out || !take_reserved(k, n, out))
		return false;
	kept_end_with(req, 0);
	return true;
}

/* --- finding it ------------------------------------------------------------------ */

static bool is_mine(const struct fusecr_kept *k, const struct fuse_iqueue *fiq)
{
	return fl_conn_iqueue(k->fc) == fiq && k->tid == task_pid(current) &&
	       !k->ahead;
}

bool fusecr_keep_concerns(const struct fuse_iqueue *fiq,
			  const struct fuse_req *req)
{
	const struct fuse_in_header *h = fl_req_in_h(req);
	const struct fusecr_kept *k;
	bool found = false;

	/* Read without the lock: what is kept of us was put there before. */
	if (list_empty(&kept_list) || !fl_req_test(req, FL_FR_ISREPLY))
		return false;
	if (fl_req_test(req, FL_FR_BACKGROUND)) {
		if (h->opcode == FUSE_WRITE)
			fusecr_ahead_outdate(fiq, h->nodeid);
		return false;
	}
	spin_lock(&kept_lock);
	list_for_each_entry(k, &kept_list, entry)
		if (fl_conn_iqueue(k->fc) == fiq &&
		    (fusecr_ahead_of(k, h->opcode) ||
		     (is_mine(k, fiq) &&
		      (h->opcode == FUSE_LOOKUP || k->h.opcode == h->opcode))))
			found = true;
	spin_unlock(&kept_lock);
	return found;
}

/* The one after @prev that may be asked for, and that look() is not giving up. */
static struct fusecr_kept *next_mine(const struct fuse_iqueue *fiq,
				     struct fusecr_kept *prev)
{
	struct fusecr_kept *k, *found = NULL;
	bool past = !prev;

	spin_lock(&kept_lock);
	list_for_each_entry(k, &kept_list, entry) {
		if (past && !k->claiming && is_mine(k, fiq)) {
			k->claiming = true;
			found = k;
			break;
		}
		past = past || k == prev;
	}
	if (prev)
		prev->claiming = false;
	spin_unlock(&kept_lock);
	return found;
}

/* Its thread is on the way to it, and has not gone on without it. */
static void let_go(struct fusecr_kept *k)
{
	spin_lock(&kept_lock);
	k->claiming = false;
	k->free_since = 0;
	spin_unlock(&kept_lock);
}

/* --- taking over ---------------------------------------------------------------- */

/* Caller holds the list's lock. */
static void replace(struct list_head *at, struct fuse_req *req)
{
	const struct fuse_req *proxy = fl_req_from_list(at);

	fl_req_in_h(req)->unique = fl_req_in_h(proxy)->unique;
	/* Who reads it is told (fuse_dev_do_read()), ... */
	if (fl_req_test(proxy, FL_FR_INTERRUPTED))
		fl_req_set(req, FL_FR_INTERRUPTED);
	list_replace_init(at, fl_req_list(req));
}

/* ... and who has, and is yet to be told: what the proxy has queued goes with it. */
static void pass_interrupt(const struct fusecr_kept *k, struct fuse_req *proxy,
			   struct fuse_req *req)
{
	struct fuse_iqueue *fiq = fl_conn_iqueue(k->fc);
	bool queued;

	spin_lock(fl_iq_lock(fiq));
	queued = !list_empty(fl_req_intr_entry(proxy));
	spin_unlock(fl_iq_lock(fiq));
	if (queued)
		fusecr_hook_interrupt(k->fc, req);
}

/* The daemon has it. */
static bool take_sent(struct fusecr_kept *k, struct fuse_req *req)
{
	const struct list_head *entry;
	struct list_head *at = NULL;

	spin_lock(fl_conn_dev_lock(k->fc));
	list_for_each(entry, fl_conn_devices(k->fc)) {
		struct fuse_dev *fud = fl_dev_from_entry(entry);

		spin_lock(fl_pq_lock(fud));
		at = kept_place_of(k, fud);
		if (at) {
			struct fuse_req *proxy = fl_req_from_list(at);

			fl_req_clear(req, FL_FR_PENDING);
			replace(at, req);
			fl_req_set(req, FL_FR_SENT);
			pass_interrupt(k, proxy, req);
		}
		spin_unlock(fl_pq_lock(fud));
		if (at)
			break;
	}
	spin_unlock(fl_conn_dev_lock(k->fc));
	return at;
}

/* It was put back, and the daemon is going to read it again: this one instead. */
static bool take_pending(struct fusecr_kept *k, struct fuse_req *req)
{
	struct fuse_iqueue *fiq = fl_conn_iqueue(k->fc);
	struct list_head *at;

	spin_lock(fl_iq_lock(fiq));
	at = kept_pending_of(k);
	if (at) {
		struct fuse_req *proxy = fl_req_from_list(at);

		replace(at, req);
		fl_req_clear(proxy, FL_FR_PENDING);
	}
	spin_unlock(fl_iq_lock(fiq));
	return at;
}

static bool is_answered(const struct fusecr_kept *k)
{
	/* Before the answer is read; pairs with proxy_end(). */
	return smp_load_acquire(&k->state) == KEPT_ANSWERED;
}

/*
 * The daemon may have made up its answer before somebody else wrote, who was let in when
 * the thread was let out.  The call has begun anew, and has noted the version then; so the
 * answer is made to be older than what the kernel knows.  Who has asked is told all the same.
 */
static void outdate(const struct fusecr_kept *k, u64 nodeid)
{
	struct inode *inode = nodeid ? fusecr_inode_find_hashed(k->sb, nodeid) : NULL;

	if (inode)
		fusecr_outdate(inode);
	fusecr_inode_put(inode);
}

/* Likewise names, for a list that it caches. */
static void outdate_listing(const struct fusecr_kept *k)
{
	struct inode *dir = fusecr_inode_find_hashed(k->sb, k->h.nodeid);

	if (dir)
		fusecr_outdate_listing(dir);
	fusecr_inode_put(dir);
}

/* Whose attributes the answer will tell, as far as that is known ... */
static void outdate_asked(const struct fusecr_kept *k, const void *in, u32 len)
{
	switch (k->h.opcode) {
	/* If it is short, what was behind it need not be gone. */
	case FUSE_READ:
	case FUSE_GETATTR:
	case COMPAT_STATX:
		outdate(k, k->h.nodeid);
		break;
	case FUSE_LOOKUP:
		outdate(k, fusecr_inode_child(k->sb, k->h.nodeid, in,
					      strnlen(in, len)));
		break;
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
		outdate_listing(k);
		break;
	}
}

/*
 * ... and whose it tells.  What a name meant when it was listed the kernel may know better:
 * of those only the names are told.
 */
static void outdate_told(struct fusecr_kept *k)
{
	const struct fuse_entry_out *entry = k->out;

	if (k->h.opcode == FUSE_READDIRPLUS)
		kept_forget_plus(k);
	else if (k->h.opcode == FUSE_LOOKUP && k->answer.count &&
		 k->answer.size[0] >= sizeof(entry->nodeid))
		outdate(k, entry->nodeid);
}

/*
 * The daemon may have said meanwhile that the name is another's (FUSE_NOTIFY_INVAL_ENTRY),
 * when there was none yet.
 */
static void ask_soon(struct fusecr_kept *k)
{
	struct fuse_entry_out *entry = k->out;

	switch (k->h.opcode) {
	case FUSE_LOOKUP:
	case FUSE_SYMLINK:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_LINK:
	case FUSE_CREATE:
		if (!k->answer.count || k->answer.size[0] < sizeof(*entry))
			break;
		kept_cache_nothing(entry);
	}
}

/* Without the signal that it tells of it is no answer, see can_take_from(). */
static bool tells_of_signal(const struct fusecr_kept *k)
{
	return k->error == -EINTR && kept_is_lock(k->h.opcode);
}

static void take_answer(struct fusecr_kept *k, struct fuse_req *req)
{
	int error = k->error;

	if (tells_of_signal(k)) {
		kept_finish(k, KEPT_GIVEN_UP);
		fusecr_ahead_put_off(req);
		return;
	}
	if (!error) {
		outdate_told(k);
		ask_soon(k);
		error = fusecr_payload_out(*fl_req_args(req), &k->answer);
	}
	/* What does not fit, as an image may have it, is given back. */
	kept_finish(k, error == k->error ? KEPT_CLAIMED : KEPT_GIVEN_UP);
	kept_end_with(req, error);
}

static void claim(struct fusecr_kept *k, struct fuse_req *req)
{
	while (!is_answered(k)) {
		/* The proxy's place is the new request's. */
		if (take_sent(k, req) || take_pending(k, req)) {
			kept_finish(k, KEPT_CLAIMED);
			kept_end_proxy(k);
			return;
		}
		/* It is being copied to or from the daemon, or put back (requeue()). */
		if (wait_event_killable_timeout(kept_answered, is_answered(k),
						BETWEEN_LISTS) < 0) {
			let_go(k);
			kept_end_with(req, -EINTR);
			return;
		}
	}
	take_answer(k, req);
}

static void *input_of(const struct fuse_req *req, u32 *len)
{
	const struct fuse_args *args = *fl_req_args(req);
	void *in;

	*len = fusecr_payload_in_len(args);
	in = kvzalloc(*len + 1, MUST_COMPARE);
	fusecr_payload_in(in, args, 0, *len);
	return in;
}

/* What was to be read ahead: the thread reads a page now, and nothing else. */
static bool is_outdated(const struct fusecr_kept *k, const struct fuse_in_header *h)
{
	return h->opcode == FUSE_READ && k->h.opcode == FUSE_READ &&
	       h->nodeid == k->h.nodeid;
}

/* Of a call that is told where it has written. */
static bool can_move(const struct fusecr_kept *k)
{
	return k->placed != KEPT_ANYWHERE &&
	       fusecr_origin_is_write(k->placed == KEPT_AT_POSITION);
}

/*
 * The same write(2): how much of it is sent at a time depends on what is cached
 * (fuse_fill_write_pages(), fs/fuse/file.c).  And it may be elsewhere: somebody was told
 * of the end that the daemon has made, has written behind it, or has moved the position.
 */
static bool is_same_write(const struct fusecr_kept *k, const struct fuse_in_header *h,
			  const void *in, u32 len)
{
	const struct fuse_write_in *a = k->in, *b = in;

	if (k->h.opcode != FUSE_WRITE || h->opcode != FUSE_WRITE ||
	    h->nodeid != k->h.nodeid || k->in_len < sizeof(*a) ||
	    len < sizeof(*b) || !k->file || !k->inodes[0])
		return false;
	return a->fh == b->fh && a->write_flags == b->write_flags &&
	       a->flags == b->flags && (a->offset == b->offset || can_move(k)) &&
	       !memcmp(a + 1, b + 1, min(k->in_len, len) - sizeof(*a)) &&
	       fusecr_origin_is_call(k->call, k->call_args, a->size);
}

/* It has taken effect: the call is told the result, and does nothing any more. */
static void tell_result(struct fusecr_kept *k, struct fuse_req *req)
{
	const struct fuse_write_in *in = k->in;
	loff_t from = 0, to = 0;
	long result = k->error;
	u32 sync = in->flags & O_SYNC;

	if (!result)
		result = fusecr_settle_range(k, &from, &to) && to > from ?
			 to - from : -EIO;
	/* Its call does not come to that, and has it locked if it is shared. */
	if (result > 0 && k->placed != KEPT_AT_POSITION && fusecr_origin_is_write(true))
		k->file->f_pos = to;
	/* As fuse_direct_write_iter(), which leaves that to the daemon. */
	if (*fl_file_open_flags(fl_file(k->file)) & FOPEN_DIRECT_IO)
		sync = 0;
	fusecr_restart_with(fusecr_restart_alloc(MUST_COMPARE), result, k->file, from,
			    sync);
	kept_finish(k, KEPT_CLAIMED);
	kept_end_with(req, -ERESTARTNOINTR);
}

/* With the inode locked by current, as whoever settles it has. */
static bool is_settled(const struct fusecr_kept *k)
{
	return READ_ONCE(k->settled);
}

/*
 * Not where the thread is going to write, or not so much: it waits until that does not
 * matter.  False: it cannot be told (sendfile), and writes the same once more.
 */
static bool claim_moved(struct fusecr_kept *k, struct fuse_req *req)
{
	if (is_settled(k) && !fusecr_origin_is_write(false)) {
		kept_finish(k, KEPT_CLAIMED);
		return false;
	}
	if (is_settled(k)) {
		tell_result(k, req);
		return true;
	}
	WRITE_ONCE(k->guessed, false);
	fusecr_settle_claimed(k);
	fusecr_ahead_put_off(req);
	return true;
}

static void claim_same(struct fusecr_kept *k, struct fuse_req *req, const void *in,
		       u32 len)
{
	if (is_settled(k) && fusecr_origin_is_write(false)) {
		tell_result(k, req);
	} else if (k->h.opcode == FUSE_READDIRPLUS && !is_answered(k)) {
		/* What its names mean is known then. */
		let_go(k);
		fusecr_ahead_put_off(req);
	} else {
		outdate_asked(k, in, len);
		claim(k, req);
	}
}

bool fusecr_keep_answer(struct fuse_iqueue *fiq, struct fuse_req *req)
{
	const struct fuse_in_header *h = fl_req_in_h(req);
	struct fusecr_kept *k = NULL;
	struct kept_name *name;
	bool done = false;
	u32 len;
	void *in = input_of(req, &len);

	while ((k = next_mine(fiq, k))) {
		if (k->h.opcode == h->opcode && k->h.nodeid == h->nodeid &&
		    !READ_ONCE(k->outdated) && same_input(k, in, len)) {
			kept_pin_own_file(k);
			claim_same(k, req, in, len);
			done = true;
			break;
		}
		if (is_same_write(k, h, in, len)) {
			kept_pin_own_file(k);
			done = claim_moved(k, req);
			k = done ? k : NULL;
			break;
		}
		name = h->opcode == FUSE_LOOKUP ?
		       kept_find_name(k, h->nodeid, in, strnlen(in, len)) : NULL;
		if (name) {
			done = answer_lookup(k, name, req);
			let_go(k);
			break;
		}
		if (is_outdated(k, h) || READ_ONCE(k->outdated)) {
			kept_leave(k);
			k = NULL;
		}
	}
	if (!done && !k)
		done = fusecr_ahead_answer(fiq, req, in, len);
	kvfree(in);
	return done;
}
