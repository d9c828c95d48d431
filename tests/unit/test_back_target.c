/* What a back is told, where it may connect, which host keys it asks for: without a loop. */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#include "bastiond/back/back.h"
#include "lib/clock.h"
#include "tests/lib/test.h"
#include "tests/unit/mux_rig.h"

/* A grant for web1, and all that goes with it; own and denied are one entry each. */
struct told {
	const char *address, *own, *denied;
	uint32_t port;
	uint8_t resolve;
	const char *pin; /* type of the one pinned key; NULL: none */
	uint32_t n_cas;
};

static struct buf *
make(const struct told *t)
{
	struct buf *g = buf_new(4096), *b = buf_new(8192), *k = buf_new(256);
	int r = g == NULL || b == NULL || k == NULL;

	assert_int_equal(r, 0);
	if (t->pin != NULL)
		r |= buf_put_cstr(k, t->pin) | buf_put_cstr(k, "public");
	r |= buf_put_cstr(g, "web1") | buf_put_cstr(g, t->address) | buf_put_u32(g, t->port) |
	     buf_put_u8(g, t->resolve) | buf_put_cstr(g, "root") | buf_put_u32(g, t->pin != NULL);
	if (t->pin != NULL)
		r |= buf_put_str(g, buf_ptr(k), buf_len(k));
	r |= buf_put_u32(g, t->n_cas);
	for (uint32_t i = 0; i < t->n_cas; i++)
		r |= buf_put_cstr(g, "a CA");
	r |= buf_put_u64(g, 7 * CLOCK_NS_PER_S);
	r |= buf_put_str(b, buf_ptr(g), buf_len(g)) | buf_put_u32(b, 1) | buf_put_cstr(b, t->own) |
	     buf_put_u32(b, 1) | buf_put_cstr(b, t->denied) | buf_put_u64(b, 30 * CLOCK_NS_PER_S) |
	     buf_put_u32(b, 3) | buf_put_u64(b, 5 * CLOCK_NS_PER_S) |
	     buf_put_u64(b, 9 * CLOCK_NS_PER_S);
	assert_int_equal(r, 0);
	buf_free(g);
	buf_free(k);
	return b;
}

static const struct told usual = { .address = "10.0.0.1",
	.own = "192.0.2.1:2222",
	.denied = "169.254.0.0/16",
	.port = 22,
	.pin = "ssh-ed25519" };

static void
plan_of(struct back_plan *p, const struct told *t)
{
	struct buf *b = make(t);

	assert_int_equal(back_plan_parse(p, buf_ptr(b), buf_len(b)), 0);
	buf_free(b);
}

/* The plan. */

static void
test_a_plan_is_what_it_was_told(void **state)
{
	struct back_plan p;

	(void)state;
	plan_of(&p, &usual);
	assert_string_equal(p.host, "web1");
	assert_string_equal(p.address, "10.0.0.1");
	assert_string_equal(p.login, "root");
	assert_int_equal(p.port, 22);
	assert_false(p.resolve);
	assert_int_equal(p.n_pins, 1);
	assert_int_equal(p.n_own, 1);
	assert_int_equal(p.own[0].port, 2222);
	assert_int_equal(p.n_denied, 1);
	/* The shorter of the two. */
	assert_true(p.timeout_ns == 5 * CLOCK_NS_PER_S);
	assert_true(p.close_ns == 9 * CLOCK_NS_PER_S);
	assert_true(p.alive_ns == 30 * CLOCK_NS_PER_S);
	assert_int_equal(p.missed_max, 3);
	back_plan_done(&p);
}

static void
test_a_plan_cut_short_is_none(void **state)
{
	struct buf *b = make(&usual);
	struct back_plan p;

	(void)state;
	for (size_t n = 0; n < buf_len(b); n++) {
		assert_int_equal(back_plan_parse(&p, buf_ptr(b), n), ERR_FORMAT);
		back_plan_done(&p);
	}
	assert_int_equal(buf_put_u8(b, 0), 0);
	assert_int_equal(back_plan_parse(&p, buf_ptr(b), buf_len(b)), ERR_FORMAT);
	back_plan_done(&p);
	buf_free(b);
}

