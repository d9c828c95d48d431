/*
 * OpenSSL, held: ECDSA and RSA private keys. Everything that OpenSSL allocates in this process lies in one locked,
 * guarded arena that no core dump holds and that is wiped block by block as it is freed; key objects
 * live for one call. Between calls a private key exists only as the bytes of a struct secret.
 */
#ifndef BASTION_KEYS_CRYPTO_H
#define BASTION_KEYS_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/secret.h"
#include "lib/sshkey.h"

#define KEYS_ARENA_SIZE                                                                            \
	(2u << 20) /* bytes for OpenSSL; in use: 0.5 MiB, RSA-4096 generation and imports included */
#define KEYS_DER_MAX 8192u /* bytes of one private key; RSA of 8192 bits takes 4.7 KiB */

/*
 * Give OpenSSL its arena and load what it loads lazily. Before anything else touches OpenSSL, once per process.
 * *ret_locked: false when the kernel would not lock the arena (RLIMIT_MEMLOCK). 0; ERR_ORDER too late; -ENOMEM; ERR_CRYPTO.
 */
int keys_crypto_init(bool *ret_locked) MUST_CHECK;
/* Whether p lies in the arena; for tests. */
bool keys_crypto_holds(const void *p);

/*
 * A new private key; bits matter for SSHKEY_RSA only. *ret_der (owned by caller): RFC 5915 or RFC 8017 DER; for
 * SSHKEY_ED25519 the 64 bytes of libsodium, seed and public key. 0; ERR_CRYPTO; -ENOMEM.
 */
int keys_crypto_generate(enum sshkey_type type, unsigned bits, struct secret **ret_der) MUST_CHECK;

/* Append the public key blob of a private key. 0; ERR_FORMAT not a key of this type; ERR_LIMIT; -ENOMEM. */
int keys_crypto_public(
    enum sshkey_type type, const struct secret *der, struct buf *ret_blob) MUST_CHECK;

/*
 * Append the signature blob over data, made with alg ("rsa-sha2-512"; for other types the key type's name).
 * 0; ERR_FORMAT alg is not for this type; ERR_CRYPTO; -ENOMEM.
 */
int keys_crypto_sign(enum sshkey_type type, const struct secret *der, const char *alg,
    const void *data, size_t len, struct buf *ret_sig) MUST_CHECK;

/* Numbers of a private key as a file holds them, big-endian; borrowed. */
struct keys_number {
	const uint8_t *data;
	size_t len;
};
/*
 * A private key from its numbers, checked as a whole: the curve's scalar with its point; RSA's n, e, d, q^-1 mod p, p, q.
 * *ret_der: owned by caller. 0; ERR_FORMAT they do not belong together; ERR_LIMIT size; -ENOMEM.
 */
int keys_crypto_from_scalar(enum sshkey_type type, struct keys_number scalar,
    struct keys_number point, struct secret **ret_der) MUST_CHECK;
int keys_crypto_from_rsa(const struct keys_number numbers[6], struct secret **ret_der) MUST_CHECK;

/*
 * A private key from PEM (PKCS#8, also encrypted, and the older RSA and EC forms). text: borrowed. passphrase: len 0 for none.
 * 0; ERR_FORMAT no such file; ERR_DENIED passphrase needed or wrong; ERR_VERSION a type that is not used here;
 * ERR_LIMIT size; -ENOMEM.
 */
int keys_crypto_from_pem(const struct secret *text, const struct secret *passphrase,
    enum sshkey_type *ret_type, struct secret **ret_der) MUST_CHECK;

#endif
