// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <linux/fuse.h>
#include <linux/fusecr_ioctl.h>

#include "attr.h"
#include "grow.h"
#include "handle.h"
#include "names.h"
#include "proc.h"
#include "settle.h"
#include "surrogate.h"

/* Nothing that is waited for is a daemon's any more. */
#define PATIENCE_S 2

struct lookups {
	struct model *m;
	struct report *r;
	int handle;
	bool reserve;
};

static int settle_held(const FuseInodeEntry *i, void *arg)
{
	struct lookups *l = arg;
	uint64_t want = model_nlookup(l->m, i->nodeid);
	int err;

	if (i->nodeid == FUSE_ROOT_ID)
		return 0;
	if (!model_inode(l->m, i->nodeid) && !want) {
		report_add(l->r, "%s: node %lu is held by the kernel, but the daemon does not know it",
			   model_label(l->m), (unsigned long)i->nodeid);
		return -ESTALE;
	}
	err = i->nlookup == want ? 0 : handle_set_inode(l->handle, i->nodeid, want);
	if (err == -ENOENT)	/* evicted since: forgotten below */
		return 0;
	if (!err)
		model_mark_held(l->m, i->nodeid);
	else
		report_add(l->r, "%s: node %lu: lookup count %lu was not set: %s",
			   model_label(l->m), (unsigned long)i->nodeid, (unsigned long)want, strerror(-err));
	return err;
}

/* Whether a thread is going to look this node up for a request that is kept. */
static bool is_named(const struct model *m, uint64_t nodeid)
{
	const struct message_list *requests = model_requests(m);

	for (size_t i = 0; i < requests->count; i++) {
		const FuseRequestEntry *q = (const FuseRequestEntry *)requests->items[i];

		if (q->state == FUSECR_REQ_KEPT && (q->named_0 == nodeid || q->named_1 == nodeid))
			return true;
	}
	return false;
}

static int forget_rest(uint64_t nodeid, uint64_t nlookup, bool held, void *arg)
{
	struct lookups *l = arg;
	int err;

	if (held || !nlookup)
		return 0;
	/* One is left for the thread that looks it up again. */
	if (l->reserve && is_named(l->m, nodeid) && !--nlookup)
		return 0;
	err = handle_forget(l->handle, nodeid, nlookup);
	if (err)
		report_add(l->r, "%s: node %lu: could not be forgotten: %s",
			   model_label(l->m), (unsigned long)nodeid, strerror(-err));
	return err;
}

int settle_lookups(struct nl *nl, int handle, uint64_t conn_id, struct model *m, bool reserve,
		   struct report *r)
{
	struct lookups l = { m, r, handle, reserve };
	int err;

	model_unmark_all(m);
	err = nl_inodes(nl, conn_id, settle_held, &l);
	if (!err)
		err = model_each_nlookup(m, forget_rest, &l);
	return err;
}

void settle_forget(int handle, const struct model *m, uint64_t nodeid, uint64_t nlookup)
{
	int err = model_is_held(m, nodeid) ? handle_forget(handle, nodeid, nlookup) : 0;

	if (err)
		surrogate_log("%s: node %#lx: %lu lookups not forgotten: %s", model_label(m),
			      (unsigned long)nodeid, (unsigned long)nlookup, strerror(-err));
}

struct seen {
	const struct model *m;
	uint64_t *cookies;
	size_t count;
};

static int cookie_cmp(const void *a, const void *b)
{
	const uint64_t *ca = a, *cb = b;

	return (*ca > *cb) - (*ca < *cb);
}