static void
test_a_plan_with_impossible_values_is_none(void **state)
{
	struct told bad[] = { usual, usual, usual, usual, usual };
	struct back_plan p;

	(void)state;
	bad[0].port = 0;
	bad[1].port = 65536;
	bad[2].resolve = 2;
	bad[3].own = "192.0.2.1";
	bad[4].denied = "169.254.0.1/16";
	for (size_t i = 0; i < N_OF(bad); i++) {
		struct buf *b = make(&bad[i]);

		assert_int_equal(back_plan_parse(&p, buf_ptr(b), buf_len(b)), ERR_FORMAT);
		back_plan_done(&p);
		buf_free(b);
	}
}

/* Addresses. */

static int
judge(const struct told *t, const char *address)
{
	const char *why = NULL;
	struct back_plan p;
	struct net_addr a;
	int r;

	plan_of(&p, t);
	assert_int_equal(net_parse(address, &a), 0);
	r = back_addr_check(&p, &a, &why);
	assert_true((r != 0) == (why != NULL));
	back_plan_done(&p);
	return r;
}

static void
test_some_addresses_are_no_hosts_however_they_are_given(void **state)
{
	static const char *const never[] = { "0.0.0.0", "::", "224.0.0.1", "239.255.255.255",
		"255.255.255.255", "ff02::1", "::ffff:0.0.0.0", "::ffff:224.0.0.1",
		"64:ff9b::224.0.0.1", "64:ff9b::0.0.0.0", "2002:e000:1::1" };
	struct told t = usual;

	(void)state;
	for (size_t i = 0; i < N_OF(never); i++) {
		t.resolve = 0;
		assert_int_equal(judge(&t, never[i]), ERR_DENIED);
		t.resolve = 1;
		assert_int_equal(judge(&t, never[i]), ERR_DENIED);
	}
}

static void
test_denied_networks_hold_for_names_in_every_spelling(void **state)
{
	static const char *const inside[] = { "169.254.169.254", "::ffff:169.254.169.254",
		"64:ff9b::169.254.169.254", "::169.254.169.254", "2002:a9fe:a9fe::1" };
	struct told t = usual;

	(void)state;
	for (size_t i = 0; i < N_OF(inside); i++) {
		t.resolve = 1;
		assert_int_equal(judge(&t, inside[i]), ERR_DENIED);
		/* who writes the address into the inventory means it */
		t.resolve = 0;
		assert_int_equal(judge(&t, inside[i]), 0);
	}
	t.resolve = 1;
	assert_int_equal(judge(&t, "169.253.0.1"), 0);
	assert_int_equal(judge(&t, "2001:db8::1"), 0);
	assert_int_equal(judge(&t, "::1"), 0);
	t.denied = "::1";
	assert_int_equal(judge(&t, "::1"), ERR_DENIED);
	t.denied = "::/0";
	assert_int_equal(judge(&t, "10.0.0.1"), 0);
	assert_int_equal(judge(&t, "2001:db8::1"), ERR_DENIED);
}

static void
test_the_bastion_itself_is_no_target(void **state)
{
	struct told t = usual;

	(void)state;
	t.own = "127.0.0.1:2222";
	t.port = 2222;
	assert_int_equal(judge(&t, "127.0.0.1"), ERR_DENIED);
	assert_int_equal(judge(&t, "::ffff:127.0.0.1"), ERR_DENIED);
	assert_int_equal(judge(&t, "64:ff9b::127.0.0.1"), ERR_DENIED);
	assert_int_equal(judge(&t, "127.0.0.2"), 0);
	t.port = 22;
	assert_int_equal(judge(&t, "127.0.0.1"), 0);
	t.own = "0.0.0.0:2222";
	t.port = 2222;
	assert_int_equal(judge(&t, "127.8.8.8"), ERR_DENIED);
	t.own = "[::]:2222";
	assert_int_equal(judge(&t, "::1"), ERR_DENIED);
	assert_int_equal(judge(&t, "127.0.0.1"), ERR_DENIED);
	assert_int_equal(judge(&t, "192.0.2.1"), 0);
}

