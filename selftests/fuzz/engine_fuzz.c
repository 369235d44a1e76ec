// SPDX-License-Identifier: GPL-2.0
/*
 * Requests that reach the surrogate.  The first byte of an input says which
 * surrogate it is, then come requests as the kernel would write them, each
 * behind its length in two bytes.  The engine reads them from a socket that
 * keeps their bounds as /dev/fuse does; what it answers has to be what the
 * kernel takes (fuse_dev_do_write() in fs/fuse/dev.c, Linux 6.12).
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fuse.h>
#include <linux/fusecr.h>

#include "engine.h"
#include "fuzz.h"
#include "image.h"
#include "model.h"
#include "../image/messages.h"

#define LENGTH	2	/* bytes before a request */
#define STATX	52	/* FUSE_STATX, for older headers */
#define INODES	6
#define SOCKET	6	/* the node to which one is bound */
#define OPCODES	53

/* The first byte. */
#define PHASE	0x03
#define MODEL	0x0c

/* That latched nothing, that latched everything, and none. */
static struct model *models[3];
static int requests, device;	/* the two ends */

#define BOUND	3

/* By phase: an answer that is no error; and one to whoever binds a socket. */
const char *fuzz_goal(unsigned int n)
{
	static const char *const goals[] = {
		[ENGINE_DUMP] = "an answer at dump", [ENGINE_DYING] = "an answer to the dying",
		[ENGINE_RESTORE] = "an answer at restore", [BOUND] = "a socket bound anew",
	};

	return n < sizeof(goals) / sizeof(*goals) ? goals[n] : NULL;
}

/* --- what the kernel takes ----------------------------------------------------- */

static bool wants_no_reply(uint32_t opcode)
{
	return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT;
}

/* The kernel believes it for good: only what the saved connection believed too. */
static bool may_say_enosys(const struct model *m, uint32_t opcode)
{
	uint32_t no = m ? model_conn(m)->no : 0;

	switch (opcode) {
	case FUSE_OPEN:
		return no & FUSECR_NO_OPEN;
	case FUSE_OPENDIR:
		return no & FUSECR_NO_OPENDIR;
	case FUSE_FLUSH:
		return no & FUSECR_NO_FLUSH;
	case FUSE_ACCESS:
		return no & FUSECR_NO_ACCESS;
	case FUSE_POLL:
		return no & FUSECR_NO_POLL;
	default:
		return false;
	}
}

#define READ_MAX 2048

/* What comes with a reply that is no error; -1: anything would do. */
static long reply_size(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_LOOKUP:
	case FUSE_MKNOD:
		return sizeof(struct fuse_entry_out);
	case FUSE_GETATTR:
	case FUSE_SETATTR:
		return sizeof(struct fuse_attr_out);
	case STATX:	/* struct fuse_statx_out */
		return 288;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		return sizeof(struct fuse_open_out);
	case FUSE_STATFS:
		return sizeof(struct fuse_statfs_out);
	case FUSE_INIT:
		return sizeof(struct fuse_init_out);
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_FLUSH:
	case FUSE_ACCESS:
	case FUSE_DESTROY:
	case FUSE_UNLINK:
	case FUSE_RENAME:
		return 0;
	case FUSE_POLL:
		return sizeof(struct fuse_poll_out);
	default:	/* the engine has no answer but an error, but to READ */
		return -1;
	}
}

static void check_reply(const struct engine *e, const struct fuse_in_header *in,
			const struct fuse_out_header *out, size_t size)
{
	must(size >= sizeof(*out));
	must(out->len == size);
	must(out->unique == in->unique);
	must(out->error <= 0 && out->error > -512);
	must(!wants_no_reply(in->opcode));
	if (out->error) {
		must(size == sizeof(*out));
		must(out->error != -ENOSYS || may_say_enosys(e->model, in->opcode));
	} else if (in->opcode == FUSE_READ) {
		must(e->phase == ENGINE_RESTORE && size - sizeof(*out) < READ_MAX);
	} else {
		must((long)(size - sizeof(*out)) == reply_size(in->opcode));
	}
	if (!out->error)
		fuzz_reach(e->phase);
	if (!out->error && in->opcode == FUSE_MKNOD)
		fuzz_reach(BOUND);
}

/* --- one request ----------------------------------------------------------------- */

/* In the place of /proc: one half of all programs. */
static bool odd_pid(uint32_t pid, uint64_t unique, void *arg)
{
	(void)unique;
	(void)arg;
	return pid & 1;
}

