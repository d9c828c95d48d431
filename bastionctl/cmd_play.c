/* play, sessions watch: a session as its user saw it, on the terminal of somebody whom it must not harm. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bastionctl/cmd.h"
#include "bastionctl/export.h"
#include "bastionctl/paint.h"
#include "bastionctl/play.h"
#include "bastionctl/player.h"
#include "bastionctl/rd.h"
#include "bastionctl/term.h"
#include "bastionctl/view.h"
#include "bastionctl/when.h"
#include "lib/clock.h"
#include "lib/num.h"

/* What the command line asks for. */
struct play_request {
	struct play_conf plain; /* at_ns: once the session is known */
	const char *at;		/* NULL: from the start, or with follow from now */
	bool follow, from_start, no_status;
	bool watch; /* only of a session that runs */
};

struct play_run {
	struct rd *rd;
	struct term *term;
	const struct json_node *session;
	uint32_t channel;
	uint64_t skip_seq; /* events up to this are not wanted */
	int read_error;	   /* what reading ended with; 0: it did not */
	int write_error;   /* and writing */
};

/* Events for a plain replay; a picture is output that is there at once. */
static int
plain_next(void *arg, struct event *ret_ev)
{
	struct play_run *pl = arg;
	struct rd_msg msg;

	do {
		pl->read_error = rd_next_step(pl->rd, true, ret_ev, &msg);
		if (pl->read_error != 0)
			return pl->read_error;
		if (msg.type == RD_SCREEN)
			*ret_ev = (struct event){ msg.first_seq, msg.at_ns, EVENT_BACK, LINK_DATA,
				msg.channel, msg.data, msg.len };
	} while (msg.type == RD_ITEM || ret_ev->seq <= pl->skip_seq);
	return 0;
}

static int
plain_emit(void *arg, const uint8_t *data, size_t len)
{
	struct play_run *pl = arg;

	pl->write_error = term_write(pl->term, data, len);
	return pl->write_error;
}

static bool
plain_wait(void *arg, uint64_t ns)
{
	struct play_run *pl = arg;

	return term_wait(pl->term, ns, -1) == PLAYER_KEY_NONE;
}

static int
player_op_next(void *arg, struct event *ret_ev, struct rd_msg *ret_msg)
{
	struct play_run *pl = arg;

	pl->read_error = rd_next_step(pl->rd, false, ret_ev, ret_msg);
	return pl->read_error;
}

static int
player_op_seek(void *arg, uint64_t at_ns, uint32_t channel)
{
	struct play_run *pl = arg;

	return rd_seek(pl->rd, at_ns, channel);
}

static int
player_op_look(void *arg, uint32_t channel, bool with_case, const char *text)
{
	struct play_run *pl = arg;

	return rd_look(pl->rd, channel, with_case, text);
}

static int
player_op_emit(void *arg, const void *data, size_t len)
{
	struct play_run *pl = arg;

	pl->write_error = term_write(pl->term, data, len);
	return pl->write_error;
}

static int
player_op_wait(void *arg, uint64_t max_ns, bool events)
{
	struct play_run *pl = arg;

	return term_wait(pl->term, max_ns, events ? rd_fd(pl->rd) : -1);
}

static void
player_op_size(void *arg, uint32_t *ret_cols, uint32_t *ret_rows)
{
	(void)arg;
	term_size(ret_cols, ret_rows);
}

static uint64_t
player_op_now(void *arg)
{
	(void)arg;
	return clock_boot_ns();
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
	if (end == NULL || *end != '\0' ||
	    !(speed >= PLAYER_SPEED_MIN && speed <= PLAYER_SPEED_MAX))
		return cmd_fail(
		    CMD_USAGE, "--speed %s: not a speed: give a number from 0.0625 to 1024", text);
	*ret_speed = speed;
	return CMD_YES;
}

/* A moment: an offset, or a time, of which only the form can be judged before the session is known. */
static int
play_at_opt(const char *text)
{
	uint64_t ns;

	if (text == NULL || when_parse_offset(text, &ns) == 0 || when_parse_utc(text, &ns) == 0)
		return CMD_YES;
	return cmd_fail(CMD_USAGE,
	    "--at %s: not a moment: give seconds, 1:30, 90s, 1m30s or 2026-01-02T03:04:05Z", text);
}

