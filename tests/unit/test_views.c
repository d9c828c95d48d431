/* What an auditor's request may consist of. */
#include "config.h"

#include "bastiond/broker/views.h"
#include "tests/lib/test.h"

#define SID "0123456789abcdef0123456789abcdef"

static void
test_only_the_verbs_with_their_arguments(void **state)
{
	static const struct {
		const char *args[8];
		const char *about; /* "!" refused, NULL none */
	} rows[] = {
		{ { NULL }, "!" },
		{ { "list", NULL }, NULL },
		{ { "list", "--since", "1700000000000000000", NULL }, NULL },
		{ { "list", "--since", NULL }, "!" },
		{ { "list", "--since", "yesterday", NULL }, "!" },
		{ { "list", "--since", "1", "--since", "2", NULL }, "!" },
		{ { "list", SID, NULL }, "!" },
		{ { "list", "--blocks", "1", "--since", "7", NULL }, NULL },
		{ { "list", "--blocks", "2", NULL }, "!" },
		{ { "show", "--blocks", "1", SID, NULL }, SID },
		{ { "show", "--blocks", SID, NULL }, "!" },
		{ { "events", "--blocks", "1", SID, NULL }, SID },
		{ { "watch", "--blocks", "1", SID, NULL }, SID },
		{ { "bundle", "--blocks", "1", SID, NULL }, "!" },
		{ { "bundle", "--for", "counsel", SID, NULL }, SID },
		{ { "bundle", "--for", "no\nname", SID, NULL }, "!" },
		{ { "bundle", "--for", "--store", SID, NULL }, "!" },
		{ { "show", NULL }, "!" },
		{ { "show", SID, NULL }, SID },
		{ { "show", "last", NULL }, "!" },
		{ { "bundle", "last", NULL }, "!" },
		{ { "find", "last", NULL }, "last" },
		{ { "find", SID, NULL }, "!" },
		{ { "find", NULL }, "!" },
		{ { "show", "0123", NULL }, "!" },
		{ { "verify", "0123456789abcdef", NULL }, "!" },
		{ { "checkpoint", "--proof", "0123", NULL }, "!" },
		{ { "find", "0123", NULL }, "0123" },
		{ { "find", "012", NULL }, "!" },
		{ { "find", "xyz1", NULL }, "!" },
		{ { "show", "012", NULL }, "!" },
		{ { "show", SID "0", NULL }, "!" },
		{ { "show", "0123456789ABCDEF", NULL }, "!" },
		{ { "show", "../../etc", NULL }, "!" },
		{ { "show", SID, SID, NULL }, "!" },
		{ { "events", SID, NULL }, SID },
		{ { "watch", SID, NULL }, SID },
		{ { "watch", NULL }, "!" },
		{ { "watch", "--from", "1", SID, NULL }, "!" },
		{ { "events", SID, "--store", NULL }, "!" },
		{ { "events", "--store", "/etc", NULL }, "!" },
		{ { "verify", NULL }, NULL },
		{ { "verify", "--key", "name+12345678+AAAA", NULL }, NULL },
		{ { "verify", "--key", "k", "--notes", "700", SID, NULL }, SID },
		{ { "verify", "--key", "k\nl", NULL }, NULL },
		{ { "verify", "--notes", "x", NULL }, "!" },
		{ { "checkpoint", "--key", "k", NULL }, NULL },
		{ { "checkpoint", "--proof", SID, NULL }, NULL },
		{ { "checkpoint", "--proof", "/etc", NULL }, "!" },
		{ { "checkpoint", "--from", "7", NULL }, NULL },
		{ { "checkpoint", "--from", "-7", NULL }, "!" },
		{ { "log", "--leaves", "1", NULL }, NULL },
		{ { "verify", "--key", "--store", NULL }, "!" },
		{ { "verify", "--key", "a\033[2J", NULL }, "!" },
		{ { "verify", "--key", "", NULL }, "!" },
		{ { "verify", "--since", "1", NULL }, "!" },
		{ { "log", NULL }, NULL },
		{ { "log", "--since", "5", "conn-7", NULL }, "conn-7" },
		{ { "log", "-x", NULL }, "!" },
		{ { "log", "a b", NULL }, "!" },
		{ { "checkpoint", NULL }, NULL },
		{ { "checkpoint", SID, NULL }, "!" },
		{ { "erase", SID, NULL }, "!" },
		{ { "--store", "/", "list", NULL }, "!" },
		{ { "", NULL }, "!" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		const char *about = "untouched";
		int r = views_check(rows[i].args, &about);

		if (rows[i].about != NULL && strcmp(rows[i].about, "!") == 0) {
			assert_int_equal(r, ERR_FORMAT);
			assert_string_equal(about, "untouched");
			continue;
		}
		assert_int_equal(r, 0);
		if (rows[i].about == NULL)
			assert_null(about);
		else
			assert_string_equal(about, rows[i].about);
	}
}

static void
test_an_argument_has_an_end(void **state)
{
	const char *args[] = { "verify", "--key", NULL, NULL }, *about;
	char *text = malloc(VIEWS_TEXT_MAX + 2);

	(void)state;
	assert_non_null(text);
	memset(text, 'a', VIEWS_TEXT_MAX + 1);
	text[VIEWS_TEXT_MAX + 1] = '\0';
	args[2] = text;
	assert_int_equal(views_check(args, &about), ERR_FORMAT);
	text[VIEWS_TEXT_MAX] = '\0';
	assert_int_equal(views_check(args, &about), 0);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_the_verbs_with_their_arguments),
		cmocka_unit_test(test_an_argument_has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
