/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The surrogate process.  The CRIU plugin starts it in its init and it outlives
 * CRIU: at dump until the tree is dead or runs again, at restore until the
 * restored daemon has taken over.
 */
#ifndef FUSECR_SURROGATE_H
#define FUSECR_SURROGATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "report.h"

struct surrogate {
	int control;	/* to the plugin */
	int inherited;	/* to the plugin in restored tasks, restore only */
	int dirfd;	/* CRIU's image directory */
	pid_t criu;	/* the process that the plugin lives in */
	pid_t root;	/* dump: root of the tree */
	bool pre_dump;	/* dump: CRIU reads memory only, and says nothing at its end */
	bool tells;	/* dump: CRIU says when the tree stands, CONTROL_FROZEN */
	uint32_t serial;	/* of the question that is being answered */
	struct report report;
	bool told;	/* the plugin knows what is in it */
};

/* By a clock that nobody sets. */
int64_t surrogate_now_ms(void);

/* Both return the process's exit status. */
int surrogate_dump(struct surrogate *s);
int surrogate_restore(struct surrogate *s);

/* Answers the plugin.  A failure carries the report's text, or else the words. */
void surrogate_done(struct surrogate *s);
void surrogate_none(struct surrogate *s);
void surrogate_fail(struct surrogate *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Before one of these: the person is to know, and all goes on. */
void surrogate_warn(struct surrogate *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* One line with a time stamp into the image directory's fusecr.log. */
void surrogate_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
