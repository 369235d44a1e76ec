// SPDX-License-Identifier: GPL-2.0
/*
 * doctor FILE [-b BASE] OPERATION ARG... - changes the BTF of an ELF file.
 *
 *	rename FROM TO		all of that name; of the same length
 *	type S.M OF.N		member M of structure S has the type that N of OF has
 *	name S.M NAME		member M of structure S is called as something else is
 *	bits S.M N		it is a bit-field of so many bits
 *	insert S.M BYTES	there is something new before member M
 *	renumber N		all types have numbers that are N higher
 *	strings N		all names of FILE's own begin N bytes further on
 *
 * BASE is what the types of a module stand on, as in /sys/kernel/btf. Its signature, which no longer fits, is cut off:
 * the kernel loads modules that have none, but none that has a wrong one.
 */
#include <elf.h>
#include <err.h>
#include <fcntl.h>
#include <linux/btf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* What follows the signature, struct module_signature between them (include/linux/module_signature.h). */
#define MARKER "~Module signature appended~\n"
#define SIGNATURE_INFO 12

struct btf {
	char *strs;
	struct btf_type **types;	/* by number, less first */
	uint32_t str_len, first, ntypes;
};

static struct btf base, own;

static int open_file(const char *path, int flags, size_t *len)
{
	int fd = open(path, flags | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		err(1, "%s", path);
	*len = st.st_size;
	return fd;
}

/* Sysfs has some that cannot be mapped. */
static void *read_file(const char *path)
{
	size_t len, done = 0;
	int fd = open_file(path, O_RDONLY, &len);
	char *data = malloc(len);

	while (data && done < len) {
		ssize_t n = read(fd, data + done, len - done);

		if (n <= 0)
			err(1, "%s", path);
		done += n;
	}
	close(fd);
	return data;
}

static void *map_file(const char *path, size_t *len)
{
	int fd = open_file(path, O_RDWR, len);
	void *map = mmap(NULL, *len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		err(1, "%s", path);
	close(fd);
	return map;
}

static struct btf_header *find_section(char *map, const char *path)
{
	Elf64_Ehdr *elf = (void *)map;
	Elf64_Shdr *sections = (void *)(map + elf->e_shoff);
	const char *names = map + sections[elf->e_shstrndx].sh_offset;
	unsigned int i;

	for (i = 0; i < elf->e_shnum; i++)
		if (!strcmp(names + sections[i].sh_name, ".BTF"))
			return (void *)(map + sections[i].sh_offset);
	errx(1, "%s has no BTF", path);
}

static size_t type_bytes(const struct btf_type *t)
{
	static const struct { uint8_t more, each; } sizes[] = {
		[BTF_KIND_INT] = { 4, 0 },
		[BTF_KIND_ARRAY] = { sizeof(struct btf_array), 0 },
		[BTF_KIND_STRUCT] = { 0, sizeof(struct btf_member) },
		[BTF_KIND_UNION] = { 0, sizeof(struct btf_member) },
		[BTF_KIND_ENUM] = { 0, sizeof(struct btf_enum) },
		[BTF_KIND_FUNC_PROTO] = { 0, sizeof(struct btf_param) },
		[BTF_KIND_VAR] = { 4, 0 },
		[BTF_KIND_DATASEC] = { 0, sizeof(struct btf_var_secinfo) },
		[BTF_KIND_DECL_TAG] = { 4, 0 },
		[BTF_KIND_ENUM64] = { 0, sizeof(struct btf_enum64) },
	};
	uint32_t kind = BTF_INFO_KIND(t->info);

	return sizeof(*t) + sizes[kind].more + BTF_INFO_VLEN(t->info) * sizes[kind].each;
}

static void read_btf(struct btf *btf, struct btf_header *hdr, uint32_t first)
{
	char *p = (char *)hdr + hdr->hdr_len + hdr->type_off, *end = p + hdr->type_len;

	btf->strs = (char *)hdr + hdr->hdr_len + hdr->str_off;
	btf->str_len = hdr->str_len;
	btf->first = first;
	btf->types = calloc(hdr->type_len / sizeof(struct btf_type) + 1, sizeof(*btf->types));
	if (!btf->types)
		err(1, NULL);
	while (p < end) {
		btf->types[btf->ntypes++] = (void *)p;
		p += type_bytes((void *)p);
	}
}

static struct btf_type *type_at(uint32_t id)
{
	if (id - base.first < base.ntypes)
		return base.types[id - base.first];
	if (id - own.first < own.ntypes)
		return own.types[id - own.first];
	errx(1, "there is no type %u", id);
}

static const char *name_at(uint32_t off)
{
	return off < base.str_len ? base.strs + off : own.strs + off - base.str_len;
}

static bool is_aggregate(const struct btf_type *t)
{
	return BTF_INFO_KIND(t->info) == BTF_KIND_STRUCT || BTF_INFO_KIND(t->info) == BTF_KIND_UNION;
}

static struct btf_member *members(struct btf_type *t)
{
	return (void *)(t + 1);
}

/* Also in structures without a name, as the module looks for it. */
static struct btf_member *find_in(struct btf_type *t, const char *name)
{
	struct btf_member *m = members(t), *found;
	unsigned int i;

	for (i = 0; i < BTF_INFO_VLEN(t->info); i++, m++) {
		const char *is = name_at(m->name_off);

		if (!strcmp(is, name))
			return m;
		if (*is || !is_aggregate(type_at(m->type)))
			continue;
		found = find_in(type_at(m->type), name);
		if (found)
			return found;
	}
	return NULL;
}

/* What follows in the path is in the structure that the member is. */
static struct btf_member *find_below(struct btf_type **t, char *path)
{
	char *rest = strchr(path, '.');
	struct btf_member *m;

	if (rest)
		*rest++ = '\0';
	m = find_in(*t, path);
	if (!m || !rest)
		return m;
	*t = type_at(m->type);
	return is_aggregate(*t) ? find_below(t, rest) : NULL;
}

/* Of FILE's own structures; *t gets which. */
static struct btf_member *find_member(const char *path, struct btf_type **t)
{
	const char *name = strchr(path, '.');
	struct btf_member *found = NULL;
	char *copy;
	uint32_t i;

	for (i = 0; name && !found && i < own.ntypes; i++) {
		const char *is = name_at(own.types[i]->name_off);

		*t = own.types[i];
		if (!is_aggregate(*t) || strlen(is) != (size_t)(name - path) ||
		    strncmp(is, path, name - path))
			continue;
		copy = strdup(name + 1);
		if (!copy)
			err(1, NULL);
		found = find_below(t, copy);
		free(copy);
	}
	if (!found)
		errx(1, "there is no %s", path);
	return found;
}

static uint32_t find_name(const char *name)
{
	char *s;

	for (s = own.strs; s < own.strs + own.str_len; s += strlen(s) + 1)
		if (!strcmp(s, name))
			return base.str_len + s - own.strs;
	errx(1, "there is no %s", name);
}

/* Of a structure that has bit-fields: the upper byte of the offset. */
static void set_bits(struct btf_member *m, uint32_t bits)
{
	m->offset = BTF_MEMBER_BIT_OFFSET(m->offset) | bits << 24;
}

static void rename_all(const char *from, const char *to)
{
	size_t len = strlen(from);
	unsigned int found = 0;
	char *s;

	if (strlen(to) != len)
		errx(2, "%s is not as long as %s", to, from);
	for (s = own.strs; s < own.strs + own.str_len; s += strlen(s) + 1)
		if (!strcmp(s, from)) {
			memcpy(s, to, len);
			found++;
		}
	if (!found)
		errx(1, "there is no %s", from);
}

static void insert(const char *path, uint32_t bytes)
{
	struct btf_type *t;
	struct btf_member *m = find_member(path, &t);

	if (m < members(t) || m >= members(t) + BTF_INFO_VLEN(t->info))
		errx(1, "%s is in a structure without a name", path);
	for (; m < members(t) + BTF_INFO_VLEN(t->info); m++)
		m->offset += bytes * 8;
	t->size += bytes;
}

static void renumber(uint32_t *id, uint32_t by)
{
	if (*id)
		*id += by;
}

static void renumber_all(uint32_t by)
{
	uint32_t i, j;

	for (i = 0; i < own.ntypes; i++) {
		struct btf_type *t = own.types[i];
		struct btf_array *array = (void *)(t + 1);
		struct btf_param *params = (void *)(t + 1);

		switch (BTF_INFO_KIND(t->info)) {
		case BTF_KIND_ARRAY:
			renumber(&array->type, by);
			renumber(&array->index_type, by);
			break;
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
			for (j = 0; j < BTF_INFO_VLEN(t->info); j++)
				renumber(&members(t)[j].type, by);
			break;
		case BTF_KIND_FUNC_PROTO:
			for (j = 0; j < BTF_INFO_VLEN(t->info); j++)
				renumber(&params[j].type, by);
			renumber(&t->type, by);
			break;
		case BTF_KIND_INT:
		case BTF_KIND_ENUM:
		case BTF_KIND_ENUM64:
		case BTF_KIND_FLOAT:
		case BTF_KIND_FWD:
		case BTF_KIND_DATASEC:
			break;
		default:
			renumber(&t->type, by);
		}
	}
}

static void move_name(uint32_t *off, int by)
{
	if (*off >= base.str_len)
		*off += by;
}

static void move_strings(int by)
{
	uint32_t i, j;

	for (i = 0; i < own.ntypes; i++) {
		struct btf_type *t = own.types[i];
		uint32_t vlen = BTF_INFO_VLEN(t->info);
		struct btf_param *params = (void *)(t + 1);
		struct btf_enum *enums = (void *)(t + 1);

		move_name(&t->name_off, by);
		switch (BTF_INFO_KIND(t->info)) {
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
			for (j = 0; j < vlen; j++)
				move_name(&members(t)[j].name_off, by);
			break;
		case BTF_KIND_ENUM:
			for (j = 0; j < vlen; j++)
				move_name(&enums[j].name_off, by);
			break;
		case BTF_KIND_FUNC_PROTO:
			for (j = 0; j < vlen; j++)
				move_name(&params[j].name_off, by);
			break;
		}
	}
}

/* Returns how long the file is without it. */
static size_t without_signature(const char *map, size_t len)
{
	size_t marker = strlen(MARKER);
	uint32_t sig_len;

	if (len < marker + SIGNATURE_INFO || memcmp(map + len - marker, MARKER, marker))
		return len;
	/* Its last field, big endian. */
	memcpy(&sig_len, map + len - marker - sizeof(sig_len), sizeof(sig_len));
	return len - marker - SIGNATURE_INFO - be32toh(sig_len);
}

static int operate(char **argv)
{
	struct btf_type *t;

	if (!strcmp(argv[0], "rename") && argv[1] && argv[2])
		rename_all(argv[1], argv[2]);
	else if (!strcmp(argv[0], "type") && argv[1] && argv[2])
		find_member(argv[1], &t)->type = find_member(argv[2], &t)->type;
	else if (!strcmp(argv[0], "name") && argv[1] && argv[2])
		find_member(argv[1], &t)->name_off = find_name(argv[2]);
	else if (!strcmp(argv[0], "bits") && argv[1] && argv[2])
		set_bits(find_member(argv[1], &t), strtoul(argv[2], NULL, 0));
	else if (!strcmp(argv[0], "insert") && argv[1] && argv[2])
		insert(argv[1], strtoul(argv[2], NULL, 0));
	else if (!strcmp(argv[0], "renumber") && argv[1])
		renumber_all(strtoul(argv[1], NULL, 0));
	else if (!strcmp(argv[0], "strings") && argv[1])
		move_strings(atoi(argv[1]));
	else
		return -1;
	return 0;
}

int main(int argc, char **argv)
{
	const char *path = argv[1];
	size_t len;
	char *map;

	if (argc > 3 && !strcmp(argv[2], "-b")) {
		read_btf(&base, read_file(argv[3]), 1);
		argv += 2;
		argc -= 2;
	}
	if (argc < 3)
		errx(2, "usage: doctor FILE [-b BASE] OPERATION ARG...");
	map = map_file(path, &len);
	read_btf(&own, find_section(map, path), base.ntypes + 1);
	if (operate(argv + 2))
		errx(2, "what is %s?", argv[2]);
	if (truncate(path, without_signature(map, len)))
		err(1, "%s", path);
	return 0;
}
