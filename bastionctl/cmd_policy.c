/* policy check, policy explain: the policy file as bastiond-policy would read it and decide by it. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/cmd.h"
#include "bastionctl/out.h"
#include "bastionctl/when.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/num.h"
#include "lib/str.h"
#include "policy/policy.h"

#define POLICY_JSON_MAX (1u << 20) /* bytes of one document */

static const struct cmd_opt policy_explain_opts[] = {
	{ "--login", 0, "LOGIN", "the account on the host (otherwise: what the policy gives)" },
	{ "--port", 0, "PORT", "the port (otherwise: the host's own)" },
	{ "--source", 0, "ADDRESS", "where the person comes from (otherwise: 127.0.0.1)" },
	{ "--at", 0, "TIME", "at this moment, e.g. \"2026-01-02 22:30\" (otherwise: now)" },
	{ NULL, 0, NULL, NULL },
};

/* The file that the command is about. CMD_YES, or the exit code after a line. */
static int
policy_load(const char *path, struct policy **ret_policy)
{
	struct conf_err err = { "" };
	int r = policy_open(path, ret_policy, &err);

	if (r == 0)
		return CMD_YES;
	if (r == ERR_FORMAT)
		return cmd_fail(CMD_NO, "%s", err.text);
	return cmd_fail(CMD_UNSURE, "%s: %s", path, err_str(r));
}

static int
policy_check_json(const char *path, const struct policy *p)
{
	struct json *j = json_map(), *list = json_list();
	char summary[POLICY_TEXT_SIZE];
	const char *warning;

	json_put_bool(j, "valid", true);
	json_put_str(j, "file", path);
	json_put_str(j, "summary", policy_summary(p, summary));
	for (size_t i = 0; (warning = policy_warning(p, i)) != NULL; i++)
		json_put_str(list, NULL, warning);
	json_put(j, "warnings", list);
	return cmd_print_json(j, POLICY_JSON_MAX);
}

static int
policy_check(struct cmd_ctx *c, int n_args, const char *const *args)
{
	char summary[POLICY_TEXT_SIZE];
	struct policy *p = NULL;
	const char *path, *warning;
	int r;

	if (n_args == 0 && (r = cmd_load_config(c)) != CMD_YES)
		return r;
	path = n_args > 0 ? args[0] : c->policy;
	if ((r = policy_load(path, &p)) != CMD_YES)
		return r;
	if (c->json) {
		r = policy_check_json(path, p);
	} else {
		for (size_t i = 0; (warning = policy_warning(p, i)) != NULL; i++)
			cmd_note("%s: %s", path, warning);
		if (printf("%s: good: %s\n", path, policy_summary(p, summary)) < 0)
			r = CMD_UNSURE;
	}
	policy_free(p);
	return r;
}

static void
policy_write_right(FILE *f, const struct policy_right *right)
{
	for (size_t i = 0; i < right->n_only; i++)
		fprintf(f, "    %s only: %s\n", right->name, right->only[i]);
	for (size_t i = 0; i < right->n_never; i++)
		fprintf(f, "    %s never: %s\n", right->name, right->never[i]);
	if (right->more)
		fprintf(f, "    %s: there are more\n", right->name);
}

static void
policy_write_rights(FILE *f, const struct policy_answer *a)
{
	if (a->n_rights == 0)
		return;
	fprintf(f, "  may:");
	for (size_t i = 0; i < a->n_rights; i++)
		fprintf(f, " %s", a->rights[i].name);
	fprintf(f, "\n");
	for (size_t i = 0; i < a->n_rights; i++)
		policy_write_right(f, &a->rights[i]);
	if (a->files != NULL)
		fprintf(f, "  files: %s\n", a->files);
}

static void
policy_write(FILE *f, const struct policy_question *q, const struct policy_answer *a)
{
	if (a->allowed && a->login[0] == '\0')
		fprintf(f, "yes: %s reaches %s: %s\n", q->identity, a->host, a->text);
	else if (a->allowed)
		fprintf(f, "yes: %s may log in as %s on %s (%s port %u)\n", q->identity, a->login,
		    a->host, a->address, (unsigned)a->port);
	else
		fprintf(f, "no: %s%s%s on %s: %s: %s\n", q->identity,
		    a->login[0] != '\0' ? " as " : "", a->login, a->host, a->reason, a->text);
	if (a->rule != NULL)
		fprintf(f, "  rule: %s\n", a->rule);
	if (a->mfa)
		fprintf(f, "  second factor: needed\n");
	policy_write_rights(f, a);
	if (a->n_steps > 0)
		fprintf(f, "  rules, in the order of the file (what a deny that fits takes, no "
			   "rule gives):\n");
	for (size_t i = 0; i < a->n_steps; i++)
		fprintf(f, "    %s %s%s: %s\n", a->steps[i].deny ? "deny " : "allow",
		    a->steps[i].rule, a->steps[i].mfa ? " (second factor)" : "", a->steps[i].why);
}

/* Through memory, so that nothing in a name acts on the terminal. */
static int
policy_show(const struct policy_question *q, const struct policy_answer *a)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return cmd_fail(CMD_UNSURE, "%s", err_str(-ENOMEM));
	policy_write(f, q, a);
	if (fclose(f) != 0) {
		free(text);
		return cmd_fail(CMD_UNSURE, "%s", err_str(-ENOMEM));
	}
	out_text(stdout, text);
	free(text);
	return CMD_YES;
}

