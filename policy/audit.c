/* Audit events: one function a kind, the same names for the same things. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "policy/audit.h"
#include "recorder/recorder_proto.h"

#define TEXT_MAX 256u	     /* bytes of one text from outside */
#define PRINCIPALS_SHOWN 16u /* of a certificate */
#define GROUPS_SHOWN 32u     /* that PAM named */
#define GROUP_SHOWN 64u	     /* bytes of one */
#define COMMAND_SHOWN 1024u  /* bytes of what was asked for */

static int
finish(struct json *j, char **ret_text, size_t *ret_len)
{
	int r = json_text(j, false, REC_AUDIT_MAX, ret_text, ret_len);

	json_free(j);
	return r;
}

static struct json *
begin(const char *event, uint64_t now_ns)
{
	struct json *j = json_event(event);

	json_put_time(j, "at", now_ns);
	return j;
}

static void
put_text(struct json *j, const char *key, const char *s)
{
	if (s != NULL && s[0] != '\0')
		json_put_bytes(j, key, s, strlen(s), TEXT_MAX);
}

static void
put_conn(struct json *j, const struct audit_conn *where, const struct auth *a)
{
	json_put_u64(j, "conn", where->conn);
	json_put_str(j, "ref", where->ref);
	json_put_str(j, "source", where->source);
	json_put_str(j, "listen", where->local);
	if (where->through != 0) {
		struct json *jump = json_map();

		json_put_u64(jump, "conn", where->through);
		json_put_str(jump, "ref", where->through_ref);
		json_put(j, "jump", jump);
	}
	if (a != NULL && a->pinned)
		put_text(j, "claim", a->claim);
}

static struct json *
credential_json(const struct credential *c)
{
	struct json *j = json_map();
	struct json *list;

	json_put_str(j, "type", c->cert != NULL ? "certificate" : "key");
	put_text(j, "algorithm", c->alg);
	put_text(j, "fingerprint", c->fingerprint);
	if (c->cert == NULL)
		return j;
	put_text(j, "key_id", c->cert->key_id);
	json_put_u64(j, "serial", c->cert->serial);
	put_text(j, "ca", c->ca_fingerprint);
	list = json_list();
	for (size_t i = 0; i < c->cert->n_principals && i < PRINCIPALS_SHOWN; i++)
		json_put_bytes(
		    list, NULL, c->cert->principals[i], strlen(c->cert->principals[i]), 64);
	json_put(j, "principals", list);
	return j;
}

static struct json *
pam_json(const struct auth_pam *p)
{
	static const char *const results[] = { [POL_PAM_OK] = "ok",
		[POL_PAM_DENIED] = "denied",
		[POL_PAM_ACCOUNT] = "account",
		[POL_PAM_BROKEN] = "broken",
		[POL_PAM_ABANDONED] = "abandoned" };
	struct json *j = json_map();

	json_put_str(j, "result", results[p->result]);
	put_text(j, "stage", p->stage);
	put_text(j, "said", p->said);
	put_text(j, "user", p->user);
	put_text(j, "ended", p->ended);
	return j;
}

static void
put_groups(struct json *j, const struct pass *pass)
{
	struct json *list;

	if (pass->n_groups == 0)
		return;
	list = json_list();
	for (size_t i = 0; i < pass->n_groups && i < GROUPS_SHOWN; i++)
		json_put_bytes(list, NULL, pass->groups[i], strlen(pass->groups[i]), GROUP_SHOWN);
	json_put(j, "groups", list);
}

/* What has succeeded on the connection until now. */
static void
put_pass(struct json *j, const struct pass *pass)
{
	char methods[PASS_METHODS_SIZE];

	put_text(j, "methods", pass_methods(pass, methods));
	put_text(j, "subject", pass->subject);
	put_groups(j, pass);
}

/* Of the request; else the first that was shown before it. */
static const struct credential *
credential_of(const struct auth_result *r)
{
	const struct credential *before = proof_credential(&r->proof, 0);

	if (r->credential.alg != NULL || (before == NULL && r->request.is_publickey))
		return &r->credential;
	return before;
}

static void
put_access(struct json *j, const struct access *a)
{
	if (a->user != NULL)
		json_put_str(j, "identity", a->user->name);
	put_text(j, "login", a->login);
	put_text(j, "host", a->host_name);
	if (a->port != 0)
		json_put_u64(j, "port", a->port);
	if (a->rule != NULL)
		put_text(j, "rule", a->rule->name);
}

