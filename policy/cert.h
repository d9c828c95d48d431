/*
 * OpenSSH certificates (PROTOCOL.certkeys), read by our own reader: a blob is taken apart completely before anything in
 * it is believed, and whatever this version does not know how to hold is a refusal. Semantics are those of OpenSSH
 * 10; where this reader is stricter, doc/man/policy.yaml.5 says so, and tests/integration/44-cert-sshd.sh where sshd says yes.
 */
#ifndef BASTION_CERT_H
#define BASTION_CERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/net.h"
#include "lib/sshkey.h"

#define CERT_PRINCIPALS_MAX 256u /* as OpenSSH */
#define CERT_SOURCES_MAX 128u	 /* networks in source-address */
#define CERT_KEY_ID_MAX 1024u	 /* bytes */
#define CERT_BLOB_MAX 34000u	 /* bytes; what a login request can carry (RFC 4253 section 6.1) */

enum cert_type { CERT_USER = 1, CERT_HOST = 2 };

/* Extensions that a user certificate may carry; without one the right is not there. */
enum cert_permit {
	CERT_PERMIT_PTY = 1 << 0,
	CERT_PERMIT_PORT_FORWARDING = 1 << 1,
	CERT_PERMIT_AGENT_FORWARDING = 1 << 2,
	CERT_PERMIT_X11_FORWARDING = 1 << 3,
	CERT_PERMIT_USER_RC = 1 << 4,
	CERT_NO_TOUCH_REQUIRED = 1 << 5
};

struct cert {
	const char *blob_type; /* "ssh-ed25519-cert-v01@openssh.com"; static */
	struct sshkey *key;    /* the subject's; owned */
	uint8_t *key_blob;     /* its plain blob; owned */
	size_t key_blob_len;
	uint64_t serial;
	enum cert_type type;
	char *key_id;	   /* owned; arbitrary bytes but NUL: escape before showing */
	char **principals; /* owned; never NULL when n_principals > 0 */
	size_t n_principals;
	uint64_t valid_after,
	    valid_before;	    /* seconds since 1970; valid_after <= now < valid_before */
	char *force_command;	    /* owned; NULL: none */
	bool has_sources;	    /* source-address is there: */
	struct net_prefix *sources; /* owned */
	size_t n_sources;
	bool verify_required;
	unsigned permits;   /* enum cert_permit */
	uint8_t *ca_blob;   /* owned; the signer's plain key blob, not yet looked at */
	size_t ca_blob_len; /* bytes */
	uint8_t *sig;	    /* owned; over the first signed_len bytes of the blob */
	size_t sig_len, signed_len;
};

/*
 * Take a certificate apart. Nothing is verified: see cert_verify(). *ret_cert: owned by caller. ret_why (may be NULL):
 * what is wrong, static text, set on ERR_FORMAT, ERR_DENIED and ERR_LIMIT.
 * 0; ERR_NOT_FOUND not a certificate type that is known; ERR_FORMAT malformed; ERR_DENIED an option that is not known or
 * does not belong there; ERR_LIMIT too many principals, a key outside the sizes of lib/sshkey.h; -ENOMEM.
 */
int cert_parse(
    const uint8_t *blob, size_t len, struct cert **ret_cert, const char **ret_why) MUST_CHECK;
void cert_free(struct cert *c);

/*
 * Check that ca, whose blob the caller has found equal to ca_blob among the trusted ones, signed these bytes. blob: the
 * same that was parsed. rsa_bits: the smallest RSA key that may sign.
 * 0 only if it did; ERR_SIGNATURE; ERR_FORMAT; ERR_LIMIT the CA's key is too small; ERR_CRYPTO; -ENOMEM.
 */
int cert_verify(const struct cert *c, const uint8_t *blob, const struct sshkey *ca,
    unsigned rsa_bits) MUST_CHECK;

/* now_s: seconds since 1970. NULL when it holds, else why not; static. */
const char *cert_check_time(const struct cert *c, uint64_t now_s);
/* Whether a client at addr may use it. */
bool cert_source_allowed(const struct cert *c, const struct net_addr *addr);
/* Whether the principal is listed, byte for byte. */
bool cert_has_principal(const struct cert *c, const char *name);
/*
 * Whether a host certificate names this host: principals may be patterns with * and ?, letters are compared in lower case.
 */
bool cert_names_host(const struct cert *c, const char *host);

#endif
