/* Keys by parameters, signatures by EVP. The only file of the module that knows OpenSSL. */
#include "config.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bastiond/auth/oidc_jwk.h"
#include "lib/str.h"

#define RSA_E_BITS_MAX 64
#define EC_NUMBER_MAX 48 /* bytes of a coordinate on the largest curve */
#define ED25519_LEN 32	 /* bytes of a key */
#define ED25519_SIG_LEN 64

struct kind {
	const char *kty;
	const char *crv;    /* NULL: RSA has none */
	const char *group;  /* OpenSSL's name of it */
	const char *digest; /* NULL: part of the algorithm */
	size_t number_len;  /* bytes of a coordinate, and of r and s */
	bool pss;
};

static const struct kind kinds[OIDC_N_ALGS] = {
	[OIDC_RS256] = { "RSA", NULL, NULL, "SHA256", 0, false },
	[OIDC_PS256] = { "RSA", NULL, NULL, "SHA256", 0, true },
	[OIDC_ES256] = { "EC", "P-256", "prime256v1", "SHA256", 32, false },
	[OIDC_ES384] = { "EC", "P-384", "secp384r1", "SHA384", 48, false },
	[OIDC_EDDSA] = { "OKP", "Ed25519", NULL, NULL, 0, false },
};

/* A member in base64url. *ret_data: owned by caller. */
static int
get_bytes(const struct json_node *jwk, const char *name, uint8_t **ret_data, size_t *ret_len)
{
	const char *s = json_str(json_get(jwk, name), "");

	return s[0] != '\0' ? oidc_base64url(s, strlen(s), ret_data, ret_len) : ERR_FORMAT;
}

static int
pkey_from_params(const char *kind, OSSL_PARAM *params, EVP_PKEY **ret_pkey)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
	EVP_PKEY *pkey = NULL;
	int r = ctx == NULL ? -ENOMEM : ERR_FORMAT;

	if (ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) == 1)
		r = 0;
	if (r == 0)
		*ret_pkey = pkey;
	else
		EVP_PKEY_free(pkey);
	EVP_PKEY_CTX_free(ctx);
	return r;
}

static int
rsa_pkey(const BIGNUM *n, const BIGNUM *e, EVP_PKEY **ret_pkey)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	int r = -ENOMEM;

	if (BN_num_bits(n) < OIDC_RSA_BITS_MIN || BN_num_bits(n) > OIDC_RSA_BITS_MAX ||
	    BN_num_bits(e) > RSA_E_BITS_MAX || BN_num_bits(e) < 2 || !BN_is_odd(e) || !BN_is_odd(n))
		r = ERR_LIMIT;
	else if (bld != NULL && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
		 OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) == 1 &&
		 (params = OSSL_PARAM_BLD_to_param(bld)) != NULL)
		r = pkey_from_params("RSA", params, ret_pkey);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	return r;
}

/* RFC 7518 section 6.3.1 */
static int
rsa_key(const struct json_node *jwk, const struct kind *kind, EVP_PKEY **ret_pkey)
{
	uint8_t *n = NULL, *e = NULL;
	size_t n_len, e_len;
	BIGNUM *bn = NULL, *be = NULL;
	int r;

	(void)kind;
	if ((r = get_bytes(jwk, "n", &n, &n_len)) != 0 ||
	    (r = get_bytes(jwk, "e", &e, &e_len)) != 0)
		goto out;
	r = ERR_LIMIT;
	if (n_len > OIDC_RSA_BITS_MAX / 8 + 1 || e_len > RSA_E_BITS_MAX / 8)
		goto out;
	r = -ENOMEM;
	if ((bn = BN_bin2bn(n, (int)n_len, NULL)) != NULL &&
	    (be = BN_bin2bn(e, (int)e_len, NULL)) != NULL)
		r = rsa_pkey(bn, be, ret_pkey);
out:
	BN_free(bn);
	BN_free(be);
	free(n);
	free(e);
	return r;
}

