/*
 * Reading SSH's own encoding (RFC 4251 section 5) in place, without an allocation: for the message path.
 * A read that fails consumes nothing and says so; outputs are then untouched.
 */
#ifndef BASTION_RD_H
#define BASTION_RD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rd {
	const uint8_t *p;
	size_t len; /* bytes not yet read */
};

/* A piece of a message, borrowed from it. */
struct rd_str {
	const uint8_t *p;
	size_t len;
};

static inline struct rd
rd_over(const void *p, size_t len)
{
	return (struct rd){ .p = p, .len = len };
}

static inline bool
rd_u8(struct rd *r, uint8_t *ret_v)
{
	if (r->len < 1)
		return false;
	*ret_v = r->p[0];
	r->p += 1;
	r->len -= 1;
	return true;
}

static inline bool
rd_u32(struct rd *r, uint32_t *ret_v)
{
	if (r->len < 4)
		return false;
	*ret_v =
	    (uint32_t)r->p[0] << 24 | (uint32_t)r->p[1] << 16 | (uint32_t)r->p[2] << 8 | r->p[3];
	r->p += 4;
	r->len -= 4;
	return true;
}

static inline bool
rd_str(struct rd *r, struct rd_str *ret_s)
{
	struct rd at = *r;
	uint32_t n;

	if (!rd_u32(&at, &n) || n > at.len)
		return false;
	*ret_s = (struct rd_str){ .p = at.p, .len = n };
	at.p += n;
	at.len -= n;
	*r = at;
	return true;
}

/* Everything was read. */
static inline bool
rd_end(const struct rd *r)
{
	return r->len == 0;
}

static inline bool
rd_is(struct rd_str s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

/* A big-endian number into four bytes; where the next one goes. */
static inline uint8_t *
wr_u32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
	return p + 4;
}

#endif
