/* Names to people and hosts, and the choice of a login. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "lib/str.h"
#include "policy/access.h"

#define LOGINS_MAX 16u /* that are offered in a line */

struct logins {
	const char *v[LOGINS_MAX];
	size_t n;
};

struct rules_question
access_question(const struct model_user *user, const char *login, const struct model_host *host,
    const char *host_name, const struct access_person *who)
{
	return (struct rules_question){
		.user = user,
		.principals = who->principals,
		.n_principals = who->n_principals,
		.host = host,
		.host_name = host_name,
		.login = login,
		.source = who->source,
		.now_ns = who->now_ns,
		.mfa = who->mfa,
	};
}

/* The same of somebody who will have shown all that is asked for: what there is to be had. */
static struct rules_question
full_question(const struct model_user *user, const char *login, const struct model_host *host,
    const char *host_name, const struct access_person *who)
{
	struct rules_question q = access_question(user, login, host, host_name, who);

	q.mfa = true;
	return q;
}

static void
deny(struct access *a, const char *reason)
{
	a->outcome = ACCESS_DENIED;
	a->reason = reason;
}

/* Keep a login that the rules let the person have there, once. */
static void
consider(
    const struct model *m, const struct rules_question *q, const char *login, struct logins *found)
{
	struct rules_question one = *q;
	const struct model_rule *rule;

	for (size_t i = 0; i < found->n; i++)
		if (strcmp(found->v[i], login) == 0)
			return;
	one.login = login;
	if (found->n < LOGINS_MAX && rules_decide(m, &one, &rule, NULL))
		found->v[found->n++] = login;
}

static void
find_logins(const struct model *m, const struct rules_question *q, struct logins *found)
{
	for (size_t i = 0; i < model_n_rules(m); i++) {
		const struct model_rule *rule = model_rule_at(m, i);

		if (rule->deny || rules_fit(rule, q) != RULES_FITS)
			continue;
		for (size_t k = 0; k < rule->logins.n; k++)
			consider(m, q, rule->logins.v[k], found);
	}
}

static void
say_logins(struct access *a, const struct logins *found)
{
	size_t at = 0;
	int n = snprintf(a->line, sizeof(a->line),
	    "write %s+LOGIN+%s with one of these logins:", a->user->name, a->host_name);

	for (size_t i = 0; n > 0 && i < found->n && (at += (size_t)n) < sizeof(a->line); i++)
		n = snprintf(
		    a->line + at, sizeof(a->line) - at, "%s %s", i > 0 ? "," : "", found->v[i]);
	a->outcome = ACCESS_SAY;
	a->reason = "several-logins";
}

/* The same name if that is allowed, else the only one that is. false: a->outcome says what came out instead. */
static bool
pick_login(const struct model *m, const struct rules_question *q, struct access *a)
{
	struct logins found = { .n = 0 };
	const char *login = NULL;

	consider(m, q, a->user->name, &found);
	if (found.n == 1) {
		login = a->user->name;
	} else {
		find_logins(m, q, &found);
		if (found.n == 1)
			login = found.v[0];
	}
	if (login == NULL && found.n > 1) {
		say_logins(a, &found);
		return false;
	}
	/* Without any, the rules say why not about the person's own name. */
	return str_copy(a->login, sizeof(a->login), login != NULL ? login : a->user->name) == 0;
}

/* What the host must have before anybody can reach it. */
static const char *
host_lacks(const struct model_host *host)
{
	if (host->n_host_keys + host->n_host_cas == 0)
		return "host-not-pinned";
	return host->key == NULL ? "host-without-key" : NULL;
}

/* "*" is no login's name: it fits only rules that hold any login. */
static bool
has_login(const struct model *m, const struct rules_question *q)
{
	struct logins found = { .n = 0 };

	consider(m, q, q->user->name, &found);
	consider(m, q, "*", &found);
	if (found.n == 0)
		find_logins(m, q, &found);
	return found.n > 0;
}

size_t
access_logins(const struct model *m, const struct model_user *user, const struct model_host *host,
    const char *host_name, const struct access_person *who, struct access_login *ret)
{
	struct rules_question q = full_question(user, NULL, host, host_name, who);
	const struct model_rule *rule;
	struct logins found = { .n = 0 };

	consider(m, &q, user->name, &found);
	find_logins(m, &q, &found);
	consider(m, &q, "*", &found);
	for (size_t i = 0; i < found.n; i++) {
		ret[i] = (struct access_login){ .login = found.v[i] };
		q.login = found.v[i];
		(void)!rules_decide(m, &q, &rule, &ret[i].rights); /* it did a moment ago */
	}
	return found.n;
}

