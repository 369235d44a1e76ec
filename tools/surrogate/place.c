// SPDX-License-Identifier: GPL-2.0
/*
 * Where the new connections are mounted.  Another mount namespace is CRIU's to
 * fill, from the stage.  In our own we mount, each after those that it lies on
 * and the one that it is cloned from.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "control.h"
#include "idmaps.h"
#include "mounts.h"
#include "restore.h"
#include "straight.h"
#include "unmount.h"

/* A mount of the image. */
struct spot {
	const struct rebuilt *rb;
	const FuseMountEntry *m;
	const struct spot *source;	/* what it is cloned from; NULL: it is the first */
	const struct spot *below;	/* one of ours that it lies on, or NULL */
	int fd;				/* -1: not there yet */
	uint32_t mnt_id;		/* when it is */
};

struct spots {
	struct spot *spot;
	size_t count;
	char *path;			/* shared with the child: what could not be mounted */
};

#define PATH_SIZE	4096

static bool is_shared(const FuseMountEntry *m)
{
	return mount_group(m->propagation, "shared:") >= 0;
}

static const char *below_root(const FuseMountEntry *source, const char *root)
{
	return root + (source->root.len == 1 ? 0 : source->root.len);
}

/* A clone is a peer of a shared source. */
static int leave_group(const struct spot *s, int fd)
{
	if (mount_group(s->m->propagation, "master:") >= 0)
		return mountfs_propagation(fd, MS_SLAVE);
	if (!is_shared(s->source->m) || mount_group(s->m->propagation, "shared:") ==
	    mount_group(s->source->m->propagation, "shared:"))
		return 0;
	return mountfs_propagation(fd, MS_PRIVATE);
}

/* Its clones have a map, too, and it cannot be taken off. */
static bool is_mapped_otherwise(const struct spot *s)
{
	return s->source->m->uid_map && !idmap_same(s->source->m, s->m);
}

/* The file system is mounted, but not all of it; the connection's own mount is. */
static bool is_part(const FuseMountEntry *m)
{
	return m->root.len != 1;
}

static int clone_own(struct spot *s, const char *root)
{
	return mountfs_clone(s->rb->mnt, root, s->m->options);
}

static int clone_source(struct spot *s, const char *root)
{
	const FuseMountEntry *source = s->source->m;

	if (is_mapped_otherwise(s) || !mount_shows(&source->root, &s->m->root))
		s->fd = clone_own(s, root);
	else
		s->fd = mountfs_clone(s->source->fd, below_root(source, root), s->m->options);
	return s->fd < 0 ? s->fd : leave_group(s, s->fd);
}

/* The connection's own, which stays as it is: others may be cloned from it. */
static int take_first(struct spot *s, const char *root)
{
	s->fd = s->m->uid_map || is_part(s->m) ? clone_own(s, root) : s->rb->mnt;
	return s->fd < 0 ? s->fd : 0;
}

/* Only one that is nowhere yet takes a map, and once. */
static int map_ids(const struct spot *s)
{
	return s->source && idmap_same(s->source->m, s->m) ? 0 : idmap_set(s->fd, s->m);
}

/* What came by itself, for one that is not there yet. */
struct copy {
	const struct spots *spots;
	const struct spot *s;
	uint32_t mnt_id;
};

static int see_copy(const FuseMountEntry *e, const char *fstype, const char *source, void *arg)
{
	struct copy *c = arg;

	(void)fstype;
	(void)source;
	if (!mount_same_place(e, c->s->m))
		return 0;
	for (size_t i = 0; i < c->spots->count; i++)
		if (c->spots->spot[i].mnt_id == e->mnt_id)
			return 0;
	c->mnt_id = e->mnt_id;
	return 1;
}

/*
 * The place of one lies in a peer of what another was put into, as with "mount --bind" in
 * a shared mount: then the kernel has put a copy there.  1 when it has.
 */
