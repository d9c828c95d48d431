/* The state machine of a login. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/str.h"
#include "policy/auth.h"

#define SIGNED_MAX (REQUEST_MAX + 256u) /* bytes that a login signature covers */

static const char event_denied[] = "auth.denied";
static const char event_allowed[] = "auth.allowed";
static const char event_partial[] = "auth.partial";

static int
end_with(struct auth *a, struct auth_result *r, const char *reason, const char *line)
{
	r->answer = POL_AUTH_CLOSE;
	r->reason = reason;
	r->event = event_denied;
	(void)snprintf(r->line, sizeof(r->line), "%s", line);
	a->over = true;
	return 0;
}

static const char *
method_name(enum set_method method)
{
	return method == SET_PUBLICKEY ? "publickey" : "keyboard-interactive";
}

/* Whether the chain begins with what has succeeded so far. */
static bool
chain_open(const struct auth *a, const struct set_chain *c)
{
	if (c->n <= a->n_done)
		return false;
	for (size_t i = 0; i < a->n_done; i++)
		if (c->methods[i] != a->done[i])
			return false;
	return true;
}

static bool
method_continues(const struct auth *a, const struct set *s, enum set_method method)
{
	for (size_t i = 0; i < s->n_chains; i++)
		if (chain_open(a, &s->chains[i]) && s->chains[i].methods[a->n_done] == method)
			return true;
	return false;
}

/* The same list for everybody: it tells of the configuration, never of the person. */
static void
list_methods(const struct auth *a, const struct set *s, char *dst, size_t size)
{
	size_t at = 0;

	dst[0] = '\0';
	if (a->jump != NULL) {
		(void)snprintf(dst, size, "%s", method_name(SET_PUBLICKEY));
		return;
	}
	for (int m = SET_PUBLICKEY; m <= SET_KEYBOARD_INTERACTIVE; m++) {
		bool there =
		    s == NULL ? m == SET_PUBLICKEY : method_continues(a, s, (enum set_method)m);
		int n = !there ? 0
			       : snprintf(dst + at, size - at, "%s%s", at > 0 ? "," : "",
				     method_name((enum set_method)m));

		at += n > 0 ? (size_t)n : 0;
	}
}

