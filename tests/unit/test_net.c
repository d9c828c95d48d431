/* Addresses and networks: strict spellings, one form for IPv4, families kept apart. */
#include "config.h"

#include <netinet/in.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/net.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void
test_parse_refuses_what_is_not_an_address(void **state)
{
	static const char *const bad[] = { "", "localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1",
		"01.2.3.4", "[::1]", "::1%lo", "fe80::1%1", "1.2.3.4 ", ":::", "0x7f.1" };
	struct net_addr a;

	(void)state;
	memset(&a, 0x5a, sizeof(a));
	for (size_t i = 0; i < N(bad); i++)
		assert_int_equal(net_parse(bad[i], &a), ERR_FORMAT);
	for (size_t i = 0; i < sizeof(a.b); i++)
		assert_int_equal(a.b[i], 0x5a);
}

static void
test_mapped_is_the_same_as_plain(void **state)
{
	struct net_addr a, b;
	char text[NET_TEXT_SIZE];

	(void)state;
	assert_int_equal(net_parse("10.1.2.3", &a), 0);
	assert_int_equal(net_parse("::ffff:10.1.2.3", &b), 0);
	assert_true(net_same(&a, &b));
	assert_true(net_is_v4(&b));
	assert_string_equal(net_text(text, sizeof(text), &b), "10.1.2.3");
}

static void
test_port_forms(void **state)
{
	static const char *const bad[] = { "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
		"127.0.0.1:022", "::1:22", "[::1]", "[::1]22", "[::1:22", "::1]:22", "localhost:22",
		":22", "[]:22", "127.0.0.1:-1", "127.0.0.1: 22" };
	static const char *const good[] = { "127.0.0.1:2222", "[::1]:2222", "0.0.0.0:0",
		"[::]:65535", "[2001:db8::1]:22" };
	struct net_addr a;
	char text[NET_PORT_TEXT_SIZE];
	uint16_t port = 7;

	(void)state;
	for (size_t i = 0; i < N(bad); i++)
		assert_int_equal(net_parse_port(bad[i], &a, &port), ERR_FORMAT);
	assert_int_equal(port, 7);
	for (size_t i = 0; i < N(good); i++) {
		assert_int_equal(net_parse_port(good[i], &a, &port), 0);
		assert_string_equal(net_port_text(text, sizeof(text), &a, port), good[i]);
	}
}

static void
test_sockaddr_there_and_back(void **state)
{
	static const char *const texts[] = { "192.0.2.7:22", "[2001:db8::7]:2222" };
	struct sockaddr_storage sa;
	struct sockaddr other = { .sa_family = AF_UNIX };
	struct net_addr a, b;
	uint16_t p, q;

	(void)state;
	for (size_t i = 0; i < N(texts); i++) {
		assert_int_equal(net_parse_port(texts[i], &a, &p), 0);
		assert_int_equal(net_to_sockaddr(&a, p, &sa),
		    i == 0 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		assert_int_equal(net_from_sockaddr((const struct sockaddr *)&sa, &b, &q), 0);
		assert_true(net_same(&a, &b));
		assert_int_equal(p, q);
	}
	assert_int_equal(net_from_sockaddr(&other, &b, &q), ERR_FORMAT);
}

static void
test_prefix_refuses_loose_spellings(void **state)
{
	static const char *const bad[] = { "", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8",
		"10.0.0.0/08", "10/8", "::1/127", "::/129", "fe80::/-1", "/8", "10.0.0.0/8/8",
		"example.org/8" };
	struct net_prefix p;

	(void)state;
	for (size_t i = 0; i < N(bad); i++)
		assert_int_equal(net_prefix_parse(bad[i], &p), ERR_FORMAT);
}

static void
test_prefix_holds(void **state)
{
	static const struct {
		const char *net, *addr;
		bool holds;
	} rows[] = {
		{ "10.0.0.0/8", "10.255.255.255", true },
		{ "10.0.0.0/8", "11.0.0.0", false },
		{ "10.0.0.0/8", "::ffff:10.0.0.1", true },
		{ "192.0.2.128/25", "192.0.2.128", true },
		{ "192.0.2.128/25", "192.0.2.127", false },
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.2", false },
		{ "0.0.0.0/0", "255.1.2.3", true },
		{ "0.0.0.0/0", "2001:db8::1", false },
		{ "::/0", "2001:db8::1", true },
		{ "::/0", "10.0.0.1", false },
		{ "::ffff:0:0/96", "10.0.0.1", true },
		{ "::ffff:0:0/96", "::1", false },
		{ "fe80::/10", "febf::1", true },
		{ "fe80::/10", "fec0::1", false },
		{ "::1", "::1", true },
	};
	struct net_prefix p;
	struct net_addr a;

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		assert_int_equal(net_prefix_parse(rows[i].net, &p), 0);
		assert_int_equal(net_parse(rows[i].addr, &a), 0);
		assert_int_equal(net_prefix_has(&p, &a), rows[i].holds);
	}
}

static void
test_mask_by_family(void **state)
{
	struct net_addr a;
	char text[NET_TEXT_SIZE];

	(void)state;
	assert_int_equal(net_parse("192.0.2.77", &a), 0);
	net_mask(&a, 32, 64);
	assert_string_equal(net_text(text, sizeof(text), &a), "192.0.2.77");
	net_mask(&a, 20, 64);
	assert_string_equal(net_text(text, sizeof(text), &a), "192.0.0.0");
	assert_int_equal(net_parse("2001:db8:1:2:3:4:5:6", &a), 0);
	net_mask(&a, 32, 64);
	assert_string_equal(net_text(text, sizeof(text), &a), "2001:db8:1:2::");
}

static void
test_any(void **state)
{
	struct net_addr a;

	(void)state;
	assert_int_equal(net_parse("0.0.0.0", &a), 0);
	assert_true(net_is_any(&a));
	assert_int_equal(net_parse("::", &a), 0);
	assert_true(net_is_any(&a));
	assert_int_equal(net_parse("::1", &a), 0);
	assert_false(net_is_any(&a));
	assert_int_equal(net_parse("0.0.0.1", &a), 0);
	assert_false(net_is_any(&a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_refuses_what_is_not_an_address),
		cmocka_unit_test(test_mapped_is_the_same_as_plain),
		cmocka_unit_test(test_port_forms),
		cmocka_unit_test(test_sockaddr_there_and_back),
		cmocka_unit_test(test_prefix_refuses_loose_spellings),
		cmocka_unit_test(test_prefix_holds),
		cmocka_unit_test(test_mask_by_family),
		cmocka_unit_test(test_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
