/* Factors, collected. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"
#include "policy/pass.h"

static void
groups_free(char **groups, size_t n)
{
	for (size_t i = 0; groups != NULL && i < n; i++)
		free(groups[i]);
	free(groups);
}

static int
groups_copy(const char *const *from, size_t n, char ***ret_groups)
{
	char **v = calloc(n > 0 ? n : 1, sizeof(*v));

	if (v == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if ((v[i] = strdup(from[i])) == NULL) {
			groups_free(v, i);
			return -ENOMEM;
		}
	*ret_groups = v;
	return 0;
}

int
pass_add_key(
    struct pass *pass, const char *alg, const char *fingerprint, const uint8_t *blob, size_t len)
{
	struct pass_factor f = { .method = SET_PUBLICKEY, .len = len };

	if (pass->n_factors == PASS_FACTORS_MAX || str_copy(f.alg, sizeof(f.alg), alg) != 0 ||
	    str_copy(f.fingerprint, sizeof(f.fingerprint), fingerprint) != 0)
		return ERR_LIMIT;
	if ((f.blob = malloc(len > 0 ? len : 1)) == NULL)
		return -ENOMEM;
	memcpy(f.blob, blob, len);
	pass->factors[pass->n_factors++] = f;
	return 0;
}

int
pass_add_pam(struct pass *pass, const char *const *groups, size_t n_groups, const char *subject)
{
	char **v = NULL;

	if (pass->n_factors == PASS_FACTORS_MAX || strlen(subject) >= sizeof(pass->subject))
		return ERR_LIMIT;
	if (groups_copy(groups, n_groups, &v) != 0)
		return -ENOMEM;
	groups_free(pass->groups, pass->n_groups);
	pass->groups = v;
	pass->n_groups = n_groups;
	memcpy(pass->subject, subject, strlen(subject) + 1);
	pass->factors[pass->n_factors++] =
	    (struct pass_factor){ .method = SET_KEYBOARD_INTERACTIVE };
	return 0;
}

int
pass_copy(struct pass *to, const struct pass *from)
{
	*to = *from;
	to->n_factors = 0;
	to->groups = NULL;
	to->n_groups = 0;
	for (; to->n_factors < from->n_factors; to->n_factors++) {
		struct pass_factor *f = &to->factors[to->n_factors];

		if (f->blob == NULL)
			continue;
		if ((f->blob = malloc(f->len > 0 ? f->len : 1)) == NULL) {
			pass_done(to);
			return -ENOMEM;
		}
		memcpy(f->blob, from->factors[to->n_factors].blob, f->len);
	}
	if (from->groups != NULL &&
	    groups_copy((const char *const *)from->groups, from->n_groups, &to->groups) != 0) {
		pass_done(to);
		return -ENOMEM;
	}
	to->n_groups = from->n_groups;
	return 0;
}

void
pass_done(struct pass *pass)
{
	for (size_t i = 0; i < pass->n_factors; i++)
		free(pass->factors[i].blob);
	groups_free(pass->groups, pass->n_groups);
	*pass = (struct pass){ .n_factors = 0 };
}

bool
pass_has(const struct pass *pass, enum set_method method)
{
	for (size_t i = 0; i < pass->n_factors; i++)
		if (pass->factors[i].method == method)
			return true;
	return false;
}

bool
pass_has_key(const struct pass *pass, const char *fingerprint)
{
	for (size_t i = 0; i < pass->n_factors; i++)
		if (pass->factors[i].method == SET_PUBLICKEY &&
		    strcmp(pass->factors[i].fingerprint, fingerprint) == 0)
			return true;
	return false;
}

bool
pass_mfa(const struct pass *pass)
{
	return pass_has(pass, SET_PUBLICKEY) && pass_has(pass, SET_KEYBOARD_INTERACTIVE);
}

const char *
pass_methods(const struct pass *pass, char *dst)
{
	size_t at = 0;

	dst[0] = '\0';
	for (size_t i = 0; i < pass->n_factors; i++) {
		int n = snprintf(dst + at, PASS_METHODS_SIZE - at, "%s%s", i > 0 ? "," : "",
		    set_method_name(pass->factors[i].method));

		at += n > 0 ? (size_t)n : 0;
	}
	return dst;
}
