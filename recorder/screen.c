/*
 * Terminal output, taken apart and handed to libvterm in whole, bounded, known sequences; what libvterm makes of them goes to
 * the cells (screen_grid.c). Text that does nothing but move the cursor goes there directly, and libvterm hears of it once
 * something else comes: that is what makes a gigabyte take seconds. What is handed on is a list (screen_csi): nothing else
 * can reach libvterm, whose 0.1.4 has its own ideas of margins, of repeating nothing, and of a cursor saved on a larger screen.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vterm.h>

#include "recorder/screen_part.h"

#define IN_CSI_MAX 96u	  /* bytes of one sequence; a longer one is dropped */
#define IN_DIGITS_MAX 4u  /* of a number; more are dropped, so that no sum of them overflows */
#define IN_PARAMS_MAX 16u /* of a sequence, that are looked at */
#define IN_STRING_MAX                                                                              \
	(1u << 20)	/* bytes of a control string before it is given up and text again */
#define FILL_WHOLE 4ull /* how much slower libvterm fills cells one by one (screen_may_fill()) */
#define IN_TEXT_MAX                                                                                \
	256u /* bytes of text that libvterm gets at once; it keeps arrays of that many on the stack */

enum in_state { IN_GROUND, IN_ESCAPE, IN_ESCAPE_INTER, IN_CSI, IN_CSI_IGNORE, IN_STRING };

struct screen_in {
	enum in_state state;
	char seq[IN_CSI_MAX + 1]; /* of the sequence under way, behind its ESC or CSI */
	size_t seq_len, digits;
	bool string_escape, string_bell; /* an ESC that may end a string; BEL ends it too */
	size_t string_len;
	uint8_t utf8[4]; /* a character under way */
	size_t utf8_len, utf8_need;
	uint8_t text[IN_TEXT_MAX]; /* for libvterm */
	size_t text_len;
	uint8_t ahead_last; /* the last character that libvterm has not heard of */
	uint32_t
	    ahead; /* how many there are: the cursor is so much further right than libvterm's */
	uint8_t last[4]; /* the last character, for REP */
	size_t last_len;
	/* a stream without a terminal */
	uint64_t begun_ns;
	bool cr;
};

static VTerm *
vt_of(const struct screen *s)
{
	return s->vt;
}

static void
vt_write(struct screen *s, const void *p, size_t len)
{
	(void)vterm_input_write(vt_of(s), p, len);
}

static void
vt_say(struct screen *s, const char *text)
{
	vt_write(s, text, strlen(text));
}

/* libvterm calls these. They return 1: done. */

static bool
rect_fits(const struct screen *s, VTermRect rect)
{
	return rect.start_row >= 0 && rect.start_col >= 0 && rect.end_row <= (int)s->rows &&
	       rect.end_col <= (int)s->cols && rect.start_row < rect.end_row &&
	       rect.start_col < rect.end_col;
}

static int
on_putglyph(VTermGlyphInfo *info, VTermPos pos, void *user)
{
	struct screen *s = user;
	uint32_t cp[SCREEN_CHARS] = { 0 }, width = info->width == 2 ? 2 : 1;
	size_t n = 0;

	if (pos.row < 0 || pos.col < 0 || pos.row >= (int)s->rows || pos.col >= (int)s->cols)
		return 1;
	if (width == 2 && pos.col + 1 == (int)s->cols)
		width = 1;
	/* What combines with nothing stands on a blank. */
	if (info->width <= 0)
		cp[n++] = ' ';
	s->crowded = false;
	for (size_t i = 0; !s->crowded && info->chars[i] != 0; i++)
		if (n < SCREEN_CHARS)
			cp[n++] = info->chars[i];
		else
			s->crowded = true;
	if (n == 0)
		cp[0] = ' ';
	s->crowd = (struct screen_at){ (uint32_t)pos.row, (uint32_t)pos.col };
	s->crowd_stays = info->width <= 0;
	screen_put(s, (struct screen_at){ (uint32_t)pos.row, (uint32_t)pos.col }, cp, width);
	s->wrap_pending = !s->no_wrap && (uint32_t)pos.col + width == s->cols;
	s->wrap_row = (uint32_t)pos.row;
	return 1;
}

static int
on_movecursor(VTermPos pos, VTermPos old, int visible, void *user)
{
	struct screen *s = user;

	(void)old;
	(void)visible;
	if (pos.row < 0 || pos.col < 0)
		return 1;
	s->cursor.row = pos.row < (int)s->rows ? (uint32_t)pos.row : s->rows - 1;
	s->cursor.col = pos.col < (int)s->cols ? (uint32_t)pos.col : s->cols - 1;
	/* A character of two columns leaves the cursor before the last one. */
	if (s->cursor.row != s->wrap_row || s->cursor.col + 2 < s->cols)
		s->wrap_pending = false;
	return 1;
}