int
audit_auth(const struct audit_conn *where, const struct auth *a, const struct auth_result *r,
    uint64_t now_ns, uint32_t leg, char **ret_text, size_t *ret_len)
{
	struct json *j = begin(r->event, now_ns);

	put_conn(j, where, a);
	put_text(j, "reason", r->reason);
	put_text(j, "detail", r->detail);
	put_text(j, "hint", r->hint);
	put_access(j, &r->access);
	if (r->has_request) {
		put_text(j, "method", r->request.method);
		if (r->request.is_publickey)
			json_put_bool(j, "signed", r->request.has_sig);
		if (credential_of(r) != NULL)
			json_put(j, "credential", credential_json(credential_of(r)));
	}
	if (r->pam != NULL)
		json_put(j, "pam", pam_json(r->pam));
	put_pass(j, &a->pass);
	if (leg != 0)
		json_put_u64(j, "leg", leg);
	return finish(j, ret_text, ret_len);
}

int
audit_shell(const struct audit_conn *where, const struct auth *a, const struct audit_shell *what,
    uint64_t now_ns, char **ret_text, size_t *ret_len)
{
	const struct credential *c = proof_credential(what->proof, 0);
	struct json *j = begin(what->event, now_ns);

	put_conn(j, where, a);
	put_text(j, "reason", what->reason);
	put_text(j, "detail", what->proof->detail);
	put_access(j, what->access);
	put_text(j, "method", what->method);
	if (c != NULL)
		json_put(j, "credential", credential_json(c));
	if (what->pam != NULL)
		json_put(j, "pam", pam_json(what->pam));
	put_pass(j, what->pass);
	if (what->leg != 0)
		json_put_u64(j, "leg", what->leg);
	return finish(j, ret_text, ret_len);
}

int
audit_conn(const struct audit_conn *where, const struct auth *a, const char *event,
    const char *reason, const char *detail, uint64_t now_ns, char **ret_text, size_t *ret_len)
{
	struct json *j = begin(event, now_ns);

	put_conn(j, where, a);
	put_text(j, "reason", reason);
	put_text(j, "detail", detail);
	return finish(j, ret_text, ret_len);
}

int
audit_jump(const struct audit_conn *where, const char *identity, const void *host, size_t len,
    uint32_t port, const char *reason, uint64_t now_ns, char **ret_text, size_t *ret_len)
{
	struct json *j = begin("jump.denied", now_ns);

	put_conn(j, where, NULL);
	put_text(j, "identity", identity);
	json_put_bytes(j, "host", host, len, TEXT_MAX);
	json_put_u64(j, "port", port);
	put_text(j, "reason", reason);
	return finish(j, ret_text, ret_len);
}

static void
put_leg(struct json *j, const struct leg *leg)
{
	char methods[PASS_METHODS_SIZE];

	json_put_u64(j, "conn", leg->conn);
	json_put_u64(j, "leg", leg->id);
	json_put_str(j, "ref", leg->ref);
	json_put_str(j, "source", leg->source_text);
	json_put_str(j, "identity", leg->identity);
	json_put_str(j, "login", leg->login);
	json_put_str(j, "host", leg->host);
	put_text(j, "methods", pass_methods(&leg->pass, methods));
	put_text(j, "subject", leg->pass.subject);
}

int
audit_ask(const struct leg *leg, const struct ask *ask, uint32_t channel,
    const struct ask_verdict *v, char **ret_text, size_t *ret_len)
{
	struct json *j =
	    begin(v->verdict == POL_REPLACE ? "channel.replaced" : "channel.denied", ask->now_ns);

	put_leg(j, leg);
	json_put_u64(j, "channel", channel);
	json_put_str(j, "from", ask->from_back ? "target" : "client");
	put_text(j, "what", v->name);
	put_text(j, "reason", v->text);
	if (v->rule != NULL)
		put_text(j, "rule", v->rule->name);
	json_put_bytes(j, "asked", ask->data, ask->len, COMMAND_SHOWN);
	return finish(j, ret_text, ret_len);
}

int
audit_leg(const struct leg *leg, const char *event, const char *key, const char *text,
    uint64_t now_ns, char **ret_text, size_t *ret_len)
{
	return audit_leg_pair(leg, event, key, text, NULL, NULL, now_ns, ret_text, ret_len);
}

int
audit_leg_pair(const struct leg *leg, const char *event, const char *key1, const char *text1,
    const char *key2, const char *text2, uint64_t now_ns, char **ret_text, size_t *ret_len)
{
	struct json *j = begin(event, now_ns);

	put_leg(j, leg);
	if (key1 != NULL)
		put_text(j, key1, text1);
	if (key2 != NULL)
		put_text(j, key2, text2);
	return finish(j, ret_text, ret_len);
}

int
audit_plain(const char *event, const char *key1, const char *text1, const char *key2,
    const char *text2, uint64_t now_ns, char **ret_text, size_t *ret_len)
{
	struct json *j = begin(event, now_ns);

	if (key1 != NULL)
		put_text(j, key1, text1);
	if (key2 != NULL)
		put_text(j, key2, text2);
	return finish(j, ret_text, ret_len);
}
