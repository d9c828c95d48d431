/* A screen shows what a terminal would show, tells every line that stood on it, and its picture is the screen again. */
#include "config.h"

#include <time.h>

#include "lib/buf.h"
#include "recorder/screen.h"
#include "tests/lib/test.h"

#define SECOND 1000000000ull
#define TEXT_MAX (1u << 20)

struct told {
	char text[65536]; /* lines, each with a newline */
	size_t len, n;
	uint64_t at_ns; /* of the last one */
	int answer;
};

static int
on_line(void *arg, const struct screen_line *line)
{
	struct told *t = arg;

	assert_true(line->len > 0 && line->len <= SCREEN_LINE_MAX + 4);
	assert_true(t->len + line->len + 2 < sizeof(t->text));
	assert_true(line->begun_ns <= line->at_ns);
	memcpy(t->text + t->len, line->text, line->len);
	t->len += line->len;
	t->text[t->len++] = '\n';
	t->text[t->len] = '\0';
	t->at_ns = line->at_ns;
	t->n++;
	return t->answer;
}

static struct screen *
made(uint32_t cols, uint32_t rows, struct told *t)
{
	struct screen *s = NULL;

	if (t != NULL)
		memset(t, 0, sizeof(*t));
	assert_int_equal(screen_new(cols, rows, t != NULL ? on_line : NULL, t, &s), 0);
	return s;
}

static void
say(struct screen *s, uint64_t at_ns, const char *text)
{
	assert_int_equal(screen_feed(s, at_ns, text, strlen(text)), 0);
}

/* The text of the screen without empty rows at its end; static. */
static const char *
shows(const struct screen *s)
{
	static char text[TEXT_MAX];
	struct buf *b = buf_new(TEXT_MAX - 1);
	size_t len;

	assert_non_null(b);
	assert_int_equal(screen_text(s, b), 0);
	len = buf_len(b);
	memcpy(text, buf_ptr(b), len);
	buf_free(b);
	while (len > 0 && text[len - 1] == '\n')
		len--;
	text[len] = '\0';
	return text;
}

static struct buf *
painted(const struct screen *s)
{
	struct buf *b = buf_new(SCREEN_PAINT_MAX);

	assert_non_null(b);
	assert_int_equal(screen_paint(s, b), 0);
	return b;
}

/* Whatever is fed after it does to a screen made from the picture what it does to the screen itself. */
static void
same_from_picture(struct screen *s, uint32_t cols, uint32_t rows, const char *rest)
{
	struct screen *copy = made(cols, rows, NULL);
	struct buf *a = painted(s), *b;

	say(copy, 0, "\033[5;7rmess \033[?6h\033(0qq\033[31;44m\033[4h\033[?1049hmore");
	assert_int_equal(screen_feed(copy, 0, buf_ptr(a), buf_len(a)), 0);
	b = painted(copy);
	assert_int_equal(buf_len(a), buf_len(b));
	assert_memory_equal(buf_ptr(a), buf_ptr(b), buf_len(a));
	buf_free(a);
	buf_free(b);
	say(s, 0, rest);
	say(copy, 0, rest);
	a = painted(s);
	b = painted(copy);
	assert_int_equal(buf_len(a), buf_len(b));
	assert_memory_equal(buf_ptr(a), buf_ptr(b), buf_len(a));
	buf_free(a);
	buf_free(b);
	screen_free(copy);
}

