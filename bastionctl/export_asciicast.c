/*
 * asciicast v2 and v3 (docs.asciinema.org/manual/asciicast/): a header line, then [seconds, code, text] lines. In v2 seconds
 * count from the start and keep their nanoseconds; in v3 they count from the line before, in microseconds whose rounding
 * never adds up. Made for other tools to play; the record itself is what bastiond keeps.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/export.h"
#include "bastionctl/out.h"
#include "bastionctl/vt_safe.h"
#include "bastionctl/when.h"
#include "lib/clock.h"
#include "lib/str.h"

#define CAST_COLS 80u /* of a channel without a terminal */
#define CAST_ROWS 24u
#define CAST_TEXT_MAX 65536u /* bytes of the header */
#define CAST_NS_PER_US 1000u
#define CAST_US_PER_S 1000000u
#define CAST_ESCAPE 6u /* characters of \uXXXX */
#define CAST_SIGNALLED                                                                             \
	128u /* and the number of the signal: what shells say of a command that was killed */

static const char cast_codes[FRAME_STREAMS] = { 0, 'i', 'o', 'o' };

static void
cast_put_title(struct json *h, const struct json_node *session)
{
	char title[1024];

	(void)snprintf(title, sizeof(title), "%s as %s on %s",
	    json_str(json_get(session, "identity"), ""), json_str(json_get(session, "login"), ""),
	    json_str(json_get(session, "host"), ""));
	json_put_str(h, "title", title);
}

static uint64_t
cast_seconds(const char *text)
{
	uint64_t ns;

	return when_parse_utc(text, &ns) == 0 ? ns / CLOCK_NS_PER_S : 0;
}

/* p: a \uXXXX of a character that would not be seen or would turn text around, and is no control. */
static bool
cast_is_hidden(const char *p, size_t len)
{
	char hex[CAST_ESCAPE - 1];
	uint8_t v[2];
	unsigned cp;

	if (len < CAST_ESCAPE)
		return false;
	memcpy(hex, p + 2, sizeof(hex) - 1);
	hex[sizeof(hex) - 1] = '\0';
	if (str_unhex(hex, v, sizeof(v)) != 0)
		return false;
	cp = (unsigned)v[0] << 8 | v[1];
	return cp >= 0xa0 && (cp < 0xd800 || cp > 0xdfff) && !vt_safe_is_shown(cp);
}

/*
 * What is to be written for the unit of n characters at p; NULL: as it is. In a page nothing may end the element that it
 * stands in, and no character may turn text around. Where no terminal was, a line end alone begins a new line, too.
 */
static const char *
cast_replaced(const struct export *x, char code, const char *p, size_t n, size_t len)
{
	if (x->view.page != NULL && *p == '<')
		return "\\u003c";
	if (n != CAST_ESCAPE)
		return NULL;
	if (x->view.page != NULL && cast_is_hidden(p, len))
		return "\\ufffd";
	if (x->bare_lines && code == 'o' && strncmp(p, "\\u000a", CAST_ESCAPE) == 0)
		return "\\u000d\\u000a";
	return NULL;
}

/* The inside of a JSON string, or a line of JSON. code: of the event; 0: none. */
static void
cast_put(const struct export *x, char code, const char *p, size_t len)
{
	size_t from = 0;

	for (size_t i = 0, n; i < len; i += n) {
		const char *now;

		n = p[i] != '\\' ? 1 : p[i + 1] == 'u' ? CAST_ESCAPE : 2;
		if ((now = cast_replaced(x, code, p + i, n, len - i)) == NULL)
			continue;
		(void)fwrite(p + from, 1, i - from, x->out);
		fputs(now, x->out);
		from = i + n;
	}
	(void)fwrite(p + from, 1, len - from, x->out);
}

static void
cast_put_size(struct json *h, const struct json_node *channel, const char *cols, const char *rows)
{
	uint64_t c = json_u64(json_get(channel, "cols"), 0);
	uint64_t r = json_u64(json_get(channel, "rows"), 0);

	json_put_u64(h, cols, c != 0 ? c : CAST_COLS);
	json_put_u64(h, rows, r != 0 ? r : CAST_ROWS);
}

/* What both versions have, behind version and size. */
static void
cast_put_rest(struct json *h, const struct json_node *s, const struct json_node *channel)
{
	const char *term = json_str(json_get(channel, "term"), "");
	const char *command = json_str(json_get(channel, "command"), "");
	struct json *env = json_map();

	json_put_u64(h, "timestamp", cast_seconds(json_str(json_get(s, "started_at"), "")));
	if (command[0] != '\0')
		json_put_str(h, "command", command);
	cast_put_title(h, s);
	if (term[0] != '\0')
		json_put_str(env, "TERM", term);
	json_put(h, "env", env);
}

