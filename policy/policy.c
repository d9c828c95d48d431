/* Decisions with their reasons, for bastionctl. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/str.h"
#include "policy/access.h"
#include "policy/model.h"
#include "policy/names.h"
#include "policy/policy.h"
#include "policy/reasons.h"
#include "policy/rules.h"
#include "policy/zone.h"

struct policy {
	struct zones *zones;
	struct model *model;
};

int
policy_parse(const char *name, const char *data, size_t len, struct policy **ret_policy,
    struct conf_err *ret_err)
{
	struct policy *p = calloc(1, sizeof(*p));
	int r;

	if (p == NULL)
		return -ENOMEM;
	if ((r = zones_load(ZONE_DIR, (int64_t)(clock_wall_ns() / CLOCK_NS_PER_S), &p->zones)) !=
		0 ||
	    (r = model_load(name, data, len, p->zones, &p->model, ret_err)) != 0) {
		policy_free(p);
		return r;
	}
	*ret_policy = p;
	return 0;
}

int
policy_open(const char *path, struct policy **ret_policy, struct conf_err *ret_err)
{
	char *data = NULL;
	size_t len = 0;
	int r = file_read(path, POLICY_FILE_MAX, &data, &len);

	/* file_read() calls what is no file malformed; here that is a file with wrong contents. */
	if (r != 0)
		return r == ERR_FORMAT ? -EINVAL : r;
	r = policy_parse(path, data, len, ret_policy, ret_err);
	free(data);
	return r;
}

void
policy_free(struct policy *p)
{
	if (p == NULL)
		return;
	model_free(p->model);
	zones_free(p->zones);
	free(p);
}

char *
policy_summary(const struct policy *p, char *dst)
{
	(void)snprintf(dst, POLICY_TEXT_SIZE, "%zu users, %zu hosts, %zu rules",
	    model_n_users(p->model), model_n_hosts(p->model), model_n_rules(p->model));
	return dst;
}

const char *
policy_warning(const struct policy *p, size_t i)
{
	return model_warning(p->model, i);
}

/* Every rule against the login that was decided on, or against any when there is none. */
static int
explain_rules(const struct model *m, const struct access *a, const struct access_person *who,
    struct policy_answer *ret)
{
	struct rules_question q;

	if (a->user == NULL || a->host == NULL)
		return 0;
	q = access_question(
	    a->user, a->login[0] != '\0' ? a->login : NULL, a->host, a->host_name, who);
	if ((ret->steps = calloc(model_n_rules(m) + 1, sizeof(*ret->steps))) == NULL)
		return -ENOMEM;
	for (; ret->n_steps < model_n_rules(m); ret->n_steps++) {
		const struct model_rule *rule = model_rule_at(m, ret->n_steps);
		enum rules_why why = rules_fit(rule, &q);

		ret->steps[ret->n_steps] = (struct policy_step){ rule->name, rule->deny,
			why == RULES_FITS, rule->mfa, rules_why_text(why) };
	}
	return 0;
}

static int
copy_list(const struct rules_limits *from, const char ***ret_v, size_t *ret_n)
{
	if (from->n == 0)
		return 0;
	if ((*ret_v = calloc(from->n, sizeof(**ret_v))) == NULL)
		return -ENOMEM;
	memcpy(*ret_v, from->v, from->n * sizeof(**ret_v));
	*ret_n = from->n;
	return 0;
}

/* The next right of the answer; what there is of it was allocated for all. */
static int
put_right(const struct model *m, const struct rules_question *q, unsigned right,
    struct policy_answer *ret)
{
	struct policy_right *to = &ret->rights[ret->n_rights++];
	struct rules_limits limits;
	int r;

	to->name = model_right_name(right);
	rules_limits(m, q, right, &limits);
	to->more = limits.more;
	if ((r = copy_list(&limits, &to->only, &to->n_only)) != 0)
		return r;
	rules_taken(m, q, right, &limits);
	to->more = to->more || limits.more;
	return copy_list(&limits, &to->never, &to->n_never);
}

static void
right_done(struct policy_right *right)
{
	free(right->only);
	free(right->never);
	*right = (struct policy_right){ .name = NULL };
}

static bool
same_only(const struct policy_right *a, const struct policy_right *b)
{
	if (a->n_only != b->n_only)
		return false;
	for (size_t i = 0; i < a->n_only; i++)
		if (strcmp(a->only[i], b->only[i]) != 0)
			return false;
	return true;
}

