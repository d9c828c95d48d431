/* Commands: scp and rsync in the form that their clients send, and patterns that nobody can stretch. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/command.h"

static const struct {
	const char *command;
	enum command_kind kind;
} rows[] = {
	{ "scp -t /tmp/x", COMMAND_SCP },
	{ "scp -f file", COMMAND_SCP },
	{ "scp -r -p -t -- -odd", COMMAND_SCP },
	{ "scp -v -r -p -d -t .", COMMAND_SCP },
	{ "scp -t -r /srv", COMMAND_SCP },
	{ "scp -pt 'a file'", COMMAND_SCP },
	{ "scp -f *.log", COMMAND_SCP },
	{ "scp -f ~/a\\ b", COMMAND_SCP },
	{ "scp -t \"a b\"", COMMAND_SCP },
	{ "scp", COMMAND_OTHER },
	{ "scp -t", COMMAND_OTHER },
	{ "scp /tmp/x", COMMAND_OTHER },
	{ "scp -t /tmp/x; bash", COMMAND_OTHER },
	{ "scp -t /tmp/x bash", COMMAND_OTHER },
	{ "scp -t $(id)", COMMAND_OTHER },
	{ "scp -t `id`", COMMAND_OTHER },
	{ "scp -t a&&id", COMMAND_OTHER },
	{ "scp -t a|id", COMMAND_OTHER },
	{ "scp -t a>b", COMMAND_OTHER },
	{ "scp -t a\nid", COMMAND_OTHER },
	{ "scp -t \"$(id)\"", COMMAND_OTHER },
	{ "scp -t 'a'id'", COMMAND_OTHER },
	{ "scp -t 'a\\'", COMMAND_OTHER },
	{ "scp -t \"a", COMMAND_OTHER },
	{ "scp -t a\\", COMMAND_OTHER },
	{ "scp -S bash -t x", COMMAND_OTHER },
	{ "scp -oProxyCommand=id -t x", COMMAND_OTHER },
	{ "scp -t -f x", COMMAND_OTHER },
	{ "scpx -t x", COMMAND_OTHER },
	{ " scp -t x", COMMAND_OTHER },
	{ "/usr/bin/scp -t x", COMMAND_OTHER },
	{ "rsync --server -vlogDtpre.iLsfxCIvu . /srv/", COMMAND_RSYNC },
	{ "rsync --server --sender -vlogDtprze.iLsfxCIvu . /srv/a /srv/b", COMMAND_RSYNC },
	{ "rsync --server -logDtpre.iLsfxCIvu --delete --partial --bwlimit=100 . x",
	    COMMAND_RSYNC },
	{ "rsync --server", COMMAND_OTHER },
	{ "rsync --server -e.i .", COMMAND_OTHER },
	{ "rsync --server -e.i . x; id", COMMAND_OTHER },
	{ "rsync --server --daemon .", COMMAND_OTHER },
	{ "rsync --server --daemon --config=/tmp/c . x", COMMAND_OTHER },
	{ "rsync --server --rsh=id . x", COMMAND_OTHER },
	{ "rsync --server -se.LsfxCIvu . x", COMMAND_OTHER },
	{ "rsync --server -vlogDtpre.iLsfxCIvu . -x", COMMAND_OTHER },
	{ "rsync --server --log-file=/tmp/x . x", COMMAND_OTHER },
	{ "rsync -av a b", COMMAND_OTHER },
	{ "mosh-server new -c 256 -s -l LANG=C", COMMAND_MOSH },
	{ "sh -c '[ -n \"$SSH_CONNECTION\" ] && mosh-server new'", COMMAND_MOSH },
	{ "mosh-serverx", COMMAND_OTHER },
	{ "grep mosh-server log", COMMAND_OTHER },
	{ "", COMMAND_OTHER },
	{ "id", COMMAND_OTHER },
};

static void
test_kinds(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (command_classify(rows[i].command) != rows[i].kind)
			fail_msg("%s: %d", rows[i].command, command_classify(rows[i].command));
}

/* Bytes that some shell acts on, and all control bytes, have no place in a path. */
static void
test_no_byte_ends_a_path(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		char command[] = "scp -t /tmp/x?id";
		bool acts = c < 0x20 || c == 0x7f || strchr(" ;&|<>()$`\"'#!^\\", c) != NULL;

		command[13] = (char)c;
		assert_int_equal(command_classify(command), acts ? COMMAND_OTHER : COMMAND_SCP);
	}
}

