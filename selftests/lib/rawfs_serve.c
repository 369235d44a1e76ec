// SPDX-License-Identifier: GPL-2.0
/* The server's side: reads requests, answers, holds and remembers them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "rawfs_priv.h"

/* What one thread works with. */
struct worker {
	struct rawfs *fs;
	unsigned int instance;
	unsigned char *in;		/* RAWFS_BUF_SIZE, as read */
	int err;
	pthread_t thread;
};

static void lock(struct rawfs *fs)
{
	pthread_mutex_lock(&fs->lock->mutex);
}

static void unlock(struct rawfs *fs)
{
	pthread_mutex_unlock(&fs->lock->mutex);
}

void rawfs_impossible(struct rawfs *fs, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(fs->fault, sizeof(fs->fault), format, args);
	va_end(args);
	if (fs->log_fd >= 0)
		dprintf(fs->log_fd, "IMPOSSIBLE: %s\n", fs->fault);
	dprintf(STDERR_FILENO, "rawfs: IMPOSSIBLE: %s\n", fs->fault);
	rawfs_notify(fs);
	_exit(RAWFS_IMPOSSIBLE);
}

/* The test lets one of the kernel's allocations or copies fail for the server. */
static bool is_fault(const struct rawfs *fs)
{
	return fs->config.faults && (errno == EFAULT || errno == ENOMEM);
}

/* Nobody took the answer: what it gave was not given. */
static void take_back(struct rawfs_req *req)
{
	struct rawfs *fs = req->fs;
	size_t i;

	fs->lost++;
	for (i = 0; i < req->nr_looked_up; i++) {
		struct rawfs_node *node = &fs->nodes[req->looked_up[i]];

		node->nlookup--;
		node->lookups--;
		rawfs_node_reap(fs, node);
	}
	if (req->opened)
		rawfs_handle_put(fs, req->opened);
}

static void reply(struct rawfs_req *req, int error)
{
	struct fuse_out_header out = {
		.len = sizeof(out) + (error ? 0 : req->out_len),
		.error = error,
		.unique = req->h->unique,
	};
	struct iovec iov[] = {
		{ &out, sizeof(out) },
		{ req->out, error ? 0 : req->out_len },
	};
	ssize_t n = writev(req->fs->fd[req->instance], iov, 2);

	/* Whether the kernel has taken it with an error, the second try tells. */
	if (n < 0 && is_fault(req->fs))
		n = writev(req->fs->fd[req->instance], iov, 2);
	/* ENOENT: the request is over, so is ENODEV's connection. */
	if (n < 0 && errno != ENOENT && errno != ENODEV)
		rawfs_impossible(req->fs, "answer to %s (%zu bytes, error %d): %s",
				 rawfs_opcode_name(req->h->opcode),
				 req->out_len, error, strerror(errno));
	if (n < 0)
		take_back(req);
}

static void initialized(struct rawfs *fs)
{
	fs->initialized = true;
	if (fs->ready_fd < 0)
		return;
	if (write(fs->ready_fd, "", 1) == 1)
		close(fs->ready_fd);
	fs->ready_fd = -1;
}

/* Takes over neither @h nor @arg, which have to stay. */
static struct rawfs_req *req_new(struct rawfs *fs, unsigned int instance,
				 const struct fuse_in_header *h, const void *arg)
{
	struct rawfs_req *req = calloc(1, sizeof(*req));

	req->fs = fs;
	req->instance = instance;
	req->h = h;
	req->arg = arg;
	req->arg_len = h->len - sizeof(*h);
	req->out = malloc(RAWFS_BUF_SIZE);
	req->looked_up = malloc(RAWFS_BUF_SIZE / sizeof(struct fuse_entry_out) *
				sizeof(uint32_t));
	return req;
}

static void req_free(struct rawfs_req *req)
{
	free(req->out);
	free(req->looked_up);
	free(req);
}

/* Caller holds the lock. */
static void finish(struct rawfs_req *req, int error)
{
	struct rawfs *fs = req->fs;
	uint32_t opcode = req->h->opcode;

	if (error != RAWFS_NO_REPLY)
		reply(req, error);
	if (opcode == FUSE_INIT && !error)
		initialized(fs);
	if (opcode < RAWFS_OPCODES)
		fs->nr_done[opcode]++;
	req_free(req);
}

