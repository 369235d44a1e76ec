// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/fusecr.h>

#include "asking.h"
#include "block.h"
#include "calm.h"
#include "control.h"
#include "deleted.h"
#include "dump.h"
#include "foreign.h"
#include "guard.h"
#include "handle.h"
#include "held.h"
#include "image.h"
#include "mounts.h"
#include "named.h"
#include "outsiders.h"
#include "paths.h"
#include "predump.h"
#include "proc.h"
#include "refuse.h"
#include "served.h"

/* How long a look at the tree, and whoever uses its mounts, may take. */
#define LOOK_S 100

/* How long CRIU's own closes may take to arrive. */
#define CLOSE_TIMEOUT_MS 2000

static int look_at_all(struct dump *d, struct snapshot_options *o, int dirfd, struct report *r)
{
	struct snapshot *found;
	int err;

	o->before = d->snap;
	err = snapshot_find(&found, d->nl, o, r);

	/* What was seen before is of use until then. */
	if (err)
		return err;
	snapshot_free(d->snap);
	d->snap = found;
	err = daemons_add(&d->daemons, found);
	if (!err && d->snap->count)
		err = snapshot_collect(d->snap, dirfd, r);
	return err;
}

/*
 * A process need not let itself be looked at: what /proc has of it can wait for locks that
 * it keeps for as long as it likes.  Killed, the waiting ends, and who guards us goes on.
 */
static int look(struct dump *d, struct snapshot_options *o, int dirfd, struct report *r)
{
	int err;

	alarm(LOOK_S);
	err = look_at_all(d, o, dirfd, r);
	alarm(0);
	return err;
}

/* The tree still runs: what its clients hold may be gone in a moment. */
static int prepare_look(struct dump *d)
{
	struct snapshot_options o = {
		.root = d->s->root, .scope = SNAPSHOT_SERVED, .restless = true,
		.hold = d->hold, .criu = d->s->criu, .tells = d->s->tells,
	};

	return look(d, &o, -1, &d->s->report);
}

/*
 * The process that did the work until now was killed.  The dump cannot succeed
 * any more, unless nothing was missing but the end; and it has to be ended, as
 * far as that goes, whatever else fails.
 */
static void take_over(struct dump *d, int sig)
{
	if (!d->p->complete && sig == SIGALRM)
		report_add(&d->s->report, "some process did not let itself be looked at within %d s: see which of them in /proc cannot be read",
			   LOOK_S);
	else if (!d->p->complete)
		report_add(&d->s->report, "the surrogate was killed by signal %d; try again", sig);
	/* The other one shared the socket, and may have left answers in it. */
	nl_close(d->nl);
	d->nl = NULL;
	if (nl_open(&d->nl))
		surrogate_log("the module does not answer any more");
	d->snap->nl = d->nl;
	for (size_t i = 0; i < d->count; i++)
		d->served[i].nl = NULL;
	for (size_t i = 0; d->nl && i < d->count; i++) {
		int err = served_take_over(d, i);

		surrogate_log("connection %u:%u: taken over%s%s", major(d->served[i].dev),
			      minor(d->served[i].dev), err ? ", but not whole: " : "", err ? strerror(-err) : "");
	}
	/* It may not even have said that it began; if it has, this is ignored. */
	if (!d->p->asked)
		surrogate_fail(d->s, "-");
}

/* CRIU is told of each mount in a mount namespace that it is going to dump. */
static int tell_mounts(struct dump *d)
{
	for (size_t i = 0; i < d->snap->count; i++) {
		struct message_list *mounts = &d->snap->conns[i].mounts;
		struct control_msg served = { .type = CONTROL_SERVED, .value = d->served[i].dev };

		control_send(d->s->control, &served, -1);
		for (size_t k = 0; k < mounts->count; k++) {
			const FuseMountEntry *m = (const FuseMountEntry *)mounts->items[k];
			struct control_msg msg = { .type = CONTROL_EXTERNAL };

			if (!m->ext_key)
				continue;
			snprintf(msg.text, sizeof(msg.text), "mnt[%.*s]:%s",
				 (int)m->mountpoint.len, m->mountpoint.data, m->ext_key);
			control_send(d->s->control, &msg, -1);
			if (message_list_add(&d->served[i].told, &m->base))
				return -ENOMEM;
		}
	}
	return 0;
}

