/* SPDX-License-Identifier: GPL-2.0 */
/* What speaks against a checkpoint: one sentence a reason, each names its object. */
#ifndef FUSECR_REPORT_H
#define FUSECR_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#define REPORT_LINES	64	/* more reasons of the same kind help nobody */

struct report {
	char **lines;
	size_t count;
};

/*
 * Adds a sentence; one that is there already is not repeated, and the last of
 * REPORT_LINES says that there are more.  r may be NULL: nobody is to hear of it.
 */
void report_add(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* All sentences, one a line, in one string that the caller frees; NULL: no memory. */
char *report_text(const struct report *r);
/* Leaves the report empty. */
void report_clear(struct report *r);

#endif
