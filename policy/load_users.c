/* Reading policy.yaml: the people. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"
#include "policy/load.h"

static bool
is_fingerprint(const char *s)
{
	return str_starts(s, "SHA256:") && strlen(s) == 50;
}

static const struct load_kind fingerprint_kind = { is_fingerprint,
	"a CA's fingerprint as of ssh-keygen -l, SHA256:..." };

static int
read_user_keys(struct load *l, void *obj, const struct conf_node *n)
{
	struct model_user *u = obj;
	void *v;
	int r = load_list(l, n, sizeof(struct model_blob), &v);

	if (r != 0)
		return r;
	u->keys = v;
	for (; r == 0 && u->n_keys < conf_n(n); u->n_keys += r == 0)
		r = load_pubkey(l, conf_at(n, u->n_keys), l->m->rsa_bits, &u->keys[u->n_keys]);
	return r;
}

static int
read_user_principals(struct load *l, void *obj, const struct conf_node *n)
{
	return load_strings(l, n, &load_kind_principal, &((struct model_user *)obj)->principals);
}

static int
read_user_groups(struct load *l, void *obj, const struct conf_node *n)
{
	return load_strings(l, n, &load_kind_name, &((struct model_user *)obj)->groups);
}

static int
read_user_ca(struct load *l, void *obj, const struct conf_node *n)
{
	return load_strings(l, n, &fingerprint_kind, &((struct model_user *)obj)->cas);
}

static const struct load_field user_fields[] = {
	{ "keys", false, read_user_keys },
	{ "principals", false, read_user_principals },
	{ "groups", false, read_user_groups },
	{ "ca", false, read_user_ca },
};

/* As with sshd: without a list, the principal of a person is their name. */
static int
default_principals(struct load *l, struct model_user *u)
{
	if ((u->principals.v = model_alloc(l->m, 1, sizeof(const char *))) == NULL)
		return -ENOMEM;
	u->principals.v[0] = u->name;
	u->principals.n = 1;
	return 0;
}

static int
read_user(struct load *l, struct model_user *u, const struct conf_node *map, size_t i)
{
	const struct conf_node *n = conf_at(map, i);
	int r;

	if ((r = load_string(l, conf_key_node_at(map, i), &load_kind_name, &u->name)) != 0 ||
	    (r = LOAD_MAP(l, n, user_fields, u)) != 0)
		return r;
	return conf_get(n, "principals") == NULL ? default_principals(l, u) : 0;
}

int
load_users(struct load *l, void *obj, const struct conf_node *n)
{
	struct model *m = l->m;
	int r = conf_map(n, l->err);

	(void)obj;
	if (r != 0)
		return r;
	if (conf_n(n) > MODEL_USERS_MAX)
		return conf_fail(n, l->err, "at most %u users", MODEL_USERS_MAX);
	if ((m->users = model_alloc(m, conf_n(n), sizeof(*m->users))) == NULL)
		return -ENOMEM;
	for (; r == 0 && m->n_users < conf_n(n); m->n_users += r == 0)
		r = read_user(l, &m->users[m->n_users], n, m->n_users);
	return r;
}
