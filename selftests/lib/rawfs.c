// SPDX-License-Identifier: GPL-2.0
/* Make, mount and free a server. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "rawfs_priv.h"

void rawfs_defaults(struct rawfs_config *config)
{
	*config = (struct rawfs_config){
		.init = {
			.minor = 31,
			.max_readahead = 128 << 10,
			.max_background = 12,
			.congestion_threshold = 9,
			.max_write = 128 << 10,
			.time_gran = 1,
		},
		.fstype = "fuse",
		.source = "rawfs",
		.nr_files = 8,
		.nr_dirs = 2,
		.files_per_dir = 4,
		.spare = 256,
		.entry_ms = 3600000,
		.attr_ms = 3600000,
		.instances = 1,
		.controlled = true,
	};
}

/* A server that no test looks at keeps its memory to itself. */
static void *shared_alloc(const struct rawfs_config *config, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_ANONYMOUS | MAP_NORESERVE |
		       (config->controlled ? MAP_SHARED : MAP_PRIVATE), -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void *carve(char **at, size_t size)
{
	void *p = *at;

	*at += (size + 63) & ~63ULL;
	return p;
}

static size_t layout(struct rawfs *fs, char *at)
{
	char *start = at;

	at += (sizeof(*fs) + 63) & ~63ULL;
	fs->lock = carve(&at, sizeof(*fs->lock));
	fs->nodes = carve(&at, fs->nr_nodes * sizeof(*fs->nodes));
	fs->names = carve(&at, fs->nr_names * sizeof(*fs->names));
	fs->buckets = carve(&at, fs->nr_buckets * sizeof(*fs->buckets));
	fs->handles = carve(&at, RAWFS_MAX_HANDLES * sizeof(*fs->handles));
	fs->log = carve(&at, RAWFS_LOG_SIZE * sizeof(*fs->log));
	fs->seen = carve(&at, RAWFS_LOG_SIZE * sizeof(*fs->seen));
	fs->held = carve(&at, RAWFS_MAX_HELD * sizeof(*fs->held));
	fs->locks = carve(&at, RAWFS_MAX_LOCKS * sizeof(*fs->locks));
	return at - start;
}

static void lock_init(struct rawfs_lock *lock)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutex_init(&lock->mutex, &attr);
	pthread_mutexattr_destroy(&attr);
}

struct rawfs *rawfs_new(const struct rawfs_config *config)
{
	struct rawfs sizes = {}, *fs;
	size_t size;
	int i;

	if (config->instances < 1 || config->instances > RAWFS_MAX_INSTANCES) {
		errno = EINVAL;
		return NULL;
	}
	sizes.nr_nodes = rawfs_tree_nodes(config) + config->spare;
	sizes.nr_names = sizes.nr_nodes + 1 + config->spare;
	sizes.nr_buckets = sizes.nr_names | 1;
	size = layout(&sizes, NULL);
	fs = shared_alloc(config, size);
	if (!fs)
		return NULL;
	*fs = sizes;
	fs->size = size;
	layout(fs, (char *)fs);
	fs->config = *config;
	fs->event = -1;
	fs->log_fd = -1;
	fs->ready_fd = -1;
	for (i = 0; i < RAWFS_MAX_INSTANCES; i++)
		fs->fd[i] = -1;
	lock_init(fs->lock);
	if (rawfs_tree_init(fs))
		goto err;
	if (config->log) {
		fs->log_fd = open(config->log, O_WRONLY | O_CREAT | O_APPEND |
				  O_CLOEXEC, 0644);
		if (fs->log_fd < 0)
			goto err;
	}
	if (config->controlled) {
		fs->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (fs->event < 0)
			goto err;
	}
	return fs;
err:
	rawfs_free(fs);
	return NULL;
}

void rawfs_close_devices(struct rawfs *fs)
{
	int i;

	for (i = 0; i < RAWFS_MAX_INSTANCES; i++) {
		if (fs->fd[i] >= 0)
			close(fs->fd[i]);
		fs->fd[i] = -1;
	}
}

void rawfs_free(struct rawfs *fs)
{
	if (!fs)
		return;
	/* What a forked server allocated went with it. */
	if (!fs->pid) {
		rawfs_tree_exit(fs);
		rawfs_close_devices(fs);
	}
	if (fs->event >= 0)
		close(fs->event);
	if (fs->log_fd >= 0)
		close(fs->log_fd);
	munmap(fs, fs->size);
}

/* Without asking the file system, which may not be served. */
static dev_t find_dev(const char *dir)
{
	unsigned int major, minor;
	char line[1024], at[512];
	FILE *f = fopen("/proc/self/mountinfo", "re");
	dev_t dev = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%*d %*d %u:%u %*s %511s", &major, &minor,
			   at) == 3 && strcmp(at, dir) == 0)
			dev = makedev(major, minor);
	if (f)
		fclose(f);
	return dev;
}

int rawfs_clone(int fd)
{
	int new = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	uint32_t old = fd;
	int err;

	if (new < 0)
		return -errno;
	if (ioctl(new, FUSE_DEV_IOC_CLONE, &old)) {
		err = -errno;
		close(new);
		return err;
	}
	return new;
}

bool rawfs_has_sync_init(void)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	bool has = fd >= 0 && !ioctl(fd, FUSE_DEV_IOC_SYNC_INIT);

	close(fd);
	return has;
}

/* mount(2), with somebody who answers meanwhile. */
static int mount_served(struct rawfs *fs, const char *dir, const char *options)
{
	const struct rawfs_config *c = &fs->config;
	pthread_t server;
	int err = 0;

	if (ioctl(fs->fd[0], FUSE_DEV_IOC_SYNC_INIT))
		return -errno;
	if (pthread_create(&server, NULL, rawfs_serve_first, fs))
		return -EAGAIN;
	if (mount(c->source, dir, c->fstype, c->mount_flags, options)) {
		err = -errno;
		pthread_cancel(server);
	}
	pthread_join(server, NULL);
	return err;
}

static int mount_device(struct rawfs *fs, const char *dir)
{
	const struct rawfs_config *c = &fs->config;
	/* A controlled server sleeps in poll(), not in read(). */
	int flags = O_RDWR | O_CLOEXEC | (c->controlled ? O_NONBLOCK : 0);
	char options[512];
	int err = 0;

	fs->fd[0] = open("/dev/fuse", flags);
	if (fs->fd[0] < 0)
		return -errno;
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=%u,group_id=%u%s%s", fs->fd[0],
		 c->user_id, c->group_id, c->options ? "," : "",
		 c->options ? c->options : "");
	if (c->sync_init)
		err = mount_served(fs, dir, options);
	else if (mount(c->source, dir, c->fstype, c->mount_flags, options))
		err = -errno;
	if (!err)
		fs->dev = find_dev(dir);
	return err;
}

int rawfs_mount(struct rawfs *fs, const char *dir)
{
	const struct rawfs_config *c = &fs->config;
	unsigned int i;
	int err = 0;

	if (strlen(dir) >= sizeof(fs->dir))
		return -ENAMETOOLONG;
	strcpy(fs->dir, dir);
	if (c->mounted)
		fs->fd[0] = c->mounted;
	else
		err = mount_device(fs, dir);
	if (err)
		return err;
	for (i = 1; i < c->instances; i++) {
		fs->fd[i] = rawfs_clone(fs->fd[0]);
		if (fs->fd[i] < 0)
			return fs->fd[i];
		if (c->controlled && fcntl(fs->fd[i], F_SETFL, O_NONBLOCK))
			return -errno;
	}
	return 0;
}
