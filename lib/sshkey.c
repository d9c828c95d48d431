/* Public key blobs and signatures: read by hand, computed by libsodium (Ed25519) and OpenSSL (ECDSA, RSA). */
#include "config.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hash.h"
#include "lib/sshkey.h"
#include "lib/str.h"

#define RSA_E_BITS_MAX 64 /* bits of a public exponent; larger ones only cost time */
#define EC_POINT_MAX (1 + 2 * 66)
#define EC_NUMBER_MAX 66       /* bytes of r or s on the largest curve */
#define SK_FLAG_PRESENT 0x01u  /* PROTOCOL.u2f: user presence */
#define SK_FLAG_VERIFIED 0x04u /* PROTOCOL.u2f: user verified */
#define SK_SIGNED_LEN                                                                              \
	(32 + 1 + 4 + 32) /* hash of the application, flags, counter, hash of the data */

struct sshkey {
	enum sshkey_type type;
	unsigned bits;
	uint8_t ed25519[crypto_sign_PUBLICKEYBYTES];
	EVP_PKEY *pkey;		       /* ECDSA and RSA */
	uint8_t application[HASH_LEN]; /* security keys: hash of the application string */
};

struct curve {
	enum sshkey_type type;
	unsigned bits;
	size_t number_len; /* bytes of one coordinate */
	const char *ssh_name, *group, *digest;
};

static const struct curve curves[] = {
	{ SSHKEY_ECDSA_256, 256, 32, "nistp256", "prime256v1", "SHA256" },
	{ SSHKEY_ECDSA_384, 384, 48, "nistp384", "secp384r1", "SHA384" },
	{ SSHKEY_ECDSA_521, 521, 66, "nistp521", "secp521r1", "SHA512" },
	{ SSHKEY_SK_ECDSA, 256, 32, "nistp256", "prime256v1", "SHA256" },
};

static const char *const type_names[SSHKEY_N_TYPES] = {
	[SSHKEY_ED25519] = "ssh-ed25519",
	[SSHKEY_ECDSA_256] = "ecdsa-sha2-nistp256",
	[SSHKEY_ECDSA_384] = "ecdsa-sha2-nistp384",
	[SSHKEY_ECDSA_521] = "ecdsa-sha2-nistp521",
	[SSHKEY_RSA] = "ssh-rsa",
	[SSHKEY_SK_ED25519] = "sk-ssh-ed25519@openssh.com",
	[SSHKEY_SK_ECDSA] = "sk-ecdsa-sha2-nistp256@openssh.com",
};

static bool
name_is(const void *name, size_t len, const char *want)
{
	return len == strlen(want) && memcmp(name, want, len) == 0;
}

static bool
is_sk(enum sshkey_type type)
{
	return type == SSHKEY_SK_ED25519 || type == SSHKEY_SK_ECDSA;
}

static const struct curve *
curve_of(enum sshkey_type type)
{
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
		if (curves[i].type == type)
			return &curves[i];
	return NULL;
}

int
sshkey_init(void)
{
	EVP_PKEY_CTX *ec, *rsa;
	uint8_t byte;
	int r = ERR_CRYPTO;

	if (sodium_init() < 0 || OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL) != 1)
		return ERR_CRYPTO;
	ec = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	rsa = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	if (ec != NULL && rsa != NULL && RAND_bytes(&byte, 1) == 1)
		r = hash_init();
	EVP_PKEY_CTX_free(ec);
	EVP_PKEY_CTX_free(rsa);
	return r;
}

const char *
sshkey_type_name(enum sshkey_type type)
{
	return type_names[type];
}

int
sshkey_type_find(const void *name, size_t len, enum sshkey_type *ret_type)
{
	for (size_t i = 0; i < SSHKEY_N_TYPES; i++)
		if (name_is(name, len, type_names[i])) {
			*ret_type = (enum sshkey_type)i;
			return 0;
		}
	return ERR_NOT_FOUND;
}

