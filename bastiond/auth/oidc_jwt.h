/*
 * ID tokens: JSON Web Signature in compact form (RFC 7515), read strictly. What a token claims can be had only after its signature
 * was verified with a key of the provider (oidc_jwk.h).
 */
#ifndef BASTION_AUTH_OIDC_JWT_H
#define BASTION_AUTH_OIDC_JWT_H

#include <stddef.h>
#include <stdint.h>

#include "bastiond/auth/oidc_why.h"
#include "lib/err.h"
#include "lib/json.h"

#define OIDC_TOKEN_MAX 32768u /* bytes of a token */
#define OIDC_KID_SIZE 257u    /* bytes of a key's name with its NUL */
#define OIDC_SIG_MAX 1024u    /* bytes of a signature: RSA with 8192 bits */

/* The signatures that count. There is no "none" here and nothing with a shared secret, so nothing can be turned into them. */
enum oidc_alg { OIDC_RS256, OIDC_PS256, OIDC_ES256, OIDC_ES384, OIDC_EDDSA, OIDC_N_ALGS };

struct oidc_jwt {
	enum oidc_alg alg;
	char kid[OIDC_KID_SIZE]; /* "": the token names no key */
	char *text; /* owned: the token; its first signed_len bytes are what was signed */
	size_t signed_len;
	uint8_t *sig; /* owned */
	size_t sig_len;
	struct json_node *claims; /* owned; NULL until verified */
};

/*
 * Take a token apart. ret_jwt: owned by caller, end with oidc_jwt_done(). Its claims are not there yet.
 * 0; ERR_FORMAT, ERR_DENIED (another algorithm, crit), with why filled; -ENOMEM.
 */
int oidc_jwt_read(
    const char *token, size_t len, struct oidc_jwt *ret_jwt, struct oidc_why *why) MUST_CHECK;
void oidc_jwt_done(struct oidc_jwt *jwt);

/* The signature has been verified (oidc_jwk.c says so, nobody else): read the claims. 0; ERR_FORMAT with why; -ENOMEM. */
int oidc_jwt_open(struct oidc_jwt *jwt, struct oidc_why *why) MUST_CHECK;

/*
 * base64url without padding, strictly (RFC 7515 section 2): no other character, no bits left over. *ret_data: owned by caller,
 * free(), with a NUL behind it that is not counted. 0; ERR_FORMAT; -ENOMEM.
 */
int oidc_base64url(const char *s, size_t len, uint8_t **ret_data, size_t *ret_len) MUST_CHECK;

/* "RS256". Borrowed, static. */
const char *oidc_alg_name(enum oidc_alg alg);

#endif
