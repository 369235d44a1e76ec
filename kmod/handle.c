// SPDX-License-Identifier: GPL-2.0
/*
 * Changes: the handle, a descriptor that FUSECR_CMD_OPEN_HANDLE gives out.
 *
 * A handle owns at most one connection.  Whatever way its last descriptor
 * goes, handle_release() puts back what was not committed; so a crash of the
 * one who holds it leaves nothing behind.
 */

#include <linux/anon_inodes.h>
#include <linux/capability.h>
#include <linux/compat.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/poll.h>
#include <linux/rculist.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/fusecr_ioctl.h>

#include "adjust.h"
#include "admit.h"
#include "bounded.h"
#include "conn.h"
#include "gate.h"
#include "handle.h"
#include "hook.h"
#include "input.h"
#include "keep.h"
#include "kh.h"
#include "layout.h"
#include "lock.h"
#include "share.h"
#include "undo.h"
#include "unlink.h"
#include "use.h"

struct handle {
	struct mutex lock;		/* of all but what follows waitq */
	struct fusecr_conn *conn;	/* NULL until ATTACH */
	struct list_head undo;
	struct fusecr_khs khs;
	struct fusecr_forgets forgets;
	struct fusecr_admit *admit;
	struct fusecr_gate *gate;	/* NULL: open; it also opens by itself */
	wait_queue_head_t waitq;	/* of those who poll the gate */
	struct mutex names_lock;	/* around lock, or alone */
	struct list_head names;
	/* on owners from ATTACH on */
	struct list_head entry;
	const struct fuse_conn *fc;
	struct rcu_head rcu;
};

/* Of attached handles.  Written under owners_lock, read under RCU. */
static LIST_HEAD(owners);
static DEFINE_MUTEX(owners_lock);

bool fusecr_handle_owns(const struct fuse_conn *fc)
{
	struct handle *handle;
	bool found = false;

	rcu_read_lock();
	list_for_each_entry_rcu(handle, &owners, entry)
		if (handle->fc == fc)
			found = true;
	rcu_read_unlock();
	return found;
}

static int own(struct handle *handle, const struct fuse_conn *fc)
{
	int err = -EBUSY;

	mutex_lock(&owners_lock);
	if (!fusecr_handle_owns(fc)) {
		handle->fc = fc;
		list_add_rcu(&handle->entry, &owners);
		err = 0;
	}
	mutex_unlock(&owners_lock);
	return err;
}

static void disown(struct handle *handle)
{
	mutex_lock(&owners_lock);
	list_del_rcu(&handle->entry);
	mutex_unlock(&owners_lock);
}

static int attach(struct handle *handle, void *arg)
{
	const struct fusecr_attach *in = arg;
	struct fusecr_conn *conn;
	int err;

	if (handle->conn)
		return -EBUSY;
	conn = fusecr_conn_get(in->conn_id);
	if (IS_ERR(conn))
		return PTR_ERR(conn);
	err = own(handle, conn->fc);
	if (err) {
		fusecr_conn_put(conn);
		return err;
	}
	handle->conn = conn;
	return 0;
}

static int set_conn(struct handle *handle, void *arg)
{
	return fusecr_set_conn(handle->conn, arg, &handle->khs, &handle->undo);
}

static int set_inode(struct handle *handle, void *arg)
{
	return fusecr_set_inode(handle->conn, arg, &handle->undo);
}

static int set_file(struct handle *handle, void *arg)
{
	return fusecr_set_file(handle->conn, arg, &handle->khs, &handle->undo);
}

static int share_file(struct handle *handle, void *arg)
{
	return fusecr_share_file(handle->conn, arg, &handle->undo);
}

static int set_owner(struct handle *handle, void *arg)
{
	return fusecr_set_owner(handle->conn, arg, &handle->undo);
}

static int set_lock(struct handle *handle, void *arg)
{
	return fusecr_set_lock(handle->conn, arg, &handle->undo);
}

static int forget(struct handle *handle, void *arg)
{
	const struct fusecr_forget *in = arg;

	/* The root has no lookups that could be forgotten. */
	if (in->nodeid == 0 || in->nodeid == FUSE_ROOT_ID || !in->nlookup)
		return -EINVAL;
	return fusecr_forgets_add(&handle->forgets, in->nodeid, in->nlookup,
				  GFP_KERNEL_ACCOUNT);
}

static int admit(struct handle *handle, unsigned long on)
{
	struct fusecr_admit *new = NULL;

	if (on > 1)
		return -EINVAL;
	if (on == !!handle->admit)
		return 0;
	if (on) {
		new = fusecr_admit_start(handle->conn->fc);
		if (IS_ERR(new))
			return PTR_ERR(new);
	}
	fusecr_admit_stop(handle->admit);
	handle->admit = new;
	return 0;
}

