/* Edits of policy.yaml as text: comments and order survive, everything else is refused. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bastionctl/inventory.h"

#define NEW "new: {address: \"10.0.0.9\"}"

struct edit {
	const char *before;
	int r;
	const char *after;
};

static void
check(const char *before, int got, int r, struct buf *b, const char *after)
{
	char text[4096];

	if (got != r)
		print_error("for <<%s>>\n", before);
	assert_int_equal(got, r);
	if (r != 0)
		return;
	assert_true(buf_len(b) < sizeof(text));
	memcpy(text, buf_ptr(b), buf_len(b));
	text[buf_len(b)] = '\0';
	assert_string_equal(text, after);
}

static void
test_add_goes_behind_the_last_host(void **state)
{
	static const struct edit edits[] = {
		{ "hosts:\n  a: {x: 1}\nrules: []\n", 0,
		    "hosts:\n  a: {x: 1}\n  " NEW "\nrules: []\n" },
		{ "hosts:\n    a:\n        x: 1\n# tail\nrules:\n", 0,
		    "hosts:\n    a:\n        x: 1\n    " NEW "\n# tail\nrules:\n" },
		{ "hosts: {}\nrules: []\n", 0, "hosts:\n  " NEW "\nrules: []\n" },
		{ "hosts:  # none yet\n  # a comment\nrules: []\n", 0,
		    "hosts:  # none yet\n  " NEW "\n  # a comment\nrules: []\n" },
		{ "users: {}", 0, "users: {}\nhosts:\n  " NEW "\n" },
		{ "", 0, "hosts:\n  " NEW "\n" },
		{ "hosts:\n  a: {x: 1}", 0, "hosts:\n  a: {x: 1}\n  " NEW "\n" },
		{ "hosts: {a: {x: 1}}\n", ERR_FORMAT, NULL },
		{ "users:\n  hosts: 1\n", 0, "users:\n  hosts: 1\nhosts:\n  " NEW "\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		struct buf *b = buf_new(4096);

		check(edits[i].before,
		    inventory_add(edits[i].before, strlen(edits[i].before), NEW, b), edits[i].r, b,
		    edits[i].after);
		buf_free(b);
	}
}

static void
test_pin_changes_one_host_only(void **state)
{
	static const struct edit edits[] = {
		{ "hosts:\n  b: {x: 1}\n  a: {x: 1} # c\n", 0,
		    "hosts:\n  b: {x: 1}\n  a: {x: 1, host_keys: [K]} # c\n" },
		{ "hosts:\n  a: {host_keys: [\"o\"], x: 1}\n", 0,
		    "hosts:\n  a: {host_keys: [K], x: 1}\n" },
		{ "hosts:\n  a:\n    x: 1\n  b:\n    y: 1\n", 0,
		    "hosts:\n  a:\n    host_keys: [K]\n    x: 1\n  b:\n    y: 1\n" },
		{ "hosts:\n  a:\n    x: 1\n    host_keys: [o, p]\n", 0,
		    "hosts:\n  a:\n    x: 1\n    host_keys: [K]\n" },
		{ "hosts:\n  \"a\": {x: 1}\n", 0, "hosts:\n  \"a\": {x: 1, host_keys: [K]}\n" },
		{ "hosts:\n  aa: {x: 1}\n", ERR_NOT_FOUND, NULL },
		{ "users:\n  a: {x: 1}\n", ERR_NOT_FOUND, NULL },
		{ "hosts:\n  a:\n    host_keys:\n      - o\n  b: {z: [1]}\n", ERR_FORMAT, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		struct buf *b = buf_new(4096);

		check(edits[i].before,
		    inventory_pin(edits[i].before, strlen(edits[i].before), "a", "[K]", b),
		    edits[i].r, b, edits[i].after);
		buf_free(b);
	}
}

static void
test_full_buffer_is_an_error(void **state)
{
	struct buf *b = buf_new(10);

	(void)state;
	assert_int_equal(inventory_add("hosts:\n", 7, NEW, b), ERR_LIMIT);
	buf_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_goes_behind_the_last_host),
		cmocka_unit_test(test_pin_changes_one_host_only),
		cmocka_unit_test(test_full_buffer_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
