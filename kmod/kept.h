/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One kept request: between keep.c (its record and proxy), take.c, claim.c,
 * giveback.c and kept_image.c.
 */
#ifndef FUSECR_KEPT_H
#define FUSECR_KEPT_H

#include <linux/fuse.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

#include "layout.h"
#include "payload.h"

struct file;
struct fusecr_hook;
struct fusecr_origin;
struct fusecr_conn;
struct inode;
struct pid;
struct super_block;
struct task_struct;

enum kept_state {
	KEPT_NEW,		/* the proxy is on no list yet */
	KEPT_WAITING,		/* the proxy is on a processing list */
	KEPT_ANSWERED,		/* the proxy is no more */
	KEPT_CLAIMED,		/* the thread's new request took over */
	KEPT_GIVEN_UP,		/* nobody asks again */
};

/* Requests whose answer may need a signal that is still there (-ERESTARTSYS, fuse_setlk()). */
static inline bool kept_is_lock(u32 opcode)
{
	return opcode == FUSE_SETLK || opcode == FUSE_SETLKW;
}

/* The daemon is asked from now on. */
static inline void kept_cache_nothing(struct fuse_entry_out *entry)
{
	entry->entry_valid = 0;
	entry->entry_valid_nsec = 0;
	entry->attr_valid = 0;
	entry->attr_valid_nsec = 0;
}

/* A name that the request is about, as it was when it was sent. */
struct kept_name {
	u64 parent;
	const char *name;	/* in the input; NULL: none */
	u32 len;
	u64 nodeid;		/* what it named, 0: nothing */
	struct fuse_entry_out entry;	/* of a node that the kernel does not hold */
	bool reserved;		/* the daemon counts a lookup for it already */
};

/* Where a WRITE goes to, if that can have moved when its call starts over. */
enum kept_placed {
	KEPT_ANYWHERE,
	KEPT_AT_END,		/* O_APPEND */
	KEPT_AT_POSITION,	/* of the open file, which may be shared */
};

#define KEPT_NAMES	2
/* The node, another that the input starts with, what the names named. */
#define KEPT_INODES	(2 + KEPT_NAMES)

struct fusecr_kept {
	struct list_head entry;		/* on kept_list, or kept_unwanted: not KEPT_NEW */
	struct list_head pin;		/* on the list of all that keep a superblock */
	struct fuse_conn *fc;		/* counted */
	struct super_block *sb;		/* active */
	struct inode *inodes[KEPT_INODES];	/* counted, what it is about */
	struct file *file;		/* counted, of the handle in it, or NULL; kept_lock */
	struct file *file_out;		/* counted, of the other one, or NULL */
	struct fusecr_hook *hook;
	struct pid *tid;		/* counted; who sent it */
	struct pid *tgid;		/* counted; of which process, or NULL */
	struct fuse_in_header h;
	u64 dev;			/* cookie of the instance that read it */
	u32 in_len;
	void *in;
	struct kept_name names[KEPT_NAMES];
	enum kept_placed placed;
	/* The system call that starts over; the number is -1 if it is not known (an image). */
	int call;
	unsigned long call_args[6];
	/* Of an image that does not tell: AT_POSITION unless its thread is in another call. */
	bool guessed;
	bool unsure;			/* @file is one of several that its thread has like it */
	/* All below: kept_lock, once it is on the list. */
	enum kept_state state;
	bool claiming;			/* somebody works on it */
	bool settled;			/* it has taken effect, see settle.h */
	bool settling;			/* it is going to */
	bool overtaken;			/* by who could not wait, and cut the file */
	bool outdated;			/* what it reads, or looks up, has been changed */
	bool ahead;			/* a READ ahead: nobody asks again */
	bool left;			/* its thread has gone on without it */
	bool interrupted;		/* the daemon was told that nobody waits */
	unsigned int looked;		/* when it was last looked for whether it is over */
	unsigned long since;		/* jiffies: others wait, or 0 */
	unsigned long free_since;	/* jiffies: no gate keeps the thread from asking, or 0 */
	struct fuse_req *proxy;		/* until KEPT_ANSWERED */
	int error;
	struct fusecr_answer answer;	/* room, then what came */
	void *out;
	unsigned long args[];		/* struct fuse_args of the proxy */
};

extern spinlock_t kept_lock;
extern struct list_head kept_list;
/* Given up before the daemon has answered them. */
extern struct list_head kept_unwanted;
extern wait_queue_head_t kept_answered;

