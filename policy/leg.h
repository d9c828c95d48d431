/* A grant: what was decided at login, in the form that each of its readers gets, and what later verdicts need of it. */
#ifndef BASTION_LEG_H
#define BASTION_LEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/net.h"
#include "policy/listens.h"
#include "policy/proof.h"

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
	/* What it was opened with, to be read again when the policy changes. */
	struct pass pass;
	bool mfa; /* two different methods were in it */
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
	uint64_t
	    valid_before_s; /* of the first certificate to expire, seconds since 1970; 0: no end */
	/* What has become of what it was opened with: said, and on the way to an end. */
	bool expired, untrusted, ending;
	/* What the client asked for and was allowed: for this alone may the target open channels. */
	unsigned asked; /* MODEL_AGENT, MODEL_X11 */
	struct listens listens;
};

/*
 * What a login is given: by whom and with what it was proved, and what was decided. Borrowed.
 */
struct leg_terms {
	const struct pass *pass;
	const struct proof *proof;
	const struct access *access;
};

/*
 * For a host, or, where the terms have none, for the bastion's own shell. source_text: "address:port". *ret_leg: owned by caller. 0;
 * ERR_LIMIT a text too long; -ENOMEM.
 */
int leg_new(uint32_t id, uint32_t conn, const char *ref, const char *source_text,
    const struct auth_scene *scene, const struct leg_terms *terms, struct leg **ret_leg) MUST_CHECK;
void leg_free(struct leg *leg);

/*
 * The payload of POL_GRANT: u32 conn, string recorder part, string vault part, string back part (policy_proto.h,
 * keys_proto.h, recorder_proto.h), u8 enum pol_back, u32 via. claim: the user name as the client sent it, escaped. 0; ERR_LIMIT; -ENOMEM.
 */
int leg_put_grant(const struct leg *leg, const char *claim, const struct leg_terms *terms,
    struct buf *b) MUST_CHECK;

/*
 * The leg's person as the set has them now, with PAM's groups where they count. *ret_list as proof_make_person(). 0; ERR_NOT_FOUND;
 * -ENOMEM.
 */
int leg_person(const struct leg *leg, const struct set *s, struct model_user *ret_person,
    const char ***ret_list) MUST_CHECK;

/*
 * Whether a target's host certificate is good for this leg now. *ret_cert: parsed, owned by caller, its plain key blob is the
 * answer. 0; ERR_DENIED with *ret_why set (static); -ENOMEM.
 */
int leg_check_host_cert(const struct leg *leg, const struct set *s, const uint8_t *blob, size_t len,
    uint64_t now_s, struct cert **ret_cert, const char **ret_why) MUST_CHECK;

#endif
