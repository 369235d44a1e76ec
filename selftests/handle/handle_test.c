// SPDX-License-Identifier: GPL-2.0
/* The handle itself: who may have one, whom it owns, how it ends. */
#include <linux/capability.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "test_handle.h"
#include "test_util.h"

FIXTURE(handle) {
	struct rawfs *fs;
	struct tnl nl;
	uint64_t id;
};

FIXTURE_SETUP(handle)
{
	struct rawfs_config config;

	rawfs_defaults(&config);
	ASSERT_EQ(0, test_up(&config, &self->fs, &self->nl, &self->id));
}

FIXTURE_TEARDOWN(handle)
{
	EXPECT_STREQ("", self->nl.leak);
	tnl_close(&self->nl);
	EXPECT_EQ(0, rawfs_down(self->fs));
}

static bool held(struct tnl *nl, uint64_t id)
{
	struct tnl_list list;
	uint32_t state = 0;

	if (tnl_conn(nl, id, &list) == 0)
		state = tnl_u32(&list.v[0], FUSECR_CONN_STATE);
	tnl_free(&list);
	return state & FUSECR_CONN_HELD;
}

#define ALL_BUT_ADMIN \
	(((1ULL << (CAP_LAST_CAP + 1)) - 1) & ~(1ULL << CAP_SYS_ADMIN))

/* What a client is given, and what it says. */
struct call {
	int fd;
	uid_t uid;
	uint64_t capabilities;
	uint64_t id;
};

static int open_as(void *arg)
{
	const struct call *call = arg;
	int fd, err = test_drop(call->uid, call->capabilities);

	if (err)
		return -EXDEV;
	fd = th_open();
	return fd < 0 ? fd : 0;
}

static int attach_as(void *arg)
{
	const struct call *call = arg;

	if (test_drop(call->uid, call->capabilities))
		return -EXDEV;
	return th_attach_fd(call->fd, call->id);
}

TEST_F(handle, open_asks_for_a_capability)
{
	struct call call = { .uid = 1000 };
	struct test_client client;

	ASSERT_EQ(0, test_client_start(&client, open_as, &call));
	EXPECT_EQ(-EPERM, test_client_wait(&client));
	call.capabilities = ALL_BUT_ADMIN;
	ASSERT_EQ(0, test_client_start(&client, open_as, &call));
	EXPECT_EQ(-EPERM, test_client_wait(&client));
	call.capabilities = 1ULL << CAP_SYS_ADMIN;
	ASSERT_EQ(0, test_client_start(&client, open_as, &call));
	EXPECT_EQ(0, test_client_wait(&client));
}

TEST_F(handle, is_closed_on_exec)
{
	int fd = th_open();

	ASSERT_LE(0, fd);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	close(fd);
}

static int open_the_last(void *arg)
{
	int at = dup(STDIN_FILENO), fd;
	struct rlimit none;

	close(at);
	/* One for the socket. */
	none = (struct rlimit){ at + 2, at + 2 };
	if (setrlimit(RLIMIT_NOFILE, &none))
		return -errno;
	fd = th_open();
	if (fd != at + 1)
		return fd < 0 ? fd : -ESTALE;
	close(fd);
	none.rlim_cur = at + 1;
	return setrlimit(RLIMIT_NOFILE, &none) ? -errno : th_open();
}

TEST_F(handle, needs_a_descriptor)
{
	struct test_client client;

	ASSERT_EQ(0, test_client_start(&client, open_the_last, NULL));
	EXPECT_EQ(-EMFILE, test_client_wait(&client));
}

TEST_F(handle, each_call_asks_for_a_capability)
{
	struct call call = {
		.uid = 1000, .id = self->id, .capabilities = ALL_BUT_ADMIN,
	};
	struct test_client client;

	call.fd = th_open();
	ASSERT_LE(0, call.fd);
	ASSERT_EQ(0, test_client_start(&client, attach_as, &call));
	EXPECT_EQ(-EPERM, test_client_wait(&client));
	EXPECT_FALSE(held(&self->nl, self->id));
	close(call.fd);

	call.capabilities = 1ULL << CAP_SYS_ADMIN;
	call.fd = th_open();
	ASSERT_LE(0, call.fd);
	ASSERT_EQ(0, test_client_start(&client, attach_as, &call));
	EXPECT_EQ(0, test_client_wait(&client));
	EXPECT_TRUE(held(&self->nl, self->id));
	close(call.fd);
}

