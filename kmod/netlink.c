// SPDX-License-Identifier: GPL-2.0
/* Questions: the generic netlink family, see include/uapi/linux/fusecr.h. */

#include <linux/capability.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fusecr.h>
#include <linux/module.h>
#include <linux/pid_namespace.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "backing.h"
#include "compat.h"
#include "conn.h"
#include "device.h"
#include "file.h"
#include "handle.h"
#include "inode.h"
#include "layout.h"
#include "netlink.h"
#include "queue.h"

/*
 * No object but a request's input needs more, and that is cut to what fits.
 * Readers need a buffer of that size (FUSECR_MSG_MAX).
 */
#define MSG_SIZE	SKB_WITH_OVERHEAD(FUSECR_MSG_MAX)

static struct genl_family family;

static_assert(FUSECR_INFO_PAD == 1 && FUSECR_CONN_PAD == 1 &&
	      FUSECR_DEV_PAD == 1 && FUSECR_REQ_PAD == 1 &&
	      FUSECR_NAME_PAD == 1 && FUSECR_INODE_PAD == 1 &&
	      FUSECR_FILE_PAD == 1 && FUSECR_ABOVE_PAD == 1 &&
	      FUSECR_BACKING_PAD == 1); /* fusecr_put_u64() */

void *fusecr_msg_begin(const struct fusecr_msg *msg, int type,
		       struct nlattr **nest)
{
	void *hdr = genlmsg_put(msg->skb, msg->portid, msg->seq, &family,
				msg->flags, msg->cmd);

	if (!hdr)
		return NULL;
	*nest = nla_nest_start(msg->skb, type);
	if (*nest)
		return hdr;
	genlmsg_cancel(msg->skb, hdr);
	return NULL;
}

int fusecr_msg_end(const struct fusecr_msg *msg, void *hdr,
		   struct nlattr *nest, int err)
{
	if (err) {
		genlmsg_cancel(msg->skb, hdr);
		return err;
	}
	nla_nest_end(msg->skb, nest);
	genlmsg_end(msg->skb, hdr);
	return 0;
}

/*
 * CAP_CHECKPOINT_RESTORE is for looking at processes.  What a request carries is the
 * data of files, and who has a handle answers for the daemon.
 */
static bool needs_admin(u8 cmd)
{
	return cmd == FUSECR_CMD_GET_REQ || cmd == FUSECR_CMD_OPEN_HANDLE;
}

/* Both who opened the socket and who sends must be capable of it. */
static int check_sender(struct sk_buff *skb, u8 cmd,
			struct netlink_ext_ack *extack)
{
	if (netlink_ns_capable(skb, &init_user_ns, CAP_SYS_ADMIN))
		return 0;
	if (needs_admin(cmd)) {
		NL_SET_ERR_MSG_MOD(extack,
				   "needs CAP_SYS_ADMIN in the initial user namespace");
		return -EPERM;
	}
	if (netlink_ns_capable(skb, &init_user_ns, CAP_CHECKPOINT_RESTORE))
		return 0;
	NL_SET_ERR_MSG_MOD(extack,
			   "needs CAP_CHECKPOINT_RESTORE in the initial user namespace");
	return -EPERM;
}

static int pre_doit(const struct compat_genl_op *op, struct sk_buff *skb,
		    struct genl_info *info)
{
	return check_sender(skb, info->genlhdr->cmd, info->extack);
}

/* What keeps a connection from being found. */
static void explain(struct netlink_ext_ack *extack, int err)
{
	if (err == -EUCLEAN)
		NL_SET_ERR_MSG_MOD(extack,
				   "fuse's structures are not as its BTF says, see dmesg");
	else if (err == -ENOMEM)
		NL_SET_ERR_MSG_MOD(extack, "out of memory");
}

/* An error pointer, with the reason in the extended ack. */
static struct fusecr_conn *find_conn(struct nlattr **attrs,
				     struct netlink_ext_ack *extack)
{
	struct nlattr *attr = attrs[FUSECR_A_CONN_ID];
	struct fusecr_conn *conn;
	u64 id;

	if (!attr) {
		NL_SET_ERR_MSG_MOD(extack, "names no connection (conn-id)");
		return ERR_PTR(-EINVAL);
	}
	id = nla_get_u64(attr);
	conn = fusecr_conn_get(id);
	if (conn == ERR_PTR(-ENOENT))
		fusecr_refuse(extack, "no connection has this conn-id",
			      " (any more): %#llx", id);
	else if (IS_ERR(conn))
		explain(extack, PTR_ERR(conn));
	return conn;
}

