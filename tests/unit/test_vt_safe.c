/* A replay cannot act on the terminal of the one who looks at it (research: terminal escapes, 2003 to today). */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bastionctl/vt_safe.h"
#include "tests/lib/vt_allowed.h"

#define OUT_MAX (1u << 20)

/* step: bytes at a time; 0: all. The result is a C string without the reset. */
static char *
clean_len(const void *data, size_t len, size_t step, size_t *ret_len)
{
	struct buf *out = buf_new(OUT_MAX * 4);
	struct vt_safe s;
	char *text;

	assert_non_null(out);
	memset(&s, 0, sizeof(s));
	for (size_t at = 0; at < len;) {
		size_t n = step == 0 || step > len - at ? len - at : step;

		assert_int_equal(vt_safe_feed(&s, (const uint8_t *)data + at, n, out), 0);
		at += n;
	}
	*ret_len = buf_len(out);
	assert_int_equal(vt_allowed(buf_ptr(out), buf_len(out)), buf_len(out));
	text = strndup((const char *)buf_ptr(out), buf_len(out));
	assert_non_null(text);
	buf_free(out);
	return text;
}

static void
gives(const char *in, const char *expected)
{
	size_t whole_len, bytes_len;
	char *whole = clean_len(in, strlen(in), 0, &whole_len);
	char *bytes = clean_len(in, strlen(in), 1, &bytes_len);

	assert_string_equal(whole, expected);
	assert_string_equal(bytes, expected);
	free(whole);
	free(bytes);
}

static void
test_control_strings_vanish(void **state)
{
	(void)state;
	gives("a\033]0;title\007b", "ab");
	gives("a\033]2;title\033\\b", "ab");
	gives("a\033]52;c;ZWNobyBwd25lZAo=\007b", "ab"); /* clipboard */
	gives("a\033]8;;http://example.invalid/\033\\link\033]8;;\033\\b", "alinkb");
	gives("a\033]7;file:///etc\033\\b", "ab");
	gives("a\033]50;?\007b", "ab");	  /* CVE-2022-45063 */
	gives("a\033]21;?\033\\b", "ab"); /* kitty, colour query */
	gives("a\033]4;1;?\007b\033]10;?\007c\033]1337;x=y\007d", "abcd");
	gives("a\033P$q\"p\033\\b", "ab");	       /* DECRQSS, CVE-2008-2383 */
	gives("a\033P1000p%output %1 x\033\\b", "ab"); /* tmux control mode, CVE-2019-9535 */
	gives("a\033Ptmux;\033\033]0;t\007\033\\b", "ab");
	gives("a\033Pq#0;2;0;0;0#0~~@@\033\\b", "ab"); /* sixel */
	gives("a\033P+q544e\033\\b", "ab");	       /* XTGETTCAP */
	gives("a\033P1$r0m\033\\b", "ab");
	gives("a\033]9;4;1;50\007b\033]777;notify;t;b\007c\033]99;;x\033\\d", "abcd");
	gives("a\033]0;t\n\033]1;t\033\\b", "ab");
	gives("a\033_Gf=24,s=1;AAAA\033\\b", "ab");
	gives("a\033^private\033\\b", "ab");
	gives("a\033Xstart\033\\b", "ab");
}

static void
test_nothing_is_asked(void **state)
{
	static const char *const queries[] = { "\033[c", "\033[0c", "\033[>c", "\033[=c", "\033[5n",
		"\033[6n", "\033[?6n", "\033[?15n", "\033[21t", "\033[20t", "\033[14t", "\033[18t",
		"\033[x", "\033[>q", "\033[?1$p", "\033[4$p", "\033Z", "\033[?u", "\033[?4m",
		"\033[1;1;1;1;1;1*y", "\033[1\"q", "\033[\"p", "\033[61;1\"p", "\033[$w", "\033[5i",
		"\033[4i", "\033[8;50;50t", "\033[3;1;1t", "\033[1t", "\033[2t", "\033[9;1t",
		"\033[22;0t", "\033[23;0t", "\033[13t", "\033[19t", "\033[?1;1S", "\033[?996n",
		"\033[?2026$p", "\033[>0q", "\033[0$u", "\033[2*|", "\033[1;2;3;4$z", "\005" };

	(void)state;
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++)
		gives(queries[i], "");
}

