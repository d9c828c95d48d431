/*
 * Reading policy.yaml. Each map of the file is a table here: a key, whether it must be there, and the function that
 * reads it. What is in no table is an error; so is what this version could not hold.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"
#include "policy/command.h"
#include "policy/model.h"
#include "policy/model_int.h"
#include "policy/names.h"

#define FIELDS_MAX 16
#define KEY_NAME_MAX 64 /* bytes of a vault key's name; keys/keys_proto.h */

struct load {
	struct model *m;
	const struct zones *zones;
	struct conf_err *err;
};

struct field {
	const char *name;
	bool required;
	int (*read)(struct load *l, void *obj, const struct conf_node *n);
};

/* Every key of the map by its row, in the order of the table. */
static int
read_map(struct load *l, const struct conf_node *n, const struct field *fields, size_t n_fields,
    void *obj)
{
	struct conf_key keys[FIELDS_MAX];
	int r;

	for (size_t i = 0; i < n_fields; i++)
		keys[i] = (struct conf_key){ fields[i].name, fields[i].required };
	r = conf_check_map(n, keys, n_fields, l->err);
	for (size_t i = 0; r == 0 && i < n_fields; i++) {
		const struct conf_node *value = conf_get(n, fields[i].name);

		if (value != NULL)
			r = fields[i].read(l, obj, value);
	}
	return r;
}
#define READ_MAP(l, n, fields, obj)                                                                \
	read_map((l), (n), (fields), sizeof(fields) / sizeof((fields)[0]), (obj))

/* A restriction that nothing would hold must not be taken for one that holds. */
static int
unsupported(struct load *l, const struct conf_node *n)
{
	return conf_fail(n, l->err, "nothing here (not supported by this version)");
}

static int
read_unsupported(struct load *l, void *obj, const struct conf_node *n)
{
	(void)obj;
	return unsupported(l, n);
}

/* A list, not too long, and its array. */
static int
read_list(struct load *l, const struct conf_node *n, size_t size, void **ret_v)
{
	int r = conf_list(n, l->err);

	if (r != 0)
		return r;
	if (conf_n(n) > MODEL_LIST_MAX)
		return conf_fail(n, l->err, "at most %u entries", MODEL_LIST_MAX);
	*ret_v = model_alloc(l->m, conf_n(n), size);
	return *ret_v != NULL ? 0 : -ENOMEM;
}

/* Whether a string may stand there, and what to say when not. */
struct kind {
	bool (*ok)(const char *s);
	const char *expected;
};

static bool
is_name(const char *s)
{
	return strlen(s) <= MODEL_NAME_MAX && names_is_user(s);
}

static bool
is_principal(const char *s)
{
	return *s != '\0' && strlen(s) <= MODEL_NAME_MAX;
}

static bool
is_fingerprint(const char *s)
{
	return str_starts(s, "SHA256:") && strlen(s) == 50;
}

static bool
is_label(const char *s)
{
	return *s != '\0' && strlen(s) <= MODEL_NAME_MAX;
}

static bool
is_command(const char *s)
{
	return command_pattern_check(s) == 0;
}

static bool
is_host_pattern(const char *s)
{
	return *s != '\0' && strlen(s) <= MODEL_NAME_MAX &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789._-*?") == strlen(s);
}

static const struct kind name_kind = { is_name, "a name of letters, digits and . _ - @" };
static const struct kind principal_kind = { is_principal, "a principal of 1 to 255 bytes" };
static const struct kind fingerprint_kind = { is_fingerprint,
	"a CA's fingerprint as of ssh-keygen -l, SHA256:..." };
static const struct kind label_kind = { is_label, "text of 1 to 255 bytes" };
static const struct kind command_kind = { is_command, "a command of 1 to 512 printable bytes" };
static const struct kind pattern_kind = { is_host_pattern,
	"a pattern of lower case letters, digits and . _ - * ?" };

static int
read_string(struct load *l, const struct conf_node *n, const struct kind *kind, const char **ret_s)
{
	const char *s;
	int r = conf_str(n, &s, l->err);

	if (r == 0 && !kind->ok(s))
		r = conf_fail(n, l->err, "%s", kind->expected);
	if (r == 0)
		*ret_s = s;
	return r;
}