static const struct {
	const char *pattern, *command;
	bool want;
} patterns[] = {
	{ "id", "id", true },
	{ "id", "id ", false },
	{ "id", "idx", false },
	{ "systemctl status *", "systemctl status nginx", true },
	{ "systemctl status *", "systemctl status nginx.service", true },
	{ "systemctl status *", "systemctl status", false },
	{ "systemctl status *", "systemctl status a b", false },
	{ "systemctl status *", "systemctl status --host=root@other", false },
	{ "systemctl status *", "systemctl status -Hroot", false },
	{ "systemctl status *", "systemctl status x;id", false },
	{ "systemctl status *", "systemctl status x&id", false },
	{ "systemctl status *", "systemctl status x\nid", false },
	{ "systemctl status *", "systemctl status $(id)", false },
	{ "systemctl status *", "systemctl status `id`", false },
	{ "systemctl status *", "systemctl status a|b", false },
	{ "systemctl status *", "systemctl status 'a'", false },
	{ "systemctl status *", "systemctl status *", false },
	{ "cat /var/log/*", "cat /var/log/syslog", true },
	{ "cat /var/log/*", "cat /var/log/a/b", false },
	{ "cat /var/log/**", "cat /var/log/a/b", true },
	{ "cat /var/log/**", "cat /var/log/../shadow", false },
	{ "cat /var/log/*", "cat /var/log/..", false },
	{ "cat /var/log/**", "cat /var/log/a..b", false },
	{ "cat /var/log/**", "cat /var/log/a b", false },
	{ "git-upload-pack '**'", "git-upload-pack 'team/repo.git'", true },
	{ "git-upload-pack '**'", "git-upload-pack '--exec=id'", false },
	{ "git-upload-pack '**'", "git-upload-pack 'a' 'b'", false },
	{ "a?c", "abc", true },
	{ "a?c", "a/c", false },
	{ "a?c", "ac", false },
	{ "a?c", "a c", false },
	{ "*", "anything", true },
	{ "*", "", true },
	{ "*", "-x", false },
	{ "a*b*c", "axxbyyc", true },
	{ "a*b*c", "axxbyy", false },
	{ "**a*b", "x/y/azb", true },
	{ "**a*b", "x/a/azb", true },
	{ "tail -n 1?? *", "tail -n 100 syslog", true },
	{ "echo a > b", "echo a > b", true },
	{ "", "", true },
	{ "", "x", false },
};

static void
test_patterns(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		if (command_matches(patterns[i].pattern, patterns[i].command) != patterns[i].want)
			fail_msg("%s / %s", patterns[i].pattern, patterns[i].command);
}

static void
test_limits_of_patterns(void **state)
{
	char pattern[COMMAND_PATTERN_MAX + 2], command[COMMAND_MATCHED_MAX + 2];

	(void)state;
	memset(pattern, 'a', sizeof(pattern));
	pattern[COMMAND_PATTERN_MAX + 1] = '\0';
	assert_int_equal(command_pattern_check(pattern), ERR_LIMIT);
	assert_false(command_matches(pattern, pattern));
	pattern[COMMAND_PATTERN_MAX] = '\0';
	assert_int_equal(command_pattern_check(pattern), 0);
	assert_true(command_matches(pattern, pattern));
	memset(command, 'a', sizeof(command));
	command[COMMAND_MATCHED_MAX + 1] = '\0';
	assert_false(command_matches("*", command));
	command[COMMAND_MATCHED_MAX] = '\0';
	assert_true(command_matches("*", command));
	assert_int_equal(command_pattern_check(""), ERR_FORMAT);
	assert_int_equal(command_pattern_check("a\nb"), ERR_FORMAT);
	/* Many stars cost no more than their number times the command. */
	memset(pattern, '*', COMMAND_PATTERN_MAX - 1);
	pattern[COMMAND_PATTERN_MAX - 1] = 'b';
	assert_false(command_matches(pattern, command));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_no_byte_ends_a_path),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_limits_of_patterns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