static void
test_an_address_of_this_machine_shows_once_connected(void **state)
{
	struct told t = usual;
	struct net_addr a, b;
	struct back_plan p;

	(void)state;
	assert_int_equal(net_parse("192.0.2.7", &a), 0);
	assert_int_equal(net_parse("192.0.2.8", &b), 0);
	t.own = "[::]:22";
	plan_of(&p, &t);
	assert_int_equal(back_addr_check_own(&p, &a, &a), ERR_DENIED);
	assert_int_equal(back_addr_check_own(&p, &a, &b), 0);
	p.port = 23;
	assert_int_equal(back_addr_check_own(&p, &a, &a), 0);
	back_plan_done(&p);
	t.own = "192.0.2.1:22";
	plan_of(&p, &t);
	assert_int_equal(back_addr_check_own(&p, &a, &a), 0);
	back_plan_done(&p);
}

/* Connecting. */

static int
listen_on(uint16_t *ret_port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(sin);

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	*ret_port = ntohs(sin.sin_port);
	return fd;
}

static int
try_connect(const struct told *t, int stop_fd, char *why, size_t size, char *where)
{
	struct back_plan p;
	int fd = -1, r;

	plan_of(&p, t);
	p.timeout_ns = 300 * CLOCK_NS_PER_MS;
	r = back_connect(&p, stop_fd, &fd, where, NET_PORT_TEXT_SIZE, why, size);
	assert_true((r == 0) == (fd >= 0));
	if (fd >= 0) {
		assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
		close(fd);
	}
	back_plan_done(&p);
	return r;
}

static void
test_a_listening_host_is_reached(void **state)
{
	char why[200], where[NET_PORT_TEXT_SIZE], want[NET_PORT_TEXT_SIZE];
	struct told t = usual;
	uint16_t port;
	int fd = listen_on(&port);

	(void)state;
	assert_int_equal(listen(fd, 4), 0);
	t.address = "127.0.0.1";
	t.port = port;
	assert_int_equal(try_connect(&t, -1, why, sizeof(why), where), 0);
	(void)snprintf(want, sizeof(want), "127.0.0.1:%u", port);
	assert_string_equal(where, want);
	/* By name: ::1 refuses, 127.0.0.1 answers. */
	t.address = "localhost";
	t.resolve = 1;
	assert_int_equal(try_connect(&t, -1, why, sizeof(why), where), 0);
	assert_string_equal(where, want);
	close(fd);
}