static int
read_strings(
    struct load *l, const struct conf_node *n, const struct kind *kind, struct model_strings *to)
{
	void *v;
	int r = read_list(l, n, sizeof(const char *), &v);

	if (r != 0)
		return r;
	to->v = v;
	for (to->n = 0; r == 0 && to->n < conf_n(n); to->n += r == 0)
		r = read_string(l, conf_at(n, to->n), kind, &to->v[to->n]);
	return r;
}

/* Public keys. */

/* A key of any kind that we know; one of RSA must have rsa_bits. */
static int
read_key(struct load *l, const struct conf_node *n, unsigned rsa_bits, struct model_blob *to)
{
	const char *line;
	struct sshkey *key = NULL;
	uint8_t *blob = NULL;
	size_t len = 0;
	int r;

	if ((r = conf_str(n, &line, l->err)) != 0)
		return r;
	r = sshkey_line(line, &blob, &len, NULL);
	if (r == 0)
		r = sshkey_parse(blob, len, &key);
	if (r != 0) {
		if (r != -ENOMEM)
			r = conf_fail(n, l->err,
			    "an OpenSSH public key, \"ssh-ed25519 AAAA...\" (%s)", err_str(r));
		goto out;
	}
	if (sshkey_type(key) == SSHKEY_RSA && sshkey_bits(key) < rsa_bits) {
		r = conf_fail(n, l->err, "an RSA key of at least %u bits, this one has %u%s",
		    rsa_bits, sshkey_bits(key),
		    sshkey_bits(key) >= MODEL_RSA_BITS_COMPAT ? " (compat: [rsa-2048] takes it)"
							      : "");
		goto out;
	}
	r = -ENOMEM;
	if ((to->p = model_alloc(l->m, len, 1)) == NULL)
		goto out;
	memcpy(to->p, blob, len);
	to->len = len;
	r = 0;
out:
	sshkey_free(key);
	free(blob);
	return r;
}

/* Users. */

static int
read_user_keys(struct load *l, void *obj, const struct conf_node *n)
{
	struct model_user *u = obj;
	void *v;
	int r = read_list(l, n, sizeof(struct model_blob), &v);

	if (r != 0)
		return r;
	u->keys = v;
	for (; r == 0 && u->n_keys < conf_n(n); u->n_keys += r == 0)
		r = read_key(l, conf_at(n, u->n_keys), l->m->rsa_bits, &u->keys[u->n_keys]);
	return r;
}

static int
read_user_principals(struct load *l, void *obj, const struct conf_node *n)
{
	return read_strings(l, n, &principal_kind, &((struct model_user *)obj)->principals);
}

static int
read_user_groups(struct load *l, void *obj, const struct conf_node *n)
{
	return read_strings(l, n, &name_kind, &((struct model_user *)obj)->groups);
}

static int
read_user_ca(struct load *l, void *obj, const struct conf_node *n)
{
	return read_strings(l, n, &fingerprint_kind, &((struct model_user *)obj)->cas);
}

static const struct field user_fields[] = {
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

	if ((r = read_string(l, conf_key_node_at(map, i), &name_kind, &u->name)) != 0 ||
	    (r = READ_MAP(l, n, user_fields, u)) != 0)
		return r;
	return conf_get(n, "principals") == NULL ? default_principals(l, u) : 0;
}

static int
read_users(struct load *l, void *obj, const struct conf_node *n)
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

/* Hosts. */

static int
read_host_address(struct load *l, void *obj, const struct conf_node *n)
{
	return read_string(l, n, &label_kind, &((struct model_host *)obj)->address);
}

static int
read_host_resolve(struct load *l, void *obj, const struct conf_node *n)
{
	return conf_bool(n, &((struct model_host *)obj)->resolve, l->err);
}

static int
read_port(struct load *l, const struct conf_node *n, uint16_t *ret_port)
{
	uint64_t port;
	int r = conf_u64(n, 1, 65535, &port, l->err);

	if (r == 0)
		*ret_port = (uint16_t)port;
	return r;
}

