// SPDX-License-Identifier: GPL-2.0
/* The bytes of a request and of its answer, see payload.h. */

#include <linux/highmem.h>
#include <linux/minmax.h>

#include "layout.h"
#include "payload.h"

u32 fusecr_payload_in_len(const struct fuse_args *args)
{
	unsigned int i, n = fl_args_in_count(args);
	u32 len = 0;

	for (i = 0; i < n; i++)
		len += fl_args_in_size(args, i);
	return len;
}

/* A piece may be more than a page of a folio. */
static void copy_piece(void *buf, const struct fl_piece *piece, u32 from,
		       u32 len, bool to_page)
{
	u32 offset = piece->offset + from;

	while (len) {
		u32 nth = offset >> PAGE_SHIFT, in_page = offset_in_page(offset);
		u32 n = min_t(u32, len, PAGE_SIZE - in_page);
		struct page *page = piece->page;
		void *addr;

		if (nth)
			page = folio_page(page_folio(page), nth);
		addr = kmap_local_page(page);
		if (to_page) {
			memcpy(addr + in_page, buf, n);
			flush_dcache_page(page);
		} else {
			memcpy(buf, addr + in_page, n);
		}
		kunmap_local(addr);
		buf += n;
		offset += n;
		len -= n;
	}
}

static void zero_piece(const struct fl_piece *piece, u32 from)
{
	static const char zeros[256];

	while (from < piece->length) {
		u32 n = min_t(u32, piece->length - from, sizeof(zeros));

		copy_piece((void *)zeros, piece, from, n, true);
		from += n;
	}
}

/* Copies bytes [from, from + len) of the pages that are the last argument. */
static void copy_pages(void *to, const struct fuse_args *args, u32 from,
		       u32 len)
{
	struct fl_piece piece;
	unsigned int i;

	for (i = 0; len && fl_args_piece(args, i, &piece); i++) {
		u32 n;

		if (from >= piece.length) {
			from -= piece.length;
			continue;
		}
		n = min(len, piece.length - from);
		if (piece.page)
			copy_piece(to, &piece, from, n, false);
		else
			memset(to, 0, n);
		to += n;
		len -= n;
		from = 0;
	}
	/* Fewer pages than the size says; fuse sends less, too. */
	memset(to, 0, len);
}

void fusecr_payload_in(void *to, const struct fuse_args *args, u32 from, u32 len)
{
	unsigned int i, n = fl_args_in_count(args);

	for (i = 0; len && i < n; i++) {
		u32 size = fl_args_in_size(args, i), part;

		if (from >= size) {
			from -= size;
			continue;
		}
		part = min(len, size - from);
		if (i == n - 1 && fl_args_in_pages(args))
			copy_pages(to, args, from, part);
		else
			memcpy(to, fl_args_in_value(args, i) + from, part);
		to += part;
		len -= part;
		from = 0;
	}
}

/* The pages that an answer's last argument goes to; the rest of them is 0. */
static void fill_pages(const struct fuse_args *args, const void *from, u32 len)
{
	bool zero = fl_bit(args, FL_ARGS_PAGE_ZEROING);
	struct fl_piece piece;
	unsigned int i;

	for (i = 0; (len || zero) && fl_args_piece(args, i, &piece); i++) {
		u32 n = min(len, piece.length);

		if (!piece.page)
			continue;
		copy_piece((void *)from, &piece, 0, n, true);
		if (zero)
			zero_piece(&piece, n);
		from += n;
		len -= n;
	}
}

int fusecr_payload_out(struct fuse_args *args, const struct fusecr_answer *a)
{
	unsigned int i, n = fl_args_out_count(args);
	const void *from = a->data;

	if (n != a->count)
		return -EIO;
	for (i = 0; i < n; i++) {
		u32 *room = fl_args_out_size(args, i);
		bool last = i == n - 1;

		if (a->size[i] > *room)
			return -EIO;
		if (a->size[i] < *room &&
		    !(last && fl_bit(args, FL_ARGS_OUT_ARGVAR)))
			return -EIO;
		*room = a->size[i];
		if (last && fl_bit(args, FL_ARGS_OUT_PAGES))
			fill_pages(args, from, a->size[i]);
		else
			memcpy(*fl_args_out_value(args, i), from, a->size[i]);
		from += a->size[i];
	}
	return 0;
}