/* A positive mpint without a needless leading zero, of at most max_len bytes (RFC 4251 section 5). */
static int
get_number(struct buf *b, size_t max_len, BIGNUM **ret_bn)
{
	const uint8_t *p;
	size_t len;
	int r;

	if ((r = buf_get_str(b, &p, &len)) != 0)
		return r;
	if (len == 0 || (p[0] & 0x80) != 0)
		return ERR_FORMAT;
	if (p[0] == 0) {
		if (len == 1 || (p[1] & 0x80) == 0)
			return ERR_FORMAT;
		p++;
		len--;
	}
	if (len > max_len)
		return ERR_LIMIT;
	*ret_bn = BN_bin2bn(p, (int)len, NULL);
	return *ret_bn != NULL ? 0 : -ENOMEM;
}

/* A public EVP_PKEY from parameters. 0; ERR_FORMAT what OpenSSL does not take (a point off its curve). */
static int
pkey_from_params(const char *kind, OSSL_PARAM *params, EVP_PKEY **ret_pkey)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
	EVP_PKEY *pkey = NULL;
	int r = ctx == NULL ? -ENOMEM : ERR_CRYPTO;

	if (ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1)
		r = EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) == 1 ? 0
										    : ERR_FORMAT;
	if (r == 0)
		*ret_pkey = pkey;
	else
		EVP_PKEY_free(pkey);
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return r;
}

static int
get_ed25519(struct buf *b, struct sshkey *key)
{
	const uint8_t *p;
	size_t len;
	int r;

	if ((r = buf_get_str(b, &p, &len)) != 0)
		return r;
	if (len != sizeof(key->ed25519))
		return ERR_FORMAT;
	memcpy(key->ed25519, p, len);
	key->bits = 256;
	return 0;
}

static int
get_ecdsa(struct buf *b, struct sshkey *key)
{
	const struct curve *curve = curve_of(key->type);
	uint8_t point[EC_POINT_MAX];
	OSSL_PARAM params[3];
	char group[16];
	const uint8_t *p;
	size_t len;
	int r;

	if ((r = buf_get_str(b, &p, &len)) != 0)
		return r;
	if (!name_is(p, len, curve->ssh_name))
		return ERR_FORMAT;
	if ((r = buf_get_str(b, &p, &len)) != 0)
		return r;
	/* Only the uncompressed form (RFC 5656 section 3.1 leaves the other one optional; nobody sends it). */
	if (len != 1 + 2 * curve->number_len || p[0] != 0x04)
		return ERR_FORMAT;
	memcpy(point, p, len);
	if ((r = str_copy(group, sizeof(group), curve->group)) != 0)
		return r;
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, len);
	params[2] = OSSL_PARAM_construct_end();
	key->bits = curve->bits;
	return pkey_from_params("EC", params, &key->pkey);
}

static int
rsa_check(const BIGNUM *e, const BIGNUM *n)
{
	int bits = BN_num_bits(n);

	if (bits < (int)SSHKEY_RSA_BITS_MIN || bits > (int)SSHKEY_RSA_BITS_MAX ||
	    BN_num_bits(e) > RSA_E_BITS_MAX)
		return ERR_LIMIT;
	return BN_is_odd(n) && BN_is_odd(e) && !BN_is_one(e) ? 0 : ERR_FORMAT;
}

static int
rsa_build(const BIGNUM *e, const BIGNUM *n, EVP_PKEY **ret_pkey)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	int r = -ENOMEM;

	if (bld != NULL && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) == 1 &&
	    (params = OSSL_PARAM_BLD_to_param(bld)) != NULL)
		r = pkey_from_params("RSA", params, ret_pkey);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	return r;
}

