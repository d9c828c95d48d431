/* The state machine of a login. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/str.h"
#include "policy/auth_int.h"

static const char event_denied[] = "auth.denied";
static const char event_allowed[] = "auth.allowed";
static const char event_partial[] = "auth.partial";

int
auth_end(struct auth *a, struct auth_result *r, const char *reason, const char *line)
{
	r->answer = POL_AUTH_CLOSE;
	r->reason = reason;
	r->event = event_denied;
	(void)snprintf(r->line, sizeof(r->line), "%s", line);
	a->over = true;
	return 0;
}

/* Who has tried too much learns where an administrator finds why. */
static int
end_with_ref(struct auth *a, const struct auth_scene *scene, struct auth_result *r,
    const char *reason, const char *what)
{
	char line[AUTH_TEXT_SIZE];

	r->charge = POL_FAILURE_TRIES;
	(void)snprintf(line, sizeof(line), "%s%s%s", what, scene->ref != NULL ? "; reference " : "",
	    scene->ref != NULL ? scene->ref : "");
	return auth_end(a, r, reason, line);
}

/* Once on a connection; the same words whatever the reason is. */
static void
tell(struct auth *a, const struct auth_scene *scene, struct auth_result *r)
{
	if (a->told || scene->ref == NULL)
		return;
	a->told = true;
	(void)snprintf(
	    r->text, sizeof(r->text), "bastiond: access denied; reference %s", scene->ref);
}

int
auth_fail(struct auth *a, const struct auth_scene *scene, struct auth_result *r, const char *reason)
{
	unsigned tries = scene->set != NULL ? scene->set->tries : AUTH_TRIES_UNSET;

	a->n_failures++;
	a->offered = false;
	r->delay = true;
	r->charge = POL_FAILURE_AUTH;
	if (a->n_failures >= tries)
		return end_with_ref(a, scene, r, reason, "Too many authentication failures");
	r->answer = POL_AUTH_FAILURE;
	r->reason = reason;
	r->event = event_denied;
	if (r->request.has_sig || r->pam != NULL)
		tell(a, scene, r);
	auth_list(a, scene->set, r->methods, sizeof(r->methods));
	return 0;
}

static void
pin_hash(const struct request *q, uint8_t ret_pin[HASH_LEN])
{
	hash_sha256_parts(q->user, q->user_len, "", 1, q->service, strlen(q->service), ret_pin);
}

/* A connection is one person's: the first request says whose. false: another one now. */
static bool
pin(struct auth *a, const struct request *q)
{
	uint8_t now[HASH_LEN];

	pin_hash(q, now);
	if (a->pinned)
		return memcmp(a->pin, now, sizeof(now)) == 0;
	memcpy(a->pin, now, sizeof(now));
	a->pinned = true;
	str_escape(a->claim, sizeof(a->claim), q->user, q->user_len);
	return true;
}

/* The name of a jump is a login on its host, nothing else. */
static int
decide_jump(const struct auth *a, const struct auth_scene *scene, struct auth_result *r)
{
	const struct access_person who = proof_person(&r->proof, scene);
	char login[NAMES_FIELD_SIZE];

	if (names_parse_login(r->request.user, r->request.user_len, login, r->hint) != 0) {
		/* NAMES_HINT_SIZE is less than the line. */
		r->access = (struct access){
			.outcome = ACCESS_SAY, .reason = "bad-name", .user = who.users[0]
		};
		(void)snprintf(r->access.line, sizeof(r->access.line), "%s", r->hint);
		return 0;
	}
	access_target(
	    scene->set->model, who.users[0], login, a->jump->host, a->jump->port, &who, &r->access);
	return r->access.outcome == ACCESS_DENIED ? ERR_DENIED : 0;
}

int
auth_decide(const struct auth *a, const struct auth_scene *scene, struct auth_result *r)
{
	const struct access_person who = proof_person(&r->proof, scene);

	if (a->jump != NULL)
		return decide_jump(a, scene, r);
	access_decide(scene->set->model, r->request.user, r->request.user_len, &who, &r->access);
	return r->access.outcome == ACCESS_DENIED ? ERR_DENIED : 0;
}

static int
partial(struct auth *a, const struct auth_scene *scene, struct auth_result *r)
{
	r->answer = POL_AUTH_FAILURE;
	r->partial = true;
	r->event = event_partial;
	r->reason = a->mfa_wanted ? r->access.reason : NULL;
	auth_list(a, scene->set, r->methods, sizeof(r->methods));
	return 0;
}

int
auth_settle(struct auth *a, const struct auth_scene *scene, struct auth_result *r)
{
	const struct model_user *user = r->access.user != NULL ? r->access.user : r->proof.users[0];

	a->offered = false;
	if (a->pass.identity[0] == '\0' &&
	    str_copy(a->pass.identity, sizeof(a->pass.identity), user->name) != 0)
		return ERR_LIMIT;
	if (!auth_complete(a, scene->set))
		return partial(a, scene, r);
	if (r->access.outcome == ACCESS_MFA) {
		a->mfa_wanted = true;
		return partial(a, scene, r);
	}
	/* Who is proved may learn what is wrong with the name; everything else is over. */
	if (r->access.outcome == ACCESS_SAY)
		return auth_end(a, r, r->access.reason, r->access.line);
	r->answer = POL_AUTH_SUCCESS;
	r->event = event_allowed;
	a->over = true;
	return 0;
}

