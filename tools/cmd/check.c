// SPDX-License-Identifier: GPL-2.0
/* fusecr check: what this host can do, one line each, with the remedy. */
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <linux/fusecr_ioctl.h>
#include "cleanup.h"
#include "cmd.h"
#include "options.h"
#include "names.h"
#include "signed.h"

/* Where CRIU looks unless it is told otherwise (criu/include/plugin.h). */
#define PLUGIN "/usr/lib/criu/fusecr_plugin.so"
#define INIT_USER_NS 0xEFFFFFFDU	/* include/linux/proc_ns.h, PROC_USER_INIT_INO */

static const char help[] =
	"usage: fusecr check [-j]\n\n"
	"Says what this host lacks for checkpoints of FUSE, and how to get it.\n"
	"Ends with 0 when nothing necessary is missing.\n\n"
	"  -j, --json  print JSON\n"
	"  -h, --help  print this\n";

enum status { OK, NOTE, MISSING };

struct findings {
	struct json_object *list;
	bool missing;
};

/* One line: what was found and, unless all is well, what to do. */
static __attribute__((format(printf, 5, 6)))
void found(struct findings *f, const char *name, enum status status, const char *remedy,
	   const char *fmt, ...)
{
	static const char *const words[] = { "ok", "note", "missing" };
	struct json_object *one = json_object_new_object();
	char detail[1200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	json_object_object_add(one, "name", json_object_new_string(name));
	json_object_object_add(one, "status", json_object_new_string(words[status]));
	json_object_object_add(one, "detail", json_object_new_string(detail));
	if (remedy)
		json_object_object_add(one, "remedy", json_object_new_string(remedy));
	json_object_array_add(f->list, one);
	f->missing |= status == MISSING;
}

/* The first line of a file, or NULL. */
static char *first_line(char *buf, size_t len, const char *path)
{
	FILE *file cleanup(fclose_auto) = fopen(path, "re");

	if (!file || !fgets(buf, len, file))
		return NULL;
	buf[strcspn(buf, "\n")] = 0;
	return buf;
}

static void check_kernel(struct findings *f)
{
	struct utsname uts;

	uname(&uts);
	found(f, "kernel", OK, NULL, "%s %s", uts.release, uts.machine);
}

static bool has_fuse(void)
{
	FILE *file cleanup(fclose_auto) = fopen("/proc/filesystems", "re");
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (!strcmp(line, "nodev\tfuse\n"))
			return true;
	return false;
}

static void check_btf(struct findings *f)
{
	/* Only a fuse that is a module has a state and BTF of its own. */
	bool module = access("/sys/module/fuse/initstate", F_OK) == 0;

	if (access("/sys/kernel/btf/vmlinux", R_OK))
		found(f, "btf", MISSING, "boot a kernel built with CONFIG_DEBUG_INFO_BTF, as Debian's are",
		      "/sys/kernel/btf/vmlinux: %s", strerror(errno));
	else if (!has_fuse())
		found(f, "btf", MISSING, "modprobe fuse", "the kernel's fuse is not loaded");
	else if (module && access("/sys/kernel/btf/fuse", R_OK))
		found(f, "btf", MISSING, "boot a kernel built with CONFIG_DEBUG_INFO_BTF_MODULES",
		      "/sys/kernel/btf/fuse: %s", strerror(errno));
	else
		found(f, "btf", OK, NULL, "/sys/kernel/btf/%s describes fuse",
		      module ? "fuse" : "vmlinux");
}

static void check_features(struct findings *f, const struct nl_info *info)
{
	static const struct flag_name features[] = {
		{ FUSECR_FEATURE_ADMIT, "ADMIT" },
		{ FUSECR_FEATURE_IOMODE, "IOMODE" },
		{ FUSECR_FEATURE_PASSTHROUGH, "PASSTHROUGH" },
		{ FUSECR_FEATURE_URING, "URING" },
		{ 0, NULL }
	};
	char names[1024];

	flag_names(names, sizeof(names), features, info->features);
	if (info->features & FUSECR_FEATURE_ADMIT)
		found(f, "features", OK, NULL, "%s", names);
	else
		found(f, "features", NOTE, "mount with -o allow_other",
		      "%s; not ADMIT: mounts without allow_other cannot be checkpointed",
		      *names ? names : "none");
	flag_names(names, sizeof(names), init_flag_names, info->known_flags);
	found(f, "init flags", OK, NULL, "%s", names);
}

static void check_module(struct findings *f, struct nl *nl, int err)
{
	struct nl_info info;

	if (!nl) {
		struct signed_module m = { .by = SIGNED_NOT };

		if (err == -ENOENT)
			signed_find(&m);
		if (m.by == SIGNED_NOT_INSTALLED)
			found(f, "module", MISSING,
			      "apt install linux-headers-$(uname -r), or boot the newest kernel; dkms status tells what was built",
			      "no fusecr.ko is installed for this kernel");
		else if (err == -ENOENT)
			found(f, "module", MISSING,
			      "modprobe fusecr; when that fails, dmesg names what fuse in this kernel lacks",
			      "the kernel module is not loaded");
		else
			found(f, "module", MISSING, "modprobe fusecr", "cannot ask for it: %s", strerror(-err));
		return;
	}
	err = nl_get_info(nl, &info);
	if (err < 0) {
		found(f, "module", MISSING, err == -EPERM ? "run this as root" : NULL,
		      "loaded, but does not answer: %s", nl_reason(nl, err));
		return;
	}
	if (strcmp(info.version, FUSECR_VERSION))
		found(f, "module", NOTE, "load the module that belongs to this fusecr",
		      "version %s, but this is fusecr %s", info.version, FUSECR_VERSION);
	else
		found(f, "module", OK, NULL, "version %s, fuse's layout read from %s", info.version, info.btf);
	check_features(f, &info);
}

#define TRUST "have this kernel trust the key that fusecr.ko is signed with (mokutil --import /var/lib/dkms/mok.pub, reboot)"

/* Whether one that is not loaded would be. */
static void check_signature(struct findings *f, const char *why)
{
	struct signed_module m;

	signed_find(&m);
	switch (m.by) {
	case SIGNED_NOT_INSTALLED:
		found(f, "lockdown", MISSING, "install fusecr.ko for this kernel; " TRUST,
		      "%s: only signed modules are loaded, and no fusecr.ko is installed", why);
		break;
	case SIGNED_NOT:
		found(f, "lockdown", MISSING, "sign it, as DKMS does; " TRUST,
		      "%s: only signed modules are loaded, and %s is not signed", why, m.path);
		break;
	case SIGNED_UNKNOWN:
		found(f, "lockdown", MISSING, TRUST,
		      "%s: only signed modules are loaded, and of %s, who signed %s, this kernel has no key",
		      why, m.signer, m.path);
		break;
	case SIGNED_KEYS_HIDDEN:
		found(f, "lockdown", NOTE, "run this as root",
		      "%s: only signed modules are loaded; whether this kernel has the key of %s, who signed %s, is not known",
		      why, m.signer, m.path);
		break;
	case SIGNED_NAME_KNOWN:
		found(f, "lockdown", NOTE, "modprobe fusecr",
		      "%s: only signed modules are loaded; %s is signed by %s, and a key in %s has that name",
		      why, m.path, m.signer, m.keyring);
		break;
	}
}

/* Matters to a module that is not loaded yet: what is loaded stays. */
static void check_lockdown(struct findings *f, bool loaded)
{
	char line[128], enforce[8];
	const char *on = first_line(line, sizeof(line), "/sys/kernel/security/lockdown");
	bool locked = on && !strstr(on, "[none]");
	bool enforced = first_line(enforce, sizeof(enforce), "/sys/module/module/parameters/sig_enforce") &&
			*enforce == 'Y';

	if (!on && !enforced && !access("/sys/kernel/security", F_OK) &&
	    access("/sys/kernel/security/lsm", F_OK))
		found(f, "lockdown", NOTE, "mount -t securityfs securityfs /sys/kernel/security, and ask again",
		      "not known: securityfs is not mounted");
	else if (!locked && !enforced)
		found(f, "lockdown", OK, NULL, "%s", on ? "none" : "this kernel has none");
	else if (loaded)
		found(f, "lockdown", NOTE, TRUST, "%s: only signed modules are loaded", locked ? on : "module.sig_enforce");
	else
		check_signature(f, locked ? on : "module.sig_enforce");
}

/* 31701 for 3.17.1, 0 when there is none. */
static unsigned int check_criu(struct findings *f)
{
	unsigned int major = 0, minor = 0, sub = 0;
	char line[256];

	if (!ask_program(line, sizeof(line), "criu --version 2>/dev/null")) {
		found(f, "criu", MISSING, "apt-get install criu", "there is no criu in PATH");
		return 0;
	}
	if (sscanf(line, "Version: %u.%u.%u", &major, &minor, &sub) < 2)
		found(f, "criu", NOTE, "3.17.1 and 4.x are known to work", "unknown version: %s", line);
	else if (major < 3 || (major == 3 && minor < 17))
		found(f, "criu", MISSING, "install criu 3.17.1 or newer", "version %u.%u.%u is too old",
		      major, minor, sub);
	else
		found(f, "criu", OK, NULL, "version %u.%u%s%.0u", major, minor, sub ? "." : "", sub);
	return major * 10000 + minor * 100 + sub;
}

/* What CRIU reads of a plugin (criu/include/criu-plugin.h, 3.17 to 4.2). */
struct plugin_desc {
	const char *name;
	int (*init)(int stage);
	void (*exit)(int stage, int ret);
	unsigned int version;
	unsigned int max_hooks;
};

/* CRIU fails every dump on the host when a plugin has more hooks than it knows. */
static unsigned int known_hooks(unsigned int criu)
{
	return criu >= 40200 ? 13 : criu >= 40000 ? 12 : 10;
}

static void check_plugin(struct findings *f, unsigned int criu)
{
	const struct plugin_desc *desc;
	void *so;

	if (access(PLUGIN, R_OK)) {
		found(f, "plugin", MISSING, "make install PREFIX=/usr", "%s: %s", PLUGIN, strerror(errno));
		return;
	}
	so = dlopen(PLUGIN, RTLD_LAZY | RTLD_LOCAL);
	if (!so) {
		found(f, "plugin", MISSING, "build it again on this host: criu cannot load it either, and refuses every dump",
		      "%s", dlerror());
		return;
	}
	desc = dlsym(so, "CR_PLUGIN_DESC");
	if (!desc)
		found(f, "plugin", MISSING, "make install PREFIX=/usr", "%s is not a plugin of criu's", PLUGIN);
	else if (desc->max_hooks > known_hooks(criu))
		found(f, "plugin", MISSING, "install the plugin that belongs to this fusecr",
		      "%s has %u hooks, but this criu knows %u and refuses every dump", PLUGIN,
		      desc->max_hooks, known_hooks(criu));
	else
		found(f, "plugin", OK, NULL, "%s", PLUGIN);
	dlclose(so);
}

/* Those that call CRIU; what is above them, as podman, calls one of them. */
static void check_runtimes(struct findings *f)
{
	char runc[256], crun[256], criu[256];
	bool has_runc = ask_program(runc, sizeof(runc), "runc --version 2>/dev/null");
	bool has_crun = ask_program(crun, sizeof(crun), "crun --version 2>/dev/null");

	if (has_runc)
		found(f, "runc", OK, NULL, "%s", runc);
	if (has_crun && ask_program(criu, sizeof(criu), "crun --version | grep CRIU"))
		found(f, "crun", OK, NULL, "%s", crun);
	else if (has_crun)
		found(f, "crun", NOTE, "use runc, or a crun built with CRIU",
		      "%s, which cannot checkpoint", crun);
	if (!has_runc && !has_crun)
		found(f, "runtime", NOTE, "apt-get install runc, if containers are to be checkpointed",
		      "there is neither runc nor crun in PATH");
}

static uint64_t effective_caps(void)
{
	FILE *file cleanup(fclose_auto) = fopen("/proc/self/status", "re");
	uint64_t caps = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "CapEff: %" SCNx64, &caps) == 1)
			break;
	return caps;
}

