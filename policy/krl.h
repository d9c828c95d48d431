/*
 * OpenSSH's key revocation lists (PROTOCOL.krl, format 1), read whole when the configuration is loaded. A list that does
 * not parse, or that asks for something unknown, is an error and never an empty list.
 */
#ifndef BASTION_KRL_H
#define BASTION_KRL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define KRL_FILE_MAX (64u << 20) /* bytes of one list */

struct krl;

/* What is asked about a certificate beside its key. */
struct krl_cert {
	const uint8_t *ca_blob; /* plain key blob of the signer */
	size_t ca_blob_len;
	uint64_t serial;
	const char *key_id;
};

/*
 * data: borrowed for the call. *ret_krl: owned by caller. ret_why (may be NULL): static text on ERR_FORMAT.
 * 0; ERR_FORMAT; -ENOMEM.
 */
int krl_parse(
    const uint8_t *data, size_t len, struct krl **ret_krl, const char **ret_why) MUST_CHECK;
void krl_free(struct krl *k);

/* The list's own version number, and how many keys, hashes, serial ranges and key ids it holds. */
uint64_t krl_version(const struct krl *k);
size_t krl_count(const struct krl *k);

/*
 * Whether the plain key, or the certificate it came in, or that certificate's signer is revoked. cert: NULL for a plain
 * key. Returns what it is revoked by ("key", "serial", ...; static), or NULL.
 */
const char *krl_revoked(
    const struct krl *k, const uint8_t *key_blob, size_t len, const struct krl_cert *cert);

#endif