static int
on_scrollrect(VTermRect rect, int downward, int rightward, void *user)
{
	struct screen *s = user;

	if (!rect_fits(s, rect))
		return 1;
	if (downward != 0 && rect.start_col == 0 && rect.end_col == (int)s->cols)
		screen_scroll(s, (uint32_t)rect.start_row, (uint32_t)rect.end_row, downward);
	for (int r = rect.start_row; rightward != 0 && r < rect.end_row; r++)
		screen_shift(
		    s, (uint32_t)r, (uint32_t)rect.start_col, (uint32_t)rect.end_col, rightward);
	return 1;
}

static int
on_erase(VTermRect rect, int selective, void *user)
{
	struct screen *s = user;

	(void)selective;
	if (rect_fits(s, rect))
		screen_erase(s, (uint32_t)rect.start_row, (uint32_t)rect.end_row,
		    (uint32_t)rect.start_col, (uint32_t)rect.end_col);
	return 1;
}

static int
on_initpen(void *user)
{
	struct screen *s = user;

	s->pen = (struct screen_pen){ 0 };
	return 1;
}

static uint32_t
colour(const VTermColor *c)
{
	if (VTERM_COLOR_IS_DEFAULT_FG(c) || VTERM_COLOR_IS_DEFAULT_BG(c))
		return 0;
	if (VTERM_COLOR_IS_INDEXED(c))
		return SCREEN_COLOUR_INDEX | c->indexed.idx;
	return SCREEN_COLOUR_RGB | (uint32_t)c->rgb.red << 16 | (uint32_t)c->rgb.green << 8 |
	       c->rgb.blue;
}

static int
on_setpenattr(VTermAttr attr, VTermValue *val, void *user)
{
	static const struct {
		VTermAttr attr;
		uint32_t bit;
	} bits[] = {
		{ VTERM_ATTR_BOLD, SCREEN_BOLD },
		{ VTERM_ATTR_ITALIC, SCREEN_ITALIC },
		{ VTERM_ATTR_BLINK, SCREEN_BLINK },
		{ VTERM_ATTR_REVERSE, SCREEN_REVERSE },
		{ VTERM_ATTR_STRIKE, SCREEN_STRIKE },
	};
	struct screen *s = user;

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (bits[i].attr == attr)
			s->pen.attrs =
			    val->boolean ? s->pen.attrs | bits[i].bit : s->pen.attrs & ~bits[i].bit;
	if (attr == VTERM_ATTR_UNDERLINE) {
		s->pen.attrs &= ~(uint32_t)(SCREEN_UNDERLINE | SCREEN_UNDERLINE_TWICE);
		s->pen.attrs |= val->number == 0   ? 0u
				: val->number == 2 ? (uint32_t)SCREEN_UNDERLINE_TWICE
						   : (uint32_t)SCREEN_UNDERLINE;
	} else if (attr == VTERM_ATTR_FOREGROUND) {
		s->pen.fg = colour(&val->color);
	} else if (attr == VTERM_ATTR_BACKGROUND) {
		s->pen.bg = colour(&val->color);
	}
	return 1;
}

/* 0: libvterm stays with what it had. */
static int
on_settermprop(VTermProp prop, VTermValue *val, void *user)
{
	struct screen *s = user;

	if (prop == VTERM_PROP_CURSORVISIBLE)
		s->hidden = !val->boolean;
	if (prop != VTERM_PROP_ALTSCREEN || (val->boolean != 0) == (s->shown == 1))
		return 1;
	if (val->boolean && s->grid[1].rows == NULL && screen_grid_new(s, &s->grid[1]) != 0) {
		s->err = -ENOMEM;
		return 0;
	}
	if (!val->boolean)
		screen_tell_all(s, 1);
	s->shown = val->boolean ? 1 : 0;
	s->wrap_pending = false;
	return 1;
}

static const VTermStateCallbacks vt_callbacks = {
	.putglyph = on_putglyph,
	.movecursor = on_movecursor,
	.scrollrect = on_scrollrect,
	.erase = on_erase,
	.initpen = on_initpen,
	.setpenattr = on_setpenattr,
	.settermprop = on_settermprop,
};

static void
vt_answer(const char *text, size_t len, void *user)
{
	(void)text;
	(void)len;
	(void)user;
}

static void
modes_reset(struct screen *s)
{
	s->insert = s->no_wrap = s->origin = s->newline = false;
	s->top = 0;
	s->bottom = s->rows;
	s->charset[0] = s->charset[1] = 'B';
	s->shift = 0;
}

