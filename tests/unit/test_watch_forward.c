/* Forwarded connections that open like SSH. */
#include "config.h"

#include "policy/policy_proto.h"
#include "tests/lib/test.h"
#include "tests/unit/watch_rig.h"

#define CUT "cut: an SSH connection inside a forward: use ssh -J\n"

/* One connection: what each side sends first, the target's side first, in pieces. */
static void
run(struct rig *g, const char *back, const char *front, size_t piece)
{
	assert_int_equal(rig_start(g, POL_STREAM_FORWARD, ""), 0);
	assert_int_equal(rig_feed(g, EVENT_BACK, back, strlen(back), piece), 0);
	assert_int_equal(rig_feed(g, EVENT_FRONT, front, strlen(front), piece), 0);
	assert_true(watch_follows(g->w));
	rig_end(g);
	assert_int_equal(g->plain, strlen(back) + strlen(front));
	assert_int_equal(g->n_files, 0);
}

static void
test_other_openings_are_not_told(void **state)
{
	static const char *const others[] = { "", "S", "SSH", "ssh-2.0", "SSH/2.0", "SSSH-2.0",
		" SSH-2.0", "\nSSH-2.0-x", "GET / HTTP/1.1\r\n\r\nSSH-2.0-x", "SSSSH-" };
	struct rig g;

	(void)state;
	for (size_t i = 0; i < N_OF(others); i++)
		for (size_t piece = 1; piece < 8; piece++) {
			run(&g, others[i], "220 mail\r\n", piece);
			assert_string_equal(g.remarks, "");
			run(&g, "", others[i], piece);
			assert_string_equal(g.remarks, "");
		}
}

static void
test_the_banner_is_told_from_either_side_and_over_any_split(void **state)
{
	struct rig g;

	(void)state;
	for (size_t piece = 1; piece < 8; piece++) {
		run(&g, "", "SSH-2.0-OpenSSH_9.2\r\n", piece);
		assert_string_equal(g.remarks, CUT);
		run(&g, "SSH-1.99-x\r\n", "", piece);
		assert_string_equal(g.remarks, CUT);
		run(&g, "220 mail\r\n", "SSH-", piece);
		assert_string_equal(g.remarks, CUT);
	}
}

static void
test_it_is_told_once(void **state)
{
	struct rig g;

	(void)state;
	run(&g, "SSH-2.0-a\r\n", "SSH-2.0-b\r\n", 3);
	assert_string_equal(g.remarks, CUT);
}

static void
test_it_is_told_before_the_byte_that_completes_it(void **state)
{
	struct rig g;

	(void)state;
	assert_int_equal(rig_start(&g, POL_STREAM_FORWARD, ""), 0);
	assert_int_equal(rig_feed(&g, EVENT_FRONT, "SSH", 3, 1), 0);
	assert_string_equal(g.remarks, "");
	g.fail_after = g.n_calls + 1;
	assert_int_equal(rig_feed(&g, EVENT_FRONT, "-2.0", 4, 4), ERR_LIMIT);
	assert_string_equal(g.remarks, CUT);
	assert_int_equal(g.plain, 3);
	watch_free(g.w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_other_openings_are_not_told),
		cmocka_unit_test(test_the_banner_is_told_from_either_side_and_over_any_split),
		cmocka_unit_test(test_it_is_told_once),
		cmocka_unit_test(test_it_is_told_before_the_byte_that_completes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
