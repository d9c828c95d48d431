/* User names: each has one reading or none, and who typed another gateway's form is told ours. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/names.h"

static const struct {
	const char *name;
	enum names_form form;
	const char *first, *login, *host;
	unsigned port;
} good[] = {
	{ "alice", NAMES_NO_HOST, "alice", "", "", 0 },
	{ "alice@corp.example", NAMES_NO_HOST, "alice@corp.example", "", "", 0 },
	{ "_apt", NAMES_NO_HOST, "_apt", "", "", 0 },
	{ "alice+web1", NAMES_TWO, "alice", "", "web1", 0 },
	{ "alice web1", NAMES_TWO, "alice", "", "web1", 0 },
	{ "root+WEB1.Prod", NAMES_TWO, "root", "", "web1.prod", 0 },
	{ "Alice+web1", NAMES_TWO, "Alice", "", "web1", 0 },
	{ "alice+10.0.0.11", NAMES_TWO, "alice", "", "10.0.0.11", 0 },
	{ "alice+web1+2222", NAMES_PORT, "alice", "", "web1", 2222 },
	{ "alice+web1+1", NAMES_PORT, "alice", "", "web1", 1 },
	{ "alice+web1+65535", NAMES_PORT, "alice", "", "web1", 65535 },
	{ "alice+root+web1", NAMES_FULL, "alice", "root", "web1", 0 },
	{ "alice root web1", NAMES_FULL, "alice", "root", "web1", 0 },
	{ "alice+root web1", NAMES_FULL, "alice", "root", "web1", 0 },
	{ "alice+1000+web1", NAMES_FULL, "alice", "1000", "web1", 0 },
	{ "alice+root+web1+2222", NAMES_FULL, "alice", "root", "web1", 2222 },
	{ "a+b+c-d_e.f", NAMES_FULL, "a", "b", "c-d_e.f", 0 },
};

static void
test_readings(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char hint[NAMES_HINT_SIZE] = "";
		struct names n;

		assert_int_equal(names_parse(good[i].name, strlen(good[i].name), &n, hint), 0);
		assert_int_equal(n.form, good[i].form);
		assert_string_equal(n.first, good[i].first);
		assert_string_equal(n.login, good[i].login);
		assert_string_equal(n.host, good[i].host);
		assert_int_equal(n.port, good[i].port);
	}
}

/* hint: what must stand in it. */
static const struct {
	const char *name, *hint;
} bad[] = {
	{ "+web1", "LOGIN+HOST" },
	{ "alice+", "LOGIN+HOST" },
	{ "alice++web1", "write alice+web1 instead" },
	{ "alice + web1", "write alice+web1 instead" },
	{ "+", "LOGIN+HOST" },
	{ " ", "LOGIN+HOST" },
	{ "a+b+c+22+x", "LOGIN+HOST" },
	{ "alice+22", "LOGIN+HOST" },
	{ "alice+root+22+22", "LOGIN+HOST" },
	{ "alice+web1+0", "LOGIN+HOST" },
	{ "alice+web1+65536", "LOGIN+HOST" },
	{ "alice+web1+65558", "LOGIN+HOST" },
	{ "alice+web1+00022", "LOGIN+HOST" },
	{ "alice+root+web1+0x16", "LOGIN+HOST" },
	{ "-oProxyCommand=x", "LOGIN+HOST" },
	{ "-alice+web1", "LOGIN+HOST" },
	{ "alice+-web1", "LOGIN+HOST" },
	{ "alice+-l+web1", "LOGIN+HOST" },
	{ "alice+.web1", "LOGIN+HOST" },
	{ "alice+web1.", "LOGIN+HOST" },
	{ "alice+web1-", "LOGIN+HOST" },
	{ "@alice+web1", "LOGIN+HOST" },
	{ "alice+web1@corp", "LOGIN+HOST" },
	{ "alice+2130706433", "LOGIN+HOST" },
	{ "alice$x+web1", "LOGIN+HOST" },
	{ "alice`id`", "LOGIN+HOST" },
	{ "alice;id", "LOGIN+HOST" },
	{ "alice|id", "LOGIN+HOST" },
	{ "alice+web*", "LOGIN+HOST" },
	{ "alice'", "LOGIN+HOST" },
	{ "alice!", "LOGIN+HOST" },
	{ "~alice", "LOGIN+HOST" },
	{ "alice=web1", "LOGIN+HOST" },
	{ "alice:web1", "write alice+web1 instead" },
	{ "alice+web1:2222", "write alice+web1+2222 instead" },
	{ "alice#web1", "write alice+web1 instead" },
	{ "alice%web1", "write alice+web1 instead" },
	{ "alice,web1", "write alice+web1 instead" },
	{ "alice/web1", "write alice+web1 instead" },
	{ "ACME\\alice+web1", "write ACME+alice+web1 instead" },
	{ "alice+[web1]:22", "write alice+web1+22 instead" },
	{ "alice:root:web1:22", "write alice+root+web1+22 instead" },
	{ "alice+[2001:db8::1]", "IPv6 address" },
	{ "alice+fe80::1%eth0", "ssh -J BASTION LOGIN@ADDRESS" },
	{ "root@web1:22", "write root+web1+22 instead" },
	{ "root@[web1]:22", "write root+web1+22 instead" },
	{ "root@web1/", "write root+web1 instead" },
	{ "ssh://root@web1:22/", "write root+web1+22 instead" },
	{ "root@web1:", "write root+web1 instead" },
	{ "<alice>+(web1)", "write alice+web1 instead" },
	{ "alice:", "LOGIN+HOST" },
	{ "alice%0aroot+web1", "write alice+0aroot+web1 instead" },
	{ "alice+\tweb1", "byte 7" },
	{ "alice\nroot", "byte 6" },
	{ "alice\x1b[31m", "byte 6" },
	{ "\xc3\xa1lice", "byte 1" },
	{ "alice\x7f", "byte 6" },
	{ "", "1 to 255 bytes" },
};

