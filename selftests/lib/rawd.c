// SPDX-License-Identifier: GPL-2.0
/*
 * rawd - the raw server as a daemon of its own.
 *
 * It knows nothing of checkpoints: its state is in its memory, its threads
 * sleep in read() on /dev/fuse. What it counts is shown by the files /.stats
 * and /.log of the mount, and written to a file on SIGUSR1.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "rawfs_priv.h"

#define NO_SYNC_INIT	77	/* exit status */

static struct rawfs *fs;
static const char *stats_path;
static const char *pid_path;
static bool foreground;
static bool late;
static uint64_t wanted;		/* to be held, once told to */

static void usage(void)
{
	fputs("usage: rawd [options] MOUNTPOINT\n"
	      "  -F          stay in the foreground\n"
	      "  -p FILE     write the pid to FILE\n"
	      "  -l FILE     append a line for each request to FILE\n"
	      "  -s FILE     write the counters to FILE on SIGUSR1\n"
	      "  -t N        threads, each with a clone of /dev/fuse (1)\n"
	      "  -f N        files in the root (8)\n"
	      "  -d N        directories (2)\n"
	      "  -n N        files in each directory (4)\n"
	      "  -c N        nodes that can be created (256)\n"
	      "  -e MS       timeout of entries (3600000)\n"
	      "  -a MS       timeout of attributes (3600000)\n"
	      "  -M FD       this /dev/fuse, which somebody else has mounted\n"
	      "  -y          mount(2) waits for INIT; ends with 77 where it cannot\n"
	      "  -o OPTIONS  mount options, such as allow_other\n"
	      "  -u UID:GID  of the mount (the caller's)\n"
	      "  -S SOURCE   of the mount (rawfs)\n"
	      "  -T TYPE     fuse, fuse.SUBTYPE, fuseblk\n"
	      "  -I FLAGS    flags answered to INIT, a number (0)\n"
	      "  -m MINOR    protocol minor answered to INIT (31)\n"
	      "  -w BYTES    max_write (131072)\n"
	      "  -r BYTES    max_readahead (131072)\n"
	      "  -P PAGES    max_pages, with the flag in -I (0)\n"
	      "  -g NS       time granularity (1)\n"
	      "  -k N        max_stack_depth, with the flag in -I (0)\n"
	      "  -b N        max_background (12)\n"
	      "  -C N        congestion_threshold (9)\n"
	      "  -B DIR      pass files through to such in DIR; flag in -I, and -k\n"
	      "  -R          keep their ids as long as there is such a file\n"
	      "  -O FLAGS    FOPEN_* answered to OPEN, a number (0)\n"
	      "  -q FLAGS    the same instead, when O_DIRECT is asked for (-O's)\n"
	      "  -D FLAGS    FOPEN_* answered to OPENDIR, a number (0)\n"
	      "  -x COOKIE   from which places in a directory count (0)\n"
	      "  -N OPCODE   not implemented, such as FLUSH; repeatable\n"
	      "  -H OPCODE   hold requests until /.ctl is told; repeatable\n"
	      "  -L          do at once what is held, only the answer is late\n"
	      "  -W          hold from a SIGUSR2 on, until the next one; or, when /.ctl was told\n"
	      "              \"retrieve NAME\", have the kernel say what it has of it, and stop\n"
	      "  -i          leave interrupted requests held\n", stderr);
	exit(2);
}

static unsigned long long number(const char *text, unsigned long long max)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 0);
	if (errno || !*text || *end || n > max) {
		fprintf(stderr, "rawd: not a number up to %llu: %s\n", max,
			text);
		exit(2);
	}
	return n;
}

static uint32_t opcode(const char *name)
{
	uint32_t n = rawfs_opcode(name);

	if (!n) {
		fprintf(stderr, "rawd: no opcode %s\n", name);
		exit(2);
	}
	return n;
}

