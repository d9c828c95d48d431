/* Rules against questions. */
#include "config.h"

#include <string.h>

#include "lib/str.h"
#include "policy/command.h"
#include "policy/forward.h"
#include "policy/prefix.h"
#include "policy/rules.h"

static const char *const why_texts[] = {
	[RULES_FITS] = "fits",
	[RULES_WHO] = "who: not one of these people",
	[RULES_SOURCE] = "who.source: another address",
	[RULES_WHERE] = "where: not one of these hosts",
	[RULES_AS] = "as: not one of these logins",
	[RULES_WHEN] = "when: not at this time",
	[RULES_MFA] = "how.mfa: no second factor",
	[RULES_MAY] = "may: not one of these rights",
	[RULES_COMMAND] = "may.exec: not one of these commands",
	[RULES_FORWARD] = "may.forward: not one of these hosts and ports",
	[RULES_REMOTE_FORWARD] = "may.remote_forward: not one of these ports",
};

const char *
rules_why_text(enum rules_why why)
{
	return why_texts[why];
}

static bool
fits_person(const struct model_rule *rule, const struct rules_question *q)
{
	if (rule->any_user || model_strings_has(&rule->users, q->user->name))
		return true;
	for (size_t i = 0; i < q->user->groups.n; i++)
		if (model_strings_has(&rule->groups, q->user->groups.v[i]))
			return true;
	for (size_t i = 0; i < q->n_principals; i++)
		if (model_strings_has(&rule->principals, q->principals[i]))
			return true;
	return false;
}

static bool
fits_source(const struct model_rule *rule, const struct rules_question *q)
{
	for (size_t i = 0; i < rule->n_sources; i++)
		if (net_prefix_has(&rule->sources[i], &q->source))
			return true;
	return rule->n_sources == 0;
}

/* One label of a rule against all of a host. */
static bool
fits_label(const struct model_label *want, const struct model_host *host)
{
	for (size_t i = 0; i < host->n_labels; i++)
		if (strcmp(host->labels[i].key, want->key) == 0)
			return model_strings_has(&want->values, host->labels[i].values.v[0]);
	return false;
}

static bool
fits_host(const struct model_rule *rule, const struct rules_question *q)
{
	bool named = rule->any_host || model_strings_has(&rule->hosts, q->host->name) ||
		     model_strings_has(&rule->hosts, q->host_name);

	for (size_t i = 0; !named && i < rule->patterns.n; i++)
		named = str_match(rule->patterns.v[i], q->host_name);
	for (size_t i = 0; named && i < rule->n_labels; i++)
		named = fits_label(&rule->labels[i], q->host);
	return named;
}

static bool
fits_login(const struct model_rule *rule, const struct rules_question *q)
{
	if (q->login == NULL || rule->any_login)
		return true;
	if (rule->same_login && strcmp(q->login, q->user->name) == 0)
		return true;
	return model_strings_has(&rule->logins, q->login);
}

/*
 * Each says whether the rule's limits of its right hold what is asked for. What is not known yet fits an allow rule, because
 * something of the right is given, and no deny rule, because not all of it is taken.
 */

static bool
holds_command(const struct model_rule *rule, const struct rules_question *q)
{
	const struct model_strings *commands = model_limits(rule, MODEL_EXEC);

	if (q->command == NULL)
		return !rule->deny;
	for (size_t i = 0; i < commands->n; i++)
		if (command_matches(commands->v[i], q->command))
			return true;
	return false;
}

static bool
holds_any(const struct forward_pattern *v, size_t n, const struct model_rule *rule,
    const struct forward *f)
{
	if (f == NULL)
		return !rule->deny;
	for (size_t i = 0; i < n; i++)
		if (forward_fits(&v[i], f))
			return true;
	return false;
}

static bool
holds_forward(const struct model_rule *rule, const struct rules_question *q)
{
	return holds_any(rule->forwards, model_limits(rule, MODEL_FORWARD)->n, rule, q->forward);
}

