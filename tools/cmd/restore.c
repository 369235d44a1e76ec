// SPDX-License-Identifier: GPL-2.0
/* fusecr restore: a whole process tree through criu restore. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd.h"
#include "image.h"
#include "print.h"
#include "options.h"
#include "criu.h"

#define PIDFILE	"fusecr-restored.pid"

static const char help[] =
	"usage: fusecr restore -D DIR [-j] [-- CRIU OPTION...]\n\n"
	"Restores the process tree of a checkpoint, with its FUSE daemons and mounts,\n"
	"through criu restore. The tree goes on by itself (criu's --restore-detached).\n\n"
	"  -D, --images-dir DIR  the images of fusecr checkpoint or criu dump\n"
	"  -j, --json            print JSON\n"
	"  -h, --help            print this\n\n"
	"The rest goes to criu: --tcp-established for sshfs, --shell-job on a terminal.\n";

static int read_pid(const char *path)
{
	FILE *f = fopen(path, "re");
	int pid = 0;

	if (f) {
		if (fscanf(f, "%d", &pid) != 1)
			pid = 0;
		fclose(f);
	}
	return pid;
}

static int tell(int pid, const char *dir, int status, const struct criu_run *run, bool json)
{
	struct json_object *top;

	if (json) {
		top = json_object_new_object();
		json_object_object_add(top, "directory", print_bytes(dir, strlen(dir)));
		json_object_object_add(top, "done", json_object_new_boolean(!status));
		if (pid && !status)
			json_object_object_add(top, "pid", json_object_new_int(pid));
		print_json(top);
	} else if (!status) {
		printf("process %d and its tree: restored from %s\n", pid, dir);
	}
	if (status && WIFSIGNALED(run->status))
		say_error("nothing was restored from %s; criu was killed by signal %d, and processes that it has made may be left",
			  dir, WTERMSIG(run->status));
	else if (status && run->gone)
		say_error("nothing was restored from %s; mounts that had been made may be left, in /run/fusecr.* or where the images have them: unmount them before another try",
			  dir);
	else if (status)
		say_error("nothing was restored from %s; what had been made is undone", dir);
	return status;
}

/* CRIU, which has no images there, would say that one of its own is empty. */
static bool is_of_running(int dirfd)
{
	ProtobufCMessage *msg = NULL;
	bool running;

	if (image_read_one(dirfd, IMAGE_INVENTORY, 0, &msg))
		return false;
	running = !((FusecrInventoryEntry *)msg)->frozen;
	protobuf_c_message_free_unpacked(msg, NULL);
	return running;
}

static int run(const char *dir, char **more, bool json)
{
	char doing[512], pidfile[4096];
	struct criu_run run = { .dir = dir, .log = "restore.log", .doing = doing };
	const char *own[] = {
		"restore", "-D", dir, "-d", "--pidfile", pidfile, "-v4", "-o", run.log,
		"--file-locks",
	};
	bool fits = true, running;
	char *whole;
	int status, dirfd;

	dirfd = open_images_dir(dir, false);
	if (dirfd < 0)
		return CMD_FAILED;
	running = is_of_running(dirfd);
	close(dirfd);
	if (running) {
		say_error("the images in %s are of a running tree (fusecr dump), not of a checkpoint", dir);
		return CMD_FAILED;
	}
	/* criu resolves a relative path from its work directory. */
	whole = realpath(dir, NULL);
	if (!whole) {
		say_error("cannot open the directory %s: %s", dir, strerror(errno));
		return CMD_FAILED;
	}
	snprintf(pidfile, sizeof(pidfile), "%s/" PIDFILE, whole);
	free(whole);
	unlink(pidfile);
	snprintf(doing, sizeof(doing), "restoring from %.400s", dir);
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		fits = fits && criu_arg(&run, own[i]);
	if (!fits || !criu_more(&run, more))
		return CMD_USAGE;
	status = criu_run(&run);
	status = tell(read_pid(pidfile), dir, status, &run, json);
	unlink(pidfile);
	criu_run_end(&run);
	return status;
}

int cmd_restore(int argc, char **argv)
{
	struct options o;
	int status = options_read(argc, argv, "+D", help, &o);

	if (status != OPTIONS_READ)
		return status;
	if (!o.dir)
		return usage_error(argv, "which images? -D is missing");
	return run(o.dir, argv + optind, o.json);
}
