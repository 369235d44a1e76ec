// SPDX-License-Identifier: GPL-2.0
/* Questions to the module, for tests. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "test_nl.h"

#define BUF_SIZE	(256 << 10)

/* The kernel's half of the address space, without small negative numbers. */
static bool is_address(uint64_t v)
{
	return v >= 0xffff800000000000ULL && v < 0xffffffffff000000ULL;
}

/* Hashes of 64 bits: one in 2^17 looks like an address. */
static bool is_random(uint16_t nest, uint16_t type)
{
	switch (nest) {
	case FUSECR_A_CONN:
		return type == FUSECR_CONN_ID;
	case FUSECR_A_DEV:
		return type == FUSECR_DEV_COOKIE || type == FUSECR_DEV_CONN_ID;
	case FUSECR_A_REQ:
		/* The bytes are compared with what the server reads. */
		return type == FUSECR_REQ_DEV || type == FUSECR_REQ_IN_DATA;
	case FUSECR_A_FILE:
		return type == FUSECR_FILE_COOKIE || type == FUSECR_FILE_CONN_ID ||
		       type == FUSECR_FILE_OWNER_TABLE ||
		       type == FUSECR_FILE_OWNER_OPEN;
	case FUSECR_A_INODE:
		return type == FUSECR_INODE_BACKING;
	case FUSECR_A_BACKING:
		return type == FUSECR_BACKING_COOKIE || type == FUSECR_BACKING_INODE;
	default:
		return false;
	}
}

static void scan(struct tnl *nl, uint16_t nest, const struct nlattr *attr)
{
	const char *p = mnl_attr_get_payload(attr);
	size_t len = mnl_attr_get_payload_len(attr), i;
	uint64_t v;

	if (is_random(nest, mnl_attr_get_type(attr)))
		return;
	for (i = 0; i + sizeof(v) <= len; i += 4) {
		memcpy(&v, p + i, sizeof(v));
		if (is_address(v))
			snprintf(nl->leak, sizeof(nl->leak),
				 "attribute %u of nest %u: %#llx",
				 mnl_attr_get_type(attr), nest,
				 (unsigned long long)v);
	}
}

/* Headers of a nest are no part of what it says. */
static void scan_each(struct tnl *nl, uint16_t nest, const struct nlattr *attr)
{
	const struct nlattr *inner;

	if (!(attr->nla_type & NLA_F_NESTED)) {
		scan(nl, nest, attr);
		return;
	}
	if (nest == FUSECR_A_FILE && mnl_attr_get_type(attr) == FUSECR_FILE_BACKING)
		nest = FUSECR_A_BACKING;
	mnl_attr_for_each_nested(inner, attr)
		scan(nl, nest, inner);
}

static void keep(struct tnl *nl, const struct nlmsghdr *nlh,
		 struct tnl_list *list)
{
	const struct nlattr *nest, *attr;

	mnl_attr_for_each(nest, nlh, sizeof(struct genlmsghdr)) {
		/* The only one that is none. */
		if (mnl_attr_get_type(nest) != FUSECR_A_HANDLE)
			mnl_attr_for_each_nested(attr, nest)
				scan_each(nl, mnl_attr_get_type(nest), attr);
		list->v = realloc(list->v, (list->n + 1) * sizeof(*list->v));
		list->v[list->n].nest = malloc(nest->nla_len);
		memcpy(list->v[list->n].nest, nest, nest->nla_len);
		list->n++;
	}
}

static void keep_error(struct tnl *nl, const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;
	unsigned int off = sizeof(*err);

	if (nlh->nlmsg_type == NLMSG_DONE)
		off = sizeof(int);
	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (nlh->nlmsg_type == NLMSG_ERROR &&
	    !(nlh->nlmsg_flags & NLM_F_CAPPED))
		off += mnl_nlmsg_get_payload_len(&err->msg);
	mnl_attr_for_each(attr, nlh, off)
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
			snprintf(nl->error, sizeof(nl->error), "%s",
				 mnl_attr_get_str(attr));
}

/* 1: the answer is complete. */
static int take(struct tnl *nl, const struct nlmsghdr *nlh,
		struct tnl_list *list)
{
	int err;

	switch (nlh->nlmsg_type) {
	case NLMSG_ERROR:
	case NLMSG_DONE:
		err = *(int *)mnl_nlmsg_get_payload(nlh);
		keep_error(nl, nlh);
		return err ? err : 1;
	default:
		keep(nl, nlh, list);
		return 0;
	}
}

