/* What the vault signs: one shape, and nothing beside it. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "keys/keys_check.h"
#include "lib/buf.h"

#define KEY "\0\0\0\13ssh-ed25519\0\0\0\4pppp"
#define KEY_LEN 23u
#define SID "0123456789abcdef0123456789abcdef"

/* One request; each test changes one field of the good one. */
struct request {
	const char *sid, *user, *service, *method, *alg, *outer_key, *inner_key, *tail, *msg_tail;
	size_t sid_len, outer_len, inner_len, tail_len, msg_tail_len;
	uint8_t type, has_sig;
	uint32_t flags;
};

static const struct request good = { .sid = SID,
	.sid_len = 32,
	.type = 50,
	.user = "root",
	.service = "ssh-connection",
	.method = "publickey",
	.has_sig = 1,
	.alg = "ssh-ed25519",
	.outer_key = KEY,
	.outer_len = KEY_LEN,
	.inner_key = KEY,
	.inner_len = KEY_LEN,
	.tail = "",
	.msg_tail = "" };

static struct keys_grant
grant(void)
{
	return (struct keys_grant){ .login = "root",
		.key_type = SSHKEY_ED25519,
		.key = (const uint8_t *)KEY,
		.key_len = KEY_LEN,
		.session_id = (const uint8_t *)SID,
		.session_id_len = 32 };
}

static struct buf *
build(const struct request *q)
{
	struct buf *data = buf_new(4096), *msg = buf_new(8192);

	assert_int_equal(buf_put_str(data, q->sid, q->sid_len), 0);
	assert_int_equal(buf_put_u8(data, q->type), 0);
	assert_int_equal(buf_put_cstr(data, q->user), 0);
	assert_int_equal(buf_put_cstr(data, q->service), 0);
	assert_int_equal(buf_put_cstr(data, q->method), 0);
	assert_int_equal(buf_put_u8(data, q->has_sig), 0);
	assert_int_equal(buf_put_cstr(data, q->alg), 0);
	assert_int_equal(buf_put_str(data, q->inner_key, q->inner_len), 0);
	assert_int_equal(buf_put(data, q->tail, q->tail_len), 0);
	assert_int_equal(buf_put_str(msg, q->outer_key, q->outer_len), 0);
	assert_int_equal(buf_put_str(msg, buf_ptr(data), buf_len(data)), 0);
	assert_int_equal(buf_put_u32(msg, q->flags), 0);
	assert_int_equal(buf_put(msg, q->msg_tail, q->msg_tail_len), 0);
	buf_free(data);
	return msg;
}

static int
check(const struct keys_grant *g, const struct request *q, const char **ret_alg)
{
	struct buf *msg = build(q);
	const uint8_t *data = NULL;
	const char *alg = NULL, *why = NULL;
	size_t len = 0;
	int r = keys_check_sign(g, buf_ptr(msg), buf_len(msg), &data, &len, &alg, &why);

	if (r == 0) {
		assert_ptr_equal(data, buf_ptr(msg) + 4 + q->outer_len + 4);
		assert_int_equal(len, buf_len(msg) - 4 - q->outer_len - 4 - 4);
		assert_null(why);
	} else {
		assert_null(data);
		assert_null(alg);
		assert_non_null(why);
	}
	if (ret_alg != NULL)
		*ret_alg = alg;
	buf_free(msg);
	return r;
}

static void
test_the_granted_request_passes(void **state)
{
	struct keys_grant g = grant();
	const char *alg;

	(void)state;
	assert_int_equal(check(&g, &good, &alg), 0);
	assert_string_equal(alg, "ssh-ed25519");
}

static void
test_each_changed_field_is_refused(void **state)
{
	struct keys_grant g = grant();
	struct request bad[24];
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < 24; i++)
		bad[i] = good;
	bad[n++].sid = "0123456789abcdef0123456789abcdeF";
	bad[n++].sid_len = 31;
	bad[n++].sid_len = 0;
	bad[n++].type = 51;
	bad[n++].type = 0;
	bad[n++].user = "roo";
	bad[n++].user = "rootx";
	bad[n++].user = "";
	bad[n++].user = "Root";
	bad[n++].service = "ssh-userauth";
	bad[n++].service = "ssh-connectio";
	bad[n++].method = "publickey-hostbound-v00@openssh.com";
	bad[n++].method = "hostbased";
	bad[n++].has_sig = 0;
	bad[n++].has_sig = 2;
	bad[n++].alg = "rsa-sha2-512";
	bad[n++].alg = "ssh-ed25519-cert-v01@openssh.com";
	bad[n++].outer_key = "\0\0\0\13ssh-ed25519\0\0\0\4ppqp";
	bad[n++].inner_key = "\0\0\0\13ssh-ed25519\0\0\0\4ppqp";
	bad[n++].inner_len = KEY_LEN - 1;
	bad[n++].flags = 2;
	bad[n++].flags = 1;
	bad[n].tail = "x";
	bad[n++].tail_len = 1;
	bad[n].msg_tail = "x";
	bad[n++].msg_tail_len = 1;
	assert_int_equal(n, 24);
	for (size_t i = 0; i < n; i++)
		assert_int_not_equal(check(&g, &bad[i], NULL), 0);
}