static int
read_host_port(struct load *l, void *obj, const struct conf_node *n)
{
	return read_port(l, n, &((struct model_host *)obj)->port);
}

static int
read_host_ports(struct load *l, void *obj, const struct conf_node *n)
{
	struct model_host *h = obj;
	int r = conf_list(n, l->err);

	if (r == 0 && conf_n(n) > MODEL_PORTS_MAX)
		r = conf_fail(n, l->err, "at most %u ports", MODEL_PORTS_MAX);
	for (; r == 0 && h->n_ports < conf_n(n); h->n_ports += r == 0)
		r = read_port(l, conf_at(n, h->n_ports), &h->ports[h->n_ports]);
	return r;
}

/* One value or, in a rule, a list of values that it may have. */
static int
read_label(struct load *l, struct model_label *to, const struct conf_node *map, size_t i, bool rule)
{
	const struct conf_node *n = conf_at(map, i);
	int r;

	if ((r = read_string(l, conf_key_node_at(map, i), &label_kind, &to->key)) != 0)
		return r;
	if (rule && conf_node_type(n) == CONF_LIST)
		return read_strings(l, n, &label_kind, &to->values);
	if ((to->values.v = model_alloc(l->m, 1, sizeof(const char *))) == NULL)
		return -ENOMEM;
	to->values.n = 1;
	return read_string(l, n, &label_kind, &to->values.v[0]);
}

static int
read_labels(struct load *l, const struct conf_node *n, bool rule, struct model_label **ret_labels,
    size_t *ret_n)
{
	struct model_label *v;
	size_t i;
	int r = conf_map(n, l->err);

	if (r != 0)
		return r;
	if (conf_n(n) > MODEL_LIST_MAX)
		return conf_fail(n, l->err, "at most %u labels", MODEL_LIST_MAX);
	if ((v = model_alloc(l->m, conf_n(n), sizeof(*v))) == NULL)
		return -ENOMEM;
	for (i = 0; r == 0 && i < conf_n(n); i++)
		r = read_label(l, &v[i], n, i, rule);
	if (r == 0) {
		*ret_labels = v;
		*ret_n = i;
	}
	return r;
}

static int
read_host_labels(struct load *l, void *obj, const struct conf_node *n)
{
	struct model_host *h = obj;

	return read_labels(l, n, false, &h->labels, &h->n_labels);
}

static bool
is_vault_key(const char *s)
{
	size_t len = strlen(s);

	/* The grammar of keys/keys_proto.h; a leading dot or dash is none of a name that anybody typed. */
	return len > 0 && len <= KEY_NAME_MAX && s[0] != '.' && s[0] != '-' &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
		   len;
}

static int
read_host_key(struct load *l, void *obj, const struct conf_node *n)
{
	static const struct kind kind = { is_vault_key, "the name of a key in the vault" };

	return read_string(l, n, &kind, &((struct model_host *)obj)->key);
}

static int
read_pins(struct load *l, const struct conf_node *n, struct model_blob **ret_v, size_t *ret_n)
{
	struct model_blob *v;
	size_t i;
	int r = conf_list(n, l->err);

	if (r != 0)
		return r;
	if (conf_n(n) > MODEL_PINS_MAX)
		return conf_fail(n, l->err, "at most %u keys", MODEL_PINS_MAX);
	if ((v = model_alloc(l->m, conf_n(n), sizeof(*v))) == NULL)
		return -ENOMEM;
	for (i = 0; r == 0 && i < conf_n(n); i++)
		r = read_key(l, conf_at(n, i), 0, &v[i]);
	if (r == 0) {
		*ret_v = v;
		*ret_n = i;
	}
	return r;
}

static int
read_host_keys(struct load *l, void *obj, const struct conf_node *n)
{
	struct model_host *h = obj;

	return read_pins(l, n, &h->host_keys, &h->n_host_keys);
}

static int
read_host_ca(struct load *l, void *obj, const struct conf_node *n)
{
	struct model_host *h = obj;

	return read_pins(l, n, &h->host_cas, &h->n_host_cas);
}

