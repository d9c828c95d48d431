/* The certificate reader against made-up certificates: each vector is right but for one thing. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/file.h"
#include "lib/str.h"
#include "policy/algs.h"
#include "policy/cert.h"
#include "tests/lib/ssh_make.h"

static struct make_key *ca, *subject;
static const char *const alice[] = { "alice" };

static int
setup(void **state)
{
	(void)state;
	ca = make_key_new(SSHKEY_ED25519, 0);
	subject = make_key_new(SSHKEY_ED25519, 0);
	return sshkey_init();
}

static int
teardown(void **state)
{
	(void)state;
	make_key_free(ca);
	make_key_free(subject);
	return 0;
}

static struct make_cert
usual(void)
{
	return (struct make_cert){ .key = subject,
		.ca = ca,
		.serial = 7,
		.type = 1,
		.principals = alice,
		.n_principals = 1,
		.after = 100,
		.before = 200 };
}

/* Parse and verify with the CA that it names, as a caller that trusts it would. */
static int
check(const struct make_cert *spec, struct cert **ret_cert, const char **why)
{
	size_t len, ca_len;
	uint8_t *blob = make_cert(spec, &len);
	struct sshkey *key = NULL;
	struct cert *c = NULL;
	int r = cert_parse(blob, len, &c, why);

	if (r == 0 && spec->ca_blob == NULL) {
		const uint8_t *ca_blob = make_key_blob(spec->ca, &ca_len);

		assert_int_equal(c->ca_blob_len, ca_len);
		assert_memory_equal(c->ca_blob, ca_blob, ca_len);
		assert_int_equal(sshkey_parse(c->ca_blob, c->ca_blob_len, &key), 0);
		r = cert_verify(c, blob, key, 3072);
		sshkey_free(key);
	}
	free(blob);
	if (r != 0) {
		cert_free(c);
		c = NULL;
	}
	*ret_cert = c;
	return r;
}

static void
refused(const struct make_cert *spec, int want, const char *want_why)
{
	const char *why = NULL;
	struct cert *c;

	assert_int_equal(check(spec, &c, &why), want);
	if (want_why != NULL) {
		assert_non_null(why);
		assert_string_equal(why, want_why);
	}
}

static struct cert *
accepted(const struct make_cert *spec)
{
	const char *why = NULL;
	struct cert *c;
	int r = check(spec, &c, &why);

	if (r != 0)
		print_error("%s: %s\n", err_str(r), why != NULL ? why : "-");
	assert_int_equal(r, 0);
	return c;
}

static void
test_every_field_is_read(void **state)
{
	struct make_cert spec = usual();
	size_t len;
	const uint8_t *blob = make_key_blob(subject, &len);
	struct cert *c;

	(void)state;
	spec.serial = UINT64_MAX;
	spec.key_id = "alice@work";
	c = accepted(&spec);
	assert_true(c->serial == UINT64_MAX);
	assert_int_equal(c->type, CERT_USER);
	assert_string_equal(c->key_id, "alice@work");
	assert_string_equal(c->blob_type, "ssh-ed25519-cert-v01@openssh.com");
	assert_int_equal(c->n_principals, 1);
	assert_string_equal(c->principals[0], "alice");
	assert_true(c->valid_after == 100 && c->valid_before == 200);
	assert_int_equal(c->key_blob_len, len);
	assert_memory_equal(c->key_blob, blob, len);
	assert_null(c->force_command);
	assert_false(c->has_sources || c->verify_required);
	assert_int_equal(c->permits, 0);
	cert_free(c);
}

/* C02: every kind of subject key and of CA key that OpenSSH signs with, but SHA-1 and short RSA keys (C23). */
static void
test_every_key_type(void **state)
{
	(void)state;
	for (int t = 0; t < SSHKEY_N_TYPES; t++) {
		struct make_key *k = make_key_new((enum sshkey_type)t, 3072);
		struct make_cert spec = usual();

		spec.key = k;
		cert_free(accepted(&spec));
		spec.key = subject;
		spec.ca = k;
		cert_free(accepted(&spec));
		if (t == SSHKEY_RSA) {
			spec.how.name = "rsa-sha2-256";
			cert_free(accepted(&spec));
			spec.how.name = "ssh-rsa";
			refused(&spec, ERR_FORMAT, NULL);
		}
		make_key_free(k);
	}
}

