/* Days, hours and time zones, zones compared with libc's own reading of the same files. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "policy/hours.h"
#include "policy/zone.h"

static void
test_days(void **state)
{
	static const struct {
		const char *text;
		int days; /* -1: refused */
	} rows[] = { { "mon", 0x01 }, { "sun", 0x40 }, { "mon-fri", 0x1f }, { "sat-sun", 0x60 },
		{ "fri-mon", 0x71 }, { "mon-mon", 0x01 }, { "mon-sun", 0x7f }, { "", -1 },
		{ "Mon", -1 }, { "monday", -1 }, { "mon-", -1 }, { "-fri", -1 }, { "mon,tue", -1 },
		{ "mon fri", -1 }, { "1-5", -1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t days = 0;
		int r = hours_parse_days(rows[i].text, &days);

		assert_int_equal(r, rows[i].days < 0 ? ERR_FORMAT : 0);
		if (r == 0)
			assert_int_equal(days, rows[i].days);
	}
}

static void
test_spans(void **state)
{
	static const struct {
		const char *text;
		int from, to; /* -1: refused */
	} rows[] = { { "08:00-18:00", 480, 1080 }, { "00:00-24:00", 0, 1440 },
		{ "22:00-06:00", 1320, 360 }, { "23:59-00:01", 1439, 1 }, { "08:00-08:00", -1, 0 },
		{ "24:00-08:00", -1, 0 }, { "08:00-00:00", -1, 0 }, { "8:00-18:00", -1, 0 },
		{ "08:00 18:00", -1, 0 }, { "08:60-18:00", -1, 0 }, { "25:00-26:00", -1, 0 },
		{ "08:00-18:00 ", -1, 0 }, { "08-00-18-00", -1, 0 }, { "", -1, 0 },
		{ "08:00-24:01", -1, 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hours_span s = { 7, 7 };
		int r = hours_parse_span(rows[i].text, &s);

		assert_int_equal(r, rows[i].from < 0 ? ERR_FORMAT : 0);
		assert_int_equal(s.from, r == 0 ? rows[i].from : 7);
		assert_int_equal(s.to, r == 0 ? rows[i].to : 7);
	}
}

/* 2026-11-23 00:00:00 UTC is a Monday. */
#define MONDAY 1795392000ull
#define DAY 86400ull

static bool
holds(const struct hours *w, uint64_t s)
{
	return hours_hold(w, s * CLOCK_NS_PER_S);
}

static void
test_moments(void **state)
{
	struct hours w = { .limited = true, .days = 0x1f, .n_hours = 1 };

	(void)state;
	assert_int_equal(hours_parse_span("08:00-18:00", &w.hours[0]), 0);
	assert_false(holds(&w, MONDAY + 8 * 3600 - 1));
	assert_true(holds(&w, MONDAY + 8 * 3600));
	assert_true(holds(&w, MONDAY + 18 * 3600 - 1));
	assert_false(holds(&w, MONDAY + 18 * 3600));
	assert_true(holds(&w, MONDAY + 4 * DAY + 9 * 3600));
	assert_false(holds(&w, MONDAY + 5 * DAY + 9 * 3600));
	w.zone.fixed_s = 2 * 3600;
	assert_true(holds(&w, MONDAY + 6 * 3600));
	assert_false(holds(&w, MONDAY + 16 * 3600));
	w.zone.fixed_s = -5 * 3600;
	assert_false(holds(&w, MONDAY + 12 * 3600));
	assert_true(holds(&w, MONDAY + 13 * 3600));
	w.limited = false;
	assert_true(holds(&w, 0));
}

static void
test_over_midnight(void **state)
{
	/* From Friday evening to Saturday morning, not from Thursday's, not into Sunday's. */
	struct hours w = { .limited = true, .days = 1u << 4, .n_hours = 1 };

	(void)state;
	assert_int_equal(hours_parse_span("22:00-06:00", &w.hours[0]), 0);
	assert_true(holds(&w, MONDAY + 4 * DAY + 22 * 3600));
	assert_true(holds(&w, MONDAY + 5 * DAY + 6 * 3600 - 1));
	assert_false(holds(&w, MONDAY + 5 * DAY + 6 * 3600));
	assert_false(holds(&w, MONDAY + 4 * DAY + 5 * 3600));
	assert_false(holds(&w, MONDAY + 5 * DAY + 23 * 3600));
	w.days = 1u << 6; /* Sunday into Monday */
	assert_true(holds(&w, MONDAY + 3600));
	assert_false(holds(&w, MONDAY + 23 * 3600));
}

static void
test_the_first_days_of_all(void **state)
{
	struct hours w = { .limited = true, .days = 1u << 2, .zone = { .fixed_s = -3600 } };

	(void)state;
	assert_true(holds(&w, 0)); /* Wednesday evening, an hour west */
	w.days = 1u << 3;
	assert_false(holds(&w, 0));
	assert_true(holds(&w, 3600));
}

static void
test_fixed_offsets(void **state)
{
	static const struct {
		const char *name;
		int s; /* 1: refused */
	} rows[] = { { "UTC", 0 }, { "+02:00", 7200 }, { "-03:30", -12600 }, { "+00:00", 0 },
		{ "+14:00", 50400 }, { "+15:00", 1 }, { "+2:00", 1 }, { "02:00", 1 },
		{ "+02:60", 1 }, { "+02:0x", 1 }, { "utc", 1 }, { "", 1 },
		{ "../../etc/passwd", 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct zone_ref ref = { 0 };
		int r = zones_find(NULL, rows[i].name, &ref);

		assert_int_equal(r, rows[i].s == 1 ? ERR_NOT_FOUND : 0);
		if (r == 0)
			assert_int_equal(zone_offset_s(&ref, 0), rows[i].s);
	}
}

static int
libc_offset(int64_t t)
{
	time_t s = (time_t)t;
	struct tm tm;

	assert_non_null(localtime_r(&s, &tm));
	return (int)tm.tm_gmtoff;
}

/* Every hour for two years, every week for forty. */
static void
test_zones_as_libc_reads_them(void **state)
{
	static const char *const names[] = { "Europe/Berlin", "America/New_York",
		"Australia/Lord_Howe", "Asia/Kolkata", "America/St_Johns", "Africa/Casablanca",
		"Pacific/Chatham", "Asia/Gaza", "America/Nuuk", "Europe/Dublin", "Asia/Jerusalem",
		"America/Santiago", "UTC", "Etc/GMT+5", "Africa/Cairo", "Pacific/Kiritimati" };
	const int64_t now = (int64_t)(MONDAY);
	struct zones *z = NULL;
	size_t found = 0;

	(void)state;
	assert_int_equal(zones_load(ZONE_DIR, now, &z), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct zone_ref ref;

		if (zones_find(z, names[i], &ref) != 0)
			continue;
		found++;
		assert_int_equal(setenv("TZ", names[i], 1), 0);
		tzset();
		for (int64_t t = now; t < now + 2 * 366 * 86400; t += 3600)
			if (zone_offset_s(&ref, t) != libc_offset(t))
				fail_msg("%s at %lld", names[i], (long long)t);
		for (int64_t t = now; t < now + 40ll * 366 * 86400; t += 7 * 86400)
			if (zone_offset_s(&ref, t) != libc_offset(t))
				fail_msg("%s at %lld", names[i], (long long)t);
	}
	/* A machine without the database knows UTC, and that is what is tested then. */
	print_message("# %zu zones, %zu compared\n", zones_count(z), found);
	assert_true(found > 0);
	zones_free(z);
	assert_int_equal(unsetenv("TZ"), 0);
}

static void
test_a_missing_database(void **state)
{
	struct zones *z = NULL;
	struct zone_ref ref;

	(void)state;
	assert_int_equal(zones_load("/nonexistent", 0, &z), 0);
	assert_int_equal(zones_count(z), 0);
	assert_int_equal(zones_find(z, "Europe/Berlin", &ref), ERR_NOT_FOUND);
	assert_int_equal(zones_find(z, "UTC", &ref), 0);
	zones_free(z);
}

static void
test_zone_files_cut_anywhere(void **state)
{
	char *data = NULL;
	size_t len;

	(void)state;
	if (file_read(ZONE_DIR "/Europe/Berlin", 65536, &data, &len) != 0)
		return;
	for (size_t n = 0; n < len; n++) {
		uint8_t *cut = malloc(n > 0 ? n : 1);
		struct zone *z = NULL;

		memcpy(cut, data, n);
		assert_int_equal(zone_parse("x", cut, n, 0, &z), ERR_FORMAT);
		free(cut);
	}
	free(data);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_days),
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_moments),
		cmocka_unit_test(test_over_midnight),
		cmocka_unit_test(test_the_first_days_of_all),
		cmocka_unit_test(test_fixed_offsets),
		cmocka_unit_test(test_zones_as_libc_reads_them),
		cmocka_unit_test(test_a_missing_database),
		cmocka_unit_test(test_zone_files_cut_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
