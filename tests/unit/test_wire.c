/* One wire and its owner: states, limits, hostile and broken peers. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "bastiond/ssh/wire_pair.h"
#include "bastiond/ssh/wire_priv.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const struct wire_conf none;

static struct wire_pair *
pair(const struct wire_conf *server, const struct wire_conf *client)
{
	struct wire_pair *p = NULL;

	assert_int_equal(wire_pair_new(server, client, &p), 0);
	return p;
}

static struct wire_pair *
logged_in(const struct wire_conf *server, const struct wire_conf *client)
{
	struct wire_pair *p = pair(server, client);

	assert_true(wire_pair_login(p));
	return p;
}

static void
test_selftest_passes_with_this_libssh(void **state)
{
	char err[128] = "";

	(void)state;
	assert_int_equal(wire_selftest(err, sizeof(err)), 0);
	assert_string_equal(err, "");
}

static void
test_send_before_ready_is_refused(void **state)
{
	static const uint8_t msg[] = { 2, 0, 0, 0, 0 };
	struct wire_pair *p = pair(&none, &none);

	(void)state;
	assert_int_equal(wire_send(p->server.w, msg, sizeof(msg)), ERR_ORDER);
	assert_int_equal(wire_send(p->client.w, msg, sizeof(msg)), ERR_ORDER);
	assert_int_equal(wire_accept_user(p->server.w), ERR_ORDER);
	assert_int_equal(wire_login(p->client.w, "root", dup(0)), ERR_ORDER);
	assert_string_equal(wire_algorithms(p->server.w), "");
	assert_string_equal(wire_peer_version(p->server.w), "");
	assert_true(wire_pair_up(p)); /* and nothing was spoilt */
	wire_pair_free(p);
}

static void
test_send_refuses_types_that_are_not_the_owners(void **state)
{
	static const uint8_t never[] = { 0, 1, 5, 7, 19, 20, 21, 30, 31, 49 };
	static const uint8_t client_never[] = { 6, 50, 60, 79 };
	struct wire_pair *p = pair(&none, &none);
	uint8_t msg[5] = { 0 };

	(void)state;
	assert_true(wire_pair_up(p));
	msg[0] = 90;
	assert_int_equal(wire_send(p->client.w, msg, sizeof(msg)), ERR_ORDER);
	assert_int_equal(wire_send(p->server.w, msg, sizeof(msg)), ERR_ORDER);
	assert_true(wire_pair_login(p));
	for (size_t i = 0; i < N(never); i++) {
		msg[0] = never[i];
		assert_int_equal(wire_send(p->client.w, msg, sizeof(msg)), ERR_ORDER);
		assert_int_equal(wire_send(p->server.w, msg, sizeof(msg)), ERR_ORDER);
	}
	for (size_t i = 0; i < N(client_never); i++) {
		msg[0] = client_never[i];
		assert_int_equal(wire_send(p->client.w, msg, sizeof(msg)), ERR_ORDER);
	}
	assert_int_equal(wire_send(p->client.w, msg, 0), ERR_ORDER);
	assert_int_equal(p->client.n_end + p->server.n_end, 0);
	wire_pair_free(p);
}

static void
test_send_refuses_what_is_too_long(void **state)
{
	struct wire_pair *p = logged_in(&none, &none);
	uint8_t *msg = calloc(1, WIRE_MESSAGE_MAX + 1);

	(void)state;
	assert_non_null(msg);
	msg[0] = 94;
	assert_int_equal(wire_send(p->client.w, msg, WIRE_MESSAGE_MAX + 1), ERR_LIMIT);
	assert_int_equal(wire_send2(p->client.w, msg, 9, msg, WIRE_MESSAGE_MAX - 8), ERR_LIMIT);
	assert_int_equal(wire_send2(p->client.w, msg, 9, msg, SIZE_MAX), ERR_LIMIT);
	assert_int_equal(wire_send(p->client.w, msg, WIRE_MESSAGE_MAX), 0);
	assert_true(wire_pair_until(p, &p->server.n_message, 3));
	assert_int_equal(buf_len(p->server.got), 4 + WIRE_MESSAGE_MAX);
	free(msg);
	wire_pair_free(p);
}