static int find_copy(const struct spots *spots, struct spot *s, const char *path)
{
	struct copy c = { spots, s, 0 };
	int err = s->source ? mounts_of(getpid(), s->rb->dev, see_copy, &c) : 0;

	if (err <= 0)
		return err;
	s->mnt_id = c.mnt_id;
	s->fd = straight_open(AT_FDCWD, path, O_PATH);
	if (s->fd >= 0 && straight_mount(s->fd) == c.mnt_id)
		return mountfs_set(s->fd, s->m->options) ?: 1;
	/* Under another, where nobody comes: it is as its source is. */
	if (s->fd >= 0)
		close(s->fd);
	s->fd = fcntl(s->source->fd, F_DUPFD_CLOEXEC, 0);
	return s->fd < 0 ? -errno : 1;
}

/* What lies in a shared mount has become shared. */
static int put(const struct spots *spots, struct spot *s)
{
	char root[PATH_SIZE], *path = spots->path;
	int err;

	snprintf(root, sizeof(root), "%.*s", (int)s->m->root.len, s->m->root.data);
	snprintf(path, PATH_SIZE, "%.*s", (int)s->m->mountpoint.len, s->m->mountpoint.data);
	err = find_copy(spots, s, path);
	if (err)
		return err > 0 ? 0 : err;
	err = s->source ? clone_source(s, root) : take_first(s, root);
	err = err ?: map_ids(s);
	err = err ?: mountfs_attach(s->fd, path);
	if (err)
		return err;
	s->mnt_id = straight_mount(s->fd);
	if (is_shared(s->m))
		return mountfs_propagation(s->fd, MS_SHARED);
	return mountfs_propagation(s->fd, mount_group(s->m->propagation, "master:") >= 0 ? MS_SLAVE : MS_PRIVATE);
}

static bool is_ready(const struct spot *s)
{
	return s->fd < 0 && (!s->source || s->source->fd >= 0) && (!s->below || s->below->fd >= 0);
}

/* In the child, whose descriptors go with it. */
static int put_all(struct rebuilt *unused, const void *arg)
{
	const struct spots *s = arg;
	size_t left = s->count, before;
	int err = 0;

	(void)unused;
	do {
		before = left;
		for (size_t i = 0; !err && i < s->count; i++) {
			if (!is_ready(&s->spot[i]))
				continue;
			err = put(s, &s->spot[i]);
			left--;
		}
	} while (!err && left && left != before);
	/* From one that is unbindable nothing could be cloned. */
	for (size_t i = 0; !err && i < s->count; i++)
		if (s->spot[i].m->propagation && strstr(s->spot[i].m->propagation, "unbindable"))
			err = mountfs_propagation(s->spot[i].fd, MS_UNBINDABLE);
	return err ?: left ? -ELOOP : 0;
}

static const struct spot *find_spot(const struct spots *s, uint32_t mnt_id)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->spot[i].m->mnt_id == mnt_id)
			return &s->spot[i];
	return NULL;
}

/* An image says what it likes: nor may a path lead out of what it is below. */
static bool is_path(const ProtobufCBinaryData *p)
{
	if (!p->len || p->len >= PATH_SIZE || *p->data != '/' || memchr(p->data, '\0', p->len))
		return false;
	for (size_t i = 0; i + 3 <= p->len; i++)
		if (!memcmp(p->data + i, "/..", 3) && (i + 3 == p->len || p->data[i + 3] == '/'))
			return false;
	return true;
}

/* Those that a mount is put at, and that it shows. */
static int check_paths(const struct restore *re, const struct rebuilt *rb, const FuseMountEntry *m)
{
	if (is_path(&m->root) && is_path(&m->mountpoint))
		return 0;
	report_add(&re->s->report, "%s: its image has a mount without a proper path", model_label(rb->model));
	return -EBADMSG;
}

static int no_source(const struct rebuilt *rb, const FuseMountEntry *m)
{
	report_add(&rb->re->s->report, "%s: its image has nothing that the mount at %.*s is a peer or a slave of",
		   model_label(rb->model), (int)m->mountpoint.len, m->mountpoint.data);
	return -EBADMSG;
}

