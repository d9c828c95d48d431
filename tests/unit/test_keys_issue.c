/* User certificates that the vault writes: what policy reads out of them is what was ordered, and a wrong order makes none. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "keys/keys_crypto.h"
#include "keys/keys_issue.h"
#include "lib/buf.h"
#include "lib/str.h"
#include "policy/cert.h"

#define MUST(call) assert_int_equal((call), 0)

static struct keys_key *ca, *subject;

static struct keys_key *
make_key(const char *name, const char *kind)
{
	struct keys_key *k = NULL;
	enum sshkey_type type;
	unsigned bits;

	MUST(keys_key_kind(kind, &type, &bits));
	MUST(keys_key_generate(name, type, bits, &k));
	return k;
}

static int
setup(void **state)
{
	bool locked;

	(void)state;
	if (secret_init() != 0 || keys_crypto_init(&locked) != 0 || sshkey_init() != 0)
		return -1;
	ca = make_key("user-ca.a", "ed25519");
	subject = make_key("k", "ed25519");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	keys_key_unref(ca);
	keys_key_unref(subject);
	return 0;
}

/* An order, field by field. */
struct order {
	const uint8_t *blob;
	size_t len;
	uint64_t serial, after_s, before_s;
	const char *key_id, *principals[70], *command, *sources;
	uint32_t n;
	uint8_t clear;
};

static struct order
usual(void)
{
	return (struct order){ .blob = subject->blob,
		.len = subject->blob_len,
		.serial = 7,
		.after_s = 100,
		.before_s = 200,
		.key_id = "alice/7",
		.principals = { "alice", "deploy" },
		.command = "",
		.sources = "",
		.n = 2 };
}

static struct buf *
message(const struct order *o)
{
	struct buf *b = buf_new(65536);

	MUST(buf_put_str(b, o->blob, o->len));
	MUST(buf_put_u64(b, o->serial));
	MUST(buf_put_cstr(b, o->key_id));
	MUST(buf_put_u32(b, o->n));
	for (uint32_t i = 0; i < o->n && i < 70; i++)
		MUST(buf_put_cstr(b, o->principals[i] != NULL ? o->principals[i] : "p"));
	MUST(buf_put_u64(b, o->after_s));
	MUST(buf_put_u64(b, o->before_s));
	MUST(buf_put_cstr(b, o->command));
	MUST(buf_put_cstr(b, o->sources));
	MUST(buf_put_u8(b, o->clear));
	return b;
}

/* The certificate of an order as policy reads and verifies it. */
static struct cert *
issued(const struct order *o, const struct keys_key *by)
{
	struct buf *b = message(o), *blob = buf_new(65536);
	struct keys_issue *q = calloc(1, sizeof(*q));
	struct sshkey *key = NULL;
	struct cert *c = NULL;
	const char *why = "";

	assert_non_null(q);
	if (keys_issue_read(b, q, &why) != 0)
		fail_msg("%s", why != NULL ? why : "malformed");
	MUST(keys_issue_cert(by, q, blob));
	if (cert_parse(buf_ptr(blob), buf_len(blob), &c, &why) != 0)
		fail_msg("%s", why);
	MUST(sshkey_parse(by->blob, by->blob_len, &key));
	assert_int_equal(c->ca_blob_len, by->blob_len);
	assert_memory_equal(c->ca_blob, by->blob, by->blob_len);
	MUST(cert_verify(c, buf_ptr(blob), key, 3072));
	sshkey_free(key);
	buf_free(blob);
	buf_free(b);
	free(q);
	return c;
}

static void
refused(const struct order *o, const char *want)
{
	struct buf *b = message(o);
	struct keys_issue *q = calloc(1, sizeof(*q));
	const char *why = NULL;
	int r;

	assert_non_null(q);
	r = keys_issue_read(b, q, &why);
	assert_true(r == ERR_FORMAT || r == ERR_LIMIT);
	if (want == NULL) {
		assert_null(why);
	} else {
		assert_non_null(why);
		assert_non_null(strstr(why, want));
	}
	buf_free(b);
	free(q);
}

static void
test_every_field(void **state)
{
	struct order o = usual();
	struct cert *c;

	(void)state;
	o.command = "id -u";
	o.sources = "10.0.0.0/8,::1";
	c = issued(&o, ca);
	assert_int_equal(c->type, CERT_USER);
	assert_true(c->serial == 7 && c->valid_after == 100 && c->valid_before == 200);
	assert_string_equal(c->key_id, "alice/7");
	assert_int_equal(c->n_principals, 2);
	assert_string_equal(c->principals[1], "deploy");
	assert_string_equal(c->force_command, "id -u");
	assert_int_equal(c->n_sources, 2);
	assert_int_equal(c->permits, CERT_PERMIT_PTY | CERT_PERMIT_PORT_FORWARDING |
					 CERT_PERMIT_AGENT_FORWARDING | CERT_PERMIT_X11_FORWARDING);
	assert_int_equal(c->key_blob_len, subject->blob_len);
	assert_memory_equal(c->key_blob, subject->blob, subject->blob_len);
	cert_free(c);
	o.clear = 1;
	o.command = o.sources = "";
	c = issued(&o, ca);
	assert_int_equal(c->permits, 0);
	assert_null(c->force_command);
	assert_false(c->has_sources);
	cert_free(c);
}