static void
test_nothing_follows_the_end(void **state)
{
	static const uint8_t msg[] = { 94, 0 };
	struct wire_pair *p = logged_in(&none, &none);
	bool again;

	(void)state;
	assert_int_equal(wire_send(p->server.w, msg, sizeof(msg)), 0);
	wire_disconnect(p->client.w, 11, "enough");
	assert_int_equal(p->client.n_end, 1);
	assert_int_equal(p->client.end_err, 0);
	assert_int_equal(wire_send(p->client.w, msg, sizeof(msg)), ERR_ORDER);
	assert_true(wire_io(p->client.w, POLLIN | POLLOUT, &again) < 0);
	assert_true(wire_flush(p->client.w) < 0);
	wire_disconnect(p->client.w, 11, "again");
	assert_int_equal(wire_events(p->client.w), 0);
	assert_int_equal(p->client.n_end, 1);
	assert_int_equal(p->client.n_message, 0);
	assert_true(wire_pair_until(p, &p->server.n_end, 1));
	assert_int_equal(wire_send(p->server.w, msg, sizeof(msg)), ERR_ORDER);
	wire_pair_free(p);
}

static void
test_accepting_happens_once(void **state)
{
	struct wire_pair *p = logged_in(&none, &none);

	(void)state;
	assert_int_equal(wire_accept_user(p->server.w), ERR_ORDER);
	assert_int_equal(wire_accept_user(p->client.w), ERR_ORDER);
	assert_int_equal(wire_login(p->server.w, "root", dup(0)), ERR_ORDER);
	assert_int_equal(wire_login(p->client.w, "root", dup(0)), ERR_ORDER);
	wire_pair_free(p);
}

static void
test_new_refuses_algorithms_that_are_not_for_us(void **state)
{
	static const struct wire_conf bad[] = { { .kex = "diffie-hellman-group-exchange-sha256" },
		{ .kex = "diffie-hellman-group14-sha1" }, { .kex = "curve25519-sha256," },
		{ .kex = "" }, { .kex = ",curve25519-sha256" }, { .ciphers = "aes128-cbc" },
		{ .ciphers = "3des-cbc" }, { .ciphers = "none" },
		{ .ciphers = "aes256-ctr,aes128-cbc" }, { .macs = "hmac-sha1" },
		{ .macs = "hmac-md5" }, { .macs = "none" } };
	static const char *const host[] = { "ssh-rsa", "ssh-dss", "", "ssh-ed25519,",
		"ssh-ed25519,ssh-rsa", "ssh-rsa-cert-v01@openssh.com", "x509v3-ssh-rsa" };
	struct wire_pair *p = NULL;
	struct wire_conf conf = { 0 };

	(void)state;
	for (size_t i = 0; i < N(bad); i++) {
		assert_int_equal(wire_pair_new(&bad[i], &none, &p), ERR_ORDER);
		assert_int_equal(wire_pair_new(&none, &bad[i], &p), ERR_ORDER);
	}
	for (size_t i = 0; i < N(host); i++) {
		conf.host_key_algs = host[i];
		assert_int_equal(wire_pair_new(&none, &conf, &p), ERR_ORDER);
	}
	assert_null(p);
}

static void
test_new_refuses_a_malformed_host_key(void **state)
{
	static const uint8_t good[51] = { 0, 0, 0, 11, 's', 's', 'h', '-', 'e', 'd', '2', '5', '5',
		'1', '9', 0, 0, 0, 32 };
	static const struct wire_ops ops;
	uint8_t bad[52];
	struct wire_conf conf = { .role = WIRE_SERVER, .host_key = bad };
	struct wire *w = NULL;

	(void)state;
	memcpy(bad, good, sizeof(good));
	for (conf.host_key_len = 0; conf.host_key_len < sizeof(good); conf.host_key_len++)
		assert_int_equal(wire_new(&conf, -1, &ops, NULL, &w), ERR_ORDER);
	conf.host_key_len = sizeof(bad); /* one byte too many */
	assert_int_equal(wire_new(&conf, -1, &ops, NULL, &w), ERR_ORDER);
	conf.host_key_len = sizeof(good);
	bad[4] = 'S';
	assert_int_equal(wire_new(&conf, -1, &ops, NULL, &w), ERR_ORDER);
	assert_null(w);
}

