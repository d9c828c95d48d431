/*
 * The login of one connection (RFC 4252 section 5): each request in, one answer out. No sockets and no clocks of its own,
 * so that it can be driven by tests request by request.
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
#include "policy/jump.h"
#include "policy/policy_proto.h"
#include "policy/request.h"
#include "policy/set.h"

#define AUTH_CLAIM_SIZE 1024u  /* bytes of the user name as shown, escaped */
#define AUTH_REQUESTS_MAX 256u /* on one connection, offers that were good included */
#define AUTH_METHODS_SIZE 64u
#define AUTH_TRIES_UNSET 6u /* failures until the end while no configuration is in force */

struct auth {
	/*
	 * Of a connection within one that is logged in (ssh -J): what that login proved, and the host. Then method "none" is enough, the
	 * user name is a login on that host, and nobody else can be proved. NULL: no such thing. Borrowed, lives longer.
	 */
	const struct jump_pass *jump;
	bool pinned;
	uint8_t pin[HASH_LEN];	     /* of the first request's user name and service */
	char claim[AUTH_CLAIM_SIZE]; /* the user name, escaped */
	unsigned n_requests, n_failures;
	/* Methods that have succeeded, in order, and with which key each. */
	enum set_method done[SET_CHAIN_LEN];
	uint8_t done_keys[SET_CHAIN_LEN][HASH_LEN];
	size_t n_done;
	char identity[NAMES_FIELD_SIZE]; /* whom the first of them proved; "" before */
	bool
	    offered; /* the last request offered a key that would do, and nothing was proved since */
	char offered_fingerprint[HASH_FINGERPRINT_SIZE];
	bool over; /* answered SUCCESS or CLOSE: nothing may follow */
};

/* What a request is judged by. Borrowed for the call. */
struct auth_scene {
	const struct set *set;	   /* NULL: nothing is in force, everybody fails */
	const uint8_t *session_id; /* from the vault; NULL: not known yet */
	size_t session_id_len;
	struct net_addr source;
	uint64_t now_ns;   /* wall clock */
	uint64_t newest_s; /* see struct credential_scene */
};

struct auth_result {
	enum pol_auth answer;
	bool delay;			 /* a failure: answered no sooner than the others */
	bool partial;			 /* with FAILURE: something was proved, more is needed */
	char methods[AUTH_METHODS_SIZE]; /* with FAILURE: that can continue */
	char line[ACCESS_LINE_SIZE];	 /* with CLOSE: what the client is told */
	const char *event;	    /* this was an attempt: name of its audit event; NULL: none */
	const char *reason;	    /* a word; NULL when all is well */
	const char *detail;	    /* or NULL */
	char hint[NAMES_HINT_SIZE]; /* how the name should have been spelled; for the audit event */
	enum pol_failure charge;    /* what the source is charged with; 0: nothing */
	bool has_request;	    /* the message could be read: */
	struct request request;	    /* borrows from the message */
	struct credential credential; /* as far as it was read */
	struct access access;	      /* valid when access.outcome or access.reason is set */
};

/*
 * One SSH_MSG_USERAUTH_REQUEST. r: filled; free with auth_result_done(), also after an error. It borrows from msg and the set.
 * 0; -EAGAIN the session id is needed and not there: nothing happened, ask again; ERR_ORDER the login is over; -ENOMEM.
 */
int auth_step(struct auth *a, const struct auth_scene *scene, const uint8_t *msg, size_t len,
    struct auth_result *r) MUST_CHECK;
void auth_result_done(struct auth_result *r);

/*
 * What a login that was is worth now: its credential read and checked again, all but the signature. c: filled as far as it went,
 * free with credential_done() in any case. 0 with *ret_user, borrowed from the set; ERR_DENIED with c->reason; -ENOMEM.
 */
int auth_read_pass(const struct auth_scene *scene, const struct jump_pass *pass,
    struct credential *c, const struct model_user **ret_user) MUST_CHECK;
/* Who asks, as the rules see it. Borrows from c. */
struct access_person auth_person(const struct auth_scene *scene, const struct credential *c);

#endif