/* --- one answer ---------------------------------------------------------- */

static int begin_reply(struct genl_info *info, struct fusecr_msg *msg)
{
	msg->skb = genlmsg_new(MSG_SIZE - GENL_HDRLEN - NLMSG_HDRLEN,
			       GFP_KERNEL);
	msg->portid = info->snd_portid;
	msg->seq = info->snd_seq;
	msg->flags = 0;
	msg->cmd = info->genlhdr->cmd;
	if (msg->skb)
		return 0;
	NL_SET_ERR_MSG_MOD(info->extack, "out of memory");
	return -ENOMEM;
}

static int end_reply(struct genl_info *info, struct fusecr_msg *msg, int err)
{
	if (!err)
		return genlmsg_reply(msg->skb, info);
	NL_SET_ERR_MSG_MOD(info->extack, "the answer does not fit a message");
	nlmsg_free(msg->skb);
	return err;
}

static int fill_info(const struct fusecr_msg *msg)
{
	struct nlattr *nest;
	void *hdr = fusecr_msg_begin(msg, FUSECR_A_INFO, &nest);
	int err = 0;

	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_string(msg->skb, FUSECR_INFO_VERSION, FUSECR_VERSION) ||
	    nla_put_u32(msg->skb, FUSECR_INFO_FEATURES, fl_features()) ||
	    nla_put_string(msg->skb, FUSECR_INFO_BTF, fl_btf_path()) ||
	    fusecr_put_u64(msg->skb, FUSECR_INFO_KNOWN_FLAGS,
			   fusecr_conn_known_flags()))
		err = -EMSGSIZE;
	return fusecr_msg_end(msg, hdr, nest, err);
}

static int get_info(struct sk_buff *skb, struct genl_info *info)
{
	struct fusecr_msg msg;
	int err = begin_reply(info, &msg);

	return err ?: end_reply(info, &msg, fill_info(&msg));
}

/*
 * The answer is on its way when the descriptor comes to be, and the caller is not yet
 * back from sending, as in handshake_nl_accept_doit(), net/handshake/netlink.c.
 */
static int answer_handle(struct genl_info *info, int fd)
{
	struct fusecr_msg msg;
	void *hdr;
	int err = begin_reply(info, &msg);

	if (err)
		return err;
	hdr = genlmsg_put(msg.skb, msg.portid, msg.seq, &family, 0, msg.cmd);
	if (!hdr || nla_put_u32(msg.skb, FUSECR_A_HANDLE, fd))
		err = -EMSGSIZE;
	else
		genlmsg_end(msg.skb, hdr);
	return end_reply(info, &msg, err);
}

/*
 * No device: a container's restorer is in its device cgroup by then (runc), which lets
 * it open what the container may.
 */
static int open_handle(struct sk_buff *skb, struct genl_info *info)
{
	int fd = get_unused_fd_flags(O_CLOEXEC), err;
	struct file *file;

	if (fd < 0) {
		NL_SET_ERR_MSG_MOD(info->extack, "no descriptor is left");
		return fd;
	}
	file = fusecr_handle_file();
	if (IS_ERR(file)) {
		NL_SET_ERR_MSG_MOD(info->extack, "out of memory");
		err = PTR_ERR(file);
		goto err_fd;
	}
	err = answer_handle(info, fd);
	if (err)
		goto err_file;
	fd_install(fd, file);
	return 0;

err_file:
	fput(file);
err_fd:
	put_unused_fd(fd);
	return err;
}

static int get_conn(struct sk_buff *skb, struct genl_info *info)
{
	struct fusecr_conn *conn = find_conn(info->attrs, info->extack);
	struct fusecr_msg msg;
	int err;

	if (IS_ERR(conn))
		return PTR_ERR(conn);
	err = begin_reply(info, &msg);
	if (!err)
		err = end_reply(info, &msg, fusecr_conn_fill(&msg, conn));
	fusecr_conn_put(conn);
	return err;
}

