// SPDX-License-Identifier: GPL-2.0
/*
 * What takes more than the place of a member to read in fuse's structures; the
 * places are layout.c's.
 */

#include <linux/magic.h>
#include <linux/minmax.h>
#include <linux/mount.h>
#include <linux/rbtree.h>
#include <linux/skbuff.h>
#include <linux/fusecr.h>

#include "layout.h"

/* enum fusecr_no has sync_fs between the first and the later ones. */
#define NO_FIRST	FL_CONN_NO_OPEN
#define NO_COUNT	(FL_CONN_NO_COPY_FILE_RANGE_64 - FL_CONN_NO_OPEN + 1)
#define NO_BIT(i)	BIT((i) + ((i) > FL_CONN_NO_STATX - FL_CONN_NO_OPEN))

static_assert(NO_BIT(FL_CONN_NO_STATX - NO_FIRST) == FUSECR_NO_STATX);
static_assert(NO_BIT(FL_CONN_NO_LINK - NO_FIRST) == FUSECR_NO_LINK);
static_assert(NO_BIT(NO_COUNT - 1) == FUSECR_NO_COPY_FILE_RANGE_64);

u32 fl_conn_no_known(void)
{
	u32 known = FUSECR_NO_SYNCFS;
	unsigned int i;

	for (i = 0; i < NO_COUNT; i++)
		if (fl_has(NO_FIRST + i))
			known |= NO_BIT(i);
	return known;
}

u32 fl_conn_no(const struct fuse_conn *fc)
{
	u32 no = fl_bit(fc, FL_CONN_SYNC_FS) ? 0 : FUSECR_NO_SYNCFS;
	unsigned int i;

	for (i = 0; i < NO_COUNT; i++)
		if (fl_has(NO_FIRST + i) && fl_bit(fc, NO_FIRST + i))
			no |= NO_BIT(i);
	return no;
}

void fl_conn_set_no(struct fuse_conn *fc, u32 no)
{
	unsigned int i;

	for (i = 0; i < NO_COUNT; i++)
		if (fl_has(NO_FIRST + i))
			fl_bit_set(fc, NO_FIRST + i, no & NO_BIT(i));
	fl_bit_set(fc, FL_CONN_SYNC_FS, !(no & FUSECR_NO_SYNCFS));
}

unsigned int fl_args_in_count(const struct fuse_args *args)
{
	unsigned int room = fl_locs[FL_ARGS_IN_ARGS].size / fl_size(FL_IN_ARG);

	return min_t(unsigned int, *fl_args_in_numargs(args), room);
}

static const void *in_arg(const struct fuse_args *args, unsigned int i)
{
	return fl_ptr(args, FL_ARGS_IN_ARGS) + i * fl_size(FL_IN_ARG);
}

u32 fl_args_in_size(const struct fuse_args *args, unsigned int i)
{
	return *(u32 *)fl_ptr(in_arg(args, i), FL_IN_ARG_SIZE);
}

const void *fl_args_in_value(const struct fuse_args *args, unsigned int i)
{
	return *(const void **)fl_ptr(in_arg(args, i), FL_IN_ARG_VALUE);
}

void fl_args_set_in(struct fuse_args *args, unsigned int i, u32 size,
		    const void *value)
{
	void *arg = (void *)in_arg(args, i);

	*(u32 *)fl_ptr(arg, FL_IN_ARG_SIZE) = size;
	*(const void **)fl_ptr(arg, FL_IN_ARG_VALUE) = value;
}

unsigned int fl_args_out_count(const struct fuse_args *args)
{
	unsigned int room = fl_locs[FL_ARGS_OUT_ARGS].size / fl_size(FL_OUT_ARG);

	return min3((unsigned int)*fl_args_out_numargs(args), room,
		    (unsigned int)FL_OUT_ARGS);
}

static void *out_arg(const struct fuse_args *args, unsigned int i)
{
	return fl_ptr(args, FL_ARGS_OUT_ARGS) + i * fl_size(FL_OUT_ARG);
}

u32 *fl_args_out_size(const struct fuse_args *args, unsigned int i)
{
	return fl_ptr(out_arg(args, i), FL_OUT_ARG_SIZE);
}

