/* The fields of an SFTP packet. */
#include "config.h"

#include <string.h>

#include "recorder/sftp.h"

#define ATTR_SIZE 0x1u
#define ATTR_UIDGID 0x2u
#define ATTR_MODE 0x4u

void
sftp_cursor_init(struct sftp_cursor *c, const uint8_t *p, size_t have, size_t total)
{
	*c = (struct sftp_cursor){ .p = p, .have = have, .left = total };
}

static void
skip(struct sftp_cursor *c, size_t n)
{
	c->p += n;
	c->have -= n;
	c->left -= n;
}

/* n bytes that must all be there. */
static const uint8_t *
take(struct sftp_cursor *c, size_t n)
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
sftp_u32(struct sftp_cursor *c)
{
	const uint8_t *p = take(c, 4);

	if (p == NULL)
		return 0;
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

uint64_t
sftp_u64(struct sftp_cursor *c)
{
	uint64_t high = sftp_u32(c);

	return high << 32 | sftp_u32(c);
}

const uint8_t *
sftp_str(struct sftp_cursor *c, size_t *ret_len)
{
	uint32_t len = sftp_u32(c);
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
sftp_is(const uint8_t *p, size_t len, const char *name)
{
	return strlen(name) == len && memcmp(p, name, len) == 0;
}

struct sftp_attrs
sftp_get_attrs(struct sftp_cursor *c)
{
	struct sftp_attrs a = { 0 };
	uint32_t flags = sftp_u32(c);

	if ((flags & ATTR_SIZE) != 0)
		a.size = sftp_u64(c);
	if ((flags & ATTR_UIDGID) != 0)
		(void)sftp_u64(c);
	if ((flags & ATTR_MODE) != 0)
		a.mode = sftp_u32(c);
	a.has_size = (flags & ATTR_SIZE) != 0 && !c->bad && !c->cut;
	a.has_mode = (flags & ATTR_MODE) != 0 && !c->bad && !c->cut;
	return a;
}
