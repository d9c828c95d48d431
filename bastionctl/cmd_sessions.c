/* sessions: what was recorded and what runs. */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bastionctl/cmd.h"
#include "bastionctl/ctl_client.h"
#include "bastionctl/frame.h"
#include "bastionctl/out.h"
#include "bastionctl/rd.h"
#include "bastionctl/resolve.h"
#include "bastionctl/view.h"
#include "bastionctl/when.h"
#include "bastiond/broker/broker_proto.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/str.h"

#define SESSIONS_ID_SHOWN 8 /* digits in the table; every command takes that many */

/* Which sessions are wanted. */
struct sessions_filter {
	const char *identity, *host, *state; /* NULL: any */
	uint64_t since_ns, until_ns;
};

static int
sessions_time_opt(const struct cmd_ctx *c, const char *name, uint64_t *ret_ns)
{
	const char *text = cmd_opt(c, name);

	if (text == NULL || when_parse(text, clock_wall_ns(), ret_ns) == 0)
		return CMD_YES;
	return cmd_fail(CMD_USAGE,
	    "%s %s: not a time: give 2026-01-02, \"2026-01-02 03:04:05\", 2026-01-02T03:04:05Z or "
	    "8h (ago)",
	    name, text);
}

static int
sessions_filter_init(const struct cmd_ctx *c, struct sessions_filter *f)
{
	static const char *const states[] = { "open", "closed", "truncated" };
	bool known = false;
	int r;

	*f = (struct sessions_filter){ cmd_opt(c, "--identity"), cmd_opt(c, "--host"),
		cmd_opt(c, "--state"), 0, UINT64_MAX };
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		known = known || (f->state != NULL && strcmp(f->state, states[i]) == 0);
	if (f->state != NULL && !known)
		return cmd_fail(
		    CMD_USAGE, "--state %s: not a state: give open, closed or truncated", f->state);
	if ((r = sessions_time_opt(c, "--since", &f->since_ns)) != CMD_YES)
		return r;
	return sessions_time_opt(c, "--until", &f->until_ns);
}

static bool
sessions_wanted(const struct sessions_filter *f, const struct json_node *s)
{
	uint64_t at;

	if (f->identity != NULL && !str_match(f->identity, json_str(json_get(s, "identity"), "")))
		return false;
	if (f->host != NULL && !str_match(f->host, json_str(json_get(s, "host"), "")))
		return false;
	if (f->state != NULL && strcmp(f->state, json_str(json_get(s, "state"), "")) != 0)
		return false;
	if (when_parse_utc(json_str(json_get(s, "started_at"), ""), &at) != 0)
		return true; /* better one too many than one that is not seen */
	return at >= f->since_ns && at <= f->until_ns;
}

/* What the session did, in a few words: its first command, and how many more channels there were. */
static void
sessions_what(const struct json_node *s, char *dst, size_t size)
{
	const struct json_node *channels = json_get(s, "channels"), *first = json_at(channels, 0);
	const char *kind = json_str(json_get(first, "kind"), ""),
		   *command = json_str(json_get(first, "command"), "");
	char more[32] = "";

	if (json_n(channels) > 1)
		(void)snprintf(more, sizeof(more), " (+%zu)", json_n(channels) - 1);
	if (json_n(json_get(s, "sealed_to")) > 0 &&
	    json_str(json_get(first, "command"), NULL) == NULL)
		(void)snprintf(more, sizeof(more), " (sealed)");
	(void)snprintf(
	    dst, size, "%s%s%.200s%s", kind, command[0] != '\0' ? ": " : "", command, more);
}

static void
sessions_lasted(const struct json_node *s, char *dst, size_t size)
{
	uint64_t from, to;

	dst[0] = '\0';
	if (when_parse_utc(json_str(json_get(s, "started_at"), ""), &from) == 0 &&
	    when_parse_utc(json_str(json_get(s, "ended_at"), ""), &to) == 0 && to >= from)
		(void)view_span(dst, size, to - from);
}

/* Its state, or what was decided about it since. */
static const char *
sessions_state(const struct json_node *s)
{
	if (json_str(json_get(json_get(s, "erased"), "by"), NULL) != NULL)
		return "erased";
	if (json_str(json_get(json_get(s, "held"), "by"), NULL) != NULL)
		return "held";
	return json_str(json_get(s, "state"), "?");
}

