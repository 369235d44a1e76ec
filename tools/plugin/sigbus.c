// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sigbus.h"

static uint32_t *devs;
static unsigned int count;
static struct sigaction before;

/* A number at *p, in base 16. */
static unsigned long number(const char **p)
{
	unsigned long n = 0;

	for (;; ++*p) {
		char c = **p;

		if (c >= '0' && c <= '9')
			n = n << 4 | (c - '0');
		else if (c >= 'a' && c <= 'f')
			n = n << 4 | (c - 'a' + 10);
		else
			return n;
	}
}

/* "start-end perms offset major:minor inode path": is it about addr, and ours? */
static bool is_ours(const char *line, unsigned long addr)
{
	unsigned long start, end, maj, min;

	start = number(&line);
	if (*line++ != '-')
		return false;
	end = number(&line);
	if (addr < start || addr >= end)
		return false;
	for (int blanks = 0; blanks < 3; line++) {
		if (!*line)
			return false;
		blanks += *line == ' ';
	}
	maj = number(&line);
	if (*line++ != ':')
		return false;
	min = number(&line);
	for (unsigned int i = 0; i < count; i++)
		if (major(devs[i]) == maj && minor(devs[i]) == min)
			return true;
	return false;
}

/* Only what a signal handler may call. */
static bool maps_ours(unsigned long addr)
{
	char line[128], buf[4096];
	size_t len = 0;
	bool found = false;
	ssize_t n;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	while (!found && (n = read(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; !found && i < n; i++) {
			if (buf[i] != '\n') {
				/* Of the path nothing is needed. */
				if (len < sizeof(line) - 1)
					line[len++] = buf[i];
				continue;
			}
			line[len] = '\0';
			len = 0;
			found = is_ours(line, addr);
		}
	}
	close(fd);
	return found;
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	unsigned long size = sysconf(_SC_PAGESIZE);
	unsigned long page = (unsigned long)info->si_addr & ~(size - 1);

	(void)context;
	if (maps_ours(page) &&
	    /* cppcheck-suppress leakReturnValNotUsed ; it lies where it was asked to */
	    mmap((void *)page, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED)
		return;
	/* Not our business: it happens again, and does what it would have done. */
	sigaction(sig, &before, NULL);
}

int sigbus_zero(uint32_t dev)
{
	struct sigaction sa = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	uint32_t *grown = reallocarray(devs, count + 1, sizeof(*grown));

	if (!grown)
		return -1;
	devs = grown;
	devs[count++] = dev;
	if (count == 1)
		sigaction(SIGBUS, &sa, &before);
	return 0;
}

void sigbus_restore(void)
{
	if (count)
		sigaction(SIGBUS, &before, NULL);
	count = 0;
	free(devs);
	devs = NULL;
}