static int
read_host_timeout(struct load *l, void *obj, const struct conf_node *n)
{
	return conf_span(
	    n, 100000000ull, 120000000000ull, &((struct model_host *)obj)->connect_ns, l->err);
}

static const struct field host_fields[] = {
	{ "address", false, read_host_address },
	{ "resolve", false, read_host_resolve },
	{ "port", false, read_host_port },
	{ "ports", false, read_host_ports },
	{ "labels", false, read_host_labels },
	{ "key", false, read_host_key },
	{ "host_keys", false, read_host_keys },
	{ "host_ca", false, read_host_ca },
	{ "connect_timeout", false, read_host_timeout },
};

static int
read_host_name(struct load *l, struct model_host *h, const struct conf_node *n)
{
	const char *s;
	int r;

	if ((r = conf_str(n, &s, l->err)) != 0)
		return r;
	h->pattern = strpbrk(s, "*?") != NULL;
	if (h->pattern ? !is_host_pattern(s) : strlen(s) > MODEL_NAME_MAX || !names_is_host(s))
		return conf_fail(n, l->err,
		    "a host name of lower case letters, digits and . _ -, not only digits");
	if ((h->name = model_alloc(l->m, strlen(s) + 1, 1)) == NULL)
		return -ENOMEM;
	return str_copy(h->name, strlen(s) + 1, s);
}

/* An address is exact unless resolve says otherwise; a pattern has none, for it is many hosts. */
static int
check_host_address(struct load *l, const struct model_host *h, const struct conf_node *n)
{
	struct net_addr addr;

	if (h->pattern && h->address != NULL)
		return conf_fail(
		    conf_get(n, "address"), l->err, "no address, because the host is a pattern");
	if (h->pattern && !h->resolve)
		return conf_fail(n, l->err, "resolve: true, because the host is a pattern");
	if (h->address == NULL && !h->resolve)
		return conf_fail(n, l->err, "an address (or resolve: true)");
	if (h->address == NULL)
		return 0;
	if (!h->resolve && net_parse(h->address, &addr) != 0)
		return conf_fail(
		    conf_get(n, "address"), l->err, "an IP address (a name needs resolve: true)");
	if (h->resolve &&
	    (h->address[0] == '-' ||
		strspn(h->address, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				   "0123456789._-:") != strlen(h->address)))
		return conf_fail(conf_get(n, "address"), l->err, "a name or an IP address");
	return 0;
}

static int
read_host(struct load *l, struct model_host *h, const struct conf_node *map, size_t i)
{
	const struct conf_node *n = conf_at(map, i);
	int r;

	h->port = 22;
	h->connect_ns = MODEL_CONNECT_NS;
	if ((r = read_host_name(l, h, conf_key_node_at(map, i))) != 0 ||
	    (r = READ_MAP(l, n, host_fields, h)) != 0 || (r = check_host_address(l, h, n)) != 0)
		return r;
	if (h->n_host_keys + h->n_host_cas == 0 &&
	    (r = model_warn(l->m,
		 "host %s has neither host_keys nor host_ca: nobody can log in (bastionctl hosts "
		 "pin %s)",
		 h->name, h->name)) != 0)
		return r;
	if (h->key == NULL)
		return model_warn(l->m, "host %s has no key: nobody can log in", h->name);
	return 0;
}

static int
read_hosts(struct load *l, void *obj, const struct conf_node *n)
{
	struct model *m = l->m;
	int r = conf_map(n, l->err);

	(void)obj;
	if (r != 0)
		return r;
	if (conf_n(n) > MODEL_HOSTS_MAX)
		return conf_fail(n, l->err, "at most %u hosts", MODEL_HOSTS_MAX);
	if ((m->hosts = model_alloc(m, conf_n(n), sizeof(*m->hosts))) == NULL)
		return -ENOMEM;
	for (; r == 0 && m->n_hosts < conf_n(n); m->n_hosts += r == 0)
		r = read_host(l, &m->hosts[m->n_hosts], n, m->n_hosts);
	return r;
}