/* A place for what is not answered yet, or NULL. */
static struct rawfs_held *held_new(struct rawfs *fs, unsigned int instance,
				   const struct fuse_in_header *h, const void *arg)
{
	struct rawfs_held *held = fs->held;

	while (held < fs->held + RAWFS_MAX_HELD && held->used)
		held++;
	if (held == fs->held + RAWFS_MAX_HELD)
		return NULL;
	held->instance = instance;
	/* Both may be in it: it waited, and goes on waiting. */
	memmove(&held->h, h, sizeof(*h));
	memmove(held->arg, arg, held->h.len - sizeof(*h));
	held->waits = false;
	held->ready = false;
	held->used = true;
	return held;
}

/* Caller holds the lock. */
static void answer(struct rawfs *fs, unsigned int instance,
		   const struct fuse_in_header *h, const void *arg)
{
	struct rawfs_req *req = req_new(fs, instance, h, arg);
	int error = rawfs_dispatch(req);
	struct rawfs_held *held;

	if (error != RAWFS_WAIT) {
		finish(req, error);
		return;
	}
	req_free(req);
	held = held_new(fs, instance, h, arg);
	if (!held)
		rawfs_impossible(fs, "more than %d wait", RAWFS_MAX_HELD);
	held->waits = held->ready = true;
}

/* Caller holds the lock. @error not 0: end it without doing it; what is done, is done. */
static void answer_held(struct rawfs *fs, struct rawfs_held *held, int error)
{
	held->used = false;
	if (held->done)
		finish(held->done, held->error);
	else if (error)
		finish(req_new(fs, held->instance, &held->h, held->arg), error);
	else
		answer(fs, held->instance, &held->h, held->arg);
	held->done = NULL;
}

/* Caller holds the lock. 0 stands for any @opcode, any @unique. */
void rawfs_answer_held(struct rawfs *fs, uint32_t opcode, uint64_t unique,
		       int error)
{
	struct rawfs_held *held;
	unsigned int i;

	for (i = 0; i < RAWFS_MAX_HELD; i++) {
		held = &fs->held[i];
		if (!held->used || (opcode && held->h.opcode != opcode) ||
		    (unique && held->h.unique != unique))
			continue;
		answer_held(fs, held, error);
	}
	rawfs_notify(fs);
}

/* Caller holds the lock. Who waits still does so in the same place. */
static void answer_waiting(struct rawfs *fs)
{
	unsigned int i;

	while (fs->unlocked) {
		fs->unlocked = false;
		for (i = 0; i < RAWFS_MAX_HELD; i++)
			if (fs->held[i].used && fs->held[i].waits)
				answer_held(fs, &fs->held[i], 0);
	}
}

static bool hold(struct rawfs *fs, unsigned int instance,
		 const struct fuse_in_header *h)
{
	struct rawfs_held *held;

	if (h->opcode >= RAWFS_OPCODES || !fs->hold[h->opcode])
		return false;
	if (fs->pass[h->opcode]) {
		fs->pass[h->opcode]--;
		return false;
	}
	held = held_new(fs, instance, h, h + 1);
	if (!held)
		return false;
	if (fs->late) {
		held->done = req_new(fs, instance, &held->h, held->arg);
		held->error = rawfs_dispatch(held->done);
		if (held->error == RAWFS_WAIT) {
			req_free(held->done);
			held->done = NULL;
		}
	}
	held->ready = true;
	return true;
}

static void remember(struct rawfs *fs, unsigned int instance,
		     const struct fuse_in_header *h)
{
	struct rawfs_log *log = &fs->log[fs->requests % RAWFS_LOG_SIZE];
	uint64_t *seen = &fs->seen[(h->unique >> 1) % RAWFS_LOG_SIZE];

	/* FORGETs have a unique of their own, INTERRUPTs that of another. */
	if (*seen == h->unique)
		fs->duplicates++;
	if (!(h->unique & 1))
		*seen = h->unique;
	log->unique = h->unique;
	log->nodeid = h->nodeid;
	log->fh = h->len >= sizeof(*h) + 8 ? rawfs_req_fh(h, h + 1) : 0;
	log->owner = rawfs_req_owner(h, h + 1);
	log->opcode = h->opcode;
	log->len = h->len;
	log->uid = h->uid;
	log->gid = h->gid;
	log->pid = h->pid;
	log->instance = instance;
	fs->requests++;
	if (h->opcode < RAWFS_OPCODES)
		fs->nr_op[h->opcode]++;
}

