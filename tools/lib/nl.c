// SPDX-License-Identifier: GPL-2.0
/*
 * The netlink client: one socket, one question at a time.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/fusecr.h>
#include "cleanup.h"
#include "nl.h"
#include "nl_decode.h"

#define RECEIVE_SIZE (64u << 10)	/* what a dump fills at most, twice */

struct nl {
	struct mnl_socket *socket;
	uint16_t family;
	uint32_t seq;
	bool busy;		/* a walk is under way */
	bool unread;		/* a walk ended early: answers wait in the socket */
	struct nl_decoder decoder;
	char error[256];
	char buf[RECEIVE_SIZE];
};

/* A zero or NULL field is left out of the question. */
struct question {
	uint8_t cmd;
	uint16_t flags;
	uint64_t conn_id;
	uint32_t pid;
	const char *family;	/* for the controller */
};

/* What an answer's attributes are given to; non-zero ends the walk. */
typedef int (*answer_cb)(struct nl *nl, const struct nlmsghdr *nlh, void *arg);

static void nl_auto(struct nl **nl)
{
	nl_close(*nl);
}

/* --- the transport --------------------------------------------------------- */

static int socket_open(struct nl *nl)
{
	int on = 1;

	nl->socket = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	if (!nl->socket)
		return -errno;
	if (mnl_socket_bind(nl->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	/* Without these a refusal is a number only. */
	mnl_socket_setsockopt(nl->socket, NETLINK_EXT_ACK, &on, sizeof(on));
	mnl_socket_setsockopt(nl->socket, NETLINK_CAP_ACK, &on, sizeof(on));
	nl->unread = false;
	return 0;
}

static void socket_close(struct nl *nl)
{
	if (nl->socket)
		mnl_socket_close(nl->socket);
	nl->socket = NULL;
}

static int send_question(struct nl *nl, const struct question *q)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(nl->buf);
	struct genlmsghdr *genl;

	nlh->nlmsg_type = q->family ? GENL_ID_CTRL : nl->family;
	nlh->nlmsg_flags = NLM_F_REQUEST | q->flags;
	nlh->nlmsg_seq = ++nl->seq;
	genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	genl->cmd = q->cmd;
	/* NOLINTNEXTLINE(bugprone-branch-clone): ours is 1 by chance */
	genl->version = q->family ? 1 : FUSECR_GENL_VERSION;
	if (q->family)
		mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, q->family);
	if (q->conn_id)
		mnl_attr_put_u64(nlh, FUSECR_A_CONN_ID, q->conn_id);
	if (q->pid)
		mnl_attr_put_u32(nlh, FUSECR_A_PID, q->pid);
	if (mnl_socket_sendto(nl->socket, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	return 0;
}

/* The kernel's sentence, in the attributes behind offset bytes of payload. */
static void keep_sentence(struct nl *nl, const struct nlmsghdr *nlh, size_t offset)
{
	static const char prefix[] = FUSECR_GENL_NAME ": ";	/* of NL_SET_ERR_MSG_MOD */
	const struct nlattr *attr;
	const char *text;

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS) || mnl_nlmsg_get_payload_len(nlh) <= offset)
		return;
	mnl_attr_for_each(attr, nlh, MNL_ALIGN(offset)) {
		if (mnl_attr_get_type(attr) != NLMSGERR_ATTR_MSG ||
		    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) < 0)
			continue;
		text = mnl_attr_get_str(attr);
		if (!strncmp(text, prefix, sizeof(prefix) - 1))
			text += sizeof(prefix) - 1;
		snprintf(nl->error, sizeof(nl->error), "%s", text);
		return;
	}
}

/* The end of a question: its error, 0 or less. */
static int take_error(struct nl *nl, const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);
	size_t size = sizeof(*err);

	if (mnl_nlmsg_get_payload_len(nlh) < size)
		return -EBADMSG;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED)) {
		if (err->msg.nlmsg_len < sizeof(err->msg))
			return -EBADMSG;
		size += err->msg.nlmsg_len - sizeof(err->msg);
	}
	if (err->error < 0)
		keep_sentence(nl, nlh, size);
	return err->error < 0 ? err->error : 0;
}

static int take_done(struct nl *nl, const struct nlmsghdr *nlh)
{
	int err = 0;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(err))
		return 0;
	memcpy(&err, mnl_nlmsg_get_payload(nlh), sizeof(err));
	if (err < 0)
		keep_sentence(nl, nlh, sizeof(err));
	return err < 0 ? err : 0;
}

