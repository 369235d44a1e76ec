// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/fuse.h>
#include <linux/fusecr.h>

#include "attr.h"
#include "engine.h"
#include "init_out.h"
#include "newer_fuse.h"

/* Room for a request's header and arguments besides its payload. */
#define HEADROOM	(64u << 10)
#define PAYLOAD_MAX	(64u << 20)
#define DRAIN_MAX	10000

/* struct fuse_statx_out, Linux 6.6. */
struct statx_out {
	uint64_t attr_valid;
	uint32_t attr_valid_nsec;
	uint32_t flags;
	uint64_t spare[2];
	struct {
		uint32_t mask, blksize;
		uint64_t attributes;
		uint32_t nlink, uid, gid;
		uint16_t mode, spare0;
		uint64_t ino, size, blocks, attributes_mask;
		struct { int64_t sec; uint32_t nsec; int32_t reserved; } atime, btime, ctime, mtime;
		uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
		uint64_t spare2[14];
	} stat;
};

struct request {
	const struct fuse_in_header *h;
	const void *arg;
	size_t len;	/* of arg */
};

/* What a handler made of a request. */
enum verdict {
	ANSWER,		/* error and out are the reply */
	NO_REPLY,	/* none is due */
	HOLD,		/* left for the daemon */
};

struct reply {
	int error;
	const void *data;
	size_t len;
	union {
		struct fuse_entry_out entry;
		struct fuse_attr_out attr;
		struct fuse_open_out open;
		struct fuse_statfs_out statfs;
		struct fuse_init_out init;
		struct fuse_poll_out poll;
		struct statx_out statx;
	} out;
};

static enum verdict answer(struct reply *r, size_t len)
{
	r->data = &r->out;
	r->len = len;
	return ANSWER;
}

static enum verdict fail(struct reply *r, int error)
{
	r->error = -error;
	return ANSWER;
}

/*
 * At dump nothing is deleted: a file of which CRIU hears that no link is left it
 * would read, to make it anew.  Of a socket it does not ask.
 */
static uint32_t links(const struct engine *e, const FuseInodeEntry *i)
{
	return e->phase == ENGINE_DUMP && !i->nlink && !S_ISSOCK(i->mode) ? 1 : i->nlink;
}

/* A name in a request's argument, behind so many bytes; NULL when it does not end. */
struct name {
	const char *text;
	size_t len;
};

static struct name name_at(const struct request *q, size_t at)
{
	const char *text = (const char *)q->arg + at;
	size_t len = at < q->len ? strnlen(text, q->len - at) : 0;

	return at < q->len && len < q->len - at ? (struct name){ text, len } : (struct name){ 0 };
}

static const FuseInodeEntry *look_up(const struct engine *e, uint64_t parent, struct name n)
{
	uint64_t nodeid;

	if (renames_find(&e->renames, parent, n.text, n.len, &nodeid))
		return nodeid ? model_inode(e->model, nodeid) : NULL;
	return model_lookup_told(e->model, parent, n.text, n.len);
}

/* Timeouts stay 0: the real daemon is asked as soon as it is back. */
static enum verdict answer_entry(const struct engine *e, struct reply *r, const FuseInodeEntry *i)
{
	r->out.entry.nodeid = i->nodeid;
	r->out.entry.generation = i->generation;
	attr_fill(&r->out.entry.attr, i);
	r->out.entry.attr.nlink = links(e, i);
	return answer(r, sizeof(r->out.entry));
}

static enum verdict do_lookup(struct engine *e, const struct request *q, struct reply *r)
{
	struct name n = name_at(q, 0);
	const FuseInodeEntry *i;

	if (!n.text)
		return fail(r, EINVAL);
	i = look_up(e, q->h->nodeid, n);
	if (!i)	/* at dump the daemon may know better, but it cannot be asked */
		return fail(r, e->phase == ENGINE_RESTORE ? ENOENT : EIO);
	return answer_entry(e, r, i);
}

static enum verdict do_getattr(struct engine *e, const struct request *q, struct reply *r)
{
	const FuseInodeEntry *i = model_inode(e->model, q->h->nodeid);

