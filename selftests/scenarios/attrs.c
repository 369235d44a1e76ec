// SPDX-License-Identifier: GPL-2.0
/*
 * attrs - has files with extended attributes, and with access control lists.
 *
 *	attrs NAME MOUNT CONTROL [acl|security]
 *
 * Makes MOUNT/NAME; with "acl" the kernel is to check the lists, with "security"
 * there are attributes that it looks at. CONTROL.cmd and CONTROL.out are FIFOs
 * outside the mount. Says "ready", then answers each line:
 *	check	uses all that it holds, and says "ok", or what is wrong
 *	quit	removes all, says "bye" and ends
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "control.h"

#define ACCESS "system.posix_acl_access"
#define OWNER	500
#define FRIEND	1000
#define STRANGER 1001

static const char *self;		/* our directory on the mount */
static int fd = -1, bare = -1;
static bool lists, secure;
static unsigned int rounds;

/* As the kernel keeps it (include/uapi/linux/posix_acl_xattr.h). */
static struct {
	uint32_t version;
	struct {
		uint16_t tag, perm;
		uint32_t id;
	} entry[5];
} acl;

/* The group's bits of the mode are the mask of the list. */
static void make_acl(int perm)
{
	const struct {
		uint16_t tag, perm;
		uint32_t id;
	} want[5] = {
		{ 0x01, 7, ~0u }, { 0x02, perm, FRIEND }, { 0x04, 0, ~0u }, { 0x10, 7, ~0u }, { 0x20, 0, ~0u },
	};

	acl.version = htole32(2);
	for (int i = 0; i < 5; i++) {
		acl.entry[i].tag = htole16(want[i].tag);
		acl.entry[i].perm = htole16(want[i].perm);
		acl.entry[i].id = htole32(want[i].id);
	}
}

/* How it ends when this user reads the file. */
static int try_as(uid_t uid)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		int found;

		if (setgid(uid) || setuid(uid))
			_exit(255);
		found = open("file", O_RDONLY);
		_exit(found < 0 ? errno : 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int expect_as(uid_t uid, int error)
{
	int got = try_as(uid);

	return got == error ? 0 : bad("for user %u it ends with %d, not %d", uid, got, error);
}

static int expect_value(int of, const char *name, const void *value, size_t size)
{
	char got[256];
	ssize_t len = fgetxattr(of, name, got, sizeof(got));

	if (len < 0)
		return bad("%s: %s", name, strerror(errno));
	return (size_t)len == size && !memcmp(got, value, size) ? 0 : bad("%s: another value", name);
}

/* What was known before; then what is set now. */
static int check_user(void)
{
	char value[32], list[256];
	ssize_t len;

	len = snprintf(value, sizeof(value), "round %u", rounds);
	if (expect_value(fd, "user.round", value, len))
		return -1;
	if (fgetxattr(bare, "user.round", list, sizeof(list)) >= 0 || errno != ENODATA)
		return bad("the other file has one: %s", strerror(errno));
	len = snprintf(value, sizeof(value), "round %u", ++rounds);
	if (fsetxattr(fd, "user.round", value, len, XATTR_REPLACE))
		return bad("fsetxattr: %s", strerror(errno));
	if (setxattr("file", "user.more", "x", 1, XATTR_CREATE) || removexattr("file", "user.more"))
		return bad("setxattr: %s", strerror(errno));
	len = flistxattr(fd, list, sizeof(list));
	return len > 0 && memmem(list, len, "user.round", 11) ? 0 : bad("flistxattr: %s", strerror(errno));
}

static int check_lists(void)
{
	char got[64];

	/* By the descriptor first: nothing else makes the kernel ask again. */
	if (expect_value(fd, ACCESS, &acl, sizeof(acl)))
		return -1;
	if (fgetxattr(bare, ACCESS, got, sizeof(got)) >= 0 || errno != ENODATA)
		return bad("the other file has a list: %s", strerror(errno));
	if (expect_as(OWNER, 0) || expect_as(FRIEND, 0) || expect_as(STRANGER, EACCES))
		return -1;
	make_acl(0);
	if (fsetxattr(fd, ACCESS, &acl, sizeof(acl), 0) || expect_as(FRIEND, EACCES))
		return *wrong ? -1 : bad("a new list: %s", strerror(errno));
	make_acl(7);
	if (fsetxattr(fd, ACCESS, &acl, sizeof(acl), 0) || expect_as(FRIEND, 0))
		return *wrong ? -1 : bad("a new list: %s", strerror(errno));
	return expect_value(fd, ACCESS, &acl, sizeof(acl));
}

/* CAP_NET_RAW, permitted and effective: include/uapi/linux/capability.h. */
static const struct {
	uint32_t magic_etc, permitted, inheritable, high[2];
} capability = { 0x02000001, 1 << 13, 0, { 0 } };

static int check_security(void)
{
	return expect_value(fd, "security.capability", &capability, sizeof(capability)) ?:
	       expect_value(fd, "security.fusecr", "any", 3);
}

static int start_security(void)
{
	if (fsetxattr(fd, "security.capability", &capability, sizeof(capability), 0) ||
	    fsetxattr(fd, "security.fusecr", "any", 3, 0))
		return bad("setxattr: %s", strerror(errno));
	return check_security();
}

static int check(void)
{
	return check_user() ?: lists ? check_lists() : secure ? check_security() : 0;
}

static int start_lists(const char *name)
{
	char path[PATH_MAX];

	make_acl(7);
	snprintf(path, sizeof(path), "../%s", name);
	/* Into the directory only by its list, too. */
	if (setxattr(path, ACCESS, &acl, sizeof(acl), 0) || fsetxattr(fd, ACCESS, &acl, sizeof(acl), 0))
		return bad("setxattr: %s", strerror(errno));
	if (chown(path, OWNER, OWNER) || chmod(path, 0770) || fchown(fd, OWNER, OWNER) || fchmod(fd, 0770))
		return bad("chown: %s", strerror(errno));
	return check_lists();
}

static int start(const char *mount, const char *name)
{
	if (chdir(mount) || mkdir(name, 0755) || chdir(name))
		return bad("%s/%s: %s", mount, name, strerror(errno));
	fd = open("file", O_RDWR | O_CREAT | O_EXCL, 0644);
	bare = open("bare", O_RDWR | O_CREAT | O_EXCL, 0644);
	if (fd < 0 || bare < 0 || fsetxattr(fd, "user.round", "round 0", 7, XATTR_CREATE))
		return bad("fsetxattr: %s", strerror(errno));
	return lists ? start_lists(name) : secure ? start_security() : 0;
}

static int quit(void)
{
	close(fd);
	close(bare);
	return unlink("file") || unlink("bare") || chdir("..") || rmdir(self) ?
	       bad("remove: %s", strerror(errno)) : 0;
}

int main(int argc, char **argv)
{
	lists = argc == 5 && !strcmp(argv[4], "acl");
	secure = argc == 5 && !strcmp(argv[4], "security");
	if (argc != 4 && !lists && !secure) {
		fprintf(stderr, "usage: attrs NAME MOUNT CONTROL [acl|security]\n");
		return 2;
	}
	control_open(argv[3]);
	self = argv[1];
	return control_serve(start(argv[2], argv[1]), check, quit);
}
