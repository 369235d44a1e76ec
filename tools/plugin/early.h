/* SPDX-License-Identifier: GPL-2.0 */
/*
 * CRIU asks plugins in the order in which it came upon their files, and none after one
 * that did not answer -ENOTSUP (run_plugins(), criu/include/plugin.h, 3.17.1 to 4.2).
 * A question that must not be missed is asked of us before those that it knows already.
 */
#ifndef FUSECR_PLUGIN_EARLY_H
#define FUSECR_PLUGIN_EARLY_H

#include "criu.h"

/* While CRIU loads us: those that it comes upon later are behind us anyway. */
void early_ask(struct criu_plugin_desc *desc, unsigned int hook);
/* Before we are unloaded. */
void early_end(void);

#endif