static int see(const FuseFileEntry *f, void *arg)
{
	struct seen *s = arg;
	uint64_t *grown;

	if (!model_has_handle(s->m, f))
		return 0;
	grown = grow(s->cookies, s->count, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	s->cookies = grown;
	s->cookies[s->count++] = f->cookie;
	return 0;
}

long settle_count(struct nl *nl, uint64_t conn_id, const struct model *m)
{
	struct seen s = { .m = m };
	long err = nl_files(nl, conn_id, 0, see, &s), count = 0;

	if (s.count)
		qsort(s.cookies, s.count, sizeof(*s.cookies), cookie_cmp);
	for (size_t i = 0; i < s.count; i++)
		count += !i || s.cookies[i] != s.cookies[i - 1];
	free(s.cookies);
	return err ?: count;
}

static pid_t restored_pid(const struct tree *tree, const FuseFileEntry *f, struct report *r)
{
	const struct task *task = tree_find_vpid(tree, f->vpid);

	if (!task)
		report_add(r, "process %u of the image is not in the restored tree", f->vpid);
	return task ? task->pid : 0;
}

/* What CRIU opens once for all places: descriptors, and what is in messages. */
static bool is_open(const FuseFileEntry *f)
{
	return f->use == FUSECR_FILE_FD || f->use == FUSECR_FILE_SENT;
}

/* Where a file is that is open in several places: at a descriptor, if there is one. */
static int by_cookie(const void *a, const void *b)
{
	const FuseFileEntry *fa = *(FuseFileEntry *const *)a, *fb = *(FuseFileEntry *const *)b;
	int c = cookie_cmp(&fa->cookie, &fb->cookie);

	return c ?: !is_open(fa) - !is_open(fb);
}

/* A mapping, or a program that runs, as the restore has made it. */
struct made {
	uint32_t pid, use;
	uint64_t start, end, cookie;
	bool claimed;	/* an open file of the image is this one */
};

struct making {
	struct made *made;
	size_t count;
};

static int add_made(const FuseFileEntry *f, void *arg)
{
	struct making *all = arg;
	struct made *grown;

	if (!f->has_fh || is_open(f))
		return 0;
	grown = grow(all->made, all->count, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	all->made = grown;
	all->made[all->count++] = (struct made){
		f->pid, f->use, f->number, f->use == FUSECR_FILE_MAP ? f->end : 1, f->cookie, false,
	};
	return 0;
}

/* Marks the open file that is there; true when another of the image's was it before. */
static bool claim(struct making *all, pid_t pid, const FuseFileEntry *f)
{
	uint64_t cookie = 0;
	bool claimed = false;

	for (size_t i = 0; i < all->count && !cookie; i++) {
		const struct made *m = &all->made[i];

		if (m->pid == (uint32_t)pid && m->use == f->use && m->start <= f->number && f->number < m->end)
			cookie = m->cookie;
	}
	for (size_t i = 0; i < all->count; i++) {
		if (all->made[i].cookie != cookie)
			continue;
		claimed = claimed || all->made[i].claimed;
		all->made[i].claimed = true;
	}
	return claimed;
}

static int share(const struct sharing *s, const FuseFileEntry *f, const FuseFileEntry *from,
		 uint32_t flags, const struct tree *tree, struct report *r)
{
	struct fusecr_share_file arg = {
		.pid = restored_pid(tree, f, r),
		.use = f->use,
		.number = f->number,
		.end = f->end,
		.from_pid = restored_pid(tree, from, r),
		.from_use = from->use,
		.from_number = from->number,
		.nodeid = f->nodeid,
		.flags = flags,
	};
	int err;

	if (!arg.pid || !arg.from_pid)
		return -ESRCH;
	err = flags & FUSECR_SHARE_REOPEN ? s->reopen(&arg, s->arg) : handle_share_file(s->handle, &arg);
	if (err)
		report_add(r, "process %d %s %#lx: not made the file of process %d %s %#lx again: %s", arg.pid,
			   file_use_name(arg.use), (unsigned long)arg.number, arg.from_pid,
			   file_use_name(arg.from_use), (unsigned long)arg.from_number, strerror(-err));
	return err;
}

/* The first place of an open file: what CRIU has opened once is right. */
static int lead(const struct sharing *s, struct making *all, const FuseFileEntry *f,
		const struct tree *tree, struct report *r)
{
	pid_t pid;

	if (is_open(f))
		return 0;
	pid = restored_pid(tree, f, r);
	if (!pid)
		return -ESRCH;
	return claim(all, pid, f) ? share(s, f, f, FUSECR_SHARE_REOPEN, tree, r) : 0;
}

static int share_all(const struct sharing *s, struct making *all, const FuseFileEntry **sorted,
		     size_t count, const struct tree *tree, struct report *r)
{
	const FuseFileEntry *first = NULL;
	int err = 0;

	for (size_t i = 0; !err && i < count; i++) {
		const FuseFileEntry *f = sorted[i];

		if (!first || first->cookie != f->cookie) {
			first = f;
			err = lead(s, all, f, tree, r);
		} else if (!is_open(f)) {
			err = share(s, f, first, 0, tree, r);
		}
	}
	return err;
}

int settle_sharing(const struct sharing *s, const struct model *m, const struct tree *tree,
		   struct report *r)
{
	const struct message_list *files = model_files(m);
	struct making all = { 0 };
	const FuseFileEntry **sorted;
	size_t count = 0;
	int err;

	sorted = calloc(files->count ?: 1, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < files->count; i++) {
		const FuseFileEntry *f = (const FuseFileEntry *)files->items[i];

		if (f->has_fh)
			sorted[count++] = f;
	}
	if (count)
		qsort(sorted, count, sizeof(*sorted), by_cookie);
	err = nl_files(s->nl, s->conn_id, 0, add_made, &all);
	err = err ?: share_all(s, &all, sorted, count, tree, r);
	free(all.made);
	free(sorted);
	return err;
}

int settle_pages(int handle, const struct engine *e, struct report *r)
{
	for (size_t i = 0; i < e->nr_guessed; i++) {
		int err = handle_drop_pages(handle, e->guessed[i], PATIENCE_S);

		if (err && err != -ENOENT) {
			report_add(r, "%s: node %lu: what was read before its daemon was there could not be dropped: %s",
				   model_label(e->model), (unsigned long)e->guessed[i], strerror(-err));
			return err;
		}
	}
	return 0;
}

static int settle_file(int handle, const FuseFileEntry *f, pid_t pid, const char *label, struct report *r)
{
	struct fusecr_set_file set = {
		.mask = FUSECR_SET_FH | FUSECR_SET_KH | FUSECR_SET_POLLED | FUSECR_SET_OPEN_FLAGS |
			FUSECR_SET_FILE_FLAGS,
		.pid = pid,
		.use = f->use,
		.number = f->number,
		.nodeid = f->nodeid,
		.fh = f->fh,
		.kh = f->kh,
		.open_flags = f->open_flags,
		.file_flags = f->file_flags,
	};
	int err;

	/* CRIU opens a mapping alone as it likes, and drops flags that only open minds. */
	if (f->use != FUSECR_FILE_FD) {
		set.mask |= FUSECR_SET_POS;
		set.pos = f->pos;
	}
	if (f->has_readdir_pos) {
		set.mask |= FUSECR_SET_READDIR_POS;
		set.readdir_pos = f->readdir_pos;
	}
	if (f->flags & FUSECR_FF_FLOCK)
		set.mask |= FUSECR_SET_FLOCK;
	set.flags = f->flags & (FUSECR_FF_NONSEEKABLE | FUSECR_FF_STREAM);
	if (set.flags)
		set.mask |= FUSECR_SET_SEEK;
	err = handle_set_file(handle, &set);
	if (err)
		report_add(r, "%s: process %d %s %lu: handle %#lx of node %lu was not set: %s", label, pid,
			   file_use_name(f->use), (unsigned long)f->number, (unsigned long)f->fh,
			   (unsigned long)f->nodeid, strerror(-err));
	return err;
}

/* The locks that the daemon has of this one stay this one's. */
static int settle_owners(int handle, const FuseFileEntry *f, pid_t pid, const char *label, struct report *r)
{
	struct fusecr_set_owner set = {
		.pid = pid,
		.use = f->use,
		.number = f->number,
		.nodeid = f->nodeid,
		.table = f->owner_table,
		.open = f->owner_open,
	};
	int err;

	if (f->has_owner_table)
		set.mask |= FUSECR_SET_OWNER_TABLE;
	if (f->has_owner_open)
		set.mask |= FUSECR_SET_OWNER_OPEN;
	if (!set.mask)
		return 0;
	err = handle_set_owner(handle, &set);
	if (err)
		report_add(r, "%s: process %d %s %lu: the owner of its locks on node %lu was not set: %s", label, pid,
			   file_use_name(f->use), (unsigned long)f->number,
			   (unsigned long)f->nodeid, strerror(-err));
	return err;
}

int settle_files(int handle, const struct model *m, const struct tree *tree, struct report *r)
{
	const struct message_list *files = model_files(m);

	/* Duplicates are set again to the same: it also proves that they are there. */
	for (size_t i = 0; i < files->count; i++) {
		const FuseFileEntry *f = (const FuseFileEntry *)files->items[i];
		pid_t pid;
		int err;

		if (!f->has_fh)
			continue;
		pid = restored_pid(tree, f, r);
		if (!pid)
			return -ESRCH;
		err = settle_file(handle, f, pid, model_label(m), r) ?:
		      settle_owners(handle, f, pid, model_label(m), r);
		if (err)
			return err;
	}
	return 0;
}

/*
 * CRIU takes the locks before it makes the mappings, and then closes a descriptor
 * that it has opened for each: any close by its owner ends a POSIX lock
 * (criu/cr-restore.c, prepare_file_locks() and open_vmas(); seen with 3.17.1 and
 * 4.1.1 on tmpfs, for shared and private mappings).
 */
int settle_locks(int handle, const struct model *m, const struct tree *tree, struct report *r)
{
	const struct message_list *files = model_files(m);
	int err = 0;

	for (size_t i = 0; !err && i < files->count; i++) {
		const FuseFileEntry *f = (const FuseFileEntry *)files->items[i];
		pid_t pid = f->n_lock ? restored_pid(tree, f, r) : 0;

		if (f->n_lock && !pid)
			return -ESRCH;
		for (size_t k = 0; !err && k < f->n_lock; k++) {
			const struct fusecr_set_lock set = {
				.pid = pid,
				.type = f->lock[k]->type,
				.number = f->number,
				.nodeid = f->nodeid,
				.start = f->lock[k]->start,
				.end = f->lock[k]->end,
			};

			err = handle_set_lock(handle, &set);
			if (err)
				report_add(r, "%s: process %d fd %lu: its lock from %lu to %lu was not set again: %s",
					   model_label(m), pid, (unsigned long)f->number, (unsigned long)set.start,
					   (unsigned long)set.end, strerror(-err));
		}
	}
	return err;
}

static uint32_t inode_flags(const struct model *m, uint64_t nodeid)
{
	const FuseInodeEntry *i = model_inode(m, nodeid);

	return i ? i->flags & (S_ISDIR(i->mode) ? FUSECR_INODE_DEAD : FUSECR_INODE_LINKABLE) : 0;
}

struct deleting {
	int handle;
	const struct model *m;
	const struct tree *tree;
	const struct meanwhile *meanwhile;
	struct report *r;
};

/* The file, or the directory above it, of that node and name. */
static int delete_one(const struct deleting *d, const FuseFileEntry *f, uint32_t above, uint64_t nodeid,
		      const char *name, size_t len)
{
	struct fusecr_unlink which = {
		.pid = restored_pid(d->tree, f, d->r),
		.use = f->use,
		.number = f->number,
		.nodeid = f->nodeid,
		.name = (uintptr_t)name,
		.name_len = len,
		.flags = inode_flags(d->m, nodeid),
		.above = above,
		.above_nodeid = above ? nodeid : 0,
	};
	int err;

	if (!which.pid)
		return -ESRCH;
	err = handle_unlink(d->handle, &which, d->meanwhile);
	if (err)
		report_add(d->r, "%s: process %d %s %lu: %.*s was not deleted again in %.*s: %s",
			   model_label(d->m), which.pid, file_use_name(f->use), (unsigned long)f->number, (int)len, name,
			   (int)f->path.len, (const char *)f->path.data, strerror(-err));
	return err;
}

/* From below, while what is above has its name yet. */
static int delete_file(const struct deleting *d, const FuseFileEntry *f)
{
	size_t len = 0;
	const char *name = snapshot_last_name(f, &len);
	int err = 0;

	if (f->flags & FUSECR_FF_UNLINKED)
		err = delete_one(d, f, 0, f->nodeid, name, len);
	for (size_t i = 0; !err && i < f->n_above; i++) {
		name = snapshot_name_above(f, f->above[i]->level, &len);
		err = name ? delete_one(d, f, f->above[i]->level, f->above[i]->nodeid, name, len) : -EBADMSG;
	}
	return err;
}

int settle_deleted(int handle, const struct model *m, const struct tree *tree,
		   const struct meanwhile *meanwhile, struct report *r)
{
	const struct deleting d = { handle, m, tree, meanwhile, r };
	const struct message_list *files = model_files(m);
	int err = 0;

	for (size_t i = 0; !err && i < files->count; i++) {
		const FuseFileEntry *f = (const FuseFileEntry *)files->items[i];

		/* Names of sockets CRIU has taken away itself. */
		if (f->use != FUSECR_FILE_SOCKET)
			err = delete_file(&d, f);
	}
	return err;
}

int settle_conn(int handle, const struct model *m, pid_t root, bool pid_ns, bool waited_for, struct report *r)
{
	const FuseConnEntry *c = model_conn(m);
	struct fusecr_set_conn set = {
		.mask = FUSECR_SET_NO,
		.no = c->no,
		.next_unique = c->next_unique,
		.pid = root,
	};
	int err;

	/* Else the daemon is to see numbers again that it has not seen yet. */
	if (!waited_for)
		set.mask |= FUSECR_SET_NEXT_UNIQUE;
	if (pid_ns)
		set.mask |= FUSECR_SET_PID_NS;
	if (c->user_ns != PROC_INIT_USER_NS)
		set.mask |= FUSECR_SET_OWNER_NS | FUSECR_SET_USER_NS;
	if (c->has_next_backing) {
		set.mask |= FUSECR_SET_NEXT_BACKING;
		set.next_backing = c->next_backing;
	}
	err = handle_set_conn(handle, &set);
	if (err)
		report_add(r, "%s: its counters were not set: %s", model_label(m), strerror(-err));
	return err;
}

static void fill_entry(struct fuse_entry_out *entry, const struct model *m, uint64_t nodeid)
{
	const FuseInodeEntry *inode = nodeid ? model_inode(m, nodeid) : NULL;

	if (!inode)
		return;
	entry->nodeid = nodeid;
	entry->generation = inode->generation;
	attr_fill(&entry->attr, inode);
}

/* The module reads both; an image that says more than it has is refused. */
static int keep(int handle, const struct model *m, const FuseRequestEntry *q, int devfd)
{
	struct fuse_entry_out named[FUSECR_KEEP_NAMES] = { 0 };
	struct fusecr_keep k = {
		.fd = devfd,
		.opcode = q->opcode,
		.unique = q->unique,
		.nodeid = q->nodeid,
		.uid = q->uid,
		.gid = q->gid,
		.pid = q->pid,
		.in_len = q->in_len,
		.in = (uintptr_t)q->in_data.data,
		.out_count = q->out_count,
		.out_size = { q->out_size_0, q->out_size_1 },
		.out_var = q->out_var,
		.answered = q->answered,
		.error = -(int32_t)q->error,
		.place = q->place,
		.out = (uintptr_t)q->in_data.data + q->in_len,
		.named = (uintptr_t)named,
	};
	uint64_t out = q->answered && !q->error ? (uint64_t)q->out_size_0 + q->out_size_1 : 0;

	if (q->in_data.len != q->in_len + out)
		return -EBADMSG;
	fill_entry(&named[0], m, q->named_0);
	fill_entry(&named[1], m, q->named_1);
	return handle_keep(handle, &k);
}

int settle_kept(int handle, const struct model *m, int (*devfd)(uint64_t cookie, const void *arg),
		const void *arg, struct report *r)
{
	const struct message_list *requests = model_requests(m);

	for (size_t i = 0; i < requests->count; i++) {
		const FuseRequestEntry *q = (const FuseRequestEntry *)requests->items[i];
		int err;

		if (q->state != FUSECR_REQ_KEPT)
			continue;
		err = keep(handle, m, q, devfd(q->dev, arg));
		if (err) {
			report_add(r, "%s: %s, unique %lu, of thread %u, which the daemon had not answered, was not kept: %s",
				   model_label(m), opcode_name(q->opcode), (unsigned long)q->unique, q->pid, strerror(-err));
			return err;
		}
	}
	return 0;
}
