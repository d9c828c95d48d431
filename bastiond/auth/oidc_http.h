/*
 * HTTP with the provider over libcurl: https with verified names (http only to this machine, where the configuration says so), no
 * redirects, answers of at most OIDC_BODY_MAX bytes, a time limit. The environment's proxies and key logs do not count.
 */
#ifndef BASTION_AUTH_OIDC_HTTP_H
#define BASTION_AUTH_OIDC_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "bastiond/auth/oidc_conf.h"
#include "bastiond/auth/oidc_why.h"
#include "lib/err.h"

#define OIDC_BODY_MAX 65536u /* bytes of an answer */

struct oidc_http;

struct oidc_field {
	const char *name, *value; /* borrowed; value NULL: left out */
};

struct oidc_reply {
	long status; /* HTTP's, from 100 */
	char *body;  /* owned by caller, free(); with a NUL behind len bytes */
	size_t len;
};

/* conf: borrowed until oidc_http_close(). 0; ERR_CRYPTO, -ENOMEM with why. */
int oidc_http_open(
    const struct oidc_conf *conf, struct oidc_http **ret_http, struct oidc_why *why) MUST_CHECK;
void oidc_http_close(struct oidc_http *http);

/*
 * Get a URL. what: "keys", for messages. ret_reply: the caller's; any status is an answer.
 * 0; -ETIMEDOUT no answer in time; ERR_PEER_GONE cannot be reached; ERR_SIGNATURE its certificate is none for us; ERR_LIMIT too long
 * an answer; each with why; -ENOMEM.
 */
int oidc_http_get(struct oidc_http *http, const char *what, const char *url,
    struct oidc_reply *ret_reply, struct oidc_why *why) MUST_CHECK;
/* Post a form as this client: with its secret, or with client_id alone. Else as oidc_http_get(). */
int oidc_http_post(struct oidc_http *http, const char *what, const char *url,
    const struct oidc_field *fields, size_t n_fields, struct oidc_reply *ret_reply,
    struct oidc_why *why) MUST_CHECK;

#endif
