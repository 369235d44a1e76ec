// SPDX-License-Identifier: GPL-2.0
/* Find structures, members and enumerators by name in BTF, see btf.h. */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitmap.h>
#include <linux/btf.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "btf.h"

/* Newer headers, and newer BTF, have more (7.1: layout_off, layout_len). */
#define HDR_LEN		offsetofend(struct btf_header, str_len)
#define SIZE_LIMIT	(64 << 20)	/* vmlinux has some 5 MiB */
#define DEPTH_LIMIT	8		/* anonymous structures in each other */
#define CHAIN_LIMIT	32		/* typedefs and qualifiers in a row */
#define NAME_LIMIT	64		/* a component of a path */
#define MOUNT_POINT	"/sys"		/* of sysfs */

/* Of so many types, where the first one starts is noted. */
#define STRIDE		16

/* One file. */
struct part {
	void *types;
	u32 type_len;
	char *strs;	/* ends with a NUL */
	u32 str_len;
	u32 first;	/* id of its first type */
	u32 ntypes;
	u32 *start;	/* of each STRIDE-th type: where in types */
};

struct fusecr_btf {
	struct part part[2];	/* base, split */
	unsigned int nparts;
};

static int read_at(struct file *file, loff_t pos, void *data, size_t len)
{
	while (len) {
		ssize_t n = kernel_read(file, data, len, &pos);

		if (n < 0)
			return n;
		if (!n)
			return -EIO;
		data += n;
		len -= n;
	}
	return 0;
}

static void *read_section(struct file *file, loff_t pos, size_t len)
{
	void *data = kvmalloc(len, GFP_KERNEL);
	int err;

	if (!data)
		return ERR_PTR(-ENOMEM);
	err = read_at(file, pos, data, len);
	if (!err)
		return data;
	kvfree(data);
	return ERR_PTR(err);
}

/* Is [off, off + len) within what follows the header? */
static bool section_fits(const struct btf_header *hdr, u32 size, u32 off,
			 u32 len)
{
	return off <= size - hdr->hdr_len && len <= size - hdr->hdr_len - off;
}

static bool header_fits(const struct btf_header *hdr, u32 size)
{
	return hdr->magic == BTF_MAGIC && hdr->version == BTF_VERSION &&
	       hdr->hdr_len >= HDR_LEN && hdr->hdr_len <= size &&
	       IS_ALIGNED(hdr->hdr_len, 4) && IS_ALIGNED(hdr->type_off, 4) &&
	       section_fits(hdr, size, hdr->type_off, hdr->type_len) &&
	       section_fits(hdr, size, hdr->str_off, hdr->str_len);
}

/* Two allocations: the whole is more than the allocator has in one piece. */
static int read_sections(struct part *part, struct file *file,
			 const struct btf_header *hdr)
{
	void *data;

	data = read_section(file, hdr->hdr_len + hdr->type_off, hdr->type_len);
	if (IS_ERR(data))
		return PTR_ERR(data);
	part->types = data;
	part->type_len = hdr->type_len;
	data = read_section(file, hdr->hdr_len + hdr->str_off, hdr->str_len);
	if (IS_ERR(data))
		return PTR_ERR(data);
	part->strs = data;
	part->str_len = hdr->str_len;
	if (part->str_len && part->strs[part->str_len - 1])
		return -EINVAL;
	return 0;
}

/*
 * Somebody's mount namespace may show anything under that name, also another
 * file of sysfs: what was built for something else.
 */
static bool is_kernels_own(const struct file *file, const char *path)
{
	const struct dentry *dentry = file->f_path.dentry;
	char buf[NAME_LIMIT * 2];
	const char *real;

	if (dentry->d_sb->s_magic != SYSFS_MAGIC)
		return false;
	real = dentry_path_raw(dentry, buf, sizeof(buf));
	return !IS_ERR(real) && !strcmp(real, path + strlen(MOUNT_POINT));
}

