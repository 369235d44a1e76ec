// SPDX-License-Identifier: GPL-2.0
/* Open files of /dev/fuse and /dev/cuse, and who holds them. */

#include <linux/fusecr.h>
#include <linux/kdev_t.h>
#include <linux/major.h>
#include <linux/sched/task.h>

#include "conn.h"
#include "device.h"
#include "layout.h"
#include "netlink.h"
#include "queue.h"

#define CUSE_MINOR	203	/* include/linux/miscdevice.h */

struct visit {
	const struct fusecr_dev_cursor *cursor;
	const struct fusecr_msg *msg;
	u32 pid;
};

static bool is_cuse(const struct file *file)
{
	const struct inode *inode = file_inode(file);

	/* Its operations are a copy of fuse's, not exported (fs/fuse/cuse.c). */
	return S_ISCHR(inode->i_mode) &&
	       inode->i_rdev == MKDEV(MISC_MAJOR, CUSE_MINOR) &&
	       file->f_op != &fuse_dev_operations;
}

static int fill(const struct fusecr_msg *msg, const struct file *file, u32 pid,
		unsigned int fd, const struct fuse_conn *fc)
{
	const struct fuse_dev *fud = NULL;
	struct sk_buff *skb = msg->skb;
	struct nlattr *nest;
	void *hdr = fusecr_msg_begin(msg, FUSECR_A_DEV, &nest);
	bool cuse = is_cuse(file);
	int err = 0;

	if (!hdr)
		return -EMSGSIZE;
	if (!cuse)
		fud = fl_file_dev(file);
	if (fusecr_put_u64(skb, FUSECR_DEV_COOKIE,
			   fusecr_cookie(fud ?: (void *)file)) ||
	    fusecr_put_u64(skb, FUSECR_DEV_CONN_ID,
			   fc ? fusecr_conn_id(fc) : 0) ||
	    nla_put_u32(skb, FUSECR_DEV_CONN_DEV,
			fc ? new_encode_dev(*fl_conn_dev(fc)) : 0) ||
	    nla_put_u8(skb, FUSECR_DEV_CONNECTED,
		       fud && READ_ONCE(*fl_pq_connected(fud))) ||
	    nla_put_u32(skb, FUSECR_DEV_PID, pid) ||
	    nla_put_u32(skb, FUSECR_DEV_FD, fd) ||
	    nla_put_u32(skb, FUSECR_DEV_FILE_FLAGS, file->f_flags) ||
	    nla_put_u32(skb, FUSECR_DEV_NUM_PROCESSING,
			fud ? fusecr_queue_processing(fud) : 0) ||
	    nla_put_u8(skb, FUSECR_DEV_CUSE, cuse))
		err = -EMSGSIZE;
	return fusecr_msg_end(msg, hdr, nest, err);
}

/* Caller holds the locks of the descriptor table. */
static int visit_fd(void *arg, struct file *file, unsigned int fd)
{
	const struct visit *visit = arg;
	const struct fuse_conn *fc = NULL;
	u64 only = visit->cursor->conn_id;

	if (file->f_op == &fuse_dev_operations) {
		const struct fuse_dev *fud = fl_file_dev(file);

		/* The instance holds its connection, and the file it. */
		fc = fud ? fl_dev_conn(fud) : NULL;
	} else if (!is_cuse(file)) {
		return 0;
	}
	if (only && (!fc || fusecr_conn_id(fc) != only))
		return 0;
	return fill(visit->msg, file, visit->pid, fd, fc);
}

int fusecr_dev_walk(struct fusecr_dev_cursor *cursor,
		    const struct fusecr_msg *msg)
{
	struct task_struct *task;

	while ((task = fusecr_task_get(&cursor->task))) {
		struct visit visit = {
			.cursor = cursor,
			.msg = msg,
			.pid = task_tgid_vnr(task),
		};
		int err;

		if (cursor->at != cursor->task.tid) {
			cursor->at = cursor->task.tid;
			cursor->fd = 0;
		}
		err = fusecr_task_files(task, &cursor->fd, visit_fd, &visit);
		put_task_struct(task);
		if (err)
			return err;
		cursor->task.tid++;
	}
	return 0;
}
