/* ECDSA and RSA through OpenSSL, whose whole heap is moved into locked memory first. */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "keys/keys_crypto.h"

#define ARENA_BLOCK_MIN 32	/* bytes of the smallest block */
#define STACK_WIPE (32u * 1024) /* bytes below a call that big-number code may have used */

/*
 * OpenSSL's allocator. The arena itself is made with the C library's memory (its bookkeeping holds no secret);
 * from then on every block comes from the arena or the call fails: nothing falls back to the ordinary heap.
 */
static void *
arena_malloc(size_t n, const char *file, int line)
{
	return CRYPTO_secure_malloc_initialized() ? CRYPTO_secure_malloc(n, file, line) : malloc(n);
}

static void
arena_free(void *p, const char *file, int line)
{
	if (p == NULL)
		return;
	if (CRYPTO_secure_allocated(p))
		CRYPTO_secure_free(p, file, line);
	else
		free(p);
}

static void *
arena_realloc(void *p, size_t n, const char *file, int line)
{
	size_t have;
	void *q;

	if (p == NULL)
		return arena_malloc(n, file, line);
	if (n == 0) {
		arena_free(p, file, line);
		return NULL;
	}
	assert(CRYPTO_secure_allocated(p));
	have = CRYPTO_secure_actual_size(p);
	if (n <= have)
		return p;
	q = arena_malloc(n, file, line);
	if (q == NULL)
		return NULL;
	memcpy(q, p, have);
	arena_free(p, file, line);
	return q;
}

int
keys_crypto_init(bool *ret_locked)
{
	int made;

	if (CRYPTO_set_mem_functions(arena_malloc, arena_realloc, arena_free) != 1)
		return ERR_ORDER;
	made = CRYPTO_secure_malloc_init(KEYS_ARENA_SIZE, ARENA_BLOCK_MIN);
	if (made == 0)
		return -ENOMEM;
	*ret_locked = made == 1;
	return sshkey_init();
}

bool
keys_crypto_holds(const void *p)
{
	return CRYPTO_secure_allocated(p) == 1;
}

/* Big-number code leaves parts of its operands on the stack below its caller. */
static void __attribute__((noinline)) wipe_stack(void)
{
	uint8_t gone[STACK_WIPE];

	explicit_bzero(gone, sizeof(gone));
}

struct ec_kind {
	enum sshkey_type type;
	const char *group, *ssh_curve, *digest;
};

static const struct ec_kind ec_kinds[] = {
	{ SSHKEY_ECDSA_256, "prime256v1", "nistp256", "SHA256" },
	{ SSHKEY_ECDSA_384, "secp384r1", "nistp384", "SHA384" },
	{ SSHKEY_ECDSA_521, "secp521r1", "nistp521", "SHA512" },
};
#define N_EC_KINDS (sizeof(ec_kinds) / sizeof(ec_kinds[0]))

static const struct ec_kind *
ec_kind(enum sshkey_type type)
{
	for (size_t i = 0; i < N_EC_KINDS; i++)
		if (ec_kinds[i].type == type)
			return &ec_kinds[i];
	return NULL;
}

static int
ec_kind_of(const EVP_PKEY *pkey, enum sshkey_type *ret_type)
{
	char group[32];

	if (EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) != 1)
		return ERR_VERSION;
	for (size_t i = 0; i < N_EC_KINDS; i++)
		if (strcmp(ec_kinds[i].group, group) == 0) {
			*ret_type = ec_kinds[i].type;
			return 0;
		}
	return ERR_VERSION;
}

/* The key object of a DER, for one call. 0; ERR_FORMAT. */
static int
pkey_open(enum sshkey_type type, const struct secret *der, EVP_PKEY **ret_pkey)
{
	const uint8_t *p = secret_cptr(der);
	EVP_PKEY *pkey;
	enum sshkey_type got;

	pkey = d2i_PrivateKey(
	    type == SSHKEY_RSA ? EVP_PKEY_RSA : EVP_PKEY_EC, NULL, &p, (long)secret_len(der));
	ERR_clear_error();
	if (pkey == NULL)
		return ERR_FORMAT;
	if (type != SSHKEY_RSA && (ec_kind_of(pkey, &got) != 0 || got != type)) {
		EVP_PKEY_free(pkey);
		return ERR_FORMAT;
	}
	*ret_pkey = pkey;
	return 0;
}

