/*
 * The provider's keys over time: fetched, kept in a file for the times when the provider does not answer, fetched again when a token
 * names a key that is not there.
 */
#ifndef BASTION_AUTH_OIDC_KEYS_H
#define BASTION_AUTH_OIDC_KEYS_H

#include "bastiond/auth/oidc_conf.h"
#include "bastiond/auth/oidc_http.h"
#include "bastiond/auth/oidc_jwt.h"
#include "bastiond/auth/oidc_why.h"
#include "lib/err.h"

#define OIDC_KEYS_FRESH_S                                                                          \
	300u /* keys so young are not asked for again, but for a name that they lack */
#define OIDC_KEYS_AGAIN_S 60u /* for such a name they are asked for at most so often */

/*
 * Verify the token with the keys at jwks_uri, or with those kept below conf->state: fresh ones, or, when the provider does not
 * answer, ones younger than conf->cache_age_ns. Errors as oidc_jwk_verify() and oidc_http_get(). A file that cannot be written is
 * no error: ret_warn (512 bytes) then says so, else it is "".
 */
int oidc_keys_verify(const struct oidc_conf *conf, struct oidc_http *http, const char *jwks_uri,
    struct oidc_jwt *jwt, char *ret_warn, struct oidc_why *why) MUST_CHECK;

/*
 * The folder of the state, made when it is not there: a directory of ours or of root's, which nobody else may write.
 * 0; ERR_DENIED, -errno with why.
 */
int oidc_state_check(const struct oidc_conf *conf, struct oidc_why *why) MUST_CHECK;

#endif
