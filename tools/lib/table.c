// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "print.h"
#include "table.h"

static char *escaped(const char *s)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	print_escaped(f, s, strlen(s));
	return fclose(f) ? NULL : text;
}

int table_add(struct table *t, const char *const *cells)
{
	size_t i, at = t->rows * t->columns;
	char **grown = reallocarray(t->cells, at + t->columns, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	t->cells = grown;
	memset(grown + at, 0, t->columns * sizeof(*grown));
	t->rows++;
	for (i = 0; i < t->columns; i++) {
		grown[at + i] = escaped(cells[i]);
		if (!grown[at + i])
			return -ENOMEM;
	}
	return 0;
}

static bool is_number(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == 0;
}

static int width(const struct table *t, size_t column, bool *numbers)
{
	size_t row, len, most = 0;

	*numbers = t->rows > 1;
	for (row = 0; row < t->rows; row++) {
		const char *cell = t->cells[row * t->columns + column];

		len = strlen(cell);
		most = len > most ? len : most;
		*numbers = *numbers && (row == 0 || is_number(cell));
	}
	return most;
}

void table_print(const struct table *t, FILE *f, bool colour)
{
	size_t row, i;

	for (row = 0; row < t->rows; row++) {
		bool heading = colour && row == 0;

		fputs(heading ? "\033[1m" : "", f);
		for (i = 0; i < t->columns; i++) {
			const char *cell = t->cells[row * t->columns + i];
			bool numbers, last = i + 1 == t->columns;
			int room = width(t, i, &numbers);

			if (numbers)
				fprintf(f, "%*s", room, cell);
			else
				fprintf(f, "%-*s", last ? 0 : room, cell);
			fputs(last ? "" : "  ", f);
		}
		fputs(heading ? "\033[0m\n" : "\n", f);
	}
}

void table_free(struct table *t)
{
	size_t i;

	for (i = 0; i < t->rows * t->columns; i++)
		free(t->cells[i]);
	free(t->cells);
	t->cells = NULL;
	t->rows = 0;
}
