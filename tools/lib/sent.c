// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/fusecr.h>

#include "refuse.h"
#include "sent.h"

bool sent_is_lost(const FuseFileEntry *file)
{
	return file->use == FUSECR_FILE_SENT && (!file->has_cookie || (file->flags & FUSECR_FF_BEHIND));
}

int sent_keep(struct snapshot_conn *sc, const FuseFileEntry *file)
{
	struct snapshot_sent *grown = reallocarray(sc->sent, sc->nr_sent + 1, sizeof(*grown));
	char what[320], *copy;

	if (!grown)
		return -ENOMEM;
	sc->sent = grown;
	refuse_file_label(what, sizeof(what), file);
	copy = strdup(what);
	if (!copy)
		return -ENOMEM;
	grown[sc->nr_sent++] = (struct snapshot_sent){ .cookie = file->cookie, .what = copy };
	return 0;
}

void sent_free(struct snapshot_conn *sc)
{
	for (size_t i = 0; i < sc->nr_sent; i++)
		free(sc->sent[i].what);
	free(sc->sent);
	sc->sent = NULL;
	sc->nr_sent = 0;
}

struct search {
	const struct snapshot *snap;
	struct snapshot_conn *sc;
};

static int find_open(const FuseFileEntry *file, void *arg)
{
	const struct search *s = arg;

	if (file->use != FUSECR_FILE_FD || !tree_find(&s->snap->tree, file->pid))
		return 0;
	for (size_t i = 0; i < s->sc->nr_sent; i++)
		if (s->sc->sent[i].cookie == file->cookie)
			s->sc->sent[i].open = true;
	return 0;
}

int sent_refuse(struct report *r, const struct snapshot *snap, struct snapshot_conn *sc)
{
	struct search s = { snap, sc };
	int err = sc->nr_sent ? nl_files(snap->nl, sc->conn->id, 0, find_open, &s) : 0;

	for (size_t i = 0; !err && i < sc->nr_sent; i++)
		if (!sc->sent[i].open)
			report_add(r, "%s: %s can be received only with another socket, and has no descriptor; let it be received",
				   refuse_label(sc->conn), sc->sent[i].what);
	return err;
}
