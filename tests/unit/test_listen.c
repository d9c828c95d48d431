/* Listening sockets: real ports, both families apart, kept over a reload, errors with their address. */
#include "config.h"

#include <sys/socket.h>

#include <unistd.h>

#include "bastiond/broker/listen.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "tests/lib/test.h"

static struct loop *loop;
static struct settings *conf;
static struct conf_err err;
static struct wiring_peer last_peer;
static unsigned n_clients;

static int
set_up(void **state)
{
	(void)state;
	n_clients = 0;
	conf = malloc(sizeof(*conf));
	return conf == NULL || settings_default(conf, "b.yaml") != 0 || loop_new(&loop) != 0;
}

static int
tear_down(void **state)
{
	(void)state;
	free(conf);
	loop_free(loop);
	return 0;
}

static void
want(const char *const *texts, size_t n)
{
	conf->n_listen = n;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(
		    net_parse_port(texts[i], &conf->listen[i].addr, &conf->listen[i].port), 0);
}

static void
on_client(void *arg, int fd, const struct wiring_peer *peer)
{
	(void)arg;
	last_peer = *peer;
	n_clients++;
	fd_close(&fd);
}

static int
connect_to(const char *text)
{
	struct sockaddr_storage sa;
	struct net_addr a;
	uint16_t port;
	socklen_t len;
	int fd, r;

	assert_int_equal(net_parse_port(text, &a, &port), 0);
	len = net_to_sockaddr(&a, port, &sa);
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	r = connect(fd, (const struct sockaddr *)&sa, len);
	(void)close(fd);
	return r;
}

static void
run(void)
{
	for (int i = 0; i < 5; i++)
		assert_int_equal(loop_pass(loop, 20 * CLOCK_NS_PER_MS), 0);
}

static void
test_port_0_shows_the_real_port_in_both_families(void **state)
{
	static const char *const texts[] = { "127.0.0.1:0", "[::1]:0" };
	struct listen_set *set = NULL;
	char text[LISTEN_TEXT_SIZE], one[NET_PORT_TEXT_SIZE];

	(void)state;
	want(texts, 2);
	assert_int_equal(listen_open(conf, NULL, &set, &err), 0);
	listen_text(set, text, sizeof(text));
	assert_non_null(strstr(text, ",[::1]:"));
	assert_null(strstr(text, ":0"));
	assert_int_equal(listen_accept(set, loop, on_client, NULL), 0);
	for (size_t i = 0; listen_at(set, i, one, sizeof(one)); i++) {
		char local[NET_PORT_TEXT_SIZE];

		assert_int_equal(connect_to(one), 0);
		run();
		assert_int_equal(n_clients, i + 1);
		net_port_text(local, sizeof(local), &last_peer.local, last_peer.local_port);
		assert_string_equal(local, one);
		assert_true(last_peer.source_port > 0);
	}
	listen_free(set, NULL);
	assert_int_equal(connect_to(one), -1);
}

static void
test_one_port_for_both_families(void **state)
{
	struct listen_set *a = NULL, *b = NULL;
	const char *texts[] = { "127.0.0.1:0", "[::]:0" };
	char one[NET_PORT_TEXT_SIZE], both[2][NET_PORT_TEXT_SIZE];

	(void)state;
	want(texts, 1);
	assert_int_equal(listen_open(conf, NULL, &a, &err), 0);
	assert_true(listen_at(a, 0, one, sizeof(one)));
	/* [::] with the port that 127.0.0.1 has: only possible where IPv6 sockets take IPv6 alone. */
	snprintf(both[0], sizeof(both[0]), "[::]%s", strrchr(one, ':'));
	texts[0] = both[0];
	want(texts, 1);
	assert_int_equal(listen_open(conf, NULL, &b, &err), 0);
	listen_free(a, NULL);
	listen_free(b, NULL);
}

static void
test_a_busy_port_is_named(void **state)
{
	struct listen_set *a = NULL, *b = NULL;
	const char *texts[] = { "127.0.0.1:0" };
	char one[NET_PORT_TEXT_SIZE], line[200];

	(void)state;
	want(texts, 1);
	assert_int_equal(listen_open(conf, NULL, &a, &err), 0);
	assert_true(listen_at(a, 0, one, sizeof(one)));
	texts[0] = one;
	want(texts, 1);
	assert_int_equal(listen_open(conf, NULL, &b, &err), ERR_FORMAT);
	snprintf(line, sizeof(line), "b.yaml: cannot listen on %s: Address already in use", one);
	assert_string_equal(err.text, line);
	assert_null(b);
	listen_free(a, NULL);
}

static void
test_a_reload_keeps_what_stays(void **state)
{
	static const char *const before[] = { "127.0.0.1:0", "[::1]:0" };
	static const char *const after[] = { "[::1]:0", "127.0.0.2:0" };
	char kept[NET_PORT_TEXT_SIZE], gone[NET_PORT_TEXT_SIZE], now[NET_PORT_TEXT_SIZE];
	struct listen_set *a = NULL, *b = NULL;

	(void)state;
	want(before, 2);
	assert_int_equal(listen_open(conf, NULL, &a, &err), 0);
	assert_int_equal(listen_accept(a, loop, on_client, NULL), 0);
	assert_true(listen_at(a, 0, gone, sizeof(gone)) && listen_at(a, 1, kept, sizeof(kept)));
	want(after, 2);
	/* One that comes to nothing leaves the old one as it is. */
	assert_int_equal(listen_open(conf, a, &b, &err), 0);
	listen_free(b, a);
	assert_int_equal(connect_to(kept), 0);
	assert_int_equal(connect_to(gone), 0);
	run();
	assert_int_equal(n_clients, 2);
	assert_int_equal(listen_open(conf, a, &b, &err), 0);
	assert_true(listen_at(b, 0, now, sizeof(now)));
	assert_string_equal(now, kept);
	/* Who connects while it changes is not lost. */
	assert_int_equal(connect_to(kept), 0);
	listen_free(a, b);
	assert_int_equal(listen_accept(b, loop, on_client, NULL), 0);
	run();
	assert_int_equal(n_clients, 3);
	assert_int_equal(connect_to(gone), -1);
	assert_int_equal(connect_to(kept), 0);
	run();
	assert_int_equal(n_clients, 4);
	listen_free(b, NULL);
}

static void
test_our_own_addresses(void **state)
{
	static const char *const texts[] = { "127.0.0.1:0", "0.0.0.0:0" };
	char own[WIRING_OWN_MAX][NET_PORT_TEXT_SIZE], one[NET_PORT_TEXT_SIZE], wanted[80];
	struct listen_set *set = NULL;
	bool found = false;
	size_t n;

	(void)state;
	want(texts, 2);
	assert_int_equal(listen_open(conf, NULL, &set, &err), 0);
	n = listen_own(set, own);
	assert_true(n >= 3);
	assert_int_equal(strncmp(own[0], "127.0.0.1:", 10), 0);
	assert_int_equal(strncmp(own[1], "0.0.0.0:", 8), 0);
	/* The wildcard stands for loopback too. */
	assert_true(listen_at(set, 1, one, sizeof(one)));
	snprintf(wanted, sizeof(wanted), "127.0.0.1:%s", strrchr(one, ':') + 1);
	for (size_t i = 2; i < n; i++)
		found |= strcmp(own[i], wanted) == 0;
	assert_true(found);
	listen_free(set, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_port_0_shows_the_real_port_in_both_families, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_port_for_both_families, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_busy_port_is_named, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_reload_keeps_what_stays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_our_own_addresses, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
