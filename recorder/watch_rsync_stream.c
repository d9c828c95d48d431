/* Elements of rsync's wire, read from what has come of them. */
#include "config.h"

#include <string.h>

#include "recorder/watch_rsync_part.h"

int
rs_bytes(struct rs_cursor *c, size_t len, const uint8_t **ret_p)
{
	if (len > RS_ELEMENT_MAX - c->off)
		return RS_WRONG;
	if (len > c->len - c->off) {
		c->need = len - (c->len - c->off);
		return RS_SHORT;
	}
	*ret_p = c->p + c->off;
	c->off += len;
	return 0;
}

int
rs_u8(struct rs_cursor *c, uint8_t *ret_v)
{
	const uint8_t *p;
	int r;

	if ((r = rs_bytes(c, 1, &p)) == 0)
		*ret_v = p[0];
	return r;
}

int
rs_u16(struct rs_cursor *c, uint16_t *ret_v)
{
	const uint8_t *p;
	int r;

	if ((r = rs_bytes(c, 2, &p)) == 0)
		*ret_v = (uint16_t)(p[0] | p[1] << 8);
	return r;
}

/* Little-endian, of at most 8 bytes. */
static uint64_t
little(const uint8_t *p, size_t len)
{
	uint64_t v = 0;

	for (size_t i = len; i > 0; i--)
		v = v << 8 | p[i - 1];
	return v;
}

int
rs_i32(struct rs_cursor *c, int32_t *ret_v)
{
	const uint8_t *p;
	int r;

	if ((r = rs_bytes(c, 4, &p)) == 0)
		*ret_v = (int32_t)(uint32_t)little(p, 4);
	return r;
}

/* How many bytes the first one announces: its leading ones. */
static size_t
count_extra(uint8_t first)
{
	size_t n = 0;

	while (n < 6 && (first & (0x80u >> n)) != 0)
		n++;
	return n;
}

int
rs_varlong(struct rs_cursor *c, size_t min, int64_t *ret_v)
{
	const uint8_t *p;
	uint8_t first, b[9] = { 0 };
	size_t extra;
	int r;

	if ((r = rs_u8(c, &first)) != 0)
		return r;
	extra = count_extra(first);
	if (min + extra > sizeof(b) || (r = rs_bytes(c, min - 1 + extra, &p)) != 0)
		return min + extra > sizeof(b) ? RS_WRONG : r;
	/* Low bytes as they come; what is left of the first byte is the highest. */
	memcpy(b, p, min - 1 + extra);
	b[min - 1 + extra] = (uint8_t)(first & (0xffu >> extra));
	if (b[8] != 0)
		return RS_WRONG;
	*ret_v = (int64_t)little(b, 8);
	return 0;
}

int
rs_varint(struct rs_cursor *c, int32_t *ret_v)
{
	const uint8_t *p;
	uint8_t first, b[5] = { 0 };
	size_t extra;
	int r;

	if ((r = rs_u8(c, &first)) != 0)
		return r;
	if ((extra = count_extra(first)) > 4)
		return RS_WRONG;
	if ((r = rs_bytes(c, extra, &p)) != 0)
		return r;
	memcpy(b, p, extra);
	b[extra] = (uint8_t)(first & (0xffu >> extra));
	*ret_v = (int32_t)(uint32_t)little(b, 4);
	return 0;
}

int
rs_vstring(struct rs_cursor *c, size_t max, const uint8_t **ret_p, size_t *ret_len)
{
	uint8_t high, low;
	size_t len;
	int r;

	if ((r = rs_u8(c, &high)) != 0)
		return r;
	len = high;
	if ((high & 0x80) != 0) {
		if ((r = rs_u8(c, &low)) != 0)
			return r;
		len = (size_t)(high & 0x7f) << 8 | low;
	}
	if (len >= max)
		return RS_WRONG;
	if ((r = rs_bytes(c, len, ret_p)) == 0)
		*ret_len = len;
	return r;
}

/* The bytes behind 0xfe: a difference of 16 bits, or 31 bits of the number itself. */
static int
read_long_index(struct rs_cursor *c, int32_t before, uint32_t *ret_v)
{
	uint8_t b[4];
	int r;

	if ((r = rs_u8(c, &b[0])) != 0 || (r = rs_u8(c, &b[1])) != 0)
		return r;
	if ((b[0] & 0x80) == 0) {
		*ret_v = (uint32_t)before + ((uint32_t)b[0] << 8 | b[1]);
		return 0;
	}
	if ((r = rs_u8(c, &b[2])) != 0 || (r = rs_u8(c, &b[3])) != 0)
		return r;
	*ret_v = (uint32_t)(b[0] & 0x7f) << 24 | (uint32_t)b[3] << 16 | (uint32_t)b[2] << 8 | b[1];
	return 0;
}

int
rs_index(struct rs_cursor *c, struct rs_index *at, int32_t *ret_v)
{
	int32_t *before = &at->positive;
	uint32_t v;
	uint8_t b;
	int r;

	if ((r = rs_u8(c, &b)) != 0)
		return r;
	if (b == 0) {
		*ret_v = RS_DONE;
		return 0;
	}
	if (b == 0xff) {
		before = &at->negative;
		if ((r = rs_u8(c, &b)) != 0)
			return r;
	}
	if (b != 0xfe)
		v = (uint32_t)*before + b;
	else if ((r = read_long_index(c, *before, &v)) != 0)
		return r;
	if (v > INT32_MAX)
		return RS_WRONG;
	*ret_v = before == &at->negative ? -(int32_t)v : (int32_t)v;
	*before = (int32_t)v;
	return 0;
}
