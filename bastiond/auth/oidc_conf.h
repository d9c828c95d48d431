/*
 * The configuration of pam_bastion_oidc: one strict YAML file (lib/conf.h), named by the module argument config=FILE. Everything
 * that the rest of the module may rely on is checked here.
 */
#ifndef BASTION_AUTH_OIDC_CONF_H
#define BASTION_AUTH_OIDC_CONF_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/conf.h"
#include "lib/err.h"
#include "lib/secret.h"

#define OIDC_URL_SIZE 513u	/* bytes of a URL with its NUL */
#define OIDC_WORD_SIZE 257u	/* bytes of a client id, a claim's name, a domain */
#define OIDC_SCOPES_SIZE 513u	/* bytes of all scopes */
#define OIDC_REQUIRE_MAX 16u	/* claims that are asked for */
#define OIDC_VALUES_MAX 16u	/* values, one of which a claim must have */
#define OIDC_SECRET_MAX 1024u	/* bytes of a client secret */
#define OIDC_EXPIRES_MAX_S 300u /* a code lives no longer, whatever the provider says */

enum oidc_client {
	OIDC_PUBLIC,	   /* no secret: client_id in the form */
	OIDC_SECRET_BASIC, /* client_secret_basic */
	OIDC_SECRET_POST   /* client_secret_post */
};

struct oidc_require {
	char claim[OIDC_WORD_SIZE];
	char values[OIDC_VALUES_MAX][OIDC_WORD_SIZE];
	size_t n_values;
};

struct oidc_conf {
	char file[PATH_MAX];	    /* where it was read, for messages */
	char issuer[OIDC_URL_SIZE]; /* exactly as the provider writes it */
	char client_id[OIDC_WORD_SIZE];
	enum oidc_client client;
	char secret_file[PATH_MAX]; /* "": none */
	struct secret *secret;	    /* NULL: a public client; owned */
	char ca_file[PATH_MAX];	    /* "": the system's */
	char proxy[OIDC_URL_SIZE];  /* "": none, whatever the environment says */
	char state[PATH_MAX];	    /* folder of the provider's keys and of the counters */
	char scopes[OIDC_SCOPES_SIZE];
	char identity_claim[OIDC_WORD_SIZE];
	char strip_domain[OIDC_WORD_SIZE]; /* "": the claim is taken as it is */
	char groups_claim[OIDC_WORD_SIZE]; /* "": no groups */
	struct oidc_require require[OIDC_REQUIRE_MAX];
	size_t n_require;
	uint64_t leeway_ns;    /* of clocks that differ */
	uint64_t timeout_ns;   /* of one request */
	uint64_t cache_age_ns; /* the provider's keys may serve so long when it does not answer */
	uint64_t per_source;   /* codes outstanding for one source */
	uint64_t per_person;   /* codes in an hour for one person */
	bool require_email_verified;
	bool allow_http; /* http://localhost, for tests */
	bool confirm;	 /* a number that only the provider's page shows is asked for */
	bool nonce;	 /* send one and insist on it */
	bool hints;	 /* tell the provider who asks: login_hint, binding_message */
};

/*
 * Read the file and what it names. ret_conf: owned by caller, end with oidc_conf_done().
 * 0; ERR_FORMAT with ret_err filled, ready to be logged; -errno and ret_err, when a file cannot be read; -ENOMEM.
 */
int oidc_conf_read(
    const char *path, struct oidc_conf *ret_conf, struct conf_err *ret_err) MUST_CHECK;
/* The same from len bytes that came from path. The secret's file and the folder of the state are not touched. */
int oidc_conf_parse(const char *path, const char *data, size_t len, struct oidc_conf *ret_conf,
    struct conf_err *ret_err) MUST_CHECK;
/* Wipe the secret. */
void oidc_conf_done(struct oidc_conf *conf);

/*
 * Whether a URL may be asked for or shown: https, or http to this machine where allow_http says so; printable ASCII without spaces,
 * a host, no user in it, no fragment, shorter than OIDC_URL_SIZE.
 */
bool oidc_url_ok(const char *url, bool allow_http);

#endif
