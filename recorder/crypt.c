/* Deriving keys, and envelopes. libsodium underneath. */
#include "config.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "lib/secret.h"
#include "recorder/crypt.h"

#define KDF_CONTEXT "bastsess"
#define RING_KEYS 127u /* to a page, with what libsodium puts before them */
#define RING_CHUNKS 1024u

_Static_assert(CRYPT_KEY_LEN == crypto_aead_xchacha20poly1305_ietf_KEYBYTES &&
		   CRYPT_KEY_LEN == crypto_kdf_KEYBYTES &&
		   CRYPT_KEY_LEN <= crypto_generichash_KEYBYTES_MAX &&
		   CRYPT_TAG_LEN == crypto_aead_xchacha20poly1305_ietf_ABYTES &&
		   CRYPT_NONCE_LEN == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES &&
		   sizeof(KDF_CONTEXT) == crypto_kdf_CONTEXTBYTES + 1,
    "the sizes are the algorithms'");

int
crypt_derive(const uint8_t sid[REC_SID_LEN], const uint8_t half[CRYPT_KEY_LEN],
    const uint8_t secret[CRYPT_KEY_LEN], uint8_t ret_key[CRYPT_KEY_LEN])
{
	static const char label[] = "bastiond-session-key-v1"; /* with its NUL */
	crypto_generichash_state state;
	uint8_t key[CRYPT_KEY_LEN];
	int r = ERR_CRYPTO;

	if (crypto_generichash_init(&state, secret, CRYPT_KEY_LEN, sizeof(key)) == 0 &&
	    crypto_generichash_update(&state, (const uint8_t *)label, sizeof(label)) == 0 &&
	    crypto_generichash_update(&state, sid, REC_SID_LEN) == 0 &&
	    crypto_generichash_update(&state, half, CRYPT_KEY_LEN) == 0 &&
	    crypto_generichash_final(&state, key, sizeof(key)) == 0) {
		memcpy(ret_key, key, sizeof(key));
		r = 0;
	}
	sodium_memzero(&state, sizeof(state));
	sodium_memzero(key, sizeof(key));
	return r;
}

/* It fails for wrong lengths only, and these are constants. */
static void
subkey(const uint8_t key[CRYPT_KEY_LEN], uint64_t number, uint8_t *ret_sub, size_t len)
{
	if (crypto_kdf_derive_from_key(ret_sub, len, number, KDF_CONTEXT, key) != 0)
		abort();
}

void
crypt_check(const uint8_t key[CRYPT_KEY_LEN], uint8_t ret_check[CRYPT_CHECK_LEN])
{
	subkey(key, 0, ret_check, CRYPT_CHECK_LEN);
}

static void
put_u32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void
place_nonce(struct crypt_place place, uint8_t ret_nonce[CRYPT_NONCE_LEN])
{
	memset(ret_nonce, 0, CRYPT_NONCE_LEN);
	put_u32(ret_nonce, place.block);
	put_u32(ret_nonce + 4, place.off);
}

static void
seal(const uint8_t *key, const uint8_t *sid, enum crypt_use use,
    const uint8_t nonce[CRYPT_NONCE_LEN], uint8_t *p, size_t len)
{
	uint8_t sub[CRYPT_KEY_LEN];
	unsigned long long n;

	subkey(key, (uint64_t)use, sub, sizeof(sub));
	if (crypto_aead_xchacha20poly1305_ietf_encrypt(
		p, &n, p, len, sid, REC_SID_LEN, NULL, nonce, sub) != 0)
		abort();
	sodium_memzero(sub, sizeof(sub));
}

static int
unseal(const uint8_t *key, const uint8_t *sid, enum crypt_use use,
    const uint8_t nonce[CRYPT_NONCE_LEN], const uint8_t *src, size_t len, uint8_t *dst)
{
	uint8_t sub[CRYPT_KEY_LEN];
	unsigned long long n;
	int rc;

	if (len < CRYPT_TAG_LEN)
		return ERR_CHAIN;
	subkey(key, (uint64_t)use, sub, sizeof(sub));
	rc = crypto_aead_xchacha20poly1305_ietf_decrypt(
	    dst, &n, NULL, src, len, sid, REC_SID_LEN, nonce, sub);
	sodium_memzero(sub, sizeof(sub));
	return rc == 0 ? 0 : ERR_CHAIN;
}

