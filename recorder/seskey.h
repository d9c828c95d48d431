/*
 * The key record of a session, in STORE_KEY under its sid, and how a reader comes to the session's key.
 *
 *   record  u8 version (1), u8 enum seskey_kind, u8 enum seskey_half, the half: u64 number of its slot, or 32 bytes itself;
 *           16 bytes check (crypt.h), then by kind
 *             CLEAR   32 bytes secret
 *             SEALED  u8 n, then n times: 32 bytes public key, string name of the auditor, 80 bytes secret sealed to that
 *                     key (crypto_box_seal); then, where the half is here, maybe as much again: to whom one of them has
 *                     handed it on
 *             ERASED  nothing; the half is its slot, which was overwritten
 *
 * In the store the half is always a slot (slots.h). A record that leaves the store, in a bundle or to an auditor, has the
 * half in it (seskey_portable()). In a bundle an auditor may hand the session on to somebody else (seskey_hand_on()): what
 * the bastion signed about its key stays as it is.
 */
#ifndef BASTION_RECORDER_SESKEY_H
#define BASTION_RECORDER_SESKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/auditor.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/hash.h"
#include "recorder/crypt.h"
#include "recorder/recorder_proto.h"
#include "recorder/slots.h"
#include "recorder/store.h"

enum seskey_kind { SESKEY_CLEAR = 1, SESKEY_SEALED = 2, SESKEY_ERASED = 3 };
enum seskey_half { SESKEY_SLOT = 1, SESKEY_HERE = 2 };

#define SESKEY_SECRET_SEALED (CRYPT_KEY_LEN + AUDITOR_SEAL_LEN)
#define SESKEY_RECORD_MAX 8192u /* bytes */

/* A record taken apart. It holds secrets: seskey_done() wipes them. */
struct seskey {
	enum seskey_kind kind;
	enum seskey_half half_is;
	uint64_t slot;
	uint8_t half[CRYPT_KEY_LEN]; /* SESKEY_HERE */
	uint8_t check[CRYPT_CHECK_LEN];
	uint8_t secret[CRYPT_KEY_LEN]; /* SESKEY_CLEAR */
	struct auditors to;	       /* SESKEY_SEALED */
	uint8_t sealed[AUDITORS_MAX][SESKEY_SECRET_SEALED];
	struct auditors handed; /* by whom, nobody knows: nothing signs it */
	uint8_t handed_sealed[AUDITORS_MAX][SESKEY_SECRET_SEALED];
};
void seskey_done(struct seskey *k);
/* 0; ERR_FORMAT; ERR_VERSION; -ENOMEM. */
int seskey_parse(const uint8_t *data, size_t len, struct seskey *ret_k) MUST_CHECK;
/* 0; ERR_LIMIT; -ENOMEM. */
int seskey_put(struct buf *b, const struct seskey *k) MUST_CHECK;

/*
 * A new session's record and key. slot and half: from slots_take(). to: none: CLEAR. Then seskey_done(). 0; ERR_CRYPTO.
 */
int seskey_make(struct seskey *ret_k, const uint8_t sid[REC_SID_LEN], uint64_t slot,
    const uint8_t half[CRYPT_KEY_LEN], const struct auditors *to,
    uint8_t ret_key[CRYPT_KEY_LEN]) MUST_CHECK;
/*
 * The session's key from a parsed record whose half is here. secret: an auditor's 32 byte secret key, or NULL. 0;
 * ERR_SEALED no auditor's key, or not one of those; ERR_ERASED; ERR_CHAIN the record was changed or is another session's;
 * ERR_ORDER the half is in a slot.
 */
int seskey_open(const struct seskey *k, const uint8_t sid[REC_SID_LEN], const uint8_t *secret,
    uint8_t ret_key[CRYPT_KEY_LEN]) MUST_CHECK;

/*
 * Seal it to one more, in a record whose half is here. secret: of somebody who can open it. 0; ERR_EXISTS that one can
 * open it already, or the name is there; ERR_LIMIT; ERR_ORDER it is not sealed, or the half is in a slot; ERR_SEALED,
 * ERR_ERASED, ERR_CHAIN as above; ERR_CRYPTO.
 */
int seskey_hand_on(struct seskey *k, const uint8_t sid[REC_SID_LEN], const uint8_t *secret,
    const struct auditor *to) MUST_CHECK;

/* Whether key is the one that the record is about. */
bool seskey_is(const struct seskey *k, const uint8_t key[CRYPT_KEY_LEN]);

/*
 * What the session's opening says of its key (sess.h), so that neither half nor auditors can be exchanged unseen: SHA-256
 * over "bastiond-seskey-v1", NUL, kind, half, check, and of a sealed one what it is sealed to, as in the record. Not for
 * SESKEY_ERASED. 0; -ENOMEM.
 */
int seskey_hash(const struct seskey *k, const uint8_t half[CRYPT_KEY_LEN],
    uint8_t ret_hash[HASH_LEN]) MUST_CHECK;

/* The record of sid. 0, then seskey_done(); ERR_NOT_FOUND; ERR_FORMAT; ERR_VERSION; -errno. */
int seskey_find(
    struct store_snap *snap, const uint8_t sid[REC_SID_LEN], struct seskey *ret_k) MUST_CHECK;
/* Fetch the half from its slot into k. 0 also when it is there; ERR_ERASED; ERR_KEYS no or wrong session.keys; -errno. */
int seskey_fetch(struct store_snap *snap, struct seskey *k) MUST_CHECK;
/*
 * The key of sid, with what this store was given to open sessions (store_keys() below). 0; ERR_SEALED; ERR_ERASED;
 * ERR_KEYS: session.keys is not there, is cut, or is another store's: see store_keys_why(); ERR_NOT_FOUND no record;
 * ERR_CHAIN; ERR_FORMAT; -errno. ret_key: put it in locked memory (lib/secret.h).
 */
int seskey_get(struct store_snap *snap, const uint8_t sid[REC_SID_LEN],
    uint8_t ret_key[CRYPT_KEY_LEN]) MUST_CHECK;
/* Append the record of sid with its half in it: what an auditor or a bundle gets. Errors of seskey_find(), seskey_fetch(). */
int seskey_portable(
    struct store_snap *snap, const uint8_t sid[REC_SID_LEN], struct buf *out) MUST_CHECK;

#endif
