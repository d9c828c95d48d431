/*
 * The key of one session and what is done with it. Every session is encrypted under a key of its own, so that destroying
 * the key erases it. The key comes from two random values that lie in different places (slots.h, seskey.h):
 *
 *   key      BLAKE2b-256, keyed with secret, over "bastiond-session-key-v1", NUL, sid, half
 *   subkeys  crypto_kdf (BLAKE2b), context "bastsess", number enum crypt_use
 *   check    the first 16 bytes of subkey 0: tells the right key from a wrong one, and nothing else
 *
 * An envelope is XChaCha20-Poly1305: as many bytes as went in and CRYPT_TAG_LEN. Its associated data is the sid. Blocks
 * and fragments have their place as nonce, so that no nonce is used twice and none can change places; what has no place
 * has a random nonce before it.
 */
#ifndef BASTION_RECORDER_CRYPT_H
#define BASTION_RECORDER_CRYPT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "recorder/recorder_proto.h"

#define CRYPT_KEY_LEN 32u   /* bytes of a session's key, and of each value that it comes from */
#define CRYPT_CHECK_LEN 16u /* bytes that tell whether a key is the right one */
#define CRYPT_TAG_LEN 16u   /* bytes that an envelope is longer than what is in it */
#define CRYPT_NONCE_LEN 24u

enum crypt_use {
	CRYPT_BLOCK = 1,   /* nonce: u32 block */
	CRYPT_JOURNAL = 2, /* nonce: u32 block, u32 offset in it */
	CRYPT_PRIVATE = 3, /* the private part of the record (sess.h): random nonce */
	CRYPT_DERIVED = 4  /* what is made from a recording (derived.h): random nonce */
};

/* A session's key from its two values. 0; ERR_CRYPTO. */
int crypt_derive(const uint8_t sid[REC_SID_LEN], const uint8_t half[CRYPT_KEY_LEN],
    const uint8_t secret[CRYPT_KEY_LEN], uint8_t ret_key[CRYPT_KEY_LEN]) MUST_CHECK;
/* What is stored to know the key by. */
void crypt_check(const uint8_t key[CRYPT_KEY_LEN], uint8_t ret_check[CRYPT_CHECK_LEN]);

/* An envelope's place. off: 0 where the use has none. */
struct crypt_place {
	enum crypt_use use;
	uint32_t block, off;
};
/*
 * Encrypt len bytes at p where they are; p has CRYPT_TAG_LEN bytes of room behind them. Never twice with the same place
 * and key. Cannot fail.
 */
void crypt_seal(const uint8_t key[CRYPT_KEY_LEN], const uint8_t sid[REC_SID_LEN],
    struct crypt_place place, uint8_t *p, size_t len);
/*
 * Decrypt an envelope of len bytes into dst (len - CRYPT_TAG_LEN bytes; may be src itself). 0; ERR_CHAIN: another key,
 * another place, another session, or changed.
 */
int crypt_open(const uint8_t key[CRYPT_KEY_LEN], const uint8_t sid[REC_SID_LEN],
    struct crypt_place place, const uint8_t *src, size_t len, uint8_t *dst) MUST_CHECK;

/*
 * Append a random nonce and the envelope of len bytes to out: for what has no place (CRYPT_PRIVATE, CRYPT_DERIVED).
 * 0; ERR_LIMIT; -ENOMEM.
 */
int crypt_put(const uint8_t key[CRYPT_KEY_LEN], const uint8_t sid[REC_SID_LEN], enum crypt_use use,
    const void *data, size_t len, struct buf *out) MUST_CHECK;
/* What crypt_put() made, opened and appended to out. 0; ERR_FORMAT too short; ERR_CHAIN as above; ERR_LIMIT; -ENOMEM. */
int crypt_get(const uint8_t key[CRYPT_KEY_LEN], const uint8_t sid[REC_SID_LEN], enum crypt_use use,
    const void *data, size_t len, struct buf *out) MUST_CHECK;

/* Room for the keys of sessions that run: locked, not in dumps (lib/secret.h), many to a page. */
struct crypt_ring;
struct crypt_ring *crypt_ring_new(void); /* NULL: out of memory that may be locked */
void crypt_ring_free(struct crypt_ring *ring);
/* CRYPT_KEY_LEN zero bytes, borrowed until they are given back. NULL: as above. */
uint8_t *crypt_ring_take(struct crypt_ring *ring);
/* Wipe them; NULL is allowed. */
void crypt_ring_give(struct crypt_ring *ring, uint8_t *key);

#endif
