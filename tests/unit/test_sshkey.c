/* Public key blobs and signatures: what OpenSSH made verifies, and nothing that differs from it by one byte. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "lib/buf.h"
#include "lib/hash.h"
#include "lib/sshkey.h"
#include "lib/str.h"

/* Made by ssh-keygen -Y sign -n test over MESSAGE; the private halves are gone. */
struct vector {
	enum sshkey_type type;
	unsigned bits;
	const char *blob, *sig; /* base64 */
};

static const struct vector vectors[] = {
	{ SSHKEY_ED25519, 256,
	    "AAAAC3NzaC1lZDI1NTE5AAAAILLKMTZS27Q5BF8LSV+NySODX7td14TFUkPblZiHNPje",
	    "AAAAC3NzaC1lZDI1NTE5AAAAQGCClwMAlpbh2anOtoJiMWqqRB1lT08i62abAkhmGRLaD62PDTrL"
	    "diYjZ0PE24siWxLsxUfrq/yRKxhOIFRvUwM=" },
	{ SSHKEY_ECDSA_256, 256,
	    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEa4Gus9DcCxmv6Bm7dtikx6"
	    "eNhRZoG/pTWLJJ/h/kJC3DvC0bqhIJTjIJDM7ifrEzVDI21XPqslUBkIJ/FJurg=",
	    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAABJAAAAIFgrSuc2Mov7bCoXd0kSUim+EKoUKVIy5s0Z"
	    "nXTNNPBmAAAAIQCLu82Vtm8VCPFiHgmat33tpyIuCqGhYmpaIztJJFvUzg==" },
	{ SSHKEY_ECDSA_384, 384,
	    "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBJT2Notm+qbMhU3JP3FwNl+V"
	    "nZQM57NL13UC01ztdgMH/kpbp5KRoMFetTXxBXjQ7uIH2w70u4Z/6lKEBUacngGQDR4jsZ16ntwK"
	    "CtZDZ6kqcnakzjPPMyVnGjolM6vrlg==",
	    "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAABpAAAAMGpmzwgV7FLFMuOfvco0hAJRzxrxTB8Y083s"
	    "bTSEkTYLdOkVRaWgUYjMsPV07gn8ogAAADEA6/6nSoYByWPpVgisotmThd96ew3xj361X3dXoOcn"
	    "7Vl6ZN2ROJslKZKtSvoyodQE" },
	{ SSHKEY_ECDSA_521, 521,
	    "AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAEhpHfZ0XDXQ65Y/s8mXqO+"
	    "Il1P6vXreO3cMRsKHx5uILU71IFHKVBJ6fG/jDGV9hDGro08IqMySOaPAq+vJSx4xQDEsc/56cSV"
	    "L/zAbHkIGGn5u566dn1KAce5QfklmBYThXhXPOBRTQdEfor28gj8ZGEdCHud8jFbrNevzvjUl1kX"
	    "ag==",
	    "AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAACLAAAAQRRgJaeS8AVeVl0vqDgR0k9W5Gsylu9L4CPz"
	    "UHDMwYKT/Qdkvk6BNBaTaLtqYAFrJ2clSZyXDq0b3tcxktQr8dXZAAAAQgF7+soGu2lIyo7ssEl2"
	    "z4U4zjfaSkN9oyJoNNnYWtRH+zaXGub9FBBqgrTjQYqOPXjPkF3kz7gf4zt9ccPCbHvnLw==" },
	{ SSHKEY_RSA, 3072,
	    "AAAAB3NzaC1yc2EAAAADAQABAAABgQCo20qpNoCjVFyoTlMoAJubZkXw5I9KPhrBsEY7mZrFPgve"
	    "3x0SyXXTgtb5jn3nO5Xo05BW0Jm2FTEpA9gf/onrs3xVaHAgoB67TW4s9TYfeJf1Lu+2ZoLAXMfV"
	    "yGbTIrdgAe6H6VLFRfUK7s1GnXD51YCMVHcPArQNVm829skpwxF+2dEXp0YezHHYc32IwW/IAbgp"
	    "nkBkU2OoZ95KSvfuQwBHvzXqr24eVan6PU5rXOJg+pWX1G9xMyQlGuNFVSpTzyrapTgwgE50ED8S"
	    "P0DsVCgR4QYAosVRDg4VmJYNyqODGcLuugWen8o6jmm/S7dIbYPf7pVVUBiJSnY4VOY/G1JRf4HN"
	    "52qJxQuMWMs3XjHB8EnSnZU1bHTA0RYQEGr6IUQp7JLLXXwNKV1SmEgrc/YuV89DY8a4Sk3owr7t"
	    "FZ3ugOrWfXxfo8cHC+xa+5XpK/bFRD0MZihgaO8u3JrkHiVz+4KpQKzLBqWGYrJDmPauxXQMUIU+"
	    "P3vwWHj6B/k=",
	    "AAAADHJzYS1zaGEyLTUxMgAAAYAsUdE0RM4HW31/2oWfAbEReVF4vEJBIznVkGo6xSs8ADFMPy5t"
	    "Jw09KJuyby6oK0xHLPiWi8hH5IoIOcFEzV/swvL9uKjJJVcdauR9EXtkOpyF2du2fL60rxm/56D6"
	    "HOHwxrhc+1JiY1RjndKZrK8sO2QgkcYUWKWKovVfPDZnk3hyuilzqmVkdO/ax7OgieO0uJx7me14"
	    "VClf6uQFIPttnbvBhG2B8WzSGBccQHjfZq5geq+tZkHaSfKxCqMLpKS/BCujANKKncRgwvdT9BEw"
	    "8iBgLCOZ/efOTPoWfzrcvUsbqcCOBUJ4Zum3WQfaDTeo9I0S2rtF6JY7QstOjj3vjobWVMlKqKMh"
	    "OSztDo3O1oa0fOBn5lWmW4/Ikw+BUuqEZjk3cweslEmN1zv+WJRuJetr2mps4DVmGHb9zGq23fVp"
	    "qynmX4pQNgkv6YZtjFV3VvM0HlOVUlJwRBTaCT6lIS673SxWN8qIbFe+TYonuGelDenNs8dxqtqr"
	    "VDJfuTo=" },
};