static void
test_shows_what_a_terminal_shows(void **state)
{
	static const struct {
		const char *in, *out;
	} table[] = {
		{ "hello", "hello" },
		{ "a\r\nb\r\nc", "a\nb\nc" },
		{ "abc\033[1;2HX", "aXc" },
		{ "s\033[1me\033[0mc\033[31mret", "secret" },
		{ "\033]0;title\007on", "on" },
		{ "\033]0;title\033\\on", "on" },
		{ "\033P1$r0m\033\\on", "on" },
		{ "\033_apc\033\\on\033^pm\033\\", "on" },
		{ "abc\b\bX", "aXc" },
		{ "abcdefghijXY", "abcdefghij\nXY" },
		{ "abcdefghij\r\nXY", "abcdefghij\nXY" },
		{ "1\r\n2\r\n3\r\n4\r\n5", "2\n3\n4\n5" },
		{ "abc\033[1;1H\033[2P", "c" },
		{ "abc\033[1;1H\033[2@", "  abc" },
		{ "abc\033[1;1H\033[4hX", "Xabc" },
		{ "1\r\n2\r\n3\033[1;1H\033[L", "\n1\n2\n3" },
		{ "1\r\n2\r\n3\033[1;1H\033[M", "2\n3" },
		{ "1\r\n2\r\n3\r\n4\033[2;3r\033[3;1H\n\n", "1\n\n\n4" },
		{ "abc\033[1K", "" },
		{ "abc\033[1;2H\033[K", "a" },
		{ "abc\r\ndef\033[2J", "" },
		{ "\033(0lqk\033(B", "\xe2\x94\x8c\xe2\x94\x80\xe2\x94\x90" },
		{ "\xc3\xa4\xe2\x82\xac", "\xc3\xa4\xe2\x82\xac" },
		{ "e\xcc\x81x", "e\xcc\x81x" },
		{ "\xe6\xbc\xa2x", "\xe6\xbc\xa2x" },
		{ "\xff\xc3(", "\xef\xbf\xbd\xef\xbf\xbd(" },
		{ "\xe2\x82", "" },
		{ "\xc2\x9b"
		  "1m",
		    "\xef\xbf\xbd"
		    "1m" },
		{ "a\033[3b", "aaaa" },
		{ "\033[3b", "" },
		{ "\033[?1049hinside\033[?1049l", "" },
		{ "out\033[?1049h", "" },
		{ "x\033[?1049h\033[1;1Hin\033[?1049ly", "xy" },
		{ "a\033[sbcd\033[uX", "aXcd" },
		{ "\033[99999999999;99999999999HX", "\n\n\n         X" },
		{ "abc\033[!pd", "abcd" },
		{ "abc\033c", "" },
		{ "\033[1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18ma", "a" },
		{ "\033[>1;2cab\033[?1;2cc\033[5nd", "abcd" },
		{ "a\tb", "a       b" },
		{ "\033[?7labcdefghijkl", "abcdefghil" },
		{ "a\033[1\r;5Hc", "a   c" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(table); i++) {
		struct screen *s = made(10, 4, NULL), *bytes = made(10, 4, NULL);

		say(s, 0, table[i].in);
		assert_string_equal(shows(s), table[i].out);
		/* One byte at a time, to the same end. */
		for (const char *p = table[i].in; *p != '\0'; p++)
			assert_int_equal(screen_feed(bytes, 0, p, 1), 0);
		assert_string_equal(shows(bytes), table[i].out);
		screen_free(s);
		screen_free(bytes);
	}
}

static void
test_picture_is_the_screen_again(void **state)
{
	static const char *const before[] = {
		"",
		"plain",
		"\033[31mred\033[0m \033[1;4;7;38;5;200;48;2;1;2;3mloud\033[m",
		"wrapped text that is longer than one row",
		"1234567890",
		"1\r\n2\r\n3\r\n4\r\n5\r\n6",
		"primary\033[?1049h\033[2;2Halt",
		"\033[2;3r\033[2;1Hx",
		"\033[2;3r\033[?6hx",
		"\033[4hins",
		"\033[?7lno wrap at all",
		"\033(0qqq",
		"\033)0\016qqq",
		"\033[?25l",
		"\033[44m\033[2Jblue",
		"a\0337\033[3;3Hb",
		"\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2",
		"e\xcc\x81\xcc\x82\xcc\x83\xcc\x84",
		"gap\033[1;8Hend",
	};
	static const char rest[] = "X\r\nY\0338Z\n\n\n\nqqq\033[KW\033[2;2H\033[Mend of it all";

	(void)state;
	for (size_t i = 0; i < N_OF(before); i++) {
		struct screen *s = made(10, 4, NULL);

		say(s, 0, before[i]);
		same_from_picture(s, 10, 4, rest);
		screen_free(s);
	}
}

static void
test_lines_are_told_when_they_scroll_off(void **state)
{
	static struct told t;
	struct screen *s = made(10, 2, &t);

	(void)state;
	say(s, 1, "one\r\ntwo\r\nthree\r\n");
	assert_string_equal(t.text, "one\ntwo\n");
	assert_int_equal(screen_flush(s, 2), 0);
	assert_string_equal(t.text, "one\ntwo\nthree\n");
	assert_int_equal(screen_flush(s, 3), 0);
	assert_int_equal(t.n, 3);
	screen_free(s);
}

static void
test_wrapped_lines_are_one(void **state)
{
	static struct told t;
	struct screen *s = made(10, 3, &t);

	(void)state;
	say(s, 1, "the quick brown fox jumps\r\nnext\r\n\r\n\r\n");
	assert_string_equal(t.text, "the quick brown fox jumps\nnext\n");
	screen_free(s);
	s = made(10, 3, &t);
	say(s, 1, "abcdefghij");
	say(s, 1, "klm");
	assert_int_equal(screen_flush(s, 2), 0);
	assert_string_equal(t.text, "abcdefghijklm\n");
	screen_free(s);
	/* A line of its own width is not wrapped. */
	s = made(10, 3, &t);
	say(s, 1, "abcdefghij\r\nklm");
	assert_int_equal(screen_flush(s, 2), 0);
	assert_string_equal(t.text, "abcdefghij\nklm\n");
	screen_free(s);
}

static void
test_what_stood_is_told_when_it_is_overwritten(void **state)
{
	static struct told t;
	struct screen *s = made(40, 3, &t);

	(void)state;
	say(s, SECOND, "load 1.25 status");
	say(s, 2 * SECOND, "\033[1;6H7");
	assert_string_equal(t.text, "load 1.25 status\n");
	assert_int_equal(t.at_ns, SECOND);
	say(s, 3 * SECOND, "\033[2J");
	assert_string_equal(t.text, "load 1.25 status\nload 7.25 status\n");
	screen_free(s);
}

static void
test_nothing_is_shown_and_stays_untold(void **state)
{
	static const char *const hide[] = { "\r              ", "\033[2J", "\r\033[K", "\033c",
		"\r\033[20P", "\r\033[M", "\r\033[L\033[2;1H\033[2M",
		"\033[?1049h\033[?1049l\033[2J", "\033[1;1H\033[1J\033[J", "\b\b\b\b\b\bnothing" };
	static struct told t;

	(void)state;
	for (size_t i = 0; i < N_OF(hide); i++) {
		struct screen *s = made(40, 5, &t);

		/* In one moment, with nothing left of it at the end. */
		say(s, SECOND, "payroll secret");
		say(s, SECOND, hide[i]);
		assert_int_equal(screen_flush(s, SECOND), 0);
		assert_non_null(strstr(t.text, "secret"));
		screen_free(s);
	}
}

static void
test_the_alternate_screen_is_told_when_it_is_left(void **state)
{
	static struct told t;
	struct screen *s = made(40, 3, &t);

	(void)state;
	say(s, SECOND, "shell\033[?1049h\033[Heditor text");
	say(s, SECOND, "\033[?1049l");
	assert_string_equal(t.text, "editor text\n");
	assert_int_equal(screen_flush(s, SECOND), 0);
	assert_string_equal(t.text, "editor text\nshell\n");
	screen_free(s);
}

static void
test_streams_without_a_terminal_are_lines(void **state)
{
	static struct told t;
	struct screen *s = made(0, 0, &t);
	static const char in[] = "one\ntwo\r\n\n\033[31mred\033[0m "
				 "s\033[1mecret\n\033]0;title\007x\xff\xfe\x00y\n\xe2\x82";

	(void)state;
	for (size_t i = 0; i < sizeof(in) - 1; i++)
		assert_int_equal(screen_feed(s, i, in + i, 1), 0);
	assert_int_equal(screen_flush(s, 99), 0);
	assert_string_equal(t.text, "one\ntwo\nred secret\nx\xef\xbf\xbdy\n\xef\xbf\xbd\n");
	screen_free(s);
	/* A line without end comes in parts, and nothing of it is lost. */
	s = made(0, 0, &t);
	for (size_t i = 0; i < 2 * SCREEN_LINE_MAX + 10; i++)
		assert_int_equal(screen_feed(s, i, "x", 1), 0);
	assert_int_equal(screen_flush(s, SECOND), 0);
	assert_int_equal(t.n, 3);
	assert_int_equal(t.len, 2 * SCREEN_LINE_MAX + 10 + 3);
	screen_free(s);
}

static void
test_a_new_size_keeps_what_fits(void **state)
{
	static struct told t;
	struct screen *s = made(20, 6, &t);

	(void)state;
	say(s, SECOND, "1\r\n2\r\n3\r\n4\r\n5 a long row of text\r\n6");
	assert_int_equal(screen_resize(s, SECOND, 8, 3), 0);
	assert_string_equal(shows(s), "4\n5 a long\n6");
	assert_non_null(strstr(t.text, "1\n2\n3\n"));
	assert_non_null(strstr(t.text, "5 a long row of text"));
	say(s, SECOND, "x");
	assert_string_equal(shows(s), "4\n5 a long\n6x");
	assert_int_equal(screen_resize(s, SECOND, 100000, 0), 0);
	say(s, SECOND, "y");
	assert_string_equal(shows(s), "6xy");
	screen_free(s);
	/* Cursors and regions that were saved on a larger screen. */
	s = made(100, 100, &t);
	say(s, 0, "\033[50;90r\033[99;99H\0337\033[?1049h\033[99;99H\0337");
	assert_int_equal(screen_resize(s, 0, 5, 4), 0);
	say(s, 0, "\0338A\033[?1049lB\n\n\n\0338C\033[3;9rD\n\n\n\n");
	screen_free(s);
}

static void
test_answer_of_the_line_ends_the_feed(void **state)
{
	static struct told t;
	struct screen *s = made(10, 1, &t);

	(void)state;
	t.answer = 7;
	assert_int_equal(screen_feed(s, 0, "a\r\nb\r\nc\r\n", 9), 7);
	assert_int_equal(t.n, 1);
	t.answer = 0;
	assert_int_equal(screen_feed(s, 0, "d\r\n", 3), 0);
	screen_free(s);
}

static void
test_whole_between_sequences_only(void **state)
{
	struct screen *s = made(10, 2, NULL);

	(void)state;
	assert_true(screen_is_whole(s));
	say(s, 0, "a\033");
	assert_false(screen_is_whole(s));
	say(s, 0, "[1");
	assert_false(screen_is_whole(s));
	say(s, 0, "m\xe2");
	assert_false(screen_is_whole(s));
	say(s, 0, "\x82\xac");
	assert_true(screen_is_whole(s));
	screen_free(s);
}

/* The fast way and the slow one are the same terminal: text goes the slow way while insert mode is set for nothing. */
static void
test_fast_text_is_exact(void **state)
{
	static const char *const words[] = { "word", " ", "\r\n", "\r", "\b", "\t",
		"longer text here", "\033[K", "\033[3D", "\033[2C", "\033[A", "\xc3\xa4",
		"\xcc\x81", "\xe6\xbc\xa2", "\033[2b", "\n", "\033[7;31m", "\033[m", "\033[H",
		"\033[J", "x" };
	uint32_t seed = 5;

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct screen *fast = made(17, 5, NULL), *slow = made(17, 5, NULL);
		struct buf *a, *b;

		for (int i = 0; i < 40; i++) {
			const char *w = words[test_random(&seed) % N_OF(words)];

			say(fast, 0, w);
			/* A character set that is not ASCII, with a character of its own: text is never direct behind it. */
			if ((unsigned char)w[0] >= 0x20 && (unsigned char)w[0] < 0x7f) {
				say(slow, 0, "\033)A\016");
				say(slow, 0, w);
				say(slow, 0, "\017\033)B");
			} else {
				say(slow, 0, w);
			}
		}
		a = painted(fast);
		b = painted(slow);
		assert_int_equal(buf_len(a), buf_len(b));
		assert_memory_equal(buf_ptr(a), buf_ptr(b), buf_len(a));
		buf_free(a);
		buf_free(b);
		screen_free(fast);
		screen_free(slow);
	}
}

