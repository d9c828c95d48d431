/*
 * The sealed file, without knowing what is in it. Layout (big-endian), libsodium underneath:
 *
 *     0  "bastiond vault\n", u8 version
 *    16  u8 enum keys_seal_method, 3 zero bytes, u32 opslimit, u64 memlimit (both 0 but for a passphrase)
 *    32  salt (16)
 *    48  nonce (24) and 72 the file key (32) sealed with the unlock key (XChaCha20-Poly1305, bytes 0..47 associated)
 *   120  nonce (24) of the content
 *   144  content, sealed with the file key (XChaCha20-Poly1305, bytes 0..143 associated)
 *
 * The unlock key is BLAKE2b of a key file's bytes, or Argon2id of a passphrase. The file key is random, made once.
 */
#ifndef BASTION_KEYS_SEAL_H
#define BASTION_KEYS_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/secret.h"

#define KEYS_SEAL_HEAD 144u	       /* bytes before the content */
#define KEYS_SEAL_TAG 16u	       /* bytes that sealing adds to the content */
#define KEYS_SEAL_UNLOCK_MIN 32u       /* bytes of a key file: below this it is no key */
#define KEYS_SEAL_UNLOCK_MAX 4096u     /* bytes of a key file */
#define KEYS_SEAL_PASSPHRASE_MIN 12u   /* bytes of a new passphrase */
#define KEYS_SEAL_PASSPHRASE_MAX 1024u /* bytes of a passphrase */

enum keys_seal_method { KEYS_SEAL_FILE = 1, KEYS_SEAL_PASSPHRASE = 2 };

/* Head of an open or new file, and its key. */
struct keys_seal {
	uint8_t head[KEYS_SEAL_HEAD]; /* the last nonce is replaced with each keys_seal_close() */
	struct secret *file_key;      /* owned; NULL: locked */
};
void keys_seal_done(struct keys_seal *s);

/* A new head and file key, sealed with this secret (key file bytes or passphrase). 0; ERR_FORMAT too short or long; -ENOMEM. */
int keys_seal_new(
    struct keys_seal *s, enum keys_seal_method method, const struct secret *unlock) MUST_CHECK;
/* Which method a file wants. file: len bytes. 0; ERR_FORMAT not such a file (or cut); ERR_VERSION. */
int keys_seal_read_method(
    const uint8_t *file, size_t len, enum keys_seal_method *ret_method) MUST_CHECK;
/*
 * Open a whole file. s is filled and *ret_content owned by the caller on success only.
 * 0; ERR_FORMAT; ERR_VERSION; ERR_DENIED the unlock key does not fit (or its part of the head was changed);
 * ERR_SIGNATURE the content was changed or cut; -ENOMEM.
 */
int keys_seal_open(struct keys_seal *s, const uint8_t *file, size_t len,
    const struct secret *unlock, struct secret **ret_content) MUST_CHECK;
/* The whole file for this content, under a fresh nonce. *ret_file: owned by caller, free(). 0; ERR_ORDER locked; -ENOMEM. */
int keys_seal_close(struct keys_seal *s, const struct secret *content, uint8_t **ret_file,
    size_t *ret_len) MUST_CHECK;

#endif