static int
sessions_add_row(struct out_table *t, const struct json_node *s)
{
	char id[SESSIONS_ID_SHOWN + 1], started[OUT_TIME_SIZE], target[600], lasted[32], what[300];
	const char *cells[7];

	(void)snprintf(id, sizeof(id), "%s", json_str(json_get(s, "id"), ""));
	(void)view_time(started, sizeof(started), json_str(json_get(s, "started_at"), ""));
	/* The bastion's own shell has neither login nor host. */
	if (strcmp(json_str(json_get(s, "host"), "?"), "-") == 0)
		(void)snprintf(target, sizeof(target), "bastion");
	else
		(void)snprintf(target, sizeof(target), "%s@%s", json_str(json_get(s, "login"), "?"),
		    json_str(json_get(s, "host"), "?"));
	sessions_lasted(s, lasted, sizeof(lasted));
	sessions_what(s, what, sizeof(what));
	cells[0] = id;
	cells[1] = started;
	cells[2] = json_str(json_get(s, "identity"), "?");
	cells[3] = target;
	cells[4] = sessions_state(s);
	cells[5] = lasted[0] != '\0' ? lasted : NULL;
	cells[6] = what[0] != '\0' ? what : NULL;
	return out_table_row(t, cells);
}

static const struct out_column sessions_columns[] = {
	{ "ID", false, false },
	{ "STARTED", false, false },
	{ "IDENTITY", false, true },
	{ "TARGET", false, true },
	{ "STATE", false, false },
	{ "LASTED", true, false },
	{ "WHAT", false, true },
};

/* Every session that is wanted, into t, or as members of a JSON list. *ret_n: how many. Returns as rd_next(). */
static int
sessions_take(struct rd *rd, const struct sessions_filter *f, struct out_table *t, size_t *ret_n)
{
	struct rd_msg m;
	int r;

	while ((r = rd_next(rd, &m)) == 0) {
		if (m.type != RD_ITEM || !sessions_wanted(f, m.json))
			continue;
		if (t == NULL)
			r = view_json_item(stdout, m.json, *ret_n == 0);
		else
			r = sessions_add_row(t, m.json);
		if (r != 0)
			break;
		++*ret_n;
	}
	return r;
}

static int
sessions_print(struct cmd_ctx *c, struct rd *rd, const struct sessions_filter *f)
{
	struct out_table *t = NULL;
	size_t n = 0;
	int code;

	if (!c->json && (t = out_table_new(sessions_columns,
			     sizeof(sessions_columns) / sizeof(sessions_columns[0]))) == NULL)
		return cmd_fail(CMD_UNSURE, "out of memory");
	if (c->json)
		fputs("[", stdout);
	code = rd_end(rd, sessions_take(rd, f, t, &n));
	if (c->json)
		fputs(n > 0 ? "\n]\n" : "]\n", stdout);
	else if (n > 0)
		out_table_print(t, stdout, out_width(stdout));
	out_table_free(t);
	if (code != CMD_YES || n > 0)
		return code;
	if (!c->json)
		cmd_note("no sessions");
	return CMD_NO;
}

static int
sessions_list_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	const char *ask[] = { "list", NULL, NULL, NULL };
	struct sessions_filter f;
	struct rd_place place;
	struct rd *rd = NULL;
	char since[32];
	int code;

	(void)n_args;
	(void)args;
	if ((code = sessions_filter_init(c, &f)) != CMD_YES ||
	    (code = rd_find(c, &place)) != CMD_YES)
		return code;
	if (f.since_ns > 0) {
		(void)snprintf(since, sizeof(since), "%" PRIu64, f.since_ns);
		ask[1] = "--since";
		ask[2] = since;
	}
	if ((code = rd_open(c, &place, RD_CONTENT, ask, &rd)) == CMD_YES &&
	    (code = view_close_sandbox()) == CMD_YES)
		code = sessions_print(c, rd, &f);
	rd_close(rd);
	return code;
}

static const struct cmd_opt sessions_list_opts[] = {
	{ "--identity", 0, "NAME", "only of this person (* and ? match)" },
	{ "--host", 0, "NAME", "only on this host (* and ? match)" },
	{ "--state", 0, "STATE", "only open, closed or truncated ones" },
	{ "--since", 0, "TIME", "only begun at or after TIME (or 8h, 2d ago)" },
	{ "--until", 0, "TIME", "only begun at or before TIME" },
	RD_OPT_STORE,
	{ NULL, 0, NULL, NULL },
};

