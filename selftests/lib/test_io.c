// SPDX-License-Identifier: GPL-2.0
/* Raw system calls, as there need be no library for them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test_io.h"

#define PAGE	4096	/* aligned for O_DIRECT */
#define PIPE	(64 << 10)

static unsigned char byte_at(size_t at, int seed)
{
	return at * 7 + (at >> 8) * 13 + seed;
}

static void fill(char *buf, size_t len, off_t at, int seed)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = byte_at(at + i, seed);
}

static bool holds(const char *buf, size_t len, off_t at, int seed)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)buf[i] != byte_at(at + i, seed))
			return false;
	return true;
}

/* --- one system call ------------------------------------------------------------- */

static ssize_t move_read(int fd, char *buf, size_t len, off_t at)
{
	return pread(fd, buf, len, at);
}

static ssize_t move_write(int fd, char *buf, size_t len, off_t at)
{
	return pwrite(fd, buf, len, at);
}

/* Of what one process only uses nothing is closed: its end does that. */
static ssize_t move_splice_read(int fd, char *buf, size_t len, off_t at)
{
	static int fds[2];
	ssize_t n;

	if (!fds[1] && pipe2(fds, O_CLOEXEC))
		return -1;
	n = splice(fd, &at, fds[1], NULL, len < PIPE ? len : PIPE, 0);
	return n > 0 ? read(fds[0], buf, n) : n;
}

static ssize_t move_splice_write(int fd, char *buf, size_t len, off_t at)
{
	int fds[2];
	ssize_t n;

	/* With nothing in it that was left there. */
	if (pipe2(fds, O_CLOEXEC))
		return -1;
	n = write(fds[1], buf, len < PIPE ? len : PIPE);
	if (n > 0)
		n = splice(fds[0], NULL, fd, &at, n, 0);
	close(fds[0]);
	close(fds[1]);
	return n;
}

/* A file that is not on the mount. */
static int other(void)
{
	static int fd;

	if (!fd)
		fd = memfd_create("other", MFD_CLOEXEC);
	return fd;
}

static ssize_t move_sendfile_read(int fd, char *buf, size_t len, off_t at)
{
	ssize_t n;

	if (lseek(other(), at, SEEK_SET) != at)
		return -1;
	n = sendfile(other(), fd, &at, len);
	return n > 0 ? pread(other(), buf, n, at - n) : n;
}

static ssize_t move_sendfile_write(int fd, char *buf, size_t len, off_t at)
{
	if (pwrite(other(), buf, len, at) != (ssize_t)len ||
	    lseek(fd, at, SEEK_SET) != at)
		return -1;
	return sendfile(fd, other(), &at, len);
}

static ssize_t result(int64_t res)
{
	if (res >= 0)
		return res;
	errno = -res;
	return -1;
}

static ssize_t aio(int fd, char *buf, size_t len, off_t at, int opcode)
{
	static aio_context_t context;
	struct iocb cb = {
		.aio_fildes = fd, .aio_lio_opcode = opcode,
		.aio_buf = (uintptr_t)buf, .aio_nbytes = len, .aio_offset = at,
	};
	struct iocb *list = &cb;
	struct io_event event = { };
	int n;

	if (!context && syscall(SYS_io_setup, 1, &context))
		return -1;
	if (syscall(SYS_io_submit, context, 1, &list) != 1)
		return -1;
	/* Whatever disturbs a sleep is told as EINTR here, as a tracer would be. */
	do
		n = syscall(SYS_io_getevents, context, 1, 1, &event, NULL);
	while (n < 0 && errno == EINTR);
	return n == 1 ? result(event.res) : -1;
}

static ssize_t move_aio_read(int fd, char *buf, size_t len, off_t at)
{
	return aio(fd, buf, len, at, IOCB_CMD_PREAD);
}

static ssize_t move_aio_write(int fd, char *buf, size_t len, off_t at)
{
	return aio(fd, buf, len, at, IOCB_CMD_PWRITE);
}

struct ring {
	int fd;
	struct io_uring_params p;
	char *sq, *cq;
	struct io_uring_sqe *sqes;
};

static bool ring_open(struct ring *r)
{
	r->fd = syscall(SYS_io_uring_setup, 1, &r->p);
	if (r->fd < 0)
		return false;
	fcntl(r->fd, F_SETFD, FD_CLOEXEC);
	r->sq = mmap(NULL, r->p.sq_off.array + r->p.sq_entries * sizeof(uint32_t),
		     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd,
		     IORING_OFF_SQ_RING);
	r->cq = mmap(NULL, r->p.cq_off.cqes +
		     r->p.cq_entries * sizeof(struct io_uring_cqe),
		     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd,
		     IORING_OFF_CQ_RING);
	r->sqes = mmap(NULL, r->p.sq_entries * sizeof(*r->sqes),
		       PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd,
		       IORING_OFF_SQES);
	return r->sq != MAP_FAILED && r->cq != MAP_FAILED && r->sqes != MAP_FAILED;
}

static uint32_t *word(char *ring, uint32_t offset)
{
	return (uint32_t *)(ring + offset);
}

