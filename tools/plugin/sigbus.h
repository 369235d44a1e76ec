/* SPDX-License-Identifier: GPL-2.0 */
/*
 * At dump CRIU looks for a build-id in every regular file: it maps the file and
 * looks at the first page (criu/files-reg.c, get_build_id(), since 4.0; before,
 * it reads first).  Only the daemon has that page, and it stands still.  The
 * failed read is SIGBUS then, and would end CRIU.
 */
#ifndef FUSECR_PLUGIN_SIGBUS_H
#define FUSECR_PLUGIN_SIGBUS_H

#include <stdint.h>

/*
 * From now on such a page of a file on this device reads as zeros, in CRIU
 * only: no build-id.  dev is as stat() tells it.  -1: no memory.
 */
int sigbus_zero(uint32_t dev);
/* SIGBUS is what it was. */
void sigbus_restore(void);

#endif
