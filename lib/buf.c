/* The bounded buffer: every message, file and packet of the project is built and parsed in one of these. */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"

struct buf {
	uint8_t *data;	   /* owned, or NULL; for a view: borrowed */
	const uint8_t *ro; /* what is read: data, or the foreign bytes */
	size_t size;	   /* bytes allocated */
	size_t max;	   /* bytes that may ever be held */
	size_t rd, wr;	   /* rd <= wr <= size */
	bool view;
};

#define BUF_FIRST 256 /* bytes of the first allocation */

struct buf *
buf_new(size_t max)
{
	struct buf *b = calloc(1, sizeof(*b));

	if (b != NULL)
		b->max = max;
	return b;
}

struct buf *
buf_view(const void *data, size_t len)
{
	struct buf *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->ro = data;
	b->size = b->max = b->wr = len;
	b->view = true;
	return b;
}

static void
buf_drop(struct buf *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->size);
	free(b->data);
	b->data = NULL;
	b->ro = NULL;
	b->size = b->rd = b->wr = 0;
}

void
buf_free(struct buf *b)
{
	if (b == NULL)
		return;
	if (!b->view)
		buf_drop(b);
	free(b);
}

void
buf_reset(struct buf *b)
{
	assert(!b->view);
	b->rd = b->wr = 0;
}

void
buf_shrink(struct buf *b, size_t keep)
{
	if (!b->view && b->rd == b->wr) {
		b->rd = b->wr = 0;
		if (b->size > keep)
			buf_drop(b);
	}
}

size_t
buf_len(const struct buf *b)
{
	return b->wr - b->rd;
}

const uint8_t *
buf_ptr(const struct buf *b)
{
	static const uint8_t none[1];

	return b->ro == NULL ? none : b->ro + b->rd;
}

size_t
buf_room(const struct buf *b)
{
	return b->view ? 0 : b->max - (b->wr - b->rd);
}

static int
buf_grow(struct buf *b, size_t need)
{
	size_t size = b->size < BUF_FIRST ? BUF_FIRST : b->size;
	uint8_t *data;

	while (size < need)
		size = size > b->max / 2 ? b->max : size * 2;
	if (size > b->max)
		size = b->max;
	data = malloc(size);
	if (data == NULL)
		return -ENOMEM;
	if (b->data != NULL) {
		memcpy(data, b->data, b->wr);
		explicit_bzero(b->data, b->size);
		free(b->data);
	}
	b->data = data;
	b->ro = data;
	b->size = size;
	return 0;
}

int
buf_make_room(struct buf *b, size_t len)
{
	if (b->view)
		return ERR_ORDER;
	if (len > buf_room(b))
		return ERR_LIMIT;
	/* Moving what is left costs no more than was read since; where it would, more room is taken while there is any. */
	if (len > b->size - b->wr && b->rd > 0 &&
	    (b->rd >= b->wr - b->rd || b->wr + len > b->max)) {
		memmove(b->data, b->data + b->rd, b->wr - b->rd);
		b->wr -= b->rd;
		b->rd = 0;
	}
	return len > b->size - b->wr ? buf_grow(b, b->wr + len) : 0;
}

int
buf_reserve(struct buf *b, size_t len, uint8_t **ret_p)
{
	int r = buf_make_room(b, len);

	if (r != 0)
		return r;
	if (ret_p != NULL)
		*ret_p = b->data + b->wr;
	b->wr += len;
	return 0;
}

int
buf_put(struct buf *b, const void *data, size_t len)
{
	uint8_t *p = NULL;
	int r;

	if (len == 0)
		return b->view ? ERR_ORDER : 0;
	if ((r = buf_reserve(b, len, &p)) != 0)
		return r;
	memcpy(p, data, len);
	return 0;
}