static bool is_told(const struct message_list *told, const FuseMountEntry *m)
{
	for (size_t i = 0; i < told->count; i++) {
		const FuseMountEntry *t = (const FuseMountEntry *)told->items[i];

		if (t->mnt_id == m->mnt_id && mount_same_place(t, m))
			return true;
	}
	return false;
}

/* CRIU has in its images what it was told. */
static bool are_told(const struct message_list *told, const struct message_list *mounts)
{
	bool same = told->count == mounts->count;

	for (size_t i = 0; same && i < mounts->count; i++)
		same = is_told(told, (const FuseMountEntry *)mounts->items[i]);
	return same;
}

static const struct snapshot_conn *seen(const struct snapshot *snap, uint64_t conn_id)
{
	for (size_t i = 0; i < snap->count; i++)
		if (snap->conns[i].conn->id == conn_id)
			return &snap->conns[i];
	return NULL;
}

/* All that are served were seen again, and no others; or says what is different. */
static bool expect_same_conns(const struct dump *d, struct report *r)
{
	size_t gone = 0, before = r->count;

	for (size_t i = 0; i < d->count; i++) {
		const struct served *sv = &d->served[i];
		const struct snapshot_conn *sc = seen(d->snap, sv->conn_id);

		if (sc && sc->held != sv->held)
			report_add(r, "connection %u:%u: meanwhile a process of the tree has %s to use it; try again",
				   major(sv->dev), minor(sv->dev), sv->held ? "begun" : "ceased");
		if (sc && sv->told.count && !are_told(&sv->told, &sc->mounts))
			report_add(r, "connection %u:%u: meanwhile it was mounted or unmounted somewhere in the tree; try again",
				   major(sv->dev), minor(sv->dev));
		if (sc)
			continue;
		gone++;
		report_add(r, "connection %u:%u: meanwhile its daemon has ended, or left the tree, or it was unmounted",
			   major(sv->dev), minor(sv->dev));
	}
	if (d->snap->count > d->count - gone)
		report_add(r, "the tree mounted a FUSE file system meanwhile; try again");
	return r->count == before;
}

/*
 * Every task stands still: now the kernel's half is what the daemon's memory
 * in CRIU's images believes.  Nothing has been answered yet.
 */
static void freeze(struct dump *d)
{
	struct snapshot_options o = {
		.root = d->s->root, .scope = SNAPSHOT_SERVED,
		.tracer = d->s->criu, .surrogate = { getpid(), d->guard },
		.hold = d->hold, .criu = d->s->criu, .tells = d->s->tells,
		.renames = &d->renames,
	};
	struct report *r = &d->s->report;
	bool same = false;
	int err;

	/* The inventory of an older set would vouch for half of this one. */
	image_remove_all(d->s->dirfd);
	err = look(d, &o, d->s->dirfd, r);
	if (!err)
		same = expect_same_conns(d, r);
	/* Of another set, images have other numbers: nobody is to be answered from them. */
	for (size_t i = 0; !err && same && i < d->count; i++) {
		if (d->served[i].held)
			continue;
		err = model_load(&d->served[i].model, d->s->dirfd, d->served[i].id, NULL);
		d->served[i].engine.model = d->served[i].model;
		d->p->conn[i].answered = !err;
		err = err ?: served_number_users(&d->served[i], getpid());
		if (!err)
			paths_refuse(r, d->served[i].model);
	}
	/* What is to be forgotten is not for us to swallow: see served_step_aside(). */
	for (size_t i = 0; i < d->count; i++)
		if (!d->served[i].model)
			d->served[i].engine.forget = held_forget;
	/* Clients of other daemons went on until now. */
	err = err ?: foreign_refuse(d);
	if (err)
		report_add(r, "the state of the FUSE connections could not be saved: %s",
			   *image_error() ? image_error() : strerror(-err));
	held_start(d, r);
	d->p->frozen = true;
	surrogate_log("the tree stands still, %zu connections saved, %zu objections", d->count, r->count);
}

