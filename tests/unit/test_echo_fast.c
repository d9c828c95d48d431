/* Output is read many bytes at a time where that is possible: the same is decided as token by token. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "recorder/echo.h"
#include "recorder/echo_part.h"

#define LOG_SIZE 65536u
#define ROUNDS 3000
#define STEPS 40
#define PIECES 8
#define TEXT_SIZE 16384u

static unsigned seed;

static unsigned
any(unsigned below)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 12 & 0x7fffu) % below;
}

/* One machine, and what it decided. */
struct side {
	struct echo *e;
	uint8_t memory[ECHO_MEMORY];
	char log[LOG_SIZE];
	size_t n;
};

static void
note(struct side *s, char what, uint32_t number, const uint8_t *p, size_t n)
{
	const char *text = p == NULL ? "" : (const char *)p;
	int len = snprintf(s->log + s->n, sizeof(s->log) - s->n, "%c%u:%zu:%.*s\n", what, number, n,
	    p == NULL ? 0 : (int)n, text);

	assert_true(len > 0 && (size_t)len < sizeof(s->log) - s->n);
	s->n += (size_t)len;
}

static int
on_keep(void *arg, const uint8_t *p, size_t n)
{
	note(arg, 'k', 0, p, n);
	return 0;
}

static int
on_veil(void *arg, uint32_t run, const uint8_t *p, size_t n)
{
	note(arg, 'v', run, p, n);
	return 0;
}

static int
on_shown(void *arg, uint32_t run, const uint8_t *p, size_t n, size_t all)
{
	note(arg, 's', run, p, n);
	note(arg, 'a', run, NULL, all);
	return 0;
}

static int
on_hidden(void *arg, uint32_t run, enum veil_why why)
{
	note(arg, 'h', run, NULL, (size_t)why);
	return 0;
}

static const struct echo_sink sink = { on_keep, on_veil, on_shown, on_hidden };

static const char *const typed[] = { "a", "ls -l\r", "S3cret\r", "\x7f", "\x15", "\t", "\x1b[A",
	"\x03", "\r", "*", "x\ry\r", "\xc3\xa9", "q" };
static const char *const printed[] = { "a word ", "WORDS and 12345 [brackets] {~}", "*", "****",
	"* ", "\r\n", "\n", "\r", "\b", "\b \b", "\t", "\a",
	"Password: ", "Repeat:", "Passphrase for key '/home/alice/.ssh/id_ed25519': ",
	"Mot de passe\xc2\xa0: ", "\xe5\xaf\x86\xe7\xa0\x81\xef\xbc\x9a", "\xc3\xa9t\xc3\xa9",
	"\xe3\x81", "\xff", "\xe2\x80\xa2\xe2\x80\xa2", "\x1b", "\x1b[", "\x1b[1", "\x1b[K",
	"\x1b[31;1m", "\x1b[m", "\x1b[2J", "\x1b[H", "\x1b[5;70H", "\x1b[A", "\x1b[3C", "\x1b[2P",
	"\x1b[@", "\x1b[L", "\x1b[4;9r", "\x1b[r", "\x1b[?1049h", "\x1b[?1049l", "\x1b[?2004h",
	"\x1b[?2004l", "\x1b[?1h\x1b=", "\x1b[?1l\x1b>", "\x1b]0;title\a", "\x1b]0;title", "\x1b\\",
	"\x1bM",
	"\x1b"
	"7",
	"\x1b"
	"8",
	"\x1b"
	"c",
	"$ ", "$ ls -l\r\n", "\rThe next page of a pager\n",
	"A line of a listing, as long as lines of listings are\r\n",
	"=======================================================================================",
	"                                                                                       " };

#define LEN(table) ((unsigned)(sizeof(table) / sizeof((table)[0])))

/* What the target sends next: echoes of what was typed, too. */
static size_t
make_output(char *dst, const char *last)
{
	unsigned pieces = 1 + any(any(20) == 0 ? 300 : PIECES);
	size_t n = 0;

	for (unsigned i = 0; i < pieces; i++) {
		const char *piece = any(6) == 0 ? last : printed[any(LEN(printed))];
		size_t len = strlen(piece);

		/* Chunks end anywhere. */
		if (i + 1 == pieces && any(3) == 0 && len > 1)
			len = 1 + any((unsigned)len - 1);
		if (n + len > TEXT_SIZE)
			break;
		memcpy(dst + n, piece, len);
		n += len;
	}
	return n;
}

