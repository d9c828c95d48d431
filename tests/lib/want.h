/* The next field of a message is this one. */
#ifndef BASTION_TEST_WANT_H
#define BASTION_TEST_WANT_H

#include "lib/buf.h"
#include "tests/lib/test.h"

static inline void
want_u8(struct buf *b, uint8_t want)
{
	uint8_t v = 0;

	assert_int_equal(buf_get_u8(b, &v), 0);
	assert_int_equal(v, want);
}

static inline void
want_u32(struct buf *b, uint32_t want)
{
	uint32_t v = 0;

	assert_int_equal(buf_get_u32(b, &v), 0);
	assert_int_equal(v, want);
}

static inline void
want_u64(struct buf *b, uint64_t want)
{
	uint64_t v = 0;

	assert_int_equal(buf_get_u64(b, &v), 0);
	assert_true(v == want);
}

static inline void
want_cstr(struct buf *b, const char *want)
{
	char text[1024];

	assert_int_equal(buf_get_cstr(b, text, sizeof(text)), 0);
	assert_string_equal(text, want);
}

static inline void
want_str(struct buf *b, const void *want, size_t want_len)
{
	const uint8_t *p;
	size_t len;

	assert_int_equal(buf_get_str(b, &p, &len), 0);
	assert_int_equal(len, want_len);
	assert_memory_equal(p, want, len);
}

#endif