/* Rules: who. */

/* "*" among the names stands for all of them. */
static bool
is_star(const char *s)
{
	return strcmp(s, "*") == 0;
}

static bool
is_name_or_star(const char *s)
{
	return is_star(s) || is_name(s);
}

static int
read_who_users(struct load *l, void *obj, const struct conf_node *n)
{
	static const struct kind kind = { is_name_or_star, "a user's name or \"*\"" };
	struct model_rule *rule = obj;
	int r = read_strings(l, n, &kind, &rule->users);

	for (size_t i = 0; r == 0 && i < rule->users.n; i++) {
		if (is_star(rule->users.v[i]))
			rule->any_user = true;
		else if (model_find_user(l->m, rule->users.v[i]) == NULL)
			r = conf_fail(conf_at(n, i), l->err, "a user that is listed under users");
	}
	return r;
}

static int
read_who_groups(struct load *l, void *obj, const struct conf_node *n)
{
	return read_strings(l, n, &name_kind, &((struct model_rule *)obj)->groups);
}

static int
read_who_principals(struct load *l, void *obj, const struct conf_node *n)
{
	return read_strings(l, n, &principal_kind, &((struct model_rule *)obj)->principals);
}

static int
read_who_source(struct load *l, void *obj, const struct conf_node *n)
{
	struct model_rule *rule = obj;
	const char *s;
	void *v;
	int r = read_list(l, n, sizeof(struct net_prefix), &v);

	if (r != 0)
		return r;
	if (conf_n(n) == 0)
		return conf_fail(n, l->err, "at least one network (or no source at all)");
	rule->sources = v;
	for (; r == 0 && rule->n_sources < conf_n(n); rule->n_sources += r == 0) {
		const struct conf_node *one = conf_at(n, rule->n_sources);

		r = conf_str(one, &s, l->err);
		if (r == 0 && net_prefix_parse(s, &rule->sources[rule->n_sources]) != 0)
			r = conf_fail(one, l->err,
			    "a network such as 10.0.0.0/8 or 2001:db8::/32, no bits behind it");
	}
	return r;
}

static const struct field who_fields[] = {
	{ "users", false, read_who_users },
	{ "groups", false, read_who_groups },
	{ "principals", false, read_who_principals },
	{ "source", false, read_who_source },
};

static int
read_who(struct load *l, void *obj, const struct conf_node *n)
{
	struct model_rule *rule = obj;
	int r = READ_MAP(l, n, who_fields, rule);

	if (r == 0 && conf_get(n, "users") == NULL && conf_get(n, "groups") == NULL &&
	    conf_get(n, "principals") == NULL) {
		/* A deny rule by source alone is clear; to let everybody in must be written down. */
		if (!rule->deny)
			return conf_fail(n, l->err,
			    "users, groups or principals (users: [\"*\"] for everybody)");
		rule->any_user = true;
	}
	return r;
}

/* Rules: where. */

static bool
is_host_or_star(const char *s)
{
	return is_star(s) || is_host_pattern(s);
}

static int
read_where_hosts(struct load *l, void *obj, const struct conf_node *n)
{
	static const struct kind kind = { is_host_or_star, "a host's name or \"*\"" };
	struct model_rule *rule = obj;
	int r = read_strings(l, n, &kind, &rule->hosts);

	for (size_t i = 0; r == 0 && i < rule->hosts.n; i++) {
		const char *s = rule->hosts.v[i];
		bool known = is_star(s) || model_find_host(l->m, s) != NULL;

		rule->any_host = rule->any_host || is_star(s);
		for (size_t h = 0; !known && h < l->m->n_hosts; h++)
			known = strcmp(l->m->hosts[h].name, s) == 0;
		if (!known)
			r = conf_fail(conf_at(n, i), l->err, "a host that is listed under hosts");
	}
	return r;
}

static int
read_where_patterns(struct load *l, void *obj, const struct conf_node *n)
{
	return read_strings(l, n, &pattern_kind, &((struct model_rule *)obj)->patterns);
}

