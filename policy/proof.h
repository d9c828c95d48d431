/*
 * What a pass is worth at this moment: its keys and certificates read and checked again (all but the signatures, which were
 * given once), the person as the rules see them, and every restriction that any of the factors carries.
 */
#ifndef BASTION_PROOF_H
#define BASTION_PROOF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "policy/access.h"
#include "policy/credential.h"
#include "policy/pass.h"
#include "policy/set.h"

/* What requests are judged by. Borrowed for the call. */
struct auth_scene {
	const struct set *set;	   /* NULL: nothing is in force, everybody fails */
	const uint8_t *session_id; /* from the vault; NULL: not known yet */
	size_t session_id_len;
	struct net_addr source;
	uint64_t now_ns;   /* wall clock */
	uint64_t newest_s; /* see struct credential_scene */
	const char *ref;   /* reference id of the connection, for who is denied; NULL: none */
};
/* The same for credential_read(). */
struct credential_scene auth_credential_scene(const struct auth_scene *scene);

/* It leads into itself: not to be copied. */
struct proof {
	struct credential creds[PASS_FACTORS_MAX]; /* of the pass's keys, in order */
	size_t n_creds;
	const struct credential
	    *shown;		  /* with it, a key that is being shown; NULL: none; borrowed */
	struct model_user person; /* of the pass's identity, with PAM's groups where they count */
	const char **groups;	  /* its list, when that is not the policy's; owned */
	const struct model_user *one;
	const struct model_user *const *users; /* whom all of it proves */
	size_t n_users;
	const char **principals; /* of all certificates; the array is owned */
	size_t n_principals;
	bool mfa; /* two different methods */
	const char
	    *reason; /* why it is worth nothing: a word for audit events, static; else NULL */
	const char *detail; /* more about it, static; or NULL */
};

/*
 * shown: a credential that was read in this scene and would be the next factor; NULL: none. Everything proves the same person, or it
 * proves nobody. p: filled as far as it went; proof_done() in any case. It borrows from the set, pass and shown.
 * 0 it proves at least one person; ERR_DENIED with p->reason; -ENOMEM.
 */
int proof_read(struct proof *p, const struct auth_scene *scene, const struct pass *pass,
    const struct credential *shown) MUST_CHECK;
void proof_done(struct proof *p);
/* Who asks, as the rules see it. Borrows from p. */
struct access_person proof_person(const struct proof *p, const struct auth_scene *scene);

/* All keys and certificates of it, in order. NULL: there are no more. */
const struct credential *proof_credential(const struct proof *p, size_t i);
/* What its certificates permit: all of them must. None: everything. enum cert_permit. */
unsigned proof_permits(const struct proof *p);
bool proof_by_cert(const struct proof *p);
/* When the first of them expires, seconds since 1970; 0: none does. */
uint64_t proof_valid_before_s(const struct proof *p);
/* What they force; NULL: nothing. */
const char *proof_force_command(const struct proof *p);

/*
 * An identity as the rules see it: of the policy, or, where unlisted may be (login.pam.identity_from_pam), of its name alone; with
 * further groups. *ret_list: owned by caller, NULL when there are none; the person borrows from all arguments.
 * 0; ERR_NOT_FOUND; -ENOMEM.
 */
int proof_make_person(const struct model *m, const char *identity, bool unlisted,
    const char *const *groups, size_t n_groups, struct model_user *ret_person,
    const char ***ret_list) MUST_CHECK;

#endif