static int
play_request_init(const struct cmd_ctx *c, bool watch, struct play_request *q)
{
	const char *idle = cmd_opt(c, "--idle-limit");
	int r;

	*q = (struct play_request){ .plain = { .speed = 1 },
		.at = cmd_opt(c, "--at"),
		.follow = watch || cmd_opt(c, "--follow") != NULL,
		.from_start = cmd_opt(c, "--from-start") != NULL,
		.no_status = cmd_opt(c, "--no-status") != NULL,
		.watch = watch };
	if (c->json)
		return cmd_fail(CMD_USAGE, "this has no JSON: use bastionctl export --format json");
	if ((r = play_speed_opt(cmd_opt(c, "--speed"), &q->plain.speed)) != CMD_YES ||
	    (r = view_channel_opt(cmd_opt(c, "--channel"), &q->plain.channel)) != CMD_YES ||
	    (r = play_at_opt(q->at)) != CMD_YES)
		return r;
	if (idle != NULL && num_parse_span(idle, &q->plain.idle_limit_ns) != 0)
		return cmd_fail(CMD_USAGE, "--idle-limit %s: not a span: give 2s or 500ms", idle);
	q->plain.no_wait = cmd_opt(c, "--no-wait") != NULL;
	q->plain.raw = cmd_opt(c, "--raw") != NULL;
	if (q->plain.raw && isatty(STDOUT_FILENO) != 0)
		return cmd_fail(CMD_USAGE, "--raw shows recorded bytes as they are, and a terminal "
					   "acts on them: give it a pipe or a file");
	return CMD_YES;
}

/* Where to begin, now that the session is known. */
static int
play_find_start(const struct play_request *q, const struct json_node *session, uint64_t *ret_ns)
{
	uint64_t at, started;

	*ret_ns = q->follow && !q->from_start ? UINT64_MAX : 0;
	if (q->at == NULL || when_parse_offset(q->at, ret_ns) == 0)
		return CMD_YES;
	if (when_parse_utc(q->at, &at) != 0 ||
	    when_parse_utc(json_str(json_get(session, "started_at"), ""), &started) != 0)
		return cmd_fail(CMD_UNSURE, "the session does not say when it began");
	if (at < started ||
	    at - started > json_u64(json_get(session, "duration_ns"), 0) + CLOCK_NS_PER_S)
		return cmd_fail(CMD_NO, "--at %s: the session did not run then: it began at %s",
		    q->at, json_str(json_get(session, "started_at"), ""));
	*ret_ns = at - started;
	return CMD_YES;
}

