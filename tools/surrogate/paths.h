/* SPDX-License-Identifier: GPL-2.0 */
/* Whether CRIU is going to find again what it knows by a path. */
#ifndef FUSECR_SURROGATE_PATHS_H
#define FUSECR_SURROGATE_PATHS_H

#include "model.h"
#include "report.h"

/*
 * Adds to the report what is in use, or mounted, by a name that the images lack: of
 * many the kernel lists only some.
 */
void paths_refuse(struct report *r, const struct model *m);

#endif
