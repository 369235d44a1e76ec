// SPDX-License-Identifier: GPL-2.0
/* Last references are dropped by a worker, see defer.h. */

#include <linux/module.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "defer.h"

struct deferred {
	struct work_struct work;
	void (*fn)(void *object);
	void *object;
};

/* Unbound, and as many at once as there are stalled daemons. */
static struct workqueue_struct *wq;

static void run(struct work_struct *work)
{
	struct deferred *d = container_of(work, struct deferred, work);

	d->fn(d->object);
	kfree(d);
	/* What is left of this function, fusecr_defer_exit() waits for. */
	module_put(THIS_MODULE);
}

void fusecr_defer(void (*fn)(void *object), void *object)
{
	struct deferred *d = kmalloc(sizeof(*d), GFP_KERNEL | __GFP_NOFAIL);

	INIT_WORK(&d->work, run);
	d->fn = fn;
	d->object = object;
	/*
	 * A caller holds the module already.  With this reference rmmod is
	 * refused while a daemon keeps the worker waiting, where it would hang.
	 */
	__module_get(THIS_MODULE);
	queue_work(wq, &d->work);
}

int fusecr_defer_init(void)
{
	wq = alloc_workqueue("fusecr", WQ_UNBOUND, WQ_MAX_ACTIVE);
	return wq ? 0 : -ENOMEM;
}

void fusecr_defer_exit(void)
{
	destroy_workqueue(wq);
}