TEST_F(handle, nothing_works_before_attach)
{
	int fd = th_open();

	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOTCONN, th_set_conn(fd, (struct fusecr_set_conn){}));
	EXPECT_EQ(-ENOTCONN, th_set_inode(fd, 1, 1));
	EXPECT_EQ(-ENOTCONN, th_set_file(fd, (struct fusecr_set_file){}));
	EXPECT_EQ(-ENOTCONN, th_forget(fd, 2, 1));
	EXPECT_EQ(-ENOTCONN, th_admit(fd, 1));
	EXPECT_EQ(-ENOTCONN, th_requeue(fd, 0, 0));
	EXPECT_EQ(-ENOTCONN, th_commit(fd));
	close(fd);
}

TEST_F(handle, unknown_calls_are_refused)
{
	struct {
		struct fusecr_set_conn first;
		uint64_t more;
	} larger = {};
	int fd = th_attach(self->id);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOTTY, th_call(fd, _IO(FUSECR_IOC_MAGIC, 99), NULL));
	EXPECT_EQ(-ENOTTY, th_call(fd, _IOW(FUSECR_IOC_MAGIC, 2, larger),
				   &larger));
	EXPECT_EQ(-ENOTTY, th_call(fd, _IOW(FUSECR_IOC_MAGIC, 2, uint32_t),
				   &larger));
	EXPECT_EQ(-EFAULT, th_call(fd, FUSECR_IOC_SET_CONN, (void *)8));
	EXPECT_EQ(-EINVAL, th_admit(fd, 2));
	close(fd);
}

TEST_F(handle, attach_owns_exclusively)
{
	int first = th_open(), second = th_open();

	ASSERT_LE(0, first);
	ASSERT_LE(0, second);
	EXPECT_EQ(-ENOENT, th_attach_fd(first, 0));
	EXPECT_EQ(-ENOENT, th_attach_fd(first, ~self->id));
	EXPECT_FALSE(held(&self->nl, self->id));
	ASSERT_EQ(0, th_attach_fd(first, self->id));
	EXPECT_TRUE(held(&self->nl, self->id));
	EXPECT_EQ(-EBUSY, th_attach_fd(first, self->id));
	EXPECT_EQ(-EBUSY, th_attach_fd(second, self->id));
	EXPECT_EQ(-ENOTCONN, th_commit(second));
	close(first);
	EXPECT_FALSE(held(&self->nl, self->id));
	EXPECT_EQ(0, th_attach_fd(second, self->id));
	close(second);
}

TEST_F(handle, owns_one_of_two_connections)
{
	struct rawfs_config config;
	struct rawfs *other;
	uint64_t id;
	int one, two;

	rawfs_defaults(&config);
	other = rawfs_up(&config, false);
	ASSERT_NE(NULL, other);
	id = tnl_conn_id(&self->nl, other->dev);
	ASSERT_NE(0, id);
	ASSERT_NE(self->id, id);
	one = th_attach(self->id);
	ASSERT_LE(0, one);
	EXPECT_FALSE(held(&self->nl, id));
	two = th_attach(id);
	EXPECT_LE(0, two);
	close(one);
	EXPECT_TRUE(held(&self->nl, id));
	close(two);
	EXPECT_EQ(0, rawfs_down(other));
}

/* The descriptor that was duplicated counts as long as it is open. */
TEST_F(handle, ends_with_the_last_descriptor)
{
	int fd = th_attach(self->id), copy;

	ASSERT_LE(0, fd);
	copy = dup(fd);
	close(fd);
	EXPECT_TRUE(held(&self->nl, self->id));
	EXPECT_EQ(0, th_commit(copy));
	close(copy);
	EXPECT_FALSE(held(&self->nl, self->id));
}

TEST_F(handle, open_handle_keeps_the_module)
{
	int fd = th_open();

	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, syscall(SYS_delete_module, "fusecr", O_NONBLOCK));
	EXPECT_EQ(EAGAIN, errno);
	close(fd);
}

TEST_F(handle, unmount_ends_with_the_handle)
{
	struct tnl_list list;
	int fd = th_attach(self->id);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, rawfs_umount(self->fs));
	EXPECT_EQ(0, tnl_conn(&self->nl, self->id, &list));
	tnl_free(&list);
	EXPECT_EQ(0, th_set_conn(fd, (struct fusecr_set_conn){
			.mask = FUSECR_SET_NEXT_KH, .next_kh = 77 }));
	close(fd);
	/* The server sees its end: rawfs_down() waits for it. */
}

/* A server that is gone leaves a connection that can still be owned. */
TEST_F(handle, attach_to_an_aborted_connection)
{
	int fd;

	ASSERT_EQ(0, rawfs_kill(self->fs));
	ASSERT_EQ(0, test_wait_state(&self->nl, self->id,
				     FUSECR_CONN_CONNECTED, 0));
	fd = th_attach(self->id);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, th_forget(fd, rawfs_nodeid(1), 1));
	EXPECT_EQ(-ENOTCONN, th_commit(fd));
	close(fd);
}

TEST_HARNESS_MAIN
