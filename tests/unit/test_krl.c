/* Revocation lists: what ssh-keygen writes and answers, and lists that nobody should trust. */
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

#include "lib/buf.h"
#include "lib/file.h"
#include "lib/hash.h"
#include "lib/str.h"
#include "policy/cert.h"
#include "policy/krl.h"
#include "tests/lib/ssh_make.h"

static struct make_key *ca, *other_ca, *subject;

static int
setup(void **state)
{
	(void)state;
	ca = make_key_new(SSHKEY_ED25519, 0);
	other_ca = make_key_new(SSHKEY_ECDSA_256, 0);
	subject = make_key_new(SSHKEY_ED25519, 0);
	return sshkey_init();
}

static int
teardown(void **state)
{
	(void)state;
	make_key_free(ca);
	make_key_free(other_ca);
	make_key_free(subject);
	return 0;
}

#define MUST(call) assert_int_equal((call), 0)

static struct buf *
header(void)
{
	struct buf *b = buf_new(1u << 20);

	MUST(buf_put(b, "SSHKRL\n", 8));
	MUST(buf_put_u32(b, 1));
	MUST(buf_put_u64(b, 3));
	MUST(buf_put_u64(b, 1700000000));
	MUST(buf_put_u64(b, 0));
	MUST(buf_put_str(b, "", 0));
	MUST(buf_put_cstr(b, "a comment"));
	return b;
}

static void
section(struct buf *b, uint8_t type, const struct buf *body)
{
	MUST(buf_put_u8(b, type));
	MUST(buf_put_str(b, buf_ptr(body), buf_len(body)));
}

/* A certificates section for k (NULL: every CA) with one subsection. */
static void
cert_section(struct buf *b, const struct make_key *k, uint8_t type, const struct buf *body)
{
	struct buf *s = buf_new(1u << 20);
	size_t len = 0;
	const uint8_t *blob = k != NULL ? make_key_blob(k, &len) : (const uint8_t *)"";

	MUST(buf_put_str(s, blob, len));
	MUST(buf_put_str(s, "", 0));
	section(s, type, body);
	section(b, 1, s);
	buf_free(s);
}

static struct krl *
parsed(const struct buf *b)
{
	struct krl *k = NULL;
	const char *why = "";

	if (krl_parse(buf_ptr(b), buf_len(b), &k, &why) != 0)
		fail_msg("refused: %s", why);
	return k;
}

static void
refused(const struct buf *b, const char *want)
{
	struct krl *k = NULL;
	const char *why = "";

	assert_int_equal(krl_parse(buf_ptr(b), buf_len(b), &k, &why), ERR_FORMAT);
	assert_null(k);
	assert_string_equal(why, want);
}

static const char *
ask(const struct krl *k, const struct make_key *signer, uint64_t serial, const char *key_id)
{
	struct krl_cert c = { .serial = serial, .key_id = key_id };
	size_t len;
	const uint8_t *blob = make_key_blob(subject, &len);

	if (signer != NULL)
		c.ca_blob = make_key_blob(signer, &c.ca_blob_len);
	return krl_revoked(k, blob, len, signer != NULL ? &c : NULL);
}

static void
test_an_empty_list_revokes_nothing(void **state)
{
	struct buf *b = header();
	struct krl *k = parsed(b);

	(void)state;
	assert_true(krl_version(k) == 3);
	assert_int_equal(krl_count(k), 0);
	assert_null(ask(k, NULL, 0, NULL));
	assert_null(ask(k, ca, 7, "id"));
	krl_free(k);
	buf_free(b);
}

static void
test_no_list_at_all(void **state)
{
	struct buf *b = buf_new(64);

	(void)state;
	refused(b, "not a key revocation list");
	MUST(buf_put_cstr(b, "ssh-ed25519 AAAA"));
	refused(b, "not a key revocation list");
	buf_free(b);
}

