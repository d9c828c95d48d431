/*
 * text: a transcript to read and to grep. What a terminal showed, line by line as the model of a terminal tells it (screen.h);
 * what was typed, edited as far as that can be known; commands, marks and ends between them. Each line has the time of its
 * first character, and lines stand in the order of these times: a line is told when it is done with, which may be long after
 * it began, so a number of them wait for their turn.
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
#include "lib/buf.h"
#include "lib/clock.h"
#include "recorder/screen.h"

#define LINE_MAX_CELLS 1024u   /* a longer line is broken */
#define TEXT_STREAMS_MAX 4096u /* at once; more only with as many channels open */
#define TEXT_SCREENS_MAX 64u   /* channels with a terminal at once; of more, output is lines only */
#define TEXT_WAITING_MAX 8192u /* lines that wait for earlier ones */
#define TEXT_WAITING_BYTES (16u << 20)
#define TEXT_LINE_MAX (4u * SCREEN_LINE_MAX) /* bytes, U+FFFD for shorter ones */
#define LINE_TAB 8u

/* What a person or a program sends, as a line that is edited. */
struct line {
	struct export *x;
	uint32_t channel;
	enum frame_stream stream;
	struct vt vt;
	uint64_t now_ns;   /* time of the event under way */
	uint64_t begun_ns; /* time of the line's first character */
	size_t len, col;   /* cells in use; cursor */
	uint32_t cells[LINE_MAX_CELLS];
};

/* One stream of a channel. */
struct text_stream {
	TAILQ_ENTRY(text_stream) link;
	struct export *x;
	uint32_t channel;
	enum frame_stream stream;
	uint32_t cols, rows;   /* of its terminal; 0: none */
	struct screen *screen; /* of what comes back; NULL: nothing came yet */
	struct utf8 utf8;      /* for counting what is no text */
	struct line *line;     /* of what is sent; NULL: nothing yet */
};

struct text_entry {
	uint64_t at_ns,
	    seq;    /* seq: of entries of the same time, the one that was put first comes first */
	char *text; /* owned */
};

struct export_lines {
	TAILQ_HEAD(, text_stream) list;
	size_t n, n_screens;
	struct text_entry *heap; /* the earliest one first */
	size_t n_heap, heap_bytes;
	uint64_t seq;
};