/* At most one reply, and either that or a request that is held. */
static void serve(struct engine *e, const uint8_t *data, size_t size)
{
	static union {
		struct fuse_out_header head;
		char buf[4096];
	} reply;
	static uint8_t request[UINT16_MAX];
	struct fuse_read_in *read = (struct fuse_read_in *)(request + sizeof(struct fuse_in_header));
	struct fuse_in_header in = { 0 };
	size_t held = e->held;
	ssize_t n;
	int ret;

	memcpy(&in, data, size < sizeof(in) ? size : sizeof(in));
	memcpy(request, data, size);
	/* No more than a reply here has room for. */
	if (in.opcode == FUSE_READ && size >= sizeof(in) + sizeof(*read))
		read->size %= READ_MAX;
	must(send(requests, request, size, 0) == (ssize_t)size);
	ret = engine_serve(e, device);
	n = recv(requests, &reply, sizeof(reply), MSG_DONTWAIT);
	if (size < sizeof(in)) {
		must(ret == -EPROTO && n < 0);
		return;
	}
	must(ret == 1);
	if (n >= 0)
		check_reply(e, &in, &reply.head, n);
	must((n >= 0) + (e->held - held) + wants_no_reply(in.opcode) == 1);
	/* Nobody is left to answer what the dying ask. */
	must(e->phase != ENGINE_DYING || e->held == 0);
	must(recv(requests, &reply, sizeof(reply), MSG_DONTWAIT) < 0 && errno == EAGAIN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct handles handles = { 0 };
	struct engine e;
	size_t at, len;

	if (!size)
		return 0;
	must(!engine_init(&e, (data[0] & PHASE) % 3, 4096, &handles));
	e.model = models[(data[0] & MODEL) / 4 % 3];
	e.ours = data[0] & 0x10 ? NULL : odd_pid;
	for (at = 1; at + LENGTH < size; at += len) {
		len = data[at] | data[at + 1] << 8;
		at += LENGTH;
		len = len < size - at ? len : size - at;
		/* A socket tells an empty one from the end no better. */
		if (len)
			serve(&e, data + at, len);
	}
	engine_free(&e);
	return 0;
}

/* --- mutating ---------------------------------------------------------------- */

static bool find_request(const uint8_t *data, size_t size, unsigned int n, struct fuzz_record *r)
{
	size_t at, len;

	for (at = 1; at + LENGTH <= size; at += len) {
		len = data[at] | data[at + 1] << 8;
		at += LENGTH;
		if (len > size - at)
			break;
		*r = (struct fuzz_record){ at, len, LENGTH };
		if (!n--)
			return true;
	}
	return false;
}

/* Most of all possible opcodes do not exist. */
static size_t mutate_opcode(uint8_t *data, size_t size, const struct fuzz_record *r, unsigned int seed)
{
	const size_t at = offsetof(struct fuse_in_header, opcode);
	uint32_t opcode = seed % (OPCODES + 1);

	if (r->len >= at + sizeof(opcode))
		memcpy(data + r->at + at, &opcode, sizeof(opcode));
	return size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
	struct fuzz_record r;

	if (seed % 4 == 0 || !find_request(data, size, seed / 64 % 8, &r))
		return LLVMFuzzerMutate(data, size, max);
	if (seed % 16 == 1)
		return mutate_opcode(data, size, &r, seed / 512);
	return fuzz_mutate_record(data, size, max, &r, seed / 4);
}

/* --- beginning ----------------------------------------------------------------- */

static void write_image(int dirfd, enum image_kind kind, ProtobufCMessage *const *msgs, size_t count)
{
	struct image *img;
	size_t i;

	must(!image_create(&img, dirfd, kind, 1));
	for (i = 0; i < count; i++) {
		must(!image_write(img, msgs[i]));
		protobuf_c_message_free_unpacked(msgs[i], NULL);
	}
	must(!image_close(img));
}

/* A cookie. */
#define PASSED	4711

static uint32_t type_of(uint32_t nodeid)
{
	return nodeid == SOCKET ? S_IFSOCK : nodeid & 1 ? S_IFDIR : S_IFREG;
}

/* The root and what is in it: "f1" and so on, of which every other is a directory. */
static ProtobufCMessage *make_inode(uint32_t nodeid)
{
	ProtobufCMessage *msg = message_make(image_types[IMAGE_INODE].desc, nodeid);
	FuseInodeEntry *inode = (FuseInodeEntry *)msg;
	FuseNameEntry *name = inode->name[0];

	inode->nodeid = nodeid;
	inode->blkbits = 12 + 32 * (nodeid & 1);
	inode->mode = type_of(nodeid) | 0644;
	name->parent = FUSE_ROOT_ID;
	name->name.len = snprintf((char *)name->name.data, name->name.len, "f%u", nodeid);
	name->unhashed = 0;
	return msg;
}

static struct model *make_model(int dirfd, uint32_t no)
{
	ProtobufCMessage *msgs[INODES];
	struct model *m;
	uint32_t i;

	msgs[0] = message_make(image_types[IMAGE_CONN].desc, 1);
	((FuseConnEntry *)msgs[0])->no = no;
	write_image(dirfd, IMAGE_CONN, msgs, 1);
	for (i = 0; i < INODES; i++)
		msgs[i] = make_inode(i + 1);
	/* One that is passed through. */
	((FuseInodeEntry *)msgs[3])->backing = PASSED;
	write_image(dirfd, IMAGE_INODE, msgs, INODES);
	msgs[0] = message_make(image_types[IMAGE_FILE].desc, 1);
	((FuseFileEntry *)msgs[0])->nodeid = 2;
	msgs[1] = message_make(image_types[IMAGE_FILE].desc, 2);
	((FuseFileEntry *)msgs[1])->nodeid = SOCKET;
	((FuseFileEntry *)msgs[1])->use = FUSECR_FILE_SOCKET;
	write_image(dirfd, IMAGE_FILE, msgs, 2);
	msgs[0] = message_make(image_types[IMAGE_REQUEST].desc, 1);
	write_image(dirfd, IMAGE_REQUEST, msgs, 1);
	msgs[0] = message_make(image_types[IMAGE_MOUNT].desc, 1);
	write_image(dirfd, IMAGE_MOUNT, msgs, 1);
	msgs[0] = message_make(image_types[IMAGE_BACKING].desc, 1);
	((FuseBackingEntry *)msgs[0])->cookie = PASSED;
	((FuseBackingEntry *)msgs[0])->id = 1;
	write_image(dirfd, IMAGE_BACKING, msgs, 1);
	must(!model_load(&m, dirfd, 1, NULL));
	must(model_lookup(m, FUSE_ROOT_ID, "f2", 2));
	must(model_bound(m, FUSE_ROOT_ID, "f6", 2));
	return m;
}

/* For node 2, but for what names something in the root, or is the socket's. */
static uint64_t node_for(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_LOOKUP:
	case FUSE_MKNOD:
	case FUSE_UNLINK:
	case FUSE_RENAME:
		return FUSE_ROOT_ID;
	case FUSE_SETATTR:
		return SOCKET;
	default:
		return 2;
	}
}