static int
play_result(struct play_run *pl, int r)
{
	/* Whoever looked has seen enough, or is gone. */
	if (pl->write_error == -EPIPE || pl->write_error == -EINTR || pl->write_error == -EIO)
		return CMD_YES;
	if (pl->write_error != 0)
		return cmd_fail(CMD_UNSURE, "standard output: %s: the replay is not complete",
		    err_str(pl->write_error));
	if (pl->read_error != 0 && pl->read_error != -EAGAIN)
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
play_plain(struct play_run *pl, struct play_request *q, uint64_t at_ns)
{
	static const struct play_ops ops = { plain_next, plain_emit, plain_wait };
	int r = 0;

	q->plain.channel = pl->channel;
	q->plain.files = !q->plain.raw && play_has_files(pl->session, pl->channel);
	q->plain.no_wait = q->plain.no_wait || q->follow;
	if (at_ns == UINT64_MAX)
		pl->skip_seq = json_u64(json_get(pl->session, "events"), 0);
	else
		q->plain.at_ns = at_ns;
	/* As it came, all of it is wanted. */
	if (at_ns > 0 && !q->plain.raw)
		r = rd_seek(pl->rd, at_ns, at_ns == UINT64_MAX ? 0 : pl->channel);
	return r != 0 ? r : play_run(&q->plain, &ops, pl);
}

static int
play_terminal(struct play_run *pl, const struct play_request *q, uint64_t at_ns)
{
	static const struct player_ops ops = { player_op_next, player_op_seek, player_op_emit,
		player_op_wait, player_op_size, player_op_now, player_op_look };
	const struct player_conf conf = { .session = pl->session,
		.channel = pl->channel,
		.speed = q->plain.speed,
		.idle_limit_ns = q->plain.idle_limit_ns,
		.at_ns = at_ns,
		.follow = q->follow,
		.no_status = q->no_status };
	struct player_end end;
	int r;

	term_at_stop(pl->term, paint_leave, paint_enter);
	r = player_run(&conf, &ops, pl, &end);
	if (end.reason[0] != '\0') {
		term_free(pl->term);
		pl->term = NULL;
		cmd_note("the session has ended: %s%s%s", end.reason,
		    end.text[0] != '\0' ? ": " : "", end.text);
	}
	return r;
}

/* Which channel is meant; several are said. */
static int
play_choose(struct play_run *pl, const struct play_request *q, bool terminal)
{
	size_t n = json_n(json_get(pl->session, "channels"));

	pl->channel = q->plain.channel != 0 ? q->plain.channel : export_main_channel(pl->session);
	if (export_channel(pl->session, pl->channel) == NULL)
		return cmd_fail(CMD_NO,
		    "the session has no %schannel to play: see bastionctl sessions show",
		    n > 0 ? "such " : "");
	if (n > 1 && q->plain.channel == 0 && !terminal)
		cmd_note("channel %" PRIu32 " of %zu: another one with --channel", pl->channel, n);
	return CMD_YES;
}

static int
play_session(struct play_run *pl, struct play_request *q)
{
	bool terminal = term_is_here() && !q->plain.no_wait && !q->plain.raw;
	uint64_t at_ns;
	int code, r;

	if ((code = view_session(pl->rd, &pl->session)) != CMD_YES ||
	    (code = play_choose(pl, q, terminal)) != CMD_YES ||
	    (code = play_find_start(q, pl->session, &at_ns)) != CMD_YES)
		return code;
	if (q->watch && strcmp(json_str(json_get(pl->session, "state"), ""), "open") != 0)
		return cmd_fail(CMD_NO, "the session has ended: see bastionctl play");
	if ((r = term_new(terminal, &pl->term)) != 0)
		return cmd_fail(CMD_UNSURE, "the terminal cannot be set up: %s", err_str(r));
	r = terminal ? play_terminal(pl, q, at_ns) : play_plain(pl, q, at_ns);
	term_free(pl->term);
	return play_result(pl, r);
}

static int
play_cmd(struct cmd_ctx *c, const char *id, bool watch)
{
	struct play_run pl = { .rd = NULL };
	struct play_request q;
	struct rd_place place;
	int code;

	if (id == NULL)
		return CMD_USAGE;
	if ((code = play_request_init(c, watch, &q)) == CMD_YES &&
	    (code = rd_find(c, &place)) == CMD_YES) {
		const char *ask[] = { q.follow ? "watch" : "events", id, NULL };

		if ((code = rd_open(c, &place, RD_CONTENT, ask, &pl.rd)) == CMD_YES &&
		    (code = view_close_sandbox()) == CMD_YES)
			code = play_session(&pl, &q);
	}
	rd_close(pl.rd);
	return code;
}

static int
play_cmd_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	return play_cmd(c, rd_session(c, n_args, args), false);
}

#define PLAY_OPT_CHANNEL                                                                           \
	{                                                                                          \
		"--channel", 0, "N", "this channel, not the first one with a terminal"             \
	}
#define PLAY_OPT_NO_STATUS                                                                         \
	{                                                                                          \
		"--no-status", 0, NULL, "no line below about where it is"                          \
	}
#define PLAY_OPT_FROM_START                                                                        \
	{                                                                                          \
		"--from-start", 0, NULL, "from the session's start, not from now on"               \
	}

static const struct cmd_opt play_opts[] = {
	{ "--speed", 0, "N", "N times as fast, from 0.0625 to 1024" },
	{ "--at", 0, "TIME", "begin there: seconds, 1:30, 90s, 1m30s or a time in UTC" },
	{ "--idle-limit", 0, "SPAN", "cut longer pauses to this, e.g. 2s" },
	{ "--follow", 0, NULL, "of a session that runs: from now on, as it happens" },
	PLAY_OPT_FROM_START,
	{ "--no-wait", 0, NULL, "everything at once" },
	PLAY_OPT_CHANNEL,
	PLAY_OPT_NO_STATUS,
	{ "--raw", 0, NULL, "bytes as recorded; not to a terminal" },
	RD_OPT_STORE,
	{ NULL, 0, NULL, NULL },
};

const struct cmd cmd_play = { "play", NULL, "ID", "a session as its user saw it", CMD_NOTHING, 0, 1,
	play_opts, play_cmd_run };

static int
watch_cmd_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	return play_cmd(c, rd_session(c, n_args, args), true);
}

static const struct cmd_opt watch_opts[] = {
	PLAY_OPT_FROM_START,
	PLAY_OPT_CHANNEL,
	PLAY_OPT_NO_STATUS,
	RD_OPT_STORE,
	{ NULL, 0, NULL, NULL },
};

const struct cmd cmd_sessions_watch = { "sessions", "watch", "ID",
	"a running session, as it happens", CMD_NOTHING, 1, 1, watch_opts, watch_cmd_run };