/* A user name with a NUL inside is another name, however C looks at it. */
static void
test_a_nul_does_not_end_a_name(void **state)
{
	struct keys_grant g = grant();
	struct buf *msg = build(&good);
	uint8_t bytes[512];
	const uint8_t *data;
	const char *alg, *why;
	size_t len = buf_len(msg), n;
	uint8_t *at;

	(void)state;
	memcpy(bytes, buf_ptr(msg), len);
	at = memmem(bytes, len, "\0\0\0\4root", 8);
	assert_non_null(at);
	at[7] = '\0';
	g.login = "roo";
	assert_int_equal(keys_check_sign(&g, bytes, len, &data, &n, &alg, &why), ERR_DENIED);
	buf_free(msg);
}

/* RFC 8332, RFC 9987 section 3.6.1: flags choose between the two SHA-2 signatures; SHA-1 is not to be had. */
static void
test_rsa_takes_exactly_one_sha2_flag(void **state)
{
	static const struct {
		uint32_t flags;
		const char *alg;
		int want;
	} cases[] = { { 2, "rsa-sha2-256", 0 }, { 4, "rsa-sha2-512", 0 },
		{ 0, "ssh-rsa", ERR_DENIED }, { 6, "rsa-sha2-512", ERR_DENIED },
		{ 2, "rsa-sha2-512", ERR_DENIED }, { 4, "ssh-rsa", ERR_DENIED },
		{ 0, "rsa-sha2-512", ERR_DENIED }, { 0x80000004u, "rsa-sha2-512", ERR_DENIED } };
	struct keys_grant g = grant();

	(void)state;
	g.key_type = SSHKEY_RSA;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct request q = good;
		const char *alg;

		q.flags = cases[i].flags;
		q.alg = cases[i].alg;
		assert_int_equal(check(&g, &q, &alg), cases[i].want);
		if (cases[i].want == 0)
			assert_string_equal(alg, cases[i].alg);
	}
}

static void
test_a_request_cut_anywhere_is_refused(void **state)
{
	struct keys_grant g = grant();
	struct buf *msg = build(&good);
	const uint8_t *data = NULL;
	const char *alg, *why;
	size_t n;

	(void)state;
	for (size_t len = 0; len < buf_len(msg); len++)
		assert_int_equal(
		    keys_check_sign(&g, buf_ptr(msg), len, &data, &n, &alg, &why), ERR_FORMAT);
	assert_null(data);
	buf_free(msg);
}

static struct buf *
binding(size_t sid_len, uint8_t forwarding, size_t tail)
{
	struct buf *b = buf_new(1024);

	assert_int_equal(buf_put_cstr(b, "host key"), 0);
	assert_int_equal(buf_put_str(b, SID SID SID, sid_len), 0);
	assert_int_equal(buf_put_cstr(b, "signature"), 0);
	assert_int_equal(buf_put_u8(b, forwarding), 0);
	assert_int_equal(buf_put(b, SID, tail), 0);
	return b;
}

static void
test_bindings_have_one_form(void **state)
{
	static const struct {
		size_t sid_len;
		uint8_t forwarding;
		size_t tail;
		int want;
	} cases[] = { { 32, 0, 0, 0 }, { 48, 0, 0, 0 }, { 64, 0, 0, 0 }, { 0, 0, 0, ERR_FORMAT },
		{ 20, 0, 0, ERR_FORMAT }, { 31, 0, 0, ERR_FORMAT }, { 33, 0, 0, ERR_FORMAT },
		{ 65, 0, 0, ERR_FORMAT }, { 32, 1, 0, ERR_FORMAT }, { 32, 255, 0, ERR_FORMAT },
		{ 32, 0, 1, ERR_FORMAT } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf *b = binding(cases[i].sid_len, cases[i].forwarding, cases[i].tail);
		struct keys_bind bind = { 0 };
		const char *why = NULL;

		assert_int_equal(
		    keys_check_bind(buf_ptr(b), buf_len(b), &bind, &why), cases[i].want);
		assert_true((why == NULL) == (cases[i].want == 0));
		assert_true((bind.session_id_len == cases[i].sid_len && bind.host_key_len == 8 &&
				bind.sig_len == 9) == (cases[i].want == 0));
		buf_free(b);
	}
}

static void
test_a_binding_cut_anywhere_is_refused(void **state)
{
	struct buf *b = binding(32, 0, 0);
	struct keys_bind bind = { 0 };
	const char *why;

	(void)state;
	for (size_t len = 0; len < buf_len(b); len++)
		assert_int_equal(keys_check_bind(buf_ptr(b), len, &bind, &why), ERR_FORMAT);
	assert_null(bind.host_key);
	buf_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_granted_request_passes),
		cmocka_unit_test(test_each_changed_field_is_refused),
		cmocka_unit_test(test_a_nul_does_not_end_a_name),
		cmocka_unit_test(test_rsa_takes_exactly_one_sha2_flag),
		cmocka_unit_test(test_a_request_cut_anywhere_is_refused),
		cmocka_unit_test(test_bindings_have_one_form),
		cmocka_unit_test(test_a_binding_cut_anywhere_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