static int
pkey_close(EVP_PKEY *pkey, struct secret **ret_der)
{
	int len = i2d_PrivateKey(pkey, NULL);
	struct secret *der;
	uint8_t *p;

	if (len <= 0)
		return ERR_CRYPTO;
	if (len > (int)KEYS_DER_MAX)
		return ERR_LIMIT;
	der = secret_new((size_t)len);
	if (der == NULL)
		return -ENOMEM;
	p = secret_ptr(der);
	if (i2d_PrivateKey(pkey, &p) != len) {
		secret_free(der);
		return ERR_CRYPTO;
	}
	*ret_der = der;
	return 0;
}

static int
generate_ed25519(struct secret **ret_der)
{
	struct secret *sk = secret_new(crypto_sign_SECRETKEYBYTES);
	uint8_t pk[crypto_sign_PUBLICKEYBYTES];

	if (sk == NULL)
		return -ENOMEM;
	if (crypto_sign_keypair(pk, secret_ptr(sk)) != 0) {
		secret_free(sk);
		return ERR_CRYPTO;
	}
	*ret_der = sk;
	return 0;
}

int
keys_crypto_generate(enum sshkey_type type, unsigned bits, struct secret **ret_der)
{
	const struct ec_kind *kind = ec_kind(type);
	EVP_PKEY *pkey;
	int r;

	if (type == SSHKEY_ED25519)
		return generate_ed25519(ret_der);
	if (kind != NULL)
		pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind->group);
	else
		pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);
	r = pkey == NULL ? ERR_CRYPTO : pkey_close(pkey, ret_der);
	EVP_PKEY_free(pkey);
	ERR_clear_error();
	wipe_stack();
	return r;
}

/* A positive number in SSH's form (RFC 4251 section 5). */
static int
put_number(struct buf *b, const BIGNUM *bn)
{
	uint8_t bytes[1 + SSHKEY_RSA_BITS_MAX / 8] = { 0 };
	int len = BN_num_bytes(bn);
	size_t lead;

	if (len <= 0 || len > (int)sizeof(bytes) - 1 || BN_bn2bin(bn, bytes + 1) != len)
		return ERR_LIMIT;
	lead = (bytes[1] & 0x80) != 0 ? 0 : 1;
	return buf_put_str(b, bytes + lead, (size_t)len + 1 - lead);
}

static int
put_ec_public(struct buf *b, const EVP_PKEY *pkey, const struct ec_kind *kind)
{
	uint8_t point[1 + 2 * 66];
	size_t len = 0;
	int r;

	if (EVP_PKEY_get_octet_string_param(
		pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len) != 1)
		return ERR_FORMAT;
	if ((r = buf_put_cstr(b, sshkey_type_name(kind->type))) != 0 ||
	    (r = buf_put_cstr(b, kind->ssh_curve)) != 0 || (r = buf_put_str(b, point, len)) != 0)
		return r;
	return 0;
}

static int
put_rsa_public(struct buf *b, const EVP_PKEY *pkey)
{
	BIGNUM *n = NULL, *e = NULL;
	int r = ERR_FORMAT;

	if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
	    EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
	    (r = buf_put_cstr(b, "ssh-rsa")) == 0 && (r = put_number(b, e)) == 0)
		r = put_number(b, n);
	BN_free(n);
	BN_free(e);
	return r;
}

static int
put_ed25519_public(struct buf *b, const struct secret *sk)
{
	int r;

	if (secret_len(sk) != crypto_sign_SECRETKEYBYTES)
		return ERR_FORMAT;
	if ((r = buf_put_cstr(b, "ssh-ed25519")) != 0)
		return r;
	return buf_put_str(b, secret_cptr(sk) + crypto_sign_SEEDBYTES, crypto_sign_PUBLICKEYBYTES);
}