static void
test_keys_and_hashes(void **state)
{
	static const uint8_t types[] = { 2, 3, 5 };

	(void)state;
	for (size_t i = 0; i < sizeof(types); i++) {
		struct buf *b = header(), *body = buf_new(4096);
		uint8_t hash[HASH_LEN];
		size_t len;
		const uint8_t *blob = make_key_blob(subject, &len);
		struct krl *k;

		if (types[i] == 2)
			MUST(buf_put_str(body, blob, len));
		if (types[i] == 3) {
			hash_sha1(blob, len, hash);
			MUST(buf_put_str(body, hash, HASH_SHA1_LEN));
		}
		if (types[i] == 5) {
			hash_sha256(blob, len, hash);
			MUST(buf_put_str(body, hash, HASH_LEN));
		}
		section(b, types[i], body);
		k = parsed(b);
		assert_int_equal(krl_count(k), 1);
		assert_non_null(ask(k, NULL, 0, NULL));
		assert_non_null(ask(k, ca, 7, "id"));
		blob = make_key_blob(ca, &len);
		assert_null(krl_revoked(k, blob, len, NULL));
		krl_free(k);
		buf_free(body);
		buf_free(b);
	}
}

/* x/crypto CVE-2026-42508: a revoked CA revokes what it signed. */
static void
test_a_revoked_ca(void **state)
{
	struct buf *b = header(), *body = buf_new(4096);
	size_t len;
	const uint8_t *blob = make_key_blob(ca, &len);
	struct krl *k;

	(void)state;
	MUST(buf_put_str(body, blob, len));
	section(b, 2, body);
	k = parsed(b);
	assert_string_equal(ask(k, ca, 7, "id"), "CA key");
	assert_null(ask(k, other_ca, 7, "id"));
	assert_null(ask(k, NULL, 0, NULL));
	krl_free(k);
	buf_free(body);
	buf_free(b);
}

static void
test_serials(void **state)
{
	struct buf *b = header(), *list = buf_new(4096), *range = buf_new(64), *map = buf_new(64);
	struct krl *k;

	(void)state;
	MUST(buf_put_u64(list, 5));
	MUST(buf_put_u64(list, UINT64_MAX));
	MUST(buf_put_u64(range, 100));
	MUST(buf_put_u64(range, 200));
	MUST(buf_put_u64(map, 1000));
	MUST(buf_put_str(map, "\x01\x03", 2)); /* 1000, 1001, 1008 */
	cert_section(b, ca, 0x20, list);
	cert_section(b, ca, 0x21, range);
	cert_section(b, ca, 0x22, map);
	k = parsed(b);
	for (uint64_t s = 0; s < 1100; s++) {
		bool want = s == 5 || (s >= 100 && s <= 200) || s == 1000 || s == 1001 || s == 1008;

		assert_int_equal(ask(k, ca, s, "id") != NULL, want);
		assert_null(ask(k, other_ca, s, "id"));
	}
	assert_string_equal(ask(k, ca, UINT64_MAX, "id"), "serial");
	krl_free(k);
	buf_free(list);
	buf_free(range);
	buf_free(map);
	buf_free(b);
}

static void
test_overlapping_ranges(void **state)
{
	static const uint64_t ends[][2] = { { 50, 60 }, { 10, 100 }, { 20, 30 }, { 101, 101 },
		{ 200, UINT64_MAX }, { 300, 400 } };
	struct buf *b = header();
	struct krl *k;

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct buf *range = buf_new(64);

		MUST(buf_put_u64(range, ends[i][0]));
		MUST(buf_put_u64(range, ends[i][1]));
		cert_section(b, NULL, 0x21, range);
		buf_free(range);
	}
	k = parsed(b);
	for (uint64_t s = 1; s < 500; s++)
		assert_int_equal(ask(k, ca, s, "id") != NULL, (s >= 10 && s <= 101) || s >= 200);
	krl_free(k);
	buf_free(b);
}

static void
test_key_ids(void **state)
{
	struct buf *b = header(), *ids = buf_new(4096);
	struct krl *k;

	(void)state;
	MUST(buf_put_cstr(ids, "bob@old"));
	MUST(buf_put_cstr(ids, "alice"));
	cert_section(b, NULL, 0x23, ids);
	k = parsed(b);
	assert_string_equal(ask(k, ca, 1, "alice"), "key id");
	assert_string_equal(ask(k, other_ca, 0, "bob@old"), "key id");
	assert_null(ask(k, ca, 1, "alice2"));
	assert_null(ask(k, ca, 1, ""));
	assert_null(ask(k, NULL, 0, NULL));
	krl_free(k);
	buf_free(ids);
	buf_free(b);
}