static int
buf_put_be(struct buf *b, uint64_t v, size_t n)
{
	uint8_t be[8];

	for (size_t i = 0; i < n; i++)
		be[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
	return buf_put(b, be, n);
}

int
buf_put_u8(struct buf *b, uint8_t v)
{
	return buf_put(b, &v, 1);
}

int
buf_put_u16(struct buf *b, uint16_t v)
{
	return buf_put_be(b, v, 2);
}

int
buf_put_u32(struct buf *b, uint32_t v)
{
	return buf_put_be(b, v, 4);
}

int
buf_put_u64(struct buf *b, uint64_t v)
{
	return buf_put_be(b, v, 8);
}

int
buf_put_str(struct buf *b, const void *data, size_t len)
{
	int r;

	if (b->view)
		return ERR_ORDER;
	if (len > UINT32_MAX || buf_room(b) < 4 || len > buf_room(b) - 4)
		return ERR_LIMIT;
	if ((r = buf_put_u32(b, (uint32_t)len)) != 0)
		return r;
	if ((r = buf_put(b, data, len)) != 0)
		b->wr -= 4;
	return r;
}

int
buf_put_cstr(struct buf *b, const char *s)
{
	return buf_put_str(b, s, strlen(s));
}

int
buf_put_varint(struct buf *b, uint64_t v)
{
	uint8_t bytes[10];
	size_t n = 0;

	do {
		bytes[n] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		v >>= 7;
		n++;
	} while (v != 0);
	return buf_put(b, bytes, n);
}

int
buf_get_ptr(struct buf *b, size_t len, const uint8_t **ret_p)
{
	if (len > b->wr - b->rd)
		return ERR_FORMAT;
	*ret_p = buf_ptr(b);
	b->rd += len;
	return 0;
}

int
buf_get(struct buf *b, void *ret_data, size_t len)
{
	const uint8_t *p;
	int r = buf_get_ptr(b, len, &p);

	if (r == 0 && len > 0)
		memcpy(ret_data, p, len);
	return r;
}

int
buf_skip(struct buf *b, size_t len)
{
	const uint8_t *p;

	return buf_get_ptr(b, len, &p);
}

static int
buf_get_be(struct buf *b, size_t n, uint64_t *ret_v)
{
	const uint8_t *p;
	uint64_t v = 0;
	int r = buf_get_ptr(b, n, &p);

	if (r != 0)
		return r;
	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	*ret_v = v;
	return 0;
}

int
buf_get_u8(struct buf *b, uint8_t *ret_v)
{
	return buf_get(b, ret_v, 1);
}

int
buf_get_u16(struct buf *b, uint16_t *ret_v)
{
	uint64_t v;
	int r = buf_get_be(b, 2, &v);

	if (r == 0)
		*ret_v = (uint16_t)v;
	return r;
}

int
buf_get_u32(struct buf *b, uint32_t *ret_v)
{
	uint64_t v;
	int r = buf_get_be(b, 4, &v);

	if (r == 0)
		*ret_v = (uint32_t)v;
	return r;
}

int
buf_get_u64(struct buf *b, uint64_t *ret_v)
{
	return buf_get_be(b, 8, ret_v);
}

int
buf_get_varint(struct buf *b, uint64_t *ret_v)
{
	const uint8_t *p = buf_ptr(b);
	size_t have = buf_len(b);
	uint64_t v = 0;

	for (size_t i = 0; i < have && i < 10; i++) {
		uint64_t bits = p[i] & 0x7f;

		/* The tenth byte holds one bit; a longer or padded form is not canonical. */
		if ((i == 9 && bits > 1) || (i > 0 && p[i] == 0))
			return ERR_FORMAT;
		v |= bits << (7 * i);
		if ((p[i] & 0x80) == 0) {
			b->rd += i + 1;
			*ret_v = v;
			return 0;
		}
	}
	return ERR_FORMAT;
}

int
buf_get_str(struct buf *b, const uint8_t **ret_p, size_t *ret_len)
{
	size_t rd = b->rd;
	uint32_t len;
	int r = buf_get_u32(b, &len);

	if (r == 0 && (r = buf_get_ptr(b, len, ret_p)) == 0) {
		*ret_len = len;
		return 0;
	}
	b->rd = rd;
	return r;
}

int
buf_get_cstr(struct buf *b, char *dst, size_t size)
{
	size_t rd = b->rd, len;
	const uint8_t *p;
	int r = buf_get_str(b, &p, &len);

	if (r != 0)
		return r;
	if (len >= size || memchr(p, '\0', len) != NULL) {
		b->rd = rd;
		return ERR_FORMAT;
	}
	memcpy(dst, p, len);
	dst[len] = '\0';
	return 0;
}

int
buf_end(const struct buf *b)
{
	return b->rd == b->wr ? 0 : ERR_FORMAT;
}