int
keys_crypto_public(enum sshkey_type type, const struct secret *der, struct buf *ret_blob)
{
	EVP_PKEY *pkey = NULL;
	int r;

	if (type == SSHKEY_ED25519)
		return put_ed25519_public(ret_blob, der);
	if ((r = pkey_open(type, der, &pkey)) != 0)
		return r;
	r = type == SSHKEY_RSA ? put_rsa_public(ret_blob, pkey)
			       : put_ec_public(ret_blob, pkey, ec_kind(type));
	EVP_PKEY_free(pkey);
	ERR_clear_error();
	return r;
}

/* The digest that goes with an algorithm of this key type, or NULL. */
static const char *
digest_of(enum sshkey_type type, const char *alg)
{
	if (type == SSHKEY_RSA && strcmp(alg, "rsa-sha2-256") == 0)
		return "SHA256";
	if (type == SSHKEY_RSA && strcmp(alg, "rsa-sha2-512") == 0)
		return "SHA512";
	if (ec_kind(type) != NULL && strcmp(alg, sshkey_type_name(type)) == 0)
		return ec_kind(type)->digest;
	return NULL;
}

/* What OpenSSL calls an ECDSA signature, in SSH's form: one string holding mpint r, mpint s (RFC 5656 section 3.1.2). */
static int
put_ecdsa_signature(struct buf *b, const uint8_t *der, size_t len)
{
	ECDSA_SIG *es = d2i_ECDSA_SIG(NULL, &der, (long)len);
	struct buf *inner = buf_new(2 * (4 + 1 + 66));
	const BIGNUM *num_r, *num_s;
	int r = -ENOMEM;

	if (es == NULL || inner == NULL)
		goto out;
	ECDSA_SIG_get0(es, &num_r, &num_s);
	if ((r = put_number(inner, num_r)) != 0 || (r = put_number(inner, num_s)) != 0)
		goto out;
	r = buf_put_str(b, buf_ptr(inner), buf_len(inner));
out:
	ECDSA_SIG_free(es);
	buf_free(inner);
	return r;
}

static int
pkey_sign(EVP_PKEY *pkey, const char *digest, const void *data, size_t len, uint8_t *ret_sig,
    size_t *ret_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int r = ERR_CRYPTO;

	if (ctx == NULL)
		return -ENOMEM;
	if (EVP_DigestSignInit_ex(ctx, NULL, digest, NULL, NULL, pkey, NULL) == 1 &&
	    EVP_DigestSign(ctx, ret_sig, ret_len, data, len) == 1)
		r = 0;
	EVP_MD_CTX_free(ctx);
	return r;
}

static int
sign_ed25519(
    const struct secret *sk, const char *alg, const void *data, size_t len, struct buf *ret_sig)
{
	uint8_t raw[crypto_sign_BYTES];
	int r;

	if (strcmp(alg, "ssh-ed25519") != 0)
		return ERR_FORMAT;
	if (crypto_sign_detached(raw, NULL, data, len, secret_cptr(sk)) != 0)
		return ERR_CRYPTO;
	if ((r = buf_put_cstr(ret_sig, alg)) != 0)
		return r;
	return buf_put_str(ret_sig, raw, sizeof(raw));
}

int
keys_crypto_sign(enum sshkey_type type, const struct secret *der, const char *alg, const void *data,
    size_t len, struct buf *ret_sig)
{
	uint8_t raw[SSHKEY_RSA_BITS_MAX / 8];
	size_t raw_len = sizeof(raw);
	const char *digest;
	EVP_PKEY *pkey = NULL;
	int r;

	if (type == SSHKEY_ED25519)
		return sign_ed25519(der, alg, data, len, ret_sig);
	if ((digest = digest_of(type, alg)) == NULL)
		return ERR_FORMAT;
	if ((r = pkey_open(type, der, &pkey)) != 0)
		return r;
	if ((r = pkey_sign(pkey, digest, data, len, raw, &raw_len)) != 0 ||
	    (r = buf_put_cstr(ret_sig, alg)) != 0)
		goto out;
	if (type == SSHKEY_RSA)
		r = buf_put_str(ret_sig, raw, raw_len);
	else
		r = put_ecdsa_signature(ret_sig, raw, raw_len);
out:
	EVP_PKEY_free(pkey);
	ERR_clear_error();
	wipe_stack();
	return r;
}

