/* What a verified ID token says: whether it is for us and now, who it is about, which groups they are in. */
#ifndef BASTION_AUTH_OIDC_CLAIMS_H
#define BASTION_AUTH_OIDC_CLAIMS_H

#include <stddef.h>
#include <stdint.h>

#include "bastiond/auth/oidc_conf.h"
#include "bastiond/auth/oidc_why.h"
#include "lib/err.h"
#include "lib/json.h"

#define OIDC_NAME_SIZE 129u    /* bytes of an identity with its NUL */
#define OIDC_GROUP_SIZE 129u   /* bytes of a group's name with its NUL */
#define OIDC_GROUPS_MAX 256u   /* groups that are passed on */
#define OIDC_GROUPS_SIZE 8192u /* bytes of all of them, with commas */
#define OIDC_CONFIRM_CLAIM "bastion_confirm"
#define OIDC_CONFIRM_MIN 4u /* characters of a confirmation number */
#define OIDC_CONFIRM_MAX 32u

struct oidc_moment {
	uint64_t now_ns; /* wall clock */
	uint64_t
	    started_ns;	   /* when the code was asked for: an older token is not the answer to it */
	const char *nonce; /* NULL: none was sent */
};

/*
 * Is this token the provider's, for this client, valid now, and does it have what the configuration requires?
 * OpenID Connect Core section 3.1.3.7. claims: borrowed. 0; ERR_DENIED with why.
 */
int oidc_claims_check(const struct oidc_conf *conf, const struct json_node *claims,
    const struct oidc_moment *moment, struct oidc_why *why) MUST_CHECK;

/* Who it is, by the configured claim. ret_name: OIDC_NAME_SIZE bytes, made of letters, digits, . _ - @. 0; ERR_DENIED with why. */
int oidc_claims_identity(const struct oidc_conf *conf, const struct json_node *claims,
    char *ret_name, struct oidc_why *why) MUST_CHECK;

/*
 * The groups that can be passed on, commas between them. ret_groups: OIDC_GROUPS_SIZE bytes, "" for none. ret_dropped:
 * OIDC_GROUP_SIZE bytes, the first name that cannot be passed on, in printable ASCII, "" when all can. Returns how many cannot.
 */
size_t oidc_claims_groups(const struct oidc_conf *conf, const struct json_node *claims,
    char *ret_groups, char *ret_dropped);

/* "issuer sub". dst: size bytes. 0; ERR_DENIED with why: no sub that fits. */
int oidc_claims_subject(const struct oidc_conf *conf, const struct json_node *claims, char *dst,
    size_t size, struct oidc_why *why) MUST_CHECK;

/* The number that the provider's page showed. Borrowed from claims; NULL: there is none that is long enough. */
const char *oidc_claims_confirm(const struct json_node *claims);

#endif