static int
cast_put_header(struct export *x, struct json *h)
{
	char *text;
	size_t len;
	int r = json_text(h, false, CAST_TEXT_MAX, &text, &len);

	if (r == 0) {
		cast_put(x, 0, text, len);
		(void)fputc('\n', x->out);
		free(text);
	}
	json_free(h);
	return r;
}

static int
cast_begin_v2(struct export *x)
{
	const struct json_node *s = x->view.session;
	const struct json_node *channel = export_channel(s, x->view.channel);
	struct json *h = json_map();

	json_put_u64(h, "version", 2);
	cast_put_size(h, channel, "width", "height");
	cast_put_rest(h, s, channel);
	return cast_put_header(x, h);
}

static int
cast_begin_v3(struct export *x)
{
	static const char *const tagged[] = { "identity", "login", "host" };
	const struct json_node *s = x->view.session;
	const struct json_node *channel = export_channel(s, x->view.channel);
	const char *type = json_str(json_get(channel, "term"), "");
	const char *id = json_str(json_get(s, "id"), "");
	struct json *h = json_map(), *term = json_map(), *tags = json_list();
	char tag[512];
	int r;

	json_put_u64(h, "version", 3);
	cast_put_size(term, channel, "cols", "rows");
	if (type[0] != '\0')
		json_put_str(term, "type", type);
	json_put(h, "term", term);
	cast_put_rest(h, s, channel);
	json_put_str(tags, NULL, "bastiond");
	for (size_t i = 0; i < sizeof(tagged) / sizeof(tagged[0]); i++) {
		(void)snprintf(
		    tag, sizeof(tag), "%s:%s", tagged[i], json_str(json_get(s, tagged[i]), ""));
		json_put_str(tags, NULL, tag);
	}
	json_put(h, "tags", tags);
	x->intervals = true;
	x->bare_lines = !json_bool(json_get(channel, "pty"), false);
	if ((r = cast_put_header(x, h)) == 0)
		fprintf(x->out, "# session %s\n", out_line(tag, sizeof(tag), id, strlen(id)));
	return r;
}

static void
cast_time(struct export *x, uint64_t at_ns)
{
	uint64_t s = at_ns / CLOCK_NS_PER_S, ns = at_ns % CLOCK_NS_PER_S;

	if (x->intervals) {
		uint64_t us = (at_ns + CAST_NS_PER_US / 2) / CAST_NS_PER_US, dt = us - x->last_us;

		x->last_us = us;
		fprintf(
		    x->out, "[%" PRIu64 ".%06" PRIu64 ", ", dt / CAST_US_PER_S, dt % CAST_US_PER_S);
	} else
		fprintf(x->out, "[%" PRIu64 ".%09" PRIu64 ", ", s, ns);
	x->n_written++;
}

/* One line; what is in scratch is the inside of its string. Nothing is written for no text. */
static void
cast_line(struct export *x, uint64_t at_ns, char code)
{
	size_t len = buf_len(x->scratch);

	if (len > 0) {
		cast_time(x, at_ns);
		fprintf(x->out, "\"%c\", \"", code);
		cast_put(x, code, (const char *)buf_ptr(x->scratch), len);
		fputs("\"]\n", x->out);
	}
	buf_reset(x->scratch);
}

static int
cast_data(struct export *x, const struct event *ev, enum frame_stream stream, const uint8_t *p,
    size_t len)
{
	int r;

	if (stream == FRAME_ERR)
		x->lost.merged_bytes += len;
	r = export_json_chars(x->scratch, &x->partial[stream], p, len, false, &x->lost.bad_bytes);
	if (r == 0)
		cast_line(x, ev->at_ns, cast_codes[stream]);
	return r;
}

static void
cast_size(struct export *x, const struct event *ev, uint32_t cols, uint32_t rows)
{
	cast_time(x, ev->at_ns);
	fprintf(x->out, "\"r\", \"%ux%u\"]\n", cols, rows);
}

/* Credit is nothing that anybody saw, and what a mark of something typed is about comes later. */
static bool
counts_as_lost(const struct event *ev)
{
	return ev->type != LINK_WINDOW && ev->type != EVENT_VEIL;
}