static int add_spots(struct spots *s, const struct rebuilt *rb)
{
	const struct message_list *mounts = model_mounts(rb->model);
	struct spot *spot = reallocarray(s->spot, s->count + mounts->count, sizeof(*spot));

	if (!spot)
		return -ENOMEM;
	s->spot = spot;
	for (size_t i = 0; i < mounts->count; i++) {
		const FuseMountEntry *m = (const FuseMountEntry *)mounts->items[i];

		if (check_paths(rb->re, rb, m))
			return -EBADMSG;
		if (mount_source(mounts, i) < 0)
			return no_source(rb, m);
		s->spot[s->count++] = (struct spot){
			.rb = rb, .m = m, .fd = -1,
		};
	}
	return 0;
}

/* When the list does not move any more. */
static void link_spots(struct spots *s)
{
	const struct spot *first = s->spot;

	for (size_t i = 0; i < s->count; i++) {
		struct spot *spot = &s->spot[i];
		size_t own;

		if (first->rb != spot->rb)
			first = spot;
		own = spot - first;
		if (own) {
			size_t source = mount_source(model_mounts(spot->rb->model), own);

			spot->source = first + (source == own ? 0 : source);
		}
		spot->below = find_spot(s, spot->m->parent_mnt_id);
	}
}

/* What the root of the file system can be mounted on. */
static int make_place(const struct rebuilt *rb, const char *path)
{
	if (S_ISDIR(model_conn(rb->model)->rootmode))
		return mkdir(path, 0700) ? -errno : 0;
	return mknod(path, S_IFREG | 0600, 0) ? -errno : 0;
}

static int stage_at(const struct restore *re, const struct rebuilt *rb, int mnt, const char *path)
{
	int err = make_place(rb, path) ?: mountfs_attach(mnt, path);

	if (err)
		report_add(&re->s->report, "%s: cannot be mounted at %s: %s", model_label(rb->model), path, strerror(-err));
	return err;
}

static int stage_own(const struct restore *re, const struct rebuilt *rb, char path[STAGE_SIZE + 16])
{
	snprintf(path, STAGE_SIZE + 16, "%s/%u", re->p->stage, rb->id);
	return stage_at(re, rb, rb->mnt, path);
}

static int make_stage(struct restore *re)
{
	int err = stage_create(re->p->stage);

	if (err)
		report_add(&re->s->report, "a directory for mounts cannot be made in /run: %s", strerror(-err));
	return err;
}

/* Before Linux 6.15 only what is mounted is cloned (do_loopback(), fs/namespace.c). */
static int stage_parts(struct restore *re)
{
	char path[STAGE_SIZE + 16];
	int err = 0;

	for (size_t i = 0; !err && i < re->count; i++) {
		const struct rebuilt *rb = &re->conns[i];

		if (rb->held || !is_part((const FuseMountEntry *)model_mounts(rb->model)->items[0]))
			continue;
		err = *re->p->stage ? 0 : make_stage(re);
		err = err ?: stage_own(re, rb, path);
	}
	return err;
}

static int place_own(struct restore *re)
{
	struct spots s = { 0 };
	int err = 0;

	s.path = mmap(NULL, PATH_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s.path == MAP_FAILED)
		return -ENOMEM;
	for (size_t i = 0; !err && i < re->count; i++)
		err = re->conns[i].held ? 0 : add_spots(&s, &re->conns[i]);
	err = err ?: stage_parts(re);
	if (!err) {
		link_spots(&s);
		err = restore_in_child(&re->conns[0], put_all, &s, true);
		if (err && *s.path)
			report_add(&re->s->report, "cannot be mounted at %s: %s", s.path, strerror(-err));
	}
	stage_remove(re->p->stage);
	*re->p->stage = '\0';
	munmap(s.path, PATH_SIZE);
	free(s.spot);
	return err;
}

