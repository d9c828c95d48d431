/* The bounded buffer: its promises one by one, then a million random operations against a plain model. */
#include "config.h"

#include <errno.h>

#include "tests/lib/test.h"

#include "lib/buf.h"

static void
test_put_over_the_maximum_appends_nothing(void **state)
{
	struct buf *b = buf_new(5);

	(void)state;
	assert_int_equal(buf_put(b, "abc", 3), 0);
	assert_int_equal(buf_put(b, "def", 3), ERR_LIMIT);
	assert_int_equal(buf_put_u32(b, 1), ERR_LIMIT);
	assert_int_equal(buf_put_u64(b, 1), ERR_LIMIT);
	assert_int_equal(buf_put_str(b, "", 0), ERR_LIMIT);
	assert_int_equal(buf_put(b, "x", SIZE_MAX), ERR_LIMIT);
	assert_int_equal(buf_put_str(b, "x", SIZE_MAX), ERR_LIMIT);
	assert_int_equal(buf_len(b), 3);
	assert_int_equal(buf_room(b), 2);
	assert_int_equal(buf_put_u16(b, 0x6465), 0);
	assert_memory_equal(buf_ptr(b), "abcde", 5);
	assert_int_equal(buf_put_u8(b, 1), ERR_LIMIT);
	assert_int_equal(buf_put(b, NULL, 0), 0);
	buf_free(b);
}

static void
test_read_room_is_written_again(void **state)
{
	struct buf *b = buf_new(4);
	char c;

	(void)state;
	assert_int_equal(buf_put(b, "abcd", 4), 0);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(buf_get(b, &c, 1), 0);
		assert_int_equal(c, "abcd"[i % 4]);
		assert_int_equal(buf_put(b, &c, 1), 0);
	}
	assert_int_equal(buf_len(b), 4);
	buf_free(b);
}

static void
test_get_short_consumes_nothing(void **state)
{
	static const uint8_t three[] = { 1, 2, 3 };
	struct buf *b = buf_view(three, sizeof(three));
	uint8_t data[8] = { 9, 9, 9, 9, 9, 9, 9, 9 };
	const uint8_t *p = data;
	size_t len = 77;
	uint64_t u64 = 77;
	uint32_t u32 = 77;
	char s[4] = "x";

	(void)state;
	assert_int_equal(buf_get(b, data, 4), ERR_FORMAT);
	assert_int_equal(buf_get_u32(b, &u32), ERR_FORMAT);
	assert_int_equal(buf_get_u64(b, &u64), ERR_FORMAT);
	assert_int_equal(buf_get_ptr(b, 4, &p), ERR_FORMAT);
	assert_int_equal(buf_get_str(b, &p, &len), ERR_FORMAT);
	assert_int_equal(buf_get_cstr(b, s, sizeof(s)), ERR_FORMAT);
	assert_int_equal(buf_skip(b, SIZE_MAX), ERR_FORMAT);
	assert_int_equal(buf_end(b), ERR_FORMAT);
	assert_int_equal(buf_len(b), 3);
	assert_true(data[0] == 9 && p == data && len == 77 && u64 == 77 && u32 == 77);
	assert_string_equal(s, "x");
	assert_int_equal(buf_skip(b, 3), 0);
	assert_int_equal(buf_end(b), 0);
	buf_free(b);
}

