// SPDX-License-Identifier: GPL-2.0
/* fusecr verify: what is behind passthrough. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include "backings.h"
#include "cleanup.h"
#include "cmd.h"
#include "image.h"
#include "mounts.h"
#include "verify.h"

static const FuseBackingEntry *backing_at(const struct message_list *list, size_t i)
{
	return (const FuseBackingEntry *)list->items[i];
}

uint64_t verify_backing_id(const struct message_list *list, const FuseInodeEntry *e)
{
	for (size_t i = 0; e->has_backing && i < list->count; i++)
		if (backing_at(list, i)->cookie == e->backing)
			return backing_at(list, i)->id;
	return 0;
}

/* As the tree finds it; where it does not, the kernel's own word has to do. */
static void find_backing(struct verify *v, FuseBackingEntry *e, char **path)
{
	const char *why;

	*path = backing_path(NULL, &v->namespace, e, &why);
	if (!*path)
		return;
	e->path.data = (uint8_t *)*path;
	e->path.len = strlen(*path);
}

void verify_mapped(struct verify *v, const FuseFileEntry *image, const FuseFileEntry *kernel)
{
	char *path cleanup(free_auto) = NULL;
	FuseBackingEntry copy;

	if (!image->n_backing != !kernel->n_backing)
		verify_tell(v, image->n_backing ? "no longer passed through" : "passed through in the kernel");
	if (!image->n_backing || !kernel->n_backing)
		return;
	copy = *kernel->backing[0];
	find_backing(v, &copy, &path);
	verify_compare(v, &image->backing[0]->base, &copy.base);
}

static int add_backing(const FuseBackingEntry *e, void *arg)
{
	struct verify *v = arg;
	FuseBackingEntry copy = *e;
	char *path cleanup(free_auto) = NULL;

	find_backing(v, &copy, &path);
	return message_list_add(&v->kernel_backings, &copy.base);
}

static int read_backings(struct verify *v)
{
	ProtobufCMessage *msg;
	struct image *img;
	int ret = image_open(&img, v->dirfd, IMAGE_BACKING, v->id);

	if (ret < 0)
		return ret;
	while ((ret = image_read(img, &msg)) == 1) {
		ret = message_list_take(&v->image_backings, msg);
		if (ret < 0)
			break;
	}
	image_close(img);
	return ret;
}

/* Both are in the order of their ids. */
static void compare_backings(struct verify *v)
{
	const struct message_list *image = &v->image_backings, *kernel = &v->kernel_backings;
	size_t i = 0, k = 0;

	while (i < image->count || k < kernel->count) {
		uint64_t in_image = i < image->count ? backing_at(image, i)->id : UINT64_MAX;
		uint64_t in_kernel = k < kernel->count ? backing_at(kernel, k)->id : UINT64_MAX;

		verify_name(v, ", passthrough file %" PRIu64, in_image < in_kernel ? in_image : in_kernel);
		v->backings++;
		if (in_image == in_kernel)
			verify_compare(v, image->items[i], kernel->items[k]);
		else if (!v->running)
			verify_tell(v, in_image < in_kernel ? "in the image, but not in the kernel" :
				    "in the kernel, but not in the image");
		i += in_image <= in_kernel;
		k += in_kernel <= in_image;
	}
}

int verify_backings(struct verify *v)
{
	pid_t pid = v->inventory->own_mnt_ns ? v->tree.tasks[0].pid : getpid();
	int ret = read_backings(v);

	if (ret < 0) {
		say_error("%s", image_error());
		return ret;
	}
	ret = mounts_read(pid, &v->namespace);
	ret = ret ?: nl_backings(v->nl, v->conn_id, add_backing, v);
	if (ret < 0)
		return verify_failed(v, ret);
	compare_backings(v);
	return 0;
}

void verify_backings_free(struct verify *v)
{
	message_list_free(&v->namespace);
	message_list_free(&v->image_backings);
	message_list_free(&v->kernel_backings);
}