static int
new_with_cert(const struct wire_pair *p, const uint8_t *cert, size_t len)
{
	struct wire_conf conf = { .role = WIRE_SERVER,
		.host_key = p->host_key,
		.host_key_len = sizeof(p->host_key),
		.host_cert = cert,
		.host_cert_len = len };
	static const struct wire_ops quiet;
	struct wire *w = NULL;
	int fds[2], r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	r = wire_new(&conf, fds[0], &quiet, NULL, &w);
	if (r == 0)
		wire_free(w);
	else
		close(fds[0]);
	close(fds[1]);
	return r;
}

static void
test_new_refuses_a_certificate_of_another_key(void **state)
{
	struct wire_pair *p = NULL;
	uint8_t cert[320];
	size_t len;

	(void)state;
	assert_int_equal(wire_pair_prepare(&p), 0);
	p->certify = true;
	assert_int_equal(wire_pair_start(p, &none, &none), 0);
	len = p->host_cert_len;
	memcpy(cert, p->host_cert, len);
	assert_int_equal(new_with_cert(p, cert, len), 0);
	for (size_t n = 0; n < 4 + 32 + 4 + 32 + 4 + 32; n++)
		assert_int_equal(new_with_cert(p, cert, n), ERR_ORDER);
	cert[4] ^= 1; /* the type */
	assert_int_equal(new_with_cert(p, cert, len), ERR_ORDER);
	cert[4] ^= 1;
	cert[4 + 32 + 4 + 32 + 4] ^= 1; /* the key in it */
	assert_int_equal(new_with_cert(p, cert, len), ERR_ORDER);
	wire_pair_free(p);
}

/* Who does not ask for certificates gets the plain key of a server that has one. */
static void
test_a_certificate_is_shown_to_who_asks(void **state)
{
	static const struct {
		const char *asks, *agreed;
	} cases[] = {
		{ "ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519-cert-v01@openssh.com" },
		{ "rsa-sha2-512,ssh-ed25519-cert-v01@openssh.com,ssh-ed25519",
		    "ssh-ed25519-cert-v01@openssh.com" },
		{ "ssh-ed25519,ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519" },
		{ "ssh-ed25519", "ssh-ed25519" },
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		struct wire_conf server = { 0 }, client = { .host_key_algs = cases[i].asks };
		bool plain = strcmp(cases[i].agreed, "ssh-ed25519") == 0;
		struct wire_pair *p = NULL;
		size_t len;

		assert_int_equal(wire_pair_prepare(&p), 0);
		p->certify = true;
		assert_int_equal(wire_pair_start(p, &server, &client), 0);
		len = p->host_cert_len;
		if (plain)
			p->host_cert_len = 0; /* what the client is to see */
		assert_true(wire_pair_up(p));
		assert_int_equal(p->client.n_proof, 1);
		assert_non_null(strstr(wire_algorithms(p->server.w), cases[i].agreed));
		assert_non_null(strstr(wire_algorithms(p->client.w), cases[i].agreed));
		p->host_cert_len = len;
		wire_pair_free(p);
	}
}

static void
test_every_cipher_and_mac_talks(void **state)
{
	static const char *const ciphers[] = { "chacha20-poly1305@openssh.com",
		"aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes192-ctr",
		"aes128-ctr" };
	static const char *const macs[] = { "hmac-sha2-256-etm@openssh.com",
		"hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512" };
	struct wire_conf conf = { 0 };
	struct wire_pair *p;

	(void)state;
	for (size_t i = 0; i < N(ciphers); i++) {
		for (size_t j = 0; j < N(macs); j++) {
			conf.ciphers = ciphers[i];
			conf.macs = macs[j];
			p = logged_in(&conf, &conf);
			assert_non_null(strstr(wire_algorithms(p->server.w), ciphers[i]));
			if (i > 2)
				assert_non_null(strstr(wire_algorithms(p->server.w), macs[j]));
			wire_pair_free(p);
		}
	}
}

static void
test_every_key_exchange_talks(void **state)
{
	static const char *const kex[] = { "curve25519-sha256", "curve25519-sha256@libssh.org",
		"ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521",
		"diffie-hellman-group14-sha256", "diffie-hellman-group16-sha512" };
	struct wire_conf conf = { 0 };
	struct wire_pair *p = NULL;

	(void)state;
	for (size_t i = 0; i < N(kex); i++) {
		conf.kex = kex[i];
		p = logged_in(&conf, &conf);
		assert_true(strncmp(wire_algorithms(p->client.w), kex[i], strlen(kex[i])) == 0);
		wire_pair_free(p);
		p = pair(&none, &conf); /* only curve25519 unless asked */
		wire_pair_rest(p);
		assert_int_equal(p->client.n_ready, i < 2 ? 1 : 0);
		assert_int_equal(p->client.n_end, i < 2 ? 0 : 1);
		wire_pair_free(p);
	}
}