/* RFC 7518 section 6.2.1; OpenSSL refuses what is not on the curve. */
static int
ec_key(const struct json_node *jwk, const struct kind *kind, EVP_PKEY **ret_pkey)
{
	uint8_t point[1 + 2 * EC_NUMBER_MAX] = { 0x04 };
	uint8_t *x = NULL, *y = NULL;
	size_t x_len, y_len;
	char group[16];
	OSSL_PARAM params[3];
	int r;

	if ((r = get_bytes(jwk, "x", &x, &x_len)) != 0 ||
	    (r = get_bytes(jwk, "y", &y, &y_len)) != 0 ||
	    (r = str_copy(group, sizeof(group), kind->group)) != 0)
		goto out;
	r = ERR_FORMAT;
	if (x_len != kind->number_len || y_len != kind->number_len)
		goto out;
	memcpy(point + 1, x, x_len);
	memcpy(point + 1 + x_len, y, y_len);
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
	params[1] =
	    OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + x_len + y_len);
	params[2] = OSSL_PARAM_construct_end();
	r = pkey_from_params("EC", params, ret_pkey);
out:
	free(x);
	free(y);
	return r;
}

/* RFC 8037 section 2 */
static int
okp_key(const struct json_node *jwk, const struct kind *kind, EVP_PKEY **ret_pkey)
{
	uint8_t *x = NULL;
	size_t len;
	int r = get_bytes(jwk, "x", &x, &len);

	(void)kind;
	if (r == 0 && len != ED25519_LEN)
		r = ERR_FORMAT;
	if (r == 0 &&
	    (*ret_pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, len)) == NULL)
		r = ERR_FORMAT;
	free(x);
	return r;
}

static const struct {
	const char *kty;
	int (*make)(const struct json_node *jwk, const struct kind *kind, EVP_PKEY **ret_pkey);
} makers[] = {
	{ "RSA", rsa_key },
	{ "EC", ec_key },
	{ "OKP", okp_key },
};

static int
key_make(const struct json_node *jwk, const struct kind *kind, EVP_PKEY **ret_pkey)
{
	int r = ERR_FORMAT;

	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++)
		if (strcmp(makers[i].kty, kind->kty) == 0)
			r = makers[i].make(jwk, kind, ret_pkey);
	ERR_clear_error();
	return r;
}

/* r and s of fixed length (RFC 7518 section 3.4) as OpenSSL wants them. *ret_der: owned by caller, OPENSSL_free(). */
static int
ec_signature(const struct oidc_jwt *jwt, size_t n, uint8_t **ret_der, size_t *ret_len)
{
	ECDSA_SIG *sig;
	BIGNUM *r_bn, *s_bn;
	uint8_t *der = NULL;
	int len = -1;

	if (jwt->sig_len != 2 * n)
		return ERR_SIGNATURE;
	sig = ECDSA_SIG_new();
	r_bn = BN_bin2bn(jwt->sig, (int)n, NULL);
	s_bn = BN_bin2bn(jwt->sig + n, (int)n, NULL);
	if (sig != NULL && r_bn != NULL && s_bn != NULL && ECDSA_SIG_set0(sig, r_bn, s_bn) == 1) {
		r_bn = NULL;
		s_bn = NULL;
		len = i2d_ECDSA_SIG(sig, &der);
	}
	BN_free(r_bn);
	BN_free(s_bn);
	ECDSA_SIG_free(sig);
	if (len <= 0)
		return -ENOMEM;
	*ret_der = der;
	*ret_len = (size_t)len;
	return 0;
}

/* 0 only if the signature verifies. */
static int
verify_with(EVP_PKEY *pkey, const struct kind *kind, const struct oidc_jwt *jwt, const uint8_t *sig,
    size_t sig_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	int r = ERR_SIGNATURE;

	if (ctx == NULL)
		return -ENOMEM;
	if (EVP_DigestVerifyInit_ex(ctx, &pctx, kind->digest, NULL, NULL, pkey, NULL) == 1 &&
	    (!kind->pss ||
		(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1)) &&
	    EVP_DigestVerify(ctx, sig, sig_len, (const uint8_t *)jwt->text, jwt->signed_len) == 1)
		r = 0;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return r;
}

