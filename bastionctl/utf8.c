/* A table of lead bytes, then continuation bytes within their range (Unicode 15, table 3-7). */
#include "config.h"

#include <string.h>

#include "bastionctl/utf8.h"

static const struct {
	uint8_t first, last, need, lo, hi;
} utf8_leads[] = {
	{ 0xc2, 0xdf, 1, 0x80, 0xbf },
	{ 0xe0, 0xe0, 2, 0xa0, 0xbf },
	{ 0xe1, 0xec, 2, 0x80, 0xbf },
	{ 0xed, 0xed, 2, 0x80, 0x9f },
	{ 0xee, 0xef, 2, 0x80, 0xbf },
	{ 0xf0, 0xf0, 3, 0x90, 0xbf },
	{ 0xf1, 0xf3, 3, 0x80, 0xbf },
	{ 0xf4, 0xf4, 3, 0x80, 0x8f },
};

static enum utf8_step
utf8_lead(struct utf8 *u, uint8_t byte, uint32_t *ret_cp)
{
	if (byte < 0x80) {
		*ret_cp = byte;
		return UTF8_ONE;
	}
	for (size_t i = 0; i < sizeof(utf8_leads) / sizeof(utf8_leads[0]); i++)
		if (byte >= utf8_leads[i].first && byte <= utf8_leads[i].last) {
			u->need = utf8_leads[i].need;
			u->lo = utf8_leads[i].lo;
			u->hi = utf8_leads[i].hi;
			u->cp = byte & (0x3fu >> u->need);
			u->seen = 1;
			return UTF8_MORE;
		}
	return UTF8_BAD;
}

enum utf8_step
utf8_step(struct utf8 *u, uint8_t byte, uint32_t *ret_cp)
{
	if (u->need == 0)
		return utf8_lead(u, byte, ret_cp);
	if (byte < u->lo || byte > u->hi) {
		memset(u, 0, sizeof(*u));
		return UTF8_BAD_CUT;
	}
	u->cp = u->cp << 6 | (byte & 0x3fu);
	u->lo = 0x80;
	u->hi = 0xbf;
	u->seen++;
	if (--u->need > 0)
		return UTF8_MORE;
	*ret_cp = u->cp;
	memset(u, 0, sizeof(*u));
	return UTF8_ONE;
}

size_t
utf8_put(uint8_t *dst, uint32_t cp)
{
	if (cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		cp = UTF8_REPLACEMENT;
	if (cp < 0x80) {
		dst[0] = (uint8_t)cp;
		return 1;
	}
	if (cp < 0x800) {
		dst[0] = (uint8_t)(0xc0 | cp >> 6);
		dst[1] = (uint8_t)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp < 0x10000) {
		dst[0] = (uint8_t)(0xe0 | cp >> 12);
		dst[1] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
		dst[2] = (uint8_t)(0x80 | (cp & 0x3f));
		return 3;
	}
	dst[0] = (uint8_t)(0xf0 | cp >> 18);
	dst[1] = (uint8_t)(0x80 | (cp >> 12 & 0x3f));
	dst[2] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
	dst[3] = (uint8_t)(0x80 | (cp & 0x3f));
	return 4;
}

bool
utf8_is_partial(const struct utf8 *u)
{
	return u->need > 0;
}