static void set_owner(struct rawfs_config *c, const char *text)
{
	if (sscanf(text, "%u:%u", &c->user_id, &c->group_id) != 2)
		usage();
}

static void set_flags(struct rawfs_config *c, const char *text)
{
	unsigned long long flags = number(text, ULLONG_MAX);

	c->init.flags = flags;
	c->init.flags2 = flags >> 32;
}

/* Numbers that go straight into the configuration. */
#define NUMBER(option, member, max)					\
	{ option, offsetof(struct rawfs_config, member),		\
	  sizeof(((struct rawfs_config *)NULL)->member), max }

static const struct {
	char option;
	size_t offset;
	size_t size;
	unsigned long long max;
} numbers[] = {
	NUMBER('t', instances, RAWFS_MAX_INSTANCES),
	NUMBER('M', mounted, 1023),
	NUMBER('f', nr_files, 1000000),
	NUMBER('d', nr_dirs, 10000),
	NUMBER('n', files_per_dir, 1000000),
	NUMBER('c', spare, 1000000),
	NUMBER('e', entry_ms, UINT_MAX),
	NUMBER('a', attr_ms, UINT_MAX),
	NUMBER('m', init.minor, UINT_MAX),
	NUMBER('w', init.max_write, RAWFS_MAX_WRITE),
	NUMBER('r', init.max_readahead, UINT_MAX),
	NUMBER('P', init.max_pages, UINT16_MAX),
	NUMBER('g', init.time_gran, UINT_MAX),
	NUMBER('k', init.max_stack_depth, 2),
	NUMBER('b', init.max_background, UINT16_MAX),
	NUMBER('C', init.congestion_threshold, UINT16_MAX),
	NUMBER('O', open_flags, UINT_MAX),
	NUMBER('q', direct_flags, UINT_MAX),
	NUMBER('D', opendir_flags, UINT_MAX),
	NUMBER('x', cookies, ULLONG_MAX),
};

static bool set_number(struct rawfs_config *c, int option, const char *text)
{
	unsigned long long n;
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		if (numbers[i].option != option)
			continue;
		n = number(text, numbers[i].max);
		/* The low bytes come first on every machine this runs on. */
		memcpy((char *)c + numbers[i].offset, &n, numbers[i].size);
		return true;
	}
	return false;
}

static const char *parse(struct rawfs_config *c, uint64_t *held, int argc,
			 char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "Fp:l:s:t:M:f:d:n:c:e:a:o:u:S:T:I:m:w:r:P:"
			   "g:k:b:B:RC:O:q:D:x:N:H:LWiy")) != -1) {
		if (set_number(c, o, optarg))
			continue;
		switch (o) {
		case 'F':
			foreground = true;
			break;
		case 'p':
			pid_path = optarg;
			break;
		case 'l':
			c->log = optarg;
			break;
		case 's':
			stats_path = optarg;
			break;
		case 'o':
			c->options = optarg;
			break;
		case 'u':
			set_owner(c, optarg);
			break;
		case 'S':
			c->source = optarg;
			break;
		case 'T':
			c->fstype = optarg;
			break;
		case 'B':
			c->behind = optarg;
			break;
		case 'R':
			c->keep_ids = true;
			break;
		case 'y':
			if (!rawfs_has_sync_init())
				exit(NO_SYNC_INIT);
			c->sync_init = true;
			break;
		case 'I':
			set_flags(c, optarg);
			break;
		case 'N':
			c->enosys |= 1ULL << opcode(optarg);
			break;
		case 'H':
			*held |= 1ULL << opcode(optarg);
			break;
		case 'L':
			late = true;
			break;
		case 'W':
			c->controlled = true;
			break;
		case 'i':
			c->ignore_interrupts = true;
			break;
		default:
			usage();
		}
	}
	if (argc - optind != 1)
		usage();
	return argv[optind];
}

static void hold(uint64_t opcodes)
{
	uint32_t n;

	fs->late = late;
	for (n = 1; n < RAWFS_OPCODES; n++)
		fs->hold[n] = opcodes >> n & 1;
}