/* The root is the one inode that nobody looks up: it gets its attributes. */
static int look_at_root(struct rebuilt *rb, const void *unused)
{
	struct stat st;

	(void)unused;
	return fstatat(rb->mnt, "", &st, AT_EMPTY_PATH) ? -errno : 0;
}

/*
 * With options, or a map, that the first one has not.  CRIU's binds have what they are
 * bound from; it sets flags only where they differ from those of the mount of the same
 * file system that it made first (criu/mount.c, do_bind_mount(); 3.17.1 to 4.2).
 */
static bool needs_own(const struct message_list *mounts, const FuseMountEntry *m)
{
	const FuseMountEntry *first = (const FuseMountEntry *)mounts->items[0];

	return m->uid_map || strcmp(m->options, first->options);
}

/* Beside the others. */
static int stage_like(const struct restore *re, const struct rebuilt *rb, const FuseMountEntry *m, const char *path)
{
	int mnt cleanup(close_auto) = mountfs_clone(rb->mnt, "", m->options);
	int err = mnt < 0 ? mnt : idmap_set(mnt, m);

	if (err) {
		report_add(&re->s->report, "%s: the mount at %.*s cannot be given its %s: %s", model_label(rb->model),
			   (int)m->mountpoint.len, m->mountpoint.data, m->uid_map ? "map of ids" : "options",
			   strerror(-err));
		return err;
	}
	return stage_at(re, rb, mnt, path);
}

/* On the stage, under the connection's number; CRIU is told of its parts. */
static int place_staged(struct restore *re, struct rebuilt *rb)
{
	const struct message_list *mounts = model_mounts(rb->model);
	char plain[STAGE_SIZE + 16], own[sizeof(plain) + 24];
	int err;

	err = stage_own(re, rb, plain);
	for (size_t i = 0; !err && i < mounts->count; i++) {
		const FuseMountEntry *m = (const FuseMountEntry *)mounts->items[i];
		struct control_msg msg = { .type = CONTROL_EXTERNAL };
		bool like = needs_own(mounts, m);

		err = check_paths(re, rb, m);
		if (!err && like) {
			snprintf(own, sizeof(own), "%s.%zu", plain, i);
			err = stage_like(re, rb, m, own);
		}
		snprintf(msg.text, sizeof(msg.text), "mnt[%s]:%s%.*s", m->ext_key ?: "", like ? own : plain,
			 m->root.len == 1 ? 0 : (int)m->root.len, m->root.data);
		if (!err)
			control_send(re->s->control, &msg, -1);
	}
	return err;
}

int restore_place(struct restore *re)
{
	int err = 0;

	for (size_t i = 0; !err && i < re->count; i++) {
		err = re->conns[i].held ? 0 : restore_in_child(&re->conns[i], look_at_root, NULL, false);
		if (err)
			report_add(&re->s->report, "%s: its root cannot be looked at: %s",
				   model_label(re->conns[i].model), strerror(-err));
	}
	if (err)
		return err;
	if (!re->inv->own_mnt_ns)
		return re->count ? place_own(re) : 0;
	err = make_stage(re);
	/* CRIU comes as root of the tree's user namespace, and only passes through. */
	if (!err && re->inv->has_ns_root_gid &&
	    (chown(re->p->stage, -1, re->inv->ns_root_gid) || chmod(re->p->stage, 0710))) {
		err = -errno;
		report_add(&re->s->report, "%s cannot be given to group %u: %s", re->p->stage,
			   re->inv->ns_root_gid, strerror(-err));
	}
	for (size_t i = 0; !err && i < re->count; i++)
		err = re->conns[i].held ? 0 : place_staged(re, &re->conns[i]);
	return err;
}

void restore_unplace(struct restore *re)
{
	struct unmount *list = calloc(re->count ?: 1, sizeof(*list));

	for (size_t i = 0; list && i < re->count; i++)
		list[i] = (struct unmount){ re->conns[i].conn_id, re->conns[i].dev };
	if (list && re->inv && !re->inv->own_mnt_ns)
		unmount_all(list, re->count);
	free(list);
}
