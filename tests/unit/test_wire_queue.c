/* The byte queue against a plain model, and what it gives back. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bastiond/ssh/wire_priv.h"

static uint32_t seed = 1;

static uint32_t
rnd(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static void
test_random_puts_and_takes_keep_order(void **state)
{
	struct wire_queue q = { 0 };
	uint8_t in = 0, out = 0, *room;
	size_t n, most;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		most = i % 2000 < 1000 ? 100 : 9000;
		n = rnd((uint32_t)most);
		room = wire_queue_room(&q, n);
		assert_non_null(room);
		for (size_t j = 0; j < n; j++)
			room[j] = in++;
		wire_queue_added(&q, n);
		n = rnd((uint32_t)(q.len + 1));
		if (rnd(4) == 0)
			n = q.len;
		for (size_t j = 0; j < n; j++)
			assert_int_equal(wire_queue_front(&q)[j], out++);
		wire_queue_taken(&q, n);
		assert_true(q.off + q.len <= q.cap || q.cap == 0);
	}
	wire_queue_free(&q);
}

static void
test_a_large_block_is_given_back_when_little_passes(void **state)
{
	struct wire_queue q = { 0 };

	(void)state;
	assert_non_null(wire_queue_room(&q, 1000000));
	wire_queue_added(&q, 1000000);
	wire_queue_taken(&q, 1000000);
	assert_true(q.cap >= 1000000);
	for (unsigned i = 0; i < 20; i++) {
		assert_non_null(wire_queue_room(&q, 10));
		wire_queue_added(&q, 10);
		wire_queue_taken(&q, 10);
	}
	assert_true(q.cap <= 4096);
	wire_queue_free(&q);
	assert_null(wire_queue_front(&q));
}

static void
test_room_that_cannot_exist(void **state)
{
	struct wire_queue q = { 0 };

	(void)state;
	assert_null(wire_queue_room(&q, SIZE_MAX));
	assert_null(wire_queue_room(&q, SIZE_MAX / 2 + 2));
	assert_non_null(wire_queue_room(&q, 0));
	wire_queue_added(&q, 1);
	assert_null(wire_queue_room(&q, SIZE_MAX));
	wire_queue_free(&q);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_puts_and_takes_keep_order),
		cmocka_unit_test(test_a_large_block_is_given_back_when_little_passes),
		cmocka_unit_test(test_room_that_cannot_exist),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