static int requeue(struct handle *handle, void *arg)
{
	struct fusecr_requeue *inout = arg;

	return fusecr_requeue(handle->conn->fc, inout->fd, inout->unique,
			      &inout->count);
}

/* Nothing is kept unless all of it can be. */
static int commit(struct handle *handle, unsigned long flags)
{
	int err;

	if (flags & ~FUSECR_COMMIT_NOT_NAMES)
		return -EINVAL;
	lockdep_assert_held(&handle->names_lock);
	err = fusecr_forgets_queue(&handle->forgets, handle->conn->fc);
	if (!err)
		fusecr_undo_forget(&handle->undo);
	if (!err && !(flags & FUSECR_COMMIT_NOT_NAMES))
		fusecr_names_keep(&handle->names);
	return err;
}

static int exempt(struct fusecr_gate *gate, struct pid *tgid, bool children)
{
	int err = tgid ? fusecr_gate_exempt(gate, tgid, children) : -ESRCH;

	if (err)
		put_pid(tgid);
	return err;
}

static int exempt_all(struct fusecr_gate *gate,
		      const struct fusecr_gate_close *in)
{
	int err = exempt(gate, get_pid(task_tgid(current)), false);
	u32 i;

	for (i = 0; !err && i < in->nr_exempt; i++) {
		s32 nr = in->exempt[i];

		err = exempt(gate, find_get_pid(abs(nr)), nr < 0);
	}
	return err;
}

static int gate_open(struct handle *handle)
{
	fusecr_gate_open(handle->gate);
	handle->gate = NULL;
	return 0;
}

static int gate_close(struct handle *handle, void *arg)
{
	const struct fusecr_gate_close *in = arg;
	struct fusecr_gate *gate;
	int err;

	if (handle->gate && fusecr_gate_is_closed(handle->gate))
		return -EALREADY;
	if (in->nr_exempt >= FUSECR_EXEMPT_MAX || in->seconds < 1 ||
	    in->seconds > FUSECR_GATE_MAX ||
	    in->flags & ~FUSECR_GATE_TAKEN_ONLY || in->reserved)
		return -EINVAL;
	gate_open(handle);
	gate = fusecr_gate_new(handle->conn->fc, &handle->waitq, in->flags);
	if (IS_ERR(gate))
		return PTR_ERR(gate);
	err = exempt_all(gate, in);
	if (!err)
		err = fusecr_gate_close(gate, in->seconds);
	if (err) {
		fusecr_gate_open(gate);
		return err;
	}
	handle->gate = gate;
	return 0;
}

static int hold(struct handle *handle, void *arg)
{
	struct fusecr_hold *inout = arg;
	struct pid *tgid;
	int n;

	if (!handle->gate)
		return -ENOENT;
	tgid = find_get_pid(inout->pid);
	if (!tgid)
		return -ESRCH;
	n = fusecr_gate_hold(handle->gate, tgid);
	put_pid(tgid);
	if (n < 0)
		return n;
	inout->count = n;
	return 0;
}

static int take(struct handle *handle, void *arg)
{
	struct fusecr_take *out = arg;
	int n;

	if (!handle->gate || !fusecr_gate_is_closed(handle->gate))
		return -ENOENT;
	n = fusecr_gate_take(handle->gate, handle->conn);
	if (n < 0)
		return n;
	out->count = n;
	out->reserved = 0;
	return 0;
}

static int keep(struct handle *handle, void *arg)
{
	return fusecr_keep_restore(handle->conn, arg);
}

static int force_open(struct handle *handle, void *arg)
{
	const struct fusecr_attach *in = arg;

	return fusecr_gate_force_open(in->conn_id);
}

static int gate_status(struct handle *handle, void *arg)
{
	struct fusecr_gate_status *status = arg;
	struct fusecr_event_counts n;

	memset(arg, 0, sizeof(struct fusecr_gate_status));
	if (handle->gate)
		fusecr_gate_status(handle->gate, arg);
	status->kept = fusecr_keep_count(handle->conn);
	fusecr_hook_counts(handle->conn->fc, &n);
	status->ever_held = n.of[FUSECR_EVENT_HELD];
	status->passed = n.of[FUSECR_EVENT_PASSED];
	status->ended = n.of[FUSECR_EVENT_ENDED];
	status->taken = n.of[FUSECR_EVENT_TAKEN];
	status->claimed = n.of[FUSECR_EVENT_CLAIMED];
	status->given_up = n.of[FUSECR_EVENT_GIVEN_UP];
	return 0;
}