/* The last one: CRIU can still fail the dump if this fails. */
static void complete(struct dump *d)
{
	int err = snapshot_finish(d->snap, d->s->dirfd);

	d->p->complete = !err;
	if (err)
		report_add(&d->s->report, "the images could not be completed: %s",
			   *image_error() ? image_error() : strerror(-err));
}

/* CRIU came upon a device of the tree: then the whole tree stands. */
static void on_device(struct dump *d, uint32_t criu_id, int fd)
{
	if (!d->p->frozen)
		freeze(d);
	if (!named_device(d, fd, criu_id) && !block_name(d->snap, d->s->criu, fd, criu_id)) {
		surrogate_none(d->s);
		return;
	}
	if (!d->s->report.count && named_all(d) && block_all_named(d->snap))
		complete(d);
	if (d->s->report.count)
		surrogate_fail(d->s, "-");
	else
		surrogate_done(d->s);
}

/*
 * What the clients ask for stays where it is.  CRIU was not to ask for anything:
 * it looks at a file of the tree whose path leads over the mount.  It must have an
 * answer, but nobody has the right one.
 */
static void serve_held(struct dump *d, struct served *sv)
{
	if (!criu_asks(d, sv))
		return;
	report_add(&d->s->report, "connection %u:%u: it cannot be held: a path in the tree leads over its mount",
		   major(sv->dev), minor(sv->dev));
	while (engine_serve(&sv->engine, sv->devfd) > 0)
		;
}

static void serve_ready(struct dump *d, const struct pollfd *pfd)
{
	for (size_t i = 0; i < d->count; i++) {
		struct served *sv = &d->served[i];

		if (sv->held)
			serve_held(d, sv);
		if (!pfd[i].revents)
			continue;
		while (engine_serve(&sv->engine, sv->devfd) > 0)
			;
	}
}

static void poll_set(struct dump *d, struct pollfd *pfd)
{
	for (size_t i = 0; i < d->count; i++)
		pfd[i] = (struct pollfd){
			.fd = d->served[i].held ? -1 : d->served[i].devfd, .events = POLLIN,
		};
}

/* Until every file that CRIU opened on the mounts is closed, or for a while. */
static void await_closes(struct dump *d, struct pollfd *pfd)
{
	for (int ms = 0; ms < CLOSE_TIMEOUT_MS; ms += 10) {
		bool open = false;

		for (size_t i = 0; i < d->count; i++)
			open |= d->p->conn[i].handles.opens != d->p->conn[i].handles.releases;
		if (!open)
			return;
		poll_set(d, pfd);
		if (poll(pfd, d->count, 10) > 0)
			serve_ready(d, pfd);
	}
	surrogate_log("CRIU still has files open on the mounts");
}

/*
 * Not to be waited for until CRIU asks: in another user namespace it could not even do
 * that; and what a daemon has written to another's mount since the clients came to rest
 * would keep its close of that file waiting for ever.
 */
static void on_frozen(struct dump *d)
{
	bool own = false;

	for (size_t i = 0; i < d->count; i++)
		own = own || !d->served[i].held;
	if (own && !d->p->frozen)
		freeze(d);
	if (d->s->report.count)
		surrogate_fail(d->s, "-");
	else
		surrogate_done(d->s);
}

