/* Commands: on a channel's input a line each, or the one that the channel was opened for. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "bastiond/shell/shell.h"
#include "bastiond/shell/text.h"
#include "lib/str.h"

#define EXIT_USAGE 2u
#define EXIT_UNSURE 3u

/* The command is over: the next one, or the end. */
static void
over(struct shell_chan *c, uint8_t code)
{
	c->code = code;
	if (c->state != CHAN_BUSY)
		return;
	if (c->one_command) {
		chan_finish(c, code);
		return;
	}
	c->state = CHAN_LINES;
	run_lines(c);
}

static void
fail(struct shell_chan *c, uint8_t code, const char *line)
{
	chan_line(c, line);
	over(c, code);
}

static void
show(struct shell_chan *c, uint8_t code, const char *text, size_t len)
{
	struct json_node *root = NULL;
	struct buf *out = buf_new(TEXT_MAX);
	int r = json_parse(text, len, &root);

	if (r == 0 && out != NULL && (r = text_put(c->verb, root, out)) == 0)
		chan_text(c, false, (const char *)buf_ptr(out), buf_len(out));
	json_node_free(root);
	buf_free(out);
	if (r != 0 || out == NULL)
		fail(c, EXIT_UNSURE, "the answer cannot be shown");
	else
		over(c, code);
}

static void
on_answer(void *arg, uint8_t code, const char *text, size_t len, uint32_t leg)
{
	static const struct {
		enum command_verb verb;
		const char *none;
	} nothing[] = {
		{ COMMAND_HOSTS, "no host is open to you at the moment" },
		{ COMMAND_SESSIONS, "no sessions" },
	};
	struct shell_chan *c = arg;
	bool is_json = len > 0 && (text[0] == '{' || text[0] == '[');
	char line[512];

	(void)leg;
	c->ask = NULL;
	if (!is_json) {
		fail(c, code != 0 ? code : EXIT_UNSURE, str_plain(line, sizeof(line), text, len));
		return;
	}
	if (c->json) {
		chan_text(c, false, text, len);
		chan_text(c, false, "\n", 1);
		over(c, code);
		return;
	}
	for (size_t i = 0; code == 1 && i < sizeof(nothing) / sizeof(nothing[0]); i++)
		if (nothing[i].verb == c->verb) {
			fail(c, code, nothing[i].none);
			return;
		}
	show(c, code, text, len);
}

static void
help(struct shell_chan *c)
{
	struct json *j;
	char *text = NULL;
	size_t len;

	if (!c->json) {
		chan_text(c, false, command_help(), strlen(command_help()));
		over(c, 0);
		return;
	}
	j = json_map();
	json_put_str(j, "help", command_help());
	if (json_text(j, false, 65536, &text, &len) == 0) {
		chan_text(c, false, text, len);
		chan_text(c, false, "\n", 1);
	}
	json_free(j);
	over(c, text != NULL ? 0 : EXIT_UNSURE);
	free(text);
}

static void
ask(struct shell_chan *c, const struct command *cmd)
{
	static const char *const verbs[] = { [COMMAND_HOSTS] = "hosts",
		[COMMAND_WHOAMI] = "whoami",
		[COMMAND_EXPLAIN] = "explain" };
	int r = cmd->verb == COMMAND_SESSIONS
		    ? ask_new(c->s, ASK_SESSIONS, "", "", on_answer, c, &c->ask)
		    : ask_new(c->s, ASK_POLICY, verbs[cmd->verb], cmd->arg, on_answer, c, &c->ask);

	if (r != 0)
		fail(c, EXIT_UNSURE, "out of memory");
}

void
run_command(struct shell_chan *c, const uint8_t *line, size_t len)
{
	char text[COMMAND_TEXT_SIZE];
	struct command cmd;

	c->state = CHAN_BUSY;
	if (command_parse(line, len, &cmd, text) != 0) {
		fail(c, EXIT_USAGE, text);
		return;
	}
	c->json = cmd.json;
	c->verb = cmd.verb;
	switch (cmd.verb) {
	case COMMAND_NOTHING:
		over(c, c->code);
		break;
	case COMMAND_EXIT:
		chan_finish(c, c->code);
		break;
	case COMMAND_HELP:
		help(c);
		break;
	case COMMAND_HOSTS:
	case COMMAND_WHOAMI:
	case COMMAND_EXPLAIN:
	case COMMAND_SESSIONS:
		ask(c, &cmd);
		break;
	}
}

void
run_lines(struct shell_chan *c)
{
	uint8_t line[COMMAND_LINE_MAX + 1];

	while (c->state == CHAN_LINES) {
		const uint8_t *p = buf_ptr(c->in), *end;
		size_t len = buf_len(c->in), n;

		end = len > 0 ? memchr(p, '\n', len) : NULL;
		if (end == NULL && !c->in_eof && len <= COMMAND_LINE_MAX)
			return;
		if (len == 0) {
			chan_finish(c, c->code);
			return;
		}
		n = end != NULL ? (size_t)(end - p) + 1 : len;
		/* A copy: the command may be over, and the next line read, before it comes back. */
		len = n < sizeof(line) ? n : sizeof(line);
		memcpy(line, p, len);
		if (buf_skip(c->in, n) != 0)
			return;
		chan_took(c, n);
		run_command(c, line, len);
	}
}
