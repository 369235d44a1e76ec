// SPDX-License-Identifier: GPL-2.0
/* Files in messages between processes that nobody has received (SCM_RIGHTS). */

#include <linux/delay.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/net.h>
#include <linux/sched.h>
#include <linux/skbuff.h>
#include <net/af_unix.h>
#include <net/scm.h>
#include <net/sock.h>
#include <net/tcp_states.h>

#include "layout.h"
#include "sent.h"
#include "tasks.h"

/* Sockets that one leads to: those that are in a message to it, and so on. */
#define SOCKS_MAX	32

/* How often, and how long, to wait for somebody who receives. */
#define TRIES		3
#define WAIT_US		200

/* All are counted. */
struct walk {
	struct sock *socks[SOCKS_MAX];
	unsigned int n;
	bool more;		/* than there is room for */
	unsigned int *at, seen;	/* the file to go on with, and those before */
	fusecr_sent_fn fn;
	void *arg;
};

static struct sock *unix_of(struct file *file)
{
	const struct socket *sock = sock_from_file(file);
	struct sock *sk = sock ? READ_ONCE(sock->sk) : NULL;

	return sk && sk->sk_family == AF_UNIX ? sk : NULL;
}

/* Caller keeps @sk: by a lock of the queue that it is found in. */
static void add(struct walk *walk, struct sock *sk)
{
	unsigned int i;

	for (i = 0; i < walk->n; i++)
		if (walk->socks[i] == sk)
			return;
	if (walk->n == SOCKS_MAX) {
		walk->more = true;
		return;
	}
	sock_hold(sk);
	walk->socks[walk->n++] = sk;
}

static int visit_list(struct walk *walk, const struct scm_fp_list *list,
		      bool behind)
{
	int i, err = 0;

	for (i = 0; !err && i < list->count; i++) {
		struct sock *sk = unix_of(list->fp[i]);

		if (sk)
			add(walk, sk);
		if (walk->seen++ < *walk->at)
			continue;
		err = walk->fn(walk->arg, list->fp[i], behind);
		*walk->at += !err;
	}
	return err;
}

/*
 * Who receives from a stream takes the files out under iolock alone
 * (unix_stream_read_generic()), everyone else what they are in out of the queue.
 * Connections that nobody has accepted have queues of their own.
 */
static int visit_queue(struct walk *walk, struct sock *sk)
{
	struct sk_buff_head *queue = &sk->sk_receive_queue;
	const struct scm_fp_list *list;
	struct sk_buff *skb;
	int err = 0;

	lockdep_assert_held(&unix_sk(sk)->iolock);
	spin_lock(&queue->lock);
	skb_queue_walk(queue, skb) {
		if (READ_ONCE(sk->sk_state) == TCP_LISTEN) {
			if (skb->sk)
				add(walk, skb->sk);
			continue;
		}
		list = fl_skb_files(skb);
		err = list ? visit_list(walk, list, sk != walk->socks[0]) : 0;
		if (err)
			break;
	}
	spin_unlock(&queue->lock);
	return err;
}

/* Not waited for: whoever receives may wait for a daemon in a page fault. */
static int visit_sock(struct walk *walk, struct sock *sk)
{
	struct unix_sock *u = unix_sk(sk);
	unsigned int tries = TRIES;
	int err;

	while (!mutex_trylock(&u->iolock)) {
		if (!--tries)
			return -EBUSY;
		usleep_range(WAIT_US, 2 * WAIT_US);
	}
	err = visit_queue(walk, sk);
	mutex_unlock(&u->iolock);
	return err;
}

int fusecr_sent_walk(struct sock *sk, unsigned int *at, fusecr_sent_fn fn,
		     void *arg)
{
	struct walk walk = { .at = at, .fn = fn, .arg = arg };
	unsigned int i;
	int err = 0;

	add(&walk, sk);
	for (i = 0; !err && i < walk.n; i++)
		err = visit_sock(&walk, walk.socks[i]);
	for (i = 0; i < walk.n; i++)
		sock_put(walk.socks[i]);
	return err ?: walk.more ? -EBUSY : 0;
}

static int take(void *arg, struct file *file, bool behind)
{
	*(struct file **)arg = get_file(file);
	return 1;
}

/* With the locks of the descriptor table held, which keep the file. */
static int find(void *arg, struct file *file, unsigned int fd)
{
	struct sock **found = arg, *sk = unix_of(file);

	if (!sk || skb_queue_empty_lockless(&sk->sk_receive_queue))
		return 0;
	sock_hold(sk);
	*found = sk;
	return 1;
}

struct sock *fusecr_sent_next(struct task_struct *task, unsigned int *fd)
{
	struct sock *sk = NULL;

	fusecr_task_files(task, fd, find, &sk);
	return sk;
}

struct file *fusecr_sent_find(struct task_struct *task, u64 number)
{
	unsigned int fd = number, want = number, at = number >> 32;
	struct sock *sk = fusecr_sent_next(task, &fd);
	struct file *file = NULL;
	int err = 0;

	if (!sk)
		return NULL;
	if (fd == want)
		err = fusecr_sent_walk(sk, &at, take, &file);
	sock_put(sk);
	return err < 0 ? ERR_PTR(err) : file;
}