const struct cmd cmd_sessions_list = { "sessions", "list", "", "sessions, oldest first",
	CMD_NOTHING, 0, 0, sessions_list_opts, sessions_list_run };

/* One line of sessions show. text: NULL or "": no line. */
static void
show_line(const char *title, const char *text)
{
	char safe[4096];

	if (text != NULL && text[0] != '\0')
		printf("%-12s %s\n", title, out_line(safe, sizeof(safe), text, strlen(text)));
}

static void
show_time(const char *title, const struct json_node *s, const char *key)
{
	const char *utc = json_str(json_get(s, key), "");
	char local[OUT_TIME_SIZE], text[96];

	if (utc[0] == '\0')
		return;
	(void)snprintf(text, sizeof(text), "%s (%s)", view_time(local, sizeof(local), utc), utc);
	show_line(title, text);
}

static void
show_credential(const struct json_node *s)
{
	const struct json_node *cred = json_get(s, "credential");
	const char *key_id = json_str(json_get(cred, "key_id"), "");
	char text[2048];
	size_t at;

	at = (size_t)snprintf(text, sizeof(text), "%s %s", json_str(json_get(cred, "type"), "?"),
	    json_str(json_get(cred, "fingerprint"), ""));
	if (key_id[0] != '\0' && at < sizeof(text))
		(void)snprintf(text + at, sizeof(text) - at, ", id \"%.500s\", serial %" PRIu64,
		    key_id, json_u64(json_get(cred, "serial"), 0));
	show_line("credential", text);
}

/* What was decided about it: when, by whom, why. d: null where nothing was. */
static void
show_decided(const char *title, const struct json_node *d)
{
	const char *by = json_str(json_get(d, "by"), NULL);
	char local[OUT_TIME_SIZE], text[1400];

	if (by == NULL)
		return;
	(void)snprintf(text, sizeof(text), "%s by %.120s: %.1000s",
	    view_time(local, sizeof(local), json_str(json_get(d, "at"), "")), by,
	    json_str(json_get(d, "why"), ""));
	show_line(title, text);
}

static void
show_counts(const struct json_node *s)
{
	char text[256], raw[32], stored[32];

	(void)snprintf(text, sizeof(text), "%" PRIu64 " events, %s, stored as %s",
	    json_u64(json_get(s, "events"), 0),
	    view_size(raw, sizeof(raw), json_u64(json_get(s, "raw_bytes"), 0)),
	    view_size(stored, sizeof(stored), json_u64(json_get(s, "stored_bytes"), 0)));
	show_line("recorded", text);
}

static size_t
show_add(char *text, size_t size, size_t at, const char *before, uint64_t n, const char *what)
{
	int len =
	    at < size ? snprintf(text + at, size - at, "%s%" PRIu64 " %s", before, n, what) : 0;

	return at + (len > 0 ? (size_t)len : 0);
}

/* "5 lines: 3 behind a prompt for a secret, 2 not shown by the target; 2 followed by output as of a command" */
static void
show_hidden(const struct json_node *hidden)
{
	static const char *const whys[][2] = { { "prompt", "behind a prompt for a secret" },
		{ "asterisks", "shown as asterisks" }, { "silent", "not shown by the target" },
		{ "asked", "asked for by the bastion" },
		{ "memory", "while no memory for secrets was left" } };
	uint64_t lines = json_u64(json_get(hidden, "lines"), 0), n;
	char text[512] = "";
	size_t at;

	if (lines == 0)
		return;
	at = show_add(text, sizeof(text), 0, "", lines, lines == 1 ? "line" : "lines");
	for (size_t i = 0, some = 0; i < sizeof(whys) / sizeof(whys[0]); i++)
		if ((n = json_u64(json_get(hidden, whys[i][0]), 0)) > 0)
			at = show_add(
			    text, sizeof(text), at, some++ > 0 ? ", " : ": ", n, whys[i][1]);
	if ((n = json_u64(json_get(hidden, "answered"), 0)) > 0)
		(void)show_add(
		    text, sizeof(text), at, "; ", n, "followed by output as of a command");
	show_line("hidden", text);
	if (json_bool(json_get(hidden, "suspect"), false))
		show_line("warning",
		    "commands may have been typed where the record does not show them: look at the "
		    "output behind each (hidden)");
}