static int
terminal_new(struct screen *s)
{
	VTermState *state;
	VTerm *vt;

	if (screen_grid_new(s, &s->grid[0]) != 0 || !screen_text_init(&s->text) ||
	    !screen_text_init(&s->leaving) || (vt = vterm_new((int)s->rows, (int)s->cols)) == NULL)
		return -ENOMEM;
	s->vt = vt;
	vterm_set_utf8(vt, 1);
	vterm_output_set_callback(vt, vt_answer, NULL);
	state = vterm_obtain_state(vt);
	vterm_state_set_callbacks(state, &vt_callbacks, s);
	vterm_state_reset(state, 1);
	modes_reset(s);
	/* What was never saved would come back black on black. */
	vt_say(s, "\0337");
	return 0;
}

int
screen_new(uint32_t cols, uint32_t rows, screen_line_fn line, void *arg, struct screen **ret_screen)
{
	struct screen *s = calloc(1, sizeof(*s));
	int r = -ENOMEM;

	if (s == NULL)
		return r;
	s->line = line;
	s->arg = arg;
	if (cols != 0 || rows != 0) {
		s->cols = cols == 0 ? 1 : cols > SCREEN_COLS_MAX ? SCREEN_COLS_MAX : cols;
		s->rows = rows == 0 ? 1 : rows > SCREEN_ROWS_MAX ? SCREEN_ROWS_MAX : rows;
	}
	if ((s->in = calloc(1, sizeof(*s->in))) == NULL)
		goto fail;
	if (s->cols == 0 ? !screen_text_init(&s->text) : (r = terminal_new(s)) != 0)
		goto fail;
	*ret_screen = s;
	return 0;
fail:
	screen_free(s);
	return r;
}

void
screen_free(struct screen *s)
{
	if (s == NULL)
		return;
	if (s->vt != NULL)
		vterm_free(vt_of(s));
	screen_grid_free(&s->grid[0], s->rows);
	screen_grid_free(&s->grid[1], s->rows);
	free(s->text.p);
	free(s->leaving.p);
	free(s->in);
	free(s);
}

/*
 * libvterm hears of the characters that went by it: the cursor moves, and the last one is written again, so that whatever
 * combines with it or repeats it finds it there.
 */
static void
in_catch_up(struct screen *s)
{
	struct screen_in *in = s->in;
	char move[32];
	int n = 0;

	if (in->ahead == 0)
		return;
	/* Its cursor is where ours was before them. */
	if (in->ahead > 1)
		n = snprintf(move, sizeof(move), "\033[%uC", in->ahead - 1);
	s->cursor.col -= in->ahead;
	in->ahead = 0;
	if (n > 0)
		vt_write(s, move, (size_t)n);
	s->again = true;
	vt_write(s, &in->ahead_last, 1);
	s->again = false;
}

/* Move the cursor, whatever the origin. */
static void
cursor_to(struct screen *s, struct screen_at at)
{
	char move[48];
	uint32_t row = at.row - (s->origin && at.row >= s->top ? s->top : 0);

	(void)snprintf(move, sizeof(move), "\033[%u;%uH", row + 1, at.col + 1);
	vt_say(s, move);
}

/*
 * libvterm keeps all that ever combined with the last character, and goes over it again for each that follows. It forgets
 * them over the character itself, written once more with what a cell has room for.
 */
static void
in_uncrowd(struct screen *s)
{
	const struct screen_cell *cell = &s->grid[s->shown].rows[s->crowd.row]->cells[s->crowd.col];
	struct screen_at at = s->crowd;
	uint8_t bytes[4 * SCREEN_CHARS];
	bool stays = s->crowd_stays;
	size_t n = 0;

	for (size_t i = 0; i < SCREEN_CHARS && cell->cp[i] != 0; i++)
		n += screen_utf8(bytes + n, cell->cp[i]);
	if (s->insert)
		vt_say(s, "\033[4l");
	s->wrap_pending = false;
	cursor_to(s, at);
	s->again = true;
	vt_write(s, bytes, n);
	s->again = s->crowded = false;
	if (stays)
		cursor_to(s, at);
	if (s->insert)
		vt_say(s, "\033[4h");
}

static void
in_flush_text(struct screen *s)
{
	struct screen_in *in = s->in;

	if (in->text_len == 0)
		return;
	in_catch_up(s);
	vt_write(s, in->text, in->text_len);
	in->text_len = 0;
	if (s->crowded)
		in_uncrowd(s);
}

/* Everything is where libvterm thinks it is. */
static void
in_settle(struct screen *s)
{
	in_flush_text(s);
	in_catch_up(s);
}

/* How many of n printable characters may go to the cells directly: all that stand before the last column. */
static uint32_t
in_direct(const struct screen *s, size_t n)
{
	uint32_t room = s->cols - 1 - s->cursor.col;

	if (s->insert || s->wrap_pending || s->charset[s->shift] != 'B' || s->in->text_len != 0)
		return 0;
	return n < room ? (uint32_t)n : room;
}

static void
in_keep_last(struct screen_in *in, const uint8_t *p, size_t len)
{
	memcpy(in->last, p, len);
	in->last_len = len;
}