static void ring_put(struct ring *r, const struct io_uring_sqe *sqe)
{
	uint32_t *tail = word(r->sq, r->p.sq_off.tail);
	uint32_t at = *tail & *word(r->sq, r->p.sq_off.ring_mask);

	r->sqes[at] = *sqe;
	word(r->sq, r->p.sq_off.array)[at] = at;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
}

static bool ring_take(struct ring *r, int *res)
{
	uint32_t *head = word(r->cq, r->p.cq_off.head);
	uint32_t tail = __atomic_load_n(word(r->cq, r->p.cq_off.tail), __ATOMIC_ACQUIRE);
	const struct io_uring_cqe *cqes = (void *)(r->cq + r->p.cq_off.cqes);

	if (*head == tail)
		return false;
	*res = cqes[*head & *word(r->cq, r->p.cq_off.ring_mask)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return true;
}

static ssize_t uring(int fd, char *buf, size_t len, off_t at, int opcode)
{
	const struct io_uring_sqe sqe = {
		.opcode = opcode, .fd = fd, .addr = (uintptr_t)buf, .len = len,
		.off = at,
	};
	static struct ring ring;
	unsigned int submit = 1;
	int res, n;

	if (!ring.sqes && !ring_open(&ring))
		return -1;
	ring_put(&ring, &sqe);
	while (!ring_take(&ring, &res)) {
		n = syscall(SYS_io_uring_enter, ring.fd, submit, 1,
			    IORING_ENTER_GETEVENTS, NULL, 0);
		/* As with io_getevents(). */
		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0)
			submit = 0;
	}
	return result(res);
}

static ssize_t move_uring_read(int fd, char *buf, size_t len, off_t at)
{
	return uring(fd, buf, len, at, IORING_OP_READ);
}

static ssize_t move_uring_write(int fd, char *buf, size_t len, off_t at)
{
	return uring(fd, buf, len, at, IORING_OP_WRITE);
}

const struct io ios[] = {
	{ "read", O_RDONLY, false, move_read },
	{ "write", O_RDWR, true, move_write },
	{ "read_direct", O_RDONLY | O_DIRECT, false, move_read },
	{ "write_direct", O_RDWR | O_DIRECT, true, move_write },
	{ "splice_read", O_RDONLY, false, move_splice_read },
	{ "splice_write", O_RDWR, true, move_splice_write },
	{ "sendfile_read", O_RDONLY, false, move_sendfile_read },
	{ "sendfile_write", O_RDWR, true, move_sendfile_write },
	{ "aio_read", O_RDONLY | O_DIRECT, false, move_aio_read },
	{ "aio_write", O_RDWR | O_DIRECT, true, move_aio_write },
	{ "uring_read", O_RDONLY, false, move_uring_read },
	{ "uring_write", O_RDWR, true, move_uring_write },
	{ .name = NULL },
};

const struct io *io_find(const char *name)
{
	for (const struct io *io = ios; io->name; io++)
		if (!strcmp(io->name, name))
			return io;
	return NULL;
}

int io_possible(const struct io *io)
{
	struct ring ring = { };

	if (io->move != move_uring_read && io->move != move_uring_write)
		return 0;
	if (!ring_open(&ring))
		return -errno;
	close(ring.fd);
	return 0;
}

/* --- the whole file ---------------------------------------------------------------- */

/* How many system calls, or -errno. */
static int move_all(const struct io *io, int fd, char *buf, size_t size)
{
	size_t done = 0;
	int calls = 0;
	ssize_t n;

	while (done < size) {
		n = io->move(fd, buf + done, size - done, done);
		if (n <= 0)
			return n ? -errno : -ENODATA;
		done += n;
		calls++;
	}
	return calls;
}

int io_run(const struct io *io, const char *path, size_t size)
{
	char *buf = aligned_alloc(PAGE, size);
	int fd = open(path, io->flags | O_CLOEXEC), calls;

	if (!buf || fd < 0) {
		free(buf);
		return -errno;
	}
	if (io->write)
		fill(buf, size, 0, IO_NEW);
	calls = move_all(io, fd, buf, size);
	if (calls > 0 && !io->write && !holds(buf, size, 0, IO_OLD))
		calls = -EBADMSG;
	if (close(fd) && calls > 0)
		calls = -errno;
	free(buf);
	return calls;
}

int io_fill(const char *path, size_t size, int seed)
{
	char *buf = malloc(size);
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (!buf || fd < 0) {
		free(buf);
		return -errno;
	}
	fill(buf, size, 0, seed);
	if (write(fd, buf, size) != (ssize_t)size || fsync(fd))
		err = -errno;
	close(fd);
	free(buf);
	return err;
}

int io_compare(const char *path, size_t size, int seed)
{
	char *buf = aligned_alloc(PAGE, size);
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC), err = 0;

	if (!buf || fd < 0) {
		free(buf);
		return -errno;
	}
	if (pread(fd, buf, size, 0) != (ssize_t)size)
		err = -EIO;
	else if (!holds(buf, size, 0, seed))
		err = -EBADMSG;
	close(fd);
	free(buf);
	return err;
}
