/* Rules against questions. */
#include "config.h"

#include <string.h>

#include "lib/str.h"
#include "policy/command.h"
#include "policy/rules.h"

static const char *const why_texts[] = {
	[RULES_FITS] = "fits",
	[RULES_WHO] = "who: not one of these people",
	[RULES_SOURCE] = "who.source: another address",
	[RULES_WHERE] = "where: not one of these hosts",
	[RULES_AS] = "as: not one of these logins",
	[RULES_WHEN] = "when: not at this time",
	[RULES_MAY] = "may: not one of these rights",
	[RULES_COMMAND] = "may.exec: not one of these commands",
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

static bool
fits_command(const struct model_rule *rule, const struct rules_question *q)
{
	/* Other rights that are asked for beside exec have no patterns. */
	if (rule->commands.n == 0 || q->command == NULL || (rule->rights & q->rights) != MODEL_EXEC)
		return true;
	for (size_t i = 0; i < rule->commands.n; i++)
		if (command_matches(rule->commands.v[i], q->command))
			return true;
	return false;
}

enum rules_why
rules_fit(const struct model_rule *rule, const struct rules_question *q)
{
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
	if (q->rights != 0 && (rule->rights & q->rights) == 0)
		return RULES_MAY;
	return fits_command(rule, q) ? RULES_FITS : RULES_COMMAND;
}

/* What the rules of one kind take or give in this situation, whatever is asked. */
static unsigned
collect(const struct model *m, const struct rules_question *q, bool deny)
{
	struct rules_question any = *q;
	unsigned rights = 0;

	any.rights = 0;
	for (size_t i = 0; i < model_n_rules(m); i++) {
		const struct model_rule *rule = model_rule_at(m, i);

		if (rule->deny == deny && rules_fit(rule, &any) == RULES_FITS)
			rights |= rule->rights;
	}
	return rights;
}

/* The first rule of a kind that fits and has one of these rights. */
static const struct model_rule *
first(const struct model *m, const struct rules_question *q, bool deny, unsigned rights)
{
	for (size_t i = 0; i < model_n_rules(m); i++) {
		const struct model_rule *rule = model_rule_at(m, i);

		if (rule->deny == deny && (rule->rights & rights) != 0 &&
		    rules_fit(rule, q) == RULES_FITS)
			return rule;
	}
	return NULL;
}

bool
rules_decide(const struct model *m, const struct rules_question *q,
    const struct model_rule **ret_rule, unsigned *ret_rights)
{
	unsigned denied = collect(m, q, true);
	unsigned given = collect(m, q, false);
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
