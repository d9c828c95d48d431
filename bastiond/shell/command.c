/* The commands as a table. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "bastiond/shell/command.h"
#include "lib/str.h"

#define SHOWN_SIZE 200u /* bytes of a person's own line in an answer */

static const struct {
	const char *name;
	enum command_verb verb;
	bool needs_arg;
} verbs[] = {
	{ "hosts", COMMAND_HOSTS, false },
	{ "whoami", COMMAND_WHOAMI, false },
	{ "explain", COMMAND_EXPLAIN, true },
	{ "sessions", COMMAND_SESSIONS, false },
	{ "help", COMMAND_HELP, false },
	{ "--help", COMMAND_HELP, false },
	{ "exit", COMMAND_EXIT, false },
	{ "quit", COMMAND_EXIT, false },
	{ "logout", COMMAND_EXIT, false },
};

#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))
#define THE_COMMANDS "hosts, whoami, explain TARGET, sessions, help"

const char *
command_help(void)
{
	return "hosts           the hosts that are open to you, with logins and rights\n"
	       "whoami          who you are here, and by what\n"
	       "explain TARGET  whether you may reach a host, and why; TARGET: web1, root+web1, "
	       "root+web1+2222\n"
	       "sessions        your recorded sessions\n"
	       "help            this\n"
	       "Each takes --json. To reach a host: ssh LOGIN+HOST@BASTION, for example ssh "
	       "root+web1@bastion,\n"
	       "or ssh -J BASTION LOGIN@HOST; on a terminal, ssh BASTION lets you choose one.\n";
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The next word of a text; "" at its end. Cut into dst, of COMMAND_ARG_SIZE bytes; *ret_cut says so. */
static const char *
next_word(const char *p, char *dst, bool *ret_cut)
{
	size_t n = 0;

	while (is_space(*p))
		p++;
	for (; *p != '\0' && !is_space(*p); p++) {
		if (n + 1 < COMMAND_ARG_SIZE)
			dst[n++] = *p;
		else
			*ret_cut = true;
	}
	dst[n] = '\0';
	return p;
}

static int
unknown(const char *line, char *ret_text)
{
	/* SHOWN_SIZE leaves room for the rest. */
	(void)snprintf(ret_text, COMMAND_TEXT_SIZE,
	    "%s: not a command of the bastion (" THE_COMMANDS
	    "); to run it on a host: ssh LOGIN+HOST@BASTION %s",
	    line, line);
	return ERR_FORMAT;
}

static int
wrong(const char *name, const char *what, char *ret_text)
{
	(void)snprintf(ret_text, COMMAND_TEXT_SIZE,
	    "%s: %s; the commands are " THE_COMMANDS ", each with --json", name, what);
	return ERR_FORMAT;
}

/* What follows the name. */
static int
take_args(size_t v, const char *p, struct command *c, char *ret_text)
{
	char word[COMMAND_ARG_SIZE];
	bool cut = false;

	for (p = next_word(p, word, &cut); word[0] != '\0'; p = next_word(p, word, &cut)) {
		if (cut)
			return wrong(verbs[v].name, "a word is too long", ret_text);
		if (strcmp(word, "--json") == 0)
			c->json = true;
		else if (word[0] == '-')
			return wrong(verbs[v].name, "there is no such option", ret_text);
		else if (!verbs[v].needs_arg || c->arg[0] != '\0')
			return wrong(verbs[v].name, "that is one word too many", ret_text);
		else if (str_copy(c->arg, sizeof(c->arg), word) != 0)
			return wrong(verbs[v].name, "a word is too long", ret_text);
	}
	if (verbs[v].needs_arg && c->arg[0] == '\0')
		return wrong(verbs[v].name, "name a host, for example web1 or root+web1", ret_text);
	return 0;
}

int
command_parse(const void *line, size_t len, struct command *ret_command, char *ret_text)
{
	char text[COMMAND_LINE_MAX + 1], word[COMMAND_ARG_SIZE], shown[SHOWN_SIZE];
	struct command c = { .verb = COMMAND_NOTHING };
	bool cut = false;
	const char *p;
	int r;

	while (len > 0 && is_space(((const char *)line)[len - 1]))
		len--;
	str_plain(shown, sizeof(shown), line, len);
	if (len > COMMAND_LINE_MAX || memchr(line, '\0', len) != NULL)
		return unknown(shown, ret_text);
	memcpy(text, line, len);
	text[len] = '\0';
	p = next_word(text, word, &cut);
	/* "--json hosts" is as good as "hosts --json". */
	while (strcmp(word, "--json") == 0) {
		c.json = true;
		p = next_word(p, word, &cut);
	}
	for (size_t v = 0; v < N_VERBS && word[0] != '\0'; v++)
		if (strcmp(verbs[v].name, word) == 0) {
			c.verb = verbs[v].verb;
			if ((r = take_args(v, p, &c, ret_text)) == 0)
				*ret_command = c;
			return r;
		}
	if (word[0] != '\0' || c.json)
		return unknown(shown, ret_text);
	*ret_command = c;
	return 0;
}