/* {section, subsection or 0, body, why} */
static const struct {
	uint8_t type, sub;
	const char *body;
	size_t len;
	const char *why;
} bad[] = {
	{ 4, 0, "", 0, "unknown section" },
	{ 9, 0, "", 0, "unknown section" },
	{ 3, 0, "\0\0\0\1x", 5, "hash of a wrong length" },
	{ 5, 0, "\0\0\0\1x", 5, "hash of a wrong length" },
	{ 2, 0, "\0\0\0\2x", 5, "cut key or hash" },
	{ 255, 0, "\0\0\0\1x\1\0\0\0\0", 10, "unknown critical extension" },
	{ 255, 0, "\0\0\0\1x", 5, "malformed extension" },
	{ 255, 0, "\0\0\0\1x\0\0\0\0\0?", 11, "trailing bytes in a section" },
	{ 1, 0x20, "\0\0\0\0\0\0\0", 7, "cut serial number" },
	{ 1, 0x20, "\0\0\0\0\0\0\0\0", 8, "impossible serial numbers" },
	{ 1, 0x21, "\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\1", 16, "impossible serial numbers" },
	{ 1, 0x21, "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2?", 17,
	    "trailing bytes in a certificate section" },
	{ 1, 0x22, "\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\1\2", 13, "serial bitmap wraps" },
	{ 1, 0x22, "\0\0\0\0\0\0\0\1\0\0\0\1\x80", 13, "negative serial bitmap" },
	{ 1, 0x23, "\0\0\0\3a\0b", 7, "malformed key id" },
	{ 1, 0x24, "", 0, "unknown certificate section" },
	{ 1, 0x39, "\0\0\0\1x\1\0\0\0\0", 10, "unknown critical extension" },
};

static void
test_what_spoils_a_list(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buf *b = header(), *body = buf_new(256);

		MUST(buf_put(body, bad[i].body, bad[i].len));
		if (bad[i].sub != 0)
			cert_section(b, NULL, bad[i].sub, body);
		else
			section(b, bad[i].type, body);
		refused(b, bad[i].why);
		buf_free(body);
		buf_free(b);
	}
}

static void
test_extensions_that_may_be_ignored(void **state)
{
	struct buf *b = header(), *body = buf_new(256);

	(void)state;
	MUST(buf_put_cstr(body, "x"));
	MUST(buf_put_u8(body, 0));
	MUST(buf_put_cstr(body, "whatever"));
	section(b, 255, body);
	cert_section(b, ca, 0x39, body);
	krl_free(parsed(b));
	buf_free(body);
	buf_free(b);
}

/* A CA that is spelled otherwise than keys are spelled here could never be found again. */
static void
test_a_ca_spelled_otherwise(void **state)
{
	struct buf *b = header(), *body = buf_new(4096);
	size_t len;
	const uint8_t *blob = make_key_blob(ca, &len);

	(void)state;
	MUST(buf_put_u32(body, (uint32_t)len + 1));
	MUST(buf_put(body, blob, len));
	MUST(buf_put_u8(body, 0));
	MUST(buf_put_str(body, "", 0));
	section(b, 1, body);
	refused(b, "malformed CA key");
	buf_free(body);
	buf_free(b);
}

/* ssh-keygen's own lists. */

struct rig {
	char dir[64];
};

static char *
path_in(const struct rig *rig, const char *name)
{
	char *p = NULL;

	assert_true(asprintf(&p, "%s/%s", rig->dir, name) > 0);
	return p;
}

