/* Strict numbers, spans and sizes. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/num.h"

static void
test_parse_refuses_what_is_not_plain_decimal(void **state)
{
	static const char *const bad[] = { "", " 1", "1 ", "+1", "-1", "01", "0x10", "1e3", "1_000",
		"one" };
	uint64_t v = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(num_parse(bad[i], 0, UINT64_MAX, &v), ERR_FORMAT);
	assert_int_equal(v, 77);
}

static void
test_parse_keeps_to_the_range(void **state)
{
	uint64_t v = 77;

	(void)state;
	assert_int_equal(num_parse("0", 1, 65535, &v), ERR_LIMIT);
	assert_int_equal(num_parse("65536", 1, 65535, &v), ERR_LIMIT);
	assert_int_equal(num_parse("18446744073709551616", 0, UINT64_MAX, &v), ERR_LIMIT);
	assert_int_equal(v, 77);
	assert_int_equal(num_parse("65535", 1, 65535, &v), 0);
	assert_int_equal(v, 65535);
	assert_int_equal(num_parse("18446744073709551615", 0, UINT64_MAX, &v), 0);
	assert_true(v == UINT64_MAX);
}

static void
test_span_needs_its_unit(void **state)
{
	uint64_t v = 77;

	(void)state;
	assert_int_equal(num_parse_span("30", &v), ERR_FORMAT);
	assert_int_equal(num_parse_span("30sec", &v), ERR_FORMAT);
	assert_int_equal(num_parse_span("99999999999999d", &v), ERR_LIMIT);
	assert_int_equal(v, 77);
	assert_int_equal(num_parse_span("500ms", &v), 0);
	assert_int_equal(v, 500000000);
	assert_int_equal(num_parse_span("2m", &v), 0);
	assert_true(v == 120000000000ull);
}

static void
test_size_units_are_powers_of_1024(void **state)
{
	uint64_t v = 77;

	(void)state;
	assert_int_equal(num_parse_size("1k", &v), ERR_FORMAT);
	assert_int_equal(num_parse_size("1KB", &v), ERR_FORMAT);
	assert_int_equal(v, 77);
	assert_int_equal(num_parse_size("64K", &v), 0);
	assert_int_equal(v, 65536);
	assert_int_equal(num_parse_size("200G", &v), 0);
	assert_true(v == 200ull << 30);
}

static void
test_arithmetic_overflow_is_an_error(void **state)
{
	uint64_t v = 77;
	uint32_t w = 7;

	(void)state;
	assert_int_equal(num_add(UINT64_MAX, 1, &v), ERR_LIMIT);
	assert_int_equal(num_mul(UINT64_MAX, 2, &v), ERR_LIMIT);
	assert_int_equal(num_u32((size_t)UINT32_MAX + 1, &w), ERR_LIMIT);
	assert_int_equal(v, 77);
	assert_int_equal(w, 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_refuses_what_is_not_plain_decimal),
		cmocka_unit_test(test_parse_keeps_to_the_range),
		cmocka_unit_test(test_span_needs_its_unit),
		cmocka_unit_test(test_size_units_are_powers_of_1024),
		cmocka_unit_test(test_arithmetic_overflow_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