/* ATTACH is for good. */
static struct fusecr_conn *attached(struct handle *handle)
{
	struct fusecr_conn *conn;

	if (mutex_lock_killable(&handle->lock))
		return ERR_PTR(-EINTR);
	conn = handle->conn ?: ERR_PTR(-ENOTCONN);
	mutex_unlock(&handle->lock);
	return conn;
}

/* The daemon may take its time: these four without the lock. */
static int sync(struct handle *handle, unsigned long seconds)
{
	struct fusecr_conn *conn = attached(handle);

	if (IS_ERR(conn))
		return PTR_ERR(conn);
	if (seconds < 1 || seconds > FUSECR_WAIT_MAX)
		return -EINVAL;
	return fusecr_sync(conn, seconds);
}

static int unlink(struct handle *handle, void __user *arg)
{
	struct fusecr_conn *conn = attached(handle);
	struct fusecr_unlink in;
	int err;

	if (IS_ERR(conn))
		return PTR_ERR(conn);
	if (copy_from_user(&in, arg, sizeof(in)))
		return -EFAULT;
	if (mutex_lock_killable(&handle->names_lock))
		return -EINTR;
	err = fusecr_unlink(conn, &in, &handle->names);
	mutex_unlock(&handle->names_lock);
	return err;
}

static int own_page(struct handle *handle, void __user *arg)
{
	struct fusecr_conn *conn = attached(handle);
	struct fusecr_own_page in;
	struct task_struct *task;
	int err;

	if (IS_ERR(conn))
		return PTR_ERR(conn);
	if (copy_from_user(&in, arg, sizeof(in)))
		return -EFAULT;
	if (in.seconds < 1 || in.seconds > FUSECR_WAIT_MAX)
		return -EINVAL;
	task = fusecr_use_task(in.pid);
	if (!task)
		return -ESRCH;
	err = fusecr_own_page(conn, task, in.address, in.seconds);
	put_task_struct(task);
	return err;
}

static int drop_pages(struct handle *handle, void __user *arg)
{
	struct fusecr_conn *conn = attached(handle);
	struct fusecr_drop_pages in;

	if (IS_ERR(conn))
		return PTR_ERR(conn);
	if (copy_from_user(&in, arg, sizeof(in)))
		return -EFAULT;
	if (in.reserved || in.seconds < 1 || in.seconds > FUSECR_WAIT_MAX)
		return -EINVAL;
	return fusecr_drop_pages(conn, in.nodeid, in.seconds);
}

static const struct operation {
	unsigned int cmd;
	int (*call)(struct handle *handle, void *arg);
} operations[] = {
	{ FUSECR_IOC_ATTACH, attach },
	{ FUSECR_IOC_SET_CONN, set_conn },
	{ FUSECR_IOC_SET_INODE, set_inode },
	{ FUSECR_IOC_SET_FILE, set_file },
	{ FUSECR_IOC_SHARE_FILE, share_file },
	{ FUSECR_IOC_FORGET, forget },
	{ FUSECR_IOC_REQUEUE, requeue },
	{ FUSECR_IOC_GATE_CLOSE, gate_close },
	{ FUSECR_IOC_HOLD, hold },
	{ FUSECR_IOC_GATE_STATUS, gate_status },
	{ FUSECR_IOC_FORCE_OPEN, force_open },
	{ FUSECR_IOC_TAKE, take },
	{ FUSECR_IOC_KEEP, keep },
	{ FUSECR_IOC_SET_OWNER, set_owner },
	{ FUSECR_IOC_SET_LOCK, set_lock },
};

/* Room for any argument. */
union argument {
	struct fusecr_attach attach;
	struct fusecr_set_conn set_conn;
	struct fusecr_set_inode set_inode;
	struct fusecr_set_file set_file;
	struct fusecr_share_file share_file;
	struct fusecr_forget forget;
	struct fusecr_requeue requeue;
	struct fusecr_gate_close gate_close;
	struct fusecr_hold hold;
	struct fusecr_gate_status gate_status;
	struct fusecr_take take;
	struct fusecr_keep keep;
	struct fusecr_set_owner set_owner;
	struct fusecr_set_lock set_lock;
};

