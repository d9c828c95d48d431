/* Reading policy.yaml: the rules, and in each who, where, as, may, when and how. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/load.h"

/* Who. */

/* "*" among the names stands for all of them. */
static bool
is_star(const char *s)
{
	return strcmp(s, "*") == 0;
}

static bool
is_name_or_star(const char *s)
{
	return is_star(s) || load_kind_name.ok(s);
}

static int
read_who_users(struct load *l, void *obj, const struct conf_node *n)
{
	static const struct load_kind kind = { is_name_or_star, "a user's name or \"*\"" };
	struct model_rule *rule = obj;
	int r = load_strings(l, n, &kind, &rule->users);

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
	return load_strings(l, n, &load_kind_name, &((struct model_rule *)obj)->groups);
}

static int
read_who_principals(struct load *l, void *obj, const struct conf_node *n)
{
	return load_strings(l, n, &load_kind_principal, &((struct model_rule *)obj)->principals);
}

static int
read_who_source(struct load *l, void *obj, const struct conf_node *n)
{
	struct model_rule *rule = obj;
	const char *s;
	void *v;
	int r = load_list(l, n, sizeof(struct net_prefix), &v);

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

static const struct load_field who_fields[] = {
	{ "users", false, read_who_users },
	{ "groups", false, read_who_groups },
	{ "principals", false, read_who_principals },
	{ "source", false, read_who_source },
};

static int
read_who(struct load *l, void *obj, const struct conf_node *n)
{
	struct model_rule *rule = obj;
	int r = LOAD_MAP(l, n, who_fields, rule);

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

/* Where. */

static bool
is_host_or_star(const char *s)
{
	return is_star(s) || load_is_host_pattern(s);
}

static int
read_where_hosts(struct load *l, void *obj, const struct conf_node *n)
{
	static const struct load_kind kind = { is_host_or_star, "a host's name or \"*\"" };
	struct model_rule *rule = obj;
	int r = load_strings(l, n, &kind, &rule->hosts);

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

static const struct load_kind pattern_kind = { load_is_host_pattern,
	"a pattern of lower case letters, digits and . _ - * ?" };

static int
read_where_patterns(struct load *l, void *obj, const struct conf_node *n)
{
	return load_strings(l, n, &pattern_kind, &((struct model_rule *)obj)->patterns);
}

static int
read_where_labels(struct load *l, void *obj, const struct conf_node *n)
{
	struct model_rule *rule = obj;

	return load_labels(l, n, true, &rule->labels, &rule->n_labels);
}

static const struct load_field where_fields[] = {
	{ "hosts", false, read_where_hosts },
	{ "patterns", false, read_where_patterns },
	{ "labels", false, read_where_labels },
};

static int
read_where(struct load *l, void *obj, const struct conf_node *n)
{
	struct model_rule *rule = obj;
	int r = LOAD_MAP(l, n, where_fields, rule);

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

/* As. */

static bool
is_login(const char *s)
{
	return is_star(s) || strcmp(s, "@self") == 0 || load_kind_name.ok(s);
}

static int
read_as(struct load *l, void *obj, const struct conf_node *n)
{
	static const struct load_kind kind = { is_login, "a login name, \"*\" or \"@self\"" };
	struct model_rule *rule = obj;
	struct model_strings all;
	int r = load_strings(l, n, &kind, &all);

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

/* May. */

static int
read_may(struct load *l, void *obj, const struct conf_node *n)
{
	return load_may(l, obj, n);
}

/* When. */

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

static const struct load_field when_fields[] = {
	{ "days", false, read_when_days },
	{ "hours", false, read_when_hours },
	{ "zone", true, read_when_zone },
};

static int
read_when(struct load *l, void *obj, const struct conf_node *n)
{
	struct model_rule *rule = obj;
	int r = LOAD_MAP(l, n, when_fields, &rule->when);

	if (r != 0)
		return r;
	if (conf_get(n, "days") == NULL && conf_get(n, "hours") == NULL)
		return conf_fail(n, l->err, "days or hours");
	if (conf_get(n, "days") == NULL)
		rule->when.days = 0x7f;
	rule->when.limited = true;
	return 0;
}

/* How. Of what this version does not hold, only what asks for nothing passes. */

static int
read_how_mfa(struct load *l, void *obj, const struct conf_node *n)
{
	return conf_bool(n, &((struct model_rule *)obj)->mfa, l->err);
}

static int
read_how_files(struct load *l, void *obj, const struct conf_node *n)
{
	static const char *const names[] = { "hash", "keep" };
	struct model_rule *rule = obj;
	size_t i;
	int r = conf_choice(n, names, 2, &i, l->err);

	if (r == 0)
		rule->keep = i == 1;
	return r;
}

static const struct load_field how_fields[] = {
	{ "approval", false, load_unsupported },
	{ "mfa", false, read_how_mfa },
	{ "mask", false, load_how_mask },
	{ "typed", false, load_how_typed },
	{ "files", false, read_how_files },
	{ "idle", false, load_unsupported },
	{ "longest", false, load_unsupported },
};

static int
read_how(struct load *l, void *obj, const struct conf_node *n)
{
	return LOAD_MAP(l, n, how_fields, obj);
}

static int
read_rule_name(struct load *l, void *obj, const struct conf_node *n)
{
	struct model_rule *rule = obj;
	int r = load_string(l, n, &load_kind_label, &rule->name);

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
static const struct load_field rule_fields[] = {
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

int
load_rules(struct load *l, void *obj, const struct conf_node *n)
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

		r = LOAD_MAP(l, one, rule_fields, &m->rules[m->n_rules]);
		if (r == 0)
			r = check_rule(l, &m->rules[m->n_rules], one);
	}
	return r;
}
