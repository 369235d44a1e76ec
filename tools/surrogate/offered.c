// SPDX-License-Identifier: GPL-2.0
#include "names.h"
#include "offered.h"

void offered_init(struct report *r, const char *label, const FuseConnEntry *want, uint64_t flags,
		  uint32_t minor)
{
	uint64_t missing = want->flags & ~flags;
	char names[512];

	if (missing)
		report_add(r, "%s: this kernel does not offer FUSE_INIT flag %s, which the daemon relies on",
			   label, flag_names(names, sizeof(names), init_flag_names, missing));
	if (want->minor > minor)
		report_add(r, "%s: this kernel speaks protocol minor %u, and the daemon relies on minor %u",
			   label, minor, want->minor);
}

static void compare(struct report *r, const char *label, const char *what, uint64_t want, uint64_t got)
{
	if (want != got)
		report_add(r, "%s: %s was %#lx, and this kernel makes %#lx of it", label, what,
			   (unsigned long)want, (unsigned long)got);
}

void offered_conn(struct report *r, const char *label, const FuseConnEntry *want,
		  const FuseConnEntry *got)
{
	uint64_t known = want->has_known_flags ? want->known_flags : ~0ULL;

	compare(r, label, "flags", want->flags, got->flags & known);
	compare(r, label, "minor", want->minor, got->minor);
	compare(r, label, "max_write", want->max_write, got->max_write);
	compare(r, label, "max_pages", want->max_pages, got->max_pages);
	compare(r, label, "max_read", want->max_read, got->max_read);
	compare(r, label, "time_gran", want->time_gran, got->time_gran);
	compare(r, label, "max_background", want->max_background, got->max_background);
	compare(r, label, "congestion_threshold", want->congestion_threshold, got->congestion_threshold);
	compare(r, label, "request_timeout", want->request_timeout, got->request_timeout);
	compare(r, label, "default_permissions", want->default_permissions, got->default_permissions);
}
