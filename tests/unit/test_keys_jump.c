/* Keys that follow from a name, and certificates of them: always the same, never another's, and what they say. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "keys/keys_crypto.h"
#include "keys/keys_jump.h"
#include "lib/file.h"
#include "lib/sshkey.h"
#include "lib/str.h"
#include "tests/lib/keys_help.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define NOW 1800000000u

static struct keys_key *
root_of(uint8_t byte)
{
	struct secret *private = secret_new(crypto_sign_SECRETKEYBYTES);
	uint8_t seed[crypto_sign_SEEDBYTES], pub[crypto_sign_PUBLICKEYBYTES];
	struct keys_key *key = NULL;

	assert_non_null(private);
	memset(seed, byte, sizeof(seed));
	assert_int_equal(crypto_sign_seed_keypair(pub, secret_ptr(private), seed), 0);
	assert_int_equal(keys_key_new(KEYS_JUMP_KEY, SSHKEY_ED25519, 0, private, &key), 0);
	return key;
}

static struct keys_key *
key_of(const struct keys_key *root, const char *target)
{
	struct keys_key *key = NULL;

	assert_int_equal(keys_jump_key(root, target, &key), 0);
	return key;
}

/*
 * Clients have these keys in their known_hosts: another result would warn every one of them. The expected value was made with
 * Python's hashlib.blake2b(domain + b"\0" + b"web1", digest_size=32, key=bytes(32 * [7])) as the seed of an Ed25519 key.
 */
static void
test_the_same_key_for_ever(void **state)
{
	struct keys_key *root = root_of(7), *key = key_of(root, "web1");

	(void)state;
	assert_string_equal(key->fingerprint, "SHA256:dGy5q0CVc87xCmhYustrDwJsETduMos88Xvra5Wn1DI");
	keys_key_unref(key);
	keys_key_unref(root);
}

static void
test_another_name_or_root_is_another_key(void **state)
{
	static const char *const names[] = { "web1", "web2", "web", "web11", "WEB1", "10.0.0.1",
		"::1", "a.b.example" };
	struct keys_key *roots[] = { root_of(1), root_of(2) }, *keys[2 * N(names)];

	(void)state;
	for (size_t i = 0; i < N(keys); i++) {
		keys[i] = key_of(roots[i % 2], names[i / 2]);
		assert_string_not_equal(keys[i]->fingerprint, roots[i % 2]->fingerprint);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(keys[i]->fingerprint, keys[j]->fingerprint);
	}
	for (size_t i = 0; i < N(keys); i++)
		keys_key_unref(keys[i]);
	keys_key_unref(roots[0]);
	keys_key_unref(roots[1]);
}

static void
test_what_is_no_name(void **state)
{
	static const char *const bad[] = { "", "a b", "a,b", "*", "web?", "!web", "a\tb", "a\nb",
		"\x7f", "caf\xc3\xa9" };
	struct keys_key *root = root_of(1), *key = NULL;
	char longest[KEYS_TARGET_MAX + 2];

	(void)state;
	for (size_t i = 0; i < N(bad); i++) {
		assert_false(keys_jump_is_name(bad[i]));
		assert_int_equal(keys_jump_key(root, bad[i], &key), ERR_FORMAT);
	}
	memset(longest, 'x', sizeof(longest));
	longest[KEYS_TARGET_MAX + 1] = '\0';
	assert_false(keys_jump_is_name(longest));
	longest[KEYS_TARGET_MAX] = '\0';
	assert_true(keys_jump_is_name(longest));
	keys_key_unref(root);
}

static void
test_only_an_ed25519_root_has_keys(void **state)
{
	struct keys_key *root = NULL, *key = NULL;

	(void)state;
	assert_int_equal(keys_key_generate("jump", SSHKEY_ECDSA_256, 256, &root), 0);
	assert_int_equal(keys_jump_key(root, "web1", &key), ERR_FORMAT);
	keys_key_unref(root);
}

