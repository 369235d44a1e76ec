/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Questions to the module, for tests: answers stay attributes, so that a test
 * sees what is there and what is not. Every answer is searched for kernel
 * addresses as it comes in.
 */
#ifndef TEST_NL_H
#define TEST_NL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/fusecr.h>

struct mnl_socket;
struct nlattr;

/* One socket. */
struct tnl {
	struct mnl_socket *socket;
	uint16_t family;
	uint32_t seq;
	size_t room;		/* for what is received */
	void (*between)(void *arg);
	void *between_arg;
	char error[512];	/* the last extended ack */
	char leak[128];		/* what looked like a kernel address */
};

/* What is asked: fields that are 0 are left out. */
struct tnl_query {
	uint8_t cmd;
	uint64_t conn_id;
	uint64_t nodeid;
	uint32_t pid;
	/* for questions that are to be refused */
	uint16_t raw_type;	/* a further attribute ... */
	uint16_t raw_len;	/* ... of this length ... */
	const void *raw;	/* ... with this in it */
};

/* An object: the nest of one answer. */
struct tnl_obj {
	struct nlattr *nest;
};

struct tnl_list {
	struct tnl_obj *v;
	size_t n;
};

/* 0 or -errno; -ENOENT when the family is not there. */
int tnl_open(struct tnl *nl);
void tnl_close(struct tnl *nl);

/* 0 or -errno with nl->error. The list is to be freed in any case. */
int tnl_dump(struct tnl *nl, const struct tnl_query *query,
	     struct tnl_list *list);
int tnl_do(struct tnl *nl, const struct tnl_query *query,
	   struct tnl_list *list);
/*
 * A dump by somebody who takes his time: in the smallest messages, and @between
 * is called when the first has come. By then the module has written the second,
 * and goes on from there when that is read (netlink_recvmsg()). On a socket
 * that has asked for nothing else before.
 */
int tnl_dump_slowly(struct tnl *nl, const struct tnl_query *query,
		    void (*between)(void *arg), void *arg,
		    struct tnl_list *list);
void tnl_free(struct tnl_list *list);
/* A change handle, or -errno. */
int tnl_open_handle(struct tnl *nl);

/* The @n-th attribute of a type in the nest, or NULL. */
const struct nlattr *tnl_attr(const struct tnl_obj *obj, uint16_t type,
			      unsigned int n);
bool tnl_has(const struct tnl_obj *obj, uint16_t type);
/* All ones when the attribute is not there or not of that size. */
uint64_t tnl_u64(const struct tnl_obj *obj, uint16_t type);
uint32_t tnl_u32(const struct tnl_obj *obj, uint16_t type);
uint8_t tnl_u8(const struct tnl_obj *obj, uint16_t type);
/* "" when it is not there. */
const char *tnl_str(const struct tnl_obj *obj, uint16_t type);
/* Bytes of a binary attribute; NULL and 0 when it is not there. */
const void *tnl_bin(const struct tnl_obj *obj, uint16_t type, size_t *len);
/* Whether a binary attribute is this text. */
bool tnl_is(const struct tnl_obj *obj, uint16_t type, const char *text);
/* A nest within an object. */
struct tnl_obj tnl_nest(const struct tnl_obj *obj, uint16_t type,
			unsigned int n);

/* The id of the connection with this device number, 0 when there is none. */
uint64_t tnl_conn_id(struct tnl *nl, dev_t dev);
/* Its object; an empty list when it is not there. */
int tnl_conn(struct tnl *nl, uint64_t id, struct tnl_list *list);
/* One u64 or u32 of it; all ones, as 64 bits, when it is not there. */
uint64_t tnl_conn_value(struct tnl *nl, uint64_t id, uint16_t attr);

/* The object in the list whose u64 or u32 attribute has this value. */
const struct tnl_obj *tnl_find64(const struct tnl_list *list, uint16_t type,
				 uint64_t value);
const struct tnl_obj *tnl_find32(const struct tnl_list *list, uint16_t type,
				 uint32_t value);

#endif
