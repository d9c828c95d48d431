/* What a module may say to a terminal: everything that is text, nothing that is not, and no more than fits. */
#include "config.h"

#include "bastiond/auth/auth.h"
#include "lib/str.h"
#include "tests/lib/test.h"

static char out[64];

static const char *
clean(const char *text)
{
	size_t len = auth_text(out, sizeof(out), text, strlen(text));

	assert_int_equal(len, strlen(out));
	return out;
}

static void
test_controls_become_question_marks(void **state)
{
	(void)state;
	assert_string_equal(clean("\033]0;title\007x"), "?]0;title?x");
	assert_string_equal(clean("a\bb\x7f"), "a?b?");
	assert_string_equal(clean("\302\233"
				  "31m"),
	    "?31m");
	assert_int_equal(auth_text(out, sizeof(out), "a\0b", 3), 3);
	assert_string_equal(out, "a?b");
	for (int c = 1; c < 0x20; c++) {
		const char s[] = { (char)c, '\0' };

		assert_string_equal(clean(s), c == '\t'		       ? "\t"
					      : c == '\n' || c == '\r' ? "\n"
								       : "?");
	}
}

static void
test_lines_end_in_one_way(void **state)
{
	(void)state;
	assert_string_equal(clean("a\r\nb\rc\nd\r"), "a\nb\nc\nd\n");
	assert_string_equal(clean("\r\r\n"), "\n\n");
}

static void
test_what_is_no_utf8_is_replaced(void **state)
{
	(void)state;
	assert_string_equal(clean("gr\303\274n \342\202\254 \360\237\224\221"),
	    "gr\303\274n \342\202\254 \360\237\224\221");
	assert_string_equal(clean("\300\257"), "??");	   /* overlong */
	assert_string_equal(clean("\355\240\200"), "???"); /* half of a surrogate pair */
	assert_string_equal(clean("\303"), "?");	   /* cut */
	assert_string_equal(clean("\377\376ok"), "??ok");
	assert_string_equal(clean("\364\220\200\200"), "????"); /* past the last character */
}

static void
test_nothing_turns_the_direction(void **state)
{
	static const char *const bad[] = { "\342\200\256", "\342\200\252", "\342\201\246",
		"\342\201\251", "\342\200\217", "\330\234", "\342\200\250" };

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_string_equal(clean(bad[i]), "?");
	/* Their neighbours are characters. */
	assert_string_equal(clean("\342\200\247\342\200\257"), "\342\200\247\342\200\257");
}

static void
test_too_long_is_cut_at_a_character(void **state)
{
	(void)state;
	for (size_t size = 8; size < 40; size++) {
		char *dst = malloc(size); /* so that a sanitizer sees a byte too many */
		size_t len;

		assert_non_null(dst);
		len = auth_text(
		    dst, size, "aaa\342\202\254\342\202\254bbbbbbbbbb\360\237\224\221", 23);
		assert_int_equal(len, strlen(dst));
		assert_true(len < size);
		assert_int_equal(size < 24, len >= 3 && strcmp(dst + len - 3, "...") == 0);
		for (size_t at = 0; at < len; at += str_utf8_len(dst + at, len - at))
			assert_true(str_utf8_len(dst + at, len - at) > 0);
		free(dst);
	}
}

static void
test_anything_comes_out_clean(void **state)
{
	uint32_t seed = 11;
	char in[48], again[64];

	(void)state;
	for (int run = 0; run < 20000; run++) {
		size_t n = test_random(&seed) % sizeof(in), len;

		for (size_t i = 0; i < n; i++)
			in[i] = (char)(test_random(&seed) & (run % 2 == 0 ? 0xff : 0xbf));
		len = auth_text(out, sizeof(out), in, n);
		assert_true(len <= n);
		/* What is clean stays as it is. */
		assert_int_equal(auth_text(again, sizeof(again), out, len), len);
		assert_memory_equal(again, out, len + 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_controls_become_question_marks),
		cmocka_unit_test(test_lines_end_in_one_way),
		cmocka_unit_test(test_what_is_no_utf8_is_replaced),
		cmocka_unit_test(test_nothing_turns_the_direction),
		cmocka_unit_test(test_too_long_is_cut_at_a_character),
		cmocka_unit_test(test_anything_comes_out_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
