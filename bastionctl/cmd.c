/* Command lines: taken apart by tables, explained from the same tables. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/cmd.h"
#include "bastionctl/out.h"

#define CMD_LINE_MAX 4096 /* bytes of one message */

static const struct cmd_opt cmd_globals[] = {
	{ "--config", 'f', "FILE", "the server's configuration (else $BASTIOND_CONFIG)" },
	{ "--json", 0, NULL, "one JSON document instead of text" },
	{ "--help", 'h', NULL, "explain the command" },
	{ "--version", 0, NULL, "print the version" },
	{ NULL, 0, NULL, NULL },
};

static void PRINTF_LIKE(1, 0) cmd_say(const char *fmt, va_list ap)
{
	char line[CMD_LINE_MAX], safe[CMD_LINE_MAX];

	(void)vsnprintf(line, sizeof(line), fmt, ap);
	fprintf(stderr, "bastionctl: %s\n", out_line(safe, sizeof(safe), line, strlen(line)));
}

int
cmd_fail(enum cmd_exit code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	cmd_say(fmt, ap);
	va_end(ap);
	return (int)code;
}

int
cmd_print_json(struct json *j, size_t max)
{
	char *text = NULL;
	size_t len = 0;
	int r = json_text(j, true, max, &text, &len);

	json_free(j);
	if (r == 0 && (fwrite(text, 1, len, stdout) != len || putchar('\n') == EOF))
		r = -EIO;
	free(text);
	return r == 0 ? CMD_YES : cmd_fail(CMD_UNSURE, "output: %s", err_str(r));
}

void
cmd_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	cmd_say(fmt, ap);
	va_end(ap);
}

/* word: as on the command line, len bytes without a "=value" part. */
static bool
cmd_opt_is(const struct cmd_opt *o, const char *word, size_t len)
{
	if (len == 2 && word[0] == '-' && word[1] != '-')
		return o->short_name == word[1];
	return strlen(o->name) == len && memcmp(o->name, word, len) == 0;
}

static const struct cmd_opt *
cmd_find_opt(const struct cmd_opt *opts, const char *word, size_t len)
{
	for (const struct cmd_opt *o = opts; o != NULL && o->name != NULL; o++)
		if (cmd_opt_is(o, word, len))
			return o;
	return NULL;
}

/* An option of any command: enough to know whether a value follows, before the command is known. */
static const struct cmd_opt *
cmd_find_any_opt(const struct cmd *const *table, const char *word, size_t len)
{
	const struct cmd_opt *o = cmd_find_opt(cmd_globals, word, len);

	for (size_t i = 0; o == NULL && table[i] != NULL; i++)
		o = cmd_find_opt(table[i]->opts, word, len);
	return o;
}

static int
cmd_parse_opt(
    struct cmd_ctx *c, const struct cmd *const *table, int argc, const char *const *argv, int *i)
{
	const char *word = argv[*i];
	const char *eq = word[1] == '-' ? strchr(word, '=') : NULL;
	size_t len = eq != NULL ? (size_t)(eq - word) : strlen(word);
	const struct cmd_opt *o = cmd_find_any_opt(table, word, len);
	const char *value = "";

	if (o == NULL)
		return cmd_fail(CMD_USAGE, "no option %s: see bastionctl help", word);
	if (o->arg == NULL && eq != NULL)
		return cmd_fail(CMD_USAGE, "%s takes no value", o->name);
	if (o->arg != NULL && eq == NULL && *i + 1 >= argc)
		return cmd_fail(CMD_USAGE, "%s needs a value: %s", o->name, o->arg);
	if (o->arg != NULL)
		value = eq != NULL ? eq + 1 : argv[++*i];
	if (c->n_values == CMD_VALUES_MAX)
		return cmd_fail(CMD_USAGE, "more than %u options", CMD_VALUES_MAX);
	c->values[c->n_values++] = (struct cmd_value){ o->name, value };
	return CMD_YES;
}

