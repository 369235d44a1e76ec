// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "image.h"

#define RECORD_MAX	65535

static char scratch[128];

void fuzz_broken(const char *file, int line, const char *cond)
{
	fprintf(stderr, "%s:%d: broken: %s (last image error: %s)\n", file, line, cond, image_error());
	abort();
}

static void remove_scratch(void)
{
	int fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		image_remove_all(fd);
		unlinkat(fd, "piece", 0);
		close(fd);
	}
	rmdir(scratch);
}

int fuzz_directory(char *path, size_t len)
{
	const char *dir = getenv("FUSECR_FUZZ_DIR");
	int fd;

	snprintf(scratch, sizeof(scratch), "%s/fusecr-fuzz.XXXXXX", dir ? dir : "/dev/shm");
	must(mkdtemp(scratch));
	atexit(remove_scratch);
	snprintf(path, len, "%s", scratch);
	fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(fd >= 0);
	return fd;
}

int fuzz_wants_seeds(void)
{
	return getenv("FUSECR_FUZZ_SEEDS") != NULL;
}

void fuzz_seed(const char *name, const void *data, size_t size)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", getenv("FUSECR_FUZZ_SEEDS"), name);
	f = fopen(path, "we");
	must(f);
	must(fwrite(data, 1, size, f) == size);
	must(!fclose(f));
}

static unsigned long reached[FUZZ_GOALS];

void fuzz_reach(unsigned int n)
{
	must(n < FUZZ_GOALS);
	reached[n]++;
}

unsigned long fuzz_reached(unsigned int n)
{
	return reached[n];
}

static void put_length(uint8_t *data, const struct fuzz_record *r, size_t len)
{
	unsigned int i;

	for (i = 0; i < r->width; i++)
		data[r->at - r->width + i] = len >> 8 * i;
}

static size_t double_record(uint8_t *data, size_t size, size_t max, const struct fuzz_record *r)
{
	size_t whole = r->width + r->len, end = r->at + r->len;

	if (size + whole > max)
		return size;
	memmove(data + end + whole, data + end, size - end);
	memcpy(data + end, data + r->at - r->width, whole);
	return size + whole;
}

static size_t drop_record(uint8_t *data, size_t size, const struct fuzz_record *r)
{
	size_t end = r->at + r->len;

	memmove(data + r->at - r->width, data + end, size - end);
	return size - r->width - r->len;
}

size_t fuzz_mutate_record(uint8_t *data, size_t size, size_t max,
			  const struct fuzz_record *r, unsigned int seed)
{
	static uint8_t body[RECORD_MAX];
	size_t end = r->at + r->len, room, len;

	switch (seed % 16) {
	case 0:
		return double_record(data, size, max, r);
	case 1:
		return drop_record(data, size, r);
	}
	room = r->len + (max > size ? max - size : 0);
	room = room < sizeof(body) ? room : sizeof(body);
	/* cppcheck-suppress knownConditionTrueFalse ; r->len may be 0 */
	if (r->len > room || !room)
		return size;
	memcpy(body, data + r->at, r->len);
	len = LLVMFuzzerMutate(body, r->len, room);
	memmove(data + r->at + len, data + end, size - end);
	memcpy(data + r->at, body, len);
	put_length(data, r, len);
	return size - r->len + len;
}