/* Reading and writing with the same paths are sftp. */
static void
join_sftp(struct policy_answer *ret)
{
	struct policy_right *read = NULL;

	for (size_t i = 0; i < ret->n_rights; i++)
		if (strcmp(ret->rights[i].name, model_right_name(MODEL_SFTP_READ)) == 0)
			read = &ret->rights[i];
	/* They stand next to each other. */
	if (read == NULL || read + 1 == ret->rights + ret->n_rights ||
	    strcmp(read[1].name, model_right_name(MODEL_SFTP_WRITE)) != 0 ||
	    !same_only(read, read + 1))
		return;
	read->name = "sftp";
	right_done(read + 1);
	ret->n_rights--;
	memmove(
	    read + 1, read + 2, (size_t)(ret->rights + ret->n_rights - (read + 1)) * sizeof(*read));
}

static int
put_rights(const struct model *m, const struct access *a, const struct access_person *who,
    struct policy_answer *ret)
{
	struct rules_question q;
	int r = 0;

	if (a->outcome != ACCESS_ALLOWED)
		return 0;
	q = access_question(a->user, a->login, a->host, a->host_name, who);
	if ((ret->rights = calloc(MODEL_N_RIGHTS, sizeof(*ret->rights))) == NULL)
		return -ENOMEM;
	for (unsigned bit = 1; r == 0 && bit <= MODEL_ALL_RIGHTS; bit <<= 1)
		if ((a->rights & bit) != 0)
			r = put_right(m, &q, bit, ret);
	join_sftp(ret);
	if ((a->rights & MODEL_FILES) != 0)
		ret->files = rules_keep(m, &q, a->rights & MODEL_FILES) ? "keep" : "hash";
	return r;
}

static void
put_text(const struct access *a, struct policy_answer *ret)
{
	const struct reason *reason;

	if (a->outcome == ACCESS_SAY) {
		/* Both are the size of a line. */
		(void)snprintf(ret->text, sizeof(ret->text), "%s", a->line);
		return;
	}
	if (a->reason != NULL && (reason = reason_find(a->reason)) != NULL)
		(void)snprintf(ret->text, sizeof(ret->text), "%s", reason->meaning);
}

bool
policy_reason(const char *word, const char **ret_meaning, const char **ret_next)
{
	const struct reason *reason = reason_find(word);

	if (reason == NULL)
		return false;
	*ret_meaning = reason->meaning;
	*ret_next = reason->next;
	return true;
}

static int
put_answer(const struct model *m, const struct access *a, const struct access_person *who,
    struct policy_answer *ret)
{
	const char *address = a->host == NULL		 ? ""
			      : a->host->address != NULL ? a->host->address
							 : a->host_name;
	int r;

	/* Several logins are as good an answer as one: the host can be reached. */
	ret->allowed = a->outcome == ACCESS_ALLOWED || a->outcome == ACCESS_SAY;
	ret->mfa = a->outcome == ACCESS_ALLOWED && a->mfa;
	ret->reason = a->outcome == ACCESS_DENIED ? a->reason : NULL;
	ret->rule = a->rule != NULL ? a->rule->name : NULL;
	ret->port = a->port;
	put_text(a, ret);
	if ((r = str_copy(ret->login, sizeof(ret->login), a->login)) != 0 ||
	    (r = str_copy(ret->host, sizeof(ret->host), a->host_name)) != 0 ||
	    (r = str_copy(ret->address, sizeof(ret->address), address)) != 0 ||
	    (r = put_rights(m, a, who, ret)) != 0)
		return r;
	return explain_rules(m, a, who, ret);
}

static int
lower_host(char *dst, const char *host)
{
	int r = str_copy(dst, NAMES_FIELD_SIZE, host);

	for (char *p = dst; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return r == 0 && names_is_host(dst) ? 0 : ERR_FORMAT;
}

int
policy_explain(
    const struct policy *p, const struct policy_question *q, struct policy_answer *ret_answer)
{
	const struct model_user *user = model_find_user(p->model, q->identity);
	struct access_person who = {
		.users = &user, .n_users = 1, .now_ns = q->at_ns, .mfa = true
	};
	struct access a = { .outcome = ACCESS_DENIED, .reason = "unknown-user" };
	char host[NAMES_FIELD_SIZE];
	int r;

	*ret_answer = (struct policy_answer){ 0 };
	if (net_parse(q->source != NULL ? q->source : "127.0.0.1", &who.source) != 0 ||
	    lower_host(host, q->host) != 0)
		return ERR_FORMAT;
	if (user != NULL) {
		who.principals = user->principals.v;
		who.n_principals = user->principals.n;
		access_target(p->model, user, q->login, host, q->port, &who, &a);
	} else if ((r = str_copy(a.host_name, sizeof(a.host_name), host)) != 0) {
		return r;
	}
	if ((r = put_answer(p->model, &a, &who, ret_answer)) != 0)
		policy_answer_done(ret_answer);
	return r;
}

void
policy_answer_done(struct policy_answer *a)
{
	for (size_t i = 0; i < a->n_rights; i++)
		right_done(&a->rights[i]);
	free(a->rights);
	a->rights = NULL;
	a->n_rights = 0;
	free(a->steps);
	a->steps = NULL;
	a->n_steps = 0;
}
