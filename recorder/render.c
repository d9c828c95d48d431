/* From events to lines: one table of what each kind of event says. */
#include "config.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/json.h"
#include "lib/str.h"
#include "recorder/render.h"
#include "recorder/veil.h"

#define NAME_MAX_LEN 64u   /* bytes of a request's name that we know */
#define TYPED_MAX 4096u	   /* bytes of a line that is typed; a longer one is told in parts */
#define COMMAND_MAX 65536u /* bytes of a command that is told */
#define CHANNELS_MAX                                                                               \
	4096u /* that are open at once; of more nothing is told but commands and files */

/* Where the typed line is, in the middle of what a key sent. */
enum key_state { KEY_TEXT, KEY_ESCAPE, KEY_CSI, KEY_SS3, KEY_STRING, KEY_STRING_ESCAPE };

struct channel {
	TAILQ_ENTRY(channel) link;
	uint32_t number;
	bool pty, subsystem, closed;
	uint32_t cols, rows;
	size_t cells; /* of its screen, as counted in rn */
	struct render *rn;
	struct screen *out, *err; /* NULL: nothing came yet */
	enum key_state key;
	uint8_t typed[TYPED_MAX];
	size_t typed_len;
	uint64_t typed_ns;
};

struct render {
	render_fn fn;
	void *arg;
	TAILQ_HEAD(, channel) channels;
	size_t n_channels;
	uint32_t terminals[RENDER_TERMINALS_MAX];
	size_t n_terminals, n_cells;
	uint64_t now_ns;
	struct channel *last;
	struct veil_reader *veil;
};

const char *
render_kind_name(enum render_kind kind)
{
	static const char *const names[RENDER_KINDS] = { "screen", "typed", "command", "file" };

	return (unsigned)kind < RENDER_KINDS ? names[kind] : "unknown";
}

int
render_new(render_fn fn, void *arg, struct render **ret_render)
{
	struct render *rn = calloc(1, sizeof(*rn));

	if (rn == NULL)
		return -ENOMEM;
	if ((rn->veil = veil_reader_new()) == NULL) {
		free(rn);
		return -ENOMEM;
	}
	rn->fn = fn;
	rn->arg = arg;
	TAILQ_INIT(&rn->channels);
	*ret_render = rn;
	return 0;
}

/* It has no screen any more: its place and its cells are free. */
static void
terminal_gone(struct render *rn, struct channel *ch)
{
	rn->n_cells -= ch->cells;
	ch->cells = 0;
	for (size_t i = 0; i < rn->n_terminals; i++)
		if (rn->terminals[i] == ch->number) {
			rn->n_terminals--;
			memmove(&rn->terminals[i], &rn->terminals[i + 1],
			    (rn->n_terminals - i) * sizeof(rn->terminals[0]));
			break;
		}
}

static void
channel_free(struct render *rn, struct channel *ch)
{
	terminal_gone(rn, ch);
	TAILQ_REMOVE(&rn->channels, ch, link);
	rn->n_channels--;
	if (rn->last == ch)
		rn->last = NULL;
	screen_free(ch->out);
	screen_free(ch->err);
	free(ch);
}

void
render_free(struct render *rn)
{
	struct channel *ch;

	if (rn == NULL)
		return;
	while ((ch = TAILQ_FIRST(&rn->channels)) != NULL)
		channel_free(rn, ch);
	veil_reader_free(rn->veil);
	free(rn);
}

static struct channel *
channel_find(struct render *rn, uint32_t number)
{
	struct channel *ch;

	if (rn->last != NULL && rn->last->number == number)
		return rn->last;
	TAILQ_FOREACH (ch, &rn->channels, link)
		if (ch->number == number) {
			rn->last = ch;
			return ch;
		}
	return NULL;
}

