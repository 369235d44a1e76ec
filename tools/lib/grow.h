/* SPDX-License-Identifier: GPL-2.0 */
/* Arrays that grow one by one, and are copied as seldom as that allows. */
#ifndef FUSECR_GROW_H
#define FUSECR_GROW_H

#include <stdlib.h>

/*
 * The array of count elements of that size, or a copy in its place, with room for one more;
 * NULL: no memory, and the array is as it was.  For arrays that grow by this alone: their
 * room is a power of two, so it is full when count is one.
 */
static inline void *grow(void *array, size_t count, size_t size)
{
	return count & (count - 1) ? array : reallocarray(array, count ? 2 * count : 1, size);
}

#endif
