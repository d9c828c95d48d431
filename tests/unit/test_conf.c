/* The strict YAML loader: what it refuses, with the exact message, and what it takes. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/conf.h"

static int
parse(const char *text, struct conf_doc **ret_doc, struct conf_err *ret_err)
{
	return conf_parse("t.yaml", text, strlen(text), ret_doc, ret_err);
}

static struct conf_doc *
good(const char *text)
{
	struct conf_err err = { "" };
	struct conf_doc *doc = NULL;

	if (parse(text, &doc, &err) != 0)
		print_error("%s\n", err.text);
	assert_non_null(doc);
	return doc;
}

struct bad {
	const char *text, *message;
};

static const struct bad bad_files[] = {
	/* Not YAML at all. */
	{ "a: [1, 2", "t.yaml:2:1: not valid YAML: did not find expected ',' or ']' "
		      "(while parsing a flow sequence)" },
	{ "a: b: c\n",
	    "t.yaml:1:5: not valid YAML: mapping values are not allowed in this context" },
	{ "a:\n\t- b\n", "t.yaml:2:1: not valid YAML: found character that cannot start any token "
			 "(while scanning for the next token)" },
	{ "a: \"b\n", "t.yaml:2:1: not valid YAML: found unexpected end of stream "
		      "(while scanning a quoted scalar)" },
	{ "a: 1\nb: \xff\n", "t.yaml:2:4: not valid YAML: invalid leading UTF-8 octet" },
	{ "a: 1\nb: \x01\n", "t.yaml:2:4: not valid YAML: control characters are not allowed" },
	/* YAML that we do not take. */
	{ "a: &x 1\n", "t.yaml:1:4: a: expected a value, found an anchor" },
	{ "a: 1\nb: *x\n", "t.yaml:2:4: b: expected a value, found an alias" },
	{ "a: !!int 1\n", "t.yaml:1:4: a: expected a value, found a tag" },
	{ "a: ! b\n", "t.yaml:1:4: a: expected a value, found a tag" },
	{ "a: !!seq [1]\n", "t.yaml:1:4: a: expected a value, found a tag" },
	{ "a: &x [1]\n", "t.yaml:1:4: a: expected a value, found an anchor" },
	{ "a: &x {b: 1}\n", "t.yaml:1:4: a: expected a value, found an anchor" },
	{ "a: [b, *x]\n", "t.yaml:1:8: a[1]: expected a value, found an alias" },
	{ "&x a: 1\n", "t.yaml:1:1: expected a key, found an anchor or tag" },
	{ "l:\n  *x : 1\n", "t.yaml:2:3: l: expected a key, found an alias" },
	{ "l:\n  <<: 1\n", "t.yaml:2:3: l: expected a key, found a merge key" },
	{ "? [a, b]\n: 1\n", "t.yaml:1:3: expected a key, found a list or map" },
	{ "\"\": 1\n", "t.yaml:1:1: expected a key, found nothing" },
	{ "a: 1\n---\nb: 2\n", "t.yaml:2:1: expected one document in the file, found another" },
	{ "%YAML 1.1\n---\na: 1\n", "t.yaml:1:1: expected a document, found a directive" },
	{ "%TAG ! x\n---\na: 1\n", "t.yaml:1:1: expected a document, found a directive" },
	{ "a: \"b\\0c\"\n", "t.yaml:1:4: expected text, found control characters in it" },
	{ "\"a\\e\": 1\n", "t.yaml:1:1: expected text, found control characters in it" },
	/* The same key twice. */
	{ "a: 1\nb: 2\na: 3\n",
	    "t.yaml:3:1: a: expected each key once, found \"a\" again (first on line 1)" },
	{ "u:\n  x: 1\n  \"x\": 2\n",
	    "t.yaml:3:3: u.x: expected each key once, found the quoted text \"x\" again "
	    "(first on line 2)" },
	{ "h: {z: 1, y: 1, y: 2, z: 2}\n",
	    "t.yaml:1:17: h.y: expected each key once, found \"y\" again (first on line 1)" },
	/* Too deep. */
	{ "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]",
	    "t.yaml:1:17: [0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]: "
	    "expected less nesting, found too much" },
};

static void
test_bad_files_get_their_message(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_files) / sizeof(bad_files[0]); i++) {
		struct conf_doc *doc = NULL;
		struct conf_err err = { "" };

		assert_int_equal(parse(bad_files[i].text, &doc, &err), ERR_FORMAT);
		assert_null(doc);
		assert_string_equal(err.text, bad_files[i].message);
	}
}