/* A line of somebody's making, without control characters and without what is no UTF-8. */
static int
tell(struct render *rn, enum render_kind kind, uint32_t channel, uint64_t at_ns, const uint8_t *p,
    size_t len)
{
	struct render_line line = { .kind = kind, .channel = channel, .at_ns = at_ns };
	uint8_t *text;
	size_t n = 0;
	int r;

	if (rn->fn == NULL || len == 0)
		return 0;
	if ((text = malloc(3 * len)) == NULL)
		return -ENOMEM;
	while (len > 0) {
		size_t one = str_utf8_len(p, len);

		if (one == 1 && (p[0] < 0x20 || p[0] == 0x7f)) {
			text[n++] = ' ';
		} else if (one == 0 || (one == 2 && p[0] == 0xc2 && p[1] < 0xa0)) {
			memcpy(text + n, "\xef\xbf\xbd", 3);
			n += 3;
		} else {
			memcpy(text + n, p, one);
			n += one;
		}
		one = one == 0 ? 1 : one;
		p += one;
		len -= one;
	}
	while (n > 0 && text[n - 1] == ' ')
		n--;
	line.text = text;
	line.len = n;
	r = n > 0 ? rn->fn(rn->arg, &line) : 0;
	free(text);
	return r;
}

static int
on_screen_line(void *arg, const struct screen_line *sl)
{
	const struct channel *ch = arg;
	const struct render_line line = { RENDER_SCREEN, ch->number, sl->at_ns, sl->text, sl->len };

	return ch->rn->fn(ch->rn->arg, &line);
}

/* What output goes to is a screen, and not lines only. */
static bool
has_picture(const struct channel *ch)
{
	uint32_t cols = 0, rows;

	if (ch->out != NULL)
		screen_size(ch->out, &cols, &rows);
	return cols != 0;
}

/* The first from ch on that is over, whose screen nobody needs as much as a new one. NULL: there is none. */
static struct channel *
find_over(struct channel *ch, const struct channel *but)
{
	while (ch != NULL && (ch == but || !ch->closed || !has_picture(ch)))
		ch = TAILQ_NEXT(ch, link);
	return ch;
}

/* Room for n more terminals and so many more cells for self: in the place of those that are over, if need be. */
static bool
terminal_room(struct render *rn, const struct channel *self, size_t n, size_t cells)
{
	struct channel *over, *from = TAILQ_FIRST(&rn->channels);

	while (
	    rn->n_terminals + n > RENDER_TERMINALS_MAX || rn->n_cells + cells > RENDER_CELLS_MAX) {
		if ((over = find_over(from, self)) == NULL)
			return false;
		from = TAILQ_NEXT(over, link);
		channel_free(rn, over);
	}
	return true;
}

/* What a screen of this size takes. */
static size_t
cells_of(uint32_t cols, uint32_t rows)
{
	size_t wide = cols < SCREEN_COLS_MAX ? cols : SCREEN_COLS_MAX,
	       high = rows < SCREEN_ROWS_MAX ? rows : SCREEN_ROWS_MAX;

	return (wide > 0 ? wide : 1) * (high > 0 ? high : 1);
}

/* As large as it is: a screen may refuse a size. */
static void
count_cells(struct channel *ch)
{
	uint32_t cols, rows;

	screen_size(ch->out, &cols, &rows);
	ch->rn->n_cells -= ch->cells;
	ch->cells = (size_t)cols * rows;
	ch->rn->n_cells += ch->cells;
}

static int
channel_screen(struct channel *ch, bool terminal, struct screen **ret)
{
	struct render *rn = ch->rn;
	bool lines = !terminal || (ch->cols == 0 && ch->rows == 0);
	int r;

	if (*ret != NULL)
		return 0;
	if (!lines && !terminal_room(rn, ch, 1, cells_of(ch->cols, ch->rows)))
		lines = true;
	r = screen_new(lines ? 0 : ch->cols, lines ? 0 : ch->rows,
	    rn->fn != NULL ? on_screen_line : NULL, ch, ret);
	if (r == 0 && !lines) {
		rn->terminals[rn->n_terminals++] = ch->number;
		count_cells(ch);
	}
	return r;
}

/* There is no room for its screen any more: what it showed is told, and from here on its output is lines. */
static int
channel_lines(struct channel *ch)
{
	struct render *rn = ch->rn;
	int r = screen_flush(ch->out, rn->now_ns);

	terminal_gone(rn, ch);
	screen_free(ch->out);
	ch->out = NULL;
	return r != 0 ? r : screen_new(0, 0, rn->fn != NULL ? on_screen_line : NULL, ch, &ch->out);
}

static int
channel_resize(struct channel *ch, uint32_t cols, uint32_t rows)
{
	size_t cells = cells_of(cols, rows);
	int r;

	if (!has_picture(ch))
		return 0;
	if (cells > ch->cells && !terminal_room(ch->rn, ch, 0, cells - ch->cells))
		return channel_lines(ch);
	r = screen_resize(ch->out, ch->rn->now_ns, cols, rows);
	count_cells(ch);
	return r;
}