static bool
holds_remote(const struct model_rule *rule, const struct rules_question *q)
{
	return holds_any(
	    rule->remotes, model_limits(rule, MODEL_REMOTE_FORWARD)->n, rule, q->forward);
}

/* Limits that decide; the paths of SFTP are held against its operations, by the recorder. */
static const struct {
	unsigned right;
	bool (*holds)(const struct model_rule *rule, const struct rules_question *q);
	enum rules_why why;
} limited[] = {
	{ MODEL_EXEC, holds_command, RULES_COMMAND },
	{ MODEL_FORWARD, holds_forward, RULES_FORWARD },
	{ MODEL_REMOTE_FORWARD, holds_remote, RULES_REMOTE_FORWARD },
};
#define N_LIMITED (sizeof(limited) / sizeof(limited[0]))

/* Which of these rights of the rule hold what is asked for. *ret_why: what the last one that does not says. */
static unsigned
holding(const struct model_rule *rule, const struct rules_question *q, unsigned rights,
    enum rules_why *ret_why)
{
	unsigned left = rule->rights & rights;

	for (size_t i = 0; i < N_LIMITED; i++) {
		unsigned right = limited[i].right;

		if ((left & right) == 0 || model_limits(rule, right)->n == 0)
			continue;
		/* What the question does not ask for, it does not say more about either. */
		if ((q->rights & right) != 0 ? limited[i].holds(rule, q) : !rule->deny)
			continue;
		left &= ~right;
		*ret_why = limited[i].why;
	}
	return left;
}

enum rules_why
rules_fit(const struct model_rule *rule, const struct rules_question *q)
{
	enum rules_why why = RULES_MAY;

	if (!fits_person(rule, q))
		return RULES_WHO;
	if (!fits_source(rule, q))
		return RULES_SOURCE;
	if (!fits_host(rule, q))
		return RULES_WHERE;
	if (!fits_login(rule, q))
		return RULES_AS;
	if (!hours_hold(&rule->when, q->now_ns))
		return RULES_WHEN;
	if (rule->mfa && !q->mfa)
		return RULES_MFA;
	if (q->rights == 0)
		return RULES_FITS;
	if ((rule->rights & q->rights) == 0)
		return RULES_MAY;
	return holding(rule, q, q->rights, &why) != 0 ? RULES_FITS : why;
}

/* Whether a rule of this kind fits the situation, whatever is asked for in it. */
static bool
fits_situation(const struct model_rule *rule, const struct rules_question *q, bool deny)
{
	struct rules_question any = *q;

	any.rights = 0;
	return rule->deny == deny && rules_fit(rule, &any) == RULES_FITS;
}

/* What the rules give in this situation, all or some of it. */
static unsigned
collect_given(const struct model *m, const struct rules_question *q)
{
	unsigned rights = 0;

	for (size_t i = 0; i < model_n_rules(m); i++)
		if (fits_situation(model_rule_at(m, i), q, false))
			rights |= model_rule_at(m, i)->rights;
	return rights;
}

/* What they take, of what is asked for. */
static unsigned
collect_denied(const struct model *m, const struct rules_question *q)
{
	enum rules_why why;
	unsigned rights = 0;

	for (size_t i = 0; i < model_n_rules(m); i++)
		if (fits_situation(model_rule_at(m, i), q, true))
			rights |= holding(model_rule_at(m, i), q, MODEL_ALL_RIGHTS, &why);
	return rights;
}

/* The first rule of a kind that fits and has one of these rights. */
static const struct model_rule *
first(const struct model *m, const struct rules_question *q, bool deny, unsigned rights)
{
	struct rules_question one = *q;
	enum rules_why why;

	/* Not by a right that is asked for as well, but was taken. */
	if (q->rights != 0)
		one.rights = rights;
	for (size_t i = 0; i < model_n_rules(m); i++) {
		const struct model_rule *rule = model_rule_at(m, i);

		if (rule->deny == deny && holding(rule, &one, rights, &why) != 0 &&
		    rules_fit(rule, &one) == RULES_FITS)
			return rule;
	}
	return NULL;
}

