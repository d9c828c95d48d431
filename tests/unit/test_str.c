/* Text helpers: nothing of a peer's gets through raw, nothing overruns, nothing is half decoded. */
#include "config.h"

#include "tests/lib/test.h"

#include "lib/str.h"

static void
test_escape_leaves_printable_ascii_only(void **state)
{
	char dst[2000];
	uint8_t all[256];

	(void)state;
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)i;
	str_escape(dst, sizeof(dst), all, sizeof(all));
	for (const char *p = dst; *p != '\0'; p++)
		assert_true(*p >= 0x20 && *p < 0x7f);
	assert_string_equal(
	    str_escape(dst, sizeof(dst), "a\\b\n\x1b\xff", 6), "a\\\\b\\x0a\\x1b\\xff");
	assert_string_equal(str_escape(dst, sizeof(dst), "a\0b", 3), "a\\x00b");
	assert_string_equal(str_escape(dst, sizeof(dst), NULL, 0), "");
}

static void
test_escape_cuts_only_what_does_not_fit(void **state)
{
	char dst[16];

	(void)state;
	assert_string_equal(str_escape(dst, 8, "abcdefg", 7), "abcdefg");
	assert_string_equal(str_escape(dst, 8, "abcdefgh", 8), "abcd...");
	assert_string_equal(str_escape(dst, 8, "abc\n", 4), "abc\\x0a");
	assert_string_equal(str_escape(dst, 8, "abcd\n", 5), "abcd...");
	assert_string_equal(str_escape(dst, 8, "\n\n", 2), "\\x0a...");
	assert_string_equal(str_escape(dst, 9, "abc\\\\\\", 6), "abc\\\\...");
}

static void
test_escape_never_writes_behind_its_end(void **state)
{
	static const char src[] = "ab\\\n\x80xyz\\\\\n\n";

	(void)state;
	for (size_t size = 8; size < 64; size++)
		for (size_t len = 0; len < sizeof(src); len++) {
			char *dst = malloc(size); /* a sanitizer sees a byte too many */

			assert_non_null(dst);
			str_escape(dst, size, src, len);
			assert_true(strlen(dst) < size);
			free(dst);
		}
}

static void
test_copy_and_format_say_when_it_does_not_fit(void **state)
{
	char dst[4] = "xyz";

	(void)state;
	assert_int_equal(str_copy(dst, sizeof(dst), "abcd"), ERR_LIMIT);
	assert_string_equal(dst, "");
	assert_int_equal(str_copy(dst, sizeof(dst), "abc"), 0);
	assert_string_equal(dst, "abc");
	assert_int_equal(str_format(dst, sizeof(dst), "%d", 1234), ERR_LIMIT);
	assert_string_equal(dst, "123");
	assert_int_equal(str_format(dst, sizeof(dst), "%d", 123), 0);
	assert_true(str_starts("abc", "ab") && str_starts("abc", "") && !str_starts("ab", "abc"));
}

static void
test_patterns(void **state)
{
	static const struct {
		const char *pattern, *s;
		bool match;
	} cases[] = {
		{ "", "", true },
		{ "", "a", false },
		{ "*", "", true },
		{ "?", "", false },
		{ "a", "a", true },
		{ "a", "A", false },
		{ "*.lab.example", "web1.lab.example", true },
		{ "*.lab.example", ".lab.example", true },
		{ "*.lab.example", "lab.example", false },
		{ "*.lab.example", "web1.lab.example.org", false },
		{ "web?", "web1", true },
		{ "web?", "web", false },
		{ "web?", "web12", false },
		{ "a*b*c", "aXbYbZc", true },
		{ "a*b*c", "aXbYbZ", false },
		{ "**a**", "bab", true },
		{ "[a]", "a", false },
		{ "[a]", "[a]", true },
		{ "a\\*", "a*", false },
		{ "*a", "aaaaab", false },
		{ "x*", "", false },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++)
		if (str_match(cases[i].pattern, cases[i].s) != cases[i].match)
			fail_msg("%s on %s", cases[i].pattern, cases[i].s);
}

static void
test_a_bad_pattern_costs_little(void **state)
{
	char pattern[256], s[256];

	(void)state;
	/* Exponential matchers need longer than the universe for this one. */
	for (size_t i = 0; i < 254; i += 2)
		memcpy(pattern + i, "*a", 2);
	memcpy(pattern + 254, "b", 2);
	memset(s, 'a', 255);
	s[255] = '\0';
	assert_false(str_match(pattern, s));
}

