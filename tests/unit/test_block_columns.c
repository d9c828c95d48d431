/* Events in columns: back to the byte, and nothing out of columns that no split made. */
#include "config.h"

#include "lib/buf.h"
#include "recorder/block.h"
#include "recorder/block_columns.h"
#include "recorder/event.h"
#include "tests/lib/test.h"

static uint8_t space[BLOCK_RAW_MAX + COLUMNS_EXTRA], back[BLOCK_RAW_MAX];

static void
put(struct buf *b, uint64_t dt_ns, enum event_way way, uint8_t type, const char *text)
{
	const struct event ev = { .way = way,
		.type = type,
		.channel = type == LINK_NOTE ? 0 : LINK_FROM_BACK + 1,
		.data = (const uint8_t *)text,
		.len = strlen(text) };

	assert_int_equal(event_put(b, dt_ns, &ev), 0);
}

static struct buf *
some_events(uint64_t tick_ns)
{
	struct buf *b = buf_new(BLOCK_RAW_MAX);

	assert_non_null(b);
	put(b, 5 * tick_ns, EVENT_FRONT, LINK_NOTE, "a note");
	put(b, 0, EVENT_FRONT, EVENT_VEIL, "");
	put(b, 70000 * tick_ns, EVENT_FRONT, LINK_DATA, "typed");
	put(b, UINT64_MAX / 2000 * tick_ns, EVENT_BACK, LINK_DATA, "and shown");
	put(b, tick_ns, EVENT_BACK, LINK_DATA_EXT, "0001 on stderr");
	return b;
}

static void
split_and_back(const struct buf *events)
{
	size_t n, len;

	assert_int_equal(columns_split(buf_ptr(events), buf_len(events), space, &n), 0);
	assert_true(n <= buf_len(events) + COLUMNS_EXTRA);
	assert_int_equal(columns_join(space, n, back, buf_len(events), &len), 0);
	assert_int_equal(len, buf_len(events));
	assert_memory_equal(back, buf_ptr(events), len);
}

static void
test_events_come_back_to_the_byte(void **state)
{
	static const uint64_t ticks[] = { 1, 7, 1000, 1001 };
	struct buf *b;

	(void)state;
	for (size_t i = 0; i < N_OF(ticks); i++) {
		b = some_events(ticks[i]);
		split_and_back(b);
		buf_free(b);
	}
	b = buf_new(BLOCK_RAW_MAX);
	assert_non_null(b);
	split_and_back(b);
	buf_free(b);
}

/* As short as events can be, and as many as a block takes. */
static void
test_a_full_block_of_tiny_events(void **state)
{
	struct buf *b = buf_new(BLOCK_RAW_MAX);

	(void)state;
	assert_non_null(b);
	while (buf_len(b) + 4 <= BLOCK_RAW_MAX) {
		const struct event ev = { .way = EVENT_TO_BACK, .type = LINK_EOF };

		assert_int_equal(event_put(b, 0, &ev), 0);
	}
	split_and_back(b);
	buf_free(b);
}

static void
test_like_stands_by_like(void **state)
{
	struct buf *b = some_events(1000);
	size_t n;

	(void)state;
	put(b, 1000, EVENT_FRONT, LINK_DATA, " again");
	put(b, 1000, EVENT_BACK, LINK_DATA, ", again");
	assert_int_equal(columns_split(buf_ptr(b), buf_len(b), space, &n), 0);
	assert_non_null(memmem(space, n, "typed again", 11));
	assert_memory_equal(space + n - 16, "and shown, again", 16);
	/* Whole microseconds take three digits less. */
	assert_memory_equal(space, "\xe8\x07", 2);
	buf_free(b);
}

static void
test_cut_events_are_refused(void **state)
{
	struct buf *b = some_events(1);
	size_t n, cuts = 0;

	(void)state;
	for (size_t len = 0; len < buf_len(b); len++)
		cuts += columns_split(buf_ptr(b), len, space, &n) == 0;
	assert_int_equal(cuts, 5); /* between two events, and nothing at all */
	buf_free(b);
}

static void
test_cut_columns_and_little_room_are_refused(void **state)
{
	struct buf *b = some_events(1000);
	size_t n, len;

	(void)state;
	assert_int_equal(columns_split(buf_ptr(b), buf_len(b), space, &n), 0);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(columns_join(space, cut, back, sizeof(back), &len), ERR_FORMAT);
	for (size_t max = 0; max < buf_len(b); max++)
		assert_int_equal(columns_join(space, n, back, max, &len), ERR_FORMAT);
	space[n] = 'x';
	assert_int_equal(columns_join(space, n + 1, back, sizeof(back), &len), ERR_FORMAT);
	buf_free(b);
}

static void
test_impossible_columns_are_refused(void **state)
{
	/* unit, six lengths, then one event: kind, channel, length, time, nothing else */
	static const struct {
		const char *what, *bytes;
		size_t len;
		int r;
	} cases[] = {
		{ "one event", "\x01\x01\x01\x01\x01\0\0\x13\x02\0\x05", 11, 0 },
		{ "no unit", "\0\x01\x01\x01\x01\0\0\x13\x02\0\x05", 11, ERR_FORMAT },
		{ "another unit", "\x02\x01\x01\x01\x01\0\0\x13\x02\0\x05", 11, ERR_FORMAT },
		{ "a column that is longer than all", "\x01\x7f\x01\x01\x01\0\0\x13\x02\0\x05", 11,
		    ERR_FORMAT },
		{ "a payload that is not there", "\x01\x01\x01\x01\x01\0\0\x13\x02\x01\x05", 11,
		    ERR_FORMAT },
		{ "a channel too many", "\x01\x01\x02\x01\x01\0\0\x13\x02\x02\0\x05", 12,
		    ERR_FORMAT },
		{ "an endless number",
		    "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 15,
		    ERR_FORMAT },
		{ "a time beyond all",
		    "\xe8\x07\x01\x01\x01\x0a\0\0\x13\x02\0"
		    "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		    21, ERR_FORMAT },
	};
	size_t len;

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++)
		if (columns_join((const uint8_t *)cases[i].bytes, cases[i].len, back, sizeof(back),
			&len) != cases[i].r)
			fail_msg("%s", cases[i].what);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events_come_back_to_the_byte),
		cmocka_unit_test(test_a_full_block_of_tiny_events),
		cmocka_unit_test(test_like_stands_by_like),
		cmocka_unit_test(test_cut_events_are_refused),
		cmocka_unit_test(test_cut_columns_and_little_room_are_refused),
		cmocka_unit_test(test_impossible_columns_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
