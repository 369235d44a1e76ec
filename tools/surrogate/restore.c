// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/fuse.h>
#include <linux/fusecr_ioctl.h>

#include "backing.h"
#include "block.h"
#include "blocks.h"
#include "cleanup.h"
#include "control.h"
#include "handback.h"
#include "handle.h"
#include "holder.h"
#include "image.h"
#include "limit.h"
#include "offered.h"
#include "outsiders.h"
#include "restore.h"
#include "settle.h"
#include "tree.h"

#define INIT_TIMEOUT_MS	10000

/*
 * The programs being restored still run CRIU's code, whoever their parent is;
 * requests of anybody else wait for the daemon.
 */
static bool from_criu(uint32_t pid, uint64_t unique, void *arg)
{
	struct rebuilt *rb = arg;

	(void)unique;
	return asker_is_criu(&rb->asker, pid);
}

/*
 * Before the tree is there nobody knows who is of it: whoever is answered goes on, and
 * only others are put to rest.
 */
static int close_gate(const struct rebuilt *rb)
{
	return handle_gate_close_taken(rb->handle, OUTSIDERS_GATE_S);
}

static bool outsiders_rest_of(struct rebuilt *rb)
{
	if (rb->held || rb->handle < 0 || !rb->engine.held)
		return false;
	if (outsiders_take(rb->handle, &rb->engine, model_label(rb->model)) == -ENOENT)
		close_gate(rb);
	return true;
}

/* Whether there was one. */
static bool outsiders_rest_all(struct restore *re)
{
	bool some = false;

	for (size_t i = 0; i < re->count; i++)
		some = outsiders_rest_of(&re->conns[i]) || some;
	return some;
}

int restore_serve(struct rebuilt *rb, int timeout_ms)
{
	struct pollfd pfd = { .fd = rb->instances[0].fd, .events = POLLIN };
	int n = poll(&pfd, 1, timeout_ms);

	if (n > 0)
		n = engine_serve(&rb->engine, rb->instances[0].fd);
	else if (n < 0)
		n = errno == EINTR ? 0 : -errno;
	outsiders_rest_of(rb);
	return n;
}

static bool has_instance(const struct rebuilt *rb, uint64_t cookie)
{
	for (size_t i = 0; i < rb->count; i++)
		if (rb->instances[i].cookie == cookie)
			return true;
	return false;
}

static int add_instance(struct rebuilt *rb, uint64_t cookie, int fd)
{
	struct instance *grown = reallocarray(rb->instances, rb->count + 1, sizeof(*grown));

	if (!grown) {
		close(fd);
		return -ENOMEM;
	}
	rb->instances = grown;
	grown[rb->count++] = (struct instance){ cookie, fd };
	/* gcc 12 does not see that rb, of which there is an array, has it. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
	return 0;
#pragma GCC diagnostic pop
}

static int open_instance(struct rebuilt *rb, const FuseDevEntry *dev)
{
	uint32_t first;
	int fd;

	if (has_instance(rb, dev->cookie))
		return 0;
	/* What was asked may be withdrawn before it is read: not to wait then; see give_flags(). */
	fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (add_instance(rb, dev->cookie, fd))
		return -ENOMEM;
	first = rb->instances[0].fd;
	if (rb->count > 1 && ioctl(fd, FUSE_DEV_IOC_CLONE, &first) < 0)
		return -errno;
	return 0;
}

static int find_own(const FuseDevEntry *dev, void *arg)
{
	struct rebuilt *rb = arg;

	if (dev->fd != (uint32_t)rb->instances[0].fd)
		return 0;
	rb->conn_id = dev->conn_id;
	rb->dev = dev->conn_dev;
	return 1;
}

struct check {
	struct restore *re;
	struct rebuilt *rb;
};

static int check_init(const FuseConnEntry *got, void *arg)
{
	struct check *c = arg;

	offered_conn(&c->re->s->report, model_label(c->rb->model), model_conn(c->rb->model), got);
	return 0;
}

/* The programs' right to go on does not hang on it. */
static void limit_memory(struct restore *re, const struct rebuilt *rb)
{
	struct report r = { 0 };

	limit_set_memory(model_conn(rb->model), rb->dev, &r);
	for (size_t i = 0; i < r.count; i++)
		surrogate_warn(re->s, "%s: %s", model_label(rb->model), r.lines[i]);
	report_clear(&r);
}

