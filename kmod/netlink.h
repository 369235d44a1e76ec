/* SPDX-License-Identifier: GPL-2.0 */
/* Questions: the generic netlink family. */
#ifndef FUSECR_NETLINK_H
#define FUSECR_NETLINK_H

#include <linux/skbuff.h>
#include <linux/types.h>
#include <net/genetlink.h>

/* Where an answer goes; a walker writes one message for each object. */
struct fusecr_msg {
	struct sk_buff *skb;
	u32 portid;
	u32 seq;
	int flags;
	u8 cmd;
};

/* Starts a message with the nest @type in it; NULL when there is no room. */
void *fusecr_msg_begin(const struct fusecr_msg *msg, int type,
		       struct nlattr **nest);

/* Ends it, or takes it back when @err is set.  Returns @err. */
int fusecr_msg_end(const struct fusecr_msg *msg, void *hdr,
		   struct nlattr *nest, int err);

static inline int fusecr_put_u64(struct sk_buff *skb, int type, u64 value)
{
	return nla_put_u64_64bit(skb, type, value, 1 /* each ..._PAD */);
}

int fusecr_netlink_init(void);
void fusecr_netlink_exit(void);

#endif /* FUSECR_NETLINK_H */
