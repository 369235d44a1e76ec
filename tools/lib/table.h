/* SPDX-License-Identifier: GPL-2.0 */
/* Rows of text whose columns line up. */
#ifndef FUSECR_TABLE_H
#define FUSECR_TABLE_H

#include <stdbool.h>
#include <stdio.h>

struct table {
	size_t columns;
	size_t rows;
	char **cells;		/* row by row; the first row is the heading */
};

/* Adds columns cells, copied and made harmless for terminals.  0 or -ENOMEM. */
int table_add(struct table *t, const char *const *cells);
/* Columns of numbers stand to the right. */
void table_print(const struct table *t, FILE *f, bool colour);
void table_free(struct table *t);

#endif
