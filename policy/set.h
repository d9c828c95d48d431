/*
 * Everything that decisions are made from: the policy, the CAs of user certificates, the revocation list, the login methods.
 * A set is built beside the one in force and takes its place whole, or not at all.
 */
#ifndef BASTION_SET_H
#define BASTION_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/hash.h"
#include "lib/sshkey.h"
#include "policy/krl.h"
#include "policy/model.h"
#include "policy/policy_proto.h"
#include "policy/zone.h"

#define SET_CAS_MAX 256u
#define SET_CHAINS_MAX 8u
#define SET_CHAIN_LEN 4u /* methods in one chain */
#define SET_TRIES_MAX 100u
#define SET_ERR_SIZE 600u /* bytes of an error line with its NUL */
#define SET_FILE_MAX KRL_FILE_MAX

/* Methods of RFC 4252 that a configuration may name. */
enum set_method { SET_NO_METHOD, SET_PUBLICKEY, SET_KEYBOARD_INTERACTIVE };

/* "publickey" ...; static. */
const char *set_method_name(enum set_method method);

/* Methods that must succeed one after the other. */
struct set_chain {
	enum set_method methods[SET_CHAIN_LEN];
	size_t n;
};

struct set_ca {
	uint8_t *blob; /* owned */
	size_t len;
	struct sshkey *key; /* owned */
	char fingerprint[HASH_FINGERPRINT_SIZE];
	char *file; /* owned; its name as it was given */
	size_t line, column;
};

struct set {
	struct model *model; /* NULL until POL_FILE_POLICY was added */
	struct set_ca cas[SET_CAS_MAX];
	size_t n_cas;
	struct krl *krl;			 /* NULL: none is configured */
	unsigned tries;				 /* failures until the connection ends */
	struct set_chain chains[SET_CHAINS_MAX]; /* each one is a way in */
	size_t n_chains;
	bool identity_from_pam, groups_from_pam, explain; /* login.pam.*, login.explain */
	uint64_t pam_timeout_ns;			  /* of one PAM conversation */
};

/* An empty set. NULL: out of memory. */
struct set *set_new(void);
void set_free(struct set *s);
/*
 * Add a file. data: borrowed for the call; name: for messages. zones: borrowed for the life of the set.
 * 0; ERR_FORMAT with a line in ret_err (SET_ERR_SIZE bytes); -ENOMEM.
 */
int set_add_file(struct set *s, enum pol_file kind, const char *name, const char *data, size_t len,
    const struct zones *zones, char *ret_err) MUST_CHECK;
/*
 * A chain, methods with commas between, as "publickey,keyboard-interactive". Errors as set_add_file().
 */
int set_add_chain(struct set *s, const char *methods, char *ret_err) MUST_CHECK;
/* All was added: check what can only be checked together. Errors as set_add_file(). */
int set_finish(struct set *s, unsigned tries, char *ret_err) MUST_CHECK;

/* The CA of this plain key blob; NULL: not one of ours. */
const struct set_ca *set_find_ca(const struct set *s, const uint8_t *blob, size_t len);

#endif