static int print_log(char *to, size_t size, const struct rawfs_log *log)
{
	return snprintf(to, size,
			"unique=%llu op=%s nodeid=%#llx fh=%#llx uid=%u gid=%u pid=%u len=%u instance=%u owner=%#llx\n",
			(unsigned long long)log->unique,
			rawfs_opcode_name(log->opcode),
			(unsigned long long)log->nodeid,
			(unsigned long long)log->fh, log->uid, log->gid,
			log->pid, log->len, log->instance,
			(unsigned long long)log->owner);
}

static void handle(struct worker *w, size_t n)
{
	const struct fuse_in_header *h = (void *)w->in;
	struct rawfs *fs = w->fs;
	char line[256];
	int len;

	lock(fs);
	if (n < sizeof(*h) || h->len != n)
		rawfs_impossible(fs, "%zu bytes read, %u said", n, h->len);
	remember(fs, w->instance, h);
	if (fs->log_fd >= 0) {
		len = print_log(line, sizeof(line),
				&fs->log[(fs->requests - 1) % RAWFS_LOG_SIZE]);
		if (write(fs->log_fd, line, len) != len)
			rawfs_impossible(fs, "log: %s", strerror(errno));
	}
	if (!hold(fs, w->instance, h))
		answer(fs, w->instance, h, h + 1);
	answer_waiting(fs);
	rawfs_notify(fs);
	unlock(fs);
}

/* Waits for a request or for the test; false when the connection is gone. */
static bool wait_event(struct worker *w)
{
	struct pollfd fds[] = {
		{ .fd = w->fs->fd[w->instance], .events = POLLIN },
		{ .fd = w->fs->event, .events = POLLIN },
	};
	eventfd_t count;
	unsigned int op;

	if (poll(fds, 2, -1) < 0)
		return errno == EINTR || is_fault(w->fs);
	if (!(fds[1].revents & POLLIN))
		return true;
	lock(w->fs);
	/* With a fault it is read all the same. */
	if (eventfd_read(w->fs->event, &count) == 0 || is_fault(w->fs))
		for (op = 1; op < RAWFS_OPCODES; op++)
			if (!w->fs->hold[op])
				rawfs_answer_held(w->fs, op, 0, 0);
	unlock(w->fs);
	return true;
}

void rawfs_retrieve(struct rawfs *fs)
{
	struct {
		struct fuse_out_header h;
		struct fuse_notify_retrieve_out out;
	} msg = {
		.h = { .len = sizeof(msg), .error = FUSE_NOTIFY_RETRIEVE },
		.out = {
			.notify_unique = RAWFS_RETRIEVE,
			.nodeid = fs->retrieve,
			.size = RAWFS_MAX_WRITE,
		},
	};

	if (write(fs->fd[0], &msg, sizeof(msg)) < 0)
		rawfs_impossible(fs, "nothing can be retrieved: %s", strerror(errno));
}

static void *work(void *arg)
{
	struct worker *w = arg;
	ssize_t n;

	for (;;) {
		if (w->fs->config.controlled && !wait_event(w))
			break;
		n = read(w->fs->fd[w->instance], w->in, RAWFS_BUF_SIZE);
		if (n > 0) {
			handle(w, n);
			continue;
		}
		/* ENOENT: interrupted while it was being read. */
		if (n < 0 && (errno == EINTR || errno == EAGAIN ||
			      errno == ENOENT || is_fault(w->fs)))
			continue;
		/* ENODEV: unmounted; ECONNABORTED: ABORT_ERROR was asked for. */
		if (n < 0 && errno != ENODEV && errno != ECONNABORTED)
			w->err = -errno;
		break;
	}
	return NULL;
}

void *rawfs_serve_first(void *arg)
{
	struct worker w = { .fs = arg, .in = malloc(RAWFS_BUF_SIZE) };
	struct pollfd fd = { .fd = w.fs->fd[0], .events = POLLIN };
	ssize_t n;

	/* Sleeps in read() until it is mounted, even with O_NONBLOCK. */
	while ((n = read(fd.fd, w.in, RAWFS_BUF_SIZE)) < 0 &&
	       (errno == EINTR || errno == EAGAIN))
		poll(&fd, 1, -1);
	if (n > 0)
		handle(&w, n);
	free(w.in);
	return NULL;
}

