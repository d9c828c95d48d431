/* Events to bytes and back, and every way in which bytes are no event. */
#include "config.h"

#include "lib/buf.h"
#include "recorder/event.h"
#include "tests/lib/test.h"

static const uint8_t payload[] = "\0\377x";

static struct event
make(enum event_way way, uint8_t type, uint32_t channel, const void *data, size_t len)
{
	return (
	    struct event){ .way = way, .type = type, .channel = channel, .data = data, .len = len };
}

static void
test_the_encoding_is_the_documented_one(void **state)
{
	static const uint8_t want[] = { 0x80, 0x01, 0x40 | LINK_DATA, 0x02, 0x03, 0, 0xff, 'x' };
	struct buf *b = buf_new(1000);
	struct event ev = make(EVENT_BACK, LINK_DATA, 1, payload, 3);

	(void)state;
	assert_int_equal(event_put(b, 128, &ev), 0);
	assert_int_equal(buf_len(b), sizeof(want));
	assert_memory_equal(buf_ptr(b), want, sizeof(want));
	buf_free(b);
}

static void
test_events_come_back_with_number_and_time(void **state)
{
	static const struct {
		enum event_way way;
		uint8_t type;
		uint32_t channel;
		uint64_t dt;
	} in[] = {
		{ EVENT_FRONT, LINK_OPEN, 1, 0 },
		{ EVENT_BACK, LINK_DATA, LINK_FROM_BACK + 1, 1 },
		{ EVENT_TO_FRONT, EVENT_VERDICT, 0x7fffffff, 0xffffffffffull },
		{ EVENT_TO_BACK, EVENT_TYPE_MAX, 0xffffffff, 12345 },
		{ EVENT_FRONT, LINK_END, 0, 0 },
	};
	struct buf *b = buf_new(1000);
	struct event_reader r;
	struct event ev;
	uint64_t at = 7;

	(void)state;
	for (size_t i = 0; i < N_OF(in); i++) {
		ev = make(in[i].way, in[i].type, in[i].channel, payload, i % 4);
		assert_int_equal(event_put(b, in[i].dt, &ev), 0);
	}
	event_reader_init(&r, buf_ptr(b), buf_len(b), 100, 7);
	for (size_t i = 0; i < N_OF(in); i++) {
		at += in[i].dt;
		assert_int_equal(event_next(&r, &ev), 0);
		assert_int_equal(ev.seq, 100 + i);
		assert_int_equal(ev.at_ns, at);
		assert_int_equal(ev.way, in[i].way);
		assert_int_equal(ev.type, in[i].type);
		assert_int_equal(ev.channel, in[i].channel);
		assert_int_equal(ev.len, i % 4);
		assert_memory_equal(ev.data, payload, i % 4);
	}
	assert_int_equal(event_next(&r, &ev), ERR_NOT_FOUND);
	assert_int_equal(r.next_seq, 100 + N_OF(in));
	buf_free(b);
}

static void
test_first_channels_of_both_sides_take_one_byte(void **state)
{
	struct buf *b = buf_new(100);
	struct event ev = make(EVENT_BACK, LINK_EOF, LINK_FROM_BACK + 5, NULL, 0);

	(void)state;
	assert_int_equal(event_put(b, 0, &ev), 0);
	assert_int_equal(buf_len(b), 4);
	buf_free(b);
}

static void
test_the_longest_event_fits_and_a_longer_one_does_not(void **state)
{
	static uint8_t big[EVENT_DATA_MAX + 1];
	struct buf *b = buf_new(1u << 20);
	struct event ev = make(EVENT_BACK, LINK_DATA, 0x7fffffff, big, EVENT_DATA_MAX);
	struct event_reader r;

	(void)state;
	assert_int_equal(event_put(b, UINT64_MAX, &ev), 0);
	assert_true(buf_len(b) <= EVENT_DATA_MAX + EVENT_HEAD_MAX);
	event_reader_init(&r, buf_ptr(b), buf_len(b), 1, 0);
	assert_int_equal(event_next(&r, &ev), 0);
	assert_int_equal(ev.len, EVENT_DATA_MAX);
	buf_reset(b);
	ev.data = big;
	ev.len = EVENT_DATA_MAX + 1;
	assert_int_equal(event_put(b, 0, &ev), ERR_LIMIT);
	ev.len = 1;
	ev.type = EVENT_TYPE_MAX + 1;
	assert_int_equal(event_put(b, 0, &ev), ERR_LIMIT);
	assert_int_equal(buf_len(b), 0);
	buf_free(b);
}

