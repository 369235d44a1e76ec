// SPDX-License-Identifier: GPL-2.0
/*
 * frozen STATS-DUMP - prints how long CRIU kept the tree frozen, and how long it took
 * to freeze it before that, in seconds.
 *
 * The file is two magic numbers, a size, and a stats_entry, whose field 1 is a
 * dump_stats_entry, whose field 2 is the frozen time in microseconds and whose field 1
 * the freezing time, both uint32 (criu/images/stats.proto).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct buf {
	const unsigned char *at, *end;
};

static uint64_t varint(struct buf *b)
{
	uint64_t n = 0;

	for (int shift = 0; b->at < b->end && shift < 64; shift += 7) {
		n |= (uint64_t)(*b->at & 0x7f) << shift;
		if (!(*b->at++ & 0x80))
			break;
	}
	return n;
}

/* A number, or the extent of what has a length; false when there is none. */
static bool find(struct buf b, unsigned int field, uint64_t *value, struct buf *inner)
{
	while (b.at < b.end) {
		uint64_t key = varint(&b), n = varint(&b);

		if ((key & 7) == 2) {
			if (n > (size_t)(b.end - b.at))
				return false;
			*inner = (struct buf){ b.at, b.at + n };
			b.at += n;
		} else if ((key & 7) != 0) {
			return false;
		}
		if (key >> 3 == field) {
			*value = n;
			return true;
		}
	}
	return false;
}

int main(int argc, char **argv)
{
	unsigned char data[4096];
	struct buf all, dump;
	uint64_t frozen, freezing;
	size_t n;
	FILE *f;

	f = argc == 2 ? fopen(argv[1], "re") : NULL;
	if (!f) {
		perror("frozen");
		return 1;
	}
	n = fread(data, 1, sizeof(data), f);
	if (n < 12)
		return 1;
	all = (struct buf){ data + 12, data + n };
	if (!find(all, 1, &frozen, &dump) || !find(dump, 2, &frozen, &all) ||
	    !find(dump, 1, &freezing, &all))
		return 1;
	printf("%.3f %.3f\n", frozen / 1e6, freezing / 1e6);
	return 0;
}
