/* SPDX-License-Identifier: GPL-2.0 */
/* Scope guards: what a variable holds goes with the variable. */
#ifndef FUSECR_CLEANUP_H
#define FUSECR_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define cleanup(fn)	__attribute__((cleanup(fn)))

static inline void free_auto(void *p)
{
	free(*(void **)p);
}

/* Descriptors start at -1. */
static inline void close_auto(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void fclose_auto(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void closedir_auto(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Gives away what a guarded pointer holds. */
#define steal(p) \
	({ __typeof__(p) stolen_ = (p); (p) = NULL; stolen_; })

#endif