static int read_part(struct part *part, const char *path)
{
	struct file *file = filp_open(path, O_RDONLY, 0);
	struct btf_header hdr = {};
	loff_t size;
	int err;

	if (IS_ERR(file)) {
		pr_err("cannot open %s: %ld\n", path, PTR_ERR(file));
		return PTR_ERR(file);
	}
	if (!is_kernels_own(file, path)) {
		pr_err("%s is not the kernel's own: something is mounted over it\n",
		       path);
		fput(file);
		return -EINVAL;
	}
	err = -EINVAL;
	size = i_size_read(file_inode(file));
	if (size < HDR_LEN || size > SIZE_LIMIT)
		goto out;
	err = read_at(file, 0, &hdr, HDR_LEN);
	if (err)
		goto out;
	err = header_fits(&hdr, size) ? read_sections(part, file, &hdr) :
					-EINVAL;
out:
	if (err)
		pr_err("cannot read BTF from %s: %d\n", path, err);
	fput(file);
	return err;
}

/* Bytes of a kind, and of each of its vlen; no bytes: the kind is not known. */
static const struct {
	u8 own;
	u8 each;
} sizes[] = {
#define SIZES(kind, more, each) \
	[BTF_KIND_##kind] = { sizeof(struct btf_type) + (more), (each) }
	SIZES(INT, sizeof(u32), 0),
	SIZES(PTR, 0, 0),
	SIZES(ARRAY, sizeof(struct btf_array), 0),
	SIZES(STRUCT, 0, sizeof(struct btf_member)),
	SIZES(UNION, 0, sizeof(struct btf_member)),
	SIZES(ENUM, 0, sizeof(struct btf_enum)),
	SIZES(FWD, 0, 0),
	SIZES(TYPEDEF, 0, 0),
	SIZES(VOLATILE, 0, 0),
	SIZES(CONST, 0, 0),
	SIZES(RESTRICT, 0, 0),
	SIZES(FUNC, 0, 0),
	SIZES(FUNC_PROTO, 0, sizeof(struct btf_param)),
	SIZES(VAR, sizeof(u32), 0),
	SIZES(DATASEC, 0, sizeof(struct btf_var_secinfo)),
	SIZES(FLOAT, 0, 0),
	SIZES(DECL_TAG, sizeof(u32), 0),
	SIZES(TYPE_TAG, 0, 0),
	SIZES(ENUM64, 0, sizeof(struct btf_enum64)),
#undef SIZES
};

/* Bytes that a type takes; 0 for a kind that is not known. */
static u32 type_bytes(const struct btf_type *t)
{
	u32 kind = BTF_INFO_KIND(t->info);

	if (kind >= ARRAY_SIZE(sizes) || !sizes[kind].own)
		return 0;
	return sizes[kind].own + btf_type_vlen(t) * sizes[kind].each;
}

/* NULL for void and for an id that there is not. */
static const struct btf_type *type_at(const struct fusecr_btf *btf, u32 id)
{
	unsigned int i;

	for (i = 0; i < btf->nparts; i++) {
		const struct part *part = &btf->part[i];
		u32 nth = id - part->first;
		const void *t;

		if (nth >= part->ntypes)
			continue;
		t = part->types + part->start[nth / STRIDE];
		for (nth %= STRIDE; nth; nth--)
			t += type_bytes(t);
		return t;
	}
	return NULL;
}

/* The strings of a split BTF go on where those of the base end. */
static const char *name_at(const struct fusecr_btf *btf, u32 off)
{
	unsigned int i;

	for (i = 0; i < btf->nparts; i++) {
		if (off < btf->part[i].str_len)
			return btf->part[i].strs + off;
		off -= btf->part[i].str_len;
	}
	return "";
}

/* What is looked for.  Most names fall by their first letter. */
struct scan {
	struct fusecr_btf_names *names;
	DECLARE_BITMAP(structs, 256);
	DECLARE_BITMAP(enums, 256);
};

static void scan_init(struct scan *scan, struct fusecr_btf_names *names)
{
	unsigned int i;

	memset(scan, 0, sizeof(*scan));
	scan->names = names;
	for (i = 0; i < names->nstructs; i++)
		__set_bit((u8)names->structs[i].name[0], scan->structs);
	for (i = 0; i < names->nenums; i++)
		__set_bit((u8)names->enums[i].name[0], scan->enums);
}

static void scan_struct(const struct fusecr_btf *btf, const struct scan *scan,
			u32 id, const struct btf_type *t)
{
	struct fusecr_btf_struct *structs = scan->names->structs;
	const char *name = name_at(btf, t->name_off);
	unsigned int i;

	if (!test_bit((u8)name[0], scan->structs))
		return;
	for (i = 0; i < scan->names->nstructs; i++)
		if (!strcmp(structs[i].name, name))
			structs[i].type = id;
}

static void scan_enum(const struct fusecr_btf *btf, const struct scan *scan,
		      const struct btf_type *t)
{
	struct fusecr_btf_enumerator *enums = scan->names->enums;
	const struct btf_enum *e = (const void *)(t + 1);
	const char *of = name_at(btf, t->name_off);
	unsigned int i, j;

	for (i = 0; i < btf_type_vlen(t); i++) {
		const char *name = name_at(btf, e[i].name_off);

		if (!test_bit((u8)name[0], scan->enums))
			continue;
		for (j = 0; j < scan->names->nenums; j++) {
			if (strcmp(enums[j].name, name) ||
			    (enums[j].of && strcmp(enums[j].of, of)))
				continue;
			enums[j].value = e[i].val;
			enums[j].found = true;
		}
	}
}

/*
 * Walks all types of a part, so that a type that has an id is known to lie
 * within its part with all that belongs to it.
 */
static int index_part(const struct fusecr_btf *btf, struct part *part,
		      const struct scan *scan)
{
	u32 pos = 0;

	while (pos < part->type_len) {
		const struct btf_type *t = part->types + pos;
		u32 left = part->type_len - pos, bytes;

		if (left < sizeof(*t))
			return -EINVAL;
		bytes = type_bytes(t);
		if (!bytes || bytes > left)
			return -EINVAL;
		if (part->ntypes % STRIDE == 0)
			part->start[part->ntypes / STRIDE] = pos;
		switch (BTF_INFO_KIND(t->info)) {
		case BTF_KIND_STRUCT:
			scan_struct(btf, scan, part->first + part->ntypes, t);
			break;
		case BTF_KIND_ENUM:
			scan_enum(btf, scan, t);
			break;
		}
		part->ntypes++;
		pos += bytes;
	}
	return 0;
}

static int index_types(struct fusecr_btf *btf, struct fusecr_btf_names *names)
{
	struct scan scan;
	unsigned int i;
	u32 id = 1;
	int err;

	scan_init(&scan, names);
	for (i = 0; i < btf->nparts; i++) {
		struct part *part = &btf->part[i];
		/* No type is smaller. */
		u32 limit = part->type_len / sizeof(struct btf_type);

		part->start = kvmalloc_array(limit / STRIDE + 1,
					     sizeof(*part->start), GFP_KERNEL);
		if (!part->start)
			return -ENOMEM;
		part->first = id;
		err = index_part(btf, part, &scan);
		if (err)
			return err;
		id += part->ntypes;
	}
	return 0;
}

struct fusecr_btf *fusecr_btf_load(const char *base, const char *split,
				   struct fusecr_btf_names *names)
{
	const char * const paths[] = { base, split };
	struct fusecr_btf *btf;
	int err;

	btf = kzalloc(sizeof(*btf), GFP_KERNEL);
	if (!btf)
		return ERR_PTR(-ENOMEM);
	while (btf->nparts < ARRAY_SIZE(paths) && paths[btf->nparts]) {
		struct part *part = &btf->part[btf->nparts];

		err = read_part(part, paths[btf->nparts++]);
		if (err)
			goto err_free;
	}
	err = index_types(btf, names);
	if (!err)
		return btf;
	pr_err("cannot understand the BTF in %s%s%s: %d\n", base,
	       split ? " and " : "", split ?: "", err);
err_free:
	fusecr_btf_free(btf);
	return ERR_PTR(err);
}

void fusecr_btf_free(struct fusecr_btf *btf)
{
	unsigned int i;

	if (!btf)
		return;
	for (i = 0; i < btf->nparts; i++) {
		kvfree(btf->part[i].types);
		kvfree(btf->part[i].strs);
		kvfree(btf->part[i].start);
	}
	kfree(btf);
}

/* The type without typedefs and qualifiers. */
static const struct btf_type *strip(const struct fusecr_btf *btf, u32 id)
{
	unsigned int i;

	for (i = 0; i < CHAIN_LIMIT; i++) {
		const struct btf_type *t = type_at(btf, id);

		if (!t)
			return NULL;
		switch (BTF_INFO_KIND(t->info)) {
		case BTF_KIND_TYPEDEF:
		case BTF_KIND_VOLATILE:
		case BTF_KIND_CONST:
		case BTF_KIND_RESTRICT:
		case BTF_KIND_TYPE_TAG:
			id = t->type;
			break;
		default:
			return t;
		}
	}
	return NULL;
}

static u32 size_of(const struct fusecr_btf *btf, const struct btf_type *t)
{
	const struct btf_array *array;
	const struct btf_type *elem;
	u32 size;

	if (!t)
		return 0;
	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_INT:
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		return t->size;
	case BTF_KIND_PTR:
		return sizeof(void *);
	case BTF_KIND_ARRAY:
		array = (const void *)(t + 1);
		elem = strip(btf, array->type);
		/* No array of arrays among what is asked for. */
		if (!elem || BTF_INFO_KIND(elem->info) == BTF_KIND_ARRAY ||
		    check_mul_overflow(size_of(btf, elem), array->nelems,
				       &size))
			return 0;
		return size;
	}
	return 0;
}

