/* Loading a configuration with no memory at every point: no document, no half message, no leak. */
#include "config.h"

#include <errno.h>

#include "tests/lib/test.h"

#include "fault.h"
#include "lib/conf.h"

static const char text[] = "listen: [\"127.0.0.1:2222\", \"[::1]:2222\"]\n"
			   "users: {a: 1, b: 2, c: 3, d: 4, e: 5, f: 6, g: 7, h: 8, i: 9, j: 10}\n"
			   "rules:\n  - {name: x, who: {groups: [y]}}\n  - name: z\n";

static int
run(void *arg)
{
	struct conf_err err = { "untouched" };
	struct conf_doc *doc = NULL;
	int r = conf_parse("t.yaml", text, strlen(text), &doc, &err);

	(void)arg;
	if (r != 0) {
		assert_int_equal(r, -ENOMEM);
		assert_null(doc);
		assert_string_equal(err.text, "untouched");
		return r;
	}
	assert_int_equal(conf_n(conf_get(conf_root(doc), "users")), 10);
	conf_free(doc);
	return 0;
}

static void
test_loading_survives_every_failed_allocation(void **state)
{
	(void)state;
	assert_true(fault_each(FAULT_MEMORY, run, NULL) >= 40);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(
	    test_loading_survives_every_failed_allocation) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