/* The line that was typed so far is over. */
static int
typed_end(struct channel *ch)
{
	size_t len = ch->typed_len;

	ch->typed_len = 0;
	return tell(ch->rn, RENDER_TYPED, ch->number, ch->typed_ns, ch->typed, len);
}

static void
typed_rub_out(struct channel *ch)
{
	while (ch->typed_len > 0 && (ch->typed[--ch->typed_len] & 0xc0) == 0x80)
		;
}

static void
typed_rub_out_word(struct channel *ch)
{
	while (ch->typed_len > 0 && ch->typed[ch->typed_len - 1] == ' ')
		ch->typed_len--;
	while (ch->typed_len > 0 && ch->typed[ch->typed_len - 1] != ' ')
		ch->typed_len--;
}

static int
typed_text(struct channel *ch, uint8_t c)
{
	int r = 0;

	switch (c) {
	case '\r':
	case '\n':
	case 0x03: /* given up, but typed */
	case 0x04:
		return typed_end(ch);
	case 0x08:
	case 0x7f:
		typed_rub_out(ch);
		return 0;
	case 0x15: /* ^U */
		ch->typed_len = 0;
		return 0;
	case 0x17: /* ^W */
		typed_rub_out_word(ch);
		return 0;
	case 0x1b:
		ch->key = KEY_ESCAPE;
		return 0;
	default:
		break;
	}
	if (c < 0x20)
		return 0;
	if (ch->typed_len == TYPED_MAX)
		r = typed_end(ch);
	ch->typed[ch->typed_len++] = c;
	return r;
}

/* Keys that send sequences, pastes that are marked, and answers of the terminal itself. */
static int
typed_key(struct channel *ch, uint8_t c)
{
	enum key_state was = ch->key;

	if (was == KEY_ESCAPE) {
		ch->key = c == '['					 ? KEY_CSI
			  : c == 'O'					 ? KEY_SS3
			  : c == ']' || c == 'P' || c == '_' || c == '^' ? KEY_STRING
									 : KEY_TEXT;
		return ch->key == KEY_TEXT ? typed_text(ch, c) : 0;
	}
	if (was == KEY_STRING || was == KEY_STRING_ESCAPE) {
		if (c == 0x07 || c == '\r' || (was == KEY_STRING_ESCAPE && c == '\\'))
			ch->key = KEY_TEXT;
		else
			ch->key = c == 0x1b ? KEY_STRING_ESCAPE : KEY_STRING;
		return 0;
	}
	if (was == KEY_SS3 || (c >= '@' && c <= '~')) {
		ch->key = KEY_TEXT;
		return 0;
	}
	if (c < 0x20) {
		ch->key = KEY_TEXT;
		return typed_text(ch, c);
	}
	return 0;
}

static int
channel_typed(struct channel *ch, const uint8_t *p, size_t len)
{
	int r = 0;

	ch->typed_ns = ch->rn->now_ns;
	for (size_t i = 0; r == 0 && i < len; i++)
		r = ch->key == KEY_TEXT ? typed_text(ch, p[i]) : typed_key(ch, p[i]);
	return r;
}

static int
on_open(struct render *rn, struct channel *ch, const struct event *ev, struct buf *b)
{
	char type[NAME_MAX_LEN];

	if (ch != NULL || rn->n_channels >= CHANNELS_MAX ||
	    buf_get_cstr(b, type, sizeof(type)) != 0 || strcmp(type, "session") != 0)
		return 0;
	if ((ch = calloc(1, sizeof(*ch))) == NULL)
		return -ENOMEM;
	ch->number = ev->channel;
	ch->rn = rn;
	TAILQ_INSERT_TAIL(&rn->channels, ch, link);
	rn->n_channels++;
	return 0;
}

static int
on_data(struct render *rn, struct channel *ch, const struct event *ev, struct buf *b)
{
	int r;

	(void)b;
	if (ch->subsystem || ev->way == EVENT_TO_BACK)
		return 0;
	if (ev->way == EVENT_FRONT)
		return ch->pty && rn->fn != NULL ? channel_typed(ch, ev->data, ev->len) : 0;
	if (!ch->pty && rn->fn == NULL)
		return 0;
	if ((r = channel_screen(ch, ch->pty, &ch->out)) != 0)
		return r;
	return screen_feed(ch->out, ev->at_ns, ev->data, ev->len);
}