/* Caller holds handle->lock. */
static int dispatch(struct handle *handle, unsigned int cmd, unsigned long arg)
{
	const struct operation *op = NULL;
	union argument argument;
	unsigned int i;
	int err;

	lockdep_assert_held(&handle->lock);

	if (!handle->conn && cmd != FUSECR_IOC_ATTACH &&
	    cmd != FUSECR_IOC_FORCE_OPEN)
		return -ENOTCONN;
	if (cmd == FUSECR_IOC_ADMIT)
		return admit(handle, arg);
	if (cmd == FUSECR_IOC_COMMIT)
		return commit(handle, arg);
	if (cmd == FUSECR_IOC_GATE_OPEN)
		return gate_open(handle);
	for (i = 0; i < ARRAY_SIZE(operations); i++)
		if (operations[i].cmd == cmd)
			op = &operations[i];
	if (!op)
		return -ENOTTY;
	if (_IOC_DIR(cmd) & _IOC_WRITE &&
	    copy_from_user(&argument, (void __user *)arg, _IOC_SIZE(cmd)))
		return -EFAULT;
	err = op->call(handle, &argument);
	if (!err && _IOC_DIR(cmd) & _IOC_READ &&
	    copy_to_user((void __user *)arg, &argument, _IOC_SIZE(cmd)))
		return -EFAULT;
	return err;
}

static int locked(struct handle *handle, unsigned int cmd, unsigned long arg)
{
	int err;

	if (mutex_lock_killable(&handle->lock))
		return -EINTR;
	err = dispatch(handle, cmd, arg);
	mutex_unlock(&handle->lock);
	return err;
}

static long handle_ioctl(struct file *file, unsigned int cmd,
			 unsigned long arg)
{
	struct handle *handle = file->private_data;
	int err;

	/* On each call: the descriptor may have been passed on. */
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (cmd == FUSECR_IOC_SYNC)
		return sync(handle, arg);
	if (cmd == FUSECR_IOC_UNLINK)
		return unlink(handle, (void __user *)arg);
	if (cmd == FUSECR_IOC_OWN_PAGE)
		return own_page(handle, (void __user *)arg);
	if (cmd == FUSECR_IOC_DROP_PAGES)
		return drop_pages(handle, (void __user *)arg);
	if (cmd != FUSECR_IOC_COMMIT)
		return locked(handle, cmd, arg);
	/* An UNLINK that waits keeps COMMIT waiting, and nobody else. */
	if (mutex_lock_killable(&handle->names_lock))
		return -EINTR;
	err = locked(handle, cmd, arg);
	mutex_unlock(&handle->names_lock);
	return err;
}

static __poll_t handle_poll(struct file *file, poll_table *wait)
{
	struct handle *handle = file->private_data;
	__poll_t events = 0;

	poll_wait(file, &handle->waitq, wait);
	if (mutex_lock_killable(&handle->lock))
		return 0;
	if (handle->gate && fusecr_gate_drained(handle->gate))
		events = EPOLLIN | EPOLLRDNORM;
	mutex_unlock(&handle->lock);
	return events;
}

static int handle_release(struct inode *inode, struct file *file)
{
	struct handle *handle = file->private_data;

	/* Before anybody asks for more. */
	fusecr_undo_all(&handle->undo);
	fusecr_names_back(&handle->names);
	fusecr_gate_open(handle->gate);
	fusecr_forgets_free(&handle->forgets);
	fusecr_admit_stop(handle->admit);
	if (handle->conn) {
		disown(handle);
		fusecr_conn_put(handle->conn);
	}
	fusecr_khs_destroy(&handle->khs);
	kfree_rcu(handle, rcu);
	return 0;
}

static const struct file_operations handle_operations = {
	.owner		= THIS_MODULE,
	.release	= handle_release,
	.unlocked_ioctl	= handle_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.poll		= handle_poll,
	.llseek		= noop_llseek,
};

struct file *fusecr_handle_file(void)
{
	struct handle *handle;
	struct file *file;

	handle = kzalloc(sizeof(*handle), GFP_KERNEL_ACCOUNT);
	if (!handle)
		return ERR_PTR(-ENOMEM);
	mutex_init(&handle->lock);
	mutex_init(&handle->names_lock);
	INIT_LIST_HEAD(&handle->undo);
	fusecr_khs_init(&handle->khs);
	INIT_LIST_HEAD(&handle->names);
	init_waitqueue_head(&handle->waitq);
	/* It pins the module, by its operations. */
	file = anon_inode_getfile("[fusecr]", &handle_operations, handle, O_RDWR);
	if (IS_ERR(file))
		kfree(handle);
	return file;
}

void __init fusecr_handle_init(void)
{
	fusecr_admit_init();
}

void fusecr_handle_exit(void)
{
	fusecr_admit_exit();
	fusecr_keep_exit();
	fusecr_gate_exit();
	/* Admissions and handles are freed after a grace period. */
	rcu_barrier();
}