static int
get_rsa(struct buf *b, struct sshkey *key)
{
	BIGNUM *e = NULL, *n = NULL;
	int r;

	if ((r = get_number(b, SSHKEY_RSA_BITS_MAX / 8, &e)) != 0 ||
	    (r = get_number(b, SSHKEY_RSA_BITS_MAX / 8, &n)) != 0 || (r = rsa_check(e, n)) != 0)
		goto out;
	key->bits = (unsigned)BN_num_bits(n);
	r = rsa_build(e, n, &key->pkey);
out:
	BN_free(e);
	BN_free(n);
	return r;
}

static int
get_application(struct buf *b, struct sshkey *key)
{
	const uint8_t *p;
	size_t len;
	int r;

	if ((r = buf_get_str(b, &p, &len)) != 0)
		return r;
	hash_sha256(p, len, key->application);
	return 0;
}

static int
get_fields(struct buf *b, struct sshkey *key)
{
	int r;

	if (key->type == SSHKEY_ED25519 || key->type == SSHKEY_SK_ED25519)
		r = get_ed25519(b, key);
	else if (key->type == SSHKEY_RSA)
		r = get_rsa(b, key);
	else
		r = get_ecdsa(b, key);
	if (r == 0 && is_sk(key->type))
		r = get_application(b, key);
	return r;
}

int
sshkey_get(struct buf *b, enum sshkey_type type, struct sshkey **ret_key)
{
	struct buf *view = buf_view(buf_ptr(b), buf_len(b));
	struct sshkey *key = calloc(1, sizeof(*key));
	int r = -ENOMEM;

	if (view == NULL || key == NULL)
		goto out;
	key->type = type;
	if ((r = get_fields(view, key)) != 0)
		goto out;
	if ((r = buf_skip(b, buf_len(b) - buf_len(view))) != 0)
		goto out;
	*ret_key = key;
	key = NULL;
out:
	sshkey_free(key);
	buf_free(view);
	return r;
}

int
sshkey_parse(const void *blob, size_t len, struct sshkey **ret_key)
{
	struct sshkey *key = NULL;
	enum sshkey_type type;
	const uint8_t *name;
	struct buf *b;
	size_t name_len;
	int r;

	if (len > SSHKEY_BLOB_MAX)
		return ERR_LIMIT;
	b = buf_view(blob, len);
	if (b == NULL)
		return -ENOMEM;
	if ((r = buf_get_str(b, &name, &name_len)) != 0)
		goto out;
	r = sshkey_type_find(name, name_len, &type) == 0 ? 0 : ERR_FORMAT;
	if (r != 0 || (r = sshkey_get(b, type, &key)) != 0 || (r = buf_end(b)) != 0)
		goto out;
	*ret_key = key;
	key = NULL;
out:
	sshkey_free(key);
	buf_free(b);
	return r;
}

void
sshkey_free(struct sshkey *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_free(key->pkey);
	free(key);
}

enum sshkey_type
sshkey_type(const struct sshkey *key)
{
	return key->type;
}

unsigned
sshkey_bits(const struct sshkey *key)
{
	return key->bits;
}

static int
check_blob_name(const uint8_t *blob, size_t len, const char *name, size_t name_len)
{
	struct buf *b = buf_view(blob, len);
	const uint8_t *inner;
	size_t inner_len;
	int r;

	if (b == NULL)
		return -ENOMEM;
	r = buf_get_str(b, &inner, &inner_len);
	if (r == 0 && (inner_len != name_len || memcmp(inner, name, name_len) != 0))
		r = ERR_FORMAT;
	buf_free(b);
	return r;
}

int
sshkey_line(const char *line, uint8_t **ret_blob, size_t *ret_len, const char **ret_comment)
{
	static const char space[] = " \t\r\n";
	const char *type = line + strspn(line, space);
	size_t type_len = strcspn(type, space);
	const char *data = type + type_len + strspn(type + type_len, space);
	size_t data_len = strcspn(data, space), len = 0;
	uint8_t *blob = NULL;
	int r;

	if (type_len == 0 || data_len == 0 || data_len > SSHKEY_BLOB_MAX * 2)
		return ERR_FORMAT;
	if ((r = str_unbase64(data, data_len, &blob, &len)) != 0)
		return r;
	if ((r = check_blob_name(blob, len, type, type_len)) != 0) {
		free(blob);
		return r;
	}
	*ret_blob = blob;
	*ret_len = len;
	if (ret_comment != NULL)
		*ret_comment = data + data_len + strspn(data + data_len, space);
	return 0;
}