static void
test_refusals_and_their_hints(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char hint[NAMES_HINT_SIZE] = "";
		struct names n = { .port = 77 };

		if (names_parse(bad[i].name, strlen(bad[i].name), &n, hint) != ERR_FORMAT)
			fail_msg("accepted: %s", bad[i].name);
		if (strstr(hint, bad[i].hint) == NULL)
			fail_msg("%s: hint is: %s", bad[i].name, hint);
		assert_int_equal(n.port, 77);
	}
}

static void
test_an_at_sign_for_a_plus(void **state)
{
	static const char *const rows[][2] = {
		{ "root@web1", "root+web1" },
		{ "root@Web1.corp", "root+Web1.corp" },
		{ "root@web1@22", "root+web1+22" },
		{ "alice", "" },
		{ "alice+root@web1", "" },
		{ "root@", "" },
		{ "@web1", "" },
		{ "root@22", "" },
		{ "root@-web1", "" },
	};
	char better[NAMES_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		names_guess_at(rows[i][0], better);
		assert_string_equal(better, rows[i][1]);
	}
}

static void
test_behind_a_jump_the_name_is_the_login(void **state)
{
	static const struct {
		const char *name, *hint; /* NULL: it is a login */
	} rows[] = {
		{ "root", NULL },
		{ "_apt", NULL },
		{ "db.admin-2", NULL },
		{ "root@corp.example", NULL },
		{ "root+web1", "login alone: write root" },
		{ "root web1", "login alone: write root" },
		{ "root+web1+22", "login alone: write root" },
		{ "alice+root+web1", "login alone: write root" },
		{ "alice+root+web1+22", "login alone: write root" },
		{ "root:web1", "ssh -J BASTION LOGIN@HOST" },
		{ "root+", "ssh -J BASTION LOGIN@HOST" },
		{ "-oProxyCommand=x", "ssh -J BASTION LOGIN@HOST" },
		{ "root;id", "ssh -J BASTION LOGIN@HOST" },
		{ "ro\not", "byte 3" },
		{ "", "1 to 255 bytes" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char hint[NAMES_HINT_SIZE] = "", login[NAMES_FIELD_SIZE] = "untouched";
		int r = names_parse_login(rows[i].name, strlen(rows[i].name), login, hint);

		assert_int_equal(r, rows[i].hint == NULL ? 0 : ERR_FORMAT);
		assert_string_equal(login, r == 0 ? rows[i].name : "untouched");
		if (r != 0 && strstr(hint, rows[i].hint) == NULL)
			fail_msg("%s: hint is: %s", rows[i].name, hint);
	}
	for (unsigned c = 0; c < 256; c++) {
		char name[NAMES_MAX], hint[NAMES_HINT_SIZE] = "", login[NAMES_FIELD_SIZE];

		memset(name, (int)c, sizeof(name));
		if (names_parse_login(name, sizeof(name), login, hint) != 0)
			for (const char *p = hint; *p != '\0'; p++)
				assert_true(*p >= 0x20 && *p < 0x7f);
	}
}

static void
test_hints_are_printable(void **state)
{
	char hint[NAMES_HINT_SIZE], name[NAMES_MAX];

	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		struct names n;

		memset(name, (int)c, sizeof(name));
		hint[0] = '\0';
		if (names_parse(name, sizeof(name), &n, hint) == 0)
			continue;
		assert_true(strlen(hint) > 0 && strlen(hint) < sizeof(hint));
		for (const char *p = hint; *p != '\0'; p++)
			assert_true(*p >= 0x20 && *p < 0x7f);
	}
}

static void
test_length(void **state)
{
	char name[NAMES_MAX + 2], hint[NAMES_HINT_SIZE];
	struct names n;

	(void)state;
	memset(name, 'a', sizeof(name));
	memcpy(name, "alice+", 6);
	assert_int_equal(names_parse(name, NAMES_MAX, &n, hint), 0);
	assert_int_equal(names_parse(name, NAMES_MAX + 1, &n, hint), ERR_FORMAT);
}

static void
test_nul_is_no_end(void **state)
{
	char hint[NAMES_HINT_SIZE];
	struct names n;

	(void)state;
	assert_int_equal(names_parse("alice\0root", 10, &n, hint), ERR_FORMAT);
	assert_int_equal(names_parse("alice\0", 6, &n, hint), ERR_FORMAT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_readings),
		cmocka_unit_test(test_refusals_and_their_hints),
		cmocka_unit_test(test_an_at_sign_for_a_plus),
		cmocka_unit_test(test_behind_a_jump_the_name_is_the_login),
		cmocka_unit_test(test_hints_are_printable),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_nul_is_no_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