/* Seconds of this processor. */
static double
busy(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* However the bytes are chosen, a screen takes time for bytes, not for the cells that a few of them can name. */
static void
test_no_bytes_take_hours(void **state)
{
	static const struct {
		const char *text;
		unsigned n;
	} rows[] = {
		{ "\033#8\033[2J", 4000 },
		{ "\033[41m\033[2J\033[42m\033[2J", 20000 },
		{ "\033[41m\033[999S\033[42m\033[999T", 20000 },
		{ "\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81", 200000 },
	};
	struct screen *s;
	double from;

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		s = made(SCREEN_COLS_MAX, SCREEN_ROWS_MAX, NULL);
		from = busy();
		for (unsigned n = 0; n < rows[i].n; n++)
			say(s, 1, rows[i].text);
		assert_true(busy() - from < 20);
		say(s, 1, "\033[m\033[H\033[2Jstill here");
		assert_string_equal(shows(s), "still here");
		screen_free(s);
	}
	s = made(80, 24, NULL);
	from = busy();
	for (unsigned n = 0; n < 4000; n++)
		assert_int_equal(screen_resize(s, 1, n % 2 == 0 ? SCREEN_COLS_MAX : 1,
				     n % 2 == 0 ? SCREEN_ROWS_MAX : 1),
		    0);
	assert_true(busy() - from < 20);
	say(s, 1, "\033[H\033[2J!");
	assert_true(strchr(shows(s), '!') != NULL);
	screen_free(s);
}