static int
read_where_labels(struct load *l, void *obj, const struct conf_node *n)
{
	struct model_rule *rule = obj;

	return read_labels(l, n, true, &rule->labels, &rule->n_labels);
}

static const struct field where_fields[] = {
	{ "hosts", false, read_where_hosts },
	{ "patterns", false, read_where_patterns },
	{ "labels", false, read_where_labels },
};

static int
read_where(struct load *l, void *obj, const struct conf_node *n)
{
	struct model_rule *rule = obj;
	int r = READ_MAP(l, n, where_fields, rule);

	if (r != 0)
		return r;
	if (conf_get(n, "hosts") == NULL && conf_get(n, "patterns") == NULL) {
		if (rule->n_labels == 0)
			return conf_fail(
			    n, l->err, "hosts, patterns or labels (hosts: [\"*\"] for every host)");
		rule->any_host = true;
	}
	return 0;
}

/* Rules: as. */

static bool
is_login(const char *s)
{
	return is_star(s) || strcmp(s, "@self") == 0 || is_name(s);
}

static int
read_as(struct load *l, void *obj, const struct conf_node *n)
{
	static const struct kind kind = { is_login, "a login name, \"*\" or \"@self\"" };
	struct model_rule *rule = obj;
	struct model_strings all;
	int r = read_strings(l, n, &kind, &all);

	if (r != 0)
		return r;
	if (all.n == 0)
		return conf_fail(n, l->err, "at least one login");
	rule->logins.v = all.v;
	for (size_t i = 0; i < all.n; i++) {
		if (is_star(all.v[i]))
			rule->any_login = true;
		else if (all.v[i][0] == '@')
			rule->same_login = true;
		else
			rule->logins.v[rule->logins.n++] = all.v[i];
	}
	return 0;
}

/* Rules: may. */

static const struct {
	const char *name;
	unsigned right; /* 0: known, but nothing would hold it yet */
} rights[] = {
	{ "shell", MODEL_SHELL },
	{ "exec", MODEL_EXEC },
	{ "sftp", MODEL_SFTP },
	{ "scp", MODEL_SCP },
	{ "rsync", MODEL_RSYNC },
	{ "forward", 0 },
	{ "agent", 0 },
	{ "x11", 0 },
};
#define N_RIGHTS (sizeof(rights) / sizeof(rights[0]))

static int
add_right(struct load *l, struct model_rule *rule, const struct conf_node *n, const char *name)
{
	for (size_t i = 0; i < N_RIGHTS; i++) {
		if (strcmp(rights[i].name, name) != 0)
			continue;
		if (rights[i].right == 0)
			return unsupported(l, n);
		if ((rule->rights & rights[i].right) != 0)
			return conf_fail(n, l->err, "each right once");
		rule->rights |= rights[i].right;
		return 0;
	}
	return conf_fail(n, l->err, "shell, exec, sftp, scp, rsync or {exec: [commands]}");
}

/* {exec: ["systemctl status *"]} */
static int
read_may_map(struct load *l, struct model_rule *rule, const struct conf_node *n)
{
	const struct conf_node *list = conf_at(n, 0);
	int r;

	if (conf_n(n) != 1)
		return conf_fail(n, l->err, "a map of one right");
	if ((r = add_right(l, rule, conf_key_node_at(n, 0), conf_key_at(n, 0))) != 0)
		return r;
	if (strcmp(conf_key_at(n, 0), "exec") != 0)
		return conf_fail(
		    conf_key_node_at(n, 0), l->err, "exec, the only right with a list");
	if (rule->deny)
		return conf_fail(list, l->err,
		    "no commands in a deny rule (a command can be written in many ways: list what "
		    "is "
		    "allowed)");
	if ((r = read_strings(l, list, &command_kind, &rule->commands)) != 0)
		return r;
	return rule->commands.n > 0 ? 0 : conf_fail(list, l->err, "at least one command");
}