	if (!i)
		return fail(r, EIO);
	attr_fill(&r->out.attr.attr, i);
	r->out.attr.attr.nlink = links(e, i);
	return answer(r, sizeof(r->out.attr));
}

static enum verdict do_statx(struct engine *e, const struct request *q, struct reply *r)
{
	const FuseInodeEntry *i = model_inode(e->model, q->h->nodeid);
	struct statx_out *o = &r->out.statx;

	if (!i)
		return fail(r, EIO);
	o->stat.mask = STATX_BASIC_STATS;
	o->stat.blksize = i->blkbits < 31 ? 1u << i->blkbits : 0;
	o->stat.nlink = links(e, i);
	o->stat.uid = i->uid;
	o->stat.gid = i->gid;
	o->stat.mode = i->mode;
	o->stat.ino = i->orig_ino;
	o->stat.size = i->size;
	o->stat.blocks = i->blocks;
	o->stat.atime.sec = i->atime;
	o->stat.atime.nsec = i->atime_nsec;
	o->stat.ctime.sec = i->ctime;
	o->stat.ctime.nsec = i->ctime_nsec;
	o->stat.mtime.sec = i->mtime;
	o->stat.mtime.nsec = i->mtime_nsec;
	o->stat.rdev_major = major(i->rdev);
	o->stat.rdev_minor = minor(i->rdev);
	return answer(r, sizeof(*o));
}

/* fuse_open_out.backing_id, since Linux 6.9; padding before. */
static void open_out_backing_id(struct fuse_open_out *o, int32_t id)
{
	memcpy((char *)o + offsetof(struct fuse_open_out, open_flags) + 4, &id, sizeof(id));
}

/* What the programs' open file had that this one is to become. */
static uint32_t restored_flags(const struct engine *e, const struct request *q, uint32_t fallback)
{
	const struct fuse_open_in *in = q->arg;

	return model_open_flags(e->model, q->h->nodeid, q->len < sizeof(*in) ? 0 : in->flags, fallback) &
	       ~(FOPEN_STREAM | FOPEN_NONSEEKABLE);
}

/*
 * While one file of the node is open for passthrough, fuse takes no other answer
 * (fuse_file_io_open()), nor are flags of the page cache's allowed with it.
 */
static enum verdict open_backed(struct engine *e, const struct request *q, struct reply *r,
				const FuseInodeEntry *i, const FuseBackingEntry *b)
{
	uint32_t flags = OPEN_PASSTHROUGH;
	int id = e->backing ? e->backing(b, q->h->pid, e->arg) : (int)b->id;

	if (id <= 0)
		return fail(r, EIO);
	if (e->phase == ENGINE_RESTORE)
		flags = restored_flags(e, q, flags);
	r->out.open.fh = ENGINE_FH_BASE + e->handles->opens++;
	r->out.open.open_flags = flags;
	open_out_backing_id(&r->out.open, id);
	return answer(r, sizeof(r->out.open));
}

/*
 * Opens are CRIU's own.  At dump they bypass the page cache (DIRECT_IO): what it
 * lacks only the daemon knows, and a build-id that CRIU found in it would be
 * looked for again at restore, where there is no daemon yet.  So every read
 * fails, which CRIU takes as "no build-id" (criu/files-reg.c, get_build_id(),
 * 3.17.1 to 4.2; for its mapping see plugin/sigbus.h).  At restore they become
 * the programs' own files; those that cannot seek can for as long as CRIU needs it
 * (settle_files()).
 */
static enum verdict do_open(struct engine *e, const struct request *q, struct reply *r)
{
	bool dir = q->h->opcode == FUSE_OPENDIR;
	uint32_t no = model_conn(e->model)->no;
	const FuseBackingEntry *b;
	const FuseInodeEntry *i;

	if (no & (dir ? FUSECR_NO_OPENDIR : FUSECR_NO_OPEN))
		return fail(r, ENOSYS);
	i = model_inode(e->model, q->h->nodeid);
	if (!i)
		return fail(r, EIO);
	b = model_backing(e->model, i);
	if (!b && e->phase == ENGINE_RESTORE)
		b = model_mapped(e->model, i->nodeid);
	if (b)
		return open_backed(e, q, r, i, b);
	r->out.open.fh = ENGINE_FH_BASE + e->handles->opens++;
	if (e->phase == ENGINE_RESTORE)
		r->out.open.open_flags = restored_flags(e, q, FOPEN_KEEP_CACHE);
	else
		r->out.open.open_flags = FOPEN_KEEP_CACHE | (dir ? 0 : FOPEN_DIRECT_IO);
	return answer(r, sizeof(r->out.open));
}

