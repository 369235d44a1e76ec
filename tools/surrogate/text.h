/* SPDX-License-Identifier: GPL-2.0 */
/* Code that CRIU is going to write into, of programs that are on a mount. */
#ifndef FUSECR_TEXT_H
#define FUSECR_TEXT_H

#include "dump.h"

/*
 * CRIU makes a task do system calls by writing some of its own code over the
 * beginning of the task's first executable mapping, and puts the old bytes back.
 * If that page is on a mount whose daemon stands, nobody could bring it.  So
 * while the daemon serves, the page becomes the task's own, with the bytes that
 * it has: as it will be after CRIU's writing.
 */
/* What is not had by end (surrogate_now_ms()) is left. */
void text_make_own(const struct dump *d, int64_t end);

#endif
