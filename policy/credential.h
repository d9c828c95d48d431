/*
 * What a key or certificate proves once its owner has signed with it: which people of the policy it stands for, and what it
 * forbids. Reading one does not mean that it was used: that is auth.c's part.
 */
#ifndef BASTION_CREDENTIAL_H
#define BASTION_CREDENTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/hash.h"
#include "lib/net.h"
#include "policy/cert.h"
#include "policy/model.h"
#include "policy/set.h"

/* Where and when it is shown. */
struct credential_scene {
	struct net_addr source;
	uint64_t now_s;	   /* wall clock, seconds since 1970 */
	uint64_t newest_s; /* the same, but never less than it was before: for what expires */
};

struct credential {
	const char *alg;     /* name in the request; static */
	const char *sig_alg; /* the only name its signature may have; static */
	const uint8_t *blob; /* as it was shown; borrowed from who called credential_read() */
	size_t blob_len;
	struct sshkey *key;			 /* owned for plain keys; else cert->key */
	struct cert *cert;			 /* owned; NULL for a plain key */
	char fingerprint[HASH_FINGERPRINT_SIZE]; /* of the plain key; "" when it was not readable */
	char ca_fingerprint[HASH_FINGERPRINT_SIZE]; /* "" for a plain key */
	const struct model_user
	    *users[CERT_PRINCIPALS_MAX]; /* whom it proves; borrowed from the set */
	size_t n_users;
	bool touch_needed, verify_needed; /* of a security key's signature */
	const char *reason; /* why it is of no use: a word for audit events, static; NULL: it is */
	const char *detail; /* more about the reason, static; or NULL */
};

/*
 * Read and check everything but the signature of its owner. c: filled as far as it went, also on failure;
 * credential_done() frees what it holds. c->reason is set on ERR_DENIED.
 * 0 it proves at least one person; ERR_DENIED; -ENOMEM.
 */
int credential_read(struct credential *c, const struct set *s, const struct credential_scene *scene,
    const char *alg, const uint8_t *blob, size_t len) MUST_CHECK;
void credential_done(struct credential *c);

/*
 * Check the signature blob over data, and for security keys what the token said about its user. 0 only if it verifies;
 * ERR_DENIED with c->reason set; -ENOMEM.
 */
int credential_verify(struct credential *c, const uint8_t *sig, size_t sig_len, const uint8_t *data,
    size_t len) MUST_CHECK;

/* Whether the person is one of those it proves. */
bool credential_proves(const struct credential *c, const struct model_user *user);
bool credential_proves_name(const struct credential *c, const char *name);

#endif
