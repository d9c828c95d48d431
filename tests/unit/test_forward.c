/* Patterns of forwards, paths of rules, and what a session's client asked the target to listen on. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/forward.h"
#include "policy/listens.h"
#include "policy/prefix.h"

static void
test_what_is_no_pattern(void **state)
{
	static const struct {
		const char *text;
		bool remote;
		const char *why;
	} rows[] = {
		{ "", false, "host:port" },
		{ "localhost", false, "host:port" },
		{ "5432", false, "host:port" },
		{ "localhost:", false, "host:port" },
		{ "localhost:0", false, "1 to 65535" },
		{ "localhost:65536", false, "1 to 65535" },
		{ "localhost:022", false, "1 to 65535" },
		{ "localhost:+22", false, "1 to 65535" },
		{ "localhost:http", false, "1 to 65535" },
		{ "localhost:2-1", false, "range" },
		{ "localhost:0-9", false, "range" },
		{ "localhost:1-", false, "range" },
		{ "localhost:-1", false, "range" },
		{ "localhost:1-2-3", false, "range" },
		{ "localhost:1-65536", false, "range" },
		{ "localhost:1,2", false, "1 to 65535" },
		{ "localhost:*2", false, "or *" },
		{ ":80", false, "a host of lower case letters" },
		{ "Localhost:80", false, "a host of lower case letters" },
		{ "a b:80", false, "a host of lower case letters" },
		{ "::1:80", false, "IPv6 in brackets" },
		{ "db/x:80", false, "a host of lower case letters" },
		{ "127.1:80", false, "all of its numbers" },
		{ "2130706433:80", false, "all of its numbers" },
		{ "010.0.0.1:80", false, "all of its numbers" },
		{ "[::1]", false, "host:port" },
		{ "[::1:80", false, "an IPv6 address in brackets" },
		{ "[]:80", false, "an IPv6 address in brackets" },
		{ "[:80", false, "an IPv6 address in brackets" },
		{ "[127.0.0.1]:80", false, "an IPv6 address in brackets" },
		{ "[fe80::1%eth0]:80", false, "an IPv6 address in brackets" },
		{ "[2001:db8::*]:80", false, "an IPv6 address in brackets" },
		{ "unix:/", false, "the absolute path of a socket" },
		{ "unix:/run/../x", false, "the absolute path of a socket" },
		{ "unix:/run//x", false, "the absolute path of a socket" },
		{ "unix:/run/x/", false, "the absolute path of a socket" },
		{ "unix:/run/*", false, "the absolute path of a socket" },
		{ "unix:run/x", false, "host:port" },
		{ "", true, "\"port\"" },
		{ "65536", true, "\"port\"" },
		{ "localhost:-1", true, "\"port\"" },
		{ "0-9", true, "\"port\"" },
		{ "::1:80", true, "IPv6 in brackets" },
		{ "localhost", true, "\"port\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct forward_pattern p;
		const char *why = "";

		if (forward_parse(rows[i].text, rows[i].remote, &p, &why) != ERR_FORMAT)
			fail_msg("taken: %s", rows[i].text);
		if (strstr(why, rows[i].why) == NULL)
			fail_msg("%s: %s", rows[i].text, why);
	}
}

static void
test_hosts_of_the_longest_names(void **state)
{
	char text[FORWARD_HOST_MAX + 16];
	struct forward_pattern p;
	const char *why = "";

	(void)state;
	memset(text, 'a', sizeof(text));
	strcpy(text + FORWARD_HOST_MAX, ":80");
	assert_int_equal(forward_parse(text, false, &p, &why), 0);
	strcpy(text + FORWARD_HOST_MAX, "a:80");
	assert_int_equal(forward_parse(text, false, &p, &why), ERR_FORMAT);
	assert_string_equal(why, "a host of at most 255 bytes");
	memset(text, 'a', sizeof(text));
	memcpy(text, "unix:/", 6);
	text[5 + FORWARD_PATH_MAX] = '\0';
	assert_int_equal(forward_parse(text, false, &p, &why), 0);
	text[5 + FORWARD_PATH_MAX] = 'a';
	text[6 + FORWARD_PATH_MAX] = '\0';
	assert_int_equal(forward_parse(text, false, &p, &why), ERR_FORMAT);
}

static void
test_what_patterns_hold(void **state)
{
	static const struct {
		const char *pattern;
		bool remote;
		const char *host; /* NULL: path */
		uint32_t port;
		const char *path;
		bool want;
	} rows[] = {
		{ "localhost:5432", false, "localhost", 5432, NULL, true },
		{ "localhost:5432", false, "LOCALHOST", 5432, NULL, true },
		{ "localhost:5432", false, "localhost", 5433, NULL, false },
		{ "localhost:5432", false, "localhost", 0, NULL, false },
		{ "localhost:5432", false, "localhost", 5432 + 65536, NULL, false },
		{ "localhost:5432", false, "localhost.", 5432, NULL, false },
		{ "localhost:5432", false, "localhost.evil.example", 5432, NULL, false },
		/* Not the same word, whatever it means on the target. */
		{ "localhost:5432", false, "127.0.0.1", 5432, NULL, false },
		{ "127.0.0.1:80", false, "127.0.0.1", 80, NULL, true },
		{ "127.0.0.1:80", false, "127.1", 80, NULL, false },
		{ "127.0.0.1:80", false, "0x7f.0.0.1", 80, NULL, false },
		{ "127.0.0.1:80", false, "::ffff:127.0.0.1", 80, NULL, true },
		{ "[::1]:80", false, "::1", 80, NULL, true },
		{ "[::1]:80", false, "0:0:0:0:0:0:0:1", 80, NULL, true },
		{ "[2001:DB8::A]:80", false, "2001:db8::a", 80, NULL, true },
		{ "[::1]:80", false, "[::1]", 80, NULL, false },
		{ "[::1]:80", false, "::2", 80, NULL, false },
		{ "*.db.example:5000-5999", false, "a.db.example", 5000, NULL, true },
		{ "*.db.example:5000-5999", false, "a.b.DB.example", 5999, NULL, true },
		{ "*.db.example:5000-5999", false, "a.db.example", 4999, NULL, false },
		{ "*.db.example:5000-5999", false, "a.db.example", 6000, NULL, false },
		{ "*.db.example:5000-5999", false, "db.example", 5000, NULL, false },
		{ "*.db.example:5000-5999", false, "a.db.example.x", 5000, NULL, false },
		{ "10.0.0.*:*", false, "10.0.0.7", 1, NULL, true },
		{ "10.0.0.*:*", false, "10.0.0.7", 65535, NULL, true },
		{ "10.0.0.*:*", false, "10.0.0.7.evil.example", 80, NULL, false },
		{ "10.0.0.*:*", false, "10.0.0.", 80, NULL, false },
		{ "10.0.0.?:*", false, "10.0.0.77", 80, NULL, false },
		{ "10.0.0.*:*", false, "10.0.0.x", 80, NULL, false },
		{ "web?:80", false, "web1", 80, NULL, true },
		{ "*.*:80", false, "10.0.0.1", 80, NULL, false },
		{ "*.*:80", false, "a.b", 80, NULL, true },
		{ "*:80", false, "10.0.0.1", 80, NULL, true },
		{ "*:80", false, "Any Thing\x80", 80, NULL, true },
		{ "*:80", false, "", 80, NULL, true },
		{ "*:*", false, "x", 0, NULL, false },
		/* Sockets are named, whatever else is allowed. */
		{ "*:*", false, NULL, 0, "/run/app.sock", false },
		{ "unix:/run/app.sock", false, NULL, 0, "/run/app.sock", true },
		{ "unix:/run/app.sock", false, NULL, 0, "/run/../run/app.sock", false },
		{ "unix:/run/app.sock", false, NULL, 0, "/run/app.sock2", false },
		{ "unix:/run/app.sock", false, "/run/app.sock", 0, NULL, false },
		{ "unix:80", false, "unix", 80, NULL, true },
		/* What the target listens on. */
		{ "8080", true, "localhost", 8080, NULL, true },
		{ "8080", true, "127.0.0.1", 8080, NULL, true },
		{ "8080", true, "::1", 8080, NULL, true },
		{ "8080", true, "", 8080, NULL, false },
		{ "8080", true, "*", 8080, NULL, false },
		{ "8080", true, "0.0.0.0", 8080, NULL, false },
		{ "8080", true, "10.0.0.1", 8080, NULL, false },
		{ "8080", true, "localhost", 0, NULL, false },
		{ "0", true, "localhost", 0, NULL, true },
		{ "0", true, "localhost", 1, NULL, false },
		{ "*", true, "localhost", 0, NULL, true },
		{ "*", true, "localhost", 65535, NULL, true },
		{ "*", true, "", 1, NULL, false },
		{ "8000-8009", true, "localhost", 8009, NULL, true },
		{ "*:8080", true, "", 8080, NULL, true },
		{ "*:8080", true, "*", 8080, NULL, true },
		{ "*:8080", true, "10.0.0.1", 8080, NULL, true },
		{ "*:*", true, "", 0, NULL, true },
		{ "10.0.0.1:8080", true, "10.0.0.1", 8080, NULL, true },
		{ "10.0.0.1:8080", true, "", 8080, NULL, false },
		{ "[::]:8080", true, "::", 8080, NULL, true },
		{ "unix:/run/x", true, NULL, 0, "/run/x", true },
		{ "*:*", true, NULL, 0, "/run/x", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct forward f = {
			.host = rows[i].host, .port = rows[i].port, .path = rows[i].path
		};
		struct forward_pattern p;
		const char *why = "";

		if (forward_parse(rows[i].pattern, rows[i].remote, &p, &why) != 0)
			fail_msg("%s: %s", rows[i].pattern, why);
		if (forward_fits(&p, &f) != rows[i].want)
			fail_msg("row %zu: %s and %s %u", i, rows[i].pattern,
			    f.host != NULL ? f.host : f.path, (unsigned)f.port);
	}
}

