/* Keys, sets of keys and tokens for the tests of pam_bastion_oidc, made with OpenSSL when they are wanted. */
#ifndef TESTS_OIDC_RIG_H
#define TESTS_OIDC_RIG_H

#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>

enum rig_kind { RIG_RSA, RIG_RSA_SHORT, RIG_P256, RIG_P384, RIG_ED25519, RIG_N_KINDS };

/* A key of this kind, made once. Borrowed; rig_done() frees all. */
EVP_PKEY *rig_key(enum rig_kind kind);
void rig_done(void);

/* base64url without padding. Owned by caller, free(). */
char *rig_base64url(const void *data, size_t len);
/* {"kty":...,MORE}: a public key as JWK; more: further members or "". Owned by caller. */
char *rig_jwk(enum rig_kind kind, const char *more);
/* {"keys":[JWK,...]}, NULL-terminated arguments. Owned by caller. */
char *rig_jwks(const char *jwk, ...);
/* header and claims are JSON; alg decides how it is signed: a name of RFC 7518, or "none" for an empty signature. Owned by caller. */
char *rig_token(enum rig_kind kind, const char *alg, const char *header, const char *claims);
/* "HEADER.CLAIMS" encoded, and a signature of these bytes behind it. Owned by caller. */
char *rig_token_with(const char *header, const char *claims, const void *sig, size_t sig_len);

#endif
