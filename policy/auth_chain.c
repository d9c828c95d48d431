/* Chains: which methods must succeed after which. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "policy/auth_int.h"

/* Whether the chain begins with what has succeeded so far; and nothing else has. */
static bool
begins_with(const struct set_chain *c, const struct pass *pass)
{
	if (c->n < pass->n_factors)
		return false;
	for (size_t i = 0; i < pass->n_factors; i++)
		if (c->methods[i] != pass->factors[i].method)
			return false;
	return true;
}

bool
auth_complete(const struct auth *a, const struct set *s)
{
	/* A jump begins with a login that was complete. */
	if (a->jump != NULL || a->mfa_wanted)
		return true;
	for (size_t i = 0; i < s->n_chains; i++)
		if (s->chains[i].n == a->pass.n_factors && begins_with(&s->chains[i], &a->pass))
			return true;
	return false;
}

bool
auth_continues(const struct auth *a, const struct set *s, enum set_method method)
{
	const size_t n = a->pass.n_factors;

	if (method == SET_KEYBOARD_INTERACTIVE && a->n_pam >= AUTH_PAM_MAX)
		return false;
	if (a->mfa_wanted)
		return !pass_has(&a->pass, method);
	if (a->jump != NULL)
		return method == SET_PUBLICKEY;
	for (size_t i = 0; i < s->n_chains; i++)
		if (s->chains[i].n > n && begins_with(&s->chains[i], &a->pass) &&
		    s->chains[i].methods[n] == method)
			return true;
	return false;
}

bool
auth_only_explains(const struct auth *a, const struct set *s)
{
	return s->explain && !a->explained && a->jump == NULL && a->pass.n_factors == 0 &&
	       !auth_continues(a, s, SET_KEYBOARD_INTERACTIVE);
}

static bool
listed(const struct auth *a, const struct set *s, enum set_method method)
{
	if (s == NULL)
		return method == SET_PUBLICKEY;
	return auth_continues(a, s, method) ||
	       (method == SET_KEYBOARD_INTERACTIVE && auth_only_explains(a, s));
}

void
auth_list(const struct auth *a, const struct set *s, char *dst, size_t size)
{
	static const enum set_method all[] = { SET_PUBLICKEY, SET_KEYBOARD_INTERACTIVE };
	size_t at = 0;

	dst[0] = '\0';
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		int n = !listed(a, s, all[i]) ? 0
					      : snprintf(dst + at, size - at, "%s%s",
						    at > 0 ? "," : "", set_method_name(all[i]));

		at += n > 0 ? (size_t)n : 0;
	}
}
