/* The provider's public keys, a JSON Web Key Set (RFC 7517), and the check of an ID token's signature with them. */
#ifndef BASTION_AUTH_OIDC_JWK_H
#define BASTION_AUTH_OIDC_JWK_H

#include "bastiond/auth/oidc_jwt.h"
#include "bastiond/auth/oidc_why.h"
#include "lib/err.h"
#include "lib/json.h"

#define OIDC_JWKS_MAX 64u      /* keys in a set */
#define OIDC_RSA_BITS_MIN 2048 /* smaller keys are not there */
#define OIDC_RSA_BITS_MAX 8192

/*
 * Verify the token's signature with the key of the set (borrowed) that it names, or, where it names none, with the only one that
 * fits its algorithm; then its claims are there. A key fits by its type and curve, its alg and its use, never by the token's word.
 * 0; ERR_NOT_FOUND no such key: a newer set may have it; ERR_SIGNATURE; ERR_FORMAT; each with why; -ENOMEM.
 */
int oidc_jwk_verify(
    const struct json_node *jwks, struct oidc_jwt *jwt, struct oidc_why *why) MUST_CHECK;

#endif