static void
test_numbers_are_big_endian(void **state)
{
	static const uint8_t want[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	struct buf *b = buf_new(100);
	uint8_t u8 = 0;
	uint16_t u16 = 0;
	uint32_t u32 = 0;
	uint64_t u64 = 0;

	(void)state;
	assert_int_equal(buf_put_u8(b, 1), 0);
	assert_int_equal(buf_put_u16(b, 0x0203), 0);
	assert_int_equal(buf_put_u32(b, 0x04050607), 0);
	assert_int_equal(buf_put_u64(b, 0x08090a0b0c0d0e0full), 0);
	assert_int_equal(buf_len(b), sizeof(want));
	assert_memory_equal(buf_ptr(b), want, sizeof(want));
	assert_int_equal(buf_get_u8(b, &u8), 0);
	assert_int_equal(buf_get_u16(b, &u16), 0);
	assert_int_equal(buf_get_u32(b, &u32), 0);
	assert_int_equal(buf_get_u64(b, &u64), 0);
	assert_true(u8 == 1 && u16 == 0x0203 && u32 == 0x04050607 && u64 == 0x08090a0b0c0d0e0full);
	buf_free(b);
}

static void
test_strings_whose_length_lies(void **state)
{
	static const uint8_t lies[] = { 0, 0, 0, 3, 'a', 'b' },
			     huge[] = { 0xff, 0xff, 0xff, 0xff, 0 };
	struct buf *b = buf_view(lies, sizeof(lies));
	const uint8_t *p = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(buf_get_str(b, &p, &len), ERR_FORMAT);
	assert_int_equal(buf_len(b), 6);
	buf_free(b);
	b = buf_view(huge, sizeof(huge));
	assert_int_equal(buf_get_str(b, &p, &len), ERR_FORMAT);
	assert_int_equal(buf_len(b), 5);
	assert_null(p);
	buf_free(b);
}

static void
test_c_strings_have_no_nul_inside_and_fit(void **state)
{
	struct buf *b = buf_new(100);
	char s[4] = "x";

	(void)state;
	assert_int_equal(buf_put_str(b, "a\0b", 3), 0);
	assert_int_equal(buf_get_cstr(b, s, sizeof(s)), ERR_FORMAT);
	assert_int_equal(buf_len(b), 7);
	buf_reset(b);
	assert_int_equal(buf_put_cstr(b, "abcd"), 0);
	assert_int_equal(buf_get_cstr(b, s, sizeof(s)), ERR_FORMAT);
	assert_int_equal(buf_get_cstr(b, s, 0), ERR_FORMAT);
	assert_string_equal(s, "x");
	buf_reset(b);
	assert_int_equal(buf_put_cstr(b, "abc"), 0);
	assert_int_equal(buf_put_cstr(b, ""), 0);
	assert_int_equal(buf_get_cstr(b, s, sizeof(s)), 0);
	assert_string_equal(s, "abc");
	assert_int_equal(buf_get_cstr(b, s, 1), 0);
	assert_string_equal(s, "");
	buf_free(b);
}

static void
test_a_view_is_read_only(void **state)
{
	struct buf *b = buf_view("abc", 3), *none = buf_view(NULL, 0);
	uint8_t *p = NULL;
	char c = 0;

	(void)state;
	assert_int_equal(buf_put(b, "x", 1), ERR_ORDER);
	assert_int_equal(buf_put(b, NULL, 0), ERR_ORDER);
	assert_int_equal(buf_put_str(b, "", 0), ERR_ORDER);
	assert_int_equal(buf_reserve(b, 1, &p), ERR_ORDER);
	assert_int_equal(buf_make_room(b, 1), ERR_ORDER);
	assert_null(p);
	assert_int_equal(buf_room(b), 0);
	assert_int_equal(buf_get(b, &c, 1), 0);
	buf_shrink(b, 0);
	assert_int_equal(buf_len(b), 2);
	assert_memory_equal(buf_ptr(b), "bc", 2);
	assert_non_null(buf_ptr(none));
	assert_int_equal(buf_end(none), 0);
	buf_free(none);
	buf_free(b);
	buf_free(NULL);
}

static void
test_varint_takes_one_form_only(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int r;
		uint64_t v;
	} cases[] = {
		{ "\x00", 1, 0, 0 },
		{ "\x7f", 1, 0, 127 },
		{ "\x80\x01", 2, 0, 128 },
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, 0, UINT64_MAX },
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, ERR_FORMAT, 0 },
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x01", 11, ERR_FORMAT, 0 },
		{ "\x80\x00", 2, ERR_FORMAT, 0 }, /* padded */
		{ "\x80", 1, ERR_FORMAT, 0 },	  /* cut */
		{ "", 0, ERR_FORMAT, 0 },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct buf *b = buf_view(cases[i].bytes, cases[i].len);
		uint64_t v = 77;

		assert_int_equal(buf_get_varint(b, &v), cases[i].r);
		assert_true(v == (cases[i].r == 0 ? cases[i].v : 77));
		assert_int_equal(buf_len(b), cases[i].r == 0 ? 0 : cases[i].len);
		buf_free(b);
	}
}