#define N_VECTORS (sizeof(vectors) / sizeof(vectors[0]))
#define MESSAGE "the message"

struct blob {
	uint8_t *data;
	size_t len;
};

static struct blob
unbase64(const char *s)
{
	struct blob b = { 0 };

	assert_int_equal(str_unbase64(s, strlen(s), &b.data, &b.len), 0);
	return b;
}

/* What ssh-keygen -Y signs: the magic, namespace, nothing, hash name, hash (PROTOCOL.sshsig). */
static struct blob
signed_data(void)
{
	struct buf *b = buf_new(1024);
	struct blob out;
	uint8_t md[64];

	crypto_hash_sha512(md, (const uint8_t *)MESSAGE, strlen(MESSAGE));
	assert_int_equal(buf_put(b, "SSHSIG", 6), 0);
	assert_int_equal(buf_put_cstr(b, "test"), 0);
	assert_int_equal(buf_put_cstr(b, ""), 0);
	assert_int_equal(buf_put_cstr(b, "sha512"), 0);
	assert_int_equal(buf_put_str(b, md, sizeof(md)), 0);
	out.len = buf_len(b);
	out.data = malloc(out.len);
	memcpy(out.data, buf_ptr(b), out.len);
	buf_free(b);
	return out;
}

static struct sshkey *
parse(const struct blob *b)
{
	struct sshkey *key = NULL;

	assert_int_equal(sshkey_parse(b->data, b->len, &key), 0);
	return key;
}

static void
test_openssh_signatures_verify(void **state)
{
	struct blob tbs = signed_data();

	(void)state;
	for (size_t i = 0; i < N_VECTORS; i++) {
		struct blob blob = unbase64(vectors[i].blob), sig = unbase64(vectors[i].sig);
		struct sshkey *key = parse(&blob);

		assert_int_equal(sshkey_type(key), vectors[i].type);
		assert_int_equal(sshkey_bits(key), vectors[i].bits);
		assert_int_equal(
		    sshkey_verify(key, NULL, 0, sig.data, sig.len, tbs.data, tbs.len, NULL), 0);
		sshkey_free(key);
		free(blob.data);
		free(sig.data);
	}
	free(tbs.data);
}

