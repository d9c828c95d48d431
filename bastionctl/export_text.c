/*
 * text: a transcript to read and to grep. Every line of every stream as it stood on the terminal when it was left, with the
 * time of its first character; requests and marks between them. Lines are edited as a terminal would (backspace, carriage
 * return, erasing within the line); what moves between lines ends the line.
 */
#include "config.h"

#include <sys/queue.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bastionctl/export.h"
#include "bastionctl/out.h"
#include "bastionctl/vt.h"
#include "bastionctl/vt_safe.h"
#include "lib/clock.h"

#define LINE_MAX_CELLS 1024u /* a longer line is broken */
#define LINES_MAX                                                                                  \
	4096u /* streams with an unfinished line; more only with as many channels open at once */
#define LINE_TAB 8u

/* The line that a stream of a channel is on. */
struct line {
	TAILQ_ENTRY(line) link;
	struct export *x;
	uint32_t channel;
	enum frame_stream stream;
	struct vt vt;
	uint64_t now_ns;   /* time of the event under way */
	uint64_t begun_ns; /* time of the line's first character */
	size_t len, col;   /* cells in use; cursor */
	uint32_t cells[LINE_MAX_CELLS];
};

struct export_lines {
	TAILQ_HEAD(, line) list;
	size_t n;
};

static void
text_time(FILE *f, uint64_t at_ns)
{
	uint64_t ms = at_ns / CLOCK_NS_PER_MS;

	fprintf(f, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%03" PRIu64, ms / 3600000,
	    ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
}

static void
text_head(const struct export *x, uint64_t at_ns, uint32_t channel, const char *what)
{
	text_time(x->out, at_ns);
	if (channel > LINK_FROM_BACK) /* opened by the target */
		fprintf(x->out, " t%u %-3s | ", channel - LINK_FROM_BACK, what);
	else
		fprintf(x->out, " %2u %-3s | ", channel, what);
}

static void
line_clear(struct line *l)
{
	l->len = l->col = 0;
}

static int
line_end(struct line *l)
{
	FILE *f = l->x->out;

	while (l->len > 0 && l->cells[l->len - 1] == ' ')
		l->len--;
	text_head(l->x, l->begun_ns, l->channel, frame_stream_name(l->stream));
	for (size_t i = 0; i < l->len; i++) {
		uint8_t bytes[UTF8_BYTES_MAX];

		(void)fwrite(bytes, 1, utf8_put(bytes, l->cells[i]), f);
	}
	(void)fputc('\n', f);
	line_clear(l);
	return 0;
}

/* End a line that has something on it. */
static int
line_leave(struct line *l)
{
	if (l->len > 0)
		return line_end(l);
	line_clear(l);
	return 0;
}

static int
line_put(struct line *l, uint32_t cp)
{
	if (l->col >= LINE_MAX_CELLS && line_end(l) != 0)
		return -EIO;
	if (l->len == 0)
		l->begun_ns = l->now_ns;
	while (l->len < l->col)
		l->cells[l->len++] = ' ';
	l->cells[l->col++] = cp;
	if (l->col > l->len)
		l->len = l->col;
	return 0;
}

static int
line_text(void *arg, const uint8_t *ascii, size_t len)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < len; i++)
		r = line_put(arg, ascii[i]);
	return r;
}

static int
line_print(void *arg, uint32_t cp)
{
	struct line *l = arg;

	if (cp == UTF8_REPLACEMENT)
		l->x->lost.bad_bytes++;
	return line_put(l, vt_safe_is_shown(cp) ? cp : UTF8_REPLACEMENT);
}

static int
line_control(void *arg, uint8_t c)
{
	struct line *l = arg;

	switch (c) {
	case '\n':
	case '\v':
	case '\f':
		if (l->len == 0)
			l->begun_ns = l->now_ns;
		return line_end(l);
	case '\r':
		if (l->stream == FRAME_IN) /* the return key */
			return line_leave(l);
		l->col = 0;
		return 0;
	case '\b':
		l->col -= l->col > 0;
		return 0;
	case '\t':
		l->col = (l->col / LINE_TAB + 1) * LINE_TAB;
		return 0;
	default:
		if (l->stream == FRAME_IN) { /* typed control characters mean something: ^C */
			int r = line_put(l, '^');

			return r != 0 ? r : line_put(l, c + 0x40u);
		}
		return 0;
	}
}

static int
line_escape(void *arg, char inter, char final)
{
	(void)arg;
	(void)inter;
	(void) final;
	return 0;
}

/* Characters to the right, from the cursor on, go n to the left. */
static void
line_delete(struct line *l, size_t n)
{
	if (l->col >= l->len)
		return;
	n = n > l->len - l->col ? l->len - l->col : n;
	memmove(
	    l->cells + l->col, l->cells + l->col + n, (l->len - l->col - n) * sizeof(l->cells[0]));
	l->len -= n;
}

static void
line_insert(struct line *l, size_t n)
{
	size_t behind;

	if (l->col >= l->len)
		return;
	n = n > LINE_MAX_CELLS - l->len ? LINE_MAX_CELLS - l->len : n;
	behind = l->len - l->col;
	memmove(l->cells + l->col + n, l->cells + l->col, behind * sizeof(l->cells[0]));
	for (size_t i = 0; i < n; i++)
		l->cells[l->col + i] = ' ';
	l->len += n;
}

