/*
 * The device authorization grant (RFC 8628), message by message: what the provider says of itself, the code, the answer to each
 * poll. The readers take bytes from a network and decide by a table; who waits how long is oidc_login.h.
 */
#ifndef BASTION_AUTH_OIDC_FLOW_H
#define BASTION_AUTH_OIDC_FLOW_H

#include <stddef.h>
#include <stdint.h>

#include "bastiond/auth/oidc_conf.h"
#include "bastiond/auth/oidc_http.h"
#include "bastiond/auth/oidc_jwt.h"
#include "bastiond/auth/oidc_why.h"
#include "lib/err.h"

#define OIDC_DEVICE_CODE_SIZE 2049u /* bytes with its NUL */
#define OIDC_USER_CODE_SIZE 65u
#define OIDC_INTERVAL_S 5u /* where the provider names none (RFC 8628 section 3.2) */
#define OIDC_INTERVAL_MAX_S 60u

struct oidc_provider {
	char device_endpoint[OIDC_URL_SIZE];
	char token_endpoint[OIDC_URL_SIZE];
	char jwks_uri[OIDC_URL_SIZE];
};

struct oidc_device {
	char device_code[OIDC_DEVICE_CODE_SIZE];
	char user_code[OIDC_USER_CODE_SIZE]; /* printable ASCII */
	char uri[OIDC_URL_SIZE];
	char uri_complete[OIDC_URL_SIZE]; /* "": the provider has none */
	uint64_t expires_s;		  /* 1 to OIDC_EXPIRES_MAX_S */
	uint64_t interval_s;		  /* 1 to OIDC_INTERVAL_MAX_S */
};

enum oidc_poll {
	OIDC_POLL_PENDING,
	OIDC_POLL_SLOWER,  /* interval + 5 s, for good (RFC 8628 section 3.5) */
	OIDC_POLL_TROUBLE, /* no answer, or one of a sick server: again, later */
	OIDC_POLL_TOKEN,   /* *ret_token is there */
	OIDC_POLL_OVER	   /* why says what */
};

/* Who asks, for the provider to show. "" where unknown. */
struct oidc_hints {
	const char *person, *host, *source, *nonce; /* nonce NULL: none */
};

/* The provider's metadata (OpenID Connect Discovery section 4): the issuer in it is the configured one, byte for byte. 0; ERR_FORMAT with why. */
int oidc_read_provider(const struct oidc_conf *conf, const char *text, size_t len,
    struct oidc_provider *ret_provider, struct oidc_why *why) MUST_CHECK;
/* A code (RFC 8628 section 3.2). 0; ERR_FORMAT with why. */
int oidc_read_device(const struct oidc_conf *conf, const char *text, size_t len,
    struct oidc_device *ret_device, struct oidc_why *why) MUST_CHECK;
/*
 * The answer to a poll (RFC 8628 section 3.5). *ret_token: owned by caller, free(), for OIDC_POLL_TOKEN only: an ID token that nobody
 * has verified. why is filled for OIDC_POLL_OVER and OIDC_POLL_TROUBLE.
 */
enum oidc_poll oidc_read_poll(
    long status, const char *text, size_t len, char **ret_token, struct oidc_why *why);

/* The same with their requests. Errors also as oidc_http_get(). */
int oidc_discover(const struct oidc_conf *conf, struct oidc_http *http,
    struct oidc_provider *ret_provider, struct oidc_why *why) MUST_CHECK;
int oidc_device_start(const struct oidc_conf *conf, struct oidc_http *http,
    const struct oidc_provider *provider, const struct oidc_hints *hints,
    struct oidc_device *ret_device, struct oidc_why *why) MUST_CHECK;
enum oidc_poll oidc_poll(struct oidc_http *http, const struct oidc_provider *provider,
    const struct oidc_device *device, char **ret_token, struct oidc_why *why);

#endif
