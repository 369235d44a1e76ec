// SPDX-License-Identifier: GPL-2.0
/* Who asks for something that a kept request comes before, see ahead.h. */

#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "ahead.h"
#include "compat.h"
#include "gate.h"
#include "hold.h"
#include "inode.h"
#include "kept.h"
#include "settle.h"

/*
 * So long others wait for a thread that is free to ask again.  It may have gone another
 * way: longjmp() from a handler.
 */
#define PATIENCE	(10 * HZ)

/* --- what is behind --------------------------------------------------------------- */

static u64 first_nodeid(const void *in, u32 len)
{
	return len >= sizeof(u64) ? *(const u64 *)in : 0;
}

/* Whether it has the kernel know names in @dir that it did not. */
static bool adds_names(const struct fuse_in_header *h, const void *in, u32 len,
		       u64 dir)
{
	switch (h->opcode) {
	case FUSE_SYMLINK:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_LINK:
	case FUSE_CREATE:
	case FUSE_READDIRPLUS:
		return h->nodeid == dir;
	case FUSE_RENAME:
	case FUSE_RENAME2:
		/* Both start with the new directory. */
		return first_nodeid(in, len) == dir ||
		       (h->opcode == FUSE_RENAME2 && h->nodeid == dir);
	}
	return false;
}

static bool changes_names(const struct fuse_in_header *h, const void *in, u32 len,
			  u64 dir)
{
	switch (h->opcode) {
	case FUSE_UNLINK:
	case FUSE_RMDIR:
	case FUSE_RENAME:
	case FUSE_RENAME2:
		if (h->nodeid == dir)
			return true;
	}
	return h->opcode != FUSE_READDIRPLUS && adds_names(h, in, len, dir);
}

/* The node whose end it may move; 0: none. */
static u64 resizes(const struct fuse_in_header *h, const void *in, u32 len)
{
	const struct fuse_copy_file_range_in *copy = in;
	const struct fuse_setattr_in *setattr = in;
	const struct fuse_open_in *open = in;

	switch (h->opcode) {
	case FUSE_WRITE:
	case FUSE_FALLOCATE:
		return h->nodeid;
	case FUSE_SETATTR:
		return len >= sizeof(*setattr) && setattr->valid & FATTR_SIZE ?
		       h->nodeid : 0;
	case FUSE_OPEN:
		return len >= sizeof(*open) && open->flags & O_TRUNC ?
		       h->nodeid : 0;
	case FUSE_COPY_FILE_RANGE:
	case COMPAT_COPY_FILE_RANGE_64:
		return len >= sizeof(*copy) ? copy->nodeid_out : 0;
	}
	return 0;
}

/* The node whose size the kernel takes from the answer, whatever it knows by then; 0: none. */
static u64 tells_size(const struct fusecr_kept *k)
{
	switch (k->h.opcode) {
	case FUSE_SETATTR:
		return k->h.nodeid;
	case FUSE_LINK:
		/* It starts with the node. */
		return first_nodeid(k->in, k->in_len);
	}
	return resizes(&k->h, k->in, k->in_len);
}

/* Both would have the inode locked. */
static bool changes(const struct fuse_in_header *h, const void *in, u32 len, u64 nodeid)
{
	return resizes(h, in, len) == nodeid ||
	       (h->opcode == FUSE_SETATTR && h->nodeid == nodeid);
}

/* Of the same open file, at whose position @k was written. */
static bool writes_behind(const struct fusecr_kept *k, const struct fuse_in_header *h,
			  const void *in, u32 len)
{
	return h->opcode == FUSE_WRITE && h->nodeid == k->h.nodeid &&
	       first_nodeid(in, len) == first_nodeid(k->in, k->in_len);
}

/* Such writes have the inode locked together (since 6.2). */
static bool is_parallel(const struct fusecr_kept *k, const struct fuse_in_header *h,
			const void *in, u32 len)
{
	const struct fuse_write_in *a = k->in, *b = in;

	return k->h.opcode == FUSE_WRITE && h->opcode == FUSE_WRITE && k->file &&
	       k->placed == KEPT_ANYWHERE && len >= sizeof(*b) &&
	       *fl_file_open_flags(fl_file(k->file)) & FOPEN_PARALLEL_DIRECT_WRITES &&
	       a->offset + a->size <= i_size_read(file_inode(k->file)) &&
	       b->offset + b->size <= i_size_read(file_inode(k->file));
}

