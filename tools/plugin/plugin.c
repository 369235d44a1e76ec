// SPDX-License-Identifier: GPL-2.0
/*
 * CRIU's side: starts the surrogate, declares the mounts external, hands
 * /dev/fuse over.  It knows nothing of FUSE and never fails a dump or a restore
 * that has no FUSE in it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "criu.h"
#include "early.h"
#include "killing.h"
#include "sigbus.h"
#include "surrogate/control.h"

#define NAME		"fusecr_plugin"
#define INVENTORY	"fusecr-inventory-0.img"
#define MISC_MAJOR	10
#define FUSE_MINOR	229	/* include/linux/miscdevice.h */
#define CUSE_MINOR	203

#define say(level, fmt, ...) do {						\
	if (print_on_level)							\
		print_on_level(level, NAME ": " fmt "\n", ##__VA_ARGS__);	\
} while (0)
#define error(fmt, ...) say(CRIU_LOG_ERROR, fmt, ##__VA_ARGS__)
#define info(fmt, ...) say(CRIU_LOG_INFO, fmt, ##__VA_ARGS__)

static int control = -1;	/* to the surrogate; -1: it has nothing to do */
static uint32_t serial;	/* of the last question */
static bool resumed, stands;

extern struct criu_plugin_desc CR_PLUGIN_DESC;

/* For "fusecr checkpoint" and "fusecr restore": why it failed, word for word. */
static void report(const char *text)
{
	const char *fd = getenv("FUSECR_REPORT_FD");

	if (fd)
		dprintf(atoi(fd), "%s\n", text);
}

/* Not in a restored task: there that descriptor may be another. */
__attribute__((format(printf, 1, 2)))
static void tell(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	error("%s", text);
	report(text);
}

/* What the surrogate objects to, a line each. */
static void refuse(char *text)
{
	char *save, *line;

	report(text);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		error("%s", line);
}

static void warn(const char *text)
{
	char line[sizeof(((struct control_msg *)0)->text) + sizeof(CONTROL_WARNING_MARK)];

	snprintf(line, sizeof(line), CONTROL_WARNING_MARK "%s", text);
	report(line);
	say(CRIU_LOG_WARN, "%s", text);
}

static void stop(void)
{
	close(control);
	control = -1;
}

/*
 * The surrogate's descriptors are 3 (control), 4 (image directory) and 5 (the
 * one that restored tasks inherit, or none); all of CRIU's own are closed.
 */
static void run_surrogate(const char *what, int sock, int extra, pid_t criu, int number)
{
	int keep[] = { sock, criu_get_image_dir(), extra };
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	char pid[16], last[16];
	const char *tells = checkpoint_devices ? "tells" : "";
	struct control_msg failed = { .type = CONTROL_FAILED };
	sigset_t none;
	int null;

	for (int i = 0; i < 3; i++)
		if (keep[i] >= 0)
			keep[i] = fcntl(keep[i], F_DUPFD, 100);
	null = open("/dev/null", O_RDWR);
	for (int i = 0; i < 3; i++) {
		dup2(null, i);
		if (keep[i] >= 0)
			dup2(keep[i], 3 + i);
	}
	close_range(extra >= 0 ? 6 : 5, ~0U, 0);
	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	snprintf(pid, sizeof(pid), "%d", criu);
	snprintf(last, sizeof(last), "%d", number);
	execl(FUSECR_PATH, "fusecr", "surrogate", what, "3", "4", pid, last, tells, (char *)NULL);
	snprintf(failed.text, sizeof(failed.text), FUSECR_PATH " cannot be started: %s", strerror(errno));
	control_send(3, &failed, -1);
	_exit(127);
}

/* As a grandchild, so that CRIU's waits for any child never meet it. */
static int start(const char *what, int extra, int number)
{
	pid_t criu = getpid(), child;
	int socks[2], status = 0, err = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks)) {
		tell("socketpair: %s", strerror(errno));
		return -1;
	}
	child = fork();
	if (child == 0) {
		setsid();
		child = fork();
		if (child == 0)
			run_surrogate(what, socks[1], extra, criu, number);
		_exit(child < 0 ? errno : 0);
	}
	if (child < 0)
		err = errno;
	close(socks[1]);
	/* ECHILD: CRIU as a service may let the kernel reap. */
	if (!err && waitpid(child, &status, 0) < 0 && errno != ECHILD)
		err = errno;
	if (!err && WIFEXITED(status))
		err = WEXITSTATUS(status);
	if (err) {
		tell("the surrogate cannot be started: fork: %s", strerror(err));
		close(socks[0]);
		return -1;
	}
	control = socks[0];
	return 0;
}

