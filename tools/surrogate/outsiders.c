// SPDX-License-Identifier: GPL-2.0
#include <sys/sysmacros.h>

#include "handle.h"
#include "outsiders.h"

static bool waits(const struct served *sv)
{
	return !sv->held && sv->handle >= 0 && sv->engine.held > sv->rested;
}

bool outsiders_wait(const struct dump *d)
{
	for (size_t i = 0; i < d->count; i++)
		if (waits(&d->served[i]))
			return true;
	return false;
}

void outsiders_rest(struct dump *d)
{
	for (size_t i = 0; i < d->count; i++) {
		struct served *sv = &d->served[i];
		int n = waits(sv) ? handle_take(sv->handle) : 0;

		if (n > 0) {
			sv->rested += n;
			surrogate_log("connection %u:%u: %d requests from outside wait for the daemon alone",
				      major(sv->dev), minor(sv->dev), n);
		}
	}
}
