/* The fields of an SFTP packet. */
#include "config.h"

#include <string.h>

#include "recorder/fxp.h"

#define ATTR_SIZE 0x1u
#define ATTR_UIDGID 0x2u
#define ATTR_MODE 0x4u

void
fxp_cursor_init(struct fxp_cursor *c, const uint8_t *p, size_t have, size_t total)
{
	*c = (struct fxp_cursor){ .p = p, .have = have, .left = total };
}

static void
skip(struct fxp_cursor *c, size_t n)
{
	c->p += n;
	c->have -= n;
	c->left -= n;
}

/* n bytes that must all be there. */
static const uint8_t *
take(struct fxp_cursor *c, size_t n)
{
	const uint8_t *p = c->p;

	if (c->bad || c->cut)
		return NULL;
	if (n > c->left) {
		c->bad = true;
		return NULL;
	}
	if (n > c->have) {
		c->cut = true;
		return NULL;
	}
	skip(c, n);
	return p;
}

uint32_t
fxp_get_u32(struct fxp_cursor *c)
{
	const uint8_t *p = take(c, 4);

	if (p == NULL)
		return 0;
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

uint64_t
fxp_get_u64(struct fxp_cursor *c)
{
	uint64_t high = fxp_get_u32(c);

	return high << 32 | fxp_get_u32(c);
}

const uint8_t *
fxp_get_str(struct fxp_cursor *c, size_t *ret_len)
{
	uint32_t len = fxp_get_u32(c);
	const uint8_t *p = c->p;

	*ret_len = 0;
	if (c->bad || c->cut)
		return p;
	if (len > c->left) {
		c->bad = true;
		return p;
	}
	*ret_len = len;
	if (len > c->have) {
		*ret_len = c->have;
		c->cut = true;
	}
	skip(c, *ret_len);
	return p;
}

bool
fxp_is(const uint8_t *p, size_t len, const char *name)
{
	return strlen(name) == len && memcmp(p, name, len) == 0;
}

struct fxp_attrs
fxp_get_attrs(struct fxp_cursor *c)
{
	struct fxp_attrs a = { 0 };
	uint32_t flags = fxp_get_u32(c);

	if ((flags & ATTR_SIZE) != 0)
		a.size = fxp_get_u64(c);
	if ((flags & ATTR_UIDGID) != 0)
		(void)fxp_get_u64(c);
	if ((flags & ATTR_MODE) != 0)
		a.mode = fxp_get_u32(c);
	a.has_size = (flags & ATTR_SIZE) != 0 && !c->bad && !c->cut;
	a.has_mode = (flags & ATTR_MODE) != 0 && !c->bad && !c->cut;
	return a;
}
