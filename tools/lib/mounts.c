// SPDX-License-Identifier: GPL-2.0
/*
 * Mounts of a connection.  Only the text of mountinfo is read: a stat() of a
 * mount point, or libmount's canonicalizing cache, would send requests to a
 * daemon that may stand still.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <libmount.h>
#include "cleanup.h"
#include "mounts.h"

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

static int emit(struct libmnt_fs *fs, mount_cb cb, void *arg)
{
	FuseMountEntry e = FUSE_MOUNT_ENTRY__INIT;

	e.mnt_id = mnt_fs_get_id(fs);
	e.parent_mnt_id = mnt_fs_get_parent_id(fs);
	e.root = bytes(text(mnt_fs_get_root(fs)));
	e.mountpoint = bytes(text(mnt_fs_get_target(fs)));
	e.options = text(mnt_fs_get_vfs_options(fs));
	e.fs_options = text(mnt_fs_get_fs_options(fs));
	e.propagation = (char *)mnt_fs_get_optional_fields(fs);
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
		if (mnt_fs_get_devno(fs) != (dev_t)dev)
			continue;
		ret = emit(fs, cb, arg);
		if (ret)
			return ret;
	}
	return 0;
}