static void
test_short_rsa_ca(void **state)
{
	struct make_cert spec = usual();
	struct make_key *k = make_key_new(SSHKEY_RSA, 2048);
	struct sshkey *key = NULL;
	struct cert *c = NULL;
	size_t len;
	uint8_t *blob;

	(void)state;
	spec.ca = k;
	refused(&spec, ERR_LIMIT, NULL);
	blob = make_cert(&spec, &len);
	assert_int_equal(cert_parse(blob, len, &c, NULL), 0);
	assert_int_equal(sshkey_parse(c->ca_blob, c->ca_blob_len, &key), 0);
	assert_int_equal(cert_verify(c, blob, key, 2048), 0);
	sshkey_free(key);
	cert_free(c);
	free(blob);
	make_key_free(k);
}

/* C03 */
static void
test_types(void **state)
{
	static const uint32_t bad[] = { 0, 3, 0xffffffffu };
	struct make_cert spec = usual();
	struct cert *c;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		spec.type = bad[i];
		refused(&spec, ERR_DENIED, "neither a user nor a host certificate");
	}
	spec.type = 2;
	c = accepted(&spec);
	assert_int_equal(c->type, CERT_HOST);
	cert_free(c);
}

/* C04 */
static void
test_number_of_principals(void **state)
{
	const char *list[CERT_PRINCIPALS_MAX + 1];
	struct make_cert spec = usual();
	struct cert *c;

	(void)state;
	for (size_t i = 0; i < CERT_PRINCIPALS_MAX + 1; i++)
		list[i] = i == CERT_PRINCIPALS_MAX - 1 ? "alice" : "other";
	spec.principals = list;
	spec.n_principals = CERT_PRINCIPALS_MAX;
	c = accepted(&spec);
	assert_true(cert_has_principal(c, "alice"));
	cert_free(c);
	spec.n_principals = CERT_PRINCIPALS_MAX + 1;
	refused(&spec, ERR_LIMIT, "too many principals");
}

/* C05, C06, C17, C18: an empty list matches nobody, and nothing but the same bytes matches. */
static void
test_principals_match_exactly(void **state)
{
	static const char *const odd[] = { "alice,root", "*", "al*", "ALICE", "alice ", " alice",
		"\xc3\xa1lice", "" };
	struct make_cert spec = usual();
	struct cert *c;

	(void)state;
	spec.n_principals = 0;
	c = accepted(&spec);
	assert_false(cert_has_principal(c, "alice") || cert_has_principal(c, ""));
	cert_free(c);
	spec.principals = odd;
	spec.n_principals = sizeof(odd) / sizeof(odd[0]);
	c = accepted(&spec);
	assert_false(cert_has_principal(c, "alice"));
	assert_false(cert_has_principal(c, "root"));
	assert_true(cert_has_principal(c, "alice,root"));
	cert_free(c);
}

static void
test_nul_in_texts(void **state)
{
	struct make_cert spec = usual();
	struct buf *raw = buf_new(64);

	(void)state;
	assert_int_equal(buf_put_str(raw, "alice\0root", 10), 0);
	spec.raw_principals = raw;
	refused(&spec, ERR_FORMAT, "malformed principal");
	spec = usual();
	spec.key_id = "a\0b";
	spec.key_id_len = 3;
	refused(&spec, ERR_FORMAT, "malformed key id");
	buf_free(raw);
}

