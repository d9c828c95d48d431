/* The buffer without memory: what was in it stays in it. */
#include "config.h"

#include <errno.h>

#include "tests/lib/test.h"

#include "fault.h"
#include "lib/buf.h"

static int
put_and_compare(struct buf *b)
{
	uint8_t data[700];
	int r;

	memset(data, 'x', sizeof(data));
	for (size_t n = 1; n < 12; n++) {
		size_t before = buf_len(b);

		r = n % 2 == 0 ? buf_put_str(b, data, n * 50) : buf_put(b, data, n * 60);
		if (r != 0) {
			assert_int_equal(r, -ENOMEM);
			assert_int_equal(buf_len(b), before);
			assert_true(before == 0 || buf_ptr(b)[0] == 'x');
			return r;
		}
	}
	return 0;
}

static int
run(void *arg)
{
	struct buf *b = buf_new(5000), *view = buf_view("abc", 3);
	int r = b != NULL && view != NULL ? put_and_compare(b) : -ENOMEM;

	(void)arg;
	/* After a failure the next one works. */
	if (b != NULL && r != 0) {
		size_t len = buf_len(b);

		assert_int_equal(buf_put(b, "more", 4), 0);
		assert_int_equal(buf_len(b), len + 4);
	}
	buf_free(b);
	buf_free(view);
	return r;
}

static void
test_every_failed_allocation_leaves_the_buffer_whole(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, run, NULL) >= 6);
}

static void
test_what_there_is_room_for_needs_no_memory(void **state)
{
	struct buf *b = buf_new(5000);
	uint8_t data[3000] = { 0 };

	(void)state;
	assert_non_null(b);
	assert_int_equal(buf_make_room(b, 5001), ERR_LIMIT);
	fault_arm(FAULT_MEMORY, 1);
	assert_int_equal(buf_make_room(b, 4096), -ENOMEM);
	assert_true(fault_disarm());
	assert_int_equal(buf_put(b, "abc", 3), 0);
	assert_int_equal(buf_make_room(b, 4096), 0);
	assert_int_equal(buf_len(b), 3);
	assert_memory_equal(buf_ptr(b), "abc", 3);
	fault_arm(FAULT_MEMORY, 1);
	assert_int_equal(buf_put(b, data, sizeof(data)), 0);
	assert_int_equal(buf_put_str(b, data, 1092), 0);
	assert_int_equal(buf_make_room(b, 0), 0);
	assert_false(fault_disarm());
	assert_int_equal(buf_len(b), 3 + 4096);
	buf_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_failed_allocation_leaves_the_buffer_whole),
		cmocka_unit_test(test_what_there_is_room_for_needs_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