static int
verify_key(const struct json_node *jwk, const struct oidc_jwt *jwt)
{
	const struct kind *kind = &kinds[jwt->alg];
	const uint8_t *sig = jwt->sig;
	size_t sig_len = jwt->sig_len;
	EVP_PKEY *pkey = NULL;
	uint8_t *der = NULL;
	int r;

	if ((r = key_make(jwk, kind, &pkey)) != 0)
		return r;
	if (kind->number_len > 0) {
		if ((r = ec_signature(jwt, kind->number_len, &der, &sig_len)) != 0)
			goto out;
		sig = der;
	}
	/* RFC 8017 section 8.2.2: a signature is as long as its modulus. */
	if ((strcmp(kind->kty, "RSA") == 0 && sig_len != (size_t)EVP_PKEY_get_size(pkey)) ||
	    (jwt->alg == OIDC_EDDSA && sig_len != ED25519_SIG_LEN))
		r = ERR_SIGNATURE;
	else
		r = verify_with(pkey, kind, jwt, sig, sig_len);
out:
	OPENSSL_free(der);
	EVP_PKEY_free(pkey);
	return r;
}

static bool
alg_fits(const char *name, enum oidc_alg alg)
{
	return name == NULL || strcmp(name, oidc_alg_name(alg)) == 0 ||
	       (alg == OIDC_EDDSA && strcmp(name, "Ed25519") == 0);
}

/* Whether signing is among what the key is for (RFC 7517 section 4.3). */
static bool
ops_fit(const struct json_node *ops)
{
	for (size_t i = 0; i < json_n(ops); i++)
		if (strcmp(json_str(json_at(ops, i), ""), "verify") == 0)
			return true;
	return ops == NULL;
}

static bool
key_fits(const struct json_node *jwk, const struct oidc_jwt *jwt)
{
	const struct kind *kind = &kinds[jwt->alg];
	const struct json_node *use = json_get(jwk, "use"), *alg = json_get(jwk, "alg");

	return strcmp(json_str(json_get(jwk, "kty"), ""), kind->kty) == 0 &&
	       (kind->crv == NULL || strcmp(json_str(json_get(jwk, "crv"), ""), kind->crv) == 0) &&
	       (use == NULL || strcmp(json_str(use, ""), "sig") == 0) &&
	       (alg == NULL || alg_fits(json_str(alg, ""), jwt->alg)) &&
	       ops_fit(json_get(jwk, "key_ops")) &&
	       (jwt->kid[0] == '\0' || strcmp(json_str(json_get(jwk, "kid"), ""), jwt->kid) == 0);
}

int
oidc_jwk_verify(const struct json_node *jwks, struct oidc_jwt *jwt, struct oidc_why *why)
{
	const struct json_node *keys = json_get(jwks, "keys"), *key = NULL;
	size_t n = 0;
	int r;

	if (!json_is_list(keys) || json_n(keys) > OIDC_JWKS_MAX)
		return oidc_why(why, OIDC_END_PROVIDER, ERR_FORMAT,
		    "the provider's keys are not a set of at most %u", OIDC_JWKS_MAX);
	for (size_t i = 0; i < json_n(keys); i++)
		if (key_fits(json_at(keys, i), jwt)) {
			key = json_at(keys, i);
			n++;
		}
	if (n == 0)
		return oidc_why(why, OIDC_END_TOKEN, ERR_NOT_FOUND,
		    "the provider publishes no key %s for %s", jwt->kid, oidc_alg_name(jwt->alg));
	if (n > 1)
		return oidc_why(why, OIDC_END_TOKEN, ERR_FORMAT,
		    "the provider publishes %zu keys that the ID token could mean by '%s'", n,
		    jwt->kid);
	r = verify_key(key, jwt);
	if (r == -ENOMEM)
		return oidc_why(why, OIDC_END_SYSTEM, r, "out of memory");
	if (r == ERR_SIGNATURE)
		return oidc_why(why, OIDC_END_TOKEN, r,
		    "the ID token's signature does not verify with the provider's key %s",
		    jwt->kid);
	if (r != 0)
		return oidc_why(why, OIDC_END_TOKEN, ERR_FORMAT,
		    "the provider's key %s is none that may be used: %s", jwt->kid, err_str(r));
	return oidc_jwt_open(jwt, why);
}
