/* The two things a back may show the vault, taken apart and held against what was granted. Pure: no state, no keys. */
#ifndef BASTION_KEYS_CHECK_H
#define BASTION_KEYS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/sshkey.h"

#define KEYS_SID_MAX 64u /* bytes of a session id */

/* Whether an exchange hash may have this length: SHA-256, SHA-384 or SHA-512. */
bool keys_check_hash_len(size_t len);

/* The target's proof (OpenSSH PROTOCOL.agent, session-bind@openssh.com). Borrowed from the message. */
struct keys_bind {
	const uint8_t *host_key, *session_id, *sig;
	size_t host_key_len, session_id_len, sig_len;
};
/*
 * What follows the extension's name. 0; ERR_FORMAT, with *ret_why a static line that says what was wrong.
 */
int keys_check_bind(
    const uint8_t *data, size_t len, struct keys_bind *ret_bind, const char **ret_why) MUST_CHECK;

/* What one leg may sign. All borrowed. */
struct keys_grant {
	const char *login;
	enum sshkey_type key_type;
	const uint8_t *key;
	size_t key_len;
	const uint8_t *session_id; /* of the bound connection */
	size_t session_id_len;
};
/*
 * SSH_AGENTC_SIGN_REQUEST without its type byte (RFC 9987): string key, string data, u32 flags; data must be exactly the
 * signed part of one "publickey" request for ssh-connection (RFC 4252 section 7) that fits the grant.
 * *ret_data: what is to be signed, borrowed from the message. *ret_alg: static, the algorithm for keys_key_sign().
 * 0; ERR_FORMAT does not parse; ERR_DENIED parses and does not fit; both with *ret_why a static line.
 */
int keys_check_sign(const struct keys_grant *grant, const uint8_t *msg, size_t len,
    const uint8_t **ret_data, size_t *ret_data_len, const char **ret_alg,
    const char **ret_why) MUST_CHECK;

#endif