/* C07, C08, C09, C10 */
static void
test_times(void **state)
{
	static const struct {
		uint64_t after, before, now;
		const char *why;
	} rows[] = {
		{ 100, 200, 99, "not yet valid" },
		{ 100, 200, 100, NULL },
		{ 100, 200, 199, NULL },
		{ 100, 200, 200, "expired" },
		{ 0, 0, 100, "expired" },
		{ 150, 150, 150, "expired" },
		{ 0, UINT64_MAX, 100, NULL },
		{ UINT64_MAX - 1, UINT64_MAX, 100, "not yet valid" },
		{ 0x8000000000000000ull, UINT64_MAX, 100, "not yet valid" },
		{ 0, 0x8000000000000000ull, 100, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct make_cert spec = usual();
		const char *why;
		struct cert *c;

		spec.after = rows[i].after;
		spec.before = rows[i].before;
		c = accepted(&spec);
		why = cert_check_time(c, rows[i].now);
		if (rows[i].why == NULL)
			assert_null(why);
		else
			assert_string_equal(why, rows[i].why);
		cert_free(c);
	}
}

/* Options: {name, raw contents} one or two, critical or extension, and what comes out. C11, C12, C13, C29. */
struct option_row {
	bool critical;
	struct {
		const char *name, *data;
		size_t len;
	} options[2];
	int want;
	const char *why;
};
#define RAW(s) s, sizeof(s) - 1

static const struct option_row option_rows[] = {
	{ true, { { "unheard@of", RAW("") } }, ERR_DENIED, "unknown critical option" },
	{ true, { { "permit-pty", RAW("") } }, ERR_DENIED, "unknown critical option" },
	{ true, { { "", RAW("") } }, ERR_DENIED, "unknown critical option" },
	{ true, { { "force-command", RAW("\0\0\0\2id") } }, 0, NULL },
	{ true, { { "force-command", RAW("\0\0\0\2id!") } }, ERR_FORMAT,
	    "trailing bytes in an option" },
	{ true, { { "force-command", RAW("\0\0\0\3i\0d") } }, ERR_FORMAT,
	    "malformed force-command" },
	{ true, { { "force-command", RAW("\0\0\0\0") } }, ERR_DENIED, "empty force-command" },
	{ true, { { "force-command", RAW("") } }, ERR_FORMAT, "malformed force-command" },
	{ true, { { "force-command", RAW("\0\0\0\2id") }, { "force-command", RAW("\0\0\0\2id") } },
	    ERR_DENIED, "force-command is there twice" },
	{ true,
	    { { "source-address", RAW("\0\0\0\3::1") }, { "source-address", RAW("\0\0\0\3::1") } },
	    ERR_DENIED, "source-address is there twice" },
	{ true,
	    { { "source-address", RAW("\0\0\0\3::1") }, { "force-command", RAW("\0\0\0\2id") } }, 0,
	    NULL },
	{ true, { { "verify-required", RAW("") } }, 0, NULL },
	{ true, { { "verify-required", RAW("x") } }, ERR_FORMAT, "trailing bytes in an option" },
	{ false, { { "unheard@of", RAW("whatever") } }, 0, NULL },
	{ false, { { "force-command", RAW("\0\0\0\2id") } }, 0, NULL },
	{ false, { { "permit-pty", RAW("") } }, 0, NULL },
	{ false, { { "permit-pty", RAW("x") } }, ERR_FORMAT, "trailing bytes in an option" },
	{ false, { { "no-touch-required", RAW("") }, { "permit-pty", RAW("") } }, 0, NULL },
};

static void
test_options(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(option_rows) / sizeof(option_rows[0]); i++) {
		const struct option_row *row = &option_rows[i];
		struct make_cert spec = usual();
		struct buf *b = buf_new(4096);

		for (int k = 0; k < 2 && row->options[k].name != NULL; k++)
			make_option_raw(
			    b, row->options[k].name, row->options[k].data, row->options[k].len);
		if (row->critical)
			spec.critical = b;
		else
			spec.extensions = b;
		if (row->want == 0)
			cert_free(accepted(&spec));
		else
			refused(&spec, row->want, row->why);
		buf_free(b);
	}
}

