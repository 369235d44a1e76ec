/* SPDX-License-Identifier: GPL-2.0 */
/* What the fuzzers share: the real code is linked, and these are its surroundings. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* libFuzzer's interface, https://llvm.org/docs/LibFuzzer.html */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed);
/* Not there when inputs are only replayed. */
__attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

/* What must hold for every input.  Not assert(): the tools are built as always. */
#define must(cond) \
	((cond) ? (void)0 : fuzz_broken(__FILE__, __LINE__, #cond))

__attribute__((noreturn)) void fuzz_broken(const char *file, int line, const char *cond);

/*
 * A directory in memory for as long as the process lives, as a descriptor; the
 * path is in path.  Whoever runs the fuzzer removes what a crash leaves behind.
 */
int fuzz_directory(char *path, size_t len);

/*
 * With FUSECR_FUZZ_SEEDS=DIRECTORY in the environment a fuzzer only writes the
 * inputs to begin with: true, and fuzz_seed() writes one of them.
 */
int fuzz_wants_seeds(void);
void fuzz_seed(const char *name, const void *data, size_t size);

/*
 * What the kept inputs are for, by number, and NULL behind the last; each fuzzer
 * has its own.  Inputs of an older format are refused at the door and break
 * nothing: a replay fails when none of them reaches a goal.
 */
#define FUZZ_GOALS	32
const char *fuzz_goal(unsigned int n);
void fuzz_reach(unsigned int n);
unsigned long fuzz_reached(unsigned int n);

/* A part of an input behind its length, which is width bytes, little endian. */
struct fuzz_record {
	size_t at;	/* of the first byte behind the length */
	size_t len;
	unsigned int width;
};

/*
 * Changes the record, takes it out or doubles it, and puts the length right: by
 * itself a mutation that moves bytes makes the length wrong, and all that
 * follows is noise.  Returns the new size of the input.
 */
size_t fuzz_mutate_record(uint8_t *data, size_t size, size_t max,
			  const struct fuzz_record *r, unsigned int seed);

#endif
