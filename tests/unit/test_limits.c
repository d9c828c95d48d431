/* Who may connect: totals, sources, the random early drop, and room for others in a flood. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bastiond/broker/limits.h"
#include "lib/clock.h"
#include "lib/hash.h"

#define MANY 1000

static struct settings *conf;
static struct penalty *table;
static struct limits *limits;
static struct limits_ticket tickets[MANY];
static unsigned dice_shows, dice_thrown;

static unsigned
fake_dice(void)
{
	dice_thrown++;
	return dice_shows;
}

static int
set_up(void **state)
{
	(void)state;
	dice_shows = 99;
	dice_thrown = 0;
	conf = malloc(sizeof(*conf));
	table = penalty_new(64);
	limits = limits_new(table);
	if (conf == NULL || table == NULL || limits == NULL ||
	    settings_default(conf, "b.yaml") != 0)
		return 1;
	limits_set_dice(limits, fake_dice);
	conf->startups = (struct settings_startups){ 1000, 100, 1000 };
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	limits_free(limits);
	penalty_free(table);
	free(conf);
	return 0;
}

static enum limits_verdict
enter(const char *text, struct limits_ticket *t)
{
	enum limits_verdict v;
	struct net_addr a;

	assert_int_equal(net_parse(text, &a), 0);
	*t = (struct limits_ticket){ 0 };
	if ((v = limits_check(limits, conf, &a)) == LIMITS_OK)
		limits_enter(limits, conf, &a, t);
	return v;
}

/* The i-th source of many. */
static const char *
source(unsigned i)
{
	static char text[64];

	(void)snprintf(text, sizeof(text), "10.9.%u.%u", i / 200, i % 200 + 1);
	return text;
}

static void
test_total(void **state)
{
	(void)state;
	conf->connections = 10;
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(enter(source(i), &tickets[i]), LIMITS_OK);
	assert_int_equal(enter(source(10), &tickets[10]), LIMITS_CONNECTIONS);
	assert_false(tickets[10].counted);
	limits_leave(limits, &tickets[3]);
	limits_leave(limits, &tickets[3]);
	assert_int_equal(limits_connections(limits), 9);
	assert_int_equal(enter(source(10), &tickets[10]), LIMITS_OK);
	assert_int_equal(limits_refused(limits, LIMITS_CONNECTIONS), 1);
}

static void
test_per_source_counts_all_of_a_64(void **state)
{
	(void)state;
	conf->per_source = 2;
	assert_int_equal(enter("2001:db8::1", &tickets[0]), LIMITS_OK);
	assert_int_equal(enter("2001:db8::2", &tickets[1]), LIMITS_OK);
	assert_int_equal(enter("2001:db8::3", &tickets[2]), LIMITS_PER_SOURCE);
	assert_int_equal(enter("2001:db8:0:1::3", &tickets[2]), LIMITS_OK);
	/* Logged in or not makes no difference. */
	limits_logged_in(limits, &tickets[0]);
	assert_int_equal(enter("2001:db8::4", &tickets[3]), LIMITS_PER_SOURCE);
	limits_leave(limits, &tickets[0]);
	assert_int_equal(enter("2001:db8::4", &tickets[3]), LIMITS_OK);
}

static void
test_per_source_counts_by_the_prefix_that_is_set(void **state)
{
	(void)state;
	conf->per_source = 1;
	conf->source_prefix = (struct settings_prefix){ 24, 48 };
	assert_int_equal(enter("192.0.2.1", &tickets[0]), LIMITS_OK);
	assert_int_equal(enter("192.0.2.254", &tickets[1]), LIMITS_PER_SOURCE);
	assert_int_equal(enter("192.0.3.1", &tickets[1]), LIMITS_OK);
	assert_int_equal(enter("2001:db8::1", &tickets[2]), LIMITS_OK);
	assert_int_equal(enter("2001:db8:0:1::3", &tickets[3]), LIMITS_PER_SOURCE);
	assert_int_equal(enter("2001:db8:1::3", &tickets[3]), LIMITS_OK);
}

static void
test_connections_within_one_are_not_of_its_source(void **state)
{
	(void)state;
	conf->per_source = 2;
	conf->connections = 5;
	conf->startups = (struct settings_startups){ 1, 100, 1 };
	assert_int_equal(enter("192.0.2.1", &tickets[0]), LIMITS_OK);
	limits_logged_in(limits, &tickets[0]);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(limits_check_jump(limits, conf, i, 4), LIMITS_OK);
		limits_enter_jump(limits, &tickets[1 + i]);
	}
	assert_int_equal(limits_startups(limits), 0);
	assert_int_equal(limits_connections(limits), 4);
	assert_int_equal(limits_check_jump(limits, conf, 4, 4), LIMITS_JUMPS);
	assert_int_equal(enter("192.0.2.1", &tickets[4]), LIMITS_OK);
	assert_int_equal(limits_check_jump(limits, conf, 3, 4), LIMITS_CONNECTIONS);
	limits_leave(limits, &tickets[1]);
	limits_leave(limits, &tickets[1]);
	assert_int_equal(limits_connections(limits), 4);
	limits_logged_in(limits, &tickets[4]);
	assert_int_equal(enter("192.0.2.1", &tickets[5]), LIMITS_PER_SOURCE);
	assert_int_equal(limits_check_jump(limits, conf, 2, 4), LIMITS_OK);
}