static int negotiate(struct restore *re, struct rebuilt *rb)
{
	struct check c = { re, rb };
	int err = 1;

	while (err > 0 && !rb->engine.init_done)
		err = restore_serve(rb, INIT_TIMEOUT_MS);
	if (!rb->engine.init_done)
		return err < 0 ? err : -ETIMEDOUT;
	offered_init(&re->s->report, model_label(rb->model), model_conn(rb->model), rb->engine.init_offered,
		     rb->engine.init_minor);
	if (re->s->report.count)
		return -EOPNOTSUPP;
	err = nl_devs(re->nl, 0, getpid(), find_own, rb);
	if (err <= 0)
		return err ?: -ENODEV;
	limit_set_requests(model_conn(rb->model), rb->dev, &re->s->report);
	limit_memory(re, rb);
	err = nl_conn(re->nl, rb->conn_id, check_init, &c);
	if (!err && re->s->report.count)
		err = -EOPNOTSUPP;
	return err;
}

/*
 * Since Linux 6.16 a name that was looked up is visible a moment before it is of this
 * epoch: whoever waited for it takes it for one of an earlier epoch, and unhashes it,
 * which makes the other's file a deleted one (fuse_lookup() and fuse_dentry_revalidate(),
 * fs/fuse/dir.c).  Restored tasks do just that.  There is none before epoch 0.
 */
static int first_epoch(const struct rebuilt *rb)
{
	const struct fusecr_set_conn set = { .mask = FUSECR_SET_EPOCH };
	int err = handle_set_conn(rb->handle, &set);

	return err == -EOPNOTSUPP ? 0 : err;
}

/*
 * What is asked from now on may be left for the daemon, who has seen all before that.
 * And who opens something gets no number that a file of the image has.
 */
static int first_numbers(const struct rebuilt *rb)
{
	const struct fusecr_set_conn set = {
		.mask = FUSECR_SET_NEXT_UNIQUE | FUSECR_SET_NEXT_KH,
		.next_unique = model_conn(rb->model)->next_unique,
		.next_kh = model_conn(rb->model)->next_kh,
	};

	return handle_set_conn(rb->handle, &set);
}

static int admit(struct restore *re, const struct rebuilt *rb)
{
	int err = handle_admit(rb->handle, true);

	if (err == -EOPNOTSUPP)
		report_add(&re->s->report,
			   "%s: mounted without allow_other, and fusecr.ko cannot let CRIU in on this kernel (ADMIT)",
			   model_label(rb->model));
	return err;
}

static int own(struct restore *re, struct rebuilt *rb)
{
	int err;

	rb->handle = handle_open(rb->conn_id);
	if (rb->handle < 0)
		return rb->handle;
	if (rb->held)
		return 0;
	err = first_epoch(rb) ?: first_numbers(rb) ?: close_gate(rb);
	if (err)
		return err;
	return model_conn(rb->model)->allow_other ? 0 : admit(re, rb);
}

static void disown(struct rebuilt *rb)
{
	if (rb->handle >= 0)
		close(rb->handle);
	rb->handle = -1;
}

/* For one that was held; passes err on. */
static int gone(struct restore *re, const struct rebuilt *rb, int err)
{
	if (err == -ENODEV || err == -ENOENT)
		report_add(&re->s->report, "%s: it was unmounted or aborted while process %d held it", model_label(rb->model),
			   re->holder.pid);
	else if (err == -EBUSY)
		report_add(&re->s->report, "%s: another restore, or checkpoint, has it in hand", model_label(rb->model));
	return err;
}

/* The connection is where it was: its daemon gets back the devices that it had. */
static int take_back(struct restore *re, struct rebuilt *rb)
{
	const struct message_list *devs = model_devs(rb->model);
	int err = re->inv->has_holder_pid ? 0 : -EBADMSG;

	if (err)
		report_add(&re->s->report, "%s: was held, and the image has no process that holds it", model_label(rb->model));
	rb->held = true;
	rb->conn_id = model_conn(rb->model)->id;
	for (size_t i = 0; !err && i < devs->count; i++) {
		uint64_t cookie = ((FuseDevEntry *)devs->items[i])->cookie;
		int fd;

		if (has_instance(rb, cookie))
			continue;
		fd = holder_fetch(&re->holder, re->nl, rb->conn_id, cookie);
		err = fd < 0 ? fd : add_instance(rb, cookie, fd);
	}
	return gone(re, rb, err);
}

