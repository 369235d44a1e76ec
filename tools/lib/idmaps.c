// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "idmaps.h"

/* --- what the uapi headers of older build hosts lack (include/uapi/linux/mount.h) --- */

/* The same on all architectures, as is what came later. */
#define NR_STATMOUNT	457		/* Linux 6.8 */
#define NR_LISTMOUNT	458

#define BASIC		(1U << 1)	/* STATMOUNT_MNT_BASIC */
#define UIDMAP		(1U << 13)	/* STATMOUNT_MNT_UIDMAP, Linux 6.15 */
#define GIDMAP		(1U << 14)

/* struct mnt_id_req, MNT_ID_REQ_SIZE_VER1 (Linux 6.11) */
struct request {
	uint32_t size;
	uint32_t spare;
	uint64_t mnt_id;
	uint64_t param;
	uint64_t mnt_ns_id;
};

#define OF_ROOT		(~0ULL)		/* LSMT_ROOT: all of the namespace */

/* struct statmount */
struct reply {
	uint32_t size;
	uint32_t mnt_opts;
	uint64_t mask;
	uint64_t sb[3];
	uint64_t mnt_id;
	uint64_t mnt_parent_id;
	uint32_t mnt_id_old;		/* mountinfo's */
	uint32_t mnt_parent_id_old;
	uint64_t mnt[7];
	uint64_t strings[4];
	uint32_t uidmap_num;
	uint32_t uidmap;		/* where in str, one string an extent */
	uint32_t gidmap_num;
	uint32_t gidmap;
	uint64_t spare[43];
	char str[];
};

_Static_assert(offsetof(struct reply, mnt_id_old) == 56, "as in struct statmount");
_Static_assert(offsetof(struct reply, uidmap_num) == 152, "as in struct statmount");
_Static_assert(offsetof(struct reply, str) == 512, "as in struct statmount");

/* Room for the most extents that there can be (UID_GID_MAP_MAX_EXTENTS), twice. */
#define REPLY_SIZE	(sizeof(struct reply) + 2UL * 340 * 33)
#define LIST_SIZE	256

/* --- reading -------------------------------------------------------------------- */

bool idmap_said(const char *options)
{
	static const char word[] = "idmapped";
	const size_t len = sizeof(word) - 1;

	for (; options && *options; options += *options == ',') {
		size_t n = strcspn(options, ",");

		if (n == len && !memcmp(options, word, len))
			return true;
		options += n;
	}
	return false;
}

static int ask(uint64_t id, uint64_t what, struct reply *reply)
{
	struct request req = { .size = sizeof(req), .mnt_id = id, .param = what };

	if (!syscall(NR_STATMOUNT, &req, reply, REPLY_SIZE, 0))
		return 0;
	return errno == ENOSYS ? -EOPNOTSUPP : -errno;
}

/* There is no other way to find out than to ask, and who asks may lose the host. */
static bool is_safe(void)
{
	struct utsname uts;
	unsigned int major, minor;

	return !uname(&uts) && sscanf(uts.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 17));
}

/* mountinfo's numbers are used again, those that can be asked for are not. */
static int find(uint32_t mnt_id, struct reply *reply)
{
	struct request req = { .size = sizeof(req), .mnt_id = OF_ROOT };
	uint64_t ids[LIST_SIZE];
	long n;

	while ((n = syscall(NR_LISTMOUNT, &req, ids, LIST_SIZE, 0)) > 0) {
		for (long i = 0; i < n; i++) {
			int err = ask(ids[i], BASIC, reply);

			if (!err && reply->mask & BASIC && reply->mnt_id_old == mnt_id)
				return ask(ids[i], UIDMAP | GIDMAP, reply);
			if (err && err != -ENOENT)
				return err;
		}
		req.param = ids[n - 1];
	}
	if (n < 0)
		return errno == ENOSYS ? -EOPNOTSUPP : -errno;
	return -ENOENT;
}

/* The extents, a line each. */
static char *lines(const struct reply *reply, uint32_t count, uint32_t at)
{
	const char *from = reply->str + at;
	char *text, *to;
	size_t size = 1;

	for (uint32_t i = 0; i < count; i++)
		size += strlen(from + size - 1) + 1;
	to = text = malloc(size);
	for (uint32_t i = 0; text && i < count; i++) {
		to = stpcpy(to, from);
		from += strlen(from) + 1;
		*to++ = '\n';
	}
	if (text)
		*to = '\0';
	return text;
}

