/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Rows of calls that broke something once, as FUZZ_RECORD leaves them, cut to what
 * is needed (fuzz_action.h).
 */
#ifndef FUZZ_FINDINGS_H
#define FUZZ_FINDINGS_H

static const struct finding {
	const char *name;
	const char *calls;
} findings[] = {
	{ "none: each ioctl once",
	  "o 0 0\n"
	  "t 0 0\n"
	  "k 0 0\n"
	  "b 0 0\n"
	  "r 0 0\n"
	  "i 0 4008fc01 C0\n"
	  "v 0 fc06\n"
	  "i 0 4030fc02 1e7 0 P1 0 C1 M 0 M 0 P0\n"
	  "i 0 4010fc03 N0 C0\n"
	  "i 0 4048fc04 P0 P0 0 0 1 0 N0 C0 C1 M 0 C0 M 300\n"
	  "i 0 4038fc11 P0 1 C0 M 0 P1 0 0 0 N0\n"
	  "i 0 4010fc13 P1 S0 N0\n"
	  "i 0 4038fc15 P0 0 3 0 N0 A 4 0 0 0 0 0\n"
	  "i 0 4010fc12 N0 M\n"
	  "i 0 4010fc05 C0 N0\n"
	  "i 0 4030fc14 1 P1 1 0 2 0 N0 C0 C0\n"
	  "i 0 4110fc09 2 1 0 0 S0 S1 N0 M 0 C1 C1 1d0 1f C1 C1 M 0 C0 M 0 M 0 P0 0 N0 N0 C0 2 0 C1 M 0 N0 140 1f C1 C0 N0 1 0 M 0 P0 0 4334827b f0025a31 N0 P1 0 ffffffff ffffffff C0\n"
	  "i 0 c008fc0b S1 9351df0c\n"
	  "i 0 8050fc0c C0 C1 P0 0 S1\n"
	  "i 0 8008fc0f M\n"
	  "i 0 4060fc10 D 16 33d86 0 5 0 M 0 P1 M A 3 M M 0 1 0 0 0 A A\n"
	  "i 0 c010fc07 D ffffffff\n"
	  "v 0 fc0d\n"
	  "i 0 fc0a\n"
	  "i 0 4028fc16 P0 0 3 0 N0 0 0 a\n"
	  "i 0 4008fc0e C1\n"
	  "i 0 fc08\n"
	  "l 0 0\n"
	  "u 1 0\n"
	  "c 0 0\n" },
};

#define FINDINGS	(sizeof(findings) / sizeof(*findings))

#endif
