/*
 * policy.yaml for tools: the same loader and the same decision as in bastiond-policy, without a running one. This is all that
 * bastionctl sees of this folder.
 */
#ifndef BASTION_POLICY_H
#define BASTION_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/conf.h"
#include "lib/err.h"
#include "lib/json.h"

#define POLICY_FILE_MAX CONF_FILE_MAX /* bytes */
#define POLICY_NAME_SIZE 256u
#define POLICY_TEXT_SIZE 640u

struct policy;

/*
 * Read and check the file. *ret_policy: owned by caller. 0; ERR_FORMAT with *ret_err filled; -errno, ERR_LIMIT: it could not
 * be read.
 */
int policy_open(const char *path, struct policy **ret_policy, struct conf_err *ret_err) MUST_CHECK;
/* The same for a text that would be the file called name. */
int policy_parse(const char *name, const char *data, size_t len, struct policy **ret_policy,
    struct conf_err *ret_err) MUST_CHECK;
void policy_free(struct policy *p);
/* "2 users, 3 hosts, 4 rules". dst: POLICY_TEXT_SIZE bytes. Returns dst. */
char *policy_summary(const struct policy *p, char *dst);
/* Things that load but look wrong, one line each; NULL behind the last. Borrowed. */
const char *policy_warning(const struct policy *p, size_t i);

/* May identity reach host? Borrowed for the call. */
struct policy_question {
	const char *identity;
	const char *host;   /* as typed after the + */
	const char *login;  /* NULL: whichever the policy gives */
	uint16_t port;	    /* 0: the host's own */
	const char *source; /* address the client comes from; NULL: 127.0.0.1 */
	uint64_t at_ns;	    /* wall clock */
};

/* One rule and what became of it; strings are borrowed from the policy, why is static. */
struct policy_step {
	const char *rule;
	bool deny, fits;
	bool mfa;	 /* asks for a second factor */
	const char *why; /* the first thing that did not fit, or "fits" */
};

/* A right and what it is held to; strings are borrowed from the policy. */
struct policy_right {
	const char *name; /* as in policy.yaml: sftp when both of its rights are the same; static */
	const char **only; /* patterns or paths; owned; none: everything */
	size_t n_only;
	const char **never; /* what deny rules take of it; owned */
	size_t n_never;
	bool more; /* there are too many to tell */
};

struct policy_answer {
	bool allowed;
	const char *reason;		/* a word as in audit events; NULL when allowed; static */
	char text[POLICY_TEXT_SIZE];	/* the same for people */
	char login[POLICY_NAME_SIZE];	/* "" when several are possible, or none */
	char host[POLICY_NAME_SIZE];	/* in lower case */
	char address[POLICY_NAME_SIZE]; /* as configured; "" for an unknown host */
	uint16_t port;
	bool mfa;		     /* allowed, but only with a second factor */
	const char *rule;	     /* that decided; NULL: none; borrowed from the policy */
	struct policy_right *rights; /* that there are; owned */
	size_t n_rights;
	const char *files; /* "hash" or "keep": content of transfers; NULL: no right to them */
	struct policy_step *steps; /* one a rule, in the order of the file; owned */
	size_t n_steps;
};

/*
 * Decide exactly as a login would whose certificate has all principals of the identity, and which has a second factor. 0 (whatever the answer), free with
 * policy_answer_done(); ERR_FORMAT the source is no address, or the host is no name; -ENOMEM.
 */
int policy_explain(const struct policy *p, const struct policy_question *q,
    struct policy_answer *ret_answer) MUST_CHECK;
void policy_answer_done(struct policy_answer *a);

/*
 * What a reason in an audit event means, and what to do about it (NULL: nothing); static. false: not one of policy's words.
 */
bool policy_reason(const char *word, const char **ret_meaning, const char **ret_next) MUST_CHECK;

/*
 * A certificate as bastiond-policy reads it, nothing of it verified: kind ("user", "host"), type, public_key and ca
 * (fingerprints), key_id, serial, principals, valid_after and valid_before (null: no such end) with both again in seconds since
 * 1970 (_s), critical_options, extensions that have an effect. *ret_json: owned by caller, a failure in it sticks. 0; ERR_FORMAT
 * with *ret_why (static); -ENOMEM.
 */
int policy_cert_json(
    const uint8_t *blob, size_t len, struct json **ret_json, const char **ret_why) MUST_CHECK;

/* A key revocation list, and questions to it. */
struct policy_krl;
/* data: borrowed for the call. 0; ERR_FORMAT with *ret_why (static); -ENOMEM. */
int policy_krl_parse(
    const uint8_t *data, size_t len, struct policy_krl **ret_krl, const char **ret_why) MUST_CHECK;
void policy_krl_free(struct policy_krl *k);
/* What this certificate, or plain key, is revoked by (static), or NULL. A blob that is neither: "malformed". */
const char *policy_krl_asks(const struct policy_krl *k, const uint8_t *blob, size_t len);
/*
 * The list (data NULL: a new one) with one more certificate revoked, by its CA and serial or, without a serial, key id; or one more
 * plain key; blob NULL: nothing more. now_s: seconds since 1970. Appends to ret_list, of no use after an error. 0; ERR_FORMAT; ERR_LIMIT; -ENOMEM.
 */
int policy_krl_revoke(const uint8_t *data, size_t len, uint64_t now_s, const uint8_t *blob,
    size_t blob_len, struct buf *ret_list) MUST_CHECK;

#endif