static void
test_a_refused_signature_ends_the_key_exchange(void **state)
{
	struct wire_pair *p = pair(&none, &none);

	(void)state;
	p->server.answer_err = ERR_DENIED;
	assert_true(wire_pair_until(p, &p->server.n_end, 1));
	assert_int_equal(p->server.end_err, ERR_DENIED);
	assert_int_equal(p->server.n_ready, 0);
	assert_int_equal(p->client.n_proof, 0);
	wire_pair_free(p);
}

static void
test_a_refused_host_key_ends_before_anything_is_sent(void **state)
{
	struct wire_pair *p = pair(&none, &none);

	(void)state;
	p->client.answer_err = ERR_DENIED;
	assert_true(wire_pair_until(p, &p->client.n_end, 1));
	assert_int_equal(p->client.end_err, ERR_DENIED);
	assert_int_equal(p->client.n_proof, 1);
	assert_int_equal(p->client.n_ready, 0);
	wire_pair_rest(p);
	assert_int_equal(p->server.n_message, 0);
	wire_pair_free(p);
}

static void
test_a_signature_of_another_key_is_found(void **state)
{
	struct wire_pair *p = pair(&none, &none), *other = pair(&none, &none);
	void *key = p->key;

	(void)state;
	p->key = other->key;
	assert_true(wire_pair_until(p, &p->client.n_end, 1));
	assert_int_equal(p->client.end_err, ERR_SIGNATURE);
	assert_int_equal(p->client.n_proof, 0);
	p->key = key;
	wire_pair_free(other);
	wire_pair_free(p);
}

static void
test_another_host_key_in_a_later_key_exchange_ends_it(void **state)
{
	struct wire_pair *p = logged_in(&none, &none);

	(void)state;
	p->client.w->first_key.p[20] ^= 1;
	assert_int_equal(wire_libssh_rekey(p->client.w), 0);
	assert_true(wire_pair_until(p, &p->client.n_end, 1));
	assert_int_equal(p->client.end_err, ERR_SIGNATURE);
	assert_int_equal(p->client.n_proof, 1);
	wire_pair_free(p);
}

/* CVE-2023-48795: a target under chacha20-poly1305 must do strict key exchange; AES-GCM is not concerned. */
static void
test_chacha20_needs_a_target_with_strict_key_exchange(void **state)
{
	static const char *const ciphers[] = { "chacha20-poly1305@openssh.com",
		"aes128-gcm@openssh.com" };
	struct wire_conf conf = { 0 };
	struct wire_pair *p;

	(void)state;
	for (size_t i = 0; i < N(ciphers); i++) {
		conf.ciphers = ciphers[i];
		p = pair(&conf, &conf);
		for (int j = 0; j < 100 && p->client.w->host_alg[0] == '\0'; j++)
			wire_pair_turn(p);
		assert_true(p->client.w->strict);
		p->client.w->strict = false; /* as if the target's KEXINIT had not said it */
		wire_pair_rest(p);
		assert_int_equal(p->client.n_end, i == 0 ? 1 : 0);
		assert_int_equal(p->client.n_ready, i == 0 ? 0 : 1);
		if (i == 0)
			assert_int_equal(p->client.end_err, ERR_DENIED);
		else
			assert_non_null(strstr(wire_algorithms(p->client.w), " no-strict-kex"));
		wire_pair_free(p);
	}
}

/* Whatever is cut or flipped during the key exchange: both never believe to be connected by different means. */
static void
test_flips_in_the_key_exchange(void **state)
{
	struct wire_pair *p;
	unsigned both = 0;

	(void)state;
	for (uint64_t at = 0; at < 1300; at += 13) {
		p = pair(&none, &none);
		p->flip_up = at < 650 ? at : UINT64_MAX;
		p->flip_down = at < 650 ? UINT64_MAX : at - 650;
		wire_pair_rest(p);
		if (p->server.n_ready > 0 && p->client.n_ready > 0) {
			assert_memory_equal(p->server.session_id, p->client.session_id, 32);
			both++; /* random padding of a plain packet is all that may change unseen */
		}
		assert_true(p->server.n_end <= 1 && p->client.n_end <= 1);
		wire_pair_free(p);
	}
	assert_true(both < 20);
}

