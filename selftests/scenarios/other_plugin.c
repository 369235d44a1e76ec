// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of CRIU's that takes every task for its own, as those for devices do, so
 * that no plugin behind it is asked. Before a dump it runs what is in OTHER_PLUGIN of the
 * environment.
 */
#include <stdlib.h>

#include "../../tools/plugin/criu.h"

static int mine(int pid)
{
	(void)pid;
	return 0;
}

static int begin(int stage)
{
	const char *command = getenv("OTHER_PLUGIN");

	return stage == CRIU_STAGE_DUMP && command ? system(command) : 0;
}

extern struct criu_plugin_desc CR_PLUGIN_DESC;

struct criu_plugin_desc CR_PLUGIN_DESC = {
	.name = "other_plugin",
	.init = begin,
	.version = CRIU_PLUGIN_VERSION,
	.max_hooks = CRIU_MAX_HOOKS,
	.hooks = {
		[CRIU_HOOK_RESUME_DEVICES_LATE] = mine,
		[CRIU_HOOK_CHECKPOINT_DEVICES] = mine,
	},
};

static void __attribute__((constructor)) count_hooks(void)
{
	if (checkpoint_devices)
		CR_PLUGIN_DESC.max_hooks = CRIU_MAX_HOOKS_4;
}