static int
fail(struct auth *a, const struct set *s, struct auth_result *r, const char *reason)
{
	unsigned tries = s != NULL ? s->tries : AUTH_TRIES_UNSET;

	a->n_failures++;
	a->offered = false;
	r->delay = true;
	r->charge = POL_FAILURE_AUTH;
	if (a->n_failures >= tries) {
		r->charge = POL_FAILURE_TRIES;
		return end_with(a, r, reason, "Too many authentication failures");
	}
	r->answer = POL_AUTH_FAILURE;
	r->reason = reason;
	r->event = event_denied;
	list_methods(a, s, r->methods, sizeof(r->methods));
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

static void
key_hash(const struct credential *c, uint8_t ret_hash[HASH_LEN])
{
	hash_sha256(c->fingerprint, strlen(c->fingerprint), ret_hash);
}

/* A second factor that is the first one again is none. */
static bool
key_was_used(const struct auth *a, const struct credential *c)
{
	uint8_t now[HASH_LEN];

	key_hash(c, now);
	for (size_t i = 0; i < a->n_done; i++)
		if (memcmp(a->done_keys[i], now, sizeof(now)) == 0)
			return true;
	return false;
}

struct access_person
auth_person(const struct auth_scene *scene, const struct credential *c)
{
	struct access_person who = {
		.users = c->users,
		.n_users = c->n_users,
		.source = scene->source,
		.now_ns = scene->now_ns,
	};

	if (c->cert != NULL) {
		who.principals = (const char *const *)c->cert->principals;
		who.n_principals = c->cert->n_principals;
	}
	return who;
}

static void
decide(const struct auth_scene *scene, struct auth_result *r)
{
	const struct access_person who = auth_person(scene, &r->credential);

	access_decide(scene->set->model, r->request.user, r->request.user_len, &who, &r->access);
}

/* The signature covers the session id and the request up to itself (RFC 4252 section 7). */
static int
verify(const struct auth_scene *scene, const uint8_t *msg, struct auth_result *r)
{
	struct buf *b = buf_new(SIGNED_MAX);
	int e = -ENOMEM;

	if (b == NULL)
		return e;
	if ((e = buf_put_str(b, scene->session_id, scene->session_id_len)) == 0 &&
	    (e = buf_put(b, msg, r->request.signed_len)) == 0)
		e = credential_verify(
		    &r->credential, r->request.sig, r->request.sig_len, buf_ptr(b), buf_len(b));
	buf_free(b);
	return e;
}

/* Who is proved may learn what is wrong with the name; everything else is over. */
static int
finish(struct auth *a, struct auth_result *r)
{
	if (r->access.outcome == ACCESS_SAY)
		return end_with(a, r, r->access.reason, r->access.line);
	r->answer = POL_AUTH_SUCCESS;
	r->event = event_allowed;
	a->over = true;
	return 0;
}

static int
succeed(struct auth *a, const struct set *s, struct auth_result *r)
{
	const struct model_user *user =
	    r->access.user != NULL ? r->access.user : r->credential.users[0];

	a->offered = false;
	a->done[a->n_done] = SET_PUBLICKEY;
	key_hash(&r->credential, a->done_keys[a->n_done]);
	a->n_done++;
	if (str_copy(a->identity, sizeof(a->identity), user->name) != 0)
		return ERR_LIMIT;
	for (size_t i = 0; i < s->n_chains; i++) {
		const struct set_chain *c = &s->chains[i];

		if (c->n == a->n_done &&
		    memcmp(c->methods, a->done, c->n * sizeof(c->methods[0])) == 0)
			return finish(a, r);
	}
	r->answer = POL_AUTH_FAILURE;
	r->partial = true;
	r->event = event_partial;
	list_methods(a, s, r->methods, sizeof(r->methods));
	return 0;
}

/* A later factor must not be another person's. */
static bool
other_person(const struct auth *a, const struct auth_result *r)
{
	if (a->identity[0] == '\0')
		return false;
	if (r->access.user != NULL)
		return strcmp(r->access.user->name, a->identity) != 0;
	for (size_t i = 0; i < r->credential.n_users; i++)
		if (strcmp(r->credential.users[i]->name, a->identity) == 0)
			return false;
	return true;
}

static int
publickey(struct auth *a, const struct auth_scene *scene, const uint8_t *msg, struct auth_result *r)
{
	const struct set *s = scene->set;
	const struct credential_scene cs = { scene->source, scene->now_ns / CLOCK_NS_PER_S,
		scene->newest_s };
	struct credential *c = &r->credential;
	int e;

	e = credential_read(c, s, &cs, r->request.alg, r->request.blob, r->request.blob_len);
	if (e == ERR_DENIED)
		return fail(a, s, r, c->reason);
	if (e != 0)
		return e;
	if (key_was_used(a, c))
		return fail(a, s, r, "key-used-twice");
	decide(scene, r);
	if (r->access.outcome == ACCESS_DENIED)
		return fail(a, s, r, r->access.reason);
	if (other_person(a, r))
		return fail(a, s, r, "another-identity");
	if (!r->request.has_sig) {
		/* It would do. Nothing is proved by saying so. */
		a->offered = true;
		memcpy(a->offered_fingerprint, c->fingerprint, sizeof(c->fingerprint));
		r->answer = POL_AUTH_PK_OK;
		return 0;
	}
	e = verify(scene, msg, r);
	if (e == ERR_DENIED)
		return fail(a, s, r, c->reason);
	return e != 0 ? e : succeed(a, s, r);
}

int
auth_read_pass(const struct auth_scene *scene, const struct jump_pass *pass, struct credential *c,
    const struct model_user **ret_user)
{
	const struct credential_scene cs = { scene->source, scene->now_ns / CLOCK_NS_PER_S,
		scene->newest_s };
	int e;

	*c = (struct credential){ 0 };
	if (pass->identity[0] == '\0') {
		c->reason = "not-logged-in";
		return ERR_DENIED;
	}
	if ((e = credential_read(c, scene->set, &cs, pass->alg, pass->blob, pass->len)) != 0)
		return e;
	for (size_t i = 0; i < c->n_users; i++)
		if (strcmp(c->users[i]->name, pass->identity) == 0) {
			*ret_user = c->users[i];
			return 0;
		}
	c->reason = "unproved-identity";
	return ERR_DENIED;
}

/* The outer login's right to this login here, as it stands now. r->access says what came out. 0; ERR_DENIED; -ENOMEM. */
static int
jump_decide(const struct auth *a, const struct auth_scene *scene, struct auth_result *r)
{
	const struct model_user *user = NULL;
	struct access_person who;
	char login[NAMES_FIELD_SIZE];
	int e = auth_read_pass(scene, a->jump, &r->credential, &user);

	if (e != 0) {
		r->access.reason = r->credential.reason;
		return e;
	}
	if (names_parse_login(r->request.user, r->request.user_len, login, r->hint) != 0) {
		/* NAMES_HINT_SIZE is less than the line. */
		r->access =
		    (struct access){ .outcome = ACCESS_SAY, .reason = "bad-name", .user = user };
		(void)snprintf(r->access.line, sizeof(r->access.line), "%s", r->hint);
		return 0;
	}
	who = auth_person(scene, &r->credential);
	access_target(
	    scene->set->model, user, login, a->jump->host, a->jump->port, &who, &r->access);
	return r->access.outcome == ACCESS_DENIED ? ERR_DENIED : 0;
}

/* A key that is shown inside must be the same person's. 0; ERR_DENIED with c->reason set; -ENOMEM. */
static int
jump_check_key(
    const struct auth *a, const struct auth_scene *scene, const uint8_t *msg, struct auth_result *r)
{
	const struct credential_scene cs = { scene->source, scene->now_ns / CLOCK_NS_PER_S,
		scene->newest_s };
	struct credential *c = &r->credential;
	int e = credential_read(
	    c, scene->set, &cs, r->request.alg, r->request.blob, r->request.blob_len);

	if (e != 0)
		return e;
	for (size_t i = 0; i < c->n_users; i++)
		if (strcmp(c->users[i]->name, a->jump->identity) == 0)
			return r->request.has_sig ? verify(scene, msg, r) : 0;
	c->reason = "another-identity";
	return ERR_DENIED;
}

/*
 * A login within a connection that is logged in. Whatever is shown here, what counts is the credential of the outer one: its
 * restrictions hold, and it is what the record names.
 */
static int
jump_step(struct auth *a, const struct auth_scene *scene, const uint8_t *msg, struct auth_result *r)
{
	const struct set *s = scene->set;
	int e;

	if (r->request.is_publickey) {
		e = jump_check_key(a, scene, msg, r);
		if (e == ERR_DENIED)
			return fail(a, s, r, r->credential.reason);
		if (e != 0)
			return e;
		credential_done(&r->credential);
	} else if (strcmp(r->request.method, "none") != 0) {
		return fail(a, s, r, "method-not-allowed");
	}
	e = jump_decide(a, scene, r);
	if (e == ERR_DENIED)
		return fail(a, s, r, r->access.reason);
	if (e != 0)
		return e;
	if (r->request.is_publickey && !r->request.has_sig) {
		r->answer = POL_AUTH_PK_OK;
		return 0;
	}
	if (str_copy(a->identity, sizeof(a->identity), a->jump->identity) != 0)
		return ERR_LIMIT;
	return finish(a, r);
}

static int
step(struct auth *a, const struct auth_scene *scene, const uint8_t *msg, struct auth_result *r)
{
	const struct request *q = &r->request;
	bool first = !a->pinned;

	if (++a->n_requests > AUTH_REQUESTS_MAX) {
		r->charge = POL_FAILURE_TRIES;
		return end_with(a, r, "too-many-requests", "Too many authentication requests");
	}
	if (!pin(a, q)) {
		r->charge = POL_FAILURE_AUTH;
		return end_with(a, r, "user-changed", "Change of username or service not allowed");
	}
	/* How clients ask for the methods; only the first one is free. */
	if (strcmp(q->method, "none") == 0 && first && a->jump == NULL) {
		r->answer = POL_AUTH_FAILURE;
		list_methods(a, scene->set, r->methods, sizeof(r->methods));
		return 0;
	}
	if (strcmp(q->service, "ssh-connection") != 0)
		return fail(a, scene->set, r, "unknown-service");
	if (scene->set == NULL)
		return fail(a, NULL, r, "no-policy");
	if (a->jump != NULL)
		return jump_step(a, scene, msg, r);
	if (!q->is_publickey || !method_continues(a, scene->set, SET_PUBLICKEY))
		return fail(a, scene->set, r, "method-not-allowed");
	return publickey(a, scene, msg, r);
}

int
auth_step(struct auth *a, const struct auth_scene *scene, const uint8_t *msg, size_t len,
    struct auth_result *r)
{
	struct names n;
	int e;

	*r = (struct auth_result){ .answer = POL_AUTH_CLOSE };
	if (a->over)
		return ERR_ORDER;
	e = request_parse(msg, len, &r->request);
	if (e == -ENOMEM)
		return e;
	if (e != 0) {
		r->charge = POL_FAILURE_AUTH;
		return end_with(a, r, "malformed-request", "Malformed authentication request");
	}
	if (r->request.has_sig && scene->session_id == NULL)
		return -EAGAIN;
	r->has_request = true;
	if ((e = step(a, scene, msg, r)) != 0)
		return e;
	if (r->credential.reason != NULL)
		r->detail = r->credential.detail;
	if (a->jump != NULL)
		return 0; /* the hint is for another form of names */
	if (r->event != NULL && names_parse(r->request.user, r->request.user_len, &n, r->hint) == 0)
		r->hint[0] = '\0';
	return 0;
}

void
auth_result_done(struct auth_result *r)
{
	credential_done(&r->credential);
}