static int
cmd_split(struct cmd_ctx *c, const struct cmd *const *table, int argc, const char *const *argv)
{
	bool options = true;
	int r;

	for (int i = 1; i < argc; i++) {
		if (options && strcmp(argv[i], "--") == 0) {
			options = false;
			continue;
		}
		if (options && argv[i][0] == '-' && argv[i][1] != '\0') {
			if ((r = cmd_parse_opt(c, table, argc, argv, &i)) != CMD_YES)
				return r;
			continue;
		}
		if (c->n_words == CMD_WORDS_MAX)
			return cmd_fail(CMD_USAGE, "more than %u words", CMD_WORDS_MAX);
		c->words[c->n_words++] = argv[i];
	}
	c->words[c->n_words] = NULL;
	return CMD_YES;
}

static bool
cmd_has_noun(const struct cmd *const *table, const char *noun)
{
	for (size_t i = 0; table[i] != NULL; i++)
		if (strcmp(table[i]->noun, noun) == 0)
			return true;
	return false;
}

static const struct cmd *
cmd_match(const struct cmd *const *table, const char *const *words, size_t n_words)
{
	for (size_t i = 0; table[i] != NULL; i++) {
		const struct cmd *k = table[i];

		if (n_words < 1 || strcmp(k->noun, words[0]) != 0)
			continue;
		if (k->verb == NULL || (n_words > 1 && strcmp(k->verb, words[1]) == 0))
			return k;
	}
	return NULL;
}

static int
cmd_no_match(struct cmd_ctx *c, const struct cmd *const *table)
{
	if (c->n_words == 0)
		return CMD_YES;
	if (!cmd_has_noun(table, c->words[0]))
		return cmd_fail(CMD_USAGE, "no command %s: see bastionctl help", c->words[0]);
	if (c->help)
		return CMD_YES;
	if (c->n_words == 1)
		return cmd_fail(
		    CMD_USAGE, "%s what? see bastionctl help %s", c->words[0], c->words[0]);
	return cmd_fail(CMD_USAGE, "no command %s %s: see bastionctl help %s", c->words[0],
	    c->words[1], c->words[0]);
}

/* Settle the options that every command has, and refuse those that this one has not. */
static int
cmd_check_opts(struct cmd_ctx *c)
{
	for (size_t i = 0; i < c->n_values; i++) {
		const char *name = c->values[i].name;

		if (strcmp(name, "--config") == 0)
			c->file = c->values[i].value;
		else if (strcmp(name, "--json") == 0)
			c->json = true;
		else if (strcmp(name, "--help") == 0)
			c->help = true;
		else if (strcmp(name, "--version") == 0)
			c->version = true;
		else if (c->cmd == NULL || cmd_find_opt(c->cmd->opts, name, strlen(name)) == NULL)
			return cmd_fail(CMD_USAGE,
			    "%s does not go with this command: see bastionctl help %s", name,
			    c->n_words > 0 ? c->words[0] : "");
	}
	return CMD_YES;
}

static int
cmd_check_args(struct cmd_ctx *c)
{
	size_t n = c->n_words - c->n_command_words;

	if (c->help || c->version)
		return CMD_YES;
	if (n < c->cmd->min_args || n > c->cmd->max_args)
		return cmd_fail(CMD_USAGE, "usage: bastionctl %s%s%s%s%s", c->cmd->noun,
		    c->cmd->verb != NULL ? " " : "", c->cmd->verb != NULL ? c->cmd->verb : "",
		    c->cmd->args[0] != '\0' ? " " : "", c->cmd->args);
	return CMD_YES;
}

