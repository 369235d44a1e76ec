// SPDX-License-Identifier: GPL-2.0
/*
 * Switches of a connection that are in no row of layout.c, by their BTF.
 *
 * In fuse_conn, fuse_chan and what of fuse's own is in them, bit-fields of any
 * width, bytes and enums are on unless they are 0, and integers of four bytes
 * when they are 1.  Those may be counters and limits as well; the ones up to 7.3
 * are known by name.  Nothing shows what pointers, larger integers and arrays
 * mean.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bits.h>
#include <linux/btf.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/minmax.h>
#include <linux/printk.h>
#include <linux/string.h>

#include "btf.h"
#include "layout.h"
#include "unknown.h"

static struct unknown {
	struct fl_loc loc;
	bool is_one;		/* on when it is 1 */
	char name[32];
} unknown[64] __ro_after_init;
static unsigned int nunknown __ro_after_init;

static const char * const unimportant[] __initconst = {
	/* set by whoever mounts, or by virtiofs, not by what a daemon answers */
	"destroy", "no_control", "no_force_umount", "legacy_opts_show",
	"delete_stale", "use_pages_for_kvec_io", "sync_init", "dax_mode",
	/* what changes without a daemon */
	"initialized", "blocked", "connected", "forget_batch", "ctl_ndents",
	/* follows from what is known, or is a copy of it */
	"abort_with_err", "aborted", "minor", "max_write", "max_pages",
	/* the system's */
	"max_pages_limit",
};

static bool __init is_at(const struct fl_loc *known, const struct fl_loc *loc,
			 u32 off)
{
	if (!known->there || known->deref != loc->deref)
		return false;
	return loc->deref ? known->off == loc->off && known->off2 == off :
			    known->off == off;
}

static bool __init is_known(const struct fl_loc *loc,
			    const struct fusecr_btf_member *m)
{
	u32 aligned = loc->deref ? loc->off2 : loc->off;
	/* Of a byte, layout.c has the bit that says yes. */
	u32 mask = !m->bit_size && m->size == 1 ? loc->mask & -loc->mask :
						  loc->mask;
	unsigned int i;

	for (i = FL_CONN_LOCK; i <= FL_CONN_LAST_SWITCH; i++) {
		const struct fl_loc *known = &fl_locs[i];

		if (known->mask ? known->mask == mask && is_at(known, loc, aligned) :
				  known->size == m->size &&
				  is_at(known, loc, m->bit_off / 8))
			return true;
	}
	return false;
}

static bool __init may_be_switch(const struct fusecr_btf_member *m)
{
	if (m->bit_size)
		return true;
	return (m->kind == BTF_KIND_INT || m->kind == BTF_KIND_ENUM) &&
	       m->bit_off % 8 == 0 && (m->size == 1 || m->size == sizeof(u32));
}

/* @width bits from @bit on, of the u32 in which BTF counts @bit. */
static u32 __init mask_of(u32 bit, u32 width)
{
	if (IS_ENABLED(CONFIG_CPU_BIG_ENDIAN))
		return GENMASK(31 - bit, 32 - bit - width);
	return GENMASK(bit + width - 1, bit);
}

struct look {
	bool deref;
	u32 ptr_off;
	int err;
};

static void __init note(const char *name, const struct fusecr_btf_member *m,
			const struct fl_loc *loc, struct look *look)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(unimportant); i++)
		if (!strcmp(unimportant[i], name))
			return;
	if (is_known(loc, m))
		return;
	if (nunknown == ARRAY_SIZE(unknown)) {
		pr_err("too much of this kernel's fuse is not known: %s and more\n",
		       name);
		look->err = -E2BIG;
		return;
	}
	unknown[nunknown].loc = *loc;
	unknown[nunknown].is_one = !m->bit_size && m->kind == BTF_KIND_INT &&
				   m->size == sizeof(u32);
	strscpy(unknown[nunknown].name, name, sizeof(unknown[nunknown].name));
	nunknown++;
}

static void __init look_at(const char *name, const struct fusecr_btf_member *m,
			   void *arg)
{
	u32 bit = m->bit_off, width = m->bit_size ?: m->size * 8;
	struct look *look = arg;

	if (!may_be_switch(m))
		return;
	/* One may go over the end of a u32. */
	while (width) {
		u32 off = ALIGN_DOWN(bit / 8, sizeof(u32));
		u32 n = min_t(u32, width, 32 - bit % 32);
		struct fl_loc loc = {
			.deref = look->deref,
			.mask = mask_of(bit % 32, n),
		};

		loc.off = look->deref ? look->ptr_off : off;
		loc.off2 = look->deref ? off : 0;
		note(name, m, &loc, look);
		bit += n;
		width -= n;
	}
}

int __init fl_unknown_init(const struct fusecr_btf *btf, u32 conn, u32 chan)
{
	struct fusecr_btf_member m;
	struct look look = { };

	fusecr_btf_each(btf, conn, "fuse_", look_at, &look);
	if (!look.err && !fusecr_btf_member(btf, conn, "chan", &m)) {
		look.deref = true;
		look.ptr_off = m.bit_off / 8;
		fusecr_btf_each(btf, chan, "fuse_", look_at, &look);
	}
	return look.err;
}

static bool is_on(const struct fuse_conn *fc, const struct unknown *u)
{
	u32 word = READ_ONCE(*(u32 *)fl_at(fc, &u->loc)) & u->loc.mask;

	return u->is_one ? word == 1 : word;
}

size_t fl_conn_unknown(const struct fuse_conn *fc, char *buf, size_t size)
{
	size_t len = 0;
	unsigned int i;

	buf[0] = '\0';
	for (i = 0; i < nunknown; i++)
		if (is_on(fc, &unknown[i]))
			len += scnprintf(buf + len, size - len, "%s%s",
					 len ? " " : "", unknown[i].name);
	return len;
}