/*
 * From within its namespace: of another one Linux 6.17 to 6.19 tell what is below the
 * first mount on its root (grab_requested_root(), fs/namespace.c), which after a
 * pivot_root() is some mount of many; seen in a container of runc.
 */
static int find_in(pid_t pid, uint32_t mnt_id, struct reply *reply)
{
	int ns cleanup(close_auto) = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
	ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNS))
		return -errno;
	return find(mnt_id, reply);
}

/* In a child, which can go there; the reply is shared with it. */
static int find_by_child(pid_t pid, uint32_t mnt_id, struct reply *reply)
{
	pid_t child = fork();
	siginfo_t info;

	if (!child)
		_exit(-find_in(pid, mnt_id, reply));
	if (child < 0)
		return -errno;
	while (waitid(P_PID, child, &info, WEXITED))
		if (errno != EINTR)
			return -errno;
	return info.si_code == CLD_EXITED ? -info.si_status : -EINTR;
}

static int copy_out(const struct reply *reply, struct idmap *map)
{
	if (!(reply->mask & UIDMAP) || !(reply->mask & GIDMAP))
		return -EOPNOTSUPP;
	map->uid = lines(reply, reply->uidmap_num, reply->uidmap);
	map->gid = lines(reply, reply->gidmap_num, reply->gidmap);
	if (map->uid && map->gid)
		return 0;
	idmap_free(map);
	return -ENOMEM;
}

int idmap_read(pid_t pid, uint32_t mnt_id, struct idmap *map)
{
	struct reply *reply;
	int err;

	*map = (struct idmap){ 0 };
	if (!is_safe())
		return -EOPNOTSUPP;
	reply = mmap(NULL, REPLY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (reply == MAP_FAILED)
		return -errno;
	err = find_by_child(pid, mnt_id, reply) ?: copy_out(reply, map);
	munmap(reply, REPLY_SIZE);
	return err;
}

void idmap_free(struct idmap *map)
{
	free(map->uid);
	free(map->gid);
	*map = (struct idmap){ 0 };
}

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : !a && !b;
}

bool idmap_same(const FuseMountEntry *a, const FuseMountEntry *b)
{
	return same(a->uid_map, b->uid_map) && same(a->gid_map, b->gid_map);
}

/* --- setting -------------------------------------------------------------------- */

static int write_map(pid_t pid, const char *name, const char *map)
{
	char path[64];
	int fd cleanup(close_auto) = -1;
	size_t len = strlen(map);

	/* A map that is empty is one that was never written. */
	if (!len)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, map, len) == (ssize_t)len)
		return 0;
	return errno == EINVAL ? -EBADMSG : -errno;
}

/* It has copies of all our descriptors: it must not outlive us. */
static void __attribute__((noreturn)) be_there(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent)
		pause();
	_exit(0);
}

/* A mount has the map of a user namespace: the descriptor of one, which has nobody. */
static int user_ns(const FuseMountEntry *m)
{
	const pid_t parent = getpid();
	char path[64];
	siginfo_t info;
	int ns = -1, err;
	pid_t pid;

	/* As fork(), in a new namespace from the beginning. */
	pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0);
	if (!pid)
		be_there(parent);
	if (pid < 0)
		return -errno;
	err = write_map(pid, "uid_map", m->uid_map);
	err = err ?: write_map(pid, "gid_map", m->gid_map);
	if (!err) {
		snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
		ns = open(path, O_RDONLY | O_CLOEXEC);
		err = ns < 0 ? -errno : 0;
	}
	kill(pid, SIGKILL);
	waitid(P_PID, pid, &info, WEXITED);
	return err ?: ns;
}

int idmap_set(int mnt_fd, const FuseMountEntry *m)
{
	int ns cleanup(close_auto) = -1;
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };

	if (!m->uid_map && !m->gid_map)
		return 0;
	if (!m->uid_map || !m->gid_map)
		return -EBADMSG;
	ns = user_ns(m);
	if (ns < 0)
		return ns;
	attr.userns_fd = ns;
	return mount_setattr(mnt_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) ? -errno : 0;
}