void **fl_args_out_value(const struct fuse_args *args, unsigned int i)
{
	return fl_ptr(out_arg(args, i), FL_OUT_ARG_VALUE);
}

static bool ap_uses_folios(const void *ap)
{
	if (!fl_has(FL_AP_PAGES) || !fl_has(FL_AP_FOLIOS))
		return fl_has(FL_AP_FOLIOS);
	return *(bool *)fl_ptr(ap, FL_AP_USES_FOLIOS);
}

unsigned int fl_ap_num_pages(const void *ap)
{
	return *(u32 *)fl_ptr(ap, ap_uses_folios(ap) ? FL_AP_NUM_FOLIOS :
						       FL_AP_NUM_PAGES);
}

bool fl_args_piece(const struct fuse_args *args, unsigned int i,
		   struct fl_piece *piece)
{
	const void *ap = fl_container(args, FL_AP_ARGS);
	const void *desc;

	if (i >= fl_ap_num_pages(ap))
		return false;
	if (ap_uses_folios(ap)) {
		struct folio **folios = *(void **)fl_ptr(ap, FL_AP_FOLIOS);

		desc = *(void **)fl_ptr(ap, FL_AP_FOLIO_DESCS) +
		       i * fl_size(FL_FOLIO_DESC);
		piece->page = &folios[i]->page;
		piece->length = *(u32 *)fl_ptr(desc, FL_FOLIO_DESC_LENGTH);
		piece->offset = *(u32 *)fl_ptr(desc, FL_FOLIO_DESC_OFFSET);
	} else {
		struct page **pages = *(void **)fl_ptr(ap, FL_AP_PAGES);

		desc = *(void **)fl_ptr(ap, FL_AP_PAGE_DESCS) +
		       i * fl_size(FL_PAGE_DESC);
		piece->page = pages[i];
		piece->length = *(u32 *)fl_ptr(desc, FL_PAGE_DESC_LENGTH);
		piece->offset = *(u32 *)fl_ptr(desc, FL_PAGE_DESC_OFFSET);
	}
	return true;
}

unsigned int fl_inode_writeback_copies(const struct fuse_inode *fi)
{
	unsigned int n = 0;
	struct rb_node *node;

	if (!fl_has(FL_INODE_WRITEPAGES))
		return 0;
	spin_lock(fl_inode_lock(fi));
	for (node = rb_first(fl_inode_writepages(fi)); node;
	     node = rb_next(node)) {
		const void *wpa = fl_container(node, FL_WPA_ENTRY);

		/* A later write of the same pages waits behind the first. */
		for (; wpa; wpa = *(void **)fl_ptr(wpa, FL_WPA_NEXT))
			n += fl_ap_num_pages(fl_ptr(wpa, FL_WPA_AP));
	}
	spin_unlock(fl_inode_lock(fi));
	return n;
}

bool fl_is_fuse_sb(const struct super_block *sb)
{
	const struct file_system_type *type = sb->s_type;

	if (sb->s_magic != FUSE_SUPER_MAGIC)
		return false;
	if (type->owner == fuse_dev_operations.owner &&
	    (!strcmp(type->name, "fuse") || !strcmp(type->name, "fuseblk")))
		return true;
	return !strcmp(type->name, "virtiofs");
}

struct fuse_file *fl_file(const struct file *file)
{
	const struct inode *inode = file_inode(file);

	if (!fl_is_fuse_sb(inode->i_sb) || file->f_mode & FMODE_PATH ||
	    !(S_ISREG(inode->i_mode) || S_ISDIR(inode->i_mode)))
		return NULL;
	return file->private_data;
}

bool fl_mnt_id(const struct vfsmount *mnt, int *id)
{
	if (!fl_has(FL_MNT_MNT) || !fl_has(FL_MNT_ID))
		return false;
	*id = *(int *)fl_ptr(fl_container(mnt, FL_MNT_MNT), FL_MNT_ID);
	return true;
}

FL_MEMBER(fl_parms_files, unix_skb_parms, struct scm_fp_list *, FL_SKB_FILES)

const struct scm_fp_list *fl_skb_files(const struct sk_buff *skb)
{
	return READ_ONCE(*fl_parms_files((const struct unix_skb_parms *)skb->cb));
}