static void
line_erase(struct line *l, unsigned how)
{
	if (how == 0 && l->col < l->len)
		l->len = l->col;
	if (how == 1)
		for (size_t i = 0; i < l->len && i <= l->col; i++)
			l->cells[i] = ' ';
	if (how == 2)
		l->len = 0;
}

static void
line_move(struct line *l, size_t col)
{
	l->col = col < LINE_MAX_CELLS ? col : LINE_MAX_CELLS - 1;
}

static int
line_csi(void *arg, const struct vt_csi *seq)
{
	struct line *l = arg;
	size_t n = seq->n > 0 && seq->params[0].value > 0 ? seq->params[0].value : 1;

	if (seq->marker != 0 || seq->inter != 0)
		return 0;
	switch (seq->final) {
	case 'C':
	case 'a':
		line_move(l, l->col + n);
		return 0;
	case 'D':
		line_move(l, n > l->col ? 0 : l->col - n);
		return 0;
	case 'G':
	case '`':
		line_move(l, n - 1);
		return 0;
	case 'K':
		line_erase(l, seq->n > 0 ? seq->params[0].value : 0);
		return 0;
	case 'P':
		line_delete(l, n);
		return 0;
	case '@':
		line_insert(l, n);
		return 0;
	default: /* to another line: this one is left as it is */
		return strchr("ABEFHJLMSTdefru", seq->final) != NULL ? line_leave(l) : 0;
	}
}

static const struct vt_ops line_ops = { line_text, line_print, line_control, line_escape,
	line_csi };

static struct line *
text_line(struct export *x, uint32_t channel, enum frame_stream stream)
{
	struct line *l;

	TAILQ_FOREACH (l, &x->lines->list, link)
		if (l->channel == channel && l->stream == stream)
			return l;
	l = x->lines->n < LINES_MAX ? calloc(1, sizeof(*l)) : NULL;
	if (l == NULL)
		return NULL;
	l->x = x;
	l->channel = channel;
	l->stream = stream;
	TAILQ_INSERT_HEAD(&x->lines->list, l, link);
	x->lines->n++;
	return l;
}

/* What is unfinished on this channel (0: on all), as it is; close: no more will come. */
static int
text_leave_lines(struct export *x, uint32_t channel, bool close)
{
	struct line *l, *next;
	int r = 0;

	for (l = TAILQ_FIRST(&x->lines->list); l != NULL && r == 0; l = next) {
		next = TAILQ_NEXT(l, link);
		if (channel != 0 && l->channel != channel)
			continue;
		if (close)
			r = vt_finish(&l->vt, &line_ops, l);
		if (r == 0)
			r = line_leave(l);
		if (close) {
			TAILQ_REMOVE(&x->lines->list, l, link);
			x->lines->n--;
			free(l);
		}
	}
	return r;
}

static void
text_field(const struct export *x, const char *title, const char *value)
{
	char safe[FRAME_TEXT_SIZE];

	if (value[0] != '\0')
		fprintf(x->out, "%-10s %s\n", title,
		    out_line(safe, sizeof(safe), value, strlen(value)));
}

static int
text_begin(struct export *x)
{
	static const struct {
		const char *title, *key;
	} fields[] = { { "session", "id" }, { "identity", "identity" }, { "login", "login" },
		{ "host", "host" }, { "address", "address" }, { "source", "source" },
		{ "started", "started_at" }, { "ended", "ended_at" }, { "state", "state" },
		{ "end", "end_reason" } };

	x->lines = calloc(1, sizeof(*x->lines));
	if (x->lines == NULL)
		return -ENOMEM;
	TAILQ_INIT(&x->lines->list);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		text_field(
		    x, fields[i].title, json_str(json_get(x->view.session, fields[i].key), ""));
	fputs("\n", x->out);
	return 0;
}

/* What a subsystem (sftp) says is for programs. */
static bool
text_is_binary(const struct export *x, uint32_t channel)
{
	const struct json_node *c = export_channel(x->view.session, channel);

	return strcmp(json_str(json_get(c, "kind"), ""), "subsystem") == 0;
}

static int
text_data(struct export *x, const struct event *ev, enum frame_stream stream, const uint8_t *p,
    size_t len)
{
	struct line *l;

	if (text_is_binary(x, ev->channel)) {
		x->lost.binary_bytes += len;
		return 0;
	}
	l = text_line(x, ev->channel, stream);
	if (l == NULL)
		return -ENOMEM;
	l->now_ns = ev->at_ns;
	return vt_feed(&l->vt, &line_ops, l, p, len);
}

static int
text_event(struct export *x, const struct event *ev)
{
	const uint8_t *p;
	size_t len = 0;
	enum frame_stream stream = frame_data(ev, &p, &len);
	char line[FRAME_TEXT_SIZE];
	int r;

	if (stream != FRAME_NONE)
		return text_data(x, ev, stream, p, len);
	if (!frame_text(ev, line, sizeof(line)))
		return 0;
	if ((r = text_leave_lines(x, ev->channel, false)) != 0)
		return r;
	text_head(x, ev->at_ns, ev->channel, "--");
	fprintf(x->out, "%s\n", line);
	return 0;
}

static int
text_end(struct export *x)
{
	return text_leave_lines(x, 0, true);
}

void
export_lines_free(struct export_lines *lines)
{
	struct line *l;

	if (lines == NULL)
		return;
	while ((l = TAILQ_FIRST(&lines->list)) != NULL) {
		TAILQ_REMOVE(&lines->list, l, link);
		free(l);
	}
	free(lines);
}

const struct export_format export_text = { "text", false, false, false, text_begin, text_event,
	text_end };
