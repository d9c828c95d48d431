/*
 * The host keys behind ssh -J. Every target has one of its own, always the same, which nothing stores: it follows from the
 * vault's key KEYS_JUMP_KEY and the target's name. KEYS_HOST_CA signs certificates of them, so that clients need to know
 * one line for all targets. Certificates are written here and never read.
 */
#ifndef BASTION_KEYS_JUMP_H
#define BASTION_KEYS_JUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keys/keys_vault.h"
#include "lib/buf.h"
#include "lib/err.h"

#define KEYS_TARGET_MAX 255u /* bytes of a target's name, or of a name in a certificate */
#define KEYS_PRINCIPALS_MAX 16u
/*
 * How long a certificate is good, before and after now. It is made for one connection; what it must bear is a client whose
 * clock is wrong.
 */
#define KEYS_CERT_SPAN_S (26u * 3600u)

struct keys_principals {
	const char *names[KEYS_PRINCIPALS_MAX]; /* borrowed */
	size_t n;
};

/* Whether s may be a target's name or stand in a certificate: printable ASCII without spaces, * ? ! and commas. */
bool keys_jump_is_name(const char *s);

/* Make the two keys where the vault has none yet: older vaults. 0 also when they are there; as keys_vault_add(). */
int keys_jump_prepare(struct keys_vault *v) MUST_CHECK;

/*
 * The target's key. root: KEYS_JUMP_KEY. *ret_key: one reference, keys_key_unref(); made anew each time, so that
 * thousands of connections hold no locked memory. 0; ERR_FORMAT root is not ed25519, or no name; -ENOMEM.
 */
int keys_jump_key(
    const struct keys_key *root, const char *target, struct keys_key **ret_key) MUST_CHECK;

/*
 * Append a host certificate of key (PROTOCOL.certkeys), signed by ca, with these names, around now_s (seconds since
 * 1970). 0; ERR_FORMAT a name, or none; ERR_CRYPTO; ERR_LIMIT; -ENOMEM.
 */
int keys_jump_cert(const struct keys_key *ca, const struct keys_key *key, const char *target,
    const struct keys_principals *names, uint64_t now_s, struct buf *ret_cert) MUST_CHECK;

#endif