/* The answer's arguments of @args, for which there will be room. */
struct fusecr_kept *kept_new(const struct fusecr_conn *conn,
			     const struct fuse_in_header *h, u32 in_len,
			     const struct fusecr_answer *room, bool argvar);
/* Of one that is on no list and has no proxy.  Takes NULL. */
void kept_free(struct fusecr_kept *k);
/* Has fuse make the proxy; frees the record when it fails.  -ENOTCONN, -ENOMEM. */
int kept_make_proxy(struct fusecr_kept *k);
/* Puts the proxy on a processing list; caller holds fl_pq_lock().  -ENOTCONN. */
int kept_place(struct fusecr_kept *k, struct fuse_dev *fud);
/*
 * Where on the device's processing lists the proxy is, or NULL; caller holds
 * fl_pq_lock().
 */
struct list_head *kept_place_of(const struct fusecr_kept *k, struct fuse_dev *fud);
/* The same of those that the daemon is yet to read; caller holds fl_iq_lock(). */
struct list_head *kept_pending_of(const struct fusecr_kept *k);
/* Ends the proxy, which is on no list; frees the record some time. */
void kept_end_proxy(struct fusecr_kept *k);
/* The thread is @tid's from now on; watched until it is gone. */
void kept_start(struct fusecr_kept *k);
/* Any context.  Something keeps what has ended from going. */
void kept_look_soon(void);
/*
 * The lookup that the daemon counts for the node on behalf of one that is kept, or NULL:
 * whichever names it, it is one.  Caller holds kept_lock.
 */
struct kept_name *kept_reserved(const struct fuse_conn *fc, u64 nodeid);
/* Takes it off the list, in a state that is final; the record goes with the proxy. */
void kept_finish(struct fusecr_kept *k, enum kept_state state);
/* Whether nobody has a file open any more whose handle is in it.  Caller holds kept_lock. */
bool kept_is_closed(const struct fusecr_kept *k);
/*
 * Its thread, which asks for something else in its place, wants it no more.  The file of a
 * READ stays until the daemon has done with it, as that of one ahead.
 */
void kept_leave(struct fusecr_kept *k);
/* Whether the kernel holds it; then it does until the record is freed. */
bool kept_pin(struct fusecr_kept *k, u64 nodeid);
/*
 * The files whose handles are in it stay as long, too; false when @task does not have
 * all of them open.  @o: what @task is in, or NULL where that is not known.
 */
bool kept_pin_files(struct fusecr_kept *k, struct task_struct *task,
		    const struct fusecr_origin *o);
/* The file of a WRITE is that of the call that current is in.  The caller has it claiming. */
void kept_pin_own_file(struct fusecr_kept *k);
/*
 * Whether others have to wait until the daemon has done it: a WRITE, which takes effect
 * then (settle.h), but for one that its thread has to be waited for.
 */
bool kept_is_waited_for(const struct fusecr_kept *k);
/* Finds the names in the input, pins what it tells by number. */
void kept_find_names(struct fusecr_kept *k);

/* One of these names; NULL: none. */
struct kept_name *kept_find_name(struct fusecr_kept *k, u64 parent, const char *name,
				 u32 len);

/* Whether it was read for the page cache. */
bool kept_is_cached_read(const struct fusecr_kept *k);

/* Whether the call that current sends this for starts over if it is not done. */
bool kept_can_start_over(const struct fuse_conn *fc, const struct fuse_req *req);

/* Of a request that is on no list: ends it ... */
void kept_end_with(struct fuse_req *req, int error);
/* ... a LOOKUP with what the kernel knows of the node; false: it has no room for that. */
bool kept_answer_with(struct fuse_req *req, struct inode *inode);

/*
 * Sends a request of ours: in the background, and as nobody, so that it does not
 * block and needs no room.  -ENOTCONN, -ENOMEM.
 */
int kept_send(const struct fusecr_kept *k, struct fuse_args *args,
	      fl_end_fn with_mount, fl_end_fn_7_3 without, gfp_t gfp);

/*
 * Of an answered READDIRPLUS: forgets the nodes of which the daemon counts a lookup; only
 * the names are left.
 */
void kept_forget_plus(struct fusecr_kept *k);

/*
 * For fusecr_defer(): the end of a record, whose answer has been used; or was not,
 * and then its handle is released and its nodes are forgotten.
 */
void kept_free_later(void *k);
void kept_give_back(void *k);

#endif /* FUSECR_KEPT_H */