static int get_inode(struct sk_buff *skb, struct genl_info *info)
{
	struct fusecr_conn *conn;
	struct fusecr_msg msg;
	struct inode *inode;
	u64 nodeid;
	int err;

	if (GENL_REQ_ATTR_CHECK(info, FUSECR_A_NODEID)) {
		NL_SET_ERR_MSG_MOD(info->extack, "names no inode (nodeid)");
		return -EINVAL;
	}
	conn = find_conn(info->attrs, info->extack);
	if (IS_ERR(conn))
		return PTR_ERR(conn);
	nodeid = nla_get_u64(info->attrs[FUSECR_A_NODEID]);
	inode = fusecr_inode_find(conn->sb, nodeid);
	if (!inode) {
		fusecr_refuse(info->extack,
			      "the kernel holds no inode of this nodeid",
			      ": %#llx", nodeid);
		err = -ENOENT;
		goto out_conn;
	}
	err = begin_reply(info, &msg);
	if (!err)
		err = end_reply(info, &msg,
				fusecr_inode_fill(&msg, inode, true));
	fusecr_inode_put(inode);
out_conn:
	fusecr_conn_put(conn);
	return err;
}

/* --- dumps --------------------------------------------------------------- */

/* What a dump in progress holds.  Freed by its .done. */
struct dump {
	/* Takes the question in; NULL once it has. */
	int (*open)(struct dump *dump, struct nlattr **attrs,
		    struct netlink_ext_ack *extack);
	struct fusecr_conn *conn;	/* pinned: the one asked for */
	struct inode *inode;		/* counted: next to be written */
	union {
		struct fusecr_conn_cursor conns;
		struct fusecr_dev_cursor devs;
		struct fusecr_req_cursor reqs;
		struct fusecr_file_cursor files;
		struct fusecr_backing_cursor backings;
	};
};

static struct dump *dump_of(struct netlink_callback *cb)
{
	return *(struct dump **)cb->ctx;
}

static struct fusecr_msg dump_msg(struct sk_buff *skb,
				  struct netlink_callback *cb, u8 cmd)
{
	return (struct fusecr_msg) {
		.skb = skb,
		.portid = NETLINK_CB(cb->skb).portid,
		.seq = cb->nlh->nlmsg_seq,
		.flags = NLM_F_MULTI,
		.cmd = cmd,
	};
}

/* What .dumpit returns after a walk that ended with @err. */
static int dumped(struct netlink_callback *cb, const struct sk_buff *skb,
		  int err)
{
	if (!err || (err == -EMSGSIZE && skb->len))
		return skb->len;
	if (err == -EMSGSIZE)
		NL_SET_ERR_MSG_MOD(cb->extack, "an object does not fit a message");
	explain(cb->extack, err);
	return err;
}

static void free_dump(struct dump *dump)
{
	fusecr_inode_put(dump->inode);
	fusecr_conn_put(dump->conn);
	kfree(dump);
}

static int dump_done(struct netlink_callback *cb)
{
	free_dump(dump_of(cb));
	return 0;
}

static u8 cmd_of(const struct netlink_callback *cb)
{
	return ((struct genlmsghdr *)nlmsg_data(cb->nlh))->cmd;
}

/* Idempotent.  In the sender's context, the first time. */
static int open_dump(struct netlink_callback *cb)
{
	struct dump *dump = dump_of(cb);
	int err;

	if (!dump->open)
		return 0;
	err = check_sender(cb->skb, cmd_of(cb), cb->extack) ?:
	      dump->open(dump, compat_dump_attrs(cb), cb->extack);
	if (!err)
		dump->open = NULL;
	return err;
}

static int start_dump(struct netlink_callback *cb,
		      typeof_member(struct dump, open) open)
{
	struct dump *dump = kzalloc(sizeof(*dump), GFP_KERNEL);
	int err = 0;

	if (!dump)
		return -ENOMEM;
	dump->open = open;
	*(struct dump **)cb->ctx = dump;
	cb->min_dump_alloc = MSG_SIZE;
	/*
	 * 6.1 has no extack here, and a refusal would say nothing.  There the
	 * first .dumpit refuses; the error and its reason come with NLMSG_DONE.
	 */
	if (cb->extack)
		err = open_dump(cb);
	if (err)
		free_dump(dump);
	return err;
}

static int open_conns(struct dump *dump, struct nlattr **attrs,
		      struct netlink_ext_ack *extack)
{
	if (!attrs[FUSECR_A_CONN_ID])
		return 0;
	NL_SET_ERR_MSG_ATTR(extack, attrs[FUSECR_A_CONN_ID],
			    KBUILD_MODNAME ": a dump is of all connections (conn-id)");
	return -EINVAL;
}