u32 fusecr_btf_size(const struct fusecr_btf *btf, u32 type)
{
	return size_of(btf, strip(btf, type));
}

static bool is_aggregate(const struct btf_type *t)
{
	return t && (BTF_INFO_KIND(t->info) == BTF_KIND_STRUCT ||
		     BTF_INFO_KIND(t->info) == BTF_KIND_UNION);
}

/*
 * Finds @name in @t and in its anonymous members.  @found gets the position
 * relative to @t; returns the member's type, or 0.
 */
static u32 find_member(const struct fusecr_btf *btf, const struct btf_type *t,
		       const char *name, unsigned int depth,
		       struct fusecr_btf_member *found)
{
	const struct btf_member *m = (const void *)(t + 1);
	bool bitfields = BTF_INFO_KFLAG(t->info);
	unsigned int i;

	for (i = 0; i < btf_type_vlen(t); i++, m++) {
		u32 off = bitfields ? BTF_MEMBER_BIT_OFFSET(m->offset) :
				      m->offset;
		const char *own = name_at(btf, m->name_off);
		const struct btf_type *inner;
		u32 type;

		if (!strcmp(own, name)) {
			found->bit_off = off;
			found->bit_size = bitfields ?
				BTF_MEMBER_BITFIELD_SIZE(m->offset) : 0;
			return m->type;
		}
		if (*own || !depth)
			continue;
		inner = strip(btf, m->type);
		if (!is_aggregate(inner))
			continue;
		type = find_member(btf, inner, name, depth - 1, found);
		if (type) {
			found->bit_off += off;
			return type;
		}
	}
	return 0;
}