static void
test_option_names_with_nul(void **state)
{
	struct make_cert spec = usual();
	struct buf *b = buf_new(256);

	(void)state;
	assert_int_equal(buf_put_str(b, "permit-pty\0x", 12), 0);
	assert_int_equal(buf_put_str(b, "", 0), 0);
	spec.extensions = b;
	refused(&spec, ERR_FORMAT, "malformed option");
	spec.extensions = NULL;
	spec.critical = b;
	refused(&spec, ERR_FORMAT, "malformed option");
	buf_free(b);
}

static void
test_permits_are_only_those_listed(void **state)
{
	struct make_cert spec = usual();
	struct buf *b = buf_new(4096);
	struct cert *c;

	(void)state;
	make_option_raw(b, "permit-pty", "", 0);
	make_option_raw(b, "permit-agent-forwarding", "", 0);
	make_option_raw(b, "Permit-X11-forwarding", "", 0);
	spec.extensions = b;
	c = accepted(&spec);
	assert_int_equal(c->permits, CERT_PERMIT_PTY | CERT_PERMIT_AGENT_FORWARDING);
	cert_free(c);
	buf_free(b);
}

/* C19 */
static void
test_source_address(void **state)
{
	static const struct {
		const char *list, *from;
		int want; /* 1 allowed, 0 refused, -1 the certificate is no good */
	} rows[] = {
		{ "10.0.0.0/8", "127.0.0.1", 0 },
		{ "127.0.0.0/8", "127.0.0.1", 1 },
		{ "127.0.0.1", "127.0.0.1", 1 },
		{ "127.0.0.1", "127.0.0.2", 0 },
		{ "::1/128", "127.0.0.1", 0 },
		{ "::1/128", "::1", 1 },
		{ "::/0", "127.0.0.1", 0 },
		{ "0.0.0.0/0", "::1", 0 },
		{ "::ffff:127.0.0.1", "127.0.0.1", 1 },
		{ "127.0.0.1", "::ffff:127.0.0.1", 1 },
		{ "10.0.0.0/8,127.0.0.0/8", "127.0.0.1", 1 },
		{ "127.0.0.1/33", "127.0.0.1", -1 },
		{ "127.0.0.1/8", "127.0.0.1", -1 },
		{ "127.0.0.1/", "127.0.0.1", -1 },
		{ "127.0.0.1/08", "127.0.0.1", -1 },
		{ "", "127.0.0.1", -1 },
		{ "127.0.0.1,", "127.0.0.1", -1 },
		{ ",127.0.0.1", "127.0.0.1", -1 },
		{ "127.0.0.1, 10.0.0.0/8", "127.0.0.1", -1 },
		{ "localhost", "127.0.0.1", -1 },
		{ "127.1", "127.0.0.1", -1 },
		{ "!127.0.0.1", "127.0.0.1", -1 },
		{ "127.0.0.*", "127.0.0.1", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct make_cert spec = usual();
		struct buf *b = buf_new(256);
		struct net_addr from;
		struct cert *c;

		make_option(b, "source-address", rows[i].list);
		spec.critical = b;
		assert_int_equal(net_parse(rows[i].from, &from), 0);
		if (rows[i].want < 0) {
			refused(&spec, ERR_FORMAT, "malformed source-address");
		} else {
			c = accepted(&spec);
			assert_int_equal(cert_source_allowed(c, &from), rows[i].want);
			cert_free(c);
		}
		buf_free(b);
	}
}

static void
test_number_of_sources(void **state)
{
	struct make_cert spec = usual();
	struct buf *b = buf_new(4096);
	char list[4000] = "";

	(void)state;
	for (size_t i = 0; i <= CERT_SOURCES_MAX; i++)
		strcat(list, i == 0 ? "10.0.0.1" : ",10.0.0.1");
	make_option(b, "source-address", list);
	spec.critical = b;
	refused(&spec, ERR_LIMIT, "too many networks in source-address");
	buf_free(b);
}

/* C14 */
static void
test_cut_anywhere(void **state)
{
	struct make_cert spec = usual();
	struct buf *crit = buf_new(256), *ext = buf_new(256);
	uint8_t *blob;
	size_t len;

	(void)state;
	make_option(crit, "force-command", "id");
	make_option(crit, "source-address", "10.0.0.0/8");
	make_option(ext, "permit-pty", NULL);
	spec.critical = crit;
	spec.extensions = ext;
	blob = make_cert(&spec, &len);
	for (size_t n = 0; n < len; n++) {
		/* A copy of exactly these bytes, so that a sanitizer sees one byte too many. */
		uint8_t *cut = malloc(n > 0 ? n : 1);
		struct cert *c = NULL;

		memcpy(cut, blob, n);
		assert_int_not_equal(cert_parse(cut, n, &c, NULL), 0);
		assert_null(c);
		free(cut);
	}
	free(blob);
	spec.tail = "";
	spec.tail_len = 1;
	refused(&spec, ERR_FORMAT, "trailing bytes");
	buf_free(crit);
	buf_free(ext);
}

/* A flipped bit anywhere: it does not parse, or the CA never signed it, or it names another CA. */
static void
test_every_flipped_bit(void **state)
{
	struct make_cert spec = usual();
	size_t len, ca_len;
	uint8_t *blob = make_cert(&spec, &len);
	const uint8_t *ca_blob = make_key_blob(ca, &ca_len);
	struct sshkey *key = NULL;

	(void)state;
	assert_int_equal(sshkey_parse(ca_blob, ca_len, &key), 0);
	for (size_t bit = 0; bit < len * 8; bit++) {
		struct cert *c = NULL;

		blob[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		if (cert_parse(blob, len, &c, NULL) == 0 && c->ca_blob_len == ca_len &&
		    memcmp(c->ca_blob, ca_blob, ca_len) == 0)
			assert_int_not_equal(cert_verify(c, blob, key, 3072), 0);
		cert_free(c);
		blob[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
	sshkey_free(key);
	free(blob);
}

/* C15: Teleport CVE-2025-49825 in our terms. */
static void
test_signed_by_a_certificate(void **state)
{
	struct make_cert inner = usual(), outer = usual();
	struct buf *b = buf_new(8192);
	size_t len;
	uint8_t *blob = make_cert(&inner, &len);

	(void)state;
	assert_int_equal(buf_put(b, blob, len), 0);
	outer.ca = subject;
	outer.ca_blob = b;
	refused(&outer, ERR_DENIED, "signed by a certificate, not by a CA key");
	free(blob);
	buf_free(b);
}

/* C23, and what no CA ever is. */
static void
test_odd_ca_types(void **state)
{
	static const char *const types[] = { "ssh-dss", "rsa-sha2-512", "", "ssh-ed448" };

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct make_cert spec = usual();
		struct buf *b = buf_new(256);

		assert_int_equal(buf_put_cstr(b, types[i]), 0);
		spec.ca_blob = b;
		refused(&spec, ERR_DENIED, "the CA key's type is not accepted");
		buf_free(b);
	}
}

/* C25, and types that are no certificates. */
static void
test_outer_type(void **state)
{
	static const struct {
		const char *type;
		int want;
	} rows[] = {
		{ "ssh-rsa-cert-v01@openssh.com", ERR_FORMAT },
		{ "ecdsa-sha2-nistp256-cert-v01@openssh.com", ERR_FORMAT },
		{ "sk-ssh-ed25519-cert-v01@openssh.com",
		    ERR_DENIED }, /* all fields move by four bytes */
		{ "ssh-ed25519", ERR_NOT_FOUND },
		{ "rsa-sha2-512-cert-v01@openssh.com", ERR_NOT_FOUND },
		{ "ssh-ed25519-cert-v00@openssh.com", ERR_NOT_FOUND },
		{ "ssh-dss-cert-v01@openssh.com", ERR_NOT_FOUND },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct make_cert spec = usual();

		spec.type_name = rows[i].type;
		refused(&spec, rows[i].want, NULL);
	}
}

/* C24: a name of one curve on a key of another. */
static void
test_curve_of_another_name(void **state)
{
	struct make_key *k = make_key_new(SSHKEY_ECDSA_521, 0);
	struct make_cert spec = usual();

	(void)state;
	spec.key = k;
	cert_free(accepted(&spec));
	spec.type_name = "ecdsa-sha2-nistp256-cert-v01@openssh.com";
	refused(&spec, ERR_FORMAT, "malformed key in the certificate");
	make_key_free(k);
}

/* C16 */
static void
test_another_signer(void **state)
{
	struct make_cert spec = usual();
	size_t len, ca_len;
	struct sshkey *key = NULL;
	struct cert *c = NULL;
	uint8_t *blob;
	const uint8_t *ca_blob = make_key_blob(ca, &ca_len);
	struct buf *b = buf_new(256);

	(void)state;
	/* Says ca, signed by somebody else. */
	assert_int_equal(buf_put(b, ca_blob, ca_len), 0);
	spec.ca = subject;
	spec.ca_blob = b;
	blob = make_cert(&spec, &len);
	assert_int_equal(cert_parse(blob, len, &c, NULL), 0);
	assert_int_equal(sshkey_parse(ca_blob, ca_len, &key), 0);
	assert_int_equal(cert_verify(c, blob, key, 3072), ERR_SIGNATURE);
	sshkey_free(key);
	cert_free(c);
	free(blob);
	buf_free(b);
}

/* C31 */
static void
test_key_ids(void **state)
{
	struct make_cert spec = usual();
	char *big = malloc(65536);
	struct cert *c;

	(void)state;
	spec.key_id = "a\nb\x1b[31m\xff\xfe";
	c = accepted(&spec);
	assert_string_equal(c->key_id, spec.key_id);
	cert_free(c);
	memset(big, 'x', 65536);
	spec.key_id = big;
	spec.key_id_len = CERT_KEY_ID_MAX;
	cert_free(accepted(&spec));
	spec.key_id_len = CERT_KEY_ID_MAX + 1;
	refused(&spec, ERR_FORMAT, "malformed key id");
	spec.key_id_len = 65536;
	refused(&spec, ERR_LIMIT, "too long");
	free(big);
}

static void
test_host_names(void **state)
{
	static const struct {
		const char *principal, *host;
		bool want;
	} rows[] = {
		{ "web1", "web1", true },
		{ "WEB1", "web1", true },
		{ "*.lab.example", "a.lab.example", true },
		{ "*.lab.example", "lab.example", false },
		{ "web?", "web1", true },
		{ "web1", "web2", false },
		{ "", "", false },
		{ "*", "", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct make_cert spec = usual();
		struct cert *c;

		spec.type = 2;
		spec.principals = &rows[i].principal;
		c = accepted(&spec);
		assert_int_equal(cert_names_host(c, rows[i].host), rows[i].want);
		cert_free(c);
	}
}

/* The first two words of a .pub file. Owned by caller. */
static uint8_t *
read_pub(const char *dir, const char *name, size_t *ret_len)
{
	char path[256], *text = NULL, *b64, *save = NULL;
	uint8_t *blob = NULL;
	size_t len;

	assert_true(snprintf(path, sizeof(path), "%s/%s", dir, name) > 0);
	assert_int_equal(file_read(path, 65536, &text, &len), 0);
	assert_non_null(strtok_r(text, " ", &save));
	b64 = strtok_r(NULL, " \n", &save);
	assert_non_null(b64);
	assert_int_equal(str_unbase64(b64, strlen(b64), &blob, ret_len), 0);
	free(text);
	return blob;
}

/* C01, C02: what ssh-keygen makes. */
static void
test_made_by_ssh_keygen(void **state)
{
	static const struct {
		const char *type, *bits;
	} types[] = { { "ed25519", "256" }, { "rsa", "3072" }, { "ecdsa", "256" },
		{ "ecdsa", "384" }, { "ecdsa", "521" } };
	char dir[] = "/tmp/bastion-cert.XXXXXX", key[128], ca_path[128], pub[128];

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_true(snprintf(ca_path, sizeof(ca_path), "%s/ca", dir) > 0);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct sshkey *signer = NULL;
		struct cert *c = NULL;
		uint8_t *blob, *ca_blob;
		size_t len, ca_len;
		struct net_addr from;

		assert_true(snprintf(key, sizeof(key), "%s/k", dir) > 0);
		assert_true(snprintf(pub, sizeof(pub), "%s/k.pub", dir) > 0);
		(void)unlink(key);
		(void)unlink(ca_path);
		assert_int_equal(make_run((const char *const[]){ "ssh-keygen", "-q", "-N", "", "-t",
				     types[i].type, "-b", types[i].bits, "-f", key, NULL }),
		    0);
		assert_int_equal(make_run((const char *const[]){ "ssh-keygen", "-q", "-N", "", "-t",
				     types[i].type, "-b", types[i].bits, "-f", ca_path, NULL }),
		    0);
		assert_int_equal(
		    make_run((const char *const[]){ "ssh-keygen", "-q", "-s", ca_path, "-I", "id 1",
			"-n", "alice,root", "-z", "42", "-V", "20200101Z:20300101Z", "-O",
			"force-command=id", "-O", "source-address=10.0.0.0/8,::1", "-O",
			"no-x11-forwarding", pub, NULL }),
		    0);
		blob = read_pub(dir, "k-cert.pub", &len);
		ca_blob = read_pub(dir, "ca.pub", &ca_len);
		assert_int_equal(cert_parse(blob, len, &c, NULL), 0);
		assert_int_equal(sshkey_parse(ca_blob, ca_len, &signer), 0);
		assert_int_equal(c->ca_blob_len, ca_len);
		assert_memory_equal(c->ca_blob, ca_blob, ca_len);
		assert_int_equal(cert_verify(c, blob, signer, 3072), 0);
		assert_true(cert_has_principal(c, "alice") && cert_has_principal(c, "root"));
		assert_true(c->serial == 42);
		assert_string_equal(c->key_id, "id 1");
		assert_string_equal(c->force_command, "id");
		assert_int_equal(c->permits, CERT_PERMIT_PTY | CERT_PERMIT_PORT_FORWARDING |
						 CERT_PERMIT_AGENT_FORWARDING |
						 CERT_PERMIT_USER_RC);
		assert_int_equal(net_parse("10.1.2.3", &from), 0);
		assert_true(cert_source_allowed(c, &from));
		assert_int_equal(net_parse("11.1.2.3", &from), 0);
		assert_false(cert_source_allowed(c, &from));
		assert_null(cert_check_time(c, 1700000000));
		sshkey_free(signer);
		cert_free(c);
		free(blob);
		free(ca_blob);
	}
	assert_int_equal(make_run((const char *const[]){ "rm", "-r", dir, NULL }), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field_is_read),
		cmocka_unit_test(test_every_key_type),
		cmocka_unit_test(test_short_rsa_ca),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_number_of_principals),
		cmocka_unit_test(test_principals_match_exactly),
		cmocka_unit_test(test_nul_in_texts),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_option_names_with_nul),
		cmocka_unit_test(test_permits_are_only_those_listed),
		cmocka_unit_test(test_source_address),
		cmocka_unit_test(test_number_of_sources),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_every_flipped_bit),
		cmocka_unit_test(test_signed_by_a_certificate),
		cmocka_unit_test(test_odd_ca_types),
		cmocka_unit_test(test_outer_type),
		cmocka_unit_test(test_curve_of_another_name),
		cmocka_unit_test(test_another_signer),
		cmocka_unit_test(test_key_ids),
		cmocka_unit_test(test_host_names),
		cmocka_unit_test(test_made_by_ssh_keygen),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