static void
test_shrink_gives_memory_back_only_when_empty(void **state)
{
	struct buf *b = buf_new(100000);
	uint8_t *p = NULL;

	(void)state;
	assert_int_equal(buf_reserve(b, 50000, &p), 0);
	memset(p, 7, 50000);
	buf_shrink(b, 0);
	assert_int_equal(buf_len(b), 50000);
	assert_int_equal(buf_ptr(b)[49999], 7);
	assert_int_equal(buf_skip(b, 50000), 0);
	buf_shrink(b, 0);
	assert_int_equal(buf_len(b), 0);
	assert_int_equal(buf_room(b), 100000);
	assert_int_equal(buf_put(b, "abc", 3), 0);
	assert_memory_equal(buf_ptr(b), "abc", 3);
	buf_free(b);
}

/* The model: an array and two numbers. */

#define MODEL_MAX 3000

struct model {
	uint8_t data[MODEL_MAX];
	size_t len, max;
};

static void
model_drop(struct model *m, size_t n)
{
	memmove(m->data, m->data + n, m->len - n);
	m->len -= n;
}

static void
try_put(struct buf *b, struct model *m, uint32_t *seed, bool string)
{
	uint8_t data[700];
	size_t n = test_random(seed) % sizeof(data), head = string ? 4 : 0;
	int r;

	for (size_t i = 0; i < n; i++)
		data[i] = (uint8_t)test_random(seed);
	r = string ? buf_put_str(b, data, n) : buf_put(b, data, n);
	assert_int_equal(r, m->len + head + n <= m->max ? 0 : ERR_LIMIT);
	if (r != 0)
		return;
	if (string) {
		uint8_t be[4] = { 0, 0, (uint8_t)(n >> 8), (uint8_t)n };

		memcpy(m->data + m->len, be, 4);
	}
	memcpy(m->data + m->len + head, data, n);
	m->len += head + n;
}

static void
try_get(struct buf *b, struct model *m, uint32_t *seed)
{
	uint8_t data[700];
	size_t n = test_random(seed) % sizeof(data);
	int r = buf_get(b, data, n);

	assert_int_equal(r, n <= m->len ? 0 : ERR_FORMAT);
	if (r != 0)
		return;
	assert_memory_equal(data, m->data, n);
	model_drop(m, n);
}

static void
try_get_str(struct buf *b, struct model *m)
{
	const uint8_t *p = NULL;
	size_t len = 0, want = 0;
	bool good = m->len >= 4;

	if (good) {
		want = (size_t)m->data[0] << 24 | (size_t)m->data[1] << 16 |
		       (size_t)m->data[2] << 8 | m->data[3];
		good = want <= m->len - 4;
	}
	assert_int_equal(buf_get_str(b, &p, &len), good ? 0 : ERR_FORMAT);
	if (!good)
		return;
	assert_int_equal(len, want);
	assert_memory_equal(p, m->data + 4, len);
	model_drop(m, 4 + len);
}

static void
test_random_operations_agree_with_a_model(void **state)
{
	static const size_t maxima[] = { 0, 1, 255, 256, 257, 1000, MODEL_MAX };
	uint32_t seed = 1;

	(void)state;
	for (size_t k = 0; k < N_OF(maxima); k++) {
		struct model m = { .max = maxima[k] };
		struct buf *b = buf_new(m.max);

		for (int i = 0; i < 20000; i++) {
			uint32_t what = test_random(&seed) % 16;

			if (what < 6) {
				try_put(b, &m, &seed, what < 2);
			} else if (what < 12) {
				try_get(b, &m, &seed);
			} else if (what < 14) {
				try_get_str(b, &m);
			} else if (what == 14 && test_random(&seed) % 8 == 0) {
				buf_reset(b);
				m.len = 0;
			} else {
				buf_shrink(b, test_random(&seed) % 2000);
			}
			assert_int_equal(buf_len(b), m.len);
			assert_int_equal(buf_room(b), m.max - m.len);
			assert_memory_equal(buf_ptr(b), m.data, m.len);
		}
		buf_free(b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_over_the_maximum_appends_nothing),
		cmocka_unit_test(test_read_room_is_written_again),
		cmocka_unit_test(test_get_short_consumes_nothing),
		cmocka_unit_test(test_numbers_are_big_endian),
		cmocka_unit_test(test_strings_whose_length_lies),
		cmocka_unit_test(test_c_strings_have_no_nul_inside_and_fit),
		cmocka_unit_test(test_a_view_is_read_only),
		cmocka_unit_test(test_varint_takes_one_form_only),
		cmocka_unit_test(test_shrink_gives_memory_back_only_when_empty),
		cmocka_unit_test(test_random_operations_agree_with_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
