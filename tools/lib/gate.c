// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <linux/fusecr.h>

#include "gate.h"
#include "handle.h"

static bool is_exempt(const struct exempt *exempt, uint32_t pid)
{
	for (uint32_t i = 0; i < exempt->count; i++)
		if (abs(exempt->pid[i]) == (int32_t)pid)
			return true;
	return false;
}

int exempt_add(struct exempt *exempt, pid_t pid)
{
	if (is_exempt(exempt, abs(pid)))
		return 0;
	/* The module adds its caller. */
	if (exempt->count == FUSECR_EXEMPT_MAX - 1)
		return -E2BIG;
	exempt->pid[exempt->count++] = pid;
	return 0;
}

struct hold {
	const struct exempt *exempt;
	int handle;
	uint32_t last;		/* files come process by process */
	int anew;
};

static int hold_user(const FuseFileEntry *file, void *arg)
{
	struct hold *h = arg;
	int n;

	/* Of this one it is not known that it uses the mount: any process may be. */
	if (file->use == FUSECR_FILE_INCOMPLETE)
		return 0;
	if (file->pid == h->last || is_exempt(h->exempt, file->pid))
		return 0;
	h->last = file->pid;
	n = handle_hold(h->handle, file->pid);
	if (n == -ESRCH)
		return 0;	/* gone meanwhile */
	if (n < 0)
		return n;
	h->anew += n;
	return 0;
}

int gate_hold_users(struct nl *nl, int handle, uint64_t conn_id, const struct exempt *exempt)
{
	struct hold h = { .exempt = exempt, .handle = handle };
	int err = nl_files(nl, conn_id, 0, hold_user, &h);

	return err < 0 ? err : h.anew;
}
