/* Key records, and the way from one to the key. */
#include "config.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "recorder/seskey.h"

#define RECORD_VERSION 1u
#define HASHED "bastiond-seskey-v1"

void
seskey_done(struct seskey *k)
{
	sodium_memzero(k, sizeof(*k));
}

static int
get_sealed(struct buf *b, struct auditors *to, uint8_t (*sealed)[SESKEY_SECRET_SEALED])
{
	uint8_t n;
	int r;

	if ((r = buf_get_u8(b, &n)) != 0)
		return r;
	if (n == 0 || n > AUDITORS_MAX)
		return ERR_FORMAT;
	for (size_t i = 0; i < n; i++) {
		struct auditor a;

		if ((r = buf_get(b, a.key, sizeof(a.key))) != 0 ||
		    (r = buf_get_cstr(b, a.name, sizeof(a.name))) != 0 ||
		    (r = auditor_check_name(a.name)) != 0 ||
		    (r = buf_get(b, sealed[i], SESKEY_SECRET_SEALED)) != 0)
			return r;
		if (auditors_add(to, &a) != 0)
			return ERR_FORMAT;
	}
	return 0;
}

static int
get_record(struct buf *b, struct seskey *k)
{
	uint8_t version, kind, half_is;
	int r;

	if ((r = buf_get_u8(b, &version)) != 0)
		return r;
	if (version != RECORD_VERSION)
		return ERR_VERSION;
	if ((r = buf_get_u8(b, &kind)) != 0 || (r = buf_get_u8(b, &half_is)) != 0)
		return r;
	if (kind < SESKEY_CLEAR || kind > SESKEY_ERASED || half_is < SESKEY_SLOT ||
	    half_is > SESKEY_HERE || (kind == SESKEY_ERASED && half_is == SESKEY_HERE))
		return ERR_FORMAT;
	k->kind = (enum seskey_kind)kind;
	k->half_is = (enum seskey_half)half_is;
	r = half_is == SESKEY_SLOT ? buf_get_u64(b, &k->slot)
				   : buf_get(b, k->half, sizeof(k->half));
	if (r != 0 || (r = buf_get(b, k->check, sizeof(k->check))) != 0)
		return r;
	if (kind == SESKEY_CLEAR)
		r = buf_get(b, k->secret, sizeof(k->secret));
	else if (kind == SESKEY_SEALED)
		r = get_sealed(b, &k->to, k->sealed);
	if (r == 0 && kind == SESKEY_SEALED && half_is == SESKEY_HERE && buf_len(b) > 0)
		r = get_sealed(b, &k->handed, k->handed_sealed);
	return r != 0 ? r : buf_end(b);
}

int
seskey_parse(const uint8_t *data, size_t len, struct seskey *ret_k)
{
	struct buf *b = buf_view(data, len);
	struct seskey k = { .slot = 0 };
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = get_record(b, &k)) == 0)
		*ret_k = k;
	seskey_done(&k);
	buf_free(b);
	return r;
}

static int
put_sealed(struct buf *b, const struct auditors *to, const uint8_t (*sealed)[SESKEY_SECRET_SEALED])
{
	int r = buf_put_u8(b, (uint8_t)to->n);

	for (size_t i = 0; r == 0 && i < to->n; i++)
		if ((r = buf_put(b, to->a[i].key, AUDITOR_KEY_LEN)) == 0 &&
		    (r = buf_put_cstr(b, to->a[i].name)) == 0)
			r = buf_put(b, sealed[i], SESKEY_SECRET_SEALED);
	return r;
}

int
seskey_put(struct buf *b, const struct seskey *k)
{
	int r;

	if ((r = buf_put_u8(b, RECORD_VERSION)) != 0 ||
	    (r = buf_put_u8(b, (uint8_t)k->kind)) != 0 ||
	    (r = buf_put_u8(b, (uint8_t)k->half_is)) != 0)
		return r;
	r = k->half_is == SESKEY_SLOT ? buf_put_u64(b, k->slot)
				      : buf_put(b, k->half, sizeof(k->half));
	if (r != 0 || (r = buf_put(b, k->check, sizeof(k->check))) != 0)
		return r;
	if (k->kind == SESKEY_CLEAR)
		return buf_put(b, k->secret, sizeof(k->secret));
	if (k->kind != SESKEY_SEALED)
		return 0;
	if ((r = put_sealed(b, &k->to, k->sealed)) != 0 || k->handed.n == 0)
		return r;
	return put_sealed(b, &k->handed, k->handed_sealed);
}

int
seskey_hash(const struct seskey *k, const uint8_t half[CRYPT_KEY_LEN], uint8_t ret_hash[HASH_LEN])
{
	struct buf *b = buf_new(SESKEY_RECORD_MAX);
	int r = -ENOMEM;

	if (b == NULL)
		return r;
	if ((r = buf_put(b, HASHED, sizeof(HASHED))) == 0 &&
	    (r = buf_put_u8(b, (uint8_t)k->kind)) == 0 &&
	    (r = buf_put(b, half, CRYPT_KEY_LEN)) == 0 &&
	    (r = buf_put(b, k->check, sizeof(k->check))) == 0 && k->kind == SESKEY_SEALED)
		r = put_sealed(b, &k->to, k->sealed);
	if (r == 0)
		hash_sha256(buf_ptr(b), buf_len(b), ret_hash);
	buf_free(b);
	return r;
}

