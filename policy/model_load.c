/*
 * Reading policy.yaml as a whole. Each map of the file is a table here or in load_*.c: a key, whether it must be there, and
 * the function that reads it. What is in no table is an error; so is what this version could not hold.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/conf.h"
#include "policy/load.h"

static int
read_compat(struct load *l, void *obj, const struct conf_node *n)
{
	static const char *const names[] = { "rsa-2048", "sk-no-touch" };
	size_t which;
	int r = conf_list(n, l->err);

	(void)obj;
	for (size_t i = 0; r == 0 && i < conf_n(n); i++) {
		if ((r = conf_choice(conf_at(n, i), names, 2, &which, l->err)) != 0)
			return r;
		if (which == 0)
			l->m->rsa_bits = MODEL_RSA_BITS_COMPAT;
		else
			l->m->sk_no_touch = true;
	}
	return r;
}

static int
read_longest(struct load *l, void *obj, const struct conf_node *n)
{
	(void)obj;
	return conf_span(n, CLOCK_NS_PER_S, UINT64_MAX, &l->m->cert_longest_ns, l->err);
}

/* keep or close. */
static int
read_ends(struct load *l, const struct conf_node *n, bool *ret_close)
{
	static const char *const words[] = { "keep", "close" };
	size_t which;
	int r = conf_choice(n, words, 2, &which, l->err);

	if (r == 0)
		*ret_close = which == 1;
	return r;
}

static int
read_on_expiry(struct load *l, void *obj, const struct conf_node *n)
{
	(void)obj;
	return read_ends(l, n, &l->m->close_expired);
}

static int
read_on_revoked(struct load *l, void *obj, const struct conf_node *n)
{
	(void)obj;
	return read_ends(l, n, &l->m->close_revoked);
}

static const struct load_field cert_fields[] = {
	{ "longest", false, read_longest },
	{ "on_expiry", false, read_on_expiry },
	{ "on_revoked", false, read_on_revoked },
};

static int
read_certificates(struct load *l, void *obj, const struct conf_node *n)
{
	return load_map(l, n, cert_fields, sizeof(cert_fields) / sizeof(cert_fields[0]), obj);
}

static const struct load_field first_fields[] = {
	{ "compat", false, read_compat },
	{ "certificates", false, read_certificates },
	{ "users", false, load_users },
	{ "hosts", false, load_hosts },
	{ "masks", false, load_masks },
};

static const struct load_field last_fields[] = {
	{ "rules", false, load_rules },
	{ "audit", false, load_unsupported },
};

static const struct conf_key top_keys[] = { { "compat", false }, { "certificates", false },
	{ "users", false }, { "hosts", false }, { "masks", false }, { "rules", false },
	{ "audit", false } };

static int
read_fields(
    struct load *l, const struct conf_node *root, const struct load_field *fields, size_t n_fields)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n_fields; i++) {
		const struct conf_node *n = conf_get(root, fields[i].name);

		/* A section that has only comments so far, as bastionctl init makes it, is empty. */
		if (n != NULL && !conf_is_nothing(n))
			r = fields[i].read(l, NULL, n);
	}
	return r;
}

/* Everything that proves somebody, in one array each, with the place where it stands. */
static int
collect_proofs(struct load *l, const struct conf_node *users)
{
	struct model *m = l->m;
	size_t n_keys = 0, n_principals = 0;

	for (size_t i = 0; i < m->n_users; i++) {
		n_keys += m->users[i].n_keys;
		n_principals += m->users[i].principals.n;
	}
	m->keys = model_alloc(m, n_keys, sizeof(*m->keys));
	m->principals = model_alloc(m, n_principals, sizeof(*m->principals));
	if (m->keys == NULL || m->principals == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_users; i++) {
		const struct model_user *u = &m->users[i];
		const struct conf_node *map = conf_at(users, i);
		const struct conf_node *list = conf_get(map, "principals");

		for (size_t k = 0; k < u->n_keys; k++)
			m->keys[m->n_keys++] = (struct model_proof){ u->keys[k].p, u->keys[k].len,
				u, conf_at(conf_get(map, "keys"), k) };
		for (size_t k = 0; k < u->principals.n; k++)
			m->principals[m->n_principals++] =
			    (struct model_proof){ (const uint8_t *)u->principals.v[k],
				    strlen(u->principals.v[k]), u,
				    list != NULL ? conf_at(list, k) : conf_key_node_at(users, i) };
	}
	return 0;
}

/* Who used a key must have one answer. */
static int
check_proofs(struct load *l)
{
	const struct model_user *other = NULL;
	const struct model_proof *p;

	if ((p = model_shared(l->m->keys, l->m->n_keys, &other)) != NULL)
		return conf_fail(
		    p->node, l->err, "a key of one person, this one is %s's too", other->name);
	if ((p = model_shared(l->m->principals, l->m->n_principals, &other)) != NULL)
		return conf_fail(p->node, l->err, "a principal of one person, this one is %s's too",
		    other->name);
	return 0;
}

static bool
group_has_members(const struct model *m, const char *group)
{
	for (size_t i = 0; i < m->n_users; i++)
		if (model_strings_has(&m->users[i].groups, group))
			return true;
	return false;
}

static int
warn_about_rules(struct model *m)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->n_rules; i++) {
		for (size_t k = 0; r == 0 && k < m->rules[i].groups.n; k++)
			if (!group_has_members(m, m->rules[i].groups.v[k]))
				r = model_warn(m, "rule %s: nobody is in the group %s",
				    m->rules[i].name, m->rules[i].groups.v[k]);
		if (r == 0 && !m->rules[i].deny)
			r = load_warn_may(m, &m->rules[i]);
	}
	if (r == 0 && m->n_rules == 0)
		r = model_warn(m, "there are no rules: nobody can log in");
	return r;
}

static int
load_root(struct load *l, const struct conf_node *root)
{
	int r;

	if ((r = conf_check_map(root, top_keys, sizeof(top_keys) / sizeof(top_keys[0]), l->err)) !=
		0 ||
	    (r = read_fields(
		 l, root, first_fields, sizeof(first_fields) / sizeof(first_fields[0]))) != 0)
		return r;
	if (l->m->n_users > 0 && (r = collect_proofs(l, conf_get(root, "users"))) != 0)
		return r;
	/* Rules name users and hosts, so those are found by now. */
	if ((r = model_index(l->m)) != 0 || (r = check_proofs(l)) != 0)
		return r;
	return read_fields(l, root, last_fields, sizeof(last_fields) / sizeof(last_fields[0]));
}

int
model_load(const char *name, const char *data, size_t len, const struct zones *zones,
    struct model **ret_model, struct conf_err *ret_err)
{
	struct load l = { .zones = zones, .err = ret_err };
	int r;

	if ((l.m = calloc(1, sizeof(*l.m))) == NULL)
		return -ENOMEM;
	l.m->rsa_bits = MODEL_RSA_BITS;
	if ((r = conf_parse(name, data, len, &l.m->doc, ret_err)) != 0)
		goto out;
	/* An empty file is a policy that lets nobody in. */
	r = conf_root(l.m->doc) != NULL ? load_root(&l, conf_root(l.m->doc)) : model_index(l.m);
	if (r != 0 || (r = warn_about_rules(l.m)) != 0)
		goto out;
	*ret_model = l.m;
	l.m = NULL;
out:
	model_free(l.m);
	return r;
}
