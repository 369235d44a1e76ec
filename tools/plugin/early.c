// SPDX-License-Identifier: GPL-2.0
#include "early.h"

/* What CRIU itself makes for a plugin that it has loaded. */
static struct criu_plugin twin;

void early_ask(struct criu_plugin_desc *desc, unsigned int hook)
{
	struct criu_list *chain, *link = &twin.link[hook];

	if (!&cr_plugin_ctl)
		return;
	chain = &cr_plugin_ctl.chain[hook];
	if (!chain->next || chain->next == chain)
		return;
	twin.desc = desc;
	link->next = chain->next;
	link->prev = chain;
	chain->next->prev = link;
	chain->next = link;
}

void early_end(void)
{
	for (unsigned int i = 0; i < CRIU_MAX_HOOKS_4; i++) {
		struct criu_list *link = &twin.link[i];

		if (!link->next)
			continue;
		link->next->prev = link->prev;
		link->prev->next = link->next;
		link->next = NULL;
	}
}