static struct json *
policy_steps_json(const struct policy_answer *a)
{
	struct json *list = json_list();

	for (size_t i = 0; i < a->n_steps; i++) {
		struct json *one = json_map();

		json_put_str(one, "name", a->steps[i].rule);
		json_put_bool(one, "deny", a->steps[i].deny);
		json_put_bool(one, "fits", a->steps[i].fits);
		json_put_bool(one, "mfa", a->steps[i].mfa);
		json_put_str(one, "why", a->steps[i].why);
		json_put(list, NULL, one);
	}
	return list;
}

static void
policy_put_text(struct json *j, const char *key, const char *s)
{
	if (s != NULL && s[0] != '\0')
		json_put_str(j, key, s);
	else
		json_put_null(j, key);
}

/* Nothing for a right that has none. */
static void
policy_put_list(struct json *j, const char *key, const char *const *v, size_t n)
{
	struct json *list;

	if (n == 0)
		return;
	list = json_list();
	for (size_t i = 0; i < n; i++)
		json_put_str(list, NULL, v[i]);
	json_put(j, key, list);
}

static int
policy_show_json(const struct policy_question *q, const struct policy_answer *a)
{
	struct json *j = json_map(), *may = json_list();
	struct json *only = json_map(), *never = json_map();

	json_put_bool(j, "allowed", a->allowed);
	json_put_str(j, "identity", q->identity);
	policy_put_text(j, "login", a->login);
	json_put_str(j, "host", a->host);
	policy_put_text(j, "address", a->address);
	json_put_u64(j, "port", a->port);
	json_put_str(j, "source", q->source != NULL ? q->source : "127.0.0.1");
	json_put_time(j, "at", q->at_ns);
	policy_put_text(j, "rule", a->rule);
	policy_put_text(j, "reason", a->reason);
	policy_put_text(j, "text", a->text);
	json_put_bool(j, "mfa", a->mfa);
	for (size_t i = 0; i < a->n_rights; i++) {
		const struct policy_right *right = &a->rights[i];

		json_put_str(may, NULL, right->name);
		policy_put_list(only, right->name, right->only, right->n_only);
		policy_put_list(never, right->name, right->never, right->n_never);
	}
	json_put(j, "may", may);
	json_put(j, "only", only);
	json_put(j, "never", never);
	policy_put_text(j, "files", a->files);
	json_put(j, "rules", policy_steps_json(a));
	return cmd_print_json(j, POLICY_JSON_MAX);
}

/* The options as a question. CMD_YES; CMD_USAGE after a line. */
static int
policy_read_question(const struct cmd_ctx *c, const char *const *args, struct policy_question *q)
{
	const char *port = cmd_opt(c, "--port"), *at = cmd_opt(c, "--at");
	uint64_t number = 0, now = clock_wall_ns();

	*q = (struct policy_question){ .identity = args[0],
		.host = args[1],
		.login = cmd_opt(c, "--login"),
		.source = cmd_opt(c, "--source"),
		.at_ns = now };
	if (port != NULL && num_parse(port, 1, 65535, &number) != 0)
		return cmd_fail(CMD_USAGE, "--port %s: expected a number from 1 to 65535", port);
	q->port = (uint16_t)number;
	if (at != NULL && when_parse(at, now, &q->at_ns) != 0)
		return cmd_fail(
		    CMD_USAGE, "--at %s: expected a time such as \"2026-01-02 22:30\"", at);
	return CMD_YES;
}

static int
policy_explain_cmd(struct cmd_ctx *c, int n_args, const char *const *args)
{
	struct policy_answer a = { 0 };
	struct policy_question q;
	struct policy *p = NULL;
	int r, e;

	(void)n_args;
	if ((r = policy_read_question(c, args, &q)) != CMD_YES ||
	    (r = policy_load(c->policy, &p)) != CMD_YES)
		/* A policy that does not load is not an answer to the question. */
		return r == CMD_NO ? CMD_UNSURE : r;
	e = policy_explain(p, &q, &a);
	if (e == ERR_FORMAT)
		r = cmd_fail(CMD_USAGE,
		    "expected a host's name and an address, found \"%s\" and \"%s\"", q.host,
		    q.source != NULL ? q.source : "127.0.0.1");
	else if (e != 0)
		r = cmd_fail(CMD_UNSURE, "%s", err_str(e));
	else if (c->json)
		r = policy_show_json(&q, &a);
	else
		r = policy_show(&q, &a);
	if (r == CMD_YES && !a.allowed)
		r = CMD_NO;
	policy_answer_done(&a);
	policy_free(p);
	return r;
}

const struct cmd cmd_policy_check = {
	.noun = "policy",
	.verb = "check",
	.args = "[FILE]",
	.help = "whether a policy file is good (default: the configured one)",
	.needs = CMD_NOTHING,
	.min_args = 0,
	.max_args = 1,
	.run = policy_check,
};

const struct cmd cmd_policy_explain = {
	.noun = "policy",
	.verb = "explain",
	.args = "IDENTITY HOST",
	.help = "whether somebody may log in on a host, and by which rule",
	.needs = CMD_CONFIG,
	.min_args = 2,
	.max_args = 2,
	.opts = policy_explain_opts,
	.run = policy_explain_cmd,
};
