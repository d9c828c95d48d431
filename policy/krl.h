/*
 * OpenSSH's key revocation lists (PROTOCOL.krl, format 1), read whole when the configuration is loaded. A list that does
 * not parse, or that asks for something unknown, is an error and never an empty list.
 */
#ifndef BASTION_KRL_H
#define BASTION_KRL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
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

/* One thing to revoke: a plain key (with whatever certificate it comes), else certificates of a CA by key id or serial numbers. */
struct krl_change {
	const uint8_t *key_blob; /* NULL: certificates */
	size_t key_blob_len;
	const uint8_t *ca_blob; /* len 0: of every CA */
	size_t ca_blob_len;
	const char *key_id; /* NULL: by serial */
	uint64_t low, high; /* from 1, both included */
};

/*
 * A list with more in it, and the next version number. data: a list as it was, or NULL for a new one; all of it is kept. now_s:
 * seconds since 1970, its new date. Appends to ret_list, which is of no use after an error. 0; ERR_FORMAT no such list, or a
 * change that no list can hold (serial 0); ERR_LIMIT; -ENOMEM.
 */
int krl_extend(const uint8_t *data, size_t len, uint64_t now_s, const struct krl_change *changes,
    size_t n, struct buf *ret_list) MUST_CHECK;

#endif
