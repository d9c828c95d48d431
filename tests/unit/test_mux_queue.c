/* The queue towards one channel: order, joining, memory. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bastiond/ssh/mux_queue.h"

#define MSG 98 /* some message */

static void
want(struct mux_queue *q, uint8_t kind, const char *text)
{
	struct mux_rec rec;

	assert_true(mux_queue_peek(q, &rec));
	assert_int_equal(rec.kind, kind);
	assert_int_equal(rec.len, strlen(text));
	assert_memory_equal(rec.data, text, rec.len);
	mux_queue_take(q, rec.len);
}

static void
put(struct mux_queue *q, uint8_t kind, const char *text)
{
	assert_int_equal(mux_queue_put(q, kind, text, strlen(text)), 0);
}

static void
test_an_empty_queue_has_nothing_to_show(void **state)
{
	struct mux_queue q = { 0 };
	struct mux_rec rec;

	(void)state;
	assert_true(mux_queue_empty(&q));
	assert_false(mux_queue_peek(&q, &rec));
	assert_int_equal(mux_queue_put(&q, MUX_Q_OUT, "", 0), 0);
	assert_true(mux_queue_empty(&q));
	mux_queue_free(&q);
}

static void
test_bytes_of_one_stream_are_joined_and_streams_are_not_mixed(void **state)
{
	struct mux_queue q = { 0 };

	(void)state;
	put(&q, MUX_Q_OUT, "ab");
	put(&q, MUX_Q_OUT, "cd");
	put(&q, MUX_Q_ERR, "e");
	put(&q, MUX_Q_OUT, "f");
	assert_int_equal(q.n_data, 6);
	want(&q, MUX_Q_OUT, "abcd");
	want(&q, MUX_Q_ERR, "e");
	want(&q, MUX_Q_OUT, "f");
	assert_true(mux_queue_empty(&q));
	assert_int_equal(q.n_data, 0);
	mux_queue_free(&q);
}

static void
test_a_message_stays_whole_and_between_its_neighbours(void **state)
{
	struct mux_queue q = { 0 };

	(void)state;
	put(&q, MUX_Q_OUT, "before");
	put(&q, MSG, "");
	put(&q, MSG, "request");
	put(&q, MUX_Q_OUT, "after");
	assert_int_equal(q.n_others, 2);
	want(&q, MUX_Q_OUT, "before");
	want(&q, MSG, "");
	want(&q, MSG, "request");
	assert_int_equal(q.n_others, 0);
	want(&q, MUX_Q_OUT, "after");
	mux_queue_free(&q);
}

static void
test_a_part_taken_leaves_the_rest_in_front_of_what_joins(void **state)
{
	struct mux_queue q = { 0 };

	(void)state;
	put(&q, MUX_Q_OUT, "abc");
	mux_queue_take(&q, 2);
	put(&q, MUX_Q_OUT, "de");
	assert_int_equal(q.n_data, 3);
	want(&q, MUX_Q_OUT, "cde");
	assert_true(mux_queue_empty(&q));
	mux_queue_free(&q);
}

/* Random puts and takes against a plain list of bytes, across many block borders. */
static void
test_a_model_agrees(void **state)
{
	static uint8_t model[1 << 20], data[40000];
	size_t first = 0, n = 0, len;
	struct mux_queue q = { 0 };
	struct mux_rec rec;
	unsigned seed = 7;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		seed = seed * 1103515245u + 12345u;
		len = (seed >> 8) % ((seed >> 5) % 9 == 0 ? sizeof(data) : 40u) + 1;
		if ((seed >> 3) % 3 != 0 && n + len < sizeof(model)) {
			for (size_t k = 0; k < len; k++)
				data[k] = model[n + k] = (uint8_t)(n + k + (size_t)i);
			assert_int_equal(mux_queue_put(&q, MUX_Q_ERR, data, len), 0);
			n += len;
		} else if (mux_queue_peek(&q, &rec)) {
			len = len < rec.len ? len : rec.len;
			assert_memory_equal(rec.data, model + first, len);
			mux_queue_take(&q, len);
			first += len;
		}
		assert_int_equal(q.n_data, n - first);
	}
	while (mux_queue_peek(&q, &rec)) {
		assert_memory_equal(rec.data, model + first, rec.len);
		first += rec.len;
		mux_queue_take(&q, rec.len);
	}
	assert_int_equal(first, n);
	mux_queue_free(&q);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_empty_queue_has_nothing_to_show),
		cmocka_unit_test(test_bytes_of_one_stream_are_joined_and_streams_are_not_mixed),
		cmocka_unit_test(test_a_message_stays_whole_and_between_its_neighbours),
		cmocka_unit_test(test_a_part_taken_leaves_the_rest_in_front_of_what_joins),
		cmocka_unit_test(test_a_model_agrees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