static int
on_data_ext(struct render *rn, struct channel *ch, const struct event *ev, struct buf *b)
{
	struct screen **s = ch->pty ? &ch->out : &ch->err;
	int r;

	(void)b;
	if (ev->len < 4 || (ev->way != EVENT_BACK && ev->way != EVENT_TO_FRONT) ||
	    (!ch->pty && rn->fn == NULL))
		return 0;
	if ((r = channel_screen(ch, ch->pty, s)) != 0)
		return r;
	return screen_feed(*s, ev->at_ns, ev->data + 4, ev->len - 4);
}

static int
request_pty(struct channel *ch, struct buf *b)
{
	const uint8_t *term;
	uint32_t cols, rows;
	size_t len;

	if (ch->pty || ch->out != NULL || buf_get_str(b, &term, &len) != 0 ||
	    buf_get_u32(b, &cols) != 0 || buf_get_u32(b, &rows) != 0)
		return 0;
	ch->pty = true;
	/* A terminal without a size is one of the usual size. */
	ch->cols = cols == 0 ? 80 : cols;
	ch->rows = rows == 0 ? 24 : rows;
	return channel_screen(ch, true, &ch->out);
}

static int
request_size(struct channel *ch, struct buf *b)
{
	uint32_t cols, rows;

	if (!ch->pty || ch->out == NULL || buf_get_u32(b, &cols) != 0 ||
	    buf_get_u32(b, &rows) != 0 || cols == 0 || rows == 0)
		return 0;
	return channel_resize(ch, cols, rows);
}

/* Of a request in several frames the first one has the beginning of the command. */
static int
request_command(struct channel *ch, struct buf *b)
{
	uint32_t len;

	if (buf_get_u32(b, &len) != 0)
		return 0;
	if (len > buf_len(b))
		len = (uint32_t)buf_len(b);
	return tell(ch->rn, RENDER_COMMAND, ch->number, ch->rn->now_ns, buf_ptr(b),
	    len < COMMAND_MAX ? len : COMMAND_MAX);
}

static int
request_subsystem(struct channel *ch, struct buf *b)
{
	ch->subsystem = true;
	return request_command(ch, b);
}

static int
on_request(struct render *rn, struct channel *ch, const struct event *ev, struct buf *b)
{
	static const struct {
		const char *name;
		int (*take)(struct channel *ch, struct buf *b);
	} table[] = {
		{ "pty-req", request_pty },
		{ "window-change", request_size },
		{ "exec", request_command },
		{ "subsystem", request_subsystem },
	};
	char name[NAME_MAX_LEN];
	uint32_t number;
	uint8_t want;

	(void)rn;
	if (ev->way == EVENT_BACK || ev->way == EVENT_TO_FRONT || buf_get_u32(b, &number) != 0 ||
	    buf_get_cstr(b, name, sizeof(name)) != 0 || buf_get_u8(b, &want) != 0)
		return 0;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(table[i].name, name) == 0)
			return table[i].take(ch, b);
	return 0;
}

static int
on_hidden(struct render *rn, struct channel *ch, const struct event *ev, struct buf *b)
{
	(void)rn;
	(void)ev;
	(void)b;
	/* What was typed before the mark stands; what follows is not known. */
	return ch->typed_len > 0 ? typed_end(ch) : 0;
}

static int
on_file(struct render *rn, struct channel *ch, const struct event *ev, struct buf *b)
{
	struct json_node *j = NULL;
	const uint8_t *text;
	char line[8192];
	const char *path2;
	uint32_t number;
	size_t len;
	int r;

	(void)ch;
	if (buf_get_u32(b, &number) != 0 || buf_get_str(b, &text, &len) != 0 ||
	    json_parse((const char *)text, len, &j) != 0)
		return 0;
	path2 = json_str(json_get(j, "path2"), "");
	r = snprintf(line, sizeof(line), "%.64s %.4000s%s%.4000s", json_str(json_get(j, "op"), "?"),
	    json_str(json_get(j, "path"), ""), path2[0] != '\0' ? " " : "", path2);
	json_node_free(j);
	return tell(rn, RENDER_FILE, ev->channel, ev->at_ns, (const uint8_t *)line,
	    r < 0		       ? 0
	    : (size_t)r < sizeof(line) ? (size_t)r
				       : sizeof(line) - 1);
}