static const struct conf_key known[] = {
	{ "listen", true },
	{ "state", false },
	{ "recording", false },
	{ "per_source", false },
};

static const struct bad bad_keys[] = {
	{ "lisen: 1\n",
	    "t.yaml:1:1: lisen: expected a known key (did you mean \"listen\"?), found \"lisen\"" },
	{ "LISTEN: 1\n", "t.yaml:1:1: LISTEN: expected a known key (did you mean \"listen\"?), "
			 "found \"LISTEN\"" },
	{ "listen: 1\nstaet: 2\n",
	    "t.yaml:2:1: staet: expected a known key (did you mean \"state\"?), found \"staet\"" },
	{ "listen: 1\nper-source: 2\n", "t.yaml:2:1: per-source: expected a known key "
					"(did you mean \"per_source\"?), found \"per-source\"" },
	{ "listen: 1\nxyzzy: 2\n", "t.yaml:2:1: xyzzy: expected one of the keys listen, state, "
				   "recording, per_source, found \"xyzzy\"" },
	{ "listen: 1\n\"a b\\n\": 2\n",
	    "t.yaml:2:1: \"a b\\x0a\": expected one of the keys listen, state, recording, "
	    "per_source, found the quoted text \"a b\\x0a\"" },
	{ "state: x\n", "t.yaml:1:1: expected the key \"listen\", found none" },
	{ "[listen]\n", "t.yaml:1:1: expected a map, found a list" },
	{ "listen\n", "t.yaml:1:1: expected a map, found \"listen\"" },
	{ "{}\n", "t.yaml:1:1: expected the key \"listen\", found none" },
};

static void
test_unknown_and_missing_keys_are_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_keys) / sizeof(bad_keys[0]); i++) {
		struct conf_doc *doc = good(bad_keys[i].text);
		struct conf_err err = { "" };

		assert_int_equal(
		    conf_check_map(conf_root(doc), known, sizeof(known) / sizeof(known[0]), &err),
		    ERR_FORMAT);
		assert_string_equal(err.text, bad_keys[i].message);
		conf_free(doc);
	}
}

static void
test_a_map_without_keys_says_so(void **state)
{
	struct conf_doc *doc = good("a: 1\n");
	struct conf_err err = { "" };

	(void)state;
	assert_int_equal(conf_check_map(conf_root(doc), NULL, 0, &err), ERR_FORMAT);
	assert_string_equal(err.text, "t.yaml:1:1: a: expected no key here, found \"a\"");
	assert_int_equal(conf_map(conf_root(doc), &err), 0);
	conf_free(doc);
}

enum want {
	WANT_STR,
	WANT_BOOL,
	WANT_PORT,
	WANT_COUNT,
	WANT_SPAN,
	WANT_SIZE,
	WANT_CHOICE,
	WANT_LIST
};

static int
take(enum want want, const struct conf_node *n, struct conf_err *err)
{
	static const char *const names[] = { "strict", "process", "never" };
	const char *s = "untouched";
	uint64_t v = 77;
	size_t i = 77;
	bool b = true;
	int r = 0;

	if (want == WANT_STR)
		r = conf_str(n, &s, err);
	else if (want == WANT_BOOL)
		r = conf_bool(n, &b, err);
	else if (want == WANT_PORT)
		r = conf_u64(n, 1, 65535, &v, err);
	else if (want == WANT_COUNT)
		r = conf_u64(n, 2, UINT64_MAX, &v, err);
	else if (want == WANT_SPAN)
		r = conf_span(n, 1000000000u, 600000000000u, &v, err);
	else if (want == WANT_SIZE)
		r = conf_size(n, 4096, UINT64_MAX, &v, err);
	else if (want == WANT_CHOICE)
		r = conf_choice(n, names, 3, &i, err);
	else
		r = conf_list(n, err);
	/* Outputs are untouched on error. */
	if (r != 0) {
		assert_string_equal(s, "untouched");
		assert_true(v == 77 && i == 77 && b);
	}
	return r;
}