/* Waits for the answer; mounts that come before it are declared external. */
static int await(bool *none)
{
	struct control_msg m;
	int fd;

	*none = false;
	for (;;) {
		if (control_recv(control, &m, &fd) <= 0) {
			tell("the surrogate (" FUSECR_PATH ") " CONTROL_GONE);
			return -1;
		}
		if (m.serial != serial)
			continue;	/* answered already, by one who was killed */
		switch (m.type) {
		case CONTROL_EXTERNAL:
			info("external: %s", m.text);
			if (!add_external || add_external(m.text)) {
				tell("CRIU does not take the external mount %s", m.text);
				return -1;
			}
			break;
		case CONTROL_WARNING:
			warn(m.text);
			break;
		case CONTROL_SERVED:
			if (sigbus_zero(m.value)) {
				tell("no memory");
				return -1;
			}
			break;
		case CONTROL_DONE:
			return 0;
		case CONTROL_NONE:
			*none = true;
			return 0;
		default:
			refuse(m.text);
			return -1;
		}
	}
}

static int ask(uint32_t type, int value, int fd, bool *none)
{
	/* cppcheck-suppress unknownEvaluationOrder ; a member and a variable */
	struct control_msg m = { .type = type, .value = value, .fd = fd, .serial = ++serial };

	if (control_send(control, &m, -1)) {
		tell("the surrogate does not listen: %s", strerror(errno));
		return -1;
	}
	return await(none);
}

static bool knows_root(void)
{
	/* Else it is a CRIU that we do not know: do no harm. */
	return &root_item && root_item && criu_get_image_dir;
}

static int init_dump(void)
{
	bool none;

	if (!knows_root())
		return 0;
	if (start("dump", -1, root_item->pid->real) || await(&none)) {
		if (control >= 0)
			stop();
		return -1;
	}
	if (none) {
		stop();
		return 0;
	}
	if (add_inventory_plugin && add_inventory_plugin(NAME))
		return -1;
	return 0;
}

/*
 * CRIU looks at memory only, but the tree stands as long; see surrogate/predump.h.
 * It never calls the exit hook for this stage (3.17.1 to 4.2, cr_pre_dump_finish()):
 * that the tree runs again the surrogate sees by itself.
 */
static int init_pre_dump(void)
{
	bool none;

	if (!knows_root())
		return 0;
	if (start("pre-dump", -1, root_item->pid->real) || await(&none)) {
		if (control >= 0)
			stop();
		return -1;
	}
	if (none)
		stop();
	return 0;
}

static int init_restore(void)
{
	int socks[2], ret;
	bool none;

	if (!criu_get_image_dir || faccessat(criu_get_image_dir(), INVENTORY, F_OK, 0))
		return 0;	/* no FUSE in these images */
	if (check_and_remove_inventory_plugin)
		check_and_remove_inventory_plugin(NAME, strlen(NAME));
	if (!inherit_fd_add || !inherit_fd_lookup_id) {
		tell("this CRIU cannot hand descriptors to restored tasks");
		return -1;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks)) {
		tell("socketpair: %s", strerror(errno));
		return -1;
	}
	ret = start("restore", socks[1], 5);
	close(socks[1]);
	if (ret || await(&none) || inherit_fd_add(socks[0], CONTROL_INHERIT)) {
		close(socks[0]);
		if (control >= 0)
			stop();
		return -1;
	}
	return 0;
}

static int fusecr_init(int stage)
{
	int ret = 0;

	switch (stage) {
	case CRIU_STAGE_DUMP:
		ret = init_dump();
		if (!ret && control >= 0 && checkpoint_devices)
			early_ask(&CR_PLUGIN_DESC, CRIU_HOOK_CHECKPOINT_DEVICES);
		break;
	case CRIU_STAGE_PRE_DUMP:
		ret = init_pre_dump();
		break;
	case CRIU_STAGE_RESTORE:
		ret = init_restore();
		if (!ret && control >= 0)
			early_ask(&CR_PLUGIN_DESC, CRIU_HOOK_RESUME_DEVICES_LATE);
		break;
	}
	return ret;
}

static void fusecr_exit(int stage, int ret)
{
	bool none;

	(void)stage;
	early_end();
	sigbus_restore();
	if (control < 0)
		return;
	ask(CONTROL_END, ret, -1, &none);
	stop();
}