static void
step_both(struct side sides[2], uint64_t now, bool in, const char *text, size_t len)
{
	size_t feedback[2] = { 0, 0 };

	for (int i = 0; i < 2; i++) {
		if (in) {
			if (echo_is_idle(sides[i].e))
				echo_lend(sides[i].e, sides[i].memory);
			assert_int_equal(
			    echo_input(sides[i].e, now, (const uint8_t *)text, len), 0);
		} else
			assert_int_equal(
			    echo_output(sides[i].e, now, (const uint8_t *)text, len, &feedback[i]),
			    0);
	}
	assert_int_equal(feedback[0], feedback[1]);
	assert_int_equal(sides[0].n, sides[1].n);
	if (memcmp(sides[0].log, sides[1].log, sides[0].n) != 0) {
		print_error("plainly:\n%s\nfast:\n%s\n", sides[0].log, sides[1].log);
		fail();
	}
}

static void
test_the_same_is_decided(void **state)
{
	struct side *sides = calloc(2, sizeof(struct side));
	static char text[TEXT_SIZE];
	size_t decided = 0;

	(void)state;
	assert_non_null(sides);
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t now = CLOCK_NS_PER_S;
		const char *last = "";

		seed = round;
		for (int i = 0; i < 2; i++) {
			sides[i].n = 0;
			sides[i].e = echo_new(&sink, &sides[i], round % 3 == 0 ? 20 : 80, 24);
			assert_non_null(sides[i].e);
		}
		echo_read_plainly(sides[0].e);
		for (int step = 0; step < STEPS; step++) {
			now += any(any(4) == 0 ? 3000 : 50) * CLOCK_NS_PER_MS;
			if (any(3) == 0) {
				last = typed[any(LEN(typed))];
				step_both(sides, now, true, last, strlen(last));
			} else
				step_both(sides, now, false, text, make_output(text, last));
		}
		for (int i = 0; i < 2; i++) {
			assert_int_equal(echo_end(sides[i].e), 0);
			echo_free(sides[i].e);
		}
		assert_int_equal(sides[0].n, sides[1].n);
		decided += sides[0].n;
	}
	assert_true(decided > ROUNDS);
	free(sides);
}

/* The cells themselves, after each piece of text. */
static void
same_screen(const struct screen *a, const struct screen *b)
{
	assert_int_equal(a->row, b->row);
	assert_int_equal(a->col, b->col);
	assert_int_equal(a->base, b->base);
	assert_int_equal(a->touched, b->touched);
	assert_int_equal(a->utf8_left, b->utf8_left);
	assert_memory_equal(a->wrapped, b->wrapped, sizeof(a->wrapped));
	assert_memory_equal(a->cells, b->cells, sizeof(a->cells));
}

static void
put_plainly(struct screen *s, const uint8_t *p, size_t n)
{
	struct token t;

	for (size_t i = 0; i < n;) {
		i += screen_token(s, p + i, n - i, &t);
		screen_apply(s, &t);
	}
}

static void
put_fast(struct screen *s, const uint8_t *p, size_t n)
{
	size_t bullets, len, want;
	struct token t;

	for (size_t i = 0; i < n; i += len) {
		len = screen_text(s, p + i, n - i, &bullets);
		want = 0;
		for (size_t k = 0; k < len; k++)
			want += p[i + k] == '*';
		assert_int_equal(bullets, want);
		if (len == 0) {
			len = screen_token(s, p + i, n - i, &t);
			screen_apply(s, &t);
		}
	}
}

static void
test_the_same_cells_are_written(void **state)
{
	struct screen *a = calloc(2, sizeof(*a)), *b = a + 1;
	static uint8_t text[256];

	(void)state;
	assert_non_null(a);
	seed = 1;
	for (int round = 0; round < 20000; round++) {
		size_t n = any(sizeof(text));

		if (round % 100 == 0) {
			uint32_t cols = any(300), rows = any(100);

			screen_init(a, cols, rows);
			screen_init(b, cols, rows);
		}
		/* Mostly text, of all bytes sometimes. */
		for (size_t i = 0; i < n; i++)
			text[i] = (uint8_t)(any(30) == 0 ? any(256)
							 : 0x20 + any(any(2) == 0 ? 0x5f : 0x40));
		put_plainly(a, text, n);
		put_fast(b, text, n);
		same_screen(a, b);
	}
	free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_same_is_decided),
		cmocka_unit_test(test_the_same_cells_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