/* The two halves must belong together, and the numbers be what they claim to be. */
static int
pkey_check(EVP_PKEY *pkey)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	int r = ERR_FORMAT;

	if (ctx == NULL)
		return -ENOMEM;
	if (EVP_PKEY_check(ctx) == 1 && EVP_PKEY_pairwise_check(ctx) == 1)
		r = 0;
	if (r == 0 && EVP_PKEY_is_a(pkey, "RSA") == 1 &&
	    (EVP_PKEY_get_bits(pkey) < (int)SSHKEY_RSA_BITS_MIN ||
		EVP_PKEY_get_bits(pkey) > (int)SSHKEY_RSA_BITS_MAX))
		r = ERR_LIMIT;
	EVP_PKEY_CTX_free(ctx);
	return r;
}

static int
pkey_build(const char *kind, OSSL_PARAM_BLD *bld, struct secret **ret_der)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY *pkey = NULL;
	int r = -ENOMEM;

	if (ctx == NULL || params == NULL)
		goto out;
	r = ERR_FORMAT;
	if (EVP_PKEY_fromdata_init(ctx) == 1 &&
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEYPAIR, params) == 1 &&
	    (r = pkey_check(pkey)) == 0)
		r = pkey_close(pkey, ret_der);
out:
	EVP_PKEY_free(pkey);
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	wipe_stack();
	return r;
}

static BIGNUM *
number_open(struct keys_number n)
{
	BIGNUM *bn = BN_secure_new();

	if (bn != NULL && BN_bin2bn(n.data, (int)n.len, bn) == NULL) {
		BN_clear_free(bn);
		bn = NULL;
	}
	return bn;
}

int
keys_crypto_from_scalar(enum sshkey_type type, struct keys_number scalar, struct keys_number point,
    struct secret **ret_der)
{
	const struct ec_kind *kind = ec_kind(type);
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	BIGNUM *bn = NULL;
	int r = -ENOMEM;

	if (kind == NULL || scalar.len > 67 || point.len > 1 + 2 * 66) {
		r = ERR_FORMAT;
		goto out;
	}
	if ((bn = number_open(scalar)) == NULL || bld == NULL)
		goto out;
	if (OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, kind->group, 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.len) ==
		1 &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, bn) == 1)
		r = pkey_build("EC", bld, ret_der);
out:
	OSSL_PARAM_BLD_free(bld);
	BN_clear_free(bn);
	return r;
}

/* x = d mod (p - 1): what the file leaves out (RFC 8017 section 3.2). */
static BIGNUM *
exponent_of(const BIGNUM *d, const BIGNUM *p)
{
	BN_CTX *ctx = BN_CTX_secure_new();
	BIGNUM *x = BN_secure_new(), *less = BN_secure_new();
	bool ok = false;

	if (ctx != NULL && x != NULL && less != NULL && BN_copy(less, p) != NULL)
		ok = BN_sub_word(less, 1) == 1 && !BN_is_zero(less) && BN_mod(x, d, less, ctx) == 1;
	BN_clear_free(less);
	BN_CTX_free(ctx);
	if (!ok) {
		BN_clear_free(x);
		x = NULL;
	}
	return x;
}

/* n, e, d, q^-1 mod p, p, q as in an OpenSSH file, then d mod (p-1), d mod (q-1). */
static const char *const rsa_params[8] = { OSSL_PKEY_PARAM_RSA_N, OSSL_PKEY_PARAM_RSA_E,
	OSSL_PKEY_PARAM_RSA_D, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, OSSL_PKEY_PARAM_RSA_FACTOR1,
	OSSL_PKEY_PARAM_RSA_FACTOR2, OSSL_PKEY_PARAM_RSA_EXPONENT1, OSSL_PKEY_PARAM_RSA_EXPONENT2 };