static void
show_masked(const struct json_node *masked)
{
	char text[1024] = "";
	size_t at = 0;

	for (size_t i = 0; i < json_n(masked); i++) {
		const struct json_node *m = json_at(masked, i);

		at = show_add(text, sizeof(text), at, i > 0 ? ", " : "",
		    json_u64(json_get(m, "places"), 0), json_str(json_get(m, "rule"), "?"));
	}
	if (json_n(masked) > 0)
		show_line("masked", text);
}

static int
show_add_channel(struct out_table *t, const struct json_node *ch)
{
	char n[16], exit[48], in[32], out[32], err[32];
	const char *cells[7], *killed = json_str(json_get(ch, "exit_signal"), "");
	uint64_t number = json_u64(json_get(ch, "n"), 0),
		 status = json_u64(json_get(ch, "exit_status"), UINT64_MAX);

	(void)snprintf(n, sizeof(n), "%" PRIu64, number);
	exit[0] = '\0';
	if (killed[0] != '\0')
		(void)snprintf(exit, sizeof(exit), "SIG%.40s", killed);
	else if (status != UINT64_MAX)
		(void)snprintf(exit, sizeof(exit), "%" PRIu64, status);
	cells[0] = n;
	cells[1] = json_str(json_get(ch, "kind"), "?");
	cells[2] = json_bool(json_get(ch, "denied"), false) ? "denied"
		   : exit[0] != '\0'			    ? exit
							    : NULL;
	cells[3] = view_size(in, sizeof(in), json_u64(json_get(ch, "bytes_in"), 0));
	cells[4] = view_size(out, sizeof(out), json_u64(json_get(ch, "bytes_out"), 0));
	cells[5] = view_size(err, sizeof(err), json_u64(json_get(ch, "bytes_err"), 0));
	cells[6] = json_str(json_get(ch, "command"), "");
	return out_table_row(t, cells);
}

static int
show_channels(const struct json_node *s)
{
	static const struct out_column columns[] = {
		{ "CHANNEL", true, false },
		{ "KIND", false, true },
		{ "EXIT", true, false },
		{ "IN", true, false },
		{ "OUT", true, false },
		{ "ERR", true, false },
		{ "COMMAND", false, true },
	};
	const struct json_node *channels = json_get(s, "channels");
	struct out_table *t = out_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	int r = t == NULL ? -1 : 0;

	for (size_t i = 0; r == 0 && i < json_n(channels); i++)
		r = show_add_channel(t, json_at(channels, i));
	if (r == 0 && json_n(channels) > 0) {
		puts("");
		out_table_print(t, stdout, out_width(stdout));
	}
	out_table_free(t);
	return r;
}

/* Its hash; where content crossed in pieces, how many. */
static const char *
show_file_hash(const struct json_node *f, char *dst, size_t size)
{
	const char *hash = json_str(json_get(f, "sha256"), "");
	size_t n = json_n(json_get(f, "ranges"));

	if (hash[0] != '\0' || n == 0)
		return hash[0] != '\0' ? hash : NULL;
	(void)snprintf(dst, size, "%zu range%s%s", n, n == 1 ? "" : "s",
	    json_bool(json_get(f, "more_ranges"), false) ? " and more" : "");
	return dst;
}

static int
show_add_file(struct out_table *t, const struct json_node *f)
{
	char n[16], bytes[32], result[FRAME_RESULT_SIZE], hash[64], path[2048];
	const char *cells[6], *path2 = json_str(json_get(f, "path2"), "");
	const char *op = json_str(json_get(f, "op"), "?");
	bool moves = strcmp(op, "get") == 0 || strcmp(op, "put") == 0;
	uint64_t number = json_u64(json_get(f, "number"), 0);

	(void)snprintf(n, sizeof(n), "%" PRIu64, number);
	(void)snprintf(path, sizeof(path), "%.900s%s%.900s", json_str(json_get(f, "path"), ""),
	    path2[0] != '\0' ? " -> " : "", path2);
	cells[0] = n;
	cells[1] = op;
	cells[2] = frame_file_result(f, result);
	cells[3] =
	    moves ? view_size(bytes, sizeof(bytes), json_u64(json_get(f, "bytes"), 0)) : NULL;
	cells[4] = path;
	cells[5] = show_file_hash(f, hash, sizeof(hash));
	return out_table_row(t, cells);
}

