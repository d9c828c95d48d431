/* Audit events as JSON on one line: what happened, to whom, and why, for the recorder to keep. */
#ifndef BASTION_AUDIT_H
#define BASTION_AUDIT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "policy/ask.h"
#include "policy/auth.h"
#include "policy/leg.h"

/* Where a login comes from. Borrowed. */
struct audit_conn {
	uint32_t conn;
	const char *ref;    /* reference id of the connection */
	const char *source; /* "address:port" */
	const char *local;
	uint32_t through; /* ssh -J: the outer connection, and its reference; 0: no jump */
	const char *through_ref;
};

/*
 * All: *ret_text: owned by caller, free(); at most REC_AUDIT_MAX bytes. 0; ERR_LIMIT; -ENOMEM.
 */

/* An attempt to log in: r->event is set. leg: the leg that was granted, 0 none. */
int audit_auth(const struct audit_conn *where, const struct auth *a, const struct auth_result *r,
    uint64_t now_ns, uint32_t leg, char **ret_text, size_t *ret_len) MUST_CHECK;
/* Something that a person who is in asked for. Borrowed. */
struct audit_shell {
	const char *event, *method;
	const char *reason; /* a word; NULL: none */
	const struct proof *proof;
	const struct pass *pass;
	const struct access *access;
	const struct auth_pam *pam; /* NULL: none */
	uint32_t leg;		    /* that was granted; 0: none */
};
int audit_shell(const struct audit_conn *where, const struct auth *a,
    const struct audit_shell *what, uint64_t now_ns, char **ret_text, size_t *ret_len) MUST_CHECK;
/* A connection that ended, or broke a rule, with a reason in a word. a: NULL when it never asked. */
int audit_conn(const struct audit_conn *where, const struct auth *a, const char *event,
    const char *reason, const char *detail, uint64_t now_ns, char **ret_text,
    size_t *ret_len) MUST_CHECK;
/* A jump that was refused, with a reason in a word. identity: NULL when nobody is logged in; host: len bytes, as typed. */
int audit_jump(const struct audit_conn *where, const char *identity, const void *host, size_t len,
    uint32_t port, const char *reason, uint64_t now_ns, char **ret_text,
    size_t *ret_len) MUST_CHECK;
/* A frame that was denied or replaced. */
int audit_ask(const struct leg *leg, const struct ask *ask, uint32_t channel,
    const struct ask_verdict *v, char **ret_text, size_t *ret_len) MUST_CHECK;
/* Something about a leg: event with one text. text: NULL for none. */
int audit_leg(const struct leg *leg, const char *event, const char *key, const char *text,
    uint64_t now_ns, char **ret_text, size_t *ret_len) MUST_CHECK;
/* The same with two. Texts may be NULL. */
int audit_leg_pair(const struct leg *leg, const char *event, const char *key1, const char *text1,
    const char *key2, const char *text2, uint64_t now_ns, char **ret_text,
    size_t *ret_len) MUST_CHECK;
/* Anything else: event and up to two texts. Keys and texts may be NULL. */
int audit_plain(const char *event, const char *key1, const char *text1, const char *key2,
    const char *text2, uint64_t now_ns, char **ret_text, size_t *ret_len) MUST_CHECK;

#endif
