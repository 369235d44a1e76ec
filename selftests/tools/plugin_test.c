// SPDX-License-Identifier: GPL-2.0
/* The plugin in a CRIU that is newer than any that can be had: what it makes of it. */
#include <dlfcn.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>
#include "kselftest_harness.h"
#include "../../tools/plugin/criu.h"

/* Exported, as CRIU's are: all of them, and a list for each hook. */
#define HOOKS 15
struct criu_list cr_plugin_ctl_all[1 + HOOKS] asm("cr_plugin_ctl");

int inherit_fd_lookup_id(char *key)
{
	return -1;
}

/* One that is built beside the tests, whatever for. */
static void *load(void)
{
	static const char *const suites[] = { "bookworm", "trixie", "sid" };
	char exe[PATH_MAX], path[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	void *plugin = NULL;

	if (n < 0)
		return NULL;
	exe[n] = '\0';
	dirname(exe);
	for (size_t i = 0; !plugin && i < ARRAY_SIZE(suites); i++) {
		snprintf(path, sizeof(path), "%s/../../%s/fusecr_plugin.so", exe, suites[i]);
		plugin = dlopen(path, RTLD_NOW);
	}
	return plugin;
}

/* Since "files-ext: Allow plugin files to retry" CRIU goes by what it has not set. */
TEST(retry_is_answered)
{
	int (*restore)(int id, bool *retry);
	struct criu_plugin_desc *desc;
	void *plugin = load();
	bool retry = true;

	ASSERT_NE(NULL, plugin) {
		TH_LOG("%s", dlerror());
	}
	desc = dlsym(plugin, "CR_PLUGIN_DESC");
	ASSERT_NE(NULL, desc);
	/* Not checkpoint_devices(): it is one that has no more than these. */
	EXPECT_EQ(CRIU_MAX_HOOKS, desc->max_hooks);
	restore = desc->hooks[CRIU_HOOK_RESTORE_EXT_FILE];
	EXPECT_EQ(-ENOTSUP, restore(1, &retry));
	EXPECT_FALSE(retry);
}

TEST_HARNESS_MAIN
