/*
 * Screens, rendered lines and chunks without memory at every point: they say so, tell nothing twice or wrong, and what failed works
 * when it is tried again.
 */
#include "config.h"

#include <errno.h>

#include "lib/buf.h"
#include "recorder/chunk.h"
#include "recorder/event.h"
#include "recorder/render.h"
#include "recorder/screen.h"
#include "tests/fault/fault.h"
#include "tests/lib/test.h"

#define OUT_MAX (1u << 20)

/* What a terminal is sent: history, wide characters, a region, the alternate screen and back. */
static const char output[] =
    "one\r\ntwo\r\nthree\r\nfour\r\na line that wraps around the edge of it\r\n"
    "\346\274\242\345\255\227 e\314\201 \033[1;31mred\033[m\r\n\033[2;4rregion\r\n\r\n\r\nscrolled"
    "\033[r\033[?1049h\033[2J\033[Hon the other\033[2;3Hscreen\033[?1049l\033[6;1Hback again\r\n";

static void
must_be(const struct buf *b, const struct buf *want)
{
	assert_int_equal(buf_len(b), buf_len(want));
	assert_memory_equal(buf_ptr(b), buf_ptr(want), buf_len(want));
}

static struct buf *
buffer(void)
{
	struct buf *b = buf_new(OUT_MAX);

	assert_non_null(b);
	return b;
}

static int
on_screen_line(void *arg, const struct screen_line *line)
{
	int r = buf_put(arg, line->text, line->len);

	return r != 0 ? r : buf_put_u8(arg, '\n');
}

/* All that a screen can be asked for, into out. */
static int
look_at_screen(struct screen *s, struct buf *out)
{
	int r;

	if ((r = screen_paint(s, out)) != 0 || (r = screen_text(s, out)) != 0)
		return r;
	return screen_row(s, 1, 2, 30, out);
}

static int
use_screen(uint32_t cols, uint32_t rows, struct buf *out)
{
	struct screen *s = NULL;
	int r;

	if ((r = screen_new(cols, rows, on_screen_line, out, &s)) == 0 &&
	    (r = screen_feed(s, 1, output, sizeof(output) - 1)) == 0 &&
	    (r = screen_resize(s, 2, 30, 8)) == 0 &&
	    (r = screen_feed(s, 3, output, sizeof(output) - 1)) == 0 &&
	    (r = look_at_screen(s, out)) == 0)
		r = screen_flush(s, 4);
	screen_free(s);
	return r;
}

struct using
{
	uint32_t cols, rows;
	struct buf *out, *want;
};

static int
run_screen(void *arg)
{
	struct using *u = arg;
	int r;

	buf_reset(u->out);
	r = use_screen(u->cols, u->rows, u->out);
	fault_hold();
	assert_true(r == 0 || r == -ENOMEM);
	if (r != 0) {
		buf_reset(u->out);
		assert_int_equal(use_screen(u->cols, u->rows, u->out), 0);
	}
	must_be(u->out, u->want);
	return r;
}

static void
test_a_screen_survives_every_failed_allocation(void **state)
{
	struct using u = { .cols = 24, .rows = 6, .out = buffer(), .want = buffer() };

	(void)state;
	assert_int_equal(use_screen(u.cols, u.rows, u.want), 0);
	assert_true(fault_each(FAULT_MEMORY, run_screen, &u) > 30);
	/* Lines only. */
	u.cols = u.rows = 0;
	buf_reset(u.want);
	assert_int_equal(use_screen(0, 0, u.want), 0);
	assert_true(fault_each(FAULT_MEMORY, run_screen, &u) >= 3);
	buf_free(u.out);
	buf_free(u.want);
}

/* What a screen with a region of rows 2 to 4 shows after a line feed at the end of it, and a new size. */
static void
scroll_and_resize(struct screen *s, struct buf *out)
{
	static const char rest[] = "\033[4;1H\nlow\033[?6h\033[1;1Hhigh";

	assert_int_equal(screen_feed(s, 2, rest, sizeof(rest) - 1), 0);
	assert_int_equal(screen_resize(s, 3, 12, 7), 0);
	assert_int_equal(screen_feed(s, 4, "end", 3), 0);
	assert_int_equal(look_at_screen(s, out), 0);
}

static struct screen *
with_region(void)
{
	static const char text[] = "1\r\n2\r\n3\r\n4\r\n5\033[?1047h\033[2;4r\033[3;2Hx";
	struct screen *s = NULL;

	assert_int_equal(screen_new(20, 5, NULL, NULL, &s), 0);
	assert_int_equal(screen_feed(s, 1, text, sizeof(text) - 1), 0);
	return s;
}

static int
run_resize(void *arg)
{
	struct using *u = arg;
	struct screen *s;
	int r;

	fault_hold();
	s = with_region();
	fault_go();
	r = screen_resize(s, 2, 21, 6);
	fault_hold();
	assert_true(r == 0 || r == -ENOMEM);
	if (r != 0) {
		buf_reset(u->out);
		scroll_and_resize(s, u->out);
		must_be(u->out, u->want);
	}
	screen_free(s);
	return r;
}

