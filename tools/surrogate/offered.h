/* SPDX-License-Identifier: GPL-2.0 */
/* Whether this kernel agrees in INIT to what was agreed on before. */
#ifndef FUSECR_OFFERED_H
#define FUSECR_OFFERED_H

#include <stdint.h>

#include "fusecr.pb-c.h"
#include "report.h"

/* What the kernel offers in INIT: flags, and the minor of the protocol. */
void offered_init(struct report *r, const char *label, const FuseConnEntry *want, uint64_t flags,
		  uint32_t minor);
/* What it made of the answer must be what it was, bit for bit. */
void offered_conn(struct report *r, const char *label, const FuseConnEntry *want,
		  const FuseConnEntry *got);

#endif
