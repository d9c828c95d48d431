/* Penalties per source: what is charged, when it bites, when it is over, and that the table stays bounded. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bastiond/broker/penalty.h"
#include "lib/clock.h"
#include "lib/hash.h"

#define S CLOCK_NS_PER_S

static uint64_t now_ns;

static uint64_t
fake_now(void)
{
	return now_ns;
}

static struct settings *conf;
static struct penalty *table;

static int
set_up(void **state)
{
	(void)state;
	now_ns = 1000 * S;
	clock_override(NULL, fake_now);
	conf = malloc(sizeof(*conf));
	table = penalty_new(64);
	return conf == NULL || table == NULL || settings_default(conf, "b.yaml") != 0;
}

static int
tear_down(void **state)
{
	(void)state;
	penalty_free(table);
	free(conf);
	clock_override(NULL, NULL);
	return 0;
}

static struct net_addr
from(const char *text)
{
	struct net_addr a;

	assert_int_equal(net_parse(text, &a), 0);
	return a;
}

static bool
refused(const char *text)
{
	struct net_addr a = from(text);
	uint64_t left;

	return penalty_active(table, conf, &a, &left);
}

static bool
charge(const char *text, enum penalty_kind kind)
{
	struct net_addr a = from(text);

	return penalty_add(table, conf, &a, kind);
}

static void
test_the_third_failure_bites(void **state)
{
	(void)state;
	assert_false(charge("192.0.2.1", PENALTY_AUTH_FAILURE));
	now_ns += S;
	assert_false(charge("192.0.2.1", PENALTY_AUTH_FAILURE));
	now_ns += S;
	assert_false(refused("192.0.2.1"));
	assert_true(charge("192.0.2.1", PENALTY_AUTH_FAILURE));
	assert_true(refused("192.0.2.1"));
	assert_false(refused("192.0.2.2"));
	assert_false(charge("192.0.2.1", PENALTY_AUTH_FAILURE));
}

static void
test_it_runs_off(void **state)
{
	struct net_addr a = from("192.0.2.1");
	uint64_t left = 0;
	size_t known, bad;

	(void)state;
	assert_true(charge("192.0.2.1", PENALTY_CRASH));
	assert_true(penalty_active(table, conf, &a, &left));
	assert_true(left == 90 * S);
	penalty_count(table, &known, &bad);
	assert_int_equal(known, 1);
	assert_int_equal(bad, 1);
	now_ns += 90 * S - 1;
	assert_true(refused("192.0.2.1"));
	now_ns++;
	assert_false(refused("192.0.2.1"));
	penalty_count(table, &known, &bad);
	assert_int_equal(known, 0);
	/* And nothing of it is left: two small ones do not bite. */
	assert_false(charge("192.0.2.1", PENALTY_AUTH_FAILURE));
	assert_false(charge("192.0.2.1", PENALTY_AUTH_FAILURE));
	assert_false(refused("192.0.2.1"));
}

static void
test_it_has_a_maximum(void **state)
{
	struct net_addr a = from("192.0.2.1");
	uint64_t left = 0;

	(void)state;
	for (int i = 0; i < 20; i++)
		(void)charge("192.0.2.1", PENALTY_CRASH);
	assert_true(penalty_active(table, conf, &a, &left));
	assert_true(left == 600 * S);
}

static void
test_slow_failures_do_not_add_up(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		assert_false(charge("192.0.2.1", PENALTY_AUTH_FAILURE));
		now_ns += 5 * S;
	}
	assert_false(refused("192.0.2.1"));
}

static void
test_a_source_is_an_address_or_a_64(void **state)
{
	(void)state;
	assert_true(charge("2001:db8:0:1::1", PENALTY_CRASH));
	assert_true(refused("2001:db8:0:1:ffff::9"));
	assert_false(refused("2001:db8:0:2::1"));
	assert_true(charge("::ffff:192.0.2.1", PENALTY_CRASH));
	assert_true(refused("192.0.2.1"));
	assert_false(refused("192.0.2.0"));
}

static void
test_a_source_is_what_the_prefix_says(void **state)
{
	(void)state;
	conf->source_prefix = (struct settings_prefix){ 24, 48 };
	assert_true(charge("2001:db8:0:1::1", PENALTY_CRASH));
	assert_true(refused("2001:db8:0:2::1"));
	assert_false(refused("2001:db8:1::1"));
	assert_true(charge("192.0.2.1", PENALTY_CRASH));
	assert_true(refused("192.0.2.0"));
	assert_false(refused("192.0.3.1"));
}

static void
test_exempt_sources_are_not_charged(void **state)
{
	(void)state;
	assert_false(charge("127.0.0.1", PENALTY_CRASH));
	assert_false(charge("::1", PENALTY_CRASH));
	assert_false(refused("127.0.0.1"));
	/* A source that is exempt after a reload is let in at once. */
	assert_true(charge("192.0.2.1", PENALTY_CRASH));
	assert_int_equal(net_prefix_parse("192.0.2.0/24", &conf->penalties.exempt.prefix[0]), 0);
	assert_false(refused("192.0.2.1"));
}

static void
test_a_span_of_zero_is_off(void **state)
{
	(void)state;
	conf->penalties.crash_ns = 0;
	for (int i = 0; i < 100; i++)
		assert_false(charge("192.0.2.1", PENALTY_CRASH));
	assert_false(refused("192.0.2.1"));
}

static void
test_the_table_is_bounded_and_forgets_the_soonest(void **state)
{
	size_t known, bad;
	char text[64];

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		(void)snprintf(text, sizeof(text), "10.0.%u.%u", i / 256, i % 256);
		now_ns += 1000;
		(void)charge(text, PENALTY_CRASH);
		assert_true(refused(text));
	}
	penalty_count(table, &known, &bad);
	assert_true(known <= 64);
	assert_true(known > 32);
	/* One that lasts longest is the last to be forgotten. */
	for (int i = 0; i < 7; i++)
		(void)charge("192.0.2.77", PENALTY_CRASH);
	for (unsigned i = 0; i < 5000; i++) {
		(void)snprintf(text, sizeof(text), "10.1.%u.%u", i / 256, i % 256);
		(void)charge(text, PENALTY_CRASH);
	}
	assert_true(refused("192.0.2.77"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_third_failure_bites, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_it_runs_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_it_has_a_maximum, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_slow_failures_do_not_add_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_a_source_is_an_address_or_a_64, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_a_source_is_what_the_prefix_says, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_exempt_sources_are_not_charged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_span_of_zero_is_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_the_table_is_bounded_and_forgets_the_soonest, set_up, tear_down),
	};

	return hash_init() != 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