/*
 * One datagram of answers.  1 when more will come, 0 at the end, an error, or
 * what the callback returned, which *ended tells from an error of ours.
 */
static int take_answers(struct nl *nl, size_t len, answer_cb cb, void *arg, bool *ended)
{
	const struct nlmsghdr *nlh = (const void *)nl->buf;
	int left = len, ret;

	for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
		if (nlh->nlmsg_seq != nl->seq)
			continue;
		if (nlh->nlmsg_type == NLMSG_ERROR)
			return take_error(nl, nlh);
		if (nlh->nlmsg_type == NLMSG_DONE)
			return take_done(nl, nlh);
		if (nlh->nlmsg_type < NLMSG_MIN_TYPE)
			continue;
		if (mnl_nlmsg_get_payload_len(nlh) < sizeof(struct genlmsghdr))
			return -EBADMSG;
		/* NLM_F_DUMP_INTR is no failure: a walk over moving lists. */
		ret = cb(nl, nlh, arg);
		if (ret) {
			*ended = true;
			return ret;
		}
	}
	return 1;
}

static int receive(struct nl *nl, answer_cb cb, void *arg)
{
	bool ended = false;
	ssize_t len;
	int ret = 1;

	while (ret == 1 && !ended) {
		len = mnl_socket_recvfrom(nl->socket, nl->buf, sizeof(nl->buf));
		if (len < 0 && errno == EINTR)
			continue;
		ret = len < 0 ? -errno : take_answers(nl, len, cb, arg, &ended);
	}
	if (ret)
		nl->unread = true;
	return ret;
}

static int ask(struct nl *nl, const struct question *q, answer_cb cb, void *arg)
{
	int ret = 0;

	nl->error[0] = 0;
	if (nl->busy) {
		snprintf(nl->error, sizeof(nl->error), "a walk over this socket is still under way");
		return -EBUSY;
	}
	/* The kernel runs one dump a socket: an unfinished one goes with it. */
	if (nl->unread)
		socket_close(nl);
	if (!nl->socket)
		ret = socket_open(nl);
	nl->busy = true;
	ret = ret ?: send_question(nl, q);
	ret = ret ?: receive(nl, cb, arg);
	nl->busy = false;
	return ret;
}

static const struct nlattr *find_attr(const struct nlmsghdr *nlh, uint16_t type)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(attr) == type)
			return attr;
	return NULL;
}

/* --- opening --------------------------------------------------------------- */

static int family_cb(struct nl *nl, const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr = find_attr(nlh, CTRL_ATTR_FAMILY_ID);

	if (!attr || mnl_attr_validate(attr, MNL_TYPE_U16) < 0)
		return -EBADMSG;
	nl->family = mnl_attr_get_u16(attr);
	return 0;
}

int nl_open(struct nl **out)
{
	const struct question q = {
		.cmd = CTRL_CMD_GETFAMILY,
		.flags = NLM_F_ACK,
		.family = FUSECR_GENL_NAME,
	};
	struct nl *nl cleanup(nl_auto) = calloc(1, sizeof(*nl));
	int ret;

	if (!nl)
		return -ENOMEM;
	nl->decoder.error = nl->error;
	nl->decoder.error_len = sizeof(nl->error);
	ret = ask(nl, &q, family_cb, NULL);
	if (ret)
		return ret;
	*out = steal(nl);
	return 0;
}

void nl_close(struct nl *nl)
{
	if (!nl)
		return;
	socket_close(nl);
	nl_decoder_free(&nl->decoder);
	free(nl);
}

const char *nl_error(const struct nl *nl)
{
	return nl->error;
}

const char *nl_reason(const struct nl *nl, int err)
{
	if (nl && *nl->error)
		return nl->error;
	if (err == -EPERM)
		return "this needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN: run it as root";
	return strerror(-err);
}

/* --- questions ------------------------------------------------------------- */