static void
test_an_event_that_does_not_fit_leaves_nothing_behind(void **state)
{
	struct buf *b = buf_new(6);
	struct event ev = make(EVENT_BACK, LINK_DATA, 1, payload, 3);

	(void)state;
	assert_int_equal(event_put(b, 0, &ev), ERR_LIMIT);
	assert_int_equal(buf_len(b), 0);
	ev.len = 2;
	assert_int_equal(event_put(b, 0, &ev), 0);
	assert_int_equal(buf_len(b), 6);
	buf_free(b);
}

static void
test_truncation_at_every_byte_consumes_nothing(void **state)
{
	struct buf *b = buf_new(1000);
	struct event ev = make(EVENT_BACK, LINK_DATA, 0x12345, payload, 3), got;
	struct event_reader r;

	(void)state;
	assert_int_equal(event_put(b, 1u << 20, &ev), 0);
	for (size_t len = 1; len < buf_len(b); len++) {
		event_reader_init(&r, buf_ptr(b), len, 1, 0);
		assert_int_equal(event_next(&r, &got), ERR_FORMAT);
		assert_int_equal(r.off, 0);
		assert_int_equal(r.next_seq, 1);
	}
	buf_free(b);
}

/* One event has one encoding: padded or overlong numbers are refused. */
static void
test_other_encodings_are_refused(void **state)
{
	static const struct {
		const char *what;
		uint8_t bytes[24];
		size_t len;
	} bad[] = {
		{ "padded time", { 0x80, 0x00, LINK_EOF, 2, 0 }, 5 },
		{ "padded channel", { 0, LINK_EOF, 0x82, 0x00, 0 }, 5 },
		{ "padded length", { 0, LINK_EOF, 2, 0x80, 0x00 }, 5 },
		{ "time of 65 bits",
		    { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, LINK_EOF, 2, 0 },
		    13 },
		{ "channel of 33 bits", { 0, LINK_EOF, 0x80, 0x80, 0x80, 0x80, 0x10, 0 }, 8 },
		{ "length beyond the end", { 0, LINK_EOF, 2, 1 }, 4 },
		{ "length beyond the limit", { 0, LINK_EOF, 2, 0xff, 0xff, 0x7f }, 6 },
	};
	struct event_reader r;
	struct event ev;

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++) {
		event_reader_init(&r, bad[i].bytes, bad[i].len, 1, 0);
		if (event_next(&r, &ev) != ERR_FORMAT)
			fail_msg("%s was taken", bad[i].what);
	}
}

static void
test_time_does_not_overflow(void **state)
{
	static const uint8_t bytes[] = { 1, LINK_EOF, 2, 0 };
	struct event_reader r;
	struct event ev;

	(void)state;
	event_reader_init(&r, bytes, sizeof(bytes), 1, UINT64_MAX);
	assert_int_equal(event_next(&r, &ev), ERR_FORMAT);
}

static void
test_names_are_stable(void **state)
{
	(void)state;
	assert_string_equal(event_type_name(LINK_DATA), "data");
	assert_string_equal(event_type_name(EVENT_VERDICT), "verdict");
	assert_string_equal(event_type_name(15), "unknown");
	assert_string_equal(event_way_name(EVENT_TO_BACK), "to-back");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_encoding_is_the_documented_one),
		cmocka_unit_test(test_events_come_back_with_number_and_time),
		cmocka_unit_test(test_first_channels_of_both_sides_take_one_byte),
		cmocka_unit_test(test_the_longest_event_fits_and_a_longer_one_does_not),
		cmocka_unit_test(test_an_event_that_does_not_fit_leaves_nothing_behind),
		cmocka_unit_test(test_truncation_at_every_byte_consumes_nothing),
		cmocka_unit_test(test_other_encodings_are_refused),
		cmocka_unit_test(test_time_does_not_overflow),
		cmocka_unit_test(test_names_are_stable),
	};

	return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
