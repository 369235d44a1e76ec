// SPDX-License-Identifier: GPL-2.0
/* Locks that the server keeps: ranges, owners, and who waits for one. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "rawfs_priv.h"

static bool overlaps(const struct rawfs_lk *l, uint64_t start, uint64_t end)
{
	return l->start <= end && start <= l->end;
}

/* One of another owner's that is in the way, or NULL. */
static const struct rawfs_lk *conflict(const struct rawfs *fs,
				       const struct rawfs_lk *want)
{
	unsigned int i;

	for (i = 0; i < RAWFS_MAX_LOCKS; i++) {
		const struct rawfs_lk *l = &fs->locks[i];

		if (l->used && l->node == want->node &&
		    l->flock == want->flock && l->owner != want->owner &&
		    overlaps(l, want->start, want->end) &&
		    (l->type == F_WRLCK || want->type == F_WRLCK))
			return l;
	}
	return NULL;
}

static int add(struct rawfs *fs, const struct rawfs_lk *lock)
{
	unsigned int i;

	for (i = 0; i < RAWFS_MAX_LOCKS; i++)
		if (!fs->locks[i].used) {
			fs->locks[i] = *lock;
			fs->locks[i].used = true;
			return 0;
		}
	return -ENOLCK;
}

/* The owner's locks end where @cut begins, and go on where it ends. */
static int cut_out(struct rawfs *fs, const struct rawfs_lk *cut)
{
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < RAWFS_MAX_LOCKS; i++) {
		struct rawfs_lk *l = &fs->locks[i], left, right;

		if (!l->used || l->node != cut->node ||
		    l->flock != cut->flock || l->owner != cut->owner ||
		    !overlaps(l, cut->start, cut->end))
			continue;
		left = right = *l;
		l->used = false;
		fs->unlocked = true;
		if (left.start < cut->start) {
			left.end = cut->start - 1;
			err = add(fs, &left);
		}
		if (!err && right.end > cut->end) {
			right.start = cut->end + 1;
			err = add(fs, &right);
		}
	}
	return err;
}

int rawfs_do_lock(struct rawfs_req *req)
{
	const struct fuse_lk_in *in = rawfs_req_arg(req, sizeof(*in));
	struct rawfs_node *node = rawfs_req_node(req);
	struct rawfs_lk want = {
		.node = rawfs_node_index(req->fs, node),
		.flock = in->lk_flags & FUSE_LK_FLOCK,
		.fh = in->fh,
		.owner = in->owner,
		.start = in->lk.start,
		.end = in->lk.end,
		.type = in->lk.type,
		.pid = in->lk.pid,
	};
	const struct rawfs_lk *other = NULL;
	struct fuse_lk_out *out;
	int err;

	rawfs_req_handle(req, in->fh, FUSE_OPEN);
	if (want.type != F_UNLCK)
		other = conflict(req->fs, &want);
	if (req->h->opcode == FUSE_GETLK) {
		out = rawfs_req_out(req, sizeof(*out));
		out->lk.type = F_UNLCK;
		if (other) {
			out->lk.type = other->type;
			out->lk.start = other->start;
			out->lk.end = other->end;
			out->lk.pid = other->pid;
		}
		return 0;
	}
	if (other)
		return req->h->opcode == FUSE_SETLKW ? RAWFS_WAIT : -EAGAIN;
	err = cut_out(req->fs, &want);
	if (!err && want.type != F_UNLCK)
		err = add(req->fs, &want);
	return err;
}

/* close() ends the POSIX locks of its task on the file, whatever handle it is. */
void rawfs_lock_flush(struct rawfs *fs, uint32_t node, uint64_t owner)
{
	const struct rawfs_lk all = {
		.node = node, .owner = owner, .end = UINT64_MAX,
	};

	cut_out(fs, &all);
}

/* Of an OFD lock fuse says nothing at the end: it goes with its handle. */
void rawfs_lock_release(struct rawfs *fs, uint32_t node, uint64_t fh,
			bool flock, uint64_t owner)
{
	unsigned int i;

	for (i = 0; i < RAWFS_MAX_LOCKS; i++) {
		struct rawfs_lk *l = &fs->locks[i];

		if (!l->used || l->node != node)
			continue;
		if (l->flock ? flock && l->owner == owner : l->fh == fh) {
			l->used = false;
			fs->unlocked = true;
		}
	}
}

const struct rawfs_lk *rawfs_lock(const struct rawfs *fs, const char *path,
				  unsigned int n)
{
	int node = rawfs_index(fs, path);
	unsigned int i;

	for (i = 0; i < RAWFS_MAX_LOCKS; i++)
		if (fs->locks[i].used && fs->locks[i].node == (uint32_t)node &&
		    !n--)
			return &fs->locks[i];
	return NULL;
}