/* What combines is kept as far as a cell has room, and what comes behind it stands where it would. */
static void
test_many_that_combine_stand_on_one(void **state)
{
	static const char acute[] = "\xcc\x81";
	struct screen *s = made(10, 3, NULL);

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		say(s, 1, round == 0 ? "\033[H\033[2Ja" : "\033[4h\033[H\033[2Jba\033[Da");
		for (unsigned i = 0; i < 500; i++)
			say(s, 1, acute);
		say(s, 1, "z");
		assert_true(shows(s)[strlen(shows(s)) - 1] == (round == 0 ? 'z' : 'a'));
	}
	screen_free(s);
	/* In the last column, too: the next one wraps. */
	s = made(3, 3, NULL);
	say(s, 1, "xya");
	for (unsigned i = 0; i < 500; i++)
		say(s, 1, acute);
	say(s, 1, "z");
	assert_memory_equal(shows(s), "xya", 3);
	assert_non_null(strstr(shows(s), "\nz"));
	screen_free(s);
}

/* A line without a terminal that is told in parts is cut between characters. */
static void
test_parts_of_a_line_are_whole_characters(void **state)
{
	struct told t;
	struct screen *s = made(0, 0, &t);

	(void)state;
	for (size_t i = 0; i < SCREEN_LINE_MAX - 1; i++)
		say(s, 1, "x");
	say(s, 1, "\xe2\x82\xac!\n");
	assert_int_equal(t.n, 2);
	assert_string_equal(t.text + t.len - 6, "\xe2\x82\xac\n!\n");
	screen_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shows_what_a_terminal_shows),
		cmocka_unit_test(test_picture_is_the_screen_again),
		cmocka_unit_test(test_lines_are_told_when_they_scroll_off),
		cmocka_unit_test(test_wrapped_lines_are_one),
		cmocka_unit_test(test_what_stood_is_told_when_it_is_overwritten),
		cmocka_unit_test(test_nothing_is_shown_and_stays_untold),
		cmocka_unit_test(test_the_alternate_screen_is_told_when_it_is_left),
		cmocka_unit_test(test_streams_without_a_terminal_are_lines),
		cmocka_unit_test(test_a_new_size_keeps_what_fits),
		cmocka_unit_test(test_answer_of_the_line_ends_the_feed),
		cmocka_unit_test(test_whole_between_sequences_only),
		cmocka_unit_test(test_fast_text_is_exact),
		cmocka_unit_test(test_no_bytes_take_hours),
		cmocka_unit_test(test_many_that_combine_stand_on_one),
		cmocka_unit_test(test_parts_of_a_line_are_whole_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