static void
expect_cstr(struct buf *b, const char *want)
{
	char got[256];

	assert_int_equal(buf_get_cstr(b, got, sizeof(got)), 0);
	assert_string_equal(got, want);
}

/* Field by field, PROTOCOL.certkeys. */
static void
expect_fields(struct buf *b, const struct keys_key *key, const struct keys_key *ca)
{
	const uint8_t *p;
	struct buf *names;
	uint64_t number;
	uint32_t type;
	size_t len;

	expect_cstr(b, "ssh-ed25519-cert-v01@openssh.com");
	assert_int_equal(buf_get_str(b, &p, &len), 0);
	assert_int_equal(len, 32);
	assert_int_equal(buf_get_str(b, &p, &len), 0);
	assert_int_equal(len, 32);
	assert_memory_equal(p, key->blob + 19, 32);
	assert_int_equal(buf_get_u64(b, &number), 0);
	assert_int_equal(number, 0);
	assert_int_equal(buf_get_u32(b, &type), 0);
	assert_int_equal(type, 2);
	expect_cstr(b, "web1");
	assert_int_equal(buf_get_str(b, &p, &len), 0);
	assert_non_null(names = buf_view(p, len));
	expect_cstr(names, "web1");
	expect_cstr(names, "10.0.0.1");
	assert_int_equal(buf_end(names), 0);
	buf_free(names);
	assert_int_equal(buf_get_u64(b, &number), 0);
	assert_int_equal(number, NOW - KEYS_CERT_SPAN_S);
	assert_int_equal(buf_get_u64(b, &number), 0);
	assert_int_equal(number, NOW + KEYS_CERT_SPAN_S);
	for (int i = 0; i < 3; i++)
		expect_cstr(b, "");
	assert_int_equal(buf_get_str(b, &p, &len), 0);
	assert_int_equal(len, ca->blob_len);
	assert_memory_equal(p, ca->blob, len);
}

static void
expect_signature(const struct buf *cert, struct buf *b, const struct keys_key *ca)
{
	size_t signed_len = buf_len(cert), len;
	struct sshkey *pub = NULL;
	const uint8_t *sig;

	assert_int_equal(buf_get_str(b, &sig, &len), 0);
	assert_int_equal(buf_end(b), 0);
	signed_len -= 4 + len;
	assert_int_equal(sshkey_parse(ca->blob, ca->blob_len, &pub), 0);
	assert_int_equal(sshkey_verify(pub, NULL, 0, sig, len, buf_ptr(cert), signed_len, NULL), 0);
	sshkey_free(pub);
}

static void
test_a_certificate_says_what_it_should(void **state)
{
	const struct keys_principals names = { .names = { "web1", "10.0.0.1" }, .n = 2 };
	struct keys_key *root = root_of(3), *ca = root_of(4), *key = key_of(root, "web1");
	struct buf *cert = buf_new(4096), *b;

	(void)state;
	assert_int_equal(keys_jump_cert(ca, key, "web1", &names, NOW, cert), 0);
	assert_non_null(b = buf_view(buf_ptr(cert), buf_len(cert)));
	expect_fields(b, key, ca);
	expect_signature(cert, b, ca);
	buf_free(b);
	buf_free(cert);
	keys_key_unref(key);
	keys_key_unref(ca);
	keys_key_unref(root);
}