static int
read_may(struct load *l, void *obj, const struct conf_node *n)
{
	struct model_rule *rule = obj;
	const char *s;
	int r = conf_list(n, l->err);

	if (r == 0 && conf_n(n) == 0)
		r = conf_fail(n, l->err, "at least one right");
	for (size_t i = 0; r == 0 && i < conf_n(n); i++) {
		const struct conf_node *one = conf_at(n, i);

		if (conf_node_type(one) == CONF_MAP)
			r = read_may_map(l, rule, one);
		else if ((r = conf_str(one, &s, l->err)) == 0)
			r = add_right(l, rule, one, s);
	}
	return r;
}

/* Rules: when. */

/* One text or a list of them. */
static int
each_string(struct load *l, const struct conf_node *n, struct hours *w,
    int (*add)(struct load *l, struct hours *w, const struct conf_node *n, const char *s))
{
	const char *s;
	int r = 0;

	if (conf_node_type(n) != CONF_LIST)
		return (r = conf_str(n, &s, l->err)) != 0 ? r : add(l, w, n, s);
	if (conf_n(n) == 0)
		return conf_fail(n, l->err, "at least one entry");
	for (size_t i = 0; r == 0 && i < conf_n(n); i++)
		if ((r = conf_str(conf_at(n, i), &s, l->err)) == 0)
			r = add(l, w, conf_at(n, i), s);
	return r;
}

static int
add_days(struct load *l, struct hours *w, const struct conf_node *n, const char *s)
{
	return hours_parse_days(s, &w->days) == 0
		   ? 0
		   : conf_fail(n, l->err, "days such as mon-fri or sat");
}

static int
add_hours(struct load *l, struct hours *w, const struct conf_node *n, const char *s)
{
	if (w->n_hours == HOURS_SPANS_MAX)
		return conf_fail(n, l->err, "at most %u spans", HOURS_SPANS_MAX);
	if (hours_parse_span(s, &w->hours[w->n_hours]) != 0)
		return conf_fail(n, l->err, "hours such as \"08:00-18:00\"");
	w->n_hours++;
	return 0;
}

static int
read_when_days(struct load *l, void *obj, const struct conf_node *n)
{
	return each_string(l, n, obj, add_days);
}

static int
read_when_hours(struct load *l, void *obj, const struct conf_node *n)
{
	return each_string(l, n, obj, add_hours);
}

static int
read_when_zone(struct load *l, void *obj, const struct conf_node *n)
{
	struct hours *w = obj;
	const char *s;
	int r = conf_str(n, &s, l->err);

	if (r == 0 && zones_find(l->zones, s, &w->zone) != 0)
		r = conf_fail(n, l->err,
		    "UTC, an offset such as \"+02:00\", or a zone such as Europe/Berlin that this "
		    "machine knows");
	return r;
}

static const struct field when_fields[] = {
	{ "days", false, read_when_days },
	{ "hours", false, read_when_hours },
	{ "zone", true, read_when_zone },
};

static int
read_when(struct load *l, void *obj, const struct conf_node *n)
{
	struct model_rule *rule = obj;
	int r = READ_MAP(l, n, when_fields, &rule->when);

	if (r != 0)
		return r;
	if (conf_get(n, "days") == NULL && conf_get(n, "hours") == NULL)
		return conf_fail(n, l->err, "days or hours");
	if (conf_get(n, "days") == NULL)
		rule->when.days = 0x7f;
	rule->when.limited = true;
	return 0;
}

/* Rules: how. Only what asks for nothing passes. */

static int
read_how_mfa(struct load *l, void *obj, const struct conf_node *n)
{
	bool on;
	int r = conf_bool(n, &on, l->err);

	(void)obj;
	return r == 0 && on ? unsupported(l, n) : r;
}

static int
read_how_files(struct load *l, void *obj, const struct conf_node *n)
{
	static const char *const names[] = { "keep", "hash" };
	size_t i;
	int r = conf_choice(n, names, 2, &i, l->err);

	(void)obj;
	if (r == 0 && i == 1)
		return conf_fail(n, l->err, "keep (hash is not supported by this version)");
	return r;
}

static const struct field how_fields[] = {
	{ "approval", false, read_unsupported },
	{ "mfa", false, read_how_mfa },
	{ "mask", false, read_unsupported },
	{ "files", false, read_how_files },
	{ "idle", false, read_unsupported },
	{ "longest", false, read_unsupported },
};

