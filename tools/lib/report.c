// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

void report_add(struct report *r, const char *fmt, ...)
{
	char *line, **lines;
	va_list ap;
	int n;

	if (!r || r->count == REPORT_LINES)
		return;
	va_start(ap, fmt);
	n = r->count == REPORT_LINES - 1 ? asprintf(&line, "and more of the kind") :
					   vasprintf(&line, fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();	/* a reason to refuse must not get lost */
	for (size_t i = 0; i < r->count; i++) {
		if (!strcmp(r->lines[i], line)) {
			free(line);
			return;
		}
	}
	lines = reallocarray(r->lines, r->count + 1, sizeof(*lines));
	if (!lines)
		abort();
	r->lines = lines;
	r->lines[r->count++] = line;
}

char *report_text(const struct report *r)
{
	size_t len = 1;
	char *text, *p;

	for (size_t i = 0; i < r->count; i++)
		len += strlen(r->lines[i]) + 1;
	text = p = malloc(len);
	if (!text)
		return NULL;
	*p = '\0';
	for (size_t i = 0; i < r->count; i++) {
		p = stpcpy(p, r->lines[i]);
		if (i + 1 < r->count)
			p = stpcpy(p, "\n");
	}
	return text;
}

void report_clear(struct report *r)
{
	for (size_t i = 0; i < r->count; i++)
		free(r->lines[i]);
	free(r->lines);
	r->lines = NULL;
	r->count = 0;
}