bool
rules_decide(const struct model *m, const struct rules_question *q,
    const struct model_rule **ret_rule, unsigned *ret_rights)
{
	unsigned denied = collect_denied(m, q);
	unsigned given = collect_given(m, q);
	unsigned left = given & ~denied;
	unsigned wanted = q->rights != 0 ? q->rights : MODEL_ALL_RIGHTS;
	const struct model_rule *rule;

	if (ret_rights != NULL)
		*ret_rights = left;
	rule = first(m, q, false, wanted & left);
	if (rule != NULL) {
		*ret_rule = rule;
		return true;
	}
	/* No: because of a deny rule if it took what an allow rule gives, or all there is; else because nothing gives it. */
	*ret_rule = (wanted & given) != 0 || (denied & wanted) == wanted
			? first(m, q, true, wanted & denied)
			: NULL;
	return false;
}

bool
rules_mfa(const struct model *m, const struct rules_question *q)
{
	unsigned left = ~collect_denied(m, q);
	struct rules_question any = *q;

	any.mfa = true;
	for (size_t i = 0; i < model_n_rules(m); i++)
		if (model_rule_at(m, i)->mfa && (model_rule_at(m, i)->rights & left) != 0 &&
		    fits_situation(model_rule_at(m, i), &any, false))
			return true;
	return false;
}

/* Take a limit in; a path that lies in another adds nothing. */
static void
add_limit(struct rules_limits *to, const char *s, bool path)
{
	size_t kept = 0;

	for (size_t i = 0; i < to->n; i++)
		if (path ? prefix_holds(to->v[i], s) : strcmp(to->v[i], s) == 0)
			return;
	for (size_t i = 0; i < to->n; i++)
		if (!path || !prefix_holds(s, to->v[i]))
			to->v[kept++] = to->v[i];
	to->n = kept;
	if (to->n == RULES_LIMITS_MAX)
		to->more = true;
	else
		to->v[to->n++] = s;
}

static void
collect_limits(const struct model *m, const struct rules_question *q, unsigned right, bool deny,
    struct rules_limits *ret)
{
	ret->any = ret->more = false;
	ret->n = 0;
	for (size_t i = 0; i < model_n_rules(m); i++) {
		const struct model_rule *rule = model_rule_at(m, i);
		const struct model_strings *limits = model_limits(rule, right);

		if ((rule->rights & right) == 0 || !fits_situation(rule, q, deny))
			continue;
		if (limits->n == 0) {
			*ret = (struct rules_limits){ .any = true };
			return;
		}
		for (size_t k = 0; k < limits->n; k++)
			add_limit(ret, limits->v[k], (right & MODEL_SFTP) != 0);
	}
}

void
rules_limits(
    const struct model *m, const struct rules_question *q, unsigned right, struct rules_limits *ret)
{
	collect_limits(m, q, right, false, ret);
}

void
rules_taken(
    const struct model *m, const struct rules_question *q, unsigned right, struct rules_limits *ret)
{
	collect_limits(m, q, right, true, ret);
}

void
rules_recording(const struct model *m, const struct rules_question *q, struct rules_recording *ret)
{
	*ret = (struct rules_recording){ .model = m };
	for (size_t i = 0; i < model_n_rules(m); i++) {
		const struct model_rule *rule = model_rule_at(m, i);

		if (rule->deny || !fits_situation(rule, q, false))
			continue;
		ret->keep_typed = ret->keep_typed || rule->keep_typed;
		ret->masks |= rule->masks;
	}
}

bool
rules_keep(const struct model *m, const struct rules_question *q, unsigned rights)
{
	for (size_t i = 0; i < model_n_rules(m); i++)
		if (model_rule_at(m, i)->keep && (model_rule_at(m, i)->rights & rights) != 0 &&
		    fits_situation(model_rule_at(m, i), q, false))
			return true;
	return false;
}