int
keys_crypto_from_rsa(const struct keys_number numbers[6], struct secret **ret_der)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	BIGNUM *bn[8] = { NULL };
	int r = bld == NULL ? -ENOMEM : 0;

	for (size_t i = 0; r == 0 && i < 6; i++) {
		if (numbers[i].len == 0 || numbers[i].len > SSHKEY_RSA_BITS_MAX / 8 + 1)
			r = ERR_LIMIT;
		else if ((bn[i] = number_open(numbers[i])) == NULL)
			r = -ENOMEM;
	}
	if (r == 0 && ((bn[6] = exponent_of(bn[2], bn[4])) == NULL ||
			  (bn[7] = exponent_of(bn[2], bn[5])) == NULL))
		r = ERR_FORMAT;
	for (size_t i = 0; r == 0 && i < 8; i++)
		r = OSSL_PARAM_BLD_push_BN(bld, rsa_params[i], bn[i]) == 1 ? 0 : ERR_FORMAT;
	if (r == 0)
		r = pkey_build("RSA", bld, ret_der);
	OSSL_PARAM_BLD_free(bld);
	for (size_t i = 0; i < 8; i++)
		BN_clear_free(bn[i]);
	ERR_clear_error();
	return r;
}

struct pem_ask {
	const struct secret *passphrase;
	bool asked;
};

static int
pem_passphrase(char *dst, int size, int writing, void *arg)
{
	struct pem_ask *ask = arg;
	size_t len = ask->passphrase == NULL ? 0 : secret_len(ask->passphrase);

	(void)writing;
	ask->asked = true;
	if (len == 0 || len > (size_t)size)
		return -1;
	memcpy(dst, secret_cptr(ask->passphrase), len);
	return (int)len;
}

static int
ed25519_from_pkey(const EVP_PKEY *pkey, struct secret **ret_der)
{
	struct secret *seed = secret_new(crypto_sign_SEEDBYTES),
		      *sk = secret_new(crypto_sign_SECRETKEYBYTES);
	uint8_t pk[crypto_sign_PUBLICKEYBYTES];
	size_t len = crypto_sign_SEEDBYTES;
	int r = -ENOMEM;

	if (seed == NULL || sk == NULL)
		goto out;
	r = ERR_FORMAT;
	if (EVP_PKEY_get_raw_private_key(pkey, secret_ptr(seed), &len) != 1 ||
	    len != crypto_sign_SEEDBYTES ||
	    crypto_sign_seed_keypair(pk, secret_ptr(sk), secret_cptr(seed)) != 0)
		goto out;
	*ret_der = sk;
	sk = NULL;
	r = 0;
out:
	secret_free(seed);
	secret_free(sk);
	return r;
}

static int
take_pkey(EVP_PKEY *pkey, enum sshkey_type *ret_type, struct secret **ret_der)
{
	enum sshkey_type type = SSHKEY_RSA;
	int r;

	if (EVP_PKEY_is_a(pkey, "ED25519") == 1) {
		*ret_type = SSHKEY_ED25519;
		return ed25519_from_pkey(pkey, ret_der);
	}
	if (EVP_PKEY_is_a(pkey, "EC") == 1) {
		if ((r = ec_kind_of(pkey, &type)) != 0)
			return r;
	} else if (EVP_PKEY_is_a(pkey, "RSA") != 1) {
		return ERR_VERSION;
	}
	if ((r = pkey_check(pkey)) != 0 || (r = pkey_close(pkey, ret_der)) != 0)
		return r;
	*ret_type = type;
	return 0;
}

int
keys_crypto_from_pem(const struct secret *text, const struct secret *passphrase,
    enum sshkey_type *ret_type, struct secret **ret_der)
{
	BIO *bio = BIO_new_mem_buf(secret_cptr(text), (int)secret_len(text));
	struct pem_ask ask = { .passphrase = passphrase };
	EVP_PKEY *pkey = NULL;
	int r = -ENOMEM;

	if (bio == NULL)
		return r;
	pkey = PEM_read_bio_PrivateKey(bio, NULL, pem_passphrase, &ask);
	if (pkey == NULL)
		r = ask.asked ? ERR_DENIED : ERR_FORMAT;
	else
		r = take_pkey(pkey, ret_type, ret_der);
	EVP_PKEY_free(pkey);
	BIO_free(bio);
	ERR_clear_error();
	wipe_stack();
	return r;
}
