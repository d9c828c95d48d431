/* JSON: whatever a peer put into a string, the line stays one valid ASCII object. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/json.h"

static void
assert_text(struct json *j, const char *want)
{
	char *text = NULL;
	size_t len = 0;

	assert_int_equal(json_text(j, false, 8192, &text, &len), 0);
	assert_string_equal(text, want);
	assert_int_equal(len, strlen(want));
	free(text);
	json_free(j);
}

static void
test_event_keeps_the_order_of_its_fields(void **state)
{
	struct json *j = json_event("session.open"), *list = json_list(), *map = json_map();

	(void)state;
	json_put_str(list, NULL, "a");
	json_put_u64(list, NULL, 2);
	json_put_bool(map, "core", false);
	json_put(list, NULL, map);
	json_put_str(j, "user", "alice");
	json_put_u64(j, "bytes", 18446744073709551615u);
	json_put_u64(j, "max", INT64_MAX);
	json_put_bool(j, "ok", true);
	json_put_null(j, "signal");
	json_put_str(j, "host", NULL);
	json_put_time(j, "at", 1000000005);
	json_put(j, "list", list);
	assert_text(j,
	    "{\"event\":\"session.open\",\"user\":\"alice\","
	    "\"bytes\":\"18446744073709551615\",\"max\":9223372036854775807,"
	    "\"ok\":true,\"signal\":null,\"host\":null,"
	    "\"at\":\"1970-01-01T00:00:01.000000005Z\",\"list\":[\"a\",2,{\"core\":false}]}");
}

static void
test_bytes_of_a_peer_are_made_harmless(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *want;
	} cases[] = {
		{ "a\"b\\c", 5, "[\"a\\\"b\\\\c\"]" },
		{ "\x1b]0;x\x07\n\r\t", 9, "[\"\\u001B]0;x\\u0007\\n\\r\\t\"]" },
		{ "\x7f", 1, "[\"\\u007f\"]" },
		{ "x\x7fy\x7f", 4, "[\"x\\u007fy\\u007f\"]" },
		{ "a\0b", 3, "[\"a\\u0000b\"]" },
		{ "\xc3\xa9", 2, "[\"\\u00E9\"]" },
		{ "\xf0\x9f\x98\x80", 4, "[\"\\uD83D\\uDE00\"]" },
		{ "\xc2\x9b", 2, "[\"\\u009B\"]" },
		{ "\xff\xfe", 2, "[\"\\uFFFD\\uFFFD\"]" },
		{ "\xc0\xaf", 2, "[\"\\uFFFD\\uFFFD\"]" },	      /* overlong */
		{ "\xed\xa0\x80", 3, "[\"\\uFFFD\\uFFFD\\uFFFD\"]" }, /* a surrogate */
		{ "\xf4\x90\x80\x80", 4, "[\"\\uFFFD\\uFFFD\\uFFFD\\uFFFD\"]" },
		{ "\xe2\x82", 2, "[\"\\uFFFD\\uFFFD\"]" }, /* cut */
		{ "\xe2\x82x", 3, "[\"\\uFFFD\\uFFFDx\"]" },
		{ "", 0, "[\"\"]" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json *j = json_list();

		json_put_bytes(j, NULL, cases[i].bytes, cases[i].len, 100);
		assert_text(j, cases[i].want);
	}
}

static void
test_every_byte_gives_one_valid_line(void **state)
{
	uint8_t bytes[512];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 167 + i / 256);
	for (size_t at = 0; at < sizeof(bytes); at++) {
		struct json *j = json_event("x");
		struct json_node *root = NULL;
		char *text = NULL;
		size_t len = 0;

		json_put_bytes(j, "b", bytes + at, sizeof(bytes) - at, SIZE_MAX);
		assert_int_equal(json_text(j, false, SIZE_MAX, &text, &len), 0);
		for (size_t i = 0; i < len; i++)
			assert_true(text[i] >= 0x20 && text[i] < 0x7f);
		assert_int_equal(json_parse(text, len, &root), 0);
		json_node_free(root);
		free(text);
		json_free(j);
	}
}

static void
test_long_text_is_cut_and_says_so(void **state)
{
	struct json *j = json_list();

	(void)state;
	json_put_bytes(j, NULL, "abcdef", 6, 6);
	json_put_bytes(j, NULL, "abcdefg", 7, 6);
	json_put_bytes(j, NULL, "ab\xc3\xa9", 4, 3); /* in the middle of a letter */
	assert_text(j, "[\"abcdef\",\"abcdef...\",\"ab\\uFFFD...\"]");
}

static void
test_a_text_over_its_limit_is_refused(void **state)
{
	struct json *j = json_list();
	size_t len = 77;
	char *text = NULL;

	(void)state;
	json_put_str(j, NULL, "abc\x7f");
	assert_int_equal(json_text(j, false, 12, &text, &len), ERR_LIMIT);
	assert_null(text);
	assert_int_equal(len, 77);
	assert_int_equal(json_text(j, false, 13, &text, &len), 0);
	assert_string_equal(text, "[\"abc\\u007f\"]");
	free(text);
	json_free(j);
}