static bool is_behind(const struct fusecr_kept *k, const struct fuse_in_header *h,
		      const void *in, u32 len)
{
	u64 nodeid;

	if (k->settled || is_parallel(k, h, in, len))
		return false;
	if (k->h.opcode == FUSE_CREATE)
		return adds_names(h, in, len, k->h.nodeid);
	if (k->placed == KEPT_AT_POSITION && writes_behind(k, h, in, len))
		return true;
	nodeid = tells_size(k);
	return nodeid && changes(h, in, len, nodeid);
}

bool fusecr_ahead_of(const struct fusecr_kept *k, u32 opcode)
{
	lockdep_assert_held(&kept_lock);
	switch (opcode) {
	case FUSE_LOOKUP:
		return k->names[0].name;
	case FUSE_SYMLINK:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_LINK:
	case FUSE_CREATE:
	case FUSE_RENAME:
	case FUSE_RENAME2:
		return k->h.opcode == FUSE_CREATE || k->h.opcode == FUSE_LOOKUP;
	case FUSE_UNLINK:
	case FUSE_RMDIR:
		return k->h.opcode == FUSE_LOOKUP;
	case FUSE_READDIRPLUS:
		return k->h.opcode == FUSE_CREATE;
	case FUSE_WRITE:
	case FUSE_FALLOCATE:
	case FUSE_SETATTR:
	case FUSE_OPEN:
	case FUSE_COPY_FILE_RANGE:
	case COMPAT_COPY_FILE_RANGE_64:
		return k->h.opcode == FUSE_READ || tells_size(k);
	}
	return false;
}

/* --- how long ----------------------------------------------------------------------- */

static bool is_others(const struct fusecr_kept *k, const struct fuse_iqueue *fiq)
{
	return fl_conn_iqueue(k->fc) == fiq && k->tid != task_pid(current);
}

/* @holds: what fusecr_gate_holds() says; caller holds kept_lock. */
static bool is_patient(struct fusecr_kept *k, int holds)
{
	lockdep_assert_held(&kept_lock);
	if (holds >= 0) {
		k->since = 0;
		return true;
	}
	/* It is settled then. */
	if (kept_is_waited_for(k))
		return true;
	/* From when it was first in somebody's way. */
	if (!k->since)
		k->since = jiffies | 1;
	return time_before(jiffies, k->since + PATIENCE);
}

/* The connection, if it comes after what is kept; or NULL. */
static struct fuse_conn *comes_later(const struct fuse_iqueue *fiq,
				     const struct fuse_in_header *h,
				     const void *in, u32 len, int holds)
{
	struct fusecr_settling *settling = NULL;
	struct fuse_conn *later = NULL;
	struct fusecr_kept *k;

	spin_lock(&kept_lock);
	list_for_each_entry(k, &kept_list, entry) {
		/* current's own, too, by a handler before the call starts over. */
		if (fl_conn_iqueue(k->fc) != fiq ||
		    (!is_others(k, fiq) && !kept_is_waited_for(k)) ||
		    !is_behind(k, h, in, len) || !is_patient(k, holds))
			continue;
		later = k->fc;
		settling = settling ?: fusecr_settle_prepare(k);
	}
	spin_unlock(&kept_lock);
	fusecr_settle(settling);
	return later;
}

/* What is not put off has its way: what it has cut off is not grown again. */
static void overtake(const struct fuse_iqueue *fiq,
		     const struct fuse_in_header *h, const void *in, u32 len)
{
	struct fusecr_kept *k;

	if (h->opcode != FUSE_SETATTR && h->opcode != FUSE_OPEN)
		return;
	spin_lock(&kept_lock);
	list_for_each_entry(k, &kept_list, entry)
		if (fl_conn_iqueue(k->fc) == fiq && resizes(h, in, len) == k->h.nodeid)
			k->overtaken = true;
	spin_unlock(&kept_lock);
}

void fusecr_ahead_outdate(const struct fuse_iqueue *fiq, u64 nodeid)
{
	struct fusecr_kept *k;

	/* Who had the folio locked would have read it before it is written to. */
	spin_lock(&kept_lock);
	list_for_each_entry(k, &kept_list, entry)
		if (fl_conn_iqueue(k->fc) == fiq && k->h.nodeid == nodeid &&
		    kept_is_cached_read(k))
			k->outdated = true;
	spin_unlock(&kept_lock);
}

