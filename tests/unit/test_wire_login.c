/* A client's login: agents that misbehave, targets that refuse, and the bytes that are signed and sent. */
#include "config.h"

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
#include "lib/file.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const struct wire_conf none;
static const uint8_t service_accept[] = "\6\0\0\0\014ssh-userauth";

static int
put_message(struct buf *b, const void *p, size_t len)
{
	return buf_put_str(b, p, len);
}

/* An agent that answers with these bytes, then closes; the login up to its outcome or the server's first request. */
static struct wire_pair *
login_with(const struct wire_conf *server, const uint8_t *answers, size_t len, bool close_it)
{
	struct wire_pair *p = NULL;
	int fd[2];

	assert_int_equal(wire_pair_new(server, &none, &p), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	fd_close(&p->agent_end);
	p->agent_end = fd[1];
	if (len > 0)
		assert_int_equal(send(fd[1], answers, len, MSG_NOSIGNAL), (ssize_t)len);
	if (close_it)
		assert_int_equal(shutdown(fd[1], SHUT_WR), 0);
	assert_true(wire_pair_up(p));
	assert_int_equal(wire_login(p->client.w, "root", fd[0]), 0);
	assert_true(wire_pair_until(p, &p->server.n_message, 1));
	assert_int_equal(wire_send(p->server.w, service_accept, sizeof(service_accept) - 1), 0);
	if (!wire_pair_until(p, &p->server.n_message, 2))
		(void)wire_pair_until(p, &p->client.n_login, 1);
	return p;
}

/* What a good agent says: one key of this type, and a signature. */
static struct buf *
good_answers(const char *type)
{
	struct buf *b = buf_new(4096), *key = buf_new(256), *m = buf_new(1024);

	assert_true(b != NULL && key != NULL && m != NULL);
	assert_int_equal(buf_put_cstr(key, type) | buf_put_cstr(key, "numbers"), 0);
	assert_int_equal(
	    buf_put_u8(m, 12) | buf_put_u32(m, 2) | buf_put_str(m, buf_ptr(key), buf_len(key)) |
		buf_put_cstr(m, "comment") | buf_put_cstr(m, "another key") | buf_put_cstr(m, ""),
	    0);
	assert_int_equal(put_message(b, buf_ptr(m), buf_len(m)), 0);
	buf_reset(m);
	assert_int_equal(buf_put_u8(m, 14) | buf_put_cstr(m, "signature"), 0);
	assert_int_equal(put_message(b, buf_ptr(m), buf_len(m)), 0);
	buf_free(key);
	buf_free(m);
	return b;
}

static void
test_agents_that_misbehave(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int err;
	} bad[] = {
		{ "", 0, ERR_SIGNATURE },
		{ "\0\0\0\1\5", 5, ERR_SIGNATURE },
		{ "\0\0\0\0", 4, ERR_SIGNATURE },
		{ "\xff\xff\xff\xff\14", 5, ERR_SIGNATURE },
		{ "\0\4\0\1\14", 5, ERR_SIGNATURE },
		{ "\0\0\0\1\14", 5, ERR_SIGNATURE },
		{ "\0\0\0\5\14\0\0\0\0", 9, ERR_NOT_FOUND },
		{ "\0\0\0\5\14\0\0\0\1", 9, ERR_SIGNATURE },
		{ "\0\0\0\11\14\0\0\0\1\0\0\0\0", 13, ERR_SIGNATURE },
		{ "\0\0\0\11\14\0\0\0\1\0\0\0\1", 13, ERR_SIGNATURE },
		{ "\0\0\0\11\15\0\0\0\1\0\0\0\0", 13, ERR_SIGNATURE },
	};
	struct wire_pair *p;

	(void)state;
	for (size_t i = 0; i < N(bad); i++) {
		p = login_with(&none, (const uint8_t *)bad[i].bytes, bad[i].len, true);
		assert_int_equal(p->client.n_login, 1);
		assert_int_equal(p->client.login_err, bad[i].err);
		assert_int_equal(p->server.n_message, 1); /* no request was sent */
		assert_int_equal(p->client.n_end, 0);
		wire_pair_free(p);
	}
}

