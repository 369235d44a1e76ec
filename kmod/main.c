// SPDX-License-Identifier: GPL-2.0
/* Start and stop. */

#include <linux/module.h>

#include "conn.h"
#include "defer.h"
#include "handle.h"
#include "layout.h"
#include "netlink.h"
#include "proof.h"

static int __init fusecr_init(void)
{
	int err;

	err = fl_init();
	if (err)
		return err;
	err = fusecr_proof_iqueue();
	if (err)
		return err;
	err = fusecr_conn_init();
	if (err)
		return err;
	err = fusecr_defer_init();
	if (err)
		return err;
	fusecr_handle_init();
	err = fusecr_netlink_init();
	if (err)
		goto err_netlink;
	return 0;

err_netlink:
	fusecr_handle_exit();
	fusecr_defer_exit();
	return err;
}

static void __exit fusecr_exit(void)
{
	fusecr_netlink_exit();
	fusecr_handle_exit();
	fusecr_defer_exit();
}

module_init(fusecr_init);
module_exit(fusecr_exit);

MODULE_DESCRIPTION("The kernel's half of FUSE connections, for checkpoint and restore");
MODULE_LICENSE("GPL");
MODULE_VERSION(FUSECR_VERSION);