static void
test_a_stream_cut_anywhere_ends_both(void **state)
{
	struct wire_pair *p;
	uint64_t at;

	(void)state;
	for (at = 0; at < 1000; at += 17) {
		p = pair(&none, &none);
		while (p->up + p->down < at && p->client.n_ready == 0)
			wire_pair_turn(p);
		close(p->server_fd);
		close(p->client_fd);
		p->server_fd = p->client_fd = -1;
		assert_true(wire_pair_until(p, &p->server.n_end, 1));
		assert_true(wire_pair_until(p, &p->client.n_end, 1));
		assert_int_equal(p->server.end_err, ERR_PEER_GONE);
		assert_int_equal(p->client.end_err, ERR_PEER_GONE);
		wire_pair_free(p);
	}
}

/* Say something to one side in the peer's place, and let it read. */
static void
say(struct wire_pair *p, int *fd, const char *text, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (
	    done < len && p->client.n_end == 0 && (p->server.n_end == 0 || fd == &p->client_fd)) {
		n = send(*fd, text + done, len - done, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			done += (size_t)n;
		wire_pair_turn(p);
	}
}

static void
test_garbage_instead_of_a_version(void **state)
{
	static const char *const bad[] = { "GET / HTTP/1.1\r\n", "SSH-1.5-old\r\n",
		"SSH-3.0-new\r\n", "\r\n", "\n", "SSH-2.0-" };
	struct wire_pair *p;
	char longest[300];

	(void)state;
	for (size_t i = 0; i < N(bad); i++) {
		p = pair(&none, &none);
		close(p->client_fd);
		p->client_fd = -1;
		say(p, &p->server_fd, bad[i], strlen(bad[i]));
		shutdown(p->server_fd, SHUT_WR);
		assert_true(wire_pair_until(p, &p->server.n_end, 1));
		assert_int_equal(p->server.end_err, i < N(bad) - 1 ? ERR_FORMAT : ERR_PEER_GONE);
		wire_pair_free(p);
	}
	memset(longest, 'x', sizeof(longest));
	p = pair(&none, &none);
	close(p->client_fd);
	p->client_fd = -1;
	say(p, &p->server_fd, longest, sizeof(longest));
	assert_true(wire_pair_until(p, &p->server.n_end, 1));
	assert_int_equal(p->server.end_err, ERR_FORMAT);
	wire_pair_free(p);
}

/* RFC 4253 section 4.2: a server may send lines before its version; not for ever. */
static void
test_lines_before_a_targets_version(void **state)
{
	struct wire_pair *p = pair(&none, &none);
	char line[] = "Welcome, go away.\r\n";

	(void)state;
	say(p, &p->client_fd, line, strlen(line));
	assert_int_equal(p->client.n_end, 0);
	assert_true(wire_pair_up(p));
	wire_pair_free(p);

	p = pair(&none, &none);
	close(p->server_fd);
	p->server_fd = -1;
	for (int i = 0; i < 1000; i++)
		say(p, &p->client_fd, line, strlen(line));
	assert_int_equal(p->client.n_end, 1);
	assert_int_equal(p->client.end_err, ERR_FORMAT);
	wire_pair_free(p);
}

static void
test_what_a_peer_says_is_escaped(void **state)
{
	static const char version[] = "SSH-2.0-evil\033[2J\r\n";
	struct wire_pair *p = pair(&none, &none);

	(void)state;
	close(p->client_fd);
	p->client_fd = -1;
	say(p, &p->server_fd, version, sizeof(version) - 1);
	assert_string_equal(wire_peer_version(p->server.w), "SSH-2.0-evil\\x1b[2J");
	wire_pair_free(p);

	p = logged_in(&none, &none);
	wire_disconnect(p->client.w, 2, "bell\007\n");
	assert_true(wire_pair_until(p, &p->server.n_end, 1));
	assert_int_equal(p->server.end_err, ERR_PEER_GONE);
	assert_string_equal(p->server.end_why, "disconnected (2): bell\\x07\\x0a");
	wire_pair_free(p);
}

static void
test_another_service_ends_the_connection(void **state)
{
	static const char *const bad[] = { "\5\0\0\0\016ssh-connection",
		"\5\0\0\0\014ssh-userauth2", "\5\0\0\0\013ssh-userauth",
		"\5\0\0\0\015ssh-userauth" };
	static const size_t len[] = { 19, 18, 17, 17 };
	struct wire_pair *p;
	struct wire *w;

	(void)state;
	for (size_t i = 0; i < N(bad); i++) {
		p = pair(&none, &none);
		w = p->client.w;
		assert_true(wire_pair_up(p));
		w->raw = (struct wire_raw){ .head = bad[i], .head_len = len[i], .armed = true };
		assert_int_equal(wire_libssh_send(w), 0);
		assert_true(wire_pair_until(p, &p->server.n_end, 1));
		assert_int_equal(p->server.n_message, 0);
		assert_true(wire_pair_until(p, &p->client.n_end, 1));
		assert_non_null(strstr(p->client.end_why, "disconnected (7)"));
		wire_pair_free(p);
	}
}

static void
test_unknown_messages_are_answered_and_harmless(void **state)
{
	static const uint8_t unknown[] = { 101, 110, 127, 128, 192, 255 };
	static const uint8_t ping[] = { 98, 0, 0, 0, 1 };
	struct wire_pair *p = logged_in(&none, &none);
	uint8_t msg[3] = { 0 };
	unsigned n = p->server.n_message;

	(void)state;
	for (size_t i = 0; i < N(unknown); i++) {
		msg[0] = unknown[i];
		assert_int_equal(wire_send(p->client.w, msg, sizeof(msg)), 0);
	}
	assert_int_equal(wire_send(p->client.w, ping, sizeof(ping)), 0);
	assert_true(wire_pair_until(p, &p->server.n_message, n + 1));
	wire_pair_rest(p);
	assert_int_equal(p->server.n_message, n + 1);
	assert_int_equal(p->server.n_end + p->client.n_end, 0);
	wire_pair_free(p);
}

/* The peer stops reading: what is sent waits here, is counted, and arrives in order once it reads again. */
static void
test_backlog_of_a_peer_that_stops_reading(void **state)
{
	struct wire_pair *p = logged_in(&none, &none);
	uint8_t msg[20000] = { 94 };
	unsigned n = p->client.n_message;
	bool again;

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		size_t before = wire_backlog(p->server.w);

		msg[1] = (uint8_t)i;
		assert_int_equal(wire_send(p->server.w, msg, sizeof(msg)), 0);
		assert_int_equal(wire_flush(p->server.w), 0);
		if (i >
		    30) /* the socket pair is full by now; length, padding and tag come on top */
			assert_in_range(wire_backlog(p->server.w) - before, 20000 + 25, 20000 + 60);
	}
	assert_int_equal(wire_events(p->server.w), POLLIN | POLLOUT);
	assert_int_equal(wire_io(p->server.w, POLLOUT, &again), 0);
	assert_true(wire_backlog(p->server.w) > 300000);
	for (unsigned i = 0; i < 40; i++) {
		assert_true(wire_pair_until(p, &p->client.n_message, n + i + 1));
		msg[1] = (uint8_t)i;
		assert_true(wire_pair_got(&p->client, msg, sizeof(msg)));
	}
	assert_int_equal(wire_backlog(p->server.w), 0);
	wire_pair_free(p);
}

