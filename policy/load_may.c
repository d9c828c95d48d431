/* Reading what a rule gives or takes: its rights, and what each is limited to. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "lib/str.h"
#include "policy/command.h"
#include "policy/load.h"
#include "policy/prefix.h"

#define RIGHTS_TEXT_SIZE 160 /* bytes of the names of all rights */
#define SSH_PORT 22

/* One word of the list, and the function that reads the list behind it. */
struct right {
	const char *name;
	int (*read)(struct load *l, struct model_rule *rule, unsigned rights,
	    const struct conf_node *list); /* NULL: there is none */
	unsigned rights;
	bool only_list; /* an allow rule must have it */
};

static bool
is_command(const char *s)
{
	return command_pattern_check(s) == 0;
}

static int
read_commands(
    struct load *l, struct model_rule *rule, unsigned rights, const struct conf_node *list)
{
	static const struct load_kind kind = { is_command,
		"a command of 1 to 512 printable bytes" };
	struct model_strings *to = &rule->limits[model_right_index(rights)];
	int r;

	if (rule->deny)
		return conf_fail(list, l->err,
		    "no commands in a deny rule (a command can be written in many ways: list what "
		    "is allowed)");
	if ((r = load_strings(l, list, &kind, to)) != 0)
		return r;
	return to->n > 0 ? 0 : conf_fail(list, l->err, "at least one command");
}

static bool
is_prefix(const char *s)
{
	return prefix_check(s) == 0;
}

/* "/srv/" is kept as "/srv", the form that everything is compared in. */
static int
cut_slash(struct load *l, const char **path)
{
	size_t len = strlen(*path);
	char *copy;

	if (len < 2 || (*path)[len - 1] != '/')
		return 0;
	if ((copy = model_alloc(l->m, len, 1)) == NULL)
		return -ENOMEM;
	memcpy(copy, *path, len - 1);
	*path = copy;
	return 0;
}

static int
read_paths(struct load *l, struct model_rule *rule, unsigned rights, const struct conf_node *list)
{
	static const struct load_kind kind = { is_prefix,
		"an absolute path of at most 512 bytes, without \"..\", \".\", \"//\", wildcards "
		"and control characters" };
	struct model_strings paths;
	int r;

	if (rule->deny)
		return conf_fail(list, l->err,
		    "no paths in a deny rule (a link can lead to a path: list what is allowed)");
	if ((r = load_strings(l, list, &kind, &paths)) != 0)
		return r;
	if (paths.n == 0 || paths.n > MODEL_PATHS_MAX)
		return conf_fail(list, l->err, "1 to %u paths", MODEL_PATHS_MAX);
	for (size_t i = 0; r == 0 && i < paths.n; i++)
		r = cut_slash(l, &paths.v[i]);
	for (unsigned bit = 1; bit <= MODEL_ALL_RIGHTS; bit <<= 1)
		if ((rights & bit) != 0)
			rule->limits[model_right_index(bit)] = paths;
	return r;
}

/* Not a kind of string: its errors say more, and what is read is kept. */
static int
read_forward(struct load *l, const struct model_rule *rule, bool remote, const struct conf_node *n,
    const char **ret_text, struct forward_pattern *ret)
{
	const char *why = "";
	int r;

	if ((r = conf_str(n, ret_text, l->err)) != 0)
		return r;
	if (forward_parse(*ret_text, remote, ret, &why) != 0)
		return conf_fail(n, l->err, "%s", why);
	if (rule->deny && !ret->any_host)
		return conf_fail(n, l->err,
		    "\"*:port\" in a deny rule (a host has many names and addresses: list what is "
		    "allowed)");
	return 0;
}

static int
read_forwards(
    struct load *l, struct model_rule *rule, unsigned rights, const struct conf_node *list)
{
	struct model_strings *to = &rule->limits[model_right_index(rights)];
	bool remote = rights == MODEL_REMOTE_FORWARD;
	struct forward_pattern *patterns;
	void *texts, *v;
	int r;

	if ((r = load_list(l, list, sizeof(const char *), &texts)) != 0 ||
	    (r = load_list(l, list, sizeof(*patterns), &v)) != 0)
		return r;
	if (conf_n(list) == 0)
		return conf_fail(list, l->err, "at least one %s", remote ? "port" : "host:port");
	patterns = v;
	to->v = texts;
	for (to->n = 0; r == 0 && to->n < conf_n(list); to->n += r == 0)
		r = read_forward(
		    l, rule, remote, conf_at(list, to->n), &to->v[to->n], &patterns[to->n]);
	if (remote)
		rule->remotes = patterns;
	else
		rule->forwards = patterns;
	return r;
}

static const struct right rights[] = {
	{ "shell", NULL, MODEL_SHELL, false },
	{ "exec", read_commands, MODEL_EXEC, false },
	{ "sftp", read_paths, MODEL_SFTP, false },
	{ "sftp-read", read_paths, MODEL_SFTP_READ, false },
	{ "sftp-write", read_paths, MODEL_SFTP_WRITE, false },
	{ "scp", NULL, MODEL_SCP, false },
	{ "rsync", NULL, MODEL_RSYNC, false },
	{ "forward", read_forwards, MODEL_FORWARD, true },
	{ "remote_forward", read_forwards, MODEL_REMOTE_FORWARD, true },
	{ "agent", NULL, MODEL_AGENT, false },
	{ "x11", NULL, MODEL_X11, false },
};
#define N_RIGHTS (sizeof(rights) / sizeof(rights[0]))