static void
test_hex(void **state)
{
	static const char *const bad[] = { "", "0", "00", "0g12", "001", "001122", " 011", "0x11",
		"00-1" };
	char hex[5];
	uint8_t data[2] = { 7, 7 };

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_int_equal(str_unhex(bad[i], data, 2), ERR_FORMAT);
	assert_true(data[0] == 7 && data[1] == 7);
	assert_int_equal(str_unhex("00zz", data, 2), ERR_FORMAT);
	assert_true(data[0] == 7);
	assert_int_equal(str_unhex("0aFf", data, 2), 0);
	assert_true(data[0] == 0x0a && data[1] == 0xff);
	assert_string_equal(str_hex(hex, data, 2), "0aff");
}

/* RFC 4648 section 10. */
static void
test_base64_vectors(void **state)
{
	static const char *const vectors[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" } };

	(void)state;
	for (size_t i = 0; i < N_OF(vectors); i++) {
		char *text = str_base64(vectors[i][0], strlen(vectors[i][0]));
		uint8_t *data = NULL;
		size_t len = 77;

		assert_string_equal(text, vectors[i][1]);
		assert_int_equal(str_unbase64(text, strlen(text), &data, &len), 0);
		assert_int_equal(len, strlen(vectors[i][0]));
		assert_memory_equal(data, vectors[i][0], len);
		free(data);
		free(text);
	}
}

static void
test_base64_is_strict(void **state)
{
	static const char *const bad[] = { "Zg", "Zg=", "Zg===", "Zh==", "Zm9", "Zm9v\n", " Zm9v",
		"Zm 9v", "Zm9v=", "====", "Zm9-", "Zm9v!", "Z", "Zg==Zg==" };

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		uint8_t *data = NULL;
		size_t len = 77;

		if (str_unbase64(bad[i], strlen(bad[i]), &data, &len) != ERR_FORMAT)
			fail_msg("%s was taken", bad[i]);
		assert_null(data);
		assert_int_equal(len, 77);
	}
	/* Bytes above ASCII, in any place. */
	for (int c = 0x80; c < 0x100; c++)
		for (size_t at = 0; at < 8; at++) {
			char text[] = "Zm9vYmFy";
			uint8_t *data = NULL;
			size_t len;

			text[at] = (char)c;
			if (str_unbase64(text, 8, &data, &len) != ERR_FORMAT)
				fail_msg("byte %#x at %zu was taken", (unsigned)c, at);
		}
}

static void
test_utf8_sequences(void **state)
{
	static const struct {
		const char *bytes;
		size_t len, want;
	} cases[] = {
		{ "a", 1, 1 },
		{ "\x00", 1, 1 },
		{ "\xc3\xa9x", 3, 2 },
		{ "\xe2\x82\xac", 3, 3 },
		{ "\xf0\x9f\x98\x80", 4, 4 },
		{ "\xf4\x8f\xbf\xbf", 4, 4 },
		{ "\xed\x9f\xbf", 3, 3 },
		{ "", 0, 0 },
		{ "\x80", 1, 0 },
		{ "\xc0\x80", 2, 0 },
		{ "\xc1\xbf", 2, 0 },
		{ "\xc3", 1, 0 },
		{ "\xc3(", 2, 0 },
		{ "\xe0\x9f\xbf", 3, 0 },
		{ "\xe2\x82", 2, 0 },
		{ "\xe2\x82(", 3, 0 },
		{ "\xed\xa0\x80", 3, 0 },
		{ "\xf0\x8f\xbf\xbf", 4, 0 },
		{ "\xf4\x90\x80\x80", 4, 0 },
		{ "\xf5\x80\x80\x80", 4, 0 },
		{ "\xf0\x9f\x98", 3, 0 },
		{ "\xff", 1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++)
		assert_int_equal(str_utf8_len(cases[i].bytes, cases[i].len), cases[i].want);
}

static void
test_plain_text_has_nothing_that_a_terminal_obeys(void **state)
{
	char dst[8], all[256], plain[257];

	(void)state;
	for (unsigned i = 0; i < 256; i++)
		all[i] = (char)i;
	str_plain(plain, sizeof(plain), all, sizeof(all));
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(plain[i], i >= 0x20 && i < 0x7f ? (char)i : '?');
	assert_string_equal(str_plain(dst, sizeof(dst), "a\\x1b", 5), "a\\x1b");
	assert_string_equal(str_plain(dst, sizeof(dst), "abcdefgh", 8), "abcdefg");
	assert_string_equal(str_plain(dst, sizeof(dst), NULL, 0), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_text_has_nothing_that_a_terminal_obeys),
		cmocka_unit_test(test_escape_leaves_printable_ascii_only),
		cmocka_unit_test(test_escape_cuts_only_what_does_not_fit),
		cmocka_unit_test(test_escape_never_writes_behind_its_end),
		cmocka_unit_test(test_copy_and_format_say_when_it_does_not_fit),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_a_bad_pattern_costs_little),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_base64_vectors),
		cmocka_unit_test(test_base64_is_strict),
		cmocka_unit_test(test_utf8_sequences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