/*
 * A process that ends closes its descriptors in their order: the mount after the devices,
 * lest it wait for itself to answer DESTROY.
 */
static int close_last(struct rebuilt *rb)
{
	int mnt, highest = 0;

	for (size_t i = 0; i < rb->count; i++)
		if (rb->instances[i].fd > highest)
			highest = rb->instances[i].fd;
	mnt = fcntl(rb->mnt, F_DUPFD_CLOEXEC, highest + 1);
	if (mnt < 0)
		return -errno;
	close(rb->mnt);
	rb->mnt = mnt;
	return 0;
}

static int open_device(struct restore *re, struct rebuilt *rb, const FuseDevEntry *dev)
{
	int err = open_instance(rb, dev);

	if (err)
		report_add(&re->s->report, "%s: /dev/fuse cannot be opened: %s", model_label(rb->model), strerror(-err));
	return err;
}

static int rebuild(struct restore *re, struct rebuilt *rb)
{
	const struct message_list *devs, *mounts;
	const FuseConnEntry *c;
	char words[256] = "";
	int err;

	err = model_load(&rb->model, re->s->dirfd, rb->id, re->inv->count[rb->id - 1]);
	if (err) {
		report_add(&re->s->report, "connection %u: %s", rb->id,
			   *image_error() ? image_error() : "an image has lost entries");
		return err;
	}
	c = model_conn(rb->model);
	devs = model_devs(rb->model);
	mounts = model_mounts(rb->model);
	if (c->held && devs->count)
		return take_back(re, rb);
	if (!devs->count || !mounts->count || (strcmp(c->fstype, "fuse") && !blocks_mounted(c))) {
		report_add(&re->s->report, "%s: its image has no device, no mount, or a type that is not carried",
			   model_label(rb->model));
		return -EBADMSG;
	}
	err = engine_init(&rb->engine, ENGINE_RESTORE, c->max_write, rb->handles);
	if (err)
		report_add(&re->s->report, "%s: no room for requests of %u bytes (max_write)", model_label(rb->model), c->max_write);
	rb->engine.model = rb->model;
	rb->engine.ours = from_criu;
	rb->engine.backing = backing_need;
	rb->engine.arg = rb;
	if (!err && blocks_mounted(c))
		err = block_expect(re, c);
	err = err ?: open_device(re, rb, (const FuseDevEntry *)devs->items[0]);
	if (err)
		return err;
	rb->mnt = mountfs_create(c, ((FuseMountEntry *)mounts->items[0])->options,
				 rb->instances[0].fd, words, sizeof(words));
	if (rb->mnt < 0) {
		report_add(&re->s->report, "%s: mount: %s %s", model_label(rb->model), strerror(-rb->mnt), words);
		return rb->mnt;
	}
	err = negotiate(re, rb);
	/* Clones need the connection. */
	for (size_t i = 1; !err && i < devs->count; i++)
		err = open_device(re, rb, (const FuseDevEntry *)devs->items[i]);
	return err ?: close_last(rb);
}

/* Whoever is asked: a path may lead over several of the mounts. */
static void serve_all(struct restore *re, int timeout_ms)
{
	struct pollfd *pfd = calloc(re->count, sizeof(*pfd));

	for (size_t i = 0; pfd && i < re->count; i++)
		pfd[i] = (struct pollfd){
			.fd = re->conns[i].held ? -1 : re->conns[i].instances[0].fd, .events = POLLIN,
		};
	if (pfd && poll(pfd, re->count, timeout_ms) > 0)
		for (size_t i = 0; i < re->count; i++)
			if (pfd[i].revents)
				engine_serve(&re->conns[i].engine, pfd[i].fd);
	outsiders_rest_all(re);
	free(pfd);
}

/* Whoever waits for an answer must not be what keeps the connection alive. */
static void close_devices(const struct restore *re)
{
	for (size_t i = 0; i < re->count; i++)
		for (size_t k = 0; k < re->conns[i].count; k++)
			close(re->conns[i].instances[k].fd);
}

int restore_in_child(struct rebuilt *rb, int (*fn)(struct rebuilt *rb, const void *arg), const void *arg,
		     bool all)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close_devices(rb->re);
		_exit(-fn(rb, arg));
	}
	while (!waitpid(pid, &status, WNOHANG))
		if (all)
			serve_all(rb->re, 10);
		else
			restore_serve(rb, 10);
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