/* One character, the slow way. */
static void
in_slow(struct screen *s, const uint8_t *p, size_t len)
{
	struct screen_in *in = s->in;

	if (in->text_len + len > IN_TEXT_MAX)
		in_flush_text(s);
	memcpy(in->text + in->text_len, p, len);
	in->text_len += len;
}

/* Printable ASCII. */
static void
in_ascii(struct screen *s, const uint8_t *p, size_t len)
{
	uint32_t n;

	in_keep_last(s->in, p + len - 1, 1);
	while (len > 0) {
		if (s->in->text_len > 0)
			in_flush_text(s);
		if ((n = in_direct(s, len)) > 0) {
			screen_put_ascii(s, s->cursor, p, n);
			s->cursor.col += n;
			s->wrap_pending = false;
			s->in->ahead += n;
			s->in->ahead_last = p[n - 1];
		} else {
			/* One more than fits this line, at most: what wraps begins a line that may be fast again. */
			n = 1;
			in_slow(s, p, n);
			in_flush_text(s);
		}
		p += n;
		len -= n;
	}
}

/* Length of a UTF-8 sequence by its first byte; 0: none begins so. */
static size_t
utf8_need(uint8_t c)
{
	return c >= 0xc2 && c <= 0xdf ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
}

static bool
utf8_goes_on(const uint8_t *p, size_t len, uint8_t c)
{
	if ((c & 0xc0) != 0x80)
		return false;
	if (len != 1)
		return true;
	return !((p[0] == 0xe0 && c < 0xa0) || (p[0] == 0xed && c > 0x9f) ||
		 (p[0] == 0xf0 && c < 0x90) || (p[0] == 0xf4 && c > 0x8f));
}

/* A character above ASCII, or what stands for bytes that are none: no control, and nothing that turns text around. */
static void
in_wide(struct screen *s, const uint8_t *p, size_t len)
{
	static const uint8_t bad[3] = { 0xef, 0xbf, 0xbd };
	bool control = len == 2 && p[0] == 0xc2 && p[1] < 0xa0,
	     turns = len == 3 && p[0] == 0xe2 &&
		     ((p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae) ||
			 (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));

	if (len == 0 || control || turns) {
		p = bad;
		len = sizeof(bad);
	}
	in_keep_last(s->in, p, len);
	in_slow(s, p, len);
}

/* A byte from 0x80 on, or one that ends a character too soon (it is not taken then: false). */
static bool
in_utf8(struct screen *s, uint8_t c)
{
	struct screen_in *in = s->in;

	if (in->utf8_len == 0) {
		in->utf8_need = utf8_need(c);
		if (in->utf8_need == 0)
			in_wide(s, NULL, 0);
		else
			in->utf8[in->utf8_len++] = c;
		return true;
	}
	if (!utf8_goes_on(in->utf8, in->utf8_len, c)) {
		in->utf8_len = 0;
		in_wide(s, NULL, 0);
		return false;
	}
	in->utf8[in->utf8_len++] = c;
	if (in->utf8_len == in->utf8_need) {
		in->utf8_len = 0;
		in_wide(s, in->utf8, in->utf8_need);
	}
	return true;
}

/* The sequences that reach libvterm, and what is done with others that mean something. */

struct csi {
	char leader, inter, final;
	uint32_t n, params[IN_PARAMS_MAX]; /* 0: left out */
	const char *raw;		   /* as it came, behind CSI, with its final character */
};

static void
csi_pass(struct screen *s, const struct csi *q)
{
	/* Who moves the cursor to where it is has moved it all the same. */
	if (strchr("ABCDEFGH`adefjk", q->final) != NULL)
		s->wrap_pending = false;
	vt_say(s, "\033[");
	vt_say(s, q->raw);
}

/* libvterm has no idea how far it may go when the cursor comes back from a larger screen: let it look. */
static void
cursor_bounded(struct screen *s)
{
	vt_say(s, "\033[0n");
}

static void
cursor_save(struct screen *s)
{
	vt_say(s, "\0337");
	s->saved = s->cursor;
	s->saved_pen = s->pen;
}

static void
cursor_restore(struct screen *s)
{
	bool hidden = s->hidden;

	/* It brings back whether the cursor was shown, too, which no terminal does. */
	vt_say(s, "\0338");
	cursor_bounded(s);
	vt_say(s, hidden ? "\033[?25l" : "\033[?25h");
}

static void
csi_save(struct screen *s, const struct csi *q)
{
	/* With parameters it sets margins, which we do not have. */
	if (q->n == 0)
		cursor_save(s);
}

static void
csi_restore(struct screen *s, const struct csi *q)
{
	if (q->n == 0)
		cursor_restore(s);
}

