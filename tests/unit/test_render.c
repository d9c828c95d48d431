/* Rendering holds its bounds, whatever channels a recording opens and closes, and however they look. */
#include "config.h"

#include "lib/buf.h"
#include "recorder/event.h"
#include "recorder/render.h"
#include "tests/lib/test.h"

struct made {
	struct render *rn;
	struct buf *b;
	uint64_t seq;
	size_t lines;
	char last[256];
};

static int
on_line(void *arg, const struct render_line *line)
{
	struct made *m = arg;
	size_t n = line->len < sizeof(m->last) - 1 ? line->len : sizeof(m->last) - 1;

	memcpy(m->last, line->text, n);
	m->last[n] = '\0';
	m->lines++;
	return 0;
}

static int
set_up(void **state)
{
	struct made *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->b = buf_new(65536);
	assert_non_null(m->b);
	assert_int_equal(render_new(on_line, m, &m->rn), 0);
	*state = m;
	return 0;
}

static int
tear_down(void **state)
{
	struct made *m = *state;

	render_free(m->rn);
	buf_free(m->b);
	free(m);
	return 0;
}

/* What is in m->b, as an event. */
static void
event(struct made *m, enum event_way way, uint8_t type, uint32_t channel)
{
	const struct event ev = { .seq = ++m->seq,
		.at_ns = m->seq,
		.way = way,
		.type = type,
		.channel = channel,
		.data = buf_ptr(m->b),
		.len = buf_len(m->b) };

	assert_int_equal(render_event(m->rn, &ev), 0);
	buf_reset(m->b);
}

static void
open_sized(struct made *m, uint32_t channel, uint32_t cols, uint32_t rows)
{
	assert_int_equal(buf_put_cstr(m->b, "session"), 0);
	event(m, EVENT_FRONT, LINK_OPEN, channel);
	assert_int_equal(buf_put_u32(m->b, 1), 0);
	assert_int_equal(buf_put_cstr(m->b, "pty-req"), 0);
	assert_int_equal(buf_put_u8(m->b, 1), 0);
	assert_int_equal(buf_put_cstr(m->b, "xterm"), 0);
	assert_int_equal(buf_put_u32(m->b, cols), 0);
	assert_int_equal(buf_put_u32(m->b, rows), 0);
	event(m, EVENT_FRONT, LINK_REQUEST, channel);
}

static void
open_terminal(struct made *m, uint32_t channel)
{
	open_sized(m, channel, 20, 3);
}

static void
resize(struct made *m, uint32_t channel, uint32_t cols, uint32_t rows)
{
	assert_int_equal(buf_put_u32(m->b, 0), 0);
	assert_int_equal(buf_put_cstr(m->b, "window-change"), 0);
	assert_int_equal(buf_put_u8(m->b, 0), 0);
	assert_int_equal(buf_put_u32(m->b, cols), 0);
	assert_int_equal(buf_put_u32(m->b, rows), 0);
	event(m, EVENT_FRONT, LINK_REQUEST, channel);
}

static void
output(struct made *m, uint32_t channel, const char *text)
{
	assert_int_equal(buf_put(m->b, text, strlen(text)), 0);
	event(m, EVENT_BACK, LINK_DATA, channel);
}

static void
test_terminals_beyond_the_bound_take_no_ones_place(void **state)
{
	struct made *m = *state;
	const uint32_t *terminals;
	size_t n;

	for (uint32_t i = 1; i <= RENDER_TERMINALS_MAX; i++)
		open_terminal(m, i);
	/* One more is lines only, and frees no place when it goes. */
	for (uint32_t i = 0; i < 3; i++) {
		open_terminal(m, RENDER_TERMINALS_MAX + 1 + i);
		assert_null(render_screen(m->rn, RENDER_TERMINALS_MAX + 1 + i));
		output(m, RENDER_TERMINALS_MAX + 1 + i, "told all the same\n");
		assert_string_equal(m->last, "told all the same");
		event(m, EVENT_BACK, LINK_CLOSE, RENDER_TERMINALS_MAX + 1 + i);
	}
	terminals = render_terminals(m->rn, &n);
	assert_int_equal(n, RENDER_TERMINALS_MAX);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(terminals[i], i + 1);
	/* One of those that have a screen does. */
	event(m, EVENT_BACK, LINK_CLOSE, 7);
	open_terminal(m, 1000);
	assert_non_null(render_screen(m->rn, 1000));
	assert_null(render_screen(m->rn, 7));
	terminals = render_terminals(m->rn, &n);
	assert_int_equal(n, RENDER_TERMINALS_MAX);
	assert_int_equal(terminals[n - 1], 1000);
}

/* How many screens of the largest size there may be. */
#define LARGEST (RENDER_CELLS_MAX / (SCREEN_COLS_MAX * SCREEN_ROWS_MAX))

static void
test_many_large_terminals_take_bounded_memory(void **state)
{
	struct made *m = *state;
	uint32_t i, cols, rows;

	for (i = 1; i <= LARGEST; i++) {
		open_sized(m, i, 100000, 100000);
		assert_non_null(render_screen(m->rn, i));
	}
	open_sized(m, i, 100000, 100000);
	assert_null(render_screen(m->rn, i));
	output(m, i, "told all the same\n");
	assert_string_equal(m->last, "told all the same");
	/* A small one has room beside them, until it grows: what it showed is told, and what comes then. */
	open_terminal(m, 100);
	output(m, 100, "before");
	assert_non_null(render_screen(m->rn, 100));
	resize(m, 100, 1000, 500);
	assert_null(render_screen(m->rn, 100));
	assert_string_equal(m->last, "before");
	output(m, 100, "and after\n");
	assert_string_equal(m->last, "and after");
	/* One that gets smaller makes room, as one that is over does. */
	resize(m, 1, 80, 24);
	screen_size(render_screen(m->rn, 1), &cols, &rows);
	assert_int_equal(cols, 80);
	open_sized(m, 200, 1000, 500 - 24);
	assert_non_null(render_screen(m->rn, 200));
	open_sized(m, 201, 1000, 500);
	assert_null(render_screen(m->rn, 201));
	event(m, EVENT_BACK, LINK_CLOSE, 2);
	open_sized(m, 202, 1000, 500);
	assert_non_null(render_screen(m->rn, 202));
	assert_null(render_screen(m->rn, 2));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_terminals_beyond_the_bound_take_no_ones_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_many_large_terminals_take_bounded_memory, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