static int info_cb(struct nl *nl, const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *nest = find_attr(nlh, FUSECR_A_INFO), *attr;
	struct nl_info *info = arg;

	if (!nest)
		return -EBADMSG;
	mnl_attr_for_each_nested(attr, nest) {
		switch (mnl_attr_get_type(attr)) {
		case FUSECR_INFO_VERSION:
		case FUSECR_INFO_BTF:
			if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) < 0)
				return -EBADMSG;
			if (mnl_attr_get_type(attr) == FUSECR_INFO_VERSION)
				snprintf(info->version, sizeof(info->version), "%s",
					 mnl_attr_get_str(attr));
			else
				snprintf(info->btf, sizeof(info->btf), "%s",
					 mnl_attr_get_str(attr));
			break;
		case FUSECR_INFO_FEATURES:
			if (mnl_attr_validate(attr, MNL_TYPE_U32) < 0)
				return -EBADMSG;
			info->features = mnl_attr_get_u32(attr);
			break;
		case FUSECR_INFO_KNOWN_FLAGS:
			if (mnl_attr_validate(attr, MNL_TYPE_U64) < 0)
				return -EBADMSG;
			info->known_flags = mnl_attr_get_u64(attr);
			break;
		}
	}
	return 0;
}

int nl_get_info(struct nl *nl, struct nl_info *info)
{
	const struct question q = { .cmd = FUSECR_CMD_GET_INFO, .flags = NLM_F_ACK };

	*info = (struct nl_info){ 0 };
	return ask(nl, &q, info_cb, info);
}

static int handle_cb(struct nl *nl, const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr = find_attr(nlh, FUSECR_A_HANDLE);

	if (!attr || mnl_attr_validate(attr, MNL_TYPE_U32) < 0)
		return -EBADMSG;
	*(int *)arg = (int)mnl_attr_get_u32(attr);
	return 0;
}

int nl_open_handle(struct nl *nl)
{
	const struct question q = { .cmd = FUSECR_CMD_OPEN_HANDLE, .flags = NLM_F_ACK };
	int fd = -1, ret = ask(nl, &q, handle_cb, &fd);

	return ret < 0 ? ret : fd;
}

struct walk {
	uint16_t nest;
	const ProtobufCMessageDescriptor *desc;
	int (*emit)(struct walk *w, const union nl_entry *e);
	union {
		nl_conn_cb conn;
		nl_dev_cb dev;
		nl_request_cb request;
		nl_inode_cb inode;
		nl_file_cb file;
		nl_backing_cb backing;
	} cb;
	void *arg;
	/* a request whose input is still coming */
	FuseRequestEntry joined;
	bool joining;
	size_t room;
};

static int walk_cb(struct nl *nl, const struct nlmsghdr *nlh, void *arg)
{
	struct walk *w = arg;
	const struct nlattr *nest = find_attr(nlh, w->nest);
	union nl_entry e;
	int ret;

	if (!nest) {
		snprintf(nl->error, sizeof(nl->error), "the kernel module's answer has no %s",
			 w->desc->name);
		return -EBADMSG;
	}
	ret = nl_decode(&nl->decoder, nest, w->desc, &e);
	return ret ?: w->emit(w, &e);
}

static int emit_conn(struct walk *w, const union nl_entry *e)
{
	return w->cb.conn(&e->conn, w->arg);
}

static int emit_dev(struct walk *w, const union nl_entry *e)
{
	return w->cb.dev(&e->dev, w->arg);
}

static int emit_inode(struct walk *w, const union nl_entry *e)
{
	return w->cb.inode(&e->inode, w->arg);
}

static int emit_file(struct walk *w, const union nl_entry *e)
{
	return w->cb.file(&e->file, w->arg);
}

static int emit_backing(struct walk *w, const union nl_entry *e)
{
	return w->cb.backing(&e->backing, w->arg);
}

/*
 * The request being joined is as whole as it gets.  One that was answered
 * between two chunks has less data than in_len and out_len.
 */
static int flush_joined(struct walk *w)
{
	if (!w->joining)
		return 0;
	w->joining = false;
	return w->cb.request(&w->joined, w->arg);
}

/* Appends a chunk's bytes: the receive buffer is used again for the next one. */
static int join(struct walk *w, const ProtobufCBinaryData *chunk)
{
	ProtobufCBinaryData *all = &w->joined.in_data;
	uint8_t *data;

	if (all->len + chunk->len > w->room) {
		w->room = 2 * (all->len + chunk->len);
		data = realloc(all->data, w->room);
		if (!data)
			return -ENOMEM;
		all->data = data;
	}
	if (chunk->len)
		memcpy(all->data + all->len, chunk->data, chunk->len);
	all->len += chunk->len;
	return w->joined.in_data.len < (size_t)w->joined.in_len + w->joined.out_len ? 0 : flush_joined(w);
}