/* A handler, and no thread: whatever is held, it gets through. */
static void on_usr2(int sig)
{
	(void)sig;
	/* What it has asked for it reads once it is told to go on. */
	if (fs->retrieve) {
		rawfs_retrieve(fs);
		raise(SIGSTOP);
		return;
	}
	if (wanted)
		hold(wanted);
	else
		rawfs_release(fs, 0);
	wanted = 0;
}

/* A thread for signals: the counters want the lock, a handler cannot wait. */
static void *signals(void *arg)
{
	sigset_t *set = arg;
	int sig, fd;
	size_t len;
	char *text;

	while (sigwait(set, &sig) == 0) {
		if (sig != SIGUSR1) {
			umount2(fs->dir, MNT_DETACH);
			continue;
		}
		pthread_mutex_lock(&fs->lock->mutex);
		text = rawfs_stats_text(fs, &len);
		pthread_mutex_unlock(&fs->lock->mutex);
		fd = open(stats_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			  0644);
		if (fd < 0 || write(fd, text, len) != (ssize_t)len)
			perror(stats_path);
		if (fd >= 0)
			close(fd);
		free(text);
	}
	return NULL;
}

static int serve(void)
{
	static sigset_t set;
	pthread_t thread;
	int err;

	/* Without -s there is no thread but those that serve. */
	if (stats_path) {
		sigemptyset(&set);
		sigaddset(&set, SIGUSR1);
		sigaddset(&set, SIGTERM);
		pthread_sigmask(SIG_BLOCK, &set, NULL);
		if (pthread_create(&thread, NULL, signals, &set))
			return 1;
	}
	err = rawfs_serve(fs);
	if (err)
		fprintf(stderr, "rawd: %s\n", strerror(-err));
	return err ? 1 : 0;
}

static void write_pid(void)
{
	FILE *f;

	if (!pid_path)
		return;
	f = fopen(pid_path, "we");
	if (!f || fprintf(f, "%d\n", getpid()) < 0 || fclose(f)) {
		perror(pid_path);
		exit(1);
	}
}

/* Returns in the daemon; the caller's process ends once INIT was answered. */
static void daemonize(void)
{
	int null, ready[2];
	pid_t pid;
	char c;

	pid = pipe(ready) ? -1 : fork();
	if (pid < 0) {
		perror("rawd");
		exit(1);
	}
	if (pid) {
		rawfs_close_devices(fs);
		close(ready[1]);
		if (read(ready[0], &c, 1) == 1)
			_exit(0);
		fprintf(stderr, "rawd: ended before INIT\n");
		_exit(1);
	}
	close(ready[0]);
	fs->ready_fd = ready[1];
	setsid();
	null = open("/dev/null", O_RDWR);
	dup2(null, 0);
	dup2(null, 1);
	dup2(fs->log_fd >= 0 ? fs->log_fd : null, 2);
	if (null > 2)
		close(null);
	if (chdir("/"))
		_exit(1);
}

int main(int argc, char **argv)
{
	struct rawfs_config config;
	uint64_t held = 0;
	const char *dir;
	int err;

	rawfs_defaults(&config);
	config.controlled = false;
	config.user_id = geteuid();
	config.group_id = getegid();
	dir = realpath(parse(&config, &held, argc, argv), NULL);
	if (!dir) {
		perror(argv[argc - 1]);
		return 1;
	}
	fs = rawfs_new(&config);
	if (!fs) {
		perror("rawd");
		return 1;
	}
	if (config.controlled) {
		wanted = held;
		signal(SIGUSR2, on_usr2);
	} else {
		hold(held);
	}
	err = rawfs_mount(fs, dir);
	if (err) {
		fprintf(stderr, "rawd: %s: %s\n", dir, strerror(-err));
		return 1;
	}
	if (!foreground)
		daemonize();
	write_pid();
	return serve();
}