static int
unknown_right(struct load *l, const struct conf_node *n, const char *word)
{
	const char *names[N_RIGHTS], *near;
	char known[RIGHTS_TEXT_SIZE] = "";
	size_t at = 0;

	for (size_t i = 0; i < N_RIGHTS; i++) {
		names[i] = rights[i].name;
		if (str_format(
			known + at, sizeof(known) - at, "%s%s", i > 0 ? ", " : "", names[i]) == 0)
			at += strlen(known + at);
	}
	if ((near = conf_near(word, names, N_RIGHTS)) != NULL)
		return conf_fail(
		    n, l->err, "one of the rights %s (did you mean \"%s\"?)", known, near);
	return conf_fail(n, l->err, "one of the rights %s", known);
}

static int
add_right(struct load *l, struct model_rule *rule, const struct conf_node *n, const char *name,
    const struct right **ret_right)
{
	size_t i = 0;

	while (i < N_RIGHTS && strcmp(rights[i].name, name) != 0)
		i++;
	if (i == N_RIGHTS)
		return unknown_right(l, n, name);
	if ((rule->rights & rights[i].rights) != 0)
		return conf_fail(n, l->err, "each right once (sftp is sftp-read and sftp-write)");
	rule->rights |= rights[i].rights;
	*ret_right = &rights[i];
	return 0;
}

/* {exec: ["systemctl status *"]} */
static int
read_limited(struct load *l, struct model_rule *rule, const struct conf_node *n)
{
	const struct right *right = &rights[0];
	int r;

	if (conf_n(n) != 1)
		return conf_fail(n, l->err, "a map of one right");
	if ((r = add_right(l, rule, conf_key_node_at(n, 0), conf_key_at(n, 0), &right)) != 0)
		return r;
	if (right->read == NULL)
		return conf_fail(conf_key_node_at(n, 0), l->err,
		    "one of the rights that take a list: exec, sftp, sftp-read, sftp-write, "
		    "forward, remote_forward");
	return right->read(l, rule, right->rights, conf_at(n, 0));
}

static int
read_whole(struct load *l, struct model_rule *rule, const struct conf_node *n)
{
	const struct right *right = &rights[0];
	const char *name;
	int r;

	if ((r = conf_str(n, &name, l->err)) != 0 || (r = add_right(l, rule, n, name, &right)) != 0)
		return r;
	if (!right->only_list || rule->deny)
		return 0;
	return conf_fail(n, l->err, "{%s: [\"%s\"]}, a list of where to (\"*:*\" is everywhere)",
	    right->name, right->rights == MODEL_FORWARD ? "host:port" : "port");
}

int
load_may(struct load *l, struct model_rule *rule, const struct conf_node *n)
{
	int r = conf_list(n, l->err);

	if (r == 0 && conf_n(n) == 0)
		r = conf_fail(n, l->err, "at least one right");
	for (size_t i = 0; r == 0 && i < conf_n(n); i++) {
		const struct conf_node *one = conf_at(n, i);

		r = conf_node_type(one) == CONF_MAP ? read_limited(l, rule, one)
						    : read_whole(l, rule, one);
	}
	return r;
}

/* A path inside another of the same list. */
static int
warn_paths(struct model *m, const struct model_rule *rule, unsigned right)
{
	const struct model_strings *paths = model_limits(rule, right);
	int r = 0;

	for (size_t i = 0; r == 0 && i < paths->n; i++)
		for (size_t k = 0; k < paths->n; k++) {
			if (i == k || !prefix_holds(paths->v[k], paths->v[i]) ||
			    (i < k && strcmp(paths->v[i], paths->v[k]) == 0))
				continue;
			r = model_warn(m, "rule %s: %s: %s is in %s already", rule->name,
			    model_right_name(right), paths->v[i], paths->v[k]);
			break;
		}
	return r;
}

/* Paths hold SFTP; what gives files in another way leads around them. */
static int
warn_around(struct model *m, const struct model_rule *rule)
{
	static const unsigned around[] = { MODEL_SHELL, MODEL_EXEC, MODEL_SCP, MODEL_RSYNC };
	int r = 0;

	if (model_limits(rule, MODEL_SFTP_READ)->n + model_limits(rule, MODEL_SFTP_WRITE)->n == 0)
		return 0;
	for (size_t i = 0; r == 0 && i < sizeof(around) / sizeof(around[0]); i++)
		if ((rule->rights & around[i]) != 0 && model_limits(rule, around[i])->n == 0)
			r = model_warn(m,
			    "rule %s: %s is not held to the paths of sftp: whoever has it gets "
			    "around them",
			    rule->name, model_right_name(around[i]));
	return r;
}

/* A stream that opens like SSH is cut. */
static int
warn_ssh(struct model *m, const struct model_rule *rule)
{
	const struct model_strings *list = model_limits(rule, MODEL_FORWARD);
	int r = 0;

	for (size_t i = 0; r == 0 && i < list->n; i++)
		if (rule->forwards[i].path == NULL && rule->forwards[i].from == SSH_PORT &&
		    rule->forwards[i].to == SSH_PORT)
			r = model_warn(m,
			    "rule %s: forward %s: SSH through a forward is cut (people use ssh -J "
			    "with a rule for that host)",
			    rule->name, list->v[i]);
	return r;
}

int
load_warn_may(struct model *m, const struct model_rule *rule)
{
	int r;

	if ((r = warn_around(m, rule)) != 0 || (r = warn_paths(m, rule, MODEL_SFTP_READ)) != 0 ||
	    (r = warn_ssh(m, rule)) != 0)
		return r;
	if (model_limits(rule, MODEL_SFTP_READ)->v != model_limits(rule, MODEL_SFTP_WRITE)->v &&
	    (r = warn_paths(m, rule, MODEL_SFTP_WRITE)) != 0)
		return r;
	if (rule->keep && (rule->rights & MODEL_FILES) == 0)
		return model_warn(m,
		    "rule %s: files: keep is about sftp, scp and rsync, which it does not give",
		    rule->name);
	return 0;
}