static bool throw_away(const struct engine *e, uint64_t fh)
{
	return fh >= ENGINE_FH_BASE && fh < ENGINE_FH_BASE + e->handles->opens;
}

static enum verdict do_release(struct engine *e, const struct request *q, struct reply *r)
{
	const struct fuse_release_in *in = q->arg;

	if (q->len < sizeof(*in))
		return fail(r, EINVAL);
	if (throw_away(e, in->fh))
		e->handles->releases++;
	else if (e->phase == ENGINE_DUMP)
		return HOLD;	/* a handle of the daemon's: it must hear of it */
	return answer(r, 0);
}

/* Dear: only for requests that somebody waits for, and whose asker matters. */
static bool ours(const struct engine *e, const struct request *q)
{
	return !e->ours || e->ours(q->h->pid, q->h->unique, e->arg);
}

/* CRIU closes duplicates of the programs' files; dying programs their own. */
static enum verdict do_flush(struct engine *e, const struct request *q, struct reply *r)
{
	const struct fuse_flush_in *in = q->arg;

	if (q->len < sizeof(*in))
		return fail(r, EINVAL);
	if (e->phase == ENGINE_DUMP && !throw_away(e, in->fh) && !ours(e, q))
		return HOLD;
	if (e->model && (model_conn(e->model)->no & FUSECR_NO_FLUSH))
		return fail(r, ENOSYS);
	return answer(r, 0);
}

static enum verdict do_access(struct engine *e, const struct request *q, struct reply *r)
{
	(void)q;
	if (model_conn(e->model)->no & FUSECR_NO_ACCESS)
		return fail(r, ENOSYS);
	return answer(r, 0);
}

static enum verdict do_statfs(struct engine *e, const struct request *q, struct reply *r)
{
	(void)e;
	(void)q;
	r->out.statfs.st.bsize = 4096;
	r->out.statfs.st.frsize = 4096;
	r->out.statfs.st.namelen = 255;
	return answer(r, sizeof(r->out.statfs));
}

static enum verdict do_interrupt(struct engine *e, const struct request *q, struct reply *r)
{
	const struct fuse_interrupt_in *in = q->arg;
	uint64_t *grown;

	(void)r;
	if (e->phase != ENGINE_DUMP || q->len < sizeof(*in))
		return NO_REPLY;
	grown = reallocarray(e->interrupted, e->nr_interrupted + 1, sizeof(*grown));
	if (grown) {
		e->interrupted = grown;
		grown[e->nr_interrupted++] = in->unique;
	}
	return NO_REPLY;
}

static enum verdict do_forget(struct engine *e, const struct request *q, struct reply *r)
{
	const struct fuse_forget_in *in = q->arg;

	(void)r;
	if (e->forget && q->len >= sizeof(*in))
		e->forget(q->h->nodeid, in->nlookup, e->arg);
	return NO_REPLY;
}

static enum verdict do_batch_forget(struct engine *e, const struct request *q, struct reply *r)
{
	const struct fuse_batch_forget_in *in = q->arg;
	const struct fuse_forget_one *one = (const struct fuse_forget_one *)(in + 1);

	(void)r;
	if (!e->forget || q->len < sizeof(*in))
		return NO_REPLY;
	for (size_t i = 0; i < in->count && i < (q->len - sizeof(*in)) / sizeof(*one); i++)
		e->forget(one[i].nodeid, one[i].nlookup, e->arg);
	return NO_REPLY;
}

static enum verdict do_init(struct engine *e, const struct request *q, struct reply *r)
{
	const FuseConnEntry *c = e->model ? model_conn(e->model) : NULL;
	const struct fuse_init_in *in = q->arg;