int rawfs_serve(struct rawfs *fs)
{
	struct worker workers[RAWFS_MAX_INSTANCES] = {};
	unsigned int i, n = fs->config.instances;
	int err = 0;

	for (i = 0; i < n; i++) {
		workers[i].fs = fs;
		workers[i].instance = i;
		workers[i].in = malloc(RAWFS_BUF_SIZE);
		if (i && pthread_create(&workers[i].thread, NULL, work,
					&workers[i]))
			return -EAGAIN;
	}
	work(&workers[0]);
	for (i = 0; i < n; i++) {
		if (i)
			pthread_join(workers[i].thread, NULL);
		if (workers[i].err)
			err = workers[i].err;
		free(workers[i].in);
	}
	return err;
}

/* Who looks at what is printed has looked it up, and has it open. */
static bool is_looked_at(struct rawfs *fs, uint32_t node)
{
	return rawfs_node_control(fs, &fs->nodes[node]) != RAWFS_CTL_NONE;
}

static void print_stats(struct rawfs *fs, FILE *out)
{
	uint32_t n;

	fprintf(out, "requests %llu\nduplicates %llu\ninterrupts %llu\nlost %llu\nretrieved %llu\n",
		(unsigned long long)fs->requests,
		(unsigned long long)fs->duplicates,
		(unsigned long long)fs->interrupts,
		(unsigned long long)fs->lost,
		(unsigned long long)fs->retrieved);
	for (n = 1; n < RAWFS_OPCODES; n++)
		if (fs->nr_op[n])
			fprintf(out, "op %s %llu\n", rawfs_opcode_name(n),
				(unsigned long long)fs->nr_op[n]);
	for (n = 0; n < fs->nr_nodes; n++)
		if (!is_looked_at(fs, n) && (fs->nodes[n].nlookup || fs->nodes[n].opens))
			fprintf(out, "node %#llx nlookup %llu opens %llu reads %llu size %llu\n",
				(unsigned long long)rawfs_nodeid(n),
				(unsigned long long)fs->nodes[n].nlookup,
				(unsigned long long)fs->nodes[n].opens,
				(unsigned long long)fs->nodes[n].reads,
				(unsigned long long)fs->nodes[n].attr.size);
	for (n = 0; n < RAWFS_MAX_HANDLES; n++)
		if (fs->handles[n].used && !fs->handles[n].releases &&
		    !is_looked_at(fs, fs->handles[n].node))
			fprintf(out, "handle %#llx node %#llx flags %#o\n",
				(unsigned long long)fs->handles[n].fh,
				(unsigned long long)
				rawfs_nodeid(fs->handles[n].node),
				fs->handles[n].flags);
	for (n = 0; n < RAWFS_MAX_LOCKS; n++) {
		const struct rawfs_lk *l = &fs->locks[n];

		if (l->used)
			fprintf(out, "lock node %#llx owner %#llx %s %s %llu %llu pid %u\n",
				(unsigned long long)rawfs_nodeid(l->node),
				(unsigned long long)l->owner,
				l->flock ? "flock" : "posix",
				l->type == F_WRLCK ? "write" : "read",
				(unsigned long long)l->start,
				(unsigned long long)l->end, l->pid);
	}
	for (n = 0; n < RAWFS_MAX_HELD; n++)
		if (fs->held[n].used)
			fprintf(out, "held %llu op %s\n",
				(unsigned long long)fs->held[n].h.unique,
				rawfs_opcode_name(fs->held[n].h.opcode));
}

char *rawfs_stats_text(struct rawfs *fs, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);

	if (!out)
		return NULL;
	print_stats(fs, out);
	fclose(out);
	return text;
}

char *rawfs_log_text(struct rawfs *fs, size_t *len)
{
	uint64_t n = fs->requests > RAWFS_LOG_SIZE ?
		fs->requests - RAWFS_LOG_SIZE : 0;
	char *text = NULL, line[256];
	FILE *out = open_memstream(&text, len);

	if (!out)
		return NULL;
	for (; n < fs->requests; n++) {
		print_log(line, sizeof(line), &fs->log[n % RAWFS_LOG_SIZE]);
		fputs(line, out);
	}
	fclose(out);
	return text;
}