/* One that any handler takes. */
static void put_body(uint8_t *body, uint32_t opcode)
{
	const struct fuse_mknod_in mknod = { .mode = S_IFSOCK | 0644 };
	const struct fuse_rename_in rename = { .newdir = FUSE_ROOT_ID };
	const uint64_t fh = ENGINE_FH_BASE;

	switch (opcode) {
	case FUSE_LOOKUP:
		memcpy(body, "f2", 2);
		break;
	case FUSE_MKNOD:
		memcpy(body, &mknod, sizeof(mknod));
		memcpy(body + sizeof(mknod), "f6", 2);
		break;
	case FUSE_UNLINK:
		memcpy(body, "f6", 2);
		break;
	case FUSE_RENAME:
		memcpy(body, &rename, sizeof(rename));
		memcpy(body + sizeof(rename), "f6\0f7", 5);
		break;
	default:
		memcpy(body, &fh, sizeof(fh));
	}
}

/* Appends a request of an opcode. */
static size_t put_request(uint8_t *buf, uint32_t opcode)
{
	struct fuse_in_header h = {
		.len = sizeof(h) + 64,
		.opcode = opcode,
		.unique = 2 * opcode,
		.nodeid = node_for(opcode),
		.pid = 1,
	};

	buf[0] = h.len;
	buf[1] = 0;
	memcpy(buf + LENGTH, &h, sizeof(h));
	memset(buf + LENGTH + sizeof(h), 0, 64);
	put_body(buf + LENGTH + sizeof(h), opcode);
	return LENGTH + h.len;
}

/* Each opcode in each phase, and some after an open. */
static void write_seeds(void)
{
	uint8_t buf[512];
	unsigned int opcode, phase;
	char name[32];
	size_t size;

	for (opcode = 1; opcode <= OPCODES; opcode++) {
		for (phase = ENGINE_DUMP; phase <= ENGINE_RESTORE; phase++) {
			buf[0] = phase;
			size = 1 + put_request(buf + 1, FUSE_OPEN);
			size += put_request(buf + size, opcode);
			snprintf(name, sizeof(name), "%u-%u", opcode, phase);
			fuzz_seed(name, buf, size);
		}
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char dir[200];
	int fds[2], dirfd = fuzz_directory(dir, sizeof(dir));

	(void)argc;
	(void)argv;
	if (fuzz_wants_seeds()) {
		write_seeds();
		exit(0);
	}
	models[0] = make_model(dirfd, 0);
	models[1] = make_model(dirfd, ~0u);
	must(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds));
	requests = fds[0];
	device = fds[1];
	return 0;
}
