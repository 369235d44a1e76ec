// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/kcmp.h>

#include "proc.h"
#include "tree.h"

/* include/linux/sched.h */
#define PF_EXITING	0x00000004
#define PF_SIGNALED	0x00000400
/* Fields of /proc/PID/stat, proc(5) */
#define STAT_FLAGS	9
#define STAT_STARTTIME	22

static FILE *open_status(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return fopen(path, "re");
}

/* Copies what follows "field:" and blanks. */
static bool status_value(pid_t pid, const char *field, char *value, size_t size)
{
	size_t len = strlen(field);
	FILE *f = open_status(pid);
	char line[512];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		if (strncmp(line, field, len) || line[len] != ':')
			continue;
		snprintf(value, size, "%s", line + len + 1 + strspn(line + len + 1, " \t"));
		found = true;
	}
	if (f)
		fclose(f);
	return found;
}

long proc_status(pid_t pid, const char *field)
{
	char value[512];

	return status_value(pid, field, value, sizeof(value)) ? atol(value) : -1;
}

/* The number of the innermost namespace ends the line. */
pid_t proc_own_pid(pid_t pid)
{
	char value[512], *last;

	if (!status_value(pid, "NSpid", value, sizeof(value)))
		return -1;
	last = strrchr(value, '\t');
	return atoi(last ? last + 1 : value);
}

char proc_state(pid_t pid)
{
	char value[512];

	return status_value(pid, "State", value, sizeof(value)) ? value[0] : 0;
}

static bool pending(pid_t pid, const char *set, int sig)
{
	char value[512];

	return status_value(pid, set, value, sizeof(value)) &&
		strtoull(value, NULL, 16) & 1ULL << (sig - 1);
}

/* A field of /proc/PID/stat, numbered as in proc(5); 0 when there is no such task. */
static uint64_t stat_number(pid_t pid, int field)
{
	char path[64], stat[512], *end;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, stat, sizeof(stat) - 1);
	close(fd);
	stat[n > 0 ? n : 0] = '\0';
	/* A name may have anything in it, parentheses too. */
	end = strrchr(stat, ')');
	for (int i = 2; end && i < field; i++)
		end = strchr(end + 1, ' ');
	return end ? strtoull(end, NULL, 10) : 0;
}

/* PF_MEMALLOC_NOIO and PF_LOCAL_THROTTLE (include/linux/sched.h, 6.1 to 7.3). */
#define PF_IO_FLUSHER	(0x80000 | 0x100000)

bool proc_io_flusher(pid_t tid)
{
	return (stat_number(tid, 9) & PF_IO_FLUSHER) == PF_IO_FLUSHER;
}

bool proc_dying(pid_t pid)
{
	return pending(pid, "SigPnd", SIGKILL) || pending(pid, "ShdPnd", SIGKILL) ||
		stat_number(pid, STAT_FLAGS) & (PF_EXITING | PF_SIGNALED);
}

uint64_t proc_start(pid_t pid)
{
	return stat_number(pid, STAT_STARTTIME);
}

void proc_boot_id(char id[PROC_BOOT_ID_SIZE])
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!f || !fgets(id, PROC_BOOT_ID_SIZE, f))
		*id = '\0';
	id[strcspn(id, "\n")] = '\0';
	if (f)
		fclose(f);
}

int proc_take_fd(pid_t pid, int fd)
{
	int pidfd = pidfd_open(pid, 0), ret;

	if (pidfd < 0)
		return -errno;
	ret = pidfd_getfd(pidfd, fd, 0);
	if (ret < 0)
		ret = -errno;
	close(pidfd);
	return ret;
}

bool proc_same_file(pid_t a, int fd_a, pid_t b, int fd_b)
{
	return !syscall(SYS_kcmp, a, b, KCMP_FILE, fd_a, fd_b);
}

/* One that exits has none any more; and what is gone by now exited then. */
bool proc_unshared(pid_t a, pid_t b, int what)
{
	if (syscall(SYS_kcmp, a, b, what, 0, 0) <= 0)
		return false;
	return !proc_dying(a) && !proc_dying(b) && proc_start(a) && proc_start(b);
}

void proc_comm(pid_t pid, char *comm, size_t size)
{
	char path[64];
	FILE *f;

	snprintf(comm, size, "?");
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(comm, size, f))
		comm[strcspn(comm, "\n")] = '\0';
	fclose(f);
}

uint64_t proc_ns(pid_t pid, const char *name)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	return stat(path, &st) ? 0 : st.st_ino;
}

static int root_of(pid_t pid, const char *map, uint32_t *id)
{
	unsigned int first, outside, count;
	bool found = false;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, map);
	f = fopen(path, "re");
	while (f && !found && fscanf(f, "%u %u %u", &first, &outside, &count) == 3)
		found = !first && count;
	if (f)
		fclose(f);
	*id = found ? outside : 0;
	return found ? 0 : -ENOENT;
}

int proc_ns_root(pid_t pid, uint32_t *uid, uint32_t *gid)
{
	return root_of(pid, "uid_map", uid) ?: root_of(pid, "gid_map", gid);
}

uint64_t proc_own_ns(const char *name)
{
	return proc_ns(getpid(), name);
}

bool proc_descends(pid_t pid, pid_t ancestor)
{
	/* A thread's Tgid leads to its process; pids do not form cycles for long. */
	for (int depth = 0; pid > 1 && depth < 128; depth++) {
		pid = proc_status(pid, "Tgid");
		if (pid == ancestor)
			return true;
		pid = proc_status(pid, "PPid");
	}
	return false;
}

static ssize_t read_exe(pid_t pid, char *buf, size_t size)
{
	char path[64];

	/* Not stat(): the program may lie on the mount that nobody serves now. */
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	return readlink(path, buf, size);
}

bool proc_same_exe(pid_t a, pid_t b)
{
	char ea[4096], eb[4096];
	ssize_t na = read_exe(a, ea, sizeof(ea)), nb = read_exe(b, eb, sizeof(eb));

	return na > 0 && na == nb && !memcmp(ea, eb, na);
}

static bool has_dev_fuse(pid_t pid)
{
	char path[64], target[32];
	struct dirent *de;
	bool found = false;
	ssize_t n;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && !found && (de = readdir(dir))) {
		n = readlinkat(dirfd(dir), de->d_name, target, sizeof(target) - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		found = !strcmp(target, "/dev/fuse") || !strcmp(target, "/dev/cuse");
	}
	if (dir)
		closedir(dir);
	return found;
}

pid_t proc_tree_has_dev_fuse(pid_t root)
{
	struct tree tree = { 0 };
	pid_t pid = 0;

	if (tree_read(&tree, root))
		return 0;
	for (size_t i = 0; !pid && i < tree.count; i++)
		if (has_dev_fuse(tree.tasks[i].pid))
			pid = tree.tasks[i].pid;
	tree_free(&tree);
	return pid;
}