static int
cast_event_v2(struct export *x, const struct event *ev)
{
	const uint8_t *p;
	size_t len = 0;
	enum frame_stream stream = frame_data(ev, &p, &len);
	uint32_t cols, rows, status;
	char name[32];

	if (stream != FRAME_NONE)
		return cast_data(x, ev, stream, p, len);
	if (frame_size(ev, &cols, &rows))
		cast_size(x, ev, cols, rows);
	else if (frame_exit(ev, &status) || frame_signal(ev, name, sizeof(name)))
		x->lost.exit = true;
	else
		x->lost.requests += counts_as_lost(ev);
	return 0;
}

/* What is worth a marker, and how its line begins. */
static const struct {
	uint8_t type;
	const char *begins;
} cast_marks[] = {
	{ LINK_REQUEST, "exec" },
	{ LINK_REQUEST, "shell" },
	{ LINK_REQUEST, "subsystem" },
	{ EVENT_VERDICT, "" },
	{ EVENT_FILE, "" },
	{ EVENT_REMARK, "" },
	{ EVENT_HIDDEN, "" },
	{ EVENT_MASKED, "" },
};

static bool
cast_is_mark(const struct event *ev, const char *line)
{
	for (size_t i = 0; i < sizeof(cast_marks) / sizeof(cast_marks[0]); i++)
		if (cast_marks[i].type == ev->type && str_starts(line, cast_marks[i].begins))
			return true;
	return false;
}

static int
cast_mark(struct export *x, const struct event *ev)
{
	struct utf8 u = { 0 };
	char line[FRAME_TEXT_SIZE];
	uint64_t bad = 0;
	int r;

	if (!frame_text(ev, line, sizeof(line)) || !cast_is_mark(ev, line)) {
		x->lost.requests += counts_as_lost(ev);
		return 0;
	}
	r = export_json_chars(x->scratch, &u, (const uint8_t *)line, strlen(line), true, &bad);
	if (r == 0)
		cast_line(x, ev->at_ns, 'm');
	return r;
}

/* RFC 4254 section 6.10, with the numbers that Linux has for them. */
static const struct {
	const char *name;
	unsigned number;
} cast_signals[] = {
	{ "HUP", 1 },
	{ "INT", 2 },
	{ "QUIT", 3 },
	{ "ILL", 4 },
	{ "ABRT", 6 },
	{ "FPE", 8 },
	{ "KILL", 9 },
	{ "USR1", 10 },
	{ "SEGV", 11 },
	{ "USR2", 12 },
	{ "PIPE", 13 },
	{ "ALRM", 14 },
	{ "TERM", 15 },
};

/* How the command ended, as a shell's number; false: ev does not say, or it has none. */
static bool
cast_exit(struct export *x, const struct event *ev, uint32_t *ret_status)
{
	char name[32];

	if (frame_exit(ev, ret_status))
		return true;
	if (!frame_signal(ev, name, sizeof(name)))
		return false;
	for (size_t i = 0; i < sizeof(cast_signals) / sizeof(cast_signals[0]); i++)
		if (strcmp(cast_signals[i].name, name) == 0) {
			*ret_status = CAST_SIGNALLED + cast_signals[i].number;
			return true;
		}
	x->lost.exit = true;
	return false;
}

static int
cast_event_v3(struct export *x, const struct event *ev)
{
	const uint8_t *p;
	size_t len = 0;
	enum frame_stream stream = frame_data(ev, &p, &len);
	uint32_t cols, rows, status;

	if (stream != FRAME_NONE)
		return cast_data(x, ev, stream, p, len);
	if (frame_size(ev, &cols, &rows)) {
		cast_size(x, ev, cols, rows);
		return 0;
	}
	if (!cast_exit(x, ev, &status))
		return ev->type == LINK_EXIT_SIGNAL ? 0 : cast_mark(x, ev);
	cast_time(x, ev->at_ns);
	fprintf(x->out, "\"x\", \"%u\"]\n", status);
	return 0;
}

static int
cast_end(struct export *x)
{
	int r = 0;

	for (unsigned i = FRAME_IN; r == 0 && i < FRAME_STREAMS; i++) {
		r = export_json_chars(
		    x->scratch, &x->partial[i], NULL, 0, true, &x->lost.bad_bytes);
		if (r == 0)
			cast_line(x, x->last_ns, cast_codes[i]);
	}
	return r;
}

const struct export_format export_asciicast_v2 = { "asciicast-v2", true, false, false,
	cast_begin_v2, cast_event_v2, cast_end };
const struct export_format export_asciicast_v3 = { "asciicast-v3", true, false, false,
	cast_begin_v3, cast_event_v3, cast_end };
