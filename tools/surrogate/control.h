/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the CRIU plugin and the surrogate say to each other, over a SEQPACKET
 * socket pair: one struct a message, answered by one CONTROL_DONE, CONTROL_NONE
 * or CONTROL_FAILED.  Shared by two programs of one release, never stored.
 */
#ifndef FUSECR_CONTROL_H
#define FUSECR_CONTROL_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

enum control_type {
	/* surrogate to plugin */
	CONTROL_DONE,		/* did it; a descriptor may be attached */
	CONTROL_NONE,		/* not ours: the tree, or that file, has no FUSE */
	CONTROL_FAILED,		/* text says why, what, and what to do */
	CONTROL_EXTERNAL,	/* before DONE: text is for CRIU's add_external() */
	CONTROL_WARNING,	/* before DONE: text is what a person should know */
	CONTROL_SERVED,		/* before DONE, at dump: value is a device that is served */
	/* plugin to surrogate */
	CONTROL_DEVICE,		/* dump: value is CRIU's id of the file, fd is CRIU's */
	CONTROL_FROZEN,		/* dump: all stands still; not told by every CRIU */
	CONTROL_RESUME,		/* restore: all stands still, value is the root task */
	CONTROL_END,		/* CRIU is done with us; value is its result */
	/* plugin in a restored task to surrogate, on the inherited socket, with a
	 * socket for the answer attached */
	CONTROL_FETCH,		/* value is CRIU's id of the file */
};

struct control_msg {
	uint32_t type;
	int32_t value;
	int32_t fd;
	uint32_t serial;	/* of a question, and of its answer; 0 before the first */
	char text[8192];
};

/* What the plugin says when there is nobody left to undo anything. */
#define CONTROL_GONE "ended without an answer"
/* Before what the plugin tells "fusecr" that is no reason to fail. */
#define CONTROL_WARNING_MARK	"warning: "

/* The name under which restored tasks find the inherited socket. */
#define CONTROL_INHERIT	"fusecr-control"

/* Sends; fd >= 0 is attached.  0 or -1 with errno. */
static inline int control_send(int sock, const struct control_msg *m, int fd)
{
	char space[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = {
		.iov_base = (void *)m,
		.iov_len = offsetof(struct control_msg, text) + strnlen(m->text, sizeof(m->text) - 1) + 1,
	};
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *c;

		hdr.msg_control = space;
		hdr.msg_controllen = sizeof(space);
		c = CMSG_FIRSTHDR(&hdr);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	do
		n = sendmsg(sock, &hdr, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}

/* Receives; *fd is an attached descriptor or -1.  1, 0 at the end, -1 with errno. */
static inline int control_recv(int sock, struct control_msg *m, int *fd)
{
	char space[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = m, .iov_len = sizeof(*m) };
	struct msghdr hdr = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = space, .msg_controllen = sizeof(space),
	};
	struct cmsghdr *c;
	ssize_t n;

	*fd = -1;
	memset(m, 0, sizeof(*m));
	do
		n = recvmsg(sock, &hdr, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n;
	c = CMSG_FIRSTHDR(&hdr);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	m->text[sizeof(m->text) - 1] = '\0';
	return 1;
}

#endif
