// SPDX-License-Identifier: GPL-2.0
/* What a handle has changed, to be put back. */

#include "undo.h"

void fusecr_undo_forget(struct list_head *list)
{
	struct fusecr_undo *undo, *next;

	list_for_each_entry_safe(undo, next, list, entry) {
		list_del(&undo->entry);
		undo->drop(undo);
		kfree(undo);
	}
}

void fusecr_undo_all(struct list_head *list)
{
	struct fusecr_undo *undo;

	list_for_each_entry(undo, list, entry)
		undo->back(undo);
	fusecr_undo_forget(list);
}
