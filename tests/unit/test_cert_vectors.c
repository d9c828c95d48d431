/*
 * The vectors C01 to C35 of user certificates, each under its number: made here, shown as a login shows them, and judged by
 * credential_read() and credential_verify(). What only a session shows (C22, C27, C28, C33, C34) is continued with stock
 * programs in tests/integration/43-cert.sh; what Debian's sshd says to the same bytes, in tests/integration/44-cert-sshd.sh.
 */
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

#include "lib/clock.h"
#include "lib/json.h"
#include "policy/audit.h"
#include "policy/auth.h"
#include "tests/lib/ssh_make.h"

#define NOW_S 1795428000ull /* a Monday, 10:00 UTC */
#define DATA "what the client signs"
#define ED_CERT "ssh-ed25519-cert-v01@openssh.com"

static struct make_key *subject, *ca, *ca_b, *user_key, *plain;
static struct set *usual_set;

/* A set whose policy has top in front; krl NULL: none. */
static struct set *
make_set(const char *top, const struct buf *krl)
{
	struct make_key *const cas[] = { ca, ca_b };
	char fingerprint[HASH_FINGERPRINT_SIZE], err[SET_ERR_SIZE] = "", *file, *key;
	struct set *s = set_new();
	size_t len;
	const uint8_t *blob = make_key_blob(ca, &len);

	assert_non_null(s);
	hash_fingerprint(fingerprint, blob, len);
	key = make_key_line(user_key, "");
	assert_true(asprintf(&file,
			"%s\nusers:\n  alice: {keys: [\"%s\"]}\n  bob: {principals: [bob, bobby]}\n"
			"  carol: {ca: [\"%s\"]}\n",
			top, key, fingerprint) > 0);
	if (set_add_file(s, POL_FILE_POLICY, "policy.yaml", file, strlen(file), NULL, err) != 0)
		fail_msg("%s", err);
	for (size_t i = 0; i < 2; i++) {
		char *line = make_key_line(cas[i], "ca");

		assert_int_equal(
		    set_add_file(s, POL_FILE_USER_CA, "ca", line, strlen(line), NULL, err), 0);
		free(line);
	}
	if (krl != NULL)
		assert_int_equal(set_add_file(s, POL_FILE_REVOKED, "krl",
				     (const char *)buf_ptr(krl), buf_len(krl), NULL, err),
		    0);
	assert_int_equal(set_add_chain(s, "publickey", err), 0);
	assert_int_equal(set_finish(s, 6, err), 0);
	free(file);
	free(key);
	return s;
}

static int
setup(void **state)
{
	(void)state;
	if (sshkey_init() != 0)
		return -1;
	subject = make_key_new(SSHKEY_ED25519, 0);
	ca = make_key_new(SSHKEY_ED25519, 0);
	ca_b = make_key_new(SSHKEY_ECDSA_256, 0);
	user_key = make_key_new(SSHKEY_ED25519, 0);
	plain = make_key_new(SSHKEY_ED25519, 0);
	usual_set = make_set("", NULL);
	return 0;
}

static int
teardown(void **state)
{
	struct make_key *all[] = { subject, ca, ca_b, user_key, plain };

	(void)state;
	set_free(usual_set);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		make_key_free(all[i]);
	return 0;
}

/* A certificate as it is shown. */
struct shown {
	struct make_cert spec;
	const char *alg;
	const struct make_key *signer; /* of the login; NULL: the certificate's key */
	struct make_how how;	       /* its signature */
	const struct set *set;
	const char *from;
	uint64_t now_s, newest_s;
	const char *who; /* the person that it must prove */
};

static const char *const alice[] = { "alice" };

static struct shown
usual(void)
{
	return (struct shown){ .spec = { .key = subject,
				   .ca = ca,
				   .serial = 7,
				   .type = 1,
				   .principals = alice,
				   .n_principals = 1,
				   .after = NOW_S - 60,
				   .before = NOW_S + 3600 },
		.alg = ED_CERT,
		.set = usual_set,
		.from = "192.0.2.7",
		.now_s = NOW_S,
		.newest_s = NOW_S,
		.who = "alice" };
}

/* Why a blob is refused; NULL: it proves v->who. */
static const char *
judge_blob(const struct shown *v, const uint8_t *blob, size_t len)
{
	struct credential_scene scene = { .now_s = v->now_s, .newest_s = v->newest_s };
	struct credential c;
	const char *why = NULL;
	uint8_t *sig;
	size_t sig_len;
	int r;

	assert_int_equal(net_parse(v->from, &scene.source), 0);
	r = credential_read(&c, v->set, &scene, v->alg, blob, len);
	if (r == 0) {
		sig = make_sign(v->signer != NULL ? v->signer : v->spec.key, DATA, strlen(DATA),
		    &v->how, &sig_len);
		r = credential_verify(&c, sig, sig_len, (const uint8_t *)DATA, strlen(DATA));
		free(sig);
	}
	assert_true(r == 0 || r == ERR_DENIED);
	if (r != 0) {
		why = c.reason;
		assert_non_null(why);
	} else {
		assert_null(c.reason);
		assert_int_equal(c.n_users, 1);
		assert_string_equal(c.users[0]->name, v->who);
	}
	credential_done(&c);
	return why;
}

static void
check_blob(const struct shown *v, const uint8_t *blob, size_t len, const char *want)
{
	const char *why = judge_blob(v, blob, len);

	if (strcmp(why != NULL ? why : "", want) != 0)
		fail_msg("got \"%s\", expected \"%s\"", why != NULL ? why : "accepted",
		    *want != '\0' ? want : "accepted");
}