static void
test_an_agent_cut_anywhere_does_not_log_in(void **state)
{
	struct buf *b = good_answers("ssh-ed25519");
	struct wire_pair *p;

	(void)state;
	for (size_t n = 0; n < buf_len(b); n++) {
		p = login_with(&none, buf_ptr(b), n, true);
		assert_int_equal(p->client.n_login, 1);
		assert_int_equal(p->client.login_err, ERR_SIGNATURE);
		assert_int_equal(p->server.n_message, 1);
		wire_pair_free(p);
	}
	p = login_with(&none, buf_ptr(b), buf_len(b), true);
	assert_int_equal(p->server.n_message, 2);
	assert_int_equal(p->client.n_login, 0);
	wire_pair_free(p);
	buf_free(b);
}

/* The second message that the server got: the request. */
static struct buf *
request_of(struct wire_pair *p)
{
	const uint8_t *msg;
	size_t len;
	struct buf *b;

	assert_int_equal(buf_get_str(p->server.got, &msg, &len), 0);
	assert_int_equal(buf_get_str(p->server.got, &msg, &len), 0);
	b = buf_view(msg, len);
	assert_non_null(b);
	return b;
}

static void
expect_str(struct buf *b, const void *want, size_t want_len)
{
	const uint8_t *p;
	size_t n;

	assert_int_equal(buf_get_str(b, &p, &n), 0);
	assert_int_equal(n, want_len);
	assert_memory_equal(p, want, n);
}

static void
expect_cstr(struct buf *b, const char *want)
{
	expect_str(b, want, strlen(want));
}

/* The second message that the agent got: what it was asked to sign. */
static struct buf *
asked_of(struct wire_pair *p, uint8_t *ret_bytes, size_t max)
{
	ssize_t n = recv(p->agent_end, ret_bytes, max, MSG_DONTWAIT);
	struct buf *b;

	assert_true(n > 10);
	assert_memory_equal(ret_bytes, "\0\0\0\1\13", 5); /* REQUEST_IDENTITIES */
	b = buf_view(ret_bytes + 9, (size_t)n - 9);
	assert_non_null(b);
	return b;
}

static const struct {
	const char *key, *server_algs, *alg;
	uint32_t flags;
} kinds[] = {
	{ "ssh-ed25519", NULL, "ssh-ed25519", 0 },
	{ "ssh-ed25519-cert-v01@openssh.com", NULL, "ssh-ed25519-cert-v01@openssh.com", 0 },
	{ "ecdsa-sha2-nistp256", NULL, "ecdsa-sha2-nistp256", 0 },
	{ "ssh-rsa", NULL, "rsa-sha2-512", 4 },
	{ "ssh-rsa", "ssh-ed25519,rsa-sha2-256", "rsa-sha2-256", 2 },
	{ "ssh-rsa", "rsa-sha2-256,rsa-sha2-512", "rsa-sha2-512", 4 },
	{ "ssh-rsa", "ssh-rsa", "rsa-sha2-512", 4 },
	{ "ssh-rsa-cert-v01@openssh.com", NULL, "rsa-sha2-512-cert-v01@openssh.com", 4 },
	{ "ssh-rsa-cert-v01@openssh.com", "rsa-sha2-256-cert-v01@openssh.com",
	    "rsa-sha2-256-cert-v01@openssh.com", 2 },
};

