// SPDX-License-Identifier: GPL-2.0
/* Runs the iterators of outside.bpf.c, see outside.h. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "outside.h"

#define MAX	4096

__asm__(".section .rodata\n"
	"object: .incbin \"" OUTSIDE_OBJECT "\"\n"
	"object_end:\n"
	".previous\n");
extern const char object[], object_end[];

static int read_all(int fd, struct outside_list *list)
{
	size_t size = MAX * sizeof(*list->v), at = 0;
	ssize_t n;

	list->v = malloc(size);
	if (!list->v)
		return -ENOMEM;
	while ((n = read(fd, (char *)list->v + at, size - at)) > 0)
		at += n;
	list->n = at / sizeof(*list->v);
	return n < 0 ? -errno : list->n == MAX ? -E2BIG : 0;
}

static int iterate(const struct bpf_program *program, struct outside_list *list)
{
	struct bpf_link *link = bpf_program__attach_iter(program, NULL);
	int fd, err;

	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	err = fd < 0 ? -errno : read_all(fd, list);
	if (fd >= 0)
		close(fd);
	bpf_link__destroy(link);
	return err;
}

static int run(const char *name, struct outside_list *list)
{
	size_t size = (uintptr_t)object_end - (uintptr_t)object;
	struct bpf_object *bpf = bpf_object__open_mem(object, size, NULL);
	const struct bpf_program *program;
	int err;

	*list = (struct outside_list){ };
	if (!bpf)
		return -errno;
	program = bpf_object__find_program_by_name(bpf, name);
	err = !program ? -ENOENT : bpf_object__load(bpf) ? -errno : iterate(program, list);
	bpf_object__close(bpf);
	return err;
}

int outside_files(struct outside_list *list)
{
	return run("each_file", list);
}

int outside_mappings(struct outside_list *list)
{
	return run("each_mapping", list);
}

void outside_free(struct outside_list *list)
{
	free(list->v);
	*list = (struct outside_list){ };
}