static void check_privileges(struct findings *f)
{
	uint64_t caps = effective_caps();
	bool admin = caps >> CAP_SYS_ADMIN & 1;
	bool cr = caps >> CAP_CHECKPOINT_RESTORE & 1;
	struct stat st;

	if (stat("/proc/self/ns/user", &st) == 0 && st.st_ino != INIT_USER_NS)
		found(f, "privileges", MISSING, "run this outside of the user namespace",
		      "capabilities do not count in a user namespace of one's own");
	else if (admin)
		found(f, "privileges", OK, NULL, "CAP_SYS_ADMIN%s", cr ? ", CAP_CHECKPOINT_RESTORE" : "");
	else if (cr)
		found(f, "privileges", NOTE, "run this as root for all else",
		      "CAP_CHECKPOINT_RESTORE only: enough to list");
	else
		found(f, "privileges", MISSING, "run this as root",
		      "neither CAP_SYS_ADMIN nor CAP_CHECKPOINT_RESTORE");
}

static const char *string(struct json_object *obj, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(obj, key, &value) ? json_object_get_string(value) : "";
}

static void print_findings(const struct findings *f)
{
	static const char *const colours[] = { ['o'] = "\033[32m", ['n'] = "\033[33m", ['m'] = "\033[31m" };
	size_t i, count = json_object_array_length(f->list);
	bool colour = wants_colour(stdout);

	for (i = 0; i < count; i++) {
		struct json_object *one = json_object_array_get_idx(f->list, i);
		const char *status = string(one, "status"), *remedy = string(one, "remedy");

		printf("%s%-8s%s %-11s %s%s%s\n", colour ? colours[(unsigned char)*status] : "", status,
		       colour ? "\033[0m" : "", string(one, "name"), string(one, "detail"),
		       *remedy ? "; to do: " : "", remedy);
	}
}

static int check(bool json)
{
	struct findings f = { .list = json_object_new_array() };
	struct json_object *top;
	struct nl *nl = NULL;
	int err = nl_open(&nl);

	check_kernel(&f);
	check_btf(&f);
	check_lockdown(&f, nl != NULL);
	check_module(&f, nl, err);
	nl_close(nl);
	check_plugin(&f, check_criu(&f));
	check_runtimes(&f);
	check_privileges(&f);
	if (!json)
		print_findings(&f);
	top = json_object_new_object();
	json_object_object_add(top, "ok", json_object_new_boolean(!f.missing));
	json_object_object_add(top, "checks", f.list);
	if (json)
		print_json(top);
	else
		json_object_put(top);
	return f.missing ? CMD_FAILED : CMD_DONE;
}

int cmd_check(int argc, char **argv)
{
	struct options o;
	int status = options_only(argc, argv, "", help, &o);

	return status == OPTIONS_READ ? check(o.json) : status;
}
