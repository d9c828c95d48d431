/* When commits are due, how long they took, and the queue of what they release. */
#include "config.h"

#include "recorder/commit.h"
#include "recorder/release.h"
#include "tests/lib/test.h"

#define MS 1000000ull

static void
test_a_lone_user_never_waits(void **state)
{
	struct commit c;
	uint64_t now = 1000;

	(void)state;
	commit_init(&c, now);
	/* Twenty keys a second, each with its echo. */
	for (int i = 0; i < 10000; i++) {
		assert_int_equal(commit_wait(&c, now, 1), 0);
		commit_done(&c, now);
		now += 25 * MS;
	}
}

static void
test_a_burst_is_served_at_once_and_a_flood_at_the_rate(void **state)
{
	struct commit c;
	uint64_t now = 5, wait, waited = 0;
	unsigned eager = 0;

	(void)state;
	commit_init(&c, now);
	while ((wait = commit_wait(&c, now, 1)) == 0) {
		commit_done(&c, now);
		eager++;
	}
	assert_int_equal(eager, COMMIT_BURST);
	for (unsigned i = 0; i < 10 * COMMIT_RATE; i++) {
		wait = commit_wait(&c, now, 1);
		assert_true(wait <= 1000 * MS / COMMIT_RATE);
		now += wait;
		waited += wait;
		assert_int_equal(commit_wait(&c, now, 1), 0);
		commit_done(&c, now);
	}
	assert_true(waited >= 9990 * MS && waited <= 10010 * MS);
}

static void
test_much_does_not_wait(void **state)
{
	struct commit c;

	(void)state;
	commit_init(&c, 0);
	while (commit_wait(&c, 0, 1) == 0)
		commit_done(&c, 0);
	assert_true(commit_wait(&c, 0, COMMIT_BYTES - 1) > 0);
	assert_int_equal(commit_wait(&c, 0, COMMIT_BYTES), 0);
}

static void
test_savings_are_bounded_and_time_may_stand(void **state)
{
	struct commit c;
	unsigned eager = 0;

	(void)state;
	commit_init(&c, 1000);
	while (commit_wait(&c, 1000000 * MS, 1) == 0) {
		commit_done(&c, 1000000 * MS);
		eager++;
	}
	assert_int_equal(eager, COMMIT_BURST);
	/* A clock that goes back saves nothing. */
	assert_true(commit_wait(&c, 1, 1) > 0);
}

static void
test_quantiles(void **state)
{
	static struct commit_times t;

	(void)state;
	assert_int_equal(commit_times_quantile(&t, 500), 0);
	commit_times_add(&t, 7000);
	assert_int_equal(commit_times_quantile(&t, 500), 7000);
	for (uint64_t i = 1; i <= COMMIT_SAMPLES; i++)
		commit_times_add(&t, i * 1000);
	assert_int_equal(commit_times_quantile(&t, 0), 1000);
	assert_int_equal(commit_times_quantile(&t, 1000), COMMIT_SAMPLES * 1000);
	assert_int_equal(commit_times_quantile(&t, 500), COMMIT_SAMPLES / 2 * 1000);
}

struct seen {
	unsigned n;
};

static void
check_item(void *arg, const struct release_item *item)
{
	struct seen *s = arg;

	assert_ptr_equal(item->to, s);
	assert_int_equal(item->id, s->n);
	assert_int_equal(item->type, s->n % 7);
	assert_int_equal(item->len, s->n * 11 % 40000);
	for (size_t i = 0; i < item->len; i++)
		assert_int_equal(item->data[i], (uint8_t)s->n);
	s->n++;
}

static void
test_everything_is_released_once_in_order(void **state)
{
	struct release *q = release_new();
	struct seen s = { 0 };
	uint8_t data[40000];

	(void)state;
	assert_non_null(q);
	for (int round = 0; round < 2; round++) {
		s.n = 0;
		for (unsigned i = 0; i < 2000; i++) {
			memset(data, (int)i, sizeof(data));
			assert_int_equal(
			    release_add(q, &s, (uint16_t)(i % 7), i, data, i * 11 % 40000), 0);
		}
		assert_true(release_bytes(q) > 0);
		release_all(q, check_item, &s);
		assert_int_equal(s.n, 2000);
		assert_int_equal(release_bytes(q), 0);
		release_all(q, check_item, &s);
		assert_int_equal(s.n, 2000);
	}
	release_free(q);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_lone_user_never_waits),
		cmocka_unit_test(test_a_burst_is_served_at_once_and_a_flood_at_the_rate),
		cmocka_unit_test(test_much_does_not_wait),
		cmocka_unit_test(test_savings_are_bounded_and_time_may_stand),
		cmocka_unit_test(test_quantiles),
		cmocka_unit_test(test_everything_is_released_once_in_order),
	};

	return cmocka_run_group_tests_name("commit", tests, NULL, NULL);
}