int
cmd_parse(struct cmd_ctx *c, const struct cmd *const *table, int argc, const char *const *argv)
{
	int r;

	memset(c, 0, sizeof(*c));
	c->broker_fd = -1;
	if ((r = cmd_split(c, table, argc, argv)) != CMD_YES)
		return r;
	c->cmd = cmd_match(table, c->words, c->n_words);
	if ((r = cmd_check_opts(c)) != CMD_YES)
		return r;
	if (c->cmd == NULL)
		return cmd_no_match(c, table);
	c->n_command_words = c->cmd->verb != NULL ? 2 : 1;
	return cmd_check_args(c);
}

const char *
cmd_opt(const struct cmd_ctx *c, const char *name)
{
	const char *value = NULL;

	for (size_t i = 0; i < c->n_values; i++)
		if (strcmp(c->values[i].name, name) == 0)
			value = c->values[i].value;
	return value;
}

const char *
cmd_opt_at(const struct cmd_ctx *c, const char *name, size_t i)
{
	for (size_t j = 0; j < c->n_values; j++)
		if (strcmp(c->values[j].name, name) == 0 && i-- == 0)
			return c->values[j].value;
	return NULL;
}

static void
cmd_usage_line(const struct cmd *k, char *dst, size_t size)
{
	(void)snprintf(dst, size, "%s%s%s%s%s", k->noun, k->verb != NULL ? " " : "",
	    k->verb != NULL ? k->verb : "", k->args[0] != '\0' ? " " : "", k->args);
}

static void
cmd_help_row(const struct cmd *k)
{
	char usage[256];

	cmd_usage_line(k, usage, sizeof(usage));
	printf("  %-28s %s\n", usage, k->help);
}

static void
cmd_help_opts(const struct cmd_opt *opts)
{
	for (const struct cmd_opt *o = opts; o != NULL && o->name != NULL; o++) {
		char left[128], shrt[8] = "";

		if (o->short_name != 0)
			(void)snprintf(shrt, sizeof(shrt), "-%c, ", o->short_name);
		(void)snprintf(left, sizeof(left), "%s%s%s%s", shrt, o->name,
		    o->arg != NULL ? " " : "", o->arg != NULL ? o->arg : "");
		printf("  %-28s %s\n", left, o->help);
	}
}

void
cmd_help_all(const struct cmd *const *table)
{
	puts("usage: bastionctl [-f FILE] [--json] COMMAND\n");
	for (size_t i = 0; table[i] != NULL; i++)
		cmd_help_row(table[i]);
	puts("\nfor every command:");
	cmd_help_opts(cmd_globals);
	puts("\nexit codes: 0 yes, 1 no, 2 usage, 3 could not find out");
}

void
cmd_help_noun(const struct cmd *const *table, const char *noun)
{
	for (size_t i = 0; table[i] != NULL; i++)
		if (strcmp(table[i]->noun, noun) == 0)
			cmd_help_row(table[i]);
}

void
cmd_help_one(const struct cmd *k)
{
	char usage[256];

	cmd_usage_line(k, usage, sizeof(usage));
	printf("usage: bastionctl [-f FILE] [--json] %s%s\n\n%s\n", usage,
	    k->opts != NULL ? " [OPTION ...]" : "", k->help);
	if (k->opts != NULL) {
		puts("");
		cmd_help_opts(k->opts);
	}
}

static int
cmd_help_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	const struct cmd *k = cmd_match(cmd_table, args, (size_t)n_args);

	(void)c;
	if (n_args == 0)
		cmd_help_all(cmd_table);
	else if (k != NULL)
		cmd_help_one(k);
	else if (n_args == 1 && cmd_has_noun(cmd_table, args[0]))
		cmd_help_noun(cmd_table, args[0]);
	else
		return cmd_fail(CMD_USAGE, "no command %s%s%s: see bastionctl help", args[0],
		    n_args > 1 ? " " : "", n_args > 1 ? args[1] : "");
	return CMD_YES;
}

const struct cmd cmd_help = { "help", NULL, "[COMMAND]", "this list, or one command explained",
	CMD_NOTHING, 0, 2, NULL, cmd_help_run };
