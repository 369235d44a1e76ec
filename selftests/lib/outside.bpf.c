// SPDX-License-Identifier: GPL-2.0
/* All open files and mappings of FUSE mounts, as the kernel's iterators come by. */
#include <linux/bpf.h>
#include <linux/magic.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "outside.h"

#define FMODE_PATH	0x4000	/* include/linux/fs.h, 6.1 to 7.3 */
#define S_IFMT		00170000
#define S_IFDIR		0040000
#define S_IFREG		0100000

/* As much of them as is read; where that is, the running kernel's BTF says. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct super_block {
	unsigned long s_magic;
	unsigned int s_dev;
};

struct inode {
	unsigned short i_mode;
	struct super_block *i_sb;
};

struct file {
	struct inode *f_inode;
	void *private_data;
	unsigned int f_mode;
	unsigned int f_flags;
	long long f_pos;
};

struct fuse_inode {
	struct inode inode;
	__u64 nodeid;
	__u64 nlookup;
};

struct fuse_file {
	__u64 kh;
	__u64 fh;
	__u64 nodeid;
	__u32 open_flags;
};

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	struct file *vm_file;
};

struct task_struct {
	int tgid;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

#pragma clang attribute pop

/* As kernel/bpf/task_iter.c has them: pointers of 64 bits everywhere. */
#define POINTER(type, name) \
	union { struct type *name; __u64 name##_64; } __attribute__((aligned(8)))

struct bpf_iter__task_file {
	POINTER(bpf_iter_meta, meta);
	POINTER(task_struct, task);
	__u32 fd __attribute__((aligned(8)));
	POINTER(file, file);
};

struct bpf_iter__task_vma {
	POINTER(bpf_iter_meta, meta);
	POINTER(task_struct, task);
	POINTER(vm_area_struct, vma);
};

char _license[] SEC("license") = "GPL";

/* Whether a fuse_file is behind it. */
static int is_open(struct file *file, struct inode *inode)
{
	unsigned short type = BPF_CORE_READ(inode, i_mode) & S_IFMT;

	return (type == S_IFREG || type == S_IFDIR) &&
	       !(BPF_CORE_READ(file, f_mode) & FMODE_PATH);
}

static void tell(struct seq_file *seq, int tgid, struct file *file,
		 unsigned long long number, unsigned long long end)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct super_block *sb = BPF_CORE_READ(inode, i_sb);
	struct outside_file out = { .pid = tgid, .number = number, .end = end };
	struct fuse_inode *fi = (void *)inode;
	struct fuse_file *ff;

	if (BPF_CORE_READ(sb, s_magic) != FUSE_SUPER_MAGIC)
		return;
	out.dev = BPF_CORE_READ(sb, s_dev);
	out.inode_nodeid = BPF_CORE_READ(fi, nodeid);
	out.nlookup = BPF_CORE_READ(fi, nlookup);
	out.pos = BPF_CORE_READ(file, f_pos);
	out.flags = BPF_CORE_READ(file, f_flags);
	if (is_open(file, inode)) {
		ff = BPF_CORE_READ(file, private_data);
		out.nodeid = BPF_CORE_READ(ff, nodeid);
		out.fh = BPF_CORE_READ(ff, fh);
		out.kh = BPF_CORE_READ(ff, kh);
		out.open_flags = BPF_CORE_READ(ff, open_flags);
	}
	bpf_seq_write(seq, &out, sizeof(out));
}

/* What the context has is known not to be NULL only once it was taken from there. */
SEC("iter/task_file")
int each_file(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;

	if (task && file)
		tell(ctx->meta->seq, task->tgid, file, ctx->fd, 0);
	return 0;
}

SEC("iter/task_vma")
int each_mapping(struct bpf_iter__task_vma *ctx)
{
	struct task_struct *task = ctx->task;
	struct vm_area_struct *vma = ctx->vma;

	if (task && vma && vma->vm_file)
		tell(ctx->meta->seq, task->tgid, vma->vm_file, vma->vm_start,
		     vma->vm_end);
	return 0;
}