/* keyboard-interactive where it lets nobody in: the reference, and from now on it is not listed. */
static int
explain(struct auth *a, const struct auth_scene *scene, struct auth_result *r)
{
	a->explained = true;
	r->answer = POL_AUTH_FAILURE;
	r->delay = true;
	tell(a, scene, r);
	auth_list(a, scene->set, r->methods, sizeof(r->methods));
	return 0;
}

static int
other_method(struct auth *a, const struct auth_scene *scene, struct auth_result *r)
{
	bool keyboard = strcmp(r->request.method, set_method_name(SET_KEYBOARD_INTERACTIVE)) == 0;

	if (keyboard && auth_continues(a, scene->set, SET_KEYBOARD_INTERACTIVE))
		return auth_keyboard(a, scene, r);
	if (keyboard && auth_only_explains(a, scene->set))
		return explain(a, scene, r);
	return auth_fail(a, scene, r, "method-not-allowed");
}

static int
step(struct auth *a, const struct auth_scene *scene, const uint8_t *msg, struct auth_result *r)
{
	const struct request *q = &r->request;
	bool first = !a->pinned;

	if (++a->n_requests > AUTH_REQUESTS_MAX)
		return end_with_ref(
		    a, scene, r, "too-many-requests", "Too many authentication requests");
	if (!pin(a, q)) {
		r->charge = POL_FAILURE_AUTH;
		return auth_end(a, r, "user-changed", "Change of username or service not allowed");
	}
	/* How clients ask for the methods; only the first one is free. */
	if (strcmp(q->method, "none") == 0 && first && a->jump == NULL) {
		r->answer = POL_AUTH_FAILURE;
		auth_list(a, scene->set, r->methods, sizeof(r->methods));
		return 0;
	}
	if (strcmp(q->service, "ssh-connection") != 0)
		return auth_fail(a, scene, r, "unknown-service");
	if (scene->set == NULL)
		return auth_fail(a, scene, r, "no-policy");
	if (a->jump != NULL && !a->mfa_wanted)
		return auth_jump(a, scene, msg, r);
	if (!q->is_publickey)
		return other_method(a, scene, r);
	if (!auth_continues(a, scene->set, SET_PUBLICKEY))
		return auth_fail(a, scene, r, "method-not-allowed");
	return auth_publickey(a, scene, msg, r);
}

/* What the audit event says beside the answer. */
static void
annotate(const struct auth *a, struct auth_result *r)
{
	struct names n;

	if (r->credential.reason != NULL)
		r->detail = r->credential.detail;
	else if (r->proof.reason != NULL)
		r->detail = r->proof.detail;
	if (a->jump != NULL)
		return; /* the hint is for another form of names */
	if (r->event != NULL && names_parse(r->request.user, r->request.user_len, &n, r->hint) == 0)
		r->hint[0] = '\0';
}

int
auth_step(struct auth *a, const struct auth_scene *scene, const uint8_t *msg, size_t len,
    struct auth_result *r)
{
	int e;

	*r = (struct auth_result){ .answer = POL_AUTH_CLOSE };
	if (a->over || a->asking)
		return ERR_ORDER;
	e = request_parse(msg, len, &r->request);
	if (e == -ENOMEM)
		return e;
	if (e != 0) {
		r->charge = POL_FAILURE_AUTH;
		return auth_end(a, r, "malformed-request", "Malformed authentication request");
	}
	if (r->request.has_sig && scene->session_id == NULL)
		return -EAGAIN;
	r->has_request = true;
	if ((e = step(a, scene, msg, r)) != 0)
		return e;
	annotate(a, r);
	return 0;
}

int
auth_pam(struct auth *a, const struct auth_scene *scene, const struct auth_pam *pam,
    struct auth_result *r)
{
	int e;

	*r = (struct auth_result){ .answer = POL_AUTH_CLOSE, .has_request = true, .pam = pam };
	if (a->over || !a->asking)
		return ERR_ORDER;
	a->asking = false;
	r->request.user = (const uint8_t *)a->name;
	r->request.user_len = strlen(a->name);
	(void)snprintf(r->request.method, sizeof(r->request.method), "%s",
	    set_method_name(SET_KEYBOARD_INTERACTIVE));
	if (scene->set == NULL)
		e = auth_fail(a, scene, r, "no-policy");
	else
		e = auth_keyboard_end(a, scene, r);
	if (e == 0)
		annotate(a, r);
	return e;
}

void
auth_result_done(struct auth_result *r)
{
	proof_done(&r->proof);
	credential_done(&r->credential);
	pass_done(&r->next);
}

void
auth_done(struct auth *a)
{
	pass_done(&a->pass);
}
