/* SPDX-License-Identifier: GPL-2.0 */
/* What a handle has changed, to be put back. */
#ifndef FUSECR_UNDO_H
#define FUSECR_UNDO_H

#include <linux/list.h>
#include <linux/slab.h>

/* The first member of what says how it was. */
struct fusecr_undo {
	struct list_head entry;		/* newest first */
	void (*back)(struct fusecr_undo *undo);
	/* Lets go of what it refers to; it is freed afterwards. */
	void (*drop)(struct fusecr_undo *undo);
};

#define fusecr_undo_of(ptr, type) container_of(ptr, type, undo)

/* Zeroed, or NULL.  kfree() until it is on a list. */
#define fusecr_undo_new(type, back_fn, drop_fn)				\
({									\
	type *_new = kzalloc(sizeof(*_new), GFP_KERNEL_ACCOUNT);	\
									\
	static_assert(offsetof(type, undo) == 0);			\
	if (_new) {							\
		_new->undo.back = back_fn;				\
		_new->undo.drop = drop_fn;				\
	}								\
	_new;								\
})

/* Both empty @list: the newest change goes first, or all are kept. */
void fusecr_undo_all(struct list_head *list);
void fusecr_undo_forget(struct list_head *list);

#endif /* FUSECR_UNDO_H */
