/* What modules say, before a person's terminal shows it. */
#include "config.h"

#include <stdbool.h>
#include <string.h>

#include "bastiond/auth/auth.h"
#include "lib/str.h"

#define MARK "..."

static uint32_t
text_point(const uint8_t *p, size_t n)
{
	static const uint8_t head[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t c = p[0] & head[n];

	for (size_t i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3fu);
	return c;
}

/* Controls of every kind, and what reorders the characters around it (Unicode TR 9) or begins a line unseen. */
static bool
text_is_bad(uint32_t c)
{
	static const struct {
		uint32_t from, to;
	} bad[] = { { 0, 0x08 }, { 0x0b, 0x1f }, { 0x7f, 0x9f }, { 0x061c, 0x061c },
		{ 0x200e, 0x200f }, { 0x2028, 0x202e }, { 0x2066, 0x2069 }, { 0xfff9, 0xfffb } };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (c >= bad[i].from && c <= bad[i].to)
			return true;
	return false;
}

/* The next character of the n bytes at p: what stands for it, and how many bytes it was. */
static size_t
text_next(const uint8_t *p, size_t n, const uint8_t **ret_out, size_t *ret_out_len)
{
	size_t len = str_utf8_len(p, n);

	*ret_out = p;
	*ret_out_len = len;
	if (p[0] == '\r') {
		*ret_out = (const uint8_t *)"\n";
		return n > 1 && p[1] == '\n' ? 2 : 1;
	}
	if (len == 0 || text_is_bad(text_point(p, len))) {
		*ret_out = (const uint8_t *)"?";
		*ret_out_len = 1;
	}
	return len > 0 ? len : 1;
}

size_t
auth_text(char *dst, size_t size, const void *src, size_t len)
{
	const uint8_t *p = src, *out;
	size_t at = 0, mark = 0, n;

	while (len > 0) {
		size_t used = text_next(p, len, &out, &n);

		if (at + n >= size) {
			memcpy(dst + mark, MARK, strlen(MARK));
			at = mark + strlen(MARK);
			break;
		}
		memcpy(dst + at, out, n);
		at += n;
		if (at + strlen(MARK) < size)
			mark = at;
		p += used;
		len -= used;
	}
	dst[at] = '\0';
	return at;
}
