/* SPDX-License-Identifier: GPL-2.0 */
/* Whether it is CRIU that asks, of requests that wait or were read. */
#ifndef FUSECR_ASKING_H
#define FUSECR_ASKING_H

#include "dump.h"

bool criu_asks(const struct dump *d, struct served *sv);
bool criu_asks_any(const struct dump *d);

/* engine.ours: of the request @unique with @pid in it; @arg is the connection. */
bool from_criu(uint32_t pid, uint64_t unique, void *arg);

#endif
