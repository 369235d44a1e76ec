// SPDX-License-Identifier: GPL-2.0
/* Numbers of open files, see kh.h. */

#include <linux/errno.h>
#include <linux/minmax.h>

#include "kh.h"

void fusecr_khs_init(struct fusecr_khs *khs)
{
	xa_init(&khs->files);
}

void fusecr_khs_destroy(struct fusecr_khs *khs)
{
	xa_destroy(&khs->files);
}

u64 fusecr_khs_lift(struct fusecr_khs *khs, atomic64_t *counter, u64 to)
{
	s64 now = atomic64_read(counter);

	do {
		if ((u64)now >= to)
			return now;
	} while (!atomic64_try_cmpxchg(counter, &now, to));
	khs->from = now;
	khs->to = to;
	return now;
}

int fusecr_khs_give(struct fusecr_khs *khs, u64 kh, struct fuse_file *ff)
{
	struct fuse_file *has;

	if (kh <= khs->from || kh > khs->to)
		return -ERANGE;
	has = xa_load(&khs->files, kh);
	if (has)
		return has == ff ? 0 : -EEXIST;
	return xa_err(xa_store(&khs->files, kh, ff, GFP_KERNEL));
}
