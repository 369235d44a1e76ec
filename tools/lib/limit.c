// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "cleanup.h"
#include "limit.h"

/* In a percent, where parts of a million are told (Linux 6.2, BDI_RATIO_SCALE). */
#define SCALE 10000

/*
 * What a connection starts with, where that cannot be read (fuse_bdi_init(),
 * process_init_reply(), fs/fuse/inode.c; VM_READAHEAD_PAGES; 6.1 to 7.3).
 */
#define READ_AHEAD_KB	128
#define MIN_RATIO	0
#define MAX_RATIO	SCALE
#define STRICT_LIMIT	1

/* One number, and where it is. */
struct limit {
	const char *name;
	uint32_t first;		/* what it is when it cannot be read */
	char path[96];
};

static struct limit of_bdi(uint32_t dev, const char *name, uint32_t first)
{
	struct limit l = { .name = name, .first = first };

	snprintf(l.path, sizeof(l.path), "/sys/class/bdi/%u:%u/%s", major(dev), minor(dev), name);
	return l;
}

/* Named by the kernel's own number of the device (MKDEV(), include/linux/kdev_t.h). */
static struct limit of_conn(uint32_t dev, const char *name)
{
	struct limit l = { .name = name, .first = ~0U };

	snprintf(l.path, sizeof(l.path), "/sys/fs/fuse/connections/%u/%s", major(dev) << 20 | minor(dev), name);
	return l;
}

static bool get(const struct limit *l, uint32_t *value)
{
	FILE *f cleanup(fclose_auto) = fopen(l->path, "re");

	return f && fscanf(f, "%u", value) == 1;
}

static void set(const struct limit *l, uint32_t value, struct report *r)
{
	FILE *f cleanup(fclose_auto) = NULL;
	uint32_t now;

	if (!get(l, &now))
		now = l->first;
	if (now == value)
		return;
	f = fopen(l->path, "we");
	if (!f || fprintf(f, "%u\n", value) < 0 || fflush(f))
		report_add(r, "%s was %u, and cannot be set: %s: %s", l->name, value, l->path, strerror(errno));
}

/* In millionths, or on older kernels in percents. */
struct ratio {
	struct limit fine, coarse;
};

static struct ratio min_ratio(uint32_t dev)
{
	return (struct ratio){
		of_bdi(dev, "min_ratio_fine", MIN_RATIO), of_bdi(dev, "min_ratio", MIN_RATIO / SCALE),
	};
}

static struct ratio max_ratio(uint32_t dev)
{
	return (struct ratio){
		of_bdi(dev, "max_ratio_fine", MAX_RATIO), of_bdi(dev, "max_ratio", MAX_RATIO / SCALE),
	};
}

/* In millionths. */
static bool get_ratio(const struct ratio *ratio, uint32_t *value)
{
	if (get(&ratio->fine, value))
		return true;
	if (!get(&ratio->coarse, value))
		return false;
	*value *= SCALE;
	return true;
}

static void set_ratio(const struct ratio *ratio, uint32_t value, struct report *r)
{
	uint32_t now;
	const bool percents = get(&ratio->coarse, &now) && !get(&ratio->fine, &now);

	if (percents && value % SCALE)
		report_add(r, "%s was %u, and this kernel sets whole percents only", ratio->fine.name, value);
	else if (percents)
		set(&ratio->coarse, value / SCALE, r);
	else
		set(&ratio->fine, value, r);
}

void limit_read(FuseConnEntry *conn)
{
	const struct limit strict = of_bdi(conn->dev, "strict_limit", STRICT_LIMIT);
	const struct ratio min = min_ratio(conn->dev), max = max_ratio(conn->dev);

	conn->has_min_ratio = get_ratio(&min, &conn->min_ratio);
	conn->has_max_ratio = get_ratio(&max, &conn->max_ratio);
	conn->has_strict_limit = get(&strict, &conn->strict_limit);
}

void limit_set_requests(const FuseConnEntry *conn, uint32_t dev, struct report *r)
{
	const struct limit max = of_conn(dev, "max_background"), congested = of_conn(dev, "congestion_threshold");

	if (!conn->max_background)
		set(&max, 0, r);
	if (!conn->congestion_threshold)
		set(&congested, 0, r);
}

void limit_set_memory(const FuseConnEntry *conn, uint32_t dev, struct report *r)
{
	const uint32_t kb = conn->max_readahead / 1024;
	/* INIT has lowered it. */
	const struct limit ahead = of_bdi(dev, "read_ahead_kb", kb < READ_AHEAD_KB ? kb : READ_AHEAD_KB);
	const struct limit strict = of_bdi(dev, "strict_limit", STRICT_LIMIT);
	const struct ratio min = min_ratio(dev), max = max_ratio(dev);

	set(&ahead, kb, r);
	/* The greater one first: it starts with nothing. */
	if (conn->has_max_ratio)
		set_ratio(&max, conn->max_ratio, r);
	if (conn->has_min_ratio)
		set_ratio(&min, conn->min_ratio, r);
	if (conn->has_strict_limit)
		set(&strict, conn->strict_limit, r);
}