static void
test_paths(void **state)
{
	static const char *const bad[] = { "", "srv", "./srv", "~/x", "//", "//srv", "/srv//x",
		"/srv/..", "/..", "/srv/../etc", "/.", "/srv/./x", "/srv/*", "/s?v", "/a\nb",
		"/a\x7f" };
	static const char *const good[] = { "/", "/srv", "/srv/", "/srv/a b", "/...", "/.ssh",
		"/srv/..x", "/srv/x..", "/\xc3\xa4" };
	static const struct {
		const char *prefix, *path;
		bool want;
	} rows[] = {
		{ "/", "/", true },
		{ "/", "/etc/passwd", true },
		{ "/srv", "/srv", true },
		{ "/srv", "/srv/x", true },
		{ "/srv", "/srvx", false },
		{ "/srv", "/sr", false },
		{ "/srv", "/", false },
		{ "/srv/a", "/srv", false },
		{ "/srv/a", "/srv/b", false },
	};
	char longest[PREFIX_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (prefix_check(bad[i]) != ERR_FORMAT)
			fail_msg("taken: %s", bad[i]);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (prefix_check(good[i]) != 0)
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (prefix_holds(rows[i].prefix, rows[i].path) != rows[i].want)
			fail_msg("%s and %s", rows[i].prefix, rows[i].path);
	memset(longest, 'a', sizeof(longest));
	longest[0] = '/';
	longest[PREFIX_MAX] = '\0';
	assert_int_equal(prefix_check(longest), 0);
	longest[PREFIX_MAX] = 'a';
	longest[PREFIX_MAX + 1] = '\0';
	assert_int_equal(prefix_check(longest), ERR_LIMIT);
}

#define AT(h, p) (&(struct forward){ .host = (h), .port = (p) })
#define SOCKET(p) (&(struct forward){ .path = (p) })

static void
test_what_was_listened_on(void **state)
{
	struct listens l = { .n = 0 };

	(void)state;
	assert_false(listens_has(&l, AT("localhost", 80)));
	assert_false(listens_remove(&l, AT("localhost", 80)));
	assert_int_equal(listens_add(&l, AT("localhost", 80), 0), 0);
	assert_true(listens_has(&l, AT("127.0.0.1", 80)));
	assert_false(listens_has(&l, AT("localhost", 81)));
	assert_false(listens_has(&l, SOCKET("localhost")));
	assert_int_equal(listens_add(&l, SOCKET("/run/x"), 0), 0);
	assert_true(listens_has(&l, SOCKET("/run/x")));
	assert_false(listens_has(&l, SOCKET("/run/y")));
	/* The target picks a port, and nobody says which. */
	assert_int_equal(listens_add(&l, AT("", 0), 0), 0);
	assert_true(listens_has(&l, AT("x", 40000)));
	assert_false(listens_remove(&l, AT("", 40000)));
	assert_true(listens_remove(&l, AT("", 0)));
	assert_false(listens_has(&l, AT("x", 40000)));
	assert_true(listens_remove(&l, AT("localhost", 80)));
	assert_false(listens_has(&l, AT("localhost", 80)));
	assert_false(listens_remove(&l, SOCKET("/run/y")));
	assert_true(listens_remove(&l, SOCKET("/run/x")));
	assert_int_equal(l.n, 0);
	listens_done(&l);
	listens_done(&l);
}

static void
test_listening_has_a_limit(void **state)
{
	struct listens l = { .n = 0 };

	(void)state;
	for (uint32_t i = 1; i <= LISTENS_MAX; i++) {
		assert_int_equal(listens_add(&l, AT("localhost", i), 0), 0);
		assert_int_equal(listens_add(&l, AT("localhost", i), 0), 0);
	}
	assert_int_equal(l.n, LISTENS_MAX);
	assert_int_equal(listens_add(&l, AT("localhost", 100), 0), ERR_LIMIT);
	assert_false(listens_has(&l, AT("localhost", 100)));
	assert_int_equal(listens_add(&l, AT("localhost", LISTENS_MAX), 0), 0);
	assert_true(listens_remove(&l, AT("localhost", 1)));
	assert_int_equal(listens_add(&l, AT("localhost", 100), 0), 0);
	assert_true(listens_has(&l, AT("localhost", LISTENS_MAX)));
	listens_done(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_no_pattern),
		cmocka_unit_test(test_hosts_of_the_longest_names),
		cmocka_unit_test(test_what_patterns_hold),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_what_was_listened_on),
		cmocka_unit_test(test_listening_has_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
