/* keyboard-interactive: PAM is asked by another program, which tells how it came out; what that is worth is decided here. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/str.h"
#include "policy/auth_int.h"

static const struct {
	enum pol_pam result;
	const char *reason;
} reasons[] = {
	{ POL_PAM_DENIED, "pam-denied" },
	{ POL_PAM_ACCOUNT, "pam-account" },
	{ POL_PAM_BROKEN, "pam-broken" },
	{ POL_PAM_ABANDONED, "pam-abandoned" },
};

/* Whoever was proved already, else the name in front. Nobody is looked up: for PAM there are no unknown names here. */
int
auth_keyboard(struct auth *a, const struct auth_scene *scene, struct auth_result *r)
{
	const struct request *q = &r->request;
	struct names n = { .form = NAMES_NO_HOST };

	/* A name that was good once on this connection has not changed. */
	if (a->jump == NULL && names_parse(q->user, q->user_len, &n, r->hint) != 0)
		return auth_fail(a, scene, r, "bad-name");
	if (q->user_len >= sizeof(a->name))
		return auth_fail(a, scene, r, "bad-name");
	if (str_copy(a->asked, sizeof(a->asked),
		a->pass.identity[0] != '\0' ? a->pass.identity : n.first) != 0)
		return ERR_LIMIT;
	memcpy(a->name, q->user, q->user_len);
	a->name[q->user_len] = '\0';
	a->offered = false;
	a->asking = true;
	a->n_pam++;
	r->ask = true;
	return 0;
}

const char *
auth_target(const struct auth *a, char *dst)
{
	char hint[NAMES_HINT_SIZE];
	const char *login = "";
	struct names n;

	dst[0] = '\0';
	if (a->jump != NULL) {
		(void)snprintf(dst, 2 * NAMES_FIELD_SIZE, "%s@%s", a->name, a->jump->host);
		return dst;
	}
	if (names_parse(a->name, strlen(a->name), &n, hint) != 0 || n.form == NAMES_NO_HOST)
		return dst;
	if (n.form == NAMES_FULL)
		login = n.login;
	else if (strcmp(n.first, a->asked) != 0)
		login = n.first;
	(void)snprintf(
	    dst, 2 * NAMES_FIELD_SIZE, "%s%s%s", login, login[0] != '\0' ? "@" : "", n.host);
	return dst;
}

/* Who PAM says it was. An identity that was proved before does not change; else only where it is PAM's to say. */
static const char *
check_user(const struct set *s, const struct pass *pass, const char *asked, const char *user)
{
	bool same = strcmp(user, asked) == 0;

	if (!same && (pass->identity[0] != '\0' || !s->identity_from_pam))
		return "pam-user-changed";
	/* Directories may not mind; but what the policy says of alice, it says nowhere of ALICE. */
	if (s->identity_from_pam && model_user_in_other_case(s->model, user))
		return "pam-name-case";
	if (same)
		return NULL;
	return names_is_user(user) && strlen(user) < NAMES_FIELD_SIZE ? NULL : "pam-bad-name";
}

int
auth_pam_take(const struct set *s, struct pass *pass, const char *asked, const struct auth_pam *pam,
    const char **ret_reason)
{
	int e;

	*ret_reason = "pam-broken";
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].result == pam->result)
			*ret_reason = reasons[i].reason;
	if (pam->result != POL_PAM_OK)
		return ERR_DENIED;
	if ((*ret_reason = check_user(s, pass, asked, pam->user)) != NULL)
		return ERR_DENIED;
	e = pass_add_pam(pass, pam->groups, pam->n_groups, pam->subject);
	if (e == 0 && pass->identity[0] == '\0')
		e = str_copy(pass->identity, sizeof(pass->identity), pam->user);
	if (e != ERR_LIMIT)
		return e;
	*ret_reason = "pam-too-much";
	return ERR_DENIED;
}

/* Of a copy: what is denied in the end has proved nothing. */
static int
judge(const struct auth *a, const struct auth_scene *scene, struct auth_result *r,
    const char **ret_reason)
{
	int e = auth_pam_take(scene->set, &r->next, a->asked, r->pam, ret_reason);

	if (e != 0)
		return e;
	e = proof_read(&r->proof, scene, &r->next, NULL);
	*ret_reason = r->proof.reason;
	if (e != 0)
		return e;
	e = auth_decide(a, scene, r);
	*ret_reason = r->access.reason;
	return e;
}

int
auth_keyboard_end(struct auth *a, const struct auth_scene *scene, struct auth_result *r)
{
	const char *reason = NULL;
	int e = pass_copy(&r->next, &a->pass);

	if (e != 0)
		return e;
	e = judge(a, scene, r, &reason);
	if (e != 0)
		return e == ERR_DENIED ? auth_fail(a, scene, r, reason) : e;
	pass_done(&a->pass);
	a->pass = r->next;
	/* The rest of it stays, because r->proof leads there. */
	r->next.n_factors = 0;
	r->next.groups = NULL;
	r->next.n_groups = 0;
	return auth_settle(a, scene, r);
}