static void
check(const struct shown *v, const char *want)
{
	size_t len;
	uint8_t *blob = make_cert(&v->spec, &len);

	check_blob(v, blob, len, want);
	free(blob);
}

#define ACCEPTED ""

static void
c01(void **state)
{
	struct shown v = usual();

	(void)state;
	check(&v, ACCEPTED);
}

/* Every type of key in a certificate, and every one of them as a CA. */
static void
c02(void **state)
{
	static const struct {
		enum sshkey_type type;
		const char *alg, *sig;
	} rows[] = {
		{ SSHKEY_ED25519, ED_CERT, NULL },
		{ SSHKEY_ECDSA_256, "ecdsa-sha2-nistp256-cert-v01@openssh.com", NULL },
		{ SSHKEY_ECDSA_384, "ecdsa-sha2-nistp384-cert-v01@openssh.com", NULL },
		{ SSHKEY_ECDSA_521, "ecdsa-sha2-nistp521-cert-v01@openssh.com", NULL },
		{ SSHKEY_SK_ED25519, "sk-ssh-ed25519-cert-v01@openssh.com", NULL },
		{ SSHKEY_SK_ECDSA, "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", NULL },
		{ SSHKEY_RSA, "rsa-sha2-256-cert-v01@openssh.com", "rsa-sha2-256" },
		{ SSHKEY_RSA, "rsa-sha2-512-cert-v01@openssh.com", "rsa-sha2-512" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct make_key *k = make_key_new(rows[i].type, MODEL_RSA_BITS), *was = ca_b;
		struct shown v = usual();

		v.spec.key = k;
		v.alg = rows[i].alg;
		v.how.name = rows[i].sig;
		check(&v, ACCEPTED);
		/* The same type signs one. */
		ca_b = k;
		v = usual();
		v.set = make_set("", NULL);
		v.spec.ca = k;
		v.spec.how.name = rows[i].sig;
		check(&v, ACCEPTED);
		set_free((struct set *)(uintptr_t)v.set);
		ca_b = was;
		make_key_free(k);
	}
}

static void
c03(void **state)
{
	struct shown v = usual();

	(void)state;
	v.spec.type = 2;
	check(&v, "certificate-type");
	v.spec.type = 0;
	check(&v, "malformed-certificate");
	v.spec.type = 3;
	check(&v, "malformed-certificate");
	v.spec.type = UINT32_MAX;
	check(&v, "malformed-certificate");
}

static void
c04(void **state)
{
	static const char *many[257];
	struct shown v = usual();

	(void)state;
	for (size_t i = 0; i < 257; i++)
		many[i] = i == 1 ? "alice" : "nobody here";
	v.spec.principals = many;
	v.spec.n_principals = 256;
	check(&v, ACCEPTED);
	v.spec.n_principals = 257;
	check(&v, "malformed-certificate");
}

static void
c05(void **state)
{
	struct shown v = usual();

	(void)state;
	v.spec.n_principals = 0;
	check(&v, "no-principals");
}

/* The empty principal stands for nobody; the empty user name is no name either. */
static void
c06(void **state)
{
	static const char *const empty[] = { "" };
	struct shown v = usual();
	struct make_request q = { .user = "", .alg = ED_CERT, .key = subject };
	struct auth_scene scene = { .set = usual_set,
		.session_id = (const uint8_t *)"0123456789abcdef0123456789abcdef",
		.session_id_len = 32,
		.now_ns = NOW_S * CLOCK_NS_PER_S,
		.newest_s = NOW_S };
	struct auth a = { 0 };
	struct auth_result r;
	size_t msg_len;
	uint8_t *blob, *msg;

	(void)state;
	v.spec.principals = empty;
	check(&v, "unknown-principal");
	assert_int_equal(net_parse("192.0.2.7", &scene.source), 0);
	v.spec.principals = alice;
	blob = make_cert(&v.spec, &q.blob_len);
	q.blob = blob;
	q.sid = scene.session_id;
	q.sid_len = scene.session_id_len;
	msg = make_request(&q, &msg_len);
	assert_int_equal(auth_step(&a, &scene, msg, msg_len, &r), 0);
	assert_int_not_equal(r.answer, POL_AUTH_SUCCESS);
	auth_result_done(&r);
	free(msg);
	free(blob);
	auth_done(&a);
}

static void
c07(void **state)
{
	struct shown v = usual();

	(void)state;
	v.spec.before = 0;
	check(&v, "certificate-time");
	v.spec.after = v.spec.before = NOW_S;
	check(&v, "certificate-time");
	v.spec.after = 0;
	check(&v, "certificate-time"); /* now is valid_before */
	v.spec.before = NOW_S + 1;
	check(&v, ACCEPTED);
	v.spec.after = NOW_S;
	check(&v, ACCEPTED); /* now is valid_after */
}

static void
c08(void **state)
{
	struct shown v = usual();
	struct set *s = make_set("certificates: {longest: 24h}", NULL);

	(void)state;
	v.spec.after = 0;
	v.spec.before = UINT64_MAX;
	check(&v, ACCEPTED);
	v.set = s;
	check(&v, "certificate-time");
	v.spec.after = NOW_S;
	v.spec.before = NOW_S + 86400;
	check(&v, ACCEPTED);
	v.spec.before++;
	check(&v, "certificate-time");
	v.spec.after = NOW_S - 10 * 86400; /* it is not about what is left */
	v.spec.before = NOW_S + 1;
	check(&v, "certificate-time");
	set_free(s);
}

static void
c09(void **state)
{
	struct shown v = usual();

	(void)state;
	v.spec.before = (1ull << 63) + 5; /* negative for who reads it with a sign */
	check(&v, ACCEPTED);
	v.spec.after = 1ull << 63;
	check(&v, "certificate-time");
	v.spec.after = UINT64_MAX;
	v.spec.before = NOW_S + 60;
	check(&v, "certificate-time");
}

static void
c10(void **state)
{
	struct shown v = usual();

	(void)state;
	v.spec.after = NOW_S + 1;
	check(&v, "certificate-time");
}

/* Check with a list of options in one of the two fields. */
static void
with_options(struct shown *v, struct buf *critical, struct buf *extensions, const char *want)
{
	v->spec.critical = critical;
	v->spec.extensions = extensions;
	check(v, want);
	v->spec.critical = v->spec.extensions = NULL;
	buf_free(critical);
	buf_free(extensions);
}

static struct buf *
option(struct buf *b, const char *name, const char *data)
{
	if (b == NULL)
		b = buf_new(65536);
	assert_non_null(b);
	make_option(b, name, data);
	return b;
}

static void
c11(void **state)
{
	struct shown v = usual();

	(void)state;
	with_options(&v, option(NULL, "unheard@of", "1"), NULL, "malformed-certificate");
	with_options(&v, option(NULL, "permit-pty", NULL), NULL, "malformed-certificate");
	with_options(&v, option(NULL, "", NULL), NULL, "malformed-certificate");
}

static void
c12(void **state)
{
	struct shown v = usual();

	(void)state;
	with_options(&v, NULL, option(NULL, "unheard@of", "1"), ACCEPTED);
	/* A critical option among the extensions forbids nothing, as in OpenSSH. */
	with_options(&v, NULL, option(NULL, "source-address", "10.0.0.0/8"), ACCEPTED);
}

static void
c13(void **state)
{
	struct shown v = usual();
	struct buf *b;

	(void)state;
	with_options(&v, option(option(NULL, "force-command", "a"), "force-command", "a"), NULL,
	    "malformed-certificate");
	with_options(&v,
	    option(option(NULL, "source-address", "192.0.2.7"), "source-address", "192.0.2.7"),
	    NULL, "malformed-certificate");
	/* The order does not matter. */
	with_options(&v, option(option(NULL, "source-address", "192.0.2.7"), "force-command", "a"),
	    NULL, ACCEPTED);
	b = buf_new(256);
	make_option_raw(b, "force-command", "\0\0\0\2id!", 7);
	with_options(&v, b, NULL, "malformed-certificate");
	b = buf_new(256);
	make_option_raw(b, "verify-required", "!", 1);
	with_options(&v, b, NULL, "malformed-certificate");
	b = buf_new(256);
	make_option_raw(b, "permit-pty", "!", 1);
	with_options(&v, NULL, b, "malformed-certificate");
	b = buf_new(256);
	assert_int_equal(buf_put_str(b, "permit-pty\0x", 12), 0);
	assert_int_equal(buf_put_cstr(b, ""), 0);
	with_options(&v, NULL, b, "malformed-certificate");
	b = buf_new(256);
	assert_int_equal(buf_put_str(b, "verify-required\0", 16), 0);
	assert_int_equal(buf_put_cstr(b, ""), 0);
	with_options(&v, b, NULL, "malformed-certificate");
	b = buf_new(256);
	make_option_raw(b, "force-command", "\0\0\0\3i\0d", 7);
	with_options(&v, b, NULL, "malformed-certificate");
}

static void
c14(void **state)
{
	struct shown v = usual();
	size_t len;
	uint8_t *blob;

	(void)state;
	v.spec.tail = "";
	v.spec.tail_len = 1;
	check(&v, "malformed-certificate");
	v.spec.tail_len = 0;
	blob = make_cert(&v.spec, &len);
	for (size_t n = 0; n < len; n++) {
		uint8_t *cut = malloc(n > 0 ? n : 1);

		assert_non_null(cut);
		memcpy(cut, blob, n);
		check_blob(&v, cut, n, "malformed-certificate");
		free(cut);
	}
	check_blob(&v, blob, len, ACCEPTED);
	free(blob);
}

static void
c15(void **state)
{
	struct shown v = usual();
	struct buf *inner = buf_new(8192);
	size_t len;
	uint8_t *blob = make_cert(&v.spec, &len);

	(void)state;
	assert_int_equal(buf_put(inner, blob, len), 0);
	v.spec.ca_blob = inner;
	v.spec.ca = subject;
	v.spec.key = plain;
	check(&v, "malformed-certificate");
	free(blob);
	buf_free(inner);
}

static void
c16(void **state)
{
	struct shown v = usual();
	struct buf *says_ca = buf_new(256);
	size_t len;
	const uint8_t *blob = make_key_blob(ca, &len);

	(void)state;
	v.spec.ca = subject;
	check(&v, "unknown-ca");
	v.spec.ca = user_key;
	check(&v, "unknown-ca");
	assert_int_equal(buf_put(says_ca, blob, len), 0);
	v.spec.ca_blob = says_ca;
	check(&v, "bad-ca-signature");
	buf_free(says_ca);
}

static void
one_principal(const char *p, const char *want)
{
	struct shown v = usual();
	const char *const list[] = { p };

	v.spec.principals = list;
	check(&v, want);
}

static void
c17(void **state)
{
	(void)state;
	one_principal("alice,root", "unknown-principal");
	one_principal("root,alice", "unknown-principal");
	one_principal("alice", ACCEPTED);
}

static void
c18(void **state)
{
	static const char *const no[] = { "*", "al*", "?lice", "ALICE", "Alice", "alice ", " alice",
		"alice\t", "alice\n", "\xc3\xa1lice", "a\xcc\x81lice", "alic", "alicee" };
	struct shown v = usual();
	struct buf *raw = buf_new(64);

	(void)state;
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		one_principal(no[i], "unknown-principal");
	assert_int_equal(buf_put_str(raw, "alice\0", 6), 0);
	v.spec.raw_principals = raw;
	check(&v, "malformed-certificate");
	buf_free(raw);
}

static void
c19(void **state)
{
	static const struct {
		const char *list, *from, *want;
	} rows[] = {
		{ "10.0.0.0/8", "127.0.0.1", "source-address" },
		{ "127.0.0.0/8", "127.0.0.1", ACCEPTED },
		{ "127.0.0.0/8", "::1", "source-address" },
		{ "::1/128", "127.0.0.1", "source-address" },
		{ "::1/128", "::1", ACCEPTED },
		{ "::1", "::1", ACCEPTED },
		{ "10.0.0.0/8,127.0.0.1", "127.0.0.1", ACCEPTED },
		{ "::ffff:127.0.0.1", "127.0.0.1", ACCEPTED },
		{ "127.0.0.1", "::ffff:127.0.0.1", ACCEPTED },
		{ "::ffff:127.0.0.0/104", "127.1.2.3", ACCEPTED },
		{ "0.0.0.0/0", "127.0.0.1", ACCEPTED },
		{ "0.0.0.0/0", "::1", "source-address" },
		{ "::/0", "127.0.0.1", "source-address" },
		{ "127.0.0.1/33", "127.0.0.1", "malformed-certificate" },
		{ "127.0.0.1/8", "127.0.0.1", "malformed-certificate" },
		{ "127.0.0.1/-1", "127.0.0.1", "malformed-certificate" },
		{ "127.0.0.1/", "127.0.0.1", "malformed-certificate" },
		{ "::1/129", "::1", "malformed-certificate" },
		{ "", "127.0.0.1", "malformed-certificate" },
		{ ",", "127.0.0.1", "malformed-certificate" },
		{ "127.0.0.1,", "127.0.0.1", "malformed-certificate" },
		{ "127.0.0.1, ::1", "127.0.0.1", "malformed-certificate" },
		{ "!10.0.0.0/8,0.0.0.0/0", "127.0.0.1", "malformed-certificate" },
		{ "localhost", "127.0.0.1", "malformed-certificate" },
		{ "127.0.0.*", "127.0.0.1", "malformed-certificate" },
		{ "127.1", "127.0.0.1", "malformed-certificate" },
		{ "127.0.0.1,localhost", "127.0.0.1", "malformed-certificate" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct shown v = usual();

		v.from = rows[i].from;
		with_options(&v, option(NULL, "source-address", rows[i].list), NULL, rows[i].want);
	}
}

/*
 * The first factor is refused because of the address: nothing is proved, so no second factor completes it. (What the second
 * one may be is in tests/unit/test_auth.c.)
 */
static void
c20(void **state)
{
	struct shown v = usual();
	struct make_request q = { .user = "alice", .alg = ED_CERT, .key = subject };
	struct auth_scene scene = { .set = usual_set,
		.session_id = (const uint8_t *)"0123456789abcdef0123456789abcdef",
		.session_id_len = 32,
		.now_ns = NOW_S * CLOCK_NS_PER_S,
		.newest_s = NOW_S };
	struct buf *from = option(NULL, "source-address", "10.0.0.0/8");
	struct auth a = { 0 };
	struct auth_result r;
	size_t msg_len;
	uint8_t *blob, *msg;

	(void)state;
	assert_int_equal(net_parse("192.0.2.7", &scene.source), 0);
	v.spec.critical = from;
	blob = make_cert(&v.spec, &q.blob_len);
	q.blob = blob;
	q.sid = scene.session_id;
	q.sid_len = scene.session_id_len;
	msg = make_request(&q, &msg_len);
	assert_int_equal(auth_step(&a, &scene, msg, msg_len, &r), 0);
	assert_int_equal(r.answer, POL_AUTH_FAILURE);
	assert_string_equal(r.reason, "source-address");
	assert_false(r.partial);
	assert_int_equal(a.pass.n_factors, 0);
	auth_result_done(&r);
	free(msg);
	free(blob);
	buf_free(from);
	auth_done(&a);
}

static struct buf *
krl_of(const struct krl_change *change)
{
	struct buf *b = buf_new(65536);

	assert_non_null(b);
	assert_int_equal(krl_extend(NULL, 0, NOW_S, change, 1, b), 0);
	return b;
}

static void
revoked_by(const struct krl_change *change, const char *want)
{
	struct shown v = usual();
	struct buf *krl = krl_of(change);
	struct set *s = make_set("", krl);

	v.set = s;
	check(&v, want);
	set_free(s);
	buf_free(krl);
}

/* A list that is no list is never an empty one: there is no set, so nobody gets in, or the set before stays. */
static void
c21_unreadable(void)
{
	struct krl_change change = { .low = 7, .high = 7 };
	struct buf *krl = krl_of(&change);
	char err[SET_ERR_SIZE];

	/* Behind the head every byte that is missing is noticed. */
	for (size_t n = 0; n < buf_len(krl); n++) {
		struct set *s = set_new();
		int r = set_add_file(
		    s, POL_FILE_REVOKED, "krl", (const char *)buf_ptr(krl), n, NULL, err);

		if (n != 44)
			assert_int_equal(r, ERR_FORMAT);
		set_free(s);
	}
	/* A signature section, right or wrong: nothing here would check it, and OpenSSH 10 refuses it as well. */
	assert_int_equal(buf_put_u8(krl, 4), 0);
	assert_int_equal(buf_put_cstr(krl, "not a key"), 0);
	assert_int_equal(buf_put_cstr(krl, "not a signature"), 0);
	{
		struct set *s = set_new();

		assert_int_equal(set_add_file(s, POL_FILE_REVOKED, "krl",
				     (const char *)buf_ptr(krl), buf_len(krl), NULL, err),
		    ERR_FORMAT);
		set_free(s);
	}
	buf_free(krl);
}

static void
c21(void **state)
{
	struct krl_change change = { .low = 7, .high = 7 };

	(void)state;
	change.ca_blob = make_key_blob(ca, &change.ca_blob_len);
	revoked_by(&change, "revoked"); /* serial */
	change.low = 1;
	change.high = 100;
	revoked_by(&change, "revoked");
	change.low = 8;
	revoked_by(&change, ACCEPTED);
	change.low = 1;
	change.high = 6;
	revoked_by(&change, ACCEPTED);
	change.key_id = "test";
	revoked_by(&change, "revoked");
	change.key_id = "tes";
	revoked_by(&change, ACCEPTED);
	change.key_id = "test";
	change.ca_blob = make_key_blob(ca_b, &change.ca_blob_len);
	revoked_by(&change, ACCEPTED); /* of another CA */
	change = (struct krl_change){ .low = 7, .high = 7 };
	revoked_by(&change, "revoked"); /* of every CA */
	change.key_blob = make_key_blob(subject, &change.key_blob_len);
	revoked_by(&change, "revoked");
	change.key_blob = make_key_blob(ca, &change.key_blob_len);
	revoked_by(&change, "revoked");
	change.key_blob = make_key_blob(user_key, &change.key_blob_len);
	revoked_by(&change, ACCEPTED);
	c21_unreadable();
}

static void
c22(void **state)
{
	struct make_key *was = ca;
	struct shown v = usual();
	struct set *s;

	(void)state;
	check(&v, ACCEPTED);
	ca = plain; /* the CA leaves the configuration */
	s = make_set("", NULL);
	ca = was;
	v.set = s;
	check(&v, "unknown-ca");
	set_free(s);
}

static void
c23_short_ca(unsigned bits, const char *top, bool loads, const char *want)
{
	struct make_key *k = make_key_new(SSHKEY_RSA, bits);
	struct shown v = usual();
	char err[SET_ERR_SIZE] = "", *line = make_key_line(k, "ca");
	struct set *s = set_new();
	int r;

	assert_int_equal(set_add_file(s, POL_FILE_POLICY, "p", top, strlen(top), NULL, err), 0);
	r = set_add_file(s, POL_FILE_USER_CA, "ca", line, strlen(line), NULL, err);
	if (r == 0 && (r = set_add_chain(s, "publickey", err)) == 0)
		r = set_finish(s, 6, err);
	assert_int_equal(r == 0, loads);
	set_free(s);
	/* Where it is not in the configuration it is nobody's CA anyway. */
	v.spec.ca = k;
	check(&v, want);
	free(line);
	make_key_free(k);
}

static void
c23(void **state)
{
	struct make_key *k = make_key_new(SSHKEY_RSA, MODEL_RSA_BITS), *was = ca_b;
	struct buf *dss = buf_new(256);
	struct shown v = usual();

	(void)state;
	ca_b = k;
	v.set = make_set("", NULL);
	v.spec.ca = k;
	check(&v, ACCEPTED);
	v.spec.how.name = "ssh-rsa"; /* SHA-1 */
	check(&v, "bad-ca-signature");
	v.spec.how.name = "rsa-sha2-256"; /* that says one digest and has another */
	v.spec.how.digest = "SHA1";
	check(&v, "bad-ca-signature");
	set_free((struct set *)(uintptr_t)v.set);
	ca_b = was;
	make_key_free(k);
	c23_short_ca(1024, "{}", false, "unknown-ca");
	c23_short_ca(2048, "{}", false, "unknown-ca");
	c23_short_ca(2048, "compat: [rsa-2048]", true, "unknown-ca");
	c23_short_ca(1024, "compat: [rsa-2048]", false, "unknown-ca");
	v = usual();
	assert_int_equal(buf_put_cstr(dss, "ssh-dss"), 0);
	v.spec.ca_blob = dss;
	check(&v, "malformed-certificate");
	buf_free(dss);
}

/* There is no list of allowed algorithms; what can differ is the name in the request and the curve in the key. */
static void
c24(void **state)
{
	struct make_key *k = make_key_new(SSHKEY_ECDSA_521, 0);
	struct shown v = usual();

	(void)state;
	v.spec.key = k;
	v.alg = "ecdsa-sha2-nistp521-cert-v01@openssh.com";
	check(&v, ACCEPTED);
	v.alg = "ecdsa-sha2-nistp256-cert-v01@openssh.com";
	check(&v, "algorithm-mismatch");
	v.spec.type_name = v.alg;
	check(&v, "malformed-certificate");
	make_key_free(k);
}

static void
c25(void **state)
{
	static const char *const types[] = { "ssh-rsa-cert-v01@openssh.com",
		"ecdsa-sha2-nistp256-cert-v01@openssh.com", "sk-ssh-ed25519-cert-v01@openssh.com",
		"ssh-ed25519", "ssh-ed25519-cert-v00@openssh.com", "" };
	struct shown v = usual();

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		v.spec.type_name = types[i];
		check(&v, "malformed-certificate");
	}
}

/* Request, signature and key must say the same; one row a permutation, and RSA's two names, which are not one. */
static void
c26(void **state)
{
	struct make_key *rsa = make_key_new(SSHKEY_RSA, MODEL_RSA_BITS),
			*ec = make_key_new(SSHKEY_ECDSA_256, 0);
	struct shown v = usual();

	(void)state;
	v.alg = "ecdsa-sha2-nistp256-cert-v01@openssh.com"; /* the request differs */
	check(&v, "algorithm-mismatch");
	v.alg = "ssh-ed25519";
	check(&v, "malformed-key");
	v = usual();
	v.how.name = "ecdsa-sha2-nistp256"; /* the signature's name differs */
	check(&v, "bad-signature");
	v.how.name = ED_CERT;
	check(&v, "bad-signature");
	v = usual();
	v.signer = ec; /* the key that signs differs, of another type */
	check(&v, "bad-signature");
	v.signer = plain; /* and of the same */
	check(&v, "bad-signature");
	v = usual();
	v.spec.key = rsa;
	v.alg = "rsa-sha2-256-cert-v01@openssh.com";
	v.how.name = "rsa-sha2-512";
	check(&v, "bad-signature");
	v.alg = "ssh-rsa-cert-v01@openssh.com";
	v.how.name = "ssh-rsa";
	check(&v, "unknown-algorithm");
	make_key_free(rsa);
	make_key_free(ec);
}

/* What a certificate permits or forces, as sessions get it. */
static struct cert *
read_permits(struct buf *critical, struct buf *extensions)
{
	struct shown v = usual();
	struct cert *c = NULL;
	uint8_t *blob;
	size_t len;

	v.spec.critical = critical;
	v.spec.extensions = extensions;
	blob = make_cert(&v.spec, &len);
	assert_int_equal(cert_parse(blob, len, &c, NULL), 0);
	free(blob);
	buf_free(critical);
	buf_free(extensions);
	return c;
}

static void
c27(void **state)
{
	struct cert *c = read_permits(option(NULL, "force-command", "id -u"), NULL);
	struct shown v = usual();

	(void)state;
	assert_string_equal(c->force_command, "id -u");
	cert_free(c);
	with_options(&v, option(NULL, "force-command", "id -u"), NULL, ACCEPTED);
	with_options(&v, option(NULL, "force-command", ""), NULL, "malformed-certificate");
}

static void
c28(void **state)
{
	struct buf *all =
	    option(option(option(NULL, "permit-pty", NULL), "permit-port-forwarding", NULL),
		"permit-agent-forwarding", NULL);
	struct cert *c = read_permits(NULL, NULL);

	(void)state;
	assert_int_equal(c->permits, 0);
	cert_free(c);
	c = read_permits(NULL, all);
	assert_int_equal(c->permits,
	    CERT_PERMIT_PTY | CERT_PERMIT_PORT_FORWARDING | CERT_PERMIT_AGENT_FORWARDING);
	cert_free(c);
}

static void
c29(void **state)
{
	struct make_key *sk = make_key_new(SSHKEY_SK_ED25519, 0);
	struct set *lax = make_set("compat: [sk-no-touch]", NULL);
	struct shown v = usual();
	struct buf *b = buf_new(64);

	(void)state;
	make_option_raw(b, "verify-required", "", 0);
	v.spec.critical = b;
	check(&v, "verify-required");
	v.spec.key = sk;
	v.alg = "sk-ssh-ed25519-cert-v01@openssh.com";
	check(&v, "not-verified");
	v.how.more_flags = 0x04;
	check(&v, ACCEPTED);
	v.how.no_flags = 0x01;
	check(&v, "not-touched");
	v.spec.critical = NULL;
	buf_free(b);
	b = buf_new(64);
	make_option_raw(b, "no-touch-required", "", 0);
	v.spec.extensions = b;
	check(&v, "not-touched");
	v.set = lax;
	check(&v, ACCEPTED);
	v.spec.extensions = NULL;
	check(&v, "not-touched");
	buf_free(b);
	set_free(lax);
	make_key_free(sk);
}

static void
c30(void **state)
{
	struct shown v = usual();
	size_t len;
	const uint8_t *blob = make_key_blob(ca, &len);

	(void)state;
	v.alg = "ssh-ed25519";
	v.signer = ca;
	check_blob(&v, blob, len, "unknown-key");
	blob = make_key_blob(subject, &len);
	v.signer = subject;
	check_blob(&v, blob, len, "unknown-key");
	blob = make_key_blob(user_key, &len); /* unless it is listed */
	v.signer = user_key;
	check_blob(&v, blob, len, ACCEPTED);
}

/* Whatever the key id holds, the event is one line and one JSON object. */
static void
c31_event(const char *key_id, size_t key_id_len)
{
	struct shown v = usual();
	struct auth_scene scene = { .set = usual_set,
		.session_id = (const uint8_t *)"0123456789abcdef0123456789abcdef",
		.session_id_len = 32,
		.now_ns = NOW_S * CLOCK_NS_PER_S,
		.newest_s = NOW_S };
	struct make_request q = { .user = "alice", .alg = ED_CERT, .key = subject };
	struct audit_conn w = { 1, "ref", "192.0.2.7:1", "192.0.2.1:22", 0, "" };
	struct json_node *root = NULL;
	struct auth a = { 0 };
	struct auth_result r;
	char *text = NULL;
	uint8_t *blob, *msg;
	size_t msg_len, len = 0;

	v.spec.key_id = key_id;
	v.spec.key_id_len = key_id_len;
	assert_int_equal(net_parse("192.0.2.7", &scene.source), 0);
	blob = make_cert(&v.spec, &q.blob_len);
	q.blob = blob;
	q.sid = scene.session_id;
	q.sid_len = 32;
	msg = make_request(&q, &msg_len);
	assert_int_equal(auth_step(&a, &scene, msg, msg_len, &r), 0);
	if (r.event != NULL) {
		assert_int_equal(audit_auth(&w, &a, &r, scene.now_ns, 1, &text, &len), 0);
		for (size_t i = 0; i < len; i++)
			assert_true(text[i] >= ' ' && text[i] <= '~');
		assert_int_equal(json_parse(text, len, &root), 0);
		json_node_free(root);
		free(text);
	}
	auth_result_done(&r);
	free(msg);
	free(blob);
	auth_done(&a);
}

static void
c31(void **state)
{
	struct shown v = usual();
	char *big = malloc(65536);

	(void)state;
	assert_non_null(big);
	memset(big, 'x', 65536);
	c31_event("a\nb\x1b[31m\"\\\xff\xfe\xc3", 0);
	c31_event(big, 1024);
	c31_event(big, 30000);
	v.spec.key_id = "a\nb\x1b[31m\"\\\xff\xfe\xc3";
	check(&v, ACCEPTED);
	v.spec.key_id = big;
	v.spec.key_id_len = 65536;
	check(&v, "malformed-certificate");
	free(big);
}

static void
c32(void **state)
{
	static const char *const carol[] = { "carol" };
	struct shown v = usual();

	(void)state;
	v.spec.principals = carol;
	v.who = "carol";
	check(&v, ACCEPTED);
	v.spec.ca = ca_b;
	check(&v, "unknown-ca");
	v.spec.principals = alice;
	v.who = "alice";
	check(&v, ACCEPTED); /* who has no CA of her own takes both */
}

/* What was good at login is asked again for each new target. */
static void
c33(void **state)
{
	struct shown v = usual();
	struct auth_scene scene = { .set = usual_set, .newest_s = NOW_S };
	struct pass pass = { .identity = "alice" };
	struct proof p;
	size_t len;
	uint8_t *blob = make_cert(&v.spec, &len);

	(void)state;
	assert_int_equal(net_parse("192.0.2.7", &scene.source), 0);
	assert_int_equal(pass_add_key(&pass, ED_CERT, "", blob, len), 0);
	scene.now_ns = (v.spec.before - 1) * CLOCK_NS_PER_S;
	assert_int_equal(proof_read(&p, &scene, &pass, NULL), 0);
	proof_done(&p);
	scene.now_ns = v.spec.before * CLOCK_NS_PER_S;
	assert_int_equal(proof_read(&p, &scene, &pass, NULL), ERR_DENIED);
	assert_string_equal(p.reason, "certificate-time");
	proof_done(&p);
	pass_done(&pass);
	free(blob);
}

static void
c34(void **state)
{
	struct shown v = usual();

	(void)state;
	v.newest_s = v.spec.before - 1;
	v.now_s = NOW_S - 30;
	check(&v, ACCEPTED);
	v.newest_s = v.spec.before; /* it was this late once */
	check(&v, "certificate-time");
	v.now_s = NOW_S - 86400;
	v.spec.after = 0;
	check(&v, "certificate-time");
}

static void
c35(void **state)
{
	struct shown v = usual();
	struct credential_scene scene = { .now_s = NOW_S, .newest_s = NOW_S };
	static const char *const other[] = { "what another client signs", "",
		"What the client signs" };
	struct credential c;
	size_t len, sig_len;
	uint8_t *blob = make_cert(&v.spec, &len), *sig;

	(void)state;
	sig = make_sign(subject, DATA, strlen(DATA), NULL, &sig_len);
	assert_int_equal(net_parse(v.from, &scene.source), 0);
	for (int i = 0; i < 10000; i++) {
		assert_int_equal(credential_read(&c, v.set, &scene, v.alg, blob, len), 0);
		assert_int_equal(
		    credential_verify(&c, sig, sig_len, (const uint8_t *)DATA, strlen(DATA)), 0);
		credential_done(&c);
	}
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		assert_int_equal(credential_read(&c, v.set, &scene, v.alg, blob, len), 0);
		assert_int_equal(credential_verify(
				     &c, sig, sig_len, (const uint8_t *)other[i], strlen(other[i])),
		    ERR_DENIED);
		credential_done(&c);
	}
	free(sig);
	free(blob);
}