static void
test_pause_holds_input_back_and_loses_nothing(void **state)
{
	struct wire_pair *p = logged_in(&none, &none);
	uint8_t msg[1000] = { 94 };
	unsigned n = p->server.n_message, held;
	bool again;

	(void)state;
	wire_pause_input(p->server.w, true);
	assert_int_equal(wire_events(p->server.w) & POLLIN, 0);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(wire_send(p->client.w, msg, sizeof(msg)), 0);
	wire_pair_rest(p);
	assert_int_equal(p->server.n_message, n);
	/* Paused in the middle: what was fed already still comes, at most 4 KiB. */
	wire_pause_input(p->server.w, false);
	assert_int_equal(wire_io(p->server.w, POLLIN, &again), 0);
	wire_pause_input(p->server.w, true);
	held = p->server.n_message;
	wire_pair_rest(p);
	assert_int_equal(p->server.n_message, held);
	wire_pause_input(p->server.w, false);
	assert_true(wire_pair_until(p, &p->server.n_message, n + 50));
	wire_pair_free(p);
}

/* A pause from inside message(): the rest of the buffer waits, and is served without the socket becoming readable. */
static unsigned n_pause;

static void
pause_on_message(void *arg, const uint8_t *msg, size_t len)
{
	struct wire_side *s = arg;

	(void)msg;
	(void)len;
	s->n_message++;
	n_pause++;
	wire_pause_input(s->w, true);
}