/* Copies the first component and returns what follows it, or NULL. */
static const char *next_component(const char *path, char *name)
{
	size_t len = strcspn(path, ".-");

	if (!len || len >= NAME_LIMIT)
		return NULL;
	memcpy(name, path, len);
	name[len] = '\0';
	return path + len;
}

/* How many parameters a function has that @t points to, or 0. */
static u32 params_of(const struct fusecr_btf *btf, const struct btf_type *t)
{
	if (BTF_INFO_KIND(t->info) == BTF_KIND_PTR)
		t = strip(btf, t->type);
	return t && BTF_INFO_KIND(t->info) == BTF_KIND_FUNC_PROTO ?
	       btf_type_vlen(t) : 0;
}

int fusecr_btf_member(const struct fusecr_btf *btf, u32 type, const char *path,
		      struct fusecr_btf_member *member)
{
	const struct btf_type *t = strip(btf, type);
	char name[NAME_LIMIT];

	memset(member, 0, sizeof(*member));
	for (;;) {
		struct fusecr_btf_member found;
		const struct btf_type *inner;
		u32 id;

		if (!is_aggregate(t))
			return -EINVAL;
		path = next_component(path, name);
		if (!path)
			return -EINVAL;
		id = find_member(btf, t, name, DEPTH_LIMIT, &found);
		if (!id)
			return -ENOENT;
		member->bit_off += found.bit_off;
		member->bit_size = found.bit_size;
		inner = strip(btf, id);
		if (!inner)
			return -EINVAL;
		if (!*path) {
			member->kind = BTF_INFO_KIND(inner->info);
			member->size = size_of(btf, inner);
			member->params = params_of(btf, inner);
			return 0;
		}
		if (*path == '-') {
			if (path[1] != '>' || member->deref ||
			    BTF_INFO_KIND(inner->info) != BTF_KIND_PTR)
				return -EINVAL;
			member->deref = true;
			member->ptr_off = member->bit_off / 8;
			member->bit_off = 0;
			inner = strip(btf, inner->type);
			path++;
		}
		path++;
		t = inner;
	}
}

