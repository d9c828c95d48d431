/* The latest moment ever seen: it goes on over restarts and never back, and a file that is no moment is no excuse. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bastiond/broker/mark.h"
#include "lib/clock.h"
#include "lib/file.h"

#define S CLOCK_NS_PER_S

static uint64_t wall_ns, boot_ns;
static char dir[] = "/tmp/bastion-mark.XXXXXX", path[64];
static struct loop *loop;

static uint64_t
fake_wall(void)
{
	return wall_ns;
}

static uint64_t
fake_boot(void)
{
	return boot_ns;
}

static int
set_up(void **state)
{
	(void)state;
	wall_ns = 5000 * S;
	boot_ns = 100 * S;
	clock_override(fake_wall, fake_boot);
	strcpy(dir, "/tmp/bastion-mark.XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/clock", dir);
	return loop_new(&loop);
}

static int
tear_down(void **state)
{
	(void)state;
	loop_free(loop);
	(void)unlink(path);
	assert_int_equal(rmdir(dir), 0);
	clock_override(NULL, NULL);
	return 0;
}

static struct mark *
opened(void)
{
	struct mark *m = NULL;

	assert_int_equal(mark_new(loop, path, &m), 0);
	return m;
}

static void
file_is(const char *want)
{
	char *text = NULL;
	size_t len;

	assert_int_equal(file_read(path, 100, &text, &len), 0);
	assert_string_equal(text, want);
	free(text);
}

static void
test_it_is_written_at_once_and_at_the_end(void **state)
{
	struct mark *m = opened();

	(void)state;
	file_is("5000\n");
	wall_ns = 5017 * S;
	boot_ns += 17 * S;
	mark_free(m);
	file_is("5017\n");
}

static void
test_a_clock_that_is_set_back(void **state)
{
	struct mark *m = opened();

	(void)state;
	wall_ns = 1000 * S;
	boot_ns += 10 * S;
	assert_true(mark_newest_s(m) == 5010); /* time goes on all the same */
	mark_free(m);
	m = opened(); /* the wall clock still says 1000 */
	assert_true(mark_newest_s(m) == 5010);
	mark_free(m);
	file_is("5010\n");
}

static void
test_a_clock_that_is_set_on(void **state)
{
	struct mark *m = opened();

	(void)state;
	wall_ns = 9000 * S;
	assert_true(mark_newest_s(m) == 9000);
	wall_ns = 5001 * S; /* and back */
	assert_true(mark_newest_s(m) == 9000);
	mark_free(m);
	file_is("9000\n");
}

static void
test_what_is_no_moment(void **state)
{
	static const char *const no[] = { "", "\n", "x\n", "-1\n", "5000", " 5000\n", "5000\n\n",
		"05000\n", "99999999999999999999\n", "18446744073709551615\n",
		"5000 seconds since the beginning of everything\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		struct mark *m = NULL;

		assert_int_equal(file_replace(path, 0600, no[i], strlen(no[i])), 0);
		assert_int_equal(mark_new(loop, path, &m), ERR_FORMAT);
		assert_null(m);
		file_is(no[i]);
	}
}

static void
test_a_folder_that_is_not_there(void **state)
{
	struct mark *m = NULL;

	(void)state;
	assert_int_equal(mark_new(loop, "/nonexistent/clock", &m), -ENOENT);
	assert_null(m);
}

static void
test_without_a_mark(void **state)
{
	(void)state;
	assert_true(mark_newest_s(NULL) == 5000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_it_is_written_at_once_and_at_the_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_clock_that_is_set_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_clock_that_is_set_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_no_moment, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_folder_that_is_not_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_without_a_mark, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
