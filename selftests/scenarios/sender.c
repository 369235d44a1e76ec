// SPDX-License-Identifier: GPL-2.0
/*
 * sender - a program whose files on a mount are in messages that nobody has received.
 *
 *	sender NAME MOUNT CONTROL
 *
 * Makes MOUNT/NAME and all that in it. CONTROL.cmd and CONTROL.out are FIFOs
 * outside the mount. Says "ready", then answers each line:
 *	check	receives them, uses them, sends them again, and says "ok", or what is
 *		wrong
 *	quit	closes and removes all, says "bye" and ends
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.h"

#define TEXT "0123456789"

static const char *self;
static int socks[2];		/* a stream: all that is sent, in its order */
static char *map;		/* of what else is in a message only */

union fd_control {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

static struct msghdr message(struct iovec *byte, union fd_control *control)
{
	return (struct msghdr){
		.msg_iov = byte,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(*control),
	};
}

static int send_away(int fd)
{
	union fd_control control = { .header = {
		.cmsg_len = CMSG_LEN(sizeof(int)),
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	} };
	struct iovec byte = { (void *)"", 1 };
	struct msghdr msg = message(&byte, &control);

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (fd < 0 || sendmsg(socks[0], &msg, 0) != 1 || close(fd))
		return bad("send: %s", strerror(errno));
	return 0;
}

static int receive(int *fd)
{
	union fd_control control;
	char c;
	struct iovec byte = { &c, 1 };
	struct msghdr msg = message(&byte, &control);

	if (recvmsg(socks[1], &msg, MSG_DONTWAIT) != 1 || !CMSG_FIRSTHDR(&msg))
		return bad("receive: %s", strerror(errno));
	memcpy(fd, CMSG_DATA(&control.header), sizeof(*fd));
	return 0;
}

static int make(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd >= 0 && (write(fd, TEXT, strlen(TEXT)) != (ssize_t)strlen(TEXT) || lseek(fd, 4, SEEK_SET) != 4))
		return -1;
	return fd;
}

static int start(const char *mount, const char *name)
{
	int mapped;

	self = name;
	if (chdir(mount) || mkdir(name, 0755) || chdir(name))
		return bad("%s/%s: %s", mount, name, strerror(errno));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks))
		return bad("socketpair: %s", strerror(errno));
	mapped = make("mapped");
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, mapped, 0);
	if (map == MAP_FAILED)
		return bad("mmap: %s", strerror(errno));
	if (send_away(make("file")) || send_away(make("gone")) || send_away(mapped) ||
	    send_away(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)))
		return -1;
	return unlink("gone") ? bad("unlink: %s", strerror(errno)) : 0;
}

/* Where it was left, and of that node; @links: by the name, if there is one. */
static int check_file(int fd, const char *name, nlink_t links)
{
	struct stat st, want;
	char text[16];

	if (lseek(fd, 0, SEEK_CUR) != 4)
		return bad("%s is at %ld", name, (long)lseek(fd, 0, SEEK_CUR));
	if (pread(fd, text, sizeof(text), 0) != (ssize_t)strlen(TEXT) || memcmp(text, TEXT, strlen(TEXT)))
		return bad("%s: read: %s", name, strerror(errno));
	if (pwrite(fd, "0", 1, 0) != 1 || fstat(fd, &st))
		return bad("%s: write: %s", name, strerror(errno));
	if (st.st_nlink != links || (links && (stat(name, &want) || st.st_ino != want.st_ino)))
		return bad("%s: %lu links, inode %lu", name, (unsigned long)st.st_nlink, (unsigned long)st.st_ino);
	return 0;
}

static int check_dir(int fd)
{
	DIR *dir = fdopendir(dup(fd));
	struct dirent *de;
	int found = 0;

	rewinddir(dir);
	while ((de = readdir(dir)))
		found += !strcmp(de->d_name, "file") || !strcmp(de->d_name, "mapped");
	closedir(dir);
	return found == 2 ? 0 : bad("%d of 2 files are listed", found);
}

/* Through one as through the other. */
static int check_map(int fd)
{
	char now;

	if (memcmp(map, TEXT, strlen(TEXT)))
		return bad("the mapping is %.10s", map);
	map[1] = 'x';
	if (pread(fd, &now, 1, 1) != 1 || now != 'x')
		return bad("what is mapped is not what was sent");
	map[1] = TEXT[1];
	return 0;
}

static int check(void)
{
	int file, gone, mapped, dir;

	if (receive(&file) || receive(&gone) || receive(&mapped) || receive(&dir))
		return -1;
	if (check_file(file, "file", 1) || check_file(gone, "gone", 0) || check_map(mapped) ||
	    check_file(mapped, "mapped", 1) || check_dir(dir))
		return -1;
	return send_away(file) || send_away(gone) || send_away(mapped) || send_away(dir) ? -1 : 0;
}

static int quit(void)
{
	close(socks[0]);
	close(socks[1]);
	munmap(map, 4096);
	if (unlink("file") || unlink("mapped") || chdir("..") || rmdir(self))
		return bad("quit: %s", strerror(errno));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: sender NAME MOUNT CONTROL\n");
		return 2;
	}
	control_open(argv[3]);
	return control_serve(start(argv[2], argv[1]), check, quit);
}