static void
test_logged_in_ones_are_no_startups(void **state)
{
	(void)state;
	conf->startups = (struct settings_startups){ 2, 100, 2 };
	assert_int_equal(enter(source(0), &tickets[0]), LIMITS_OK);
	assert_int_equal(enter(source(1), &tickets[1]), LIMITS_OK);
	assert_int_equal(enter(source(2), &tickets[2]), LIMITS_STARTUPS);
	limits_logged_in(limits, &tickets[0]);
	limits_logged_in(limits, &tickets[0]);
	assert_int_equal(limits_startups(limits), 1);
	assert_int_equal(enter(source(2), &tickets[2]), LIMITS_OK);
	limits_leave(limits, &tickets[0]);
	limits_leave(limits, &tickets[1]);
	limits_leave(limits, &tickets[2]);
	assert_int_equal(limits_startups(limits), 0);
	assert_int_equal(limits_connections(limits), 0);
}

static void
test_early_drop_rises_from_rate_to_all(void **state)
{
	/* begin 10, rate 30, full 100: at n waiting, 30 + 70 * (n - 10) / 90 percent are dropped. */
	static const struct {
		unsigned waiting, dice;
		enum limits_verdict v;
	} rows[] = { { 10, 29, LIMITS_STARTUPS }, { 10, 30, LIMITS_OK },
		{ 40, 52, LIMITS_STARTUPS }, { 40, 53, LIMITS_OK }, { 74, 78, LIMITS_STARTUPS },
		{ 74, 79, LIMITS_OK }, { 75, 99, LIMITS_STARTUPS } };

	(void)state;
	conf->per_source = MANY;
	conf->startups = (struct settings_startups){ 10, 30, 100 };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct limits_ticket one;

		dice_shows = 99;
		for (unsigned n = 0; n < rows[i].waiting; n++)
			assert_int_equal(enter("192.0.2.1", &tickets[n]), LIMITS_OK);
		dice_shows = rows[i].dice;
		assert_int_equal(enter("192.0.2.1", &one), rows[i].v);
		limits_leave(limits, &one);
		for (unsigned n = 0; n < rows[i].waiting; n++)
			limits_leave(limits, &tickets[n]);
	}
}

static void
test_below_begin_nothing_is_left_to_chance(void **state)
{
	(void)state;
	conf->startups = (struct settings_startups){ 10, 100, 100 };
	dice_shows = 0;
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(enter("192.0.2.1", &tickets[i]), LIMITS_OK);
	assert_int_equal(dice_thrown, 0);
}

static void
test_a_flood_leaves_room_for_others(void **state)
{
	unsigned taken = 0;

	(void)state;
	conf->per_source = MANY;
	conf->startups = (struct settings_startups){ 10, 1, 100 };
	for (unsigned i = 0; i < 500; i++)
		if (enter(source(i % 5), &tickets[taken]) == LIMITS_OK)
			taken++;
	assert_int_equal(taken, 75);
	/* One connection each of 25 others, without chance; then it is full for everybody. */
	dice_shows = 0;
	for (unsigned i = 0; i < 25; i++)
		assert_int_equal(enter(source(100 + i), &tickets[taken++]), LIMITS_OK);
	assert_int_equal(enter(source(200), &tickets[taken]), LIMITS_STARTUPS);
}

static void
test_a_penalty_comes_first(void **state)
{
	struct net_addr a;

	(void)state;
	assert_int_equal(net_parse("192.0.2.1", &a), 0);
	assert_true(penalty_add(table, conf, &a, PENALTY_CRASH));
	conf->connections = 0;
	assert_int_equal(enter("192.0.2.1", &tickets[0]), LIMITS_PENALTY);
	assert_int_equal(enter("192.0.2.2", &tickets[0]), LIMITS_CONNECTIONS);
	assert_string_equal(limits_text(LIMITS_PENALTY), "Not allowed at this time");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_total, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_per_source_counts_all_of_a_64, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_per_source_counts_by_the_prefix_that_is_set, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_connections_within_one_are_not_of_its_source, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_logged_in_ones_are_no_startups, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_early_drop_rises_from_rate_to_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_below_begin_nothing_is_left_to_chance, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_a_flood_leaves_room_for_others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_penalty_comes_first, set_up, tear_down),
	};

	return hash_init() != 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