static void
test_no_flipped_bit_of_a_signature_verifies(void **state)
{
	struct blob tbs = signed_data();

	(void)state;
	for (size_t i = 0; i < N_VECTORS; i++) {
		struct blob blob = unbase64(vectors[i].blob), sig = unbase64(vectors[i].sig);
		struct sshkey *key = parse(&blob);

		for (size_t at = 0; at < sig.len; at++) {
			sig.data[at] ^= (uint8_t)(1u << (at % 8));
			assert_int_not_equal(
			    sshkey_verify(key, NULL, 0, sig.data, sig.len, tbs.data, tbs.len, NULL),
			    0);
			sig.data[at] ^= (uint8_t)(1u << (at % 8));
		}
		tbs.data[3] ^= 1;
		assert_int_equal(
		    sshkey_verify(key, NULL, 0, sig.data, sig.len, tbs.data, tbs.len, NULL),
		    ERR_SIGNATURE);
		tbs.data[3] ^= 1;
		for (size_t len = 0; len < sig.len; len++)
			assert_int_equal(
			    sshkey_verify(key, NULL, 0, sig.data, len, tbs.data, tbs.len, NULL),
			    ERR_FORMAT);
		sshkey_free(key);
		free(blob.data);
		free(sig.data);
	}
	free(tbs.data);
}

static void
test_a_signature_of_one_key_does_not_verify_with_another(void **state)
{
	struct blob tbs = signed_data();

	(void)state;
	for (size_t i = 0; i < N_VECTORS; i++)
		for (size_t j = 0; j < N_VECTORS; j++) {
			struct blob blob = unbase64(vectors[i].blob),
				    sig = unbase64(vectors[j].sig);
			struct sshkey *key = parse(&blob);
			int r =
			    sshkey_verify(key, NULL, 0, sig.data, sig.len, tbs.data, tbs.len, NULL);

			assert_int_equal(r, i == j ? 0 : ERR_FORMAT);
			sshkey_free(key);
			free(blob.data);
			free(sig.data);
		}
	free(tbs.data);
}

static void
test_the_announced_algorithm_must_be_the_one_used(void **state)
{
	static const char *const others[] = { "ssh-rsa", "rsa-sha2-256", "rsa-sha2-51",
		"rsa-sha2-5122", "ssh-ed25519", "" };
	struct blob tbs = signed_data(), blob = unbase64(vectors[4].blob),
		    sig = unbase64(vectors[4].sig);
	struct sshkey *key = parse(&blob);

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(sshkey_verify(key, others[i], strlen(others[i]), sig.data, sig.len,
				     tbs.data, tbs.len, NULL),
		    ERR_FORMAT);
	assert_int_equal(
	    sshkey_verify(key, "rsa-sha2-512", 12, sig.data, sig.len, tbs.data, tbs.len, NULL), 0);
	assert_false(sshkey_alg_fits(key, "ssh-rsa", 7));
	assert_true(sshkey_alg_fits(key, "rsa-sha2-256", 12));
	sshkey_free(key);
	free(blob.data);
	free(sig.data);
	free(tbs.data);
}

static void
test_blobs_are_whole_or_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_VECTORS; i++) {
		struct blob blob = unbase64(vectors[i].blob);
		struct sshkey *key = NULL;
		uint8_t longer[SSHKEY_BLOB_MAX];

		for (size_t len = 0; len < blob.len; len++)
			assert_int_equal(sshkey_parse(blob.data, len, &key), ERR_FORMAT);
		memcpy(longer, blob.data, blob.len);
		longer[blob.len] = 0;
		assert_int_equal(sshkey_parse(longer, blob.len + 1, &key), ERR_FORMAT);
		blob.data[5] ^= 0x20; /* the type's name */
		assert_int_equal(sshkey_parse(blob.data, blob.len, &key), ERR_FORMAT);
		assert_null(key);
		free(blob.data);
	}
	assert_int_equal(
	    sshkey_parse("", SSHKEY_BLOB_MAX + 1, &(struct sshkey *){ NULL }), ERR_LIMIT);
}

static void
put_rsa(struct buf *b, const void *e, size_t e_len, size_t n_len, uint8_t first, uint8_t last)
{
	uint8_t n[2000] = { 0 };

	buf_reset(b);
	memset(n, 0x5a, n_len);
	n[0] = first;
	n[n_len - 1] = last;
	assert_int_equal(buf_put_cstr(b, "ssh-rsa"), 0);
	assert_int_equal(buf_put_str(b, e, e_len), 0);
	assert_int_equal(buf_put_str(b, n, n_len), 0);
}

