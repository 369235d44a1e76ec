// SPDX-License-Identifier: GPL-2.0
/*
 * Mounts of a connection.  Only the text of mountinfo is read: a stat() of a
 * mount point, or libmount's canonicalizing cache, would send requests to a
 * daemon that may stand still.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libmount.h>
#include "cleanup.h"
#include "idmaps.h"
#include "mounts.h"
#include "snapshot.h"

static void table_auto(struct libmnt_table **table)
{
	mnt_unref_table(*table);
}

static void iter_auto(struct libmnt_iter **iter)
{
	mnt_free_iter(*iter);
}

static ProtobufCBinaryData bytes(const char *s)
{
	return (ProtobufCBinaryData){ .len = strlen(s), .data = (uint8_t *)s };
}

static char *text(const char *s)
{
	return (char *)(s ? s : "");
}

/* @maps: and how ids are mapped, which costs a process for each. */
static int emit(pid_t pid, struct libmnt_fs *fs, bool maps, mount_cb cb, void *arg)
{
	FuseMountEntry e = FUSE_MOUNT_ENTRY__INIT;
	struct idmap map cleanup(idmap_free) = { 0 };

	e.mnt_id = mnt_fs_get_id(fs);
	e.parent_mnt_id = mnt_fs_get_parent_id(fs);
	e.root = bytes(text(mnt_fs_get_root(fs)));
	e.mountpoint = bytes(text(mnt_fs_get_target(fs)));
	e.options = text(mnt_fs_get_vfs_options(fs));
	e.fs_options = text(mnt_fs_get_fs_options(fs));
	e.propagation = (char *)mnt_fs_get_optional_fields(fs);
	if (maps && idmap_said(e.options) && !idmap_read(pid, e.mnt_id, &map)) {
		e.uid_map = map.uid;
		e.gid_map = map.gid;
	}
	return cb(&e, text(mnt_fs_get_fstype(fs)), text(mnt_fs_get_source(fs)), arg);
}

int mounts_of(pid_t pid, uint32_t dev, mount_cb cb, void *arg)
{
	struct libmnt_table *table cleanup(table_auto) = mnt_new_table();
	struct libmnt_iter *iter cleanup(iter_auto) = mnt_new_iter(MNT_ITER_FORWARD);
	FILE *f cleanup(fclose_auto) = NULL;
	struct libmnt_fs *fs;
	char path[64];
	int ret;

	if (!table || !iter)
		return -ENOMEM;
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	ret = mnt_table_parse_stream(table, f, path);
	if (ret)
		return ret < 0 ? ret : -EBADMSG;
	/* new_encode_dev() and glibc's dev_t agree below major 4096. */
	while (mnt_table_next_fs(table, iter, &fs) == 0) {
		if (dev && mnt_fs_get_devno(fs) != (dev_t)dev)
			continue;
		ret = emit(pid, fs, dev, cb, arg);
		if (ret)
			return ret;
	}
	return 0;
}

static int add_mount(const FuseMountEntry *e, const char *fstype, const char *source, void *arg)
{
	(void)fstype;
	(void)source;
	return message_list_add(arg, &e->base);
}

int mounts_read(pid_t pid, struct message_list *list)
{
	return mounts_of(pid, 0, add_mount, list);
}

int mount_group(const char *propagation, const char *tag)
{
	const char *p = propagation ? strstr(propagation, tag) : NULL;

	return p ? atoi(p + strlen(tag)) : -1;
}

static const FuseMountEntry *entry(const struct message_list *mounts, size_t i)
{
	return (const FuseMountEntry *)mounts->items[i];
}

/* The first that is in the peer group, or -1. */
static ssize_t first_peer(const struct message_list *mounts, int group)
{
	for (size_t i = 0; group >= 0 && i < mounts->count; i++)
		if (mount_group(entry(mounts, i)->propagation, "shared:") == group)
			return i;
	return -1;
}

bool mount_shows(const ProtobufCBinaryData *outer, const ProtobufCBinaryData *inner)
{
	if (outer->len == 1)
		return true;
	/* An image may say nothing: memcmp() takes no NULL. */
	return outer->len && outer->len <= inner->len && !memcmp(outer->data, inner->data, outer->len) &&
	       (outer->len == inner->len || inner->data[outer->len] == '/');
}

/* An image may say nothing: memcmp() takes no NULL. */
static bool same_path(const ProtobufCBinaryData *a, const ProtobufCBinaryData *b)
{
	return a->len == b->len && (!a->len || !memcmp(a->data, b->data, a->len));
}

bool mount_same_place(const FuseMountEntry *a, const FuseMountEntry *b)
{
	return same_path(&a->mountpoint, &b->mountpoint) && same_path(&a->root, &b->root);
}

ssize_t mount_source(const struct message_list *mounts, size_t i)
{
	const char *propagation = entry(mounts, i)->propagation;
	int master = mount_group(propagation, "master:");
	ssize_t source = first_peer(mounts, mount_group(propagation, "shared:"));

	if (source < 0 || source == (ssize_t)i)
		source = master < 0 ? (ssize_t)i : first_peer(mounts, master);
	/* The first is the file system itself: it is not cloned. */
	if (source < 0 || (i == 0 && source > 0) || !mount_shows(&entry(mounts, source)->root, &entry(mounts, i)->root))
		return -1;
	return source;
}

bool mount_fs_option_known(const char *word)
{
	static const char * const known[] = {
		"rw", "ro", "sync", "dirsync", "lazytime", "default_permissions",
		"allow_other", "seclabel",
	};
	static const char * const numbers[] = { "user_id=", "group_id=", "max_read=", "blksize=" };

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strcmp(word, known[i]))
			return true;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (!strncmp(word, numbers[i], strlen(numbers[i])))
			return true;
	return false;
}

bool mount_option_known(const char *word)
{
	static const char * const known[] = {
		"rw", "ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime",
		"nosymfollow",
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strcmp(word, known[i]))
			return true;
	return false;
}