/* What moves the cursor down takes it from where it waits to wrap, also when it scrolls and stays: libvterm forgets that. */
static void
cursor_unwrap(struct screen *s)
{
	if (s->wrap_pending)
		cursor_to(s, s->cursor);
	s->wrap_pending = false;
}

static void
csi_region(struct screen *s, const struct csi *q)
{
	uint32_t top = q->n > 0 && q->params[0] > 0 ? q->params[0] - 1 : 0,
		 bottom = q->n > 1 && q->params[1] > 0 ? q->params[1] : s->rows;
	char text[48];

	if (bottom > s->rows)
		bottom = s->rows;
	/* A region of one line is none. */
	if (top + 1 >= bottom)
		return;
	s->top = top;
	s->bottom = bottom;
	(void)snprintf(text, sizeof(text), "\033[%u;%ur", top + 1, bottom);
	vt_say(s, text);
}

static void
csi_repeat(struct screen *s, const struct csi *q)
{
	uint32_t n = q->n > 0 && q->params[0] > 0 ? q->params[0] : 1;

	if (n > s->cols)
		n = s->cols;
	for (uint32_t i = 0; s->in->last_len > 0 && i < n; i++)
		in_slow(s, s->in->last, s->in->last_len);
	in_settle(s);
}

static void
csi_mode(struct screen *s, const struct csi *q)
{
	bool on = q->final == 'h';
	char text[32];

	for (uint32_t i = 0; i < q->n; i++) {
		if (q->params[i] == 4)
			s->insert = on;
		else if (q->params[i] == 20)
			s->newline = on;
		else
			continue;
		(void)snprintf(text, sizeof(text), "\033[%u%c", q->params[i], q->final);
		vt_say(s, text);
	}
}

static void
dec_mode(struct screen *s, uint32_t mode, bool on)
{
	static const uint32_t known[] = { 6, 7, 25, 47, 1047, 1048, 1049 };
	char text[32];
	size_t i = 0;

	while (i < sizeof(known) / sizeof(known[0]) && known[i] != mode)
		i++;
	if (i == sizeof(known) / sizeof(known[0]))
		return;
	if (mode == 6)
		s->origin = on;
	if (mode == 7)
		s->no_wrap = !on;
	if (on && (mode == 1048 || mode == 1049))
		cursor_save(s);
	if (mode != 1048) {
		(void)snprintf(text, sizeof(text), "\033[?%u%c",
		    mode == 47 || mode == 1049 ? 1047 : mode, on ? 'h' : 'l');
		vt_say(s, text);
	}
	if (!on && (mode == 1048 || mode == 1049))
		cursor_restore(s);
}

static void
csi_dec_mode(struct screen *s, const struct csi *q)
{
	for (uint32_t i = 0; i < q->n; i++)
		dec_mode(s, q->params[i], q->final == 'h');
}

/* Selective erasing spares nothing here: no cell is protected. */
static void
csi_dec_erase(struct screen *s, const struct csi *q)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "\033[%u%c", q->n > 0 ? q->params[0] : 0, q->final);
	vt_say(s, text);
}

/* DECSTR; the cursor stays. */
static void
csi_soft_reset(struct screen *s, const struct csi *q)
{
	struct screen_at at = s->cursor;

	(void)q;
	vt_say(s, "\033[4l\033[20l\033[?6l\033[?7h\033[r\033[m\033(B\033)B\017\033[?25h");
	modes_reset(s);
	cursor_to(s, at);
}

static const struct {
	char leader, inter;
	const char *finals;
	void (*run)(struct screen *s, const struct csi *q);
} screen_csi[] = {
	{ 0, 0, "@ABCDEFGHIJKLMPSTXZ`adefgjkm", csi_pass },
	{ 0, 0, "b", csi_repeat },
	{ 0, 0, "s", csi_save },
	{ 0, 0, "u", csi_restore },
	{ 0, 0, "r", csi_region },
	{ 0, 0, "hl", csi_mode },
	{ '?', 0, "hl", csi_dec_mode },
	{ '?', 0, "JK", csi_dec_erase },
	{ 0, '!', "p", csi_soft_reset },
};

/* Parameters of what stands in in->seq. False: it is none of ours. */
static bool
csi_parse(struct csi *q, const char *seq)
{
	const char *p = seq;
	bool given = false;

	if (*p >= '<' && *p <= '?')
		q->leader = *p++;
	for (; (*p >= '0' && *p <= '9') || *p == ';' || *p == ':'; p++) {
		if (!given) {
			q->n++;
			given = true;
		}
		if (q->n > IN_PARAMS_MAX)
			return false;
		if (*p >= '0' && *p <= '9')
			q->params[q->n - 1] = q->params[q->n - 1] * 10 + (uint32_t)(*p - '0');
		else if (*p == ';' && q->n++ == IN_PARAMS_MAX)
			return false;
	}
	if (*p >= ' ' && *p <= '/')
		q->inter = *p++;
	q->final = *p;
	return p[0] != '\0' && p[1] == '\0';
}

