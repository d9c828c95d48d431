/*
 * The grammar of what a replay may write, written down a second time and apart from the code under test: for the unit test
 * and the fuzz target of vt_safe.
 */
#ifndef BASTION_TESTS_VT_ALLOWED_H
#define BASTION_TESTS_VT_ALLOWED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool
vt_allowed_number(const uint8_t *p, const uint8_t *end, size_t *ret_len)
{
	unsigned v = 0;
	size_t n = 0;

	while (p + n < end && p[n] >= '0' && p[n] <= '9' && n < 6)
		v = v * 10 + (unsigned)(p[n++] - '0');
	*ret_len = n;
	return v <= 65535;
}

/* Behind ESC [: bytes of the sequence, 0: not allowed. */
static inline size_t
vt_allowed_csi(const uint8_t *p, const uint8_t *end)
{
	static const char *const modes[] = { "?47h", "?47l", "?1047h", "?1047l", "?1048h", "?1048l",
		"?1049h", "?1049l" };
	size_t at = 0, n;

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if ((size_t)(end - p) >= strlen(modes[i]) &&
		    memcmp(p, modes[i], strlen(modes[i])) == 0)
			return strlen(modes[i]);
	for (;;) {
		if (!vt_allowed_number(p + at, end, &n))
			return 0;
		at += n;
		if (p + at >= end)
			return 0;
		if (p[at] != ';' && p[at] != ':')
			break;
		at++;
	}
	if (p[at] == '\0' || strchr("mABCDEFG`adeHfIZsuJKX@PLMSTbr", p[at]) == NULL)
		return 0;
	if (p[at] == 'J' && at > 0 && (at > 1 || p[0] > '2')) /* erasing the scrollback is not */
		return 0;
	return at + 1;
}

/* Bytes of one character from U+0080 that is shown; 0: not allowed. */
static inline size_t
vt_allowed_utf8(const uint8_t *p, const uint8_t *end)
{
	size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	uint32_t cp = p[0] & (0xffu >> (n + 1));

	if (p[0] < 0xc2 || p[0] > 0xf4 || (size_t)(end - p) < n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		cp = cp << 6 | (p[i] & 0x3f);
	}
	if (cp < 0xa0 || (n == 3 && cp < 0x800) || (n == 4 && cp < 0x10000) || cp > 0x10ffff)
		return 0;
	if ((cp >= 0xd800 && cp < 0xe000) || (cp >= 0x200e && cp <= 0x200f) ||
	    (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069) || cp == 0x61c ||
	    cp == 0xfeff || (cp >= 0xe0000 && cp <= 0xe007f))
		return 0;
	return n;
}

/* Offset of the first byte that may not reach a terminal; len: all of it may. */
static inline size_t
vt_allowed(const void *data, size_t len)
{
	const uint8_t *p = data, *end = p + len;

	while (p < end) {
		size_t n = 0;

		if ((*p >= 0x20 && *p < 0x7f) || *p == '\b' || *p == '\t' || *p == '\n' ||
		    *p == '\r')
			n = 1;
		else if (*p >= 0x80)
			n = vt_allowed_utf8(p, end);
		else if (*p == 0x1b && end - p >= 2 && p[1] == '[')
			n = vt_allowed_csi(p + 2, end);
		else if (*p == 0x1b && end - p >= 2 && p[1] != '\0' &&
			 strchr("78DEM", p[1]) != NULL)
			n = 2;
		if (n == 0)
			break;
		p += *p == 0x1b && p[1] == '[' ? n + 2 : n;
	}
	return (size_t)(p - (const uint8_t *)data);
}

#endif