static int
read_how(struct load *l, void *obj, const struct conf_node *n)
{
	return READ_MAP(l, n, how_fields, obj);
}

static int
read_rule_name(struct load *l, void *obj, const struct conf_node *n)
{
	struct model_rule *rule = obj;
	int r = read_string(l, n, &label_kind, &rule->name);

	for (size_t i = 0; r == 0 && i < l->m->n_rules; i++)
		if (strcmp(l->m->rules[i].name, rule->name) == 0)
			r = conf_fail(n, l->err, "a name that no other rule has");
	return r;
}

static int
read_rule_deny(struct load *l, void *obj, const struct conf_node *n)
{
	return conf_bool(n, &((struct model_rule *)obj)->deny, l->err);
}

/* deny comes before the fields whose meaning depends on it. */
static const struct field rule_fields[] = {
	{ "name", true, read_rule_name },
	{ "deny", false, read_rule_deny },
	{ "who", false, read_who },
	{ "where", false, read_where },
	{ "as", false, read_as },
	{ "may", false, read_may },
	{ "when", false, read_when },
	{ "how", false, read_how },
};

/* What is left out of a deny rule limits it by nothing; an allow rule says everything. */
static int
check_rule(struct load *l, struct model_rule *rule, const struct conf_node *n)
{
	static const struct conf_key allow_keys[] = { { "name", true }, { "deny", false },
		{ "who", true }, { "where", true }, { "as", true }, { "may", true },
		{ "when", false }, { "how", false } };

	if (!rule->deny)
		return conf_check_map(
		    n, allow_keys, sizeof(allow_keys) / sizeof(allow_keys[0]), l->err);
	if (conf_get(n, "who") == NULL)
		rule->any_user = true;
	if (conf_get(n, "where") == NULL)
		rule->any_host = true;
	if (conf_get(n, "as") == NULL)
		rule->any_login = true;
	if (conf_get(n, "may") == NULL)
		rule->rights = MODEL_ALL_RIGHTS;
	if (conf_get(n, "how") != NULL)
		return conf_fail(conf_get(n, "how"), l->err, "nothing here in a deny rule");
	return 0;
}

static int
read_rules(struct load *l, void *obj, const struct conf_node *n)
{
	struct model *m = l->m;
	int r = conf_list(n, l->err);

	(void)obj;
	if (r != 0)
		return r;
	if (conf_n(n) > MODEL_RULES_MAX)
		return conf_fail(n, l->err, "at most %u rules", MODEL_RULES_MAX);
	if ((m->rules = model_alloc(m, conf_n(n), sizeof(*m->rules))) == NULL)
		return -ENOMEM;
	for (; r == 0 && m->n_rules < conf_n(n); m->n_rules += r == 0) {
		const struct conf_node *one = conf_at(n, m->n_rules);

		r = READ_MAP(l, one, rule_fields, &m->rules[m->n_rules]);
		if (r == 0)
			r = check_rule(l, &m->rules[m->n_rules], one);
	}
	return r;
}

/* The whole file. */

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

static const struct field first_fields[] = {
	{ "compat", false, read_compat },
	{ "users", false, read_users },
	{ "hosts", false, read_hosts },
};

static const struct field last_fields[] = {
	{ "rules", false, read_rules },
	{ "audit", false, read_unsupported },
};

static const struct conf_key top_keys[] = { { "compat", false }, { "users", false },
	{ "hosts", false }, { "rules", false }, { "audit", false } };

static int
read_fields(
    struct load *l, const struct conf_node *root, const struct field *fields, size_t n_fields)
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

	for (size_t i = 0; r == 0 && i < m->n_rules; i++)
		for (size_t k = 0; r == 0 && k < m->rules[i].groups.n; k++)
			if (!group_has_members(m, m->rules[i].groups.v[k]))
				r = model_warn(m, "rule %s: nobody is in the group %s",
				    m->rules[i].name, m->rules[i].groups.v[k]);
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