static void
csi_run(struct screen *s)
{
	struct csi q = { .raw = s->in->seq };

	s->in->seq[s->in->seq_len] = '\0';
	in_settle(s);
	if (!csi_parse(&q, s->in->seq) || (strchr(q.raw, ':') != NULL && q.final != 'm'))
		return;
	for (size_t i = 0; i < sizeof(screen_csi) / sizeof(screen_csi[0]); i++)
		if (screen_csi[i].leader == q.leader && screen_csi[i].inter == q.inter &&
		    strchr(screen_csi[i].finals, q.final) != NULL)
			screen_csi[i].run(s, &q);
}

static void
esc_reset(struct screen *s)
{
	/* libvterm forgets the alternate screen without a word. */
	vt_say(s, "\033[?1047l\033c");
	modes_reset(s);
	s->hidden = false;
	cursor_save(s);
}

static void
esc_pass(struct screen *s)
{
	const char text[3] = { '\033', s->in->seq[0], '\0' };

	vt_say(s, text);
	if (s->in->seq[0] != 'H')
		cursor_unwrap(s);
}

static const struct {
	char final;
	void (*run)(struct screen *s);
} screen_esc[] = {
	{ '7', cursor_save },
	{ '8', cursor_restore },
	{ 'c', esc_reset },
	{ 'D', esc_pass },
	{ 'E', esc_pass },
	{ 'H', esc_pass },
	{ 'M', esc_pass },
};

static void
esc_run(struct screen *s, char final)
{
	in_settle(s);
	s->in->seq[0] = final;
	for (size_t i = 0; i < sizeof(screen_esc) / sizeof(screen_esc[0]); i++)
		if (screen_esc[i].final == final)
			screen_esc[i].run(s);
}

/* ESC ( B and its kin, and DECALN. */
static void
esc_inter_run(struct screen *s, char inter, char final)
{
	char text[4] = { '\033', inter, final, '\0' };

	in_settle(s);
	if (inter == '#' && final == '8') {
		if (screen_may_fill(s, FILL_WHOLE * s->cols * s->rows))
			vt_say(s, text);
		return;
	}
	if (inter != '(' && inter != ')')
		return;
	if (final != '0' && final != 'A')
		text[2] = 'B';
	s->charset[inter == ')'] = (uint8_t)text[2];
	vt_say(s, text);
}

static void
in_control(struct screen *s, uint8_t c)
{
	in_settle(s);
	if (c == 0x0e || c == 0x0f)
		s->shift = c == 0x0e;
	if (c >= 0x08 && c <= 0x0f)
		vt_write(s, &c, 1);
	if (c >= 0x08 && c <= 0x0d)
		cursor_unwrap(s);
}

static void
in_begin_string(struct screen_in *in, bool bell)
{
	in->state = IN_STRING;
	in->string_bell = bell;
	in->string_escape = false;
	in->string_len = 0;
}

static void
in_escape(struct screen *s, uint8_t c)
{
	struct screen_in *in = s->in;

	in->state = IN_GROUND;
	if (c == '[') {
		in->state = IN_CSI;
		in->seq_len = in->digits = 0;
	} else if (c == ']') {
		in_begin_string(in, true);
	} else if (c == 'P' || c == 'X' || c == '^' || c == '_') {
		in_begin_string(in, false);
	} else if (c >= ' ' && c <= '/') {
		in->state = IN_ESCAPE_INTER;
		in->seq[0] = (char)c;
		in->seq_len = 1;
	} else if (c < 0x7f) {
		esc_run(s, (char)c);
	}
}

static void
in_escape_inter(struct screen *s, uint8_t c)
{
	struct screen_in *in = s->in;

	if (c >= ' ' && c <= '/') {
		in->seq_len = 2; /* more than one: none that is known */
		return;
	}
	in->state = IN_GROUND;
	if (in->seq_len == 1 && c < 0x7f)
		esc_inter_run(s, in->seq[0], (char)c);
}

static void
in_csi(struct screen *s, uint8_t c)
{
	struct screen_in *in = s->in;

	if (c >= 0x80) {
		in->state = IN_CSI_IGNORE;
		return;
	}
	in->digits = c >= '0' && c <= '9' ? in->digits + 1 : 0;
	if (in->digits <= IN_DIGITS_MAX && c != 0x7f) {
		if (in->seq_len == IN_CSI_MAX) {
			in->state = IN_CSI_IGNORE;
			return;
		}
		in->seq[in->seq_len++] = (char)c;
	}
	if (c >= '@' && c <= '~') {
		in->state = IN_GROUND;
		csi_run(s);
	}
}

static void
in_csi_ignore(struct screen *s, uint8_t c)
{
	if (c >= '@' && c <= '~')
		s->in->state = IN_GROUND;
}