static void
test_a_size_that_fails_changes_nothing(void **state)
{
	struct using u = { .out = buffer(), .want = buffer() };
	struct screen *s = with_region();

	(void)state;
	scroll_and_resize(s, u.want);
	screen_free(s);
	assert_true(fault_each(FAULT_MEMORY, run_resize, &u) > 10);
	buf_free(u.out);
	buf_free(u.want);
}

/* The alternate screen cannot be made: the feed says so, and the screen is a whole one that goes on. */
static int
run_alternate(void *arg)
{
	static const char there[] = "\033[?1049h", rest[] = "\033[Hnow\033[?1049l";
	struct using *u = arg;
	struct screen *s = NULL;
	int r;

	fault_hold();
	assert_int_equal(screen_new(20, 5, NULL, NULL, &s), 0);
	assert_int_equal(screen_feed(s, 1, "first", 5), 0);
	fault_go();
	r = screen_feed(s, 2, there, sizeof(there) - 1);
	fault_hold();
	assert_true(r == 0 || r == -ENOMEM);
	if (r != 0)
		assert_int_equal(screen_feed(s, 3, there, sizeof(there) - 1), 0);
	assert_int_equal(screen_feed(s, 3, rest, sizeof(rest) - 1), 0);
	buf_reset(u->out);
	assert_int_equal(screen_text(s, u->out), 0);
	assert_memory_equal(buf_ptr(u->out), "first\n\n", 7);
	screen_free(s);
	return r;
}

static void
test_the_alternate_screen_may_come_later(void **state)
{
	struct using u = { .out = buffer() };

	(void)state;
	assert_true(fault_each(FAULT_MEMORY, run_alternate, &u) > 5);
	buf_free(u.out);
}

/* A session as events: a terminal with output and what is typed, a command, a file. */

static int
on_render_line(void *arg, const struct render_line *line)
{
	struct chunk *c = arg;

	return chunk_add(c, line);
}

static const struct {
	enum event_way way;
	uint8_t type;
	uint32_t channel;
	const char *data;
	size_t len;
} session[] = {
#define EV(way, type, channel, data)                                                               \
	{                                                                                          \
		way, type, channel, data, sizeof(data) - 1                                         \
	}
	EV(EVENT_FRONT, LINK_OPEN, 1, "\0\0\0\7session"),
	EV(EVENT_FRONT, LINK_REQUEST, 1, "\0\0\0\1\0\0\0\7pty-req\1\0\0\0\5xterm\0\0\0\24\0\0\0\5"),
	EV(EVENT_FRONT, LINK_DATA, 1, "ls -\x7fl\x17wide\r"),
	EV(EVENT_BACK, LINK_DATA, 1, "listing\r\n\033[?1049hother\033[?1049l"),
	EV(EVENT_FRONT, LINK_REQUEST, 1, "\0\0\0\2\0\0\0\15window-change\0\0\0\0\36\0\0\0\11"),
	EV(EVENT_FRONT, LINK_OPEN, 2, "\0\0\0\7session"),
	EV(EVENT_FRONT, LINK_REQUEST, 2, "\0\0\0\3\0\0\0\4exec\1\0\0\0\10uname -a"),
	EV(EVENT_BACK, LINK_DATA, 2, "Linux\nbastion\n"),
	EV(EVENT_BACK, LINK_DATA_EXT, 2, "\0\0\0\1to the other stream\n"),
	EV(EVENT_BACK, LINK_CLOSE, 2, ""),
	EV(EVENT_BACK, EVENT_FILE, 2,
	    "\0\0\0\1\0\0\0\46{\"op\":\"rename\",\"path\":\"a\",\"path2\":\"b\"}"),
	EV(EVENT_BACK, LINK_DATA, 1, "the end"),
#undef EV
};
#define SESSION_EVENTS (sizeof(session) / sizeof(session[0]))

static int
feed_session(struct render *rn)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < SESSION_EVENTS; i++) {
		const struct event ev = { .seq = i,
			.at_ns = i * 1000000000u,
			.way = session[i].way,
			.type = session[i].type,
			.channel = session[i].channel,
			.data = (const uint8_t *)session[i].data,
			.len = session[i].len };

		r = render_event(rn, &ev);
	}
	return r;
}

