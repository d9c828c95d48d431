/* A grant: what was decided at login, in the form that each of its readers gets, and what later verdicts need of it. */
#ifndef BASTION_LEG_H
#define BASTION_LEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/net.h"
#include "policy/auth.h"
#include "policy/listens.h"

#define LEG_SOURCE_SIZE 64u /* bytes of "address:port" */
#define LEG_REF_SIZE 20u    /* bytes of a reference id with its NUL */

/* Facts that outlive the login; everything is copied, because the policy may be replaced while the leg runs. */
struct leg {
	uint32_t id, conn;
	char ref[LEG_REF_SIZE];
	char identity[NAMES_FIELD_SIZE], login[NAMES_FIELD_SIZE], host[NAMES_FIELD_SIZE];
	char address[NAMES_FIELD_SIZE]; /* as configured */
	uint16_t port;
	struct net_addr source;
	char source_text[LEG_SOURCE_SIZE];
	bool by_cert;
	unsigned permits;    /* enum cert_permit; only with by_cert */
	char *force_command; /* owned; NULL: none */
	char **principals;   /* owned */
	size_t n_principals;
	struct model_blob *host_cas; /* owned */
	size_t n_host_cas;
	uint8_t back; /* enum pol_back: what serves it; a shell's has no host: it is called "-" */
	uint32_t via; /* the leg whose shell is its front; 0: the connection's front is */
	unsigned rsa_bits; /* smallest RSA key of a host CA */
	/*
	 * What it was opened with, to be read again when the policy changes; without blob: nothing that can be. And what has become
	 * of that: said, and on the way to an end.
	 */
	struct jump_pass shown;
	uint64_t valid_before_s; /* of the certificate, seconds since 1970; 0: no end */
	bool expired, untrusted, ending;
	/* What the client asked for and was allowed: for this alone may the target open channels. */
	unsigned asked; /* MODEL_AGENT, MODEL_X11 */
	struct listens listens;
};

/*
 * From a successful login with a host, or, where r has none, for the bastion's own shell. source_text: "address:port". *ret_leg: owned by caller. 0; ERR_LIMIT a text too long;
 * -ENOMEM.
 */
int leg_new(uint32_t id, uint32_t conn, const char *ref, const char *source_text,
    const struct auth_scene *scene, const struct auth_result *r, struct leg **ret_leg) MUST_CHECK;
void leg_free(struct leg *leg);

/*
 * The payload of POL_GRANT: u32 conn, string recorder part, string vault part, string back part (policy_proto.h,
 * keys_proto.h, recorder_proto.h), u8 enum pol_back, u32 via. claim: the user name as the client sent it, escaped. 0; ERR_LIMIT; -ENOMEM.
 */
int leg_put_grant(const struct leg *leg, const char *claim, const struct auth_result *r,
    struct buf *b) MUST_CHECK;

/*
 * Whether a target's host certificate is good for this leg now. *ret_cert: parsed, owned by caller, its plain key blob is the
 * answer. 0; ERR_DENIED with *ret_why set (static); -ENOMEM.
 */
int leg_check_host_cert(const struct leg *leg, const struct set *s, const uint8_t *blob, size_t len,
    uint64_t now_s, struct cert **ret_cert, const char **ret_why) MUST_CHECK;

#endif
