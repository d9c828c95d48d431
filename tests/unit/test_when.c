/* Times as people and our JSON write them; everything else is refused. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "bastionctl/when.h"
#include "lib/clock.h"

static void
test_utc_is_exact(void **state)
{
	char text[CLOCK_TEXT_SIZE];
	uint64_t ns;

	(void)state;
	assert_int_equal(when_parse_utc("2026-01-02T03:04:05.000000006Z", &ns), 0);
	assert_true(ns == 1767323045000000006ull);
	clock_text(text, sizeof(text), ns);
	assert_string_equal(text, "2026-01-02T03:04:05.000000006Z");
	assert_int_equal(when_parse_utc("2024-02-29T00:00:00Z", &ns), 0);
	assert_int_equal(when_parse_utc("2026-01-02T03:04:05.5Z", &ns), 0);
	assert_true(ns == 1767323045500000000ull);
}

static void
test_utc_refuses_what_is_not_quite_it(void **state)
{
	static const char *const bad[] = { "", "2026-01-02", "2026-01-02T03:04:05",
		"2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05.Z",
		"2026-01-02T03:04:05.0000000000Z", "2026-13-02T03:04:05Z", "2026-02-29T03:04:05Z",
		"2026-00-01T00:00:00Z", "2026-01-02T24:00:00Z", "2026-01-02t03:04:05Z",
		" 2026-01-02T03:04:05Z", "2026-01-02T03:04:05Zx", "1969-12-31T23:59:59Z",
		"99999-01-01T00:00:00Z" };
	uint64_t ns = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(when_parse_utc(bad[i], &ns), ERR_FORMAT);
	assert_int_equal(ns, 77);
}

static void
test_people_may_say_it_shorter(void **state)
{
	const uint64_t now = 1767323045000000000ull;
	uint64_t ns;

	(void)state;
	setenv("TZ", "UTC-2", 1); /* two hours east */
	tzset();
	assert_int_equal(when_parse("2h", now, &ns), 0);
	assert_true(ns == now - 7200 * CLOCK_NS_PER_S);
	assert_int_equal(when_parse("40000d", now, &ns), 0);
	assert_int_equal(ns, 0);
	assert_int_equal(when_parse("2026-01-02T03:04:05Z", now, &ns), 0);
	assert_true(ns == now);
	assert_int_equal(when_parse("2026-01-02 05:04:05", now, &ns), 0);
	assert_true(ns == now);
	assert_int_equal(when_parse("2026-01-02T05:04", now, &ns), 0);
	assert_true(ns == now - 5 * CLOCK_NS_PER_S);
	assert_int_equal(when_parse("2026-01-02", now, &ns), 0);
	assert_true(ns == now - (5 * 3600 + 4 * 60 + 5) * CLOCK_NS_PER_S);
	assert_int_equal(when_parse("yesterday", now, &ns), ERR_FORMAT);
	assert_int_equal(when_parse("2026-01-02 ", now, &ns), ERR_FORMAT);
	assert_int_equal(when_parse("5", now, &ns), ERR_FORMAT);
}

static void
test_offsets(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = { { "0", 0 }, { "90", 90000 }, { "90.25", 90250 }, { "1:30", 90000 },
		{ "1:02:03.5", 3723500 }, { "90s", 90000 }, { "500ms", 500 }, { "1m30s", 90000 },
		{ "00:01:30", 90000 }, { "2h5s10ms", 7205010 } };
	static const char *const bad[] = { "", "-5", "1:60", "1:2:3:4", "1.", ".5", "1:", ":1",
		"5x", "12345678", "1 ", "30s1m", "1m1m", "1m30", "1m30s ", "m", "1m-1s" };
	uint64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(when_parse_offset(good[i].text, &ns), 0);
		assert_true(ns == good[i].ms * CLOCK_NS_PER_MS);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(when_parse_offset(bad[i], &ns), ERR_FORMAT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utc_is_exact),
		cmocka_unit_test(test_utc_refuses_what_is_not_quite_it),
		cmocka_unit_test(test_people_may_say_it_shorter),
		cmocka_unit_test(test_offsets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