static void
test_a_misplaced_put_sticks(void **state)
{
	struct json *map = json_map(), *list = json_list(), *child;
	size_t len = 77;
	char *text = NULL;

	(void)state;
	json_put_str(list, "key", "in a list");
	json_put_u64(list, NULL, 1);
	assert_int_equal(json_text(list, false, 99, &text, &len), ERR_ORDER);
	json_put_u64(map, NULL, 1);
	assert_int_equal(json_text(map, false, 99, &text, &len), ERR_ORDER);
	json_free(map);
	/* A child's failure becomes the parent's. */
	child = json_map();
	json_put(child, "list", list);
	assert_int_equal(json_text(child, false, 99, &text, &len), ERR_ORDER);
	json_free(child);
	child = json_map();
	json_put(child, "nothing", NULL);
	assert_int_equal(json_text(child, false, 99, &text, &len), -ENOMEM);
	json_free(child);
	assert_null(text);
}

static void
test_puts_on_nothing_are_reported_as_no_memory(void **state)
{
	size_t len = 0;
	char *text = NULL;

	(void)state;
	json_put_str(NULL, "a", "b");
	json_put_bytes(NULL, "a", "b", 1, 1);
	json_put_u64(NULL, "a", UINT64_MAX);
	json_put_bool(NULL, "a", true);
	json_put_node(NULL, "a", NULL);
	json_put(NULL, "a", json_map());
	json_free(NULL);
	json_node_free(NULL);
	assert_int_equal(json_text(NULL, false, 99, &text, &len), -ENOMEM);
}

static void
test_pretty_is_the_same_value(void **state)
{
	struct json *j = json_map(), *copy = json_map();
	struct json_node *root = NULL;
	size_t len = 0;
	char *text = NULL;

	(void)state;
	json_put_u64(j, "a", 1);
	json_put(j, "b", json_list());
	assert_int_equal(json_text(j, true, 99, &text, &len), 0);
	assert_string_equal(text, "{\n  \"a\": 1,\n  \"b\": []\n}");
	assert_int_equal(json_parse(text, len, &root), 0);
	free(text);
	json_free(j);
	json_put_node(copy, "c", root);
	json_put_node(copy, "d", NULL);
	json_node_free(root);
	assert_text(copy, "{\"c\":{\"a\":1,\"b\":[]},\"d\":null}");
}

static void
test_parse_is_strict(void **state)
{
	static const char *const bad[] = { "", "{", "{}x", "{} {}", "{\"a\":1,\"a\":2}", "{a:1}",
		"{'a':1}", "[1,]", "nul", "01", "\"\xff\"", "\"\n\"", "[1e999]", "\"\\ud800\"" };
	struct json_node *root = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(json_parse(bad[i], strlen(bad[i]), &root), ERR_FORMAT);
	assert_null(root);
}

static void
test_getters_fall_back(void **state)
{
	static const char text[] =
	    "{\"s\":\"x\",\"n\":5,\"neg\":-1,\"r\":1.5,\"t\":true,\"big\":\"18446744073709551615\","
	    "\"nul\":\"a\\u0000b\",\"l\":[1,2],\"m\":{}}";
	struct json_node *root = NULL;
	size_t len = 0;
	char *out = NULL;

	(void)state;
	assert_int_equal(json_parse(text, strlen(text), &root), 0);
	assert_string_equal(json_str(json_get(root, "s"), "-"), "x");
	assert_string_equal(json_str(json_get(root, "n"), "-"), "-");
	assert_string_equal(json_str(json_get(root, "none"), "-"), "-");
	assert_string_equal(json_str(json_get(root, "nul"), "-"), "-");
	assert_int_equal(json_u64(json_get(root, "n"), 7), 5);
	assert_int_equal(json_u64(json_get(root, "neg"), 7), 7);
	assert_int_equal(json_u64(json_get(root, "r"), 7), 7);
	assert_int_equal(json_u64(json_get(root, "s"), 7), 7);
	assert_true(json_u64(json_get(root, "big"), 7) == UINT64_MAX);
	assert_true(json_bool(json_get(root, "t"), false));
	assert_true(json_bool(json_get(root, "n"), true));
	assert_true(json_is_map(root) && json_is_map(json_get(root, "m")));
	assert_true(json_is_list(json_get(root, "l")) && !json_is_list(root));
	assert_int_equal(json_n(json_get(root, "l")), 2);
	assert_int_equal(json_u64(json_at(json_get(root, "l"), 1), 7), 2);
	assert_null(json_at(json_get(root, "l"), 2));
	assert_null(json_get(json_get(root, "l"), "s"));
	assert_null(json_get(NULL, "s"));
	assert_int_equal(json_n(NULL), 0);
	assert_int_equal(json_node_text(json_get(root, "l"), false, &out, &len), 0);
	assert_string_equal(out, "[1,2]");
	free(out);
	json_node_free(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_event_keeps_the_order_of_its_fields),
		cmocka_unit_test(test_bytes_of_a_peer_are_made_harmless),
		cmocka_unit_test(test_every_byte_gives_one_valid_line),
		cmocka_unit_test(test_long_text_is_cut_and_says_so),
		cmocka_unit_test(test_a_text_over_its_limit_is_refused),
		cmocka_unit_test(test_a_misplaced_put_sticks),
		cmocka_unit_test(test_puts_on_nothing_are_reported_as_no_memory),
		cmocka_unit_test(test_pretty_is_the_same_value),
		cmocka_unit_test(test_parse_is_strict),
		cmocka_unit_test(test_getters_fall_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