static const struct {
	enum want want;
	const char *text, *message; /* behind "t.yaml:1:4: a: expected " */
} bad_values[] = {
	{ WANT_STR, "a:", "text, found nothing" },
	{ WANT_STR, "a: ~", "text (in quotes if the word is meant), found \"~\"" },
	{ WANT_STR, "a: Null", "text (in quotes if the word is meant), found \"Null\"" },
	{ WANT_STR, "a: [b]", "text, found a list" },
	{ WANT_STR, "a: {b: c}", "text, found a map" },
	{ WANT_BOOL, "a: yes", "true or false, found \"yes\"" },
	{ WANT_BOOL, "a: flase", "true or false, found \"flase\"" },
	{ WANT_BOOL, "a: True", "true or false, found \"True\"" },
	{ WANT_BOOL, "a: 1", "true or false, found \"1\"" },
	{ WANT_BOOL, "a: \"true\"", "true or false, found the quoted text \"true\"" },
	{ WANT_PORT, "a: 22abc", "an integer from 1 to 65535, found \"22abc\"" },
	{ WANT_PORT, "a: 0", "an integer from 1 to 65535, found \"0\"" },
	{ WANT_PORT, "a: 65536", "an integer from 1 to 65535, found \"65536\"" },
	{ WANT_PORT, "a: 0222", "an integer from 1 to 65535, found \"0222\"" },
	{ WANT_PORT, "a: 0o222", "an integer from 1 to 65535, found \"0o222\"" },
	{ WANT_PORT, "a: 0x16", "an integer from 1 to 65535, found \"0x16\"" },
	{ WANT_PORT, "a: +22", "an integer from 1 to 65535, found \"+22\"" },
	{ WANT_PORT, "a: -1", "an integer from 1 to 65535, found \"-1\"" },
	{ WANT_PORT, "a: 1_000", "an integer from 1 to 65535, found \"1_000\"" },
	{ WANT_PORT, "a: 2.0", "an integer from 1 to 65535, found \"2.0\"" },
	{ WANT_PORT, "a: 1e3", "an integer from 1 to 65535, found \"1e3\"" },
	{ WANT_PORT, "a: '22'", "an integer from 1 to 65535, found the quoted text \"22\"" },
	{ WANT_COUNT, "a: 1", "an integer of at least 2, found \"1\"" },
	{ WANT_COUNT, "a: 18446744073709551616",
	    "an integer of at least 2, found \"18446744073709551616\"" },
	{ WANT_SPAN, "a: 30", "a time such as 30s, 10m or 8h from 1s to 10m, found \"30\"" },
	{ WANT_SPAN, "a: 11m", "a time such as 30s, 10m or 8h from 1s to 10m, found \"11m\"" },
	{ WANT_SPAN, "a: 999ms", "a time such as 30s, 10m or 8h from 1s to 10m, found \"999ms\"" },
	{ WANT_SPAN, "a: 1 s", "a time such as 30s, 10m or 8h from 1s to 10m, found \"1 s\"" },
	{ WANT_SIZE, "a: 4095", "a size such as 64K, 10M or 2G of at least 4K, found \"4095\"" },
	{ WANT_SIZE, "a: 1GB", "a size such as 64K, 10M or 2G of at least 4K, found \"1GB\"" },
	{ WANT_CHOICE, "a: Strict", "strict, process or never, found \"Strict\"" },
	{ WANT_CHOICE, "a:", "strict, process or never, found nothing" },
	{ WANT_CHOICE, "a: [strict]", "strict, process or never, found a list" },
	{ WANT_LIST, "a: b", "a list, found \"b\"" },
	{ WANT_LIST, "a: {b: c}", "a list, found a map" },
	{ WANT_STR, "a: [\"\\u001b\"]", NULL }, /* refused by the parser */
};

static void
test_loose_values_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_values) / sizeof(bad_values[0]); i++) {
		struct conf_err err = { "" };
		struct conf_doc *doc = NULL;
		char message[256];
		const char *found;

		if (bad_values[i].message == NULL) {
			assert_int_equal(parse(bad_values[i].text, &doc, &err), ERR_FORMAT);
			continue;
		}
		doc = good(bad_values[i].text);
		assert_int_equal(
		    take(bad_values[i].want, conf_at(conf_root(doc), 0), &err), ERR_FORMAT);
		found = strstr(err.text, " a: expected ");
		assert_non_null(found);
		assert_true(snprintf(message, sizeof(message), " a: expected %s",
				bad_values[i].message) > 0);
		assert_string_equal(found, message);
		conf_free(doc);
	}
}

