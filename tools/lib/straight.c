// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/openat2.h>

#include "cleanup.h"
#include "straight.h"

int straight_open(int root, const char *path, uint64_t flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   (root == AT_FDCWD ? 0 : RESOLVE_IN_ROOT),
	};
	int fd = syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

uint32_t straight_mount(int fd)
{
	FILE *f cleanup(fclose_auto) = NULL;
	unsigned int id = 0;
	char line[256];

	snprintf(line, sizeof(line), "/proc/self/fdinfo/%d", fd);
	f = fopen(line, "re");
	while (f && !id && fgets(line, sizeof(line), f))
		if (sscanf(line, "mnt_id: %u", &id) != 1)
			id = 0;
	return id;
}