static int start_conns(struct netlink_callback *cb)
{
	return start_dump(cb, open_conns);
}

static int dump_conns(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct fusecr_msg msg = dump_msg(skb, cb, FUSECR_CMD_GET_CONN);
	struct dump *dump = dump_of(cb);
	int err = open_dump(cb);

	while (!err) {
		struct fusecr_conn *conn = fusecr_conn_next(&dump->conns);

		if (IS_ERR_OR_NULL(conn)) {
			err = PTR_ERR_OR_ZERO(conn);
			break;
		}
		err = fusecr_conn_fill(&msg, conn);
		/*
		 * The next message begins with it.  Not pinned till then: that
		 * is when somebody reads.
		 */
		if (err)
			dump->conns.dev--;
		fusecr_conn_put(conn);
	}
	return dumped(cb, skb, err);
}

/* For dumps of one connection's objects: it is pinned till done. */
static int open_of_conn(struct dump *dump, struct nlattr **attrs,
			struct netlink_ext_ack *extack)
{
	struct fusecr_conn *conn = find_conn(attrs, extack);

	if (IS_ERR(conn))
		return PTR_ERR(conn);
	dump->conn = conn;
	return 0;
}

static int open_inodes(struct dump *dump, struct nlattr **attrs,
		       struct netlink_ext_ack *extack)
{
	int err;

	if (attrs[FUSECR_A_NODEID]) {
		NL_SET_ERR_MSG_ATTR(extack, attrs[FUSECR_A_NODEID],
				    KBUILD_MODNAME ": a dump is of all inodes (nodeid)");
		return -EINVAL;
	}
	err = open_of_conn(dump, attrs, extack);
	if (!err)
		dump->inode = fusecr_inode_next(dump->conn->sb, NULL);
	return err;
}

static int start_inodes(struct netlink_callback *cb)
{
	return start_dump(cb, open_inodes);
}

static int dump_inodes(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct fusecr_msg msg = dump_msg(skb, cb, FUSECR_CMD_GET_INODE);
	struct dump *dump = dump_of(cb);
	int err = open_dump(cb);

	while (!err && dump->inode) {
		err = fusecr_inode_fill(&msg, dump->inode, !skb->len);
		if (err)
			break;
		dump->inode = fusecr_inode_next(dump->conn->sb, dump->inode);
		cond_resched();
	}
	return dumped(cb, skb, err);
}

static int start_reqs(struct netlink_callback *cb)
{
	return start_dump(cb, open_of_conn);
}

static int dump_reqs(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct fusecr_msg msg = dump_msg(skb, cb, FUSECR_CMD_GET_REQ);
	struct dump *dump = dump_of(cb);
	int err = open_dump(cb);

	err = err ?: fusecr_req_walk(dump->conn, &dump->reqs, &msg);
	return dumped(cb, skb, err);
}

static int start_backings(struct netlink_callback *cb)
{
	return start_dump(cb, open_of_conn);
}

static int dump_backings(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct fusecr_msg msg = dump_msg(skb, cb, FUSECR_CMD_GET_BACKING);
	struct dump *dump = dump_of(cb);
	int err = open_dump(cb);

	err = err ?: fusecr_backing_walk(dump->conn->fc, &dump->backings, &msg);
	return dumped(cb, skb, err);
}

/* A thread group of the caller's pid namespace, by its initial number. */
static int find_tgid(struct nlattr **attrs, struct netlink_ext_ack *extack,
		     pid_t *tgid)
{
	struct nlattr *attr = attrs[FUSECR_A_PID];
	struct task_struct *task;

	*tgid = 0;
	if (!attr)
		return 0;
	rcu_read_lock();
	task = pid_task(find_vpid(nla_get_u32(attr)), PIDTYPE_TGID);
	if (task)
		*tgid = task_tgid_nr(task);
	rcu_read_unlock();
	if (*tgid)
		return 0;
	fusecr_refuse(extack, "no thread group has this pid",
		      " in your namespace: %u", nla_get_u32(attr));
	return -ESRCH;
}