static void
test_keyboard_and_mouse_stay_as_they_are(void **state)
{
	(void)state;
	gives("\033[?2004h\033[?1000h\033[?1006h\033[?1004h\033[?1h\033=\033>", "");
	gives("\033[>4;2m\033[>1u\033[=1u\033[<u\033[2h\033[20h", "");
	gives("\033[?1049;2004;1000h", "\033[?1049h");
	gives("\033]1;x\033[?2004h", "");
	gives("\033[?9h\033[?1001h\033[?1002h\033[?1003h\033[?1005h\033[?1015h\033[?1016h", "");
	gives("\033[?2026h\033[?2027h\033[?69h\033[?5h\033[?3h\033[?40h\033[?12h\033[?25l\033[?7l",
	    "");
	gives("\033[4h\033[?6h\033[?66h\033[?67h\033[?s\033[?r", "");
}

static void
test_eight_bit_controls_are_bad_bytes(void **state)
{
	(void)state;
	gives("\2336n", "\357\277\2756n");
	gives("\302\2336n", "\357\277\2756n");
	gives("\302\2350;t\302\234", "\357\277\2750;t\357\277\275");
	gives("\302\205", "\357\277\275");
}

static void
test_what_is_unfinished_ends_with_the_next_escape(void **state)
{
	(void)state;
	gives("\033Pnever ended\033[31mred", "\033[31mred");
	gives("\033]0;t\030after", "after");
	gives("\033[1;\033[2Jx", "\033[2Jx");
	gives("\033[31", "");
	gives("\033[3\n1mx", "\n\033[31mx");
	gives("\033[31\377x", "\357\277\275x");
}

