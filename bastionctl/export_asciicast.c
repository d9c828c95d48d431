/*
 * asciicast v2 (docs.asciinema.org/manual/asciicast/v2/): a header line, then [seconds, code, text] lines. Times keep their
 * nanoseconds. Made for other tools to play; the record itself is what bastiond keeps.
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/export.h"
#include "bastionctl/when.h"
#include "lib/clock.h"

#define CAST_COLS 80u /* of a channel without a terminal */
#define CAST_ROWS 24u
#define CAST_TEXT_MAX 65536u /* bytes of the header */

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

static int
cast_begin(struct export *x)
{
	const struct json_node *s = x->view.session;
	const struct json_node *c = export_channel(s, x->view.channel);
	const char *term = json_str(json_get(c, "term"), "");
	const char *command = json_str(json_get(c, "command"), "");
	uint64_t cols = json_u64(json_get(c, "cols"), 0), rows = json_u64(json_get(c, "rows"), 0);
	struct json *h = json_map(), *env = json_map();
	char *text;
	size_t len;
	int r;

	json_put_u64(h, "version", 2);
	json_put_u64(h, "width", cols != 0 ? cols : CAST_COLS);
	json_put_u64(h, "height", rows != 0 ? rows : CAST_ROWS);
	json_put_u64(h, "timestamp", cast_seconds(json_str(json_get(s, "started_at"), "")));
	if (command[0] != '\0')
		json_put_str(h, "command", command);
	cast_put_title(h, s);
	if (term[0] != '\0')
		json_put_str(env, "TERM", term);
	json_put(h, "env", env);
	r = json_text(h, false, CAST_TEXT_MAX, &text, &len);
	if (r == 0) {
		fprintf(x->out, "%s\n", text);
		free(text);
	}
	json_free(h);
	return r;
}

static void
cast_time(FILE *f, uint64_t at_ns)
{
	uint64_t s = at_ns / CLOCK_NS_PER_S, ns = at_ns % CLOCK_NS_PER_S;

	fprintf(f, "[%" PRIu64 ".%09" PRIu64 ", ", s, ns);
}

/* One line; what is in scratch is the inside of its string. Nothing is written for no text. */
static void
cast_line(struct export *x, uint64_t at_ns, char code)
{
	size_t len = buf_len(x->scratch);

	if (len > 0) {
		cast_time(x->out, at_ns);
		fprintf(x->out, "\"%c\", \"", code);
		(void)fwrite(buf_ptr(x->scratch), 1, len, x->out);
		fputs("\"]\n", x->out);
		x->n_written++;
	}
	buf_reset(x->scratch);
}

static int
cast_event(struct export *x, const struct event *ev)
{
	const uint8_t *p;
	size_t len = 0;
	enum frame_stream stream = frame_data(ev, &p, &len);
	uint32_t cols, rows, status;
	char name[32];
	int r;

	if (stream != FRAME_NONE) {
		if (stream == FRAME_ERR)
			x->lost.merged_bytes += len;
		r = export_json_chars(
		    x->scratch, &x->partial[stream], p, len, false, &x->lost.bad_bytes);
		if (r == 0)
			cast_line(x, ev->at_ns, cast_codes[stream]);
		return r;
	}
	if (frame_size(ev, &cols, &rows)) {
		cast_time(x->out, ev->at_ns);
		fprintf(x->out, "\"r\", \"%ux%u\"]\n", cols, rows);
		x->n_written++;
	} else if (frame_exit(ev, &status) || frame_signal(ev, name, sizeof(name)))
		x->lost.exit = true;
	else if (ev->type != LINK_WINDOW)
		x->lost.requests++;
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

const struct export_format export_asciicast_v2 = { "asciicast-v2", true, false, cast_begin,
	cast_event, cast_end };