/* For walks over tasks, of all or of one connection, all or one group. */
static int find_filter(struct nlattr **attrs, struct netlink_ext_ack *extack,
		       pid_t *tgid, u64 *conn_id)
{
	struct fusecr_conn *conn;
	int err = find_tgid(attrs, extack, tgid);

	if (err || !attrs[FUSECR_A_CONN_ID])
		return err;
	conn = find_conn(attrs, extack);
	if (IS_ERR(conn))
		return PTR_ERR(conn);
	*conn_id = conn->id;
	fusecr_conn_put(conn);
	return 0;
}

static int open_devs(struct dump *dump, struct nlattr **attrs,
		     struct netlink_ext_ack *extack)
{
	return find_filter(attrs, extack, &dump->devs.task.tgid,
			   &dump->devs.conn_id);
}

static int start_devs(struct netlink_callback *cb)
{
	return start_dump(cb, open_devs);
}

static int dump_devs(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct fusecr_msg msg = dump_msg(skb, cb, FUSECR_CMD_GET_DEV);

	int err = open_dump(cb) ?: fusecr_dev_walk(&dump_of(cb)->devs, &msg);

	return dumped(cb, skb, err);
}

static int open_files(struct dump *dump, struct nlattr **attrs,
		      struct netlink_ext_ack *extack)
{
	return find_filter(attrs, extack, &dump->files.task.tgid,
			   &dump->files.conn_id);
}

static int start_files(struct netlink_callback *cb)
{
	return start_dump(cb, open_files);
}

static int dump_files(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct fusecr_msg msg = dump_msg(skb, cb, FUSECR_CMD_GET_FILE);

	int err = open_dump(cb) ?: fusecr_file_walk(&dump_of(cb)->files, &msg);

	return dumped(cb, skb, err);
}

/* --- the family ---------------------------------------------------------- */

static const struct nla_policy conn_policy[] = {
	[FUSECR_A_CONN_ID] = { .type = NLA_U64 },
};

static const struct nla_policy inode_policy[] = {
	[FUSECR_A_CONN_ID] = { .type = NLA_U64 },
	[FUSECR_A_NODEID] = { .type = NLA_U64 },
};

static const struct nla_policy task_policy[] = {
	[FUSECR_A_CONN_ID] = { .type = NLA_U64 },
	[FUSECR_A_PID] = { .type = NLA_U32 },
};

#define POLICY(name) .policy = name, .maxattr = ARRAY_SIZE(name) - 1

static const struct genl_ops ops[] = {
	{
		.cmd = FUSECR_CMD_GET_INFO,
		.doit = get_info,
		/* No policy: every attribute is refused. */
	},
	{
		.cmd = FUSECR_CMD_OPEN_HANDLE,
		.doit = open_handle,
	},
	{
		.cmd = FUSECR_CMD_GET_CONN,
		.doit = get_conn,
		.start = start_conns,
		.dumpit = dump_conns,
		.done = dump_done,
		POLICY(conn_policy),
	},
	{
		.cmd = FUSECR_CMD_GET_DEV,
		.start = start_devs,
		.dumpit = dump_devs,
		.done = dump_done,
		POLICY(task_policy),
	},
	{
		.cmd = FUSECR_CMD_GET_REQ,
		.start = start_reqs,
		.dumpit = dump_reqs,
		.done = dump_done,
		POLICY(conn_policy),
	},
	{
		.cmd = FUSECR_CMD_GET_INODE,
		.doit = get_inode,
		.start = start_inodes,
		.dumpit = dump_inodes,
		.done = dump_done,
		POLICY(inode_policy),
	},
	{
		.cmd = FUSECR_CMD_GET_FILE,
		.start = start_files,
		.dumpit = dump_files,
		.done = dump_done,
		POLICY(task_policy),
	},
	{
		.cmd = FUSECR_CMD_GET_BACKING,
		.start = start_backings,
		.dumpit = dump_backings,
		.done = dump_done,
		POLICY(conn_policy),
	},
};

static struct genl_family family __ro_after_init = {
	.name = FUSECR_GENL_NAME,
	.version = FUSECR_GENL_VERSION,
	.module = THIS_MODULE,
	/* The check is of capabilities, not of where the socket lives. */
	.netnsok = true,
	.parallel_ops = true,
	.ops = ops,
	.n_ops = ARRAY_SIZE(ops),
	.pre_doit = pre_doit,
};

int __init fusecr_netlink_init(void)
{
	return genl_register_family(&family);
}

void fusecr_netlink_exit(void)
{
	genl_unregister_family(&family);
}

MODULE_ALIAS_GENL_FAMILY(FUSECR_GENL_NAME);