static int
channel_flush(struct channel *ch)
{
	struct screen *const both[] = { ch->out, ch->err };
	int r = ch->typed_len > 0 ? typed_end(ch) : 0;

	for (size_t i = 0; r == 0 && i < 2; i++)
		if (both[i] != NULL)
			r = screen_flush(both[i], ch->rn->now_ns);
	return r;
}

static int
on_close(struct render *rn, struct channel *ch, const struct event *ev, struct buf *b)
{
	int r;

	(void)b;
	if (ev->way != EVENT_BACK || ch->closed)
		return 0;
	ch->closed = true;
	r = channel_flush(ch);
	/* The last picture of a terminal stays; of others nothing does. */
	if (!has_picture(ch))
		channel_free(rn, ch);
	return r;
}

static const struct {
	uint8_t type;
	bool needs_channel;
	int (*take)(struct render *rn, struct channel *ch, const struct event *ev, struct buf *b);
} rules[] = {
	{ LINK_DATA, true, on_data },
	{ LINK_DATA_EXT, true, on_data_ext },
	{ LINK_OPEN, false, on_open },
	{ LINK_REQUEST, true, on_request },
	{ LINK_CLOSE, true, on_close },
	{ EVENT_FILE, false, on_file },
	{ EVENT_HIDDEN, true, on_hidden },
};

static int
render_one(struct render *rn, const struct event *ev)
{
	struct channel *ch;
	struct buf *b;
	int r;

	rn->now_ns = ev->at_ns;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (rules[i].type != ev->type)
			continue;
		ch = channel_find(rn, ev->channel);
		if (ch == NULL && rules[i].needs_channel)
			return 0;
		if (i < 2)
			return rules[i].take(rn, ch, ev, NULL);
		if ((b = buf_view(ev->data, ev->len)) == NULL)
			return -ENOMEM;
		r = rules[i].take(rn, ch, ev, b);
		buf_free(b);
		return r;
	}
	return 0;
}

int
render_event(struct render *rn, const struct event *ev)
{
	struct event shown;
	int r;

	/* Typed bytes that the target has shown in the end are data again; others never are. */
	if ((r = veil_reader_add(rn->veil, ev)) != 0)
		return r;
	while ((r = veil_reader_next(rn->veil, &shown)) == 0)
		if ((r = render_one(rn, &shown)) != 0)
			return r;
	return r == ERR_NOT_FOUND ? 0 : r;
}

int
render_flush(struct render *rn)
{
	struct channel *ch;
	int r = 0;

	TAILQ_FOREACH (ch, &rn->channels, link)
		if (r == 0 && !ch->closed)
			r = channel_flush(ch);
	return r;
}

struct screen *
render_screen(struct render *rn, uint32_t channel)
{
	struct channel *ch = channel_find(rn, channel);

	return ch != NULL && has_picture(ch) ? ch->out : NULL;
}

struct screen *
render_take(struct render *rn, uint32_t channel)
{
	struct screen *s = render_screen(rn, channel);

	if (s != NULL) {
		channel_find(rn, channel)->out = NULL;
		channel_free(rn, channel_find(rn, channel));
	}
	return s;
}

const uint32_t *
render_terminals(const struct render *rn, size_t *ret_n)
{
	*ret_n = rn->n_terminals;
	return rn->terminals;
}

int
render_restore(struct render *rn, uint32_t channel, uint32_t cols, uint32_t rows,
    const uint8_t *paint, size_t len)
{
	struct channel *ch = channel_find(rn, channel);
	struct event ev = { .channel = channel };
	struct buf *b;
	int r;

	if (ch == NULL) {
		/* string "session" */
		if ((b = buf_view("\0\0\0\7session", 11)) == NULL)
			return -ENOMEM;
		r = on_open(rn, NULL, &ev, b);
		buf_free(b);
		if (r != 0 || (ch = channel_find(rn, channel)) == NULL)
			return r != 0 ? r : ERR_LIMIT;
	}
	ch->pty = true;
	ch->cols = cols;
	ch->rows = rows;
	if ((r = channel_screen(ch, true, &ch->out)) != 0 ||
	    (r = channel_resize(ch, cols, rows)) != 0)
		return r;
	return screen_feed(ch->out, rn->now_ns, paint, len);
}