/* RFC 4251 section 5: numbers have one spelling; and the sizes that are worth anything. */
static void
test_rsa_numbers_are_canonical_and_bounded(void **state)
{
	static const struct {
		const char *e;
		size_t e_len, n_len;
		uint8_t first, last;
		int want;
	} cases[] = {
		{ "\x01\x00\x01", 3, 256, 0x7f, 1, ERR_LIMIT },	 /* 2047 bits */
		{ "\x01\x00\x01", 3, 257, 0x00, 1, ERR_FORMAT }, /* padded: the next byte is 0x5a */
		{ "\x01\x00\x01", 3, 256, 0x80, 1, ERR_FORMAT }, /* negative */
		{ "\x01\x00\x01", 3, 257, 0x01, 1, 0 },		 /* 2049 bits */
		{ "\x01\x00\x01", 3, 257, 0x01, 2, ERR_FORMAT }, /* even modulus */
		{ "\x01\x00\x00", 3, 257, 0x01, 1, ERR_FORMAT }, /* even exponent */
		{ "\x01", 1, 257, 0x01, 1, ERR_FORMAT },	 /* exponent 1 */
		{ "", 0, 257, 0x01, 1, ERR_FORMAT },		 /* zero */
		{ "\x00\x03", 2, 257, 0x01, 1, ERR_FORMAT },	 /* padded */
		{ "\x01\x00\x01", 3, 1025, 0x01, 1, ERR_LIMIT }, /* 8193 bits */
		{ "\x01\x01\x01\x01\x01\x01\x01\x01\x01", 9, 257, 0x01, 1,
		    ERR_LIMIT }, /* 65-bit exponent */
	};
	struct buf *b = buf_new(SSHKEY_BLOB_MAX);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sshkey *key = NULL;

		put_rsa(
		    b, cases[i].e, cases[i].e_len, cases[i].n_len, cases[i].first, cases[i].last);
		assert_int_equal(sshkey_parse(buf_ptr(b), buf_len(b), &key), cases[i].want);
		assert_true((key != NULL) == (cases[i].want == 0));
		sshkey_free(key);
	}
	buf_free(b);
}

static void
test_a_point_off_its_curve_is_no_key(void **state)
{
	(void)state;
	for (size_t i = 1; i <= 3; i++) {
		struct blob blob = unbase64(vectors[i].blob);
		struct sshkey *key = NULL;

		blob.data[blob.len - 1] ^= 1;
		assert_int_equal(sshkey_parse(blob.data, blob.len, &key), ERR_FORMAT);
		free(blob.data);
	}
}

/* A security key in software: what a device would sign (PROTOCOL.u2f). */
struct sk {
	uint8_t pk[crypto_sign_PUBLICKEYBYTES], sk[crypto_sign_SECRETKEYBYTES];
	struct buf *blob, *sig;
};

static void
sk_sign(struct sk *k, const char *app, uint8_t flags, const char *message)
{
	uint8_t tbs[69] = { 0 }, raw[64];

	hash_sha256(app, strlen(app), tbs);
	tbs[32] = flags;
	tbs[36] = 7;
	hash_sha256(message, strlen(message), tbs + 37);
	crypto_sign_detached(raw, NULL, tbs, sizeof(tbs), k->sk);
	buf_reset(k->sig);
	assert_int_equal(buf_put_cstr(k->sig, "sk-ssh-ed25519@openssh.com"), 0);
	assert_int_equal(buf_put_str(k->sig, raw, sizeof(raw)), 0);
	assert_int_equal(buf_put_u8(k->sig, flags), 0);
	assert_int_equal(buf_put_u32(k->sig, 7), 0);
}