static void
write_in(const struct rig *rig, const char *name, const char *text)
{
	char *p = path_in(rig, name);
	FILE *f = fopen(p, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	free(p);
}

static void
write_key(const struct rig *rig, const char *name, const struct make_key *k)
{
	char *line = make_key_line(k, "test");

	write_in(rig, name, line);
	free(line);
}

/* A certificate of subject by ca with this serial and key id, in name. */
static void
write_cert(const struct rig *rig, const char *name, const struct make_key *signer, uint64_t serial,
    const char *key_id)
{
	static const char *const principal[] = { "alice" };
	struct make_cert spec = { .key = subject,
		.ca = signer,
		.serial = serial,
		.type = 1,
		.key_id = key_id,
		.principals = principal,
		.n_principals = 1,
		.before = UINT64_MAX };
	size_t len;
	uint8_t *blob = make_cert(&spec, &len);
	char *b64 = str_base64(blob, len), *line = NULL;

	assert_true(asprintf(&line, "ssh-ed25519-cert-v01@openssh.com %s test\n", b64) > 0);
	write_in(rig, name, line);
	free(line);
	free(b64);
	free(blob);
}

/* What the list says of a certificate, by ssh-keygen -Q and by us. */
static void
compare(const struct rig *rig, const struct krl *k, const struct make_key *signer, uint64_t serial,
    const char *key_id)
{
	char *list = path_in(rig, "krl"), *cert = path_in(rig, "q.pub");
	const char *const argv[] = { "ssh-keygen", "-Q", "-f", list, cert, NULL };
	bool theirs, ours = ask(k, signer, serial, key_id) != NULL;

	write_cert(rig, "q.pub", signer, serial, key_id);
	theirs = make_run(argv) != 0;
	if (theirs != ours)
		fail_msg("serial %llu id %s: ssh-keygen says %d, we say %d",
		    (unsigned long long)serial, key_id, theirs, ours);
	free(list);
	free(cert);
}

static uint64_t seed = 88172645463325252ull;

static uint64_t
random_below(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

static void
test_random_lists_of_ssh_keygen(void **state)
{
	struct rig rig = { "/tmp/bastion-krl.XXXXXX" };
	char *list, *spec, *ca_pub;

	(void)state;
	assert_non_null(mkdtemp(rig.dir));
	list = path_in(&rig, "krl");
	spec = path_in(&rig, "spec");
	ca_pub = path_in(&rig, "ca.pub");
	write_key(&rig, "ca.pub", ca);
	for (int round = 0; round < 12; round++) {
		const char *const argv[] = { "ssh-keygen", "-q", "-k", "-f", list, "-s", ca_pub,
			spec, NULL };
		char text[4096] = "", *data = NULL;
		size_t at = 0, len;
		struct krl *k = NULL;

		for (uint64_t i = 0, n = random_below(20); i < n; i++) {
			uint64_t low = 1 + random_below(40), kind = random_below(3);
			int w = kind == 0 ? snprintf(text + at, sizeof(text) - at, "serial: %llu\n",
						(unsigned long long)low)
				: kind == 1 ? snprintf(text + at, sizeof(text) - at,
						  "serial: %llu-%llu\n", (unsigned long long)low,
						  (unsigned long long)(low + 1 + random_below(9)))
					    : snprintf(text + at, sizeof(text) - at, "id: id%llu\n",
						  (unsigned long long)random_below(4));

			assert_true(w > 0);
			at += (size_t)w;
		}
		write_in(&rig, "spec", text);
		assert_int_equal(make_run(argv), 0);
		assert_int_equal(file_read(list, 1u << 20, &data, &len), 0);
		assert_int_equal(krl_parse((const uint8_t *)data, len, &k, NULL), 0);
		for (uint64_t i = 0; i < 12; i++) {
			char id[16];

			(void)snprintf(id, sizeof(id), "id%llu", (unsigned long long)(i % 5));
			compare(&rig, k, ca, random_below(52), id);
		}
		compare(&rig, k, other_ca, 5, "id1");
		krl_free(k);
		free(data);
	}
	free(list);
	free(spec);
	free(ca_pub);
	assert_int_equal(make_run((const char *const[]){ "rm", "-r", rig.dir, NULL }), 0);
}

/* Keys, hashes and CAs in ssh-keygen's lists; every byte that is cut off is noticed. */
static void
test_key_lists_of_ssh_keygen(void **state)
{
	static const char *const words[] = { "key: ", "sha1: ", "sha256: " };
	struct rig rig = { "/tmp/bastion-krl.XXXXXX" };
	char *list, *spec;

	(void)state;
	assert_non_null(mkdtemp(rig.dir));
	list = path_in(&rig, "krl");
	spec = path_in(&rig, "spec");
	for (size_t i = 0; i < 6; i++) {
		const char *const argv[] = { "ssh-keygen", "-q", "-k", "-f", list, spec, NULL };
		char *line = make_key_line(i < 3 ? subject : ca, ""), *text = NULL, *data = NULL;
		struct krl *k = NULL;
		size_t len;

		assert_true(asprintf(&text, "%s%s\n", words[i % 3], line) > 0);
		write_in(&rig, "spec", text);
		assert_int_equal(make_run(argv), 0);
		assert_int_equal(file_read(list, 1u << 20, &data, &len), 0);
		assert_int_equal(krl_parse((const uint8_t *)data, len, &k, NULL), 0);
		assert_non_null(ask(k, ca, 3, "id"));
		compare(&rig, k, ca, 3, "id");
		compare(&rig, k, other_ca, 3, "id");
		krl_free(k);
		for (size_t n = 0; n < len; n++) {
			uint8_t *cut = malloc(n > 0 ? n : 1);

			memcpy(cut, data, n);
			k = NULL;
			/* Between sections a list may end. */
			if (krl_parse(cut, n, &k, NULL) == 0)
				assert_int_equal(krl_count(k), 0);
			krl_free(k);
			free(cut);
		}
		free(data);
		free(text);
		free(line);
	}
	free(list);
	free(spec);
	assert_int_equal(make_run((const char *const[]){ "rm", "-r", rig.dir, NULL }), 0);
}

/* Hundreds of lists, of ssh-keygen's making and of ours with every kind of section, and the same questions to both readers. */

#define LISTS 240
#define QUERIES 24

struct query {
	const struct make_key *key, *signer; /* signer NULL: a plain key */
	uint64_t serial;
	char key_id[8];
};

struct many {
	struct rig rig;
	struct make_key *keys[4], *cas[3];
	struct query queries[QUERIES];
	char *ask; /* the command: ssh-keygen -Q of all of them */
};

static void
query_write(struct many *m, size_t i)
{
	struct query *q = &m->queries[i];
	char name[16], *line = NULL;

	(void)snprintf(name, sizeof(name), "q%02zu.pub", i);
	q->key = m->keys[random_below(4)];
	q->signer = i % 8 == 0 ? NULL : m->cas[random_below(3)];
	q->serial = random_below(8) == 0 ? UINT64_MAX - random_below(3) : random_below(60);
	(void)snprintf(q->key_id, sizeof(q->key_id), "id%u", (unsigned)random_below(5));
	if (q->signer == NULL) {
		line = make_key_line(q->key, "test");
	} else {
		struct make_cert spec = { .key = q->key,
			.ca = q->signer,
			.serial = q->serial,
			.type = 1 + (uint32_t)random_below(2),
			.key_id = q->key_id,
			.before = UINT64_MAX };
		size_t len;
		uint8_t *blob = make_cert(&spec, &len);
		char *b64 = str_base64(blob, len);
		const uint8_t *kind = blob + 4;

		assert_true(
		    asprintf(&line, "%.*s %s test", (int)blob[3], (const char *)kind, b64) > 0);
		free(b64);
		free(blob);
	}
	write_in(&m->rig, name, line);
	free(line);
}

static void
many_init(struct many *m)
{
	static const enum sshkey_type types[] = { SSHKEY_ED25519, SSHKEY_ECDSA_256,
		SSHKEY_ECDSA_521, SSHKEY_RSA };
	char name[16];

	*m = (struct many){ .rig = { "/tmp/bastion-krl.XXXXXX" } };
	assert_non_null(mkdtemp(m->rig.dir));
	for (size_t i = 0; i < 4; i++) {
		m->keys[i] = make_key_new(types[i], 2048);
		(void)snprintf(name, sizeof(name), "key%zu.pub", i);
		write_key(&m->rig, name, m->keys[i]);
	}
	for (size_t i = 0; i < 3; i++) {
		m->cas[i] = make_key_new(types[i + 1], 2048);
		(void)snprintf(name, sizeof(name), "ca%zu.pub", i);
		write_key(&m->rig, name, m->cas[i]);
	}
	for (size_t i = 0; i < QUERIES; i++)
		query_write(m, i);
	/* In the order of their names, which is that of the numbers. */
	assert_true(
	    asprintf(&m->ask, "cd %s && ssh-keygen -Q -f krl q*.pub >out 2>err; test $? -le 1",
		m->rig.dir) > 0);
}

static void
many_done(struct many *m)
{
	for (size_t i = 0; i < 4; i++)
		make_key_free(m->keys[i]);
	for (size_t i = 0; i < 3; i++)
		make_key_free(m->cas[i]);
	free(m->ask);
	assert_int_equal(make_run((const char *const[]){ "rm", "-r", m->rig.dir, NULL }), 0);
}

/* A specification for ssh-keygen -k: several lines of every kind that it knows, for one CA or for any. */
static void
list_of_ssh_keygen(struct many *m)
{
	char spec[4096] = "", *command = NULL, who[32];
	size_t at = 0;

	for (uint64_t n = random_below(24); n > 0; n--) {
		unsigned low = 1 + (unsigned)random_below(50), w = 0;
		static const char *const forms[] = { "serial: %u\n", "serial: %u-%u\n",
			"id: id%u\n",
			"key: ", "sha1: ", "sha256: ", "serial: 1844674407370955161%u\n" };
		uint64_t kind = random_below(sizeof(forms) / sizeof(forms[0]));

		if (kind >= 3 && kind <= 5) {
			char *line;

			if (random_below(4) != 0)
				continue;
			line = make_key_line(random_below(2) == 0 ? m->keys[random_below(4)]
								  : m->cas[random_below(3)],
			    "");
			w = (unsigned)snprintf(
			    spec + at, sizeof(spec) - at, "%s%s\n", forms[kind], line);
			free(line);
		} else if (kind == 0) {
			w = (unsigned)snprintf(spec + at, sizeof(spec) - at, "serial: %u\n", low);
		} else if (kind == 1) {
			w = (unsigned)snprintf(spec + at, sizeof(spec) - at, "serial: %u-%u\n", low,
			    low + 1 + (unsigned)random_below(9));
		} else if (kind == 2) {
			w = (unsigned)snprintf(
			    spec + at, sizeof(spec) - at, "id: id%u\n", (unsigned)random_below(5));
		} else {
			w = (unsigned)snprintf(spec + at, sizeof(spec) - at,
			    "serial: 1844674407370955161%u\n", 3 + (unsigned)random_below(3));
		}
		at += w;
		assert_true(at < sizeof(spec));
	}
	write_in(&m->rig, "spec", spec);
	if (random_below(4) == 0)
		(void)snprintf(who, sizeof(who), "none");
	else
		(void)snprintf(who, sizeof(who), "ca%u.pub", (unsigned)random_below(3));
	assert_true(asprintf(&command, "cd %s && rm -f krl && ssh-keygen -q -k -f krl -s %s spec",
			m->rig.dir, who) > 0);
	assert_int_equal(make_run((const char *const[]){ "sh", "-c", command, NULL }), 0);
	free(command);
}

static void
random_serials(struct buf *body, uint8_t kind)
{
	uint64_t low = 1 + random_below(50);
	uint8_t bits[12];

	if (kind == 0x20) {
		for (uint64_t n = random_below(6); n > 0; n--)
			MUST(buf_put_u64(body, 1 + random_below(55)));
	} else if (kind == 0x21) {
		MUST(buf_put_u64(body, low));
		MUST(buf_put_u64(body, low + random_below(10)));
	} else if (kind == 0x22) {
		bits[0] = 0x01 + (uint8_t)random_below(0x7f);
		for (size_t i = 1; i < sizeof(bits); i++)
			bits[i] = (uint8_t)random_below(256);
		MUST(buf_put_u64(body, low));
		MUST(buf_put_str(body, bits, 1 + (size_t)random_below(sizeof(bits))));
	} else {
		for (uint64_t n = random_below(3); n > 0; n--) {
			char id[8];

			(void)snprintf(id, sizeof(id), "id%u", (unsigned)random_below(5));
			MUST(buf_put_cstr(body, id));
		}
	}
}

static void
random_keys(struct many *m, struct buf *b, uint8_t kind)
{
	struct buf *body = buf_new(8192);
	uint8_t hash[HASH_LEN];

	for (uint64_t n = random_below(2); n > 0; n--) {
		size_t len;
		const uint8_t *blob = make_key_blob(
		    random_below(3) == 0 ? m->cas[random_below(3)] : m->keys[random_below(4)],
		    &len);

		if (kind == 2)
			MUST(buf_put_str(body, blob, len));
		else if (kind == 3)
			hash_sha1(blob, len, hash);
		else
			hash_sha256(blob, len, hash);
		if (kind != 2)
			MUST(buf_put_str(body, hash, kind == 3 ? HASH_SHA1_LEN : HASH_LEN));
	}
	section(b, kind, body);
	buf_free(body);
}

/* Sections of every kind in any order, several of one CA, several subsections in one section. */
static void
list_of_ours(struct many *m)
{
	struct buf *b = header(), *s, *body;
	char *path = path_in(&m->rig, "krl");

	for (uint64_t n = random_below(7); n > 0; n--) {
		static const uint8_t key_kinds[] = { 2, 3, 5 };
		size_t len = 0;
		const uint8_t *blob = (const uint8_t *)"";

		if (random_below(4) == 0) {
			random_keys(m, b, key_kinds[random_below(3)]);
			continue;
		}
		if (random_below(4) != 0)
			blob = make_key_blob(m->cas[random_below(3)], &len);
		s = buf_new(1u << 16);
		MUST(buf_put_str(s, blob, len));
		MUST(buf_put_str(s, "", 0));
		for (uint64_t k = random_below(4); k > 0; k--) {
			uint8_t kind = 0x20 + (uint8_t)random_below(4);

			body = buf_new(4096);
			random_serials(body, kind);
			/* An empty list says nothing, but 9.2 takes one for a mistake. */
			if (buf_len(body) > 0)
				section(s, kind, body);
			buf_free(body);
		}
		section(b, 1, s);
		buf_free(s);
	}
	assert_int_equal(file_replace(path, 0600, (const char *)buf_ptr(b), buf_len(b)), 0);
	free(path);
	buf_free(b);
}

/* One line an answer: "q3.pub (test): REVOKED", or ok. */
static void
compare_answers(struct many *m, const struct krl *k, int list, unsigned *n_revoked)
{
	char *path = path_in(&m->rig, "out"), *out = NULL, *line;
	size_t len;

	assert_int_equal(file_read(path, 1u << 20, &out, &len), 0);
	line = out;
	for (size_t i = 0; i < QUERIES; i++) {
		const struct query *q = &m->queries[i];
		struct krl_cert c = { .serial = q->serial, .key_id = q->key_id };
		size_t blob_len;
		const uint8_t *blob = make_key_blob(q->key, &blob_len);
		char *end = strchr(line, '\n');
		bool theirs, ours;

		assert_non_null(end);
		*end = '\0';
		theirs = strstr(line, "): REVOKED") != NULL;
		assert_true(theirs || strstr(line, "): ok") != NULL);
		if (q->signer != NULL)
			c.ca_blob = make_key_blob(q->signer, &c.ca_blob_len);
		ours = krl_revoked(k, blob, blob_len, q->signer != NULL ? &c : NULL) != NULL;
		if (ours != theirs)
			fail_msg("list %d, question %zu: ssh-keygen says %d, we say %d", list, i,
			    theirs, ours);
		*n_revoked += ours;
		line = end + 1;
	}
	assert_int_equal(*line, '\0');
	free(out);
	free(path);
}

static void
test_hundreds_of_lists(void **state)
{
	struct many m;
	char *path;
	unsigned n_revoked = 0;

	(void)state;
	many_init(&m);
	path = path_in(&m.rig, "krl");
	for (int i = 0; i < LISTS; i++) {
		char *data = NULL;
		struct krl *k = NULL;
		const char *why = "";
		size_t len;

		if (i % 2 == 0)
			list_of_ssh_keygen(&m);
		else
			list_of_ours(&m);
		assert_int_equal(make_run((const char *const[]){ "sh", "-c", m.ask, NULL }), 0);
		assert_int_equal(file_read(path, 1u << 20, &data, &len), 0);
		if (krl_parse((const uint8_t *)data, len, &k, &why) != 0)
			fail_msg("list %d: %s", i, why);
		compare_answers(&m, k, i, &n_revoked);
		krl_free(k);
		free(data);
	}
	/* Neither nearly all nor nearly none, or the questions were no questions. */
	assert_in_range(n_revoked, LISTS * QUERIES / 10, LISTS * QUERIES * 9 / 10);
	free(path);
	many_done(&m);
}

/* What ssh-keygen -Q makes of a list: 0 it can read it, and nothing asked is in it. */
static int
ssh_keygen_reads(struct many *m, const struct buf *b)
{
	char *path = path_in(&m->rig, "krl");
	int r;

	assert_int_equal(file_replace(path, 0600, (const char *)buf_ptr(b), buf_len(b)), 0);
	free(path);
	path = NULL;
	assert_true(asprintf(&path, "cd %s && ssh-keygen -Q -f krl key0.pub", m->rig.dir) > 0);
	r = make_run((const char *const[]){ "sh", "-c", path, NULL });
	free(path);
	return r;
}

/*
 * Signed lists: OpenSSH up to 9.3 verified such signatures (with any key, as sshd never said which ones to trust), 9.4 and later
 * know no such section and refuse the list. Here they are refused, signed well or not.
 */
static void
test_signed_lists(void **state)
{
	struct buf *b = header(), *good = buf_new(8192), *bad_list = buf_new(8192);
	struct many m;
	size_t len, sig_len;
	const uint8_t *blob = make_key_blob(ca, &len);
	uint8_t *sig;

	(void)state;
	many_init(&m);
	assert_int_equal(ssh_keygen_reads(&m, b), 0);
	MUST(buf_put_u8(b, 4));
	MUST(buf_put_str(b, blob, len));
	sig = make_sign(ca, buf_ptr(b), buf_len(b), NULL, &sig_len);
	MUST(buf_put(good, buf_ptr(b), buf_len(b)));
	MUST(buf_put_str(good, sig, sig_len));
	sig[sig_len - 1] ^= 1;
	MUST(buf_put(bad_list, buf_ptr(b), buf_len(b)));
	MUST(buf_put_str(bad_list, sig, sig_len));
	refused(good, "unknown section");
	refused(bad_list, "unknown section");
	assert_int_not_equal(ssh_keygen_reads(&m, bad_list), 0);
	free(sig);
	buf_free(b);
	buf_free(good);
	buf_free(bad_list);
	many_done(&m);
}

/* What is added to a list stays one for ssh-keygen, with all that was there before. */
static void
test_lists_are_extended(void **state)
{
	struct many m;
	struct buf *lists[4];
	struct krl_change changes[] = { { .low = 5, .high = 9 }, { .key_id = "id3" },
		{ .low = 1, .high = 1 } };
	struct krl *k = NULL;
	unsigned n_revoked = 0;
	char *path, *data = NULL;
	size_t len;

	(void)state;
	many_init(&m);
	path = path_in(&m.rig, "krl");
	changes[0].ca_blob = make_key_blob(m.cas[0], &changes[0].ca_blob_len);
	changes[1].ca_blob = make_key_blob(m.cas[1], &changes[1].ca_blob_len);
	changes[2].key_blob = make_key_blob(m.keys[2], &changes[2].key_blob_len);
	list_of_ssh_keygen(&m);
	assert_int_equal(file_read(path, 1u << 20, &data, &len), 0);
	for (size_t i = 0; i < 4; i++) {
		const uint8_t *old = i == 0   ? NULL
				     : i == 3 ? (const uint8_t *)data
					      : buf_ptr(lists[i - 1]);
		size_t old_len = i == 0 ? 0 : i == 3 ? len : buf_len(lists[i - 1]);

		lists[i] = buf_new(1u << 20);
		assert_int_equal(
		    krl_extend(old, old_len, 1700000000, &changes[i % 3], 1, lists[i]), 0);
		k = parsed(lists[i]);
		if (i < 3)
			assert_true(krl_version(k) == i + 1);
		assert_int_equal(
		    file_replace(path, 0600, (const char *)buf_ptr(lists[i]), buf_len(lists[i])),
		    0);
		assert_int_equal(make_run((const char *const[]){ "sh", "-c", m.ask, NULL }), 0);
		compare_answers(&m, k, (int)i, &n_revoked);
		krl_free(k);
	}
	assert_true(n_revoked > 0);
	for (size_t i = 0; i < 4; i++)
		buf_free(lists[i]);
	free(data);
	free(path);
	many_done(&m);
}

static void
test_what_no_list_is_extended_by(void **state)
{
	struct krl_change zero = { .low = 0, .high = 5 }, back = { .low = 5, .high = 4 },
			  good = { .low = 1, .high = 1 };
	struct buf *b = buf_new(1u << 16);

	(void)state;
	assert_int_equal(krl_extend(NULL, 0, 1, &zero, 1, b), ERR_FORMAT);
	buf_reset(b);
	assert_int_equal(krl_extend(NULL, 0, 1, &back, 1, b), ERR_FORMAT);
	buf_reset(b);
	assert_int_equal(krl_extend((const uint8_t *)"", 0, 1, &good, 1, b), ERR_FORMAT);
	assert_int_equal(krl_extend((const uint8_t *)"SSHKRL\n", 8, 1, &good, 1, b), ERR_FORMAT);
	buf_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_empty_list_revokes_nothing),
		cmocka_unit_test(test_no_list_at_all),
		cmocka_unit_test(test_keys_and_hashes),
		cmocka_unit_test(test_a_revoked_ca),
		cmocka_unit_test(test_serials),
		cmocka_unit_test(test_overlapping_ranges),
		cmocka_unit_test(test_key_ids),
		cmocka_unit_test(test_what_spoils_a_list),
		cmocka_unit_test(test_extensions_that_may_be_ignored),
		cmocka_unit_test(test_a_ca_spelled_otherwise),
		cmocka_unit_test(test_random_lists_of_ssh_keygen),
		cmocka_unit_test(test_key_lists_of_ssh_keygen),
		cmocka_unit_test(test_hundreds_of_lists),
		cmocka_unit_test(test_signed_lists),
		cmocka_unit_test(test_lists_are_extended),
		cmocka_unit_test(test_what_no_list_is_extended_by),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