/* RFC 4252 section 7: string session id, and the request without its signature. */
static void
test_what_is_signed_is_what_is_sent(void **state)
{
	struct wire_conf conf = { 0 };
	uint8_t bytes[4096];
	const uint8_t *signed_bytes, *sent;
	size_t signed_len, sent_len;

	(void)state;
	for (size_t i = 0; i < N(kinds); i++) {
		struct buf *b = good_answers(kinds[i].key), *request, *asked, *key = buf_new(256);
		struct wire_pair *p;
		uint32_t flags;
		uint8_t v;

		conf.user_key_algs = kinds[i].server_algs;
		p = login_with(&conf, buf_ptr(b), buf_len(b), false);
		assert_non_null(key);
		assert_int_equal(buf_put_cstr(key, kinds[i].key) | buf_put_cstr(key, "numbers"), 0);
		request = request_of(p);
		sent = buf_ptr(request);
		assert_int_equal(buf_get_u8(request, &v), 0);
		assert_int_equal(v, 50);
		expect_cstr(request, "root");
		expect_cstr(request, "ssh-connection");
		expect_cstr(request, "publickey");
		assert_int_equal(buf_get_u8(request, &v), 0);
		assert_int_equal(v, 1);
		expect_cstr(request, kinds[i].alg);
		expect_str(request, buf_ptr(key), buf_len(key));
		sent_len = (size_t)(buf_ptr(request) - sent);
		expect_cstr(request, "signature");
		assert_int_equal(buf_end(request), 0);

		asked = asked_of(p, bytes, sizeof(bytes));
		assert_int_equal(buf_get_u8(asked, &v), 0);
		assert_int_equal(v, 13);
		expect_str(asked, buf_ptr(key), buf_len(key));
		assert_int_equal(buf_get_str(asked, &signed_bytes, &signed_len), 0);
		assert_int_equal(buf_get_u32(asked, &flags), 0);
		assert_int_equal(flags, kinds[i].flags);
		assert_int_equal(buf_end(asked), 0);
		assert_int_equal(signed_len, 4 + 32 + sent_len);
		assert_memory_equal(signed_bytes, "\0\0\0\x20", 4);
		assert_memory_equal(signed_bytes + 4, p->client.session_id, 32);
		assert_memory_equal(signed_bytes + 36, sent, sent_len);
		buf_free(asked);
		buf_free(request);
		buf_free(key);
		buf_free(b);
		wire_pair_free(p);
	}
}

static void
test_a_target_that_refuses(void **state)
{
	static const uint8_t failure[] = { 51, 0, 0, 0, 20, 'p', 'u', 'b', 'l', 'i', 'c', 'k', 'e',
		'y', ',', 'p', 'a', 's', 's', 'w', 'o', 'r', 'd', '!', '!', 0 };
	struct buf *b = good_answers("ssh-ed25519");
	struct wire_pair *p = login_with(&none, buf_ptr(b), buf_len(b), false);

	(void)state;
	assert_int_equal(wire_send(p->server.w, failure, sizeof(failure)), 0);
	assert_int_equal(wire_send(p->server.w, failure, sizeof(failure)), 0);
	wire_pair_rest(p);
	assert_int_equal(p->client.n_login, 1);
	assert_int_equal(p->client.login_err, ERR_DENIED);
	assert_int_equal(p->client.n_end, 0);
	assert_int_equal(wire_accept_user(p->server.w), 0); /* too late: nobody waits for it */
	assert_true(wire_pair_until(p, &p->client.n_end, 1));
	assert_int_equal(p->client.n_login, 1);
	buf_free(b);
	wire_pair_free(p);
}

/* SUCCESS out of nothing, before a request was sent: CVE-2018-10933's mirror image. */
static void
test_a_success_that_nobody_asked_for(void **state)
{
	struct wire_pair *p = NULL;

	(void)state;
	assert_int_equal(wire_pair_new(&none, &none, &p), 0);
	assert_true(wire_pair_up(p));
	assert_int_equal(wire_accept_user(p->server.w), 0);
	assert_true(wire_pair_until(p, &p->client.n_end, 1));
	assert_int_equal(p->client.n_login, 0);
	wire_pair_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agents_that_misbehave),
		cmocka_unit_test(test_an_agent_cut_anywhere_does_not_log_in),
		cmocka_unit_test(test_what_is_signed_is_what_is_sent),
		cmocka_unit_test(test_a_target_that_refuses),
		cmocka_unit_test(test_a_success_that_nobody_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