static int rebuild_all(struct restore *re)
{
	int err = 0;

	re->conns = calloc(re->inv->conns ?: 1, sizeof(*re->conns));
	re->p = progress_new(re->inv->conns);
	if (!re->conns || !re->p)
		return -ENOMEM;
	for (re->count = 0; !err && re->count < re->inv->conns; re->count++) {
		struct rebuilt *rb = &re->conns[re->count];

		rb->re = re;
		rb->id = re->count + 1;
		rb->handles = &re->p->conn[re->count].handles;
		asker_init(&rb->asker, re->s->criu, true);
		rb->mnt = rb->handle = -1;
		err = rebuild(re, rb);
	}
	return err;
}

/*
 * The process that did the work until now was killed: what CRIU asks fails from
 * now on, hence the restore.
 */
static void take_over(struct restore *re, int sig)
{
	re->s->serial = re->p->serial;
	re->lost = !re->p->ended;
	if (re->lost)
		report_add(&re->s->report, "the surrogate was killed by signal %d; try again", sig);
	for (size_t i = 0; re->lost && i < re->count; i++) {
		struct rebuilt *rb = &re->conns[i];
		unsigned int tries = 0;
		int err;

		if (rb->held)
			continue;
		do {
			err = own(re, rb);
		} while (guard_try_again(err, &tries));
		/* What was read and not answered is read again. */
		err = err ?: handle_requeue(rb->handle, rb->instances[0].fd, 0);
		if (err < 0)
			surrogate_log("%s: not taken over: %s", model_label(rb->model), strerror(-err));
		rb->engine.model = NULL;
	}
	/* Which may have been left to do; if it has not, it is ended already. */
	if (!re->lost && re->inv->has_holder_pid)
		holder_end(&re->holder);
	/* It may not even have said that it began; if it has, this is ignored. */
	if (!re->p->asked)
		surrogate_fail(re->s, "-");
}

/* Only when every connection can be had does anything become visible. */
static int begin(struct restore *re)
{
	int err = 0;

	for (size_t i = 0; !err && i < re->count; i++) {
		struct rebuilt *rb = &re->conns[i];

		err = own(re, rb);
		if (rb->held)
			gone(re, rb, err);
		else if (err && err != -EOPNOTSUPP)
			report_add(&re->s->report, "%s: fusecr.ko does not hand it over: %s",
				   model_label(rb->model), err == -EUSERS ?
				   "more than 64 connections of this host are at rest; try again later" :
				   strerror(-err));
	}
	err = err ?: restore_place(re);
	if (err)
		surrogate_fail(re->s, "the FUSE connections could not be mounted: %s", strerror(-err));
	else
		surrogate_done(re->s);
	return err;
}

int restore_device(uint64_t cookie, const void *arg)
{
	const struct rebuilt *rb = arg;

	for (size_t i = 0; i < rb->count; i++)
		if (rb->instances[i].cookie == cookie)
			return rb->instances[i].fd;
	return -1;
}

static void on_fetch(struct restore *re)
{
	struct control_msg m, answer = { .type = CONTROL_NONE };
	int sock, fd;

	if (control_recv(re->s->inherited, &m, &sock) <= 0 || sock < 0) {
		surrogate_log("a restored task asks for a device, but not whole: %s", strerror(errno));
		return;
	}
	fd = block_find(re, m.value);
	for (size_t i = 0; i < re->count; i++) {
		const struct message_list *devs = model_devs(re->conns[i].model);

		for (size_t k = 0; k < devs->count; k++) {
			const FuseDevEntry *dev = (const FuseDevEntry *)devs->items[k];

			if (!dev->has_criu_id || dev->criu_id != (uint32_t)m.value)
				continue;
			answer.type = CONTROL_FAILED;
			fd = restore_device(dev->cookie, &re->conns[i]);
		}
	}
	if (fd >= 0)
		answer.type = CONTROL_DONE;
	if (fd < 0 || control_send(sock, &answer, fd))
		surrogate_log("the device with id %#x could not be given: %s", (unsigned int)m.value,
			      fd < 0 ? "there is none" : strerror(errno));
	if (fd < 0)
		control_send(sock, &answer, -1);
	close(sock);
}

