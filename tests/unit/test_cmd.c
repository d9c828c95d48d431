/* Command lines of bastionctl: options anywhere, everything unknown refused, the real table sound. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bastionctl/cmd.h"

static int
dummy_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	(void)c;
	(void)n_args;
	(void)args;
	return CMD_YES;
}

static const struct cmd_opt list_opts[] = {
	{ "--host", 0, "NAME", "only this host" },
	{ "--label", 'l', "K=V", "a label" },
	{ "--all", 0, NULL, "everything" },
	{ NULL, 0, NULL, NULL },
};
static const struct cmd things_list = { "things", "list", "", "list", CMD_NOTHING, 0, 0, list_opts,
	dummy_run };
static const struct cmd things_show = { "things", "show", "ID", "show", CMD_NOTHING, 1, 1, NULL,
	dummy_run };
static const struct cmd play = { "play", NULL, "ID", "play", CMD_NOTHING, 1, 1, NULL, dummy_run };
static const struct cmd *const table[] = { &things_list, &things_show, &play, NULL };

#define WORDS(...)                                                                                 \
	(const char *const[])                                                                      \
	{                                                                                          \
		"bastionctl", __VA_ARGS__, NULL                                                    \
	}

static int
parse(struct cmd_ctx *c, const char *const *argv)
{
	int argc = 0;

	while (argv[argc] != NULL)
		argc++;
	return cmd_parse(c, table, argc, argv);
}

static void
test_refuses_what_no_row_knows(void **state)
{
	struct cmd_ctx c;

	(void)state;
	assert_int_equal(parse(&c, WORDS("nothing")), CMD_USAGE);
	assert_int_equal(parse(&c, WORDS("things")), CMD_USAGE);
	assert_int_equal(parse(&c, WORDS("things", "eat")), CMD_USAGE);
	assert_int_equal(parse(&c, WORDS("things", "list", "--colour")), CMD_USAGE);
	assert_int_equal(parse(&c, WORDS("things", "list", "-x")), CMD_USAGE);
	assert_int_equal(parse(&c, WORDS("things", "list", "--hos", "a")), CMD_USAGE);
	assert_int_equal(parse(&c, WORDS("things", "list", "--hostx", "a")), CMD_USAGE);
}

static void
test_refuses_an_option_of_another_command(void **state)
{
	struct cmd_ctx c;

	(void)state;
	assert_int_equal(parse(&c, WORDS("play", "7", "--all")), CMD_USAGE);
	assert_int_equal(parse(&c, WORDS("--host", "a", "things", "show", "7")), CMD_USAGE);
}

static void
test_counts_arguments(void **state)
{
	struct cmd_ctx c;

	(void)state;
	assert_int_equal(parse(&c, WORDS("things", "list", "more")), CMD_USAGE);
	assert_int_equal(parse(&c, WORDS("things", "show")), CMD_USAGE);
	assert_int_equal(parse(&c, WORDS("things", "show", "1", "2")), CMD_USAGE);
	assert_int_equal(parse(&c, WORDS("play")), CMD_USAGE);
}

static void
test_values_must_be_there_and_only_where_taken(void **state)
{
	struct cmd_ctx c;

	(void)state;
	assert_int_equal(parse(&c, WORDS("things", "list", "--host")), CMD_USAGE);
	assert_int_equal(parse(&c, WORDS("things", "list", "--all=yes")), CMD_USAGE);
	assert_int_equal(parse(&c, WORDS("things", "list", "-f")), CMD_USAGE);
}

static void
test_options_stand_anywhere(void **state)
{
	const char *const *const lines[] = {
		WORDS("-f", "x.yaml", "--json", "--host", "web1", "things", "list"),
		WORDS("things", "--host=web1", "list", "--json", "--config", "x.yaml"),
		WORDS("things", "list", "-f", "x.yaml", "--host", "web1", "--json"),
	};
	struct cmd_ctx c;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_int_equal(parse(&c, lines[i]), CMD_YES);
		assert_ptr_equal(c.cmd, &things_list);
		assert_true(c.json);
		assert_string_equal(c.file, "x.yaml");
		assert_string_equal(cmd_opt(&c, "--host"), "web1");
		assert_null(cmd_opt(&c, "--all"));
		assert_int_equal(c.n_words, c.n_command_words);
	}
}

static void
test_repeated_options_keep_their_order(void **state)
{
	struct cmd_ctx c;

	(void)state;
	assert_int_equal(
	    parse(&c, WORDS("things", "list", "--label", "a=1", "-l", "b=2")), CMD_YES);
	assert_string_equal(cmd_opt(&c, "--label"), "b=2");
	assert_string_equal(cmd_opt_at(&c, "--label", 0), "a=1");
	assert_string_equal(cmd_opt_at(&c, "--label", 1), "b=2");
	assert_null(cmd_opt_at(&c, "--label", 2));
}

static void
test_two_dashes_end_the_options(void **state)
{
	struct cmd_ctx c;

	(void)state;
	assert_int_equal(parse(&c, WORDS("things", "show", "--", "--host")), CMD_YES);
	assert_string_equal(c.words[c.n_command_words], "--host");
	assert_int_equal(parse(&c, WORDS("things", "show", "-")), CMD_YES);
	assert_string_equal(c.words[c.n_command_words], "-");
}

static void
test_help_asks_for_no_arguments(void **state)
{
	struct cmd_ctx c;

	(void)state;
	assert_int_equal(parse(&c, WORDS("things", "show", "--help")), CMD_YES);
	assert_true(c.help);
	assert_int_equal(parse(&c, WORDS("things", "-h")), CMD_YES);
	assert_null(c.cmd);
	assert_int_equal(parse(&c, WORDS("--version")), CMD_YES);
	assert_true(c.version);
}

static void
test_too_much_is_refused_not_cut(void **state)
{
	const char *argv[CMD_WORDS_MAX + CMD_VALUES_MAX + 3];
	struct cmd_ctx c;
	int n;

	(void)state;
	for (n = 0; n < (int)CMD_WORDS_MAX + 2; n++)
		argv[n] = "w";
	assert_int_equal(cmd_parse(&c, table, n, argv), CMD_USAGE);
	argv[1] = "things";
	argv[2] = "list";
	for (n = 3; n < (int)CMD_VALUES_MAX + 4; n++)
		argv[n] = "--all";
	assert_int_equal(cmd_parse(&c, table, n, argv), CMD_USAGE);
}

/* One name means the same kind everywhere: the line is split before the command is known. */
static void
test_the_real_table_is_sound(void **state)
{
	(void)state;
	for (size_t i = 0; cmd_table[i] != NULL; i++) {
		const struct cmd *a = cmd_table[i];

		assert_non_null(a->run);
		assert_true(strlen(a->help) > 0 && strlen(a->help) < 60);
		assert_true(a->min_args <= a->max_args);
		for (size_t j = 0; cmd_table[j] != NULL; j++) {
			const struct cmd *b = cmd_table[j];
			bool same_verb =
			    a->verb == NULL || b->verb == NULL || strcmp(a->verb, b->verb) == 0;

			assert_false(i != j && strcmp(a->noun, b->noun) == 0 && same_verb);
			for (const struct cmd_opt *o = a->opts; o != NULL && o->name != NULL; o++)
				for (const struct cmd_opt *p = b->opts;
				     p != NULL && p->name != NULL; p++)
					if (strcmp(o->name, p->name) == 0 ||
					    (o->short_name != 0 &&
						o->short_name == p->short_name)) {
						assert_string_equal(o->name, p->name);
						assert_true((o->arg == NULL) == (p->arg == NULL));
					}
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refuses_what_no_row_knows),
		cmocka_unit_test(test_refuses_an_option_of_another_command),
		cmocka_unit_test(test_counts_arguments),
		cmocka_unit_test(test_values_must_be_there_and_only_where_taken),
		cmocka_unit_test(test_options_stand_anywhere),
		cmocka_unit_test(test_repeated_options_keep_their_order),
		cmocka_unit_test(test_two_dashes_end_the_options),
		cmocka_unit_test(test_help_asks_for_no_arguments),
		cmocka_unit_test(test_too_much_is_refused_not_cut),
		cmocka_unit_test(test_the_real_table_is_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