/* Mutations: the same ones in every run. */

#define MUTATED 10000

static uint64_t seed = 88172645463325252ull;

static uint64_t
random_below(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

/* One change: flip, set, cut, double, remove, swap, or a length that lies. *len may grow up to size. */
static void
mutate(uint8_t *p, size_t *len, size_t size)
{
	static const uint8_t odd[] = { 0x00, 0xff, 0x7f, 0x80, 0x01, 0x20 };
	size_t at = (size_t)random_below(*len), n = 1 + (size_t)random_below(8);

	n = n > *len - at ? *len - at : n;
	switch (random_below(7)) {
	case 0:
		p[at] ^= (uint8_t)(1u << random_below(8));
		return;
	case 1:
		p[at] = odd[random_below(sizeof(odd))];
		return;
	case 2:
		*len = at > 0 ? at : 1;
		return;
	case 3:
		if (*len + n > size)
			return;
		memmove(p + at + n, p + at, *len - at);
		*len += n;
		return;
	case 4:
		memmove(p + at, p + at + n, *len - at - n);
		*len = *len > n ? *len - n : 1;
		return;
	case 5:
		p[at] = p[random_below(*len)];
		return;
	default:
		for (size_t i = 0; i < 4 && at + i < *len; i++)
			p[at + i] = i < 2 ? 0 : (uint8_t)random_below(256);
	}
}

static void
mutated(void **state)
{
	static const enum sshkey_type types[] = { SSHKEY_ED25519, SSHKEY_ECDSA_256, SSHKEY_RSA,
		SSHKEY_SK_ED25519 };
	static const char *const algs[] = { ED_CERT, "ecdsa-sha2-nistp256-cert-v01@openssh.com",
		"rsa-sha2-512-cert-v01@openssh.com", "sk-ssh-ed25519-cert-v01@openssh.com" };
	struct credential_scene scene = { .now_s = NOW_S, .newest_s = NOW_S };
	unsigned n_same = 0;

	(void)state;
	assert_int_equal(net_parse("192.0.2.7", &scene.source), 0);
	for (size_t t = 0; t < 4; t++) {
		struct make_key *k = make_key_new(types[t], MODEL_RSA_BITS);
		struct buf *crit = option(option(NULL, "source-address", "192.0.2.0/24,::1"),
			       "force-command", "id"),
			   *ext = option(option(NULL, "permit-pty", NULL), "permit-user-rc", NULL);
		struct shown v = usual();
		size_t len;
		uint8_t *blob;

		v.spec.key = k;
		v.spec.critical = crit;
		v.spec.extensions = ext;
		blob = make_cert(&v.spec, &len);
		for (unsigned i = 0; i < MUTATED / 4; i++) {
			size_t n = len, size = len + 64;
			/* Of exactly its size, so that a sanitizer sees one byte too many. */
			uint8_t *work = malloc(size), *copy;
			struct credential c;

			assert_non_null(work);
			memcpy(work, blob, len);
			for (uint64_t m = 1 + random_below(4); m > 0; m--)
				mutate(work, &n, size);
			copy = malloc(n);
			assert_non_null(copy);
			memcpy(copy, work, n);
			if (n == len && memcmp(copy, blob, len) == 0)
				n_same++;
			else
				assert_int_equal(
				    credential_read(&c, v.set, &scene, algs[t], copy, n),
				    ERR_DENIED);
			if (n != len || memcmp(copy, blob, len) != 0)
				credential_done(&c);
			free(copy);
			free(work);
		}
		free(blob);
		buf_free(crit);
		buf_free(ext);
		make_key_free(k);
	}
	assert_true(n_same < MUTATED / 10);
}

#define VECTOR(n, f)                                                                               \
	{                                                                                          \
		n, f, NULL, NULL, NULL                                                             \
	}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		VECTOR("C01 a valid certificate", c01),
		VECTOR("C02 every type of key, in a certificate and as a CA", c02),
		VECTOR("C03 host certificates and unknown types", c03),
		VECTOR("C04 second of 256 principals; 257", c04),
		VECTOR("C05 no principals", c05),
		VECTOR("C06 the empty principal and the empty name", c06),
		VECTOR("C07 the ends of the validity", c07),
		VECTOR("C08 for ever, and certificates.longest", c08),
		VECTOR("C09 times are unsigned", c09),
		VECTOR("C10 not yet valid by a second", c10),
		VECTOR("C11 unknown critical options", c11),
		VECTOR("C12 unknown extensions", c12),
		VECTOR("C13 options twice, out of order, with a tail, with a NUL", c13),
		VECTOR("C14 a tail; cut at every byte", c14),
		VECTOR("C15 signed by a certificate", c15),
		VECTOR("C16 signed by itself, by a user's key", c16),
		VECTOR("C17 a list in one principal", c17),
		VECTOR("C18 principals that are almost the name", c18),
		VECTOR("C19 source addresses", c19),
		VECTOR("C20 a bad source address and a second factor", c20),
		VECTOR("C21 revoked in every way; lists that cannot be read", c21),
		VECTOR("C22 a CA that is no longer configured", c22),
		VECTOR("C23 SHA-1, short RSA and DSA of CAs", c23),
		VECTOR("C24 one curve for another", c24),
		VECTOR("C25 outer and inner type", c25),
		VECTOR("C26 algorithm of request, signature and key", c26),
		VECTOR("C27 a forced command is read", c27),
		VECTOR("C28 permits are only those listed", c28),
		VECTOR("C29 touched and verified security keys", c29),
		VECTOR("C30 a CA's key, a certificate's key alone", c30),
		VECTOR("C31 key ids of any bytes", c31),
		VECTOR("C32 a CA that does not speak for somebody", c32),
		VECTOR("C33 expired before the next target", c33),
		VECTOR("C34 the clock went back", c34),
		VECTOR("C35 10,000 logins, and a replay", c35),
		VECTOR("10,000 mutated certificates", mutated),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