static int
show_files(const struct json_node *s)
{
	static const struct out_column columns[] = {
		{ "FILE", true, false },
		{ "OP", false, false },
		{ "RESULT", false, true },
		{ "BYTES", true, false },
		{ "PATH", false, true },
		{ "SHA256", false, false },
	};
	const struct json_node *files = json_get(s, "files");
	struct out_table *t = out_table_new(columns, sizeof(columns) / sizeof(columns[0]));
	uint64_t total = json_u64(json_get(s, "files_total"), 0);
	int r = t == NULL ? -1 : 0;

	for (size_t i = 0; r == 0 && i < json_n(files); i++)
		r = show_add_file(t, json_at(files, i));
	if (r == 0 && json_n(files) > 0) {
		puts("");
		out_table_print(t, stdout, out_width(stdout));
	}
	out_table_free(t);
	if (r == 0 && total > json_n(files))
		cmd_note("%" PRIu64 " more file operations: see export --format json",
		    total - json_n(files));
	return r;
}

static int
show_print(const struct json_node *s)
{
	static const char *const keys[][2] = { { "session", "id" }, { "identity", "identity" },
		{ "login", "login" }, { "host", "host" }, { "address", "address" },
		{ "source", "source" }, { "asked for", "claim" }, { "rule", "rule" } };
	char end[1200];

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		show_line(keys[i][0], json_str(json_get(s, keys[i][1]), ""));
	show_credential(s);
	show_time("started", s, "started_at");
	show_time("ended", s, "ended_at");
	show_line("state", json_str(json_get(s, "state"), ""));
	show_decided("held", json_get(s, "held"));
	show_decided("erased", json_get(s, "erased"));
	(void)snprintf(end, sizeof(end), "%s%s%s", json_str(json_get(s, "end_reason"), ""),
	    json_str(json_get(s, "end_text"), "")[0] != '\0' ? ": " : "",
	    json_str(json_get(s, "end_text"), ""));
	show_line("end", end);
	show_line("ended by", json_str(json_get(s, "end_by"), ""));
	show_counts(s);
	show_hidden(json_get(s, "hidden"));
	show_masked(json_get(s, "masked"));
	if (show_channels(s) != 0 || show_files(s) != 0)
		return cmd_fail(CMD_UNSURE, "out of memory");
	return CMD_YES;
}

static int
show_take(struct cmd_ctx *c, struct rd *rd)
{
	struct rd_msg m;
	int r = rd_next(rd, &m);

	if (r != 0)
		return rd_end(rd, r);
	if (c->json)
		return view_json_document(m.json);
	return show_print(m.json);
}

static int
sessions_show_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	const char *ask[] = { "show", rd_session(c, n_args, args), NULL };
	struct rd_place place;
	struct rd *rd = NULL;
	int code;

	if (ask[1] == NULL)
		return CMD_USAGE;
	if ((code = rd_find(c, &place)) == CMD_YES &&
	    (code = rd_open(c, &place, RD_CONTENT, ask, &rd)) == CMD_YES &&
	    (code = view_close_sandbox()) == CMD_YES)
		code = show_take(c, rd);
	rd_close(rd);
	return code;
}

static const struct cmd_opt sessions_show_opts[] = {
	RD_OPT_STORE,
	{ NULL, 0, NULL, NULL },
};

const struct cmd cmd_sessions_show = { "sessions", "show", "ID", "one session in detail",
	CMD_NOTHING, 0, 1, sessions_show_opts, sessions_show_run };

static int
sessions_kill_run(struct cmd_ctx *c, int n_args, const char *const *args)
{
	struct buf *b = buf_new(256);
	char id[64];
	int code = resolve_session(c, args[0], id, sizeof(id));

	(void)n_args;
	if (code == CMD_YES && (b == NULL || buf_put_cstr(b, id) != 0))
		code = cmd_fail(CMD_UNSURE, "out of memory");
	if (code == CMD_YES)
		code = ctl_command(c->broker_fd, CTL_KILL, buf_ptr(b), buf_len(b), NULL);
	buf_free(b);
	return code;
}

const struct cmd cmd_sessions_kill = { "sessions", "kill", "ID", "end a running session",
	CMD_NOTHING, 1, 1, NULL, sessions_kill_run };