/* Every task stands at its last step: the daemon's half of the truth goes in. */
static int on_resume(struct restore *re, pid_t root)
{
	struct tree tree = { 0 };
	int err = re->lost ? -EIO : tree_read(&tree, root);
	bool held = false;

	for (size_t i = 0; !err && i < re->count; i++) {
		held = held || re->conns[i].held;
		err = re->conns[i].held ? 0 : handback(re, &re->conns[i], &tree);
	}
	tree_free(&tree);
	/* The daemon has the devices, and nothing can fail any more. */
	re->p->ended = !err;
	if (!err && held)
		holder_end(&re->holder);
	if (err)
		surrogate_fail(re->s, "the FUSE connections could not be handed back: %s", strerror(-err));
	return err;
}

static void restore_free(struct restore *re, bool keep)
{
	if (!keep)
		restore_unplace(re);
	for (size_t i = 0; i < re->count; i++) {
		struct rebuilt *rb = &re->conns[i];

		disown(rb);
		for (size_t k = 0; k < rb->count; k++)
			close(rb->instances[k].fd);
		/* Not before these: see close_last(). */
		if (rb->mnt >= 0)
			close(rb->mnt);
		free(rb->instances);
		free(rb->registered);
		engine_free(&rb->engine);
		asker_free(&rb->asker);
		model_free(rb->model);
	}
	if (re->p)
		stage_remove(re->p->stage);
	block_close_all(re);
	free(re->conns);
	nl_close(re->nl);
	if (re->inv)
		fusecr_inventory_entry__free_unpacked(re->inv, NULL);
	report_clear(&re->s->report);
}

/* Serves CRIU until the tree stands complete; true when the daemon took over. */
static bool stand_in(struct restore *re)
{
	struct pollfd *pfd = calloc(re->count + 2, sizeof(*pfd));
	struct control_msg m;
	bool over = re->p->ended, some = false;
	int fd;

	if (re->lost && re->p->asked) {
		surrogate_fail(re->s, "-");
		free(pfd);
		return false;
	}
	while (pfd && !over) {
		for (size_t i = 0; i < re->count; i++)
			pfd[i] = (struct pollfd){
				.fd = re->conns[i].held ? -1 : re->conns[i].instances[0].fd,
				.events = POLLIN,
			};
		pfd[re->count] = (struct pollfd){ .fd = re->s->control, .events = POLLIN };
		pfd[re->count + 1] = (struct pollfd){ .fd = re->s->inherited, .events = POLLIN };
		if (poll(pfd, re->count + 2, some ? OUTSIDERS_LOOK_MS : -1) < 0 && errno != EINTR)
			break;
		for (size_t i = 0; i < re->count; i++)
			if (pfd[i].revents)
				engine_serve(&re->conns[i].engine, re->conns[i].instances[0].fd);
		some = outsiders_rest_all(re);
		if (pfd[re->count + 1].revents)
			on_fetch(re);
		if (!pfd[re->count].revents)
			continue;
		if (control_recv(re->s->control, &m, &fd) <= 0)
			m.type = CONTROL_END;
		re->s->serial = re->p->serial = m.serial;
		re->p->asked = m.type;
		if (m.type == CONTROL_RESUME)
			over = !on_resume(re, m.value);
		else if (re->lost)
			surrogate_fail(re->s, "-");
		break;
	}
	free(pfd);
	return over;
}

int surrogate_restore(struct surrogate *s)
{
	struct restore re = { .s = s };
	bool over;
	int killed, err = model_inventory(&re.inv, s->dirfd, &s->report);

	if (!err) {
		err = nl_open(&re.nl);
		if (err == -ENOENT)
			report_add(&s->report, "the images hold FUSE connections, but fusecr.ko is not loaded: run \"modprobe fusecr\"");
	}
	if (!err && re.inv->has_holder_pid)
		err = holder_find(&re.holder, re.inv, &s->report);
	err = err ?: rebuild_all(&re);
	err = err ?: block_open_all(&re);
	if (err) {
		surrogate_fail(s, "the FUSE connections could not be rebuilt: %s", nl_reason(re.nl, err));
		restore_free(&re, false);
		return 1;
	}
	killed = guard();
	if (killed > 0)
		take_over(&re, killed);
	over = killed <= 0 && begin(&re) ? false : stand_in(&re);
	/* Our duplicates go before anyone runs: the daemon is alone from now on. */
	restore_free(&re, over);
	/* Ignored if the answer was a failure. */
	surrogate_done(s);
	surrogate_log(over ? "the daemon has taken over" : "the mounts are taken back");
	return !over;
}
