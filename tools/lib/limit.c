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

/* One number, and where it is. */
struct limit {
	const char *name;
	char path[96];
};

static struct limit of_bdi(uint32_t dev, const char *name)
{
	struct limit l = { .name = name };

	snprintf(l.path, sizeof(l.path), "/sys/class/bdi/%u:%u/%s", major(dev), minor(dev), name);
	return l;
}

/* Named by the kernel's number of the device, of which the major is 0. */
static struct limit of_conn(uint32_t dev, const char *name)
{
	struct limit l = { .name = name };

	snprintf(l.path, sizeof(l.path), "/sys/fs/fuse/connections/%u/%s", minor(dev), name);
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

	if (get(l, &now) && now == value)
		return;
	f = fopen(l->path, "we");
	if (!f || fprintf(f, "%u\n", value) < 0 || fflush(f))
		report_add(r, "%s was %u, and cannot be set: %s: %s", l->name, value, l->path, strerror(errno));
}

/* In millionths, whatever the kernel tells it in. */
static bool get_ratio(uint32_t dev, const char *coarse, const char *fine, uint32_t *value)
{
	const struct limit c = of_bdi(dev, coarse), f = of_bdi(dev, fine);

	if (get(&f, value))
		return true;
	if (!get(&c, value))
		return false;
	*value *= SCALE;
	return true;
}

static void set_ratio(uint32_t dev, const char *coarse, const char *fine, uint32_t value, struct report *r)
{
	const struct limit c = of_bdi(dev, coarse), f = of_bdi(dev, fine);
	uint32_t now;

	if (get(&f, &now))
		set(&f, value, r);
	else if (value % SCALE)
		report_add(r, "%s was %u, and this kernel sets whole percents only", fine, value);
	else
		set(&c, value / SCALE, r);
}

void limit_read(FuseConnEntry *conn)
{
	const struct limit strict = of_bdi(conn->dev, "strict_limit");

	conn->has_min_ratio = get_ratio(conn->dev, "min_ratio", "min_ratio_fine", &conn->min_ratio);
	conn->has_max_ratio = get_ratio(conn->dev, "max_ratio", "max_ratio_fine", &conn->max_ratio);
	conn->has_strict_limit = get(&strict, &conn->strict_limit);
}

void limit_set(const FuseConnEntry *conn, uint32_t dev, struct report *r)
{
	const struct limit max = of_conn(dev, "max_background"), congested = of_conn(dev, "congestion_threshold");
	const struct limit ahead = of_bdi(dev, "read_ahead_kb"), strict = of_bdi(dev, "strict_limit");

	if (!conn->max_background)
		set(&max, 0, r);
	if (!conn->congestion_threshold)
		set(&congested, 0, r);
	set(&ahead, conn->max_readahead / 1024, r);
	/* The greater one first: it starts with nothing. */
	if (conn->has_max_ratio)
		set_ratio(dev, "max_ratio", "max_ratio_fine", conn->max_ratio, r);
	if (conn->has_min_ratio)
		set_ratio(dev, "min_ratio", "min_ratio_fine", conn->min_ratio, r);
	if (conn->has_strict_limit)
		set(&strict, conn->strict_limit, r);
}
