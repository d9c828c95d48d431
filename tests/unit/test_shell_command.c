/* Lines that people write to the bastion's own shell: what they mean, and what is said of those that mean nothing. */
#include "config.h"

#include "bastiond/shell/command.h"
#include "tests/lib/test.h"

static struct command cmd;
static char text[COMMAND_TEXT_SIZE];

static int
parse(const char *line)
{
	memset(text, 0, sizeof(text));
	cmd = (struct command){ .arg = "before" };
	return command_parse(line, strlen(line), &cmd, text);
}

static void
test_what_is_no_command_is_refused(void **state)
{
	static const char *const lines[] = { "uptime", "hosts x", "explain", "explain a b",
		"explain --json", "whoami --all", "HOSTS", "hosts;id", "hosts\x01", "--json", "-h",
		"scp -t x", "rsync --server .", "sessions last",
		"explain \xc3\xa4"
		"b c" };

	(void)state;
	for (size_t i = 0; i < N_OF(lines); i++) {
		assert_int_equal(parse(lines[i]), ERR_FORMAT);
		assert_string_equal(cmd.arg, "before");
		assert_non_null(strstr(text, "hosts, whoami, explain TARGET, sessions, help"));
		for (const char *p = text; *p != '\0'; p++)
			assert_true(*p >= ' ' && *p <= '~');
	}
}

static void
test_what_was_meant_for_a_host_gets_the_hint(void **state)
{
	(void)state;
	assert_int_equal(parse("uptime -p"), ERR_FORMAT);
	assert_string_equal(text, "uptime -p: not a command of the bastion (hosts, whoami, explain "
				  "TARGET, sessions, help); to "
				  "run it on a host: ssh LOGIN+HOST@BASTION uptime -p");
}

static void
test_long_and_broken_lines_are_bounded(void **state)
{
	char line[5000];

	(void)state;
	memset(line, 'x', sizeof(line));
	assert_int_equal(command_parse(line, sizeof(line), &cmd, text), ERR_FORMAT);
	assert_true(strlen(text) < sizeof(text));
	assert_int_equal(command_parse("hosts\0x", 7, &cmd, text), ERR_FORMAT);
	memset(line, ' ', sizeof(line));
	memcpy(line, "explain ", 8);
	memset(line + 8, 'a', COMMAND_ARG_SIZE);
	assert_int_equal(command_parse(line, sizeof(line), &cmd, text), ERR_FORMAT);
	line[8 + COMMAND_ARG_SIZE - 1] = ' ';
	assert_int_equal(command_parse(line, sizeof(line), &cmd, text), 0);
	assert_int_equal(strlen(cmd.arg), COMMAND_ARG_SIZE - 1);
}

static void
test_commands_and_their_words(void **state)
{
	static const struct {
		const char *line;
		enum command_verb verb;
		bool json;
		const char *arg;
	} rows[] = {
		{ "hosts", COMMAND_HOSTS, false, "" },
		{ " hosts\t--json \r\n", COMMAND_HOSTS, true, "" },
		{ "--json hosts", COMMAND_HOSTS, true, "" },
		{ "whoami", COMMAND_WHOAMI, false, "" },
		{ "explain root+web1", COMMAND_EXPLAIN, false, "root+web1" },
		{ "explain --json web1", COMMAND_EXPLAIN, true, "web1" },
		{ "explain web1 --json", COMMAND_EXPLAIN, true, "web1" },
		{ "sessions --json --json", COMMAND_SESSIONS, true, "" },
		{ "help", COMMAND_HELP, false, "" },
		{ "--help", COMMAND_HELP, false, "" },
		{ "exit", COMMAND_EXIT, false, "" },
		{ "", COMMAND_NOTHING, false, "" },
		{ " \t\r\n", COMMAND_NOTHING, false, "" },
	};

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		assert_int_equal(parse(rows[i].line), 0);
		assert_int_equal(cmd.verb, rows[i].verb);
		assert_int_equal(cmd.json, rows[i].json);
		assert_string_equal(cmd.arg, rows[i].arg);
	}
}

static void
test_help_names_every_command(void **state)
{
	static const char *const names[] = { "hosts", "whoami", "explain TARGET", "sessions",
		"help", "--json", "ssh LOGIN+HOST@BASTION" };

	(void)state;
	for (size_t i = 0; i < N_OF(names); i++)
		assert_non_null(strstr(command_help(), names[i]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_no_command_is_refused),
		cmocka_unit_test(test_what_was_meant_for_a_host_gets_the_hint),
		cmocka_unit_test(test_long_and_broken_lines_are_bounded),
		cmocka_unit_test(test_commands_and_their_words),
		cmocka_unit_test(test_help_names_every_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