static int emit_request(struct walk *w, const union nl_entry *e)
{
	const FuseRequestEntry *r = &e->request;
	uint32_t offset = r->has_in_offset ? r->in_offset : 0;
	uint8_t *data = w->joined.in_data.data;
	int ret;

	if (offset) {
		if (w->joining && r->unique == w->joined.unique && offset == w->joined.in_data.len)
			return join(w, &r->in_data);
		return 0;	/* the rest of one whose beginning was not told */
	}
	ret = flush_joined(w);
	if (ret)
		return ret;
	/* Scalars only but for the data: a copy outlives the receive buffer. */
	w->joined = *r;
	w->joined.has_in_offset = false;
	w->joined.in_data.data = data;
	w->joined.in_data.len = 0;
	w->joining = true;
	return join(w, &r->in_data);
}

int nl_conns(struct nl *nl, nl_conn_cb cb, void *arg)
{
	const struct question q = { .cmd = FUSECR_CMD_GET_CONN, .flags = NLM_F_DUMP };
	struct walk w = {
		.nest = FUSECR_A_CONN, .desc = &fuse_conn_entry__descriptor,
		.emit = emit_conn, .cb.conn = cb, .arg = arg,
	};

	return ask(nl, &q, walk_cb, &w);
}

int nl_conn(struct nl *nl, uint64_t conn_id, nl_conn_cb cb, void *arg)
{
	const struct question q = {
		.cmd = FUSECR_CMD_GET_CONN, .flags = NLM_F_ACK, .conn_id = conn_id,
	};
	struct walk w = {
		.nest = FUSECR_A_CONN, .desc = &fuse_conn_entry__descriptor,
		.emit = emit_conn, .cb.conn = cb, .arg = arg,
	};

	return ask(nl, &q, walk_cb, &w);
}

int nl_devs(struct nl *nl, uint64_t conn_id, uint32_t pid, nl_dev_cb cb, void *arg)
{
	const struct question q = {
		.cmd = FUSECR_CMD_GET_DEV, .flags = NLM_F_DUMP, .conn_id = conn_id, .pid = pid,
	};
	struct walk w = {
		.nest = FUSECR_A_DEV, .desc = &fuse_dev_entry__descriptor,
		.emit = emit_dev, .cb.dev = cb, .arg = arg,
	};

	return ask(nl, &q, walk_cb, &w);
}

int nl_requests(struct nl *nl, uint64_t conn_id, nl_request_cb cb, void *arg)
{
	const struct question q = {
		.cmd = FUSECR_CMD_GET_REQ, .flags = NLM_F_DUMP, .conn_id = conn_id,
	};
	struct walk w = {
		.nest = FUSECR_A_REQ, .desc = &fuse_request_entry__descriptor,
		.emit = emit_request, .cb.request = cb, .arg = arg,
	};
	int ret = ask(nl, &q, walk_cb, &w);

	ret = ret ?: flush_joined(&w);
	free(w.joined.in_data.data);
	return ret;
}

int nl_inodes(struct nl *nl, uint64_t conn_id, nl_inode_cb cb, void *arg)
{
	const struct question q = {
		.cmd = FUSECR_CMD_GET_INODE, .flags = NLM_F_DUMP, .conn_id = conn_id,
	};
	struct walk w = {
		.nest = FUSECR_A_INODE, .desc = &fuse_inode_entry__descriptor,
		.emit = emit_inode, .cb.inode = cb, .arg = arg,
	};

	return ask(nl, &q, walk_cb, &w);
}

int nl_files(struct nl *nl, uint64_t conn_id, uint32_t pid, nl_file_cb cb, void *arg)
{
	const struct question q = {
		.cmd = FUSECR_CMD_GET_FILE, .flags = NLM_F_DUMP, .conn_id = conn_id, .pid = pid,
	};
	struct walk w = {
		.nest = FUSECR_A_FILE, .desc = &fuse_file_entry__descriptor,
		.emit = emit_file, .cb.file = cb, .arg = arg,
	};

	return ask(nl, &q, walk_cb, &w);
}

int nl_backings(struct nl *nl, uint64_t conn_id, nl_backing_cb cb, void *arg)
{
	const struct question q = {
		.cmd = FUSECR_CMD_GET_BACKING, .flags = NLM_F_DUMP, .conn_id = conn_id,
	};
	struct walk w = {
		.nest = FUSECR_A_BACKING, .desc = &fuse_backing_entry__descriptor,
		.emit = emit_backing, .cb.backing = cb, .arg = arg,
	};

	return ask(nl, &q, walk_cb, &w);
}
