/* SPDX-License-Identifier: GPL-2.0 */
/* Takes connections out of our own mount namespace. */
#ifndef FUSECR_SURROGATE_UNMOUNT_H
#define FUSECR_SURROGATE_UNMOUNT_H

#include <stddef.h>
#include <stdint.h>

/* All mounts of these devices, lazily, and what lies on them. */
void unmount_all(const uint32_t *devs, size_t count);

#endif