static void
test_pause_from_a_callback(void **state)
{
	struct wire_pair *p = logged_in(&none, &none);
	struct wire_ops ops = *p->server.w->ops;
	uint8_t msg[1000] = { 94 };
	unsigned n = p->server.n_message, passes = 0;
	bool again;

	(void)state;
	ops.message = pause_on_message;
	p->server.w->ops = &ops;
	p->server.w->want = 65536;
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(wire_send(p->client.w, msg, sizeof(msg)), 0);
	wire_pair_rest(p);
	while (p->server.n_message < n + 50) {
		assert_true(passes++ < 51);
		wire_pause_input(p->server.w, false);
		n_pause = 0;
		assert_int_equal(wire_io(p->server.w, 0, &again), 0);
		assert_true(n_pause <= 5);
	}
	assert_true(passes > 8);
	wire_pair_free(p);
}

static void
test_rekey_limit_is_kept_while_data_flows_both_ways(void **state)
{
	struct wire_conf conf = { .rekey_bytes = 65536 };
	struct wire_pair *p = logged_in(&conf, &conf);
	uint8_t msg[3000] = { 94 };
	unsigned up = 0, down = 0;

	(void)state;
	while (up < 1000 || down < 1000) {
		for (unsigned i = 0; i < 7; i++) {
			if (wire_backlog(p->client.w) < 100000)
				assert_int_equal(wire_send(p->client.w, msg, sizeof(msg)), 0);
			if (wire_backlog(p->server.w) < 100000)
				assert_int_equal(wire_send(p->server.w, msg, sizeof(msg)), 0);
		}
		wire_pair_turn(p);
		assert_int_equal(p->server.n_end + p->client.n_end, 0);
		while (wire_pair_got(&p->server, msg, sizeof(msg)))
			up++;
		while (wire_pair_got(&p->client, msg, sizeof(msg)))
			down++;
	}
	assert_true(p->server.n_sign > 30); /* 3 MB each way, 64 KiB a key */
	assert_int_equal(p->client.n_proof, 1);
	wire_pair_free(p);
}

/* RFC 4252 section 5.1, for types that libssh lets through at any time; and a service is asked for before. */
static void
test_authentication_after_the_login_is_ignored(void **state)
{
	static const uint8_t late[] = { 63, 64, 65 };
	static const uint8_t service[] = "\5\0\0\0\014ssh-userauth";
	struct wire_pair *p = logged_in(&none, &none);
	struct wire *w = p->client.w;
	uint8_t msg[5] = { 0 };
	unsigned n = p->server.n_message;

	(void)state;
	for (size_t i = 0; i < N(late); i++) {
		msg[0] = late[i];
		w->raw = (struct wire_raw){ .head = msg, .head_len = sizeof(msg), .armed = true };
		assert_int_equal(wire_libssh_send(w), 0);
	}
	msg[0] = 80;
	assert_int_equal(wire_send(w, msg, sizeof(msg)), 0);
	assert_true(wire_pair_until(p, &p->server.n_message, n + 1));
	assert_true(wire_pair_got(&p->server, msg, sizeof(msg)));
	w->raw =
	    (struct wire_raw){ .head = service, .head_len = sizeof(service) - 1, .armed = true };
	assert_int_equal(wire_libssh_send(w), 0);
	assert_true(wire_pair_until(p, &p->server.n_end, 1));
	assert_int_equal(p->server.n_message, n + 1);
	wire_pair_free(p);
}