	if (!c)
		return fail(r, EIO);
	/* The fields up to flags are there since 7.6. */
	if (q->len < offsetof(struct fuse_init_in, flags) + sizeof(in->flags))
		return fail(r, EPROTO);
	e->init_minor = in->minor;
	e->init_offered = in->flags;
	if ((in->flags & FUSE_INIT_EXT) && q->len >= offsetof(struct fuse_init_in, flags2) + 4)
		e->init_offered |= (uint64_t)in->flags2 << 32;
	init_out_fill(&r->out.init, c);
	e->init_done = true;
	return answer(r, sizeof(r->out.init));
}

static enum verdict do_notify_reply(struct engine *e, const struct request *q, struct reply *r)
{
	(void)r;
	if (e->phase == ENGINE_DUMP)
		retrieves_note(&e->retrieves, q->h, q->arg, q->len);
	return NO_REPLY;
}

static int remember(struct engine *e, uint64_t nodeid)
{
	uint64_t *grown;

	for (size_t i = 0; i < e->nr_guessed; i++)
		if (e->guessed[i] == nodeid)
			return 0;
	grown = reallocarray(e->guessed, e->nr_guessed + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	e->guessed = grown;
	grown[e->nr_guessed++] = nodeid;
	return 0;
}

/* The same at each call. */
static int make_noise(struct engine *e, size_t size)
{
	char *grown = e->noise;

	if (size <= e->noise_size)
		return 0;
	if (size > PAYLOAD_MAX)
		return -EINVAL;
	grown = realloc(grown, size);
	if (!grown)
		return -ENOMEM;
	e->noise = grown;
	for (size_t at = e->noise_size; at < size;) {
		ssize_t n = getrandom(grown + at, size - at, 0);

		if (n < 0)
			return -errno;
		at += n;
	}
	e->noise_size = size;
	return 0;
}

/*
 * A restored program's private mapping gets its own pages by being written, and
 * the kernel fetches the file's page first, only to copy it and have the copy
 * overwritten.  Whatever it gets is thrown away, out of the page cache too, before
 * anyone runs (settle_pages()).  Noise, because CRIU leaves a page as it is that
 * it finds to have the right bytes already (criu/mem.c, restore_priv_vma_content()).
 */
static enum verdict guess(struct engine *e, const struct request *q, struct reply *r)
{
	const struct fuse_read_in *in = q->arg;
	const FuseInodeEntry *i = model_inode(e->model, q->h->nodeid);
	size_t size = in->size;
	int err;

	if (!i)
		return fail(r, EIO);
	if (in->offset >= i->size)
		size = 0;
	else if (size > i->size - in->offset)
		size = i->size - in->offset;
	err = make_noise(e, size) ?: remember(e, q->h->nodeid);
	if (err)
		return fail(r, -err);
	r->data = e->noise;
	r->len = size;
	return ANSWER;
}

/*
 * Reads would need the daemon's data.  With readahead nobody waits for them, but
 * they say through which file they are made.
 */
static enum verdict do_read(struct engine *e, const struct request *q, struct reply *r)
{
	const struct fuse_read_in *in = q->arg;

	if (q->len < sizeof(*in))
		return fail(r, EINVAL);
	if (!throw_away(e, in->fh) && !ours(e, q))
		return HOLD;
	return e->phase == ENGINE_RESTORE && e->model ? guess(e, q, r) : fail(r, EIO);
}

/*
 * CRIU asks for none, but the kernel for access control lists, on CRIU's way to a
 * file (FUSE_POSIX_ACL).  An answer would stay in its cache; without one it looks at
 * CRIU's capabilities (generic_permission(), fs/namei.c).
 */
static enum verdict do_getxattr(struct engine *e, const struct request *q, struct reply *r)
{
	static const char lists[] = "system.posix_acl_";
	const size_t at = sizeof(struct fuse_getxattr_in), len = strlen(lists);

	(void)e;
	if (q->len < at + len || memcmp((const char *)q->arg + at, lists, len))
		return fail(r, EIO);
	return fail(r, EACCES);
}

/*
 * CRIU binds a unix socket anew, which makes a node: it is the one that the daemon
 * has.  The name's old node is taken away before, and so is the new one if it was
 * deleted, while whatever has that name now is moved aside (criu/sk-unix.c).
 */
static enum verdict do_mknod(struct engine *e, const struct request *q, struct reply *r)
{
	const struct fuse_mknod_in *in = q->arg;
	struct name n = name_at(q, sizeof(*in));
	const FuseInodeEntry *i;

	if (!n.text)
		return fail(r, EINVAL);
	i = e->phase == ENGINE_RESTORE && S_ISSOCK(in->mode) ?
		model_bound(e->model, q->h->nodeid, n.text, n.len) : NULL;
	if (!i || renames_set(&e->renames, q->h->nodeid, n.text, n.len, i->nodeid))
		return fail(r, EIO);
	return answer_entry(e, r, i);
}

static enum verdict do_unlink(struct engine *e, const struct request *q, struct reply *r)
{
	struct name n = name_at(q, 0);
	const FuseInodeEntry *i;

	if (!n.text)
		return fail(r, EINVAL);
	i = e->phase == ENGINE_RESTORE ? look_up(e, q->h->nodeid, n) : NULL;
	if (!i || !S_ISSOCK(i->mode) || renames_set(&e->renames, q->h->nodeid, n.text, n.len, 0))
		return fail(r, EIO);
	return answer(r, 0);
}

static enum verdict do_rename(struct engine *e, const struct request *q, struct reply *r)
{
	const struct fuse_rename_in *in = q->arg;
	struct name from = name_at(q, sizeof(*in)), to = name_at(q, sizeof(*in) + from.len + 1);
	const FuseInodeEntry *i;

	if (!from.text || !to.text)
		return fail(r, EINVAL);
	i = e->phase == ENGINE_RESTORE ? look_up(e, q->h->nodeid, from) : NULL;
	if (!i || renames_set(&e->renames, in->newdir, to.text, to.len, i->nodeid) ||
	    renames_set(&e->renames, q->h->nodeid, from.text, from.len, 0))
		return fail(r, EIO);
	return answer(r, 0);
}

/* Owner and mode of a socket that was bound anew are what they were already. */
static enum verdict do_setattr(struct engine *e, const struct request *q, struct reply *r)
{
	const FuseInodeEntry *i = model_inode(e->model, q->h->nodeid);

	if (e->phase != ENGINE_RESTORE || !i || !S_ISSOCK(i->mode))
		return fail(r, EIO);
	return do_getattr(e, q, r);
}

/*
 * Whoever polls again is told that there may be something: epoll then asks the
 * daemon as soon as its owner waits, and tells of nothing that is not there.
 */
static enum verdict do_poll(struct engine *e, const struct request *q, struct reply *r)
{
	const struct fuse_poll_in *in = q->arg;

	if (model_conn(e->model)->no & FUSECR_NO_POLL)
		return fail(r, ENOSYS);
	if (q->len < sizeof(*in))
		return fail(r, EINVAL);
	r->out.poll.revents = in->events;
	return answer(r, sizeof(r->out.poll));
}

/* Of fuseblk: whoever unmounts it waits for the answer. */
static enum verdict do_destroy(struct engine *e, const struct request *q, struct reply *r)
{
	(void)q;
	return e->phase == ENGINE_DUMP ? HOLD : answer(r, 0);
}

/* So would these. */
static enum verdict do_unknown(struct engine *e, const struct request *q, struct reply *r)
{
	(void)e;
	(void)q;
	return fail(r, EIO);
}

struct op {
	uint32_t opcode;
	enum verdict (*serve)(struct engine *e, const struct request *q, struct reply *r);
	bool any;	/* also for requests that do not come from our side */
};

static const struct op ops[] = {
	{ FUSE_LOOKUP,		do_lookup,	false },
	{ FUSE_FORGET,		do_forget,	true },
	{ FUSE_BATCH_FORGET,	do_batch_forget, true },
	{ FUSE_INTERRUPT,	do_interrupt,	true },
	{ FUSE_NOTIFY_REPLY,	do_notify_reply, true },
	{ FUSE_GETATTR,		do_getattr,	false },
	{ OP_STATX,		do_statx,	false },
	{ FUSE_OPEN,		do_open,	false },
	{ FUSE_OPENDIR,		do_open,	false },
	{ FUSE_RELEASE,		do_release,	true },
	{ FUSE_RELEASEDIR,	do_release,	true },
	{ FUSE_FLUSH,		do_flush,	true },
	{ FUSE_ACCESS,		do_access,	false },
	{ FUSE_STATFS,		do_statfs,	false },
	{ FUSE_INIT,		do_init,	true },
	{ FUSE_DESTROY,		do_destroy,	true },
	{ FUSE_READ,		do_read,	true },
	{ FUSE_READDIR,		do_unknown,	false },
	{ FUSE_READDIRPLUS,	do_unknown,	false },
	{ FUSE_READLINK,	do_unknown,	false },
	{ FUSE_GETXATTR,	do_getxattr,	false },
	{ FUSE_LISTXATTR,	do_unknown,	false },
	{ FUSE_LSEEK,		do_unknown,	false },
	{ FUSE_MKNOD,		do_mknod,	false },
	{ FUSE_UNLINK,		do_unlink,	false },
	{ FUSE_RENAME,		do_rename,	false },
	{ FUSE_SETATTR,		do_setattr,	false },
	{ FUSE_POLL,		do_poll,	false },
};

static enum verdict dispatch(struct engine *e, const struct request *q, struct reply *r)
{
	const struct op *op = NULL;

	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
		if (ops[i].opcode == q->h->opcode)
			op = &ops[i];
	/* The dying close their files; anything else finds no daemon. */
	if (e->phase == ENGINE_DYING && (!op || !op->any || op->serve == do_read))
		return fail(r, ENOTCONN);
	if (op && op->any)
		return op->serve(e, q, r);
	if (!ours(e, q))
		return HOLD;
	if (op && e->model)
		return op->serve(e, q, r);
	/*
	 * Any other error would have the kernel take the name for a wrong one, and detach
	 * what is mounted below it (fuse_dentry_revalidate(), d_invalidate()).
	 */
	return fail(r, q->h->opcode == FUSE_LOOKUP ? ENOMEM : EIO);
}

static int send_reply(int fd, uint64_t unique, const struct reply *r)
{
	struct fuse_out_header oh = {
		.len = sizeof(oh) + (r->error ? 0 : r->len),
		.error = r->error,
		.unique = unique,
	};
	struct iovec iov[2] = {
		{ &oh, sizeof(oh) },
		{ (void *)r->data, r->error ? 0 : r->len },
	};

	/* ENOENT: the asker was killed meanwhile. */
	if (writev(fd, iov, 2) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

int engine_serve(struct engine *e, int fd)
{
	struct reply r;
	struct request q;
	ssize_t n;

	/* { 0 } need not clear all of a union (GCC 15): the kernel would get our stack. */
	memset(&r, 0, sizeof(r));
	n = read(fd, e->buf, e->buf_size);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR || errno == ENOENT ? 0 : -errno;
	q.h = e->buf;
	if ((size_t)n < sizeof(*q.h))
		return -EPROTO;
	q.arg = q.h + 1;
	q.len = n - sizeof(*q.h);
	switch (dispatch(e, &q, &r)) {
	case ANSWER:
		return send_reply(fd, q.h->unique, &r) ?: 1;
	case HOLD:
		e->held++;
		break;
	case NO_REPLY:
		break;
	}
	return 1;
}

int engine_drain(struct engine *e, int fd)
{
	int n = 1;

	for (int i = 0; i < DRAIN_MAX && n > 0; i++)
		n = engine_serve(e, fd);
	return n < 0 ? n : 0;
}

int engine_init(struct engine *e, enum engine_phase phase, uint32_t max_write, struct handles *handles)
{
	memset(e, 0, sizeof(*e));
	if (max_write > PAYLOAD_MAX)
		return -EBADMSG;
	e->phase = phase;
	e->handles = handles;
	e->buf_size = HEADROOM + max_write;
	e->buf = malloc(e->buf_size);
	return e->buf ? 0 : -ENOMEM;
}

void engine_free(struct engine *e)
{
	renames_free(&e->renames);
	retrieves_free(&e->retrieves);
	free(e->buf);
	free(e->guessed);
	free(e->noise);
	free(e->interrupted);
	e->buf = e->noise = e->guessed = e->interrupted = NULL;
}