/* The digest of an RSA signature algorithm (RFC 8332), or NULL. */
static const char *
rsa_digest(const void *alg, size_t len)
{
	if (name_is(alg, len, "rsa-sha2-256"))
		return "SHA256";
	return name_is(alg, len, "rsa-sha2-512") ? "SHA512" : NULL;
}

bool
sshkey_alg_fits(const struct sshkey *key, const void *alg, size_t len)
{
	if (key->type == SSHKEY_RSA)
		return rsa_digest(alg, len) != NULL;
	return name_is(alg, len, type_names[key->type]);
}

/* One verification by OpenSSL. 0 only for its explicit yes. */
static int
pkey_verify(EVP_PKEY *pkey, const char *digest, const uint8_t *sig, size_t sig_len,
    const void *data, size_t data_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int r = -ENOMEM;

	if (ctx == NULL)
		return r;
	r = ERR_CRYPTO;
	if (EVP_DigestVerifyInit_ex(ctx, NULL, digest, NULL, NULL, pkey, NULL) == 1)
		r = EVP_DigestVerify(ctx, sig, sig_len, data, data_len) == 1 ? 0 : ERR_SIGNATURE;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return r;
}

static int
verify_rsa(const struct sshkey *key, const char *digest, const uint8_t *sig, size_t sig_len,
    const void *data, size_t data_len)
{
	uint8_t padded[SSHKEY_RSA_BITS_MAX / 8] = { 0 };
	size_t want = (key->bits + 7) / 8;

	/* Some implementations drop leading zero bytes; as OpenSSH does, they are put back. */
	if (sig_len == 0 || sig_len > want)
		return ERR_SIGNATURE;
	memcpy(padded + want - sig_len, sig, sig_len);
	return pkey_verify(key->pkey, digest, padded, want, data, data_len);
}

/* mpint r, mpint s (RFC 5656 section 3.1.2) to the form that OpenSSL verifies. */
static int
ecdsa_to_der(const uint8_t *sig, size_t sig_len, uint8_t **ret_der, int *ret_len)
{
	struct buf *b = buf_view(sig, sig_len);
	ECDSA_SIG *es = ECDSA_SIG_new();
	BIGNUM *num_r = NULL, *num_s = NULL;
	uint8_t *der = NULL;
	int len, r = -ENOMEM;

	if (b == NULL || es == NULL)
		goto out;
	if ((r = get_number(b, EC_NUMBER_MAX, &num_r)) != 0 ||
	    (r = get_number(b, EC_NUMBER_MAX, &num_s)) != 0 || (r = buf_end(b)) != 0)
		goto out;
	r = ERR_CRYPTO;
	if (ECDSA_SIG_set0(es, num_r, num_s) != 1)
		goto out;
	num_r = num_s = NULL;
	len = i2d_ECDSA_SIG(es, &der);
	if (len <= 0)
		goto out;
	*ret_der = der;
	*ret_len = len;
	r = 0;
out:
	BN_free(num_r);
	BN_free(num_s);
	ECDSA_SIG_free(es);
	buf_free(b);
	return r;
}

static int
verify_ecdsa(
    const struct sshkey *key, const uint8_t *sig, size_t sig_len, const void *data, size_t data_len)
{
	uint8_t *der = NULL;
	int len = 0, r;

	r = ecdsa_to_der(sig, sig_len, &der, &len);
	if (r == ERR_FORMAT || r == ERR_LIMIT)
		return ERR_SIGNATURE;
	if (r == 0)
		r = pkey_verify(
		    key->pkey, curve_of(key->type)->digest, der, (size_t)len, data, data_len);
	OPENSSL_free(der);
	return r;
}