/* The one who sent what arrived hurt is told that something was wrong, and no more. */
static void
test_a_hurt_packet_is_answered(void **state)
{
	struct wire_pair *p = logged_in(&none, &none);
	uint8_t msg[100] = { 94 };

	(void)state;
	wire_pair_rest(p);
	p->flip_up = p->up + 50;
	assert_int_equal(wire_send(p->client.w, msg, sizeof(msg)), 0);
	assert_true(wire_pair_until(p, &p->server.n_end, 1));
	assert_int_equal(p->server.end_err, ERR_CRYPTO);
	assert_true(wire_pair_until(p, &p->client.n_end, 1));
	assert_int_equal(p->client.end_err, ERR_PEER_GONE);
	assert_string_equal(p->client.end_why, "disconnected (2): protocol error");
	wire_pair_free(p);
}

/* An owner of two wires sends on one from inside the other's callback. */
static void
forward(void *arg, const uint8_t *msg, size_t len)
{
	struct wire_side *s = arg, *other = s->forward;

	s->n_message++;
	assert_int_equal(wire_send(other->w, msg, len), 0);
	assert_ptr_equal(wire_current(), s->w); /* libssh goes on with the wire that it works for */
}

static void
test_two_wires_of_one_owner(void **state)
{
	struct wire_pair *a = logged_in(&none, &none), *b = logged_in(&none, &none);
	struct wire_ops ops = *a->server.w->ops;
	uint8_t msg[100] = { 94 };
	unsigned n = b->server.n_message;

	(void)state;
	ops.message = forward;
	a->server.w->ops = &ops;
	a->server.forward = &b->client;
	for (unsigned i = 0; i < 300; i++) {
		msg[1] = (uint8_t)i;
		assert_int_equal(wire_send(a->client.w, msg, 10 + i % 90), 0);
		wire_pair_turn(a);
	}
	wire_pair_rest(a);
	assert_true(wire_pair_until(b, &b->server.n_message, n + 300));
	for (unsigned i = 0; i < 300; i++) {
		msg[1] = (uint8_t)i;
		assert_true(wire_pair_got(&b->server, msg, 10 + i % 90));
	}
	wire_pair_free(a);
	wire_pair_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_selftest_passes_with_this_libssh),
		cmocka_unit_test(test_send_before_ready_is_refused),
		cmocka_unit_test(test_send_refuses_types_that_are_not_the_owners),
		cmocka_unit_test(test_send_refuses_what_is_too_long),
		cmocka_unit_test(test_nothing_follows_the_end),
		cmocka_unit_test(test_accepting_happens_once),
		cmocka_unit_test(test_new_refuses_algorithms_that_are_not_for_us),
		cmocka_unit_test(test_new_refuses_a_malformed_host_key),
		cmocka_unit_test(test_new_refuses_a_certificate_of_another_key),
		cmocka_unit_test(test_a_certificate_is_shown_to_who_asks),
		cmocka_unit_test(test_every_cipher_and_mac_talks),
		cmocka_unit_test(test_every_key_exchange_talks),
		cmocka_unit_test(test_a_refused_signature_ends_the_key_exchange),
		cmocka_unit_test(test_a_refused_host_key_ends_before_anything_is_sent),
		cmocka_unit_test(test_a_signature_of_another_key_is_found),
		cmocka_unit_test(test_another_host_key_in_a_later_key_exchange_ends_it),
		cmocka_unit_test(test_chacha20_needs_a_target_with_strict_key_exchange),
		cmocka_unit_test(test_flips_in_the_key_exchange),
		cmocka_unit_test(test_a_stream_cut_anywhere_ends_both),
		cmocka_unit_test(test_garbage_instead_of_a_version),
		cmocka_unit_test(test_lines_before_a_targets_version),
		cmocka_unit_test(test_what_a_peer_says_is_escaped),
		cmocka_unit_test(test_another_service_ends_the_connection),
		cmocka_unit_test(test_unknown_messages_are_answered_and_harmless),
		cmocka_unit_test(test_backlog_of_a_peer_that_stops_reading),
		cmocka_unit_test(test_pause_holds_input_back_and_loses_nothing),
		cmocka_unit_test(test_pause_from_a_callback),
		cmocka_unit_test(test_rekey_limit_is_kept_while_data_flows_both_ways),
		cmocka_unit_test(test_authentication_after_the_login_is_ignored),
		cmocka_unit_test(test_a_hurt_packet_is_answered),
		cmocka_unit_test(test_two_wires_of_one_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
