/* SPDX-License-Identifier: GPL-2.0 */
/* What tests of the module have in common: servers, clients, privileges. */
#ifndef TEST_UTIL_H
#define TEST_UTIL_H

#include <stdbool.h>
#include <sys/types.h>

#include "rawfs.h"
#include "test_nl.h"

/* Mounts of this test are seen by no one else, and end with it. 0 or -errno. */
int test_own_mounts(void);

/*
 * What nearly every test begins with: mounts of its own, a server, a conversation
 * with the module, and the server's connection. 0 or -errno; what is there then is
 * for the test to end.
 */
int test_up(const struct rawfs_config *config, struct rawfs **fs, struct tnl *nl,
	    uint64_t *id);

/*
 * A process that does one thing. It is killed when the test ends, whatever it
 * waits for; the result of @work is what test_client_wait() returns.
 */
struct test_client {
	pid_t pid;
	int result;	/* pipe */
};

int test_client_start(struct test_client *client, int (*work)(void *arg),
		      void *arg);
/* Also -ECHILD when it ended without a result. */
int test_client_wait(struct test_client *client);
/* Whether it has not ended yet. */
bool test_client_busy(const struct test_client *client);
void test_client_kill(struct test_client *client);
/* Waits until it sleeps in the system call @nr; false when it does not. */
bool test_sleeps_in(pid_t pid, int nr);

/* "/tmp/rawfs.x/" and @name, in one of a few static buffers. */
const char *test_path(const struct rawfs *fs, const char *name);

/* To be used as a client's work; @arg is a path. They return 0 or -errno. */
int test_stat(void *path);
int test_open(void *path);
int test_mkdir(void *path);

/* Drop to this user and group with no capabilities but these. 0 or -errno. */
int test_drop(uid_t uid, uint64_t capabilities);

/* Waits until it is in this function of the kernel's, and in none whose name has @but. */
bool test_waits_in(pid_t pid, const char *function, const char *but);

/* Whether the module knows that of this kernel's fuse. */
bool test_has_passthrough(void);

/* For what can only be asked again, and for what is not to happen. */
void test_nap(unsigned int ms);

/* Writes a file at once. 0 or -errno. */
int test_write(const char *path, const char *text);
/* Unused dentries and inodes go, which sends their FORGETs. */
int test_drop_caches(void);

/* Nothing of clients that have ended is open or locked, or is going to be for a minute. */
bool test_let_go(const struct rawfs *fs);
/* Nor does the server count a lookup that the kernel, its caches dropped, does not know of. */
bool test_forgotten(const struct rawfs *fs);
/* Mounts fusectl if it is not, and writes to a file of the connection. */
int test_fusectl(const struct rawfs *fs, const char *file);
/* The number that is in one; -1 when there is none. */
int test_fusectl_number(const struct rawfs *fs, const char *file);
/*
 * What is made dirty stays so until somebody asks, or for half a minute: without a
 * share of its own a FUSE mount may have next to nothing dirty (mm/page-writeback.c,
 * __wb_calc_thresh() under BDI_CAP_STRICTLIMIT).
 */
int test_keep_dirty(const struct rawfs *fs);

/*
 * Asks again until @count requests in @state are told, which is when they have
 * been queued. 0, or -ETIMEDOUT after 10 s.
 */
int test_wait_requests(struct tnl *nl, uint64_t conn_id, uint32_t state,
		       unsigned int count, struct tnl_list *list);
/* The same for the state of the connection. */
int test_wait_state(struct tnl *nl, uint64_t conn_id, uint32_t mask,
		    uint32_t value);

/* In a message, @count times @fd.  0 or -errno. */
#define TEST_SEND_MAX	200	/* of what the kernel takes: 253 */
int test_send(int sock, int fd, int count);

#endif
