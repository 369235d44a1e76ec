/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel lets the n-th allocation, or copy from or to user space, of a task fail:
 * Documentation/fault-injection, /proc/<pid>/fail-nth. It needs CONFIG_FAILSLAB,
 * CONFIG_FAIL_PAGE_ALLOC and CONFIG_FAULT_INJECTION_USERCOPY, which no release has.
 */
#ifndef FAULT_H
#define FAULT_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include "test_util.h"

#define FAIL_NTH	"/proc/thread-self/fail-nth"
#define DEBUGFS		"/sys/kernel/debug"
#define MANY		100000	/* more than anything here has */

/*
 * Where the C library has the kernel write into a thread's memory each time it is
 * scheduled (rseq), a copy that is made to fail is the end of the thread.
 */
__attribute__((constructor)) static void run_without_rseq(int argc, char **argv)
{
	(void)argc;
	if (!getenv("GLIBC_TUNABLES") && !setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1))
		execv("/proc/self/exe", argv);
}

/* Whatever is allocated may fail, and nobody prints what was made to fail. */
static inline int set_up_faults(void)
{
	static const char * const settings[][2] = {
		{ "failslab/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "fail_page_alloc/min-order", "0" },
		{ "failslab/verbose", "0" },
		{ "fail_page_alloc/verbose", "0" },
		{ "fail_usercopy/verbose", "0" },
	};
	int err;

	if (access(DEBUGFS "/failslab", F_OK) &&
	    mount("debugfs", DEBUGFS, "debugfs", 0, NULL) && errno != EBUSY)
		return -errno;
	for (unsigned int i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		char file[128];

		snprintf(file, sizeof(file), DEBUGFS "/%s", settings[i][0]);
		err = test_write(file, settings[i][1]);
		if (err)
			return err;
	}
	return 0;
}

/* The n-th from here on fails; none with 0. */
static inline void fail(int fd, unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	/* The copy of this very text may be the one that fails. */
	for (int i = 0; i < 2; i++)
		if (pwrite(fd, text, len, 0) == len)
			return;
	abort();
}

/* How many there were since then, n when the n-th was among them. */
static inline unsigned int ends(int fd, unsigned int n)
{
	char text[16] = "";

	/* Here as well. */
	if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
		return n - 1;
	fail(fd, 0);
	return n - strtoul(text, NULL, 10);
}

/* What a fault may come out as. */
static inline bool is_fault(int err)
{
	/* ENOLCK: posix_lock_file() without memory. */
	return err == -ENOMEM || err == -ENOBUFS || err == -EFAULT || err == -ENOLCK;
}

#endif
