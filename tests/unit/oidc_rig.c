/* Tokens are made here by other calls than those that check them. */
#include "config.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <stdarg.h>

#include "tests/lib/test.h"
#include "tests/unit/oidc_rig.h"

static EVP_PKEY *keys[RIG_N_KINDS];

EVP_PKEY *
rig_key(enum rig_kind kind)
{
	if (keys[kind] == NULL)
		switch (kind) {
		case RIG_RSA:
			keys[kind] = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
			break;
		case RIG_RSA_SHORT:
			keys[kind] = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
			break;
		case RIG_P256:
			keys[kind] = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
			break;
		case RIG_P384:
			keys[kind] = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
			break;
		case RIG_ED25519:
		case RIG_N_KINDS:
			keys[kind] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
			break;
		}
	assert_non_null(keys[kind]);
	return keys[kind];
}

void
rig_done(void)
{
	for (size_t i = 0; i < N_OF(keys); i++) {
		EVP_PKEY_free(keys[i]);
		keys[i] = NULL;
	}
}

char *
rig_base64url(const void *data, size_t len)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const uint8_t *p = data;
	char *s = calloc(1, len * 4 / 3 + 4), *at = s;

	assert_non_null(s);
	for (size_t bit = 0; bit < len * 8; bit += 6) {
		unsigned v = (unsigned)p[bit / 8] << 8;

		if (bit / 8 + 1 < len)
			v |= p[bit / 8 + 1];
		*at++ = digits[v >> (10 - bit % 8) & 63];
	}
	return s;
}

static char *
number(EVP_PKEY *key, const char *name, size_t len)
{
	BIGNUM *bn = NULL;
	uint8_t bytes[1024];
	char *s;

	assert_int_equal(EVP_PKEY_get_bn_param(key, name, &bn), 1);
	if (len == 0)
		len = (size_t)BN_num_bytes(bn);
	assert_int_equal(BN_bn2binpad(bn, bytes, (int)len), (int)len);
	s = rig_base64url(bytes, len);
	BN_free(bn);
	return s;
}

char *
rig_jwk(enum rig_kind kind, const char *more)
{
	EVP_PKEY *key = rig_key(kind);
	char *a = NULL, *b = NULL, *text = NULL;
	uint8_t raw[32];
	size_t len = sizeof(raw);
	int n = -1;

	more = more[0] != '\0' ? more : "\"use\":\"sig\"";
	if (kind == RIG_RSA || kind == RIG_RSA_SHORT) {
		a = number(key, OSSL_PKEY_PARAM_RSA_N, 0);
		b = number(key, OSSL_PKEY_PARAM_RSA_E, 0);
		n = asprintf(&text, "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\",%s}", a, b, more);
	} else if (kind == RIG_P256 || kind == RIG_P384) {
		len = kind == RIG_P256 ? 32 : 48;
		a = number(key, OSSL_PKEY_PARAM_EC_PUB_X, len);
		b = number(key, OSSL_PKEY_PARAM_EC_PUB_Y, len);
		n = asprintf(&text,
		    "{\"kty\":\"EC\",\"crv\":\"P-%s\",\"x\":\"%s\",\"y\":\"%s\",%s}",
		    kind == RIG_P256 ? "256" : "384", a, b, more);
	} else {
		assert_int_equal(EVP_PKEY_get_raw_public_key(key, raw, &len), 1);
		a = rig_base64url(raw, len);
		n = asprintf(
		    &text, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\",%s}", a, more);
	}
	assert_true(n > 0);
	free(a);
	free(b);
	return text;
}

char *
rig_jwks(const char *jwk, ...)
{
	char *text = calloc(1, 65536);
	size_t at;
	va_list ap;

	assert_non_null(text);
	at = (size_t)snprintf(text, 65536, "{\"keys\":[");
	va_start(ap, jwk);
	for (const char *k = jwk; k != NULL; k = va_arg(ap, const char *))
		at += (size_t)snprintf(
		    text + at, 65536 - at, "%s%s", text[at - 1] == '[' ? "" : ",", k);
	va_end(ap);
	assert_true(at + 3 < 65536);
	(void)snprintf(text + at, 65536 - at, "]}");
	return text;
}

/* DER to r and s of n bytes each. */
static size_t
flat_signature(uint8_t *sig, size_t len, size_t n)
{
	const uint8_t *p = sig;
	ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)len);

	assert_non_null(s);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(s), sig, (int)n), (int)n);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(s), sig + n, (int)n), (int)n);
	ECDSA_SIG_free(s);
	return 2 * n;
}

static size_t
sign(EVP_PKEY *key, const char *alg, const char *text, uint8_t *sig, size_t size)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	const char *digest = strcmp(alg, "EdDSA") == 0 || strcmp(alg, "Ed25519") == 0 ? NULL
			     : strcmp(alg, "ES384") == 0			      ? "SHA384"
										      : "SHA256";
	size_t len = size;

	assert_non_null(ctx);
	assert_int_equal(EVP_DigestSignInit_ex(ctx, &pctx, digest, NULL, NULL, key, NULL), 1);
	if (strcmp(alg, "PS256") == 0) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, 32), 1);
	}
	assert_int_equal(EVP_DigestSign(ctx, sig, &len, (const uint8_t *)text, strlen(text)), 1);
	EVP_MD_CTX_free(ctx);
	if (strcmp(alg, "ES256") == 0)
		return flat_signature(sig, len, 32);
	return strcmp(alg, "ES384") == 0 ? flat_signature(sig, len, 48) : len;
}

char *
rig_token_with(const char *header, const char *claims, const void *sig, size_t sig_len)
{
	char *h = rig_base64url(header, strlen(header)), *c = rig_base64url(claims, strlen(claims)),
	     *s = rig_base64url(sig, sig_len), *text = NULL;

	assert_true(asprintf(&text, "%s.%s.%s", h, c, s) > 0);
	free(h);
	free(c);
	free(s);
	return text;
}

char *
rig_token(enum rig_kind kind, const char *alg, const char *header, const char *claims)
{
	char *text = rig_token_with(header, claims, "", 0);
	uint8_t sig[1024];
	size_t len = 0;
	char *token;

	text[strlen(text) - 1] = '\0'; /* the last dot is not signed */
	if (strcmp(alg, "none") != 0)
		len = sign(rig_key(kind), alg, text, sig, sizeof(sig));
	free(text);
	token = rig_token_with(header, claims, sig, len);
	return token;
}
