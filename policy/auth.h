/*
 * The login of one connection (RFC 4252 section 5): each request in, one answer out. No sockets and no clocks of its own,
 * so that it can be driven by tests request by request. Every way in, with one factor or several, ends in auth_settle().
 */
#ifndef BASTION_AUTH_H
#define BASTION_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/hash.h"
#include "policy/access.h"
#include "policy/credential.h"
#include "policy/pass.h"
#include "policy/policy_proto.h"
#include "policy/proof.h"
#include "policy/request.h"
#include "policy/set.h"

#define AUTH_CLAIM_SIZE 1024u  /* bytes of the user name as shown, escaped */
#define AUTH_REQUESTS_MAX 256u /* on one connection, offers that were good included */
#define AUTH_PAM_MAX 8u	       /* PAM conversations on one connection */
#define AUTH_METHODS_SIZE 64u
#define AUTH_TEXT_SIZE 160u
#define AUTH_TRIES_UNSET 6u /* failures until the end while no configuration is in force */

struct auth {
	/*
	 * Of a connection within one that is logged in (ssh -J): what that login proved, and the host. Then method "none" is enough, the
	 * user name is a login on that host, and nobody else can be proved. NULL: no such thing. Borrowed, lives longer.
	 */
	const struct pass *jump;
	bool pinned;
	uint8_t pin[HASH_LEN];	     /* of the first request's user name and service */
	char claim[AUTH_CLAIM_SIZE]; /* the user name, escaped */
	unsigned n_requests, n_failures, n_pam;
	struct pass pass; /* what has succeeded so far; owned */
	bool
	    mfa_wanted; /* a chain is complete, but the rule for this target asks for another method */
	bool
	    offered; /* the last request offered a key that would do, and nothing was proved since */
	char offered_fingerprint[HASH_FINGERPRINT_SIZE];
	/* A PAM conversation is under way: who PAM is asked about, and the user name of the request. */
	bool asking;
	char asked[NAMES_FIELD_SIZE], name[NAMES_MAX + 1];
	bool told;	/* the reference was in a banner */
	bool explained; /* the method that is listed only for that has been used */
	bool over;	/* answered SUCCESS or CLOSE: nothing may follow */
};
/* Frees what it holds. */
void auth_done(struct auth *a);

/* How a PAM conversation came out. Borrowed. */
struct auth_pam {
	enum pol_pam result;
	const char *stage, *said; /* for the audit event */
	const char *user;	  /* PAM_USER at the end */
	const char *const *groups;
	size_t n_groups;
	const char *subject;
	const char *ended; /* how the process ended before it said anything; NULL: it did say */
};

struct auth_result {
	enum pol_auth answer;
	/*
	 * There is no answer yet: PAM is to be asked about auth.asked; auth_pam() or auth_abandon() follows, and nothing else does.
	 */
	bool ask;
	bool delay;			 /* a failure: answered no sooner than the others */
	bool partial;			 /* with FAILURE: something was proved, more is needed */
	char methods[AUTH_METHODS_SIZE]; /* with FAILURE: that can continue */
	char text[AUTH_TEXT_SIZE];	 /* with FAILURE: for the banner; "" none */
	char line[ACCESS_LINE_SIZE];	 /* with CLOSE: what the client is told */
	const char *event;	    /* this was an attempt: name of its audit event; NULL: none */
	const char *reason;	    /* a word; NULL when all is well */
	const char *detail;	    /* or NULL */
	char hint[NAMES_HINT_SIZE]; /* how the name should have been spelled; for the audit event */
	enum pol_failure charge;    /* what the source is charged with; 0: nothing */
	bool has_request;	    /* the message could be read: */
	struct request request;	    /* borrows from the message, or from struct auth */
	struct credential credential; /* of the request, as far as it was read */
	const struct auth_pam
	    *pam;	      /* of the conversation that this is the end of; NULL; borrowed */
	struct pass next;     /* what that would have proved beside the rest; owned */
	struct proof proof;   /* everything proved, with this; borrows from struct auth and next */
	struct access access; /* valid when access.outcome or access.reason is set */
};

/*
 * One SSH_MSG_USERAUTH_REQUEST. r: filled; free with auth_result_done(), also after an error. It borrows from msg, a and the set.
 * 0; -EAGAIN the session id is needed and not there: nothing happened, ask again; ERR_ORDER the login is over, or PAM is being
 * asked; -ENOMEM.
 */
int auth_step(struct auth *a, const struct auth_scene *scene, const uint8_t *msg, size_t len,
    struct auth_result *r) MUST_CHECK;
/* The conversation that was asked for is over. ERR_ORDER: none was. The rest as auth_step(). */
int auth_pam(struct auth *a, const struct auth_scene *scene, const struct auth_pam *pam,
    struct auth_result *r) MUST_CHECK;
void auth_result_done(struct auth_result *r);
/*
 * Where the login under way wants to go, as a person would read it: "root@web1", "web1", "" for the bastion itself. dst: 2 *
 * NAMES_FIELD_SIZE bytes. Returns dst.
 */
const char *auth_target(const struct auth *a, char *dst);

/*
 * A further factor for who is in already (the bastion's own shell asks for it): whom PAM has to be asked about; and what came of it,
 * which adds it to pass. 0; ERR_DENIED with *ret_reason, a word for audit events, static; -ENOMEM.
 */
int auth_pam_take(const struct set *s, struct pass *pass, const char *asked,
    const struct auth_pam *pam, const char **ret_reason) MUST_CHECK;

#endif