struct each {
	const char *prefix;
	void (*fn)(const char *name, const struct fusecr_btf_member *member,
		   void *arg);
	void *arg;
};

/* A type that has neither a name nor a typedef is the member's alone. */
static bool looks_into(const struct fusecr_btf *btf, u32 id,
		       const struct each *each)
{
	const struct btf_type *t = type_at(btf, id);
	const char *name;

	if (!is_aggregate(t))
		return false;
	name = name_at(btf, t->name_off);
	return !*name || !strncmp(name, each->prefix, strlen(each->prefix));
}

static void each_member(const struct fusecr_btf *btf, const struct btf_type *t,
			u32 base, unsigned int depth, const struct each *each)
{
	const struct btf_member *m = (const void *)(t + 1);
	bool bitfields = BTF_INFO_KFLAG(t->info);
	unsigned int i;

	for (i = 0; i < btf_type_vlen(t); i++, m++) {
		const struct btf_type *inner = strip(btf, m->type);
		const char *name = name_at(btf, m->name_off);
		struct fusecr_btf_member member = {
			.bit_off = base + (bitfields ?
				BTF_MEMBER_BIT_OFFSET(m->offset) : m->offset),
			.bit_size = bitfields ?
				BTF_MEMBER_BITFIELD_SIZE(m->offset) : 0,
		};

		if (!inner)
			continue;
		if (*name) {
			member.kind = BTF_INFO_KIND(inner->info);
			member.size = size_of(btf, inner);
			each->fn(name, &member, each->arg);
		}
		if (depth && (*name ? looks_into(btf, m->type, each) :
				      is_aggregate(inner)))
			each_member(btf, inner, member.bit_off, depth - 1, each);
	}
}

void fusecr_btf_each(const struct fusecr_btf *btf, u32 type, const char *prefix,
		     void (*fn)(const char *name,
				const struct fusecr_btf_member *member,
				void *arg),
		     void *arg)
{
	const struct each each = { prefix, fn, arg };
	const struct btf_type *t = strip(btf, type);

	if (is_aggregate(t))
		each_member(btf, t, 0, DEPTH_LIMIT, &each);
}