/* Who looked it up had the directory locked, too, and then had told it first. */
static void outdate_names(const struct fuse_iqueue *fiq, const struct fuse_in_header *h,
			  const void *in, u32 len)
{
	struct fusecr_kept *k;

	spin_lock(&kept_lock);
	list_for_each_entry(k, &kept_list, entry)
		if (fl_conn_iqueue(k->fc) == fiq && k->h.opcode == FUSE_LOOKUP &&
		    changes_names(h, in, len, k->h.nodeid))
			k->outdated = true;
	spin_unlock(&kept_lock);
}

/* --- putting off -------------------------------------------------------------------- */

void fusecr_ahead_put_off(struct fuse_req *req)
{
	/* Without memory it would be done too early.  Who exits has no call to repeat. */
	fusecr_restart_later(fusecr_restart_alloc(GFP_KERNEL | __GFP_NOFAIL));
	kept_end_with(req, fl_req_in_h(req)->opcode == FUSE_LOOKUP ?
			   -EINTR : -ERESTARTNOINTR);
}

struct look_up {
	u64 nodeid;		/* 0: nothing */
	struct inode *inode;	/* counted; NULL: nothing, or not known */
	struct fuse_conn *fc;
};

/* Caller holds kept_lock. */
static struct inode *pinned(const struct fusecr_kept *k, u64 nodeid)
{
	unsigned int i;

	lockdep_assert_held(&kept_lock);
	for (i = 0; i < KEPT_INODES; i++) {
		struct inode *inode = k->inodes[i];

		if (!inode || *fl_inode_nodeid(fl_inode(inode)) != nodeid)
			continue;
		ihold(inode);
		return inode;
	}
	return NULL;
}

static bool find_name(struct look_up *l, const struct fuse_iqueue *fiq,
		      u64 parent, const char *name, u32 len, int holds)
{
	const struct kept_name *n = NULL;
	struct fusecr_kept *k;

	spin_lock(&kept_lock);
	list_for_each_entry(k, &kept_list, entry) {
		n = is_others(k, fiq) ? kept_find_name(k, parent, name, len) : NULL;
		if (n && is_patient(k, holds))
			break;
		n = NULL;
	}
	if (n) {
		l->fc = k->fc;
		l->nodeid = n->nodeid;
		l->inode = n->nodeid ? pinned(k, n->nodeid) : NULL;
	}
	spin_unlock(&kept_lock);
	return n;
}

static bool answer_lookup(const struct fuse_iqueue *fiq, struct fuse_req *req,
			  const void *in, u32 len)
{
	struct look_up l = { };
	bool done;

	if (!find_name(&l, fiq, fl_req_in_h(req)->nodeid, in, strnlen(in, len),
		       fusecr_gate_holds(fiq)))
		return false;
	if (!l.nodeid) {
		kept_end_with(req, -ENOENT);
		return true;
	}
	/* Not known to a kernel after a restore: its own thread brings it. */
	if (!l.inode) {
		if (!kept_can_start_over(l.fc, req))
			return false;
		fusecr_ahead_put_off(req);
		return true;
	}
	done = kept_answer_with(req, l.inode);
	fusecr_inode_put(l.inode);
	return done;
}

bool fusecr_ahead_answer(struct fuse_iqueue *fiq, struct fuse_req *req,
			 const void *in, u32 len)
{
	const struct fuse_in_header *h = fl_req_in_h(req);
	struct fuse_conn *fc;
	int holds;

	if (h->opcode == FUSE_LOOKUP)
		return answer_lookup(fiq, req, in, len);
	holds = fusecr_gate_holds(fiq);
	/* What current has sent keeps it. */
	fc = comes_later(fiq, h, in, len, holds);
	/* Whom a closed gate does not hold has something to do there (CRIU). */
	if (fc && holds && kept_can_start_over(fc, req)) {
		fusecr_ahead_put_off(req);
		return true;
	}
	overtake(fiq, h, in, len);
	outdate_names(fiq, h, in, len);
	fusecr_ahead_outdate(fiq, resizes(h, in, len));
	return false;
}