static void
test_every_type_of_both(void **state)
{
	static const char *const kinds[] = { "ed25519", "ecdsa-256", "ecdsa-384", "ecdsa-521",
		"rsa-3072" };

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct keys_key *k = make_key("user-ca.b", kinds[i]);
		struct order o = usual();

		cert_free(issued(&o, k));
		o.blob = k->blob;
		o.len = k->blob_len;
		cert_free(issued(&o, ca));
		keys_key_unref(k);
	}
}

static void
test_security_keys(void **state)
{
	struct buf *b = buf_new(256);
	struct order o = usual();

	(void)state;
	MUST(buf_put_cstr(b, "sk-ssh-ed25519@openssh.com"));
	MUST(buf_put(b, subject->blob + 15, subject->blob_len - 15));
	MUST(buf_put_cstr(b, "ssh:"));
	o.blob = buf_ptr(b);
	o.len = buf_len(b);
	cert_free(issued(&o, ca));
	buf_free(b);
}

static void
test_wrong_orders(void **state)
{
	static const char *const names[] = { "", " alice", "alice ", "al ice", "a,b", "a*", "a?",
		"!a", "\x1b[31m" };
	static const char *const nets[] = { "10.0.0.1/8", "10.0.0.0/33", "localhost", ",",
		"10.0.0.1,", " 10.0.0.1", "::1/129" };
	struct order o;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		o = usual();
		o.principals[1] = names[i];
		refused(&o, "a principal is");
	}
	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++) {
		o = usual();
		o.sources = nets[i];
		refused(&o, "source addresses");
	}
	o = usual();
	o.n = 0;
	refused(&o, "1 to 64");
	o.n = 65;
	refused(&o, "1 to 64");
	o = usual();
	o.serial = 0;
	refused(&o, "serial");
	o = usual();
	o.before_s = o.after_s;
	refused(&o, "before it begins");
	o = usual();
	o.key_id = "a\nb";
	refused(&o, "key id");
	o.key_id = "";
	refused(&o, "key id");
	o = usual();
	o.command = "a\nb";
	refused(&o, "forced command");
	o = usual();
	o.clear = 2;
	refused(&o, NULL);
	o = usual();
	o.len--;
	refused(&o, "no public key");
}

/* Not a certificate, and not a key with more behind it. */
static void
test_what_is_no_key(void **state)
{
	struct order o = usual();
	struct buf *b = message(&o), *cert = buf_new(65536);
	struct keys_issue *q = calloc(1, sizeof(*q));
	const char *why;

	(void)state;
	assert_non_null(q);
	MUST(keys_issue_read(b, q, &why));
	MUST(keys_issue_cert(ca, q, cert));
	o.blob = buf_ptr(cert);
	o.len = buf_len(cert);
	refused(&o, "no public key");
	buf_free(cert);
	buf_free(b);
	free(q);
}

static void
test_cut_anywhere(void **state)
{
	struct order o = usual();
	struct buf *b = message(&o);

	(void)state;
	for (size_t n = 0; n < buf_len(b); n++) {
		struct keys_issue *q = calloc(1, sizeof(*q));
		uint8_t *copy = malloc(n > 0 ? n : 1);
		const char *why;
		struct buf *cut;

		assert_non_null(q);
		assert_non_null(copy);
		memcpy(copy, buf_ptr(b), n);
		cut = buf_view(copy, n);
		assert_int_not_equal(keys_issue_read(cut, q, &why), 0);
		buf_free(cut);
		free(copy);
		free(q);
	}
	MUST(buf_put_u8(b, 0));
	{
		struct keys_issue *q = calloc(1, sizeof(*q));
		const char *why;

		assert_int_equal(keys_issue_read(b, q, &why), ERR_FORMAT);
		free(q);
	}
	buf_free(b);
}

static void
test_names_of_cas(void **state)
{
	(void)state;
	assert_true(keys_key_is_user_ca("user-ca.site"));
	assert_false(keys_key_is_user_ca("fleet"));
	assert_false(keys_key_is_user_ca("user-ca"));
	assert_false(keys_key_is_user_ca("host-ca"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field),
		cmocka_unit_test(test_every_type_of_both),
		cmocka_unit_test(test_security_keys),
		cmocka_unit_test(test_wrong_orders),
		cmocka_unit_test(test_what_is_no_key),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_names_of_cas),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
