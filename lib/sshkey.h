/*
 * SSH public keys as they travel (RFC 4253 section 6.6, RFC 5656, RFC 8332, RFC 8709, OpenSSH's PROTOCOL.u2f) and the
 * check of signatures made with them. Plain keys only: whoever reads certificates takes the key fields out of
 * them with sshkey_get(). Nothing is negotiable here: one spelling for each name, canonical numbers, no trailing bytes.
 */
#ifndef BASTION_SSHKEY_H
#define BASTION_SSHKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

#define SSHKEY_BLOB_MAX 4096u /* bytes of a public key blob; an RSA key of 8192 bits takes 1050 */
#define SSHKEY_SIG_MAX 2048u  /* bytes of a signature blob */
#define SSHKEY_RSA_BITS_MIN                                                                        \
	2048u /* below this no RSA key is taken for anything; a caller may ask for more */
#define SSHKEY_RSA_BITS_MAX 8192u

enum sshkey_type {
	SSHKEY_ED25519,
	SSHKEY_ECDSA_256,
	SSHKEY_ECDSA_384,
	SSHKEY_ECDSA_521,
	SSHKEY_RSA,
	SSHKEY_SK_ED25519,
	SSHKEY_SK_ECDSA,
	SSHKEY_N_TYPES
};

struct sshkey;

/* Have OpenSSL load what it loads lazily. Once per process, before a sandbox closes. 0; ERR_CRYPTO. */
int sshkey_init(void) MUST_CHECK;

/* What a security key said about its user; only for SSHKEY_SK_*. */
struct sshkey_touch {
	bool present;	  /* the key was touched */
	bool verified;	  /* a PIN or fingerprint was checked */
	uint32_t counter; /* signatures so far, as the device counts */
};

/* "ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa", ...: the name inside a key blob. Borrowed, static. */
const char *sshkey_type_name(enum sshkey_type type);
/* The type that a key blob's name stands for. name: len bytes. 0; ERR_NOT_FOUND (also for every certificate type). */
int sshkey_type_find(const void *name, size_t len, enum sshkey_type *ret_type) MUST_CHECK;

/* A whole key blob. *ret_key: owned by caller, free with sshkey_free(). 0; ERR_FORMAT; ERR_LIMIT key size; -ENOMEM. */
int sshkey_parse(const void *blob, size_t len, struct sshkey **ret_key) MUST_CHECK;
/*
 * The fields of a key of this type, without the type name, from the front of b: what stands in a certificate after
 * its nonce. On error nothing is consumed. Errors as sshkey_parse().
 */
int sshkey_get(struct buf *b, enum sshkey_type type, struct sshkey **ret_key) MUST_CHECK;
void sshkey_free(struct sshkey *key);

/* What the key is. */
enum sshkey_type sshkey_type(const struct sshkey *key);
unsigned sshkey_bits(const struct sshkey *key); /* 256, 384, 521, or the RSA modulus */

/*
 * One line of an authorized_keys or .pub file, "type base64 [comment]", without options: the blob, decoded, its inner
 * type name equal to the outer one; certificates pass too. *ret_blob: owned by caller, free(). *ret_comment (may be
 * NULL): borrowed from line, "" when there is none. 0; ERR_FORMAT; -ENOMEM.
 */
int sshkey_line(
    const char *line, uint8_t **ret_blob, size_t *ret_len, const char **ret_comment) MUST_CHECK;

/* Whether alg (len bytes) is a signature algorithm for this key: RSA signs with rsa-sha2-256 and rsa-sha2-512, never ssh-rsa. */
bool sshkey_alg_fits(const struct sshkey *key, const void *alg, size_t len);

/*
 * Does the signature blob (string algorithm, string signature, and for security keys u8 flags, u32 counter) verify for
 * data with this key? alg (alg_len bytes): the algorithm that was announced, which the blob must repeat exactly; NULL:
 * any that fits the key. ret_touch: may be NULL; filled for security keys.
 * 0 only if it verifies; ERR_SIGNATURE; ERR_FORMAT not a signature blob or not such an algorithm; ERR_CRYPTO; -ENOMEM.
 */
int sshkey_verify(const struct sshkey *key, const void *alg, size_t alg_len, const void *sig,
    size_t sig_len, const void *data, size_t data_len, struct sshkey_touch *ret_touch) MUST_CHECK;

#endif