/* Lines, as the chunk that holds them; its filter; and the picture, painted on another one. */
static int
render_session(struct chunk *c, struct buf *out)
{
	struct render *rn = NULL, *again = NULL;
	struct buf *paint = NULL;
	struct screen *s;
	int r;

	if ((r = render_new(on_render_line, c, &rn)) != 0 || (r = feed_session(rn)) != 0 ||
	    (r = render_flush(rn)) != 0 || (r = chunk_pack(c, out)) != 0 ||
	    (r = chunk_filter_put(0, c->text, c->len, out)) != 0)
		goto out;
	r = -ENOMEM;
	if ((paint = buf_new(OUT_MAX)) == NULL)
		goto out;
	s = render_screen(rn, 1);
	assert_non_null(s);
	if ((r = screen_paint(s, paint)) != 0 || (r = render_new(NULL, NULL, &again)) != 0 ||
	    (r = render_restore(again, 1, 30, 9, buf_ptr(paint), buf_len(paint))) != 0)
		goto out;
	s = render_take(again, 1);
	assert_non_null(s);
	r = look_at_screen(s, out);
	screen_free(s);
out:
	buf_free(paint);
	render_free(again);
	render_free(rn);
	return r;
}

static int
run_render(void *arg)
{
	struct using *u = arg;
	struct chunk c = { 0 };
	int r;

	buf_reset(u->out);
	r = render_session(&c, u->out);
	fault_hold();
	assert_true(r == 0 || r == -ENOMEM);
	chunk_done(&c);
	if (r != 0) {
		buf_reset(u->out);
		assert_int_equal(render_session(&c, u->out), 0);
		chunk_done(&c);
	}
	must_be(u->out, u->want);
	return r;
}

static void
test_rendering_survives_every_failed_allocation(void **state)
{
	struct using u = { .out = buffer(), .want = buffer() };
	struct chunk c = { 0 };

	(void)state;
	assert_int_equal(render_session(&c, u.want), 0);
	/* Everything is in it. */
	assert_non_null(memmem(c.text, c.len, "listing\n", 8));
	assert_non_null(memmem(c.text, c.len, "wide\n", 5));
	assert_non_null(memmem(c.text, c.len, "uname -a\n", 9));
	assert_non_null(memmem(c.text, c.len, "to the other stream\n", 20));
	assert_non_null(memmem(c.text, c.len, "rename a b\n", 11));
	assert_non_null(memmem(c.text, c.len, "the end\n", 8));
	chunk_done(&c);
	assert_true(fault_each(FAULT_MEMORY, run_render, &u) > 60);
	buf_free(u.out);
	buf_free(u.want);
}

#define CHUNK_LINES 600u

static int
fill_chunk(struct chunk *c)
{
	char text[32];
	int r = 0;

	for (uint32_t i = (uint32_t)c->n_lines; r == 0 && i < CHUNK_LINES; i++) {
		const struct render_line line = { .kind = RENDER_SCREEN,
			.channel = 1,
			.at_ns = i,
			.text = (const uint8_t *)text,
			.len = (size_t)snprintf(text, sizeof(text), "line %u", i) };

		r = chunk_add(c, &line);
	}
	return r;
}

/* A chunk that could not grow has what it had, and takes the rest later; one that could not be read is an empty one. */
static int
run_chunk(void *arg)
{
	struct using *u = arg;
	struct chunk c = { 0 }, read = { 0 };
	int r, r2;

	r = fill_chunk(&c);
	fault_hold();
	assert_true(r == 0 || r == -ENOMEM);
	assert_true(r == 0 || c.n_lines < CHUNK_LINES);
	assert_int_equal(fill_chunk(&c), 0);
	buf_reset(u->out);
	assert_int_equal(chunk_pack(&c, u->out), 0);
	must_be(u->out, u->want);
	fault_go();
	r2 = chunk_parse(&read, buf_ptr(u->want), buf_len(u->want));
	fault_hold();
	assert_true(r2 == 0 || r2 == -ENOMEM);
	assert_true(r2 == 0 || (read.n_lines == 0 && read.len == 0));
	assert_int_equal(chunk_parse(&read, buf_ptr(u->want), buf_len(u->want)), 0);
	assert_int_equal(read.n_lines, CHUNK_LINES);
	assert_int_equal(read.len, c.len);
	assert_memory_equal(read.text, c.text, c.len);
	chunk_done(&c);
	chunk_done(&read);
	return r != 0 ? r : r2;
}

static void
test_a_chunk_survives_every_failed_allocation(void **state)
{
	struct using u = { .out = buffer(), .want = buffer() };
	struct chunk c = { 0 };

	(void)state;
	assert_int_equal(fill_chunk(&c), 0);
	assert_int_equal(chunk_pack(&c, u.want), 0);
	chunk_done(&c);
	assert_true(fault_each(FAULT_MEMORY, run_chunk, &u) > 5);
	buf_free(u.out);
	buf_free(u.want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_screen_survives_every_failed_allocation),
		cmocka_unit_test(test_a_size_that_fails_changes_nothing),
		cmocka_unit_test(test_the_alternate_screen_may_come_later),
		cmocka_unit_test(test_rendering_survives_every_failed_allocation),
		cmocka_unit_test(test_a_chunk_survives_every_failed_allocation),
	};

	return cmocka_run_group_tests_name("fault_screen", tests, NULL, NULL);
}
