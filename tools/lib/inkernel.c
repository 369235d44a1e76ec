// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "inkernel.h"
#include "mounts.h"
#include "proc.h"
#include "refuse.h"

/* A mount that is just going has the superblock for a moment more. */
#define TRIES		5
#define WAIT_MS		20L

struct scan {
	struct report *r;
	const struct snapshot *snap;
	const struct snapshot_conn *sc;
	uint64_t *seen;			/* mount namespaces */
	size_t count;
	uint32_t mounts;		/* of the connection, in all of them */
	pid_t pid;			/* whose namespace is looked at */
};

/* --- which mount a path is on ------------------------------------------------- */

struct longest {
	const char *path;
	size_t len;
};

static int see_mountpoint(const FuseMountEntry *m, const char *fstype, const char *source, void *arg)
{
	struct longest *l = arg;
	const ProtobufCBinaryData path = { strlen(l->path), (uint8_t *)l->path };

	(void)fstype;
	(void)source;
	if (m->mountpoint.len >= l->len && mount_shows(&m->mountpoint, &path))
		l->len = m->mountpoint.len;
	return 0;
}

/* By names alone: whoever looked would ask the daemon. */
static bool is_on(pid_t pid, const struct snapshot_conn *sc, const char *path)
{
	struct longest own = { path, 0 }, any = { path, 0 };

	if (*path != '/' || mounts_of(pid, sc->conn->dev, see_mountpoint, &own) || !own.len ||
	    mounts_of(pid, 0, see_mountpoint, &any))
		return false;
	return own.len == any.len;
}

/* What is in use the kernel has at hand; whatever else is there, nobody is asked about it. */
static bool is_here(const char *path)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_CACHED };
	int fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* The kernel tells paths in ours, and of what is not in it as its own root sees it. */
static bool is_ours(const struct scan *s, const char *path)
{
	if (is_on(getpid(), s->sc, path))
		return true;
	return s->snap->own_mnt_ns && !is_here(path) && is_on(s->snap->o.root, s->sc, path);
}

static void object(const struct scan *s, const char *path, const char *who, const char *whose)
{
	report_add(s->r, "%s: %s is in use by the kernel: %s%s", refuse_label(s->sc->conn), path, who, whose);
}

/* --- loop devices, swap files, nfsd -------------------------------------------- */

/* "\040" and the like, as seq_escape() writes it; ends the word. */
static void unescape(char *word)
{
	char *to = word;

	for (; *word && *word != ' ' && *word != '\t' && *word != '\n'; to++) {
		unsigned int c;

		if (*word == '\\' && sscanf(word + 1, "%3o", &c) == 1) {
			*to = c;
			word += 4;
		} else {
			*to = *word++;
		}
	}
	*to = '\0';
}

static void scan_loops(const struct scan *s)
{
	DIR *dir cleanup(closedir_auto) = opendir("/sys/block");
	struct dirent *de;

	while (dir && (de = readdir(dir))) {
		FILE *f cleanup(fclose_auto) = NULL;
		char path[4200];

		if (strncmp(de->d_name, "loop", 4))
			continue;
		snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", de->d_name);
		f = fopen(path, "re");
		if (!f || !fgets(path, sizeof(path), f))
			continue;
		path[strcspn(path, "\n")] = '\0';
		if (is_ours(s, path))
			object(s, path, "by the device ", de->d_name);
	}
}

/* Files whose lines begin with a path. */
static void scan_list(const struct scan *s, const char *list, const char *who)
{
	FILE *f cleanup(fclose_auto) = fopen(list, "re");
	char line[8192];

	while (f && fgets(line, sizeof(line), f)) {
		unescape(line);
		if (is_ours(s, line))
			object(s, line, who, "");
	}
}

/* --- overlayfs, and mounts that nobody sees ------------------------------------- */

static bool is_layer(const char *option)
{
	static const char *const names[] = { "lowerdir", "upperdir", "workdir", "datadir" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strncmp(option, names[i], strlen(names[i])))
			return true;
	return false;
}

