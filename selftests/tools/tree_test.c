// SPDX-License-Identifier: GPL-2.0
/* Process trees and mounts, as /proc shows them. */
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "mounts.h"
#include "snapshot.h"
#include "tree.h"
#include "kselftest_harness.h"

struct wait {
	int depth, ready, end;
};

/* A child, with children of its own, that waits for the end of a pipe. */
static pid_t spawn(const struct wait *w);

/* A child of a thread is one of the process. */
static void *spawn_thread(void *arg)
{
	spawn(arg);
	pause();
	return NULL;
}

static void child(const struct wait *w)
{
	struct wait next = { w->depth - 1, w->ready, w->end };
	pthread_t thread;
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "tree (x) y", 0, 0, 0);
	if (w->depth)
		pthread_create(&thread, NULL, spawn_thread, &next);
	(void)!write(w->ready, "", 1);
	(void)!read(w->end, &c, 1);
	_exit(0);
}

static pid_t spawn(const struct wait *w)
{
	pid_t pid = fork();

	if (pid == 0)
		child(w);
	return pid;
}

FIXTURE(tree)
{
	int ready[2], end[2];
	struct tree tree;
	pid_t pid;
};

FIXTURE_SETUP(tree)
{
	int i;
	char c;

	ASSERT_EQ(0, pipe2(self->ready, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(self->end, O_CLOEXEC));
	self->pid = spawn(&(struct wait){ 2, self->ready[1], self->end[0] });
	ASSERT_LT(0, self->pid);
	for (i = 0; i < 3; i++)
		ASSERT_EQ(1, read(self->ready[0], &c, 1));
}

FIXTURE_TEARDOWN(tree)
{
	tree_free(&self->tree);
	kill(self->pid, SIGKILL);
	waitpid(self->pid, NULL, 0);
}

TEST_F(tree, parents_first)
{
	struct stat st;

	ASSERT_EQ(0, tree_read(&self->tree, self->pid));
	ASSERT_EQ(3, self->tree.count);
	EXPECT_EQ(self->pid, self->tree.tasks[0].pid);
	EXPECT_EQ(getpid(), self->tree.tasks[0].ppid);
	EXPECT_EQ(self->pid, self->tree.tasks[1].ppid);
	EXPECT_EQ(self->tree.tasks[1].pid, self->tree.tasks[2].ppid);
	EXPECT_STREQ("tree (x) y", self->tree.tasks[2].comm);
	EXPECT_EQ(0, stat("/proc/self/ns/mnt", &st));
	EXPECT_EQ(st.st_ino, self->tree.tasks[0].mnt_ns);
	EXPECT_EQ(&self->tree.tasks[1], tree_find(&self->tree, self->tree.tasks[1].pid));
	EXPECT_EQ(NULL, tree_find(&self->tree, getpid()));
}

TEST_F(tree, no_such_root)
{
	EXPECT_EQ(-ESRCH, tree_read(&self->tree, 1 << 22));
}

/* The list of groups comes before the number of the innermost namespace. */
TEST_F(tree, many_groups)
{
	gid_t groups[NGROUPS_MAX / 16];
	size_t i;

	for (i = 0; i < sizeof(groups) / sizeof(*groups); i++)
		groups[i] = 1000000000 + i;
	ASSERT_EQ(0, setgroups(i, groups));
	tree_free(&self->tree);
	ASSERT_EQ(0, tree_read(&self->tree, getpid()));
	EXPECT_EQ(getpid(), self->tree.tasks[0].vpid);
	EXPECT_EQ(getppid(), self->tree.tasks[0].ppid);
}

TEST_F(tree, zombie)
{
	siginfo_t info;

	ASSERT_EQ(0, kill(self->pid, SIGKILL));
	ASSERT_EQ(0, waitid(P_PID, self->pid, &info, WEXITED | WNOWAIT));
	ASSERT_EQ(0, tree_read(&self->tree, self->pid));
	EXPECT_EQ(1, self->tree.count);
	EXPECT_EQ(0, self->tree.tasks[0].mnt_ns);
}

/* Waits, as the first process of its own namespace. */
static int ns_child(void *arg)
{
	child(arg);
	return 0;
}

TEST(pid_in_the_innermost_namespace)
{
	static char stack[65536] __attribute__((aligned(16)));
	struct wait wait = { 0 };
	int ready[2], end[2];
	struct tree tree;
	pid_t pid;
	char c;

	if (geteuid())
		SKIP(return, "needs root to make a pid namespace");
	ASSERT_EQ(0, pipe2(ready, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(end, O_CLOEXEC));
	wait.ready = ready[1];
	wait.end = end[0];
	pid = clone(ns_child, stack + sizeof(stack), CLONE_NEWPID | SIGCHLD, &wait);
	ASSERT_LT(0, pid);
	ASSERT_EQ(1, read(ready[0], &c, 1));
	ASSERT_EQ(0, tree_read(&tree, pid));
	EXPECT_EQ(pid, tree.tasks[0].pid);
	EXPECT_EQ(1, tree.tasks[0].vpid);
	EXPECT_EQ(&tree.tasks[0], tree_find_vpid(&tree, 1));
	tree_free(&tree);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

struct seen {
	int count, stop_after;
	char points[4][64], roots[4][64];
	char fstype[32], source[64], options[128];
};

static int see(const FuseMountEntry *e, const char *fstype, const char *source, void *arg)
{
	struct seen *s = arg;
	int i = s->count++ % 4;

	snprintf(s->points[i], 64, "%.*s", (int)e->mountpoint.len, e->mountpoint.data);
	snprintf(s->roots[i], 64, "%.*s", (int)e->root.len, e->root.data);
	snprintf(s->fstype, sizeof(s->fstype), "%s", fstype);
	snprintf(s->source, sizeof(s->source), "%s", source);
	snprintf(s->options, sizeof(s->options), "%s", e->options);
	return s->count == s->stop_after ? 42 : 0;
}

TEST(mounts_of_one_device)
{
	char dir[] = "/tmp/fusecr-mounts.XXXXXX", odd[64], sub[96], bind[64];
	struct seen seen = { 0 };
	struct stat st;

	if (geteuid())
		SKIP(return, "needs root to mount");
	ASSERT_NE(NULL, mkdtemp(dir));
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	/* In mountinfo such characters are escaped. */
	snprintf(odd, sizeof(odd), "%s/a b\\c\n#", dir);
	snprintf(sub, sizeof(sub), "%s/sub", odd);
	snprintf(bind, sizeof(bind), "%s/bind", dir);
	ASSERT_EQ(0, mkdir(odd, 0700));
	ASSERT_EQ(0, mkdir(bind, 0700));
	ASSERT_EQ(0, mount("the source", odd, "tmpfs", MS_NOSUID, NULL));
	ASSERT_EQ(0, mkdir(sub, 0700));
	ASSERT_EQ(0, mount(sub, bind, NULL, MS_BIND, NULL));
	ASSERT_EQ(0, stat(odd, &st));

	EXPECT_EQ(0, mounts_of(getpid(), st.st_dev, see, &seen));
	EXPECT_EQ(2, seen.count);
	EXPECT_STREQ(odd, seen.points[0]);
	EXPECT_STREQ("/", seen.roots[0]);
	EXPECT_STREQ(bind, seen.points[1]);
	EXPECT_STREQ("/sub", seen.roots[1]);
	EXPECT_STREQ("tmpfs", seen.fstype);
	EXPECT_STREQ("the source", seen.source);
	EXPECT_NE(NULL, strstr(seen.options, "nosuid"));

	seen = (struct seen){ .stop_after = 1 };
	EXPECT_EQ(42, mounts_of(getpid(), st.st_dev, see, &seen));
	EXPECT_EQ(1, seen.count);
	EXPECT_EQ(0, mounts_of(getpid(), 0xfffff, see, &seen));
	EXPECT_EQ(-ENOENT, mounts_of(1 << 22, st.st_dev, see, &seen));

	umount2(bind, MNT_DETACH);
	umount2(odd, MNT_DETACH);
	rmdir(bind);
	rmdir(odd);
	rmdir(dir);
}

static FuseMountEntry entry_of(const char *root, const char *propagation)
{
	FuseMountEntry e = FUSE_MOUNT_ENTRY__INIT;

	e.root.data = (uint8_t *)root;
	e.root.len = strlen(root);
	e.propagation = (char *)propagation;
	return e;
}

/* What each of a connection's mounts is cloned from, by its peer groups. */
TEST(source_by_peer_group)
{
	static const struct {
		const char *root, *propagation;
		ssize_t source;
	} mounts[] = {
		{ "/", "shared:7", 0 },
		{ "/a", "shared:7", 0 },
		{ "/a", "master:7", 0 },
		{ "/a", "shared:8 master:7", 0 },
		{ "/a/b", "master:8", 3 },
		{ "/a", "", 5 },
		{ "/a/b", NULL, 6 },
		{ "/a", "unbindable", 7 },
		{ "/c", "shared:9", 8 },
		{ "/c", "shared:9", 8 },
		{ "/c/d", "shared:9", 8 },
		{ "/cd", "shared:9", -1 },	/* below no peer */
		{ "/", "shared:9", -1 },	/* a peer shows less */
		{ "/a", "master:8", 3 },
		{ "/", "master:8", -1 },
		{ "/a", "master:77", -1 },	/* of nobody in the list */
	};
	FuseMountEntry entries[sizeof(mounts) / sizeof(*mounts)];
	ProtobufCMessage *items[sizeof(mounts) / sizeof(*mounts)];
	struct message_list list = { items, sizeof(mounts) / sizeof(*mounts) };
	size_t i;

	for (i = 0; i < list.count; i++) {
		entries[i] = entry_of(mounts[i].root, mounts[i].propagation);
		items[i] = &entries[i].base;
	}
	for (i = 0; i < list.count; i++)
		EXPECT_EQ(mounts[i].source, mount_source(&list, i)) {
			TH_LOG("mount %zu: %s %s", i, mounts[i].root, mounts[i].propagation);
		}
	/* The first is made, not cloned. */
	entries[0].propagation = "master:8";
	EXPECT_EQ(-1, mount_source(&list, 0));
}

TEST(known_fs_options)
{
	EXPECT_TRUE(mount_fs_option_known("user_id=1000"));
	EXPECT_TRUE(mount_fs_option_known("allow_other"));
	EXPECT_TRUE(mount_fs_option_known("seclabel"));
	EXPECT_FALSE(mount_fs_option_known("context=\"system_u:object_r:httpd_sys_content_t:s0\""));
	EXPECT_FALSE(mount_fs_option_known("dax"));
}

TEST(known_options)
{
	EXPECT_TRUE(mount_option_known("noatime"));
	EXPECT_FALSE(mount_option_known("idmapped"));
}

TEST_HARNESS_MAIN