static void
test_a_host_that_refuses_or_is_silent_is_named(void **state)
{
	char why[200], where[NET_PORT_TEXT_SIZE];
	struct told t = usual;
	uint16_t port;
	int fd = listen_on(&port), fill[8];

	(void)state;
	t.address = "127.0.0.1";
	t.port = port;
	assert_int_equal(try_connect(&t, -1, why, sizeof(why), where), -ECONNREFUSED);
	assert_string_equal(why, "web1: connection refused");
	/* A full queue of a listener that takes nobody answers nothing. */
	assert_int_equal(listen(fd, 0), 0);
	for (size_t i = 0; i < N_OF(fill); i++) {
		struct sockaddr_in sin = { .sin_family = AF_INET,
			.sin_port = htons(port),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (connect(fill[i], (struct sockaddr *)&sin, sizeof(sin)) != 0)
			assert_int_equal(errno, EINPROGRESS);
	}
	assert_int_equal(try_connect(&t, -1, why, sizeof(why), where), -ETIMEDOUT);
	assert_string_equal(why, "web1: no answer in time");
	for (size_t i = 0; i < N_OF(fill); i++)
		close(fill[i]);
	close(fd);
}

static void
test_denied_addresses_are_not_even_tried(void **state)
{
	char why[200], where[NET_PORT_TEXT_SIZE];
	struct told t = usual;
	uint16_t port;
	int fd = listen_on(&port);

	(void)state;
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	t.address = "localhost";
	t.resolve = 1;
	t.port = port;
	t.denied = "127.0.0.0/8";
	assert_true(try_connect(&t, -1, why, sizeof(why), where) != 0);
	t.address = "127.0.0.1";
	assert_int_equal(try_connect(&t, -1, why, sizeof(why), where), ERR_DENIED);
	assert_string_equal(why, "web1: its address is in a denied network");
	assert_int_equal(accept(fd, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
	close(fd);
}

static void
test_connecting_stops_when_the_broker_is_gone(void **state)
{
	char why[200], where[NET_PORT_TEXT_SIZE];
	struct told t = usual;
	uint16_t port;
	int fd = listen_on(&port), pair[2], fill[8];

	(void)state;
	assert_int_equal(listen(fd, 0), 0);
	for (size_t i = 0; i < N_OF(fill); i++) {
		struct sockaddr_in sin = { .sin_family = AF_INET,
			.sin_port = htons(port),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (connect(fill[i], (struct sockaddr *)&sin, sizeof(sin)) != 0)
			assert_int_equal(errno, EINPROGRESS);
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	close(pair[0]);
	t.address = "127.0.0.1";
	t.port = port;
	assert_int_equal(try_connect(&t, pair[1], why, sizeof(why), where), ERR_PEER_GONE);
	close(pair[1]);
	for (size_t i = 0; i < N_OF(fill); i++)
		close(fill[i]);
	close(fd);
}

/* Host keys. */

static void
test_the_target_is_asked_for_what_is_pinned(void **state)
{
	static const struct {
		const char *pin;
		uint32_t cas;
		const char *first, *last;
	} rows[] = {
		{ "ssh-ed25519", 0, "ssh-ed25519", "ssh-ed25519" },
		{ "ssh-rsa", 0, "rsa-sha2-512,rsa-sha2-256", "rsa-sha2-256" },
		{ "ecdsa-sha2-nistp384", 0, "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384" },
		{ "ssh-dss", 0, "", "" },
		{ NULL, 1, "ssh-ed25519-cert-v01@openssh.com",
		    "rsa-sha2-256-cert-v01@openssh.com" },
		{ "ssh-rsa", 1, "ssh-ed25519-cert-v01@openssh.com", "rsa-sha2-512,rsa-sha2-256" },
	};
	struct told t = usual;

	(void)state;
	for (size_t i = 0; i < N_OF(rows); i++) {
		struct back_plan p;
		char *algs;
		size_t n;

		t.pin = rows[i].pin;
		t.n_cas = rows[i].cas;
		plan_of(&p, &t);
		algs = back_host_algs(&p);
		assert_non_null(algs);
		n = strlen(algs);
		assert_memory_equal(algs, rows[i].first, strlen(rows[i].first));
		assert_true(n >= strlen(rows[i].last));
		assert_string_equal(algs + n - strlen(rows[i].last), rows[i].last);
		free(algs);
		back_plan_done(&p);
	}
}

static struct rd_str
blob(const char *type, const char *rest)
{
	size_t len;
	const uint8_t *p = rig_bytes(&len, "ss", type, rest);

	return (struct rd_str){ p, len };
}

static void
test_only_the_very_key_is_pinned(void **state)
{
	struct told t = usual;
	struct back_plan p;
	char why[600];

	(void)state;
	plan_of(&p, &t);
	assert_true(back_host_is_pinned(&p, blob("ssh-ed25519", "public"), why, sizeof(why)));
	assert_false(back_host_is_pinned(&p, blob("ssh-ed25519", "publi"), why, sizeof(why)));
	assert_false(back_host_is_pinned(&p, blob("ssh-ed25519", "public "), why, sizeof(why)));
	assert_false(back_host_is_pinned(&p, blob("ssh-rsa", "public"), why, sizeof(why)));
	assert_false(back_host_is_pinned(
	    &p, blob("ssh-ed25519-cert-v01@openssh.com", "public"), why, sizeof(why)));
	assert_false(back_host_is_pinned(&p, (struct rd_str){ NULL, 0 }, why, sizeof(why)));
	back_plan_done(&p);
	/* With a CA, a certificate is for the vault to judge; a plain key is still not pinned. */
	t.pin = NULL;
	t.n_cas = 1;
	plan_of(&p, &t);
	assert_true(back_host_is_pinned(
	    &p, blob("ssh-ed25519-cert-v01@openssh.com", "public"), why, sizeof(why)));
	assert_false(back_host_is_pinned(&p, blob("ssh-ed25519", "public"), why, sizeof(why)));
	assert_non_null(strstr(why, "expected none"));
	assert_false(back_host_is_pinned(&p, blob("-cert-v01@openssh.com", ""), why, sizeof(why)));
	back_plan_done(&p);
}

/* The vault's answers to the proof. */

static int
bind_with(const void *answer, size_t len, bool close_after)
{
	const struct rd_str s = { (const uint8_t *)"x", 1 };
	int pair[2], r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(write(pair[0], answer, len), len);
	if (close_after)
		shutdown(pair[0], SHUT_WR);
	r = back_host_bind(pair[1], s, s, s);
	close(pair[0]);
	close(pair[1]);
	return r;
}

static void
test_only_a_success_of_the_vault_is_one(void **state)
{
	static const uint8_t huge[] = { 0xff, 0xff, 0xff, 0xff, 6 };

	(void)state;
	assert_int_equal(bind_with("\0\0\0\1\6", 5, false), 0);
	assert_int_equal(bind_with("\0\0\0\1\5", 5, false), ERR_DENIED);
	assert_int_equal(bind_with("\0\0\0\1\34", 5, false), ERR_DENIED);
	assert_int_equal(bind_with("\0\0\0\0", 4, false), ERR_FORMAT);
	assert_int_equal(bind_with(huge, sizeof(huge), false), ERR_FORMAT);
	assert_int_equal(bind_with("\0\0\0\2\6", 5, true), ERR_PEER_GONE);
	assert_int_equal(bind_with("\0\0", 2, true), ERR_PEER_GONE);
	assert_int_equal(bind_with("", 0, true), ERR_PEER_GONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_plan_is_what_it_was_told),
		cmocka_unit_test(test_a_plan_cut_short_is_none),
		cmocka_unit_test(test_a_plan_with_impossible_values_is_none),
		cmocka_unit_test(test_some_addresses_are_no_hosts_however_they_are_given),
		cmocka_unit_test(test_denied_networks_hold_for_names_in_every_spelling),
		cmocka_unit_test(test_the_bastion_itself_is_no_target),
		cmocka_unit_test(test_an_address_of_this_machine_shows_once_connected),
		cmocka_unit_test(test_a_listening_host_is_reached),
		cmocka_unit_test(test_a_host_that_refuses_or_is_silent_is_named),
		cmocka_unit_test(test_denied_addresses_are_not_even_tried),
		cmocka_unit_test(test_connecting_stops_when_the_broker_is_gone),
		cmocka_unit_test(test_the_target_is_asked_for_what_is_pinned),
		cmocka_unit_test(test_only_the_very_key_is_pinned),
		cmocka_unit_test(test_only_a_success_of_the_vault_is_one),
	};

	if (hash_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