/* As who mounted wrote it: "lowerdir=/a:/b,upperdir=/c", or "lowerdir+=/a". */
static void see_layers(const struct scan *s, const char *options, const FuseMountEntry *m)
{
	char *copy cleanup(free_auto) = strdup(options), *save, *dir_save, *option, *dir;
	char where[4200];

	snprintf(where, sizeof(where), "%.*s", (int)m->mountpoint.len, m->mountpoint.data);
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): copy is guarded */
	for (option = copy ? strtok_r(copy, ",", &save) : NULL; option; option = strtok_r(NULL, ",", &save)) {
		dir = strchr(option, '=');
		if (!dir || !is_layer(option))
			continue;
		for (dir = strtok_r(dir + 1, ":", &dir_save); dir; dir = strtok_r(NULL, ":", &dir_save))
			if (is_on(s->pid, s->sc, dir))
				object(s, dir, "by the overlay mounted at ", where);
	}
}

/* Of EROFS it is the image, of eCryptfs the directory below. */
static void see_source(const struct scan *s, const char *fstype, const char *source, const FuseMountEntry *m)
{
	char where[4200];

	snprintf(where, sizeof(where), "by the %s mounted at %.*s", fstype, (int)m->mountpoint.len, m->mountpoint.data);
	if (is_on(s->pid, s->sc, source))
		object(s, source, where, "");
}

static int see_mount(const FuseMountEntry *m, const char *fstype, const char *source, void *arg)
{
	if (!strcmp(fstype, "overlay") && m->fs_options)
		see_layers(arg, m->fs_options, m);
	else if (source && (!strcmp(fstype, "erofs") || !strcmp(fstype, "ecryptfs")))
		see_source(arg, fstype, source, m);
	return 0;
}

static int count_mount(const FuseMountEntry *m, const char *fstype, const char *source, void *arg)
{
	struct scan *s = arg;

	(void)m;
	(void)fstype;
	(void)source;
	s->mounts++;
	return 0;
}

static int see_namespace(struct scan *s, uint64_t ns)
{
	uint64_t *grown;

	for (size_t i = 0; i < s->count; i++)
		if (s->seen[i] == ns)
			return 0;
	grown = reallocarray(s->seen, s->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	s->seen = grown;
	grown[s->count++] = ns;
	/* A process that has ended meanwhile has none. */
	mounts_of(s->pid, s->sc->conn->dev, count_mount, s);
	mounts_of(s->pid, 0, see_mount, s);
	return 0;
}

static int scan_namespaces(struct scan *s)
{
	DIR *proc cleanup(closedir_auto) = opendir("/proc");
	struct dirent *de;
	int err = 0;

	while (!err && proc && (de = readdir(proc))) {
		uint64_t ns;

		s->pid = atoi(de->d_name);
		ns = s->pid > 0 ? proc_ns(s->pid, "mnt") : 0;
		err = ns ? see_namespace(s, ns) : 0;
	}
	return err;
}

static int see_number(const FuseConnEntry *conn, void *arg)
{
	*(uint32_t *)arg = conn->has_num_mounts ? conn->num_mounts : 0;
	return 0;
}

/* Those of overlayfs are in no namespace, as those that are detached. */
static int count_hidden(const struct scan *s)
{
	const struct timespec wait = { 0, WAIT_MS * 1000000 };
	bool all_seen = proc_own_ns("pid") == PROC_INIT_PID_NS;
	uint32_t number = 0;
	int err = 0;

	for (int i = 0; !err && i < TRIES; i++) {
		if (i)
			nanosleep(&wait, NULL);
		err = nl_conn(s->snap->nl, s->sc->conn->id, see_number, &number);
		if (err || number <= s->mounts)
			return err;
	}
	report_add(s->r, "%s: %u of its mounts are in no mount namespace of a process%s: overlayfs has them, or they were unmounted lazily, or are held open (open_tree); give them up%s",
		   refuse_label(s->sc->conn), number - s->mounts, all_seen ? "" : " that is seen from here",
		   all_seen ? "" : ", or try from the initial pid namespace");
	return 0;
}

int inkernel_refuse(struct report *r, const struct snapshot *snap, const struct snapshot_conn *sc)
{
	struct scan s = { .r = r, .snap = snap, .sc = sc };
	int err = scan_namespaces(&s) ?: count_hidden(&s);

	free(s.seen);
	scan_loops(&s);
	scan_list(&s, "/proc/swaps", "for swap");
	scan_list(&s, "/proc/net/rpc/nfsd.export/content", "exported by nfsd");
	return err;
}
