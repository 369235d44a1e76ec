/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What CRIU expects of a plugin and what it exports to one.  CRIU's plugin
 * header is not packaged; these are facts of its ABI, the same from 3.17.1 to
 * 4.2 (criu/include/criu-plugin.h, criu/include/plugin.h, criu/include/pstree.h,
 * criu/include/pid.h, include/common/list.h).
 */
#ifndef FUSECR_PLUGIN_CRIU_H
#define FUSECR_PLUGIN_CRIU_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CRIU_PLUGIN_VERSION	((0 << 16) + (2 << 8) + 0)

/*
 * The hooks of 3.17.1.  Later releases know more, and refuse every dump and
 * restore on the host for a plugin that claims more hooks than they know.
 */
#define CRIU_MAX_HOOKS		10
/* Those of 4.0.  4.1 and later have the function that calls the last of them. */
#define CRIU_MAX_HOOKS_4	12
/*
 * From so many on RESTORE_EXT_FILE has a second argument (after 4.2: "files-ext: Allow
 * plugin files to retry"), which CRIU does not set before.
 */
#define CRIU_HOOKS_WITH_RETRY	14
#define CRIU_HOOK_DUMP_EXT_FILE		2	/* int (int fd, int id) */
#define CRIU_HOOK_RESTORE_EXT_FILE	3	/* int (int id), int (int id, bool *retry) */
#define CRIU_HOOK_RESUME_DEVICES_LATE	9	/* int (int pid) */
#define CRIU_HOOK_CHECKPOINT_DEVICES	11	/* int (int pid) */

enum criu_stage { CRIU_STAGE_DUMP, CRIU_STAGE_PRE_DUMP, CRIU_STAGE_RESTORE };

struct criu_plugin_desc {
	const char *name;
	int (*init)(int stage);
	void (*exit)(int stage, int ret);
	unsigned int version;
	unsigned int max_hooks;
	void *hooks[CRIU_MAX_HOOKS_4];
};

struct criu_list {
	struct criu_list *prev, *next;
};

/* A plugin that is loaded, and all of them, by hook in the order in which they are asked. */
struct criu_plugin {
	struct criu_plugin_desc *desc;
	struct criu_list list;
	void *handle;
	struct criu_list link[CRIU_MAX_HOOKS_4];
};

struct criu_plugins {
	struct criu_list all;
	struct criu_list chain[];	/* as many as it knows hooks */
};

/* The head of struct pstree_item and of struct pid: enough for a task's pid. */
struct criu_task {
	void *parent;
	void *children[2], *sibling[2];
	struct {
		void *item;
		pid_t real;
	} *pid;
};

/*
 * Weak: a CRIU without one of them must still load the plugin, and dump and
 * restore what has no FUSE in it.
 */
#define CRIU_SYMBOL extern __attribute__((weak))
CRIU_SYMBOL struct criu_task *root_item;
CRIU_SYMBOL void print_on_level(unsigned int level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
CRIU_SYMBOL int criu_get_image_dir(void);
CRIU_SYMBOL int add_external(char *key);
CRIU_SYMBOL int inherit_fd_add(int fd, char *key);
CRIU_SYMBOL int inherit_fd_lookup_id(char *key);
/* 4.1 and later: a plugin that took part in a dump must take part in the restore. */
CRIU_SYMBOL int add_inventory_plugin(const char *name);
CRIU_SYMBOL bool check_and_remove_inventory_plugin(const char *name, size_t n);
CRIU_SYMBOL int checkpoint_devices(void);
CRIU_SYMBOL struct criu_plugins cr_plugin_ctl;

#define CRIU_LOG_ERROR	1
#define CRIU_LOG_WARN	2
#define CRIU_LOG_INFO	3

#endif