int
seskey_make(struct seskey *ret_k, const uint8_t sid[REC_SID_LEN], uint64_t slot,
    const uint8_t half[CRYPT_KEY_LEN], const struct auditors *to, uint8_t ret_key[CRYPT_KEY_LEN])
{
	struct seskey *k = ret_k;
	int r;

	*k = (struct seskey){ .kind = to->n > 0 ? SESKEY_SEALED : SESKEY_CLEAR,
		.half_is = SESKEY_SLOT,
		.slot = slot,
		.to = *to };
	randombytes_buf(k->secret, sizeof(k->secret));
	if ((r = crypt_derive(sid, half, k->secret, ret_key)) != 0)
		return r;
	crypt_check(ret_key, k->check);
	for (size_t i = 0; i < to->n; i++)
		if (crypto_box_seal(k->sealed[i], k->secret, sizeof(k->secret), to->a[i].key) != 0)
			return ERR_CRYPTO;
	if (k->kind == SESKEY_SEALED)
		sodium_memzero(k->secret, sizeof(k->secret));
	return 0;
}

/* The envelope of the one with this public key; NULL: it is none of theirs. */
static const uint8_t *
sealed_to(const struct seskey *k, const uint8_t public[AUDITOR_KEY_LEN])
{
	for (size_t i = 0; i < k->to.n; i++)
		if (memcmp(k->to.a[i].key, public, AUDITOR_KEY_LEN) == 0)
			return k->sealed[i];
	for (size_t i = 0; i < k->handed.n; i++)
		if (memcmp(k->handed.a[i].key, public, AUDITOR_KEY_LEN) == 0)
			return k->handed_sealed[i];
	return NULL;
}

/* The secret that is sealed to the owner of an auditor's secret key. */
static int
open_sealed(const struct seskey *k, const uint8_t *own, uint8_t ret_secret[CRYPT_KEY_LEN])
{
	uint8_t public[AUDITOR_KEY_LEN];
	const uint8_t *sealed;

	if (own == NULL || crypto_scalarmult_base(public, own) != 0 ||
	    (sealed = sealed_to(k, public)) == NULL)
		return ERR_SEALED;
	return crypto_box_seal_open(ret_secret, sealed, SESKEY_SECRET_SEALED, public, own) == 0
		   ? 0
		   : ERR_CHAIN;
}

bool
seskey_is(const struct seskey *k, const uint8_t key[CRYPT_KEY_LEN])
{
	uint8_t check[CRYPT_CHECK_LEN];

	crypt_check(key, check);
	return sodium_memcmp(check, k->check, sizeof(check)) == 0;
}

/* The secret, once it is known that it leads to the session's key. */
static int
open_secret(const struct seskey *k, const uint8_t sid[REC_SID_LEN], const uint8_t *own,
    uint8_t ret_secret[CRYPT_KEY_LEN], uint8_t ret_key[CRYPT_KEY_LEN])
{
	int r = 0;

	if (k->kind == SESKEY_ERASED)
		return ERR_ERASED;
	if (k->half_is != SESKEY_HERE)
		return ERR_ORDER;
	if (k->kind == SESKEY_CLEAR)
		memcpy(ret_secret, k->secret, CRYPT_KEY_LEN);
	else
		r = open_sealed(k, own, ret_secret);
	if (r == 0 && (r = crypt_derive(sid, k->half, ret_secret, ret_key)) == 0)
		r = seskey_is(k, ret_key) ? 0 : ERR_CHAIN;
	return r;
}

int
seskey_open(const struct seskey *k, const uint8_t sid[REC_SID_LEN], const uint8_t *secret,
    uint8_t ret_key[CRYPT_KEY_LEN])
{
	uint8_t value[CRYPT_KEY_LEN], key[CRYPT_KEY_LEN];
	int r = open_secret(k, sid, secret, value, key);

	if (r == 0)
		memcpy(ret_key, key, sizeof(key));
	sodium_memzero(value, sizeof(value));
	sodium_memzero(key, sizeof(key));
	return r;
}

int
seskey_hand_on(struct seskey *k, const uint8_t sid[REC_SID_LEN], const uint8_t *secret,
    const struct auditor *to)
{
	uint8_t value[CRYPT_KEY_LEN], key[CRYPT_KEY_LEN];
	struct auditors handed = k->handed;
	size_t at = handed.n;
	int r = k->kind == SESKEY_CLEAR ? ERR_ORDER : open_secret(k, sid, secret, value, key);

	if (r == 0 && sealed_to(k, to->key) != NULL)
		r = ERR_EXISTS;
	if (r == 0)
		r = auditors_add(&handed, to);
	if (r == 0 && crypto_box_seal(k->handed_sealed[at], value, sizeof(value), to->key) != 0)
		r = ERR_CRYPTO;
	if (r == 0)
		k->handed = handed;
	sodium_memzero(value, sizeof(value));
	sodium_memzero(key, sizeof(key));
	return r;
}