static void
test_what_a_person_writes_is_taken(void **state)
{
	static const char text[] =
	    "# a comment\n---\nlisten: [\"127.0.0.1:2222\", \"[::1]:2222\"]\nport: 22\n"
	    "on: true\noff: false\ngrace: 120s\nspace: 200G\nplain: \"4096\"\nmode: process\n"
	    "empty: \"\"\nquoted: \"~\"\ntwo: a b\n  c\nblock: |\n  x\n  y\n"
	    "hosts:\n  \"*.lab.example\": {resolve: true}\n";
	struct conf_doc *doc = good(text);
	const struct conf_node *root = conf_root(doc);
	static const char *const modes[] = { "strict", "process" };
	struct conf_err err = { "" };
	const char *s = NULL;
	uint64_t v = 0;
	size_t i = 0;
	bool b = false;

	(void)state;
	assert_string_equal(conf_name(doc), "t.yaml");
	assert_int_equal(conf_node_type(root), CONF_MAP);
	assert_int_equal(conf_n(conf_get(root, "listen")), 2);
	assert_int_equal(conf_str(conf_at(conf_get(root, "listen"), 1), &s, &err), 0);
	assert_string_equal(s, "[::1]:2222");
	assert_null(conf_at(conf_get(root, "listen"), 2));
	assert_int_equal(conf_u64(conf_get(root, "port"), 1, 65535, &v, &err), 0);
	assert_int_equal(v, 22);
	assert_int_equal(conf_bool(conf_get(root, "on"), &b, &err), 0);
	assert_true(b);
	assert_int_equal(conf_bool(conf_get(root, "off"), &b, &err), 0);
	assert_false(b);
	assert_int_equal(conf_span(conf_get(root, "grace"), 0, UINT64_MAX, &v, &err), 0);
	assert_true(v == 120000000000ull);
	assert_int_equal(conf_size(conf_get(root, "space"), 0, UINT64_MAX, &v, &err), 0);
	assert_true(v == 200ull << 30);
	assert_int_equal(conf_size(conf_get(root, "plain"), 0, UINT64_MAX, &v, &err), 0);
	assert_int_equal(v, 4096);
	assert_int_equal(conf_choice(conf_get(root, "mode"), modes, 2, &i, &err), 0);
	assert_int_equal(i, 1);
	assert_int_equal(conf_str(conf_get(root, "empty"), &s, &err), 0);
	assert_string_equal(s, "");
	assert_int_equal(conf_str(conf_get(root, "quoted"), &s, &err), 0);
	assert_string_equal(s, "~");
	assert_int_equal(conf_str(conf_get(root, "two"), &s, &err), 0);
	assert_string_equal(s, "a b c");
	assert_int_equal(conf_str(conf_get(root, "block"), &s, &err), 0);
	assert_string_equal(s, "x\ny\n");
	assert_non_null(conf_get(conf_get(root, "hosts"), "*.lab.example"));
	assert_null(conf_get(root, "nothing"));
	assert_null(conf_get(conf_get(root, "port"), "x"));
	conf_free(doc);
}

static void
test_an_empty_file_has_no_root(void **state)
{
	static const char *const empty[] = { "", "\n", "# only a comment\n", "---\n",
		"---\n...\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
		struct conf_doc *doc = good(empty[i]);

		assert_null(conf_root(doc));
		conf_free(doc);
	}
}

static void
test_nothing_is_not_an_empty_text(void **state)
{
	struct conf_doc *doc = good("a:\n  # a comment\nb: ''\nc: {}\nd: []\ne: x\n");

	(void)state;
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(conf_is_nothing(conf_at(conf_root(doc), i)), i == 0);
	conf_free(doc);
}

static void
test_paths_lead_to_the_value(void **state)
{
	struct conf_doc *doc = good("users:\n  alice: {keys: [a, b]}\n\"*.lab\": [{\"x y\": 1}]\n");
	const struct conf_node *root = conf_root(doc), *alice, *lab;
	char path[64], tiny[8];

	(void)state;
	alice = conf_get(conf_get(root, "users"), "alice");
	assert_string_equal(conf_path(conf_at(conf_get(alice, "keys"), 1), path, sizeof(path)),
	    "users.alice.keys[1]");
	assert_string_equal(
	    conf_path(conf_key_node_at(alice, 0), path, sizeof(path)), "users.alice.keys");
	lab = conf_at(conf_get(root, "*.lab"), 0);
	assert_string_equal(
	    conf_path(conf_get(lab, "x y"), path, sizeof(path)), "\"*.lab\"[0].\"x y\"");
	assert_string_equal(conf_path(root, path, sizeof(path)), "");
	assert_string_equal(conf_path(alice, tiny, sizeof(tiny)), "users.a");
	assert_string_equal(conf_key_at(root, 1), "*.lab");
	assert_null(conf_key_at(root, 2));
	assert_null(conf_key_node_at(conf_get(alice, "keys"), 0));
	conf_free(doc);
}