/* The reader that matters. */
static void
test_openssh_reads_it(void **state)
{
	const struct keys_principals names = { .names = { "web1", "fe80::1" }, .n = 2 };
	struct keys_key *root = root_of(3), *ca = root_of(4), *key = key_of(root, "web1");
	struct buf *cert = buf_new(4096);
	char dir[PATH_MAX], path[PATH_MAX + 16], text[8192], *b64;
	const char *const argv[] = { "ssh-keygen", "-L", "-f", path, NULL };

	(void)state;
	assert_int_equal(keys_jump_cert(ca, key, "web1", &names, NOW, cert), 0);
	help_folder(dir);
	assert_int_equal(str_format(path, sizeof(path), "%s/c-cert.pub", dir), 0);
	assert_non_null(b64 = str_base64(buf_ptr(cert), buf_len(cert)));
	assert_int_equal(
	    str_format(text, sizeof(text), "ssh-ed25519-cert-v01@openssh.com %s\n", b64), 0);
	assert_int_equal(file_create(path, 0600, text, strlen(text)), 0);
	assert_int_equal(help_run(argv), 0);
	help_remove(dir);
	free(b64);
	buf_free(cert);
	keys_key_unref(key);
	keys_key_unref(ca);
	keys_key_unref(root);
}

static void
test_names_that_a_certificate_cannot_hold(void **state)
{
	struct keys_key *root = root_of(3), *key = key_of(root, "web1");
	struct keys_principals names = { .n = 0 };
	struct buf *cert = buf_new(4096);

	(void)state;
	assert_int_equal(keys_jump_cert(root, key, "web1", &names, NOW, cert), ERR_FORMAT);
	names = (struct keys_principals){ .names = { "web1", "*" }, .n = 2 };
	assert_int_equal(keys_jump_cert(root, key, "web1", &names, NOW, cert), ERR_FORMAT);
	names = (struct keys_principals){ .names = { "" }, .n = 1 };
	assert_int_equal(keys_jump_cert(root, key, "web1", &names, NOW, cert), ERR_FORMAT);
	assert_int_equal(buf_len(cert), 0);
	buf_free(cert);
	keys_key_unref(key);
	keys_key_unref(root);
}

/* Vaults made before there were such keys get them once, and keep them. */
static void
test_an_older_vault_is_completed(void **state)
{
	struct secret *unlock = help_secret("0123456789abcdef0123456789abcdef");
	char dir[PATH_MAX], before[HASH_FINGERPRINT_SIZE];
	struct keys_vault *v = NULL;
	size_t n;

	(void)state;
	help_folder(dir);
	assert_int_equal(keys_vault_create(dir, KEYS_SEAL_FILE, unlock, &v), 0);
	n = keys_vault_n(v);
	assert_null(keys_vault_find(v, KEYS_JUMP_KEY));
	assert_int_equal(keys_jump_prepare(v), 0);
	assert_int_equal(keys_vault_n(v), n + 2);
	assert_int_equal(
	    str_copy(before, sizeof(before), keys_vault_find(v, KEYS_JUMP_KEY)->fingerprint), 0);
	assert_int_equal(keys_jump_prepare(v), 0);
	keys_vault_free(v);
	assert_int_equal(keys_vault_open(dir, &v), 0);
	assert_int_equal(keys_jump_prepare(v), ERR_ORDER);
	assert_int_equal(keys_vault_unlock(v, unlock), 0);
	assert_int_equal(keys_jump_prepare(v), 0);
	assert_string_equal(keys_vault_find(v, KEYS_JUMP_KEY)->fingerprint, before);
	assert_int_equal(keys_vault_remove(v, KEYS_JUMP_KEY), ERR_DENIED);
	assert_int_equal(keys_vault_remove(v, KEYS_HOST_CA), ERR_DENIED);
	keys_vault_free(v);
	secret_free(unlock);
	help_remove(dir);
}

static int
setup(void **state)
{
	bool locked;

	(void)state;
	return secret_init() != 0 || keys_crypto_init(&locked) != 0 || sshkey_init() != 0 ? -1 : 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_same_key_for_ever),
		cmocka_unit_test(test_another_name_or_root_is_another_key),
		cmocka_unit_test(test_what_is_no_name),
		cmocka_unit_test(test_only_an_ed25519_root_has_keys),
		cmocka_unit_test(test_a_certificate_says_what_it_should),
		cmocka_unit_test(test_openssh_reads_it),
		cmocka_unit_test(test_names_that_a_certificate_cannot_hold),
		cmocka_unit_test(test_an_older_vault_is_completed),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