static void
text_time(FILE *f, uint64_t at_ns)
{
	uint64_t ms = at_ns / CLOCK_NS_PER_MS;

	fprintf(f, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%03" PRIu64 " ", ms / 3600000,
	    ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
}

static bool
text_is_before(const struct text_entry *a, const struct text_entry *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->seq < b->seq;
}

static void
text_swap(struct text_entry *a, struct text_entry *b)
{
	struct text_entry t = *a;

	*a = *b;
	*b = t;
}

/* Write the earliest line that waits. */
static void
text_pop(struct export *x)
{
	struct export_lines *l = x->lines;
	struct text_entry e = l->heap[0];
	size_t at = 0, child;

	l->heap[0] = l->heap[--l->n_heap];
	l->heap[l->n_heap].text = NULL;
	while ((child = 2 * at + 1) < l->n_heap) {
		child +=
		    child + 1 < l->n_heap && text_is_before(&l->heap[child + 1], &l->heap[child]);
		if (!text_is_before(&l->heap[child], &l->heap[at]))
			break;
		text_swap(&l->heap[child], &l->heap[at]);
		at = child;
	}
	if (!x->view.no_times)
		text_time(x->out, e.at_ns);
	fprintf(x->out, "%s\n", e.text);
	l->heap_bytes -= strlen(e.text);
	free(e.text);
}

/* Let a line wait among those of its time. text: taken, also on failure. */
static int
text_push(struct export *x, uint64_t at_ns, char *text)
{
	struct export_lines *l = x->lines;
	size_t at = l->n_heap;

	if (text == NULL)
		return -ENOMEM;
	l->heap[l->n_heap++] = (struct text_entry){ at_ns, l->seq++, text };
	l->heap_bytes += strlen(text);
	while (at > 0 && text_is_before(&l->heap[at], &l->heap[(at - 1) / 2])) {
		text_swap(&l->heap[at], &l->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	while (l->n_heap == TEXT_WAITING_MAX || l->heap_bytes > TEXT_WAITING_BYTES)
		text_pop(x);
	return 0;
}

/* "12 out | text" as one string; it is owned by the caller. NULL: out of memory. */
static char *
text_join(uint32_t channel, const char *what, const char *text, size_t len)
{
	bool back = channel > LINK_FROM_BACK; /* opened by the target */
	char *joined;

	if (asprintf(&joined, "%s%*u %-3s | %.*s", back ? "t" : "", back ? 1 : 2,
		back ? channel - LINK_FROM_BACK : channel, what, (int)len, text) < 0)
		return NULL;
	return joined;
}

static void
line_clear(struct line *l)
{
	l->len = l->col = 0;
}

static int
line_end(struct line *l)
{
	uint8_t text[LINE_MAX_CELLS * UTF8_BYTES_MAX];
	size_t len = 0;

	while (l->len > 0 && l->cells[l->len - 1] == ' ')
		l->len--;
	for (size_t i = 0; i < l->len; i++)
		len += utf8_put(text + len, l->cells[i]);
	line_clear(l);
	return text_push(l->x, l->begun_ns,
	    text_join(l->channel, frame_stream_name(l->stream), (const char *)text, len));
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
	int r = l->col >= LINE_MAX_CELLS ? line_end(l) : 0;

	if (r != 0)
		return r;
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
	int r;

	switch (c) {
	case '\n':
	case '\v':
	case '\f':
		if (l->len == 0)
			l->begun_ns = l->now_ns;
		return line_end(l);
	case '\r':
		return line_leave(l); /* the return key */
	case '\b':
		l->col -= l->col > 0;
		return 0;
	case '\t':
		l->col = (l->col / LINE_TAB + 1) * LINE_TAB;
		return 0;
	default: /* typed control characters mean something: ^C */
		r = line_put(l, '^');
		return r != 0 ? r : line_put(l, c + 0x40u);
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

static struct text_stream *
text_find(const struct export *x, uint32_t channel, enum frame_stream stream)
{
	struct text_stream *t;

	TAILQ_FOREACH (t, &x->lines->list, link)
		if (t->channel == channel && t->stream == stream)
			return t;
	return NULL;
}

/* The stream, a new one if need be. NULL: out of memory, or too many. */
static struct text_stream *
text_stream(struct export *x, uint32_t channel, enum frame_stream stream)
{
	struct text_stream *t = text_find(x, channel, stream);

	if (t != NULL || x->lines->n == TEXT_STREAMS_MAX)
		return t;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return NULL;
	t->x = x;
	t->channel = channel;
	t->stream = stream;
	TAILQ_INSERT_HEAD(&x->lines->list, t, link);
	x->lines->n++;
	return t;
}

static void
text_stream_free(struct export_lines *l, struct text_stream *t)
{
	TAILQ_REMOVE(&l->list, t, link);
	l->n--;
	l->n_screens -= t->screen != NULL && t->cols != 0;
	screen_free(t->screen);
	free(t->line);
	free(t);
}

/* A line that the screen is done with. What turns text around stands as U+FFFD. */
static int
text_shown(void *arg, const struct screen_line *line)
{
	const struct text_stream *t = arg;
	struct buf *b = buf_new(TEXT_LINE_MAX);
	struct utf8 u = { 0 };
	int r = b == NULL ? -ENOMEM : 0;

	for (size_t i = 0; r == 0 && i < line->len; i++) {
		uint32_t cp = UTF8_REPLACEMENT;
		uint8_t bytes[UTF8_BYTES_MAX];

		if (utf8_step(&u, line->text[i], &cp) == UTF8_MORE)
			continue;
		if (cp >= 0x80 && !vt_safe_is_shown(cp))
			cp = UTF8_REPLACEMENT;
		r = buf_put(b, bytes, utf8_put(bytes, cp));
	}
	if (r == 0)
		r = text_push(t->x, line->begun_ns,
		    text_join(t->channel, frame_stream_name(t->stream), (const char *)buf_ptr(b),
			buf_len(b)));
	buf_free(b);
	return r;
}

/* Its screen, when something comes; of too many at once the output is lines only. */
static int
text_screen(struct text_stream *t)
{
	int r;

	if (t->screen != NULL)
		return 0;
	if (t->x->lines->n_screens >= TEXT_SCREENS_MAX)
		t->cols = t->rows = 0;
	if ((r = screen_new(t->cols, t->rows, text_shown, t, &t->screen)) == 0)
		t->x->lines->n_screens += t->cols != 0;
	return r;
}

static void
text_count_bad(struct text_stream *t, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len;) {
		uint32_t cp;
		uint64_t seen = t->utf8.seen;
		enum utf8_step step = utf8_step(&t->utf8, p[i], &cp);

		i += step != UTF8_BAD_CUT;
		if (step == UTF8_BAD || step == UTF8_BAD_CUT)
			t->x->lost.bad_bytes += step == UTF8_BAD ? 1 : seen;
	}
}

static int
text_typed(struct text_stream *t, uint64_t at_ns, const uint8_t *p, size_t len)
{
	if (t->line == NULL && (t->line = calloc(1, sizeof(*t->line))) == NULL)
		return -ENOMEM;
	t->line->x = t->x;
	t->line->channel = t->channel;
	t->line->stream = t->stream;
	t->line->now_ns = at_ns;
	return vt_feed(&t->line->vt, &line_ops, t->line, p, len);
}

/* What is unfinished. */
static int
text_finish(struct text_stream *t, uint64_t at_ns)
{
	int r = 0;

	if (t->line != NULL && (r = vt_finish(&t->line->vt, &line_ops, t->line)) == 0)
		r = line_leave(t->line);
	if (r == 0 && utf8_is_partial(&t->utf8))
		t->x->lost.bad_bytes += t->utf8.seen;
	if (r == 0 && t->screen != NULL)
		r = screen_flush(t->screen, at_ns);
	return r;
}

/* All streams of a channel (0: of all) have ended. */
static int
text_finish_all(struct export *x, uint32_t channel, uint64_t at_ns)
{
	struct text_stream *t, *next;
	int r = 0;

	for (t = TAILQ_FIRST(&x->lines->list); t != NULL && r == 0; t = next) {
		next = TAILQ_NEXT(t, link);
		if (channel != 0 && t->channel != channel)
			continue;
		r = text_finish(t, at_ns);
		text_stream_free(x->lines, t);
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
	x->lines->heap = calloc(TEXT_WAITING_MAX, sizeof(x->lines->heap[0]));
	if (x->lines->heap == NULL)
		return -ENOMEM;
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
	struct text_stream *t;
	int r;

	if (text_is_binary(x, ev->channel)) {
		x->lost.binary_bytes += len;
		return 0;
	}
	if ((t = text_stream(x, ev->channel, stream)) == NULL)
		return -ENOMEM;
	if (stream == FRAME_IN)
		return text_typed(t, ev->at_ns, p, len);
	text_count_bad(t, p, len);
	if ((r = text_screen(t)) != 0)
		return r;
	return screen_feed(t->screen, ev->at_ns, p, len);
}

/* The terminal of a channel, before or while it shows something. */
static int
text_size(struct export *x, const struct event *ev, uint32_t cols, uint32_t rows)
{
	struct text_stream *t = text_stream(x, ev->channel, FRAME_OUT);

	if (t == NULL)
		return -ENOMEM;
	if (t->screen != NULL)
		return screen_resize(t->screen, ev->at_ns, cols, rows);
	t->cols = cols;
	t->rows = rows;
	return 0;
}

static int
text_event(struct export *x, const struct event *ev)
{
	const uint8_t *p;
	size_t len = 0;
	enum frame_stream stream = frame_data(ev, &p, &len);
	char line[FRAME_TEXT_SIZE];
	uint32_t cols, rows;
	int r = 0;

	if (stream != FRAME_NONE)
		return text_data(x, ev, stream, p, len);
	if (frame_size(ev, &cols, &rows))
		r = text_size(x, ev, cols, rows);
	if (r == 0 && ev->type == LINK_CLOSE && ev->way == EVENT_BACK && ev->channel != 0)
		r = text_finish_all(x, ev->channel, ev->at_ns);
	if (r != 0 || !frame_text(ev, line, sizeof(line)))
		return r;
	return text_push(x, ev->at_ns, text_join(ev->channel, "--", line, strlen(line)));
}

static int
text_end(struct export *x)
{
	int r = text_finish_all(x, 0, x->last_ns);

	while (r == 0 && x->lines->n_heap > 0)
		text_pop(x);
	return r;
}

void
export_lines_free(struct export_lines *lines)
{
	struct text_stream *t, *next;

	if (lines == NULL)
		return;
	for (t = TAILQ_FIRST(&lines->list); t != NULL; t = next) {
		next = TAILQ_NEXT(t, link);
		text_stream_free(lines, t);
	}
	for (size_t i = 0; i < lines->n_heap; i++)
		free(lines->heap[i].text);
	free(lines->heap);
	free(lines);
}

const struct export_format export_text = { "text", false, false, false, text_begin, text_event,
	text_end };
