/* Passes against the set in force. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "policy/proof.h"

struct credential_scene
auth_credential_scene(const struct auth_scene *scene)
{
	return (struct credential_scene){ scene->source, scene->now_ns / CLOCK_NS_PER_S,
		scene->newest_s };
}

static int
refuse(struct proof *p, const char *reason, const char *detail)
{
	p->reason = reason;
	p->detail = detail;
	return ERR_DENIED;
}

const struct credential *
proof_credential(const struct proof *p, size_t i)
{
	if (i < p->n_creds)
		return &p->creds[i];
	return i == p->n_creds ? p->shown : NULL;
}

static int
read_keys(struct proof *p, const struct auth_scene *scene, const struct pass *pass)
{
	const struct credential_scene cs = auth_credential_scene(scene);

	for (size_t i = 0; i < pass->n_factors; i++) {
		const struct pass_factor *f = &pass->factors[i];
		struct credential *c;
		int r;

		if (f->method != SET_PUBLICKEY)
			continue;
		c = &p->creds[p->n_creds++];
		r = credential_read(c, scene->set, &cs, f->alg, f->blob, f->len);
		if (r != 0)
			return r == ERR_DENIED ? refuse(p, c->reason, c->detail) : r;
	}
	return 0;
}

int
proof_make_person(const struct model *m, const char *identity, bool unlisted,
    const char *const *groups, size_t n_groups, struct model_user *ret_person,
    const char ***ret_list)
{
	const struct model_user *listed = model_find_user(m, identity);
	const char **list;
	size_t n;

	*ret_list = NULL;
	if (listed == NULL && !unlisted)
		return ERR_NOT_FOUND;
	*ret_person = listed != NULL ? *listed : (struct model_user){ .name = identity };
	if (n_groups == 0)
		return 0;
	n = ret_person->groups.n;
	if ((list = calloc(n + n_groups, sizeof(*list))) == NULL)
		return -ENOMEM;
	if (n > 0)
		memcpy(list, ret_person->groups.v, n * sizeof(*list));
	for (size_t i = 0; i < n_groups; i++)
		list[n + i] = groups[i];
	ret_person->groups = (struct model_strings){ list, n + n_groups };
	*ret_list = list;
	return 0;
}

/* Once it is known who it is, everything else must be theirs, too. */
static int
find_person(struct proof *p, const struct set *s, const struct pass *pass)
{
	const struct credential *c;
	size_t n = s->groups_from_pam ? pass->n_groups : 0;
	int r;

	for (size_t i = 0; (c = proof_credential(p, i)) != NULL; i++)
		if (!credential_proves_name(c, pass->identity))
			return refuse(
			    p, c == p->shown ? "another-identity" : "unproved-identity", NULL);
	r = proof_make_person(s->model, pass->identity,
	    s->identity_from_pam && p->n_creds == 0 && p->shown == NULL,
	    (const char *const *)pass->groups, n, &p->person, &p->groups);
	if (r != 0)
		return r == ERR_NOT_FOUND ? refuse(p, "unknown-user", NULL) : r;
	p->one = &p->person;
	p->users = &p->one;
	p->n_users = 1;
	return 0;
}

static int
collect_principals(struct proof *p)
{
	const struct credential *c;
	size_t n = 0;

	for (size_t i = 0; (c = proof_credential(p, i)) != NULL; i++)
		n += c->cert != NULL ? c->cert->n_principals : 0;
	if (n == 0)
		return 0;
	if ((p->principals = calloc(n, sizeof(*p->principals))) == NULL)
		return -ENOMEM;
	for (size_t i = 0; (c = proof_credential(p, i)) != NULL; i++)
		for (size_t k = 0; c->cert != NULL && k < c->cert->n_principals; k++)
			p->principals[p->n_principals++] = c->cert->principals[k];
	return 0;
}

/* Each holds; two that cannot both hold leave nothing. */
static int
check_forced(struct proof *p)
{
	const char *forced = proof_force_command(p);
	const struct credential *c;

	for (size_t i = 0; (c = proof_credential(p, i)) != NULL; i++)
		if (c->cert != NULL && c->cert->force_command != NULL &&
		    strcmp(c->cert->force_command, forced) != 0)
			return refuse(p, "forced-commands-differ", NULL);
	return 0;
}

int
proof_read(struct proof *p, const struct auth_scene *scene, const struct pass *pass,
    const struct credential *shown)
{
	int r;

	*p = (struct proof){ .shown = shown };
	if (scene->set == NULL)
		return refuse(p, "no-policy", NULL);
	if (pass->identity[0] == '\0' && shown == NULL)
		return refuse(p, "not-logged-in", NULL);
	if ((r = read_keys(p, scene, pass)) != 0)
		return r;
	if (pass->identity[0] != '\0') {
		r = find_person(p, scene->set, pass);
	} else {
		p->users = shown->users;
		p->n_users = shown->n_users;
	}
	if (r != 0 || (r = check_forced(p)) != 0)
		return r;
	p->mfa = pass_mfa(pass) || (shown != NULL && pass_has(pass, SET_KEYBOARD_INTERACTIVE));
	return collect_principals(p);
}

void
proof_done(struct proof *p)
{
	for (size_t i = 0; i < p->n_creds; i++)
		credential_done(&p->creds[i]);
	free(p->groups);
	free(p->principals);
	*p = (struct proof){ .n_creds = 0 };
}

struct access_person
proof_person(const struct proof *p, const struct auth_scene *scene)
{
	return (struct access_person){
		.users = p->users,
		.n_users = p->n_users,
		.principals = p->principals,
		.n_principals = p->n_principals,
		.source = scene->source,
		.now_ns = scene->now_ns,
		.mfa = p->mfa,
	};
}

bool
proof_by_cert(const struct proof *p)
{
	const struct credential *c;

	for (size_t i = 0; (c = proof_credential(p, i)) != NULL; i++)
		if (c->cert != NULL)
			return true;
	return false;
}

unsigned
proof_permits(const struct proof *p)
{
	const struct credential *c;
	unsigned permits = UINT_MAX;

	for (size_t i = 0; (c = proof_credential(p, i)) != NULL; i++)
		if (c->cert != NULL)
			permits &= c->cert->permits;
	return permits;
}

uint64_t
proof_valid_before_s(const struct proof *p)
{
	const struct credential *c;
	uint64_t first_s = UINT64_MAX;

	for (size_t i = 0; (c = proof_credential(p, i)) != NULL; i++)
		if (c->cert != NULL && c->cert->valid_before < first_s)
			first_s = c->cert->valid_before;
	return first_s == UINT64_MAX ? 0 : first_s;
}

const char *
proof_force_command(const struct proof *p)
{
	const struct credential *c;

	for (size_t i = 0; (c = proof_credential(p, i)) != NULL; i++)
		if (c->cert != NULL && c->cert->force_command != NULL)
			return c->cert->force_command;
	return NULL;
}