static void on_end(struct dump *d, struct pollfd *pfd, int result)
{
	surrogate_log("CRIU is done: %d", result);
	if (d->p->frozen)
		await_closes(d, pfd);
	served_step_aside(d);
	d->p->valid = !result && d->p->complete;
	/* Those of an older checkpoint are whole until this one writes its own. */
	if (!d->p->valid && d->p->frozen && !d->s->pre_dump)
		image_remove_all(d->s->dirfd);
}

static void end(struct dump *d, struct pollfd *pfd)
{
	if (!d->p->ended)
		on_end(d, pfd, d->p->value);
	d->p->ended = true;
	/* CRIU may have failed because of it before it asked. */
	if (d->p->value && d->s->report.count && !d->s->told)
		surrogate_fail(d->s, "-");
	else
		surrogate_done(d->s);
}

/* Whatever the plugin asks; true at the end. */
static bool on_control(struct dump *d, struct pollfd *pfd, const struct control_msg *msg)
{
	d->s->serial = d->p->serial = msg->serial;
	d->p->value = msg->value;
	d->p->asked = msg->type;
	if (msg->type == CONTROL_END)
		end(d, pfd);
	else if (msg->type == CONTROL_FROZEN)
		on_frozen(d);
	else
		on_device(d, msg->value, msg->fd);
	return msg->type == CONTROL_END;
}

/* What a dead process was asked, and may have answered: then this is ignored. */
static bool answer_late(struct dump *d, struct pollfd *pfd)
{
	d->s->serial = d->p->serial;
	if (d->p->asked == CONTROL_END)
		end(d, pfd);
	else if (d->p->asked && d->p->complete)
		surrogate_done(d->s);
	else if (d->p->asked)
		surrogate_fail(d->s, "-");
	/* Whether that was heard shows only when the plugin asks again. */
	d->s->told = false;
	return d->p->asked == CONTROL_END;
}

/* A file that was mapped since: see predump.h. It is refused, and so CRIU fails. */
static void on_question(struct dump *d)
{
	if (d->s->pre_dump)
		d->p->frozen = true;
	else
		freeze(d);
}

/* Something is to be seen that no descriptor tells. */
static bool looks(const struct dump *d)
{
	return d->s->pre_dump || d->cord[0] >= 0 || outsiders_wait(d);
}

/* Serves until the plugin ends it, or is no more. */
static void stand_in(struct dump *d)
{
	struct pollfd *pfd = calloc(d->count + 1, sizeof(*pfd));
	struct control_msg msg;
	bool over = !pfd;
	int fd, n;

	over = over || answer_late(d, pfd);
	while (!over) {
		poll_set(d, pfd);
		pfd[d->count] = (struct pollfd){ .fd = d->s->control, .events = POLLIN };
		n = poll(pfd, d->count + 1, looks(d) ? OUTSIDERS_LOOK_MS : -1);
		if (n < 0 && errno != EINTR)
			break;
		outsiders_rest(d);
		if (d->s->pre_dump && dump_runs_again(d)) {
			surrogate_log("the tree runs again");
			on_end(d, pfd, 0);
			d->p->ended = over = true;
			continue;
		}
		if (pfd[d->count].revents) {
			if (control_recv(d->s->control, &msg, &fd) <= 0)
				msg = (struct control_msg){ .type = CONTROL_END, .value = -1 };
			over = on_control(d, pfd, &msg);
			continue;
		}
		/* A request while the daemon can still answer it is the daemon's. */
		if (!d->p->frozen && criu_asks_any(d))
			on_question(d);
		if (d->p->frozen)
			serve_ready(d, pfd);
		else
			poll(NULL, 0, 1);
	}
	free(pfd);
}