static bool may_be_daemons(const struct stat *st)
{
	return S_ISBLK(st->st_mode) ||
	       (S_ISCHR(st->st_mode) && major(st->st_rdev) == MISC_MAJOR &&
		(minor(st->st_rdev) == FUSE_MINOR || minor(st->st_rdev) == CUSE_MINOR));
}

static int dump_file(int fd, int id)
{
	struct stat st;
	bool none;
	int ret;

	if (control < 0 || fstat(fd, &st) || !may_be_daemons(&st))
		return -ENOTSUP;
	ret = ask(CONTROL_DEVICE, id, fd, &none);
	return ret ?: none ? -ENOTSUP : 0;
}

/*
 * Runs in the restored task: only what it inherited reaches the surrogate, which may not
 * know the file: then it is another plugin's.
 */
static int restore_file(int id)
{
	struct control_msg m = { .type = CONTROL_FETCH, .value = id };
	int inherited, socks[2], fd = -1;

	inherited = inherit_fd_lookup_id ? inherit_fd_lookup_id(CONTROL_INHERIT) : -1;
	if (inherited < 0)
		return -ENOTSUP;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks)) {
		error("socketpair: %s", strerror(errno));
		close(inherited);
		return -1;
	}
	if (!control_send(inherited, &m, socks[1])) {
		close(socks[1]);
		if (control_recv(socks[0], &m, &fd) > 0 && m.type == CONTROL_NONE)
			fd = -ENOTSUP;
		else if (fd < 0)
			error("the surrogate does not give the device with id %#x", id);
	} else {
		close(socks[1]);
		error("the surrogate does not listen: %s", strerror(errno));
	}
	close(socks[0]);
	close(inherited);	/* or it would collide with the task's own */
	return fd;
}

static int restore_file_or_retry(int id, bool *retry)
{
	*retry = false;
	return restore_file(id);
}

/*
 * Called for each task when all stand complete, the root first unless another plugin
 * took that call for its own.  CRIU ignores failures here, and a tree with wrong handles
 * must not run.
 */
static int resume(int pid)
{
	struct control_msg m;
	bool none;
	int fd;

	if (control < 0 || resumed)
		return -ENOTSUP;
	resumed = true;
	pid = knows_root() ? root_item->pid->real : pid;
	if (ask(CONTROL_RESUME, pid, -1, &none)) {
		error("the restored tree is killed, because its FUSE mounts are not right");
		kill_tree(pid);
	} else {
		/* The surrogate leaves: nothing more to tell it. */
		while (control_recv(control, &m, &fd) > 0)
			;
	}
	stop();
	/* The others are asked, too. */
	return -ENOTSUP;
}

/* Called for each task when all of them stand, before CRIU looks at any file. */
static int frozen(int pid)
{
	bool none;

	(void)pid;
	if (control < 0 || stands)
		return -ENOTSUP;
	stands = true;
	return ask(CONTROL_FROZEN, 0, -1, &none) ? -1 : -ENOTSUP;
}

struct criu_plugin_desc CR_PLUGIN_DESC = {
	.name = NAME,
	.init = fusecr_init,
	.exit = fusecr_exit,
	.version = CRIU_PLUGIN_VERSION,
	.max_hooks = CRIU_MAX_HOOKS,
	.hooks = {
		[CRIU_HOOK_DUMP_EXT_FILE] = dump_file,
		[CRIU_HOOK_RESTORE_EXT_FILE] = restore_file,
		[CRIU_HOOK_RESUME_DEVICES_LATE] = resume,
		[CRIU_HOOK_CHECKPOINT_DEVICES] = frozen,
	},
};

/* How many this CRIU knows; 0: it does not say. */
static size_t known_hooks(void)
{
	const ElfW(Sym) *sym = NULL;
	Dl_info dl;

	if (!&cr_plugin_ctl || !dladdr1(&cr_plugin_ctl, &dl, (void **)&sym, RTLD_DL_SYMENT) || !sym)
		return 0;
	return sym->st_size / sizeof(struct criu_list) - 1;
}

/* No more hooks than this CRIU knows, and as it calls them. */
static void __attribute__((constructor)) fit_hooks(void)
{
	if (checkpoint_devices)
		CR_PLUGIN_DESC.max_hooks = CRIU_MAX_HOOKS_4;
	if (known_hooks() >= CRIU_HOOKS_WITH_RETRY)
		CR_PLUGIN_DESC.hooks[CRIU_HOOK_RESTORE_EXT_FILE] = restore_file_or_retry;
}