static int receive(struct tnl *nl, struct tnl_list *list)
{
	size_t room = nl->room ?: BUF_SIZE;
	char *buf = malloc(room);
	const struct nlmsghdr *nlh;
	ssize_t n;
	int len, err = 0;

	while (!err) {
		n = mnl_socket_recvfrom(nl->socket, buf, room);
		if (n < 0) {
			err = -errno;
			break;
		}
		len = n;
		for (nlh = (void *)buf; !err && mnl_nlmsg_ok(nlh, len);
		     nlh = mnl_nlmsg_next(nlh, &len))
			if (nlh->nlmsg_seq == nl->seq)
				err = take(nl, nlh, list);
		if (nl->between)
			nl->between(nl->between_arg);
		nl->between = NULL;
	}
	free(buf);
	return err < 0 ? err : 0;
}

static int ask(struct tnl *nl, const struct tnl_query *q, uint16_t flags,
	       struct tnl_list *list)
{
	char buf[1024] = "";
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *genl;

	*list = (struct tnl_list){};
	nl->error[0] = 0;
	nlh->nlmsg_type = nl->family;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = ++nl->seq;
	genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	genl->cmd = q->cmd;
	genl->version = FUSECR_GENL_VERSION;
	if (q->conn_id)
		mnl_attr_put_u64(nlh, FUSECR_A_CONN_ID, q->conn_id);
	if (q->nodeid)
		mnl_attr_put_u64(nlh, FUSECR_A_NODEID, q->nodeid);
	if (q->pid)
		mnl_attr_put_u32(nlh, FUSECR_A_PID, q->pid);
	if (q->raw_type)
		mnl_attr_put(nlh, q->raw_type, q->raw_len, q->raw);
	if (mnl_socket_sendto(nl->socket, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	return receive(nl, list);
}

int tnl_dump(struct tnl *nl, const struct tnl_query *q, struct tnl_list *list)
{
	return ask(nl, q, NLM_F_DUMP, list);
}

int tnl_dump_slowly(struct tnl *nl, const struct tnl_query *q,
		    void (*between)(void *arg), void *arg, struct tnl_list *list)
{
	int err;

	nl->room = FUSECR_MSG_MAX;
	nl->between = between;
	nl->between_arg = arg;
	err = tnl_dump(nl, q, list);
	nl->room = 0;
	return err;
}

int tnl_do(struct tnl *nl, const struct tnl_query *q, struct tnl_list *list)
{
	return ask(nl, q, NLM_F_ACK, list);
}

int tnl_open_handle(struct tnl *nl)
{
	struct tnl_list list;
	int fd = tnl_do(nl, &(struct tnl_query){ .cmd = FUSECR_CMD_OPEN_HANDLE }, &list);

	if (!fd)
		fd = list.n == 1 ? (int)mnl_attr_get_u32(list.v[0].nest) : -EBADMSG;
	tnl_free(&list);
	return fd;
}

static int find_family(struct tnl *nl)
{
	char buf[8192];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *genl;
	struct nlattr *attr;
	ssize_t n;

	nlh->nlmsg_type = GENL_ID_CTRL;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	genl->cmd = CTRL_CMD_GETFAMILY;
	genl->version = 1;
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, FUSECR_GENL_NAME);
	if (mnl_socket_sendto(nl->socket, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	n = mnl_socket_recvfrom(nl->socket, buf, sizeof(buf));
	if (n < 0)
		return -errno;
	nlh = (void *)buf;
	if (nlh->nlmsg_type == NLMSG_ERROR)
		return *(int *)mnl_nlmsg_get_payload(nlh);
	mnl_attr_for_each(attr, nlh, sizeof(*genl))
		if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
			nl->family = mnl_attr_get_u16(attr);
	return nl->family ? 0 : -ENOENT;
}

int tnl_open(struct tnl *nl)
{
	int on = 1, err;

	*nl = (struct tnl){ .socket = mnl_socket_open2(NETLINK_GENERIC,
						       SOCK_CLOEXEC) };
	if (!nl->socket)
		return -errno;
	mnl_socket_setsockopt(nl->socket, NETLINK_EXT_ACK, &on, sizeof(on));
	mnl_socket_setsockopt(nl->socket, NETLINK_CAP_ACK, &on, sizeof(on));
	if (mnl_socket_bind(nl->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		err = -errno;
	else
		err = find_family(nl);
	if (err)
		tnl_close(nl);
	return err;
}

void tnl_close(struct tnl *nl)
{
	if (nl->socket)
		mnl_socket_close(nl->socket);
	nl->socket = NULL;
}

void tnl_free(struct tnl_list *list)
{
	while (list->n)
		free(list->v[--list->n].nest);
	free(list->v);
	list->v = NULL;
}

const struct nlattr *tnl_attr(const struct tnl_obj *obj, uint16_t type,
			      unsigned int n)
{
	const struct nlattr *attr;

	if (!obj || !obj->nest)
		return NULL;
	mnl_attr_for_each_nested(attr, obj->nest)
		if (mnl_attr_get_type(attr) == type && !n--)
			return attr;
	return NULL;
}

bool tnl_has(const struct tnl_obj *obj, uint16_t type)
{
	return tnl_attr(obj, type, 0);
}

uint64_t tnl_u64(const struct tnl_obj *obj, uint16_t type)
{
	const struct nlattr *attr = tnl_attr(obj, type, 0);

	if (!attr || mnl_attr_get_payload_len(attr) != 8)
		return UINT64_MAX;
	return mnl_attr_get_u64(attr);
}

uint32_t tnl_u32(const struct tnl_obj *obj, uint16_t type)
{
	const struct nlattr *attr = tnl_attr(obj, type, 0);

	if (!attr || mnl_attr_get_payload_len(attr) != 4)
		return UINT32_MAX;
	return mnl_attr_get_u32(attr);
}

uint8_t tnl_u8(const struct tnl_obj *obj, uint16_t type)
{
	const struct nlattr *attr = tnl_attr(obj, type, 0);

	if (!attr || mnl_attr_get_payload_len(attr) != 1)
		return UINT8_MAX;
	return mnl_attr_get_u8(attr);
}

const char *tnl_str(const struct tnl_obj *obj, uint16_t type)
{
	const struct nlattr *attr = tnl_attr(obj, type, 0);

	return attr ? mnl_attr_get_str(attr) : "";
}

const void *tnl_bin(const struct tnl_obj *obj, uint16_t type, size_t *len)
{
	const struct nlattr *attr = tnl_attr(obj, type, 0);

	*len = attr ? mnl_attr_get_payload_len(attr) : 0;
	return attr ? mnl_attr_get_payload(attr) : NULL;
}

bool tnl_is(const struct tnl_obj *obj, uint16_t type, const char *text)
{
	size_t len;
	const void *p = tnl_bin(obj, type, &len);

	return p && len == strlen(text) && memcmp(p, text, len) == 0;
}

struct tnl_obj tnl_nest(const struct tnl_obj *obj, uint16_t type,
			unsigned int n)
{
	return (struct tnl_obj){ (struct nlattr *)tnl_attr(obj, type, n) };
}

const struct tnl_obj *tnl_find64(const struct tnl_list *list, uint16_t type,
				 uint64_t value)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		if (tnl_has(&list->v[i], type) &&
		    tnl_u64(&list->v[i], type) == value)
			return &list->v[i];
	return NULL;
}

const struct tnl_obj *tnl_find32(const struct tnl_list *list, uint16_t type,
				 uint32_t value)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		if (tnl_has(&list->v[i], type) &&
		    tnl_u32(&list->v[i], type) == value)
			return &list->v[i];
	return NULL;
}

/* As new_encode_dev() does, which is what FUSECR_CONN_DEV is. */
static uint32_t encode_dev(dev_t dev)
{
	return (minor(dev) & 0xff) | major(dev) << 8 |
		(minor(dev) & ~0xffu) << 12;
}

uint64_t tnl_conn_id(struct tnl *nl, dev_t dev)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_CONN };
	const struct tnl_obj *obj;
	struct tnl_list list;
	uint64_t id = 0;

	if (tnl_dump(nl, &q, &list) == 0) {
		obj = tnl_find32(&list, FUSECR_CONN_DEV, encode_dev(dev));
		if (obj)
			id = tnl_u64(obj, FUSECR_CONN_ID);
	}
	tnl_free(&list);
	return id;
}

int tnl_conn(struct tnl *nl, uint64_t id, struct tnl_list *list)
{
	struct tnl_query q = { .cmd = FUSECR_CMD_GET_CONN, .conn_id = id };

	return tnl_do(nl, &q, list);
}

uint64_t tnl_conn_value(struct tnl *nl, uint64_t id, uint16_t attr)
{
	struct tnl_list list;
	uint64_t value = UINT64_MAX;

	if (tnl_conn(nl, id, &list) == 0) {
		value = tnl_u64(&list.v[0], attr);
		if (value == UINT64_MAX)
			value = tnl_u32(&list.v[0], attr);
		if (value == UINT32_MAX && !tnl_has(&list.v[0], attr))
			value = UINT64_MAX;
	}
	tnl_free(&list);
	return value;
}
