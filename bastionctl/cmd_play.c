/* play: a session as its user saw it, on the terminal of somebody whom it must not harm. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bastionctl/cmd.h"
#include "bastionctl/export.h"
#include "bastionctl/play.h"
#include "bastionctl/rd.h"
#include "bastionctl/term.h"
#include "bastionctl/view.h"
#include "bastionctl/when.h"
#include "lib/file.h"
#include "lib/num.h"

struct player {
	struct rd *rd;
	struct term *term;
	int read_error;	 /* what reading ended with; 0: it did not */
	int write_error; /* and writing */
	uint8_t last;	 /* byte that was written */
};

static int
player_next(void *arg, struct event *ret_ev)
{
	struct player *pl = arg;

	pl->read_error = rd_next_event(pl->rd, ret_ev);
	return pl->read_error;
}

static int
player_seek(void *arg, uint64_t at_ns)
{
	struct player *pl = arg;

	return rd_seek(pl->rd, at_ns, 0);
}

static int
player_emit(void *arg, const uint8_t *data, size_t len)
{
	struct player *pl = arg;

	pl->write_error = file_write_all(STDOUT_FILENO, data, len);
	pl->last = len > 0 ? data[len - 1] : pl->last;
	return pl->write_error;
}

static enum play_key
player_wait(void *arg, uint64_t max_ns, uint64_t *ret_waited_ns)
{
	struct player *pl = arg;

	return term_wait(pl->term, max_ns, ret_waited_ns);
}

static int
play_speed_opt(const char *text, double *ret_speed)
{
	char *end = NULL;
	double speed = 1;

	if (text == NULL)
		return CMD_YES;
	if (text[0] >= '0' && text[0] <= '9')
		speed = strtod(text, &end);
	if (end == NULL || *end != '\0' || !(speed >= PLAY_SPEED_MIN && speed <= PLAY_SPEED_MAX))
		return cmd_fail(
		    CMD_USAGE, "--speed %s: not a speed: give a number from 0.0625 to 1024", text);
	*ret_speed = speed;
	return CMD_YES;
}

static int
play_conf_init(const struct cmd_ctx *c, struct play_conf *conf)
{
	const char *at = cmd_opt(c, "--at"), *idle = cmd_opt(c, "--idle-limit");
	int r;

	*conf = (struct play_conf){ .speed = 1 };
	if (c->json)
		return cmd_fail(CMD_USAGE, "play has no JSON: use bastionctl export --format json");
	if ((r = play_speed_opt(cmd_opt(c, "--speed"), &conf->speed)) != CMD_YES ||
	    (r = view_channel_opt(cmd_opt(c, "--channel"), &conf->channel)) != CMD_YES)
		return r;
	if (at != NULL && when_parse_offset(at, &conf->at_ns) != 0)
		return cmd_fail(CMD_USAGE, "--at %s: not a moment: give seconds, 1:30 or 90s", at);
	if (idle != NULL && num_parse_span(idle, &conf->idle_limit_ns) != 0)
		return cmd_fail(CMD_USAGE, "--idle-limit %s: not a span: give 2s or 500ms", idle);
	conf->no_wait = cmd_opt(c, "--no-wait") != NULL;
	conf->raw = cmd_opt(c, "--raw") != NULL;
	if (conf->raw && isatty(STDOUT_FILENO) != 0)
		return cmd_fail(CMD_USAGE, "--raw shows recorded bytes as they are, and a terminal "
					   "acts on them: give it a pipe or a file");
	return CMD_YES;
}

/* Where the recording was made on a larger terminal, say so: it will look wrong. */
static void
play_compare_size(const struct json_node *channel)
{
	uint64_t cols = json_u64(json_get(channel, "cols"), 0),
		 rows = json_u64(json_get(channel, "rows"), 0);
	struct winsize ws;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0 &&
	    (cols > ws.ws_col || rows > ws.ws_row))
		cmd_note("recorded on %llux%llu; this terminal has only %ux%u",
		    (unsigned long long)cols, (unsigned long long)rows, ws.ws_col, ws.ws_row);
}

static int
play_result(struct player *pl, int r)
{
	if (pl->write_error == -EPIPE) /* whoever looked has seen enough */
		return CMD_YES;
	if (pl->write_error != 0)
		return cmd_fail(CMD_UNSURE, "standard output: %s: the replay is not complete",
		    err_str(pl->write_error));
	if (pl->read_error != 0)
		return rd_end(pl->rd, pl->read_error);
	return r == 0 ? CMD_YES : cmd_fail(CMD_UNSURE, "the replay failed: %s", err_str(r));
}

/* Whether operations on files were seen on the channel. */
static bool
play_has_files(const struct json_node *session, uint32_t channel)
{
	const struct json_node *files = json_get(session, "files");

	for (size_t i = 0; i < json_n(files); i++)
		if (json_u64(json_get(json_at(files, i), "channel"), 0) == channel)
			return true;
	return false;
}

static int
play_session(struct rd *rd, struct play_conf *conf)
{
	static const struct play_ops ops = { player_next, player_seek, player_emit, player_wait };
	struct player pl = { .rd = rd, .last = '\n' };
	const struct json_node *session, *channel;
	int code, r;

	if ((code = view_session(rd, &session)) != CMD_YES)
		return code;
	if (conf->channel == 0)
		conf->channel = export_main_channel(session);
	channel = export_channel(session, conf->channel);
	if (channel == NULL)
		return cmd_fail(CMD_NO,
		    "the session has no %schannel to play: see bastionctl sessions show",
		    json_n(json_get(session, "channels")) > 0 ? "such " : "");
	conf->files = !conf->raw && play_has_files(session, conf->channel);
	play_compare_size(channel);
	if ((r = term_new(json_bool(json_get(channel, "pty"), false), &pl.term)) != 0)
		return cmd_fail(CMD_UNSURE, "the terminal cannot be set up: %s", err_str(r));
	r = play_run(conf, &ops, &pl);
	if (r == 0 && term_has_keys(pl.term) && pl.last != '\n')
		r = player_emit(&pl, (const uint8_t *)"\r\n", 2);
	term_free(pl.term);
	return play_result(&pl, r);
}

static int
play_cmd_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	const char *ask[] = { "events", rd_session(c, n_args, args), NULL };
	struct play_conf conf;
	struct rd_place place;
	struct rd *rd = NULL;
	int code;

	if (ask[1] == NULL)
		return CMD_USAGE;
	if ((code = play_conf_init(c, &conf)) == CMD_YES &&
	    (code = rd_find(c, &place)) == CMD_YES &&
	    (code = rd_open(c, &place, RD_CONTENT, ask, &rd)) == CMD_YES &&
	    (code = view_close_sandbox()) == CMD_YES)
		code = play_session(rd, &conf);
	rd_close(rd);
	return code;
}

static const struct cmd_opt play_opts[] = {
	{ "--speed", 0, "N", "N times as fast, from 0.0625 to 1024" },
	{ "--at", 0, "TIME", "begin there: seconds, 1:30 or 90s" },
	{ "--idle-limit", 0, "SPAN", "cut longer pauses to this, e.g. 2s" },
	{ "--no-wait", 0, NULL, "everything at once" },
	{ "--channel", 0, "N", "this channel, not the first one with a terminal" },
	{ "--raw", 0, NULL, "bytes as recorded; not to a terminal" },
	RD_OPT_STORE,
	{ NULL, 0, NULL, NULL },
};

const struct cmd cmd_play = { "play", NULL, "ID", "a session as its user saw it", CMD_NOTHING, 0, 1,
	play_opts, play_cmd_run };
