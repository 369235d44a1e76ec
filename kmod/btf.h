/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Find structures, members and enumerators by name in BTF.
 *
 * The kernel's own parser is not exported (btf_find_by_name_kind), and it
 * would not find a module's types by the module's name.  This one reads what
 * sysfs shows, Documentation/bpf/btf.rst, and trusts no offset or length in
 * it.
 */
#ifndef FUSECR_BTF_H
#define FUSECR_BTF_H

#include <linux/types.h>

struct fusecr_btf;

struct fusecr_btf_struct {
	const char *name;
	u32 type;		/* out: 0 when there is none */
};

struct fusecr_btf_enumerator {
	const char *of;		/* name of the enum, NULL: any */
	const char *name;
	s64 value;		/* out */
	bool found;		/* out */
};

struct fusecr_btf_names {
	struct fusecr_btf_struct *structs;
	unsigned int nstructs;
	struct fusecr_btf_enumerator *enums;
	unsigned int nenums;
};

/*
 * Reads @base and, unless NULL, the split BTF @split on top of it, both below
 * /sys, and looks for @names on the way; a split BTF's definition wins.  Returns
 * an error pointer; says why with pr_err().
 */
struct fusecr_btf *fusecr_btf_load(const char *base, const char *split,
				   struct fusecr_btf_names *names);
void fusecr_btf_free(struct fusecr_btf *btf);

struct fusecr_btf_member {
	u32 kind;	/* BTF_KIND_* of its type, without typedefs and qualifiers */
	u32 size;	/* bytes of its type */
	u32 bit_off;	/* in the structure, or in what the pointer points to */
	u32 bit_size;	/* 0: no bit-field */
	u32 params;	/* of the function that it points to */
	bool deref;	/* reached through the pointer at @ptr_off bytes */
	u32 ptr_off;
};

/*
 * @path is "a", "a.b", or with at most one pointer to follow "a->b"; members
 * of anonymous structures and unions count as the structure's own.  -ENOENT
 * when there is no such member, -EINVAL when the path does not fit the types.
 */
int fusecr_btf_member(const struct fusecr_btf *btf, u32 type, const char *path,
		      struct fusecr_btf_member *member);

/*
 * Calls back for each member that has a name, and for those of members whose
 * structure or union begins with @prefix or has no name.
 */
void fusecr_btf_each(const struct fusecr_btf *btf, u32 type, const char *prefix,
		     void (*fn)(const char *name,
				const struct fusecr_btf_member *member,
				void *arg),
		     void *arg);

/* Bytes of a type; 0 for one without size. */
u32 fusecr_btf_size(const struct fusecr_btf *btf, u32 type);

#endif /* FUSECR_BTF_H */
