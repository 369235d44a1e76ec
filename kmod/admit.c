// SPDX-License-Identifier: GPL-2.0
/*
 * Lets privileged tasks through allow_other's check on chosen connections.
 *
 * A mount without allow_other refuses everyone but its owner, root included
 * (fuse_allow_current_process(), fs/fuse/dir.c), unless fuse's own parameter
 * allow_sys_admin_access is set, which is for all mounts at once.  There is no
 * pointer to replace, so the function's answer is changed by a return probe.
 * Should the probe miss a call, the task is refused as it was before.
 *
 * The probe is armed by the first ADMIT and disarmed with the module: each time
 * means to change the kernel's text while all CPUs run in it.  With nobody to
 * admit, it looks at an empty list.
 *
 * The function is called from four files of fuse's, hence never inlined in all
 * of them; that fs/fuse/dir.c calls it as well was read from Debian's builds of
 * 6.1 and 6.12.
 */

#include <linux/capability.h>
#include <linux/kprobes.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/user_namespace.h>
#include <linux/slab.h>
#include <linux/fusecr.h>

#include "admit.h"
#include "layout.h"

struct fusecr_admit {
	struct list_head entry;
	const struct fuse_conn *fc;
	struct rcu_head rcu;
};

static DEFINE_MUTEX(admits_lock);	/* for writers */
static LIST_HEAD(admits);
static bool supported;

/* Probes run without preemption, which an RCU reader may rely on. */
static bool is_admitted(const struct fuse_conn *fc)
{
	struct fusecr_admit *admit;

	list_for_each_entry_rcu(admit, &admits, entry)
		if (admit->fc == fc)
			return true;
	return false;
}

NOKPROBE_SYMBOL(is_admitted);

/* Other than 0: this call's result is not wanted. */
static int on_entry(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	const struct fuse_conn *fc = (void *)regs_get_kernel_argument(regs, 0);

	return !is_admitted(fc) ||
	       !ns_capable_noaudit(&init_user_ns, CAP_SYS_ADMIN);
}

NOKPROBE_SYMBOL(on_entry);

/* int in 6.1, bool since 6.4: 1 is true of both. */
static int on_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	regs_set_return_value(regs, true);
	return 0;
}

NOKPROBE_SYMBOL(on_return);

static struct kretprobe probe = {
	.kp.symbol_name	= "fuse_allow_current_process",
	.kp.flags	= KPROBE_FLAG_DISABLED,
	.entry_handler	= on_entry,
	.handler	= on_return,
};

struct fusecr_admit *fusecr_admit_start(const struct fuse_conn *fc)
{
	struct fusecr_admit *admit;
	int err;

	if (!supported)
		return ERR_PTR(-EOPNOTSUPP);
	admit = kmalloc(sizeof(*admit), GFP_KERNEL_ACCOUNT);
	if (!admit)
		return ERR_PTR(-ENOMEM);
	admit->fc = fc;

	mutex_lock(&admits_lock);
	err = enable_kretprobe(&probe);
	if (!err)
		list_add_rcu(&admit->entry, &admits);
	mutex_unlock(&admits_lock);
	if (err) {
		kfree(admit);
		return ERR_PTR(err);
	}
	return admit;
}

void fusecr_admit_stop(struct fusecr_admit *admit)
{
	if (!admit)
		return;
	mutex_lock(&admits_lock);
	list_del_rcu(&admit->entry);
	mutex_unlock(&admits_lock);
	kfree_rcu(admit, rcu);
}

void __init fusecr_admit_init(void)
{
	/* A few for each CPU: the function can be preempted. */
	probe.maxactive = 16 * num_possible_cpus();
	if (register_kretprobe(&probe))
		return;
	supported = true;
	fl_features_add(FUSECR_FEATURE_ADMIT);
}

void fusecr_admit_exit(void)
{
	if (supported)
		unregister_kretprobe(&probe);
}