static void dump_free(struct dump *d)
{
	for (size_t i = 0; i < d->count; i++) {
		struct served *sv = &d->served[i];

		if (sv->devfd >= 0)
			close(sv->devfd);
		served_disown(sv);
		engine_free(&sv->engine);
		asker_free(&sv->asker);
		message_list_free(&sv->told);
		model_free(sv->model);
	}
	free(d->served);
	daemons_free(&d->daemons);
	deleted_free(d);
	snapshot_free(d->snap);
	nl_close(d->nl);
	report_clear(&d->s->report);
}

/* Nor is there to be any where CRIU puts its images: a restore would make them. */
static void has_none(struct surrogate *s)
{
	surrogate_log("the tree serves no FUSE connection");
	if (!s->pre_dump)
		image_remove_all(s->dirfd);
	surrogate_none(s);
}

/* The module is not loaded, or does not answer us: then the tree must not need it. */
static int without_module(struct dump *d, const char *why)
{
	pid_t pid = proc_tree_has_dev_fuse(d->s->root);

	if (!pid) {
		has_none(d->s);
		return 0;
	}
	surrogate_fail(d->s, "process %d serves a FUSE file system, but %s", pid, why);
	return 1;
}

static bool may_ask(const struct dump *d)
{
	struct nl_info info;

	return nl_get_info(d->nl, &info) != -EPERM;
}

/* The clients are at rest, their daemons have answered: what is left stays. */
static int look_again(struct dump *d)
{
	struct snapshot_options o = {
		.root = d->s->root, .scope = SNAPSHOT_SERVED,
		.surrogate = { getpid(), d->guard }, .hold = d->hold, .criu = d->s->criu, .tells = d->s->tells,
	};
	struct report *r = &d->s->report;
	int err = look(d, &o, -1, r);

	if (err)
		report_add(r, "the FUSE connections of the tree could not be read: %s", nl_reason(d->nl, err));
	else
		expect_same_conns(d, r);
	return r->count ? -EBUSY : 0;
}

static int begin(struct dump *d)
{
	int err = served_own_all(d);

	if (!err)
		err = calm(d);
	if (!err)
		err = look_again(d);
	if (!err && !d->s->pre_dump) {
		err = deleted_prepare(d);
		if (err && !d->s->report.count)
			report_add(&d->s->report, "what is deleted and in use could not be read: %s",
				   nl_reason(d->nl, err));
	}
	err = err ?: tell_mounts(d);
	if (err) {
		surrogate_fail(d->s, "-");
		dump_free(d);
		return err;
	}
	surrogate_done(d->s);
	return 0;
}

int surrogate_dump(struct surrogate *s)
{
	const char *hold = getenv("FUSECR_HOLD");
	struct dump d = { .s = s, .cord = { -1, -1 }, .hold = hold && !strcmp(hold, "1"),
			  .guard = getpid() };
	int err = nl_open(&d.nl), killed;

	if (err == -ENOENT)
		return without_module(&d, "fusecr.ko is not loaded: run \"modprobe fusecr\"");
	if (!err && !may_ask(&d)) {
		nl_close(d.nl);
		return without_module(&d, "criu has neither CAP_CHECKPOINT_RESTORE nor CAP_SYS_ADMIN in the initial user namespace");
	}
	if (!err)
		err = prepare_look(&d);
	if (!err)
		err = foreign_refuse(&d);
	if (!err && !s->report.count && d.snap->count)
		err = served_take_all(&d) ?: held_prepare(&d) ?: exempt_find(&d);
	if (!err && s->pre_dump)
		err = predump_refuse(&d);
	if (err || s->report.count) {
		surrogate_fail(s, "the FUSE connections of the tree could not be read: %s", nl_reason(d.nl, err));
		dump_free(&d);
		return 1;
	}
	if (!d.count) {
		has_none(s);
		dump_free(&d);
		return 0;
	}
	killed = guard();
	if (killed > 0)
		take_over(&d, killed);
	else if (begin(&d))
		return 1;
	stand_in(&d);
	dump_watch(&d);
	dump_free(&d);
	return 0;
}