/* Nothing of a control string is kept. */
static void
in_string(struct screen *s, uint8_t c)
{
	struct screen_in *in = s->in;

	if ((in->string_escape && c == '\\') || (in->string_bell && c == 0x07) ||
	    ++in->string_len == IN_STRING_MAX)
		in->state = IN_GROUND;
	in->string_escape = c == 0x1b;
}

/* A byte inside of a sequence. */
static void
in_sequence(struct screen *s, uint8_t c)
{
	static void (*const table[])(struct screen * s, uint8_t c) = {
		[IN_ESCAPE] = in_escape,
		[IN_ESCAPE_INTER] = in_escape_inter,
		[IN_CSI] = in_csi,
		[IN_CSI_IGNORE] = in_csi_ignore,
		[IN_STRING] = in_string,
	};
	struct screen_in *in = s->in;

	if (in->state == IN_STRING) {
		bool ends = c == 0x18 || c == 0x1a;

		/* An ESC that does not end the string begins a sequence. */
		if (in->string_escape && c != '\\') {
			in->state = IN_ESCAPE;
			in->string_escape = false;
		} else if (ends) {
			in->state = IN_GROUND;
			return;
		}
	} else if (c == 0x18 || c == 0x1a) {
		in->state = IN_GROUND;
		return;
	} else if (c == 0x1b) {
		in->state = IN_ESCAPE;
		return;
	} else if (c < 0x20) {
		/* Controls act inside of sequences, too. */
		in_control(s, c);
		return;
	}
	table[in->state](s, c);
}

static size_t
ascii_run(const uint8_t *p, size_t len)
{
	size_t n = 0;

	while (n < len && p[n] >= 0x20 && p[n] < 0x7f)
		n++;
	return n;
}

/* A byte that is no printable ASCII, in text. */
static void
in_ground(struct screen *s, uint8_t c)
{
	if (c >= 0x80 || s->in->utf8_len > 0) {
		if (in_utf8(s, c) || c >= 0x80)
			return;
	}
	if (c == 0x1b)
		s->in->state = IN_ESCAPE;
	else if (c < 0x20)
		in_control(s, c);
}

static void
terminal_feed(struct screen *s, const uint8_t *p, size_t len)
{
	struct screen_in *in = s->in;
	size_t n;

	while (len > 0 && s->err == 0) {
		n = in->state == IN_GROUND && in->utf8_len == 0 ? ascii_run(p, len) : 0;
		if (n > 0) {
			in_ascii(s, p, n);
		} else if (in->state != IN_GROUND) {
			in_sequence(s, *p);
			n = 1;
		} else if (in->utf8_len > 0 && !utf8_goes_on(in->utf8, in->utf8_len, *p)) {
			in->utf8_len = 0;
			in_wide(s, NULL, 0);
			continue;
		} else {
			in_ground(s, *p);
			n = 1;
		}
		p += n;
		len -= n;
	}
	in_settle(s);
}

/* A stream without a terminal. */

static void
lines_end(struct screen *s)
{
	s->text.any = true;
	s->text.at_ns = s->now_ns;
	screen_text_tell(s, &s->text);
}

static void
lines_add(struct screen *s, const uint8_t *p, size_t len)
{
	if (s->text.len == 0)
		s->text.begun_ns = s->now_ns;
	while (len > 0) {
		size_t n =
		    SCREEN_LINE_MAX - s->text.len < len ? SCREEN_LINE_MAX - s->text.len : len;

		/* A character stays whole. */
		if (n < len && p[n] >= 0x80)
			n = len;
		memcpy(s->text.p + s->text.len, p, n);
		s->text.len += n;
		p += n;
		len -= n;
		/* Room for the longest character is behind it. */
		if (s->text.len >= SCREEN_LINE_MAX)
			lines_end(s);
	}
}

/* Bytes that are no text: one mark for all that stand together. */
static void
lines_bad(struct screen *s)
{
	static const uint8_t bad[3] = { 0xef, 0xbf, 0xbd };
	const struct screen_text *t = &s->text;

	if (t->len < 3 || memcmp(t->p + t->len - 3, bad, 3) != 0)
		lines_add(s, bad, 3);
}

static void
lines_utf8(struct screen *s, uint8_t c)
{
	struct screen_in *in = s->in;

	if (in->utf8_len == 0) {
		in->utf8_need = utf8_need(c);
		if (in->utf8_need == 0)
			lines_bad(s);
		else
			in->utf8[in->utf8_len++] = c;
		return;
	}
	in->utf8[in->utf8_len++] = c;
	if (in->utf8_len < in->utf8_need)
		return;
	in->utf8_len = 0;
	if (in->utf8[0] == 0xc2 && in->utf8[1] < 0xa0)
		lines_bad(s);
	else
		lines_add(s, in->utf8, in->utf8_need);
}