const char *
access_unreachable(const struct model *m, const struct model_user *user,
    const struct model_host *host, const char *host_name, uint16_t port,
    const struct access_person *who)
{
	struct rules_question q = full_question(user, NULL, host, host_name, who);

	if (!has_login(m, &q))
		return "host-not-allowed";
	if (!model_host_has_port(host, port))
		return "port-not-allowed";
	return host_lacks(host);
}

void
access_target(const struct model *m, const struct model_user *user, const char *login,
    const char *host_name, uint16_t port, const struct access_person *who, struct access *a)
{
	struct rules_question q;
	const char *lacks;

	*a = (struct access){ .user = user };
	if (str_copy(a->host_name, sizeof(a->host_name), host_name) != 0 ||
	    str_copy(a->login, sizeof(a->login), login != NULL ? login : "") != 0) {
		deny(a, "bad-name");
		return;
	}
	if ((a->host = model_find_host(m, host_name)) == NULL) {
		deny(a, "unknown-host");
		return;
	}
	a->port = port != 0 ? port : a->host->port;
	q = full_question(user, NULL, a->host, a->host_name, who);
	if (login == NULL && !pick_login(m, &q, a))
		return;
	q.login = a->login;
	if (!rules_decide(m, &q, &a->rule, &a->rights)) {
		deny(a, a->rule != NULL ? "host-denied-by-rule" : "host-not-allowed");
		return;
	}
	if (!model_host_has_port(a->host, a->port)) {
		deny(a, "port-not-allowed");
		return;
	}
	if ((lacks = host_lacks(a->host)) != NULL) {
		deny(a, lacks);
		return;
	}
	rules_recording(m, &q, &a->recording);
	a->keep = rules_keep(m, &q, a->rights & MODEL_FILES);
	a->mfa = rules_mfa(m, &q);
	a->outcome = a->mfa && !who->mfa ? ACCESS_MFA : ACCESS_ALLOWED;
	a->reason = a->outcome == ACCESS_MFA ? "second-factor-needed" : NULL;
}

/* The proved person of that name, or NULL. */
static const struct model_user *
proved(const struct access_person *who, const char *name)
{
	for (size_t i = 0; i < who->n_users; i++)
		if (strcmp(who->users[i]->name, name) == 0)
			return who->users[i];
	return NULL;
}

static void
decide_two(
    const struct model *m, const struct names *n, const struct access_person *who, struct access *a)
{
	const struct model_user *user = proved(who, n->first);

	if (user != NULL)
		access_target(m, user, NULL, n->host, 0, who, a);
	else if (who->n_users == 1)
		access_target(m, who->users[0], n->first, n->host, 0, who, a);
	else
		deny(a, "ambiguous-identity");
}

/* "root@web1" is a person's name here, and not this one's. Who proved to be somebody may hear how the other thing is written. */
static bool
say_at(struct access *a, const char *name)
{
	char better[NAMES_MAX + 1];

	names_guess_at(name, better);
	if (better[0] == '\0')
		return false;
	(void)snprintf(a->line, sizeof(a->line),
	    "your key or certificate does not prove %s; if that is a login and a host, write %s",
	    name, better);
	a->outcome = ACCESS_SAY;
	a->reason = "unproved-identity";
	return true;
}

void
access_decide(const struct model *m, const void *claim, size_t len, const struct access_person *who,
    struct access *a)
{
	char hint[NAMES_HINT_SIZE];
	const struct model_user *user;
	struct names n;

	*a = (struct access){ 0 };
	if (who->n_users == 0) {
		deny(a, "unknown-user");
		return;
	}
	if (names_parse(claim, len, &n, hint) != 0) {
		/* NAMES_HINT_SIZE is less than the line. */
		(void)snprintf(a->line, sizeof(a->line), "%s", hint);
		a->outcome = ACCESS_SAY;
		a->reason = "bad-name";
		return;
	}
	if (n.form == NAMES_TWO) {
		decide_two(m, &n, who, a);
		return;
	}
	if ((user = proved(who, n.first)) == NULL) {
		if (n.form != NAMES_NO_HOST || !say_at(a, n.first))
			deny(a, "unproved-identity");
		return;
	}
	if (n.form == NAMES_NO_HOST) {
		*a = (struct access){ .outcome = ACCESS_NO_HOST, .user = user };
		return;
	}
	access_target(m, user, n.form == NAMES_FULL ? n.login : NULL, n.host, n.port, who, a);
}