static void
test_a_security_key_signs_application_flags_and_counter(void **state)
{
	struct sk k = { .blob = buf_new(512), .sig = buf_new(512) };
	struct sshkey_touch touch = { 0 };
	struct sshkey *key = NULL;
	uint8_t flipped[512];

	(void)state;
	crypto_sign_keypair(k.pk, k.sk);
	assert_int_equal(buf_put_cstr(k.blob, "sk-ssh-ed25519@openssh.com"), 0);
	assert_int_equal(buf_put_str(k.blob, k.pk, sizeof(k.pk)), 0);
	assert_int_equal(buf_put_cstr(k.blob, "ssh:"), 0);
	assert_int_equal(sshkey_parse(buf_ptr(k.blob), buf_len(k.blob), &key), 0);
	sk_sign(&k, "ssh:", 5, "m");
	assert_int_equal(
	    sshkey_verify(key, NULL, 0, buf_ptr(k.sig), buf_len(k.sig), "m", 1, &touch), 0);
	assert_true(touch.present && touch.verified);
	assert_int_equal(touch.counter, 7);
	for (size_t at = 0; at < buf_len(k.sig); at++) {
		memcpy(flipped, buf_ptr(k.sig), buf_len(k.sig));
		flipped[at] ^= 4;
		assert_int_not_equal(
		    sshkey_verify(key, NULL, 0, flipped, buf_len(k.sig), "m", 1, NULL), 0);
	}
	assert_int_equal(
	    sshkey_verify(key, NULL, 0, buf_ptr(k.sig), buf_len(k.sig) - 1, "m", 1, NULL),
	    ERR_FORMAT);
	sk_sign(&k, "ssh:", 0, "m");
	assert_int_equal(
	    sshkey_verify(key, NULL, 0, buf_ptr(k.sig), buf_len(k.sig), "m", 1, &touch), 0);
	assert_false(touch.present || touch.verified);
	sk_sign(&k, "web:", 1, "m");
	assert_int_equal(sshkey_verify(key, NULL, 0, buf_ptr(k.sig), buf_len(k.sig), "m", 1, NULL),
	    ERR_SIGNATURE);
	sshkey_free(key);
	buf_free(k.blob);
	buf_free(k.sig);
}

static void
test_fields_are_taken_from_the_front_only(void **state)
{
	struct blob blob = unbase64(vectors[1].blob);
	struct buf *b = buf_new(1024);
	struct sshkey *key = NULL;
	size_t head = 4 + strlen("ecdsa-sha2-nistp256");

	(void)state;
	assert_int_equal(buf_put(b, blob.data + head, blob.len - head), 0);
	assert_int_equal(buf_put_cstr(b, "what follows"), 0);
	assert_int_equal(sshkey_get(b, SSHKEY_ECDSA_384, &key), ERR_FORMAT);
	assert_int_equal(buf_len(b), blob.len - head + 16);
	assert_int_equal(sshkey_get(b, SSHKEY_ECDSA_256, &key), 0);
	assert_int_equal(buf_len(b), 16);
	sshkey_free(key);
	buf_free(b);
	free(blob.data);
}

static void
test_lines_carry_their_type_twice(void **state)
{
	static const char *const bad[] = { "", "ssh-ed25519", "ssh-ed25519 ", "ssh-ed25519 AAAA",
		"ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAILLKMTZS27Q5BF8LSV+NySODX7td14TFUkPblZiHNPje",
		"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILLKMTZS27Q5BF8LSV!NySODX7td14TFUkPblZiHNPje",
		("command=\"x\" ssh-ed25519 "
		 "AAAAC3NzaC1lZDI1NTE5AAAAILLKMTZS27Q5BF8LSV+NySODX7td14TFUkPblZiHNPje") };
	const char *comment = NULL;
	uint8_t *blob = NULL;
	size_t len = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(sshkey_line(bad[i], &blob, &len, &comment), ERR_FORMAT);
	assert_null(blob);
	assert_int_equal(
	    sshkey_line(
		" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILLKMTZS27Q5BF8LSV+NySODX7td14TFUkPblZiHNPje "
		" me\n",
		&blob, &len, &comment),
	    0);
	assert_int_equal(len, 51);
	assert_string_equal(comment, "me\n");
	free(blob);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_openssh_signatures_verify),
		cmocka_unit_test(test_no_flipped_bit_of_a_signature_verifies),
		cmocka_unit_test(test_a_signature_of_one_key_does_not_verify_with_another),
		cmocka_unit_test(test_the_announced_algorithm_must_be_the_one_used),
		cmocka_unit_test(test_blobs_are_whole_or_nothing),
		cmocka_unit_test(test_rsa_numbers_are_canonical_and_bounded),
		cmocka_unit_test(test_a_point_off_its_curve_is_no_key),
		cmocka_unit_test(test_a_security_key_signs_application_flags_and_counter),
		cmocka_unit_test(test_fields_are_taken_from_the_front_only),
		cmocka_unit_test(test_lines_carry_their_type_twice),
	};

	if (sshkey_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
