// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "renames.h"

struct rename {
	uint64_t parent, nodeid;
	char *name;
	size_t len;
};

static struct rename *find(const struct renames *r, uint64_t parent, const char *name, size_t len)
{
	for (size_t i = 0; i < r->count; i++) {
		struct rename *one = &r->items[i];

		if (one->parent == parent && one->len == len && !memcmp(one->name, name, len))
			return one;
	}
	return NULL;
}

bool renames_find(const struct renames *r, uint64_t parent, const char *name, size_t len,
		  uint64_t *nodeid)
{
	const struct rename *found = find(r, parent, name, len);

	if (found)
		*nodeid = found->nodeid;
	return found;
}

int renames_set(struct renames *r, uint64_t parent, const char *name, size_t len, uint64_t nodeid)
{
	struct rename *one = find(r, parent, name, len), *grown;
	char *copy;

	if (one) {
		one->nodeid = nodeid;
		return 0;
	}
	grown = reallocarray(r->items, r->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	r->items = grown;
	copy = strndup(name, len);
	if (!copy)
		return -ENOMEM;
	grown[r->count++] = (struct rename){ parent, nodeid, copy, len };
	return 0;
}

void renames_free(struct renames *r)
{
	for (size_t i = 0; i < r->count; i++)
		free(r->items[i].name);
	free(r->items);
	*r = (struct renames){ 0 };
}