static void
test_colours_moves_and_erasing_pass(void **state)
{
	static const char *const good[] = { "\033[m", "\033[1;31m", "\033[38;2;1;2;3m",
		"\033[38:2::1:2:3m", "\033[4:3m", "\033[A", "\033[10B", "\033[H", "\033[5;7H",
		"\033[;7H", "\033[2J", "\033[K", "\033[1K", "\033[3X", "\033[2@", "\033[2P",
		"\033[4L", "\033[M", "\033[5;10r", "\033[r", "\033[s", "\033[u", "\0337", "\0338",
		"\033D", "\033E", "\033M", "\033[?1049h", "\033[?1049l", "\033[?47h", "\033[5b",
		"\033[2S", "\033[3T", "\033[4G", "\033[6d", "a\b\t\r\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		gives(good[i], good[i]);
}

static void
test_look_alikes_of_good_sequences_do_not_pass(void **state)
{
	(void)state;
	gives("\033[3J", "");		      /* erases the reader's scrollback */
	gives("\033[1;2;3;4;5T", "");	      /* mouse highlight tracking */
	gives("\033[1;5s", "");		      /* margins */
	gives("\033[?5J\033[?1K", "");	      /* selective erase */
	gives("\033[1 q\033[2$x\033[!p", ""); /* with an intermediate */
	gives("\033[<1m\033[=1m", "");
	gives("\033[1:2H", "");
	gives("\033#8\033 F\033%G\033n\033H", "");
}

static void
test_counts_are_capped(void **state)
{
	char in[512] = "\033[", *text;
	size_t len;

	(void)state;
	gives("x\033[99999999999999999999b", "x\033[65535b");
	gives("\033[65536L", "\033[65535L");
	gives("\033[007m", "\033[7m");
	for (size_t i = 0; i < VT_PARAMS_MAX; i++)
		memcpy(in + strlen(in), "1;", 3);
	memcpy(in + strlen(in), "1m", 3);
	text = clean_len(in, strlen(in), 0, &len);
	assert_int_equal(len, 0);
	free(text);
}

static void
test_a_string_without_end_does_not_hide_the_rest(void **state)
{
	char *in = malloc(VT_STRING_MAX + 100), *text;
	size_t len;

	(void)state;
	assert_non_null(in);
	memset(in, 'x', VT_STRING_MAX + 100);
	memcpy(in, "\033P", 2);
	memcpy(in + VT_STRING_MAX + 90, "secret end", 10);
	text = clean_len(in, VT_STRING_MAX + 100, 0, &len);
	assert_non_null(strstr(text, "secret end"));
	free(text);
	free(in);
}

static void
test_text_keeps_its_direction(void **state)
{
	(void)state;
	gives("caf\303\251 \344\270\255", "caf\303\251 \344\270\255");
	gives("a\342\200\256b", "a\357\277\275b");     /* U+202E */
	gives("a\342\201\246b", "a\357\277\275b");     /* U+2066 */
	gives("a\357\273\277b", "a\357\277\275b");     /* U+FEFF */
	gives("a\363\240\201\201b", "a\357\277\275b"); /* a tag character */
	gives("\377\300\200\355\240\200",
	    "\357\277\275\357\277\275\357\277\275\357\277\275\357\277\275\357\277\275");
	gives("\303(", "\357\277\275(");
}

static void
test_line_drawing_becomes_unicode(void **state)
{
	(void)state;
	gives("\033(0lqk\033(Blqk", "\342\224\214\342\224\200\342\224\220lqk");
	gives("\033)0a\016q\017q", "a\342\224\200q");
	gives("\016\017", "");
}

static void
test_reset_brings_the_terminal_back(void **state)
{
	struct vt_safe s;
	struct buf *out = buf_new(4096);

	(void)state;
	assert_non_null(out);
	memset(&s, 0, sizeof(s));
	assert_int_equal(vt_safe_feed(&s, "\033[?1049h\033[31m\303", 14, out), 0);
	buf_reset(out);
	assert_int_equal(vt_safe_reset(&s, out), 0);
	assert_int_equal(buf_put_u8(out, 0), 0);
	assert_string_equal(
	    (const char *)buf_ptr(out), "\357\277\275\033[?1049l\033[m\0337\033[r\0338");
	assert_false(s.alternate);
	gives("x\033c", "x\033[m\033[r\033[2J");
	buf_free(out);
}

/* Random bytes, weighted towards escape sequences: in the grammar, the same however cut, and unchanged by a second pass. */
static void
test_random_output_is_in_the_grammar(void **state)
{
	static const char alphabet[] =
	    "\033\033\033\033[[[]P_^X?>=;:0123456789mhlcnHJKrbqtpu\\\007\030\r\n\b ax~"
	    "\016\017(0B)\302\233\303\251\377\342\202\254 $\"!";
	uint32_t seed = 12345;
	char in[200];

	(void)state;
	for (int round = 0; round < 4000; round++) {
		char *whole, *pieces, *again;
		size_t len, pieces_len, again_len;

		for (size_t i = 0; i < sizeof(in); i++) {
			seed = seed * 1664525u + 1013904223u;
			in[i] = alphabet[(seed >> 8) % (sizeof(alphabet) - 1)];
		}
		whole = clean_len(in, sizeof(in), 0, &len);
		pieces = clean_len(in, sizeof(in), 1 + (seed >> 5) % 9, &pieces_len);
		again = clean_len(whole, len, 0, &again_len);
		assert_true(len <= sizeof(in) * VT_SAFE_GROWTH);
		assert_int_equal(len, pieces_len);
		assert_memory_equal(whole, pieces, len);
		assert_int_equal(len, again_len);
		assert_memory_equal(whole, again, len);
		free(whole);
		free(pieces);
		free(again);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_control_strings_vanish),
		cmocka_unit_test(test_nothing_is_asked),
		cmocka_unit_test(test_keyboard_and_mouse_stay_as_they_are),
		cmocka_unit_test(test_eight_bit_controls_are_bad_bytes),
		cmocka_unit_test(test_what_is_unfinished_ends_with_the_next_escape),
		cmocka_unit_test(test_colours_moves_and_erasing_pass),
		cmocka_unit_test(test_look_alikes_of_good_sequences_do_not_pass),
		cmocka_unit_test(test_counts_are_capped),
		cmocka_unit_test(test_a_string_without_end_does_not_hide_the_rest),
		cmocka_unit_test(test_text_keeps_its_direction),
		cmocka_unit_test(test_line_drawing_becomes_unicode),
		cmocka_unit_test(test_reset_brings_the_terminal_back),
		cmocka_unit_test(test_random_output_is_in_the_grammar),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
