// SPDX-License-Identifier: GPL-2.0
/* fusecr checkpoint: a whole process tree through criu dump. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd.h"
#include "print.h"
#include "options.h"
#include "criu.h"
#include "fusecr.pb-c.h"
#include "image.h"
#include "proc.h"

static const char help[] =
	"usage: fusecr checkpoint --pid PID -D DIR [--leave-running] [--hold] [-j]\n"
	"                         [-- CRIU OPTION...]\n\n"
	"Dumps the process tree of PID, with its FUSE daemons, through criu dump, and\n"
	"with the locks on its files (criu's --file-locks).\n"
	"What cannot be carried is named before anything is touched.\n\n"
	"  -t, --pid PID         the root of the tree\n"
	"  -D, --images-dir DIR  where to write the images; made if it is not there\n"
	"  -R, --leave-running   let the tree go on; otherwise it ends\n"
	"  -H, --hold            clients outside of the tree wait until it is restored\n"
	"  -j, --json            print JSON\n"
	"  -h, --help            print this\n\n"
	"The rest goes to criu: --tcp-established for sshfs, --shell-job on a terminal.\n";

static bool alive(pid_t pid)
{
	char state = proc_state(pid);

	return state && state != 'Z' && state != 'X';
}

/* Who holds the devices of the tree's daemons from now on, or 0. */
static pid_t holder(const char *dir)
{
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FusecrInventoryEntry *inventory;
	ProtobufCMessage *msg;
	pid_t pid = 0;

	if (dirfd < 0)
		return 0;
	if (!image_read_one(dirfd, IMAGE_INVENTORY, 0, &msg)) {
		inventory = (FusecrInventoryEntry *)msg;
		pid = inventory->holder_pid;
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	close(dirfd);
	return pid;
}

/* Nobody waits for the disk any more; what it says now criu was not told. */
static bool write_out(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	if (fd < 0 || syncfs(fd))
		err = errno;
	if (fd >= 0)
		close(fd);
	if (err)
		say_error("the images in %s could not be written to the disk: %s", dir, strerror(err));
	return !err;
}

/* Of a dump that failed: in what state it has left the tree. */
static void tell_state(pid_t pid, bool runs, const struct criu_run *run)
{
	if (WIFSIGNALED(run->status))
		say_error("process %d was not checkpointed; criu was killed by signal %d, and %s", pid, WTERMSIG(run->status),
			  runs ? "its code may be left in the tree, which goes on" : "the tree is gone");
	else
		say_error("process %d was not checkpointed; %s", pid,
			  runs ? "the tree goes on" : "the tree is gone");
}

/* @written: and they are on the disk. */
static int tell(pid_t pid, const char *dir, const struct criu_run *run, int status, bool written, bool json)
{
	bool runs = alive(pid);
	pid_t holds = status || runs ? 0 : holder(dir);
	struct json_object *top;

	if (json) {
		top = json_object_new_object();
		json_object_object_add(top, "pid", json_object_new_int(pid));
		json_object_object_add(top, "directory", print_bytes(dir, strlen(dir)));
		json_object_object_add(top, "done", json_object_new_boolean(written));
		json_object_object_add(top, "tree_runs", json_object_new_boolean(runs));
		if (holds)
			json_object_object_add(top, "holder", json_object_new_int(holds));
		print_json(top);
	} else if (!status) {
		printf("process %d and its tree: checkpoint in %s%s, %s\n", pid, dir,
		       written ? "" : ", which may not be on the disk",
		       runs ? "the tree goes on" : "the tree has ended");
		if (holds)
			printf("its mounts are held by process %d, and whoever uses them waits for a restore\n", holds);
	}
	if (status)
		tell_state(pid, runs, run);
	return status ?: written ? 0 : CMD_FAILED;
}

static int run(pid_t pid, const char *dir, bool leave, char **more, bool json)
{
	char number[16], doing[64];
	struct criu_run run = { .dir = dir, .log = "dump.log", .doing = doing };
	const char *own[] = { "dump", "-t", number, "-D", dir, "-v4", "-o", run.log, "--file-locks" };
	bool fits = true;
	int status;

	snprintf(number, sizeof(number), "%d", pid);
	snprintf(doing, sizeof(doing), "checkpointing process %d", pid);
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		fits = fits && criu_arg(&run, own[i]);
	if (leave)
		fits = fits && criu_arg(&run, "--leave-running");
	if (!fits || !criu_more(&run, more))
		return CMD_USAGE;
	status = criu_run(&run);
	status = tell(pid, dir, &run, status, !status && write_out(dir), json);
	criu_run_end(&run);
	return status;
}

int cmd_checkpoint(int argc, char **argv)
{
	struct options o;
	int status = options_read(argc, argv, "+tDRH", help, &o), dirfd;

	if (status != OPTIONS_READ)
		return status;
	if (!o.pid || !o.dir)
		return usage_error(argv, "--pid and -D are needed");
	if (!alive(o.pid)) {
		say_error("there is no process %d", o.pid);
		return CMD_FAILED;
	}
	dirfd = open_images_dir(o.dir, true);
	if (dirfd < 0)
		return CMD_FAILED;
	close(dirfd);
	/* For the plugin. */
	if (o.hold)
		setenv("FUSECR_HOLD", "1", 1);
	return run(o.pid, o.dir, o.leave_running, argv + optind, o.json);
}