void
crypt_seal(const uint8_t key[CRYPT_KEY_LEN], const uint8_t sid[REC_SID_LEN],
    struct crypt_place place, uint8_t *p, size_t len)
{
	uint8_t nonce[CRYPT_NONCE_LEN];

	place_nonce(place, nonce);
	seal(key, sid, place.use, nonce, p, len);
}

int
crypt_open(const uint8_t key[CRYPT_KEY_LEN], const uint8_t sid[REC_SID_LEN],
    struct crypt_place place, const uint8_t *src, size_t len, uint8_t *dst)
{
	uint8_t nonce[CRYPT_NONCE_LEN];

	place_nonce(place, nonce);
	return unseal(key, sid, place.use, nonce, src, len, dst);
}

int
crypt_put(const uint8_t key[CRYPT_KEY_LEN], const uint8_t sid[REC_SID_LEN], enum crypt_use use,
    const void *data, size_t len, struct buf *out)
{
	uint8_t *p;
	int r = buf_reserve(out, CRYPT_NONCE_LEN + len + CRYPT_TAG_LEN, &p);

	if (r != 0)
		return r;
	randombytes_buf(p, CRYPT_NONCE_LEN);
	if (len > 0)
		memcpy(p + CRYPT_NONCE_LEN, data, len);
	seal(key, sid, use, p, p + CRYPT_NONCE_LEN, len);
	return 0;
}

int
crypt_get(const uint8_t key[CRYPT_KEY_LEN], const uint8_t sid[REC_SID_LEN], enum crypt_use use,
    const void *data, size_t len, struct buf *out)
{
	const uint8_t *p = data;
	uint8_t *space;
	int r;

	if (len < CRYPT_NONCE_LEN + CRYPT_TAG_LEN)
		return ERR_FORMAT;
	len -= CRYPT_NONCE_LEN;
	if ((space = malloc(len)) == NULL)
		return -ENOMEM;
	if ((r = unseal(key, sid, use, p, p + CRYPT_NONCE_LEN, len, space)) == 0)
		r = buf_put(out, space, len - CRYPT_TAG_LEN);
	sodium_memzero(space, len);
	free(space);
	return r;
}

/* Keys that run. */

struct crypt_ring {
	struct secret *chunk[RING_CHUNKS];
	uint8_t used[RING_CHUNKS][RING_KEYS];
	size_t n;
};

struct crypt_ring *
crypt_ring_new(void)
{
	struct crypt_ring *ring = calloc(1, sizeof(*ring));

	if (ring == NULL)
		return NULL;
	if ((ring->chunk[0] = secret_new((size_t)RING_KEYS * CRYPT_KEY_LEN)) == NULL) {
		free(ring);
		return NULL;
	}
	ring->n = 1;
	return ring;
}

void
crypt_ring_free(struct crypt_ring *ring)
{
	if (ring == NULL)
		return;
	for (size_t i = 0; i < ring->n; i++)
		secret_free(ring->chunk[i]);
	free(ring);
}

uint8_t *
crypt_ring_take(struct crypt_ring *ring)
{
	for (size_t i = 0; i < RING_CHUNKS; i++) {
		uint8_t *free_one;

		if (i == ring->n) {
			ring->chunk[i] = secret_new((size_t)RING_KEYS * CRYPT_KEY_LEN);
			if (ring->chunk[i] == NULL)
				return NULL;
			ring->n++;
		}
		if ((free_one = memchr(ring->used[i], 0, RING_KEYS)) == NULL)
			continue;
		*free_one = 1;
		return secret_ptr(ring->chunk[i]) +
		       (size_t)(free_one - ring->used[i]) * CRYPT_KEY_LEN;
	}
	return NULL;
}

void
crypt_ring_give(struct crypt_ring *ring, uint8_t *key)
{
	if (key == NULL)
		return;
	sodium_memzero(key, CRYPT_KEY_LEN);
	for (size_t i = 0; i < ring->n; i++) {
		const uint8_t *first = secret_ptr(ring->chunk[i]);

		if (key >= first && key < first + (size_t)RING_KEYS * CRYPT_KEY_LEN) {
			ring->used[i][(size_t)(key - first) / CRYPT_KEY_LEN] = 0;
			return;
		}
	}
}