static void
test_messages_never_carry_raw_bytes(void **state)
{
	struct conf_err err = { "" };
	struct conf_doc *doc = NULL;
	char text[3000];
	uint64_t v;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memcpy(text, "a: \"\xc2\xa9\\t", 8);
	text[sizeof(text) - 2] = '"';
	assert_int_equal(conf_parse("dir/\x1b[31m.yaml", text, strlen(text), &doc, &err), 0);
	assert_int_equal(conf_u64(conf_at(conf_root(doc), 0), 0, 1, &v, &err), ERR_FORMAT);
	assert_ptr_equal(
	    strstr(err.text, "dir/\\x1b[31m.yaml:1:4: a: expected an integer from 0 to 1, found "
			     "the quoted text \"\\xc2\\xa9\\x09xx"),
	    err.text);
	for (const char *p = err.text; *p != '\0'; p++)
		assert_true(*p >= 0x20 && *p < 0x7f);
	conf_free(doc);
}

static void
test_limits_of_size_and_number(void **state)
{
	size_t size = 2 * (CONF_NODES_MAX + 2) + 16, at = 0;
	char *text = malloc(CONF_FILE_MAX + 1);
	struct conf_err err = { "" };
	struct conf_doc *doc = NULL;

	(void)state;
	assert_non_null(text);
	memset(text, '\n', CONF_FILE_MAX + 1);
	assert_int_equal(conf_parse("t.yaml", text, CONF_FILE_MAX, &doc, &err), 0);
	conf_free(doc);
	doc = NULL;
	assert_int_equal(conf_parse("t.yaml", text, CONF_FILE_MAX + 1, &doc, &err), ERR_FORMAT);
	assert_string_equal(err.text, "t.yaml:1:1: expected at most 4194304 bytes, found 4194305");
	/* One list node and as many values as still fit; then one more. */
	text[at++] = '[';
	while (at < size - 16 && at < 2 * (size_t)(CONF_NODES_MAX - 1)) {
		text[at++] = '1';
		text[at++] = ',';
	}
	text[at++] = ']';
	assert_int_equal(conf_parse("t.yaml", text, at, &doc, &err), 0);
	assert_int_equal(conf_n(conf_root(doc)), CONF_NODES_MAX - 1);
	conf_free(doc);
	doc = NULL;
	memcpy(text + at - 1, "1]", 2);
	assert_int_equal(conf_parse("t.yaml", text, at + 1, &doc, &err), ERR_FORMAT);
	assert_null(doc);
	assert_non_null(strstr(err.text, "expected fewer values in one file"));
	free(text);
}

static void
test_many_keys_are_found(void **state)
{
	size_t size = 400000, at = 0;
	char *text = malloc(size), key[16];
	struct conf_doc *doc;

	(void)state;
	assert_non_null(text);
	for (unsigned i = 0; i < 20000; i++)
		at += (size_t)snprintf(text + at, size - at, "k%u: %u\n", i * 7919 % 20000, i);
	doc = good(text);
	for (unsigned i = 0; i < 20000; i++) {
		assert_true(snprintf(key, sizeof(key), "k%u", i) > 0);
		assert_non_null(conf_get(conf_root(doc), key));
	}
	assert_null(conf_get(conf_root(doc), "k20000"));
	conf_free(doc);
	free(text);
}

static void
test_every_cut_of_a_file_is_refused_or_whole(void **state)
{
	static const char text[] = "a: {b: [1, \"two\"], c: 'x'}\nd: |\n  e\nf: >-\n g\n";

	(void)state;
	for (size_t n = 0; n < sizeof(text); n++) {
		struct conf_doc *doc = NULL;
		struct conf_err err = { "" };
		int r = conf_parse("t.yaml", text, n, &doc, &err);

		assert_true(r == 0 || r == ERR_FORMAT);
		assert_int_equal(r == 0, doc != NULL);
		assert_int_equal(r == 0, err.text[0] == '\0');
		conf_free(doc);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_files_get_their_message),
		cmocka_unit_test(test_unknown_and_missing_keys_are_named),
		cmocka_unit_test(test_a_map_without_keys_says_so),
		cmocka_unit_test(test_loose_values_are_refused),
		cmocka_unit_test(test_what_a_person_writes_is_taken),
		cmocka_unit_test(test_an_empty_file_has_no_root),
		cmocka_unit_test(test_nothing_is_not_an_empty_text),
		cmocka_unit_test(test_paths_lead_to_the_value),
		cmocka_unit_test(test_messages_never_carry_raw_bytes),
		cmocka_unit_test(test_limits_of_size_and_number),
		cmocka_unit_test(test_many_keys_are_found),
		cmocka_unit_test(test_every_cut_of_a_file_is_refused_or_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
