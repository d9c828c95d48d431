/* SHA-256 through OpenSSL: what every chain, tree and fingerprint here is made with. */
#ifndef BASTION_HASH_H
#define BASTION_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define HASH_LEN 32u /* bytes of a SHA-256 value */

/* Load the algorithm once per process, before a sandbox closes. 0; ERR_CRYPTO. */
int hash_init(void) MUST_CHECK;

/* One pass over up to three parts (a NULL part with length 0 counts for nothing). Ends the process on a library failure. */
void hash_sha256(const void *data, size_t len, uint8_t ret_hash[HASH_LEN]);
void hash_sha256_parts(const void *a, size_t a_len, const void *b, size_t b_len, const void *c,
    size_t c_len, uint8_t ret_hash[HASH_LEN]);

/* SHA-1, which OpenSSH's revocation lists may name keys by; for nothing else. Ends the process on a library failure. */
#define HASH_SHA1_LEN 20u /* bytes */
void hash_sha1(const void *data, size_t len, uint8_t ret_hash[HASH_SHA1_LEN]);

/* A running hash. NULL: out of memory. */
struct hash;
struct hash *hash_new(void);
void hash_free(struct hash *h);
void hash_begin(struct hash *h);
void hash_add(struct hash *h, const void *data, size_t len);
void hash_end(struct hash *h, uint8_t ret_hash[HASH_LEN]);
/* Copy the running state, so that a hash so far can be taken without ending it. 0; ERR_CRYPTO. */
int hash_copy(struct hash *dst, const struct hash *src) MUST_CHECK;

/* "SHA256:<base64 without padding>" of an SSH key blob, as ssh-keygen -l shows it. dst: HASH_FINGERPRINT_SIZE bytes. */
#define HASH_FINGERPRINT_SIZE 56
char *hash_fingerprint(char *dst, const void *blob, size_t len);

#endif
