/* SPDX-License-Identifier: GPL-2.0 */
/* The end of a restored tree that must not run. */
#ifndef FUSECR_PLUGIN_KILLING_H
#define FUSECR_PLUGIN_KILLING_H

#include <sys/types.h>

/*
 * Kills the process and all below it, which CRIU, whose process this is, holds still
 * with ptrace.  The first process of a pid namespace ends only after all others, and
 * those only when their tracer has waited for them: so this does, and leaves the first
 * one to CRIU, which waits for it (criu/cr-restore.c, restore_root_task(), 3.17.1 to 4.2).
 */
void kill_tree(pid_t root);

#endif