static int
verify_plain(const struct sshkey *key, const char *rsa_md, const uint8_t *sig, size_t sig_len,
    const void *data, size_t data_len)
{
	switch (key->type) {
	case SSHKEY_ED25519:
	case SSHKEY_SK_ED25519:
		if (sig_len != crypto_sign_BYTES ||
		    crypto_sign_verify_detached(sig, data, data_len, key->ed25519) != 0)
			return ERR_SIGNATURE;
		return 0;
	case SSHKEY_RSA:
		return verify_rsa(key, rsa_md, sig, sig_len, data, data_len);
	case SSHKEY_ECDSA_256:
	case SSHKEY_ECDSA_384:
	case SSHKEY_ECDSA_521:
	case SSHKEY_SK_ECDSA:
		return verify_ecdsa(key, sig, sig_len, data, data_len);
	case SSHKEY_N_TYPES:
		break;
	}
	return ERR_SIGNATURE;
}

/* A security key signs hash(application) flags counter hash(data); b stands behind the signature proper. */
static int
verify_sk(const struct sshkey *key, struct buf *b, const uint8_t *sig, size_t sig_len,
    const void *data, size_t data_len, struct sshkey_touch *ret_touch)
{
	uint8_t tbs[SK_SIGNED_LEN];
	uint32_t counter;
	uint8_t flags;
	int r;

	if (buf_len(b) != 5)
		return ERR_FORMAT;
	memcpy(tbs, key->application, HASH_LEN);
	memcpy(tbs + HASH_LEN, buf_ptr(b), 5);
	if ((r = buf_get_u8(b, &flags)) != 0 || (r = buf_get_u32(b, &counter)) != 0)
		return r;
	hash_sha256(data, data_len, tbs + HASH_LEN + 5);
	r = verify_plain(key, NULL, sig, sig_len, tbs, sizeof(tbs));
	if (r == 0 && ret_touch != NULL) {
		ret_touch->present = (flags & SK_FLAG_PRESENT) != 0;
		ret_touch->verified = (flags & SK_FLAG_VERIFIED) != 0;
		ret_touch->counter = counter;
	}
	return r;
}

/* The signature blob's two strings, its algorithm checked against the key and the announced one. */
static int
open_signature(const struct sshkey *key, const void *alg, size_t alg_len, struct buf *b,
    const char **ret_rsa_md, const uint8_t **ret_sig, size_t *ret_sig_len)
{
	const uint8_t *name;
	size_t name_len;
	int r;

	if ((r = buf_get_str(b, &name, &name_len)) != 0 ||
	    (r = buf_get_str(b, ret_sig, ret_sig_len)) != 0)
		return r;
	if (alg != NULL && (alg_len != name_len || memcmp(alg, name, name_len) != 0))
		return ERR_FORMAT;
	if (!sshkey_alg_fits(key, name, name_len))
		return ERR_FORMAT;
	*ret_rsa_md = rsa_digest(name, name_len);
	return 0;
}

int
sshkey_verify(const struct sshkey *key, const void *alg, size_t alg_len, const void *sig,
    size_t sig_len, const void *data, size_t data_len, struct sshkey_touch *ret_touch)
{
	const char *rsa_md = NULL;
	const uint8_t *raw;
	size_t raw_len;
	struct buf *b;
	int r;

	if (sig_len > SSHKEY_SIG_MAX)
		return ERR_FORMAT;
	b = buf_view(sig, sig_len);
	if (b == NULL)
		return -ENOMEM;
	r = open_signature(key, alg, alg_len, b, &rsa_md, &raw, &raw_len);
	if (r == 0 && is_sk(key->type))
		r = verify_sk(key, b, raw, raw_len, data, data_len, ret_touch);
	else if (r == 0 && (r = buf_end(b)) == 0)
		r = verify_plain(key, rsa_md, raw, raw_len, data, data_len);
	buf_free(b);
	return r;
}
