// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "daemons.h"
#include "proc.h"

bool daemon_ended(const struct daemon *dm)
{
	struct pollfd pfd = { .fd = dm->pidfd, .events = POLLIN };

	return dm->pidfd < 0 || poll(&pfd, 1, 0) > 0;
}

bool daemon_dying(const struct daemon *dm)
{
	return daemon_ended(dm) || proc_dying(dm->pid);
}

bool daemon_runs(const struct daemon *dm, bool tracer_gone)
{
	return !daemon_dying(dm) && (tracer_gone || proc_status(dm->pid, "TracerPid") == 0);
}

static bool is_known(const struct daemons *ds, uint64_t conn_id, pid_t pid)
{
	for (size_t i = 0; i < ds->count; i++)
		if (ds->list[i].conn_id == conn_id && ds->list[i].pid == pid &&
		    !daemon_ended(&ds->list[i]))
			return true;
	return false;
}

static int add(struct daemons *ds, uint64_t conn_id, pid_t pid)
{
	struct daemon *list, dm = { .conn_id = conn_id, .pid = pid };

	if (is_known(ds, conn_id, pid))
		return 0;
	list = reallocarray(ds->list, ds->count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	ds->list = list;
	dm.pidfd = pidfd_open(pid, 0);
	if (dm.pidfd < 0 && errno != ESRCH)
		return -errno;
	list[ds->count++] = dm;
	return 0;
}

int daemons_add(struct daemons *ds, const struct snapshot *snap)
{
	int err = 0;

	for (size_t i = 0; i < snap->count; i++) {
		const struct snapshot_conn *sc = &snap->conns[i];

		for (size_t k = 0; !err && k < sc->devs.count; k++)
			err = add(ds, sc->conn->id, ((FuseDevEntry *)sc->devs.items[k])->pid);
	}
	return err;
}

void daemons_free(struct daemons *ds)
{
	for (size_t i = 0; i < ds->count; i++)
		if (ds->list[i].pidfd >= 0)
			close(ds->list[i].pidfd);
	free(ds->list);
	*ds = (struct daemons){ 0 };
}
