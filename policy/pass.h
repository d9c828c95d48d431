/*
 * What somebody has shown of themselves: which methods have succeeded, with which keys, and what PAM said. Kept as it was shown, so
 * that every use is judged by the policy, the revocations and the clock of that moment (proof.h).
 */
#ifndef BASTION_PASS_H
#define BASTION_PASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/hash.h"
#include "policy/names.h"
#include "policy/request.h"
#include "policy/set.h"

#define PASS_FACTORS_MAX (SET_CHAIN_LEN + 1) /* a whole chain, and what a rule asks for beside it */
#define PASS_SUBJECT_SIZE 512u		     /* bytes with the NUL */
#define PASS_METHODS_SIZE (PASS_FACTORS_MAX * 24u)

struct pass_factor {
	enum set_method method;
	/* SET_PUBLICKEY: */
	char alg[REQUEST_NAME_SIZE];
	char fingerprint[HASH_FINGERPRINT_SIZE]; /* of the plain key */
	uint8_t *blob;				 /* key or certificate; owned */
	size_t len;
};

struct pass {
	char identity[NAMES_FIELD_SIZE]; /* whom the first of them proved; "": nothing was proved */
	struct pass_factor factors[PASS_FACTORS_MAX]; /* in the order in which they succeeded */
	size_t n_factors;
	/* What PAM named: */
	char **groups; /* owned, as are the texts */
	size_t n_groups;
	char subject[PASS_SUBJECT_SIZE]; /* who that is where they logged in; "" none */
	/* Of an inner connection (ssh -J): where it leads. */
	char host[NAMES_FIELD_SIZE];
	uint16_t port;
};

/* A key that has signed. All is copied. 0; ERR_LIMIT; -ENOMEM: pass is as it was. */
int pass_add_key(struct pass *pass, const char *alg, const char *fingerprint, const uint8_t *blob,
    size_t len) MUST_CHECK;
/* A PAM conversation that went well; groups and subject replace those of one before. Errors as pass_add_key(). */
int pass_add_pam(
    struct pass *pass, const char *const *groups, size_t n_groups, const char *subject) MUST_CHECK;
/* to: zeroed, or done. 0; -ENOMEM: then it is empty. */
int pass_copy(struct pass *to, const struct pass *from) MUST_CHECK;
/* Frees what it holds; it is empty then. */
void pass_done(struct pass *pass);

/* Whether the method is among those that succeeded. */
bool pass_has(const struct pass *pass, enum set_method method);
/* Whether this key was used already, plain or in a certificate. */
bool pass_has_key(const struct pass *pass, const char *fingerprint);
/* Two different methods have succeeded. */
bool pass_mfa(const struct pass *pass);
/* "publickey,keyboard-interactive". dst: PASS_METHODS_SIZE bytes. Returns dst. */
const char *pass_methods(const struct pass *pass, char *dst);

#endif
