/* SPDX-License-Identifier: GPL-2.0 */
/* Which /dev/fuse CRIU has given which id: by it the restored task asks for its own. */
#ifndef FUSECR_SURROGATE_NAMED_H
#define FUSECR_SURROGATE_NAMED_H

#include <stdbool.h>
#include <stdint.h>

#include "dump.h"

/* Gives what is open at CRIU's descriptor CRIU's id: false when it is no /dev/fuse. */
bool named_device(struct dump *d, int fd, uint32_t criu_id);
/* Whether none lacks its id any more. */
bool named_all(const struct dump *d);

#endif