static void
lines_control(struct screen *s, uint8_t c)
{
	if (c == '\n' || c == '\r') {
		if (s->text.len > 0)
			lines_end(s);
	} else if (c == '\t') {
		lines_add(s, (const uint8_t *)" ", 1);
	} else if (c == 0x1b) {
		s->in->state = IN_ESCAPE;
	} else if (c != 0x07 && c != 0x08) {
		lines_bad(s);
	}
}

/* Sequences are skipped as a terminal would read them. */
static void
lines_sequence(struct screen *s, uint8_t c)
{
	struct screen_in *in = s->in;

	if (in->state == IN_STRING) {
		in_string(s, c);
	} else if (c < 0x20) {
		in->state = IN_GROUND;
		lines_control(s, c);
	} else if (in->state == IN_ESCAPE && c == '[') {
		in->state = IN_CSI_IGNORE;
	} else if (in->state == IN_ESCAPE && strchr("]PX^_", c) != NULL) {
		in_begin_string(in, c == ']');
	} else if (in->state == IN_CSI_IGNORE) {
		in_csi_ignore(s, c);
	} else if (c > '/') {
		in->state = IN_GROUND;
	}
}

static void
lines_feed(struct screen *s, const uint8_t *p, size_t len)
{
	struct screen_in *in = s->in;
	size_t n;

	while (len > 0 && s->err == 0) {
		if (in->utf8_len > 0 && !utf8_goes_on(in->utf8, in->utf8_len, *p)) {
			in->utf8_len = 0;
			lines_bad(s);
		}
		n = in->state == IN_GROUND ? ascii_run(p, len) : 0;
		if (n > 0) {
			lines_add(s, p, n);
		} else {
			n = 1;
			if (in->state != IN_GROUND)
				lines_sequence(s, *p);
			else if (*p >= 0x80)
				lines_utf8(s, *p);
			else
				lines_control(s, *p);
		}
		p += n;
		len -= n;
	}
}

int
screen_feed(struct screen *s, uint64_t at_ns, const void *data, size_t len)
{
	int r;

	s->now_ns = at_ns;
	s->fed += len;
	if (s->cols == 0)
		lines_feed(s, data, len);
	else
		terminal_feed(s, data, len);
	r = s->err;
	s->err = 0;
	return r;
}

int
screen_resize(struct screen *s, uint64_t at_ns, uint32_t cols, uint32_t rows)
{
	struct screen_at at = s->cursor;
	uint32_t up = 0;
	int r;

	if (s->cols == 0)
		return 0;
	cols = cols == 0 ? 1 : cols > SCREEN_COLS_MAX ? SCREEN_COLS_MAX : cols;
	rows = rows == 0 ? 1 : rows > SCREEN_ROWS_MAX ? SCREEN_ROWS_MAX : rows;
	if ((cols == s->cols && rows == s->rows) ||
	    !screen_may_fill(s, (uint64_t)cols * rows + (uint64_t)s->cols * s->rows))
		return 0;
	s->now_ns = at_ns;
	if ((r = screen_grid_resize(s, cols, rows, &up)) != 0) {
		s->err = 0;
		return r;
	}
	/* The scroll region ends, as terminals do it, and libvterm must not keep one that is larger than the screen. */
	vt_say(s, "\033[r");
	s->cols = cols;
	s->rows = rows;
	s->top = 0;
	s->bottom = rows;
	s->wrap_pending = false;
	vterm_set_size(vt_of(s), (int)rows, (int)cols);
	at.row -= up;
	at.row = at.row < rows ? at.row : rows - 1;
	at.col = at.col < cols ? at.col : cols - 1;
	s->cursor = at;
	cursor_to(s, at);
	r = s->err;
	s->err = 0;
	return r;
}

int
screen_flush(struct screen *s, uint64_t at_ns)
{
	int r;

	if (s->cols == 0) {
		if (s->in->utf8_len > 0)
			lines_bad(s);
		s->in->utf8_len = 0;
		s->now_ns = at_ns;
		if (s->text.len > 0)
			lines_end(s);
	} else {
		s->now_ns = at_ns;
		screen_tell_all(s, 0);
		screen_tell_all(s, 1);
	}
	r = s->err;
	s->err = 0;
	return r;
}

bool
screen_is_whole(const struct screen *s)
{
	return s->in->state == IN_GROUND && s->in->utf8_len == 0;
}

void
screen_size(const struct screen *s, uint32_t *ret_cols, uint32_t *ret_rows)
{
	*ret_cols = s->cols;
	*ret_rows = s->rows;
}

void
screen_cursor(const struct screen *s, uint32_t *ret_col, uint32_t *ret_row, bool *ret_shown)
{
	*ret_col = s->cursor.col;
	*ret_row = s->cursor.row;
	*ret_shown = !s->hidden;
}
